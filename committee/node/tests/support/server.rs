//! A marketplace in plain HTTP, as far as a committee's nodes see it: it holds
//! jobs, objects and dealings, and remembers what it was told. A test may let it
//! lie.

use serde_json::{Value, json};
use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
};
use veilbourse_core::digest::Digest;
use veilbourse_documents::{
    Id, Key,
    api::{
        DealingAnswer, DealingJob, DealingJobs, Deliver, NodeJob, NodeJobs, Refuse, TokenAnswer,
        TokenRequest,
    },
};

/// What it knows.
#[derive(Default)]
pub struct Market {
    /// Jobs by node; given out in turn.
    pub jobs: HashMap<Key, Vec<Vec<NodeJob>>>,
    turn: HashMap<Key, usize>,
    /// By order and name.
    pub objects: HashMap<(Id, String), Vec<u8>>,
    pub dealings: Vec<DealingJob>,
    /// By node, dealing, part and number.
    pub pieces: HashMap<(Key, Digest, String, u64), Vec<u8>>,
    pub public_keys: HashMap<Digest, Vec<u8>>,
    pub answers: Vec<(Key, DealingAnswer)>,
    pub delivered: Vec<(Key, Deliver)>,
    pub refused: Vec<(Key, Refuse)>,
    pub tickets: Vec<(Key, Value)>,
    /// Deliveries are answered as if the server were broken.
    pub broken: bool,
    /// Deliveries that came while it was.
    pub lost: usize,
}

impl Market {
    /// The codes of a dealing's refusals, none for an acceptance.
    pub fn said(&self, dealing: &Digest) -> Vec<(Key, Option<String>)> {
        let said = self.answers.iter().filter_map(|(node, a)| match a {
            DealingAnswer::Accepted(s) if s.body.dealing == *dealing => {
                s.verify().unwrap();
                Some((*node, None))
            }
            DealingAnswer::Refused(s) if s.body.dealing == *dealing => {
                s.verify().unwrap();
                Some((*node, Some(s.body.code.clone())))
            }
            _ => None,
        });
        said.collect()
    }

    /// A node has nothing more to do for these orders.
    fn done(&mut self, node: &Key, order: &Digest) {
        if let Some(jobs) = self.jobs.get_mut(node) {
            jobs.retain(|j| !j.iter().any(|j| j.order.digest().unwrap() == *order));
        }
    }

