//! `veilbourse demo --joint`: several custodians, each with a table of its own; a
//! buyer learns sums over all of them, and of no one (OPN-9): mean and variance of
//! a column, and a regression.

use super::{
    Check, DEPOSIT, Teller,
    custody::{self, Committee},
    folder,
    journey::available,
    table::least_squares,
    world::{Person, World},
};
use crate::{
    args::DemoArgs,
    custodian::{Opening, PolicyFile, encrypt_to},
    files,
    progress::Bars,
    show::{money, table},
};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::{collections::BTreeSet, io::Cursor, path::Path, sync::Arc, time::Instant};
use veilbourse_client::{
    buyer::{self, JointTicket, Listed, Part},
    dataset::{self, DatasetFolder},
    dealing::{self, Asked, DealerFolder, exact},
    market::{self, Decide},
    query::{self, Query},
    train::{Ask, Fit, JointPlan, Method, fit},
};
use veilbourse_core::{manifest::ColumnKind, simulation::simulate_program};
use veilbourse_documents::{Id, QueryKind, Signed};
use veilbourse_pod::Circuits;
use veilbourse_prover::srs::Srs;
use veilbourse_tabular::{
    Built, ColumnConfig, Kind, LinearModel, SchemaConfig, SecondMoments, build,
    reference::FloatTable,
};
use veilbourse_verify::{Trust, verify_receipt};

/// Most features of the demo's regression: with the target, all second moments of
/// nine columns fit one order.
const FEATURES: usize = 8;

/// The tables, under one schema that all custodians agreed on.
struct Tables {
    built: Vec<Built>,
    k_min: u64,
    pooled: FloatTable,
    /// Least squares on all rows together, in floats.
    reference: LinearModel,
    target: String,
    features: Vec<String>,
    notes: Vec<String>,
}

/// Ranges and kinds over all tables: what custodians who want their sums added
/// agree on before, since scales follow from them.
fn agreed(csvs: &[Vec<u8>], a: &DemoArgs) -> Result<(SchemaConfig, Vec<u8>)> {
    let first = csvs.first().context("--joint needs files")?;
    let end = |csv: &[u8]| csv.iter().position(|b| *b == b'\n').unwrap_or(csv.len());
    let header = &first[..end(first)];
    let mut pooled = header.to_vec();
    for (csv, path) in csvs.iter().zip(&a.joint) {
        let (found, rows) = csv.split_at(end(csv));
        ensure!(
            found.trim_ascii_end() == header.trim_ascii_end(),
            "{}: its header differs from the first file's",
            path.display()
        );
        pooled.extend(rows.trim_ascii_end());
    }
    pooled.push(b'\n');
    let mut config = match &a.schema {
        Some(f) => SchemaConfig::from_toml(&String::from_utf8(files::read(f)?)?)
            .with_context(|| f.display().to_string())?,
        None => SchemaConfig::new("joint"),
    };
    config.segment_by = a.segment.iter().cloned().collect();
    let built = build(Cursor::new(&pooled), &config).context("all tables together")?;
    for c in &built.columns {
        let unit = 2f64.powi(-c.scale_log2);
        match &c.kind {
            ColumnKind::Numeric => {
                let entry = config.columns.entry(c.name.clone()).or_default();
                entry.kind = Some(Kind::Numeric);
                entry.min.get_or_insert(c.min as f64 * unit);
                entry.max.get_or_insert(c.max as f64 * unit);
            }
            ColumnKind::Category { source, .. } => {
                // Categories are listed by what each table holds; the demo leaves them out.
                let dropped = ColumnConfig {
                    kind: Some(Kind::Drop),
                    ..ColumnConfig::default()
                };
                config.columns.insert(source.clone(), dropped);
            }
            _ => {}
        }
    }
    Ok((config, pooled))
}

