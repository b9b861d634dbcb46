//! Committee custody over the server's routes (DOC-14, KEY-1, KEY-10, KEY-11,
//! ORD-7, SET-7, REC-7). Nothing is encrypted or proven here: listing and
//! submission are put into the store as if they had been.
//!
//! Over 500 lines: one market and its documents, used by every case.

mod insight;

use crate::{
    App, ServerConfig,
    body::{MAX_LARGE_AT_ONCE, MAX_PLAIN, admit},
    convert::stored,
    http::{Site, routes},
    nodes::MAX_DELIVERIES_AT_ONCE,
};
use actix_web::{
    App as ActixApp, body::to_bytes, http::Method, middleware::from_fn, test, web::Data,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::{Value, json};
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};
use veilbourse_core::{
    digest::Digest,
    field::Fq,
    manifest::{
        Column, ColumnKind, CommitmentParamsId, DataParamsId, MANIFEST_VERSION, Manifest,
        PublicColumn, Segment,
    },
    program::{MatrixRef, PROGRAM_VERSION, Program, ProgramOutput, WeightVector, Weights},
    wire::Writer,
};
use veilbourse_documents::{
    Bytes, Chain, ClassTerms, DOCUMENT_VERSION, DealingAccepted, DealingRefused, DealingTerms,
    DecryptionClass, Delivery, EvaluationClass, Id, Key, MachineLogin, MachineRegistration,
    MaskedResult, NonDelivery, Nonce, Opener, Openers, Opening, Order, PIECE_OVERHEAD, Policy,
    QueryKind, Quote, Receipt, SealingSecret, Signed, SigningKey, SrsProvenance, SrsRef,
    Submission, SubmittedDigest, Tickets, Work,
    api::{
        AcceptedKeys, DealingAnswer, DealingJobs, Deliver, Delivered, ErrorAnswer,
        MAX_DELIVER_BYTES, NodeJob, NodeJobs, OpenedByQuorum, Refuse,
    },
    sealed_masks_bytes,
};
use veilbourse_domain::{
    DomainError, MinorUnits,
    access::{MachineKind, Pass, Role, Surface, Viewer, authorize},
    id::{
        AccountId, CashRequestId, LeaseToken, ListingId, MachineId, OrderId, PublicKey, SessionId,
        TransferId,
    },
    ledger::TransferKind,
    listing::{Listing, ListingState, ListingStep},
    order::OrderState,
    records::{Decision, Machine, SubmittedOutput},
    terms::PolicyTerms,
};
use veilbourse_privacy::Mechanism;
use veilbourse_protocol::{Dealer, MaskShare, Shape, TicketPath, Tree, quorum_name};
use veilbourse_ticket_store::{Dealing, QuorumSet};

const NOW: u64 = 1_700_000_000_000;
/// Of four nodes of which two open; the quorums that were dealt to.
const QUORUMS: [[u8; 2]; 3] = [[0, 1], [1, 2], [2, 3]];
const PASSWORD: &str = "a password of a test";
/// Tickets of each dealing: 5 to 24.
const FIRST: u64 = 5;
const COUNT: u64 = 20;

fn manifest() -> Manifest {
    Manifest {
        version: MANIFEST_VERSION,
        name: "t".into(),
        params: DataParamsId::Data4096Tu3V1,
        commitment: CommitmentParamsId::FriBlake3V1,
        message_log2: 24,
        columns: vec![Column {
            name: "a".into(),
            kind: ColumnKind::Numeric,
            scale_log2: 0,
            unit: String::new(),
            min: 0,
            max: 100,
        }],
        public_columns: vec![PublicColumn {
            name: "1".into(),
            scale_log2: 0,
            values: vec![1],
        }],
        segments: vec![Segment {
            label: "all".into(),
            rows: 100,
            chunks: vec![Digest([10; 32])],
            sum: Digest([11; 32]),
            traced: Digest([12; 32]),
            traced_bodies: vec![1],
        }],
        public_key_label: Digest([1; 32]),
        public_key_body: Digest([2; 32]),
        nonce: Digest([3; 32]),
    }
}

fn program() -> Program {
    Program {
        version: PROGRAM_VERSION,
        dataset: manifest().root(),
        vectors: vec![WeightVector {
            label: "sum".into(),
            scale_log2: 0,
            weights: Weights::Public { values: vec![1, 0] },
        }],
        outputs: vec![ProgramOutput {
            over: MatrixRef::Traced { segment: 0 },
            vector: 0,
        }],
    }
}

fn signer(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}
fn key(n: u8) -> Key {
    Key(signer(n).verifying_key().to_bytes())
}
/// Node `n` signs with key 60 + n.
fn node_key(n: u8) -> Key {
    key(60 + n)
}

fn class() -> ClassTerms {
    ClassTerms {
        name: "exact".into(),
        k: 24,
        sensitivity: 1_000,
        mechanism: Mechanism::None,
        offered: true,
    }
}

/// What a custodian dealt to each quorum: the tree over its tickets and their
/// commitments.
struct Dealt {
    tree: Tree,
    commitments: Vec<Vec<[u8; 32]>>,
}

fn dealt(q: usize) -> &'static Dealt {
    static DEALT: [OnceLock<Dealt>; 3] = [const { OnceLock::new() }; 3];
    DEALT[q].get_or_init(|| {
        let keys = quorum_name(&manifest().root(), &QUORUMS[q], 0);
        let class = class().class().expect("a class");
        let shape = Shape::new(class, keys, u32::try_from(FIRST).expect("small"));
        let mut rng = ChaCha20Rng::seed_from_u64(60 + q as u64);
        let dealer = Dealer::new(shape, 2, &mut rng);
        let tickets = FIRST..FIRST + COUNT;
        let (leaves, commitments): (Vec<_>, Vec<_>) = tickets
            .map(|n| dealer.ticket(n))
            .map(|t| (t.leaf, t.commitments))
            .unzip();
        let before = vec![Digest::default(); usize::try_from(FIRST).expect("small")];
        Dealt {
            tree: Tree::new([before, leaves].concat()),
            commitments,
        }
    })
}

