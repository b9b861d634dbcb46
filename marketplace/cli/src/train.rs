//! `veilbourse buyer train ...` (TRN): quote, order, wait, verify, solve.

use crate::{
    args::Who,
    buyer::{self as orders, Terms},
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
    train::{Ask, Coefficient, Fit, Method, Moments, OpenedSums, Plan, Training, fit},
};
use veilbourse_core::manifest::{ColumnKind, Manifest};
use veilbourse_documents::{Demand, Id, Receipt, Signed};
use veilbourse_verify::{Trust, verify_receipt};

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
    };
    let session = session(&who).await?;
    let marketplace = pins::marketplace(&session.server, &args.pin, false).await?;
    let listing = args
        .listing
        .as_deref()
        .context("--listing is needed to order")?;
    let listed = buyer::listing(&session, listing).await?;
    let ask = asked(&listed.manifest, args);
    let plan = Plan::of(&listed, &ask)?;
    plan.check_rows(&listed.manifest, method)?;
    let (query, demand) = plan.query(&listed.manifest)?;
    let offer = buyer::quote(&session, &marketplace, &listed, &query, None).await?;
    if let Some(key) = &args.pod {
        offer.require_pod(key)?;
    }
    if !json {
        say_plan(&plan, &demand, query.program.vectors.len());
        orders::show_price(&offer);
        orders::show_pod(&offer, false, args.pod.is_some());
        orders::show_seats(&offer);
    }
    if args.quote_only {
        if json {
            let variables: Vec<&str> = plan
                .columns
                .variables
                .iter()
                .map(|v| v.name.as_str())
                .collect();
            out!(
                "{}",
                json!({ "columns": variables, "moments": query.program.vectors.len(),
                    "segments": plan.columns.segments.len(), "values": demand.values,
                    "bits": demand.bits, "price": offer.quote.body.price.total.to_string(),
                    "references": plan.columns.references, "quote": offer.details })
            );
        }
        return Ok(true);
    }
    let terms = Terms {
        key: &args.key,
        max_price: args.max_price.as_deref(),
        out: &args.out,
    };
    let quoted = (session.clone(), (marketplace, listed.clone()), query, offer);
    let (id, folder) = orders::signed_and_placed(quoted, &terms, json).await?;
    if !orders::released(&session, &id, json).await? {
        return Ok(false);
    }
    let Some(fetched) = orders::fetch(&session, &folder, json).await? else {
        return Ok(false);
    };
    let program = &fetched.ticket.order.body.program;
    let opened = OpenedSums::read(&listed.manifest, program, &fetched.values);
    let moments = plan.moments(&listed.manifest, &opened)?;
    let ids = (listed.id.clone(), fetched.id.clone());
    finish(
        args, &folder, &listed, ids, ask, &plan, &moments, method, json,
    )
}

/// Solves from the folder of an order that was opened before (TRN-6).
fn again(args: &TrainArgs, folder: &Path, method: Method, json: bool) -> Result<bool> {
    let ticket: Ticket = files::read_json(&folder.join("ticket.json"))?;
    let receipt = files::read(&folder.join("receipt.json"))
        .context("the order is not opened yet: run `buyer open` on the folder first")?;
    let trust = Trust {
        marketplace: Some(market::marketplace_of(&ticket.marketplace)),
        circuits: None,
    };
    verify_receipt(&receipt, &trust)
        .map_err(|e| anyhow::anyhow!("the receipt is refused by {}: {e}", e.rule()))?;
    if Signed::<Receipt>::parse(&receipt)?.body.order != ticket.order {
        bail!("receipt.json is of another order than ticket.json");
    }
    let result: Value = files::read_json(&folder.join("result.json"))?;
    let values = integers(&result).context("result.json: outputs with integers are expected")?;
    let program = &ticket.order.body.program;
    buyer::check_opened(&ticket, &values)?;
    let listed = ticket.listed();
    let ask = asked(&listed.manifest, args);
    let plan = Plan::of(&listed, &ask)?;
    let opened = OpenedSums::read(&listed.manifest, program, &values);
    let moments = plan.moments(&listed.manifest, &opened)?;
    let order = ticket
        .order_id
        .clone()
        .context("ticket.json has no order_id")?;
    let ids = (listed.id.clone(), order);
    finish(
        args, folder, &listed, ids, ask, &plan, &moments, method, json,
    )
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

#[allow(clippy::too_many_arguments)] // the two ways of coming by moments end here
fn finish(
    args: &TrainArgs,
    folder: &Path,
    listed: &Listed,
    ids: (Id, Id),
    ask: Ask,
    plan: &Plan,
    moments: &Moments,
    method: Method,
    json: bool,
) -> Result<bool> {
    let fitted = fit(moments, method).with_context(|| {
        format!(
            "the moments are in {} and can be used again: `buyer train ... --order` with fewer \
             --features buys nothing",
            folder.display()
        )
    })?;
    let training = Training::new(&listed.manifest, ids, ask, plan, moments, fitted);
    let model: PathBuf = args
        .model
        .clone()
        .unwrap_or_else(|| folder.join("model.json"));
    let file = beside(&model);
    let write = |path: &Path, bytes: Vec<u8>| {
        fs::write(path, bytes).with_context(|| path.display().to_string())
    };
    write(&model, serde_json::to_vec_pretty(&training.model())?)?;
    write(&file, serde_json::to_vec_pretty(&training)?)?;
    if json {
        out!(
            "{}",
            json!({ "training": training, "model": model, "file": file, "folder": folder })
        );
        return Ok(true);
    }
    show(&training);
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

fn say_plan(plan: &Plan, demand: &Demand, moments: usize) {
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
        demand.values,
        demand.bits
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
