//! Commitments to matrices over F_q: a column is a polynomial in coefficient
//! form, its Reed-Solomon code word is committed by a BLAKE3 Merkle tree, and
//! evaluations are opened by FRI (rule DS-2; Plonky3 0.8 `TwoAdicFriPcs`).
//!
//! The custodian, storage and the provers commit with [`commit`]; verifiers
//! check openings with [`verify_opening`]. The parameters belong to the
//! verifier ([`FriSet`], one a [`CommitmentParamsId`]): a proof states none.

mod codec;
mod verify;

pub use codec::{OpeningProof, max_opening_bytes};
pub use verify::{Claim, Opened, absorb_claims, fri_challenger, verify_opening};

use crate::field::{Fq, Fq2, fq};
use p3_blake3::Blake3;
use p3_challenger::{HashChallenger, SerializingChallenger64};
use p3_commit::{ExtensionMmcs, Mmcs};
use p3_dft::{Radix2DitParallel, TwoAdicSubgroupDft};
use p3_field::{Field, PrimeCharacteristicRing};
use p3_fri::{BatchMultiOpening, FriParameters, FriProof, TwoAdicFriPcs};
use p3_matrix::{
    Matrix,
    bitrev::BitReversibleMatrix,
    dense::{DenseMatrix, RowMajorMatrix},
};
use p3_merkle_tree::{MerkleTree, MerkleTreeMmcs};
use p3_symmetric::{CompressionFunctionFromHasher, MerkleCap, SerializingHasher};
use rayon::prelude::*;
use thiserror::Error;
use veilbourse_core::{
    ciphertext::{Glwe, TracedLwe},
    digest::Digest,
    manifest::CommitmentParamsId,
    params::DATA_RING_DIMENSION,
    wire::WireError,
};

/// Rows of every committed matrix: the coefficients of one ring element.
pub const ROWS: usize = DATA_RING_DIMENSION;
pub(crate) const LOG_ROWS: usize = ROWS.trailing_zeros() as usize;

/// Most columns one opening proof may cover, over all its matrices: what the
/// batching term of the soundness account is computed for.
pub const MAX_OPENED_COLUMNS: usize = 1 << 18;

pub(crate) type FieldHash = SerializingHasher<Blake3>;
pub(crate) type Compress = CompressionFunctionFromHasher<Blake3, 2, 32>;
/// Merkle trees over rows of F_q.
pub type ValMmcs = MerkleTreeMmcs<Fq, u8, FieldHash, Compress, 2, 32>;
/// Merkle trees over rows of F_q2.
pub type ChallengeMmcs = ExtensionMmcs<Fq, Fq2, ValMmcs>;
/// The challenger FRI runs on (TR-3).
pub type Challenger = SerializingChallenger64<Fq, HashChallenger<u8, Blake3, 32>>;
/// The polynomial commitment scheme.
pub type Pcs = TwoAdicFriPcs<Fq, Radix2DitParallel<Fq>, ValMmcs, ChallengeMmcs>;
/// Plonky3's proof, of the shape that [`OpeningProof`] pins.
pub type RawFriProof = FriProof<Fq2, ChallengeMmcs, Fq, Vec<BatchMultiOpening<Fq, ValMmcs>>>;
/// Plonky3's form of a commitment.
pub(crate) type Root = MerkleCap<Fq, [u8; 32]>;
/// A committed matrix: code words and the whole Merkle tree, for the prover.
pub type CommittedMatrix = MerkleTree<Fq, u8, RowMajorMatrix<Fq>, 2, 32>;

