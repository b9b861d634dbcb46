//! Whole committees over thousands of seeds: openings, checks and new epochs
//! under crashes at any await and any step of a disk, restarts, restores of old
//! copies, partitions, late and repeated messages, and a node that lies. What
//! must never happen is looked at after every step: CST-6, CST-7, CST-8, CST-11,
//! CST-12, OPN-3, OPN-4, OPN-6, QRM-2..5, QRM-9.
//!
//! QUORUM_SEEDS says how many seeds, QUORUM_FIRST the first; QUORUM_TALLY shows
//! what happened (2: every error), by failing at the end.
//!
//! In one file: world, faults and invariants are read together or not at all.

mod support;

use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};
use support::{
    disk::Copy,
    sim::{self, Flight, Scheduler, Step},
    *,
};
use veilbourse_core::{digest::Digest, field::Fq};
use veilbourse_peers::Kind;
use veilbourse_quorum::{deal::Dealt, *};
use veilbourse_ticket_store::*;

const SEEDS: u64 = 2000;
const TICKETS: u64 = 40;
const EPOCHS: u32 = 3;
const ORDERS: u64 = 4;
/// The round in which sigma leaves, at K = 26.
const SIGMA: u8 = 10;

/// One committee's dealings, made once for all seeds.
struct Ground {
    world: World,
    dealings: Dealings,
    copies: Vec<Copy>,
}

impl Ground {
    fn new(nodes: u8, threshold: u8) -> Self {
        let world = World::new(nodes, threshold, 1);
        let mut dealings = Dealings::new();
        for quorum in world.committee.quorums() {
            let members = quorum.members().to_vec();
            let deal = |epoch| world.deal(&world.plan(&members, epoch, 0, TICKETS));
            dealings.insert(members.clone(), (0..EPOCHS).map(deal).collect());
        }
        let copies = usable(&world, &dealings);
        Self {
            world,
            dealings,
            copies,
        }
    }
}

/// What came out of the nodes, whatever became of them since.
#[derive(Default)]
struct Ledger {
    /// By node, order and output: the session and the y that it signed last.
    signed: BTreeMap<(u8, Digest, u32), (Digest, Vec<Fq>)>,
    /// Everything that it signed, by node and session.
    ever: BTreeMap<(u8, Digest), Vec<Fq>>,
    /// What it forwent, by its log.
    forgone: BTreeSet<(u8, Digest)>,
    released: BTreeMap<(u8, Digest, u32), Digest>,
    /// Parts that the buyer has, by session.
    parts: BTreeMap<Digest, (Outcome, BTreeMap<u8, Vec<Released>>)>,
    accepted: BTreeMap<Digest, Vec<i64>>,
    /// Nodes of which nothing is asserted: they lie, or are old copies.
    exempt: BTreeSet<u8>,
    liar: Option<u8>,
    resumed: u64,
    /// Signatures of an output whose earlier session was forgone.
    again: u64,
    refused_masks: u64,
    ends: BTreeMap<String, u64>,
}

impl Ledger {
    fn end(&mut self, what: &str, e: &QuorumError) {
        let text = format!("{e:?}");
        if std::env::var("QUORUM_TALLY").is_ok_and(|v| v == "2") {
            *self.ends.entry(format!("{what} {text}")).or_default() += 1;
        }
        let name = text.split(['(', ' ', '{']).take(2).collect::<Vec<_>>();
        *self
            .ends
            .entry(format!("{what} {}", name.join(" ")))
            .or_default() += 1;
    }
}

type Shared = Arc<Mutex<Ledger>>;

struct Notary {
    node: u8,
    ledger: Shared,
}

impl Signer for Notary {
    fn limit(&self) -> u32 {
        32
    }
    fn sign(&self, outcome: &Outcome) -> Result<Vec<u8>, String> {
        let mut ledger = self.ledger.lock().unwrap();
        if !ledger.exempt.contains(&self.node) {
            for o in &outcome.binding.outputs {
                let at = (self.node, outcome.binding.order, o.output);
                let now = (outcome.session, outcome.y.clone());
                let before = ledger.signed.insert(at, now.clone());
                if let Some(before) = before.filter(|b| *b != now) {
                    let gone = (self.node, before.0);
                    assert!(before.0 != now.0, "a session is signed with one y");
                    let late = ledger.ever.contains_key(&(self.node, now.0));
                    assert!(!late, "what was forgone is not signed anew");
                    assert!(
                        ledger.forgone.contains(&gone),
                        "an output is signed once but for what was forgone"
                    );
                    ledger.again += 1;
                }
            }
            let at = (self.node, outcome.session);
            ledger.ever.insert(at, outcome.y.clone());
        }
        Ok(signature(self.node, outcome))
    }
    fn check(&self, node: u8, outcome: &Outcome, bytes: &[u8]) -> Result<(), String> {
        TestSigner { node: self.node }.check(node, outcome, bytes)
    }
}

