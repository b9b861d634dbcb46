//! What a hostile dealer, peer or disk tried, kept as it was tried: CST-1..11,
//! OPN-6.

mod support;

use support::*;
use veilbourse_core::digest::Digest;
use veilbourse_ticket_store::*;

/// Names of a node's files that end so.
fn files(disk: &SimDisk, suffix: &str) -> usize {
    let names = disk.names();
    names.iter().filter(|n| n.ends_with(suffix)).count()
}

/// Node 0 with what it was dealt for two quorums; it is the last party of none.
fn two_quorums() -> (World, Store<SimDisk>, [Digest; 2]) {
    let world = World::new(3, 2);
    let mut store = world.create(0);
    let dealt = [[0, 1], [0, 2]].map(|members| {
        let plan = Plan {
            seeds: u64::from(members[1]),
            ..world.plan(&members)
        };
        let dealt = Dealt::random(&world, &plan, &mut rng(1));
        dealt.usable(&mut store, 0).unwrap()
    });
    (world, store, dealt)
}

#[test]
fn a_lost_file_of_one_quorum_does_not_keep_the_secrets_of_another() {
    // CST-8: node 0 freezes a quorum and is cut off before anything is destroyed;
    // meanwhile the disk lost a file of the other one.
    let (world, mut store, [first, second]) = two_quorums();
    let quorum = QuorumSet::of_members(&[0, 1]).unwrap();
    let disk = store.disk().clone();
    // The record's write and sync, then the first overwriting.
    disk.cut_in(3);
    store.freeze(quorum, "a test").unwrap_err();
    let disk = disk.restart(1);
    assert_eq!(files(&disk, "seed"), 2);
    disk.shorten(&format!("{second}.tree"), 1);
    let e = Store::open(disk.clone(), world.config(0)).unwrap_err();
    assert!(matches!(e, StoreError::File { .. }), "{e}");
    assert!(
        !disk
            .names()
            .iter()
            .any(|n| n.starts_with(&first.to_string()))
    );
    assert_eq!(disk.legible_remains(), 0);
    assert_eq!(files(&disk, "seed"), 1);
}

#[test]
fn a_block_that_fails_does_not_keep_the_seed() {
    // CST-8
    let (_, mut store, _) = two_quorums();
    let disk = store.disk().clone();
    disk.fail("commitments");
    let e = store.retire().unwrap_err();
    assert!(matches!(e, StoreError::Io(_)), "{e}");
    assert_eq!(files(&disk, "commitments"), 2);
    assert_eq!(files(&disk, "seed"), 0);
    assert!(store.held().is_err(), "it does nothing more");
}

#[test]
fn what_is_sent_again_or_cut_off_is_not_legible() {
    // CST-8: a bit was flipped on the way; and then power fails.
    let mut world = World::new(3, 2);
    world.sync_every = 10_000;
    let dealt = Dealt::random(&world, &world.plan(&[0, 1]), &mut rng(1));
    let digest = dealt.digest();
    let mut store = world.create(1);
    let mut bad = dealt.clone();
    bad.streams[1][1][7000] ^= 1;
    bad.send(&mut store, 1, 9000).unwrap();
    let e = store.finish(&digest).unwrap_err();
    assert!(matches!(e, StoreError::StreamDigest { .. }), "{e}");
    assert_eq!(store.disk().legible_remains(), 0);
    let piece = &dealt.streams[1][1][..9000];
    store.put(&digest, Stream::Explicit, 0, piece).unwrap();
    // All of it reached the disk, and the log says nothing of it.
    let disk = SimDisk::of(&store.disk().copy());
    let store = Store::open(disk, world.config(1)).unwrap();
    assert_eq!(store.received(&digest, Stream::Explicit).unwrap().0, 0);
    assert_eq!(store.disk().legible_remains(), 0);
}

