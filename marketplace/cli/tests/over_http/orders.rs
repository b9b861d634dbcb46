//! The whole chain over HTTP on a small table, public weights: the good day,
//! orders that differ from their quote, expiry, hostile pods.

use crate::common::{DEPOSIT, Market, settings};
use futures::{FutureExt, SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};
use veilbourse::demo::{
    attacks::{Mallory, replayed_order},
    journey::available,
};
use veilbourse_client::{buyer, market, query};
use veilbourse_core::digest::Digest;
use veilbourse_documents::{Bytes, Id, Key, Nonce, Openers, Order, Receipt, Signed};
use veilbourse_pod::Circuits;
use veilbourse_verify::{Trust, verify_receipt};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_day_and_what_is_refused_on_it() {
    let mut m = Market::open(settings()).await;
    m.start_pod().await;
    m.start_node();
    let (listed, query) = m.statistics().await;
    let ticket = m.ticket(None).await;

    // A subscription from before the order's end, over a websocket (GQL).
    let order = buyer::place(&m.buyer.session, &ticket)
        .await
        .expect("placed");
    let seen = subscribe(&m, &order);
    let ended = buyer::wait(&m.buyer.session, &order, |_| {})
        .await
        .expect("ends");
    assert_eq!(ended.state, "released", "{ended:?}");
    let states = seen.await;
    assert_eq!(
        states.last().map(String::as_str),
        Some("released"),
        "{states:?}"
    );

    let opened = buyer::open(&m.buyer.session, &order, &ticket)
        .await
        .expect("opens");
    assert_eq!(opened.values, m.expected(&query));
    let trust = Trust {
        marketplace: Some(market::marketplace_of(&m.world.marketplace)),
        circuits: None,
    };
    let report = verify_receipt(&opened.receipt, &trust).expect("a good receipt");
    assert_eq!((report.outputs, report.values), (4, 4));
    // CER-9: the market rests on a ceremony; the receipt shows it.
    let receipt = Signed::<Receipt>::parse(&opened.receipt).expect("a receipt");
    let provenance = receipt.body.assurance.srs;
    assert!(
        matches!(provenance.ceremony(), Some((_, 2))),
        "{provenance}"
    );
    assert!(receipt.body.ceremony.is_some());
    let price = ticket.order.body.price;
    assert_eq!(
        available(&m.buyer.session).await.expect("a balance"),
        DEPOSIT - price
    );
    let decoded = query::decode(&m.folder.manifest, &query.program, &opened.values);
    assert_eq!(decoded.len(), 4);

    // REC-6, ACC-6: the receipt is the buyer's; others do not find it.
    let path = format!("/v1/orders/{order}/receipt");
    let other = m.custodian.session.server.get(&path).await;
    assert_eq!(other.unwrap_err().code(), Some("NOT_FOUND"));

    // SET-2, LES-12: a tampered result, a forged proof, replays: refused, refunded.
    let mallory = Mallory::new(&m.world).await.expect("approved");
    let none = Circuits::new(crate::common::srs(4));
    let tampered = mallory
        .tampered_result(&m.buyer, &listed, &query, &none)
        .await
        .expect("runs");
    assert!(tampered.held, "{}", tampered.answer);
    let earlier = Signed::<Receipt>::parse(&opened.receipt).expect("parses");
    let forged = mallory
        .forged_proof(&m.buyer, &listed, &query, &earlier)
        .await
        .expect("runs");
    assert!(forged.held, "{}", forged.answer);
    for r in replayed_order(&m.world, &m.buyer, &listed, &query, &ticket, &order)
        .await
        .expect("runs")
    {
        assert!(r.held, "{}: {}", r.attack, r.answer);
    }
    assert_eq!(
        available(&m.buyer.session).await.expect("a balance"),
        DEPOSIT - price
    );
    // A withdrawn listing is gone from sight; the order still says what it was on.
    let withdraw = "mutation($id: String!) { withdrawListing(id: $id) { state } }";
    let custodian = &m.custodian.session.server;
    let id = json!({ "id": listed.id.as_str() });
    let gone = custodian.graphql("withdrawListing", withdraw, id.clone());
    gone.await.expect("withdraws");
    let buyer = &m.buyer.session.server;
    let look = "query($id: String!) { listing(id: $id) { title } }";
    let hidden = buyer.graphql("listing", look, id).await.unwrap_err();
    assert_eq!(hidden.code(), Some("NOT_FOUND"));
    let look = "query($id: String!) { order(id: $id) { listingTitle } }";
    let kept = buyer.graphql("order", look, json!({ "id": order.as_str() }));
    assert_eq!(
        kept.await.expect("an order")["listingTitle"],
        json!(listed.title)
    );

    assert!(m.balanced().await);
    m.world.stop().await.expect("stops");
}

