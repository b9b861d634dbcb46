//! Letters from the outbox to their readers (MAIL-2..4, MAIL-6, MAIL-8..10), over
//! a real SMTP server and over the folder, with the worker killed at each of its
//! points.
//!
//! Over 500 lines: one market and its people, used by every case.

#[path = "../../mail/tests/support/mod.rs"]
mod support;

use crate::{
    App, ServerConfig,
    body::admit,
    http::{Site, routes},
    postman::Round,
};
use actix_web::{App as ActixApp, body::to_bytes, middleware::from_fn, test, web::Data};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use support::Relay;
use tokio::sync::watch;
use veilbourse_core::digest::Digest;
use veilbourse_documents::{SigningKey, SrsProvenance, SrsRef, api::AcceptedKeys};
use veilbourse_domain::{
    DomainError,
    access::{MachineKind, Role},
    id::{AccountId, LeaseToken, MachineId, MailId, PublicKey},
    mail::{Letter, MAIL_LEASE_MILLIS, MailKind, MailRecord, MailState, Preferences},
    records::{Decision, Machine, PageRequest},
};
use veilbourse_store::{FailPoint, FailPoints, FileObjects, SqlStore};

const NOW: u64 = 1_700_000_000_000;
const PASSWORD: &str = "a password of a test";
const MARKET: &str = "https://market.example";

struct Market {
    dir: tempfile::TempDir,
    time: Arc<AtomicU64>,
    store: SqlStore,
    app: Arc<App>,
    admin: AccountId,
    machines: AtomicU64,
}

fn relayed(relay: &Relay) -> ServerConfig {
    ServerConfig {
        mail: Some(relay.url().into()),
        mail_from: "Market <market@example.org>".into(),
        public_url: Some(MARKET.into()),
        ..ServerConfig::default()
    }
}

impl Market {
    async fn open(config: ServerConfig) -> Self {
        Self::open_in(tempfile::tempdir().expect("a folder"), config).await
    }

    async fn open_in(dir: tempfile::TempDir, config: ServerConfig) -> Self {
        let config = ServerConfig {
            dir: dir.path().into(),
            ..config
        };
        let store = SqlStore::connect(&config.database_url(), 2)
            .await
            .expect("connects");
        let time = Arc::new(AtomicU64::new(NOW));
        let app = assemble(&config, store.clone(), &time, 7);
        let admin = app.make_account("admin@example.org", "a", PASSWORD, vec![Role::Admin]);
        let admin = admin.await.expect("made").id;
        Self {
            dir,
            time,
            store,
            app,
            admin,
            machines: AtomicU64::new(0),
        }
    }

    /// The same market after a restart, its store stopped where `fail` says.
    fn restarted(&self, seed: u64, fail: Option<FailPoints>) -> Arc<App> {
        let store = match fail {
            Some(f) => self.store.with_fail_points(f),
            None => self.store.clone(),
        };
        assemble(&self.app.config, store, &self.time, seed)
    }

    async fn account(&self, mail: &str) -> AccountId {
        let made = self
            .app
            .make_account(mail, "n", PASSWORD, vec![Role::Buyer])
            .await;
        made.expect("made").id
    }

    async fn token(&self, mail: &str) -> String {
        let s = self.app.sign_in("here", "", mail, PASSWORD, None).await;
        s.expect("in").access
    }

