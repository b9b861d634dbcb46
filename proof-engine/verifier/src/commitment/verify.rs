//! Checks an opening proof against commitments (rules DS-2, TR-3).

use super::{Challenger, CommitmentError, FriSet, LOG_ROWS, OpeningProof, Pcs, root_of};
use crate::{
    field::{Fq, Fq2, fq2_is_extension, fq2_words},
    transcript::{FriSeed, Transcript},
};
use p3_blake3::Blake3;
use p3_commit::{CommitmentOpening, MatrixOpening, Pcs as _, PointOpening};
use p3_field::{PrimeCharacteristicRing, coset::TwoAdicMultiplicativeCoset};
use veilbourse_core::digest::Digest;

/// A matrix that an opening is about: its commitment and number of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The commitment.
    pub root: Digest,
    /// Number of columns.
    pub width: usize,
}

/// Values that were shown to be those of the committed columns at a point.
/// Made by [`verify_opening`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    values: Vec<Vec<Fq2>>,
}

impl Opened {
    /// `values()[m][j]`: column j of matrix m.
    pub fn values(&self) -> &[Vec<Fq2>] {
        &self.values
    }
    /// The values of the first matrix.
    pub fn into_first(self) -> Vec<Fq2> {
        self.values.into_iter().next().unwrap_or_default()
    }
}

/// Absorbs what an opening claims (roots, point, widths, values): the same
/// call on both sides, before the FRI seed is drawn (TR-4).
pub fn absorb_claims(t: &mut Transcript, point: Fq2, claims: &[Claim], values: &[Vec<Fq2>]) {
    t.absorb_u64("opening matrices", claims.len() as u64);
    for c in claims {
        t.absorb_digest("opening root", &c.root);
        t.absorb_u64("opening width", c.width as u64);
    }
    t.absorb_words("opening point", &fq2_words(&point));
    for v in values {
        t.absorb_fq2("opening values", v);
    }
}

/// The Plonky3 challenger seeded from the transcript (TR-3).
pub fn fri_challenger(t: &mut Transcript) -> Challenger {
    let FriSeed(seed) = t.challenge();
    Challenger::from_hasher(seed.to_vec(), Blake3)
}

/// Checks that the proof's values are those at `point` of the columns behind
/// `claims`, and returns them. The transcript must have absorbed whatever the
/// point depends on; on return it has absorbed the whole proof.
///
/// The relation is the unique-decoding one: each committed word is within half
/// the distance of exactly one polynomial of degree at most [`super::ROWS`],
/// fixed by the commitment before the point was drawn, and the value is that
/// polynomial's. (List decoding would allow fewer queries, but then a value
/// could belong to any polynomial of a list: nothing would be bound.)
pub fn verify_opening(
    t: &mut Transcript,
    set: &FriSet,
    point: Fq2,
    claims: &[Claim],
    proof: OpeningProof,
) -> Result<Opened, CommitmentError> {
    if !fq2_is_extension(&point) {
        return Err(CommitmentError::Point);
    }
    check_shape(set, claims, &proof)?;
    absorb_claims(t, point, claims, &proof.values);
    let mut challenger = fri_challenger(t);
    let Some(domain) = TwoAdicMultiplicativeCoset::new(Fq::ONE, LOG_ROWS) else {
        return Err(CommitmentError::Fri("no domain of this size".into()));
    };
    let openings = claims
        .iter()
        .zip(&proof.values)
        .map(|(claim, values)| CommitmentOpening {
            commitment: root_of(&claim.root),
            matrices: vec![MatrixOpening {
                domain,
                points: vec![PointOpening {
                    point,
                    values: values.clone(),
                }],
            }],
        })
        .collect();
    let pcs: Pcs = set.pcs();
    pcs.verify(openings, &proof.fri, &mut challenger)
        .map_err(|e| CommitmentError::Fri(e.to_string()))?;
    t.absorb("fri proof", &proof.encode_fri(set));
    Ok(Opened {
        values: proof.values,
    })
}

/// What [`OpeningProof::decode`] guarantees, checked again for proofs that
/// were built in memory: no length reaches Plonky3 that the parameters do not
/// fix.
fn check_shape(
    set: &FriSet,
    claims: &[Claim],
    proof: &OpeningProof,
) -> Result<(), CommitmentError> {
    let shape = |matrix, expected, found| {
        if expected == found {
            Ok(())
        } else {
            Err(CommitmentError::Shape {
                matrix,
                expected,
                found,
            })
        }
    };
    if claims.is_empty() {
        return Err(CommitmentError::NoColumns { matrix: 0 });
    }
    let columns: usize = claims.iter().map(|c| c.width).sum();
    if columns > super::MAX_OPENED_COLUMNS {
        return Err(CommitmentError::TooManyColumns {
            limit: super::MAX_OPENED_COLUMNS,
            value: columns,
        });
    }
    shape(0, claims.len(), proof.values.len())?;
    shape(0, claims.len(), proof.fri.input_openings.len())?;
    for (m, (claim, values)) in claims.iter().zip(&proof.values).enumerate() {
        if claim.width == 0 {
            return Err(CommitmentError::NoColumns { matrix: m });
        }
        shape(m, claim.width, values.len())?;
    }
    for (m, (claim, opening)) in claims.iter().zip(&proof.fri.input_openings).enumerate() {
        shape(m, set.queries, opening.opened_values.len())?;
        for rows in &opening.opened_values {
            shape(m, 1, rows.len())?;
            for row in rows {
                shape(m, claim.width, row.len())?;
            }
        }
    }
    let rounds = set.schedule().len();
    shape(0, rounds, proof.fri.commit_phase_commits.len())?;
    shape(0, rounds, proof.fri.commit_pow_witnesses.len())?;
    shape(0, rounds, proof.fri.commit_phase_openings.len())?;
    for root in &proof.fri.commit_phase_commits {
        shape(0, 1, root.num_roots())?;
    }
    shape(0, 1 << set.log_final_poly_len, proof.fri.final_poly.len())
}
