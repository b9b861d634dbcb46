//! Every kind of fault at every message of an opening, of a dealing's check and
//! of a key's check: what the honest node says, whether the quorum's keys are free
//! or frozen as the rule has it, that no wrong value is taken by a buyer, and that
//! the order is finished afterwards, by another quorum or by this one.
//! OPN-3, OPN-4, OPN-6, TKT-4, CST-4, CST-6, QRM-2..7.
//!
//! In one file: its tables are one table, of all messages.
//!
//! In one file: its tables are one table, of all messages.

mod support;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock},
};
use support::{
    disk::Copy,
    sim::{self, Flight, Scheduler},
    *,
};
use veilbourse_core::{ciphertext::Glwe, digest::Digest, field::Fq};
use veilbourse_peers::{Kind, OpenError, PeerError};
use veilbourse_protocol::{MaskShare, ProtocolError};
use veilbourse_quorum::{deal::Dealt, *};
use veilbourse_ticket_store::*;

/// At K = 26: coins are revealed, sigma is committed to, sigma.
const COIN: u8 = 8;
const COMMIT: u8 = 9;
const SIGMA: u8 = 10;
const OUTPUTS: [usize; 2] = [2, 3];

/// What a node does at one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// One bit of it is another, at this byte.
    Flip(usize),
    /// It says nothing, from here on.
    Silent,
    /// It leaves, and says so.
    Leaves,
    /// It says too little.
    Short,
    /// It says what it said in another session, for another order.
    Replay,
    /// ... under this session's name.
    Relabelled,
}

/// What the honest node says.
fn name(e: &QuorumError) -> &'static str {
    match e {
        QuorumError::Open(OpenError::Peer(PeerError::PeerSilent { .. })) => "silent",
        QuorumError::Open(OpenError::Peer(PeerError::PeerLeft { .. })) => "left",
        QuorumError::Open(OpenError::Peer(PeerError::PeerBroke { .. })) => "broke",
        QuorumError::Open(OpenError::Protocol(e)) | QuorumError::Protocol(e) => match e {
            ProtocolError::Equivocation { .. } => "equivocation",
            ProtocolError::Commitment { what, .. } => what,
            ProtocolError::MacCheck => "mac",
            ProtocolError::Misdirected { what, .. } => what,
            ProtocolError::Dealing(_) => "dealing",
            ProtocolError::MaskShare { .. } => "mask share",
            _ => "protocol",
        },
        QuorumError::Message { .. } => "message",
        QuorumError::Agenda { .. } => "agenda",
        QuorumError::Beyond { .. } => "beyond",
        QuorumError::Store(StoreError::Statement { .. }) => "statement",
        QuorumError::Store(StoreError::Altered { .. }) => "altered",
        QuorumError::Signature { .. } => "signature",
        QuorumError::NotSigned { .. } => "not signed",
        QuorumError::Coin { .. } => "coin of all",
        QuorumError::PublicKey { .. } => "public key",
        QuorumError::Dealing { .. } => "masks",
        _ => "other",
    }
}

/// A committee whose dealings of epoch 0 are usable.
struct Ground {
    world: World,
    dealings: Dealings,
    copies: Vec<Copy>,
}

fn ground(nodes: u8, threshold: u8) -> &'static Ground {
    static TWO: OnceLock<Ground> = OnceLock::new();
    static THREE: OnceLock<Ground> = OnceLock::new();
    let make = || {
        let world = World::new(nodes, threshold, 2);
        let mut dealings = Dealings::new();
        for quorum in world.committee.quorums() {
            let members = quorum.members().to_vec();
            let dealt = world.deal(&world.plan(&members, 0, 0, 20));
            dealings.insert(members, vec![dealt]);
        }
        let copies = usable(&world, &dealings);
        Ground {
            world,
            dealings,
            copies,
        }
    };
    if threshold == 2 { &TWO } else { &THREE }.get_or_init(make)
}

