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
    buyer::{self, JointTicket, Listed, Offer, Opened, Part, Sealed, Ticket, Wish},
    http::Server,
    market::{self, Session},
    query::{self, Decoded, Query, Rows},
};
use veilbourse_core::{
    manifest::Manifest,
    program::{MatrixRef, Program, WeightVector, Weights},
};
use veilbourse_documents::{Id, Key, Openers};
use veilbourse_tabular::{Coverage, LinearModel};
use veilbourse_verify::{
    MASKED_FILE, Report, SEALED_FILE, Trust, masks_file, terminal::printable, verify_receipt,
};
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

/// Builds the queries that the options describe, one a listing; of several
/// listings the same query at the same scales, outputs in the same order.
fn build_queries(listed: &[Listed], q: &QueryArgs) -> Result<Vec<Query>> {
    let joint = listed.len() > 1;
    let made = match (&q.stats, &q.model) {
        (Some(column), None) => {
            let one = |l: &Listed| query::statistics(&l.manifest, column);
            listed.iter().map(one).collect::<Result<Vec<_>, _>>()?
        }
        (None, Some(file)) => {
            let model = LinearModel::from_json(&files::read(file)?)
                .with_context(|| file.display().to_string())?;
            let rows = match q.rows {
                RowsArg::Each if joint => return Err(buyer::JointRefusal::Rows.into()),
                RowsArg::Aggregate => Rows::Aggregate,
                RowsArg::Each => Rows::Each,
            };
            let build = |l: &Listed, finest| {
                let blinder = match q.weights {
                    WeightsArg::Private => Some(query::blinder(&mut crate::rng(None))),
                    WeightsArg::Public => None,
                };
                let (m, gone) = (&l.manifest, &l.suppressed);
                query::model_within(m, &model, gone, Coverage::Any, rows, blinder, finest)
            };
            let all = |finest| {
                let one = |l: &Listed| build(l, finest);
                listed.iter().map(one).collect::<Result<Vec<_>, _>>()
            };
            let first = all(None)?;
            let scales = first.iter().flat_map(|q| &q.program.vectors);
            match scales.map(|v| v.scale_log2).min() {
                // As fine as the tightest of the listings admits.
                Some(finest) if joint => all(Some(finest))?,
                _ => first,
            }
        }
        _ => bail!("give --stats COLUMN or --model FILE"),
    };
    let mut pairs: Vec<(&Listed, Query)> = listed.iter().zip(made).collect();
    if joint {
        buyer::align(&mut pairs)?;
    }
    Ok(pairs.into_iter().map(|(_, q)| q).collect())
}

/// Quotes for one query, by listing.
pub(crate) struct Quoted {
    pub session: Session,
    pub marketplace: Key,
    /// Listing, query and quote.
    pub parts: Vec<(Listed, Query, Offer)>,
}

/// What an order is placed with.
pub(crate) struct Terms<'a> {
    /// The signing key's file.
    pub key: &'a Path,
    /// Highest price accepted, in credits; of all orders of a joint one.
    pub max_price: Option<&'a str>,
    /// Folder of the orders' folders.
    pub out: &'a Path,
}

/// Who must evaluate and open.
pub(crate) struct Pins<'a> {
    pub pod: Option<&'a Key>,
    pub pod_id: Option<&'a Id>,
    pub nodes: &'a [Key],
    /// Name or digest of the class of tickets.
    pub class: Option<&'a str>,
}

/// Quotes every query, and checks each offer against the pins.
pub(crate) async fn offers(
    session: &Session,
    marketplace: &Key,
    listed: Vec<Listed>,
    queries: Vec<Query>,
    pins: &Pins<'_>,
) -> Result<Vec<(Listed, Query, Offer)>> {
    let mut parts = Vec::new();
    for (listed, query) in listed.into_iter().zip(queries) {
        let class = match pins.class {
            None => None,
            Some(named) => {
                let classes = buyer::classes(session, &listed.id).await?;
                Some(buyer::class_named(&classes, named)?)
            }
        };
        let wish = Wish {
            pod: pins.pod_id,
            class: class.as_ref(),
        };
        let offer = buyer::quote_with(session, marketplace, &listed, &query, &wish).await?;
        if let Some(key) = pins.pod {
            offer.require_pod(key)?;
        }
        if !pins.nodes.is_empty() {
            offer.require_nodes(pins.nodes)?;
        }
        parts.push((listed, query, offer));
    }
    Ok(parts)
}

