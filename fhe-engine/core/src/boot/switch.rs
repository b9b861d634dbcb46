//! The modulus switch from q to 2N with mean compensation (BST-6), in integers.

use super::{
    lwe::LweCiphertext,
    params::{GROUPING, PATTERNS, SWITCHED_MODULUS},
};
use crate::field::MODULUS;

/// A ciphertext modulo 2N = 4096.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switched {
    /// Mask words in [0, 4096).
    pub mask: Vec<u16>,
    /// Body word in [0, 4096).
    pub body: u16,
}

impl Switched {
    /// The exponents of X for every pattern of the bits of one step: sums mod
    /// 4096 of the mask words that a pattern names (BST-7).
    pub fn exponents(group: &[u16]) -> [u16; PATTERNS] {
        let mut out = [0u16; PATTERNS];
        for (pattern, exponent) in out.iter_mut().enumerate() {
            let sum: u32 = group
                .iter()
                .take(GROUPING)
                .enumerate()
                .filter(|(bit, _)| pattern >> bit & 1 == 1)
                .map(|(_, word)| u32::from(*word))
                .sum();
            *exponent = (u64::from(sum) % SWITCHED_MODULUS) as u16;
        }
        out
    }
}

/// For each mask word a: u = floor((2 4096 a + q) / 2q), its error
/// E = 4096 a - u q, and a~ = u mod 4096 (so 4096 becomes 0). The body takes
/// half of the errors along, which is their mean over binary keys:
/// b~ = floor((2 4096 b - sum E + q) / 2q) mod 4096.
pub fn modulus_switch(input: &LweCiphertext) -> Switched {
    let q = i128::from(MODULUS);
    let scale = i128::from(SWITCHED_MODULUS);
    let wrap = |u: i128| u.rem_euclid(scale) as u16;
    let mut errors = 0i128;
    let mask = input
        .mask
        .iter()
        .map(|a| {
            let scaled = scale * i128::from(a.word());
            let u = (2 * scaled + q) / (2 * q);
            // |E| <= q / 2, and there are at most 2^32 words.
            errors += scaled - u * q;
            wrap(u)
        })
        .collect();
    let body = (2 * scale * i128::from(input.body.word()) - errors + q).div_euclid(2 * q);
    Switched {
        mask,
        body: wrap(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::Fq;
    use proptest::prelude::*;

    fn lwe(mask: &[u64], body: u64) -> LweCiphertext {
        LweCiphertext {
            mask: mask.iter().map(|w| Fq::reduce(*w)).collect(),
            body: Fq::reduce(body),
        }
    }

    #[test]
    fn edges_of_the_switch() {
        // BST-6: q - 1 rounds to 4096, which is 0; halves round up.
        let step = MODULUS / 4096;
        let s = modulus_switch(&lwe(&[0, MODULUS - 1, step, step / 2, step / 2 + 1], 0));
        assert_eq!(s.mask, [0, 0, 1, 0, 1]);
        assert_eq!(modulus_switch(&lwe(&[], MODULUS - 1)).body, 0);
        assert_eq!(modulus_switch(&lwe(&[], step * 5)).body, 5);
        // An error of nearly half a step in many words moves the body.
        let s = modulus_switch(&lwe(&[step / 2; 8], 0));
        assert_eq!((s.mask[0], s.body), (0, 4094));
        let s = modulus_switch(&lwe(&[step / 2 + 1; 8], 0));
        assert_eq!((s.mask[0], s.body), (1, 2));
    }

    #[test]
    fn exponents_are_subset_sums() {
        // BST-7
        let e = Switched::exponents(&[1, 20, 300, 4000]);
        assert_eq!(e[0], 0);
        assert_eq!(e[0b0101], 301);
        assert_eq!(e[0b1111], (4321 % 4096) as u16);
    }

    proptest! {
        #[test]
        fn the_phase_is_kept_within_half_a_step_a_word(
            words in prop::collection::vec((0..MODULUS, any::<bool>()), 1..64), body in 0..MODULUS
        ) {
            // BST-6: 4096 phase - q phase~ = sum (1/2 - s_i) E_i up to half a
            // step, exactly, whatever the key.
            let (mask, key): (Vec<u64>, Vec<bool>) = words.into_iter().unzip();
            let s = modulus_switch(&lwe(&mask, body));
            let q = i128::from(MODULUS);
            let (mut exact, mut switched, mut bound) =
                (4096 * i128::from(body), i128::from(s.body), q + 1);
            for ((a, small), bit) in mask.iter().zip(&s.mask).zip(&key) {
                let error = 4096 * i128::from(*a) - q * i128::from(*small);
                let error = error - if error > q { 4096 * q } else { 0 };
                bound += error.abs();
                if *bit {
                    exact -= 4096 * i128::from(*a);
                    switched -= i128::from(*small);
                }
            }
            let difference = (exact - q * switched).rem_euclid(4096 * q);
            let difference = difference.min(4096 * q - difference);
            prop_assert!(2 * difference <= bound, "{} {}", difference, bound);
        }
    }
}
