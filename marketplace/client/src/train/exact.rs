//! Exact linear algebra over the integers (TRN-7): fraction-free elimination
//! (Bareiss 1968), and rounding to the nearest float.

use num_bigint::{BigInt, Sign};
use std::cmp::Ordering;

/// A positive definite integer matrix, inverted: `inverse / determinant`.
#[derive(Debug, Clone, PartialEq)]
pub struct Inverse {
    /// The adjugate.
    pub adjugate: Vec<Vec<BigInt>>,
    /// The determinant: positive.
    pub determinant: BigInt,
}

/// Why a symmetric matrix is not positive definite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotDefinite {
    /// Column `index` is a combination of the earlier ones `with`.
    Singular {
        /// Which.
        index: usize,
        /// Earlier columns with a weight other than zero.
        with: Vec<usize>,
    },
    /// What the earlier columns leave of column `index` is negative.
    Negative {
        /// Which.
        index: usize,
    },
}

/// Inverts a symmetric matrix without pivoting, which is right for a positive
/// definite one: its pivots are its leading minors. Swept in place (Beaton 1964),
/// fraction-free: symmetric throughout, so that half of it is computed.
pub fn invert(matrix: &[Vec<BigInt>]) -> Result<Inverse, NotDefinite> {
    let p = matrix.len();
    let mut a = matrix.to_vec();
    let mut previous = BigInt::from(1);
    for k in 0..p {
        let swept = a.get(k).cloned().unwrap_or_default();
        let pivot = swept.get(k).cloned().unwrap_or_default();
        match pivot.sign() {
            Sign::Plus => {}
            Sign::Minus => return Err(NotDefinite::Negative { index: k }),
            Sign::NoSign => {
                let weights = swept.iter().take(k).enumerate();
                let with = weights.filter(|(_, v)| **v != BigInt::ZERO);
                let with = with.map(|(i, _)| i).collect();
                return Err(NotDefinite::Singular { index: k, with });
            }
        }
        for (i, (line, factor)) in a.iter_mut().zip(&swept).enumerate() {
            if i == k {
                continue;
            }
            let cells = line.iter_mut().zip(&swept).enumerate();
            for (_, (cell, u)) in cells.take(i.saturating_add(1)).filter(|(j, _)| *j != k) {
                // Exact by Sylvester's identity.
                *cell = (&pivot * &*cell - factor * u) / &previous;
            }
        }
        if let Some(cell) = a.get_mut(k).and_then(|l| l.get_mut(k)) {
            *cell = -previous;
        }
        mirror(&mut a);
        previous = pivot;
    }
    for cell in a.iter_mut().flatten() {
        *cell = -std::mem::take(cell);
    }
    Ok(Inverse {
        adjugate: a,
        determinant: previous,
    })
}

/// The upper triangle as the lower one is.
fn mirror(a: &mut [Vec<BigInt>]) {
    for i in 1..a.len() {
        let (above, below) = a.split_at_mut(i);
        let lower = below.first().into_iter().flatten();
        for (line, v) in above.iter_mut().zip(lower) {
            if let Some(cell) = line.get_mut(i) {
                cell.clone_from(v);
            }
        }
    }
}

/// Refuses a symmetric matrix that is not positive semidefinite: one that no
/// table has as its centred moments. A pivot of zero must leave nothing beside
/// it; its column is then passed over.
pub fn semidefinite(matrix: &[Vec<BigInt>]) -> Result<(), NotDefinite> {
    let mut a = matrix.to_vec();
    let mut previous = BigInt::from(1);
    for k in 0..a.len() {
        let upper = a.get(k).cloned().unwrap_or_default();
        let pivot = upper.get(k).cloned().unwrap_or_default();
        match pivot.sign() {
            Sign::Plus => {}
            Sign::Minus => return Err(NotDefinite::Negative { index: k }),
            Sign::NoSign => {
                let beside = upper.iter().enumerate().skip(k.saturating_add(1));
                match beside.into_iter().find(|(_, v)| **v != BigInt::ZERO) {
                    Some((index, _)) => return Err(NotDefinite::Negative { index }),
                    None => continue,
                }
            }
        }
        for line in a.iter_mut().skip(k.saturating_add(1)) {
            let factor = line.get(k).cloned().unwrap_or_default();
            for (cell, u) in line.iter_mut().zip(&upper).skip(k) {
                // Exact by Sylvester's identity, over the columns not passed over.
                *cell = (&pivot * &*cell - &factor * u) / &previous;
            }
        }
        previous = pivot;
    }
    Ok(())
}

