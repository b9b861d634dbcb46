//! Public-weights statements end to end: honest ones verify, every changed
//! field of statement and proof is refused by its rule (LES-1..4).

mod support;

use proptest::prelude::*;
use std::sync::OnceLock;
use support::Dataset;
use veilbourse_core::{
    ciphertext::{Glwe, OutputCiphertext},
    digest::Digest,
    field::Fq,
    program::MatrixRef,
    wire::WireError,
};
use veilbourse_prover::{ProverError, linear::prove_public};
use veilbourse_verifier::{
    Refusal,
    commitment::{CommitmentError, ROWS},
    linear::{LinearStatement, MatrixKind, Visibility, check_public_key, verify_linear},
};

const TRACED: MatrixRef = MatrixRef::Traced { segment: 1 };
const CHUNK: MatrixRef = MatrixRef::Chunk {
    segment: 0,
    chunk: 1,
};
const WEIGHTS: [i64; 5] = [3, -(1 << 23), 0, -(1 << 39), 7];

fn dataset() -> &'static Dataset {
    static DATASET: OnceLock<Dataset> = OnceLock::new();
    DATASET.get_or_init(|| Dataset::new(3, &[5000, 1200], 11))
}

fn proven(over: MatrixRef) -> (LinearStatement, Vec<u8>) {
    let d = dataset();
    let statement = d.public_statement(over, &WEIGHTS, 9, 4);
    let envelope = prove_public(&statement, &d.manifest, &d.columns(over)).unwrap();
    (statement, envelope)
}

fn refusal(statement: LinearStatement, envelope: &[u8]) -> Refusal {
    verify_linear(statement, &dataset().manifest, None, envelope).unwrap_err()
}

/// The envelope with the digest of another statement written into it: what an
/// attacker would send who wants its proof taken for that statement.
fn retitled(envelope: &[u8], statement: &LinearStatement) -> Vec<u8> {
    let mut out = envelope.to_vec();
    out[3..35].copy_from_slice(&statement.digest().0);
    out
}

#[test]
fn honest_statements_verify() {
    for over in [TRACED, CHUNK, MatrixRef::Traced { segment: 0 }] {
        let (statement, envelope) = proven(over);
        let verified =
            verify_linear(statement.clone(), &dataset().manifest, None, &envelope).unwrap();
        assert_eq!(verified.statement(), &statement);
    }
}

#[test]
fn every_field_of_the_statement_is_bound() {
    for over in [TRACED, CHUNK] {
        let (good, envelope) = proven(over);
        // Fields that conform but differ: the name in the envelope gives them
        // away, and with the name forged the transcript does.
        let edits: [&dyn Fn(&mut LinearStatement); 6] = [
            &|s| s.order = Digest([10; 32]),
            &|s| s.output = 5,
            &|s| match &mut s.ciphertext {
                OutputCiphertext::Traced(_) => s.over = MatrixRef::Traced { segment: 0 },
                OutputCiphertext::Rows { rows, .. } => {
                    *rows = 4096;
                    s.over = MatrixRef::Chunk {
                        segment: 0,
                        chunk: 0,
                    };
                }
            },
            &|s| {
                s.visibility = Visibility::Public {
                    weights: vec![3, -(1 << 23), 1, -(1 << 39), 7],
                }
            },
            &|s| support::bump(&mut s.ciphertext, 17),
            &|s| support::bump(&mut s.ciphertext, ROWS),
        ];
        for (i, edit) in edits.iter().enumerate() {
            let mut bad = good.clone();
            edit(&mut bad);
            assert_eq!(
                refusal(bad.clone(), &envelope),
                Refusal::Statement {
                    expected: bad.digest(),
                    found: good.digest()
                },
                "edit {i}"
            );
            assert!(
                matches!(
                    refusal(bad.clone(), &retitled(&envelope, &bad)),
                    Refusal::Opening(CommitmentError::Fri(_))
                ),
                "edit {i}, retitled"
            );
        }
    }
}

