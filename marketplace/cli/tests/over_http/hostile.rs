//! The command line against a server that lies: nothing is signed, and nothing
//! that it says acts on the terminal.

use crate::common::built;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::Path,
    process::{Command, Output},
    sync::{Arc, Mutex},
};
use veilbourse::{custodian::encrypt_to, progress::Bars};
use veilbourse_client::dataset::DatasetFolder;
use veilbourse_documents::Key;

const ACCOUNT: &str = "01900000-0000-7000-8000-00000000000a";
const OWN: &str = "01900000-0000-7000-8000-000000000001";
const OTHER: &str = "01900000-0000-7000-8000-000000000002";

/// What the server says of a listing, and of itself.
#[derive(Clone)]
struct Says {
    key: Key,
    id: &'static str,
    title: String,
    manifest: Value,
    root: String,
}

/// A server that answers as it was told, and remembers what it was asked.
struct Stub {
    url: String,
    says: Arc<Mutex<Says>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    fn start(says: Says) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let (says, asked) = (Arc::new(Mutex::new(says)), Arc::new(Mutex::new(Vec::new())));
        let (s, a) = (says.clone(), asked.clone());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream.try_clone().expect("clones"));
                let (mut line, mut length) = (String::new(), 0);
                while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
                    let lower = line.to_lowercase();
                    if let Some(n) = lower.strip_prefix("content-length:") {
                        length = n.trim().parse().expect("a length");
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).expect("the body");
                let body = String::from_utf8(body).expect("text");
                let said = s.lock().expect("no panic").clone();
                let answer = answer(&said, &body).to_string();
                a.lock().expect("no panic").push(body);
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{answer}",
                    answer.len()
                );
            }
        });
        Self { url, says, asked }
    }

    fn change(&self, change: impl FnOnce(&mut Says)) {
        change(&mut self.says.lock().expect("no panic"));
        self.asked.lock().expect("no panic").clear();
    }

    fn signed(&self) -> Vec<Value> {
        let asked = self.asked.lock().expect("no panic");
        let policies = asked.iter().filter(|b| b.contains("updatePolicy"));
        policies
            .map(|b| serde_json::from_str(b).expect("JSON"))
            .collect()
    }
}

fn answer(s: &Says, body: &str) -> Value {
    let asked: Value = serde_json::from_str(body).unwrap_or_default();
    let document = asked["query"].as_str().unwrap_or_default();
    let data = if document.contains("login(") {
        json!({ "login": { "access": "a", "refresh": "r", "account": ACCOUNT } })
    } else if document.contains("updatePolicy(") {
        json!({ "updatePolicy": { "id": OWN } })
    } else if document.contains("listings(") {
        json!({ "listings": { "nodes": [{ "id": s.id, "title": s.title, "state": "published",
            "description": s.title, "manifest": { "columns": [{ "name": s.title }] } }] } })
    } else if document.contains("listing(") {
        json!({ "listing": { "id": s.id, "title": s.title, "dataset": s.root, "manifest": s.manifest } })
    } else {
        json!({ "marketplace": { "key": s.key } })
    };
    json!({ "data": data })
}

fn run(dir: &Path, url: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_veilbourse"))
        .args(arguments)
        .args(["--server", url, "--email", "x@test.example"])
        .current_dir(dir)
        .env("VEILBOURSE_PASSWORD", "a password for the test")
        .output()
        .expect("the binary runs")
}

fn error(o: &Output) -> String {
    assert_eq!(o.status.code(), Some(1), "{o:?}");
    String::from_utf8(o.stderr.clone()).expect("text")
}

fn dataset(dir: &Path, name: &str, seed: u64) -> DatasetFolder {
    let (folder, _) = encrypt_to(&built(seed), 10, &dir.join(name), &Bars::new(true)).expect(name);
    folder
}

const POLICY: &str = r#"
node_key = "de36eecd8feff1d6ba949c8f857bb480ade6157acdece5712a4fb00871a747b2"
kinds = ["aggregate_public"]
min_cohort = 100
quota_values = 1000
quota_bits = 40000
price_order = 2000
price_output = 250
version = 2
"#;

