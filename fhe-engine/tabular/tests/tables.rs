//! The two example tables, whole (DS-7, DS-8), and the models trained on them.

use std::{fs, io::Cursor, path::PathBuf};
use veilbourse_core::{
    budget::{choose_message_log2, quantise_weights},
    digest::Digest,
    manifest::{
        Column, ColumnKind, CommitmentParamsId, DataParamsId, MANIFEST_VERSION, MAX_QUANTISED,
        Manifest, Segment,
    },
    program::{MatrixRef, ProgramOutput},
    simulation::simulate,
};
use veilbourse_tabular::{
    BoundModel, Built, Coverage, LinearModel, SchemaConfig, SecondMoments, build, quantise,
    reference::FloatTable,
};

fn data(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/data")
        .join(name);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn rand_config() -> SchemaConfig {
    let mut config = SchemaConfig::new("RAND health insurance experiment");
    config.segment_by = vec!["idp".into()];
    config.second_moments = SecondMoments::Squares(vec!["mdvis".into()]);
    config.columns.entry("mdvis".into()).or_default().unit = "visits".into();
    config
}

fn rand_table() -> Built {
    build(Cursor::new(data("randhie.csv")), &rand_config()).expect("builds")
}

/// The manifest of a built table, but for keys and commitments.
fn manifest(b: &Built) -> Manifest {
    let digest = Digest([1; 32]);
    Manifest {
        version: MANIFEST_VERSION,
        name: b.name.clone(),
        params: DataParamsId::Data4096Tu3V1,
        commitment: CommitmentParamsId::FriBlake3V1,
        message_log2: 20,
        columns: b.columns.clone(),
        public_columns: b.public_columns.clone(),
        segments: b
            .segments
            .iter()
            .map(|s| Segment {
                label: s.label.clone(),
                rows: s.rows,
                chunks: vec![digest; s.rows.div_ceil(4096) as usize],
                sum: digest,
                traced: digest,
                traced_bodies: vec![0; b.columns.len()],
            })
            .collect(),
        public_key_label: digest,
        public_key_body: digest,
        nonce: digest,
    }
}

/// What every built table must satisfy.
fn conforms(b: &Built) {
    assert_eq!(b.table.segments.len(), b.segments.len());
    for ((cells, origin), s) in b
        .table
        .segments
        .iter()
        .zip(&b.table.origin)
        .zip(&b.segments)
    {
        assert_eq!(cells.len(), b.columns.len());
        assert_eq!(origin.len() as u64, s.rows);
        assert!(origin.is_sorted(), "row order is kept within a segment");
        for (values, c) in cells.iter().zip(&b.columns) {
            assert_eq!(values.len() as u64, s.rows);
            assert!(
                values.iter().all(|v| (c.min..=c.max).contains(v)),
                "{}",
                c.name
            );
            assert!(c.max_abs() > 0 && c.max_abs() <= MAX_QUANTISED as u64);
        }
    }
    let mut rows: Vec<u64> = b.table.origin.iter().flatten().copied().collect();
    rows.sort_unstable();
    assert_eq!(
        rows,
        (0..b.report.rows).collect::<Vec<_>>(),
        "each row is in one segment"
    );
    manifest(b)
        .validate()
        .expect("what is built conforms to the manifest's rules");
    assert_eq!(b.public_columns[0].name, "1");
    assert!(b.public_columns[0].values.iter().all(|v| *v == 1));
}

fn at<'a>(b: &'a Built, name: &str) -> (usize, &'a Column) {
    b.columns
        .iter()
        .enumerate()
        .find(|(_, c)| c.name == name)
        .expect("column")
}

fn sum(b: &Built, segment: usize, name: &str) -> f64 {
    let (i, c) = at(b, name);
    let total: i64 = b.table.segments[segment][i].iter().sum();
    quantise::dequantise(total, c.scale_log2)
}

#[test]
fn rand_builds_and_reports() {
    let b = rand_table();
    conforms(&b);
    assert_eq!(b.report.rows, 20_190);
    let labels: Vec<_> = b
        .segments
        .iter()
        .map(|s| (s.label.as_str(), s.rows))
        .collect();
    assert_eq!(labels, [("idp = 0", 14_941), ("idp = 1", 5_249)]);
    assert_eq!(b.public_columns[1].name, "idp");
    assert_eq!(
        (b.public_columns[1].scale_log2, &b.public_columns[1].values),
        (0, &vec![0, 1])
    );
    assert!(b.report.suppressed().is_empty(), "{:?}", b.report.dropped);
    assert!(
        matches!(&at(&b, "mdvis^2").1.kind, ColumnKind::Square { source } if source == "mdvis")
    );
    insta::assert_snapshot!("rand_report", b.report.to_string());
    assert_eq!(b, rand_table(), "deterministic");
}

