//! Accounts and machines that ask for too much: of the ledger, of a listing's
//! quota, of the server's memory; and what a crash leaves of an upload.

use crate::common::{Market, bare, policy, settings};
use serde_json::{Value, json};
use veilbourse::demo::journey::available;
use veilbourse_client::{
    ClientError,
    buyer::{self, Ticket},
    dataset,
    http::Silent,
    market::{self, Decide},
};
use veilbourse_core::{ciphertext::OutputCiphertext, wire::Writer};
use veilbourse_documents::{
    DOCUMENT_VERSION, Policy, Signed, Submission, Work,
    api::{PodJob, Submit},
};
use veilbourse_server::{Limits, ServerConfig};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deposits_of_one_account_hold_up_no_other() {
    // LED-4, ACC-5
    let limits = Limits {
        place: 20,
        ..settings().limits
    };
    let (_dir, world, _) = bare(ServerConfig {
        limits,
        ..settings()
    })
    .await;
    let greedy = world
        .person("g@test.example", "g", "BUYER")
        .await
        .expect("registers");
    let honest = world
        .person("h@test.example", "h", "BUYER")
        .await
        .expect("registers");
    let most = 1_000_000_000_000;
    let too_much = market::request_deposit(&greedy.session, most + 1, "all").await;
    assert_eq!(too_much.unwrap_err().code(), Some("CASH_PENDING"));
    let mut asked = Vec::new();
    for n in 0..8 {
        let key = n.to_string();
        let id = market::request_deposit(&greedy.session, most / 8, &key).await;
        asked.push(id.expect("within both limits"));
    }
    let ninth = market::request_deposit(&greedy.session, 1, "ninth").await;
    assert_eq!(ninth.unwrap_err().code(), Some("CASH_PENDING"));
    let id = market::request_deposit(&honest.session, 500, "k")
        .await
        .expect("asks");
    market::decide(&world.admin, Decide::Deposit, id.as_str(), true, "")
        .await
        .expect("yes");
    assert_eq!(available(&honest.session).await.expect("a balance"), 500);
    // What is decided makes room.
    market::decide(&world.admin, Decide::Deposit, asked[0].as_str(), false, "")
        .await
        .expect("no");
    market::request_deposit(&greedy.session, 1, "ninth")
        .await
        .expect("there is room");
    // Asking without end is limited, and of others nothing.
    let mut last = None;
    for _ in 0..30 {
        last = market::request_deposit(&greedy.session, most, "more")
            .await
            .err();
    }
    assert_eq!(
        last.as_ref().and_then(ClientError::code),
        Some("RATE_LIMITED")
    );
    market::request_deposit(&honest.session, 5, "l")
        .await
        .expect("asks");
    let (_, balanced) = market::ledger(&world.admin).await.expect("a ledger");
    assert!(balanced);
    world.stop().await.expect("stops");
}

impl Market {
    async fn change_policy(&self, change: impl FnOnce(&mut Policy)) -> Result<Value, ClientError> {
        let mut body = policy(
            &self.world,
            self.node_key,
            &self.listing,
            &self.folder,
            self.now(),
        );
        body.policy_version = 2;
        change(&mut body);
        let signed = Signed::sign(body, &self.custodian.key).expect("signs");
        let document =
            "mutation($id: String!, $p: JSON!) { updatePolicy(id: $id, policy: $p) { id } }";
        let variables = json!({ "id": self.listing.as_str(), "p": signed });
        let server = &self.custodian.session.server;
        server.graphql("updatePolicy", document, variables).await
    }

