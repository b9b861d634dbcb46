//! From what the first pass found to encrypted columns, public columns and
//! segments, and the second pass that fills them.

use crate::{
    config::SchemaConfig,
    error::TabularError,
    input::Records,
    names,
    quantise::{Quantiser, Range, dequantise, exp2, public_values},
    reader::Cell,
    report::{DropReason, Dropped},
    survey::{Found, Survey, in_range},
};
use serde::{Deserialize, Serialize};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap},
    io::{Read, Seek},
};
use veilbourse_core::manifest::{Column, ColumnKind, MAX_PUBLIC_COLUMNS, PublicColumn};

/// A segment before encryption: the label and n_s of the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentRows {
    /// The segment key's text.
    pub label: String,
    /// n_s.
    pub rows: u64,
}

/// A column of the source file that is published in some form.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    /// A segment key, with its text in each segment.
    Key { name: String, values: Vec<String> },
    /// A numeric column.
    Numeric {
        name: String,
        fill: Option<f64>,
        missing: u64,
        integral: bool,
        column: usize,
    },
    /// A categorical column; each category's encrypted column.
    Categorical {
        name: String,
        fill: Option<String>,
        missing: u64,
        columns: BTreeMap<String, usize>,
    },
}

/// How the second pass reads the table.
pub(crate) struct Plan {
    /// Sources by position in the file; none where a column is dropped.
    pub sources: Vec<Option<Source>>,
    /// Encrypted columns before second moments and suppression.
    pub base: Vec<Column>,
    pub public_columns: Vec<PublicColumn>,
    /// Real values of the public columns, by segment.
    pub public_reals: Vec<Vec<f64>>,
    pub segments: Vec<SegmentRows>,
    pub dropped: Vec<Dropped>,
    pub rows: u64,
    keys: Vec<usize>,
    segment_of: HashMap<Vec<String>, usize>,
}

/// One row of the second pass.
pub(crate) struct Row<'a> {
    pub segment: usize,
    /// Position in the source, header not counted.
    pub origin: u64,
    /// The base columns' real values.
    pub values: &'a [f64],
    /// Base columns clipped in this row.
    pub clipped: &'a [usize],
}

#[derive(Clone, PartialEq)]
enum KeyValue {
    Number(f64),
    Text(String),
}

impl KeyValue {
    fn text(&self) -> String {
        match self {
            // -0 and 0 are one key.
            Self::Number(v) => (v + 0.0).to_string(),
            Self::Text(t) => t.clone(),
        }
    }
    fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Number(_), Self::Text(_)) => Ordering::Less,
            (Self::Text(_), Self::Number(_)) => Ordering::Greater,
        }
    }
}

impl Plan {
    pub(crate) fn new(survey: Survey, config: &SchemaConfig) -> Result<Self, TabularError> {
        let mut plan = Self {
            sources: Vec::with_capacity(survey.headers.len()),
            base: Vec::new(),
            public_columns: Vec::new(),
            public_reals: Vec::new(),
            segments: Vec::new(),
            dropped: Vec::new(),
            rows: survey.rows,
            keys: survey.keys.clone(),
            segment_of: HashMap::new(),
        };
        let groups = plan.split(&survey, config)?;
        for (name, found) in survey.headers.iter().zip(survey.columns) {
            plan.source(name, found, &survey.keys, &survey.headers, &groups, config)?;
        }
        let mut seen = std::collections::HashSet::new();
        let publics = plan.public_columns.iter().map(|c| &c.name);
        for name in plan.base.iter().map(|c| &c.name).chain(publics) {
            if !seen.insert(name) {
                return Err(TabularError::NameClash { name: name.clone() });
            }
        }
        Ok(plan)
    }

