//! The condition number of a regression (TRN-8), from the exact inverse: small
//! eigenvalues of a matrix are large ones of its inverse, so none is lost to
//! rounding.

use super::exact::{Inverse, nearest};
use num_bigint::BigInt;

/// sqrt(greatest / least eigenvalue) of a positive definite matrix scaled to a
/// unit diagonal: the condition number of the standardised features.
pub fn number(matrix: &[Vec<BigInt>], inverse: &Inverse) -> f64 {
    let diagonal: Vec<BigInt> = matrix
        .iter()
        .enumerate()
        .filter_map(|(i, l)| l.get(i).cloned())
        .collect();
    let one = BigInt::from(1);
    // m_ij / sqrt(m_ii m_jj), the root taken of one exact fraction.
    let unit: Vec<Vec<f64>> = matrix
        .iter()
        .zip(&diagonal)
        .map(|(line, a)| {
            line.iter()
                .zip(&diagonal)
                .map(|(v, b)| signed_root(v, &one, &(a * b), true))
                .collect()
        })
        .collect();
    // Of the inverse: n_ij sqrt(m_ii m_jj) / D.
    let back: Vec<Vec<f64>> = inverse
        .adjugate
        .iter()
        .zip(&diagonal)
        .map(|(line, a)| {
            line.iter()
                .zip(&diagonal)
                .map(|(v, b)| signed_root(v, &inverse.determinant, &(a * b), false))
                .collect()
        })
        .collect();
    (greatest_eigenvalue(unit) * greatest_eigenvalue(back)).sqrt()
}

/// v / below divided by the root of m, or times it.
fn signed_root(v: &BigInt, below: &BigInt, m: &BigInt, divide: bool) -> f64 {
    let square = v * v;
    let below = below * below;
    let root = match divide {
        true => nearest(&square, &(below * m), 0),
        false => nearest(&(square * m), &below, 0),
    }
    .sqrt();
    if v.sign() == num_bigint::Sign::Minus {
        -root
    } else {
        root
    }
}

/// Of a symmetric positive definite matrix, by Jacobi's rotations.
fn greatest_eigenvalue(mut a: Vec<Vec<f64>>) -> f64 {
    let p = a.len();
    for _ in 0..60 {
        let mut off = 0.0;
        for i in 0..p {
            for j in 0..i {
                off += rotate(&mut a, i, j);
            }
        }
        let diagonal: f64 = a.iter().enumerate().filter_map(|(i, l)| l.get(i)).sum();
        if off.sqrt() <= f64::EPSILON * diagonal {
            break;
        }
    }
    let diagonal = a.iter().enumerate().filter_map(|(i, l)| l.get(i).copied());
    diagonal.fold(0.0, f64::max)
}

/// Makes a_ij zero by one rotation; what its square was.
fn rotate(a: &mut [Vec<f64>], i: usize, j: usize) -> f64 {
    let at = |a: &[Vec<f64>], i: usize, j: usize| {
        a.get(i).and_then(|l| l.get(j)).copied().unwrap_or(0.0)
    };
    let (x, d, e) = (at(a, i, j), at(a, i, i), at(a, j, j));
    if x == 0.0 {
        return 0.0;
    }
    let theta = (e - d) / (2.0 * x);
    let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
    let c = 1.0 / t.hypot(1.0);
    let s = t * c;
    for line in a.iter_mut() {
        if let (Some(u), Some(v)) = (line.get(i).copied(), line.get(j).copied()) {
            if let Some(slot) = line.get_mut(i) {
                *slot = c * u - s * v;
            }
            if let Some(slot) = line.get_mut(j) {
                *slot = s * u + c * v;
            }
        }
    }
    let (Some(u), Some(v)) = (a.get(i).cloned(), a.get(j).cloned()) else {
        return 0.0;
    };
    for (k, (x, y)) in u.iter().zip(&v).enumerate() {
        if let Some(slot) = a.get_mut(i).and_then(|l| l.get_mut(k)) {
            *slot = c * x - s * y;
        }
        if let Some(slot) = a.get_mut(j).and_then(|l| l.get_mut(k)) {
            *slot = s * x + c * y;
        }
    }
    x * x
}

#[cfg(test)]
mod tests {
    use super::{super::exact::invert, *};

    #[test]
    fn two_columns_of_a_known_correlation() {
        // TRN-8: eigenvalues of [[1, r], [r, 1]] are 1 + r and 1 - r.
        let m: Vec<Vec<BigInt>> = [[400, 190], [190, 100]]
            .iter()
            .map(|l| l.iter().map(|v| BigInt::from(*v)).collect())
            .collect();
        let k = number(&m, &invert(&m).expect("definite"));
        let expected = (1.95f64 / 0.05).sqrt();
        assert!((k / expected - 1.0).abs() < 1e-14, "{k} {expected}");
    }
}
