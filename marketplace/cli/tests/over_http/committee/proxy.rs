//! What a hostile server can do beyond its own program: it stands before it,
//! passes on what it likes, answers the rest itself, and keeps everything.

use reqwest::Method;
use serde_json::Value;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use veilbourse_documents::{
    Key, Signed,
    api::{Deliver, NodeJobs, Refuse, TokenRequest},
};

/// A node's answer to a forged job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub node: Key,
    pub order: veilbourse_core::digest::Digest,
    pub code: String,
    pub revealed: bool,
}

#[derive(Default)]
struct Seen {
    upstream: String,
    /// Who asks, by token.
    nodes: HashMap<String, Key>,
    /// Jobs that the true server gave.
    jobs: Vec<(Key, NodeJobs)>,
    /// What nodes handed in.
    deliveries: Vec<(Key, Deliver)>,
    refusals: Vec<Answer>,
    /// Deliveries since forging has begun.
    opened: Vec<(Key, Deliver)>,
    /// How often a node asked for forged jobs in vain.
    asked: HashMap<Key, u64>,
    /// Objects by name, as nodes fetched them.
    objects: HashMap<String, Vec<u8>>,
    /// Jobs of one's own, by node.
    forged: HashMap<Key, VecDeque<NodeJobs>>,
    /// Forging has begun: jobs, objects and answers are one's own.
    forging: bool,
    /// Other paths to be answered in place of these.
    instead: HashMap<String, Vec<u8>>,
}

/// The hostile part of a server.
#[derive(Clone)]
pub struct Proxy {
    pub url: String,
    seen: Arc<Mutex<Seen>>,
    client: reqwest::Client,
}

struct Request {
    method: Method,
    path: String,
    token: String,
    kind: String,
    lease: String,
    body: Vec<u8>,
}

