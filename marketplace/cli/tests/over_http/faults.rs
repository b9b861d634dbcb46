//! `kill -9` against real processes: server, pod and key node are killed at
//! seeded times while orders run, and started again. Afterwards the ledger
//! balances, every order has exactly one end, what was paid for was delivered
//! and is right, and the key node revealed each order once. (Every step of
//! every database transaction is walked by the store's own tests.)

use crate::common::{DEPOSIT, built, csv, letter_in, srs};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use veilbourse::{
    custodian::{Opening, PolicyFile, encrypt_to},
    files::accepted_keys,
    progress::Bars,
};
use veilbourse_client::{
    ClientError,
    buyer::{self, Ticket},
    dataset,
    http::{Server, Silent},
    market::{self, Decide, Session},
    query,
};
use veilbourse_documents::{Id, Key, QueryKind, Signed};
use veilbourse_node::{Log, State};

const PASSWORD: &str = "a password for the test";
const ORDERS: usize = 8;
const KILLS: usize = 10;

/// One of the three processes, with what starts it again.
struct Process {
    name: &'static str,
    arguments: Vec<String>,
    dir: PathBuf,
    child: Option<Child>,
}

impl Process {
    fn start(&mut self) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_veilbourse"))
            .args(&self.arguments)
            .current_dir(&self.dir)
            .env("VEILBOURSE_PASSWORD", PASSWORD)
            .env("VEILBOURSE_ADMIN_PASSWORD", PASSWORD)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        // The first line says that it works.
        let out = child.stdout.take().expect("piped");
        let mut line = String::new();
        let mut reader = BufReader::new(out);
        reader.read_line(&mut line).expect("a line");
        assert!(!line.is_empty(), "{} ended at once", self.name);
        // The rest must be read, or the pipe fills.
        std::thread::spawn(move || for _ in reader.lines() {});
        self.child = Some(child);
    }

    /// SIGKILL.
    fn kill(&mut self) {
        if let Some(mut c) = self.child.take() {
            c.kill().expect("it can be killed");
            c.wait().expect("it ends");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a command to its end; its last line as JSON.
fn once(dir: &Path, arguments: &[&str]) -> serde_json::Value {
    let out = Command::new(env!("CARGO_BIN_EXE_veilbourse"))
        .args(arguments)
        .arg("--json")
        .current_dir(dir)
        .env("VEILBOURSE_PASSWORD", PASSWORD)
        .output()
        .expect("the binary runs");
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(
        out.status.success(),
        "{arguments:?}: {text} {}",
        String::from_utf8_lossy(&out.stderr)
    );
    serde_json::from_str(text.lines().last().unwrap_or("null")).expect("JSON")
}

/// Asks until the server answers: it may be dead at the moment.
async fn retry<T, F: Future<Output = Result<T, ClientError>>>(mut ask: impl FnMut() -> F) -> T {
    let started = Instant::now();
    loop {
        match ask().await {
            Ok(v) => return v,
            Err(e @ (ClientError::Transport { .. } | ClientError::Answer { .. })) => {
                assert!(started.elapsed() < Duration::from_secs(60), "{e}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(ClientError::Server { code, .. }) if code == "INTERNAL" || code == "CONFLICT" => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(e) => panic!("{e}"),
        }
    }
}

async fn login(server: &Server, mail: &str) -> Session {
    retry(|| market::login(server, mail, PASSWORD)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_processes_are_killed() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name);
    let srs = srs(4);
    std::fs::write(at("srs.bin"), srs.encode()).expect("writes");
    let keys = serde_json::to_vec(&accepted_keys(&srs, std::iter::empty())).expect("JSON");
    std::fs::write(at("keys.json"), keys).expect("writes");
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a free port")
        .port();
    let (listen, url) = (
        format!("127.0.0.1:{port}"),
        format!("http://127.0.0.1:{port}"),
    );
    let strings = |a: &[&str]| a.iter().map(ToString::to_string).collect::<Vec<_>>();
    let process = |name, arguments: &[&str]| Process {
        name,
        arguments: strings(arguments),
        dir: dir.path().to_owned(),
        child: None,
    };
    let mut all = [
        process(
            "server",
            &[
                "serve",
                "--dir",
                "server",
                "--listen",
                &listen,
                "--keys",
                "keys.json",
                "--admin",
                "admin@test.example",
            ],
        ),
        process("pod", &["pod", "--server", &url, "--srs", "srs.bin"]),
        process("key node", &["key-node", "--server", &url]),
    ];
    all[0].start();
    let server = Server::new(&url);

    // Everybody registers; the admin approves.
    let admin = login(&server, "admin@test.example").await;
    for (mail, role) in [
        ("op@test.example", "PARTNER"),
        ("c@test.example", "CUSTODIAN"),
        ("b@test.example", "BUYER"),
    ] {
        market::register(&server, mail, mail, PASSWORD, &[role])
            .await
            .expect("registers");
        let token = letter_in(&at("server"), &at("keys.json"), mail);
        market::verify_mail(&server, &token)
            .await
            .expect("verifies");
    }
    let custodian = login(&server, "c@test.example").await;
    let marketplace = market::marketplace_key(&server).await.expect("a key");
    let (mut rng, progress) = (ChaCha20Rng::seed_from_u64(11), Bars::new(true));
    let custodian_key = market::fresh_key(&mut rng);
    market::register_key(&custodian, &marketplace, &custodian_key)
        .await
        .expect("registers");
    let pod = once(
        dir.path(),
        &[
            "pod",
            "--init",
            "--server",
            &url,
            "--email",
            "op@test.example",
        ],
    );
    let node = once(
        dir.path(),
        &[
            "key-node",
            "--init",
            "--server",
            &url,
            "--email",
            "c@test.example",
        ],
    );
    for m in [&pod, &node] {
        let id = m["machine"].as_str().expect("an id");
        market::decide(&admin, Decide::Machine, id, true, "")
            .await
            .expect("approves");
    }

    // The dataset, its listing, the deposit.
    let table = built(9);
    assert!(!csv(9).is_empty());
    let (folder, _) =
        tokio::task::block_in_place(|| encrypt_to(&table, 10, &at("dataset"), &progress))
            .expect("encrypts");
    let public = Key(custodian_key.verifying_key().to_bytes()).to_string();
    once(dir.path(), &["key-node", "--keys", "keys.json"]);
    once(
        dir.path(),
        &["key-node", "--add", "dataset", "--custodian", &public],
    );
    let listing = dataset::draft(&custodian, &folder, "t", "")
        .await
        .expect("a draft");
    dataset::upload(&custodian.server, &listing, &folder, &Silent)
        .await
        .expect("uploads");
    let node_key = Key::from_hex(node["signing_key"].as_str().expect("a key")).expect("a key");
    let policy = PolicyFile {
        node_key: None,
        kinds: vec![QueryKind::AggregatePublic],
        min_cohort: 10,
        quota_values: 1_000,
        quota_bits: 100_000,
        price_order: 1_000,
        price_output: 100,
        custodian_basis_points: 7_500,
        version: 1,
    }
    .body(
        &marketplace,
        &listing,
        folder.manifest.root(),
        Opening::held_by(node_key),
        veilbourse::clock()(),
    );
    let signed = Signed::sign(policy, &custodian_key).expect("signs");
    dataset::submit(&custodian, &listing, &signed)
        .await
        .expect("submits");
    market::decide(&admin, Decide::Listing, listing.as_str(), true, "")
        .await
        .expect("approves");
    let buyer_session = login(&server, "b@test.example").await;
    let buyer_key = market::fresh_key(&mut rng);
    market::register_key(&buyer_session, &marketplace, &buyer_key)
        .await
        .expect("registers");
    let deposit = market::request_deposit(&buyer_session, DEPOSIT, "d")
        .await
        .expect("asks");
    market::decide(&admin, Decide::Deposit, deposit.as_str(), true, "")
        .await
        .expect("approves");
    all[1].start();
    all[2].start();

    // Orders are placed while processes die.
    let listed = buyer::listing(&buyer_session, listing.as_str())
        .await
        .expect("listed");
    let statistics = query::statistics(&listed.manifest, "visits").expect("a column");
    let placing = tokio::spawn({
        let (session, listed, statistics) =
            (buyer_session.clone(), listed.clone(), statistics.clone());
        async move {
            let mut placed: Vec<(Id, Ticket)> = Vec::new();
            for i in 0..ORDERS {
                let mut rng = ChaCha20Rng::seed_from_u64(100 + i as u64);
                let offer =
                    retry(|| buyer::quote(&session, &marketplace, &listed, &statistics, None))
                        .await;
                let deadline = veilbourse::clock()() + 600_000;
                let ticket = buyer::prepare(
                    &marketplace,
                    &offer,
                    &listed,
                    &statistics,
                    &buyer_key,
                    deadline,
                    &mut rng,
                )
                .expect("prepares");
                // ORD-2: asked again after a lost answer, it is the same order.
                let id = retry(|| buyer::place(&session, &ticket)).await;
                placed.push((id, ticket));
                tokio::time::sleep(Duration::from_millis(700)).await;
            }
            placed
        }
    });
    for _ in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(200 + u64::from(rng.next_u32() % 900))).await;
        // The server most often: it holds the money.
        let victim = [0, 0, 0, 1, 2][(rng.next_u32() % 5) as usize];
        tokio::task::block_in_place(|| {
            all[victim].kill();
            all[victim].start();
        });
    }
    let placed = placing.await.expect("no panic");

    // Leases of the dead run out after a minute; then everything ends.
    let mut paid = 0;
    let mut released = BTreeMap::new();
    let started = Instant::now();
    for (id, ticket) in &placed {
        let ended = loop {
            let s = retry(|| buyer::standing(&buyer_session, id)).await;
            if matches!(s.state.as_str(), "released" | "refunded") {
                break s;
            }
            assert!(
                started.elapsed() < Duration::from_secs(300),
                "order {id} is {}",
                s.state
            );
            tokio::time::sleep(Duration::from_millis(250)).await;
        };
        if ended.state == "released" {
            paid += ticket.order.body.price;
            let opened = retry(|| buyer::open(&buyer_session, id, ticket)).await;
            let expected = veilbourse_core::simulation::simulate_program(
                &folder.manifest,
                &table.table,
                &statistics.program,
                &statistics.weights,
            )
            .expect("they belong together");
            assert_eq!(opened.values, expected, "order {id}");
            released.insert(ticket.order.digest().expect("a digest"), ());
        }
    }
    assert!(!released.is_empty(), "some order lives through it");
    // SET-6, LED-1: one end each, and the money is where it belongs.
    let (accounts, balanced) = market::ledger(&admin).await.expect("a ledger");
    assert!(balanced);
    let own = format!("user:{}", buyer_session.account);
    let buyers = accounts
        .iter()
        .find(|(a, ..)| *a == own)
        .expect("the buyer's account");
    assert_eq!((buyers.1, buyers.2), (DEPOSIT - paid, 0));
    let check = admin
        .server
        .graphql(
            "auditCheck",
            "{ auditCheck { intact } }",
            serde_json::json!({}),
        )
        .await
        .expect("checks");
    assert_eq!(check["intact"], true);
    // KEY-3: what the node spent is what was released, each once.
    all[2].kill();
    let (_, records) = Log::open(&at("key-node").join("node.log")).expect("an intact log");
    let mut spent: BTreeMap<_, u32> = BTreeMap::new();
    for r in &records {
        if let veilbourse_node::Record::Spent { order, .. } = r {
            *spent.entry(*order).or_default() += 1;
        }
    }
    assert!(spent.values().all(|n| *n == 1), "{spent:?}");
    assert!(released.keys().all(|o| spent.contains_key(o)));
    let revealed = State::replay(records).revealed(&folder.manifest.root());
    assert_eq!(revealed.values, 4 * spent.len() as u64);
}
