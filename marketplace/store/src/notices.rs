//! Which changes of listings, orders, money and machines are written about, to
//! whom, with which facts (MAIL-1, MAIL-7). Called inside the transactions of the
//! changes; the words are `veilbourse-mail`'s.

use crate::{
    db::{SqlStore, Tx, transaction},
    orders, outbox,
    rows::{parsed, t, vals},
};
use serde_json::{Value, json};
use veilbourse_domain::{
    Millis, Result,
    admit::{Usage, quota_left},
    id::OrderId,
    listing::{Listing, ListingStep},
    mail::{MailKind, reminder_at, runs_low},
    order::{Order, OrderState, RefundReason},
    records::{CashRequest, Decision, Machine},
    terms::PolicyTerms,
    tickets::{TicketFacts, count},
};

/// A listing was submitted, approved or rejected: its owner is told. What owners
/// do themselves and see at once is not written about.
pub(crate) async fn listing_stepped(
    tx: &Tx,
    l: &Listing,
    step: &ListingStep,
    version: u64,
    now: Millis,
) -> Result<()> {
    let mut facts = json!({ "listing": l.id, "title": l.title });
    let kind = match step {
        ListingStep::Submit => MailKind::ListingSubmitted,
        ListingStep::Approve { .. } => MailKind::ListingApproved,
        ListingStep::Reject { reason, .. } => {
            facts["reason"] = Value::from(reason.as_str());
            MailKind::ListingRejected
        }
        // Who decided is told of an appeal where it is made.
        ListingStep::Appeal { .. }
        | ListingStep::Pause
        | ListingStep::Resume
        | ListingStep::Withdraw => return Ok(()),
    };
    let about = format!("listing:{}:{version}", l.id);
    outbox::tell(tx, l.owner, kind, &about, facts, now).await
}

fn order_facts(o: &Order, title: &str) -> Value {
    json!({
        "order": o.id, "listing": o.listing, "title": title, "price": o.price(),
        "values": o.values, "deadline": o.terms.deadline,
    })
}

async fn title_of(tx: &Tx, o: &Order) -> Result<String> {
    let (l, _) = crate::listings::load(tx, o.listing).await?;
    Ok(l.title)
}

/// An order was placed: buyer and custodian are told, the custodian also when
/// quota or tickets run low; a reminder is noted.
pub(crate) async fn order_placed(
    tx: &Tx,
    o: &Order,
    l: &Listing,
    usage: &Usage,
    tickets: Option<&TicketFacts>,
    now: Millis,
) -> Result<()> {
    let about = format!("order:{}", o.id);
    let facts = order_facts(o, &l.title);
    outbox::tell(tx, o.buyer, MailKind::OrderPlaced, &about, facts, now).await?;
    let mut facts = order_facts(o, &l.title);
    facts["earns"] = json!(o.split.custodian);
    outbox::tell(tx, o.custodian, MailKind::OrderReceived, &about, facts, now).await?;
    tx.exec_one(
        "reminder",
        "INSERT INTO order_reminders (order_id, due_at) VALUES ($1, $2)",
        vals![t(o.id), reminder_at(o.placed_at, o.terms.deadline)],
    )
    .await?;
    match &l.policy {
        Some(p) => budgets(tx, o, l, p, usage, tickets, now).await,
        None => Ok(()),
    }
}

/// MAIL-7: once a policy version and budget. `usage` and `tickets` are those from
/// before the order.
async fn budgets(
    tx: &Tx,
    o: &Order,
    l: &Listing,
    policy: &PolicyTerms,
    usage: &Usage,
    tickets: Option<&TicketFacts>,
    now: Millis,
) -> Result<()> {
    let left = quota_left(policy, usage);
    let mut all = vec![
        (
            "values".to_owned(),
            left.values.saturating_sub(o.values),
            policy.quota_values,
        ),
        (
            "bits".to_owned(),
            left.bits.saturating_sub(o.bits),
            policy.quota_bits,
        ),
    ];
    if let (Some(facts), Some(class)) = (tickets, &o.terms.ticket_class) {
        let n = count(policy, facts, class);
        // Orders that wait for a grant have none of their tickets taken off yet.
        let waiting = facts.under_way.iter();
        let waiting = waiting.filter(|w| w.dealing.is_none() && w.class == *class);
        let waiting = waiting.fold(o.values, |sum, w| sum.saturating_add(w.values));
        let name = policy.tickets.as_ref().and_then(|t| t.class(class));
        let name = name.map_or("", |(terms, _)| terms.name.as_str());
        let what = format!("tickets {name}");
        all.push((what, n.left.saturating_sub(waiting), n.dealt));
    }
    for (what, left, whole) in all {
        if !runs_low(left, whole) {
            continue;
        }
        let about = format!("listing:{}:{}:{what}", l.id, policy.version);
        let facts = json!({
            "listing": l.id, "title": l.title, "what": what, "left": left, "whole": whole,
            "version": policy.version,
        });
        outbox::tell_once(tx, o.custodian, MailKind::BudgetLow, &about, facts, now).await?;
    }
    Ok(())
}

