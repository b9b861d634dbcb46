//! The RAND table against statsmodels, scikit-learn and QR of our own.

use crate::{
    plain::{Plain, solve},
    support::{Table, ask, near, rand_csv, table},
};
use serde_json::Value;
use veilbourse_client::train::{Ask, Fit, Method, Plan, fit};
use veilbourse_tabular::{SchemaConfig, SecondMoments, Suppression};

pub const FEATURES: [&str; 9] = [
    "lncoins", "lpi", "fmde", "physlm", "disea", "hlthg", "hlthf", "hlthp", "idp",
];

/// The RAND table with all second moments; products of the health classes are
/// zero throughout, hence not listed.
pub fn rand_table(bits: u32) -> Table {
    let config = SchemaConfig {
        segment_by: vec!["idp".into()],
        second_moments: SecondMoments::All,
        bits,
        // Few rows of a plan have these; the custodian overrides by name.
        suppression: Suppression {
            keep: vec!["lncoins*fmde".into(), "lncoins*hlthp".into()],
            ..Suppression::default()
        },
        ..SchemaConfig::new("RAND")
    };
    table(&rand_csv(), &config)
}

pub fn rand_ask() -> Ask {
    Ask {
        exclusive: vec![["hlthg", "hlthf", "hlthp"].map(String::from).into()],
        ..ask("mdvis", &FEATURES)
    }
}