struct Node {
    keeper: Arc<Keeper<SimDisk>>,
    up: bool,
    /// The session that a ticket's shares left for.
    exposed: BTreeMap<(Digest, u64), Digest>,
    /// Sessions whose sigma left.
    pending: BTreeSet<Digest>,
    floors: BTreeMap<QuorumSet, u32>,
    remaining: BTreeMap<Digest, u64>,
    records: u64,
    stated: u64,
    copy: Option<(Copy, u64)>,
    old: bool,
}

#[derive(Default, Debug)]
struct Tally {
    accepted: u64,
    crashes: u64,
    frozen: u64,
    epochs: u64,
    resumed: u64,
    restores: u64,
    seen: u64,
    refused_masks: u64,
    finished: u64,
    /// Sessions forgone; outputs signed anew after one; orders that only a
    /// quorum that forwent finished.
    forgone: u64,
    again: u64,
    freed: u64,
    stuck: u64,
    steps: u64,
    violations: u64,
    ends: BTreeMap<String, u64>,
}

struct Sim<'a> {
    ground: &'a Ground,
    sched: Scheduler,
    nodes: Vec<Node>,
    ledger: Shared,
    liar: Option<u8>,
    trials: u64,
    orders: Vec<Vec<usize>>,
    tally: &'a mut Tally,
}

fn order(n: usize) -> u64 {
    n as u64 + 1
}

