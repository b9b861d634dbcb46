//! What two ways of solving from moments cost in digits and time (decision
//! 0022): `cargo run --release -p veilbourse-client --example training_error`.
//!
//! Against the exact solution, which is rounded once: Cholesky in floats on
//! moments that are centred in floats, and on moments that are centred exactly
//! and scaled to a unit diagonal.
#![allow(clippy::print_stdout)]

use num_bigint::BigInt;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use std::time::Instant;
use veilbourse_client::train::{Method, Moments, Variable, exact::nearest, fit};

/// n rows of p features of 12 bits, the last within `spread` of the sum of the
/// others, all `offset` away from zero; the target last.
fn rows(n: usize, p: usize, spread: u32, offset: i64) -> Vec<Vec<i64>> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut draw = |m: u32| i64::from(rng.next_u32() % m);
    (0..n)
        .map(|_| {
            let mut x: Vec<i64> = (1..p).map(|_| draw(4096) - 2048).collect();
            x.push(x.iter().sum::<i64>() + draw(spread));
            let y = x.iter().sum::<i64>() + draw(4096);
            x.iter_mut().for_each(|v| *v += offset);
            x.push(y);
            x
        })
        .collect()
}

fn float(v: &BigInt) -> f64 {
    nearest(v, &BigInt::from(1), 0)
}

/// Coefficients by Cholesky of the p x p block, the last column the right side.
fn cholesky(c: &[Vec<f64>]) -> Vec<f64> {
    let p = c.len() - 1;
    let scale: Vec<f64> = (0..p).map(|i| c[i][i].sqrt()).collect();
    let mut l = vec![vec![0.0; p]; p];
    for i in 0..p {
        for j in 0..=i {
            let dot: f64 = (0..j).map(|k| l[i][k] * l[j][k]).sum();
            let v = c[i][j] / scale[i] / scale[j] - dot;
            l[i][j] = if i == j { v.sqrt() } else { v / l[j][j] };
        }
    }
    let mut b = vec![0.0; p];
    for i in 0..p {
        let dot: f64 = (0..i).map(|k| l[i][k] * b[k]).sum();
        b[i] = (c[i][p] / scale[i] - dot) / l[i][i];
    }
    for i in (0..p).rev() {
        let dot: f64 = (i + 1..p).map(|k| l[k][i] * b[k]).sum();
        b[i] = (b[i] - dot) / l[i][i];
    }
    (0..p).map(|i| b[i] / scale[i]).collect()
}

fn main() {
    println!("| case | condition | centred in floats | centred exactly, then floats | exact, ms |");
    println!("|---|---|---|---|---|");
    for (case, n, p, spread, offset) in [
        ("9 features", 20_000, 9, 4_096, 0),
        ("9 features, 2^20 from zero", 20_000, 9, 4_096, 1 << 20),
        ("9 features, one nearly a sum", 20_000, 9, 64, 0),
        ("9 features, one within a step of a sum", 20_000, 9, 2, 0),
        ("the same, 2^20 from zero", 20_000, 9, 2, 1 << 20),
        ("31 features", 20_000, 31, 4_096, 0),
        ("60 features", 20_000, 60, 4_096, 0),
    ] {
        let variables = (0..=p)
            .map(|i| Variable {
                name: format!("c{i}"),
                unit: String::new(),
                scale_log2: 0,
                half_step: 0.0,
            })
            .collect();
        let data = rows(n, p, spread, offset);
        let m = Moments::of_rows(variables, data.iter().map(Vec::as_slice)).expect("moments");
        let start = Instant::now();
        let exact = fit(&m, Method::Ols).expect("a fit");
        let time = start.elapsed().as_secs_f64() * 1e3;
        let centred: Vec<Vec<f64>> = m
            .centred()
            .iter()
            .map(|l| l.iter().map(float).collect())
            .collect();
        let in_floats: Vec<Vec<f64>> = (0..=p)
            .map(|i| {
                (0..=p)
                    .map(|j| {
                        let product = float(&m.products[i.max(j)][i.min(j)]);
                        product - float(&m.sums[i]) * float(&m.sums[j]) / n as f64
                    })
                    .collect()
            })
            .collect();
        let error = |b: Vec<f64>| {
            let off = b.iter().zip(&exact.coefficients);
            off.fold(0.0f64, |m, (b, c)| {
                let e = ((b - c.value) / c.value).abs();
                if e.is_nan() { f64::NAN } else { m.max(e) }
            })
        };
        println!(
            "| {case} | {:.1e} | {:.0e} | {:.0e} | {time:.1} |",
            exact.condition,
            error(cholesky(&in_floats)),
            error(cholesky(&centred)),
        );
    }
}