impl Tables {
    fn load(a: &DemoArgs) -> Result<Self> {
        let csvs: Vec<Vec<u8>> = a
            .joint
            .iter()
            .map(|f| files::read(f))
            .collect::<Result<_>>()?;
        let (mut config, pooled) = agreed(&csvs, a)?;
        let numeric: Vec<String> = config
            .columns
            .iter()
            .filter(|(name, c)| c.kind == Some(Kind::Numeric) && !config.segment_by.contains(name))
            .map(|(name, _)| name.clone())
            .collect();
        let header = String::from_utf8_lossy(&pooled);
        let in_order = header.lines().next().unwrap_or_default();
        let last = in_order
            .trim()
            .rsplit(config.delimiter)
            .map(|c| c.trim_matches('"').to_owned())
            .find(|c| numeric.contains(c));
        let target = a
            .target
            .clone()
            .or(last)
            .context("no numeric column: give --target")?;
        ensure!(
            numeric.contains(&target),
            "--target {target:?} is no numeric column; there are {}",
            numeric.join(", ")
        );
        let others = in_order
            .trim()
            .split(config.delimiter)
            .map(|c| c.trim_matches('"').to_owned())
            .filter(|c| numeric.contains(c) && *c != target);
        let features: Vec<String> = others.take(FEATURES).collect();
        ensure!(
            !features.is_empty(),
            "no column but {target:?} is left to predict it from"
        );
        let used: Vec<String> = features.iter().chain([&target]).cloned().collect();
        let mut pairs = Vec::new();
        for (i, left) in used.iter().enumerate() {
            pairs.extend(
                used.iter()
                    .skip(i)
                    .map(|right| (left.clone(), right.clone())),
            );
        }
        config.second_moments = SecondMoments::Products(pairs);
        let read = |csv: &Vec<u8>, config: &SchemaConfig| build(Cursor::new(csv), config);
        // What one table suppresses, all would lack: the custodians override it by
        // name, and the report says so.
        let mut keep = BTreeSet::new();
        for (csv, path) in csvs.iter().zip(&a.joint) {
            let built = read(csv, &config).with_context(|| path.display().to_string())?;
            keep.extend(built.report.suppressed());
        }
        let mut notes = Vec::new();
        if !keep.is_empty() {
            let names: Vec<&str> = keep.iter().map(String::as_str).collect();
            notes.push(format!(
                "suppression overridden by name for {}",
                names.join(", ")
            ));
            config.suppression.keep.extend(keep);
        }
        let mut built = Vec::new();
        for (csv, path) in csvs.iter().zip(&a.joint) {
            let mut b = read(csv, &config).with_context(|| path.display().to_string())?;
            b.name = path
                .file_stem()
                .map_or("table".into(), |s| s.to_string_lossy().into_owned());
            built.push(b);
        }
        let all = build(Cursor::new(&pooled), &config).context("all tables together")?;
        let float = FloatTable::read(Cursor::new(&pooled), &config)?;
        let reference = least_squares(&all, &float, &target, Some(&features))?;
        Ok(Self {
            built,
            k_min: config.suppression.k_min,
            pooled: float,
            reference,
            target,
            features,
            notes,
        })
    }

    /// n, mean and variance of the target over all rows, in floats.
    fn moments(&self) -> (u64, f64, f64) {
        let at = self
            .pooled
            .names
            .iter()
            .position(|n| *n == self.target)
            .unwrap_or_default();
        let rows = self.pooled.segments.iter().flat_map(|s| &s.rows);
        let values: Vec<f64> = rows.filter_map(|r| r.get(at).copied()).collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
        (values.len() as u64, mean, squares / n)
    }
}

/// One custodian with its listing.
struct Seller {
    folder: DatasetFolder,
    opening: Opening,
    listing: Id,
}

