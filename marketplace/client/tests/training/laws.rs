//! Laws of regression on drawn integer tables.

use crate::{plain::solve, support::near};
use proptest::prelude::*;
use veilbourse_client::train::{Coefficient, Fit, Method, Moments, Variable, fit};

/// Columns with different scales, the target last.
fn variables(p: usize) -> Vec<Variable> {
    (0..=p)
        .map(|i| Variable {
            name: format!("c{i}"),
            unit: String::new(),
            scale_log2: [3, 10, 0, -2, 7][i % 5],
            half_step: f64::from(-[3, 10, 0, -2, 7][i % 5] - 1).exp2(),
        })
        .collect()
}

/// 40 to 90 rows of 1 to 6 features and a target.
fn rows() -> impl Strategy<Value = Vec<Vec<i64>>> {
    (1usize..=6, 40usize..90).prop_flat_map(|(p, n)| {
        prop::collection::vec(prop::collection::vec(-1_000i64..1_000, p + 1), n)
    })
}

fn moments(rows: &[Vec<i64>]) -> Moments {
    let variables = variables(rows[0].len() - 1);
    Moments::of_rows(variables, rows.iter().map(Vec::as_slice)).expect("moments")
}

fn ridge(lambda: f64, standardise: bool) -> Method {
    Method::Ridge {
        lambda,
        standardise,
    }
}

fn terms(f: &Fit) -> Vec<&Coefficient> {
    std::iter::once(&f.intercept)
        .chain(&f.coefficients)
        .collect()
}