#[test]
fn statements_that_do_not_conform_are_refused_by_name() {
    let (good, envelope) = proven(TRACED);
    let refuse = |edit: &dyn Fn(&mut LinearStatement)| {
        let mut bad = good.clone();
        edit(&mut bad);
        refusal(bad, &envelope)
    };
    let d = dataset().manifest.root();
    assert_eq!(
        refuse(&|s| s.dataset = Digest([1; 32])),
        Refusal::Dataset {
            expected: Digest([1; 32]),
            found: d
        }
    );
    assert!(matches!(
        refuse(&|s| s.over = MatrixRef::Traced { segment: 2 }),
        Refusal::Program(_)
    ));
    assert!(matches!(
        refuse(&|s| s.over = MatrixRef::Chunk {
            segment: 1,
            chunk: 1
        }),
        Refusal::Program(_)
    ));
    for weights in [
        vec![1, 2, 3, 4],
        vec![1, 2, 3, 4, 5, 6],
        vec![1 << 24, 0, 0, 0, 0],
        vec![0, 0, 0, 5, 0],
        vec![1, 0, 0, 1 << 40, 0],
        vec![1, 0, 0, i64::MIN, 0],
    ] {
        assert!(matches!(
            refuse(&|s| s.visibility = Visibility::Public {
                weights: weights.clone()
            }),
            Refusal::Program(_)
        ));
    }
    assert!(matches!(
        refuse(&|s| s.public_key = Digest([1; 32])),
        Refusal::PublicKey { .. }
    ));
    // The other form, or another number of rows.
    let rows = |rows| OutputCiphertext::Rows {
        glwe: Glwe::default(),
        rows,
    };
    assert_eq!(
        refuse(&|s| s.ciphertext = rows(5)),
        Refusal::Ciphertext {
            expected: (MatrixKind::Traced, 1200),
            found: (MatrixKind::Chunk, 5)
        }
    );
    assert_eq!(
        refuse(&|s| {
            s.over = CHUNK;
            s.ciphertext = rows(905);
        }),
        Refusal::Ciphertext {
            expected: (MatrixKind::Chunk, 904),
            found: (MatrixKind::Chunk, 905)
        }
    );
}

#[test]
fn another_manifest_is_refused() {
    let (good, envelope) = proven(TRACED);
    let other = Dataset::new(3, &[5000, 1200], 12);
    assert!(matches!(
        verify_linear(good.clone(), &other.manifest, None, &envelope).unwrap_err(),
        Refusal::Dataset { .. }
    ));
    // Even when the statement is adapted, the proof is of other words.
    let mut adapted = good;
    adapted.dataset = other.manifest.root();
    adapted.public_key = other.manifest.public_key_body;
    let bytes = retitled(&envelope, &adapted);
    assert!(matches!(
        verify_linear(adapted, &other.manifest, None, &bytes).unwrap_err(),
        Refusal::Opening(CommitmentError::Fri(_))
    ));
    // A manifest that breaks its own rules proves nothing.
    let (good, envelope) = proven(TRACED);
    let mut broken = dataset().manifest.clone();
    broken.columns[0].min = 1_000;
    assert!(matches!(
        verify_linear(good, &broken, None, &envelope).unwrap_err(),
        Refusal::Manifest(_)
    ));
}

