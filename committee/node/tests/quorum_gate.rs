//! The gate of a committee's node (KEY-8, OPN-5, ORD-8): a good order and a good
//! joint order are admitted, everything else is refused by its own code, and a
//! refusal that reveals nothing ends its grant and no other.
//!
//! Over 500 lines: one case a refusal or an attack, over the same three tables.

mod support;

use std::{collections::BTreeSet, slice::from_ref, sync::OnceLock};
use support::{committee::*, terms::*, *};
use veilbourse_core::digest::Digest;
use veilbourse_documents::{ClassTerms, Key, Opener, Openers, Signed, Tickets, api::NodeJob};
use veilbourse_node::{
    Facts, GateRefusal, Judged, KeyNode, NodeError, SeatError, Usable, dealt_by, together,
};
use veilbourse_privacy::Mechanism;
use veilbourse_ticket_store::{Dealing, QuorumSet};

fn worlds() -> &'static [World; 3] {
    static WORLDS: OnceLock<[World; 3]> = OnceLock::new();
    WORLDS.get_or_init(|| [0, 1, 2].map(World::numbered))
}

/// A dealing as announced; nobody deals it here.
fn announced(world: &World, class: &ClassTerms, quorum: &[u8], first: u64) -> Dealing {
    let keys = quorum
        .iter()
        .map(|m| key(&signer(SEEDS[usize::from(*m)])).0);
    Dealing {
        dataset: world.root,
        quorum: QuorumSet::of_members(quorum).unwrap(),
        epoch: 0,
        class: class.class().unwrap(),
        first,
        count: 100,
        with_key: first == 0,
        root: Digest([7; 32]),
        parties: keys.collect(),
        bases: vec![Digest([1; 32]); quorum.len()],
        packages: vec![Digest([2; 32]); quorum.len()],
    }
}

fn plain(world: &World) -> ClassTerms {
    class(world, "plain", Mechanism::None)
}

fn noisy(world: &World) -> ClassTerms {
    class(world, "noisy", Mechanism::gaussian(1 << 40, 1).unwrap())
}

/// An order for quorum 0, 1 under tickets of a class.
fn of(world: &World, class: &ClassTerms) -> (Terms, Dealing) {
    let dealing = announced(world, class, &QUORUM, 0);
    let mut t = terms(world, &dealing);
    t.tickets = Some(Tickets {
        classes: vec![class.clone()],
        dealings: vec![listed(&dealing)],
        rho_limit_units: u64::MAX,
    });
    (t, dealing)
}

fn good() -> (Terms, Dealing) {
    of(&worlds()[0], &plain(&worlds()[0]))
}

fn usable(dealing: &Dealing) -> Facts {
    Facts {
        tickets: Some(Usable {
            dealing: dealing.clone(),
            left: 100,
        }),
        ..Facts::default()
    }
}

fn node() -> Node {
    Node::new(config(0, still()))
}

/// Codes of the refusals, nothing where the jobs are admitted.
fn judged(node: &mut Node, jobs: &[NodeJob], facts: &[Facts]) -> Vec<(String, bool)> {
    match node.node.judge(jobs, facts, NOW, &mut rng(1)).unwrap() {
        Judged::Refused(all) => {
            assert_eq!(all.len(), jobs.len());
            let said = all.iter().zip(jobs).map(|(r, job)| {
                r.verify().unwrap();
                assert_eq!(r.body.order, job.order.digest().unwrap());
                assert_eq!(r.body.grant, job.grant.digest().unwrap());
                (r.body.code.clone(), r.body.revealed)
            });
            said.collect()
        }
        Judged::Admitted(_) => Vec::new(),
        Judged::Released(_) => panic!("released"),
    }
}

fn alone(node: &mut Node, t: &Terms, facts: Facts) -> Option<(String, bool)> {
    judged(node, &[t.unproven().job], &[facts]).pop()
}

/// Refused by a fresh node, revealing nothing.
fn refused(t: &Terms, facts: Facts, expected: &str) {
    let found = alone(&mut node(), t, facts);
    assert_eq!(found, Some((expected.to_owned(), false)));
}