/// Why a matrix cannot be committed or an opening is refused.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum CommitmentError {
    /// The bytes are not an opening proof of the pinned shape.
    #[error("opening proof: {0}")]
    Wire(#[from] WireError),
    /// A matrix without columns.
    #[error("matrix {matrix} has no columns")]
    NoColumns {
        /// Index of the matrix.
        matrix: usize,
    },
    /// A column of the wrong length.
    #[error("column {column}: {found} words, expected {expected}")]
    ColumnLength {
        /// The column.
        column: usize,
        /// Words expected.
        expected: usize,
        /// Words found.
        found: usize,
    },
    /// A word of q or more (WIRE-4).
    #[error("column {column}, row {row}: word {word} is not below q")]
    Word {
        /// The column.
        column: usize,
        /// The row.
        row: usize,
        /// The word.
        word: u64,
    },
    /// More columns than the soundness account covers.
    #[error("an opening of {value} columns exceeds the limit {limit}")]
    TooManyColumns {
        /// The limit.
        limit: usize,
        /// Columns claimed.
        value: usize,
    },
    /// The point lies in the base field, where the code words live (LES-4).
    #[error("the opening point lies in the base field")]
    Point,
    /// Claims and proof disagree in shape.
    #[error("matrix {matrix}: {found} opened values, expected {expected}")]
    Shape {
        /// Index of the matrix.
        matrix: usize,
        /// Values expected.
        expected: usize,
        /// Values found.
        found: usize,
    },
    /// The FRI verifier refused.
    #[error("FRI: {0}")]
    Fri(String),
}

/// One set of FRI parameters. The verifier owns them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FriSet {
    /// Binary logarithm of code length over dimension.
    pub log_blowup: usize,
    /// Binary logarithm of the final polynomial's length.
    pub log_final_poly_len: usize,
    /// Binary logarithm of the folding arity.
    pub log_arity: usize,
    /// Positions queried.
    pub queries: usize,
    /// Bits of work before the challenge that batches the openings.
    pub batch_pow_bits: usize,
    /// Bits of work before each folding challenge.
    pub commit_pow_bits: usize,
    /// Bits of work before the positions.
    pub query_pow_bits: usize,
}

/// `fri-blake3-v1`: see docs/decisions for how it was chosen and
/// [`crate::security`] for what it is worth.
pub const FRI_BLAKE3_V1: FriSet = FriSet {
    log_blowup: 3,
    log_final_poly_len: 9,
    log_arity: 3,
    queries: 98,
    batch_pow_bits: 16,
    commit_pow_bits: 0,
    query_pow_bits: 20,
};

impl FriSet {
    /// The parameters of a named set.
    pub const fn of(id: CommitmentParamsId) -> &'static Self {
        match id {
            CommitmentParamsId::FriBlake3V1 => &FRI_BLAKE3_V1,
        }
    }

    /// Binary logarithm of the code length.
    pub const fn log_code_len(&self) -> usize {
        LOG_ROWS + self.log_blowup
    }

    /// Binary logarithm of the arity of each folding round, in order: as wide
    /// as allowed until the final length is reached.
    pub fn schedule(&self) -> Vec<usize> {
        let mut left = LOG_ROWS.saturating_sub(self.log_final_poly_len);
        let mut rounds = Vec::new();
        while left > 0 && self.log_arity > 0 {
            let step = left.min(self.log_arity);
            rounds.push(step);
            left -= step;
        }
        rounds
    }

    /// The commitment scheme with these parameters.
    pub fn pcs(&self) -> Pcs {
        Pcs::new(
            Radix2DitParallel::default(),
            val_mmcs(),
            self.fri_parameters(),
        )
    }

    /// Plonky3's form of the parameters: what runs, and what
    /// [`crate::security`] accounts for.
    pub(crate) fn fri_parameters(&self) -> FriParameters<ChallengeMmcs> {
        FriParameters {
            log_blowup: self.log_blowup,
            log_final_poly_len: self.log_final_poly_len,
            max_log_arity: self.log_arity,
            num_queries: self.queries,
            batch_proof_of_work_bits: self.batch_pow_bits,
            commit_proof_of_work_bits: self.commit_pow_bits,
            query_proof_of_work_bits: self.query_pow_bits,
            mmcs: ChallengeMmcs::new(val_mmcs()),
        }
    }
}

fn val_mmcs() -> ValMmcs {
    ValMmcs::new(FieldHash::new(Blake3), Compress::new(Blake3), 0)
}

