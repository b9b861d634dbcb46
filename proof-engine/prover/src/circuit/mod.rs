//! The circuit of the linear statement with private weights (LES-5..8).
//!
//! What it says, its public inputs and its bounds are in docs/spec/linear.md;
//! its native half is `veilbourse_verifier::linear::inputs`.

mod builder;
mod keys;
mod poseidon;
#[cfg(test)]
mod tests;

pub use keys::CircuitKeys;

use crate::{ProverError, linear::PrivateWitness, r1cs::R1cs};
use ark_bls12_381::Fr;
use ark_ff::{One, PrimeField, Zero};
use builder::{Builder, Lc};
use veilbourse_core::{
    field::MODULUS,
    program::{MAX_PUBLIC_WEIGHT_LOG2, MAX_WEIGHT_LOG2},
};
use veilbourse_verifier::{
    commitment::ROWS,
    linear::{
        MatrixKind, PrivateEquation,
        inputs::{
            self, BITS_PACKED, CLASSES, PUBLIC_COLUMNS, PUBLIC_WEIGHTS_PACKED, TERNARY_PACKED,
            WEIGHTS_PACKED, error_terms,
        },
    },
    poseidon::Tag,
};

/// Quotients lie in [-2^45, 2^45) (docs/spec/linear.md, bounds).
const QUOTIENT_LOG2: u32 = 45;
/// Bits of B - sum |w| range.
const L1_BITS: u32 = 62;
/// Bits of Q - sum w^2.
const L2_BITS: u32 = 56;

/// The circuit's shape: the same for every instance of a kind and class.
pub fn shape(kind: MatrixKind, class: usize) -> Result<R1cs, ProverError> {
    if !CLASSES.contains(&class) {
        return Err(ProverError::Circuit(format!("no column class {class}")));
    }
    let public = vec![Fr::zero(); inputs::count(kind, class)];
    let witness = Values {
        weights: vec![0; class],
        public_weights: vec![0; PUBLIC_COLUMNS],
        weight_blinder: Fr::zero(),
        c: vec![false; ROWS],
        e: vec![0; error_terms(kind)],
        blinder: Fr::zero(),
    };
    Ok(build(class, &public, &witness).finish().0)
}

/// Public inputs and witnesses of an instance.
pub fn assign(
    class: usize,
    equation: &PrivateEquation,
    witness: &PrivateWitness,
) -> Result<(Vec<Fr>, Vec<Fr>), ProverError> {
    let public = inputs::public_inputs(equation, class)?;
    let columns = equation.column_values.len();
    let (weights, public_weights) = inputs::padded_weights(&witness.weights, columns, class)
        .ok_or_else(|| ProverError::Circuit("a weight is outside its range".into()))?;
    let random = &witness.rerandomisation;
    if random.c.len() != ROWS || random.e.len() != error_terms(equation.kind) {
        return Err(ProverError::Circuit(
            "re-randomisation of another kind".into(),
        ));
    }
    let values = Values {
        weights,
        public_weights,
        weight_blinder: witness.weight_blinder,
        c: random.c.clone(),
        e: random.e.clone(),
        blinder: random.blinder,
    };
    let (_, public, witness) = build(class, &public, &values).finish();
    Ok((public, witness))
}

/// What is hidden.
#[derive(Debug, Clone)]
struct Values {
    weights: Vec<i64>,
    public_weights: Vec<i64>,
    weight_blinder: Fr,
    c: Vec<bool>,
    e: Vec<i8>,
    blinder: Fr,
}

/// A weight in the circuit.
struct Weight {
    value: Lc,
    magnitude: Lc,
}

