//! Queries: sums of columns, linear and logistic models, over all segments or
//! some, as programs that fit the dataset's budget (BUD-6).

use crate::{
    failure::{Failure, raised},
    listing::Listed,
};
use pyo3::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;
use veilbourse_client::query::{self, Rows};
use veilbourse_core::{
    budget::check_program,
    manifest::{Column, ColumnKind, Manifest},
    program::{MatrixRef, PROGRAM_VERSION, Program, ProgramOutput, WeightVector, Weights},
};
use veilbourse_tabular::{Coverage, LinearModel};

/// A program, with the weights that only the buyer and the pod know.
#[pyclass(frozen, module = "veilbourse._core")]
pub struct Query {
    /// As the client library has it.
    pub inner: query::Query,
    /// How far the rounding of the data may move a row's value, of each vector.
    data_error: Vec<f64>,
}

impl Query {
    fn of(manifest: &Manifest, inner: query::Query) -> Self {
        let data_error = inner
            .program
            .vectors
            .iter()
            .zip(&inner.weights)
            .map(|(v, w)| data_error(manifest, v.scale_log2, w))
            .collect();
        Self { inner, data_error }
    }
}

/// Greatest error of a quantised value in its own units: half of one where a real
/// number was rounded, none for a category; a second moment is the exact product
/// of rounded factors.
fn step(manifest: &Manifest, column: &Column) -> f64 {
    let most = |name: &String| {
        let of = manifest.columns.iter().find(|c| c.name == *name);
        // A factor that is not listed itself is at most the product's range.
        of.map_or(column.max_abs(), Column::max_abs) as f64
    };
    match &column.kind {
        ColumnKind::Numeric => 0.5,
        ColumnKind::Category { .. } => 0.0,
        ColumnKind::Square { .. } => (column.max_abs() as f64).sqrt() + 0.25,
        ColumnKind::Product { left, right } => (most(left) + most(right)) / 2.0 + 0.25,
    }
}

/// What that amounts to in a row's value, at most. Segment keys were rounded too,
/// the constant 1 was not.
fn data_error(manifest: &Manifest, scale_log2: i32, weights: &[i64]) -> f64 {
    let encrypted = manifest.columns.iter().map(|c| step(manifest, c));
    let publics = manifest.public_columns.iter().enumerate();
    let publics = publics.map(|(i, _)| if i == 0 { 0.0 } else { 0.5 });
    let steps = encrypted.chain(publics).zip(weights);
    let moved = steps.map(|(step, w)| w.unsigned_abs() as f64 * step);
    moved.sum::<f64>() * f64::from(-scale_log2).exp2()
}

/// The segments meant, by label; all where none are named.
fn places(manifest: &Manifest, segments: Option<&[String]>) -> Result<Vec<u32>, Failure> {
    let known = || manifest.segments.iter().map(|s| s.label.as_str());
    let Some(named) = segments else {
        return Ok((0u32..).take(manifest.segments.len()).collect());
    };
    let mut found = BTreeSet::new();
    for label in named {
        let at = known().position(|l| l == label);
        let at = at.and_then(|i| u32::try_from(i).ok()).ok_or_else(|| {
            let all: Vec<&str> = known().take(20).collect();
            let mut e = Failure::refused(
                "segment",
                format!(
                    "segment {label:?} is not listed; listed: {}",
                    all.join(", ")
                ),
            );
            e.details["field"] = json!("segments");
            e.details["value"] = json!(label);
            e
        })?;
        found.insert(at);
    }
    match found.is_empty() {
        true => Err(Failure::argument("segments", "[]", "one segment at least")),
        false => Ok(found.into_iter().collect()),
    }
}

