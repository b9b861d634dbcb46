//! The footer: columns and where their values lie.

use super::{
    bytes_at, form,
    thrift::{BINARY, FALSE, I32, Input, STRUCT, TRUE},
};
use crate::error::TabularError;
use std::io::{Read, Seek};
use veilbourse_core::manifest::MAX_COLUMNS;

const WHAT: &str = "footer";
/// Most bytes of a footer.
const LIMIT: u64 = 32 << 20;

/// What a column's values are on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Physical {
    Boolean,
    Int32,
    Int64,
    Float,
    Double,
    Bytes,
    /// Known to the format, and of no table that we read.
    Other(&'static str),
}

/// What integers stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Plain,
    Unsigned,
    /// Digits behind the point.
    Decimal(u32),
    Other(&'static str),
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    pub name: String,
    /// From 1.
    pub position: usize,
    pub physical: Physical,
    /// Whether cells may be null.
    pub optional: bool,
    meaning: Meaning,
}

/// A column's part of a row group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    pub codec: i64,
    pub values: u64,
    /// From the first page to the last.
    pub start: u64,
    pub bytes: u64,
}

/// Rows that are stored together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub rows: u64,
    pub chunks: Vec<Chunk>,
}

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Footer {
    pub leaves: Vec<Leaf>,
    pub groups: Vec<Group>,
}

#[derive(Default)]
struct Element {
    physical: Option<i64>,
    repetition: i64,
    name: String,
    children: u64,
    converted: Option<i64>,
    scale: u64,
    logical: Option<i16>,
}

