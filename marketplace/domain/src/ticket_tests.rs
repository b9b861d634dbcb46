//! Committee custody in the domain: ORD-1, ORD-7, ORD-8, DOC-12, SET-7, SET-8.

use crate::{
    DomainError,
    admit_tests::{Case, decide, listing, policy, with_policy},
    id::{AccountId, ListingId, OrderId, PublicKey, TransferId},
    joint::{JointPart, MIN_CUSTODIANS, check_joint},
    order::{Granted, Order, OrderState, Placed, RefundReason, Verified},
    terms::{Opener, Openers, PolicyTerms, Tickets},
    tickets::{
        Candidate, DealingFacts, DealingState, Excluded, NodeAnswer, TicketFacts, UnderWay,
        candidates, choose, count, largest, rank, views,
    },
};
use proptest::prelude::*;
use veilbourse_core::{digest::Digest, program::Weights};
use veilbourse_documents::{
    Key,
    api::{Deliver, MAX_DELIVER_BYTES},
};

fn committee() -> Openers {
    Openers::Committee {
        nodes: [40, 41, 42].map(|n| Key([n; 32])).to_vec(),
        threshold: 2,
    }
}

fn tickets_json(dealings: &str, class: &str) -> String {
    format!(
        r#"{{"classes":[
            {{"name":"exact","k":24,"sensitivity":"1000","mechanism":{{"law":"none"}},"offered":true}},
            {{"name":"noisy","k":24,"sensitivity":"1000","mechanism":{{"law":"discrete_gaussian",
              "variance":{{"numerator":"1000000","denominator":"1"}}}},"offered":true}},
            {{"name":"checks","k":24,"sensitivity":"1","mechanism":{{"law":"none"}},"offered":false}}],
          "dealings":[{}],"rho_limit_units":"0"}}"#,
        dealings.replace("CLASS", class)
    )
}

/// Three dealings of the class "exact": 100 tickets for each quorum.
fn tickets() -> Tickets {
    let none: Tickets = serde_json::from_str(&tickets_json("", "")).expect("parses");
    let class = none.classes[0].class().expect("a class").digest();
    let one = |n: u8, quorum: &str| {
        format!(
            r#"{{"digest":"{}","quorum":{quorum},"epoch":0,"class":"CLASS","first":"10","count":"100","root":"{}"}}"#,
            Digest([n; 32]),
            Digest([9; 32])
        )
    };
    let all = [one(50, "[0,1]"), one(51, "[0,2]"), one(52, "[1,2]")].join(",");
    serde_json::from_str(&tickets_json(&all, &class.to_string())).expect("parses")
}

fn class(n: usize) -> Digest {
    tickets().classes[n].class().expect("a class").digest()
}

fn dealt() -> PolicyTerms {
    PolicyTerms {
        openers: committee(),
        tickets: Some(tickets()),
        quota_values: 10_000,
        quota_bits: 1_000_000,
        ..policy()
    }
}

fn said(node: u8, accepted: bool) -> NodeAnswer {
    NodeAnswer {
        node: PublicKey([node; 32]),
        accepted,
        code: String::new(),
        reason: String::new(),
    }
}

/// All three accepted, nothing spent.
fn facts() -> TicketFacts {
    let of = |n: u8, nodes: [u8; 2]| DealingFacts {
        digest: Digest([n; 32]),
        announced: true,
        next: None,
        answers: nodes.map(|n| said(n, true)).to_vec(),
    };
    TicketFacts {
        dealings: vec![of(50, [40, 41]), of(51, [40, 42]), of(52, [41, 42])],
        under_way: Vec::new(),
    }
}

fn waiting(values: u64) -> UnderWay {
    UnderWay {
        class: class(0),
        values,
        dealing: None,
    }
}

/// An order of the class "exact" by a committee.
fn committee_case(c: &mut Case) {
    with_policy(c, |p| {
        p.openers = committee();
        p.tickets = Some(tickets());
    });
    c.quote.openers = committee();
    c.order.openers = committee();
    c.quote.ticket_class = Some(class(0));
    c.order.ticket_class = Some(class(0));
    c.tickets = facts();
}

fn decided(change: impl FnOnce(&mut Case)) -> Result<u64, DomainError> {
    decide(|c| {
        committee_case(c);
        change(c);
    })
}