#[test]
fn a_policy_is_signed_for_the_custodians_own_dataset_and_listing_only() {
    // DOC-3: whatever the server says that a listing is.
    let dir = tempfile::tempdir().expect("a folder");
    let (own, other) = (
        dataset(dir.path(), "own", 7),
        dataset(dir.path(), "other", 8),
    );
    let file =
        |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("writes");
    file("policy.toml", POLICY);
    file(&format!("own/listing-{ACCOUNT}.id"), OWN);
    let says = |f: &DatasetFolder| {
        let manifest = serde_json::to_value(&f.manifest).expect("JSON");
        (manifest, f.manifest.root().to_string())
    };
    let ((manifest, root), lie) = (says(&own), says(&other));
    let key = Key([7; 32]);
    let stub = Stub::start(Says {
        key,
        id: OWN,
        title: "t".into(),
        manifest,
        root: root.clone(),
    });
    let policy = |more: &[&str]| {
        let mut all = vec![
            "custodian",
            "policy",
            "--dataset",
            "own",
            "--policy",
            "policy.toml",
        ];
        all.extend(more);
        run(dir.path(), &stub.url, &all)
    };

    // Nobody registered here: no key is known, none is taken at first sight.
    assert!(error(&policy(&[])).contains("--marketplace"));
    let told = key.to_string();
    let o = policy(&["--marketplace", &told]);
    assert!(o.status.success(), "{o:?}");
    let signed = stub.signed();
    assert_eq!(signed.len(), 1);
    let body = &signed[0]["variables"]["p"]["body"];
    assert_eq!(
        (&body["listing"], &body["dataset"]),
        (&OWN.into(), &root.as_str().into())
    );

    // Another listing's answer; the own id with another dataset; another
    // listing named by hand.
    stub.change(|s| s.id = OTHER);
    assert!(error(&policy(&[])).contains(OTHER));
    assert!(error(&policy(&[OTHER])).contains("nothing was signed"));
    assert_eq!(stub.signed(), Vec::<Value>::new());
    stub.change(|s| (s.id, s.manifest, s.root) = (OWN, lie.0.clone(), lie.1.clone()));
    let said = error(&policy(&[]));
    assert!(said.contains(&root) && said.contains(&lie.1), "{said}");
    assert_eq!(stub.signed(), Vec::<Value>::new());

    // The marketplace's key changes: refused, with both and what to do.
    let new = Key([8; 32]).to_string();
    stub.change(|s| s.key = Key([8; 32]));
    for more in [&[][..], &["--marketplace", &new], &["--marketplace", &told]] {
        let said = error(&policy(more));
        assert!(said.contains(&told) && said.contains(&new), "{said}");
        assert!(said.contains("operator"), "{said}");
    }
    assert_eq!(stub.signed(), Vec::<Value>::new());
}

#[test]
fn a_server_does_not_speak_for_the_program() {
    let dir = tempfile::tempdir().expect("a folder");
    let stub = Stub::start(Says {
        key: Key([7; 32]),
        id: "x\u{1b}[2J\nno listing",
        title: "a\u{1b}[2K\r\nreceipt of order\u{202e}\u{9b}1A".into(),
        manifest: Value::Null,
        root: String::new(),
    });
    for arguments in [
        &["buyer", "catalogue"][..],
        &["buyer", "catalogue", "--json"],
    ] {
        let o = run(dir.path(), &stub.url, arguments);
        assert!(o.status.success(), "{o:?}");
        let text = String::from_utf8(o.stdout).expect("text");
        assert!(text.contains("receipt of order"), "{text}");
        let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(bad), "{text:?}");
        assert!(
            !text
                .lines()
                .any(|l| l.starts_with("receipt") || l.starts_with("no")),
            "{text}"
        );
    }
    // In an error, too.
    let pins = json!({ stub.url.clone(): Key([7; 32]) }).to_string();
    std::fs::write(dir.path().join("marketplaces.json"), pins).expect("writes");
    let quote = ["buyer", "quote", "--listing", OWN, "--stats", "visits"];
    let said = error(&run(dir.path(), &stub.url, &quote));
    assert_eq!(said.lines().count(), 1, "{said:?}");
    assert!(!said.trim_end().contains(char::is_control), "{said:?}");
}

#[test]
fn a_reader_that_leaves_is_no_panic() {
    // Gone before the first line: a reader that leaves later may have it all.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let ended = Command::new(env!("CARGO_BIN_EXE_veilbourse"))
        .arg("security")
        .stdout(writer)
        .output()
        .expect("the binary runs");
    assert_eq!(ended.status.code(), Some(141));
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
}
