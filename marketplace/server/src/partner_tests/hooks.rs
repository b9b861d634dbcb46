//! Webhooks, told by a real server to receivers that really listen: PAR-9..13.

use super::{World, code, until};
use serde_json::Value;
use std::{
    collections::VecDeque,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;
use veilbourse_documents::{WebhookRefusal, verify_webhook};

const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";
const BROKEN: &str = "HTTP/1.1 500 Broken\r\ncontent-length: 5\r\n\r\nsorry";

/// What came.
#[derive(Debug, Clone)]
struct Hit {
    head: String,
    body: String,
}

impl Hit {
    fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find_map(|l| {
            let (n, v) = l.split_once(": ")?;
            n.eq_ignore_ascii_case(name).then_some(v)
        });
        line.unwrap_or_else(|| panic!("no {name}: {}", self.head))
    }
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// Answers what it is told to, then 204.
#[derive(Clone)]
struct Receiver {
    address: SocketAddr,
    hits: Arc<Mutex<Vec<Hit>>>,
    answers: Arc<Mutex<VecDeque<String>>>,
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Hit> {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0u8; 4096];
        let n = stream.read(&mut piece).await.ok()?;
        bytes.extend_from_slice(&piece[..n]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|l| {
                let (n, v) = l.split_once(": ")?;
                n.eq_ignore_ascii_case("content-length").then_some(v)
            });
            if body.len() >= length?.parse::<usize>().ok()? {
                return Some(Hit {
                    head: head.to_owned(),
                    body: body.to_owned(),
                });
            }
        }
        if n == 0 {
            return None;
        }
    }
}

impl Receiver {
    async fn listen(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let me = Self {
            address: listener.local_addr().expect("bound"),
            hits: Arc::default(),
            answers: Arc::default(),
        };
        let this = me.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("accepts");
                let (this, tls) = (this.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => this.serve(stream).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                this.serve(stream).await;
                            }
                        }
                    }
                });
            }
        });
        me
    }

    async fn serve(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let Some(hit) = read(&mut stream).await else {
            return;
        };
        self.hits.lock().unwrap().push(hit);
        let next = self.answers.lock().unwrap().pop_front();
        let next = next.unwrap_or_else(|| NO_CONTENT.to_owned());
        let _ = stream.write_all(next.as_bytes()).await;
        let _ = stream.shutdown().await;
    }

    fn answer(&self, all: &[&str]) {
        let mut answers = self.answers.lock().unwrap();
        answers.extend(all.iter().map(|a| (*a).to_owned()));
    }

    fn hits(&self) -> Vec<Hit> {
        self.hits.lock().unwrap().clone()
    }

    async fn after(&self, n: usize) -> Vec<Hit> {
        until(&format!("{n} requests"), async || {
            let all = self.hits();
            (all.len() >= n).then_some(all)
        })
        .await
    }
}

/// Makes a webhook of the buyer's; its id and secret.
async fn make(w: &World, url: &str, events: &str) -> (String, String) {
    let q = format!(
        "mutation {{ createWebhook(url: \"{url}\", events: [{events}]) {{ secret webhook {{ id }} }} }}"
    );
    let made = w.gql(&w.buyer.token, &q).await;
    let made = &made["data"]["createWebhook"];
    let text = |v: &Value| v.as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
    (text(&made["webhook"]["id"]), text(&made["secret"]))
}

const LOG: &str = "id event state sequence nextAt attempts { status excerpt error milliseconds }";

async fn log(w: &World, id: &str) -> Vec<Value> {
    let q = format!("{{ webhookDeliveries(webhook: \"{id}\") {{ nodes {{ {LOG} }} }} }}");
    let found = w.gql(&w.buyer.token, &q).await;
    let nodes = &found["data"]["webhookDeliveries"]["nodes"];
    nodes
        .as_array()
        .unwrap_or_else(|| panic!("{found}"))
        .clone()
}