    /// Something happens that the account is always told of.
    async fn always(&self, account: AccountId) -> MailId {
        let n = self.machines.fetch_add(1, Ordering::SeqCst);
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&n.to_le_bytes());
        let m = Machine {
            id: MachineId::new(NOW, [u8::try_from(n).expect("few"); 10]),
            kind: MachineKind::Pod,
            operator: account,
            name: format!("pod {n}"),
            signing_key: PublicKey(key),
            registration: "{}".into(),
            decision: Decision::Pending,
            reason: String::new(),
            created_at: NOW,
        };
        let store = &self.app.store;
        store.register_machine(&m, NOW).await.expect("registered");
        let now = self.now();
        store
            .decide_machine(m.id, self.admin, true, "ok", now)
            .await
            .expect("approved");
        self.last().await.letter.id
    }

    /// Something happens that the account may not want to be told of.
    async fn optional(&self, account: AccountId) -> MailId {
        use veilbourse_domain::{
            MinorUnits,
            id::{CashRequestId, TransferId},
            ledger::TransferKind,
        };
        let n = self.machines.fetch_add(1, Ordering::SeqCst);
        let random = [u8::try_from(n).expect("few"); 10];
        let (id, now) = (CashRequestId::new(NOW, random), self.now());
        let amount = MinorUnits::new(5).expect("in range");
        let store = &self.app.store;
        let (kind, transfer) = (TransferKind::Deposit, TransferId::new(NOW, random));
        store
            .request_cash(id, transfer, kind, account, amount, &n.to_string(), now)
            .await
            .expect("asked");
        store
            .decide_cash(id, self.admin, true, "", now)
            .await
            .expect("approved");
        self.last().await.letter.id
    }

    async fn all(&self) -> Vec<MailRecord> {
        let page = PageRequest::new(100, None).expect("in range");
        let found = self.app.store.mails(&Default::default(), &page).await;
        found.expect("listed").into_items()
    }

    async fn last(&self) -> MailRecord {
        let all = self.all().await;
        let newest = all.into_iter().max_by_key(|m| (m.created_at, m.letter.id));
        newest.expect("a letter")
    }

    async fn state(&self, id: MailId) -> MailState {
        self.app.store.mail(id).await.expect("there").state
    }

    fn now(&self) -> u64 {
        // Ids sort by time: each letter is later than the one before.
        self.time.fetch_add(1, Ordering::SeqCst)
    }

    fn advance(&self, millis: u64) {
        self.time.fetch_add(millis, Ordering::SeqCst);
    }

    async fn round(&self) -> Round {
        round(&self.app).await.expect("a round")
    }

    async fn call(&self, request: test::TestRequest) -> (u16, Vec<(String, String)>, String) {
        let service = test::init_service(
            ActixApp::new()
                .app_data(Data::new(Site::new(self.app.clone())))
                .wrap(from_fn(admit))
                .configure(routes),
        )
        .await;
        let response = match test::try_call_service(&service, request.to_request()).await {
            Ok(r) => r.into_parts().1.map_into_boxed_body(),
            Err(e) => e.error_response(),
        };
        let status = response.status().as_u16();
        let headers = response.headers().iter();
        let headers = headers.map(|(n, v)| (n.to_string(), v.to_str().unwrap_or("").to_owned()));
        let headers = headers.collect();
        let bytes = to_bytes(response.into_body()).await.unwrap_or_default();
        (
            status,
            headers,
            String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    async fn graphql(&self, request: test::TestRequest, query: &str) -> Value {
        let request = request
            .uri("/graphql")
            .method(actix_web::http::Method::POST);
        let (status, _, text) = self.call(request.set_json(json!({ "query": query }))).await;
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).expect("JSON")
    }
}

fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"]
        .as_str()
        .unwrap_or("none")
}

fn assemble(config: &ServerConfig, store: SqlStore, time: &Arc<AtomicU64>, seed: u64) -> Arc<App> {
    let clock = {
        let time = time.clone();
        Arc::new(move || time.load(Ordering::SeqCst))
    };
    let accepted = AcceptedKeys {
        srs: SrsRef {
            digest: Digest([80; 32]),
            provenance: SrsProvenance::Dev,
        },
        ceremony: None,
        keys: Vec::new(),
    };
    config.check().expect("a good configuration");
    App::assemble(
        config.clone(),
        Arc::new(store),
        Arc::new(FileObjects::new(&config.dir.join("objects")).expect("a folder")),
        SigningKey::from_bytes(&[1; 32]),
        &SigningKey::from_bytes(&[2; 32]),
        accepted,
        clock,
        ChaCha20Rng::seed_from_u64(seed),
    )
    .expect("assembled")
}

async fn round(app: &App) -> veilbourse_domain::Result<Round> {
    let (_keep, stop) = watch::channel(false);
    app.post_round(&stop).await
}

/// From the machine itself, by its name there.
fn here() -> test::TestRequest {
    test::TestRequest::default()
        .peer_addr("127.0.0.1:5000".parse().expect("an address"))
        .insert_header(("host", "localhost:8080"))
}

