//! Tables of the repository, quantised as `veilbourse-tabular` does it with
//! undeclared bounds, and a manifest around them.
#![allow(dead_code)]

use std::path::PathBuf;
use veilbourse_core::{
    digest::Digest,
    layered::ChunkRef,
    manifest::{
        Column, ColumnKind, CommitmentParamsId, DataParamsId, MANIFEST_VERSION, Manifest,
        PublicColumn, Segment,
    },
    params::DATA_RING_DIMENSION as N,
    table::QuantisedTable,
};
use veilbourse_onnx::{Graph, Target};

pub fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/data")
        .join(name)
}

pub fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

pub fn graph(path: PathBuf) -> Graph {
    Graph::read(&std::fs::read(path).unwrap()).unwrap()
}

pub fn json(path: PathBuf) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A table of numbers: names and rows.
pub fn csv(name: &str) -> (Vec<String>, Vec<Vec<f64>>) {
    let text = std::fs::read_to_string(data(name)).unwrap();
    let mut lines = text.lines();
    let names = lines
        .next()
        .unwrap()
        .split(',')
        .map(str::to_owned)
        .collect();
    let rows = lines
        .map(|l| l.split(',').map(|v| v.parse().unwrap()).collect())
        .collect();
    (names, rows)
}

/// A dataset in one segment.
pub struct Dataset {
    pub manifest: Manifest,
    pub table: QuantisedTable,
    pub rows: Vec<Vec<f64>>,
    pub columns: Vec<usize>,
    pub over: Vec<ChunkRef>,
}

impl Dataset {
    /// Columns of `bits` bits, the published range from zero to the power of
    /// two next outside.
    pub fn new(names: &[String], rows: Vec<Vec<f64>>, bits: i32) -> Self {
        let width = names.len();
        let mut columns = Vec::new();
        let mut integers = Vec::new();
        for (f, name) in names.iter().enumerate() {
            let greatest = rows.iter().map(|r| r[f]).fold(f64::MIN_POSITIVE, f64::max);
            assert!(rows.iter().all(|r| r[f] >= 0.0));
            let top = greatest.log2().ceil();
            let scale_log2 = bits - top as i32;
            integers.push(
                rows.iter()
                    .map(|r| (r[f] * f64::from(scale_log2).exp2()).round() as i64)
                    .collect::<Vec<_>>(),
            );
            columns.push(Column {
                name: name.clone(),
                kind: ColumnKind::Numeric,
                unit: String::new(),
                scale_log2,
                min: 0,
                max: 1 << bits,
            });
        }
        Self::of(columns, integers, rows, width)
    }

    /// Columns as the index of one of at most 16 quantile bins; the float rows
    /// become the indices.
    pub fn bins(names: &[String], rows: Vec<Vec<f64>>) -> Self {
        let mut columns = Vec::new();
        let mut integers = Vec::new();
        for (f, name) in names.iter().enumerate() {
            let mut sorted: Vec<f64> = rows.iter().map(|r| r[f]).collect();
            sorted.sort_by(f64::total_cmp);
            let mut edges: Vec<f64> = (1..16)
                .map(|i| sorted[i * (sorted.len() - 1) / 16])
                .collect();
            edges.dedup();
            integers.push(
                rows.iter()
                    .map(|r| edges.partition_point(|e| *e < r[f]) as i64)
                    .collect::<Vec<_>>(),
            );
            columns.push(Column {
                name: name.clone(),
                kind: ColumnKind::Numeric,
                unit: String::new(),
                scale_log2: 0,
                min: 0,
                max: edges.len() as i64,
            });
        }
        let rows = (0..rows.len())
            .map(|i| integers.iter().map(|c: &Vec<i64>| c[i] as f64).collect())
            .collect();
        Self::of(columns, integers, rows, names.len())
    }

    fn of(
        columns: Vec<Column>,
        integers: Vec<Vec<i64>>,
        rows: Vec<Vec<f64>>,
        width: usize,
    ) -> Self {
        let n = rows.len();
        let chunks = n.div_ceil(N);
        let manifest = Manifest {
            version: MANIFEST_VERSION,
            name: "test".into(),
            params: DataParamsId::Data4096Tu3V1,
            commitment: CommitmentParamsId::FriBlake3V1,
            message_log2: 26,
            columns,
            public_columns: vec![PublicColumn {
                name: "1".into(),
                scale_log2: 0,
                values: vec![1],
            }],
            segments: vec![Segment {
                label: "all rows".into(),
                rows: n as u64,
                chunks: vec![Digest([1; 32]); chunks],
                sum: Digest([2; 32]),
                traced: Digest([3; 32]),
                traced_bodies: vec![0; width],
            }],
            public_key_label: Digest([4; 32]),
            public_key_body: Digest([5; 32]),
            nonce: Digest([6; 32]),
        };
        Self {
            manifest,
            table: QuantisedTable {
                segments: vec![integers],
                origin: vec![(0..n as u64).collect()],
            },
            rows,
            columns: (0..width).collect(),
            over: (0..chunks as u32)
                .map(|chunk| ChunkRef { segment: 0, chunk })
                .collect(),
        }
    }

    pub fn target<'a>(&'a self, calibration: &'a [Vec<i64>]) -> Target<'a> {
        Target {
            manifest: &self.manifest,
            columns: &self.columns,
            over: &self.over,
            calibration,
        }
    }

    /// The columns at the given rows: what a buyer calibrates with.
    pub fn at(&self, rows: &[usize]) -> Vec<Vec<i64>> {
        self.table.segments[0]
            .iter()
            .map(|c| rows.iter().map(|i| c[*i]).collect())
            .collect()
    }
}

/// Rows held out and the others.
pub fn split(expected: &serde_json::Value, rows: usize) -> (Vec<usize>, Vec<usize>) {
    let test: Vec<usize> = expected["test_rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_u64().unwrap() as usize)
        .collect();
    let train = (0..rows).filter(|i| !test.contains(i)).collect();
    (train, test)
}
