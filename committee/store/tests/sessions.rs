//! Tickets spent and what becomes of them: CST-6 to CST-9, CST-12, OPN-6.

mod support;

use support::*;
use veilbourse_core::{digest::Digest, field::Fq};
use veilbourse_ticket_store::*;

fn y(values: u64) -> Vec<Fq> {
    (0..values).map(|v| Fq::reduce(v + 7)).collect()
}

/// Both nodes take a session to a stage.
fn advance(pair: &mut Pair, session: &Digest, to: &str, values: u64) {
    for store in [&mut pair.a, &mut pair.b] {
        for step in ["check pending", "check passed", "signed", "released"] {
            match step {
                "check pending" => store.check_pending(session),
                "check passed" => store.check_passed(session),
                "signed" => store.signed(session, &y(values)),
                _ => store.released(session),
            }
            .unwrap();
            if step == to {
                break;
            }
        }
    }
}

fn stage_of(store: &Store<SimDisk>, session: &Digest) -> &'static str {
    store.state().session_of(session).unwrap().stage.name()
}

#[test]
fn a_session_from_spent_to_released() {
    // CST-6, CST-12
    let mut pair = Pair::new(8);
    let digest = pair.dealt.digest();
    let class = pair.dealt.dealing.class.digest();
    let quorum = pair.dealt.dealing.quorum;
    let session = pair.spend(1, 0, &[(0, 2), (3, 1)]);
    assert_eq!(pair.a.remaining(quorum, &class), 5);
    let numbers = |t: Vec<veilbourse_protocol::TicketShare>| -> Vec<u64> {
        t.iter().map(|t| t.number).collect()
    };
    assert_eq!(numbers(pair.b.tickets(&session).unwrap()), [0, 1, 2]);
    // Masks only once they are released.
    assert!(pair.a.masks(&session).is_err());
    let wrong = pair.a.signed(&session, &y(3)).unwrap_err();
    assert!(matches!(wrong, StoreError::Session { .. }), "{wrong}");
    advance(&mut pair, &session, "signed", 3);
    assert!(pair.a.tickets(&session).is_err() && pair.a.masks(&session).is_err());
    // The same y again is no harm; another, or another length, is refused.
    pair.a.signed(&session, &y(3)).unwrap();
    let mut other = y(3);
    other[0] += Fq::ONE;
    assert!(pair.a.signed(&session, &other).is_err());
    assert!(matches!(
        pair.a.signed(&session, &y(2)),
        Err(StoreError::Limit { .. })
    ));
    assert_eq!(pair.a.withheld(quorum), [session]);
    pair.restart_a(1);
    let words: Vec<u64> = y(3).iter().map(|y| y.word()).collect();
    assert_eq!(pair.a.signed_result(&session).unwrap(), words);
    pair.a.released(&session).unwrap();
    pair.a.released(&session).unwrap();
    assert_eq!(pair.a.masks(&session).unwrap().len(), 3);
    assert!(pair.a.abandon(&session, "too late").is_err());
    pair.restart_a(2);
    assert_eq!(pair.a.masks(&session).unwrap().len(), 3);
    let counts = pair.a.counts();
    assert_eq!(counts.len(), 1);
    let c = counts[0];
    assert_eq!(
        (c.dealing, c.dealt, c.spent, c.remaining),
        (digest, 8, 3, 5)
    );
}

