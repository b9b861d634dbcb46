//! Connections and named transactions.
//!
//! SQLite: one writing connection (`BEGIN IMMEDIATE`, WAL, synchronous FULL)
//! and a pool of readers. PostgreSQL: SERIALIZABLE, and every writing
//! transaction first locks the audit log, which it will append to anyhow; the
//! lock comes before the snapshot, so writers queue rather than fail. Writers
//! have a small pool of their own and wait for a lock only so long: blocked
//! writers do not stop reads.

use crate::rows;
use sea_orm::{
    AccessMode, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction,
    DbBackend, DbErr, IsolationLevel, QueryResult, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait, Value,
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use veilbourse_domain::{DomainError, Result};
use veilbourse_migrations::{Migrator, MigratorTrait};

/// Most times a transaction is tried again after a conflict.
const RETRIES: u32 = 8;
/// Writing connections to PostgreSQL: one works, the others wait for its lock.
const WRITERS: u32 = 4;
/// Longest wait of a PostgreSQL writer for a lock, in milliseconds.
const LOCK_TIMEOUT: &str = "5000";
/// Name in a [`DomainError::Conflict`] that the next try may resolve.
const TRANSIENT: &str = "database";

/// A place where a test may stop a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailPoint {
    /// The transaction's name.
    pub transaction: &'static str,
    /// Statements run before, counted from 0.
    pub step: u32,
    /// Whether the commit is on disk and only the answer is lost.
    pub committed: bool,
}

/// Decides whether to stop: called before each statement of a writing
/// transaction, before its commit and after it. Absent in production.
pub type FailPoints = Arc<dyn Fn(FailPoint) -> bool + Send + Sync>;

/// The database behind every port.
#[derive(Clone)]
pub struct SqlStore {
    pub(crate) writer: DatabaseConnection,
    pub(crate) reader: DatabaseConnection,
    fail: Option<FailPoints>,
}

impl fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore")
            .field("backend", &self.writer.get_database_backend())
            .finish()
    }
}

impl SqlStore {
    /// Connects to `sqlite://FILE?mode=rwc` or `postgres://...` with `readers`
    /// reading connections, and applies every migration.
    pub async fn connect(url: &str, readers: u32) -> Result<Self> {
        let store = Self::open(url, readers).await?;
        Migrator::up(&store.writer, None).await.map_err(refuse)?;
        Ok(store)
    }

    /// Connects without migrating.
    pub async fn open(url: &str, readers: u32) -> Result<Self> {
        let sqlite = url.starts_with("sqlite:");
        if sqlite && url.contains(":memory:") {
            return Err(DomainError::invalid(
                "database url",
                "needs a file, not :memory:",
            ));
        }
        let connect = async |most: u32, writes: bool| {
            let mut o = ConnectOptions::new(url.to_owned());
            o.max_connections(most)
                .min_connections(1)
                .sqlx_logging(false);
            o.acquire_timeout(Duration::from_secs(30));
            if sqlite {
                o.map_sqlx_sqlite_opts(move |s| {
                    let s = s
                        .pragma("journal_mode", "WAL")
                        .pragma("busy_timeout", "10000")
                        .pragma("synchronous", "FULL")
                        .pragma("foreign_keys", "ON");
                    if writes {
                        s
                    } else {
                        s.pragma("query_only", "ON")
                    }
                });
            } else if writes {
                o.map_sqlx_postgres_opts(|p| p.options([("lock_timeout", LOCK_TIMEOUT)]));
            }
            Database::connect(o).await.map_err(refuse)
        };
        let writer = connect(if sqlite { 1 } else { WRITERS }, true).await?;
        let reader = connect(readers.max(1), false).await?;
        Ok(Self {
            writer,
            reader,
            fail: None,
        })
    }

    /// The same store with fail points, for tests of crashes.
    pub fn with_fail_points(&self, fail: FailPoints) -> Self {
        Self {
            fail: Some(fail),
            ..self.clone()
        }
    }

    /// The writing connection, for migrations and checks.
    pub fn connection(&self) -> &DatabaseConnection {
        &self.writer
    }

    pub(crate) async fn begin(&self, name: &'static str) -> Result<Tx> {
        let postgres = self.writer.get_database_backend() == DbBackend::Postgres;
        let options = TransactionOptions {
            isolation_level: postgres.then_some(IsolationLevel::Serializable),
            access_mode: None,
            sqlite_transaction_mode: (!postgres).then_some(SqliteTransactionMode::Immediate),
        };
        let inner = self
            .writer
            .begin_with_options(options)
            .await
            .map_err(refuse)?;
        if postgres {
            inner
                .execute_unprepared("LOCK TABLE audit_log IN EXCLUSIVE MODE")
                .await
                .map_err(refuse)?;
        }
        Ok(Tx {
            inner,
            name,
            step: AtomicU32::new(0),
            fail: self.fail.clone(),
        })
    }

    /// A transaction that only reads, of one moment; no writer waits for it.
    pub(crate) async fn begin_read(&self, name: &'static str) -> Result<Tx> {
        let postgres = self.reader.get_database_backend() == DbBackend::Postgres;
        let options = TransactionOptions {
            isolation_level: postgres.then_some(IsolationLevel::RepeatableRead),
            access_mode: postgres.then_some(AccessMode::ReadOnly),
            sqlite_transaction_mode: (!postgres).then_some(SqliteTransactionMode::Deferred),
        };
        let inner = self
            .reader
            .begin_with_options(options)
            .await
            .map_err(refuse)?;
        Ok(Tx {
            inner,
            name,
            step: AtomicU32::new(0),
            fail: None,
        })
    }

