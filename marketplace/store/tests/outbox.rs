//! The outbox on the real databases (MAIL-1..3, MAIL-6..8): letters are there
//! exactly with the changes that they tell of, one worker holds one, and what may
//! have been sent is not sent again.
//!
//! Over 500 lines: the cases run on two databases through one list.

mod common;

use common::*;
use sea_orm::ConnectionTrait;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use veilbourse_domain::{
    Digest, DomainError, Result,
    id::{CashRequestId, LeaseToken, ListingId, MailId, TransferId},
    ledger::TransferKind,
    listing::{Listing, ListingState, ListingStep},
    mail::{
        MAIL_ATTEMPTS, MAIL_LEASE_MILLIS, MailFilter, MailKind, MailRecord, MailState, Outbox,
        Preferences, next_try,
    },
    ports::{AuditLog, Identities, LedgerPort, Listings, Orders},
    records::PageRequest,
};
use veilbourse_store::SqlStore;

const A: LeaseToken = LeaseToken([1; 32]);
const B: LeaseToken = LeaseToken([2; 32]);

fn counted(all: &[MailRecord]) -> BTreeMap<(MailKind, u8), u32> {
    let mut out = BTreeMap::new();
    for m in all {
        let who = (1..=4).find(|n| m.letter.account == Some(account(*n)));
        *out.entry((m.letter.kind, who.unwrap_or_default()))
            .or_default() += 1;
    }
    out
}

