//! Marlin and FRI provers, structured reference strings, witness generation
//! for the linear statement.
//!
//! In a browser only listings are proven: what needs a reference string, and the
//! C of `blst`, is not compiled for WebAssembly.

#[cfg(not(target_family = "wasm"))]
pub mod circuit;
pub mod commitment;
mod error;
#[cfg(not(target_family = "wasm"))]
pub mod linear;
pub mod listing;
#[cfg(not(target_family = "wasm"))]
pub mod marlin;
#[cfg(not(target_family = "wasm"))]
pub mod msm;
#[cfg(not(target_family = "wasm"))]
pub mod r1cs;
#[cfg(not(target_family = "wasm"))]
pub mod srs;

pub use error::ProverError;
