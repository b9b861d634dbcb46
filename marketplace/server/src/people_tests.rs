//! People's accounts over the server's routes (ACC-8..18): who a cookie is, what
//! a link, a code and a password open, and for whom.
//!
//! Over 500 lines: one server and its callers, used by every case.

use crate::{
    App, ServerConfig, StaffRole,
    body::admit,
    config::Limits,
    http::{Site, routes},
    sessions::{COOKIE, Credential},
    totp,
};
use actix_web::{
    App as ActixApp, body::to_bytes, http::Method, middleware::from_fn, test, web::Data,
};
use data_encoding::BASE32_NOPAD;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use veilbourse_core::digest::Digest;
use veilbourse_documents::{SrsProvenance, SrsRef, api::AcceptedKeys};
use veilbourse_domain::{
    access::{MachineKind, Viewer},
    id::{MachineId, PublicKey},
    people::TokenPurpose,
    records::{Decision, Machine},
};

const NOW: u64 = 1_700_000_000_000;
const PASSWORD: &str = "a password of a test";
const OTHER: &str = "quite another sentence";
const HOME: &str = "10.0.0.1:1000";
const AWAY: &str = "10.0.0.2:1000";

struct Place {
    app: Arc<App>,
    site: Data<Site>,
    time: Arc<AtomicU64>,
    _dir: tempfile::TempDir,
}

/// What came back.
struct Got {
    status: u16,
    cookie: Option<String>,
    text: String,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
    /// Code of a refusal, over HTTP or GraphQL; empty when there is none.
    fn code(&self) -> String {
        let v = self.json();
        let graphql = &v["errors"][0]["extensions"]["code"];
        let code = graphql.as_str().or(v["code"].as_str());
        match (code, v["errors"].is_null()) {
            (Some(c), _) => c.to_owned(),
            (None, true) => String::new(),
            (None, false) => panic!("{}", self.text),
        }
    }
    fn data(&self, field: &str) -> Value {
        let v = self.json();
        assert!(v["errors"].is_null(), "{}", self.text);
        v["data"][field].clone()
    }
}

/// Who asks, by what it sends.
#[derive(Clone)]
enum Who {
    Nobody,
    Token(String),
    /// A page of ours.
    Page(String),
}

async fn place(change: impl FnOnce(&mut ServerConfig)) -> Place {
    let dir = tempfile::tempdir().expect("a folder");
    let time = Arc::new(AtomicU64::new(NOW));
    let clock = {
        let time = time.clone();
        Arc::new(move || time.load(Ordering::SeqCst))
    };
    let mut config = ServerConfig {
        dir: dir.path().into(),
        limits: Limits {
            login: 10_000,
            register: 10_000,
            ..Limits::default()
        },
        ..ServerConfig::default()
    };
    change(&mut config);
    let accepted = AcceptedKeys {
        srs: SrsRef {
            digest: Digest([80; 32]),
            provenance: SrsProvenance::Dev,
        },
        ceremony: None,
        keys: Vec::new(),
    };
    let rng = ChaCha20Rng::seed_from_u64(7);
    let app = App::open(config, accepted, clock, rng)
        .await
        .expect("opens");
    Place {
        site: Data::new(Site::new(app.clone())),
        app,
        time,
        _dir: dir,
    }
}

