//! Poseidon over Fr of BLS12-381 (ePrint 2019/458): width 9, x^5, 8 full and 63
//! partial rounds (128 bits by the paper's script for this width), constants
//! from the Grain LFSR as the paper specifies (through `ark-crypto-primitives`).
//!
//! Inputs have a fixed length, which is part of the initial capacity together
//! with a tag: two uses never share a sponge (LES-5).

use crate::field::Fr;
use ark_crypto_primitives::sponge::poseidon::find_poseidon_ark_and_mds;
use ark_ff::{Field, PrimeField, Zero};
use std::sync::OnceLock;

/// Elements absorbed by a permutation.
pub const RATE: usize = 8;
/// State width: one capacity element, then the rate.
pub const WIDTH: usize = RATE + 1;
/// Full rounds, half before and half after the partial ones.
pub const FULL_ROUNDS: usize = 8;
/// Partial rounds.
pub const PARTIAL_ROUNDS: usize = 63;

/// Round constants and matrix.
#[derive(Debug)]
pub struct Parameters {
    /// `round_constants[r][i]`.
    pub round_constants: Vec<Vec<Fr>>,
    /// `mds[i][j]`: new state i from old state j.
    pub mds: Vec<Vec<Fr>>,
}

impl Parameters {
    /// Whether round r applies the S-box to the whole state.
    pub fn is_full(round: usize) -> bool {
        !(FULL_ROUNDS / 2..FULL_ROUNDS / 2 + PARTIAL_ROUNDS).contains(&round)
    }
}

/// The one parameter set.
pub fn parameters() -> &'static Parameters {
    static PARAMETERS: OnceLock<Parameters> = OnceLock::new();
    PARAMETERS.get_or_init(|| {
        let (round_constants, mds) = find_poseidon_ark_and_mds::<Fr>(
            u64::from(Fr::MODULUS_BIT_SIZE),
            RATE,
            FULL_ROUNDS as u64,
            PARTIAL_ROUNDS as u64,
            0,
        );
        Parameters {
            round_constants,
            mds,
        }
    })
}

/// What a hash is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// M, the commitment to weights.
    Weights,
    /// h, the binding of weights and re-randomisation.
    Binding,
}

impl Tag {
    /// The initial capacity for an input of `length` elements.
    pub fn capacity(self, length: usize) -> Fr {
        let name: &[u8] = match self {
            Self::Weights => b"veilbourse M v1",
            Self::Binding => b"veilbourse h v1",
        };
        Fr::from_le_bytes_mod_order(name) * Fr::from(1u64 << 32) + Fr::from(length as u64)
    }
}

/// Hashes a fixed-length input.
pub fn hash(tag: Tag, input: &[Fr]) -> Fr {
    let mut state = [Fr::zero(); WIDTH];
    if let Some(c) = state.first_mut() {
        *c = tag.capacity(input.len());
    }
    for block in input.chunks(RATE) {
        for (s, x) in state.iter_mut().skip(1).zip(block) {
            *s += x;
        }
        permute(&mut state);
    }
    state.get(1).copied().unwrap_or_default()
}

fn permute(state: &mut [Fr; WIDTH]) {
    let p = parameters();
    for (round, constants) in p.round_constants.iter().enumerate() {
        for (s, c) in state.iter_mut().zip(constants) {
            *s += c;
        }
        let boxes = if Parameters::is_full(round) { WIDTH } else { 1 };
        for s in state.iter_mut().take(boxes) {
            *s *= s.square().square();
        }
        let mut next = [Fr::zero(); WIDTH];
        for (n, row) in next.iter_mut().zip(&p.mds) {
            *n = row.iter().zip(state.iter()).map(|(m, s)| *m * s).sum();
        }
        *state = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_crypto_primitives::sponge::{
        CryptographicSponge,
        poseidon::{PoseidonConfig, PoseidonSponge},
    };

    #[test]
    fn the_permutation_is_that_of_the_library() {
        let p = parameters();
        assert_eq!(p.round_constants.len(), FULL_ROUNDS + PARTIAL_ROUNDS);
        assert!(
            p.round_constants
                .iter()
                .chain(&p.mds)
                .all(|r| r.len() == WIDTH)
        );
        let config = PoseidonConfig::new(
            FULL_ROUNDS,
            PARTIAL_ROUNDS,
            5,
            p.mds.clone(),
            p.round_constants.clone(),
            RATE,
            1,
        );
        let input: Vec<Fr> = (1..=8u64).map(Fr::from).collect();
        let mut sponge = PoseidonSponge::new(&config);
        sponge.absorb(&input);
        let theirs: Vec<Fr> = sponge.squeeze_field_elements(1);
        let mut state = [Fr::zero(); WIDTH];
        for (s, x) in state.iter_mut().skip(1).zip(&input) {
            *s = *x;
        }
        permute(&mut state);
        assert_eq!(state[1], theirs[0]);
    }

    // Computed by a program written from ePrint 2019/458 alone (Grain LFSR,
    // Cauchy matrix); input i is 3^(200 + i). A changed round constant, matrix,
    // tag or padding changes every commitment ever signed.
    #[test]
    fn frozen_vectors() {
        let mut lines = 0;
        for line in include_str!("../tests/vectors/poseidon-v1.txt").lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            let tag = match fields[0] {
                "M" => Tag::Weights,
                _ => Tag::Binding,
            };
            let n: u64 = fields[1].parse().unwrap();
            let input: Vec<Fr> = (0..n).map(|i| Fr::from(3u64).pow([200 + i])).collect();
            let limbs = hash(tag, &input).into_bigint().0;
            let found: String = limbs.iter().rev().map(|l| format!("{l:016x}")).collect();
            assert_eq!(found, fields[2], "{line}");
            lines += 1;
        }
        assert_eq!(lines, 6);
    }

    #[test]
    fn tags_and_lengths_separate() {
        // LES-5
        let x = [Fr::from(1u64), Fr::zero()];
        let all = [
            hash(Tag::Weights, &x),
            hash(Tag::Binding, &x),
            hash(Tag::Weights, &x[..1]),
            hash(Tag::Weights, &[x[0], x[1], x[1]]),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|b| a != b));
        }
    }
}
