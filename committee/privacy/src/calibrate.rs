//! The least noise that keeps one opening within a wanted cost (PRV-7), for
//! custodians who think in epsilon or rho.

use crate::{
    Mechanism, PrivacyError, RHO_FRACTION_BITS, Rational, Rho, Scale, Sensitivity, Variance, wide,
};
use crypto_bigint::U256;

/// Steps of a calibrated variance: 2^-16, whole from 2^32 on.
const VARIANCE_FRACTION_BITS: u32 = 16;
const COARSE_FROM_LOG2: u32 = 32;

impl Mechanism {
    /// Discrete Laplace noise of scale sensitivity / epsilon: one opening is
    /// epsilon-differentially private.
    ///
    /// # Errors
    /// As [`Scale::new`].
    pub fn laplace_for(sensitivity: Sensitivity, epsilon: &Rational) -> Result<Self, PrivacyError> {
        // At most 2^62 * 2^32. The numerator of epsilon becomes the denominator.
        let numerator = u128::from(sensitivity.value()) * u128::from(epsilon.denominator());
        let denominator = u64::try_from(epsilon.numerator()).unwrap_or(u64::MAX);
        let scale = Scale::new(numerator, denominator)?;
        Ok(Self::DiscreteLaplace { scale })
    }

    /// Discrete Gaussian noise of the least variance, in steps of 2^-16 (whole from
    /// 2^32 on), of which one opening costs at most `rho`.
    ///
    /// # Errors
    /// As [`Variance::new`]; a `rho` of 0 asks for an infinite variance.
    pub fn gaussian_for(sensitivity: Sensitivity, rho: Rho) -> Result<Self, PrivacyError> {
        // sensitivity^2 / (2 rho) = sensitivity^2 2^39 / units, in steps. Rounding
        // up costs at most rho: n/d >= sensitivity^2 2^39 / units, so
        // 2^39 sensitivity^2 d / n <= units.
        let square = U256::from_u128(u128::from(sensitivity.value()).pow(2));
        let steps = |fraction_bits: u32| {
            // Below 2^(124 + 39 + 16).
            let bits = (RHO_FRACTION_BITS - 1 + fraction_bits) as usize;
            wide::shl(&square, bits)
                .and_then(|top| wide::div_ceil(&top, &U256::from_u64(rho.units())))
                .unwrap_or(u128::MAX)
        };
        let whole = steps(0);
        let variance = if whole >> COARSE_FROM_LOG2 != 0 {
            Variance::new(whole, 1)?
        } else {
            // Never 0, also for a sensitivity of 0.
            Variance::new(
                steps(VARIANCE_FRACTION_BITS).max(1),
                1 << VARIANCE_FRACTION_BITS,
            )?
        };
        Ok(Self::DiscreteGaussian { variance })
    }
}
