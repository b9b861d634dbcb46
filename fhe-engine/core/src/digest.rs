//! 32-byte digests with a domain: BLAKE3 in key-derivation mode, so that no
//! two kinds of value share a hash input (rule WIRE-5).

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A BLAKE3 digest. Prints and serialises as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub [u8; 32]);

/// What a digest is of; the context string is part of the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// The dataset root D (rule DS-5).
    Dataset,
    /// The body of a public key (rule DS-6).
    PublicKey,
    /// A program's public shape (rule LES-1).
    Program,
    /// An output ciphertext A (rule LES-3).
    Output,
    /// A linear statement (rule LES-4).
    Statement,
    /// A proof envelope.
    Proof,
    /// Anything named by its own context string.
    Other(&'static str),
}

impl Domain {
    fn context(self) -> &'static str {
        match self {
            Self::Dataset => "veilbourse v1 dataset root",
            Self::PublicKey => "veilbourse v1 public key body",
            Self::Program => "veilbourse v1 program shape",
            Self::Output => "veilbourse v1 output ciphertext",
            Self::Statement => "veilbourse v1 linear statement",
            Self::Proof => "veilbourse v1 proof envelope",
            Self::Other(s) => s,
        }
    }
}

impl Digest {
    /// Hashes `bytes` in a domain.
    pub fn of(domain: Domain, bytes: &[u8]) -> Self {
        Self(blake3::derive_key(domain.context(), bytes))
    }
    /// Reads 64 hex digits.
    pub fn from_hex(s: &str) -> Option<Self> {
        let mut out = [0u8; 32];
        hex::decode_to_slice(s, &mut out).ok()?;
        (s == hex::encode(out)).then_some(Self(out))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}
impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.to_string())
    }
}
impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let s = String::deserialize(d)?;
        Self::from_hex(&s)
            .ok_or_else(|| serde::de::Error::custom("expected 64 lower-case hex digits"))
    }
}
