//! Queries: from what a buyer asks to a program that fits the budget, and from
//! opened integers back to real units.

use crate::ClientError;
use rand_core::CryptoRng;
use veilbourse_core::{
    budget::{QuantisedWeights, class, exact_norms, extent, quantise_weights},
    digest::Digest,
    manifest::Manifest,
    program::{MatrixRef, PROGRAM_VERSION, Program, ProgramOutput, WeightVector, Weights},
};
use veilbourse_tabular::{Coverage, LinearModel};
use veilbourse_verifier::{
    field::{Fr, fr_bytes, fr_from_bytes},
    linear::inputs::commit_weights,
};

/// A program, with what only the buyer and the pod know of it.
#[derive(Debug, Clone)]
pub struct Query {
    /// The public shape.
    pub program: Program,
    /// The integer weights of each vector.
    pub weights: Vec<Vec<i64>>,
    /// The blinder of each private vector's commitment.
    pub blinders: Vec<Option<Fr>>,
    /// Worst-case error a row from rounding the weights, in real units, of
    /// each vector.
    pub max_error: Vec<f64>,
}

/// Mean, and variance where the square is listed, of a column in every
/// segment: public unit weights, so nothing is hidden and nothing rounded.
pub fn statistics(manifest: &Manifest, column: &str) -> Result<Query, ClientError> {
    statistics_of(manifest, &[column.to_owned()])
}

/// The same of several columns, in one order.
pub fn statistics_of(manifest: &Manifest, columns: &[String]) -> Result<Query, ClientError> {
    let find = |name: &str| manifest.columns.iter().position(|c| c.name == name);
    let mut wanted: Vec<usize> = Vec::new();
    for column in columns {
        let first = find(column)
            .ok_or_else(|| ClientError::refused("column", format!("{column:?} is not listed")))?;
        for at in [Some(first), find(&format!("{column}^2"))]
            .into_iter()
            .flatten()
        {
            if !wanted.contains(&at) {
                wanted.push(at);
            }
        }
    }
    if wanted.is_empty() {
        return Err(ClientError::refused("column", "none is named"));
    }
    let mut vectors = Vec::new();
    let mut weights = Vec::new();
    for at in wanted {
        let mut values = vec![0i64; manifest.columns.len() + manifest.public_columns.len()];
        if let (Some(w), Some(c)) = (values.get_mut(at), manifest.columns.get(at)) {
            *w = 1;
            vectors.push(WeightVector {
                label: format!("sum of {}", c.name),
                scale_log2: c.scale_log2,
                weights: Weights::Public {
                    values: values.clone(),
                },
            });
        }
        weights.push(values);
    }
    let outputs = every_segment(manifest)
        .flat_map(|over| {
            (0..vectors.len() as u32).map(move |vector| ProgramOutput { over, vector })
        })
        .collect();
    let n = vectors.len();
    Ok(Query {
        program: Program {
            version: PROGRAM_VERSION,
            dataset: manifest.root(),
            vectors,
            outputs,
        },
        weights,
        blinders: vec![None; n],
        max_error: vec![0.0; n],
    })
}

/// Which rows a model is evaluated for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// The mean of each segment.
    Aggregate,
    /// Each row.
    Each,
}

/// A linear model over every segment, with the finest weights that fit
/// (BUD-6). `blinder` hides the weights; without one they are public.
pub fn model(
    manifest: &Manifest,
    model: &LinearModel,
    suppressed: &[String],
    coverage: Coverage<'_>,
    rows: Rows,
    blinder: Option<Fr>,
) -> Result<Query, ClientError> {
    model_within(manifest, model, suppressed, coverage, rows, blinder, None)
}

/// The same with weights at this scale, where they would fit at a finer one: a
/// joint order's are as fine in all listings.
pub fn model_within(
    manifest: &Manifest,
    model: &LinearModel,
    suppressed: &[String],
    coverage: Coverage<'_>,
    rows: Rows,
    blinder: Option<Fr>,
    finest: Option<i32>,
) -> Result<Query, ClientError> {
    let bound = model
        .bind(
            &manifest.columns,
            &manifest.public_columns,
            suppressed,
            coverage,
        )
        .map_err(|e| ClientError::refused("model", e))?;
    let matrices: Vec<MatrixRef> = match rows {
        Rows::Aggregate => every_segment(manifest).collect(),
        Rows::Each => every_chunk(manifest).collect(),
    };
    let quantised = quantise_weights(manifest, &matrices, &bound.weights, blinder.is_some())
        .map_err(|e| ClientError::refused("budget", e))?;
    let QuantisedWeights {
        weights,
        scale_log2,
        l1_bound,
        l2_bound,
        max_error,
    } = match finest {
        Some(scale) if scale < quantised.scale_log2 => {
            coarser(manifest, &matrices, &bound.weights, scale, &quantised)?
        }
        _ => quantised,
    };
    let hidden = match blinder {
        None => Weights::Public {
            values: weights.clone(),
        },
        Some(b) => {
            let m = commit_weights(&weights, manifest.columns.len(), b).ok_or_else(|| {
                ClientError::refused("model", "more columns than the largest circuit class")
            })?;
            Weights::Private {
                commitment: Digest(fr_bytes(&m)),
                l1_bound,
                l2_bound,
            }
        }
    };
    Ok(Query {
        program: Program {
            version: PROGRAM_VERSION,
            dataset: manifest.root(),
            vectors: vec![WeightVector {
                label: "prediction".into(),
                scale_log2,
                weights: hidden,
            }],
            outputs: matrices
                .into_iter()
                .map(|over| ProgramOutput { over, vector: 0 })
                .collect(),
        },
        weights: vec![weights],
        blinders: vec![blinder],
        max_error: vec![max_error],
    })
}