async fn quoted(who: &Who, pin: &PinArgs, args: &QueryArgs) -> Result<Quoted> {
    let wanted = args
        .pod_id
        .as_ref()
        .map(|p| Id::parse(p).with_context(|| format!("--pod-id {p:?}: no pod's id")))
        .transpose()?;
    let session = session(who).await?;
    let marketplace = pins::marketplace(&session.server, pin, false).await?;
    let mut listed = Vec::new();
    for listing in &args.listing {
        listed.push(buyer::listing(&session, listing).await?);
    }
    let queries = build_queries(&listed, args)?;
    let pins = Pins {
        pod: args.pod.as_ref(),
        pod_id: wanted.as_ref(),
        nodes: &args.node,
        class: args.class.as_deref(),
    };
    let parts = offers(&session, &marketplace, listed, queries, &pins).await?;
    Ok(Quoted {
        session,
        marketplace,
        parts,
    })
}

impl Quoted {
    /// Minor units of all orders together.
    pub fn price(&self) -> i64 {
        let prices = self.parts.iter().map(|(_, _, o)| o.quote.body.price.total);
        prices.fold(0i64, i64::saturating_add)
    }

    /// Everything that should be seen before paying. `named`: the buyer said which
    /// pod by key, and this is the one.
    fn show(&self, named: bool, json: bool) {
        match self.parts.as_slice() {
            [(_, query, offer)] => show_offer(offer, query, named, json),
            parts if json => {
                let quotes: Vec<Value> = parts
                    .iter()
                    .map(|(_, query, offer)| offer_json(offer, query))
                    .collect();
                let price = self.price().to_string();
                out!("{}", json!({ "joint": quotes, "price": price }));
            }
            parts => {
                for (listed, query, offer) in parts {
                    out!("listing {}  {}", listed.id, printable(&listed.title));
                    show_offer(offer, query, named, false);
                }
                self.show_total();
            }
        }
    }

    /// The total of a joint order, and how it splits.
    pub fn show_total(&self) {
        let row = |(listed, _, offer): &(Listed, Query, Offer)| {
            let p = &offer.quote.body.price;
            let amounts = [p.total, p.custodian, p.pod, p.fee].map(money);
            [vec![listed.title.clone()], amounts.to_vec()].concat()
        };
        let rows: Vec<Vec<String>> = self.parts.iter().map(row).collect();
        let header = ["listing", "price", "custodian", "pod", "fee"];
        out!("{}", table(&header, &rows));
        out!(
            "a joint order of {} listings: {} credits in all; only the sums over the listings are \
             opened, and either all orders are delivered and paid or none",
            self.parts.len(),
            money(self.price())
        );
        let noise = self.parts.iter().filter_map(|(_, _, o)| o.forecast());
        let variance: f64 = noise.map(|f| f.standard_deviation.powi(2)).sum();
        if variance > 0.0 {
            out!(
                "  the noise of all listings together has deviation {:.1} in the opened integers",
                variance.sqrt()
            );
        }
    }
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
        out!("{}", offer_json(offer, query));
        return;
    }
    show_price(offer);
    show_openers(offer);
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
                        noise_of(offer, o),
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
                "tickets' noise",
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

/// The answer as it came, with what is known here beside it.
fn offer_json(offer: &Offer, query: &Query) -> Value {
    let mut details = offer.details.clone();
    details["maxRoundingError"] = json!(query.max_error);
    let pod = &offer.quote.body.pod;
    details["pod"] = json!({ "id": pod.id, "signingKey": pod.signing_key });
    if let Some(f) = offer.forecast() {
        // By the class that the custodian signed, whatever the server says.
        details["ticketNoise"] = json!({ "standard_deviation": f.standard_deviation,
            "within_95": f.half_width_95.to_string(), "bound": f.bound.to_string() });
    }
    details
}

/// The error that the tickets' noise causes in an output's values, in its units:
/// 95 of 100 are within.
fn noise_of(offer: &Offer, output: &Value) -> String {
    let Some(f) = offer.forecast() else {
        return "none".into();
    };
    let scale = output["scaleLog2"].as_f64().unwrap_or(0.0);
    let rows = match output["values"].as_str() {
        // A sum is shown as a mean.
        Some("1") => output["rows"].as_str().and_then(|r| r.parse().ok()),
        _ => None,
    };
    let within = f.half_width_95 as f64 * (-scale).exp2() / rows.unwrap_or(1.0_f64).max(1.0);
    format!("±{within:.3e} (95 %)")
}