#[test]
fn a_node_sits_in_one_committee_and_holds_no_keys() {
    // KEY-8
    let base = || {
        let mut c = worlds()[0].config();
        c.datasets.clear();
        c
    };
    assert!(base().seated(still(), None).is_ok());
    let mut other = still();
    other.marketplace = Digest([1; 32]);
    let got = base().seated(other, None);
    assert!(matches!(
        got,
        Err(SeatError::File(_) | SeatError::Marketplace { .. })
    ));
    let mut without = still();
    without.nodes.remove(0);
    let got = base().seated(without, None);
    assert!(matches!(got, Err(SeatError::NotMember { .. })), "{got:?}");
    let got = worlds()[0].config().seated(still(), None);
    assert!(matches!(got, Err(SeatError::HoldsKeys { found: 1 })));
    let mut one = still();
    one.threshold = 1;
    assert!(matches!(base().seated(one, None), Err(SeatError::File(_))));
}

#[test]
fn an_order_for_its_quorum_is_admitted() {
    // KEY-8, KEY-11
    let (t, dealing) = good();
    assert_eq!(alone(&mut node(), &t, usable(&dealing)), None);
}

#[test]
fn other_openers_quorums_and_dealings_are_refused() {
    // KEY-8
    let (good, dealing) = good();
    let facts = || usable(&dealing);
    // Another committee; the custodian's own node; this node in the other custody.
    let mut t = good.clone();
    let mut nodes: Vec<Key> = t.openers.keys().to_vec();
    nodes.swap(0, 2);
    t.openers = Openers::Committee {
        nodes,
        threshold: 2,
    };
    refused(&t, facts(), "COMMITTEE");
    let held = Terms::of(&worlds()[0], worlds()[0].aggregate());
    refused(&held, facts(), "COMMITTEE");
    let mut keys = Node::new(worlds()[0].config());
    let outcome = keys
        .node
        .process(&good.unproven().job, &Default::default(), NOW, &mut rng(1));
    assert_eq!(code(&outcome.unwrap()), "NODE_KEY");
    // A quorum without this node.
    let without = announced(&worlds()[0], &plain(&worlds()[0]), &[1, 2], 0);
    let t = terms(&worlds()[0], &without);
    refused(&t, usable(&without), "QUORUM");
    // A dealing that is not usable here; one that the policy says more of.
    refused(&good, Facts::default(), "DEALING");
    let mut other = dealing.clone();
    other.count += 1;
    refused(&good, usable(&other), "DEALING");
    let mut t = good.clone();
    t.tickets.as_mut().unwrap().dealings[0].root = Digest([8; 32]);
    refused(&t, facts(), "DEALING");
    // A dealing that the policy does not list, or of another class or quorum, is
    // no link of the chain.
    let mut t = good.clone();
    t.opener = Opener::Committee {
        quorum: QUORUM.into(),
        dealing: Digest([3; 32]),
    };
    refused(&t, facts(), "DOCUMENT");
    t.opener = Opener::Committee {
        quorum: vec![0, 2],
        dealing: dealing.digest(),
    };
    refused(&t, facts(), "DOCUMENT");
    // Tickets for all values.
    let mut few = facts();
    few.tickets.as_mut().unwrap().left = 0;
    refused(&good, few, "TICKETS");
}

#[test]
fn outputs_fit_their_class() {
    // OPN-5
    let w = &worlds()[0];
    let with = |change: &dyn Fn(&mut ClassTerms)| {
        let mut class = plain(w);
        change(&mut class);
        of(w, &class)
    };
    let (t, d) = with(&|c| c.sensitivity = 1);
    refused(&t, usable(&d), "TICKET_CLASS");
    let (t, d) = with(&|c| c.k -= 1);
    refused(&t, usable(&d), "TICKET_CLASS");
    // A class that is not offered is in no quote.
    let (mut t, d) = good();
    let tickets = t.tickets.as_mut().unwrap();
    tickets.classes.push(noisy(w));
    tickets.classes[0].offered = false;
    refused(&t, usable(&d), "DOCUMENT");
}

