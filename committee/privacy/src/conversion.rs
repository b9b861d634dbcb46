//! From zCDP to (epsilon, delta), for people (PRV-10).
//!
//! CKS corollary 13 (from proposition 12): rho-zCDP implies
//! (epsilon, delta)-DP for every alpha > 1 with
//!
//!   epsilon = alpha rho + (ln(1/delta) + (alpha - 1) ln(1 - 1/alpha) - ln alpha) / (alpha - 1).
//!
//! **Conservative.** Every alpha gives a valid statement, so a minimiser that
//! stops early only reports a larger epsilon; what remains is the rounding of
//! one evaluation, covered by a margin of 2^-40 of all terms (a logarithm is
//! off by a few 2^-53, on any platform).
//!
//! **The cut** (PRV-4). Each draw is within total variation 2^-128 of the ideal
//! law, so N adaptively chosen openings are within N 2^-128 of ideal ones, and
//! ideal (epsilon, delta') gives (epsilon, delta' + (1 + e^epsilon) N 2^-128).
//! A share 2^-20 of delta is set aside for that, and a delta too small for it
//! is refused.

use crate::{PrivacyError, budget::Rho};

/// Relative margin for rounding.
const MARGIN: f64 = 1.0 / (1u64 << 40) as f64;

/// The share of delta that is set aside for the cut.
const CUT_SHARE: f64 = 1.0 / (1u64 << 20) as f64;

/// 2^-128, a bound of what one draw is off the ideal law.
fn cut_per_opening() -> f64 {
    f64::from(crate::TAIL_LOG2).exp2()
}

/// The least epsilon, rounded up, such that `openings` draws that cost `rho`
/// in all are (epsilon, delta)-differentially private.
///
/// # Errors
/// [`PrivacyError::Delta`]; [`PrivacyError::Cut`] when delta is too small
/// beside the cut.
///
/// # Source
/// CKS corollary 13, minimised numerically.
pub fn epsilon(rho: Rho, delta: f64, openings: u64) -> Result<f64, PrivacyError> {
    check_delta(delta)?;
    let rho = rho.to_f64();
    let epsilon = if rho == 0.0 {
        0.0
    } else {
        let log = -(delta * (1.0 - CUT_SHARE)).ln();
        least_over_orders(|a| epsilon_at(a, rho, log)).max(0.0)
    };
    let (value, limit) = (cut(openings, epsilon), delta * CUT_SHARE);
    if value <= limit {
        return Ok(epsilon);
    }
    Err(PrivacyError::Cut {
        delta,
        limit,
        value,
        epsilon,
        openings,
    })
}

/// The least delta, rounded up and at most 1, such that `openings` draws that
/// cost `rho` in all are (epsilon, delta)-differentially private.
///
/// # Errors
/// [`PrivacyError::Epsilon`].
///
/// # Source
/// CKS corollary 13, minimised numerically.
pub fn delta(rho: Rho, epsilon: f64, openings: u64) -> Result<f64, PrivacyError> {
    if !(epsilon.is_finite() && epsilon >= 0.0) {
        return Err(PrivacyError::Epsilon { value: epsilon });
    }
    let rho = rho.to_f64();
    let ideal = if rho == 0.0 {
        0.0
    } else {
        least_over_orders(|a| log_delta_at(a, rho, epsilon)).exp()
    };
    Ok(((ideal + cut(openings, epsilon)) * (1.0 + MARGIN)).min(1.0))
}

/// rho + 2 sqrt(rho ln(1/delta)): the simple bound, never below [`epsilon`]'s
/// ideal part (BS proposition 1.3).
///
/// # Errors
/// [`PrivacyError::Delta`].
pub fn epsilon_simple(rho: Rho, delta: f64) -> Result<f64, PrivacyError> {
    check_delta(delta)?;
    let rho = rho.to_f64();
    Ok((rho + 2.0 * (rho * -delta.ln()).sqrt()) * (1.0 + MARGIN))
}

