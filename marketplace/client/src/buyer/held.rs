//! Opening a result in custodian-held custody (DOC-9, DOC-10).

use super::{Ticket, committee, shape::check_result};
use crate::{ClientError, market::Session};
use veilbourse_documents::{
    Delivery, Id, MAX_RECEIPT_BYTES, Openers, Receipt, ResultContext, Signed, marketplace_id,
    open_result,
};

/// Most bytes of a sealed result.
const MAX_SEALED_RESULT: u64 = 64 << 20;

/// What the key nodes handed on, sealed or masked, as it came: `verify --result`
/// holds it to the receipt (REC-5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sealed {
    /// The sealed result of the custodian's node.
    Held(Vec<u8>),
    /// A committee's masked result, and each node's sealed masks by its place in
    /// the quorum.
    Committee {
        /// The words and commitments.
        masked: Vec<u8>,
        /// The sealed masks.
        masks: Vec<Vec<u8>>,
    },
}

/// What the buyer gets.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The integers, by output; of a joint order, their sums.
    pub values: Vec<Vec<i64>>,
    /// The receipt's bytes.
    pub receipt: Vec<u8>,
    /// What was opened.
    pub sealed: Sealed,
}

/// The receipt of an order.
pub(super) async fn receipt(session: &Session, order: &Id) -> Result<Vec<u8>, ClientError> {
    let path = format!("/v1/orders/{order}/receipt");
    session
        .server
        .get_within(&path, MAX_RECEIPT_BYTES as u64)
        .await
}

/// A receipt that is this order's, under the pinned marketplace's key.
pub(super) fn receipt_of(ticket: &Ticket, bytes: &[u8]) -> Result<Receipt, ClientError> {
    let refused = |e: &dyn std::fmt::Display| ClientError::refused("receipt", e);
    let signed = Signed::<Receipt>::parse(bytes).map_err(|e| refused(&e))?;
    let key = &ticket.marketplace;
    signed
        .verify_by(&marketplace_id(key), key)
        .map_err(|e| refused(&e))?;
    let body = signed.body;
    if body.order != ticket.order {
        return Err(refused(&"is of another order"));
    }
    ticket
        .chain()
        .check_grant(&body.submission, &body.grant)
        .map_err(|e| refused(&e))?;
    Ok(body)
}

/// Fetches receipt and result, checks that they belong to this ticket, and opens
/// the result with the ticket's key (DOC-9, DOC-10, DOC-13, REC-5). The receipt's
/// proofs are checked by `veilbourse verify`.
pub async fn open(session: &Session, order: &Id, ticket: &Ticket) -> Result<Opened, ClientError> {
    let Openers::CustodianHeld { node_key } = &ticket.order.body.openers else {
        let mut opened = committee::open_together(session, &[(order, ticket)]).await?;
        return opened
            .pop()
            .ok_or_else(|| ClientError::refused("result", "there is none"));
    };
    let receipt = receipt(session, order).await?;
    let path = format!("/v1/orders/{order}/result");
    let sealed = session.server.get_within(&path, MAX_SEALED_RESULT).await?;
    let body = receipt_of(ticket, &receipt)?;
    let [delivery] = body.deliveries.as_slice() else {
        return Err(ClientError::refused(
            "receipt",
            format!("has {} deliveries, expected 1", body.deliveries.len()),
        ));
    };
    ticket
        .chain()
        .check_delivery(&body.grant, None, delivery)
        .map_err(|e| ClientError::refused("receipt", e))?;
    if Delivery::digest_of_sealed_result(&sealed) != delivery.body.sealed_result {
        return Err(ClientError::refused(
            "result",
            "is not what the key node signed",
        ));
    }
    let refused = |e: &dyn std::fmt::Display| ClientError::refused("result", e);
    let context = ResultContext {
        order: ticket.order.digest().map_err(|e| refused(&e))?,
        grant: body.grant.digest().map_err(|e| refused(&e))?,
        node_key: *node_key,
    };
    let result = open_result(&sealed, &ticket.secret()?, &context).map_err(|e| refused(&e))?;
    check_result(
        &ticket.manifest,
        &ticket.order.body.program,
        delivery.body.values,
        &result.outputs,
    )?;
    Ok(Opened {
        values: result.outputs.into_iter().map(|o| o.values).collect(),
        receipt,
        sealed: Sealed::Held(sealed),
    })
}