#[test]
fn tickets_are_spent_in_order_once_and_after_an_exchange_of_counters() {
    // CST-6, CST-11
    let mut pair = Pair::new(6);
    let dealt = pair.dealt.clone();
    let e = pair
        .a
        .spend(&dealt.binding(1, 0, 0, &[(0, 1)]))
        .unwrap_err();
    assert!(matches!(e, StoreError::NotMet { peer: 1 }), "{e}");
    pair.meet().unwrap();
    let records = pair.a.records();
    for first in [1, 5, 6, u64::MAX] {
        let e = pair
            .a
            .spend(&dealt.binding(1, 0, first, &[(0, 1)]))
            .unwrap_err();
        let known = matches!(
            e,
            StoreError::Spent { expected: 0, .. } | StoreError::Outputs { .. }
        );
        assert!(known, "{e}");
    }
    let e = pair
        .a
        .spend(&dealt.binding(1, 0, 0, &[(0, 7)]))
        .unwrap_err();
    assert!(
        matches!(
            e,
            StoreError::Ticket {
                ticket: 6,
                end: 6,
                ..
            }
        ),
        "{e}"
    );
    for outputs in [&[(0, 0)][..], &[(1, 1), (1, 1)], &[(1, 1), (0, 1)]] {
        let e = pair.a.spend(&dealt.binding(1, 0, 0, outputs)).unwrap_err();
        assert!(matches!(e, StoreError::Outputs { .. }), "{e}");
    }
    let mut gap = dealt.binding(1, 0, 0, &[(0, 1), (1, 1)]);
    gap.outputs[1].first_ticket = 2;
    assert!(matches!(
        pair.a.spend(&gap),
        Err(StoreError::Outputs { .. })
    ));
    assert!(matches!(
        pair.a.spend(&dealt.binding(1, 0, 0, &[])),
        Err(StoreError::Limit { .. })
    ));
    let many: Vec<_> = (0..2).map(|o| (o, 1 << 16)).collect();
    assert!(matches!(
        pair.a.spend(&dealt.binding(1, 0, 0, &many)),
        Err(StoreError::Limit { .. })
    ));
    // Another dataset, quorum, class, dealing.
    let good = dealt.binding(1, 0, 0, &[(0, 2)]);
    for change in 0..4 {
        let mut other = good.clone();
        match change {
            0 => other.dataset = digest(9),
            1 => other.quorum = vec![0, 2],
            2 => other.class = digest(9),
            _ => other.dealing = digest(9),
        }
        assert!(pair.a.spend(&other).is_err());
    }
    assert_eq!(pair.a.records(), records, "nothing of it was kept");
    // Only node 0 spends; both pass over what it spent.
    let session = pair.a.spend(&good).unwrap();
    assert!(matches!(
        pair.a.spend(&good),
        Err(StoreError::Session { .. })
    ));
    pair.a.abandon(&session, "the other is gone").unwrap();
    pair.meet().unwrap();
    assert_eq!(pair.b.next_ticket(&dealt.digest()).unwrap(), 2);
    let next = dealt.binding(2, 0, 2, &[(0, 1)]);
    pair.b.spend(&next).unwrap();
    pair.a.spend(&next).unwrap();
    // Each session needs an exchange of its own.
    let e = pair
        .a
        .spend(&dealt.binding(3, 0, 3, &[(0, 1)]))
        .unwrap_err();
    assert!(matches!(e, StoreError::NotMet { .. }), "{e}");
}

#[test]
fn an_output_is_opened_once_unless_nothing_was_signed() {
    // OPN-6
    for (stage, again) in [
        ("spent", false),
        ("check pending", false),
        ("check passed", false),
        ("signed", false),
        ("released", false),
        ("abandoned", true),
        ("abandoned after its check", true),
    ] {
        let mut pair = Pair::new(8);
        let session = pair.spend(1, 0, &[(0, 1), (1, 1)]);
        match stage {
            "spent" => {}
            "abandoned" => pair.a.abandon(&session, "cut off").unwrap(),
            "abandoned after its check" => {
                advance(&mut pair, &session, "check passed", 2);
                pair.a.abandon(&session, "no signature came").unwrap();
            }
            to => advance(&mut pair, &session, to, 2),
        }
        pair.meet().unwrap();
        let dealt = pair.dealt.clone();
        // One output in common is enough; another order has none.
        let second = dealt.binding(1, 1, 2, &[(1, 1), (2, 1)]);
        match pair.a.spend(&second) {
            Ok(_) => assert!(again, "{stage}"),
            Err(StoreError::SecondOpening {
                output: 1, found, ..
            }) => {
                assert!(!again && found == stage, "{stage}");
                // Another output of the order is another value.
                let other = dealt.binding(1, 1, 2, &[(2, 1)]);
                pair.a.spend(&other).unwrap();
            }
            Err(e) => panic!("{e}"),
        }
    }
}

