//! Receipts with one part changed (REC-1): refused by the rule of that part,
//! also when the marketplace, or everybody, signs the change.

mod made;
#[path = "../../../committee/node/tests/support/mod.rs"]
mod support;

use made::*;
use support::{terms::*, *};
use veilbourse_core::{
    ciphertext::{OutputCiphertext, PublicKey},
    digest::Digest,
    field::Fq,
};
use veilbourse_documents::{
    Bytes, Custody, DecryptionClass, DocumentError, EvaluationClass, QueryKind, Receipt, Signed,
};
use veilbourse_verifier::{Refusal, linear::OrderContext};
use veilbourse_verify::ReceiptRefusal;

/// The refusal of a receipt that the marketplace changed and signed.
fn refusal(change: impl FnOnce(&mut Receipt)) -> ReceiptRefusal {
    let mut receipt = done().receipt.clone();
    change(&mut receipt);
    assert_ne!(receipt, done().receipt, "nothing was changed");
    verify(&receipt).unwrap_err()
}

fn link(r: &ReceiptRefusal, document: &str, field: &str) -> bool {
    matches!(r, ReceiptRefusal::Document(DocumentError::Link { document: d, field: f, .. })
        if (*d, *f) == (document, field))
}

fn claim(r: &ReceiptRefusal, field: &str) -> bool {
    r.rule() == "REC-1" && matches!(r, ReceiptRefusal::Claim { field: f } if *f == field)
}

#[test]
fn version_and_marketplace_are_the_receipts_own() {
    // DOC-2. `Signed::sign` signs any version; reading refuses it.
    let got = refusal(|r| r.version = 2);
    assert!(matches!(
        got,
        ReceiptRefusal::Document(DocumentError::Version {
            document: "receipt",
            found: 2,
            ..
        })
    ));
    let got = refusal(|r| r.marketplace = Digest([1; 32]));
    assert!(matches!(
        got,
        ReceiptRefusal::Document(DocumentError::Marketplace {
            document: "receipt",
            ..
        })
    ));
    assert_eq!(got.rule(), "DOC-1");
}

#[test]
fn every_document_of_the_chain_counts() {
    // REC-1, DOC-3..9: changed and signed again by its own signer.
    let r = refusal(|r| {
        r.policy.body.quota_values += 1;
        r.policy = Signed::sign(r.policy.body.clone(), &signer(CUSTODIAN)).unwrap();
    });
    assert!(link(&r, "quote", "policy"), "{r}");
    assert_eq!(r.rule(), "DOC-1");
    let r = refusal(|r| {
        r.quote.body.expected_seconds += 1;
        r.quote = Signed::sign(r.quote.body.clone(), &signer(MARKETPLACE)).unwrap();
    });
    assert!(link(&r, "order", "quote"), "{r}");
    let r = refusal(|r| {
        r.order.body.deadline += 1;
        r.order = Signed::sign(r.order.body.clone(), &signer(BUYER)).unwrap();
    });
    assert!(link(&r, "submission", "order"), "{r}");
    let r = refusal(|r| {
        r.submission.body.work.bytes += 1;
        r.submission = Signed::sign(r.submission.body.clone(), &signer(POD)).unwrap();
    });
    assert!(link(&r, "grant", "submission"), "{r}");
    let r = refusal(|r| {
        r.grant.body.expires += 1;
        r.grant = Signed::sign(r.grant.body.clone(), &signer(MARKETPLACE)).unwrap();
    });
    assert!(link(&r, "delivery", "grant"), "{r}");
    // The node's word that it opened another number of values.
    let r = refusal(|r| {
        r.deliveries[0].body.values += 1;
        r.deliveries[0].body.counter_after += 1;
        r.deliveries[0] = Signed::sign(r.deliveries[0].body.clone(), &signer(NODE)).unwrap();
    });
    assert!(
        matches!(r, ReceiptRefusal::Values { expected: VALUES, found } if found == VALUES + 1),
        "{r}"
    );
    assert_eq!(r.rule(), "DOC-9");
    // REC-7: one delivery, and no opening, of a node that opens alone.
    for r in [
        refusal(|r| r.deliveries.clear()),
        refusal(|r| r.deliveries.push(r.deliveries[0].clone())),
    ] {
        assert!(
            matches!(
                r,
                ReceiptRefusal::Nodes {
                    what: "delivery",
                    expected: 1,
                    ..
                }
            ),
            "{r}"
        );
        assert_eq!(r.rule(), "REC-7");
    }
    // The marketplace cannot sign for the others.
    let by_marketplace = |r: &ReceiptRefusal, document: &str| matches!(r, ReceiptRefusal::Document(DocumentError::Signer { document: d, .. }) if *d == document);
    let r = refusal(|r| {
        r.deliveries[0] = Signed::sign(r.deliveries[0].body.clone(), &signer(MARKETPLACE)).unwrap();
    });
    assert!(by_marketplace(&r, "delivery"), "{r}");
    let r = refusal(|r| {
        r.submission = Signed::sign(r.submission.body.clone(), &signer(MARKETPLACE)).unwrap();
    });
    assert!(by_marketplace(&r, "submission"), "{r}");
    // A body under the old signature.
    for (document, r) in [
        ("policy", refusal(|r| r.policy.body.min_cohort += 1)),
        ("order", refusal(|r| r.order.body.deadline += 1)),
        (
            "delivery",
            refusal(|r| r.deliveries[0].body.order = Digest::default()),
        ),
    ] {
        assert!(
            matches!(&r, ReceiptRefusal::Document(DocumentError::Signature { document: d }) if *d == document),
            "{r}"
        );
    }
}

