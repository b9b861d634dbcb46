//! The order's state machine (ORD-5, ORD-6, SET-1..6) and its text form.

use crate::{
    DomainError, MinorUnits, Split,
    admit_tests::order as terms,
    id::{AccountId, LeaseToken, MachineId, OrderId, TransferId},
    job::{LEASE_MILLIS, MAX_ATTEMPTS},
    order::{Granted, Order, OrderState, Placed, RefundReason},
    terms::Opener,
};
use proptest::prelude::*;
use veilbourse_core::digest::Digest;

fn order() -> Order {
    let price = terms().price;
    Order {
        id: OrderId::new(1, [1; 10]),
        buyer: AccountId::new(2, [2; 10]),
        custodian: AccountId::new(3, [3; 10]),
        pod_operator: AccountId::new(4, [4; 10]),
        listing: terms().listing,
        terms: terms(),
        split: Split::of(price, 0, MinorUnits::ZERO).expect("fits"),
        values: 1,
        bits: 39,
        placed_at: 1,
        state: Placed { at: 1 }.into(),
    }
}

const POD: fn() -> MachineId = || terms().pod;
const TOKEN: LeaseToken = LeaseToken([7; 32]);

fn granted(expires: u64) -> Granted {
    Granted {
        grant: Digest([5; 32]),
        number: 0,
        opener: Opener::CustodianHeld {
            node_key: veilbourse_documents::Key([4; 32]),
        },
        expires,
        over: None,
    }
}

/// Applies operation `op` at time `now`.
fn apply(o: Order, op: u8, now: u64) -> Result<Order, DomainError> {
    let deadline = o.terms.deadline;
    let grant = Digest([5; 32]);
    let (id, doc) = (TransferId::new(1, [1; 10]), Digest([6; 32]));
    let state = o.state.clone();
    let next: OrderState = match op {
        0 => state.placed("funded")?.fund(id).into(),
        1 => state
            .funded("leased")?
            .lease(POD(), TOKEN, deadline, now)?
            .into(),
        2 => state
            .leased("evaluated")?
            .submit(POD(), TOKEN, doc, now)?
            .into(),
        3 => state.leased("funded")?.lapse(now)?,
        4 => state
            .leased("funded")?
            .decline(POD(), TOKEN, "no".into(), now)?,
        5 => state.evaluated("verified")?.verify().into(),
        6 => state
            .evaluated("refunded")?
            .reject("LES-4".into(), now)
            .into(),
        7 => state
            .verified("opening")?
            .grant(granted(deadline - 1), deadline, now)?
            .into(),
        8 => state
            .opening("released")?
            .release(grant, vec![doc], now)?
            .into(),
        9 => state
            .opening("refunded")?
            .undeliverable(grant, "no".into(), false, now)?
            .into(),
        _ => return o.expire(now),
    };
    Ok(o.with(next))
}

proptest! {
    #[test]
    fn any_sequence_ends_at_most_once(ops in prop::collection::vec((0u8..11, 0u64..30_000), 1..60)) {
        // SET-6, ORD-5: a terminal state is never left; the escrow never changes.
        let mut o = order();
        let mut now = 1;
        let mut ended = false;
        for (op, dt) in ops {
            now += dt;
            let before = o.clone();
            if let Ok(next) = apply(o.clone(), op, now) {
                prop_assert!(!ended, "left {}", before.state.name());
                if let Some(e) = before.state.escrow() {
                    prop_assert_eq!(Some(e), next.state.escrow());
                }
                let json = serde_json::to_string(&next).expect("serialises");
                prop_assert_eq!(&serde_json::from_str::<Order>(&json).expect("parses"), &next);
                ended = next.state.terminal();
                o = next;
            }
        }
    }
}

#[test]
fn the_good_day() {
    let mut o = order();
    for op in [0, 1, 2, 5, 7, 8] {
        o = apply(o, op, 100).expect("in order");
    }
    assert_eq!(o.state.name(), "released");
    for op in 0..=10 {
        assert!(
            matches!(
                apply(o.clone(), op, 200),
                Err(DomainError::OrderState { .. })
            ),
            "{op}"
        );
    }
}

#[test]
fn attempts_are_bounded() {
    // ORD-6
    let mut o = apply(order(), 0, 1).expect("placed");
    for attempt in 1..=MAX_ATTEMPTS {
        let now = 10 + u64::from(attempt);
        o = apply(o, 1, now).expect("funded");
        assert!(apply(o.clone(), 3, now + LEASE_MILLIS - 1).is_err());
        assert_eq!(
            apply(o.clone(), 2, now + LEASE_MILLIS),
            Err(DomainError::StaleLease),
            "late submission"
        );
        o = apply(
            o,
            if attempt == 2 { 4 } else { 3 },
            if attempt == 2 {
                now
            } else {
                now + LEASE_MILLIS
            },
        )
        .expect("over");
    }
    let OrderState::Refunded(r) = o.state else {
        panic!("{:?}", o.state)
    };
    assert!(matches!(r.reason, RefundReason::Undeliverable { .. }));
}

#[test]
fn tokens_grants_and_deadlines() {
    let mut o = apply(order(), 0, 1).expect("placed");
    let deadline = o.terms.deadline;
    // SET-5
    assert!(matches!(
        o.clone().expire(deadline - 1),
        Err(DomainError::DeadlineAhead { .. })
    ));
    assert!(matches!(
        apply(o.clone(), 1, deadline),
        Err(DomainError::DeadlinePassed { .. })
    ));
    assert!(o.clone().expire(deadline).expect("past").state.terminal());
    o = apply(o, 1, 10).expect("funded");
    // ORD-6
    let stale = o.state.clone().leased("x").expect("leased").submit(
        POD(),
        LeaseToken([8; 32]),
        Digest([6; 32]),
        20,
    );
    assert_eq!(stale, Err(DomainError::StaleLease));
    o = apply(o, 2, 20).expect("leased");
    o = apply(o, 5, 30).expect("evaluated");
    let v = o.state.clone().verified("x").expect("verified");
    let grant = Digest([5; 32]);
    for expires in [deadline, deadline + 1, 40] {
        assert!(matches!(
            v.clone().grant(granted(expires), deadline, 40),
            Err(DomainError::GrantExpiry { .. })
        ));
    }
    o = apply(o, 7, 40).expect("verified");
    // SET-5: an opening order does not expire. SET-3: only its grant, only unrevealed.
    assert!(matches!(
        o.clone().expire(deadline),
        Err(DomainError::OrderState { .. })
    ));
    let open = o.state.clone().opening("x").expect("opening");
    let other = Digest([77; 32]);
    assert_eq!(
        open.clone().release(other, vec![grant], 50),
        Err(DomainError::DocumentLink { what: "delivery" })
    );
    assert_eq!(
        open.clone().undeliverable(other, "x".into(), false, 50),
        Err(DomainError::DocumentLink {
            what: "non-delivery"
        })
    );
    assert!(matches!(
        open.undeliverable(grant, "x".into(), true, 50),
        Err(DomainError::OrderState { .. })
    ));
    assert!(apply(o, 9, 50).expect("opening").state.terminal());
}
