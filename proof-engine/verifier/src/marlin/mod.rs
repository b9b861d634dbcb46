//! Marlin (ePrint 2019/1047): the argument of knowledge for private weights.
//!
//! A holographic argument for R1CS with jointly arithmetised matrices over
//! BLS12-381 and KZG commitments. Rules MAR-1..10; the protocol, its degrees
//! and its error terms are in docs/spec/marlin.md.

mod key;
mod proof;
mod verify;

pub(crate) use key::canonical;
pub use key::{InputPositions, Shift, VerifyingKey, shift_exponent};
pub use proof::{MarlinProof, PROOF_BYTES};
pub use verify::{challenges, verify};

use ark_bls12_381::{Fr, G1Affine};
use ark_ff::PrimeField;
use ark_serialize::CanonicalSerialize;
use thiserror::Error;
use veilbourse_core::wire::WireError;

/// Most constraints and most non-zeros a key may name: 2^20.
pub const MAX_LOG_SIZE: u32 = 20;

/// Why a Marlin proof or key was refused; one variant a rule.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum MarlinRefusal {
    /// Bytes that are no proof or key (WIRE, MAR-1).
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A point that is not on the curve, not in the subgroup or not canonical
    /// (MAR-8).
    #[error("{field}: not the canonical encoding of a point of the group")]
    Point {
        /// Which commitment.
        field: &'static str,
    },
    /// A scalar of r or more (MAR-8).
    #[error("{field}: not a canonical scalar")]
    Scalar {
        /// Which evaluation.
        field: &'static str,
    },
    /// Sizes that no circuit has (MAR-2).
    #[error("verifying key: {0}")]
    Key(String),
    /// Another number of public inputs than the key's (MAR-3).
    #[error("{found} public inputs, the key has {expected}")]
    PublicInputs {
        /// The key's.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// The equations at beta and gamma, the degree bounds and the openings do
    /// not all hold (MAR-4, MAR-6): one pairing product.
    #[error("the pairing equation does not hold")]
    Pairing,
    /// A challenge hit a pole (probability below 2^-200; MAR-7).
    #[error("a challenge is a root of {0}")]
    ZeroDivisor(&'static str),
}

/// Compressed canonical bytes of a point.
pub(crate) fn point_bytes(p: &G1Affine) -> Vec<u8> {
    let mut out = Vec::with_capacity(48);
    // Writing to a Vec cannot fail.
    let _ = p.serialize_compressed(&mut out);
    out
}

/// x^e for a small exponent.
pub(crate) fn power(x: Fr, e: u64) -> Fr {
    use ark_ff::Field;
    x.pow([e])
}

/// Uniform scalar from 64 bytes of a secret generator (bias below 2^-255).
pub fn scalar_from_wide(bytes: &[u8; 64]) -> Fr {
    Fr::from_le_bytes_mod_order(bytes)
}
