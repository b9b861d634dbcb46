//! A platform that integrates by an API key alone: PAR-3, PAR-5, PAR-8, PAR-11,
//! PAR-14, PAR-15 on real orders.

use crate::common::{Market, settings};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};
use veilbourse::demo::journey::available;
use veilbourse_client::{buyer, market::Session, query};
use veilbourse_documents::verify_webhook;
use veilbourse_server::ServerConfig;

/// Longest wait for what must come.
const SOON: Duration = Duration::from_secs(20);

fn config() -> ServerConfig {
    ServerConfig {
        webhook_allow_private: true,
        ..settings()
    }
}

/// An API key of the buyer's: id, and a session that speaks by it.
async fn key(m: &Market, scopes: &str) -> (String, Session) {
    let document = format!(
        "mutation {{ createApiKey(name: \"platform\", scopes: [{scopes}]) {{ secret key {{ id }} }} }}"
    );
    let made = m
        .buyer
        .session
        .server
        .graphql("createApiKey", &document, json!({}));
    let made = made.await.expect("made");
    let secret = made["secret"].as_str().expect("shown");
    let session = Session {
        server: m.world.server.with_token(secret),
        account: m.buyer.session.account.clone(),
        refresh: String::new(),
    };
    (
        made["key"]["id"].as_str().expect("named").to_owned(),
        session,
    )
}

/// Headers and bodies of what a webhook is told; answers 204.
type Told = Arc<Mutex<Vec<(String, String)>>>;

