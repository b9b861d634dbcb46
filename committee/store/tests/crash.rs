//! Power cut at every step of a node's life, and once more while it recovers:
//! CST-1, CST-3, CST-7, CST-8, CST-9.

mod support;

use std::collections::BTreeMap;
use support::*;
use veilbourse_core::{digest::Digest, field::Fq};
use veilbourse_ticket_store::*;

/// What the node has let out, or was told: kept outside of its folder.
#[derive(Default)]
struct Outside {
    /// Last ticket after which shares may have left, by dealing.
    spent: BTreeMap<Digest, u64>,
    signed: Vec<Digest>,
    /// Least epoch after a freeze or a replacement.
    floors: BTreeMap<QuorumSet, u32>,
    retired: bool,
    remaining: BTreeMap<Digest, u64>,
}

impl Outside {
    fn check(&mut self, store: &Store<SimDisk>, seeds: &[[u8; 32]]) {
        let state = store.state();
        for (dealing, next) in &self.spent {
            let d = state.dealing(dealing).expect("a dealing is not forgotten");
            assert!(d.next >= *next, "a ticket comes back");
        }
        for session in &self.signed {
            let stage = state.session_of(session).unwrap().stage.name();
            assert!(["signed", "released"].contains(&stage), "{stage}");
        }
        for (quorum, floor) in &self.floors {
            assert!(state.floor(*quorum) >= *floor);
        }
        assert!(state.retired() || !self.retired);
        let names = store.disk().names();
        for (digest, d) in state.dealings() {
            let gone = d.dealing.epoch < state.floor(d.dealing.quorum) || state.retired();
            assert!(!gone || !d.stage.alive(), "destroyed stays destroyed");
            let there = names.iter().any(|n| n.starts_with(&digest.to_string()));
            assert_eq!(there, d.stage.alive(), "{:?} {names:?}", d.stage);
        }
        for count in store.counts() {
            let before = self.remaining.entry(count.dealing).or_insert(u64::MAX);
            // A dealing not yet usable has none, then all, then fewer.
            if *before != 0 || count.stage != Stage::Usable {
                assert!(count.remaining <= *before);
            }
            if count.stage == Stage::Usable {
                *before = count.remaining;
            }
        }
        for name in names {
            let known = name == "log"
                || state
                    .dealing(&Digest::from_hex(&name[..64]).unwrap())
                    .is_some();
            assert!(known, "{name} belongs to nothing");
        }
        let log = store.disk().bytes("log").unwrap();
        for seed in seeds {
            assert!(!log.windows(32).any(|w| w == seed), "a secret in the log");
        }
    }
}

struct Life {
    world: World,
    peer: Store<SimDisk>,
    first: Dealt,
    second: Dealt,
    third: Dealt,
}

impl Life {
    fn new() -> Self {
        let mut world = World::new(3, 2);
        world.sync_every = 30_000;
        let plan = Plan {
            count: 3,
            ..world.plan(&[0, 1])
        };
        let second = Plan {
            epoch: 1,
            seeds: 2,
            ..plan
        };
        let third = Plan {
            epoch: 2,
            seeds: 3,
            ..plan
        };
        let [first, second, third] =
            [plan, second, third].map(|p| Dealt::random(&world, &p, &mut rng(1)));
        Self {
            peer: world.create(0),
            world,
            first,
            second,
            third,
        }
    }
    fn seeds(&self) -> Vec<[u8; 32]> {
        let all = [&self.first, &self.second, &self.third].into_iter();
        all.flat_map(|d| d.seeds.clone()).collect()
    }

    /// Everything that a node does, from where its state stands: node 1, who is
    /// the last party. Ends at the first error, as a process would.
    fn live(&mut self, store: &mut Store<SimDisk>, out: &mut Outside) -> Result<(), StoreError> {
        let quorum = self.first.dealing.quorum;
        self.deal(store, &self.first.clone(), out)?;
        if store.state().floor(quorum) == 0 {
            self.session(store, &self.first.clone(), 1, out)?;
            self.session(store, &self.first.clone(), 2, out)?;
        }
        self.deal(store, &self.second.clone(), out)?;
        if store.state().floor(quorum) == 1 {
            self.session(store, &self.second.clone(), 3, out)?;
            out.floors.insert(quorum, 0);
            store.freeze(quorum, "a test")?;
            out.floors.insert(quorum, 2);
        }
        self.deal(store, &self.third.clone(), out)?;
        out.retired = false;
        store.retire()?;
        out.retired = true;
        Ok(())
    }

