//! Exchanging signed counters (CST-11), and what is left (CST-12).

use crate::{
    dealing::QuorumSet,
    disk::Disk,
    error::StoreError,
    record::Record,
    state::Stage,
    statement::{Counter, SignedStatement, Statement, continues},
    store::Store,
};
use ed25519_dalek::SigningKey;
use veilbourse_core::{
    digest::Digest,
    wire::{Reader, WireError, Writer},
};
use veilbourse_protocol::MAX_NODES;

/// Most statements that a node holds: of each node what it said itself, and
/// what others heard.
const MAX_HELD: u32 = 2 * MAX_NODES as u32;
/// Most bytes of them.
pub const MAX_HELD_BYTES: usize = 4 + MAX_HELD as usize * (4 + crate::statement::MAX_STATEMENT);

/// The first message of an exchange: every statement that a node holds, of the
/// one it speaks to among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held(pub Vec<SignedStatement>);

impl Held {
    /// The canonical encoding (WIRE-1).
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.len(self.0.len());
        for s in &self.0 {
            out.bytes(&s.encode());
        }
        out.finish()
    }
    /// Reads one (WIRE-2).
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let limit = crate::statement::MAX_STATEMENT as u32;
        let mut input = Reader::new(bytes);
        let n = input.len("held counters", MAX_HELD)?;
        let mut held = Vec::new();
        for _ in 0..n {
            held.push(SignedStatement::decode(
                input.bytes("held counters", limit)?,
            )?);
        }
        input.finish("held counters")?;
        Ok(Self(held))
    }
}

/// What is known of a peer.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The newest statement that it made to this node.
    pub said: Option<SignedStatement>,
    /// A newer one that another node holds. It does not replace what was said
    /// here: a node that is an old copy, and was not told yet, may have made it.
    pub heard: Option<SignedStatement>,
}

impl Known {
    pub(crate) fn all(&self) -> impl Iterator<Item = &SignedStatement> {
        self.said.iter().chain(&self.heard)
    }
    pub(crate) fn keep(&mut self, signed: SignedStatement, heard: bool) {
        if heard {
            self.heard = Some(signed);
        } else {
            *self = Self {
                said: Some(signed),
                heard: None,
            };
        }
    }
}

/// What is left of a dealing, from the log alone (CST-12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The quorum.
    pub quorum: QuorumSet,
    /// Its epoch.
    pub epoch: u32,
    /// The class.
    pub class: Digest,
    /// The dealing.
    pub dealing: Digest,
    /// Where it is.
    pub stage: Stage,
    /// Tickets dealt: what the privacy budget was charged for.
    pub dealt: u64,
    /// Tickets spent or passed over.
    pub spent: u64,
    /// Tickets that may still be spent: none unless it is usable.
    pub remaining: u64,
}

impl<D: Disk> Store<D> {
    fn counters(&self) -> Statement {
        let usable = self.state.dealings.iter();
        let usable = usable.filter(|(_, d)| d.stage == Stage::Usable);
        let counters = usable.map(|(digest, d)| Counter {
            quorum: d.dealing.quorum,
            epoch: d.dealing.epoch,
            dealing: *digest,
            class: d.dealing.class.digest(),
            next: d.next,
        });
        let floors = self.state.floors.iter();
        Statement {
            dataset: self.config.dataset,
            custodian: self.config.custodian,
            committee: {
                let committee = &self.config.committee;
                (committee.nodes(), committee.threshold())
            },
            node: self.config.node,
            sequence: self.log.records(),
            head: self.log.head(),
            retired: self.state.retired || self.state.rolled_back.is_some(),
            floors: floors.map(|(q, e)| (*q, *e)).collect(),
            counters: counters.collect(),
        }
    }

    /// The first message of an exchange.
    pub fn held(&self) -> Result<Held, StoreError> {
        self.running()?;
        let known = self.state.peers.values();
        Ok(Held(known.flat_map(Known::all).cloned().collect()))
    }

    /// Hears a peer's first message (CST-11). If it holds a statement of this
    /// node that the log here lacks, this is an old copy: everything is
    /// destroyed. What is new of third nodes is on disk when this returns.
    pub fn recall(&mut self, from: u8, held: &Held) -> Result<(), StoreError> {
        self.serving()?;
        let own = self.config.node;
        for signed in held.0.iter().filter(|s| s.statement.node == own) {
            self.own_past(signed)?;
        }
        for signed in &held.0 {
            let node = signed.statement.node;
            // What is older, or of a key it had before, is no fault of whoever
            // holds it.
            if node != own && node != from && self.of_peer(node, signed).is_ok() {
                self.keep(signed, true)?;
            }
        }
        self.recalled.extend(self.shared(from));
        Ok(())
    }

