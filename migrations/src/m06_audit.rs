//! The hash-chained audit log (LED-5): the primary key forbids a fork.

crate::schema::migration!(
    "m06_audit",
    tables: &["audit_log"],
    up: &[
        "CREATE TABLE audit_log (
            sequence BIGINT PRIMARY KEY,
            at BIGINT NOT NULL,
            actor TEXT NOT NULL,
            action TEXT NOT NULL,
            subject TEXT NOT NULL,
            details TEXT NOT NULL,
            previous TEXT NOT NULL UNIQUE,
            digest TEXT NOT NULL UNIQUE
        )",
        "CREATE INDEX audit_log_subject ON audit_log (subject, sequence)",
    ]
);
