//! The outbox: letters written in the transaction of the state change.

crate::schema::migration!(
    "m09_mail",
    tables: &["mails"],
    up: &[
        "CREATE TABLE mails (
            id TEXT PRIMARY KEY,
            account TEXT REFERENCES accounts(id),
            address TEXT NOT NULL,
            kind TEXT NOT NULL,
            facts TEXT NOT NULL,
            state TEXT NOT NULL,
            created_at BIGINT NOT NULL,
            erased_at BIGINT
        )",
        "CREATE INDEX mails_state ON mails (state, id)",
    ]
);
