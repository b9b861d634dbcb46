//! The one proof envelope: what is sent, stored and shown, whatever is proven.
//!
//! `{ version, kind, digest of the statement, body }`. A verifier always holds
//! the statement already (from manifest, order and output), so the envelope
//! names it and does not repeat it; a proof cannot choose what it proves. The
//! three gates (WIRE-3): the size that this statement's proof can have at
//! most, the version, then the shape.

use crate::Refusal;
use veilbourse_core::{
    digest::{Digest, Domain},
    wire::{Reader, WireError, Writer},
};

/// The envelope version this program reads and writes.
pub const ENVELOPE_VERSION: u16 = 1;
/// Bytes of an envelope besides its body.
const OVERHEAD: u64 = 2 + 1 + 32 + 4;

/// What kind of statement an envelope proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Sums and traced forms of a dataset (DS-4).
    Listing,
    /// One output of a linear program (LES).
    Linear,
}

impl Kind {
    /// The byte on the wire.
    pub const fn tag(self) -> u8 {
        match self {
            Self::Listing => 1,
            Self::Linear => 2,
        }
    }
}

/// A proof with what it proves. Reading one proves nothing: the `verify_`
/// functions do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The kind of statement.
    pub kind: Kind,
    /// Digest of the statement.
    pub statement: Digest,
    /// The proof, canonical for its kind.
    pub body: Vec<u8>,
}

impl Envelope {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let Self {
            kind,
            statement,
            body,
        } = self;
        let mut w = Writer::new();
        w.u16(ENVELOPE_VERSION)
            .u8(kind.tag())
            .raw(&statement.0)
            .bytes(body);
        w.finish()
    }

    /// The digest of the canonical bytes, as documents name it (DOC-7).
    pub fn digest(bytes: &[u8]) -> Digest {
        Digest::of(Domain::Proof, bytes)
    }

    /// Reads an envelope that must prove this statement of this kind, with a
    /// body of at most `limit` bytes.
    pub fn expect(
        bytes: &[u8],
        kind: Kind,
        statement: &Digest,
        limit: u64,
    ) -> Result<Self, Refusal> {
        if bytes.len() as u64 > limit + OVERHEAD {
            return Err(Refusal::Wire(WireError::TooLarge {
                field: "envelope",
                limit: limit + OVERHEAD,
                value: bytes.len() as u64,
            }));
        }
        let mut r = Reader::new(bytes);
        let version = r.u16("envelope.version")?;
        if version != ENVELOPE_VERSION {
            return Err(Refusal::Wire(WireError::Version {
                field: "envelope.version",
                expected: u64::from(ENVELOPE_VERSION),
                found: u64::from(version),
            }));
        }
        let found = r.u8("envelope.kind")?;
        if found != kind.tag() {
            return Err(Refusal::Kind {
                expected: kind.tag(),
                found,
            });
        }
        let found = Digest(r.array("envelope.statement")?);
        if found != *statement {
            return Err(Refusal::Statement {
                expected: *statement,
                found,
            });
        }
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let body = r.bytes("envelope.body", limit)?.to_vec();
        r.finish("envelope")?;
        Ok(Self {
            kind,
            statement: *statement,
            body,
        })
    }
}

/// A statement whose proof was verified. There is no other way to make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<S> {
    statement: S,
    envelope: Digest,
}

impl<S> Verified<S> {
    pub(crate) fn new(statement: S, envelope: Digest) -> Self {
        Self {
            statement,
            envelope,
        }
    }
    /// What is true.
    pub fn statement(&self) -> &S {
        &self.statement
    }
    /// Digest of the envelope that showed it.
    pub fn envelope(&self) -> Digest {
        self.envelope
    }
    /// Takes the statement out.
    pub fn into_statement(self) -> S {
        self.statement
    }
}
