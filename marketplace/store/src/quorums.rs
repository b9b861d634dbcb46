//! Grants to quorums of a committee and what their nodes deliver (SET-3, SET-7),
//! alone or in a joint order (SET-8): each transition is one transaction.
//!
//! Over 500 lines: a grant's whole life, read and written in one place.

use crate::{
    audit,
    db::{SqlStore, Tx, transaction},
    dealings,
    jobs::approved,
    listings,
    orders::{Loaded, load, set_grant, transit},
    rows::{body, digest, get, maybe_digest, number, parsed, t, text, vals},
};
use serde_json::json;
use veilbourse_domain::{
    Digest, DomainError, Millis, Result,
    id::{MachineId, OrderId, PublicKey},
    job::LEASE_MILLIS,
    order::{Granted, Order, OrderState},
    records::{NewGrant, OpeningHeld, OpeningState, QuorumDelivery, SignedText},
    tickets::{Candidate, Excluded, candidates, choose},
};

/// The grant that nodes of a quorum may open under now.
pub(crate) fn live(o: &Order) -> Option<&Granted> {
    match &o.state {
        OrderState::Opening(s) if o.terms.by_committee() => {
            s.current().filter(|g| g.over.is_none())
        }
        _ => None,
    }
}

/// Every order of a joint order, by quote; an order by itself alone.
pub(crate) async fn load_joint(tx: &Tx, o: &Order) -> Result<Vec<Loaded>> {
    let Some(group) = o.terms.group(o.buyer) else {
        return Ok(vec![load(tx, o.id).await?]);
    };
    let sql = "SELECT id FROM orders WHERE joint = $1 ORDER BY quote";
    let mut all = Vec::new();
    for row in tx.all(sql, vals![t(group)]).await? {
        all.push(load(tx, parsed(&row, "id")?).await?);
    }
    Ok(all)
}

/// ORD-8, SET-8 inside the placing transaction: the joint order has no order
/// under this quote, none that has ended, and one result key.
pub(crate) async fn room_in_joint(tx: &Tx, group: &Digest, o: &Order) -> Result<()> {
    let sql = "SELECT body FROM orders WHERE joint = $1";
    for row in tx.all(sql, vals![t(group)]).await? {
        let other: Order = body(&row, "body")?;
        if other.terms.quote == o.terms.quote {
            return Err(DomainError::JointRepeated);
        }
        if other.state.terminal() {
            return Err(DomainError::JointEnded);
        }
        if other.terms.result_key != o.terms.result_key {
            return Err(DomainError::JointDiffers {
                what: "result keys",
            });
        }
    }
    Ok(())
}

/// SET-8, in SQL: an order `o` by itself, or of a joint order with all its orders.
pub(crate) const PLACED_WHOLE: &str = "(o.joint IS NULL OR o.joint_size =
    (SELECT COUNT(*) FROM orders j WHERE j.joint = o.joint))";

/// Whom none of these orders is granted to any more (SET-7, KEY-11): quorums that
/// were, and who has delivered. Who signed and did not release gives that up for
/// a later grant.
async fn excluded(tx: &Tx, orders: &[Loaded]) -> Result<Excluded> {
    let mut out = Excluded::default();
    for l in orders {
        let granted = l.order.grants().iter();
        out.quorums.extend(granted.map(|g| g.quorum().to_vec()));
        let sql = "SELECT place FROM order_openings
                   WHERE order_id = $1 AND state = 'delivered'";
        for row in tx.all(sql, vals![t(l.order.id)]).await? {
            out.nodes
                .push(u8::try_from(number(&row, "place")?).unwrap_or(u8::MAX));
        }
    }
    Ok(out)
}

/// What each order could be granted to now, with tickets for `values` of each.
async fn open_to(tx: &Tx, orders: &[Loaded], whole: bool) -> Result<Vec<Vec<Candidate>>> {
    let excluded = excluded(tx, orders).await?;
    let mut all = Vec::with_capacity(orders.len());
    for l in orders {
        let o = &l.order;
        let policy = listings::policy_terms(tx, o.listing, o.terms.policy_version).await?;
        let facts = dealings::facts(tx, o.listing).await?;
        let class = o.terms.ticket_class.unwrap_or_default();
        let values = if whole { o.values } else { 0 };
        all.push(candidates(&policy, &facts, &class, values, &excluded));
    }
    Ok(all)
}