/// Whether node 0 has said the last message of a check.
fn said(sched: &Scheduler, kind: Kind, step: u8) -> bool {
    let said = sched.net.said();
    let of = |s: &&sim::Said| (s.from, s.kind, s.step) == (0, kind, step);
    said.iter().any(|s| of(&s))
}

fn in_order(seed: u64) -> Scheduler {
    let sched = Scheduler::new(seed);
    sched.net.fifo();
    sched
}

type Keepers = Vec<Arc<Keeper<SimDisk>>>;
type Part = (SignedOutcome, Vec<Released>);

struct Scene {
    ground: &'static Ground,
    sched: Scheduler,
    keepers: Keepers,
    trials: u64,
}

impl Scene {
    fn new(ground: &'static Ground) -> Self {
        let open = |(n, copy): (u8, &Copy)| {
            let disk = SimDisk::of(copy);
            Arc::new(ground.world.open_store(n, disk).unwrap())
        };
        Self {
            ground,
            sched: in_order(7),
            keepers: (0u8..).zip(&ground.copies).map(open).collect(),
            trials: 100,
        }
    }

    fn dealt(&self, members: &[u8]) -> &'static Dealt {
        &self.ground.dealings[members][0]
    }

    /// All members open an order, or finish it.
    fn open(
        &mut self,
        members: &[u8],
        order: u64,
        resume: bool,
    ) -> BTreeMap<u8, Result<Part, QuorumError>> {
        self.trials += 1;
        let dealing = self.dealt(members).digest();
        let world = &self.ground.world;
        let request = world.request(dealing, order, &OUTPUTS, self.trials);
        let ends = Arc::new(Mutex::new(BTreeMap::new()));
        for n in members {
            let (n, net, ends) = (*n, self.sched.net.of(*n), Arc::clone(&ends));
            let (keeper, request) = (Arc::clone(&self.keepers[usize::from(n)]), request.clone());
            let entropy = [n ^ self.trials as u8; 32];
            self.sched.spawn(n, async move {
                let signer = TestSigner { node: n };
                let signed = if resume {
                    keeper.resume(&net, &signer, &request).await
                } else {
                    keeper.open(&net, &signer, &request, entropy).await
                };
                let part = signed.and_then(|signed| {
                    let released = keeper.release(&signed)?;
                    Ok((signed, released))
                });
                ends.lock().unwrap().insert(n, part);
            });
        }
        self.sched.settle();
        assert!(self.sched.idle());
        Arc::into_inner(ends).unwrap().into_inner().unwrap()
    }

    /// What the buyer makes of it: nothing, or the right values.
    fn buys(&self, members: &[u8], ends: &BTreeMap<u8, Result<Part, QuorumError>>) -> bool {
        let parts: Vec<_> = ends.values().filter_map(|e| e.as_ref().ok()).collect();
        if parts.len() < members.len() {
            return false;
        }
        let released: Vec<_> = parts.iter().map(|p| p.1.clone()).collect();
        let dealing = &self.dealt(members).dealing;
        let found = buyer(dealing, parts[0].0.outcome(), &released);
        let found: Result<Vec<_>, _> = found.into_iter().collect();
        assert_eq!(found, Ok(self.ground.world.values(&OUTPUTS)));
        true
    }

    /// Where the latest session for an order is, at a node.
    fn session(&self, node: u8, order: u64) -> &'static str {
        let request = self.ground.world.request(Digest::default(), order, &[], 0);
        self.keepers[usize::from(node)].read(|s| {
            let latest = s.latest(&request.order, 0);
            latest.map_or("none", |s| s.stage.name())
        })
    }

    fn frozen(&self, node: u8, members: &[u8]) -> bool {
        let quorum = QuorumSet::of_members(members).unwrap();
        let keeper = &self.keepers[usize::from(node)];
        let (frozen, alive) = keeper.read(|s| {
            let state = s.state();
            let of = |d: &DealingState| d.dealing.quorum == quorum && d.stage.alive();
            let alive = state.dealings().any(|(_, d)| of(d));
            (state.frozen(quorum).is_some(), alive)
        });
        assert_ne!(frozen, alive, "frozen is destroyed");
        frozen
    }

    /// `liar` errs at one message of a kind in sessions that begin from now on,
    /// to `to` alone where that is said.
    fn err(&mut self, liar: u8, kind: Kind, step: u8, fault: Fault, to: Option<u8>) {
        let mut heard: BTreeMap<(Kind, u8), Vec<u8>> = BTreeMap::new();
        let mut armed = false;
        let mut done = false;
        // The first session is another order's, recorded.
        let mut sessions: Vec<Digest> = Vec::new();
        let record = matches!(fault, Fault::Replay | Fault::Relabelled);
        self.sched
            .net
            .tamper(Some(Box::new(move |f: &mut Flight, _| {
                if f.from != liar || to.is_some_and(|to| f.to != to) {
                    return true;
                }
                if f.kind == kind && f.step == step && !sessions.contains(&f.session) {
                    sessions.push(f.session);
                    armed = !record || sessions.len() > 1;
                    if !armed {
                        heard.insert((kind, step), f.bytes.clone());
                    }
                }
                if done {
                    return fault != Fault::Silent && fault != Fault::Leaves;
                }
                if !armed || (f.kind, f.step) != (kind, step) {
                    return true;
                }
                done = to.is_none() || Some(f.to) == to;
                match fault {
                    Fault::Flip(at) => f.bytes[at] ^= 1,
                    Fault::Silent => f.silent = true,
                    Fault::Leaves => f.leaves = true,
                    Fault::Short => drop(f.bytes.pop()),
                    Fault::Replay => f.bytes = heard[&(kind, step)].clone(),
                    Fault::Relabelled => {
                        f.bytes[34..].copy_from_slice(&heard[&(kind, step)][34..]);
                    }
                }
                true
            })));
        if record {
            let members = [0, liar];
            let before = self.open(&members, 99, false);
            assert!(before.values().all(Result::is_ok));
            drop(self.sched.net.said());
        }
    }
}

