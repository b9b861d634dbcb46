//! A small synthetic dataset with real commitments, shared by the tests of
//! listing and linear proofs. The words are random: the proofs are about
//! words, not about what they encrypt.
#![allow(dead_code)]

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use veilbourse_core::{
    digest::Digest,
    field::MODULUS,
    manifest::{
        Column, ColumnKind, CommitmentParamsId, DataParamsId, MANIFEST_VERSION, Manifest,
        PublicColumn, Segment,
    },
    program::MatrixRef,
};
use veilbourse_verifier::{
    commitment::{FRI_BLAKE3_V1, ROWS, commit_root},
    linear::{LinearStatement, Matrix, PublicKey, Visibility},
    listing::trace,
};

/// Words of every matrix, and the manifest over them.
pub struct Dataset {
    pub manifest: Manifest,
    /// `chunks[s][c]`: 2F columns.
    pub chunks: Vec<Vec<Vec<Vec<u64>>>>,
    /// `sums[s]`: 2F columns.
    pub sums: Vec<Vec<Vec<u64>>>,
    /// `traced[s]`: F columns.
    pub traced: Vec<Vec<Vec<u64>>>,
    pub public_key: PublicKey,
}

pub fn slices(columns: &[Vec<u64>]) -> Vec<&[u64]> {
    columns.iter().map(Vec::as_slice).collect()
}

pub fn random_column(rng: &mut ChaCha12Rng) -> Vec<u64> {
    (0..ROWS).map(|_| rng.random_range(0..MODULUS)).collect()
}

pub fn add(x: u64, y: u64) -> u64 {
    ((u128::from(x) + u128::from(y)) % u128::from(MODULUS)) as u64
}

/// The sums over the chunks, column by column.
pub fn sum_of(chunks: &[Vec<Vec<u64>>]) -> Vec<Vec<u64>> {
    let mut out = chunks[0].clone();
    for chunk in &chunks[1..] {
        for (o, c) in out.iter_mut().zip(chunk) {
            for (x, y) in o.iter_mut().zip(c) {
                *x = add(*x, *y);
            }
        }
    }
    out
}

impl Dataset {
    pub fn new(columns: usize, rows: &[u64], seed: u64) -> Self {
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        let chunks: Vec<Vec<Vec<Vec<u64>>>> = rows
            .iter()
            .map(|n| {
                (0..n.div_ceil(ROWS as u64))
                    .map(|_| (0..2 * columns).map(|_| random_column(&mut rng)).collect())
                    .collect()
            })
            .collect();
        let body = random_column(&mut rng);
        Self::of(columns, rows, chunks, body)
    }

    /// The dataset over these chunk words.
    pub fn of(
        columns: usize,
        rows: &[u64],
        chunks: Vec<Vec<Vec<Vec<u64>>>>,
        body: Vec<u64>,
    ) -> Self {
        let set = &FRI_BLAKE3_V1;
        let root = |m: &[Vec<u64>]| commit_root(set, &slices(m)).unwrap();
        let sums: Vec<_> = chunks.iter().map(|c| sum_of(c)).collect();
        let mut traced = Vec::new();
        let mut segments = Vec::new();
        for (s, n) in rows.iter().enumerate() {
            let forms: Vec<_> = sums[s].chunks(2).map(|ab| trace(&ab[0], &ab[1])).collect();
            let masks: Vec<Vec<u64>> = forms.iter().map(|(t, _)| t.clone()).collect();
            segments.push(Segment {
                label: format!("segment {s}"),
                rows: *n,
                chunks: chunks[s].iter().map(|c| root(c)).collect(),
                sum: root(&sums[s]),
                traced: root(&masks),
                traced_bodies: forms.iter().map(|(_, b)| *b).collect(),
            });
            traced.push(masks);
        }
        let manifest = Manifest {
            version: MANIFEST_VERSION,
            name: "synthetic".into(),
            params: DataParamsId::Data4096Tu3V1,
            commitment: CommitmentParamsId::FriBlake3V1,
            message_log2: 20,
            columns: (0..columns)
                .map(|i| Column {
                    name: format!("x{i}"),
                    kind: ColumnKind::Numeric,
                    unit: String::new(),
                    scale_log2: 0,
                    min: -100,
                    max: 90 + i as i64,
                })
                .collect(),
            public_columns: vec![
                PublicColumn {
                    name: "1".into(),
                    scale_log2: 0,
                    values: vec![1; rows.len()],
                },
                PublicColumn {
                    name: "key".into(),
                    scale_log2: 0,
                    values: (0..rows.len() as i64).map(|s| 3 - 10 * s).collect(),
                },
            ],
            segments,
            public_key_label: Digest([21; 32]),
            public_key_body: PublicKey::body_digest(&body),
            nonce: Digest([22; 32]),
        };
        let public_key = PublicKey::new(&manifest, body).unwrap();
        Self {
            manifest,
            chunks,
            sums,
            traced,
            public_key,
        }
    }

    /// The words of a matrix in committed order.
    pub fn columns(&self, over: MatrixRef) -> Vec<&[u64]> {
        match over {
            MatrixRef::Traced { segment } => slices(&self.traced[segment as usize]),
            MatrixRef::Chunk { segment, chunk } => {
                slices(&self.chunks[segment as usize][chunk as usize])
            }
        }
    }

    /// A true public-weights statement.
    pub fn public_statement(
        &self,
        over: MatrixRef,
        weights: &[i64],
        order: u8,
        output: u32,
    ) -> LinearStatement {
        let matrix = Matrix::of(&self.manifest, over).unwrap();
        LinearStatement {
            dataset: self.manifest.root(),
            over,
            order: Digest([order; 32]),
            output,
            visibility: Visibility::Public {
                weights: weights.to_vec(),
            },
            public_key: self.manifest.public_key_body,
            ciphertext: veilbourse_prover::linear::weighted_output(
                &matrix,
                &self.columns(over),
                weights,
            ),
        }
    }
}
