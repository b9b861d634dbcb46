//! What was signed and withheld does not hold an order (OPN-6, QRM-4, QRM-5): it
//! is forgone, another quorum opens, and nothing of it is released any more.

mod support;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use support::{
    sim::{Flight, Scheduler},
    *,
};
use veilbourse_core::digest::Digest;
use veilbourse_peers::Kind;
use veilbourse_quorum::{deal::Dealt, *};
use veilbourse_ticket_store::*;

type Part = Result<(SignedOutcome, Vec<Released>), QuorumError>;
type Ends = Arc<Mutex<BTreeMap<u8, Part>>>;

const OUTPUTS: [usize; 2] = [3, 4];
const ORDER: u64 = 5;

struct Scene {
    world: World,
    dealt: BTreeMap<Vec<u8>, Dealt>,
    sched: Scheduler,
    keepers: Vec<Arc<Keeper<SimDisk>>>,
    trials: u64,
}

impl Scene {
    fn new() -> Self {
        let world = World::new(3, 2, 2);
        let mut dealings = Dealings::new();
        for quorum in world.committee.quorums() {
            let members = quorum.members().to_vec();
            let dealt = world.deal(&world.plan(&members, 0, 0, 20));
            dealings.insert(members, vec![dealt]);
        }
        let copies = usable(&world, &dealings);
        let open = |(n, c)| Arc::new(world.open_store(n, SimDisk::of(c)).unwrap());
        let keepers = (0u8..).zip(&copies).map(open).collect();
        let sched = Scheduler::new(7);
        // As on one connection: what was said before a leaving is heard.
        sched.net.fifo();
        let first = dealings.into_iter().map(|(m, mut d)| (m, d.remove(0)));
        Self {
            dealt: first.collect(),
            world,
            sched,
            keepers,
            trials: 100,
        }
    }

    fn request(&self, members: &[u8]) -> Request {
        let dealing = self.dealt[members].digest();
        self.world.request(dealing, ORDER, &OUTPUTS, self.trials)
    }

    fn start(&mut self, members: &[u8], resume: bool) -> Ends {
        self.trials += 1;
        let ends = Ends::default();
        for n in members {
            let (n, net, ends) = (*n, self.sched.net.of(*n), Arc::clone(&ends));
            let keeper = Arc::clone(&self.keepers[usize::from(n)]);
            let request = self.request(members);
            let entropy = [n ^ self.trials as u8; 32];
            self.sched.spawn(n, async move {
                let signer = TestSigner { node: n };
                let signed = match resume {
                    true => keeper.resume(&net, &signer, &request).await,
                    false => keeper.open(&net, &signer, &request, entropy).await,
                };
                let part = signed.and_then(|s| {
                    let released = keeper.release(&s)?;
                    Ok((s, released))
                });
                ends.lock().unwrap().insert(n, part);
            });
        }
        ends
    }

    fn run(&mut self, members: &[u8], resume: bool) -> BTreeMap<u8, Part> {
        let ends = self.start(members, resume);
        self.sched.settle();
        let mut ends = ends.lock().unwrap();
        std::mem::take(&mut *ends)
    }

    /// Opened by all, but for the signatures: neither comes.
    fn withheld(&mut self, members: &[u8]) {
        self.sched.net.tamper(Some(Box::new(|f: &mut Flight, _| {
            f.leaves = f.kind == Kind::Signatures;
            true
        })));
        // Nothing binds node 1, which shall sign wherever it is asked.
        let (own, _) = self.latest(1);
        let _ = self.keepers[1].forgo(&own);
        let ends = self.run(members, false);
        let honest = members.iter().find(|m| **m != 1).unwrap();
        assert!(ends[honest].is_err());
        assert_eq!(self.latest(*honest).1, "signed");
        self.sched.net.calm();
    }

    fn latest(&self, n: u8) -> (Digest, &'static str) {
        let order = self.world.request(Digest::default(), ORDER, &[], 0).order;
        self.keepers[usize::from(n)].read(|s| {
            let latest = s.latest(&order, 0);
            latest.map_or((Digest::default(), "none"), |s| {
                (s.spent.session, s.stage.name())
            })
        })
    }

