//! One other party of a session: which of its messages are admitted, and which
//! wait to be read (PEER-4, PEER-5). No I/O.

use crate::{
    error::{Leave, PeerError, Violation},
    frame::{Header, Kind},
    settings::EARLY_BYTES,
};
use std::collections::{BTreeMap, BTreeSet};
use veilbourse_core::digest::{Digest, Domain};

/// How long the messages of a kind are, by step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Bytes of each step.
    pub lengths: Vec<u32>,
    /// Whether shorter ones are refused, too.
    pub exact: bool,
}

impl Expected {
    pub(crate) fn longest(&self) -> u32 {
        self.lengths.iter().copied().max().unwrap_or_default()
    }
    /// The most that two consecutive steps take.
    pub(crate) fn two_longest(&self) -> u64 {
        let next = self.lengths.iter().skip(1).chain([&0]);
        let pairs = self.lengths.iter().zip(next);
        let sums = pairs.map(|(a, b)| u64::from(*a) + u64::from(*b));
        sums.max().unwrap_or_default()
    }
    /// PEER-4: the length of this step.
    fn check(&self, header: &Header) -> Result<(), Violation> {
        let Some(limit) = self.lengths.get(usize::from(header.step)) else {
            return Err(Violation::Step {
                kind: header.kind,
                found: header.step,
                now: self.lengths.len().saturating_sub(1) as u8,
            });
        };
        if header.length > *limit || (self.exact && header.length != *limit) {
            return Err(header.too_long(*limit));
        }
        Ok(())
    }
}

/// What a message is recognised by when it comes again.
fn message_digest(payload: &[u8]) -> Digest {
    Digest::of(Domain::Other("veilbourse v1 peer message"), payload)
}

/// One other party.
pub(crate) struct Party {
    pub(crate) node: u8,
    waiting: BTreeMap<(Kind, u8), Vec<u8>>,
    seen: BTreeMap<(Kind, u8), Digest>,
    /// What had come before this connection, and may come once more on it: a peer
    /// does not know what was lost. On one connection TLS delivers once, in order.
    again: BTreeSet<(Kind, u8)>,
    pub(crate) left: Option<Leave>,
    pub(crate) broke: Option<Violation>,
}

impl Party {
    pub(crate) fn new(node: u8) -> Self {
        Self {
            node,
            waiting: BTreeMap::new(),
            seen: BTreeMap::new(),
            again: BTreeSet::new(),
            left: None,
            broke: None,
        }
    }

    /// PEER-7: what was on its way may come again.
    pub(crate) fn reconnected(&mut self) {
        self.again = self.seen.keys().copied().collect();
    }

    /// PEER-4, PEER-5: `sent` is the last step of this kind that this node sent.
    /// A party may be in that step or the next, whose message it sends when it
    /// has this one.
    pub(crate) fn admit(
        &self,
        header: &Header,
        expected: Option<&Expected>,
        sent: Option<u8>,
    ) -> Result<(), Violation> {
        match expected {
            Some(e) => e.check(header)?,
            None if header.length > EARLY_BYTES => return Err(header.too_long(EARLY_BYTES)),
            None => {}
        }
        if self.seen.contains_key(&(header.kind, header.step)) {
            return Ok(());
        }
        let now = sent.unwrap_or_default();
        let next = if sent.is_some() {
            now.saturating_add(1)
        } else {
            0
        };
        if header.step < now || header.step > next {
            return Err(Violation::Step {
                kind: header.kind,
                found: header.step,
                now,
            });
        }
        Ok(())
    }

    /// Keeps a message. The same once more on a new connection is dropped; any
    /// other of the same step is refused.
    pub(crate) fn take(&mut self, header: &Header, payload: Vec<u8>) -> Result<(), Violation> {
        let Header { kind, step, .. } = *header;
        let digest = message_digest(&payload);
        if let Some(seen) = self.seen.get(&(kind, step)) {
            if !self.again.remove(&(kind, step)) || *seen != digest {
                return Err(Violation::Repeated { kind, step });
            }
            return Ok(());
        }
        self.seen.insert((kind, step), digest);
        self.waiting.insert((kind, step), payload);
        Ok(())
    }

    /// What came before its length was known has it.
    pub(crate) fn recheck(
        &mut self,
        session: &Digest,
        kind: Kind,
        expected: &Expected,
    ) -> Result<(), Violation> {
        let of_kind: BTreeSet<u8> = self
            .waiting
            .keys()
            .filter(|k| k.0 == kind)
            .map(|k| k.1)
            .collect();
        for step in of_kind {
            let length = self.waiting.get(&(kind, step)).map_or(0, Vec::len) as u32;
            expected.check(&Header {
                kind,
                step,
                session: *session,
                length,
            })?;
        }
        Ok(())
    }

    pub(crate) fn has(&self, kind: Kind, step: u8) -> bool {
        self.waiting.contains_key(&(kind, step))
    }

    pub(crate) fn remove(&mut self, kind: Kind, step: u8) -> Option<Vec<u8>> {
        self.waiting.remove(&(kind, step))
    }

    /// PEER-8: it has not left without this message, and broke no rule.
    pub(crate) fn still_there(&self, kind: Kind, step: u8) -> Result<(), PeerError> {
        let (peer, round) = (self.node, step);
        if let Some(violation) = self.broke.clone() {
            return Err(PeerError::PeerBroke {
                peer,
                round,
                violation,
            });
        }
        match self.left {
            Some(reason) if !self.has(kind, step) => Err(PeerError::PeerLeft {
                peer,
                round,
                reason,
            }),
            _ => Ok(()),
        }
    }
}
