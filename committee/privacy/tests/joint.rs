//! Forecasts of sums of independent noises (PRV-13), against convolutions of
//! the laws, the normal law, and draws.

mod common;

use common::{draws, surprise};
use veilbourse_privacy::{Forecast, MAX_SUMMANDS, Mechanism, PrivacyError, law};

fn laplace(n: u128, d: u64) -> Mechanism {
    Mechanism::laplace(n, d).unwrap()
}

fn gaussian(n: u128, d: u64) -> Mechanism {
    Mechanism::gaussian(n, d).unwrap()
}

/// The law of the sum on -bound..=bound, term by term.
fn convolved(mechanisms: &[Mechanism]) -> Vec<f64> {
    let mut sum = vec![1.0];
    for m in mechanisms {
        let t = i64::try_from(m.noise_bound()).unwrap();
        let one: Vec<f64> = (-t..=t).map(|x| law::mass(m, x)).collect();
        let mut next = vec![0.0; sum.len() + one.len() - 1];
        for (i, a) in sum.iter().enumerate() {
            for (j, b) in one.iter().enumerate() {
                next[i + j] += a * b;
            }
        }
        sum = next;
    }
    sum
}

#[test]
fn half_widths_are_those_of_the_convolved_laws() {
    // PRV-13: least h with P(|S| > h) <= 0.05, and the law's deviation.
    let cases: Vec<Vec<Mechanism>> = vec![
        vec![laplace(3, 1); 2],
        vec![laplace(1, 1), laplace(7, 2), gaussian(5, 1)],
        vec![gaussian(1, 10); 7],
        vec![gaussian(1, 2); 2],
        vec![gaussian(1, 1 << 20); 2],
        vec![gaussian(40, 1), gaussian(1, 100), Mechanism::None],
        vec![laplace(1, 1 << 10); 3],
        vec![laplace(20, 1), gaussian(1, 4)],
        vec![
            gaussian(9, 1),
            gaussian(17, 2),
            laplace(1, 3),
            laplace(2, 3),
        ],
    ];
    for mechanisms in cases {
        let found = Forecast::of_sum(&mechanisms).unwrap();
        let law = convolved(&mechanisms);
        let bound = (law.len() - 1) / 2;
        assert_eq!(found.bound, bound as u64, "{mechanisms:?}");
        let mass = |h: usize| {
            if h == 0 {
                law[bound]
            } else {
                2.0 * law[bound + h]
            }
        };
        let variance: f64 = (1..=bound).map(|x| (x * x) as f64 * mass(x)).sum();
        let deviation = found.standard_deviation;
        assert!(
            (deviation - variance.sqrt()).abs() <= 1e-9 * deviation,
            "{mechanisms:?}"
        );
        let (mut h, mut tail) = (bound, 0.0);
        while h > 0 && tail + mass(h) <= 0.05 {
            tail += mass(h);
            h -= 1;
        }
        assert_eq!(found.half_width_95, h as u64, "{mechanisms:?}");
    }
}

#[test]
fn one_summand_is_the_single_forecast() {
    // PRV-13, PRV-11.
    for m in [laplace(5, 2), gaussian(1 << 90, 3), Mechanism::None] {
        assert_eq!(Forecast::of_sum(&[m]), Ok(m.forecast()));
        assert_eq!(Forecast::of_sum(&[m, Mechanism::None]), Ok(m.forecast()));
    }
    assert_eq!(Forecast::of_sum(&[]), Ok(Mechanism::None.forecast()));
}

#[test]
fn wide_sums_meet_their_closed_forms() {
    // PRV-13: Gaussians add up to a Gaussian; of two Laplace noises of scale b,
    // P(|S| > h) = (1 + h / 2b) exp(-h / b) up to the lattice, 0.05 at h = 4.1318 b
    // or so, found here by bisection.
    for (n, j) in [(1u128 << 96, 4u32), (1 << 60, 64), (1 << 30, 9)] {
        let found = Forecast::of_sum(&vec![gaussian(n, 1); j as usize]).unwrap();
        let normal = 1.959_963_984_540_054 * (n as f64 * f64::from(j)).sqrt();
        // The integer beyond h + 1/2 is the first outside.
        let off = (found.half_width_95 as f64 + 1.0) / normal - 1.0;
        assert!((-1e-12..1e-4).contains(&off), "{n} {j}: {off}");
    }
    let (mut low, mut high) = (0.0f64, 10.0f64);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if (1.0 + middle / 2.0) * (-middle).exp() <= 0.05 {
            high = middle;
        } else {
            low = middle;
        }
    }
    for log2 in [20, 48] {
        let found = Forecast::of_sum(&[laplace(1 << log2, 1); 2]).unwrap();
        let off = found.half_width_95 as f64 / (high * f64::from(log2).exp2()) - 1.0;
        assert!((-1e-5..1e-4).contains(&off), "2^{log2}: {off}");
    }
    // One wide noise beside narrow ones: never below it, and hardly above.
    for log2 in [20, 48] {
        let wide = laplace(1 << log2, 1);
        let found = Forecast::of_sum(&[wide, laplace(1, 1), gaussian(1, 1)]).unwrap();
        let off = found.half_width_95 as f64 / wide.forecast().half_width_95 as f64 - 1.0;
        assert!((0.0..1e-3).contains(&off), "2^{log2}: {off}");
    }
}

#[test]
fn draws_keep_to_it() {
    // PRV-13, by Chernoff for every sample size.
    let mechanisms = [laplace(40, 1), laplace(90, 1), gaussian(5000, 1)];
    let found = Forecast::of_sum(&mechanisms).unwrap();
    let n = 40_000usize;
    let drawn: Vec<Vec<i64>> = mechanisms
        .iter()
        .zip(70..)
        .map(|(m, s)| draws(m, s, n))
        .collect();
    let beyond = (0..n)
        .filter(|i| {
            let sum: i64 = drawn.iter().map(|d| d[*i]).sum();
            sum.unsigned_abs() > found.half_width_95
        })
        .count();
    assert!(
        surprise(beyond as u64, n as u64, 0.05) < common::LOG_INVERSE_ALARM,
        "{beyond}"
    );
}

#[test]
fn summands_have_a_limit() {
    // PRV-13.
    let widest = laplace(1 << 48, 1);
    let found = Forecast::of_sum(&[widest; MAX_SUMMANDS]).unwrap();
    assert_eq!(found.bound, (64 * 90) << 48);
    let (limit, value) = (MAX_SUMMANDS, MAX_SUMMANDS + 1);
    assert_eq!(
        Forecast::of_sum(&[widest; MAX_SUMMANDS + 1]),
        Err(PrivacyError::Summands { limit, value })
    );
}
