//! From what a buyer names to the columns of a regression (TRN-1, TRN-3, TRN-4).

use super::{error::TrainError, moments::Variable};
use crate::buyer::Listed;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use veilbourse_core::manifest::{Column, ColumnKind, Manifest};

/// What a buyer asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ask {
    /// The column to predict.
    pub target: String,
    /// Columns to predict from, categorical source columns among them; empty
    /// for all.
    pub features: Vec<String>,
    /// Labels of the segments whose rows count; empty for all.
    pub segments: Vec<String>,
    /// The category left out of a categorical source column, by source.
    pub references: Vec<(String, String)>,
    /// Columns no two of which are other than zero in one row: their products
    /// are taken as zero, on the buyer's word.
    pub exclusive: Vec<Vec<String>>,
    /// Columns whose values quantisation did not move (integers, for example),
    /// on the buyer's word.
    pub exact: Vec<String>,
}

/// Where a column's values come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A numeric encrypted column: its index.
    Numeric(usize),
    /// A one-hot encrypted column: its index.
    Category(usize),
    /// A public column: its index.
    Public(usize),
}

/// A category left out, so that the others are measured against it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The categorical source column.
    pub column: String,
    /// The category; none when it is those that are not listed.
    pub category: Option<String>,
    /// Categories that are not listed (suppressed); their rows count with it.
    pub merged: Vec<String>,
    /// Whether the buyer named it.
    pub named: bool,
}

/// The columns of a regression.
#[derive(Debug, Clone, PartialEq)]
pub struct Columns {
    /// The features, then the target.
    pub variables: Vec<Variable>,
    /// Where each comes from.
    pub origins: Vec<Origin>,
    /// Indices of the segments.
    pub segments: Vec<usize>,
    /// Categories left out.
    pub references: Vec<Reference>,
    /// Public columns left out of "all features": they have one value.
    pub left_out: Vec<String>,
}

impl Columns {
    /// Resolves names against a listing.
    pub fn of(listed: &Listed, ask: &Ask) -> Result<Self, TrainError> {
        let m = &listed.manifest;
        let segments = segments(m, &ask.segments)?;
        let target = target(listed, &ask.target)?;
        let mut out = Self {
            variables: Vec::new(),
            origins: Vec::new(),
            segments,
            references: Vec::new(),
            left_out: Vec::new(),
        };
        let names = if ask.features.is_empty() {
            all(m, target, &mut out)
        } else {
            ask.features.clone()
        };
        for name in &names {
            out.feature(listed, name, ask)?;
        }
        for (source, category) in &ask.references {
            if !out.references.iter().any(|r| r.column == *source) {
                return Err(TrainError::UnknownReference {
                    source_column: source.clone(),
                    category: category.clone(),
                });
            }
        }
        let mut seen = BTreeSet::new();
        for v in &out.variables {
            if v.name == ask.target {
                return Err(TrainError::TargetAmongFeatures {
                    name: v.name.clone(),
                });
            }
            if !seen.insert(&v.name) {
                return Err(TrainError::Duplicate {
                    name: v.name.clone(),
                });
            }
        }
        if out.variables.is_empty() {
            return Err(TrainError::NoFeatures {
                target: ask.target.clone(),
            });
        }
        if let Some(c) = m.columns.get(target) {
            out.encrypted(target, c)?;
        }
        for name in ask.exact.iter().chain(ask.exclusive.iter().flatten()) {
            if !out.variables.iter().any(|v| v.name == *name) {
                return Err(TrainError::UnknownColumn {
                    field: "exact, exclusive",
                    name: name.clone(),
                });
            }
        }
        for v in &mut out.variables {
            if ask.exact.contains(&v.name) {
                v.half_step = 0.0;
            }
        }
        Ok(out)
    }

