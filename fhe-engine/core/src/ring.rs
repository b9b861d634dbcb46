//! `R_N = F_q[X]/(X^N + 1)`, N = 4096: polynomials and their products.
//!
//! The transform is the negacyclic NTT in the formulation of Longa and Naehrig
//! (ePrint 2016/504, algorithms 1 and 2): twiddles in bit-reversed order, the
//! factor X -> psi X folded in, so that no scaling pass is needed.

use crate::{field::Fq, params::DATA_RING_DIMENSION as N, wire::WireError};
use std::sync::OnceLock;
use zeroize::Zeroize;

/// An element of R_N: exactly N canonical words, coefficient i at index i.
#[derive(Clone, PartialEq, Eq)]
pub struct Poly(Vec<Fq>);

impl std::fmt::Debug for Poly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Poly({} + {} X + ...)", self[0].word(), self[1].word())
    }
}

impl Default for Poly {
    fn default() -> Self {
        Self(vec![Fq::ZERO; N])
    }
}

impl std::ops::Deref for Poly {
    type Target = [Fq];
    fn deref(&self) -> &[Fq] {
        &self.0
    }
}
impl std::ops::DerefMut for Poly {
    fn deref_mut(&mut self) -> &mut [Fq] {
        &mut self.0
    }
}

impl Zeroize for Poly {
    fn zeroize(&mut self) {
        // Words only: a polynomial keeps its length.
        self.0.as_mut_slice().zeroize();
    }
}

impl Poly {
    /// From exactly N coefficients.
    pub fn from_coefficients(coefficients: Vec<Fq>) -> Option<Self> {
        (coefficients.len() == N).then_some(Self(coefficients))
    }
    /// From N words, each checked to be canonical (WIRE-4).
    pub fn from_words(field: &'static str, words: &[u64]) -> Result<Self, WireError> {
        if words.len() != N {
            return Err(WireError::Invalid {
                field,
                reason: format!("{} words instead of {N}", words.len()),
            });
        }
        words
            .iter()
            .map(|w| {
                Fq::new(*w).ok_or(WireError::TooLarge {
                    field,
                    limit: crate::field::MODULUS - 1,
                    value: *w,
                })
            })
            .collect::<Result<Vec<_>, _>>()
            .map(Self)
    }
    /// From 8 N little-endian bytes.
    pub fn from_bytes(field: &'static str, bytes: &[u8]) -> Result<Self, WireError> {
        let (words, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(WireError::Invalid {
                field,
                reason: format!("{} bytes are not whole words", bytes.len()),
            });
        }
        let words: Vec<u64> = words.iter().map(|w| u64::from_le_bytes(*w)).collect();
        Self::from_words(field, &words)
    }
    /// The words.
    pub fn words(&self) -> Vec<u64> {
        self.0.iter().map(|c| c.word()).collect()
    }
    /// 8 N little-endian bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|c| c.word().to_le_bytes()).collect()
    }
    /// self += other.
    pub fn add_assign(&mut self, other: &Self) {
        for (a, b) in self.0.iter_mut().zip(&other.0) {
            *a += *b;
        }
    }
    /// self -= other.
    pub fn sub_assign(&mut self, other: &Self) {
        for (a, b) in self.0.iter_mut().zip(&other.0) {
            *a -= *b;
        }
    }
    /// self += scalar * other.
    pub fn add_scaled(&mut self, scalar: Fq, other: &Self) {
        for (a, b) in self.0.iter_mut().zip(&other.0) {
            *a += scalar * *b;
        }
    }
    /// X^i self, 0 <= i < N.
    #[must_use]
    pub fn rotate(&self, i: usize) -> Self {
        let i = i % N;
        let mut out = Vec::with_capacity(N);
        out.extend(self.0[N - i..].iter().map(|c| -*c));
        out.extend_from_slice(&self.0[..N - i]);
        Self(out)
    }
    /// The product by the defining sums; the reference for tests.
    #[must_use]
    pub fn mul_schoolbook(&self, other: &Self) -> Self {
        let mut out = Self::default();
        for (i, a) in self.0.iter().enumerate().filter(|(_, a)| **a != Fq::ZERO) {
            for (j, b) in other.0.iter().enumerate() {
                let term = *a * *b;
                if i + j < N {
                    out.0[i + j] += term;
                } else {
                    out.0[i + j - N] -= term;
                }
            }
        }
        out
    }
    /// The product in R_N.
    #[must_use]
    pub fn mul(&self, other: &Self) -> Self {
        let mut a = self.transform();
        a.mul_pointwise(&other.transform());
        a.inverse()
    }
    /// The values at the odd powers of psi, in bit-reversed order.
    pub fn transform(&self) -> Transformed {
        let mut v = self.0.clone();
        forward(&mut v);
        Transformed(v)
    }
}

