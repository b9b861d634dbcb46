//! The life of orders: each transition is one transaction with its postings,
//! its counters and its audit record (ORD-5). What a transition does to the
//! money follows from the two states alone: [`transit`].
//!
//! Over 500 lines: every transition of an order is in this file.

use crate::{
    audit,
    db::{SqlStore, Tx, transaction},
    dealings, events, ledger, listings, notices, quorums,
    rows::{self, Where, body, digest, get, json, number, parsed, t, text, vals},
};
use async_trait::async_trait;
use serde_json::json;
use veilbourse_domain::{
    Digest, DomainError, Millis, Result,
    admit::check_quota,
    id::{AccountId, LeaseToken, MachineId, OrderId, PublicKey},
    job::Lease,
    ledger::{Postings, TransferKind, TransferStep},
    listing::ListingState,
    order::{Granted, Order, OrderState},
    ports::{OrderFilter, Orders},
    records::{
        BlobKind, DocumentKind, NewGrant, OpeningHeld, Page, PageRequest, PlaceOrder, Placement,
        QuorumDelivery, SignedText, SubmittedOutput,
    },
    tickets::check_tickets,
};

const MISSING: DomainError = DomainError::NotFound { what: "order" };

/// An order as loaded, with the count of its writes.
pub(crate) struct Loaded {
    pub(crate) order: Order,
    version: u64,
}

pub(crate) async fn load(tx: &Tx, id: OrderId) -> Result<Loaded> {
    let row = tx
        .one(
            "SELECT body, state, version FROM orders WHERE id = $1",
            vals![t(id)],
        )
        .await?
        .ok_or(MISSING)?;
    let order: Order = body(&row, "body")?;
    let column = text(&row, "state")?;
    if order.state.name() != column {
        let what = format!("column says {column}, body {}", order.state.name());
        return Err(DomainError::Inconsistent { order: id, what });
    }
    Ok(Loaded {
        order,
        version: number(&row, "version")?,
    })
}

/// The order, if it is this pod's; not found otherwise (ACC-6).
pub(crate) async fn load_for_pod(tx: &Tx, id: OrderId, pod: MachineId) -> Result<Loaded> {
    let l = load(tx, id).await?;
    if l.order.terms.pod != pod {
        return Err(MISSING);
    }
    Ok(l)
}

async fn event(tx: &Tx, o: &Order, sequence: u64, now: Millis) -> Result<()> {
    tx.exec_one(
        "order event",
        "INSERT INTO order_events (order_id, sequence, state, at) VALUES ($1, $2, $3, $4)",
        vals![t(o.id), sequence, o.state.name(), now],
    )
    .await
}

/// Writes an order's next state with everything that belongs to it; a refund
/// ends the other orders of a joint one with it (SET-8).
pub(crate) async fn transit(
    tx: &Tx,
    before: &Loaded,
    next: OrderState,
    actor: &str,
    action: &str,
    now: Millis,
) -> Result<Order> {
    let order = write(tx, before, next, actor, action, now).await?;
    if matches!(order.state, OrderState::Refunded(_)) {
        for other in quorums::load_joint(tx, &order).await? {
            if other.order.id == order.id || other.order.state.terminal() {
                continue;
            }
            let ended = other.order.clone().end_with(order.id, now)?;
            write(tx, &other, ended.state, "system", "order.end_joint", now).await?;
        }
    }
    Ok(order)
}

