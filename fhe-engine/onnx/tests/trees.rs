//! Decision 30's tables for trees, against the trees themselves: on integers
//! they are exact, row by row.

mod common;

use common::Dataset;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use veilbourse_core::layered::simulate_layered;
use veilbourse_onnx::{
    Settings,
    model::{Body, Meaning, Model, ScoreNode, ScoreTree},
};

const COLUMNS: usize = 5;

fn dataset(rng: &mut ChaCha20Rng, bits: i32) -> Dataset {
    let names: Vec<String> = (0..COLUMNS).map(|i| format!("c{i}")).collect();
    let rows = (0..700)
        .map(|_| (0..COLUMNS).map(|_| rng.random_range(0.0..16.0)).collect())
        .collect();
    Dataset::new(&names, rows, bits)
}

/// A random tree; thresholds are on the grid of the integers and off it.
fn grow(rng: &mut ChaCha20Rng, depth: usize, nodes: &mut Vec<ScoreNode>) -> usize {
    let at = nodes.len();
    if depth == 0 || rng.random_range(0..8) == 0 {
        nodes.push(ScoreNode::Leaf(f64::from(rng.random_range(-8..=8))));
        return at;
    }
    nodes.push(ScoreNode::Leaf(0.0));
    let yes = grow(rng, depth - 1, nodes);
    let no = grow(rng, depth - 1, nodes);
    nodes[at] = ScoreNode::Branch {
        feature: rng.random_range(0..COLUMNS),
        threshold: f64::from(rng.random_range(-2..70)) / 4.0,
        strict: rng.random(),
        yes,
        no,
    };
    at
}

fn model(trees: Vec<ScoreTree>, constant: f64, meaning: Meaning) -> Model {
    Model {
        features: COLUMNS,
        body: Body::Trees { trees, constant },
        meaning,
    }
}

fn tree(rng: &mut ChaCha20Rng, depth: usize) -> ScoreTree {
    let mut nodes = Vec::new();
    grow(rng, depth, &mut nodes);
    ScoreTree { nodes }
}

/// Opened rows beside the score on the integers' own values.
fn compare(d: &Dataset, model: &Model, each: impl Fn(i64, f64)) -> Option<u64> {
    let target = d.target(&d.table.segments[0]);
    // A tree that the ranges decide alone is no program.
    let program = model.quantise(&target, &Settings::default()).ok()?;
    let opened = simulate_layered(&d.manifest, &d.table, &program, &[]).unwrap();
    for (i, x) in opened[0][0].iter().enumerate() {
        let row: Vec<f64> = d.table.segments[0]
            .iter()
            .zip(&d.manifest.columns)
            .map(|(c, m)| c[i] as f64 * (-f64::from(m.scale_log2)).exp2())
            .collect();
        each(*x, model.score(&row));
    }
    let analysis = program.analyse(&d.manifest, &Settings::default().noise);
    Some(analysis.unwrap().cost.row)
}

#[test]
fn one_tree_decides_exactly() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let labels = Meaning::Decision(["no".into(), "yes".into()]);
    let mut programs = 0;
    // Columns of 16 values go through the tables of narrow columns too.
    for bits in [4, 6, 9] {
        let d = dataset(&mut rng, bits);
        for depth in [1, 2, 3, 4, 6, 9] {
            for _ in 0..4 {
                let m = model(vec![tree(&mut rng, depth)], 0.5, labels.clone());
                let cost = compare(&d, &m, |x, score| assert_eq!(x, i64::from(score > 0.0)));
                programs += u32::from(cost.is_some());
            }
        }
    }
    assert!(programs > 50, "{programs}");
}

#[test]
fn sums_of_trees_are_exact_but_for_the_rounding_of_tables() {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let mut programs = 0;
    for bits in [3, 6, 9] {
        let d = dataset(&mut rng, bits);
        for count in [1, 3, 8] {
            let trees: Vec<ScoreTree> = (0..count).map(|_| tree(&mut rng, 3)).collect();
            let m = model(trees, -3.25, Meaning::Value);
            let target = d.target(&d.table.segments[0]);
            let Ok(program) = m.quantise(&target, &Settings::default()) else {
                continue;
            };
            let unit = (-f64::from(program.outputs[0].scale_log2)).exp2();
            let tables = program
                .layers
                .iter()
                .map(veilbourse_core::layered::Layer::cells)
                .max()
                .unwrap() as f64;
            compare(&d, &m, |x, score| {
                let error = (x as f64 * unit - score).abs();
                assert!(
                    error <= unit * (tables + 1.0) / 2.0,
                    "{x} x {unit} against {score}"
                );
            });
            programs += 1;
        }
    }
    assert!(programs >= 8, "{programs}");
}
