//! Accounts of people and reviews in the database (ACC-9..18, REV).
//!
//! Over 500 lines: one market and its people, used by every case.

mod common;

use common::{ADMIN, BUYER, CUSTODIAN, OPERATOR, PRICE, Place, account, listing_id, market, pod};
use serde_json::json;
use veilbourse_domain::{
    Digest, DomainError,
    access::Role,
    id::{AccountId, MailId, SessionId, WebhookId},
    listing::{Listing, ListingState, ListingStep},
    mail::{Letter, MailKind},
    people::{AccountState, FactorProof, Insight, MailToken, People, TokenPurpose},
    ports::{AuditLog, Identities, ListingFilter, Listings, Orders},
    records::{Account, PageRequest, Session},
    webhooks::{Webhook, WebhookEvent, Webhooks},
};
use veilbourse_store::SqlStore;

fn letter(n: u8, to: AccountId, address: &str, kind: MailKind) -> Letter {
    Letter {
        id: MailId::new(9_000 + u64::from(n), [n; 10]),
        account: Some(to),
        address: address.into(),
        kind,
        facts: json!({ "name": "x" }),
    }
}

fn newcomer(n: u8, mail: &str) -> Account {
    Account {
        id: AccountId::new(50 + u64::from(n), [n; 10]),
        mail: mail.into(),
        name: "New".into(),
        password_hash: "$argon2id$".into(),
        roles: vec![Role::Buyer],
        created_at: 10,
        verified_at: None,
        state: AccountState::Active,
        second_factor: false,
    }
}

fn link(nonce: &str, purpose: TokenPurpose, account: AccountId, address: &str) -> MailToken {
    MailToken {
        nonce: nonce.into(),
        purpose,
        account,
        address: address.into(),
        expires_at: 1_000,
        used_at: None,
    }
}

async fn register(s: &SqlStore, n: u8, mail: &str) -> (Account, bool) {
    let a = newcomer(n, mail);
    let l = link(&format!("verify{n}"), TokenPurpose::VerifyMail, a.id, mail);
    let to = letter(n, a.id, mail, MailKind::VerifyMail);
    let made = s.register_account(&a, &l, &to, 10).await.expect("asked");
    (a, made)
}

fn session(n: u8, of: AccountId, seen: u64) -> Session {
    Session {
        id: SessionId::new(u64::from(n), [n; 10]),
        account: of,
        created_at: 1,
        expires_at: 10_000_000,
        revoked_at: None,
        last_seen_at: seen,
        agent: "browser".into(),
        address: format!("10.0.0.{n}"),
    }
}

fn bad(reason: &'static str) -> DomainError {
    DomainError::MailTokenInvalid { reason }
}

