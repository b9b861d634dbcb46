//! What staff is warned of and what a custodian has earned (OPS-1), from a market
//! with orders, quotas and tickets. Books are broken from outside, by SQL.

use super::*;
use sea_orm::ConnectionTrait;
use veilbourse_domain::ledger::LedgerAccount;
use veilbourse_graphql::Alarm;
use veilbourse_store::SqlStore;

impl Market {
    /// Alarms, those of disk and machines aside: here nothing is asked for in time.
    async fn alarms(&self) -> Vec<Alarm> {
        let mut all = self.app.look_for_alarms().await.expect("looked");
        all.retain(|a| !a.code.starts_with("DISK_") && a.code != "MACHINE_SILENT");
        all
    }

    async fn codes(&self) -> Vec<(String, String)> {
        let all = self.alarms().await.into_iter();
        all.map(|a| (a.code, a.severity)).collect()
    }

    /// Somebody else changes the database; so many rows.
    async fn tamper(&self, sql: &str) -> u64 {
        let store = SqlStore::connect(&self.app.config.database_url(), 1).await;
        let store = store.expect("connects");
        let done = store.connection().execute_unprepared(sql).await;
        done.expect("changed").rows_affected()
    }

    /// Has a verified order opened by a quorum, with this ticket.
    async fn release(&self, order: OrderId, ticket: u64) {
        for node in 0..4 {
            assert!(
                self.lease(node).await.is_none(),
                "heard of, nothing granted"
            );
        }
        self.grant().await;
        let mut delivered = 0;
        for node in 0..4u8 {
            if let Some(job) = self.lease(node).await {
                let body = self.delivery(&job, node, ticket, 100);
                assert_eq!(self.deliver(order, node, &body).await.0, 200);
                delivered += 1;
            }
        }
        assert_eq!(delivered, 2);
        let state = self.app.store.order(order).await.expect("there").state;
        assert!(matches!(state, OrderState::Released(_)));
    }
}

fn pair(code: &str, severity: &str) -> (String, String) {
    (code.into(), severity.into())
}

#[actix_web::test]
async fn broken_books_are_critical() {
    // OPS-1, LED-1, LED-5
    let m = market(1 << 30).await;
    m.deal().await;
    assert_eq!(m.codes().await, []);
    let user = LedgerAccount::User(m.buyer);
    let add = |n: i64| {
        format!("UPDATE ledger_accounts SET posted = posted + {n} WHERE account = '{user}'")
    };
    assert_eq!(m.tamper(&add(1)).await, 1);
    let found = m.alarms().await;
    assert_eq!(m.codes().await, [pair("LEDGER_BROKEN", "critical")]);
    assert_eq!(found[0].subject, "ledger");
    assert!(found[0].message.contains(&user.to_string()), "{found:?}");
    let forged = "UPDATE audit_log SET action = 'nothing' WHERE sequence = 2";
    assert_eq!(m.tamper(forged).await, 1);
    assert_eq!(
        m.codes().await,
        [
            pair("LEDGER_BROKEN", "critical"),
            pair("AUDIT_BROKEN", "critical")
        ]
    );
    assert_eq!(m.tamper(&add(-1)).await, 1);
    let found = m.alarms().await;
    assert_eq!(m.codes().await, [pair("AUDIT_BROKEN", "critical")]);
    assert!(found[0].message.contains("record 2"), "{found:?}");
}

#[actix_web::test]
async fn orders_are_near_their_deadline_and_then_past_it() {
    // OPS-1
    let m = market(1 << 30).await;
    m.deal().await;
    let order = m.verified().await;
    let deadline = m
        .app
        .store
        .order(order)
        .await
        .expect("there")
        .terms
        .deadline;
    let at = |millis| m.time.store(millis, Ordering::SeqCst);
    assert_eq!(deadline, NOW + 300_000);
    assert_eq!(m.codes().await, [pair("DEADLINE_NEAR", "warning")]);
    at(deadline - 1);
    assert_eq!(m.codes().await, [pair("DEADLINE_NEAR", "warning")]);
    at(deadline);
    let found = m.alarms().await;
    assert_eq!(m.codes().await, [pair("ORDER_OVERDUE", "critical")]);
    assert_eq!(found[0].subject, format!("order:{order}"));
    assert_eq!(found[0].at, deadline.to_string());
    // The sweep of the settlement ends it, and the alarm.
    let ended = m.app.store.sweep(deadline, 10).await.expect("swept");
    assert_eq!(ended.len(), 1);
    assert_eq!(m.codes().await, []);
}

