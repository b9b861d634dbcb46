//! The secret keys of the bootstrap: S_B and the LWE key (BST-1).

use super::backend::best;
use crate::{EvalError, randomness};
use rand_core::CryptoRng;
use veilbourse_core::{
    boot::{
        LweCiphertext,
        lwe::BOOTSTRAP_VERSION,
        params::{LWE, LWE_NOISE, RING, RING_NOISE, TUniformBound},
    },
    field::Fq,
    wire::{Reader, WireError, Writer},
};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// S_B (2048 bits, the key of a bootstrap's output) and the LWE key (920 bits,
/// of its input after the keyswitch). Erased when dropped; never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct BootstrapSecret {
    lwe: Vec<Fq>,
    ring: Vec<Fq>,
    ring_transformed: Vec<Fq>,
}

impl std::fmt::Debug for BootstrapSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BootstrapSecret(..)")
    }
}

impl BootstrapSecret {
    /// Exact length of the encoding.
    pub const ENCODED_LEN: u64 = (2 + LWE.0 / 8 + RING.0 / 8) as u64;

    /// Fresh keys.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let lwe = randomness::bits(&randomness::fresh_seed(rng), LWE.0);
        let ring = randomness::bits(&randomness::fresh_seed(rng), RING.0);
        let of = |bits: &[u64]| bits.iter().map(|b| Fq::reduce(*b)).collect();
        Self::new(of(&lwe), of(&ring))
    }

    fn new(lwe: Vec<Fq>, ring: Vec<Fq>) -> Self {
        let mut ring_transformed = ring.clone();
        best().forward(&mut ring_transformed);
        Self {
            lwe,
            ring,
            ring_transformed,
        }
    }

    /// The binary form of a key file: version, 920 bits, 2048 bits, bit i of
    /// each at bit i mod 8 of its byte i div 8.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut packed = Zeroizing::new(Vec::with_capacity(Self::ENCODED_LEN as usize));
        for bits in self
            .lwe
            .as_chunks::<8>()
            .0
            .iter()
            .chain(self.ring.as_chunks::<8>().0)
        {
            let byte = bits
                .iter()
                .rev()
                .fold(0u8, |byte, bit| byte << 1 | bit.word() as u8);
            packed.push(byte);
        }
        let mut w = Writer::new();
        w.u16(BOOTSTRAP_VERSION).raw(&packed);
        Zeroizing::new(w.finish())
    }

    /// Reads a key file (BST-4).
    pub fn decode(bytes: &[u8]) -> Result<Self, EvalError> {
        let field = "bootstrap_secret";
        if bytes.len() as u64 > Self::ENCODED_LEN {
            return Err(WireError::TooLarge {
                field,
                limit: Self::ENCODED_LEN,
                value: bytes.len() as u64,
            }
            .into());
        }
        let mut r = Reader::new(bytes);
        let found = r.u16("bootstrap_secret.version")?;
        if found != BOOTSTRAP_VERSION {
            return Err(WireError::Version {
                field: "bootstrap_secret.version",
                expected: u64::from(BOOTSTRAP_VERSION),
                found: u64::from(found),
            }
            .into());
        }
        let unpack = |packed: &[u8]| {
            packed
                .iter()
                .flat_map(|byte| (0..8).map(move |i| Fq::reduce(u64::from(byte >> i & 1))))
                .collect::<Vec<_>>()
        };
        let lwe = unpack(r.take("bootstrap_secret.lwe", LWE.0 / 8)?);
        let ring = unpack(r.take("bootstrap_secret.ring", RING.0 / 8)?);
        r.finish(field)?;
        Ok(Self::new(lwe, ring))
    }

    /// The LWE key's bits.
    pub(super) fn lwe(&self) -> &[Fq] {
        &self.lwe
    }
    /// S_B's bits.
    pub(super) fn ring(&self) -> &[Fq] {
        &self.ring
    }
    /// S_B, transformed.
    pub(super) fn ring_transformed(&self) -> &[Fq] {
        &self.ring_transformed
    }

    /// Encrypts a word under S_B, as a bootstrap's output is.
    pub fn encrypt_ring(&self, message: Fq, rng: &mut impl CryptoRng) -> LweCiphertext {
        encrypt(&self.ring, RING_NOISE, message, rng)
    }
    /// Encrypts a word under the LWE key.
    pub fn encrypt_lwe(&self, message: Fq, rng: &mut impl CryptoRng) -> LweCiphertext {
        encrypt(&self.lwe, LWE_NOISE, message, rng)
    }
    /// The phase of a ciphertext under S_B. With the ciphertext it gives the
    /// key away: never leaves its holder.
    pub fn phase_ring(&self, c: &LweCiphertext) -> Result<Fq, EvalError> {
        phase(&self.ring, c)
    }
    /// The phase of a ciphertext under the LWE key.
    pub fn phase_lwe(&self, c: &LweCiphertext) -> Result<Fq, EvalError> {
        phase(&self.lwe, c)
    }

    /// Both keys as words, for comparison with other implementations in tests.
    #[doc(hidden)]
    pub fn expose_words(&self) -> [Zeroizing<Vec<u64>>; 2] {
        [&self.lwe, &self.ring]
            .map(|key| Zeroizing::new(key.iter().map(|bit| bit.word()).collect()))
    }
}

