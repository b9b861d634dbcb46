//! Openings of committed matrices at one point (rules DS-2, DS-4, TR-3): the
//! prover's half of `veilbourse_verifier::commitment`.

use crate::ProverError;
use p3_commit::{OpeningRequest, Pcs as _};
use veilbourse_core::digest::Digest;
use veilbourse_verifier::{
    commitment::{
        Claim, CommitmentError, CommittedMatrix, FriSet, MAX_OPENED_COLUMNS, OpeningProof, Pcs,
        absorb_claims, commit, evaluate_columns, fri_challenger,
    },
    field::{Fq2, fq2_is_extension},
    transcript::Transcript,
};

/// A matrix with its code words and Merkle tree, ready to be opened.
///
/// Memory: 2^log_blowup times the matrix.
pub struct Committed<'a> {
    columns: Vec<&'a [u64]>,
    root: Digest,
    tree: CommittedMatrix,
}

impl<'a> Committed<'a> {
    /// Commits to the columns (canonical words, coefficient form).
    pub fn new(set: &FriSet, columns: Vec<&'a [u64]>) -> Result<Self, ProverError> {
        let (root, tree) = commit(set, &columns)?;
        Ok(Self {
            columns,
            root,
            tree,
        })
    }

    /// As [`Committed::new`], refusing words that are not the committed ones.
    pub fn expecting(
        set: &FriSet,
        columns: Vec<&'a [u64]>,
        root: &Digest,
        matrix: &str,
    ) -> Result<Self, ProverError> {
        let committed = Self::new(set, columns)?;
        if committed.root == *root {
            Ok(committed)
        } else {
            Err(ProverError::Root {
                matrix: matrix.to_owned(),
                expected: root.to_string(),
                found: committed.root.to_string(),
            })
        }
    }

    /// The commitment.
    pub fn root(&self) -> Digest {
        self.root
    }

    /// What a verifier needs to know of the matrix.
    pub fn claim(&self) -> Claim {
        Claim {
            root: self.root,
            width: self.columns.len(),
        }
    }
}

/// Opens all matrices at `point`. The transcript must have absorbed whatever
/// the point depends on; on return it has absorbed the whole proof.
pub fn open(
    t: &mut Transcript,
    set: &FriSet,
    point: Fq2,
    matrices: &[Committed<'_>],
) -> Result<OpeningProof, ProverError> {
    if !fq2_is_extension(&point) {
        return Err(CommitmentError::Point.into());
    }
    let columns: usize = matrices.iter().map(|m| m.columns.len()).sum();
    if columns > MAX_OPENED_COLUMNS {
        return Err(CommitmentError::TooManyColumns {
            limit: MAX_OPENED_COLUMNS,
            value: columns,
        }
        .into());
    }
    let values: Vec<Vec<Fq2>> = matrices
        .iter()
        .map(|m| evaluate_columns(&m.columns, point))
        .collect();
    let claims: Vec<Claim> = matrices.iter().map(Committed::claim).collect();
    absorb_claims(t, point, &claims, &values);
    let mut challenger = fri_challenger(t);
    let requests = matrices
        .iter()
        .map(|m| OpeningRequest {
            prover_data: &m.tree,
            points: vec![vec![point]],
        })
        .collect();
    let pcs: Pcs = set.pcs();
    let (_, fri) = pcs
        .open(requests, &mut challenger)
        .map_err(|e| ProverError::Fri(e.to_string()))?;
    let proof = OpeningProof { values, fri };
    t.absorb("fri proof", &proof.encode_fri(set));
    Ok(proof)
}