/// What an honest node of quorum `q` hands in; points of nothing for tickets
/// that are not the dealing's.
fn masked(q: usize, first: u64, words: &[u64]) -> MaskedResult {
    let path = |ticket: u64| {
        let at = ticket.checked_sub(FIRST)?;
        let commitments = dealt(q).commitments.get(usize::try_from(at).ok()?)?;
        Some(TicketPath {
            ticket,
            commitments: commitments.clone(),
            path: dealt(q).tree.path(ticket),
        })
    };
    let tickets = first..first + words.len() as u64;
    let paths: Option<Vec<_>> = tickets.map(path).collect();
    let y: Option<Vec<_>> = words.iter().map(|w| Fq::new(*w)).collect();
    let made = paths.and_then(|p| MaskedResult::new(&y.expect("words"), &p));
    made.unwrap_or_else(|| MaskedResult {
        first_ticket: first,
        words: words.to_vec(),
        commitments: vec![vec![[1; 32]; 2]; words.len()],
        siblings: vec![Digest([2; 32])],
    })
}

fn dealing(q: usize) -> Dealing {
    let members = QUORUMS[q];
    Dealing {
        dataset: manifest().root(),
        quorum: QuorumSet::of_members(&members).expect("a quorum"),
        epoch: 0,
        class: class().class().expect("a class"),
        first: FIRST,
        count: COUNT,
        with_key: true,
        root: dealt(q).tree.root(),
        parties: members.map(|n| node_key(n).0).to_vec(),
        packages: vec![Digest([71; 32]); 2],
        bases: vec![Digest([72; 32]); 2],
    }
}
fn announcement(q: usize) -> Vec<u8> {
    let mut w = Writer::new();
    dealing(q).encode(&mut w);
    w.finish()
}
fn listed(q: usize) -> DealingTerms {
    let d = dealing(q);
    DealingTerms {
        digest: d.digest(),
        quorum: d.quorum.members(),
        epoch: d.epoch,
        class: d.class.digest(),
        first: d.first,
        count: d.count,
        root: d.root,
    }
}

struct Market {
    app: Arc<App>,
    site: Data<Site>,
    time: Arc<AtomicU64>,
    custodian: AccountId,
    buyer: AccountId,
    listing: ListingId,
    pod: MachineId,
    /// Tokens: custodian, buyer, another custodian, then nodes 0 to 3.
    tokens: Vec<String>,
    _dir: tempfile::TempDir,
}

fn id_of(text: impl ToString) -> Id {
    Id::parse(&text.to_string()).expect("an id")
}

fn pass(account: AccountId, role: Role, name: &str) -> Pass {
    let viewer = Viewer::Account {
        id: account,
        roles: vec![role],
        session: SessionId::new(1, [1; 10]),
        key: None,
    };
    authorize(Surface::Mutation, name, &viewer)
        .or_else(|_| authorize(Surface::Query, name, &viewer))
        .expect("allowed")
}

impl Market {
    fn policy(&self, version: u32, change: impl FnOnce(&mut Policy)) -> Signed<Policy> {
        let mut body = Policy {
            version: DOCUMENT_VERSION,
            marketplace: self.app.id,
            listing: id_of(self.listing),
            dataset: manifest().root(),
            policy_version: version,
            openers: Openers::Committee {
                nodes: (0..4).map(node_key).collect(),
                threshold: 2,
            },
            tickets: Some(Tickets {
                classes: vec![class()],
                dealings: (0..QUORUMS.len()).map(listed).collect(),
                rho_limit_units: 0,
            }),
            kinds: vec![QueryKind::AggregatePublic],
            min_cohort: 10,
            quota_values: 100,
            quota_bits: 10_000,
            price_order: 1_000,
            price_output: 10,
            custodian_basis_points: 0,
            min_class: EvaluationClass::Proven,
            valid_from: 0,
        };
        change(&mut body);
        Signed::sign(body, &signer(1)).expect("signed")
    }

    async fn call(
        &self,
        method: &str,
        path: &str,
        token: usize,
        body: impl Into<Vec<u8>>,
    ) -> (u16, Vec<u8>) {
        let service = test::init_service(
            ActixApp::new()
                .app_data(self.site.clone())
                .wrap(from_fn(admit))
                .configure(routes),
        )
        .await;
        let body: Vec<u8> = body.into();
        let request = test::TestRequest::default()
            .method(Method::from_bytes(method.as_bytes()).expect("a method"))
            .uri(path)
            .insert_header(("authorization", format!("Bearer {}", self.tokens[token])))
            .insert_header(("content-type", "application/json"))
            .insert_header(("content-length", body.len().to_string()))
            .set_payload(body)
            .to_request();
        let response = match test::try_call_service(&service, request).await {
            Ok(r) => r.into_parts().1.map_into_boxed_body(),
            Err(e) => e.error_response(),
        };
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body()).await;
        (status, bytes.unwrap_or_default().to_vec())
    }

    /// Status and code.
    async fn refused(
        &self,
        method: &str,
        path: &str,
        token: usize,
        body: impl Into<Vec<u8>>,
    ) -> (u16, String) {
        let (status, bytes) = self.call(method, path, token, body).await;
        let code: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        (status, code["code"].as_str().unwrap_or_default().to_owned())
    }

    fn now(&self) -> u64 {
        self.time.load(Ordering::SeqCst)
    }
}

