//! First pass (rule DS-8): what each column holds, which segments there are.
//!
//! Memory is bounded by the limits on columns, categories and segments, not by
//! the number of rows.

use crate::{
    config::{Kind, Missing, SchemaConfig},
    error::TabularError,
    input::Records,
    names,
    quantise::MAX_MAGNITUDE,
    reader::Cell,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::{Read, Seek},
};
use veilbourse_core::manifest::MAX_SEGMENTS;

/// What the first pass found.
pub(crate) struct Survey {
    pub headers: Vec<String>,
    pub rows: u64,
    pub columns: Vec<Found>,
    /// Positions of the segment keys, in the order of the settings.
    pub keys: Vec<usize>,
    /// Whether each key is numeric.
    pub key_numeric: Vec<bool>,
    /// Key texts with their rows.
    pub groups: BTreeMap<Vec<String>, u64>,
}

/// What a column holds.
pub(crate) enum Found {
    Key,
    Dropped,
    /// One value throughout: nothing to weigh.
    Constant,
    Numeric {
        /// Over what is encrypted: clipped and imputed.
        min: f64,
        max: f64,
        /// What empty cells become.
        fill: Option<f64>,
        missing: u64,
        /// Whether every value is an integer.
        integral: bool,
    },
    Categorical {
        values: BTreeSet<String>,
        fill: Option<String>,
        missing: u64,
    },
}

#[derive(Default)]
struct Tally {
    numbers: u64,
    first_number: Option<(u64, String)>,
    first_text: Option<(u64, String)>,
    texts: u64,
    missing: u64,
    first_missing: u64,
    min: f64,
    max: f64,
    sum: f64,
    fractional: bool,
    values: BTreeSet<String>,
    /// Line of the first distinct text over the limit.
    overflow: Option<u64>,
}

/// Reads the whole table once.
pub(crate) fn survey<R: Read + Seek>(
    reader: R,
    config: &SchemaConfig,
) -> Result<Survey, TabularError> {
    config.check()?;
    let mut records = Records::open(reader, config)?;
    let headers = records.headers().to_vec();
    let keys = key_positions(&headers, config)?;
    let kinds: Vec<Option<Kind>> = headers
        .iter()
        .map(|h| config.columns.get(h).and_then(|c| c.kind))
        .collect();
    let mut tallies: Vec<Tally> = headers.iter().map(|_| Tally::default()).collect();
    let mut groups: BTreeMap<Vec<String>, u64> = BTreeMap::new();
    let mut rows = 0u64;
    while let Some((line, record)) = records.next()? {
        rows += 1;
        for (i, (((raw, tally), kind), header)) in record
            .iter()
            .zip(&mut tallies)
            .zip(&kinds)
            .zip(&headers)
            .enumerate()
        {
            if *kind == Some(Kind::Drop) {
                continue;
            }
            let cell = Cell::read(raw, config);
            if keys.contains(&i) && cell == Cell::Missing {
                return Err(TabularError::MissingKey {
                    line,
                    column: header.clone(),
                });
            }
            tally.take(line, header, raw, cell, *kind, config)?;
        }
        let group: Vec<String> = keys
            .iter()
            .map(|k| record.get(*k).unwrap_or_default().trim().to_owned())
            .collect();
        *groups.entry(group).or_default() += 1;
        if groups.len() > MAX_SEGMENTS as usize {
            return Err(TabularError::TooManySegments {
                line,
                limit: u64::from(MAX_SEGMENTS),
            });
        }
    }
    if rows == 0 {
        return Err(TabularError::NoRows);
    }
    let mut key_numeric = vec![false; keys.len()];
    let mut columns = Vec::with_capacity(headers.len());
    for (i, ((tally, kind), header)) in tallies.into_iter().zip(&kinds).zip(&headers).enumerate() {
        if let Some(slot) = keys
            .iter()
            .position(|k| *k == i)
            .and_then(|p| key_numeric.get_mut(p))
        {
            *slot = tally.numeric(header, *kind)?;
            columns.push(Found::Key);
        } else {
            columns.push(tally.decide(header, *kind, config)?);
        }
    }
    Ok(Survey {
        headers,
        rows,
        columns,
        keys,
        key_numeric,
        groups,
    })
}

fn key_positions(headers: &[String], config: &SchemaConfig) -> Result<Vec<usize>, TabularError> {
    let at: HashMap<&String, usize> = headers.iter().enumerate().map(|(i, h)| (h, i)).collect();
    for name in config.columns.keys() {
        if !at.contains_key(name) {
            return Err(TabularError::UnknownColumn {
                field: "columns",
                name: name.clone(),
            });
        }
    }
    let mut keys = Vec::new();
    for name in &config.segment_by {
        let i = *at.get(name).ok_or_else(|| TabularError::UnknownColumn {
            field: "segment_by",
            name: name.clone(),
        })?;
        let dropped = config
            .columns
            .get(name)
            .is_some_and(|c| c.kind == Some(Kind::Drop));
        if keys.contains(&i) || dropped {
            return Err(TabularError::Setting {
                field: "segment_by".to_owned(),
                value: format!("{name:?}"),
                limit: "each key once, and none that is dropped",
            });
        }
        keys.push(i);
    }
    Ok(keys)
}

