//! A dataset of real parameters, a private model on it, and what to prove: for
//! the end-to-end test and the benchmark.

#![allow(dead_code, clippy::unwrap_used)]
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use veilbourse_core::{
    budget::{choose_message_log2, class, exact_norms},
    ciphertext::{ChunkData, PublicKey},
    digest::Digest,
    manifest::{
        Column, ColumnKind, CommitmentParamsId, DataParamsId, MANIFEST_VERSION, Manifest,
        PublicColumn, Segment,
    },
    program::MatrixRef,
};
use veilbourse_eval::{SecretKey, SumAccumulator, encrypt_chunk, expand_chunk, public_key};
use veilbourse_prover::linear::{PodSecret, PrivateRequest};
use veilbourse_verifier::{
    Refusal,
    commitment::{FriSet, commit_root, glwe_columns, slices, traced_columns},
    field::{Fr, fr_bytes},
    linear::{
        CircuitKey, LinearStatement, MatrixKind, PrivateEvidence, inputs::commit_weights,
        verify_linear,
    },
};

pub const COLUMNS: usize = 30;
pub const ROWS: usize = 569;

pub struct Dataset {
    pub manifest: Manifest,
    pub chunk: ChunkData,
    pub key: PublicKey,
    pub secret: SecretKey,
    pub values: Vec<Vec<i64>>,
}

pub fn dataset(rng: &mut ChaCha20Rng) -> Dataset {
    let secret = SecretKey::generate(rng);
    let range = 1023i64;
    let values: Vec<Vec<i64>> = (0..COLUMNS)
        .map(|_| {
            (0..ROWS)
                .map(|_| (rng.next_u64() % 2047) as i64 - range)
                .collect()
        })
        .collect();
    let k = choose_message_log2(ROWS as u64, 1, COLUMNS, 1023, 1023).unwrap();
    let views: Vec<&[i64]> = values.iter().map(Vec::as_slice).collect();
    let chunk = encrypt_chunk(&secret, k, &views, rng).unwrap();
    let key = public_key(&secret, Digest([7; 32]), rng);
    let expanded = expand_chunk(&chunk);
    let mut sum = SumAccumulator::new(COLUMNS);
    sum.add(&expanded).unwrap();
    let sums = sum.finish();
    let traced = sums.trace();
    let set = FriSet::of(CommitmentParamsId::FriBlake3V1);
    let root = |words: Vec<Vec<u64>>| commit_root(set, &slices(&words)).unwrap();
    let manifest = Manifest {
        version: MANIFEST_VERSION,
        name: "end to end".into(),
        params: DataParamsId::Data4096Tu3V1,
        commitment: CommitmentParamsId::FriBlake3V1,
        message_log2: k,
        columns: (0..COLUMNS)
            .map(|i| Column {
                name: format!("c{i}"),
                kind: ColumnKind::Numeric,
                unit: String::new(),
                scale_log2: 0,
                min: -range,
                max: range,
            })
            .collect(),
        public_columns: vec![PublicColumn {
            name: "1".into(),
            scale_log2: 0,
            values: vec![1],
        }],
        segments: vec![Segment {
            label: "all".into(),
            rows: ROWS as u64,
            chunks: vec![root(glwe_columns(&expanded))],
            sum: root(glwe_columns(&sums.columns)),
            traced: root(traced_columns(&traced)),
            traced_bodies: traced.iter().map(|t| t.b.word()).collect(),
        }],
        public_key_label: key.label,
        public_key_body: key.body_digest(),
        nonce: Digest([9; 32]),
    };
    manifest.validate().unwrap();
    Dataset {
        manifest,
        chunk,
        key,
        secret,
        values,
    }
}

pub fn verify(
    d: &Dataset,
    key: &CircuitKey,
    statement: &LinearStatement,
    envelope: &[u8],
) -> Result<(), Refusal> {
    let evidence = PrivateEvidence {
        public_key: &d.key,
        argument: key,
    };
    verify_linear(statement.clone(), &d.manifest, Some(&evidence), envelope).map(|_| ())
}

/// A model whose weights stay hidden, with the bounds that an order names.
pub struct Model {
    pub weights: Vec<i64>,
    pub blinder: Fr,
    pub commitment: Digest,
    pub l1_bound: u64,
    pub l2_bound: u64,
}

pub fn model(d: &Dataset, rng: &mut ChaCha20Rng) -> Model {
    let mut weights: Vec<i64> = (0..COLUMNS)
        .map(|_| (rng.next_u64() % 1023) as i64 - 511)
        .collect();
    weights.push(-123_456);
    let blinder = Fr::from(rng.next_u64());
    let commitment = Digest(fr_bytes(
        &commit_weights(&weights, COLUMNS, blinder).unwrap(),
    ));
    let (l1, l2) = exact_norms(&d.manifest, &weights, 0);
    Model {
        weights,
        blinder,
        commitment,
        l1_bound: class(l1) as u64,
        l2_bound: class(l2) as u64,
    }
}

/// The score of each row, in plain integers.
pub fn scores(d: &Dataset, m: &Model) -> Vec<i64> {
    let score = |i: usize| -> i64 {
        (0..COLUMNS)
            .map(|f| m.weights[f] * d.values[f][i])
            .sum::<i64>()
            + m.weights[COLUMNS]
    };
    (0..ROWS).map(score).collect()
}

/// One matrix with its words.
pub struct Subject {
    pub kind: MatrixKind,
    pub over: MatrixRef,
    pub words: Vec<Vec<u64>>,
}

/// The aggregate over all rows, and the chunk of scores by row.
pub fn subjects(d: &Dataset) -> [Subject; 2] {
    let expanded = expand_chunk(&d.chunk);
    let mut sum = SumAccumulator::new(COLUMNS);
    sum.add(&expanded).unwrap();
    [
        Subject {
            kind: MatrixKind::Traced,
            over: MatrixRef::Traced { segment: 0 },
            words: traced_columns(&sum.finish().trace()),
        },
        Subject {
            kind: MatrixKind::Chunk,
            over: MatrixRef::Chunk {
                segment: 0,
                chunk: 0,
            },
            words: glwe_columns(&expanded),
        },
    ]
}

/// What the pod is asked to prove.
pub fn request<'a>(
    d: &'a Dataset,
    m: &'a Model,
    over: MatrixRef,
    columns: &'a [&'a [u64]],
    secret: &'a PodSecret,
) -> PrivateRequest<'a> {
    PrivateRequest {
        manifest: &d.manifest,
        over,
        order: Digest([3; 32]),
        output: 0,
        weights: &m.weights,
        weight_blinder: m.blinder,
        commitment: m.commitment,
        l1_bound: m.l1_bound,
        l2_bound: m.l2_bound,
        columns,
        public_key: &d.key,
        secret,
    }
}
