//! CSV in, quantised table out (rules DS-7, DS-8): two streaming passes, then
//! second moments and suppression on the integers. Deterministic.

use crate::{
    config::{SchemaConfig, SecondMoments},
    error::TabularError,
    names,
    plan::{Plan, Row, SegmentRows, Source},
    quantise::{Quantiser, ceil_log2_int, dequantise},
    report::{ColumnReport, DropReason, Dropped, PublicReport, Report},
    suppress::{Part, is_constant, judge},
    survey::survey,
};
use std::{
    collections::{HashMap, HashSet},
    io::{Read, Seek},
};
use veilbourse_core::{
    manifest::{Column, ColumnKind, MAX_COLUMNS, MAX_QUANTISED, PublicColumn},
    table::QuantisedTable,
};

/// A table ready for encryption.
#[derive(Debug, Clone, PartialEq)]
pub struct Built {
    /// The dataset's name.
    pub name: String,
    /// Encrypted columns, in manifest order.
    pub columns: Vec<Column>,
    /// Public columns; the first is the constant 1.
    pub public_columns: Vec<PublicColumn>,
    /// Segments, in order.
    pub segments: Vec<SegmentRows>,
    /// The integers.
    pub table: QuantisedTable,
    /// What the custodian is told.
    pub report: Report,
    /// Source columns in file order, for the synthetic twin.
    pub(crate) sources: Vec<Source>,
}

/// Reads the table twice and builds the dataset.
pub fn build<R: Read + Seek>(mut reader: R, config: &SchemaConfig) -> Result<Built, TabularError> {
    let plan = Plan::new(survey(&mut reader, config)?, config)?;
    let moments = Moment::all(&plan.base, config)?;
    let mut columns = plan.base.clone();
    for m in &moments {
        columns.push(m.column(&plan.base)?);
    }
    check_names(&columns, &plan, config)?;
    gate(columns.len() as u64, plan.rows, config)?;
    let (table, errors) = fill(&mut reader, &plan, &columns, &moments, config)?;
    finish(plan, columns, &moments, table, errors, config)
}

fn gate(columns: u64, rows: u64, config: &SchemaConfig) -> Result<(), TabularError> {
    let cells = columns.saturating_mul(rows);
    if cells > config.limits.cells {
        return Err(TabularError::TooManyCells {
            limit: config.limits.cells,
            value: cells,
        });
    }
    Ok(())
}

fn check_names(columns: &[Column], plan: &Plan, config: &SchemaConfig) -> Result<(), TabularError> {
    if columns.len() > MAX_COLUMNS as usize {
        return Err(TabularError::TooManyEncrypted {
            limit: u64::from(MAX_COLUMNS),
            value: columns.len() as u64,
        });
    }
    let mut seen: HashSet<&String> = plan.public_columns.iter().map(|c| &c.name).collect();
    for c in columns {
        if !seen.insert(&c.name) {
            return Err(TabularError::NameClash {
                name: c.name.clone(),
            });
        }
    }
    for name in &config.suppression.keep {
        if !columns.iter().any(|c| c.name == *name) {
            return Err(TabularError::UnknownColumn {
                field: "suppression.keep",
                name: name.clone(),
            });
        }
    }
    Ok(())
}

/// A column of second moments: the product of two base columns.
struct Moment {
    left: usize,
    right: usize,
}

impl Moment {
    fn all(base: &[Column], config: &SchemaConfig) -> Result<Vec<Self>, TabularError> {
        let at: HashMap<&String, usize> =
            base.iter().enumerate().map(|(i, c)| (&c.name, i)).collect();
        let find = |name: &String| {
            at.get(name)
                .copied()
                .ok_or_else(|| TabularError::UnknownColumn {
                    field: "second_moments",
                    name: name.clone(),
                })
        };
        match &config.second_moments {
            SecondMoments::None => Ok(Vec::new()),
            SecondMoments::Squares(names) => names
                .iter()
                .map(|n| find(n).map(|i| Self { left: i, right: i }))
                .collect(),
            SecondMoments::Products(pairs) => pairs
                .iter()
                .map(|(a, b)| {
                    Ok(Self {
                        left: find(a)?,
                        right: find(b)?,
                    })
                })
                .collect(),
            SecondMoments::All => {
                let n = base.len() as u64;
                let value = n + n * (n + 1) / 2;
                if value > u64::from(MAX_COLUMNS) {
                    return Err(TabularError::TooManyEncrypted {
                        limit: u64::from(MAX_COLUMNS),
                        value,
                    });
                }
                Ok((0..base.len())
                    .flat_map(|left| (left..base.len()).map(move |right| Self { left, right }))
                    .collect())
            }
        }
    }

