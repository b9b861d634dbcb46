//! Committee custody on the real databases: DOC-14, ORD-7, SET-3, SET-7, SET-8,
//! KEY-10, KEY-11.
//!
//! Over 500 lines: the cases run on two databases over one market.

mod common;

use common::*;
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use veilbourse_documents::Key;
use veilbourse_domain::{
    Digest, DomainError,
    access::MachineKind,
    id::{ListingId, MachineId, OrderId, PublicKey},
    job::LEASE_MILLIS,
    ledger::LedgerAccount,
    listing::{Listing, ListingState, ListingStep},
    order::{Granted, Order, OrderState, RefundReason},
    ports::{Dealings, Identities, LedgerPort, Listings, Orders},
    records::{
        DealingPiece, Decision, DocumentKind, Machine, NewGrant, OpeningState, QuorumDelivery,
        StoredQuote,
    },
    terms::{Opener, Openers, PolicyTerms, Tickets},
    tickets::{NodeAnswer, count},
};
use veilbourse_store::SqlStore;

const NODES: [u8; 3] = [60, 61, 62];
const QUORUMS: [[u8; 2]; 3] = [[0, 1], [0, 2], [1, 2]];

fn key(node: u8) -> PublicKey {
    PublicKey([NODES[usize::from(node)]; 32])
}
fn machine(node: u8) -> MachineId {
    MachineId::new(3, [NODES[usize::from(node)]; 10])
}
fn committee() -> Openers {
    Openers::Committee {
        nodes: NODES.map(|n| Key([n; 32])).to_vec(),
        threshold: 2,
    }
}
fn dealing(quorum: usize) -> Digest {
    Digest([50 + u8::try_from(quorum).expect("few"); 32])
}

/// 20 tickets for each quorum, of one class without noise.
fn tickets() -> Tickets {
    let text = |dealings: &str| {
        format!(
            r#"{{"classes":[{{"name":"exact","k":24,"sensitivity":"10","mechanism":{{"law":"none"}},
                "offered":true}}],"dealings":[{dealings}],"rho_limit_units":"0"}}"#
        )
    };
    let none: Tickets = serde_json::from_str(&text("")).expect("parses");
    let class = none.classes[0].class().expect("a class").digest();
    let one = |q: usize| {
        format!(
            r#"{{"digest":"{}","quorum":{:?},"epoch":0,"class":"{class}","first":"0","count":"20","root":"{}"}}"#,
            dealing(q),
            QUORUMS[q],
            Digest([9; 32])
        )
    };
    let all: Vec<_> = (0..3).map(one).collect();
    serde_json::from_str(&text(&all.join(","))).expect("parses")
}
fn class() -> Digest {
    tickets().classes[0].class().expect("a class").digest()
}
fn dealt(version: u32) -> PolicyTerms {
    PolicyTerms {
        openers: committee(),
        tickets: Some(tickets()),
        quota_values: 1_000,
        quota_bits: 1_000_000,
        ..policy(version)
    }
}

/// A market whose listing is in committee custody under version 2, with all
/// dealings announced and accepted.
async fn place_of(url: &str) -> SqlStore {
    let s = market(url, 20 * PRICE).await;
    for n in 0..3u8 {
        let m = Machine {
            id: machine(n),
            kind: MachineKind::Node,
            operator: account(OPERATOR),
            name: format!("node {n}"),
            signing_key: key(n),
            registration: "{}".into(),
            decision: Decision::Pending,
            reason: String::new(),
            created_at: 1,
        };
        s.register_machine(&m, 1).await.expect("registered");
        let by = account(ADMIN);
        s.decide_machine(m.id, by, true, "ok", 2).await.expect("ok");
    }
    s.update_policy(listing_id(), dealt(2), signed("policy", 2), "a", 3)
        .await
        .expect("DOC-3");
    for (q, quorum) in QUORUMS.into_iter().enumerate() {
        s.announce(listing_id(), dealing(q), &[1, 2, 3], 3)
            .await
            .expect("announced");
        for node in quorum {
            accept(&s, node, q).await.expect("accepted");
        }
    }
    s
}

fn said(node: u8, accepted: bool) -> NodeAnswer {
    NodeAnswer {
        node: key(node),
        accepted,
        code: if accepted { "" } else { "FROZEN" }.into(),
        reason: String::new(),
    }
}

async fn accept(s: &SqlStore, node: u8, q: usize) -> Result<(), DomainError> {
    let tag = format!("accept {node}");
    let text = signed(&tag, u8::try_from(q).expect("few"));
    s.answer_dealing(listing_id(), dealing(q), said(node, true), text, 4)
        .await
}

