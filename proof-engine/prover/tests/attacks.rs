//! Structural attacks on the proofs of linear statements and listings: provers
//! that do not follow the protocol, and proofs moved to where they do not
//! belong. (That every single field counts is tested beside each piece.)
//!
//! Some attacks use a [`Mute`] circuit: a verifying key of the right shape whose
//! circuit says nothing. Whatever is refused under it is refused by statement
//! and transcript alone.

#[path = "attacks/circuit.rs"]
mod circuit;
#[path = "attacks/marlin.rs"]
mod marlin;
#[path = "attacks/mute.rs"]
mod mute;
mod support;

use p3_commit::{OpeningRequest, Pcs as _};
use p3_field::{Field as _, PrimeField64};
use support::{Dataset, TRACED, evaluated_on, recorded, slices};
use veilbourse_core::{
    ciphertext::OutputCiphertext, digest::Digest, field::MODULUS, program::MatrixRef,
};
use veilbourse_prover::{
    ProverError,
    commitment::{Committed, open},
};
use veilbourse_verifier::{
    Envelope, Kind, Refusal,
    commitment::{
        Claim, CommitmentError, FRI_BLAKE3_V1, OpeningProof, Pcs, ROWS, absorb_claims, commit,
        evaluate_columns, fri_challenger,
    },
    field::{Fq, Fq2, Fr, fq2},
    linear::{LinearStatement, equation, output_words, verify_linear},
    listing::{ListingStatement, listing_transcript, verify_listing},
    transcript::Transcript,
};

const SECOND: MatrixRef = MatrixRef::Traced { segment: 1 };
const WEIGHTS: [i64; 5] = [3, -700, 1 << 23, -(1 << 39), 7];

fn public(d: &Dataset, over: MatrixRef) -> LinearStatement {
    d.public_statement(over, &WEIGHTS, 1, 0)
}

fn envelope(statement: &LinearStatement, proof: &OpeningProof) -> Vec<u8> {
    Envelope {
        kind: Kind::Linear,
        statement: statement.digest(),
        body: proof.encode(&FRI_BLAKE3_V1),
    }
    .encode()
}

fn refusal(d: &Dataset, statement: &LinearStatement, proof: &OpeningProof) -> Refusal {
    let bytes = envelope(statement, proof);
    verify_linear(statement.clone(), &d.manifest, None, &bytes).unwrap_err()
}

fn is_fri(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Opening(CommitmentError::Fri(_)))
}

/// Opens a real tree, having claimed whatever roots and values one likes.
fn open_lying(
    t: &mut Transcript,
    point: Fq2,
    columns: &[&[u64]],
    claims: &[Claim],
    values: Vec<Vec<Fq2>>,
) -> OpeningProof {
    let (_, tree) = commit(&FRI_BLAKE3_V1, columns).unwrap();
    absorb_claims(t, point, claims, &values);
    let mut challenger = fri_challenger(t);
    let pcs: Pcs = FRI_BLAKE3_V1.pcs();
    let request = OpeningRequest {
        prover_data: &tree,
        points: vec![vec![point]],
    };
    let (_, fri) = pcs.open(vec![request], &mut challenger).unwrap();
    OpeningProof { values, fri }
}

#[test]
fn values_chosen_to_satisfy_the_equation_are_not_the_columns() {
    // LES-3: A is false, and one claimed value makes up for it.
    let d = Dataset::new(3, &[300], 72);
    let mut s = public(&d, TRACED);
    support::bump(&mut s.ciphertext, 5);
    let matrix = s.conform(&d.manifest).unwrap();
    let (mut t, zeta) = s.transcript(&d.manifest, &matrix, None);
    let columns = d.columns(TRACED);
    let mut values = evaluate_columns(&columns, zeta.0);
    let error = zeta.0 * zeta.0 * zeta.0 * zeta.0 * zeta.0;
    values[0] += error * veilbourse_verifier::field::fq_signed(WEIGHTS[0]).inverse();
    let sum = equation::weighted_sum(
        &WEIGHTS,
        &equation::column_values(&matrix, &values, zeta.0),
        &equation::public_values(&matrix, zeta.0),
    );
    assert_eq!(sum, s.target(zeta), "the lie is consistent");
    let proof = open_lying(&mut t, zeta.0, &columns, &[matrix.claim], vec![values]);
    assert!(is_fri(&refusal(&d, &s, &proof)));
}