#[actix_web::test]
async fn quotas_and_tickets_run_low() {
    // OPS-1
    let m = market(1 << 30).await;
    // Of tickets that no node has accepted none can be used.
    assert_eq!(m.codes().await, [pair("TICKETS_LOW", "warning")]);
    m.deal().await;
    assert_eq!(m.codes().await, []);
    let revealed = async |values: u64, bits: u64| {
        let sql = format!("UPDATE reveals SET revealed_values = {values}, revealed_bits = {bits}");
        assert_eq!(m.tamper(&sql).await, 1);
    };
    // The policy's quota is of 100 values and 10,000 bits.
    revealed(90, 9_000).await;
    assert_eq!(m.codes().await, []);
    revealed(91, 9_000).await;
    let found = m.alarms().await;
    assert_eq!(m.codes().await, [pair("BUDGET_LOW", "info")]);
    assert_eq!(found[0].subject, format!("listing:{}", m.listing));
    assert_eq!(found[0].message, "9 of 100 values left of its quota");
    revealed(91, 10_000).await;
    assert_eq!(
        m.codes().await,
        [pair("BUDGET_LOW", "warning"), pair("BUDGET_LOW", "info")]
    );
    revealed(0, 0).await;
    // 60 tickets in three dealings: 5 to 24 of each.
    let spent = async |nexts: [u64; 3]| {
        for (q, next) in nexts.into_iter().enumerate() {
            let node = PublicKey(node_key(QUORUMS[q][0]).0);
            let told = [(dealing(q).digest(), next)];
            let done = m.app.store.tickets_spent(node, &told).await;
            done.expect("told");
        }
    };
    spent([25, 25, 19]).await;
    assert_eq!(m.codes().await, [], "six of sixty are a tenth");
    spent([25, 25, 20]).await;
    let found = m.alarms().await;
    assert_eq!(m.codes().await, [pair("TICKETS_LOW", "info")]);
    assert_eq!(found[0].message, "5 of 60 tickets left of class exact");
    spent([25, 25, 25]).await;
    assert_eq!(m.codes().await, [pair("TICKETS_LOW", "warning")]);
}

#[actix_web::test]
async fn a_custodian_sees_what_delivered_orders_earned() {
    // OPS-1's neighbour: the summary is what the ledger has, once an order.
    let m = market(1 << 30).await;
    m.deal().await;
    let asked = async |token: usize| {
        let query =
            "{ custodianSummary { earned orders revealed perDay { date orders values earned }
                       listings { listing title orders values earned } } }";
        let body = json!({ "query": query }).to_string();
        let (status, bytes) = m.call("POST", "/graphql", token, body).await;
        assert_eq!(status, 200);
        let v: Value = serde_json::from_slice(&bytes).expect("JSON");
        match v["errors"][0]["extensions"]["code"].as_str() {
            Some(code) => json!(code),
            None => v["data"]["custodianSummary"].clone(),
        }
    };
    let nothing =
        json!({ "earned": "0", "orders": "0", "revealed": "0", "perDay": [], "listings": [] });
    assert_eq!(asked(0).await, nothing);
    let first = m.verified().await;
    assert_eq!(asked(0).await, nothing, "under way, nobody is paid");
    m.release(first, 7).await;
    let second = m.verified().await;
    m.release(second, 9).await;
    m.verified().await;
    let account = LedgerAccount::User(m.custodian);
    let balance = m.app.store.balance(account).await.expect("read");
    let each = m.app.store.order(first).await.expect("there");
    assert_eq!(balance.posted, 2 * each.split.custodian.get());
    let earned = balance.posted.to_string();
    assert_eq!(
        asked(0).await,
        json!({
            "earned": earned, "orders": "2", "revealed": "2",
            "perDay": [{ "date": "2023-11-14", "orders": "2", "values": "2", "earned": earned }],
            "listings": [{
                "listing": m.listing.to_string(), "title": "t", "orders": "2", "values": "2",
                "earned": earned,
            }],
        })
    );
    assert_eq!(asked(2).await, nothing, "another custodian");
    assert_eq!(asked(1).await, "FORBIDDEN", "the buyer");
}