#[test]
fn manifest_and_public_key_are_the_datasets() {
    // REC-1, DS-5, DS-6.
    let r = refusal(|r| r.manifest.name.push('x'));
    assert!(matches!(r, ReceiptRefusal::Dataset { expected, .. } if expected == done().world.root));
    assert_eq!(r.rule(), "DS-5");
    let r = refusal(|r| r.manifest.segments[0].rows += 1);
    assert_eq!(r.rule(), "DS-5");
    let r = refusal(|r| r.manifest.columns.clear());
    assert!(matches!(r, ReceiptRefusal::Manifest(_)), "{r}");
    assert_eq!(r.rule(), "DS-5");
    let r = refusal(|r| {
        r.public_key.0.pop();
    });
    assert!(matches!(r, ReceiptRefusal::PublicKey(_)), "{r}");
    assert_eq!(r.rule(), "DS-6");
    for at in [2, 34] {
        let r = refusal(|r| r.public_key.0[at] ^= 1);
        assert!(
            matches!(r, ReceiptRefusal::Verifier(Refusal::PublicKey { .. })),
            "{r}"
        );
        assert_eq!(r.rule(), "DS-6");
    }
}

#[test]
fn verifying_keys_are_those_ordered() {
    // REC-1, LES-8: bytes that are no key; none is needed, so none may be named.
    let r = refusal(|r| r.verifying_keys.push(Bytes(vec![0; 40])));
    assert!(
        matches!(r, ReceiptRefusal::Verifier(Refusal::Circuit(_))),
        "{r}"
    );
    assert_eq!(r.rule(), "LES-8");
    let mut terms = done().case.terms.clone();
    terms.verifying_keys = vec![Digest([1; 32])];
    let r = verify(&resigned(&terms, |_| {})).unwrap_err();
    assert!(matches!(r, ReceiptRefusal::VerifyingKeys { .. }), "{r}");
    assert_eq!(r.rule(), "LES-8");
}

/// The receipt of an order under other terms, with every signature and link as
/// it should be, over the proofs of the true order; `change` last.
fn resigned(terms: &Terms, change: impl FnOnce(&mut Receipt)) -> Receipt {
    let case = terms.with_parts(done().case.parts.clone());
    let mut delivery = done().receipt.deliveries[0].body.clone();
    delivery.order = case.order();
    delivery.grant = case.grant();
    let mut receipt = receipt_of(&case, Signed::sign(delivery, &signer(NODE)).unwrap());
    change(&mut receipt);
    receipt
}

