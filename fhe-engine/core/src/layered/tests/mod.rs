//! PRG-1..12: codec, inference, simulation, and refusals by variant.

mod phases;
mod refusals;

use super::*;
use crate::{
    budget::tests_manifest,
    manifest::Manifest,
    program::{WeightVector, Weights},
    table::QuantisedTable,
};

/// Two chunks: 4096 and 904 rows; columns within ±100 and ±50.
pub(super) fn manifest() -> Manifest {
    tests_manifest(&[5000], &[100, 50], 26)
}

pub(super) fn over() -> Vec<ChunkRef> {
    (0..2).map(|chunk| ChunkRef { segment: 0, chunk }).collect()
}

pub(super) fn vector(values: &[i64]) -> WeightVector {
    WeightVector {
        label: "score".into(),
        scale_log2: 0,
        weights: Weights::Public {
            values: values.to_vec(),
        },
    }
}

/// How many rows have 3 x - 2 y + 7 >= 0, and each row's answer.
pub(super) fn decision(m: &Manifest) -> LayeredProgram {
    let output = |label: &str, wire| LayeredOutput {
        label: label.into(),
        scale_log2: 0,
        wire,
    };
    LayeredProgram {
        version: LAYERED_VERSION,
        dataset: m.root(),
        over: over(),
        first: vec![vector(&[3, -2, 7])],
        tables: vec![Table::not_negative(1)],
        layers: vec![
            Layer::Linear {
                modulus_log2: 10,
                cells: vec![Accumulator {
                    terms: vec![(0, 1)],
                    constant: 0,
                    wraps: false,
                }],
            },
            Layer::Requantise {
                digit_log2: 5,
                cells: vec![1],
            },
            Layer::Lut {
                modulus_log2: 14,
                cells: vec![LutCell { input: 2, table: 0 }],
            },
            Layer::Sum { cells: vec![3] },
        ],
        outputs: vec![output("rows", 4), output("each", 3)],
    }
}

pub(super) fn table() -> QuantisedTable {
    let x = (0..5000).map(|i| (i * 37) % 201 - 100).collect();
    let y = (0..5000).map(|i| (i * 23) % 101 - 50).collect();
    QuantisedTable {
        segments: vec![vec![x, y]],
        origin: vec![(0..5000).collect()],
    }
}

#[test]
fn a_decision_counts_what_it_decides() {
    // PRG-4..6, PRG-11.
    let (m, t) = (manifest(), table());
    let p = decision(&m);
    p.analyse(&m, &NoiseModel::BASE11_L3).unwrap();
    let values = simulate_layered(&m, &t, &p, &[]).unwrap();
    let mut expected = vec![vec![], vec![]];
    for i in 0..5000 {
        let s = 3 * t.segments[0][0][i] - 2 * t.segments[0][1][i] + 7;
        expected[i / 4096].push(i64::from(s >= 0));
    }
    assert_eq!(values[1], expected);
    let counts: Vec<Vec<i64>> = expected.iter().map(|c| vec![c.iter().sum()]).collect();
    assert_eq!(values[0], counts);
    assert!(counts[0][0] > 1000 && counts[0][0] < 3000);
    // A table of another shape belongs to another manifest.
    let mut short = t.clone();
    short.segments[0].pop();
    assert_eq!(simulate_layered(&m, &short, &p, &[]), None);
}

#[test]
fn types_cost_and_budgets_are_inferred() {
    // PRG-7, PRG-8, PRG-9, PRG-10.
    let m = manifest();
    let a = decision(&m).analyse(&m, &NoiseModel::BASE11_L3).unwrap();
    let kinds: Vec<WireKind> = a.wires.iter().map(|w| w.kind).collect();
    use WireKind::{Accumulator as A, Digit, First, Sum, Table as T};
    assert_eq!(kinds, [First, A, Digit, T, Sum]);
    let range = |i: usize| (a.wires[i].min, a.wires[i].max);
    assert_eq!(range(0), (-393, 407));
    assert_eq!(range(1), (-393, 407));
    assert_eq!(range(2), (-393 >> 5, 407 >> 5));
    assert_eq!(range(3), (0, 1));
    assert_eq!(range(4), (0, 4096));
    assert_eq!(a.cost.layers, [0, 2, 1, 0]);
    assert_eq!((a.cost.row, a.cost.rows, a.cost.total), (3, 5000, 15000));
    assert_eq!(a.outputs[0].values, 2);
    assert_eq!(a.outputs[0].message_bound, 4096);
    assert_eq!(a.outputs[0].message_log2, 50);
    assert_eq!(a.outputs[1].values, 5000);
    // Variance of the first wire: 21.5 (9 + 4) words squared.
    assert_eq!(a.wires[0].noise.variance, 280);
    // A bootstrap's output, and 4096 of them.
    let one = NoiseModel::BASE11_L3.bootstrap;
    assert_eq!(a.wires[3].noise.variance, one);
    assert_eq!(a.wires[4].noise.variance, one * 4096);
}