/// A fault in an opening: honest node 0 with node 1 that errs; then nodes 0 and 2.
fn opening(kind: Kind, step: u8, fault: Fault, says: &str, freezes: bool, session: &str) {
    let case = format!("{kind:?} {step} {fault:?}");
    let mut scene = Scene::new(ground(3, 2));
    scene.err(1, kind, step, fault, None);
    let ends = scene.open(&[0, 1], 5, false);
    let found = ends[&0].as_ref().err().map(name);
    assert_eq!(found, Some(says), "{case}: {:?}", ends[&0].as_ref().err());
    assert!(!scene.buys(&[0, 1], &ends), "{case}");
    // Frozen if and only if this node's sigma left without an answer that holds.
    let left = said(&scene.sched, Kind::Round, SIGMA) && session != "signed";
    assert_eq!(scene.frozen(0, &[0, 1]), left, "{case}");
    assert!(left == freezes || says == "broke", "{case}");
    let freezes = left;
    assert_eq!(scene.session(0, 5), session, "{case}");
    scene.sched.net.calm();
    if session == "signed" {
        // OPN-6: nobody opens it again; what was signed is finished (QRM-5).
        let other = scene.open(&[0, 2], 5, false);
        let second = matches!(
            other[&0],
            Err(QuorumError::Store(StoreError::SecondOpening { .. }))
        );
        assert!(second, "{case}");
        let ends = scene.open(&[0, 1], 5, true);
        assert!(scene.buys(&[0, 1], &ends), "{case}");
        return;
    }
    // Another quorum finishes; so does this one, where its keys are free.
    let ends = scene.open(&[0, 2], 5, false);
    assert!(scene.buys(&[0, 2], &ends), "{case}: {ends:?}");
    let free = !freezes && !scene.frozen(1, &[0, 1]);
    let ends = scene.open(&[0, 1], 6, false);
    assert_eq!(scene.buys(&[0, 1], &ends), free, "{case}: {ends:?}");
}

