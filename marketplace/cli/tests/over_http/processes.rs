//! The whole chain with every part in a process and a folder of its own: server,
//! pod, three key nodes of a committee, custodian, buyer, admin, and somebody who
//! verifies. They meet over loopback and through the files that people hand each
//! other: accepted keys, nodes' entries, the committee's file, the receipt. One
//! key node is killed while an order is under way, and stays dead (SET-7).

use crate::common::{Running, csv, letter_in, running, srs};
use serde_json::{Value, json};
use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use veilbourse::files::accepted_keys;

const PASSWORD: &str = "a password for the test";
/// Longest wait for anything: far more than a slow machine needs.
const PATIENCE: Duration = Duration::from_secs(240);

const POLICY: &str = r#"
kinds = ["aggregate_public"]
min_cohort = 10
quota_values = 1000
quota_bits = 100000
price_order = 2000
price_output = 250
"#;

/// Grants to a quorum with a dead node end soon.
const SERVER: &str = "dir = \"data\"\ngrant_seconds = 8\nquorum_seconds = 8\n[limits]\nregister = 100\nlogin = 1000\nlisting = 100\nquote = 100\nplace = 100\nupload = 10000\n";

/// Somebody with a folder of their own.
struct Actor {
    dir: PathBuf,
    url: String,
}

impl Actor {
    fn new(root: &Path, name: &str, url: &str) -> Self {
        let dir = root.join(name);
        fs::create_dir(&dir).expect("a fresh folder");
        Self {
            dir,
            url: url.to_owned(),
        }
    }

    fn name(&self) -> &str {
        let name = self.dir.file_name().and_then(|n| n.to_str());
        name.expect("a name")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut c = Command::new(env!("CARGO_BIN_EXE_veilbourse"));
        c.args(arguments)
            .arg("--json")
            .current_dir(&self.dir)
            .env("VEILBOURSE_SERVER", &self.url)
            .env("VEILBOURSE_EMAIL", format!("{}@test.example", self.name()))
            .env("VEILBOURSE_PASSWORD", PASSWORD)
            .env("VEILBOURSE_ADMIN_PASSWORD", PASSWORD);
        c
    }

    /// Runs a command to its end; all it printed, if it went well.
    fn said(&self, arguments: &[&str]) -> Result<String, String> {
        let out = self.command(arguments).output().expect("the binary runs");
        let text = String::from_utf8(out.stdout).expect("text");
        match out.status.success() {
            true => Ok(text),
            false => Err(format!(
                "{arguments:?}: {text}{}",
                String::from_utf8_lossy(&out.stderr)
            )),
        }
    }

    fn text(&self, arguments: &[&str]) -> String {
        self.said(arguments).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Its last line.
    fn does(&self, arguments: &[&str]) -> Value {
        let text = self.text(arguments);
        serde_json::from_str(text.lines().last().unwrap_or("null")).expect("JSON")
    }

    /// A process that goes on, with its first line.
    fn starts(&self, arguments: &[&str]) -> (Running, Value) {
        let child = self
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(fs::File::create(self.dir.join("stderr")).expect("a file"))
            .spawn()
            .expect("the binary runs");
        let (running, line) = running(child);
        let stderr = || fs::read_to_string(self.dir.join("stderr")).unwrap_or_default();
        let first = serde_json::from_str(&line)
            .unwrap_or_else(|e| panic!("{arguments:?}: {e}: {line:?} {}", stderr()));
        (running, first)
    }

    fn file(&self, name: &str) -> String {
        self.dir.join(name).to_str().expect("a path").to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.join(name), text).expect("writes");
    }
}

fn port() -> u16 {
    let bound = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
    bound.expect("a free port").port()
}

fn text(v: &Value) -> &str {
    v.as_str().unwrap_or_else(|| panic!("no text: {v}"))
}

