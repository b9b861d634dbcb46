//! Transcript, commitments, typed statements, the proof envelope, FRI and
//! Marlin verifiers, security accounting.
//!
//! Everything here takes bytes of others and returns a typed refusal: no
//! panic, no `unwrap`, no indexing outside tests.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic
    )
)]

pub mod ceremony;
pub mod commitment;
pub mod envelope;
pub mod field;
pub mod linear;
pub mod listing;
pub mod marlin;
pub mod poseidon;
mod refusal;
pub mod security;
mod statement;
pub mod transcript;

pub use envelope::{Envelope, Kind, Verified};
pub use refusal::Refusal;
pub use statement::{Evidence, Statement, verify};