async fn of(s: &SqlStore, kind: MailKind) -> Vec<MailRecord> {
    let all = letters(s).await;
    all.into_iter().filter(|m| m.letter.kind == kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_writes_to_whom_it_concerns() {
    // MAIL-1
    use MailKind as K;
    for place in Place::each("letters").await {
        let s = market(&place.url, 3 * PRICE).await;
        let before = counted(&letters(&s).await);
        let expected = [
            ((K::ListingSubmitted, CUSTODIAN), 1),
            ((K::ListingApproved, CUSTODIAN), 1),
            ((K::CashDecided, BUYER), 1),
            ((K::MachineDecided, OPERATOR), 2),
        ];
        assert_eq!(before, expected.into());
        for w in [
            "place", "lease", "put", "hand in", "verify", "grant", "open", "deliver",
        ] {
            step(&s, 1, w, 100).await.expect(w);
        }
        for w in ["place", "lease", "put", "hand in", "reject"] {
            step(&s, 2, w, 200).await.expect(w);
        }
        let mut after = counted(&letters(&s).await);
        after.retain(|k, _| !before.contains_key(k));
        let expected = [
            ((K::OrderPlaced, BUYER), 2),
            ((K::OrderReceived, CUSTODIAN), 2),
            ((K::OrderReleased, BUYER), 1),
            ((K::OrderEarned, CUSTODIAN), 1),
            ((K::OrderRefunded, BUYER), 1),
        ];
        assert_eq!(after, expected.into());
        let all = letters(&s).await;
        for m in &all {
            assert_eq!(m.state, MailState::Waiting);
            let who = (1..=4).find(|n| m.letter.account == Some(account(*n)));
            assert_eq!(
                m.letter.address,
                format!("u{}@example.org", who.expect("known"))
            );
            assert_eq!((m.attempts, m.due_at), (0, m.created_at));
        }
        let refunded = &of(&s, K::OrderRefunded).await[0].letter.facts;
        assert_eq!(
            (refunded["reason"].as_str(), refunded["detail"].as_str()),
            (Some("rejected"), Some("LES-4"))
        );
        let earned = &of(&s, K::OrderEarned).await[0].letter.facts;
        assert_eq!(
            (earned["earns"].as_str(), earned["values"].as_u64()),
            (Some("676"), Some(4))
        );
        // Filters and pages.
        let one = MailFilter {
            account: Some(account(OPERATOR)),
            ..MailFilter::default()
        };
        let first = PageRequest::new(1, None).expect("in range");
        let page = s.mails(&one, &first).await.expect("listed");
        assert!(page.more && page.items.len() == 1);
        let next = PageRequest::new(1, Some(page.items[0].0.clone())).expect("in range");
        let page = s.mails(&one, &next).await.expect("listed");
        assert!(!page.more && page.items.len() == 1);
        let to = MailFilter {
            address: Some(format!("u{BUYER}@example.org")),
            state: Some(MailState::Waiting),
            account: None,
        };
        let page = PageRequest::new(100, None).expect("in range");
        assert_eq!(s.mails(&to, &page).await.expect("listed").items.len(), 5);
    }
}

/// Stops a change at each of its steps in turn; its letter is there exactly when
/// the change is.
async fn with_and_without<F>(
    s: &SqlStore,
    changed: impl AsyncFn(&SqlStore) -> bool,
    change: F,
) -> u32
where
    F: AsyncFn(&SqlStore) -> Result<()>,
{
    let before = letters(s).await.len();
    assert!(!changed(s).await);
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
        let done = change(&failing).await;
        let more = letters(s).await.len() - before;
        match hit.load(Ordering::SeqCst) {
            // MAIL-1: neither, or both.
            1 => {
                assert!(
                    matches!(done, Err(DomainError::Storage { .. })),
                    "{k} {done:?}"
                );
                assert!(
                    !changed(s).await && more == 0,
                    "step {k} left {more} letters"
                );
            }
            found => {
                assert!(
                    changed(s).await && more == 1,
                    "step {k} left {more} letters"
                );
                assert!(found == 2 || done.is_ok());
                return k;
            }
        }
    }
    unreachable!("a transaction has an end")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_there_exactly_when_its_change_is() {
    // MAIL-1; orders are walked through in tests/orders.rs
    for place in Place::each("exactly").await {
        let s = market(&place.url, PRICE).await;
        let id = ListingId::new(9, [9; 10]);
        let l = Listing {
            id,
            owner: account(CUSTODIAN),
            title: "Second".into(),
            description: String::new(),
            dataset: Digest([6; 32]),
            created_at: 1,
            updated_at: 1,
            policy: None,
            state: ListingState::Draft,
        };
        s.create_listing(&l, "{}", &[], 1).await.expect("a draft");
        let mut terms = policy(1);
        (terms.listing, terms.dataset) = (id, l.dataset);
        let state = |wanted: &'static str| {
            async move |s: &SqlStore| s.listing(id).await.expect("there").state.name() == wanted
        };
        let by = account(ADMIN);
        let first = Some((terms, signed("policy", 9)));
        let stops = with_and_without(&s, state("submitted"), async |s| {
            s.step_listing(id, ListingStep::Submit, first.clone(), "a", 2)
                .await
                .map(drop)
        })
        .await;
        assert!(stops > 4, "{stops}");
        let reason = "the twin is missing".to_owned();
        with_and_without(&s, state("rejected"), async |s| {
            let reject = ListingStep::Reject {
                by,
                reason: reason.clone(),
            };
            s.step_listing(id, reject, None, "a", 3).await.map(drop)
        })
        .await;
        assert_eq!(
            of(&s, MailKind::ListingRejected).await[0].letter.facts["reason"],
            reason.as_str()
        );
        with_and_without(&s, state("submitted"), async |s| {
            s.step_listing(id, ListingStep::Submit, None, "a", 4)
                .await
                .map(drop)
        })
        .await;
        with_and_without(&s, state("published"), async |s| {
            s.step_listing(id, ListingStep::Approve { by }, None, "a", 5)
                .await
                .map(drop)
        })
        .await;
        // What owners do themselves is not written about.
        let n = letters(&s).await.len();
        for step in [
            ListingStep::Pause,
            ListingStep::Resume,
            ListingStep::Withdraw,
        ] {
            s.step_listing(id, step, None, "a", 6)
                .await
                .expect("a step");
        }
        assert_eq!(letters(&s).await.len(), n);

        let cash = CashRequestId::new(8, [8; 10]);
        let transfer = TransferId::new(8, [8; 10]);
        s.request_cash(
            cash,
            transfer,
            TransferKind::Withdrawal,
            account(BUYER),
            money(5),
            "w",
            7,
        )
        .await
        .expect("asked");
        let voided = async |s: &SqlStore| {
            s.transfer(transfer).await.expect("there").state.name() == "voided"
        };
        with_and_without(&s, voided, async |s| {
            s.decide_cash(cash, by, false, "no account number", 8)
                .await
                .map(drop)
        })
        .await;
        let told = of(&s, MailKind::CashDecided).await;
        let facts = &told.last().expect("told").letter.facts;
        assert_eq!(
            (facts["what"].as_str(), facts["approved"].as_bool()),
            (Some("withdrawal"), Some(false))
        );

        let off = async |s: &SqlStore| {
            let m = s.machine(pod()).await.expect("there");
            m.decision == veilbourse_domain::records::Decision::Refused
        };
        with_and_without(&s, off, async |s| {
            s.decide_machine(pod(), by, false, "too slow", 9)
                .await
                .map(drop)
        })
        .await;
        // Approved and refused at one moment, each is written about.
        let n = of(&s, MailKind::MachineDecided).await.len();
        for approve in [true, false, true] {
            s.decide_machine(pod(), by, approve, "", 10)
                .await
                .expect("decided");
        }
        assert_eq!(of(&s, MailKind::MachineDecided).await.len(), n + 3);
        invariants(&s).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_written_to_without_an_address() {
    for place in Place::each("no_address").await {
        let s = market(&place.url, PRICE).await;
        let gone = format!(
            "UPDATE accounts SET mail = 'deleted 1' WHERE id = '{}'",
            account(BUYER)
        );
        s.connection().execute_unprepared(&gone).await.expect("run");
        let before = letters(&s).await.len();
        step(&s, 1, "place", 100).await.expect("placed");
        let all = letters(&s).await;
        let kinds: Vec<_> = all[before..].iter().map(|m| m.letter.kind).collect();
        assert_eq!(kinds, [MailKind::OrderReceived]);
    }
}

async fn drain(s: &SqlStore, but: usize) {
    for _ in 0..letters(s).await.len() - but {
        let m = s.claim_mail(A, 1_000).await.expect("asked").expect("one");
        s.settle_mail(m.letter.id, A, MailState::Sent, "", 0, 1_000)
            .await
            .expect("sent");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_has_one_worker_and_its_lease_an_end() {
    // MAIL-2
    for place in Place::each("leases").await {
        let s = market(&place.url, PRICE).await;
        let waiting = letters(&s).await.len();
        // Many workers at once: nobody gets what another has.
        let claims = futures::future::join_all((0..20u8).map(|n| {
            let s = s.clone();
            async move {
                s.claim_mail(LeaseToken([n; 32]), 1_000)
                    .await
                    .expect("asked")
            }
        }))
        .await;
        let ids: Vec<MailId> = claims.iter().flatten().map(|m| m.letter.id).collect();
        let mut unique = ids.clone();
        unique.sort();
        unique.dedup();
        assert_eq!((ids.len(), unique.len()), (waiting, waiting));
        assert_eq!(s.claim_mail(A, 1_000).await, Ok(None));
        assert_eq!(s.mail_due().await, Ok(None));
        // Nothing is lost while the lease holds, all of it after.
        let end = 1_000 + MAIL_LEASE_MILLIS;
        assert_eq!(s.recover_mail(false, end - 1).await, Ok((0, 0)));
        assert_eq!(s.recover_mail(false, end).await, Ok((waiting as u64, 0)));
        let m = s.claim_mail(A, end).await.expect("asked").expect("one");
        assert_eq!((m.attempts, m.state), (2, MailState::Claimed));
        let id = m.letter.id;
        // Another's token, or one whose lease is over, says nothing.
        let stale = Err(DomainError::StaleLease);
        assert_eq!(s.mail_sending(id, B, end).await, stale);
        assert_eq!(s.mail_sending(id, A, end + MAIL_LEASE_MILLIS).await, stale);
        assert_eq!(
            s.settle_mail(id, B, MailState::Sent, "", 0, end).await,
            stale
        );
        s.mail_sending(id, A, end).await.expect("begins");
        assert_eq!(s.mail_sending(id, A, end).await, stale, "once");
        for no in [MailState::Claimed, MailState::Sending] {
            let refused = s.settle_mail(id, A, no, "", 0, end).await;
            let (found, wanted) = (no.name(), "settled");
            assert_eq!(refused, Err(DomainError::MailState { found, wanted }));
        }
        s.settle_mail(id, A, MailState::Sent, "", 0, end + 5)
            .await
            .expect("sent");
        assert_eq!(
            s.settle_mail(id, A, MailState::Failed, "x", 0, end).await,
            stale
        );
        let sent = s.mail(id).await.expect("there");
        assert_eq!((sent.state, sent.sent_at), (MailState::Sent, Some(end + 5)));
        let nobody = MailId::new(1, [99; 10]);
        assert_eq!(
            s.mail(nobody).await,
            Err(DomainError::NotFound { what: "mail" })
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_being_sent_when_its_worker_died_is_not_sent_again() {
    // MAIL-2
    for place in Place::each("never_twice").await {
        let s = market(&place.url, PRICE).await;
        drain(&s, 2).await;
        let claimed = s.claim_mail(A, 2_000).await.expect("asked").expect("one");
        let sending = s.claim_mail(B, 2_000).await.expect("asked").expect("one");
        s.mail_sending(sending.letter.id, B, 2_000)
            .await
            .expect("begins");
        let end = 2_000 + MAIL_LEASE_MILLIS;
        assert_eq!(s.recover_mail(false, end).await, Ok((1, 1)));
        let again = s.claim_mail(A, end).await.expect("asked").expect("one");
        assert_eq!(again.letter.id, claimed.letter.id);
        assert_eq!(s.claim_mail(A, end).await, Ok(None), "the other one is not");
        let lost = s.mail(sending.letter.id).await.expect("there");
        assert_eq!(lost.state, MailState::Unknown);
        assert!(lost.error.contains("handed over"), "{}", lost.error);
        // The worker that was only slow may not say otherwise any more.
        let late = s
            .settle_mail(lost.letter.id, B, MailState::Sent, "", 0, end)
            .await;
        assert_eq!(late, Err(DomainError::StaleLease));
        let counts = s.mail_counts().await.expect("counted");
        assert_eq!((counts.waiting, counts.unknown, counts.failed), (1, 1, 0));
        // Where twice is the same as once, it waits again.
        let m = s.mail(again.letter.id).await.expect("there");
        s.mail_sending(m.letter.id, A, end).await.expect("begins");
        let later = end + MAIL_LEASE_MILLIS;
        assert_eq!(s.recover_mail(true, later).await, Ok((1, 0)));
        assert_eq!(
            s.mail(m.letter.id).await.expect("there").state,
            MailState::Waiting
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_are_spaced_and_end_and_an_admin_decides() {
    // MAIL-3
    for place in Place::each("tries").await {
        let s = market(&place.url, PRICE).await;
        drain(&s, 1).await;
        let mut now = 2_000;
        let id = loop {
            let m = s.claim_mail(A, now).await.expect("asked").expect("due");
            let Some(wait) = next_try(m.attempts) else {
                assert_eq!(m.attempts, MAIL_ATTEMPTS);
                let why = "x".repeat(9_000);
                s.settle_mail(m.letter.id, A, MailState::Failed, &why, 0, now)
                    .await
                    .expect("noted");
                break m.letter.id;
            };
            let due = now + wait;
            s.settle_mail(m.letter.id, A, MailState::Waiting, "busy", due, now)
                .await
                .expect("noted");
            assert_eq!(
                s.claim_mail(A, due - 1).await,
                Ok(None),
                "not before its time"
            );
            assert_eq!(s.mail_due().await, Ok(Some(due)));
            now = due;
        };
        let failed = s.mail(id).await.expect("there");
        assert_eq!((failed.state, failed.error.len()), (MailState::Failed, 500));
        assert_eq!(s.mail_counts().await.expect("counted").failed, 1);
        let admin = account(ADMIN);
        let sent = letters(&s)
            .await
            .iter()
            .find(|m| m.state == MailState::Sent)
            .map(|m| m.letter.id);
        let refused = s.decide_mail(sent.expect("one"), admin, true, now).await;
        let (found, wanted) = ("sent", "waiting");
        assert_eq!(refused, Err(DomainError::MailState { found, wanted }));
        let again = s.decide_mail(id, admin, true, now).await.expect("decided");
        assert_eq!((again.state, again.attempts), (MailState::Waiting, 0));
        let m = s
            .claim_mail(A, now)
            .await
            .expect("asked")
            .expect("due at once");
        s.settle_mail(m.letter.id, A, MailState::Unknown, "no answer", 0, now)
            .await
            .expect("noted");
        let aside = s.decide_mail(id, admin, false, now).await.expect("decided");
        assert_eq!(aside.state, MailState::Dismissed);
        let (found, wanted) = ("dismissed", "dismissed");
        let twice = s.decide_mail(id, admin, false, now).await;
        assert_eq!(twice, Err(DomainError::MailState { found, wanted }));
        let mut actions = Vec::new();
        let page = PageRequest::new(100, None).expect("in range");
        for r in s.audit(&page).await.expect("kept").into_items() {
            if r.entry.subject == format!("mail:{id}") {
                actions.push(r.entry.action);
            }
        }
        assert_eq!(actions, ["mail.retry", "mail.dismiss"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_runs_low_is_told_once_a_policy_version() {
    // MAIL-7
    for place in Place::each("budgets").await {
        let s = market(&place.url, 20 * PRICE).await;
        // 50 values: 45 used leave five, which is a tenth; 48 leave two.
        for n in 1..=11 {
            step(&s, n, "place", 100).await.expect("placed");
        }
        assert_eq!(of(&s, MailKind::BudgetLow).await.len(), 0);
        step(&s, 12, "place", 100).await.expect("placed");
        let low = of(&s, MailKind::BudgetLow).await;
        let facts = &low[0].letter.facts;
        assert_eq!(low.len(), 1);
        assert_eq!(low[0].letter.account, Some(account(CUSTODIAN)));
        assert_eq!(
            (
                facts["what"].as_str(),
                facts["left"].as_u64(),
                facts["whole"].as_u64()
            ),
            (Some("values"), Some(2), Some(50))
        );
        // Again at the same moment: it was said, and the order is placed.
        let mut same = placing(15);
        same.order.values = 1;
        s.place_order(same, 100).await.expect("placed");
        assert_eq!(of(&s, MailKind::BudgetLow).await.len(), 1);
        // Refunded and ordered again: it was said.
        for w in ["lease", "decline"] {
            step(&s, 1, w, 101).await.expect(w);
        }
        let later = DEADLINE + 1;
        assert!(!s.sweep(later, 32).await.expect("swept").is_empty());
        let mut more = placing(13);
        more.order.terms.deadline = 2 * DEADLINE;
        more.order.values = 47;
        s.place_order(more, later).await.expect("placed");
        assert_eq!(of(&s, MailKind::BudgetLow).await.len(), 1);
        // A newer policy is another matter.
        let mut next = policy(2);
        next.quota_values = 52;
        s.update_policy(listing_id(), next, signed("policy", 2), "a", later)
            .await
            .expect("newer");
        let mut more = placing(14);
        more.order.terms.deadline = 2 * DEADLINE;
        more.order.terms.policy_version = 2;
        s.place_order(more, later).await.expect("placed");
        let low = of(&s, MailKind::BudgetLow).await;
        assert_eq!(low.len(), 2);
        assert_eq!(low[1].letter.facts["version"].as_u64(), Some(2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_nears_is_told_once() {
    // MAIL-7
    for place in Place::each("deadlines").await {
        let s = market(&place.url, 10 * PRICE).await;
        for n in 1..=3 {
            step(&s, n, "place", 100).await.expect("placed");
        }
        for w in [
            "lease", "put", "hand in", "verify", "grant", "open", "deliver",
        ] {
            step(&s, 1, w, 100).await.expect(w);
        }
        for w in ["lease", "put", "hand in", "verify", "grant"] {
            step(&s, 2, w, 100).await.expect(w);
        }
        let at = veilbourse_domain::mail::reminder_at(10, DEADLINE);
        assert_eq!(s.remind(at - 1, 32).await, Ok(0));
        // Stopped at each step: told once all the same.
        for k in 0..6 {
            let failing = s.with_fail_points(Arc::new(move |p| p.step == k && !p.committed));
            let _ = failing.remind(at, 32).await;
        }
        // Order 2 waits for the custodian's node, order 3 for a pod; 1 is over.
        let told = s.remind(at, 32).await.expect("told");
        assert_eq!(s.remind(at + 1, 32).await, Ok(0));
        let all = of(&s, MailKind::DeadlineNear).await;
        assert!(told <= 3 && all.len() == 3, "{told} {all:?}");
        let mut who: Vec<_> = all
            .iter()
            .map(|m| {
                let f = &m.letter.facts;
                let seat = f["seat"].as_str().expect("a seat");
                (
                    seat,
                    f["state"].as_str().expect("a state"),
                    m.letter.account,
                )
            })
            .collect();
        who.sort();
        assert_eq!(
            who,
            [
                ("buyer", "funded", Some(account(BUYER))),
                ("buyer", "opening", Some(account(BUYER))),
                ("custodian", "opening", Some(account(CUSTODIAN))),
            ]
        );
        invariants(&s).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_letters_lose_facts_and_address() {
    // MAIL-8
    for place in Place::each("old").await {
        let s = market(&place.url, PRICE).await;
        let all = letters(&s).await.len();
        drain(&s, 2).await;
        let failed = s.claim_mail(A, 1_000).await.expect("asked").expect("one");
        s.settle_mail(failed.letter.id, A, MailState::Failed, "no", 0, 1_000)
            .await
            .expect("noted");
        assert_eq!(
            s.erase_mail(1_000, 50, 2_000).await,
            Ok(Vec::new()),
            "not yet"
        );
        let mut erased = s.erase_mail(1_001, 2, 2_000).await.expect("erased");
        assert_eq!(erased.len(), 2, "at most so many");
        erased.extend(s.erase_mail(1_001, 50, 2_000).await.expect("erased"));
        assert_eq!(erased.len(), all - 2);
        assert_eq!(s.erase_mail(1_001, 50, 2_000).await, Ok(Vec::new()), "once");
        for m in letters(&s).await {
            let gone = erased.contains(&m.letter.id);
            let empty = m.letter.facts == serde_json::json!({}) && m.letter.address.is_empty();
            assert_eq!((gone, m.erased_at), (empty, gone.then_some(2_000)));
            assert_eq!(
                gone,
                m.state == MailState::Sent,
                "what nobody has read stays"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn preferences_are_everything_until_set() {
    // MAIL-6
    for place in Place::each("preferences").await {
        let s = market(&place.url, PRICE).await;
        let me = account(BUYER);
        assert_eq!(s.preferences(me).await, Ok(Preferences::all(true)));
        let some = Preferences {
            orders: false,
            ..Preferences::all(true)
        };
        let n = s.count("audit_log").await.expect("counted");
        for wanted in [some, some, Preferences::all(false), Preferences::all(false)] {
            s.set_preferences(me, wanted, 10).await.expect("set");
            assert_eq!(s.preferences(me).await, Ok(wanted));
        }
        assert_eq!(
            s.count("audit_log").await,
            Ok(n + 2),
            "the same again writes nothing"
        );
        assert_eq!(
            s.preferences(account(CUSTODIAN)).await,
            Ok(Preferences::all(true))
        );
        let nobody = s.set_preferences(account(77), some, 10).await;
        assert_eq!(nobody, Err(DomainError::NotFound { what: "account" }));
        assert_eq!(s.count("mail_preferences").await, Ok(1));
    }
}