impl Sim<'_> {
    fn honest(&self, n: u8) -> bool {
        let node = &self.nodes[usize::from(n)];
        self.liar != Some(n) && !node.old
    }

    /// What must hold of a node whatever happens, after its step.
    fn check(&mut self, n: u8) {
        let said = self.sched.net.said();
        let honest = self.honest(n);
        let node = &mut self.nodes[usize::from(n)];
        for s in said.iter().filter(|s| s.from == n) {
            if s.kind == Kind::Meeting && s.step == 2 {
                let signed = SignedStatement::decode(&s.bytes).unwrap();
                node.stated = node.stated.max(signed.statement.sequence);
            }
        }
        if !honest || !node.up {
            return;
        }
        let (floors, exposed, pending) = (&node.floors, &mut node.exposed, &mut node.pending);
        let epoch_open = |d: &DealingState| {
            let floor = floors.get(&d.dealing.quorum).copied().unwrap_or_default();
            assert!(
                d.dealing.epoch >= floor,
                "nothing of a frozen epoch is used"
            );
        };
        node.keeper.read(|store| {
            let state = store.state();
            for s in &said {
                match (s.kind, s.step) {
                    (Kind::Round, 1..) => {
                        let session = state.session_of(&s.session);
                        let session = session.expect("spent before the first share leaves");
                        let d = state.dealing(&session.spent.dealing).unwrap();
                        epoch_open(d);
                        let (first, end) = session.spent.tickets();
                        for ticket in first..end {
                            let at = (session.spent.dealing, ticket);
                            let before = *exposed.entry(at).or_insert(s.session);
                            assert_eq!(before, s.session, "a ticket's shares leave once");
                        }
                        if s.step == SIGMA {
                            let gone = !d.stage.alive();
                            let stage = session.stage.name();
                            assert!(gone || !["spent", "abandoned"].contains(&stage), "{stage}");
                            pending.insert(s.session);
                        }
                    }
                    (Kind::Dealing, 2) => {
                        let open = state.dealings().any(|(_, d)| d.stage >= Stage::Checking);
                        assert!(open, "checking is on disk before the sum leaves");
                    }
                    _ => {}
                }
            }
        });
        let records = node.keeper.read(Store::records);
        if records != node.records {
            node.records = records;
            self.settled(n);
        }
    }

    /// ... and of what its log adds up to.
    fn settled(&mut self, n: u8) {
        let mut guard = self.ledger.lock().unwrap();
        let ledger = &mut *guard;
        let node = &mut self.nodes[usize::from(n)];
        let (exposed, remaining, floors) = (&node.exposed, &mut node.remaining, &mut node.floors);
        node.keeper.read(|store| {
            let state = store.state();
            if state.rolled_back().is_some() {
                return;
            }
            for (dealing, ticket) in exposed.keys() {
                assert!(
                    state.dealing(dealing).unwrap().next > *ticket,
                    "spent stays spent"
                );
            }
            for (session, s) in state.sessions() {
                if s.stage == SessionStage::Forgone {
                    ledger.forgone.insert((n, *session));
                }
            }
            for (_, session) in ledger.forgone.iter().filter(|(node, _)| *node == n) {
                let stage = state.session_of(session).unwrap().stage.name();
                assert_eq!(stage, "forgone", "for good");
            }
            for ((node, order, output), (session, _)) in &ledger.signed {
                if *node == n {
                    let stage = state.session_of(session).unwrap().stage.name();
                    assert!(
                        ["signed", "released", "forgone"].contains(&stage),
                        "{stage}"
                    );
                    let latest = store.latest(order, *output).unwrap();
                    let only = latest.spent.session == *session || stage == "forgone";
                    assert!(only, "no second opening");
                }
            }
            for ((node, order, output), session) in &ledger.released {
                if *node == n {
                    let stage = state.session_of(session).unwrap().stage.name();
                    assert_eq!(stage, "released");
                    let latest = store.latest(order, *output).unwrap();
                    assert_eq!(latest.spent.session, *session, "nothing after a release");
                }
            }
            for c in store.counts().iter().filter(|c| c.stage >= Stage::Usable) {
                let left = remaining.entry(c.dealing).or_insert(c.remaining);
                assert!(c.remaining <= *left, "counts never grow");
                *left = c.remaining;
            }
            for (_, d) in state.dealings() {
                let floor = floors.entry(d.dealing.quorum).or_default();
                let found = state.floor(d.dealing.quorum);
                assert!(found >= *floor, "destroyed stays destroyed");
                *floor = found;
                assert!(d.dealing.epoch >= found || !d.stage.alive());
            }
        });
    }

    fn crash(&mut self, n: u8) {
        let node = &mut self.nodes[usize::from(n)];
        if !node.up {
            return;
        }
        node.keeper.read(|s| s.disk().kill());
        node.up = false;
        self.sched.crash(n);
        self.tally.crashes += 1;
    }

    /// Power is back, maybe not for long; then it hears every node that is up.
    fn restart(&mut self, n: u8, r: &mut ChaCha20Rng) {
        let config = self.ground.world.config(n);
        let node = &mut self.nodes[usize::from(n)];
        let mut disk = node.keeper.read(|s| s.disk().restart(r.random()));
        if r.random_range(0..6) == 0 {
            disk.cut_in(r.random_range(1..9));
        }
        let store = loop {
            match Store::open(disk.clone(), config.clone()) {
                Ok(store) => break store,
                Err(e) => assert!(disk.dead(), "{e}"),
            }
            disk = disk.restart(r.random());
        };
        store.disk().uncut();
        self.come_up(n, store);
    }

    fn come_up(&mut self, n: u8, store: Store<SimDisk>) {
        let passed = passed(store.disk());
        let key = self.ground.world.keys[usize::from(n)].clone();
        let honest = self.honest(n);
        let node = &mut self.nodes[usize::from(n)];
        let state = store.state();
        if honest && state.rolled_back().is_none() {
            for session in std::mem::take(&mut node.pending) {
                let s = state.session_of(&session).unwrap();
                let d = state.dealing(&s.spent.dealing).unwrap();
                let over = state.floor(d.dealing.quorum) > d.dealing.epoch;
                assert!(over || passed.contains(&session), "cut off, hence frozen");
            }
        }
        node.pending.clear();
        node.keeper = Arc::new(Keeper::new(store, key));
        node.up = true;
        node.records = 0;
        self.sched.net.up(n);
        self.check(n);
        let others: Vec<u8> = (0..self.nodes.len() as u8).filter(|m| *m != n).collect();
        for m in others {
            if self.nodes[usize::from(m)].up {
                self.greet(n, m);
            }
        }
    }

    fn greet(&mut self, a: u8, b: u8) {
        self.trials += 1;
        let trial = self.trials;
        for (own, peer) in [(a, b), (b, a)] {
            let keeper = Arc::clone(&self.nodes[usize::from(own)].keeper);
            let net = self.sched.net.of(own);
            let ledger = Arc::clone(&self.ledger);
            self.sched.spawn(own, async move {
                match keeper.greet(&net, peer, trial).await {
                    Ok(()) => assert!(keeper.greeted().contains(&peer)),
                    Err(e) => ledger.lock().unwrap().end("greet", &e),
                }
            });
        }
    }

    /// An older copy of a folder takes the place of the newer one.
    fn restore(&mut self, n: u8) {
        let config = self.ground.world.config(n);
        let Some((copy, records)) = self.nodes[usize::from(n)].copy.clone() else {
            return;
        };
        self.crash(n);
        self.tally.restores += 1;
        let store = Store::open(SimDisk::of(&copy), config).unwrap();
        let node = &mut self.nodes[usize::from(n)];
        node.old = node.stated > records || node.old;
        // Nobody can tell; what left since then was never stated.
        node.exposed.clear();
        node.pending.clear();
        node.remaining.clear();
        node.floors.clear();
        let mut ledger = self.ledger.lock().unwrap();
        ledger.exempt.insert(n);
        ledger.signed.retain(|(node, _, _), _| *node != n);
        ledger.ever.retain(|(node, _), _| *node != n);
        ledger.released.retain(|(node, _, _), _| *node != n);
        ledger.forgone.retain(|(node, _)| *node != n);
        drop(ledger);
        self.come_up(n, store);
    }

    /// All members that are up try to open an order, or to finish it; or, under
    /// a later grant, forgo what they have signed of it and open it anew.
    fn work(&mut self, at: usize, members: &[u8], lie: bool, later: bool) {
        let world = &self.ground.world;
        let epochs = &self.ground.dealings[members];
        let usable = |n: &u8, d: &&Dealt| {
            let keeper = &self.nodes[usize::from(*n)].keeper;
            let stage = keeper.read(|s| s.state().dealing(&d.digest()).map(|d| d.stage));
            stage == Some(Stage::Usable)
        };
        let up: Vec<u8> = members.to_vec();
        let up: Vec<u8> = up
            .into_iter()
            .filter(|n| self.nodes[usize::from(*n)].up)
            .collect();
        let Some(dealt) = epochs
            .iter()
            .rev()
            .find(|d| up.iter().any(|n| usable(n, d)))
        else {
            return;
        };
        self.trials += 1;
        let dealing = Arc::new(dealt.dealing.clone());
        let request = world.request(dealt.digest(), order(at), &self.orders[at], self.trials);
        let values = world.values(&self.orders[at]);
        for n in up {
            let keeper = Arc::clone(&self.nodes[usize::from(n)].keeper);
            let (net, ledger) = (self.sched.net.of(n), Arc::clone(&self.ledger));
            let (mut request, dealing) = (request.clone(), Arc::clone(&dealing));
            let (values, lies) = (values.clone(), lie && self.liar == Some(n));
            let seed = self.sched.rng.random::<[u8; 32]>();
            self.sched.spawn(n, async move {
                let ledger_of = Arc::clone(&ledger);
                let signer = Notary {
                    node: n,
                    ledger: ledger_of,
                };
                if later {
                    let owed = |s: &Store<SimDisk>| {
                        let owed = s.owed(&request.order).into_iter();
                        owed.map(|s| s.spent.session).collect::<Vec<_>>()
                    };
                    for session in keeper.read(owed) {
                        if let Err(e) = keeper.forgo(&session) {
                            return ledger.lock().unwrap().end("forgo", &e);
                        }
                    }
                }
                let latest = keeper.read(|s| {
                    let latest = s.latest(&request.order, 0)?;
                    let digest = latest.spent.session;
                    s.signed_result(&digest).ok()?;
                    Some(latest.spent.dealing)
                });
                let resumes = latest == Some(request.dealing);
                let signed = if resumes {
                    keeper.resume(&net, &signer, &request).await
                } else {
                    keeper.open(&net, &signer, &request, seed).await
                };
                let signed = match signed {
                    Ok(signed) => signed,
                    Err(e) => {
                        ledger.lock().unwrap().end("open", &e);
                        // Others may have signed: let them finish.
                        request.trial |= 1 << 40;
                        let Ok(signed) = keeper.resume(&net, &signer, &request).await else {
                            return;
                        };
                        signed
                    }
                };
                ledger.lock().unwrap().resumed += u64::from(resumes);
                let mut released = match keeper.release(&signed) {
                    Ok(released) => released,
                    Err(e) => return ledger.lock().unwrap().end("release", &e),
                };
                if lies {
                    let other = keeper.read(|s| s.state().sessions().count()) as u8;
                    released[0].mask =
                        veilbourse_protocol::MaskShare::of_ticket(&[other; 32], &request.order, 0);
                }
                buy(&ledger, n, &dealing, signed, released, &values);
            });
        }
    }

    /// A frozen quorum is dealt to anew.
    fn redeal(&mut self, members: &[u8]) {
        let quorum = QuorumSet::of_members(members).unwrap();
        let floor = |n: &u8| {
            let node = &self.nodes[usize::from(*n)];
            node.keeper.read(|s| s.state().floor(quorum))
        };
        if members.iter().any(|n| !self.nodes[usize::from(*n)].up) {
            return;
        }
        let epoch = members.iter().map(floor).max().unwrap_or_default();
        let Some(dealt) = self.ground.dealings[members].get(epoch as usize) else {
            return;
        };
        self.trials += 1;
        let trial = self.trials;
        let digest = dealt.digest();
        for n in members {
            let n = *n;
            let keeper = Arc::clone(&self.nodes[usize::from(n)].keeper);
            let stage = keeper.read(|s| s.state().dealing(&digest).map(|d| d.stage));
            if stage.is_none_or(|s| s == Stage::Receiving) && dealt.hand(&keeper, n).is_err() {
                continue;
            }
            let (net, ledger) = (self.sched.net.of(n), Arc::clone(&self.ledger));
            let public = self.ground.world.public.clone();
            let seed = self.sched.rng.random::<[u8; 32]>();
            self.sched.spawn(n, async move {
                let stage = || keeper.read(|s| s.state().dealing(&digest).map(|d| d.stage));
                if stage() == Some(Stage::Received)
                    && let Err(e) = keeper.check(&net, &digest, trial, seed).await
                {
                    return ledger.lock().unwrap().end("check", &e);
                }
                let checked = keeper.key_check(&net, &digest, &public, trial, seed).await;
                if let Err(e) = checked {
                    return ledger.lock().unwrap().end("key check", &e);
                }
                if stage() == Some(Stage::Verified) {
                    let sessions = keeper.read(|s| s.withheld(quorum));
                    match keeper.activate(&[digest], &sessions).await {
                        Ok(()) => ledger.lock().unwrap().resumed += 0,
                        Err(e) => ledger.lock().unwrap().end("activate", &e),
                    }
                }
            });
        }
        self.tally.epochs += 1;
    }

    /// Runs until nothing is left to do, with what a seed does meanwhile.
    fn run(&mut self, r: &mut ChaCha20Rng, faults: bool) {
        loop {
            match self.sched.step() {
                Step::Idle => break,
                Step::Ran(n) => {
                    self.check(n);
                    if self.nodes[usize::from(n)].keeper.read(|s| s.disk().dead()) {
                        self.crash(n);
                    }
                }
                Step::Other => {}
            }
            if !faults {
                continue;
            }
            let n = r.random_range(0..self.nodes.len() as u8);
            let node = &self.nodes[usize::from(n)];
            match r.random_range(0..1000) {
                0..4 => self.crash(n),
                4..10 if node.up => node.keeper.read(|s| s.disk().cut_in(r.random_range(1..20))),
                10..15 if !node.up => self.restart(n, r),
                15..18 => {
                    let other = (n + 1) % self.nodes.len() as u8;
                    let ms = r.random_range(1..50_000);
                    self.sched.net.cut(n, other, ms);
                }
                _ => {}
            }
        }
    }
}

