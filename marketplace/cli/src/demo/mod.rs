//! `veilbourse demo`: the whole chain on real data, as all four users, through
//! the public interfaces only; exit code 0 only if every check held.
//!
//! Over 500 lines: one journey, told in order.

pub mod attacks;
pub mod custody;
mod joint;
pub mod journey;
pub(crate) mod table;
pub mod world;

use crate::{
    admin::ledger_table,
    args::{DemoArgs, RowsArg, WeightsArg},
    buyer::show_offer,
    custodian::{EncryptTimes, Opening, PolicyFile, encrypt_to},
    progress::Bars,
    show::{bars, bytes, money, table},
    srs::log_rows,
};
use anyhow::{Context, Result, bail};
use attacks::Refused;
use custody::{Committee, Dealt, Wanted};
use journey::{Done, available, buy};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};
use table::Plain;
use veilbourse_client::{
    buyer as client_buyer,
    dataset::{self, DatasetFolder},
    dealing,
    market::{self, Decide},
    query::{self, Query, Rows},
};
use veilbourse_core::{program::MatrixRef, simulation::simulate_program};
use veilbourse_documents::{Custody as Custodian, Openers, QueryKind, Signed, demand};
use veilbourse_pod::Circuits;
use veilbourse_prover::srs::Srs;
use veilbourse_tabular::reference::sigmoid;
use veilbourse_verifier::linear::{MatrixKind, inputs::class_of};
use world::{Person, World};

/// Minor units that the buyer deposits.
const DEPOSIT: i64 = 10_000_000;

/// A check with its outcome.
struct Check(&'static str, bool);

/// Prints unless the output is for programs.
struct Teller(bool);

impl Teller {
    fn say(&self, text: impl std::fmt::Display) {
        if !self.0 {
            out!("{text}");
        }
    }
    fn title(&self, text: &str) {
        self.say(format_args!(
            "\n── {text} {}",
            "─".repeat(72usize.saturating_sub(text.chars().count()))
        ));
    }
}

fn folder(a: &DemoArgs) -> Result<PathBuf> {
    let dir = match &a.dir {
        Some(d) => d.clone(),
        None => std::env::temp_dir().join(format!("veilbourse-demo-{}", crate::clock()())),
    };
    std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    if std::fs::read_dir(&dir)?.next().is_some() {
        bail!("{} is not empty", dir.display());
    }
    Ok(dir)
}

/// Runs the journey; whether every check held.
pub async fn run(a: DemoArgs, json: bool) -> Result<bool> {
    if !a.joint.is_empty() {
        return joint::run(&a, json).await;
    }
    let started = Instant::now();
    let tell = Teller(json);
    let progress = Bars::new(json);
    let dir = folder(&a)?;
    tell.say(format_args!(
        "everything of this run is in {}",
        dir.display()
    ));

    tell.title("the custodian encrypts, on its own machine");
    let plain = tokio::task::block_in_place(|| Plain::load(&a))?;
    let rows: u64 = plain.built.segments.iter().map(|s| s.rows).sum();
    tell.say(format_args!(
        "{}: {rows} rows, {} encrypted columns, {} segments ({})",
        plain.built.name,
        plain.built.columns.len(),
        plain.built.segments.len(),
        bytes(plain.bytes()),
    ));
    for note in plain.notes.iter().chain(&plain.built.report.notes) {
        tell.say(format_args!("note: {note}"));
    }
    for d in &plain.built.report.dropped {
        tell.say(format_args!("not encrypted: {} ({})", d.name, d.reason));
    }
    let dataset_dir = dir.join("dataset");
    let (folder, encrypted) = tokio::task::block_in_place(|| {
        encrypt_to(
            &plain.built,
            plain.config.suppression.k_min,
            &dataset_dir,
            &progress,
        )
    })?;

    tell.title("the market starts: server, pod, key node, on loopback");
    let columns = folder.manifest.columns.len();
    let kind = match a.rows {
        RowsArg::Aggregate => MatrixKind::Traced,
        RowsArg::Each => MatrixKind::Chunk,
    };
    let class = class_of(columns).context("more columns than the largest circuit class")?;
    let srs_started = Instant::now();
    let srs =
        tokio::task::block_in_place(|| Srs::dev(log_rows(kind, class), &mut crate::rng(None)))?;
    std::fs::write(dir.join("srs.bin"), srs.encode())?;
    let srs = Arc::new(srs);
    let srs_seconds = srs_started.elapsed().as_secs_f64();
    let circuits = Circuits::new(srs.clone());
    let needed: Vec<(MatrixKind, usize)> = match a.weights {
        WeightsArg::Private => vec![(kind, columns)],
        WeightsArg::Public => Vec::new(),
    };
    let mut world = World::start(&dir, &srs, &circuits, &needed).await?;
    world.start_pod(circuits).await?;
    tell.say(format_args!(
        "server {}   marketplace {}",
        world.url,
        market::marketplace_of(&world.marketplace)
    ));
    tell.say(format_args!(
        "SRS {} (dev: made here in {srs_seconds:.1} s; receipts say so)",
        srs.digest()
    ));

    let journey = Journey {
        a: &a,
        plain: &plain,
        folder: &folder,
        encrypted,
        progress: &progress,
        tell: &tell,
    };
    let outcome = journey.run(&mut world, &dir).await?;
    world.stop().await?;
    let total = started.elapsed().as_secs_f64();
    journey.finish(outcome, total, json)
}

/// What the demo knows before the market opens.
struct Journey<'a> {
    a: &'a DemoArgs,
    plain: &'a Plain,
    folder: &'a DatasetFolder,
    encrypted: EncryptTimes,
    progress: &'a Bars,
    tell: &'a Teller,
}

