//! What the quantisation of the data did to the coefficients (TRN-10).
//!
//! A cell is held as x + e, |e| at most half a step h of its column. To first
//! order in e, with R the residuals and A, G, V as in `Real`,
//! db = G E'R + G X'(f - E b), which Cauchy and Schwarz bound over all e, and
//! whose variance is known where the e are independent and uniform.

use super::{error::TrainError, fit::Real, moments::Variable};
use serde::Serialize;

/// How far quantisation may have moved a coefficient, in its real units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Effect {
    /// To first order at most this, whatever the data were.
    pub bound: f64,
    /// Expected, if errors were independent and uniform: standard deviation and
    /// the bias towards zero that errors in features cause.
    pub typical: f64,
}

/// Of every term.
pub(super) struct Effects {
    pub intercept: Effect,
    pub coefficients: Vec<Effect>,
}

/// The effects (TRN-10).
pub(super) fn effects(r: &Real) -> Effects {
    // Greatest error of f - E b in a row, and its variance times three.
    let (mut row, mut row_square) = (r.half_target, r.half_target.powi(2));
    for (b, h) in r.b.iter().zip(&r.half) {
        row += (b * h).abs();
        row_square += (b * h).powi(2);
    }
    // `g`: a row of G (or of the means times G); `v`: its variance.
    let effect = |g: &[f64], v: f64| {
        let mut bound = (r.rows * v).sqrt() * row;
        let mut variance = v * row_square / 3.0;
        let mut bias = 0.0;
        for (((g, h), b), a) in g.iter().zip(&r.half).zip(&r.b).zip(&r.squares) {
            // A penalty of standardised columns moves with their variance.
            let penalty = 2.0 * r.lambda_standardised * b.abs() * (a / r.rows).sqrt();
            bound += (g * h).abs() * ((r.rows * r.rss).sqrt() + penalty);
            variance += (g * h).powi(2) * (r.rss + penalty.powi(2) / r.rows) / 3.0;
            bias += g * r.rows * h * h / 3.0 * b;
        }
        Effect {
            bound,
            typical: variance.sqrt() + bias.abs(),
        }
    };
    // The intercept's row is that of the means, but for its sign.
    let intercept = effect(&r.mean_g, r.v0);
    let coefficients =
        r.g.iter()
            .zip(r.v.iter().enumerate().filter_map(|(i, l)| l.get(i)))
            .map(|(g, v)| effect(g, *v))
            .collect();
    Effects {
        intercept,
        coefficients,
    }
}

/// Refuses a feature that quantisation alone may keep from being a combination
/// of the others (TRN-8).
pub(super) fn check(features: &[Variable], r: &Real) -> Result<(), TrainError> {
    for (j, g) in r.g.iter().enumerate() {
        let Some(own) = g.get(j).copied().filter(|v| *v > 0.0) else {
            continue;
        };
        // x_j less its projection on the others, whose weights are -g_jk / g_jj.
        let residual = (1.0 / (own * r.rows)).sqrt();
        let limit: f64 = g
            .iter()
            .zip(&r.half)
            .map(|(g, h)| (g / own * h).abs())
            .sum();
        if residual > limit {
            continue;
        }
        let size = |k: usize| r.squares.get(k).copied().unwrap_or(0.0).sqrt();
        let with = g
            .iter()
            .zip(features)
            .enumerate()
            .filter(|(k, (g, _))| *k != j && (**g / own).abs() * size(*k) > size(j) / 100.0)
            .map(|(_, (_, v))| v.name.clone())
            .collect();
        return Err(TrainError::NearCollinear {
            name: features.get(j).map_or(String::new(), |v| v.name.clone()),
            with,
            residual,
            limit,
        });
    }
    Ok(())
}