/// Runs the joint journey; whether every check held.
pub async fn run(a: &DemoArgs, json: bool) -> Result<bool> {
    let started = Instant::now();
    ensure!(
        a.joint.len() >= 3,
        "--joint needs at least three tables: with {} a custodian could take its own part out of the sum (ORD-8)",
        a.joint.len()
    );
    let (tell, bars) = (Teller(json), Bars::new(json));
    let dir = folder(a)?;
    tell.say(format_args!(
        "everything of this run is in {}",
        dir.display()
    ));
    let tables = tokio::task::block_in_place(|| Tables::load(a))?;
    for note in &tables.notes {
        tell.say(format_args!("note: {note}"));
    }

    tell.title("the market starts: server, pod, and a committee of key nodes");
    // Statistics need no circuit; the accepted keys name a string all the same.
    let srs = Arc::new(tokio::task::block_in_place(|| {
        Srs::dev(4, &mut crate::rng(None))
    })?);
    let circuits = Circuits::new(srs.clone());
    let mut world = World::start(&dir, &srs, &circuits, &[]).await?;
    world.start_pod(circuits).await?;
    let committee = Committee::start(&world, a.committee).await?;

    tell.title(&format!(
        "{} custodians encrypt, deal tickets, list",
        tables.built.len()
    ));
    let mut sellers = Vec::new();
    for (i, built) in tables.built.iter().enumerate() {
        let seller = list(&world, &committee, &tables, built, i, &dir, &bars).await?;
        let rows: u64 = built.segments.iter().map(|s| s.rows).sum();
        tell.say(format_args!(
            "  {}: {rows} rows, listing {}",
            built.name, seller.listing
        ));
        sellers.push(seller);
    }
    for s in &sellers {
        custody::accepted(&world.admin, &s.listing, &bars).await?;
    }
    let dealt = started.elapsed().as_secs_f64();

    let buyer = world
        .person("buyer@demo.example", "Epidemiologist", "BUYER")
        .await?;
    let deposit = market::request_deposit(&buyer.session, DEPOSIT, "demo").await?;
    market::decide(&world.admin, Decide::Deposit, deposit.as_str(), true, "").await?;
    let mut listed = Vec::new();
    for s in &sellers {
        listed.push(buyer::listing(&buyer.session, s.listing.as_str()).await?);
    }

    tell.title(&format!(
        "joint order 1: mean and variance of {} over all",
        tables.target
    ));
    let mut queries = Vec::new();
    for l in &listed {
        queries.push(query::statistics(&l.manifest, &tables.target)?);
    }
    let statistics = buy(&world, &buyer, &listed, queries, "statistics", &bars).await?;
    let statistics_match = statistics.equals(&tables, &sellers);
    let (n, mean, variance) = tables.moments();
    let found = decoded(&statistics, &tables.target, n)?;
    tell.say(table(
        &["", "decrypted", "plaintext, all tables together"],
        &[
            vec!["rows".into(), n.to_string(), n.to_string()],
            vec![
                "mean".into(),
                format!("{:.6}", found.0),
                format!("{mean:.6}"),
            ],
            vec![
                "variance".into(),
                format!("{:.6}", found.1),
                format!("{variance:.6}"),
            ],
        ],
    ));

    tell.title(&format!(
        "joint order 2: {} from {} columns, least squares",
        tables.target,
        tables.features.len()
    ));
    let ask = Ask {
        target: tables.target.clone(),
        features: tables.features.clone(),
        segments: Vec::new(),
        references: Vec::new(),
        exclusive: Vec::new(),
        exact: Vec::new(),
    };
    let plan = JointPlan::of(&listed, &ask)?;
    let training = buy(
        &world,
        &buyer,
        &listed,
        plan.queries.clone(),
        "regression",
        &bars,
    )
    .await?;
    let training_match = training.equals(&tables, &sellers);
    let fitted = fit(&plan.moments(&training.values)?, Method::Ols)?;
    let coefficients_match = show_fit(&tables, &fitted, &tell);

    let paid = statistics.ticket.price() + training.ticket.price();
    let left = available(&buyer.session).await?;
    let (ledger, balanced) = market::ledger(&world.admin).await?;
    let _ = ledger;
    tell.say(format_args!(
        "  the buyer paid {} credits for both, to {} custodians",
        money(paid),
        sellers.len()
    ));
    let spent = statistics.spent()? + training.spent()?;
    committee.stop().await;
    let privacy = custody::privacy(&sellers.first().context("no custodian")?.opening)?;
    world.stop().await?;
    let checks = [
        Check(
            "the sums of the statistics equal the integer reference",
            statistics_match,
        ),
        Check(
            "the second moments equal the integer reference",
            training_match,
        ),
        Check(
            "coefficients are least squares on all tables together, within the stated quantisation",
            coefficients_match,
        ),
        Check(
            "every receipt verifies offline",
            statistics.receipts.len() + training.receipts.len() == 2 * sellers.len(),
        ),
        Check(
            "the buyer paid exactly the quoted prices",
            left == DEPOSIT - paid,
        ),
        Check("the ledger balances", balanced),
    ];
    let good = checks.iter().all(|c| c.1);
    for (i, receipt) in statistics
        .receipts
        .iter()
        .chain(&training.receipts)
        .enumerate()
    {
        std::fs::write(dir.join(format!("receipt-{i}.json")), receipt)?;
    }
    if json {
        let coefficients: Vec<Value> = fitted
            .coefficients
            .iter()
            .chain([&fitted.intercept])
            .map(
                |c| json!({ "name": c.name, "value": c.value, "standard_error": c.standard_error }),
            )
            .collect();
        let checks: serde_json::Map<String, Value> = checks
            .iter()
            .map(|c| (c.0.to_owned(), json!(c.1)))
            .collect();
        out!(
            "{}",
            json!({
                "evaluation": "proven", "decryption": "committee-attested", "custody": "committee",
                "committee": { "nodes": a.committee.nodes, "threshold": a.committee.threshold },
                "tickets_spent": spent, "privacy": privacy,
                "joint": { "custodians": sellers.len(), "rows": n, "target": tables.target,
                    "mean": found.0, "variance": found.1, "expected": { "mean": mean, "variance": variance },
                    "coefficients": coefficients, "r_squared": fitted.r_squared },
                "match": statistics_match && training_match && coefficients_match,
                "seconds": { "dealt_and_listed": dealt, "total": started.elapsed().as_secs_f64() },
                "checks": checks, "ledger_balanced": balanced, "ok": good,
            })
        );
        return Ok(good);
    }
    tell.title("checks");
    for Check(what, held) in &checks {
        tell.say(format_args!(
            "  {}  {what}",
            if *held { "held  " } else { "FAILED" }
        ));
    }
    tell.say(format_args!(
        "\n{} receipts in {}; {:.1} s",
        statistics.receipts.len() + training.receipts.len(),
        dir.display(),
        started.elapsed().as_secs_f64()
    ));
    Ok(good)
}

