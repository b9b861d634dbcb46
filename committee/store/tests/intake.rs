//! Dealings taken in: CST-1 to CST-5.

mod support;

use support::*;
use veilbourse_core::{digest::Digest, field::Fq, params::DATA_RING_DIMENSION as N, wire::Reader};
use veilbourse_protocol::{Fq2, Share, TicketShare, check_path};
use veilbourse_ticket_store::*;

fn shares_of(store: &mut Store<SimDisk>, dealing: &Digest, first: u64) -> Vec<TicketShare> {
    store.checked_tickets(dealing, first, 2).unwrap()
}

fn value(shares: [&Share; 2]) -> (Fq, Fq2) {
    (
        shares[0].value + shares[1].value,
        shares[0].mac + shares[1].mac,
    )
}

#[test]
fn a_dealing_comes_by_stream_and_each_ticket_is_read_at_its_place() {
    // CST-2, CST-3, CST-5, TKT-5, SHR-3
    let world = World::new(3, 2);
    let key: Vec<Fq> = (0..N as u64).map(|i| Fq::reduce(i & 1)).collect();
    for (first, count) in [(0, 1), (0, 5), (3, 6), (8, 8)] {
        let plan = Plan {
            first,
            count,
            ..world.plan(&[0, 2])
        };
        let dealt = Dealt::real(&world, &plan, &key, &mut rng(first));
        let digest = dealt.digest();
        let mut stores = [0u8, 2].map(|n| (n, world.create(n)));
        for (node, store) in &mut stores {
            dealt.send(store, *node, 1013).unwrap();
            store.finish(&digest).unwrap();
        }
        let [(_, a), (_, b)] = &mut stores;
        let [x, y] = [&mut *a, &mut *b].map(|s| s.live(&digest).unwrap().key().mac_key);
        let mac_key = x + y;
        for number in first..first + count - 1 {
            let (x, y) = (shares_of(a, &digest, number), shares_of(b, &digest, number));
            for (x, y) in x.iter().zip(&y) {
                for (x, y) in x.values.iter().zip(&y.values) {
                    let (v, mac) = value([x, y]);
                    assert_eq!(mac, mac_key.scale(v));
                }
            }
        }
        let (x, y) = (a.data_key(&digest).unwrap(), b.data_key(&digest).unwrap());
        for ((x, y), s) in x.shares.iter().zip(&y.shares).zip(&key) {
            assert_eq!(value([x, y]), (*s, mac_key.scale(*s)));
        }
        let signed = dealt.dealing.signed();
        for number in first..first + count {
            let path = a.path(&digest, number).unwrap();
            check_path(&signed, number, &path.commitments, &path.path).unwrap();
            assert_eq!(path.path, b.path(&digest, number).unwrap().path);
        }
        for ticket in [first.wrapping_sub(1), first + count] {
            let e = a.path(&digest, ticket).unwrap_err();
            assert!(matches!(e, StoreError::Ticket { .. }), "{e}");
            let e = a.checked_tickets(&digest, ticket, 1).err().unwrap();
            assert!(matches!(e, StoreError::Ticket { .. }), "{e}");
        }
        let mut proof = [0; 3];
        b.proof(&digest, 1, &mut proof).unwrap();
        assert_eq!(&proof, b"roo");
    }
}

#[test]
fn a_real_folder_does_the_same() {
    // CST-1, CST-3, CST-7, CST-8
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(2, 2);
    let dealt = Dealt::random(&world, &world.plan(&[0, 1]), &mut rng(2));
    let digest = dealt.digest();
    let open = || Store::open(Folder::new(folder.path()), world.config(1));
    let missing = open().unwrap_err();
    assert!(matches!(missing, StoreError::Log(LogError::Missing { .. })));
    let mut store = Store::create(Folder::new(folder.path()), world.config(1)).unwrap();
    let locked = open().unwrap_err();
    assert!(locked.to_string().contains("locked"), "{locked}");
    store.begin(&dealt.dealing, &dealt.offer_to(1)).unwrap();
    for (stream, bytes) in Stream::ALL.into_iter().zip(&dealt.streams[1]) {
        store.put(&digest, stream, 0, bytes).unwrap();
    }
    store.finish(&digest).unwrap();
    drop(store);
    let mut store = open().unwrap();
    assert_eq!(store.checked_tickets(&digest, 0, 4).unwrap().len(), 4);
    store.checking(&digest).unwrap();
    drop(store);
    // The check was pending.
    let store = open().unwrap();
    assert_eq!(
        store.state().dealing(&digest).unwrap().stage,
        Stage::Destroyed
    );
    assert_eq!(store.disk().list().unwrap(), ["log"]);
    drop(store);
    let again = Store::create(Folder::new(folder.path()), world.config(1)).unwrap_err();
    assert!(matches!(again, StoreError::Log(LogError::Exists { .. })));
}

