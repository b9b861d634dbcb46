//! A market whose results a committee of three opens, any two of it: each test has
//! a server, a pod, the nodes, and custodians that deal to them (SET-7, SET-8,
//! ORD-7, ORD-8, DOC-12, KEY-11).

mod hostile;
mod joint;
mod liveness;
mod proxy;
mod tickets;

use crate::common::{bare, built, settings, srs, terms};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use veilbourse::{
    args::CommitteeSize,
    custodian::{Opening, encrypt_to},
    demo::{
        custody::{self, Committee},
        world::{Person, World},
    },
    progress::Bars,
};
use veilbourse_client::{
    ClientError,
    buyer::{self, Listed, Opened, Standing, Ticket, Wish},
    dataset::{self, DatasetFolder},
    dealing::{self, Asked, DealerFolder, exact},
    market::{self, Decide, Session},
    query::{self, Query},
};
use veilbourse_core::simulation::simulate_program;
use veilbourse_documents::{Id, Policy, Receipt, Signed};
use veilbourse_pod::Circuits;
use veilbourse_server::ServerConfig;
use veilbourse_tabular::Built;

/// What each buyer has.
const MONEY: i64 = 1_000_000;
/// Longest wait for anything to happen: far more than a slow machine needs.
const PATIENCE: Duration = Duration::from_secs(120);
/// A grant's time, in milliseconds.
const GRANT: u64 = 60_000;

/// Tickets for one quorum, or for all that are not named.
type Tickets<'a> = (&'a [u8], u64);

/// Server, pod, committee, a buyer; the clock stands still but when it is moved.
struct Market {
    dir: tempfile::TempDir,
    world: World,
    time: Arc<AtomicU64>,
    committee: Committee,
    buyer: Person,
}

/// A custodian with its listing.
struct Seller {
    person: Person,
    built: Built,
    folder: DatasetFolder,
    dealer: DealerFolder,
    listing: Id,
}

fn config() -> ServerConfig {
    ServerConfig {
        grant_seconds: (GRANT / 1000) as u32,
        quorum_seconds: (GRANT / 1000) as u32,
        ..settings()
    }
}

fn bars() -> Bars {
    Bars::new(true)
}

impl Market {
    /// Running, with a pod.
    async fn open() -> Self {
        let mut m = Self::quiet(None).await;
        m.start_pod().await;
        m
    }

    /// Without a pod; the nodes are told another address of the server.
    async fn quiet(proxy: Option<&proxy::Proxy>) -> Self {
        let (dir, world, time) = bare(config()).await;
        let url = match proxy {
            None => world.url.clone(),
            Some(p) => {
                p.stands_before(&world.url);
                p.url.clone()
            }
        };
        let size = CommitteeSize {
            nodes: 3,
            threshold: 2,
        };
        let committee = Committee::start_at(&world, size, &url)
            .await
            .expect("nodes");
        let buyer = world
            .person("buyer@test.example", "b", "BUYER")
            .await
            .expect("registers");
        let m = Self {
            dir,
            world,
            time,
            committee,
            buyer,
        };
        m.pay(&m.buyer.session).await;
        m
    }

    async fn start_pod(&mut self) -> Id {
        let circuits = Circuits::new(srs(4));
        self.world.start_pod(circuits).await.expect("a pod")
    }

    async fn pay(&self, session: &Session) {
        let deposit = market::request_deposit(session, MONEY, "first").await;
        let id = deposit.expect("asks");
        market::decide(&self.world.admin, Decide::Deposit, id.as_str(), true, "")
            .await
            .expect("approves");
    }

    fn now(&self) -> u64 {
        self.time.load(Ordering::SeqCst)
    }

    fn advance(&self, millis: u64) {
        self.time.fetch_add(millis, Ordering::SeqCst);
    }