#[test]
fn a_dealer_does_not_send_the_wrong_stream_for_ever() {
    // CST-3: each time a record is written, and all of the dealing is read.
    let world = World::new(3, 2);
    let dealt = Dealt::random(&world, &world.plan(&[0, 1]), &mut rng(1));
    let digest = dealt.digest();
    let mut bad = dealt.clone();
    bad.streams[0][3][0] ^= 1;
    let mut store = world.create(0);
    for sent in 0..=MAX_RESENT {
        if sent == 3 {
            store = Store::open(store.disk().clone(), world.config(0)).unwrap();
        }
        bad.send(&mut store, 0, 1 << 20).unwrap();
        let e = store.finish(&digest).unwrap_err();
        assert!(matches!(e, StoreError::StreamDigest { .. }), "{e}");
    }
    assert_eq!(
        store.state().dealing(&digest).unwrap().stage,
        Stage::Refused
    );
    assert!(bad.send(&mut store, 0, 1 << 20).is_err());
    assert_eq!(store.disk().names(), ["log"]);
}

#[test]
fn what_a_node_said_in_another_committee_does_not_destroy_it() {
    // CST-10, CST-11: the dataset moves from two of three nodes to three of five;
    // node 0 has the same number and key, and a new folder. A peer of before
    // shows it what it signed then.
    let mut pair = Pair::new(4);
    pair.spend(1, 0, &[(0, 1)]);
    pair.meet().unwrap();
    let before = pair.b.held().unwrap();
    assert_eq!(before.0[0].statement.node, 0);
    let world = World::new(5, 3);
    assert_eq!(world.public(0), pair.world.public(0));
    let mut node = world.create(0);
    let dealt = Dealt::random(&world, &world.plan(&[0, 1, 2]), &mut rng(1));
    let digest = dealt.usable(&mut node, 0).unwrap();
    let e = node.recall(1, &before).unwrap_err();
    assert!(
        matches!(
            e,
            StoreError::Statement {
                field: "committee",
                ..
            }
        ),
        "{e}"
    );
    assert!(node.state().rolled_back().is_none());
    assert_eq!(node.state().dealing(&digest).unwrap().stage, Stage::Usable);
    // Nor does it count against a peer.
    let mut peer = world.create(1);
    let e = peer.meet(0, &before.0[0]).unwrap_err();
    assert!(
        matches!(
            e,
            StoreError::Statement {
                field: "committee",
                ..
            }
        ),
        "{e}"
    );
    world.meet(&mut [(0, &mut node), (1, &mut peer)]).unwrap();
}

#[test]
fn what_a_node_said_of_another_custodians_dealings_does_not_destroy_it() {
    // CST-10, CST-11, KEY-9: anybody may announce a dealing of the same dataset,
    // and has the node make a store and speak for it. What it signed there is
    // shown to it in the honest custodian's store.
    let mut stranger = Pair::new(4);
    let mut world = stranger.world.clone();
    stranger.spend(1, 0, &[(0, 1)]);
    stranger.meet().unwrap();
    let said = stranger.b.held().unwrap();
    assert_eq!(said.0[0].statement.node, 0);
    world.custodian = [8; 32];
    assert_ne!(said.0[0].statement.custodian, world.custodian);
    let mut node = world.create(0);
    let dealt = Dealt::random(&world, &world.plan(&[0, 1]), &mut rng(1));
    let digest = dealt.usable(&mut node, 0).unwrap();
    let refused = |e: StoreError| match e {
        StoreError::Statement { field, .. } => assert_eq!(field, "custodian"),
        e => panic!("{e}"),
    };
    refused(node.recall(1, &said).unwrap_err());
    assert!(node.state().rolled_back().is_none());
    assert_eq!(node.state().dealing(&digest).unwrap().stage, Stage::Usable);
    // Nor does it count against a peer.
    let mut peer = world.create(1);
    refused(peer.meet(0, &said.0[0]).unwrap_err());
    world.meet(&mut [(0, &mut node), (1, &mut peer)]).unwrap();
}

#[test]
fn the_tickets_of_a_session_are_read_once() {
    // CST-6: a session run twice would open two values under one mask.
    let mut pair = Pair::new(4);
    let session = pair.spend(1, 0, &[(0, 2)]);
    assert_eq!(pair.a.tickets(&session).unwrap().len(), 2);
    let e = pair.a.tickets(&session).err().unwrap();
    assert!(
        matches!(e, StoreError::Session { found: "spent", .. }),
        "{e}"
    );
}

