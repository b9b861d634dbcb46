//! Opening a committee's result (DOC-13, OPN-3, OPN-9): the masked words that all
//! nodes of a quorum signed, and each node's mask shares, which the dealer's
//! commitments under the policy's root hold it to. Whatever is wrong, the node
//! whose word it was is named.

use super::{
    Opened, Sealed, Ticket, held,
    shape::{check_values, together},
};
use crate::{ClientError, ResultError, market::Session};
use rayon::prelude::*;
use veilbourse_core::{digest::Digest, field::Fq};
use veilbourse_documents::{
    Chain, Delivery, Id, Key, MAX_MASKED_BYTES, MaskedResult, OpenedOutput, Opener, Opening,
    Receipt, SealedMasks, SealingSecret, Signed, open_masks,
};
use veilbourse_protocol::{
    MAX_BATCH, MaskShare, Masked, OPENING_BYTES, ProtocolError, RistrettoPoint, unmask,
};

/// Most bytes of sealed masks.
const MAX_SEALED_MASKS: u64 = (MAX_BATCH * OPENING_BYTES + 4096) as u64;

/// What a marketplace handed on of orders opened together: receipts and masked
/// results by order, as the orders are given; sealed masks by place in the quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handed {
    /// Receipts.
    pub receipts: Vec<Vec<u8>>,
    /// Masked results.
    pub masked: Vec<Vec<u8>>,
    /// Sealed masks.
    pub masks: Vec<Vec<u8>>,
}

/// One order's part, checked.
struct OneSession {
    quorum: Vec<u8>,
    keys: Vec<Key>,
    digest: Digest,
    deliveries: Vec<Signed<Delivery>>,
    y: Vec<Fq>,
    commitments: Vec<Vec<RistrettoPoint>>,
}

/// Fetches and opens the result of an order, or of all orders of a joint one (in
/// the order of their quotes' digests): one [`Opened`] an order, with the same
/// values.
pub async fn open_together(
    session: &Session,
    orders: &[(&Id, &Ticket)],
) -> Result<Vec<Opened>, ClientError> {
    let (mut receipts, mut masked) = (Vec::new(), Vec::new());
    for (order, _) in orders {
        receipts.push(held::receipt(session, order).await?);
        let path = format!("/v1/orders/{order}/masked");
        let limit = MAX_MASKED_BYTES as u64;
        masked.push(session.server.get_within(&path, limit).await?);
    }
    let tickets: Vec<&Ticket> = orders.iter().map(|(_, t)| *t).collect();
    let mut masks = Vec::new();
    if let (Some((order, ticket)), Some(receipt)) = (orders.first(), receipts.first()) {
        for node in quorum_of(ticket, receipt)? {
            let path = format!("/v1/orders/{order}/masks/{node}");
            masks.push(session.server.get_within(&path, MAX_SEALED_MASKS).await?);
        }
    }
    let handed = Handed {
        receipts,
        masked,
        masks,
    };
    let values = read(&tickets, &handed)?;
    let Handed {
        receipts,
        masked,
        masks,
    } = handed;
    let each = receipts.into_iter().zip(masked);
    Ok(each
        .map(|(receipt, masked)| Opened {
            values: values.clone(),
            receipt,
            sealed: Sealed::Committee {
                masked,
                masks: masks.clone(),
            },
        })
        .collect())
}

/// The numbers of the nodes that a receipt's grant let open.
pub fn quorum_of(ticket: &Ticket, receipt: &[u8]) -> Result<Vec<u8>, ClientError> {
    match held::receipt_of(ticket, receipt)?.grant.body.opener {
        Opener::Committee { quorum, .. } => Ok(quorum),
        Opener::CustodianHeld { .. } => Err(ClientError::refused("receipt", "names no quorum")),
    }
}

