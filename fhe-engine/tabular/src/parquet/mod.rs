//! Flat Parquet tables as records of text (DS-11): the same cells that the same table
//! has as CSV, so that everything after reading is one code.
//!
//! Our own reader, of the part of the format that flat tables need, because a
//! custodian's file may come from anywhere: every length is held to a limit before
//! anything of that size is held, values are decoded one at a time (a run of 2^31
//! equal values costs nothing), nothing panics. Columns of numbers, booleans and
//! texts; plain and dictionary pages, version 1 and 2; uncompressed or Snappy.
//!
//! `thrift` reads the headers' encoding, `footer` the file's, `page` the pages.

mod footer;
mod page;
mod runs;
mod thrift;

use crate::{config::SchemaConfig, error::TabularError, reader};
use csv::StringRecord;
use footer::{Footer, Leaf};
use page::{Pages, Room};
use std::io::{Read, Seek, SeekFrom};

/// Most bytes that the pages and dictionaries of all columns hold at once: some 4 MiB
/// a column where there are as many as may be, and writers aim at 1 MiB a page.
const HELD: u64 = 1 << 30;

/// A refusal of the format.
pub(crate) fn form<T>(what: &'static str, reason: impl ToString) -> Result<T, TabularError> {
    Err(TabularError::ParquetForm {
        what,
        reason: reason.to_string(),
    })
}

/// Bytes of a file from a place; refused where the file ends before.
pub(crate) fn bytes_at<R: Read + Seek>(
    reader: &mut R,
    at: u64,
    length: usize,
) -> Result<Vec<u8>, TabularError> {
    reader.seek(SeekFrom::Start(at)).map_err(TabularError::Io)?;
    let mut bytes = vec![0u8; length];
    match reader.read_exact(&mut bytes) {
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => form("page", "the file ends"),
        Err(e) => Err(TabularError::Io(e)),
        Ok(()) => Ok(bytes),
    }
}

/// A cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f32),
    Double(f64),
    Text(&'a [u8]),
}

/// Checked column names and a stream of records.
pub(crate) struct Records<R> {
    reader: R,
    footer: Footer,
    /// Column names, in order.
    pub headers: Vec<String>,
    /// Columns whose cells are wanted: those that the settings drop may be of any
    /// type.
    wanted: Vec<bool>,
    group: usize,
    left: u64,
    columns: Vec<Option<Pages>>,
    room: Room,
    line: u64,
    record: StringRecord,
    field_bytes: u64,
    text: String,
}

impl<R: Read + Seek> Records<R> {
    pub(crate) fn open(mut reader: R, config: &SchemaConfig) -> Result<Self, TabularError> {
        let length = reader.seek(SeekFrom::End(0)).map_err(TabularError::Io)?;
        if length > config.limits.file_bytes {
            return Err(TabularError::FileTooLarge {
                limit_bytes: config.limits.file_bytes,
            });
        }
        let footer = Footer::read(&mut reader, length)?;
        // A run may say any number of rows in a few bytes.
        let mut rows = 0u64;
        for group in &footer.groups {
            rows = rows.saturating_add(group.rows);
        }
        if rows > config.limits.cells {
            return Err(TabularError::TooManyCells {
                limit: config.limits.cells,
                value: rows,
            });
        }
        let headers: Vec<String> = footer
            .leaves
            .iter()
            .map(|l| l.name.trim().to_owned())
            .collect();
        reader::check_headers(&headers)?;
        let dropped = |h: &String| {
            let kind = config.columns.get(h).and_then(|c| c.kind);
            kind == Some(crate::config::Kind::Drop)
        };
        let wanted: Vec<bool> = headers.iter().map(|h| !dropped(h)).collect();
        let mut kept = 0u64;
        for (leaf, wanted) in footer.leaves.iter().zip(&wanted) {
            if *wanted {
                leaf.check()?;
                kept += 1;
            }
        }
        // In CSV each cell is bytes of the file; here a column of them is none.
        let kept = kept.saturating_sub(config.segment_by.len() as u64);
        let cells = rows.saturating_mul(kept);
        if cells > config.limits.cells {
            return Err(TabularError::TooManyCells {
                limit: config.limits.cells,
                value: cells,
            });
        }
        Ok(Self {
            reader,
            footer,
            headers,
            wanted,
            group: 0,
            left: 0,
            columns: Vec::new(),
            room: Room::new(HELD),
            line: 1,
            record: StringRecord::new(),
            field_bytes: config.limits.field_bytes,
            text: String::new(),
        })
    }

    /// The next record with its line: the header counts as the first, as in CSV.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, &StringRecord)>, TabularError> {
        while self.left == 0 {
            let Some(group) = self.footer.groups.get(self.group) else {
                return Ok(None);
            };
            self.group += 1;
            self.left = group.rows;
            self.columns = Vec::with_capacity(self.wanted.len());
            self.room = Room::new(self.room.limit());
            let leaves = self.footer.leaves.iter().zip(&group.chunks);
            for ((leaf, chunk), wanted) in leaves.zip(&self.wanted) {
                self.columns.push(match wanted {
                    true => Some(Pages::open(leaf, chunk, group.rows)?),
                    false => None,
                });
            }
        }
        self.left -= 1;
        self.line = self.line.saturating_add(1);
        self.record.clear();
        for (pages, leaf) in self.columns.iter_mut().zip(&self.footer.leaves) {
            self.text.clear();
            if let Some(pages) = pages {
                let value = pages.next(&mut self.reader, &mut self.room)?;
                leaf.write(value, &mut self.text, self.line, self.field_bytes)?;
            }
            self.record.push_field(&self.text);
        }
        Ok(Some((self.line, &self.record)))
    }
}

impl Leaf {
    /// A cell as its text: numbers as they are written shortest, so that they are read
    /// back as the same number.
    fn write(
        &self,
        value: Value<'_>,
        out: &mut String,
        line: u64,
        field_bytes: u64,
    ) -> Result<(), TabularError> {
        use std::fmt::Write as _;
        let written = match value {
            Value::Null => Ok(()),
            Value::Bool(b) => write!(out, "{b}"),
            Value::Int(i) => self.integer(i, out),
            Value::Float(f) => write!(out, "{f}"),
            Value::Double(f) => write!(out, "{f}"),
            Value::Text(bytes) => {
                if bytes.len() as u64 > field_bytes {
                    return Err(TabularError::FieldTooLarge {
                        line,
                        limit_bytes: field_bytes,
                    });
                }
                let field = self.position;
                let text = std::str::from_utf8(bytes)
                    .map_err(|_| TabularError::NotUtf8 { line, field })?;
                out.push_str(text);
                Ok(())
            }
        };
        written.or_else(|_| form("value", "cannot be written"))
    }
}

#[cfg(test)]
mod tests;
