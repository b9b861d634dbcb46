//! What is planned (SHR-1, CST-2, CST-13): numbers without gaps, the key once an
//! epoch, tickets for the check of the public key; every refusal by its variant.

use crate::support::{Committee, key, marketplace, signer};
use proptest::prelude::*;
use std::collections::BTreeSet;
use veilbourse_client::dealing::*;
use veilbourse_core::digest::Digest;
use veilbourse_documents::{ClassTerms, CommitteeFile, MemberEntry, SignatureText, Tickets};
use veilbourse_privacy::{Mechanism, Rational, Rho, Sensitivity};

const K: u8 = 26;

fn private(name: &str, variance: u128) -> ClassTerms {
    let noise = Noise::Variance(Rational::integer(variance));
    noisy(name, K, Sensitivity::new(10).unwrap(), &noise).unwrap()
}

fn asked(class: ClassTerms, tickets: u64) -> Asked {
    Asked { class, tickets }
}

/// A committee of whatever keys: nothing is sealed here.
fn file(nodes: u8, threshold: u8, from: u8) -> CommitteeFile {
    let node = |i: u8| MemberEntry {
        name: String::new(),
        signing_key: key(&signer(from + i)),
        sealing_key: veilbourse_documents::Bytes(Vec::new()),
        sealing_signature: SignatureText([0; 64]),
        address: "x:1".into(),
    };
    CommitteeFile {
        marketplace: marketplace(),
        threshold,
        nodes: (0..nodes).map(node).collect(),
    }
}

fn add(
    plan: &mut Plan,
    file: &CommitteeFile,
    all: &[Asked],
    anew: &[Vec<u8>],
) -> Result<(), DealingError> {
    let anew: BTreeSet<_> = anew.iter().cloned().collect();
    plan.add(file, all, &anew, None)
}

/// As if it had been dealt.
fn dealt(plan: &mut Plan) {
    for (d, n) in plan.dealings.iter_mut().zip(1u8..) {
        d.dealt.get_or_insert(Dealt {
            digest: Digest([n; 32]),
            root: Digest([n; 32]),
        });
    }
}

/// What holds of every plan: what CST-2 and DOC-12 ask of its dealings.
fn sound(plan: &Plan, nodes: &CommitteeFile) {
    let epochs: BTreeSet<_> = plan
        .dealings
        .iter()
        .map(|d| (d.quorum.clone(), d.epoch))
        .collect();
    for (quorum, epoch) in epochs {
        let of = || {
            let all = plan.dealings.iter();
            all.filter(|d| d.quorum == quorum && d.epoch == epoch)
        };
        let mut next = 0;
        for d in of() {
            assert_eq!(d.first, next, "numbers ascend without gaps");
            assert_eq!(d.with_key, d.first == 0, "the key comes once, first");
            next = d.end();
        }
        let plain = of().filter(|d| plan.class(&d.class).unwrap().mechanism == Mechanism::None);
        let most = plain.map(|d| d.count).max();
        assert!(
            most >= Some(LEAST_KEY_CHECK),
            "the public key can be checked"
        );
    }
    let mut done = plan.clone();
    dealt(&mut done);
    let tickets: Tickets = done.tickets(None).unwrap();
    assert_eq!(tickets.cost().unwrap(), tickets.limit());
    // A policy takes it.
    assert_eq!(nodes.openers().custody().name(), "committee");
}

#[test]
fn every_quorum_gets_every_class_and_a_check_of_its_key() {
    let nodes = file(3, 2, 10);
    let mut plan = Plan::new(Digest([1; 32]), K);
    add(&mut plan, &nodes, &[asked(private("p", 9), 100)], &[]).unwrap();
    // TKT-4: no class without noise is asked for, so one for the check is dealt.
    assert_eq!(plan.dealings.len(), 2 * 3);
    let check = plan.class(&plan.dealings[0].class).unwrap();
    assert_eq!((check.name.as_str(), check.offered), ("key check", false));
    assert_eq!(plan.dealings[0].count, KEY_CHECK_TICKETS);
    sound(&plan, &nodes);
    dealt(&mut plan);
    // More of the same epoch: no key, no check.
    add(&mut plan, &nodes, &[asked(private("p", 9), 50)], &[]).unwrap();
    assert_eq!(plan.dealings.len(), 9);
    assert!(
        plan.dealings[6..]
            .iter()
            .all(|d| !d.with_key && d.epoch == 0)
    );
    sound(&plan, &nodes);
    dealt(&mut plan);
    // CST-8: one quorum was frozen; it alone gets a new epoch.
    let exact = asked(exact("exact", K), 20);
    let all = [asked(private("p", 9), 5), exact];
    add(&mut plan, &nodes, &all, &[vec![0, 2]]).unwrap();
    assert_eq!(plan.epoch(&[0, 2]), Some(1));
    assert_eq!(plan.epoch(&[0, 1]), Some(0));
    sound(&plan, &nodes);
    let fresh: Vec<_> = plan.dealings.iter().filter(|d| d.epoch == 1).collect();
    // The class without noise comes first and serves the check.
    assert_eq!(fresh.len(), 2);
    assert_eq!((fresh[0].count, fresh[0].with_key), (20, true));
}

