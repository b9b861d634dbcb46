//! What is cut off, and what is finished afterwards: callers that lose interest
//! at any moment, a restart after a signature, an old copy that is greeted, an
//! epoch that would destroy what was not released. QRM-3, QRM-5, QRM-8, QRM-9.

mod support;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use support::{
    disk::Copy,
    sim::{Scheduler, Step},
    *,
};
use veilbourse_peers::Kind;
use veilbourse_quorum::{deal::Dealt, *};
use veilbourse_ticket_store::*;

type Shared = Arc<Keeper<SimDisk>>;
type Parts = BTreeMap<u8, Result<(SignedOutcome, Vec<Released>), QuorumError>>;

const MEMBERS: [u8; 2] = [0, 1];
const OUTPUTS: [usize; 1] = [3];

struct Stand {
    world: World,
    dealt: Dealt,
    copies: Vec<Copy>,
    sched: Scheduler,
    keepers: Vec<Shared>,
    trials: u64,
    ends: Arc<Mutex<Parts>>,
}

impl Stand {
    fn new() -> Self {
        let world = World::new(3, 2, 5);
        let dealt = world.deal(&world.plan(&MEMBERS, 0, 0, 200));
        let dealings = BTreeMap::from([(MEMBERS.to_vec(), vec![dealt.clone()])]);
        let copies = usable(&world, &dealings);
        let mut stand = Self {
            world,
            dealt,
            copies,
            sched: Scheduler::new(1),
            keepers: Vec::new(),
            trials: 50,
            ends: Arc::default(),
        };
        stand.renew(1);
        stand
    }

    fn renew(&mut self, seed: u64) {
        let open = |(n, c)| Arc::new(self.world.open_store(n, SimDisk::of(c)).unwrap());
        self.keepers = (0u8..).zip(&self.copies).map(open).collect();
        self.sched = Scheduler::new(seed);
    }

    fn start(&mut self, order: u64, resume: bool) {
        self.trials += 1;
        self.ends = Arc::default();
        for n in MEMBERS {
            let digest = self.dealt.digest();
            let request = self.world.request(digest, order, &OUTPUTS, self.trials);
            let keeper = Arc::clone(&self.keepers[usize::from(n)]);
            let (net, ends) = (self.sched.net.of(n), Arc::clone(&self.ends));
            self.sched.spawn(n, async move {
                let signer = TestSigner { node: n };
                let signed = if resume {
                    keeper.resume(&net, &signer, &request).await
                } else {
                    keeper.open(&net, &signer, &request, [n; 32]).await
                };
                let part = signed.and_then(|s| {
                    let released = keeper.release(&s)?;
                    Ok((s, released))
                });
                ends.lock().unwrap().insert(n, part);
            });
        }
    }

    fn opens(&mut self, order: u64, resume: bool) -> bool {
        self.start(order, resume);
        self.sched.settle();
        let ends = self.ends.lock().unwrap();
        if ends.values().any(Result::is_err) {
            return false;
        }
        let parts: Vec<_> = ends.values().map(|e| e.as_ref().unwrap()).collect();
        let released: Vec<_> = parts.iter().map(|p| p.1.clone()).collect();
        let found = buyer(&self.dealt.dealing, parts[0].0.outcome(), &released);
        let found: Result<Vec<_>, _> = found.into_iter().collect();
        assert_eq!(found, Ok(self.world.values(&OUTPUTS)));
        true
    }

    fn session(&self, n: u8, order: u64) -> &'static str {
        let request = self.world.request(self.dealt.digest(), order, &[], 0);
        self.keepers[usize::from(n)].read(|s| {
            let latest = s.latest(&request.order, 0);
            latest.map_or("none", |s| s.stage.name())
        })
    }

    fn frozen(&self, n: u8) -> bool {
        let quorum = self.dealt.dealing.quorum;
        self.keepers[usize::from(n)].read(|s| s.state().frozen(quorum).is_some())
    }
}

#[test]
fn callers_that_lose_interest_at_any_moment() {
    // QRM-3, OPN-4: a future that is dropped; frozen if sigma had left and the
    // check was not seen to pass, else the keys are free at once.
    let mut stand = Stand::new();
    let (mut froze, mut freed, mut signed) = (0, 0, 0);
    for seed in 0..120 {
        stand.renew(seed);
        stand.start(1, false);
        for _ in 0..seed {
            stand.sched.step();
        }
        let said = stand.sched.net.said();
        let sigma = |s: &sim::Said| (s.from, s.kind, s.step) == (0, Kind::Round, 10);
        let left = said.iter().any(sigma);
        stand.sched.cancel(0);
        let stage = stand.session(0, 1);
        let pending = left && !["signed", "released"].contains(&stage);
        assert_eq!(stand.frozen(0), pending, "seed {seed}: {stage}");
        stand.sched.settle();
        match (stage, stand.frozen(0) || stand.frozen(1)) {
            ("released", _) => {}
            // QRM-5
            ("signed", _) => {
                signed += 1;
                let other = stand.session(1, 1);
                let both = ["signed", "released"].contains(&other);
                assert_eq!(stand.opens(1, true), both, "seed {seed}: {other}");
            }
            (_, true) => froze += 1,
            (_, false) => {
                freed += 1;
                assert!(["none", "abandoned"].contains(&stage), "{stage}");
                // Whoever else had signed holds the outputs (OPN-6).
                if stand.session(1, 1) != "signed" {
                    assert!(stand.opens(1, false), "seed {seed}");
                }
                assert!(stand.opens(2, false), "seed {seed}");
            }
        }
    }
    assert!(
        froze > 0 && freed > 20 && signed > 0,
        "{froze} {freed} {signed}"
    );
}

