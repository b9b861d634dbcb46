//! Why a proof cannot be made.

use thiserror::Error;
use veilbourse_core::wire::WireError;
use veilbourse_verifier::{Refusal, ceremony::CeremonyRefusal, commitment::CommitmentError};

/// Why a proof cannot be made.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum ProverError {
    /// A matrix cannot be committed.
    #[error(transparent)]
    Commitment(#[from] CommitmentError),
    /// An input does not conform.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The statement does not conform, or the proof just made is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A ceremony's transcript, or points that are not those it ends with (CER).
    #[error(transparent)]
    Ceremony(#[from] CeremonyRefusal),
    /// Plonky3's prover failed.
    #[error("FRI prover: {0}")]
    Fri(String),
    /// The matrix given is not the one the manifest commits to.
    #[error("{matrix}: the words have root {found}, the manifest says {expected}")]
    Root {
        /// Which matrix.
        matrix: String,
        /// The manifest's commitment.
        expected: String,
        /// The commitment of the words given.
        found: String,
    },
    /// The circuit, its assignment or its keys do not belong together.
    #[error("circuit: {0}")]
    Circuit(String),
    /// The proof just made does not verify: the claim is false.
    #[error("the claim is false: {0}")]
    FalseClaim(String),
}