impl Tally {
    fn take(
        &mut self,
        line: u64,
        header: &str,
        raw: &str,
        cell: Cell<'_>,
        kind: Option<Kind>,
        config: &SchemaConfig,
    ) -> Result<(), TabularError> {
        let text = |s: &str| s.chars().take(64).collect::<String>();
        match (cell, kind) {
            (Cell::Missing, _) => {
                if self.missing == 0 {
                    self.first_missing = line;
                }
                self.missing += 1;
            }
            (Cell::Number(_) | Cell::NonFinite(_) | Cell::Text(_), Some(Kind::Categorical))
            | (Cell::Text(_), None) => {
                let value = raw.trim();
                if self.texts == 0 {
                    self.first_text = Some((line, text(value)));
                }
                self.texts += 1;
                if self.overflow.is_none() && !self.values.contains(value) {
                    if self.values.len() as u64 >= config.limits.categories {
                        self.overflow = Some(line);
                    } else {
                        self.values.insert(value.to_owned());
                    }
                }
            }
            (Cell::NonFinite(value), _) => {
                return Err(TabularError::NonFinite {
                    line,
                    column: header.to_owned(),
                    value: text(value),
                });
            }
            (Cell::Text(value), _) => {
                return Err(TabularError::UnknownType {
                    line,
                    column: header.to_owned(),
                    value: text(value),
                    expected: "number",
                });
            }
            (Cell::Number(v), _) => {
                let v = in_range(v, line, header, config)?;
                if self.numbers == 0 {
                    self.first_number = Some((line, text(raw.trim())));
                    (self.min, self.max) = (v, v);
                }
                self.numbers += 1;
                self.min = self.min.min(v);
                self.max = self.max.max(v);
                self.sum += v;
                self.fractional |= v.fract() != 0.0;
            }
        }
        Ok(())
    }

    /// Whether the column is one of numbers; a mixture is refused unless the
    /// custodian has said which it is.
    fn numeric(&self, header: &str, kind: Option<Kind>) -> Result<bool, TabularError> {
        let (odd, expected) = match kind {
            Some(kind) => return Ok(kind == Kind::Numeric),
            None if self.texts == 0 => return Ok(true),
            None if self.numbers == 0 => return Ok(false),
            None if self.numbers >= self.texts => (&self.first_text, "number"),
            None => (&self.first_number, "text like the others"),
        };
        let (line, value) = odd.clone().unwrap_or_default();
        Err(TabularError::UnknownType {
            line,
            column: header.to_owned(),
            value,
            expected,
        })
    }

    fn decide(
        mut self,
        header: &str,
        kind: Option<Kind>,
        config: &SchemaConfig,
    ) -> Result<Found, TabularError> {
        if kind == Some(Kind::Drop) {
            return Ok(Found::Dropped);
        }
        let numeric = self.numeric(header, kind)?;
        let own = config.columns.get(header).and_then(|c| c.missing.as_ref());
        let rule = own.unwrap_or(&config.missing);
        if self.missing > 0 && (*rule == Missing::Refuse || self.numbers + self.texts == 0) {
            return Err(TabularError::Missing {
                line: self.first_missing,
                column: header.to_owned(),
                count: self.missing,
            });
        }
        let unsuited = |kind| TabularError::MissingRule {
            column: header.to_owned(),
            rule: format!("{rule:?}"),
            kind,
        };
        if numeric {
            let fill = match (self.missing, rule) {
                (0, _) | (_, Missing::Refuse) => None,
                (_, Missing::Mean) => Some(self.sum / self.numbers as f64),
                (_, Missing::Constant(v)) => {
                    Some(in_range(*v, self.first_missing, header, config)?)
                }
                (_, Missing::Category(_)) => return Err(unsuited("numeric")),
            };
            if let Some(v) = fill {
                self.min = self.min.min(v);
                self.max = self.max.max(v);
                self.fractional |= v.fract() != 0.0;
            }
            if self.min == self.max {
                return Ok(Found::Constant);
            }
            return Ok(Found::Numeric {
                min: self.min,
                max: self.max,
                fill,
                missing: self.missing,
                integral: !self.fractional,
            });
        }
        if let Some(line) = self.overflow {
            return Err(TabularError::TooManyCategories {
                line,
                column: header.to_owned(),
                limit: config.limits.categories,
            });
        }
        let fill = match (self.missing, rule) {
            (0, _) | (_, Missing::Refuse) => None,
            (_, Missing::Category(c)) => Some(c.clone()),
            (_, Missing::Mean | Missing::Constant(_)) => return Err(unsuited("categorical")),
        };
        self.values.extend(fill.clone());
        for v in &self.values {
            names::category(header, v)?;
        }
        if self.values.len() < 2 {
            return Ok(Found::Constant);
        }
        Ok(Found::Categorical {
            values: self.values,
            fill,
            missing: self.missing,
        })
    }
}

/// The value as it is encrypted: inside the declared range, or clipped to it
/// where the custodian says so, or refused.
pub(crate) fn in_range(
    v: f64,
    line: u64,
    header: &str,
    config: &SchemaConfig,
) -> Result<f64, TabularError> {
    let c = config.columns.get(header);
    let min = c.and_then(|c| c.min).unwrap_or(-MAX_MAGNITUDE);
    let max = c.and_then(|c| c.max).unwrap_or(MAX_MAGNITUDE);
    if (min..=max).contains(&v) {
        return Ok(v);
    }
    if v.abs() <= MAX_MAGNITUDE && c.is_some_and(|c| c.outside == crate::config::Outside::Clip) {
        return Ok(v.clamp(min, max));
    }
    Err(TabularError::OutOfRange {
        line,
        column: header.to_owned(),
        value: v,
        min,
        max,
    })
}
