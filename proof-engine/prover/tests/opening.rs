//! Openings end to end: honest ones verify, tampered ones are refused by the
//! rule that they break, and nothing panics (DS-2, TR-3, WIRE-2..4).

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use veilbourse_core::{digest::Digest, field::MODULUS, wire::WireError};
use veilbourse_prover::commitment::{Committed, open};
use veilbourse_verifier::{
    challenge_type,
    commitment::{
        Claim, CommitmentError, FRI_BLAKE3_V1, FriSet, OpeningProof, ROWS, max_opening_bytes,
        verify_opening,
    },
    field::{Fq2, fq2_words},
    transcript::Transcript,
};

challenge_type!(
    /// The point opened.
    Point, "point", Fq2
);

/// Few queries and little work: the code paths of the real set, fast.
const QUICK: FriSet = FriSet {
    queries: 12,
    batch_pow_bits: 2,
    query_pow_bits: 2,
    ..FRI_BLAKE3_V1
};

fn columns(width: usize, seed: u64) -> Vec<Vec<u64>> {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    (0..width)
        .map(|_| (0..ROWS).map(|_| rng.random_range(0..MODULUS)).collect())
        .collect()
}

fn slices(columns: &[Vec<u64>]) -> Vec<&[u64]> {
    columns.iter().map(Vec::as_slice).collect()
}

fn start(claims: &[Claim]) -> (Transcript, Fq2) {
    let mut t = Transcript::new("opening test v1");
    for c in claims {
        t.absorb_digest("root", &c.root);
    }
    let Point(point) = t.challenge_where(|p: &Point| fq2_words(&p.0)[1] != 0);
    (t, point)
}

fn prove(set: &FriSet, widths: &[usize]) -> (Vec<Claim>, Vec<u8>) {
    let data: Vec<_> = widths
        .iter()
        .enumerate()
        .map(|(i, w)| columns(*w, i as u64))
        .collect();
    let matrices: Vec<_> = data
        .iter()
        .map(|d| Committed::new(set, slices(d)).unwrap())
        .collect();
    let claims: Vec<_> = matrices.iter().map(Committed::claim).collect();
    let (mut t, point) = start(&claims);
    let proof = open(&mut t, set, point, &matrices).unwrap();
    (claims, proof.encode(set))
}

fn check(set: &FriSet, claims: &[Claim], bytes: &[u8]) -> Result<Transcript, CommitmentError> {
    let widths: Vec<_> = claims.iter().map(|c| c.width).collect();
    let proof = OpeningProof::decode(set, &widths, bytes)?;
    let (mut t, point) = start(claims);
    verify_opening(&mut t, set, point, claims, proof)?;
    Ok(t)
}

#[test]
fn honest_openings_verify_and_continue_one_transcript() {
    for widths in [&[1][..], &[3], &[2, 5, 1]] {
        let data: Vec<_> = widths.iter().map(|w| columns(*w, 7)).collect();
        let matrices: Vec<_> = data
            .iter()
            .map(|d| Committed::new(&FRI_BLAKE3_V1, slices(d)).unwrap())
            .collect();
        let claims: Vec<_> = matrices.iter().map(Committed::claim).collect();
        let (mut prover, point) = start(&claims);
        let proof = open(&mut prover, &FRI_BLAKE3_V1, point, &matrices).unwrap();
        let bytes = proof.encode(&FRI_BLAKE3_V1);
        assert!(bytes.len() as u64 <= max_opening_bytes(&FRI_BLAKE3_V1, widths));
        let verifier = check(&FRI_BLAKE3_V1, &claims, &bytes).unwrap();
        assert_eq!(prover, verifier, "TR-3: both sides end in the same state");
        // The values are those of the polynomials.
        for (d, v) in data.iter().zip(&proof.values) {
            let expected = veilbourse_verifier::commitment::evaluate_columns(&slices(d), point);
            assert_eq!(&expected, v);
        }
    }
}

