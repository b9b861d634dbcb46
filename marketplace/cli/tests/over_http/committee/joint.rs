//! One query over several custodians (OPN-9, ORD-8, SET-8).

use super::{MONEY, Market, Seller, bars, code, receipt};
use serde_json::{Value, json};
use veilbourse::demo::{custody, world::Person};
use veilbourse_client::{
    ClientError,
    buyer::{self, JointRefusal, JointTicket, Listed, Offer, Part, Ticket},
    market,
    query::Query,
};
use veilbourse_core::digest::Digest;
use veilbourse_documents::Signed;

const TICKETS: [(&[u8], u64); 2] = [(&[0, 1], 24), (&[1, 2], 16)];

/// What a joint order is signed from.
struct Parts(Vec<(Listed, Query, Offer)>);

impl Parts {
    async fn quoted(m: &Market, buyer: &Person, sellers: &[&Seller]) -> Self {
        let mut all = Vec::new();
        for s in sellers {
            all.push(m.statistics(s).await);
        }
        let mut aligned: Vec<(&Listed, Query)> = all.iter().map(|(l, q)| (l, q.clone())).collect();
        buyer::align(&mut aligned).expect("the same columns");
        let mut parts = Vec::new();
        for (l, q) in aligned {
            let key = &m.world.marketplace;
            let offer = buyer::quote(&buyer.session, key, l, &q, None).await;
            parts.push((l.clone(), q, offer.expect("a quote")));
        }
        Self(parts)
    }

    fn parts(&self) -> Vec<Part<'_>> {
        let parts = self.0.iter();
        parts
            .map(|(listed, query, offer)| Part {
                listed,
                query,
                offer,
            })
            .collect()
    }

    /// As the client signs it.
    fn signed(&self, m: &Market, buyer: &Person) -> Result<JointTicket, ClientError> {
        let (key, deadline) = (&m.world.marketplace, m.now() + 900_000);
        let mut rng = veilbourse::rng(None);
        buyer::prepare_joint(key, &self.parts(), &buyer.key, deadline, &mut rng)
    }

    /// As somebody signs it who does not ask the client.
    fn by_hand(&self, m: &Market, buyer: &Person) -> Vec<Ticket> {
        let (key, deadline) = (&m.world.marketplace, m.now() + 900_000);
        let mut rng = veilbourse::rng(None);
        let mut tickets: Vec<Ticket> = Vec::new();
        for (listed, query, offer) in &self.0 {
            let t = buyer::prepare(key, offer, listed, query, &buyer.key, deadline, &mut rng);
            tickets.push(t.expect("each by itself is an order"));
        }
        tickets.sort_by_key(|t| t.order.body.quote);
        let joint: Vec<Digest> = tickets.iter().map(|t| t.order.body.quote).collect();
        let first = tickets[0].clone();
        for t in &mut tickets {
            let mut body = t.order.body.clone();
            body.joint.clone_from(&joint);
            body.result_key = first.order.body.result_key.clone();
            t.order = Signed::sign(body, &buyer.key).expect("signs");
            t.result_secret = first.result_secret.clone();
        }
        tickets
    }
}

