//! Pods, key nodes and the nonces of their token requests (POD, KEY).

crate::schema::migration!(
    "m02_machines",
    tables: &["machines", "machine_nonces"],
    up: &[
        "CREATE TABLE machines (
            id TEXT PRIMARY KEY,
            kind TEXT NOT NULL,
            operator TEXT NOT NULL REFERENCES accounts(id),
            name TEXT NOT NULL,
            signing_key TEXT NOT NULL UNIQUE,
            registration TEXT NOT NULL,
            decision TEXT NOT NULL,
            reason TEXT NOT NULL,
            created_at BIGINT NOT NULL
        )",
        "CREATE INDEX machines_kind ON machines (kind, id)",
        "CREATE TABLE machine_nonces (
            machine TEXT NOT NULL REFERENCES machines(id),
            nonce TEXT NOT NULL,
            expires_at BIGINT NOT NULL,
            PRIMARY KEY (machine, nonce)
        )",
        "CREATE INDEX machine_nonces_expiry ON machine_nonces (expires_at)",
    ]
);
