//! A market of its own for each test: server, and if wanted pod and key node,
//! over loopback, with a small table and a clock that the test moves.
#![allow(dead_code)] // the load generator uses a part

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use std::{
    fmt::Write,
    io::{BufRead, BufReader, Cursor},
    path::Path,
    process::Child,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use veilbourse::{
    custodian::{Opening, PolicyFile, encrypt_to},
    demo::world::{Person, World},
    files::{NodeFolder, read_json},
    progress::Bars,
};
use veilbourse_client::{
    buyer::{self, Listed, Ticket},
    dataset::{self, DatasetFolder},
    market::{self, Decide},
    query::{self, Query},
};
use veilbourse_documents::{Id, Key, Policy, QueryKind, Signed, SigningKey};
use veilbourse_domain::people::TokenPurpose;
use veilbourse_pod::Circuits;
use veilbourse_prover::srs::{Ceremony, Srs, silent};
use veilbourse_server::{App, Limits, ServerConfig};
use veilbourse_tabular::{Built, SchemaConfig, SecondMoments, build};

pub const DEPOSIT: i64 = 1_000_000;

/// 600 rows in two segments, three columns; from a seed.
pub fn csv(seed: u64) -> String {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut text = String::from("plan,visits,age,income\n");
    for i in 0..600 {
        let plan = u8::from(i % 3 == 0);
        let (visits, age) = (rng.next_u32() % 40, 18 + rng.next_u32() % 60);
        writeln!(text, "{plan},{visits},{age},{}.5", rng.next_u32() % 900).expect("a string");
    }
    text
}

pub fn config() -> SchemaConfig {
    SchemaConfig {
        segment_by: vec!["plan".into()],
        second_moments: SecondMoments::Squares(vec!["visits".into()]),
        ..SchemaConfig::new("visits")
    }
}

pub fn built(seed: u64) -> Built {
    build(Cursor::new(csv(seed)), &config()).expect("a good table")
}

/// Quick limits off, the rest as by default.
pub fn settings() -> ServerConfig {
    ServerConfig {
        limits: Limits {
            login: 10_000,
            register: 10_000,
            quote: 10_000,
            place: 10_000,
            upload: 100_000,
            listing: 10_000,
        },
        drafts: 50,
        ..ServerConfig::default()
    }
}

/// A market with a published listing and a funded buyer.
pub struct Market {
    pub dir: tempfile::TempDir,
    pub world: World,
    pub time: Arc<AtomicU64>,
    pub custodian: Person,
    pub buyer: Person,
    pub folder: DatasetFolder,
    pub node: NodeFolder,
    pub node_key: Key,
    pub listing: Id,
    pub built: Built,
}

/// The string of a ceremony of two: what every market here rests on.
pub fn srs(log: u32) -> Arc<Srs> {
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let mut made = Ceremony::start(log, "tests over HTTP", rng).expect("starts");
    for seed in [1, 2] {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let next = made.contribute("a contributor", &key, rng, &silent);
        made = next.expect("contributes");
    }
    Arc::new(made.finish().expect("an SRS"))
}

/// A started market without listing: world and its clock.
pub async fn bare(config: ServerConfig) -> (tempfile::TempDir, World, Arc<AtomicU64>) {
    let dir = tempfile::tempdir().expect("a folder");
    let time = Arc::new(AtomicU64::new(1_700_000_000_000));
    let clock = {
        let time = time.clone();
        Arc::new(move || time.load(Ordering::SeqCst))
    };
    let srs = srs(4);
    let circuits = Circuits::new(srs.clone());
    let world = World::start_with(dir.path(), &srs, &circuits, &[], config, clock)
        .await
        .expect("starts");
    (dir, world, time)
}

/// A process; killed (SIGKILL) when dropped, whatever became of the test.
pub struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process with its standard output piped, and the first line that it says.
pub fn running(mut child: Child) -> (Running, String) {
    let mut reader = BufReader::new(child.stdout.take().expect("piped"));
    let running = Running(child);
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line");
    // The rest must be read, or the pipe fills.
    std::thread::spawn(move || for _ in reader.lines() {});
    (running, line)
}

/// The token of the letter that verifies an address at a server in a process of
/// its own: derived from what lies in its folder, as the letter's link is.
pub fn letter_in(folder: &Path, keys: &Path, mail: &str) -> String {
    let (dir, keys) = (folder.to_owned(), keys.to_owned());
    let mail = mail.to_owned();
    let read = async move {
        let accepted = read_json(&keys).expect("keys");
        let config = ServerConfig {
            dir,
            ..ServerConfig::default()
        };
        let (clock, rng) = (veilbourse::clock(), veilbourse::rng(None));
        let app = App::open(config, accepted, clock, rng)
            .await
            .expect("opens");
        let found = app.waiting_token(TokenPurpose::VerifyMail, &mail).await;
        found.expect("read").expect("a letter")
    };
    // Of a runtime of its own: some callers have one, some none.
    let runtime = || tokio::runtime::Runtime::new().expect("a runtime");
    let thread = std::thread::spawn(move || runtime().block_on(read));
    thread.join().expect("read")
}

/// What a policy says, its node left out.
pub fn terms(version: u32) -> PolicyFile {
    PolicyFile {
        node_key: None,
        kinds: vec![QueryKind::AggregatePublic, QueryKind::AggregatePrivate],
        min_cohort: 10,
        quota_values: 200,
        quota_bits: 20_000,
        price_order: 1_000,
        price_output: 100,
        custodian_basis_points: 7_500,
        version,
    }
}

/// A signed policy for the listing.
pub fn policy(m: &World, node_key: Key, listing: &Id, folder: &DatasetFolder, now: u64) -> Policy {
    terms(1).body(
        &m.marketplace,
        listing,
        folder.manifest.root(),
        Opening::held_by(node_key),
        now,
    )
}

impl Market {
    /// Published and funded; no pod, no key node running yet.
    pub async fn open(config: ServerConfig) -> Self {
        Self::open_of(config, built(7)).await
    }

    /// The same with a table of one's own.
    pub async fn open_of(config: ServerConfig, built: Built) -> Self {
        let (dir, world, time) = bare(config).await;
        let (folder, _) = tokio::task::block_in_place(|| {
            encrypt_to(&built, 10, &dir.path().join("dataset"), &Bars::new(true))
        })
        .expect("encrypts");
        let custodian = world
            .person("custodian@test.example", "c", "CUSTODIAN")
            .await
            .expect("registers");
        let buyer = world
            .person("buyer@test.example", "b", "BUYER")
            .await
            .expect("registers");
        let (node, node_key) = world
            .new_node(&custodian, &folder)
            .await
            .expect("registers");
        let session = &custodian.session;
        let listing = dataset::draft(session, &folder, "Visits", "a test")
            .await
            .expect("a draft");
        dataset::upload(&session.server, &listing, &folder, &Bars::new(true))
            .await
            .expect("uploads");
        let body = policy(
            &world,
            node_key,
            &listing,
            &folder,
            time.load(Ordering::SeqCst),
        );
        let signed = Signed::sign(body, &custodian.key).expect("signs");
        dataset::submit(session, &listing, &signed)
            .await
            .expect("submits");
        market::decide(&world.admin, Decide::Listing, listing.as_str(), true, "")
            .await
            .expect("approves");
        let deposit = market::request_deposit(&buyer.session, DEPOSIT, "first")
            .await
            .expect("asks");
        market::decide(&world.admin, Decide::Deposit, deposit.as_str(), true, "")
            .await
            .expect("approves");
        Self {
            dir,
            world,
            time,
            custodian,
            buyer,
            folder,
            node,
            node_key,
            listing,
            built,
        }
    }

    pub fn now(&self) -> u64 {
        self.time.load(Ordering::SeqCst)
    }

    pub fn advance(&self, millis: u64) {
        self.time.fetch_add(millis, Ordering::SeqCst);
    }

    /// Starts the honest pod; its id.
    pub async fn start_pod(&mut self) -> Id {
        self.world
            .start_pod(Circuits::new(srs(4)))
            .await
            .expect("a pod")
    }

    pub fn start_node(&mut self) {
        self.world.start_node(&self.node).expect("a node");
    }

    pub async fn listed(&self) -> Listed {
        buyer::listing(&self.buyer.session, self.listing.as_str())
            .await
            .expect("listed")
    }

    /// Mean and second moment of visits, in both segments.
    pub async fn statistics(&self) -> (Listed, Query) {
        let listed = self.listed().await;
        let query = query::statistics(&listed.manifest, "visits").expect("a column");
        (listed, query)
    }

    /// A prepared order, not placed; to a pod of one's choice.
    pub async fn ticket(&self, pod: Option<&Id>) -> Ticket {
        let (listed, query) = self.statistics().await;
        let key = &self.world.marketplace;
        let offer = buyer::quote(&self.buyer.session, key, &listed, &query, pod)
            .await
            .expect("a quote");
        let mut rng = veilbourse::rng(None);
        let deadline = self.now() + 600_000;
        buyer::prepare(
            key,
            &offer,
            &listed,
            &query,
            &self.buyer.key,
            deadline,
            &mut rng,
        )
        .expect("prepares")
    }

    /// What the opened integers must be.
    pub fn expected(&self, query: &Query) -> Vec<Vec<i64>> {
        veilbourse_core::simulation::simulate_program(
            &self.folder.manifest,
            &self.built.table,
            &query.program,
            &query.weights,
        )
        .expect("they belong together")
    }

    pub async fn balanced(&self) -> bool {
        market::ledger(&self.world.admin).await.expect("a ledger").1
    }
}
