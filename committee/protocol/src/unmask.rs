//! The buyer's side (OPN-3, OPN-9): from y and the parties' mask shares to values.

use crate::{
    error::ProtocolError,
    mask::MaskShare,
    tree::{Signed, check_path},
};
use curve25519_dalek::RistrettoPoint;
use veilbourse_core::{
    digest::Digest,
    field::{Fq, MODULUS},
};

/// What the dealer committed to for one value: a ticket under a signed root.
#[derive(Debug, Clone)]
pub struct TicketPath {
    /// The ticket.
    pub ticket: u64,
    /// Every party's commitment.
    pub commitments: Vec<[u8; 32]>,
    /// Siblings from the leaf to the root.
    pub path: Vec<Digest>,
}

/// The commitments of one value, each party's a point.
pub fn commitments(
    signed: &Signed,
    parties: u8,
    ticket: &TicketPath,
) -> Result<Vec<RistrettoPoint>, ProtocolError> {
    if ticket.commitments.len() != usize::from(parties) {
        return Err(ProtocolError::Length {
            what: "mask commitments of a ticket",
            found: ticket.commitments.len() as u64,
            expected: parties.into(),
        });
    }
    check_path(signed, ticket.ticket, &ticket.commitments, &ticket.path)
}

/// One value to unmask: the y of each listing that was added up (one, unless the
/// query is joint), their commitments, and each party's opening of its sum.
pub struct Masked<'a> {
    /// y of each summand, as all parties signed it.
    pub y: &'a [Fq],
    /// Commitments of each summand, by party.
    pub commitments: &'a [Vec<RistrettoPoint>],
    /// Each party's opening of the sum of its shares.
    pub openings: &'a [MaskShare],
    /// The greatest magnitude that the value may have.
    pub bound: u64,
}

/// Value `index` (for errors): every opening is checked against the dealers'
/// commitments first, so a wrong share is found whatever the value, and names
/// its party.
pub fn unmask(index: u64, masked: &Masked<'_>) -> Result<i64, ProtocolError> {
    let parties = masked.openings.len();
    for c in masked.commitments {
        if c.len() != parties {
            return Err(ProtocolError::Length {
                what: "mask commitments of a value",
                found: c.len() as u64,
                expected: parties as u64,
            });
        }
    }
    if masked.y.is_empty() || masked.y.len() != masked.commitments.len() {
        return Err(ProtocolError::Length {
            what: "summands of a value",
            found: masked.y.len() as u64,
            expected: masked.commitments.len() as u64,
        });
    }
    // Beyond, numbers of both signs share a residue.
    if masked.bound >= MODULUS / 2 {
        return Err(ProtocolError::Bound {
            bound: masked.bound,
            limit: MODULUS / 2 - 1,
        });
    }
    let mut value = masked.y.iter().fold(Fq::ZERO, |a, y| a + *y);
    for (party, opening) in masked.openings.iter().enumerate() {
        let own: Vec<_> = masked
            .commitments
            .iter()
            .filter_map(|c| c.get(party).copied())
            .collect();
        if !opening.opens(&own) {
            return Err(ProtocolError::MaskShare {
                party: party as u8,
                value: index,
            });
        }
        value -= opening.residue();
    }
    let value = value.centred();
    if value.unsigned_abs() > masked.bound {
        return Err(ProtocolError::Range { value: index });
    }
    Ok(value)
}