fn elsewhere() -> test::TestRequest {
    test::TestRequest::default()
        .peer_addr("10.1.2.3:5000".parse().expect("an address"))
        .insert_header(("host", "market.example"))
}

fn by(request: test::TestRequest, token: &str) -> test::TestRequest {
    request.insert_header(("authorization", format!("Bearer {token}")))
}

const LOCAL: &str = r#"{ localMails(address: "Ada@example.org") { id kind subject text action } }"#;

#[actix_web::test]
async fn without_a_relay_letters_are_read_at_the_machine() {
    // MAIL-10
    let m = Market::open(ServerConfig::default()).await;
    let ada = m.account("ada@example.org").await;
    let bob = m.account("bob@example.org").await;
    let (first, second) = (m.always(ada).await, m.optional(ada).await);
    m.always(bob).await;
    let waiting = m.graphql(here(), LOCAL).await;
    assert_eq!(waiting["data"]["localMails"], json!([]), "not sent yet");
    assert_eq!(
        m.round().await,
        Round {
            sent: 3,
            shut: false
        }
    );
    let found = m.graphql(here(), LOCAL).await;
    let found = found["data"]["localMails"]
        .as_array()
        .expect("a list")
        .clone();
    let ids: Vec<_> = found
        .iter()
        .map(|l| l["id"].as_str().expect("an id"))
        .collect();
    assert_eq!(ids, [second.to_string(), first.to_string()]);
    assert_eq!(found[1]["kind"], "machine_decided");
    assert_eq!(found[1]["subject"], "Your pod is approved");
    assert_eq!(found[1]["action"], "http://127.0.0.1:8080/operator");
    assert!(found[1]["text"].as_str().expect("text").contains("pod 0"));
    // Each is a file, readable by a mail program.
    for id in [first, second] {
        let file = m.dir.path().join(format!("mails/{id}.eml"));
        let text = std::fs::read_to_string(file).expect("there");
        assert!(
            text.contains(&format!("Message-ID: <{id}@localhost>")),
            "{text}"
        );
        assert!(text.contains("To: ada@example.org"), "{text}");
    }
    // Nobody else is told that anything is there.
    let html = format!("/v1/mails/{first}/preview.html");
    for request in [
        elsewhere,
        || here().insert_header(("x-forwarded-for", "10.1.2.3")),
        || elsewhere().peer_addr("127.0.0.1:5000".parse().expect("an address")),
    ] {
        assert_eq!(code(&m.graphql(request(), LOCAL).await), "NOT_FOUND");
        assert_eq!(m.call(request().uri(&html)).await.0, 404);
    }
    let (status, headers, text) = m.call(here().uri(&html)).await;
    assert_eq!(status, 200);
    assert!(text.contains("<h1>Your pod is approved</h1>"), "{text}");
    let csp = headers.iter().find(|(n, _)| n == "content-security-policy");
    assert!(csp.is_some_and(|(_, v)| v.starts_with("sandbox; default-src 'none'")));
    let bad = format!("/v1/mails/{first}/preview.pdf");
    assert_eq!(m.call(here().uri(&bad)).await.0, 404);
    let nobody = "/v1/mails/01900000-0000-7000-8000-000000000000/preview.txt";
    assert_eq!(m.call(here().uri(nobody)).await.0, 404);
}

#[actix_web::test]
async fn a_market_that_others_reach_shows_no_letters() {
    // MAIL-10
    for config in [
        ServerConfig {
            public_url: Some(MARKET.into()),
            ..ServerConfig::default()
        },
        ServerConfig {
            public_url: Some("http://market.internal:8080".into()),
            ..ServerConfig::default()
        },
        ServerConfig {
            listen: "0.0.0.0:8080".into(),
            public_url: Some("http://localhost:8080".into()),
            ..ServerConfig::default()
        },
    ] {
        let m = Market::open(config).await;
        let ada = m.account("ada@example.org").await;
        let id = m.always(ada).await;
        assert_eq!(m.round().await.sent, 1);
        assert_eq!(code(&m.graphql(here(), LOCAL).await), "NOT_FOUND");
        let page = format!("/v1/mails/{id}/preview.txt");
        assert_eq!(m.call(here().uri(&page)).await.0, 404);
        // Its owner and staff see it, others do not (ACC-6).
        m.account("bob@example.org").await;
        for (mail, expected) in [
            ("ada@example.org", 200),
            ("admin@example.org", 200),
            ("bob@example.org", 404),
        ] {
            let token = m.token(mail).await;
            let (status, _, text) = m.call(by(elsewhere(), &token).uri(&page)).await;
            assert_eq!(status, expected, "{mail}: {text}");
        }
    }
}

