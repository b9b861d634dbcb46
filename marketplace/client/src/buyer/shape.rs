//! What an opened result must look like, by manifest and program (BUD-1, DOC-9,
//! DOC-10).

use super::Ticket;
use crate::{ClientError, ResultError};
use veilbourse_core::{
    budget::{OutputBudget, check_program},
    manifest::Manifest,
    program::Program,
};
use veilbourse_documents::OpenedOutput;

/// Values kept from an order's result have the shape and ranges that its
/// program has (BUD-1, DOC-9); of a joint order's, that the sums have.
pub fn check_opened(tickets: &[&Ticket], values: &[Vec<i64>]) -> Result<(), ClientError> {
    let outputs: Vec<OpenedOutput> = values
        .iter()
        .map(|v| OpenedOutput { values: v.clone() })
        .collect();
    let count = values.iter().map(|v| v.len() as u64).sum();
    check_values(&together(tickets)?, count, &outputs)
}

/// How many values an output has, and how far from zero each can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit {
    pub values: u32,
    pub most: u128,
}

/// By manifest and program, with noise of at most `noise` in each value.
pub(super) fn limits(
    manifest: &Manifest,
    program: &Program,
    noise: u64,
) -> Result<Vec<Limit>, ClientError> {
    let budgets =
        check_program(manifest, program).map_err(|e| ClientError::refused("program", e))?;
    let limit = |b: OutputBudget| Limit {
        values: b.values,
        most: b.message_bound.saturating_add(noise.into()),
    };
    Ok(budgets.into_iter().map(limit).collect())
}

/// Those of sums over the orders of a joint one (OPN-9), or of one order.
pub(super) fn together(tickets: &[&Ticket]) -> Result<Vec<Limit>, ClientError> {
    let mut all: Vec<Limit> = Vec::new();
    for t in tickets {
        let noise = t.class().map_or(0, |(_, c)| c.mechanism().noise_bound());
        let next = limits(&t.manifest, &t.order.body.program, noise)?;
        if all.is_empty() {
            all = next;
            continue;
        }
        let shape = |l: &[Limit]| l.iter().map(|l| l.values).collect::<Vec<_>>();
        if shape(&all) != shape(&next) {
            return Err(ClientError::refused(
                "joint order",
                "its orders open other numbers of values",
            ));
        }
        for (a, b) in all.iter_mut().zip(next) {
            a.most = a.most.saturating_add(b.most);
        }
    }
    Ok(all)
}

/// A result has the shape that the program has by the manifest (BUD-1, DOC-9,
/// DOC-10): as many outputs, in each as many values, within what the message
/// can reach, together as many as the key node signed.
pub(super) fn check_values(
    limits: &[Limit],
    delivered: u64,
    outputs: &[OpenedOutput],
) -> Result<(), ClientError> {
    if outputs.len() != limits.len() {
        Err(ResultError::Outputs {
            expected: limits.len(),
            found: outputs.len(),
        })?;
    }
    let mut values = 0;
    for (output, (o, limit)) in outputs.iter().zip(limits).enumerate() {
        let found = o.values.len();
        if found != limit.values as usize {
            Err(ResultError::Values {
                output,
                expected: limit.values,
                found,
            })?;
        }
        let limit = limit.most;
        if let Some((index, value)) = o
            .values
            .iter()
            .enumerate()
            .find(|(_, v)| u128::from(v.unsigned_abs()) > limit)
        {
            Err(ResultError::Range {
                output,
                index,
                value: *value,
                limit,
            })?;
        }
        values += found as u64;
    }
    if values != delivered {
        Err(ResultError::Delivered {
            signed: delivered,
            found: values,
        })?;
    }
    Ok(())
}