#[test]
fn a_second_opening_is_refused_under_another_quorum_too() {
    // OPN-6
    let world = World::new(3, 2);
    let [mut a, mut b, mut c] = [0, 1, 2].map(|n| world.create(n));
    let deal = |members: &[u8]| Dealt::random(&world, &world.plan(members), &mut rng(1));
    let (ab, ac, bc) = (deal(&[0, 1]), deal(&[0, 2]), deal(&[1, 2]));
    ab.usable(&mut a, 0).unwrap();
    ab.usable(&mut b, 1).unwrap();
    ac.usable(&mut a, 0).unwrap();
    ac.usable(&mut c, 2).unwrap();
    bc.usable(&mut b, 1).unwrap();
    bc.usable(&mut c, 2).unwrap();
    world.meet(&mut [(0, &mut a), (1, &mut b)]).unwrap();
    let first = ab.binding(1, 0, 0, &[(0, 1)]);
    let session = a.spend(&first).unwrap();
    b.spend(&first).unwrap();
    // a signs; b is cut off after its check passed.
    for s in [&mut a, &mut b] {
        s.check_pending(&session).unwrap();
        s.check_passed(&session).unwrap();
    }
    a.signed(&session, &y(1)).unwrap();
    b = Store::open(b.disk().restart(1), world.config(1)).unwrap();
    assert_eq!(stage_of(&b, &session), "abandoned");
    world.meet(&mut [(0, &mut a), (2, &mut c)]).unwrap();
    let e = a.spend(&ac.binding(1, 0, 0, &[(0, 1)])).unwrap_err();
    assert!(
        matches!(
            e,
            StoreError::SecondOpening {
                found: "signed",
                ..
            }
        ),
        "{e}"
    );
    // ... also when the quorum that signed is frozen, until it is forgone.
    a.freeze(ab.dealing.quorum, "a test").unwrap();
    let e = a.spend(&ac.binding(1, 0, 0, &[(0, 1)])).unwrap_err();
    assert!(matches!(e, StoreError::SecondOpening { .. }), "{e}");
    assert!(a.released(&session).is_err() && a.masks(&session).is_err());
    // b signed nothing, c knows of nothing: they may, and it costs a ticket.
    world.meet(&mut [(1, &mut b), (2, &mut c)]).unwrap();
    let last = bc.binding(1, 0, 0, &[(0, 1)]);
    b.spend(&last).unwrap();
    c.spend(&last).unwrap();
    let spent = |s: &Store<SimDisk>| s.counts().iter().map(|c| c.spent).sum::<u64>();
    assert_eq!((spent(&b), spent(&c)), (2, 1));
}

