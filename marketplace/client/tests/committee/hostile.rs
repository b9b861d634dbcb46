//! A marketplace, or a node of the quorum, that hands the buyer something else
//! (OPN-3, DOC-13): refused by variant, and the node that lied is named.

use crate::support::*;
use std::sync::OnceLock;
use veilbourse_client::{
    ClientError, ResultError,
    buyer::{Handed, Ticket, prepare, read},
    dealing::{Asked, DealerFolder, Noise, exact, noisy},
    query::{Query, statistics},
};
use veilbourse_core::digest::Digest;
use veilbourse_documents::*;
use veilbourse_privacy::{Rational, Sensitivity};
use veilbourse_protocol::{MaskShare, ProtocolError};

struct World {
    committee: Committee,
    custodian: Custodian,
    dealer: DealerFolder,
    policy: Signed<Policy>,
    query: Query,
}

/// Standard deviation of the noise.
const DEVIATION: i64 = 40;

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let committee = Committee::new(3, 2);
        let custodian = Custodian::new(21);
        let k = custodian.k();
        let variance = Noise::Variance(Rational::integer((DEVIATION * DEVIATION) as u128));
        let sensitivity = Sensitivity::new(1_000).unwrap();
        let asked = [
            Asked {
                class: exact("exact", k),
                tickets: 16,
            },
            Asked {
                class: noisy("private", k, sensitivity, &variance).unwrap(),
                tickets: 16,
            },
        ];
        let dealer = custodian.deal(&committee, &asked);
        let policy = custodian.policy(&committee, dealer.tickets(None).unwrap());
        let query = statistics(&custodian.data.manifest, "age").unwrap();
        World {
            committee,
            custodian,
            dealer,
            policy,
            query,
        }
    })
}

fn class(name: &str) -> Digest {
    let tickets = world().policy.body.tickets.as_ref().unwrap();
    let found = tickets.classes.iter().find(|c| c.name == name).unwrap();
    found.class().unwrap().digest()
}

fn ticket(class_name: &str, seed: u64) -> Ticket {
    let w = world();
    let offer = w.custodian.offer(&w.policy, &w.query, &class(class_name));
    let listed = w.custodian.listed();
    let (deadline, rng) = (NOW + 10_000, &mut rng(seed));
    prepare(
        &marketplace_key(),
        &offer,
        &listed,
        &w.query,
        &signer(BUYER),
        deadline,
        rng,
    )
    .unwrap()
}

fn dealing(class_name: &str, quorum: &[u8]) -> DealingTerms {
    let of = |d: &DealingTerms| d.class == class(class_name) && d.quorum == quorum;
    world().dealer.dealt().into_iter().find(of).unwrap()
}

fn answer(class_name: &str, quorum: &[u8], seed: u64, skip: u64) -> Answer {
    let w = world();
    let d = dealing(class_name, quorum);
    let t = ticket(class_name, seed);
    let first = d.first + skip;
    opened(
        &w.custodian,
        &w.committee,
        &w.dealer,
        &t,
        &w.query,
        &d,
        first,
    )
}

fn good() -> &'static Answer {
    static GOOD: OnceLock<Answer> = OnceLock::new();
    GOOD.get_or_init(|| answer("exact", &[0, 2], 1, 8))
}

fn node(number: usize) -> Key {
    key(&world().committee.signing[number])
}

fn reads(answer: &Answer) -> Result<Vec<Vec<i64>>, ClientError> {
    read(
        &[&answer.ticket],
        &handed(&world().committee, std::slice::from_ref(answer)),
    )
}

fn refusal(handed: &Handed) -> ResultError {
    match read(&[&good().ticket], handed) {
        Err(ClientError::Result(e)) => e,
        Err(e) => panic!("{e}"),
        Ok(_) => panic!("taken"),
    }
}

fn of(answer: &Answer) -> ResultError {
    refusal(&handed(&world().committee, std::slice::from_ref(answer)))
}