/// An element of R_N in the evaluation domain of the negacyclic NTT.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transformed(Vec<Fq>);

impl Transformed {
    /// Multiplies value by value.
    pub fn mul_pointwise(&mut self, other: &Self) {
        for (a, b) in self.0.iter_mut().zip(&other.0) {
            *a *= *b;
        }
    }
    /// Back to coefficients.
    pub fn inverse(mut self) -> Poly {
        backward(&mut self.0);
        Poly(self.0)
    }
}

impl Zeroize for Transformed {
    fn zeroize(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}

struct Tables {
    roots: Vec<Fq>,
    inverse_roots: Vec<Fq>,
    inverse_n: Fq,
}

fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| {
        let log2 = N.trailing_zeros();
        // psi has order 2N; both exist since 2N divides 2^32.
        let psi = Fq::root_of_unity(log2 + 1).unwrap_or(Fq::ONE);
        let psi_inverse = psi.inverse().unwrap_or(Fq::ONE);
        let powers = |base: Fq| {
            let mut natural = Vec::with_capacity(N);
            let mut p = Fq::ONE;
            for _ in 0..N {
                natural.push(p);
                p *= base;
            }
            (0..N)
                .map(|i| natural[i.reverse_bits() >> (usize::BITS - log2)])
                .collect::<Vec<_>>()
        };
        Tables {
            roots: powers(psi),
            inverse_roots: powers(psi_inverse),
            inverse_n: Fq::reduce(N as u64).inverse().unwrap_or(Fq::ONE),
        }
    })
}

fn forward(v: &mut [Fq]) {
    let roots = &tables().roots;
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

fn backward(v: &mut [Fq]) {
    let Tables {
        inverse_roots,
        inverse_n,
        ..
    } = tables();
    let (mut t, mut m) = (1, N);
    while m > 1 {
        let h = m / 2;
        for (block, root) in v.chunks_exact_mut(2 * t).zip(&inverse_roots[h..2 * h]) {
            let (low, high) = block.split_at_mut(t);
            for (a, b) in low.iter_mut().zip(high) {
                let (u, w) = (*a, *b);
                *a = u + w;
                *b = (u - w) * *root;
            }
        }
        t *= 2;
        m = h;
    }
    for c in v {
        *c *= *inverse_n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, RngExt, SeedableRng};

    fn random(rng: &mut impl Rng) -> Poly {
        Poly((0..N).map(|_| Fq::reduce(rng.random())).collect())
    }

    #[test]
    fn products_equal_the_schoolbook() {
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
        for _ in 0..3 {
            let (a, b) = (random(&mut rng), random(&mut rng));
            assert!(a.mul(&b) == a.mul_schoolbook(&b));
        }
    }

    #[test]
    fn rotation_is_multiplication_by_a_power_of_x() {
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(2);
        let a = random(&mut rng);
        for i in [0, 1, 17, N - 1] {
            let mut x = Poly::default();
            x[i] = Fq::ONE;
            assert!(a.rotate(i) == a.mul_schoolbook(&x));
        }
    }

    #[test]
    fn transforms_invert_and_bytes_round_trip() {
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(3);
        let a = random(&mut rng);
        assert!(a.transform().inverse() == a);
        assert!(Poly::from_bytes("x", &a.to_bytes()).unwrap() == a);
        let mut bytes = a.to_bytes();
        bytes[..8].copy_from_slice(&crate::field::MODULUS.to_le_bytes());
        // WIRE-4
        assert!(matches!(
            Poly::from_bytes("x", &bytes),
            Err(WireError::TooLarge { .. })
        ));
        assert!(matches!(
            Poly::from_bytes("x", &bytes[8..]),
            Err(WireError::Invalid { .. })
        ));
        assert!(matches!(
            Poly::from_bytes("x", &bytes[..9]),
            Err(WireError::Invalid { .. })
        ));
    }
}
