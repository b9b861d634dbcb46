//! Decrypted results equal the integer simulation, for random programs that
//! the budget admits and at its edge; refusals by variant.

mod common;

use common::{Dataset, dataset, rerandomisation};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use veilbourse_core::{
    budget::{Norms, OutputBudget, exact_norms, extent, output_budget},
    ciphertext::OutputCiphertext,
    params::DATA_RING_DIMENSION as N,
    program::MatrixRef,
};
use veilbourse_eval::{
    Columns, EvalError, Rerandomisation, evaluate,
    kernel::{Scalar, best},
    witness,
};

const ROWS: [usize; 2] = [5000, 700];
const TRACED: MatrixRef = MatrixRef::Traced { segment: 0 };
const CHUNK: MatrixRef = MatrixRef::Chunk {
    segment: 0,
    chunk: 1,
};

fn small(seed: u64) -> (Dataset, ChaCha20Rng) {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let data = dataset(&mut rng, &ROWS, &[1000, 50, 1], 28);
    (data, rng)
}

fn budget(data: &Dataset, over: MatrixRef, weights: &[i64], private: bool) -> Option<OutputBudget> {
    let (MatrixRef::Traced { segment } | MatrixRef::Chunk { segment, .. }) = over;
    let (l1, l2_squared) = exact_norms(&data.manifest, weights, segment as usize);
    let (rows, ring_rows, values) = extent(&data.manifest, over).unwrap();
    let norms = Norms {
        l1,
        l2_squared,
        rerandomised: private,
    };
    output_budget(
        0,
        data.manifest.message_log2,
        rows,
        ring_rows,
        values,
        norms,
    )
    .ok()
}

fn columns(data: &Dataset, over: MatrixRef) -> Columns<'_> {
    match over {
        MatrixRef::Traced { segment } => Columns::Traced(&data.traced[segment as usize]),
        MatrixRef::Chunk { segment, chunk } => {
            Columns::Seeded(&data.chunks[segment as usize][chunk as usize])
        }
    }
}

#[test]
fn random_programs_open_exactly() {
    // BUD-2, BUD-3, BUD-4, KEY-5: whatever the calculator admits opens to the
    // simulation's integers, and its noise is within the bound.
    let (data, mut rng) = small(1);
    let matrices: Vec<MatrixRef> = (0..2)
        .map(|segment| MatrixRef::Traced { segment })
        .chain([(0, 0), (0, 1), (1, 0)].map(|(segment, chunk)| MatrixRef::Chunk { segment, chunk }))
        .collect();
    let mut opened = 0;
    for round in 0..60 {
        let over = matrices[round % matrices.len()];
        let private = round % 2 == 1;
        // Magnitudes from tiny to over the budget.
        let bits = rng.random_range(1..16);
        let mut weights: Vec<i64> = (0..3)
            .map(|_| rng.random_range(-(1i64 << bits)..=1 << bits))
            .collect();
        weights.push(rng.random_range(-(1i64 << 20)..1 << 20));
        weights.push(rng.random_range(-1000..1000));
        let Some(budget) = budget(&data, over, &weights, private) else {
            continue;
        };
        let bodies = match over {
            MatrixRef::Traced { .. } => 1,
            MatrixRef::Chunk { .. } => N,
        };
        let (c, e) = rerandomisation(&mut rng, bodies);
        let r = Rerandomisation { c: &c, e: &e };
        let run = |kernel| {
            evaluate(
                kernel,
                &data.manifest,
                over,
                &weights,
                columns(&data, over),
                private.then_some((&data.public_key, r)),
            )
            .unwrap()
        };
        let output = run(best());
        assert_eq!(output, run(&Scalar), "kernels differ");
        let values = data.key.open_with_noise(&output, 28).unwrap();
        let expected = data.expected(over, &weights);
        assert_eq!(values.len(), expected.len());
        for (v, x) in values.iter().zip(&expected) {
            assert_eq!(v.value, *x);
            assert!(u128::from(v.noise.unsigned_abs()) <= budget.noise_bound);
            assert!(u128::from(v.value.unsigned_abs()) <= budget.message_bound);
        }
        assert_eq!(data.key.open(&output, 28).unwrap(), expected);
        // The wire does not change it.
        assert_eq!(OutputCiphertext::decode(&output.encode()).unwrap(), output);
        opened += 1;
    }
    assert!(opened > 20, "only {opened} programs were within the budget");
}

