//! What a program asks of a dataset, and whether a policy allows it (ORD-4,
//! KEY-2): the same decision at server, key node and offline verifier.

use crate::QueryKind;
use std::collections::HashSet;
use thiserror::Error;
use veilbourse_core::{
    budget::{self, BudgetError},
    manifest::Manifest,
    program::{MAX_OUTPUTS, MatrixRef, Program, Weights},
};
use veilbourse_privacy::PrivacyError;

/// Most values that one order opens: 6 MB as decimal text, sealed.
pub const MAX_VALUES: u64 = 1 << 18;
/// Most bytes of an order's ciphertexts and proofs, by the estimate below: a
/// receipt holds them in base64 and is at most 256 MiB.
const MAX_PART_BYTES: u64 = 160_000_000;
/// Bytes of an output with its proof, at most, beside those of its columns.
const OUTPUT_BYTES: u64 = 170_000;
/// Bytes of an output's proof for each column.
const COLUMN_BYTES: u64 = 1_000;

/// What a program opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// Query kinds of the outputs, without repetition.
    pub kinds: Vec<QueryKind>,
    /// Values opened.
    pub values: u64,
    /// Bits opened: a value x has |x| <= 2^(62-k), so 63 - k bits with its sign.
    pub bits: u64,
}

/// Why a program is not allowed.
#[derive(Debug, Error, Clone, PartialEq)]
pub enum DemandError {
    /// For another dataset.
    #[error("the program is for another dataset")]
    Dataset,
    /// Does not conform or does not fit (LES-1, BUD).
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// More than can be delivered in one piece: nothing may be opened that then
    /// fits into no result and no receipt.
    #[error("{value} {what} in one order; the limit is {limit}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The most.
        limit: u64,
        /// Asked for.
        value: u64,
    },
    /// The same output twice.
    #[error("output {index} repeats an earlier one")]
    DuplicateOutput {
        /// The later one.
        index: u32,
    },
    /// An output that names no weight vector or no matrix.
    #[error("output {index} names no vector or no matrix of the manifest")]
    Vector {
        /// Which.
        index: u32,
    },
    /// A query kind that the policy does not allow.
    #[error("the policy does not allow {} queries", kind.name())]
    KindDenied {
        /// Which.
        kind: QueryKind,
    },
    /// A ticket class for another k (OPN-5).
    #[error("the ticket class is for k = {found}, the dataset has k = {expected}")]
    ClassK {
        /// The dataset's.
        expected: u32,
        /// The class's.
        found: u32,
    },
    /// A row could move a value by more than the tickets' noise is made for (OPN-5).
    #[error("output {index}: a row can move it by {found}, the ticket class admits {limit}")]
    Sensitivity {
        /// Which.
        index: u32,
        /// Its sensitivity.
        found: u64,
        /// The class's.
        limit: u64,
    },
    /// No sensitivity can be said.
    #[error("output {index}: {cause}")]
    Privacy {
        /// Which.
        index: u32,
        /// Why.
        cause: PrivacyError,
    },
    /// A segment with fewer rows than the policy's minimum.
    #[error("segment {segment} has {rows} rows, the policy's minimum is {minimum}")]
    Cohort {
        /// Which.
        segment: u32,
        /// Its rows.
        rows: u64,
        /// The minimum.
        minimum: u64,
    },
}

/// Checks a program against manifest, budget, allowed kinds and cohort.
pub fn demand(
    manifest: &Manifest,
    program: &Program,
    allowed: &[QueryKind],
    min_cohort: u64,
) -> Result<Demand, DemandError> {
    let outputs = program.outputs.len() as u64;
    let each = OUTPUT_BYTES + COLUMN_BYTES * manifest.columns.len() as u64;
    let parts = outputs.saturating_mul(each);
    for (what, limit, value) in [
        ("outputs", u64::from(MAX_OUTPUTS), outputs),
        ("bytes of ciphertexts and proofs", MAX_PART_BYTES, parts),
    ] {
        if value > limit {
            return Err(DemandError::TooMuch { what, limit, value });
        }
    }
    if program.dataset != manifest.root() {
        return Err(DemandError::Dataset);
    }
    let mut kinds = Vec::new();
    let mut values = 0u64;
    let mut seen = HashSet::with_capacity(program.outputs.len());
    for (o, index) in program.outputs.iter().zip(0u32..) {
        if !seen.insert((o.over, o.vector)) {
            return Err(DemandError::DuplicateOutput { index });
        }
        let private = match program.vectors.get(o.vector as usize).map(|v| &v.weights) {
            Some(Weights::Private { .. }) => true,
            Some(Weights::Public { .. }) => false,
            None => return Err(DemandError::Vector { index }),
        };
        let (kind, segment) = match (o.over, private) {
            (MatrixRef::Traced { segment }, false) => (QueryKind::AggregatePublic, segment),
            (MatrixRef::Traced { segment }, true) => (QueryKind::AggregatePrivate, segment),
            (MatrixRef::Chunk { segment, .. }, false) => (QueryKind::RowsPublic, segment),
            (MatrixRef::Chunk { segment, .. }, true) => (QueryKind::RowsPrivate, segment),
        };
        if !allowed.contains(&kind) {
            return Err(DemandError::KindDenied { kind });
        }
        let rows = manifest
            .segments
            .get(segment as usize)
            .map_or(0, |s| s.rows);
        if rows < min_cohort {
            return Err(DemandError::Cohort {
                segment,
                rows,
                minimum: min_cohort,
            });
        }
        let (_, _, opened) =
            budget::extent(manifest, o.over).ok_or(DemandError::Vector { index })?;
        values = values.saturating_add(u64::from(opened));
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    if values > MAX_VALUES {
        return Err(DemandError::TooMuch {
            what: "values",
            limit: MAX_VALUES,
            value: values,
        });
    }
    budget::check_program(manifest, program)?;
    let width = 63u64.saturating_sub(u64::from(manifest.message_log2));
    Ok(Demand {
        kinds,
        values,
        bits: values.saturating_mul(width),
    })
}
