//! Joint orders (ORD-8): what their parts must have in common. The strictest
//! policy wins because each order satisfies its own listing's.

use crate::{
    DomainError, Result,
    id::{AccountId, ListingId},
    terms::Openers,
};
use std::collections::BTreeSet;
use veilbourse_core::{budget, digest::Digest, manifest::Manifest, program::Program};
use veilbourse_documents::api::{Deliver, MAX_DELIVER_BYTES};

/// Custodians from which on no noise is needed for the sake of each.
pub const MIN_CUSTODIANS: u64 = 3;

/// A quote of a joint order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JointPart {
    /// Its digest.
    pub quote: Digest,
    /// The listing.
    pub listing: ListingId,
    /// Its owner.
    pub owner: AccountId,
    /// The dataset root D.
    pub dataset: Digest,
    /// Who opens.
    pub openers: Openers,
    /// Whether its ticket class holds noise.
    pub noisy: bool,
    /// Values and scale of each output.
    pub outputs: Vec<(u32, i32)>,
}

/// Values and scale of each output of a program.
pub fn shapes(manifest: &Manifest, program: &Program) -> Option<Vec<(u32, i32)>> {
    let outputs = program.outputs.iter();
    let shape = |o: &veilbourse_core::program::ProgramOutput| {
        let (_, _, values) = budget::extent(manifest, o.over)?;
        let vector = program.vectors.get(o.vector as usize)?;
        Some((values, vector.scale_log2))
    };
    outputs.map(shape).collect()
}

/// ORD-8. `parts` are those of the order's own list, in its order.
pub fn check_joint(buyer: AccountId, joint: &[Digest], parts: &[JointPart]) -> Result<()> {
    if parts.len() != joint.len() || parts.iter().zip(joint).any(|(p, q)| p.quote != *q) {
        return Err(DomainError::QuoteUnknown);
    }
    if parts.iter().any(|p| p.owner == buyer) {
        return Err(DomainError::JointOwnListing);
    }
    let mut datasets = BTreeSet::new();
    for p in parts {
        if !datasets.insert(p.dataset.0) {
            return Err(DomainError::JointDataset {
                dataset: p.dataset.to_string(),
            });
        }
    }
    for p in parts.windows(2) {
        if let [a, b] = p {
            for (what, same) in [
                ("openers", a.openers == b.openers),
                ("outputs", a.outputs == b.outputs),
            ] {
                if !same {
                    return Err(DomainError::JointDiffers { what });
                }
            }
        }
    }
    let owners: BTreeSet<_> = parts.iter().map(|p| p.owner).collect();
    let custodians = owners.len() as u64;
    if custodians < MIN_CUSTODIANS && !parts.iter().all(|p| p.noisy) {
        let minimum = MIN_CUSTODIANS;
        return Err(DomainError::JointTooFew {
            custodians,
            minimum,
        });
    }
    check_delivery(parts)
}

/// What a node hands in of all orders at once fits into one request, whichever
/// quorum opens: no order is placed that could not be delivered.
fn check_delivery(parts: &[JointPart]) -> Result<()> {
    let Some(first) = parts.first() else {
        return Ok(());
    };
    let Openers::Committee { threshold, .. } = &first.openers else {
        return Ok(());
    };
    let values = first.outputs.iter().map(|(values, _)| u64::from(*values));
    let values = usize::try_from(values.sum::<u64>()).unwrap_or(usize::MAX);
    let value = Deliver::most_bytes(parts.len(), values, usize::from(*threshold));
    if value > MAX_DELIVER_BYTES {
        return Err(DomainError::JointTooLarge {
            limit: MAX_DELIVER_BYTES as u64,
            value: value as u64,
        });
    }
    Ok(())
}