#[test]
fn rand_statistics_are_exact() {
    // mdvis is an integer: its sums and squares lose nothing.
    let b = rand_table();
    let reference =
        FloatTable::read(Cursor::new(data("randhie.csv")), &rand_config()).expect("reads");
    for s in 0..2 {
        let n = b.segments[s].rows as f64;
        let mean = sum(&b, s, "mdvis") / n;
        let variance = sum(&b, s, "mdvis^2") / n - mean * mean;
        assert!((mean - reference.mean(s, "mdvis").expect("mean")).abs() < 1e-12);
        assert!((variance - reference.variance(s, "mdvis").expect("variance")).abs() < 1e-9);
    }
    // The whole table's mean, as statsmodels' documentation prints it.
    let total = (sum(&b, 0, "mdvis") + sum(&b, 1, "mdvis")) / 20_190.0;
    assert!((total - 2.860_426).abs() < 1e-5, "{total}");
    assert!(reference.mean(2, "mdvis").is_none() && reference.mean(0, "nothing").is_none());
}

fn integer_score(b: &Built, m: &BoundModel, segment: usize, row: usize) -> f64 {
    let encrypted = b.table.segments[segment].iter().map(|c| c[row] as f64);
    let public = b.public_columns.iter().map(|c| c.values[segment] as f64);
    encrypted
        .chain(public)
        .zip(&m.weights)
        .map(|(x, w)| x * w)
        .sum()
}

#[derive(serde::Deserialize)]
struct Expected {
    test_rows: Vec<u64>,
    predictions: Vec<f64>,
    #[serde(default)]
    probabilities: Vec<f64>,
}

/// The model's published predictions, the float reference and the quantised
/// score agree row by row; returns the largest difference of scores.
fn compare(b: &Built, reference: &FloatTable, model: &str, expected: &str, target: &str) -> f64 {
    let model = LinearModel::from_json(&data(model)).expect("model");
    let expected: Expected = serde_json::from_slice(&data(expected)).expect("expected");
    let suppressed = b.report.suppressed();
    let bound = model
        .bind(
            &b.columns,
            &b.public_columns,
            &suppressed,
            Coverage::AllBut(target),
        )
        .expect("binds");
    let mut worst = 0.0f64;
    for (s, segment) in reference.segments.iter().enumerate() {
        assert_eq!(segment.origin, b.table.origin[s]);
        let scores = reference.scores(s, &model).expect("scores");
        let predictions = reference.predictions(s, &model).expect("predictions");
        for (i, row) in segment.origin.iter().enumerate() {
            worst = worst.max((integer_score(b, &bound, s, i) - scores[i]).abs());
            if let Some(at) = expected.test_rows.iter().position(|r| r == row) {
                let wanted = expected
                    .probabilities
                    .get(at)
                    .unwrap_or(&expected.predictions[at]);
                assert!(
                    (predictions[i] - wanted).abs() < 2e-5,
                    "row {row}: {} {wanted}",
                    predictions[i]
                );
            }
        }
    }
    worst
}

#[test]
fn rand_model_maps_to_integers() {
    let b = rand_table();
    let reference =
        FloatTable::read(Cursor::new(data("randhie.csv")), &rand_config()).expect("reads");
    let worst = compare(
        &b,
        &reference,
        "models/randhie_ols.json",
        "models/randhie_ols.expected.json",
        "mdvis",
    );
    // Half a step of each column, weighted: sum |w| max_error.
    assert!(worst < 0.005, "{worst}");
}

#[test]
fn breast_cancer_builds_and_scores() {
    let config = SchemaConfig::new("Breast cancer, diagnostic");
    let b = build(Cursor::new(data("breast_cancer.csv")), &config).expect("builds");
    conforms(&b);
    assert_eq!((b.columns.len(), b.report.rows), (31, 569));
    assert_eq!(b.segments[0].label, "all rows");
    assert!(b.report.dropped.is_empty(), "{:?}", b.report.dropped);
    for c in &b.columns {
        assert!(
            c.max_abs() > 512 && c.max_abs() <= 1024,
            "{} fills its 10 bits",
            c.name
        );
    }
    let reference =
        FloatTable::read(Cursor::new(data("breast_cancer.csv")), &config).expect("reads");
    let worst = compare(
        &b,
        &reference,
        "models/breast_cancer_logistic.json",
        "models/breast_cancer_logistic.expected.json",
        "target",
    );
    // Scores reach tens; ten bits keep them to a tenth.
    assert!(worst < 0.1, "{worst}");
    let mut fine = config;
    fine.bits = 16;
    let b = build(Cursor::new(data("breast_cancer.csv")), &fine).expect("builds");
    let worst = compare(
        &b,
        &reference,
        "models/breast_cancer_logistic.json",
        "models/breast_cancer_logistic.expected.json",
        "target",
    );
    assert!(worst < 0.0016, "{worst}");
}

