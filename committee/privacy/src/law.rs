//! The ideal laws in floats, for forecasts and for the statistical tests
//! (PRV-11): mass, tail, variance. Nothing is drawn or decided from these.

use crate::Mechanism;

/// Above this variance the normaliser of the discrete Gaussian law is taken
/// as sqrt(2 pi sigma^2): the relative error is below 3 exp(-2 pi^2 sigma^2)
/// (Poisson summation), far below a float's.
const SMOOTH_VARIANCE: f64 = 9.0;

/// Above this variance sums over the law are replaced by bounds.
pub const SUMMED_VARIANCE: f64 = 1_048_576.0;

/// P(X = x) of the ideal law, before it is conditioned on the noise bound
/// (which multiplies it by less than 1 + 2^-127).
pub fn mass(mechanism: &Mechanism, x: i64) -> f64 {
    let magnitude = x.unsigned_abs() as f64;
    match mechanism {
        Mechanism::None => f64::from(u8::from(x == 0)),
        Mechanism::DiscreteLaplace { scale } => {
            let rate = 1.0 / scale.value().to_f64();
            // (1 - p) / (1 + p) p^|x|, p = exp(-rate).
            (rate / 2.0).tanh() * (-magnitude * rate).exp()
        }
        Mechanism::DiscreteGaussian { variance } => {
            let v = variance.value().to_f64();
            (-magnitude * magnitude / (2.0 * v)).exp() / gaussian_normaliser(v)
        }
    }
}

/// Sum over the integers of exp(-x^2 / (2 v)).
fn gaussian_normaliser(v: f64) -> f64 {
    if v >= SMOOTH_VARIANCE {
        return (std::f64::consts::TAU * v).sqrt();
    }
    // sqrt(179.56 * 9) < 41: what is left out is below 2^-128.
    1.0 + (1..=41)
        .rev()
        .map(|x| 2.0 * (-f64::from(x * x) / (2.0 * v)).exp())
        .sum::<f64>()
}

/// P(|X| > h); for a discrete Gaussian law summed over everything above h, so
/// meant for variances of at most [`SUMMED_VARIANCE`].
pub fn tail(mechanism: &Mechanism, h: u64) -> f64 {
    match mechanism {
        Mechanism::None => 0.0,
        Mechanism::DiscreteLaplace { scale } => {
            let rate = 1.0 / scale.value().to_f64();
            // 2 p^(h+1) / (1 + p).
            2.0 * (-(h as f64 + 1.0) * rate).exp() / (1.0 + (-rate).exp())
        }
        Mechanism::DiscreteGaussian { .. } => {
            // Smallest terms first.
            let top = mechanism.noise_bound().max(h);
            (h..top)
                .rev()
                .map(|x| 2.0 * mass(mechanism, i64::try_from(x + 1).unwrap_or(i64::MAX)))
                .sum()
        }
    }
}

/// The law's variance: exact for Laplace; for Gaussian summed where the
/// lattice shows, the parameter (an upper bound, and equal to far more digits
/// than a float has) above.
pub fn variance(mechanism: &Mechanism) -> f64 {
    match mechanism {
        Mechanism::None => 0.0,
        Mechanism::DiscreteLaplace { scale } => {
            // 2 p / (1 - p)^2 = 1 / (2 sinh^2(rate / 2)).
            let half = 0.5 / scale.value().to_f64();
            0.5 / half.sinh().powi(2)
        }
        Mechanism::DiscreteGaussian { variance } => {
            let v = variance.value().to_f64();
            if v >= SMOOTH_VARIANCE {
                return v;
            }
            (1..=41i64)
                .rev()
                .map(|x| 2.0 * (x * x) as f64 * mass(mechanism, x))
                .sum()
        }
    }
}

/// E cos(theta X) of the ideal law, for theta within 0..=pi, where it falls.
pub fn characteristic(mechanism: &Mechanism, theta: f64) -> f64 {
    match mechanism {
        Mechanism::None => 1.0,
        Mechanism::DiscreteLaplace { .. } => {
            // (1 - p)^2 / (1 - 2 p cos(theta) + p^2).
            1.0 / (1.0 + 2.0 * variance(mechanism) * (theta / 2.0).sin().powi(2))
        }
        Mechanism::DiscreteGaussian { variance } => {
            let v = variance.value().to_f64();
            if v >= SMOOTH_VARIANCE {
                // Poisson summation; the other terms are below 2 exp(-pi^2 v / 2) < 2^-63.
                return (-v * theta * theta / 2.0).exp();
            }
            let term =
                |x: i32| (-f64::from(x * x) / (2.0 * v)).exp() * (f64::from(x) * theta).cos();
            let sum: f64 = (1..=41).rev().map(|x| 2.0 * term(x)).sum();
            ((1.0 + sum) / gaussian_normaliser(v)).max(0.0)
        }
    }
}
