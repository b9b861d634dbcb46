//! A ceremony's string at work (CER-7..10): two contribute, a pod proves a
//! private aggregate under the string that they made, the node that refuses dev
//! strings opens it, and the receipt says whose string it was.
//!
//! The string has the least degree that any private circuit needs, 3 x 2^16
//! (linear.md): making it is nearly all of the minute that this takes one core.

mod made;
#[path = "../../../committee/node/tests/support/mod.rs"]
mod support;

use made::{receipt_of, sign, verify};
use std::sync::Arc;
use support::{terms::*, *};
use veilbourse_core::{
    budget::{class, exact_norms},
    digest::Digest,
    program::Weights,
};
use veilbourse_documents::{
    Bytes, Key, QueryKind, Receipt, SrsProvenance, SrsRef, api::AcceptedKeys,
};
use veilbourse_node::{NodeConfig, Outcome, Parts};
use veilbourse_pod::{Circuits, Job, matrix_words};
use veilbourse_prover::{
    linear::PodSecret,
    srs::{Ceremony, Srs, silent},
};
use veilbourse_verifier::{
    field::{Fr, fr_bytes},
    linear::{CircuitKey, MatrixKind, PrivateArgument, inputs::commit_weights},
};
use veilbourse_verify::{ReceiptRefusal, Trust, verify_receipt};

const LOG_ROWS: u32 = 16;
const WEIGHTS: [i64; 4] = [2, -3, 1, 50];

/// Three columns, hidden weights on them and on the constant.
fn hidden(world: &World, blinder: Fr) -> Terms {
    let manifest = &world.dataset.manifest;
    let commitment = commit_weights(&WEIGHTS, manifest.columns.len(), blinder).unwrap();
    let (l1, l2) = exact_norms(manifest, &WEIGHTS, 0);
    let mut program = world.private();
    program.vectors[0].weights = Weights::Private {
        commitment: Digest(fr_bytes(&commitment)),
        l1_bound: class(l1) as u64,
        l2_bound: class(l2) as u64,
    };
    let mut terms = Terms::of(world, program);
    terms.kinds = vec![QueryKind::AggregatePrivate];
    terms
}

fn prove(world: &World, terms: &Terms, blinder: Fr, circuits: &Circuits) -> Parts {
    let encrypted = &world.dataset.encrypted;
    let finished = veilbourse_pod::run(
        Job {
            manifest: &world.dataset.manifest,
            public_key: &encrypted.public_key,
            program: &terms.program,
            order: terms.papers().order.digest().unwrap(),
            weights: &[WEIGHTS.to_vec()],
            blinders: &[Some(blinder)],
        },
        circuits,
        &PodSecret::new([7; 32]),
        |over| {
            matrix_words(
                over,
                |s| encrypted.sums.get(s as usize).cloned(),
                |s, c| world.dataset.chunk(s, c),
            )
        },
        &mut rng(3),
        &|_| {},
    )
    .unwrap();
    let (ciphertexts, envelopes) = finished
        .into_iter()
        .map(|f| (f.statement.ciphertext.encode(), f.envelope))
        .unzip();
    Parts {
        public_key: encrypted.public_key.encode(),
        ciphertexts,
        envelopes,
    }
}