#[test]
fn every_message_of_the_rounds() {
    // OPN-4, CST-6, QRM-3: at node 0; "spent" was on disk, and is abandoned.
    for step in 0..=SIGMA {
        let last = step == SIGMA;
        let after = "abandoned";
        let go = |fault, says| opening(Kind::Round, step, fault, says, last, after);
        go(Fault::Silent, "silent");
        go(Fault::Leaves, "left");
        go(Fault::Short, "broke");
        go(Fault::Replay, "session");
        // Session, round, party: another than the channel's.
        go(Fault::Flip(0), "session");
        go(Fault::Flip(33), "party");
        let (says, freezes) = match step {
            0 | COIN => ("coin", false),
            COMMIT | SIGMA => ("check", true),
            _ => ("equivocation", false),
        };
        for fault in [Fault::Flip(34), Fault::Relabelled] {
            opening(Kind::Round, step, fault, says, freezes, after);
        }
    }
    // The digest of what was opened; the salt of sigma.
    let coin = Fault::Flip(66);
    opening(Kind::Round, COIN, coin, "equivocation", false, "abandoned");
    let salt = Fault::Flip(50);
    opening(Kind::Round, SIGMA, salt, "check", true, "abandoned");
}

#[test]
fn every_message_of_the_meeting() {
    // QRM-2, CST-11: nothing was spent.
    for step in 0..4 {
        for (fault, says) in [(Fault::Silent, "silent"), (Fault::Leaves, "left")] {
            opening(Kind::Meeting, step, fault, says, false, "none");
        }
    }
    for (step, at, says) in [
        (0, 0, "message"),
        (0, 1, "agenda"),
        // The attempt's highest byte; the next ticket's.
        (0, 36, "beyond"),
        (0, 44, "beyond"),
        (1, 0, "message"),
        (2, 2, "message"),
        // The statement's dataset, and its counters.
        (2, 8, "statement"),
        (2, 60, "statement"),
        // The session that follows.
        (3, 1, "agenda"),
    ] {
        opening(Kind::Meeting, step, Fault::Flip(at), says, false, "none");
    }
    opening(Kind::Meeting, 0, Fault::Short, "message", false, "none");
}

#[test]
fn signatures() {
    // QRM-4, QRM-5, OPN-3: nothing is released; what was signed is finished.
    for (fault, says) in [
        (Fault::Flip(3), "signature"),
        (Fault::Short, "signature"),
        (Fault::Replay, "signature"),
        (Fault::Silent, "silent"),
        (Fault::Leaves, "left"),
    ] {
        opening(Kind::Signatures, 0, fault, says, false, "signed");
    }
}

#[test]
fn a_wrong_share_or_mac_of_ones_own_freezes() {
    // OPN-4: consistent to everybody; the check finds it, at both nodes.
    for (part, what) in [(0, "value"), (8, "MAC"), (16, "MAC")] {
        let mut scene = Scene::new(ground(3, 2));
        let digest = scene.dealt(&[0, 1]).digest();
        let disk = scene.keepers[1].read(|s| s.disk().clone());
        let each = scene.dealt(&[0, 1]).streams(1).unwrap()[1].len() / 20;
        // The first indicator of the ticket after those of the key's check.
        disk.damage(&format!("{digest}.explicit"), 8 * each + part);
        let ends = scene.open(&[0, 1], 5, false);
        for n in [0, 1] {
            assert_eq!(ends[&n].as_ref().err().map(name), Some("mac"), "{what}");
            assert!(scene.frozen(n, &[0, 1]), "{what}");
        }
        let ends = scene.open(&[0, 2], 5, false);
        assert!(scene.buys(&[0, 2], &ends));
    }
}

