//! Least squares on rows, by Householder's reflections: shares no line with
//! what it is compared with.

/// Intercept first, then one coefficient a column, with standard errors, and
/// the residual sum of squares.
pub struct Plain {
    pub b: Vec<f64>,
    pub errors: Vec<f64>,
    pub rss: f64,
    pub tss: f64,
}

/// Rows hold the features, then the target. `penalties`: added rows sqrt(l) e_j.
pub fn solve(rows: &[Vec<f64>], penalties: &[f64]) -> Plain {
    let n = rows.len();
    let p = rows[0].len() - 1;
    // Columns are centred and brought to unit length; the intercept follows.
    let mean: Vec<f64> = (0..=p)
        .map(|j| sum(rows.iter().map(|r| r[j])) / n as f64)
        .collect();
    let centred = |r: &Vec<f64>, j: usize| r[j] - mean[j];
    let length: Vec<f64> = (0..=p)
        .map(|j| sum(rows.iter().map(|r| centred(r, j).powi(2))).sqrt())
        .collect();
    let extra = penalties.len();
    let mut a: Vec<Vec<f64>> = rows
        .iter()
        .map(|r| (0..=p).map(|j| centred(r, j) / length[j]).collect())
        .collect();
    for (j, l) in penalties.iter().enumerate() {
        let mut row = vec![0.0; p + 1];
        row[j] = l.sqrt() / length[j];
        a.push(row);
    }
    for k in 0..p {
        let norm = sum(a[k..].iter().map(|r| r[k] * r[k])).sqrt();
        let alpha = if a[k][k] > 0.0 { -norm } else { norm };
        let mut v: Vec<f64> = a[k..].iter().map(|r| r[k]).collect();
        v[0] -= alpha;
        let vv = sum(v.iter().map(|x| x * x));
        for j in k..=p {
            let t = 2.0 * sum(v.iter().zip(&a[k..]).map(|(x, r)| x * r[j])) / vv;
            for (x, r) in v.iter().zip(&mut a[k..]) {
                r[j] -= t * x;
            }
        }
    }
    let mut b = vec![0.0; p];
    for k in (0..p).rev() {
        let rest: f64 = (k + 1..p).map(|j| a[k][j] * b[j]).sum();
        b[k] = (a[k][p] - rest) / a[k][k];
    }
    // Diagonal of (R'R)^-1: rows of R^-1.
    let mut inverse = vec![vec![0.0; p]; p];
    for c in 0..p {
        for k in (0..=c).rev() {
            let unit = f64::from(u8::from(k == c));
            let rest: f64 = (k + 1..=c).map(|j| a[k][j] * inverse[j][c]).sum();
            inverse[k][c] = (unit - rest) / a[k][k];
        }
    }
    let b: Vec<f64> = (0..p).map(|j| b[j] * length[p] / length[j]).collect();
    let residual = |r: &Vec<f64>| centred(r, p) - (0..p).map(|j| b[j] * centred(r, j)).sum::<f64>();
    let rss = sum(rows.iter().map(|r| residual(r).powi(2)));
    let s2 = rss / (n - p - 1) as f64;
    let row = |k: usize| sum(inverse[k].iter().map(|v| v * v)) / length[k].powi(2);
    let of_means: f64 = sum((0..p).map(|c| {
        let t: f64 = (0..p).map(|k| mean[k] / length[k] * inverse[k][c]).sum();
        t * t
    }));
    let mut errors = vec![(s2 * (1.0 / n as f64 + of_means)).sqrt()];
    errors.extend((0..p).map(|k| (s2 * row(k)).sqrt()));
    let constant = mean[p] - (0..p).map(|j| b[j] * mean[j]).sum::<f64>();
    if extra > 0 {
        // Those of a penalised fit are other than these.
        errors.clear();
    }
    Plain {
        b: std::iter::once(constant).chain(b).collect(),
        errors,
        rss,
        tss: length[p].powi(2),
    }
}

fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let (mut total, mut lost) = (0.0f64, 0.0f64);
    for v in values {
        let next = total + v;
        lost += if total.abs() >= v.abs() {
            (total - next) + v
        } else {
            (v - next) + total
        };
        total = next;
    }
    total + lost
}
