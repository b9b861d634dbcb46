//! Least squares from moments (TRN-7..9): every figure is an exact fraction of
//! integers until it is rounded once, to the nearest float.

use super::{
    condition,
    error::TrainError,
    exact::{Inverse, NotDefinite, apply, between, dot, dyadic, invert, nearest, semidefinite},
    moments::{Moments, MomentsError, Variable},
    quantisation::{self, Effect},
};
use num_bigint::BigInt;
use serde::Serialize;

/// How coefficients are found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Method {
    /// Ordinary least squares.
    Ols,
    /// The sum of squared residuals plus lambda times the sum of squared
    /// coefficients; the intercept is not among them.
    Ridge {
        /// The penalty (TRN-9).
        lambda: f64,
        /// Whether a coefficient counts as that of its column divided by the
        /// column's standard deviation (divisor n).
        standardise: bool,
    },
}

impl Method {
    /// Whether nothing is added to the sum of squared residuals (TRN-8).
    pub fn unpenalised(self) -> bool {
        match self {
            Self::Ols => true,
            Self::Ridge { lambda, .. } => lambda == 0.0,
        }
    }

    /// Refuses a penalty that is out of range (TRN-9).
    pub fn check(self) -> Result<(), TrainError> {
        let range = 100f64.exp2().recip()..=100f64.exp2();
        match self {
            Self::Ridge { lambda, .. } if lambda != 0.0 && !range.contains(&lambda) => {
                Err(TrainError::Lambda { value: lambda })
            }
            _ => Ok(()),
        }
    }
}

/// One term of the model, in real units.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Coefficient {
    /// The column; "intercept" for the constant.
    pub name: String,
    /// The coefficient.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// value / standard error.
    pub t: f64,
    /// What the quantisation of the data did (TRN-10).
    pub quantisation: Effect,
}

/// A fitted model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fit {
    /// How.
    pub method: Method,
    /// The target.
    pub target: String,
    /// n.
    pub rows: u64,
    /// The constant.
    pub intercept: Coefficient,
    /// One a feature.
    pub coefficients: Vec<Coefficient>,
    /// 1 - RSS / TSS.
    pub r_squared: f64,
    /// 1 - (RSS / residual degrees) / (TSS / (n - 1)).
    pub adjusted_r_squared: f64,
    /// Sum of squared residuals, in squared units of the target.
    pub residual_sum_of_squares: f64,
    /// Sum of squares of the target about its mean.
    pub total_sum_of_squares: f64,
    /// sqrt(RSS / residual degrees).
    pub residual_standard_error: f64,
    /// Effective parameters: the intercept's one, and the trace of the hat
    /// matrix of the centred features (their number without a penalty).
    pub effective_parameters: f64,
    /// n less the effective parameters.
    pub residual_degrees: f64,
    /// Of the features at unit variance, the penalty included (TRN-8).
    pub condition: f64,
}

/// Solves (TRN-7..10).
pub fn fit(moments: &Moments, method: Method) -> Result<Fit, TrainError> {
    moments.check()?;
    let Some((target, features)) = moments.variables.split_last() else {
        return Err(TrainError::NoFeatures {
            target: String::new(),
        });
    };
    if features.is_empty() {
        return Err(TrainError::NoFeatures {
            target: target.name.clone(),
        });
    }
    let p = features.len();
    check_degrees(moments.rows, p, method)?;
    let centred = moments.centred();
    // A penalty would hide what no table has (TRN-7), and a column of one value.
    semidefinite(&centred).map_err(|e| named(e, &moments.variables))?;
    let cyy = check_target(&centred, target)?;
    let c: Vec<Vec<BigInt>> = centred
        .iter()
        .take(p)
        .map(|l| l.iter().take(p).cloned().collect())
        .collect();
    let cxy: Vec<BigInt> = centred
        .iter()
        .take(p)
        .filter_map(|l| l.get(p).cloned())
        .collect();
    check_features(&c, features)?;
    let (matrix, f) = penalised(&c, features, moments.rows, method)?;
    let inverse = invert(&matrix).map_err(|e| named(e, features))?;
    let s = Solution {
        moments,
        features,
        target,
        c,
        cxy,
        cyy,
        matrix,
        f,
        inverse,
    };
    s.finish(method)
}