    fn feature(&mut self, listed: &Listed, name: &str, ask: &Ask) -> Result<(), TrainError> {
        let m = &listed.manifest;
        let field = "features";
        if let Some((i, c)) = named(m, name) {
            if matches!(
                c.kind,
                ColumnKind::Square { .. } | ColumnKind::Product { .. }
            ) {
                let name = name.to_owned();
                return Err(TrainError::SecondMoment { field, name });
            }
            return self.encrypted(i, c);
        }
        let publics = m.public_columns.iter().enumerate().skip(1);
        if let Some((i, g)) = publics.into_iter().find(|(_, g)| g.name == name) {
            if !self.varies(m, i) {
                return Err(TrainError::ConstantPublic {
                    name: name.to_owned(),
                });
            }
            self.variables.push(Variable {
                name: g.name.clone(),
                unit: String::new(),
                scale_log2: g.scale_log2,
                half_step: 0.0,
            });
            self.origins.push(Origin::Public(i));
            return Ok(());
        }
        let categories = categories(m, name);
        if categories.is_empty() {
            return Err(unknown(listed, field, name));
        }
        self.source(listed, name, &categories, ask)
    }

    /// A categorical source column: all its categories but one (TRN-3).
    fn source(
        &mut self,
        listed: &Listed,
        source: &str,
        categories: &[(usize, &Column, &str)],
        ask: &Ask,
    ) -> Result<(), TrainError> {
        let merged = suppressed_categories(listed, source);
        let asked = ask.references.iter().find(|(s, _)| s == source);
        let category = match asked {
            Some((_, c)) => {
                if !categories.iter().any(|(_, _, v)| v == c) {
                    return Err(TrainError::UnknownReference {
                        source_column: source.to_owned(),
                        category: c.clone(),
                    });
                }
                Some(c.clone())
            }
            // One category alone is measured against those that are not listed.
            None if categories.len() == 1 => None,
            None => categories.first().map(|(_, _, v)| (*v).to_owned()),
        };
        for (i, c, value) in categories {
            if category.as_deref() != Some(value) && c.name != ask.target {
                self.encrypted(*i, c)?;
            }
        }
        self.references.push(Reference {
            column: source.to_owned(),
            category,
            merged,
            named: asked.is_some(),
        });
        Ok(())
    }

    fn encrypted(&mut self, index: usize, c: &Column) -> Result<(), TrainError> {
        let category = matches!(c.kind, ColumnKind::Category { .. });
        if category {
            let one = u32::try_from(c.scale_log2)
                .ok()
                .and_then(|s| 1i64.checked_shl(s));
            if c.min != 0 || Some(c.max) != one {
                return Err(TrainError::CategoryRange {
                    name: c.name.clone(),
                    scale_log2: c.scale_log2,
                });
            }
        }
        self.variables.push(Variable {
            name: c.name.clone(),
            unit: c.unit.clone(),
            scale_log2: c.scale_log2,
            half_step: if category {
                0.0
            } else {
                f64::from(-c.scale_log2 - 1).exp2()
            },
        });
        self.origins.push(if category {
            Origin::Category(index)
        } else {
            Origin::Numeric(index)
        });
        Ok(())
    }

    /// Whether a public column has two values in the segments chosen.
    fn varies(&self, m: &Manifest, public: usize) -> bool {
        let values = m.public_columns.get(public).map(|g| &g.values);
        let of: BTreeSet<_> = self
            .segments
            .iter()
            .filter_map(|s| values?.get(*s))
            .collect();
        of.len() > 1
    }
}

/// Every numeric column, categorical source and numeric segment key but the
/// target's own.
fn all(m: &Manifest, target: usize, out: &mut Columns) -> Vec<String> {
    let own = match m.columns.get(target).map(|c| &c.kind) {
        Some(ColumnKind::Category { source, .. }) => Some(source),
        _ => None,
    };
    let mut names: Vec<String> = Vec::new();
    for (i, c) in m.columns.iter().enumerate() {
        let name = match &c.kind {
            ColumnKind::Numeric => &c.name,
            ColumnKind::Category { source, .. } if Some(source) != own => source,
            _ => continue,
        };
        if i != target && !names.contains(name) {
            names.push(name.clone());
        }
    }
    for (i, g) in m.public_columns.iter().enumerate().skip(1) {
        if out.varies(m, i) {
            names.push(g.name.clone());
        } else {
            out.left_out.push(g.name.clone());
        }
    }
    names
}

