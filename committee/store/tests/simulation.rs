//! Three nodes over thousands of seeds: sessions, cuts of power, failed checks,
//! new epochs, restores from old copies. CST-6, CST-7, CST-8, CST-11, CST-12,
//! OPN-6.

mod support;

use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use std::collections::{BTreeMap, BTreeSet};
use support::*;
use veilbourse_core::{digest::Digest, field::Fq};
use veilbourse_ticket_store::*;

const SEEDS: u64 = 2000;
const STEPS: u64 = 24;
const QUORUMS: [[u8; 2]; 3] = [[0, 1], [0, 2], [1, 2]];

/// What left a node, whatever became of its folder since.
#[derive(Clone, Default)]
struct Past {
    /// The session that a ticket's shares left for.
    exposed: BTreeMap<(Digest, u64), Digest>,
    /// The session that an output was signed for.
    signed: BTreeMap<(Digest, u32), Digest>,
    destroyed: BTreeSet<Digest>,
    remaining: BTreeMap<Digest, u64>,
}

struct Node {
    store: Store<SimDisk>,
    past: Past,
    /// Records of the newest statement that it made to anybody.
    stated: u64,
    /// An older copy of its folder, and what had left until then.
    copy: Option<(disk::Copy, Past, u64)>,
    /// Restored, and the copy lacks what it stated.
    old: bool,
    restarts: u64,
}

#[derive(Default, Debug)]
struct Tally {
    sessions: u64,
    cuts: u64,
    frozen: u64,
    epochs: u64,
    restores: u64,
    seen: u64,
    unseen: u64,
    /// Tickets or outputs taken twice by an old copy before it was seen.
    erred: u64,
}

struct Sim<'a> {
    world: World,
    /// By quorum, then by epoch.
    dealings: &'a [Vec<Dealt>],
    nodes: Vec<Node>,
    tally: &'a mut Tally,
    orders: u64,
}

