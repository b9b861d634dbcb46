//! FRI: candidate settings of docs/decisions/0010, and the listing proof of a
//! table of RAND's shape. The reference of each ratio is the commitment to the
//! same columns in the same run.
//!
//! `cargo bench -p veilbourse-prover --bench openings`

#![allow(clippy::print_stdout)] // a measurement for people
#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Instant;
use support::{Dataset, slices};
use veilbourse_prover::{
    commitment::{Committed, open},
    listing::prove_listing,
};
use veilbourse_verifier::{
    challenge_type,
    commitment::{FRI_BLAKE3_V1, FriSet, OpeningProof, glwe_columns, verify_opening},
    field::{Fq2, fq2_words},
    listing::verify_listing,
    transcript::Transcript,
};

challenge_type!(
    /// The point opened.
    Point, "point", Fq2
);

fn start(root: &veilbourse_core::digest::Digest) -> (Transcript, Fq2) {
    let mut t = Transcript::new("opening bench v1");
    t.absorb_digest("root", root);
    let Point(point) = t.challenge_where(|p: &Point| fq2_words(&p.0)[1] != 0);
    (t, point)
}

fn settings(d: &Dataset) {
    println!(
        "| blow-up | queries | arity, final length | columns | commit, ms | open / commit | verify, ms | bytes |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let all: Vec<Vec<u64>> = glwe_columns(&d.chunks[0][0]);
    for (log_blowup, queries, log_arity, log_final_poly_len) in [
        (1, 159, 3, 9),
        (2, 119, 3, 9),
        (3, 98, 3, 9),
        (3, 98, 3, 6),
        (3, 98, 4, 8),
        (4, 88, 3, 9),
    ] {
        let set = FriSet {
            log_blowup,
            queries,
            log_arity,
            log_final_poly_len,
            ..FRI_BLAKE3_V1
        };
        for width in [32, 64, 128] {
            let at = Instant::now();
            let m = [Committed::new(&set, slices(&all[..width])).expect("columns")];
            let commit = at.elapsed().as_secs_f64();
            let claims = [m[0].claim()];
            let (mut t, point) = start(&claims[0].root);
            let at = Instant::now();
            let bytes = open(&mut t, &set, point, &m).expect("opens").encode(&set);
            let opened = at.elapsed().as_secs_f64();
            let at = Instant::now();
            let proof = OpeningProof::decode(&set, &[width], &bytes).expect("decodes");
            let (mut t, point) = start(&claims[0].root);
            verify_opening(&mut t, &set, point, &claims, proof).expect("verifies");
            println!(
                "| {} | {queries} | {}, {} | {width} | {:.0} | {:.2} | {:.1} | {} |",
                1 << log_blowup,
                1 << log_arity,
                1 << log_final_poly_len,
                commit * 1e3,
                opened / commit,
                at.elapsed().as_secs_f64() * 1e3,
                bytes.len()
            );
        }
    }
}

fn listing() {
    println!(
        "\n| rows by segment, 25 columns | commit all, s | prove / commit | verify, ms | bytes |"
    );
    println!("|---|---|---|---|---|");
    for rows in [&[20_190u64][..], &[7000, 5000, 4500, 3690]] {
        let at = Instant::now();
        let d = Dataset::new(25, rows, 1);
        let commit = at.elapsed().as_secs_f64();
        let chunks: Vec<Vec<Vec<&[u64]>>> = d
            .chunk_columns
            .iter()
            .map(|s| s.iter().map(|c| slices(c)).collect())
            .collect();
        let at = Instant::now();
        let envelope = prove_listing(&d.manifest, &chunks).expect("proves");
        let prove = at.elapsed().as_secs_f64();
        let at = Instant::now();
        verify_listing(&d.manifest, &d.sums, &envelope).expect("verifies");
        println!(
            "| {rows:?} | {commit:.2} | {:.2} | {:.1} | {} |",
            prove / commit,
            at.elapsed().as_secs_f64() * 1e3,
            envelope.len()
        );
    }
}

fn main() {
    settings(&Dataset::new(64, &[4096], 3));
    listing();
}