/// What a node shows its operator.
fn look(at: &str, path: &str) -> String {
    let mut stream = std::net::TcpStream::connect(at).expect("connects");
    let ask = format!("GET {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("text");
    text
}

/// Asks until there is an answer.
fn until<T>(what: &str, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    loop {
        match ask() {
            Ok(v) => return v,
            Err(e) => assert!(started.elapsed() < PATIENCE, "{what}: {e}"),
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Mean of visits in each segment, from the table as it lies on the disk.
fn means(csv: &str) -> Vec<(String, f64)> {
    ["0", "1"]
        .map(|plan| {
            let rows = csv.lines().skip(1);
            let rows = rows.map(|l| l.split(',').collect::<Vec<_>>());
            let of: Vec<f64> = rows
                .filter(|r| r[0] == plan)
                .map(|r| r[1].parse().expect("a number"))
                .collect();
            (plan.to_owned(), of.iter().sum::<f64>() / of.len() as f64)
        })
        .to_vec()
}

/// The opened values are the table's.
fn check_values(result: &Value, csv: &str) {
    let outputs = result["outputs"].as_array().expect("outputs");
    assert_eq!(outputs.len(), 4, "{result}");
    for (plan, mean) in means(csv) {
        let of = outputs.iter().find(|v| {
            let of_plan = text(&v["segment"]).ends_with(&plan);
            v["label"] == "mean of visits" && of_plan
        });
        let of = of.unwrap_or_else(|| panic!("no mean of plan {plan}: {result}"));
        let found = of["values"][0].as_f64().expect("a number");
        assert!((found - mean).abs() < 1e-6, "plan {plan}: {found}, {mean}");
    }
}

/// Parts of a secret file as they would be found elsewhere: as it is, or decoded.
fn needles(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).expect("a secret");
    let of = |b: &[u8]| b[b.len() - 32..].to_vec();
    let text = bytes.trim_ascii();
    let decoded = hex::decode(text).ok();
    [Some(of(text)), decoded.map(|d| of(&d))]
        .into_iter()
        .flatten()
        .collect()
}

#[test]
fn everything_in_processes_and_folders_of_its_own() {
    let root = tempfile::tempdir().expect("a folder");
    let root = root.path();

    // The ceremony's string and the accepted keys, as their makers publish them.
    let public = Actor::new(root, "published", "");
    let string = srs(4);
    fs::write(public.file("srs.bin"), string.encode()).expect("writes");
    let keys = accepted_keys(&string, std::iter::empty());
    public.write("keys.json", &serde_json::to_string(&keys).expect("JSON"));
    let keys = public.file("keys.json");

    // The server, at a port that the system chooses.
    let server = Actor::new(root, "server", "");
    server.write(
        "server.toml",
        &format!("listen = \"127.0.0.1:0\"\n{SERVER}"),
    );
    let admin_mail = "admin@test.example";
    let (_server, said) = server.starts(&[
        "serve",
        "--config",
        "server.toml",
        "--keys",
        &keys,
        "--admin",
        admin_mail,
    ]);
    let url = text(&said["listening"]).to_owned();
    let (market, id) = (text(&said["marketplace_key"]), text(&said["marketplace"]));
    let actor = |name: &str| Actor::new(root, name, &url);
    let admin = actor("admin");
    let approve = |kind: &str, id: &Value| {
        admin.does(&["admin", "decide", kind, text(id)]);
    };

    // A pod.
    let register = |a: &Actor, role: &str, name: &str| {
        a.does(&[role, "register", "--name", name, "--marketplace", market]);
        let mail = format!("{}@test.example", a.name());
        let token = letter_in(&server.dir.join("data"), Path::new(&keys), &mail);
        assert_eq!(a.does(&["account", "verify", &token])["verified"], true);
    };
    let pod = actor("pod");
    register(&pod, "custodian", "Pod operator");
    approve("machine", &pod.does(&["pod", "--init"])["machine"]);
    let string = public.file("srs.bin");
    let work = ["pod", "--srs", &string];
    let working = pod.starts(&work);

    // Three key nodes, each of another operator.
    let nodes = [0, 1, 2].map(|n| actor(&format!("node{n}")));
    let addresses = [0; 3].map(|_| format!("127.0.0.1:{}", port()));
    for (n, (node, address)) in nodes.iter().zip(&addresses).enumerate() {
        register(node, "custodian", &format!("Operator {n}"));
        let name = format!("key node {n}");
        let made = node.does(&["key-node", "--init", "--member", "--name", &name]);
        approve("machine", &made["machine"]);
        node.text(&["key-node", "--keys", &keys]);
        let entry = node.text(&["key-node", "--entry", address, "--name", &name]);
        public.write(&format!("entry{n}.json"), &entry);
    }
    let entries = [0, 1, 2].map(|n| public.file(&format!("entry{n}.json")));
    let [e0, e1, e2] = &entries;
    public.does(&[
        "committee",
        "make",
        "--threshold",
        "2",
        "--marketplace",
        market,
        e0,
        e1,
        e2,
    ]);
    let committee = public.file("committee.json");
    let (mut running, mut watched) = (Vec::new(), Vec::new());
    for (n, (node, address)) in nodes.iter().zip(&addresses).enumerate() {
        let seat = node.does(&["key-node", "--committee", &committee]);
        assert_eq!(seat, json!({ "seat": n, "nodes": 3, "threshold": 2 }));
        let arguments = ["key-node", "--listen", address, "--metrics", "127.0.0.1:0"];
        let (r, said) = node.starts(&arguments);
        assert_eq!(text(&said["peers_at"]), address);
        watched.push(text(&said["metrics_at"]).to_owned());
        running.push(r);
    }

    // A custodian encrypts, deals, lists.
    let custodian = actor("custodian");
    register(&custodian, "custodian", "Registry");
    let table = csv(21);
    custodian.write("visits.csv", &table);
    custodian.write("policy.toml", POLICY);
    custodian.does(&[
        "custodian",
        "encrypt",
        "visits.csv",
        "--segment",
        "plan",
        "--square",
        "visits",
        "--out",
        "dataset",
    ]);
    // Not as many to each quorum: of those with tickets the one with most opens.
    for (more, quorum, tickets) in [(false, "0,2", 16), (true, "1,2", 24), (true, "0,1", 32)] {
        let class = format!("exact:tickets={tickets}");
        let mut arguments = vec!["custodian", "deal", "dataset", "--committee", &committee];
        arguments.extend(["--class", &class, "--quorum", quorum]);
        arguments.extend(more.then_some("--more"));
        let dealt = custodian.does(&arguments);
        assert!(dealt["dealings"].is_array(), "{dealt}");
    }
    let listed = custodian.does(&[
        "custodian",
        "list",
        "--dataset",
        "dataset",
        "--policy",
        "policy.toml",
        "--committee",
        &committee,
        "--title",
        "Visits",
    ]);
    let listing = text(&listed["listing"]);
    approve("listing", &listed["listing"]);

    // A buyer with money; the quorums check what was dealt to them meanwhile.
    let buyer = actor("buyer");
    register(&buyer, "buyer", "Economist");
    let deposit = buyer.does(&["buyer", "deposit", "500.00"]);
    approve("deposit", &deposit["deposit"]);
    until("the committee accepts its dealings", || {
        let found = buyer.does(&["buyer", "catalogue"]);
        let left = found[0]["tickets"]["classes"][0]["left"].clone();
        // All three quorums; each has spent eight on the check of its key.
        (left == "48").then_some(()).ok_or(found.to_string())
    });

    let own = custodian.does(&["custodian", "status"]);
    let dealings = own["listings"][0]["tickets"]["dealings"].as_array();
    assert_eq!(dealings.map(Vec::len), Some(3), "{own}");
    let order = |more: &[&str]| {
        let all = ["buyer", "order", "--listing", listing, "--stats", "visits"];
        buyer.does(&[&all, more].concat())
    };
    let quorum = |said: &Value| {
        let receipt = fs::read(buyer.dir.join(text(&said["receipt"]))).expect("reads");
        let receipt: Value = serde_json::from_slice(&receipt).expect("JSON");
        receipt["body"]["grant"]["body"]["opener"]["quorum"].clone()
    };
    let first = order(&[]);
    check_values(&first["result"], &table);
    assert_eq!(quorum(&first), json!([0, 1]));

    // Another is under way when node 0 dies of kill -9: two go on. (The pod waits
    // until then, so that the node dies in the middle however fast all are.)
    drop(working);
    let placed = order(&["--no-wait"]);
    drop(running.remove(0));
    let _working = pod.starts(&work);
    let folder = text(&placed["folder"]);
    let second = until("the order ends", || buyer.said(&["buyer", "open", folder]));
    let second: Value = serde_json::from_str(second.lines().last().unwrap_or("")).expect("JSON");
    check_values(&second["result"], &table);
    assert_eq!(quorum(&second), json!([1, 2]));

    // The operators see it: node 1 had a part in both, node 2 in one.
    for (node, orders) in [(1, 2), (2, 1)] {
        let delivered = format!("key_node_orders_delivered_total {orders}");
        until("the metrics", || {
            let text = look(&watched[node], "/metrics");
            let there = text.lines().any(|l| l == delivered);
            there.then_some(()).ok_or(text)
        });
    }

    // Whoever is handed the receipt checks it, with no server.
    let verifier = Actor::new(root, "verifier", "http://127.0.0.1:9");
    for said in [&first, &second] {
        let receipt = buyer.file(text(&said["receipt"]));
        let result = Path::new(&receipt).parent().expect("a folder").to_owned();
        let result = result.to_str().expect("a path");
        let report = verifier.does(&["verify", &receipt, "--result", result, "--marketplace", id]);
        assert_eq!(report["decryption"], "committee-attested", "{report}");
    }
    // The money is where it belongs: two prices of 30 credits.
    let balance = buyer.does(&["buyer", "balance"]);
    assert_eq!(balance["balance"]["available"], "44000", "{balance}");
    let ledger = admin.does(&["admin", "ledger"]);
    assert_eq!(ledger["balanced"], true, "{ledger}");
    // What only its owner may know is in its owner's folder alone.
    let mut secrets = needles(&custodian.dir.join("dataset/secret.key"));
    secrets.extend(needles(&custodian.dir.join("custodian.key")));
    secrets.extend(needles(&buyer.dir.join("buyer.key")));
    for node in &nodes {
        secrets.extend(needles(&node.dir.join("key-node/sealing.key")));
        secrets.extend(needles(&node.dir.join("key-node/node.key")));
    }
    let holds = |dir: &Path| -> usize {
        let bytes = files(dir).into_iter().map(|f| fs::read(f).expect("reads"));
        let found = bytes.map(|b| {
            let is_in = |s: &&Vec<u8>| b.windows(s.len()).any(|w| w == s.as_slice());
            secrets.iter().filter(is_in).count()
        });
        found.sum()
    };
    assert!(holds(&custodian.dir) > 0 && holds(&nodes[0].dir) > 0);
    for elsewhere in [&server, &pod, &admin, &verifier, &public] {
        assert_eq!(holds(&elsewhere.dir), 0, "{}", elsewhere.dir.display());
    }
}

/// All files below a folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => all.extend(files(&path)),
            false => all.push(path),
        }
    }
    all
}