/// The sessions whose check passed, by the log itself.
fn passed(disk: &SimDisk) -> BTreeSet<Digest> {
    let mut out = BTreeSet::new();
    let mut disk = SimDisk::of(&disk.copy());
    Frames::open(&mut disk, "log", FORMAT, |bytes, _| {
        if let Ok(Record::CheckPassed(session)) = Record::decode(bytes) {
            out.insert(session);
        }
        Ok(())
    })
    .unwrap();
    out
}

/// The buyer takes a node's parts, and what it can when it has all.
fn buy(
    ledger: &Shared,
    node: u8,
    dealing: &Dealing,
    signed: SignedOutcome,
    released: Vec<Released>,
    values: &[i64],
) {
    let mut ledger = ledger.lock().unwrap();
    let outcome = signed.outcome().clone();
    let (order, session) = (outcome.binding.order, outcome.session);
    let members = outcome.binding.quorum.clone();
    // OPN-3: nothing without the signatures of all, each over this outcome.
    assert_eq!(signed.signatures().len(), members.len());
    for (member, s) in members.iter().zip(signed.signatures()) {
        assert_eq!(*s, signature(*member, &outcome));
        for o in &outcome.binding.outputs {
            let of = ledger.ever.contains_key(&(*member, session));
            let honest = !ledger.exempt.contains(member);
            assert!(!honest || of, "output {}", o.output);
        }
    }
    // OPN-6: nothing of a forgone session ever leaves its node.
    let forgone = ledger.forgone.contains(&(node, session));
    assert!(!forgone || ledger.exempt.contains(&node));
    for o in &outcome.binding.outputs {
        let at = (node, order, o.output);
        let before = *ledger.released.entry(at).or_insert(session);
        let honest = !ledger.exempt.contains(&node);
        assert!(!honest || before == session, "released under one session");
    }
    let parts = ledger.parts.entry(session);
    let parts = parts.or_insert_with(|| (outcome.clone(), BTreeMap::new()));
    assert_eq!(parts.0, outcome, "all say the same y");
    parts.1.insert(node, released);
    if parts.1.len() < members.len() {
        return;
    }
    let all: Vec<_> = parts.1.values().cloned().collect();
    let found: Result<Vec<_>, _> = buyer(dealing, &outcome, &all).into_iter().collect();
    match found {
        Ok(found) => {
            assert_eq!(found, values, "what is accepted is right");
            ledger.accepted.insert(order, found);
        }
        Err(e) => {
            let liar = ledger.liar;
            let liar = members.iter().position(|m| Some(*m) == liar);
            let party = liar.expect("honest nodes' parts are accepted") as u8;
            let names = matches!(
                e,
                veilbourse_protocol::ProtocolError::MaskShare { party: p, .. } if p == party
            );
            assert!(names, "{e}");
            ledger.refused_masks += 1;
        }
    }
}

