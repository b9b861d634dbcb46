//! The canonical bytes of an opening proof.
//!
//! Every length but one is a function of the parameters and of the opened
//! widths, and is not written: a reader allocates nothing that the verifier
//! did not decide. The exception is the number of sibling digests of a Merkle
//! multi-opening, which depends on the positions drawn; it is written, bounded
//! here by queries times depth, and compared by the FRI verifier with the
//! exact number that the positions imply.

use super::{CommitmentError, FriSet, MAX_OPENED_COLUMNS, RawFriProof};
use crate::field::{Fq, Fq2, fq, fq2, fq2_words};
use p3_field::{PrimeCharacteristicRing, PrimeField64};
use p3_fri::{BatchMultiOpening, CommitPhaseMultiStep};
use p3_merkle_tree::PrunedMerklePaths;
use p3_symmetric::MerkleCap;
use veilbourse_core::wire::{Reader, WireError, Writer};

/// The values of matrices at one point, and the FRI proof for all of them.
#[derive(Clone)]
pub struct OpeningProof {
    /// `values[m][j]`: the value of column j of matrix m.
    pub values: Vec<Vec<Fq2>>,
    /// Plonky3's proof.
    pub fri: RawFriProof,
}

impl std::fmt::Debug for OpeningProof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpeningProof")
            .field("values", &self.values)
            .finish_non_exhaustive()
    }
}

/// Most bytes an opening of matrices of these widths can take.
pub fn max_opening_bytes(set: &FriSet, widths: &[usize]) -> u64 {
    let columns: u64 = widths.iter().map(|w| *w as u64).sum();
    let queries = set.queries as u64;
    let digest = 32;
    let mut bytes = columns * 16 + 8;
    for w in widths {
        bytes += queries * (*w as u64) * 8;
        bytes += 4 + siblings_limit(set, set.log_code_len()) * digest;
    }
    let mut log_height = set.log_code_len();
    for arity in set.schedule() {
        log_height -= arity;
        bytes += digest + 8 + queries * ((1 << arity) - 1) * 16;
        bytes += 4 + siblings_limit(set, log_height) * digest;
    }
    bytes + (1u64 << set.log_final_poly_len) * 16 + 8
}

/// Most sibling digests of one multi-opening of a tree of 2^log_height leaves.
fn siblings_limit(set: &FriSet, log_height: usize) -> u64 {
    (set.queries * log_height) as u64
}

impl OpeningProof {
    /// The canonical bytes. Witnesses of phases without work are not written.
    pub fn encode(&self, set: &FriSet) -> Vec<u8> {
        let mut w = Writer::new();
        for v in self.values.iter().flatten() {
            write_fq2(&mut w, v);
        }
        w.raw(&self.encode_fri(set));
        w.finish()
    }

    /// The canonical bytes of the FRI proof alone: what the transcript absorbs
    /// back (TR-3; the values were absorbed before).
    pub fn encode_fri(&self, set: &FriSet) -> Vec<u8> {
        let fri = &self.fri;
        let mut w = Writer::new();
        if set.batch_pow_bits > 0 {
            w.u64(fri.batch_pow_witness.as_canonical_u64());
        }
        for root in &fri.commit_phase_commits {
            for digest in root.roots() {
                w.raw(digest);
            }
        }
        if set.commit_pow_bits > 0 {
            for x in &fri.commit_pow_witnesses {
                w.u64(x.as_canonical_u64());
            }
        }
        for x in &fri.final_poly {
            write_fq2(&mut w, x);
        }
        if set.query_pow_bits > 0 {
            w.u64(fri.query_pow_witness.as_canonical_u64());
        }
        for opening in &fri.input_openings {
            for x in opening.opened_values.iter().flatten().flatten() {
                w.u64(x.as_canonical_u64());
            }
            write_paths(&mut w, &opening.opening_proof);
        }
        for step in &fri.commit_phase_openings {
            for x in step.sibling_values.iter().flatten() {
                write_fq2(&mut w, x);
            }
            write_paths(&mut w, &step.opening_proof);
        }
        w.finish()
    }

