//! What staff, custodians and operators look at: counts and lists.

use crate::{
    db::{SqlStore, transaction},
    rows::{self, Where, body, get, maybe_number, number, parsed, t, text, vals},
};
use async_trait::async_trait;
use sea_orm::{QueryResult, Value};
use veilbourse_domain::{
    Millis, Result,
    id::{AccountId, ListingId, MachineId, OrderId, PublicKey},
    order::{Order, OrderState},
    people::{Earning, Insight, MachineWork, Overview},
    records::{Page, PageRequest},
};

/// Orders that a machine is shown to work on.
const RUNNING: u32 = 20;

fn earning(r: &QueryResult) -> Result<Option<Earning>> {
    let o: Order = body(r, "body")?;
    let OrderState::Released(released) = &o.state else {
        return Ok(None);
    };
    Ok(Some(Earning {
        order: o.id,
        listing: o.listing,
        at: released.at,
        values: o.values,
        custodian: o.split.custodian,
        pod: o.split.pod,
    }))
}

impl SqlStore {
    async fn number_of(&self, sql: &str, v: Vec<Value>) -> Result<u64> {
        let row = self.one(sql, v).await?;
        row.map_or(Ok(0), |r| number(&r, "n"))
    }

    async fn released(
        &self,
        column: &str,
        who: Value,
        after: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<Earning>> {
        let sql = format!(
            "SELECT body FROM orders WHERE {column} = $1 AND state = 'released' AND id > $2 ORDER BY id LIMIT {limit}"
        );
        let after = after.map(|o| o.to_string()).unwrap_or_default();
        let found = self.all(&sql, vec![who, after.into()]).await?;
        let all: Vec<Option<Earning>> = found.iter().map(earning).collect::<Result<_>>()?;
        Ok(all.into_iter().flatten().collect())
    }
}

#[async_trait]
impl Insight for SqlStore {
    async fn overview(&self) -> Result<Overview> {
        let n = async |sql: &str| self.number_of(sql, vec![]).await;
        let volume = self
            .one(
                "SELECT CAST(COALESCE(SUM(p.amount), 0) AS BIGINT) AS n
                 FROM postings p JOIN transfers t ON t.id = p.transfer
                 WHERE t.kind = 'escrow' AND t.state = 'posted' AND p.amount > 0",
                vec![],
            )
            .await?;
        Ok(Overview {
            accounts: n("SELECT COUNT(*) AS n FROM accounts WHERE state <> 'deleted'").await?,
            listings_published: n("SELECT COUNT(*) AS n FROM listings WHERE state = 'published'")
                .await?,
            review_waiting: n("SELECT COUNT(*) AS n FROM listings WHERE state = 'submitted'")
                .await?,
            orders_open: n(
                "SELECT COUNT(*) AS n FROM orders WHERE state NOT IN ('released', 'refunded')",
            )
            .await?,
            orders_released: n("SELECT COUNT(*) AS n FROM orders WHERE state = 'released'").await?,
            orders_refunded: n("SELECT COUNT(*) AS n FROM orders WHERE state = 'refunded'").await?,
            volume: volume.map_or(Ok(0), |r| get(&r, "n"))?,
            mails_waiting: n(
                "SELECT COUNT(*) AS n FROM mails WHERE state IN ('waiting', 'claimed', 'sending')",
            )
            .await?,
        })
    }

