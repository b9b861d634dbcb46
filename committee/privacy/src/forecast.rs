//! The error that noise will cause, said before ordering (PRV-11); of sums of
//! noises by [`Forecast::of_sum`].
//!
//! Floats, rounded outwards: a report, from which nothing is decided.

use crate::{Mechanism, law};

/// What to expect of one draw, or of a sum of draws, in units of the opened integer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// Standard deviation.
    pub standard_deviation: f64,
    /// At least 95 of 100 draws lie within plus or minus this.
    pub half_width_95: u64,
    /// No draw exceeds this (PRV-4).
    pub bound: u64,
}

/// The upper 97.5 % point of the normal law is 1.959963984540054.
const NORMAL_97_5: f64 = 1.959_963_985;

/// What rounding may cost, generously: floats are off by a few 2^-53.
const OUTWARD: f64 = 1.0 + 1e-12;

impl Mechanism {
    /// The error to expect from one draw (PRV-11).
    pub fn forecast(&self) -> Forecast {
        Forecast {
            standard_deviation: law::variance(self).sqrt(),
            half_width_95: self.half_width_95(),
            bound: self.noise_bound(),
        }
    }

    /// The least h with P(|X| > h) <= 0.05, or a bound of it that is larger by
    /// at most 1 and the rounding.
    fn half_width_95(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::DiscreteLaplace { scale } => {
                // 2 p^(h+1) / (1 + p) <= 1/20.
                let scale = scale.value().to_f64();
                let p = (-1.0 / scale).exp();
                let least = (scale * (40.0 / (1.0 + p)).ln() * OUTWARD).ceil();
                (least as u64).saturating_sub(1)
            }
            Self::DiscreteGaussian { variance } => {
                let v = variance.value().to_f64();
                if v <= law::SUMMED_VARIANCE {
                    return self.summed_half_width();
                }
                // P(|X| > h) <= P(|N| > h): the normaliser is at least
                // sqrt(2 pi) sigma (Poisson summation, all terms positive), and a
                // decreasing sum above h is at most the integral from h.
                (NORMAL_97_5 * v.sqrt() * OUTWARD).ceil() as u64
            }
        }
    }

    /// From the outside in: the least h whose tail is still at most 0.05.
    fn summed_half_width(&self) -> u64 {
        let mut tail = 0.0;
        let mut h = self.noise_bound();
        while h > 0 {
            // P(|X| > h - 1) = P(|X| > h) + P(|X| = h).
            tail += 2.0 * law::mass(self, i64::try_from(h).unwrap_or(i64::MAX));
            if tail * OUTWARD > 0.05 {
                return h;
            }
            h -= 1;
        }
        0
    }
}
