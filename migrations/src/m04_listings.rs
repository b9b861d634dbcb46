//! Listings, their policies and objects, what they revealed, quotes (DOC-3, DOC-4, UP).

crate::schema::migration!(
    "m04_listings",
    tables: &["listings", "policies", "listing_objects", "reveals", "quotes"],
    up: &[
        "CREATE TABLE listings (
            id TEXT PRIMARY KEY,
            owner TEXT NOT NULL REFERENCES accounts(id),
            state TEXT NOT NULL,
            dataset TEXT NOT NULL,
            search TEXT NOT NULL,
            manifest TEXT NOT NULL,
            version BIGINT NOT NULL,
            body TEXT NOT NULL
        )",
        "CREATE INDEX listings_state ON listings (state, id)",
        "CREATE INDEX listings_owner ON listings (owner, id)",
        "CREATE TABLE policies (
            listing TEXT NOT NULL REFERENCES listings(id),
            version BIGINT NOT NULL,
            digest TEXT NOT NULL,
            text TEXT NOT NULL,
            PRIMARY KEY (listing, version)
        )",
        "CREATE TABLE listing_objects (
            listing TEXT NOT NULL REFERENCES listings(id),
            name TEXT NOT NULL,
            length BIGINT NOT NULL CHECK (length >= 0),
            digest TEXT,
            PRIMARY KEY (listing, name)
        )",
        // ORD-4: what was revealed and what orders under way will reveal.
        "CREATE TABLE reveals (
            listing TEXT PRIMARY KEY REFERENCES listings(id),
            revealed_values BIGINT NOT NULL CHECK (revealed_values >= 0),
            revealed_bits BIGINT NOT NULL CHECK (revealed_bits >= 0),
            reserved_values BIGINT NOT NULL CHECK (reserved_values >= 0),
            reserved_bits BIGINT NOT NULL CHECK (reserved_bits >= 0)
        )",
        "CREATE TABLE quotes (
            digest TEXT PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            listing TEXT NOT NULL REFERENCES listings(id),
            expiry BIGINT NOT NULL,
            terms TEXT NOT NULL,
            text TEXT NOT NULL,
            program TEXT NOT NULL
        )",
    ]
);