#[test]
fn the_point_is_the_verifiers() {
    // LES-4: an opening at another point, even one where a false equation
    // holds, e.g. zeta of a true statement.
    let d = Dataset::new(3, &[300], 72);
    let honest = public(&d, TRACED);
    let mut s = honest.clone();
    support::bump(&mut s.ciphertext, ROWS);
    let matrix = s.conform(&d.manifest).unwrap();
    let committed = || [Committed::new(&FRI_BLAKE3_V1, d.columns(TRACED)).unwrap()];
    let (_, elsewhere) = honest.transcript(&d.manifest, &matrix, None);
    for point in [elsewhere.0, fq2(Fq::new(0), Fq::new(1))] {
        let (mut t, _) = s.transcript(&d.manifest, &matrix, None);
        let proof = open(&mut t, &FRI_BLAKE3_V1, point, &committed()).unwrap();
        assert!(is_fri(&refusal(&d, &s, &proof)));
    }
}

#[test]
fn the_matrix_is_the_one_the_manifest_commits_to() {
    let d = Dataset::new(3, &[300, 400], 73);
    // The words of segment 1, weighted rightly, for segment 0.
    let mut s = public(&d, TRACED);
    s.ciphertext = public(&d, SECOND).ciphertext;
    let matrix = s.conform(&d.manifest).unwrap();
    let (mut t, zeta) = s.transcript(&d.manifest, &matrix, None);
    let columns = d.columns(SECOND);
    let values = vec![evaluate_columns(&columns, zeta.0)];
    let proof = open_lying(&mut t, zeta.0, &columns, &[matrix.claim], values);
    assert!(is_fri(&refusal(&d, &s, &proof)));
    // A manifest that differs in nothing but the order of two roots, one nonce
    // bit, one padding row more: another D, another statement.
    let mut swapped = d.manifest.clone();
    let [a, b] = &mut swapped.segments[..] else {
        panic!("two segments")
    };
    std::mem::swap(&mut a.traced, &mut b.traced);
    let mut nonce = d.manifest.clone();
    nonce.nonce.0[31] ^= 1;
    let mut rows = d.manifest.clone();
    rows.segments[0].rows += 1;
    let honest = public(&d, TRACED);
    let good = veilbourse_prover::linear::prove_public(&honest, &d.manifest, &d.columns(TRACED));
    let good = good.unwrap();
    for other in [swapped, nonce, rows] {
        let refused = verify_linear(honest.clone(), &other, None, &good).unwrap_err();
        assert!(matches!(refused, Refusal::Dataset { .. }), "{refused}");
        let mut moved = honest.clone();
        moved.dataset = other.root();
        let mut renamed = good.clone();
        renamed[3..35].copy_from_slice(&moved.digest().0);
        let refused = verify_linear(moved, &other, None, &renamed).unwrap_err();
        assert!(is_fri(&refused), "{refused}");
    }
    // Columns that shift into the place of others: fewer bodies than columns.
    let mut short = d.manifest.clone();
    short.segments[0].traced_bodies.pop();
    let mut moved = honest;
    moved.dataset = short.root();
    assert!(matches!(
        verify_linear(moved, &short, None, &good).unwrap_err(),
        Refusal::Manifest(_)
    ));
}

