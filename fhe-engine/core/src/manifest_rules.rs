//! Conformance of a manifest beyond its types (rule DS-5): the third gate.

use crate::{
    digest::Digest,
    field::MODULUS,
    manifest::{
        Column, MANIFEST_VERSION, MAX_CHUNKS, MAX_COLUMNS, MAX_NAME, MAX_PUBLIC_COLUMNS,
        MAX_QUANTISED, MAX_SEGMENTS, Manifest,
    },
    params::DATA_RING_DIMENSION,
    wire::WireError,
};
use std::collections::HashSet;

/// Largest magnitude of a scale's binary logarithm.
const MAX_SCALE_LOG2: i32 = 64;
/// Bounds of k: the noise needs room below, the message above.
const MESSAGE_LOG2: std::ops::RangeInclusive<u32> = 8..=56;

/// Refuses a manifest that no honest client writes, naming field and value.
pub(crate) fn check(m: &Manifest) -> Result<(), WireError> {
    if m.version != MANIFEST_VERSION {
        return Err(WireError::Version {
            field: "manifest.version",
            expected: u64::from(MANIFEST_VERSION),
            found: u64::from(m.version),
        });
    }
    name("manifest.name", &m.name)?;
    if !MESSAGE_LOG2.contains(&m.message_log2) {
        return Err(invalid(
            "manifest.message_log2",
            format!("{} is outside {MESSAGE_LOG2:?}", m.message_log2),
        ));
    }
    count("manifest.columns", m.columns.len(), 1, MAX_COLUMNS)?;
    count(
        "manifest.public_columns",
        m.public_columns.len(),
        1,
        MAX_PUBLIC_COLUMNS,
    )?;
    count("manifest.segments", m.segments.len(), 1, MAX_SEGMENTS)?;
    let mut names = HashSet::new();
    for c in &m.columns {
        column(c)?;
        unique(&mut names, &c.name)?;
    }
    for (i, p) in m.public_columns.iter().enumerate() {
        name("public_column.name", &p.name)?;
        unique(&mut names, &p.name)?;
        scale(p.scale_log2)?;
        if p.values.len() != m.segments.len() {
            return Err(invalid(
                "public_column.values",
                format!(
                    "{} values for {} segments",
                    p.values.len(),
                    m.segments.len()
                ),
            ));
        }
        for v in &p.values {
            quantised("public_column.values", *v)?;
        }
        if (i == 0) != (p.name == "1")
            || (i == 0 && (p.scale_log2 != 0 || p.values.iter().any(|v| *v != 1)))
        {
            return Err(invalid(
                "manifest.public_columns",
                "the first, and only the first, is the constant 1".into(),
            ));
        }
    }
    for s in &m.segments {
        name("segment.label", &s.label)?;
        count("segment.chunks", s.chunks.len(), 1, MAX_CHUNKS)?;
        // n_s fills the chunks: none is missing, none is empty (DS-5).
        if s.rows == 0 || s.rows.div_ceil(DATA_RING_DIMENSION as u64) != s.chunks.len() as u64 {
            return Err(invalid(
                "segment.rows",
                format!("{} rows do not fill {} chunks", s.rows, s.chunks.len()),
            ));
        }
        if s.traced_bodies.len() != m.columns.len() {
            return Err(invalid(
                "segment.traced_bodies",
                format!(
                    "{} words for {} columns",
                    s.traced_bodies.len(),
                    m.columns.len()
                ),
            ));
        }
        if let Some(w) = s.traced_bodies.iter().find(|w| **w >= MODULUS) {
            return Err(WireError::TooLarge {
                field: "segment.traced_bodies",
                limit: MODULUS - 1,
                value: *w,
            });
        }
    }
    let labels: HashSet<_> = m.segments.iter().map(|s| &s.label).collect();
    if labels.len() != m.segments.len() {
        return Err(invalid("segment.label", "labels must differ".into()));
    }
    if m.nonce == Digest::default() {
        return Err(invalid("manifest.nonce", "all zero".into()));
    }
    Ok(())
}

fn column(c: &Column) -> Result<(), WireError> {
    name("column.name", &c.name)?;
    if c.unit.len() > MAX_NAME as usize {
        return Err(WireError::TooLarge {
            field: "column.unit",
            limit: u64::from(MAX_NAME),
            value: c.unit.len() as u64,
        });
    }
    scale(c.scale_log2)?;
    quantised("column.min", c.min)?;
    quantised("column.max", c.max)?;
    if c.min > c.max {
        return Err(invalid(
            "column.min",
            format!("{} exceeds column.max {}", c.min, c.max),
        ));
    }
    // A column that can only be zero has nothing to weigh and no range.
    if c.max_abs() == 0 {
        return Err(invalid(
            "column.max",
            format!("column {:?} can only be zero", c.name),
        ));
    }
    Ok(())
}

fn name(field: &'static str, s: &str) -> Result<(), WireError> {
    if s.is_empty() || s.chars().any(char::is_control) {
        return Err(invalid(
            field,
            format!("{s:?} is empty or has control characters"),
        ));
    }
    if s.len() > MAX_NAME as usize {
        return Err(WireError::TooLarge {
            field,
            limit: u64::from(MAX_NAME),
            value: s.len() as u64,
        });
    }
    Ok(())
}

fn unique<'a>(seen: &mut HashSet<&'a str>, s: &'a str) -> Result<(), WireError> {
    if seen.insert(s) {
        Ok(())
    } else {
        Err(invalid("column.name", format!("{s:?} appears twice")))
    }
}

fn scale(v: i32) -> Result<(), WireError> {
    if v.unsigned_abs() > MAX_SCALE_LOG2 as u32 {
        return Err(invalid(
            "column.scale_log2",
            format!("{v} is outside -{MAX_SCALE_LOG2}..={MAX_SCALE_LOG2}"),
        ));
    }
    Ok(())
}

fn quantised(field: &'static str, v: i64) -> Result<(), WireError> {
    if v.unsigned_abs() > MAX_QUANTISED as u64 {
        return Err(invalid(
            field,
            format!("{v} exceeds the magnitude {MAX_QUANTISED}"),
        ));
    }
    Ok(())
}

fn count(field: &'static str, n: usize, least: u32, most: u32) -> Result<(), WireError> {
    if n < least as usize {
        return Err(invalid(field, format!("{n} is below the least {least}")));
    }
    if n > most as usize {
        return Err(WireError::TooLarge {
            field,
            limit: u64::from(most),
            value: n as u64,
        });
    }
    Ok(())
}

fn invalid(field: &'static str, reason: String) -> WireError {
    WireError::Invalid { field, reason }
}
