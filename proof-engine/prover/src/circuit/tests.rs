//! The circuit says what LES-5..8 say: honest instances satisfy it, and each
//! family of hostile witnesses violates it.

#![allow(clippy::print_stdout)] // sizes, for docs/spec/linear.md
use super::*;
use crate::marlin::random_scalar;
use ark_ff::Field;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use veilbourse_verifier::{
    field::{Fq, Fq2, fq_signed, fq2},
    linear::inputs::{bind_randomness, commit_weights, count},
    poseidon,
};

fn word(rng: &mut ChaCha20Rng) -> u64 {
    rng.next_u64() % MODULUS
}

fn element(rng: &mut ChaCha20Rng) -> Fq2 {
    fq2(Fq::new(word(rng)), Fq::new(word(rng)))
}

/// A true equation with its witness; values extreme when asked.
fn instance(
    kind: MatrixKind,
    columns: usize,
    seed: u64,
    extreme: bool,
) -> (PrivateEquation, PrivateWitness) {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let top = fq2(Fq::new(MODULUS - 1), Fq::new(MODULUS - 1));
    let value = |rng: &mut ChaCha20Rng| if extreme { top } else { element(rng) };
    let signed = |rng: &mut ChaCha20Rng, log2: u32| -> i64 {
        let limit = (1i64 << log2) - 1;
        if extreme {
            if seed.is_multiple_of(2) {
                limit
            } else {
                -limit
            }
        } else {
            (rng.next_u64() % (2 * limit as u64 + 1)) as i64 - limit
        }
    };
    let public = 2;
    let mut weights: Vec<i64> = (0..columns).map(|_| signed(&mut rng, 24)).collect();
    weights.extend((0..public).map(|_| signed(&mut rng, 40)));
    let column_values: Vec<Fq2> = (0..columns).map(|_| value(&mut rng)).collect();
    let public_values: Vec<Fq2> = (0..public).map(|_| value(&mut rng)).collect();
    let column_ranges: Vec<u64> = (0..columns).map(|_| 1 + rng.next_u64() % 1024).collect();
    let public_magnitudes = vec![1u64; public];
    let rerandomisers: Vec<Fq2> = (0..ROWS).map(|_| value(&mut rng)).collect();
    let powers: Vec<Fq2> = (0..error_terms(kind)).map(|_| value(&mut rng)).collect();
    let c: Vec<bool> = (0..ROWS)
        .map(|_| extreme || rng.next_u32() % 2 == 1)
        .collect();
    let e: Vec<i8> = (0..error_terms(kind))
        .map(|_| {
            if extreme {
                1
            } else {
                (rng.next_u32() % 3) as i8 - 1
            }
        })
        .collect();
    let mut target: Fq2 = weights
        .iter()
        .zip(column_values.iter().chain(&public_values))
        .map(|(w, v)| *v * fq_signed(*w))
        .sum();
    for (c, r) in c.iter().zip(&rerandomisers) {
        target += if *c { *r } else { -*r };
    }
    for (e, z) in e.iter().zip(&powers) {
        target += *z * fq_signed(i64::from(*e));
    }
    let l1: u64 = weights
        .iter()
        .zip(column_ranges.iter().chain(&public_magnitudes))
        .map(|(w, r)| w.unsigned_abs() * r)
        .sum();
    let l2: u64 = weights[..columns]
        .iter()
        .map(|w| w.unsigned_abs().pow(2))
        .sum();
    let weight_blinder = Fr::from(word(&mut rng));
    let blinder = Fr::from(word(&mut rng));
    let commitment = commit_weights(&weights, columns, weight_blinder).unwrap();
    let binding = bind_randomness(commitment, &c, &e, blinder);
    let equation = PrivateEquation {
        kind,
        column_values,
        column_ranges,
        public_values,
        public_magnitudes,
        rerandomisers,
        powers,
        target,
        commitment,
        binding,
        l1_bound: l1,
        l2_bound: l2,
    };
    assert!(equation.holds(&weights, &c, &e));
    let witness = PrivateWitness {
        weights,
        weight_blinder,
        rerandomisation: crate::linear::Rerandomisation { c, e, blinder },
    };
    (equation, witness)
}

