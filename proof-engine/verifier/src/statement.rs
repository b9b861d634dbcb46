//! Every statement this program can verify, and the one gate.

use crate::{
    Envelope, Kind, Refusal, Verified,
    linear::{LinearStatement, PrivateEvidence, verify_linear},
    listing::{ListingStatement, verify_listing},
};
use veilbourse_core::{ciphertext::SumData, digest::Digest, manifest::Manifest};

/// What an envelope can prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// Sums and traced forms of a dataset (DS-4).
    Listing(ListingStatement),
    /// One output of a linear program (LES).
    Linear(Box<LinearStatement>),
}

impl Statement {
    /// The kind of envelope that proves it.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Listing(_) => Kind::Listing,
            Self::Linear(_) => Kind::Linear,
        }
    }

    /// The digest that the envelope names.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Listing(s) => s.digest(),
            Self::Linear(s) => s.digest(),
        }
    }
}

/// What a verifier knows besides the statement.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The manifest of the dataset.
    pub manifest: &'a Manifest,
    /// The published sums of each segment, needed by listings.
    pub sums: Option<&'a [SumData]>,
    /// Public key and verifying key, needed by private weights.
    pub private: Option<&'a PrivateEvidence<'a>>,
}

/// Verifies that the envelope proves the statement.
pub fn verify(
    statement: Statement,
    evidence: &Evidence<'_>,
    envelope: &[u8],
) -> Result<Verified<Statement>, Refusal> {
    match &statement {
        Statement::Listing(listing) => {
            let root = evidence.manifest.root();
            if listing.dataset != root {
                return Err(Refusal::Dataset {
                    expected: listing.dataset,
                    found: root,
                });
            }
            let sums = evidence.sums.ok_or(Refusal::Missing("published sums"))?;
            verify_listing(evidence.manifest, sums, envelope)?;
        }
        Statement::Linear(linear) => {
            verify_linear(
                (**linear).clone(),
                evidence.manifest,
                evidence.private,
                envelope,
            )?;
        }
    }
    Ok(Verified::new(statement, Envelope::digest(envelope)))
}