    fn answer(&mut self, node: &Key, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let parts: Vec<&str> = path.trim_start_matches("/v1/node/").split('/').collect();
        let ok = (200, b"{}".to_vec());
        let missing = || {
            let no = json!({ "code": "NOT_FOUND", "message": "not there" });
            (404, no.to_string().into_bytes())
        };
        match (method, parts.as_slice()) {
            ("POST", ["lease"]) => {
                let jobs = self.jobs.get(node).filter(|j| !j.is_empty());
                let Some(jobs) = jobs else {
                    return (204, Vec::new());
                };
                let turn = self.turn.entry(*node).or_default();
                *turn += 1;
                let jobs = jobs[*turn % jobs.len()].clone();
                (200, serde_json::to_vec(&NodeJobs { jobs }).unwrap())
            }
            ("GET", ["jobs", order, "objects", name]) => {
                let at = (Id::parse(order).unwrap(), (*name).to_owned());
                self.objects
                    .get(&at)
                    .map_or_else(missing, |o| (200, o.clone()))
            }
            ("POST", ["jobs", _, "delivery"]) => {
                if self.broken {
                    self.lost += 1;
                    let no = json!({ "code": "INTERNAL", "message": "broken" });
                    return (500, no.to_string().into_bytes());
                }
                let deliver: Deliver = serde_json::from_slice(body).unwrap();
                for d in &deliver.orders {
                    self.done(node, &d.delivery.body.order);
                }
                self.delivered.push((*node, deliver));
                ok
            }
            ("POST", ["jobs", _, "non-delivery"]) => {
                let refuse: Refuse = serde_json::from_slice(body).unwrap();
                refuse.refusal.verify().unwrap();
                self.done(node, &refuse.refusal.body.order);
                self.refused.push((*node, refuse));
                ok
            }
            ("POST", ["dealings"]) => {
                let answered: Vec<_> = self.answers.iter().filter(|(n, _)| n == node).collect();
                let over = |bytes: &[u8]| {
                    let digest = announced(bytes);
                    answered.iter().any(|(_, a)| match a {
                        DealingAnswer::Accepted(s) => s.body.dealing == digest,
                        DealingAnswer::Refused(s) => s.body.dealing == digest,
                    })
                };
                // To the members of its quorum: who has a package.
                let member = |bytes: &[u8]| {
                    let at = (*node, announced(bytes), "offer".to_owned(), 0);
                    self.pieces.contains_key(&at)
                };
                let mut listings = self.dealings.clone();
                for l in &mut listings {
                    l.announced.retain(|b| member(&b.0) && !over(&b.0));
                }
                listings.retain(|l| !l.announced.is_empty());
                (200, serde_json::to_vec(&DealingJobs { listings }).unwrap())
            }
            ("GET", ["dealings", dealing, "public-key", "0"]) => {
                let dealing = Digest::from_hex(dealing).unwrap();
                self.public_keys
                    .get(&dealing)
                    .map_or_else(missing, |k| (200, k.clone()))
            }
            ("GET", ["dealings", dealing, part, number]) => {
                let dealing = Digest::from_hex(dealing).unwrap();
                let at = (*node, dealing, (*part).to_owned(), number.parse().unwrap());
                self.pieces
                    .get(&at)
                    .map_or_else(missing, |p| (200, p.clone()))
            }
            ("POST", ["dealings", _]) => {
                self.answers
                    .push((*node, serde_json::from_slice(body).unwrap()));
                ok
            }
            ("POST", ["tickets"]) => {
                self.tickets
                    .push((*node, serde_json::from_slice(body).unwrap()));
                ok
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The digest of an announcement.
pub fn announced(bytes: &[u8]) -> Digest {
    let mut input = veilbourse_core::wire::Reader::new(bytes);
    let dealing = veilbourse_ticket_store::Dealing::decode(&mut input);
    dealing.map(|d| d.digest()).unwrap_or_default()
}

/// It, listening.
#[derive(Clone)]
pub struct Server {
    market: Arc<Mutex<Market>>,
    pub base: String,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let market = Arc::new(Mutex::new(Market::default()));
        let shared = Arc::clone(&market);
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let market = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream.unwrap(), &market));
            }
        });
        Self { market, base }
    }

    pub fn market(&self) -> MutexGuard<'_, Market> {
        self.market.lock().unwrap()
    }

    /// Until something holds of it.
    pub async fn until(&self, what: &str, holds: impl Fn(&Market) -> bool) {
        for _ in 0..2400 {
            if holds(&self.market()) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let m = self.market();
        let refused: Vec<_> = m.refused.iter().map(|(_, r)| &r.refusal.body).collect();
        let answers = &m.answers;
        panic!("not in two minutes: {what}; {refused:?} {answers:?}");
    }
}

fn serve(mut stream: TcpStream, market: &Mutex<Market>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    if reader.read_line(&mut line).is_err() || line.is_empty() {
        return;
    }
    let mut words = line.split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let path = words.next().unwrap_or_default().to_owned();
    let (mut length, mut token) = (0, String::new());
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).is_err() {
            return;
        }
        let header = header.trim();
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').unwrap_or_default();
        match name.to_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "authorization" => token = value.trim().trim_start_matches("Bearer ").to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let (status, answer) = if path == "/v1/machines/token" {
        // The token is the key that asked.
        let login: TokenRequest = serde_json::from_slice(&body).unwrap();
        login.verify().unwrap();
        let token = TokenAnswer {
            token: login.key.to_string(),
            expires: u64::MAX,
        };
        (200, serde_json::to_vec(&token).unwrap())
    } else {
        let node = Key::from_hex(&token).unwrap();
        market.lock().unwrap().answer(&node, &method, &path, &body)
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        answer.len()
    );
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(&answer);
}
