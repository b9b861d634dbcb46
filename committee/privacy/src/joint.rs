//! What to expect of a sum of independent noises (PRV-13): a joint query opens
//! the sum of J openings, each with noise of its own.
//!
//! The half-width is by inversion of the characteristic function on a lattice
//! (Abate and Whitt, "The Fourier-series method for inverting transforms of
//! probability distributions", Queueing Systems 10, 1992, section 5). With
//! phi the product of the summands' characteristic functions, M odd and
//! theta_k = 2 pi k / M,
//!
//!   1/M sum_k phi(theta_k) sin((h + 1/2) theta_k) / sin(theta_k / 2)
//!
//! is the probability that the sum is within h of a multiple of M: of zero, and
//! of others with at most P(|S| > (M - 1) / 2), which M = 2 sum T_j + 1 makes
//! less than J 2^-128 (PRV-4). Where the series is cut after K terms, what is
//! left out is at most phi(theta_K) ln(M / 2K), as phi falls on 0..pi and
//! sin(x) >= 2x / pi; that is added to the tail. So is a margin for rounding:
//! 2^16 terms 2 / (pi k) whose phases, below 2^18, are off by 2^-34 in all.
//!
//! Floats, rounded outwards: a report, from which nothing is decided.

use crate::{Forecast, Mechanism, PrivacyError, law};
use std::f64::consts::PI;

/// Most summands of a joint forecast. Sums of their bounds stay below 2^61.
pub const MAX_SUMMANDS: usize = 64;

/// Most terms of the series.
const MAX_TERMS: u64 = 1 << 16;
/// What may be left out before the series is cut.
const NEGLIGIBLE: f64 = 1e-12;
/// What rounding may cost of a probability.
const ROUNDING: f64 = 1e-9;

impl Forecast {
    /// The error to expect from the sum of one draw of each, independent
    /// (PRV-13). For one mechanism it is [`Mechanism::forecast`].
    ///
    /// # Errors
    /// [`PrivacyError::Summands`] for more than [`MAX_SUMMANDS`].
    pub fn of_sum(mechanisms: &[Mechanism]) -> Result<Self, PrivacyError> {
        if mechanisms.len() > MAX_SUMMANDS {
            return Err(PrivacyError::Summands {
                limit: MAX_SUMMANDS,
                value: mechanisms.len(),
            });
        }
        // Those without noise add nothing.
        let mut noises = mechanisms.iter().filter(|m| **m != Mechanism::None);
        match (noises.next(), noises.next()) {
            (None, _) => return Ok(Mechanism::None.forecast()),
            (Some(one), None) => return Ok(one.forecast()),
            _ => {}
        }
        let variance: f64 = mechanisms.iter().map(law::variance).sum();
        let bound = mechanisms.iter().map(Mechanism::noise_bound).sum();
        Ok(Self {
            standard_deviation: variance.sqrt(),
            half_width_95: Series::of(mechanisms, bound).half_width_95(),
            bound,
        })
    }
}

/// phi at the nodes, and what the cut leaves out.
struct Series {
    /// (M - 1) / 2.
    bound: u64,
    /// phi(theta_k) / sin(theta_k / 2) for k = 1...
    terms: Vec<f64>,
    left_out: f64,
}

impl Series {
    fn of(mechanisms: &[Mechanism], bound: u64) -> Self {
        // Equal ones are evaluated once.
        let mut laws: Vec<(&Mechanism, i32)> = Vec::new();
        for m in mechanisms {
            match laws.iter_mut().find(|(known, _)| *known == m) {
                Some((_, count)) => *count += 1,
                None => laws.push((m, 1)),
            }
        }
        let step = 2.0 * PI / modulus(bound);
        let mut terms = Vec::new();
        let mut left_out = 0.0;
        for k in 1..=bound {
            let theta = k as f64 * step;
            let phi = |(m, count): &(&Mechanism, i32)| law::characteristic(m, theta).powi(*count);
            let phi: f64 = laws.iter().map(phi).product();
            terms.push(phi / (theta / 2.0).sin());
            // Harmonic numbers: sum of 1/k' over k < k' <= bound is at most ln(bound / k).
            let rest = phi * (bound as f64 / k as f64).ln();
            if rest < NEGLIGIBLE || k == MAX_TERMS {
                left_out = rest.max(0.0);
                break;
            }
        }
        Self {
            bound,
            terms,
            left_out,
        }
    }

    /// An upper bound of P(|S| > h), for h of at most the bound.
    fn tail(&self, h: u64) -> f64 {
        let (m, width) = (modulus(self.bound), 2.0 * h as f64 + 1.0);
        // Smallest terms first; k is at most 2^16.
        let sum: f64 = self
            .terms
            .iter()
            .enumerate()
            .rev()
            .map(|(i, t)| 2.0 * t * (width * PI * ((i as f64 + 1.0) / m)).sin())
            .sum();
        1.0 - (width + sum) / m + self.left_out + ROUNDING
    }

    /// The least h of which the bound of the tail is at most 0.05.
    fn half_width_95(&self) -> u64 {
        let (mut low, mut high) = (0, self.bound);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.tail(middle) <= 0.05 {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        high
    }
}

/// M = 2 bound + 1.
fn modulus(bound: u64) -> f64 {
    2.0 * bound as f64 + 1.0
}
