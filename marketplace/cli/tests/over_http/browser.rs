//! The core that pages call, natively against a running market: a custodian's day in
//! committee custody, and a buyer's in both (DS-1, DOC-14, ORD-2, REC, TRN).

use crate::common::{DEPOSIT, Market, bare, csv, settings, srs};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use serde_json::{Value, json};
use std::{
    io::Cursor,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};
use veilbourse::{
    args::CommitteeSize,
    demo::custody::{self, Committee},
    progress::Bars,
};
use veilbourse_browser::{Core, CoreError, Environment, Input, Reply};
use veilbourse_client::{
    buyer,
    http::Silent,
    market::{self, Decide, Session},
};
use veilbourse_documents::Id;
use veilbourse_pod::Circuits;

const PASS: &str = "correct horse battery";

struct Clock(Arc<AtomicU64>, Instant);

impl Environment for Clock {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
    fn seconds(&self) -> f64 {
        self.1.elapsed().as_secs_f64()
    }
    fn room(&self, _: u64) -> bool {
        true
    }
}

/// A person at a page: the core, and what the page stores.
struct Page {
    core: Core,
    vault: Vec<u8>,
    account: Id,
}

impl Page {
    async fn open(url: &str, folder: &Path, session: &Session, time: &Arc<AtomicU64>) -> Self {
        let clock = Box::new(Clock(time.clone(), Instant::now()));
        let rng = ChaCha20Rng::from_rng(&mut veilbourse::rng(None));
        let token = session.server.token().expect("signed in");
        let core = Core::new(url, folder.join("datasets"), rng, clock).speaking_as(token);
        let mut page = Self {
            core,
            vault: Vec::new(),
            account: session.account.clone(),
        };
        page.ask("vaultCreate", json!({ "passphrase": PASS })).await;
        let account = page.account.clone();
        page.ask("registerKey", json!({ "account": account })).await;
        page
    }

    async fn call(
        &mut self,
        method: &str,
        arguments: Value,
        table: Option<String>,
    ) -> Result<Reply, CoreError> {
        let input = table.map(|t| Box::new(Cursor::new(t.into_bytes())) as Box<dyn Input>);
        let text = arguments.to_string();
        let reply = self.core.call(method, &text, input, None, &Silent).await?;
        if let Some(bytes) = &reply.vault {
            self.vault.clone_from(bytes);
        }
        Ok(reply)
    }

    async fn ask(&mut self, method: &str, arguments: Value) -> Value {
        let reply = self.call(method, arguments, None).await;
        reply.unwrap_or_else(|e| panic!("{method}: {e}")).value
    }

    async fn refused(&mut self, method: &str, arguments: Value) -> String {
        match self.call(method, arguments, None).await {
            Ok(reply) => panic!("{method} gave {}", reply.value),
            Err(e) => e.code,
        }
    }

    /// Fitted, tried on the twin, quoted, signed, placed; the order's id.
    async fn bought(&mut self, listing: &Id, query: Value) -> Value {
        let fit = self
            .ask("fit", json!({ "listing": listing, "query": query }))
            .await;
        let tried = self.ask("runOnTwin", json!({ "fit": fit["fit"] })).await;
        assert_eq!(tried["synthetic"], true);
        let loss = tried["accuracyLoss"].as_f64().expect("a figure");
        let error = |o: &Value| o["roundingError"].as_f64().expect("a figure");
        let outputs = tried["outputs"].as_array().expect("outputs");
        let most = outputs.iter().map(error).fold(0.0, f64::max);
        assert!(loss <= most + 1e-9, "{loss} beyond {most}");
        let offer = self.ask("quote", json!({ "fit": fit["fit"] })).await;
        assert_eq!(
            self.refused("sign", json!({ "offer": offer["offer"], "maxPrice": "1" }))
                .await,
            "PRICE"
        );
        // Shown to the page, and checked as if it had asked itself.
        let details = offer["details"].clone();
        let again = self
            .ask("quoteCheck", json!({ "fit": fit["fit"], "quote": details }))
            .await;
        assert_eq!(again["digest"], offer["digest"]);
        let mut forged = offer["details"].clone();
        forged["document"]["body"]["price"]["total"] = json!("1");
        let asked = json!({ "fit": fit["fit"], "quote": forged });
        assert_eq!(self.refused("quoteCheck", asked).await, "QUOTE");

        let signed = self.ask("sign", json!({ "offer": offer["offer"] })).await;
        let digest = json!({ "digest": signed["digest"] });
        // ORD-2: placed twice, the same order.
        let placed = self.ask("placeAgain", digest.clone()).await;
        assert_eq!(self.ask("placeAgain", digest).await["id"], placed["id"]);
        placed["id"].clone()
    }

