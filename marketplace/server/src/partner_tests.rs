//! Partners over HTTP, against a server that listens and receivers that do, too
//! (PAR). `partner_tests/*.pem` and `.key` are a test's authority and a receiver
//! certified by it; the authority's key was thrown away.

mod hooks;
mod keys;
mod requests;

use crate::{App, Running, ServerConfig, StaffRole, run};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use veilbourse_core::digest::Digest;
use veilbourse_documents::{SrsProvenance, SrsRef, api::AcceptedKeys};
use veilbourse_domain::{access::Role, id::AccountId};

const NOW: u64 = 1_700_000_000_000;
const PASSWORD: &str = "a password of a test";

/// A server with a buyer, a custodian and an admin.
pub(super) struct World {
    pub(super) app: Arc<App>,
    running: Running,
    pub(super) url: String,
    pub(super) time: Arc<AtomicU64>,
    dir: tempfile::TempDir,
    pub(super) buyer: Person,
    pub(super) custodian: Person,
    pub(super) admin: Person,
    http: reqwest::Client,
}

pub(super) struct Person {
    pub(super) id: AccountId,
    pub(super) token: String,
}

async fn opened(config: ServerConfig, time: &Arc<AtomicU64>, seed: u64) -> (Arc<App>, Running) {
    let time = time.clone();
    let clock = Arc::new(move || time.load(Ordering::SeqCst));
    let accepted = AcceptedKeys {
        srs: SrsRef {
            digest: Digest([80; 32]),
            provenance: SrsProvenance::Dev,
        },
        ceremony: None,
        keys: Vec::new(),
    };
    let rng = ChaCha20Rng::seed_from_u64(seed);
    let app = App::open(config, accepted, clock, rng)
        .await
        .expect("opens");
    let running = run(app.clone(), false).expect("listens");
    (app, running)
}

impl World {
    pub(super) async fn start(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let time = Arc::new(AtomicU64::new(NOW));
        let mut config = ServerConfig {
            dir: dir.path().into(),
            listen: "127.0.0.1:0".into(),
            webhook_allow_private: true,
            ..ServerConfig::default()
        };
        change(&mut config);
        let (app, running) = opened(config, &time, 7).await;
        let person = async |mail: &str, role| {
            let id = match role {
                None => {
                    let made = app.make_staff(mail, PASSWORD, StaffRole::Admin).await;
                    made.expect("made")
                }
                Some(role) => {
                    let made = app.make_account(mail, "x", PASSWORD, vec![role]).await;
                    made.expect("made").id
                }
            };
            let session = app
                .sign_in("here", "", mail, PASSWORD, None)
                .await
                .expect("in");
            Person {
                id,
                token: session.access,
            }
        };
        let buyer = person("b@example.org", Some(Role::Buyer)).await;
        let custodian = person("c@example.org", Some(Role::Custodian)).await;
        let admin = person("a@example.org", None).await;
        let url = format!("http://{}", running.address);
        Self {
            app,
            running,
            url,
            time,
            dir,
            buyer,
            custodian,
            admin,
            http: reqwest::Client::new(),
        }
    }

    /// Another process on the same folder.
    pub(super) async fn restart(self) -> Self {
        let config = self.app.config.clone();
        self.running.stop().await.expect("stops");
        let (app, running) = opened(config, &self.time, 8).await;
        let url = format!("http://{}", running.address);
        Self {
            app,
            running,
            url,
            ..self
        }
    }

    pub(super) async fn stop(self) {
        self.running.stop().await.expect("stops");
    }

    pub(super) fn now(&self) -> u64 {
        self.time.load(Ordering::SeqCst)
    }
    pub(super) fn advance(&self, millis: u64) {
        self.time.fetch_add(millis, Ordering::SeqCst);
    }

    /// Status, headers and JSON of `POST /graphql`.
    pub(super) async fn post(
        &self,
        token: Option<&str>,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> (u16, HeaderMap, Value) {
        let mut r = self.http.post(format!("{}/graphql", self.url)).json(body);
        if let Some(t) = token {
            r = r.bearer_auth(t);
        }
        for (name, value) in headers {
            r = r.header(*name, *value);
        }
        let r = r.send().await.expect("answers");
        let (status, headers) = (r.status().as_u16(), r.headers().clone());
        (status, headers, r.json().await.unwrap_or_default())
    }

    pub(super) async fn gql(&self, token: &str, query: &str) -> Value {
        self.post(Some(token), &[], &json!({ "query": query }))
            .await
            .2
    }

    /// A secret key of the buyer, made with these arguments besides the name.
    pub(super) async fn key(&self, owner: &Person, arguments: &str) -> (String, String) {
        let query = format!(
            "mutation {{ createApiKey(name: \"k\", {arguments}) {{ secret key {{ id prefix }} }} }}"
        );
        let made = self.gql(&owner.token, &query).await;
        let made = &made["data"]["createApiKey"];
        let text = |v: &Value| v.as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
        (text(&made["secret"]), text(&made["key"]["id"]))
    }

    pub(super) async fn get(&self, token: Option<&str>, path: &str) -> (u16, String) {
        let mut r = self.http.get(format!("{}{path}", self.url));
        if let Some(t) = token {
            r = r.bearer_auth(t);
        }
        let r = r.send().await.expect("answers");
        (r.status().as_u16(), r.text().await.unwrap_or_default())
    }

    /// A deposit of the buyer's that the admin decides.
    pub(super) async fn deposit(&self, key: &str) {
        let query = format!(
            "mutation {{ requestDeposit(amount: \"500\", idempotencyKey: \"{key}\") {{ id }} }}"
        );
        let asked = self.gql(&self.buyer.token, &query).await;
        let id = asked["data"]["requestDeposit"]["id"]
            .as_str()
            .expect("asked");
        let query = format!(
            "mutation {{ decideDeposit(id: \"{id}\", approve: true, reason: \"seen\") {{ id }} }}"
        );
        let decided = self.gql(&self.admin.token, &query).await;
        assert_eq!(code(&decided), "", "{decided}");
    }
}

/// The code of the first error; empty without one.
pub(super) fn code(answer: &Value) -> String {
    let first = &answer["errors"][0];
    match first["extensions"]["code"].as_str() {
        Some(c) => c.to_owned(),
        None => first["message"].as_str().unwrap_or_default().to_owned(),
    }
}

/// Waits for something that comes by itself.
pub(super) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
