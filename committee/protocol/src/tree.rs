//! The tree over a dealing's mask commitments (TKT-5): its root is what the
//! custodian signs, a path is what a buyer checks.

use crate::error::ProtocolError;
use curve25519_dalek::RistrettoPoint;
use veilbourse_core::digest::{Digest, Domain};

/// Most tickets of a tree.
pub const MAX_TICKETS: u64 = 1 << 24;

/// The leaf of a ticket: its dealing, its number and every party's commitment,
/// in order.
pub fn leaf(dealing: &Digest, ticket: u64, commitments: &[[u8; 32]]) -> Digest {
    let mut bytes = dealing.0.to_vec();
    bytes.extend(ticket.to_le_bytes());
    bytes.extend(commitments.iter().flatten());
    Digest::of(Domain::Other("veilbourse v1 ticket leaf"), &bytes)
}

fn node(left: &Digest, right: &Digest) -> Digest {
    let mut bytes = [0; 64];
    let (a, b) = bytes.split_at_mut(32);
    a.copy_from_slice(&left.0);
    b.copy_from_slice(&right.0);
    Digest::of(Domain::Other("veilbourse v1 ticket node"), &bytes)
}

/// All levels, leaves first; missing leaves are zero digests.
#[derive(Debug, Clone)]
pub struct Tree {
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    /// The tree over leaves (at least one).
    pub fn new(mut leaves: Vec<Digest>) -> Self {
        leaves.resize(leaves.len().max(1).next_power_of_two(), Digest::default());
        let mut levels = vec![leaves];
        while let Some(last) = levels.last().filter(|l| l.len() > 1) {
            let next = last.as_chunks::<2>().0.iter().map(|[a, b]| node(a, b));
            let next = next.collect();
            levels.push(next);
        }
        Self { levels }
    }
    /// The root.
    pub fn root(&self) -> Digest {
        let top = self.levels.last().and_then(|l| l.first());
        top.copied().unwrap_or_default()
    }
    /// The siblings from leaf to root.
    pub fn path(&self, ticket: u64) -> Vec<Digest> {
        let levels = self.levels.iter().take(self.levels.len().saturating_sub(1));
        levels
            .enumerate()
            .filter_map(|(l, level)| level.get((ticket >> l ^ 1) as usize).copied())
            .collect()
    }
}

/// A dealing as its custodian signs it: every ticket has one place under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed {
    /// Its name.
    pub dealing: Digest,
    /// How many tickets it has.
    pub tickets: u64,
    /// The root over them.
    pub root: Digest,
}

/// Checks that a ticket's commitments are under the signed root and reads them.
pub fn check_path(
    signed: &Signed,
    ticket: u64,
    commitments: &[[u8; 32]],
    path: &[Digest],
) -> Result<Vec<RistrettoPoint>, ProtocolError> {
    let membership = ProtocolError::Membership { ticket };
    let depth = signed.tickets.max(1).next_power_of_two().trailing_zeros();
    let range = signed.tickets <= MAX_TICKETS && ticket < signed.tickets;
    if !range || path.len() != depth as usize {
        return Err(membership);
    }
    let mut at = leaf(&signed.dealing, ticket, commitments);
    for (l, sibling) in path.iter().enumerate() {
        at = if ticket >> l & 1 == 0 {
            node(&at, sibling)
        } else {
            node(sibling, &at)
        };
    }
    if at != signed.root {
        return Err(membership);
    }
    let points = commitments.iter().map(crate::mask::decode_commitment);
    points.collect::<Option<Vec<_>>>().ok_or(membership)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::MaskShare;

    #[test]
    fn paths_hold_for_their_ticket_alone() {
        // TKT-5
        let dealing = Digest([2; 32]);
        for n in [1u64, 2, 3, 8, 13] {
            let share = |i| MaskShare::of_ticket(&[7; 32], &dealing, i);
            let commitment = |i| share(i).commit().compress().0;
            let commitments: Vec<_> = (0..n)
                .map(|i| [commitment(i), commitment(i + 100)])
                .collect();
            let leaves = commitments
                .iter()
                .zip(0..)
                .map(|(c, i)| leaf(&dealing, i, c))
                .collect();
            let tree = Tree::new(leaves);
            let signed = Signed {
                dealing,
                tickets: n,
                root: tree.root(),
            };
            for (i, c) in commitments.iter().enumerate() {
                let i = i as u64;
                let path = tree.path(i);
                assert_eq!(check_path(&signed, i, c, &path).unwrap().len(), 2);
                let refused = |ticket, c: &[[u8; 32]], path: &[Digest]| {
                    let e = check_path(&signed, ticket, c, path).unwrap_err();
                    assert_eq!(e, ProtocolError::Membership { ticket });
                };
                refused(i + 1, c, &path);
                refused(i | 1 << 20, c, &path);
                refused(i, &[c[1], c[0]], &path);
                refused(i, &c[..1], &path);
                for other in [
                    Signed {
                        dealing: Digest([3; 32]),
                        ..signed
                    },
                    Signed {
                        tickets: 2 * n + 1,
                        ..signed
                    },
                ] {
                    assert!(check_path(&other, i, c, &path).is_err());
                }
                let mut longer = path.clone();
                longer.push(Digest::default());
                refused(i, c, &longer);
                for at in 0..path.len() {
                    let mut other = path.clone();
                    other[at].0[5] ^= 1;
                    refused(i, c, &other);
                }
            }
        }
    }
}
