//! Four-bit digits and tables (BST-9): what a bootstrap reads and evaluates.

use super::params::{RING, SWITCHED_MODULUS};
use crate::field::{Fq, MODULUS};

/// Values of a digit.
pub const DIGITS: usize = 16;
/// Exponents that one digit takes: 128 of the 2048 with the padding bit clear.
const BOX: usize = RING.0 / DIGITS;

/// m q / 32, rounded: the digit's place with one bit of padding above it.
pub const fn encode_digit(m: u8) -> Fq {
    Fq::reduce_wide((2 * m as u128 * MODULUS as u128 + 32) / 64)
}

/// The digit nearest to a phase, or nothing where that is not one of sixteen.
pub fn decode_digit(phase: Fq) -> Option<u8> {
    let q = u128::from(MODULUS);
    let nearest = (64 * u128::from(phase.word()) + q) / (2 * q) % 32;
    (nearest < DIGITS as u128).then_some(nearest as u8)
}

/// The sixteen words that a bootstrap maps digits to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigitTable {
    outputs: [Fq; DIGITS],
}

impl DigitTable {
    /// Any sixteen words: a bootstrap's output encrypts `outputs[m]`.
    pub const fn new(outputs: [Fq; DIGITS]) -> Self {
        Self { outputs }
    }
    /// A table from digits to digits.
    pub fn of_digits(f: impl Fn(u8) -> u8) -> Self {
        Self::new(std::array::from_fn(|m| encode_digit(f(m as u8))))
    }
    /// The words.
    pub const fn outputs(&self) -> &[Fq; DIGITS] {
        &self.outputs
    }
    /// The test polynomial v times X^(-body): where blind rotation starts.
    ///
    /// v_j is the output whose digit is nearest to j: boxes of 128, the first
    /// one centred on 0, so that its lower half lies at the end and, X^N being
    /// -1, is negated there.
    pub fn rotated(&self, body: u16) -> Vec<Fq> {
        let n = RING.0;
        let coefficient = |j: usize| match self.outputs.get((j + BOX / 2) / BOX) {
            Some(word) => *word,
            None => -self.outputs[0],
        };
        let shift = usize::from(body);
        (0..n)
            .map(|i| {
                // Coefficient i of X^-shift v is v_(i + shift), X^N = -1.
                let j = (i + shift) % SWITCHED_MODULUS as usize;
                if j < n {
                    coefficient(j)
                } else {
                    -coefficient(j - n)
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_back_from_half_their_distance() {
        // BST-9
        let half = MODULUS / 64;
        for m in 0..16u8 {
            let place = encode_digit(m);
            assert_eq!(decode_digit(place), Some(m));
            assert_eq!(decode_digit(place + Fq::reduce(half - 1)), Some(m));
            assert_eq!(decode_digit(place - Fq::reduce(half - 1)), Some(m));
        }
        assert_eq!(decode_digit(encode_digit(16)), None);
        assert_eq!(decode_digit(-encode_digit(1)), None);
    }

    #[test]
    fn constant_coefficients_follow_the_table() {
        // BST-9: rotation by the digit's place and up to 63 around it.
        let table = DigitTable::new(std::array::from_fn(|m| Fq::reduce(1000 + m as u64)));
        for m in 0..16i64 {
            for error in [-64i64, -1, 0, 1, 63] {
                let body = (128 * m + error).rem_euclid(4096) as u16;
                let first = table.rotated(body)[0];
                assert_eq!(first, Fq::reduce(1000 + m as u64), "{m} {error}");
            }
        }
        assert_eq!(table.rotated(2048)[0], -Fq::reduce(1000));
        assert_eq!(table.rotated(64)[2047], -table.rotated(63)[0]);
    }
}
