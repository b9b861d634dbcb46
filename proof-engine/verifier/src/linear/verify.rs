//! Verifies a linear statement (LES-3 public weights, LES-4..9 private ones).
//! The statement comes from the verifier's side, the envelope only proves it
//! (LES-12).

use super::{
    LinearStatement, Matrix, PrivateEvidence, Visibility, equation,
    private::{for_this_key, verify_private},
};
use crate::{
    Refusal,
    commitment::{OpeningProof, max_opening_bytes, verify_opening},
    envelope::{Envelope, Kind, Verified},
    field::{Fr, fr_bytes, fr_from_bytes},
};
use veilbourse_core::{
    manifest::Manifest,
    wire::{Reader, Writer},
};

/// Most bytes of a Marlin proof in an envelope; its type fixes the exact size.
const MAX_MARLIN_BYTES: u32 = 4096;

/// The body of a private statement's envelope: h, the opening, the Marlin
/// proof.
#[derive(Debug, Clone)]
pub struct PrivateBody {
    /// h (LES-5).
    pub binding: Fr,
    /// The columns at zeta.
    pub opening: OpeningProof,
    /// The Marlin proof's canonical bytes.
    pub marlin: Vec<u8>,
}

impl PrivateBody {
    /// The canonical bytes.
    pub fn encode(&self, matrix: &Matrix) -> Vec<u8> {
        let Self {
            binding,
            opening,
            marlin,
        } = self;
        let mut w = Writer::new();
        w.raw(&fr_bytes(binding))
            .bytes(&opening.encode(matrix.set))
            .bytes(marlin);
        w.finish()
    }

    /// Reads the canonical bytes.
    pub fn decode(matrix: &Matrix, bytes: &[u8]) -> Result<Self, Refusal> {
        let mut r = Reader::new(bytes);
        let binding =
            fr_from_bytes(&r.array("linear.binding")?).ok_or(Refusal::Scalar { field: "h" })?;
        let widths = [matrix.claim.width];
        let limit = max_opening_bytes(matrix.set, &widths);
        let opening = r.bytes("linear.opening", u32::try_from(limit).unwrap_or(u32::MAX))?;
        let opening = OpeningProof::decode(matrix.set, &widths, opening)?;
        let marlin = r.bytes("linear.marlin", MAX_MARLIN_BYTES)?.to_vec();
        r.finish("linear")?;
        Ok(Self {
            binding,
            opening,
            marlin,
        })
    }
}

/// Most bytes an envelope's body can take for this statement (first gate).
pub fn linear_body_limit(visibility: &Visibility, matrix: &Matrix) -> u64 {
    let opening = max_opening_bytes(matrix.set, &[matrix.claim.width]);
    match visibility {
        Visibility::Public { .. } => opening,
        Visibility::Private { .. } => 32 + 4 + opening + 4 + u64::from(MAX_MARLIN_BYTES),
    }
}

/// Verifies that the envelope proves the statement against the manifest.
/// `private` is what private weights need besides (LES-11).
pub fn verify_linear(
    statement: LinearStatement,
    manifest: &Manifest,
    private: Option<&PrivateEvidence<'_>>,
    envelope: &[u8],
) -> Result<Verified<LinearStatement>, Refusal> {
    let matrix = statement.conform(manifest)?;
    let limit = linear_body_limit(&statement.visibility, &matrix);
    let digest = statement.digest();
    let body = Envelope::expect(envelope, Kind::Linear, &digest, limit)?.body;
    match &statement.visibility {
        Visibility::Public { weights } => {
            verify_public(&statement, manifest, &matrix, weights, &body)?;
        }
        Visibility::Private {
            srs, verifying_key, ..
        } => {
            let evidence = private.ok_or(Refusal::Missing("public key and verifying key"))?;
            for_this_key(srs, verifying_key, evidence)?;
            verify_private(&statement, manifest, &matrix, evidence, &body)?;
        }
    }
    Ok(Verified::new(statement, Envelope::digest(envelope)))
}

/// LES-3: the opened columns, weighted, are A at zeta.
fn verify_public(
    statement: &LinearStatement,
    manifest: &Manifest,
    matrix: &Matrix,
    weights: &[i64],
    body: &[u8],
) -> Result<(), Refusal> {
    let proof = OpeningProof::decode(matrix.set, &[matrix.claim.width], body)?;
    let (mut t, zeta) = statement.transcript(manifest, matrix, None);
    let opened = verify_opening(&mut t, matrix.set, zeta.0, &[matrix.claim], proof)?.into_first();
    let columns = equation::column_values(matrix, &opened, zeta.0);
    let public = equation::public_values(matrix, zeta.0);
    if equation::weighted_sum(weights, &columns, &public) == statement.target(zeta) {
        Ok(())
    } else {
        Err(Refusal::Equation)
    }
}