/// Follows an order by `orderProgress`; its states.
fn subscribe(m: &Market, order: &Id) -> impl Future<Output = Vec<String>> + use<> {
    let url = format!("{}/graphql", m.world.url.replace("http", "ws"));
    let token = m
        .buyer
        .session
        .server
        .token()
        .expect("signed in")
        .to_owned();
    let query =
        format!("subscription {{ orderProgress(id: \"{order}\") {{ state stage perMille }} }}");
    tokio::spawn(async move {
        let mut request = url.into_client_request().expect("a URL");
        request
            .headers_mut()
            .insert("sec-websocket-protocol", "graphql-transport-ws".parse().expect("a value"));
        let (mut socket, _) = tokio_tungstenite::connect_async(request).await.expect("connects");
        let text = |v: Value| Message::text(v.to_string());
        let init = json!({ "type": "connection_init", "payload": { "authorization": format!("Bearer {token}") } });
        socket.send(text(init)).await.expect("sends");
        let mut states = Vec::new();
        while let Some(Ok(message)) = socket.next().await {
            let Ok(v) = serde_json::from_str::<Value>(message.to_text().unwrap_or("")) else {
                continue;
            };
            match v["type"].as_str() {
                Some("connection_ack") => {
                    let start = json!({ "id": "1", "type": "subscribe", "payload": { "query": query } });
                    socket.send(text(start)).await.expect("sends");
                }
                Some("next") => {
                    let state = &v["payload"]["data"]["orderProgress"]["state"];
                    states.push(state.as_str().unwrap_or("?").to_owned());
                }
                Some("complete" | "error") => break,
                _ => {}
            }
        }
        states
    })
    .then(|r| async move { r.expect("no panic") })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_difference_from_the_quote_is_its_own_refusal() {
    // ORD-1..4, DOC-5: signed rightly by the buyer, but not what was quoted.
    let mut m = Market::open(settings()).await;
    m.start_pod().await;
    let good = m.ticket(None).await;
    let before = available(&m.buyer.session).await.expect("a balance");
    let (d, k) = (Digest([9; 32]), Key([9; 32]));
    type Change = Box<dyn Fn(&mut Order)>;
    let changes: Vec<(&str, &str, Change)> = vec![
        ("price", "ORDER_PRICE_DIFFERS", Box::new(|o| o.price -= 1)),
        ("listing", "ORDER_LISTING_DIFFERS", {
            let other = good.order.body.pod.clone();
            Box::new(move |o| o.listing = other.clone())
        }),
        (
            "dataset",
            "ORDER_DATASET_DIFFERS",
            Box::new(move |o| o.dataset = d),
        ),
        ("quote", "QUOTE_UNKNOWN", Box::new(move |o| o.quote = d)),
        (
            "policy version",
            "ORDER_POLICY_DIFFERS",
            Box::new(|o| o.policy_version += 1),
        ),
        (
            "program",
            "ORDER_PROGRAM_DIFFERS",
            Box::new(|o| o.program.outputs.truncate(3)),
        ),
        ("pod", "ORDER_POD_DIFFERS", {
            let other = good.order.body.listing.clone();
            Box::new(move |o| o.pod = other.clone())
        }),
        ("pod key", "INVALID", Box::new(move |o| o.pod_key = k)),
        (
            "openers",
            "ORDER_OPENERS_DIFFER",
            Box::new(move |o| o.openers = Openers::CustodianHeld { node_key: k }),
        ),
        (
            "verifying keys",
            "ORDER_VERIFYING_KEY_DIFFERS",
            Box::new(move |o| o.verifying_keys.push(d)),
        ),
        (
            "srs",
            "ORDER_SRS_DIFFERS",
            Box::new(move |o| o.srs.digest = d),
        ),
        (
            "deadline",
            "DEADLINE_TOO_SOON",
            Box::new(|o| o.deadline = 1),
        ),
        (
            "marketplace",
            "INVALID",
            Box::new(move |o| o.marketplace = d),
        ),
        ("version", "INVALID", Box::new(|o| o.version = 2)),
        (
            "result key",
            "INVALID",
            Box::new(|o| o.result_key = Bytes(vec![1; 5])),
        ),
        (
            "sealed model",
            "INVALID",
            Box::new(move |o| o.sealed_model = Some(d)),
        ),
    ];
    for (what, code, change) in changes {
        let mut body = good.order.body.clone();
        change(&mut body);
        // Bodies that may not even be signed are signed over by hand.
        let mut ticket = good.clone();
        match Signed::sign(body.clone(), &m.buyer.key) {
            Ok(order) => ticket.order = order,
            Err(_) => ticket.order.body = body,
        }
        let refused = buyer::place(&m.buyer.session, &ticket).await.unwrap_err();
        assert_eq!(refused.code(), Some(code), "{what}: {refused}");
    }
    // A signature that is not there, a key that is not the buyer's.
    let mut unsigned = good.clone();
    unsigned.order.body.price -= 1;
    let refused = buyer::place(&m.buyer.session, &unsigned).await.unwrap_err();
    assert_eq!(refused.code(), Some("INVALID"));
    let mut foreign = good.clone();
    foreign.order = Signed::sign(good.order.body.clone(), &m.custodian.key).expect("signs");
    let refused = buyer::place(&m.buyer.session, &foreign).await.unwrap_err();
    assert_eq!(refused.code(), Some("SIGNING_KEY_UNKNOWN"));
    // The quote expires.
    m.advance(3_600_000);
    let refused = buyer::place(&m.buyer.session, &good).await.unwrap_err();
    // The session has expired too: fifteen minutes are over (ACC-3).
    assert_eq!(refused.code(), Some("TOKEN_INVALID"));
    let session = market::refresh(&m.world.server, &m.buyer.session.refresh)
        .await
        .expect("refreshes");
    let refused = buyer::place(&session, &good).await.unwrap_err();
    assert_eq!(refused.code(), Some("QUOTE_EXPIRED"));
    assert_eq!(available(&session).await.expect("a balance"), before);
    m.world.stop().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_expire_leases_end_and_pods_compete() {
    // ORD-6, SET-5, POD-1: nobody works, then too late; two pods, one job.
    let m = Market::open(settings()).await;
    let (identity, _) = m.world.new_pod("idle").await.expect("approved");
    let machine = m.world.machine(identity.clone());
    let ticket = m.ticket(Some(&identity.id)).await;
    let order = buyer::place(&m.buyer.session, &ticket)
        .await
        .expect("placed");
    let lease = || async {
        machine
            .post::<_, veilbourse_documents::api::PodJob>("/v1/pod/lease", &json!({}))
            .await
            .expect("answers")
    };
    let first = lease().await.expect("the job");
    assert!(lease().await.is_none(), "leased once");
    // POD-2, POD-3: the first lease ends; its token is stale, whoever shows it.
    m.advance(61_000);
    wait_state(&m, &order, "funded").await;
    let second = lease().await.expect("the job again");
    assert_ne!(first.lease, second.lease);
    let beat = |token: Nonce| json!({ "lease": token, "stage": "x", "progress": 1 });
    let path = format!("/v1/pod/jobs/{order}/heartbeat");
    let stale = machine
        .post::<_, Value>(&path, &beat(first.lease))
        .await
        .unwrap_err();
    assert_eq!(stale.code(), Some("STALE_LEASE"));
    assert!(
        machine
            .post::<_, Value>(&path, &beat(second.lease))
            .await
            .is_ok()
    );
    // Another pod does not find the order (ACC-6).
    let (other, _) = m.world.new_pod("other").await.expect("approved");
    let other = m.world.machine(other);
    let object = format!("/v1/pod/jobs/{order}/objects/sums");
    assert_eq!(
        other.get(&object, 1 << 30).await.unwrap_err().code(),
        Some("NOT_FOUND")
    );
    // The deadline passes: the money is back, once.
    m.advance(700_000);
    wait_state(&m, &order, "refunded").await;
    let standing = buyer::standing(&m.buyer.session, &order)
        .await
        .expect("stands");
    assert_eq!(standing.refund.map(|r| r.0), Some("expired".into()));
    assert_eq!(
        available(&m.buyer.session).await.expect("a balance"),
        DEPOSIT
    );
    m.world.stop().await.expect("stops");
}

async fn wait_state(m: &Market, order: &Id, wanted: &str) {
    for _ in 0..200 {
        let s = buyer::standing(&m.buyer.session, order)
            .await
            .expect("stands");
        if s.state == wanted {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("order {order} never became {wanted}");
}