    async fn opened(&mut self, session: &Session, order: &Value) -> Value {
        let asked = json!({ "order": order });
        let id = Id::parse(order.as_str().expect("text")).expect("an id");
        let ended = buyer::wait(session, &id, |_| {}).await.expect("ends");
        assert_eq!(ended.state, "released", "{ended:?}");
        let reply = self.call("open", asked, None).await.expect("opens");
        assert_eq!(reply.files.len(), 1, "the receipt");
        assert_eq!(reply.value["report"]["valid"], true);
        reply.value
    }
}

/// The mean of a column of the table in a segment.
fn mean(table: &str, column: usize, plan: &str) -> f64 {
    let rows = table.lines().skip(1).map(|l| l.split(',').collect());
    let values: Vec<f64> = rows
        .filter(|r: &Vec<&str>| r[0] == plan)
        .map(|r| r[column].parse().expect("a number"))
        .collect();
    values.iter().sum::<f64>() / values.len() as f64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_buyers_page_orders_and_opens_in_custodian_held_custody() {
    let mut m = Market::open(settings()).await;
    m.start_pod().await;
    m.start_node();
    let session = m.buyer.session.clone();
    let mut page = Page::open(&m.world.url, m.dir.path(), &session, &m.time).await;
    let listing = m.listing.clone();
    let query = json!({ "kind": "statistics", "columns": ["visits", "age"] });
    let order = page.bought(&listing, query).await;
    let result = page.opened(&session, &order).await;
    assert_eq!(result["report"]["decryption"], "custodian-attested");
    let table = csv(7);
    let outputs = result["outputs"].as_array().expect("outputs");
    assert_eq!(
        outputs.len(),
        6,
        "visits, its square and age in two segments"
    );
    for (label, column) in [("mean of visits", 1), ("mean of age", 2)] {
        for plan in ["0", "1"] {
            let is = |o: &&Value| {
                o["label"] == label && o["segment"] == format!("plan = {plan}").as_str()
            };
            let found = outputs.iter().find(is).expect("an output");
            let (value, within) = (&found["values"][0], &found["roundingError"]);
            let (value, within) = (value.as_f64(), within.as_f64());
            let off = (value.expect("a value") - mean(&table, column, plan)).abs();
            assert!(off <= within.expect("a bound"), "{label}, {plan}: {off}");
        }
    }
    assert_eq!(result["variances"].as_array().map(Vec::len), Some(2));
    assert!(
        result["csv"]
            .as_str()
            .is_some_and(|c| c.lines().count() == 9)
    );
    let kept = page.ask("orders", json!({})).await;
    assert_eq!((&kept[0]["id"], &kept[0]["opened"]), (&order, &json!(true)));
    // TRN: no training's, and none of this vault.
    assert_eq!(
        page.refused("train", json!({ "order": order })).await,
        "TRAINING"
    );
    let other = json!({ "order": "01900000-0000-7000-8000-00000000ffff" });
    assert_eq!(page.refused("open", other).await, "ORDER_UNKNOWN");
    assert!(m.balanced().await);
    m.world.stop().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_list_deal_and_buy_in_committee_custody() {
    let (dir, mut world, time) = bare(settings()).await;
    let size = CommitteeSize {
        nodes: 3,
        threshold: 2,
    };
    let committee = Committee::start(&world, size).await.expect("nodes");
    world.start_pod(Circuits::new(srs(4))).await.expect("a pod");
    let custodian = world
        .person("c@test.example", "c", "CUSTODIAN")
        .await
        .expect("registers");
    let at = dir.path().join("custodian");
    let mut page = Page::open(&world.url, &at, &custodian.session, &time).await;
    let table = csv(11);
    let asked = json!({ "schema": null, "name": "Visits" });
    let found = page.call("inspect", asked, Some(table.clone())).await;
    let mut schema = found.expect("reads").value["schema"].clone();
    schema["segment_by"] = json!(["plan"]);
    schema["second_moments"] = json!("all");
    let made = page
        .call(
            "encrypt",
            json!({ "schema": schema, "seed": null }),
            Some(table.clone()),
        )
        .await
        .expect("encrypts")
        .value;
    let id = made["id"].clone();
    let named = json!({ "id": id });
    let stage = |drafts: Value| drafts[0]["stage"].as_str().expect("text").to_owned();
    assert_eq!(stage(page.ask("drafts", json!({})).await), "list");

    // Nothing out of order.
    assert_eq!(page.refused("upload", named.clone()).await, "DRAFT_STATE");
    let file = serde_json::to_value(&committee.file).expect("a file");
    let terms = json!({ "kinds": ["aggregate_public", "aggregate_private"], "minCohort": 10,
        "quotaValues": "200", "quotaBits": 20_000, "priceOrder": "1000", "priceOutput": "100" });
    let sign = json!({ "id": id, "policy": terms, "openers": { "committee": file } });
    assert_eq!(
        page.refused("signPolicy", sign.clone()).await,
        "DRAFT_STATE"
    );

    let draft = json!({ "id": id, "account": page.account.clone(), "title": "Visits",
        "description": "a test" });
    let listed = page.ask("listingDraft", draft.clone()).await;
    assert_eq!(page.ask("listingDraft", draft).await, listed);
    page.ask("upload", named.clone()).await;
    assert_eq!(page.refused("submit", named.clone()).await, "DRAFT_STATE");
    assert_eq!(stage(page.ask("drafts", json!({})).await), "deal");

    // One dealing at a time, each on its way before the next.
    let classes = json!([{ "name": "exact", "tickets": 200 }]);
    let shown = page
        .ask(
            "previewClasses",
            json!({ "id": id, "classes": classes, "quorums": 3 }),
        )
        .await;
    assert_eq!(shown[0]["noisy"], false);
    let deal = |first: bool| json!({ "id": id, "committee": file.to_string(), "classes": classes, "first": first });
    let mut steps = 0;
    loop {
        let said = page.ask("dealStep", deal(steps == 0)).await;
        steps += 1;
        assert_eq!(said["dealings"].as_array().map(Vec::len), Some(steps));
        let sent = page.ask("uploadTickets", named.clone()).await;
        assert_eq!(sent["uploaded"], true);
        if said["left"] == false {
            break;
        }
    }
    assert_eq!(steps, 3, "one of each quorum");
    assert_eq!(stage(page.ask("drafts", json!({})).await), "policy");
    let signed = page.ask("signPolicy", sign).await;
    assert_eq!(signed["version"], 1);
    let said = page.ask("submit", named.clone()).await;
    assert_eq!(said["state"], "submitted");
    assert_eq!(stage(page.ask("drafts", json!({})).await), "done");
    let listing = Id::parse(said["listing"].as_str().expect("text")).expect("an id");
    market::decide(&world.admin, Decide::Listing, listing.as_str(), true, "")
        .await
        .expect("approves");
    custody::accepted(&world.admin, &listing, &Bars::new(true))
        .await
        .expect("accepted");

    // A buyer trains on it.
    let buyer = world
        .person("b@test.example", "b", "BUYER")
        .await
        .expect("registers");
    let deposit = market::request_deposit(&buyer.session, DEPOSIT, "first").await;
    let deposit = deposit.expect("asks");
    market::decide(&world.admin, Decide::Deposit, deposit.as_str(), true, "")
        .await
        .expect("approves");
    let at = dir.path().join("buyer");
    let mut page = Page::open(&world.url, &at, &buyer.session, &time).await;
    let query = json!({ "kind": "train", "target": "visits", "features": ["age", "income"],
        "method": { "kind": "ols" } });
    let order = page.bought(&listing, query).await;
    let result = page.opened(&buyer.session, &order).await;
    assert_eq!(result["report"]["decryption"], "committee-attested");
    let model = &result["training"]["model"];
    assert_eq!(model["columns"], json!(["age", "income"]));
    let ridge = json!({ "order": order, "features": ["age"],
        "method": { "kind": "ridge", "lambda": 5.0 } });
    let fewer = page.ask("train", ridge).await;
    assert_eq!(fewer["model"]["columns"], json!(["age"]));
    assert_eq!(fewer["training"]["fit"]["method"]["kind"], "ridge");

    committee.stop().await;
    world.stop().await.expect("stops");
}
