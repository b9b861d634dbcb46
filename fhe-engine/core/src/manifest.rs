//! The dataset manifest: everything the dataset root D covers (rule DS-5).
//!
//! Written by the custodian's client, recomputed by storage, absorbed by every
//! proof. Has one binary form (hashed) and one JSON form (shown); both mirror
//! the struct field by field.

use crate::{
    digest::{Digest, Domain},
    wire::{Reader, WireError, Writer},
};
use serde::{Deserialize, Serialize};

/// The manifest version this program reads and writes.
pub const MANIFEST_VERSION: u16 = 1;
/// Most encrypted columns in a dataset.
pub const MAX_COLUMNS: u32 = 256;
/// Most public columns in a dataset (the constant 1 and the segment keys).
pub const MAX_PUBLIC_COLUMNS: u32 = 8;
/// Most segments in a dataset.
pub const MAX_SEGMENTS: u32 = 1024;
/// Most chunks in a segment.
pub const MAX_CHUNKS: u32 = 16_384;
/// Longest name or label, in bytes of UTF-8.
pub const MAX_NAME: u32 = 128;
/// Largest magnitude of a quantised value.
pub const MAX_QUANTISED: i64 = 1 << 32;

/// Parameter set of the data key S_D (protocol section 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DataParamsId {
    /// N = 4096, k = 1, binary secret, TUniform(3) noise, q = 2^64 - 2^32 + 1.
    #[serde(rename = "data-4096-tu3-v1")]
    Data4096Tu3V1,
}

/// Parameter set of the FRI commitments (rule DS-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CommitmentParamsId {
    /// Two-adic FRI over Goldilocks, BLAKE3 Merkle trees, version 1.
    #[serde(rename = "fri-blake3-v1")]
    FriBlake3V1,
}

/// How a column came to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ColumnKind {
    /// A numeric source column.
    Numeric,
    /// One category of a categorical source column (one-hot).
    Category {
        /// The source column.
        source: String,
        /// The category's text.
        value: String,
    },
    /// The square of a numeric column (second moment).
    Square {
        /// The column squared.
        source: String,
    },
    /// The product of two numeric columns (second moment).
    Product {
        /// First factor.
        left: String,
        /// Second factor.
        right: String,
    },
}

/// One encrypted column. A real value x is quantised to
/// X = round(x * 2^scale_log2), min <= X <= max.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Unique name within the dataset.
    pub name: String,
    /// How it came to be.
    pub kind: ColumnKind,
    /// Unit of the real value, empty where there is none.
    pub unit: String,
    /// Binary logarithm of the quantisation scale.
    pub scale_log2: i32,
    /// Least quantised value.
    #[serde(with = "crate::decimal")]
    pub min: i64,
    /// Greatest quantised value.
    #[serde(with = "crate::decimal")]
    pub max: i64,
}

impl Column {
    /// max(|min|, |max|): the range that bounds are computed with.
    pub fn max_abs(&self) -> u64 {
        self.min.unsigned_abs().max(self.max.unsigned_abs())
    }
}

/// A column whose value is public and constant in each segment: the constant
/// 1 (always the first) and numeric segment keys. It enters a linear
/// evaluation as the trivial ciphertext (rule LES-2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicColumn {
    /// Unique name within the dataset.
    pub name: String,
    /// Binary logarithm of the quantisation scale.
    pub scale_log2: i32,
    /// Quantised value in each segment.
    #[serde(with = "crate::decimal::seq")]
    pub values: Vec<i64>,
}

/// A segment: rows that share a public key, filling whole chunks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// The segment key's text, for people ("idp = 1"; "all rows").
    pub label: String,
    /// True number of rows n_s.
    #[serde(with = "crate::decimal")]
    pub rows: u64,
    /// Commitment of each chunk matrix (N rows, 2F columns), in order.
    pub chunks: Vec<Digest>,
    /// Commitment of the sum over the chunks (N rows, 2F columns).
    pub sum: Digest,
    /// Commitment of the traced masks (N rows, F columns; rule DS-3).
    pub traced: Digest,
    /// The traced body word b_tr of each column.
    #[serde(with = "crate::decimal::seq")]
    pub traced_bodies: Vec<u64>,
}

