//! What is given up, and what was reserved, by whole nodes (OPN-6, CST-6, KEY-11,
//! KEY-13): a member withholds its signature in one quorum after the other; nodes
//! stop between the stores of a joint order; a node is restored from an old copy
//! (QRM-9). The order is delivered, no ticket serves two sessions, and all members
//! count the same.
//!
//! Over 500 lines: six cases over the same tables and the same checks.

mod support;
mod withholding;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
    time::Duration,
};
use support::{committee::*, server::*, terms::*, *};
use veilbourse_core::digest::Digest;
use veilbourse_documents::{Key, Opener, api::Deliver};
use veilbourse_node::{Facts, Judged, Parts, Usable};
use veilbourse_protocol::binding::{Binding, OutputBinding};
use veilbourse_quorum::{QuorumError, deal::Dealt};
use veilbourse_ticket_store::{Folder, Store};
use withholding::Withholding;

const AB: [u8; 2] = [0, 1];
const AE: [u8; 2] = [0, 2];
const BE: [u8; 2] = [1, 2];
const QUORUMS: [[u8; 2]; 3] = [AB, AE, BE];
/// Tickets of a dealing, and how many its key's check takes.
const DEALT: u64 = 16;
const KEY: u64 = 8;

fn worlds() -> &'static [World; 3] {
    static WORLDS: OnceLock<[World; 3]> = OnceLock::new();
    WORLDS.get_or_init(|| [0, 1, 2].map(World::numbered))
}

/// What the custodian of a table deals to a quorum.
fn dealt(table: usize, quorum: [u8; 2]) -> &'static Dealt {
    static ALL: OnceLock<Vec<[Dealt; 3]>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let of = |w: &World| QUORUMS.map(|q| deal(w, &q, DEALT));
        worlds().iter().map(of).collect()
    });
    let at = QUORUMS.iter().position(|q| *q == quorum);
    &all[table][at.unwrap()]
}

fn custodian(table: usize) -> Key {
    key(&signer(70 + table as u8))
}

/// An order over a table, granted to a quorum.
fn terms_of(table: usize, quorum: [u8; 2], number: u32) -> Terms {
    let mut t = terms(&worlds()[table], &dealt(table, quorum).dealing);
    let tickets = t.tickets.as_mut().unwrap();
    tickets.dealings = QUORUMS.map(|q| listed(&dealt(table, q).dealing)).to_vec();
    t.listing = 40 + table as u8;
    t.custodian = signer(70 + table as u8);
    t.number = number;
    t
}

/// A joint order over the three tables, granted to a quorum; each nonce another.
fn joint(nonce: u8, quorum: [u8; 2], number: u32) -> Vec<(usize, Case)> {
    let mut all: Vec<(usize, Terms)> = (0..3).map(|i| (i, terms_of(i, quorum, number))).collect();
    for (i, t) in &mut all {
        t.nonce = nonce + *i as u8;
    }
    let quote = |t: &Terms| t.papers().quote.digest().unwrap();
    all.sort_by_key(|(_, t)| quote(t));
    let quotes: Vec<Digest> = all.iter().map(|(_, t)| quote(t)).collect();
    let cases = all.into_iter().zip(0u8..).map(|((i, mut t), n)| {
        t.joint = quotes.clone();
        let mut case = proven(i, &t);
        named(&mut case, nonce + n);
        (i, case)
    });
    cases.collect()
}

/// One order's outputs, whoever it is granted to.
fn proven(table: usize, t: &Terms) -> Case {
    static ALL: OnceLock<std::sync::Mutex<BTreeMap<Digest, Parts>>> = OnceLock::new();
    let order = t.papers().order.digest().unwrap();
    let mut all = ALL.get_or_init(Default::default).lock().unwrap();
    let parts = all
        .entry(order)
        .or_insert_with(|| t.proven(&worlds()[table]).parts);
    t.with_parts(parts.clone())
}

fn cases(all: &[(usize, Case)]) -> Vec<&Case> {
    all.iter().map(|(_, c)| c).collect()
}