async fn act(w: &World, field: &str, id: &str) -> Value {
    let q = format!("mutation {{ {field}(id: \"{id}\") {{ {LOG} }} }}");
    let answer = w.gql(&w.buyer.token, &q).await;
    match code(&answer).as_str() {
        "" => answer["data"][field].clone(),
        _ => answer,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signed_in_order_until_taken() {
    // PAR-11, PAR-12, PAR-13
    let w = World::start(|_| {}).await;
    let r = Receiver::listen(None).await;
    let url = format!("http://{}/hook?a=1", r.address);
    let (id, secret) = make(&w, &url, "CASH_DECIDED").await;
    assert!(secret.starts_with("whsec_") && secret.len() == 49);
    r.answer(&[BROKEN]);
    w.deposit("one").await;
    w.deposit("two").await;
    let hits = r.after(1).await;
    assert!(hits[0].head.starts_with("POST /hook?a=1 HTTP/1.1"));
    assert_eq!(hits[0].header("veilbourse-event"), "CASH_DECIDED");
    assert_eq!(hits[0].header("host"), r.address.to_string());
    let signature = hits[0].header("veilbourse-signature").to_owned();
    let (body, seconds) = (hits[0].body.clone(), w.now() / 1_000);
    let fits = |s: &str, b: &str, t| verify_webhook(&signature, s, b.as_bytes(), t);
    assert_eq!(fits(&secret, &body, seconds), Ok(()));
    let changed = body.replace("500", "501");
    assert_ne!(changed, body);
    let no = Err(WebhookRefusal::Signature);
    assert_eq!(fits(&secret, &changed, seconds), no);
    assert_eq!(fits("whsec_other", &body, seconds), no);
    assert!(matches!(
        fits(&secret, &body, seconds + 600),
        Err(WebhookRefusal::Stale { .. })
    ));
    assert_eq!(hits[0].json()["facts"]["decision"], "approved");
    // The first failed: the second waits for it, whatever time passes here.
    let all = until("a note", async || {
        let all = log(&w, &id).await;
        (all[1]["attempts"].as_array()?.len() == 1).then_some(all)
    })
    .await;
    assert_eq!(all.len(), 2);
    assert_eq!(all[1]["state"], "waiting");
    assert_eq!(all[1]["attempts"][0]["status"], 500);
    assert_eq!(all[1]["attempts"][0]["excerpt"], "sorry");
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    assert_eq!(r.hits().len(), 1, "neither again nor the second");
    // Ten seconds on: the same again, under the same id, then the second.
    w.advance(10_000);
    let hits = r.after(3).await;
    assert_eq!(hits[1].body, hits[0].body);
    let ids: Vec<&str> = hits
        .iter()
        .map(|h| h.header("veilbourse-delivery"))
        .collect();
    assert!(ids[0] == ids[1] && ids[1] != ids[2]);
    assert_eq!(hits[1].json()["sequence"], "1");
    assert_eq!(hits[2].json()["sequence"], "2");
    assert_ne!(
        hits[1].header("veilbourse-signature"),
        signature,
        "signed at its own time"
    );
    until("both", async || {
        let all = log(&w, &id).await;
        all.iter().all(|d| d["state"] == "delivered").then_some(())
    })
    .await;

    // By hand again, under the same id; somebody else's is not found.
    let again = act(&w, "redeliverWebhook", ids[0]).await;
    assert_eq!(again["attempts"].as_array().expect("tried").len(), 3);
    let hits = r.after(4).await;
    assert_eq!(hits[3].header("veilbourse-delivery"), ids[0]);
    let q = format!(
        "mutation {{ redeliverWebhook(id: \"{}\") {{ id }} }}",
        ids[0]
    );
    let theirs = w.gql(&w.custodian.token, &q).await;
    assert_eq!(code(&theirs), "NOT_FOUND");
    let q = format!("{{ webhookDeliveries(webhook: \"{id}\") {{ nodes {{ id }} }} }}");
    assert_eq!(code(&w.gql(&w.custodian.token, &q).await), "NOT_FOUND");
    w.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_turn_and_outlive_the_process() {
    // PAR-13
    let w = World::start(|_| {}).await;
    let r = Receiver::listen(None).await;
    let url = format!("http://{}/", r.address);
    let (id, first) = make(&w, &url, "PING").await;
    let q = format!("mutation {{ rotateWebhookSecret(id: \"{id}\") {{ secret }} }}");
    let turned = w.gql(&w.buyer.token, &q).await;
    let second = turned["data"]["rotateWebhookSecret"]["secret"].clone();
    let second = second.as_str().expect("shown").to_owned();
    assert_ne!(first, second);
    let w = w.restart().await;
    let check = async |w: &World, n: usize| -> Vec<bool> {
        let sent = act(w, "testWebhook", &id).await;
        assert_eq!(sent["state"], "delivered", "{sent}");
        let hit = r.after(n).await.remove(n - 1);
        assert_eq!(hit.header("veilbourse-event"), "PING");
        let header = hit.header("veilbourse-signature").to_owned();
        [&first, &second]
            .map(|s| verify_webhook(&header, s, hit.body.as_bytes(), w.now() / 1_000).is_ok())
            .to_vec()
    };
    assert_eq!(check(&w, 1).await, [true, true], "both for a day");
    w.advance(86_400_000);
    // The session's token is over; a webhook's key is not.
    let session = w
        .app
        .sign_in("here", "", "b@example.org", super::PASSWORD, None)
        .await;
    let w = World {
        buyer: super::Person {
            id: w.buyer.id,
            token: session.expect("in").access,
        },
        ..w
    };
    assert_eq!(check(&w, 2).await, [false, true]);
    w.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receivers_that_misbehave() {
    // PAR-10, PAR-12
    let w = World::start(|c| c.webhook_disable_days = 1).await;
    let (r, elsewhere) = (Receiver::listen(None).await, Receiver::listen(None).await);
    let (id, _) = make(&w, &format!("http://{}/", r.address), "CASH_DECIDED, PING").await;
    // A redirect is an answer like any other: nobody follows it.
    let away = format!(
        "HTTP/1.1 307 Elsewhere\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n",
        elsewhere.address
    );
    let endless = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n{}\u{1}",
        "x".repeat(100_000)
    );
    let head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(40_000));
    r.answer(&[&away, &endless, &head, "nonsense\r\n\r\n"]);
    let sent = act(&w, "testWebhook", &id).await;
    assert_eq!(
        (&sent["state"], &sent["attempts"][0]["status"]),
        (&"failed".into(), &307.into())
    );
    assert!(elsewhere.hits().is_empty());
    let sent = act(&w, "testWebhook", &id).await;
    assert_eq!(sent["state"], "delivered");
    let kept = sent["attempts"][0]["excerpt"].as_str().expect("kept").len();
    assert_eq!(kept, 1_000);
    for _ in 0..2 {
        let sent = act(&w, "testWebhook", &id).await;
        assert_eq!(sent["state"], "failed", "{sent}");
        assert!(
            sent["attempts"][0]["error"]
                .as_str()
                .expect("why")
                .contains("no answer")
        );
        assert_eq!(sent["attempts"][0]["status"], Value::Null);
    }
    // A day of nothing: disabled, with its reason; what waits is kept.
    r.answer(&[BROKEN, BROKEN]);
    w.deposit("x").await;
    r.after(5).await;
    until("a note", async || {
        let all = log(&w, &id).await;
        (all[0]["attempts"].as_array()?.len() == 1).then_some(())
    })
    .await;
    w.advance(86_400_000);
    r.after(6).await;
    let session = w
        .app
        .sign_in("here", "", "b@example.org", super::PASSWORD, None)
        .await;
    let w = World {
        buyer: super::Person {
            id: w.buyer.id,
            token: session.expect("in").access,
        },
        ..w
    };
    let q = "{ webhooks { id enabled disabledAt disabledReason failingSince } }";
    let hook = until("disabled", async || {
        let all = w.gql(&w.buyer.token, q).await;
        let hook = all["data"]["webhooks"][0].clone();
        (hook["enabled"] == false).then_some(hook)
    })
    .await;
    assert!(
        hook["disabledReason"]
            .as_str()
            .expect("why")
            .contains("failed")
    );
    let on = format!(
        "mutation {{ updateWebhook(id: \"{id}\", enabled: true) {{ enabled disabledAt }} }}"
    );
    let back = w.gql(&w.buyer.token, &on).await;
    assert_eq!(back["data"]["updateWebhook"]["disabledAt"], Value::Null);
    w.advance(86_400_000 / 2);
    let last = r.after(7).await.remove(6);
    assert_eq!(last.json()["facts"]["kind"], "deposit");
    w.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_never_answers() {
    // PAR-10
    let w = World::start(|_| {}).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = silent.local_addr().expect("bound");
    let (id, _) = make(&w, &format!("http://{address}/"), "PING").await;
    let started = std::time::Instant::now();
    let sent = act(&w, "testWebhook", &id).await;
    assert_eq!(sent["attempts"][0]["error"], "no answer within 10 s");
    assert!(started.elapsed() < std::time::Duration::from_secs(20));
    w.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_public_internet_is_told() {
    // PAR-10: by the API, and again when it is connected to.
    let w = World::start(|c| c.webhook_allow_private = false).await;
    let r = Receiver::listen(None).await;
    for url in [
        format!("http://{}/", r.address),
        format!("https://{}/", r.address),
        "https://169.254.169.254/latest".to_owned(),
        "https://[::1]:9/".to_owned(),
        "gopher://example.org/".to_owned(),
    ] {
        let q =
            format!("mutation {{ createWebhook(url: \"{url}\", events: [PING]) {{ secret }} }}");
        let refused = w.gql(&w.buyer.token, &q).await;
        assert_eq!(code(&refused), "WEBHOOK_TARGET", "{url}");
    }
    let q = "mutation { createWebhook(url: \"https://example.org/\", events: []) { secret } }";
    assert_eq!(code(&w.gql(&w.buyer.token, q).await), "INVALID");
    // A name that leads to loopback passes the API, not the connection.
    let url = format!("https://localhost:{}/", r.address.port());
    let (id, _) = make(&w, &url, "PING").await;
    let sent = act(&w, "testWebhook", &id).await;
    assert_eq!(sent["state"], "failed");
    let why = sent["attempts"][0]["error"].as_str().expect("why");
    assert!(why.contains("public internet"), "{why}");
    let q = format!(
        "mutation {{ updateWebhook(id: \"{id}\", url: \"http://{}/\") {{ id }} }}",
        r.address
    );
    assert_eq!(code(&w.gql(&w.buyer.token, &q).await), "WEBHOOK_TARGET");
    assert!(r.hits().is_empty());
    w.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receivers_are_told_over_tls() {
    // PAR-10
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    let file = |name: &str| {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("src/partner_tests")
            .join(name)
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(file("receiver.pem"))
        .expect("a file")
        .map(|c| c.expect("a certificate"))
        .collect();
    let key = PrivateKeyDer::from_pem_file(file("receiver.key")).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("fits");
    let r = Receiver::listen(Some(TlsAcceptor::from(Arc::new(tls)))).await;
    let w = World::start(|c| c.webhook_roots = Some(file("ca.pem"))).await;
    for host in ["localhost", "127.0.0.1"] {
        let (id, _) = make(
            &w,
            &format!("https://{host}:{}/tls", r.address.port()),
            "PING",
        )
        .await;
        let sent = act(&w, "testWebhook", &id).await;
        assert_eq!(sent["state"], "delivered", "{sent}");
    }
    assert!(r.hits()[0].head.starts_with("POST /tls HTTP/1.1"));
    w.stop().await;
    // Without that authority, nobody believes the receiver.
    let w = World::start(|_| {}).await;
    let (id, _) = make(
        &w,
        &format!("https://localhost:{}/", r.address.port()),
        "PING",
    )
    .await;
    let sent = act(&w, "testWebhook", &id).await;
    assert!(
        sent["attempts"][0]["error"]
            .as_str()
            .expect("why")
            .starts_with("TLS: "),
        "{sent}"
    );
    assert_eq!(r.hits().len(), 2);
    w.stop().await;
    let bad = crate::post::Sender::new(false, Some(&file("nothing.pem"))).map(drop);
    assert!(matches!(
        bad,
        Err(veilbourse_domain::DomainError::Invalid {
            field: "webhook_roots",
            ..
        })
    ));
}
