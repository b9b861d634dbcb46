//! Signed counters and restores from old copies: CST-10, CST-11.

mod support;

use ed25519_dalek::SigningKey;
use support::*;
use veilbourse_ticket_store::*;

/// Node 0 from a copy.
fn restored(pair: &Pair, copy: &disk::Copy) -> Store<SimDisk> {
    Store::open(SimDisk::of(copy), pair.world.config(0)).unwrap()
}

/// What node 0 says to node 1 after it heard that it holds nothing.
fn unwarned(pair: &mut Pair) -> SignedStatement {
    pair.a.recall(1, &Held(Vec::new())).unwrap();
    pair.a.statement(1, pair.world.key(0)).unwrap()
}

#[test]
fn a_node_restored_from_an_old_copy_destroys_what_it_has() {
    // CST-11
    let mut pair = Pair::new(8);
    let copy = pair.a.disk().copy();
    let session = pair.spend(1, 0, &[(0, 2)]);
    pair.a.abandon(&session, "cut off").unwrap();
    pair.b.abandon(&session, "cut off").unwrap();
    pair.a = restored(&pair, &copy);
    // It would spend ticket 0 again; its peer holds what it signed. It says
    // nothing before it has heard that.
    let e = pair.a.statement(1, pair.world.key(0)).unwrap_err();
    assert!(matches!(e, StoreError::NotMet { peer: 1 }), "{e}");
    let records = pair.a.records();
    let e = pair.a.recall(1, &pair.b.held().unwrap()).unwrap_err();
    assert!(
        matches!(e, StoreError::RolledBack { signed, .. } if signed > records),
        "{e}"
    );
    assert_eq!(pair.a.disk().names(), ["log"]);
    assert_eq!(pair.a.disk().legible_remains(), 0);
    pair.restart_a(1);
    assert!(pair.a.state().rolled_back().is_some());
    // For good: no dealing, no session, no exchange; and it says so.
    let plan = Plan {
        epoch: 9,
        seeds: 2,
        ..pair.world.plan(&[0, 1])
    };
    let new = Dealt::random(&pair.world, &plan, &mut rng(1));
    let e = new.send(&mut pair.a, 0, 1 << 20).unwrap_err();
    assert!(matches!(e, StoreError::RolledBack { .. }), "{e}");
    assert!(matches!(pair.meet(), Err(StoreError::RolledBack { .. })));
    let last = pair.a.statement(1, pair.world.key(0)).unwrap();
    assert!(last.statement.retired);
    assert!(pair.b.meet(0, &last).is_err());
}

#[test]
fn a_peer_refuses_a_node_that_is_behind_what_it_signed() {
    // CST-11
    let mut pair = Pair::new(8);
    let copy = pair.a.disk().copy();
    pair.spend(1, 0, &[(0, 2)]);
    pair.a = restored(&pair, &copy);
    let a = unwarned(&mut pair);
    pair.b.recall(0, &Held(Vec::new())).unwrap();
    let e = pair.b.meet(0, &a).unwrap_err();
    let field = "sequence";
    assert!(
        matches!(e, StoreError::PeerBehind { peer: 0, field: f, .. } if f == field),
        "{e}"
    );
    let dealt = pair.dealt.clone();
    let e = pair
        .b
        .spend(&dealt.binding(2, 0, 2, &[(0, 1)]))
        .unwrap_err();
    assert!(matches!(e, StoreError::NotMet { peer: 0 }), "{e}");
}

#[test]
fn a_log_that_went_on_from_an_old_copy_is_seen_by_its_heads() {
    // CST-11: as many records as before, or more, but other ones.
    let mut pair = Pair::new(8);
    let copy = pair.a.disk().copy();
    pair.spend(1, 0, &[(0, 2)]);
    pair.meet().unwrap();
    pair.a = restored(&pair, &copy);
    let evidence = pair.b.held().unwrap();
    let known = evidence.0[0].statement.sequence;
    let mut outcomes = Vec::new();
    for first in 1.. {
        let plan = Plan {
            first,
            count: 1,
            with_key: first == 1,
            ..pair.world.plan(&[0, 2])
        };
        let dealt = Dealt::random(&pair.world, &plan, &mut rng(1));
        pair.a.begin(&dealt.dealing, &dealt.offer_to(0)).unwrap();
        let a = unwarned(&mut pair);
        match pair.b.meet(0, &a) {
            Err(StoreError::PeerBehind { field, .. }) => outcomes.push(field),
            other => panic!("{other:?}"),
        }
        let mut copy = restored(&pair, &pair.a.disk().copy());
        let e = copy.recall(1, &evidence).unwrap_err();
        assert!(matches!(e, StoreError::RolledBack { .. }), "{e}");
        if pair.a.records() > known + 2 {
            break;
        }
    }
    // Once it is ahead its counters still give it away.
    assert!(
        outcomes.contains(&"head at the same sequence"),
        "{outcomes:?}"
    );
    assert_eq!(outcomes.last(), Some(&"counter"));
}