/// A custodian encrypts, deals, uploads, signs; the admin publishes.
async fn list(
    world: &World,
    committee: &Committee,
    tables: &Tables,
    built: &Built,
    i: usize,
    dir: &Path,
    bars: &Bars,
) -> Result<Seller> {
    let person = world
        .person(
            &format!("custodian{i}@demo.example"),
            &format!("Registry {i}"),
            "CUSTODIAN",
        )
        .await?;
    let at = dir.join(format!("dataset-{i}"));
    let (folder, _) = tokio::task::block_in_place(|| encrypt_to(built, tables.k_min, &at, bars))?;
    let k = u8::try_from(folder.manifest.message_log2).context("k")?;
    let moments = (tables.features.len() + 1) as u64;
    let segments = folder.manifest.segments.len() as u64;
    let tickets = 64 + 2 * segments * (2 + moments + moments * (moments + 1) / 2);
    let mut rng = crate::rng(None);
    let dealer = tokio::task::block_in_place(|| -> Result<DealerFolder> {
        let mut dealer = DealerFolder::open(&folder, &mut rng)?;
        let class = exact("exact", k);
        dealer.add(
            &committee.file,
            &[Asked { class, tickets }],
            &BTreeSet::new(),
            None,
        )?;
        let secret = folder.secret()?;
        let by = files::public(&person.key);
        dealing::deal(&mut dealer, &secret, &by, &committee.file, &mut rng, bars)?;
        Ok(dealer)
    })?;
    let opening = Opening::committee(&committee.file, &dealer, None)?;
    let session = &person.session;
    let listing = dataset::draft(session, &folder, &built.name, "listed by the demo").await?;
    dataset::upload(&session.server, &listing, &folder, bars).await?;
    dealing::upload(session, &listing, &dealer, bars).await?;
    let policy = PolicyFile {
        node_key: None,
        kinds: vec![QueryKind::AggregatePublic],
        min_cohort: tables.k_min.max(2),
        quota_values: 10_000,
        quota_bits: 630_000,
        price_order: 2_500,
        price_output: 25,
        custodian_basis_points: 7_500,
        version: 1,
    };
    let root = folder.manifest.root();
    let body = policy.body(
        &world.marketplace,
        &listing,
        root,
        opening.clone(),
        crate::clock()(),
    );
    dataset::submit(session, &listing, &Signed::sign(body, &person.key)?).await?;
    market::decide(
        &world.admin,
        Decide::Listing,
        listing.as_str(),
        true,
        "checked",
    )
    .await?;
    Ok(Seller {
        folder,
        opening,
        listing,
    })
}

/// A joint order that ended well.
struct Bought {
    ticket: JointTicket,
    /// In the order of the listings.
    queries: Vec<Query>,
    /// Sums over all, by output.
    values: Vec<Vec<i64>>,
    receipts: Vec<Vec<u8>>,
}