#[test]
fn what_is_forgone_is_never_released_and_another_may_open() {
    // CST-6, CST-7, OPN-6
    for stage in [
        "spent",
        "check pending",
        "check passed",
        "released",
        "abandoned",
    ] {
        let mut pair = Pair::new(4);
        let session = pair.spend(1, 0, &[(0, 1)]);
        match stage {
            "spent" => {}
            "abandoned" => pair.a.abandon(&session, "a test").unwrap(),
            to => advance(&mut pair, &session, to, 1),
        }
        let e = pair.a.forgo(&session).unwrap_err();
        assert!(
            matches!(e, StoreError::Session { found, .. } if found == stage),
            "{e}"
        );
    }
    let mut pair = Pair::new(8);
    let quorum = pair.dealt.dealing.quorum;
    let session = pair.spend(1, 0, &[(0, 2), (1, 1)]);
    advance(&mut pair, &session, "signed", 3);
    let order = pair.a.state().session_of(&session).unwrap().spent.order;
    let grant = pair.a.state().session_of(&session).unwrap().spent.grant;
    let owed = |s: &Store<SimDisk>| -> Vec<Digest> {
        s.owed(&order).iter().map(|s| s.spent.session).collect()
    };
    assert_eq!(owed(&pair.a), [session]);
    assert!(!pair.a.forwent(&order, &grant));
    pair.a.forgo(&session).unwrap();
    let records = pair.a.records();
    pair.a.forgo(&session).unwrap();
    assert_eq!(pair.a.records(), records, "again is no harm");
    for restart in 0..2 {
        assert_eq!(stage_of(&pair.a, &session), "forgone");
        let forgone = |e: StoreError| {
            matches!(
                e,
                StoreError::Session {
                    found: "forgone",
                    ..
                }
            )
        };
        // All signatures may come now.
        assert!(forgone(pair.a.released(&session).unwrap_err()));
        assert!(forgone(pair.a.masks(&session).unwrap_err()));
        assert!(forgone(pair.a.signed(&session, &y(3)).unwrap_err()));
        assert!(forgone(pair.a.abandon(&session, "a test").unwrap_err()));
        assert!(pair.a.signed_result(&session).is_err());
        assert!(owed(&pair.a).is_empty() && pair.a.withheld(quorum).is_empty());
        assert!(pair.a.forwent(&order, &grant));
        pair.restart_a(restart);
    }
    // The other has not forgone, and takes part in no other.
    pair.meet().unwrap();
    let dealt = pair.dealt.clone();
    let second = dealt.binding(1, 1, 3, &[(0, 2)]);
    assert_eq!(second.order, order);
    let next = pair.a.spend(&second).unwrap();
    let e = pair.b.spend(&second).unwrap_err();
    assert!(
        matches!(
            e,
            StoreError::SecondOpening {
                found: "signed",
                ..
            }
        ),
        "{e}"
    );
    pair.b.released(&session).unwrap();
    assert!(pair.b.forgo(&session).is_err(), "released first");
    // What was spent stays spent.
    assert_eq!(
        pair.a.state().session_of(&next).unwrap().spent.tickets(),
        (3, 5)
    );
    pair.a.abandon(&next, "a test").unwrap();
    pair.restart_a(5);
    assert_eq!(stage_of(&pair.a, &session), "forgone");
}

#[test]
fn a_frozen_quorums_signed_session_may_be_forgone() {
    // OPN-6, CST-8: its masks are destroyed already.
    let mut pair = Pair::new(4);
    let session = pair.spend(1, 0, &[(0, 1)]);
    advance(&mut pair, &session, "signed", 1);
    pair.a.freeze(pair.dealt.dealing.quorum, "a test").unwrap();
    assert_eq!(stage_of(&pair.a, &session), "signed");
    pair.a.forgo(&session).unwrap();
    pair.restart_a(1);
    assert_eq!(stage_of(&pair.a, &session), "forgone");
    pair.a.retire().unwrap();
    assert!(matches!(pair.a.forgo(&session), Err(StoreError::Retired)));
}

#[test]
fn power_fails_while_a_session_is_forgone() {
    // OPN-6: before the record it is signed, after it forgone; nothing between,
    // and nothing was released meanwhile.
    let (mut before, mut after) = (0, 0);
    for step in 1..8 {
        for seed in 0..6 {
            let mut pair = Pair::new(4);
            let session = pair.spend(1, 0, &[(0, 1)]);
            advance(&mut pair, &session, "signed", 1);
            pair.a.disk().cut_in(step);
            let done = pair.a.forgo(&session).is_ok();
            assert!(!done || stage_of(&pair.a, &session) == "forgone");
            // A store whose disk failed does nothing more.
            if !done {
                assert!(pair.a.released(&session).is_err());
            }
            pair.restart_a(seed);
            match stage_of(&pair.a, &session) {
                "signed" => {
                    assert!(!done);
                    before += 1;
                    pair.a.forgo(&session).unwrap();
                }
                "forgone" => after += 1,
                other => panic!("{other}"),
            }
            assert!(pair.a.released(&session).is_err());
        }
    }
    assert!(before > 0 && after > 0, "{before} {after}");
}

