//! `veilbourse buyer train ...` (TRN): quote, order, wait, verify, solve.

use crate::{
    args::Who,
    buyer::{self as orders, Kept, Pins, Quoted, Terms},
    custodian::session,
    files, pins,
    show::table,
    train_args::{TrainArgs, TrainCommand},
};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};
use veilbourse_client::{
    buyer::{self, Listed, Ticket},
    market,
    train::{Ask, Coefficient, Fit, JointPlan, Method, OpenedSums, Source, Training, fit},
};
use veilbourse_core::manifest::{ColumnKind, Manifest};
use veilbourse_documents::{Demand, Receipt, Signed};
use veilbourse_verify::{Trust, terminal::printable, verify_receipt};

pub async fn run(command: TrainCommand, json: bool) -> Result<bool> {
    let (args, method) = match command {
        TrainCommand::Ols { train } => (train, Method::Ols),
        TrainCommand::Ridge {
            lambda,
            standardise,
            train,
        } => {
            let method = Method::Ridge {
                lambda,
                standardise,
            };
            // Refused before anything is bought (TRN-9).
            method.check()?;
            (train, method)
        }
    };
    // Before anything is bought, too.
    if let Some(model) = &args.model
        && beside(model) == *model
    {
        bail!(
            "--model {}: training.json is written beside it",
            model.display()
        );
    }
    match args.order.clone() {
        Some(folder) => again(&args, &folder, method, json),
        None => bought(&args, method, json).await,
    }
}

/// Buys the moments, then solves.
async fn bought(args: &TrainArgs, method: Method, json: bool) -> Result<bool> {
    let who = Who {
        server: args.server.clone(),
        email: args.email.clone().context("--email is needed to order")?,
        password: args
            .password
            .clone()
            .context("--password is needed to order")?,
        // Of an account with a second factor.
        code: std::env::var("VEILBOURSE_CODE").ok(),
    };
    let session = session(&who).await?;
    let marketplace = pins::marketplace(&session.server, &args.pin, false).await?;
    let mut listed = Vec::new();
    for listing in &args.listing {
        listed.push(buyer::listing(&session, listing).await?);
    }
    let first = listed.first().context("--listing is needed to order")?;
    let ask = asked(&first.manifest, args);
    let plan = JointPlan::of(&listed, &ask)?;
    plan.check_rows(method)?;
    let moments = plan.queries.first().map_or(0, |q| q.program.vectors.len());
    let pins = Pins {
        pod: args.pod.as_ref(),
        pod_id: None,
        nodes: &args.node,
        class: args.class.as_deref(),
    };
    let (queries, known) = (plan.queries.clone(), listed.clone());
    let parts = orders::offers(&session, &marketplace, listed, queries, &pins).await?;
    let quoted = Quoted {
        session: session.clone(),
        marketplace,
        parts,
    };
    if !json {
        say_plan(&plan, moments);
        for (listed, _, offer) in &quoted.parts {
            if quoted.parts.len() > 1 {
                out!("listing {}  {}", listed.id, printable(&listed.title));
            }
            orders::show_price(offer);
            orders::show_openers(offer);
            orders::show_pod(offer, false, args.pod.is_some());
            orders::show_seats(offer);
        }
        if quoted.parts.len() > 1 {
            quoted.show_total();
        }
    }
    if args.quote_only {
        if json {
            say_quote(&plan, &quoted, moments);
        }
        return Ok(true);
    }
    let terms = Terms {
        key: &args.key,
        max_price: args.max_price.as_deref(),
        out: &args.out,
    };
    let (ids, folder) = orders::signed_and_placed(quoted, &terms, json).await?;
    if !orders::released(&session, &ids, json).await? {
        return Ok(false);
    }
    let Some(fetched) = orders::fetch(&session, &folder, json).await? else {
        return Ok(false);
    };
    // In the order of the orders, which is that of their quotes.
    let of = |t: &Ticket| known.iter().find(|l| l.id == t.order.body.listing).cloned();
    let listed: Option<Vec<Listed>> = fetched.kept.tickets.iter().map(of).collect();
    let listed = listed.context("an order is of another listing")?;
    let opened = (&fetched.kept, fetched.values.as_slice());
    solved(args, &folder, &listed, opened, method, json)
}