#[test]
fn policies_and_quotas_are_counted_by_custodian() {
    // KEY-6, KEY-9: whoever deals a dataset sets policies for what it deals.
    let (t, dealing) = good();
    let mut node = node();
    assert_eq!(alone(&mut node, &t, usable(&dealing)), None);
    let mut mallory = t.clone();
    mallory.custodian = signer(STRANGER);
    mallory.policy_version = 9;
    mallory.valid_from = NOW;
    let own = dealt_by(&worlds()[0].root, &key(&signer(CUSTODIAN)));
    let other = dealt_by(&worlds()[0].root, &key(&signer(STRANGER)));
    // Its policy is seen, and replaces nobody else's.
    assert_eq!(alone(&mut node, &mallory, usable(&dealing)), None);
    assert_eq!(alone(&mut node, &t, usable(&dealing)), None);
    let version = |node: &Node, scope| node.node.state().policy_version(scope, &id(1));
    assert_eq!((version(&node, &own), version(&node, &other)), (3, 9));
    // A stale one of its own is.
    let mut stale = t.clone();
    stale.policy_version = 2;
    stale.nonce = 7;
    let found = alone(&mut node, &stale, usable(&dealing)).unwrap();
    assert_eq!(found.0, "POLICY_OLD");
    // Quotas.
    let mut t = t.clone();
    t.quota_values = 0;
    refused(&t, usable(&dealing), "QUOTA");
    // The operator's list.
    let listed = BTreeSet::from([key(&signer(STRANGER))]);
    let mut base = worlds()[0].config();
    base.datasets.clear();
    let mut strict = Node::new(base.seated(still(), Some(listed)).unwrap());
    let found = alone(&mut strict, &good().0, usable(&dealing)).unwrap();
    assert_eq!(found.0, "CUSTODIAN_KEY");
    assert_eq!(alone(&mut strict, &mallory, usable(&dealing)), None);
}

#[test]
fn a_later_policy_keeps_every_dealing() {
    // DOC-12
    let (t, dealing) = good();
    let mut node = node();
    assert_eq!(alone(&mut node, &t, usable(&dealing)), None);
    let mut later = t.clone();
    later.policy_version += 1;
    later.nonce = 9;
    let next = announced(&worlds()[0], &plain(&worlds()[0]), &QUORUM, 100);
    later.tickets.as_mut().unwrap().dealings.push(listed(&next));
    let more = later.clone();
    later.tickets.as_mut().unwrap().dealings.remove(0);
    later.opener = Opener::Committee {
        quorum: QUORUM.into(),
        dealing: next.digest(),
    };
    let found = alone(&mut node, &later, usable(&next)).unwrap();
    assert_eq!(found.0, "DEALING_LEFT_OUT");
    assert_eq!(alone(&mut node, &more, usable(&dealing)), None);
}

#[test]
fn a_refusal_ends_its_grant_and_no_other() {
    // KEY-11
    let (t, dealing) = good();
    let mut node = node();
    let found = alone(&mut node, &t, Facts::default()).unwrap();
    assert_eq!(found, ("DEALING".into(), false));
    // The same document again, whatever holds now; also after a start.
    for _ in 0..2 {
        let found = alone(&mut node, &t, usable(&dealing)).unwrap();
        assert_eq!(found, ("DEALING".into(), false));
        let Node { folder, node: open } = node;
        drop(open);
        let log = folder.path().join("log");
        let open = KeyNode::open(config(0, still()), &log).unwrap();
        node = Node { folder, node: open };
    }
    // Another grant of the order, to another quorum, is judged anew.
    let mut second = t.clone();
    second.number = 1;
    assert_eq!(alone(&mut node, &second, usable(&dealing)), None);
    // A grant that is over.
    let mut late = t.clone();
    late.expires = NOW;
    late.number = 2;
    refused(&late, usable(&dealing), "GRANT_EXPIRED");
}

