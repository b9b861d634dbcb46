//! Commitments: agreement with Plonky3's own commit, refusals of bad columns,
//! the folding schedule. Openings are tested with the prover.

use super::*;
use p3_field::coset::TwoAdicMultiplicativeCoset;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use veilbourse_core::field::MODULUS;

fn columns(width: usize, seed: u64) -> Vec<Vec<u64>> {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    (0..width)
        .map(|_| (0..ROWS).map(|_| rng.random_range(0..MODULUS)).collect())
        .collect()
}

#[test]
fn root_is_that_of_the_pcs_on_evaluations() {
    // DS-2: "each column is a polynomial in coefficient form, its DFT is committed".
    let cols = columns(3, 1);
    let (root, _) = commit(&FRI_BLAKE3_V1, &slices(&cols)).unwrap();
    let mut coefficients = Fq::zero_vec(3 * ROWS);
    for (f, c) in cols.iter().enumerate() {
        for (i, w) in c.iter().enumerate() {
            coefficients[3 * i + f] = Fq::new(*w);
        }
    }
    let evaluations = Radix2DitParallel::default()
        .dft_batch(RowMajorMatrix::new(coefficients, 3))
        .to_row_major_matrix();
    let domain = TwoAdicMultiplicativeCoset::new(Fq::ONE, LOG_ROWS).unwrap();
    let pcs = FRI_BLAKE3_V1.pcs();
    let (expected, _) =
        <Pcs as p3_commit::Pcs<Fq2, Challenger>>::commit(&pcs, [(domain, evaluations)]).unwrap();
    assert_eq!(root, digest_of(&expected));
}

#[test]
fn root_is_frozen() {
    let cols: Vec<Vec<u64>> = (0..2u64)
        .map(|f| (0..ROWS as u64).map(|i| (f + 1) * i * i + f).collect())
        .collect();
    assert_eq!(
        commit_root(&FRI_BLAKE3_V1, &slices(&cols))
            .unwrap()
            .to_string(),
        include_str!("../../tests/vectors/commitment-v1.txt").trim_end()
    );
}

#[test]
fn any_word_changes_the_root() {
    let mut cols = columns(2, 2);
    let before = commit_root(&FRI_BLAKE3_V1, &slices(&cols)).unwrap();
    for (f, i) in [(0, 0), (0, ROWS - 1), (1, 77)] {
        let old = cols[f][i];
        cols[f][i] = (old + 1) % MODULUS;
        assert_ne!(before, commit_root(&FRI_BLAKE3_V1, &slices(&cols)).unwrap());
        cols[f][i] = old;
    }
    assert_eq!(before, commit_root(&FRI_BLAKE3_V1, &slices(&cols)).unwrap());
}

#[test]
fn bad_columns_are_refused() {
    let set = &FRI_BLAKE3_V1;
    assert_eq!(
        commit_root(set, &[]),
        Err(CommitmentError::NoColumns { matrix: 0 })
    );
    let mut cols = columns(2, 3);
    cols[1].pop();
    assert_eq!(
        commit_root(set, &slices(&cols)),
        Err(CommitmentError::ColumnLength {
            column: 1,
            expected: ROWS,
            found: ROWS - 1
        })
    );
    // WIRE-4: q is the least word refused.
    cols[1].push(MODULUS);
    assert_eq!(
        commit_root(set, &slices(&cols)),
        Err(CommitmentError::Word {
            column: 1,
            row: ROWS - 1,
            word: MODULUS
        })
    );
    cols[1][ROWS - 1] = MODULUS - 1;
    assert!(commit_root(set, &slices(&cols)).is_ok());
}

#[test]
fn schedule_reaches_the_final_length() {
    for log_arity in 1..=4 {
        for log_final_poly_len in 0..LOG_ROWS {
            let set = FriSet {
                log_arity,
                log_final_poly_len,
                ..FRI_BLAKE3_V1
            };
            let schedule = set.schedule();
            assert_eq!(
                schedule.iter().sum::<usize>(),
                LOG_ROWS - log_final_poly_len
            );
            assert!(schedule.iter().all(|a| (1..=log_arity).contains(a)));
        }
    }
}

#[test]
fn horner_is_the_sum_of_powers() {
    let x = crate::field::fq2(Fq::new(3), Fq::new(5));
    let words = [7u64, 11, 13];
    let expected = Fq2::from(Fq::new(7)) + x * Fq::new(11) + x * x * Fq::new(13);
    assert_eq!(evaluate(&words, x), expected);
    assert_eq!(evaluate(&[], x), Fq2::ZERO);
}