/// The newest grant, of an order or of all orders of a joint one, came to
/// nothing (SET-7): back to `verified` if another quorum remains.
pub(crate) async fn come_to_nothing(
    tx: &Tx,
    o: &Order,
    why: &str,
    actor: &str,
    now: Millis,
) -> Result<Order> {
    let group = load_joint(tx, o).await?;
    let remains = choose(&open_to(tx, &group, false).await?, |_| true).is_some();
    let mut own = o.clone();
    for l in &group {
        let Some(grant) = live(&l.order).map(|g| g.grant) else {
            continue;
        };
        let state = l.order.state.clone().opening("verified")?;
        let next = state.came_to_nothing(grant, why.into(), remains)?;
        let done = transit(tx, l, next, actor, "order.grant_over", now).await?;
        if done.id == o.id {
            own = done;
        }
    }
    Ok(own)
}

/// A node's row in a grant.
struct Part {
    place: u8,
    state: String,
    delivery: Option<Digest>,
    refusal: Option<Digest>,
}

async fn part(tx: &Tx, id: OrderId, grant: u32, node: PublicKey) -> Result<Part> {
    let sql = "SELECT place, state, delivery_digest, refusal_digest FROM order_openings
               WHERE order_id = $1 AND number = $2 AND node = $3";
    let row = tx.one(sql, vals![t(id), grant, t(node)]).await?;
    let row = row.ok_or(DomainError::GrantUnknown)?;
    Ok(Part {
        place: u8::try_from(number(&row, "place")?).unwrap_or(u8::MAX),
        state: text(&row, "state")?,
        delivery: maybe_digest(&row, "delivery_digest")?,
        refusal: maybe_digest(&row, "refusal_digest")?,
    })
}

/// The order can still be delivered (SET-7).
fn still_open(o: &Order, now: Millis) -> Result<()> {
    if o.state.terminal() || o.grants().is_empty() {
        return Err(DomainError::OrderState {
            found: o.state.name(),
            wanted: "released",
        });
    }
    let deadline = o.terms.deadline;
    if now >= deadline {
        return Err(DomainError::DeadlinePassed { deadline, now });
    }
    Ok(())
}

/// SET-7: all nodes of a quorum say and open the same.
async fn same_as_others(tx: &Tx, d: &QuorumDelivery) -> Result<()> {
    let sql = "SELECT said, bytes FROM order_masked WHERE order_id = $1 AND number = $2";
    let Some(row) = tx.one(sql, vals![t(d.order), d.number]).await? else {
        return tx
            .exec_one(
                "masked result",
                "INSERT INTO order_masked (order_id, number, said, bytes) VALUES ($1, $2, $3, $4)",
                vals![t(d.order), d.number, t(d.said), d.masked.clone()],
            )
            .await;
    };
    if digest(&row, "said")? != d.said {
        return Err(DomainError::OpeningDiffers { what: "opening" });
    }
    let held: Vec<u8> = get(&row, "bytes")?;
    if held != d.masked {
        return Err(DomainError::OpeningDiffers {
            what: "masked result",
        });
    }
    Ok(())
}

/// Records a node's delivery for one order; whether it was new.
async fn record(
    tx: &Tx,
    o: &Order,
    node: PublicKey,
    d: &QuorumDelivery,
    sealed: &[u8],
    now: Millis,
) -> Result<bool> {
    let held = part(tx, o.id, d.number, node).await?;
    if held.delivery == Some(d.delivery.digest) {
        return Ok(false); // The answer was lost and the node delivers again.
    }
    if held.state != "pending" {
        return Err(DomainError::AlreadyDecided { what: "delivery" });
    }
    still_open(o, now)?;
    let granted = o.granted(d.number).ok_or(DomainError::GrantUnknown)?;
    same_as_others(tx, d).await?;
    tx.exec_one(
        "opening",
        "UPDATE order_openings SET state = 'delivered', opening_digest = $4, opening = $5,
                delivery_digest = $6, delivery = $7, sealed = $8
         WHERE order_id = $1 AND number = $2 AND node = $3 AND state = 'pending'",
        vals![
            t(o.id),
            d.number,
            t(node),
            t(d.opening.digest),
            &d.opening.text,
            t(d.delivery.digest),
            &d.delivery.text,
            sealed.to_vec(),
        ],
    )
    .await?;
    if let Some(dealing) = granted.dealing() {
        dealings::spent(tx, o.listing, dealing, d.next).await?;
    }
    let details = json!({
        "grant": d.number, "node": held.place,
        "opening": d.opening.digest, "delivery": d.delivery.digest,
    });
    let subject = format!("order:{}", o.id);
    audit::note(
        tx,
        format!("node:{node}"),
        "order.opened",
        subject,
        details,
        now,
    )
    .await?;
    Ok(true)
}

