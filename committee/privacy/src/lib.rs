//! Differential privacy of opened integers (PRV): exact noise, what it costs,
//! how costs add up, and the error that people should expect.
//!
//! Algorithms 1 to 3 and the conversion to (epsilon, delta) are those of
//! Canonne, Kamath and Steinke, "The Discrete Gaussian for Differential
//! Privacy" (arXiv 2004.00010, "CKS"); zero-concentrated differential privacy
//! (zCDP) is Bun and Steinke's (arXiv 1605.02065, "BS").
//!
//! Called by the custodian's dealing (noise inside an opening ticket), by every
//! key node (what an opening costs) and by quotes (the error to expect). What
//! decides is integer arithmetic; floats appear only in [`conversion`],
//! [`forecast`] and [`law`], which are read by people. Randomness is an
//! argument. Builds for wasm32.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic
    )
)]

mod budget;
mod calibrate;
pub mod conversion;
mod error;
pub mod forecast;
mod joint;
mod json;
pub mod law;
mod mechanism;
mod rational;
mod sampler;
mod sensitivity;
mod uniform;
mod wide;

pub use budget::{Budget, RHO_FRACTION_BITS, Rho};
pub use error::PrivacyError;
pub use forecast::Forecast;
pub use joint::MAX_SUMMANDS;
pub use mechanism::{MAX_NOISE_BOUND_LOG2, MECHANISM_BYTES, Mechanism, Scale, TAIL_LOG2, Variance};
pub use rational::Rational;
pub use sampler::{Sampler, bernoulli_exp};
pub use sensitivity::{ColumnTerm, MAX_SENSITIVITY, Neighbours, Sensitivity};