    /// Segments in the order of their keys, and the numeric keys as public
    /// columns (decision 4).
    fn split(
        &mut self,
        survey: &Survey,
        config: &SchemaConfig,
    ) -> Result<Vec<Vec<KeyValue>>, TabularError> {
        let mut groups: Vec<(Vec<KeyValue>, u64, Vec<Vec<String>>)> = Vec::new();
        for (texts, rows) in &survey.groups {
            let key: Vec<KeyValue> = texts
                .iter()
                .zip(&survey.key_numeric)
                .map(|(t, numeric)| match t.parse::<f64>() {
                    Ok(v) if *numeric => KeyValue::Number(v),
                    _ => KeyValue::Text(t.clone()),
                })
                .collect();
            // "1" and "1.0" are one segment.
            match groups.iter_mut().find(|(k, ..)| *k == key) {
                Some((_, n, spellings)) => {
                    *n += rows;
                    spellings.push(texts.clone());
                }
                None => groups.push((key, *rows, vec![texts.clone()])),
            }
        }
        groups.sort_by(|(a, ..), (b, ..)| {
            a.iter()
                .zip(b)
                .map(|(x, y)| x.order(y))
                .find(|o| o.is_ne())
                .unwrap_or(Ordering::Equal)
        });
        let mut out = Vec::with_capacity(groups.len());
        for (s, (key, rows, spellings)) in groups.into_iter().enumerate() {
            let parts: Vec<String> = config
                .segment_by
                .iter()
                .zip(&key)
                .map(|(name, v)| format!("{name} = {}", v.text()))
                .collect();
            let label = if parts.is_empty() {
                "all rows".to_owned()
            } else {
                parts.join(", ")
            };
            names::check("segment label", &label)?;
            if rows < config.suppression.k_min {
                return Err(TabularError::SmallSegment {
                    label,
                    rows,
                    k_min: config.suppression.k_min,
                });
            }
            self.segments.push(SegmentRows { label, rows });
            self.segment_of
                .extend(spellings.into_iter().map(|t| (t, s)));
            out.push(key);
        }
        self.public("1", vec![1.0; out.len()]);
        for (i, name) in config.segment_by.iter().enumerate() {
            let values: Option<Vec<f64>> = out
                .iter()
                .map(|k| match k.get(i) {
                    Some(KeyValue::Number(v)) => Some(*v),
                    _ => None,
                })
                .collect();
            if let Some(values) = values {
                self.public(name, values);
            }
        }
        if self.public_columns.len() > MAX_PUBLIC_COLUMNS as usize {
            return Err(TabularError::TooManyPublicColumns {
                limit: u64::from(MAX_PUBLIC_COLUMNS),
                value: self.public_columns.len() as u64,
            });
        }
        Ok(out)
    }

    fn public(&mut self, name: &str, reals: Vec<f64>) {
        let (scale_log2, values) = public_values(&reals);
        self.public_columns.push(PublicColumn {
            name: name.to_owned(),
            scale_log2,
            values,
        });
        self.public_reals.push(reals);
    }

    fn source(
        &mut self,
        name: &str,
        found: Found,
        keys: &[usize],
        headers: &[String],
        groups: &[Vec<KeyValue>],
        config: &SchemaConfig,
    ) -> Result<(), TabularError> {
        let own = config.columns.get(name);
        let bits = own.and_then(|c| c.bits).unwrap_or(config.bits);
        let unit = own.map(|c| c.unit.clone()).unwrap_or_default();
        if !unit.is_empty() {
            names::check("unit", &unit)?;
        }
        let source = match found {
            Found::Key => {
                let at = keys
                    .iter()
                    .position(|k| headers.get(*k).is_some_and(|h| h == name));
                let values = groups
                    .iter()
                    .map(|g| {
                        at.and_then(|i| g.get(i))
                            .map(KeyValue::text)
                            .unwrap_or_default()
                    })
                    .collect();
                Some(Source::Key {
                    name: name.to_owned(),
                    values,
                })
            }
            Found::Dropped => self.drop(name, DropReason::Asked),
            Found::Constant => self.drop(name, DropReason::Constant),
            Found::Numeric {
                min,
                max,
                fill,
                missing,
                integral,
            } => {
                let declared = (own.and_then(|c| c.min), own.and_then(|c| c.max));
                let q = Quantiser::fit(Range::published(min, max, declared), bits);
                if q.quantise(min) == 0 && q.quantise(max) == 0 {
                    // Too small for its declared range: only zeros would be encrypted.
                    self.drop(name, DropReason::Constant)
                } else {
                    self.base.push(Column {
                        name: name.to_owned(),
                        kind: ColumnKind::Numeric,
                        unit,
                        scale_log2: q.scale_log2,
                        min: q.min,
                        max: q.max,
                    });
                    let column = self.base.len() - 1;
                    Some(Source::Numeric {
                        name: name.to_owned(),
                        fill,
                        missing,
                        integral,
                        column,
                    })
                }
            }
            Found::Categorical {
                values,
                fill,
                missing,
            } => {
                let q = Quantiser::fit(Range { min: 0.0, max: 1.0 }, bits);
                let mut columns = BTreeMap::new();
                for value in values {
                    columns.insert(value.clone(), self.base.len());
                    self.base.push(Column {
                        name: names::category(name, &value)?,
                        kind: ColumnKind::Category {
                            source: name.to_owned(),
                            value,
                        },
                        unit: String::new(),
                        scale_log2: q.scale_log2,
                        min: q.min,
                        max: q.max,
                    });
                }
                Some(Source::Categorical {
                    name: name.to_owned(),
                    fill,
                    missing,
                    columns,
                })
            }
        };
        self.sources.push(source);
        Ok(())
    }