impl Element {
    fn read(input: &mut Input<'_>) -> Result<Self, TabularError> {
        let mut e = Self::default();
        input.fields(|i, id, t| {
            match id {
                1 => e.physical = Some(i.integer(t)?),
                3 => e.repetition = i.integer(t)?,
                4 => e.name = i.text(t)?,
                5 => e.children = i.count(t)?,
                6 => e.converted = Some(i.integer(t)?),
                7 => e.scale = i.count(t)?,
                10 if t == STRUCT => {
                    // A union: the number of the one field that is there.
                    i.fields(|_, which, _| {
                        e.logical = Some(which);
                        Ok(false)
                    })?;
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(e)
    }

    fn leaf(self, position: usize) -> Result<Leaf, TabularError> {
        if self.children > 0 || self.physical.is_none() {
            return Err(unsupported(&self.name, "a nested column"));
        }
        if self.repetition == 2 {
            return Err(unsupported(&self.name, "a repeated column"));
        }
        let physical = match self.physical {
            Some(0) => Physical::Boolean,
            Some(1) => Physical::Int32,
            Some(2) => Physical::Int64,
            Some(3) => Physical::Other("INT96"),
            Some(4) => Physical::Float,
            Some(5) => Physical::Double,
            Some(6) => Physical::Bytes,
            Some(7) => Physical::Other("FIXED_LEN_BYTE_ARRAY"),
            _ => return form(WHAT, format!("column {:?} has no known type", self.name)),
        };
        Ok(Leaf {
            meaning: self.meaning(physical),
            name: self.name,
            position,
            physical,
            optional: self.repetition == 1,
        })
    }

    fn meaning(&self, physical: Physical) -> Meaning {
        match (self.converted, self.logical, physical) {
            (Some(5), ..) | (None, Some(5), _) => match physical {
                Physical::Int32 | Physical::Int64 if self.scale <= 18 => {
                    Meaning::Decimal(u32::try_from(self.scale).unwrap_or(0))
                }
                _ => Meaning::Other("DECIMAL in bytes"),
            },
            (Some(6), ..) | (None, Some(6), _) => Meaning::Other("DATE"),
            (Some(7 | 8), ..) | (None, Some(7), _) => Meaning::Other("TIME"),
            (Some(9 | 10), ..) | (None, Some(8), _) => Meaning::Other("TIMESTAMP"),
            (Some(11..=14), ..) => Meaning::Unsigned,
            (Some(19), ..) => Meaning::Other("JSON"),
            (Some(20), ..) => Meaning::Other("BSON"),
            (Some(21), ..) => Meaning::Other("INTERVAL"),
            _ => Meaning::Plain,
        }
    }
}

fn unsupported(column: &str, what: &'static str) -> TabularError {
    TabularError::ParquetColumn {
        column: column.chars().take(128).collect(),
        what,
    }
}

impl Leaf {
    /// Whether its cells can be read; a column that is dropped need not be.
    pub(super) fn check(&self) -> Result<(), TabularError> {
        match (self.physical, self.meaning) {
            (Physical::Other(what), _) | (_, Meaning::Other(what)) => {
                Err(unsupported(&self.name, what))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn integer(&self, value: i64, out: &mut String) -> std::fmt::Result {
        use std::fmt::Write as _;
        match (self.meaning, self.physical) {
            (Meaning::Decimal(scale), _) if scale > 0 => {
                let (n, one) = (value.unsigned_abs(), 10u64.pow(scale));
                let sign = if value < 0 { "-" } else { "" };
                let width = scale as usize;
                write!(out, "{sign}{}.{:0width$}", n / one, n % one)
            }
            (Meaning::Unsigned, Physical::Int32) => write!(out, "{}", value as u32),
            (Meaning::Unsigned, _) => write!(out, "{}", value as u64),
            _ => write!(out, "{value}"),
        }
    }
}

/// What the format calls a chunk's place.
#[derive(Default)]
struct Placed {
    physical: Option<i64>,
    codec: i64,
    values: u64,
    bytes: u64,
    data: u64,
    dictionary: Option<u64>,
}

fn placed(input: &mut Input<'_>) -> Result<Placed, TabularError> {
    let mut p = Placed::default();
    input.fields(|i, id, t| {
        match id {
            1 => p.physical = Some(i.integer(t)?),
            4 => p.codec = i.integer(t)?,
            5 => p.values = i.count(t)?,
            7 => p.bytes = i.count(t)?,
            9 => p.data = i.count(t)?,
            11 => p.dictionary = Some(i.count(t)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(p)
}

fn chunk(input: &mut Input<'_>, length: u64) -> Result<Chunk, TabularError> {
    let mut found = None;
    input.fields(|i, id, t| {
        match id {
            1 if t == BINARY => return form(WHAT, "a column lies in another file"),
            3 if t == STRUCT => found = Some(placed(i)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let Some(p) = found else {
        return form(WHAT, "a column without its place");
    };
    // Some writers give 0 where there is no dictionary.
    let dictionary = p.dictionary.filter(|d| *d > 0 && *d < p.data);
    let start = dictionary.unwrap_or(p.data);
    match start.checked_add(p.bytes) {
        Some(end) if start >= 4 && end <= length => Ok(Chunk {
            codec: p.codec,
            values: p.values,
            start,
            bytes: p.bytes,
        }),
        _ => form(WHAT, "a column lies outside the file"),
    }
}

fn group(input: &mut Input<'_>, columns: usize, length: u64) -> Result<Group, TabularError> {
    let mut g = Group {
        rows: 0,
        chunks: Vec::new(),
    };
    input.fields(|i, id, t| {
        match id {
            1 => {
                let n = i.list(t, STRUCT)?;
                if n != columns {
                    return form(
                        WHAT,
                        format!("a row group of {n} columns, {columns} expected"),
                    );
                }
                for _ in 0..n {
                    g.chunks.push(chunk(i, length)?);
                }
            }
            3 => g.rows = i.count(t)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    if g.chunks.len() != columns {
        return form(WHAT, "a row group without columns");
    }
    for c in &g.chunks {
        if c.values != g.rows {
            return form(
                WHAT,
                format!("a column of {} values in {} rows", c.values, g.rows),
            );
        }
    }
    Ok(g)
}

fn leaves(input: &mut Input<'_>, found: u8) -> Result<Vec<Leaf>, TabularError> {
    let n = input.list(found, STRUCT)?;
    let limit = MAX_COLUMNS as usize + 1;
    if n > limit {
        return Err(TabularError::TooManyColumns {
            line: 1,
            limit: u64::from(MAX_COLUMNS),
        });
    }
    let mut out = Vec::new();
    for at in 0..n {
        let element = Element::read(input)?;
        if at == 0 {
            if element.children != n as u64 - 1 {
                return Err(unsupported(&element.name, "a nested column"));
            }
            continue;
        }
        out.push(element.leaf(at)?);
    }
    if out.is_empty() {
        return Err(TabularError::NoHeader);
    }
    Ok(out)
}

impl Footer {
    pub(super) fn read<R: Read + Seek>(reader: &mut R, length: u64) -> Result<Self, TabularError> {
        let Some(tail) = length.checked_sub(8).filter(|t| *t >= 4) else {
            return form(WHAT, "the file is too short");
        };
        let last = bytes_at(reader, tail, 8)?;
        let size = last.first_chunk::<4>().copied().unwrap_or_default();
        let size = u64::from(u32::from_le_bytes(size));
        if size > LIMIT {
            return form(WHAT, format!("it has {size} bytes, the limit is {LIMIT}"));
        }
        let Some(start) = tail.checked_sub(size).filter(|s| *s >= 4) else {
            return form(WHAT, "it is longer than the file");
        };
        let bytes = bytes_at(reader, start, usize::try_from(size).unwrap_or(0))?;
        let mut input = Input::new(&bytes);
        let (mut columns, mut groups, mut rows) = (None, None, 0u64);
        let mut encrypted = false;
        input.fields(|i, id, t| {
            match id {
                // What was checked against the first would be read by the second.
                2 if columns.is_some() => return form(WHAT, "columns are named twice"),
                4 if groups.is_some() => return form(WHAT, "row groups are named twice"),
                2 => columns = Some(leaves(i, t)?),
                3 => rows = i.count(t)?,
                4 => {
                    let Some(leaves) = columns.as_ref() else {
                        return form(WHAT, "row groups before columns");
                    };
                    let n = i.list(t, STRUCT)?;
                    let mut all = Vec::new();
                    for _ in 0..n {
                        all.push(group(i, leaves.len(), start)?);
                    }
                    groups = Some(all);
                }
                8 => encrypted = true,
                _ => return Ok(false),
            }
            Ok(id != 8)
        })?;
        let (Some(leaves), Some(groups)) = (columns, groups) else {
            return form(WHAT, "columns or row groups are missing");
        };
        if encrypted {
            return form(WHAT, "the file is encrypted");
        }
        let (mut counted, mut stored) = (0u64, 0u64);
        for g in &groups {
            counted = counted.saturating_add(g.rows);
            for c in &g.chunks {
                stored = stored.saturating_add(c.bytes);
            }
        }
        // One page named by thousands of columns would be decompressed as often.
        if stored > start {
            return form(
                WHAT,
                format!("columns of {stored} bytes in {start}: they overlap"),
            );
        }
        if counted != rows {
            return form(WHAT, format!("{counted} rows in groups, {rows} in all"));
        }
        Ok(Self { leaves, groups })
    }
}

/// A truth value in a header.
pub(super) fn truth(found: u8) -> Result<bool, TabularError> {
    match found {
        TRUE => Ok(true),
        FALSE => Ok(false),
        other => form(
            WHAT,
            format!("a truth value is expected, type {other} found"),
        ),
    }
}

/// An enumeration in a header.
pub(super) fn enumerated(input: &mut Input<'_>, found: u8) -> Result<i64, TabularError> {
    match found {
        I32 => input.integer(found),
        other => form(
            WHAT,
            format!("an enumeration is expected, type {other} found"),
        ),
    }
}