/// Near, beside what the term's own standard error makes invisible.
fn close(a: &Coefficient, b: &Coefficient, tolerance: f64) -> bool {
    (a.value - b.value).abs() <= tolerance * (b.value.abs() + b.standard_error)
        && near(a.standard_error, b.standard_error, tolerance)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// TRN-7: the plaintext solution of the same rows, by QR.
    #[test]
    fn equals_qr_of_the_rows(rows in rows()) {
        let m = moments(&rows);
        let f = fit(&m, Method::Ols).expect("a fit");
        let scale = |i: usize| f64::from(-m.variables[i].scale_log2).exp2();
        let real: Vec<Vec<f64>> = rows.iter()
            .map(|r| r.iter().enumerate().map(|(i, x)| *x as f64 * scale(i)).collect())
            .collect();
        let plain = solve(&real, &[]);
        for ((c, b), e) in terms(&f).iter().zip(&plain.b).zip(&plain.errors) {
            prop_assert!((c.value - b).abs() <= 1e-9 * b.abs().max(*e), "{} {b}", c.value);
            prop_assert!(near(c.standard_error, *e, 1e-9));
        }
        prop_assert!(near(f.residual_sum_of_squares, plain.rss, 1e-10));
        prop_assert!((0.0..=1.0).contains(&f.r_squared) && f.condition >= 1.0 - 1e-12);
    }

    /// TRN-7: the order of the columns does not matter, bit for bit.
    #[test]
    fn columns_in_another_order(rows in rows(), turn in 0usize..6) {
        let m = moments(&rows);
        let p = m.variables.len() - 1;
        let order: Vec<usize> = (0..p).map(|i| (i + turn) % p).chain([p]).collect();
        let moved = m.select(&order).expect("all there");
        for method in [Method::Ols, ridge(3.5, false), ridge(3.5, true)] {
            let (f, g) = (fit(&m, method).expect("a fit"), fit(&moved, method).expect("a fit"));
            for (to, from) in order.iter().take(p).enumerate() {
                let (a, b) = (&g.coefficients[to], &f.coefficients[*from]);
                prop_assert_eq!(&a.name, &b.name);
                prop_assert_eq!((a.value, a.standard_error), (b.value, b.standard_error));
            }
            prop_assert_eq!(g.intercept.value, f.intercept.value);
            prop_assert_eq!(g.r_squared, f.r_squared);
        }
    }

    /// TRN-6, TRN-7: a column in other units has a coefficient in those; moments
    /// held at a finer scale are the same moments.
    #[test]
    fn columns_in_other_units(rows in rows(), factor in 1i64..50) {
        let m = moments(&rows);
        let scaled: Vec<Vec<i64>> = rows.iter()
            .map(|r| r.iter().enumerate().map(|(i, x)| if i == 0 { x * factor } else { *x }).collect())
            .collect();
        for method in [Method::Ols, ridge(2.0, true)] {
            let (f, g) = (fit(&m, method).expect("a fit"), fit(&moments(&scaled), method).expect("a fit"));
            let (a, b) = (&g.coefficients[0], &f.coefficients[0]);
            prop_assert!(near(a.value * factor as f64, b.value, 1e-14));
            prop_assert!(near(a.standard_error * factor as f64, b.standard_error, 1e-14));
            prop_assert!(near(a.t, b.t, 1e-13) && near(g.condition, f.condition, 1e-12));
            prop_assert!(g.intercept.value == f.intercept.value && g.r_squared == f.r_squared);
        }
        let mut finer = Moments::none(m.variables.clone());
        for v in &mut finer.variables {
            v.scale_log2 += 5;
        }
        let both = m.clone().plus(finer).expect("adds");
        let (f, g) = (fit(&m, Method::Ols).expect("a fit"), fit(&both, Method::Ols).expect("a fit"));
        for (a, b) in terms(&g).iter().zip(terms(&f)) {
            prop_assert_eq!((a.value, a.standard_error), (b.value, b.standard_error));
        }
    }

    /// TRN-6: parts add up to the whole before anything is solved.
    #[test]
    fn parts_add_up(rows in rows(), at in 1usize..39) {
        let (a, b) = rows.split_at(at);
        let parts = moments(a).plus(moments(b)).expect("adds");
        prop_assert_eq!(parts, moments(&rows));
    }

    /// TRN-9: ridge tends to ordinary least squares, and from there to zero.
    #[test]
    fn ridge_between_least_squares_and_nothing(rows in rows(), standardise: bool) {
        let m = moments(&rows);
        let f = fit(&m, Method::Ols).expect("a fit");
        let zero = fit(&m, ridge(0.0, standardise)).expect("a fit");
        for (a, b) in terms(&zero).iter().zip(terms(&f)) {
            prop_assert_eq!((a.value, a.standard_error), (b.value, b.standard_error));
        }
        let least = fit(&m, ridge(1e-12, standardise)).expect("a fit");
        for (a, b) in terms(&least).iter().zip(terms(&f)) {
            prop_assert!(close(a, b, 1e-9), "{} {}", a.value, b.value);
        }
        let mut before = (f.effective_parameters, f.r_squared);
        for lambda in [1.0, 1e3, 1e6, 1e9] {
            let g = fit(&m, ridge(lambda, standardise)).expect("a fit");
            prop_assert!(g.effective_parameters < before.0 && g.r_squared <= before.1);
            prop_assert!(g.effective_parameters > 1.0);
            before = (g.effective_parameters, g.r_squared);
        }
        let most = fit(&m, ridge(1e28, standardise)).expect("a fit");
        let scale = f64::from(-m.variables.last().expect("a target").scale_log2).exp2();
        let mean = rows.iter().map(|r| r[r.len() - 1]).sum::<i64>() as f64 * scale / rows.len() as f64;
        prop_assert!((most.intercept.value - mean).abs() <= 1e-9 * (mean.abs() + 1.0));
        prop_assert!(most.coefficients.iter().all(|c| c.value.abs() < 1e-9));
    }

    /// TRN-10: whatever half a step does to the cells, the coefficients stay
    /// within the first-order bound and a second-order rest.
    #[test]
    fn quantisation_stays_within_its_bound(rows in rows(), seed in prop::collection::vec(-8i64..=8, 90 * 7)) {
        // The same table 4 bits finer, moved by up to half a (coarse) step.
        let m = moments(&rows);
        let f = fit(&m, Method::Ols).expect("a fit");
        let moved: Vec<Vec<i64>> = rows.iter().enumerate()
            .map(|(i, r)| r.iter().enumerate().map(|(j, x)| 16 * x + seed[(7 * i + j) % seed.len()]).collect())
            .collect();
        let mut finer = variables(rows[0].len() - 1);
        for v in &mut finer {
            v.scale_log2 += 4;
        }
        let g = fit(&Moments::of_rows(finer, moved.iter().map(Vec::as_slice)).expect("moments"), Method::Ols)
            .expect("a fit");
        for (a, b) in terms(&g).iter().zip(terms(&f)) {
            let off = (a.value - b.value).abs();
            prop_assert!(off <= 1.05 * b.quantisation.bound, "{off} {:?}", b.quantisation);
            prop_assert!(b.quantisation.typical <= b.quantisation.bound * 1.05);
        }
    }
}
