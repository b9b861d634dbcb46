//! The negacyclic NTT of R_2048 in plain integers (Longa and Naehrig, ePrint
//! 2016/504, algorithms 1 and 2): value j lies at psi^(2 br(j) + 1).
//!
//! The inverse leaves the factor N in: keys carry 1/N instead.

use std::sync::OnceLock;
use veilbourse_core::{
    boot::params::{RING, SWITCHED_MODULUS},
    field::Fq,
};

pub(super) const N: usize = RING.0;
const LOG2: u32 = N.trailing_zeros();

/// Powers of psi, of order 2N.
pub(super) struct Roots {
    /// psi^br(i).
    pub(super) forward: Vec<Fq>,
    /// psi^-br(i).
    pub(super) backward: Vec<Fq>,
    /// psi^i, i < 2N.
    pub(super) powers: Vec<Fq>,
    /// 1/N.
    pub(super) inverse_n: Fq,
}

/// `i` with its low `bits` bits in reverse.
pub(super) const fn reversed(i: usize, bits: u32) -> usize {
    i.reverse_bits() >> (usize::BITS - bits)
}

pub(super) fn roots() -> &'static Roots {
    static ROOTS: OnceLock<Roots> = OnceLock::new();
    ROOTS.get_or_init(|| {
        // Both exist: 2N divides 2^32 and N is not 0.
        let psi = Fq::root_of_unity(LOG2 + 1).unwrap_or(Fq::ONE);
        let mut powers = Vec::with_capacity(SWITCHED_MODULUS as usize);
        let mut power = Fq::ONE;
        for _ in 0..SWITCHED_MODULUS {
            powers.push(power);
            power *= psi;
        }
        let at = |i: usize| powers[i % powers.len()];
        Roots {
            forward: (0..N).map(|i| at(reversed(i, LOG2))).collect(),
            backward: (0..N).map(|i| at(2 * N - reversed(i, LOG2))).collect(),
            inverse_n: Fq::reduce(N as u64).inverse().unwrap_or(Fq::ONE),
            powers,
        }
    })
}

/// The value of X^exponent at place `j` of a transform.
pub(super) fn monomial(roots: &Roots, exponent: u16, j: usize) -> Fq {
    let odd = 2 * reversed(j, LOG2) + 1;
    roots.powers[odd * usize::from(exponent) % roots.powers.len()]
}

pub(super) fn forward(v: &mut [Fq]) {
    let roots = &roots().forward;
    let (mut t, mut m) = (N, 1);
    while m < N {
        t /= 2;
        for (block, root) in v.chunks_exact_mut(2 * t).zip(&roots[m..2 * m]) {
            let (low, high) = block.split_at_mut(t);
            for (a, b) in low.iter_mut().zip(high) {
                let (u, w) = (*a, *b * *root);
                *a = u + w;
                *b = u - w;
            }
        }
        m *= 2;
    }
}

pub(super) fn backward(v: &mut [Fq]) {
    let roots = &roots().backward;
    let (mut t, mut m) = (1, N);
    while m > 1 {
        m /= 2;
        for (block, root) in v.chunks_exact_mut(2 * t).zip(&roots[m..2 * m]) {
            let (low, high) = block.split_at_mut(t);
            for (a, b) in low.iter_mut().zip(high) {
                let (u, w) = (*a, *b);
                *a = u + w;
                *b = (u - w) * *root;
            }
        }
        t *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(seed: u64) -> Vec<Fq> {
        let mut state = seed;
        (0..N)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                Fq::reduce(state ^ (state >> 29))
            })
            .collect()
    }

    #[test]
    fn products_are_negacyclic() {
        // BST-7: against the defining sums.
        let (a, b) = (words(1), words(2));
        let (mut x, mut y) = (a.clone(), b.clone());
        forward(&mut x);
        forward(&mut y);
        for (x, y) in x.iter_mut().zip(&y) {
            *x *= *y * roots().inverse_n;
        }
        backward(&mut x);
        for k in [0, 1, 777, N - 1] {
            let sum = (0..N).fold(Fq::ZERO, |sum, i| {
                let j = (k + N - i) % N;
                let term = a[i] * b[j];
                if i <= k { sum + term } else { sum - term }
            });
            assert_eq!(x[k], sum);
        }
    }

    #[test]
    fn monomials_have_their_values() {
        // BST-7
        for exponent in [0u16, 1, 5, 2047, 2048, 4095] {
            let mut x = vec![Fq::ZERO; N];
            let e = usize::from(exponent);
            x[e % N] = if e < N { Fq::ONE } else { -Fq::ONE };
            forward(&mut x);
            for (j, value) in x.iter().enumerate() {
                assert_eq!(*value, monomial(roots(), exponent, j));
            }
        }
    }

    #[test]
    fn transforms_equal_those_of_tfhe_ntt() {
        // BST-7: products, whatever the order of the values between.
        let plan = tfhe_ntt::prime64::Plan::try_new(N, veilbourse_core::field::MODULUS);
        let plan = plan.expect("2N divides q - 1");
        let (a, b) = (words(3), words(4));
        let raw = |v: &[Fq]| v.iter().map(|w| w.word()).collect::<Vec<_>>();
        let (mut x, mut y) = (raw(&a), raw(&b));
        plan.fwd(&mut x);
        plan.fwd(&mut y);
        plan.mul_assign_normalize(&mut x, &y);
        plan.inv(&mut x);
        let (mut u, mut v) = (a, b);
        forward(&mut u);
        forward(&mut v);
        for (u, v) in u.iter_mut().zip(&v) {
            *u *= *v * roots().inverse_n;
        }
        backward(&mut u);
        assert_eq!(x, raw(&u));
    }
}
