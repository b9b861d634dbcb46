//! Records of a table, whatever its format: both passes read through here.

use crate::{config::SchemaConfig, error::TabularError, parquet, reader};
use csv::StringRecord;
use std::io::{Read, Seek, SeekFrom};

/// Checked header names and a stream of records.
pub(crate) enum Records<R> {
    Csv(Box<reader::Records<R>>),
    Parquet(Box<parquet::Records<R>>),
}

impl<R: Read + Seek> Records<R> {
    /// Rewinds the reader and checks the header.
    pub(crate) fn open(mut reader: R, config: &SchemaConfig) -> Result<Self, TabularError> {
        Ok(match is_parquet(&mut reader)? {
            true => Self::Parquet(Box::new(parquet::Records::open(reader, config)?)),
            false => Self::Csv(Box::new(reader::Records::open(reader, config)?)),
        })
    }

    /// Column names, in order.
    pub(crate) fn headers(&self) -> &[String] {
        match self {
            Self::Csv(r) => &r.headers,
            Self::Parquet(r) => &r.headers,
        }
    }

    /// The next record with its line, or none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, &StringRecord)>, TabularError> {
        match self {
            Self::Csv(r) => r.next(),
            Self::Parquet(r) => r.next(),
        }
    }
}

/// Whether a table is Parquet, by its first and last four bytes.
pub fn is_parquet<R: Read + Seek>(reader: &mut R) -> Result<bool, TabularError> {
    let mut magic = [[0u8; 4]; 2];
    let length = reader.seek(SeekFrom::End(0)).map_err(TabularError::Io)?;
    if length >= 12 {
        for (at, into) in [0, length - 4].into_iter().zip(&mut magic) {
            reader.seek(SeekFrom::Start(at)).map_err(TabularError::Io)?;
            reader.read_exact(into).map_err(TabularError::Io)?;
        }
    }
    reader.seek(SeekFrom::Start(0)).map_err(TabularError::Io)?;
    Ok(magic == [*b"PAR1"; 2])
}