fn verify(account: AccountId, purpose: &str) -> MailRecord {
    MailRecord {
        letter: Letter {
            id: MailId::new(NOW, [1; 10]),
            account: Some(account),
            address: "ada@example.org".into(),
            kind: MailKind::VerifyMail,
            facts: json!({ "token": { "purpose": purpose, "nonce": "07".repeat(16) } }),
        },
        state: MailState::Waiting,
        created_at: NOW,
        due_at: NOW,
        attempts: 0,
        error: String::new(),
        sent_at: None,
        erased_at: None,
    }
}

#[actix_web::test]
async fn tokens_are_made_when_a_letter_is_and_shown_to_its_reader_alone() {
    // MAIL-4
    let m = Market::open(ServerConfig::default()).await;
    let (ada, bob) = (AccountId::new(1, [1; 10]), AccountId::new(1, [2; 10]));
    let sent = m
        .app
        .rendered(&verify(ada, "verify-mail"), true)
        .expect("whole");
    let token = m
        .app
        .mail_token("verify-mail", ada, "ada@example.org", &[7; 16]);
    assert_eq!(token.len(), 96);
    assert!(
        sent.text.contains(&format!("/verify-mail#{token}")),
        "{}",
        sent.text
    );
    assert!(!sent.text.contains(&format!("?{token}")));
    // A preview tells the same without it.
    let looked = m
        .app
        .rendered(&verify(ada, "verify-mail"), false)
        .expect("whole");
    assert!(!looked.text.contains(&token) && !looked.html.contains(&token));
    assert!(!looked.html.contains(&token[..32]), "nor its nonce");
    // Anything else gives another token.
    let others = [
        m.app
            .mail_token("change-mail", ada, "ada@example.org", &[7; 16]),
        m.app
            .mail_token("verify-mail", bob, "ada@example.org", &[7; 16]),
        m.app
            .mail_token("verify-mail", ada, "bob@example.org", &[7; 16]),
        m.app
            .mail_token("verify-mail", ada, "ada@example.or", &[7; 16]),
    ];
    assert!(others.iter().all(|o| *o != token && o[..32] == token[..32]));
    // A letter without what its link is made of is not sent.
    for facts in [
        json!({}),
        json!({ "token": { "purpose": "verify-mail", "nonce": "07" } }),
        json!({ "token": "x" }),
    ] {
        let mut m2 = verify(ada, "verify-mail");
        m2.letter.facts = facts;
        let refused = m.app.rendered(&m2, true);
        assert!(matches!(
            refused,
            Err(veilbourse_mail::MailError::Fact { .. })
        ));
    }
}

