//! The budget calculator (BUD-1..6): what fits into 64 bits.
//!
//! A value x is carried as x 2^k + e. It decodes exactly iff |x| <= 2^(62-k)
//! and |e| < 2^(k-1). Everything that decides is integer arithmetic, rounded
//! outwards; floats appear only in what is shown to people.

use crate::{
    manifest::Manifest,
    params::{DATA_NOISE_TUNIFORM, DATA_RING_DIMENSION as N},
    program::{MatrixRef, Program, WeightVector, Weights},
    wire::WireError,
};
use serde::Serialize;
use thiserror::Error;

/// 13.4^2 * 100, the squared tail factor: a strictly sub-Gaussian variable
/// exceeds 13.4 deviations in magnitude with probability at most
/// 2 exp(-13.4^2 / 2) < 2^-128, and every weighted sum of TUniform noise is
/// strictly sub-Gaussian (proof in docs/spec/budget.md).
pub(crate) const TAIL_SQUARED_HUNDREDTHS: u128 = 17_956;

/// Six times the variance of TUniform(b): 2^(2b+1) + 1.
pub(crate) const fn tuniform_variance_sixths(b: u32) -> u128 {
    (1 << (2 * b + 1)) + 1
}

/// Why a computation does not fit (BUD-2, BUD-3).
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum BudgetError {
    /// The message would wrap.
    #[error(
        "output {output}: the result can reach {bound} (rows x weights x ranges), the limit at \
         k = {message_log2} is 2^{limit_log2}"
    )]
    Message {
        /// Output index.
        output: usize,
        /// Largest magnitude of the result.
        bound: u128,
        /// k.
        message_log2: u32,
        /// 62 - k.
        limit_log2: u32,
    },
    /// The noise would reach the message.
    #[error(
        "output {output}: the noise can reach {bound} (13.4 deviations), the limit at \
         k = {message_log2} is 2^{limit_log2}"
    )]
    Noise {
        /// Output index.
        output: usize,
        /// Noise bound.
        bound: u128,
        /// k.
        message_log2: u32,
        /// k - 1.
        limit_log2: u32,
    },
    /// No quantisation of the weights fits at the least useful precision.
    #[error(
        "the weights do not fit: {needed_bits} bits are needed for {what}, {available_bits} are \
         available"
    )]
    Weights {
        /// What does not fit.
        what: &'static str,
        /// Bits needed.
        needed_bits: u32,
        /// Bits available.
        available_bits: u32,
    },
    /// The program itself is not admissible.
    #[error(transparent)]
    Program(#[from] WireError),
}

/// Weight norms that an output is bounded by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Norms {
    /// L1 = sum |w_f| range_f over all columns, per row.
    pub l1: u128,
    /// Q = sum w_f^2 over encrypted columns.
    pub l2_squared: u128,
    /// Whether the output is re-randomised (private weights).
    pub rerandomised: bool,
}

/// What one output uses of the 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct OutputBudget {
    /// k.
    pub message_log2: u32,
    /// Values opened.
    pub values: u32,
    /// Largest magnitude of one value x.
    pub message_bound: u128,
    /// Largest noise in the phase.
    pub noise_bound: u128,
}

impl OutputBudget {
    /// Bits one opened value can carry: log2(2 |x|max + 1), rounded up.
    pub fn revealed_bits(&self) -> u32 {
        128 - (2 * self.message_bound).leading_zeros()
    }
    /// B_x = 2^(62-k): what is opened must lie within.
    pub fn value_limit(&self) -> i64 {
        1 << (62 - self.message_log2)
    }
    /// Bits left unused: of the message and of the noise.
    pub fn slack_bits(&self) -> (f64, f64) {
        let log2 = |v: u128| (v.max(1) as f64).log2();
        (
            f64::from(62 - self.message_log2) - log2(self.message_bound),
            f64::from(self.message_log2 - 1) - log2(self.noise_bound),
        )
    }
}

