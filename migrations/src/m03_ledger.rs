//! The double-entry ledger, deposits and withdrawals (LED-1..4).

crate::schema::migration!(
    "m03_ledger",
    tables: &["ledger_accounts", "transfers", "postings", "cash_requests"],
    up: &[
        // LED-3: only `world` may be negative; the database says so too.
        "CREATE TABLE ledger_accounts (
            account TEXT PRIMARY KEY,
            posted BIGINT NOT NULL,
            pending_out BIGINT NOT NULL CHECK (pending_out >= 0),
            pending_in BIGINT NOT NULL CHECK (pending_in >= 0),
            CHECK (account = 'world' OR posted - pending_out >= 0)
        )",
        "CREATE TABLE transfers (
            id TEXT PRIMARY KEY,
            kind TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('pending', 'committed', 'posted', 'voided')),
            order_id TEXT UNIQUE,
            created_at BIGINT NOT NULL,
            ended_at BIGINT
        )",
        "CREATE TABLE postings (
            transfer TEXT NOT NULL REFERENCES transfers(id),
            account TEXT NOT NULL REFERENCES ledger_accounts(account),
            amount BIGINT NOT NULL CHECK (amount <> 0),
            PRIMARY KEY (transfer, account)
        )",
        "CREATE INDEX postings_account ON postings (account, transfer)",
        "CREATE TABLE cash_requests (
            id TEXT PRIMARY KEY,
            kind TEXT NOT NULL,
            account TEXT NOT NULL REFERENCES accounts(id),
            amount BIGINT NOT NULL CHECK (amount > 0),
            idempotency_key TEXT NOT NULL,
            transfer TEXT NOT NULL UNIQUE REFERENCES transfers(id),
            decision TEXT NOT NULL,
            decided_by TEXT REFERENCES accounts(id),
            reason TEXT NOT NULL,
            created_at BIGINT NOT NULL,
            UNIQUE (account, kind, idempotency_key)
        )",
        "CREATE INDEX cash_requests_kind ON cash_requests (kind, id)",
    ]
);
