//! Short hands for portable column types.

use sea_orm_migration::prelude::*;

/// Runs statements that are the same text in both dialects, `{blob}` aside.
pub(crate) async fn run(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let blob = match manager.get_database_backend() {
        sea_orm_migration::sea_orm::DbBackend::Postgres => "BYTEA",
        _ => "BLOB",
    };
    for s in statements {
        connection
            .execute_unprepared(&s.replace("{blob}", blob))
            .await?;
    }
    Ok(())
}

/// Drops tables, last made first.
pub(crate) async fn drop_tables(manager: &SchemaManager<'_>, tables: &[&str]) -> Result<(), DbErr> {
    for t in tables.iter().rev() {
        manager
            .get_connection()
            .execute_unprepared(&format!("DROP TABLE {t}"))
            .await?;
    }
    Ok(())
}

/// A migration of statements and the tables they make.
macro_rules! migration {
    ($name:literal, tables: $tables:expr, up: $up:expr) => {
        use sea_orm_migration::prelude::*;

        /// The migration of this file.
        #[derive(Debug)]
        pub(crate) struct Migration;

        impl MigrationName for Migration {
            fn name(&self) -> &str {
                $name
            }
        }

        #[async_trait::async_trait]
        impl MigrationTrait for Migration {
            async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
                crate::schema::run(manager, $up).await
            }
            async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
                crate::schema::drop_tables(manager, $tables).await
            }
        }
    };
}
pub(crate) use migration;
