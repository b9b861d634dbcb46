//! What the log adds up to (CST-1): a function of its records alone. A record
//! that the store would not have written is damage.

use crate::{
    dealing::{Dealing, Package, QuorumSet, Stream},
    peers::Known,
    record::{Record, Spent},
};
use std::collections::{BTreeMap, BTreeSet};
use veilbourse_core::digest::Digest;
use veilbourse_protocol::Shape;

/// Where a dealing is (CST-4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Its streams are coming.
    Receiving,
    /// All are here, as announced.
    Received,
    /// Its MAC check is being answered: not seen to pass, it freezes the quorum.
    Checking,
    /// Its check passed.
    Verified,
    /// Its tickets may be spent.
    Usable,
    /// It is not what it says; destroyed.
    Refused,
    /// Frozen, replaced or retired; destroyed.
    Destroyed,
}

impl Stage {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Receiving => "receiving",
            Self::Received => "received",
            Self::Checking => "checking",
            Self::Verified => "verified",
            Self::Usable => "usable",
            Self::Refused => "refused",
            Self::Destroyed => "destroyed",
        }
    }
    /// Whether its files are there.
    pub fn alive(self) -> bool {
        self < Self::Refused
    }
}

/// A dealing, as far as it is.
#[derive(Debug, Clone)]
pub struct DealingState {
    /// The announcement.
    pub dealing: Dealing,
    /// This node's package.
    pub package: Package,
    /// This node's party number.
    pub party: u8,
    /// The class's shape.
    pub shape: Shape,
    /// Where it is.
    pub stage: Stage,
    /// Bytes of each stream on disk.
    pub received: [u64; 4],
    /// How often one of them came otherwise than announced.
    pub resent: u32,
    /// The first unspent ticket.
    pub next: u64,
}

impl DealingState {
    /// Bytes of a stream.
    pub fn total(&self, stream: Stream) -> u64 {
        let proof = self.package.proof_bytes;
        let party = self.party;
        self.dealing.stream_bytes(stream, &self.shape, party, proof)
    }
    /// Whether this party's shares are stored.
    pub fn last_party(&self) -> bool {
        self.party + 1 == self.dealing.quorum.parties()
    }
    /// Unspent tickets that may still be spent here.
    pub fn remaining(&self) -> u64 {
        match self.stage {
            Stage::Usable => self.dealing.end().saturating_sub(self.next),
            _ => 0,
        }
    }
}

/// Where a session is (CST-6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionStage {
    /// Its tickets are spent.
    Spent,
    /// Its check is being answered: not seen to pass, it freezes the quorum.
    CheckPending,
    /// The check passed.
    CheckPassed,
    /// Signed: this y.
    Signed(Vec<u64>),
    /// The mask shares went to the buyer: this y.
    Released(Vec<u64>),
    /// Over, nothing signed.
    Abandoned,
    /// Signed and given up for good: its mask shares never left and never will.
    Forgone,
}

impl SessionStage {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Spent => "spent",
            Self::CheckPending => "check pending",
            Self::CheckPassed => "check passed",
            Self::Signed(_) => "signed",
            Self::Released(_) => "released",
            Self::Abandoned => "abandoned",
            Self::Forgone => "forgone",
        }
    }
    /// Whether its outputs may be opened by another (OPN-6): this node's mask
    /// shares of it never left and never will.
    pub fn given_up(&self) -> bool {
        matches!(self, Self::Abandoned | Self::Forgone)
    }
    /// Whether nothing of it was signed yet.
    pub fn unsigned(&self) -> bool {
        matches!(self, Self::Spent | Self::CheckPending | Self::CheckPassed)
    }
}

/// A session.
#[derive(Debug, Clone)]
pub struct Session {
    /// What was spent.
    pub spent: Spent,
    /// Where it is.
    pub stage: SessionStage,
    /// Whether it opens the public key (CST-13).
    pub key: bool,
}

impl Session {
    /// Stages of a dealing whose tickets serve it.
    pub(crate) fn stages(&self) -> &'static [Stage] {
        if self.key {
            &[Stage::Verified, Stage::Usable]
        } else {
            &[Stage::Usable]
        }
    }
}

