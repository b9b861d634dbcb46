//! `veilbourse buyer ...`.

mod fetch;
mod kept;
mod quoted;
mod seen;
mod values;

pub(crate) use fetch::fetch;
pub(crate) use kept::{Kept, Terms, signed_and_placed};
pub(crate) use quoted::{Pins, Quoted, offers};
pub use seen::show_offer;
pub(crate) use seen::{show_openers, show_pod, show_price, show_seats};
pub use values::result_rows;

use crate::{
    args::{BuyerCommand, Who},
    custodian::{register, session},
    files::{new_signing_key, public},
    progress::Bars,
    show::{credits, money, table},
};
use anyhow::{Context, Result};
use quoted::quoted;
use rand_core::Rng;
use serde_json::{Value, json};
use veilbourse_client::{
    buyer,
    http::Server,
    market::{self, Session},
};
use veilbourse_documents::Id;
use veilbourse_verify::terminal::printable;

pub async fn run(c: BuyerCommand, json: bool) -> Result<bool> {
    match c {
        BuyerCommand::Register {
            who,
            pin,
            name,
            key,
        } => {
            register(&who, &pin, &name, &key, "BUYER", json).await?;
        }
        BuyerCommand::Keygen { key } => {
            let made = new_signing_key(&key, &mut crate::rng(None))?;
            let public = public(&made);
            if json {
                out!("{}", json!({ "key": public, "file": key }));
            } else {
                out!("signing key {public} in {}", key.display());
            }
        }
        BuyerCommand::Catalogue { who, search } => catalogue(&who, search, json).await?,
        BuyerCommand::Quote { who, pin, query } => {
            let found = quoted(&who, &pin, &query).await?;
            found.show(query.pod.is_some(), json);
        }
        BuyerCommand::Order {
            who,
            pin,
            query,
            key,
            max_price,
            out,
            no_wait,
        } => {
            let found = quoted(&who, &pin, &query).await?;
            if !json {
                found.show(query.pod.is_some(), false);
            }
            let terms = Terms {
                key: &key,
                max_price: max_price.as_deref(),
                out: &out,
            };
            return order(found, &terms, no_wait, json).await;
        }
        BuyerCommand::Open { who, order } => {
            let session = session(&who).await?;
            return fetch::open(&session, &order, json).await;
        }
        BuyerCommand::Train(command) => return crate::train::run(*command, json).await,
        BuyerCommand::Deposit { who, amount } => {
            let minor = credits(&amount)
                .with_context(|| format!("amount {amount:?}: expected credits like 250.00"))?;
            let mut key = [0u8; 16];
            crate::rng(None).fill_bytes(&mut key);
            let session = session(&who).await?;
            let id = market::request_deposit(&session, minor, &hex::encode(key)).await?;
            if json {
                out!("{}", json!({ "deposit": id }));
            } else {
                out!(
                    "deposit {id} of {} credits waits for an admin",
                    money(minor)
                );
            }
        }
        BuyerCommand::Withdraw { who, amount } => {
            crate::custodian::withdraw(&who, &amount, json).await?;
        }
        BuyerCommand::Balance { who } => balance(&who, json).await?,
    }
    Ok(true)
}

async fn catalogue(who: &Who, search: Option<String>, json: bool) -> Result<()> {
    let server = session(who).await?.server;
    let search = search.map_or(String::new(), |s| format!(", search: {}", json!(s)));
    let selection = "id title description state priceOrder priceOutput reveals { valuesLeft }";
    let mut found = market::all(&server, "listings", &search, selection).await?;
    // One by one: the tickets of a whole page are more than a query may ask for.
    let one = "query($id: String!) { listing(id: $id) { manifest
        tickets { classes { name offered law left } } } }";
    for l in &mut found {
        let mut answer = server
            .graphql("listing", one, json!({ "id": l["id"] }))
            .await?;
        for field in ["manifest", "tickets"] {
            l[field] = answer[field].take();
        }
    }
    if json {
        out!("{}", json!(found));
        return Ok(());
    }
    let text = |v: &Value| printable(v.as_str().unwrap_or("-"));
    let price = |v: &Value| {
        v.as_str()
            .and_then(|s| s.parse().ok())
            .map_or("-".into(), money)
    };
    for l in &found {
        out!(
            "{}  {} ({})",
            text(&l["id"]),
            text(&l["title"]),
            text(&l["state"])
        );
        if let Some(d) = l["description"].as_str().filter(|d| !d.is_empty()) {
            out!("  {}", printable(d));
        }
        out!(
            "  {} credits an order, {} a value; {} values left",
            price(&l["priceOrder"]),
            price(&l["priceOutput"]),
            text(&l["reveals"]["valuesLeft"])
        );
        let classes = l["tickets"]["classes"].as_array().into_iter().flatten();
        for c in classes.filter(|c| c["offered"] == true) {
            out!(
                "  tickets \"{}\": {} ({} left)",
                text(&c["name"]),
                text(&c["law"]),
                text(&c["left"])
            );
        }
        let names = |v: &Value, f: &str| -> String {
            v.as_array().map_or(String::new(), |a| {
                a.iter()
                    .filter_map(|c| c[f].as_str())
                    .map(printable)
                    .collect::<Vec<_>>()
                    .join(", ")
            })
        };
        out!("  columns: {}", names(&l["manifest"]["columns"], "name"));
        out!(
            "  segments: {}\n",
            names(&l["manifest"]["segments"], "label")
        );
    }
    Ok(())
}