    /// The second message: this node's counters as its log stands on disk
    /// (CST-10), for a peer whose first message it has heard. Before that it
    /// says nothing: from an old copy it would take the place of what the peer
    /// holds.
    pub fn statement(&self, peer: u8, key: &SigningKey) -> Result<SignedStatement, StoreError> {
        self.running()?;
        let own = self.config.key(self.config.node).copied();
        let found = key.verifying_key().to_bytes();
        if own != Some(found) {
            return Err(StoreError::Statement {
                field: "key",
                found: Digest(found).to_string(),
                expected: Digest(own.unwrap_or_default()).to_string(),
            });
        }
        let over = self.state.retired || self.state.rolled_back.is_some();
        let heard = self.recalled.iter().any(|(_, p)| *p == peer);
        if !heard && !over {
            return Err(StoreError::NotMet { peer });
        }
        Ok(SignedStatement::sign(self.counters(), key))
    }

    /// Hears a peer's second message (CST-11): it must continue what is known of
    /// it. It is on disk when this returns.
    pub fn meet(&mut self, from: u8, signed: &SignedStatement) -> Result<(), StoreError> {
        self.serving()?;
        self.of_peer(from, signed)?;
        self.keep(signed, false)?;
        if signed.statement.retired {
            return Err(StoreError::PeerRetired { peer: from });
        }
        self.met.extend(self.shared(from));
        Ok(())
    }

    /// This node's quorums with a peer.
    fn shared(&self, peer: u8) -> Vec<(QuorumSet, u8)> {
        let quorums = self.config.committee.quorums();
        let quorums = quorums.iter().map(QuorumSet::of);
        let own = self.config.node;
        let with = |q: &QuorumSet| q.party_of(own).is_some() && q.party_of(peer).is_some();
        quorums.filter(with).map(|q| (q, peer)).collect()
    }

    /// CST-11: what this node has signed is in its log.
    fn own_past(&mut self, held: &SignedStatement) -> Result<(), StoreError> {
        let key = self.config.key(self.config.node).copied();
        if Some(held.key) != key {
            // Of the node that this one replaces: not its past.
            return Ok(());
        }
        let config = &self.config;
        held.verify(config, config.node, &held.key)?;
        let s = &held.statement;
        let head = match s.sequence.checked_sub(1) {
            None => Some(Digest::default()),
            Some(at) => usize::try_from(at)
                .ok()
                .and_then(|at| self.heads.get(at).copied()),
        };
        if head == Some(s.head) {
            return Ok(());
        }
        self.commit(Record::RolledBack {
            signed: s.sequence,
            head: s.head,
        })?;
        self.sweep()?;
        self.serving()
    }

    /// CST-11: a peer's statement is signed and continues the newest known one.
    /// A peer with another key than before is another node (CST-9).
    fn of_peer(&self, peer: u8, signed: &SignedStatement) -> Result<(), StoreError> {
        let key = self.config.key(peer).filter(|_| peer != self.config.node);
        let key = key.ok_or_else(|| StoreError::Statement {
            field: "node",
            found: peer.to_string(),
            expected: format!("another than {}", self.config.node),
        })?;
        let config = &self.config;
        signed.verify(config, peer, key)?;
        let known = self.state.peers.get(&peer);
        let known = known.into_iter().flat_map(Known::all);
        for known in known.filter(|k| k.key == signed.key) {
            continues(&known.statement, &signed.statement)?;
        }
        Ok(())
    }

    fn keep(&mut self, signed: &SignedStatement, heard: bool) -> Result<(), StoreError> {
        let known = self.state.peers.get(&signed.statement.node);
        let same = |s: &SignedStatement| s.statement == signed.statement && s.key == signed.key;
        let there = known.is_some_and(|k| match heard {
            true => k.all().any(same),
            false => k.said.as_ref().is_some_and(same),
        });
        if there {
            return Ok(());
        }
        let signed = Box::new(signed.clone());
        self.commit(Record::Peer { signed, heard })
    }

    /// What is known of a peer.
    pub fn known(&self, peer: u8) -> Option<&Known> {
        self.state.peers.get(&peer)
    }

    /// What is left of every dealing, destroyed ones too (CST-12).
    pub fn counts(&self) -> Vec<Count> {
        let all = self.state.dealings.iter();
        all.map(|(digest, d)| Count {
            quorum: d.dealing.quorum,
            epoch: d.dealing.epoch,
            class: d.dealing.class.digest(),
            dealing: *digest,
            stage: d.stage,
            dealt: d.dealing.count,
            spent: d.next.saturating_sub(d.dealing.first),
            remaining: d.remaining(),
        })
        .collect()
    }

    /// What a quorum may still open under a class.
    pub fn remaining(&self, quorum: QuorumSet, class: &Digest) -> u64 {
        let counts = self.counts().into_iter();
        let of = counts.filter(|c| c.quorum == quorum && c.class == *class);
        of.map(|c| c.remaining).sum()
    }
}