fn encrypt(
    key: &[Fq],
    noise: TUniformBound,
    message: Fq,
    rng: &mut impl CryptoRng,
) -> LweCiphertext {
    let error = randomness::samples(&randomness::fresh_seed(rng), noise, 1);
    let mut body = message + error.iter().fold(Fq::ZERO, |s, e| s + Fq::from_i64(*e));
    let mask = key
        .iter()
        .map(|bit| {
            let a = uniform(rng);
            body += a * *bit;
            a
        })
        .collect();
    LweCiphertext { mask, body }
}

/// A uniform word, by rejection.
fn uniform(rng: &mut impl CryptoRng) -> Fq {
    loop {
        if let Some(word) = Fq::new(rng.next_u64()) {
            return word;
        }
    }
}

fn phase(key: &[Fq], c: &LweCiphertext) -> Result<Fq, EvalError> {
    if c.mask.len() != key.len() {
        return Err(EvalError::Count {
            field: "lwe.mask",
            expected: key.len(),
            found: c.mask.len(),
        });
    }
    let inner = key
        .iter()
        .zip(&c.mask)
        .fold(Fq::ZERO, |sum, (s, a)| sum + *s * *a);
    Ok(c.body - inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn key_files_round_trip_and_refuse() {
        // BST-4
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
        let key = BootstrapSecret::generate(&mut rng);
        let bytes = key.encode();
        assert_eq!(bytes.len() as u64, BootstrapSecret::ENCODED_LEN);
        let back = BootstrapSecret::decode(&bytes).unwrap();
        assert_eq!(back.expose_words(), key.expose_words());
        assert_eq!(format!("{key:?}"), "BootstrapSecret(..)");
        for cut in [0, 1, 2, 116, 117, bytes.len() - 1] {
            assert!(matches!(
                BootstrapSecret::decode(&bytes[..cut]),
                Err(EvalError::Wire(WireError::Truncated { .. }))
            ));
        }
        let mut long = bytes.to_vec();
        long.push(0);
        assert!(matches!(
            BootstrapSecret::decode(&long),
            Err(EvalError::Wire(WireError::TooLarge { .. }))
        ));
        let mut other = bytes.to_vec();
        other[1] = 1;
        assert!(matches!(
            BootstrapSecret::decode(&other),
            Err(EvalError::Wire(WireError::Version { found: 257, .. }))
        ));
    }

    #[test]
    fn fresh_encryptions_have_their_noise() {
        // BST-1
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(2);
        let key = BootstrapSecret::generate(&mut rng);
        let message = Fq::reduce(1 << 60);
        for _ in 0..50 {
            let c = key.encrypt_lwe(message, &mut rng);
            let noise = key.phase_lwe(&c).unwrap() - message;
            assert!(noise.centred().unsigned_abs() <= 1 << 45);
            assert!(matches!(
                key.phase_ring(&c),
                Err(EvalError::Count {
                    field: "lwe.mask",
                    expected: 2048,
                    found: 920
                })
            ));
            let c = key.encrypt_ring(message, &mut rng);
            let noise = key.phase_ring(&c).unwrap() - message;
            assert!(noise.centred().unsigned_abs() <= 1 << 17);
        }
    }
}