#[test]
fn of_release_and_forgoing_at_once_one_is_on_disk() {
    // OPN-6: the store's lock decides.
    for turn in 0..20 {
        let mut pair = Pair::new(4);
        let session = pair.spend(1, 0, &[(0, 1)]);
        advance(&mut pair, &session, "signed", 1);
        let store = std::sync::Mutex::new(&mut pair.a);
        let (released, forgone) = std::thread::scope(|s| {
            let release = || {
                let mut store = store.lock().unwrap();
                store.released(&session).is_ok() && store.masks(&session).is_ok()
            };
            let forgo = || store.lock().unwrap().forgo(&session).is_ok();
            // Who begins alternates; who comes first does not matter.
            if turn % 2 == 0 {
                let a = s.spawn(release);
                let b = s.spawn(forgo);
                (a.join().unwrap(), b.join().unwrap())
            } else {
                let b = s.spawn(forgo);
                let a = s.spawn(release);
                (a.join().unwrap(), b.join().unwrap())
            }
        });
        assert!(released != forgone);
        pair.restart_a(turn);
        let expected = if released { "released" } else { "forgone" };
        assert_eq!(stage_of(&pair.a, &session), expected);
        assert_eq!(pair.a.masks(&session).is_ok(), released);
    }
}

#[test]
fn an_old_copy_that_lacks_what_was_forgone_is_told_so_and_releases_nothing() {
    // CST-11, OPN-6: node 0 signs with 1, forgoes it, and begins another with 2.
    let world = World::new(3, 2);
    let [mut a, mut b, mut c] = [0, 1, 2].map(|n| world.create(n));
    let deal = |members: &[u8]| Dealt::random(&world, &world.plan(members), &mut rng(1));
    let (ab, ac) = (deal(&[0, 1]), deal(&[0, 2]));
    ab.usable(&mut a, 0).unwrap();
    ab.usable(&mut b, 1).unwrap();
    ac.usable(&mut a, 0).unwrap();
    ac.usable(&mut c, 2).unwrap();
    world.meet(&mut [(0, &mut a), (1, &mut b)]).unwrap();
    let first = ab.binding(1, 0, 0, &[(0, 1)]);
    let session = a.spend(&first).unwrap();
    a.check_pending(&session).unwrap();
    a.check_passed(&session).unwrap();
    a.signed(&session, &y(1)).unwrap();
    let copy = a.disk().copy();
    a.forgo(&session).unwrap();
    world.meet(&mut [(0, &mut a), (2, &mut c)]).unwrap();
    a.spend(&ac.binding(1, 0, 0, &[(0, 1)])).unwrap();
    // The copy still has it signed; whoever was there later tells it.
    let mut old = Store::open(SimDisk::of(&copy), world.config(0)).unwrap();
    assert_eq!(stage_of(&old, &session), "signed");
    old.recall(1, &b.held().unwrap()).unwrap();
    let e = old.recall(2, &c.held().unwrap()).unwrap_err();
    assert!(matches!(e, StoreError::RolledBack { .. }), "{e}");
    for _ in 0..2 {
        let e = old.released(&session).unwrap_err();
        assert!(matches!(e, StoreError::RolledBack { .. }), "{e}");
        assert!(old.masks(&session).is_err() && old.forgo(&session).is_err());
        assert_eq!(old.disk().names(), ["log"]);
        old = Store::open(old.disk().restart(1), world.config(0)).unwrap();
    }
}

#[test]
fn attempts_of_an_order_go_up() {
    // OPN-6
    let mut pair = Pair::new(8);
    let session = pair.spend(1, 3, &[(0, 1)]);
    pair.a.abandon(&session, "cut off").unwrap();
    pair.b.abandon(&session, "cut off").unwrap();
    pair.meet().unwrap();
    let dealt = pair.dealt.clone();
    for attempt in 0..=3 {
        let e = pair
            .a
            .spend(&dealt.binding(1, attempt, 1, &[(0, 1)]))
            .unwrap_err();
        assert!(matches!(e, StoreError::Attempt { expected: 4, .. }), "{e}");
    }
    pair.a.spend(&dealt.binding(1, 4, 1, &[(0, 1)])).unwrap();
}

