//! The node between its server and its log (KEY-1, KEY-7): what a server can
//! make it fetch, and what becomes of an order whose parts cannot be fetched.

mod support;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex, OnceLock},
};
use support::{terms::*, *};
use veilbourse_documents::{
    Signed, SubmittedDigest,
    api::{Deliver, NodeJob, NodeJobs, Refuse, TokenAnswer},
};
use veilbourse_machine::{Identity, Machine};
use veilbourse_node::{PollError, poll};

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(World::new)
}

fn case() -> &'static Case {
    static CASE: OnceLock<Case> = OnceLock::new();
    CASE.get_or_init(|| Terms::of(world(), world().program()).proven(world()))
}

/// What the server was asked, and what it was given.
#[derive(Default)]
struct Seen {
    fetched: Vec<String>,
    handed_in: Vec<(String, Vec<u8>)>,
}

/// A server that gives one job for ever, with these objects.
struct Server {
    machine: Machine,
    seen: Arc<Mutex<Seen>>,
    objects: Arc<Mutex<HashMap<String, Vec<u8>>>>,
}

impl Server {
    fn new(job: &NodeJob, objects: HashMap<String, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Seen::default()));
        let objects = Arc::new(Mutex::new(objects));
        let (job, s, o) = (
            serde_json::to_vec(&NodeJobs {
                jobs: vec![job.clone()],
            })
            .unwrap(),
            seen.clone(),
            objects.clone(),
        );
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
                let mut length = 0;
                loop {
                    let mut header = String::new();
                    reader.read_line(&mut header).unwrap();
                    let header = header.trim().to_lowercase();
                    if header.is_empty() {
                        break;
                    }
                    if let Some(n) = header.strip_prefix("content-length:") {
                        length = n.trim().parse().unwrap();
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let (status, answer) = match path.as_str() {
                    "/v1/machines/token" => {
                        let token = TokenAnswer {
                            token: "token".into(),
                            expires: u64::MAX,
                        };
                        (200, serde_json::to_vec(&token).unwrap())
                    }
                    "/v1/node/lease" => (200, job.clone()),
                    p if p.contains("/objects/") => {
                        let name = p.rsplit('/').next().unwrap().to_owned();
                        let found = o.lock().unwrap().get(&name).cloned();
                        s.lock().unwrap().fetched.push(name);
                        match found {
                            Some(bytes) => (200, bytes),
                            None => {
                                let no =
                                    json!({ "code": "NOT_FOUND", "message": "no such object" });
                                (404, no.to_string().into_bytes())
                            }
                        }
                    }
                    p => {
                        let what = p.rsplit('/').next().unwrap().to_owned();
                        s.lock().unwrap().handed_in.push((what, body));
                        (200, b"{}".to_vec())
                    }
                };
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    answer.len()
                );
                // The client may have heard enough.
                let _ = stream.write_all(head.as_bytes());
                let _ = stream.write_all(&answer);
            }
        });
        let identity = Identity {
            id: id(9),
            key: signer(NODE),
            marketplace: key(&signer(MARKETPLACE)),
        };
        let rng = ChaCha20Rng::seed_from_u64(1);
        Self {
            machine: Machine::new(identity, &base, Arc::new(|| NOW), rng),
            seen,
            objects,
        }
    }

    /// One round.
    async fn poll(&self, node: &mut Node) -> Result<Option<veilbourse_node::Ended>, PollError> {
        poll(&mut node.node, &self.machine, &mut rng(5)).await
    }

    fn fetched(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap().fetched)
    }

    fn handed_in(&self) -> Vec<(String, Vec<u8>)> {
        std::mem::take(&mut self.seen.lock().unwrap().handed_in)
    }
}

fn objects(case: &Case) -> HashMap<String, Vec<u8>> {
    let parts = &case.parts;
    let mut out = HashMap::from([("public-key".to_owned(), parts.public_key.clone())]);
    for (i, (c, e)) in parts.ciphertexts.iter().zip(&parts.envelopes).enumerate() {
        out.insert(format!("ciphertext-{i}"), c.clone());
        out.insert(format!("envelope-{i}"), e.clone());
    }
    out
}

