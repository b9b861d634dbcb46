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

/// What a node tells a peer when a session begins: its own counters, and the
/// newest that it holds of every other node, the peer among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// Of itself.
    pub own: SignedStatement,
    /// Of others.
    pub held: Vec<SignedStatement>,
}

impl Greeting {
    /// The canonical encoding (WIRE-1).
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.bytes(&self.own.encode()).len(self.held.len());
        for s in &self.held {
            out.bytes(&s.encode());
        }
        out.finish()
    }
    /// Reads one (WIRE-2).
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let limit = crate::statement::MAX_STATEMENT as u32;
        let mut input = Reader::new(bytes);
        let own = SignedStatement::decode(input.bytes("own counters", limit)?)?;
        let n = input.len("held counters", MAX_NODES.into())?;
        let mut held = Vec::new();
        for _ in 0..n {
            held.push(SignedStatement::decode(
                input.bytes("held counters", limit)?,
            )?);
        }
        input.finish("greeting")?;
        Ok(Self { own, held })
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
    /// This node's counters, as its log stands on disk (CST-10).
    pub fn statement(&self, key: &SigningKey) -> Result<SignedStatement, StoreError> {
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
        let statement = Statement {
            dataset: self.config.dataset,
            node: self.config.node,
            sequence: self.log.records(),
            head: self.log.head(),
            retired: self.state.retired || self.state.rolled_back.is_some(),
            floors: floors.map(|(q, e)| (*q, *e)).collect(),
            counters: counters.collect(),
        };
        Ok(SignedStatement::sign(statement, key))
    }

    /// What to tell every member when a session begins.
    pub fn greeting(&self, key: &SigningKey) -> Result<Greeting, StoreError> {
        Ok(Greeting {
            own: self.statement(key)?,
            held: self.state.peers.values().cloned().collect(),
        })
    }

    /// Hears a peer's greeting (CST-11). What it holds of this node is looked at
    /// first: if the log here lacks it, this is an old copy, and everything is
    /// destroyed. Then the peer must continue what it has signed before. Its
    /// newest statement is on disk when this returns.
    pub fn meet(&mut self, from: u8, greeting: &Greeting) -> Result<(), StoreError> {
        self.serving()?;
        for held in &greeting.held {
            if held.statement.node == self.config.node {
                self.own_past(held)?;
            }
        }
        for held in &greeting.held {
            let node = held.statement.node;
            if node != self.config.node && node != from {
                // Of a third node: what is older, or of a key it had before, is
                // no fault of whoever holds it.
                if self.of_peer(node, held).is_ok() {
                    self.keep(held)?;
                }
            }
        }
        self.of_peer(from, &greeting.own)?;
        self.keep(&greeting.own)?;
        if greeting.own.statement.retired {
            return Err(StoreError::PeerRetired { peer: from });
        }
        self.met.insert(from);
        Ok(())
    }

    /// CST-11: what this node has signed is in its log.
    fn own_past(&mut self, held: &SignedStatement) -> Result<(), StoreError> {
        let key = self.config.key(self.config.node).copied();
        if Some(held.key) != key {
            // Of the node that this one replaces: not its past.
            return Ok(());
        }
        held.verify(&self.config.dataset, self.config.node, &held.key)?;
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
        signed.verify(&self.config.dataset, peer, key)?;
        let known = self.state.peers.get(&peer);
        match known.filter(|k| k.key == signed.key) {
            Some(known) => continues(&known.statement, &signed.statement),
            None => Ok(()),
        }
    }

    fn keep(&mut self, signed: &SignedStatement) -> Result<(), StoreError> {
        let known = self.state.peers.get(&signed.statement.node);
        if known.is_some_and(|k| k.statement == signed.statement && k.key == signed.key) {
            return Ok(());
        }
        self.commit(Record::Peer(Box::new(signed.clone())))
    }

    /// The newest statement that this node holds of a peer.
    pub fn known(&self, peer: u8) -> Option<&SignedStatement> {
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
