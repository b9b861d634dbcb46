//! Names, categories, what is not listed, and what is singular.

use crate::{
    plain::solve,
    support::{Table, ask, near, table},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::fmt::Write;
use veilbourse_client::train::{
    Ask, Method, Moments, MomentsError, Plan, TrainError, Variable, fit,
};
use veilbourse_tabular::{SchemaConfig, SecondMoments};

/// 900 rows in three segments: y from x, z, a region of three and the year.
fn csv() -> String {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let mut text = String::from("year,y,x,z,twice,region,sex\n");
    for i in 0..900 {
        let mut draw = |n: u32| rng.next_u32() % n;
        let (year, region) = (2000 + i % 3, ["north", "south", "west"][draw(3) as usize]);
        let sex = ["f", "m"][draw(2) as usize];
        let (x, z) = (f64::from(draw(64)), f64::from(draw(400)) / 4.0 - 50.0);
        let shift = if region == "west" { 9.0 } else { 0.0 } + if sex == "m" { -4.0 } else { 0.0 };
        let y = 3.0 * x - 0.5 * z + shift + 2.0 * f64::from(i % 3) + f64::from(draw(17)) - 8.0;
        writeln!(text, "{year},{y},{x},{z},{},{region},{sex}", 2.0 * x).expect("a string");
    }
    text
}

fn config(second_moments: SecondMoments) -> SchemaConfig {
    SchemaConfig {
        segment_by: vec!["year".into()],
        second_moments,
        bits: 12,
        ..SchemaConfig::new("small")
    }
}

fn small() -> Table {
    table(&csv(), &config(SecondMoments::All))
}

#[test]
fn categories_are_measured_against_one_that_is_named() {
    // TRN-3, TRN-4: squares of one-hot columns are the columns, products within
    // a source are zero, the year's moments follow from counts and sums.
    let t = small();
    let asked = ask("y", &["x", "z", "region", "sex", "year"]);
    let plan = Plan::of(&t.listed, &asked).expect("a plan");
    let references = &plan.columns.references;
    let chosen: Vec<_> = references
        .iter()
        .map(|r| (r.category.as_deref(), r.named))
        .collect();
    assert_eq!(chosen, [(Some("north"), false), (Some("f"), false)]);
    let names = ["x", "z", "region=south", "region=west", "sex=m", "year"];
    let of =
        |p: &Plan| -> Vec<String> { p.columns.variables.iter().map(|v| v.name.clone()).collect() };
    assert_eq!(of(&plan)[..6], names);
    // Five encrypted sums and y; of products those with y (6), x (1 + 4), z (1 + 3),
    // sex x region (2): no square of a category, none within the region.
    let (query, _) = plan.query(&t.listed.manifest).expect("an order");
    assert_eq!(query.program.vectors.len(), 6 + 1 + 5 + 5 + 4 + 2);
    let f = t.train(&asked, Method::Ols).expect("a fit");
    let all: Vec<&str> = names.iter().copied().chain(["y"]).collect();
    let plain = solve(&t.quantised(&all), &[]);
    for (c, b) in f.coefficients.iter().zip(&plain.b[1..]) {
        assert!(near(c.value, *b, 1e-9), "{} {} {b}", c.name, c.value);
    }
    assert!(near(f.intercept.value, plain.b[0], 1e-9));

    // Against another category: the same fit, other contrasts.
    let other = Ask {
        references: vec![("region".into(), "west".into())],
        ..asked.clone()
    };
    let g = t.train(&other, Method::Ols).expect("a fit");
    assert!(near(g.r_squared, f.r_squared, 1e-14));
    let north = g.coefficients.iter().find(|c| c.name == "region=north");
    let west = f.coefficients.iter().find(|c| c.name == "region=west");
    let (north, west) = (north.expect("there"), west.expect("there"));
    assert!(near(north.value, -west.value, 1e-12));

    // All columns but the target, where none is named.
    let everything = Plan::of(&t.listed, &ask("x", &[])).expect("a plan");
    assert_eq!(
        everything.columns.variables.len(),
        1 + 1 + 1 + 2 + 1 + 1 + 1
    );
    let of_source = Plan::of(&t.listed, &ask("region=west", &[])).expect("a plan");
    assert!(!of(&of_source).contains(&"region=south".to_owned()));
}

#[test]
fn collinear_columns_are_named() {
    // TRN-8: exactly, and within what quantisation can hide.
    let t = small();
    let e = t
        .train(&ask("y", &["x", "twice"]), Method::Ols)
        .unwrap_err();
    let TrainError::Collinear { name, with } = &e else {
        panic!("{e}")
    };
    assert_eq!(
        (name.as_str(), with.as_slice()),
        ("twice", &["x".to_owned()][..])
    );
    let whole = ["z", "region=north", "region=south", "region=west"];
    let e = t.train(&ask("y", &whole), Method::Ols).unwrap_err();
    let TrainError::Collinear { name, with } = &e else {
        panic!("{e}")
    };
    assert_eq!((name.as_str(), with.len()), ("region=west", 2), "{e}");
    // Ridge with a penalty is not singular.
    let ridge = |lambda| Method::Ridge {
        lambda,
        standardise: true,
    };
    let f = t
        .train(&ask("y", &["x", "twice"]), ridge(1.0))
        .expect("a fit");
    let (a, b) = (&f.coefficients[0], &f.coefficients[1]);
    assert!(near(a.value, 2.0 * b.value, 1e-9), "shared by their spread");
    assert!(t.train(&ask("y", &["x", "twice"]), ridge(0.0)).is_err());

    let mut text = String::from("y,celsius,fahrenheit\n");
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    for _ in 0..500 {
        let c = f64::from(rng.next_u32() % 100_000) / 3_000.0;
        writeln!(text, "{},{c},{}", rng.next_u32() % 50, 32.0 + 1.8 * c).expect("a string");
    }
    let config = SchemaConfig {
        second_moments: SecondMoments::All,
        ..SchemaConfig::new("heat")
    };
    let heat = table(&text, &config);
    let e = heat.train(&ask("y", &[]), Method::Ols).unwrap_err();
    assert!(
        matches!(&e, TrainError::NearCollinear { with, .. } if with.len() == 1),
        "{e}"
    );
    assert!(heat.train(&ask("y", &[]), ridge(1.0)).is_ok());
}

#[test]
fn what_cannot_be_trained_says_why() {
    // TRN-1..5, TRN-8, TRN-9.
    let t = small();
    let refused = |ask: &Ask| Plan::of(&t.listed, ask).unwrap_err().to_string();
    let cases: Vec<(Ask, &str)> = vec![
        (ask("q", &[]), "no column \"q\""),
        (ask("y", &["q"]), "no column \"q\""),
        (ask("x^2", &[]), "second moment"),
        (ask("y", &["x*z"]), "second moment"),
        (ask("region", &[]), "region=west"),
        (ask("year", &["x"]), "public"),
        (ask("y", &["x", "y"]), "is the target"),
        (ask("y", &["x", "x"]), "twice"),
        (ask("y", &["region", "region=west"]), "twice"),
    ];
    for (ask, part) in cases {
        let e = refused(&ask);
        assert!(e.contains(part), "{e}");
    }
    let mut one = ask("y", &["x", "year"]);
    one.segments = vec!["year = 2001".into()];
    assert!(refused(&one).contains("one value"), "{}", refused(&one));
    one.segments = vec!["year = 1999".into()];
    assert!(refused(&one).contains("year = 2000"));
    let mut reference = ask("y", &["region"]);
    for named in [("region", "east"), ("sex", "m")] {
        reference.references = vec![(named.0.into(), named.1.into())];
        assert!(refused(&reference).contains(named.1));
    }
    let mut word = ask("y", &["x"]);
    word.exact = vec!["z".into()];
    assert!(refused(&word).contains("\"z\""));
    for lambda in [f64::NAN, f64::INFINITY, -1.0, 1e-40, 1e40] {
        let method = Method::Ridge {
            lambda,
            standardise: false,
        };
        let e = t.train(&ask("y", &["x"]), method).unwrap_err();
        assert!(matches!(e, TrainError::Lambda { .. }), "{e}");
    }

    // What is missing is named, with the line that lists it.
    let pairs = [("x", "x"), ("y", "x"), ("z", "z"), ("z", "y")];
    let pairs = pairs.map(|(a, b)| (a.to_owned(), b.to_owned())).into();
    let few = table(&csv(), &config(SecondMoments::Products(pairs)));
    let e = Plan::of(&few.listed, &ask("y", &["x", "z"])).unwrap_err();
    let TrainError::MissingMoments { missing, line, .. } = &e else {
        panic!("{e}")
    };
    assert_eq!(missing, &["x*z", "y^2"]);
    // With that line the same training has its moments.
    let settings = SchemaConfig::from_toml(&format!(
        "name = \"small\"\nsegment_by = [\"year\"]\nbits = 12\n{line}\n"
    ));
    let whole = table(&csv(), &settings.expect("good settings"));
    assert!(whole.train(&ask("y", &["x", "z"]), Method::Ols).is_ok());
}

#[test]
fn an_order_is_not_larger_than_the_market_takes() {
    // TRN-5: 65 moments of ten columns; 54 of nine.
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let names: Vec<String> = (0..10).map(|i| format!("c{i}")).collect();
    let mut text = names.join(",");
    for _ in 0..200 {
        let row: Vec<String> = names
            .iter()
            .map(|_| (rng.next_u32() % 90).to_string())
            .collect();
        write!(text, "\n{}", row.join(",")).expect("a string");
    }
    let config = SchemaConfig {
        second_moments: SecondMoments::All,
        ..SchemaConfig::new("wide")
    };
    let t = table(&text, &config);
    let e = t.train(&ask("c0", &[]), Method::Ols).unwrap_err();
    assert!(
        matches!(
            e,
            TrainError::TooManyMoments {
                variables: 10,
                value: 65
            }
        ),
        "{e}"
    );
    let nine: Vec<&str> = names[1..9].iter().map(String::as_str).collect();
    assert!(t.train(&ask("c0", &nine), Method::Ols).is_ok());
}

#[test]
fn moments_of_no_table_are_refused() {
    // TRN-6, TRN-7: a lying product column, too few rows, one value.
    let v = |name: &str| Variable {
        name: name.into(),
        unit: String::new(),
        scale_log2: 0,
        half_step: 0.0,
    };
    let variables = || vec![v("a"), v("y")];
    let of = |rows: &[[i64; 2]]| {
        Moments::of_rows(variables(), rows.iter().map(|r| r.as_slice())).expect("moments")
    };
    let good = of(&[[1, 2], [2, 3], [5, 5], [7, 9]]);
    assert!(fit(&good, Method::Ols).is_ok());
    let mut lies = good.clone();
    lies.products[1][0] *= 100;
    let e = fit(&lies, Method::Ols).unwrap_err();
    assert!(
        matches!(e, TrainError::Moments(MomentsError::Impossible { .. })),
        "{e}"
    );
    let mut lies = good.clone();
    lies.products[0][0] -= 1_000;
    let e = fit(&lies, Method::Ols).unwrap_err();
    assert!(
        matches!(e, TrainError::Moments(MomentsError::Impossible { .. })),
        "{e}"
    );
    let e = fit(&of(&[[1, 2], [2, 3]]), Method::Ols).unwrap_err();
    assert!(matches!(e, TrainError::TooFewRows { .. }), "{e}");
    let e = fit(&of(&[[1, 2], [1, 3], [1, 5], [1, 5]]), Method::Ols).unwrap_err();
    assert!(matches!(e, TrainError::ConstantFeature { .. }), "{e}");
    let e = fit(&of(&[[1, 2], [2, 2], [1, 2], [4, 2]]), Method::Ols).unwrap_err();
    assert!(matches!(e, TrainError::ConstantTarget { .. }), "{e}");
    let mut short = good.clone();
    short.sums.pop();
    assert!(matches!(
        fit(&short, Method::Ols),
        Err(TrainError::Moments(_))
    ));
    let other = Moments::of_rows(vec![v("b"), v("y")], std::iter::empty()).expect("moments");
    assert!(matches!(
        good.plus(other),
        Err(MomentsError::OtherColumn { index: 0, .. })
    ));
}

#[test]
fn a_penalty_hides_no_impossible_moments_and_no_column_of_one_value() {
    // TRN-7, TRN-8: what least squares refuse, ridge does too.
    let v = |name: &str| Variable {
        name: name.into(),
        unit: String::new(),
        scale_log2: 0,
        half_step: 0.0,
    };
    let rows = [[1, 4, 2], [2, 1, 3], [5, 3, 5], [7, 7, 9], [3, 2, 2]];
    let of = |rows: &[[i64; 3]]| {
        let variables = vec![v("a"), v("b"), v("y")];
        Moments::of_rows(variables, rows.iter().map(|r| r.as_slice())).expect("moments")
    };
    let good = of(&rows);
    let methods = [0.0, 1e-9, 1.0, 1e6, 1e12].into_iter().flat_map(|lambda| {
        [false, true].map(|standardise| Method::Ridge {
            lambda,
            standardise,
        })
    });
    for method in methods.chain([Method::Ols]) {
        assert!(fit(&good, method).is_ok());
        // A product beyond what its squares allow, of features and with the target;
        // a square below what the sum makes.
        for (i, j, by) in [(1, 0, 60), (2, 1, 100), (0, 0, -80)] {
            let mut lies = good.clone();
            lies.products[i][j] += by;
            let e = fit(&lies, method).unwrap_err();
            assert!(
                matches!(e, TrainError::Moments(MomentsError::Impossible { .. })),
                "{method:?} {i} {j}: {e}"
            );
        }
        // A target that never moves has no product with anything.
        let mut lies = of(&rows.map(|[a, b, _]| [a, b, 4]));
        lies.products[2][0] += 1;
        let e = fit(&lies, method).unwrap_err();
        assert!(
            matches!(e, TrainError::Moments(MomentsError::Impossible { .. })),
            "{method:?}: {e}"
        );
        let e = fit(&of(&rows.map(|[a, _, y]| [a, 3, y])), method).unwrap_err();
        let TrainError::ConstantFeature { name } = &e else {
            panic!("{method:?}: {e}")
        };
        assert_eq!(name, "b");
    }
}

#[test]
fn a_penalty_of_zero_is_none() {
    // TRN-8, TRN-9: what quantisation can hide is refused with lambda 0 as without.
    let mut text = String::from("y,celsius,fahrenheit\n");
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    for _ in 0..500 {
        let c = f64::from(rng.next_u32() % 100_000) / 3_000.0;
        writeln!(text, "{},{c},{}", rng.next_u32() % 50, 32.0 + 1.8 * c).expect("a string");
    }
    let config = SchemaConfig {
        second_moments: SecondMoments::All,
        ..SchemaConfig::new("heat")
    };
    let heat = table(&text, &config);
    for standardise in [false, true] {
        for lambda in [0.0, -0.0] {
            let method = Method::Ridge {
                lambda,
                standardise,
            };
            let e = heat.train(&ask("y", &[]), method).unwrap_err();
            assert!(matches!(e, TrainError::NearCollinear { .. }), "{e}");
        }
    }
}

#[test]
fn suppressed_squares_and_products_are_no_categories() {
    // TRN-3: names are all that a listing tells of what it lacks.
    let mut t = small();
    t.listed.suppressed = [
        "region=east",
        "region=east*x",
        "region=west*sex=m",
        "region=west^2",
        "sex=m*z",
        "sex=x*y=other",
        "sex=x*y",
        "x*z",
        "regional=north",
    ]
    .map(String::from)
    .into();
    let merged = |t: &Table| -> Vec<Vec<String>> {
        let plan = Plan::of(&t.listed, &ask("y", &["region", "sex"])).expect("a plan");
        let references = plan.columns.references.into_iter();
        references.map(|r| r.merged).collect()
    };
    // "sex=x" is no column, so a name that holds it is a category.
    let sex = ["x*y=other", "x*y"].map(String::from).to_vec();
    assert_eq!(merged(&t), [vec!["east".to_owned()], sex]);
}

#[test]
fn too_few_rows_are_told_before_anything_is_paid() {
    // TRN-8: row counts are public.
    let mut text = String::from("g,y,a,b\n");
    for (i, g) in [1, 1, 1, 2, 2, 2, 2].into_iter().enumerate() {
        writeln!(text, "{g},{},{},{}", i * i % 7, i, i * 3 % 5).expect("a string");
    }
    let mut config = SchemaConfig {
        segment_by: vec!["g".into()],
        second_moments: SecondMoments::All,
        ..SchemaConfig::new("few")
    };
    config.suppression.k_min = 0;
    config.suppression.max_share_percent = 100;
    let t = table(&text, &config);
    let degrees = |segment: &str, method| {
        let mut asked = ask("y", &["a", "b"]);
        asked.segments = vec![segment.into()];
        let plan = Plan::of(&t.listed, &asked).expect("a plan");
        match plan.check_rows(&t.listed.manifest, method) {
            Ok(()) => None,
            Err(TrainError::TooFewRows { rows, degrees }) => Some((rows, degrees)),
            Err(e) => panic!("{e}"),
        }
    };
    let ridge = |lambda| Method::Ridge {
        lambda,
        standardise: false,
    };
    assert_eq!(degrees("g = 2", Method::Ols), None);
    assert_eq!(degrees("g = 1", Method::Ols), Some((3, 0.0)));
    assert_eq!(degrees("g = 1", ridge(0.0)), Some((3, 0.0)));
    assert_eq!(degrees("g = 1", ridge(1.0)), None);
}