    /// The same order again: the same id, nothing moves.
    async fn again(&self, ticket: &Ticket, first: &veilbourse_documents::Id) {
        let before = available(&self.buyer.session).await.expect("a balance");
        let again = buyer::place(&self.buyer.session, ticket).await;
        assert_eq!(again.expect("the order that is there"), *first);
        let after = available(&self.buyer.session).await.expect("a balance");
        assert_eq!(after, before);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_order_is_answered_whatever_happened_since() {
    // ORD-2: the quote expires, the quota is this order's, the listing is paused.
    let config = ServerConfig {
        quote_seconds: 30,
        ..settings()
    };
    let m = Market::open(config).await;
    let (idle, _) = m.world.new_pod("idle").await.expect("approved");

    // Nothing is free, and the market stays as it was.
    let free = |p: &mut Policy| {
        p.price_order = 0;
        p.price_output = 0;
    };
    let refused = m.change_policy(free).await.unwrap_err();
    assert_eq!(refused.code(), Some("POLICY_FREE"), "{refused}");

    // A deadline too far ahead would reserve the quota for ever.
    let ticket = m.ticket(Some(&idle.id)).await;
    let mut late = ticket.clone();
    late.order.body.deadline = m.now() + 24 * 3_600_000 + 1;
    late.order = Signed::sign(late.order.body, &m.buyer.key).expect("signs");
    let refused = buyer::place(&m.buyer.session, &late).await.unwrap_err();
    assert_eq!(refused.code(), Some("DEADLINE_TOO_LATE"), "{refused}");

    // All four values that the policy allows.
    m.change_policy(|p| p.quota_values = 4)
        .await
        .expect("a newer policy");
    let ticket = m.ticket(Some(&idle.id)).await;
    let first = buyer::place(&m.buyer.session, &ticket)
        .await
        .expect("placed");
    m.again(&ticket, &first).await;
    m.advance(31_000);
    m.again(&ticket, &first).await;
    let document = "mutation($id: String!) { pauseListing(id: $id) { id } }";
    let variables = json!({ "id": m.listing.as_str() });
    let server = &m.custodian.session.server;
    server
        .graphql("pauseListing", document, variables)
        .await
        .expect("paused");
    m.again(&ticket, &first).await;
    m.world.stop().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_put_what_an_output_can_have_and_nothing_more() {
    // POD-1, ACC-6; and UP-1: an upload that a crash left whole but staged.
    let m = Market::open(settings()).await;
    let (identity, _) = m.world.new_pod("idle").await.expect("approved");
    let machine = m.world.machine(identity.clone());
    let ticket = m.ticket(Some(&identity.id)).await;
    let order = buyer::place(&m.buyer.session, &ticket)
        .await
        .expect("placed");
    let job: PodJob = machine
        .post("/v1/pod/lease", &json!({}))
        .await
        .expect("answers")
        .expect("the job");
    let path = |what: &str| format!("/v1/pod/jobs/{order}/{what}");
    let most = usize::try_from(OutputCiphertext::MAX_LEN).expect("fits");
    let put = async |index: u32, ciphertext: usize, envelope: usize| {
        let mut w = Writer::new();
        w.bytes(&vec![1; ciphertext]).bytes(&vec![2; envelope]);
        let path = path(&format!("outputs/{index}"));
        machine.put(&path, &job.lease, w.finish()).await
    };
    for (ciphertext, envelope, named) in [
        (most + 1, 10, format!("exceeds the limit {most}")),
        (10, 16 << 20, "output.envelope".into()),
    ] {
        let refused = put(0, ciphertext, envelope).await.unwrap_err();
        assert_eq!(refused.code(), Some("TOO_LARGE"), "{refused}");
        assert!(refused.to_string().contains(&named), "{refused}");
    }
    let beyond = put(4, 10, 10).await.unwrap_err();
    assert_eq!(beyond.code(), Some("TOO_LARGE"), "{beyond}");
    put(0, most, 10).await.expect("within the limits");

    // One output of four: the submission names what is missing.
    let submission = Submission {
        version: DOCUMENT_VERSION,
        marketplace: machine.marketplace(),
        order: job.order.digest().expect("a digest"),
        outputs: vec![
            veilbourse_documents::SubmittedDigest {
                ciphertext: veilbourse_core::digest::Digest([1; 32]),
                envelope: veilbourse_core::digest::Digest([2; 32]),
            };
            4
        ],
        work: Work::default(),
    };
    let hand_in = Submit {
        lease: job.lease,
        submission: Signed::sign(submission, &identity.key).expect("signs"),
    };
    let missing = machine
        .post::<_, Value>(&path("submission"), &hand_in)
        .await
        .unwrap_err();
    assert_eq!(missing.code(), Some("OBJECT_INCOMPLETE"), "{missing}");
    assert!(missing.to_string().contains("output-1"), "{missing}");

    // Another pod is told the same of this order as of none.
    let (other, _) = m.world.new_pod("other").await.expect("approved");
    let other = m.world.machine(other);
    let none = "01900000-0000-7000-8000-000000000000";
    for id in [order.as_str(), none] {
        let beat = json!({ "lease": job.lease, "stage": "x", "progress": 1 });
        let back = json!({ "lease": job.lease, "reason": "x" });
        let bodies = [
            ("heartbeat", beat),
            ("decline", back),
            ("submission", json!(hand_in)),
        ];
        for (what, body) in bodies {
            let path = format!("/v1/pod/jobs/{id}/{what}");
            let refused = other.post::<_, Value>(&path, &body).await.unwrap_err();
            assert_eq!(refused.code(), Some("NOT_FOUND"), "{what}: {refused}");
        }
    }

    // A second draft of the same dataset, its sums staged whole by a server
    // that stopped before it renamed them.
    let session = &m.custodian.session;
    let note = m
        .dir
        .path()
        .join(format!("dataset/listing-{}.id", session.account));
    std::fs::remove_file(note).expect("the first draft's note");
    let listing = dataset::draft(session, &m.folder, "Again", "a test")
        .await
        .expect("a draft");
    let staging = m.world.dir.join("server/objects/staging");
    let staging = staging.join(listing.as_str());
    std::fs::create_dir_all(&staging).expect("a folder");
    std::fs::copy(m.folder.object("sums"), staging.join("sums")).expect("staged");
    dataset::upload(&session.server, &listing, &m.folder, &Silent)
        .await
        .expect("goes on behind the sums");
    assert!(!staging.join("sums").exists());
    let body = policy(&m.world, m.node_key, &listing, &m.folder, m.now());
    let signed = Signed::sign(body, &m.custodian.key).expect("signs");
    dataset::submit(session, &listing, &signed)
        .await
        .expect("whole");
    m.world.stop().await.expect("stops");
}