#[test]
fn a_private_order_is_proven_opened_and_received_under_a_ceremonys_string() {
    // CER-7: what the last contributor hands on is read and checked whole.
    let random = &mut rng(77);
    let mut ceremony = Ceremony::start(LOG_ROWS, "end to end", random).unwrap();
    for (seed, name) in [(1, "ann"), (2, "ben")] {
        ceremony = ceremony
            .contribute(name, &signer(seed), random, &silent)
            .unwrap();
    }
    let file = ceremony.finish().unwrap().encode();
    let srs = Arc::new(Srs::decode(&file, random).unwrap());
    drop(file);
    let claim = srs.provenance().claim().unwrap();
    let transcript = Bytes(srs.provenance().transcript().unwrap().encode());
    let named = SrsRef {
        digest: srs.digest(),
        provenance: SrsProvenance::Ceremony {
            transcript: claim.transcript,
            contributors: claim.contributors,
        },
    };

    // CER-10: the circuit's key, as `srs key` makes it, is the ceremony's.
    let world = World::new();
    let circuits = Circuits::new(srs);
    let keys = circuits
        .get(MatrixKind::Traced, world.dataset.manifest.columns.len())
        .unwrap();
    let key = keys.verifying().clone();
    drop(keys);
    let blinder = Fr::from(0x00b1_1de2_u64);
    let mut terms = hidden(&world, blinder);
    terms.srs = named.clone();
    terms.verifying_keys = vec![key.digest()];
    let case = terms.with_parts(prove(&world, &terms, blinder, &circuits));

    // CER-9: the node's gate, where dev strings are refused.
    let accepted = |srs: &SrsRef, ceremony: Option<&Bytes>, key: &CircuitKey| {
        let c = world.config();
        let accepted = AcceptedKeys {
            srs: srs.clone(),
            ceremony: ceremony.cloned(),
            keys: vec![Bytes(key.encode())],
        };
        NodeConfig::new(c.signing, c.marketplace, c.datasets, accepted, false)
    };
    let config = accepted(&named, Some(&transcript), &key).unwrap();
    assert_eq!(config.ceremony.as_ref().map(|t| t.len()), Some(2));
    let mut node = Node::new(config);
    let outcome = node
        .node
        .process(&case.job, &case.parts, NOW, &mut rng(1))
        .unwrap();
    let opened = open(&outcome, &terms.result_secret(), case.order(), case.grant());
    let ages: Vec<i64> = (0..3)
        .map(|f| world.built.table.segments[0][f].iter().sum())
        .collect();
    let expected = 2 * ages[0] - 3 * ages[1] + ages[2] + 50 * ROWS as i64;
    assert_eq!(values(&opened), [[expected]]);

    // REC-1, REC-3, CER-8: the receipt shows who made the string.
    let Outcome::Delivered { delivery, .. } = outcome else {
        unreachable!("it was opened")
    };
    let mut receipt: Receipt = receipt_of(&case, *delivery);
    receipt.verifying_keys = vec![Bytes(key.encode())];
    receipt.ceremony = Some(transcript.clone());
    receipt.assurance.srs = named.provenance;
    let trust = Trust {
        marketplace: None,
        circuits: Some(std::slice::from_ref(&key)),
    };
    let text = sign(&receipt).text().unwrap();
    let report = verify_receipt(text.as_bytes(), &trust).unwrap();
    let of = |seed: u8| Key(signer(seed).verifying_key().to_bytes());
    let contributors = [("ann".to_owned(), of(1)), ("ben".to_owned(), of(2))];
    assert_eq!(report.contributors, contributors);
    assert!(report.srs.contains("ceremony"), "{}", report.srs);
    assert!(
        report.srs.contains(&claim.transcript.to_string()),
        "{}",
        report.srs
    );

    // Another ceremony's transcript, none, or another number of contributors.
    let (others, other_transcript) = support::ceremony(9);
    let with = |change: &dyn Fn(&mut Receipt)| {
        let mut r = receipt.clone();
        change(&mut r);
        verify(&r).unwrap_err()
    };
    for r in [
        with(&|r| r.ceremony = None),
        with(&|r| r.ceremony = Some(other_transcript.clone())),
    ] {
        assert_eq!(r.rule(), "CER-9", "{r}");
    }
    let r = with(&|r| r.assurance.srs = SrsProvenance::Dev);
    assert!(
        matches!(
            r,
            ReceiptRefusal::Claim {
                field: "assurance.srs"
            }
        ),
        "{r}"
    );

    // CER-10: the key under another ceremony's name, whatever is shown.
    for (srs, ceremony, expected) in [
        (&named, None, "transcript is missing"),
        (&named, Some(&other_transcript), "the transcript shows"),
        (&others, Some(&other_transcript), "verifying key: its srs"),
    ] {
        let e = accepted(srs, ceremony, &key).unwrap_err().to_string();
        assert!(e.contains(expected), "{e}");
    }
    // KEY-2: an order that calls the same points dev is another string's.
    let mut dev = terms.clone();
    dev.nonce += 2;
    dev.srs = SrsRef {
        digest: named.digest,
        provenance: SrsProvenance::Dev,
    };
    let refused = node
        .node
        .process(
            &dev.with_parts(case.parts.clone()).job,
            &case.parts,
            NOW,
            &mut rng(1),
        )
        .unwrap();
    assert_eq!(code(&refused), "SRS_NOT_ACCEPTED");
    // The envelope of this order, under another nonce, proves nothing.
    let mut replayed = terms.clone();
    replayed.nonce += 1;
    let replayed = replayed.with_parts(case.parts.clone());
    let refused = node
        .node
        .process(&replayed.job, &replayed.parts, NOW, &mut rng(1))
        .unwrap();
    assert_eq!(code(&refused), "PROOF");
}
