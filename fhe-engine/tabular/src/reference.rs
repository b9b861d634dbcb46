//! The table in real units, for what an encrypted result is compared with:
//! tests, the demo, the custodian's own check. Never leaves the custodian.

use crate::{
    config::SchemaConfig,
    error::TabularError,
    model::{LinearModel, ModelKind},
    plan::{Plan, Row},
    survey::survey,
};
use std::io::{Read, Seek};

/// Real values by segment, clipped and imputed as they are encrypted.
///
/// Holds every column before second moments and suppression, then the public
/// columns.
#[derive(Debug, Clone, PartialEq)]
pub struct FloatTable {
    /// Column names.
    pub names: Vec<String>,
    /// Segments, in manifest order.
    pub segments: Vec<FloatSegment>,
}

/// One segment's rows.
#[derive(Debug, Clone, PartialEq)]
pub struct FloatSegment {
    /// Its label.
    pub label: String,
    /// `rows[i][f]`: row i of the segment, column f.
    pub rows: Vec<Vec<f64>>,
    /// The source row of each, header not counted.
    pub origin: Vec<u64>,
}

impl FloatTable {
    /// Reads the table with the same settings as [`crate::build`].
    pub fn read<R: Read + Seek>(
        mut reader: R,
        config: &SchemaConfig,
    ) -> Result<Self, TabularError> {
        let plan = Plan::new(survey(&mut reader, config)?, config)?;
        let names = plan.base.iter().map(|c| &c.name);
        let publics = plan.public_columns.iter().map(|c| &c.name);
        let mut table = Self {
            names: names.chain(publics).cloned().collect(),
            segments: plan
                .segments
                .iter()
                .map(|s| FloatSegment {
                    label: s.label.clone(),
                    rows: Vec::new(),
                    origin: Vec::new(),
                })
                .collect(),
        };
        plan.visit(&mut reader, config, |row: Row<'_>| {
            let publics = plan.public_reals.iter().filter_map(|c| c.get(row.segment));
            let values = row.values.iter().chain(publics).copied().collect();
            if let Some(s) = table.segments.get_mut(row.segment) {
                s.rows.push(values);
                s.origin.push(row.origin);
            }
        })?;
        Ok(table)
    }

    /// The values of a column in a segment; none when there is no such column
    /// or segment.
    pub fn column(&self, segment: usize, name: &str) -> Option<Vec<f64>> {
        let at = self.names.iter().position(|n| n == name)?;
        self.segments
            .get(segment)?
            .rows
            .iter()
            .map(|r| r.get(at).copied())
            .collect()
    }

    /// Mean of a column in a segment.
    pub fn mean(&self, segment: usize, name: &str) -> Option<f64> {
        Some(mean(&self.column(segment, name)?))
    }

    /// Variance of a column in a segment, divided by n (not n - 1): what
    /// `E[x^2] - E[x]^2` of the two aggregates gives.
    pub fn variance(&self, segment: usize, name: &str) -> Option<f64> {
        let values = self.column(segment, name)?;
        let m = mean(&values);
        Some(mean(
            &values.iter().map(|v| (v - m) * (v - m)).collect::<Vec<_>>(),
        ))
    }

    /// The model's linear score of each row of a segment, in the segment's order.
    pub fn scores(&self, segment: usize, model: &LinearModel) -> Result<Vec<f64>, TabularError> {
        let mut at = Vec::with_capacity(model.columns.len());
        let mut extra = Vec::new();
        for name in &model.columns {
            match self.names.iter().position(|n| n == name) {
                Some(i) => at.push(i),
                None => extra.push(name.clone()),
            }
        }
        if !extra.is_empty() {
            return Err(TabularError::ModelExtra { names: extra });
        }
        let rows = self
            .segments
            .get(segment)
            .map(|s| s.rows.as_slice())
            .unwrap_or_default();
        Ok(rows
            .iter()
            .map(|row| {
                let terms = at.iter().zip(&model.weights);
                model.intercept
                    + sum(terms.map(|(i, w)| row.get(*i).copied().unwrap_or_default() * w))
            })
            .collect())
    }

    /// The model's prediction of each row: the score, or for a logistic model
    /// its probability.
    pub fn predictions(
        &self,
        segment: usize,
        model: &LinearModel,
    ) -> Result<Vec<f64>, TabularError> {
        let scores = self.scores(segment, model)?;
        Ok(match model.kind {
            ModelKind::Linear => scores,
            ModelKind::Logistic => scores.into_iter().map(sigmoid).collect(),
        })
    }

    /// Mean of the model's linear score over a segment.
    pub fn mean_score(&self, segment: usize, model: &LinearModel) -> Result<f64, TabularError> {
        Ok(mean(&self.scores(segment, model)?))
    }
}

/// 1 / (1 + e^-x): a logistic model's probability from its score.
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn mean(values: &[f64]) -> f64 {
    sum(values.iter().copied()) / values.len().max(1) as f64
}

/// Compensated sum (Neumaier 1974): the reference must not be the one that errs.
fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let (mut total, mut lost) = (0.0f64, 0.0f64);
    for v in values {
        let next = total + v;
        lost += if total.abs() >= v.abs() {
            (total - next) + v
        } else {
            (v - next) + total
        };
        total = next;
    }
    total + lost
}
