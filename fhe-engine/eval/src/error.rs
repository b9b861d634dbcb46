//! What this crate refuses.

use thiserror::Error;
use veilbourse_core::wire::WireError;

/// Why an operation is refused; one variant a rule.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum EvalError {
    /// k is outside what any dataset may use.
    #[error("message_log2: {value} is outside 1..={limit}")]
    MessageLog2 {
        /// k.
        value: u32,
        /// Greatest k.
        limit: u32,
    },
    /// A chunk holds 1 to N rows.
    #[error("column {column}: {rows} rows, a chunk holds 1..={limit}")]
    RowCount {
        /// Column index.
        column: usize,
        /// Rows given.
        rows: usize,
        /// N.
        limit: usize,
    },
    /// Columns of one chunk have equally many rows.
    #[error("column {column}: {rows} rows, the first column has {expected}")]
    Ragged {
        /// Column index.
        column: usize,
        /// Rows given.
        rows: usize,
        /// Rows of the first column.
        expected: usize,
    },
    /// A value does not fit the message space.
    #[error("column {column}, row {row}: |{value}| exceeds the limit 2^{limit_log2}")]
    Value {
        /// Column index.
        column: usize,
        /// Row within the chunk.
        row: usize,
        /// The value.
        value: i64,
        /// 62 - k.
        limit_log2: u32,
    },
    /// A number of columns, weights or words is not the one expected.
    #[error("{field}: {found} given, {expected} expected")]
    Count {
        /// What is counted.
        field: &'static str,
        /// Expected.
        expected: usize,
        /// Found.
        found: usize,
    },
    /// A weight is too large (LES-1).
    #[error("weight {index}: |{value}| is not below the limit 2^{limit_log2}")]
    Weight {
        /// Index in the vector.
        index: usize,
        /// The weight.
        value: i64,
        /// Binary logarithm of the limit.
        limit_log2: u32,
    },
    /// The manifest has no such matrix.
    #[error("matrix: segment {segment}, chunk {chunk:?} is not in the manifest")]
    NoMatrix {
        /// Segment index.
        segment: u32,
        /// Chunk index, for a chunk.
        chunk: Option<u32>,
    },
    /// Traced columns for a chunk, or the other way round.
    #[error("matrix: {expected} columns are needed, {found} columns were given")]
    MatrixKind {
        /// What the reference names.
        expected: &'static str,
        /// What was given.
        found: &'static str,
    },
    /// A coefficient of e is not -1, 0 or 1 (LES-6).
    #[error("rerandomisation: coefficient {index} of e is {value}, outside -1..=1")]
    NotTernary {
        /// Index in e.
        index: usize,
        /// The coefficient.
        value: i8,
    },
    /// The public key is not the manifest's (DS-6).
    #[error("public key: label or body is not the one in the manifest")]
    PublicKey,
    /// A traced body word is not the manifest's (DS-3).
    #[error("traced column {column}: the body word is not the one in the manifest")]
    TracedBody {
        /// Column index.
        column: usize,
    },
    /// A decrypted value is outside what the budget admits (KEY-5).
    #[error("value {index}: |{value}| exceeds the limit {limit}")]
    OutOfRange {
        /// Index of the value.
        index: usize,
        /// The value.
        value: i64,
        /// B_x = 2^(62-k).
        limit: i64,
    },
    /// A word of a switched ciphertext is not below 2N (BST-6).
    #[error("blind rotation input: word {value} exceeds the limit {limit}")]
    Exponent {
        /// The greatest word.
        value: u16,
        /// 2N - 1.
        limit: u16,
    },
    /// Bytes that do not decode.
    #[error(transparent)]
    Wire(#[from] WireError),
}
