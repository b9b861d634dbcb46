//! Registered documents, idempotent requests, the queue of jobs (PAR-6, PAR-8,
//! PAR-14).

use crate::{
    db::{SqlStore, transaction},
    rows::{self, Where, digest, get, number, t, text, vals},
};
use async_trait::async_trait;
use sea_orm::QueryResult;
use veilbourse_domain::{
    Digest, DomainError, Millis, Result,
    id::AccountId,
    partners::{
        Claim, IDEMPOTENT_MILLIS, MAX_DOCUMENTS, MAX_IDEMPOTENT, PersistedQuery, Queue, Requests,
        Settled,
    },
    records::{Page, PageRequest},
    webhooks::KEPT_MILLIS,
};

/// Jobs that the time of one is taken from.
const MEASURED: u32 = 50;
/// Rows forgotten at once.
const BATCH: u32 = 500;

fn query(r: &QueryResult) -> Result<PersistedQuery> {
    Ok(PersistedQuery {
        id: text(r, "id")?,
        document: text(r, "document")?,
        created_at: number(r, "created_at")?,
    })
}

#[async_trait]
impl Requests for SqlStore {
    async fn register_query(&self, account: AccountId, q: &PersistedQuery) -> Result<()> {
        transaction!(self, "query.register", |tx| {
            let found = tx
                .one(
                    "SELECT id FROM persisted_queries WHERE account = $1 AND id = $2",
                    vals![t(account), &q.id],
                )
                .await?;
            if found.is_some() {
                return Ok(());
            }
            let row = tx
                .one(
                    "SELECT COUNT(*) AS n FROM persisted_queries WHERE account = $1",
                    vals![t(account)],
                )
                .await?;
            let held = row.map_or(Ok(0), |r| number(&r, "n"))?;
            if held >= MAX_DOCUMENTS {
                return Err(DomainError::TooLarge {
                    field: "registered documents",
                    limit: MAX_DOCUMENTS,
                    value: held + 1,
                });
            }
            tx.exec_one(
                "document",
                "INSERT INTO persisted_queries (account, id, document, created_at) VALUES ($1, $2, $3, $4)",
                vals![t(account), &q.id, &q.document, q.created_at],
            )
            .await
        })
    }

    async fn remove_query(&self, account: AccountId, id: &str) -> Result<()> {
        transaction!(self, "query.remove", |tx| {
            let n = tx
                .exec(
                    "DELETE FROM persisted_queries WHERE account = $1 AND id = $2",
                    vals![t(account), id],
                )
                .await?;
            match n {
                1 => Ok(()),
                _ => Err(DomainError::NotFound {
                    what: "registered document",
                }),
            }
        })
    }

    async fn persisted_query(&self, account: AccountId, id: &str) -> Result<Option<String>> {
        let sql = "SELECT document FROM persisted_queries WHERE account = $1 AND id = $2";
        let row = self.one(sql, vals![t(account), id]).await?;
        row.map(|r| text(&r, "document")).transpose()
    }

    async fn persisted_queries(
        &self,
        account: AccountId,
        page: &PageRequest,
    ) -> Result<Page<PersistedQuery>> {
        let mut w = Where::default();
        w.and("account = ?", vals![t(account)]);
        w.after("id > ?", page);
        let sql = format!(
            "SELECT * FROM persisted_queries {} ORDER BY id LIMIT {}",
            w.sql(),
            page.first + 1
        );
        rows::page(page, &self.all(&sql, w.values).await?, "id", query)
    }

