//! Secret bits and noise, drawn with `tfhe`'s samplers from the caller's
//! randomness. Noise never derives from a public seed (DS-1).

use rand_core::CryptoRng;
use tfhe::core_crypto::{
    commons::math::random::RandomGenerator,
    prelude::{DefaultRandomGenerator, SecretRandomGenerator, TUniform},
};
use tfhe_csprng::seeders::Seed;
use veilbourse_core::{
    boot::params::TUniformBound,
    params::{DATA_NOISE_TUNIFORM, DATA_RING_DIMENSION as N},
};
use zeroize::Zeroizing;

/// A fresh 128-bit seed of `tfhe`'s AES counter-mode generator.
pub(crate) fn fresh_seed(rng: &mut impl CryptoRng) -> Zeroizing<u128> {
    let mut bytes = Zeroizing::new([0u8; 16]);
    rng.fill_bytes(bytes.as_mut());
    Zeroizing::new(u128::from_le_bytes(*bytes))
}

/// N uniform bits.
pub(crate) fn binary(seed: &Zeroizing<u128>) -> Zeroizing<Vec<u64>> {
    bits(seed, N)
}

/// Uniform bits.
pub(crate) fn bits(seed: &Zeroizing<u128>, count: usize) -> Zeroizing<Vec<u64>> {
    let mut bits = Zeroizing::new(vec![0u64; count]);
    SecretRandomGenerator::<DefaultRandomGenerator>::new(Seed(**seed))
        .fill_slice_with_random_uniform_binary_bits(bits.as_mut_slice());
    bits
}

/// N samples of TUniform(3), as integers.
pub(crate) fn noise(seed: &Zeroizing<u128>) -> Zeroizing<Vec<i64>> {
    samples(seed, TUniformBound(DATA_NOISE_TUNIFORM), N)
}

/// Samples of TUniform(b), as integers.
pub(crate) fn samples(
    seed: &Zeroizing<u128>,
    bound: TUniformBound,
    count: usize,
) -> Zeroizing<Vec<i64>> {
    let mut generator = RandomGenerator::<DefaultRandomGenerator>::new(Seed(**seed));
    let mut words = Zeroizing::new(vec![0u64; count]);
    generator.fill_slice_with_random_from_distribution(
        words.as_mut_slice(),
        TUniform::<u64>::new(bound.0),
    );
    // Negative samples are two's complement words.
    Zeroizing::new(words.iter().map(|w| *w as i64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_its_law() {
        // BUD-3: TUniform(3): ends at half weight, variance 21.5.
        let mut count = [0u32; 17];
        for s in 0..64 {
            for e in noise(&Zeroizing::new(s)).iter() {
                count[usize::try_from(e + 8).unwrap()] += 1;
            }
        }
        let n = f64::from(count.iter().sum::<u32>());
        let mut chi_squared = 0.0;
        for (i, c) in count.iter().enumerate() {
            let p = if i == 0 || i == 16 {
                1.0 / 32.0
            } else {
                1.0 / 16.0
            };
            chi_squared += (f64::from(*c) - n * p).powi(2) / (n * p);
        }
        // 16 degrees of freedom: mean 16, deviation 5.7.
        assert!(chi_squared < 50.0, "{chi_squared}");
    }

    #[test]
    fn bits_are_balanced() {
        let bits = binary(&Zeroizing::new(1));
        let ones: u64 = bits.iter().sum();
        assert!(bits.iter().all(|b| *b < 2));
        assert!((1850..2250).contains(&ones), "{ones}");
    }
}