fn order_of(n: u8) -> veilbourse_domain::records::PlaceOrder {
    let mut p = placing(n);
    p.order.terms.openers = committee();
    p.order.terms.ticket_class = Some(class());
    p.order.terms.policy_version = 2;
    p
}

/// An order that waits for a quorum.
async fn verified(s: &SqlStore, n: u8) -> Order {
    s.place_order(order_of(n), 100).await.expect("placed");
    for w in ["lease", "put", "hand in", "verify"] {
        step(s, n, w, 100).await.expect(w);
    }
    s.order(placing(n).order.id).await.expect("there")
}

fn grant_of(o: &Order, number: u32, q: usize) -> NewGrant {
    let tag = format!("grant {} {number}", o.id);
    let document = signed(&tag, 0);
    NewGrant {
        order: o.id,
        granted: Granted {
            grant: document.digest,
            number,
            opener: Opener::Committee {
                quorum: QUORUMS[q].to_vec(),
                dealing: dealing(q),
            },
            expires: 1_000 + 1_000 * u64::from(number),
            over: None,
        },
        nodes: QUORUMS[q].map(key).to_vec(),
        signed: document,
    }
}

async fn grant(s: &SqlStore, o: &Order, number: u32, q: usize) -> Result<Order, DomainError> {
    let done = s.grant_quorum(vec![grant_of(o, number, q)], 200).await?;
    Ok(done[0].clone())
}

fn delivery(o: OrderId, number: u32, node: u8, masked: &[u8]) -> QuorumDelivery {
    QuorumDelivery {
        order: o,
        number,
        opening: signed(&format!("opening {o} {number} {node}"), 0),
        said: signed(&format!("said {o} {number}"), 0).digest,
        next: 4 * (u64::from(number) + 1),
        masked: masked.to_vec(),
        delivery: signed(&format!("delivery {o} {number} {node}"), 0),
    }
}

async fn deliver(
    s: &SqlStore,
    o: OrderId,
    number: u32,
    node: u8,
    now: u64,
) -> Result<Order, DomainError> {
    let d = vec![delivery(o, number, node, &[7; 9])];
    let done = s.deliver_quorum(key(node), d, vec![node; 5], now).await?;
    Ok(done[0].clone())
}

async fn refuse(
    s: &SqlStore,
    o: OrderId,
    number: u32,
    node: u8,
    revealed: bool,
) -> Result<Order, DomainError> {
    let text = signed(&format!("no {o} {number} {node}"), 0);
    s.refuse_quorum(o, number, key(node), text, "FROZEN: x", revealed, 300)
        .await?;
    s.order(o).await
}