#[test]
fn the_whole_message_space_is_usable() {
    // BUD-2 with equality: rows * L1 = 2^(62-k), all rows at the extreme.
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let key = veilbourse_eval::SecretKey::generate(&mut rng);
    let k = 30;
    for sign in [1i64, -1] {
        let rows = vec![sign << 20; N];
        let chunk = veilbourse_eval::encrypt_chunk(&key, k, &[&rows], &mut rng).unwrap();
        let mut sums = veilbourse_eval::SumAccumulator::new(1);
        sums.add_seeded(&chunk).unwrap();
        let traced = sums.finish().trace().remove(0);
        let value = key.open(&OutputCiphertext::Traced(traced), k).unwrap();
        assert_eq!(value, vec![sign << 32]);
    }
}

#[test]
fn noise_has_the_variance_of_the_formula() {
    // BUD-3: variance 21.5 Q per row; 21.5 m Q traced.
    let (data, _) = small(3);
    let weights = [300, -77, 1200, 5, 0];
    let q: f64 = [300.0f64, 77.0, 1200.0].iter().map(|w| w * w).sum();
    let mut squares = 0.0;
    let mut count = 0.0;
    for chunk in [0, 1] {
        let over = MatrixRef::Chunk { segment: 0, chunk };
        let columns = columns(&data, over);
        let output = evaluate(best(), &data.manifest, over, &weights, columns, None).unwrap();
        for v in data.key.open_with_noise(&output, 28).unwrap() {
            squares += (v.noise as f64).powi(2);
            count += 1.0;
        }
    }
    let ratio = squares / count / (21.5 * q);
    // 5000 samples, relative deviation of a variance below sqrt(2/5000) = 2%.
    assert!((0.9..1.1).contains(&ratio), "{ratio}");
    // Traced: the noise of all 4096 chunks coefficients, padding included.
    let mut squares = 0.0;
    let rounds = 60;
    for seed in 0..rounds {
        let mut rng = ChaCha20Rng::seed_from_u64(1000 + seed);
        let data = dataset(&mut rng, &[10], &[1, 1], 28);
        let over = MatrixRef::Traced { segment: 0 };
        let w = [400, -300, 0, 0];
        let columns = columns(&data, over);
        let output = evaluate(best(), &data.manifest, over, &w, columns, None).unwrap();
        let v = data.key.open_with_noise(&output, 28).unwrap()[0];
        squares += (v.noise as f64).powi(2);
    }
    let ratio = squares / rounds as f64 / (21.5 * 4096.0 * 250_000.0);
    assert!((0.4..1.9).contains(&ratio), "{ratio}");
}

#[test]
fn rerandomisation_adds_what_it_says() {
    // LES-5 and LES-6's equation, term by term, with schoolbook products:
    // A' - A = (r p_0 + e_0, r p_1 + e_1).
    let (data, mut rng) = small(4);
    for (over, bodies) in [(TRACED, 1), (CHUNK, N)] {
        let weights = [1, 2, 3, 4, 5];
        let run = |private| {
            let columns = columns(&data, over);
            let out = evaluate(best(), &data.manifest, over, &weights, columns, private).unwrap();
            witness::output_words(&out)
        };
        let (c, e) = rerandomisation(&mut rng, bodies);
        let plain = run(None);
        let hidden = run(Some((&data.public_key, Rerandomisation { c: &c, e: &e })));
        let mut r = veilbourse_core::ring::Poly::default();
        for (w, c) in r.iter_mut().zip(&c) {
            *w = veilbourse_core::field::Fq::from_i64(if *c { 1 } else { -1 });
        }
        let p_0 = data.public_key.mask().mul_schoolbook(&r).words();
        let p_1 = data.public_key.body.mul_schoolbook(&r).words();
        let products: Vec<u64> = p_0
            .into_iter()
            .chain(p_1.into_iter().take(bodies))
            .collect();
        let q = i128::from(veilbourse_core::field::MODULUS);
        assert_eq!(plain.len(), N + bodies);
        for i in 0..plain.len() {
            let sum = i128::from(plain[i]) + i128::from(products[i]) + i128::from(e[i]);
            assert_eq!(i128::from(hidden[i]), sum.rem_euclid(q), "word {i}");
        }
    }
}