/// What a node that lies does to what it says: to each peer by itself.
fn lies(liar: u8, one_in: u32) -> Box<sim::Tamper> {
    let mut heard: BTreeMap<(Kind, u8), Flight> = BTreeMap::new();
    Box::new(move |flight: &mut Flight, r: &mut ChaCha20Rng| {
        if flight.from != liar {
            return true;
        }
        let at = (flight.kind, flight.step);
        let before = heard.insert(at, flight.clone());
        if r.random_range(0..one_in) > 0 {
            return true;
        }
        match r.random_range(0..6) {
            0 => return false,
            1 | 2 if !flight.bytes.is_empty() => {
                let i = r.random_range(0..flight.bytes.len());
                flight.bytes[i] ^= 1 << r.random_range(0..8);
            }
            // A share that is one, and wrong.
            3 if flight.kind == Kind::Round && flight.bytes.len() >= 42 => {
                flight.bytes[34] ^= 1;
            }
            // What it said in another session, whole or under this one's name.
            4 => {
                if let Some(f) = before {
                    flight.bytes = f.bytes;
                }
            }
            5 => {
                if let Some(f) = before
                    && f.bytes.len() == flight.bytes.len()
                    && f.bytes.len() > 34
                {
                    flight.bytes[34..].copy_from_slice(&f.bytes[34..]);
                }
            }
            _ => {
                let keep = r.random_range(0..=flight.bytes.len());
                flight.bytes.truncate(keep);
            }
        }
        true
    })
}