/// a P a for a symmetric a and a diagonal P.
pub fn between(a: &[Vec<BigInt>], diagonal: &[BigInt]) -> Vec<Vec<BigInt>> {
    let mut out = vec![vec![BigInt::ZERO; a.len()]; a.len()];
    for ((i, line), left) in out.iter_mut().enumerate().zip(a) {
        let scaled: Vec<BigInt> = left.iter().zip(diagonal).map(|(v, d)| v * d).collect();
        for (cell, right) in line.iter_mut().zip(a).take(i.saturating_add(1)) {
            *cell = dot(&scaled, right);
        }
    }
    mirror(&mut out);
    out
}

/// a b.
#[cfg(test)]
pub fn product(a: &[Vec<BigInt>], b: &[Vec<BigInt>]) -> Vec<Vec<BigInt>> {
    let columns = b.first().map_or(0, Vec::len);
    a.iter()
        .map(|line| {
            (0..columns)
                .map(|j| {
                    line.iter()
                        .zip(b)
                        .filter_map(|(x, row)| Some(x * row.get(j)?))
                        .sum()
                })
                .collect()
        })
        .collect()
}

/// a v.
pub fn apply(a: &[Vec<BigInt>], v: &[BigInt]) -> Vec<BigInt> {
    a.iter().map(|line| dot(line, v)).collect()
}