#[test]
fn every_byte_counts() {
    let (claims, bytes) = prove(&QUICK, &[2]);
    check(&QUICK, &claims, &bytes).unwrap();
    let mut rng = ChaCha12Rng::seed_from_u64(9);
    // Every byte of the small fields, a sample of the rest.
    let head = 16 * 2 + 8 + 32;
    let sampled: Vec<_> = (0..300)
        .map(|_| rng.random_range(head..bytes.len()))
        .collect();
    let positions = (0..head).chain(sampled);
    for at in positions {
        let mut bad = bytes.clone();
        bad[at] ^= 1 << rng.random_range(0..8);
        assert!(
            check(&QUICK, &claims, &bad).is_err(),
            "a flip at byte {at} of {} was accepted",
            bytes.len()
        );
    }
}

#[test]
fn truncations_and_trailing_bytes_are_refused_by_name() {
    let (claims, bytes) = prove(&QUICK, &[2]);
    let mut rng = ChaCha12Rng::seed_from_u64(10);
    for cut in (0..80).chain((0..100).map(|_| rng.random_range(0..bytes.len()))) {
        assert!(
            matches!(
                check(&QUICK, &claims, &bytes[..cut]),
                Err(CommitmentError::Wire(WireError::Truncated { .. }))
            ),
            "cut at {cut}"
        );
    }
    let mut long = bytes.clone();
    long.push(0);
    assert_eq!(
        check(&QUICK, &claims, &long).unwrap_err(),
        CommitmentError::Wire(WireError::Trailing {
            field: "opening",
            extra: 1
        })
    );
    let limit = max_opening_bytes(&QUICK, &[2]);
    assert_eq!(
        check(&QUICK, &claims, &vec![0; limit as usize + 1]).unwrap_err(),
        CommitmentError::Wire(WireError::TooLarge {
            field: "opening",
            limit,
            value: limit + 1
        })
    );
}

#[test]
fn words_of_q_or_more_are_refused() {
    let (claims, bytes) = prove(&QUICK, &[2]);
    // First word of the values, of the witness, of the final polynomial, of the rows.
    let rows = 32 + 8 + 32 + (16 << QUICK.log_final_poly_len) + 8;
    for (at, field) in [
        (0, "opening.values"),
        (32, "opening.batch_pow"),
        (32 + 8 + 32, "opening.final_poly"),
        (rows - 8, "opening.query_pow"),
        (rows, "opening.rows"),
    ] {
        let mut bad = bytes.clone();
        bad[at..at + 8].copy_from_slice(&MODULUS.to_le_bytes());
        match check(&QUICK, &claims, &bad).unwrap_err() {
            CommitmentError::Wire(WireError::Invalid { field: f, .. }) => assert_eq!(f, field),
            other => panic!("{field}: {other}"),
        }
    }
}

#[test]
fn path_counts_are_bounded_and_exact() {
    let (claims, bytes) = prove(&QUICK, &[2]);
    let at = 32 + 8 + 32 + (16 << QUICK.log_final_poly_len) + 8 + QUICK.queries * 16;
    let n = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert!(n as usize <= QUICK.queries * QUICK.log_code_len());
    let mut bad = bytes.clone();
    bad[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(
        check(&QUICK, &claims, &bad).unwrap_err(),
        CommitmentError::Wire(WireError::TooLarge {
            field: "opening.paths",
            ..
        })
    ));
    // One sibling more or fewer than the positions imply is FRI's refusal.
    let end = at + 4 + 32 * n as usize;
    let mut more = bytes.clone();
    more[at..at + 4].copy_from_slice(&(n + 1).to_le_bytes());
    more.splice(end..end, [0u8; 32]);
    assert!(matches!(
        check(&QUICK, &claims, &more).unwrap_err(),
        CommitmentError::Fri(_)
    ));
    let mut fewer = bytes.clone();
    fewer[at..at + 4].copy_from_slice(&(n - 1).to_le_bytes());
    fewer.drain(end - 32..end);
    assert!(matches!(
        check(&QUICK, &claims, &fewer).unwrap_err(),
        CommitmentError::Fri(_)
    ));
}

