//! Linear and logistic models as JSON, and what they weigh in a dataset.
//!
//! The mapping needs the published schema only, so the buyer runs it; core's
//! budget calculator then turns the weights into integers (rule BUD-6).

use crate::{error::TabularError, quantise::exp2};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use veilbourse_core::manifest::{Column, ColumnKind, PublicColumn};

/// Largest model file.
pub const MAX_MODEL_BYTES: u64 = 1 << 20;

/// What a model's score means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// The score is the prediction.
    Linear,
    /// The prediction is the logistic function of the score.
    Logistic,
}

/// score = intercept + sum of weight times column, in real units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearModel {
    /// What the score means.
    pub kind: ModelKind,
    /// Columns by name; a category is `column=value`, a square `column^2`, a
    /// product `left*right`.
    pub columns: Vec<String>,
    /// One weight a column.
    pub weights: Vec<f64>,
    /// The constant.
    pub intercept: f64,
}

/// Which source columns a model must weigh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage<'a> {
    /// Any: columns that it does not name have weight zero.
    Any,
    /// Each, but for this target; a categorical column counts as named when
    /// one of its categories is, second moments need not be named.
    AllBut(&'a str),
}

/// A model mapped to a dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundModel {
    /// What the score means.
    pub kind: ModelKind,
    /// Weights of the quantised columns: first the encrypted, then the public
    /// ones, in manifest order. score = sum of weight times integer.
    pub weights: Vec<f64>,
}

impl LinearModel {
    /// Reads a model, checking size, shape and numbers.
    pub fn from_json(bytes: &[u8]) -> Result<Self, TabularError> {
        let value = bytes.len() as u64;
        if value > MAX_MODEL_BYTES {
            return Err(TabularError::ModelTooLarge {
                limit: MAX_MODEL_BYTES,
                value,
            });
        }
        let model: Self =
            serde_json::from_slice(bytes).map_err(|e| TabularError::ModelSyntax(e.to_string()))?;
        model.check()?;
        Ok(model)
    }

    fn check(&self) -> Result<(), TabularError> {
        if self.columns.len() != self.weights.len() {
            return Err(TabularError::ModelShape {
                columns: self.columns.len(),
                weights: self.weights.len(),
            });
        }
        let mut seen = HashSet::new();
        for (name, w) in self.columns.iter().zip(&self.weights) {
            if !seen.insert(name) {
                return Err(TabularError::ModelDuplicate { name: name.clone() });
            }
            if !w.is_finite() {
                return Err(TabularError::ModelNonFinite { name: name.clone() });
            }
        }
        if !self.intercept.is_finite() {
            return Err(TabularError::ModelNonFinite {
                name: "intercept".to_owned(),
            });
        }
        Ok(())
    }

    /// Maps the model to a dataset's columns: the weight of a quantised column
    /// is w / 2^scale; numeric segment keys and the intercept go to public
    /// columns (decision 4). `suppressed` are the names that rule DS-7 dropped.
    pub fn bind(
        &self,
        columns: &[Column],
        public_columns: &[PublicColumn],
        suppressed: &[String],
        coverage: Coverage<'_>,
    ) -> Result<BoundModel, TabularError> {
        self.check()?;
        let names = columns.iter().map(|c| (&c.name, c.scale_log2));
        let publics = public_columns.iter().map(|c| (&c.name, c.scale_log2));
        let at: HashMap<&String, (usize, i32)> = names
            .chain(publics)
            .enumerate()
            .map(|(i, (n, s))| (n, (i, s)))
            .collect();
        let mut weights = vec![0.0; columns.len() + public_columns.len()];
        let (mut extra, mut gone) = (Vec::new(), Vec::new());
        for (name, w) in self.columns.iter().zip(&self.weights) {
            // The constant is the intercept's, not a column of models.
            match at.get(name).filter(|_| name != "1") {
                Some((i, scale)) => {
                    if let Some(slot) = weights.get_mut(*i) {
                        *slot = w * exp2(-scale);
                    }
                }
                None if suppressed.contains(name) => gone.push(name.clone()),
                None => extra.push(name.clone()),
            }
        }
        if !extra.is_empty() {
            return Err(TabularError::ModelExtra { names: extra });
        }
        if !gone.is_empty() {
            return Err(TabularError::ModelSuppressed { names: gone });
        }
        self.covers(columns, public_columns, coverage)?;
        if weights.iter().take(columns.len()).all(|w| *w == 0.0) {
            return Err(TabularError::ModelEmpty);
        }
        if let Some(constant) = weights.get_mut(columns.len()) {
            *constant = self.intercept;
        }
        Ok(BoundModel {
            kind: self.kind,
            weights,
        })
    }

    fn covers(
        &self,
        columns: &[Column],
        public_columns: &[PublicColumn],
        coverage: Coverage<'_>,
    ) -> Result<(), TabularError> {
        let Coverage::AllBut(target) = coverage else {
            return Ok(());
        };
        let named: HashSet<&str> = self.columns.iter().map(String::as_str).collect();
        let mut known = HashSet::from(["1"]);
        let mut covered = HashSet::new();
        let mut wanted: Vec<&str> = Vec::new();
        for c in columns {
            let source = match &c.kind {
                ColumnKind::Numeric => c.name.as_str(),
                ColumnKind::Category { source, .. } => source.as_str(),
                ColumnKind::Square { .. } | ColumnKind::Product { .. } => continue,
            };
            known.insert(source);
            wanted.push(source);
            if named.contains(c.name.as_str()) {
                covered.insert(source);
            }
        }
        for c in public_columns.iter().skip(1) {
            known.insert(&c.name);
            wanted.push(&c.name);
            if named.contains(c.name.as_str()) {
                covered.insert(&c.name);
            }
        }
        if !known.contains(target) {
            return Err(TabularError::UnknownColumn {
                field: "target",
                name: target.to_owned(),
            });
        }
        wanted.dedup();
        let missing: Vec<String> = wanted
            .into_iter()
            .filter(|s| *s != target && !covered.contains(s))
            .map(str::to_owned)
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(TabularError::ModelMissing { names: missing })
    }
}