/// One order's next state.
async fn write(
    tx: &Tx,
    before: &Loaded,
    next: OrderState,
    actor: &str,
    action: &str,
    now: Millis,
) -> Result<Order> {
    use OrderState as S;
    let order = before.order.clone().with(next);
    let (from, to) = (&before.order.state, &order.state);
    if from.terminal() || from.escrow() != to.escrow() {
        return Err(DomainError::OrderState {
            found: from.name(),
            wanted: to.name(),
        }); // SET-6
    }
    let escrow = to.escrow().ok_or(DomainError::Inconsistent {
        order: order.id,
        what: format!("{} without an escrow", to.name()),
    })?;
    // SET-3: one node's grant commits; a committee's order is refunded at its
    // deadline, whatever grants are out (SET-7).
    let one_node = !order.terms.by_committee();
    let money = match (from, to) {
        (S::Verified(_), S::Opening(_)) if one_node => Some(TransferStep::Commit),
        (S::Opening(_) | S::Verified(_), S::Released(_)) => Some(TransferStep::Post),
        (S::Opening(_), S::Refunded(_)) if one_node => Some(TransferStep::VoidByNonDelivery),
        (_, S::Refunded(_)) => Some(TransferStep::Void),
        _ => None,
    };
    if let Some(step) = money {
        ledger::step(tx, escrow, step, now).await?;
    }
    if matches!(from, S::Leased(_)) && !matches!(to, S::Leased(_) | S::Evaluated(_)) {
        // POD-1: outputs belong to the lease under which they were put.
        tx.exec(
            "DELETE FROM order_blobs WHERE order_id = $1 AND kind IN ($2, $3)",
            vals![
                t(order.id),
                BlobKind::Ciphertext.name(),
                BlobKind::Envelope.name(),
            ],
        )
        .await?;
    }
    if matches!(from, S::Opening(_)) && !one_node {
        // SET-7: the grant is over, nobody is handed it any more.
        tx.exec(
            "UPDATE order_openings SET live = 0 WHERE order_id = $1",
            vals![t(order.id)],
        )
        .await?;
    }
    if to.terminal() {
        // ORD-4: what was reserved is revealed or free again.
        let (values, bits) = match to {
            S::Released(_) => (order.values, order.bits),
            _ => (0, 0),
        };
        tx.exec_one(
            "reveals",
            "UPDATE reveals SET reserved_values = reserved_values - $2, reserved_bits = reserved_bits - $3,
                    revealed_values = revealed_values + $4, revealed_bits = revealed_bits + $5
             WHERE listing = $1",
            vals![t(order.listing), order.values, order.bits, values, bits],
        )
        .await?;
    }
    tx.exec_one(
        "order",
        "UPDATE orders SET state = $3, lease_end = $4, body = $5, grant_expires = $6, version = version + 1
         WHERE id = $1 AND version = $2",
        vals![
            t(order.id),
            before.version,
            to.name(),
            to.lease().map(|l| l.end),
            json(&order)?,
            quorums::live(&order).map(|g| g.expires),
        ],
    )
    .await?;
    event(tx, &order, before.version + 1, now).await?;
    let subject = format!("order:{}", order.id);
    audit::note(tx, actor, action, subject, json!({ "state": to }), now).await?;
    notices::order_ended(tx, &order, now).await?;
    events::of_order(tx, &order, now).await?;
    Ok(order)
}

pub(crate) async fn add_document(
    tx: &Tx,
    id: OrderId,
    kind: DocumentKind,
    d: &SignedText,
) -> Result<()> {
    tx.exec_one(
        "document",
        "INSERT INTO order_documents (order_id, kind, digest, text) VALUES ($1, $2, $3, $4)",
        vals![t(id), kind.name(), t(d.digest), &d.text],
    )
    .await
}

/// Stores the grant that counts, in place of an earlier one.
pub(crate) async fn set_grant(tx: &Tx, id: OrderId, d: &SignedText) -> Result<()> {
    tx.exec_one(
        "document",
        "INSERT INTO order_documents (order_id, kind, digest, text) VALUES ($1, $2, $3, $4)
         ON CONFLICT (order_id, kind) DO UPDATE SET digest = excluded.digest, text = excluded.text",
        vals![t(id), DocumentKind::Grant.name(), t(d.digest), &d.text],
    )
    .await
}

