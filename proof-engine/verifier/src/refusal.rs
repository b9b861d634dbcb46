//! Why a proof is refused: one variant a rule, saying expected and got.

use crate::{ceremony::CeremonyRefusal, commitment::CommitmentError, linear::MatrixKind};
use thiserror::Error;
use veilbourse_core::{digest::Digest, wire::WireError};

/// Why a verifier refuses.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Bytes that are not a canonical value (WIRE-1..4).
    #[error("{0}")]
    Wire(#[from] WireError),
    /// The ceremony claimed for a reference string is not shown (CER-9).
    #[error("ceremony: {0}")]
    Ceremony(#[from] CeremonyRefusal),
    /// The envelope holds a proof of another kind.
    #[error("envelope: a proof of kind {found}, expected {expected}")]
    Kind {
        /// The kind expected.
        expected: u8,
        /// The kind found.
        found: u8,
    },
    /// The envelope holds a proof of another statement.
    #[error("envelope: proves statement {found}, expected {expected}")]
    Statement {
        /// Digest of the statement to be verified.
        expected: Digest,
        /// Digest the envelope names.
        found: Digest,
    },
    /// The statement names another dataset than the manifest's (DS-5).
    #[error("dataset: the manifest has root {found}, the statement names {expected}")]
    Dataset {
        /// D of the statement.
        expected: Digest,
        /// Root of the manifest given.
        found: Digest,
    },
    /// The manifest breaks its own rules.
    #[error("manifest: {0}")]
    Manifest(WireError),
    /// Matrix, weights or bounds do not conform (LES-1).
    #[error("program: {0}")]
    Program(WireError),
    /// Another public key than the manifest's (DS-6, LES-11).
    #[error("public key: {found}, expected {expected}")]
    PublicKey {
        /// The manifest's label or body digest.
        expected: Digest,
        /// The digest found.
        found: Digest,
    },
    /// The output ciphertext has the wrong form for its matrix.
    #[error("output ciphertext: {found:?} (form, rows), expected {expected:?}")]
    Ciphertext {
        /// Form and true rows of the matrix.
        expected: (MatrixKind, u64),
        /// Form and rows of the ciphertext.
        found: (MatrixKind, u64),
    },
    /// An element of Fr that is not canonical (LES-5).
    #[error("{field}: not a canonical element of Fr")]
    Scalar {
        /// Which element.
        field: &'static str,
    },
    /// The opening of the committed matrices is refused (DS-2, LES-3).
    #[error("opening: {0}")]
    Opening(#[from] CommitmentError),
    /// The equation at zeta does not hold (LES-3).
    #[error("evaluation: the weighted sum of the columns is not the output ciphertext")]
    Equation,
    /// The statement names another verifying key than the one given (LES-4).
    #[error("verifying key: {found}, the statement names {expected}")]
    VerifyingKey {
        /// The statement's.
        expected: Digest,
        /// The one given.
        found: Digest,
    },
    /// The verifying key belongs to another structured reference string.
    #[error("structured reference string: {found}, the statement names {expected}")]
    Srs {
        /// The statement's.
        expected: Digest,
        /// The key's.
        found: Digest,
    },
    /// Something that this statement cannot be verified without.
    #[error("no {0} was given to verify with")]
    Missing(&'static str),
    /// The public inputs of the circuit cannot be formed (LES-6..8).
    #[error("circuit: {0}")]
    Circuit(String),
    /// Marlin refuses (MAR-1..9).
    #[error("marlin: {0}")]
    Marlin(String),
    /// Published sums of the wrong shape (DS-4).
    #[error("sums: segment {segment} has {found} columns, expected {expected}")]
    SumShape {
        /// The segment.
        segment: usize,
        /// Columns expected.
        expected: usize,
        /// Columns found.
        found: usize,
    },
    /// The published sums are not those the manifest commits to (DS-4).
    #[error("sums: segment {segment} has root {found}, the manifest says {expected}")]
    SumRoot {
        /// The segment.
        segment: usize,
        /// The manifest's root.
        expected: Digest,
        /// The root of the published words.
        found: Digest,
    },
    /// The traced masks are not those of the published sums (DS-3, DS-4).
    #[error("traced masks: segment {segment} has root {found}, the manifest says {expected}")]
    TracedRoot {
        /// The segment.
        segment: usize,
        /// The manifest's root.
        expected: Digest,
        /// The root recomputed from the sums.
        found: Digest,
    },
    /// A traced body is not that of the published sums (DS-3, DS-4).
    #[error("traced bodies: segment {segment}, column {column}: {found}, expected {expected}")]
    TracedBody {
        /// The segment.
        segment: usize,
        /// The column.
        column: usize,
        /// Recomputed from the sums.
        expected: u64,
        /// The manifest's word.
        found: u64,
    },
    /// The sum of a segment's only chunk is not that chunk (DS-4).
    #[error("sums: segment {segment} has one chunk of root {expected}, its sum has {found}")]
    SumOfOneChunk {
        /// The segment.
        segment: usize,
        /// The chunk's root.
        expected: Digest,
        /// The sum's root.
        found: Digest,
    },
    /// The sums are not the sums over the chunks (DS-4).
    #[error("sums: segment {segment}, column {column} is not the sum over the chunks")]
    SumOfChunks {
        /// The segment.
        segment: usize,
        /// The matrix column (2f mask, 2f + 1 body).
        column: usize,
    },
}
