//! Nodes that are gone: another quorum opens, or nobody pays (SET-7).

use super::{GRANT, MONEY, Market, receipt};

/// Tickets by quorum: the first is granted before the second, that before the last.
const TICKETS: [(&[u8], u64); 3] = [(&[0, 1], 40), (&[1, 2], 24), (&[0, 2], 8)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_quorum_opens_when_a_node_is_gone() {
    let mut m = Market::open().await;
    let seller = m.seller("registry", &TICKETS).await;

    // All are there.
    let (order, ticket) = m.order(&seller).await;
    let (opened, quorum) = m.opened(&seller, &order, &ticket).await;
    assert_eq!(quorum, [0, 1]);
    let price = ticket.order.body.price;
    assert_eq!(m.money().await, MONEY - price);
    let body = receipt(&opened);
    assert_eq!((body.openings.len(), body.deliveries.len()), (2, 2));
    assert_eq!(body.openings[0].body.values, 4);

    // A node dies between grant and opening: the clock stands still, so the server
    // has heard of it a moment ago and grants to it.
    m.committee.stop_node(0).await;
    let (order, ticket) = m.order(&seller).await;
    m.granted(&order, 1).await;
    assert_eq!(m.view(&order, "state").await["state"], "opening");
    m.advance(GRANT + 1);
    let (_, quorum) = m.opened(&seller, &order, &ticket).await;
    assert_eq!(quorum, [1, 2]);
    assert_eq!(m.view(&order, "grants").await["grants"], 2);

    // It is gone before the order: nobody has heard of it for so long that the
    // quorum with most tickets is not granted at all.
    m.advance(180_000);
    let (order, ticket) = m.order(&seller).await;
    let (_, quorum) = m.opened(&seller, &order, &ticket).await;
    assert_eq!(quorum, [1, 2]);
    assert_eq!(m.money().await, MONEY - 3 * price);

    // Two of three are gone: nothing opens, and at the deadline the money is back.
    m.committee.stop_node(1).await;
    m.refresh().await;
    let (order, ticket) = m.order(&seller).await;
    assert_eq!(m.money().await, MONEY - 4 * price);
    m.granted(&order, 1).await;
    m.advance(ticket.order.body.deadline + 1 - m.now());
    m.refresh().await;
    let ended = m.ended(&order).await;
    assert_eq!(ended.state, "refunded", "{ended:?}");
    let reason = ended.refund.map(|r| r.0);
    assert_eq!(reason.as_deref(), Some("undeliverable"));
    assert_eq!(m.money().await, MONEY - 3 * price);
    m.stop().await;
}
