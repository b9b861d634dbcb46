//! The listing proof (rule DS-4): the prover's half of
//! `veilbourse_verifier::listing`.
//!
//! Memory: the code words and Merkle trees of every chunk matrix of segments
//! with two or more chunks, 2^log_blowup times their words (RAND: 6 chunks of
//! 50 columns, about 80 MB at blow-up 8). A dataset too large for this, or of
//! more columns than one opening may cover, is refused here before anything
//! is computed; see docs/decisions for how larger ones are to be split.

use crate::{
    ProverError,
    commitment::{Committed, open},
};
use veilbourse_core::manifest::Manifest;
use veilbourse_verifier::{
    Envelope, Kind,
    commitment::FriSet,
    listing::{ListingStatement, listing_transcript},
};

/// Proves that the manifest's sums are sums over its chunks.
/// `chunks[s][c]` are the 2F columns of chunk c of segment s; those of
/// segments with one chunk are not read. Returns the envelope's bytes.
pub fn prove_listing(
    manifest: &Manifest,
    chunks: &[Vec<Vec<&[u64]>>],
) -> Result<Vec<u8>, ProverError> {
    manifest.validate()?;
    let set = FriSet::of(manifest.commitment);
    let statement = ListingStatement {
        dataset: manifest.root(),
    };
    let mut matrices = Vec::new();
    for (s, segment) in manifest.segments.iter().enumerate() {
        if segment.chunks.len() < 2 {
            continue;
        }
        for (c, root) in segment.chunks.iter().enumerate() {
            let columns = chunks
                .get(s)
                .and_then(|segment| segment.get(c))
                .cloned()
                .unwrap_or_default();
            let name = format!("segment {s}, chunk {c}");
            matrices.push(Committed::expecting(set, columns, root, &name)?);
        }
    }
    let body = if matrices.is_empty() {
        Vec::new()
    } else {
        let (mut t, point) = listing_transcript(manifest, &statement.dataset);
        open(&mut t, set, point.0, &matrices)?.encode(set)
    };
    Ok(Envelope {
        kind: Kind::Listing,
        statement: statement.digest(),
        body,
    }
    .encode())
}