#[test]
fn cut_anywhere_a_stream_goes_on_where_the_log_says() {
    // CST-3
    let world = World::new(2, 2);
    let dealt = Dealt::random(&world, &world.plan(&[0, 1]), &mut rng(3));
    let digest = dealt.digest();
    let mut disk = SimDisk::default();
    Store::create(disk.clone(), world.config(1)).unwrap();
    let (mut restarts, mut resumed) = (0, 0);
    loop {
        disk = disk.restart(restarts);
        let mut store = Store::open(disk.clone(), world.config(1)).unwrap();
        if store.state().dealing(&digest).is_some() {
            let mut at = Vec::new();
            for stream in Stream::ALL {
                let (here, _) = store.received(&digest, stream).unwrap();
                let name = format!(
                    "{digest}.{}",
                    ["commitments", "explicit", "key", "proof"][stream as usize]
                );
                assert_eq!(disk.bytes(&name).unwrap().len() as u64, here);
                at.push(here);
            }
            resumed += u64::from(at.iter().any(|a| *a > 0));
            // Nothing half received is used.
            let e = store.finish(&digest).unwrap_err();
            assert!(matches!(e, StoreError::Incomplete { .. }), "{e}");
            assert!(store.checked_tickets(&digest, 0, 1).is_err());
            assert!(store.activate(&[digest]).is_err());
        }
        disk.cut_in(3 + restarts % 17);
        if dealt.send(&mut store, 1, 4_001).is_ok() {
            disk.uncut();
            store.finish(&digest).unwrap();
            break;
        }
        restarts += 1;
    }
    assert!(restarts > 5 && resumed > 3, "{restarts} {resumed}");
}

#[test]
fn what_is_not_as_announced_is_sent_again_or_refused() {
    // CST-3
    let world = World::new(2, 2);
    let dealt = Dealt::random(&world, &world.plan(&[0, 1]), &mut rng(4));
    let digest = dealt.digest();
    for wrong in Stream::ALL {
        let mut store = world.create(1);
        let mut other = dealt.clone();
        other.streams[1][wrong as usize][33] ^= 1;
        other.send(&mut store, 1, 70_000).unwrap();
        let e = store.finish(&digest).unwrap_err();
        assert!(
            matches!(e, StoreError::StreamDigest { stream, .. } if stream == wrong),
            "{e}"
        );
        assert_eq!(store.received(&digest, wrong).unwrap().0, 0);
        // Only that one is sent again.
        dealt.send(&mut store, 1, 70_000).unwrap();
        store.finish(&digest).unwrap();
    }
    // Another root than the commitments': refused for good, and destroyed.
    let mut other = dealt.clone();
    other.dealing.root = support::digest(9);
    let mut store = world.create(1);
    other.send(&mut store, 1, 70_000).unwrap();
    let e = store.finish(&other.digest()).unwrap_err();
    assert!(matches!(e, StoreError::Root { .. }), "{e}");
    assert_eq!(store.disk().names(), ["log"]);
    let e = other.send(&mut store, 1, 70_000).unwrap_err();
    assert!(matches!(e, StoreError::Stage { .. }), "{e}");
    // Its numbers were dealt: not again under this seed.
    let e = dealt.send(&mut store, 1, 70_000).unwrap_err();
    assert!(matches!(e, StoreError::Numbers { .. }), "{e}");
}

#[test]
fn pieces_come_in_order_and_no_more_than_announced() {
    // CST-3
    let world = World::new(2, 2);
    let dealt = Dealt::random(&world, &world.plan(&[0, 1]), &mut rng(5));
    let mut store = world.create(0);
    let digest = store.begin(&dealt.dealing, &dealt.offer_to(0)).unwrap();
    let e = store
        .put(&digest, Stream::Commitments, 1, &[0])
        .unwrap_err();
    assert!(matches!(e, StoreError::Offset { expected: 0, .. }), "{e}");
    let e = store
        .put(&digest, Stream::Commitments, 0, &[0; 257])
        .unwrap_err();
    assert!(
        matches!(
            e,
            StoreError::TooLong {
                limit: 256,
                value: 257,
                ..
            }
        ),
        "{e}"
    );
    // Party 0 stores no explicit shares.
    let e = store.put(&digest, Stream::Explicit, 0, &[0]).unwrap_err();
    assert!(matches!(e, StoreError::TooLong { limit: 0, .. }), "{e}");
    let unknown = support::digest(77);
    let e = store.put(&unknown, Stream::Explicit, 0, &[0]).unwrap_err();
    assert!(matches!(e, StoreError::UnknownDealing { .. }), "{e}");
}

/// The seeds of another epoch.
fn reseeded(world: &World, plan: Plan) -> Dealt {
    Dealt::random(world, &plan, &mut rng(9))
}