fn with_target(features: &[&'static str]) -> Vec<&'static str> {
    features.iter().copied().chain(["mdvis"]).collect()
}

fn expected() -> Value {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/data/regression/randhie_statsmodels.json"
    );
    serde_json::from_slice(&std::fs::read(file).expect("the reference")).expect("JSON")
}

fn numbers(v: &Value) -> Vec<f64> {
    let list = v.as_array().expect("a list");
    list.iter().map(|n| n.as_f64().expect("a number")).collect()
}

fn terms(f: &Fit) -> Vec<&veilbourse_client::train::Coefficient> {
    std::iter::once(&f.intercept)
        .chain(&f.coefficients)
        .collect()
}

/// Greatest relative difference of coefficients and of standard errors.
fn against(f: &Fit, plain: &Plain) -> (f64, f64) {
    let most = |of: &dyn Fn(usize) -> (f64, f64)| {
        (0..plain.b.len()).fold(0.0f64, |m, i| {
            let (a, b) = of(i);
            m.max(((a - b) / b).abs())
        })
    };
    let t = terms(f);
    (
        most(&|i| (t[i].value, plain.b[i])),
        most(&|i| (t[i].standard_error, plain.errors[i])),
    )
}

#[test]
fn rand_equals_the_quantised_plaintext_and_statsmodels_within_quantisation() {
    // TRN-2, TRN-6, TRN-7, TRN-10: 54 moments less three that exclude each other.
    let t = rand_table(10);
    let plan = Plan::of(&t.listed, &rand_ask()).expect("a plan");
    let (query, demand) = plan.query(&t.listed.manifest).expect("an order");
    assert_eq!((query.program.vectors.len(), demand.values), (51, 102));
    let f = fit(&t.moments(&plan).expect("moments"), Method::Ols).expect("a fit");

    // Equal to QR of the same (quantised) rows.
    let names = with_target(&FEATURES);
    let plain = solve(&t.quantised(&names), &[]);
    let (b, e) = against(&f, &plain);
    println!("against QR of the quantised rows: coefficients {b:.1e}, standard errors {e:.1e}");
    assert!(b < 1e-9 && e < 1e-9, "{b} {e}");
    assert!(near(f.residual_sum_of_squares, plain.rss, 1e-11));
    assert!(near(f.r_squared, 1.0 - plain.rss / plain.tss, 1e-11));

    // QR of the float rows is what statsmodels says; ours differs by what the
    // quantisation did, within its bound.
    let reference = expected();
    let reference = &reference["ols"];
    let mut said = vec![reference["intercept"].as_f64().expect("a number")];
    said.extend(numbers(&reference["coefficients"]));
    let float = solve(&t.real(&names), &[]);
    for ((c, said), own) in terms(&f).iter().zip(&said).zip(&float.b) {
        assert!(near(*own, *said, 1e-10), "{} {own} {said}", c.name);
        let off = (c.value - said).abs();
        println!(
            "{:10} {:+.6} off {:.1e} typical {:.1e} bound {:.1e} standard error {:.1e}",
            c.name, c.value, off, c.quantisation.typical, c.quantisation.bound, c.standard_error
        );
        assert!(off <= c.quantisation.bound, "{} {off:e}", c.name);
        assert!(off <= 4.0 * c.quantisation.typical, "{} {off:e}", c.name);
        assert!(off <= 0.05 * c.standard_error, "{} {off:e}", c.name);
    }
    for (c, said) in terms(&f).iter().zip(numbers(&reference["standard_errors"])) {
        assert!(near(c.standard_error, said, 2e-3), "{}", c.name);
    }
    for (c, said) in terms(&f).iter().zip(numbers(&reference["t"])) {
        assert!((c.t - said).abs() < 0.05, "{} {} {said}", c.name, c.t);
    }
    let figure = |name: &str| reference[name].as_f64().expect("a number");
    assert!(near(f.r_squared, figure("r_squared"), 1e-3));
    assert!(near(
        f.adjusted_r_squared,
        figure("adjusted_r_squared"),
        1e-3
    ));
    assert!(near(
        f.residual_standard_error,
        figure("residual_standard_error"),
        1e-4
    ));
    assert!(
        near(f.condition, figure("condition"), 1e-3),
        "{}",
        f.condition
    );
}

#[test]
fn finer_columns_come_nearer() {
    // TRN-10: at 14 bits the same with a sixteenth of the error, or less.
    let (coarse, fine) = (rand_table(8), rand_table(14));
    let float = solve(&fine.real(&with_target(&FEATURES)), &[]);
    let off = |t: &Table| {
        let f = t.train(&rand_ask(), Method::Ols).expect("a fit");
        let off = terms(&f).iter().zip(&float.b).fold(0.0f64, |m, (c, b)| {
            assert!((c.value - b).abs() <= c.quantisation.bound);
            m.max((c.value - b).abs() / c.standard_error)
        });
        println!("greatest difference {off:.1e} standard errors");
        off
    };
    assert!(off(&fine) < off(&coarse) / 16.0);
}

#[test]
fn one_segment_alone() {
    // TRN-1, TRN-4: the key has one value there, so it is left out.
    let t = rand_table(10);
    let mut ask = rand_ask();
    ask.features.clear();
    ask.segments = vec!["idp = 1".into()];
    let plan = Plan::of(&t.listed, &ask).expect("a plan");
    assert_eq!(plan.columns.left_out, ["idp"]);
    let f = t.train(&ask, Method::Ols).expect("a fit");
    let reference = expected();
    let reference = &reference["ols_idp_1"];
    assert_eq!(Some(f.rows), reference["rows"].as_u64());
    let said = numbers(&reference["coefficients"]);
    for c in &f.coefficients {
        let at = FEATURES
            .iter()
            .position(|n| *n == c.name)
            .expect("a feature");
        assert!(
            (c.value - said[at]).abs() <= c.quantisation.bound,
            "{}",
            c.name
        );
        assert!(
            (c.value - said[at]).abs() <= 0.05 * c.standard_error,
            "{}",
            c.name
        );
    }
}

#[test]
fn ridge_equals_scikit_learn_within_quantisation() {
    // TRN-9: lambda in real units, and of standardised columns.
    let t = rand_table(12);
    for said in expected()["ridge"].as_array().expect("two") {
        let method = Method::Ridge {
            lambda: said["lambda"].as_f64().expect("a number"),
            standardise: said["standardise"] == true,
        };
        let f = t.train(&rand_ask(), method).expect("a fit");
        let mut b = vec![said["intercept"].as_f64().expect("a number")];
        b.extend(numbers(&said["coefficients"]));
        let errors = numbers(&said["standard_errors"]);
        for ((c, b), e) in terms(&f).iter().zip(b).zip(errors) {
            let off = (c.value - b).abs();
            assert!(off <= c.quantisation.bound, "{} {off:e}", c.name);
            assert!(off <= 0.02 * e, "{} {off:e} {e:e}", c.name);
            assert!(near(c.standard_error, e, 1e-3), "{}", c.name);
        }
        let degrees = said["effective_parameters"].as_f64().expect("a number");
        assert!(near(f.effective_parameters, degrees, 1e-5));
    }
    // Exactly that of the quantised rows, by QR with the penalty as rows.
    let lambda = 1_000.0;
    let method = Method::Ridge {
        lambda,
        standardise: false,
    };
    let f = t.train(&rand_ask(), method).expect("a fit");
    let plain = solve(&t.quantised(&with_target(&FEATURES)), &[lambda; 9]);
    for (c, b) in terms(&f).iter().zip(&plain.b) {
        assert!(near(c.value, *b, 1e-9), "{} {} {b}", c.name, c.value);
    }
}