impl Sim<'_> {
    fn check(&mut self, n: u8) {
        let node = &mut self.nodes[usize::from(n)];
        let state = node.store.state();
        if node.old || state.rolled_back().is_some() {
            return;
        }
        for (dealing, ticket) in node.past.exposed.keys() {
            let d = state.dealing(dealing).expect("a dealing is not forgotten");
            assert!(d.next > *ticket, "a ticket comes back");
        }
        for (key, session) in &node.past.signed {
            let stage = state.session_of(session).unwrap().stage.name();
            assert!(["signed", "released"].contains(&stage), "{key:?} {stage}");
        }
        for (digest, d) in state.dealings() {
            let gone = node.past.destroyed.contains(digest);
            assert!(!gone || !d.stage.alive(), "destroyed stays destroyed");
            if !d.stage.alive() {
                node.past.destroyed.insert(*digest);
            }
        }
        for c in node.store.counts() {
            let before = node.past.remaining.get(&c.dealing).copied();
            if c.stage >= Stage::Usable {
                assert!(
                    c.remaining <= before.unwrap_or(u64::MAX),
                    "counts never grow"
                );
                node.past.remaining.insert(c.dealing, c.remaining);
            }
        }
    }

    /// Power comes back where it failed.
    fn revive(&mut self, n: u8, r: &mut ChaCha20Rng) {
        let config = self.world.config(n);
        let node = &mut self.nodes[usize::from(n)];
        while node.store.disk().dead() || node.store.held().is_err() {
            self.tally.cuts += 1;
            node.restarts += 1;
            let mut disk = node.store.disk().restart(r.random());
            // Once more while it recovers.
            if r.random_range(0..4) == 0 {
                disk.cut_in(r.random_range(1..9));
            }
            node.store = loop {
                match Store::open(disk.clone(), config.clone()) {
                    Ok(store) => break store,
                    Err(e) => assert!(disk.dead(), "{e}"),
                }
                disk = disk.restart(r.random());
            };
        }
        self.check(n);
    }

    fn with<T>(
        &mut self,
        n: u8,
        f: impl FnOnce(&mut Store<SimDisk>, &World) -> Result<T, StoreError>,
    ) -> Option<T> {
        let node = &mut self.nodes[usize::from(n)];
        match f(&mut node.store, &self.world) {
            Ok(x) => Some(x),
            // Seen: exactly when the copy lacks what a peer showed.
            Err(StoreError::RolledBack { .. }) => {
                assert!(node.store.state().rolled_back().is_some());
                assert!(node.old, "no false alarm");
                None
            }
            Err(_) => None,
        }
    }

    fn deal(&mut self, q: usize) {
        let floor = |n: u8, sim: &Self| {
            let quorum = QuorumSet::of_members(&QUORUMS[q]).unwrap();
            sim.nodes[usize::from(n)].store.state().floor(quorum)
        };
        let epoch = QUORUMS[q].map(|n| floor(n, self)).into_iter().max();
        let Some(dealt) = self.dealings[q].get(epoch.unwrap() as usize) else {
            return;
        };
        for n in QUORUMS[q] {
            self.with(n, |s, _| dealt.send(s, n, 60_000));
            self.with(n, |s, _| s.finish(&dealt.digest()));
            self.with(n, |s, _| s.checking(&dealt.digest()));
            self.with(n, |s, _| s.verified(&dealt.digest()));
            self.with(n, |s, _| s.key_checked(&dealt.digest(), &PUBLIC_KEY));
            if self.with(n, |s, _| s.activate(&[dealt.digest()])).is_some() {
                self.tally.epochs += 1;
            }
        }
    }

    /// The two messages of an exchange, both ways; whether both went through.
    fn exchange(&mut self, [a, b]: [u8; 2]) -> bool {
        let mut whole = true;
        for (to, from) in [(a, b), (b, a)] {
            let Some(held) = self.with(from, |s, _| s.held()) else {
                return false;
            };
            let node = &self.nodes[usize::from(to)];
            let shown = held.0.iter().filter(|s| s.statement.node == to);
            let shown = shown.map(|s| s.statement.sequence).max().unwrap_or(0);
            let (old, alive) = (
                node.old && shown > node.store.records(),
                node.store.state().rolled_back().is_none(),
            );
            whole &= self.with(to, |s, _| s.recall(from, &held)).is_some();
            let node = &self.nodes[usize::from(to)];
            if old && alive && !node.store.disk().dead() {
                assert!(
                    node.store.state().rolled_back().is_some(),
                    "an old copy is seen"
                );
                self.tally.seen += 1;
            }
        }
        for (to, from) in [(a, b), (b, a)] {
            let Some(own) = self.with(from, |s, w| s.statement(to, w.key(from))) else {
                return false;
            };
            // It may be on the other's disk though the other stops.
            let node = &mut self.nodes[usize::from(from)];
            node.stated = node.stated.max(own.statement.sequence);
            if self.with(to, |s, _| s.meet(from, &own)).is_none() {
                return false;
            }
        }
        whole
    }

    fn session(&mut self, q: usize, r: &mut ChaCha20Rng) {
        let members = QUORUMS[q];
        if !self.exchange(members) {
            return;
        }
        let quorum = QuorumSet::of_members(&members).unwrap();
        let floors = members.map(|n| self.nodes[usize::from(n)].store.state().floor(quorum));
        let Some(dealt) = self.dealings[q].get(*floors.iter().max().unwrap() as usize) else {
            return;
        };
        let dealing = dealt.digest();
        let next = members.map(|n| self.with(n, |s, _| s.next_ticket(&dealing)));
        let [Some(first), Some(second)] = next else {
            return;
        };
        assert_eq!(first, second, "after an exchange all say the same");
        if r.random_range(0..3) > 0 {
            self.orders += 1;
        }
        let order = self.orders;
        let attempt = first as u32;
        let binding = dealt.binding(order, attempt, first, &[(0, 1)]);
        let spent = members.map(|n| self.with(n, |s, _| s.spend(&binding)));
        for (n, session) in members.iter().zip(&spent) {
            let Some(session) = session else { continue };
            let node = &mut self.nodes[usize::from(*n)];
            let earlier = node.past.exposed.insert((dealing, first), *session);
            // An old copy that has not yet met who holds the evidence may err.
            let signed = node.past.signed.contains_key(&(binding.order, 0));
            assert!(
                node.old || earlier.is_none(),
                "a ticket's shares leave once"
            );
            assert!(node.old || !signed, "no second opening");
            self.tally.erred += u64::from(earlier.is_some() || signed);
        }
        let [Some(session), Some(_)] = spent else {
            for (n, s) in members.iter().zip(spent) {
                s.and_then(|s| self.with(*n, |store, _| store.abandon(&s, "the other is gone")));
            }
            return;
        };
        let mut going = members.map(|n| self.with(n, |s, _| s.check_pending(&session)).is_some());
        let failed = going.contains(&false) || r.random_range(0..12) == 0;
        for (n, going) in members.iter().zip(&mut going) {
            if failed && *going {
                self.tally.frozen += 1;
                self.with(*n, |s, _| s.abandon(&session, "the check failed"));
            } else if *going {
                *going = self.with(*n, |s, _| s.check_passed(&session)).is_some();
            }
        }
        if failed || r.random_range(0..8) == 0 {
            return;
        }
        for (n, going) in members.iter().zip(going) {
            if going
                && self
                    .with(*n, |s, _| s.signed(&session, &[Fq::ONE]))
                    .is_some()
            {
                let past = &mut self.nodes[usize::from(*n)].past;
                past.signed.insert((binding.order, 0), session);
                self.with(*n, |s, _| s.released(&session));
                self.tally.sessions += 1;
            }
        }
    }

    fn restore(&mut self, n: u8) {
        let config = self.world.config(n);
        let node = &mut self.nodes[usize::from(n)];
        let Some((copy, past, records)) = node.copy.clone() else {
            return;
        };
        self.tally.restores += 1;
        node.store = Store::open(SimDisk::of(&copy), config).unwrap();
        // The copy is as new as all that it said: nobody can tell.
        node.old = node.stated > records;
        if !node.old {
            self.tally.unseen += 1;
            node.past = past;
        }
    }
}