pub(crate) async fn add_blob(
    tx: &Tx,
    id: OrderId,
    kind: BlobKind,
    part: usize,
    bytes: &[u8],
) -> Result<()> {
    tx.exec_one(
        "blob",
        "INSERT INTO order_blobs (order_id, kind, part, bytes) VALUES ($1, $2, $3, $4)",
        vals![t(id), kind.name(), part as u64, bytes.to_vec()],
    )
    .await
}

/// ORD-6: the first output that was not put, if one is missing.
async fn all_put(tx: &Tx, id: OrderId, outputs: u32) -> Result<()> {
    let rows = tx
        .all(
            "SELECT part FROM order_blobs WHERE order_id = $1 AND kind = $2 AND part < $3 ORDER BY part",
            vals![t(id), BlobKind::Envelope.name(), outputs],
        )
        .await?;
    for index in 0..outputs {
        let put = rows.get(index as usize).map(|r| number(r, "part"));
        if put.transpose()? != Some(u64::from(index)) {
            return Err(DomainError::ObjectIncomplete {
                name: format!("output-{index}"),
            });
        }
    }
    Ok(())
}

/// ORD-2, ORD-4, SET-1 inside the placing transaction.
async fn place(tx: &Tx, p: &PlaceOrder, now: Millis) -> Result<Placement> {
    let o = &p.order;
    let placed = o.state.clone().placed("funded")?;
    let seen = tx
        .one(
            "SELECT id, digest, buyer FROM orders WHERE nonce = $1 OR digest = $2",
            vals![t(o.terms.nonce), t(o.terms.digest)],
        )
        .await?;
    if let Some(r) = seen {
        let same =
            digest(&r, "digest")? == o.terms.digest && text(&r, "buyer")? == o.buyer.to_string();
        if !same {
            return Err(DomainError::NonceReplayed);
        }
        return Ok(Placement::Existing(
            load(tx, parsed(&r, "id")?).await?.order,
        ));
    }
    // Facts that may have changed since the admission was decided.
    let (listing, _) = listings::load(tx, o.listing).await?;
    let policy = match (&listing.state, &listing.policy) {
        (ListingState::Published { .. }, Some(p)) => p,
        (s, _) => return Err(DomainError::ListingClosed { state: s.name() }),
    };
    if policy.version != o.terms.policy_version {
        let (expected, found) = (policy.version, o.terms.policy_version);
        return Err(DomainError::PolicyVersionDiffers { expected, found });
    }
    let key = tx
        .one(
            "SELECT account FROM signing_keys WHERE public_key = $1 AND account = $2 AND revoked_at IS NULL",
            vals![t(o.terms.signer), t(o.buyer)],
        )
        .await?;
    if key.is_none() {
        return Err(DomainError::SigningKeyUnknown); // ORD-3
    }
    let usage = tx
        .one(
            "SELECT * FROM reveals WHERE listing = $1",
            vals![t(o.listing)],
        )
        .await?
        .ok_or(MISSING)?;
    let usage = listings::usage_of(&usage)?;
    check_quota(policy, &usage, o.values, o.bits)?;
    let mut tickets = None;
    if let Some(class) = &o.terms.ticket_class {
        let facts = dealings::facts(tx, o.listing).await?;
        check_tickets(policy, &facts, class, o.values)?; // ORD-7
        tickets = Some(facts);
    }
    let group = o.terms.group(o.buyer);
    if let Some(group) = &group {
        quorums::room_in_joint(tx, group, o).await?;
    }
    tx.exec_one(
        "reveals",
        "UPDATE reveals SET reserved_values = reserved_values + $2, reserved_bits = reserved_bits + $3
         WHERE listing = $1",
        vals![t(o.listing), o.values, o.bits],
    )
    .await?;
    if o.split.total()? != o.price() {
        let (expected, found) = (o.split.total()?, o.price());
        return Err(DomainError::PriceDiffers { expected, found }); // SET-4
    }
    // Kept from now on; gone if it was forgotten since the admission.
    if tx
        .exec(
            "UPDATE quotes SET used = 1 WHERE digest = $1",
            vals![t(o.terms.quote)],
        )
        .await?
        != 1
    {
        return Err(DomainError::QuoteUnknown);
    }
    let postings = Postings::escrow(o.buyer, o.custodian, o.pod_operator, o.split)?;
    ledger::open(
        tx,
        p.escrow,
        TransferKind::Escrow,
        Some(o.id),
        &postings,
        now,
    )
    .await?;
    let o = o.clone().with(placed.fund(p.escrow));
    tx.exec_one(
        "order",
        "INSERT INTO orders (id, buyer, custodian, pod_operator, listing, pod, node_key, nonce, digest, escrow,
                             state, deadline, version, body, committee, joint, joint_size, quote)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1, $13, $14, $15, $16, $17)",
        vals![
            t(o.id),
            t(o.buyer),
            t(o.custodian),
            t(o.pod_operator),
            t(o.listing),
            t(o.terms.pod),
            o.terms.node_key().map(|k| k.to_string()).unwrap_or_default(),
            t(o.terms.nonce),
            t(o.terms.digest),
            t(p.escrow),
            o.state.name(),
            o.terms.deadline,
            json(&o)?,
            u64::from(o.terms.by_committee()),
            group.as_ref().map(ToString::to_string),
            group.map(|_| o.terms.joint.len() as u64),
            t(o.terms.quote),
        ],
    )
    .await?;
    event(tx, &o, 1, now).await?;
    add_document(tx, o.id, DocumentKind::Order, &p.signed).await?;
    add_blob(tx, o.id, BlobKind::SealedModel, 0, &p.sealed_model).await?;
    audit::note(
        tx,
        format!("account:{}", o.buyer),
        "order.place",
        format!("order:{}", o.id),
        json!({ "digest": o.terms.digest, "price": o.price(), "escrow": p.escrow }),
        now,
    )
    .await?;
    notices::order_placed(tx, &o, &listing, &usage, tickets.as_ref(), now).await?;
    events::of_placed(tx, &o, now).await?;
    events::of_budget(tx, &o, policy, &usage, now).await?;
    Ok(Placement::New(o))
}

