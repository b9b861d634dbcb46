//! People's accounts (ACC-8..17): verified mails, second factors, sessions as
//! their owner sees them, one-time links; the history of reviews (REV).
//! Accounts from before count as verified: no letter was sent then.

use sea_orm_migration::prelude::*;

/// The migration of this file.
#[derive(Debug)]
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m10_people"
    }
}

const TABLES: &[&str] = &["recovery_codes", "mail_tokens", "listing_reviews"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::schema::run(
            manager,
            &[
                "ALTER TABLE accounts ADD COLUMN verified_at BIGINT",
                "UPDATE accounts SET verified_at = created_at",
                "ALTER TABLE accounts ADD COLUMN state TEXT NOT NULL DEFAULT 'active'",
                // The secret sealed under the server's key; `factor_since` once
                // a code was shown; `factor_step` is the last step accepted.
                "ALTER TABLE accounts ADD COLUMN factor TEXT",
                "ALTER TABLE accounts ADD COLUMN factor_since BIGINT",
                "ALTER TABLE accounts ADD COLUMN factor_step BIGINT NOT NULL DEFAULT 0",
                "CREATE TABLE recovery_codes (
                    account TEXT NOT NULL REFERENCES accounts(id),
                    hash TEXT NOT NULL,
                    used_at BIGINT,
                    PRIMARY KEY (account, hash)
                )",
                "ALTER TABLE sessions ADD COLUMN last_seen_at BIGINT NOT NULL DEFAULT 0",
                "UPDATE sessions SET last_seen_at = created_at",
                "ALTER TABLE sessions ADD COLUMN agent TEXT NOT NULL DEFAULT ''",
                "ALTER TABLE sessions ADD COLUMN address TEXT NOT NULL DEFAULT ''",
                // The hash of a page's cookie; none of a program's session.
                "ALTER TABLE sessions ADD COLUMN cookie TEXT",
                "CREATE UNIQUE INDEX sessions_cookie ON sessions (cookie)",
                "CREATE TABLE mail_tokens (
                    nonce TEXT PRIMARY KEY,
                    purpose TEXT NOT NULL,
                    account TEXT NOT NULL REFERENCES accounts(id),
                    address TEXT NOT NULL,
                    created_at BIGINT NOT NULL,
                    expires_at BIGINT NOT NULL,
                    used_at BIGINT
                )",
                "CREATE INDEX mail_tokens_account ON mail_tokens (account, purpose)",
                "CREATE INDEX mail_tokens_expiry ON mail_tokens (expires_at)",
                "CREATE TABLE listing_reviews (
                    listing TEXT NOT NULL REFERENCES listings(id),
                    sequence BIGINT NOT NULL,
                    at BIGINT NOT NULL,
                    by_account TEXT NOT NULL REFERENCES accounts(id),
                    decision TEXT NOT NULL,
                    reason TEXT NOT NULL,
                    PRIMARY KEY (listing, sequence)
                )",
                "ALTER TABLE machines ADD COLUMN last_seen_at BIGINT",
                "CREATE INDEX machines_operator ON machines (operator, id)",
            ],
        )
        .await
    }
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::schema::run(
            manager,
            &[
                "DROP INDEX machines_operator",
                "ALTER TABLE machines DROP COLUMN last_seen_at",
                "DROP INDEX sessions_cookie",
                "ALTER TABLE sessions DROP COLUMN cookie",
                "ALTER TABLE sessions DROP COLUMN address",
                "ALTER TABLE sessions DROP COLUMN agent",
                "ALTER TABLE sessions DROP COLUMN last_seen_at",
                "ALTER TABLE accounts DROP COLUMN factor_step",
                "ALTER TABLE accounts DROP COLUMN factor_since",
                "ALTER TABLE accounts DROP COLUMN factor",
                "ALTER TABLE accounts DROP COLUMN state",
                "ALTER TABLE accounts DROP COLUMN verified_at",
            ],
        )
        .await?;
        crate::schema::drop_tables(manager, TABLES).await
    }
}
