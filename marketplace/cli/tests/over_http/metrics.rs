//! `key-node --metrics`: what an operator sees of a node, over HTTP, and what
//! nobody sees. The marketplace is not there; the nodes start all the same.

use crate::common::{Running, running, srs};
use serde_json::{Value, json};
use std::{
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};
use veilbourse::files::{NodeFolder, accepted_keys};
use veilbourse_documents::{CommitteeFile, Id, Key, SigningKey, marketplace_id};
use veilbourse_node::series;

/// Nobody answers there.
const NOWHERE: &str = "http://127.0.0.1:9";

fn marketplace() -> Key {
    Key(SigningKey::from_bytes(&[1; 32]).verifying_key().to_bytes())
}

fn id() -> Id {
    Id::parse("01900000-0000-7000-8000-000000000000").expect("an id")
}

/// Ready to run, without the marketplace's part in it.
fn ready(folder: &NodeFolder) {
    let keys = accepted_keys(&srs(4), std::iter::empty());
    folder.accept(&keys).expect("accepts");
    folder.set_machine(id()).expect("noted");
}

/// Two nodes of a committee; the first one's folder.
fn member(root: &Path) -> NodeFolder {
    let mut rng = veilbourse::rng(None);
    let mut of = |name: &str| {
        let folder = NodeFolder::create_member(&root.join(name), marketplace(), &mut rng);
        let folder = folder.expect("a folder");
        let entry = folder.entry(name, "127.0.0.1:1", &mut rng).expect("named");
        (folder, entry)
    };
    let (own, other) = (of("own"), of("other"));
    let file = CommitteeFile {
        marketplace: marketplace_id(&marketplace()),
        threshold: 2,
        nodes: vec![own.1, other.1],
    };
    file.check().expect("a committee");
    own.0.seat(&file).expect("seated");
    ready(&own.0);
    own.0
}

fn node(folder: &NodeFolder, arguments: &[&str]) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_veilbourse"));
    c.args(["key-node", "--json", "--server", NOWHERE, "--dir"])
        .arg(&folder.0)
        .args(arguments)
        .stdout(Stdio::piped());
    c
}

fn starts(folder: &NodeFolder, arguments: &[&str]) -> (Running, Value) {
    let child = node(folder, arguments)
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let (running, line) = running(child);
    (running, serde_json::from_str(&line).expect("JSON"))
}

/// Status, type and text.
async fn get(said: &Value, path: &str) -> (u16, String, String) {
    let at = said["metrics_at"].as_str().expect("an address");
    let answer = reqwest::get(format!("http://{at}{path}")).await;
    let answer = answer.expect("answers");
    let kind = answer.headers().get("content-type");
    let kind = kind.map_or("", |k| k.to_str().expect("text")).to_owned();
    let status = answer.status().as_u16();
    (status, kind, answer.text().await.expect("text"))
}

async fn health(said: &Value) -> Value {
    let (status, kind, text) = get(said, "/health").await;
    assert_eq!((status, kind.as_str()), (200, "application/json"));
    serde_json::from_str(&text).expect("JSON")
}

/// Samples, without comments.
async fn samples(said: &Value) -> Vec<String> {
    let (status, kind, text) = get(said, "/metrics").await;
    assert_eq!(status, 200);
    assert_eq!(kind, "text/plain; version=0.0.4");
    let lines = text
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines.map(str::to_owned).collect()
}

#[tokio::test]
async fn a_committees_node_shows_its_operator_how_it_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = member(dir.path());
    let open = ["--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"];
    let (_running, said) = starts(&folder, &open);
    assert_eq!(said["key_node"], "working");
    // All of them, from the start, and nothing else: no label.
    let mut expected = [
        series::ORDERS_DELIVERED,
        series::TICKETS_LEFT,
        series::SESSIONS_WITHHELD,
        series::QUORUMS_FROZEN,
        series::PEERS_CONNECTED,
        series::DELIVERIES_WAITING,
        series::ORDERS_AT_WORK,
    ]
    .map(|name| format!("{name} 0"));
    expected.sort();
    let mut found = samples(&said).await;
    found.sort();
    assert_eq!(found, expected);
    let expected = json!({
        "key_node": "working", "tickets": 0, "frozen": 0, "withheld": 0, "orders": 0,
        "deliveries_waiting": 0, "log_head": said["log_head"],
        "peers": [{ "node": 1, "connected": false }],
    });
    assert_eq!(health(&said).await, expected);
    // Nothing else is there, and nothing is taken.
    assert_eq!(get(&said, "/").await.0, 404);
    let at = said["metrics_at"].as_str().expect("an address");
    for path in ["metrics", "health"] {
        let client = reqwest::Client::new();
        let answer = client.post(format!("http://{at}/{path}")).send().await;
        assert_eq!(answer.expect("answers").status().as_u16(), 404);
    }
}

#[tokio::test]
async fn a_custodians_node_does_too() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut rng = veilbourse::rng(None);
    let folder = NodeFolder::create(&dir.path().join("node"), marketplace(), &mut rng);
    let folder = folder.expect("a folder");
    ready(&folder);
    let (_running, said) = starts(&folder, &["--metrics", "127.0.0.1:0"]);
    let delivered = format!("{} 0", series::ORDERS_DELIVERED);
    assert_eq!(samples(&said).await, [delivered]);
    let mut expected = json!({
        "key_node": "working", "datasets": 0, "server_answers": null,
        "log_head": said["log_head"],
    });
    // It has asked the server, which is not there.
    let mut found = health(&said).await;
    while found["server_answers"].is_null() {
        assert_eq!(found, expected);
        tokio::time::sleep(Duration::from_millis(50)).await;
        found = health(&said).await;
    }
    expected["server_answers"] = false.into();
    assert_eq!(found, expected);
}

#[test]
fn an_address_that_is_taken_stops_the_node_before_it_begins() {
    let dir = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().map(|a| (taken, a.to_string()));
    let (_taken, address) = taken.expect("an address");
    let folder = member(dir.path());
    let held = dir.path().join("held");
    let held = NodeFolder::create(&held, marketplace(), &mut veilbourse::rng(None));
    let held = held.expect("a folder");
    ready(&held);
    for folder in [&folder, &held] {
        let open = ["--listen", "127.0.0.1:0", "--metrics", &address];
        let out = node(folder, &open).output().expect("the binary runs");
        assert!(!out.status.success());
        let text = String::from_utf8_lossy(&out.stderr);
        assert!(
            text.contains("--metrics") && text.contains(&address),
            "{text}"
        );
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(!said.contains("working"), "{said}");
    }
}
