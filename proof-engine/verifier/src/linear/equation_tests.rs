//! The O(N) formulas against the definitions of docs/spec/linear.md, done
//! coefficient by coefficient.

use super::*;
use crate::{commitment::Claim, field::fq2};
use p3_field::PrimeField64;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use veilbourse_core::{digest::Digest, field::MODULUS, ring::Poly};

fn word_vec(rng: &mut ChaCha12Rng) -> Vec<u64> {
    (0..ROWS).map(|_| rng.random_range(0..MODULUS)).collect()
}

/// X p in R_N, written out.
fn times_x(p: &[u64]) -> Vec<u64> {
    let mut out = vec![0; p.len()];
    out[0] = (-Fq::new(p[p.len() - 1])).as_canonical_u64();
    out[1..].copy_from_slice(&p[..p.len() - 1]);
    out
}

fn point(rng: &mut ChaCha12Rng) -> Fq2 {
    fq2(
        Fq::new(rng.random_range(0..MODULUS)),
        Fq::new(rng.random_range(1..MODULUS)),
    )
}

fn matrix(kind: MatrixKind, rows: u64) -> Matrix {
    Matrix {
        kind,
        claim: Claim {
            root: Digest::default(),
            width: 0,
        },
        set: &crate::commitment::FRI_BLAKE3_V1,
        segment_rows: rows,
        rows,
        message_log2: 13,
        traced_bodies: vec![5, MODULUS - 1],
        ranges: vec![1, 1],
        public_values: vec![1, -7],
    }
}

#[test]
fn rerandomisers_are_the_rotated_public_key() {
    let mut rng = ChaCha12Rng::seed_from_u64(4);
    let key = PublicKey {
        label: Digest([3; 32]),
        body: Poly::from_words("body", &word_vec(&mut rng)).unwrap(),
    };
    let zeta = point(&mut rng);
    for kind in [MatrixKind::Traced, MatrixKind::Chunk] {
        let fast = rerandomisers(kind, &key, zeta);
        assert_eq!(fast.len(), ROWS);
        let (mut p0, mut p1) = (key.mask().words(), key.body.words());
        for (i, r) in fast.iter().enumerate() {
            if i < 5 || i % 411 == 0 || i + 3 > ROWS {
                let body = match kind {
                    MatrixKind::Traced => evaluate(&p1[..1], zeta),
                    MatrixKind::Chunk => evaluate(&p1, zeta),
                };
                let slow = evaluate(&p0, zeta) + top_power(zeta) * body;
                assert_eq!(*r, slow, "{kind:?} i = {i}");
            }
            p0 = times_x(&p0);
            p1 = times_x(&p1);
        }
    }
}

#[test]
fn public_columns_are_the_trivial_ciphertexts() {
    let mut rng = ChaCha12Rng::seed_from_u64(5);
    let zeta = point(&mut rng);
    for rows in [1u64, 2, 1000, ROWS as u64] {
        for kind in [MatrixKind::Traced, MatrixKind::Chunk] {
            let m = matrix(kind, rows);
            let fast = public_values(&m, zeta);
            for (c, fast) in m.public_values.iter().zip(fast) {
                let value = fq_signed(*c) * Fq::new(1 << 13);
                let mut words = vec![0u64; 2 * ROWS];
                match kind {
                    MatrixKind::Traced => {
                        words[ROWS] = (value * Fq::new(rows)).as_canonical_u64();
                    }
                    MatrixKind::Chunk => {
                        words[ROWS..ROWS + rows as usize].fill(value.as_canonical_u64())
                    }
                }
                assert_eq!(fast, evaluate(&words, zeta), "{kind:?} rows {rows}");
            }
        }
    }
}

#[test]
fn column_values_join_mask_and_body() {
    let mut rng = ChaCha12Rng::seed_from_u64(6);
    let zeta = point(&mut rng);
    let (a, b) = (word_vec(&mut rng), word_vec(&mut rng));
    let at = |w: &[u64]| evaluate(w, zeta);
    let chunk = column_values(&matrix(MatrixKind::Chunk, 1), &[at(&a), at(&b)], zeta);
    let joined: Vec<u64> = a.iter().chain(&b).copied().collect();
    assert_eq!(chunk, [at(&joined)]);
    let traced = column_values(&matrix(MatrixKind::Traced, 1), &[at(&a), at(&b)], zeta);
    let first: Vec<u64> = a.iter().chain(&[5]).copied().collect();
    let second: Vec<u64> = b.iter().chain(&[MODULUS - 1]).copied().collect();
    assert_eq!(traced, [at(&first), at(&second)]);
}

#[test]
fn powers_count_the_coefficients_of_the_error() {
    let mut rng = ChaCha12Rng::seed_from_u64(7);
    let zeta = point(&mut rng);
    let traced = error_powers(MatrixKind::Traced, zeta);
    let chunk = error_powers(MatrixKind::Chunk, zeta);
    assert_eq!((traced.len(), chunk.len()), (ROWS + 1, 2 * ROWS));
    assert_eq!(traced[ROWS], top_power(zeta));
    assert_eq!(chunk[ROWS + 1], top_power(zeta) * zeta);
}

#[test]
fn weighted_sum_takes_signs_mod_q() {
    let mut rng = ChaCha12Rng::seed_from_u64(8);
    let (x, y, z) = (point(&mut rng), point(&mut rng), point(&mut rng));
    assert_eq!(
        weighted_sum(&[3, -2, 1], &[x, y], &[z]),
        x * Fq::new(3) - y * Fq::new(2) + z
    );
}