#[test]
fn the_worst_prover_stays_within_the_deterministic_bound() {
    // BUD-4: r and e chosen with knowledge of the key's noise add at most
    // N 2^b + N + 1; chosen for the worst they come within a
    // factor of 2.1 (the mean of |TUniform(3)| is 4, half of S is 0).
    let (data, _) = small(7);
    let p = veilbourse_core::ciphertext::Glwe {
        a: data.public_key.mask(),
        b: data.public_key.body.clone(),
    };
    let noise = data.key.phase(&p);
    // Coefficient 0 of r e: r_0 e_0 - sum_{i>0} r_i e_{N-i}.
    let c: Vec<bool> = (0..N)
        .map(|i| {
            let e = noise[(N - i) % N].centred();
            if i == 0 { e > 0 } else { e < 0 }
        })
        .collect();
    // Coefficient 0 of -e_0 S: -e_0,0 s_0 + sum_{j>0} e_0,j s_{N-j}.
    let mut e = vec![1i8; N + 1];
    e[0] = -1;
    let weights = [1, 0, 0, 0, 0];
    let noise_of = |private| {
        let columns = columns(&data, TRACED);
        let out = evaluate(best(), &data.manifest, TRACED, &weights, columns, private).unwrap();
        data.key.open_with_noise(&out, 28).unwrap()[0]
    };
    let plain = noise_of(None);
    let worst = noise_of(Some((&data.public_key, Rerandomisation { c: &c, e: &e })));
    assert_eq!(plain.value, worst.value);
    let added = worst.noise - plain.noise;
    let det = (N * 8 + N + 1) as i64;
    assert!(added <= det && 21 * added > 10 * det, "{added} of {det}");
}

#[test]
fn the_witness_view_gives_the_same_numbers() {
    let (data, mut rng) = small(5);
    let weights = [-9, 8, 7000, 12, -3];
    for (over, bodies) in [(TRACED, 1), (CHUNK, N)] {
        let words = match over {
            MatrixRef::Traced { .. } => witness::traced_words(&data.traced[0]),
            MatrixRef::Chunk { .. } => witness::seeded_words(&data.chunks[0][1]),
        };
        let words: Vec<&[u64]> = words.iter().map(Vec::as_slice).collect();
        let (c, e) = rerandomisation(&mut rng, bodies);
        let private = Some((&data.public_key, Rerandomisation { c: &c, e: &e }));
        let m = &data.manifest;
        let direct = evaluate(best(), m, over, &weights, columns(&data, over), private).unwrap();
        let view = witness::evaluate_words(&Scalar, m, over, &weights, &words, private).unwrap();
        assert_eq!(direct, view);
        // WIRE-4: a word of q or more, a missing column.
        let mut bad = words[0].to_vec();
        bad[7] = veilbourse_core::field::MODULUS;
        let mut tampered = words.clone();
        tampered[0] = &bad;
        assert!(matches!(
            witness::evaluate_words(&Scalar, m, over, &weights, &tampered, None),
            Err(EvalError::Wire(_))
        ));
        assert!(witness::evaluate_words(&Scalar, m, over, &weights, &words[1..], None).is_err());
    }
}