/// What a log belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// D.
    pub dataset: Digest,
    /// n.
    pub nodes: u8,
    /// t.
    pub threshold: u8,
    /// This node's number.
    pub node: u8,
    /// Its key.
    pub key: [u8; 32],
}

/// Everything that the log says.
#[derive(Debug, Clone, Default)]
pub struct State {
    pub(crate) owner: Option<Owner>,
    pub(crate) dealings: BTreeMap<Digest, DealingState>,
    pub(crate) sessions: BTreeMap<Digest, Session>,
    /// The latest session of each output.
    pub(crate) openings: BTreeMap<(Digest, u32), Digest>,
    /// The least next attempt of an order in a quorum.
    pub(crate) attempts: BTreeMap<(Digest, QuorumSet), u32>,
    pub(crate) floors: BTreeMap<QuorumSet, u32>,
    /// The seed of each epoch, also after it was destroyed.
    pub(crate) seeds: BTreeMap<(QuorumSet, u32), Digest>,
    pub(crate) frozen: BTreeMap<QuorumSet, String>,
    /// The public key of each epoch whose check passed (CST-13).
    pub(crate) keys: BTreeMap<(QuorumSet, u32), Digest>,
    pub(crate) peers: BTreeMap<u8, Known>,
    pub(crate) retired: bool,
    pub(crate) rolled_back: Option<(u64, Digest)>,
}

type Applied = Result<(), String>;