    async fn claim_request(
        &self,
        account: AccountId,
        key: &str,
        request: Digest,
        until: Millis,
        now: Millis,
    ) -> Result<Claim> {
        transaction!(self, "request.claim", |tx| {
            let old = now.saturating_sub(IDEMPOTENT_MILLIS);
            tx.exec(
                "DELETE FROM idempotent_requests WHERE account = $1 AND name = $2 AND created_at <= $3 AND claimed_until <= $4",
                vals![t(account), key, old, now],
            )
            .await?;
            let found = tx
                .one(
                    "SELECT request, state, claimed_until, answer FROM idempotent_requests
                     WHERE account = $1 AND name = $2",
                    vals![t(account), key],
                )
                .await?;
            if let Some(r) = found {
                if digest(&r, "request")? != request {
                    return Err(DomainError::IdempotencyMismatch { key: key.into() });
                }
                let answer: Option<String> = get(&r, "answer")?;
                return match (text(&r, "state")?.as_str(), answer) {
                    ("answered", Some(a)) => Ok(Claim::Answered(a)),
                    // Whoever ran it prolongs its claim: that one is gone.
                    ("claimed", None) if number(&r, "claimed_until")? > now => Ok(Claim::UnderWay),
                    ("claimed" | "lost", None) => {
                        Err(DomainError::IdempotencyLost { key: key.into() })
                    }
                    (state, _) => Err(DomainError::storage(format!("request is {state}"))),
                };
            }
            let row = tx
                .one(
                    "SELECT COUNT(*) AS n FROM idempotent_requests WHERE account = $1",
                    vals![t(account)],
                )
                .await?;
            let held = row.map_or(Ok(0), |r| number(&r, "n"))?;
            if held >= MAX_IDEMPOTENT {
                return Err(DomainError::TooLarge {
                    field: "idempotency keys of a day",
                    limit: MAX_IDEMPOTENT,
                    value: held + 1,
                });
            }
            tx.exec_one(
                "request",
                "INSERT INTO idempotent_requests (account, name, request, state, claimed_until, created_at)
                 VALUES ($1, $2, $3, 'claimed', $4, $5)",
                vals![t(account), key, t(request), until, now],
            )
            .await?;
            Ok(Claim::Mine)
        })
    }

    async fn prolong_claim(&self, account: AccountId, key: &str, until: Millis) -> Result<()> {
        transaction!(self, "request.prolong", |tx| {
            tx.exec(
                "UPDATE idempotent_requests SET claimed_until = $3 WHERE account = $1 AND name = $2 AND state = 'claimed'",
                vals![t(account), key, until],
            )
            .await
            .map(drop)
        })
    }

    async fn settle_request(&self, account: AccountId, key: &str, how: Settled) -> Result<()> {
        transaction!(self, "request.settle", |tx| {
            let claimed = "WHERE account = $1 AND name = $2 AND state = 'claimed'";
            match &how {
                Settled::Free => {
                    let sql = format!("DELETE FROM idempotent_requests {claimed}");
                    tx.exec_one("request", &sql, vals![t(account), key]).await
                }
                Settled::Answered(answer) => {
                    let sql = format!(
                        "UPDATE idempotent_requests SET state = 'answered', answer = $3 {claimed}"
                    );
                    tx.exec_one("request", &sql, vals![t(account), key, answer])
                        .await
                }
                Settled::Lost => {
                    let sql = format!("UPDATE idempotent_requests SET state = 'lost' {claimed}");
                    tx.exec_one("request", &sql, vals![t(account), key]).await
                }
            }
        })
    }

    async fn queue(&self) -> Result<Queue> {
        let row = self
            .one(
                "SELECT COUNT(*) AS n FROM orders WHERE state IN ('funded', 'leased')",
                vec![],
            )
            .await?;
        let waiting = row.map_or(Ok(0), |r| number(&r, "n"))?;
        // From the lease that it was handed in under.
        let rows = self
            .all(
                &format!(
                    "SELECT e.at AS done, l.at AS begun FROM order_events e
                     JOIN order_events l ON l.order_id = e.order_id AND l.sequence = e.sequence - 1 AND l.state = 'leased'
                     WHERE e.state = 'evaluated' ORDER BY e.at DESC LIMIT {MEASURED}"
                ),
                vec![],
            )
            .await?;
        let mut total = 0u64;
        for r in &rows {
            let took = number(r, "done")?.saturating_sub(number(r, "begun")?);
            total = total.saturating_add(took);
        }
        Ok(Queue {
            waiting,
            millis_per_job: total.checked_div(rows.len() as u64),
        })
    }

    async fn forget_requests(&self, now: Millis) -> Result<()> {
        let old = now.saturating_sub(IDEMPOTENT_MILLIS);
        let kept = now.saturating_sub(KEPT_MILLIS);
        transaction!(self, "request.forget", |tx| {
            tx.exec(
                "DELETE FROM idempotent_requests WHERE created_at <= $1 AND claimed_until <= $2",
                vals![old, now],
            )
            .await?;
            // Those that still wait stay: a webhook that is off may come back.
            let sql = format!(
                "SELECT id FROM webhook_deliveries WHERE created_at <= $1 AND state <> 'waiting' ORDER BY id LIMIT {BATCH}"
            );
            for r in tx.all(&sql, vals![kept]).await? {
                let id = text(&r, "id")?;
                let sql = "DELETE FROM webhook_attempts WHERE delivery = $1";
                tx.exec(sql, vals![&id]).await?;
                let sql = "DELETE FROM webhook_deliveries WHERE id = $1";
                tx.exec(sql, vals![&id]).await?;
            }
            Ok(())
        })
    }
}
