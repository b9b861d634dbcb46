//! CSV and Parquet to quantised tables: schema inference, segments, second moments,
//! suppression, synthetic twin, and linear models over them.
//!
//! Rules DS-7..9 of `docs/spec/datasets.md`. The custodian calls [`build`] and
//! publishes [`Marginals`]; the buyer calls [`LinearModel::bind`] on the
//! manifest's columns. Pure: no clock, no system randomness, no files.
//!
//! ```
//! use veilbourse_tabular::{SchemaConfig, build};
//! let mut config = SchemaConfig::new("visits");
//! config.segment_by = vec!["plan".into()];
//! config.suppression.k_min = 2;
//! config.suppression.max_share_percent = 60;
//! let csv = "plan,visits\n1,2\n1,3\n1,4\n0,5\n0,4\n0,6\n";
//! let built = build(std::io::Cursor::new(csv), &config)?;
//! assert_eq!(built.segments[0].label, "plan = 0");
//! assert_eq!(built.public_columns[1].name, "plan");
//! # Ok::<(), veilbourse_tabular::TabularError>(())
//! ```

mod build;
mod config;
mod error;
mod guard;
mod input;
mod model;
mod names;
mod parquet;
mod plan;
mod preview;
pub mod quantise;
mod reader;
pub mod reference;
mod report;
mod suppress;
mod survey;
mod twin;
mod twin_csv;

pub use build::{Built, build};
pub use config::{
    ColumnConfig, Kind, Limits, Missing, Outside, SchemaConfig, SecondMoments, Suppression,
};
pub use error::TabularError;
pub use input::is_parquet;
pub use model::{BoundModel, Coverage, LinearModel, MAX_MODEL_BYTES, ModelKind};
pub use plan::SegmentRows;
pub use preview::{Preview, preview};
pub use report::{ColumnReport, DropReason, Dropped, PublicReport, Report};
pub use twin::{BINS, Marginal, Marginals, Twin};
pub use twin_csv::TwinRows;