#[test]
fn a_third_node_tells_too() {
    // CST-11
    let world = World::new(3, 2);
    let [mut a, mut b, mut c] = [0, 1, 2].map(|n| world.create(n));
    let dealt = Dealt::random(&world, &world.plan(&[0, 1]), &mut rng(1));
    dealt.usable(&mut a, 0).unwrap();
    let copy = a.disk().copy();
    let old = || Store::open(SimDisk::of(&copy), world.config(0)).unwrap();
    world.meet(&mut [(0, &mut a), (1, &mut b)]).unwrap();
    // Node 2 never met node 0 itself.
    world.meet(&mut [(1, &mut b), (2, &mut c)]).unwrap();
    let heard = c.held().unwrap();
    assert!(c.known(0).unwrap().said.is_none() && c.known(0).unwrap().heard.is_some());
    let e = old().recall(2, &heard).unwrap_err();
    assert!(matches!(e, StoreError::RolledBack { .. }), "{e}");
    // Without any statement of its own nobody can tell, it neither.
    let mut unseen = old();
    unseen.recall(2, &Held(Vec::new())).unwrap();
    let says = unseen.statement(2, world.key(0)).unwrap();
    let mut fresh = world.create(2);
    fresh.recall(0, &unseen.held().unwrap()).unwrap();
    fresh.meet(0, &says).unwrap();
    // What is heard does not replace what was said.
    let hearsay = fresh.held().unwrap();
    world.meet(&mut [(0, &mut a), (1, &mut b)]).unwrap();
    let said = b.known(0).unwrap().said.clone();
    b.recall(2, &hearsay).unwrap();
    assert_eq!(b.known(0).unwrap().said, said);
    assert!(b.known(0).unwrap().heard.is_none(), "it is behind");
    for _ in 0..3 {
        world.meet(&mut [(0, &mut a), (2, &mut c)]).unwrap();
    }
    b.recall(2, &c.held().unwrap()).unwrap();
    assert_eq!(b.known(0).unwrap().said, said);
    assert!(b.known(0).unwrap().heard.is_some());
    assert_eq!(b.held().unwrap().0.len(), 3);
}

#[test]
fn statements_of_others_or_altered_are_refused() {
    // CST-10, WIRE-2
    let mut pair = Pair::new(4);
    let world = pair.world.clone();
    pair.meet().unwrap();
    let a = pair.a.statement(1, world.key(0)).unwrap();
    let bytes = a.encode();
    assert_eq!(SignedStatement::decode(&bytes).unwrap(), a);
    let records = pair.b.records();
    for cut in 0..bytes.len() {
        assert!(SignedStatement::decode(&bytes[..cut]).is_err());
    }
    for at in 0..bytes.len() {
        let mut other = bytes.clone();
        other[at] ^= 1;
        if let Ok(signed) = SignedStatement::decode(&other) {
            let e = pair.b.meet(0, &signed).unwrap_err();
            assert!(matches!(e, StoreError::Statement { .. }), "byte {at}: {e}");
        }
    }
    assert_eq!(pair.b.records(), records, "nothing of it is kept");
    let held = pair.b.held().unwrap();
    assert_eq!(Held::decode(&held.encode()).unwrap(), held);
    assert!(Held::decode(&[held.encode(), vec![0]].concat()).is_err());
    assert!(Held::decode(&11u32.to_le_bytes()).is_err());
    assert!(SignedStatement::decode(&vec![0; MAX_STATEMENT + 1]).is_err());
    // Another's, its own, another dataset's, another key's.
    for from in [1, 2, 3, 255] {
        let e = pair.b.meet(from, &a).unwrap_err();
        assert!(matches!(e, StoreError::Statement { .. }), "{e}");
    }
    let e = pair.a.statement(1, world.key(1)).unwrap_err();
    assert!(
        matches!(e, StoreError::Statement { field: "key", .. }),
        "{e}"
    );
    let mut elsewhere = world.clone();
    elsewhere.dataset = digest(5);
    let e = elsewhere.create(1).meet(0, &a).unwrap_err();
    assert!(
        matches!(
            e,
            StoreError::Statement {
                field: "dataset",
                ..
            }
        ),
        "{e}"
    );
    // A forged statement about this node does not make it destroy anything.
    let mut forged = Held(vec![pair.b.statement(0, world.key(1)).unwrap()]);
    forged.0[0].statement.sequence += 10;
    let e = pair.b.recall(0, &forged).unwrap_err();
    let field = "signature";
    assert!(
        matches!(e, StoreError::Statement { field: f, .. } if f == field),
        "{e}"
    );
    assert!(pair.b.state().rolled_back().is_none());
}