#[test]
fn dealings_for_others_are_refused() {
    // CST-2
    let world = World::new(3, 2);
    let plan = world.plan(&[0, 1]);
    let dealt = Dealt::random(&world, &plan, &mut rng(6));
    let mut store = world.create(0);
    let refused = |store: &mut Store<SimDisk>, change: &dyn Fn(&mut Dealing), field: &str| {
        let mut dealing = dealt.dealing.clone();
        change(&mut dealing);
        let e = store.begin(&dealing, &dealt.offer_to(0)).unwrap_err();
        assert!(e.to_string().contains(field), "{field}: {e}");
        assert!(e.to_string().contains("(CST-2)"), "{e}");
        assert_eq!(store.disk().names(), ["log"]);
    };
    refused(&mut store, &|d| d.dataset = support::digest(8), "dataset");
    refused(
        &mut store,
        &|d| d.quorum = QuorumSet::of_members(&[1, 2]).unwrap(),
        "quorum",
    );
    refused(
        &mut store,
        &|d| d.quorum = QuorumSet::of_members(&[0, 4]).unwrap(),
        "quorum",
    );
    refused(
        &mut store,
        &|d| d.quorum = QuorumSet::of_members(&[0, 1, 2]).unwrap(),
        "party keys",
    );
    refused(&mut store, &|d| d.parties[1][0] ^= 1, "party key");
    refused(&mut store, &|d| d.parties.swap(0, 1), "party key");
    refused(&mut store, &|d| d.packages.swap(0, 1), "package");
    refused(&mut store, &|d| d.packages.truncate(1), "packages");
    refused(&mut store, &|d| d.count = 0, "tickets");
    refused(&mut store, &|d| d.count = MAX_NUMBER + 1, "tickets");
    refused(&mut store, &|d| d.first = MAX_NUMBER, "first ticket");
    refused(&mut store, &|d| d.first = u64::MAX, "first ticket");
    refused(&mut store, &|d| d.epoch = u32::MAX, "epoch");
    let mut offer = dealt.offer_to(0);
    offer.seed[0] ^= 1;
    let e = store.begin(&dealt.dealing, &offer).unwrap_err();
    assert!(
        matches!(e, StoreError::Foreign { field: "seed", .. }),
        "{e}"
    );
    let mut long = dealt.clone();
    long.packages[0].proof_bytes = 1 << 40;
    long.dealing.packages[0] = long.packages[0].digest();
    let e = store.begin(&long.dealing, &long.offer_to(0)).unwrap_err();
    assert!(
        matches!(
            e,
            StoreError::Limit {
                field: "proof bytes",
                ..
            }
        ),
        "{e}"
    );

    dealt.usable(&mut store, 0).unwrap();
    // One seed an epoch, one epoch a seed, one key, each number once.
    let more = Plan {
        first: 4,
        with_key: false,
        class: class(30),
        ..plan
    };
    let seed = |plan: Plan, store: &mut Store<SimDisk>, part: &str| {
        let e = reseeded(&world, plan).send(store, 0, 1 << 20).unwrap_err();
        assert!(
            matches!(e, StoreError::Seed { .. }) && e.to_string().contains(part),
            "{e}"
        );
    };
    seed(Plan { seeds: 2, ..more }, &mut store, "another seed");
    seed(
        Plan {
            epoch: 1,
            with_key: true,
            ..more
        },
        &mut store,
        "another epoch",
    );
    seed(
        Plan {
            with_key: true,
            ..more
        },
        &mut store,
        "its key already",
    );
    for (first, count) in [(0, 1), (3, 1), (2, 10)] {
        let plan = Plan {
            first,
            count,
            ..more
        };
        let e = reseeded(&world, plan)
            .send(&mut store, 0, 1 << 20)
            .unwrap_err();
        assert!(matches!(e, StoreError::Numbers { .. }), "{e}");
    }
    let other = reseeded(&world, more);
    other.usable(&mut store, 0).unwrap();
    assert_eq!(store.remaining(plan.quorum, &class(30).digest()), 4);
    assert_eq!(store.remaining(plan.quorum, &class(26).digest()), 4);
}

#[test]
fn announcements_have_one_encoding_and_wrong_bytes_are_refused() {
    // CST-2, WIRE-2
    let world = World::new(3, 2);
    let dealt = Dealt::random(&world, &world.plan(&[1, 2]), &mut rng(7));
    let mut out = veilbourse_core::wire::Writer::new();
    dealt.dealing.encode(&mut out);
    let bytes = out.finish();
    let mut input = Reader::new(&bytes);
    assert_eq!(Dealing::decode(&mut input).unwrap(), dealt.dealing);
    assert_eq!(input.remaining(), 0);
    for cut in 0..bytes.len() {
        assert!(Dealing::decode(&mut Reader::new(&bytes[..cut])).is_err());
    }
    for at in 0..bytes.len() {
        let mut other = bytes.clone();
        other[at] ^= 0x80;
        if let Ok(d) = Dealing::decode(&mut Reader::new(&other)) {
            assert_ne!(d.digest(), dealt.digest(), "byte {at}");
        }
    }
}

