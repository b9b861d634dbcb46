//! DOC-12: every refusal, at its boundary.

mod fits;

use super::*;
use crate::Key;

fn digest(n: u8) -> Digest {
    Digest([n; 32])
}

fn openers() -> Openers {
    Openers::Committee {
        nodes: (1..=3).map(|n| Key([n; 32])).collect(),
        threshold: 2,
    }
}

fn class(name: &str, sensitivity: u64, mechanism: Mechanism, offered: bool) -> ClassTerms {
    ClassTerms {
        name: name.into(),
        k: 26,
        sensitivity,
        mechanism,
        offered,
    }
}

/// rho = 8^2 / (2 * 32) = 1 a ticket.
fn noisy() -> ClassTerms {
    class("noisy", 8, Mechanism::gaussian(32, 1).unwrap(), true)
}

fn exact() -> ClassTerms {
    class("exact", 8, Mechanism::None, false)
}

const ONE: u64 = 1 << 40;

fn digest_of(c: &ClassTerms) -> Digest {
    c.class().unwrap().digest()
}

fn dealing(n: u8, quorum: &[u8], epoch: u32, of: &ClassTerms, first: u64) -> DealingTerms {
    DealingTerms {
        digest: digest(n),
        quorum: quorum.to_vec(),
        epoch,
        class: digest_of(of),
        first,
        count: 10,
        root: digest(0xb0),
    }
}

fn good() -> Tickets {
    Tickets {
        classes: vec![noisy(), exact()],
        dealings: vec![
            dealing(1, &[0, 1], 0, &noisy(), 0),
            dealing(2, &[0, 1], 0, &exact(), 10),
            dealing(3, &[0, 1], 1, &noisy(), 0),
            dealing(4, &[1, 2], 0, &noisy(), 0),
        ],
        // 30 tickets with noise.
        rho_limit_units: 30 * ONE,
    }
}

fn refused(change: impl FnOnce(&mut Tickets), named: &[&str]) {
    let mut tickets = good();
    change(&mut tickets);
    let reason = tickets.check(&openers()).unwrap_err();
    for part in named {
        assert!(reason.contains(part), "{reason:?} lacks {part:?}");
    }
}

fn accepted(change: impl FnOnce(&mut Tickets)) {
    let mut tickets = good();
    change(&mut tickets);
    tickets.check(&openers()).unwrap();
}

#[test]
fn numbers_of_classes_and_dealings_are_limited() {
    // DOC-12.
    accepted(|_| {});
    refused(|t| t.classes.clear(), &["0 classes", "1 to 16"]);
    let many = |count: u64| {
        let of = |n| class(&format!("{n}"), 100 + n, Mechanism::None, true);
        (0..count).map(of).collect::<Vec<_>>()
    };
    accepted(|t| t.classes.extend(many(14)));
    refused(|t| t.classes.extend(many(15)), &["17 classes", "1 to 16"]);
    let dealt = |count: usize| {
        let of = |n: usize| DealingTerms {
            digest: Digest::of(
                veilbourse_core::digest::Domain::Other("test"),
                &n.to_le_bytes(),
            ),
            ..dealing(0, &[0, 2], n as u32, &exact(), 0)
        };
        (0..count).map(of).collect::<Vec<_>>()
    };
    accepted(|t| t.dealings.extend(dealt(508)));
    let named = ["513 dealings", "limit is 512"];
    refused(|t| t.dealings.extend(dealt(509)), &named);
    // Nothing dealt yet.
    accepted(|t| t.dealings.clear());
}

#[test]
fn a_class_has_a_line_for_a_name() {
    // DOC-12: names are compared as people read them.
    for bad in [
        "",
        "a\nb",
        "a\u{7}",
        "a\u{2028}b",
        " noise",
        "noise ",
        "x".repeat(65).as_str(),
    ] {
        let found = format!("{bad:?}");
        let named = ["class name", "1 to 64 bytes", found.as_str()];
        refused(|t| t.classes[0].name = bad.into(), &named);
    }
    accepted(|t| t.classes[0].name = "x".repeat(64));
    accepted(|t| t.classes[0].name = "Rauschen für 8".into());
}