/// Bounds of one output: `rows` true rows added, over `ring_rows` coefficients
/// (padding carries noise too).
pub fn output_budget(
    output: usize,
    message_log2: u32,
    rows: u64,
    ring_rows: u64,
    values: u32,
    norms: Norms,
) -> Result<OutputBudget, BudgetError> {
    let message_bound = u128::from(rows).saturating_mul(norms.l1);
    let limit_log2 = 62u32.saturating_sub(message_log2);
    if message_bound > 1 << limit_log2 {
        return Err(BudgetError::Message {
            output,
            bound: message_bound,
            message_log2,
            limit_log2,
        });
    }
    let noise_bound = noise(ring_rows, norms);
    let limit_log2 = message_log2.saturating_sub(1);
    if noise_bound >= 1 << limit_log2 {
        return Err(BudgetError::Noise {
            output,
            bound: noise_bound,
            message_log2,
            limit_log2,
        });
    }
    Ok(OutputBudget {
        message_log2,
        values,
        message_bound,
        noise_bound,
    })
}

/// BUD-3 and BUD-4: ceil(13.4 sigma sqrt(m Q)) + det.
pub fn noise(ring_rows: u64, norms: Norms) -> u128 {
    let squared = TAIL_SQUARED_HUNDREDTHS
        .saturating_mul(tuniform_variance_sixths(DATA_NOISE_TUNIFORM))
        .saturating_mul(u128::from(ring_rows))
        .saturating_mul(norms.l2_squared)
        .div_ceil(600);
    let root = squared.isqrt();
    let random = if root * root < squared {
        root + 1
    } else {
        root
    };
    let det = if norms.rerandomised {
        (N << DATA_NOISE_TUNIFORM) as u128 + N as u128 + 1
    } else {
        0
    };
    random.saturating_add(det)
}

/// The norms of a weight vector in one segment.
pub fn norms(manifest: &Manifest, vector: &WeightVector, segment: usize) -> Norms {
    match &vector.weights {
        Weights::Private {
            l1_bound, l2_bound, ..
        } => Norms {
            l1: u128::from(*l1_bound),
            l2_squared: u128::from(*l2_bound),
            rerandomised: true,
        },
        Weights::Public { values } => {
            let (l1, l2_squared) = exact_norms(manifest, values, segment);
            Norms {
                l1,
                l2_squared,
                rerandomised: false,
            }
        }
    }
}

/// L1 in one segment, and Q, of integer weights.
pub fn exact_norms(manifest: &Manifest, weights: &[i64], segment: usize) -> (u128, u128) {
    let encrypted = manifest.columns.len();
    let (mut l1, mut l2) = (0u128, 0u128);
    for (w, c) in weights.iter().zip(&manifest.columns) {
        let w = u128::from(w.unsigned_abs());
        l1 = l1.saturating_add(w * u128::from(c.max_abs()));
        l2 = l2.saturating_add(w * w);
    }
    for (w, g) in weights.iter().skip(encrypted).zip(&manifest.public_columns) {
        let c = g.values.get(segment).map_or(0, |v| v.unsigned_abs());
        l1 = l1.saturating_add(u128::from(w.unsigned_abs()) * u128::from(c));
    }
    (l1, l2)
}

/// Rows added, ring coefficients added and values opened by an output.
pub fn extent(manifest: &Manifest, over: MatrixRef) -> Option<(u64, u64, u32)> {
    match over {
        MatrixRef::Traced { segment } => {
            let s = manifest.segments.get(segment as usize)?;
            Some((s.rows, s.chunks.len() as u64 * N as u64, 1))
        }
        MatrixRef::Chunk { segment, chunk } => {
            let s = manifest.segments.get(segment as usize)?;
            let before = u64::from(chunk) * N as u64;
            let rows = s.rows.checked_sub(before).filter(|r| *r > 0)?.min(N as u64);
            Some((1, 1, u32::try_from(rows).ok()?))
        }
    }
}

