//! What a program opens, and what a policy allows of it (DOC-3, ORD-4, KEY-2).

mod support;

use support::*;
use veilbourse_core::{
    manifest::{
        Column, ColumnKind, CommitmentParamsId, DataParamsId, MANIFEST_VERSION, Manifest,
        PublicColumn, Segment,
    },
    program::{MatrixRef, PROGRAM_VERSION, Program, ProgramOutput, WeightVector, Weights},
};
use veilbourse_documents::*;

/// Two segments of 5000 (two chunks) and 30 rows, two encrypted columns.
fn manifest() -> Manifest {
    let segment = |label: &str, rows: u64, seed: u8| Segment {
        label: label.into(),
        rows,
        chunks: (0..rows.div_ceil(4096))
            .map(|c| digest(seed + c as u8))
            .collect(),
        sum: digest(seed + 10),
        traced: digest(seed + 11),
        traced_bodies: vec![1, 2],
    };
    let m = Manifest {
        version: MANIFEST_VERSION,
        name: "demand".into(),
        params: DataParamsId::Data4096Tu3V1,
        commitment: CommitmentParamsId::FriBlake3V1,
        message_log2: 30,
        columns: ["a", "b"]
            .map(|name| Column {
                name: name.into(),
                kind: ColumnKind::Numeric,
                unit: String::new(),
                scale_log2: 0,
                min: -100,
                max: 100,
            })
            .to_vec(),
        public_columns: vec![PublicColumn {
            name: "1".into(),
            scale_log2: 0,
            values: vec![1, 1],
        }],
        segments: vec![segment("large", 5000, 40), segment("small", 30, 80)],
        public_key_label: digest(1),
        public_key_body: digest(2),
        nonce: digest(3),
    };
    m.validate().unwrap();
    m
}

fn traced(segment: u32, vector: u32) -> ProgramOutput {
    ProgramOutput {
        over: MatrixRef::Traced { segment },
        vector,
    }
}

fn chunk(segment: u32, chunk: u32, vector: u32) -> ProgramOutput {
    ProgramOutput {
        over: MatrixRef::Chunk { segment, chunk },
        vector,
    }
}

/// Vector 0 is public, vector 1 private.
fn program(m: &Manifest, outputs: &[ProgramOutput]) -> Program {
    let vector = |weights| WeightVector {
        label: "w".into(),
        scale_log2: 0,
        weights,
    };
    Program {
        version: PROGRAM_VERSION,
        dataset: m.root(),
        vectors: vec![
            vector(Weights::Public {
                values: vec![1, -1, 3],
            }),
            vector(Weights::Private {
                commitment: digest(9),
                l1_bound: 256,
                l2_bound: 4,
            }),
        ],
        outputs: outputs.to_vec(),
    }
}

#[test]
fn values_and_bits_are_counted_output_by_output() {
    // KEY-2: 63 - k bits a value, at k = 30.
    let m = manifest();
    for (outputs, values) in [
        (vec![traced(0, 0)], 1),
        (vec![traced(0, 0), traced(1, 1)], 2),
        (vec![chunk(0, 0, 0)], 4096),
        (vec![chunk(0, 1, 1)], 904),
        (vec![chunk(1, 0, 0), traced(1, 0)], 31),
    ] {
        let d = demand(&m, &program(&m, &outputs), QueryKind::ALL, 2).unwrap();
        assert_eq!((d.values, d.bits), (values, values * 33), "{outputs:?}");
    }
}

#[test]
fn each_kind_must_be_allowed() {
    // DOC-3, ORD-4.
    let m = manifest();
    let kinds = [
        (traced(0, 0), QueryKind::AggregatePublic),
        (traced(0, 1), QueryKind::AggregatePrivate),
        (chunk(0, 0, 0), QueryKind::RowsPublic),
        (chunk(0, 0, 1), QueryKind::RowsPrivate),
    ];
    for (output, kind) in kinds {
        let p = program(&m, &[output]);
        assert_eq!(demand(&m, &p, &[kind], 2).unwrap().kinds, [kind]);
        let others: Vec<QueryKind> = QueryKind::ALL
            .iter()
            .copied()
            .filter(|k| *k != kind)
            .collect();
        for allowed in [&others[..], &[]] {
            assert_eq!(
                demand(&m, &p, allowed, 2),
                Err(DemandError::KindDenied { kind })
            );
        }
    }
    let all = kinds.map(|(o, _)| o);
    let d = demand(&m, &program(&m, &all), QueryKind::ALL, 2).unwrap();
    assert_eq!(d.kinds, kinds.map(|(_, k)| k));
}