/// The deliveries for a grant by node number, once every node's is here.
async fn complete(tx: &Tx, id: OrderId, grant: u32) -> Result<Option<Vec<Digest>>> {
    let sql = "SELECT delivery_digest FROM order_openings
               WHERE order_id = $1 AND number = $2 ORDER BY place";
    let rows = tx.all(sql, vals![t(id), grant]).await?;
    rows.iter()
        .map(|r| maybe_digest(r, "delivery_digest"))
        .collect()
}

impl SqlStore {
    /// Orders of committees in a state, oldest first.
    pub(crate) async fn of_committees(
        &self,
        state: &str,
        after: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<Order>> {
        let after = after.map(|a| a.to_string()).unwrap_or_default();
        let sql = format!(
            "SELECT body FROM orders WHERE committee = 1 AND state = $1 AND id > $2
             ORDER BY id LIMIT {limit}"
        );
        let rows = self.all(&sql, vals![state, after]).await?;
        rows.iter().map(|r| body(r, "body")).collect()
    }

    /// SET-7: the newest grant is given up, if it is this one and another quorum
    /// remains.
    pub(crate) async fn give_up_quorum(
        &self,
        id: OrderId,
        number: u32,
        why: &str,
        now: Millis,
    ) -> Result<Vec<Order>> {
        transaction!(self, "order.give_up_grant", |tx| {
            let order = load(tx, id).await?.order;
            if live(&order).is_some_and(|g| g.number == number) {
                let group = load_joint(tx, &order).await?;
                if choose(&open_to(tx, &group, false).await?, |_| true).is_some() {
                    come_to_nothing(tx, &order, why, "system", now).await?;
                }
            }
            let all = load_joint(tx, &order).await?;
            Ok(all.into_iter().map(|l| l.order).collect())
        })
    }

    pub(crate) async fn orders_of_joint(&self, id: OrderId) -> Result<Vec<Order>> {
        let tx = self.begin_read("order.joint").await?;
        let order = load(&tx, id).await?.order;
        let all = load_joint(&tx, &order).await?;
        Ok(all.into_iter().map(|l| l.order).collect())
    }

    pub(crate) async fn issue_to_quorum(
        &self,
        grants: &[NewGrant],
        now: Millis,
    ) -> Result<Vec<Order>> {
        transaction!(self, "order.grant_quorum", |tx| {
            let first = grants.first().ok_or(DomainError::GrantUnknown)?;
            let first = load(tx, first.order).await?.order;
            let group = load_joint(tx, &first).await?;
            // SET-8: all of a joint order, or none; to the same nodes.
            let whole = first.terms.joint.len().max(1);
            let quorum = grants.first().map(|g| g.granted.quorum());
            let same = |g: &NewGrant| Some(g.granted.quorum()) == quorum;
            if group.len() != whole || grants.len() != whole || !grants.iter().all(same) {
                return Err(DomainError::Conflict {
                    what: "joint order",
                });
            }
            let open = open_to(tx, &group, true).await?;
            let mut out = Vec::new();
            for (l, open) in group.iter().zip(&open) {
                let id = l.order.id;
                let g = grants.iter().find(|g| g.order == id);
                let g = g.ok_or(DomainError::Conflict {
                    what: "joint order",
                })?;
                let state = l.order.state.clone().verified("opening")?;
                let named = g.granted.dealing();
                let still = open
                    .iter()
                    .any(|c| Some(c.dealing) == named && c.quorum == g.granted.quorum());
                if !still || g.granted.grant != g.signed.digest {
                    // Somebody else took its tickets meanwhile.
                    return Err(DomainError::Conflict { what: "tickets" });
                }
                let next = state.grant(g.granted.clone(), l.order.terms.deadline, now)?;
                add_grant(tx, g).await?;
                out.push(transit(tx, l, next.into(), "system", "order.grant", now).await?);
            }
            Ok(out)
        })
    }

    /// A lease only keeps two processes of one node apart, as in custodian-held
    /// custody; each node of the quorum has its own.
    pub(crate) async fn lease_to_quorum(
        &self,
        node: MachineId,
        key: PublicKey,
        now: Millis,
    ) -> Result<Option<Vec<Order>>> {
        let due = "SELECT order_id FROM order_openings
                   WHERE node = $1 AND state = 'pending' AND live = 1
                     AND (lease_end IS NULL OR lease_end <= $2)
                   ORDER BY order_id LIMIT 1";
        if self.one(due, vals![t(key), now]).await?.is_none() {
            return Ok(None);
        }
        transaction!(self, "order.lease_quorum", |tx| {
            approved(tx, node).await?;
            let Some(row) = tx.one(due, vals![t(key), now]).await? else {
                return Ok(None);
            };
            let order = load(tx, parsed(&row, "order_id")?).await?.order;
            let group = load_joint(tx, &order).await?;
            for l in &group {
                tx.exec(
                    "UPDATE order_openings SET lease_end = $3, holder = $4
                     WHERE order_id = $1 AND node = $2 AND live = 1",
                    vals![
                        t(l.order.id),
                        t(key),
                        now.saturating_add(LEASE_MILLIS),
                        t(node),
                    ],
                )
                .await?;
            }
            Ok(Some(group.into_iter().map(|l| l.order).collect()))
        })
    }

    pub(crate) async fn take_from_quorum(
        &self,
        node: PublicKey,
        deliveries: &[QuorumDelivery],
        sealed: &[u8],
        now: Millis,
    ) -> Result<Vec<Order>> {
        transaction!(self, "order.deliver_quorum", |tx| {
            let unknown = DomainError::GrantUnknown;
            let first = deliveries.first().ok_or(unknown.clone())?;
            let grant = first.number;
            let group = load_joint(tx, &load(tx, first.order).await?.order).await?;
            if group.len() != deliveries.len() || deliveries.iter().any(|d| d.number != grant) {
                return Err(DomainError::DocumentLink { what: "delivery" });
            }
            let mut fresh = false;
            for l in &group {
                let d = deliveries.iter().find(|d| d.order == l.order.id);
                let d = d.ok_or(DomainError::DocumentLink { what: "delivery" })?;
                fresh |= record(tx, &l.order, node, d, sealed, now).await?;
            }
            if !fresh {
                return Ok(group.into_iter().map(|l| l.order).collect());
            }
            // SET-8: together; each has every node's delivery when one has.
            let mut ready = Vec::new();
            for l in &group {
                match complete(tx, l.order.id, grant).await? {
                    Some(all) => ready.push(all),
                    None => return Ok(group.into_iter().map(|l| l.order).collect()),
                }
            }
            let mut out = Vec::new();
            for (l, all) in group.iter().zip(ready) {
                let granted = l.order.granted(grant).ok_or(unknown.clone())?.grant;
                let next = match l.order.state.clone() {
                    OrderState::Verified(v) => v.release(granted, all, now)?,
                    other => other.opening("released")?.release(granted, all, now)?,
                };
                let sql =
                    "SELECT digest, text FROM order_grants WHERE order_id = $1 AND number = $2";
                let row = tx.one(sql, vals![t(l.order.id), grant]).await?;
                let row = row.ok_or(unknown.clone())?;
                let counts = SignedText {
                    digest: digest(&row, "digest")?,
                    text: text(&row, "text")?,
                };
                set_grant(tx, l.order.id, &counts).await?;
                let actor = format!("node:{node}");
                out.push(transit(tx, l, next.into(), &actor, "order.deliver", now).await?);
            }
            Ok(out)
        })
    }

    #[allow(clippy::too_many_arguments)]
    pub(crate) async fn refused_by_quorum(
        &self,
        id: OrderId,
        grant: u32,
        node: PublicKey,
        document: &SignedText,
        why: &str,
        revealed: bool,
        now: Millis,
    ) -> Result<Vec<Order>> {
        transaction!(self, "order.refuse_quorum", |tx| {
            let order = load(tx, id).await?.order;
            let held = part(tx, id, grant, node).await?;
            match held.state.as_str() {
                // It says so itself: nothing ends.
                "delivered" if revealed => return Ok(vec![order]),
                "refused" if held.refusal == Some(document.digest) => return Ok(vec![order]),
                "pending" => {}
                _ => {
                    return Err(DomainError::AlreadyDecided {
                        what: "non-delivery",
                    });
                }
            }
            still_open(&order, now)?;
            tx.exec_one(
                "opening",
                "UPDATE order_openings SET state = 'refused', live = 0, revealed = $4,
                        refusal_digest = $5, refusal = $6
                 WHERE order_id = $1 AND number = $2 AND node = $3 AND state = 'pending'",
                vals![
                    t(id),
                    grant,
                    t(node),
                    u64::from(revealed),
                    t(document.digest),
                    &document.text,
                ],
            )
            .await?;
            let actor = format!("node:{node}");
            let details = json!({
                "grant": grant, "node": held.place, "revealed": revealed, "why": why,
            });
            let subject = format!("order:{id}");
            audit::note(tx, &actor, "order.non_delivery", subject, details, now).await?;
            if live(&order).is_some_and(|g| g.number == grant) {
                come_to_nothing(tx, &order, why, &actor, now).await?;
            }
            let all = load_joint(tx, &order).await?;
            Ok(all.into_iter().map(|l| l.order).collect())
        })
    }

    pub(crate) async fn parts_of_quorums(&self, id: OrderId) -> Result<Vec<OpeningHeld>> {
        let sql = "SELECT number, place, node, state, revealed, opening_digest, opening,
                          delivery_digest, delivery
                   FROM order_openings WHERE order_id = $1 ORDER BY number, place";
        let rows = self.all(sql, vals![t(id)]).await?;
        rows.iter().map(opening).collect()
    }

    /// The grant that a released order was delivered for.
    async fn released_for(&self, id: OrderId) -> Result<u32> {
        let sql = "SELECT body FROM orders WHERE id = $1";
        let missing = DomainError::NotFound { what: "result" };
        let row = self.one(sql, vals![t(id)]).await?.ok_or(missing.clone())?;
        match body::<Order>(&row, "body")?.state {
            OrderState::Released(r) => Ok(r.number),
            _ => Err(missing),
        }
    }

    pub(crate) async fn masked_of_released(&self, id: OrderId) -> Result<Vec<u8>> {
        let grant = self.released_for(id).await?;
        let sql = "SELECT bytes FROM order_masked WHERE order_id = $1 AND number = $2";
        let row = self.one(sql, vals![t(id), grant]).await?;
        get(
            &row.ok_or(DomainError::NotFound { what: "result" })?,
            "bytes",
        )
    }

    pub(crate) async fn masks_of_released(&self, id: OrderId, place: u8) -> Result<Vec<u8>> {
        let grant = self.released_for(id).await?;
        let sql = "SELECT sealed FROM order_openings
                   WHERE order_id = $1 AND number = $2 AND place = $3 AND state = 'delivered'";
        let row = self.one(sql, vals![t(id), grant, u64::from(place)]).await?;
        get(
            &row.ok_or(DomainError::NotFound { what: "masks" })?,
            "sealed",
        )
    }
}

async fn add_grant(tx: &Tx, g: &NewGrant) -> Result<()> {
    let (id, grant) = (g.order, g.granted.number);
    tx.exec_one(
        "grant",
        "INSERT INTO order_grants (order_id, number, digest, text) VALUES ($1, $2, $3, $4)",
        vals![t(id), grant, t(g.signed.digest), &g.signed.text],
    )
    .await?;
    set_grant(tx, id, &g.signed).await?;
    let quorum = g.granted.quorum();
    if quorum.is_empty() || g.nodes.len() != quorum.len() {
        return Err(DomainError::DocumentLink { what: "grant" });
    }
    for (place, node) in quorum.iter().zip(&g.nodes) {
        tx.exec_one(
            "opening",
            "INSERT INTO order_openings (order_id, number, node, place, state, live, revealed)
             VALUES ($1, $2, $3, $4, 'pending', 1, 0)",
            vals![t(id), grant, t(node), u64::from(*place)],
        )
        .await?;
    }
    Ok(())
}

fn opening(row: &sea_orm::QueryResult) -> Result<OpeningHeld> {
    let signed = |d: &str, s: &str| -> Result<Option<SignedText>> {
        let text: Option<String> = get(row, s)?;
        let digest = maybe_digest(row, d)?;
        Ok(digest
            .zip(text)
            .map(|(digest, text)| SignedText { digest, text }))
    };
    let state = text(row, "state")?;
    Ok(OpeningHeld {
        number: u32::try_from(number(row, "number")?).unwrap_or(u32::MAX),
        place: u8::try_from(number(row, "place")?).unwrap_or(u8::MAX),
        node: parsed(row, "node")?,
        state: match state.as_str() {
            "delivered" => OpeningState::Delivered,
            "refused" => OpeningState::Refused {
                revealed: number(row, "revealed")? == 1,
            },
            _ => OpeningState::Pending,
        },
        delivered: signed("opening_digest", "opening")?.zip(signed("delivery_digest", "delivery")?),
    })
}
