//! Dealt to files and taken in by nodes (TKT-2..5, CST-2, CST-3, DOC-14): every
//! stream is the announced one, every proof holds, a dealing cut off is gone on
//! with and is the same.

use crate::support::*;
use rand::Rng;
use std::{collections::BTreeSet, fs};
use veilbourse_client::{
    ClientError,
    dealing::{
        Asked, DealerFolder, DealingError, KEY_CHECK_TICKETS, Noise, PersonRows, deal, decimal,
        exact, noisy, statistics_sensitivity,
    },
    http::{Progress, Silent},
};
use veilbourse_core::digest::Digest;
use veilbourse_documents::{Key, PIECE_BYTES, PIECE_OVERHEAD, PieceContext, open_piece};
use veilbourse_protocol::Committee as Numbers;
use veilbourse_ticket_store::{Config, Folder, Store, Stream};

fn classes(custodian: &Custodian, tickets: u64) -> Vec<Asked> {
    let manifest = &custodian.data.manifest;
    let rows = PersonRows::default();
    let sensitivity = statistics_sensitivity("private", manifest, &[], rows).unwrap();
    let noise = Noise::Rho(decimal("0.001").unwrap());
    let class = noisy("private", custodian.k(), sensitivity, &noise).unwrap();
    let exact = exact("exact", custodian.k());
    vec![
        Asked { class, tickets },
        Asked {
            class: exact,
            tickets,
        },
    ]
}

#[test]
fn nodes_take_in_and_check_what_was_dealt() {
    let committee = Committee::new(3, 2);
    let custodian = Custodian::new(1);
    let dealer = custodian.deal(&committee, &classes(&custodian, 24));
    let dealt = dealer.dealt();
    assert_eq!(dealt.len(), 2 * 3);
    for d in &dealt {
        let announced = dealer.announced(&d.digest).unwrap();
        assert_eq!(announced.digest(), d.digest);
        assert_eq!((announced.root, announced.first), (d.root, d.first));
        let received = receive(&dealer, &committee, &d.digest);
        // As a node's store takes it in: digests, lengths, root.
        for ((node, r), secret) in d.quorum.iter().zip(&received).zip(&committee.sealing) {
            let _ = secret;
            let home = folder();
            let keys = committee
                .signing
                .iter()
                .map(|k| k.verifying_key().to_bytes());
            let config = Config {
                dataset: custodian.root(),
                custodian: dealt_by().0,
                committee: Numbers::new(3, 2).unwrap(),
                node: *node,
                keys: keys.collect(),
                sync_every: 1 << 20,
            };
            let mut store = Store::create(Folder::new(home.path()), config).unwrap();
            let digest = store.begin(&announced, &r.offer).unwrap();
            for (stream, bytes) in Stream::ALL.into_iter().zip(&r.streams) {
                let (_, total) = store.received(&digest, stream).unwrap();
                assert_eq!(total, bytes.len() as u64, "{stream:?}");
                for (piece, at) in bytes.chunks(PIECE_BYTES).zip(0u64..) {
                    let offset = at * PIECE_BYTES as u64;
                    store.put(&digest, stream, offset, piece).unwrap();
                }
            }
            store.finish(&digest).unwrap();
        }
        check(&announced, &received).unwrap();
    }
    // DOC-12: the policy takes it, and charges all that was dealt.
    let tickets = dealer.tickets(None).unwrap();
    let policy = custodian.policy(&committee, tickets.clone());
    policy.verify().unwrap();
    assert_eq!(tickets.cost().unwrap(), tickets.limit());
    assert!(tickets.cost().unwrap().units() > 0);
}

#[test]
fn a_class_of_many_batches_and_pieces_holds() {
    // TKT-4: more tickets than one batch proves; CST-3: more than one piece.
    let committee = Committee::new(2, 2);
    let custodian = Custodian::new(2);
    let k = custodian.k();
    let class = exact("exact", k);
    let tickets = 4096 + 70;
    let dealer = custodian.deal(&committee, &[Asked { class, tickets }]);
    let d = &dealer.dealt()[0];
    assert!(dealer.pieces(&d.digest, 1, "explicit") > 30);
    assert_eq!(dealer.pieces(&d.digest, 0, "explicit"), 0);
    assert_eq!(dealer.pieces(&d.digest, 0, "key"), 0);
    assert_eq!(dealer.pieces(&d.digest, 1, "key"), 1);
    let received = receive(&dealer, &committee, &d.digest);
    let announced = dealer.announced(&d.digest).unwrap();
    check(&announced, &received).unwrap();
    // A dealer that proves something else is found out.
    let mut lied = received;
    let at = lied[1].streams[1].len() - 30;
    lied[1].streams[1][at] ^= 1;
    assert!(check(&announced, &lied).is_err());
}

#[test]
fn without_a_plain_class_one_is_dealt_for_the_key_and_never_offered() {
    // TKT-4, CST-13
    let committee = Committee::new(2, 2);
    let custodian = Custodian::new(3);
    let mut asked = classes(&custodian, 10);
    asked.truncate(1);
    let dealer = custodian.deal(&committee, &asked);
    let tickets = dealer.tickets(None).unwrap();
    let check = tickets.classes.iter().find(|c| !c.offered).unwrap();
    let digest = check.class().unwrap().digest();
    assert!(tickets.offered(&digest).is_none());
    let dealt = tickets.dealings.iter().find(|d| d.class == digest).unwrap();
    assert_eq!(dealt.count, KEY_CHECK_TICKETS);
    custodian.policy(&committee, tickets).verify().unwrap();
}

/// Ends the dealing, as a crash would, at a step.
struct Crash(u64);