#[test]
fn all_quorums_open_both_classes_to_what_the_table_holds() {
    let w = world();
    let expected = w.custodian.expected(&w.query);
    for (quorum, seed) in [([0, 1], 1), ([0, 2], 2), ([1, 2], 3)] {
        let exact = reads(&answer("exact", &quorum, seed, 8)).unwrap();
        assert_eq!(exact, expected, "{quorum:?}");
        let noisy = reads(&answer("private", &quorum, seed, 0)).unwrap();
        for (a, b) in noisy.iter().flatten().zip(expected.iter().flatten()) {
            // Within the bound, PRV-4; 20 deviations are never seen.
            assert!((a - b).abs() < 20 * DEVIATION, "{a} {b}");
        }
        assert_ne!(noisy, expected, "noise that is never there");
    }
}

#[test]
fn a_node_that_lies_about_its_masks_is_named() {
    // OPN-3: whatever the value is.
    for (party, number) in [(0, 0), (1, 2)] {
        let mut bad = good().clone();
        // Another ticket's share: well formed, never the dealt one.
        bad.masks[party].swap(0, 1);
        let e = of(&bad);
        assert_eq!(
            e,
            ResultError::MaskShare {
                node: node(number),
                value: 0
            }
        );
        let mut bad = good().clone();
        let other = bad.masks[party][0].clone();
        bad.masks[party][1] = MaskShare::sum([&other, &other]);
        let e = of(&bad);
        assert_eq!(
            e,
            ResultError::MaskShare {
                node: node(number),
                value: 1
            }
        );
        let mut short = good().clone();
        short.masks[party].pop();
        let e = of(&short);
        // Both are short in the sums that are sealed: the party itself is named.
        assert!(
            matches!(e, ResultError::MaskCount { expected: 2, found: 1, node: n } if n == node(if party == 0 { 0 } else { 2 })),
            "{e}"
        );
    }
}

#[test]
fn masks_in_the_wrong_order_or_of_another_session_are_refused() {
    let committee = &world().committee;
    let all = handed(committee, std::slice::from_ref(good()));
    let mut swapped = all.clone();
    swapped.masks.swap(0, 1);
    assert_eq!(
        refusal(&swapped),
        ResultError::MasksDigest { node: node(0) }
    );
    let mut missing = all.clone();
    missing.masks.pop();
    let named = ResultError::Masks {
        expected: 2,
        found: 1,
    };
    assert_eq!(refusal(&missing), named);
    // Those of another order, delivered and signed for this one: sealed for
    // another session and key.
    let other = answer("exact", &[0, 2], 7, 10);
    let theirs = handed(committee, std::slice::from_ref(&other));
    let deliveries = theirs
        .masks
        .iter()
        .zip([0usize, 2])
        .enumerate()
        .map(|(party, (sealed, n))| delivery(good(), party, sealed, &committee.signing[n]));
    let mixed = Handed {
        receipts: vec![receipt(good(), deliveries.collect())],
        masked: all.masked.clone(),
        masks: theirs.masks.clone(),
    };
    let e = refusal(&mixed);
    assert!(
        matches!(e, ResultError::Sealed { node: n, .. } if n == node(0)),
        "{e}"
    );
}

#[test]
fn masked_words_of_another_session_or_changed_are_refused() {
    let committee = &world().committee;
    let all = handed(committee, std::slice::from_ref(good()));
    let other = answer("exact", &[0, 2], 7, 10);
    let mut mixed = all.clone();
    mixed.masked = vec![other.masked.encode()];
    assert_eq!(refusal(&mixed), ResultError::MaskedWords);
    let mut changed = good().masked.clone();
    changed.words[0] ^= 1;
    let with = |m: &MaskedResult| Handed {
        masked: vec![m.encode()],
        ..all.clone()
    };
    assert_eq!(refusal(&with(&changed)), ResultError::MaskedWords);
    let mut moved = good().masked.clone();
    moved.first_ticket += 1;
    assert_eq!(refusal(&with(&moved)), ResultError::MaskedWords);
    let mut swapped = good().masked.clone();
    swapped.commitments.swap(0, 1);
    let e = refusal(&with(&swapped));
    let membership = |e: &ResultError| {
        matches!(
            e,
            ResultError::Commitments(ProtocolError::Membership { .. })
        )
    };
    assert!(membership(&e), "{e}");
    let mut siblings = good().masked.clone();
    siblings.siblings[0] = Digest([7; 32]);
    assert!(membership(&refusal(&with(&siblings))));
    let mut cut = all.clone();
    cut.masked[0].pop();
    assert!(matches!(refusal(&cut), ResultError::Masked(_)));
}