/// Checks a whole program against a manifest: conformance, then the budget of
/// every output (BUD-1..5, ORD-4).
pub fn check_program(
    manifest: &Manifest,
    program: &Program,
) -> Result<Vec<OutputBudget>, BudgetError> {
    program.validate(manifest)?;
    let missing = |what: &str| {
        BudgetError::Program(WireError::Invalid {
            field: "program.outputs",
            reason: format!("{what} is not in the manifest"),
        })
    };
    program
        .outputs
        .iter()
        .enumerate()
        .map(|(i, o)| {
            let vector = program
                .vectors
                .get(o.vector as usize)
                .ok_or_else(|| missing("the vector"))?;
            let (rows, ring_rows, values) =
                extent(manifest, o.over).ok_or_else(|| missing("the matrix"))?;
            let segment = match o.over {
                MatrixRef::Traced { segment } | MatrixRef::Chunk { segment, .. } => segment,
            };
            let norms = norms(manifest, vector, segment as usize);
            output_budget(i, manifest.message_log2, rows, ring_rows, values, norms)
        })
        .collect()
}

/// Chooses k for a dataset: message and noise share the 62 bits so that a
/// model whose weighted columns have magnitudes up to `model_range` gets the
/// most weight bits, and every single column still sums without wrap.
pub fn choose_message_log2(
    rows: u64,
    chunks: u64,
    columns: usize,
    model_range: u64,
    largest_range: u64,
) -> Result<u32, BudgetError> {
    let log2 = |v: f64| v.max(1.0).log2();
    // Weights of one size on all columns: Q = F w^2; L1 = F w range / 2, as
    // few columns of a model reach their range with one sign.
    let random = Norms {
        l1: 1,
        l2_squared: columns as u128,
        rerandomised: false,
    };
    let least_noise = Norms {
        l2_squared: 1,
        rerandomised: true,
        ..random
    };
    let unit_bits = log2(noise(chunks * N as u64, random) as f64);
    let message_bits = log2(rows as f64 * model_range as f64) + log2(columns as f64 / 2.0);
    let weight_bits = ((61.0 - unit_bits - message_bits) / 2.0).max(0.0);
    // The re-randomisation's share (BUD-4) does not grow with the weights.
    let det = noise(0, least_noise) as f64;
    let balanced = (1.0 + log2((unit_bits + weight_bits).exp2() + det)).ceil() as u32;
    let noise_bits = log2(noise(chunks * N as u64, least_noise) as f64);
    // The largest column must fit on its own with weight 1.
    let single = u128::from(rows) * u128::from(largest_range);
    let needed = 128 - single.saturating_sub(1).leading_zeros();
    let most = 62u32.saturating_sub(needed);
    let least = noise_bits.floor() as u32 + 2;
    if most < least {
        return Err(BudgetError::Weights {
            what: "the sum of the widest column and its noise",
            needed_bits: needed + least,
            available_bits: 62,
        });
    }
    Ok(balanced.clamp(least, most).min(56))
}

/// Integer weights and what they cost and lose.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantisedWeights {
    /// One weight for each encrypted, then each public column.
    pub weights: Vec<i64>,
    /// An opened x stands for x / 2^scale_log2.
    pub scale_log2: i32,
    /// Bound on L1, rounded up to a class so that it tells little.
    pub l1_bound: u64,
    /// Bound on Q, likewise.
    pub l2_bound: u64,
    /// Worst-case error a row from rounding the weights, in real units.
    pub max_error: f64,
}