    pub(crate) async fn one(&self, sql: &str, v: Vec<Value>) -> Result<Option<QueryResult>> {
        let s = Statement::from_sql_and_values(self.reader.get_database_backend(), sql, v);
        self.reader.query_one_raw(s).await.map_err(refuse)
    }
    pub(crate) async fn all(&self, sql: &str, v: Vec<Value>) -> Result<Vec<QueryResult>> {
        let s = Statement::from_sql_and_values(self.reader.get_database_backend(), sql, v);
        self.reader.query_all_raw(s).await.map_err(refuse)
    }
}

/// A writing transaction. Dropped without [`Tx::commit`] it is rolled back.
pub(crate) struct Tx {
    inner: DatabaseTransaction,
    name: &'static str,
    step: AtomicU32,
    fail: Option<FailPoints>,
}

impl Tx {
    fn statement(&self, sql: &str, v: Vec<Value>) -> Statement {
        Statement::from_sql_and_values(self.inner.get_database_backend(), sql, v)
    }
    fn point(&self, committed: bool) -> Result<()> {
        let step = self.step.fetch_add(1, Ordering::Relaxed);
        let point = FailPoint {
            transaction: self.name,
            step,
            committed,
        };
        match &self.fail {
            Some(f) if f(point) => Err(DomainError::storage(format!("stopped at {point:?}"))),
            _ => Ok(()),
        }
    }
    /// Runs a statement; the number of rows it changed.
    pub(crate) async fn exec(&self, sql: &str, v: Vec<Value>) -> Result<u64> {
        self.point(false)?;
        let done = self
            .inner
            .execute_raw(self.statement(sql, v))
            .await
            .map_err(refuse)?;
        Ok(done.rows_affected())
    }
    /// Runs a statement that must change exactly one row.
    pub(crate) async fn exec_one(
        &self,
        what: &'static str,
        sql: &str,
        v: Vec<Value>,
    ) -> Result<()> {
        match self.exec(sql, v).await? {
            1 => Ok(()),
            _ => Err(DomainError::Conflict { what }),
        }
    }
    pub(crate) async fn one(&self, sql: &str, v: Vec<Value>) -> Result<Option<QueryResult>> {
        self.point(false)?;
        self.inner
            .query_one_raw(self.statement(sql, v))
            .await
            .map_err(refuse)
    }
    pub(crate) async fn all(&self, sql: &str, v: Vec<Value>) -> Result<Vec<QueryResult>> {
        self.point(false)?;
        self.inner
            .query_all_raw(self.statement(sql, v))
            .await
            .map_err(refuse)
    }
    pub(crate) async fn commit(self) -> Result<()> {
        self.point(false)?;
        let Self {
            inner,
            name,
            step,
            fail,
        } = self;
        inner.commit().await.map_err(refuse)?;
        let point = FailPoint {
            transaction: name,
            step: step.into_inner(),
            committed: true,
        };
        match fail {
            Some(f) if f(point) => Err(DomainError::storage(format!("stopped at {point:?}"))),
            _ => Ok(()),
        }
    }
    pub(crate) async fn rollback(self) {
        if let Err(e) = self.inner.rollback().await {
            tracing::warn!(transaction = self.name, error = %e, "rollback failed");
        }
    }
}

/// Whether to try a transaction again, and after how long.
pub(crate) fn again(e: &DomainError, attempt: u32) -> Option<Duration> {
    let transient = matches!(e, DomainError::Conflict { what } if *what == TRANSIENT);
    (transient && attempt < RETRIES).then(|| Duration::from_millis(5 << attempt.min(6)))
}

/// Turns a database error into a refusal; its text stays in the log (GQL-2).
/// Busy, serialisation failure, deadlock and unique violation (a race with
/// another writer: the next try sees the row) may be tried again.
pub(crate) fn refuse(e: DbErr) -> DomainError {
    let text = e.to_string();
    let transient = [
        "database is locked",
        "database table is locked",
        "could not serialize",
        "deadlock detected",
        "UNIQUE constraint failed",
        "duplicate key value",
    ];
    if transient.iter().any(|t| text.contains(t)) {
        tracing::debug!(error = %text, "conflict");
        return DomainError::Conflict { what: TRANSIENT };
    }
    if text.contains("due to lock timeout") {
        // Waited long enough: the caller may ask again.
        tracing::warn!(error = %text, "writers are blocked");
        return DomainError::Conflict { what: "busy store" };
    }
    tracing::error!(error = %text, "database");
    DomainError::storage(text)
}

/// Runs a block as one named transaction with bounded retry. The block's value
/// is a `Result`; an error rolls everything back.
macro_rules! transaction {
    ($store:expr, $name:literal, |$tx:ident| $body:block) => {{
        let mut attempt = 0u32;
        loop {
            let result = match $store.begin($name).await {
                Err(e) => Err(e),
                Ok(begun) => {
                    let done = {
                        let $tx = &begun;
                        async { $body }.await
                    };
                    match done {
                        Ok(value) => begun.commit().await.map(|()| value),
                        Err(e) => {
                            begun.rollback().await;
                            Err(e)
                        }
                    }
                }
            };
            match result {
                Err(e) => match crate::db::again(&e, attempt) {
                    Some(wait) => {
                        attempt += 1;
                        tokio::time::sleep(wait).await;
                    }
                    None => break Err(e),
                },
                ok => break ok,
            }
        }
    }};
}
pub(crate) use transaction;

impl SqlStore {
    /// Rows of a table, for tests and metrics.
    pub async fn count(&self, table: &'static str) -> Result<u64> {
        let row = self
            .one(&format!("SELECT COUNT(*) AS n FROM {table}"), vec![])
            .await?;
        row.map_or(Ok(0), |r| rows::number(&r, "n"))
    }
}
