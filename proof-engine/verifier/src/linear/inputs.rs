//! The circuit's public inputs, exactly (LES-6..8), and the commitments of
//! LES-5 outside the circuit.
//!
//! Order: M, h, t', B, Q, v (class), T (8), ranges (class), |c| (8), R (N),
//! zeta^j (N + 1 or 2N). F_q2 values are packed as x_0 + 2^128 x_1. t' = t +
//! sum R_i, so that r_i = 2 c_i - 1 enters as 2 c_i R_i.

use super::{MatrixKind, PrivateEquation};
use crate::{
    Refusal,
    commitment::ROWS,
    field::{Fq2, Fr, fq2_words},
    poseidon::{Tag, hash},
};
use ark_ff::{Field, Zero};
use veilbourse_core::program::{MAX_PUBLIC_WEIGHT_LOG2, MAX_WEIGHT_LOG2};

/// Column-count classes (LES-8).
pub const CLASSES: [usize; 6] = [8, 16, 32, 64, 128, 256];
/// Public columns after padding.
pub const PUBLIC_COLUMNS: usize = 8;
/// Weights of encrypted columns in one packed element: 10 x 25 bits.
pub const WEIGHTS_PACKED: usize = 10;
/// Weights of public columns in one packed element: 6 x 41 bits.
pub const PUBLIC_WEIGHTS_PACKED: usize = 6;
/// Bits of c in one packed element.
pub const BITS_PACKED: usize = 248;
/// Coefficients of e in one packed element: 3^160 < r.
pub const TERNARY_PACKED: usize = 160;

/// The smallest class that holds that many encrypted columns.
pub fn class_of(columns: usize) -> Option<usize> {
    CLASSES.into_iter().find(|c| *c >= columns)
}

/// Coefficients of e(X).
pub fn error_terms(kind: MatrixKind) -> usize {
    match kind {
        MatrixKind::Traced => ROWS + 1,
        MatrixKind::Chunk => 2 * ROWS,
    }
}

/// How many public inputs the circuit has.
pub fn count(kind: MatrixKind, class: usize) -> usize {
    5 + 2 * (class + PUBLIC_COLUMNS) + ROWS + error_terms(kind)
}

/// x_0 + 2^128 x_1.
pub fn pack(x: &Fq2) -> Fr {
    let [x0, x1] = fq2_words(x);
    Fr::from((u128::from(x1)) << 64) * Fr::from(1u128 << 64) + Fr::from(x0)
}

/// The public inputs of an equation in a class.
pub fn public_inputs(equation: &PrivateEquation, class: usize) -> Result<Vec<Fr>, Refusal> {
    let PrivateEquation {
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
        l1_bound,
        l2_bound,
    } = equation;
    for (what, found, limit) in [
        ("encrypted columns", column_values.len(), class),
        ("ranges", column_ranges.len(), class),
        ("public columns", public_values.len(), PUBLIC_COLUMNS),
        ("public magnitudes", public_magnitudes.len(), PUBLIC_COLUMNS),
    ] {
        if found > limit {
            return Err(Refusal::Circuit(format!(
                "{found} {what} for a class of {limit}"
            )));
        }
    }
    for (what, found, expected) in [
        ("re-randomisers", rerandomisers.len(), ROWS),
        ("powers", powers.len(), error_terms(*kind)),
    ] {
        if found != expected {
            return Err(Refusal::Circuit(format!(
                "{found} {what} instead of {expected}"
            )));
        }
    }
    let shifted = *target + rerandomisers.iter().copied().sum::<Fq2>();
    let padded = |values: Vec<Fr>, n: usize| {
        let mut v = values;
        v.resize(n, Fr::zero());
        v
    };
    let mut out = vec![
        *commitment,
        *binding,
        pack(&shifted),
        Fr::from(*l1_bound),
        Fr::from(*l2_bound),
    ];
    out.extend(padded(column_values.iter().map(pack).collect(), class));
    out.extend(padded(
        public_values.iter().map(pack).collect(),
        PUBLIC_COLUMNS,
    ));
    out.extend(padded(
        column_ranges.iter().map(|r| Fr::from(*r)).collect(),
        class,
    ));
    out.extend(padded(
        public_magnitudes.iter().map(|c| Fr::from(*c)).collect(),
        PUBLIC_COLUMNS,
    ));
    out.extend(rerandomisers.iter().map(pack));
    out.extend(powers.iter().map(pack));
    Ok(out)
}

/// Weights split and padded to a class: encrypted columns, public columns.
/// Nothing when they do not fit the class or their ranges.
pub fn padded_weights(
    weights: &[i64],
    columns: usize,
    class: usize,
) -> Option<(Vec<i64>, Vec<i64>)> {
    let (encrypted, public) = weights.split_at_checked(columns)?;
    let fits = |w: &i64, log2: u32| w.unsigned_abs() >> log2 == 0;
    let ok = encrypted.len() <= class
        && public.len() <= PUBLIC_COLUMNS
        && encrypted.iter().all(|w| fits(w, MAX_WEIGHT_LOG2))
        && public.iter().all(|w| fits(w, MAX_PUBLIC_WEIGHT_LOG2));
    let pad = |w: &[i64], n: usize| {
        let mut v = w.to_vec();
        v.resize(n, 0);
        v
    };
    ok.then(|| (pad(encrypted, class), pad(public, PUBLIC_COLUMNS)))
}

/// sum x_i base^i.
fn packed(values: impl Iterator<Item = Fr>, base: Fr) -> Fr {
    let mut power = Fr::ONE;
    let mut sum = Fr::zero();
    for v in values {
        sum += v * power;
        power *= base;
    }
    sum
}

/// M = Poseidon(tag_M, w, blinder): weights shifted to be non-negative, ten
/// (six) to an element, then the blinder (LES-5). The buyer's commitment.
pub fn commit_weights(weights: &[i64], columns: usize, blinder: Fr) -> Option<Fr> {
    let class = class_of(columns)?;
    let (encrypted, public) = padded_weights(weights, columns, class)?;
    let shifted = |w: &i64, log2: u32| Fr::from((1i64 << log2) + *w);
    let mut input: Vec<Fr> = encrypted
        .chunks(WEIGHTS_PACKED)
        .map(|c| {
            let base = Fr::from(1u64 << (MAX_WEIGHT_LOG2 + 1));
            packed(c.iter().map(|w| shifted(w, MAX_WEIGHT_LOG2)), base)
        })
        .collect();
    input.extend(public.chunks(PUBLIC_WEIGHTS_PACKED).map(|c| {
        let base = Fr::from(1u64 << (MAX_PUBLIC_WEIGHT_LOG2 + 1));
        packed(c.iter().map(|w| shifted(w, MAX_PUBLIC_WEIGHT_LOG2)), base)
    }));
    input.push(blinder);
    Some(hash(Tag::Weights, &input))
}

/// h = Poseidon(tag_h, M, c, e, blinder): M binds the weights (LES-5).
pub fn bind_randomness(commitment: Fr, c: &[bool], e: &[i8], blinder: Fr) -> Fr {
    let mut input = vec![commitment];
    input.extend(
        c.chunks(BITS_PACKED)
            .map(|b| packed(b.iter().map(|b| Fr::from(*b)), Fr::from(2u64))),
    );
    input.extend(e.chunks(TERNARY_PACKED).map(|t| {
        packed(
            t.iter().map(|e| Fr::from(i64::from(*e) + 1)),
            Fr::from(3u64),
        )
    }));
    input.push(blinder);
    hash(Tag::Binding, &input)
}
