//! `veilbourse buyer ...`.
//!
//! Over 500 lines: the subcommands share ticket, offer and what they print.

use crate::{
    args::{BuyerCommand, PinArgs, Query as QueryArgs, RowsArg, WeightsArg, Who},
    custodian::{register, session},
    files::{self, new_signing_key, public, signing_key},
    pins,
    progress::Bars,
    show::{bytes, credits, money, table},
};
use anyhow::{Context, Result, bail};
use rand_core::Rng;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};
use veilbourse_client::{
    buyer::{self, Listed, Offer, Ticket},
    http::Server,
    market::{self, Session},
    query::{self, Decoded, Query, Rows},
};
use veilbourse_core::program::{MatrixRef, WeightVector, Weights};
use veilbourse_documents::{Id, Key};
use veilbourse_tabular::{Coverage, LinearModel};
use veilbourse_verify::{Trust, terminal::printable, verify_receipt};
use zeroize::Zeroizing;

/// Time that an order is given, in milliseconds.
const DEADLINE: u64 = 3_600_000;

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
            let (_, _, built, offer) = quoted(&who, &pin, &query).await?;
            show_offer(&offer, &built, query.pod.is_some(), json);
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
            let named = query.pod.is_some();
            if !json {
                show_offer(&found.3, &found.2, named, false);
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
            return open(&session, &order, json).await;
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
    let one = "query($id: String!) { listing(id: $id) { manifest } }";
    for l in &mut found {
        let answer = server.graphql("listing", one, json!({ "id": l["id"] }));
        l["manifest"] = answer.await?["manifest"].take();
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

/// Builds the query that the options describe.
fn build_query(listed: &Listed, q: &QueryArgs) -> Result<Query> {
    match (&q.stats, &q.model) {
        (Some(column), None) => Ok(query::statistics(&listed.manifest, column)?),
        (None, Some(file)) => {
            let model = LinearModel::from_json(&files::read(file)?)
                .with_context(|| file.display().to_string())?;
            let rows = match q.rows {
                RowsArg::Aggregate => Rows::Aggregate,
                RowsArg::Each => Rows::Each,
            };
            let blinder = match q.weights {
                WeightsArg::Private => Some(query::blinder(&mut crate::rng(None))),
                WeightsArg::Public => None,
            };
            let (m, gone) = (&listed.manifest, &listed.suppressed);
            Ok(query::model(m, &model, gone, Coverage::Any, rows, blinder)?)
        }
        _ => bail!("give --stats COLUMN or --model FILE"),
    }
}

pub(crate) type Quoted = (Session, (Key, Listed), Query, Offer);

/// What an order is placed with.
pub(crate) struct Terms<'a> {
    /// The signing key's file.
    pub key: &'a Path,
    /// Highest price accepted, in credits.
    pub max_price: Option<&'a str>,
    /// Folder of the orders' folders.
    pub out: &'a Path,
}

async fn quoted(who: &Who, pin: &PinArgs, args: &QueryArgs) -> Result<Quoted> {
    let wanted = args
        .pod_id
        .as_ref()
        .map(|p| Id::parse(p).with_context(|| format!("--pod-id {p:?}: no pod's id")))
        .transpose()?;
    let session = session(who).await?;
    let marketplace = pins::marketplace(&session.server, pin, false).await?;
    let listed = buyer::listing(&session, &args.listing).await?;
    let query = build_query(&listed, args)?;
    let offer = buyer::quote(&session, &marketplace, &listed, &query, wanted.as_ref()).await?;
    if let Some(key) = &args.pod {
        offer.require_pod(key)?;
    }
    Ok((session, (marketplace, listed), query, offer))
}

/// Whether anything is sealed to the pod.
fn offer_hides(query: &Query) -> bool {
    let private = |v: &WeightVector| matches!(v.weights, Weights::Private { .. });
    query.program.vectors.iter().any(private)
}

/// Everything that should be seen before paying. `named`: the buyer said which
/// pod by key, and this is the one.
pub fn show_offer(offer: &Offer, query: &Query, named: bool, json: bool) {
    if json {
        let mut details = offer.details.clone();
        details["maxRoundingError"] = json!(query.max_error);
        let pod = &offer.quote.body.pod;
        details["pod"] = json!({ "id": pod.id, "signingKey": pod.signing_key });
        out!("{details}");
        return;
    }
    show_price(offer);
    let d = &offer.details;
    show_pod(offer, offer_hides(query), named);
    let rows: Vec<_> = d["outputs"]
        .as_array()
        .map(|o| {
            o.iter()
                .map(|o| {
                    vec![
                        o["label"].as_str().unwrap_or("-").to_owned(),
                        o["segment"].as_str().unwrap_or("-").to_owned(),
                        o["rows"].as_str().unwrap_or("-").to_owned(),
                        o["values"].as_str().unwrap_or("-").to_owned(),
                        format!("2^{}", -o["scaleLog2"].as_i64().unwrap_or(0)),
                        format!("{:.1} bits", o["noiseSlackBits"].as_f64().unwrap_or(0.0)),
                        if o["privateWeights"] == true {
                            "hidden"
                        } else {
                            "public"
                        }
                        .to_owned(),
                    ]
                })
                .collect()
        })
        .unwrap_or_default();
    out!(
        "{}",
        table(
            &[
                "output",
                "segment",
                "rows",
                "values",
                "resolution",
                "noise margin",
                "weights"
            ],
            &rows
        )
    );
    for (v, e) in query.program.vectors.iter().zip(&query.max_error) {
        out!(
            "  \"{}\": rounding the weights moves a value by {e:.2e} a row at most",
            v.label
        );
    }
    show_seats(offer);
}

/// The price and what of the quota an offer uses.
pub(crate) fn show_price(offer: &Offer) {
    let d = &offer.details;
    let text = |v: &Value| printable(v.as_str().unwrap_or("-"));
    let p = &offer.quote.body.price;
    out!(
        "price {} credits (custodian {}, pod {}, fee {}); about {} s; {} values, {} bits at most ({} values left)",
        money(p.total),
        money(p.custodian),
        money(p.pod),
        money(p.fee),
        offer.quote.body.expected_seconds,
        text(&d["values"]),
        text(&d["bits"]),
        text(&d["valuesLeft"]),
    );
}

/// Which pod, and whether it reads weights.
pub(crate) fn show_pod(offer: &Offer, hidden: bool, named: bool) {
    let pod = &offer.quote.body.pod;
    out!(
        "pod {}, signing key {}{}",
        pod.id,
        pod.signing_key,
        match (hidden, named) {
            (true, true) => "\n  the one that you named; it will read your weights",
            (true, false) =>
                "\n  it will read your weights: if you do not know it, name one that you trust by --pod KEY",
            (false, _) => "",
        }
    );
}

/// What stays private, and who learns what.
pub(crate) fn show_seats(offer: &Offer) {
    let d = &offer.details;
    let text = |v: &Value| printable(v.as_str().unwrap_or("-"));
    out!("  private:");
    for part in d["privateParts"].as_array().into_iter().flatten() {
        out!("    {}", text(part));
    }
    out!("  who learns what:");
    for s in d["seats"].as_array().into_iter().flatten() {
        out!("    {:<30} {}", text(&s["seat"]), text(&s["learns"]));
    }
}

/// Writes a ticket, durably: it holds the key that opens the result, so before
/// placing.
fn save(folder: &Path, ticket: &Ticket) -> Result<()> {
    let text = Zeroizing::new(serde_json::to_string(ticket)?);
    files::replace(&folder.join("ticket.json"), &text)
}

/// Places a ticket's order and notes its id. The same order again is answered
/// with the same id and costs nothing more (ORD-2): cut off anywhere between
/// signing and here, this is how it goes on.
async fn place(session: &Session, folder: &Path, ticket: &mut Ticket) -> Result<Id> {
    let id = buyer::place(session, ticket).await?;
    ticket.order_id = Some(id.clone());
    save(folder, ticket)?;
    Ok(id)
}

async fn order(quoted: Quoted, terms: &Terms<'_>, no_wait: bool, json: bool) -> Result<bool> {
    let session = quoted.0.clone();
    let (id, folder) = signed_and_placed(quoted, terms, json).await?;
    if no_wait {
        if json {
            out!("{}", json!({ "order": id, "folder": folder }));
        }
        return Ok(true);
    }
    Ok(released(&session, &id, json).await? && open(&session, &folder, json).await?)
}

/// Signs an order within its price limit, keeps its ticket and places it; its id
/// and folder.
pub(crate) async fn signed_and_placed(
    (session, (marketplace, listed), query, offer): Quoted,
    terms: &Terms<'_>,
    json: bool,
) -> Result<(Id, PathBuf)> {
    if let Some(limit) = terms.max_price {
        let limit = credits(limit).with_context(|| format!("--max-price {limit:?}"))?;
        let price = offer.quote.body.price.total;
        if price > limit {
            bail!(
                "the price {} exceeds --max-price {}",
                money(price),
                money(limit)
            );
        }
    }
    let mut rng = crate::rng(None);
    let signing = signing_key(terms.key, &mut rng)?;
    let deadline = crate::clock()() + DEADLINE;
    let mut ticket = buyer::prepare(
        &marketplace,
        &offer,
        &listed,
        &query,
        &signing,
        deadline,
        &mut rng,
    )?;
    let name = ticket.order.digest()?.to_string();
    let folder: PathBuf = terms.out.join(name.get(..16).unwrap_or(&name));
    fs::create_dir_all(&folder)
        .and_then(|()| files::sync_folder_of(&folder))
        .and_then(|()| files::sync_folder_of(terms.out))
        .with_context(|| folder.display().to_string())?;
    save(&folder, &ticket)?;
    let id = place(&session, &folder, &mut ticket).await?;
    if !json {
        out!(
            "order {id} placed; its ticket (keep it: it opens the result) is in {}",
            folder.display()
        );
    }
    Ok((id, folder))
}

/// Waits until an order ends; false, and why on the output, when it is refunded.
pub(crate) async fn released(session: &Session, id: &Id, json: bool) -> Result<bool> {
    let bars = Bars::new(json);
    let ended = buyer::wait(session, id, |s| {
        bars.set(
            "order",
            s.per_mille.min(999),
            1000,
            &format!("{} {}", s.state, s.stage),
        );
    })
    .await?;
    bars.set("order", 1000, 1000, &ended.state);
    if let Some((reason, detail)) = ended.refund {
        say_refunded(id, &reason, &detail, json);
        return Ok(false);
    }
    Ok(true)
}

/// Decoded outputs as table rows: at most the first eight of a chunk.
pub fn result_rows(decoded: &[Decoded]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for d in decoded {
        let what = match d.over {
            MatrixRef::Traced { .. } => format!("{} (mean)", d.label),
            MatrixRef::Chunk { chunk, .. } => format!("{} (chunk {chunk})", d.label),
        };
        let shown: Vec<String> = d.values.iter().take(8).map(|v| format!("{v:.6}")).collect();
        let dots = if d.values.len() > 8 { ", …" } else { "" };
        rows.push(vec![
            what,
            d.segment.clone(),
            d.rows.to_string(),
            format!("{}{dots}", shown.join(", ")),
        ]);
    }
    rows
}

fn say_refunded(id: &Id, reason: &str, detail: &str, json: bool) {
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

/// A variance over a segment's rows (divided by their number).
struct Variance<'a> {
    column: &'a str,
    segment: &'a str,
    rows: u64,
    value: f64,
}

/// Variances where an order holds the sums of a column and of its square.
fn variances(decoded: &[Decoded]) -> Vec<Variance<'_>> {
    let mut found = Vec::new();
    for d in decoded {
        let square = format!("{}^2", d.label);
        let second = decoded
            .iter()
            .find(|s| s.label == square && s.over == d.over);
        if let (Some(second), [mean]) = (second, d.values.as_slice())
            && let [m2] = second.values.as_slice()
        {
            found.push(Variance {
                column: d.label.trim_start_matches("sum of "),
                segment: &d.segment,
                rows: d.rows,
                value: m2 - mean * mean,
            });
        }
    }
    found
}