fn expect(holds: bool, what: &str) -> Applied {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

impl State {
    /// Takes one record in.
    pub fn apply(&mut self, record: Record) -> Applied {
        let first = matches!(record, Record::Initialised { .. });
        expect(first == self.owner.is_none(), "initialised once, and first")?;
        match record {
            Record::Initialised {
                dataset,
                nodes,
                threshold,
                node,
                key,
            } => {
                self.owner = Some(Owner {
                    dataset,
                    nodes,
                    threshold,
                    node,
                    key,
                });
                Ok(())
            }
            Record::Begun { dealing, package } => self.begun(*dealing, package),
            Record::Progress {
                dealing,
                stream,
                bytes,
            } => {
                let d = self.at(&dealing, &[Stage::Receiving])?;
                expect(bytes <= d.total(stream), "no more than there is")?;
                if let Some(r) = d.received.get_mut(stream.index()) {
                    *r = bytes;
                }
                // Only a stream that is to be sent again goes back to nothing.
                d.resent = d.resent.saturating_add((bytes == 0).into());
                Ok(())
            }
            Record::Received(d) => self.step(&d, &[Stage::Receiving], Stage::Received),
            Record::Checking(d) => self.step(&d, &[Stage::Received], Stage::Checking),
            Record::Verified(d) => self.step(&d, &[Stage::Checking], Stage::Verified),
            Record::Activated(dealings) => self.activated(&dealings),
            Record::Refused { dealing, .. } => {
                let from = [Stage::Receiving, Stage::Received, Stage::Verified];
                let d = &self.at(&dealing, &from)?.dealing;
                if d.with_key {
                    // The epoch's next carrier may hold another key.
                    let at = (d.quorum, d.epoch);
                    self.keys.remove(&at);
                }
                self.step(&dealing, &from, Stage::Refused)
            }
            Record::Spent(spent) => self.spent(spent, false),
            Record::KeyTest(spent) => self.spent(spent, true),
            Record::KeyChecked { quorum, epoch, key } => {
                let old = self.keys.insert((quorum, epoch), key);
                expect(old.is_none_or(|old| old == key), "one public key an epoch")
            }
            Record::CheckPending(s) => {
                let from = |s: &_| matches!(s, SessionStage::Spent);
                self.session(&s, from, SessionStage::CheckPending)
            }
            Record::CheckPassed(s) => {
                let from = |s: &_| matches!(s, SessionStage::CheckPending);
                self.session(&s, from, SessionStage::CheckPassed)
            }
            Record::Signed { session, y } => {
                let from = |s: &_| matches!(s, SessionStage::CheckPassed);
                self.session(&session, from, SessionStage::Signed(y))
            }
            Record::Released(s) => {
                let s = self.sessions.get_mut(&s).ok_or("a session unknown")?;
                let SessionStage::Signed(y) = &mut s.stage else {
                    return Err("a session in another stage".into());
                };
                s.stage = SessionStage::Released(std::mem::take(y));
                Ok(())
            }
            Record::Abandoned(s) => {
                let from = |s: &_| matches!(s, SessionStage::Spent | SessionStage::CheckPassed);
                self.session(&s, from, SessionStage::Abandoned)
            }
            Record::Forgone(s) => {
                let key = self.sessions.get(&s).is_some_and(|s| s.key);
                expect(!key, "a key's check is not forgone")?;
                let from = |s: &_| matches!(s, SessionStage::Signed(_));
                self.session(&s, from, SessionStage::Forgone)
            }
            Record::Frozen { quorum, why } => {
                self.freeze(quorum);
                self.frozen.insert(quorum, why);
                Ok(())
            }
            Record::RolledBack { signed, head } => {
                self.rolled_back = Some((signed, head));
                self.freeze_all();
                Ok(())
            }
            Record::Retired => {
                self.retired = true;
                self.freeze_all();
                Ok(())
            }
            Record::Peer { signed, heard } => {
                let known = self.peers.entry(signed.statement.node).or_default();
                known.keep(*signed, heard);
                Ok(())
            }
        }
    }

    fn begun(&mut self, dealing: Dealing, package: Package) -> Applied {
        let node = self.owner.as_ref().map_or(0, |o| o.node);
        let party = dealing.quorum.party_of(node);
        let party = party.ok_or("a dealing of a quorum without this node")?;
        let key = (dealing.quorum, dealing.epoch);
        let seed = *self.seeds.entry(key).or_insert(package.seed);
        expect(seed == package.seed, "one seed an epoch")?;
        let digest = dealing.digest();
        expect(
            !self.dealings.contains_key(&digest),
            "a dealing begins once",
        )?;
        let shape = dealing.shape();
        self.dealings.insert(
            digest,
            DealingState {
                next: dealing.first,
                dealing,
                package,
                party,
                shape,
                stage: Stage::Receiving,
                received: [0; 4],
                resent: 0,
            },
        );
        Ok(())
    }

    fn at(&mut self, dealing: &Digest, from: &[Stage]) -> Result<&mut DealingState, String> {
        let d = self.dealings.get_mut(dealing).ok_or("a dealing unknown")?;
        expect(from.contains(&d.stage), "a dealing in another stage")?;
        Ok(d)
    }

    fn step(&mut self, dealing: &Digest, from: &[Stage], to: Stage) -> Applied {
        self.at(dealing, from)?.stage = to;
        Ok(())
    }

    /// CST-9: usable, and earlier epochs of the quorum are destroyed.
    fn activated(&mut self, dealings: &[Digest]) -> Applied {
        for digest in dealings {
            let d = self.at(digest, &[Stage::Verified])?;
            d.stage = Stage::Usable;
            let (quorum, epoch) = (d.dealing.quorum, d.dealing.epoch);
            self.destroy_below(quorum, epoch);
            self.frozen.remove(&quorum);
        }
        Ok(())
    }

    fn spent(&mut self, spent: Spent, key: bool) -> Applied {
        let session = Session {
            stage: SessionStage::Spent,
            spent,
            key,
        };
        let spent = &session.spent;
        let d = self.at(&spent.dealing, session.stages())?;
        let (first, end) = spent.tickets();
        let within = d.next <= first && first < end && end <= d.dealing.end();
        expect(within, "tickets that were spent, or are not there")?;
        d.next = end;
        let quorum = d.dealing.quorum;
        if !key {
            let attempt = spent.attempt.saturating_add(1);
            self.attempts.insert((spent.order, quorum), attempt);
            for o in &spent.outputs {
                self.openings.insert((spent.order, o.output), spent.session);
            }
        }
        let new = self.sessions.insert(session.spent.session, session);
        expect(new.is_none(), "a session spends once")
    }

    fn session(
        &mut self,
        session: &Digest,
        from: impl Fn(&SessionStage) -> bool,
        to: SessionStage,
    ) -> Applied {
        let s = self.sessions.get_mut(session).ok_or("a session unknown")?;
        expect(from(&s.stage), "a session in another stage")?;
        s.stage = to;
        Ok(())
    }

    /// CST-8: epochs of a quorum below `epoch` are destroyed, and what they
    /// opened and did not sign is over.
    fn destroy_below(&mut self, quorum: QuorumSet, epoch: u32) {
        let floor = self.floors.entry(quorum).or_default();
        *floor = epoch.max(*floor);
        let mut gone = BTreeSet::new();
        for (digest, d) in &mut self.dealings {
            if d.dealing.quorum == quorum && d.dealing.epoch < epoch && d.stage.alive() {
                d.stage = Stage::Destroyed;
                gone.insert(*digest);
            }
        }
        for s in self.sessions.values_mut() {
            if s.stage.unsigned() && gone.contains(&s.spent.dealing) {
                s.stage = SessionStage::Abandoned;
            }
        }
    }

    fn freeze(&mut self, quorum: QuorumSet) {
        let epochs = self.seeds.keys().filter(|(q, _)| *q == quorum);
        let next = epochs.map(|(_, e)| e.saturating_add(1)).max();
        self.destroy_below(quorum, next.unwrap_or_default());
    }

    fn freeze_all(&mut self) {
        let quorums: BTreeSet<_> = self.seeds.keys().map(|(q, _)| *q).collect();
        for quorum in quorums {
            self.freeze(quorum);
        }
    }

    /// A dealing.
    pub fn dealing(&self, dealing: &Digest) -> Option<&DealingState> {
        self.dealings.get(dealing)
    }
    /// Every dealing that ever began here.
    pub fn dealings(&self) -> impl Iterator<Item = (&Digest, &DealingState)> {
        self.dealings.iter()
    }
    /// A session.
    pub fn session_of(&self, session: &Digest) -> Option<&Session> {
        self.sessions.get(session)
    }
    /// The least epoch of a quorum that is not destroyed.
    pub fn floor(&self, quorum: QuorumSet) -> u32 {
        self.floors.get(&quorum).copied().unwrap_or_default()
    }
    /// Why a quorum is frozen, until it is dealt to anew.
    pub fn frozen(&self, quorum: QuorumSet) -> Option<&str> {
        self.frozen.get(&quorum).map(String::as_str)
    }
    /// The public key of an epoch whose check passed (CST-13).
    pub fn key_checked(&self, quorum: QuorumSet, epoch: u32) -> Option<&Digest> {
        self.keys.get(&(quorum, epoch))
    }
    /// Every session that ever spent here.
    pub fn sessions(&self) -> impl Iterator<Item = (&Digest, &Session)> {
        self.sessions.iter()
    }
    /// Whether the node was retired.
    pub fn retired(&self) -> bool {
        self.retired
    }
    /// Whether the node was restored from an old copy: the records and the head
    /// that it had signed.
    pub fn rolled_back(&self) -> Option<(u64, Digest)> {
        self.rolled_back
    }

    /// Dealings of an epoch, destroyed and refused ones too.
    pub(crate) fn of_epoch(
        &self,
        quorum: QuorumSet,
        epoch: u32,
    ) -> impl Iterator<Item = (&Digest, &DealingState)> {
        let of = move |d: &Dealing| d.quorum == quorum && d.epoch == epoch;
        self.dealings.iter().filter(move |(_, d)| of(&d.dealing))
    }

    /// The dealing that carries the key of an epoch.
    pub(crate) fn key_of(&self, quorum: QuorumSet, epoch: u32) -> Option<(&Digest, &DealingState)> {
        let mut all = self.of_epoch(quorum, epoch);
        all.find(|(_, d)| d.dealing.with_key && d.stage.alive())
    }
}
