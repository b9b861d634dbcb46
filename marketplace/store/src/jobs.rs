//! Handing out work: leases of pods and key nodes, heartbeats, and the sweep
//! that ends what is over (ORD-6, SET-5, POD-1, KEY-1).

use crate::{
    db::{SqlStore, Tx, transaction},
    orders::{load, load_for_pod, transit},
    quorums::{PLACED_WHOLE, come_to_nothing, live},
    rows::{number, parsed, t, text, vals},
};
use veilbourse_domain::{
    DomainError, Millis, Result,
    id::{LeaseToken, MachineId, OrderId, PublicKey},
    job::{JobKind, LEASE_MILLIS, Lease},
    order::{Order, OrderState},
};

/// Per mille of a finished stage.
const WHOLE: u32 = 1_000;
/// How long an expired quote without an order is kept, so that an order that
/// names it is told so.
const QUOTE_KEPT_MILLIS: u64 = 24 * 3_600_000;
/// Longest stage name.
const MAX_STAGE: usize = 64;

/// Refuses a machine that is not approved.
pub(crate) async fn approved(tx: &Tx, id: MachineId) -> Result<()> {
    let row = tx
        .one("SELECT decision FROM machines WHERE id = $1", vals![t(id)])
        .await?
        .ok_or(DomainError::NotFound { what: "machine" })?;
    if text(&row, "decision")? != "approved" {
        return Err(DomainError::Forbidden {
            endpoint: "lease".into(),
        });
    }
    Ok(())
}

/// Writes who works on an order and how far.
async fn write_lease(
    tx: &Tx,
    id: OrderId,
    kind: JobKind,
    lease: &Lease,
    stage: &str,
    progress: u32,
) -> Result<()> {
    tx.exec_one(
        "lease",
        "INSERT INTO order_leases (order_id, kind, holder, lease_end, attempts, stage, progress)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (order_id, kind) DO UPDATE SET holder = excluded.holder,
            lease_end = excluded.lease_end, attempts = excluded.attempts,
            stage = excluded.stage, progress = excluded.progress",
        vals![
            t(id),
            kind.name(),
            t(lease.holder),
            lease.end,
            lease.attempt,
            stage,
            progress,
        ],
    )
    .await
}

impl SqlStore {
    pub(crate) async fn lease_for_pod(
        &self,
        pod: MachineId,
        token: LeaseToken,
        now: Millis,
    ) -> Result<Option<Order>> {
        transaction!(self, "order.lease", |tx| {
            approved(tx, pod).await?;
            let sql = format!(
                "SELECT o.id AS id FROM orders o
                 WHERE o.state = 'funded' AND o.pod = $1 AND o.deadline > $2 AND {PLACED_WHOLE}
                 ORDER BY o.id LIMIT 1"
            );
            let row = tx.one(&sql, vals![t(pod), now]).await?;
            let Some(row) = row else { return Ok(None) };
            let l = load(tx, parsed(&row, "id")?).await?;
            let deadline = l.order.terms.deadline;
            let next = l
                .order
                .state
                .clone()
                .funded("leased")?
                .lease(pod, token, deadline, now)?;
            write_lease(tx, l.order.id, JobKind::Evaluate, &next.lease, "leased", 0).await?;
            let actor = format!("machine:{pod}");
            transit(tx, &l, next.into(), &actor, "order.lease", now)
                .await
                .map(Some)
        })
    }

    pub(crate) async fn prolong(
        &self,
        id: OrderId,
        pod: MachineId,
        token: LeaseToken,
        stage: &str,
        progress: u32,
        now: Millis,
    ) -> Result<Lease> {
        if progress > WHOLE {
            let (limit, value) = (u64::from(WHOLE), u64::from(progress));
            return Err(DomainError::TooLarge {
                field: "progress",
                limit,
                value,
            });
        }
        if stage.len() > MAX_STAGE {
            let (limit, value) = (MAX_STAGE as u64, stage.len() as u64);
            return Err(DomainError::TooLarge {
                field: "stage",
                limit,
                value,
            });
        }
        transaction!(self, "order.heartbeat", |tx| {
            let l = load_for_pod(tx, id, pod).await?;
            let next = l
                .order
                .state
                .clone()
                .leased("leased")?
                .heartbeat(pod, token, now)?;
            let lease = next.lease;
            write_lease(tx, id, JobKind::Evaluate, &lease, stage, progress).await?;
            transit(
                tx,
                &l,
                next.into(),
                &format!("machine:{pod}"),
                "order.heartbeat",
                now,
            )
            .await?;
            Ok(lease)
        })
    }