    fn bought(&self, members: &[u8], ends: &BTreeMap<u8, Part>) {
        let parts: Vec<_> = ends.values().map(|e| e.as_ref().unwrap()).collect();
        let released: Vec<_> = parts.iter().map(|p| p.1.clone()).collect();
        let dealing = &self.dealt[members].dealing;
        let found = buyer(dealing, parts[0].0.outcome(), &released);
        let found: Result<Vec<_>, _> = found.into_iter().collect();
        assert_eq!(found, Ok(self.world.values(&OUTPUTS)));
    }
}

#[test]
fn a_member_that_withholds_its_signature_holds_no_order() {
    // OPN-6, QRM-4, QRM-5: node 1 has node 0, then node 2, sign alone.
    let mut scene = Scene::new();
    scene.withheld(&[0, 1]);
    scene.withheld(&[1, 2]);
    let ends = scene.run(&[0, 2], false);
    for e in ends.values() {
        let held = matches!(
            e,
            Err(QuorumError::Store(StoreError::SecondOpening { .. }) | QuorumError::Open(_))
        );
        assert!(held, "{e:?}");
    }
    let first = [0, 2].map(|n| scene.latest(n).0);
    for (n, session) in [0usize, 2].into_iter().zip(first) {
        scene.keepers[n].forgo(&session).unwrap();
        // Again is no harm.
        scene.keepers[n].forgo(&session).unwrap();
    }
    let ends = scene.run(&[0, 2], false);
    scene.bought(&[0, 2], &ends);
    let released = scene.latest(0).0;
    assert!(scene.keepers[0].forgo(&released).is_err(), "it is released");
    // Now node 1 would sign: it is told, and nothing more is released.
    for (members, session) in [(&[0, 1], first[0]), (&[1, 2], first[1])] {
        let honest = members.iter().find(|m| **m != 1).copied().unwrap();
        for e in scene.run(members, true).values() {
            let said = matches!(e, Err(QuorumError::Forgone { .. }));
            assert!(said, "{e:?}");
        }
        scene.keepers[usize::from(honest)].read(|s| {
            let stage = &s.state().session_of(&session).unwrap().stage;
            assert_eq!(*stage, SessionStage::Forgone);
        });
    }
}

#[test]
fn signatures_that_come_after_it_release_nothing() {
    // OPN-6, QRM-4: node 0 forgoes while the last signature is on its way.
    let mut scene = Scene::new();
    let mut ends = scene.start(&[0, 1], false);
    for seed in 8.. {
        while !["signed", "released"].contains(&scene.latest(0).1) {
            scene.sched.step();
        }
        if scene.latest(0).1 == "signed" {
            break;
        }
        // The last signature was there first: another order of steps.
        scene = Scene::new();
        scene.sched = Scheduler::new(seed);
        ends = scene.start(&[0, 1], false);
    }
    let session = scene.latest(0).0;
    scene.keepers[0].forgo(&session).unwrap();
    scene.sched.settle();
    let ends = ends.lock().unwrap();
    let refused = matches!(
        ends[&0],
        Err(QuorumError::Store(StoreError::Session {
            found: "forgone",
            ..
        }))
    );
    assert!(refused, "{:?}", ends[&0]);
    // The other released its own part, which tells nothing.
    assert!(ends[&1].is_ok());
}

#[test]
fn an_old_copy_hears_that_it_forwent_before_it_finishes() {
    // CST-11, QRM-5: its peer knows only from a third node.
    let mut scene = Scene::new();
    scene.withheld(&[0, 1]);
    let session = scene.latest(0).0;
    let copy = scene.keepers[0].read(|s| s.disk().copy());
    scene.keepers[0].forgo(&session).unwrap();
    let ends = scene.run(&[0, 2], false);
    scene.bought(&[0, 2], &ends);
    for (own, peer) in [(1u8, 2u8), (2, 1)] {
        let keeper = Arc::clone(&scene.keepers[usize::from(own)]);
        let net = scene.sched.net.of(own);
        scene.sched.spawn(own, async move {
            keeper.greet(&net, peer, 1).await.unwrap();
        });
    }
    scene.sched.settle();
    let disk = SimDisk::of(&copy);
    scene.keepers[0] = Arc::new(scene.world.open_store(0, disk).unwrap());
    assert_eq!(scene.latest(0), (session, "signed"));
    let ends = scene.run(&[0, 1], true);
    let seen = matches!(
        ends[&0],
        Err(QuorumError::Store(StoreError::RolledBack { .. }))
    );
    assert!(seen, "{:?}", ends[&0]);
    assert_eq!(scene.keepers[0].read(|s| s.disk().names()), ["log"]);
}