#[test]
fn a_wrong_mask_names_who_gave_it() {
    // OPN-3: whatever the value is.
    let mut scene = Scene::new(ground(3, 2));
    let ends = scene.open(&[0, 1], 5, false);
    assert!(scene.buys(&[0, 1], &ends));
    let parts: Vec<_> = ends.into_values().map(Result::unwrap).collect();
    let dealing = &scene.dealt(&[0, 1]).dealing;
    for (party, value) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let mut released: Vec<_> = parts.iter().map(|p| p.1.clone()).collect();
        released[party][value].mask = MaskShare::of_ticket(&[1; 32], &Digest::default(), 0);
        let found = buyer(dealing, parts[0].0.outcome(), &released);
        let expected = ProtocolError::MaskShare {
            party: party as u8,
            value: value as u64,
        };
        assert_eq!(found[value], Err(expected));
        assert!(found[1 - value].is_ok());
    }
}

#[test]
fn two_stories_are_told_apart() {
    // OPN-4, three parties: node 2 says one thing to node 0, another to node 1.
    let members = [0, 1, 2];
    for step in 0..=SIGMA {
        let mut scene = Scene::new(ground(4, 3));
        scene.err(2, Kind::Round, step, Fault::Flip(34), Some(1));
        let ends = scene.open(&members, 5, false);
        assert!(ends.values().all(Result::is_err), "round {step}");
        let says = name(ends[&1].as_ref().err().unwrap());
        let expected = match step {
            0 | COIN => "coin",
            COMMIT | SIGMA => "check",
            // Whose message comes first: both differ.
            _ => "equivocation",
        };
        assert_eq!(says, expected, "round {step}");
        assert!(!scene.buys(&members, &ends));
        // Before sigma all keys are free; node 1 froze where its own had left.
        assert_eq!(scene.frozen(1, &members), step >= COMMIT, "round {step}");
        scene.sched.net.calm();
        let ends = scene.open(&[0, 1, 3], 5, false);
        let signed = scene.session(0, 5);
        if signed == "signed" {
            // Node 0 saw the check pass: OPN-6 holds it, not the others.
            assert!(step >= COMMIT);
            let ends = scene.open(&[1, 2, 3], 5, false);
            let held = ends
                .values()
                .any(|e| matches!(e, Err(QuorumError::Store(StoreError::SecondOpening { .. }))));
            assert!(held);
        } else {
            assert!(scene.buys(&[0, 1, 3], &ends), "round {step}: {ends:?}");
        }
    }
}

#[test]
fn two_stories_in_a_meeting_open_nothing_and_cost_tickets_at_most() {
    // QRM-2, CST-6, CST-10, three parties: node 2 says one thing to node 0, another to
    // node 1. What one of them spends alone is passed over by all.
    let members = [0, 1, 2];
    let mut alone = 0;
    // Attempt, ticket, counters held, counters, agreed, session.
    for (step, at) in [(0, 33), (0, 37), (1, 0), (2, 60), (3, 0), (3, 1)] {
        let case = format!("step {step}, byte {at}");
        let mut scene = Scene::new(ground(4, 3));
        scene.err(2, Kind::Meeting, step, Fault::Flip(at), Some(1));
        let ends = scene.open(&members, 5, false);
        let bought = scene.buys(&members, &ends);
        // Which ticket is first the counters say, not the agenda.
        assert_eq!(bought, (step, at) == (0, 37), "{case}: {ends:?}");
        for n in members {
            assert!(!scene.frozen(n, &members), "{case}");
            let expected = if bought {
                &["released"][..]
            } else {
                &["none", "abandoned"]
            };
            let found = scene.session(n, 5);
            assert!(expected.contains(&found), "{case}: {found}");
            alone += u32::from(found == "abandoned");
        }
        scene.sched.net.calm();
        let order = if bought { 6 } else { 5 };
        let ends = scene.open(&members, order, false);
        assert!(scene.buys(&members, &ends), "{case}: {ends:?}");
        let dealing = scene.dealt(&members).digest();
        let next = |n: u8| scene.keepers[usize::from(n)].read(|s| s.next_ticket(&dealing));
        let [a, b, c] = members.map(|n| next(n).unwrap());
        assert!(a == b && b == c, "{case}: {a} {b} {c}");
    }
    assert!(alone > 0, "agreed to one alone: it has spent");
}

// --- dealings ------------------------------------------------------------------

