//! API keys, webhooks, registered documents and idempotent requests on the real
//! databases: PAR-1..8, PAR-11..14.

mod common;

use common::*;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use veilbourse_domain::{
    Digest, DomainError, Result,
    access::Role,
    id::{AccountId, ApiKeyId, WebhookId},
    listing::ListingStep,
    partners::{
        ApiKey, ApiKeys, Claim, IDEMPOTENT_MILLIS, MAX_DOCUMENTS, MAX_KEYS, PersistedQuery, Queue,
        Requests, Settled,
    },
    ports::{AuditLog, LedgerPort, Listings, Orders},
    records::PageRequest,
    scopes::ApiScope,
    webhooks::{
        Attempt, CLAIM_MILLIS, Delivery, DeliveryState, KEPT_MILLIS, MAX_WEBHOOKS, Webhook,
        WebhookChange, WebhookEvent, Webhooks, backoff,
    },
};
use veilbourse_store::SqlStore;

const DAY: u64 = 86_400_000;
const T0: u64 = 1_000 * DAY;

fn key(n: u8, account: AccountId) -> ApiKey {
    ApiKey {
        id: ApiKeyId::new(T0 + u64::from(n), [n; 10]),
        account,
        name: format!("key {n}"),
        scopes: vec![ApiScope::Catalogue, ApiScope::Order],
        persisted_only: false,
        per_minute: 10,
        per_day: 25,
        created_at: T0,
        expires_at: Some(T0 + 30 * DAY),
        revoked_at: None,
        last_used_at: None,
        day_used: 0,
        day_at: 0,
        prefix: format!("vbk_{n}"),
    }
}