async fn receiver() -> (String, Told) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    let told = Told::default();
    let all = told.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("accepts");
            let mut bytes = Vec::new();
            let parts = loop {
                let mut piece = [0u8; 4096];
                let n = stream.read(&mut piece).await.expect("reads");
                bytes.extend_from_slice(&piece[..n]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                // What is sent is one JSON object: it is whole when it parses.
                if let Some((head, body)) = text.split_once("\r\n\r\n")
                    && serde_json::from_str::<Value>(body).is_ok()
                {
                    break (head.to_owned(), body.to_owned());
                }
            };
            all.lock().expect("no panic").push(parts);
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        }
    });
    (url, told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_a_key_alone_from_the_catalogue_to_the_result() {
    let mut m = Market::open(config()).await;
    m.start_pod().await;
    m.start_node();
    let (_, session) = key(&m, "CATALOGUE, QUOTE, ORDER, RESULT, WEBHOOK").await;
    let (url, told) = receiver().await;
    let hook = session.server.graphql(
        "createWebhook",
        "mutation($u: String!) { createWebhook(url: $u, events: [ORDER_PLACED, ORDER_PROGRESS, ORDER_RELEASED]) { secret } }",
        json!({ "u": url }),
    );
    let secret = hook.await.expect("made")["secret"].clone();
    let listed = buyer::listing(&session, m.listing.as_str())
        .await
        .expect("PAR-3: CATALOGUE");
    let asked = query::statistics(&listed.manifest, "visits").expect("a column");
    let pinned = &m.world.marketplace;
    let offer = buyer::quote(&session, pinned, &listed, &asked, None)
        .await
        .expect("PAR-3: QUOTE");
    let mut rng = veilbourse::rng(None);
    let deadline = m.now() + 600_000;
    let key = &m.buyer.key;
    let ticket =
        buyer::prepare(pinned, &offer, &listed, &asked, key, deadline, &mut rng).expect("prepares");
    let order = buyer::place(&session, &ticket).await.expect("PAR-3: ORDER");
    let end = buyer::wait(&session, &order, |_| {}).await.expect("ends");
    assert_eq!(end.state, "released", "{end:?}");
    let opened = buyer::open(&session, &order, &ticket)
        .await
        .expect("PAR-3: RESULT");
    assert_eq!(opened.values, m.expected(&asked));

    // PAR-11, PAR-13: every state, in order, each signed.
    let started = Instant::now();
    let all = loop {
        let all = told.lock().expect("no panic").clone();
        let last = all.last().map(|(_, body)| body.contains("ORDER_RELEASED"));
        if last == Some(true) {
            break all;
        }
        assert!(started.elapsed() < SOON, "{all:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let secret = secret.as_str().expect("shown");
    let mut states = Vec::new();
    for (n, (head, body)) in all.iter().enumerate() {
        let signature = head
            .lines()
            .find_map(|l| l.strip_prefix("veilbourse-signature: "))
            .expect("signed");
        assert_eq!(
            verify_webhook(signature, secret, body.as_bytes(), m.now() / 1_000),
            Ok(())
        );
        let body: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(body["sequence"], (n + 1).to_string());
        assert_eq!(body["facts"]["order"], order.as_str());
        states.push(body["facts"]["state"].as_str().expect("a state").to_owned());
    }
    assert_eq!(states.first().map(String::as_str), Some("funded"));
    assert_eq!(states.last().map(String::as_str), Some("released"));
    // PAR-3: not what it was not made for, and nothing of the account's.
    for (field, document, code) in [
        ("myBalance", "{ myBalance { posted } }", "KEY_SCOPE"),
        ("apiKeys", "{ apiKeys { id } }", "KEY_NOT_ALLOWED"),
    ] {
        let e = session.server.graphql(field, document, json!({})).await;
        assert_eq!(e.unwrap_err().code(), Some(code));
    }
    m.world.stop().await.expect("stops");
}

/// `POST /graphql`: status, `Retry-After`, whether replayed, and JSON.
async fn post(
    m: &Market,
    session: &Session,
    once: Option<&str>,
    body: &Value,
) -> (u16, u64, bool, Value) {
    let token = session.server.token().expect("a token");
    let mut r = reqwest::Client::new()
        .post(format!("{}/graphql", m.world.url))
        .bearer_auth(token)
        .json(body);
    if let Some(once) = once {
        r = r.header("idempotency-key", once);
    }
    let r = r.send().await.expect("answers");
    let header = |name: &str| {
        r.headers()
            .get(name)
            .and_then(|v| v.to_str().ok()?.parse().ok())
    };
    let (status, wait) = (r.status().as_u16(), header("retry-after").unwrap_or(0));
    let replayed = r.headers().contains_key("idempotency-replayed");
    (status, wait, replayed, r.json().await.expect("JSON"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_queues_repeated_orders_and_revoked_keys() {
    let config = ServerConfig {
        queue_limit: 1,
        ..config()
    };
    let m = Market::open(config).await;
    // Approved, and not running: what is placed waits.
    m.world.new_pod("idle").await.expect("approved");
    let (id, session) = key(&m, "ORDER").await;
    let (first, second) = (m.ticket(None).await, m.ticket(None).await);
    let place = |order: &Value| json!({ "query": "mutation($o: JSON!) { placeOrder(order: $o) { id } }", "variables": { "o": order } });
    let order = |t: &buyer::Ticket| serde_json::to_value(&t.order).expect("JSON");
    let body = place(&order(&first));
    // PAR-8
    let (_, _, replayed, placed) = post(&m, &session, Some("one"), &body).await;
    assert!(!replayed);
    let placed_id = placed["data"]["placeOrder"]["id"]
        .as_str()
        .expect("placed")
        .to_owned();
    let (_, _, replayed, again) = post(&m, &session, Some("one"), &body).await;
    assert!(replayed);
    assert_eq!(again, placed);
    // PAR-14: nothing is taken; the order that is there is answered.
    let before = available(&m.buyer.session).await.expect("a balance");
    let (status, wait, _, refused) = post(&m, &session, Some("two"), &place(&order(&second))).await;
    assert_eq!(
        (status, &refused["errors"][0]["extensions"]["code"]),
        (503, &"QUEUE_FULL".into())
    );
    assert!((1..=3_600).contains(&wait), "{wait}");
    assert_eq!(
        refused["errors"][0]["extensions"]["retryAfterSeconds"],
        wait.to_string()
    );
    assert_eq!(
        available(&m.buyer.session).await.expect("a balance"),
        before
    );
    let (status, .., again) = post(&m, &session, None, &body).await;
    assert_eq!(
        (status, &again["data"]["placeOrder"]["id"]),
        (200, &placed_id.clone().into())
    );
    // PAR-15
    let entity = json!({
        "query": "query($r: [_Any!]!) { _entities(representations: $r) { ... on Order { id state } } }",
        "variables": { "r": [{ "__typename": "Order", "id": placed_id }] }
    });
    let seen = post(&m, &session, None, &entity).await.3;
    assert_eq!(seen["data"]["_entities"][0]["state"], "funded");
    let seen = post(&m, &m.world.operator, None, &entity).await.3;
    assert_eq!(
        seen["data"]["_entities"][0]["state"], "funded",
        "the pod's operator"
    );
    let stranger = m
        .world
        .person("s@test.example", "s", "BUYER")
        .await
        .expect("registers");
    let seen = post(&m, &stranger.session, None, &entity).await.3;
    assert_eq!(seen["data"]["_entities"][0], Value::Null);

    // PAR-5: a stream that stands still ends with its key, not five seconds later.
    let mut request = format!("{}/graphql", m.world.url.replace("http", "ws"))
        .into_client_request()
        .expect("a URL");
    request.headers_mut().insert(
        "sec-websocket-protocol",
        "graphql-transport-ws".parse().expect("a value"),
    );
    let (mut socket, _) = tokio_tungstenite::connect_async(request)
        .await
        .expect("connects");
    let token = session.server.token().expect("a token");
    let init = json!({ "type": "connection_init", "payload": { "authorization": format!("Bearer {token}") } });
    socket
        .send(Message::text(init.to_string()))
        .await
        .expect("sends");
    let query = format!("subscription {{ orderProgress(id: \"{placed_id}\") {{ state }} }}");
    let start = json!({ "id": "1", "type": "subscribe", "payload": { "query": query } });
    socket
        .send(Message::text(start.to_string()))
        .await
        .expect("sends");
    let mut next = async || loop {
        let message = timeout(SOON, socket.next()).await.expect("in time");
        let message = message.expect("open").expect("whole");
        if let Ok(v) = serde_json::from_str::<Value>(message.to_text().unwrap_or(""))
            && v["type"] == "next"
        {
            return v["payload"].clone();
        }
    };
    assert_eq!(next().await["data"]["orderProgress"]["state"], "funded");
    tokio::time::sleep(Duration::from_millis(200)).await;
    let end = format!("mutation {{ revokeApiKey(id: \"{id}\") }}");
    m.buyer
        .session
        .server
        .graphql("revokeApiKey", &end, json!({}))
        .await
        .expect("revoked");
    let revoked = Instant::now();
    let last = next().await;
    assert_eq!(last["errors"][0]["extensions"]["code"], "TOKEN_INVALID");
    assert!(
        revoked.elapsed() < Duration::from_secs(2),
        "{:?}",
        revoked.elapsed()
    );
    m.world.stop().await.expect("stops");
}
