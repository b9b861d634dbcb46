//! The synthetic twin (rule DS-9): a table of the same shape sampled from
//! published marginals only, for buyers to try their queries on.
//!
//! [`Marginals`] is all that leaves the custodian; [`Twin::sample`] takes
//! nothing else, so a twin cannot tell more than they do. They are: the names,
//! scales and ranges of the manifest, its segments; for each numeric column
//! whether all values are integers and a histogram of 16 equal bins over its
//! published range; for each encrypted category its count. Counts are of the
//! whole table (not by segment) and rounded down to a multiple of k_min, so a
//! count below k_min is published as zero. Columns are sampled independently
//! of each other and of the segments: no joint property survives.

use crate::{
    build::Built,
    error::TabularError,
    plan::{SegmentRows, Source},
    quantise::dequantise,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, fmt::Write as _};
use veilbourse_core::{
    manifest::{Column, ColumnKind},
    table::QuantisedTable,
};

/// Bins of a numeric column's histogram.
pub const BINS: usize = 16;

/// What the custodian publishes for the twin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marginals {
    /// The dataset's name.
    pub name: String,
    /// Counts are multiples of this.
    pub count_step: u64,
    /// Segments, in manifest order.
    pub segments: Vec<SegmentRows>,
    /// Columns, in the order of the source file.
    pub columns: Vec<Marginal>,
}

/// What is published of one source column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Marginal {
    /// A segment key.
    Key {
        /// Its name.
        name: String,
        /// Its text in each segment.
        values: Vec<String>,
    },
    /// A numeric column.
    Numeric {
        /// Its name.
        name: String,
        /// Scale of the bounds.
        scale_log2: i32,
        /// Least quantised value.
        min: i64,
        /// Greatest quantised value.
        max: i64,
        /// Whether every value is an integer.
        integral: bool,
        /// Rows in each of [`BINS`] equal bins, rounded down to `count_step`.
        counts: Vec<u64>,
    },
    /// A categorical column; suppressed categories are absent.
    Categorical {
        /// Its name.
        name: String,
        /// Each category with its rows, rounded down to `count_step`.
        counts: Vec<(String, u64)>,
    },
}

impl Marginal {
    fn name(&self) -> &str {
        match self {
            Self::Key { name, .. }
            | Self::Numeric { name, .. }
            | Self::Categorical { name, .. } => name,
        }
    }
}

impl Marginals {
    /// The marginals of a built table, counts rounded down to a multiple of `k_min`.
    pub fn of(built: &Built, k_min: u64) -> Self {
        let step = k_min.max(1);
        let round = |n: u64| n / step * step;
        let find = |name: &str| built.columns.iter().position(|c| c.name == name);
        let cells = |i: usize| {
            built
                .table
                .segments
                .iter()
                .filter_map(move |s| s.get(i))
                .flatten()
        };
        let columns = built
            .sources
            .iter()
            .filter_map(|source| match source {
                Source::Key { name, values } => Some(Marginal::Key {
                    name: name.clone(),
                    values: values.clone(),
                }),
                Source::Numeric { name, integral, .. } => {
                    let i = find(name)?;
                    let c = built.columns.get(i)?;
                    let mut counts = vec![0u64; BINS];
                    for x in cells(i) {
                        if let Some(n) = counts.get_mut(bin(*x, c.min, c.max)) {
                            *n += 1;
                        }
                    }
                    Some(Marginal::Numeric {
                        name: name.clone(),
                        scale_log2: c.scale_log2,
                        min: c.min,
                        max: c.max,
                        integral: *integral,
                        counts: counts.into_iter().map(round).collect(),
                    })
                }
                Source::Categorical { name, .. } => {
                    let counts: Vec<(String, u64)> = built
                        .columns
                        .iter()
                        .enumerate()
                        .filter_map(|(i, c)| match &c.kind {
                            ColumnKind::Category { source, value } if source == name => {
                                let n = cells(i).filter(|x| **x != 0).count() as u64;
                                Some((value.clone(), round(n)))
                            }
                            _ => None,
                        })
                        .collect();
                    (!counts.is_empty()).then(|| Marginal::Categorical {
                        name: name.clone(),
                        counts,
                    })
                }
            })
            .collect();
        Self {
            name: built.name.clone(),
            count_step: step,
            segments: built.segments.clone(),
            columns,
        }
    }