/// Who delivers in custodian-held custody.
fn node_actor(o: &Order) -> String {
    let key = o.terms.node_key();
    format!("node:{}", key.map(|k| k.to_string()).unwrap_or_default())
}

#[async_trait]
impl Orders for SqlStore {
    async fn place_order(&self, p: PlaceOrder, now: Millis) -> Result<Placement> {
        if p.signed.digest != p.order.terms.digest {
            return Err(DomainError::DocumentLink { what: "order" });
        }
        transaction!(self, "order.place", |tx| { place(tx, &p, now).await })
    }

    async fn order(&self, id: OrderId) -> Result<Order> {
        let row = self
            .one("SELECT body FROM orders WHERE id = $1", vals![t(id)])
            .await?;
        body(&row.ok_or(MISSING)?, "body")
    }

    async fn placed_before(&self, wanted: Digest, buyer: AccountId) -> Result<Option<Order>> {
        let sql = "SELECT body FROM orders WHERE digest = $1 AND buyer = $2";
        let row = self.one(sql, vals![t(wanted), t(buyer)]).await?;
        row.map(|r| body(&r, "body")).transpose()
    }

    async fn orders(&self, filter: &OrderFilter, page: &PageRequest) -> Result<Page<Order>> {
        let mut w = Where::default();
        if let Some(a) = filter.party {
            w.and(
                "(buyer = ? OR custodian = ? OR pod_operator = ?)",
                vals![t(a), t(a), t(a)],
            );
        }
        if let Some(s) = &filter.state {
            w.and("state = ?", vals![s]);
        }
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

    async fn lease_evaluation(
        &self,
        pod: MachineId,
        token: LeaseToken,
        now: Millis,
    ) -> Result<Option<Order>> {
        self.lease_for_pod(pod, token, now).await
    }

    async fn heartbeat(
        &self,
        id: OrderId,
        pod: MachineId,
        token: LeaseToken,
        stage: &str,
        progress: u32,
        now: Millis,
    ) -> Result<Lease> {
        self.prolong(id, pod, token, stage, progress, now).await
    }

    async fn progress(&self, id: OrderId) -> Result<Option<(String, u32)>> {
        let sql =
            "SELECT stage, progress FROM order_leases WHERE order_id = $1 AND kind = 'evaluate'";
        let row = self.one(sql, vals![t(id)]).await?;
        row.map(|r| {
            Ok((
                text(&r, "stage")?,
                u32::try_from(number(&r, "progress")?).unwrap_or(1000),
            ))
        })
        .transpose()
    }

    async fn decline(
        &self,
        id: OrderId,
        pod: MachineId,
        token: LeaseToken,
        why: &str,
        now: Millis,
    ) -> Result<Order> {
        transaction!(self, "order.decline", |tx| {
            let l = load_for_pod(tx, id, pod).await?;
            let next = l.order.state.clone().leased("funded")?;
            let next = next.decline(pod, token, why.into(), now)?;
            transit(
                tx,
                &l,
                next,
                &format!("machine:{pod}"),
                "order.decline",
                now,
            )
            .await
        })
    }

    async fn put_output(
        &self,
        id: OrderId,
        pod: MachineId,
        token: LeaseToken,
        index: u32,
        output: SubmittedOutput,
        now: Millis,
    ) -> Result<()> {
        transaction!(self, "order.output", |tx| {
            let l = load_for_pod(tx, id, pod).await?;
            let lease = l.order.state.lease().ok_or(DomainError::StaleLease)?;
            lease.check(pod, token, now)?;
            for (kind, bytes) in [
                (BlobKind::Ciphertext, &output.ciphertext),
                (BlobKind::Envelope, &output.envelope),
            ] {
                tx.exec_one(
                    "blob",
                    "INSERT INTO order_blobs (order_id, kind, part, bytes) VALUES ($1, $2, $3, $4)
                     ON CONFLICT (order_id, kind, part) DO UPDATE SET bytes = excluded.bytes",
                    vals![t(id), kind.name(), index, bytes.clone()],
                )
                .await?;
            }
            Ok(())
        })
    }

    async fn settling(&self, each: u32) -> Result<Vec<Order>> {
        let sql = "SELECT body FROM (
                       SELECT id, body, ROW_NUMBER() OVER (PARTITION BY pod ORDER BY id) AS standing
                       FROM orders WHERE state = 'evaluated' OR (state = 'verified' AND committee = 0)
                   ) AS waiting WHERE standing <= $1 ORDER BY id";
        let rows = self.all(sql, vals![each]).await?;
        rows.iter().map(|r| body(r, "body")).collect()
    }

