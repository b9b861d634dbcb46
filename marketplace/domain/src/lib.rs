//! Identifiers, money, roles and the one policy table; listing, order, job and
//! ledger states; ports.
//!
//! Everything here is pure: time and randomness are arguments, decisions are
//! functions of their inputs, and the traits of [`ports`] are the only way out.

pub mod access;
pub mod admit;
pub mod audit;
pub mod error;
pub mod id;
pub mod job;
pub mod joint;
pub mod ledger;
pub mod listing;
pub mod mail;
pub mod money;
pub mod order;
pub mod partners;
pub mod passwords;
pub mod people;
pub mod ports;
pub mod records;
pub mod scopes;
pub mod terms;
pub mod texts;
pub mod tickets;
pub mod webhooks;

#[cfg(test)]
mod admit_tests;
#[cfg(test)]
mod ledger_tests;
#[cfg(test)]
mod order_tests;
#[cfg(test)]
mod ticket_tests;

pub use error::DomainError;
pub use money::{MinorUnits, Split};
pub use veilbourse_core::digest::{Digest, Domain};

/// Milliseconds since the Unix epoch.
pub type Millis = u64;
/// Result of a domain operation.
pub type Result<T, E = DomainError> = std::result::Result<T, E>;