/// All three nodes run, and have accepted what these tables' custodians dealt.
async fn ready(tables: &[usize]) -> Nodes {
    let mut nodes = Nodes::new().await;
    // One that is not there is not waited for long.
    nodes.patience = Duration::from_secs(2);
    for i in tables {
        for quorum in QUORUMS {
            let t = terms_of(*i, quorum, 0);
            announce(&nodes.server, &worlds()[*i], &t, dealt(*i, quorum));
        }
    }
    for node in 0..3 {
        nodes.start(node).await;
    }
    for i in tables {
        for quorum in QUORUMS {
            let digest = dealt(*i, quorum).digest();
            let accepted = |m: &Market| {
                let said = m.said(&digest);
                assert!(said.iter().all(|(_, code)| code.is_none()), "{said:?}");
                said.len() == 2
            };
            nodes.server.until("dealing accepted", accepted).await;
        }
    }
    nodes
}

/// In the place of node 2.
async fn withholding(nodes: &mut Nodes, tables: &[usize]) -> Withholding {
    let of = |i: &usize| (worlds()[*i].root, custodian(*i));
    let datasets: Vec<_> = tables.iter().map(of).collect();
    Withholding::new(nodes, 2, &datasets).await
}

fn own(node: u8) -> Key {
    key(&signer(SEEDS[usize::from(node)]))
}

/// The marketplace's newest grant takes the place of those before.
fn grant(nodes: &Nodes, to: &[u8], all: &[&Case]) {
    nodes.server.market().jobs.clear();
    nodes.grant_to(to, all);
}

/// What the members of a quorum delivered of an order under its grant.
fn delivered(m: &Market, quorum: [u8; 2], case: &Case) -> Vec<Deliver> {
    let of = |node: u8| {
        let mut all = m.delivered.iter().filter(|(n, _)| *n == own(node));
        let found = all.find(|(_, d)| {
            let mut orders = d.orders.iter().map(|o| &o.delivery.body);
            orders.any(|o| o.order == case.order() && o.grant == case.grant())
        });
        found.map(|(_, d)| d.clone())
    };
    quorum.into_iter().filter_map(of).collect()
}

/// Delivered by both, and the buyer finds what the tables say.
async fn bought(nodes: &Nodes, quorum: [u8; 2], all: &[(usize, Case)]) -> Vec<u64> {
    let first = &all[0].1;
    let both = |m: &Market| delivered(m, quorum, first).len() == 2;
    nodes.server.until("delivered", both).await;
    let both = delivered(&nodes.server.market(), quorum, first);
    let tables: Vec<_> = all.iter().map(|(i, _)| &worlds()[*i]).collect();
    let dealings = all.iter().map(|(i, _)| &dealt(*i, quorum).dealing);
    let dealings: Vec<_> = dealings.collect();
    let secret = first.terms.result_secret();
    let found = buyer(
        &tables,
        &dealings,
        &both.iter().collect::<Vec<_>>(),
        &secret,
    );
    let expected = all
        .iter()
        .map(|(i, c)| worlds()[*i].expected(&c.terms.program)[0][0]);
    assert_eq!(found, [expected.sum::<i64>()]);
    let opened = both[0].orders.iter().map(|o| o.opened.as_ref().unwrap());
    opened.map(|o| o.opening.body.first_ticket).collect()
}

fn store(nodes: &Nodes, node: usize, table: usize) -> Store<Folder> {
    nodes.store(node, &worlds()[table].root, &custodian(table))
}

/// Sessions of an order in a store: dealing, first ticket, and where it is; no
/// ticket of the store is in two sessions.
fn sessions(store: &Store<Folder>, order: &Digest) -> BTreeSet<(Digest, u64, &'static str)> {
    let mut spent = BTreeSet::new();
    let mut of_order = BTreeSet::new();
    for (_, s) in store.state().sessions() {
        let (first, end) = s.spent.tickets();
        for ticket in first..end {
            assert!(spent.insert((s.spent.dealing, ticket)), "spent twice");
        }
        if s.spent.order == *order && !s.key {
            of_order.insert((s.spent.dealing, first, s.stage.name()));
        }
    }
    of_order
}

