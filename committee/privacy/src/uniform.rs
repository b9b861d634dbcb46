//! Uniform integers below a bound, by rejection from uniform bits: exact, and
//! the same on every platform for the same words of the generator.
//!
//! A draw takes the bits of `bound - 1` from whole 64-bit words, least
//! significant first, the last word masked; a value not below the bound is
//! drawn anew. At least half of the draws are kept.

use crypto_bigint::U256;
use rand_core::CryptoRng;

/// Uniform on 0..bound; 0 for a bound of 0 or 1 (nothing is drawn).
pub(crate) fn below(bound: u128, rng: &mut impl CryptoRng) -> u128 {
    let bits = 128 - bound.saturating_sub(1).leading_zeros();
    if bits == 0 {
        return 0;
    }
    let mask = u128::MAX >> (128 - bits);
    loop {
        let low = u128::from(rng.next_u64());
        let high = if bits > 64 {
            u128::from(rng.next_u64())
        } else {
            0
        };
        let value = (low | (high << 64)) & mask;
        if value < bound {
            return value;
        }
    }
}

/// True with probability numerator / denominator (PRV-1); always for
/// numerator >= denominator.
pub(crate) fn bernoulli(numerator: u128, denominator: u128, rng: &mut impl CryptoRng) -> bool {
    below(denominator, rng) < numerator
}

/// [`bernoulli`] for 256-bit integers.
pub(crate) fn bernoulli_wide(
    numerator: &U256,
    denominator: &U256,
    rng: &mut impl CryptoRng,
) -> bool {
    let bits = denominator.saturating_sub(&U256::ONE).bits_vartime();
    loop {
        let mut words = [0u128; 2];
        for (i, word) in words.iter_mut().enumerate() {
            for half in 0..2 {
                let at = 128 * i + 64 * half;
                if bits > at {
                    let kept = (bits - at).min(64);
                    let drawn = rng.next_u64() & (u64::MAX >> (64 - kept));
                    *word |= u128::from(drawn) << (64 * half);
                }
            }
        }
        let [low, high] = words;
        let value = U256::from((U256::from_u128(high).shl_vartime(128)) | U256::from_u128(low));
        if value < *denominator || bits == 0 {
            return value < *numerator;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    #[test]
    fn draws_are_below_and_reach_every_value() {
        // PRV-1: exact uniform draws.
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for bound in [1u128, 2, 3, 5, 64, 65] {
            let mut seen = vec![false; bound as usize];
            for _ in 0..2000 {
                seen[below(bound, &mut rng) as usize] = true;
            }
            assert!(seen.iter().all(|s| *s), "{bound}");
        }
        for bound in [1u128 << 64, (1 << 64) + 1, u128::MAX] {
            let top = (0..200).map(|_| below(bound, &mut rng)).max().unwrap();
            assert!(top < bound && top > bound / 2, "{bound}");
        }
    }

    #[test]
    fn wide_and_narrow_coins_agree() {
        // PRV-1: the same words give the same answer while both can hold the fraction.
        for (n, d) in [
            (0u128, 1u128),
            (1, 1),
            (1, 2),
            (2, 3),
            (5, 1 << 70),
            (1 << 99, 1 << 100),
        ] {
            let mut a = ChaCha20Rng::seed_from_u64(2);
            let mut b = ChaCha20Rng::seed_from_u64(2);
            for _ in 0..500 {
                assert_eq!(
                    bernoulli(n, d, &mut a),
                    bernoulli_wide(&U256::from_u128(n), &U256::from_u128(d), &mut b),
                    "{n}/{d}"
                );
            }
        }
    }
}
