//! OPN-5: what fits a class, at its boundary.

use super::{super::*, class, digest, noisy};
use veilbourse_core::{
    manifest::{
        Column, ColumnKind, CommitmentParamsId, DataParamsId, MANIFEST_VERSION, PublicColumn,
        Segment,
    },
    program::{PROGRAM_VERSION, ProgramOutput, WeightVector},
};

/// Columns a in -100..=100 and b in 0..=50, a public column, two segments.
fn manifest() -> Manifest {
    let column = |name: &str, min, max| Column {
        name: name.into(),
        kind: ColumnKind::Numeric,
        unit: String::new(),
        scale_log2: 0,
        min,
        max,
    };
    let segment = |label: &str| Segment {
        label: label.into(),
        rows: 30,
        chunks: vec![digest(1)],
        sum: digest(2),
        traced: digest(3),
        traced_bodies: vec![1, 2],
    };
    let m = Manifest {
        version: MANIFEST_VERSION,
        name: "tickets".into(),
        params: DataParamsId::Data4096Tu3V1,
        commitment: CommitmentParamsId::FriBlake3V1,
        message_log2: 26,
        columns: vec![column("a", -100, 100), column("b", 0, 50)],
        public_columns: vec![PublicColumn {
            name: "1".into(),
            scale_log2: 0,
            values: vec![1, 1],
        }],
        segments: vec![segment("one"), segment("two")],
        public_key_label: digest(1),
        public_key_body: digest(2),
        nonce: digest(3),
    };
    m.validate().unwrap();
    m
}

fn over(segment: u32, vector: u32) -> ProgramOutput {
    ProgramOutput {
        over: MatrixRef::Traced { segment },
        vector,
    }
}

fn rows(segment: u32, vector: u32) -> ProgramOutput {
    let over = MatrixRef::Chunk { segment, chunk: 0 };
    ProgramOutput { over, vector }
}

/// A row moves vector 0's value by 3 * 200 + 1 * 50, vector 1's by twice its bound.
fn program(outputs: &[ProgramOutput]) -> Program {
    let vector = |weights| WeightVector {
        label: "w".into(),
        scale_log2: 0,
        weights,
    };
    Program {
        version: PROGRAM_VERSION,
        dataset: manifest().root(),
        vectors: vec![
            vector(Weights::Public {
                values: vec![3, -1, 1_000_000],
            }),
            vector(Weights::Private {
                commitment: digest(9),
                l1_bound: 325,
                l2_bound: 4,
            }),
            vector(Weights::Public {
                values: vec![0, 0, 7],
            }),
        ],
        outputs: outputs.to_vec(),
    }
}

fn of(sensitivity: u64) -> TicketClass {
    class("c", sensitivity, Mechanism::None, true)
        .class()
        .unwrap()
}

#[test]
fn no_row_moves_an_output_by_more_than_its_class_admits() {
    // OPN-5, PRV-5, PRV-6: public weights, private ones, sums and rows.
    for vector in [0, 1] {
        for output in [
            over(0, vector),
            over(1, vector),
            rows(0, vector),
            rows(1, vector),
        ] {
            let p = program(&[over(0, 2), output]);
            fits_class(&manifest(), &p, 2, &of(650)).unwrap();
            fits_class(&manifest(), &p, 2, &of(1 << 62)).unwrap();
            for limit in [649, 0] {
                assert_eq!(
                    fits_class(&manifest(), &p, 2, &of(limit)),
                    Err(DemandError::Sensitivity {
                        index: 1,
                        found: 650,
                        limit
                    }),
                    "{output:?}"
                );
            }
        }
    }
    // A public column is known to everybody: no row moves it.
    fits_class(&manifest(), &program(&[over(1, 2)]), 1, &of(0)).unwrap();
    // The law of the noise has no part in it.
    let noisy = noisy().class().unwrap();
    let e = fits_class(&manifest(), &program(&[over(0, 0)]), 1, &noisy);
    assert!(matches!(e, Err(DemandError::Sensitivity { limit: 8, .. })));
}