#[test]
fn what_a_restart_does_to_each_stage() {
    // CST-7, OPN-4
    for (stage, after, frozen) in [
        ("spent", "abandoned", false),
        ("check pending", "abandoned", true),
        ("check passed", "abandoned", false),
        ("signed", "signed", false),
        ("released", "released", false),
    ] {
        let mut pair = Pair::new(4);
        let digest = pair.dealt.digest();
        let quorum = pair.dealt.dealing.quorum;
        let session = pair.spend(1, 0, &[(0, 1)]);
        if stage != "spent" {
            advance(&mut pair, &session, stage, 1);
        }
        pair.restart_a(3);
        assert_eq!(stage_of(&pair.a, &session), after);
        assert!(
            pair.a.tickets(&session).is_err(),
            "its shares are not read twice"
        );
        assert_eq!(pair.a.state().frozen(quorum).is_some(), frozen);
        if frozen {
            assert_eq!(pair.a.disk().names(), ["log"]);
            assert_eq!(pair.a.disk().legible_remains(), 0);
            let e = pair.a.live(&digest).unwrap_err();
            assert!(matches!(e, StoreError::Stage { .. }), "{e}");
            assert_eq!(
                pair.a.remaining(quorum, &pair.dealt.dealing.class.digest()),
                0
            );
        } else {
            assert!(pair.a.live(&digest).is_ok());
        }
    }
}

#[test]
fn a_frozen_quorum_is_dealt_to_anew_in_a_later_epoch() {
    // CST-8, CST-9
    let mut pair = Pair::new(4);
    let world = pair.world.clone();
    let plan = world.plan(&[0, 1]);
    let session = pair.spend(1, 0, &[(0, 1)]);
    pair.a.check_pending(&session).unwrap();
    // A check that is given up freezes.
    pair.a.abandon(&session, "party 1 sent nothing").unwrap();
    assert_eq!(
        pair.a.state().frozen(plan.quorum),
        Some("party 1 sent nothing")
    );
    assert_eq!(pair.a.disk().names(), ["log"]);
    assert_eq!(pair.a.disk().legible_remains(), 0);
    assert!(pair.a.check_passed(&session).is_err());
    let again = Dealt::random(&world, &Plan { first: 10, ..plan }, &mut rng(1));
    let e = again.send(&mut pair.a, 0, 1 << 20).unwrap_err();
    assert!(
        matches!(
            e,
            StoreError::Destroyed {
                epoch: 0,
                least: 1,
                ..
            }
        ),
        "{e}"
    );
    let old = Plan { epoch: 1, ..plan };
    let e = Dealt::random(&world, &old, &mut rng(1)).send(&mut pair.a, 0, 1 << 20);
    assert!(matches!(e, Err(StoreError::Seed { .. })));
    let new = Dealt::random(
        &world,
        &Plan {
            epoch: 1,
            seeds: 2,
            ..plan
        },
        &mut rng(1),
    );
    new.usable(&mut pair.a, 0).unwrap();
    assert_eq!(pair.a.state().frozen(plan.quorum), None);
    pair.restart_a(4);
    assert_eq!(pair.a.remaining(plan.quorum, &plan.class.digest()), 4);
}