#[test]
fn what_cannot_be_evaluated_is_refused() {
    let (data, mut rng) = small(6);
    let m = &data.manifest;
    let good = [1, 2, 3, 4, 5];
    let traced = Columns::Traced(&data.traced[0]);
    let refuse = |over, weights: &[i64], columns, private| {
        evaluate(best(), m, over, weights, columns, private).unwrap_err()
    };
    let no_segment = MatrixRef::Traced { segment: 2 };
    assert!(matches!(
        refuse(no_segment, &good, traced, None),
        EvalError::NoMatrix { segment: 2, .. }
    ));
    let no_chunk = MatrixRef::Chunk {
        segment: 1,
        chunk: 1,
    };
    assert!(matches!(
        refuse(no_chunk, &good, columns(&data, CHUNK), None),
        EvalError::NoMatrix { chunk: Some(1), .. }
    ));
    assert!(matches!(
        refuse(CHUNK, &good, traced, None),
        EvalError::MatrixKind { .. }
    ));
    assert!(matches!(
        refuse(TRACED, &good[..4], traced, None),
        EvalError::Count {
            expected: 5,
            found: 4,
            ..
        }
    ));
    assert!(matches!(
        refuse(TRACED, &[1, 2, 3, 4, 5, 6], traced, None),
        EvalError::Count { found: 6, .. }
    ));
    // LES-1: 2^24 for encrypted, 2^40 for public columns.
    assert!(matches!(
        refuse(TRACED, &[1, -(1 << 24), 3, 4, 5], traced, None),
        EvalError::Weight {
            index: 1,
            limit_log2: 24,
            ..
        }
    ));
    assert!(matches!(
        refuse(TRACED, &[1, 2, 3, 4, 1 << 40], traced, None),
        EvalError::Weight {
            index: 4,
            limit_log2: 40,
            ..
        }
    ));
    assert!(matches!(
        refuse(TRACED, &good, Columns::Traced(&data.traced[0][..2]), None),
        EvalError::Count { .. }
    ));
    // DS-3: another segment's columns have other body words.
    assert!(matches!(
        refuse(TRACED, &good, Columns::Traced(&data.traced[1]), None),
        EvalError::TracedBody { column: 0 }
    ));
    // DS-6: another key; LES-6: counts and range of c and e.
    let (c, e) = rerandomisation(&mut rng, 1);
    let mut other = data.public_key.clone();
    other.body[0] += veilbourse_core::field::Fq::ONE;
    assert!(matches!(
        refuse(
            TRACED,
            &good,
            traced,
            Some((&other, Rerandomisation { c: &c, e: &e }))
        ),
        EvalError::PublicKey
    ));
    let key = &data.public_key;
    let short = Rerandomisation { c: &c[1..], e: &e };
    assert!(matches!(
        refuse(TRACED, &good, traced, Some((key, short))),
        EvalError::Count {
            field: "rerandomisation.c",
            ..
        }
    ));
    let short = Rerandomisation { c: &c, e: &e[1..] };
    assert!(matches!(
        refuse(TRACED, &good, traced, Some((key, short))),
        EvalError::Count {
            field: "rerandomisation.e",
            ..
        }
    ));
    let mut wide = e.clone();
    wide[5] = 2;
    let wide = Rerandomisation { c: &c, e: &wide };
    assert!(matches!(
        refuse(TRACED, &good, traced, Some((key, wide))),
        EvalError::NotTernary { index: 5, value: 2 }
    ));
    // KEY-5: what another key decrypts is out of range or wrong, never panics.
    let other = veilbourse_eval::SecretKey::generate(&mut rng);
    let output = evaluate(best(), m, CHUNK, &good, columns(&data, CHUNK), None).unwrap();
    assert!(matches!(
        other.open(&output, 28),
        Err(EvalError::OutOfRange { .. })
    ));
    assert!(matches!(
        data.key.open(&output, 0),
        Err(EvalError::MessageLog2 { .. })
    ));
    let mut sums = veilbourse_eval::SumAccumulator::new(2);
    assert!(matches!(
        sums.add_seeded(&data.chunks[0][0]),
        Err(EvalError::Count {
            expected: 2,
            found: 3,
            ..
        })
    ));
}