/// All members of each quorum count the same, and so many are left.
fn agree(nodes: &Nodes, table: usize, left: &[([u8; 2], u64)]) {
    for (quorum, left) in left {
        let digest = dealt(table, *quorum).digest();
        for node in quorum {
            let store = store(nodes, usize::from(*node), table);
            let counts = store.counts();
            let count = counts.iter().find(|c| c.dealing == digest).unwrap();
            let found = (count.spent, count.remaining);
            assert_eq!(found, (DEALT - left, *left), "{quorum:?} at {node}");
            assert_eq!(store.next_ticket(&digest).unwrap(), DEALT - left);
        }
    }
}

async fn stop(nodes: &mut Nodes) {
    for node in 0..3 {
        nodes.stop(node).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_order_outlives_a_member_that_withholds_in_two_quorums() {
    // OPN-6, QRM-5, KEY-11, CST-6
    let mut nodes = ready(&[0]).await;
    let liar = withholding(&mut nodes, &[0]).await;
    let granted = |quorum, number| {
        let mut case = proven(0, &terms_of(0, quorum, number));
        named(&mut case, 80);
        case
    };
    let [first, second, third] = [granted(AE, 0), granted(BE, 1), granted(AB, 2)];
    assert!(first.order() == second.order() && first.order() == third.order());
    grant(&nodes, &[0], &[&first]);
    liar.opens(&[&first]).await;
    nodes.until(0, |h| h.withheld == 1).await;
    grant(&nodes, &[1], &[&second]);
    liar.opens(&[&second]).await;
    nodes.until(1, |h| h.withheld == 1).await;
    grant(&nodes, &AB, &[&third]);
    let all = [(0, third.clone())];
    assert_eq!(bought(&nodes, AB, &all).await, [KEY]);
    for node in [0, 1] {
        let health = nodes.health(node);
        assert_eq!((health.withheld, health.frozen), (0, 0));
        // Of two dealings each.
        assert_eq!(health.tickets, 2 * (DEALT - KEY - 1));
    }
    // It would finish now what it has signed: it is told, and gets nothing.
    for end in liar.finishes(&[&second]).await {
        let told = matches!(end, Err(QuorumError::Forgone { peer: 1 }));
        assert!(told, "{end:?}");
    }
    liar.close().await;
    // Earlier grants come again: what was delivered comes again, nothing else.
    for (node, case) in [(0, &first), (1, &second)] {
        let count = nodes.server.market().delivered.len();
        grant(&nodes, &[node], &[case]);
        let more = |m: &Market| m.delivered.len() > count;
        nodes.server.until("handed in again", more).await;
        let market = nodes.server.market();
        let (_, again) = market.delivered.last().unwrap();
        assert_eq!(again.orders[0].delivery.body.grant, third.grant());
    }
    assert!(nodes.server.market().refused.is_empty());
    stop(&mut nodes).await;
    let order = third.order();
    let [ab, ae, be] = QUORUMS.map(|q| dealt(0, q).digest());
    let expected = [
        [(ae, KEY, "forgone"), (ab, KEY, "released")],
        [(be, KEY, "forgone"), (ab, KEY, "released")],
        [(ae, KEY, "forgone"), (be, KEY, "signed")],
    ];
    for (node, expected) in expected.into_iter().enumerate() {
        let found = sessions(&store(&nodes, node, 0), &order);
        assert_eq!(found, BTreeSet::from(expected), "node {node}");
    }
    let left = QUORUMS.map(|q| (q, DEALT - KEY - 1));
    agree(&nodes, 0, &left);
    // Values are counted once (KEY-11).
    for node in [0, 1] {
        let scope = veilbourse_node::dealt_by(&worlds()[0].root, &custodian(0));
        let node = nodes.key_node(node);
        assert_eq!(node.state().revealed(&scope).values, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_withheld_signature_does_not_keep_a_quorum_from_new_keys() {
    // QRM-8, CST-9, OPN-6: node 0 has signed, node 2 has not; the order is over, and
    // the custodian deals anew to both.
    let mut nodes = ready(&[0]).await;
    let liar = withholding(&mut nodes, &[0]).await;
    let mut case = proven(0, &terms_of(0, AE, 0));
    named(&mut case, 80);
    grant(&nodes, &[0], &[&case]);
    liar.opens(&[&case]).await;
    nodes.until(0, |h| h.withheld == 1).await;
    nodes.server.market().jobs.clear();
    liar.close().await;
    nodes.start(2).await;
    let anew = deal_epoch(&worlds()[0], &AE, 1, DEALT);
    let mut t = terms_of(0, AE, 0);
    t.policy_version += 1;
    t.tickets
        .as_mut()
        .unwrap()
        .dealings
        .push(listed(&anew.dealing));
    announce(&nodes.server, &worlds()[0], &t, &anew);
    let accepted = |m: &Market| m.said(&anew.digest()).len() == 2;
    nodes.server.until("accepted by both", accepted).await;
    let said = nodes.server.market().said(&anew.digest());
    assert!(said.iter().all(|(_, code)| code.is_none()), "{said:?}");
    assert_eq!(nodes.health(0).withheld, 0);
    stop(&mut nodes).await;
    let found = sessions(&store(&nodes, 0, 0), &case.order());
    let old = dealt(0, AE).digest();
    assert_eq!(found, BTreeSet::from([(old, KEY, "forgone")]));
}

/// What a node that does not run would note before it opens these jobs.
fn begins(nodes: &Nodes, node: usize, all: &[(usize, Case)], signed: Option<&[(usize, Case)]>) {
    let jobs: Vec<_> = all.iter().map(|(_, c)| c.job.clone()).collect();
    let facts = all.iter().zip(0..).map(|((table, case), at): (_, usize)| {
        let Opener::Committee { quorum, .. } = &case.job.grant.body.opener else {
            panic!("no committee's")
        };
        let dealing = dealt(*table, [quorum[0], quorum[1]]).dealing.clone();
        Facts {
            signed: signed.map(|s| s[at].1.grant()),
            tickets: Some(Usable {
                dealing,
                left: DEALT - KEY,
            }),
            ..Facts::default()
        }
    });
    let facts: Vec<_> = facts.collect();
    let mut node = nodes.key_node(node);
    let judged = node.judge(&jobs, &facts, NOW, &mut rng(1)).unwrap();
    let Judged::Admitted(admitted) = judged else {
        panic!("{judged:?}")
    };
    node.spend(&admitted).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crash_between_the_forgoing_of_a_joint_orders_sessions_is_made_good() {
    // KEY-13, OPN-6, OPN-9
    let tables = [0, 1, 2];
    let mut nodes = ready(&tables).await;
    let liar = withholding(&mut nodes, &tables).await;
    let (first, second) = (joint(100, AE, 0), joint(100, AB, 1));
    grant(&nodes, &[0], &cases(&first));
    liar.opens(&cases(&first)).await;
    nodes.until(0, |h| h.withheld == 3).await;
    // Node 0 begins under the later grant, gives up one of three, and crashes.
    nodes.server.market().jobs.clear();
    nodes.stop(0).await;
    begins(&nodes, 0, &second, Some(&first));
    {
        let (table, case) = &first[0];
        let mut store = store(&nodes, 0, *table);
        let owed: Vec<_> = store.owed(&case.order()).into_iter().cloned().collect();
        assert_eq!(owed.len(), 1);
        store.forgo(&owed[0].spent.session).unwrap();
    }
    nodes.start(0).await;
    assert_eq!(nodes.health(0).withheld, 2);
    grant(&nodes, &AB, &cases(&second));
    assert_eq!(bought(&nodes, AB, &second).await, [KEY; 3]);
    assert_eq!(nodes.health(0).withheld, 0);
    liar.close().await;
    for (_, case) in &first {
        let none = delivered(&nodes.server.market(), AE, case).is_empty();
        assert!(none, "nothing of the earlier one");
    }
    stop(&mut nodes).await;
    for (table, case) in &second {
        let [ab, ae, _] = QUORUMS.map(|q| dealt(*table, q).digest());
        let found = sessions(&store(&nodes, 0, *table), &case.order());
        let expected = [(ae, KEY, "forgone"), (ab, KEY, "released")];
        assert_eq!(found, BTreeSet::from(expected));
        let found = sessions(&store(&nodes, 1, *table), &case.order());
        assert_eq!(found, BTreeSet::from([(ab, KEY, "released")]));
        let left = [
            (AB, DEALT - KEY - 1),
            (AE, DEALT - KEY - 1),
            (BE, DEALT - KEY),
        ];
        agree(&nodes, *table, &left);
    }
}

/// The session that an order of one value begins with at a dealing's next ticket.
fn binding(table: usize, case: &Case, store: &Store<Folder>) -> Binding {
    let grant = &case.job.grant.body;
    let Opener::Committee { quorum, dealing } = &grant.opener else {
        panic!("no committee's")
    };
    let announced = &dealt(table, [quorum[0], quorum[1]]).dealing;
    Binding {
        dataset: announced.dataset,
        order: case.order(),
        grant: case.grant(),
        policy: grant.policy,
        quorum: quorum.clone(),
        dealing: *dealing,
        class: announced.class.digest(),
        attempt: store.least_attempt(&case.order(), announced.quorum),
        outputs: vec![OutputBinding {
            output: 0,
            ciphertext: grant.outputs[0].ciphertext,
            first_ticket: store.next_ticket(dealing).unwrap(),
            values: 1,
        }],
    }
}

/// Two nodes that do not run, as far as a session of theirs had come: they show
/// each other what they hold (CST-11), and the first `spending` of them spend.
fn crashed(nodes: &Nodes, table: usize, case: &Case, spending: usize) {
    let mut stores = AB.map(|n| store(nodes, usize::from(n), table));
    let held = [0, 1].map(|n: usize| stores[n].held().unwrap());
    for n in [0usize, 1] {
        stores[n].recall(AB[1 - n], &held[1 - n]).unwrap();
    }
    for n in [0usize, 1] {
        let signing = signer(SEEDS[1 - n]);
        let theirs = stores[1 - n].statement(AB[n], &signing).unwrap();
        stores[n].meet(AB[1 - n], &theirs).unwrap();
    }
    let binding = binding(table, case, &stores[0]);
    for store in &mut stores[..spending] {
        store.spend(&binding).unwrap();
    }
}

/// Of nodes 0 and 1, how many had spent of each table when both crashed.
const SPENDING: [usize; 3] = [1, 2, 0];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crash_between_a_joint_orders_reservations_costs_tickets_and_no_order() {
    // KEY-13, CST-6, CST-7, CST-11
    let tables = [0, 1, 2];
    let mut nodes = ready(&tables).await;
    let (first, second) = (joint(110, AB, 0), joint(110, AE, 1));
    for node in AB {
        nodes.stop(usize::from(node)).await;
    }
    for node in AB {
        begins(&nodes, usize::from(node), &first, None);
    }
    for (table, case) in &first {
        crashed(&nodes, *table, case, SPENDING[*table]);
    }
    for node in AB {
        nodes.start(usize::from(node)).await;
    }
    for node in [0, 1, 2] {
        assert_eq!(nodes.health(node).frozen, 0);
    }
    // Another quorum finishes it.
    grant(&nodes, &AE, &cases(&second));
    assert_eq!(bought(&nodes, AE, &second).await, [KEY; 3]);
    // What was reserved is passed over by all, also where one alone had spent.
    let other = joint(120, AB, 0);
    grant(&nodes, &AB, &cases(&other));
    let expected = other
        .iter()
        .map(|(table, _)| KEY + u64::from(SPENDING[*table] > 0));
    let expected: Vec<u64> = expected.collect();
    assert_eq!(bought(&nodes, AB, &other).await, expected);
    stop(&mut nodes).await;
    for ((table, case), (_, after)) in first.iter().zip(&other) {
        let [ab, ae, _] = QUORUMS.map(|q| dealt(*table, q).digest());
        let skipped = u64::from(SPENDING[*table] > 0);
        for node in [0, 1] {
            let store = store(&nodes, node, *table);
            let mut expected = BTreeSet::new();
            if node < SPENDING[*table] {
                expected.insert((ab, KEY, "abandoned"));
            }
            if node == 0 {
                expected.insert((ae, KEY, "released"));
            }
            assert_eq!(sessions(&store, &case.order()), expected, "{node}");
            let found = sessions(&store, &after.order());
            assert_eq!(found, BTreeSet::from([(ab, KEY + skipped, "released")]));
        }
        let left = DEALT - KEY - 1;
        agree(
            &nodes,
            *table,
            &[(AB, left - skipped), (AE, left), (BE, left + 1)],
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crash_between_the_releases_of_a_joint_orders_sessions_ends_with_their_quorum() {
    // KEY-11, KEY-13, QRM-5
    let tables = [0, 1, 2];
    let mut nodes = ready(&tables).await;
    let (first, second) = (joint(130, AB, 0), joint(130, AE, 1));
    nodes.server.market().broken = true;
    grant(&nodes, &AB, &cases(&first));
    for node in AB {
        let node = usize::from(node);
        nodes.until(node, |h| h.undelivered == 1).await;
    }
    // Node 0 noted the release of the first, and of no other; nothing had left.
    nodes.stop(0).await;
    cut(&nodes.log(0));
    for (table, case) in &first[1..] {
        nodes.cut_store(0, &worlds()[*table].root, &custodian(*table));
        let dealing = dealt(*table, AB).digest();
        let found = sessions(&store(&nodes, 0, *table), &case.order());
        assert_eq!(found, BTreeSet::from([(dealing, KEY, "signed")]));
    }
    nodes.server.market().jobs.clear();
    nodes.start(0).await;
    assert_eq!(nodes.health(0).withheld, 2);
    // One of them may be at the buyer's: no other quorum opens any.
    nodes.server.market().broken = false;
    grant(&nodes, &AE, &cases(&second));
    let refused = |m: &Market| m.refused.iter().filter(|(n, _)| *n == own(0)).count() == 3;
    nodes.server.until("refused", refused).await;
    for (_, r) in nodes
        .server
        .market()
        .refused
        .iter()
        .filter(|(n, _)| *n == own(0))
    {
        let body = &r.refusal.body;
        assert_eq!(
            (body.code.as_str(), body.revealed),
            ("SECOND_OPENING", true)
        );
    }
    // Theirs finishes it.
    grant(&nodes, &AB, &cases(&first));
    assert_eq!(bought(&nodes, AB, &first).await, [KEY; 3]);
    stop(&mut nodes).await;
    for (table, case) in &first {
        let dealing = dealt(*table, AB).digest();
        for node in [0, 1] {
            let found = sessions(&store(&nodes, node, *table), &case.order());
            assert_eq!(found, BTreeSet::from([(dealing, KEY, "released")]));
        }
        let left = [(AB, DEALT - KEY - 1), (AE, DEALT - KEY), (BE, DEALT - KEY)];
        agree(&nodes, *table, &left);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_copy_is_found_out_at_its_start() {
    // QRM-9, CST-11: before any order asks for it.
    let mut nodes = ready(&[0]).await;
    let mut nonce = 90;
    let mut order = || {
        nonce += 1;
        let mut t = terms_of(0, AB, 0);
        t.nonce = nonce;
        let mut case = proven(0, &t);
        named(&mut case, nonce);
        vec![(0, case)]
    };
    let first = order();
    grant(&nodes, &AB, &cases(&first));
    bought(&nodes, AB, &first).await;
    nodes.stop(1).await;
    let old = nodes.copy(1);
    nodes.start(1).await;
    // The statement that the second begins with is as old as the copy; the third's
    // is not.
    for _ in 0..2 {
        let later = order();
        grant(&nodes, &AB, &cases(&later));
        bought(&nodes, AB, &later).await;
    }
    nodes.stop(1).await;
    nodes.restore(1, &old);
    nodes.server.market().jobs.clear();
    nodes.start(1).await;
    nodes.until(1, |h| h.tickets == 0).await;
    stop(&mut nodes).await;
    // Every share that the copy brought back is destroyed; the others keep theirs.
    let copy = store(&nodes, 1, 0);
    assert!(copy.counts().iter().all(|c| c.remaining == 0));
    let other = store(&nodes, 0, 0);
    assert!(other.counts().iter().any(|c| c.remaining > 0));
}