/// Nodes 0 and 1 of three with a dealing received.
fn received(dealt: &Dealt) -> (Scheduler, Keepers) {
    let world = &ground(3, 2).world;
    let keepers: Keepers = (0..2)
        .map(|n| {
            let keeper = world.create(n, SimDisk::default());
            dealt.hand(&keeper, n).unwrap();
            Arc::new(keeper)
        })
        .collect();
    (in_order(3), keepers)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Check,
    Key,
}

type Ends = [Result<(), QuorumError>; 2];

/// Both check a dealing, or its public key, each by its own.
fn both(
    sched: &mut Scheduler,
    keepers: &Keepers,
    dealing: Digest,
    what: What,
    trial: u64,
    keys: [&Glwe; 2],
) -> Ends {
    let ends = Arc::new(Mutex::new(BTreeMap::new()));
    for (n, key) in (0u8..).zip(keys) {
        let (keeper, net) = (Arc::clone(&keepers[usize::from(n)]), sched.net.of(n));
        let (key, ends) = (key.clone(), Arc::clone(&ends));
        sched.spawn(n, async move {
            let entropy = [n + trial as u8; 32];
            let end = match what {
                What::Check => keeper.check(&net, &dealing, trial, entropy).await,
                What::Key => keeper.key_check(&net, &dealing, &key, trial, entropy).await,
            };
            ends.lock().unwrap().insert(n, end);
        });
    }
    sched.settle();
    let mut ends = ends.lock().unwrap();
    [ends.remove(&0).unwrap(), ends.remove(&1).unwrap()]
}

fn stage(keeper: &Keeper<SimDisk>, dealing: &Digest) -> Stage {
    keeper.read(|s| s.state().dealing(dealing).unwrap().stage)
}

fn errs(sched: &Scheduler, kind: Kind, step: u8, fault: Fault) {
    let mut done = false;
    sched.net.tamper(Some(Box::new(move |f: &mut Flight, _| {
        if f.from != 1 || done || (f.kind, f.step) != (kind, step) {
            return true;
        }
        done = true;
        match fault {
            Fault::Flip(at) => f.bytes[at] ^= 1,
            Fault::Silent => f.silent = true,
            Fault::Leaves => f.leaves = true,
            _ => drop(f.bytes.pop()),
        }
        true
    })));
}

#[test]
fn every_message_of_a_dealings_check() {
    // TKT-4, CST-4, QRM-6
    let world = &ground(3, 2).world;
    let keys = [&world.public; 2];
    let dealt = world.deal(&world.plan(&[0, 1], 0, 0, 12));
    let again = world.deal(&world.plan(&[0, 1], 1, 0, 12));
    let digest = dealt.digest();
    for (step, fault, says, after) in [
        // A factor: the claim does not hold. The sum: the MACs do not.
        (0, Fault::Flip(0), "dealing", Stage::Refused),
        (0, Fault::Flip(48), "mac", Stage::Destroyed),
        (0, Fault::Silent, "silent", Stage::Received),
        (0, Fault::Leaves, "left", Stage::Received),
        (0, Fault::Short, "broke", Stage::Received),
        (1, Fault::Flip(0), "dealing check", Stage::Destroyed),
        (1, Fault::Silent, "silent", Stage::Received),
        (1, Fault::Leaves, "left", Stage::Received),
        (1, Fault::Short, "broke", Stage::Received),
        (2, Fault::Flip(0), "dealing check", Stage::Destroyed),
        (2, Fault::Flip(20), "dealing check", Stage::Destroyed),
        (2, Fault::Silent, "silent", Stage::Destroyed),
        (2, Fault::Leaves, "left", Stage::Destroyed),
        (2, Fault::Short, "broke", Stage::Destroyed),
    ] {
        let case = format!("step {step} {fault:?}");
        let (mut sched, keepers) = received(&dealt);
        errs(&sched, Kind::Dealing, step, fault);
        let ends = both(&mut sched, &keepers, digest, What::Check, 0, keys);
        let found = ends[0].as_ref().err().map(name);
        assert_eq!(found, Some(says), "{case}");
        // Who breaks a rule early is not waited for.
        let left = said(&sched, Kind::Dealing, 2);
        let after = match (left, after) {
            (false, Stage::Destroyed) if says == "broke" => Stage::Received,
            _ => after,
        };
        assert_eq!(left, after == Stage::Destroyed, "{case}");
        assert_eq!(stage(&keepers[0], &digest), after, "{case}");
        sched.net.calm();
        let both_free = keepers.iter().all(|k| stage(k, &digest) == Stage::Received);
        if both_free {
            // Nobody's sum left: the same dealing is checked again.
            let ends = both(&mut sched, &keepers, digest, What::Check, 1, keys);
            assert!(ends.iter().all(Result::is_ok), "{case}: {ends:?}");
            assert_eq!(stage(&keepers[0], &digest), Stage::Verified);
        } else {
            // The next epoch is dealt, and served.
            for (n, k) in (0u8..).zip(&keepers) {
                again.hand(k, n).unwrap();
            }
            bring(world, &mut sched, &keepers, &again, 2);
        }
    }
}