fn build(class: usize, public: &[Fr], v: &Values) -> Builder {
    let mut b = Builder::new(public);
    let one = Fr::one();
    let at = |b: &Builder, i: usize| -> Lc { b.public(i).into() };
    let (m, h, target) = (at(&b, 0), at(&b, 1), at(&b, 2));
    let (l1, l2) = (at(&b, 3), at(&b, 4));
    let columns = 5;
    let public_columns = columns + class;
    let ranges = public_columns + PUBLIC_COLUMNS;
    let magnitudes = ranges + class;
    let rerandomisers = magnitudes + PUBLIC_COLUMNS;
    let powers = rerandomisers + ROWS;

    // Weights, their bounds and M.
    let weights: Vec<Weight> = v
        .weights
        .iter()
        .map(|w| weight(&mut b, *w, MAX_WEIGHT_LOG2))
        .collect();
    let public_weights: Vec<Weight> = v
        .public_weights
        .iter()
        .map(|w| weight(&mut b, *w, MAX_PUBLIC_WEIGHT_LOG2))
        .collect();
    let mut sum1 = Lc::default();
    let mut sum2 = Lc::default();
    for (i, w) in weights.iter().enumerate() {
        let range = at(&b, ranges + i);
        sum1 = b.accumulate(&sum1, &w.magnitude, &range);
        sum2 = b.accumulate(&sum2, &w.magnitude, &w.magnitude);
    }
    for (i, w) in public_weights.iter().enumerate() {
        let c = at(&b, magnitudes + i);
        sum1 = b.accumulate(&sum1, &w.magnitude, &c);
    }
    slack(&mut b, &l1, &sum1, L1_BITS);
    slack(&mut b, &l2, &sum2, L2_BITS);
    let mut input = packed_weights(&weights, MAX_WEIGHT_LOG2, WEIGHTS_PACKED);
    input.extend(packed_weights(
        &public_weights,
        MAX_PUBLIC_WEIGHT_LOG2,
        PUBLIC_WEIGHTS_PACKED,
    ));
    input.push(b.witness(v.weight_blinder).into());
    let commitment = poseidon::hash(&mut b, Tag::Weights, &input);
    b.equal(&commitment, &m);

    // The equation at zeta, accumulated over the integers in Fr.
    let mut sum = Lc::default();
    for (i, w) in weights.iter().enumerate() {
        let value = at(&b, columns + i);
        sum = b.accumulate(&sum, &w.value, &value);
    }
    for (i, w) in public_weights.iter().enumerate() {
        let value = at(&b, public_columns + i);
        sum = b.accumulate(&sum, &w.value, &value);
    }
    let mut input = vec![m];
    let two = Fr::from(2u64);
    for (block, bits) in v.c.chunks(BITS_PACKED).enumerate() {
        let mut packed = Lc::default();
        let mut power = one;
        for (i, c) in bits.iter().enumerate() {
            let c = b.bit(*c);
            packed.push(c, power);
            power += power;
            let r = at(&b, rerandomisers + block * BITS_PACKED + i);
            let twice = Lc::default().plus(two, &c.into());
            sum = b.accumulate(&sum, &twice, &r);
        }
        input.push(packed);
    }
    for (block, trits) in v.e.chunks(TERNARY_PACKED).enumerate() {
        let mut packed = Lc::default();
        let mut power = one;
        let mut ones = Fr::zero();
        for (i, e) in trits.iter().enumerate() {
            // e and the bit p, with p - e a bit: e in {-1, 0, 1}.
            let plus = b.bit(*e > 0);
            let e = b.witness(Fr::from(i64::from(*e)));
            let minus = Lc::from(plus).plus(-one, &e.into());
            b.enforce(&minus, &minus, &minus);
            packed.push(e, power);
            ones += power;
            power *= Fr::from(3u64);
            let z = at(&b, powers + block * TERNARY_PACKED + i);
            sum = b.accumulate(&sum, &e.into(), &z);
        }
        input.push(packed.plus(ones, &Lc::constant(one)));
    }
    input.push(b.witness(v.blinder).into());
    let binding = poseidon::hash(&mut b, Tag::Binding, &input);
    b.equal(&binding, &h);

    // sum = t' + q (k_0 + 2^128 k_1).
    let (k0, k1) = quotients(b.value(&sum), b.value(&target));
    let offset = Fr::from(1u64 << QUOTIENT_LOG2);
    let mut right = target;
    for (k, unit) in [(k0, one), (k1, two_to_128())] {
        let shifted = b.bits(k.wrapping_add(1 << QUOTIENT_LOG2) as u64, QUOTIENT_LOG2 + 1);
        let k = shifted.plus(-offset, &Lc::constant(one));
        right = right.plus(Fr::from(MODULUS) * unit, &k);
    }
    b.equal(&sum, &right);
    b
}

fn two_to_128() -> Fr {
    Fr::from(1u128 << 64) * Fr::from(1u128 << 64)
}

/// w = (1 - 2 s) m with m of `log2` bits.
fn weight(b: &mut Builder, w: i64, log2: u32) -> Weight {
    let sign = b.bit(w < 0);
    let bits = b.bits(w.unsigned_abs(), log2);
    let m = b.witness(Fr::from(w.unsigned_abs()));
    b.equal(&bits, &m.into());
    let m: Lc = m.into();
    let value = b.witness(Fr::from(w));
    // 2 s m = m - w.
    let twice = Lc::default().plus(Fr::from(2u64), &sign.into());
    b.enforce(&twice, &m, &m.plus(-Fr::one(), &value.into()));
    Weight {
        value: value.into(),
        magnitude: m,
    }
}

/// bound - sum in [0, 2^bits).
fn slack(b: &mut Builder, bound: &Lc, sum: &Lc, bits: u32) {
    let difference = bound.plus(-Fr::one(), sum);
    let value = b.value(&difference).into_bigint();
    let slack = b.bits(value.as_ref()[0], bits);
    b.equal(&slack, &difference);
}

fn packed_weights(weights: &[Weight], log2: u32, each: usize) -> Vec<Lc> {
    let shift = Fr::from(1u64 << log2);
    let base = Fr::from(1u64 << (log2 + 1));
    weights
        .chunks(each)
        .map(|chunk| {
            let mut power = Fr::one();
            let mut lc = Lc::default();
            for w in chunk {
                lc = lc
                    .plus(power, &w.value)
                    .plus(power * shift, &Lc::constant(Fr::one()));
                power *= base;
            }
            lc
        })
        .collect()
}

/// The quotients of both components; values that have none (a false
/// equation) yield numbers for which the constraints fail.
fn quotients(sum: Fr, target: Fr) -> (i64, i64) {
    // sum = s_0 + 2^128 s_1 with |s_c| < 2^110: lift from Fr, split balanced.
    let offset = two_to_128() * Fr::from(1u128 << 112) + Fr::from(1u128 << 112);
    let limbs = |x: Fr| x.into_bigint().0;
    let s = limbs(sum + offset);
    let component = |low: u64, high: u64| {
        (u128::from(high) << 64 | u128::from(low)).wrapping_sub(1 << 112) as i128
    };
    let (s0, s1) = (component(s[0], s[1]), component(s[2], s[3]));
    let t = limbs(target);
    let q = i128::from(MODULUS);
    let k = |s: i128, t: u64| (s - i128::from(t)).div_euclid(q) as i64;
    (k(s0, t[0]), k(s1, t[2]))
}

/// The largest packed value is below 2^192: kept here so that a change of the
/// packing breaks a test and not the argument.
#[cfg(test)]
fn packed_bits(x: &veilbourse_verifier::field::Fq2) -> u32 {
    use ark_ff::BigInteger;
    inputs::pack(x).into_bigint().num_bits()
}