async fn market(dealing_bytes: u64) -> Market {
    let dir = tempfile::tempdir().expect("a folder");
    let time = Arc::new(AtomicU64::new(NOW));
    let clock = {
        let time = time.clone();
        Arc::new(move || time.load(Ordering::SeqCst))
    };
    let config = ServerConfig {
        dir: dir.path().into(),
        dealing_bytes,
        ..ServerConfig::default()
    };
    let accepted = AcceptedKeys {
        srs: SrsRef {
            digest: Digest([80; 32]),
            provenance: SrsProvenance::Dev,
        },
        ceremony: None,
        keys: Vec::new(),
    };
    let rng = ChaCha20Rng::seed_from_u64(7);
    let app = App::open(config, accepted, clock, rng)
        .await
        .expect("opens");
    let mut accounts = Vec::new();
    let mut tokens = Vec::new();
    let roles = [Role::Custodian, Role::Buyer, Role::Custodian, Role::Admin];
    for (n, role) in (1u8..).zip(roles) {
        let mail = format!("u{n}@example.org");
        let made = app.make_account(&mail, "u", PASSWORD, vec![role]).await;
        let made = made.expect("made").id;
        let session = app
            .sign_in("here", "", &mail, PASSWORD, None)
            .await
            .expect("in");
        let (key, now) = (PublicKey(key(n).0), NOW);
        app.store.register_key(made, key, now).await.expect("key");
        accounts.push(made);
        tokens.push(session.access);
    }
    let admin = accounts[3];
    tokens.truncate(3);
    let mut rng = ChaCha20Rng::seed_from_u64(8);
    let mut pod = None;
    for n in 0..5u8 {
        let (kind, by) = match n {
            4 => (MachineKind::Pod, signer(50)),
            _ => (MachineKind::Node, signer(60 + n)),
        };
        let sealing = SealingSecret::generate(&mut rng).public().expect("a key");
        let body = MachineRegistration {
            version: DOCUMENT_VERSION,
            marketplace: app.id,
            sealing_key: Some(Bytes(sealing)),
        };
        let registration = Signed::sign(body, &by).expect("signed");
        let m = Machine {
            id: MachineId::new(NOW, [n; 10]),
            kind,
            operator: accounts[2],
            name: format!("m{n}"),
            signing_key: PublicKey(registration.key.0),
            registration: registration.text().expect("text"),
            decision: Decision::Pending,
            reason: String::new(),
            created_at: NOW,
        };
        let store = &app.store;
        store.register_machine(&m, NOW).await.expect("registered");
        store
            .decide_machine(m.id, admin, true, "ok", NOW)
            .await
            .expect("approved");
        if kind == MachineKind::Pod {
            pod = Some(m.id);
            continue;
        }
        let login = MachineLogin {
            version: DOCUMENT_VERSION,
            marketplace: app.id,
            machine: id_of(m.id),
            time: NOW,
            nonce: Nonce([n; 32]),
        };
        let login = Signed::sign(login, &by).expect("signed");
        let token = app.machine_token("here", &login).await.expect("a token");
        tokens.push(token.token);
    }
    let cash = CashRequestId::new(NOW, [1; 10]);
    let amount = MinorUnits::new(100_000).expect("in range");
    let transfer = TransferId::new(NOW, [1; 10]);
    app.store
        .request_cash(
            cash,
            transfer,
            TransferKind::Deposit,
            accounts[1],
            amount,
            "k",
            NOW,
        )
        .await
        .expect("asked");
    app.store
        .decide_cash(cash, admin, true, "", NOW)
        .await
        .expect("there");
    let market = Market {
        site: Data::new(Site::new(app.clone())),
        app,
        time,
        custodian: accounts[0],
        buyer: accounts[1],
        listing: ListingId::new(NOW, [9; 10]),
        pod: pod.expect("registered"),
        tokens,
        _dir: dir,
    };
    market.publish(admin).await;
    market
}

impl Market {
    async fn publish(&self, admin: AccountId) {
        let listing = Listing {
            id: self.listing,
            owner: self.custodian,
            title: "t".into(),
            description: String::new(),
            dataset: manifest().root(),
            created_at: NOW,
            updated_at: NOW,
            policy: None,
            state: ListingState::Draft,
        };
        let text = serde_json::to_string(&manifest()).expect("text");
        let store = &self.app.store;
        store
            .create_listing(&listing, &text, &[], NOW)
            .await
            .expect("made");
        let put = self.app.objects.put(self.listing, "public-key", &[1, 2, 3]);
        put.await.expect("stored");
        let signed = self.policy(1, |_| ());
        let terms = PolicyTerms::of(&signed.body).expect("terms");
        let policy = Some((terms, stored(&signed).expect("text")));
        store
            .step_listing(self.listing, ListingStep::Submit, policy, "a", NOW)
            .await
            .expect("submitted");
        store
            .step_listing(
                self.listing,
                ListingStep::Approve { by: admin },
                None,
                "a",
                NOW,
            )
            .await
            .expect("published");
    }

    fn dealing_path(&self, q: usize) -> String {
        format!(
            "/v1/listings/{}/dealings/{}",
            self.listing,
            dealing(q).digest()
        )
    }

    async fn announce(&self, q: usize) {
        let path = format!("{}/announcement", self.dealing_path(q));
        assert_eq!(self.call("PUT", &path, 0, announcement(q)).await.0, 200);
    }

    fn accepted(&self, q: usize, node: u8) -> Vec<u8> {
        let body = DealingAccepted {
            version: DOCUMENT_VERSION,
            marketplace: self.app.id,
            dataset: manifest().root(),
            dealing: dealing(q).digest(),
        };
        let signed = Signed::sign(body, &signer(60 + node)).expect("signed");
        serde_json::to_vec(&DealingAnswer::Accepted(signed)).expect("text")
    }

    async fn answer(&self, q: usize, node: u8, body: Vec<u8>) -> (u16, String) {
        let path = format!("/v1/node/dealings/{}", dealing(q).digest());
        self.refused("POST", &path, 3 + usize::from(node), body)
            .await
    }

    async fn deal(&self) {
        for (q, quorum) in QUORUMS.into_iter().enumerate() {
            self.announce(q).await;
            for node in quorum {
                assert_eq!(self.answer(q, node, self.accepted(q, node)).await.0, 200);
            }
        }
    }