#[test]
fn a_listing_opening_is_no_linear_one_and_the_other_way_round() {
    // TR-1, TR-4: the shapes agree; tag and everything absorbed after it do not.
    let d = Dataset::new(1, &[5000], 74);
    let chunk = MatrixRef::Chunk {
        segment: 0,
        chunk: 0,
    };
    let s = d.public_statement(chunk, &[3, 0, 0], 1, 0);
    let one = [Committed::new(&FRI_BLAKE3_V1, d.columns(chunk)).unwrap()];
    let (mut t, point) = listing_transcript(&d.manifest, &d.manifest.root());
    let proof = open(&mut t, &FRI_BLAKE3_V1, point.0, &one).unwrap();
    assert!(is_fri(&refusal(&d, &s, &proof)));

    let other = MatrixRef::Chunk {
        segment: 0,
        chunk: 1,
    };
    let [first] = one;
    let both = [
        first,
        Committed::new(&FRI_BLAKE3_V1, d.columns(other)).unwrap(),
    ];
    let matrix = s.conform(&d.manifest).unwrap();
    let (mut t, zeta) = s.transcript(&d.manifest, &matrix, None);
    let proof = open(&mut t, &FRI_BLAKE3_V1, zeta.0, &both).unwrap();
    let listing = ListingStatement {
        dataset: d.manifest.root(),
    };
    let body = proof.encode(&FRI_BLAKE3_V1);
    let bytes = |kind| {
        Envelope {
            kind,
            statement: listing.digest(),
            body: body.clone(),
        }
        .encode()
    };
    let refused = |kind| verify_listing(&d.manifest, &d.sums, &bytes(kind)).unwrap_err();
    assert!(is_fri(&refused(Kind::Listing)));
    assert_eq!(
        refused(Kind::Linear),
        Refusal::Kind {
            expected: 1,
            found: 2
        }
    );
}

#[test]
fn a_listing_moves_to_no_other_dataset_of_the_same_chunks() {
    // DS-4: D is in the transcript, not only the roots that are opened.
    let d = Dataset::new(1, &[5000], 74);
    let prove = |d: &Dataset| {
        let columns: Vec<Vec<Vec<&[u64]>>> = d
            .chunk_columns
            .iter()
            .map(|s| s.iter().map(|c| slices(c)).collect())
            .collect();
        veilbourse_prover::listing::prove_listing(&d.manifest, &columns).unwrap()
    };
    let good = prove(&d);
    assert!(verify_listing(&d.manifest, &d.sums, &good).is_ok());
    for change in 0..3 {
        let mut other = d.manifest.clone();
        match change {
            0 => other.message_log2 += 1,
            1 => other.columns[0].max += 1,
            _ => other.public_key_body.0[0] ^= 1,
        }
        let mut renamed = good.clone();
        let digest = ListingStatement {
            dataset: other.root(),
        }
        .digest();
        renamed[3..35].copy_from_slice(&digest.0);
        assert!(is_fri(
            &verify_listing(&other, &d.sums, &renamed).unwrap_err()
        ));
    }
}

/// The words of A(X) less the weighted columns: what hides the weights.
fn residual(d: &Dataset, s: &LinearStatement, guess: &[i64]) -> Vec<u64> {
    let plain = d.public_statement(s.over, guess, 1, 0).ciphertext;
    let word = |a: u64, b: u64| if a >= b { a - b } else { a + (MODULUS - b) };
    let (a, b) = (output_words(&s.ciphertext), output_words(&plain));
    a.into_iter().zip(b).map(|(a, b)| word(a, b)).collect()
}

/// Words within 2^48 of zero: 2^-15 of uniform ones.
fn small(words: &[u64]) -> usize {
    words
        .iter()
        .filter(|w| **w < 1 << 48 || **w > MODULUS - (1 << 48))
        .count()
}