/// What came out.
struct Outcome {
    opening: Opening,
    /// Seconds of dealing.
    deal: Option<f64>,
    /// Tickets that the two orders spent.
    tickets_spent: u64,
    upload: f64,
    statistics: Done,
    model: Done,
    comparison: Comparison,
    statistics_match: bool,
    refused: Vec<Refused>,
    balanced: bool,
    receipt: PathBuf,
    checks: Vec<Check>,
}

/// Who opens, set up.
struct Custody {
    opening: Opening,
    committee: Option<Committee>,
    dealt: Option<Dealt>,
}

/// Decrypted beside expected.
struct Comparison {
    matches: bool,
    /// In the order of the source rows, or of the segments.
    values: Vec<f64>,
    expected: Vec<f64>,
    max_abs_error: f64,
}

impl Journey<'_> {
    async fn run(&self, world: &mut World, dir: &Path) -> Result<Outcome> {
        let (tell, manifest) = (self.tell, &self.folder.manifest);
        let custodian = world
            .person("custodian@demo.example", "RAND archive", "CUSTODIAN")
            .await?;
        let buyer = world
            .person("buyer@demo.example", "Health economist", "BUYER")
            .await?;
        let suppressed = self.plain.built.report.suppressed();
        let statistics_query = query::statistics(manifest, self.statistics_column()?)?;
        let blinder = match self.a.weights {
            WeightsArg::Private => Some(query::blinder(&mut crate::rng(None))),
            WeightsArg::Public => None,
        };
        let rows = match self.a.rows {
            RowsArg::Aggregate => Rows::Aggregate,
            RowsArg::Each => Rows::Each,
        };
        let coverage = self
            .plain
            .coverage(self.a.target.is_some() || self.a.data.is_none());
        let model = &self.plain.model;
        let model_query = query::model(manifest, model, &suppressed, coverage, rows, blinder)?;

        let custody = self
            .custody(world, &custodian, [&statistics_query, &model_query])
            .await?;

        tell.title("the custodian uploads, signs its policy, submits; the admin publishes");
        let started = Instant::now();
        let title = self.plain.built.name.clone();
        let session = &custodian.session;
        let listing = dataset::draft(session, self.folder, &title, "listed by the demo").await?;
        dataset::upload(&session.server, &listing, self.folder, self.progress).await?;
        if let Some(dealt) = &custody.dealt {
            dealing::upload(session, &listing, &dealt.dealer, self.progress).await?;
        }
        let body = self.policy().body(
            &world.marketplace,
            &listing,
            manifest.root(),
            custody.opening.clone(),
            crate::clock()(),
        );
        dataset::submit(session, &listing, &Signed::sign(body, &custodian.key)?).await?;
        let upload = started.elapsed().as_secs_f64();
        market::decide(
            &world.admin,
            Decide::Listing,
            listing.as_str(),
            true,
            "checked",
        )
        .await?;
        tell.say(format_args!(
            "listing {listing}: {} uploaded ({:.2} bytes a slot), every root recomputed, listing proof verified, published",
            bytes(self.folder.bytes()?.0),
            self.folder.bytes_per_slot()?
        ));

        tell.title("the buyer deposits; the admin approves");
        let deposit = market::request_deposit(&buyer.session, DEPOSIT, "demo").await?;
        market::decide(&world.admin, Decide::Deposit, deposit.as_str(), true, "").await?;
        let names: HashMap<String, &str> = [
            (buyer.session.account.to_string(), "buyer"),
            (custodian.session.account.to_string(), "custodian"),
            (world.operator.account.to_string(), "pod operator"),
        ]
        .into();
        let ledger_before = self.ledger(world, &names).await?;

        let listed = client_buyer::listing(&buyer.session, listing.as_str()).await?;
        let classes = match &custody.dealt {
            None => [None, None],
            Some(dealt) => {
                let started = Instant::now();
                let views = custody::accepted(session, &listing, self.progress).await?;
                tell.say(format_args!(
                    "every quorum checked its tickets and opened eight coefficients of the public key to zero, {:.1} s",
                    started.elapsed().as_secs_f64()
                ));
                let of = |name: &String| client_buyer::class_named(&views, name);
                [Some(of(&dealt.classes[0])?), Some(of(&dealt.classes[1])?)]
            }
        };

        tell.title("order 1: mean and variance in each segment, public weights");
        let statistics = buy(
            world,
            &buyer,
            &listed,
            &statistics_query,
            classes[0].as_ref(),
            "statistics",
            self.progress,
        )
        .await?;
        if !tell.0 {
            show_offer(&statistics.offer, &statistics_query, false, false);
        }
        let statistics_match = self.matches(&statistics_query, &statistics);
        self.show_statistics(&statistics);

        let hidden = if blinder.is_some() {
            "private"
        } else {
            "public"
        };
        tell.title(&format!(
            "order 2: linear model, {hidden} weights ({})",
            self.plain.model_source
        ));
        let model = buy(
            world,
            &buyer,
            &listed,
            &model_query,
            classes[1].as_ref(),
            "model",
            self.progress,
        )
        .await?;
        if !tell.0 {
            show_offer(&model.offer, &model_query, false, false);
        }
        let comparison = self.compare(&model_query, &model)?;
        self.show_model(&comparison);

        let receipt = dir.join("receipt.json");
        std::fs::write(&receipt, &model.opened.receipt)?;
        std::fs::write(
            dir.join("receipt-statistics.json"),
            &statistics.opened.receipt,
        )?;

        let mut refused = Vec::new();
        if !self.a.no_attacks {
            tell.title("attacks: refused, and refunded");
            let mallory = attacks::Mallory::new(world).await?;
            let none = Circuits::new(Arc::new(tokio::task::block_in_place(|| {
                Srs::dev(4, &mut crate::rng(None))
            })?));
            refused.push(
                mallory
                    .tampered_result(&buyer, &listed, &statistics_query, &none)
                    .await?,
            );
            let earlier = Signed::parse(&model.opened.receipt)?;
            refused.push(
                mallory
                    .forged_proof(&buyer, &listed, &model_query, &earlier)
                    .await?,
            );
            refused.extend(
                attacks::replayed_order(
                    world,
                    &buyer,
                    &listed,
                    &model_query,
                    &model.ticket,
                    &model.order,
                )
                .await?,
            );
            for r in &refused {
                let mark = if r.held { "held" } else { "FAILED" };
                tell.say(format_args!("  {mark}  {}: {}", r.attack, r.answer));
            }
        }

        tell.title("the ledger, before and after");
        let ledger_after = self.ledger(world, &names).await?;
        tell.say(ledger_before.0);
        tell.say(&ledger_after.0);
        let paid = journey::price(&statistics) + journey::price(&model);
        let left = available(&buyer.session).await?;
        let balanced = ledger_before.1 && ledger_after.1;
        tell.say(format_args!(
            "  {}; the buyer paid {} credits in all",
            if balanced { "balanced" } else { "NOT BALANCED" },
            money(paid)
        ));
        let noisy = self.a.noise.is_some();
        let checks = vec![
            Check(
                if noisy {
                    "statistics are the integer reference within the noise's bound"
                } else {
                    "statistics equal the integer reference"
                },
                statistics_match,
            ),
            Check(
                if noisy {
                    "model results are the integer reference within the noise's bound"
                } else {
                    "model results equal the integer reference"
                },
                comparison.matches,
            ),
            Check(
                "both receipts verify offline",
                statistics.report.outputs + model.report.outputs > 0,
            ),
            Check(
                "every attack was refused and refunded",
                refused.iter().all(|r| r.held),
            ),
            Check(
                "the buyer paid exactly the two prices",
                left == DEPOSIT - paid,
            ),
            Check("the ledger balances", balanced),
        ];
        let tickets_spent = journey::tickets(&statistics)? + journey::tickets(&model)?;
        if let Some(committee) = custody.committee {
            committee.stop().await;
        }
        Ok(Outcome {
            opening: custody.opening,
            deal: custody.dealt.map(|d| d.seconds),
            tickets_spent,
            upload,
            statistics,
            model,
            comparison,
            statistics_match,
            refused,
            balanced,
            receipt,
            checks,
        })
    }

    /// The committee, and what is dealt to it; or the custodian's own key node.
    async fn custody(
        &self,
        world: &mut World,
        custodian: &Person,
        queries: [&Query; 2],
    ) -> Result<Custody> {
        let tell = self.tell;
        if self.a.custodian_held {
            return Ok(Custody {
                opening: custody::held(world, custodian, self.folder).await?,
                committee: None,
                dealt: None,
            });
        }
        let size = self.a.committee;
        tell.title("a committee starts; the custodian deals opening tickets to it");
        let committee = Committee::start(world, size).await?;
        let (manifest, policy) = (&self.folder.manifest, self.policy());
        let mut values = [0; 2];
        for (v, q) in values.iter_mut().zip(queries) {
            *v = demand(manifest, &q.program, &policy.kinds, policy.min_cohort)?.values;
        }
        let wanted = Wanted {
            programs: queries.map(|q| &q.program),
            values,
            noise: self.a.noise.as_deref(),
        };
        let dealt = tokio::task::block_in_place(|| {
            let by = crate::files::public(&custodian.key);
            custody::deal(&committee.file, &by, self.folder, &wanted, self.progress)
        })?;
        tell.say(format_args!(
            "{} key nodes, any {} of which open and fewer learn nothing; {} tickets for {} quorums dealt in {:.1} s",
            size.nodes,
            size.threshold,
            dealt.tickets,
            veilbourse_protocol::Committee::new(size.nodes, size.threshold)?.quorums().len(),
            dealt.seconds,
        ));
        Ok(Custody {
            opening: dealt.opening.clone(),
            committee: Some(committee),
            dealt: Some(dealt),
        })
    }

    /// The policy of the demo's custodian.
    fn policy(&self) -> PolicyFile {
        let rows: u64 = self.plain.built.segments.iter().map(|s| s.rows).sum();
        let (mut kinds, mut values) = (
            vec![QueryKind::AggregatePublic, QueryKind::AggregatePrivate],
            10_000,
        );
        if self.a.rows == RowsArg::Each {
            // Off by default: a clause of its own, since weights of one column
            // alone would read it out row by row.
            kinds.extend([QueryKind::RowsPublic, QueryKind::RowsPrivate]);
            values += 4 * rows;
        }
        PolicyFile {
            node_key: None,
            kinds,
            min_cohort: self.plain.config.suppression.k_min.max(2),
            quota_values: values,
            quota_bits: values * 63,
            price_order: 2_500,
            price_output: if self.a.rows == RowsArg::Each { 5 } else { 250 },
            custodian_basis_points: 7_500,
            version: 1,
        }
    }

    /// The target where it is encrypted, else the first numeric column.
    fn statistics_column(&self) -> Result<&str> {
        let columns = &self.folder.manifest.columns;
        columns
            .iter()
            .find(|c| c.name == self.plain.target)
            .or(columns.first())
            .map(|c| c.name.as_str())
            .context("the dataset has no column")
    }

    /// Every opened integer equals the simulation on the plaintext integers.
    fn matches(&self, query: &Query, done: &Done) -> bool {
        let expected = simulate_program(
            &self.folder.manifest,
            &self.plain.built.table,
            &query.program,
            &query.weights,
        );
        // Without noise they are equal; no noise is beyond its bound (PRV-4).
        let noise = done
            .ticket
            .class()
            .map_or(0, |(_, c)| c.mechanism().noise_bound());
        let near = |(a, b): (&i64, &i64)| a.abs_diff(*b) <= noise;
        expected.is_some_and(|expected| {
            expected.len() == done.opened.values.len()
                && expected
                    .iter()
                    .zip(&done.opened.values)
                    .all(|(e, v)| e.len() == v.len() && e.iter().zip(v).all(near))
        })
    }

    fn show_statistics(&self, done: &Done) {
        let manifest = &self.folder.manifest;
        let Ok(column) = self.statistics_column() else {
            return;
        };
        let decoded = query::decode(
            manifest,
            &done.ticket.order.body.program,
            &done.opened.values,
        );
        let mut rows = Vec::new();
        let mut plot = Vec::new();
        for (s, segment) in manifest.segments.iter().enumerate() {
            let of = |label: String| {
                decoded
                    .iter()
                    .find(|d| d.over == MatrixRef::Traced { segment: s as u32 } && d.label == label)
                    .and_then(|d| d.values.first().copied())
            };
            let Some(mean) = of(format!("sum of {column}")) else {
                continue;
            };
            let variance = of(format!("sum of {column}^2")).map(|m2| m2 - mean * mean);
            let expected = self.plain.float.mean(s, column).unwrap_or(f64::NAN);
            let text = |v: Option<f64>| v.map_or("-".to_owned(), |v| format!("{v:.6}"));
            rows.push(vec![
                segment.label.clone(),
                segment.rows.to_string(),
                format!("{mean:.6}"),
                format!("{expected:.6}"),
                text(variance),
                text(variance.and(self.plain.float.variance(s, column))),
            ]);
            plot.push((segment.label.clone(), mean, expected));
        }
        self.tell.say(table(
            &[
                "segment",
                "rows",
                "mean",
                "plaintext",
                "variance",
                "plaintext",
            ],
            &rows,
        ));
        if plot.len() <= 16 {
            self.tell.say(bars(&format!("mean {column}"), &plot));
        }
    }

    /// Decrypted values beside the float model, in source order where per row.
    fn compare(&self, query: &Query, done: &Done) -> Result<Comparison> {
        let manifest = &self.folder.manifest;
        let decoded = query::decode(manifest, &query.program, &done.opened.values);
        let plain = self.plain;
        let mut pairs: Vec<(u64, f64, f64)> = Vec::new();
        match self.a.rows {
            RowsArg::Aggregate => {
                for (d, s) in decoded.iter().zip(0..) {
                    let value = d.values.first().copied().unwrap_or(f64::NAN);
                    pairs.push((s, value, plain.float.mean_score(s as usize, &plain.model)?));
                }
            }
            RowsArg::Each => {
                let expected = plain.predictions()?;
                let mut at = vec![0usize; manifest.segments.len()];
                for d in &decoded {
                    let (MatrixRef::Chunk { segment, .. } | MatrixRef::Traced { segment }) = d.over;
                    let s = segment as usize;
                    for v in &d.values {
                        let row = at[s];
                        at[s] += 1;
                        let value = if plain.logistic() { sigmoid(*v) } else { *v };
                        let origin = plain.float.segments[s].origin[row];
                        pairs.push((origin, value, expected[s][row]));
                    }
                }
                pairs.sort_by_key(|p| p.0);
            }
        }
        let max_abs_error = pairs
            .iter()
            .map(|(_, v, e)| (v - e).abs())
            .fold(0.0f64, f64::max);
        Ok(Comparison {
            matches: self.matches(query, done),
            max_abs_error,
            values: pairs.iter().map(|p| p.1).collect(),
            expected: pairs.iter().map(|p| p.2).collect(),
        })
    }

    fn show_model(&self, c: &Comparison) {
        let labels: Vec<String> = match self.a.rows {
            RowsArg::Aggregate => self
                .folder
                .manifest
                .segments
                .iter()
                .map(|s| s.label.clone())
                .collect(),
            RowsArg::Each => (1..=c.values.len()).map(|i| format!("row {i}")).collect(),
        };
        let items: Vec<_> = labels
            .into_iter()
            .zip(c.values.iter().zip(&c.expected))
            .map(|(l, (v, e))| (l, *v, *e))
            .collect();
        let rows: Vec<_> = items
            .iter()
            .take(12)
            .map(|(l, v, e)| {
                vec![
                    l.clone(),
                    format!("{v:.6}"),
                    format!("{e:.6}"),
                    format!("{:+.1e}", v - e),
                ]
            })
            .collect();
        let what = if self.plain.logistic() && self.a.rows == RowsArg::Each {
            "probability"
        } else {
            "prediction"
        };
        self.tell.say(table(
            &[
                "",
                &format!("decrypted {what}"),
                "float model",
                "difference",
            ],
            &rows,
        ));
        if items.len() > 12 {
            self.tell.say(format_args!("  … {} more", items.len() - 12));
        }
        self.tell.say(bars(what, &items[..items.len().min(12)]));
        self.tell.say(format_args!(
            "  largest difference from the float model: {:.3e}",
            c.max_abs_error
        ));
    }

    async fn ledger(&self, world: &World, names: &HashMap<String, &str>) -> Result<(String, bool)> {
        let (rows, balanced) = market::ledger(&world.admin).await?;
        let text = ledger_table(&rows, |account| {
            let id = account.strip_prefix("user:").unwrap_or(account);
            names
                .get(id)
                .map_or_else(|| account.to_owned(), |n| (*n).to_owned())
        });
        Ok((text, balanced))
    }

    fn finish(&self, o: Outcome, total: f64, json: bool) -> Result<bool> {
        let good = o.checks.iter().all(|c| c.1);
        let (m, s) = (&o.model.seconds, &o.statistics.seconds);
        let peak = peak_memory();
        if json {
            out!("{}", self.summary(&o, total, good, peak)?);
            return Ok(good);
        }
        let tell = self.tell;
        tell.title("times and sizes");
        let f = |v: f64| format!("{v:.3}");
        let none = || "-".to_owned();
        let e = self.encrypted;
        tell.say(table(
            &["stage", "seconds", "statistics", "model"],
            &[
                vec!["key generation".into(), f(e.keygen), none(), none()],
                vec!["encryption".into(), f(e.encrypt), none(), none()],
                vec![
                    "commitments and listing proof".into(),
                    f(e.commit),
                    none(),
                    none(),
                ],
                vec![
                    "tickets dealt".into(),
                    o.deal.map_or_else(none, f),
                    none(),
                    none(),
                ],
                vec![
                    "upload and server's checks".into(),
                    f(o.upload),
                    none(),
                    none(),
                ],
                vec!["evaluation".into(), none(), f(s.evaluate), f(m.evaluate)],
                vec!["proof".into(), none(), f(s.prove), f(m.prove)],
                vec![
                    "proof, CPU seconds".into(),
                    none(),
                    f(s.prove_cpu),
                    f(m.prove_cpu),
                ],
                vec![
                    "settlement, with opening".into(),
                    none(),
                    f(s.settle),
                    f(m.settle),
                ],
                vec![
                    "result fetched and opened".into(),
                    none(),
                    f(s.open),
                    f(m.open),
                ],
                vec![
                    "receipt verified offline".into(),
                    none(),
                    f(s.verify),
                    f(m.verify),
                ],
                vec!["everything".into(), f(total), none(), none()],
            ],
        ));
        let proof = |d: &Done| bytes(d.proof_bytes);
        let receipt = |d: &Done| bytes(d.opened.receipt.len() as u64);
        tell.say(table(
            &["size", "dataset", "statistics", "model"],
            &[
                vec![
                    "uploaded".into(),
                    bytes(self.folder.bytes()?.0),
                    none(),
                    none(),
                ],
                vec![
                    "proofs".into(),
                    none(),
                    proof(&o.statistics),
                    proof(&o.model),
                ],
                vec![
                    "receipt".into(),
                    none(),
                    receipt(&o.statistics),
                    receipt(&o.model),
                ],
                vec!["peak memory".into(), bytes(peak), none(), none()],
            ],
        ));
        tell.title("checks");
        for Check(what, held) in &o.checks {
            tell.say(format_args!(
                "  {}  {what}",
                if *held { "held  " } else { "FAILED" }
            ));
        }
        tell.say(format_args!(
            "\nreceipt  {}\n         check it: cargo run --release -p veilbourse-verify -- {0}",
            o.receipt.display()
        ));
        Ok(good)
    }

    fn summary(&self, o: &Outcome, total: f64, good: bool, peak: u64) -> Result<Value> {
        let (m, s, e) = (&o.model.seconds, &o.statistics.seconds, self.encrypted);
        let checks: serde_json::Map<String, Value> = o
            .checks
            .iter()
            .map(|c| (c.0.to_owned(), json!(c.1)))
            .collect();
        let attacks: Vec<Value> = o
            .refused
            .iter()
            .map(|r| json!({ "attack": r.attack, "answer": r.answer, "held": r.held }))
            .collect();
        Ok(json!({
            "evaluation": "proven",
            "decryption": match o.opening.openers.custody() {
                Custodian::Committee => "committee-attested",
                Custodian::CustodianHeld => "custodian-attested",
            },
            "custody": o.opening.openers.custody().name(),
            "committee": match &o.opening.openers {
                Openers::Committee { nodes, threshold } => {
                    json!({ "nodes": nodes.len(), "threshold": threshold })
                }
                Openers::CustodianHeld { .. } => Value::Null,
            },
            "tickets_spent": o.tickets_spent,
            "privacy": custody::privacy(&o.opening)?,
            "srs": o.model.report.srs,
            "weights": match self.a.weights { WeightsArg::Private => "private", WeightsArg::Public => "public" },
            "rows": match self.a.rows { RowsArg::Aggregate => "aggregate", RowsArg::Each => "each" },
            "match": o.comparison.matches && o.statistics_match,
            "max_abs_error": o.comparison.max_abs_error,
            "values": o.comparison.values,
            "expected": o.comparison.expected,
            "seconds": {
                "keygen": e.keygen, "encrypt": e.encrypt, "commit": e.commit,
                "deal": o.deal.unwrap_or_default(), "upload": o.upload,
                "evaluate": m.evaluate, "prove": m.prove, "verify": m.verify, "open": m.open,
                "settle": m.settle, "total": total,
            },
            "cpu_seconds": { "prove": m.prove_cpu },
            "bytes": {
                "dataset": self.folder.bytes()?.0,
                "proof": o.model.proof_bytes,
                "receipt": o.model.opened.receipt.len(),
                "per_slot": self.folder.bytes_per_slot()?,
                "peak_memory": peak,
            },
            "statistics": {
                "match": o.statistics_match, "prove": s.prove, "verify": s.verify,
                "proof_bytes": o.statistics.proof_bytes,
            },
            "attacks": attacks,
            "checks": checks,
            "ledger_balanced": o.balanced,
            "quote": journey::details(&o.model)["price"],
            "ok": good,
            "receipt": o.receipt,
        }))
    }
}

/// Most memory that the process ever held, where the system tells.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|l| l.strip_prefix("VmHWM:"))
        .and_then(|l| l.trim().trim_end_matches(" kB").trim().parse::<u64>().ok())
        .map_or(0, |kib| kib * 1024)
}