    /// A node's lease only keeps two processes of one node apart: what may be
    /// opened is decided by the grant and the node's own counter (KEY-3).
    pub(crate) async fn lease_for_node(
        &self,
        node: MachineId,
        key: PublicKey,
        token: LeaseToken,
        now: Millis,
    ) -> Result<Option<Order>> {
        transaction!(self, "order.lease_opening", |tx| {
            approved(tx, node).await?;
            let row = tx
                .one(
                    "SELECT o.id AS id, COALESCE(l.attempts, 0) AS attempts FROM orders o
                     LEFT JOIN order_leases l ON l.order_id = o.id AND l.kind = 'open'
                     WHERE o.state = 'opening' AND o.node_key = $1 AND (l.lease_end IS NULL OR l.lease_end <= $2)
                     ORDER BY o.id LIMIT 1",
                    vals![t(key), now],
                )
                .await?;
            let Some(row) = row else { return Ok(None) };
            let attempt = u32::try_from(number(&row, "attempts")?).unwrap_or(u32::MAX);
            let lease = Lease {
                holder: node,
                token,
                end: now.saturating_add(LEASE_MILLIS),
                attempt: attempt.saturating_add(1),
                until: Millis::MAX,
            };
            let order = load(tx, parsed(&row, "id")?).await?.order;
            write_lease(tx, order.id, JobKind::Open, &lease, "opening", 0).await?;
            Ok(Some(order))
        })
    }

    /// Deletes quotes that expired some time ago and no order was placed under.
    pub(crate) async fn forget_quotes(&self, now: Millis, limit: u32) -> Result<()> {
        let before = now.saturating_sub(QUOTE_KEPT_MILLIS);
        let due = format!(
            "SELECT digest FROM quotes WHERE used = 0 AND expiry < $1 ORDER BY expiry LIMIT {limit}"
        );
        if self.all(&due, vals![before]).await?.is_empty() {
            return Ok(());
        }
        transaction!(self, "quote.forget", |tx| {
            let sql = format!("DELETE FROM quotes WHERE digest IN ({due})");
            tx.exec(&sql, vals![before]).await.map(drop)
        })
    }

    pub(crate) async fn end_what_is_over(&self, now: Millis, limit: u32) -> Result<Vec<Order>> {
        let sql = format!(
            "SELECT o.id AS id FROM orders o
             WHERE o.id > $2 AND ((state = 'leased' AND lease_end <= $1)
                OR (state = 'opening' AND committee = 1 AND (deadline <= $1 OR grant_expires <= $1))
                OR (state IN ('funded', 'leased', 'evaluated', 'verified') AND deadline <= $1)
                OR (state = 'funded' AND NOT {PLACED_WHOLE} AND EXISTS (SELECT 1 FROM quotes q
                    WHERE q.digest = o.quote AND q.expiry <= $1)))
             ORDER BY o.id LIMIT {limit}"
        );
        let mut changed = Vec::new();
        let mut last = String::new();
        loop {
            let rows = self.all(&sql, vals![now, &last]).await?;
            let mut failed = false;
            for row in &rows {
                last = text(row, "id")?;
                match self.end_one(parsed(row, "id")?, now).await {
                    Ok(done) => changed.extend(done),
                    // One that cannot end keeps no other from its end.
                    Err(e) => {
                        failed = true;
                        tracing::error!(order = %last, error = ?e, "not swept");
                    }
                }
            }
            // Those that failed took the place of others: look behind them.
            if !failed || rows.len() < limit as usize {
                return Ok(changed);
            }
        }
    }

    /// Ends one order's lease or the order, if that is due.
    async fn end_one(&self, id: OrderId, now: Millis) -> Result<Option<Order>> {
        transaction!(self, "order.sweep", |tx| {
            let l = load(tx, id).await?;
            if l.order.terms.deadline <= now {
                return match l.order.clone().expire(now) {
                    Ok(o) => transit(tx, &l, o.state, "system", "order.expire", now)
                        .await
                        .map(Some),
                    // Ended or began to open since it was listed.
                    Err(DomainError::OrderState { .. }) => Ok(None),
                    Err(e) => Err(e),
                };
            }
            match l.order.state.clone() {
                // SET-8: what is not placed whole by now never is.
                OrderState::Funded(_) if !l.order.terms.joint.is_empty() => {
                    let sql = format!(
                        "SELECT o.id AS id FROM orders o JOIN quotes q ON q.digest = o.quote
                         WHERE o.id = $1 AND NOT {PLACED_WHOLE} AND q.expiry <= $2"
                    );
                    if tx.one(&sql, vals![t(id), now]).await?.is_none() {
                        return Ok(None);
                    }
                    let ended = l.order.clone().end_incomplete(now)?;
                    transit(tx, &l, ended.state, "system", "order.end_joint", now)
                        .await
                        .map(Some)
                }
                OrderState::Leased(leased) if leased.lease.ended(now) => {
                    let next = leased.lapse(now)?;
                    transit(tx, &l, next, "system", "order.lapse", now)
                        .await
                        .map(Some)
                }
                OrderState::Opening(_) => {
                    let Some(g) = live(&l.order).filter(|g| g.expires <= now) else {
                        return Ok(None);
                    };
                    let why = format!("grant {} expired", g.number);
                    come_to_nothing(tx, &l.order, &why, "system", now)
                        .await
                        .map(Some)
                }
                _ => Ok(None),
            }
        })
    }
}