#[test]
fn orders_name_a_class_that_fits_and_has_tickets() {
    // ORD-1, ORD-7, DOC-4, OPN-5
    use DomainError as E;
    assert_eq!(decided(|_| ()), Ok(1));
    let both = |class: Option<Digest>| {
        decided(|c| {
            c.quote.ticket_class = class;
            c.order.ticket_class = class;
        })
    };
    let none = both(None);
    let found = "none".into();
    assert_eq!(none, Err(E::TicketClassNotOffered { found }));
    for class in [class(2), Digest([1; 32])] {
        let found = class.to_string();
        assert_eq!(both(Some(class)), Err(E::TicketClassNotOffered { found }));
    }
    assert_eq!(
        decided(|c| c.order.ticket_class = Some(class(1))),
        Err(E::TicketClassDiffers)
    );
    assert_eq!(
        decided(|c| c.order.openers = policy().openers),
        Err(E::OpenersDiffer)
    );
    // A custodian-held listing has no classes.
    let held = decide(|c| {
        c.quote.ticket_class = Some(class(0));
        c.order.ticket_class = Some(class(0));
    });
    assert!(matches!(held, Err(E::TicketClassNotOffered { .. })));
    // A row moves 11 x the range of 100 by more than 1,000.
    let heavy = decided(|c| {
        c.program.vectors[0].weights = Weights::Public {
            values: vec![11, 0, 0],
        };
        c.order.program = c.program.shape();
        c.quote.program = c.program.shape();
    });
    assert!(
        matches!(heavy, Err(E::TicketClassUnfit { .. })),
        "{heavy:?}"
    );
    // No dealing of the class "noisy" was accepted.
    let (largest, needed) = (0, 1);
    assert_eq!(
        both(Some(class(1))),
        Err(E::TicketsUsedUp { largest, needed })
    );
    // Orders under way use them up.
    assert_eq!(
        decided(|c| c.tickets.under_way = vec![waiting(100); 3]),
        Err(E::TicketsUsedUp { largest, needed })
    );
    assert_eq!(
        decided(|c| c.tickets.under_way = vec![waiting(100); 2]),
        Ok(1)
    );
}

#[test]
fn dealings_count_when_all_nodes_accepted() {
    // DOC-14, ORD-7
    let p = dealt();
    let mut f = facts();
    f.dealings[0].answers.pop();
    f.dealings[1].answers[0].accepted = false;
    f.dealings[2].next = Some(30);
    let all = views(&p, &f);
    let states: Vec<_> = all.iter().map(|v| v.state).collect();
    use DealingState::{Accepted, Refused, Waiting};
    assert_eq!(states, [Waiting, Refused, Accepted]);
    let left: Vec<_> = all.iter().map(|v| v.left).collect();
    assert_eq!(left, [0, 0, 80]);
    let n = count(&p, &f, &class(0));
    assert_eq!((n.dealt, n.spent, n.left, n.largest), (300, 20, 80, 80));
    // What a node says beyond the dealing's tickets is cut; a stranger's answer
    // is not a node's.
    f.dealings[2].next = Some(u64::MAX);
    assert_eq!(largest(&p, &f, &class(0)), 0);
    f.dealings[0].answers.push(said(99, true));
    assert_eq!(views(&p, &f)[0].state, Waiting);
    // A grant that is out holds its tickets.
    let mut f = facts();
    f.under_way.push(UnderWay {
        class: class(0),
        values: 60,
        dealing: Some(Digest([50; 32])),
    });
    assert_eq!(views(&p, &f)[0].left, 40);
    assert_eq!(largest(&p, &f, &class(0)), 100);
}