fn why_refunded(reason: &RefundReason) -> (&'static str, String) {
    match reason {
        RefundReason::Rejected { rule } => ("rejected", rule.clone()),
        RefundReason::Expired => ("expired", String::new()),
        RefundReason::Undeliverable { why } => ("undeliverable", why.clone()),
    }
}

/// An order was released or refunded.
pub(crate) async fn order_ended(tx: &Tx, o: &Order, now: Millis) -> Result<()> {
    let about = format!("order:{}", o.id);
    match &o.state {
        OrderState::Released(_) => {
            let title = title_of(tx, o).await?;
            let facts = order_facts(o, &title);
            outbox::tell(tx, o.buyer, MailKind::OrderReleased, &about, facts, now).await?;
            let mut facts = order_facts(o, &title);
            facts["earns"] = json!(o.split.custodian);
            outbox::tell(tx, o.custodian, MailKind::OrderEarned, &about, facts, now).await
        }
        OrderState::Refunded(r) => {
            let mut facts = order_facts(o, &title_of(tx, o).await?);
            let (reason, detail) = why_refunded(&r.reason);
            facts["reason"] = reason.into();
            facts["detail"] = detail.into();
            outbox::tell(tx, o.buyer, MailKind::OrderRefunded, &about, facts, now).await
        }
        _ => Ok(()),
    }
}

/// A deposit or withdrawal was decided.
pub(crate) async fn cash_decided(tx: &Tx, r: &CashRequest, now: Millis) -> Result<()> {
    let facts = json!({
        "what": r.kind.name(), "amount": r.amount, "reason": r.reason,
        "approved": r.decision == Decision::Approved,
    });
    let about = format!("cash:{}", r.id);
    outbox::tell(tx, r.account, MailKind::CashDecided, &about, facts, now).await
}

/// A pod or key node was approved or refused.
pub(crate) async fn machine_decided(tx: &Tx, m: &Machine, now: Millis) -> Result<()> {
    let approved = m.decision == Decision::Approved;
    let facts = json!({
        "machine": m.id, "name": m.name, "what": m.kind.name(), "reason": m.reason,
        "approved": approved,
    });
    // Approved, it may be refused later, and approved again.
    let about = format!("machine:{}:{}", m.id, m.decision.name());
    outbox::tell(tx, m.operator, MailKind::MachineDecided, &about, facts, now).await
}

impl SqlStore {
    /// MAIL-7: orders that are not opened a quarter of their time before their
    /// deadline, each once.
    pub(crate) async fn remind_of_deadlines(&self, now: Millis, limit: u32) -> Result<u64> {
        let due = format!(
            "SELECT order_id FROM order_reminders WHERE due_at <= $1 ORDER BY due_at LIMIT {limit}"
        );
        let mut told = 0;
        for r in &self.all(&due, vals![now]).await? {
            let id: OrderId = parsed(r, "order_id")?;
            told += self.remind_of(id, now).await?;
        }
        Ok(told)
    }

    async fn remind_of(&self, id: OrderId, now: Millis) -> Result<u64> {
        transaction!(self, "mail.remind", |tx| {
            let gone = tx
                .exec(
                    "DELETE FROM order_reminders WHERE order_id = $1",
                    vals![t(id)],
                )
                .await?;
            let o = orders::load(tx, id).await?.order;
            if gone == 0 || o.state.terminal() {
                return Ok(0);
            }
            let title = title_of(tx, &o).await?;
            let about = format!("order:{id}");
            let mut told = 0;
            // In custodian-held custody the custodian's own node may be what is
            // waited for.
            let node = matches!(o.state, OrderState::Opening(_)) && !o.terms.by_committee();
            let custodian = node.then_some((o.custodian, "custodian"));
            for (account, seat) in [Some((o.buyer, "buyer")), custodian].into_iter().flatten() {
                let mut facts = order_facts(&o, &title);
                facts["seat"] = seat.into();
                facts["state"] = o.state.name().into();
                let kind = MailKind::DeadlineNear;
                told += u64::from(outbox::tell_once(tx, account, kind, &about, facts, now).await?);
            }
            Ok(told)
        })
    }
}