fn refusal(handed_in: &[(String, Vec<u8>)]) -> (String, bool) {
    let [(what, body)] = handed_in else {
        panic!("{} documents", handed_in.len())
    };
    assert_eq!(what, "non-delivery");
    let Refuse { refusal } = serde_json::from_slice(body).unwrap();
    refusal.verify().unwrap();
    (refusal.body.code, refusal.body.revealed)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_fetched_checked_and_delivered() {
    // KEY-1.
    let server = Server::new(&case().job, objects(case()));
    let mut node = Node::new(world().config());
    let ended = server.poll(&mut node).await.unwrap().unwrap();
    assert_eq!(ended.refusal, None);
    assert_eq!(ended.log_head, node.node.log_head());
    let expected = [
        "public-key",
        "ciphertext-0",
        "envelope-0",
        "ciphertext-1",
        "envelope-1",
    ];
    assert_eq!(server.fetched(), expected);
    let handed_in = server.handed_in();
    assert_eq!(handed_in[0].0, "delivery");
    let first: Deliver = serde_json::from_slice(&handed_in[0].1).unwrap();
    // Asked again, it delivers the same and fetches nothing.
    server.poll(&mut node).await.unwrap();
    assert_eq!(server.fetched(), [""; 0]);
    let again: Deliver = serde_json::from_slice(&server.handed_in()[0].1).unwrap();
    assert_eq!(again.orders[0].delivery, first.orders[0].delivery);
    assert_eq!(again.sealed_result, first.sealed_result);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_very_many_outputs_is_refused_with_nothing_fetched() {
    // KEY-1, KEY-2: signed by nobody, by the marketplace, by pod and marketplace.
    let many = |list: &mut Vec<SubmittedDigest>, n: usize| {
        let one = list[0].clone();
        *list = vec![one; n];
    };
    for signed in 0..3 {
        let mut job = case().job.clone();
        // As many as an answer's 32 MiB hold.
        let n = if signed > 1 { 95_000 } else { 200_000 };
        many(&mut job.grant.body.outputs, n);
        if signed > 1 {
            many(&mut job.submission.body.outputs, n);
            job.submission = Signed::sign(job.submission.body, &signer(POD)).unwrap();
            job.grant.body.submission = job.submission.digest().unwrap();
        }
        if signed > 0 {
            job.grant = Signed::sign(job.grant.body, &signer(MARKETPLACE)).unwrap();
        }
        let server = Server::new(&job, objects(case()));
        let mut node = Node::new(world().config());
        let ended = server.poll(&mut node).await.unwrap().unwrap();
        assert_eq!(ended.refusal.unwrap().0, "OUTPUT_COUNT");
        assert_eq!(server.fetched(), [""; 0]);
        assert_eq!(refusal(&server.handed_in()), ("OUTPUT_COUNT".into(), false));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_checked_before_anything_is_fetched() {
    // KEY-1, KEY-2.
    let mut t = case().terms.clone();
    t.quota_values = 0;
    let server = Server::new(&t.unproven().job, objects(case()));
    let mut node = Node::new(world().config());
    server.poll(&mut node).await.unwrap();
    assert_eq!(server.fetched(), [""; 0]);
    assert_eq!(refusal(&server.handed_in()).0, "QUOTA");
    // A part that does not hold: none is fetched after it.
    let mut bad = objects(case());
    bad.get_mut("ciphertext-0").unwrap()[100] ^= 1;
    let server = Server::new(&case().job, bad);
    let mut node = Node::new(world().config());
    server.poll(&mut node).await.unwrap();
    assert_eq!(server.fetched(), ["public-key", "ciphertext-0"]);
    assert_eq!(refusal(&server.handed_in()).0, "OUTPUT_DIGEST");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_fetched_is_asked_for_again_and_not_refused() {
    // KEY-7: a part missing, or larger than its statement's proof can be.
    for large in [false, true] {
        let mut without = objects(case());
        if large {
            without.insert("envelope-1".into(), vec![0; 16 << 20]);
        } else {
            without.remove("envelope-1");
        }
        let server = Server::new(&case().job, without);
        let mut node = Node::new(world().config());
        for _ in 0..2 {
            let got = server.poll(&mut node).await;
            assert!(matches!(got, Err(PollError::Machine(_))), "{got:?}");
        }
        assert!(server.handed_in().is_empty());
        assert!(node.node.state().ended(&case().order()).is_none());
        assert_eq!(node.revealed(world()), (0, 0));
        // The part is there now.
        *server.objects.lock().unwrap() = objects(case());
        let ended = server.poll(&mut node).await.unwrap().unwrap();
        assert_eq!(ended.refusal, None);
        let (what, body) = server.handed_in().remove(0);
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (what.as_str(), body["orders"][0]["delivery"].is_object()),
            ("delivery", true)
        );
    }
}