#[test]
fn quorums_are_chosen() {
    // SET-7
    let p = dealt();
    let mut f = facts();
    f.dealings[1].next = Some(20);
    f.dealings[2].next = Some(15);
    let free = Excluded::default();
    let of = |values, f: &TicketFacts, e: &Excluded| candidates(&p, f, &class(0), values, e);
    let quorum = |c: Option<Vec<Candidate>>| c.map(|c| c[0].quorum.clone());
    assert_eq!(of(95, &f, &free).len(), 2);
    assert_eq!(of(101, &f, &free).len(), 0);
    assert_eq!(of(1, &f, &free).len(), 3);
    // Most left; one heard of first.
    assert_eq!(
        quorum(choose(&[of(1, &f, &free)], |_| true)),
        Some(vec![0, 1])
    );
    let heard = |q: &[u8]| q == [0, 2];
    assert_eq!(quorum(choose(&[of(1, &f, &free)], heard)), Some(vec![0, 2]));
    assert_eq!(
        quorum(choose(&[of(1, &f, &free)], |_| false)),
        Some(vec![0, 1])
    );
    // Who failed the order before comes after others, and after who is not there.
    let ranked = |heard: &[u8], failed: &[u8]| {
        let there = |q: &[u8]| q.iter().all(|n| heard.contains(n));
        let chosen = choose(&[of(1, &f, &free)], |q| rank(q, there(q), failed));
        quorum(chosen)
    };
    assert_eq!(ranked(&[0, 1, 2], &[]), Some(vec![0, 1]));
    assert_eq!(ranked(&[0, 1, 2], &[0]), Some(vec![1, 2]));
    assert_eq!(ranked(&[0, 1, 2], &[1]), Some(vec![0, 2]));
    assert_eq!(ranked(&[0, 1, 2], &[0, 0, 1]), Some(vec![1, 2]), "tickets");
    assert_eq!(ranked(&[0, 1], &[0]), Some(vec![0, 1]));
    assert_eq!(ranked(&[], &[1]), Some(vec![0, 2]));
    // Not twice, and not with a node that opened the order elsewhere.
    let mut e = Excluded {
        quorums: vec![vec![0, 1]],
        nodes: Vec::new(),
    };
    assert_eq!(quorum(choose(&[of(1, &f, &e)], |_| true)), Some(vec![1, 2]));
    e.nodes.push(1);
    assert_eq!(quorum(choose(&[of(1, &f, &e)], |_| true)), Some(vec![0, 2]));
    e.nodes.push(2);
    assert_eq!(choose(&[of(1, &f, &e)], |_| true), None);
    assert_eq!(choose(&[], |_| true), None);
    // SET-8: a quorum that serves all; the least left decides.
    let mut other = facts();
    other.dealings[0].answers.clear();
    other.dealings[2].next = Some(50);
    let both = [of(1, &f, &free), of(1, &other, &free)];
    assert_eq!(quorum(choose(&both, |_| true)), Some(vec![0, 2]));
}

#[test]
fn later_policies_keep_every_dealing() {
    // DOC-12
    let mut l = listing();
    l.policy = Some(dealt());
    let later = |f: fn(&mut Tickets)| {
        let mut p = dealt();
        p.version = 2;
        f(p.tickets.as_mut().expect("a committee's"));
        l.clone().with_policy(p).map(drop)
    };
    assert_eq!(later(|_| ()), Ok(()));
    let lost = |n: u8| {
        let found = Digest([n; 32]).to_string();
        Err(DomainError::DealingsNotKept { found })
    };
    assert_eq!(later(|t| drop(t.dealings.remove(1))), lost(51));
    assert_eq!(later(|t| t.dealings[2].count += 1), lost(52));
    // Nor does a policy without tickets.
    let mut p = policy();
    p.version = 2;
    assert_eq!(l.with_policy(p).map(drop), lost(50));
}

fn part(n: u8) -> JointPart {
    JointPart {
        quote: Digest([n; 32]),
        listing: ListingId::new(1, [n; 10]),
        owner: AccountId::new(1, [n; 10]),
        dataset: Digest([n; 32]),
        openers: committee(),
        noisy: false,
        outputs: vec![(1, 0)],
    }
}

#[test]
fn joint_orders() {
    // ORD-8
    use DomainError as E;
    let joint = |change: fn(&mut Vec<JointPart>)| {
        decided(|c| {
            let mut own = part(1);
            own.quote = c.quote.digest;
            let mut parts = vec![part(1), part(2), own];
            parts[2].owner = AccountId::new(1, [77; 10]);
            parts[2].dataset = Digest([77; 32]);
            c.order.joint = parts.iter().map(|p| p.quote).collect();
            change(&mut parts);
            c.joint = parts;
        })
    };
    assert_eq!(joint(|_| ()), Ok(1));
    assert_eq!(joint(|p| drop(p.pop())), Err(E::QuoteUnknown));
    assert_eq!(
        joint(|p| p[0].quote = Digest([98; 32])),
        Err(E::QuoteUnknown)
    );
    let dataset = Digest([1; 32]).to_string();
    assert_eq!(
        joint(|p| p[1].dataset = p[0].dataset),
        Err(E::JointDataset { dataset })
    );
    assert_eq!(
        joint(|p| p[1].openers = policy().openers),
        Err(E::JointDiffers { what: "openers" })
    );
    for outputs in [vec![(2, 0)], vec![(1, 1)], vec![(1, 0), (1, 0)]] {
        let differs = decided(|c| {
            let mut own = part(3);
            own.quote = c.quote.digest;
            let mut parts = vec![part(1), part(2), own];
            c.order.joint = parts.iter().map(|p| p.quote).collect();
            parts[1].outputs = outputs;
            c.joint = parts;
        });
        assert_eq!(differs, Err(E::JointDiffers { what: "outputs" }));
    }
    // The buyer of these tests is account 2, of another time.
    assert_eq!(
        joint(|p| p[0].owner = AccountId::new(2, [2; 10])),
        Err(E::JointOwnListing)
    );
    let two = joint(|p| p[1].owner = p[0].owner);
    let (custodians, minimum) = (2, MIN_CUSTODIANS);
    assert_eq!(
        two,
        Err(E::JointTooFew {
            custodians,
            minimum
        })
    );
    let noisy = joint(|p| {
        p[1].owner = p[0].owner;
        p.iter_mut().for_each(|p| p.noisy = true);
    });
    assert_eq!(noisy, Ok(1), "noise enough for a listing by itself");
    // One node opens no joint orders.
    let held = decide(|c| c.order.joint = vec![c.quote.digest, Digest([98; 32])]);
    assert_eq!(held, Err(E::JointDiffers { what: "openers" }));
}