#[actix_web::test]
async fn one_click_stops_what_may_be_stopped() {
    // MAIL-6
    let dir = tempfile::tempdir().expect("a folder");
    let Some(relay) = Relay::start("one_click", dir.path(), &[]) else {
        return;
    };
    let m = Market::open(relayed(&relay)).await;
    let ada = m.account("ada@example.org").await;
    let (always, optional) = (m.always(ada).await, m.optional(ada).await);
    assert_eq!(m.round().await.sent, 2);
    let taken = relay.taken();
    let of = |id: MailId| {
        let id = format!("<{id}@example.org>");
        taken
            .iter()
            .find(|t| t.data.contains(&id))
            .expect("taken")
            .data
            .clone()
    };
    assert!(!of(always).contains("List-Unsubscribe"), "{}", of(always));
    let header = of(optional).replace("\r\n ", " ").replace('\r', "");
    let line = header
        .lines()
        .find_map(|l| l.strip_prefix("List-Unsubscribe: <"));
    let url = line.expect("a header").trim_end_matches('>').to_owned();
    assert!(header.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click"));
    let path = url.strip_prefix(MARKET).expect("ours").to_owned();
    let token = path
        .strip_prefix("/v1/unsubscribe?token=")
        .expect("the route")
        .to_owned();
    let post = |path: String, body: &'static str| {
        let r = elsewhere().uri(&path).method(actix_web::http::Method::POST);
        r.insert_header(("content-type", "application/x-www-form-urlencoded"))
            .set_payload(body)
    };
    let click = "List-Unsubscribe=One-Click";
    // A look at the link does nothing, nor does a link for something else.
    assert_eq!(m.call(post(path.clone(), "")).await.0, 400);
    let id: [u8; 16] = *ada.uuid().as_bytes();
    let nobody = AccountId::new(1, [9; 10]);
    let mut flipped = token.clone();
    let last = if flipped.ends_with('0') { "1" } else { "0" };
    flipped.replace_range(95.., last);
    let wrong = [
        m.app
            .mail_token("verify-mail", ada, "ada@example.org", &[7; 16]),
        m.app.mail_token("reset-password", ada, "", &id),
        m.app.mail_token("unsubscribe", nobody, "", &id),
        m.app.mail_token("unsubscribe", ada, "ada@example.org", &id),
        flipped,
        token[..94].to_owned(),
        String::new(),
    ];
    for bad in &wrong {
        let (status, _, text) = m
            .call(post(format!("/v1/unsubscribe?token={bad}"), click))
            .await;
        assert_eq!(status, 400, "{bad}");
        assert!(text.contains("MAIL_TOKEN_INVALID"), "{bad}: {text}");
        let query = format!("mutation {{ unsubscribe(token: \"{bad}\") }}");
        assert_eq!(
            code(&m.graphql(elsewhere(), &query).await),
            "MAIL_TOKEN_INVALID"
        );
    }
    assert_eq!(m.call(post("/v1/unsubscribe".into(), click)).await.0, 400);
    assert_eq!(
        m.app.store.preferences(ada).await,
        Ok(Preferences::default())
    );
    // The click works, and again.
    for _ in 0..2 {
        assert_eq!(m.call(post(path.clone(), click)).await.0, 200);
    }
    assert_eq!(
        m.app.store.preferences(ada).await,
        Ok(Preferences::all(false))
    );
    // What waits is not sent either; what is about the account is.
    let (always, optional) = (m.always(ada).await, m.optional(ada).await);
    assert_eq!(m.round().await.sent, 1);
    assert_eq!(m.state(always).await, MailState::Sent);
    assert_eq!(m.state(optional).await, MailState::Skipped);
    // On again by the account's own settings, and off by the page's mutation.
    let mine = m.token("ada@example.org").await;
    let set = "mutation { setMailPreferences(preferences: { orders: true, listings: true, budgets: true, deadlines: true, cash: true }) { cash } }";
    let set = m.graphql(by(elsewhere(), &mine), set).await;
    assert_eq!(set["data"]["setMailPreferences"]["cash"], true, "{set}");
    let me = m
        .graphql(
            by(elsewhere(), &mine),
            "{ me { preferences { orders cash } } }",
        )
        .await;
    assert_eq!(
        me["data"]["me"]["preferences"],
        json!({ "orders": true, "cash": true })
    );
    let page = format!("mutation {{ unsubscribe(token: \"{token}\") }}");
    let page = m.graphql(elsewhere(), &page).await;
    assert_eq!(page["data"]["unsubscribe"], true, "{page}");
    assert_eq!(
        m.app.store.preferences(ada).await,
        Ok(Preferences::all(false))
    );
    // Staff see nobody's preferences by way of the account.
    let admin = m.token("admin@example.org").await;
    let all = m
        .graphql(
            by(elsewhere(), &admin),
            "{ accounts { nodes { mail preferences { cash } } } }",
        )
        .await;
    let all = all["data"]["accounts"]["nodes"]
        .as_array()
        .expect("a list")
        .clone();
    let others = all.iter().filter(|a| a["mail"] == "ada@example.org");
    assert!(others.into_iter().all(|a| a["preferences"].is_null()));
}