/// Unit weights for each column, over each segment: nothing hidden, nothing
/// rounded.
fn sums(
    manifest: &Manifest,
    columns: &[String],
    segments: Option<&[String]>,
) -> Result<query::Query, Failure> {
    let width = manifest.columns.len() + manifest.public_columns.len();
    let (mut vectors, mut weights) = (Vec::new(), Vec::new());
    for name in columns {
        let found = manifest.columns.iter().enumerate();
        let (at, column) = found
            .into_iter()
            .find(|(_, c)| c.name == *name)
            .ok_or_else(|| {
                let mut e = Failure::refused("column", format!("column {name:?} is not listed"));
                e.details["field"] = json!("columns");
                e.details["value"] = json!(name);
                e
            })?;
        let mut values = vec![0i64; width];
        if let Some(w) = values.get_mut(at) {
            *w = 1;
        }
        vectors.push(WeightVector {
            label: format!("sum of {name}"),
            scale_log2: column.scale_log2,
            weights: Weights::Public {
                values: values.clone(),
            },
        });
        weights.push(values);
    }
    if vectors.is_empty() {
        return Err(Failure::argument("columns", "[]", "one column at least"));
    }
    let n = vectors.len();
    let mut outputs = Vec::new();
    for segment in places(manifest, segments)? {
        let over = MatrixRef::Traced { segment };
        let of = (0u32..).take(n);
        outputs.extend(of.map(|vector| ProgramOutput { over, vector }));
    }
    Ok(query::Query {
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

/// A model over the segments meant, with the finest weights that fit in all.
fn model(
    listed: &veilbourse_client::buyer::Listed,
    model: &str,
    rows: Rows,
    private: bool,
    segments: Option<&[String]>,
) -> Result<query::Query, Failure> {
    let model = LinearModel::from_json(model.as_bytes())
        .map_err(|e| Failure::refused("model", format!("model: {e}")))?;
    let blinder = private.then(|| query::blinder(&mut crate::rng()));
    let (manifest, gone) = (&listed.manifest, &listed.suppressed);
    let mut made = query::model(manifest, &model, gone, Coverage::Any, rows, blinder)?;
    let wanted = places(manifest, segments)?;
    made.program.outputs.retain(|o| {
        let (MatrixRef::Traced { segment } | MatrixRef::Chunk { segment, .. }) = o.over;
        wanted.contains(&segment)
    });
    Ok(made)
}

#[pymethods]
impl Query {
    /// Sums of encrypted columns over segments.
    #[staticmethod]
    #[pyo3(signature = (listed, columns, segments=None))]
    fn sums(
        py: Python<'_>,
        listed: &Listed,
        columns: Vec<String>,
        segments: Option<Vec<String>>,
    ) -> PyResult<Self> {
        let manifest = &listed.inner.manifest;
        let made = sums(manifest, &columns, segments.as_deref()).map_err(|e| raised(py, e))?;
        Self::checked(py, manifest, made)
    }

    /// A linear or logistic model (JSON), a mean score a segment or a score a row.
    #[staticmethod]
    #[pyo3(signature = (listed, model_json, each, private, segments=None))]
    fn model(
        py: Python<'_>,
        listed: &Listed,
        model_json: &str,
        each: bool,
        private: bool,
        segments: Option<Vec<String>>,
    ) -> PyResult<Self> {
        let rows = match each {
            true => Rows::Each,
            false => Rows::Aggregate,
        };
        // A commitment to 256 weights takes a while.
        let made = py.detach(|| {
            model(
                &listed.inner,
                model_json,
                rows,
                private,
                segments.as_deref(),
            )
        });
        let made = made.map_err(|e| raised(py, e))?;
        Self::checked(py, &listed.inner.manifest, made)
    }

    /// The program in its public shape, as JSON: what a quote is asked for.
    fn program(&self, py: Python<'_>) -> PyResult<String> {
        serde_json::to_string(&self.inner.program)
            .map_err(|e| raised(py, Failure::refused("program", e.to_string())))
    }

    /// Whether weights are hidden from all but the pod.
    #[getter]
    fn private(&self) -> bool {
        let vectors = &self.inner.program.vectors;
        vectors
            .iter()
            .any(|v| matches!(v.weights, Weights::Private { .. }))
    }

    /// How far rounding the weights moves a value, a row at most, of each vector.
    #[getter]
    fn weight_error(&self) -> Vec<f64> {
        self.inner.max_error.clone()
    }

    /// How far rounding the data moves a value, a row at most, of each vector.
    #[getter]
    fn data_error(&self) -> Vec<f64> {
        self.data_error.clone()
    }

    /// Labels of the vectors.
    #[getter]
    fn labels(&self) -> Vec<String> {
        let vectors = self.inner.program.vectors.iter();
        vectors.map(|v| v.label.clone()).collect()
    }
}

impl Query {
    /// Held to the budget before a quote is asked for (BUD-1).
    fn checked(py: Python<'_>, manifest: &Manifest, made: query::Query) -> PyResult<Self> {
        check_program(manifest, &made.program)
            .map_err(|e| raised(py, Failure::refused("budget", format!("budget: {e}"))))?;
        Ok(Self::of(manifest, made))
    }
}
