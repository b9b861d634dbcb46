//! What a custodian and a buyer run on their own machines: encrypt and commit
//! a table, fit a query to a dataset's budget, read what was opened.

pub mod custodian;
pub mod error;
pub mod http;
pub mod query;

pub use error::ClientError;