#[test]
fn what_was_signed_before_a_restart_is_finished() {
    // QRM-5, CST-7, OPN-6: power fails at a node as soon as it has signed, or just
    // before; and comes back.
    let mut stand = Stand::new();
    let (mut finished, mut held) = (0, 0);
    for seed in 0..60 {
        stand.renew(seed);
        stand.start(1, false);
        let cut = if seed % 2 == 0 {
            "signed"
        } else {
            "check passed"
        };
        loop {
            let step = stand.sched.step();
            let now = stand.session(1, 1);
            if step == Step::Idle || now == "signed" || (cut != "signed" && now == cut) {
                break;
            }
            if cut != "signed" && now == "check pending" {
                // Somewhere among the records that follow.
                let disk = stand.keepers[1].read(|s| s.disk().clone());
                disk.cut_in(3 + seed % 6);
            }
        }
        let disk = stand.keepers[1].read(|s| s.disk().clone());
        disk.kill();
        stand.sched.crash(1);
        stand.sched.settle();
        stand.sched.net.up(1);
        let disk = disk.restart(seed);
        stand.keepers[1] = Arc::new(stand.world.open_store(1, disk).unwrap());
        let stages = [stand.session(0, 1), stand.session(1, 1)];
        let signed = stages.map(|s| ["signed", "released"].contains(&s));
        if stand.frozen(0) || stand.frozen(1) {
            continue;
        }
        let resumed = stand.opens(1, true);
        assert_eq!(resumed, signed == [true, true], "{stages:?}");
        if resumed {
            finished += 1;
            // Again is no harm.
            assert!(stand.opens(1, true));
            continue;
        }
        held += 1;
        // Who has signed nothing is named, to both.
        let ends = stand.ends.lock().unwrap();
        let missing = signed.iter().position(|s| !s).unwrap() as u8;
        for e in ends.values() {
            let named = matches!(e, Err(QuorumError::NotSigned { peer }) if *peer == missing)
                || (signed == [false, false] && matches!(e, Err(QuorumError::NotSigned { .. })));
            assert!(named, "{e:?}");
        }
    }
    assert!(finished > 10, "{finished} {held}");
}

#[test]
fn an_old_copy_is_greeted_with_what_it_was() {
    // QRM-9, CST-11
    let mut stand = Stand::new();
    assert!(stand.opens(1, false));
    let copy = stand.keepers[1].read(|s| s.disk().copy());
    // The first session's statement is as old as the copy; the second's is not.
    assert!(stand.opens(2, false) && stand.opens(3, false));
    let disk = SimDisk::of(&copy);
    stand.keepers[1] = Arc::new(stand.world.open_store(1, disk).unwrap());
    let ends = Arc::new(Mutex::new(Vec::new()));
    for (own, peer) in [(0, 1), (1, 0)] {
        let keeper = Arc::clone(&stand.keepers[usize::from(own)]);
        let (net, ends) = (stand.sched.net.of(own), Arc::clone(&ends));
        stand.sched.spawn(own, async move {
            let end = keeper.greet(&net, peer, 1).await;
            ends.lock().unwrap().push((own, end));
        });
    }
    stand.sched.settle();
    let ends = ends.lock().unwrap();
    let of = |n: u8| &ends.iter().find(|(own, _)| *own == n).unwrap().1;
    let seen = matches!(
        of(1),
        Err(QuorumError::Store(StoreError::RolledBack { .. }))
    );
    assert!(seen, "{:?}", of(1));
    assert!(of(0).is_ok());
    assert_eq!(stand.keepers[0].greeted(), [1].into());
    assert!(stand.keepers[1].greeted().is_empty());
    drop(ends);
    assert!(!stand.opens(4, false), "it opens nothing any more");
    assert_eq!(stand.keepers[1].read(|s| s.disk().names()), ["log"]);
}

#[test]
fn an_epoch_does_not_destroy_what_is_owed() {
    // QRM-8, CST-9
    let mut stand = Stand::new();
    // Node 1's signature never comes: node 0 stays signed.
    stand.sched.net.tamper(Some(Box::new(|f, _| {
        f.leaves = f.from == 1 && f.kind == Kind::Signatures;
        true
    })));
    assert!(!stand.opens(1, false));
    assert_eq!(stand.session(0, 1), "signed");
    stand.sched.net.calm();
    let again = stand.world.deal(&stand.world.plan(&MEMBERS, 1, 0, 20));
    let digest = again.digest();
    for n in MEMBERS {
        again.hand(&stand.keepers[usize::from(n)], n).unwrap();
    }
    let ends = Arc::new(Mutex::new(0));
    for n in MEMBERS {
        let keeper = Arc::clone(&stand.keepers[usize::from(n)]);
        let (net, ends) = (stand.sched.net.of(n), Arc::clone(&ends));
        let public = stand.world.public.clone();
        stand.sched.spawn(n, async move {
            keeper.check(&net, &digest, 1, [n; 32]).await.unwrap();
            let checked = keeper.key_check(&net, &digest, &public, 1, [n; 32]);
            checked.await.unwrap();
            let owed = keeper.read(|s| s.withheld(again_quorum()));
            if owed.is_empty() {
                // Released already, by another's signature.
                *ends.lock().unwrap() += 1;
                return;
            }
            let e = keeper.activate(&[digest], &[]).await.unwrap_err();
            let first = owed[0];
            let withheld = matches!(e, QuorumError::Withheld { count: 1, first: f } if f == first);
            assert!(withheld, "{e}");
            keeper.activate(&[digest], &owed).await.unwrap();
            *ends.lock().unwrap() += 1;
        });
    }
    stand.sched.settle();
    assert_eq!(*ends.lock().unwrap(), 2);
}

fn again_quorum() -> QuorumSet {
    QuorumSet::of_members(&MEMBERS).unwrap()
}