fn simulate(seed: u64, ground: &Ground, tally: &mut Tally) {
    let mut r = rng(seed);
    let count = ground.world.committee.nodes();
    let sched = Scheduler::new(seed);
    let ledger = Shared::default();
    let liar = seed.is_multiple_of(3).then(|| r.random_range(0..count));
    ledger.lock().unwrap().exempt.extend(liar);
    ledger.lock().unwrap().liar = liar;
    let restores = seed % 4 == 1;
    sched.net.trouble([0, 60, 20][r.random_range(0..3usize)]);
    let mut nodes = Vec::new();
    for (n, copy) in (0u8..).zip(&ground.copies) {
        let disk = SimDisk::of(copy);
        if liar == Some(n) && r.random_range(0..3) == 0 {
            // Shares of its own that are wrong, as the last party.
            let name = disk.names().into_iter().find(|f| f.ends_with("explicit"));
            if let Some(name) = name.filter(|f| disk.bytes(f).is_some_and(|b| !b.is_empty())) {
                let each = disk.bytes(&name).unwrap().len() / TICKETS as usize;
                for ticket in 10..TICKETS as usize {
                    let part = [0, 8, 16][r.random_range(0..3usize)];
                    disk.damage(&name, ticket * each + 24 * r.random_range(0..300) + part);
                }
            }
        }
        nodes.push(Node {
            keeper: Arc::new(ground.world.open_store(n, disk).unwrap()),
            up: true,
            exposed: BTreeMap::new(),
            pending: BTreeSet::new(),
            floors: BTreeMap::new(),
            remaining: BTreeMap::new(),
            records: 0,
            stated: 0,
            copy: None,
            old: false,
        });
    }
    // What was exposed before the seed began is in the logs, not in here.
    let orders = (0..ORDERS).map(|_| {
        let n = r.random_range(1..3);
        (0..n)
            .map(|_| r.random_range(0..ground.world.pool.len()))
            .collect()
    });
    let orders = orders.collect();
    let mut sim = Sim {
        ground,
        sched,
        nodes,
        ledger,
        liar,
        trials: 0,
        orders,
        tally,
    };
    if let Some(liar) = liar {
        let one_in = [12, 40, 200][r.random_range(0..3usize)];
        sim.sched.net.tamper(Some(lies(liar, one_in)));
    }
    let quorums: Vec<Vec<u8>> = ground.dealings.keys().cloned().collect();
    for _ in 0..4 {
        for _ in 0..r.random_range(1..4) {
            let members = &quorums[r.random_range(0..quorums.len())];
            let at = r.random_range(0..ORDERS as usize);
            let lie = r.random_range(0..4) == 0;
            let later = r.random_range(0..3) == 0;
            sim.work(at, members, lie, later);
        }
        let members = &quorums[r.random_range(0..quorums.len())];
        let set = QuorumSet::of_members(members).unwrap();
        let frozen = |n: &u8| {
            let keeper = &sim.nodes[usize::from(*n)].keeper;
            keeper.read(|s| s.state().frozen(set).is_some())
        };
        if members.iter().any(frozen) {
            sim.redeal(members);
        }
        sim.run(&mut r, true);
        if restores {
            let n = r.random_range(0..count);
            let node = &mut sim.nodes[usize::from(n)];
            if node.copy.is_none() && node.up && !node.old {
                let copy = node.keeper.read(|s| (s.disk().copy(), s.records()));
                node.copy = Some(copy);
            } else if r.random_range(0..2) == 0 {
                sim.restore(n);
                sim.run(&mut r, false);
            }
        }
        for n in 0..count {
            let node = &sim.nodes[usize::from(n)];
            if node.up {
                node.keeper.read(|s| s.disk().uncut());
            } else if r.random_range(0..2) == 0 {
                sim.restart(n, &mut r);
            }
        }
    }
    finish(&mut sim, &quorums, &mut r);
}

