//! Three nodes of a committee, two of whom open, with a marketplace and a
//! custodian in one process, over TCP and HTTP: dealings are taken, checked and
//! answered; orders are opened, alone and together; nodes stop in between; the
//! marketplace lies.
//!
//! Over 500 lines: one case a refusal or an attack, over the same three tables.

mod support;

use std::sync::OnceLock;
use support::{committee::*, server::*, terms::*, *};
use veilbourse_core::{digest::Digest, program::Program};
use veilbourse_documents::{
    Chain, Key, PIECE_BYTES, PieceContext, Signed, SubmittedDigest, api::Deliver,
};
use veilbourse_node::{Log, Record};
use veilbourse_quorum::deal::Dealt;

fn worlds() -> &'static [World; 3] {
    static WORLDS: OnceLock<[World; 3]> = OnceLock::new();
    WORLDS.get_or_init(|| [0, 1, 2].map(World::numbered))
}

/// What the custodian of a table deals to quorum 0, 1: eight tickets check the
/// public key, eight are for orders.
fn dealt(i: usize) -> &'static Dealt {
    static DEALT: OnceLock<[Dealt; 3]> = OnceLock::new();
    let all = DEALT.get_or_init(|| [0, 1, 2].map(|i| deal(&worlds()[i], &QUORUM, 16)));
    &all[i]
}

fn terms_of(i: usize) -> Terms {
    let mut t = terms(&worlds()[i], &dealt(i).dealing);
    t.listing = 40 + i as u8;
    t.custodian = signer(70 + i as u8);
    t
}

fn key_of(node: u8) -> Key {
    key(&signer(SEEDS[usize::from(node)]))
}

/// Both nodes of the quorum run and have accepted these tables' dealings.
async fn ready(tables: &[usize]) -> Nodes {
    let mut nodes = Nodes::new().await;
    for i in tables {
        announce(&nodes.server, &worlds()[*i], &terms_of(*i), dealt(*i));
    }
    for node in QUORUM {
        nodes.start(usize::from(node)).await;
    }
    for i in tables {
        let digest = dealt(*i).digest();
        let both = |m: &Market| m.said(&digest).len() == 2;
        nodes.server.until("dealing answered", both).await;
        for (_, code) in nodes.server.market().said(&digest) {
            assert_eq!(code, None);
        }
    }
    nodes
}

/// What both nodes delivered of an order, by node.
fn delivered(m: &Market, order: &Digest) -> Vec<Deliver> {
    let of = |node: u8| {
        let mut all = m.delivered.iter().filter(|(n, _)| *n == key_of(node));
        let of = all.find(|(_, d)| d.orders.iter().any(|o| o.delivery.body.order == *order));
        of.map(|(_, d)| d.clone())
    };
    QUORUM.iter().filter_map(|n| of(*n)).collect()
}

fn sum(i: usize, program: &Program) -> i64 {
    worlds()[i].expected(program)[0][0]
}