/// The greatest rho of which `openings` draws are still (epsilon, delta)-DP,
/// rounded down: what a custodian grants who thinks in epsilon and delta.
///
/// # Errors
/// [`PrivacyError::Delta`], [`PrivacyError::Epsilon`]; [`PrivacyError::Cut`]
/// when delta is too small beside the cut already at a cost of 0.
pub fn granting(epsilon_limit: f64, delta: f64, openings: u64) -> Result<Rho, PrivacyError> {
    if !(epsilon_limit.is_finite() && epsilon_limit >= 0.0) {
        return Err(PrivacyError::Epsilon {
            value: epsilon_limit,
        });
    }
    epsilon(Rho::ZERO, delta, openings)?;
    // Invariant: `kept` is allowed; every answer was checked by `epsilon` itself.
    let (mut kept, mut above) = (0u64, u64::MAX);
    while kept + 1 < above {
        let middle = kept + (above - kept) / 2;
        if epsilon(Rho::from_units(middle), delta, openings).is_ok_and(|e| e <= epsilon_limit) {
            kept = middle;
        } else {
            above = middle;
        }
    }
    Ok(Rho::from_units(kept))
}

fn check_delta(delta: f64) -> Result<(), PrivacyError> {
    if delta > 0.0 && delta < 1.0 {
        return Ok(());
    }
    Err(PrivacyError::Delta { value: delta })
}

/// (1 + e^epsilon) N 2^-128, rounded up.
fn cut(openings: u64, epsilon: f64) -> f64 {
    openings as f64 * (1.0 + epsilon.exp()) * cut_per_opening() * (1.0 + MARGIN)
}

/// The order 1 + a; a is what the sum really is above 1, so both agree.
fn order(a: f64) -> (f64, f64) {
    let alpha = 1.0 + a;
    (alpha, alpha - 1.0)
}

/// ln(1 - 1/alpha) without cancellation.
fn log_one_minus_inverse(alpha: f64, a: f64) -> f64 {
    if alpha < 2.0 {
        (a / alpha).ln()
    } else {
        (-1.0 / alpha).ln_1p()
    }
}

fn epsilon_at(a: f64, rho: f64, log_inverse_delta: f64) -> f64 {
    let (alpha, a) = order(a);
    let terms = [
        alpha * rho,
        log_inverse_delta / a,
        log_one_minus_inverse(alpha, a),
        -alpha.ln() / a,
    ];
    outward(&terms)
}

fn log_delta_at(a: f64, rho: f64, epsilon: f64) -> f64 {
    let (alpha, a) = order(a);
    let terms = [
        a * alpha * rho,
        -a * epsilon,
        a * log_one_minus_inverse(alpha, a),
        -alpha.ln(),
    ];
    outward(&terms)
}

/// The sum and a margin of all magnitudes.
fn outward(terms: &[f64]) -> f64 {
    terms.iter().sum::<f64>() + MARGIN * terms.iter().map(|t| t.abs()).sum::<f64>()
}

/// The least value over orders 1 + 2^x, x from -30 to 40: the best of a grid,
/// then thirds around it.
fn least_over_orders(f: impl Fn(f64) -> f64) -> f64 {
    let at = |x: f64| f(x.exp2());
    let grid = (-120..=160).map(|i| f64::from(i) / 4.0);
    let (mut best, mut value) = (0.0, f64::INFINITY);
    for x in grid {
        let y = at(x);
        if y < value {
            (best, value) = (x, y);
        }
    }
    let (mut low, mut high) = (best - 0.25, best + 0.25);
    for _ in 0..60 {
        let third = (high - low) / 3.0;
        let (a, b) = (at(low + third), at(high - third));
        value = value.min(a).min(b);
        if a < b {
            high -= third;
        } else {
            low += third;
        }
    }
    value
}