fn say_quote(plan: &JointPlan, quoted: &Quoted, moments: usize) {
    let columns = &plan.plan.columns;
    let variables: Vec<&str> = columns.variables.iter().map(|v| v.name.as_str()).collect();
    let sum = |of: fn(&Demand) -> u64| plan.demands.iter().map(of).sum::<u64>();
    let mut said = json!({ "columns": variables, "moments": moments,
        "segments": columns.segments.len(), "values": sum(|d| d.values),
        "bits": sum(|d| d.bits), "price": quoted.price().to_string(),
        "references": columns.references,
        "quote": quoted.parts.first().map(|(_, _, o)| &o.details) });
    if quoted.parts.len() > 1 {
        let quotes: Vec<_> = quoted.parts.iter().map(|(_, _, o)| &o.details).collect();
        said["joint"] = json!(quotes);
    }
    out!("{said}");
}

/// Solves from the folder of an order that was opened before (TRN-6).
fn again(args: &TrainArgs, folder: &Path, method: Method, json: bool) -> Result<bool> {
    let kept = Kept::read(folder)?;
    for (i, ticket) in kept.tickets.iter().enumerate() {
        let receipt = files::read(&kept.place_of(i).join("receipt.json"))
            .context("the order is not opened yet: run `buyer open` on the folder first")?;
        let trust = Trust {
            marketplace: Some(market::marketplace_of(&ticket.marketplace)),
            circuits: None,
        };
        verify_receipt(&receipt, &trust)
            .map_err(|e| anyhow::anyhow!("the receipt is refused by {}: {e}", e.rule()))?;
        if Signed::<Receipt>::parse(&receipt)?.body.order != ticket.order {
            bail!("receipt.json is of another order than its ticket");
        }
    }
    let result: Value = files::read_json(&folder.join("result.json"))?;
    let values = integers(&result).context("result.json: outputs with integers are expected")?;
    let tickets: Vec<&Ticket> = kept.tickets.iter().collect();
    buyer::check_opened(&tickets, &values)?;
    let listed: Vec<Listed> = kept.tickets.iter().map(Ticket::listed).collect();
    solved(args, folder, &listed, (&kept, &values), method, json)
}

/// The regression on what an order's folder holds: over one listing or several,
/// in the order of the orders.
fn solved(
    args: &TrainArgs,
    folder: &Path,
    listed: &[Listed],
    (kept, values): (&Kept, &[Vec<i64>]),
    method: Method,
    json: bool,
) -> Result<bool> {
    let first = listed.first().context("there is no order")?;
    let ask = asked(&first.manifest, args);
    let plan = JointPlan::of(listed, &ask)?;
    let (manifest, program) = kept.decoding()?;
    let opened = OpenedSums::read(&manifest, &program, values);
    let moments = plan.plan.moments(&manifest, &opened)?;
    let mut sources = Vec::new();
    for t in &kept.tickets {
        sources.push(Source {
            dataset: t.order.body.dataset,
            listing: t.order.body.listing.clone(),
            order: t.order_id.clone().context("the ticket has no order_id")?,
        });
    }
    let one = sources.first().context("there is no order")?;
    let ids = (one.listing.clone(), one.order.clone());
    let fitted = fit(&moments, method).with_context(|| {
        format!(
            "the moments are in {} and can be used again: `buyer train ... --order` with fewer \
             --features buys nothing",
            folder.display()
        )
    })?;
    let training = Training::new(&first.manifest, ids, ask, &plan.plan, &moments, fitted);
    let joint = if kept.joint { sources } else { Vec::new() };
    let training = training.opened(joint, kept.noise_deviation());
    write(args, folder, &training, json)
}

/// Where the training goes that a model is of.
fn beside(model: &Path) -> PathBuf {
    model.with_file_name("training.json")
}

fn integers(result: &Value) -> Option<Vec<Vec<i64>>> {
    let outputs = result["outputs"].as_array()?;
    let one = |o: &Value| -> Option<Vec<i64>> {
        let list = o["integers"].as_array()?;
        list.iter().map(|v| v.as_str()?.parse().ok()).collect()
    };
    outputs.iter().map(one).collect()
}

/// Writes the model and `training.json`.
fn write(args: &TrainArgs, folder: &Path, training: &Training, json: bool) -> Result<bool> {
    let model: PathBuf = args
        .model
        .clone()
        .unwrap_or_else(|| folder.join("model.json"));
    let file = beside(&model);
    let write = |path: &Path, bytes: Vec<u8>| {
        fs::write(path, bytes).with_context(|| path.display().to_string())
    };
    write(&model, serde_json::to_vec_pretty(&training.model())?)?;
    write(&file, serde_json::to_vec_pretty(training)?)?;
    if json {
        out!(
            "{}",
            json!({ "training": training, "model": model, "file": file, "folder": folder })
        );
        return Ok(true);
    }
    show(training);
    out!("  model    {}", model.display());
    out!("  training {}", file.display());
    Ok(true)
}