/// Weights at a coarser scale than the finest that fits; the order's own check
/// holds them to the budget.
fn coarser(
    manifest: &Manifest,
    matrices: &[MatrixRef],
    real: &[f64],
    scale_log2: i32,
    finer: &QuantisedWeights,
) -> Result<QuantisedWeights, ClientError> {
    let factor = f64::from(scale_log2).exp2();
    let weights: Vec<i64> = real.iter().map(|w| (w * factor).round() as i64).collect();
    let (mut l1, mut l2) = (1u128, 1u128);
    for over in matrices {
        let (MatrixRef::Traced { segment } | MatrixRef::Chunk { segment, .. }) = *over;
        let (a, b) = exact_norms(manifest, &weights, segment as usize);
        (l1, l2) = (l1.max(a), l2.max(b));
    }
    let bound = |v: u128, what: &str| {
        u64::try_from(class(v)).map_err(|_| {
            ClientError::refused("budget", format!("the {what} bound {v} exceeds 64 bits"))
        })
    };
    let encrypted = manifest.columns.len();
    let range = |i: usize| match manifest.columns.get(i) {
        Some(c) => c.max_abs(),
        None => {
            let public = manifest.public_columns.get(i.saturating_sub(encrypted));
            let values = public.map_or(&[][..], |g| &g.values);
            values.iter().map(|v| v.unsigned_abs()).max().unwrap_or(0)
        }
    };
    let error =
        |(i, (real, w)): (usize, (&f64, &i64))| (real - *w as f64 / factor).abs() * range(i) as f64;
    let max_error: f64 = real.iter().zip(&weights).enumerate().map(error).sum();
    Ok(QuantisedWeights {
        l1_bound: bound(l1, "L1")?,
        l2_bound: bound(l2, "L2")?,
        weights,
        scale_log2,
        max_error: max_error.max(finer.max_error),
    })
}

/// A fresh blinder for a commitment to weights.
pub fn blinder(rng: &mut impl CryptoRng) -> Fr {
    loop {
        let mut bytes = [0u8; 32];
        rng.fill_bytes(&mut bytes);
        // r has 255 bits: a draw is canonical nine times out of ten.
        if let Some(last) = bytes.last_mut() {
            *last &= 0x7f;
        }
        if let Some(b) = fr_from_bytes(&bytes) {
            return b;
        }
    }
}

/// What an output's integers stand for.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The vector's label.
    pub label: String,
    /// Index of the vector.
    pub vector: u32,
    /// The matrix.
    pub over: MatrixRef,
    /// The segment's label.
    pub segment: String,
    /// True rows under the output.
    pub rows: u64,
    /// The mean over the rows when traced, a score a row otherwise; real units.
    pub values: Vec<f64>,
}

impl Decoded {
    /// What the values are, for people: the program's vector says that it sums, what
    /// is shown of its sum over a segment is the mean.
    pub fn title(&self) -> String {
        match (self.over, self.label.strip_prefix("sum of ")) {
            (MatrixRef::Traced { .. }, Some(column)) => format!("mean of {column}"),
            _ => self.label.clone(),
        }
    }
}

/// Opened integers in real units, output by output.
pub fn decode(manifest: &Manifest, program: &Program, opened: &[Vec<i64>]) -> Vec<Decoded> {
    program
        .outputs
        .iter()
        .zip(opened)
        .filter_map(|(o, integers)| {
            let (MatrixRef::Traced { segment } | MatrixRef::Chunk { segment, .. }) = o.over;
            let vector = program.vectors.get(o.vector as usize)?;
            let segment = manifest.segments.get(segment as usize)?;
            let (summed, _, scores) = extent(manifest, o.over)?;
            let rows = match o.over {
                MatrixRef::Traced { .. } => summed,
                MatrixRef::Chunk { .. } => u64::from(scores),
            };
            let divisor = match o.over {
                MatrixRef::Traced { .. } => rows.max(1) as f64,
                MatrixRef::Chunk { .. } => 1.0,
            };
            Some(Decoded {
                label: vector.label.clone(),
                vector: o.vector,
                over: o.over,
                segment: segment.label.clone(),
                rows,
                values: integers
                    .iter()
                    .map(|x| real(*x, vector.scale_log2) / divisor)
                    .collect(),
            })
        })
        .collect()
}

fn every_segment(manifest: &Manifest) -> impl Iterator<Item = MatrixRef> {
    (0..manifest.segments.len() as u32).map(|segment| MatrixRef::Traced { segment })
}

fn every_chunk(manifest: &Manifest) -> impl Iterator<Item = MatrixRef> + '_ {
    manifest
        .segments
        .iter()
        .zip(0u32..)
        .flat_map(|(s, segment)| {
            (0..s.chunks.len() as u32).map(move |chunk| MatrixRef::Chunk { segment, chunk })
        })
}

/// An opened integer in real units.
pub fn real(opened: i64, scale_log2: i32) -> f64 {
    opened as f64 * f64::from(-scale_log2).exp2()
}

/// The bounds that a private query publishes about its weights, beside the
/// exact norms they hide: for the quote.
pub fn published_bounds(manifest: &Manifest, query: &Query) -> Vec<(u128, u64)> {
    query
        .program
        .vectors
        .iter()
        .zip(&query.weights)
        .filter_map(|(v, w)| match v.weights {
            Weights::Private { l1_bound, .. } => Some((exact_norms(manifest, w, 0).0, l1_bound)),
            Weights::Public { .. } => None,
        })
        .collect()
}
