//! Mechanisms as values: parameters within limits, one encoding, the bound of
//! their noise, what one opening costs (PRV-2..4, PRV-7).

use crate::{
    PrivacyError, budget::Rho, rational::Rational, sampler::Sampler, sensitivity::Sensitivity, wide,
};
use rand_core::CryptoRng;
use veilbourse_core::wire::{Reader, WireError, Writer};

/// A draw of the ideal law leaves the noise bound with probability below
/// 2^-128 (PRV-4).
pub const TAIL_LOG2: i32 = -128;

/// Bytes of an encoded mechanism: tag, numerator, denominator.
pub const MECHANISM_BYTES: usize = 1 + 16 + 8;

/// ceil(90 scale) deviates with probability below 2 exp(-90) < 2^-128.
const LAPLACE_TAIL: u128 = 90;

/// 13.4^2 * 100: ceil(13.4 sigma) deviates with probability below
/// 2 exp(-13.4^2 / 2) < 2^-128 (as BUD-3).
const GAUSSIAN_TAIL_SQUARED_HUNDREDTHS: u128 = 17_956;

/// Binary logarithm that no mechanism's noise bound reaches: 90 * 2^48 < 2^55.
pub const MAX_NOISE_BOUND_LOG2: u32 = 55;

/// The scale of a discrete Laplace law, within 2^-10..=2^48 (PRV-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scale(Rational);

/// The variance parameter of a discrete Gaussian law, at least 2^-20, with a
/// numerator of at most 2^96 (PRV-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Variance(Rational);

/// The noise added to an opened integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// No noise: counted by values and bits, never by a privacy budget.
    None,
    /// P(x) proportional to exp(-|x| / scale).
    DiscreteLaplace {
        /// The scale.
        scale: Scale,
    },
    /// P(x) proportional to exp(-x^2 / (2 variance)).
    DiscreteGaussian {
        /// The variance parameter sigma^2; the law's variance is at most that.
        variance: Variance,
    },
}

impl Scale {
    const FIELD: &'static str = "scale of the discrete Laplace noise";
    const MIN_LOG2: i32 = -10;
    const MAX_LOG2: i32 = 48;

    /// A scale of `numerator / denominator`.
    ///
    /// # Errors
    /// [`PrivacyError::Denominator`], [`PrivacyError::TooSmall`],
    /// [`PrivacyError::TooLarge`] outside the limits of PRV-2.
    pub fn new(numerator: u128, denominator: u64) -> Result<Self, PrivacyError> {
        let value = Rational::new(Self::FIELD, numerator, denominator)?;
        let (n, d) = (value.numerator(), u128::from(value.denominator()));
        // d <= 2^32, so d 2^48 fits; n < d / 2^10 without a product that could overflow.
        if n < d.div_ceil(1 << -Self::MIN_LOG2) {
            return Err(too_small(Self::FIELD, Self::MIN_LOG2, &value));
        }
        if n > d << Self::MAX_LOG2 {
            return Err(too_large(Self::FIELD, Self::MAX_LOG2, &value));
        }
        Ok(Self(value))
    }
    /// The fraction.
    pub const fn value(&self) -> Rational {
        self.0
    }
}

impl Variance {
    const FIELD: &'static str = "variance of the discrete Gaussian noise";
    const MIN_LOG2: i32 = -20;
    const MAX_LOG2: i32 = 96;

    /// A variance of `numerator / denominator`.
    ///
    /// # Errors
    /// [`PrivacyError::Denominator`], [`PrivacyError::TooSmall`],
    /// [`PrivacyError::TooLarge`] outside the limits of PRV-2.
    pub fn new(numerator: u128, denominator: u64) -> Result<Self, PrivacyError> {
        let value = Rational::new(Self::FIELD, numerator, denominator)?;
        let (n, d) = (value.numerator(), u128::from(value.denominator()));
        if n < d.div_ceil(1 << -Self::MIN_LOG2) {
            return Err(too_small(Self::FIELD, Self::MIN_LOG2, &value));
        }
        // The limit is on the numerator: that is what bounds the sampler's integers.
        if n > 1 << Self::MAX_LOG2 {
            return Err(too_large(Self::FIELD, Self::MAX_LOG2, &value));
        }
        Ok(Self(value))
    }
    /// The fraction.
    pub const fn value(&self) -> Rational {
        self.0
    }
}

fn too_small(field: &'static str, limit_log2: i32, value: &Rational) -> PrivacyError {
    PrivacyError::TooSmall {
        field,
        limit_log2,
        numerator: value.numerator(),
        denominator: value.denominator(),
    }
}

fn too_large(field: &'static str, limit_log2: i32, value: &Rational) -> PrivacyError {
    PrivacyError::TooLarge {
        field,
        limit_log2,
        numerator: value.numerator(),
        denominator: value.denominator(),
    }
}

impl Mechanism {
    /// Discrete Laplace noise of the given scale.
    ///
    /// # Errors
    /// As [`Scale::new`].
    pub fn laplace(numerator: u128, denominator: u64) -> Result<Self, PrivacyError> {
        let scale = Scale::new(numerator, denominator)?;
        Ok(Self::DiscreteLaplace { scale })
    }

    /// Discrete Gaussian noise of the given variance.
    ///
    /// # Errors
    /// As [`Variance::new`].
    pub fn gaussian(numerator: u128, denominator: u64) -> Result<Self, PrivacyError> {
        let variance = Variance::new(numerator, denominator)?;
        Ok(Self::DiscreteGaussian { variance })
    }