async fn actions(s: &SqlStore, subject: AccountId) -> Vec<String> {
    let page = PageRequest::new(100, None).expect("a page");
    let subject = format!("account:{subject}");
    let mut out = Vec::new();
    for r in s.audit(&page).await.expect("read").into_items() {
        if r.entry.subject == subject {
            out.push(r.entry.action);
        }
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_verified_once_and_by_their_own_link() {
    // ACC-9
    for place in Place::each("verify").await {
        let s = market(&place.url, 0).await;
        let before = s.count("mails").await.expect("counted");
        let (a, made) = register(&s, 60, "new@example.org").await;
        assert!(made);
        assert_eq!(s.count("mails").await, Ok(before + 1));
        // Again with the same mail: nothing is made, nothing sent, a note kept.
        let (other, made) = register(&s, 61, "new@example.org").await;
        assert!(!made);
        assert_eq!(s.count("mails").await, Ok(before + 1));
        assert_eq!(
            s.account(other.id).await,
            Err(DomainError::NotFound { what: "account" })
        );
        assert_eq!(
            actions(&s, a.id).await,
            ["account.create", "account.asked_again"]
        );

        let note = letter(62, a.id, &a.mail, MailKind::MailChanged);
        assert_eq!(
            s.verify_address("none", &note, 20).await,
            Err(bad("unknown"))
        );
        assert_eq!(
            s.verify_address("verify60", &note, 1_000).await,
            Err(bad("it has expired"))
        );
        let letter_of = |n| letter(n, a.id, &a.mail, MailKind::PasswordChanged);
        assert_eq!(
            s.reset_password("verify60", "h", &letter_of(63), 20).await,
            Err(bad("it is for something else"))
        );
        let verified = s.verify_address("verify60", &note, 20).await.expect("good");
        assert_eq!(verified.verified_at, Some(20));
        assert_eq!(
            s.verify_address("verify60", &note, 21).await,
            Err(bad("it was used, or a newer one was sent"))
        );
        assert_eq!(
            s.count("mails").await,
            Ok(before + 1),
            "no note to an address that stays"
        );

        // A newer link takes an older one's place.
        for n in [1u8, 2] {
            let l = link(
                &format!("change{n}"),
                TokenPurpose::ChangeMail,
                a.id,
                "next@example.org",
            );
            let to = letter(70 + n, a.id, "next@example.org", MailKind::VerifyMail);
            s.send_link(&l, &to, 30).await.expect("sent");
        }
        assert_eq!(
            s.verify_address("change1", &note, 40).await,
            Err(bad("it was used, or a newer one was sent"))
        );
        let newest = s
            .newest_link(TokenPurpose::ChangeMail, "next@example.org")
            .await;
        assert_eq!(
            newest.expect("read").map(|l| l.nonce),
            Some("change2".into())
        );
        let moved = s.verify_address("change2", &note, 40).await.expect("good");
        assert_eq!(moved.mail, "next@example.org");
        // A link to the address that was is none any more.
        let l = link(
            "reset",
            TokenPurpose::ResetPassword,
            a.id,
            "new@example.org",
        );
        s.send_link(
            &l,
            &letter(75, a.id, "x@y.example", MailKind::PasswordReset),
            50,
        )
        .await
        .expect("sent");
        assert_eq!(
            s.reset_password("reset", "h", &letter_of(76), 60).await,
            Err(bad("it was sent to another address"))
        );
        // Nobody takes an address that somebody else has meanwhile.
        let l = link("taken", TokenPurpose::ChangeMail, a.id, "u1@example.org");
        s.send_link(
            &l,
            &letter(77, a.id, "u1@example.org", MailKind::VerifyMail),
            70,
        )
        .await
        .expect("sent");
        assert_eq!(
            s.verify_address("taken", &letter_of(78), 80).await,
            Err(bad("the address is not free any more"))
        );
        assert_eq!(s.sweep_links(1_000 + 7 * 86_400_000).await, Ok(0));
        assert!(s.sweep_links(1_001 + 7 * 86_400_000).await.expect("swept") >= 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_ends_what_another_began() {
    // ACC-10
    for place in Place::each("reset").await {
        let s = market(&place.url, 0).await;
        let (a, _) = register(&s, 60, "new@example.org").await;
        // Somebody who registered another's address: session and key.
        s.open_session(&session(1, a.id, 10), Digest([1; 32]))
            .await
            .expect("opened");
        let key = veilbourse_domain::id::PublicKey([77; 32]);
        s.register_key(a.id, key, 11).await.expect("registered");
        let hook = Webhook {
            id: WebhookId::new(12, [12; 10]),
            account: a.id,
            url: "https://x.example:8443/hook/secret?token=secret".into(),
            events: WebhookEvent::ALL.to_vec(),
            enabled: true,
            nonce: "aa".into(),
            previous: None,
            created_at: 12,
            failing_since: None,
            disabled: None,
        };
        s.create_webhook(&hook, 12).await.expect("made");
        let page = PageRequest::new(100, None).expect("a page");
        let log = s.audit(&page).await.expect("read").into_items();
        let noted = log
            .iter()
            .find(|r| r.entry.action == "webhook.create")
            .expect("noted");
        assert!(
            noted.entry.details.contains("\"https://x.example:8443\"")
                && !noted.entry.details.contains("secret"),
            "PAR-9: {}",
            noted.entry.details
        );
        let l = link("reset", TokenPurpose::ResetPassword, a.id, &a.mail);
        s.send_link(&l, &letter(61, a.id, &a.mail, MailKind::PasswordReset), 20)
            .await
            .expect("sent");
        let told = letter(62, a.id, &a.mail, MailKind::PasswordChanged);
        assert_eq!(
            s.reset_password("reset", "new hash", &told, 30).await,
            Ok(a.id)
        );
        let now = s.account(a.id).await.expect("there");
        assert_eq!(
            (now.password_hash.as_str(), now.verified_at),
            ("new hash", Some(30))
        );
        assert!(
            !s.session_live(SessionId::new(1, [1; 10]), 31)
                .await
                .expect("asked")
        );
        assert!(!s.key_registered(a.id, key).await.expect("asked"));
        assert_eq!(s.webhooks(a.id).await, Ok(vec![]));
        let again = s.reset_password("reset", "h", &told, 31).await;
        assert_eq!(again, Err(bad("it was used, or a newer one was sent")));
        // Of a verified account the keys stay.
        s.register_key(a.id, veilbourse_domain::id::PublicKey([78; 32]), 32)
            .await
            .expect("registered");
        let l = link("reset2", TokenPurpose::ResetPassword, a.id, &a.mail);
        s.send_link(&l, &letter(63, a.id, &a.mail, MailKind::PasswordReset), 40)
            .await
            .expect("sent");
        let told = letter(64, a.id, &a.mail, MailKind::PasswordChanged);
        s.reset_password("reset2", "h", &told, 50)
            .await
            .expect("good");
        let keys = s.signing_keys(a.id).await.expect("read");
        assert_eq!(keys.iter().filter(|k| k.revoked_at.is_none()).count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn factors_are_proven_once() {
    // ACC-11, ACC-12
    for place in Place::each("factor").await {
        let s = market(&place.url, 0).await;
        let id = account(BUYER);
        let told = |n| letter(n, id, "u2@example.org", MailKind::SecondFactorChanged);
        let codes = [Digest([1; 32]), Digest([2; 32])];
        assert_eq!(
            s.confirm_factor(id, 5, &codes, &told(1), 10).await,
            Err(DomainError::SecondFactorWrong),
            "none was begun"
        );
        s.begin_factor(id, "aa", 10).await.expect("begun");
        s.begin_factor(id, "bb", 11).await.expect("begun anew");
        assert!(!s.account(id).await.expect("there").second_factor);
        assert_eq!(
            s.use_proof(id, &FactorProof::Step(4), 12).await,
            Ok(false),
            "not set"
        );
        s.confirm_factor(id, 5, &codes, &told(2), 12)
            .await
            .expect("set");
        assert!(s.account(id).await.expect("there").second_factor);
        let set = Err(DomainError::SecondFactorState { found: "set" });
        assert_eq!(s.begin_factor(id, "cc", 13).await, set);
        assert_eq!(s.confirm_factor(id, 9, &codes, &told(3), 13).await, set);
        // Steps go up, each once.
        for (step, good) in [
            (5, false),
            (4, false),
            (6, true),
            (6, false),
            (8, true),
            (7, false),
        ] {
            assert_eq!(
                s.use_proof(id, &FactorProof::Step(step), 14).await,
                Ok(good),
                "{step}"
            );
        }
        let recovery = FactorProof::Recovery(codes[0]);
        assert_eq!(s.use_proof(id, &recovery, 15).await, Ok(true));
        assert_eq!(s.use_proof(id, &recovery, 16).await, Ok(false), "once");
        assert_eq!(
            s.use_proof(account(ADMIN), &FactorProof::Recovery(codes[1]), 16)
                .await,
            Ok(false)
        );
        // What changes an account asks for a proof, in the same transaction.
        let keep = SessionId::new(1, [1; 10]);
        s.open_session(&session(1, id, 10), Digest([1; 32]))
            .await
            .expect("opened");
        let told_password = letter(4, id, "u2@example.org", MailKind::PasswordChanged);
        let change = |proof: Option<FactorProof>| {
            let (s, told) = (s.clone(), told_password.clone());
            async move {
                s.change_password(id, keep, "h2", proof.as_ref(), &told, 20)
                    .await
            }
        };
        assert_eq!(change(None).await, Err(DomainError::SecondFactorNeeded));
        assert_eq!(
            change(Some(FactorProof::Step(8))).await,
            Err(DomainError::SecondFactorWrong)
        );
        assert_eq!(
            s.account(id).await.expect("there").password_hash,
            "$argon2id$"
        );
        assert_eq!(change(Some(FactorProof::Step(9))).await, Ok(()));
        assert_eq!(
            s.clear_factor(id, id, None, "", &told(5), 21).await,
            Err(DomainError::SecondFactorNeeded)
        );
        // The last recovery code is the way out.
        let last = FactorProof::Recovery(codes[1]);
        s.clear_factor(id, id, Some(&last), "", &told(6), 22)
            .await
            .expect("cleared");
        assert!(!s.account(id).await.expect("there").second_factor);
        assert_eq!(
            s.clear_factor(id, id, None, "", &told(7), 23).await,
            Err(DomainError::SecondFactorState { found: "not set" })
        );
        // By an admin: a reason, a letter, the sessions end.
        s.begin_factor(id, "dd", 30).await.expect("begun");
        s.confirm_factor(id, 10, &codes, &told(8), 30)
            .await
            .expect("set");
        s.open_session(&session(9, id, 30), Digest([9; 32]))
            .await
            .expect("opened");
        let by = account(ADMIN);
        let none = s.clear_factor(id, by, None, " ", &told(9), 31).await;
        assert_eq!(none.unwrap_err().code(), "INVALID");
        s.clear_factor(id, by, None, "lost", &told(10), 31)
            .await
            .expect("cleared");
        assert!(
            !s.session_live(SessionId::new(9, [9; 10]), 32)
                .await
                .expect("asked")
        );
        assert!(
            actions(&s, id)
                .await
                .contains(&"account.clear_second_factor".to_owned())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_pages() {
    // ACC-13, ACC-17
    for place in Place::each("pages").await {
        let s = market(&place.url, 0).await;
        let id = account(BUYER);
        let (first, second) = (Digest([1; 32]), Digest([2; 32]));
        s.open_web_session(&session(1, id, 100), first, None)
            .await
            .expect("opened");
        let live = s
            .cookie_session(first, 200)
            .await
            .expect("read")
            .expect("live");
        assert_eq!(
            (live.account.id, live.session.address.as_str()),
            (id, "10.0.0.1")
        );
        assert_eq!(s.cookie_session(second, 200).await, Ok(None));
        assert_eq!(
            s.cookie_session(first, 10_000_000).await,
            Ok(None),
            "expired"
        );
        // Written once a minute.
        let sid = SessionId::new(1, [1; 10]);
        for (now, seen) in [
            (200, 100),
            (60_099, 100),
            (60_100, 60_100),
            (120_099, 60_100),
        ] {
            s.touch_session(sid, "10.9.9.9", now).await.expect("noted");
            let live = s.live_session(sid, now).await.expect("read").expect("live");
            assert_eq!(live.session.last_seen_at, seen, "{now}");
        }
        assert_eq!(s.known_address(id, "10.9.9.9", 60_000).await, Ok(true));
        assert_eq!(
            s.known_address(id, "10.9.9.9", 60_101).await,
            Ok(false),
            "long ago"
        );
        assert_eq!(s.known_address(id, "10.0.0.1", 0).await, Ok(false));
        assert_eq!(
            s.known_address(account(ADMIN), "10.9.9.9", 0).await,
            Ok(false)
        );
        // Signing in again in the same browser ends what it had.
        s.open_web_session(&session(2, id, 200_000), second, Some(first))
            .await
            .expect("opened");
        assert_eq!(s.cookie_session(first, 200_000).await, Ok(None));
        let all = s.sessions(id, 200_000).await.expect("read");
        assert_eq!(
            all.iter().map(|x| x.id).collect::<Vec<_>>(),
            [SessionId::new(2, [2; 10])]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn suspended_and_restored() {
    // ACC-15
    for place in Place::each("suspend").await {
        let s = market(&place.url, 0).await;
        let (id, by) = (account(CUSTODIAN), account(ADMIN));
        let told = |n| letter(n, id, "u1@example.org", MailKind::AccountSuspended);
        s.open_web_session(&session(1, id, 100), Digest([1; 32]), None)
            .await
            .expect("opened");
        let suspended = AccountState::Suspended;
        assert_eq!(
            s.set_account_state(by, suspended, by, "x", &told(1), 5)
                .await,
            Err(DomainError::OwnRequest)
        );
        let mute = s
            .set_account_state(id, suspended, by, "", &told(1), 5)
            .await;
        assert_eq!(mute.unwrap_err().code(), "INVALID");
        assert!(matches!(
            s.listing(listing_id()).await.expect("there").state,
            ListingState::Published { .. }
        ));
        let a = s
            .set_account_state(id, suspended, by, "fraud", &told(2), 6)
            .await
            .expect("done");
        assert_eq!(a.state, suspended);
        assert_eq!(s.cookie_session(Digest([1; 32]), 7).await, Ok(None));
        assert!(matches!(
            s.listing(listing_id()).await.expect("there").state,
            ListingState::Paused { .. }
        ));
        // A session that began meanwhile is none either.
        s.open_session(&session(2, id, 8), Digest([2; 32]))
            .await
            .expect("written");
        assert!(
            !s.session_live(SessionId::new(2, [2; 10]), 9)
                .await
                .expect("asked")
        );
        assert_eq!(
            s.live_session(SessionId::new(2, [2; 10]), 9).await,
            Ok(None)
        );
        let keep = SessionId::new(2, [2; 10]);
        assert_eq!(
            s.change_password(id, keep, "h", None, &told(3), 9).await,
            Err(DomainError::AccountSuspended)
        );
        let again = s
            .set_account_state(id, suspended, by, "x", &told(4), 10)
            .await;
        assert_eq!(
            again,
            Err(DomainError::AccountState {
                found: "suspended",
                wanted: "suspended"
            })
        );
        s.set_account_state(id, AccountState::Active, by, "cleared up", &told(5), 11)
            .await
            .expect("restored");
        assert_eq!(
            actions(&s, id).await,
            ["account.create", "account.suspend", "account.restore"]
        );
        assert_eq!(
            s.cookie_session(Digest([1; 32]), 12).await,
            Ok(None),
            "stays ended"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_keeps_the_ledger_and_nothing_personal() {
    // ACC-16
    for place in Place::each("delete").await {
        let s = market(&place.url, 5 * PRICE).await;
        let now = 100;
        // Money, orders, listings, machines: each keeps the account.
        assert_eq!(
            s.delete_account(account(BUYER), None, now).await,
            Err(DomainError::AccountHasMoney)
        );
        s.place_order(common::placing(1), 20).await.expect("placed");
        let open = DomainError::AccountHasOrders { open: 1 };
        // The pending parts of the custodian are money that comes.
        assert_eq!(
            s.delete_account(account(CUSTODIAN), None, now).await,
            Err(DomainError::AccountHasMoney)
        );
        assert!(matches!(open.status(), 409));
        let t = s.delete_account(account(OPERATOR), None, now).await;
        assert_eq!(t, Err(DomainError::AccountHasMoney));

        let place = Place::sqlite();
        let s = market(&place.url, 0).await;
        assert_eq!(
            s.delete_account(account(CUSTODIAN), None, now).await,
            Err(DomainError::AccountHasListings { live: 1 })
        );
        assert_eq!(
            s.delete_account(account(OPERATOR), None, now).await,
            Err(DomainError::AccountHasMachines { approved: 2 })
        );
        let id = account(CUSTODIAN);
        let actor = format!("account:{id}");
        s.step_listing(listing_id(), ListingStep::Withdraw, None, &actor, 30)
            .await
            .expect("withdrawn");
        let draft = Listing {
            id: veilbourse_domain::id::ListingId::new(77, [77; 10]),
            state: ListingState::Draft,
            policy: None,
            ..s.listing(listing_id()).await.expect("there")
        };
        s.create_listing(&draft, "{}", &[], 31)
            .await
            .expect("a draft");
        s.open_web_session(&session(1, id, 32), Digest([1; 32]), None)
            .await
            .expect("opened");
        let l = link("reset", TokenPurpose::ResetPassword, id, "u1@example.org");
        s.send_link(
            &l,
            &letter(1, id, "u1@example.org", MailKind::PasswordReset),
            33,
        )
        .await
        .expect("sent");
        s.delete_account(id, None, now).await.expect("deleted");

        let a = s.account(id).await.expect("its row stays");
        assert_eq!(
            (a.state, a.mail, a.name),
            (
                AccountState::Deleted,
                format!("deleted:{id}"),
                "deleted account".into()
            )
        );
        assert_eq!((a.password_hash.as_str(), a.verified_at), ("", None));
        assert_eq!(
            s.account_by_mail("u1@example.org").await,
            Ok(None),
            "the mail is free"
        );
        assert_eq!(s.cookie_session(Digest([1; 32]), now).await, Ok(None));
        assert_eq!(s.link("reset").await, Ok(None));
        assert!(
            s.signing_keys(id)
                .await
                .expect("read")
                .iter()
                .all(|k| k.revoked_at.is_some())
        );
        let withdrawn = s.listing(draft.id).await.expect("there").state;
        assert!(matches!(withdrawn, ListingState::Withdrawn { .. }));
        assert_eq!(
            s.delete_account(id, None, now).await,
            Err(DomainError::NotFound { what: "account" })
        );
        let told = letter(2, id, "u1@example.org", MailKind::AccountRestored);
        assert_eq!(
            s.set_account_state(id, AccountState::Active, account(ADMIN), "x", &told, now)
                .await,
            Err(DomainError::AccountState {
                found: "deleted",
                wanted: "active"
            })
        );
        s.audit_check().await.expect("the chain holds");
        let (_, made) = register(&s, 60, "u1@example.org").await;
        assert!(made, "somebody else may have the address");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn open_orders_keep_an_account() {
    // ACC-16: an order of which the account's money has moved already.
    for place in Place::each("delete_orders").await {
        let s = market(&place.url, PRICE).await;
        s.place_order(common::placing(1), 20).await.expect("placed");
        // Of the buyer the money is reserved.
        assert_eq!(
            s.delete_account(account(BUYER), None, 30).await,
            Err(DomainError::AccountHasMoney)
        );
        s.connection_zero(account(BUYER)).await;
        assert_eq!(
            s.delete_account(account(BUYER), None, 30).await,
            Err(DomainError::AccountHasOrders { open: 1 })
        );
    }
}

/// Damages the ledger on purpose: the next rule has to hold by itself.
trait Damage {
    async fn connection_zero(&self, id: AccountId);
}

impl Damage for SqlStore {
    async fn connection_zero(&self, id: AccountId) {
        use sea_orm::ConnectionTrait;
        let sql = format!(
            "UPDATE ledger_accounts SET posted = 0, pending_in = 0, pending_out = 0 WHERE account = 'user:{id}'"
        );
        self.connection()
            .execute_unprepared(&sql)
            .await
            .expect("changed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reviews_are_kept_and_of_what_was_seen() {
    // REV-1, REV-2, REV-3
    for place in Place::each("reviews").await {
        let s = market(&place.url, 0).await;
        let by = account(ADMIN);
        let owner = account(CUSTODIAN);
        let history =
            |all: Vec<veilbourse_domain::people::ReviewEntry>| -> Vec<(String, String, String)> {
                all.into_iter()
                    .map(|r| (r.decision, r.by_name, r.reason))
                    .collect()
            };
        let first = history(s.reviews(listing_id()).await.expect("read"));
        assert_eq!(first.len(), 2);
        assert_eq!(first[0].0, "submitted");
        assert_eq!(first[1], ("approved".into(), "u4".into(), String::new()));

        // Another listing of the same owner, through a rejection and an appeal.
        let id = veilbourse_domain::id::ListingId::new(88, [88; 10]);
        let draft = Listing {
            id,
            state: ListingState::Draft,
            policy: None,
            ..s.listing(listing_id()).await.expect("there")
        };
        s.create_listing(&draft, "{}", &[], 10)
            .await
            .expect("a draft");
        let mut terms = common::policy(1);
        terms.listing = id;
        let policy = Some((terms, common::signed("policy of 88", 1)));
        let actor = format!("account:{owner}");
        let submitted = s
            .step_listing(id, ListingStep::Submit, policy, &actor, 20)
            .await
            .expect("submitted");
        let seen = submitted.updated_at;
        assert_eq!(seen, 20);
        let reject = ListingStep::Reject {
            by,
            reason: "which people?".into(),
        };
        let stale = s
            .review_listing(id, reject.clone(), "", Some(seen - 1), by, None, 21)
            .await;
        assert_eq!(stale, Err(DomainError::Conflict { what: "listing" }));
        // The clock stands still: the next change is later all the same.
        let rejected = s
            .review_listing(id, reject, "", Some(seen), by, None, 20)
            .await
            .expect("rejected");
        assert_eq!(rejected.updated_at, 21);
        let approve = ListingStep::Approve { by };
        let late = s
            .review_listing(id, approve.clone(), "", Some(seen), by, None, 22)
            .await;
        assert_eq!(late, Err(DomainError::Conflict { what: "listing" }));
        let mute = ListingStep::Appeal { text: "  ".into() };
        let mute = s.review_listing(id, mute, "", None, owner, None, 22).await;
        assert_eq!(mute.unwrap_err().code(), "INVALID");
        let appeal = ListingStep::Appeal {
            text: "the archive of 1982".into(),
        };
        let told = letter(1, by, "u4@example.org", MailKind::AppealReceived);
        let before = s.count("mails").await.expect("counted");
        let again = s
            .review_listing(id, appeal.clone(), "", None, owner, Some(&told), 23)
            .await
            .expect("appealed");
        assert!(matches!(again.state, ListingState::Submitted { at: 23 }));
        assert_eq!(s.count("mails").await, Ok(before + 1));
        let twice = s
            .review_listing(id, appeal, "", None, owner, Some(&told), 24)
            .await;
        assert_eq!(twice.unwrap_err().code(), "LISTING_STATE");
        s.review_listing(
            id,
            approve,
            "now I see",
            Some(again.updated_at),
            by,
            None,
            25,
        )
        .await
        .expect("approved");
        let lines = history(s.reviews(id).await.expect("read"));
        let lines: Vec<(&str, &str)> = lines
            .iter()
            .map(|(d, _, r)| (d.as_str(), r.as_str()))
            .collect();
        assert_eq!(
            lines,
            [
                ("submitted", ""),
                ("rejected", "which people?"),
                ("appealed", "the archive of 1982"),
                ("approved", "now I see"),
            ]
        );
        let filter = ListingFilter {
            states: vec!["published".into()],
            ..ListingFilter::default()
        };
        let page = PageRequest::new(10, None).expect("a page");
        assert_eq!(
            s.listings(&filter, &page).await.expect("read").items.len(),
            2
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_and_machines() {
    for place in Place::each("insight").await {
        let s = market(&place.url, 5 * PRICE).await;
        let o = s.overview().await.expect("counted");
        assert_eq!(
            (o.accounts, o.listings_published, o.review_waiting),
            (4, 1, 0)
        );
        assert_eq!((o.orders_open, o.orders_released, o.volume), (0, 0, 0));
        s.place_order(common::placing(1), 20).await.expect("placed");
        let o = s.overview().await.expect("counted");
        assert_eq!((o.orders_open, o.orders_refunded, o.volume), (1, 0, 0));
        assert_eq!(s.queues().await, Ok(vec![(pod(), 1)]));
        let due = s.orders_due(common::DEADLINE + 1, 5).await.expect("read");
        assert_eq!(due.len(), 1);
        assert_eq!(s.orders_due(common::DEADLINE, 5).await, Ok(vec![]));
        let page = PageRequest::new(10, None).expect("a page");
        assert_eq!(
            s.listing_orders(listing_id(), &page)
                .await
                .expect("read")
                .items
                .len(),
            1
        );
        let heard = s.machines_heard().await.expect("read");
        assert_eq!(heard.len(), 2);
        assert!(heard.iter().all(|m| m.4.is_none()));
        s.machine_seen(pod(), 70).await.expect("noted");
        let key = veilbourse_domain::id::PublicKey([33; 32]);
        let work = s.machine_work(pod(), key).await.expect("read");
        assert_eq!(
            (work.last_seen_at, work.done, work.failed),
            (Some(70), 0, 0)
        );
        let found = s.accounts(Some("U2@exa"), &page).await.expect("read");
        assert_eq!(found.items.len(), 1);
        assert_eq!(
            s.accounts(Some("%"), &page)
                .await
                .expect("read")
                .items
                .len(),
            0
        );
        assert_eq!(s.accounts(None, &page).await.expect("read").items.len(), 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ended_changes_neither_password_nor_address() {
    // ACC-10: whoever confirmed the old password before a reset, and asks after it.
    for place in Place::each("late").await {
        let s = market(&place.url, 0).await;
        let (id, mail) = (account(BUYER), "u2@example.org");
        let old = session(1, id, 10);
        s.open_session(&old, Digest([1; 32])).await.expect("opened");
        let change = |n: &str| link(n, TokenPurpose::ChangeMail, id, "x@example.org");
        let to = |n| letter(n, id, "x@example.org", MailKind::VerifyMail);
        s.send_change(old.id, &change("early"), &to(1), 20)
            .await
            .expect("sent");
        let l = link("reset", TokenPurpose::ResetPassword, id, mail);
        s.send_link(&l, &letter(2, id, mail, MailKind::PasswordReset), 20)
            .await
            .expect("sent");
        let told = letter(3, id, mail, MailKind::PasswordChanged);
        s.reset_password("reset", "new", &told, 30)
            .await
            .expect("reset");
        let revoked = DomainError::TokenInvalid { reason: "revoked" };
        let late = s.send_change(old.id, &change("late"), &to(4), 31).await;
        assert_eq!(late, Err(revoked.clone()));
        let told = letter(5, id, mail, MailKind::PasswordChanged);
        let late = s.change_password(id, old.id, "mine", None, &told, 31).await;
        assert_eq!(late, Err(revoked));
        assert_eq!(s.account(id).await.expect("there").password_hash, "new");
        let early = s.verify_address("early", &told, 32).await;
        assert_eq!(early, Err(bad("it was used, or a newer one was sent")));
        // Another's session is none of this account's.
        let theirs = session(2, account(CUSTODIAN), 33);
        s.open_session(&theirs, Digest([2; 32]))
            .await
            .expect("opened");
        assert!(
            s.change_password(id, theirs.id, "h", None, &told, 34)
                .await
                .is_err()
        );
        // A taken address has no link, and its trace is as long.
        let own = session(3, id, 35);
        s.open_session(&own, Digest([3; 32])).await.expect("opened");
        let taken = link("taken", TokenPurpose::ChangeMail, id, "u1@example.org");
        s.send_change(own.id, &taken, &to(6), 36)
            .await
            .expect("answered alike");
        assert_eq!(s.link("taken").await, Ok(None));
        // A suspension ends links too: they do not wait for the restoration.
        s.send_change(own.id, &change("waits"), &to(7), 37)
            .await
            .expect("sent");
        for (n, state) in [(8, AccountState::Suspended), (9, AccountState::Active)] {
            let told = letter(n, id, mail, MailKind::AccountSuspended);
            s.set_account_state(id, state, account(ADMIN), "x", &told, 38)
                .await
                .expect("decided");
        }
        let waits = s.verify_address("waits", &told, 39).await;
        assert_eq!(waits, Err(bad("it was used, or a newer one was sent")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_offered_of_who_is_suspended_or_gone() {
    // ACC-15, ACC-16, REV-2
    for place in Place::each("offered").await {
        let s = market(&place.url, 0).await;
        let (id, by) = (account(CUSTODIAN), account(ADMIN));
        let draft = Listing {
            id: veilbourse_domain::id::ListingId::new(77, [77; 10]),
            state: ListingState::Draft,
            policy: None,
            ..s.listing(listing_id()).await.expect("there")
        };
        s.create_listing(&draft, "{}", &[], 5).await.expect("made");
        let terms = veilbourse_domain::terms::PolicyTerms {
            listing: draft.id,
            ..common::policy(1)
        };
        let policy = Some((terms, common::signed("policy", 77)));
        s.step_listing(draft.id, ListingStep::Submit, policy, "a", 6)
            .await
            .expect("submitted");
        let told = |n| letter(n, id, "u1@example.org", MailKind::AccountSuspended);
        s.set_account_state(id, AccountState::Suspended, by, "fraud", &told(1), 7)
            .await
            .expect("suspended");
        let approve = ListingStep::Approve { by };
        let review = |step: ListingStep| s.review_listing(draft.id, step, "", None, by, None, 8);
        assert_eq!(
            review(approve.clone()).await,
            Err(DomainError::AccountSuspended)
        );
        let resumed = s
            .step_listing(listing_id(), ListingStep::Resume, None, "a", 8)
            .await;
        assert_eq!(resumed, Err(DomainError::AccountSuspended));
        s.set_account_state(id, AccountState::Active, by, "cleared up", &told(2), 9)
            .await
            .expect("restored");
        review(approve).await.expect("published");

        // A machine that waits when its operator goes away is refused with them,
        // and one that came a moment later is approved by nobody.
        let machine = |n: u8, operator| veilbourse_domain::records::Machine {
            id: veilbourse_domain::id::MachineId::new(90, [n; 10]),
            kind: veilbourse_domain::access::MachineKind::Pod,
            operator,
            name: "pod".into(),
            signing_key: veilbourse_domain::id::PublicKey([n; 32]),
            registration: "{}".into(),
            decision: veilbourse_domain::records::Decision::Pending,
            reason: String::new(),
            created_at: 10,
        };
        let (before, after) = (machine(91, account(BUYER)), machine(92, account(BUYER)));
        s.register_machine(&before, 10).await.expect("registered");
        // ACC-6: it is its operator's and staff's until it is approved.
        let page = PageRequest::new(10, None).expect("a page");
        let listed = async |seen_by| {
            let found = s.machines(None, seen_by, &page).await.expect("read");
            found.items.len()
        };
        assert_eq!(listed(None).await, 3);
        assert_eq!(listed(Some(account(BUYER))).await, 3);
        assert_eq!(listed(Some(account(ADMIN))).await, 2, "asked for its own");
        s.delete_account(account(BUYER), None, 11)
            .await
            .expect("deleted");
        let found = s.machine(before.id).await.expect("there");
        assert_eq!(
            found.decision,
            veilbourse_domain::records::Decision::Refused
        );
        s.register_machine(&after, 12).await.expect("registered");
        for m in [before, after] {
            let decided = s.decide_machine(m.id, by, true, "ok", 13).await;
            assert_eq!(
                decided.map(drop),
                Err(DomainError::NotFound { what: "account" })
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_machines_that_wait_are_few() {
    // ACC-7, POD-5
    use veilbourse_domain::records::{MAX_SIGNING_KEYS, MAX_WAITING_MACHINES};
    let place = Place::sqlite();
    let s = market(&place.url, 0).await;
    let id = account(BUYER);
    let key = |n: u8| veilbourse_domain::id::PublicKey([n; 32]);
    let limit = u8::try_from(MAX_SIGNING_KEYS).expect("small");
    // One is the market's.
    for n in 1..limit {
        s.register_key(id, key(100 + n), 5)
            .await
            .expect("registered");
    }
    let refused = s.register_key(id, key(99), 5).await;
    assert_eq!(
        refused,
        Err(DomainError::TooLarge {
            field: "signing keys",
            limit: MAX_SIGNING_KEYS,
            value: MAX_SIGNING_KEYS + 1
        })
    );
    s.revoke_key(id, key(101), 6).await.expect("revoked");
    s.register_key(id, key(99), 7).await.expect("room again");
    let machine = |n: u8| veilbourse_domain::records::Machine {
        id: veilbourse_domain::id::MachineId::new(90, [n; 10]),
        kind: veilbourse_domain::access::MachineKind::Pod,
        operator: id,
        name: "pod".into(),
        signing_key: key(n),
        registration: "{}".into(),
        decision: veilbourse_domain::records::Decision::Pending,
        reason: String::new(),
        created_at: 10,
    };
    let limit = u8::try_from(MAX_WAITING_MACHINES).expect("small");
    for n in 100..100 + limit {
        s.register_machine(&machine(n), 10)
            .await
            .expect("registered");
    }
    let refused = s.register_machine(&machine(99), 10).await;
    assert!(matches!(
        refused,
        Err(DomainError::TooLarge {
            field: "machines that wait",
            limit: MAX_WAITING_MACHINES,
            ..
        })
    ));
    s.decide_machine(machine(100).id, account(ADMIN), false, "no", 11)
        .await
        .expect("refused");
    s.register_machine(&machine(99), 12)
        .await
        .expect("room again");
}
