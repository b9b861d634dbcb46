//! What webhooks are told (PAR-9, PAR-11): a delivery a webhook, written in the
//! transaction of what happened, so that neither is there without the other.

use crate::{
    db::Tx,
    rows::{number, parsed, t, text, vals},
};
use serde_json::{Value, json};
use veilbourse_domain::{
    Digest, Domain, DomainError, Millis, Result,
    admit::{Usage, quota_left},
    id::{AccountId, DeliveryId, WebhookId},
    listing::{Listing, ListingState, ListingStep},
    order::{Order, OrderState},
    records::{CashRequest, Decision},
    terms::PolicyTerms,
    webhooks::{Delivery, DeliveryState, WebhookEvent},
};

/// Tells every webhook of the account that asked for the event.
pub(crate) async fn record(
    tx: &Tx,
    event: WebhookEvent,
    account: AccountId,
    facts: Value,
    now: Millis,
) -> Result<()> {
    let hooks = tx
        .all(
            "SELECT id, events, sequence FROM webhooks WHERE account = $1 AND enabled = 1 ORDER BY id",
            vals![t(account)],
        )
        .await?;
    for r in hooks {
        if text(&r, "events")?.split(',').any(|e| e == event.name()) {
            let last = number(&r, "sequence")?;
            queue(tx, parsed(&r, "id")?, last, event, &facts, None, now).await?;
        }
    }
    Ok(())
}

/// The delivery after the last of a webhook. Its id follows from webhook and
/// sequence: it is the same however often the transaction is tried.
pub(crate) async fn queue(
    tx: &Tx,
    webhook: WebhookId,
    last: u64,
    event: WebhookEvent,
    facts: &Value,
    claimed_until: Option<Millis>,
    now: Millis,
) -> Result<Delivery> {
    let sequence = last + 1;
    tx.exec_one(
        "webhook",
        "UPDATE webhooks SET sequence = $2 WHERE id = $1 AND sequence = $3",
        vals![t(webhook), sequence, last],
    )
    .await?;
    let name = Digest::of(
        Domain::Other("veilbourse v1 webhook delivery"),
        format!("{webhook} {sequence}").as_bytes(),
    );
    let mut random = [0u8; 10];
    for (to, from) in random.iter_mut().zip(name.0) {
        *to = from;
    }
    let id = DeliveryId::new(now, random);
    let body = json!({
        "id": id.to_string(),
        "webhook": webhook.to_string(),
        "sequence": sequence.to_string(),
        "event": event.name(),
        "createdAt": now.to_string(),
        "facts": facts,
    })
    .to_string();
    tx.exec_one(
        "delivery",
        "INSERT INTO webhook_deliveries (id, webhook, sequence, event, body, created_at, state, attempts, next_at, claimed_until)
         VALUES ($1, $2, $3, $4, $5, $6, 'waiting', 0, $6, $7)",
        vals![
            t(id),
            t(webhook),
            sequence,
            event.name(),
            &body,
            now,
            claimed_until,
        ],
    )
    .await?;
    Ok(Delivery {
        id,
        webhook,
        sequence,
        event,
        body,
        created_at: now,
        state: DeliveryState::Waiting,
        attempts: 0,
        next_at: now,
        delivered_at: None,
    })
}

fn order_facts(o: &Order, role: &str) -> Value {
    let (reason, detail) = match &o.state {
        OrderState::Refunded(r) => (Some(r.reason.name()), Some(json!(r.reason))),
        _ => (None, None),
    };
    let mut facts = json!({
        "order": o.id.to_string(),
        "listing": o.listing.to_string(),
        "digest": o.terms.digest.to_string(),
        "role": role,
        "state": o.state.name(),
        "values": o.values.to_string(),
        "price": o.price().get().to_string(),
    });
    if let (Some(reason), Some(map)) = (reason, facts.as_object_mut()) {
        map.insert("refundReason".into(), reason.into());
        map.insert("refundDetail".into(), detail.into());
    }
    facts
}