    /// Reads the canonical bytes of an opening of matrices of these widths
    /// (WIRE-2, WIRE-3): the size first, then every field with the length that
    /// the parameters fix, canonical words, no trailing bytes.
    pub fn decode(set: &FriSet, widths: &[usize], bytes: &[u8]) -> Result<Self, CommitmentError> {
        let columns = widths.iter().sum::<usize>();
        if columns > MAX_OPENED_COLUMNS {
            return Err(CommitmentError::TooManyColumns {
                limit: MAX_OPENED_COLUMNS,
                value: columns,
            });
        }
        let limit = max_opening_bytes(set, widths);
        if bytes.len() as u64 > limit {
            return Err(CommitmentError::Wire(WireError::TooLarge {
                field: "opening",
                limit,
                value: bytes.len() as u64,
            }));
        }
        let mut r = Reader::new(bytes);
        let values = widths
            .iter()
            .map(|w| read_fq2s(&mut r, "opening.values", *w))
            .collect::<Result<_, _>>()?;
        let fri = read_fri(set, widths, &mut r)?;
        r.finish("opening")?;
        Ok(Self { values, fri })
    }
}

fn read_fri(set: &FriSet, widths: &[usize], r: &mut Reader<'_>) -> Result<RawFriProof, WireError> {
    let schedule = set.schedule();
    let batch_pow_witness = read_witness(r, "opening.batch_pow", set.batch_pow_bits)?;
    let commit_phase_commits = schedule
        .iter()
        .map(|_| Ok(MerkleCap::new(vec![r.array("opening.commits")?])))
        .collect::<Result<_, WireError>>()?;
    let commit_pow_witnesses = schedule
        .iter()
        .map(|_| read_witness(r, "opening.commit_pow", set.commit_pow_bits))
        .collect::<Result<_, _>>()?;
    let final_poly = read_fq2s(r, "opening.final_poly", 1 << set.log_final_poly_len)?;
    let query_pow_witness = read_witness(r, "opening.query_pow", set.query_pow_bits)?;
    let input_openings = widths
        .iter()
        .map(|width| {
            let opened_values = (0..set.queries)
                .map(|_| Ok(vec![read_fqs(r, "opening.rows", *width)?]))
                .collect::<Result<_, WireError>>()?;
            Ok(BatchMultiOpening {
                opened_values,
                opening_proof: read_paths(r, "opening.paths", set, set.log_code_len())?,
            })
        })
        .collect::<Result<_, WireError>>()?;
    let mut log_height = set.log_code_len();
    let commit_phase_openings = schedule
        .iter()
        .map(|arity| {
            log_height -= arity;
            let sibling_values = (0..set.queries)
                .map(|_| read_fq2s(r, "opening.siblings", (1 << arity) - 1))
                .collect::<Result<_, _>>()?;
            Ok(CommitPhaseMultiStep {
                sibling_values,
                opening_proof: read_paths(r, "opening.fold_paths", set, log_height)?,
            })
        })
        .collect::<Result<_, WireError>>()?;
    Ok(RawFriProof {
        batch_pow_witness,
        commit_phase_commits,
        commit_pow_witnesses,
        input_openings,
        commit_phase_openings,
        final_poly,
        query_pow_witness,
    })
}

fn write_fq2(w: &mut Writer, x: &Fq2) {
    for word in fq2_words(x) {
        w.u64(word);
    }
}

fn write_paths(w: &mut Writer, paths: &PrunedMerklePaths<u8, 32>) {
    w.len(paths.sibling_hashes.len());
    for h in &paths.sibling_hashes {
        w.raw(h);
    }
}

fn read_fq(r: &mut Reader<'_>, field: &'static str) -> Result<Fq, WireError> {
    let word = r.u64(field)?;
    fq(word).ok_or_else(|| WireError::Invalid {
        field,
        reason: format!("word {word} is not below q"),
    })
}

fn read_fqs(r: &mut Reader<'_>, field: &'static str, n: usize) -> Result<Vec<Fq>, WireError> {
    (0..n).map(|_| read_fq(r, field)).collect()
}

fn read_fq2s(r: &mut Reader<'_>, field: &'static str, n: usize) -> Result<Vec<Fq2>, WireError> {
    (0..n)
        .map(|_| Ok(fq2(read_fq(r, field)?, read_fq(r, field)?)))
        .collect()
}

/// A proof-of-work witness; zero, unwritten, where the phase has no work.
fn read_witness(r: &mut Reader<'_>, field: &'static str, bits: usize) -> Result<Fq, WireError> {
    if bits == 0 {
        Ok(Fq::ZERO)
    } else {
        read_fq(r, field)
    }
}

fn read_paths(
    r: &mut Reader<'_>,
    field: &'static str,
    set: &FriSet,
    log_height: usize,
) -> Result<PrunedMerklePaths<u8, 32>, WireError> {
    let limit = u32::try_from(siblings_limit(set, log_height)).unwrap_or(u32::MAX);
    let n = r.len(field, limit)?;
    Ok(PrunedMerklePaths {
        sibling_hashes: (0..n).map(|_| r.array(field)).collect::<Result<_, _>>()?,
    })
}