fn refused<T: std::fmt::Debug>(r: Result<T>, reason: &str) {
    match r {
        Err(DomainError::TokenInvalid { reason: found }) => assert_eq!(found, reason),
        other => panic!("{reason}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_life_of_a_key() {
    for place in Place::each("keys").await {
        let s = market(&place.url, 0).await;
        let (owner, stranger) = (account(BUYER), account(CUSTODIAN));
        let secret = |n: u8| Digest([n; 32]);
        let k = key(1, owner);
        s.create_api_key(&k, secret(1), T0).await.expect("PAR-1");
        let (found, roles) = s.live_api_key(secret(1), T0).await.expect("live");
        assert_eq!((found, roles), (k.clone(), vec![Role::Buyer]));
        refused(s.live_api_key(secret(2), T0).await, "unknown API key");

        // PAR-5: two secrets while a rotation overlaps, then the newer alone.
        let missing = DomainError::NotFound { what: "API key" };
        let by_stranger = s.rotate_api_key(stranger, k.id, secret(2), "vbk_x", T0, T0);
        assert_eq!(by_stranger.await, Err(missing.clone()));
        let until = T0 + 60_000;
        let turned = s.rotate_api_key(owner, k.id, secret(2), "vbk_x", until, T0);
        assert_eq!(turned.await.expect("rotated").prefix, "vbk_x");
        for n in [1, 2] {
            assert!(s.live_api_key(secret(n), until - 1).await.is_ok());
        }
        refused(
            s.live_api_key(secret(1), until).await,
            "the API key was rotated",
        );
        // Once more, at once: an end is never moved away.
        let turned = s.rotate_api_key(owner, k.id, secret(3), "vbk_y", until + 9, T0 + 1);
        turned.await.expect("rotated");
        refused(
            s.live_api_key(secret(1), until).await,
            "the API key was rotated",
        );
        assert!(s.live_api_key(secret(2), until + 8).await.is_ok());
        assert_eq!(s.api_keys(owner).await.expect("listed").len(), 1);

        // PAR-5: a suspended owner's keys are dead until the owner is back.
        s.hold_api_keys(owner, true, T0).await.expect("held");
        refused(
            s.live_api_key(secret(3), T0).await,
            "the API key's account is suspended",
        );
        s.hold_api_keys(owner, false, T0).await.expect("back");
        assert!(s.live_api_key(secret(3), T0).await.is_ok());

        refused(
            s.live_api_key(secret(3), T0 + 30 * DAY).await,
            "the API key has expired",
        );
        let by_stranger = s.revoke_api_key(stranger, k.id, T0).await;
        assert_eq!(by_stranger, Err(missing));
        s.revoke_api_key(owner, k.id, T0 + 5).await.expect("ended");
        refused(
            s.live_api_key(secret(3), T0 + 5).await,
            "the API key is revoked",
        );
        assert_eq!(
            s.revoke_api_key(owner, k.id, T0 + 6).await,
            Err(DomainError::AlreadyDecided { what: "API key" })
        );
        refused(
            s.rotate_api_key(owner, k.id, secret(4), "vbk_z", T0, T0 + 6)
                .await,
            "the API key is revoked",
        );
        // Revoked ones take no room; the limit is on the others.
        for n in 0..MAX_KEYS {
            let n = u8::try_from(n).expect("small") + 10;
            s.create_api_key(&key(n, owner), secret(n), T0 + 7)
                .await
                .expect("room");
        }
        assert_eq!(
            s.create_api_key(&key(200, owner), secret(200), T0 + 7)
                .await,
            Err(DomainError::TooLarge {
                field: "API keys",
                limit: MAX_KEYS,
                value: MAX_KEYS + 1
            })
        );
        s.audit_check().await.expect("LED-5");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_are_exact_and_outlive_the_process() {
    // PAR-4
    for place in Place::each("quotas").await {
        let s = market(&place.url, 0).await;
        let k = key(1, account(BUYER));
        s.create_api_key(&k, Digest([1; 32]), T0)
            .await
            .expect("made");
        // Two processes on one database, many requests at once.
        let other = SqlStore::connect(&place.url, 2).await.expect("connects");
        let burst = async |now: u64| -> (usize, Vec<u64>) {
            let all = futures::future::join_all((0..30).map(|i| {
                let s = if i % 2 == 0 { &s } else { &other };
                s.use_api_key(k.id, now)
            }))
            .await;
            let waits = all.iter().filter_map(|r| match r {
                Ok(()) => None,
                Err(DomainError::RateLimited {
                    retry_after_seconds,
                }) => Some(*retry_after_seconds),
                Err(e) => panic!("{e}"),
            });
            let waits: Vec<u64> = waits.collect();
            (30 - waits.len(), waits)
        };
        let (taken, waits) = burst(T0 + 1_000).await;
        assert_eq!(taken, 10, "per minute");
        assert!(waits.iter().all(|w| *w == 59), "{waits:?}");
        assert_eq!(burst(T0 + 30_000).await.0, 0, "the same minute");
        assert_eq!(burst(T0 + 60_000).await.0, 10, "the next");
        let (taken, waits) = burst(T0 + 120_000).await;
        assert_eq!(taken, 5, "25 a day");
        assert!(waits.iter().all(|w| *w == 86_400 - 120), "{waits:?}");
        let shown = s.api_keys(account(BUYER)).await.expect("listed");
        assert_eq!(shown[0].used_today(T0 + 120_000), 25);
        assert_eq!(shown[0].last_used_at, Some(T0 + 120_000));
        assert_eq!(burst(T0 + DAY).await.0, 10, "another day");
        assert_eq!(
            s.use_api_key(ApiKeyId::new(9, [9; 10]), T0).await,
            Err(DomainError::NotFound { what: "API key" })
        );
    }
}

fn hook(n: u8, account: AccountId, events: &[WebhookEvent]) -> Webhook {
    Webhook {
        id: WebhookId::new(5 + u64::from(n), [n; 10]),
        account,
        url: format!("https://example.org/{n}"),
        events: events.to_vec(),
        enabled: true,
        nonce: format!("{n:032x}"),
        previous: None,
        created_at: 5,
        failing_since: None,
        disabled: None,
    }
}

async fn told(s: &SqlStore, id: WebhookId) -> Vec<Delivery> {
    let page = PageRequest::new(100, None).expect("in range");
    let mut all = s.deliveries(id, &page).await.expect("listed").into_items();
    all.sort_by_key(|d| d.sequence);
    all
}

fn names(all: &[Delivery]) -> Vec<&'static str> {
    all.iter().map(|d| d.event.name()).collect()
}

fn attempt(status: Option<u16>, at: u64) -> Attempt {
    Attempt {
        at,
        status,
        millis: 12,
        excerpt: "what it said".into(),
        error: status.is_none().then(|| "no answer within 10 s".into()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_there_exactly_when_what_they_tell_is() {
    // PAR-11: each transaction of an order's life stopped at each of its steps.
    use WebhookEvent as E;
    for place in Place::each("events").await {
        let s = market(&place.url, 10 * PRICE).await;
        let buyers = hook(1, account(BUYER), &E::ALL);
        let custodians = hook(2, account(CUSTODIAN), &[E::OrderPlaced, E::OrderReleased]);
        let others = hook(3, account(OPERATOR), &E::ALL);
        let off = hook(4, account(BUYER), &E::ALL);
        for h in [&buyers, &custodians, &others, &off] {
            s.create_webhook(h, 5).await.expect("made");
        }
        let change = WebhookChange {
            enabled: Some(false),
            ..WebhookChange::default()
        };
        s.update_webhook(account(BUYER), off.id, change, 5)
            .await
            .expect("off");
        let way = [
            "place", "lease", "put", "hand in", "verify", "grant", "open", "deliver",
        ];
        let mut states = 0u64;
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
                // One event a state that the order has had: none more, none less.
                let had = s.count("order_events").await.expect("counted");
                assert_eq!(told(&s, buyers.id).await.len() as u64, had, "{w} {k}");
                states = had;
                match hit.load(Ordering::SeqCst) {
                    0 => {
                        done.expect("the whole transaction");
                        break;
                    }
                    1 => assert!(matches!(done, Err(DomainError::Storage { .. })), "{w} {k}"),
                    _ => break,
                }
            }
        }
        assert_eq!(states, 6);
        let all = told(&s, buyers.id).await;
        assert_eq!(
            names(&all),
            [
                "ORDER_PLACED",
                "ORDER_PROGRESS",
                "ORDER_PROGRESS",
                "ORDER_PROGRESS",
                "ORDER_PROGRESS",
                "ORDER_RELEASED"
            ]
        );
        let sequences: Vec<u64> = all.iter().map(|d| d.sequence).collect();
        assert_eq!(sequences, [1, 2, 3, 4, 5, 6]);
        let body: serde_json::Value = serde_json::from_str(&all[5].body).expect("JSON");
        assert_eq!(body["id"], all[5].id.to_string());
        assert_eq!(body["facts"]["order"], placing(1).order.id.to_string());
        assert_eq!(body["facts"]["state"], "released");
        assert_eq!(body["facts"]["price"], PRICE.to_string());
        assert_eq!(body["facts"]["role"], "buyer");
        let theirs = told(&s, custodians.id).await;
        assert_eq!(names(&theirs), ["ORDER_PLACED", "ORDER_RELEASED"]);
        let body: serde_json::Value = serde_json::from_str(&theirs[0].body).expect("JSON");
        assert_eq!(body["facts"]["role"], "custodian");
        assert!(told(&s, others.id).await.is_empty() && told(&s, off.id).await.is_empty());
        invariants(&s).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_cash_and_budgets_are_told() {
    // PAR-9
    use WebhookEvent as E;
    for place in Place::each("told").await {
        let s = market(&place.url, 100 * PRICE).await;
        let (h, b) = (
            hook(1, account(CUSTODIAN), &E::ALL),
            hook(2, account(BUYER), &[E::CashDecided, E::OrderRefunded]),
        );
        s.create_webhook(&h, 5).await.expect("made");
        s.create_webhook(&b, 5).await.expect("made");
        fund(&s, 9, 77).await.expect("decided");
        let cash = told(&s, b.id).await;
        let body: serde_json::Value = serde_json::from_str(&cash[0].body).expect("JSON");
        assert_eq!((cash.len(), cash[0].event), (1, E::CashDecided));
        assert_eq!(body["facts"]["amount"], "77");
        assert_eq!(body["facts"]["decision"], "approved");
        // 50 values, 4 an order: the twelfth order leaves 2, less than a tenth.
        for n in 1..=12 {
            step(&s, n, "place", 100).await.expect("placed");
        }
        let all = told(&s, h.id).await;
        let low: Vec<&Delivery> = all.iter().filter(|d| d.event == E::BudgetLow).collect();
        assert_eq!((all.len(), low.len()), (13, 1));
        let body: serde_json::Value = serde_json::from_str(&low[0].body).expect("JSON");
        assert_eq!(body["facts"]["valuesLeft"], "2");
        assert_eq!(body["facts"]["valuesQuota"], "50");
        // A refund: to both, with the reason.
        for w in ["lease", "put", "hand in", "reject"] {
            step(&s, 1, w, 100).await.expect(w);
        }
        let back = told(&s, b.id).await.pop().expect("told");
        let body: serde_json::Value = serde_json::from_str(&back.body).expect("JSON");
        assert_eq!(back.event, E::OrderRefunded);
        assert_eq!(body["facts"]["refundReason"], "rejected");
        let last = told(&s, h.id).await.pop().expect("told");
        assert_eq!(last.event, E::OrderRefunded);
        // Steps of a listing that are told, and those that are not.
        let before = told(&s, h.id).await.len();
        for step in [ListingStep::Pause, ListingStep::Resume] {
            s.step_listing(listing_id(), step, None, "account:c", 200)
                .await
                .expect("taken");
        }
        assert_eq!(told(&s, h.id).await.len(), before);
        s.ledger_check().await.expect("LED-1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_after_the_other_until_given_up() {
    // PAR-11, PAR-12
    for place in Place::each("deliveries").await {
        let s = market(&place.url, 0).await;
        let h = hook(1, account(BUYER), &[WebhookEvent::CashDecided]);
        s.create_webhook(&h, 5).await.expect("made");
        for n in 2..=3 {
            fund(&s, n, 5).await.expect("decided");
        }
        let (first, second) = {
            let all = told(&s, h.id).await;
            (all[0].clone(), all[1].clone())
        };
        let due = async |now: u64| -> Vec<_> {
            let all = s.due(now, 10).await.expect("listed");
            all.into_iter().map(|(_, d)| d.id).collect::<Vec<_>>()
        };
        assert_eq!(due(6).await, [first.id], "the second waits for the first");
        assert_eq!(s.claim_delivery(first.id, false, 10).await, Ok(true));
        assert_eq!(s.claim_delivery(first.id, false, 11).await, Ok(false));
        assert!(due(11).await.is_empty(), "claimed");
        // The process that claimed it is gone: it is sent again, the same.
        assert_eq!(due(10 + CLAIM_MILLIS).await, [first.id]);
        let now = 10 + CLAIM_MILLIS;
        assert_eq!(s.claim_delivery(first.id, false, now).await, Ok(true));
        let failed = attempt(Some(500), now);
        let noted = s.note_attempt(first.id, &failed, DAY, now).await;
        assert_eq!(noted, Ok(false));
        let wait = backoff(1).expect("a wait");
        assert!(due(now + wait - 1).await.is_empty(), "not yet");
        assert_eq!(due(now + wait).await, [first.id], "still before the second");
        let (w, d) = s.delivery(first.id).await.expect("there");
        assert_eq!((d.attempts, d.state), (1, DeliveryState::Waiting));
        assert_eq!(w.failing_since, Some(now));
        let later = now + wait;
        s.note_attempt(first.id, &attempt(Some(204), later), DAY, later)
            .await
            .expect("noted");
        let (w, d) = s.delivery(first.id).await.expect("there");
        assert_eq!(
            (d.state, d.delivered_at, w.failing_since),
            (DeliveryState::Delivered, Some(later), None)
        );
        let tried = s.attempts(first.id).await.expect("listed");
        assert_eq!(tried, [attempt(Some(500), now), attempt(Some(204), later)]);
        // The second until it is given up; then nothing waits.
        let mut now = later;
        for n in 1.. {
            assert_eq!(due(now).await, [second.id], "attempt {n}");
            s.note_attempt(second.id, &attempt(None, now), 365 * DAY, now)
                .await
                .expect("noted");
            match backoff(n) {
                Some(wait) => now += wait,
                None => break,
            }
        }
        let d = s.delivery(second.id).await.expect("there").1;
        assert_eq!((d.state, d.attempts), (DeliveryState::Failed, 12));
        assert!(due(now + DAY).await.is_empty());
        // By hand: what fails again stays given up, what is taken is delivered.
        assert_eq!(s.claim_delivery(second.id, false, now).await, Ok(false));
        assert_eq!(s.claim_delivery(second.id, true, now).await, Ok(true));
        s.note_attempt(second.id, &attempt(Some(302), now), 365 * DAY, now)
            .await
            .expect("noted");
        let d = s.delivery(second.id).await.expect("there").1;
        assert_eq!(d.state, DeliveryState::Failed);
        s.note_attempt(second.id, &attempt(Some(200), now), 365 * DAY, now)
            .await
            .expect("noted");
        let d = s.delivery(second.id).await.expect("there").1;
        assert_eq!(d.state, DeliveryState::Delivered);
        // Forgotten with their attempts when they are old.
        s.forget_requests(now + KEPT_MILLIS).await.expect("tidied");
        assert_eq!(s.count("webhook_deliveries").await, Ok(0));
        assert_eq!(s.count("webhook_attempts").await, Ok(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_takes_nothing_is_disabled() {
    // PAR-12, PAR-13
    for place in Place::each("disabled").await {
        let s = market(&place.url, 0).await;
        let (owner, stranger) = (account(BUYER), account(CUSTODIAN));
        let h = hook(1, owner, &[WebhookEvent::Ping]);
        s.create_webhook(&h, 5).await.expect("made");
        let tries = async |now: u64, status: Option<u16>| {
            let d = s.ping(h.id, now).await.expect("queued");
            assert_eq!(s.claim_delivery(d.id, false, now).await, Ok(false));
            s.note_attempt(d.id, &attempt(status, now), 2 * DAY, now)
                .await
                .expect("noted")
        };
        assert!(!tries(T0, None).await);
        assert!(!tries(T0 + 2 * DAY - 1, Some(500)).await);
        assert!(
            !tries(T0 + 2 * DAY - 1, Some(200)).await,
            "taken: from anew"
        );
        assert!(!tries(T0 + 3 * DAY, Some(500)).await);
        assert!(tries(T0 + 5 * DAY, Some(500)).await, "two days of nothing");
        let off = s.webhook(owner, h.id).await.expect("there");
        let (at, why) = off.disabled.clone().expect("disabled");
        assert!(!off.enabled && at == T0 + 5 * DAY && why.contains("every attempt"));
        // A test is tried once, and is not in the others' way.
        assert!(s.due(T0 + 9 * DAY, 9).await.expect("listed").is_empty());
        let on = WebhookChange {
            enabled: Some(true),
            ..WebhookChange::default()
        };
        let missing = DomainError::NotFound { what: "webhook" };
        let theirs = s.update_webhook(stranger, h.id, on.clone(), T0).await;
        assert_eq!(theirs, Err(missing.clone()));
        let back = s.update_webhook(owner, h.id, on, T0).await.expect("on");
        assert_eq!((back.enabled, back.disabled), (true, None));
        assert_eq!(back.failing_since, None);
        // Another secret, the one before beside it.
        let turned = s.rotate_webhook(owner, h.id, "n2", T0 + DAY, T0).await;
        let turned = turned.expect("rotated");
        assert_eq!(turned.nonce, "n2");
        assert_eq!(turned.previous, Some((h.nonce.clone(), T0 + DAY)));
        assert_eq!(s.webhook(stranger, h.id).await, Err(missing.clone()));
        assert_eq!(s.delete_webhook(stranger, h.id, T0).await, Err(missing));
        s.delete_webhook(owner, h.id, T0).await.expect("gone");
        assert_eq!(s.count("webhook_attempts").await, Ok(0));
        for n in 0..MAX_WEBHOOKS {
            let n = u8::try_from(n).expect("small") + 10;
            s.create_webhook(&hook(n, owner, &WebhookEvent::ALL), 6)
                .await
                .expect("room");
        }
        assert_eq!(
            s.create_webhook(&hook(99, owner, &WebhookEvent::ALL), 6)
                .await,
            Err(DomainError::TooLarge {
                field: "webhooks",
                limit: MAX_WEBHOOKS,
                value: MAX_WEBHOOKS + 1
            })
        );
        s.audit_check().await.expect("LED-5");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_done_once() {
    // PAR-8
    for place in Place::each("once").await {
        let s = market(&place.url, 0).await;
        let (me, other) = (account(BUYER), account(CUSTODIAN));
        let (request, another) = (Digest([1; 32]), Digest([2; 32]));
        let claim =
            async |who, what, now: u64| s.claim_request(who, "k", what, now + 60, now).await;
        let at_once = futures::future::join_all((0..8).map(|_| claim(me, request, T0))).await;
        let mine = at_once.iter().filter(|c| **c == Ok(Claim::Mine)).count();
        let wait = at_once
            .iter()
            .filter(|c| **c == Ok(Claim::UnderWay))
            .count();
        assert_eq!((mine, wait), (1, 7), "{at_once:?}");
        let mismatch = DomainError::IdempotencyMismatch { key: "k".into() };
        assert_eq!(claim(me, another, T0).await, Err(mismatch.clone()));
        // Somebody else's keys are their own.
        assert_eq!(claim(other, another, T0).await, Ok(Claim::Mine));
        // It changed nothing: the key is free.
        s.settle_request(me, "k", Settled::Free).await.expect("ok");
        assert_eq!(claim(me, another, T0 + 1).await, Ok(Claim::Mine));
        s.prolong_claim(me, "k", T0 + 500).await.expect("ok");
        assert_eq!(claim(me, another, T0 + 499).await, Ok(Claim::UnderWay));
        let answer = Settled::Answered("{\"data\":1}".into());
        s.settle_request(me, "k", answer.clone()).await.expect("ok");
        let again = claim(me, another, T0 + 600).await;
        assert_eq!(again, Ok(Claim::Answered("{\"data\":1}".into())));
        assert_eq!(claim(me, request, T0 + 600).await, Err(mismatch));
        assert_eq!(
            s.settle_request(me, "k", answer).await,
            Err(DomainError::Conflict { what: "request" })
        );
        // Whoever ran it is gone: nobody knows, nobody does it again.
        let lost = DomainError::IdempotencyLost { key: "k".into() };
        assert_eq!(claim(other, another, T0 + 59).await, Ok(Claim::UnderWay));
        assert_eq!(claim(other, another, T0 + 60).await, Err(lost.clone()));
        s.settle_request(other, "k", Settled::Lost)
            .await
            .expect("ok");
        assert_eq!(claim(other, another, T0 + 61).await, Err(lost));
        // After a day the key is as new.
        let next = T0 + IDEMPOTENT_MILLIS + 1;
        assert_eq!(claim(me, request, next).await, Ok(Claim::Mine));
        s.forget_requests(next).await.expect("tidied");
        assert_eq!(s.count("idempotent_requests").await, Ok(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_belong_to_their_account() {
    // PAR-6
    for place in Place::each("documents").await {
        let s = market(&place.url, 0).await;
        let (me, other) = (account(BUYER), account(CUSTODIAN));
        let q = |n: u64| PersistedQuery {
            id: format!("{n:064x}"),
            document: format!("{{ a{n} }}"),
            created_at: T0,
        };
        for _ in 0..2 {
            s.register_query(me, &q(0)).await.expect("the same is fine");
        }
        let found = s.persisted_query(me, &q(0).id).await;
        assert_eq!(found, Ok(Some("{ a0 }".into())));
        assert_eq!(s.persisted_query(other, &q(0).id).await, Ok(None));
        for n in 1..MAX_DOCUMENTS {
            s.register_query(me, &q(n)).await.expect("room");
        }
        assert_eq!(
            s.register_query(me, &q(MAX_DOCUMENTS)).await,
            Err(DomainError::TooLarge {
                field: "registered documents",
                limit: MAX_DOCUMENTS,
                value: MAX_DOCUMENTS + 1
            })
        );
        let page = PageRequest::new(2, Some(q(4).id)).expect("in range");
        let found = s.persisted_queries(me, &page).await.expect("listed");
        assert!(found.more);
        assert_eq!(found.into_items(), [q(5), q(6)]);
        s.remove_query(me, &q(0).id).await.expect("gone");
        assert_eq!(
            s.remove_query(me, &q(0).id).await,
            Err(DomainError::NotFound {
                what: "registered document"
            })
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_is_measured() {
    // PAR-14
    for place in Place::each("queue").await {
        let s = market(&place.url, 10 * PRICE).await;
        let empty = Queue {
            waiting: 0,
            millis_per_job: None,
        };
        assert_eq!(s.queue().await, Ok(empty));
        for n in 1..=3 {
            step(&s, n, "place", 100).await.expect("placed");
        }
        // One is done after 4 s, one after being given back and 6 s.
        step(&s, 1, "lease", 1_000).await.expect("leased");
        step(&s, 1, "put", 2_000).await.expect("put");
        step(&s, 1, "hand in", 5_000).await.expect("handed in");
        step(&s, 2, "lease", 5_000).await.expect("leased");
        step(&s, 2, "decline", 6_000).await.expect("given back");
        step(&s, 2, "lease", 7_000).await.expect("leased");
        step(&s, 2, "put", 8_000).await.expect("put");
        step(&s, 2, "hand in", 13_000).await.expect("handed in");
        let found = s.queue().await.expect("counted");
        assert_eq!((found.waiting, found.millis_per_job), (1, Some(5_000)));
        let id = placing(3).order.id;
        assert_eq!(s.order(id).await.expect("there").state.name(), "funded");
    }
}