fn simulate(seed: u64, dealings: &[Vec<Dealt>], tally: &mut Tally) {
    let mut r = rng(seed);
    let world = World::new(3, 2);
    let node = |n| Node {
        store: world.create(n),
        past: Past::default(),
        stated: 0,
        copy: None,
        old: false,
        restarts: 0,
    };
    let nodes = (0..3).map(node).collect();
    let mut sim = Sim {
        world: world.clone(),
        dealings,
        nodes,
        tally,
        orders: 0,
    };
    for _ in 0..STEPS {
        let n = r.random_range(0..3u8);
        let q = r.random_range(0..3usize);
        if r.random_range(0..3) == 0 {
            let disk = sim.nodes[usize::from(n)].store.disk().clone();
            disk.cut_in(r.random_range(1..40));
        }
        match r.random_range(0..16) {
            0..4 => sim.deal(q),
            4..13 => sim.session(q, &mut r),
            13 if seed.is_multiple_of(2) => {
                let node = &mut sim.nodes[usize::from(n)];
                if !node.store.disk().dead() && !node.old {
                    let records = node.store.records();
                    node.copy = Some((node.store.disk().copy(), node.past.clone(), records));
                }
            }
            14 if seed.is_multiple_of(2) => sim.restore(n),
            _ => {
                sim.exchange(QUORUMS[q]);
            }
        }
        for n in 0..3 {
            sim.nodes[usize::from(n)].store.disk().uncut();
            sim.revive(n, &mut r);
        }
    }
}

#[test]
fn whatever_happens_no_ticket_serves_twice() {
    // CST-6, CST-7, CST-8, CST-11, CST-12, OPN-6
    let world = World::new(3, 2);
    let dealings: Vec<Vec<_>> = QUORUMS
        .iter()
        .map(|members| {
            let plan = |epoch| Plan {
                epoch,
                count: 3,
                seeds: u64::from(epoch) + 1,
                ..world.plan(members)
            };
            let deal = |epoch| Dealt::random(&world, &plan(epoch), &mut rng(epoch.into()));
            (0..4).map(deal).collect()
        })
        .collect();
    let mut tally = Tally::default();
    for seed in 0..SEEDS {
        simulate(seed, &dealings, &mut tally);
    }
    let Tally {
        sessions,
        cuts,
        frozen,
        restores,
        seen,
        unseen,
        epochs,
        erred,
    } = tally;
    let enough = [sessions, cuts, frozen, restores, seen, unseen, epochs];
    assert!(enough.iter().all(|n| *n > SEEDS / 50), "{tally:?}");
    assert!(erred < seen / 10, "{tally:?}");
}
