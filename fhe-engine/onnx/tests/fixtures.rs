//! Seeded scikit-learn pipelines (fixtures/generate.py): float evaluation
//! against ONNX Runtime's answers, and programs against the float model.

mod common;

use common::{Dataset, csv, fixture, graph, json};
use veilbourse_core::layered::simulate_layered;
use veilbourse_onnx::{
    Graph, OnnxError, Reveal, Settings,
    evaluate::Value,
    model::{Body, Meaning},
    report::accuracy,
};

const DECISIONS: [&str; 13] = [
    "logistic",
    "logistic_minmax_words",
    "linear_svm",
    "svc_linear",
    "tree",
    "tree_scaled",
    "forest",
    "boosting",
    "boosting_stumps",
    "mlp_relu",
    "mlp_tanh_two",
    "torch_mlp",
    "tf_mlp",
];
const VALUES: [&str; 6] = [
    "linear",
    "svr_linear",
    "tree_regressor",
    "forest_regressor",
    "boosting_regressor",
    "mlp_regressor",
];

fn rows() -> Vec<Vec<f32>> {
    serde_json::from_value(json(fixture("rows.json"))).unwrap()
}

fn read(name: &str) -> Graph {
    graph(fixture(&format!("{name}.onnx")))
}

/// The eight columns of the fixtures over the whole table, and who is benign.
fn table() -> (Vec<String>, Vec<Vec<f64>>, Vec<f64>) {
    let (names, rows) = csv("breast_cancer.csv");
    let at = [0, 1, 7, 20, 21, 24, 27, 28];
    (
        at.iter().map(|i| names[*i].clone()).collect(),
        rows.iter()
            .map(|r| at.iter().map(|i| r[*i]).collect())
            .collect(),
        rows.iter().map(|r| r[30]).collect(),
    )
}

#[test]
fn float_evaluation_equals_onnx_runtime() {
    // PRG-14, for everything that is read, also what no program is made of.
    let mut compared = 0;
    for name in
        DECISIONS
            .iter()
            .chain(&VALUES)
            .chain(&["steps", "three_classes", "three_class_tree"])
    {
        let g = read(name);
        let expected = json(fixture(&format!("{name}.json")));
        for (i, row) in rows().iter().enumerate() {
            let out = g.evaluate(row).unwrap();
            for (output, value) in g.outputs.iter().zip(&out) {
                let want = &expected[output][i];
                match value {
                    Value::Texts(t) => {
                        let want = want[0]
                            .as_str()
                            .map_or_else(|| want[0].to_string(), str::to_owned);
                        assert_eq!(t[0], want, "{name}, row {i}");
                        compared += 1;
                    }
                    // Scores of classifiers of one score are spelt as two;
                    // maps are not kept.
                    Value::Numbers(n) if want.as_array().is_some_and(|w| w.len() == n.len()) => {
                        for (a, b) in n.iter().zip(want.as_array().unwrap()) {
                            let b = b.as_f64().unwrap();
                            assert!(
                                (a - b).abs() < 2e-4 * (1.0 + b.abs()),
                                "{name}, row {i}: {n:?} {want}"
                            );
                            compared += 1;
                        }
                    }
                    Value::Numbers(_) => {}
                }
            }
        }
    }
    assert!(compared > 2_000, "{compared}");
}

#[test]
fn the_score_decides_as_the_graph_does() {
    // PRG-14: folding scalers and endings changes nothing.
    for name in DECISIONS {
        let g = read(name);
        let model = g.model().unwrap();
        let Meaning::Decision(labels) = &model.meaning else {
            panic!("{name} is a decision")
        };
        for row in rows() {
            let wide: Vec<f64> = row.iter().map(|v| f64::from(*v)).collect();
            let said = &labels[usize::from(model.decide(&wide))];
            match &g.evaluate(&row).unwrap()[0] {
                Value::Texts(t) => assert_eq!(&t[0], said, "{name}"),
                // A label of numbers, or probabilities.
                Value::Numbers(n) if n.len() == 2 => assert_eq!(n[1] > n[0], said == "1", "{name}"),
                Value::Numbers(n) if n[0] == 0.0 || n[0] == 1.0 => {
                    assert_eq!(format!("{}", n[0]), *said, "{name}")
                }
                Value::Numbers(n) => assert_eq!(n[0] > 0.5, said == "1", "{name}"),
            }
        }
    }
    for name in VALUES {
        let g = read(name);
        let model = g.model().unwrap();
        assert_eq!(model.meaning, Meaning::Value, "{name}");
        for row in rows() {
            let wide: Vec<f64> = row.iter().map(|v| f64::from(*v)).collect();
            let Value::Numbers(n) = &g.evaluate(&row).unwrap()[0] else {
                panic!("{name} gives numbers")
            };
            assert!((model.score(&wide) - n[0]).abs() < 1e-4, "{name}");
        }
    }
}

#[test]
fn programs_decide_like_the_float_models() {
    // PRG-14; the fixtures are small models of eight columns, over all rows.
    let (names, rows, truth) = table();
    let d = Dataset::new(&names, rows, 9);
    let target = d.target(&d.table.segments[0]);
    let chosen: Vec<(usize, &[f64], f64)> = (0..d.rows.len())
        .map(|i| (i, d.rows[i].as_slice(), truth[i]))
        .collect();
    for name in DECISIONS {
        let model = read(name).model().unwrap();
        let settings = Settings {
            linear_log2: 17,
            ..Settings::default()
        };
        let program = model.quantise(&target, &settings).unwrap();
        let cost = program.analyse(&d.manifest, &settings.noise).unwrap().cost;
        let a = accuracy(&model, &program, &target, &d.table, &chosen).unwrap();
        println!("{name}: {a:?}, {} bootstraps a row", cost.row);
        let flips = if name == "logistic_minmax_words" {
            1.0 - a.float
        } else {
            a.float
        };
        assert!(flips > 0.9, "{name}: {a:?}");
        assert!(a.agreement >= 0.97, "{name}: {a:?}");
        assert!((a.float - a.simulated).abs() <= 0.015, "{name}: {a:?}");
    }
}