#[test]
fn classes_are_classes_of_one_dataset_and_each_is_there_once() {
    // DOC-12, TKT-1.
    for (k, limit) in [(7, "8"), (49, "48"), (0, "8"), (255, "48")] {
        let found = k.to_string();
        let named = ["class \"noisy\"", found.as_str(), limit];
        refused(|t| t.classes[0].k = k, &named);
    }
    refused(|t| t.classes[1].k = 27, &["\"exact\"", "k 27", "26"]);
    let beyond = (1u64 << 62) + 1;
    let found = beyond.to_string();
    refused(
        |t| t.classes[0].sensitivity = beyond,
        &["\"noisy\"", &found],
    );
    // A ticket that no budget can pay for.
    refused(
        |t| {
            t.classes[0].mechanism = Mechanism::laplace(1, 1024).unwrap();
            t.classes[0].sensitivity = 1 << 62;
        },
        &["\"noisy\"", "18446744073709551615"],
    );
    let twice = "\"noisy\" is there twice";
    refused(|t| t.classes[1].name = "noisy".into(), &[twice]);
    // Under another name, whether offered or not.
    for offered in [true, false] {
        let again = ClassTerms {
            name: "quiet".into(),
            offered,
            ..noisy()
        };
        let named = ["\"quiet\" is there twice"];
        refused(|t| t.classes.push(again), &named);
    }
    refused(|t| t.classes[0].offered = false, &["no class is offered"]);
    accepted(|t| t.classes[1].offered = true);
}

#[test]
fn a_dealing_is_of_a_quorum_in_a_listed_class() {
    // DOC-12, SHR-1.
    let named = [&digest(1).to_string(), "is there twice"].map(String::from);
    refused(
        |t| t.dealings[1].digest = digest(1),
        &[&named[0], &named[1]],
    );
    let quorums: [&[u8]; 8] = [
        &[],
        &[0],
        &[0, 1, 2],
        &[1, 0],
        &[1, 1],
        &[0, 3],
        &[255, 0],
        &[3],
    ];
    for quorum in quorums {
        let found = format!("{quorum:?} is no quorum");
        let name = digest(1).to_string();
        refused(|t| t.dealings[0].quorum = quorum.to_vec(), &[&name, &found]);
    }
    let unlisted = digest(9).to_string();
    refused(
        |t| t.dealings[3].class = digest(9),
        &[&unlisted, "not listed"],
    );
    // A class that was struck off while there are dealings of it.
    let of = digest_of(&exact()).to_string();
    refused(|t| drop(t.classes.pop()), &[&of, "not listed"]);
    // Custodian-held openers have no quorum.
    let held = Openers::CustodianHeld {
        node_key: Key([1; 32]),
    };
    assert!(good().check(&held).unwrap_err().contains("no quorum"));
}

#[test]
fn ticket_numbers_are_below_2_to_the_24_and_dealt_once_an_epoch() {
    // DOC-12, CST-2, TKT-5.
    let limit = "16777216";
    refused(|t| t.dealings[1].count = 0, &["10 + 0", limit]);
    accepted(|t| t.dealings[1].first = (1 << 24) - 10);
    let found = format!("{} + 10", (1 << 24) - 9);
    refused(|t| t.dealings[1].first = (1 << 24) - 9, &[&found, limit]);
    refused(|t| t.dealings[1].first = u64::MAX, &[limit]);
    refused(|t| t.dealings[1].count = u64::MAX, &[limit]);
    // Dealing 2 comes after dealing 1, in the same epoch, of another class.
    for (first, count, good) in [
        (10, 10, true),
        (11, 1, true),
        (9, 10, false),
        (0, 10, false),
        (0, 1, false),
        (3, 2, false),
        (9, 1, false),
    ] {
        let change = |t: &mut Tickets| {
            t.dealings[1].first = first;
            t.dealings[1].count = count;
        };
        match good {
            true => accepted(change),
            false => {
                let name = digest(2).to_string();
                refused(change, &[&name, "dealt already"]);
            }
        }
    }
    // Around another one.
    refused(
        |t| {
            t.dealings[0].first = 20;
            t.dealings[1].first = 15;
            t.dealings[1].count = 100;
        },
        &["dealt already"],
    );
    // The same epoch at last.
    refused(|t| t.dealings[2].epoch = 0, &["dealt already"]);
    refused(|t| t.dealings[3].quorum = vec![0, 1], &["dealt already"]);
    // Other seeds: any numbers.
    accepted(|t| t.dealings[1].epoch = 7);
    accepted(|t| t.dealings[1].quorum = vec![0, 2]);
}

