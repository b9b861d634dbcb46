//! Verifies a listing proof (DS-4).
//!
//! The verifier holds the manifest and the published sums (words). It
//! recomputes the sums' roots, the traced masks' roots and the traced bodies:
//! those are exact. Left to prove is that the sums are sums of the committed
//! chunks: every chunk matrix of a segment with two or more chunks is opened
//! at one point drawn after all roots (they are under D), and the opened
//! values must add up to the sums evaluated there. A segment of one chunk
//! needs no opening: its sum has the chunk's root.
//!
//! Memory: one matrix's code words at a time, besides the proof.

use crate::{
    Refusal, challenge_type,
    commitment::{
        Claim, FriSet, MAX_OPENED_COLUMNS, OpeningProof, commit_root, evaluate_columns,
        glwe_columns, max_opening_bytes, slices, traced_columns, verify_opening,
    },
    envelope::{Envelope, Kind, Verified},
    field::{Fq2, fq2_is_extension},
    transcript::Transcript,
};
use veilbourse_core::{
    ciphertext::SumData,
    digest::{Digest, Domain},
    manifest::{CommitmentParamsId, DataParamsId, Manifest},
    wire::Writer,
};

challenge_type!(
    /// The point at which all chunk matrices are opened.
    ListingPoint, "listing point", Fq2
);

/// What a listing proof shows: the dataset of this root has honest sums and
/// traced forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListingStatement {
    /// D.
    pub dataset: Digest,
}

impl ListingStatement {
    /// The digest that the envelope names.
    pub fn digest(&self) -> Digest {
        let Self { dataset } = self;
        let mut w = Writer::new();
        w.raw(&dataset.0);
        Digest::of(
            Domain::Other("veilbourse v1 listing statement"),
            &w.finish(),
        )
    }
}

/// The matrices that the proof opens, in order: every chunk of every segment
/// with at least two chunks.
pub fn listing_claims(manifest: &Manifest) -> Vec<Claim> {
    let width = 2 * manifest.columns.len();
    manifest
        .segments
        .iter()
        .filter(|s| s.chunks.len() > 1)
        .flat_map(|s| {
            s.chunks
                .iter()
                .map(move |root| Claim { root: *root, width })
        })
        .collect()
}

/// Most bytes the body can take (first gate).
pub fn listing_body_limit(set: &FriSet, claims: &[Claim]) -> u64 {
    if claims.is_empty() {
        0
    } else {
        let widths: Vec<_> = claims.iter().map(|c| c.width).collect();
        max_opening_bytes(set, &widths)
    }
}

/// The transcript up to the point: tag, parameter ids, D (which covers every
/// root and every traced body).
pub fn listing_transcript(manifest: &Manifest, dataset: &Digest) -> (Transcript, ListingPoint) {
    let mut t = Transcript::new("veilbourse listing v1");
    let DataParamsId::Data4096Tu3V1 = manifest.params;
    t.absorb("data parameters", b"data-4096-tu3-v1");
    let CommitmentParamsId::FriBlake3V1 = manifest.commitment;
    t.absorb("commitment parameters", b"fri-blake3-v1");
    t.absorb_digest("dataset", dataset);
    let point = t.challenge_where(|p: &ListingPoint| fq2_is_extension(&p.0));
    (t, point)
}

/// Verifies that the published sums are the sums over the chunks that the
/// manifest commits to, and that traced roots and bodies are those of the sums.
pub fn verify_listing(
    manifest: &Manifest,
    sums: &[SumData],
    envelope: &[u8],
) -> Result<Verified<ListingStatement>, Refusal> {
    manifest.validate().map_err(Refusal::Manifest)?;
    let set = FriSet::of(manifest.commitment);
    let statement = ListingStatement {
        dataset: manifest.root(),
    };
    let claims = listing_claims(manifest);
    let opened_columns: usize = claims.iter().map(|c| c.width).sum();
    if opened_columns > MAX_OPENED_COLUMNS {
        return Err(Refusal::Opening(
            crate::commitment::CommitmentError::TooManyColumns {
                limit: MAX_OPENED_COLUMNS,
                value: opened_columns,
            },
        ));
    }
    let limit = listing_body_limit(set, &claims);
    let body = Envelope::expect(envelope, Kind::Listing, &statement.digest(), limit)?.body;
    check_sums(manifest, set, sums)?;
    if !claims.is_empty() {
        let widths: Vec<_> = claims.iter().map(|c| c.width).collect();
        let proof = OpeningProof::decode(set, &widths, &body)?;
        let (mut t, point) = listing_transcript(manifest, &statement.dataset);
        let opened = verify_opening(&mut t, set, point.0, &claims, proof)?;
        check_values(manifest, sums, point, opened.values())?;
    }
    Ok(Verified::new(statement, Envelope::digest(envelope)))
}

/// The exact part: roots of sums and traced masks, traced bodies.
fn check_sums(manifest: &Manifest, set: &FriSet, sums: &[SumData]) -> Result<(), Refusal> {
    let columns = manifest.columns.len();
    for s in 0..manifest.segments.len().max(sums.len()) {
        let found = sums.get(s).map_or(0, |s| s.columns.len());
        if found != columns || s >= manifest.segments.len() {
            return Err(Refusal::SumShape {
                segment: s,
                expected: columns,
                found,
            });
        }
    }
    for (s, (segment, sum)) in manifest.segments.iter().zip(sums).enumerate() {
        let found = commit_root(set, &slices(&glwe_columns(&sum.columns)))?;
        if found != segment.sum {
            return Err(Refusal::SumRoot {
                segment: s,
                expected: segment.sum,
                found,
            });
        }
        if let [only] = segment.chunks.as_slice()
            && *only != found
        {
            return Err(Refusal::SumOfOneChunk {
                segment: s,
                expected: *only,
                found,
            });
        }
        let traced = sum.trace();
        for (column, (form, found)) in traced.iter().zip(&segment.traced_bodies).enumerate() {
            if form.b.word() != *found {
                return Err(Refusal::TracedBody {
                    segment: s,
                    column,
                    expected: form.b.word(),
                    found: *found,
                });
            }
        }
        let found = commit_root(set, &slices(&traced_columns(&traced)))?;
        if found != segment.traced {
            return Err(Refusal::TracedRoot {
                segment: s,
                expected: segment.traced,
                found,
            });
        }
    }
    Ok(())
}

/// At the point, the chunks' values add up to the sums'.
fn check_values(
    manifest: &Manifest,
    sums: &[SumData],
    point: ListingPoint,
    values: &[Vec<Fq2>],
) -> Result<(), Refusal> {
    let mut rest = values;
    for (s, (segment, sum)) in manifest.segments.iter().zip(sums).enumerate() {
        if segment.chunks.len() < 2 {
            continue;
        }
        let Some((chunks, after)) = rest.split_at_checked(segment.chunks.len()) else {
            return Err(Refusal::SumOfChunks {
                segment: s,
                column: 0,
            });
        };
        rest = after;
        let expected = evaluate_columns(&slices(&glwe_columns(&sum.columns)), point.0);
        for (column, expected) in expected.iter().enumerate() {
            let total: Fq2 = chunks.iter().filter_map(|c| c.get(column).copied()).sum();
            if total != *expected {
                return Err(Refusal::SumOfChunks { segment: s, column });
            }
        }
    }
    Ok(())
}