    /// An order by itself, evaluated and verified as far as the store knows.
    async fn verified(&self) -> OrderId {
        let viewer = pass(self.buyer, Role::Buyer, "quote");
        let offer = self
            .app
            .make_quote(&viewer, self.listing, program(), None, None);
        let offer = offer.await.expect("quoted");
        let tickets = offer.tickets.as_ref().expect("a committee's");
        assert_eq!(tickets.needed, 1);
        let quote = Signed::<Quote>::parse(offer.signed.text.as_bytes()).expect("ours");
        let mut rng = ChaCha20Rng::seed_from_u64(9);
        let secret = SealingSecret::generate(&mut rng);
        let q = &quote.body;
        let body = Order {
            version: DOCUMENT_VERSION,
            marketplace: self.app.id,
            quote: offer.signed.digest,
            listing: q.listing.clone(),
            dataset: q.dataset,
            policy_version: q.policy_version,
            program: program(),
            pod: q.pod.id.clone(),
            pod_key: q.pod.signing_key,
            openers: q.openers.clone(),
            ticket_class: q.ticket_class,
            joint: Vec::new(),
            min_class: EvaluationClass::Proven,
            verifying_keys: q.verifying_keys.clone(),
            srs: q.srs.clone(),
            price: q.price.total,
            result_key: Bytes(secret.public().expect("a key")),
            nonce: Nonce(offer.signed.digest.0),
            deadline: self.now() + 300_000,
            sealed_model: None,
        };
        let signed = Signed::sign(body, &signer(2)).expect("signed");
        let value = serde_json::to_value(&signed).expect("JSON");
        let viewer = pass(self.buyer, Role::Buyer, "placeOrder");
        let order = self.app.place(&viewer, &value, None).await.expect("placed");
        let (store, token, now) = (&self.app.store, LeaseToken([4; 32]), self.now());
        store
            .lease_evaluation(self.pod, token, now)
            .await
            .expect("leased");
        let output = SubmittedOutput {
            ciphertext: vec![1],
            envelope: vec![2],
        };
        store
            .put_output(order.id, self.pod, token, 0, output, now)
            .await
            .expect("put");
        let body = Submission {
            version: DOCUMENT_VERSION,
            marketplace: self.app.id,
            order: order.terms.digest,
            outputs: vec![SubmittedDigest {
                ciphertext: Digest([90; 32]),
                envelope: Digest([91; 32]),
            }],
            work: Work::default(),
        };
        let submission = Signed::sign(body, &signer(50)).expect("signed");
        let text = stored(&submission).expect("text");
        store
            .submit(order.id, self.pod, token, text, 1, now)
            .await
            .expect("submitted");
        store.verified(order.id, now).await.expect("verified");
        order.id
    }

    async fn grant(&self) {
        self.app.grant_waiting(None, 32).await.expect("looked");
    }

    async fn lease(&self, node: u8) -> Option<NodeJob> {
        let token = 3 + usize::from(node);
        let (status, body) = self.call("POST", "/v1/node/lease", token, "").await;
        match status {
            204 => None,
            200 => {
                let jobs: NodeJobs = serde_json::from_slice(&body).expect("jobs");
                assert_eq!(jobs.jobs.len(), 1);
                jobs.jobs.into_iter().next()
            }
            other => panic!("{other}: {}", String::from_utf8_lossy(&body)),
        }
    }

    /// A node's delivery of a job; `word` is what was opened.
    fn delivery(&self, job: &NodeJob, node: u8, first: u64, word: u64) -> Deliver {
        self.delivery_of(job, node, first, word, sealed_masks_bytes(1))
    }

    /// The same with so many bytes of sealed masks.
    fn delivery_of(&self, job: &NodeJob, node: u8, first: u64, word: u64, masks: usize) -> Deliver {
        let by = signer(60 + node);
        let chain = Chain {
            marketplace: &self.app.key,
            policy: &job.policy,
            quote: &job.quote,
            order: &job.order,
        };
        // None for tickets that are not the dealing's.
        let session = chain.session(&job.grant, 0, first, &[1]);
        let session = session.map_or(Digest::default(), |s| s.digest());
        let (order, grant) = (job.order.digest(), job.grant.digest());
        let (order, grant) = (order.expect("digest"), grant.expect("digest"));
        let opening = Opening {
            version: DOCUMENT_VERSION,
            marketplace: self.app.id,
            order,
            grant,
            session,
            attempt: 0,
            first_ticket: first,
            values: 1,
            opened: Opening::digest_of_opened(&[word]),
        };
        let masked = masked(granted(job), first, &[word]);
        let sealed = vec![node; masks];
        let delivery = Delivery {
            version: DOCUMENT_VERSION,
            marketplace: self.app.id,
            order,
            grant,
            session: Some(session),
            sealed_result: Delivery::digest_of_sealed_result(&sealed),
            values: 1,
            counter_before: 0,
            counter_after: 1,
        };
        Deliver {
            orders: vec![Delivered {
                delivery: Signed::sign(delivery, &by).expect("signed"),
                opened: Some(OpenedByQuorum {
                    opening: Signed::sign(opening, &by).expect("signed"),
                    masked: Bytes(masked.encode()),
                }),
            }],
            sealed_result: Bytes(sealed),
        }
    }

    async fn deliver(&self, order: OrderId, node: u8, body: &Deliver) -> (u16, String) {
        let path = format!("/v1/node/jobs/{order}/delivery");
        let text = serde_json::to_vec(body).expect("text");
        self.refused("POST", &path, 3 + usize::from(node), text)
            .await
    }

    async fn refuse(&self, order: OrderId, job: &NodeJob, node: u8) -> (u16, String) {
        let body = NonDelivery {
            version: DOCUMENT_VERSION,
            marketplace: self.app.id,
            order: job.order.digest().expect("digest"),
            grant: job.grant.digest().expect("digest"),
            code: "FROZEN".into(),
            reason: "a peer is silent".into(),
            revealed: false,
        };
        let refusal = Signed::sign(body, &signer(60 + node)).expect("signed");
        let path = format!("/v1/node/jobs/{order}/non-delivery");
        let text = serde_json::to_vec(&Refuse { refusal }).expect("text");
        self.refused("POST", &path, 3 + usize::from(node), text)
            .await
    }
}

/// The quorum that a job is granted to.
fn granted(job: &NodeJob) -> usize {
    let Opener::Committee { quorum, .. } = &job.grant.body.opener else {
        panic!("a committee's")
    };
    let mut quorums = QUORUMS.iter();
    quorums.position(|q| q[..] == quorum[..]).expect("dealt to")
}