#[test]
fn joint_orders_that_no_node_could_hand_in() {
    // ORD-8: by what is handed in of all, at the limit and one value beyond.
    let decided = |orders: u8, threshold: u8, values: u32| {
        let mut parts: Vec<_> = (1..=orders).map(part).collect();
        for p in &mut parts {
            let nodes = (0..5).map(|n| Key([n; 32])).collect();
            p.openers = Openers::Committee { nodes, threshold };
            // Counted over the outputs.
            p.outputs = vec![(1, 0), (values - 1, 0)];
        }
        let quotes: Vec<_> = parts.iter().map(|p| p.quote).collect();
        check_joint(AccountId::new(2, [99; 10]), &quotes, &parts)
    };
    let limit = MAX_DELIVER_BYTES;
    for (orders, threshold) in [(3u8, 5u8), (5, 2), (16, 2), (16, 5)] {
        let bytes = |v: u32| {
            let values = usize::try_from(v).expect("small");
            Deliver::most_bytes(orders.into(), values, threshold.into())
        };
        let most = (2..=1 << 14).rev().find(|v| bytes(*v) <= limit);
        let most = most.expect("some fit");
        assert!(most < 1 << 14, "{orders} {threshold}: all fit");
        assert_eq!(decided(orders, threshold, most), Ok(()));
        let refused = DomainError::JointTooLarge {
            limit: limit as u64,
            value: bytes(most + 1) as u64,
        };
        assert_eq!(refused.code(), "JOINT_TOO_LARGE");
        assert_eq!(decided(orders, threshold, most + 1), Err(refused));
    }
    // Three listings of a committee of which two open: whatever a session holds.
    assert_eq!(decided(3, 2, 1 << 14), Ok(()));
    // As many values as no document says: refused, not counted round.
    let all = decided(16, 5, u32::MAX);
    assert!(matches!(all, Err(DomainError::JointTooLarge { .. })));
}

fn granted(number: u32, quorum: &[u8]) -> Granted {
    Granted {
        grant: Digest([60 + u8::try_from(number).expect("few"); 32]),
        number,
        opener: Opener::Committee {
            quorum: quorum.to_vec(),
            dealing: Digest([50; 32]),
        },
        expires: 90_000,
        over: None,
    }
}

fn verified() -> (Order, Verified) {
    let mut terms = crate::admit_tests::order();
    terms.openers = committee();
    terms.ticket_class = Some(class(0));
    let state = Verified {
        escrow: TransferId::new(1, [1; 10]),
        submission: Digest([6; 32]),
        grants: Vec::new(),
    };
    let order = Order {
        id: OrderId::new(1, [1; 10]),
        buyer: AccountId::new(2, [2; 10]),
        custodian: AccountId::new(3, [3; 10]),
        pod_operator: AccountId::new(4, [4; 10]),
        listing: terms.listing,
        split: crate::Split::of(terms.price, 0, crate::MinorUnits::ZERO).expect("fits"),
        terms,
        values: 1,
        bits: 39,
        placed_at: 1,
        state: state.clone().into(),
    };
    (order, state)
}