/// Somebody who both sells and buys.
async fn both(m: &Market, name: &str) -> Person {
    let (mail, password) = (format!("{name}@test.example"), "a password for the test");
    let (server, key) = (&m.world.server, &m.world.marketplace);
    market::register(server, &mail, name, password, &["CUSTODIAN", "BUYER"])
        .await
        .expect("registers");
    m.world.verify(&mail).await.expect("verifies");
    let session = market::login(server, &mail, password).await.expect("in");
    let signing = market::fresh_key(&mut veilbourse::rng(None));
    market::register_key(&session, key, &signing)
        .await
        .expect("registers");
    m.pay(&session).await;
    Person {
        session,
        key: signing,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sums_over_three_custodians_and_of_no_fewer() {
    let m = Market::open().await;
    let own = both(&m, "north").await;
    let again = Person {
        session: own.session.clone(),
        key: own.key.clone(),
    };
    let north = m.seller_of(own, "north", &TICKETS).await;
    let (south, west) = (
        m.seller("south", &TICKETS).await,
        m.seller("west", &TICKETS).await,
    );
    let sellers = [&north, &south, &west];
    for s in sellers {
        custody::accepted(&m.world.admin, &s.listing, &bars())
            .await
            .expect("accepted");
    }

    // Two of them: the client does not sign, and the server takes none that was
    // signed without it.
    let two = Parts::quoted(&m, &m.buyer, &sellers[..2]).await;
    let refused = two.signed(&m, &m.buyer).unwrap_err();
    assert!(
        matches!(
            &refused,
            ClientError::Joint(JointRefusal::Custodians { found: 2, .. })
        ),
        "{refused}"
    );
    let by_hand = two.by_hand(&m, &m.buyer);
    let placed = buyer::place(&m.buyer.session, &by_hand[0]).await;
    assert_eq!(code(placed), "JOINT_TOO_FEW");

    // One of the custodians is the buyer: its own part would be known to it.
    let quoted = Parts::quoted(&m, &m.buyer, &sellers).await;
    let refused = quoted.signed(&m, &again).unwrap_err();
    assert!(
        matches!(&refused, ClientError::Joint(JointRefusal::OwnListing { listing }) if *listing == north.listing),
        "{refused}"
    );
    let mut codes = Vec::new();
    for ticket in quoted.by_hand(&m, &again) {
        codes.push(code(buyer::place(&again.session, &ticket).await));
    }
    codes.sort();
    codes.dedup();
    assert!(
        codes
            .iter()
            .all(|c| ["JOINT_OWN_LISTING", "OWN_LISTING"].contains(&c.as_str())),
        "{codes:?}"
    );
    let left = veilbourse::demo::journey::available(&again.session).await;
    assert_eq!(left.expect("a balance"), MONEY);

    // All three, by a buyer who sells nothing.
    let joint = quoted.signed(&m, &m.buyer).expect("signed");
    let mut ids = Vec::new();
    for t in &joint.orders {
        ids.push(m.place(t).await);
    }
    for id in &ids {
        let ended = m.ended(id).await;
        assert_eq!(ended.state, "released", "{ended:?}");
    }
    let orders: Vec<_> = ids.iter().zip(&joint.orders).collect();
    let opened = buyer::open_together(&m.buyer.session, &orders).await;
    let opened = opened.expect("opens");
    let mut sums = vec![vec![0i64]; 4];
    for ((_, query, _), seller) in quoted.0.iter().zip(sellers) {
        let own = seller.expected(query);
        for (sum, v) in sums.iter_mut().flatten().zip(own.iter().flatten()) {
            *sum += v;
        }
        // Nobody's own values are what was opened.
        assert_ne!(opened[0].values, own);
    }
    for o in &opened {
        assert_eq!(o.values, sums);
    }
    // Each is paid as its own quote says, by the same quorum's signatures.
    assert_eq!(m.money().await, MONEY - joint.price());
    let (accounts, _) = market::ledger(&m.world.admin).await.expect("a ledger");
    for (o, t) in opened.iter().zip(&joint.orders) {
        let seller = sellers.iter().find(|s| s.listing == t.order.body.listing);
        let account = format!("user:{}", seller.expect("a seller").person.session.account);
        let posted = accounts.iter().find(|(a, ..)| *a == account);
        let earned = t.quote.body.price.custodian;
        let had = if account.ends_with(again.session.account.as_str()) {
            MONEY
        } else {
            0
        };
        assert_eq!(posted.expect("an account").1, had + earned);
        assert_eq!(receipt(o).openings.len(), 2);
    }
    // One order of a joint one is not opened by itself.
    let alone = buyer::open(&m.buyer.session, &ids[0], &joint.orders[0]).await;
    assert!(matches!(
        alone,
        Err(ClientError::Refused { .. } | ClientError::Result(_))
    ));
    let view: Value = m.view(&ids[0], "joint grants deliveries").await;
    assert_eq!(view["joint"].as_array().map(Vec::len), Some(3), "{view}");
    assert_eq!(
        (&view["grants"], &view["deliveries"]),
        (&json!(1), &json!(2))
    );
    m.stop().await;
}