/// The same delivery with another masked result.
fn with_masked(good: &Deliver, masked: &MaskedResult) -> Deliver {
    let mut other = good.clone();
    let opened = other.orders[0].opened.as_mut().expect("opened");
    opened.masked = Bytes(masked.encode());
    other
}

#[actix_web::test]
async fn announcements_and_pieces() {
    // DOC-14, KEY-10
    let m = market(200_000).await;
    let path = format!("{}/announcement", m.dealing_path(0));
    let other = format!("{}/announcement", m.dealing_path(1));
    let say = async |path: &str, who: usize, body: Vec<u8>| m.refused("PUT", path, who, body).await;
    let link = (409, "DOCUMENT_LINK".to_owned());
    assert_eq!(say(&other, 0, announcement(0)).await, link);
    assert_eq!(say(&path, 0, vec![0; 4097]).await.1, "TOO_LARGE");
    assert_eq!(say(&path, 0, vec![0; 40]).await.1, "INVALID");
    assert_eq!(say(&path, 1, announcement(0)).await.1, "FORBIDDEN");
    assert_eq!(say(&path, 2, announcement(0)).await.1, "NOT_FOUND");
    for _ in 0..2 {
        assert_eq!(say(&path, 0, announcement(0)).await.0, 200);
    }
    // A piece for party 1 of the quorum of nodes 0 and 1.
    let at = |piece: u32| format!("{}/1/offer/{piece}", m.dealing_path(0));
    let sealed = vec![5; PIECE_OVERHEAD + 10];
    for _ in 0..2 {
        assert_eq!(say(&at(0), 0, sealed.clone()).await.0, 200);
    }
    let changed = vec![6; PIECE_OVERHEAD + 10];
    assert_eq!(say(&at(0), 0, changed).await, (409, "CONFLICT".into()));
    assert_eq!(say(&at(1), 2, sealed.clone()).await.1, "NOT_FOUND");
    assert_eq!(say(&at(1), 0, vec![1; 10]).await.1, "INVALID");
    assert_eq!(say(&at(1 << 16), 0, sealed.clone()).await.1, "TOO_LARGE");
    let unknown = format!("{}/1/secrets/0", m.dealing_path(0));
    assert_eq!(say(&unknown, 0, sealed.clone()).await.1, "NOT_FOUND");
    let full = (413, "DEALING_BYTES".to_owned());
    assert_eq!(say(&at(1), 0, vec![1; 150_000]).await, full);
    assert_eq!(
        say(&at(2), 0, vec![1; (1 << 20) + PIECE_OVERHEAD + 1])
            .await
            .0,
        413
    );
    let (_, held) = m
        .call(
            "GET",
            &format!("/v1/listings/{}/dealings", m.listing),
            0,
            "",
        )
        .await;
    let held: Value = serde_json::from_slice(&held).expect("JSON");
    assert_eq!(
        held,
        json!({ "dealings": [{
            "digest": dealing(0).digest(), "announced": true,
            "parts": [{ "party": 1, "part": "offer", "pieces": 1 }],
        }] })
    );
    // Each node gets its own party's: node 1 is party 1, node 0 is not, node 2 is
    // in another quorum.
    let piece = format!("/v1/node/dealings/{}/offer/0", dealing(0).digest());
    assert_eq!(m.call("GET", &piece, 4, "").await, (200, sealed));
    for who in [3, 5] {
        assert_eq!(m.refused("GET", &piece, who, "").await.0, 404);
    }
    let asked = async |who: usize| {
        let (status, body) = m.call("POST", "/v1/node/dealings", who, "").await;
        assert_eq!(status, 200);
        let jobs: DealingJobs = serde_json::from_slice(&body).expect("jobs");
        jobs.listings
            .iter()
            .map(|l| l.announced.len())
            .sum::<usize>()
    };
    assert_eq!((asked(3).await, asked(4).await, asked(5).await), (1, 1, 0));
    // Answers: a node's own, about its own dealing; a refusal stays.
    assert_eq!(
        m.answer(0, 0, m.accepted(0, 1)).await,
        (409, "DOCUMENT_LINK".into())
    );
    assert_eq!(m.answer(0, 2, m.accepted(0, 2)).await.0, 404);
    assert_eq!(m.answer(0, 0, m.accepted(0, 0)).await.0, 200);
    assert_eq!(asked(3).await, 0);
    let body = DealingRefused {
        version: DOCUMENT_VERSION,
        marketplace: m.app.id,
        dataset: manifest().root(),
        dealing: dealing(0).digest(),
        code: "FROZEN".into(),
        reason: "a check failed".into(),
    };
    let refused = DealingAnswer::Refused(Signed::sign(body, &signer(60)).expect("signed"));
    let refused = serde_json::to_vec(&refused).expect("text");
    for _ in 0..2 {
        assert_eq!(m.answer(0, 0, refused.clone()).await.0, 200);
    }
    let back = m.answer(0, 0, m.accepted(0, 0)).await;
    assert_eq!(back, (409, "ALREADY_DECIDED".into()));
    let shown = m.app.store.listing(m.listing).await.expect("there");
    let tickets = m.app.listing_tickets(&shown);
    let tickets = tickets.await.expect("told").expect("a committee's");
    assert_eq!(tickets.dealings[0].state, "refused");
    assert_eq!(tickets.dealings[0].answers[0].code, "FROZEN");
    // DOC-12: a policy lists what was announced, all of it.
    let update = async |change: fn(&mut Tickets)| {
        let policy = m.policy(2, |p| change(p.tickets.as_mut().expect("a committee's")));
        let value = serde_json::to_value(&policy).expect("JSON");
        let listing = m.app.store.listing(m.listing).await.expect("there");
        let (terms, text) = m.app.owners_policy(&listing, &value).await?;
        m.app
            .store
            .update_policy(m.listing, terms, text, "a", NOW)
            .await
            .map(drop)
    };
    let root = update(|t| t.dealings[0].root = Digest([1; 32])).await;
    assert_eq!(root.map_err(|e| e.code()), Err("DEALING_DIFFERS"));
    let lost = update(|t| drop(t.dealings.pop())).await;
    assert_eq!(lost.map_err(|e| e.code()), Err("DEALINGS_NOT_KEPT"));
    assert_eq!(update(|_| ()).await, Ok(()));
}

