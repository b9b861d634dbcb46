//! The proof: thirteen points and five scalars, always (MAR-1).

use super::{MarlinRefusal, key::read_g1, point_bytes};
use crate::field::{fr_bytes, fr_from_bytes};
use ark_bls12_381::{Fr, G1Affine};
use veilbourse_core::wire::{Reader, WireError, Writer};

/// Exact length of an encoded proof.
pub const PROOF_BYTES: usize = 13 * 48 + 5 * 32;

/// A Marlin proof; its shape is its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarlinProof {
    /// Round 1: w, hiding.
    pub w: G1Affine,
    /// Round 1: z_A, hiding.
    pub z_a: G1Affine,
    /// Round 1: z_B, hiding.
    pub z_b: G1Affine,
    /// Round 1: the mask s, hiding.
    pub s: G1Affine,
    /// Round 2: t.
    pub t: G1Affine,
    /// Round 2: g_1.
    pub g1: G1Affine,
    /// Round 2: X^(D - |H| + 2) g_1.
    pub g1_shifted: G1Affine,
    /// Round 2: h_1.
    pub h1: G1Affine,
    /// Round 3: g_2.
    pub g2: G1Affine,
    /// Round 3: X^(D - |K| + 2) g_2.
    pub g2_shifted: G1Affine,
    /// Round 3: h_2.
    pub h2: G1Affine,
    /// z_B(beta).
    pub z_b_beta: Fr,
    /// t(beta).
    pub t_beta: Fr,
    /// g_1(beta).
    pub g1_beta: Fr,
    /// g_2(gamma).
    pub g2_gamma: Fr,
    /// Witness of the batched opening at beta.
    pub opening_beta: G1Affine,
    /// Witness of the batched opening at gamma.
    pub opening_gamma: G1Affine,
    /// The batched hiding polynomial at beta.
    pub blinding_beta: Fr,
}

impl MarlinProof {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let Self {
            w: com_w,
            z_a,
            z_b,
            s,
            t,
            g1,
            g1_shifted,
            h1,
            g2,
            g2_shifted,
            h2,
            z_b_beta,
            t_beta,
            g1_beta,
            g2_gamma,
            opening_beta,
            opening_gamma,
            blinding_beta,
        } = self;
        let mut out = Writer::new();
        for p in [
            com_w, z_a, z_b, s, t, g1, g1_shifted, h1, g2, g2_shifted, h2,
        ] {
            out.raw(&point_bytes(p));
        }
        for x in [z_b_beta, t_beta, g1_beta, g2_gamma] {
            out.raw(&fr_bytes(x));
        }
        out.raw(&point_bytes(opening_beta));
        out.raw(&point_bytes(opening_gamma));
        out.raw(&fr_bytes(blinding_beta));
        out.finish()
    }

    /// Reads a proof: exact length, canonical scalars, points of the subgroup
    /// (MAR-1, MAR-8).
    pub fn decode(bytes: &[u8]) -> Result<Self, MarlinRefusal> {
        if bytes.len() > PROOF_BYTES {
            return Err(WireError::TooLarge {
                field: "marlin_proof",
                limit: PROOF_BYTES as u64,
                value: bytes.len() as u64,
            }
            .into());
        }
        let mut r = Reader::new(bytes);
        let proof = Self {
            w: read_g1(&mut r, "w")?,
            z_a: read_g1(&mut r, "z_a")?,
            z_b: read_g1(&mut r, "z_b")?,
            s: read_g1(&mut r, "s")?,
            t: read_g1(&mut r, "t")?,
            g1: read_g1(&mut r, "g1")?,
            g1_shifted: read_g1(&mut r, "g1_shifted")?,
            h1: read_g1(&mut r, "h1")?,
            g2: read_g1(&mut r, "g2")?,
            g2_shifted: read_g1(&mut r, "g2_shifted")?,
            h2: read_g1(&mut r, "h2")?,
            z_b_beta: scalar(&mut r, "z_b_beta")?,
            t_beta: scalar(&mut r, "t_beta")?,
            g1_beta: scalar(&mut r, "g1_beta")?,
            g2_gamma: scalar(&mut r, "g2_gamma")?,
            opening_beta: read_g1(&mut r, "opening_beta")?,
            opening_gamma: read_g1(&mut r, "opening_gamma")?,
            blinding_beta: scalar(&mut r, "blinding_beta")?,
        };
        r.finish("marlin_proof")?;
        Ok(proof)
    }
}

fn scalar(r: &mut Reader<'_>, field: &'static str) -> Result<Fr, MarlinRefusal> {
    fr_from_bytes(&r.array(field)?).ok_or(MarlinRefusal::Scalar { field })
}
