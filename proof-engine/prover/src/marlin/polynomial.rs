//! Polynomials as coefficient vectors: what the prover does with them.

use ark_bls12_381::Fr;
use ark_ff::{FftField, Zero};
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};

/// A power-of-two domain; sizes here are at most 2^23.
pub(super) fn domain(size: usize) -> Radix2EvaluationDomain<Fr> {
    let root = Fr::get_root_of_unity(size as u64);
    debug_assert!(size.is_power_of_two() && root.is_some());
    #[allow(clippy::expect_used)] // our own sizes, below the field's 2-adicity of 32
    Radix2EvaluationDomain::new(size).expect("a domain of our own size exists")
}

/// Coefficients from values on the domain of that size.
pub(super) fn interpolate(mut values: Vec<Fr>) -> Vec<Fr> {
    let d = domain(values.len());
    d.ifft_in_place(&mut values);
    values
}

/// Values on a domain at least as large as the polynomial.
pub(super) fn evaluate_over(coefficients: &[Fr], size: usize) -> Vec<Fr> {
    let mut v = coefficients.to_vec();
    v.resize(size, Fr::zero());
    domain(size).fft_in_place(&mut v);
    v
}

/// p(x).
pub(super) fn evaluate(p: &[Fr], x: Fr) -> Fr {
    p.iter().rev().fold(Fr::zero(), |v, c| v * x + c)
}

/// (p - p(x)) / (X - x).
pub(super) fn open(p: &[Fr], x: Fr) -> Vec<Fr> {
    let mut out = vec![Fr::zero(); p.len().saturating_sub(1)];
    let mut carry = Fr::zero();
    for i in (0..out.len()).rev() {
        carry = p[i + 1] + carry * x;
        out[i] = carry;
    }
    out
}

/// Quotient and remainder by X^n - c.
pub(super) fn divide(p: &[Fr], n: usize, c: Fr) -> (Vec<Fr>, Vec<Fr>) {
    if p.len() <= n {
        return (Vec::new(), p.to_vec());
    }
    let mut rest = p.to_vec();
    let mut quotient = vec![Fr::zero(); p.len() - n];
    for i in (0..quotient.len()).rev() {
        let q = rest[i + n];
        quotient[i] = q;
        rest[i] += q * c;
    }
    rest.truncate(n);
    (quotient, rest)
}

/// p += scalar q, growing p as needed.
pub(super) fn add_scaled(p: &mut Vec<Fr>, scalar: Fr, q: &[Fr]) {
    if p.len() < q.len() {
        p.resize(q.len(), Fr::zero());
    }
    for (a, b) in p.iter_mut().zip(q) {
        *a += scalar * b;
    }
}