#[actix_web::test]
async fn a_seat_that_is_filled_anew_leaves_old_dealings_listed() {
    // DOC-12, CST-9: node 0 is replaced by a node with a key of its own. The
    // dealings of before stay in every later policy, whoever has the seat now;
    // a new one is for the nodes of now.
    let m = market(1 << 30).await;
    m.deal().await;
    let seat = |p: &mut Policy| {
        let Openers::Committee { nodes, .. } = &mut p.openers else {
            panic!("a committee")
        };
        nodes[0] = key(90);
    };
    let listing = m.app.store.listing(m.listing).await.expect("there");
    let taken = |p: Signed<Policy>| {
        let (app, listing) = (m.app.clone(), listing.clone());
        let value = serde_json::to_value(&p).expect("a value");
        async move { app.owners_policy(&listing, &value).await.map(|(t, _)| t) }
    };
    let replaced = taken(m.policy(2, seat)).await.expect("taken");
    assert_eq!(replaced.openers.keys()[0], key(90));
    // Announced for the old node, in no policy before: not for this committee.
    let old = Dealing {
        first: 40,
        ..dealing(0)
    };
    let mut w = Writer::new();
    old.encode(&mut w);
    let store = &m.app.store;
    store
        .announce(m.listing, old.digest(), &w.finish(), NOW)
        .await
        .expect("announced");
    let more = |p: &mut Policy| {
        seat(p);
        let all = &mut p.tickets.as_mut().expect("tickets").dealings;
        all.push(DealingTerms {
            digest: old.digest(),
            first: 40,
            ..listed(0)
        });
    };
    assert_eq!(
        taken(m.policy(2, more)).await,
        Err(DomainError::DealingDiffers { what: "parties" })
    );
    // As it was announced, or not at all.
    let other = |p: &mut Policy| p.tickets.as_mut().expect("tickets").dealings[0].count -= 1;
    assert_eq!(
        taken(m.policy(2, other)).await,
        Err(DomainError::DealingDiffers {
            what: "number of tickets"
        })
    );
}

#[actix_web::test]
async fn a_quorum_delivers() {
    // KEY-1, KEY-11, SET-3, SET-7, REC-7, ORD-7
    let m = market(1 << 30).await;
    let viewer = pass(m.buyer, Role::Buyer, "quote");
    let early = m
        .app
        .make_quote(&viewer, m.listing, program(), None, None)
        .await;
    assert_eq!(
        early.map(drop).map_err(|e| e.code()),
        Err("TICKETS_USED_UP")
    );
    m.deal().await;
    let order = m.verified().await;
    // Nodes 1 and 2 were heard of lately, node 0 was not since two minutes.
    m.time.fetch_add(200_000, Ordering::SeqCst);
    assert!(m.lease(1).await.is_none() && m.lease(2).await.is_none());
    m.grant().await;
    assert!(m.lease(0).await.is_none());
    let job = m.lease(1).await.expect("granted");
    assert_eq!(m.lease(1).await.map(|j| j.order_id), None, "leased");
    assert_eq!(m.lease(2).await.map(|j| j.order_id), Some(id_of(order)));
    let object = |name: &str| format!("/v1/node/jobs/{order}/objects/{name}");
    assert_eq!(
        m.call("GET", &object("ciphertext-0"), 4, "").await,
        (200, vec![1])
    );
    assert_eq!(m.call("GET", &object("ciphertext-0"), 3, "").await.0, 404);
    let masked = format!("/v1/orders/{order}/masked");
    let masks = |n: u8| format!("/v1/orders/{order}/masks/{n}");
    let good = m.delivery(&job, 1, 7, 123);
    // What does not hold together.
    let mut bad = good.clone();
    bad.orders[0].opened = None;
    assert_eq!(m.deliver(order, 1, &bad).await.1, "INVALID");
    let mut bad = good.clone();
    let other = m.delivery(&job, 1, 7, 124).orders.remove(0).opened;
    bad.orders[0].opened.as_mut().expect("opened").masked = other.expect("opened").masked;
    assert_eq!(m.deliver(order, 1, &bad).await.1, "DOCUMENT_LINK");
    let mut bad = good.clone();
    bad.sealed_result.0.push(1);
    assert_eq!(m.deliver(order, 1, &bad).await.1, "DOCUMENT_LINK");
    let bad = m.delivery_of(&job, 1, 7, 123, sealed_masks_bytes(1) + 1);
    assert_eq!(m.deliver(order, 1, &bad).await.1, "INVALID");
    let beyond = m.delivery(&job, 1, 25, 123);
    assert_eq!(m.deliver(order, 1, &beyond).await.1, "INVALID");
    assert_eq!(m.deliver(order, 2, &good).await.0, 409, "another node's");
    assert_eq!(m.deliver(order, 0, &good).await.0, 404);
    for _ in 0..2 {
        assert_eq!(m.deliver(order, 1, &good).await.0, 200);
    }
    assert_eq!(m.call("GET", &masked, 1, "").await.0, 404, "not paid yet");
    let differs = m.delivery(&job, 2, 7, 124);
    assert_eq!(m.deliver(order, 2, &differs).await.1, "OPENING_DIFFERS");
    let second = m.delivery(&job, 2, 7, 123);
    assert_eq!(m.deliver(order, 2, &second).await.0, 200);
    assert_eq!(
        m.deliver(order, 2, &second).await.0,
        200,
        "the answer was lost"
    );
    // The buyer, and nobody else.
    let opened = good.orders[0].opened.as_ref().expect("opened");
    assert_eq!(
        m.call("GET", &masked, 1, "").await,
        (200, opened.masked.0.clone())
    );
    assert_eq!(
        m.call("GET", &masks(1), 1, "").await,
        (200, vec![1; sealed_masks_bytes(1)])
    );
    assert_eq!(m.call("GET", &masks(0), 1, "").await.0, 404);
    assert_eq!(m.call("GET", &masked, 0, "").await.0, 403);
    let (_, receipt) = m
        .call("GET", &format!("/v1/orders/{order}/receipt"), 1, "")
        .await;
    let receipt = Signed::<Receipt>::parse(&receipt).expect("a receipt").body;
    let by = |keys: Vec<Key>| assert_eq!(keys, [node_key(1), node_key(2)]);
    by(receipt.openings.iter().map(|o| o.key).collect());
    by(receipt.deliveries.iter().map(|d| d.key).collect());
    assert_eq!(
        receipt.assurance.decryption,
        DecryptionClass::CommitteeAttested
    );
    let listing = m.app.store.listing(m.listing).await.expect("there");
    let tickets = m.app.listing_tickets(&listing).await.expect("told");
    let tickets = tickets.expect("a committee's");
    assert_eq!(
        (
            tickets.classes[0].spent.as_str(),
            tickets.dealings[1].next.as_str()
        ),
        ("3", "8")
    );
    // ORD-7: counts that nodes tell.
    let told = json!({ "tickets": [{ "dealing": dealing(1).digest(), "next": "12" }] });
    let (status, _) = m
        .call("POST", "/v1/node/tickets", 5, told.to_string())
        .await;
    assert_eq!(status, 200);
    let tickets = m.app.listing_tickets(&listing).await.expect("told");
    assert_eq!(tickets.expect("a committee's").dealings[1].next, "12");
}

