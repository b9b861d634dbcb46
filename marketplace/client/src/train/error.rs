//! Why a regression is not asked for, or not solved (TRN-1..9).

use super::moments::MomentsError;
use thiserror::Error;
use veilbourse_core::program::MAX_VECTORS;
use veilbourse_documents::DemandError;

/// A training failure, one variant a rule.
#[derive(Debug, Error)]
pub enum TrainError {
    /// Listings that do not add up (ORD-8).
    #[error(transparent)]
    Joint(#[from] crate::buyer::JointRefusal),
    /// A name that the listing does not have (TRN-1).
    #[error("{field}: the listing has no column {name:?}")]
    UnknownColumn {
        /// Which argument.
        field: &'static str,
        /// Asked for.
        name: String,
    },
    /// A column that rule DS-7 suppressed (TRN-1).
    #[error("{field}: {name:?} is suppressed in this listing (too few rows rest on it)")]
    Suppressed {
        /// Which argument.
        field: &'static str,
        /// Asked for.
        name: String,
    },
    /// A square or product of others (TRN-1).
    #[error("{field}: {name:?} is itself a second moment; its own are not listed")]
    SecondMoment {
        /// Which argument.
        field: &'static str,
        /// Asked for.
        name: String,
    },
    /// The target is a categorical source column (TRN-1).
    #[error("target: {name:?} is categorical; name one of its categories: {categories:?}")]
    CategoricalTarget {
        /// Asked for.
        name: String,
        /// Listed ones.
        categories: Vec<String>,
    },
    /// The target is a public column (TRN-1).
    #[error("target: {name:?} is public and constant in each segment: nothing is left to learn")]
    PublicTarget {
        /// Asked for.
        name: String,
    },
    /// The target among the features (TRN-1).
    #[error("features: {name:?} is the target")]
    TargetAmongFeatures {
        /// Asked for.
        name: String,
    },
    /// The same feature twice (TRN-1).
    #[error("features: {name:?} appears twice")]
    Duplicate {
        /// Asked for.
        name: String,
    },
    /// No feature is left (TRN-1).
    #[error("features: none is left to predict {target:?} from")]
    NoFeatures {
        /// The target.
        target: String,
    },
    /// A segment that the listing does not have (TRN-1).
    #[error("segments: the listing has no segment {label:?}; it has {listed:?}")]
    UnknownSegment {
        /// Asked for.
        label: String,
        /// Listed ones.
        listed: Vec<String>,
    },
    /// A reference that is no category among the features (TRN-3).
    #[error(
        "reference {source_column:?} = {category:?}: no such category among the features' sources"
    )]
    UnknownReference {
        /// The source column.
        source_column: String,
        /// The category.
        category: String,
    },
    /// A one-hot column whose range is not that of one (TRN-3).
    #[error("{name:?} is listed as a category but its range is not 0 to 2^{scale_log2}")]
    CategoryRange {
        /// The column.
        name: String,
        /// Its scale.
        scale_log2: i32,
    },
    /// A second moment whose scale is not the sum of its factors' (TRN-2).
    #[error("{name:?} has scale 2^{found}, its factors' scales make 2^{expected}")]
    MomentScale {
        /// The column.
        name: String,
        /// Sum of the factors'.
        expected: i32,
        /// Listed.
        found: i32,
    },
    /// Second moments that are not listed (TRN-2).
    #[error(
        "these second moments are not listed: {}{}. The custodian would list them with the schema \
         line `{line}`. A product that is zero in every row (yes/no columns of one question) is \
         never listed unless `suppression.keep` names it: say --exclusive with its factors",
        .missing.join(", "),
        if .suppressed.is_empty() { String::new() } else { format!(" (suppressed, unless `suppression.keep` names them: {})", .suppressed.join(", ")) }
    )]
    MissingMoments {
        /// Names.
        missing: Vec<String>,
        /// Those of them that rule DS-7 dropped.
        suppressed: Vec<String>,
        /// What lists all that this training needs.
        line: String,
    },
    /// A public column with one value in the segments chosen (TRN-4).
    #[error("features: {name:?} has one value in the segments chosen: it is the intercept")]
    ConstantPublic {
        /// The column.
        name: String,
    },
    /// More moments than an order has weight vectors (TRN-5).
    #[error(
        "{value} moments are needed ({variables} columns with the target); the limit of one order \
         is {MAX_VECTORS} weight vectors: choose fewer --features"
    )]
    TooManyMoments {
        /// Columns, the target included.
        variables: usize,
        /// Needed.
        value: usize,
    },
    /// More than one order may hold (TRN-5, ORD-4).
    #[error("order: {0}")]
    Demand(#[from] DemandError),
    /// An order's result lacks a moment (TRN-6).
    #[error("the order did not open {column:?} in segment {segment:?}")]
    NotOpened {
        /// The column.
        column: String,
        /// The segment's label.
        segment: String,
    },
    /// Moments that cannot be added or be those of any table (TRN-6, TRN-7).
    #[error("moments: {0}")]
    Moments(#[from] MomentsError),
    /// Too few rows (TRN-8).
    #[error(
        "{rows} rows leave {degrees} degrees of freedom of the residuals; at least 1 is needed"
    )]
    TooFewRows {
        /// Rows.
        rows: u64,
        /// n less the effective parameters.
        degrees: f64,
    },
    /// The target has one value (TRN-8).
    #[error("target: {name:?} has one value in all rows")]
    ConstantTarget {
        /// The target.
        name: String,
    },
    /// A feature has one value (TRN-8).
    #[error("features: {name:?} has one value in all rows: it is the intercept; leave it out")]
    ConstantFeature {
        /// The feature.
        name: String,
    },
    /// A feature is an exact combination of others (TRN-8).
    #[error(
        "features: {name:?} is an exact linear combination of {}: leave one of them out",
        .with.join(", ")
    )]
    Collinear {
        /// The feature.
        name: String,
        /// The others.
        with: Vec<String>,
    },
    /// A feature that quantisation alone may keep from being a combination of
    /// others (TRN-8).
    #[error(
        "features: {name:?} cannot be told from a linear combination of {}: what they leave of it \
         (standard deviation {residual:.2e}) is within the quantisation's {limit:.2e}; leave one of \
         them out or use ridge",
        .with.join(", ")
    )]
    NearCollinear {
        /// The feature.
        name: String,
        /// The others.
        with: Vec<String>,
        /// Root mean square of what is left.
        residual: f64,
        /// What half a step a cell can make.
        limit: f64,
    },
    /// A penalty out of range (TRN-9).
    #[error("lambda is {value}; it must be 0, or 2^-100 to 2^100")]
    Lambda {
        /// Given.
        value: f64,
    },
}