#[test]
fn the_program_is_held_to_the_policy_again() {
    // REC-1, ORD-4: custodian, marketplace, pod and node all signed.
    let terms = &done().case.terms;
    // Under its own terms, the chain made again is the receipt itself.
    assert_eq!(resigned(terms, |_| {}), done().receipt);
    let mut kinds = terms.clone();
    kinds.kinds = vec![QueryKind::AggregatePublic];
    let mut cohort = terms.clone();
    cohort.min_cohort = ROWS + 1;
    for t in [kinds, cohort] {
        let r = verify(&resigned(&t, |_| {})).unwrap_err();
        assert!(matches!(r, ReceiptRefusal::Demand(_)), "{r}");
        assert_eq!(r.rule(), "ORD-4");
    }
}

#[test]
fn a_ceremony_is_named_only_with_its_transcript() {
    // CER-9, REC-3: everybody signed, the marketplace too.
    let (srs, transcript) = ceremony(1);
    let mut terms = done().case.terms.clone();
    terms.srs = srs;
    let with = |ceremony: Option<&Bytes>| {
        verify(&resigned(&terms, |r| r.ceremony = ceremony.cloned())).unwrap_err()
    };
    // Shown: what is refused then are the proofs, which are another order's.
    let r = with(Some(&transcript));
    assert!(matches!(r, ReceiptRefusal::Proof { index: 0, .. }), "{r}");
    let mut changed = transcript.clone();
    changed.0[200] ^= 1;
    for (ceremony, expected) in [
        (None, "transcript is missing"),
        (Some(&support::ceremony(2).1), "the transcript shows"),
        (Some(&changed), "contribution 1"),
    ] {
        let r = with(ceremony);
        assert_eq!(r.rule(), "CER-9");
        assert!(r.to_string().contains(expected), "{r}");
    }
    // A transcript beside a dev string.
    let r = refusal(|r| r.ceremony = Some(transcript));
    assert!(r.to_string().contains("no ceremony is claimed"), "{r}");
}

#[test]
fn outputs_are_the_submitted_ones() {
    // REC-1, DOC-7.
    for r in [
        refusal(|r| {
            r.outputs.pop();
        }),
        refusal(|r| {
            let one = r.outputs[0].clone();
            r.outputs.push(one);
        }),
    ] {
        assert!(
            matches!(r, ReceiptRefusal::Outputs { expected: 2, .. }),
            "{r}"
        );
        assert_eq!(r.rule(), "DOC-7");
    }
    let r = refusal(|r| {
        r.outputs[0].ciphertext.0.pop();
    });
    assert!(matches!(r, ReceiptRefusal::Ciphertext(_)), "{r}");
    for i in 0..2u32 {
        let r = refusal(|r| r.outputs[i as usize].ciphertext.0[100] ^= 1);
        assert!(
            matches!(r, ReceiptRefusal::OutputDigest { index, what: "ciphertext", .. } if index == i),
            "{r}"
        );
        let r = refusal(|r| {
            let end = r.outputs[i as usize].envelope.0.len() - 1;
            r.outputs[i as usize].envelope.0[end] ^= 1;
        });
        assert!(
            matches!(r, ReceiptRefusal::OutputDigest { index, what: "envelope", .. } if index == i),
            "{r}"
        );
        assert_eq!(r.rule(), "DOC-7");
    }
    let r = refusal(|r| r.outputs.swap(0, 1));
    assert!(matches!(r, ReceiptRefusal::OutputDigest { .. }), "{r}");
}

/// A receipt over other parts that everybody signs.
fn collusion(change: impl FnOnce(&mut veilbourse_node::Parts)) -> ReceiptRefusal {
    let mut parts = done().case.parts.clone();
    change(&mut parts);
    let case = done().case.terms.with_parts(parts);
    assert_eq!(case.order(), done().case.order());
    let mut delivery = done().receipt.deliveries[0].body.clone();
    delivery.grant = case.grant();
    verify(&receipt_of(
        &case,
        Signed::sign(delivery, &signer(NODE)).unwrap(),
    ))
    .unwrap_err()
}