/// An order's new state: to its buyer, and to its custodian when it begins or
/// ends.
pub(crate) async fn of_order(tx: &Tx, o: &Order, now: Millis) -> Result<()> {
    let event = match &o.state {
        OrderState::Released(_) => WebhookEvent::OrderReleased,
        OrderState::Refunded(_) => WebhookEvent::OrderRefunded,
        _ => WebhookEvent::OrderProgress,
    };
    told(tx, event, o, now).await
}

/// An order that was placed (SET-1).
pub(crate) async fn of_placed(tx: &Tx, o: &Order, now: Millis) -> Result<()> {
    told(tx, WebhookEvent::OrderPlaced, o, now).await
}

async fn told(tx: &Tx, event: WebhookEvent, o: &Order, now: Millis) -> Result<()> {
    record(tx, event, o.buyer, order_facts(o, "buyer"), now).await?;
    if event == WebhookEvent::OrderProgress || o.custodian == o.buyer {
        return Ok(());
    }
    record(tx, event, o.custodian, order_facts(o, "custodian"), now).await
}

/// Less than a tenth of the quota is left, and there was more before this order.
pub(crate) async fn of_budget(
    tx: &Tx,
    o: &Order,
    policy: &PolicyTerms,
    before: &Usage,
    now: Millis,
) -> Result<()> {
    let mut after = *before;
    after.values_reserved = after.values_reserved.saturating_add(o.values);
    after.bits_reserved = after.bits_reserved.saturating_add(o.bits);
    let (was, is) = (quota_left(policy, before), quota_left(policy, &after));
    let crossed = |was: u64, is: u64, quota: u64| {
        let low = |left: u64| left.saturating_mul(10) < quota;
        !low(was) && low(is)
    };
    let low = crossed(was.values, is.values, policy.quota_values)
        || crossed(was.bits, is.bits, policy.quota_bits);
    if !low {
        return Ok(());
    }
    let facts = json!({
        "listing": o.listing.to_string(),
        "policyVersion": policy.version,
        "valuesLeft": is.values.to_string(),
        "valuesQuota": policy.quota_values.to_string(),
        "bitsLeft": is.bits.to_string(),
        "bitsQuota": policy.quota_bits.to_string(),
    });
    record(tx, WebhookEvent::BudgetLow, o.custodian, facts, now).await
}

/// A listing that was submitted, published or sent back.
pub(crate) async fn of_listing(
    tx: &Tx,
    l: &Listing,
    step: &ListingStep,
    now: Millis,
) -> Result<()> {
    let event = match step {
        ListingStep::Submit => WebhookEvent::ListingSubmitted,
        ListingStep::Approve { .. } => WebhookEvent::ListingPublished,
        ListingStep::Reject { .. } => WebhookEvent::ListingRejected,
        _ => return Ok(()),
    };
    let mut facts = json!({
        "listing": l.id.to_string(),
        "dataset": l.dataset.to_string(),
        "title": l.title,
        "state": l.state.name(),
    });
    if let (ListingState::Rejected { reason, .. }, Some(map)) = (&l.state, facts.as_object_mut()) {
        map.insert("reason".into(), reason.as_str().into());
    }
    record(tx, event, l.owner, facts, now).await
}

/// A deposit or withdrawal that was decided.
pub(crate) async fn of_cash(
    tx: &Tx,
    r: &CashRequest,
    decision: Decision,
    reason: &str,
    now: Millis,
) -> Result<()> {
    let facts = json!({
        "request": r.id.to_string(),
        "kind": r.kind.name(),
        "amount": r.amount.get().to_string(),
        "decision": decision.name(),
        "reason": reason,
    });
    record(tx, WebhookEvent::CashDecided, r.account, facts, now).await
}

/// A row that cannot be what was written.
pub(crate) fn damaged(what: &str) -> DomainError {
    DomainError::storage(format!("webhook row: {what}"))
}