#[test]
fn what_a_statement_may_not_take_back() {
    // CST-10, CST-11
    let mut pair = Pair::new(4);
    let mut before = unwarned(&mut pair).statement;
    before.counters[0].next = 3;
    before.floors = vec![(pair.dealt.dealing.quorum, 2)];
    before.counters[0].epoch = 2;
    let later = |change: &dyn Fn(&mut Statement)| {
        let mut s = before.clone();
        s.sequence += 1;
        s.head = digest(8);
        change(&mut s);
        match continues(&before, &s) {
            Ok(()) => "",
            Err(StoreError::PeerBehind { field, .. }) => field,
            Err(e) => panic!("{e}"),
        }
    };
    assert_eq!(later(&|_| {}), "");
    assert_eq!(later(&|s| s.counters[0].next = 4), "");
    assert_eq!(later(&|s| s.retired = true), "");
    assert_eq!(later(&|s| s.sequence -= 2), "sequence");
    assert_eq!(later(&|s| s.sequence -= 1), "head at the same sequence");
    assert_eq!(later(&|s| s.counters[0].next = 2), "counter");
    assert_eq!(later(&|s| s.counters.clear()), "counter");
    assert_eq!(later(&|s| s.floors[0].1 = 1), "destroyed epoch");
    assert_eq!(later(&|s| s.floors.clear()), "destroyed epoch");
    // What was destroyed is not counted any more.
    let destroyed = |s: &mut Statement| {
        s.floors[0].1 = 3;
        s.counters.clear();
    };
    assert_eq!(later(&destroyed), "");
    before.retired = true;
    let mut s = before.clone();
    s.sequence += 1;
    s.retired = false;
    assert!(continues(&before, &s).is_err());
}

#[test]
fn a_node_that_replaces_another_begins_afresh() {
    // CST-9, CST-11
    let mut pair = Pair::new(4);
    pair.meet().unwrap();
    let mut world = pair.world.clone();
    world.keys[0] = SigningKey::from_bytes(&[77; 32]);
    let mut new = world.create(0);
    let mut b = Store::open(pair.b.disk().clone(), world.config(1)).unwrap();
    // Its predecessor's past is not its own, and its count begins anew.
    world.meet(&mut [(0, &mut new), (1, &mut b)]).unwrap();
    let said = b.known(0).unwrap().said.clone().unwrap();
    assert_eq!(said.key, world.public(0));
    // What its predecessor was dealt is not for it, and not used with it.
    let e = pair.dealt.send(&mut new, 0, 1 << 20).unwrap_err();
    assert!(
        matches!(
            e,
            StoreError::Foreign {
                field: "party key",
                ..
            }
        ),
        "{e}"
    );
    let e = b
        .spend(&pair.dealt.binding(1, 0, 0, &[(0, 1)]))
        .unwrap_err();
    assert!(
        matches!(
            e,
            StoreError::Foreign {
                field: "party key",
                ..
            }
        ),
        "{e}"
    );
    // The predecessor is not heard any more.
    let old = unwarned(&mut pair);
    let e = b.meet(0, &old).unwrap_err();
    assert!(
        matches!(e, StoreError::Statement { field: "key", .. }),
        "{e}"
    );
    let plan = Plan {
        epoch: 1,
        seeds: 2,
        ..world.plan(&[0, 1])
    };
    let dealt = Dealt::random(&world, &plan, &mut rng(1));
    dealt.usable(&mut new, 0).unwrap();
    dealt.usable(&mut b, 1).unwrap();
    world.meet(&mut [(0, &mut new), (1, &mut b)]).unwrap();
    let binding = dealt.binding(1, 0, 0, &[(0, 1)]);
    assert_eq!(new.spend(&binding).unwrap(), b.spend(&binding).unwrap());
}
