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

/// What tickets `first..` need beside their own commitments to reach the root:
/// the siblings at the two ends of the range, leaves first, left before right.
/// From the paths of its first and last ticket.
pub fn range_siblings(first: u64, count: u64, left: &[Digest], right: &[Digest]) -> Vec<Digest> {
    let (mut low, mut high) = (first, first.saturating_add(count).saturating_sub(1));
    let mut siblings = Vec::new();
    for (l, r) in left.iter().zip(right) {
        siblings.extend((low & 1 == 1).then_some(*l));
        siblings.extend((high & 1 == 0).then_some(*r));
        (low, high) = (low >> 1, high >> 1);
    }
    siblings
}

/// Checks that the commitments of tickets `first..` are under the signed root
/// and reads them, for each ticket every party's.
pub fn check_range(
    signed: &Signed,
    first: u64,
    commitments: &[Vec<[u8; 32]>],
    siblings: &[Digest],
) -> Result<Vec<Vec<RistrettoPoint>>, ProtocolError> {
    let membership = ProtocolError::Membership { ticket: first };
    let depth = signed.tickets.max(1).next_power_of_two().trailing_zeros();
    let end = first.checked_add(commitments.len() as u64);
    let range = signed.tickets <= MAX_TICKETS && end.is_some_and(|e| e <= signed.tickets);
    if !range || commitments.is_empty() {
        return Err(membership);
    }
    let tickets = commitments.iter().zip(first..);
    let mut level: Vec<Digest> = tickets.map(|(c, n)| leaf(&signed.dealing, n, c)).collect();
    let (mut low, mut siblings) = (first, siblings.iter().copied());
    for _ in 0..depth {
        let mut row = Vec::with_capacity(level.len() + 2);
        if low & 1 == 1 {
            row.push(siblings.next().ok_or(membership.clone())?);
        }
        row.append(&mut level);
        if row.len() & 1 == 1 {
            row.push(siblings.next().ok_or(membership.clone())?);
        }
        level = row
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[a, b]| node(a, b))
            .collect();
        low >>= 1;
    }
    if level != [signed.root] || siblings.next().is_some() {
        return Err(membership);
    }
    let points = |c: &Vec<[u8; 32]>| c.iter().map(crate::mask::decode_commitment).collect();
    let points = commitments.iter().map(points).collect::<Option<Vec<_>>>();
    points.ok_or(membership)
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

    #[test]
    fn ranges_hold_where_their_paths_do() {
        // TKT-5
        let dealing = Digest([2; 32]);
        for n in [1u64, 2, 3, 8, 13] {
            let commitment = |i| MaskShare::of_ticket(&[7; 32], &dealing, i).commit();
            let all: Vec<Vec<[u8; 32]>> = (0..n)
                .map(|i| [i, i + 100].map(|i| commitment(i).compress().0).to_vec())
                .collect();
            let leaves = all.iter().zip(0..).map(|(c, i)| leaf(&dealing, i, c));
            let tree = Tree::new(leaves.collect());
            let root = tree.root();
            let signed = Signed {
                dealing,
                tickets: n,
                root,
            };
            for first in 0..n {
                for end in first + 1..=n {
                    let own = &all[first as usize..end as usize];
                    let ends = [first, end - 1].map(|t| tree.path(t));
                    let siblings = range_siblings(first, end - first, &ends[0], &ends[1]);
                    assert!(siblings.len() <= 2 * ends[0].len());
                    let points = check_range(&signed, first, own, &siblings).unwrap();
                    for ((c, p), t) in own.iter().zip(&points).zip(first..) {
                        assert_eq!(check_path(&signed, t, c, &tree.path(t)).unwrap(), *p);
                    }
                    let refused = |first, own: &[Vec<[u8; 32]>], siblings: &[Digest]| {
                        let e = check_range(&signed, first, own, siblings).unwrap_err();
                        assert_eq!(e, ProtocolError::Membership { ticket: first });
                    };
                    refused(first + 1, own, &siblings);
                    refused(first, &[], &siblings);
                    refused(u64::MAX, own, &siblings);
                    let mut other = own.to_vec();
                    other[0].swap(0, 1);
                    refused(first, &other, &siblings);
                    let mut more = siblings.clone();
                    more.push(root);
                    refused(first, own, &more);
                    for at in 0..siblings.len() {
                        let mut changed = siblings.clone();
                        changed[at].0[3] ^= 1;
                        refused(first, own, &changed);
                        changed.remove(at);
                        refused(first, own, &changed);
                    }
                }
            }
        }
    }
}