impl Proxy {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let proxy = Self {
            url,
            seen: Arc::default(),
            client: reqwest::Client::new(),
        };
        let own = proxy.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let own = own.clone();
                // Whoever hangs up is not answered.
                tokio::spawn(async move { own.serve(stream).await.ok() });
            }
        });
        proxy
    }

    pub fn stands_before(&self, upstream: &str) {
        self.seen().upstream = upstream.to_owned();
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().expect("no panic")
    }

    /// What the true server gave a node last.
    pub fn job(&self, node: &Key) -> NodeJobs {
        let seen = self.seen();
        let of = seen.jobs.iter().rev().find(|(k, _)| k == node);
        of.expect("a job").1.clone()
    }

    pub fn deliveries(&self) -> Vec<(Key, Deliver)> {
        self.seen().deliveries.clone()
    }

    /// From now on nodes get what is forged, and nothing else.
    pub fn forge(&self) {
        self.seen().forging = true;
    }

    /// Gives a node a forged job.
    pub fn give(&self, node: &Key, jobs: NodeJobs) {
        let mut seen = self.seen();
        seen.forged.entry(*node).or_default().push_back(jobs);
    }

    pub fn refusals(&self) -> Vec<Answer> {
        self.seen().refusals.clone()
    }

    /// What nodes have handed in since forging began.
    pub fn opened(&self) -> Vec<(Key, Deliver)> {
        self.seen().opened.clone()
    }

    /// How often a node has found nothing to do since forging began.
    pub fn asked(&self, node: &Key) -> u64 {
        self.seen().asked.get(node).copied().unwrap_or(0)
    }

    /// Answers a path with these bytes in place of the server's.
    pub fn instead(&self, path: &str, bytes: Vec<u8>) {
        self.seen().instead.insert(path.to_owned(), bytes);
    }

    pub fn honest(&self) {
        self.seen().instead.clear();
    }

    async fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let Some(request) = read(&mut stream).await? else {
            return Ok(());
        };
        let (status, body) = match self.own(&request) {
            Some(own) => own,
            None => self.passed_on(&request).await,
        };
        let head = format!(
            "HTTP/1.1 {status} -\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&body).await?;
        stream.shutdown().await
    }

    /// What it answers by itself.
    fn own(&self, r: &Request) -> Option<(u16, Vec<u8>)> {
        let mut seen = self.seen();
        if let Some(bytes) = seen.instead.get(&r.path) {
            return Some((200, bytes.clone()));
        }
        let node = *seen.nodes.get(&r.token)?;
        if !seen.forging {
            return None;
        }
        let name = r.path.rsplit('/').next().unwrap_or_default().to_owned();
        if r.path == "/v1/node/lease" {
            let jobs = seen.forged.get_mut(&node).and_then(VecDeque::pop_front);
            if jobs.is_none() {
                *seen.asked.entry(node).or_default() += 1;
            }
            return Some(match jobs {
                None => (204, Vec::new()),
                Some(jobs) => (200, serde_json::to_vec(&jobs).expect("JSON")),
            });
        }
        if r.path.starts_with("/v1/node/jobs/") && r.method == Method::GET {
            let object = seen.objects.get(&name).cloned();
            return Some(object.map_or((404, b"{}".to_vec()), |o| (200, o)));
        }
        match name.as_str() {
            "non-delivery" => {
                let refuse: Refuse = serde_json::from_slice(&r.body).expect("a refusal");
                refuse.refusal.verify().expect("signed");
                assert_eq!(refuse.refusal.key, node);
                let body = refuse.refusal.body;
                seen.refusals.push(Answer {
                    node,
                    order: body.order,
                    code: body.code,
                    revealed: body.revealed,
                });
            }
            "delivery" => {
                let delivery = serde_json::from_slice(&r.body).expect("a delivery");
                seen.opened.push((node, delivery));
            }
            _ => return None,
        }
        Some((200, b"{}".to_vec()))
    }

    async fn passed_on(&self, r: &Request) -> (u16, Vec<u8>) {
        let url = format!("{}{}", self.seen().upstream, r.path);
        let mut request = self.client.request(r.method.clone(), url);
        for (name, value) in [
            ("authorization", &r.token),
            ("content-type", &r.kind),
            ("lease", &r.lease),
        ] {
            if !value.is_empty() {
                request = request.header(name, value);
            }
        }
        let Ok(answer) = request.body(r.body.clone()).send().await else {
            return (502, Vec::new());
        };
        let status = answer.status().as_u16();
        let body = answer.bytes().await.unwrap_or_default().to_vec();
        self.keep(r, status, &body);
        (status, body)
    }

    /// Keeps what may be of use.
    fn keep(&self, r: &Request, status: u16, body: &[u8]) {
        if status != 200 {
            return;
        }
        let mut seen = self.seen();
        if r.path == "/v1/machines/token" {
            let login: TokenRequest = serde_json::from_slice(&r.body).expect("a login");
            let answer: Value = serde_json::from_slice(body).expect("JSON");
            let token = format!("Bearer {}", answer["token"].as_str().expect("a token"));
            seen.nodes.insert(token, login.key);
            return;
        }
        let Some(node) = seen.nodes.get(&r.token).copied() else {
            return;
        };
        let name = r.path.rsplit('/').next().unwrap_or_default().to_owned();
        if r.path == "/v1/node/lease" {
            let jobs = serde_json::from_slice(body).expect("jobs");
            seen.jobs.push((node, jobs));
        } else if r.path.starts_with("/v1/node/jobs/") && r.method == Method::GET {
            seen.objects.insert(name, body.to_vec());
        } else if name == "delivery" {
            let delivery = serde_json::from_slice(&r.body).expect("a delivery");
            seen.deliveries.push((node, delivery));
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? <= 2 {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
    }
    let mut header = |name: &str| headers.remove(name).unwrap_or_default();
    let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
    stream.read_exact(&mut body).await?;
    Ok(Some(Request {
        method: method.parse().expect("a method"),
        path: path.unwrap_or_default(),
        token: header("authorization"),
        kind: header("content-type"),
        lease: header("lease"),
        body,
    }))
}

/// The digest by which others link to a document.
pub fn digest<T: veilbourse_documents::Document>(
    signed: &Signed<T>,
) -> veilbourse_core::digest::Digest {
    signed.digest().expect("a digest")
}