#[actix_web::test]
async fn what_the_relay_says_decides() {
    // MAIL-2, MAIL-3
    let dir = tempfile::tempdir().expect("a folder");
    let Some(relay) = Relay::start("what_the_relay_says", dir.path(), &[]) else {
        return;
    };
    let m = Market::open(relayed(&relay)).await;
    let mut ids = Vec::new();
    for who in ["unknown", "busy", "spam", "full", "good", "lost", "other"] {
        let account = m.account(&format!("{who}@example.org")).await;
        ids.push((who, m.always(account).await));
    }
    // A lost dialogue ends its round; the next one goes on.
    for _ in 0..3 {
        m.round().await;
    }
    for (who, id) in &ids {
        let expected = match *who {
            "unknown" | "spam" => MailState::Failed,
            "busy" | "full" => MailState::Waiting,
            "lost" => MailState::Unknown,
            _ => MailState::Sent,
        };
        let found = m.app.store.mail(*id).await.expect("there");
        assert_eq!(found.state, expected, "{who}: {}", found.error);
        assert_eq!(found.attempts, 1, "{who}");
        if expected == MailState::Waiting {
            assert!(
                found.due_at >= NOW + 30_000 && found.due_at < NOW + 31_000,
                "{who}"
            );
        }
        assert_eq!(found.error.is_empty(), expected == MailState::Sent, "{who}");
    }
    assert_eq!(relay.taken().len(), 3, "good, lost and other");
    let alarms = m.app.mail_alarms().await.expect("looked");
    let codes: Vec<_> = alarms.iter().map(|a| (a.code, a.severity)).collect();
    assert_eq!(
        codes,
        [("MAIL_FAILED", "warning"), ("MAIL_UNKNOWN", "warning")]
    );
    m.advance(40_000);
    m.round().await;
    let busy = m.app.store.mail(ids[1].1).await.expect("there");
    assert_eq!((busy.state, busy.attempts), (MailState::Waiting, 2));

    // Who sees what, and who decides (ACC-1, ACC-6).
    let (lost, failed) = (ids[5].1, ids[0].1);
    let admin = m.token("admin@example.org").await;
    let mine = m.token("lost@example.org").await;
    let own = "{ sentMails { nodes { id state error attempts subject address } } }";
    let own = m.graphql(by(elsewhere(), &mine), own).await;
    let own = own["data"]["sentMails"]["nodes"]
        .as_array()
        .expect("a list")
        .clone();
    assert_eq!(own.len(), 1);
    assert_eq!(own[0]["id"], lost.to_string());
    assert_eq!(
        (own[0]["state"].as_str(), own[0]["error"].as_str()),
        (Some("unknown"), None)
    );
    let all = "{ sentMails(all: true, state: \"failed\") { nodes { id error } } }";
    assert_eq!(
        code(&m.graphql(by(elsewhere(), &mine), all).await),
        "FORBIDDEN"
    );
    let all = m.graphql(by(elsewhere(), &admin), all).await;
    let all = all["data"]["sentMails"]["nodes"]
        .as_array()
        .expect("a list")
        .clone();
    assert_eq!(all.len(), 2);
    assert!(
        all.iter()
            .all(|l| l["error"].as_str().is_some_and(|e| e.contains("refused")))
    );
    assert_eq!(
        code(
            &m.graphql(elsewhere(), "{ sentMails { nodes { id } } }")
                .await
        ),
        "UNAUTHENTICATED"
    );
    let retry = format!("mutation {{ retryMail(id: \"{lost}\") {{ state }} }}");
    assert_eq!(
        code(&m.graphql(by(elsewhere(), &mine), &retry).await),
        "FORBIDDEN"
    );
    let again = m.graphql(by(elsewhere(), &admin), &retry).await;
    assert_eq!(again["data"]["retryMail"]["state"], "waiting", "{again}");
    assert_eq!(
        code(&m.graphql(by(elsewhere(), &admin), &retry).await),
        "MAIL_STATE"
    );
    let dismiss = format!("mutation {{ dismissMail(id: \"{failed}\") {{ state }} }}");
    let aside = m.graphql(by(elsewhere(), &admin), &dismiss).await;
    assert_eq!(
        aside["data"]["dismissMail"]["state"], "dismissed",
        "{aside}"
    );
    // By hand it may be twice.
    m.round().await;
    assert_eq!(relay.taken().len(), 4);
}