    async fn earnings(
        &self,
        custodian: AccountId,
        after: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<Earning>> {
        self.released("custodian", t(custodian), after, limit).await
    }

    async fn pod_earnings(
        &self,
        pod: MachineId,
        after: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<Earning>> {
        self.released("pod", t(pod), after, limit).await
    }

    async fn listing_orders(&self, id: ListingId, page: &PageRequest) -> Result<Page<Order>> {
        let mut w = Where::default();
        w.and("listing = ?", vals![t(id)]);
        w.after("id < ?", page);
        let sql = format!(
            "SELECT id, body FROM orders {} ORDER BY id DESC LIMIT {}",
            w.sql(),
            page.first + 1
        );
        rows::page(page, &self.all(&sql, w.values).await?, "id", |r| {
            body(r, "body")
        })
    }

    async fn machine_work(&self, id: MachineId, key: PublicKey) -> Result<MachineWork> {
        let row = self
            .one(
                "SELECT last_seen_at FROM machines WHERE id = $1",
                vals![t(id)],
            )
            .await?;
        let last_seen_at = row.map_or(Ok(None), |r| maybe_number(&r, "last_seen_at"))?;
        // A pod by its orders; a key node by the orders of its own custody and
        // by its parts in grants to quorums.
        let (by, k) = ("(pod = $1 OR (committee = 0 AND node_key = $2))", || {
            vals![t(id), t(key)]
        });
        let orders = |state: &str| {
            format!("SELECT COUNT(*) AS n FROM orders WHERE {by} AND state = '{state}'")
        };
        let parts = |state: &str| {
            format!(
                "SELECT COUNT(*) AS n FROM order_openings WHERE node = $1 AND state = '{state}'"
            )
        };
        let running = format!(
            "SELECT id FROM orders WHERE ((pod = $1 AND state IN ('leased', 'evaluated'))
                OR (committee = 0 AND node_key = $2 AND state = 'opening')
                OR id IN (SELECT order_id FROM order_openings WHERE node = $2 AND state = 'pending' AND live = 1))
             ORDER BY id DESC LIMIT {RUNNING}"
        );
        let found = self.all(&running, k()).await?;
        Ok(MachineWork {
            last_seen_at,
            done: self.number_of(&orders("released"), k()).await?
                + self.number_of(&parts("delivered"), vals![t(key)]).await?,
            failed: self.number_of(&orders("refunded"), k()).await?
                + self.number_of(&parts("refused"), vals![t(key)]).await?,
            running: found
                .iter()
                .map(|r| parsed(r, "id"))
                .collect::<Result<_>>()?,
        })
    }

    async fn machine_seen(&self, id: MachineId, now: Millis) -> Result<()> {
        transaction!(self, "machine.seen", |tx| {
            tx.exec(
                "UPDATE machines SET last_seen_at = $2 WHERE id = $1",
                vals![t(id), now],
            )
            .await
            .map(|_| ())
        })
    }

    async fn machines_heard(
        &self,
    ) -> Result<Vec<(MachineId, String, String, Millis, Option<Millis>)>> {
        let sql = "SELECT id, name, kind, created_at, last_seen_at FROM machines
                   WHERE decision = 'approved' ORDER BY id";
        let found = self.all(sql, vec![]).await?;
        found
            .iter()
            .map(|r| {
                Ok((
                    parsed(r, "id")?,
                    text(r, "name")?,
                    text(r, "kind")?,
                    number(r, "created_at")?,
                    maybe_number(r, "last_seen_at")?,
                ))
            })
            .collect()
    }

    async fn orders_due(&self, before: Millis, limit: u32) -> Result<Vec<(OrderId, Millis)>> {
        let sql = format!(
            "SELECT id, deadline FROM orders WHERE state NOT IN ('released', 'refunded') AND deadline < $1
             ORDER BY deadline LIMIT {limit}"
        );
        let found = self.all(&sql, vals![before]).await?;
        found
            .iter()
            .map(|r| Ok((parsed(r, "id")?, number(r, "deadline")?)))
            .collect()
    }

    async fn queues(&self) -> Result<Vec<(MachineId, u64)>> {
        let sql = "SELECT pod, COUNT(*) AS n FROM orders WHERE state = 'funded'
                   GROUP BY pod ORDER BY COUNT(*) DESC, pod LIMIT 20";
        let found = self.all(sql, vec![]).await?;
        found
            .iter()
            .map(|r| Ok((parsed(r, "pod")?, number(r, "n")?)))
            .collect()
    }
}
