//! Why a transcript, or what names one, is refused: one variant a rule.

use thiserror::Error;
use veilbourse_core::{digest::Digest, wire::WireError};

/// Why a ceremony was refused. Contributions count from 1.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum CeremonyRefusal {
    /// Bytes that are no transcript (CER-1).
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Another curve or another number of hiding powers (CER-1).
    #[error("ceremony.{field}: {found}, only {expected} is known")]
    Shape {
        /// Which.
        field: &'static str,
        /// The one understood.
        expected: u8,
        /// The one found.
        found: u8,
    },
    /// A degree that no string has (CER-1).
    #[error("ceremony.degree: {value} is not 3 x 2^L for L in {least}..={most}")]
    Degree {
        /// Least L.
        least: u32,
        /// Greatest L.
        most: u32,
        /// The degree.
        value: u64,
    },
    /// A name or purpose that is no short line of text (CER-1).
    #[error("ceremony.{field}: {reason}")]
    Text {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// No room for another contribution (CER-1).
    #[error("ceremony.contributions: {value} exceeds the limit {limit}")]
    Full {
        /// Most.
        limit: u32,
        /// How many there would be.
        value: u32,
    },
    /// A point that is not canonical, on the curve and in the group (CER-2).
    #[error("contribution {number}: {field} is not the canonical encoding of a point of the group")]
    Point {
        /// Which contribution.
        number: u32,
        /// Which point.
        field: &'static str,
    },
    /// A scalar of r or more (CER-2).
    #[error("contribution {number}: {field} is not a canonical scalar")]
    Scalar {
        /// Which contribution.
        number: u32,
        /// Which scalar.
        field: &'static str,
    },
    /// The identity: a factor or a nonce of zero (CER-2).
    #[error("contribution {number}: {field} is the identity")]
    Identity {
        /// Which contribution.
        number: u32,
        /// Which point.
        field: &'static str,
    },
    /// A factor of one, or one that undoes earlier contributions (CER-3).
    #[error("contribution {number}: {field} is what it was after contribution {earlier}")]
    Repeated {
        /// Which contribution.
        number: u32,
        /// tau or gamma.
        field: &'static str,
        /// Where it was the same; 0 is the start.
        earlier: u32,
    },
    /// The factor's proof of knowledge does not hold (CER-4).
    #[error("contribution {number}: the proof of knowledge of its factor of {field} does not hold")]
    Proof {
        /// Which contribution.
        number: u32,
        /// tau or gamma.
        field: &'static str,
    },
    /// No Ed25519 key, or a weak one (CER-5).
    #[error("contribution {number}: its key is no strong Ed25519 key")]
    Key {
        /// Which contribution.
        number: u32,
    },
    /// The signature is not the key's over this contribution here (CER-5).
    #[error("contribution {number}: its signature does not hold")]
    Signature {
        /// Which contribution.
        number: u32,
    },
    /// A key that contributed before (CER-5).
    #[error("contribution {number}: its key made contribution {earlier} already")]
    DuplicateKey {
        /// Which contribution.
        number: u32,
        /// The earlier one.
        earlier: u32,
    },
    /// Too few contributions to be called a ceremony (CER-8).
    #[error("{value} contributions, a ceremony has at least {limit}")]
    TooFew {
        /// Fewest.
        limit: u32,
        /// How many there are.
        value: u32,
    },
    /// Points that are not those of the last contribution (CER-7).
    #[error("the string's {field} is {found}, the transcript says {expected}")]
    Points {
        /// Which.
        field: &'static str,
        /// The transcript's.
        expected: String,
        /// The string's.
        found: String,
    },
    /// A ceremony is claimed and no transcript given (CER-9).
    #[error("a ceremony is claimed, its transcript is missing")]
    Missing,
    /// A transcript where no ceremony is claimed (CER-9).
    #[error("a transcript is given, no ceremony is claimed")]
    Unasked,
    /// What is claimed is not what the transcript shows (CER-9).
    #[error("{field}: {found} is claimed, the transcript shows {expected}")]
    Claim {
        /// Which claim.
        field: &'static str,
        /// What the transcript shows.
        expected: String,
        /// What is claimed.
        found: String,
    },
    /// A verifying key whose elements are not those of the ceremony (CER-10).
    #[error("verifying key: its {field} is not the ceremony's")]
    VerifyingKey {
        /// Which element.
        field: &'static str,
    },
}

impl CeremonyRefusal {
    pub(super) fn claim(
        field: &'static str,
        expected: &impl ToString,
        found: &impl ToString,
    ) -> Self {
        Self::Claim {
            field,
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }

    /// The string's `field` is not the transcript's.
    pub fn points(field: &'static str, expected: &Digest, found: &Digest) -> Self {
        Self::Points {
            field,
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }
}