#[actix_web::test]
async fn while_the_relay_is_away_letters_wait_and_use_up_no_tries() {
    // MAIL-3
    let dir = tempfile::tempdir().expect("a folder");
    let Some(relay) = Relay::start("while_away", dir.path(), &[]) else {
        return;
    };
    let config = relayed(&relay);
    drop(relay);
    let m = Market::open(config).await;
    let ada = m.account("ada@example.org").await;
    let id = m.always(ada).await;
    assert_eq!(m.app.mail_alarms().await, Ok(Vec::new()));
    for _ in 0..3 {
        assert_eq!(
            m.round().await,
            Round {
                sent: 0,
                shut: true
            }
        );
        m.advance(10 * 60_000);
    }
    let waits = m.app.store.mail(id).await.expect("there");
    assert_eq!((waits.state, waits.attempts), (MailState::Waiting, 0));
    let alarms = m.app.mail_alarms().await.expect("looked");
    let codes: Vec<_> = alarms.iter().map(|a| (a.code, a.severity)).collect();
    assert_eq!(
        codes,
        [("MAIL_RELAY", "critical"), ("MAIL_LATE", "warning")]
    );
    assert!(alarms[0].at < NOW + 60_000, "since the first time");
    // The next relay takes it.
    let relay = Relay::start("while_away", dir.path(), &[]).expect("it ran before");
    let config = ServerConfig {
        dir: m.dir.path().into(),
        ..relayed(&relay)
    };
    let next = assemble(&config, m.store.clone(), &m.time, 9);
    assert_eq!(
        round(&next).await,
        Ok(Round {
            sent: 1,
            shut: false
        })
    );
    assert_eq!(next.mail_alarms().await, Ok(Vec::new()));
    assert_eq!(relay.taken().len(), 1);
}

/// Kills the worker at each point between two letters and at each statement of
/// its transactions: no letter arrives twice, and none is lost without a word.
#[actix_web::test]
async fn killed_anywhere_it_sends_nothing_twice() {
    // MAIL-2
    let dir = tempfile::tempdir().expect("a folder");
    let Some(relay) = Relay::start("killed_anywhere", dir.path(), &[]) else {
        return;
    };
    let points = [
        ("mail.claim", 4, true),
        ("mail.sending", 3, true),
        ("mail.settle", 3, true),
    ];
    let mut seen = Vec::new();
    for (transaction, steps, _) in points {
        for step in 0..steps {
            let m = Market::open(relayed(&relay)).await;
            let ada = m.account("ada@example.org").await;
            let id = m.always(ada).await;
            let stopped = Arc::new(AtomicU64::new(0));
            let hit = stopped.clone();
            let fail: FailPoints = Arc::new(move |p: FailPoint| {
                let stop = p.transaction == transaction && p.step == step;
                if stop {
                    hit.store(1 + u64::from(p.committed), Ordering::SeqCst);
                }
                stop
            });
            let before = relay.taken().len();
            let killed = m.restarted(10, Some(fail));
            let died = round(&killed).await;
            drop(killed);
            let stopped = stopped.load(Ordering::SeqCst);
            if stopped == 0 {
                continue; // The transaction has fewer steps.
            }
            let noted = transaction == "mail.settle" && stopped == 2;
            assert!(died.is_err() || noted, "{transaction} {step}: {died:?}");
            // The next worker, at once and when the lease is over.
            let next = m.restarted(11, None);
            round(&next).await.expect("a round");
            m.advance(MAIL_LEASE_MILLIS + 1_000);
            round(&next).await.expect("a round");
            let state = m.state(id).await;
            let taken = relay.taken().len() - before;
            let expected = match (transaction, stopped) {
                // Nothing was handed over: it is sent by the next worker, once.
                ("mail.claim", _) | ("mail.sending", 1) => (MailState::Sent, 1),
                // Noted that it would be, and it was not.
                ("mail.sending", _) => (MailState::Unknown, 0),
                // Taken, and that was not noted.
                (_, 1) => (MailState::Unknown, 1),
                // Noted, and only the answer to that was lost.
                _ => (MailState::Sent, 1),
            };
            assert_eq!((state, taken), expected, "{transaction} {step} {stopped}");
            // However long nobody decides, nothing more goes out.
            m.advance(86_400_000);
            round(&next).await.expect("a round");
            assert_eq!(relay.taken().len() - before, expected.1);
            seen.push((transaction, stopped));
        }
    }
    for (transaction, ..) in points {
        for stopped in [1, 2] {
            assert!(
                seen.contains(&(transaction, stopped)),
                "{transaction} {stopped}"
            );
        }
    }
    // The same Message-ID tells a letter sent by hand from another one.
    let ids: Vec<_> = relay
        .taken()
        .iter()
        .filter_map(|t| {
            t.data
                .lines()
                .find(|l| l.starts_with("Message-ID"))
                .map(str::to_owned)
        })
        .collect();
    assert_eq!(ids.len(), relay.taken().len());
}

