//! One order from quote to verified receipt, with times and sizes by stage.

use super::world::{Person, World};
use anyhow::{Result, bail};
use serde_json::{Value, json};
use std::time::Instant;
use veilbourse_client::{
    buyer::{self, Listed, Offer, Opened, Ticket, Wish},
    market::{self, Session},
    query::Query,
};
use veilbourse_core::digest::Digest;
use veilbourse_documents::{Id, Receipt, Signed};
use veilbourse_verify::{Report, Trust, verify_receipt};

use crate::progress::Bars;

/// A finished order.
pub struct Done {
    /// The offer that was taken.
    pub offer: Offer,
    /// The buyer's ticket.
    pub ticket: Ticket,
    /// The order's id.
    pub order: Id,
    /// Integers and receipt.
    pub opened: Opened,
    /// What the offline verifier says.
    pub report: Report,
    /// Seconds: evaluate, prove, prove CPU, settle, open, verify.
    pub seconds: Seconds,
    /// Bytes of all envelopes.
    pub proof_bytes: u64,
}

/// Seconds by stage.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seconds {
    /// Homomorphic evaluation of all outputs.
    pub evaluate: f64,
    /// Proving, wall time.
    pub prove: f64,
    /// Proving, CPU time.
    pub prove_cpu: f64,
    /// From the submission to the release: verification, grant, opening, postings.
    pub settle: f64,
    /// Fetching and decrypting the result.
    pub open: f64,
    /// Verifying the receipt offline.
    pub verify: f64,
}

/// What an account can spend, minor units.
pub async fn available(session: &Session) -> Result<i64> {
    let b = session
        .server
        .graphql("myBalance", "{ myBalance { available } }", json!({}))
        .await?;
    match b["available"].as_str().and_then(|s| s.parse().ok()) {
        Some(v) => Ok(v),
        None => bail!("myBalance: {b}"),
    }
}

/// Quotes, orders, waits, opens, verifies.
pub async fn buy(
    world: &World,
    person: &Person,
    listed: &Listed,
    query: &Query,
    class: Option<&Digest>,
    name: &str,
    bars: &Bars,
) -> Result<Done> {
    let key = &world.marketplace;
    let wish = Wish { pod: None, class };
    let offer = buyer::quote_with(&person.session, key, listed, query, &wish).await?;
    let deadline = crate::clock()() + 3_600_000;
    let mut rng = crate::rng(None);
    let ticket = buyer::prepare(key, &offer, listed, query, &person.key, deadline, &mut rng)?;
    let order = buyer::place(&person.session, &ticket).await?;
    let ended = buyer::wait(&person.session, &order, |s| {
        bars.set(
            name,
            s.per_mille.min(999),
            1000,
            &format!("{} {}", s.state, s.stage),
        );
    })
    .await?;
    let released = Instant::now();
    bars.set(name, 1000, 1000, &ended.state);
    if ended.state != "released" {
        bail!(
            "order {order} of {name} was {}: {:?}",
            ended.state,
            ended.refund
        );
    }
    let Some((pod, handed_in)) = world.report(&order) else {
        bail!("the pod did not report order {order}");
    };
    let started = Instant::now();
    let opened = buyer::open(&person.session, &order, &ticket).await?;
    let open = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let trust = Trust {
        marketplace: Some(market::marketplace_of(key)),
        circuits: None,
    };
    let report = match verify_receipt(&opened.receipt, &trust) {
        Ok(r) => r,
        Err(e) => bail!("{name}: the receipt is refused by {}: {e}", e.rule()),
    };
    Ok(Done {
        seconds: Seconds {
            evaluate: pod.evaluate.as_secs_f64(),
            prove: pod.prove.as_secs_f64(),
            prove_cpu: pod.prove_cpu.as_secs_f64(),
            settle: released.saturating_duration_since(handed_in).as_secs_f64(),
            open,
            verify: started.elapsed().as_secs_f64(),
        },
        proof_bytes: pod.proof_bytes,
        offer,
        ticket,
        order,
        opened,
        report,
    })
}

/// Tickets that an order spent, by its receipt; none in custodian-held custody.
pub fn tickets(done: &Done) -> Result<u64> {
    tickets_of(&done.opened.receipt)
}

/// The same of a receipt.
pub fn tickets_of(receipt: &[u8]) -> Result<u64> {
    let receipt: Signed<Receipt> = Signed::parse(receipt)?;
    let opened = receipt.body.openings.first();
    Ok(opened.map_or(0, |o| o.body.values))
}

/// A price in minor units from the quote.
pub fn price(done: &Done) -> i64 {
    done.offer.quote.body.price.total
}

/// The quoted details, for the JSON summary.
pub fn details(done: &Done) -> &Value {
    &done.offer.details
}