async fn order(quoted: Quoted, terms: &Terms<'_>, no_wait: bool, json: bool) -> Result<bool> {
    let session = quoted.session.clone();
    let (ids, folder) = signed_and_placed(quoted, terms, json).await?;
    if no_wait {
        if json {
            out!(
                "{}",
                json!({ "order": ids.first(), "orders": ids, "folder": folder })
            );
        }
        return Ok(true);
    }
    Ok(released(&session, &ids, json).await? && fetch::open(&session, &folder, json).await?)
}

/// Waits until the orders end; false, and why on the output, when they are
/// refunded.
pub(crate) async fn released(session: &Session, ids: &[Id], json: bool) -> Result<bool> {
    let bars = Bars::new(json);
    let mut good = true;
    for (id, number) in ids.iter().zip(1..) {
        let name = match ids.len() {
            1 => "order".to_owned(),
            _ => format!("order {number}"),
        };
        let ended = buyer::wait(session, id, |s| {
            let said = format!("{} {}", s.state, s.stage);
            bars.set(&name, s.per_mille.min(999), 1000, &said);
        })
        .await?;
        bars.set(&name, 1000, 1000, &ended.state);
        if let Some((reason, detail)) = ended.refund {
            say_refunded(id, &reason, &detail, json);
            good = false;
        }
    }
    Ok(good)
}

pub(crate) fn say_refunded(id: &Id, reason: &str, detail: &str, json: bool) {
    if json {
        out!(
            "{}",
            json!({ "order": id, "state": "refunded", "reason": reason, "detail": detail })
        );
    } else {
        out!(
            "{}",
            printable(&format!("order {id} was refunded ({reason}): {detail}"))
        );
    }
}

async fn balance(who: &Who, json: bool) -> Result<()> {
    let session = session(who).await?;
    let server: &Server = &session.server;
    let balance = server
        .graphql(
            "myBalance",
            "{ myBalance { posted reserved available } }",
            json!({}),
        )
        .await?;
    let document =
        "{ myPostings(first: 20) { nodes { kind state order postings { account amount } } } }";
    let postings = server.graphql("myPostings", document, json!({})).await?;
    if json {
        out!(
            "{}",
            json!({ "balance": balance, "postings": postings["nodes"] })
        );
        return Ok(());
    }
    let amount = |v: &Value| {
        v.as_str()
            .and_then(|s| s.parse().ok())
            .map_or("-".into(), money)
    };
    out!(
        "posted {}, reserved {}, available {} credits\n",
        amount(&balance["posted"]),
        amount(&balance["reserved"]),
        amount(&balance["available"])
    );
    let own = format!("user:{}", session.account);
    let rows: Vec<_> = postings["nodes"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|t| {
            let mine = t["postings"]
                .as_array()
                .into_iter()
                .flatten()
                .find(|p| p["account"] == own.as_str())
                .map_or("-".into(), |p| amount(&p["amount"]));
            let text = |f: &str| t[f].as_str().unwrap_or("-").to_owned();
            vec![text("kind"), text("state"), mine, text("order")]
        })
        .collect();
    out!(
        "{}",
        table(&["transfer", "state", "amount", "order"], &rows)
    );
    Ok(())
}