    /// A published listing, its dealings accepted by every quorum.
    async fn seller(&self, name: &str, tickets: &[Tickets<'_>]) -> Seller {
        let mail = format!("{name}@test.example");
        let person = self.world.person(&mail, name, "CUSTODIAN").await;
        self.seller_of(person.expect("registers"), name, tickets)
            .await
    }

    async fn seller_of(&self, person: Person, name: &str, tickets: &[Tickets<'_>]) -> Seller {
        let seed = name.bytes().map(u64::from).sum();
        let built = built(seed);
        let at = self.dir.path().join(format!("dataset-{name}"));
        let (folder, _) =
            tokio::task::block_in_place(|| encrypt_to(&built, 10, &at, &bars())).expect("encrypts");
        let mut rng = veilbourse::rng(None);
        let dealer = DealerFolder::open(&folder, &mut rng).expect("a dealer");
        let session = &person.session;
        let listing = dataset::draft(session, &folder, name, "a test").await;
        let mut seller = Seller {
            person,
            built,
            folder,
            dealer,
            listing: listing.expect("a draft"),
        };
        for (quorum, count) in tickets {
            seller.deal(self, *count, &[], Some(quorum));
        }
        let session = &seller.person.session;
        dataset::upload(&session.server, &seller.listing, &seller.folder, &bars())
            .await
            .expect("uploads");
        seller.upload().await;
        let policy = seller.policy(self, 1);
        dataset::submit(session, &seller.listing, &policy)
            .await
            .expect("submits");
        let (admin, id) = (&self.world.admin, seller.listing.as_str());
        market::decide(admin, Decide::Listing, id, true, "")
            .await
            .expect("approves");
        custody::accepted(&self.world.admin, &seller.listing, &bars())
            .await
            .expect("accepted");
        seller
    }

    async fn listed(&self, seller: &Seller) -> Listed {
        let id = seller.listing.as_str();
        buyer::listing(&self.buyer.session, id)
            .await
            .expect("listed")
    }

    /// Mean and second moment of visits in both segments: four values.
    async fn statistics(&self, seller: &Seller) -> (Listed, Query) {
        let listed = self.listed(seller).await;
        let query = query::statistics(&listed.manifest, "visits").expect("a column");
        (listed, query)
    }

    /// A signed order, not placed.
    async fn ticket(&self, seller: &Seller, wish: &Wish<'_>) -> Result<Ticket, ClientError> {
        let (listed, query) = self.statistics(seller).await;
        let (key, session) = (&self.world.marketplace, &self.buyer.session);
        let offer = buyer::quote_with(session, key, &listed, &query, wish).await?;
        let (deadline, mut rng) = (self.now() + 900_000, veilbourse::rng(None));
        let signing = &self.buyer.key;
        buyer::prepare(key, &offer, &listed, &query, signing, deadline, &mut rng)
    }

    async fn place(&self, ticket: &Ticket) -> Id {
        let placed = buyer::place(&self.buyer.session, ticket).await;
        placed.expect("placed")
    }

    /// Quoted, signed and placed.
    async fn order(&self, seller: &Seller) -> (Id, Ticket) {
        let ticket = self.ticket(seller, &Wish::default()).await;
        let ticket = ticket.expect("signed");
        (self.place(&ticket).await, ticket)
    }

    /// How it ends. A server that has not heard of living nodes when it grants, on
    /// a slow machine, may choose a quorum with a dead one: that grant expires.
    async fn ended(&self, order: &Id) -> Standing {
        for _ in 0..5 {
            let wait = buyer::wait(&self.buyer.session, order, |_| {});
            if let Ok(ended) = tokio::time::timeout(PATIENCE / 5, wait).await {
                return ended.expect("stands");
            }
            self.advance(GRANT + 1);
        }
        panic!("order {order} does not end");
    }

    /// Released, right, and its receipt good; by which quorum.
    async fn opened(&self, seller: &Seller, order: &Id, ticket: &Ticket) -> (Opened, Vec<u8>) {
        let ended = self.ended(order).await;
        assert_eq!(ended.state, "released", "{ended:?}");
        let opened = buyer::open(&self.buyer.session, order, ticket).await;
        let opened = opened.expect("opens");
        let (_, query) = self.statistics(seller).await;
        assert_eq!(opened.values, seller.expected(&query));
        let trust = veilbourse_verify::Trust {
            marketplace: Some(market::marketplace_of(&self.world.marketplace)),
            circuits: None,
        };
        let report = veilbourse_verify::verify_receipt(&opened.receipt, &trust);
        assert_eq!(report.expect("verifies").decryption, "committee-attested");
        let quorum = buyer::quorum_of(ticket, &opened.receipt).expect("a quorum");
        (opened, quorum)
    }

    /// What an order's view says.
    async fn view(&self, order: &Id, selection: &str) -> Value {
        let document = format!("query($id: String!) {{ order(id: $id) {{ {selection} }} }}");
        let server = &self.buyer.session.server;
        let found = server.graphql("order", &document, json!({ "id": order }));
        found.await.expect("an order")
    }

    /// Waits until the order has had so many grants.
    async fn granted(&self, order: &Id, grants: u64) {
        let mut last = Value::Null;
        for _ in 0..PATIENCE.as_millis() / 50 {
            last = self.view(order, "state grants").await;
            if last["grants"].as_u64() == Some(grants) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("order {order} has not {grants} grants: {last}");
    }

    /// Signs in again: a quarter of an hour is over (ACC-3).
    async fn refresh(&mut self) {
        let token = &self.buyer.session.refresh;
        let session = market::refresh(&self.world.server, token).await;
        self.buyer.session = session.expect("refreshes");
    }

    async fn money(&self) -> i64 {
        let of = &self.buyer.session;
        veilbourse::demo::journey::available(of)
            .await
            .expect("a balance")
    }

    async fn stop(self) {
        // The clock may have gone past the admin's session (ACC-3).
        let admin = market::refresh(&self.world.server, &self.world.admin.refresh).await;
        let admin = admin.expect("refreshes");
        let (_, balanced) = market::ledger(&admin).await.expect("a ledger");
        assert!(balanced);
        self.committee.stop().await;
        self.world.stop().await.expect("stops");
    }
}

impl Seller {
    /// Deals tickets without noise to one quorum, or to every one.
    fn deal(&mut self, m: &Market, tickets: u64, anew: &[&[u8]], only: Option<&[u8]>) {
        let class = exact("exact", self.folder.manifest.message_log2 as u8);
        let anew: BTreeSet<Vec<u8>> = anew.iter().map(|q| q.to_vec()).collect();
        let only = only.map(|q| BTreeSet::from([q.to_vec()]));
        let (file, mut rng) = (&m.committee.file, veilbourse::rng(None));
        tokio::task::block_in_place(|| {
            self.dealer
                .add(file, &[Asked { class, tickets }], &anew, only.as_ref())
                .expect("planned");
            let secret = self.folder.secret().expect("the data key");
            let by = veilbourse::files::public(&self.person.key);
            let dealt = dealing::deal(&mut self.dealer, &secret, &by, file, &mut rng, &bars());
            dealt.expect("dealt");
        });
    }

    async fn upload(&self) {
        let session = &self.person.session;
        dealing::upload(session, &self.listing, &self.dealer, &bars())
            .await
            .expect("uploads");
    }

    fn body(&self, m: &Market, version: u32) -> Policy {
        let opening = Opening::committee(&m.committee.file, &self.dealer, None);
        let (opening, root) = (opening.expect("dealt"), self.folder.manifest.root());
        let key = &m.world.marketplace;
        terms(version).body(key, &self.listing, root, opening, m.now())
    }

    fn policy(&self, m: &Market, version: u32) -> Signed<Policy> {
        Signed::sign(self.body(m, version), &self.person.key).expect("signs")
    }

    async fn update(&self, policy: &Signed<Policy>) -> Result<Value, ClientError> {
        let document =
            "mutation($id: String!, $p: JSON!) { updatePolicy(id: $id, policy: $p) { id } }";
        let variables = json!({ "id": self.listing.as_str(), "p": policy });
        let server = &self.person.session.server;
        server.graphql("updatePolicy", document, variables).await
    }

    fn expected(&self, query: &Query) -> Vec<Vec<i64>> {
        let (manifest, table) = (&self.folder.manifest, &self.built.table);
        simulate_program(manifest, table, &query.program, &query.weights)
            .expect("they belong together")
    }
}

fn receipt(opened: &Opened) -> Receipt {
    Signed::parse(&opened.receipt).expect("a receipt").body
}

fn code<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> String {
    match answer.unwrap_err() {
        ClientError::Server { code, .. } => code,
        other => panic!("not the server's: {other}"),
    }
}
