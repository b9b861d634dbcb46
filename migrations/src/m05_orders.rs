//! Orders, their leases, documents and binary parts (ORD, SET).

crate::schema::migration!(
    "m05_orders",
    tables: &["orders", "order_events", "order_leases", "order_documents", "order_blobs"],
    up: &[
        // ORD-2: a nonce is used once, whoever uses it. SET-1: one escrow an order.
        "CREATE TABLE orders (
            id TEXT PRIMARY KEY,
            buyer TEXT NOT NULL REFERENCES accounts(id),
            custodian TEXT NOT NULL REFERENCES accounts(id),
            pod_operator TEXT NOT NULL REFERENCES accounts(id),
            listing TEXT NOT NULL REFERENCES listings(id),
            pod TEXT NOT NULL REFERENCES machines(id),
            node_key TEXT NOT NULL,
            nonce TEXT NOT NULL UNIQUE,
            digest TEXT NOT NULL UNIQUE,
            escrow TEXT NOT NULL UNIQUE REFERENCES transfers(id),
            state TEXT NOT NULL,
            deadline BIGINT NOT NULL,
            lease_end BIGINT,
            version BIGINT NOT NULL,
            body TEXT NOT NULL
        )",
        "CREATE INDEX orders_pod ON orders (state, pod, id)",
        "CREATE INDEX orders_node ON orders (state, node_key, id)",
        "CREATE INDEX orders_deadline ON orders (state, deadline)",
        "CREATE INDEX orders_buyer ON orders (buyer, id)",
        "CREATE INDEX orders_custodian ON orders (custodian, id)",
        "CREATE INDEX orders_operator ON orders (pod_operator, id)",
        "CREATE TABLE order_events (
            order_id TEXT NOT NULL REFERENCES orders(id),
            sequence BIGINT NOT NULL,
            state TEXT NOT NULL,
            at BIGINT NOT NULL,
            PRIMARY KEY (order_id, sequence)
        )",
        // Progress of the pod, and the lease of the key node (ORD-6, KEY-1).
        "CREATE TABLE order_leases (
            order_id TEXT NOT NULL REFERENCES orders(id),
            kind TEXT NOT NULL,
            holder TEXT NOT NULL,
            lease_end BIGINT NOT NULL,
            attempts BIGINT NOT NULL,
            stage TEXT NOT NULL,
            progress BIGINT NOT NULL,
            PRIMARY KEY (order_id, kind)
        )",
        "CREATE TABLE order_documents (
            order_id TEXT NOT NULL REFERENCES orders(id),
            kind TEXT NOT NULL,
            digest TEXT NOT NULL,
            text TEXT NOT NULL,
            PRIMARY KEY (order_id, kind)
        )",
        "CREATE TABLE order_blobs (
            order_id TEXT NOT NULL REFERENCES orders(id),
            kind TEXT NOT NULL,
            part BIGINT NOT NULL,
            bytes {blob} NOT NULL,
            PRIMARY KEY (order_id, kind, part)
        )",
    ]
);