#[test]
fn the_cohort_is_of_every_touched_segment() {
    // ORD-4.
    let m = manifest();
    let both = program(&m, &[traced(0, 0), traced(1, 0)]);
    demand(&m, &both, QueryKind::ALL, 30).unwrap();
    assert_eq!(
        demand(&m, &both, QueryKind::ALL, 31),
        Err(DemandError::Cohort {
            segment: 1,
            rows: 30,
            minimum: 31
        })
    );
    demand(&m, &program(&m, &[traced(0, 0)]), QueryKind::ALL, 31).unwrap();
}

#[test]
fn what_does_not_conform_is_refused_by_its_own_variant() {
    // ORD-4, LES-1, BUD-2.
    let m = manifest();
    let all = |p: &Program| demand(&m, p, QueryKind::ALL, 2);
    let mut elsewhere = program(&m, &[traced(0, 0)]);
    elsewhere.dataset = digest(0xee);
    assert_eq!(all(&elsewhere), Err(DemandError::Dataset));
    let twice = program(&m, &[traced(0, 0), traced(1, 0), traced(0, 0)]);
    assert_eq!(all(&twice), Err(DemandError::DuplicateOutput { index: 2 }));
    let vector = program(&m, &[traced(0, 0), traced(0, 2)]);
    assert_eq!(all(&vector), Err(DemandError::Vector { index: 1 }));
    // A segment that is not there has no rows; a chunk that is not there no values.
    let segment = program(&m, &[traced(2, 0)]);
    assert_eq!(
        all(&segment),
        Err(DemandError::Cohort {
            segment: 2,
            rows: 0,
            minimum: 2
        })
    );
    let no_chunk = program(&m, &[chunk(1, 1, 0)]);
    assert_eq!(all(&no_chunk), Err(DemandError::Vector { index: 0 }));
    let empty = program(&m, &[]);
    assert!(matches!(all(&empty), Err(DemandError::Budget(_))));
    let mut wide = program(&m, &[traced(0, 0)]);
    wide.vectors[0].weights = Weights::Public {
        values: vec![1 << 23, 1 << 23, 0],
    };
    assert!(matches!(all(&wide), Err(DemandError::Budget(_))));
    let mut short = program(&m, &[traced(0, 0)]);
    short.vectors[0].weights = Weights::Public { values: vec![1, 1] };
    assert!(matches!(all(&short), Err(DemandError::Budget(_))));
}

#[test]
fn an_order_opens_no_more_than_can_be_delivered() {
    // ORD-4: counted before anything is compared or summed.
    let m = manifest();
    let refused = |outputs: usize, what: &'static str, limit: u64, value: u64| {
        let p = program(&m, &vec![traced(0, 0); outputs]);
        let e = Err(DemandError::TooMuch { what, limit, value });
        assert_eq!(demand(&m, &p, QueryKind::ALL, 2), e);
    };
    refused(100_000, "outputs", 1024, 100_000);
    // Two columns: 172,000 bytes an output at most.
    let bytes = "bytes of ciphertexts and proofs";
    refused(931, bytes, 160_000_000, 931 * 172_000);
    let p = program(&m, &vec![traced(0, 0); 930]);
    assert_eq!(
        demand(&m, &p, QueryKind::ALL, 2),
        Err(DemandError::DuplicateOutput { index: 1 })
    );

    let mut large = manifest();
    large.segments[0].rows = 65 * 4096;
    large.segments[0].chunks = vec![digest(40); 65];
    let chunks: Vec<ProgramOutput> = (0..65).map(|c| chunk(0, c, 0)).collect();
    let most = demand(&large, &program(&large, &chunks[..64]), QueryKind::ALL, 2).unwrap();
    assert_eq!(most.values, MAX_VALUES);
    assert_eq!(
        demand(&large, &program(&large, &chunks), QueryKind::ALL, 2),
        Err(DemandError::TooMuch {
            what: "values",
            limit: MAX_VALUES,
            value: 65 * 4096
        })
    );
}