#[test]
fn who_has_signed_opens_for_that_grant_alone_and_never_says_nothing_was_revealed() {
    // KEY-11, OPN-6
    let (t, dealing) = good();
    let case = t.unproven();
    let signed = Facts {
        signed: Some(case.grant()),
        ..usable(&dealing)
    };
    // Its grant may be over, its tickets used up, its policy replaced.
    let mut node = node();
    let mut few = signed.clone();
    few.tickets.as_mut().unwrap().left = 0;
    assert_eq!(alone(&mut node, &t, few), None);
    let mut newer = t.clone();
    newer.policy_version += 1;
    newer.quota_values = 0;
    node.node.learn_policy(&newer.papers().policy, NOW).unwrap();
    assert_eq!(
        judged(&mut node, from_ref(&case.job), from_ref(&signed)),
        Vec::new()
    );
    // Another grant: another quorum's, or a replay of an earlier one's.
    let mut second = t.clone();
    second.number = 1;
    second.policy_version += 1;
    let found = alone(&mut node, &second, signed.clone()).unwrap();
    assert!(found.1, "{found:?}");
    let mut fresh = self::node();
    let mut second = t.clone();
    second.number = 1;
    let found = alone(&mut fresh, &second, signed.clone()).unwrap();
    assert_eq!(found, ("SECOND_OPENING".into(), true));
    // That ended nothing.
    assert_eq!(alone(&mut fresh, &t, signed.clone()), None);
    // Frozen since: revealed, as far as this node can tell.
    let gone = Facts {
        tickets: None,
        ..signed
    };
    let found = alone(&mut fresh, &t, gone).unwrap();
    assert_eq!(found, ("DEALING".into(), true));
}

/// Judged, admitted, and counted, as before an opening begins.
fn begun(node: &mut Node, jobs: &[NodeJob], facts: &[Facts]) {
    let judged = node.node.judge(jobs, facts, NOW, &mut rng(1)).unwrap();
    let Judged::Admitted(admitted) = judged else {
        panic!("{judged:?}")
    };
    node.node.spend(&admitted).unwrap();
}

fn reopened(node: Node) -> Node {
    let Node { folder, node: open } = node;
    drop(open);
    let log = folder.path().join("log");
    let open = KeyNode::open(config(0, still()), &log).unwrap();
    Node { folder, node: open }
}

#[test]
fn a_later_grant_frees_what_was_signed_and_not_released() {
    // KEY-11, OPN-6
    let (t, dealing) = good();
    let with = |number: u32| {
        let mut other = t.clone();
        other.number = number;
        other.unproven()
    };
    let [zero, one, two] = [with(0), with(1), with(2)];
    let mut node = node();
    begun(&mut node, from_ref(&one.job), &[usable(&dealing)]);
    let signed = Facts {
        signed: Some(one.grant()),
        ..usable(&dealing)
    };
    let judge = |node: &mut Node, case: &Case, facts: &Facts| {
        judged(node, from_ref(&case.job), from_ref(facts)).pop()
    };
    for _ in 0..2 {
        // A lower number never frees it; nor does another grant of the same.
        let mut same = t.clone();
        (same.number, same.expires) = (1, t.expires - 1);
        for other in [&zero, &same.unproven()] {
            let found = judge(&mut node, other, &signed);
            assert_eq!(found, Some(("GRANT_REPLACED".into(), true)));
        }
        // Its own goes on, the later one is let through.
        assert_eq!(judge(&mut node, &one, &signed), None);
        assert_eq!(judge(&mut node, &two, &signed), None);
        // Not once anything was released.
        let released = Facts {
            released: true,
            ..signed.clone()
        };
        let found = judge(&mut node, &two, &released);
        assert_eq!(found, Some(("SECOND_OPENING".into(), true)));
        node = reopened(node);
    }
    // For the later one the clock and the tickets count again.
    let mut few = signed.clone();
    few.tickets.as_mut().unwrap().left = 0;
    assert_eq!(judge(&mut node, &one, &few), None);
    let mut late = t.clone();
    (late.number, late.expires) = (2, NOW);
    let found = judge(&mut node, &late.unproven(), &signed);
    assert_eq!(found, Some(("GRANT_EXPIRED".into(), true)));
    // Begun with: values are counted once, the earlier grant is over, and once
    // its session is forgone, nothing of it is revealed, whatever is signed since.
    begun(&mut node, from_ref(&two.job), from_ref(&signed));
    let scope = dealt_by(&one.job.order.body.dataset, &one.job.policy.key);
    assert_eq!(node.node.state().revealed(&scope).values, 1);
    let mut node = reopened(node);
    assert_eq!(
        judge(&mut node, &two, &signed),
        None,
        "a crash before it forgoes"
    );
    let since = Facts {
        signed: Some(two.grant()),
        forgone: true,
        ..usable(&dealing)
    };
    let found = judge(&mut node, &one, &since);
    assert_eq!(found, Some(("GRANT_REPLACED".into(), false)));
    let number = node.node.state().begun(&one.order()).map(|b| b.number);
    assert_eq!(number, Some(2));
}

