//! What strangers and accounts may cost the server: documents, bodies,
//! websockets, drafts.

use crate::common::{Market, bare, built, settings};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::{
    fmt::Write,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{
        Message,
        client::IntoClientRequest,
        protocol::frame::{
            Frame,
            coding::{Data, OpCode},
        },
    },
};
use veilbourse::{
    custodian::encrypt_to,
    demo::{journey::available, world::World},
    progress::Bars,
};
use veilbourse_client::{
    buyer,
    dataset::{self, DatasetFolder},
    market::Session,
};
use veilbourse_documents::Id;
use veilbourse_server::{Limits, ServerConfig};

/// Longest wait for what must come.
const SOON: Duration = Duration::from_secs(20);

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn connect(world: &World) -> Self {
        let url = format!("{}/graphql", world.url.replace("http", "ws"));
        let mut request = url.into_client_request().expect("a URL");
        request.headers_mut().insert(
            "sec-websocket-protocol",
            "graphql-transport-ws".parse().expect("a value"),
        );
        let (socket, _) = tokio_tungstenite::connect_async(request)
            .await
            .expect("connects");
        Self(socket)
    }

    /// Connected and acknowledged.
    async fn open(world: &World, session: &Session) -> Self {
        let mut s = Self::connect(world).await;
        s.init(session).await;
        let ack = s.next().await.expect("an answer");
        assert_eq!(ack["type"], "connection_ack");
        s
    }

    async fn init(&mut self, session: &Session) {
        let token = session.server.token().expect("signed in");
        let payload = json!({ "authorization": format!("Bearer {token}") });
        self.send(json!({ "type": "connection_init", "payload": payload }))
            .await;
    }

    async fn send(&mut self, v: Value) {
        self.0
            .send(Message::text(v.to_string()))
            .await
            .expect("sends");
    }

    async fn subscribe(&mut self, id: &str, query: &str) {
        let payload = json!({ "query": query });
        self.send(json!({ "id": id, "type": "subscribe", "payload": payload }))
            .await;
    }

    /// The next message of the protocol; nothing when the socket is closed.
    async fn next(&mut self) -> Option<Value> {
        let next = async {
            loop {
                match self.0.next().await? {
                    Ok(Message::Text(t)) => return serde_json::from_str(&t).ok(),
                    Ok(Message::Close(_)) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        };
        timeout(SOON, next).await.expect("in time")
    }

    /// The code that an operation is refused with.
    async fn refusal(&mut self, id: &str) -> String {
        loop {
            let m = self.next().await.expect("open");
            if m["id"] == id && m["type"] == "next" {
                let code = &m["payload"]["errors"][0]["extensions"]["code"];
                if let Some(code) = code.as_str() {
                    return code.to_owned();
                }
            }
        }
    }
}

/// Eleven fragments that each spread the next a hundred times: 7 KB that stand
/// for 10^22 fields.
fn fan_out(operation: &str, on: &str, last: &str) -> String {
    let mut text = operation.to_owned();
    for i in 0..11 {
        let next = if i < 10 {
            format!("...F{} ", i + 1).repeat(100)
        } else {
            last.to_owned()
        };
        write!(text, " fragment F{i} on {on} {{ {next} }}").expect("a string");
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_that_fan_out_are_refused_at_once() {
    // GQL-1
    let (_dir, world, _) = bare(settings()).await;
    let mut socket = Socket::open(&world, &world.admin).await;
    let texts = [
        fan_out("query { ...F0 }", "Query", "...Missing"),
        fan_out("query { marketplace { ...F0 } }", "Marketplace", "id"),
    ];
    for (text, id) in texts.iter().zip(["1", "2"]) {
        let started = Instant::now();
        let e = world.server.graphql("marketplace", text, json!({})).await;
        assert_eq!(e.unwrap_err().code(), Some("TOO_LARGE"));
        socket.subscribe(id, text).await;
        assert_eq!(socket.refusal(id).await, "TOO_LARGE");
        // Expanded, the document has 100^10 selections.
        assert!(started.elapsed() < Duration::from_secs(60));
    }
    world.stop().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_ends_with_its_token() {
    // ACC-3, GQL-4
    let mut m = Market::open(settings()).await;
    m.start_pod().await;
    let ticket = m.ticket(None).await;
    let order = buyer::place(&m.buyer.session, &ticket)
        .await
        .expect("placed");
    let follow = format!("subscription {{ orderProgress(id: \"{order}\") {{ state }} }}");

    // Only subscriptions.
    let mut bought = Socket::open(&m.world, &m.buyer.session).await;
    for (id, text) in [("q", "{ me { id } }"), ("m", "mutation { logout }")] {
        bought.subscribe(id, text).await;
        assert_eq!(bought.refusal(id).await, "INVALID", "{text}");
    }

    // Logged out: the stream ends, nothing new begins.
    bought.subscribe("1", &follow).await;
    let first = bought.next().await.expect("open");
    let first = if first["type"] == "complete" {
        loop {
            let m = bought.next().await.expect("open");
            if m["type"] == "next" {
                break m;
            }
        }
    } else {
        first
    };
    assert!(
        first["payload"]["data"]["orderProgress"]["state"].is_string(),
        "{first}"
    );
    let logout = "mutation { logout }";
    m.buyer
        .session
        .server
        .graphql("logout", logout, json!({}))
        .await
        .expect("logs out");
    assert_eq!(bought.refusal("1").await, "TOKEN_INVALID");
    bought.subscribe("2", &follow).await;
    assert_eq!(bought.refusal("2").await, "TOKEN_INVALID");

    // Expired: the custodian is a party of the order, too.
    let mut custodian = Socket::open(&m.world, &m.custodian.session).await;
    custodian.subscribe("1", &follow).await;
    let first = custodian.next().await.expect("open");
    assert_eq!(first["type"], "next", "{first}");
    m.advance(16 * 60_000);
    assert_eq!(custodian.refusal("1").await, "TOKEN_INVALID");
    custodian.subscribe("2", &follow).await;
    assert_eq!(custodian.refusal("2").await, "TOKEN_INVALID");

    // And no socket opens with it.
    let mut late = Socket::connect(&m.world).await;
    late.init(&m.custodian.session).await;
    assert_eq!(late.next().await, None);
    m.world.stop().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn websockets_are_bounded() {
    // GQL-4
    let (_dir, world, _) = bare(settings()).await;

    // A message in fragments, 2 MiB and no end.
    let mut s = Socket::open(&world, &world.admin).await;
    let mut sent = 0;
    let part = || vec![b' '; 32 << 10];
    let first = Frame::message(part(), OpCode::Data(Data::Text), false);
    let mut over = s.0.send(Message::Frame(first)).await.is_err();
    while !over && sent < 2 << 20 {
        let next = Frame::message(part(), OpCode::Data(Data::Continue), false);
        over = s.0.send(Message::Frame(next)).await.is_err();
        sent += 32 << 10;
    }
    assert_eq!(s.next().await, None, "closed");

    // Without `connection_init` it closes by itself, without a token at once.
    let started = Instant::now();
    let mut silent = Socket::connect(&world).await;
    let mut nobody = Socket::connect(&world).await;
    nobody.send(json!({ "type": "connection_init" })).await;
    assert_eq!(nobody.next().await, None);
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(silent.next().await, None);
    assert!(started.elapsed() < Duration::from_secs(60));

    // Sockets of an account.
    let mut open = Vec::new();
    for _ in 0..16 {
        open.push(Socket::open(&world, &world.admin).await);
    }
    let mut more = Socket::connect(&world).await;
    more.init(&world.admin).await;
    assert_eq!(more.next().await, None);
    drop(open);
    world.stop().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_of_a_socket_are_bounded() {
    // GQL-4
    let mut m = Market::open(settings()).await;
    m.start_pod().await;
    let ticket = m.ticket(None).await;
    let order = buyer::place(&m.buyer.session, &ticket)
        .await
        .expect("placed");
    let follow = format!("subscription {{ orderProgress(id: \"{order}\") {{ state }} }}");
    let mut s = Socket::open(&m.world, &m.buyer.session).await;
    for i in 0..17 {
        s.subscribe(&i.to_string(), &follow).await;
    }
    // The library may take messages that come together in another order.
    let refused = loop {
        let m = s.next().await.expect("open");
        if m["payload"]["errors"][0]["extensions"]["code"] == "TOO_LARGE" {
            break m["id"].as_str().expect("an id").to_owned();
        }
    };
    // One that ends makes room.
    let ended = if refused == "3" { "4" } else { "3" };
    s.send(json!({ "id": ended, "type": "complete" })).await;
    while s.next().await.expect("open") != json!({ "type": "complete", "id": ended }) {}
    s.subscribe("17", &follow).await;
    loop {
        let m = s.next().await.expect("open");
        if m["id"] == "17" {
            assert!(m["payload"]["data"].is_object(), "{m}");
            break;
        }
    }
    m.world.stop().await.expect("stops");
}

/// Status and code of a POST.
async fn post(world: &World, token: Option<&str>, body: String) -> (u16, String) {
    let mut r = reqwest::Client::new()
        .post(format!("{}/graphql", world.url))
        .header("content-type", "application/json");
    if let Some(t) = token {
        r = r.bearer_auth(t);
    }
    let r = r.body(body).send().await.expect("answers");
    let status = r.status().as_u16();
    let v: Value = r.json().await.unwrap_or_default();
    let code = v["code"]
        .as_str()
        .or(v["errors"][0]["extensions"]["code"].as_str());
    (status, code.unwrap_or_default().to_owned())
}

/// The first line of the answer to a head and a part of the body.
async fn beginning(world: &World, head: &str, length: usize) -> String {
    let address = world.url.trim_start_matches("http://");
    let mut socket = TcpStream::connect(address).await.expect("connects");
    let head = format!("{head}host: {address}\r\ncontent-length: {length}\r\n\r\n");
    socket.write_all(head.as_bytes()).await.expect("writes");
    let mut answer = vec![0; 1024];
    let n = timeout(Duration::from_secs(5), socket.read(&mut answer))
        .await
        .expect("before the body")
        .expect("reads");
    let text = String::from_utf8_lossy(&answer[..n]).into_owned();
    text.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_are_bounded_by_who_sends_what() {
    // GQL-1, ACC-1, UP-7
    let (_dir, world, _) = bare(settings()).await;
    let token = world.admin.server.token().expect("signed in");
    let request = |query: &str, filler: usize| {
        json!({ "query": query, "variables": { "x": "y".repeat(filler) } }).to_string()
    };
    let large = "mutation($o: JSON!) { placeOrder(order: $o) { id } }";
    let refused = (413, "TOO_LARGE".to_owned());
    assert_eq!(post(&world, None, request(large, 9 << 20)).await, refused);
    assert_eq!(
        post(&world, Some(token), request(large, 9 << 20)).await,
        refused
    );
    // What nobody knows sends nothing large.
    assert_eq!(post(&world, None, request(large, 2 << 20)).await, refused);
    // The operation counts, not its text.
    for query in [
        "{ marketplace { id } } # placeOrder",
        "query { placeOrder: marketplace { id } }",
        "mutation { login(mail: \"placeOrder\", password: \"createListing\") { access } }",
    ] {
        let answer = post(&world, Some(token), request(query, 2 << 20)).await;
        assert_eq!(answer, refused, "{query}");
    }
    // An order may be large: what is refused then is the request.
    let (status, code) = post(&world, Some(token), request(large, 2 << 20)).await;
    assert_eq!(status, 200);
    assert_ne!(code, "TOO_LARGE");

    // Without a token the answer comes before the body.
    let id = "01900000-0000-7000-8000-000000000000";
    for (head, length) in [
        (
            format!("PUT /v1/pod/jobs/{id}/outputs/0 HTTP/1.1\r\n"),
            32 << 20,
        ),
        (
            format!("PATCH /v1/listings/{id}/objects/sums HTTP/1.1\r\n"),
            4 << 20,
        ),
        (
            format!("POST /v1/node/jobs/{id}/delivery HTTP/1.1\r\n"),
            4 << 20,
        ),
    ] {
        let line = beginning(&world, &head, length).await;
        assert!(line.contains(" 401 "), "{head}: {line}");
    }
    let line = beginning(&world, "POST /v1/machines/token HTTP/1.1\r\n", 65 << 10).await;
    assert!(line.contains(" 413 "), "{line}");
    // In pieces of no stated length the limit is the same.
    let pieces = futures::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>(vec![b' '; 8192])));
    let r = reqwest::Client::new()
        .post(format!("{}/v1/machines/token", world.url))
        .header("content-type", "application/json")
        .body(reqwest::Body::wrap_stream(pieces))
        .send()
        .await
        .expect("answers");
    assert_eq!(r.status().as_u16(), 413);
    world.stop().await.expect("stops");
}

async fn new_draft(session: &Session, folder: &DatasetFolder) -> Result<Id, String> {
    // The folder notes the draft's id; another draft is another listing.
    let note = folder.object(&format!("../listing-{}.id", session.account));
    let _ = std::fs::remove_file(note);
    dataset::draft(session, folder, "t", "")
        .await
        .map_err(|e| e.code().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drafts_are_bounded_and_foreign_ones_unseen() {
    // UP-6, ACC-5, ACC-6
    let config = ServerConfig {
        drafts: 3,
        limits: Limits {
            listing: 8,
            ..settings().limits
        },
        ..settings()
    };
    let (dir, world, _) = bare(config).await;
    let (mut folder, _) = tokio::task::block_in_place(|| {
        encrypt_to(&built(3), 10, &dir.path().join("dataset"), &Bars::new(true))
    })
    .expect("encrypts");
    let custodian = world
        .person("custodian@test.example", "c", "CUSTODIAN")
        .await
        .expect("registers");
    let session = &custodian.session;

    // ACC-6: foreign and absent answer alike.
    let id = new_draft(session, &folder).await.expect("the first");
    let absent = "01900000-0000-7000-8000-000000000000";
    let stranger = world
        .person("other@test.example", "o", "CUSTODIAN")
        .await
        .expect("registers");
    for server in [&world.server, &stranger.session.server] {
        for name in ["sums", "twin.csv", "nothing"] {
            let get = async |id: &str| {
                let path = format!("/v1/listings/{id}/objects/{name}");
                let e = server.get(&path).await.unwrap_err();
                e.to_string().replace(id, "")
            };
            assert_eq!(get(id.as_str()).await, get(absent).await, "{name}");
        }
    }

    // UP-6: so many drafts, and room again after one is withdrawn.
    for _ in 0..2 {
        new_draft(session, &folder).await.expect("within");
    }
    assert_eq!(new_draft(session, &folder).await, Err("TOO_LARGE".into()));
    let withdraw = "mutation($id: String!) { withdrawListing(id: $id) { state } }";
    session
        .server
        .graphql("withdrawListing", withdraw, json!({ "id": id.as_str() }))
        .await
        .expect("withdraws");
    new_draft(session, &folder).await.expect("room again");

    // A manifest of more chunks than the marketplace takes.
    let good = folder.manifest.clone();
    if let Some(s) = folder.manifest.segments.first_mut() {
        let chunk = s.chunks[0];
        s.chunks = vec![chunk; 4_097];
        s.rows = 4_097 * 4_096;
    }
    assert_eq!(new_draft(session, &folder).await, Err("TOO_LARGE".into()));
    folder.manifest = good;

    // ACC-5: eight a minute, refused ones counted.
    let mut last = String::new();
    for _ in 0..4 {
        last = new_draft(session, &folder).await.unwrap_err();
    }
    assert_eq!(last, "RATE_LIMITED");
    let submit = json!({ "id": absent, "p": {} });
    let text = "mutation($id: String!, $p: JSON!) { submitListing(id: $id, policy: $p) { id } }";
    let e = session.server.graphql("submitListing", text, submit).await;
    assert_eq!(e.unwrap_err().code(), Some("RATE_LIMITED"));
    // The others are not.
    available(&stranger.session).await.expect("answers");
    world.stop().await.expect("stops");
}