#[test]
fn all_second_moments_of_rand() {
    let mut config = rand_config();
    config.second_moments = SecondMoments::All;
    let b = build(Cursor::new(data("randhie.csv")), &config).expect("builds");
    conforms(&b);
    // 9 columns, 45 moments; what DS-7 drops is named.
    assert_eq!(b.columns.len() + b.report.dropped.len(), 54);
    // hlthg, hlthf and hlthp exclude each other: no row has their products (DS-7).
    let empty = b.report.suppressed();
    assert!(empty.contains(&"hlthg*hlthf".to_owned()), "{empty:?}");
    let (x, y, xy) = (at(&b, "mdvis").0, at(&b, "lpi").0, at(&b, "mdvis*lpi").0);
    for s in &b.table.segments {
        assert!(
            (0..s[x].len()).all(|r| s[x][r] * s[y][r] == s[xy][r]),
            "products are exact"
        );
    }
}

#[test]
fn the_guides_sample_settings_build() {
    let guide = include_str!("../../../docs/guides/custodian.md");
    let sample = guide
        .split("```toml")
        .nth(1)
        .and_then(|s| s.split("```").next())
        .expect("sample");
    let config = SchemaConfig::from_toml(sample).expect("parses");
    let b = build(Cursor::new(data("randhie.csv")), &config).expect("builds");
    conforms(&b);
    let (_, mdvis) = at(&b, "mdvis");
    assert_eq!(
        (mdvis.scale_log2, mdvis.max, mdvis.unit.as_str()),
        (5, 3200, "visits")
    );
    assert_eq!(b.report.columns.last().expect("column").name, "mdvis^2");
}

/// The whole way in integers: budget, weights, simulation, against floats.
/// Returns the largest error of a segment's mean score.
fn mean_score_error(file: &str, model: &str, mut config: SchemaConfig, bits: u32) -> f64 {
    config.bits = bits;
    let b = build(Cursor::new(data(file)), &config).expect("builds");
    let reference = FloatTable::read(Cursor::new(data(file)), &config).expect("reads");
    let model = LinearModel::from_json(&data(model)).expect("model");
    let bound = model
        .bind(&b.columns, &b.public_columns, &[], Coverage::Any)
        .expect("binds");
    let mut m = manifest(&b);
    let rows = b.segments.iter().map(|s| s.rows).max().expect("segments");
    let range = |f: &dyn Fn(usize) -> bool| {
        let ranges = b.columns.iter().enumerate().filter(|(i, _)| f(*i));
        ranges.map(|(_, c)| c.max_abs()).max().expect("columns")
    };
    m.message_log2 = choose_message_log2(
        rows,
        rows.div_ceil(4096),
        b.columns.len(),
        range(&|i| bound.weights[i] != 0.0),
        range(&|_| true),
    )
    .expect("fits");
    let traced: Vec<MatrixRef> = (0..b.segments.len() as u32)
        .map(|segment| MatrixRef::Traced { segment })
        .collect();
    let w = quantise_weights(&m, &traced, &bound.weights, true).expect("fits");
    let mut worst = 0.0f64;
    for (s, segment) in b.segments.iter().enumerate() {
        let output = ProgramOutput {
            over: traced[s],
            vector: 0,
        };
        let x = simulate(&m, &b.table, &output, &w.weights).expect("belongs together")[0];
        let mean = x as f64 / f64::from(w.scale_log2).exp2() / segment.rows as f64;
        worst = worst.max((mean - reference.mean_score(s, &model).expect("scores")).abs());
    }
    worst
}

#[test]
fn private_models_fit_the_budget_at_the_default_bits() {
    // Values and weights share the budget. At 6, 8, 10, 12, 14 bits the errors are
    // RAND 5.8e-3, 2.1e-3, 2.1e-3, 4.8e-4, 9.2e-3 visits (mean 2.9);
    // cancer 8.0e-3, 3.2e-3, 8.8e-4, 9.0e-3, 4.4e-2 of a logit.
    let bits = SchemaConfig::default().bits;
    let model = "models/randhie_ols.json";
    let error = mean_score_error("randhie.csv", model, rand_config(), bits);
    assert!(error < 3e-3, "{error} visits");
    let model = "models/breast_cancer_logistic.json";
    let error = mean_score_error("breast_cancer.csv", model, SchemaConfig::new("c"), bits);
    assert!(error < 2e-3, "{error} of a logit");
}
