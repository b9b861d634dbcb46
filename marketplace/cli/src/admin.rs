//! `veilbourse admin ...`.

use crate::{
    args::{AdminCommand, DecisionKind, Who},
    custodian::session,
    show::{money, table},
};
use anyhow::Result;
use serde_json::{Value, json};
use veilbourse_client::market::{self, Decide, Keep};
use veilbourse_verify::terminal::printable;

fn text(v: &Value) -> String {
    printable(v.as_str().unwrap_or("-"))
}

fn nodes(v: &Value) -> Vec<Value> {
    v["nodes"].as_array().cloned().unwrap_or_default()
}

pub async fn run(c: AdminCommand, json: bool) -> Result<bool> {
    match c {
        AdminCommand::Queue { who } => queue(&who, json).await.map(|()| true),
        AdminCommand::Decide {
            who,
            kind,
            id,
            refuse,
            reason,
        } => {
            let what = match kind {
                DecisionKind::Listing => Decide::Listing,
                DecisionKind::Deposit => Decide::Deposit,
                DecisionKind::Withdrawal => Decide::Withdrawal,
                DecisionKind::Machine => Decide::Machine,
            };
            let done = market::decide(&session(&who).await?, what, &id, !refuse, &reason).await?;
            if json {
                out!("{done}");
            } else {
                let state = done["state"].as_str().or(done["decision"].as_str());
                out!("{id}: {}", printable(state.unwrap_or("decided")));
            }
            Ok(true)
        }
        AdminCommand::Suspend { who, id, reason } => {
            keep(&who, Keep::Suspend, &id, &reason, json).await
        }
        AdminCommand::Restore { who, id, reason } => {
            keep(&who, Keep::Restore, &id, &reason, json).await
        }
        AdminCommand::ClearSecondFactor { who, id, reason } => {
            keep(&who, Keep::ClearSecondFactor, &id, &reason, json).await
        }
        AdminCommand::Ledger { who } => ledger(&who, json).await,
        AdminCommand::Audit { who } => audit(&who, json).await,
    }
}

async fn keep(who: &Who, what: Keep, id: &str, reason: &str, json: bool) -> Result<bool> {
    market::keep(&session(who).await?, what, id, reason).await?;
    if json {
        out!("{}", json!({ "account": id, "done": true }));
    } else {
        out!("{id}: done, its owner is told");
    }
    Ok(true)
}

async fn queue(who: &Who, json: bool) -> Result<()> {
    let server = session(who).await?.server;
    let listings = market::all(&server, "reviewQueue", "", "id title dataset").await?;
    let waiting = async |list, selection| -> Result<Vec<Value>> {
        let mut found = market::all(&server, list, "", selection).await?;
        found.retain(|n| n["decision"] == "pending");
        Ok(found)
    };
    let deposits = waiting("deposits", "id account amount decision").await?;
    let withdrawals = waiting("withdrawals", "id account amount decision").await?;
    let machines = waiting("machines", "id kind name operator decision").await?;
    if json {
        out!(
            "{}",
            json!({ "listings": listings, "deposits": deposits,
                "withdrawals": withdrawals, "machines": machines })
        );
        return Ok(());
    }
    let mut rows = Vec::new();
    for l in listings {
        rows.push(vec!["listing".into(), text(&l["id"]), text(&l["title"])]);
    }
    for (kind, v) in [("deposit", &deposits), ("withdrawal", &withdrawals)] {
        for d in v {
            let amount = d["amount"]
                .as_str()
                .and_then(|s| s.parse().ok())
                .unwrap_or(0);
            let what = format!("{} credits for {}", money(amount), text(&d["account"]));
            rows.push(vec![kind.into(), text(&d["id"]), what]);
        }
    }
    for m in machines {
        let what = format!(
            "{} \"{}\" of {}",
            text(&m["kind"]),
            text(&m["name"]),
            text(&m["operator"])
        );
        rows.push(vec!["machine".into(), text(&m["id"]), what]);
    }
    if rows.is_empty() {
        out!("nothing waits for a decision");
    } else {
        out!("{}", table(&["kind", "id", "what"], &rows));
    }
    Ok(())
}

/// A ledger as a table.
pub fn ledger_table(rows: &[(String, i64, i64)], name: impl Fn(&str) -> String) -> String {
    let rows: Vec<_> = rows
        .iter()
        .map(|(account, posted, reserved)| vec![name(account), money(*posted), money(*reserved)])
        .collect();
    table(&["account", "posted", "reserved"], &rows)
}

async fn ledger(who: &Who, json: bool) -> Result<bool> {
    let (rows, balanced) = market::ledger(&session(who).await?).await?;
    if json {
        let accounts: Vec<_> = rows
            .iter()
            .map(|(a, p, r)| json!({ "account": a, "posted": p.to_string(), "reserved": r.to_string() }))
            .collect();
        out!("{}", json!({ "balanced": balanced, "accounts": accounts }));
    } else {
        out!("{}", ledger_table(&rows, str::to_owned));
        out!("  {}", if balanced { "balanced" } else { "NOT BALANCED" });
    }
    Ok(balanced)
}

async fn audit(who: &Who, json: bool) -> Result<bool> {
    let server = session(who).await?.server;
    let check = server
        .graphql(
            "auditCheck",
            "{ auditCheck { intact length head failure } }",
            json!({}),
        )
        .await?;
    let mut records = Vec::new();
    let mut after = Value::Null;
    loop {
        let document = "query($after: String) { audit(first: 100, after: $after) {
            nodes { sequence at actor action subject } pageInfo { hasNextPage endCursor } } }";
        let page = server
            .graphql("audit", document, json!({ "after": after }))
            .await?;
        records.extend(nodes(&page));
        if page["pageInfo"]["hasNextPage"] != true {
            break;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
    let intact = check["intact"] == true;
    if json {
        out!("{}", json!({ "check": check, "records": records }));
        return Ok(intact);
    }
    let rows: Vec<_> = records
        .iter()
        .rev()
        .take(30)
        .rev()
        .map(|r| {
            ["sequence", "action", "subject", "actor"]
                .map(|f| text(&r[f]))
                .to_vec()
        })
        .collect();
    out!("{}", table(&["#", "action", "subject", "actor"], &rows));
    out!(
        "  {} records, chain {}",
        text(&check["length"]),
        if intact { "intact" } else { "DAMAGED" }
    );
    Ok(intact)
}