/// Refuses features of which one is a combination of the others (TRN-8), by
/// the moments of all variables given.
pub fn check_collinear(moments: &Moments) -> Result<(), TrainError> {
    moments.check()?;
    definite(&moments.centred(), &moments.variables)
}

fn definite(c: &[Vec<BigInt>], features: &[Variable]) -> Result<(), TrainError> {
    invert(c).map(|_| ()).map_err(|e| named(e, features))
}

fn named(e: NotDefinite, features: &[Variable]) -> TrainError {
    let name = |i: usize| features.get(i).map_or(String::new(), |v| v.name.clone());
    match e {
        NotDefinite::Negative { index } => {
            TrainError::Moments(MomentsError::Impossible { name: name(index) })
        }
        NotDefinite::Singular { index, with } if with.is_empty() => {
            TrainError::ConstantFeature { name: name(index) }
        }
        NotDefinite::Singular { index, with } => TrainError::Collinear {
            name: name(index),
            with: with.into_iter().map(name).collect(),
        },
    }
}

/// Refuses features of one value (TRN-8).
fn check_features(c: &[Vec<BigInt>], features: &[Variable]) -> Result<(), TrainError> {
    for ((i, line), v) in c.iter().enumerate().zip(features) {
        if line.get(i).is_some_and(|v| *v == BigInt::ZERO) {
            let name = v.name.clone();
            return Err(TrainError::ConstantFeature { name });
        }
    }
    Ok(())
}

/// Without a penalty each feature takes a degree of freedom.
pub(super) fn check_degrees(rows: u64, p: usize, method: Method) -> Result<(), TrainError> {
    let degrees = rows as f64 - 1.0 - p as f64;
    if degrees < 1.0 && method.unpenalised() || rows < 2 {
        return Err(TrainError::TooFewRows { rows, degrees });
    }
    Ok(())
}

fn check_target(centred: &[Vec<BigInt>], target: &Variable) -> Result<BigInt, TrainError> {
    let cyy = centred
        .last()
        .and_then(|l| l.last())
        .cloned()
        .unwrap_or_default();
    let name = target.name.clone();
    match cyy.sign() {
        num_bigint::Sign::Plus => Ok(cyy),
        num_bigint::Sign::NoSign => Err(TrainError::ConstantTarget { name }),
        num_bigint::Sign::Minus => Err(MomentsError::Impossible { name }.into()),
    }
}

/// f C + penalty and f: C is n times the centred moments in integers of the
/// columns' scales, so lambda of real units is n lambda 2^(2 scale) there, and
/// lambda times the variance is lambda C_ii / n. lambda is a dyadic fraction,
/// so that f makes all of it integers.
fn penalised(
    c: &[Vec<BigInt>],
    features: &[Variable],
    rows: u64,
    method: Method,
) -> Result<(Vec<Vec<BigInt>>, BigInt), TrainError> {
    let (lambda, standardise) = match method {
        Method::Ols => (0.0, false),
        Method::Ridge {
            lambda,
            standardise,
        } => (lambda, standardise),
    };
    method.check()?;
    let (m, e) = dyadic(lambda);
    let n = BigInt::from(rows);
    let exponent = |v: &Variable| match standardise {
        true => e,
        false => e + 2 * i64::from(v.scale_log2),
    };
    let least = features.iter().map(exponent).min().unwrap_or(0).min(0);
    let up = |by: i64| by.clamp(0, 4_096).unsigned_abs();
    let mut f = BigInt::from(1) << up(-least);
    if standardise {
        f *= &n;
    }
    let mut matrix: Vec<Vec<BigInt>> = c
        .iter()
        .map(|line| line.iter().map(|v| v * &f).collect())
        .collect();
    for (((line, own), v), i) in matrix.iter_mut().zip(c).zip(features).zip(0..) {
        let weight = match standardise {
            true => own.get(i).cloned().unwrap_or_default(),
            false => n.clone(),
        };
        if let Some(cell) = line.get_mut(i) {
            *cell += (weight * &m) << up(exponent(v) - least);
        }
    }
    Ok((matrix, f))
}

