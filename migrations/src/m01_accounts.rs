//! Accounts, sessions with their refresh tokens, signing keys (ACC).

crate::schema::migration!(
    "m01_accounts",
    tables: &["accounts", "sessions", "refresh_tokens", "signing_keys"],
    up: &[
        "CREATE TABLE accounts (
            id TEXT PRIMARY KEY,
            mail TEXT NOT NULL UNIQUE,
            name TEXT NOT NULL,
            password_hash TEXT NOT NULL,
            roles TEXT NOT NULL,
            created_at BIGINT NOT NULL
        )",
        "CREATE TABLE sessions (
            id TEXT PRIMARY KEY,
            account TEXT NOT NULL REFERENCES accounts(id),
            created_at BIGINT NOT NULL,
            expires_at BIGINT NOT NULL,
            revoked_at BIGINT
        )",
        "CREATE INDEX sessions_account ON sessions (account)",
        // ACC-3: hashes only; a used token stays, so that its reuse is noticed.
        "CREATE TABLE refresh_tokens (
            hash TEXT PRIMARY KEY,
            session TEXT NOT NULL REFERENCES sessions(id),
            created_at BIGINT NOT NULL,
            used_at BIGINT
        )",
        "CREATE INDEX refresh_tokens_session ON refresh_tokens (session)",
        "CREATE TABLE signing_keys (
            public_key TEXT PRIMARY KEY,
            account TEXT NOT NULL REFERENCES accounts(id),
            created_at BIGINT NOT NULL,
            revoked_at BIGINT
        )",
        "CREATE INDEX signing_keys_account ON signing_keys (account)",
    ]
);
