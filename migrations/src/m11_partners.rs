//! API keys, webhooks with their deliveries, registered documents, idempotent
//! requests (PAR).

use sea_orm_migration::prelude::*;

const TABLES: &[&str] = &[
    "api_keys",
    "api_key_secrets",
    "webhooks",
    "webhook_deliveries",
    "webhook_attempts",
    "persisted_queries",
    "idempotent_requests",
];

/// The migration of this file.
#[derive(Debug)]
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m11_partners"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::schema::run(
            manager,
            &[
                // PAR-4: the counts of the present minute and day, with the key.
                "CREATE TABLE api_keys (
                    id TEXT PRIMARY KEY,
                    account TEXT NOT NULL REFERENCES accounts(id),
                    name TEXT NOT NULL,
                    scopes TEXT NOT NULL,
                    persisted_only BIGINT NOT NULL,
                    per_minute BIGINT NOT NULL,
                    per_day BIGINT NOT NULL,
                    created_at BIGINT NOT NULL,
                    expires_at BIGINT,
                    revoked_at BIGINT,
                    held_at BIGINT,
                    last_used_at BIGINT,
                    minute_at BIGINT NOT NULL DEFAULT 0,
                    minute_used BIGINT NOT NULL DEFAULT 0,
                    day_at BIGINT NOT NULL DEFAULT 0,
                    day_used BIGINT NOT NULL DEFAULT 0
                )",
                "CREATE INDEX api_keys_account ON api_keys (account, id)",
                // PAR-2: digests only; several live while a rotation overlaps.
                "CREATE TABLE api_key_secrets (
                    digest TEXT PRIMARY KEY,
                    api_key TEXT NOT NULL REFERENCES api_keys(id),
                    prefix TEXT NOT NULL,
                    created_at BIGINT NOT NULL,
                    ends_at BIGINT
                )",
                "CREATE INDEX api_key_secrets_key ON api_key_secrets (api_key)",
                "CREATE TABLE webhooks (
                    id TEXT PRIMARY KEY,
                    account TEXT NOT NULL REFERENCES accounts(id),
                    url TEXT NOT NULL,
                    events TEXT NOT NULL,
                    enabled BIGINT NOT NULL,
                    nonce TEXT NOT NULL,
                    previous_nonce TEXT,
                    previous_until BIGINT,
                    created_at BIGINT NOT NULL,
                    failing_since BIGINT,
                    disabled_at BIGINT,
                    disabled_reason TEXT,
                    sequence BIGINT NOT NULL
                )",
                "CREATE INDEX webhooks_account ON webhooks (account, id)",
                // PAR-11: one row a webhook and event, made with the event.
                "CREATE TABLE webhook_deliveries (
                    id TEXT PRIMARY KEY,
                    webhook TEXT NOT NULL REFERENCES webhooks(id),
                    sequence BIGINT NOT NULL,
                    event TEXT NOT NULL,
                    body TEXT NOT NULL,
                    created_at BIGINT NOT NULL,
                    state TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'failed')),
                    attempts BIGINT NOT NULL,
                    next_at BIGINT NOT NULL,
                    claimed_until BIGINT,
                    delivered_at BIGINT,
                    UNIQUE (webhook, sequence)
                )",
                "CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (state, webhook, sequence)",
                "CREATE TABLE webhook_attempts (
                    delivery TEXT NOT NULL REFERENCES webhook_deliveries(id),
                    number BIGINT NOT NULL,
                    at BIGINT NOT NULL,
                    status BIGINT,
                    millis BIGINT NOT NULL,
                    excerpt TEXT NOT NULL,
                    error TEXT,
                    PRIMARY KEY (delivery, number)
                )",
                "CREATE TABLE persisted_queries (
                    account TEXT NOT NULL REFERENCES accounts(id),
                    id TEXT NOT NULL,
                    document TEXT NOT NULL,
                    created_at BIGINT NOT NULL,
                    PRIMARY KEY (account, id)
                )",
                // PAR-8: `answer` once it is there; without one, a claim.
                "CREATE TABLE idempotent_requests (
                    account TEXT NOT NULL REFERENCES accounts(id),
                    name TEXT NOT NULL,
                    request TEXT NOT NULL,
                    state TEXT NOT NULL CHECK (state IN ('claimed', 'answered', 'lost')),
                    claimed_until BIGINT NOT NULL,
                    answer TEXT,
                    created_at BIGINT NOT NULL,
                    PRIMARY KEY (account, name)
                )",
                "CREATE INDEX idempotent_requests_age ON idempotent_requests (created_at)",
                // PAR-14: the newest jobs that were done.
                "CREATE INDEX order_events_state ON order_events (state, at)",
            ],
        )
        .await
    }
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::schema::run(manager, &["DROP INDEX order_events_state"]).await?;
        crate::schema::drop_tables(manager, TABLES).await
    }
}