#[test]
fn other_nodes_in_a_quorum_mean_another_epoch() {
    // CST-9: no dealing of a predecessor's.
    let mut plan = Plan::new(Digest([1; 32]), K);
    let all = [asked(exact("exact", K), 20)];
    add(&mut plan, &file(3, 2, 10), &all, &[]).unwrap();
    dealt(&mut plan);
    let mut other = file(3, 2, 10);
    other.nodes[2].signing_key = key(&signer(99));
    add(&mut plan, &other, &all, &[]).unwrap();
    assert_eq!(plan.epoch(&[0, 1]), Some(0));
    assert_eq!(plan.epoch(&[0, 2]), Some(1));
    assert_eq!(plan.epoch(&[1, 2]), Some(1));
    sound(&plan, &other);
}

#[test]
fn what_cannot_be_dealt_is_refused_and_changes_nothing() {
    let nodes = file(3, 2, 10);
    let good = || {
        let mut plan = Plan::new(Digest([1; 32]), K);
        add(&mut plan, &nodes, &[asked(exact("exact", K), 20)], &[]).unwrap();
        dealt(&mut plan);
        plan
    };
    let refusal = |all: &[Asked], anew: &[Vec<u8>]| {
        let mut plan = good();
        let e = add(&mut plan, &nodes, all, anew).unwrap_err();
        assert_eq!(plan, good(), "{e}");
        e
    };
    assert_eq!(refusal(&[], &[]), DealingError::Nothing);
    assert_eq!(
        refusal(&[asked(exact("a", K), 0)], &[]),
        DealingError::Nothing
    );
    let e = refusal(&[asked(exact("exact", K - 1), 9)], &[]);
    assert!(matches!(e, DealingError::K { expected: K, .. }), "{e}");
    let mut changed = exact("exact", K);
    changed.sensitivity = 5;
    let e = refusal(&[asked(changed, 9)], &[]);
    assert!(matches!(e, DealingError::ClassChanged { .. }), "{e}");
    let e = refusal(&[asked(exact("other", K), 9)], &[]);
    assert!(matches!(e, DealingError::ClassTwice { .. }), "{e}");
    let e = refusal(&[asked(exact("exact", K), 1 << 24)], &[]);
    assert!(
        matches!(e, DealingError::Numbers { limit, .. } if limit == 1 << 24),
        "{e}"
    );
    for bad in [vec![0], vec![0, 3], vec![1, 0]] {
        let e = refusal(&[asked(exact("exact", K), 9)], &[bad]);
        assert!(matches!(e, DealingError::Quorum { .. }), "{e}");
    }
    let classes: Vec<_> = (0..16)
        .map(|i| asked(private(&i.to_string(), 9 + i), 9))
        .collect();
    let e = refusal(&classes, &[]);
    assert!(
        matches!(
            e,
            DealingError::Limit {
                what: "classes of one dataset",
                ..
            }
        ),
        "{e}"
    );
    // Planned and not dealt yet.
    let mut plan = Plan::new(Digest([1; 32]), K);
    let all = [asked(exact("exact", K), 20)];
    add(&mut plan, &nodes, &all, &[]).unwrap();
    let e = add(&mut plan, &nodes, &all, &[]).unwrap_err();
    assert_eq!(e, DealingError::Unfinished { count: 3 });
    assert_eq!(plan.tickets(None).unwrap_err(), e);
    // A committee that is none (SHR-1).
    let mut plan = Plan::new(Digest([1; 32]), K);
    let e = add(&mut plan, &file(3, 1, 10), &all, &[]).unwrap_err();
    assert!(matches!(e, DealingError::Protocol(_)), "{e}");
}

#[test]
fn a_policy_counts_what_was_dealt_against_its_limit() {
    // PRV-9, DOC-12, OPN-6.
    let nodes = file(3, 2, 10);
    let mut plan = Plan::new(Digest([1; 32]), K);
    add(&mut plan, &nodes, &[asked(private("p", 9), 100)], &[]).unwrap();
    dealt(&mut plan);
    let tickets = plan.tickets(None).unwrap();
    let class = private("p", 9);
    let each = class.mechanism.cost(Sensitivity::new(10).unwrap()).unwrap();
    assert_eq!(tickets.cost().unwrap(), each.times(300).unwrap());
    let roomy = plan.tickets(Some(Rho::from_units(1 << 60))).unwrap();
    assert_eq!(roomy.rho_limit_units, 1 << 60);
}

proptest! {
    /// Whatever is asked for, in whatever order, quorums dealt anew at will.
    #[test]
    fn plans_are_sound(
        n in 2u8..=4,
        steps in prop::collection::vec((0u128..3, 1u64..5000, any::<u8>()), 1..6),
    ) {
        let nodes = file(n, 2, 10);
        let mut plan = Plan::new(Digest([1; 32]), K);
        for (which, tickets, anew) in steps {
            let class = match which {
                0 => exact("exact", K),
                w => private(&format!("p{w}"), 8 + w),
            };
            let pair = vec![0, 1];
            let anew = if anew & 1 == 1 { vec![pair] } else { vec![] };
            add(&mut plan, &nodes, &[asked(class, tickets)], &anew).unwrap();
            sound(&plan, &nodes);
            dealt(&mut plan);
        }
    }
}

#[test]
fn a_committees_keys_are_checked_before_anything_is_sealed() {
    assert!(Committee::new(3, 2).file.check().is_ok());
}