fn target(listed: &Listed, name: &str) -> Result<usize, TrainError> {
    let m = &listed.manifest;
    let field = "target";
    if let Some((i, c)) = named(m, name) {
        if matches!(
            c.kind,
            ColumnKind::Square { .. } | ColumnKind::Product { .. }
        ) {
            let name = name.to_owned();
            return Err(TrainError::SecondMoment { field, name });
        }
        return Ok(i);
    }
    let name = name.to_owned();
    if m.public_columns.iter().any(|g| g.name == name) {
        return Err(TrainError::PublicTarget { name });
    }
    let of = categories(m, &name);
    if of.is_empty() {
        return Err(unknown(listed, field, &name));
    }
    Err(TrainError::CategoricalTarget {
        name,
        categories: of.iter().map(|(_, c, _)| c.name.clone()).collect(),
    })
}

fn segments(m: &Manifest, labels: &[String]) -> Result<Vec<usize>, TrainError> {
    if labels.is_empty() {
        return Ok((0..m.segments.len()).collect());
    }
    let mut found = BTreeSet::new();
    for label in labels {
        let at = m.segments.iter().position(|s| s.label == *label);
        found.insert(at.ok_or_else(|| TrainError::UnknownSegment {
            label: label.clone(),
            listed: m.segments.iter().map(|s| s.label.clone()).collect(),
        })?);
    }
    Ok(found.into_iter().collect())
}

fn named<'a>(m: &'a Manifest, name: &str) -> Option<(usize, &'a Column)> {
    m.columns.iter().enumerate().find(|(_, c)| c.name == name)
}

/// The listed categories of a source column.
fn categories<'a>(m: &'a Manifest, name: &str) -> Vec<(usize, &'a Column, &'a str)> {
    m.columns
        .iter()
        .enumerate()
        .filter_map(|(i, c)| match &c.kind {
            ColumnKind::Category { source, value } if source == name => {
                Some((i, c, value.as_str()))
            }
            _ => None,
        })
        .collect()
}

/// The suppressed categories of a source column. Names are all that a listing
/// tells of what it lacks: `source=category` is one, unless it is of a source
/// whose own name goes further, or a suppressed square or product.
fn suppressed_categories(listed: &Listed, source: &str) -> Vec<String> {
    let m = &listed.manifest;
    let known =
        |name: &str| named(m, name).is_some() || listed.suppressed.iter().any(|s| s == name);
    let moment = |name: &str| {
        name.strip_suffix("^2").is_some_and(known)
            || name.match_indices('*').any(|(at, _)| {
                let (left, right) = name.split_at(at);
                known(left) && right.strip_prefix('*').is_some_and(known)
            })
    };
    let longer = |name: &str| {
        m.columns.iter().any(|c| match &c.kind {
            ColumnKind::Category { source: other, .. } => {
                other.len() > source.len()
                    && name
                        .strip_prefix(other.as_str())
                        .is_some_and(|r| r.starts_with('='))
            }
            _ => false,
        })
    };
    let category = |name: &str| -> Option<String> {
        Some(name.strip_prefix(source)?.strip_prefix('=')?.to_owned())
    };
    let names = listed
        .suppressed
        .iter()
        .filter(|s| !moment(s) && !longer(s));
    names.filter_map(|s| category(s)).collect()
}

fn unknown(listed: &Listed, field: &'static str, name: &str) -> TrainError {
    let name = name.to_owned();
    if listed.suppressed.contains(&name) {
        return TrainError::Suppressed { field, name };
    }
    TrainError::UnknownColumn { field, name }
}
