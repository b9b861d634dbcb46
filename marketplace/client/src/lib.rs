//! What a custodian and a buyer run on their own machines: encrypt and commit
//! a table, deal opening tickets, list it, fit a query to a dataset's budget, quote, order, open,
//! read what was opened, train a regression on it.

pub mod buyer;
pub mod custodian;
pub mod dataset;
pub mod dealing;
pub mod disk;
pub mod error;
pub mod http;
pub mod market;
pub mod query;
pub mod train;
pub mod vault;

pub use dealing::DealingError;
pub use error::{ClientError, ResultError};