#[actix_web::test]
async fn a_lying_nodes_points_do_not_stop_its_quorum() {
    // DOC-13, TKT-5: node 1 is first, with its own signatures and the right
    // words, but with commitments that the custodian did not deal.
    let m = market(1 << 30).await;
    m.deal().await;
    let order = m.verified().await;
    m.grant().await;
    let (lease, first) = (m.lease(1).await, 9);
    let job = lease.expect("granted");
    let q = granted(&job);
    let honest = if QUORUMS[q][0] == 1 { 2 } else { 0 };
    assert!(m.lease(honest).await.is_some());
    let lie = m.delivery(&job, 1, first, 123);
    let good = masked(q, first, &[123]);
    let places = good.siblings.len();
    type Change = Box<dyn Fn(&mut MaskedResult)>;
    let mut lies: Vec<Change> = vec![
        // Its own mask, of a ticket that it was not dealt.
        Box::new(|r| r.commitments[0][0] = MaskShare::sum([]).commit().compress().0),
        // No point at all.
        Box::new(|r| r.commitments[0][1] = [0xff; 32]),
        Box::new(|r| r.commitments[0].swap(0, 1)),
        // Of a quorum of three.
        Box::new(|r| r.commitments[0].push([0; 32])),
        // Another ticket of the same dealing, and the same one of another.
        Box::new(move |r| r.commitments = masked(q, first + 1, &[123]).commitments),
        Box::new(move |r| r.siblings = masked(q, first + 1, &[123]).siblings),
        Box::new(move |r| *r = masked(q + 1, first, &[123])),
        Box::new(|r| r.siblings.clear()),
        Box::new(|r| r.siblings.push(Digest::default())),
    ];
    for at in 0..places {
        lies.push(Box::new(move |r| r.siblings[at].0[0] ^= 1));
    }
    for (n, change) in lies.iter().enumerate() {
        let mut bad = good.clone();
        change(&mut bad);
        assert_ne!(bad, good, "lie {n} is none");
        let bad = with_masked(&lie, &bad);
        let refused = m.deliver(order, 1, &bad).await;
        assert_eq!(refused, (409, "MASKS_NOT_DEALT".into()), "lie {n}");
    }
    // Other words, values or tickets than the node signed are told apart from that.
    for other in [
        masked(q, first, &[124]),
        masked(q, first, &[123, 123]),
        masked(q, first + 1, &[123]),
    ] {
        let refused = m.deliver(order, 1, &with_masked(&lie, &other)).await;
        assert_eq!(refused, (409, "DOCUMENT_LINK".into()));
    }
    let mut bad = lie.clone();
    let opened = bad.orders[0].opened.as_mut().expect("opened");
    opened.masked.0.push(0);
    assert_eq!(m.deliver(order, 1, &bad).await.1, "INVALID");
    let mut alone = good.clone();
    alone.commitments[0].pop();
    let alone = with_masked(&lie, &alone);
    assert_eq!(m.deliver(order, 1, &alone).await.1, "INVALID");
    // An order twice, or none: nothing is checked of it.
    let mut bad = lie.clone();
    bad.orders.push(bad.orders[0].clone());
    assert_eq!(m.deliver(order, 1, &bad).await.1, "DOCUMENT_LINK");
    bad.orders.clear();
    assert_eq!(m.deliver(order, 1, &bad).await.1, "DOCUMENT_LINK");
    // Nothing of it stays: the honest node's is the first, and counts.
    let state = async || m.app.store.order(order).await.expect("there").state;
    assert_eq!(state().await.name(), "opening");
    let own = m.delivery(&job, honest, first, 123);
    assert_eq!(m.deliver(order, honest, &own).await.0, 200);
    assert_eq!(state().await.name(), "opening");
    // The quorum delivers once the other one tells the truth.
    assert_eq!(m.deliver(order, 1, &lie).await.0, 200);
    assert_eq!(state().await.name(), "released");
    let masked = format!("/v1/orders/{order}/masked");
    assert_eq!(
        m.call("GET", &masked, 1, "").await,
        (200, good.encode()),
        "what the custodian dealt"
    );
}

