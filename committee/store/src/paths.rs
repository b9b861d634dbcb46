//! The commitments' tree on disk (CST-5): built once by stream, so that a
//! ticket's path is read without the rest.
//!
//! A ticket's place in the tree is its number. Before a dealing's first ticket
//! and after its last the leaves are zero, as in [`Tree`]; of each level only
//! what is over a ticket is stored.

use crate::{
    dealing::{COMMITMENT, Stream},
    disk::Disk,
    error::StoreError,
    state::Stage,
    store::{Store, TREE, file},
};
use veilbourse_core::digest::Digest;
use veilbourse_protocol::{TicketPath, Tree, leaf};

/// Nodes made at a time.
const NODES: u64 = 1024;
const NODE: u64 = 32;

/// What is stored of a level.
#[derive(Debug, Clone, Copy)]
struct Level {
    /// The first node's place.
    first: u64,
    nodes: u64,
    /// Bytes before it in the file.
    offset: u64,
    /// The root of an empty tree of this height.
    empty: Digest,
}

fn parent(left: Digest, right: Digest) -> Digest {
    Tree::new(vec![left, right]).root()
}

/// The levels over tickets `first..end`, leaves first.
fn levels(first: u64, end: u64) -> Vec<Level> {
    let depth = end.max(1).next_power_of_two().trailing_zeros();
    let mut out = Vec::new();
    let (mut offset, mut empty) = (0, Digest::default());
    for l in 0..=depth {
        let low = first >> l;
        let nodes = (end.saturating_sub(1) >> l) + 1 - low;
        out.push(Level {
            first: low,
            nodes,
            offset,
            empty,
        });
        offset += nodes * NODE;
        empty = parent(empty, empty);
    }
    out
}

/// Bytes of the tree's file.
pub(crate) fn tree_bytes(first: u64, end: u64) -> u64 {
    levels(first, end).iter().map(|l| l.nodes * NODE).sum()
}

impl<D: Disk> Store<D> {
    /// Builds the tree's file from the commitments' one; its root.
    pub(crate) fn build_tree(&mut self, dealing: &Digest) -> Result<Digest, StoreError> {
        let d = self.dealing(dealing, &[Stage::Receiving], Stage::Receiving.name())?;
        let (first, end) = (d.dealing.first, d.dealing.end());
        let parties = usize::from(d.dealing.quorum.parties());
        let levels = levels(first, end);
        let name = file(dealing, TREE);
        self.guard(|disk| disk.create(&name).and_then(|()| disk.truncate(&name, 0)))?;
        let mut below: Option<Level> = None;
        for level in &levels {
            let mut done = 0;
            while done < level.nodes {
                let nodes = (level.nodes - done).min(NODES);
                let at = level.first + done;
                let made = match below {
                    None => self.leaves(dealing, first, at, nodes, parties)?,
                    Some(below) => {
                        let children = self.nodes(dealing, &below, 2 * at, 2 * nodes)?;
                        let pairs = children.as_chunks::<2>().0.iter();
                        pairs.map(|[a, b]| parent(*a, *b)).collect()
                    }
                };
                let bytes: Vec<u8> = made.iter().flat_map(|d| d.0).collect();
                let offset = level.offset + done * NODE;
                self.guard(|disk| disk.write(&name, offset, &bytes))?;
                done += nodes;
            }
            below = Some(*level);
        }
        self.guard(|disk| disk.sync(&name).and_then(|()| disk.sync_folder()))?;
        let Some(top) = below else {
            return Ok(Digest::default());
        };
        let root = self.nodes(dealing, &top, 0, 1)?;
        Ok(root.first().copied().unwrap_or_default())
    }

    fn leaves(
        &mut self,
        dealing: &Digest,
        first: u64,
        at: u64,
        tickets: u64,
        parties: usize,
    ) -> Result<Vec<Digest>, StoreError> {
        let all = self.commitments(dealing, at - first, tickets, parties)?;
        let numbered = all.chunks(parties.max(1)).zip(at..);
        let held = self.dealing(dealing, &[Stage::Receiving], Stage::Receiving.name())?;
        let name = held.shape.dealing;
        Ok(numbered.map(|(c, number)| leaf(&name, number, c)).collect())
    }

    /// Commitments of `tickets` tickets from the dealing's `index`-th on.
    pub(crate) fn commitments(
        &mut self,
        dealing: &Digest,
        index: u64,
        tickets: u64,
        parties: usize,
    ) -> Result<Vec<[u8; 32]>, StoreError> {
        let each = COMMITMENT * parties as u64;
        let mut bytes = vec![0; (tickets * each) as usize];
        let name = file(dealing, Stream::Commitments.suffix());
        self.guard(|disk| disk.read(&name, index * each, &mut bytes))?;
        Ok(bytes.as_chunks::<32>().0.to_vec())
    }

    /// Nodes of a level by place; empty ones where none is stored.
    fn nodes(
        &mut self,
        dealing: &Digest,
        level: &Level,
        from: u64,
        count: u64,
    ) -> Result<Vec<Digest>, StoreError> {
        let stored = level.first..level.first + level.nodes;
        let low = from.max(stored.start);
        let high = (from + count).min(stored.end);
        let mut bytes = vec![0; (high.saturating_sub(low) * NODE) as usize];
        if !bytes.is_empty() {
            let name = file(dealing, TREE);
            let offset = level.offset + (low - level.first) * NODE;
            self.guard(|disk| disk.read(&name, offset, &mut bytes))?;
        }
        let mut found = bytes.as_chunks::<32>().0.iter();
        let node = |place| {
            let there = stored.contains(&place).then(|| found.next());
            there.flatten().map_or(level.empty, |d| Digest(*d))
        };
        Ok((from..from + count).map(node).collect())
    }

    /// A ticket's commitments and their path to the root (TKT-5), for the buyer.
    pub fn path(&mut self, dealing: &Digest, ticket: u64) -> Result<TicketPath, StoreError> {
        let stages = [
            Stage::Received,
            Stage::Checking,
            Stage::Verified,
            Stage::Usable,
        ];
        let d = self.dealing(dealing, &stages, "received and not destroyed")?;
        let (first, end) = (d.dealing.first, d.dealing.end());
        let parties = usize::from(d.dealing.quorum.parties());
        if !(first..end).contains(&ticket) {
            return Err(StoreError::Ticket { ticket, first, end });
        }
        let commitments = self.commitments(dealing, ticket - first, 1, parties)?;
        let mut levels = levels(first, end);
        levels.pop();
        let mut path = Vec::with_capacity(levels.len());
        for (level, l) in levels.iter().zip(0u32..) {
            path.extend(self.nodes(dealing, level, ticket >> l ^ 1, 1)?);
        }
        Ok(TicketPath {
            ticket,
            commitments,
            path,
        })
    }
}
