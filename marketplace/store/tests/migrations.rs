//! Migrations go up, down and up again on both databases, and leave nothing.

mod common;

use common::Place;
use sea_orm::{ConnectionTrait, Statement};
use std::collections::BTreeSet;
use veilbourse_migrations::{Migrator, MigratorTrait};
use veilbourse_store::SqlStore;

async fn tables(s: &SqlStore) -> BTreeSet<String> {
    let c = s.connection();
    let backend = c.get_database_backend();
    let sql = match backend {
        sea_orm::DbBackend::Postgres => {
            "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'"
        }
        _ => "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    };
    c.query_all_raw(Statement::from_string(backend, sql))
        .await
        .expect("asked")
        .iter()
        .map(|r| r.try_get("", "name").expect("a name"))
        .filter(|n| n != "seaql_migrations")
        .collect()
}

#[tokio::test]
async fn up_down_up() {
    for place in Place::each("migrations").await {
        let s = SqlStore::open(&place.url, 1).await.expect("connects");
        Migrator::up(s.connection(), None).await.expect("up");
        let all = tables(&s).await;
        for t in [
            "accounts",
            "orders",
            "postings",
            "audit_log",
            "quotes",
            "listing_objects",
            "dealings",
            "order_openings",
        ] {
            assert!(all.contains(t), "{t} is missing from {all:?}");
        }
        let steps = u32::try_from(Migrator::migrations().len()).expect("few");
        for left in (0..steps).rev() {
            Migrator::down(s.connection(), Some(1)).await.expect("down");
            assert_eq!(tables(&s).await.is_empty(), left == 0);
        }
        Migrator::up(s.connection(), None).await.expect("up again");
        assert_eq!(tables(&s).await, all);
    }
}
