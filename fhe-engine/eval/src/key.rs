//! The data key S_D (protocol section 1): binary, N = 4096.

use crate::{EvalError, randomness};
use rand_core::CryptoRng;
use veilbourse_core::{
    field::Fq,
    params::DATA_RING_DIMENSION as N,
    ring::{Poly, Transformed},
    wire::{Reader, WireError, Writer},
};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Version of the key file's binary form.
pub const KEY_VERSION: u16 = 1;
const BIT_BYTES: usize = N / 8;

/// S_D. Erased when dropped; never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretKey {
    bits: Poly,
    transformed: Transformed,
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

impl SecretKey {
    /// Exact length of the encoding.
    pub const ENCODED_LEN: u64 = (2 + BIT_BYTES) as u64;

    /// A fresh key. A new version of a dataset takes a new one (DS-1).
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let bits = randomness::binary(&randomness::fresh_seed(rng));
        Self::from_bits(bits.iter().map(|b| *b == 1))
    }

    fn from_bits(source: impl Iterator<Item = bool>) -> Self {
        let mut bits = Poly::default();
        for (word, bit) in bits.iter_mut().zip(source) {
            *word = Fq::reduce(u64::from(bit));
        }
        let transformed = bits.transform();
        Self { bits, transformed }
    }

    /// The binary form of a key file: version, then 4096 bits, coefficient i
    /// at bit i mod 8 of byte i div 8.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut packed = Zeroizing::new([0u8; BIT_BYTES]);
        for (byte, bits) in packed.iter_mut().zip(self.bits.as_chunks::<8>().0) {
            for (i, bit) in bits.iter().enumerate() {
                *byte |= (bit.word() as u8) << i;
            }
        }
        let mut w = Writer::new();
        w.u16(KEY_VERSION).raw(packed.as_ref());
        Zeroizing::new(w.finish())
    }

    /// Reads a key file (WIRE-2, WIRE-3).
    pub fn decode(bytes: &[u8]) -> Result<Self, EvalError> {
        let field = "secret_key";
        if bytes.len() as u64 > Self::ENCODED_LEN {
            return Err(WireError::TooLarge {
                field,
                limit: Self::ENCODED_LEN,
                value: bytes.len() as u64,
            }
            .into());
        }
        let mut r = Reader::new(bytes);
        let found = r.u16("secret_key.version")?;
        if found != KEY_VERSION {
            return Err(WireError::Version {
                field: "secret_key.version",
                expected: u64::from(KEY_VERSION),
                found: u64::from(found),
            }
            .into());
        }
        let packed = r.take("secret_key.bits", BIT_BYTES)?;
        let bits = packed
            .iter()
            .flat_map(|byte| (0..8).map(move |i| byte >> i & 1 == 1));
        let key = Self::from_bits(bits);
        r.finish(field)?;
        Ok(key)
    }

    /// a S in R_N.
    pub(crate) fn times(&self, a: &Poly) -> Poly {
        let mut product = a.transform();
        product.mul_pointwise(&self.transformed);
        product.inverse()
    }

    /// Coefficient 0 of t S: t_0 s_0 - sum_{j>0} t_{N-j} s_j.
    pub(crate) fn constant_term(&self, t: &Poly) -> Fq {
        let first = t.iter().take(1).copied();
        let rest = t.iter().skip(1).rev().map(|w| -*w);
        first
            .chain(rest)
            .zip(self.bits.iter())
            .fold(Fq::ZERO, |sum, (w, s)| sum + w * *s)
    }

    /// The bits of S, for keyswitch keys (BST-5).
    pub(crate) fn bits(&self) -> &Poly {
        &self.bits
    }

    /// S as words, for comparison with other implementations in tests.
    #[doc(hidden)]
    pub fn expose_words(&self) -> Zeroizing<Vec<u64>> {
        Zeroizing::new(self.bits.words())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn key_files_round_trip_and_refuse() {
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
        let key = SecretKey::generate(&mut rng);
        let bytes = key.encode();
        assert_eq!(bytes.len() as u64, SecretKey::ENCODED_LEN);
        let back = SecretKey::decode(&bytes).unwrap();
        assert_eq!(back.expose_words(), key.expose_words());
        assert_ne!(
            SecretKey::generate(&mut rng).expose_words(),
            key.expose_words()
        );
        assert_eq!(format!("{key:?}"), "SecretKey(..)");
        for cut in [0, 1, 2, bytes.len() - 1] {
            assert!(matches!(
                SecretKey::decode(&bytes[..cut]),
                Err(EvalError::Wire(WireError::Truncated { .. }))
            ));
        }
        let mut long = bytes.to_vec();
        long.push(0);
        assert!(matches!(
            SecretKey::decode(&long),
            Err(EvalError::Wire(WireError::TooLarge { .. }))
        ));
        let mut other = bytes.to_vec();
        other[0] = 7;
        assert!(matches!(
            SecretKey::decode(&other),
            Err(EvalError::Wire(WireError::Version { found: 7, .. }))
        ));
    }

    #[test]
    fn products_with_the_key() {
        let key = SecretKey::generate(&mut rand_chacha::ChaCha20Rng::seed_from_u64(2));
        let a = veilbourse_core::xof::mask(veilbourse_core::xof::MaskKind::Glwe, &[9; 32]);
        let product = a.mul_schoolbook(&key.bits);
        assert!(key.times(&a) == product);
        assert_eq!(key.constant_term(&a), product[0]);
    }
}
