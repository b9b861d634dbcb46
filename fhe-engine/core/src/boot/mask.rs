//! Masks of the seeded keys (BST-5): uniform words from a public seed and the
//! number of the ciphertext.

use super::params::{LWE, RING};
use crate::field::Fq;

/// Which key a mask belongs to; part of the derivation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyMask {
    /// A row of a bootstrap key: N words.
    Bootstrap,
    /// A row of a keyswitch key: n words.
    Keyswitch,
}

/// The mask of row `index`: the BLAKE3 XOF (key-derivation mode) of the seed
/// and the index (u32, little-endian), read as little-endian u64, words of q
/// or more skipped.
pub fn key_mask(kind: KeyMask, seed: &[u8; 32], index: u32) -> Vec<Fq> {
    let (context, len) = match kind {
        KeyMask::Bootstrap => ("veilbourse v1 bootstrap key mask", RING.0),
        KeyMask::Keyswitch => ("veilbourse v1 keyswitch key mask", LWE.0),
    };
    let mut reader = blake3::Hasher::new_derive_key(context)
        .update(seed)
        .update(&index.to_le_bytes())
        .finalize_xof();
    let mut out = Vec::with_capacity(len);
    let mut block = [0u8; 2048];
    loop {
        reader.fill(&mut block);
        for w in block.as_chunks::<8>().0 {
            if let Some(word) = Fq::new(u64::from_le_bytes(*w)) {
                out.push(word);
                if out.len() == len {
                    return out;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_functions_of_kind_seed_and_index() {
        // BST-5
        let a = key_mask(KeyMask::Bootstrap, &[1; 32], 7);
        assert_eq!(a.len(), RING.0);
        assert_eq!(a, key_mask(KeyMask::Bootstrap, &[1; 32], 7));
        assert_ne!(a, key_mask(KeyMask::Bootstrap, &[1; 32], 8));
        assert_ne!(a, key_mask(KeyMask::Bootstrap, &[2; 32], 7));
        let b = key_mask(KeyMask::Keyswitch, &[1; 32], 7);
        assert_eq!(b.len(), LWE.0);
        assert_ne!(a[..LWE.0], b);
        let mut reader = blake3::Hasher::new_derive_key("veilbourse v1 bootstrap key mask")
            .update(&[1; 32])
            .update(&[7, 0, 0, 0])
            .finalize_xof();
        let mut first = [0u8; 8];
        reader.fill(&mut first);
        assert_eq!(a[0].word(), u64::from_le_bytes(first));
    }
}
