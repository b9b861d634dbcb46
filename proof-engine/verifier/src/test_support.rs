//! Manifests for the unit tests of this crate.

use veilbourse_core::{
    digest::Digest,
    manifest::{
        Column, ColumnKind, CommitmentParamsId, DataParamsId, MANIFEST_VERSION, Manifest,
        PublicColumn, Segment,
    },
};

/// A valid manifest of `columns` columns with segments of these row counts;
/// roots and bodies are placeholders.
pub(crate) fn manifest(columns: usize, rows: &[u64]) -> Manifest {
    Manifest {
        version: MANIFEST_VERSION,
        name: "test".into(),
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
                max: 100,
            })
            .collect(),
        public_columns: vec![PublicColumn {
            name: "1".into(),
            scale_log2: 0,
            values: vec![1; rows.len()],
        }],
        segments: rows
            .iter()
            .enumerate()
            .map(|(i, n)| Segment {
                label: format!("s{i}"),
                rows: *n,
                chunks: (0..n.div_ceil(4096))
                    .map(|c| Digest([c as u8 + 1; 32]))
                    .collect(),
                sum: Digest([100; 32]),
                traced: Digest([101; 32]),
                traced_bodies: vec![0; columns],
            })
            .collect(),
        public_key_label: Digest([1; 32]),
        public_key_body: Digest([2; 32]),
        nonce: Digest([3; 32]),
    }
}
