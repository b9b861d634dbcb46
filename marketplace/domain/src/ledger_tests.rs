//! LED-1..3 under any sequence of operations.

use crate::{
    DomainError, MinorUnits, Split,
    id::{AccountId, TransferId},
    ledger::{Ledger, LedgerAccount, Postings, TransferState, TransferStep},
};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn user(n: u8) -> AccountId {
    AccountId::new(u64::from(n), [n; 10])
}
fn transfer(n: u8) -> TransferId {
    TransferId::new(u64::from(n), [n; 10])
}

#[derive(Debug, Clone)]
enum Op {
    Deposit(u8, u8, i64),
    Withdraw(u8, u8, i64),
    Escrow(u8, u8, u8, u8, i64, u32),
    Step(u8, u8),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (0u8..20, 0u8..4, 0i64..1_000).prop_map(|(t, u, a)| Op::Deposit(t, u, a)),
        (0u8..20, 0u8..4, 0i64..1_000).prop_map(|(t, u, a)| Op::Withdraw(t, u, a)),
        (0u8..20, 0u8..4, 0u8..4, 0u8..4, 0i64..1_000, 0u32..=10_000)
            .prop_map(|(t, b, c, p, a, f)| Op::Escrow(t, b, c, p, a, f)),
        (0u8..20, 0u8..4).prop_map(|(t, s)| Op::Step(t, s)),
    ]
}

proptest! {
    #[test]
    fn any_sequence_keeps_the_sum_zero(ops in prop::collection::vec(op(), 1..120)) {
        // LED-1..3: sums zero after each step, each transfer ends once, refusals change nothing.
        let mut ledger = Ledger::default();
        let mut ended: BTreeMap<TransferId, TransferState> = BTreeMap::new();
        for op in ops {
            let before = ledger.clone();
            let done = match op {
                Op::Deposit(t, u, a) => Postings::deposit(user(u), MinorUnits::new(a).unwrap())
                    .and_then(|p| ledger.open(transfer(t), p)),
                Op::Withdraw(t, u, a) => Postings::withdrawal(user(u), MinorUnits::new(a).unwrap())
                    .and_then(|p| ledger.open(transfer(t), p)),
                Op::Escrow(t, b, c, p, a, f) => {
                    let price = MinorUnits::new(a).unwrap();
                    Split::of(price, f, MinorUnits::ZERO)
                        .and_then(|s| Postings::escrow(user(b), user(c), user(p), s))
                        .and_then(|p| ledger.open(transfer(t), p))
                }
                Op::Step(t, s) => {
                    let step = [
                        TransferStep::Commit,
                        TransferStep::Post,
                        TransferStep::Void,
                        TransferStep::VoidByNonDelivery,
                    ][usize::from(s)];
                    ledger.step(transfer(t), step).map(|state| {
                        if matches!(state, TransferState::Posted | TransferState::Voided) {
                            assert_eq!(ended.insert(transfer(t), state), None, "ended twice");
                        }
                    })
                }
            };
            if done.is_err() {
                prop_assert_eq!(&before, &ledger);
            }
            prop_assert!(ledger.check().is_ok());
        }
    }
}

#[test]
fn money_that_is_not_there_does_not_move() {
    // SET-1, LED-3
    let mut l = Ledger::default();
    let hundred = MinorUnits::new(100).unwrap();
    l.open(transfer(1), Postings::deposit(user(1), hundred).unwrap())
        .unwrap();
    // Announced is not available.
    let spend = Postings::withdrawal(user(1), hundred).unwrap();
    assert_eq!(
        l.open(transfer(2), spend.clone()),
        Err(DomainError::InsufficientFunds {
            available: MinorUnits::ZERO,
            needed: hundred
        })
    );
    l.step(transfer(1), TransferStep::Post).unwrap();
    l.open(transfer(2), spend.clone()).unwrap();
    // Reserved is not available.
    assert!(matches!(
        l.open(transfer(3), spend),
        Err(DomainError::InsufficientFunds { .. })
    ));
    assert_eq!(l.balance(LedgerAccount::User(user(1))).available(), 0);
    assert_eq!(
        l.step(transfer(1), TransferStep::Void),
        Err(DomainError::TransferState {
            found: "posted",
            wanted: "voided"
        })
    );
}

#[test]
fn a_committed_escrow_is_voided_by_non_delivery_only() {
    // SET-3
    let s = TransferState::Pending;
    assert!(s.step(TransferStep::VoidByNonDelivery).is_err());
    let s = s.step(TransferStep::Commit).unwrap();
    assert!(s.step(TransferStep::Void).is_err() && s.step(TransferStep::Commit).is_err());
    assert_eq!(
        s.step(TransferStep::VoidByNonDelivery),
        Ok(TransferState::Voided)
    );
    assert_eq!(s.step(TransferStep::Post), Ok(TransferState::Posted));
}

#[test]
fn postings_sum_to_zero() {
    // LED-1
    let a = LedgerAccount::World;
    assert_eq!(
        Postings::new(&[(a, 1)]),
        Err(DomainError::Unbalanced { sum: 1 })
    );
    assert_eq!(Postings::new(&[]), Err(DomainError::Unbalanced { sum: 0 }));
    assert_eq!(
        Postings::new(&[(a, 5), (a, -5)]),
        Err(DomainError::Unbalanced { sum: 0 })
    );
    assert!(Postings::new(&[(a, i64::MAX), (LedgerAccount::Fees, 1)]).is_err());
}