fn satisfied(class: usize, equation: &PrivateEquation, witness: &PrivateWitness) -> bool {
    let (public, hidden) = assign(class, equation, witness).unwrap();
    check(equation.kind, class, &public, &hidden)
}

fn check(kind: MatrixKind, class: usize, public: &[Fr], hidden: &[Fr]) -> bool {
    let z: Vec<Fr> = std::iter::once(Fr::one())
        .chain(public.iter().copied())
        .chain(hidden.iter().copied())
        .collect();
    shape(kind, class).unwrap().is_satisfied(&z).is_ok()
}

#[test]
#[allow(clippy::print_stdout)] // the sizes are for people
fn honest_instances_satisfy_it_and_sizes_are_as_stated() {
    for (kind, columns, class, rows, support) in [
        (MatrixKind::Traced, 5, 8, 1 << 15, 1 << 17),
        (MatrixKind::Traced, 30, 32, 1 << 15, 1 << 17),
        (MatrixKind::Chunk, 30, 32, 1 << 16, 1 << 17),
    ] {
        let shape = shape(kind, class).unwrap();
        println!(
            "{kind:?} class {class}: {} rows, {} public, {} witnesses, {} joint non-zeros",
            shape.rows.len(),
            shape.public_inputs,
            shape.witnesses,
            shape.joint_support()
        );
        assert_eq!(shape.public_inputs, count(kind, class));
        assert!(shape.rows.len() <= rows && shape.joint_support() <= support);
        for (seed, extreme) in [(1, false), (2, true), (3, true)] {
            // Extreme weights: |S| at its largest, both signs (LES-7).
            let columns = if extreme {
                columns.min(3)
            } else {
                columns.min(7)
            };
            let class = if columns <= 8 { 8 } else { class };
            let (equation, witness) = instance(kind, columns, seed, extreme);
            assert!(
                satisfied(class, &equation, &witness),
                "{kind:?} seed {seed}"
            );
        }
        let (equation, mut witness) = instance(kind, columns, 4, false);
        // Bounds: halve the weights' range so that sums fit their widths.
        assert!(satisfied(class, &equation, &witness), "{kind:?} {columns}");
        witness.weights[0] ^= 1;
        assert!(!satisfied(class, &equation, &witness));
    }
}

#[test]
fn false_equations_and_bounds_are_not_satisfiable_by_honest_assignment() {
    let (equation, witness) = instance(MatrixKind::Traced, 5, 7, false);
    let mut other = equation.clone();
    other.target += fq2(Fq::new(1), Fq::new(0));
    assert!(!satisfied(8, &other, &witness));
    let mut other = equation.clone();
    other.target += fq2(Fq::new(0), Fq::new(1));
    assert!(!satisfied(8, &other, &witness));
    // LES-6: B and Q one too small.
    let mut other = equation.clone();
    other.l1_bound -= 1;
    assert!(!satisfied(8, &other, &witness));
    let mut other = equation.clone();
    other.l2_bound -= 1;
    assert!(!satisfied(8, &other, &witness));
    // LES-5: other openings.
    let mut other = equation.clone();
    other.commitment += Fr::one();
    assert!(!satisfied(8, &other, &witness));
    let mut other = equation.clone();
    other.binding += Fr::one();
    assert!(!satisfied(8, &other, &witness));
    let mut other = equation.clone();
    other.column_values.swap(0, 1);
    assert!(!satisfied(8, &other, &witness));
    let mut changed = witness.clone();
    changed.rerandomisation.c[17] = !changed.rerandomisation.c[17];
    assert!(!satisfied(8, &equation, &changed));
    let mut changed = witness.clone();
    let e = &mut changed.rerandomisation.e[4096];
    *e = if *e == 1 { 0 } else { *e + 1 };
    assert!(!satisfied(8, &equation, &changed));
    // Out of range or of another kind: not even assigned.
    let mut changed = witness.clone();
    changed.weights[0] = 1 << 24;
    assert!(assign(8, &equation, &changed).is_err());
    let mut changed = witness;
    changed.rerandomisation.e.pop();
    assert!(assign(8, &equation, &changed).is_err());
    assert!(shape(MatrixKind::Traced, 9).is_err());
}