#[test]
fn a_new_epoch_replaces_the_old_one_when_it_is_usable() {
    // CST-9
    let mut pair = Pair::new(4);
    let world = pair.world.clone();
    let plan = world.plan(&[0, 1]);
    let old = pair.dealt.digest();
    let next = Plan {
        epoch: 5,
        seeds: 2,
        ..plan
    };
    let second = Plan {
        first: 4,
        with_key: false,
        class: class(30),
        ..next
    };
    let [one, two] = [next, second].map(|p| Dealt::random(&world, &p, &mut rng(1)));
    let d2 = two.verified(&mut pair.a, 0).unwrap();
    // Not without the epoch's key; not twice; not of two epochs at once.
    let e = pair.a.activate(&[d2]).unwrap_err();
    assert!(matches!(e, StoreError::Seed { .. }), "{e}");
    assert!(matches!(pair.a.data_key(&d2), Err(StoreError::Seed { .. })));
    let d1 = one.verified(&mut pair.a, 0).unwrap();
    assert!(matches!(
        pair.a.activate(&[d1, d1]),
        Err(StoreError::Limit { .. })
    ));
    assert!(matches!(
        pair.a.activate(&[]),
        Err(StoreError::Limit { .. })
    ));
    let other = Plan {
        epoch: 6,
        seeds: 3,
        ..plan
    };
    let other = Dealt::random(&world, &other, &mut rng(1));
    let d3 = other.verified(&mut pair.a, 0).unwrap();
    pair.a.key_checked(&d1, &PUBLIC_KEY).unwrap();
    assert!(matches!(
        pair.a.activate(&[d1, d3]),
        Err(StoreError::Foreign { .. })
    ));
    // OPN-4: the keys are handed out once, until they come back.
    let live = pair.a.live(&old).unwrap();
    let e = pair.a.live(&old).unwrap_err();
    assert!(matches!(e, StoreError::InUse { .. }), "{e}");
    pair.a.give_back(live);
    assert!(pair.a.live(&old).is_ok());
    pair.a.activate(&[d1, d2]).unwrap();
    assert!(pair.a.live(&old).is_err());
    assert!(
        !pair
            .a
            .disk()
            .names()
            .iter()
            .any(|n| n.starts_with(&old.to_string()))
    );
    assert!(pair.a.data_key(&d2).is_ok());
    // An older epoch does not come back; the later one is there still.
    let earlier = Plan {
        epoch: 4,
        seeds: 4,
        ..plan
    };
    let e = Dealt::random(&world, &earlier, &mut rng(1)).send(&mut pair.a, 0, 1 << 20);
    assert!(matches!(e, Err(StoreError::Destroyed { least: 5, .. })));
    pair.restart_a(5);
    pair.a.key_checked(&d3, &PUBLIC_KEY).unwrap();
    pair.a.activate(&[d3]).unwrap();
    assert_eq!(pair.a.remaining(plan.quorum, &class(30).digest()), 0);
}

#[test]
fn a_retired_node_keeps_nothing_and_takes_nothing() {
    // CST-9
    let mut pair = Pair::new(4);
    let session = pair.spend(1, 0, &[(0, 1)]);
    pair.a.retire().unwrap();
    assert_eq!(pair.a.disk().names(), ["log"]);
    assert_eq!(pair.a.disk().legible_remains(), 0);
    pair.restart_a(6);
    let dealt = pair.dealt.clone();
    let retired = |r: Result<(), StoreError>| assert!(matches!(r, Err(StoreError::Retired)));
    retired(pair.a.tickets(&session).map(drop));
    retired(pair.a.retire());
    let new = Plan {
        epoch: 1,
        seeds: 2,
        ..pair.world.plan(&[0, 1])
    };
    let new = Dealt::random(&pair.world, &new, &mut rng(1));
    retired(new.send(&mut pair.a, 0, 1 << 20));
    // It says so, and its peer sees it.
    let e = pair.meet().unwrap_err();
    assert!(matches!(e, StoreError::Retired), "{e}");
    let last = pair.a.statement(1, pair.world.key(0)).unwrap();
    let e = pair.b.meet(0, &last).unwrap_err();
    assert!(matches!(e, StoreError::PeerRetired { peer: 0 }), "{e}");
    let e = pair
        .b
        .spend(&dealt.binding(2, 0, 1, &[(0, 1)]))
        .unwrap_err();
    assert!(matches!(e, StoreError::NotMet { peer: 0 }), "{e}");
}

#[test]
fn after_a_failure_of_the_disk_nothing_more_is_done() {
    // CST-1
    let mut pair = Pair::new(4);
    pair.meet().unwrap();
    let binding = pair.dealt.binding(1, 0, 0, &[(0, 1)]);
    pair.a.disk().cut_in(2);
    let e = pair.a.spend(&binding).unwrap_err();
    assert!(matches!(e, StoreError::Log(LogError::Io(_))), "{e}");
    for e in [
        pair.a.retire().err(),
        pair.a.spend(&binding).err(),
        pair.a.held().err(),
        pair.a.live(&pair.dealt.digest()).err(),
    ] {
        assert!(matches!(e, Some(StoreError::Stopped)));
    }
}