    /// The product is exact: scales add, ranges multiply.
    fn column(&self, base: &[Column]) -> Result<Column, TabularError> {
        let (Some(a), Some(b)) = (base.get(self.left), base.get(self.right)) else {
            return Err(TabularError::Changed { line: 1 });
        };
        let square = self.left == self.right;
        let (name, kind) = if square {
            (
                format!("{}^2", a.name),
                ColumnKind::Square {
                    source: a.name.clone(),
                },
            )
        } else {
            let kind = ColumnKind::Product {
                left: a.name.clone(),
                right: b.name.clone(),
            };
            (format!("{}*{}", a.name, b.name), kind)
        };
        names::check("second-moment column", &name)?;
        let scale_log2 = a.scale_log2 + b.scale_log2;
        let corners = [
            (a.min, b.min),
            (a.min, b.max),
            (a.max, b.min),
            (a.max, b.max),
        ]
        .map(|(x, y)| i128::from(x) * i128::from(y));
        let straddles = a.min <= 0 && a.max >= 0;
        let least = match (square, straddles) {
            (true, true) => 0,
            (true, false) => i128::from(a.min.unsigned_abs().min(a.max.unsigned_abs())).pow(2),
            (false, _) => corners.into_iter().min().unwrap_or(0),
        };
        let most = corners.into_iter().max().unwrap_or(0);
        let magnitude = least.unsigned_abs().max(most.unsigned_abs());
        let range = |v: i128| i64::try_from(v).unwrap_or(i64::MAX);
        if magnitude > MAX_QUANTISED as u128 || scale_log2.abs() > 64 {
            return Err(TabularError::ProductRange {
                name,
                magnitude_log2: ceil_log2_int(u64::try_from(magnitude).unwrap_or(u64::MAX)),
                scale_log2,
            });
        }
        let unit = match (a.unit.is_empty(), b.unit.is_empty(), square) {
            (true, true, _) => String::new(),
            (false, false, true) => format!("{}^2", a.unit),
            _ => format!("{} {}", a.unit, b.unit).trim().to_owned(),
        };
        if !unit.is_empty() {
            names::check("unit", &unit)?;
        }
        Ok(Column {
            name,
            kind,
            unit,
            scale_log2,
            min: range(least),
            max: range(most),
        })
    }
}

/// Quantisation error of one column so far.
#[derive(Debug, Clone, Copy, Default)]
struct Loss {
    max: f64,
    squares: f64,
    clipped: u64,
}

fn fill<R: Read + Seek>(
    reader: R,
    plan: &Plan,
    columns: &[Column],
    moments: &[Moment],
    config: &SchemaConfig,
) -> Result<(QuantisedTable, Vec<Loss>), TabularError> {
    let capacity = |rows: u64| Vec::with_capacity(usize::try_from(rows).unwrap_or(0));
    let mut table = QuantisedTable {
        segments: plan
            .segments
            .iter()
            .map(|s| columns.iter().map(|_| capacity(s.rows)).collect())
            .collect(),
        origin: plan
            .segments
            .iter()
            .map(|s| Vec::with_capacity(usize::try_from(s.rows).unwrap_or(0)))
            .collect(),
    };
    let quantisers: Vec<Quantiser> = plan
        .base
        .iter()
        .map(|c| Quantiser {
            scale_log2: c.scale_log2,
            min: c.min,
            max: c.max,
        })
        .collect();
    let mut losses = vec![Loss::default(); columns.len()];
    let mut row_values: Vec<(f64, i64)> = Vec::with_capacity(columns.len());
    plan.visit(reader, config, |row: Row<'_>| {
        row_values.clear();
        row_values.extend(
            row.values
                .iter()
                .zip(&quantisers)
                .map(|(v, q)| (*v, q.quantise(*v))),
        );
        for m in moments {
            let at = |i: usize| row_values.get(i).copied().unwrap_or_default();
            let (a, b) = (at(m.left), at(m.right));
            row_values.push((a.0 * b.0, a.1 * b.1));
        }
        let (Some(segment), Some(origin)) = (
            table.segments.get_mut(row.segment),
            table.origin.get_mut(row.segment),
        ) else {
            return;
        };
        origin.push(row.origin);
        for (((cells, (real, x)), c), loss) in segment
            .iter_mut()
            .zip(&row_values)
            .zip(columns)
            .zip(&mut losses)
        {
            cells.push(*x);
            let e = (real - dequantise(*x, c.scale_log2)).abs();
            loss.max = loss.max.max(e);
            loss.squares += e * e;
        }
        for i in row.clipped {
            if let Some(l) = losses.get_mut(*i) {
                l.clipped += 1;
            }
        }
    })?;
    Ok((table, losses))
}