fn value(i: usize, case: &Case, both: &[Deliver]) -> i64 {
    let secret = case.terms.result_secret();
    let both: Vec<_> = both.iter().collect();
    buyer(&[&worlds()[i]], &[&dealt(i).dealing], &both, &secret)[0]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_order_is_opened_and_a_crash_between_release_and_delivery_changes_nothing() {
    // KEY-8..11
    let mut nodes = ready(&[0]).await;
    assert!(
        nodes
            .health(0)
            .peers
            .iter()
            .any(|p| p.peer == 1 && p.connected)
    );
    let first = terms_of(0).proven(&worlds()[0]);
    nodes.grant(&[&first]);
    let both = |m: &Market| delivered(m, &first.order()).len() == 2;
    nodes.server.until("delivered", both).await;
    let both = delivered(&nodes.server.market(), &first.order());
    assert_eq!(value(0, &first, &both), sum(0, &first.terms.program));
    let papers = Chain {
        marketplace: &key(&signer(MARKETPLACE)),
        policy: &first.job.policy,
        quote: &first.job.quote,
        order: &first.job.order,
    };
    for d in both.iter().map(|d| &d.orders[0]) {
        let opening = &d.opened.as_ref().unwrap().opening;
        let grant = &first.job.grant;
        papers.check_opening(grant, &[1], opening).unwrap();
        papers
            .check_delivery(grant, Some(opening), &d.delivery)
            .unwrap();
    }
    let d = &both[0].orders[0].delivery.body;
    assert_eq!((d.values, d.counter_before, d.counter_after), (1, 0, 1));
    // Eight checked the key, one was opened.
    let all_told = |m: &Market| {
        let told = |n| m.tickets.iter().rfind(|(k, _)| *k == key_of(n));
        QUORUM
            .iter()
            .all(|n| told(*n).is_some_and(|(_, t)| t["tickets"][0]["next"] == "9"))
    };
    nodes.server.until("tickets told", all_told).await;
    assert_eq!((nodes.health(0).tickets, nodes.health(0).frozen), (7, 0));

    // The marketplace is down when the second is released; one node stops.
    nodes.server.market().broken = true;
    let mut second = terms_of(0);
    second.nonce = 2;
    let mut second = second.proven(&worlds()[0]);
    named(&mut second, 90);
    nodes.grant(&[&second]);
    nodes.server.until("lost", |m| m.lost >= 2).await;
    for _ in 0..200 {
        if QUORUM
            .iter()
            .all(|n| nodes.health(usize::from(*n)).undelivered == 1)
        {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    nodes.stop(0).await;
    let (log, records) = Log::open(&nodes.log(0)).unwrap();
    drop(log);
    let released = records.iter().rev().find_map(|r| match r {
        Record::Released { deliver, .. } => Some(deliver.clone()),
        _ => None,
    });
    let released = released.unwrap();
    assert_eq!(released.orders[0].delivery.body.order, second.order());
    nodes.server.market().broken = false;
    nodes.start(0).await;
    let both = |m: &Market| delivered(m, &second.order()).len() == 2;
    nodes.server.until("delivered", both).await;
    let both = delivered(&nodes.server.market(), &second.order());
    assert_eq!(
        both[0].sealed_result, released.sealed_result,
        "the bytes on disk"
    );
    assert_eq!(value(0, &second, &both), sum(0, &second.terms.program));
    let counter = both[0].orders[0].delivery.body.counter_before;
    assert_eq!(counter, 1);

    // The power fails at node 0 before its release is noted anywhere: it has
    // signed, the other has released. They finish it.
    nodes.server.market().broken = true;
    let lost = nodes.server.market().lost;
    let mut third = terms_of(0);
    third.nonce = 3;
    let mut third = third.proven(&worlds()[0]);
    named(&mut third, 92);
    nodes.grant(&[&third]);
    nodes.server.until("lost", |m| m.lost >= lost + 2).await;
    for _ in 0..200 {
        if QUORUM
            .iter()
            .all(|n| nodes.health(usize::from(*n)).undelivered == 1)
        {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    nodes.stop(0).await;
    let newest = |log: &std::path::Path| Log::open(log).unwrap().1.pop();
    let record = newest(&nodes.log(0));
    assert!(
        matches!(record, Some(Record::Released { .. })),
        "{record:?}"
    );
    cut(&nodes.log(0));
    cut(&nodes.store_log(0));
    // The other was handed its part in, and has started anew since.
    nodes.server.market().broken = false;
    let one = |m: &Market| delivered(m, &third.order()).len() == 1;
    nodes.server.until("one delivered", one).await;
    nodes.stop(1).await;
    nodes.start(1).await;
    nodes.start(0).await;
    assert_eq!(nodes.health(0).withheld, 1, "signed, not released");
    let both = |m: &Market| delivered(m, &third.order()).len() == 2;
    nodes.server.until("delivered", both).await;
    let both = delivered(&nodes.server.market(), &third.order());
    assert_eq!(value(0, &third, &both), sum(0, &third.terms.program));

    // A node that is not there is waited for.
    nodes.stop(1).await;
    let mut fourth = terms_of(0);
    fourth.nonce = 4;
    let mut fourth = fourth.proven(&worlds()[0]);
    named(&mut fourth, 93);
    nodes.grant(&[&fourth]);
    nodes.start(1).await;
    let both = |m: &Market| delivered(m, &fourth.order()).len() == 2;
    nodes.server.until("delivered", both).await;
    let both = delivered(&nodes.server.market(), &fourth.order());
    assert_eq!(value(0, &fourth, &both), sum(0, &fourth.terms.program));

    // Asked for a delivered order under another grant, it hands over the same.
    let mut again = first.granted_again();
    named(&mut again, 91);
    let count = nodes.server.market().delivered.len();
    nodes.grant(&[&again]);
    nodes
        .server
        .until("handed again", |m| m.delivered.len() >= count + 2)
        .await;
    for (_, d) in &nodes.server.market().delivered[count..] {
        assert_eq!(d.orders[0].delivery.body.grant, first.grant());
    }
    assert_eq!(nodes.health(0).tickets, 4, "nothing was spent for it");
    for node in QUORUM {
        nodes.stop(usize::from(node)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_joint_order_shows_the_sum_of_three_tables() {
    // OPN-9, ORD-8, KEY-11
    let mut nodes = ready(&[0, 1, 2]).await;
    let mut all: Vec<(usize, Terms)> = (0..3).map(|i| (i, terms_of(i))).collect();
    for (i, t) in &mut all {
        t.nonce = 60 + *i as u8;
    }
    let quote = |t: &Terms| t.papers().quote.digest().unwrap();
    all.sort_by_key(|(_, t)| quote(t));
    let quotes: Vec<Digest> = all.iter().map(|(_, t)| quote(t)).collect();
    let mut cases: Vec<Case> = Vec::new();
    for (n, (i, t)) in all.iter_mut().enumerate() {
        t.joint = quotes.clone();
        let mut case = t.proven(&worlds()[*i]);
        named(&mut case, 100 + n as u8);
        cases.push(case);
    }
    nodes.grant(&cases.iter().collect::<Vec<_>>());
    let order = cases[0].order();
    nodes
        .server
        .until("delivered", |m| delivered(m, &order).len() == 2)
        .await;
    let both = delivered(&nodes.server.market(), &order);
    assert_eq!(both[0].orders.len(), 3);
    let tables: Vec<_> = all.iter().map(|(i, _)| &worlds()[*i]).collect();
    let dealings: Vec<_> = all.iter().map(|(i, _)| &dealt(*i).dealing).collect();
    let secret = cases[0].terms.result_secret();
    let found = buyer(
        &tables,
        &dealings,
        &both.iter().collect::<Vec<_>>(),
        &secret,
    );
    let expected: i64 = (0..3).map(|i| sum(i, &terms_of(i).program)).sum();
    assert_eq!(found, [expected]);
    // One of them alone, afterwards: its mask shares went into the sum.
    let mut alone = cases[0].clone();
    named(&mut alone, 120);
    let count = nodes.server.market().delivered.len();
    nodes.grant(&[&alone]);
    nodes
        .server
        .until("answered", |m| m.delivered.len() >= count + 2)
        .await;
    for (_, d) in &nodes.server.market().delivered[count..] {
        assert_eq!(d.orders.len(), 3, "the sum again, and nothing else");
    }
    for node in QUORUM {
        nodes.stop(usize::from(node)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_operator_freezes_and_retires_and_everybody_is_told() {
    // CST-8, CST-9, KEY-10, KEY-11
    let mut nodes = ready(&[0]).await;
    let member = nodes.running[0].as_ref().unwrap();
    let root = &worlds()[0].root;
    assert_eq!(
        member
            .freeze(&Digest([1; 32]), &QUORUM, "no such dataset")
            .unwrap(),
        0
    );
    assert_eq!(member.freeze(root, &QUORUM, "by its operator").unwrap(), 1);
    let digest = dealt(0).digest();
    let frozen = |m: &Market| {
        m.said(&digest)
            .contains(&(key_of(0), Some("FROZEN".into())))
    };
    nodes.server.until("told", frozen).await;
    assert_eq!((nodes.health(0).tickets, nodes.health(0).frozen), (0, 1));
    let case = terms_of(0).proven(&worlds()[0]);
    nodes.grant(&[&case]);
    let refused = |m: &Market| m.refused.iter().any(|(n, _)| *n == key_of(0));
    nodes.server.until("refused", refused).await;
    let code = nodes.server.market().refused[0].1.refusal.body.code.clone();
    assert_eq!(code, "DEALING");
    let member = nodes.running[0].as_ref().unwrap();
    assert_eq!(member.retire(root).unwrap(), 1);
    assert!(member.retire(root).is_err(), "for good");
    for node in QUORUM {
        nodes.stop(usize::from(node)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_custodian_has_so_much_room() {
    // KEY-10
    let mut nodes = Nodes::new().await;
    nodes.dealing_bytes = 1000;
    announce(&nodes.server, &worlds()[0], &terms_of(0), dealt(0));
    nodes.start(0).await;
    let digest = dealt(0).digest();
    nodes
        .server
        .until("answered", |m| !m.said(&digest).is_empty())
        .await;
    let said = nodes.server.market().said(&digest);
    assert_eq!(said, [(key_of(0), Some("DISK".into()))]);
    nodes.stop(0).await;
}

/// A node by itself, told of a dealing that is not what it must be: its answer.
async fn refused(spoil: impl Fn(&mut Market, &Digest)) -> String {
    let mut nodes = Nodes::new().await;
    announce(&nodes.server, &worlds()[0], &terms_of(0), dealt(0));
    let digest = dealt(0).digest();
    spoil(&mut nodes.server.market(), &digest);
    nodes.start(0).await;
    nodes
        .server
        .until("answered", |m| !m.said(&digest).is_empty())
        .await;
    let said = nodes.server.market().said(&digest);
    nodes.stop(0).await;
    said[0].1.clone().expect("refused")
}

/// The first party's piece.
fn piece<'a>(m: &'a mut Market, dealing: &Digest, part: &str) -> &'a mut Vec<u8> {
    let at = (key_of(0), *dealing, part.to_owned(), 0);
    m.pieces.get_mut(&at).unwrap()
}

/// Sealed again, to node 0, whatever it is; the context as a test has it.
fn sealed(bytes: &[u8], dealing: &Digest, party: u8, part: &str) -> Vec<u8> {
    let context = PieceContext {
        dealing,
        dealer: &key(&terms_of(0).custodian),
        party,
        part,
        offset: 0,
    };
    seal(bytes, 0, &context)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pieces_that_are_not_the_dealers_are_refused() {
    // KEY-10, DOC-14
    let commitments = || dealt(0).streams(0).unwrap()[0].clone();
    assert!(commitments().len() < PIECE_BYTES);
    // Tampered.
    let code = refused(|m, d| piece(m, d, "offer")[1200] ^= 1).await;
    assert_eq!(code, "PIECE");
    // Another party's, another part's, another dealing's.
    let offer = dealt(0).offer(0).unwrap().encode();
    let code = refused(|m, d| *piece(m, d, "offer") = sealed(&offer, d, 1, "offer")).await;
    assert_eq!(code, "PIECE");
    let code = refused(|m, d| *piece(m, d, "offer") = sealed(&offer, d, 0, "key")).await;
    assert_eq!(code, "PIECE");
    let other = dealt(1).digest();
    let code = refused(|m, d| *piece(m, d, "offer") = sealed(&offer, &other, 0, "offer")).await;
    assert_eq!(code, "PIECE");
    // The other party's package, and none.
    let second = dealt(0).offer(1).unwrap().encode();
    let code = refused(|m, d| *piece(m, d, "offer") = sealed(&second, d, 0, "offer")).await;
    assert_eq!(code, "FOREIGN");
    let code = refused(|m, d| *piece(m, d, "offer") = sealed(&offer[1..], d, 0, "offer")).await;
    assert_eq!(code, "OFFER");
    // Cut short, and of the right length with other bytes: asked for again, once.
    let short = &commitments()[32..];
    let code = refused(|m, d| *piece(m, d, "commitments") = sealed(short, d, 0, "commitments"));
    assert_eq!(code.await, "PIECE");
    let mut wrong = commitments();
    wrong[3] ^= 1;
    let code = refused(|m, d| *piece(m, d, "commitments") = sealed(&wrong, d, 0, "commitments"));
    assert_eq!(code.await, "STREAM");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn announcements_that_are_not_the_policys_are_refused() {
    // KEY-10, DOC-12
    let policy = |change: &dyn Fn(&mut Terms)| {
        let mut t = terms_of(0);
        change(&mut t);
        let policy = t.papers().policy;
        move |m: &mut Market, _: &Digest| m.dealings[0].policy = policy.clone()
    };
    let listed = |t: &mut Terms| t.tickets.as_mut().unwrap().dealings.remove(0);
    let code = refused(policy(&|t| drop(listed(t)))).await;
    assert_eq!(code, "POLICY");
    let changes: [&dyn Fn(&mut veilbourse_documents::DealingTerms); 4] = [
        &|d| d.root = Digest([1; 32]),
        &|d| d.count += 1,
        &|d| d.first += 1,
        &|d| d.epoch += 1,
    ];
    for change in changes {
        let code = refused(policy(&|t| {
            change(&mut t.tickets.as_mut().unwrap().dealings[0])
        }));
        assert_eq!(code.await, "POLICY");
    }
    let code = refused(policy(&|t| {
        let veilbourse_documents::Openers::Committee { nodes, .. } = &mut t.openers else {
            unreachable!()
        };
        nodes.swap(1, 2);
    }));
    assert_eq!(code.await, "COMMITTEE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tickets_of_a_smaller_k_are_not_taken() {
    // KEY-10, OPN-5: k too small would open the phase's noise, and with it the key.
    let mut other = World::numbered(0);
    other.dataset.manifest.message_log2 -= 1;
    let small = deal(&other, &QUORUM, 16);
    let mut t = terms(&worlds()[0], &small.dealing);
    let tickets = t.tickets.as_mut().unwrap();
    tickets.classes = vec![class(&other, "small", veilbourse_privacy::Mechanism::None)];
    let mut nodes = Nodes::new().await;
    announce(&nodes.server, &worlds()[0], &t, &small);
    nodes.start(0).await;
    let digest = small.digest();
    let answered = |m: &Market| !m.said(&digest).is_empty();
    nodes.server.until("answered", answered).await;
    let said = nodes.server.market().said(&digest);
    assert_eq!(said[0].1.as_deref(), Some("CLASS"));
    nodes.stop(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_dealer_without_the_datasets_key_is_found_before_anything_opens() {
    // KEY-9, TKT-4: somebody deals another's dataset with a key of its own.
    let mut other = World::numbered(0);
    other.secret = veilbourse_eval::SecretKey::generate(&mut rng(99));
    let false_dealing = deal(&other, &QUORUM, 16);
    let mut t = terms(&worlds()[0], &false_dealing.dealing);
    t.custodian = signer(STRANGER);
    let mut nodes = Nodes::new().await;
    announce(&nodes.server, &worlds()[0], &t, &false_dealing);
    for node in QUORUM {
        nodes.start(usize::from(node)).await;
    }
    let digest = false_dealing.digest();
    nodes
        .server
        .until("answered", |m| m.said(&digest).len() == 2)
        .await;
    for (_, code) in nodes.server.market().said(&digest) {
        assert_eq!(code.as_deref(), Some("FROZEN"));
    }
    // An order under it is refused, and nothing is counted.
    let mut case = t.proven(&worlds()[0]);
    named(&mut case, 77);
    nodes.grant(&[&case]);
    nodes
        .server
        .until("refused", |m| m.refused.len() == 2)
        .await;
    for (_, r) in &nodes.server.market().refused {
        assert_eq!(
            (r.refusal.body.code.as_str(), r.refusal.body.revealed),
            ("DEALING", false)
        );
    }
    for node in QUORUM {
        nodes.stop(usize::from(node)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_one_custodian_dealt_serves_no_other_ones_policy() {
    // KEY-9, DOC-14: the marketplace has announcement and sealed pieces of an
    // honest dealing. Under a key of its own it signs a policy that names the
    // dealing, with terms to its liking: the nodes would open the dataset under
    // these, and every ticket a second time.
    let mut nodes = ready(&[0]).await;
    let (before, digest) = (nodes.health(0).tickets, dealt(0).digest());
    let mut stolen = terms_of(0);
    stolen.custodian = signer(STRANGER);
    (stolen.listing, stolen.nonce) = (90, 90);
    stolen.quota_values = u64::MAX;
    {
        let mut market = nodes.server.market();
        market.dealings[0].policy = stolen.papers().policy;
        market.answers.clear();
    }
    let both = |m: &Market| m.said(&digest).len() >= 2;
    nodes.server.until("answered again", both).await;
    for (_, code) in nodes.server.market().said(&digest) {
        assert_eq!(code.as_deref(), Some("PIECE"));
    }
    let case = stolen.proven(&worlds()[0]);
    nodes.grant(&[&case]);
    let both = |m: &Market| m.refused.len() >= 2;
    nodes.server.until("refused", both).await;
    for (_, r) in &nodes.server.market().refused {
        assert_eq!(r.refusal.body.code, "DEALING");
        assert!(!r.refusal.body.revealed);
    }
    assert_eq!(nodes.health(0).tickets, before);
    for node in QUORUM {
        nodes.stop(usize::from(node)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_policy_that_is_replaced_while_a_node_waits_opens_nothing() {
    // KEY-6, KEY-11: the marketplace hands the other node its job when it likes.
    let mut nodes = ready(&[0]).await;
    let before = (nodes.health(0).log_head, nodes.health(0).tickets);
    let mut case = terms_of(0).proven(&worlds()[0]);
    named(&mut case, 94);
    nodes.grant_to(&[0], &[&case]);
    // It has passed its gate, counted, and waits for the other one.
    nodes.until(0, |h| h.log_head != before.0).await;
    let mut later = terms_of(0);
    later.policy_version += 1;
    later.quota_values = 0;
    let member = nodes.running[0].as_ref().unwrap();
    assert!(member.learn_policy(&later.papers().policy).unwrap());
    nodes.grant_to(&[1], &[&case]);
    let answered = |m: &Market| {
        let own = |n: &Key| *n == key_of(0);
        m.refused.iter().any(|(n, _)| own(n)) || m.delivered.iter().any(|(n, _)| own(n))
    };
    nodes.server.until("answered", answered).await;
    let refused = nodes.server.market().refused.clone();
    let refused = refused.iter().find(|(n, _)| *n == key_of(0));
    let (_, said) = refused.expect("a refusal, not an opening");
    let said = &said.refusal.body;
    assert_eq!((said.code.as_str(), said.revealed), ("POLICY_OLD", false));
    assert_eq!(nodes.health(0).tickets, before.1, "nothing was spent");
    assert!(nodes.server.market().delivered.is_empty());
    nodes.stop(0).await;
}

/// A marketplace that holds all its own keys and its whole database.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hostile_marketplace_gets_nothing_opened() {
    // KEY-2, KEY-8, KEY-11: it may forge quotes and grants; not a policy, an
    // order with its proof, or tickets.
    let mut nodes = ready(&[0]).await;
    let honest = terms_of(0).proven(&worlds()[0]);
    let mut attempts: Vec<(&str, Case)> = Vec::new();
    // A ciphertext of its own under an honest proof's envelope.
    let mut swapped = honest.parts.clone();
    swapped.ciphertexts[0][100] ^= 1;
    attempts.push(("PROOF", terms_of(0).with_parts(swapped.clone())));
    // The honest digests in the grant, other bytes at the object.
    let mut other = honest.clone();
    other.parts = swapped;
    attempts.push(("OUTPUT_DIGEST", other));
    // An order of its own for another program, with the honest proof.
    let mut own = terms_of(0);
    own.buyer = signer(STRANGER);
    own.nonce = 30;
    own.program.vectors[0].label = "another".into();
    attempts.push(("PROOF", own.with_parts(honest.parts.clone())));
    // A policy of its own.
    let mut forged = terms_of(0);
    forged.nonce = 31;
    forged.custodian = signer(STRANGER);
    forged.quota_values = u64::MAX;
    attempts.push(("DEALING", forged.with_parts(honest.parts.clone())));
    // The custodian's signature on other terms.
    let mut changed = honest.clone();
    changed.job.policy.body.quota_values += 1;
    attempts.push(("DOCUMENT", changed));
    // Another submission than granted.
    let mut sub = honest.clone();
    let mut body = sub.job.submission.body.clone();
    body.outputs = vec![SubmittedDigest {
        ciphertext: Digest([1; 32]),
        envelope: Digest([2; 32]),
    }];
    sub.job.submission = Signed::sign(body, &signer(POD)).unwrap();
    attempts.push(("DOCUMENT", sub));
    let before = nodes.health(0).tickets;
    for (n, (expected, case)) in attempts.iter_mut().enumerate() {
        // A grant of its own for each: a refusal ends a grant.
        let attempt = case;
        let mut grant = attempt.job.grant.body.clone();
        grant.expires -= 1 + n as u64;
        attempt.job.grant = Signed::sign(grant, &signer(MARKETPLACE)).unwrap();
        named(attempt, 130 + n as u8);
        let count = nodes.server.market().refused.len();
        nodes.grant(&[attempt]);
        nodes
            .server
            .until(expected, |m| m.refused.len() >= count + 2)
            .await;
        for (_, r) in &nodes.server.market().refused[count..] {
            assert_eq!(r.refusal.body.code, *expected, "{:?}", r.refusal.body);
            assert!(!r.refusal.body.revealed);
        }
    }
    assert_eq!(nodes.health(0).tickets, before);
    assert!(nodes.server.market().delivered.is_empty());
    // The honest order is opened after all.
    nodes.grant(&[&honest]);
    nodes
        .server
        .until("delivered", |m| delivered(m, &honest.order()).len() == 2)
        .await;
    let both = delivered(&nodes.server.market(), &honest.order());
    assert_eq!(value(0, &honest, &both), sum(0, &honest.terms.program));
    for node in QUORUM {
        nodes.stop(usize::from(node)).await;
    }
}