/// Whether a session for an order may be, at all members: what all have signed is
/// finished (`Some(false)`), or what some have signed is forgone and another one
/// opened (`Some(true)`).
fn eligible(sim: &Sim<'_>, at: usize, members: &[u8]) -> Option<bool> {
    let outputs = sim.orders[at].len() as u32;
    let quorum = QuorumSet::of_members(members).unwrap();
    let digest = sim
        .ground
        .world
        .request(Digest::default(), order(at), &[], 0)
        .order;
    let mut open = BTreeSet::new();
    let mut released = false;
    let mut epochs = BTreeSet::new();
    for n in members {
        let node = &sim.nodes[usize::from(*n)];
        if sim.liar == Some(*n) || node.old {
            return None;
        }
        let fit = node.keeper.read(|s| {
            let state = s.state();
            if state.rolled_back().is_some() {
                return false;
            }
            for o in 0..outputs {
                let latest = s.latest(&digest, o).filter(|s| !s.stage.given_up());
                released |= latest.is_some_and(|s| matches!(s.stage, SessionStage::Released(_)));
                let dealing = latest.and_then(|s| state.dealing(&s.spent.dealing));
                // Its masks are destroyed: it will never be finished.
                let gone = dealing.is_some_and(|d| !d.stage.alive());
                open.insert(latest.map(|s| (s.spent.session, gone)));
            }
            let usable = state
                .dealings()
                .filter(|(_, d)| d.dealing.quorum == quorum && d.stage == Stage::Usable);
            let enough = usable.filter(|(_, d)| d.remaining() >= 16);
            epochs.insert(enough.map(|(d, _)| *d).max());
            true
        });
        if !fit {
            return None;
        }
    }
    if epochs.len() != 1 || !epochs.first().is_some_and(Option::is_some) {
        return None;
    }
    match open.iter().next() {
        // Nothing signed, or by all the same.
        Some(None | Some((_, false))) if open.len() == 1 => Some(false),
        // Who released takes part in nothing else.
        _ => (!released).then_some(true),
    }
}

