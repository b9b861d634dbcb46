//! BUD-1..6 at their edges.

use super::*;
use crate::{
    digest::Digest,
    manifest::{
        Column, ColumnKind, CommitmentParamsId, DataParamsId, MANIFEST_VERSION, PublicColumn,
        Segment,
    },
    program::{PROGRAM_VERSION, ProgramOutput},
};
use proptest::prelude::*;

pub(crate) fn manifest(rows: &[u64], ranges: &[i64], k: u32) -> Manifest {
    let segments = rows
        .iter()
        .enumerate()
        .map(|(i, rows)| Segment {
            label: format!("s{i}"),
            rows: *rows,
            chunks: vec![Digest([1; 32]); rows.div_ceil(N as u64) as usize],
            sum: Digest([2; 32]),
            traced: Digest([3; 32]),
            traced_bodies: vec![0; ranges.len()],
        })
        .collect::<Vec<_>>();
    Manifest {
        version: MANIFEST_VERSION,
        name: "t".into(),
        params: DataParamsId::Data4096Tu3V1,
        commitment: CommitmentParamsId::FriBlake3V1,
        message_log2: k,
        columns: ranges
            .iter()
            .enumerate()
            .map(|(i, r)| Column {
                name: format!("c{i}"),
                kind: ColumnKind::Numeric,
                unit: String::new(),
                scale_log2: 0,
                min: -*r,
                max: *r,
            })
            .collect(),
        public_columns: vec![PublicColumn {
            name: "1".into(),
            scale_log2: 0,
            values: vec![1; rows.len()],
        }],
        segments,
        public_key_label: Digest([4; 32]),
        public_key_body: Digest([5; 32]),
        nonce: Digest([6; 32]),
    }
}

fn program(m: &Manifest, weights: Weights, over: MatrixRef) -> Program {
    Program {
        version: PROGRAM_VERSION,
        dataset: m.root(),
        vectors: vec![WeightVector {
            label: "t".into(),
            scale_log2: 0,
            weights,
        }],
        outputs: vec![ProgramOutput { over, vector: 0 }],
    }
}

#[test]
fn message_and_noise_limits_are_sharp() {
    // BUD-2: |x| = 2^(62-k) fits, one more does not.
    let norms = |l1| Norms {
        l1,
        l2_squared: 1,
        rerandomised: false,
    };
    assert!(output_budget(0, 30, 1, 1, 1, norms(1 << 32)).is_ok());
    assert!(matches!(
        output_budget(0, 30, 1, 1, 1, norms((1 << 32) + 1)),
        Err(BudgetError::Message { limit_log2: 32, .. })
    ));
    // BUD-3: ceil(13.4 * sqrt(21.5)) = 63 < 2^6.
    assert_eq!(noise(1, norms(1)), 63);
    assert!(output_budget(0, 7, 1, 1, 1, norms(1)).is_ok());
    assert!(matches!(
        output_budget(0, 6, 1, 1, 1, norms(1)),
        Err(BudgetError::Noise {
            bound: 63,
            limit_log2: 5,
            ..
        })
    ));
    // BUD-4: private weights add N 2^3 + N + 1.
    let private = Norms {
        rerandomised: true,
        ..norms(1)
    };
    assert_eq!(noise(1, private), 63 + 4096 * 8 + 4096 + 1);
}

#[test]
fn a_program_is_checked_as_a_whole() {
    let m = manifest(&[5000], &[1000, 1000], 24);
    let traced = MatrixRef::Traced { segment: 0 };
    let ok = program(
        &m,
        Weights::Public {
            values: vec![3, -4, 7],
        },
        traced,
    );
    let b = check_program(&m, &ok).unwrap();
    // BUD-1: the same numbers for everyone.
    assert_eq!(b[0].message_bound, 5000 * (3 * 1000 + 4 * 1000 + 7));
    assert_eq!(b[0].noise_bound, noise(8192, norms(&m, &ok.vectors[0], 0)));
    assert_eq!(b[0].revealed_bits(), 27);
    // LES-1: wrong length, too large, all zero, no such segment, twice.
    let bad = [
        program(&m, Weights::Public { values: vec![1, 2] }, traced),
        program(
            &m,
            Weights::Public {
                values: vec![1 << 24, 0, 0],
            },
            traced,
        ),
        program(
            &m,
            Weights::Public {
                values: vec![1, 0, 1 << 40],
            },
            traced,
        ),
        program(
            &m,
            Weights::Public {
                values: vec![0, 0, 5],
            },
            traced,
        ),
        program(
            &m,
            Weights::Public {
                values: vec![1, 0, 0],
            },
            MatrixRef::Traced { segment: 1 },
        ),
        program(
            &m,
            Weights::Public {
                values: vec![1, 0, 0],
            },
            MatrixRef::Chunk {
                segment: 0,
                chunk: 2,
            },
        ),
    ];
    for p in bad {
        assert!(
            matches!(check_program(&m, &p), Err(BudgetError::Program(_))),
            "{p:?}"
        );
    }
    let mut twice = ok.clone();
    twice.outputs.push(twice.outputs[0]);
    assert!(matches!(
        check_program(&m, &twice),
        Err(BudgetError::Program(_))
    ));
    let mut other = ok;
    other.dataset = Digest([9; 32]);
    assert!(matches!(
        check_program(&m, &other),
        Err(BudgetError::Program(_))
    ));
    // k too small for the proven bounds (the attack that reveals noise).
    let small = manifest(&[5000], &[1000, 1000], 12);
    let p = program(
        &small,
        Weights::Public {
            values: vec![1000, 0, 0],
        },
        traced,
    );
    assert!(matches!(
        check_program(&small, &p),
        Err(BudgetError::Noise { .. })
    ));
}