/// Everything exact about a solved system: the matrix M = f C + penalty with
/// inverse N / D, the solution u / D with u = f N cxy.
struct Solution<'a> {
    moments: &'a Moments,
    features: &'a [Variable],
    target: &'a Variable,
    c: Vec<Vec<BigInt>>,
    cxy: Vec<BigInt>,
    cyy: BigInt,
    matrix: Vec<Vec<BigInt>>,
    f: BigInt,
    inverse: Inverse,
}

/// The same in real units, each figure rounded once; `quantisation` takes it.
pub(super) struct Real {
    /// n.
    pub rows: f64,
    /// Coefficients.
    pub b: Vec<f64>,
    /// G = (A + penalty)^-1, A the centred moments.
    pub g: Vec<Vec<f64>>,
    /// V = G A G: the coefficients' covariance over the residual variance.
    pub v: Vec<Vec<f64>>,
    /// The intercept's.
    pub v0: f64,
    /// Means of the features times G.
    pub mean_g: Vec<f64>,
    /// A_ii.
    pub squares: Vec<f64>,
    /// Sum of squared residuals.
    pub rss: f64,
    /// Half a step of each feature.
    pub half: Vec<f64>,
    /// Half a step of the target.
    pub half_target: f64,
    /// lambda where it is of standardised columns, else 0.
    pub lambda_standardised: f64,
}