/// The integers, by output, of an order or of the sums over a joint order's
/// orders, which are given in the order of their quotes' digests.
pub fn read(tickets: &[&Ticket], handed: &Handed) -> Result<Vec<Vec<i64>>, ClientError> {
    let limits = together(tickets)?;
    let values: Vec<u32> = limits.iter().map(|l| l.values).collect();
    let total: u64 = values.iter().map(|v| u64::from(*v)).sum();
    let lists = [handed.receipts.len(), handed.masked.len()];
    if tickets.is_empty() || lists.iter().any(|n| *n != tickets.len()) {
        return Err(ClientError::refused(
            "result",
            format!("{} orders, {lists:?} receipts and results", tickets.len()),
        ));
    }
    let mut sessions = Vec::new();
    for ((ticket, receipt), masked) in tickets.iter().zip(&handed.receipts).zip(&handed.masked) {
        sessions.push(one(ticket, receipt, masked, &values)?);
    }
    let first = sessions.first().ok_or(ResultError::Quorums)?;
    let keys = first.keys.clone();
    if sessions
        .iter()
        .any(|s| s.quorum != first.quorum || s.keys != keys)
    {
        Err(ResultError::Quorums)?;
    }
    let secret = tickets.first().map(|t| t.secret()).transpose()?;
    let secret = secret.ok_or(ResultError::Quorums)?;
    let masks = masks(&sessions, &keys, &secret, &handed.masks, total)?;
    // The range of what is opened (OPN-3); tighter by output below.
    let bound = tickets.iter().filter_map(|t| t.class());
    let bound = bound.fold(0u64, |b, (_, c)| b.saturating_add(c.value_bound()));
    let opened: Vec<Result<i64, ProtocolError>> = (0..total as usize)
        .into_par_iter()
        .map(|i| {
            let y: Vec<Fq> = sessions
                .iter()
                .filter_map(|s| s.y.get(i).copied())
                .collect();
            let commitments = sessions
                .iter()
                .filter_map(|s| s.commitments.get(i).cloned());
            let openings = masks.iter().filter_map(|m| m.get(i).cloned());
            unmask(
                i as u64,
                &Masked {
                    y: &y,
                    commitments: &commitments.collect::<Vec<_>>(),
                    openings: &openings.collect::<Vec<_>>(),
                    bound,
                },
            )
        })
        .collect();
    let mut opened = opened.into_iter();
    let mut outputs = Vec::with_capacity(values.len());
    for count in &values {
        let of = opened.by_ref().take(*count as usize);
        let values: Result<Vec<i64>, ProtocolError> = of.collect();
        outputs.push(OpenedOutput {
            values: values.map_err(|e| lied(e, &keys))?,
        });
    }
    check_values(&limits, total, &outputs)?;
    Ok(outputs.into_iter().map(|o| o.values).collect())
}

/// Who gave a mask share that is none of the dealer's.
fn lied(e: ProtocolError, keys: &[Key]) -> ResultError {
    match e {
        ProtocolError::MaskShare { party, value } => match keys.get(usize::from(party)) {
            Some(node) => ResultError::MaskShare { node: *node, value },
            None => ResultError::Protocol(e),
        },
        e => ResultError::Protocol(e),
    }
}

/// One order: its receipt's openings and deliveries, and the masked words.
fn one(
    ticket: &Ticket,
    receipt: &[u8],
    masked: &[u8],
    values: &[u32],
) -> Result<OneSession, ClientError> {
    let body = held::receipt_of(ticket, receipt)?;
    let chain = ticket.chain();
    let refused = |e| ClientError::refused("receipt", e);
    let keys = chain.grantees(&body.grant.body).map_err(refused)?;
    let Opener::Committee { quorum, dealing } = &body.grant.body.opener else {
        return Err(ClientError::refused("receipt", "names no quorum"));
    };
    let opening = openings(&chain, &body, &keys, values)?.clone();
    deliveries(&chain, &body, &keys)?;
    let masked = MaskedResult::decode(masked).map_err(ResultError::Masked)?;
    if masked.first_ticket != opening.first_ticket
        || Opening::digest_of_opened(&masked.words) != opening.opened
    {
        Err(ResultError::MaskedWords)?;
    }
    let total = values.iter().map(|v| u64::from(*v)).sum();
    if masked.words.len() as u64 != total {
        Err(ResultError::Delivered {
            signed: total,
            found: masked.words.len() as u64,
        })?;
    }
    let tickets = ticket.policy.body.tickets.as_ref();
    let dealt = tickets.and_then(|t| t.dealing(dealing));
    let (Some(dealt), Some((_, class))) = (dealt, ticket.class()) else {
        return Err(ClientError::refused("policy", "names no such dealing"));
    };
    let signed = dealt.signed(&ticket.order.body.dataset, class);
    let commitments = masked
        .points(&signed, keys.len())
        .map_err(ResultError::Commitments)?;
    Ok(OneSession {
        quorum: quorum.clone(),
        keys,
        digest: opening.session,
        deliveries: body.deliveries,
        y: masked.y().ok_or(ResultError::MaskedWords)?,
        commitments,
    })
}

