//! Deposits, withdrawals and the audit chain over HTTP (LED-4, LED-5).

use crate::common::{bare, settings};
use serde_json::json;
use veilbourse::demo::journey::available;
use veilbourse_client::market::{self, Decide};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cash_is_idempotent_approved_and_posted() {
    let (_dir, world, _) = bare(settings()).await;
    let buyer = world
        .person("b@test.example", "b", "BUYER")
        .await
        .expect("registers");
    let first = market::request_deposit(&buyer.session, 5_000, "k")
        .await
        .expect("asks");
    let again = market::request_deposit(&buyer.session, 5_000, "k")
        .await
        .expect("asks");
    assert_eq!(first, again);
    let other = market::request_deposit(&buyer.session, 6_000, "k")
        .await
        .unwrap_err();
    assert_eq!(other.code(), Some("IDEMPOTENCY_MISMATCH"));
    for amount in [0, -5] {
        let e = market::request_deposit(&buyer.session, amount, "z")
            .await
            .unwrap_err();
        assert_eq!(e.code(), Some("AMOUNT"), "{amount}");
    }
    assert_eq!(available(&buyer.session).await.expect("a balance"), 0);
    let own = market::decide(&buyer.session, Decide::Deposit, first.as_str(), true, "").await;
    assert_eq!(own.unwrap_err().code(), Some("FORBIDDEN"));
    market::decide(&world.admin, Decide::Deposit, first.as_str(), true, "")
        .await
        .expect("yes");
    let twice = market::decide(&world.admin, Decide::Deposit, first.as_str(), true, "").await;
    assert!(matches!(twice.unwrap_err().code(), Some("ALREADY_DECIDED")));
    assert_eq!(available(&buyer.session).await.expect("a balance"), 5_000);

    // More than there is cannot leave; what is asked for is reserved.
    let withdraw = |amount: i64, key: &'static str| {
        let server = buyer.session.server.clone();
        async move {
            let document = "mutation($a: Money!, $k: String!) { requestWithdrawal(amount: $a, idempotencyKey: $k) { id } }";
            server
                .graphql(
                    "requestWithdrawal",
                    document,
                    json!({ "a": amount.to_string(), "k": key }),
                )
                .await
        }
    };
    let over = withdraw(5_001, "w").await.unwrap_err();
    assert_eq!(over.code(), Some("INSUFFICIENT_FUNDS"), "{over}");
    let asked = withdraw(2_000, "v").await.expect("asks");
    assert_eq!(available(&buyer.session).await.expect("a balance"), 3_000);
    let id = asked["id"].as_str().expect("an id");
    market::decide(&world.admin, Decide::Withdrawal, id, false, "not now")
        .await
        .expect("no");
    assert_eq!(available(&buyer.session).await.expect("a balance"), 5_000);
    let (_, balanced) = market::ledger(&world.admin).await.expect("a ledger");
    assert!(balanced);

    let check = world
        .admin
        .server
        .graphql("auditCheck", "{ auditCheck { intact length } }", json!({}))
        .await
        .expect("checks");
    assert_eq!(check["intact"], true);
    world.stop().await.expect("stops");
}