#[test]
fn the_greatest_attempt_is_none() {
    // OPN-6: nothing is greater, so it could be used again.
    let mut pair = Pair::new(4);
    pair.meet().unwrap();
    let binding = pair.dealt.binding(1, u32::MAX, 0, &[(0, 1)]);
    let e = pair.a.spend(&binding).unwrap_err();
    assert!(
        matches!(
            e,
            StoreError::Limit {
                field: "attempt",
                ..
            }
        ),
        "{e}"
    );
    let binding = pair.dealt.binding(1, u32::MAX - 1, 0, &[(0, 1)]);
    let session = pair.a.spend(&binding).unwrap();
    pair.a.abandon(&session, "a test").unwrap();
    pair.meet().unwrap();
    let binding = pair.dealt.binding(1, u32::MAX - 1, 1, &[(0, 1)]);
    let e = pair.a.spend(&binding).unwrap_err();
    assert!(matches!(e, StoreError::Attempt { .. }), "{e}");
}

#[test]
fn a_seed_or_key_that_the_disk_altered_is_not_used() {
    // CST-5: the check would fail over it, and the quorum be frozen.
    let world = World::new(3, 2);
    let dealt = Dealt::random(&world, &world.plan(&[0, 1]), &mut rng(1));
    let mut store = world.create(1);
    let digest = dealt.usable(&mut store, 1).unwrap();
    store.data_key(&digest).unwrap();
    for suffix in ["key", "seed"] {
        let name = format!("{digest}.{suffix}");
        let disk = SimDisk::of(&store.disk().copy());
        disk.damage(&name, 5);
        let mut store = Store::open(disk, world.config(1)).unwrap();
        let e = store.data_key(&digest).err();
        let altered =
            |e: &StoreError| matches!(e, StoreError::Altered { name: n, .. } if *n == name);
        match suffix {
            "key" => assert!(altered(&e.unwrap())),
            // The last party's shares of the key are its file's.
            _ => assert!(altered(&store.live(&digest).err().unwrap())),
        }
    }
}

#[test]
fn a_stream_of_which_nothing_came_is_missed_too() {
    // CST-1
    let world = World::new(3, 2);
    let dealt = Dealt::random(&world, &world.plan(&[0, 1]), &mut rng(1));
    let mut store = world.create(1);
    let digest = store.begin(&dealt.dealing, &dealt.offer_to(1)).unwrap();
    let mut disk = SimDisk::of(&store.disk().copy());
    disk.delete(&format!("{digest}.explicit")).unwrap();
    let e = Store::open(disk, world.config(1)).unwrap_err();
    assert!(matches!(e, StoreError::File { .. }), "{e}");
}

#[cfg(target_os = "linux")]
#[test]
fn many_dealings_do_not_use_up_the_open_files() {
    // CST-1: a real folder, and more files than a process may have open.
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::new(dir.path());
    folder.create("log").unwrap();
    folder.lock("log").unwrap();
    let name = |n| format!("{}.seed", digest(n));
    for n in 0..300 {
        folder.create(&name(n)).unwrap();
        folder.write(&name(n), 0, &n.to_le_bytes()).unwrap();
        // Half of them are never synced: streams of which little has come.
        if n % 2 == 0 {
            folder.sync(&name(n)).unwrap();
        }
    }
    let mut found = [0; 8];
    for n in 0..300 {
        folder.read(&name(n), 0, &mut found).unwrap();
        assert_eq!(u64::from_le_bytes(found), n);
    }
    let root = dir.path().canonicalize().unwrap();
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let open = open.filter_map(|f| std::fs::read_link(f.ok()?.path()).ok());
    let open = open.filter(|p| p.starts_with(&root)).count();
    assert!(open <= 65, "{open}");
    // What is locked stays so.
    let mut other = Folder::new(dir.path());
    assert!(other.lock("log").is_err());
}