/// Everything the dataset root D covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`].
    pub version: u16,
    /// The dataset's name, for people.
    pub name: String,
    /// Parameter set of the data key.
    pub params: DataParamsId,
    /// Parameter set of the commitments.
    pub commitment: CommitmentParamsId,
    /// k: a quantised value X is encrypted as X * 2^k.
    pub message_log2: u32,
    /// Encrypted columns, in matrix order.
    pub columns: Vec<Column>,
    /// Public columns; the first is the constant 1, named "1".
    pub public_columns: Vec<PublicColumn>,
    /// Segments, in order.
    pub segments: Vec<Segment>,
    /// Label whose XOF output is the public key's mask p_0 (rule DS-6).
    pub public_key_label: Digest,
    /// Digest of the public key's body p_1 (N canonical words, little-endian).
    pub public_key_body: Digest,
    /// Fresh for every version of a dataset.
    pub nonce: Digest,
}

impl Manifest {
    /// The dataset root D.
    pub fn root(&self) -> Digest {
        Digest::of(Domain::Dataset, &self.encode())
    }

    /// The canonical binary form.
    pub fn encode(&self) -> Vec<u8> {
        let Self {
            version,
            name,
            params,
            commitment,
            message_log2,
            columns,
            public_columns,
            segments,
            public_key_label,
            public_key_body,
            nonce,
        } = self;
        let mut w = Writer::new();
        w.u16(*version).str(name);
        w.u8(match params {
            DataParamsId::Data4096Tu3V1 => 1,
        });
        w.u8(match commitment {
            CommitmentParamsId::FriBlake3V1 => 1,
        });
        w.u32(*message_log2);
        w.len(columns.len());
        for Column {
            name,
            kind,
            unit,
            scale_log2,
            min,
            max,
        } in columns
        {
            w.str(name);
            match kind {
                ColumnKind::Numeric => w.u8(0),
                ColumnKind::Category { source, value } => w.u8(1).str(source).str(value),
                ColumnKind::Square { source } => w.u8(2).str(source),
                ColumnKind::Product { left, right } => w.u8(3).str(left).str(right),
            };
            w.str(unit).i64(i64::from(*scale_log2)).i64(*min).i64(*max);
        }
        w.len(public_columns.len());
        for PublicColumn {
            name,
            scale_log2,
            values,
        } in public_columns
        {
            w.str(name).i64(i64::from(*scale_log2)).len(values.len());
            for v in values {
                w.i64(*v);
            }
        }
        w.len(segments.len());
        for Segment {
            label,
            rows,
            chunks,
            sum,
            traced,
            traced_bodies,
        } in segments
        {
            w.str(label).u64(*rows).len(chunks.len());
            for c in chunks {
                w.raw(&c.0);
            }
            w.raw(&sum.0).raw(&traced.0).words(traced_bodies);
        }
        w.raw(&public_key_label.0)
            .raw(&public_key_body.0)
            .raw(&nonce.0);
        w.finish()
    }