/// One order's, without noise.
pub(super) fn check_result(
    manifest: &Manifest,
    program: &Program,
    delivered: u64,
    outputs: &[OpenedOutput],
) -> Result<(), ClientError> {
    check_values(&limits(manifest, program, 0)?, delivered, outputs)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use veilbourse_core::{
        digest::Digest,
        manifest::{
            Column, ColumnKind, CommitmentParamsId, DataParamsId, MANIFEST_VERSION, PublicColumn,
            Segment,
        },
        program::{MatrixRef, PROGRAM_VERSION, ProgramOutput, WeightVector, Weights},
    };

    /// 5,000 rows (two chunks) of one column within 10.
    pub(crate) fn manifest() -> Manifest {
        Manifest {
            version: MANIFEST_VERSION,
            name: "t".into(),
            params: DataParamsId::Data4096Tu3V1,
            commitment: CommitmentParamsId::FriBlake3V1,
            message_log2: 30,
            columns: vec![Column {
                name: "c".into(),
                kind: ColumnKind::Numeric,
                unit: String::new(),
                scale_log2: 0,
                min: -10,
                max: 10,
            }],
            public_columns: vec![PublicColumn {
                name: "1".into(),
                scale_log2: 0,
                values: vec![1],
            }],
            segments: vec![Segment {
                label: "all".into(),
                rows: 5_000,
                chunks: vec![Digest([1; 32]); 2],
                sum: Digest([2; 32]),
                traced: Digest([3; 32]),
                traced_bodies: vec![0],
            }],
            public_key_label: Digest([4; 32]),
            public_key_body: Digest([5; 32]),
            nonce: Digest([6; 32]),
        }
    }

    #[test]
    fn a_result_has_the_programs_shape() {
        // DOC-9, DOC-10, BUD-1: a sum and the scores of a short second chunk.
        let m = manifest();
        let over = [
            MatrixRef::Traced { segment: 0 },
            MatrixRef::Chunk {
                segment: 0,
                chunk: 1,
            },
        ];
        let program = Program {
            version: PROGRAM_VERSION,
            dataset: m.root(),
            vectors: vec![WeightVector {
                label: "v".into(),
                scale_log2: 0,
                weights: Weights::Public { values: vec![3, 1] },
            }],
            outputs: over.map(|over| ProgramOutput { over, vector: 0 }).to_vec(),
        };
        let rows = 5_000 - 4_096;
        let check = |sum: Vec<i64>, scores: Vec<i64>, delivered| {
            let outputs = [sum, scores].map(|values| OpenedOutput { values });
            match check_result(&m, &program, delivered, &outputs) {
                Err(ClientError::Result(e)) => Some(e),
                Err(other) => panic!("{other}"),
                Ok(()) => None,
            }
        };
        let all = 1 + rows as u64;
        // |3 x + 1| <= 31 a row: at the limit it is good.
        let (most, scores) = (5_000 * 31, vec![-31; rows]);
        assert_eq!(check(vec![most], scores.clone(), all), None);
        assert_eq!(check(vec![-most], scores.clone(), all), None);
        let range = |output, index, value, limit| ResultError::Range {
            output,
            index,
            value,
            limit,
        };
        for value in [most + 1, i64::MIN, i64::MAX] {
            let limit = most as u128;
            let found = check(vec![value], scores.clone(), all);
            assert_eq!(found, Some(range(0, 0, value, limit)));
        }
        let mut wide = scores.clone();
        wide[rows - 1] = 32;
        let found = check(vec![0], wide, all);
        assert_eq!(found, Some(range(1, rows - 1, 32, 31)));
        for found in [0, rows - 1, rows + 1, 4_096] {
            let expected = rows as u32;
            let short_or_long = check(vec![0], vec![0; found], all);
            let named = ResultError::Values {
                output: 1,
                expected,
                found,
            };
            assert_eq!(short_or_long, Some(named));
        }
        let named = ResultError::Values {
            output: 0,
            expected: 1,
            found: 2,
        };
        assert_eq!(check(vec![0, 0], scores.clone(), all), Some(named));
        let named = ResultError::Delivered {
            signed: all + 1,
            found: all,
        };
        assert_eq!(check(vec![0], scores, all + 1), Some(named));
        let one = [OpenedOutput { values: vec![0] }];
        let e = check_result(&m, &program, all, &one).unwrap_err();
        let named = ResultError::Outputs {
            expected: 2,
            found: 1,
        };
        assert!(matches!(e, ClientError::Result(e) if e == named));
    }
}