async fn buy(
    world: &World,
    person: &Person,
    listed: &[Listed],
    queries: Vec<Query>,
    name: &str,
    bars: &Bars,
) -> Result<Bought> {
    let (session, key) = (&person.session, &world.marketplace);
    let mut pairs: Vec<(&Listed, Query)> = listed.iter().zip(queries).collect();
    buyer::align(&mut pairs)?;
    let mut offers = Vec::new();
    for (l, q) in &pairs {
        offers.push(buyer::quote(session, key, l, q, None).await?);
    }
    let parts: Vec<Part<'_>> = pairs
        .iter()
        .zip(&offers)
        .map(|((listed, query), offer)| Part {
            listed,
            query,
            offer,
        })
        .collect();
    let deadline = crate::clock()() + 3_600_000;
    let ticket = buyer::prepare_joint(key, &parts, &person.key, deadline, &mut crate::rng(None))?;
    let mut ids = Vec::new();
    for t in &ticket.orders {
        ids.push(buyer::place(session, t).await?);
    }
    for (i, id) in ids.iter().enumerate() {
        let name = format!("{name} {i}");
        let ended = buyer::wait(session, id, |s| {
            bars.set(
                &name,
                s.per_mille.min(999),
                1000,
                &format!("{} {}", s.state, s.stage),
            );
        })
        .await?;
        bars.set(&name, 1000, 1000, &ended.state);
        if ended.state != "released" {
            bail!(
                "order {id} of {name} was {}: {:?}",
                ended.state,
                ended.refund
            );
        }
    }
    let both: Vec<_> = ids.iter().zip(&ticket.orders).collect();
    let opened = buyer::open_together(session, &both).await?;
    let trust = Trust {
        marketplace: Some(market::marketplace_of(key)),
        circuits: None,
    };
    for o in &opened {
        if let Err(e) = verify_receipt(&o.receipt, &trust) {
            bail!("{name}: a receipt is refused by {}: {e}", e.rule());
        }
    }
    let values = opened
        .first()
        .map(|o| o.values.clone())
        .context("nothing was opened")?;
    Ok(Bought {
        queries: pairs.into_iter().map(|(_, q)| q).collect(),
        receipts: opened.into_iter().map(|o| o.receipt).collect(),
        ticket,
        values,
    })
}

impl Bought {
    /// Every opened sum equals that of the plaintext integers of all tables.
    fn equals(&self, tables: &Tables, sellers: &[Seller]) -> bool {
        let mut sums: Option<Vec<Vec<i64>>> = None;
        for ((seller, built), q) in sellers.iter().zip(&tables.built).zip(&self.queries) {
            let of = simulate_program(
                &seller.folder.manifest,
                &built.table,
                &q.program,
                &q.weights,
            );
            let Some(of) = of else { return false };
            match &mut sums {
                None => sums = Some(of),
                Some(sums) => {
                    let both = sums.iter_mut().flatten().zip(of.iter().flatten());
                    both.for_each(|(s, v)| *s += v);
                }
            }
        }
        sums.as_ref() == Some(&self.values)
    }

    /// Tickets spent over all listings, by the receipts.
    fn spent(&self) -> Result<u64> {
        let mut spent = 0;
        for r in &self.receipts {
            spent += super::journey::tickets_of(r)?;
        }
        Ok(spent)
    }
}

/// Mean and variance over all segments and listings.
fn decoded(bought: &Bought, target: &str, rows: u64) -> Result<(f64, f64)> {
    let manifest = bought.ticket.pooled()?;
    let program = bought.ticket.program().context("no order")?;
    let mut sums = [0f64; 2];
    for ((output, values), _) in program.outputs.iter().zip(&bought.values).zip(0..) {
        let vector = program
            .vectors
            .get(output.vector as usize)
            .context("an output's vector")?;
        let value =
            values.first().copied().unwrap_or_default() as f64 * 2f64.powi(-vector.scale_log2);
        let square = vector.label == format!("sum of {target}^2");
        sums[usize::from(square)] += value;
    }
    let _ = manifest;
    let (mean, squares) = (sums[0] / rows as f64, sums[1] / rows as f64);
    Ok((mean, squares - mean * mean))
}

/// Coefficients beside least squares in floats on all tables together.
fn show_fit(tables: &Tables, fitted: &Fit, tell: &Teller) -> bool {
    let mut rows = Vec::new();
    let mut within = true;
    for c in fitted.coefficients.iter().chain([&fitted.intercept]) {
        let at = tables.reference.columns.iter().position(|n| *n == c.name);
        let expected = at.and_then(|i| tables.reference.weights.get(i).copied());
        let expected = expected.unwrap_or(tables.reference.intercept);
        let difference = (c.value - expected).abs();
        // The reference is in floats, with its own rounding.
        let allowed = c.quantisation.bound + 1e-6 * (1.0 + expected.abs());
        within &= difference <= allowed;
        rows.push(vec![
            c.name.clone(),
            format!("{:.6}", c.value),
            format!("{:.6}", c.standard_error),
            format!("{expected:.6}"),
            format!("{difference:.1e}"),
            format!("{:.1e}", c.quantisation.bound),
        ]);
    }
    tell.say(table(
        &[
            "",
            "decrypted",
            "standard error",
            "plaintext, all together",
            "difference",
            "quantisation, at most",
        ],
        &rows,
    ));
    tell.say(format_args!(
        "  R^2 {:.6} on {} rows",
        fitted.r_squared, fitted.rows
    ));
    within
}
