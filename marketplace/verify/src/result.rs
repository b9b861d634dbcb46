//! A result's files, as `buyer open` left them, held to the receipt (REC-5): the
//! sealed result's digest is in the delivery; a committee's masked words are in
//! the openings, under the custodian's root, each node's sealed masks in its
//! delivery.

use crate::{ReceiptRefusal, decryption};
use std::{fs::File, io::Read, path::Path};
use veilbourse_documents::{Delivery, MAX_MASKED_BYTES, MaskedResult, Opener, Opening, Receipt};

/// The sealed result, in custodian-held custody.
pub const SEALED_FILE: &str = "sealed-result.bin";
/// A committee's masked result.
pub const MASKED_FILE: &str = "masked.bin";
/// Most bytes of a sealed result or of sealed masks.
const MAX_SEALED: u64 = 64 << 20;

/// The sealed masks of a node, by its number.
pub fn masks_file(node: u8) -> String {
    format!("masks-{node}.bin")
}

/// A result as it came, sealed or masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResultFiles {
    /// One node's sealed result.
    Held(Vec<u8>),
    /// A committee's.
    Committee {
        /// The masked result.
        masked: Vec<u8>,
        /// Sealed masks, by place in the quorum.
        masks: Vec<Vec<u8>>,
    },
}

fn read(folder: &Path, name: &str, limit: u64) -> Result<Vec<u8>, ReceiptRefusal> {
    let path = folder.join(name);
    let refused = |reason: String| ReceiptRefusal::File {
        path: path.display().to_string(),
        reason,
    };
    let mut bytes = Vec::new();
    File::open(&path)
        .and_then(|f| f.take(limit + 1).read_to_end(&mut bytes))
        .map_err(|e| refused(e.to_string()))?;
    match bytes.len() as u64 > limit {
        true => Err(refused(format!("more than {limit} bytes"))),
        false => Ok(bytes),
    }
}

impl ResultFiles {
    /// The files of a receipt's order in a folder.
    pub fn read(folder: &Path, receipt: &Receipt) -> Result<Self, ReceiptRefusal> {
        match &receipt.grant.body.opener {
            Opener::CustodianHeld { .. } => Ok(Self::Held(read(folder, SEALED_FILE, MAX_SEALED)?)),
            Opener::Committee { quorum, .. } => {
                let masks = quorum
                    .iter()
                    .map(|n| read(folder, &masks_file(*n), MAX_SEALED));
                Ok(Self::Committee {
                    masked: read(folder, MASKED_FILE, MAX_MASKED_BYTES as u64)?,
                    masks: masks.collect::<Result<_, _>>()?,
                })
            }
        }
    }

    /// They are what the receipt's nodes signed. The receipt itself is checked by
    /// [`crate::verify_receipt`].
    pub fn check(&self, receipt: &Receipt) -> Result<(), ReceiptRefusal> {
        let refused = |what: String, reason: &str| ReceiptRefusal::Result {
            what,
            reason: reason.to_owned(),
        };
        let (masked, sealed) = match self {
            Self::Held(sealed) => (None, std::slice::from_ref(sealed)),
            Self::Committee { masked, masks } => (Some(masked), masks.as_slice()),
        };
        if sealed.len() != receipt.deliveries.len() {
            let reason = format!("of {} nodes", sealed.len());
            let what = format!("sealed parts ({} deliveries)", receipt.deliveries.len());
            return Err(refused(what, &reason));
        }
        for (bytes, delivery) in sealed.iter().zip(&receipt.deliveries) {
            if Delivery::digest_of_sealed_result(bytes) != delivery.body.sealed_result {
                let what = format!("sealed part of node {}", delivery.key);
                return Err(refused(what, "is not what it signed"));
            }
        }
        let Some(masked) = masked else {
            return match receipt.openings.is_empty() {
                true => Ok(()),
                false => Err(refused("masked result".into(), "is missing")),
            };
        };
        let what = || "masked result".to_owned();
        let masked = MaskedResult::decode(masked)?;
        for opening in &receipt.openings {
            let same = masked.first_ticket == opening.body.first_ticket
                && Opening::digest_of_opened(&masked.words) == opening.body.opened;
            if !same {
                return Err(refused(what(), "is not what the nodes signed"));
            }
        }
        let (order, tickets) = (&receipt.order.body, receipt.policy.body.tickets.as_ref());
        let class = order.ticket_class.as_ref();
        let class = class.and_then(|c| tickets.and_then(|t| t.class(c)));
        let (Some((_, class)), Some(dealt)) = (class, decryption::dealing(receipt)) else {
            return Err(refused(what(), "is of no dealing of the policy"));
        };
        let signed = dealt.signed(&order.dataset, class);
        let points = masked.points(&signed, receipt.deliveries.len());
        points
            .map(|_| ())
            .map_err(|e| refused(what(), &format!("commitments: {e}")))
    }
}
