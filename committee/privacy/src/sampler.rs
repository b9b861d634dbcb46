//! Exact samplers: CKS algorithm 1 (Bernoulli of exp(-x)), algorithm 2
//! (discrete Laplace), algorithm 3 (discrete Gaussian), conditioned on the
//! noise bound (PRV-1, PRV-4).
//!
//! Integers only, of fixed size. With the limits of PRV-2 nothing overflows:
//!
//! | quantity | bound |
//! |---|---|
//! | Laplace: U + t V, t <= 2^80, U < t, V <= 2^40 | below 2^121 |
//! | Gaussian: \|Y\| d t, \|Y\| <= T <= 13.4 sigma + 1, t <= sigma + 1, sigma^2 = n/d, n <= 2^96, d <= 2^32 | 13.4 n + 14.4 sqrt(n d) + d < 2^100 |
//! | Gaussian: (\|Y\| d t - n)^2 | below 2^200 |
//! | Gaussian: 2 n d t^2 <= 2 n (sqrt n + sqrt d)^2 | below 2^194 |
//!
//! **Timing.** Rejection sampling takes a variable time, which depends on the
//! noise drawn: whoever times a single draw learns something about it. Noise
//! is drawn by the dealer on its own machine, long before and in batches apart
//! from any opening. Never draw it while somebody who must not learn it waits.
//! Intermediate values live in registers and on the stack and are not wiped.

use crate::{
    mechanism::{Mechanism, Scale, Variance},
    rational::Rational,
    uniform::{below, bernoulli, bernoulli_wide},
    wide,
};
use crypto_bigint::U256;
use rand_core::CryptoRng;

/// Beyond this many rounds of the geometric part a draw is certainly outside
/// the noise bound: floor(2^40 t / s) >= 2^30 and 2^40 t / s > 2 (90 t / s + 1)
/// for t/s >= 2^-10. Never reached (probability below exp(-2^40)); it bounds
/// the product U + t V.
const ROUNDS: u64 = 1 << 40;

/// CKS algorithm 1 for 0 <= x <= 1, where `coin` is true with probability x:
/// true with probability exp(-x). A coin of x / K is `coin` and one of 1 / K.
fn bernoulli_exp_below_one<R: CryptoRng>(
    rng: &mut R,
    mut coin: impl FnMut(&mut R) -> bool,
) -> bool {
    let mut k = 1u64;
    while bernoulli(1, u128::from(k), rng) && coin(rng) {
        // 2^64 rounds are not reached: from the second on each is at most an even chance.
        k = k.wrapping_add(1);
    }
    k % 2 == 1
}

/// True with probability exp(-1).
fn bernoulli_exp_one(rng: &mut impl CryptoRng) -> bool {
    bernoulli_exp_below_one(rng, |_| true)
}

/// CKS algorithm 1: true with probability exp(-x).
///
/// # Source
/// CKS algorithm 1. `rng` must be a sound generator: one that repeats itself
/// may never end a draw.
pub fn bernoulli_exp(x: &Rational, rng: &mut impl CryptoRng) -> bool {
    let denominator = u128::from(x.denominator());
    let mut numerator = x.numerator();
    while numerator > denominator {
        if !bernoulli_exp_one(rng) {
            return false;
        }
        numerator -= denominator;
    }
    bernoulli_exp_below_one(rng, |rng| bernoulli(numerator, denominator, rng))
}

/// CKS algorithm 2, conditioned on a magnitude of at most `bound`: the law
/// proportional to exp(-|x| s / t).
fn laplace(t: u128, s: u64, bound: u64, rng: &mut impl CryptoRng) -> i64 {
    'draw: loop {
        let u = below(t, rng);
        if !bernoulli_exp_below_one(rng, |rng| bernoulli(u, t, rng)) {
            continue;
        }
        let mut v = 0u64;
        while bernoulli_exp_one(rng) {
            v += 1;
            if v > ROUNDS {
                continue 'draw;
            }
        }
        let magnitude = (u + t * u128::from(v)) / u128::from(s.max(1));
        let negative = bernoulli(1, 2, rng);
        if magnitude > u128::from(bound) || (negative && magnitude == 0) {
            continue;
        }
        // bound < 2^55 (PRV-4), so the magnitude fits.
        let magnitude = magnitude as i64;
        return if negative { -magnitude } else { magnitude };
    }
}

/// CKS algorithm 3 with what does not change between draws.
#[derive(Debug, Clone)]
struct Gaussian {
    /// t = floor(sigma) + 1, the scale of the candidates.
    t: u128,
    /// n, the numerator of the variance.
    numerator: u128,
    /// d t.
    step: u128,
    /// 2 n d t^2, the denominator of the exponent.
    denominator: U256,
}

impl Gaussian {
    fn new(variance: &Variance) -> Self {
        let (n, d) = (
            variance.value().numerator(),
            u128::from(variance.value().denominator()),
        );
        // floor(sqrt(floor(n/d))) = floor(sqrt(n/d)).
        let t = (n / d).isqrt() + 1;
        Self {
            t,
            numerator: n,
            step: d * t,
            denominator: wide::mul(2 * n, d * t).wrapping_mul(&U256::from_u128(t)),
        }
    }

    fn sample(&self, bound: u64, rng: &mut impl CryptoRng) -> i64 {
        loop {
            let y = laplace(self.t, 1, bound, rng);
            // (|Y| - sigma^2/t)^2 / (2 sigma^2) = (|Y| d t - n)^2 / (2 n d t^2).
            let distance = (u128::from(y.unsigned_abs()) * self.step).abs_diff(self.numerator);
            if self.accept(wide::mul(distance, distance), rng) {
                return y;
            }
        }
    }

    /// CKS algorithm 1 for numerator / denominator of 256 bits.
    fn accept(&self, mut numerator: U256, rng: &mut impl CryptoRng) -> bool {
        while numerator > self.denominator {
            if !bernoulli_exp_one(rng) {
                return false;
            }
            numerator = numerator.wrapping_sub(&self.denominator);
        }
        bernoulli_exp_below_one(rng, |rng| {
            bernoulli_wide(&numerator, &self.denominator, rng)
        })
    }
}

/// Draws the noise of one mechanism, again and again.
#[derive(Debug, Clone)]
pub struct Sampler {
    bound: u64,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    None,
    Laplace(Scale),
    Gaussian(Gaussian),
}

impl Sampler {
    /// The sampler of `mechanism`.
    pub fn new(mechanism: &Mechanism) -> Self {
        Self {
            bound: mechanism.noise_bound(),
            kind: match mechanism {
                Mechanism::None => Kind::None,
                Mechanism::DiscreteLaplace { scale } => Kind::Laplace(*scale),
                Mechanism::DiscreteGaussian { variance } => Kind::Gaussian(Gaussian::new(variance)),
            },
        }
    }

    /// One draw (PRV-1), of magnitude at most the mechanism's noise bound
    /// (PRV-4); 0 without noise. Takes a variable time: see the module's head.
    ///
    /// # Source
    /// CKS algorithms 2 and 3.
    pub fn sample(&self, rng: &mut impl CryptoRng) -> i64 {
        match &self.kind {
            Kind::None => 0,
            Kind::Laplace(scale) => {
                let scale = scale.value();
                laplace(scale.numerator(), scale.denominator(), self.bound, rng)
            }
            Kind::Gaussian(gaussian) => gaussian.sample(self.bound, rng),
        }
    }
}