    /// Reads the canonical binary form (gates: size, version, conformance) and
    /// checks it with [`Manifest::validate`].
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let version = r.u16("manifest.version")?;
        if version != MANIFEST_VERSION {
            return Err(WireError::Version {
                field: "manifest.version",
                expected: u64::from(MANIFEST_VERSION),
                found: u64::from(version),
            });
        }
        let name = r.str("manifest.name", MAX_NAME)?;
        let params = match r.u8("manifest.params")? {
            1 => DataParamsId::Data4096Tu3V1,
            v => {
                return Err(invalid(
                    "manifest.params",
                    format!("unknown parameter set {v}"),
                ));
            }
        };
        let commitment = match r.u8("manifest.commitment")? {
            1 => CommitmentParamsId::FriBlake3V1,
            v => {
                return Err(invalid(
                    "manifest.commitment",
                    format!("unknown parameter set {v}"),
                ));
            }
        };
        let message_log2 = r.u32("manifest.message_log2")?;
        let columns = (0..r.len("manifest.columns", MAX_COLUMNS)?)
            .map(|_| read_column(&mut r))
            .collect::<Result<_, _>>()?;
        let public_columns = (0..r.len("manifest.public_columns", MAX_PUBLIC_COLUMNS)?)
            .map(|_| read_public_column(&mut r))
            .collect::<Result<_, _>>()?;
        let segments = (0..r.len("manifest.segments", MAX_SEGMENTS)?)
            .map(|_| read_segment(&mut r))
            .collect::<Result<_, _>>()?;
        let manifest = Self {
            version,
            name,
            params,
            commitment,
            message_log2,
            columns,
            public_columns,
            segments,
            public_key_label: Digest(r.array("manifest.public_key_label")?),
            public_key_body: Digest(r.array("manifest.public_key_body")?),
            nonce: Digest(r.array("manifest.nonce")?),
        };
        r.finish("manifest")?;
        manifest.validate()?;
        Ok(manifest)
    }

    /// Checks what the types do not: counts that must agree, ranges, names.
    pub fn validate(&self) -> Result<(), WireError> {
        crate::manifest_rules::check(self)
    }
}

fn invalid(field: &'static str, reason: String) -> WireError {
    WireError::Invalid { field, reason }
}

fn read_i32(r: &mut Reader<'_>, field: &'static str) -> Result<i32, WireError> {
    let v = r.i64(field)?;
    i32::try_from(v).map_err(|_| invalid(field, format!("{v} does not fit 32 bits")))
}

fn read_column(r: &mut Reader<'_>) -> Result<Column, WireError> {
    let name = r.str("column.name", MAX_NAME)?;
    let kind = match r.u8("column.kind")? {
        0 => ColumnKind::Numeric,
        1 => ColumnKind::Category {
            source: r.str("column.source", MAX_NAME)?,
            value: r.str("column.value", MAX_NAME)?,
        },
        2 => ColumnKind::Square {
            source: r.str("column.source", MAX_NAME)?,
        },
        3 => ColumnKind::Product {
            left: r.str("column.left", MAX_NAME)?,
            right: r.str("column.right", MAX_NAME)?,
        },
        v => return Err(invalid("column.kind", format!("unknown kind {v}"))),
    };
    Ok(Column {
        name,
        kind,
        unit: r.str("column.unit", MAX_NAME)?,
        scale_log2: read_i32(r, "column.scale_log2")?,
        min: r.i64("column.min")?,
        max: r.i64("column.max")?,
    })
}

fn read_public_column(r: &mut Reader<'_>) -> Result<PublicColumn, WireError> {
    let name = r.str("public_column.name", MAX_NAME)?;
    let scale_log2 = read_i32(r, "public_column.scale_log2")?;
    let n = r.len("public_column.values", MAX_SEGMENTS)?;
    let values = (0..n)
        .map(|_| r.i64("public_column.values"))
        .collect::<Result<_, _>>()?;
    Ok(PublicColumn {
        name,
        scale_log2,
        values,
    })
}

fn read_segment(r: &mut Reader<'_>) -> Result<Segment, WireError> {
    let label = r.str("segment.label", MAX_NAME)?;
    let rows = r.u64("segment.rows")?;
    let n = r.len("segment.chunks", MAX_CHUNKS)?;
    let chunks = (0..n)
        .map(|_| Ok(Digest(r.array("segment.chunks")?)))
        .collect::<Result<_, WireError>>()?;
    let sum = Digest(r.array("segment.sum")?);
    let traced = Digest(r.array("segment.traced")?);
    let n = r.len("segment.traced_bodies", MAX_COLUMNS)?;
    let traced_bodies = (0..n)
        .map(|_| r.u64("segment.traced_bodies"))
        .collect::<Result<_, _>>()?;
    Ok(Segment {
        label,
        rows,
        chunks,
        sum,
        traced,
        traced_bodies,
    })
}
