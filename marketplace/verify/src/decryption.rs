//! Who opened, as the receipt shows it (REC-7, DOC-9, DOC-13): one node's
//! delivery, or the openings and deliveries of every node of one quorum.

use crate::ReceiptRefusal;
use veilbourse_core::budget::extent;
use veilbourse_documents::{
    Chain, Custody, Delivery, Demand, Document, Key, Opening, Receipt, Signed, fits_class,
};

/// As many openings and deliveries as nodes that the grant lets open, each in its
/// node's place, for this order and grant.
pub(crate) fn links(chain: &Chain<'_>, body: &Receipt) -> Result<(), ReceiptRefusal> {
    let nodes = chain.grantees(&body.grant.body)?;
    let committee = body.order.body.openers.custody() == Custody::Committee;
    let expected = if committee { nodes.len() } else { 0 };
    count(Opening::TYPE, expected, body.openings.len())?;
    count(Delivery::TYPE, nodes.len(), body.deliveries.len())?;
    for (delivery, node) in body.deliveries.iter().zip(&nodes) {
        place(delivery, node, nodes.len())?;
    }
    for (opening, node) in body.openings.iter().zip(&nodes) {
        place(opening, node, nodes.len())?;
    }
    let openings = body
        .openings
        .iter()
        .map(Some)
        .chain(std::iter::repeat(None));
    for (delivery, opening) in body.deliveries.iter().zip(openings) {
        chain.check_delivery(&body.grant, opening, delivery)?;
    }
    Ok(())
}

/// What was opened is what the program has; of a committee, all nodes say the
/// same of one session, which is recomputed, under a class that the program fits
/// (OPN-4, OPN-5).
pub(crate) fn check(
    chain: &Chain<'_>,
    body: &Receipt,
    wanted: &Demand,
) -> Result<(), ReceiptRefusal> {
    for delivery in &body.deliveries {
        if delivery.body.values != wanted.values {
            return Err(ReceiptRefusal::Values {
                expected: wanted.values,
                found: delivery.body.values,
            });
        }
    }
    let order = &body.order.body;
    if order.openers.custody() == Custody::CustodianHeld {
        return Ok(());
    }
    let tickets = body.policy.body.tickets.as_ref();
    let class = order.ticket_class.as_ref();
    let class = class.and_then(|c| tickets.and_then(|t| t.offered(c)));
    let (_, class) = class.ok_or(ReceiptRefusal::Class)?;
    fits_class(&body.manifest, &order.program, wanted.values, &class)?;
    let values = order.program.outputs.iter().map(|o| {
        let (_, _, values) = extent(&body.manifest, o.over)?;
        Some(values)
    });
    let values: Option<Vec<u32>> = values.collect();
    let values = values.ok_or(ReceiptRefusal::Class)?;
    let first = body.openings.first();
    for opening in &body.openings {
        chain.check_opening(&body.grant, &values, opening)?;
        if first.is_some_and(|f| f.body != opening.body) {
            return Err(ReceiptRefusal::OpeningDiffers { node: opening.key });
        }
    }
    // Tickets are the dealing's own (OPN-4, TKT-5).
    if let (Some(opening), Some(dealt)) = (first, dealing(body)) {
        let (first, end) = (opening.body.first_ticket, opening.body.first_ticket);
        let end = end.saturating_add(opening.body.values);
        if first < dealt.first || end > dealt.end() {
            return Err(ReceiptRefusal::Tickets {
                first,
                end,
                from: dealt.first,
                to: dealt.end(),
            });
        }
    }
    Ok(())
}

/// The dealing that the grant names.
pub(crate) fn dealing(body: &Receipt) -> Option<&veilbourse_documents::DealingTerms> {
    match &body.grant.body.opener {
        veilbourse_documents::Opener::Committee { dealing, .. } => {
            body.policy.body.tickets.as_ref()?.dealing(dealing)
        }
        veilbourse_documents::Opener::CustodianHeld { .. } => None,
    }
}

fn count(what: &'static str, expected: usize, found: usize) -> Result<(), ReceiptRefusal> {
    match expected == found {
        true => Ok(()),
        false => Err(ReceiptRefusal::Nodes {
            what,
            expected,
            found,
        }),
    }
}

/// In a committee's receipt each document is in its node's place. The one node's
/// signer is checked with its links.
fn place<T: Document>(
    document: &Signed<T>,
    node: &Key,
    nodes: usize,
) -> Result<(), ReceiptRefusal> {
    if nodes == 1 || document.key == *node {
        return Ok(());
    }
    Err(ReceiptRefusal::Place {
        what: T::TYPE,
        expected: *node,
        found: document.key,
    })
}
