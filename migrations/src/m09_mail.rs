//! The outbox of letters (MAIL), what accounts want to be told, and when orders
//! are to be mentioned.

crate::schema::migration!(
    "m09_mail",
    tables: &["mails", "mail_preferences", "order_reminders"],
    up: &[
        // `once` keeps what is said once from being said again, whatever became
        // of the letter.
        "CREATE TABLE mails (
            id TEXT PRIMARY KEY,
            account TEXT REFERENCES accounts(id),
            address TEXT NOT NULL,
            kind TEXT NOT NULL,
            facts TEXT NOT NULL,
            once TEXT UNIQUE,
            state TEXT NOT NULL CHECK (state IN ('waiting', 'claimed', 'sending', 'sent', 'unknown',
                                                 'failed', 'skipped', 'dismissed')),
            created_at BIGINT NOT NULL,
            due_at BIGINT NOT NULL,
            attempts BIGINT NOT NULL CHECK (attempts >= 0),
            lease_token TEXT,
            lease_end BIGINT,
            error TEXT NOT NULL,
            sent_at BIGINT,
            ended_at BIGINT,
            erased_at BIGINT
        )",
        "CREATE INDEX mails_due ON mails (state, due_at)",
        "CREATE INDEX mails_account ON mails (account, id)",
        "CREATE INDEX mails_address ON mails (address, id)",
        "CREATE INDEX mails_ended ON mails (erased_at, ended_at)",
        // Absent: everything is wanted.
        "CREATE TABLE mail_preferences (
            account TEXT PRIMARY KEY REFERENCES accounts(id),
            orders BIGINT NOT NULL,
            listings BIGINT NOT NULL,
            budgets BIGINT NOT NULL,
            deadlines BIGINT NOT NULL,
            cash BIGINT NOT NULL
        )",
        "CREATE TABLE order_reminders (
            order_id TEXT PRIMARY KEY REFERENCES orders(id),
            due_at BIGINT NOT NULL
        )",
        "CREATE INDEX order_reminders_due ON order_reminders (due_at)",
    ]
);