#[test]
fn a_joint_order_is_given_up_whole_or_not_at_all() {
    // KEY-13, OPN-9: what was released of one stays with what is signed of all.
    let (jobs, facts) = joint(&three(), &|_, _| {});
    let (later, _) = joint(&three(), &|_, t| t.number = 1);
    let mut node = node();
    begun(&mut node, &jobs, &facts);
    let signed: Vec<Facts> = facts
        .iter()
        .zip(&jobs)
        .map(|(f, job)| Facts {
            signed: Some(job.grant.digest().unwrap()),
            ..f.clone()
        })
        .collect();
    assert_eq!(judged(&mut node, &later, &signed), Vec::new());
    // A crash while it forwent: one is given up, the others are still signed.
    let mut half = signed.clone();
    half[0] = facts[0].clone();
    assert_eq!(judged(&mut node, &later, &half), Vec::new());
    // Nor by a lease of which one order has a later grant, and the others theirs.
    let mut mixed = jobs.clone();
    mixed[0].grant = later[0].grant.clone();
    for (code, revealed) in judged(&mut node, &mixed, &signed) {
        assert_eq!((code.as_str(), revealed), ("JOINT", true));
    }
    assert!(!judged(&mut node, &mixed, &signed).is_empty(), "admitted");
    let mut released = signed;
    released[2].released = true;
    for (code, revealed) in judged(&mut node, &later, &released) {
        assert_eq!((code.as_str(), revealed), ("SECOND_OPENING", true));
    }
}

/// A joint order over these worlds, each with its own custodian; changed.
fn joint(classes: &[ClassTerms], change: &dyn Fn(usize, &mut Terms)) -> (Vec<NodeJob>, Vec<Facts>) {
    let mut all: Vec<(Terms, Dealing)> = Vec::new();
    for (i, class) in classes.iter().enumerate() {
        let (mut t, d) = of(&worlds()[i], class);
        t.listing = 40 + i as u8;
        t.nonce = 50 + i as u8;
        t.custodian = signer(70 + i as u8);
        change(i, &mut t);
        all.push((t, d));
    }
    let quote = |t: &Terms| t.papers().quote.digest().unwrap();
    all.sort_by_key(|(t, _)| quote(t));
    let quotes: Vec<Digest> = all.iter().map(|(t, _)| quote(t)).collect();
    let jobs = all.iter().zip(0u8..).map(|((t, _), n)| {
        let mut t = t.clone();
        t.joint = quotes.clone();
        let mut case = t.unproven();
        named(&mut case, 80 + n);
        case.job
    });
    (jobs.collect(), all.iter().map(|(_, d)| usable(d)).collect())
}

fn three() -> Vec<ClassTerms> {
    worlds().iter().map(plain).collect()
}