impl Progress for Crash {
    fn step(&self, _: &str, done: u64, _: u64) {
        if done >= self.0 {
            panic!("power failed");
        }
    }
}

#[test]
fn a_dealing_cut_off_is_gone_on_with_and_is_the_same() {
    let committee = Committee::new(2, 2);
    let custodian = Custodian::new(4);
    let asked = [Asked {
        class: exact("exact", custodian.k()),
        tickets: 6000,
    }];
    // The same secret twice: once cut off, once in one go.
    let whole = Custodian::new(4);
    let secret = custodian.data.path().join("dealer/dealer.key");
    drop(custodian.dealer());
    drop(whole.dealer());
    fs::copy(&secret, whole.data.path().join("dealer/dealer.key")).unwrap();
    let expected = whole.deal(&committee, &asked).dealt();

    let mut dealer = custodian.dealer();
    dealer
        .add(&committee.file, &asked, &BTreeSet::new(), None)
        .unwrap();
    for at in [2000, 5000] {
        let mut again = custodian.dealer();
        let cut = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let rng = &mut rng(6);
            deal(
                &mut again,
                &custodian.secret,
                &dealt_by(),
                &committee.file,
                rng,
                &Crash(at),
            )
        }));
        assert!(cut.is_err());
    }
    // Nothing else can be planned meanwhile, nor said in a policy.
    let mut dealer = custodian.dealer();
    let e = dealer
        .add(&committee.file, &asked, &BTreeSet::new(), None)
        .unwrap_err();
    let unfinished = |e: &ClientError| matches!(e, ClientError::Dealing(d) if matches!(**d, DealingError::Unfinished { count: 1 }));
    assert!(unfinished(&e), "{e}");
    assert!(unfinished(&dealer.tickets(None).unwrap_err()));
    custodian.go_on(&committee, &mut dealer);
    assert_eq!(dealer.dealt(), expected);
    // Nothing in the clear is left.
    assert!(!custodian.data.path().join("dealer/work").exists());
    // Read again, it is the same; dealing again does nothing.
    let mut again = custodian.dealer();
    assert_eq!(again.dealt(), expected);
    custodian.go_on(&committee, &mut again);
    assert_eq!(again.dealt(), expected);
}

#[test]
fn pieces_open_for_their_node_and_place_alone() {
    // DOC-14
    let committee = Committee::new(2, 2);
    let custodian = Custodian::new(5);
    let class = exact("exact", custodian.k());
    let dealer = custodian.deal(&committee, &[Asked { class, tickets: 9 }]);
    let d = dealer.dealt()[0].digest;
    let piece = dealer.piece(&d, 0, "commitments", 0).unwrap().unwrap();
    assert!(piece.len() <= PIECE_BYTES + PIECE_OVERHEAD);
    let opens = |dealer: &Key, node: usize, dealing: &Digest, party, part, offset| {
        let context = PieceContext {
            dealing,
            dealer,
            party,
            part,
            offset,
        };
        open_piece(&piece, &committee.sealing[node], &context).is_ok()
    };
    let open = |node, dealing: &Digest, party, part, offset| {
        opens(&dealt_by(), node, dealing, party, part, offset)
    };
    assert!(open(0, &d, 0, "commitments", 0));
    assert!(!open(1, &d, 0, "commitments", 0));
    // KEY-9: under no other custodian's policy.
    assert!(!opens(&key(&signer(98)), 0, &d, 0, "commitments", 0));
    assert!(!open(0, &Digest([1; 32]), 0, "commitments", 0));
    assert!(!open(0, &d, 1, "commitments", 0));
    assert!(!open(0, &d, 0, "proof", 0));
    assert!(!open(0, &d, 0, "commitments", 1 << 20));
    assert!(dealer.piece(&d, 0, "commitments", 1).unwrap().is_none());
}

#[test]
fn the_dealers_secret_is_its_owners_alone() {
    let custodian = Custodian::new(6);
    let dealer = custodian.dealer();
    drop(dealer);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        for (name, mode) in [("dealer", 0o700), ("dealer/dealer.key", 0o600)] {
            let found = fs::metadata(custodian.data.path().join(name)).unwrap();
            assert_eq!(found.permissions().mode() & 0o777, mode, "{name}");
        }
    }
    // Opened again, it is the same; of another dataset it is refused.
    let text = fs::read_to_string(custodian.data.path().join("dealer/dealer.key")).unwrap();
    drop(custodian.dealer());
    let path = custodian.data.path().join("dealer/dealer.key");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    let other = Custodian::new(7);
    drop(other.dealer());
    let plan = "dealer/plan.json";
    fs::copy(
        custodian.data.path().join(plan),
        other.data.path().join(plan),
    )
    .unwrap();
    let e = DealerFolder::open(&other.data, &mut rng(1)).err().unwrap();
    assert!(
        matches!(&e, ClientError::Dealing(d) if matches!(**d, DealingError::Dataset { .. })),
        "{e}"
    );
}

#[test]
fn a_committee_other_than_the_planned_one_is_not_dealt_to() {
    let committee = Committee::new(2, 2);
    let custodian = Custodian::new(8);
    let mut dealer = custodian.dealer();
    let class = exact("exact", custodian.k());
    let asked = [Asked { class, tickets: 9 }];
    dealer
        .add(&committee.file, &asked, &BTreeSet::new(), None)
        .unwrap();
    let other = Committee::of(2, 2, 70);
    let rng = &mut rng(1);
    let (secret, by) = (&custodian.secret, dealt_by());
    let e = deal(&mut dealer, secret, &by, &other.file, rng, &Silent).unwrap_err();
    assert!(
        matches!(&e, ClientError::Dealing(d) if matches!(**d, DealingError::Committee { .. })),
        "{e}"
    );
    let _ = rng.next_u64();
}