#[test]
fn a_bit_of_the_last_record_is_not_a_torn_write() {
    // CST-1, OPN-6: a node that would forget that it signed would open again.
    let mut pair = Pair::new(4);
    let session = pair.spend(1, 0, &[(0, 1)]);
    pair.a.check_pending(&session).unwrap();
    pair.a.check_passed(&session).unwrap();
    let before = pair.a.disk().bytes("log").unwrap().len();
    let y = [veilbourse_core::field::Fq::ONE];
    pair.a.signed(&session, &y).unwrap();
    let copy = pair.a.disk().copy();
    let after = SimDisk::of(&copy).bytes("log").unwrap();
    // Its very last byte, made zero, cannot be told from one that never came.
    let last = after.len() - usize::from(after.last() == Some(&1));
    for at in before..last {
        let disk = SimDisk::of(&copy);
        disk.damage("log", at);
        let e = Store::open(disk, pair.world.config(0)).map(|s| s.records());
        let damaged = matches!(e, Err(StoreError::Log(LogError::Damaged { .. })));
        assert!(damaged, "byte {at} of {}: {e:?}", after.len());
    }
    // What power left of it, with zeros after it or not, is.
    for kept in before..after.len() {
        for zeros in [0, after.len() - kept] {
            let mut disk = SimDisk::of(&copy);
            disk.truncate("log", kept as u64).unwrap();
            disk.truncate("log", (kept + zeros) as u64).unwrap();
            let store = Store::open(disk, pair.world.config(0)).unwrap();
            let stage = &store.state().session_of(&session).unwrap().stage;
            let whole = after[kept..].iter().all(|b| *b == 0) && zeros > 0;
            let expected = if whole { "signed" } else { "abandoned" };
            assert_eq!(stage.name(), expected, "byte {kept}");
        }
    }
}

/// That the log says what the node believes: opened elsewhere, it is the same.
fn replays(store: &Store<SimDisk>, world: &World, node: u8) -> bool {
    let copy = SimDisk::of(&store.disk().copy());
    let again = Store::open(copy, world.config(node)).unwrap();
    // Where a session or a check was cut off, opening goes on from there.
    if again.records() != store.records() {
        return false;
    }
    assert_eq!(again.head(), store.head());
    let [now, then] = [store, &again].map(|s| format!("{:?}", s.state()));
    assert_eq!(now, then);
    true
}

#[test]
fn a_log_replays_as_it_was_applied() {
    // CST-1: refusals, wrong streams, replaced and frozen epochs, peers.
    let mut pair = Pair::new(12);
    let world = pair.world.clone();
    let mut same = 0;
    let mut check = |pair: &Pair| same += usize::from(replays(&pair.a, &pair.world, 0));
    for order in 0..3 {
        let session = pair.spend(order, 0, &[(0, 1), (3, 2)]);
        check(&pair);
        pair.a.check_pending(&session).unwrap();
        pair.b.abandon(&session, "a test").unwrap();
        if order == 1 {
            pair.a.check_passed(&session).unwrap();
            pair.a.abandon(&session, "a test").unwrap();
            check(&pair);
            continue;
        }
        pair.a.check_passed(&session).unwrap();
        let y = [veilbourse_core::field::Fq::ONE; 3];
        pair.a.signed(&session, &y).unwrap();
        check(&pair);
        if order == 0 {
            pair.a.released(&session).unwrap();
            check(&pair);
        }
    }
    // A wrong stream, another root, a refusal; then a later epoch; then a freeze.
    let plan = |epoch, first| Plan {
        epoch,
        first,
        seeds: u64::from(epoch) + 1,
        with_key: first == 0,
        ..world.plan(&[0, 1])
    };
    let deal = |epoch, first| Dealt::random(&world, &plan(epoch, first), &mut rng(first));
    let mut bad = deal(0, 20);
    bad.streams[0][3][0] ^= 1;
    bad.send(&mut pair.a, 0, 1000).unwrap();
    assert!(pair.a.finish(&bad.digest()).is_err());
    check(&pair);
    pair.a.refuse(&bad.digest(), "a test").unwrap();
    check(&pair);
    for (epoch, first) in [(0, 30), (2, 0), (2, 10), (1, 0)] {
        let dealt = deal(epoch, first);
        if dealt.usable(&mut pair.a, 0).is_err() {
            assert_eq!(epoch, 1, "it is replaced already");
        }
        check(&pair);
    }
    let later = deal(3, 0);
    later.verified(&mut pair.a, 0).unwrap();
    check(&pair);
    pair.a.freeze(later.dealing.quorum, "a test").unwrap();
    check(&pair);
    pair.meet().unwrap();
    check(&pair);
    pair.a.retire().unwrap();
    check(&pair);
    assert!(same > 12, "{same}");
}
