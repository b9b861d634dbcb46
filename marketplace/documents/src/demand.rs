//! What a program asks of a dataset, and whether a policy allows it (ORD-4,
//! KEY-2): the same decision at server, key node and offline verifier.

use crate::QueryKind;
use thiserror::Error;
use veilbourse_core::{
    budget::{self, BudgetError},
    manifest::Manifest,
    program::{MatrixRef, Program, Weights},
};

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
    if program.dataset != manifest.root() {
        return Err(DemandError::Dataset);
    }
    let mut kinds = Vec::new();
    let mut values = 0u64;
    for (o, index) in program.outputs.iter().zip(0u32..) {
        if program.outputs.iter().take(index as usize).any(|p| p == o) {
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
    budget::check_program(manifest, program)?;
    let width = 63u64.saturating_sub(u64::from(manifest.message_log2));
    Ok(Demand {
        kinds,
        values,
        bits: values.saturating_mul(width),
    })
}