#[test]
fn grants_to_quorums_one_after_the_other() {
    // SET-7
    let (order, v) = verified();
    let deadline = order.terms.deadline;
    let grant = |v: &Verified, g: Granted| v.clone().grant(g, deadline, 10);
    let first = grant(&v, granted(0, &[0, 1])).expect("the first");
    let unknown = Err(DomainError::GrantUnknown);
    let other = first
        .clone()
        .came_to_nothing(Digest([99; 32]), "no".into(), true);
    assert_eq!(other, unknown);
    let back = first
        .clone()
        .came_to_nothing(granted(0, &[]).grant, "no".into(), true)
        .expect("came to nothing");
    let back = back.verified("x").expect("another quorum remains");
    assert_eq!(back.grants[0].over.as_deref(), Some("no"));
    for wrong in [
        granted(0, &[0, 2]),
        granted(1, &[0, 1]),
        granted(2, &[0, 2]),
    ] {
        let again = grant(&back, wrong);
        assert!(matches!(again, Err(DomainError::AlreadyDecided { .. })));
    }
    let second = grant(&back, granted(1, &[0, 2])).expect("another quorum");
    // A delivery counts for whichever grant; all its nodes must have delivered.
    let one = vec![Digest([1; 32])];
    let two = vec![Digest([1; 32]), Digest([2; 32])];
    for (n, opening) in [(0, &second), (1, &second), (0, &first)] {
        let named = granted(n, &[]).grant;
        let part = opening.clone().release(named, one.clone(), 20);
        assert!(matches!(part, Err(DomainError::Invalid { .. })));
        let all = opening.clone().release(named, two.clone(), 20);
        assert_eq!(all.map(|r| r.number), Ok(n));
    }
    let late = back.clone().release(granted(0, &[]).grant, two.clone(), 20);
    assert_eq!(late.map(|r| r.number), Ok(0), "while the next is awaited");
    let link = DomainError::DocumentLink { what: "delivery" };
    assert_eq!(second.clone().release(Digest([99; 32]), two, 20), Err(link));
    // No one node ends it.
    let alone = second
        .clone()
        .undeliverable(granted(1, &[]).grant, "no".into(), false, 20);
    assert!(matches!(alone, Err(DomainError::OrderState { .. })));
    // Without another quorum it waits, then it is refunded.
    let rest = second
        .came_to_nothing(granted(1, &[]).grant, "no".into(), false)
        .expect("came to nothing");
    let waits = order.clone().with(rest);
    assert_eq!(waits.state.name(), "opening");
    for (o, undeliverable) in [
        (waits, true),
        (order.clone().with(back), true),
        (order.clone(), false),
    ] {
        let ahead = o.clone().expire(deadline - 1);
        assert!(matches!(ahead, Err(DomainError::DeadlineAhead { .. })));
        let OrderState::Refunded(r) = o.expire(deadline).expect("over").state else {
            panic!("not refunded")
        };
        let found = matches!(r.reason, RefundReason::Undeliverable { .. });
        assert_eq!(found, undeliverable);
    }
}

#[test]
fn joint_orders_end_together() {
    // SET-8
    let (order, _) = verified();
    let other = OrderId::new(9, [9; 10]);
    let ended = order.clone().end_with(other, 5).expect("under way");
    assert_eq!(ended.state.name(), "refunded");
    assert!(ended.end_with(other, 6).is_err(), "SET-6");
    let mut held = order;
    held.terms.openers = policy().openers;
    assert!(held.end_with(other, 5).is_err(), "one node's grant stands");
}

#[test]
fn a_joint_order_not_placed_whole_ends() {
    // SET-8
    let (verified, _) = verified();
    let escrow = verified.state.escrow().expect("funded");
    let funded = verified.clone().with(Placed { at: 1 }.fund(escrow));
    assert!(funded.clone().end_incomplete(5).is_err(), "alone");
    let joint = |mut o: Order| {
        o.terms.joint = vec![Digest([1; 32]), Digest([2; 32])];
        o.end_incomplete(5)
    };
    let OrderState::Refunded(r) = joint(funded).expect("waits for others").state else {
        panic!("not refunded")
    };
    assert_eq!((r.escrow, r.at), (escrow, 5));
    assert!(matches!(r.reason, RefundReason::Undeliverable { .. }));
    assert!(joint(verified).is_err(), "placed whole: a pod had it");
}

proptest! {
    #[test]
    fn what_is_admitted_can_be_granted(
        sizes in prop::collection::vec(1u64..80, 1..12),
        next in prop::collection::vec(10u64..=110, 3),
    ) {
        // ORD-7: each order that was let in finds a quorum with tickets enough
        // when grants go out oldest first.
        let p = dealt();
        let mut f = facts();
        for (d, next) in f.dealings.iter_mut().zip(next) {
            d.next = Some(next);
        }
        for values in sizes {
            if values <= largest(&p, &f, &class(0)) {
                f.under_way.push(waiting(values));
            }
        }
        for i in 0..f.under_way.len() {
            let order = f.under_way[i];
            let free = Excluded::default();
            let open = candidates(&p, &f, &class(0), order.values, &free);
            let chosen = choose(&[open], |_| true);
            prop_assert!(chosen.is_some(), "{f:?}");
            f.under_way[i].dealing = chosen.map(|c| c[0].dealing);
        }
    }
}