#[test]
fn scaled_weights_and_packed_values_move_an_output_by_as_much_more() {
    // OPN-5, PRV-5: a class whose noise is made for one column at weight 1. Weights
    // scaled up would make the noise small beside the value; two columns packed as
    // digits of a large base would be two values for one ticket's noise.
    let class = of(200);
    let found = |weights: [i64; 3], scale_log2: i32| {
        let mut p = program(&[over(0, 0)]);
        p.vectors[0].weights = Weights::Public {
            values: weights.to_vec(),
        };
        p.vectors[0].scale_log2 = scale_log2;
        match fits_class(&manifest(), &p, 1, &class) {
            Ok(()) => None,
            Err(DemandError::Sensitivity { found, .. }) => Some(found),
            Err(e) => panic!("{e}"),
        }
    };
    assert_eq!(found([1, 0, 0], 0), None);
    assert_eq!(found([-1, 0, 1 << 40], 0), None, "a public column");
    assert_eq!(found([0, 4, 0], 0), None, "50 four times");
    // What the values are called does not count.
    assert_eq!(found([1, 0, 0], 40), None);
    assert_eq!(found([2, 0, 0], 40), Some(400));
    for up in [1, 5, 20, 40] {
        assert_eq!(found([1 << up, 0, 0], 0), Some(200 << up));
        assert_eq!(found([-(1 << up), 0, 0], 0), Some(200 << up));
        assert_eq!(found([1, 1 << up, 0], 0), Some(200 + (50 << up)), "packed");
        // Private ones by their proven bound.
        let mut p = program(&[over(0, 1)]);
        p.vectors[1].weights = Weights::Private {
            commitment: digest(9),
            l1_bound: 100 << up,
            l2_bound: 4,
        };
        assert_eq!(
            fits_class(&manifest(), &p, 1, &class),
            Err(DemandError::Sensitivity {
                index: 0,
                found: 200 << up,
                limit: 200
            })
        );
    }
}

#[test]
fn a_class_is_for_the_datasets_k_and_a_session_s_values() {
    // OPN-5.
    let p = program(&[over(0, 0)]);
    let mut m = manifest();
    for k in [25, 27] {
        m.message_log2 = k;
        let (expected, found) = (k, 26);
        let e = Err(DemandError::ClassK { expected, found });
        assert_eq!(fits_class(&m, &p, 1, &of(650)), e);
    }
    let limit = MAX_BATCH as u64;
    fits_class(&manifest(), &p, limit, &of(650)).unwrap();
    assert_eq!(
        fits_class(&manifest(), &p, limit + 1, &of(650)),
        Err(DemandError::TooMuch {
            what: "values opened by a committee",
            limit,
            value: limit + 1
        })
    );
}

#[test]
fn an_output_whose_sensitivity_cannot_be_said_fits_nothing() {
    // OPN-5: refused, and not taken for 0.
    let any = of(1 << 62);
    let fits = |m: &Manifest, p: &Program| fits_class(m, p, 1, &any);
    let vector = Err(DemandError::Vector { index: 1 });
    let ok = over(0, 2);
    assert_eq!(fits(&manifest(), &program(&[ok, over(0, 3)])), vector);
    // A segment that the public columns do not know.
    assert_eq!(fits(&manifest(), &program(&[ok, over(2, 0)])), vector);
    // Weights for more or fewer columns than there are.
    for values in [vec![3, -1], vec![3, -1, 1, 1], vec![]] {
        let mut p = program(&[ok, over(0, 0)]);
        p.vectors[0].weights = Weights::Public { values };
        assert_eq!(fits(&manifest(), &p), vector);
    }
    let privacy = |m: &Manifest, p: &Program| match fits(m, p) {
        Err(DemandError::Privacy { index: 1, cause }) => cause,
        other => panic!("{other:?}"),
    };
    // At the bound, and one beyond.
    let private = |l1_bound| {
        let mut p = program(&[ok, over(0, 1)]);
        p.vectors[1].weights = Weights::Private {
            commitment: digest(9),
            l1_bound,
            l2_bound: 4,
        };
        p
    };
    fits(&manifest(), &private(1 << 61)).unwrap();
    for bound in [(1 << 61) + 1, u64::MAX] {
        let cause = privacy(&manifest(), &private(bound));
        assert!(matches!(cause, PrivacyError::Sensitivity { .. }), "{cause}");
    }
    let mut p = program(&[ok, over(0, 0)]);
    p.vectors[0].weights = Weights::Public {
        values: vec![i64::MAX, i64::MIN, 0],
    };
    let cause = privacy(&manifest(), &p);
    assert!(matches!(cause, PrivacyError::Sensitivity { .. }), "{cause}");
    let mut m = manifest();
    m.columns[1].min = 51;
    let cause = privacy(&m, &program(&[rows(0, 1), over(0, 0)]));
    assert!(matches!(cause, PrivacyError::EmptyRange { column: 1, .. }));
}
