//! Database migrations, portable between SQLite and PostgreSQL: one concern a
//! file, each with its way back.
//!
//! Ids are UUID text, digests and keys lower-case hex, times and money 64-bit
//! integers (milliseconds, minor units), documents the text that was signed.
//! Aggregates keep their state as JSON in `body` beside the columns that are
//! indexed; `version` counts each write of a row.

mod m01_accounts;
mod m02_machines;
mod m03_ledger;
mod m04_listings;
mod m05_orders;
mod m06_audit;
mod m07_quotes_used;
mod m08_committee;
mod m09_mail;
mod m10_people;
mod m11_partners;
mod schema;

use sea_orm_migration::prelude::*;

/// Every migration, in order.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m01_accounts::Migration),
            Box::new(m02_machines::Migration),
            Box::new(m03_ledger::Migration),
            Box::new(m04_listings::Migration),
            Box::new(m05_orders::Migration),
            Box::new(m06_audit::Migration),
            Box::new(m07_quotes_used::Migration),
            Box::new(m08_committee::Migration),
            Box::new(m09_mail::Migration),
            Box::new(m11_partners::Migration),
            Box::new(m10_people::Migration),
        ]
    }
}

pub use sea_orm_migration::MigratorTrait;
