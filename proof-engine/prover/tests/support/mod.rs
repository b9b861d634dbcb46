//! A small synthetic dataset with real commitments, shared by the tests of
//! listing and linear proofs. The words are random: the proofs are about
//! words, not about what they encrypt.
#![allow(dead_code)]

use rand::{CryptoRng, RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::cell::RefCell;
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
use veilbourse_prover::{
    ProverError,
    linear::{
        PodSecret, PrivateCircuit, PrivateRequest, PrivateWitness, evaluate_private, prove_private,
    },
};
use veilbourse_verifier::{
    commitment::{FRI_BLAKE3_V1, ROWS, commit_root, glwe_columns, traced_columns},
    field::{Fr, fr_bytes},
    linear::{
        LinearStatement, Matrix, PrivateEquation, Visibility,
        inputs::{bind_randomness, commit_weights},
    },
    transcript::Transcript,
};

/// The traced matrix of the first segment.
pub const TRACED: MatrixRef = MatrixRef::Traced { segment: 0 };

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

/// The order that [`recorded`] is for.
pub const ORDER: Digest = Digest([41; 32]);

/// Keeps what it is asked to prove, with true commitments and no proof.
#[derive(Default)]
struct Recorder(RefCell<Option<(PrivateEquation, PrivateWitness)>>);

impl PrivateCircuit for Recorder {
    fn verifying_key(&self) -> Digest {
        Digest([31; 32])
    }
    fn srs(&self) -> Digest {
        Digest([32; 32])
    }
    fn binding(&self, w: &PrivateWitness, columns: usize) -> Result<Fr, ProverError> {
        let m = commit_weights(&w.weights, columns, w.weight_blinder).unwrap();
        let r = &w.rerandomisation;
        Ok(bind_randomness(m, &r.c, &r.e, r.blinder))
    }
    fn prove<R: CryptoRng>(
        &self,
        equation: &PrivateEquation,
        witness: &PrivateWitness,
        _: &mut Transcript,
        _: &mut R,
    ) -> Result<Vec<u8>, ProverError> {
        self.0.replace(Some((equation.clone(), witness.clone())));
        Ok(Vec::new())
    }
}

/// Statement, equation and witness of an honest private evaluation by the pod
/// of this secret, up to the argument of knowledge.
pub fn recorded(
    d: &Dataset,
    over: MatrixRef,
    weights: &[i64],
    l1_bound: u64,
    l2_bound: u64,
    secret: u8,
) -> (LinearStatement, PrivateEquation, PrivateWitness) {
    let blinder = Fr::from(0x1234_5678_9abc_def0u64);
    let m = commit_weights(weights, d.manifest.columns.len(), blinder).unwrap();
    let columns = d.columns(over);
    let request = PrivateRequest {
        manifest: &d.manifest,
        over,
        order: ORDER,
        output: 0,
        weights,
        weight_blinder: blinder,
        commitment: Digest(fr_bytes(&m)),
        l1_bound,
        l2_bound,
        columns: &columns,
        public_key: &d.public_key,
        secret: &PodSecret::new([secret; 32]),
    };
    let circuit = Recorder::default();
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let (statement, _) = prove_private(&request, &circuit, &mut rng).unwrap();
    let (equation, witness) = circuit.0.into_inner().unwrap();
    (statement, equation, witness)
}

/// What a pod evaluates when it is handed these words as the dataset's.
pub fn evaluated_on(
    d: &Dataset,
    weights: &[i64],
    columns: &[&[u64]],
) -> Result<LinearStatement, ProverError> {
    let request = PrivateRequest {
        manifest: &d.manifest,
        over: TRACED,
        order: ORDER,
        output: 0,
        weights,
        weight_blinder: Fr::from(4u64),
        commitment: Digest(fr_bytes(&Fr::from(77u64))),
        l1_bound: 1 << 40,
        l2_bound: 1 << 50,
        columns,
        public_key: &d.public_key,
        secret: &PodSecret::new([8; 32]),
    };
    Ok(evaluate_private(&request, &Recorder::default())?
        .statement()
        .clone())
}