    async fn submit(
        &self,
        id: OrderId,
        pod: MachineId,
        token: LeaseToken,
        submission: SignedText,
        outputs: u32,
        now: Millis,
    ) -> Result<Order> {
        transaction!(self, "order.submit", |tx| {
            let l = load_for_pod(tx, id, pod).await?;
            if let OrderState::Evaluated(e) = &l.order.state
                && e.submission == submission.digest
                && e.pod == pod
            {
                return Ok(l.order); // The answer was lost and the pod asks again.
            }
            let next = l.order.state.clone().leased("evaluated")?;
            let next = next.submit(pod, token, submission.digest, now)?;
            all_put(tx, id, outputs).await?;
            add_document(tx, id, DocumentKind::Submission, &submission).await?;
            transit(
                tx,
                &l,
                next.into(),
                &format!("machine:{pod}"),
                "order.submit",
                now,
            )
            .await
        })
    }

    async fn verified(&self, id: OrderId, now: Millis) -> Result<Order> {
        transaction!(self, "order.verify", |tx| {
            let l = load(tx, id).await?;
            let next = l.order.state.clone().evaluated("verified")?.verify();
            transit(tx, &l, next.into(), "system", "order.verify", now).await
        })
    }

    async fn reject(&self, id: OrderId, rule: &str, now: Millis) -> Result<Order> {
        transaction!(self, "order.reject", |tx| {
            let l = load(tx, id).await?;
            let evaluated = l.order.state.clone().evaluated("refunded")?;
            let subject = format!("machine:{}", evaluated.pod);
            let details = json!({ "order": id, "rule": rule });
            audit::note(tx, "system", "machine.rejected", subject, details, now).await?;
            let next = evaluated.reject(rule.into(), now);
            transit(tx, &l, next.into(), "system", "order.reject", now).await
        })
    }

