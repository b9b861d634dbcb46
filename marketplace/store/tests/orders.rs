//! Orders, money and the audit log on the real databases: ORD-2, ORD-4..6,
//! SET-1..6, LED-1..5, ACC-3, POD-1, KEY-1, DOC-3.
//!
//! Over 500 lines: the cases run on two databases through one list.

mod common;

use common::*;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use veilbourse_domain::{
    Digest, DomainError, MinorUnits,
    id::{CashRequestId, LeaseToken, MachineId, Nonce, SessionId, TransferId},
    job::LEASE_MILLIS,
    ledger::{LedgerAccount, TransferKind},
    listing::ListingStep,
    order::OrderState,
    ports::{AuditLog, Identities, LedgerPort, ListingFilter, Listings, OrderFilter, Orders},
    records::{BlobKind, DocumentKind, PageRequest, Placement, Session},
};
use veilbourse_store::SqlStore;

const GOOD_DAY: [&str; 8] = [
    "place", "lease", "put", "hand in", "verify", "grant", "open", "deliver",
];

async fn posted(s: &SqlStore, n: u8) -> i64 {
    s.balance(LedgerAccount::User(account(n)))
        .await
        .expect("balance")
        .posted
}

#[tokio::test(flavor = "multi_thread")]
async fn the_good_day() {
    for place in Place::each("good_day").await {
        let s = market(&place.url, 2_000).await;
        for w in GOOD_DAY {
            assert!(step(&s, 1, w, 100).await.expect(w).is_some(), "{w}");
            invariants(&s).await;
        }
        // SET-4: 1001 = floor(25.025) + 300 + 676.
        assert_eq!(posted(&s, BUYER).await, 2_000 - PRICE);
        assert_eq!(
            (posted(&s, CUSTODIAN).await, posted(&s, OPERATOR).await),
            (676, 300)
        );
        assert_eq!(
            s.balance(LedgerAccount::Fees).await.expect("fees").posted,
            25
        );
        assert_eq!(
            s.balance(LedgerAccount::World).await.expect("world").posted,
            -2_000
        );
        let id = placing(1).order.id;
        assert_eq!(s.blob(id, BlobKind::SealedResult, 0).await, Ok(vec![3; 80]));
        assert_eq!(s.blob(id, BlobKind::SealedModel, 0).await, Ok(vec![1; 40]));
        assert_eq!(
            s.document(id, DocumentKind::Grant).await,
            Ok(signed("grant", 1))
        );
        s.save_receipt(id, signed("receipt", 1), 200)
            .await
            .expect("once");
        s.save_receipt(id, signed("receipt", 1), 200)
            .await
            .expect("the same again");
        assert_eq!(
            s.save_receipt(id, signed("receipt", 2), 200).await,
            Err(DomainError::AlreadyDecided { what: "receipt" })
        );
        // KEY-3: the same delivery again is answered; another one is refused.
        assert!(step(&s, 1, "deliver", 300).await.is_ok());
        let grant = signed("grant", 1).digest;
        let other = s.deliver(id, grant, signed("other", 1), vec![], 300).await;
        assert!(matches!(
            other,
            Err(DomainError::OrderState {
                found: "released",
                ..
            })
        ));
        for w in ["submit", "verify", "reject", "grant", "refuse", "decline"] {
            let again = step(&s, 1, w, 300).await;
            assert!(
                matches!(again, Err(DomainError::OrderState { .. })),
                "ORD-5: {w} {again:?}"
            );
        }
        invariants(&s).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replays_and_empty_purses() {
    for place in Place::each("replays").await {
        let s = market(&place.url, PRICE + 10).await;
        let first = s.place_order(placing(1), 100).await.expect("placed");
        assert!(matches!(first, Placement::New(_)));
        // ORD-2: the same order again moves nothing.
        let again = s.place_order(placing(1), 101).await.expect("idempotent");
        assert!(matches!(again, Placement::Existing(_)));
        let digest = placing(1).order.terms.digest;
        let found = s.placed_before(digest, account(BUYER)).await;
        assert_eq!(found, Ok(Some(again.into_order())));
        assert_eq!(s.placed_before(digest, account(ADMIN)).await, Ok(None));
        let mut replay = placing(2);
        replay.order.terms.nonce = Nonce([1; 32]);
        assert_eq!(
            s.place_order(replay, 102).await,
            Err(DomainError::NonceReplayed)
        );
        // SET-1: nothing is stored.
        let poor = s.place_order(placing(3), 103).await;
        let (available, needed) = (money(10), money(PRICE));
        assert_eq!(
            poor,
            Err(DomainError::InsufficientFunds { available, needed })
        );
        invariants(&s).await;
        assert_eq!(s.count("orders").await, Ok(1));
        // ORD-3, ORD-1 once more inside the transaction.
        fund(&s, 2, 5_000).await.expect("richer");
        s.update_policy(
            listing_id(),
            policy(2),
            signed("policy", 2),
            "account:c",
            104,
        )
        .await
        .expect("DOC-3");
        assert_eq!(
            s.place_order(placing(3), 105).await,
            Err(DomainError::PolicyVersionDiffers {
                expected: 2,
                found: 1
            })
        );
        let mut fresh = placing(3);
        fresh.order.terms.policy_version = 2;
        fresh.order.values = 47;
        assert_eq!(
            s.place_order(fresh.clone(), 106).await,
            Err(DomainError::QuotaExceeded {
                what: "values",
                left: 46,
                needed: 47
            })
        );
        fresh.order.values = 46;
        s.revoke_key(account(BUYER), fresh.order.terms.signer, 107)
            .await
            .expect("revoked");
        assert_eq!(
            s.place_order(fresh, 108).await,
            Err(DomainError::SigningKeyUnknown)
        );
        invariants(&s).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refunds() {
    for place in Place::each("refunds").await {
        let s = market(&place.url, 10 * PRICE).await;
        let ways: [&[&str]; 2] = [
            &["place", "lease", "submit", "reject"],
            &["place", "lease", "submit", "verify", "grant", "refuse"],
        ];
        for (n, way) in (1u8..).zip(ways) {
            for w in way {
                step(&s, n, w, 100).await.expect(w);
            }
            invariants(&s).await;
        }
        // ORD-6: leases lapse, attempts are bounded; a late pod is refused.
        step(&s, 3, "place", 100).await.expect("placed");
        let mut now = 100;
        for _ in 0..3 {
            step(&s, 3, "lease", now)
                .await
                .expect("leased")
                .expect("there is one");
            step(&s, 3, "heartbeat", now + 10).await.expect("alive");
            now += LEASE_MILLIS + 10;
            assert_eq!(
                step(&s, 3, "submit", now).await,
                Err(DomainError::StaleLease)
            );
            assert_eq!(s.sweep(now, 10).await.expect("swept").len(), 1);
        }
        assert_eq!(step(&s, 3, "lease", now).await, Ok(None));
        // SET-5: deadlines, but not of what is opening.
        step(&s, 4, "place", now).await.expect("placed");
        for w in ["place", "lease", "submit", "verify", "grant"] {
            let n = 5;
            if w == "lease" {
                // Number 4 is older: it is handed out first.
                step(&s, 4, "lease", now).await.expect("leased");
            }
            step(&s, n, w, now).await.expect(w);
        }
        let swept = s.sweep(DEADLINE, 10).await.expect("swept");
        assert_eq!(swept.len(), 1);
        assert_eq!(swept[0].id, placing(4).order.id);
        assert_eq!(
            s.order(placing(5).order.id)
                .await
                .expect("there")
                .state
                .name(),
            "opening"
        );
        step(&s, 5, "deliver", DEADLINE + 5)
            .await
            .expect("a delivery may be late");
        invariants(&s).await;
        assert_eq!(posted(&s, BUYER).await, 9 * PRICE);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn races() {
    for place in Place::each("races").await {
        let s = market(&place.url, 10 * PRICE).await;
        // Double placing: one new.
        let both = futures::future::join_all((0..6).map(|_| s.place_order(placing(1), 100))).await;
        let new = both
            .iter()
            .filter(|r| matches!(r, Ok(Placement::New(_))))
            .count();
        assert_eq!(
            (new, both.iter().filter(|r| r.is_ok()).count()),
            (1, 6),
            "{both:?}"
        );
        // Two processes of a pod: one lease.
        let leases = futures::future::join_all(
            (0..6u8).map(|i| s.lease_evaluation(pod(), LeaseToken([i; 32]), 100)),
        )
        .await;
        let won: Vec<_> = leases
            .iter()
            .enumerate()
            .filter(|(_, r)| matches!(r, Ok(Some(_))))
            .collect();
        assert_eq!(won.len(), 1, "{leases:?}");
        let winner = LeaseToken([u8::try_from(won[0].0).expect("small"); 32]);
        // ORD-6: only the current token submits.
        let id = placing(1).order.id;
        for i in 0..6u8 {
            let put = s
                .put_output(id, pod(), LeaseToken([i; 32]), 0, output(i), 105)
                .await;
            assert_eq!(put.is_ok(), i == winner.0[0], "{put:?}");
        }
        let tries = futures::future::join_all((0..6u8).map(|i| {
            s.submit(
                id,
                pod(),
                LeaseToken([i; 32]),
                signed("submission", i),
                1,
                110,
            )
        }))
        .await;
        assert_eq!(tries.iter().filter(|r| r.is_ok()).count(), 1);
        let OrderState::Evaluated(e) = s.order(id).await.expect("there").state else {
            panic!("not evaluated")
        };
        assert_eq!(e.submission, signed("submission", winner.0[0]).digest);
        for w in ["verify", "grant"] {
            step(&s, 1, w, 120).await.expect(w);
        }
        // Delivery against refusal: one end (SET-6), posted once.
        let (a, b) = tokio::join!(step(&s, 1, "deliver", 130), step(&s, 1, "refuse", 130));
        assert_ne!(a.is_ok(), b.is_ok(), "{a:?} {b:?}");
        invariants(&s).await;
        // One nonce of a machine.
        let uses =
            futures::future::join_all((0..6).map(|_| s.use_nonce(pod(), Nonce([1; 32]), 500, 100)))
                .await;
        assert_eq!(uses.iter().filter(|r| r.is_ok()).count(), 1);
        assert!(
            uses.iter()
                .flat_map(|r| r.as_ref().err())
                .all(|e| *e == DomainError::NonceReplayed)
        );
        // At its end the statement is still accepted, so the nonce is still known.
        let again = s.use_nonce(pod(), Nonce([1; 32]), 900, 500).await;
        assert_eq!(again, Err(DomainError::NonceReplayed));
        assert_eq!(s.use_nonce(pod(), Nonce([1; 32]), 900, 501).await, Ok(()));
        // One deposit an idempotency key (LED-4).
        let asked = futures::future::join_all((0..6u8).map(|i| {
            let (id, t) = (CashRequestId::new(9, [i; 10]), TransferId::new(9, [i; 10]));
            s.request_cash(
                id,
                t,
                TransferKind::Deposit,
                account(BUYER),
                money(7),
                "k",
                140,
            )
        }))
        .await;
        let ids: std::collections::BTreeSet<_> = asked
            .iter()
            .map(|r| r.as_ref().expect("answered").id)
            .collect();
        assert_eq!(ids.len(), 1);
        invariants(&s).await;
    }
}

/// Walks a way through an order's life, stopping each transaction at each of
/// its steps in turn (also after its commit); after each stop the invariants
/// hold, and the same call, made again as after a restart, goes on.
async fn crash_walk(url: &str, way: &[&'static str]) -> u32 {
    let s = market(url, 10 * PRICE).await;
    let mut stops = 0;
    for w in way {
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
            let done = step(&failing, 1, w, 100).await;
            let stopped = hit.load(Ordering::SeqCst);
            invariants(&s).await;
            match stopped {
                0 => {
                    done.expect("the whole transaction");
                    break;
                }
                1 => {
                    assert!(
                        matches!(done, Err(DomainError::Storage { .. })),
                        "{w} {k} {done:?}"
                    );
                    stops += 1;
                }
                _ => {
                    // Committed, the answer lost: asking again moves nothing twice.
                    stops += 1;
                    let before = s.count("audit_log").await;
                    let again = step(&s, 1, w, 100).await;
                    let idle = matches!(again, Ok(None) | Err(DomainError::OrderState { .. }));
                    assert!(idle || again.is_ok(), "{w} {again:?}");
                    assert_eq!(s.count("audit_log").await, before, "{w} wrote twice");
                    break;
                }
            }
        }
    }
    let end = s.order(placing(1).order.id).await.expect("there");
    assert!(end.state.terminal(), "SET-6: {}", end.state.name());
    stops
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_at_every_step() {
    let ways: [&[&'static str]; 3] = [
        &GOOD_DAY,
        &["place", "lease", "put", "hand in", "reject"],
        &[
            "place", "lease", "put", "hand in", "verify", "grant", "refuse",
        ],
    ];
    for (i, way) in ways.iter().enumerate() {
        for place in Place::each(&format!("crash{i}")).await {
            let stops = crash_walk(&place.url, way).await;
            assert!(stops > 60, "only {stops} stops");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_pods_order_is_not_found() {
    // ACC-6: answered like one that is not there.
    for place in Place::each("strangers").await {
        let s = market(&place.url, 10 * PRICE).await;
        for w in ["place", "lease"] {
            step(&s, 1, w, 100).await.expect(w);
        }
        let missing = DomainError::NotFound { what: "order" };
        for id in [placing(1).order.id, placing(2).order.id] {
            let other = MachineId::new(6, [6; 10]);
            let beat = s.heartbeat(id, other, TOKEN, "x", 1, 100).await;
            assert_eq!(beat, Err(missing.clone()));
            let back = s.decline(id, other, TOKEN, "x", 100).await;
            assert_eq!(back, Err(missing.clone()));
            let submitted = s.submit(id, other, TOKEN, signed("s", 1), 1, 100).await;
            assert_eq!(submitted, Err(missing.clone()));
            let put = s.put_output(id, other, TOKEN, 0, output(1), 100).await;
            assert_eq!(put, Err(missing.clone()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deposits_and_withdrawals() {
    // LED-2, LED-4
    for place in Place::each("cash").await {
        let s = market(&place.url, 100).await;
        let (id, t) = (CashRequestId::new(7, [7; 10]), TransferId::new(7, [7; 10]));
        let ask = |amount: MinorUnits| {
            s.request_cash(
                id,
                t,
                TransferKind::Withdrawal,
                account(BUYER),
                amount,
                "w",
                10,
            )
        };
        assert!(matches!(
            ask(money(101)).await,
            Err(DomainError::InsufficientFunds { .. })
        ));
        ask(money(60)).await.expect("reserved");
        assert_eq!(ask(money(60)).await.expect("the same").id, id);
        assert!(matches!(
            ask(money(61)).await,
            Err(DomainError::IdempotencyMismatch { .. })
        ));
        assert_eq!(
            s.decide_cash(id, account(BUYER), true, "", 11).await,
            Err(DomainError::OwnRequest)
        );
        let b = s
            .balance(LedgerAccount::User(account(BUYER)))
            .await
            .expect("balance");
        assert_eq!((b.posted, b.available()), (100, 40));
        s.decide_cash(id, account(ADMIN), false, "no", 12)
            .await
            .expect("refused");
        assert_eq!(
            s.decide_cash(id, account(ADMIN), true, "", 13).await,
            Err(DomainError::AlreadyDecided { what: "request" })
        );
        assert_eq!(posted(&s, BUYER).await, 100);
        invariants(&s).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_tokens_rotate() {
    // ACC-3
    for place in Place::each("tokens").await {
        let s = market(&place.url, 0).await;
        let id = SessionId::new(1, [1; 10]);
        let session = Session {
            id,
            account: account(BUYER),
            created_at: 1,
            expires_at: 1_000,
            revoked_at: None,
            last_seen_at: 1,
            agent: "a test".into(),
            address: "here".into(),
        };
        let h = |n: u8| Digest([n; 32]);
        s.open_session(&session, h(1)).await.expect("opened");
        assert_eq!(
            s.rotate_refresh(h(1), h(2), 10).await.expect("rotated").id,
            id
        );
        assert!(s.session_live(id, 20).await.expect("asked"));
        assert_eq!(
            s.rotate_refresh(h(1), h(3), 20).await,
            Err(DomainError::TokenReused)
        );
        assert!(!s.session_live(id, 21).await.expect("asked"));
        let revoked = DomainError::TokenInvalid { reason: "revoked" };
        assert_eq!(s.rotate_refresh(h(2), h(4), 30).await, Err(revoked));
        let unknown = DomainError::TokenInvalid { reason: "unknown" };
        assert_eq!(s.rotate_refresh(h(9), h(4), 30).await, Err(unknown));
        s.open_session(
            &Session {
                id: SessionId::new(2, [2; 10]),
                ..session
            },
            h(5),
        )
        .await
        .expect("opened");
        let expired = DomainError::TokenInvalid { reason: "expired" };
        assert_eq!(s.rotate_refresh(h(5), h(6), 1_000).await, Err(expired));
        assert_eq!(s.revoke_sessions(account(BUYER), None, 40).await, Ok(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_pages_and_searches() {
    for place in Place::each("lists").await {
        let s = market(&place.url, 50 * PRICE).await;
        for n in 1..=5 {
            step(&s, n, "place", 100).await.expect("placed");
        }
        let mut after = None;
        let mut seen = Vec::new();
        loop {
            let page = PageRequest::new(2, after.clone()).expect("in range");
            let filter = OrderFilter {
                party: Some(account(BUYER)),
                state: None,
            };
            let found = s.orders(&filter, &page).await.expect("listed");
            after = found.items.last().map(|i| i.0.clone());
            let more = found.more;
            seen.extend(found.into_items().into_iter().map(|o| o.id));
            if !more {
                break;
            }
        }
        let mut sorted = seen.clone();
        sorted.sort_by(|a, b| b.cmp(a));
        sorted.dedup();
        assert_eq!((seen.len(), &seen), (5, &sorted));
        let page = PageRequest::new(10, None).expect("in range");
        let find = async |words: &str| {
            let f = ListingFilter {
                search: Some(words.into()),
                ..Default::default()
            };
            s.listings(&f, &page).await.expect("found").items.len()
        };
        assert_eq!((find("INSURANCE health").await, find("bank").await), (1, 0));
        // Wildcards of the pattern are text.
        assert_eq!(
            (find("100%").await, find("c_r").await, find("%t%").await),
            (1, 1, 0)
        );
        assert_eq!(find("' OR 1=1 --").await, 0);
        s.step_listing(listing_id(), ListingStep::Pause, None, "a", 200)
            .await
            .expect("paused");
        let closed = s.place_order(placing(9), 201).await;
        assert_eq!(closed, Err(DomainError::ListingClosed { state: "paused" }));
        let missing = s.machine(MachineId::new(8, [8; 10])).await;
        assert_eq!(missing, Err(DomainError::NotFound { what: "machine" }));
        // LED-5: the log is read as it was written, and damage is noticed.
        let (length, _) = s.audit_check().await.expect("whole").expect("not empty");
        let records = s
            .audit(&PageRequest::new(100, None).expect("ok"))
            .await
            .expect("read");
        assert_eq!(records.items.len() as u64, length);
        sea_orm::ConnectionTrait::execute_unprepared(
            s.connection(),
            "UPDATE audit_log SET details = '{}' WHERE sequence = 3",
        )
        .await
        .expect("tampered");
        let broken = s.audit_check().await;
        assert!(
            matches!(broken, Err(DomainError::AuditBroken { sequence: 3, .. })),
            "{broken:?}"
        );
        // LED-1: so is a posting that was changed.
        sea_orm::ConnectionTrait::execute_unprepared(
            s.connection(),
            "UPDATE ledger_accounts SET posted = posted + 1 WHERE account = 'world'",
        )
        .await
        .expect("tampered");
        assert!(matches!(
            s.ledger_check().await,
            Err(DomainError::LedgerBroken { .. })
        ));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_account_does_not_freeze_the_ledger() {
    // LED-1, LED-4: somebody without money asks for as much as is taken.
    use veilbourse_domain::ledger::{MAX_OPEN_AMOUNT, MAX_OPEN_REQUESTS};
    for place in Place::each("freeze").await {
        let s = market(&place.url, 10 * PRICE).await;
        let ask = async |n: u8, amount: i64| {
            s.request_cash(
                CashRequestId::new(7, [n; 10]),
                TransferId::new(7, [n; 10]),
                TransferKind::Deposit,
                account(OPERATOR),
                money(amount),
                &n.to_string(),
                10,
            )
            .await
        };
        let over = ask(100, MAX_OPEN_AMOUNT + 1).await;
        assert!(
            matches!(over, Err(DomainError::CashPending { .. })),
            "{over:?}"
        );
        let most = u8::try_from(MAX_OPEN_REQUESTS).expect("few");
        for n in 0..most {
            let amount = if n == 0 { MAX_OPEN_AMOUNT - 100 } else { 1 };
            ask(n, amount).await.expect("within both limits");
        }
        let ninth = ask(most, 1).await;
        assert_eq!(
            ninth,
            Err(DomainError::CashPending {
                what: "requests",
                limit: MAX_OPEN_REQUESTS,
                value: MAX_OPEN_REQUESTS + 1
            })
        );
        // The same key is still answered.
        assert!(ask(0, MAX_OPEN_AMOUNT - 100).await.is_ok());
        invariants(&s).await;
        // As full as `world` can be, by whatever way: the sums hold, others go on.
        let full =
            "UPDATE ledger_accounts SET pending_out = 9223372036854775807 WHERE account = 'world'";
        let rest = i64::MAX - (MAX_OPEN_AMOUNT - 100 + 7);
        let other = format!(
            "INSERT INTO ledger_accounts (account, posted, pending_out, pending_in) VALUES ('user:{}', 0, 0, {rest})",
            account(77)
        );
        for sql in [full, other.as_str()] {
            sea_orm::ConnectionTrait::execute_unprepared(s.connection(), sql)
                .await
                .expect("filled");
        }
        for w in GOOD_DAY {
            step(&s, 1, w, 100).await.expect(w);
        }
        step(&s, 2, "place", 100).await.expect("placed");
        assert_eq!(s.sweep(DEADLINE, 10).await.expect("swept").len(), 1);
        // A deposit that does not fit any more is refused alone; decided ones make room.
        assert!(matches!(
            fund(&s, 9, 5).await,
            Err(DomainError::Amount { .. })
        ));
        let id = CashRequestId::new(7, [0; 10]);
        s.decide_cash(id, account(ADMIN), false, "no", 20)
            .await
            .expect("refused");
        fund(&s, 9, 5).await.expect("there is room");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_cannot_end_stops_no_other() {
    // SET-5: the oldest two are damaged; a sweep takes one at a time.
    for place in Place::each("damaged").await {
        let s = market(&place.url, 10 * PRICE).await;
        for n in 1..=4 {
            step(&s, n, "place", 100).await.expect("placed");
        }
        for n in 1..=2 {
            let sql = format!(
                "UPDATE orders SET state = 'verified' WHERE id = '{}'",
                placing(n).order.id
            );
            sea_orm::ConnectionTrait::execute_unprepared(s.connection(), &sql)
                .await
                .expect("damaged");
        }
        for n in 3..=4 {
            let swept = s.sweep(DEADLINE, 1).await.expect("goes on");
            let ids: Vec<_> = swept.iter().map(|o| o.id).collect();
            assert_eq!(ids, [placing(n).order.id]);
        }
        assert!(s.sweep(DEADLINE, 1).await.expect("nothing").is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blocked_writers_do_not_stop_reads() {
    // PostgreSQL alone: SQLite's readers never wait for its one writer.
    use sea_orm::{ConnectionTrait, TransactionTrait};
    if let Some(place) = Place::postgres("blocked").await {
        let s = SqlStore::connect(&place.url, 1).await.expect("connects");
        let other = sea_orm::Database::connect(&place.url)
            .await
            .expect("connects");
        let lock = other.begin().await.expect("begun");
        lock.execute_unprepared("LOCK TABLE audit_log IN EXCLUSIVE MODE")
            .await
            .expect("locked");
        let writes =
            futures::future::join_all((0..6).map(|n| s.use_nonce(pod(), Nonce([n; 32]), 500, 100)));
        let reads = async {
            for _ in 0..20 {
                let read = s.balance(LedgerAccount::World);
                let wait = std::time::Duration::from_secs(4);
                let found = tokio::time::timeout(wait, read).await.expect("in time");
                assert!(found.is_ok());
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        let (refused, ()) = tokio::join!(writes, reads);
        let busy = Err(DomainError::Conflict { what: "busy store" });
        assert!(refused.iter().all(|r| *r == busy), "{refused:?}");
        lock.rollback().await.expect("unlocked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unused_quotes_are_forgotten() {
    for place in Place::each("quotes").await {
        let s = market(&place.url, 10 * PRICE).await;
        let used = s.quote(signed("quote", 0).digest).await.expect("stored");
        for (n, expiry) in [(1u8, DEADLINE), (2, DEADLINE + 1_000)] {
            let mut q = used.clone();
            q.signed = signed("quote", n);
            q.terms.digest = q.signed.digest;
            q.terms.id = veilbourse_domain::id::QuoteId::new(9, [n; 10]);
            q.terms.expiry = expiry;
            s.save_quote(&q).await.expect("stored");
        }
        step(&s, 1, "place", 100).await.expect("placed");
        let day = 24 * 3_600_000;
        s.sweep(DEADLINE + day, 10).await.expect("swept");
        assert_eq!(s.count("quotes").await, Ok(3), "kept for a day");
        s.sweep(DEADLINE + day + 1, 10).await.expect("swept");
        assert_eq!(s.count("quotes").await, Ok(2));
        s.sweep(DEADLINE + day + 1_001, 10).await.expect("swept");
        assert!(s.quote(signed("quote", 0).digest).await.is_ok());
        assert_eq!(
            s.quote(signed("quote", 2).digest).await,
            Err(DomainError::QuoteUnknown)
        );
        // Placing under one that went meanwhile is refused.
        let mut late = placing(2);
        late.order.terms.quote = signed("quote", 2).digest;
        assert_eq!(
            s.place_order(late, 200).await,
            Err(DomainError::QuoteUnknown)
        );
        invariants(&s).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_is_checked_in_pages_beside_a_writer() {
    // LED-1: more postings than a page; a writer at work does not hold it up.
    use sea_orm::TransactionTrait;
    for place in Place::each("pages").await {
        let s = market(&place.url, 0).await;
        for n in 0..120u8 {
            fund(&s, n, 10).await.expect("funded");
        }
        let writing = s.connection().begin().await.expect("begun");
        sea_orm::ConnectionTrait::execute_unprepared(
            &writing,
            "UPDATE ledger_accounts SET posted = posted",
        )
        .await
        .expect("writes");
        let wait = std::time::Duration::from_secs(5);
        let report = tokio::time::timeout(wait, s.ledger_check())
            .await
            .expect("does not wait")
            .expect("LED-1");
        assert_eq!((report.transfers, report.accounts), (120, 2));
        writing.rollback().await.expect("ended");
        // A posting of the second page was changed.
        sea_orm::ConnectionTrait::execute_unprepared(
            s.connection(),
            "UPDATE postings SET amount = 11 WHERE amount > 0 AND transfer = (SELECT MAX(id) FROM transfers)",
        )
        .await
        .expect("tampered");
        assert!(matches!(
            s.ledger_check().await,
            Err(DomainError::LedgerBroken { .. })
        ));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_belong_to_their_lease() {
    // POD-1, ORD-6: nothing of a declined or lapsed lease stays or is handed in.
    for place in Place::each("outputs").await {
        let s = market(&place.url, 10 * PRICE).await;
        let id = placing(1).order.id;
        let parts = async || s.count("order_blobs").await.expect("counted");
        for w in ["place", "lease", "put", "put"] {
            step(&s, 1, w, 100).await.expect(w);
        }
        assert_eq!(parts().await, 3, "the sealed model and one output");
        let two = s
            .submit(id, pod(), TOKEN, signed("submission", 1), 2, 100)
            .await;
        let name = "output-1".to_owned();
        assert_eq!(two, Err(DomainError::ObjectIncomplete { name }));
        step(&s, 1, "decline", 100).await.expect("declined");
        assert_eq!(parts().await, 1);
        let none = step(&s, 1, "put", 100).await;
        assert_eq!(none, Err(DomainError::StaleLease));
        for w in ["lease", "put"] {
            step(&s, 1, w, 100).await.expect(w);
        }
        s.sweep(100 + LEASE_MILLIS, 10).await.expect("swept");
        assert_eq!(parts().await, 1);
        let now = 100 + LEASE_MILLIS;
        step(&s, 1, "lease", now).await.expect("leased");
        let bare = step(&s, 1, "hand in", now).await;
        let name = "output-0".to_owned();
        assert_eq!(bare, Err(DomainError::ObjectIncomplete { name }));
        step(&s, 1, "put", now).await.expect("put");
        step(&s, 1, "hand in", now).await.expect("taken");
        assert_eq!(
            s.blob(id, BlobKind::Envelope, 0).await,
            Ok(output(1).envelope)
        );
        // What was taken is not changed any more.
        assert_eq!(step(&s, 1, "put", now).await, Err(DomainError::StaleLease));
        step(&s, 1, "reject", now).await.expect("rejected");
        let page = PageRequest::new(100, None).expect("in range");
        let log = s.audit(&page).await.expect("read").into_items();
        let against = format!("machine:{}", pod());
        assert!(
            log.iter()
                .any(|r| r.entry.action == "machine.rejected" && r.entry.subject == against)
        );
        invariants(&s).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_settles_first_and_no_pod_waits_for_another() {
    for place in Place::each("settling").await {
        let s = market(&place.url, 20 * PRICE).await;
        let other = veilbourse_domain::records::Machine {
            id: MachineId::new(6, [6; 10]),
            signing_key: veilbourse_domain::id::PublicKey([66; 32]),
            decision: veilbourse_domain::records::Decision::Pending,
            reason: String::new(),
            ..s.machine(pod()).await.expect("there")
        };
        s.register_machine(&other, 50).await.expect("registered");
        s.decide_machine(other.id, account(ADMIN), true, "", 51)
            .await
            .expect("approved");
        // Nine of the one pod, then the youngest of the other.
        for n in 1..=9 {
            for w in ["place", "lease", "submit"] {
                step(&s, n, w, 100).await.expect(w);
            }
        }
        step(&s, 1, "verify", 100).await.expect("verified");
        let mut late = placing(10);
        late.order.terms.pod = other.id;
        let id = late.order.id;
        s.place_order(late, 100).await.expect("placed");
        s.lease_evaluation(other.id, TOKEN, 100)
            .await
            .expect("leased");
        s.put_output(id, other.id, TOKEN, 0, output(1), 100)
            .await
            .expect("put");
        s.submit(id, other.id, TOKEN, signed("submission", 10), 1, 100)
            .await
            .expect("taken");
        let waiting = s.settling(2).await.expect("asked");
        let found: Vec<_> = waiting.iter().map(|o| o.id).collect();
        let want: Vec<_> = [1, 2, 10].map(|n| placing(n).order.id).into();
        assert_eq!(found, want);
    }
}
