//! Marlin and FRI provers, structured reference strings, witness generation
//! for the linear statement.

pub mod commitment;
mod error;
pub mod linear;
pub mod listing;

pub use error::ProverError;
