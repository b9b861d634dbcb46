//! CSV records with the refusals of rule DS-8; both passes read through here.

use crate::{
    config::SchemaConfig,
    error::TabularError,
    guard::{Gate, GateLimits},
    names,
};
use csv::{ErrorKind, ReaderBuilder, StringRecord};
use std::{
    collections::HashMap,
    io::{Read, Seek, SeekFrom},
};
use veilbourse_core::manifest::MAX_COLUMNS;

/// Checked header names and a stream of records.
pub(crate) struct Records<R> {
    inner: csv::Reader<Gate<R>>,
    /// Column names, in order.
    pub headers: Vec<String>,
    record: StringRecord,
}

impl<R: Read + Seek> Records<R> {
    /// Rewinds the reader and checks the header.
    pub(crate) fn open(mut reader: R, config: &SchemaConfig) -> Result<Self, TabularError> {
        reader.seek(SeekFrom::Start(0)).map_err(TabularError::Io)?;
        let delimiter = u8::try_from(config.delimiter).unwrap_or(b',');
        let limits = GateLimits {
            file_bytes: config.limits.file_bytes,
            field_bytes: config.limits.field_bytes,
            columns: u64::from(MAX_COLUMNS),
            delimiter,
        };
        let mut inner = ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(false)
            .from_reader(Gate::new(reader, limits));
        let headers: Vec<String> = inner
            .headers()
            .map_err(refusal)?
            .iter()
            .map(|h| h.trim().to_owned())
            .collect();
        check_headers(&headers)?;
        Ok(Self {
            inner,
            headers,
            record: StringRecord::new(),
        })
    }

    /// The next record with its line, or none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, &StringRecord)>, TabularError> {
        if !self.inner.read_record(&mut self.record).map_err(refusal)? {
            return Ok(None);
        }
        let line = self.record.position().map_or(0, csv::Position::line);
        Ok(Some((line, &self.record)))
    }
}

/// The names of a table's columns, whatever its format.
pub(crate) fn check_headers(headers: &[String]) -> Result<(), TabularError> {
    if headers.is_empty() {
        return Err(TabularError::NoHeader);
    }
    let mut seen = HashMap::new();
    for (i, h) in headers.iter().enumerate() {
        if h.is_empty() {
            return Err(TabularError::EmptyHeader { position: i + 1 });
        }
        names::source(h)?;
        if let Some(first) = seen.insert(h, i) {
            return Err(TabularError::DuplicateHeader {
                name: h.clone(),
                first: first + 1,
                second: i + 1,
            });
        }
    }
    Ok(())
}

fn refusal(e: csv::Error) -> TabularError {
    let text = e.to_string();
    match e.into_kind() {
        ErrorKind::Io(e) => match e.downcast::<TabularError>() {
            Ok(ours) => ours,
            Err(e) => TabularError::Io(e),
        },
        ErrorKind::Utf8 { pos, err } => TabularError::NotUtf8 {
            line: pos.map_or(1, |p| p.line()),
            field: err.field() + 1,
        },
        ErrorKind::UnequalLengths {
            pos,
            expected_len,
            len,
        } => TabularError::Ragged {
            line: pos.map_or(0, |p| p.line()),
            expected: expected_len,
            found: len,
        },
        _ => TabularError::Csv(text),
    }
}

/// A cell, read once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell<'a> {
    /// Empty, or one of the texts that count as empty.
    Missing,
    /// A finite number of acceptable magnitude.
    Number(f64),
    /// NaN, an infinity, or beyond the range of doubles.
    NonFinite(&'a str),
    /// Anything else.
    Text(&'a str),
}

impl<'a> Cell<'a> {
    pub(crate) fn read(cell: &'a str, config: &SchemaConfig) -> Self {
        let cell = cell.trim();
        if cell.is_empty() || config.missing_values.iter().any(|m| m == cell) {
            return Self::Missing;
        }
        match cell.parse::<f64>() {
            Ok(v) if v.is_finite() => Self::Number(v),
            Ok(_) => Self::NonFinite(cell),
            Err(_) => Self::Text(cell),
        }
    }
}
