//! What is refused, and why: one variant a rule of docs/spec/privacy.md.

use thiserror::Error;
use veilbourse_core::wire::WireError;

/// Why a parameter, an opening or a report was refused.
#[derive(Debug, Error, Clone, PartialEq)]
pub enum PrivacyError {
    /// A fraction's denominator is zero or too large (PRV-2).
    #[error("{field}: the denominator {value} is not within 1..={limit}")]
    Denominator {
        /// The fraction.
        field: &'static str,
        /// The greatest denominator.
        limit: u64,
        /// The denominator found.
        value: u64,
    },
    /// A scale or variance is below the least one (PRV-2).
    #[error("{field}: {numerator}/{denominator} is below the limit 2^{limit_log2}")]
    TooSmall {
        /// The parameter.
        field: &'static str,
        /// Binary logarithm of the limit.
        limit_log2: i32,
        /// Numerator found.
        numerator: u128,
        /// Denominator found.
        denominator: u64,
    },
    /// A scale or variance is above the greatest one (PRV-2).
    #[error("{field}: {numerator}/{denominator} exceeds the limit 2^{limit_log2}")]
    TooLarge {
        /// The parameter.
        field: &'static str,
        /// Binary logarithm of the limit.
        limit_log2: i32,
        /// Numerator found.
        numerator: u128,
        /// Denominator found.
        denominator: u64,
    },
    /// Bytes are not a canonical encoding (PRV-3).
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Message and noise together leave the range (PRV-4).
    #[error("the message can reach {message} and the noise {noise}, together the limit is {limit}")]
    Range {
        /// Bound of the message.
        message: u64,
        /// Bound of the noise.
        noise: u64,
        /// What their sum may reach.
        limit: u64,
    },
    /// A column's least value exceeds its greatest (PRV-5).
    #[error("column {column}: the least value {min} exceeds the greatest {max}")]
    EmptyRange {
        /// Position of the column.
        column: usize,
        /// Declared least value.
        min: i64,
        /// Declared greatest value.
        max: i64,
    },
    /// A sensitivity exceeds what can be accounted (PRV-5, PRV-6).
    #[error("sensitivity: {at_least} or more exceeds the limit {limit}")]
    Sensitivity {
        /// The greatest sensitivity.
        limit: u64,
        /// What was reached when the limit was passed.
        at_least: u128,
    },
    /// A sum of weighted column ranges leaves 128 bits (PRV-5).
    #[error("sensitivity: column {column} takes the sum of the weighted ranges beyond 127 bits")]
    Overflow {
        /// Position of the column.
        column: usize,
    },
    /// An opening without noise has no finite cost (PRV-7).
    #[error("mechanism: none; an opening without noise has no finite privacy cost")]
    NoNoise,
    /// A cost does not fit the unit (PRV-8).
    #[error("privacy cost: exceeds the limit of {limit} units of 2^-40")]
    Cost {
        /// The greatest cost, in units of 2^-40.
        limit: u64,
    },
    /// The budget does not allow this opening (PRV-9).
    #[error(
        "privacy budget: asked {asked}, spent {spent}, the limit is {limit} (units of 2^-40 rho)"
    )]
    Budget {
        /// Limit in units of 2^-40.
        limit: u64,
        /// Already spent.
        spent: u64,
        /// Asked now.
        asked: u64,
    },
    /// More noises than a joint forecast takes (PRV-13).
    #[error("joint forecast: {value} summands exceed the limit {limit}")]
    Summands {
        /// Most summands.
        limit: usize,
        /// How many there are.
        value: usize,
    },
    /// A delta is not a probability strictly between 0 and 1 (PRV-10).
    #[error("delta: {value} is not strictly between 0 and 1")]
    Delta {
        /// The value found.
        value: f64,
    },
    /// An epsilon is not a finite number of at least 0 (PRV-10).
    #[error("epsilon: {value} is not a finite number of at least 0")]
    Epsilon {
        /// The value found.
        value: f64,
    },
    /// What the cut adds to delta is not negligible beside it (PRV-10).
    #[error(
        "delta: {delta} leaves {limit} to the cut of the noise; {openings} openings at epsilon \
         {epsilon} need {value}"
    )]
    Cut {
        /// The delta asked for.
        delta: f64,
        /// The share of delta set aside for the cut.
        limit: f64,
        /// What the cut adds.
        value: f64,
        /// Epsilon reached.
        epsilon: f64,
        /// Openings counted.
        openings: u64,
    },
}