fn joint_refused(jobs: &[NodeJob], facts: &[Facts]) {
    let found = judged(&mut node(), jobs, facts);
    assert!(!found.is_empty(), "admitted");
    for said in found {
        assert_eq!(said, ("JOINT".into(), false));
    }
}

#[test]
fn a_joint_order_is_admitted_whole() {
    // ORD-8, OPN-9
    let (jobs, facts) = joint(&three(), &|_, _| {});
    assert_eq!(judged(&mut node(), &jobs, &facts), Vec::new());
    // Two, where each has noise for a listing by itself.
    let classes: Vec<_> = worlds()[..2].iter().map(noisy).collect();
    let (jobs, facts) = joint(&classes, &|_, _| {});
    assert_eq!(judged(&mut node(), &jobs, &facts), Vec::new());
}

#[test]
fn a_joint_order_that_is_none_is_refused() {
    // ORD-8
    let (jobs, facts) = joint(&three(), &|_, _| {});
    // Not all there, one twice, in another order, one that is alone beside them.
    joint_refused(&jobs[..2], &facts[..2]);
    joint_refused(&jobs[..1], &facts[..1]);
    let twice = [jobs[0].clone(), jobs[1].clone(), jobs[1].clone()];
    joint_refused(&twice, &facts);
    let mut turned = jobs.clone();
    turned.swap(0, 1);
    joint_refused(&turned, &facts);
    let (t, d) = good();
    let two = [t.unproven().job, jobs[0].clone()];
    joint_refused(&two, &[usable(&d), facts[0].clone()]);
    assert!(matches!(together(&[]), Err(GateRefusal::Joint { .. })));
    // Two custodians, without noise.
    let (jobs, facts) = joint(&three()[..2], &|_, _| {});
    joint_refused(&jobs, &facts);
    let (jobs, facts) = joint(&three(), &|i, t| {
        t.custodian = signer(70 + (i as u8).min(1))
    });
    joint_refused(&jobs, &facts);
    // Noise in all but one is not noise in all.
    let mixed = [noisy(&worlds()[0]), plain(&worlds()[1])];
    let (jobs, facts) = joint(&mixed, &|_, _| {});
    joint_refused(&jobs, &facts);
    // A custodian is the buyer.
    let (jobs, facts) = joint(&three(), &|i, t| {
        if i == 1 {
            t.custodian = signer(BUYER);
        }
    });
    joint_refused(&jobs, &facts);
    // Another buyer, result key, nonce of another, scale, number of outputs.
    let changes: [&dyn Fn(&mut Terms); 6] = [
        &|t| t.buyer = signer(STRANGER),
        &|t| t.result += 1,
        &|t| t.nonce = 51,
        &|t| t.program.vectors[0].scale_log2 = 3,
        &|t| t.program = worlds()[0].program(),
        &|t| {
            let chunk = worlds()[0].program();
            t.program.vectors = vec![chunk.vectors[1].clone()];
            t.program.outputs = vec![veilbourse_core::program::ProgramOutput {
                over: chunk.outputs[1].over,
                vector: 0,
            }];
        },
    ];
    for change in changes {
        let (jobs, mut facts) = joint(&three(), &|i, t| {
            if i == 0 {
                change(t);
            }
        });
        facts
            .iter_mut()
            .for_each(|f| f.tickets.as_mut().unwrap().left = 1000);
        joint_refused(&jobs, &facts);
    }
    // The same dataset twice, under two listings.
    let (mut a, d) = good();
    a.custodian = signer(70);
    let mut all = [a.clone(), a.clone(), a];
    for (i, t) in all.iter_mut().enumerate() {
        t.listing = 40 + i as u8;
        t.nonce = 50 + i as u8;
        t.custodian = signer(70 + i as u8);
    }
    let quote = |t: &Terms| t.papers().quote.digest().unwrap();
    all.sort_by_key(quote);
    let quotes: Vec<_> = all.iter().map(quote).collect();
    all.iter_mut().for_each(|t| t.joint = quotes.clone());
    let jobs: Vec<_> = all.iter().map(|t| t.unproven().job).collect();
    joint_refused(&jobs, &[usable(&d), usable(&d), usable(&d)]);
    // Another quorum for one of them.
    let other = announced(&worlds()[2], &plain(&worlds()[2]), &[0, 2], 0);
    let (jobs, _) = joint(&three(), &|i, t| {
        if i == 2 {
            let own = terms(&worlds()[2], &other);
            (t.opener, t.tickets) = (own.opener, own.tickets);
        }
    });
    joint_refused(&jobs, &facts);
}

