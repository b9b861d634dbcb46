//! Committee custody: dealings on their way to key nodes (DOC-14), grants to
//! quorums and what their nodes deliver (SET-7), joint orders (SET-8).

use sea_orm_migration::prelude::*;

/// The migration of this file.
#[derive(Debug)]
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m08_committee"
    }
}

const TABLES: &[&str] = &[
    "dealings",
    "dealing_pieces",
    "dealing_answers",
    "order_grants",
    "order_openings",
    "order_masked",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::schema::run(
            manager,
            &[
                // `bytes` counts announcement and pieces; `next` is the ticket
                // after the last one spent.
                "CREATE TABLE dealings (
                    listing TEXT NOT NULL REFERENCES listings(id),
                    digest TEXT NOT NULL,
                    announcement {blob},
                    bytes BIGINT NOT NULL CHECK (bytes >= 0),
                    next BIGINT,
                    PRIMARY KEY (listing, digest)
                )",
                "CREATE INDEX dealings_digest ON dealings (digest)",
                "CREATE TABLE dealing_pieces (
                    listing TEXT NOT NULL,
                    dealing TEXT NOT NULL,
                    party BIGINT NOT NULL,
                    part TEXT NOT NULL,
                    piece BIGINT NOT NULL,
                    length BIGINT NOT NULL CHECK (length >= 0),
                    digest TEXT NOT NULL,
                    PRIMARY KEY (listing, dealing, party, part, piece),
                    FOREIGN KEY (listing, dealing) REFERENCES dealings (listing, digest)
                )",
                "CREATE TABLE dealing_answers (
                    listing TEXT NOT NULL,
                    dealing TEXT NOT NULL,
                    node TEXT NOT NULL,
                    accepted BIGINT NOT NULL,
                    code TEXT NOT NULL,
                    reason TEXT NOT NULL,
                    digest TEXT NOT NULL,
                    text TEXT NOT NULL,
                    PRIMARY KEY (listing, dealing, node),
                    FOREIGN KEY (listing, dealing) REFERENCES dealings (listing, digest)
                )",
                "CREATE TABLE order_grants (
                    order_id TEXT NOT NULL REFERENCES orders(id),
                    number BIGINT NOT NULL,
                    digest TEXT NOT NULL UNIQUE,
                    text TEXT NOT NULL,
                    PRIMARY KEY (order_id, number)
                )",
                // `live` while the grant is the newest and not over.
                "CREATE TABLE order_openings (
                    order_id TEXT NOT NULL,
                    number BIGINT NOT NULL,
                    node TEXT NOT NULL,
                    place BIGINT NOT NULL,
                    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'refused')),
                    live BIGINT NOT NULL,
                    revealed BIGINT NOT NULL,
                    lease_end BIGINT,
                    holder TEXT,
                    opening_digest TEXT,
                    opening TEXT,
                    delivery_digest TEXT,
                    delivery TEXT,
                    refusal_digest TEXT,
                    refusal TEXT,
                    sealed {blob},
                    PRIMARY KEY (order_id, number, node),
                    FOREIGN KEY (order_id, number) REFERENCES order_grants (order_id, number)
                )",
                "CREATE INDEX order_openings_node ON order_openings (node, state, live, order_id)",
                // What every node of the quorum must have delivered alike.
                "CREATE TABLE order_masked (
                    order_id TEXT NOT NULL,
                    number BIGINT NOT NULL,
                    said TEXT NOT NULL,
                    bytes {blob} NOT NULL,
                    PRIMARY KEY (order_id, number),
                    FOREIGN KEY (order_id, number) REFERENCES order_grants (order_id, number)
                )",
                "ALTER TABLE orders ADD COLUMN committee BIGINT NOT NULL DEFAULT 0",
                "ALTER TABLE orders ADD COLUMN joint TEXT",
                // Orders that the joint one has when it is placed whole.
                "ALTER TABLE orders ADD COLUMN joint_size BIGINT",
                "ALTER TABLE orders ADD COLUMN quote TEXT NOT NULL DEFAULT ''",
                "ALTER TABLE orders ADD COLUMN grant_expires BIGINT",
                "CREATE INDEX orders_listing ON orders (listing, state)",
                // SET-8: one order a quote of a joint order.
                "CREATE UNIQUE INDEX orders_joint ON orders (joint, quote)",
            ],
        )
        .await
    }
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::schema::run(
            manager,
            &[
                "DROP INDEX orders_joint",
                "DROP INDEX orders_listing",
                "ALTER TABLE orders DROP COLUMN grant_expires",
                "ALTER TABLE orders DROP COLUMN quote",
                "ALTER TABLE orders DROP COLUMN joint_size",
                "ALTER TABLE orders DROP COLUMN joint",
                "ALTER TABLE orders DROP COLUMN committee",
            ],
        )
        .await?;
        crate::schema::drop_tables(manager, TABLES).await
    }
}
