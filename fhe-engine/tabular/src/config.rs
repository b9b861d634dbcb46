//! What the custodian may say about a table (rules DS-7, DS-8): one file, TOML
//! or JSON, unknown fields refused, units in the names of settings.
//!
//! Everything has a safe default; `SchemaConfig::new("name")` alone builds a
//! dataset with one segment, missing values refused and suppression on.

use crate::error::TabularError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Settings of one table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SchemaConfig {
    /// The dataset's name, for people.
    pub name: String,
    /// Columns whose values split the rows into segments. They are public.
    pub segment_by: Vec<String>,
    /// Bits of a quantised column unless it says otherwise: |X| <= 2^bits.
    pub bits: u32,
    /// Columns of squares and products.
    pub second_moments: SecondMoments,
    /// What an empty cell means unless its column says otherwise.
    pub missing: Missing,
    /// Cell texts that count as empty, beside the empty text.
    pub missing_values: Vec<String>,
    /// Rule DS-7.
    pub suppression: Suppression,
    /// Size gates.
    pub limits: Limits,
    /// Field delimiter: one ASCII character.
    pub delimiter: char,
    /// Settings by column.
    pub columns: BTreeMap<String, ColumnConfig>,
}

/// Settings of one source column.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ColumnConfig {
    /// What it holds; inferred when absent.
    pub kind: Option<Kind>,
    /// Unit of its values, for people.
    pub unit: String,
    /// Least value, in real units; published. Derived when absent.
    pub min: Option<f64>,
    /// Greatest value, in real units; published. Derived when absent.
    pub max: Option<f64>,
    /// What happens to values outside `min..=max`.
    pub outside: Outside,
    /// Bits of its quantised values.
    pub bits: Option<u32>,
    /// What an empty cell means.
    pub missing: Option<Missing>,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Numbers.
    Numeric,
    /// A few distinct texts, encrypted one-hot.
    Categorical,
    /// Nothing that leaves the custodian.
    Drop,
}

/// What happens to values outside a declared range.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outside {
    /// The table is refused.
    #[default]
    Refuse,
    /// The value is replaced by the nearer bound, and counted in the report.
    Clip,
}

/// What an empty cell means (rule DS-8).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// The table is refused.
    #[default]
    Refuse,
    /// The mean of the column's other cells, which is published as imputed.
    Mean,
    /// This number.
    Constant(f64),
    /// This category.
    Category(String),
}

/// Which squares and products become columns of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondMoments {
    /// None.
    #[default]
    None,
    /// The squares of these encrypted columns.
    Squares(Vec<String>),
    /// The products of these pairs of encrypted columns; a pair of equals is a square.
    Products(Vec<(String, String)>),
    /// All squares and products.
    All,
}

/// Settings of rule DS-7.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Suppression {
    /// Least number of rows of a segment that a column's distinction rests on; 0 switches
    /// the rule off.
    pub k_min: u64,
    /// Greatest share of a column's total in a segment that one row may hold, in per cent.
    pub max_share_percent: u32,
    /// Encrypted columns kept whatever the rule says.
    pub keep: Vec<String>,
}

/// Size gates, applied while reading, before anything of that size is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest file.
    pub file_bytes: u64,
    /// Largest field.
    pub field_bytes: u64,
    /// Most distinct texts of a categorical column.
    pub categories: u64,
    /// Most quantised values in memory (8 bytes each).
    pub cells: u64,
}

impl Default for SchemaConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            segment_by: Vec::new(),
            bits: 10,
            second_moments: SecondMoments::None,
            missing: Missing::Refuse,
            missing_values: Vec::new(),
            suppression: Suppression::default(),
            limits: Limits::default(),
            delimiter: ',',
            columns: BTreeMap::new(),
        }
    }
}

impl Default for Suppression {
    fn default() -> Self {
        Self {
            k_min: 10,
            max_share_percent: 25,
            keep: Vec::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 4 << 30,
            field_bytes: 1 << 16,
            categories: 32,
            cells: 1 << 28,
        }
    }
}

impl SchemaConfig {
    /// Safe defaults under a name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// Reads settings from TOML.
    pub fn from_toml(text: &str) -> Result<Self, TabularError> {
        let config: Self =
            toml::from_str(text).map_err(|e| TabularError::SettingsSyntax(e.to_string()))?;
        config.check()?;
        Ok(config)
    }

    /// Reads settings from JSON.
    pub fn from_json(text: &str) -> Result<Self, TabularError> {
        let config: Self =
            serde_json::from_str(text).map_err(|e| TabularError::SettingsSyntax(e.to_string()))?;
        config.check()?;
        Ok(config)
    }

    /// Writes settings as TOML.
    pub fn to_toml(&self) -> Result<String, TabularError> {
        toml::to_string_pretty(self).map_err(|e| TabularError::SettingsSyntax(e.to_string()))
    }

    /// Refuses settings outside their limits.
    pub fn check(&self) -> Result<(), TabularError> {
        crate::names::check("dataset name", &self.name)?;
        bits("bits", self.bits)?;
        if !self.delimiter.is_ascii() || matches!(self.delimiter, '"' | '\r' | '\n' | '\0') {
            return setting(
                "delimiter",
                format!("{:?}", self.delimiter),
                "one ASCII character, no quote or line end",
            );
        }
        if !(1..=100).contains(&self.suppression.max_share_percent) {
            return setting(
                "suppression.max_share_percent",
                self.suppression.max_share_percent,
                "1 to 100",
            );
        }
        missing("missing", &self.missing)?;
        for (name, c) in &self.columns {
            let field = |s: &str| format!("columns.{name:?}.{s}");
            if let Some(b) = c.bits {
                bits(&field("bits"), b)?;
            }
            if let Some(m) = &c.missing {
                missing(&field("missing"), m)?;
            }
            for (which, bound) in [("min", c.min), ("max", c.max)] {
                if bound.is_some_and(|v| !v.is_finite() || v.abs() > crate::quantise::MAX_MAGNITUDE)
                {
                    return setting(
                        &field(which),
                        format!("{bound:?}"),
                        "finite, magnitude at most 2^60",
                    );
                }
            }
            if let (Some(lo), Some(hi)) = (c.min, c.max)
                && lo >= hi
            {
                return setting(&field("min"), lo, "below max");
            }
        }
        Ok(())
    }
}

fn bits(field: &str, value: u32) -> Result<(), TabularError> {
    if (1..=32).contains(&value) {
        return Ok(());
    }
    setting(field, value, "1 to 32")
}

fn missing(field: &str, rule: &Missing) -> Result<(), TabularError> {
    match rule {
        Missing::Constant(v) if !v.is_finite() || v.abs() > crate::quantise::MAX_MAGNITUDE => {
            setting(field, v, "finite, magnitude at most 2^60")
        }
        Missing::Category(c) => crate::names::check("category", c),
        _ => Ok(()),
    }
}

fn setting<T>(field: &str, value: impl ToString, limit: &'static str) -> Result<T, TabularError> {
    Err(TabularError::Setting {
        field: field.to_owned(),
        value: value.to_string(),
        limit,
    })
}