/// Which columns are named: a name that holds a comma is one where the listing
/// has it.
fn asked(manifest: &Manifest, args: &TrainArgs) -> Ask {
    let known = |name: &str| {
        manifest.columns.iter().any(|c| {
            c.name == name
                || matches!(&c.kind, ColumnKind::Category { source, .. } if source == name)
        }) || manifest.public_columns.iter().any(|c| c.name == name)
    };
    let split = |text: &String| -> Vec<String> {
        if known(text) {
            return vec![text.clone()];
        }
        text.split(',').map(|n| n.trim().to_owned()).collect()
    };
    Ask {
        target: args.target.clone(),
        features: args.features.iter().flat_map(split).collect(),
        segments: args.segments.clone(),
        references: args.reference.clone(),
        exclusive: args.exclusive.iter().map(split).collect(),
        exact: args.exact.iter().flat_map(split).collect(),
    }
}

fn say_plan(joint: &JointPlan, moments: usize) {
    let plan = &joint.plan;
    let sum = |of: fn(&Demand) -> u64| joint.demands.iter().map(of).sum::<u64>();
    let names: Vec<&str> = plan
        .columns
        .variables
        .iter()
        .map(|v| v.name.as_str())
        .collect();
    if let Some((target, features)) = names.split_last() {
        out!("{target} from {}", features.join(", "));
    }
    say_references(&plan.columns.references, &plan.columns.left_out);
    out!(
        "{moments} moments in {} segments: {} values, {} bits of the quota",
        plan.columns.segments.len(),
        sum(|d| d.values),
        sum(|d| d.bits)
    );
}

fn say_references(references: &[veilbourse_client::train::Reference], left_out: &[String]) {
    for r in references {
        let category = r.category.as_deref().unwrap_or("the categories not listed");
        let how = if r.named {
            ""
        } else {
            " (chosen: the first listed)"
        };
        let merged = match r.merged.is_empty() {
            true => String::new(),
            false => format!(
                "; rows of the suppressed {} count with it",
                r.merged.join(", ")
            ),
        };
        out!("  {} is measured against {category}{how}{merged}", r.column);
    }
    for name in left_out {
        out!("  {name} is left out: it has one value in these segments");
    }
}

/// Six places, or seven digits where that would show none or far too many.
fn figure(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-3..1e9).contains(&magnitude) || !value.is_finite() {
        format!("{value:.6}")
    } else {
        format!("{value:.6e}")
    }
}

fn condition(value: f64) -> String {
    if value < 1e6 {
        format!("{value:.1}")
    } else {
        format!("{value:.1e}")
    }
}

fn show(t: &Training) {
    let f: &Fit = &t.fit;
    let kind = match f.method {
        Method::Ols => "ordinary least squares".to_owned(),
        Method::Ridge {
            lambda,
            standardise,
        } => format!(
            "ridge, lambda {lambda}{}",
            if standardise {
                " of standardised columns"
            } else {
                " in real units"
            }
        ),
    };
    out!(
        "{kind}: {} over {} rows ({})",
        f.target,
        f.rows,
        t.segments.join("; ")
    );
    say_references(&t.references, &t.left_out);
    let row = |c: &Coefficient| {
        vec![
            c.name.clone(),
            figure(c.value),
            figure(c.standard_error),
            format!("{:.2}", c.t),
            format!("{:.1e}", c.quantisation.typical),
            format!("{:.1e}", c.quantisation.bound),
        ]
    };
    let rows: Vec<_> = std::iter::once(&f.intercept)
        .chain(&f.coefficients)
        .map(row)
        .collect();
    let header = [
        "term",
        "coefficient",
        "std. error",
        "t",
        "quantisation",
        "at most",
    ];
    out!("{}", table(&header, &rows));
    out!(
        "  R^2 {:.6} (adjusted {:.6}); residual standard error {} on {:.1} degrees of freedom; \
         condition {}",
        f.r_squared,
        f.adjusted_r_squared,
        figure(f.residual_standard_error),
        f.residual_degrees,
        condition(f.condition)
    );
    if matches!(f.method, Method::Ridge { .. }) {
        out!(
            "  effective parameters {:.3}, the intercept's among them",
            f.effective_parameters
        );
    }
    for note in &t.notes {
        out!("  {note}");
    }
}