#[test]
fn the_public_key_is_checked_with_verified_tickets() {
    // CST-13, OPN-4: a session of a verified dealing; it opens no order.
    let world = World::new(3, 2);
    let dealt = Dealt::random(&world, &world.plan(&[0, 1]), &mut rng(1));
    let digest = dealt.digest();
    let (mut a, mut b) = (world.create(0), world.create(1));
    let binding = dealt.binding(1, 0, 1, &[(0, 2)]);
    dealt.send(&mut a, 0, 1 << 20).unwrap();
    a.finish(&digest).unwrap();
    let e = a.spend_for_key(&binding).unwrap_err();
    assert!(
        matches!(
            e,
            StoreError::Stage {
                found: "received",
                ..
            }
        ),
        "{e}"
    );
    a.checking(&digest).unwrap();
    a.verified(&digest).unwrap();
    dealt.verified(&mut b, 1).unwrap();
    let e = a.spend_for_key(&binding).unwrap_err();
    assert!(matches!(e, StoreError::NotMet { peer: 1 }), "{e}");
    world.meet(&mut [(0, &mut a), (1, &mut b)]).unwrap();
    // For an order nothing is spent that is not usable.
    assert!(matches!(a.spend(&binding), Err(StoreError::Stage { .. })));
    let session = a.spend_for_key(&binding).unwrap();
    let e = a.spend_for_key(&binding).unwrap_err();
    assert!(matches!(e, StoreError::Session { .. }), "{e}");
    assert_eq!(a.tickets(&session).unwrap().len(), 2);
    assert_eq!(a.least_attempt(&binding.order, dealt.dealing.quorum), 0);
    assert!(a.latest(&binding.order, 0).is_none());
    // The keys are out once, and not while its check is pending.
    let live = a.live(&digest).unwrap();
    a.check_pending(&session).unwrap();
    a.give_back(live);
    assert!(matches!(a.live(&digest), Err(StoreError::InUse { .. })));
    a.check_passed(&session).unwrap();
    a.signed(&session, &y(2)).unwrap();
    a.released(&session).unwrap();
    assert_eq!(a.masks(&session).unwrap().len(), 2);
    assert!(a.withheld(dealt.dealing.quorum).is_empty());
    a.key_checked(&digest, &PUBLIC_KEY).unwrap();
    a.activate(&[digest]).unwrap();
    // Passed over and used, they count as spent.
    assert_eq!(a.counts()[0].spent, 3);
    // Its carrier refused, the check is void; cut off while pending it freezes.
    let session = {
        world.meet(&mut [(0, &mut a), (1, &mut b)]).unwrap();
        // What node 0 has signed that it spent is passed over.
        let early = dealt.binding(2, 0, 2, &[(0, 1)]);
        let e = b.spend_for_key(&early).unwrap_err();
        assert!(
            matches!(
                e,
                StoreError::Spent {
                    first: 2,
                    expected: 3
                }
            ),
            "{e}"
        );
        let binding = dealt.binding(2, 0, 3, &[(0, 1)]);
        b.spend_for_key(&binding).unwrap()
    };
    b.key_checked(&digest, &PUBLIC_KEY).unwrap();
    b.cut_off(dealt.dealing.quorum, "the caller went").unwrap();
    assert_eq!(stage_of(&b, &session), "abandoned");
    b.refuse(&digest, "not wanted").unwrap();
    assert!(b.state().key_checked(dealt.dealing.quorum, 0).is_none());
    world.meet(&mut [(0, &mut a), (1, &mut b)]).unwrap();
    let first = a.next_ticket(&digest).unwrap();
    let binding = dealt.binding(3, 0, first, &[(0, 1)]);
    assert_eq!(a.may_spend(&binding).unwrap(), binding.digest());
    let session = a.spend(&binding).unwrap();
    a.check_pending(&session).unwrap();
    a.cut_off(dealt.dealing.quorum, "the caller went").unwrap();
    assert!(a.state().frozen(dealt.dealing.quorum).is_some());
}
