//! Public masks from seeds (rules DS-1, DS-6).

use crate::{field::Fq, params::DATA_RING_DIMENSION as N, ring::Poly};

/// What a mask is for; part of the derivation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaskKind {
    /// The mask of a ciphertext, from its seed (DS-1).
    Glwe,
    /// The mask of a public key, from its label (DS-6).
    PublicKey,
}

/// N uniform words: the BLAKE3 XOF (key-derivation mode) of `seed`, read as
/// little-endian u64, words of q or more skipped.
pub fn mask(kind: MaskKind, seed: &[u8; 32]) -> Poly {
    let context = match kind {
        MaskKind::Glwe => "veilbourse v1 glwe mask",
        MaskKind::PublicKey => "veilbourse v1 public key mask",
    };
    let mut reader = blake3::Hasher::new_derive_key(context)
        .update(seed)
        .finalize_xof();
    let mut out = Vec::with_capacity(N);
    let mut block = [0u8; 4096];
    'fill: loop {
        reader.fill(&mut block);
        for w in block.as_chunks::<8>().0 {
            if let Some(c) = Fq::new(u64::from_le_bytes(*w)) {
                out.push(c);
                if out.len() == N {
                    break 'fill;
                }
            }
        }
    }
    // `out` has exactly N words here.
    Poly::from_coefficients(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        // DS-1, DS-6: frozen; a change would orphan every uploaded dataset.
        let a = mask(MaskKind::Glwe, &[7; 32]);
        let b = mask(MaskKind::PublicKey, &[7; 32]);
        assert_ne!(a, b);
        let mut reader = blake3::Hasher::new_derive_key("veilbourse v1 glwe mask")
            .update(&[7; 32])
            .finalize_xof();
        let mut first = [0u8; 8];
        reader.fill(&mut first);
        assert_eq!(a[0].word(), u64::from_le_bytes(first));
        assert_eq!(
            hex::encode(&blake3::hash(&a.to_bytes()).as_bytes()[..8]),
            KNOWN_GLWE,
            "the mask expansion changed"
        );
    }
    const KNOWN_GLWE: &str = "31cb02a6c4decdfb";
}
