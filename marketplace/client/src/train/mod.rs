//! Linear regression from second moments (TRN): one order opens the row count,
//! sums, squares and products of the columns named; everything after that is
//! exact arithmetic on the buyer's machine.
//!
//! `columns` resolves names, `plan` finds the moments and makes the order,
//! `moments` adds them up (over listings too), `fit` solves, `quantisation`
//! says what the rounding of the data did, `training` is what is written down.

pub mod columns;
mod condition;
pub mod error;
pub mod exact;
pub mod fit;
pub mod joint;
pub mod moments;
pub mod plan;
pub mod quantisation;
pub mod training;

pub use columns::{Ask, Columns, Origin, Reference};
pub use error::TrainError;
pub use fit::{Coefficient, Fit, Method, fit};
pub use joint::JointPlan;
pub use moments::{Moments, MomentsError, Variable};
pub use plan::{OpenedSums, Plan};
pub use quantisation::Effect;
pub use training::{Source, Training};