#[test]
fn digits_are_fives_and_a_remainder() {
    // PRG-4, PRG-10.
    assert_eq!(digits(15, 5), [5, 5]);
    assert_eq!(digits(16, 5), [5, 5, 1]);
    assert_eq!(digits(18, 5), [5, 5, 3]);
    assert_eq!(digits(13, 4), [4, 4]);
    assert_eq!(digits(5, 5), [0u32; 0]);
    let costs: Vec<u64> = (5..=20).map(|p| requantise_bootstraps(p, 5) + 1).collect();
    assert_eq!(costs, [1, 2, 3, 3, 3, 3, 4, 5, 5, 5, 5, 6, 7, 7, 7, 7]);
}

#[test]
fn tables_are_negacyclic_in_half_units() {
    // PRG-5.
    let bit = Table::not_negative(8);
    assert_eq!(
        [0, 15, 16, 31, -1, 32].map(|m| bit.value(m)),
        [8, 8, 0, 0, 0, 8]
    );
    let t = Table::odd(std::array::from_fn(|i| i as i32 * 3 - 5));
    for m in 0..16i128 {
        assert_eq!(t.value(m), m * 3 - 5);
        assert_eq!(t.value(m + 16), 5 - m * 3);
        assert_eq!(t.value(m - 16), 5 - m * 3);
    }
}

#[test]
fn a_wrapping_accumulator_wraps_in_the_simulation() {
    // PRG-7: declared, the range becomes the whole modulus, and readings wrap.
    let (m, t) = (manifest(), table());
    let mut p = decision(&m);
    p.first[0] = vector(&[7, 5, 0]);
    assert!(matches!(
        p.analyse(&m, &NoiseModel::BASE11_L3),
        Err(LayeredError::Overflow {
            least: -950,
            greatest: 950,
            modulus_log2: 10,
            ..
        })
    ));
    let Layer::Linear { cells, .. } = &mut p.layers[0] else {
        unreachable!()
    };
    cells[0].wraps = true;
    let a = p.analyse(&m, &NoiseModel::BASE11_L3).unwrap();
    assert_eq!((a.wires[1].min, a.wires[1].max), (0, 1023));
    assert!(a.wires[1].wraps);
    assert_eq!(a.wires[1].lift, 950);
    let values = simulate_layered(&m, &t, &p, &[]).unwrap();
    let mut wrapped = 0;
    for i in 0..4096 {
        let s = 7 * t.segments[0][0][i] + 5 * t.segments[0][1][i];
        assert_eq!(values[1][0][i], i64::from(s.rem_euclid(1024) < 512));
        wrapped += i32::from(!(-512..512).contains(&s));
    }
    assert!(wrapped > 100);
}

#[test]
fn private_weights_are_named_and_not_hashed() {
    // PRG-12: the shape covers commitment and bounds; the simulation takes the
    // weights from beside it.
    let (m, t) = (manifest(), table());
    let public = decision(&m);
    let mut p = public.clone();
    p.first[0].weights = Weights::Private {
        commitment: Digest([9; 32]),
        l1_bound: 440,
        l2_bound: 13,
    };
    let a = p.analyse(&m, &NoiseModel::BASE11_L3).unwrap();
    assert_eq!((a.wires[0].min, a.wires[0].max), (-440, 440));
    assert_eq!(a.wires[0].noise.deterministic, 4096 * 9 + 1);
    let weights = vec![vec![3, -2, 7]];
    assert_eq!(
        simulate_layered(&m, &t, &p, &weights),
        simulate_layered(&m, &t, &public, &[])
    );
    assert_eq!(simulate_layered(&m, &t, &p, &[]), None);
    let private: Vec<bool> = p.parts().iter().map(|p| p.private).collect();
    assert_eq!(private, [true, false]);
    assert!(public.parts().iter().all(|p| !p.private));
    assert_ne!(p.shape(), public.shape());
}

#[test]
fn reach_bounds_the_square_root() {
    // PRG-8 in integers: never below the real value, at most a hair above.
    for variance in [0u128, 1, 280, 1 << 77, 1 << 108, 1 << 113] {
        let noise = Noise {
            variance,
            deterministic: 12_345,
        };
        let real = 13.4 * (variance as f64).sqrt() + 12_345.0;
        let reach = noise.reach(&NoiseModel::BASE11_L3) as f64;
        assert!(
            reach >= real * (1.0 - 1e-12),
            "{variance}: {reach} < {real}"
        );
        assert!(
            reach <= real * (1.0 + 1e-12) + 2.0,
            "{variance}: {reach} > {real}"
        );
    }
    let beyond = Noise {
        variance: 1 << 114,
        deterministic: 0,
    };
    assert_eq!(beyond.reach(&NoiseModel::BASE11_L3), u128::MAX);
    // Half a box of a 4-bit table against a bare reading: 13.5 deviations.
    let reading = Noise {
        variance: NoiseModel::BASE11_L3.reading,
        deterministic: 0,
    };
    let half_box = (1u64 << 58) as f64;
    let deviations = 13.4 * half_box / reading.reach(&NoiseModel::BASE11_L3) as f64;
    assert!((deviations - 13.5).abs() < 0.001, "{deviations}");
}