#[test]
fn each_order_of_a_joint_one_passes_the_gate_by_itself() {
    // ORD-8: the strictest policy wins.
    let (jobs, facts) = joint(&three(), &|i, t| {
        if i == 1 {
            t.quota_values = 0;
        }
    });
    let found = judged(&mut node(), &jobs, &facts);
    assert_eq!(found, vec![("QUOTA".into(), false); 3]);
    // A forged order among them.
    let (mut jobs, facts) = joint(&three(), &|_, _| {});
    jobs[1].grant = Signed::sign(jobs[1].grant.body.clone(), &signer(STRANGER)).unwrap();
    let found = judged(&mut node(), &jobs, &facts);
    assert_eq!(found[0].0, "DOCUMENT");
    // One whose grant was refused before takes the others with it.
    let (jobs, mut facts) = joint(&three(), &|_, _| {});
    let mut node = node();
    facts[2].tickets = None;
    let found = judged(&mut node, &jobs, &facts);
    assert_eq!(found[0].0, "DEALING");
    let found = judged(&mut node, &jobs, &facts);
    assert_eq!(found[0].0, "DEALING", "the same document");
}

#[test]
fn an_order_is_opened_in_one_company_ever() {
    // OPN-9, KEY-13: A with B and C, then A with B' and C, would show B - B'.
    let (jobs, facts) = joint(&three(), &|_, _| {});
    let mut node = node();
    {
        let judged = node.node.judge(&jobs, &facts, NOW, &mut rng(1)).unwrap();
        let Judged::Admitted(admitted) = judged else {
            panic!("{judged:?}")
        };
        node.node.spend(&admitted).unwrap();
        // Again is counted once.
        node.node.spend(&admitted).unwrap();
    }
    let scope = dealt_by(&jobs[0].order.body.dataset, &jobs[0].policy.key);
    assert_eq!(node.node.state().revealed(&scope).values, 1);
    assert_eq!(judged(&mut node, &jobs, &facts), Vec::new());
    // Another order for the same quote, by the same buyer.
    let mut others = jobs.clone();
    let mut body = jobs[1].order.body.clone();
    body.nonce = veilbourse_documents::Nonce([99; 32]);
    others[1].order = Signed::sign(body, &signer(BUYER)).unwrap();
    let order = others[1].order.digest().unwrap();
    let mut submission = others[1].submission.body.clone();
    submission.order = order;
    others[1].submission = Signed::sign(submission, &signer(POD)).unwrap();
    let mut grant = others[1].grant.body.clone();
    (grant.order, grant.submission) = (order, others[1].submission.digest().unwrap());
    others[1].grant = Signed::sign(grant, &signer(MARKETPLACE)).unwrap();
    let Node { folder, node: open } = node;
    drop(open);
    let log = folder.path().join("log");
    let open = KeyNode::open(config(0, still()), &log).unwrap();
    node = Node { folder, node: open };
    for (code, revealed) in judged(&mut node, &others, &facts) {
        assert_eq!((code.as_str(), revealed), ("JOINT", false));
    }
}

#[test]
fn a_policy_can_be_told_to_a_committees_node() {
    // KEY-6, KEY-8
    let (t, _) = good();
    let mut node = node();
    assert!(node.node.learn_policy(&t.papers().policy, NOW).unwrap());
    let held = Terms::of(&worlds()[0], worlds()[0].aggregate());
    let got = node.node.learn_policy(&held.papers().policy, NOW);
    assert!(matches!(
        got,
        Err(NodeError::Policy(GateRefusal::Committee { .. }))
    ));
}