    async fn grant(
        &self,
        id: OrderId,
        grant: SignedText,
        granted: Granted,
        now: Millis,
    ) -> Result<Order> {
        if granted.grant != grant.digest || !granted.quorum().is_empty() {
            return Err(DomainError::DocumentLink { what: "grant" });
        }
        transaction!(self, "order.grant", |tx| {
            let l = load(tx, id).await?;
            let next = l.order.state.clone().verified("opening")?;
            let next = next.grant(granted.clone(), l.order.terms.deadline, now)?;
            add_document(tx, id, DocumentKind::Grant, &grant).await?;
            transit(tx, &l, next.into(), "system", "order.grant", now).await
        })
    }

    async fn lease_opening(
        &self,
        node: MachineId,
        key: PublicKey,
        token: LeaseToken,
        now: Millis,
    ) -> Result<Option<Order>> {
        self.lease_for_node(node, key, token, now).await
    }

    async fn deliver(
        &self,
        id: OrderId,
        grant: Digest,
        delivery: SignedText,
        sealed_result: Vec<u8>,
        now: Millis,
    ) -> Result<Order> {
        transaction!(self, "order.deliver", |tx| {
            let l = load(tx, id).await?;
            if let OrderState::Released(r) = &l.order.state
                && r.deliveries == [delivery.digest]
            {
                return Ok(l.order); // KEY-3: the node re-delivers the same.
            }
            let next = l.order.state.clone().opening("released")?;
            let next = next.release(grant, vec![delivery.digest], now)?;
            add_document(tx, id, DocumentKind::Delivery, &delivery).await?;
            add_blob(tx, id, BlobKind::SealedResult, 0, &sealed_result).await?;
            let actor = node_actor(&l.order);
            transit(tx, &l, next.into(), &actor, "order.deliver", now).await
        })
    }

    async fn non_delivery(
        &self,
        id: OrderId,
        grant: Digest,
        document: SignedText,
        why: &str,
        revealed: bool,
        now: Millis,
    ) -> Result<Order> {
        transaction!(self, "order.non_delivery", |tx| {
            let l = load(tx, id).await?;
            let next = l.order.state.clone().opening("refunded")?;
            let next = next.undeliverable(grant, why.into(), revealed, now)?;
            add_document(tx, id, DocumentKind::NonDelivery, &document).await?;
            let actor = node_actor(&l.order);
            transit(tx, &l, next.into(), &actor, "order.non_delivery", now).await
        })
    }

    async fn ungranted(&self, after: Option<OrderId>, limit: u32) -> Result<Vec<Order>> {
        self.of_committees("verified", after, limit).await
    }

    async fn granted_to_quorums(&self, after: Option<OrderId>, limit: u32) -> Result<Vec<Order>> {
        self.of_committees("opening", after, limit).await
    }

    async fn give_up_grant(
        &self,
        id: OrderId,
        number: u32,
        why: &str,
        now: Millis,
    ) -> Result<Vec<Order>> {
        self.give_up_quorum(id, number, why, now).await
    }

    async fn joint(&self, id: OrderId) -> Result<Vec<Order>> {
        self.orders_of_joint(id).await
    }