fn finish(
    plan: Plan,
    columns: Vec<Column>,
    moments: &[Moment],
    table: QuantisedTable,
    losses: Vec<Loss>,
    config: &SchemaConfig,
) -> Result<Built, TabularError> {
    let mut reasons: Vec<Option<DropReason>> = Vec::with_capacity(columns.len());
    let mut notes = Vec::new();
    for (i, c) in columns.iter().enumerate() {
        let parts: Vec<Part<'_>> = plan
            .segments
            .iter()
            .zip(&table.segments)
            .filter_map(|(s, cells)| {
                Some(Part {
                    label: &s.label,
                    values: cells.get(i)?,
                })
            })
            .collect();
        let indicator = matches!(c.kind, ColumnKind::Category { .. });
        // A square or product falls with its factors.
        let factor = i
            .checked_sub(plan.base.len())
            .and_then(|m| moments.get(m))
            .and_then(|m| {
                [m.left, m.right]
                    .into_iter()
                    .find(|f| dropped(&reasons, &columns, *f, config))
            })
            .and_then(|f| columns.get(f))
            .map(|f| DropReason::FactorDropped {
                factor: f.name.clone(),
            });
        reasons.push(factor.or_else(|| judge(&parts, indicator, &config.suppression)));
        if i < plan.base.len() && parts.len() > 1 {
            notes.extend(parts.iter().filter(|p| is_constant(p.values)).map(|p| {
                format!(
                    "{:?} has one value in segment {:?}: an aggregate tells it of each of its rows",
                    c.name, p.label
                )
            }));
        }
    }
    let keep: Vec<bool> = (0..columns.len())
        .map(|i| !dropped(&reasons, &columns, i, config))
        .collect();
    let mut report = Report {
        name: config.name.clone(),
        rows: plan.rows,
        segments: plan.segments.clone(),
        columns: Vec::new(),
        public_columns: plan
            .public_columns
            .iter()
            .zip(&plan.public_reals)
            .enumerate()
            .map(|(i, (c, values))| PublicReport {
                name: c.name.clone(),
                values: values.clone(),
                max_error: plan.public_error(i),
            })
            .collect(),
        dropped: plan.dropped.clone(),
        notes,
    };
    for (((c, loss), reason), kept) in columns.iter().zip(&losses).zip(reasons).zip(&keep) {
        match (kept, reason) {
            (false, Some(reason)) => report.dropped.push(Dropped {
                name: c.name.clone(),
                reason,
            }),
            (_, kept_despite) => {
                let (imputed, imputed_with) = imputed(&plan, c);
                report.columns.push(ColumnReport {
                    name: c.name.clone(),
                    unit: c.unit.clone(),
                    scale_log2: c.scale_log2,
                    min: dequantise(c.min, c.scale_log2),
                    max: dequantise(c.max, c.scale_log2),
                    max_error: loss.max,
                    rms_error: (loss.squares / plan.rows as f64).sqrt(),
                    clipped: loss.clipped,
                    imputed,
                    imputed_with,
                    kept_despite,
                });
            }
        }
    }
    if report.columns.is_empty() {
        return Err(TabularError::NoColumns {
            dropped: report.dropped.len(),
            reasons: report
                .dropped
                .iter()
                .map(|d| format!("{}: {}", d.name, d.reason))
                .collect(),
        });
    }
    let retain = |cells: Vec<Vec<i64>>| {
        cells
            .into_iter()
            .zip(&keep)
            .filter(|(_, k)| **k)
            .map(|(c, _)| c)
            .collect::<Vec<_>>()
    };
    Ok(Built {
        name: config.name.clone(),
        columns: columns
            .into_iter()
            .zip(&keep)
            .filter(|(_, k)| **k)
            .map(|(c, _)| c)
            .collect(),
        public_columns: plan.public_columns,
        segments: plan.segments,
        table: QuantisedTable {
            segments: table.segments.into_iter().map(retain).collect(),
            origin: table.origin,
        },
        report,
        sources: plan.sources.into_iter().flatten().collect(),
    })
}

/// Whether column i falls: a reason, and no override by name (DS-7).
fn dropped(
    reasons: &[Option<DropReason>],
    columns: &[Column],
    i: usize,
    config: &SchemaConfig,
) -> bool {
    reasons.get(i).is_some_and(Option::is_some)
        && !columns
            .get(i)
            .is_some_and(|c| config.suppression.keep.contains(&c.name))
}

/// How many cells of a column were empty, and what they became.
fn imputed(plan: &Plan, c: &Column) -> (u64, Option<String>) {
    plan.sources
        .iter()
        .flatten()
        .find_map(|s| match (s, &c.kind) {
            (
                Source::Numeric {
                    name,
                    fill: Some(v),
                    missing,
                    ..
                },
                ColumnKind::Numeric,
            ) if *name == c.name => Some((*missing, Some(v.to_string()))),
            (
                Source::Categorical {
                    name,
                    fill: Some(f),
                    missing,
                    ..
                },
                ColumnKind::Category { source, .. },
            ) if name == source => Some((*missing, Some(f.clone()))),
            _ => None,
        })
        .unwrap_or((0, None))
}