#[test]
fn weights_are_as_fine_as_fits() {
    // BUD-6
    let m = manifest(&[14_000, 6_000], &[1024; 9], 29);
    let matrices = [
        MatrixRef::Traced { segment: 0 },
        MatrixRef::Traced { segment: 1 },
    ];
    let real = [-0.17, -0.7, 0.1, -0.1, 1.1, 0.12, -0.06, 0.18, 1.33, 1.7];
    let real: Vec<f64> = real
        .iter()
        .enumerate()
        .map(|(i, w)| if i < 9 { w / 1024.0 } else { *w })
        .collect();
    let q = quantise_weights(&m, &matrices, &real, true).unwrap();
    assert!(q.max_error < 0.05, "{q:?}");
    let finer: Vec<i64> = real
        .iter()
        .map(|w| (w * f64::from(q.scale_log2 + 1).exp2()).round() as i64)
        .collect();
    assert!(fits(&m, &matrices, &finer, true).is_err());
    // Not even one bit fits.
    let wide = manifest(&[4_000_000], &[1 << 32; 2], 8);
    let e = quantise_weights(
        &wide,
        &[MatrixRef::Traced { segment: 0 }],
        &[1.0, 1.0, 0.0],
        true,
    );
    assert!(e.is_err());
}

proptest! {
    #[test]
    fn classes_round_up_by_at_most_an_eighth(v in 1u128..1 << 90) {
        let c = class(v);
        prop_assert!(c >= v && c <= v + v / 8 + 1);
        prop_assert_eq!(class(c), c);
    }

    #[test]
    fn chosen_k_holds_every_column(rows in 1u64..2_000_000, columns in 1usize..200,
                                   bits in 1u32..12, square in prop::bool::ANY) {
        let range = 1u64 << bits;
        let largest = if square { range * range } else { range };
        let chunks = rows.div_ceil(N as u64);
        if let Ok(k) = choose_message_log2(rows, chunks, columns, range, largest) {
            let norms = Norms { l1: u128::from(largest), l2_squared: 1, rerandomised: true };
            prop_assert!(output_budget(0, k, rows, chunks * N as u64, 1, norms).is_ok());
        }
    }
}

#[test]
fn tuniform_is_a_sum_of_signs() {
    // BUD-3's proof: TUniform(b) = (e' + sum_i 2^i e_i) / 2 with independent
    // signs; the enumeration gives exactly its law and its variance.
    let b = DATA_NOISE_TUNIFORM;
    let signs = b + 2;
    let mut count = std::collections::BTreeMap::new();
    for pattern in 0u32..1 << signs {
        let sign = |i: u32| if pattern >> i & 1 == 1 { 1i64 } else { -1 };
        let doubled = sign(0) + (0..=b).map(|i| sign(i + 1) << i).sum::<i64>();
        assert_eq!(doubled % 2, 0);
        *count.entry(doubled / 2).or_insert(0u32) += 1;
    }
    let edge = 1i64 << b;
    assert_eq!(count.len() as i64, 2 * edge + 1);
    for (v, n) in &count {
        assert_eq!(*n, if v.abs() == edge { 1 } else { 2 }, "value {v}");
    }
    let squares: i64 = count.iter().map(|(v, n)| v * v * i64::from(*n)).sum();
    assert_eq!(6 * squares as u128, tuniform_variance_sixths(b) << signs);
}