    /// What the twin tells, for people: goes beside the file.
    pub fn leaks(&self) -> String {
        let step = self.count_step;
        let mut out = format!(
            "Synthetic twin of {:?}. It is sampled column by column from the figures below and from \
             nothing else of the data: no row of it is a row of the data, and nothing joint \
             (correlations, differences between segments) is in it.\n\
             It tells: names, published ranges and scales, segments and their rows; for each numeric \
             column whether all values are integers, and how many rows fall in each of {BINS} equal \
             bins of its published range; for each category how many rows have it. Counts are of the \
             whole table, rounded down to multiples of {step}: fewer than {step} rows are told as 0.\n",
            self.name
        );
        for s in &self.segments {
            let _ = writeln!(out, "segment {:?}: {} rows", s.label, s.rows);
        }
        for c in &self.columns {
            let _ = match c {
                Marginal::Key { name, values } => {
                    writeln!(out, "{name:?}: segment key, {}", values.join(", "))
                }
                Marginal::Numeric {
                    name,
                    scale_log2,
                    min,
                    max,
                    integral,
                    counts,
                } => writeln!(
                    out,
                    "{name:?}: {} to {}{}, bins {counts:?}",
                    dequantise(*min, *scale_log2),
                    dequantise(*max, *scale_log2),
                    if *integral { ", integers" } else { "" },
                ),
                Marginal::Categorical { name, counts } => writeln!(out, "{name:?}: {counts:?}"),
            };
        }
        out
    }
}

/// Equal bins over min..=max; the last holds max.
fn bin(x: i64, min: i64, max: i64) -> usize {
    let width = i128::from(max) - i128::from(min);
    let at = (i128::from(x) - i128::from(min)) * BINS as i128 / width.max(1);
    usize::try_from(at).unwrap_or(0).min(BINS - 1)
}

/// Least and greatest integers of a bin.
fn bounds(bin: usize, min: i64, max: i64) -> (i64, i64) {
    let width = i128::from(max) - i128::from(min);
    let start = |b: usize| i128::from(min) + (b as i128 * width + BINS as i128 - 1) / BINS as i128;
    let least = start(bin);
    let most = if bin + 1 >= BINS {
        i128::from(max)
    } else {
        start(bin + 1) - 1
    };
    let cut = |v: i128| i64::try_from(v).unwrap_or(max).clamp(min, max);
    (cut(least), cut(most.max(least)))
}

/// A sampled table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Twin {
    segments: Vec<SegmentRows>,
    columns: Vec<Sampled>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Sampled {
    Key {
        name: String,
        values: Vec<String>,
    },
    Numeric {
        name: String,
        scale_log2: i32,
        values: Vec<i64>,
    },
    Categorical {
        name: String,
        names: Vec<String>,
        values: Vec<usize>,
    },
}

impl Twin {
    /// Samples as many rows as the dataset has. The same marginals and seed
    /// give the same twin; column i uses stream i of ChaCha20.
    pub fn sample(marginals: &Marginals, seed: [u8; 32]) -> Self {
        let rows: u64 = marginals.segments.iter().map(|s| s.rows).sum();
        let columns = marginals
            .columns
            .iter()
            .enumerate()
            .map(|(i, m)| {
                let mut rng = ChaCha20Rng::from_seed(seed);
                rng.set_stream(i as u64);
                sample_column(m, rows, &mut rng)
            })
            .collect();
        Self {
            segments: marginals.segments.clone(),
            columns,
        }
    }

    /// The twin as CSV, under the names that the source file has.
    pub fn to_csv(&self) -> Result<String, TabularError> {
        let mut w = csv::Writer::from_writer(Vec::new());
        let failed = |e: csv::Error| TabularError::Csv(e.to_string());
        w.write_record(self.columns.iter().map(|c| match c {
            Sampled::Key { name, .. }
            | Sampled::Numeric { name, .. }
            | Sampled::Categorical { name, .. } => name.as_str(),
        }))
        .map_err(failed)?;
        let mut row = 0usize;
        for (s, segment) in self.segments.iter().enumerate() {
            for _ in 0..segment.rows {
                w.write_record(self.columns.iter().map(|c| c.cell(s, row)))
                    .map_err(failed)?;
                row += 1;
            }
        }
        let bytes = w
            .into_inner()
            .map_err(|e| TabularError::Csv(e.to_string()))?;
        String::from_utf8(bytes).map_err(|e| TabularError::Csv(e.to_string()))
    }