    /// T: no draw exceeds it in magnitude, and a draw of the ideal law does
    /// with probability below 2^-128 (PRV-4). Below 2^55.
    pub fn noise_bound(&self) -> u64 {
        // Both fit: 90 * 2^48 < 2^55, and sqrt(179.56 * 2^96) < 2^52.
        match self {
            Self::None => 0,
            Self::DiscreteLaplace { scale } => {
                let (n, d) = (scale.0.numerator(), u128::from(scale.0.denominator()));
                (LAPLACE_TAIL * n).div_ceil(d) as u64
            }
            Self::DiscreteGaussian { variance } => {
                let (n, d) = (variance.0.numerator(), u128::from(variance.0.denominator()));
                let square = (GAUSSIAN_TAIL_SQUARED_HUNDREDTHS * n).div_ceil(100 * d);
                let root = square.isqrt();
                (root + u128::from(root * root < square)) as u64
            }
        }
    }

    /// Checks that a message of magnitude at most `message` stays within
    /// `limit` after the noise (PRV-4).
    ///
    /// # Errors
    /// [`PrivacyError::Range`].
    pub fn fits(&self, message: u64, limit: u64) -> Result<(), PrivacyError> {
        let noise = self.noise_bound();
        match message.checked_add(noise) {
            Some(sum) if sum <= limit => Ok(()),
            _ => Err(PrivacyError::Range {
                message,
                noise,
                limit,
            }),
        }
    }

    /// What one opening costs, in zCDP, rounded up (PRV-7, PRV-8): eps^2 / 2
    /// for Laplace, eps = sensitivity / scale (BS proposition 1.4);
    /// sensitivity^2 / (2 sigma^2) for Gaussian (CKS theorem 4).
    ///
    /// # Errors
    /// [`PrivacyError::NoNoise`], [`PrivacyError::Cost`].
    pub fn cost(&self, sensitivity: Sensitivity) -> Result<Rho, PrivacyError> {
        let delta = u128::from(sensitivity.value());
        // Sensitivity is at most 2^62, denominators at most 2^32: the squares
        // are below 2^188, times 2^39 below 2^227.
        let (top, bottom) = match self {
            Self::None => return Err(PrivacyError::NoNoise),
            Self::DiscreteLaplace { scale } => {
                let (t, s) = (scale.0.numerator(), u128::from(scale.0.denominator()));
                (wide::mul(delta * s, delta * s), wide::mul(t, t))
            }
            Self::DiscreteGaussian { variance } => {
                let (n, d) = (variance.0.numerator(), u128::from(variance.0.denominator()));
                (wide::mul(delta * delta, d), wide::mul(n, 1))
            }
        };
        Rho::half_rounded_up(&top, &bottom)
    }

    /// The pure epsilon of one Laplace opening, sensitivity / scale, for
    /// reports; `None` for the others.
    pub fn pure_epsilon(&self, sensitivity: Sensitivity) -> Option<f64> {
        match self {
            Self::DiscreteLaplace { scale } => Some(sensitivity.value() as f64 / scale.0.to_f64()),
            Self::None | Self::DiscreteGaussian { .. } => None,
        }
    }

    /// One draw of the noise: see [`Sampler::sample`], which batches should use.
    pub fn sample(&self, rng: &mut impl CryptoRng) -> i64 {
        Sampler::new(self).sample(rng)
    }

    /// The canonical encoding (PRV-3): tag, numerator (16 bytes), denominator
    /// (8 bytes), little-endian; both zero without noise.
    pub fn encode(&self, out: &mut Writer) {
        let (tag, numerator, denominator) = match self {
            Self::None => (0u8, 0u128, 0u64),
            Self::DiscreteLaplace { scale } => (1, scale.0.numerator(), scale.0.denominator()),
            Self::DiscreteGaussian { variance } => {
                (2, variance.0.numerator(), variance.0.denominator())
            }
        };
        out.u8(tag).raw(&numerator.to_le_bytes()).u64(denominator);
    }

    /// Reads a mechanism.
    ///
    /// # Errors
    /// [`PrivacyError::Wire`] for what no writer writes (unknown tag, a
    /// fraction not in lowest terms, parameters without noise), the limits'
    /// own errors for parameters outside them.
    pub fn decode(input: &mut Reader<'_>) -> Result<Self, PrivacyError> {
        let tag = input.u8("mechanism")?;
        let numerator = u128::from_le_bytes(input.array("mechanism numerator")?);
        let denominator = input.u64("mechanism denominator")?;
        let invalid = |reason: String| WireError::Invalid {
            field: "mechanism",
            reason,
        };
        let mechanism = match tag {
            0 if numerator == 0 && denominator == 0 => return Ok(Self::None),
            0 => {
                let reason = format!("none has no parameter, found {numerator}/{denominator}");
                return Err(invalid(reason).into());
            }
            1 => Self::laplace(numerator, denominator)?,
            2 => Self::gaussian(numerator, denominator)?,
            _ => return Err(invalid(format!("unknown tag {tag}, the greatest is 2")).into()),
        };
        let reduced = match mechanism {
            Self::DiscreteLaplace { scale } => scale.0,
            Self::DiscreteGaussian { variance } => variance.0,
            Self::None => Rational::integer(0),
        };
        if reduced.denominator() != denominator {
            let reason = format!("{numerator}/{denominator} is not in lowest terms");
            return Err(invalid(reason).into());
        }
        Ok(mechanism)
    }
}
