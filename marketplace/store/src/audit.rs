//! The audit log (LED-5): appended inside the transaction it records.

use crate::{
    db::{SqlStore, Tx, transaction},
    rows::{Where, digest, number, t, text, vals},
};
use async_trait::async_trait;
use sea_orm::QueryResult;
use std::fmt::Display;
use veilbourse_domain::{
    Digest, DomainError, Millis, Result,
    audit::{AuditEntry, AuditRecord},
    ports::AuditLog,
    records::{Page, PageRequest},
};

const COLUMNS: &str = "sequence, at, actor, action, subject, details, previous, digest";
/// Records read at once when the chain is checked.
const BATCH: u32 = 1_000;

/// Appends a record in a transaction.
pub(crate) async fn append(tx: &Tx, entry: AuditEntry, now: Millis) -> Result<AuditRecord> {
    let head = tx
        .one(
            "SELECT sequence, digest FROM audit_log ORDER BY sequence DESC LIMIT 1",
            vec![],
        )
        .await?
        .map(|r| Ok::<_, DomainError>((number(&r, "sequence")?, digest(&r, "digest")?)))
        .transpose()?;
    let r = AuditRecord::after(head, now, entry);
    tx.exec_one(
        "audit log",
        &format!("INSERT INTO audit_log ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"),
        vals![
            r.sequence,
            r.at,
            &r.entry.actor,
            &r.entry.action,
            &r.entry.subject,
            &r.entry.details,
            t(r.previous),
            t(r.digest),
        ],
    )
    .await?;
    Ok(r)
}

/// Appends what happened to `subject`; `details` is JSON.
pub(crate) async fn note(
    tx: &Tx,
    actor: impl Display,
    action: &str,
    subject: impl Display,
    details: serde_json::Value,
    now: Millis,
) -> Result<()> {
    let entry = AuditEntry {
        actor: actor.to_string(),
        action: action.into(),
        subject: subject.to_string(),
        details: details.to_string(),
    };
    append(tx, entry, now).await.map(|_| ())
}

fn record(r: &QueryResult) -> Result<AuditRecord> {
    Ok(AuditRecord {
        sequence: number(r, "sequence")?,
        at: number(r, "at")?,
        entry: AuditEntry {
            actor: text(r, "actor")?,
            action: text(r, "action")?,
            subject: text(r, "subject")?,
            details: text(r, "details")?,
        },
        previous: digest(r, "previous")?,
        digest: digest(r, "digest")?,
    })
}

impl SqlStore {
    async fn records(&self, after: u64, first: u32) -> Result<Vec<AuditRecord>> {
        let mut w = Where::default();
        w.and("sequence > ?", vals![after]);
        let sql = format!(
            "SELECT {COLUMNS} FROM audit_log {} ORDER BY sequence LIMIT {first}",
            w.sql()
        );
        self.all(&sql, w.values).await?.iter().map(record).collect()
    }
}

#[async_trait]
impl AuditLog for SqlStore {
    async fn record(&self, entry: AuditEntry, now: Millis) -> Result<AuditRecord> {
        transaction!(self, "audit.record", |tx| {
            append(tx, entry.clone(), now).await
        })
    }

    async fn audit(&self, page: &PageRequest) -> Result<Page<AuditRecord>> {
        let after = match &page.after {
            None => 0,
            Some(a) => a
                .parse()
                .map_err(|_| DomainError::invalid("after", "not a cursor"))?,
        };
        let mut found = self.records(after, page.first + 1).await?;
        let more = found.len() > page.first as usize;
        found.truncate(page.first as usize);
        let items = found
            .into_iter()
            .map(|r| (r.sequence.to_string(), r))
            .collect();
        Ok(Page { items, more })
    }

    async fn audit_check(&self) -> Result<Option<(u64, Digest)>> {
        let mut head: Option<(u64, Digest)> = None;
        loop {
            let batch = self.records(head.map_or(0, |h| h.0), BATCH).await?;
            if batch.is_empty() {
                return Ok(head);
            }
            head = veilbourse_domain::audit::check_chain(head, &batch)?;
        }
    }
}