    /// The twin as the integers of a manifest's columns, so that a query runs
    /// on it exactly as on the dataset. A product with a factor that is not
    /// published is zero throughout.
    pub fn table(&self, columns: &[Column]) -> QuantisedTable {
        let rows: usize = self
            .segments
            .iter()
            .map(|s| usize::try_from(s.rows).unwrap_or(0))
            .sum();
        let mut known: HashMap<&str, Vec<i64>> = HashMap::new();
        // Second moments come after their factors.
        for c in columns {
            let values = match &c.kind {
                ColumnKind::Numeric => self.numeric(&c.name),
                ColumnKind::Category { source, value } => self.category(source, value, c.max),
                ColumnKind::Square { source } => {
                    multiply(known.get(source.as_str()), known.get(source.as_str()))
                }
                ColumnKind::Product { left, right } => {
                    multiply(known.get(left.as_str()), known.get(right.as_str()))
                }
            };
            known.insert(&c.name, values.unwrap_or_else(|| vec![0; rows]));
        }
        let mut table = QuantisedTable {
            segments: Vec::new(),
            origin: Vec::new(),
        };
        let mut start = 0usize;
        for s in &self.segments {
            let end = start + usize::try_from(s.rows).unwrap_or(0);
            table.segments.push(
                columns
                    .iter()
                    .map(|c| {
                        known
                            .get(c.name.as_str())
                            .and_then(|v| v.get(start..end))
                            .unwrap_or_default()
                            .to_vec()
                    })
                    .collect(),
            );
            table.origin.push((start as u64..end as u64).collect());
            start = end;
        }
        table
    }

    fn numeric(&self, wanted: &str) -> Option<Vec<i64>> {
        self.columns.iter().find_map(|c| match c {
            Sampled::Numeric { name, values, .. } if name == wanted => Some(values.clone()),
            _ => None,
        })
    }

    fn category(&self, source: &str, value: &str, one: i64) -> Option<Vec<i64>> {
        self.columns.iter().find_map(|c| match c {
            Sampled::Categorical {
                name,
                names,
                values,
            } if name == source => {
                let at = names.iter().position(|n| n == value)?;
                Some(
                    values
                        .iter()
                        .map(|v| if *v == at { one } else { 0 })
                        .collect(),
                )
            }
            _ => None,
        })
    }
}

fn multiply(a: Option<&Vec<i64>>, b: Option<&Vec<i64>>) -> Option<Vec<i64>> {
    Some(
        a?.iter()
            .zip(b?)
            .map(|(x, y)| x.saturating_mul(*y))
            .collect(),
    )
}

impl Sampled {
    fn cell(&self, segment: usize, row: usize) -> String {
        match self {
            Self::Key { values, .. } => values.get(segment).cloned(),
            Self::Numeric {
                scale_log2, values, ..
            } => values
                .get(row)
                .map(|x| dequantise(*x, *scale_log2).to_string()),
            Self::Categorical { names, values, .. } => {
                values.get(row).and_then(|v| names.get(*v)).cloned()
            }
        }
        .unwrap_or_default()
    }
}

fn sample_column(m: &Marginal, rows: u64, rng: &mut impl Rng) -> Sampled {
    let name = m.name().to_owned();
    match m {
        Marginal::Key { values, .. } => Sampled::Key {
            name,
            values: values.clone(),
        },
        Marginal::Numeric {
            scale_log2,
            min,
            max,
            integral,
            counts,
            ..
        } => Sampled::Numeric {
            name,
            scale_log2: *scale_log2,
            values: (0..rows)
                .map(|_| {
                    let (least, most) = bounds(pick(counts, rng), *min, *max);
                    if *integral && (1..=62).contains(scale_log2) {
                        // Multiples of 2^scale are the integers.
                        let one = 1i64 << scale_log2;
                        let (a, b) = (
                            least.div_euclid(one) + i64::from(least.rem_euclid(one) != 0),
                            most.div_euclid(one),
                        );
                        if a <= b {
                            return between(a, b, rng) * one;
                        }
                    }
                    between(least, most, rng)
                })
                .collect(),
        },
        Marginal::Categorical { counts, .. } => {
            let (names, counts): (Vec<String>, Vec<u64>) = counts.iter().cloned().unzip();
            Sampled::Categorical {
                name,
                names,
                values: (0..rows).map(|_| pick(&counts, rng)).collect(),
            }
        }
    }
}

/// An index with probability proportional to its count; uniform when all are zero.
fn pick(counts: &[u64], rng: &mut impl Rng) -> usize {
    let total: u64 = counts.iter().fold(0, |t, c| t.saturating_add(*c));
    if total == 0 {
        return usize::try_from(below(counts.len() as u64, rng)).unwrap_or(0);
    }
    let mut left = below(total, rng);
    for (i, c) in counts.iter().enumerate() {
        if left < *c {
            return i;
        }
        left -= c;
    }
    0
}

fn between(least: i64, most: i64, rng: &mut impl Rng) -> i64 {
    let span = most.abs_diff(least).saturating_add(1);
    least.saturating_add_unsigned(below(span, rng))
}

/// A number below n by multiplication (bias at most n / 2^64).
fn below(n: u64, rng: &mut impl Rng) -> u64 {
    ((u128::from(rng.next_u64()) * u128::from(n)) >> 64) as u64
}
