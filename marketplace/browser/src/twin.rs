//! A query on the synthetic twin (DS-9): the same integers as on the dataset, free of
//! charge, and nothing of the data in them.

use crate::{
    Core, CoreError, Reply,
    fit::Fitted,
    results::{Reading, difference},
};
use serde::Deserialize;
use serde_json::{Value, json};
use veilbourse_client::{
    http::Progress,
    train::{self, Moments, OpenedSums},
};
use veilbourse_core::{
    manifest::{Column, Manifest},
    program::{MatrixRef, WeightVector, Weights},
    simulation::simulate_program,
};
use veilbourse_tabular::{Coverage, TwinRows, quantise::exp2};

/// Most bytes of a twin's file.
const MAX_TWIN: u64 = 64 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    fit: String,
}

/// A column and its doubles in one segment.
type Doubles<'a> = (&'a Column, &'a Vec<f64>);

impl Core {
    pub(crate) async fn run_on_twin(
        &mut self,
        a: &Run,
        progress: &dyn Progress,
    ) -> Result<Reply, CoreError> {
        let fitted = self.fits.fit(&a.fit)?.clone();
        let path = format!("/v1/listings/{}/objects/twin.csv", fitted.listed.id);
        progress.step("twin", 0, 2);
        let csv = self.server.get_within(&path, MAX_TWIN).await?;
        progress.step("twin", 1, 2);
        let started = self.environment.seconds();
        let mut said = run(&fitted, &csv)?;
        said["seconds"] = json!(self.environment.seconds() - started);
        progress.step("twin", 2, 2);
        Ok(said.into())
    }
}

/// The query's integers on the twin's rows, and the same in doubles.
pub(crate) fn run(fitted: &Fitted, csv: &[u8]) -> Result<Value, CoreError> {
    let m = &fitted.listed.manifest;
    let program = &fitted.query.program;
    let rows = TwinRows::read(csv, m)?;
    let weights = private_weights(&fitted.query.program.vectors, &fitted.query.weights);
    let integers = simulate_program(m, &rows.table, program, &weights)
        .ok_or_else(|| CoreError::new("QUERY", "the program does not run on the twin"))?;
    let rounding = fitted
        .query
        .max_error
        .iter()
        .zip(&fitted.quantisation)
        .map(|(a, b)| a + b);
    let reading = Reading {
        manifest: m,
        program,
        noise: (0.0, 0.0),
        rounding: rounding.collect(),
        logistic: fitted.kind == "logistic",
    };
    let shown = reading.show(&integers);
    let exact = exact(fitted, &rows)?;
    let loss = difference(&shown.outputs, &exact)?;
    let mut said = json!({ "synthetic": true, "outputs": shown.outputs,
        "variances": shown.variances, "exact": exact, "accuracyLoss": loss, "csv": shown.csv });
    if let Some((ask, method)) = &fitted.training {
        let plan = train::Plan::of(&fitted.listed, ask)?;
        let opened = OpenedSums::read(m, program, &integers);
        let moments: Moments = plan.moments(m, &opened)?;
        // A twin's columns are independent, so it may well have no solution.
        match train::fit(&moments, method.method()?) {
            Ok(fit) => {
                let model = train::training::model(&fit);
                said["training"] = json!({ "model": model, "training": { "fit": fit } });
            }
            Err(e) => said["trainingRefusal"] = json!(e.to_string()),
        }
    }
    Ok(said)
}

/// Weights of private vectors; a public vector's are in the program.
fn private_weights(vectors: &[WeightVector], weights: &[Vec<i64>]) -> Vec<Vec<i64>> {
    let of = |(v, w): (&WeightVector, &Vec<i64>)| match v.weights {
        Weights::Private { .. } => w.clone(),
        Weights::Public { .. } => Vec::new(),
    };
    vectors.iter().zip(weights).map(of).collect()
}

/// The query in doubles: real weights over rows that were never rounded.
fn exact(fitted: &Fitted, rows: &TwinRows) -> Result<Vec<Vec<f64>>, CoreError> {
    let m = &fitted.listed.manifest;
    let program = &fitted.query.program;
    // Weights of integers, by vector, the public columns after the encrypted ones.
    let real: Vec<Vec<f64>> = match &fitted.model {
        Some(model) => {
            let gone = &fitted.listed.suppressed;
            let bound = model
                .bind(&m.columns, &m.public_columns, gone, Coverage::Any)
                .map_err(|e| CoreError::new("MODEL", e))?;
            vec![bound.weights]
        }
        None => program
            .vectors
            .iter()
            .zip(&fitted.query.weights)
            .map(|(v, w)| w.iter().map(|w| *w as f64 * exp2(-v.scale_log2)).collect())
            .collect(),
    };
    let missing = || CoreError::new("INTERNAL", "an output names no vector or segment");
    let mut out = Vec::with_capacity(program.outputs.len());
    for o in &program.outputs {
        let weights = real.get(o.vector as usize).ok_or_else(missing)?;
        let (MatrixRef::Traced { segment } | MatrixRef::Chunk { segment, .. }) = o.over;
        let columns = rows.real.get(segment as usize).ok_or_else(missing)?;
        let pairs: Vec<Doubles<'_>> = m.columns.iter().zip(columns).collect();
        let scores = scores(m, &pairs, weights, segment as usize);
        out.push(match o.over {
            MatrixRef::Traced { .. } => {
                vec![scores.iter().sum::<f64>() / scores.len().max(1) as f64]
            }
            MatrixRef::Chunk { chunk, .. } => {
                let n = veilbourse_core::params::DATA_RING_DIMENSION;
                let from = chunk as usize * n;
                scores.iter().skip(from).take(n).copied().collect()
            }
        });
    }
    Ok(out)
}

/// A score a row of a segment.
fn scores(m: &Manifest, columns: &[Doubles<'_>], weights: &[f64], segment: usize) -> Vec<f64> {
    let rows = columns.first().map_or(0, |(_, v)| v.len());
    let constant: f64 = m
        .public_columns
        .iter()
        .zip(weights.iter().skip(columns.len()))
        .map(|(c, w)| w * c.values.get(segment).copied().unwrap_or(0) as f64)
        .sum();
    (0..rows)
        .map(|i| {
            let of = columns.iter().zip(weights).filter(|(_, w)| **w != 0.0);
            let sum: f64 = of
                .map(|((c, v), w)| w * exp2(c.scale_log2) * v.get(i).copied().unwrap_or(0.0))
                .sum();
            sum + constant
        })
        .collect()
}