#[test]
fn every_witness_variable_is_constrained() {
    // A hostile prover may set any variable to anything: adding 1, -1 or a
    // random value to any single witness breaks some row. Two kinds of bits are
    // free, and harmless: the sign of a zero weight (3 + 6 of padding), and the
    // helper bit of a zero coefficient of e; neither changes what is hashed,
    // bounded or summed.
    let (equation, witness) = instance(MatrixKind::Traced, 5, 8, false);
    let (public, hidden) = assign(8, &equation, &witness).unwrap();
    let shape = shape(MatrixKind::Traced, 8).unwrap();
    let mut by_variable: Vec<Vec<usize>> = vec![Vec::new(); shape.variables()];
    for (i, row) in shape.rows.iter().enumerate() {
        for (_, v) in row.iter().flatten() {
            let rows = &mut by_variable[*v as usize];
            if rows.last() != Some(&i) {
                rows.push(i);
            }
        }
    }
    let mut z: Vec<Fr> = std::iter::once(Fr::one())
        .chain(public.iter().copied())
        .chain(hidden)
        .collect();
    let dot =
        |row: &[(Fr, u32)], z: &[Fr]| -> Fr { row.iter().map(|(c, i)| *c * z[*i as usize]).sum() };
    let mut random = ChaCha20Rng::seed_from_u64(99);
    let first = 1 + shape.public_inputs;
    let mut free = 0;
    for v in first..shape.variables() {
        for delta in [Fr::one(), -Fr::one(), random_scalar(&mut random)] {
            let old = z[v];
            z[v] += delta;
            let broken = by_variable[v].iter().any(|i| {
                let [a, b, c] = &shape.rows[*i];
                dot(a, &z) * dot(b, &z) != dot(c, &z)
            });
            z[v] = old;
            if !broken {
                let bit = (old.is_zero() || old.is_one()) && by_variable[v].len() == 2;
                let changed = old + delta;
                assert!(
                    bit && (changed.is_zero() || changed.is_one()),
                    "witness {} is free",
                    v - first
                );
                free += 1;
            }
        }
    }
    let zeros = witness
        .rerandomisation
        .e
        .iter()
        .filter(|e| **e == 0)
        .count();
    assert_eq!(free, 3 + 6 + zeros);
}

#[test]
fn an_unranged_quotient_would_prove_anything_and_is_caught() {
    // LES-7: k_0 shifted so that the equation holds in Fr for a false target:
    // solves sum = t' + q k_0 over Fr with k_0 outside its range.
    let (equation, witness) = instance(MatrixKind::Traced, 5, 9, false);
    let mut other = equation.clone();
    other.target += fq2(Fq::new(5), Fq::new(0));
    let (public, hidden) = assign(8, &other, &witness).unwrap();
    // The last 2 * 46 witnesses are the quotients' bits; put the solution of
    // the linear equation into the first of them.
    let q_inverse = Fr::from(MODULUS).inverse().unwrap();
    let mut forged = hidden.clone();
    let at = forged.len() - 2 * (QUOTIENT_LOG2 as usize + 1);
    for scale in [Fr::one(), -Fr::one()] {
        forged[at] = hidden[at] + Fr::from(5u64) * q_inverse * scale;
        assert!(!check(MatrixKind::Traced, 8, &public, &forged));
    }
}

#[test]
fn packings_leave_room() {
    let top = fq2(Fq::new(MODULUS - 1), Fq::new(MODULUS - 1));
    assert!(packed_bits(&top) <= 192);
    // 3^160 < r and ten 25-bit weights, six 41-bit weights, 248 bits likewise.
    let three = (0..TERNARY_PACKED).fold(1.0f64, |x, _| x * 3.0).log2();
    assert!(three < 254.0 && BITS_PACKED < 254 && 25 * WEIGHTS_PACKED < 254);
    const { assert!(41 * PUBLIC_WEIGHTS_PACKED < 254) };
    // |sum| < 2^108: 256 2^24 2^64 + 8 2^40 2^64 + (2 4096 + 8192) 2^64.
    let most = (256u128 << 24) + (8u128 << 40) + 2 * 4096 + 8192;
    assert!(most < 1 << 44 && QUOTIENT_LOG2 == 45);
    assert_eq!(poseidon::WIDTH, 9);
}