#[test]
fn another_commitment_or_point_is_refused() {
    let (claims, bytes) = prove(&QUICK, &[2, 2]);
    check(&QUICK, &claims, &bytes).unwrap();
    let swapped = [claims[1], claims[0]];
    assert!(matches!(
        check(&QUICK, &swapped, &bytes),
        Err(CommitmentError::Fri(_))
    ));
    let other = [
        claims[0],
        Claim {
            root: Digest([7; 32]),
            ..claims[1]
        },
    ];
    assert!(matches!(
        check(&QUICK, &other, &bytes),
        Err(CommitmentError::Fri(_))
    ));
    // The same proof under another transcript (replay).
    let widths = [2, 2];
    let proof = OpeningProof::decode(&QUICK, &widths, &bytes).unwrap();
    let (_, point) = start(&claims);
    let mut t = Transcript::new("another protocol");
    assert!(matches!(
        verify_opening(&mut t, &QUICK, point, &claims, proof.clone()),
        Err(CommitmentError::Fri(_))
    ));
    // A point of the base field is refused before anything else (LES-4).
    let mut t = Transcript::new("opening test v1");
    let base = Fq2::from(veilbourse_verifier::field::Fq::new(5));
    assert_eq!(
        verify_opening(&mut t, &QUICK, base, &claims, proof).unwrap_err(),
        CommitmentError::Point
    );
}

#[test]
fn other_parameters_are_refused() {
    // The verifier owns the parameters: a proof made with less is no proof.
    let weaker = FriSet {
        query_pow_bits: 1,
        ..QUICK
    };
    let (claims, bytes) = prove(&weaker, &[2]);
    check(&weaker, &claims, &bytes).unwrap();
    assert!(check(&QUICK, &claims, &bytes).is_err());
    let fewer = FriSet {
        queries: 11,
        ..QUICK
    };
    let (claims, bytes) = prove(&fewer, &[2]);
    assert!(check(&QUICK, &claims, &bytes).is_err());
}

#[test]
fn proofs_built_in_memory_meet_the_same_shape_gate() {
    let (claims, bytes) = prove(&QUICK, &[2]);
    let good = OpeningProof::decode(&QUICK, &[2], &bytes).unwrap();
    let refuse = |edit: &dyn Fn(&mut OpeningProof)| {
        let mut p = good.clone();
        edit(&mut p);
        let (mut t, point) = start(&claims);
        verify_opening(&mut t, &QUICK, point, &claims, p).unwrap_err()
    };
    let edits: [&dyn Fn(&mut OpeningProof); 9] = [
        &|p| p.values.clear(),
        &|p| p.values[0].truncate(1),
        &|p| p.fri.input_openings.clear(),
        &|p| p.fri.input_openings[0].opened_values.truncate(3),
        &|p| p.fri.input_openings[0].opened_values[0].clear(),
        &|p| p.fri.input_openings[0].opened_values[0][0].truncate(1),
        &|p| p.fri.commit_phase_commits.clear(),
        &|p| p.fri.commit_phase_openings.clear(),
        &|p| p.fri.final_poly.truncate(4),
    ];
    for (i, edit) in edits.iter().enumerate() {
        assert!(
            matches!(refuse(edit), CommitmentError::Shape { .. }),
            "edit {i}"
        );
    }
    // Inner lengths of the folding rounds are Plonky3's typed refusals.
    let inner: [&dyn Fn(&mut OpeningProof); 3] = [
        &|p| p.fri.commit_phase_openings[0].sibling_values.truncate(2),
        &|p| p.fri.commit_phase_openings[0].sibling_values[0].truncate(2),
        &|p| {
            p.fri.commit_phase_openings[0]
                .opening_proof
                .sibling_hashes
                .clear()
        },
    ];
    for edit in inner {
        assert!(matches!(refuse(edit), CommitmentError::Fri(_)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        let claims = [Claim { root: Digest([1; 32]), width: 1 }];
        prop_assert!(check(&QUICK, &claims, &bytes).is_err());
    }
}