/// Sum of the products of the entries.
pub fn dot(a: &[BigInt], b: &[BigInt]) -> BigInt {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// numerator / denominator * 2^exponent as the nearest float, ties to even;
/// NaN for a denominator of zero. Subnormal results may be rounded twice.
pub fn nearest(numerator: &BigInt, denominator: &BigInt, exponent: i64) -> f64 {
    let (n, d) = (numerator.magnitude(), denominator.magnitude());
    if d.bits() == 0 {
        return f64::NAN;
    }
    if n.bits() == 0 {
        return 0.0;
    }
    // A quotient of 66 or 67 bits, its last one set when a remainder is left.
    let bits = |v: u64| i64::try_from(v).unwrap_or(i64::MAX);
    let shift = 66 - (bits(n.bits()) - bits(d.bits()));
    let by = shift.unsigned_abs();
    let (n, d) = match shift.cmp(&0) {
        Ordering::Less => (n.clone(), d << by),
        _ => (n << by, d.clone()),
    };
    let quotient = &n / &d;
    let sticky = u128::from(&quotient * &d != n);
    let quotient = u128::try_from(&quotient).unwrap_or(u128::MAX) | sticky;
    let negative = (numerator.sign() == Sign::Minus) != (denominator.sign() == Sign::Minus);
    let value = scaled(quotient as f64, exponent.saturating_sub(shift));
    if negative { -value } else { value }
}

/// value * 2^exponent, without overflow on the way.
pub fn scaled(mut value: f64, exponent: i64) -> f64 {
    let mut left = exponent.clamp(-4_400, 4_400);
    while left != 0 {
        let step = left.clamp(-1_000, 1_000);
        value *= (step as f64).exp2();
        left -= step;
    }
    value
}

/// A float as m 2^e exactly, m odd; zero for zero and for what is not finite.
pub fn dyadic(value: f64) -> (BigInt, i64) {
    let bits = value.to_bits();
    let field = (bits >> 52) & 0x7ff;
    if field == 0x7ff {
        return (BigInt::ZERO, 0);
    }
    let fraction = bits & ((1 << 52) - 1);
    let (magnitude, exponent) = match field {
        0 => (fraction, -1_074),
        e => (fraction | (1 << 52), i64::try_from(e).unwrap_or(0) - 1_075),
    };
    if magnitude == 0 {
        return (BigInt::ZERO, 0);
    }
    // Fewer digits in everything that is multiplied by it.
    let even = magnitude.trailing_zeros();
    let m = BigInt::from(magnitude >> even);
    (
        if value < 0.0 { -m } else { m },
        exponent.saturating_add(i64::from(even)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: &[&[i64]]) -> Vec<Vec<BigInt>> {
        rows.iter()
            .map(|r| r.iter().map(|v| BigInt::from(*v)).collect())
            .collect()
    }

    #[test]
    fn inverses_are_exact() {
        // TRN-7.
        let m = matrix(&[&[4, 2, 1], &[2, 5, 3], &[1, 3, 6]]);
        let inverse = invert(&m).expect("definite");
        assert_eq!(inverse.determinant, BigInt::from(67));
        let p = product(&m, &inverse.adjugate);
        let unit = matrix(&[&[67, 0, 0], &[0, 67, 0], &[0, 0, 67]]);
        assert_eq!(p, unit);
    }

    #[test]
    fn what_is_not_definite_is_named() {
        // TRN-8: the third is the sum of the first two; the second is negative.
        let m = matrix(&[&[2, 0, 2], &[0, 3, 3], &[2, 3, 5]]);
        let (index, with) = (2, vec![0, 1]);
        assert_eq!(invert(&m), Err(NotDefinite::Singular { index, with }));
        let (index, with) = (0, vec![]);
        let zero = matrix(&[&[0, 0], &[0, 1]]);
        assert_eq!(invert(&zero), Err(NotDefinite::Singular { index, with }));
        let m = matrix(&[&[1, 2], &[2, 1]]);
        assert_eq!(invert(&m), Err(NotDefinite::Negative { index: 1 }));
    }

    #[test]
    fn what_is_not_semidefinite_is_named() {
        // TRN-7: singular ones are, with a column of zeros or a combination first.
        for m in [
            matrix(&[&[2, 0, 2], &[0, 3, 3], &[2, 3, 5]]),
            matrix(&[&[0, 0, 0], &[0, 1, 2], &[0, 2, 5]]),
            matrix(&[&[1, 2, 3], &[2, 4, 6], &[3, 6, 10]]),
            matrix(&[&[0]]),
        ] {
            assert_eq!(semidefinite(&m), Ok(()));
        }
        let negative = |index| Err(NotDefinite::Negative { index });
        let m = matrix(&[&[0, 0, 1], &[0, 1, 0], &[1, 0, 9]]);
        assert_eq!(semidefinite(&m), negative(2));
        let m = matrix(&[&[1, 2, 3], &[2, 4, 7], &[3, 7, 100]]);
        assert_eq!(semidefinite(&m), negative(2));
        let m = matrix(&[&[1, 2, 3], &[2, 4, 6], &[3, 6, 8]]);
        assert_eq!(semidefinite(&m), negative(2));
        let m = matrix(&[&[4, 2, 1], &[2, 0, 3], &[1, 3, 6]]);
        assert_eq!(semidefinite(&m), negative(1));
    }

    #[test]
    fn quotients_round_to_the_nearest_float() {
        // TRN-7.
        let b = |v: i128| BigInt::from(v);
        for (n, d) in [
            (1i128, 3i128),
            (-2, 3),
            (1 << 60, 7),
            (3, 1 << 70),
            (10, 5),
            (-7, -2),
        ] {
            assert_eq!(nearest(&b(n), &b(d), 0), n as f64 / d as f64, "{n}/{d}");
        }
        // Just above a tie: the remainder decides.
        let tie = (b(1) << 54u32) + 2;
        assert_eq!(nearest(&tie, &b(1), 0), 2f64.powi(54));
        let above = ((tie << 80u32) + 1, b(1) << 80u32);
        assert_eq!(nearest(&above.0, &above.1, 0), 2f64.powi(54) + 4.0);
        assert!(nearest(&b(1), &b(0), 0).is_nan());
        assert_eq!(nearest(&b(1), &b(1), -1_074), f64::from_bits(1));
        assert_eq!(nearest(&b(1), &b(1), 5_000), f64::INFINITY);
        for v in [0.1, -3.5, 1e300, f64::from_bits(5), 0.0] {
            let (m, e) = dyadic(v);
            assert_eq!(nearest(&m, &b(1), e), v);
        }
    }
}
