//! Why a document was not accepted: one variant a rule.

use thiserror::Error;
use veilbourse_core::digest::Digest;

/// A refusal of a document.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum DocumentError {
    /// More bytes than a document of its type may have (first gate).
    #[error("{document}: {value} bytes exceed the limit {limit}")]
    TooLarge {
        /// The type.
        document: &'static str,
        /// The limit.
        limit: u64,
        /// The size found.
        value: u64,
    },
    /// Not the JSON of the type: unknown, missing or duplicate fields, another
    /// spelling of a number (DOC-1).
    #[error("{document}: {reason}")]
    Json {
        /// The type.
        document: &'static str,
        /// What the parser said, with the place.
        reason: String,
    },
    /// A version that this program does not read (DOC-2).
    #[error("{document}: version {found} is not supported (expected {expected})")]
    Version {
        /// The type.
        document: &'static str,
        /// Understood.
        expected: u16,
        /// Found.
        found: u16,
    },
    /// Of another marketplace (DOC-2).
    #[error("{document}: of marketplace {found}, expected {expected}")]
    Marketplace {
        /// The type.
        document: &'static str,
        /// This marketplace.
        expected: Digest,
        /// The one named.
        found: Digest,
    },
    /// The key is no point of the curve, or a weak one (DOC-1).
    #[error("{document}: the key is not a valid Ed25519 public key")]
    Key {
        /// The type.
        document: &'static str,
    },
    /// The signature does not verify (DOC-1).
    #[error("{document}: the signature does not verify under its key")]
    Signature {
        /// The type.
        document: &'static str,
    },
    /// Signed by another key than the one that must sign (DOC-3..9).
    #[error("{document}: signed by {found}, expected {expected}")]
    Signer {
        /// The type.
        document: &'static str,
        /// Who must sign.
        expected: String,
        /// Who signed.
        found: String,
    },
    /// A field differs from what another document of the chain says.
    #[error("{document}.{field}: {found}, expected {expected} as in the {other}")]
    Link {
        /// The type.
        document: &'static str,
        /// The field.
        field: &'static str,
        /// The document it is compared with.
        other: &'static str,
        /// What that one says.
        expected: String,
        /// What this one says.
        found: String,
    },
    /// A field's value is not allowed by itself.
    #[error("{document}.{field}: {reason}")]
    Invalid {
        /// The type.
        document: &'static str,
        /// The field.
        field: &'static str,
        /// Why, with the value.
        reason: String,
    },
    /// A sealed part does not open: another key, other context, or changed (DOC-6, DOC-10).
    #[error("sealed {what}: does not open under this key and context")]
    Seal {
        /// Model or result.
        what: &'static str,
    },
}
