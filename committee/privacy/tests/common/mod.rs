//! Bounds that hold for every sample size, with their false-alarm probability.

#![allow(dead_code)] // each test file uses its part

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use veilbourse_privacy::{Mechanism, Sampler};

/// ln(2^48): each bound fails a right sampler with probability below 2^-48.
pub const LOG_INVERSE_ALARM: f64 = 48.0 * std::f64::consts::LN_2;

/// `count` draws from a stated seed.
pub fn draws(mechanism: &Mechanism, seed: u64, count: usize) -> Vec<i64> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let sampler = Sampler::new(mechanism);
    (0..count).map(|_| sampler.sample(&mut rng)).collect()
}

/// Chernoff: a binomial count with success probability p deviates to a
/// frequency f, on its side, with probability at most exp(-n KL(f || p)).
/// Returns n KL(f || p).
pub fn surprise(hits: u64, n: u64, p: f64) -> f64 {
    let f = hits as f64 / n as f64;
    let term = |a: f64, b: f64| if a == 0.0 { 0.0 } else { a * (a / b).ln() };
    n as f64 * (term(f, p) + term(1.0 - f, 1.0 - p))
}

/// Checks counts of disjoint cells, of all unions of the first ones, and
/// Pearson's statistic against the probabilities. False alarm: 2^-48
/// for the first two together, by Chernoff, for every sample size; 2^-48 for
/// Pearson's statistic by Laurent and Massart's bound of the chi-square tail,
/// as far as the statistic has that law (cells expect at least 25).
/// Returns what was wrong.
pub fn misfit(counts: &[u64], probabilities: &[f64]) -> Option<String> {
    assert_eq!(counts.len(), probabilities.len());
    let n: u64 = counts.iter().sum();
    let total: f64 = probabilities.iter().sum();
    assert!((total - 1.0).abs() < 1e-9, "cells cover {total}");
    let limit = LOG_INVERSE_ALARM + (4.0 * counts.len() as f64).ln();
    let (mut hits, mut below, mut pearson, mut freedom) = (0u64, 0.0, 0.0, -1.0f64);
    let (mut rest_hits, mut rest) = (0.0, 0.0);
    for (i, (c, p)) in counts.iter().zip(probabilities).enumerate() {
        if surprise(*c, n, *p) > limit {
            return Some(format!("cell {i}: {c} of {n}, probability {p}"));
        }
        hits += c;
        below += p;
        if below < 1.0 - 1e-9 && surprise(hits, n, below) > limit {
            return Some(format!(
                "up to cell {i}: {hits} of {n}, probability {below}"
            ));
        }
        // Sparse cells are pooled.
        rest_hits += *c as f64;
        rest += n as f64 * p;
        if rest >= 25.0 {
            pearson += (rest_hits - rest).powi(2) / rest;
            freedom += 1.0;
            (rest_hits, rest) = (0.0, 0.0);
        }
    }
    let x = LOG_INVERSE_ALARM;
    let limit = freedom + 2.0 * (freedom.max(0.0) * x).sqrt() + 2.0 * x;
    (pearson > limit).then(|| format!("chi-square {pearson} over {limit}, {freedom} degrees"))
}
