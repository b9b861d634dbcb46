//! Why a table or a model was not accepted: one variant a rule (DS-7, DS-8).
//!
//! Lines count from 1 with the header on line 1, as editors show them; columns
//! are named, or counted from 1 where there is no name yet.

use thiserror::Error;

/// A refusal. Every message names the field, the limit and the value.
#[derive(Debug, Error)]
pub enum TabularError {
    /// The bytes could not be read.
    #[error("the table cannot be read: {0}")]
    Io(std::io::Error),
    /// The CSV layer refused for a reason without a rule of its own.
    #[error("the table is not CSV: {0}")]
    Csv(String),
    /// The file is over its size limit.
    #[error("the file has more than {limit_bytes} bytes (limits.file_bytes)")]
    FileTooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// A field is over its size limit.
    #[error("line {line}: a field has more than {limit_bytes} bytes (limits.field_bytes)")]
    FieldTooLarge {
        /// The line.
        line: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// A line has more fields than a table may have columns.
    #[error("line {line}: more than {limit} columns")]
    TooManyColumns {
        /// The line.
        line: u64,
        /// The limit.
        limit: u64,
    },
    /// Bytes that are no Parquet file, or none that is whole (DS-11).
    #[error("the Parquet file's {what}: {reason}")]
    ParquetForm {
        /// Which part.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A column of a kind that is not read (DS-11).
    #[error(
        "column {column:?} is {what}, which is not read: drop it (columns.{column:?}.kind), or write it as numbers or texts"
    )]
    ParquetColumn {
        /// The column.
        column: String,
        /// Its kind or encoding.
        what: &'static str,
    },
    /// A compression that is not read (DS-11).
    #[error("the Parquet file is compressed by {name}: write it with Snappy, or uncompressed")]
    ParquetCodec {
        /// Which.
        name: &'static str,
    },
    /// A quoted field is never closed.
    #[error("line {line}: a quoted field starts here and is never closed")]
    UnclosedQuote {
        /// Where the field starts.
        line: u64,
    },
    /// A field is not UTF-8.
    #[error("line {line}: field {field} is not UTF-8")]
    NotUtf8 {
        /// The line.
        line: u64,
        /// The field, counted from 1.
        field: usize,
    },
    /// A line has another number of fields than the header.
    #[error("line {line}: {found} fields, the header has {expected}")]
    Ragged {
        /// The line.
        line: u64,
        /// Fields in the header.
        expected: u64,
        /// Fields found.
        found: u64,
    },
    /// The file has no header.
    #[error("the file is empty: no header line")]
    NoHeader,
    /// The table has no rows.
    #[error("the table has a header and no rows")]
    NoRows,
    /// A header cell is empty.
    #[error("line 1: the name of column {position} is empty")]
    EmptyHeader {
        /// The column, counted from 1.
        position: usize,
    },
    /// Two columns share a name.
    #[error("line 1: columns {first} and {second} are both named {name:?}")]
    DuplicateHeader {
        /// The name.
        name: String,
        /// The first column, counted from 1.
        first: usize,
        /// The second column, counted from 1.
        second: usize,
    },
    /// A column name, category or label cannot be published.
    #[error("{what} {value:?}: {reason}")]
    BadName {
        /// What it names.
        what: &'static str,
        /// The text.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A cell is neither the number nor the text that its column holds.
    #[error(
        "line {line}, column {column:?}: {value:?} is not a {expected} (set columns.{column:?}.kind if it is meant)"
    )]
    UnknownType {
        /// The line.
        line: u64,
        /// The column.
        column: String,
        /// The cell.
        value: String,
        /// What the rest of the column is.
        expected: &'static str,
    },
    /// NaN or an infinity.
    #[error("line {line}, column {column:?}: {value:?} is not a finite number")]
    NonFinite {
        /// The line.
        line: u64,
        /// The column.
        column: String,
        /// The cell.
        value: String,
    },
    /// A number outside the declared range, or too large for any.
    #[error("line {line}, column {column:?}: {value} is outside {min}..={max}")]
    OutOfRange {
        /// The line.
        line: u64,
        /// The column.
        column: String,
        /// The number.
        value: f64,
        /// Least number allowed.
        min: f64,
        /// Greatest number allowed.
        max: f64,
    },
    /// A cell is empty and no rule says what to do.
    #[error(
        "line {line}, column {column:?}: the value is missing ({count} such cells) and no rule is named for it"
    )]
    Missing {
        /// The first such line.
        line: u64,
        /// The column.
        column: String,
        /// How many cells are empty.
        count: u64,
    },
    /// The missing-value rule does not suit the column.
    #[error("column {column:?}: the missing-value rule {rule} does not suit a {kind} column")]
    MissingRule {
        /// The column.
        column: String,
        /// The rule named.
        rule: String,
        /// What the column is.
        kind: &'static str,
    },
    /// A segment key is missing.
    #[error("line {line}, column {column:?}: a segment key must have a value in every row")]
    MissingKey {
        /// The line.
        line: u64,
        /// The column.
        column: String,
    },
    /// A text column has more distinct values than categories are allowed.
    #[error(
        "line {line}, column {column:?}: more than {limit} distinct texts (drop the column or raise limits.categories)"
    )]
    TooManyCategories {
        /// The line of the first value over the limit.
        line: u64,
        /// The column.
        column: String,
        /// The limit.
        limit: u64,
    },
    /// The keys split the table into too many segments.
    #[error("line {line}: the segment keys have more than {limit} distinct values")]
    TooManySegments {
        /// The line of the first over the limit.
        line: u64,
        /// The limit.
        limit: u64,
    },
    /// A segment has fewer rows than any column may rest on (DS-7).
    #[error("segment {label:?} has {rows} rows, fewer than suppression.k_min = {k_min}")]
    SmallSegment {
        /// The segment.
        label: String,
        /// Its rows.
        rows: u64,
        /// The limit.
        k_min: u64,
    },
    /// Too many public columns.
    #[error("{value} public columns (the constant and numeric keys), the limit is {limit}")]
    TooManyPublicColumns {
        /// The limit.
        limit: u64,
        /// The count.
        value: u64,
    },
    /// One-hot and second-moment columns together are too many.
    #[error(
        "{value} encrypted columns (one-hot and second moments included), the limit is {limit}"
    )]
    TooManyEncrypted {
        /// The limit.
        limit: u64,
        /// The count.
        value: u64,
    },
    /// The table would not fit in memory.
    #[error("{value} quantised values, the limit is {limit} (limits.cells)")]
    TooManyCells {
        /// The limit.
        limit: u64,
        /// The count.
        value: u64,
    },
    /// Two encrypted or public columns would share a name.
    #[error("two columns would be named {name:?}")]
    NameClash {
        /// The name.
        name: String,
    },
    /// A second-moment column does not fit its range.
    #[error(
        "column {name:?}: magnitude 2^{magnitude_log2} at scale 2^{scale_log2} is over 2^32 or outside scales -64..=64 (lower its bits, or give it in another unit)"
    )]
    ProductRange {
        /// The column.
        name: String,
        /// Binary logarithm of its magnitude, rounded up.
        magnitude_log2: u32,
        /// Its scale.
        scale_log2: i32,
    },
    /// Nothing is left to encrypt.
    #[error("no column is left to encrypt: {dropped} dropped, see the reasons in the report")]
    NoColumns {
        /// How many were dropped.
        dropped: usize,
        /// Each with its reason.
        reasons: Vec<String>,
    },
    /// The schema names a column that the table does not have.
    #[error("{field}: the table has no column {name:?}")]
    UnknownColumn {
        /// The setting.
        field: &'static str,
        /// The name.
        name: String,
    },
    /// A setting is outside its limits.
    #[error("{field} = {value}: {limit}")]
    Setting {
        /// The setting.
        field: String,
        /// Its value.
        value: String,
        /// What is allowed.
        limit: &'static str,
    },
    /// The schema file does not parse.
    #[error("the schema settings do not parse: {0}")]
    SettingsSyntax(String),
    /// The file changed between the two passes.
    #[error("line {line}: the file changed while it was read")]
    Changed {
        /// The line.
        line: u64,
    },
    /// The model file is over its size limit.
    #[error("the model file has {value} bytes, the limit is {limit}")]
    ModelTooLarge {
        /// The limit.
        limit: u64,
        /// The size.
        value: u64,
    },
    /// The model file does not parse.
    #[error("the model does not parse: {0}")]
    ModelSyntax(String),
    /// The model has another number of weights than columns.
    #[error("the model has {weights} weights for {columns} columns")]
    ModelShape {
        /// Columns named.
        columns: usize,
        /// Weights given.
        weights: usize,
    },
    /// The model names a column twice.
    #[error("the model names column {name:?} twice")]
    ModelDuplicate {
        /// The column.
        name: String,
    },
    /// A weight or the intercept is not finite.
    #[error("the model's weight for {name:?} is not a finite number")]
    ModelNonFinite {
        /// The column, or "intercept".
        name: String,
    },
    /// The model names columns that the dataset does not have.
    #[error("the dataset has no columns {names:?} that the model names")]
    ModelExtra {
        /// The columns.
        names: Vec<String>,
    },
    /// The model leaves out columns that it was said to cover.
    #[error("the model has no weights for columns {names:?}")]
    ModelMissing {
        /// The columns.
        names: Vec<String>,
    },
    /// The model names columns that were suppressed at encryption (DS-7).
    #[error("columns {names:?} that the model names were suppressed at encryption")]
    ModelSuppressed {
        /// The columns.
        names: Vec<String>,
    },
    /// The model weighs no encrypted column.
    #[error("the model weighs no encrypted column")]
    ModelEmpty,
}

impl TabularError {
    /// The line and the column that a refusal names.
    pub fn place(&self) -> (Option<u64>, Option<&str>) {
        match self {
            Self::UnknownType { line, column, .. }
            | Self::NonFinite { line, column, .. }
            | Self::OutOfRange { line, column, .. }
            | Self::Missing { line, column, .. }
            | Self::MissingKey { line, column }
            | Self::TooManyCategories { line, column, .. } => (Some(*line), Some(column)),
            Self::FieldTooLarge { line, .. }
            | Self::TooManyColumns { line, .. }
            | Self::UnclosedQuote { line }
            | Self::NotUtf8 { line, .. }
            | Self::Ragged { line, .. }
            | Self::TooManySegments { line, .. }
            | Self::Changed { line } => (Some(*line), None),
            Self::MissingRule { column, .. } | Self::ParquetColumn { column, .. } => {
                (None, Some(column))
            }
            Self::DuplicateHeader { name, .. }
            | Self::NameClash { name }
            | Self::UnknownColumn { name, .. }
            | Self::ProductRange { name, .. } => (None, Some(name)),
            _ => (None, None),
        }
    }
}
