//! Which quotes an order was placed under: the others are forgotten some time
//! after they expire. Those from before are all kept.

use sea_orm_migration::prelude::*;

/// The migration of this file.
#[derive(Debug)]
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m07_quotes_used"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::schema::run(
            manager,
            &[
                "ALTER TABLE quotes ADD COLUMN used BIGINT NOT NULL DEFAULT 0",
                "UPDATE quotes SET used = 1",
                "CREATE INDEX quotes_unused ON quotes (used, expiry)",
            ],
        )
        .await
    }
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::schema::run(
            manager,
            &[
                "DROP INDEX quotes_unused",
                "ALTER TABLE quotes DROP COLUMN used",
            ],
        )
        .await
    }
}