impl Place {
    async fn ask(
        &self,
        method: &str,
        path: &str,
        from: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Got {
        let service = test::init_service(
            ActixApp::new()
                .app_data(self.site.clone())
                .wrap(from_fn(admit))
                .configure(routes),
        )
        .await;
        let mut request = test::TestRequest::default()
            .method(Method::from_bytes(method.as_bytes()).expect("a method"))
            .uri(path)
            .peer_addr(from.parse::<SocketAddr>().expect("an address"))
            .insert_header(("host", "market.example"));
        for h in headers {
            request = request.insert_header(*h);
        }
        if let Some(b) = body {
            let bytes = b.to_string();
            request = request
                .insert_header(("content-type", "application/json"))
                .insert_header(("content-length", bytes.len().to_string()))
                .set_payload(bytes);
        }
        let response = match test::try_call_service(&service, request.to_request()).await {
            Ok(r) => r.into_parts().1.map_into_boxed_body(),
            Err(e) => e.error_response(),
        };
        let status = response.status().as_u16();
        let cookie = response.headers().get("set-cookie");
        let cookie = cookie.map(|c| c.to_str().expect("text").to_owned());
        let bytes = to_bytes(response.into_body()).await.unwrap_or_default();
        Got {
            status,
            cookie,
            text: String::from_utf8(bytes.to_vec()).expect("text"),
        }
    }

    async fn graphql_from(&self, who: &Who, from: &str, query: &str, variables: Value) -> Got {
        let (token, cookie);
        let headers: Vec<(&str, &str)> = match who {
            Who::Nobody => vec![],
            Who::Token(t) => {
                token = format!("Bearer {t}");
                vec![("authorization", &token)]
            }
            Who::Page(c) => {
                cookie = format!("{COOKIE}={c}");
                vec![("cookie", &cookie), ("x-veilbourse", "web")]
            }
        };
        let body = json!({ "query": query, "variables": variables });
        self.ask("POST", "/graphql", from, &headers, Some(body))
            .await
    }

    async fn graphql(&self, who: &Who, query: &str, variables: Value) -> Got {
        self.graphql_from(who, HOME, query, variables).await
    }

    async fn register(&self, mail: &str, password: &str) -> Got {
        let query = "mutation($m: String!, $p: String!) {
            register(mail: $m, name: \"Somebody\", password: $p, roles: [BUYER]) { id mail verified } }";
        self.graphql(&Who::Nobody, query, json!({ "m": mail, "p": password }))
            .await
    }

    async fn login_from(&self, from: &str, mail: &str, password: &str, code: Option<&str>) -> Got {
        let query = "mutation($m: String!, $p: String!, $c: String) {
            login(mail: $m, password: $p, code: $c) { access account } }";
        let variables = json!({ "m": mail, "p": password, "c": code });
        self.graphql_from(&Who::Nobody, from, query, variables)
            .await
    }

    async fn login(&self, mail: &str, password: &str, code: Option<&str>) -> Got {
        self.login_from(HOME, mail, password, code).await
    }

    async fn page(&self, mail: &str, password: &str) -> String {
        let body = json!({ "mail": mail, "password": password });
        let got = self.ask("POST", "/v1/session", HOME, &[], Some(body)).await;
        assert_eq!(got.status, 200, "{}", got.text);
        secret(&got)
    }

    async fn token(&self, purpose: TokenPurpose, mail: &str) -> String {
        // Resets are written after their answer.
        for _ in 0..500 {
            if let Some(t) = self.app.waiting_token(purpose, mail).await.expect("read") {
                return t;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("no link for {mail}");
    }

    async fn verify(&self, token: &str) -> Got {
        let query = "mutation($t: String!) { verifyMail(token: $t) }";
        self.graphql(&Who::Nobody, query, json!({ "t": token }))
            .await
    }

    /// Registered, verified, signed in with a token.
    async fn person(&self, mail: &str) -> Who {
        self.register(mail, PASSWORD).await.data("register");
        let token = self.token(TokenPurpose::VerifyMail, mail).await;
        assert_eq!(self.verify(&token).await.data("verifyMail"), true);
        Who::Token(access(&self.login(mail, PASSWORD, None).await))
    }

    async fn admin(&self) -> Who {
        let mail = "admin@market.example";
        self.app
            .make_staff(mail, PASSWORD, StaffRole::Admin)
            .await
            .expect("made");
        Who::Token(access(&self.login(mail, PASSWORD, None).await))
    }

    async fn me(&self, who: &Who) -> Got {
        self.graphql(
            who,
            "{ me { id mail name verified secondFactor state } }",
            json!({}),
        )
        .await
    }

    async fn reset(&self, token: &str, password: &str) -> Got {
        let query = "mutation($t: String!, $p: String!) { resetPassword(token: $t, password: $p) }";
        self.graphql(&Who::Nobody, query, json!({ "t": token, "p": password }))
            .await
    }

    async fn ask_reset(&self, mail: &str) -> Got {
        let query = "mutation($m: String!) { requestPasswordReset(mail: $m) }";
        self.graphql(&Who::Nobody, query, json!({ "m": mail }))
            .await
    }

    /// Sets a second factor up; its secret and recovery codes.
    async fn factor(&self, who: &Who) -> (Vec<u8>, Vec<String>) {
        let query =
            "mutation($p: String!) { beginSecondFactor(password: $p) { secret uri qr qrSize } }";
        let setup = self
            .graphql(who, query, json!({ "p": PASSWORD }))
            .await
            .data("beginSecondFactor");
        let text = setup["secret"].as_str().expect("text");
        assert!(
            setup["uri"].as_str().is_some_and(|u| u.contains(text)),
            "{setup}"
        );
        let secret = BASE32_NOPAD.decode(text.as_bytes()).expect("base32");
        let code = totp::code_of(&secret, totp::step_at(self.now()));
        let query = "mutation($c: String!) { confirmSecondFactor(code: $c) }";
        let codes = self
            .graphql(who, query, json!({ "c": code }))
            .await
            .data("confirmSecondFactor");
        let codes = codes.as_array().expect("a list").iter();
        (
            secret,
            codes
                .map(|c| c.as_str().expect("text").to_owned())
                .collect(),
        )
    }

    fn now(&self) -> u64 {
        self.time.load(Ordering::SeqCst)
    }

    fn advance(&self, millis: u64) {
        self.time.fetch_add(millis, Ordering::SeqCst);
    }
}

fn access(got: &Got) -> String {
    let token = got.data("login")["access"].clone();
    token
        .as_str()
        .unwrap_or_else(|| panic!("{}", got.text))
        .to_owned()
}

fn secret(got: &Got) -> String {
    let cookie = got.cookie.as_deref().expect("a cookie");
    let value = cookie.split(';').next().expect("a pair");
    value
        .strip_prefix(&format!("{COOKIE}="))
        .expect("ours")
        .to_owned()
}

#[actix_web::test]
async fn a_cookie_counts_on_requests_of_our_pages_alone() {
    // ACC-17
    let p = place(|_| ()).await;
    p.person("a@b.example").await;
    let body = json!({ "mail": "a@b.example", "password": PASSWORD });
    let got = p
        .ask("POST", "/v1/session", HOME, &[], Some(body.clone()))
        .await;
    let cookie = got.cookie.clone().expect("a cookie");
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=2592000"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "plain HTTP: {cookie}");
    let page = secret(&got);
    assert_eq!(page.len(), 64);
    assert!(got.json()["account"].is_string());

    let cookie = format!("{COOKIE}={page}");
    let cookie = ("cookie", cookie.as_str());
    let me = json!({ "query": "{ me { mail } }" });
    let ours = ("x-veilbourse", "web");
    for (headers, signed_in) in [
        (vec![cookie], false),
        (vec![cookie, ours], true),
        (vec![cookie, ("x-veilbourse", "yes")], false),
        (vec![cookie, ("sec-fetch-site", "same-origin")], false),
        (vec![cookie, ("origin", "http://market.example")], false),
        // An authorization header is looked at alone.
        (vec![cookie, ours, ("authorization", "Basic eDp5")], false),
    ] {
        let got = p
            .ask("POST", "/graphql", HOME, &headers, Some(me.clone()))
            .await;
        let expected = if signed_in { "" } else { "UNAUTHENTICATED" };
        assert_eq!(got.code(), expected, "{headers:?}");
    }
    // Twice the name: one of them is somebody else's.
    let twice = format!("{COOKIE}={page}; {COOKIE}={}", "0".repeat(64));
    let headers = [("cookie", twice.as_str()), ours];
    let got = p
        .ask("POST", "/graphql", HOME, &headers, Some(me.clone()))
        .await;
    assert_eq!(got.code(), "UNAUTHENTICATED");

    // Another site's page signs nobody in.
    for foreign in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let got = p
            .ask("POST", "/v1/session", HOME, &[foreign], Some(body.clone()))
            .await;
        assert_eq!(
            (got.status, got.code().as_str()),
            (403, "FORBIDDEN"),
            "{foreign:?}"
        );
        assert!(got.cookie.is_none());
    }
    let same = [
        ("origin", "http://market.example"),
        ("sec-fetch-site", "same-origin"),
    ];
    let got = p
        .ask("POST", "/v1/session", HOME, &same, Some(body.clone()))
        .await;
    assert_eq!(got.status, 200);
    // A form of another site can send text, not JSON.
    let form = [("content-type", "text/plain")];
    assert_eq!(
        p.ask("POST", "/v1/session", HOME, &form, None).await.status,
        400
    );

    // Signing out asks for the same.
    let got = p.ask("DELETE", "/v1/session", HOME, &[cookie], None).await;
    assert_eq!(got.status, 204);
    let page = Who::Page(page);
    assert_eq!(p.me(&page).await.code(), "", "still in");
    let got = p
        .ask("DELETE", "/v1/session", HOME, &[cookie, ours], None)
        .await;
    assert!(got.cookie.expect("cleared").contains("Max-Age=0"));
    assert_eq!(p.me(&page).await.code(), "UNAUTHENTICATED");
    // What is public stays so, with a cookie that is none any more.
    let got = p.graphql(&page, "{ marketplace { id } }", json!({})).await;
    assert_eq!(got.code(), "");
}

#[actix_web::test]
async fn downloads_and_sockets_ask_where_they_come_from() {
    // ACC-17
    let p = place(|c| c.public_url = Some("https://veil.example".into())).await;
    p.admin().await;
    let body = json!({ "mail": "admin@market.example", "password": PASSWORD });
    let got = p.ask("POST", "/v1/session", HOME, &[], Some(body)).await;
    assert!(
        got.cookie
            .as_deref()
            .is_some_and(|c| c.ends_with("; Secure"))
    );
    let cookie = format!("{COOKIE}={}", secret(&got));
    let cookie = ("cookie", cookie.as_str());
    let path = "/v1/exports/audit.jsonl";
    for (headers, status) in [
        (vec![cookie], 401),
        (vec![cookie, ("sec-fetch-site", "same-origin")], 200),
        (vec![cookie, ("sec-fetch-site", "same-site")], 401),
        (vec![cookie, ("sec-fetch-site", "cross-site")], 401),
        (vec![cookie, ("sec-fetch-site", "none")], 401),
        (vec![cookie, ("origin", "http://market.example")], 200),
        (vec![cookie, ("origin", "https://veil.example")], 200),
        (vec![cookie, ("origin", "https://evil.example")], 401),
        (vec![cookie, ("x-veilbourse", "web")], 200),
    ] {
        let got = p.ask("GET", path, HOME, &headers, None).await;
        assert_eq!(got.status, status, "{headers:?}");
    }
    // A websocket: the origin alone, whatever else is said.
    let upgrade = ("upgrade", "websocket");
    for (headers, counts) in [
        (vec![cookie, upgrade], false),
        (vec![cookie, upgrade, ("x-veilbourse", "web")], false),
        (
            vec![cookie, upgrade, ("sec-fetch-site", "same-origin")],
            false,
        ),
        (
            vec![cookie, upgrade, ("origin", "http://market.example")],
            true,
        ),
        (
            vec![cookie, upgrade, ("origin", "http://MARKET.example")],
            true,
        ),
        (
            vec![cookie, upgrade, ("origin", "https://veil.example")],
            true,
        ),
        (
            vec![
                cookie,
                upgrade,
                ("origin", "http://market.example.evil.example"),
            ],
            false,
        ),
        (
            vec![cookie, upgrade, ("origin", "http://market.example:81")],
            false,
        ),
        (vec![cookie, upgrade, ("origin", "null")], false),
    ] {
        let mut request = test::TestRequest::get()
            .uri("/graphql")
            .insert_header(("host", "market.example"));
        for h in &headers {
            request = request.insert_header(*h);
        }
        let found = p.app.credential(&request.to_http_request());
        assert_eq!(
            matches!(found, Credential::Cookie(_)),
            counts,
            "{headers:?}"
        );
        let viewer = p.app.viewer_of(&found).await.expect("looked up");
        assert_eq!(viewer != Viewer::Anonymous, counts);
    }
}

#[actix_web::test]
async fn nobody_chooses_anothers_session() {
    // ACC-17: fixation.
    let p = place(|_| ()).await;
    p.person("a@b.example").await;
    let chosen = "ab".repeat(32);
    let planted = format!("{COOKIE}={chosen}");
    let body = json!({ "mail": "a@b.example", "password": PASSWORD });
    let headers = [("cookie", planted.as_str())];
    let got = p
        .ask("POST", "/v1/session", HOME, &headers, Some(body.clone()))
        .await;
    let first = secret(&got);
    assert_ne!(first, chosen);
    assert_eq!(p.me(&Who::Page(chosen)).await.code(), "UNAUTHENTICATED");
    assert_eq!(p.me(&Who::Page(first.clone())).await.code(), "");
    // Again in the same browser: the session that it had ends.
    let had = format!("{COOKIE}={first}");
    let headers = [("cookie", had.as_str())];
    let second = secret(
        &p.ask("POST", "/v1/session", HOME, &headers, Some(body))
            .await,
    );
    assert_eq!(p.me(&Who::Page(first)).await.code(), "UNAUTHENTICATED");
    let second = Who::Page(second);
    assert_eq!(p.me(&second).await.code(), "");
    // It lives while it is used, and ends when it is not.
    for _ in 0..3 {
        p.advance(23 * 3_600_000);
        assert_eq!(p.me(&second).await.code(), "");
    }
    p.advance(24 * 3_600_000);
    assert_eq!(p.me(&second).await.code(), "UNAUTHENTICATED");
    p.time.store(NOW, Ordering::SeqCst);
    assert_eq!(p.me(&second).await.code(), "UNAUTHENTICATED", "for good");
}

#[actix_web::test]
async fn an_address_is_verified_by_who_reads_its_mail() {
    // ACC-9
    let p = place(|_| ()).await;
    let made = p.register("a@b.example", PASSWORD).await.data("register");
    assert_eq!(made["verified"], false);
    let who = Who::Token(access(&p.login("a@b.example", PASSWORD, None).await));
    let deposit = "mutation { requestDeposit(amount: \"100\", idempotencyKey: \"k\") { id } }";
    let machine = "mutation { registerMachine(kind: POD, name: \"p\", registration: {}) { id } }";
    let order = "mutation { placeOrder(order: {}) { id } }";
    for query in [deposit, machine, order] {
        let code = p.graphql(&who, query, json!({})).await.code();
        assert!(
            code == "MAIL_UNVERIFIED" || (query == order && code == "INVALID"),
            "{query}: {code}"
        );
    }
    let begin = "mutation($p: String!) { beginSecondFactor(password: $p) { secret } }";
    let code = p
        .graphql(&who, begin, json!({ "p": PASSWORD }))
        .await
        .code();
    assert_eq!(code, "MAIL_UNVERIFIED");

    let old = p.token(TokenPurpose::VerifyMail, "a@b.example").await;
    // Sent again: the older link is none any more.
    let again = p
        .graphql(&who, "mutation { resendVerification }", json!({}))
        .await;
    assert_eq!(again.code(), "");
    assert_eq!(p.verify(&old).await.code(), "MAIL_TOKEN_INVALID");
    let token = p.token(TokenPurpose::VerifyMail, "a@b.example").await;
    assert_ne!(old, token);
    for bad in [
        String::new(),
        "00".repeat(48),
        token.to_uppercase(),
        format!("{}zz", &token[..94]),
        format!(
            "{}{}",
            &token[..94],
            if token.ends_with("00") { "01" } else { "00" }
        ),
    ] {
        assert_eq!(p.verify(&bad).await.code(), "MAIL_TOKEN_INVALID", "{bad}");
    }
    // It opens nothing else.
    assert_eq!(p.reset(&token, OTHER).await.code(), "MAIL_TOKEN_INVALID");
    p.advance(3 * 86_400_000);
    assert_eq!(
        p.verify(&token).await.code(),
        "MAIL_TOKEN_INVALID",
        "expired"
    );
    p.time.store(NOW, Ordering::SeqCst);
    assert_eq!(p.verify(&token).await.data("verifyMail"), true);
    assert_eq!(p.verify(&token).await.code(), "MAIL_TOKEN_INVALID", "once");
    assert_eq!(p.graphql(&who, deposit, json!({})).await.code(), "");
    // Letters to one address are few.
    let q = place(|_| ()).await;
    q.register("a@b.example", PASSWORD).await;
    let who = Who::Token(access(&q.login("a@b.example", PASSWORD, None).await));
    let mut codes = Vec::new();
    for _ in 0..6 {
        codes.push(
            q.graphql(&who, "mutation { resendVerification }", json!({}))
                .await
                .code(),
        );
    }
    assert_eq!(codes.iter().filter(|c| c.is_empty()).count(), 5);
    assert_eq!(codes.last().map(String::as_str), Some("RATE_LIMITED"));
    // Without the rule, nothing waits.
    let q = place(|c| c.require_verified_mail = false).await;
    q.register("a@b.example", PASSWORD).await;
    let who = Who::Token(access(&q.login("a@b.example", PASSWORD, None).await));
    assert_eq!(q.graphql(&who, deposit, json!({})).await.code(), "");
}

#[actix_web::test]
async fn another_address_takes_over_when_it_is_verified() {
    // ACC-9
    let p = place(|_| ()).await;
    let who = p.person("a@b.example").await;
    p.person("taken@b.example").await;
    let change = "mutation($m: String!, $p: String!) { changeMail(mail: $m, password: $p) }";
    let ask = async |mail: &str, password: &str| {
        p.graphql(&who, change, json!({ "m": mail, "p": password }))
            .await
    };
    assert_eq!(ask("c@d.example", OTHER).await.code(), "WRONG_CREDENTIALS");
    assert_eq!(ask("nothing", PASSWORD).await.code(), "INVALID");
    // Whether an address is taken is answered alike.
    assert_eq!(
        ask("taken@b.example", PASSWORD).await.data("changeMail"),
        true
    );
    let none = p
        .app
        .waiting_token(TokenPurpose::ChangeMail, "taken@b.example")
        .await;
    assert_eq!(none, Ok(None));
    assert_eq!(ask("C@D.example", PASSWORD).await.data("changeMail"), true);
    assert_eq!(
        p.me(&who).await.data("me")["mail"],
        "a@b.example",
        "not yet"
    );
    let token = p.token(TokenPurpose::ChangeMail, "c@d.example").await;
    assert_eq!(p.verify(&token).await.data("verifyMail"), true);
    assert_eq!(p.me(&who).await.data("me")["mail"], "c@d.example");
    assert_eq!(
        p.login("a@b.example", PASSWORD, None).await.code(),
        "WRONG_CREDENTIALS"
    );
    assert_eq!(p.login("c@d.example", PASSWORD, None).await.code(), "");
}

#[actix_web::test]
async fn changes_of_address_write_to_few_strangers_and_tell_nothing() {
    // ACC-9: else an account is a way to write to anybody, and to ask who is here.
    let p = place(|_| ()).await;
    let change = "mutation($m: String!, $p: String!) { changeMail(mail: $m, password: $p) }";
    let ask = async |who: &Who, mail: &str| {
        let v = json!({ "m": mail, "p": PASSWORD });
        p.graphql(who, change, v).await.code()
    };
    p.person("taken@b.example").await;
    let mut answers = Vec::new();
    for (mail, asked) in [("a@b.example", "taken"), ("c@b.example", "free")] {
        let who = p.person(mail).await;
        let mut codes = Vec::new();
        for _ in 0..7 {
            codes.push(ask(&who, &format!("{asked}@b.example")).await);
        }
        answers.push(codes);
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0][4..6], ["", "RATE_LIMITED"]);
    let who = p.person("d@b.example").await;
    let mut codes = Vec::new();
    for n in 0..6 {
        codes.push(ask(&who, &format!("stranger{n}@b.example")).await);
    }
    assert_eq!(codes[4..], ["", "RATE_LIMITED"], "whoever they are");
    // Its owner's own letters are counted apart.
    p.ask_reset("taken@b.example").await;
    p.token(TokenPurpose::ResetPassword, "taken@b.example")
        .await;
    p.advance(3_600_000);
    let who = Who::Token(access(&p.login("d@b.example", PASSWORD, None).await));
    assert_eq!(ask(&who, "later@b.example").await, "");
}

#[actix_web::test]
async fn a_reset_leaves_a_stranger_no_way_back() {
    // ACC-9, ACC-10
    let p = place(|_| ()).await;
    let change = "mutation($m: String!, $p: String!) { changeMail(mail: $m, password: $p) }";
    let mine = |password: &str| json!({ "m": "stranger@x.example", "p": password });
    // Who registered the address of somebody who does not know it yet ...
    p.register("a@b.example", PASSWORD).await.data("register");
    let login = p.login_from(AWAY, "a@b.example", PASSWORD, None).await;
    let stranger = Who::Token(access(&login));
    let hook = "mutation { createWebhook(url: \"https://x.example/\", events: [PING]) { secret } }";
    assert_eq!(
        p.graphql(&stranger, hook, json!({})).await.code(),
        "MAIL_UNVERIFIED"
    );
    let asked = p.graphql(&stranger, change, mine(PASSWORD)).await;
    assert_eq!(asked.code(), "");
    let kept = p
        .token(TokenPurpose::ChangeMail, "stranger@x.example")
        .await;
    // ... and signs in while its owner takes it over,
    let credentials = p
        .app
        .check_credentials("10.0.0.2", "a@b.example", PASSWORD, None)
        .await
        .expect("as yet");
    p.ask_reset("a@b.example").await;
    let token = p.token(TokenPurpose::ResetPassword, "a@b.example").await;
    assert_eq!(p.reset(&token, OTHER).await.data("resetPassword"), true);
    // is out, and has no link that would bring the account to them.
    let late = p.app.begin_session("10.0.0.2", "", &credentials).await;
    assert_eq!(
        late.map(drop).map_err(|e| e.code()),
        Err("WRONG_CREDENTIALS")
    );
    assert_eq!(p.verify(&kept).await.code(), "MAIL_TOKEN_INVALID");
    let who = Who::Token(access(&p.login("a@b.example", OTHER, None).await));
    assert_eq!(p.me(&who).await.data("me")["mail"], "a@b.example");
    let sessions = p.graphql(&who, "{ mySessions { id } }", json!({})).await;
    let sessions = sessions.data("mySessions");
    assert_eq!(sessions.as_array().map(Vec::len), Some(1));

    // Nor has who only knew the password, when it is changed.
    let asked = p.graphql(&who, change, mine(OTHER)).await;
    assert_eq!(asked.code(), "");
    let kept = p
        .token(TokenPurpose::ChangeMail, "stranger@x.example")
        .await;
    let query = "mutation($c: String!, $p: String!) { changePassword(current: $c, password: $p) }";
    let v = json!({ "c": OTHER, "p": PASSWORD });
    assert_eq!(p.graphql(&who, query, v).await.data("changePassword"), true);
    assert_eq!(p.verify(&kept).await.code(), "MAIL_TOKEN_INVALID");
}

#[actix_web::test]
async fn a_password_is_set_by_a_link_once() {
    // ACC-8, ACC-10
    let p = place(|_| ()).await;
    let who = p.person("a@b.example").await;
    let page = Who::Page(p.page("a@b.example", PASSWORD).await);
    assert_eq!(
        p.ask_reset("a@b.example")
            .await
            .data("requestPasswordReset"),
        true
    );
    let token = p.token(TokenPurpose::ResetPassword, "a@b.example").await;
    // Of another account's: nonce of one, proof of another.
    p.person("ben@b.example").await;
    p.ask_reset("ben@b.example").await;
    let others = p.token(TokenPurpose::ResetPassword, "ben@b.example").await;
    let mixed = format!("{}{}", &others[..32], &token[32..]);
    assert_eq!(p.reset(&mixed, OTHER).await.code(), "MAIL_TOKEN_INVALID");
    assert_eq!(
        p.verify(&token).await.code(),
        "MAIL_TOKEN_INVALID",
        "another purpose"
    );
    assert_eq!(p.reset(&token, "short").await.code(), "INVALID");
    assert_eq!(
        p.reset(&token, "Password1234").await.code(),
        "PASSWORD_WEAK"
    );
    assert_eq!(p.reset(&token, OTHER).await.data("resetPassword"), true);
    assert_eq!(
        p.reset(&token, OTHER).await.code(),
        "MAIL_TOKEN_INVALID",
        "twice"
    );
    // Every session has ended, the old password is none.
    assert_eq!(p.me(&who).await.code(), "TOKEN_INVALID");
    assert_eq!(p.me(&page).await.code(), "UNAUTHENTICATED");
    assert_eq!(
        p.login("a@b.example", PASSWORD, None).await.code(),
        "WRONG_CREDENTIALS"
    );
    assert_eq!(p.login("a@b.example", OTHER, None).await.code(), "");
    p.advance(3_600_000);
    assert_eq!(
        p.reset(&others, OTHER).await.code(),
        "MAIL_TOKEN_INVALID",
        "expired"
    );

    // Changing it ends the other sessions, not this one.
    let page = Who::Page(p.page("a@b.example", OTHER).await);
    let token = Who::Token(access(&p.login("a@b.example", OTHER, None).await));
    let change = "mutation($c: String!, $p: String!) { changePassword(current: $c, password: $p) }";
    let ask = async |current: &str, password: &str| {
        let v = json!({ "c": current, "p": password });
        p.graphql(&page, change, v).await.code()
    };
    assert_eq!(
        ask(PASSWORD, "yet another one here").await,
        "WRONG_CREDENTIALS"
    );
    assert_eq!(
        ask(OTHER, "somebody somebody").await,
        "PASSWORD_WEAK",
        "its name"
    );
    assert_eq!(ask(OTHER, "yet another one here").await, "");
    assert_eq!(p.me(&page).await.code(), "");
    assert_eq!(p.me(&token).await.code(), "TOKEN_INVALID");
    // A session that guesses the password is slowed down too.
    let mut last = String::new();
    for _ in 0..6 {
        last = ask("no such password", PASSWORD).await;
    }
    assert_eq!(last, "RATE_LIMITED");
}

#[actix_web::test]
async fn a_code_counts_once_and_so_does_a_recovery_code() {
    // ACC-11, ACC-12
    let p = place(|_| ()).await;
    let who = p.person("a@b.example").await;
    let (secret, recovery) = p.factor(&who).await;
    assert_eq!(recovery.len(), 10);
    assert_eq!(p.me(&who).await.data("me")["secondFactor"], true);
    let login = async |code: Option<String>| {
        p.login("a@b.example", PASSWORD, code.as_deref())
            .await
            .code()
    };
    let code = |off: i64| totp::code_of(&secret, totp::step_at(p.now()).saturating_add_signed(off));
    assert_eq!(login(None).await, "SECOND_FACTOR_NEEDED");
    assert_eq!(login(Some(String::new())).await, "SECOND_FACTOR_NEEDED");
    let wrong = p.login("a@b.example", OTHER, Some(&code(1))).await;
    assert_eq!(
        wrong.code(),
        "WRONG_CREDENTIALS",
        "the password comes first"
    );
    // The step that set it up was used; so is each after it, once, in order.
    assert_eq!(login(Some(code(0))).await, "SECOND_FACTOR_WRONG");
    assert_eq!(login(Some(code(-1))).await, "SECOND_FACTOR_WRONG");
    assert_eq!(login(Some(code(1))).await, "");
    assert_eq!(
        login(Some(code(1))).await,
        "SECOND_FACTOR_WRONG",
        "replayed"
    );
    p.advance(60_000);
    assert_eq!(login(Some(code(0))).await, "");
    let body = json!({ "mail": "a@b.example", "password": PASSWORD });
    let got = p.ask("POST", "/v1/session", HOME, &[], Some(body)).await;
    assert_eq!(
        (got.status, got.code().as_str()),
        (401, "SECOND_FACTOR_NEEDED")
    );
    let body = json!({ "mail": "a@b.example", "password": PASSWORD, "code": code(0) });
    let got = p.ask("POST", "/v1/session", HOME, &[], Some(body)).await;
    assert_eq!(
        (got.status, got.code().as_str()),
        (401, "SECOND_FACTOR_WRONG")
    );
    let body = json!({ "mail": "a@b.example", "password": PASSWORD, "code": code(1) });
    assert_eq!(
        p.ask("POST", "/v1/session", HOME, &[], Some(body))
            .await
            .status,
        200
    );

    let lower = recovery[0].to_lowercase();
    assert_eq!(login(Some(lower)).await, "", "as people type them");
    assert_eq!(
        login(Some(recovery[0].clone())).await,
        "SECOND_FACTOR_WRONG",
        "twice"
    );
    p.advance(60_000);
    // Guessing codes with the right password waits longer and longer.
    let mut last = String::new();
    for _ in 0..8 {
        last = login(Some("000000".into())).await;
        if last == "RATE_LIMITED" {
            break;
        }
    }
    assert_eq!(last, "RATE_LIMITED");
    p.advance(20 * 60_000);

    // What changes the account asks for a code as well.
    let who = Who::Token(access(
        &p.login("a@b.example", PASSWORD, Some(&code(0))).await,
    ));
    let change = "mutation($c: String!, $p: String!, $k: String) { changePassword(current: $c, password: $p, code: $k) }";
    let ask = async |k: Option<String>| {
        let v = json!({ "c": PASSWORD, "p": OTHER, "k": k });
        p.graphql(&who, change, v).await.code()
    };
    assert_eq!(ask(None).await, "SECOND_FACTOR_NEEDED");
    assert_eq!(
        ask(Some(code(0))).await,
        "SECOND_FACTOR_WRONG",
        "used to sign in"
    );
    assert_eq!(ask(Some(code(1))).await, "");
    let off = "mutation($p: String!, $c: String!) { disableSecondFactor(password: $p, code: $c) }";
    let v = json!({ "p": OTHER, "c": recovery[1] });
    assert_eq!(
        p.graphql(&who, off, v).await.data("disableSecondFactor"),
        true
    );
    assert_eq!(p.login("a@b.example", OTHER, None).await.code(), "");
}

#[actix_web::test]
async fn an_admin_clears_a_lost_factor() {
    // ACC-12
    let p = place(|_| ()).await;
    let (who, admin) = (p.person("a@b.example").await, p.admin().await);
    p.factor(&who).await;
    let id = p.me(&who).await.data("me")["id"].clone();
    let clear = "mutation($i: String!, $r: String!) { clearSecondFactor(id: $i, reason: $r) }";
    let v = |r: &str| json!({ "i": id, "r": r });
    assert_eq!(p.graphql(&who, clear, v("x")).await.code(), "FORBIDDEN");
    assert_eq!(p.graphql(&admin, clear, v("")).await.code(), "INVALID");
    assert_eq!(
        p.graphql(&admin, clear, v("phone lost, seen in person"))
            .await
            .code(),
        ""
    );
    assert_eq!(p.me(&who).await.code(), "TOKEN_INVALID", "its sessions end");
    assert_eq!(p.login("a@b.example", PASSWORD, None).await.code(), "");
    let own = p.me(&admin).await.data("me")["id"].clone();
    let v = json!({ "i": own, "r": "x" });
    assert_eq!(p.graphql(&admin, clear, v).await.code(), "OWN_REQUEST");
}

#[actix_web::test]
async fn strangers_do_not_lock_the_owner_out() {
    // ACC-14
    let p = place(|_| ()).await;
    p.person("a@b.example").await;
    p.advance(1_000);
    let mut codes = Vec::new();
    for _ in 0..8 {
        codes.push(p.login_from(AWAY, "a@b.example", OTHER, None).await.code());
    }
    assert_eq!(&codes[..5], ["WRONG_CREDENTIALS"; 5]);
    assert!(codes[5..].iter().all(|c| c == "RATE_LIMITED"), "{codes:?}");
    // An address without an account is slowed down alike.
    let mut unknown = Vec::new();
    for _ in 0..8 {
        unknown.push(
            p.login_from(AWAY, "nobody@b.example", OTHER, None)
                .await
                .code(),
        );
    }
    assert_eq!(codes, unknown);
    // The owner, from where they were signed in before, is not held up.
    assert_eq!(
        p.login_from(HOME, "a@b.example", PASSWORD, None)
            .await
            .code(),
        ""
    );
    for _ in 0..6 {
        p.login_from(AWAY, "a@b.example", OTHER, None).await;
    }
    // Nor from elsewhere: what a network has not guessed itself, it does not wait
    // for ...
    let third = "10.0.0.3:1000";
    assert_eq!(
        p.login_from(third, "a@b.example", PASSWORD, None)
            .await
            .code(),
        ""
    );
    for _ in 0..6 {
        p.login_from(AWAY, "a@b.example", OTHER, None).await;
    }
    let mistaken = "10.0.0.5:1000";
    for _ in 0..3 {
        let got = p.login_from(mistaken, "a@b.example", OTHER, None).await;
        assert_eq!(got.code(), "WRONG_CREDENTIALS");
    }
    let good = async || p.login_from(mistaken, "a@b.example", PASSWORD, None).await;
    assert_eq!(good().await.code(), "RATE_LIMITED");
    // ... and for what it has, no longer than half a minute ...
    p.advance(30_000);
    assert_eq!(good().await.code(), "");
    for _ in 0..6 {
        p.login_from(AWAY, "a@b.example", OTHER, None).await;
    }
    // ... or read their mail.
    p.ask_reset("a@b.example").await;
    let token = p.token(TokenPurpose::ResetPassword, "a@b.example").await;
    p.reset(&token, OTHER).await.data("resetPassword");
    let fourth = "10.0.0.4:1000";
    assert_eq!(
        p.login_from(fourth, "a@b.example", OTHER, None)
            .await
            .code(),
        ""
    );
}

#[actix_web::test]
async fn a_proxy_of_ours_says_who_asks() {
    // ACC-5, ACC-14: else all behind it share one bucket, and one place that is
    // known to every account.
    let proxies = "10.0.0.1, 10.0.0.9"
        .split(", ")
        .map(|a| a.parse().expect("ip"));
    let p = place(|c| c.trusted_proxies = proxies.collect()).await;
    let of = |peer: &str, said: &[&str]| {
        let peer = peer.parse::<SocketAddr>().expect("an address");
        let mut r = test::TestRequest::default().peer_addr(peer);
        for s in said {
            r = r.append_header(("x-forwarded-for", *s));
        }
        p.site.caller_address(&r.to_http_request())
    };
    assert_eq!(of(AWAY, &["1.2.3.4"]), "10.0.0.2", "anybody's word");
    assert_eq!(of(HOME, &[]), "10.0.0.1");
    assert_eq!(of(HOME, &["1.2.3.4"]), "1.2.3.4");
    assert_eq!(of("[::ffff:10.0.0.1]:5", &["1.2.3.4"]), "1.2.3.4");
    assert_eq!(
        of(HOME, &["6.6.6.6, 1.2.3.4"]),
        "1.2.3.4",
        "a client's word"
    );
    assert_eq!(of(HOME, &["6.6.6.6", "1.2.3.4"]), "1.2.3.4");
    assert_eq!(of(HOME, &["6.6.6.6, 1.2.3.4, 10.0.0.9"]), "1.2.3.4", "two");
    assert_eq!(of(HOME, &["1.2.3.4, nonsense"]), "10.0.0.1");
    assert_eq!(of(HOME, &["2001:db8::1"]), "2001:db8::1");
    // Who guesses behind it waits, and nobody else does.
    p.person("a@b.example").await;
    let body = json!({ "query": "mutation($p: String!) {
        login(mail: \"a@b.example\", password: $p) { access } }" });
    let login = async |from: &str, password: &str| {
        let mut body = body.clone();
        body["variables"] = json!({ "p": password });
        let headers = [("x-forwarded-for", from)];
        p.ask("POST", "/graphql", HOME, &headers, Some(body))
            .await
            .code()
    };
    let mut last = String::new();
    for _ in 0..6 {
        last = login("6.6.6.6", OTHER).await;
    }
    assert_eq!(last, "RATE_LIMITED");
    assert_eq!(login("1.2.3.4", PASSWORD).await, "");
}

#[actix_web::test]
async fn guesses_of_one_moment_are_counted_one_by_one() {
    // ACC-14: a password takes long to hash, and all could begin before one ends.
    let p = place(|_| ()).await;
    let who = p.person("a@b.example").await;
    let guess = |_| p.login_from(AWAY, "a@b.example", OTHER, None);
    let all = futures::future::join_all((0..20).map(guess)).await;
    let wrong = all.iter().filter(|g| g.code() == "WRONG_CREDENTIALS");
    assert_eq!(wrong.count(), 5);
    let change = "mutation($c: String!) { changePassword(current: $c, password: \"x\") }";
    let confirm = |_| p.graphql(&who, change, json!({ "c": OTHER }));
    let all = futures::future::join_all((0..20).map(confirm)).await;
    let wrong = all.iter().filter(|g| g.code() == "WRONG_CREDENTIALS");
    assert_eq!(wrong.count(), 5);
    // Codes too, of who knows the password.
    p.factor(&p.person("c@d.example").await).await;
    let guess = |_| p.login_from(AWAY, "c@d.example", PASSWORD, Some("000000"));
    let all = futures::future::join_all((0..20).map(guess)).await;
    let wrong = all.iter().filter(|g| g.code() == "SECOND_FACTOR_WRONG");
    assert_eq!(wrong.count(), 5);
}

#[actix_web::test]
async fn nobody_learns_who_has_an_account() {
    // ACC-9, ACC-10: the same answers, and the same work for them.
    let p = place(|_| ()).await;
    p.person("a@b.example").await;
    let shape = |got: Got| {
        let mut v = got.data("register");
        let id = v["id"].take();
        assert!(id.as_str().is_some_and(|s| s.len() == 36), "{id}");
        v
    };
    let fresh = shape(p.register("new@b.example", OTHER).await);
    let taken = shape(p.register("a@b.example", OTHER).await);
    assert_eq!(fresh["verified"], taken["verified"]);
    assert_eq!(taken["mail"], "a@b.example");
    assert_eq!(
        p.login("a@b.example", OTHER, None).await.code(),
        "WRONG_CREDENTIALS"
    );
    assert_eq!(
        p.login("a@b.example", PASSWORD, None).await.code(),
        "",
        "untouched"
    );
    // Both hash a password, which is nearly all of the time.
    let mut times = [u128::MAX; 2];
    for n in 0..5 {
        for (mail, least) in [
            (format!("f{n}@b.example"), 0),
            ("a@b.example".to_owned(), 1),
        ] {
            let started = std::time::Instant::now();
            p.register(&mail, OTHER).await;
            times[least] = times[least].min(started.elapsed().as_micros());
        }
    }
    let (a, b) = (times[0].min(times[1]), times[0].max(times[1]));
    assert!(b < 3 * a, "{times:?}");
    let known = p.ask_reset("a@b.example").await;
    let unknown = p.ask_reset("nobody@b.example").await;
    assert_eq!((known.status, known.text), (unknown.status, unknown.text));
    p.token(TokenPurpose::ResetPassword, "a@b.example").await;
    let none = p
        .app
        .waiting_token(TokenPurpose::ResetPassword, "nobody@b.example")
        .await;
    assert_eq!(none, Ok(None));
}

#[actix_web::test]
async fn suspended_and_deleted_accounts() {
    // ACC-15, ACC-16
    let p = place(|_| ()).await;
    let (who, admin) = (p.person("a@b.example").await, p.admin().await);
    let page = Who::Page(p.page("a@b.example", PASSWORD).await);
    let id = p.me(&who).await.data("me")["id"].clone();
    let act = async |who: &Who, name: &str, reason: &str| {
        let query = format!(
            "mutation($i: String!, $r: String!) {{ {name}(id: $i, reason: $r) {{ state }} }}"
        );
        p.graphql(who, &query, json!({ "i": id, "r": reason }))
            .await
    };
    assert_eq!(act(&who, "suspendAccount", "x").await.code(), "FORBIDDEN");
    assert_eq!(act(&admin, "suspendAccount", "").await.code(), "INVALID");
    let state = act(&admin, "suspendAccount", "complaints")
        .await
        .data("suspendAccount");
    assert_eq!(state["state"], "suspended");
    assert_eq!(p.me(&who).await.code(), "TOKEN_INVALID");
    assert_eq!(p.me(&page).await.code(), "UNAUTHENTICATED");
    // Only who knows the password hears of it.
    assert_eq!(
        p.login("a@b.example", OTHER, None).await.code(),
        "WRONG_CREDENTIALS"
    );
    assert_eq!(
        p.login("a@b.example", PASSWORD, None).await.code(),
        "ACCOUNT_SUSPENDED"
    );
    assert_eq!(p.ask_reset("a@b.example").await.code(), "");
    assert_eq!(act(&admin, "restoreAccount", "cleared up").await.code(), "");
    assert_eq!(
        act(&admin, "restoreAccount", "again").await.code(),
        "ACCOUNT_STATE"
    );
    let who = Who::Token(access(&p.login("a@b.example", PASSWORD, None).await));
    assert_eq!(p.me(&who).await.code(), "");

    let delete = "mutation($p: String!) { deleteAccount(password: $p) }";
    let ask = async |password: &str| {
        p.graphql(&who, delete, json!({ "p": password }))
            .await
            .code()
    };
    assert_eq!(ask(OTHER).await, "WRONG_CREDENTIALS");
    let deposit = "mutation { requestDeposit(amount: \"100\", idempotencyKey: \"k\") { id } }";
    let cash = p
        .graphql(&who, deposit, json!({}))
        .await
        .data("requestDeposit")["id"]
        .clone();
    assert_eq!(ask(PASSWORD).await, "ACCOUNT_HAS_MONEY");
    let refuse = "mutation($i: String!) { decideDeposit(id: $i, approve: false) { id } }";
    p.graphql(&admin, refuse, json!({ "i": cash }))
        .await
        .data("decideDeposit");
    assert_eq!(ask(PASSWORD).await, "");
    assert_eq!(p.me(&who).await.code(), "TOKEN_INVALID");
    assert_eq!(
        p.login("a@b.example", PASSWORD, None).await.code(),
        "WRONG_CREDENTIALS"
    );
    let search = "{ accounts(search: \"a@b\") { nodes { id } } }";
    let found = p.graphql(&admin, search, json!({})).await.data("accounts");
    assert_eq!(found["nodes"], json!([]), "nothing personal is left");
    p.register("a@b.example", OTHER).await.data("register");
    assert_eq!(
        p.login("a@b.example", OTHER, None).await.code(),
        "",
        "the mail is free"
    );
}

#[actix_web::test]
async fn sessions_are_seen_and_ended_by_their_owner() {
    // ACC-13
    let p = place(|_| ()).await;
    let (who, other) = (p.person("a@b.example").await, p.person("c@d.example").await);
    let body = json!({ "mail": "a@b.example", "password": PASSWORD });
    let headers = [("user-agent", "Browser\u{9} 1.0")];
    let got = p
        .ask("POST", "/v1/session", AWAY, &headers, Some(body))
        .await;
    let page = Who::Page(secret(&got));
    let list = "{ mySessions { id agent address current lastSeenAt createdAt } }";
    let all = p.graphql(&who, list, json!({})).await.data("mySessions");
    let all = all.as_array().expect("a list");
    assert_eq!(all.len(), 2);
    let pages = all
        .iter()
        .find(|s| s["current"] == false)
        .expect("the other");
    assert_eq!(
        (&pages["agent"], &pages["address"]),
        (&json!("Browser 1.0"), &json!("10.0.0.2"))
    );
    // Where it is used from shows, to the minute.
    p.advance(61_000);
    assert_eq!(
        p.graphql_from(&page, "10.7.7.7:1", "{ me { id } }", json!({}))
            .await
            .code(),
        ""
    );
    let all = p.graphql(&who, list, json!({})).await.data("mySessions");
    let seen = all
        .as_array()
        .expect("a list")
        .iter()
        .find(|s| s["current"] == false)
        .expect("it");
    assert_eq!(seen["address"], "10.7.7.7");
    assert_eq!(seen["lastSeenAt"], (NOW + 61_000).to_string());
    let revoke = "mutation($i: String!) { revokeSession(id: $i) }";
    let v = json!({ "i": pages["id"] });
    assert_eq!(
        p.graphql(&other, revoke, v.clone()).await.code(),
        "NOT_FOUND"
    );
    assert_eq!(p.me(&page).await.code(), "");
    assert_eq!(p.graphql(&who, revoke, v.clone()).await.code(), "");
    assert_eq!(p.me(&page).await.code(), "UNAUTHENTICATED");
    assert_eq!(
        p.graphql(&who, revoke, v).await.code(),
        "NOT_FOUND",
        "ended"
    );
}

#[actix_web::test]
async fn names_show_what_they_say() {
    // REV-5
    let p = place(|_| ()).await;
    let who = p.person("a@b.example").await;
    let change = "mutation($n: String!) { changeName(name: $n) { name } }";
    let ask = async |name: &str| p.graphql(&who, change, json!({ "n": name })).await;
    assert_eq!(ask("Adm\u{202e}nin").await.code(), "TEXT_CHARACTER");
    assert_eq!(ask("a\nb").await.code(), "TEXT_CHARACTER");
    assert_eq!(ask("  ").await.code(), "INVALID");
    assert_eq!(ask(" Ada ").await.data("changeName")["name"], "Ada");
    let bad = p.graphql(
        &Who::Nobody,
        "mutation { register(mail: \"x@y.example\", name: \"a\\u0000\", password: \"long enough here\", roles: [BUYER]) { id } }",
        json!({}),
    );
    assert_eq!(bad.await.code(), "TEXT_CHARACTER");
}

#[actix_web::test]
async fn a_search_is_short_and_machines_that_wait_are_not_shown() {
    // GQL-1, ACC-6
    let p = place(|_| ()).await;
    let (who, admin) = (p.person("a@b.example").await, p.admin().await);
    let query = "query($s: String) { listings(search: $s) { nodes { id } } }";
    let search = async |n: usize| {
        let v = json!({ "s": "a ".repeat(n) });
        p.graphql(&Who::Nobody, query, v).await.code()
    };
    assert_eq!(search(100).await, "");
    assert_eq!(search(101).await, "TOO_LARGE");
    assert_eq!(search(400_000).await, "TOO_LARGE");
    let accounts = "query($s: String) { accounts(search: $s) { nodes { id } } }";
    let v = json!({ "s": "a".repeat(201) });
    assert_eq!(p.graphql(&admin, accounts, v).await.code(), "TOO_LARGE");
    let operator = p.me(&who).await.data("me")["id"].clone();
    let machine = Machine {
        id: MachineId::new(NOW, [1; 10]),
        kind: MachineKind::Pod,
        operator: operator.as_str().expect("text").parse().expect("an id"),
        name: "look here".into(),
        signing_key: PublicKey([5; 32]),
        registration: "{}".into(),
        decision: Decision::Pending,
        reason: String::new(),
        created_at: NOW,
    };
    let store = &p.app.store;
    store.register_machine(&machine, NOW).await.expect("asked");
    let stranger = p.person("s@b.example").await;
    let shown = async |who: &Who| {
        let query = "{ machines { nodes { name } } }";
        let found = p.graphql(who, query, json!({})).await.data("machines");
        found["nodes"].as_array().map(Vec::len)
    };
    assert_eq!(shown(&stranger).await, Some(0));
    assert_eq!(shown(&who).await, Some(1));
    assert_eq!(shown(&admin).await, Some(1));
}

#[actix_web::test]
async fn staff_sees_how_things_are() {
    // ACC-18, OPS-1
    let p = place(|_| ()).await;
    let (who, admin) = (p.person("a@b.example").await, p.admin().await);
    let alarms = "{ alarms { code severity subject message at } }";
    assert_eq!(p.graphql(&who, alarms, json!({})).await.code(), "FORBIDDEN");
    let found = p.graphql(&admin, alarms, json!({})).await.data("alarms");
    let codes = |v: &Value| -> Vec<String> {
        let all = v.as_array().expect("a list").iter();
        all.map(|a| a["code"].as_str().expect("text").to_owned())
            .filter(|c| c != "DISK_LOW")
            .collect()
    };
    assert_eq!(codes(&found), Vec::<String>::new());
    // A machine that is approved and silent shows, once it is looked for again.
    let operator = p.me(&who).await.data("me")["id"]
        .as_str()
        .expect("text")
        .to_owned();
    let machine = Machine {
        id: MachineId::new(NOW, [1; 10]),
        kind: MachineKind::Pod,
        operator: operator.parse().expect("an id"),
        name: "pod".into(),
        signing_key: PublicKey([5; 32]),
        registration: "{}".into(),
        decision: Decision::Pending,
        reason: String::new(),
        created_at: NOW,
    };
    p.app
        .store
        .register_machine(&machine, NOW)
        .await
        .expect("registered");
    let by = p.me(&admin).await.data("me")["id"]
        .as_str()
        .expect("text")
        .to_owned();
    let by = by.parse().expect("an id");
    p.app
        .store
        .decide_machine(machine.id, by, true, "ok", NOW)
        .await
        .expect("approved");
    p.advance(5 * 60_000);
    let found = p.graphql(&admin, alarms, json!({})).await.data("alarms");
    assert_eq!(codes(&found), ["MACHINE_SILENT"]);
    let work = "query($i: String!) { machineWork(id: $i) { lastSeenAt jobsDone earned running { order } } }";
    let v = json!({ "i": machine.id.to_string() });
    let seen = p.graphql(&who, work, v.clone()).await.data("machineWork");
    assert_eq!(seen["lastSeenAt"], Value::Null);
    let pod = Viewer::Machine {
        id: machine.id,
        kind: MachineKind::Pod,
        operator: machine.operator,
    };
    p.app.note_seen(&pod, "10.0.0.9").await;
    let seen = p.graphql(&admin, work, v.clone()).await.data("machineWork");
    assert_eq!(seen["lastSeenAt"], p.now().to_string());
    let stranger = p.person("s@b.example").await;
    assert_eq!(p.graphql(&stranger, work, v).await.code(), "NOT_FOUND");
    p.advance(60_000);
    let found = p.graphql(&admin, alarms, json!({})).await.data("alarms");
    assert_eq!(codes(&found), Vec::<String>::new());

    let deposit = "mutation { requestDeposit(amount: \"100\", idempotencyKey: \"k\") { id } }";
    let cash = p
        .graphql(&who, deposit, json!({}))
        .await
        .data("requestDeposit")["id"]
        .clone();
    let approve = "mutation($i: String!) { decideDeposit(id: $i, approve: true) { id } }";
    p.graphql(&admin, approve, json!({ "i": cash }))
        .await
        .data("decideDeposit");
    let overview = "{ overview { accounts listingsPublished ordersOpen volume mailsWaiting } }";
    let o = p
        .graphql(&admin, overview, json!({}))
        .await
        .data("overview");
    assert_eq!((&o["accounts"], &o["volume"]), (&json!("3"), &json!("0")));
    let id = p.me(&who).await.data("me")["id"]
        .as_str()
        .expect("text")
        .to_owned();
    let token = |w: &Who| match w {
        Who::Token(t) => format!("Bearer {t}"),
        _ => String::new(),
    };
    let bearer = token(&admin);
    let headers = [("authorization", bearer.as_str())];
    let got = p
        .ask("GET", "/v1/exports/ledger.csv", HOME, &headers, None)
        .await;
    let lines: Vec<&str> = got.text.lines().collect();
    assert_eq!(
        lines[0],
        "transfer,kind,state,order,created_at,ended_at,account,amount"
    );
    assert_eq!(lines.len(), 3, "{}", got.text);
    assert!(
        lines
            .iter()
            .any(|l| l.ends_with(&format!(",user:{id},100"))),
        "{}",
        got.text
    );
    let got = p
        .ask("GET", "/v1/exports/audit.jsonl", HOME, &headers, None)
        .await;
    let records: Vec<Value> = got
        .text
        .lines()
        .map(|l| serde_json::from_str(l).expect("JSON"))
        .collect();
    for (n, r) in (1u64..).zip(&records) {
        assert_eq!(r["sequence"], n);
    }
    assert!(records.len() >= 5);
    assert!(
        !got.text.contains("a@b.example"),
        "no address in the audit log"
    );
    let got = p
        .ask("GET", "/v1/exports/orders.csv", HOME, &headers, None)
        .await;
    assert_eq!(got.text.lines().count(), 1);
    let bearer = token(&who);
    let headers = [("authorization", bearer.as_str())];
    for name in ["ledger.csv", "audit.jsonl", "orders.csv"] {
        let path = format!("/v1/exports/{name}");
        assert_eq!(p.ask("GET", &path, HOME, &headers, None).await.status, 403);
        assert_eq!(p.ask("GET", &path, HOME, &[], None).await.status, 401);
    }
}