/// Who opens, under which tickets.
pub(crate) fn show_openers(offer: &Offer) {
    match &offer.quote.body.openers {
        Openers::CustodianHeld { node_key } => out!(
            "opened by the custodian's key node {node_key}: the custodian can learn the result"
        ),
        Openers::Committee { nodes, threshold } => {
            out!(
                "opened by any {threshold} of {} key nodes; only you learn the result, unless \
                 {threshold} of them conspire, or the custodian with one:",
                nodes.len()
            );
            for (number, key) in nodes.iter().enumerate() {
                out!("  node {number}  {key}");
            }
        }
    }
    let Some((terms, _)) = offer.class() else {
        return;
    };
    let t = &offer.details["tickets"];
    let text = |v: &Value| printable(v.as_str().unwrap_or("-"));
    out!(
        "  tickets \"{}\": {} needed, {} left, orders of at most {} values",
        printable(&terms.name),
        text(&t["needed"]),
        text(&t["left"]),
        text(&t["largestOrder"])
    );
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

/// The tickets of an order's folder: `ticket.json`, or `joint.json` of a joint
/// order.
pub(crate) struct Kept {
    folder: PathBuf,
    pub joint: bool,
    /// The orders, by quote; one unless joint.
    pub tickets: Vec<Ticket>,
}

impl Kept {
    /// Reads them.
    pub fn read(folder: &Path) -> Result<Self> {
        let file = folder.join("joint.json");
        let joint = file.exists();
        let tickets = match joint {
            true => files::read_json::<JointTicket>(&file)?.orders,
            false => vec![files::read_json(&folder.join("ticket.json"))?],
        };
        let folder = folder.to_owned();
        Ok(Self {
            folder,
            joint,
            tickets,
        })
    }

    /// Writes them, durably: they hold the key that opens the result, so before
    /// placing.
    fn save(&self) -> Result<()> {
        let (name, text) = match (self.joint, self.tickets.as_slice()) {
            (false, [ticket]) => ("ticket.json", serde_json::to_string(ticket)?),
            _ => {
                let orders = self.tickets.clone();
                (
                    "joint.json",
                    serde_json::to_string(&JointTicket { orders })?,
                )
            }
        };
        files::replace(&self.folder.join(name), &Zeroizing::new(text))
    }

    /// Places the orders and notes their ids. The same orders again are answered
    /// with the same ids and cost nothing more (ORD-2): cut off anywhere between
    /// signing and here, this is how it goes on.
    async fn place(&mut self, session: &Session) -> Result<Vec<Id>> {
        let mut ids = Vec::new();
        for i in 0..self.tickets.len() {
            let Some(ticket) = self.tickets.get_mut(i) else {
                break;
            };
            let id = buyer::place(session, ticket).await?;
            ticket.order_id = Some(id.clone());
            ids.push(id);
            self.save()?;
        }
        Ok(ids)
    }

    /// The orders' ids, placed where they are not known to be.
    async fn placed(&mut self, session: &Session) -> Result<Vec<Id>> {
        let known: Option<Vec<Id>> = self.tickets.iter().map(|t| t.order_id.clone()).collect();
        match known {
            Some(ids) => Ok(ids),
            None => {
                let ids = self.place(session).await?;
                let said: Vec<String> = ids.iter().map(ToString::to_string).collect();
                let said = said.join(", ");
                note!("order {said}: signed, but not known to be placed; now it is");
                Ok(ids)
            }
        }
    }

    /// What the opened values are decoded by: of a joint order the rows of all
    /// listings.
    pub fn decoding(&self) -> Result<(Manifest, Program)> {
        let first = self.tickets.first().context("there is no order")?;
        let program = first.order.body.program.clone();
        if !self.joint {
            return Ok((first.manifest.clone(), program));
        }
        let orders = self.tickets.clone();
        Ok((JointTicket { orders }.pooled()?, program))
    }

    /// Standard deviation of the noise in an opened integer: of all orders.
    pub fn noise_deviation(&self) -> f64 {
        let classes = self.tickets.iter().filter_map(Ticket::class);
        let variance = classes.map(|(_, c)| c.mechanism().forecast().standard_deviation.powi(2));
        variance.sum::<f64>().sqrt()
    }

    /// Where an order's files go: the folder, or one of its own of a joint one.
    pub fn place_of(&self, index: usize) -> PathBuf {
        match self.joint {
            true => self.folder.join(index.to_string()),
            false => self.folder.clone(),
        }
    }
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
    Ok(released(&session, &ids, json).await? && open(&session, &folder, json).await?)
}

/// Signs the orders within their price limit, keeps their tickets and places
/// them; their ids and folder.
pub(crate) async fn signed_and_placed(
    quoted: Quoted,
    terms: &Terms<'_>,
    json: bool,
) -> Result<(Vec<Id>, PathBuf)> {
    let price = quoted.price();
    let Quoted {
        session,
        marketplace,
        parts,
    } = quoted;
    if let Some(limit) = terms.max_price {
        let limit = credits(limit).with_context(|| format!("--max-price {limit:?}"))?;
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
    let (joint, tickets) = match parts.as_slice() {
        [(listed, query, offer)] => {
            let (m, s) = (&marketplace, &signing);
            let ticket = buyer::prepare(m, offer, listed, query, s, deadline, &mut rng)?;
            (false, vec![ticket])
        }
        parts => {
            let parts: Vec<Part<'_>> = parts
                .iter()
                .map(|(listed, query, offer)| Part {
                    listed,
                    query,
                    offer,
                })
                .collect();
            let made = buyer::prepare_joint(&marketplace, &parts, &signing, deadline, &mut rng)?;
            (true, made.orders)
        }
    };
    let first = tickets.first().context("there is no order")?;
    let name = first.order.digest()?.to_string();
    let folder: PathBuf = terms.out.join(name.get(..16).unwrap_or(&name));
    fs::create_dir_all(&folder)
        .and_then(|()| files::sync_folder_of(&folder))
        .and_then(|()| files::sync_folder_of(terms.out))
        .with_context(|| folder.display().to_string())?;
    let mut kept = Kept {
        folder: folder.clone(),
        joint,
        tickets,
    };
    kept.save()?;
    let ids = kept.place(&session).await?;
    if !json {
        for id in &ids {
            out!("order {id} placed");
        }
        out!(
            "its ticket (keep it: it opens the result) is in {}",
            folder.display()
        );
    }
    Ok((ids, folder))
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
    /// Its tickets.
    pub kept: Kept,
    /// Its ids.
    pub ids: Vec<Id>,
    /// The integers, by output; of a joint order, the sums.
    pub values: Vec<Vec<i64>>,
    /// The receipts' files.
    receipts: Vec<PathBuf>,
    receipt_bytes: u64,
    /// What the receipts say.
    verified: Vec<Report>,
    /// `result.json`.
    result: Value,
    file: PathBuf,
}

/// Opens an order, checks its receipt and writes `result.json`; none, and why on
/// the output, when it was refunded.
pub(crate) async fn fetch(session: &Session, folder: &Path, json: bool) -> Result<Option<Fetched>> {
    let mut kept = Kept::read(folder)?;
    let ids = kept.placed(session).await?;
    for id in &ids {
        let standing = buyer::standing(session, id).await?;
        match (standing.state.as_str(), &standing.refund) {
            ("released", _) => {}
            (_, Some((reason, detail))) => {
                say_refunded(id, reason, detail, json);
                return Ok(None);
            }
            (state, None) => bail!(
                "order {id} is {} ({} {}%); open it when it is released",
                printable(state),
                printable(&standing.stage),
                standing.per_mille / 10
            ),
        }
    }
    let opened = match (ids.as_slice(), kept.tickets.as_slice()) {
        ([id], [ticket]) => vec![buyer::open(session, id, ticket).await?],
        (ids, tickets) => {
            let orders: Vec<(&Id, &Ticket)> = ids.iter().zip(tickets).collect();
            buyer::open_together(session, &orders).await?
        }
    };
    let values = opened.first().map(|o| o.values.clone());
    let values = values.context("nothing was opened")?;
    let (mut receipts, mut receipt_bytes, mut verified) = (Vec::new(), 0, Vec::new());
    for ((i, opened), ticket) in opened.iter().enumerate().zip(&kept.tickets) {
        let place = kept.place_of(i);
        fs::create_dir_all(&place).with_context(|| place.display().to_string())?;
        let receipt = place.join("receipt.json");
        fs::write(&receipt, &opened.receipt).with_context(|| receipt.display().to_string())?;
        keep_sealed(&place, ticket, opened)?;
        let trust = Trust {
            marketplace: Some(market::marketplace_of(&ticket.marketplace)),
            circuits: None,
        };
        match verify_receipt(&opened.receipt, &trust) {
            Ok(report) => verified.push(report),
            Err(e) => bail!(
                "the receipt is refused by {}: {}",
                e.rule(),
                printable(&e.to_string())
            ),
        }
        receipt_bytes += opened.receipt.len() as u64;
        receipts.push(receipt);
    }
    let result = result_json(&kept, &ids, &values)?;
    let file = folder.join("result.json");
    fs::write(&file, serde_json::to_vec_pretty(&result)?)?;
    Ok(Some(Fetched {
        kept,
        ids,
        values,
        receipts,
        receipt_bytes,
        verified,
        result,
        file,
    }))
}

/// What the key nodes handed on, for `verify --result` (REC-5).
fn keep_sealed(place: &Path, ticket: &Ticket, opened: &Opened) -> Result<()> {
    let write = |name: &str, bytes: &[u8]| {
        let path = place.join(name);
        fs::write(&path, bytes).with_context(|| path.display().to_string())
    };
    match &opened.sealed {
        Sealed::Held(sealed) => write(SEALED_FILE, sealed),
        Sealed::Committee { masked, masks } => {
            write(MASKED_FILE, masked)?;
            for (node, sealed) in buyer::quorum_of(ticket, &opened.receipt)?.iter().zip(masks) {
                write(&masks_file(*node), sealed)?;
            }
            Ok(())
        }
    }
}

/// `result.json`: values in real units, the integers, what noise they carry.
fn result_json(kept: &Kept, ids: &[Id], values: &[Vec<i64>]) -> Result<Value> {
    let (manifest, program) = kept.decoding()?;
    let decoded = query::decode(&manifest, &program, values);
    let noise = kept.noise_deviation();
    let outputs: Vec<_> = decoded
        .iter()
        .zip(values)
        .map(|(d, integers)| {
            json!({ "label": d.label, "segment": d.segment, "rows": d.rows, "values": d.values,
                "noise_deviation": real_noise(&program, d, noise),
                "integers": integers.iter().map(ToString::to_string).collect::<Vec<_>>() })
        })
        .collect();
    let variances = variances(&decoded);
    let derived: Vec<_> = variances
        .iter()
        .map(|v| json!({ "column": v.column, "segment": v.segment, "rows": v.rows, "value": v.value }))
        .collect();
    let errors: Vec<_> = kept.tickets.iter().map(|t| &t.max_error).collect();
    let mut result = json!({ "order": ids.first(), "outputs": outputs, "variances": derived,
        "noise_deviation": noise, "max_rounding_error": errors.first() });
    if kept.joint {
        result["joint"] = json!(ids);
    }
    Ok(result)
}

/// The noise's deviation in an output's own units.
fn real_noise(program: &Program, d: &Decoded, noise: f64) -> f64 {
    let scale = program.vectors.get(d.vector as usize);
    let scale = scale.map_or(0, |v| v.scale_log2);
    let divisor = match d.over {
        MatrixRef::Traced { .. } => d.rows.max(1) as f64,
        MatrixRef::Chunk { .. } => 1.0,
    };
    noise * f64::from(-scale).exp2() / divisor
}

async fn open(session: &Session, folder: &Path, json: bool) -> Result<bool> {
    let Some(f) = fetch(session, folder, json).await? else {
        return Ok(false);
    };
    if json {
        let verified: Vec<Value> = f.verified.iter().map(Report::json).collect();
        let mut said = json!({ "result": f.result, "receipt": f.receipts.first(),
            "verified": verified.first() });
        if f.kept.joint {
            said["receipts"] = json!(f.receipts);
            said["all_verified"] = json!(verified);
        }
        out!("{said}");
        return Ok(true);
    }
    let (manifest, program) = f.kept.decoding()?;
    let decoded = query::decode(&manifest, &program, &f.values);
    out!(
        "{}",
        table(
            &["output", "segment", "rows", "value"],
            &[result_rows(&decoded), variance_rows(&variances(&decoded))].concat()
        )
    );
    let noise = f.kept.noise_deviation();
    if noise > 0.0 {
        let row = |d: &Decoded| format!("{} {:.3e}", d.label, real_noise(&program, d, noise));
        let said: Vec<String> = decoded.iter().map(row).collect();
        out!(
            "  the tickets' noise has deviation: {}",
            printable(&said.join("; "))
        );
    }
    let how = f.verified.first().map_or("", |r| r.decryption);
    for receipt in &f.receipts {
        out!("  receipt {}", receipt.display());
    }
    out!(
        "  {}, verified: evaluation proven, decryption {how}",
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