    fn drop(&mut self, name: &str, reason: DropReason) -> Option<Source> {
        self.dropped.push(Dropped {
            name: name.to_owned(),
            reason,
        });
        None
    }

    /// Second pass: calls `visit` for each row, in file order.
    pub(crate) fn visit<R: Read + Seek>(
        &self,
        reader: R,
        config: &SchemaConfig,
        mut visit: impl FnMut(Row<'_>),
    ) -> Result<(), TabularError> {
        let mut records = Records::open(reader, config)?;
        if records.headers().len() != self.sources.len() {
            return Err(TabularError::Changed { line: 1 });
        }
        let mut values = vec![0.0; self.base.len()];
        let mut clipped = Vec::new();
        let mut filled = vec![0u64; self.segments.len()];
        let mut origin = 0u64;
        let mut last = 1;
        while let Some((line, record)) = records.next()? {
            last = line;
            let changed = || TabularError::Changed { line };
            let key: Vec<String> = self
                .keys
                .iter()
                .map(|k| record.get(*k).unwrap_or_default().trim().to_owned())
                .collect();
            let segment = *self.segment_of.get(&key).ok_or_else(changed)?;
            values.fill(0.0);
            clipped.clear();
            for (raw, source) in record.iter().zip(&self.sources) {
                match source {
                    None | Some(Source::Key { .. }) => {}
                    Some(Source::Numeric {
                        name, fill, column, ..
                    }) => {
                        let v = match Cell::read(raw, config) {
                            Cell::Number(v) => {
                                let kept = in_range(v, line, name, config)?;
                                if kept != v {
                                    clipped.push(*column);
                                }
                                kept
                            }
                            Cell::Missing => fill.ok_or_else(changed)?,
                            Cell::NonFinite(_) | Cell::Text(_) => return Err(changed()),
                        };
                        let c = self.base.get(*column).ok_or_else(changed)?;
                        let f = exp2(c.scale_log2);
                        if v * f < c.min as f64 || v * f > c.max as f64 {
                            return Err(changed());
                        }
                        *values.get_mut(*column).ok_or_else(changed)? = v;
                    }
                    Some(Source::Categorical { fill, columns, .. }) => {
                        let text = match (Cell::read(raw, config), fill) {
                            (Cell::Missing, Some(f)) => f.as_str(),
                            _ => raw.trim(),
                        };
                        let column = columns.get(text).ok_or_else(changed)?;
                        *values.get_mut(*column).ok_or_else(changed)? = 1.0;
                    }
                }
            }
            *filled.get_mut(segment).ok_or_else(changed)? += 1;
            visit(Row {
                segment,
                origin,
                values: &values,
                clipped: &clipped,
            });
            origin += 1;
        }
        if self
            .segments
            .iter()
            .map(|s| s.rows)
            .ne(filled.iter().copied())
        {
            return Err(TabularError::Changed { line: last });
        }
        Ok(())
    }

    /// Largest error of a public column in real units.
    pub(crate) fn public_error(&self, i: usize) -> f64 {
        let (Some(c), Some(reals)) = (self.public_columns.get(i), self.public_reals.get(i)) else {
            return 0.0;
        };
        reals.iter().zip(&c.values).fold(0.0, |m, (r, x)| {
            f64::max(m, (r - dequantise(*x, c.scale_log2)).abs())
        })
    }
}