fn variance_rows(variances: &[Variance<'_>]) -> Vec<Vec<String>> {
    let row = |v: &Variance<'_>| {
        let name = format!("variance of {}", v.column);
        let value = format!("{:.6}", v.value);
        vec![name, v.segment.to_owned(), v.rows.to_string(), value]
    };
    variances.iter().map(row).collect()
}

/// A released order, opened and checked.
pub(crate) struct Fetched {
    /// Its ticket.
    pub ticket: Ticket,
    /// Its id.
    pub id: Id,
    /// The integers, by output.
    pub values: Vec<Vec<i64>>,
    /// The receipt's file.
    receipt: PathBuf,
    receipt_bytes: u64,
    /// What the receipt says.
    verified: Value,
    /// `result.json`.
    result: Value,
    file: PathBuf,
}

/// Opens an order, checks its receipt and writes `result.json`; none, and why on
/// the output, when it was refunded.
pub(crate) async fn fetch(session: &Session, folder: &Path, json: bool) -> Result<Option<Fetched>> {
    let mut ticket: Ticket = files::read_json(&folder.join("ticket.json"))?;
    let id = match ticket.order_id.clone() {
        Some(id) => id,
        None => {
            let id = place(session, folder, &mut ticket).await?;
            note!("order {id}: it was signed, but not known to be placed; now it is");
            id
        }
    };
    let standing = buyer::standing(session, &id).await?;
    match (standing.state.as_str(), &standing.refund) {
        ("released", _) => {}
        (_, Some((reason, detail))) => {
            say_refunded(&id, reason, detail, json);
            return Ok(None);
        }
        (state, None) => bail!(
            "order {id} is {} ({} {}%); open it when it is released",
            printable(state),
            printable(&standing.stage),
            standing.per_mille / 10
        ),
    }
    let opened = buyer::open(session, &id, &ticket).await?;
    let receipt = folder.join("receipt.json");
    fs::write(&receipt, &opened.receipt).with_context(|| receipt.display().to_string())?;
    let trust = Trust {
        marketplace: Some(market::marketplace_of(&ticket.marketplace)),
        circuits: None,
    };
    let report = match verify_receipt(&opened.receipt, &trust) {
        Ok(r) => r,
        Err(e) => bail!(
            "the receipt is refused by {}: {}",
            e.rule(),
            printable(&e.to_string())
        ),
    };
    let decoded = query::decode(&ticket.manifest, &ticket.order.body.program, &opened.values);
    let result: Vec<_> = decoded
        .iter()
        .zip(&opened.values)
        .map(|(d, integers)| {
            json!({ "label": d.label, "segment": d.segment, "rows": d.rows, "values": d.values,
                "integers": integers.iter().map(ToString::to_string).collect::<Vec<_>>() })
        })
        .collect();
    let variances = variances(&decoded);
    let derived: Vec<_> = variances
        .iter()
        .map(|v| json!({ "column": v.column, "segment": v.segment, "rows": v.rows, "value": v.value }))
        .collect();
    let result = json!({ "order": id, "outputs": result, "variances": derived,
        "max_rounding_error": ticket.max_error });
    let file = folder.join("result.json");
    fs::write(&file, serde_json::to_vec_pretty(&result)?)?;
    Ok(Some(Fetched {
        ticket,
        id,
        values: opened.values,
        receipt,
        receipt_bytes: opened.receipt.len() as u64,
        verified: report.json(),
        result,
        file,
    }))
}

async fn open(session: &Session, folder: &Path, json: bool) -> Result<bool> {
    let Some(f) = fetch(session, folder, json).await? else {
        return Ok(false);
    };
    if json {
        out!(
            "{}",
            json!({ "result": f.result, "receipt": f.receipt, "verified": f.verified })
        );
        return Ok(true);
    }
    let decoded = query::decode(&f.ticket.manifest, &f.ticket.order.body.program, &f.values);
    out!(
        "{}",
        table(
            &["output", "segment", "rows", "value"],
            &[result_rows(&decoded), variance_rows(&variances(&decoded))].concat()
        )
    );
    out!(
        "  receipt {} ({}), verified: evaluation proven, decryption custodian-attested",
        f.receipt.display(),
        bytes(f.receipt_bytes)
    );
    out!("  result  {}", f.file.display());
    Ok(true)
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