impl Solution<'_> {
    fn finish(self, method: Method) -> Result<Fit, TrainError> {
        let n = BigInt::from(self.moments.rows);
        let d = &self.inverse.determinant;
        let d2 = d * d;
        let adjugate = &self.inverse.adjugate;
        let sums = &self.moments.sums;
        let u: Vec<BigInt> = apply(adjugate, &self.cxy)
            .iter()
            .map(|v| v * &self.f)
            .collect();
        // n 2^(2 scale) RSS = rss / D^2.
        let rss: BigInt =
            &self.cyy * &d2 - dot(&u, &self.cxy) * d * 2 + dot(&u, &apply(&self.c, &u));
        if rss.sign() == num_bigint::Sign::Minus {
            let name = self.target.name.clone();
            return Err(MomentsError::Impossible { name }.into());
        }
        let scale = i64::from(self.target.scale_log2);
        let (trace, ncn) = self.sandwich();
        let trace = match method {
            // Exact: a sum of p ones.
            Method::Ols => self.features.len() as f64,
            Method::Ridge { .. } => nearest(&(trace * &self.f), d, 0),
        };
        let rows = self.moments.rows as f64;
        let degrees = rows - 1.0 - trace;
        if degrees < 1.0 {
            let rows = self.moments.rows;
            return Err(TrainError::TooFewRows { rows, degrees });
        }
        let real = self.real(method, &u, &ncn, &rss, &d2);
        if method.unpenalised() {
            quantisation::check(self.features, &real)?;
        }
        let variance = real.rss / degrees;
        let effects = quantisation::effects(&real);
        let term = |name: &str, value: f64, v: f64, quantisation: Effect| {
            let standard_error = (variance * v).sqrt();
            Coefficient {
                name: name.to_owned(),
                value,
                standard_error,
                t: value / standard_error,
                quantisation,
            }
        };
        let last = sums.last().cloned().unwrap_or_default();
        let constant = nearest(&(last * d - dot(&u, sums)), &(&n * d), -scale);
        let total = nearest(&self.cyy, &n, -2 * scale);
        Ok(Fit {
            method,
            target: self.target.name.clone(),
            rows: self.moments.rows,
            intercept: term("intercept", constant, real.v0, effects.intercept),
            coefficients: self
                .features
                .iter()
                .zip(&real.b)
                .zip(real.v.iter().enumerate().filter_map(|(i, l)| l.get(i)))
                .zip(effects.coefficients)
                .map(|(((f, b), v), q)| term(&f.name, *b, *v, q))
                .collect(),
            r_squared: nearest(&(&self.cyy * &d2 - &rss), &(&self.cyy * &d2), 0),
            adjusted_r_squared: 1.0 - (real.rss / degrees) / (total / (rows - 1.0)),
            residual_sum_of_squares: real.rss,
            total_sum_of_squares: total,
            residual_standard_error: variance.sqrt(),
            effective_parameters: 1.0 + trace,
            residual_degrees: degrees,
            condition: condition::number(&self.matrix, &self.inverse),
        })
    }

    /// tr(N C) and N C N. As f C is M less the penalty P, and M N = D, they are
    /// (p D - tr(P N)) / f and (D N - N P N) / f.
    fn sandwich(&self) -> (BigInt, Vec<Vec<BigInt>>) {
        let Inverse {
            adjugate,
            determinant: d,
        } = &self.inverse;
        let own = |m: &[Vec<BigInt>]| -> Vec<BigInt> {
            let lines = m.iter().enumerate();
            lines.filter_map(|(i, l)| l.get(i).cloned()).collect()
        };
        let with = own(&self.matrix);
        let without = own(&self.c);
        let penalty = with.iter().zip(&without).map(|(m, c)| m - c * &self.f);
        let penalty: Vec<BigInt> = penalty.collect();
        let trace = BigInt::from(penalty.len()) * d - dot(&penalty, &own(adjugate));
        // Without a penalty nothing is multiplied.
        let none = penalty.iter().all(|v| *v == BigInt::ZERO);
        let beside = match none {
            true => Vec::new(),
            false => between(adjugate, &penalty),
        };
        let mut ncn: Vec<Vec<BigInt>> = adjugate
            .iter()
            .map(|line| line.iter().map(|v| v * d).collect())
            .collect();
        for (cell, by) in ncn.iter_mut().flatten().zip(beside.iter().flatten()) {
            *cell -= by;
        }
        for cell in ncn.iter_mut().flatten() {
            *cell /= &self.f;
        }
        (trace / &self.f, ncn)
    }

    fn real(
        &self,
        method: Method,
        u: &[BigInt],
        ncn: &[Vec<BigInt>],
        rss: &BigInt,
        d2: &BigInt,
    ) -> Real {
        let n = BigInt::from(self.moments.rows);
        let d = &self.inverse.determinant;
        let sums = &self.moments.sums;
        let scale = i64::from(self.target.scale_log2);
        let scales: Vec<i64> = self
            .features
            .iter()
            .map(|v| i64::from(v.scale_log2))
            .collect();
        let fn_ = &self.f * &n;
        let f2n = &self.f * &self.f * &n;
        let table = |m: &[Vec<BigInt>], factor: &BigInt, below: &BigInt| -> Vec<Vec<f64>> {
            m.iter()
                .zip(&scales)
                .map(|(line, a)| {
                    line.iter()
                        .zip(&scales)
                        .map(|(v, b)| nearest(&(v * factor), below, a + b))
                        .collect()
                })
                .collect()
        };
        let spread = dot(sums, &apply(ncn, sums));
        Real {
            rows: self.moments.rows as f64,
            b: u.iter()
                .zip(&scales)
                .map(|(v, s)| nearest(v, d, s - scale))
                .collect(),
            g: table(&self.inverse.adjugate, &fn_, d),
            v: table(ncn, &f2n, d2),
            // 1/n + f^2 S'(NCN)S / (n D^2).
            v0: nearest(&(d2 + &self.f * &self.f * spread), &(&n * d2), 0),
            mean_g: apply(&self.inverse.adjugate, sums)
                .iter()
                .zip(&scales)
                .map(|(v, s)| nearest(&(v * &self.f), d, *s))
                .collect(),
            squares: self
                .c
                .iter()
                .zip(&scales)
                .enumerate()
                .map(|(i, (l, s))| l.get(i).map_or(0.0, |v| nearest(v, &n, -2 * s)))
                .collect(),
            rss: nearest(rss, &(&n * d2), -2 * scale),
            half: self.features.iter().map(|v| v.half_step).collect(),
            half_target: self.target.half_step,
            lambda_standardised: match method {
                Method::Ridge {
                    lambda,
                    standardise: true,
                } => lambda,
                _ => 0.0,
            },
        }
    }
}
