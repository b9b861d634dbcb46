//! A twin's published file, read back by a buyer (DS-9): the integers of the
//! manifest's columns, so that a query runs on it as on the dataset, and the same
//! rows in real units.
//!
//! The file comes from a server: its rows are held to the manifest's segments, its
//! cells to the columns' ranges.

use crate::{
    config::{Limits, SchemaConfig},
    error::TabularError,
    input::Records,
    quantise::{Quantiser, exp2},
    reader::Cell,
};
use std::{collections::HashMap, io::Cursor};
use veilbourse_core::{
    manifest::{Column, ColumnKind, Manifest},
    table::QuantisedTable,
};

/// A twin's rows.
#[derive(Debug, Clone, PartialEq)]
pub struct TwinRows {
    /// As integers.
    pub table: QuantisedTable,
    /// `real[s][f][i]`: the same in real units.
    pub real: Vec<Vec<Vec<f64>>>,
}

impl TwinRows {
    /// Reads `twin.csv` of a listing.
    pub fn read(csv: &[u8], manifest: &Manifest) -> Result<Self, TabularError> {
        let config = SchemaConfig {
            limits: Limits {
                file_bytes: csv.len() as u64,
                ..Limits::default()
            },
            ..SchemaConfig::new("twin")
        };
        let cells = manifest
            .segments
            .iter()
            .fold(0u64, |n, s| n.saturating_add(s.rows))
            .saturating_mul(manifest.columns.len() as u64);
        if cells > config.limits.cells {
            return Err(TabularError::TooManyCells {
                limit: config.limits.cells,
                value: cells,
            });
        }
        let mut records = Records::open(Cursor::new(csv), &config)?;
        let at: HashMap<String, usize> = records
            .headers()
            .iter()
            .enumerate()
            .map(|(i, h)| (h.clone(), i))
            .collect();
        let sources: Vec<Source> = manifest
            .columns
            .iter()
            .map(|c| Source::of(c, &at, &manifest.columns))
            .collect();
        let mut out = Self {
            table: QuantisedTable {
                segments: Vec::new(),
                origin: Vec::new(),
            },
            real: Vec::new(),
        };
        let mut origin = 0u64;
        for segment in &manifest.segments {
            let mut integers = vec![Vec::new(); manifest.columns.len()];
            let mut reals = vec![Vec::new(); manifest.columns.len()];
            for _ in 0..segment.rows {
                let (line, record) = records.next()?.ok_or(TabularError::NoRows)?;
                let cells: Vec<&str> = record.iter().collect();
                let mut row: Vec<(f64, i64)> = Vec::with_capacity(sources.len());
                for (source, c) in sources.iter().zip(&manifest.columns) {
                    row.push(source.value(&cells, &row, c, line, &config)?);
                }
                for ((x, real), integer) in row.iter().zip(&mut reals).zip(&mut integers) {
                    real.push(x.0);
                    integer.push(x.1);
                }
            }
            out.table.segments.push(integers);
            out.real.push(reals);
            out.table
                .origin
                .push((origin..origin + segment.rows).collect());
            origin += segment.rows;
        }
        if let Some((line, _)) = records.next()? {
            return Err(TabularError::Changed { line });
        }
        Ok(out)
    }
}

/// Where a column's values come from.
enum Source {
    Cell(usize),
    Category(usize, String),
    /// Places of the factors among the columns.
    Product(usize, usize),
    /// Not in the file: zero throughout, as the twin's makers take it.
    Absent,
}

impl Source {
    fn of(column: &Column, at: &HashMap<String, usize>, columns: &[Column]) -> Self {
        let place = |name: &String| columns.iter().position(|c| c.name == *name);
        match &column.kind {
            ColumnKind::Numeric => at
                .get(&column.name)
                .map_or(Self::Absent, |i| Self::Cell(*i)),
            ColumnKind::Category { source, value } => at
                .get(source)
                .map_or(Self::Absent, |i| Self::Category(*i, value.clone())),
            ColumnKind::Square { source } => match place(source) {
                Some(i) => Self::Product(i, i),
                None => Self::Absent,
            },
            ColumnKind::Product { left, right } => match (place(left), place(right)) {
                (Some(a), Some(b)) => Self::Product(a, b),
                _ => Self::Absent,
            },
        }
    }

    fn value(
        &self,
        cells: &[&str],
        row: &[(f64, i64)],
        column: &Column,
        line: u64,
        config: &SchemaConfig,
    ) -> Result<(f64, i64), TabularError> {
        let text = |i: &usize| cells.get(*i).copied().unwrap_or_default();
        match self {
            Self::Absent => Ok((0.0, 0)),
            Self::Cell(i) => match Cell::read(text(i), config) {
                Cell::Number(v) => {
                    let q = Quantiser {
                        scale_log2: column.scale_log2,
                        min: column.min,
                        max: column.max,
                    };
                    Ok((v, q.quantise(v)))
                }
                _ => Err(TabularError::UnknownType {
                    line,
                    column: column.name.clone(),
                    value: text(i).chars().take(64).collect(),
                    expected: "number",
                }),
            },
            Self::Category(i, value) => Ok(match text(i).trim() == value {
                true => (1.0, (exp2(column.scale_log2) as i64).min(column.max)),
                false => (0.0, 0),
            }),
            Self::Product(a, b) => {
                let of = |i: &usize| row.get(*i).copied().unwrap_or_default();
                let (a, b) = (of(a), of(b));
                Ok((a.0 * b.0, a.1.saturating_mul(b.1)))
            }
        }
    }
}