/// The finest integer weights that fit every output over `matrices` (BUD-6).
/// `weights` are real weights on quantised columns, in vector order.
pub fn quantise_weights(
    manifest: &Manifest,
    matrices: &[MatrixRef],
    weights: &[f64],
    private: bool,
) -> Result<QuantisedWeights, BudgetError> {
    let columns = manifest.columns.len();
    if weights.len() != columns + manifest.public_columns.len()
        || weights.iter().any(|w| !w.is_finite())
    {
        return Err(BudgetError::Program(WireError::Invalid {
            field: "model.weights",
            reason: format!(
                "{} weights, each finite, are expected",
                manifest.columns.len()
            ),
        }));
    }
    let mut last = None;
    for scale_log2 in (-16..=100).rev() {
        let factor = (f64::from(scale_log2)).exp2();
        let scaled: Vec<f64> = weights.iter().map(|w| (w * factor).round()).collect();
        let in_range = scaled.iter().enumerate().all(|(i, w)| {
            let log2 = if i < columns { 24.0_f64 } else { 40.0 };
            w.abs() < log2.exp2()
        });
        if !in_range {
            continue;
        }
        let integers: Vec<i64> = scaled.iter().map(|w| *w as i64).collect();
        match fits(manifest, matrices, &integers, private) {
            Ok((l1_bound, l2_bound)) => {
                let max_error = weights
                    .iter()
                    .zip(&integers)
                    .enumerate()
                    .map(|(i, (real, w))| {
                        let range = match manifest.columns.get(i) {
                            Some(c) => c.max_abs() as f64,
                            None => manifest.public_columns.get(i - columns).map_or(0.0, |g| {
                                g.values.iter().map(|v| v.unsigned_abs()).max().unwrap_or(0) as f64
                            }),
                        };
                        (real - *w as f64 / factor).abs() * range
                    })
                    .sum();
                if integers.iter().take(columns).all(|w| *w == 0) {
                    break;
                }
                return Ok(QuantisedWeights {
                    weights: integers,
                    scale_log2,
                    l1_bound,
                    l2_bound,
                    max_error,
                });
            }
            Err(e) => last = Some(e),
        }
    }
    Err(last.unwrap_or(BudgetError::Weights {
        what: "the smallest weight",
        needed_bits: 1,
        available_bits: 0,
    }))
}

fn fits(
    manifest: &Manifest,
    matrices: &[MatrixRef],
    weights: &[i64],
    private: bool,
) -> Result<(u64, u64), BudgetError> {
    let mut bounds = (0u128, 0u128);
    for over in matrices {
        let (MatrixRef::Traced { segment } | MatrixRef::Chunk { segment, .. }) = *over;
        let (l1, l2) = exact_norms(manifest, weights, segment as usize);
        bounds = (bounds.0.max(l1), bounds.1.max(l2));
    }
    let (l1, l2_squared) = if private {
        (class(bounds.0.max(1)), class(bounds.1.max(1)))
    } else {
        bounds
    };
    for (i, over) in matrices.iter().enumerate() {
        let (rows, ring_rows, values) =
            extent(manifest, *over).ok_or(BudgetError::Program(WireError::Invalid {
                field: "program.outputs",
                reason: "the matrix is not in the manifest".into(),
            }))?;
        let norms = Norms {
            l1,
            l2_squared,
            rerandomised: private,
        };
        output_budget(i, manifest.message_log2, rows, ring_rows, values, norms)?;
    }
    let narrow = |v: u128, log2: u32, what| {
        u64::try_from(v)
            .ok()
            .filter(|v| *v >> log2 == 0)
            .ok_or(BudgetError::Weights {
                what,
                needed_bits: 128 - v.leading_zeros(),
                available_bits: log2,
            })
    };
    Ok((
        narrow(l1, 62, "the L1 bound")?,
        narrow(l2_squared, 56, "the L2 bound")?,
    ))
}

/// Rounds up to m 2^e with m in 8..16, so that a published bound tells the
/// true norm only within an eighth.
pub fn class(v: u128) -> u128 {
    let bits = 128 - v.leading_zeros();
    let shift = bits.saturating_sub(4);
    v.div_ceil(1 << shift) << shift
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
#[cfg(test)]
pub(crate) use tests::manifest as tests_manifest;