#[actix_web::test]
async fn a_worker_whose_lease_is_over_hands_nothing_over() {
    // MAIL-2: two servers on one database, the first one frozen.
    let m = Market::open(ServerConfig::default()).await;
    let ada = m.account("ada@example.org").await;
    let id = m.always(ada).await;
    let slow = LeaseToken([5; 32]);
    let store = &m.app.store;
    let held = store
        .claim_mail(slow, NOW + 100)
        .await
        .expect("asked")
        .expect("one");
    assert_eq!(held.letter.id, id);
    m.advance(MAIL_LEASE_MILLIS + 1_000);
    assert_eq!(m.round().await.sent, 1);
    let now = m.now();
    assert_eq!(
        store.mail_sending(id, slow, now).await,
        Err(DomainError::StaleLease)
    );
    assert_eq!(m.state(id).await, MailState::Sent);
}

#[actix_web::test]
async fn a_letter_that_cannot_be_written_fails_alone() {
    // MAIL-5
    let m = Market::open(ServerConfig::default()).await;
    let odd = m.account("odd,address@example.org").await;
    let ada = m.account("ada@example.org").await;
    let (bad, good) = (m.always(odd).await, m.always(ada).await);
    assert_eq!(m.round().await.sent, 1);
    assert_eq!(m.state(good).await, MailState::Sent);
    let failed = m.app.store.mail(bad).await.expect("there");
    assert_eq!(failed.state, MailState::Failed);
    assert!(failed.error.contains("no address"), "{}", failed.error);
}

#[actix_web::test]
async fn old_letters_and_their_files_are_erased() {
    // MAIL-8
    let m = Market::open(ServerConfig::default()).await;
    let ada = m.account("ada@example.org").await;
    let id = m.always(ada).await;
    m.round().await;
    let file = m.dir.path().join(format!("mails/{id}.eml"));
    assert!(file.exists());
    m.advance(29 * 86_400_000);
    assert_eq!(m.app.erase_old_letters().await, Ok(0));
    m.advance(86_400_000 + 60_000);
    assert_eq!(m.app.erase_old_letters().await, Ok(1));
    assert!(!file.exists());
    let mine = m.token("ada@example.org").await;
    let own = "{ sentMails { nodes { subject address state } } }";
    let own = m.graphql(by(elsewhere(), &mine), own).await;
    let expected = json!([{ "subject": "machine decided", "address": "", "state": "sent" }]);
    assert_eq!(own["data"]["sentMails"]["nodes"], expected);
    let page = format!("/v1/mails/{id}/preview.txt");
    assert_eq!(m.call(by(elsewhere(), &mine).uri(&page)).await.0, 404);
}

#[actix_web::test]
async fn the_worker_runs_until_it_is_told_to_stop() {
    let _ = crate::http::recorder();
    let m = Market::open(ServerConfig::default()).await;
    let ada = m.account("ada@example.org").await;
    let id = m.always(ada).await;
    let (stop, stopped) = watch::channel(false);
    let work = m.app.clone().post_forever(stopped);
    let watched = async {
        for _ in 0..200 {
            if m.state(id).await == MailState::Sent {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        stop.send(true).expect("it listens");
    };
    let both = async { tokio::join!(work, watched) };
    let limit = std::time::Duration::from_secs(30);
    tokio::time::timeout(limit, both).await.expect("it ends");
    assert_eq!(m.state(id).await, MailState::Sent);
    let text = crate::http::recorder().render();
    assert!(
        text.contains("veilbourse_mails_total{outcome=\"sent\"}"),
        "{text}"
    );
    assert!(
        text.contains("veilbourse_mail_alarm{code=\"MAIL_RELAY\"} 0"),
        "{text}"
    );
}