#[test]
fn every_node_signs_the_same_in_its_place() {
    let committee = &world().committee;
    // A node is missing.
    let mut one = good().clone();
    one.openings.pop();
    let delivered = |a: &Answer, order: &[usize]| {
        let all = handed(committee, std::slice::from_ref(good()));
        let each = order.iter().map(|party| {
            let n = [0usize, 2][*party];
            delivery(good(), *party, &all.masks[*party], &committee.signing[n])
        });
        Handed {
            receipts: vec![receipt(a, each.collect())],
            ..all.clone()
        }
    };
    let named = ResultError::Openings {
        expected: 2,
        found: 1,
    };
    assert_eq!(refusal(&delivered(&one, &[0, 1])), named);
    let named = ResultError::Deliveries {
        expected: 2,
        found: 1,
    };
    assert_eq!(refusal(&delivered(good(), &[0])), named);
    // In the wrong order, or twice the same.
    let mut turned = good().clone();
    turned.openings.swap(0, 1);
    let e = refusal(&delivered(&turned, &[0, 1]));
    let place = |what| ResultError::Place {
        what,
        expected: node(0),
        found: node(2),
    };
    assert_eq!(e, place("opening"));
    assert_eq!(refusal(&delivered(good(), &[1, 0])), place("delivery"));
    let mut twice = good().clone();
    twice.openings[1] = twice.openings[0].clone();
    let e = refusal(&delivered(&twice, &[0, 1]));
    assert!(
        matches!(
            e,
            ResultError::Place {
                what: "opening",
                ..
            }
        ),
        "{e}"
    );
    // A node that opened something else.
    let mut other = good().clone();
    other.openings[1].body.opened = Digest([3; 32]);
    other.openings[1] =
        Signed::sign(other.openings[1].body.clone(), &committee.signing[2]).unwrap();
    let e = refusal(&delivered(&other, &[0, 1]));
    assert_eq!(e, ResultError::OpeningDiffers { node: node(2) });
}

#[test]
fn larger_values_than_were_ordered_are_refused() {
    // Everybody signs a word beyond the range: y + 2^60 opens beyond any bound.
    let committee = &world().committee;
    let mut bad = good().clone();
    let word = veilbourse_core::field::Fq::new(bad.masked.words[0]).unwrap();
    let far = word + veilbourse_core::field::Fq::reduce(1 << 60);
    bad.masked.words[0] = far.word();
    for (o, n) in bad.openings.iter_mut().zip([0usize, 2]) {
        o.body.opened = Opening::digest_of_opened(&bad.masked.words);
        *o = Signed::sign(o.body.clone(), &committee.signing[n]).unwrap();
    }
    let e = of(&bad);
    assert_eq!(e, ResultError::Protocol(ProtocolError::Range { value: 0 }));
    // Within OPN-3's bound, but not within what this program can reach (BUD-1).
    let mut bad = good().clone();
    let near = word + veilbourse_core::field::Fq::reduce(1 << 30);
    bad.masked.words[0] = near.word();
    for (o, n) in bad.openings.iter_mut().zip([0usize, 2]) {
        o.body.opened = Opening::digest_of_opened(&bad.masked.words);
        *o = Signed::sign(o.body.clone(), &committee.signing[n]).unwrap();
    }
    let e = of(&bad);
    assert!(
        matches!(
            e,
            ResultError::Range {
                output: 0,
                index: 0,
                ..
            }
        ),
        "{e}"
    );
}