#[test]
fn a_dealing_that_does_not_hold_is_refused() {
    // TKT-3, TKT-4, QRM-6: what a node sees by itself, and what the quorum sees.
    let world = &ground(3, 2).world;
    let keys = [&world.public; 2];
    let good = world.deal(&world.plan(&[0, 1], 0, 0, 12));
    // A dealer that proves the key of another dataset: S_D is not binary.
    let mut spoilt = World::new(3, 2, 2);
    spoilt.secret[5] = Fq::reduce(2);
    let plan = spoilt.plan(&[0, 1], 0, 0, 12);
    let dealt = spoilt.deal(&plan);
    let (mut sched, keepers) = received(&dealt);
    let ends = both(&mut sched, &keepers, dealt.digest(), What::Check, 0, keys);
    for (end, keeper) in ends.iter().zip(&keepers) {
        assert_eq!(end.as_ref().err().map(name), Some("dealing"));
        assert_eq!(stage(keeper, &dealt.digest()), Stage::Refused);
    }
    // Shares on a node's disk that are not the ones that were proven; a proof
    // that says another length; a commitment that is not of its mask.
    let digest = good.digest();
    for (node, file, at, says, after) in [
        (1, "explicit", 0, "dealing", Stage::Refused),
        (1, "explicit", 8, "mac", Stage::Destroyed),
        // CST-5: seen before anything is said, and no fault of the dealing's.
        (1, "key", 0, "altered", Stage::Received),
        (0, "proof", 4, "dealing", Stage::Refused),
        (1, "proof", 4, "dealing", Stage::Refused),
        (0, "commitments", 0, "masks", Stage::Refused),
        (1, "commitments", 32, "masks", Stage::Refused),
    ] {
        let case = format!("{file} of {node}");
        let (mut sched, keepers) = received(&good);
        let disk = keepers[node].read(|s| s.disk().clone());
        disk.damage(&format!("{digest}.{file}"), at);
        let ends = both(&mut sched, &keepers, digest, What::Check, 0, keys);
        let errors: Vec<_> = ends.iter().map(|e| e.as_ref().err().map(name)).collect();
        assert!(errors.contains(&Some(says)), "{case}: {ends:?}");
        assert!(errors.iter().all(Option::is_some), "{case}: {ends:?}");
        assert!(keepers.iter().any(|k| stage(k, &digest) == after), "{case}");
    }
}