#[test]
fn nobodys_signature_stands_for_a_proof() {
    // REC-1, LES-3, LES-4: `evaluation: proven` is recomputed, never read; pod,
    // node and marketplace sign a tampered result.
    let good = &done().case;
    let k = done().world.dataset.manifest.message_log2;
    let public_key = PublicKey::decode(&good.parts.public_key).unwrap();
    let context = OrderContext {
        manifest: &good.job.manifest,
        program: &good.terms.program,
        order: good.order(),
        public_key: &public_key,
        circuits: &[],
        srs: good.terms.srs.digest,
    };
    for i in 0..2u32 {
        let at = i as usize;
        let mut ciphertext = OutputCiphertext::decode(&good.parts.ciphertexts[at]).unwrap();
        match &mut ciphertext {
            OutputCiphertext::Traced(lwe) => lwe.b += Fq::reduce(1 << k),
            OutputCiphertext::Rows { glwe, .. } => glwe.b[7] += Fq::reduce(1 << k),
        }
        // The old proof names another statement.
        let r = collusion(|p| p.ciphertexts[at] = ciphertext.encode());
        assert!(
            matches!(&r, ReceiptRefusal::Proof { index, refusal: Refusal::Statement { .. } } if *index == i),
            "{r}"
        );
        // Relabelled, it does not hold: version, kind, then the statement's digest.
        let statement = context.statement(i, ciphertext.clone()).unwrap();
        let r = collusion(|p| {
            p.ciphertexts[at] = ciphertext.encode();
            p.envelopes[at][3..35].copy_from_slice(&statement.digest().0);
        });
        assert!(
            matches!(&r, ReceiptRefusal::Proof { index, refusal } if *index == i && !matches!(refusal, Refusal::Statement { .. })),
            "{r}"
        );
        assert_eq!(r.rule(), "LES-4");
        // A proof with one bit changed, at 16 places over its length.
        for step in 0..16 {
            let r = collusion(|p| {
                let n = p.envelopes[at].len();
                p.envelopes[at][step * (n - 1) / 15] ^= 1 << (step % 8);
            });
            assert!(matches!(r, ReceiptRefusal::Proof { .. }), "{r}");
        }
    }
    let mut terms = done().case.terms.clone();
    terms.nonce += 1;
    let r = verify(&resigned(&terms, |_| {})).unwrap_err();
    assert!(
        matches!(
            r,
            ReceiptRefusal::Proof {
                index: 0,
                refusal: Refusal::Statement { .. }
            }
        ),
        "a proof for another order: {r}"
    );
}

#[test]
fn claims_are_what_was_recomputed() {
    // REC-1, REC-2.
    let r = refusal(|r| r.assurance.decryption = DecryptionClass::CommitteeAttested);
    assert!(claim(&r, "assurance.decryption"), "{r}");
    let r = refusal(|r| r.assurance.srs = ceremony(1).0.provenance);
    assert!(claim(&r, "assurance.srs"), "{r}");
    let r = refusal(|r| r.assurance.evaluation = EvaluationClass::Replicated);
    assert!(claim(&r, "assurance.evaluation"), "{r}");
    let r = refusal(|r| r.work.constraints += 1);
    assert!(claim(&r, "work"), "{r}");
    let r = refusal(|r| r.settlement.price.fee += 1);
    assert!(claim(&r, "settlement.price"), "{r}");
    for r in [
        refusal(|r| {
            r.arrows.pop();
        }),
        refusal(|r| r.arrows[0] = r.arrows[0].replace("assumed", "proven")),
        refusal(|r| r.arrows.swap(0, 1)),
        // Those of another custody; of hidden weights, where none are.
        refusal(|r| {
            r.arrows = Receipt::arrow_lines(&done().case.terms.program, Custody::Committee)
        }),
        refusal(|r| {
            r.arrows = Receipt::arrow_lines(&done().world.private(), Custody::CustodianHeld)
        }),
        refusal(|r| r.arrows.push("pod -> everybody: everything: proven".into())),
    ] {
        assert!(claim(&r, "arrows"), "{r}");
    }
    // When it was settled, by which transfer, and the order's number are the
    // marketplace's word: attested by its signature of the receipt, nothing else.
    let mut receipt = done().receipt.clone();
    receipt.settlement.at += 1;
    receipt.settlement.transfer = id(6);
    receipt.settlement.order_id = id(7);
    assert_eq!(verify(&receipt).unwrap().order_id, id(7).to_string());
}