#[test]
fn nothing_public_tells_a_guessed_model_from_another() {
    // LES-5, LES-10: the weight space is tiny; M and h have 255-bit blinders, A
    // has r p + e, and no two outputs or pods share r.
    let d = Dataset::new(3, &[300], 75);
    let weights = [1i64, 0, 1, 0, 0];
    let (s, equation, witness) = recorded(&d, TRACED, &weights, 1 << 20, 16, 1);
    for guess in [[1i64, 0, 1, 0, 0], [0, 1, 1, 0, 0], [1, 1, 1, 0, 0]] {
        let words = residual(&d, &s, &guess);
        assert!(
            small(&words) < 12,
            "a guess leaves {} small words",
            small(&words)
        );
    }
    let (again, _, _) = recorded(&d, TRACED, &weights, 1 << 20, 16, 1);
    assert_eq!(again, s, "the same request, the same A: nothing to average");
    let mut residuals = vec![residual(&d, &s, &weights)];
    // Another pod, another bound (another statement), another weight vector.
    for (w, l1, secret) in [
        (weights, 1 << 20, 2),
        (weights, 1 << 21, 1),
        ([0, 1, 1, 0, 0], 1 << 20, 1),
    ] {
        let (other, e, r) = recorded(&d, TRACED, &w, l1, 16, secret);
        assert_ne!(e.binding, equation.binding);
        assert_ne!(r.rerandomisation.c, witness.rerandomisation.c);
        residuals.push(residual(&d, &other, &w));
    }
    for (i, a) in residuals.iter().enumerate() {
        for b in &residuals[..i] {
            let word = |a: &u64, b: &u64| if a >= b { a - b } else { a + (MODULUS - b) };
            let difference: Vec<u64> = a.iter().zip(b).map(|(a, b)| word(a, b)).collect();
            assert!(small(&difference) < 12, "two outputs share r");
        }
    }
    // The blinders are inside the hashes.
    use veilbourse_verifier::linear::inputs::{bind_randomness, commit_weights};
    let r = &witness.rerandomisation;
    let m = |blinder: u64| commit_weights(&weights, 3, Fr::from(blinder)).unwrap();
    assert_ne!(m(1), m(2));
    assert_ne!(
        bind_randomness(m(1), &r.c, &r.e, Fr::from(1u64)),
        bind_randomness(m(1), &r.c, &r.e, Fr::from(2u64))
    );
}

#[test]
fn rows_beyond_the_true_ones_are_never_claimed() {
    // DS-3: padding is not extracted; the statement's rows are the manifest's.
    let d = Dataset::new(1, &[300], 76);
    let chunk = MatrixRef::Chunk {
        segment: 0,
        chunk: 0,
    };
    let s = d.public_statement(chunk, &[3, 0, 0], 1, 0);
    let good = veilbourse_prover::linear::prove_public(&s, &d.manifest, &d.columns(chunk)).unwrap();
    for more in [299, 301, ROWS as u32, 0] {
        let mut wider = s.clone();
        let OutputCiphertext::Rows { rows, .. } = &mut wider.ciphertext else {
            panic!("rows")
        };
        *rows = more;
        let mut renamed = good.clone();
        renamed[3..35].copy_from_slice(&wider.digest().0);
        let refused = verify_linear(wider, &d.manifest, None, &renamed).unwrap_err();
        assert!(matches!(refused, Refusal::Ciphertext { .. }), "{refused}");
    }
    assert_ne!(d.manifest.root(), Digest::default());
}

#[test]
fn words_that_are_not_the_datasets_never_meet_the_re_randomisation() {
    // LES-10: r is a function of statement and weights. A store that hands the
    // pod the right words once and words with a known change the next time
    // would get two outputs under one r, whose difference is linear in the
    // weights: column f changed by X^f gives w_f away, word by word.
    let d = Dataset::new(3, &[300], 79);
    let right = d.columns(TRACED);
    let mut changed: Vec<Vec<u64>> = right.iter().map(|c| c.to_vec()).collect();
    for (f, column) in changed.iter_mut().enumerate() {
        column[f] = (column[f] + 1) % MODULUS;
    }
    let a = output_words(&evaluated_on(&d, &WEIGHTS, &right).unwrap().ciphertext);
    match evaluated_on(&d, &WEIGHTS, &slices(&changed)) {
        Err(ProverError::Root { .. }) => {}
        Err(e) => panic!("{e}"),
        Ok(s) => {
            let b = output_words(&s.ciphertext);
            let difference = |f: usize| (Fq::new(b[f]) - Fq::new(a[f])).as_canonical_u64();
            let signed = |x: u64| {
                if x > MODULUS / 2 {
                    -((MODULUS - x) as i64)
                } else {
                    x as i64
                }
            };
            let recovered: Vec<i64> = (0..3).map(|f| signed(difference(f))).collect();
            panic!("the pod's weights are {recovered:?}");
        }
    }
}