async fn paid(s: &SqlStore) -> i64 {
    let user = LedgerAccount::User(account(BUYER));
    20 * PRICE - s.balance(user).await.expect("balance").posted
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quorum_opens() {
    // SET-3, SET-7: paid when all of its nodes have delivered; a crash between
    // the two changes nothing.
    for place in Place::each("quorum_opens").await {
        let s = place_of(&place.url).await;
        let o = verified(&s, 1).await;
        let waiting = s.ungranted(None, 9).await.expect("listed");
        assert_eq!(waiting, std::slice::from_ref(&o));
        assert!(s.settling(9).await.expect("listed").is_empty());
        assert_eq!(
            s.masked(o.id).await,
            Err(DomainError::NotFound { what: "result" })
        );
        let o = grant(&s, &o, 0, 0).await.expect("granted");
        invariants(&s).await;
        // KEY-1: each node of the quorum has a lease of its own, nobody else.
        for (node, mine) in [(0, true), (1, true), (2, false)] {
            for (now, again) in [(210, true), (211, false), (211 + LEASE_MILLIS, true)] {
                let found = s.lease_quorum(machine(node), key(node), now).await;
                let found = found.expect("asked").map(|all| all[0].id);
                assert_eq!(found, (mine && again).then_some(o.id), "{node} {now}");
            }
        }
        let first = deliver(&s, o.id, 0, 0, 300).await.expect("taken");
        assert_eq!((first.state.name(), paid(&s).await), ("opening", 0));
        // After a restart it delivers the same again; another one is refused.
        let s = SqlStore::connect(&place.url, 2).await.expect("again");
        deliver(&s, o.id, 0, 0, 300).await.expect("the same");
        let mut other = delivery(o.id, 0, 0, &[7; 9]);
        other.delivery = signed("another", 0);
        let other = s.deliver_quorum(key(0), vec![other], vec![], 301).await;
        let decided = DomainError::AlreadyDecided { what: "delivery" };
        assert_eq!(other, Err(decided));
        assert!(s.masked(o.id).await.is_err(), "not before it is paid");
        // Both must have opened the same.
        let differs = |what| Err(DomainError::OpeningDiffers { what });
        let bad = delivery(o.id, 0, 1, &[8; 9]);
        let bad = s.deliver_quorum(key(1), vec![bad], vec![], 301).await;
        assert_eq!(bad, differs("masked result"));
        let mut bad = delivery(o.id, 0, 1, &[7; 9]);
        bad.said = Digest([1; 32]);
        let bad = s.deliver_quorum(key(1), vec![bad], vec![], 301).await;
        assert_eq!(bad, differs("opening"));
        let stranger = deliver(&s, o.id, 0, 2, 301).await;
        assert_eq!(stranger, Err(DomainError::GrantUnknown));
        let done = deliver(&s, o.id, 0, 1, 302).await.expect("the second");
        assert_eq!((done.state.name(), paid(&s).await), ("released", PRICE));
        deliver(&s, o.id, 0, 1, 400).await.expect("answer lost");
        invariants(&s).await;
        assert_eq!(s.masked(o.id).await, Ok(vec![7; 9]));
        assert_eq!(s.sealed_masks(o.id, 1).await, Ok(vec![1; 5]));
        assert!(s.sealed_masks(o.id, 2).await.is_err());
        let parts = s.openings(o.id).await.expect("listed");
        assert!(parts.iter().all(|p| p.state == OpeningState::Delivered));
        // ORD-7: what it spent is counted.
        let facts = s.ticket_facts(listing_id()).await.expect("facts");
        let n = count(&dealt(2), &facts, &class());
        assert_eq!((n.dealt, n.spent, n.left), (60, 4, 56));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signed_and_did_not_deliver_may_open_in_another_quorum() {
    // SET-7, KEY-11: a node that has signed and not released says "revealed", and
    // gives that up for a later grant. Only who has delivered opens in no other.
    for place in Place::each("signed_only").await {
        let s = place_of(&place.url).await;
        let o = verified(&s, 1).await;
        let o = grant(&s, &o, 0, 0).await.expect("granted");
        // Both signed one order of a joint one, or their quorum froze since.
        for node in [0, 1] {
            let said = refuse(&s, o.id, 0, node, true).await.expect("taken");
            assert_eq!((said.state.name(), paid(&s).await), ("verified", 0));
        }
        let o = s.order(o.id).await.expect("there");
        let o = grant(&s, &o, 1, 1).await.expect("nodes 0 and 2");
        deliver(&s, o.id, 1, 0, 400).await.expect("one of two");
        let done = deliver(&s, o.id, 1, 2, 401).await.expect("both");
        assert_eq!((done.state.name(), paid(&s).await), ("released", PRICE));
        invariants(&s).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_quorum_is_granted() {
    // SET-7: after a refusal, after expiry; deliveries for an earlier grant
    // count; KEY-11: a node that has opened opens in no other quorum.
    for place in Place::each("next_quorum").await {
        let s = place_of(&place.url).await;
        let o = verified(&s, 1).await;
        let o = grant(&s, &o, 0, 0).await.expect("granted");
        let back = refuse(&s, o.id, 0, 1, false).await.expect("taken");
        assert_eq!((back.state.name(), paid(&s).await), ("verified", 0));
        let again = refuse(&s, o.id, 0, 1, false).await.expect("answer lost");
        assert_eq!(again, back);
        invariants(&s).await;
        // The other one no longer gets the job.
        assert_eq!(s.lease_quorum(machine(0), key(0), 310).await, Ok(None));
        let twice = grant(&s, &back, 1, 0).await;
        assert_eq!(twice, Err(DomainError::Conflict { what: "tickets" }));
        let o = grant(&s, &back, 1, 1).await.expect("another quorum");
        assert_eq!(
            s.document(o.id, DocumentKind::Grant).await,
            Ok(grant_of(&o, 1, 1).signed)
        );
        // It expires; node 0 has delivered for it by then.
        deliver(&s, o.id, 1, 0, 1_500).await.expect("one of two");
        let revealed = refuse(&s, o.id, 1, 0, true).await.expect("says so");
        assert_eq!(revealed.state.name(), "opening");
        let contrary = refuse(&s, o.id, 1, 0, false).await;
        assert!(matches!(contrary, Err(DomainError::AlreadyDecided { .. })));
        let swept = s.sweep(2_000, 9).await.expect("swept");
        assert_eq!(swept[0].state.name(), "verified");
        let o = grant(&s, &swept[0], 2, 2).await;
        let o = o.expect("nodes 1 and 2 have not opened it");
        // The other node of the earlier grant delivers after all: it counts.
        let done = deliver(&s, o.id, 1, 2, 2_500).await.expect("late");
        let OrderState::Released(r) = &done.state else {
            panic!("{}", done.state.name())
        };
        assert_eq!((r.number, r.grants, paid(&s).await), (1, 3, PRICE));
        assert_eq!(
            s.document(o.id, DocumentKind::Grant).await,
            Ok(grant_of(&o, 1, 1).signed)
        );
        let after = deliver(&s, o.id, 2, 1, 2_600).await;
        assert!(matches!(after, Err(DomainError::OrderState { .. })));
        invariants(&s).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn late_is_refused_and_refunded() {
    // SET-5, SET-7
    for place in Place::each("late").await {
        let s = place_of(&place.url).await;
        let o = verified(&s, 1).await;
        let o = grant(&s, &o, 0, 0).await.expect("granted");
        // Node 0 has opened it: no quorum with it remains.
        deliver(&s, o.id, 0, 0, 300).await.expect("one of two");
        let back = refuse(&s, o.id, 0, 1, true).await.expect("taken");
        let o = grant(&s, &back, 1, 2).await.expect("nodes 1 and 2");
        let stuck = refuse(&s, o.id, 1, 1, true).await.expect("taken");
        assert_eq!(stuck.state.name(), "opening", "no quorum remains");
        assert!(s.sweep(5_000, 9).await.expect("swept").is_empty());
        let late = deliver(&s, o.id, 0, 1, DEADLINE).await;
        assert!(matches!(late, Err(DomainError::AlreadyDecided { .. })));
        let other = verified(&s, 2).await;
        grant(&s, &other, 0, 2).await.expect("granted");
        let late = deliver(&s, other.id, 0, 1, DEADLINE).await;
        assert!(matches!(late, Err(DomainError::DeadlinePassed { .. })));
        assert_eq!(s.sweep(DEADLINE, 9).await.expect("swept").len(), 2);
        for id in [o.id, other.id] {
            let OrderState::Refunded(r) = s.order(id).await.expect("there").state else {
                panic!("not refunded")
            };
            assert!(matches!(r.reason, RefundReason::Undeliverable { .. }));
        }
        let late = deliver(&s, other.id, 0, 1, DEADLINE + 1).await;
        assert!(matches!(late, Err(DomainError::OrderState { .. })));
        assert_eq!(paid(&s).await, 0);
        invariants(&s).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_are_not_oversubscribed() {
    // ORD-7: 20 a quorum, 4 an order: five orders each quorum.
    for place in Place::each("oversubscribed").await {
        let s = place_of(&place.url).await;
        let mut orders = Vec::new();
        for n in 1..=15 {
            orders.push(s.place_order(order_of(n), 100).await.expect("room"));
        }
        let (largest, needed) = (0, 4);
        let full = Err(DomainError::TicketsUsedUp { largest, needed });
        assert_eq!(s.place_order(order_of(16), 101).await, full);
        // A node refuses a dealing it had accepted: its tickets are gone, and
        // it does not take that back.
        let text = signed("refused", 0);
        s.answer_dealing(listing_id(), dealing(0), said(0, false), text, 5)
            .await
            .expect("frozen");
        let decided = Err(DomainError::AlreadyDecided { what: "dealing" });
        assert_eq!(
            s.answer_dealing(listing_id(), dealing(0), said(0, true), signed("x", 1), 6)
                .await,
            decided
        );
        s.sweep(DEADLINE, 99).await.expect("swept");
        // How far nodes say that they have spent; a stranger's word is none.
        s.tickets_spent(key(2), &[(dealing(1), 18), (dealing(0), 20)])
            .await
            .expect("told");
        s.tickets_spent(key(0), &[(dealing(1), 10)])
            .await
            .expect("the greatest counts");
        let facts = s.ticket_facts(listing_id()).await.expect("facts");
        let n = count(&dealt(2), &facts, &class());
        assert_eq!((n.spent, n.left, n.largest), (18, 22, 20));
        invariants(&s).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_and_answers() {
    // DOC-14, KEY-10
    for place in Place::each("pieces").await {
        let s = place_of(&place.url).await;
        let l = listing_id();
        let piece = |q: usize, piece: u32, content: u8| DealingPiece {
            dealing: dealing(q),
            party: 1,
            part: "offer".into(),
            piece,
            length: 100_000,
            digest: Digest([content; 32]),
        };
        let limit = 300_000;
        let first = piece(0, 0, 1);
        assert_eq!(s.piece_wanted(l, &first, limit).await, Ok(true));
        s.add_piece(l, &first, limit).await.expect("stored");
        assert_eq!(s.piece_wanted(l, &first, limit).await, Ok(false));
        s.add_piece(l, &first, limit).await.expect("the same again");
        let other = s.add_piece(l, &piece(0, 0, 2), limit).await;
        let what = "piece of the dealing";
        assert_eq!(other, Err(DomainError::Conflict { what }));
        s.add_piece(l, &piece(0, 2, 3), limit).await.expect("a gap");
        let beyond = s.add_piece(l, &piece(1, 0, 4), limit).await;
        let value = 300_009; // three announcements of three bytes
        assert_eq!(beyond, Err(DomainError::DealingBytes { limit, value }));
        let held = s.dealings_held(l).await.expect("listed");
        assert_eq!((held.len(), held[0].announced), (3, true));
        assert_eq!(held[0].parts[0].pieces, 1);
        s.add_piece(l, &piece(0, 1, 5), 1 << 30)
            .await
            .expect("fills it");
        let held = s.dealings_held(l).await.expect("listed");
        assert_eq!(held[0].parts[0].pieces, 3);
        assert_eq!(s.piece(l, dealing(0), 1, "offer", 0).await, Ok(first));
        // Whose it is: by the policy's quorum.
        assert_eq!(s.dealing_of(key(1), dealing(0)).await, Ok((l, 1)));
        assert_eq!(s.dealing_of(key(2), dealing(1)).await, Ok((l, 1)));
        let missing = DomainError::NotFound { what: "dealing" };
        assert_eq!(s.dealing_of(key(2), dealing(0)).await, Err(missing.clone()));
        let stranger = said(2, true);
        let told = s.answer_dealing(l, dealing(0), stranger, signed("x", 1), 5);
        assert_eq!(told.await, Err(missing));
        for turn in [0, 1, u64::MAX] {
            let asked = s.dealings_asked(key(0), turn).await;
            assert_eq!(asked, Ok(vec![]), "all answered");
        }
    }
}

/// A published listing of another custodian, as old as its number says, whose
/// policy names the same dealings for the same committee.
async fn other_listing(s: &SqlStore, n: u64, dataset: Digest) -> ListingId {
    let id = ListingId::new(n, [n as u8; 10]);
    let l = Listing {
        id,
        owner: account(OPERATOR),
        title: format!("other {n}"),
        description: String::new(),
        dataset,
        created_at: 1,
        updated_at: 1,
        policy: None,
        state: ListingState::Draft,
    };
    s.create_listing(&l, "{}", &[], 1).await.expect("made");
    let mut terms = dealt(1);
    (terms.listing, terms.dataset) = (id, dataset);
    let p = Some((terms, signed("other policy", n as u8)));
    let actor = "account:other";
    s.step_listing(id, ListingStep::Submit, p, actor, 2)
        .await
        .expect("submitted");
    let by = account(ADMIN);
    s.step_listing(id, ListingStep::Approve { by }, None, actor, 3)
        .await
        .expect("published");
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn no_listing_stands_between_anothers_dealing_and_its_nodes() {
    // KEY-10: a custodian with an older listing names another's dealings in its
    // own policy, and keeps a place for them.
    for place in Place::each("between").await {
        let s = place_of(&place.url).await;
        let older = other_listing(&s, 0, Digest([6; 32])).await;
        assert!(older < listing_id());
        let piece = DealingPiece {
            dealing: dealing(0),
            party: 0,
            part: "offer".into(),
            piece: 0,
            length: 9,
            digest: Digest([1; 32]),
        };
        s.add_piece(older, &piece, 1 << 20).await.expect("stored");
        let own = Ok((listing_id(), 0));
        assert_eq!(s.dealing_of(key(0), dealing(0)).await, own);
        // A copy of the announcement, under a listing of the same dataset.
        let what = "dealing";
        assert_eq!(
            s.announce(older, dealing(0), &[1, 2, 3], 5).await,
            Err(DomainError::Conflict { what })
        );
        assert_eq!(s.dealing_of(key(0), dealing(0)).await, own);
        // The nodes' counts are this dealing's.
        s.tickets_spent(key(0), &[(dealing(0), 7)])
            .await
            .expect("told");
        let facts = s.ticket_facts(listing_id()).await.expect("there");
        let next = facts.dealings.iter().find(|d| d.digest == dealing(0));
        assert_eq!(next.and_then(|d| d.next), Some(7));
        // Its own dealer announces it as often as it likes.
        s.announce(listing_id(), dealing(0), &[1, 2, 3], 6)
            .await
            .expect("again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_that_are_never_answered_take_no_others_turn() {
    // KEY-10: twenty older listings whose dealings wait for ever, and one more.
    for place in Place::each("turns").await {
        let s = place_of(&place.url).await;
        let mut all = BTreeSet::new();
        for n in 2..22u8 {
            let l = other_listing(&s, n.into(), Digest([n; 32])).await;
            let mut terms = dealt(2);
            (terms.listing, terms.dataset) = (l, Digest([n; 32]));
            let tickets = terms.tickets.as_mut().expect("a committee's");
            let mine = Digest([100 + n; 32]);
            tickets.dealings.push(tickets.dealings[0].clone());
            let last = tickets.dealings.last_mut().expect("there");
            (last.digest, last.epoch) = (mine, 1);
            s.update_policy(l, terms, signed("second", n), "a", 4)
                .await
                .expect("DOC-3");
            s.announce(l, mine, &[n], 5).await.expect("announced");
            all.insert(l);
        }
        let mut seen = BTreeSet::new();
        // The first in the circle is the market's own, with nothing for this node.
        for turn in 0..21u64 {
            let asked = s.dealings_asked(key(0), turn).await.expect("asked");
            assert_eq!(asked.len(), 16);
            let first = all.iter().nth(turn.saturating_sub(1) as usize);
            assert_eq!(first, Some(&asked[0].listing), "from its turn on");
            seen.extend(asked.iter().map(|a| a.listing));
        }
        assert_eq!(seen, all);
        let far = s.dealings_asked(key(0), u64::MAX).await.expect("asked");
        assert_eq!(far.len(), 16);
    }
}

/// A joint order of two listings' orders: the second listing is the first one's
/// like, of another custodian.
async fn joint_market(url: &str) -> (SqlStore, [OrderId; 2]) {
    let s = place_of(url).await;
    joint_quotes(&s, DEADLINE).await;
    let mut ids = Vec::new();
    for n in [1u8, 2] {
        let p = joint_order(n);
        ids.push(p.order.id);
        s.place_order(p, 100).await.expect("placed");
    }
    (s, [ids[0], ids[1]])
}

/// The two quotes of a joint order.
async fn joint_quotes(s: &SqlStore, expiry: u64) {
    for tag in [1u8, 2] {
        let mut quote = s.quote(signed("quote", 0).digest).await.expect("there");
        quote.terms.id = veilbourse_domain::id::QuoteId::new(9, [tag; 10]);
        quote.terms.expiry = expiry;
        quote.signed = signed("joint quote", tag);
        quote.terms.digest = quote.signed.digest;
        s.save_quote(&StoredQuote { ..quote }).await.expect("saved");
    }
}

fn joint_order(n: u8) -> veilbourse_domain::records::PlaceOrder {
    let mut p = order_of(n);
    let mut quotes = [1, 2].map(|t| signed("joint quote", t).digest);
    p.order.terms.quote = quotes[usize::from(n - 1) % 2];
    quotes.sort_by_key(|q| q.0);
    p.order.terms.joint = quotes.to_vec();
    p
}

async fn evaluated(s: &SqlStore, n: u8) {
    for w in ["lease", "put", "hand in"] {
        step(s, n, w, 100).await.expect(w);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn joint_orders_are_granted_and_paid_together() {
    // SET-8
    for place in Place::each("joint_paid").await {
        let (s, ids) = joint_market(&place.url).await;
        // One order a quote, one result key.
        let mut again = joint_order(3);
        assert_eq!(
            s.place_order(again.clone(), 101).await,
            Err(DomainError::JointRepeated)
        );
        again.order.terms.quote = signed("quote", 0).digest;
        again.order.terms.result_key = Digest([99; 32]);
        let what = "result keys";
        assert_eq!(
            s.place_order(again, 101).await,
            Err(DomainError::JointDiffers { what })
        );
        for n in [1, 2] {
            evaluated(&s, n).await;
        }
        step(&s, 1, "verify", 110).await.expect("verified");
        let group = s.joint(ids[0]).await.expect("listed");
        let both = |number, q| {
            group
                .iter()
                .map(|o| grant_of(o, number, q))
                .collect::<Vec<_>>()
        };
        let early = s.grant_quorum(both(0, 0), 200).await;
        assert!(matches!(early, Err(DomainError::OrderState { .. })));
        step(&s, 2, "verify", 110).await.expect("verified");
        let half = s.grant_quorum(both(0, 0)[..1].to_vec(), 200).await;
        let what = "joint order";
        assert_eq!(half, Err(DomainError::Conflict { what }));
        assert_eq!(
            s.grant_quorum(both(0, 0), 200).await.map(|o| o.len()),
            Ok(2)
        );
        let job = s
            .lease_quorum(machine(0), key(0), 210)
            .await
            .expect("asked");
        assert_eq!(job.map(|o| o.len()), Some(2));
        assert_eq!(s.lease_quorum(machine(0), key(0), 211).await, Ok(None));
        // The first refusal ends the grants of both; the second call only says so.
        let back = refuse(&s, ids[0], 0, 1, false).await.expect("taken");
        assert_eq!(back.state.name(), "verified");
        let back = refuse(&s, ids[1], 0, 1, false).await.expect("taken");
        assert_eq!((back.state.name(), back.grant_count()), ("verified", 1));
        s.grant_quorum(both(1, 1), 320).await.expect("the next");
        let all = |node: u8| {
            let one = |o: &OrderId| delivery(*o, 1, node, &[7; 9]);
            ids.iter().map(one).collect::<Vec<_>>()
        };
        let half = s.deliver_quorum(key(0), all(0)[..1].to_vec(), vec![], 330);
        let what = "delivery";
        assert_eq!(half.await, Err(DomainError::DocumentLink { what }));
        s.deliver_quorum(key(0), all(0), vec![1], 330)
            .await
            .expect("one");
        assert_eq!(paid(&s).await, 0);
        let done = s.deliver_quorum(key(2), all(2), vec![2], 340).await;
        let done = done.expect("all");
        assert!(done.iter().all(|o| o.state.name() == "released"));
        assert_eq!(paid(&s).await, 2 * PRICE);
        invariants(&s).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joint_order_that_is_not_placed_whole_binds_nothing_for_long() {
    // SET-8: no pod begins, and it ends with its quote; a whole one does not.
    for place in Place::each("joint_part").await {
        let s = place_of(&place.url).await;
        joint_quotes(&s, 500).await;
        let first = joint_order(1);
        let id = first.order.id;
        s.place_order(first, 100).await.expect("placed");
        assert_eq!(s.lease_evaluation(pod(), TOKEN, 101).await, Ok(None));
        assert_eq!(s.sweep(499, 9).await, Ok(vec![]));
        // Others are served meanwhile.
        s.place_order(order_of(5), 102).await.expect("placed");
        let leased = s.lease_evaluation(pod(), TOKEN, 103).await.expect("asked");
        assert_eq!(leased.map(|o| o.id), Some(order_of(5).order.id));
        let ended = s.sweep(500, 9).await.expect("swept");
        assert_eq!(ended.iter().map(|o| o.id).collect::<Vec<_>>(), [id]);
        assert!(matches!(
            &ended[0].state,
            OrderState::Refunded(r) if matches!(r.reason, RefundReason::Undeliverable { .. })
        ));
        assert_eq!(
            s.place_order(joint_order(2), 501).await,
            Err(DomainError::JointEnded)
        );
        assert_eq!(paid(&s).await, 0);
        let facts = s.ticket_facts(listing_id()).await.expect("there");
        assert_eq!(facts.under_way.len(), 1, "the other order's");
        invariants(&s).await;
    }
    for place in Place::each("joint_whole").await {
        let s = place_of(&place.url).await;
        joint_quotes(&s, 500).await;
        for n in [1, 2] {
            s.place_order(joint_order(n), 100).await.expect("placed");
        }
        assert_eq!(s.sweep(501, 9).await, Ok(vec![]), "in time");
        let leased = s.lease_evaluation(pod(), TOKEN, 502).await.expect("asked");
        assert_eq!(leased.map(|o| o.id), Some(joint_order(1).order.id));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn joint_orders_end_together() {
    // SET-8: one is rejected, all are refunded; and no other joins them.
    for place in Place::each("joint_ended").await {
        let (s, ids) = joint_market(&place.url).await;
        for n in [1, 2] {
            evaluated(&s, n).await;
        }
        step(&s, 1, "verify", 110).await.expect("verified");
        step(&s, 2, "reject", 120).await.expect("rejected");
        for (id, rejected) in [(ids[0], false), (ids[1], true)] {
            let OrderState::Refunded(r) = s.order(id).await.expect("there").state else {
                panic!("not refunded")
            };
            assert_eq!(matches!(r.reason, RefundReason::Rejected { .. }), rejected);
        }
        assert_eq!(paid(&s).await, 0);
        invariants(&s).await;
        let mut third = joint_order(3);
        third.order.terms.quote = signed("quote", 0).digest;
        assert_eq!(
            s.place_order(third, 130).await,
            Err(DomainError::JointEnded)
        );
    }
}

/// Does something, stopped at each statement in turn and after its commit; in
/// between nothing is half done, and again it goes on.
async fn stopped_everywhere<T: std::fmt::Debug>(
    s: &SqlStore,
    act: impl AsyncFn(&SqlStore) -> Result<T, DomainError>,
) -> u32 {
    for k in 0.. {
        let hit = Arc::new(AtomicU32::new(0));
        let seen = hit.clone();
        let failing = s.with_fail_points(Arc::new(move |p| {
            let stop = p.step == k && seen.load(Ordering::SeqCst) == 0;
            if stop {
                seen.store(1 + u32::from(p.committed), Ordering::SeqCst);
            }
            stop
        }));
        let done = act(&failing).await;
        invariants(s).await;
        match hit.load(Ordering::SeqCst) {
            0 => {
                done.expect("the whole transaction");
                return k;
            }
            1 => assert!(matches!(done, Err(DomainError::Storage { .. })), "{done:?}"),
            _ => {
                let before = s.count("audit_log").await;
                let again = act(s).await;
                let idle = matches!(again, Err(DomainError::OrderState { .. }));
                assert!(idle || again.is_ok(), "{again:?}");
                assert_eq!(s.count("audit_log").await, before, "wrote twice");
                return k + 1;
            }
        }
    }
    0
}

#[tokio::test(flavor = "multi_thread")]
async fn joint_orders_stopped_at_every_step() {
    // ORD-5, SET-6, SET-8: grant, refusal, the next grant, both deliveries.
    for place in Place::each("joint_crash").await {
        let (s, ids) = joint_market(&place.url).await;
        for n in [1, 2] {
            evaluated(&s, n).await;
            step(&s, n, "verify", 110).await.expect("verified");
        }
        let group = s.joint(ids[0]).await.expect("listed");
        let both = |number, q| {
            let all = group.iter().map(|o| grant_of(o, number, q));
            all.collect::<Vec<_>>()
        };
        let mut stops =
            stopped_everywhere(&s, async |s| s.grant_quorum(both(0, 0), 200).await).await;
        stops += stopped_everywhere(&s, async |s| refuse(s, ids[0], 0, 1, false).await).await;
        stops += stopped_everywhere(&s, async |s| s.grant_quorum(both(1, 1), 320).await).await;
        for node in [0, 2] {
            assert_eq!(paid(&s).await, 0);
            let all = || {
                let one = |o: &OrderId| delivery(*o, 1, node, &[7; 9]);
                ids.iter().map(one).collect::<Vec<_>>()
            };
            let give = async |s: &SqlStore| s.deliver_quorum(key(node), all(), vec![1], 330).await;
            stops += stopped_everywhere(&s, give).await;
        }
        assert_eq!(paid(&s).await, 2 * PRICE);
        assert!(stops > 150, "only {stops} stops");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_given_up_while_another_quorum_remains() {
    // SET-7: the newest one, once; a crash between two tries changes nothing.
    for place in Place::each("quorum_given_up").await {
        let s = place_of(&place.url).await;
        let o = verified(&s, 1).await;
        assert!(
            s.granted_to_quorums(None, 9)
                .await
                .expect("listed")
                .is_empty()
        );
        grant(&s, &o, 0, 0).await.expect("granted");
        let held = s.granted_to_quorums(None, 9).await.expect("listed");
        assert_eq!(held.iter().map(|o| o.id).collect::<Vec<_>>(), [o.id]);
        let given_up = async |number| {
            let done = s.give_up_grant(o.id, number, "node 0 is silent", 250).await;
            done.expect("done")[0].state.name()
        };
        assert_eq!(given_up(1).await, "opening", "another number");
        assert_eq!(given_up(0).await, "verified");
        assert_eq!(given_up(0).await, "verified", "again");
        invariants(&s).await;
        // The last of the quorums keeps it.
        let mut number = 1;
        loop {
            let waiting = s.order(o.id).await.expect("there");
            let q = number as usize;
            grant(&s, &waiting, number, q).await.expect("granted");
            match given_up(number).await {
                "verified" => number += 1,
                left => {
                    assert_eq!(left, "opening");
                    break;
                }
            }
        }
        assert!(number >= 1);
        // What was given up may still be delivered.
        for node in [0, 1] {
            deliver(&s, o.id, 0, node, 300).await.expect("taken");
        }
        assert_eq!(s.order(o.id).await.expect("there").state.name(), "released");
        invariants(&s).await;
    }
}