/// All t nodes signed the same opening, and its session is recomputed (OPN-4).
fn openings<'a>(
    chain: &Chain<'_>,
    body: &'a Receipt,
    keys: &[Key],
    values: &[u32],
) -> Result<&'a Opening, ClientError> {
    if body.openings.len() != keys.len() {
        Err(ResultError::Openings {
            expected: keys.len(),
            found: body.openings.len(),
        })?;
    }
    let first = body.openings.first().ok_or(ResultError::Quorums)?;
    for (opening, node) in body.openings.iter().zip(keys) {
        signed_by("opening", node, &opening.key)?;
        chain
            .check_opening(&body.grant, values, opening)
            .map_err(|e| ClientError::refused("receipt", e))?;
        if opening.body != first.body {
            Err(ResultError::OpeningDiffers { node: *node })?;
        }
    }
    Ok(&first.body)
}

fn deliveries(chain: &Chain<'_>, body: &Receipt, keys: &[Key]) -> Result<(), ClientError> {
    if body.deliveries.len() != keys.len() {
        Err(ResultError::Deliveries {
            expected: keys.len(),
            found: body.deliveries.len(),
        })?;
    }
    let of = body.deliveries.iter().zip(&body.openings);
    for ((delivery, opening), node) in of.zip(keys) {
        signed_by("delivery", node, &delivery.key)?;
        chain
            .check_delivery(&body.grant, Some(opening), delivery)
            .map_err(|e| ClientError::refused("receipt", e))?;
    }
    Ok(())
}

fn signed_by(what: &'static str, expected: &Key, found: &Key) -> Result<(), ResultError> {
    match expected == found {
        true => Ok(()),
        false => Err(ResultError::Place {
            what,
            expected: *expected,
            found: *found,
        }),
    }
}

/// Each node's mask shares: what it signed for, sealed for these sessions.
fn masks(
    sessions: &[OneSession],
    keys: &[Key],
    secret: &SealingSecret,
    sealed: &[Vec<u8>],
    total: u64,
) -> Result<Vec<Vec<MaskShare>>, ClientError> {
    if sealed.len() != keys.len() {
        Err(ResultError::Masks {
            expected: keys.len(),
            found: sealed.len(),
        })?;
    }
    let digests: Vec<Digest> = sessions.iter().map(|s| s.digest).collect();
    let mut all = Vec::new();
    for ((node, bytes), party) in keys.iter().zip(sealed).zip(0usize..) {
        let found = Delivery::digest_of_sealed_result(bytes);
        let of = sessions.iter().filter_map(|s| s.deliveries.get(party));
        for delivery in of {
            if delivery.body.sealed_result != found {
                Err(ResultError::MasksDigest { node: *node })?;
            }
        }
        let context = SealedMasks {
            sessions: &digests,
            node_key: *node,
        };
        let masks = open_masks(bytes, secret, &context)
            .map_err(|cause| ResultError::Sealed { node: *node, cause })?;
        if masks.len() as u64 != total {
            Err(ResultError::MaskCount {
                node: *node,
                expected: total,
                found: masks.len() as u64,
            })?;
        }
        all.push(masks);
    }
    Ok(all)
}
