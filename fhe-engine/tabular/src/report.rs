//! What the custodian is told before anything is encrypted: scales, ranges,
//! quantisation errors in real units, and each dropped column with its reason.

use crate::plan::SegmentRows;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a column is not encrypted (rule DS-7, and what needs no rule).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DropReason {
    /// The settings say so.
    Asked,
    /// It holds one value, or none that its scale can tell from zero.
    Constant,
    /// Too few rows of a segment have it.
    FewRows {
        /// The segment's label.
        segment: String,
        /// Rows with a non-zero value.
        rows: u64,
        /// The limit.
        k_min: u64,
    },
    /// Too few rows of a segment lack it.
    FewRowsWithout {
        /// The segment's label.
        segment: String,
        /// Rows with the value zero.
        rows: u64,
        /// The limit.
        k_min: u64,
    },
    /// A dense column: too few rows differ from the most frequent value.
    FewRowsDiffer {
        /// The segment's label.
        segment: String,
        /// Rows that differ.
        rows: u64,
        /// The limit.
        k_min: u64,
    },
    /// One row holds too much of the column's total.
    Dominated {
        /// The segment's label.
        segment: String,
        /// Its share, rounded down.
        share_percent: u64,
        /// The limit.
        limit_percent: u32,
    },
    /// A square or product of a dropped column.
    FactorDropped {
        /// The dropped column.
        factor: String,
    },
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => write!(f, "as the settings say"),
            Self::Constant => write!(f, "one value throughout"),
            Self::FewRows {
                segment,
                rows,
                k_min,
            } => {
                write!(
                    f,
                    "{rows} rows of {segment:?} have it, fewer than k_min = {k_min}"
                )
            }
            Self::FewRowsWithout {
                segment,
                rows,
                k_min,
            } => {
                write!(
                    f,
                    "{rows} rows of {segment:?} lack it, fewer than k_min = {k_min}"
                )
            }
            Self::FewRowsDiffer {
                segment,
                rows,
                k_min,
            } => write!(
                f,
                "{rows} rows of {segment:?} differ from its most frequent value, fewer than k_min = {k_min}"
            ),
            Self::Dominated {
                segment,
                share_percent,
                limit_percent,
            } => write!(
                f,
                "one row of {segment:?} holds {share_percent} % of the total, more than max_share_percent = {limit_percent}"
            ),
            Self::FactorDropped { factor } => write!(f, "its factor {factor:?} is dropped"),
        }
    }
}

/// A column that is not encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropped {
    /// Its name: of the source column, or of the encrypted column it would be.
    pub name: String,
    /// Why.
    pub reason: DropReason,
}

impl Dropped {
    /// Whether rule DS-7 dropped it (rather than the settings, or a constant).
    pub fn is_suppressed(&self) -> bool {
        !matches!(self.reason, DropReason::Asked | DropReason::Constant)
    }
}

/// One encrypted column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnReport {
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// X = round(x 2^scale_log2).
    pub scale_log2: i32,
    /// Published least value, in real units.
    pub min: f64,
    /// Published greatest value, in real units.
    pub max: f64,
    /// Largest quantisation error, in real units.
    pub max_error: f64,
    /// Root mean square of the quantisation error, in real units.
    pub rms_error: f64,
    /// Cells clipped to the declared range.
    pub clipped: u64,
    /// Cells that were empty.
    pub imputed: u64,
    /// What they became; published.
    pub imputed_with: Option<String>,
    /// The reason of rule DS-7 that the custodian overrides.
    pub kept_despite: Option<DropReason>,
}

/// One public column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicReport {
    /// Its name.
    pub name: String,
    /// Value in each segment.
    pub values: Vec<f64>,
    /// Largest quantisation error, in real units.
    pub max_error: f64,
}

/// The whole report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The dataset's name.
    pub name: String,
    /// Rows in all.
    pub rows: u64,
    /// Segments.
    pub segments: Vec<SegmentRows>,
    /// Encrypted columns, in manifest order.
    pub columns: Vec<ColumnReport>,
    /// Public columns.
    pub public_columns: Vec<PublicReport>,
    /// Columns that are not encrypted.
    pub dropped: Vec<Dropped>,
    /// What else the custodian should know.
    pub notes: Vec<String>,
}

impl Report {
    /// Names of the columns that rule DS-7 suppressed.
    pub fn suppressed(&self) -> Vec<String> {
        self.dropped
            .iter()
            .filter(|d| d.is_suppressed())
            .map(|d| d.name.clone())
            .collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} rows, {} encrypted columns",
            self.name,
            self.rows,
            self.columns.len()
        )?;
        writeln!(f, "\nsegments")?;
        for s in &self.segments {
            writeln!(f, "  {:<24} {:>9} rows", s.label, s.rows)?;
        }
        writeln!(
            f,
            "\n{:<26} {:>6} {:>12} {:>12} {:>11} {:>11}",
            "encrypted column", "scale", "min", "max", "max error", "rms error"
        )?;
        for c in &self.columns {
            write!(
                f,
                "{:<26} {:>6} {:>12} {:>12} {:>11.4e} {:>11.4e}",
                c.name,
                format!("2^{}", c.scale_log2),
                c.min,
                c.max,
                c.max_error,
                c.rms_error
            )?;
            if !c.unit.is_empty() {
                write!(f, " {}", c.unit)?;
            }
            if c.clipped > 0 {
                write!(f, "; {} clipped", c.clipped)?;
            }
            if let Some(v) = &c.imputed_with {
                write!(f, "; {} imputed as {v} (published)", c.imputed)?;
            }
            if let Some(r) = &c.kept_despite {
                write!(f, "; kept although {r}")?;
            }
            writeln!(f)?;
        }
        writeln!(f, "\npublic columns")?;
        for c in &self.public_columns {
            writeln!(
                f,
                "  {:<24} {:?}, error {:.1e}",
                c.name, c.values, c.max_error
            )?;
        }
        if !self.dropped.is_empty() {
            writeln!(f, "\ndropped")?;
            for d in &self.dropped {
                writeln!(f, "  {:<24} {}", d.name, d.reason)?;
            }
        }
        if !self.notes.is_empty() {
            writeln!(f, "\nnotes")?;
            for n in &self.notes {
                writeln!(f, "  {n}")?;
            }
        }
        Ok(())
    }
}
