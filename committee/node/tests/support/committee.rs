//! A committee of three, two of whom open; what a custodian deals to it, and what
//! a buyer makes of what it delivers.

use super::{
    NOW, World, folder, id, key, rng,
    server::Server,
    signer,
    terms::{MARKETPLACE, Terms},
};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use std::{collections::HashMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::net::TcpListener;
use veilbourse_core::{digest::Digest, field::Fq, wire::Writer};
use veilbourse_documents::{
    Bytes, ClassTerms, CommitteeFile, DealingTerms, Id, Key, MaskedResult, Opener, Openers,
    PIECE_BYTES, PieceContext, SealedMasks, SealingSecret, Tickets,
    api::{AcceptedKeys, DealingJob, Deliver},
    marketplace_id, open_masks, seal_piece,
};
use veilbourse_machine::{Identity, Machine};
use veilbourse_node::{
    KeyNode, Member, MemberConfig, MemberHealth, NodeConfig, dealt_by, init, member_entry,
};
use veilbourse_privacy::Mechanism;
use veilbourse_protocol::{Committee, Masked, unmask};
use veilbourse_quorum::deal::{Dealt, Plan};
use veilbourse_ticket_store::{Config, Dealing, Folder, QuorumSet, Store, Stream};
use zeroize::Zeroizing;

/// Nodes' seeds: node 0 is the other tests' node.
pub const SEEDS: [u8; 3] = [super::terms::NODE, 21, 22];
pub const QUORUM: [u8; 2] = [0, 1];

pub fn sealing(node: usize) -> SealingSecret {
    SealingSecret::generate(&mut rng(500 + node as u64))
}

pub fn openers() -> Openers {
    Openers::Committee {
        nodes: SEEDS.iter().map(|s| key(&signer(*s))).collect(),
        threshold: 2,
    }
}

pub fn file(addresses: &[String]) -> CommitteeFile {
    let marketplace = marketplace_id(&key(&signer(MARKETPLACE)));
    let nodes = SEEDS.iter().zip(addresses).enumerate().map(|(i, (s, a))| {
        member_entry(
            &format!("node {i}"),
            &signer(*s),
            &sealing(i),
            marketplace,
            a,
        )
        .unwrap()
    });
    CommitteeFile {
        marketplace,
        threshold: 2,
        nodes: nodes.collect(),
    }
}

/// A committee's node, number by place.
pub fn config(node: usize, file: CommitteeFile) -> NodeConfig {
    let config = NodeConfig::new(
        signer(SEEDS[node]),
        key(&signer(MARKETPLACE)),
        HashMap::new(),
        AcceptedKeys {
            srs: super::srs(),
            ceremony: None,
            keys: Vec::new(),
        },
        true,
    );
    config.unwrap().seated(file, None).unwrap()
}

/// A file whose addresses nobody calls.
pub fn still() -> CommitteeFile {
    file(&["a:1".into(), "b:1".into(), "c:1".into()])
}

/// A class of tickets for a dataset.
pub fn class(world: &World, name: &str, mechanism: Mechanism) -> ClassTerms {
    ClassTerms {
        name: name.into(),
        k: u8::try_from(world.dataset.manifest.message_log2).unwrap(),
        sensitivity: 1 << 20,
        mechanism,
        offered: true,
    }
}

/// What a policy says of a dealing.
pub fn listed(dealing: &Dealing) -> DealingTerms {
    DealingTerms {
        digest: dealing.digest(),
        quorum: dealing.quorum.members(),
        epoch: dealing.epoch,
        class: dealing.class.digest(),
        first: dealing.first,
        count: dealing.count,
        root: dealing.root,
    }
}

/// Tickets without noise for a quorum, with the key.
pub fn deal(world: &World, quorum: &[u8], count: u64) -> Dealt {
    deal_epoch(world, quorum, 0, count)
}

/// The same in an epoch.
pub fn deal_epoch(world: &World, quorum: &[u8], epoch: u8, count: u64) -> Dealt {
    let plan = Plan {
        dataset: world.root,
        quorum: QuorumSet::of_members(quorum).unwrap(),
        parties: quorum
            .iter()
            .map(|m| key(&signer(SEEDS[usize::from(*m)])).0)
            .collect(),
        epoch: epoch.into(),
        class: class(world, "plain", Mechanism::None).class().unwrap(),
        first: 0,
        count,
        with_key: true,
    };
    // A seed serves one quorum and epoch.
    let of: u8 = quorum.iter().map(|m| 8 << m).sum();
    let seeds: Vec<[u8; 32]> = quorum
        .iter()
        .map(|m| [40 + of + m + 100 * epoch; 32])
        .collect();
    let words = world.secret.expose_words();
    let secret: Vec<Fq> = words.iter().map(|w| Fq::new(*w).unwrap()).collect();
    Dealt::new(
        &plan,
        Zeroizing::new(seeds),
        Zeroizing::new([9; 32]),
        &secret,
    )
    .unwrap()
}

/// Terms of an order for a quorum under a dealing.
pub fn terms(world: &World, dealing: &Dealing) -> Terms {
    let mut t = Terms::of(world, world.aggregate());
    let plain = class(world, "plain", Mechanism::None);
    t.openers = openers();
    // Members wait for each other while the grant lasts.
    t.expires = NOW + 9_000;
    t.opener = Opener::Committee {
        quorum: dealing.quorum.members(),
        dealing: dealing.digest(),
    };
    t.ticket_class = Some(dealing.class.digest());
    t.tickets = Some(Tickets {
        classes: vec![plain],
        dealings: vec![listed(dealing)],
        rho_limit_units: 0,
    });
    t
}

/// Announces a dealing at the server, with every party's pieces.
pub fn announce(server: &Server, world: &World, terms: &Terms, dealt: &Dealt) {
    let mut out = Writer::new();
    dealt.dealing.encode(&mut out);
    let digest = dealt.digest();
    let mut market = server.market();
    market.dealings.push(DealingJob {
        manifest: world.dataset.manifest.clone(),
        policy: terms.papers().policy,
        announced: vec![Bytes(out.finish())],
    });
    let public_key = world.dataset.encrypted.public_key.encode();
    market.public_keys.insert(digest, public_key);
    for (member, party) in dealt.dealing.quorum.members().into_iter().zip(0u8..) {
        let node = usize::from(member);
        let offer = dealt.offer(party).unwrap().encode();
        let streams = dealt.streams(party).unwrap();
        let streams = Stream::ALL.into_iter().zip(streams);
        let parts = streams.map(|(s, bytes)| (s.suffix(), bytes.as_slice()));
        for (part, bytes) in parts.chain([("offer", offer.as_slice())]) {
            for (number, piece) in bytes.chunks(PIECE_BYTES).enumerate() {
                let context = PieceContext {
                    dealing: &digest,
                    dealer: &key(&terms.custodian),
                    party,
                    part,
                    offset: (number * PIECE_BYTES) as u64,
                };
                let sealed = seal(piece, node, &context);
                let at = (
                    key(&signer(SEEDS[node])),
                    digest,
                    part.to_owned(),
                    number as u64,
                );
                market.pieces.insert(at, sealed);
            }
        }
    }
}

pub fn seal(piece: &[u8], node: usize, context: &PieceContext<'_>) -> Vec<u8> {
    let public = sealing(node).public().unwrap();
    seal_piece(piece, &public, context, &mut rng(700)).unwrap()
}

/// Nodes with folders that outlive them.
pub struct Nodes {
    pub server: Server,
    pub file: CommitteeFile,
    folders: Vec<TempDir>,
    pub listen: Vec<SocketAddr>,
    /// Until the first start: nobody else takes the port.
    sockets: Vec<Option<TcpListener>>,
    pub running: Vec<Option<Member>>,
    starts: u64,
    pub dealing_bytes: u64,
    pub patience: Duration,
}

impl Nodes {
    /// Three nodes, not started.
    pub async fn new() -> Self {
        let (mut listen, mut sockets) = (Vec::new(), Vec::new());
        for _ in SEEDS {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listen.push(listener.local_addr().unwrap());
            sockets.push(Some(listener));
        }
        let addresses: Vec<String> = listen.iter().map(ToString::to_string).collect();
        let folders: Vec<_> = SEEDS.iter().map(|_| folder()).collect();
        for f in &folders {
            init(f.path()).unwrap();
        }
        Self {
            server: Server::start(),
            file: file(&addresses),
            folders,
            listen,
            sockets,
            running: SEEDS.iter().map(|_| None).collect(),
            starts: 0,
            dealing_bytes: 1 << 30,
            patience: Duration::from_secs(60),
        }
    }

    pub async fn start(&mut self, node: usize) {
        self.starts += 1;
        let mut settings = MemberConfig::new(self.folders[node].path().into(), self.listen[node]);
        settings.poll = Duration::from_millis(200);
        settings.dealing_bytes = self.dealing_bytes;
        settings.patience = self.patience;
        settings.greeting = Duration::from_secs(2);
        let identity = Identity {
            id: id(60 + node as u8),
            key: signer(SEEDS[node]),
            marketplace: key(&signer(MARKETPLACE)),
        };
        let seed = self.starts * 10 + node as u64;
        let machine = Machine::new(
            identity,
            &self.server.base,
            Arc::new(|| NOW),
            ChaCha20Rng::seed_from_u64(seed),
        );
        let listener = match self.sockets[node].take() {
            Some(listener) => listener,
            None => TcpListener::bind(self.listen[node]).await.unwrap(),
        };
        let member = Member::start_on(
            listener,
            settings,
            config(node, self.file.clone()),
            sealing(node),
            machine,
            ChaCha20Rng::seed_from_u64(1000 + seed),
        );
        self.running[node] = Some(member.await.unwrap());
    }

    pub async fn stop(&mut self, node: usize) {
        if let Some(member) = self.running[node].take() {
            member.stop().await;
        }
    }

    pub fn health(&self, node: usize) -> MemberHealth {
        self.running[node].as_ref().unwrap().health()
    }

    /// Until a node says so of itself.
    pub async fn until(&self, node: usize, holds: impl Fn(&MemberHealth) -> bool) {
        for _ in 0..2400 {
            if holds(&self.health(node)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("not in two minutes: {:?}", self.health(node));
    }

    pub fn log(&self, node: usize) -> PathBuf {
        self.folders[node].path().join("log")
    }

    /// A node that does not run, without its network.
    pub fn key_node(&self, node: usize) -> KeyNode {
        KeyNode::open(config(node, self.file.clone()), &self.log(node)).unwrap()
    }

    fn store_folder(&self, node: usize, dataset: &Digest, custodian: &Key) -> PathBuf {
        let scope = dealt_by(dataset, custodian).to_string();
        self.folders[node].path().join("stores").join(scope)
    }

    /// The power failed at a node that does not run before its store's last record.
    pub fn cut_store(&self, node: usize, dataset: &Digest, custodian: &Key) {
        cut(&self.store_folder(node, dataset, custodian).join("log"));
    }

    /// A copy of all that a node that does not run has on disk.
    pub fn copy(&self, node: usize) -> TempDir {
        let to = folder();
        copy(self.folders[node].path(), to.path());
        to
    }

    /// A node that does not run is restored from a copy.
    pub fn restore(&self, node: usize, from: &TempDir) {
        let path = self.folders[node].path();
        std::fs::remove_dir_all(path).unwrap();
        copy(from.path(), path);
    }

    /// A ticket store of a node that does not run.
    pub fn store(&self, node: usize, dataset: &Digest, custodian: &Key) -> Store<Folder> {
        let path = self.store_folder(node, dataset, custodian);
        let config = Config {
            dataset: *dataset,
            custodian: custodian.0,
            committee: Committee::new(3, 2).unwrap(),
            node: node as u8,
            keys: SEEDS.iter().map(|s| key(&signer(*s)).0).collect(),
            sync_every: 1 << 20,
        };
        Store::open(Folder::new(&path), config).unwrap()
    }

    /// The log of a node's only ticket store.
    pub fn store_log(&self, node: usize) -> PathBuf {
        let stores = self.folders[node].path().join("stores");
        let mut all = std::fs::read_dir(stores).unwrap();
        all.next().unwrap().unwrap().path().join("log")
    }

    /// Gives a job to the nodes of the quorum.
    pub fn grant(&self, cases: &[&super::terms::Case]) {
        self.grant_to(&QUORUM, cases);
    }

    /// Gives a job to these nodes.
    pub fn grant_to(&self, nodes: &[u8], cases: &[&super::terms::Case]) {
        let mut market = self.server.market();
        for case in cases {
            let (order, parts) = (case.job.order_id.clone(), &case.parts);
            let mut put = |name: String, bytes: &[u8]| {
                market.objects.insert((order.clone(), name), bytes.to_vec());
            };
            put("public-key".into(), &parts.public_key);
            for (i, (c, e)) in parts.ciphertexts.iter().zip(&parts.envelopes).enumerate() {
                put(format!("ciphertext-{i}"), c);
                put(format!("envelope-{i}"), e);
            }
        }
        let jobs: Vec<_> = cases.iter().map(|c| c.job.clone()).collect();
        for node in nodes {
            let node = key(&signer(SEEDS[usize::from(*node)]));
            market.jobs.entry(node).or_default().push(jobs.clone());
        }
    }
}

/// The buyer's values: every opening checked against the signed roots.
pub fn buyer(
    worlds: &[&World],
    dealings: &[&Dealing],
    delivered: &[&Deliver],
    secret: &SealingSecret,
) -> Vec<i64> {
    let first = delivered[0];
    let mut sessions = Vec::new();
    let mut masked = Vec::new();
    for (at, d) in first.orders.iter().enumerate() {
        let opened = d.opened.as_ref().unwrap();
        sessions.push(opened.opening.body.session);
        for other in delivered {
            let o = other.orders[at].opened.as_ref().unwrap();
            assert_eq!(o.opening.body, opened.opening.body);
            assert_eq!(o.masked, opened.masked, "the same of every member");
            o.opening.verify().unwrap();
        }
        masked.push(MaskedResult::decode(&opened.masked.0).unwrap());
    }
    let shares: Vec<_> = delivered
        .iter()
        .map(|d| {
            let context = SealedMasks {
                sessions: &sessions,
                node_key: d.orders[0].delivery.key,
            };
            open_masks(&d.sealed_result.0, secret, &context).unwrap()
        })
        .collect();
    let points: Vec<_> = masked
        .iter()
        .zip(worlds.iter().zip(dealings))
        .map(|(m, (w, d))| {
            let signed = listed(d).signed(&w.root, d.class);
            m.points(&signed, delivered.len()).unwrap()
        })
        .collect();
    let bound = dealings.iter().map(|d| d.class.value_bound()).sum();
    (0..masked[0].words.len())
        .map(|i| {
            let y: Vec<Fq> = masked.iter().map(|m| m.y().unwrap()[i]).collect();
            let commitments: Vec<_> = points.iter().map(|p| p[i].clone()).collect();
            let openings: Vec<_> = shares.iter().map(|s| s[i].clone()).collect();
            let value = Masked {
                y: &y,
                commitments: &commitments,
                openings: &openings,
                bound,
            };
            unmask(i as u64, &value).unwrap()
        })
        .collect()
}

/// Takes the last record off a log, as if the power had failed before it.
pub fn cut(log: &std::path::Path) {
    let bytes = std::fs::read(log).unwrap();
    let (mut at, mut last) = (8, 8);
    while at < bytes.len() {
        last = at;
        let length = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        at += 8 + length as usize + 32;
    }
    assert!(last < at);
    std::fs::write(log, &bytes[..last]).unwrap();
}

/// Another id for each order.
pub fn named(case: &mut super::terms::Case, n: u8) -> Id {
    case.job.order_id = id(n);
    case.job.order_id.clone()
}

pub fn digest_of(n: u8) -> Digest {
    Digest([n; 32])
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