    async fn grant_quorum(&self, grants: Vec<NewGrant>, now: Millis) -> Result<Vec<Order>> {
        self.issue_to_quorum(&grants, now).await
    }

    async fn lease_quorum(
        &self,
        node: MachineId,
        key: PublicKey,
        now: Millis,
    ) -> Result<Option<Vec<Order>>> {
        self.lease_to_quorum(node, key, now).await
    }

    async fn deliver_quorum(
        &self,
        node: PublicKey,
        deliveries: Vec<QuorumDelivery>,
        sealed: Vec<u8>,
        now: Millis,
    ) -> Result<Vec<Order>> {
        self.take_from_quorum(node, &deliveries, &sealed, now).await
    }

    async fn refuse_quorum(
        &self,
        id: OrderId,
        number: u32,
        node: PublicKey,
        document: SignedText,
        why: &str,
        revealed: bool,
        now: Millis,
    ) -> Result<Vec<Order>> {
        self.refused_by_quorum(id, number, node, &document, why, revealed, now)
            .await
    }

    async fn openings(&self, id: OrderId) -> Result<Vec<OpeningHeld>> {
        self.parts_of_quorums(id).await
    }

    async fn grant_document(&self, id: OrderId, number: u32) -> Result<SignedText> {
        let sql = "SELECT digest, text FROM order_grants WHERE order_id = $1 AND number = $2";
        let row = self.one(sql, vals![t(id), number]).await?;
        let row = row.ok_or(DomainError::GrantUnknown)?;
        Ok(SignedText {
            digest: digest(&row, "digest")?,
            text: text(&row, "text")?,
        })
    }

    async fn masked(&self, id: OrderId) -> Result<Vec<u8>> {
        self.masked_of_released(id).await
    }

    async fn sealed_masks(&self, id: OrderId, place: u8) -> Result<Vec<u8>> {
        self.masks_of_released(id, place).await
    }

    async fn sweep(&self, now: Millis, limit: u32) -> Result<Vec<Order>> {
        self.forget_quotes(now, limit).await?;
        self.end_what_is_over(now, limit).await
    }

    async fn save_receipt(&self, id: OrderId, receipt: SignedText, now: Millis) -> Result<()> {
        transaction!(self, "order.receipt", |tx| {
            let l = load(tx, id).await?;
            if !matches!(l.order.state, OrderState::Released(_)) {
                let found = l.order.state.name();
                return Err(DomainError::OrderState {
                    found,
                    wanted: "receipt",
                });
            }
            let sql = "SELECT digest FROM order_documents WHERE order_id = $1 AND kind = 'receipt'";
            if let Some(r) = tx.one(sql, vals![t(id)]).await? {
                return if digest(&r, "digest")? == receipt.digest {
                    Ok(())
                } else {
                    Err(DomainError::AlreadyDecided { what: "receipt" })
                };
            }
            add_document(tx, id, DocumentKind::Receipt, &receipt).await?;
            let details = json!({ "digest": receipt.digest });
            let subject = format!("order:{id}");
            audit::note(tx, "system", "order.receipt", subject, details, now).await
        })
    }

    async fn document(&self, id: OrderId, kind: DocumentKind) -> Result<SignedText> {
        let sql = "SELECT digest, text FROM order_documents WHERE order_id = $1 AND kind = $2";
        let row = self.one(sql, vals![t(id), kind.name()]).await?;
        let row = row.ok_or(DomainError::NotFound { what: "document" })?;
        Ok(SignedText {
            digest: digest(&row, "digest")?,
            text: text(&row, "text")?,
        })
    }

    async fn blob(&self, id: OrderId, kind: BlobKind, index: u32) -> Result<Vec<u8>> {
        let sql = "SELECT bytes FROM order_blobs WHERE order_id = $1 AND kind = $2 AND part = $3";
        let row = self.one(sql, vals![t(id), kind.name(), index]).await?;
        get(&row.ok_or(DomainError::NotFound { what: "blob" })?, "bytes")
    }
}