/// The commitment of a matrix given by its columns, each [`ROWS`] canonical
/// words in coefficient form (DS-2). The same function for custodian, storage
/// and pod.
///
/// Memory: 2^log_blowup times the matrix, plus its Merkle tree; freed on
/// return. Works on all threads of the current rayon pool.
pub fn commit_root(set: &FriSet, columns: &[&[u64]]) -> Result<Digest, CommitmentError> {
    Ok(commit(set, columns)?.0)
}

/// As [`commit_root`], keeping what a prover needs to open.
pub fn commit(
    set: &FriSet,
    columns: &[&[u64]],
) -> Result<(Digest, CommittedMatrix), CommitmentError> {
    let code = encode(set, columns)?;
    let (root, tree) = val_mmcs().commit(vec![code]);
    Ok((digest_of(&root), tree))
}

/// Checks the columns' lengths and words.
pub fn check_columns(columns: &[&[u64]]) -> Result<(), CommitmentError> {
    if columns.is_empty() {
        return Err(CommitmentError::NoColumns { matrix: 0 });
    }
    for (column, words) in columns.iter().enumerate() {
        if words.len() != ROWS {
            return Err(CommitmentError::ColumnLength {
                column,
                expected: ROWS,
                found: words.len(),
            });
        }
        for (row, &word) in words.iter().enumerate() {
            if fq(word).is_none() {
                return Err(CommitmentError::Word { column, row, word });
            }
        }
    }
    Ok(())
}

/// Evaluations over the coset g K, rows in bit-reversed order: the layout that
/// `TwoAdicFriPcs` commits.
fn encode(set: &FriSet, columns: &[&[u64]]) -> Result<RowMajorMatrix<Fq>, CommitmentError> {
    check_columns(columns)?;
    let width = columns.len();
    let mut values = Fq::zero_vec(width << set.log_code_len());
    values
        .par_chunks_mut(width)
        .take(ROWS)
        .enumerate()
        .for_each(|(row, out)| {
            for (o, c) in out.iter_mut().zip(columns) {
                *o = c.get(row).copied().and_then(fq).unwrap_or(Fq::ZERO);
            }
        });
    let padded: RowMajorMatrix<Fq> = DenseMatrix::new(values, width);
    Ok(Radix2DitParallel::default()
        .coset_dft_batch(padded, Fq::GENERATOR)
        .bit_reverse_rows()
        .to_row_major_matrix())
}

/// The columns of a chunk or sum matrix: 2f the mask, 2f + 1 the body of
/// column f (docs/spec/datasets.md).
pub fn glwe_columns(ciphertexts: &[Glwe]) -> Vec<Vec<u64>> {
    ciphertexts
        .iter()
        .flat_map(|c| [c.a.words(), c.b.words()])
        .collect()
}

/// The columns of a traced matrix: the masks t (DS-3).
pub fn traced_columns(forms: &[TracedLwe]) -> Vec<Vec<u64>> {
    forms.iter().map(|f| f.t.words()).collect()
}

/// The columns as slices, as [`commit_root`] takes them.
pub fn slices(columns: &[Vec<u64>]) -> Vec<&[u64]> {
    columns.iter().map(Vec::as_slice).collect()
}

/// The value at `point` of each column (Horner; what an opening must show).
pub fn evaluate_columns(columns: &[&[u64]], point: Fq2) -> Vec<Fq2> {
    columns
        .par_iter()
        .map(|words| evaluate(words, point))
        .collect()
}

/// The value at `point` of the polynomial with these canonical coefficients.
pub fn evaluate(words: &[u64], point: Fq2) -> Fq2 {
    words
        .iter()
        .rev()
        .fold(Fq2::ZERO, |acc, &w| acc * point + Fq::new(w))
}

fn digest_of(root: &Root) -> Digest {
    Digest(root.roots().first().copied().unwrap_or_default())
}

fn root_of(digest: &Digest) -> Root {
    MerkleCap::new(vec![digest.0])
}

#[cfg(test)]
mod tests;