    fn deal(
        &self,
        store: &mut Store<SimDisk>,
        dealt: &Dealt,
        out: &mut Outside,
    ) -> Result<(), StoreError> {
        let (digest, quorum) = (dealt.digest(), dealt.dealing.quorum);
        if store.state().floor(quorum) > dealt.dealing.epoch {
            return Ok(());
        }
        loop {
            let stage = store.state().dealing(&digest).map(|d| d.stage);
            match stage {
                None | Some(Stage::Receiving) => {
                    dealt.send(store, 1, 25_000)?;
                    store.finish(&digest)?;
                }
                Some(Stage::Received) => store.checking(&digest)?,
                Some(Stage::Checking) => store.verified(&digest)?,
                Some(Stage::Verified) => {
                    store.key_checked(&digest, &PUBLIC_KEY)?;
                    store.activate(&[digest])?;
                    out.floors.insert(quorum, dealt.dealing.epoch);
                }
                _ => return Ok(()),
            }
        }
    }

    fn session(
        &mut self,
        store: &mut Store<SimDisk>,
        dealt: &Dealt,
        order: u64,
        out: &mut Outside,
    ) -> Result<(), StoreError> {
        let digest = dealt.digest();
        self.world.meet(&mut [(0, &mut self.peer), (1, store)])?;
        let first = store.next_ticket(&digest)?;
        let binding = dealt.binding(order, first as u32, first, &[(0, 1)]);
        let session = match store.spend(&binding) {
            // Opened before, or nothing left.
            Err(StoreError::SecondOpening { .. } | StoreError::Ticket { .. }) => return Ok(()),
            other => other?,
        };
        out.spent.insert(digest, first + 1);
        assert_eq!(store.tickets(&session)?.len(), 1);
        store.check_pending(&session)?;
        store.check_passed(&session)?;
        store.signed(&session, &[Fq::ONE])?;
        out.signed.push(session);
        store.released(&session)?;
        assert_eq!(store.masks(&session)?.len(), 1);
        Ok(())
    }
}

#[test]
fn cut_at_every_step_and_again_while_recovering() {
    // CST-1, CST-3, CST-7, CST-8, CST-9
    let whole = {
        let mut life = Life::new();
        let mut store = life.world.create(1);
        life.live(&mut store, &mut Outside::default()).unwrap();
        store.disk().steps()
    };
    assert!(whole > 150, "{whole}");
    let (mut frozen, mut recoveries) = (0, 0);
    for cut in 1..=whole {
        let mut life = Life::new();
        let seeds = life.seeds();
        let mut out = Outside::default();
        let mut disk = SimDisk::default();
        Store::create(disk.clone(), life.world.config(1)).unwrap();
        disk = SimDisk::of(&disk.copy());
        disk.cut_in(cut);
        for round in 0.. {
            assert!(round < 8, "it ends");
            if let Ok(mut store) = Store::open(disk.clone(), life.world.config(1)) {
                out.check(&store, &seeds);
                frozen += usize::from(store.state().frozen(life.first.dealing.quorum).is_some());
                match life.live(&mut store, &mut out) {
                    Ok(()) => {
                        out.check(&store, &seeds);
                        assert_eq!(disk.legible_remains(), 0);
                        break;
                    }
                    // A node that froze in between is dealt to no more here.
                    Err(StoreError::Retired | StoreError::Stage { .. }) => break,
                    Err(e) => assert!(disk.dead(), "{e}"),
                }
            } else {
                assert!(disk.dead(), "only a cut keeps it from opening");
                recoveries += 1;
            }
            disk = disk.restart(cut * 100 + round);
            // Again while it recovers, and soon after.
            if round < 2 {
                disk.cut_in(1 + (cut * 7 + round * 3) % 13);
            }
        }
    }
    assert!(frozen > 0 && recoveries > 20, "{frozen} {recoveries}");
}

#[test]
fn a_check_is_pending_from_the_step_that_says_so() {
    // CST-7, OPN-4: whatever of the record survives, sigma leaves only after.
    for cut in 1..=6 {
        for seed in 0..20 {
            let mut pair = Pair::new(3);
            let session = pair.spend(1, 0, &[(0, 1)]);
            pair.a.disk().cut_in(cut);
            let told = pair.a.check_pending(&session).is_ok();
            // Power fails before the others answer, or they answer.
            let answered = told && seed % 2 == 0;
            let passed = answered && pair.a.check_passed(&session).is_ok();
            pair.restart_a(seed);
            let quorum = pair.dealt.dealing.quorum;
            let frozen = pair.a.state().frozen(quorum).is_some();
            // That it passed may be on disk though the step failed.
            assert!(!told || answered || frozen, "{cut} {seed}");
            assert!(!passed || !frozen);
            let stage = pair.a.state().session_of(&session).unwrap().stage.name();
            assert_eq!(stage, "abandoned");
        }
    }
}