#[test]
fn all_dealings_together_cost_at_most_the_limit() {
    // DOC-12, PRV-9: spent or not, of every quorum and epoch; exact at the boundary.
    let tickets = good();
    assert_eq!(tickets.cost().unwrap().units(), 30 * ONE);
    assert_eq!(tickets.limit().units(), 30 * ONE);
    let (cost, limit) = ((30 * ONE).to_string(), (30 * ONE - 1).to_string());
    refused(|t| t.rho_limit_units -= 1, &[&cost, &limit, "2^-40"]);
    let cost = (31 * ONE).to_string();
    let limit = (30 * ONE).to_string();
    refused(|t| t.dealings[3].count += 1, &[&cost, &limit]);
    // Without noise there is nothing to charge: counted by values and bits.
    accepted(|t| t.dealings[1].count = 1 << 20);
    accepted(|t| {
        t.dealings.retain(|d| d.class == digest_of(&exact()));
        t.rho_limit_units = 0;
    });
    // A part of a unit counts whole.
    let mut little = good();
    little.classes[0] = class("noisy", 1, Mechanism::gaussian(1 << 60, 1).unwrap(), true);
    for d in [0, 2, 3] {
        little.dealings[d].class = digest_of(&little.classes[0]);
    }
    assert_eq!(little.cost().unwrap().units(), 30);
    // A sum that does not fit is refused, and not taken for a small one.
    let dear = class("noisy", 1 << 12, Mechanism::gaussian(1, 1).unwrap(), true);
    let cost = dear
        .class()
        .unwrap()
        .mechanism()
        .cost(Sensitivity::new(1 << 12).unwrap());
    let each = cost.unwrap().units();
    assert_eq!(each, 1 << 63);
    let change = |t: &mut Tickets, count: u64| {
        t.classes[0] = dear.clone();
        t.dealings.truncate(1);
        t.dealings[0].class = digest_of(&dear);
        t.dealings[0].count = count;
        t.rho_limit_units = u64::MAX;
    };
    accepted(|t| change(t, 1));
    refused(|t| change(t, 2), &["18446744073709551615"]);
}

#[test]
fn a_later_policy_keeps_every_dealing_as_it_was() {
    // DOC-12.
    let tickets = good();
    assert!(tickets.kept_by(&tickets));
    let mut later = good();
    later.dealings.push(dealing(5, &[0, 2], 0, &noisy(), 0));
    later.dealings.reverse();
    later.classes[0].name = "another".into();
    later.rho_limit_units *= 2;
    assert!(tickets.kept_by(&later));
    assert!(!later.kept_by(&tickets));
    for n in 0..tickets.dealings.len() {
        type Change<'a> = &'a dyn Fn(&mut Vec<DealingTerms>);
        let changes: [Change<'_>; 8] = [
            &|d| drop(d.remove(n)),
            &|d| d[n].digest = digest(0xee),
            &|d| d[n].quorum = vec![0, 2],
            &|d| d[n].epoch += 1,
            &|d| d[n].class = digest(0xee),
            &|d| d[n].first += 1,
            &|d| d[n].count -= 1,
            &|d| d[n].root = digest(0xee),
        ];
        for change in changes {
            let mut later = good();
            change(&mut later.dealings);
            assert!(!tickets.kept_by(&later), "dealing {n}");
        }
    }
    let mut none = good();
    none.dealings.clear();
    assert!(none.kept_by(&tickets));
}

#[test]
fn classes_and_dealings_are_found_by_digest() {
    // DOC-4, DOC-12, TKT-5.
    let t = good();
    let (noisy, exact) = (digest_of(&noisy()), digest_of(&exact()));
    assert_eq!(t.class(&noisy).unwrap().0.name, "noisy");
    assert_eq!(t.class(&exact).unwrap().1.digest(), exact);
    assert!(t.class(&digest(9)).is_none());
    assert!(t.offered(&noisy).is_some());
    assert!(t.offered(&exact).is_none());
    let d = t.dealing(&digest(2)).unwrap();
    assert_eq!((d.first, d.end()), (10, 20));
    assert!(t.dealing(&digest(9)).is_none());
    // What a path is checked against: named by quorum, epoch, first ticket, class.
    let class = t.class(&d.class).unwrap().1;
    let tree = d.signed(&digest(0xd0), class);
    assert_eq!((tree.tickets, tree.root), (20, d.root));
    let keys = quorum_name(&digest(0xd0), &[0, 1], 0);
    assert_eq!(tree.dealing, Shape::new(class, keys, 10).dealing);
    let others = [
        d.signed(&digest(0xd1), class),
        DealingTerms {
            epoch: 1,
            ..d.clone()
        }
        .signed(&digest(0xd0), class),
        DealingTerms {
            first: 11,
            ..d.clone()
        }
        .signed(&digest(0xd0), class),
        d.signed(&digest(0xd0), t.class(&noisy).unwrap().1),
    ];
    for other in others {
        assert_ne!(other.dealing, tree.dealing);
    }
}