#[test]
fn other_receipts_sessions_and_committees_are_refused() {
    let w = world();
    let other = answer("exact", &[0, 2], 7, 10);
    let theirs = handed(&w.committee, std::slice::from_ref(&other));
    // The receipt of another order.
    let e = read(&[&good().ticket], &theirs).unwrap_err();
    assert!(
        matches!(
            e,
            ClientError::Refused {
                what: "receipt",
                ..
            }
        ),
        "{e}"
    );
    // A session that is not the documents' (OPN-4): signed by all.
    for change in [
        |o: &mut Opening| o.session = Digest([1; 32]),
        |o: &mut Opening| o.attempt += 1,
        |o: &mut Opening| o.first_ticket += 1,
        |o: &mut Opening| o.values += 1,
        |o: &mut Opening| o.order = Digest([1; 32]),
        |o: &mut Opening| o.grant = Digest([1; 32]),
    ] {
        let mut bad = good().clone();
        for (o, n) in bad.openings.iter_mut().zip([0usize, 2]) {
            change(&mut o.body);
            *o = Signed::sign(o.body.clone(), &w.committee.signing[n]).unwrap();
        }
        let e = reads(&bad).unwrap_err();
        assert!(
            matches!(
                e,
                ClientError::Refused {
                    what: "receipt",
                    ..
                }
            ),
            "{e}"
        );
    }
    // A grant to a quorum that the policy's dealing is not for.
    let mut bad = good().clone();
    bad.grant.body.opener = Opener::Committee {
        quorum: vec![0, 1],
        dealing: dealing("exact", &[0, 2]).digest,
    };
    bad.grant = Signed::sign(bad.grant.body.clone(), &signer(MARKETPLACE)).unwrap();
    let e = reads(&bad).unwrap_err();
    assert!(
        matches!(
            e,
            ClientError::Refused {
                what: "receipt",
                ..
            }
        ),
        "{e}"
    );
    // Other nodes than the committee's sign.
    let stranger = Committee::of(3, 2, 70);
    let mut bad = good().clone();
    for (o, n) in bad.openings.iter_mut().zip([0usize, 2]) {
        *o = Signed::sign(o.body.clone(), &stranger.signing[n]).unwrap();
    }
    let all = handed(&w.committee, std::slice::from_ref(&bad));
    let e = refusal(&all);
    assert!(
        matches!(e, ResultError::Place { what: "opening", expected, .. } if expected == node(0)),
        "{e}"
    );
    // A receipt that another marketplace signed.
    let body = Signed::<Receipt>::parse(&theirs.receipts[0]).unwrap().body;
    let forged = Signed::sign(body, &signer(99)).unwrap();
    let mut bad = theirs;
    bad.receipts = vec![forged.text().unwrap().into_bytes()];
    let e = read(&[&other.ticket], &bad).unwrap_err();
    assert!(
        matches!(
            e,
            ClientError::Refused {
                what: "receipt",
                ..
            }
        ),
        "{e}"
    );
}

#[test]
fn a_class_is_what_the_policy_calls_it() {
    // PRV-11: a marketplace that calls the noisy class by the other's name, or quotes
    // it where the other was wanted, is found out by the words that the custodian signed.
    let w = world();
    let offer = |name: &str| w.custodian.offer(&w.policy, &w.query, &class(name));
    offer("exact").require_class("exact").unwrap();
    let digest = class("exact").to_string();
    offer("exact").require_class(&digest).unwrap();
    for wanted in ["exact", &digest, ""] {
        let e = offer("private").require_class(wanted).unwrap_err();
        assert!(matches!(&e, ClientError::Refused { .. }), "{e}");
        let said = e.to_string();
        assert!(said.contains("private") && said.contains(wanted), "{said}");
    }
    // And one that the policy does not have at all.
    let none = w.custodian.offer(&w.policy, &w.query, &Digest([9; 32]));
    assert!(none.require_class(&Digest([9; 32]).to_string()).is_err());
}