#[test]
fn false_claims_cannot_be_proven_and_are_refused() {
    let d = dataset();
    let (good, _) = proven(TRACED);
    let mut bad = good.clone();
    support::bump(&mut bad.ciphertext, ROWS);
    assert!(matches!(
        prove_public(&bad, &d.manifest, &d.columns(TRACED)),
        Err(ProverError::FalseClaim(_))
    ));
    // A prover that does not care: its opening is honest for the transcript of
    // the false statement, and the equation refuses it (LES-3).
    let matrix = bad.conform(&d.manifest).unwrap();
    let (mut t, zeta) = bad.transcript(&d.manifest, &matrix, None);
    let committed =
        veilbourse_prover::commitment::Committed::new(matrix.set, d.columns(TRACED)).unwrap();
    let proof =
        veilbourse_prover::commitment::open(&mut t, matrix.set, zeta.0, &[committed]).unwrap();
    let envelope = veilbourse_verifier::Envelope {
        kind: veilbourse_verifier::Kind::Linear,
        statement: bad.digest(),
        body: proof.encode(matrix.set),
    }
    .encode();
    assert_eq!(refusal(bad, &envelope), Refusal::Equation);
    // Words that are not the committed ones do not get that far.
    assert!(matches!(
        prove_public(
            &good,
            &d.manifest,
            &d.columns(MatrixRef::Traced { segment: 0 })
        ),
        Err(ProverError::Root { .. })
    ));
}

#[test]
fn envelope_gates_refuse_by_name() {
    let (statement, envelope) = proven(TRACED);
    let edit = |at: usize, v: u8| {
        let mut e = envelope.clone();
        e[at] = v;
        refusal(statement.clone(), &e)
    };
    assert!(matches!(
        edit(0, 2),
        Refusal::Wire(WireError::Version {
            expected: 1,
            found: 2,
            ..
        })
    ));
    assert_eq!(
        edit(2, 1),
        Refusal::Kind {
            expected: 2,
            found: 1
        }
    );
    assert!(matches!(
        edit(3, envelope[3] ^ 1),
        Refusal::Statement { .. }
    ));
    let mut long = envelope.clone();
    long.push(0);
    assert!(matches!(
        refusal(statement.clone(), &long),
        Refusal::Wire(WireError::Trailing { .. })
    ));
    long.resize(10_000_000, 0);
    assert!(matches!(
        refusal(statement.clone(), &long),
        Refusal::Wire(WireError::TooLarge {
            field: "envelope",
            ..
        })
    ));
    for cut in [0, 1, 2, 3, 20, 35, 38, 39, 100, envelope.len() - 1] {
        assert!(
            matches!(
                refusal(statement.clone(), &envelope[..cut]),
                Refusal::Wire(WireError::Truncated { .. })
            ),
            "cut at {cut}"
        );
    }
}

#[test]
fn public_key_is_checked_against_the_manifest() {
    // DS-6, LES-11.
    let d = dataset();
    check_public_key(&d.manifest, &d.public_key).unwrap();
    let mut other = d.public_key.clone();
    other.body[3] += Fq::ONE;
    assert_eq!(
        check_public_key(&d.manifest, &other).unwrap_err(),
        Refusal::PublicKey {
            expected: d.manifest.public_key_body,
            found: other.body_digest()
        }
    );
    let mut other = d.public_key.clone();
    other.label = Digest([1; 32]);
    assert!(matches!(
        check_public_key(&d.manifest, &other).unwrap_err(),
        Refusal::PublicKey { .. }
    ));
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, ..ProptestConfig::with_cases(12)
    })]
    // Honest always verifies, whatever the weights.
    #[test]
    fn honest_weights_verify(
        w in proptest::collection::vec(-((1i64 << 24) - 1)..(1 << 24), 3),
        g in proptest::collection::vec(-((1i64 << 40) - 1)..(1 << 40), 2),
        traced in any::<bool>(),
    ) {
        prop_assume!(w.iter().any(|x| *x != 0));
        let d = dataset();
        let over = if traced { TRACED } else { CHUNK };
        let weights: Vec<i64> = w.into_iter().chain(g).collect();
        let s = d.public_statement(over, &weights, 1, 0);
        let envelope = prove_public(&s, &d.manifest, &d.columns(over)).unwrap();
        prop_assert!(verify_linear(s, &d.manifest, None, &envelope).is_ok());
    }
}