#[test]
fn stages_only_go_forward() {
    // CST-4
    let world = World::new(2, 2);
    let dealt = Dealt::random(&world, &world.plan(&[0, 1]), &mut rng(8));
    let mut store = world.create(1);
    let digest = dealt.digest();
    let refused = |r: Result<(), StoreError>| {
        let e = r.unwrap_err();
        assert!(e.to_string().contains("(CST-4)"), "{e}");
    };
    refused(store.finish(&digest));
    dealt.send(&mut store, 1, 1 << 20).unwrap();
    refused(store.checking(&digest));
    refused(store.verified(&digest));
    refused(store.activate(&[digest]));
    store.finish(&digest).unwrap();
    refused(store.finish(&digest));
    refused(store.put(&digest, Stream::Proof, 101, &[]));
    refused(store.verified(&digest));
    assert!(store.data_key(&digest).is_ok());
    store.checking(&digest).unwrap();
    refused(store.activate(&[digest]));
    store.verified(&digest).unwrap();
    // The proof is gone, and the tickets are not read until they are usable.
    assert!(!store.disk().names().iter().any(|n| n.ends_with("proof")));
    refused(store.checked_tickets(&digest, 0, 1).map(drop));
    // CST-13: not before its public key was checked, and there is one.
    let e = store.activate(&[digest]).unwrap_err();
    assert!(
        matches!(e, StoreError::KeyUnchecked { epoch: 0, .. }),
        "{e}"
    );
    store.key_checked(&digest, &PUBLIC_KEY).unwrap();
    let e = store.key_checked(&digest, &Digest([8; 32])).unwrap_err();
    assert!(
        matches!(
            e,
            StoreError::Foreign {
                field: "public key",
                ..
            }
        ),
        "{e}"
    );
    store.activate(&[digest]).unwrap();
    refused(store.checked_tickets(&digest, 0, 1).map(drop));
    refused(store.refuse(&digest, "too late"));
    // A check that fails freezes; a dealing that is refused before, does not.
    for (check, floor) in [(true, 1), (false, 0)] {
        let mut store = world.create(1);
        dealt.send(&mut store, 1, 1 << 20).unwrap();
        store.finish(&digest).unwrap();
        if check {
            store.checking(&digest).unwrap();
        }
        store.refuse(&digest, "it does not hold").unwrap();
        assert_eq!(store.disk().names(), ["log"]);
        assert_eq!(store.state().floor(dealt.dealing.quorum), floor);
    }
}

#[test]
fn a_folder_of_another_or_with_a_file_gone_is_not_opened() {
    // CST-1
    let world = World::new(3, 2);
    let dealt = Dealt::random(&world, &world.plan(&[0, 1]), &mut rng(10));
    let mut store = world.create(1);
    let digest = dealt.usable(&mut store, 1).unwrap();
    let disk = store.disk().clone();
    drop(store);
    let mut others = [world.clone(), world.clone(), World::new(3, 3)];
    others[0].dataset = support::digest(2);
    others[1].keys[1] = ed25519_dalek::SigningKey::from_bytes(&[99; 32]);
    for other in others {
        let e = Store::open(disk.clone(), other.config(1)).unwrap_err();
        assert!(
            matches!(e, StoreError::Identity { field: "owner", .. }),
            "{e}"
        );
    }
    let e = Store::open(disk.clone(), world.config(0)).unwrap_err();
    assert!(matches!(e, StoreError::Identity { .. }), "{e}");
    for suffix in ["seed", "commitments", "explicit", "key", "tree"] {
        let name = format!("{digest}.{suffix}");
        let disk = SimDisk::of(&disk.copy());
        disk.shorten(&name, 1);
        let e = Store::open(disk, world.config(1)).unwrap_err();
        assert!(
            matches!(&e, StoreError::File { name: n, .. } if *n == name),
            "{e}"
        );
    }
    let log = disk.bytes("log").unwrap();
    for at in (8..log.len()).step_by(11) {
        let disk = SimDisk::of(&disk.copy());
        disk.damage("log", at);
        match Store::open(disk, world.config(1)) {
            Err(StoreError::Log(LogError::Damaged { .. })) => {}
            Ok(_) => panic!("byte {at} is forgotten"),
            Err(e) => panic!("{e}"),
        }
    }
    // No secret is in the log.
    let seed = dealt.seeds[1];
    assert!(!log.windows(32).any(|w| w == seed));
    assert!(Store::open(disk, world.config(1)).is_ok());
}
