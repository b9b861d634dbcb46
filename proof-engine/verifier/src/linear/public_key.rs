//! The data key's public key: an encryption of zero whose mask anyone derives
//! from a label, and whose body the manifest names by digest (DS-6).

use crate::{Refusal, commitment::ROWS};
use veilbourse_core::{
    digest::{Digest, Domain},
    field::MODULUS,
    manifest::Manifest,
};

const MASK_CONTEXT: &str = "veilbourse v1 public key mask";

/// p = (p_0, p_1), checked against a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    mask: Vec<u64>,
    body: Vec<u64>,
}

impl PublicKey {
    /// Takes the body that the manifest names; derives the mask (LES-11).
    pub fn new(manifest: &Manifest, body: Vec<u64>) -> Result<Self, Refusal> {
        if body.len() != ROWS {
            return Err(Refusal::Ciphertext {
                part: "public key body",
                expected: ROWS,
                found: body.len(),
            });
        }
        if let Some((index, &word)) = body.iter().enumerate().find(|(_, w)| **w >= MODULUS) {
            return Err(Refusal::Word {
                field: "public key body",
                index,
                word,
            });
        }
        let found = Self::body_digest(&body);
        if found != manifest.public_key_body {
            return Err(Refusal::PublicKey {
                expected: manifest.public_key_body,
                found,
            });
        }
        Ok(Self {
            mask: Self::mask_of(&manifest.public_key_label),
            body,
        })
    }

    /// p_0: N words.
    pub fn mask(&self) -> &[u64] {
        &self.mask
    }
    /// p_1: N words.
    pub fn body(&self) -> &[u64] {
        &self.body
    }

    /// The digest of a body: its words, little-endian.
    pub fn body_digest(body: &[u64]) -> Digest {
        let bytes: Vec<u8> = body.iter().flat_map(|w| w.to_le_bytes()).collect();
        Digest::of(Domain::PublicKey, &bytes)
    }

    /// The XOF output of a label: little-endian words, those of q or more
    /// skipped.
    pub fn mask_of(label: &Digest) -> Vec<u64> {
        let mut xof = blake3::Hasher::new_derive_key(MASK_CONTEXT)
            .update(&label.0)
            .finalize_xof();
        let mut words = Vec::with_capacity(ROWS);
        let mut buffer = [0u8; 8];
        while words.len() < ROWS {
            xof.fill(&mut buffer);
            let w = u64::from_le_bytes(buffer);
            if w < MODULUS {
                words.push(w);
            }
        }
        words
    }
}