#[actix_web::test]
async fn a_delivery_has_so_many_bytes_and_no_more() {
    // POD-1, ORD-8: at the limit and one beyond.
    let m = market(1 << 30).await;
    m.deal().await;
    let order = m.verified().await;
    m.grant().await;
    let job = m.lease(1).await.expect("granted");
    let mut text = serde_json::to_vec(&m.delivery(&job, 1, 5, 1)).expect("text");
    text.resize(MAX_DELIVER_BYTES + 1, b' ');
    let path = format!("/v1/node/jobs/{order}/delivery");
    let (status, refusal) = m.call("POST", &path, 4, text.clone()).await;
    assert_eq!(status, 413);
    let refusal: ErrorAnswer = serde_json::from_slice(&refusal).expect("JSON");
    let (limit, value) = (MAX_DELIVER_BYTES, MAX_DELIVER_BYTES + 1);
    assert_eq!(refusal.code, "TOO_LARGE");
    assert_eq!(
        refusal.message,
        format!("request body: {value} exceeds the limit {limit}")
    );
    text.truncate(MAX_DELIVER_BYTES);
    assert_eq!(m.call("POST", &path, 4, text).await.0, 200);
}

#[actix_web::test]
async fn a_node_has_so_many_deliveries_under_way() {
    // UP-7, ACC-5: large bodies of a machine at once, and what is checked of a
    // node at once; another node's turn is its own.
    let m = market(1 << 30).await;
    m.deal().await;
    let order = m.verified().await;
    m.grant().await;
    let job = m.lease(1).await.expect("granted");
    let node = QUORUMS[granted(&job)].into_iter().find(|n| *n != 1);
    let node = node.expect("another");
    let path = format!("/v1/node/jobs/{order}/delivery");
    let text = |n: u8| serde_json::to_vec(&m.delivery(&job, n, 5, 1)).expect("text");
    let mut large = text(1);
    large.resize(MAX_PLAIN + 1, b' ');
    let held = |key: String, most: usize| -> Vec<_> {
        let taken = |_| m.app.held.take(&key, most).expect("free");
        (0..most).map(taken).collect()
    };
    let limited = (429, "RATE_LIMITED".to_owned());
    let machine = MachineId::new(NOW, [1; 10]);
    let bodies = held(format!("body:{machine}"), MAX_LARGE_AT_ONCE);
    assert_eq!(m.refused("POST", &path, 4, large.clone()).await, limited);
    drop(bodies);
    let key = PublicKey(node_key(1).0);
    let checks = held(format!("delivery:{key}"), MAX_DELIVERIES_AT_ONCE);
    assert_eq!(m.refused("POST", &path, 4, text(1)).await, limited);
    let other = m.call("POST", &path, 3 + usize::from(node), text(node));
    assert_eq!(other.await.0, 200);
    drop(checks);
    assert_eq!(m.call("POST", &path, 4, large).await.0, 200);
    let state = m.app.store.order(order).await.expect("there").state;
    assert_eq!(state.name(), "released");
}

#[actix_web::test]
async fn a_refusal_goes_to_the_next_quorum() {
    // SET-7
    let m = market(1 << 30).await;
    m.deal().await;
    let order = m.verified().await;
    m.grant().await;
    let job = m.lease(0).await.expect("granted to the first of equals");
    assert_eq!(m.refuse(order, &job, 1).await.0, 200);
    assert_eq!(m.refuse(order, &job, 2).await.0, 404);
    let state = async || m.app.store.order(order).await.expect("there").state;
    assert_eq!(state().await.name(), "verified");
    m.grant().await;
    // Rather to two that had no part in what came to nothing.
    let second = m.lease(2).await.expect("granted to others");
    assert_eq!(second.grant.body.number, 1);
    assert_eq!(QUORUMS[granted(&second)], [2, 3]);
    // A delivery for the first grant still counts, but its other node has refused.
    let late = m.delivery(&job, 0, 5, 1);
    assert_eq!(m.deliver(order, 0, &late).await.0, 200);
    for node in [2, 3] {
        let word = m.delivery(&second, node, 5, 2);
        assert_eq!(m.deliver(order, node, &word).await.0, 200);
    }
    let OrderState::Released(r) = state().await else {
        panic!("not released")
    };
    assert_eq!((r.number, r.grants), (1, 2));
    // After the deadline nothing is taken.
    let order = m.verified().await;
    m.grant().await;
    let job = m.lease(1).await.expect("granted");
    m.time.fetch_add(300_001, Ordering::SeqCst);
    m.app.store.sweep(m.now(), 9).await.expect("swept");
    let OrderState::Refunded(_) = m.app.store.order(order).await.expect("there").state else {
        panic!("not refunded")
    };
    let late = m.delivery(&job, 1, 10, 3);
    assert_eq!(
        m.deliver(order, 1, &late).await,
        (409, "ORDER_STATE".into())
    );
}

#[actix_web::test]
async fn a_grant_to_a_silent_node_is_given_up() {
    // SET-7
    let m = market(1 << 30).await;
    m.deal().await;
    let order = m.verified().await;
    let state = async || m.app.store.order(order).await.expect("there").state;
    let look = async || m.app.give_up_silent(None, 9).await.expect("looked");
    m.grant().await;
    let job = m.lease(0).await.expect("granted to the first of equals");
    assert_eq!(QUORUMS[granted(&job)], [0, 1]);
    // All were heard of lately: it stays.
    for node in 1..4 {
        m.lease(node).await;
    }
    look().await;
    assert_eq!(state().await.name(), "opening");
    // Node 0 is silent, and so is the other quorum.
    m.time.fetch_add(61_000, Ordering::SeqCst);
    m.lease(1).await;
    look().await;
    assert_eq!(state().await.name(), "opening");
    // Of the other one all are heard of: it has its turn, once.
    m.lease(2).await;
    m.lease(3).await;
    look().await;
    assert_eq!(state().await.name(), "verified");
    look().await;
    m.grant().await;
    let second = m.lease(3).await.expect("granted to the others");
    assert_eq!(second.grant.body.number, 1);
    assert!(!QUORUMS[granted(&second)].contains(&0));
    // Silent themselves, they keep it: there is nobody heard of for it.
    m.time.fetch_add(61_000, Ordering::SeqCst);
    look().await;
    assert_eq!(state().await.name(), "opening");
    for node in QUORUMS[granted(&second)] {
        let word = m.delivery(&second, node, 5, 2);
        assert_eq!(m.deliver(order, node, &word).await.0, 200);
    }
    assert_eq!(state().await.name(), "released");
}
