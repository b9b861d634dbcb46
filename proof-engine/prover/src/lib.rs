//! Marlin and FRI provers, structured reference strings, witness generation
//! for the linear statement.

pub mod circuit;
pub mod commitment;
mod error;
pub mod linear;
pub mod listing;
pub mod marlin;
pub mod msm;
pub mod r1cs;
pub mod srs;

pub use error::ProverError;
