//! What the gate of a committee's node asks beyond KEY-2: class and tickets of
//! one order (KEY-8, OPN-5), and orders that are opened together (ORD-8, OPN-9).

use crate::{
    admitted::Admitted, config::Seat, gate::Past, refusal::GateRefusal, terms::same_terms,
};
use std::collections::HashSet;
use veilbourse_core::field::MODULUS;
use veilbourse_documents::{Demand, Opener, Order, api::NodeJob, fits_class};
use veilbourse_protocol::TicketClass;
use veilbourse_ticket_store::Dealing;

/// Custodians of a joint order whose classes have no noise (ORD-8).
const CUSTODIANS: usize = 3;

/// A dealing that this node may open under, by its ticket store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usable {
    /// The announcement that was checked.
    pub dealing: Dealing,
    /// Tickets that may still be spent.
    pub left: u64,
}

/// One order: a quorum with this node, a dealing usable here as the policy says,
/// a class that its outputs fit, tickets for every value.
pub(crate) fn check(
    seat: &Seat,
    job: &NodeJob,
    demand: &Demand,
    past: &Past<'_>,
) -> Result<TicketClass, GateRefusal> {
    let (policy, order) = (&job.policy.body, &job.order.body);
    let Opener::Committee { quorum, dealing } = &job.grant.body.opener else {
        // The chain has refused it: the order's openers are a committee.
        return Err(GateRefusal::Quorum {
            found: "none".into(),
            own: seat.number,
        });
    };
    if !quorum.contains(&seat.number) {
        return Err(GateRefusal::Quorum {
            found: format!("{quorum:?}"),
            own: seat.number,
        });
    }
    let named = order.ticket_class.unwrap_or_default();
    let tickets = policy.tickets.as_ref();
    let class = tickets.and_then(|t| t.offered(&named)).map(|(_, c)| c);
    let class = class.ok_or_else(|| GateRefusal::ClassUnknown {
        class: named.to_string(),
    })?;
    fits_class(&job.manifest, &order.program, demand.values, &class)
        .map_err(|cause| GateRefusal::TicketClass { cause })?;
    let dealing = *dealing;
    let refuse = |reason: String| GateRefusal::Dealing { dealing, reason };
    let usable = past
        .tickets
        .ok_or_else(|| refuse("is not usable at this node".into()))?;
    let terms = tickets.and_then(|t| t.dealing(&dealing));
    let terms = terms.ok_or_else(|| refuse("is not in the policy".into()))?;
    same_terms(terms, &usable.dealing).map_err(refuse)?;
    let (left, needed) = (usable.left, demand.values);
    // What is signed needs no more of them (KEY-11).
    if needed > left && past.decided.is_none() {
        return Err(GateRefusal::Tickets {
            dealing,
            left,
            needed,
        });
    }
    Ok(class)
}

/// ORD-8, before anything of them is fetched: what an order by itself, or the
/// orders of a joint one, say of each other. Each passes the gate by itself too.
pub fn together(jobs: &[NodeJob]) -> Result<(), GateRefusal> {
    let refuse = |reason: String| Err(GateRefusal::Joint { reason });
    let Some(first) = jobs.first() else {
        return refuse("there is no order".into());
    };
    let listed = &first.order.body.joint;
    if listed.is_empty() {
        return match jobs.len() {
            1 => Ok(()),
            n => refuse(format!("{n} orders at once, the first is one by itself")),
        };
    }
    let quotes: Vec<_> = jobs.iter().map(|j| j.order.body.quote).collect();
    if quotes != *listed {
        let (found, expected) = (quotes.len(), listed.len());
        return refuse(format!(
            "{found} orders, and the first lists {expected} quotes: not those of the orders, in \
             their order"
        ));
    }
    let (mut datasets, mut orders) = (HashSet::new(), HashSet::new());
    for (job, at) in jobs.iter().zip(0usize..) {
        let (o, f) = (&job.order.body, &first.order.body);
        let differs = |what: &str| refuse(format!("order {at} has {what} than the first"));
        if o.joint != *listed {
            return differs("another list of quotes");
        }
        if job.order.key != first.order.key {
            return differs("another buyer");
        }
        if o.result_key != f.result_key {
            return differs("another result key");
        }
        if o.openers != f.openers {
            return differs("another committee");
        }
        if quorum(job) != quorum(first) {
            return differs("another quorum");
        }
        // KEY-13: what is signed is given up by number, of all orders or of none.
        if job.grant.body.number != first.grant.body.number {
            return differs("a grant of another number");
        }
        if job.policy.key == job.order.key {
            return refuse(format!("the custodian of order {at} is the buyer"));
        }
        if !datasets.insert(o.dataset) {
            return refuse(format!("dataset {} is there twice", o.dataset));
        }
        if !orders.insert(o.nonce) {
            return refuse(format!("order {at} has the nonce of another"));
        }
        same_outputs(at, o, f)?;
    }
    Ok(())
}

fn quorum(job: &NodeJob) -> Option<&[u8]> {
    match &job.grant.body.opener {
        Opener::Committee { quorum, .. } => Some(quorum),
        Opener::CustodianHeld { .. } => None,
    }
}

/// As many outputs, at the same scales.
fn same_outputs(at: usize, order: &Order, first: &Order) -> Result<(), GateRefusal> {
    let refuse = |reason: String| Err(GateRefusal::Joint { reason });
    let (found, expected) = (order.program.outputs.len(), first.program.outputs.len());
    if found != expected {
        return refuse(format!(
            "order {at} has {found} outputs, the first {expected}"
        ));
    }
    let scale = |o: &Order, vector: u32| {
        let vector = o.program.vectors.get(vector as usize);
        vector.map(|v| v.scale_log2)
    };
    let pairs = order.program.outputs.iter().zip(&first.program.outputs);
    for ((own, other), output) in pairs.zip(0u32..) {
        let (found, expected) = (scale(order, own.vector), scale(first, other.vector));
        if found != expected || found.is_none() {
            return refuse(format!(
                "output {output} of order {at} is at scale {found:?}, the first's at {expected:?}"
            ));
        }
    }
    Ok(())
}

/// ORD-8, OPN-9, when each order has passed the gate by itself: enough
/// custodians or noise, values one for one, sums that cannot wrap.
pub(crate) fn sums(admitted: &[Box<Admitted<'_>>]) -> Result<(), GateRefusal> {
    let refuse = |reason: String| Err(GateRefusal::Joint { reason });
    let Some(first) = admitted.first().filter(|_| admitted.len() > 1) else {
        return Ok(());
    };
    let custodians: HashSet<_> = admitted.iter().map(|a| a.job.policy.key).collect();
    let noisy = admitted.iter().all(|a| a.class.is_some_and(|c| c.noisy()));
    if custodians.len() < CUSTODIANS && !noisy {
        let found = custodians.len();
        return refuse(format!(
            "{found} custodians; {CUSTODIANS} are needed where a class has no noise"
        ));
    }
    let expected = first.values();
    for (a, at) in admitted.iter().zip(0usize..) {
        let found = a.values();
        if found != expected {
            return refuse(format!(
                "order {at} opens {found:?} values by output, the first {expected:?}"
            ));
        }
    }
    let mut bounds = admitted.iter().map(|a| a.class.map(|c| c.value_bound()));
    let bound = bounds.try_fold(0u64, |sum, b| sum.checked_add(b?));
    match bound {
        Some(b) if b < MODULUS / 2 => Ok(()),
        found => refuse(format!(
            "sums are bounded by {found:?}, must be below {}",
            MODULUS / 2
        )),
    }
}