#[test]
fn programs_value_like_the_float_models() {
    // PRG-14: values of trees and networks, each row's.
    let (names, rows, truth) = table();
    let d = Dataset::new(&names, rows, 9);
    let target = d.target(&d.table.segments[0]);
    let chosen: Vec<(usize, &[f64], f64)> = (0..d.rows.len())
        .map(|i| {
            let x = &d.rows[i];
            let z = x[0] * 0.1 + x[2] * 3.0 + 1.0 - truth[i];
            (i, x.as_slice(), z)
        })
        .collect();
    for name in &VALUES[2..] {
        let model = read(name).model().unwrap();
        let settings = Settings::default();
        let program = model.quantise(&target, &settings).unwrap();
        let cost = program.analyse(&d.manifest, &settings.noise).unwrap().cost;
        let a = accuracy(&model, &program, &target, &d.table, &chosen).unwrap();
        println!("{name}: {a:?}, {} bootstraps a row", cost.row);
        assert!(a.agreement < 0.06, "{name}: {a:?}");
        assert!((a.float - a.simulated).abs() < 0.05, "{name}: {a:?}");
    }
    for name in &VALUES[..2] {
        let model = read(name).model().unwrap();
        let refused = model.quantise(&target, &Settings::default());
        assert_eq!(refused.unwrap_err(), OnnxError::Linear, "{name}");
    }
    // The sum of a chunk's values leaves too few bits to each.
    let sums = Settings {
        reveal: Reveal::Sums,
        ..Settings::default()
    };
    let model = read("tree_regressor").model().unwrap();
    assert!(matches!(
        model.quantise(&target, &sums),
        Err(OnnxError::Precision { .. })
    ));
}

#[test]
fn counts_are_the_sums_of_decisions() {
    let (names, rows, _) = table();
    let d = Dataset::new(&names, rows, 9);
    let target = d.target(&d.table.segments[0]);
    let model = read("forest").model().unwrap();
    let each = model.quantise(&target, &Settings::default()).unwrap();
    let sums = Settings {
        reveal: Reveal::Sums,
        ..Settings::default()
    };
    let sums = model.quantise(&target, &sums).unwrap();
    let each = simulate_layered(&d.manifest, &d.table, &each, &[]).unwrap();
    let sums = simulate_layered(&d.manifest, &d.table, &sums, &[]).unwrap();
    assert_eq!(sums[0][0], [each[0][0].iter().sum::<i64>()]);
    assert!(sums[0][0][0] > 300);
}

#[test]
fn stumps_over_bins_are_one_table_a_column() {
    // Decision 30: trees over one column of at most 16 values add up.
    let (names, rows, truth) = table();
    let d = Dataset::bins(&names, rows);
    let target = d.target(&d.table.segments[0]);
    // Sixty stumps on four columns of bins, as one ensemble.
    let trees = (0..60)
        .map(|i| veilbourse_onnx::model::ScoreTree {
            nodes: vec![
                veilbourse_onnx::model::ScoreNode::Branch {
                    feature: [0, 3, 6, 7][i % 4],
                    threshold: (i * 7 % 15) as f64 + 0.5,
                    strict: i % 2 == 0,
                    yes: 1,
                    no: 2,
                },
                veilbourse_onnx::model::ScoreNode::Leaf(0.3),
                veilbourse_onnx::model::ScoreNode::Leaf(-0.25),
            ],
        })
        .collect();
    let model = veilbourse_onnx::model::Model {
        features: 8,
        body: Body::Trees {
            trees,
            constant: -0.01,
        },
        meaning: Meaning::Decision(["0".into(), "1".into()]),
    };
    let program = model.quantise(&target, &Settings::default()).unwrap();
    let cost = program
        .analyse(&d.manifest, &Settings::default().noise)
        .unwrap()
        .cost;
    assert_eq!(cost.row, 4 + 3);
    let chosen: Vec<(usize, &[f64], f64)> = (0..d.rows.len())
        .map(|i| (i, d.rows[i].as_slice(), truth[i]))
        .collect();
    let a = accuracy(&model, &program, &target, &d.table, &chosen).unwrap();
    assert!(a.float > 0.85 && a.agreement > 0.99, "{a:?}");
}

#[test]
fn what_no_program_is_made_of_is_refused_by_place() {
    // PRG-13, PRG-14.
    for name in ["three_classes", "three_class_tree"] {
        let g = read(name);
        let e = g.model().unwrap_err();
        assert!(
            matches!(&e, OnnxError::NoScore { reason, .. } if reason.contains("more than two")),
            "{name}: {e}"
        );
    }
    let e = Graph::read(&std::fs::read(fixture("normalized.onnx")).unwrap()).unwrap_err();
    let OnnxError::Operator { place, reason } = &e else {
        panic!("{e}")
    };
    assert_eq!(place.operator, "ai.onnx.ml.Normalizer");
    assert!(!place.node.is_empty() && reason.contains("norm"), "{e}");
    // Steps are a network like others.
    let model = read("steps").model().unwrap();
    assert!(matches!(model.body, Body::Network { .. }));
}
