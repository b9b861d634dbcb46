//! A small encrypted dataset with its manifest.

#![allow(dead_code)] // Each test file uses its part.

use rand::{Rng, RngExt};
use rand_core::CryptoRng;
use veilbourse_core::{
    ciphertext::{ChunkData, PublicKey, TracedLwe},
    digest::Digest,
    manifest::{
        Column, ColumnKind, CommitmentParamsId, DataParamsId, MANIFEST_VERSION, Manifest,
        PublicColumn, Segment,
    },
    params::DATA_RING_DIMENSION as N,
    program::{MatrixRef, ProgramOutput},
    table::QuantisedTable,
};
use veilbourse_eval::{SecretKey, SumAccumulator, encrypt_chunk, public_key};

pub struct Dataset {
    pub key: SecretKey,
    pub manifest: Manifest,
    pub table: QuantisedTable,
    pub chunks: Vec<Vec<ChunkData>>,
    pub traced: Vec<Vec<TracedLwe>>,
    pub public_key: PublicKey,
}

/// Random rows in [-range, range], encrypted at k.
pub fn dataset(rng: &mut impl CryptoRng, rows: &[usize], ranges: &[i64], k: u32) -> Dataset {
    let key = SecretKey::generate(rng);
    let public_key = public_key(&key, Digest([4; 32]), rng);
    let table: Vec<Vec<Vec<i64>>> = rows
        .iter()
        .map(|n| {
            ranges
                .iter()
                .map(|r| (0..*n).map(|_| rng.random_range(-*r..=*r)).collect())
                .collect()
        })
        .collect();
    let mut chunks = vec![];
    let mut traced = vec![];
    for (columns, n) in table.iter().zip(rows) {
        let mut sums = SumAccumulator::new(columns.len());
        let mut segment = vec![];
        for first in (0..*n).step_by(N) {
            let slices: Vec<&[i64]> = columns
                .iter()
                .map(|c| &c[first..(first + N).min(*n)])
                .collect();
            let chunk = encrypt_chunk(&key, k, &slices, rng).unwrap();
            sums.add_seeded(&chunk).unwrap();
            segment.push(chunk);
        }
        traced.push(sums.finish().trace());
        chunks.push(segment);
    }
    let manifest = Manifest {
        version: MANIFEST_VERSION,
        name: "test".into(),
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
        public_columns: vec![
            PublicColumn {
                name: "1".into(),
                scale_log2: 0,
                values: vec![1; rows.len()],
            },
            PublicColumn {
                name: "plan".into(),
                scale_log2: 0,
                values: (0..rows.len() as i64).map(|i| 3 * i - 1).collect(),
            },
        ],
        segments: rows
            .iter()
            .zip(&traced)
            .enumerate()
            .map(|(i, (n, t))| Segment {
                label: format!("s{i}"),
                rows: *n as u64,
                chunks: vec![Digest([1; 32]); n.div_ceil(N)],
                sum: Digest([2; 32]),
                traced: Digest([3; 32]),
                traced_bodies: t.iter().map(|t| t.b.word()).collect(),
            })
            .collect(),
        public_key_label: public_key.label,
        public_key_body: public_key.body_digest(),
        nonce: Digest([6; 32]),
    };
    manifest.validate().unwrap();
    let table = QuantisedTable {
        origin: rows.iter().map(|n| (0..*n as u64).collect()).collect(),
        segments: table,
    };
    Dataset {
        key,
        manifest,
        table,
        chunks,
        traced,
        public_key,
    }
}

impl Dataset {
    /// The integers an output must open to.
    pub fn expected(&self, over: MatrixRef, weights: &[i64]) -> Vec<i64> {
        let output = ProgramOutput { over, vector: 0 };
        veilbourse_core::simulation::simulate(&self.manifest, &self.table, &output, weights)
            .unwrap()
    }
}

/// c and e: uniform bits, centred binomial of width 1.
pub fn rerandomisation(rng: &mut impl Rng, bodies: usize) -> (Vec<bool>, Vec<i8>) {
    let c = (0..N).map(|_| rng.random()).collect();
    let e = (0..N + bodies)
        .map(|_| i8::from(rng.random::<bool>()) - i8::from(rng.random::<bool>()))
        .collect();
    (c, e)
}
