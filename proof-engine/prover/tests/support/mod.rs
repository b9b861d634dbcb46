//! A small synthetic dataset with real commitments, shared by the tests of
//! listing and linear proofs. The words are random: the proofs are about
//! words, not about what they encrypt.
#![allow(dead_code)]

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use veilbourse_core::{
    ciphertext::{Glwe, OutputCiphertext, PublicKey, SumData},
    digest::Digest,
    field::Fq,
    manifest::{
        Column, ColumnKind, CommitmentParamsId, DataParamsId, MANIFEST_VERSION, Manifest,
        PublicColumn, Segment,
    },
    program::MatrixRef,
    ring::Poly,
};
use veilbourse_verifier::{
    commitment::{FRI_BLAKE3_V1, ROWS, commit_root, glwe_columns, traced_columns},
    linear::{LinearStatement, Matrix, Visibility},
};

/// Every ciphertext, the words of every matrix, and the manifest over them.
pub struct Dataset {
    pub manifest: Manifest,
    /// `chunks[s][c][f]`.
    pub chunks: Vec<Vec<Vec<Glwe>>>,
    pub sums: Vec<SumData>,
    /// `chunk_columns[s][c]`: 2F columns.
    pub chunk_columns: Vec<Vec<Vec<Vec<u64>>>>,
    /// `traced_columns[s]`: F columns.
    pub traced_columns: Vec<Vec<Vec<u64>>>,
    pub public_key: PublicKey,
}

pub fn slices(columns: &[Vec<u64>]) -> Vec<&[u64]> {
    columns.iter().map(Vec::as_slice).collect()
}

pub fn random_poly(rng: &mut ChaCha12Rng) -> Poly {
    Poly::from_coefficients((0..ROWS).map(|_| Fq::reduce(rng.random())).collect()).unwrap()
}

fn random_glwe(rng: &mut ChaCha12Rng) -> Glwe {
    Glwe {
        a: random_poly(rng),
        b: random_poly(rng),
    }
}

/// The sums over the chunks, column by column.
pub fn sum_of(chunks: &[Vec<Glwe>]) -> SumData {
    let mut columns = chunks[0].clone();
    for chunk in &chunks[1..] {
        for (o, c) in columns.iter_mut().zip(chunk) {
            o.add_assign(c);
        }
    }
    SumData { columns }
}

pub fn root(columns: &[Vec<u64>]) -> Digest {
    commit_root(&FRI_BLAKE3_V1, &slices(columns)).unwrap()
}

/// Adds 1 to one coefficient of A(X).
pub fn bump(output: &mut OutputCiphertext, at: usize) {
    let word = match output {
        OutputCiphertext::Traced(l) if at == ROWS => &mut l.b,
        OutputCiphertext::Traced(l) => &mut l.t[at],
        OutputCiphertext::Rows { glwe, .. } if at >= ROWS => &mut glwe.b[at - ROWS],
        OutputCiphertext::Rows { glwe, .. } => &mut glwe.a[at],
    };
    *word += Fq::ONE;
}

impl Dataset {
    pub fn new(columns: usize, rows: &[u64], seed: u64) -> Self {
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        let chunks: Vec<Vec<Vec<Glwe>>> = rows
            .iter()
            .map(|n| {
                (0..n.div_ceil(ROWS as u64))
                    .map(|_| (0..columns).map(|_| random_glwe(&mut rng)).collect())
                    .collect()
            })
            .collect();
        let public_key = PublicKey {
            label: Digest([21; 32]),
            body: random_poly(&mut rng),
        };
        let sums: Vec<_> = chunks.iter().map(|c| sum_of(c)).collect();
        let chunk_columns: Vec<Vec<Vec<Vec<u64>>>> = chunks
            .iter()
            .map(|s| s.iter().map(|c| glwe_columns(c)).collect())
            .collect();
        let mut traced = Vec::new();
        let mut segments = Vec::new();
        for (s, n) in rows.iter().enumerate() {
            let forms = sums[s].trace();
            let masks = traced_columns(&forms);
            segments.push(Segment {
                label: format!("segment {s}"),
                rows: *n,
                chunks: chunk_columns[s].iter().map(|c| root(c)).collect(),
                sum: root(&glwe_columns(&sums[s].columns)),
                traced: root(&masks),
                traced_bodies: forms.iter().map(|f| f.b.word()).collect(),
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
            public_key_label: public_key.label,
            public_key_body: public_key.body_digest(),
            nonce: Digest([22; 32]),
        };
        Self {
            manifest,
            chunks,
            sums,
            chunk_columns,
            traced_columns: traced,
            public_key,
        }
    }

    /// The words of a matrix in committed order.
    pub fn columns(&self, over: MatrixRef) -> Vec<&[u64]> {
        match over {
            MatrixRef::Traced { segment } => slices(&self.traced_columns[segment as usize]),
            MatrixRef::Chunk { segment, chunk } => {
                slices(&self.chunk_columns[segment as usize][chunk as usize])
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
            )
            .unwrap(),
        }
    }
}