/// Everybody is up, reaches everybody, and who lied does so no more: every order
/// is finished by a quorum that may, at its first attempt.
fn finish(sim: &mut Sim<'_>, quorums: &[Vec<u8>], r: &mut ChaCha20Rng) {
    sim.sched.net.trouble(0);
    sim.sched.net.heal();
    sim.sched.net.tamper(None);
    for n in 0..sim.nodes.len() as u8 {
        if !sim.nodes[usize::from(n)].up {
            sim.restart(n, r);
        }
    }
    sim.run(r, false);
    for members in quorums {
        let none = !(0..sim.orders.len()).any(|at| eligible(sim, at, members).is_some());
        if none && members.iter().all(|n| sim.honest(*n)) {
            sim.redeal(members);
            sim.run(r, false);
        }
    }
    for at in 0..sim.orders.len() {
        let digest = sim
            .ground
            .world
            .request(Digest::default(), order(at), &[], 0)
            .order;
        let done = |sim: &Sim<'_>| sim.ledger.lock().unwrap().accepted.contains_key(&digest);
        if done(sim) {
            continue;
        }
        let may = |later: bool| quorums.iter().find(|m| eligible(sim, at, m) == Some(later));
        // Nothing is forgone where something can be finished.
        let quorum = may(false).map(|m| (m, false));
        let Some((members, later)) = quorum.or_else(|| may(true).map(|m| (m, true))) else {
            sim.tally.stuck += 1;
            continue;
        };
        sim.tally.freed += u64::from(later);
        let members = members.clone();
        sim.work(at, &members, false, later);
        sim.run(r, false);
        let ends = sim.ledger.lock().unwrap().ends.clone();
        assert!(
            done(sim),
            "{members:?} does not finish order {at}: {ends:?}"
        );
        sim.tally.finished += 1;
    }
    let ledger = sim.ledger.lock().unwrap();
    let tally = &mut *sim.tally;
    tally.accepted += ledger.accepted.len() as u64;
    tally.resumed += ledger.resumed;
    tally.forgone += ledger.forgone.len() as u64;
    tally.again += ledger.again;
    tally.refused_masks += ledger.refused_masks;
    tally.steps += sim.sched.steps;
    tally.violations += sim.sched.net.violations();
    for (k, v) in &ledger.ends {
        *tally.ends.entry(k.clone()).or_default() += v;
    }
    for node in &sim.nodes {
        node.keeper.read(|s| {
            let state = s.state();
            tally.seen += u64::from(state.rolled_back().is_some());
            let quorums = quorums.iter().filter_map(|m| QuorumSet::of_members(m));
            tally.frozen += quorums.filter(|q| state.frozen(*q).is_some()).count() as u64;
        });
    }
}

fn variable(name: &str, otherwise: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.and_then(|v| v.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn whatever_happens_nothing_is_opened_twice_or_wrongly() {
    // CST-6, CST-7, CST-8, CST-11, CST-12, OPN-3, OPN-4, OPN-6, QRM-2..5, QRM-9
    let grounds = [Ground::new(3, 2), Ground::new(4, 3)];
    let (first, seeds) = (variable("QUORUM_FIRST", 0), variable("QUORUM_SEEDS", SEEDS));
    let mut tally = Tally::default();
    for seed in first..first + seeds {
        let ground = &grounds[usize::from(seed % 5 == 4)];
        let run = std::panic::AssertUnwindSafe(|| simulate(seed, ground, &mut tally));
        if let Err(e) = std::panic::catch_unwind(run) {
            let text = e.downcast_ref::<String>().cloned();
            panic!("seed {seed}: {}", text.unwrap_or_default());
        }
    }
    // Every kind of thing happened, and often enough.
    let Tally {
        accepted,
        crashes,
        frozen,
        epochs,
        resumed,
        restores,
        seen,
        refused_masks,
        finished,
        forgone,
        again,
        freed,
        stuck,
        ..
    } = tally;
    let often = [accepted, crashes, epochs, resumed, finished, forgone, again];
    let seldom = [freed, frozen, restores, seen, refused_masks];
    assert!(often.iter().all(|n| *n >= seeds / 10), "{tally:#?}");
    assert!(seldom.iter().all(|n| *n >= seeds / 50), "{tally:#?}");
    // Orders that no quorum may finish: a member released, or all quorums have one
    // that lies, is an old copy, or has no tickets left.
    assert!(stuck * 10 < seeds * ORDERS, "{tally:#?}");
    if std::env::var("QUORUM_TALLY").is_ok() {
        panic!("{tally:#?}");
    }
}