#[test]
fn every_message_of_a_keys_check() {
    // TKT-4, CST-13, QRM-7
    let world = &ground(3, 2).world;
    let keys = [&world.public; 2];
    let dealt = world.deal(&world.plan(&[0, 1], 0, 0, 40));
    let digest = dealt.digest();
    let (mut sched, verified) = received(&dealt);
    let ends = both(&mut sched, &verified, digest, What::Check, 0, keys);
    assert!(ends.iter().all(Result::is_ok));
    let copies: Vec<Copy> = verified
        .iter()
        .map(|k| k.read(|s| s.disk().copy()))
        .collect();
    let fresh = || -> (Scheduler, Keepers) {
        let open = |(n, c)| Arc::new(world.open_store(n, SimDisk::of(c)).unwrap());
        (in_order(4), (0u8..).zip(&copies).map(open).collect())
    };
    let quorum = dealt.dealing.quorum;
    let frozen = |k: &Keeper<SimDisk>| k.read(|s| s.state().frozen(quorum).is_some());
    for (kind, step, fault, says, freezes) in [
        (Kind::Meeting, 4, Fault::Flip(0), "coin of all", false),
        (Kind::Meeting, 4, Fault::Short, "coin of all", false),
        (Kind::Meeting, 5, Fault::Flip(0), "coin of all", false),
        (Kind::Meeting, 5, Fault::Silent, "silent", false),
        (Kind::Round, 1, Fault::Flip(34), "equivocation", false),
        (Kind::Round, COMMIT, Fault::Silent, "silent", false),
        (Kind::Round, SIGMA, Fault::Silent, "silent", true),
        (Kind::Round, SIGMA, Fault::Flip(34), "check", true),
        (Kind::Signatures, 0, Fault::Flip(0), "mask share", false),
        (Kind::Signatures, 0, Fault::Flip(32), "mask share", false),
        (Kind::Signatures, 0, Fault::Silent, "silent", false),
        (Kind::Signatures, 0, Fault::Short, "broke", false),
    ] {
        let case = format!("{kind:?} {step} {fault:?}");
        let (mut sched, keepers) = fresh();
        errs(&sched, kind, step, fault);
        let ends = both(&mut sched, &keepers, digest, What::Key, 1, keys);
        assert_eq!(
            ends[0].as_ref().err().map(name),
            Some(says),
            "{case}: {ends:?}"
        );
        assert_eq!(frozen(&keepers[0]), freezes, "{case}");
        let unchecked = keepers[0].read(|s| s.state().key_checked(quorum, 0).is_none());
        assert!(unchecked, "{case}");
        sched.net.calm();
        let ends = both(&mut sched, &keepers, digest, What::Key, 2, keys);
        let free = !frozen(&keepers[0]) && !frozen(&keepers[1]);
        assert_eq!(ends.iter().all(Result::is_ok), free, "{case}: {ends:?}");
    }
    // Another key than the dealt one; another at each; tickets with noise.
    let mut other = world.public.clone();
    other.b = poly(&mut rng(8));
    let (mut sched, keepers) = fresh();
    let ends = both(
        &mut sched,
        &keepers,
        digest,
        What::Key,
        1,
        [&world.public, &other],
    );
    assert!(
        ends.iter()
            .any(|e| e.as_ref().err().map(name) == Some("agenda"))
    );
    let ends = both(&mut sched, &keepers, digest, What::Key, 2, [&other; 2]);
    for (end, keeper) in ends.iter().zip(&keepers) {
        assert_eq!(end.as_ref().err().map(name), Some("public key"));
        assert!(frozen(keeper));
        assert_eq!(stage(keeper, &digest), Stage::Destroyed);
    }
    // One whole step of a message in every coefficient is seen; one that was
    // checked is not exchanged for another.
    let mut shifted = world.public.clone();
    shifted.b.iter_mut().for_each(|b| *b += Fq::reduce(1 << K));
    let (mut sched, keepers) = fresh();
    let ends = both(&mut sched, &keepers, digest, What::Key, 1, [&shifted; 2]);
    assert_eq!(ends[0].as_ref().err().map(name), Some("public key"));
    let (mut sched, keepers) = fresh();
    for trial in 1..3 {
        let ends = both(&mut sched, &keepers, digest, What::Key, trial, keys);
        assert!(ends.iter().all(Result::is_ok), "{ends:?}");
    }
    assert!(
        keepers
            .iter()
            .all(|k| k.read(|s| s.remaining(quorum, &dealt.dealing.class.digest())) == 0)
    );
}
