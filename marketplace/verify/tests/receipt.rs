//! Receipts (REC, DOC-11): one of a true order verifies from its bytes alone,
//! nothing secret is in it, and the program that checks it exits by its result.

mod made;
#[path = "../../../committee/node/tests/support/mod.rs"]
mod support;

use made::*;
use rand::RngExt;
use serde_json::Value;
use std::{
    path::Path,
    process::{Command, Output, Stdio},
};
use support::{terms::*, *};
use veilbourse_core::{ciphertext::OutputCiphertext, digest::Digest, program::Weights};
use veilbourse_documents::{
    Binding, Bytes, Custody, DocumentError, EvaluationClass, MAX_RECEIPT_BYTES, Model,
    ModelContext, ModelVector, Order, Signed, SubmittedDigest, arrows, marketplace_id, seal_model,
};
use veilbourse_verifier::{Envelope, field::fr_bytes, linear::inputs::commit_weights};
use veilbourse_verify::{ReceiptRefusal, ResultFiles, Trust, verify_receipt};

#[test]
fn a_receipt_verifies_from_its_bytes_alone() {
    // REC-1, REC-2, REC-3, DOC-11.
    let trust = Trust {
        marketplace: Some(marketplace()),
        circuits: None,
    };
    let report = verify_receipt(done().text.as_bytes(), &trust).unwrap();
    assert_eq!(report.marketplace, marketplace());
    assert!(report.marketplace_expected);
    assert_eq!(report.dataset, done().world.root);
    assert_eq!((report.outputs, report.values), (2, VALUES));
    assert_eq!(report.order_id, id(4).to_string());
    assert_eq!(report.price, 3_000);
    // The arrows are the code's one table, without those of hidden weights: no
    // key and no reference string is rested on here.
    let found: Vec<_> = report.lines.iter().map(|l| l.arrow).collect();
    let held = Custody::CustodianHeld;
    assert_eq!(found, arrows(&done().case.terms.program, held));
    let all = arrows(&done().world.private(), held);
    assert_eq!(
        (found.len(), report.srs.as_str()),
        (all.len() - 3, "none needed")
    );
    assert_eq!(report.decryption, "custodian-attested");
    let text = report.text();
    for a in &found {
        assert!(text.contains(a.what), "{}", a.what);
    }
    let assumed: Vec<&str> = report
        .of_binding(Binding::Assumed)
        .map(|l| l.arrow.what)
        .collect();
    assert_eq!(assumed, ["the data behind the ciphertexts are true"]);
    // Nobody expected this marketplace: it says so.
    let report = verify_receipt(done().text.as_bytes(), &Trust::default()).unwrap();
    assert!(!report.marketplace_expected);
    assert!(report.text().contains("none was expected"));
    assert_eq!(report.json()["valid"], Value::Bool(true));
}

#[test]
fn another_marketplace_than_expected_is_refused() {
    // DOC-2, REC-4.
    let trust = Trust {
        marketplace: Some(marketplace_id(&key(&signer(STRANGER)))),
        circuits: None,
    };
    let got = verify_receipt(done().text.as_bytes(), &trust).unwrap_err();
    assert!(matches!(got, ReceiptRefusal::Marketplace { found, .. } if found == marketplace()));
    assert_eq!(got.rule(), "DOC-2");
    // Signed by somebody else under this marketplace's id.
    let forged = Signed::sign(done().receipt.clone(), &signer(STRANGER)).unwrap();
    let got = verify_receipt(forged.text().unwrap().as_bytes(), &Trust::default()).unwrap_err();
    assert!(
        matches!(
            got,
            ReceiptRefusal::Document(DocumentError::Marketplace {
                document: "receipt",
                ..
            })
        ),
        "{got}"
    );
}

#[test]
fn no_changed_byte_verifies() {
    // REC-1, REC-4: 64 seeded places of the text, and its very ends.
    let text = done().text.as_bytes();
    let mut rng = rng(64);
    let ends = [0, 1, text.len() - 2, text.len() - 1];
    let places: Vec<usize> = (0..64)
        .map(|_| rng.random_range(0..text.len()))
        .chain(ends)
        .collect();
    for at in places {
        let mut changed = text.to_vec();
        changed[at] ^= 1 << rng.random_range(0..8);
        let got = verify_receipt(&changed, &Trust::default());
        assert!(got.is_err(), "byte {at}");
    }
    for cut in [0, 1, text.len() / 2, text.len() - 1] {
        assert!(verify_receipt(&text[..cut], &Trust::default()).is_err());
    }
}

#[test]
fn a_result_is_held_to_the_receipt() {
    // REC-5, DOC-10: the sealed result that the buyer holds is the delivered one.
    let named = done().receipt.deliveries[0].body.sealed_result;
    let digest = veilbourse_documents::Delivery::digest_of_sealed_result;
    assert_eq!(digest(&done().sealed_result), named);
    let mut other = done().sealed_result.clone();
    other[9] ^= 1;
    assert_ne!(digest(&other), named);
    let (receipt, good) = (&done().receipt, done().sealed_result.clone());
    ResultFiles::Held(good.clone()).check(receipt).unwrap();
    let refused = |files: ResultFiles| {
        let e = files.check(receipt).unwrap_err();
        assert!(matches!(e, ReceiptRefusal::Result { .. }), "{e}");
        assert_eq!(e.rule(), "REC-5");
    };
    refused(ResultFiles::Held(other));
    // No committee opened it.
    refused(ResultFiles::Committee {
        masked: Vec::new(),
        masks: vec![good.clone(), good],
    });
}

/// Every scalar of a JSON value as text.
fn scalars(v: &Value, out: &mut Vec<String>) {
    match v {
        Value::Array(a) => a.iter().for_each(|v| scalars(v, out)),
        Value::Object(m) => m.values().for_each(|v| scalars(v, out)),
        Value::String(s) => out.push(s.clone()),
        other => out.push(other.to_string()),
    }
}

/// Neither as hex nor as base64.
fn assert_absent(text: &str, what: &str, bytes: &[u8]) {
    assert!(!text.contains(&hex::encode(bytes)), "{what}");
    let base64 = serde_json::to_value(Bytes(bytes.to_vec())).unwrap();
    // Without its padding, which depends on what follows.
    let base64 = base64.as_str().unwrap().trim_end_matches('=');
    assert!(!text.contains(base64), "{what}");
}

#[test]
fn nothing_secret_is_in_a_receipt() {
    // REC-6. Results: neither as scalars, nor as text, nor sealed.
    let Done {
        world,
        case,
        opened,
        sealed_result,
        text,
        ..
    } = done();
    let mut found = Vec::new();
    scalars(&serde_json::from_str(text).unwrap(), &mut found);
    let sum = opened.outputs[0].values[0];
    assert!(sum > 10_000, "large enough to be told apart: {sum}");
    assert!(!found.contains(&sum.to_string()));
    let scores: Vec<&i64> = opened.outputs[1]
        .values
        .iter()
        .filter(|v| v.unsigned_abs() >= 1_000)
        .collect();
    assert!(scores.len() > 100, "{}", scores.len());
    for v in scores {
        assert!(!found.contains(&v.to_string()), "{v}");
    }
    for (what, bytes) in [
        ("sealed result", &sealed_result[..]),
        ("result key", case.terms.result_secret().as_bytes()),
        ("data key", &world.secret.encode()[..]),
        ("marketplace's key", &signer(MARKETPLACE).to_bytes()),
        ("custodian's key", &signer(CUSTODIAN).to_bytes()),
        ("node's key", &signer(NODE).to_bytes()),
        ("pod's key", &signer(POD).to_bytes()),
        ("buyer's key", &signer(BUYER).to_bytes()),
    ] {
        assert_absent(text, what, bytes);
    }
}

#[test]
fn no_private_weight_is_in_a_receipt() {
    // REC-6, DOC-6: of hidden weights it quotes the commitment, the bounds'
    // classes and the digest of the sealed model. Nothing is proven here: this
    // is about what the text holds.
    let Done { world, case, .. } = done();
    let mut rng = rng(9);
    let weights = vec![1_234_567, -7_654_321, 2_222_221, 99_887_766];
    let blinder = veilbourse_client::query::blinder(&mut rng);
    let commitment = commit_weights(&weights, 3, blinder).unwrap();
    let mut terms = Terms::of(world, world.private());
    terms.program.vectors[0].weights = Weights::Private {
        commitment: Digest(fr_bytes(&commitment)),
        l1_bound: 1 << 40,
        l2_bound: 1 << 50,
    };
    let mut hidden = receipt_of(
        &terms.with_parts(case.parts.clone()),
        done().receipt.deliveries[0].clone(),
    );
    let model = Model {
        vectors: vec![ModelVector {
            vector: 0,
            weights: weights.clone(),
            blinder: fr_bytes(&blinder),
        }],
    };
    let (pod, order) = (&hidden.quote.body.pod, &hidden.order);
    let context = ModelContext {
        dataset: &world.root,
        program: &terms.program.shape(),
        pod: &pod.id,
        buyer: &order.key,
        result_key: &order.body.result_key.0,
        nonce: &order.body.nonce,
    };
    let sealed = seal_model(&model, &pod.sealing_key.0, &context, &mut rng).unwrap();
    hidden.order.body.sealed_model = Some(Order::digest_of_sealed_model(&sealed));
    let text = sign(&hidden).text().unwrap();
    let mut found = Vec::new();
    scalars(&serde_json::from_str(&text).unwrap(), &mut found);
    assert!(found.contains(&Digest(fr_bytes(&commitment)).to_string()));
    for w in &weights {
        assert!(!found.contains(&w.to_string()), "{w}");
    }
    for (what, bytes) in [
        ("blinder", &fr_bytes(&blinder)[..]),
        ("sealed model", &sealed),
        ("model", &serde_json::to_vec(&model).unwrap()),
    ] {
        assert_absent(&text, what, bytes);
    }
}

/// Runs the program where nothing else is: no dataset, no environment.
fn run(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_veilbourse-verify"))
        .args(args)
        .current_dir(dir)
        .env_clear()
        .output()
        .unwrap()
}

#[test]
fn the_program_exits_0_or_1_and_says_why() {
    // REC-4.
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    let out = |o: &Output| String::from_utf8(o.stdout.clone()).unwrap();
    write("receipt.json", done().text.as_bytes());
    let good = run(dir.path(), &["receipt.json"]);
    assert_eq!(good.status.code(), Some(0), "{}", out(&good));
    for line in ["Proven", "Attested", "Assumed", "evaluation: proven"] {
        assert!(out(&good).contains(line), "{line}");
    }
    let expected = marketplace().to_string();
    let json = run(
        dir.path(),
        &["receipt.json", "--json", "--marketplace", &expected],
    );
    assert_eq!(json.status.code(), Some(0));
    let json: Value = serde_json::from_str(&out(&json)).unwrap();
    assert_eq!(json["valid"], true);
    assert_eq!(json["marketplace_expected"], true);

    let other = Digest([1; 32]).to_string();
    let r = run(dir.path(), &["receipt.json", "--marketplace", &other]);
    assert_eq!(r.status.code(), Some(1));
    assert!(out(&r).starts_with("REFUSED by DOC-2"), "{}", out(&r));
    let mut text = done().text.clone().into_bytes();
    let at = text.len() / 2;
    text[at] ^= 1;
    write("changed.json", &text);
    let r = run(dir.path(), &["changed.json"]);
    assert_eq!(r.status.code(), Some(1));
    assert!(out(&r).starts_with("REFUSED by DOC-1"), "{}", out(&r));
    let r = run(dir.path(), &["changed.json", "--json"]);
    assert_eq!(r.status.code(), Some(1));
    let json: Value = serde_json::from_str(&out(&r)).unwrap();
    assert_eq!(
        (&json["valid"], &json["rule"]),
        (&false.into(), &"DOC-1".into())
    );
    let mut receipt = done().receipt.clone();
    receipt.assurance.evaluation = EvaluationClass::Replicated;
    write("claim.json", sign(&receipt).text().unwrap().as_bytes());
    let r = run(dir.path(), &["claim.json"]);
    assert_eq!(r.status.code(), Some(1));
    assert!(out(&r).starts_with("REFUSED by REC-1"), "{}", out(&r));
    let r = run(dir.path(), &["missing.json"]);
    assert_eq!(r.status.code(), Some(1));
    assert!(out(&r).starts_with("REFUSED by FILE"), "{}", out(&r));
    // Arguments that are none are not a refusal.
    let r = run(dir.path(), &["receipt.json", "--marketplace", "x"]);
    assert_eq!(r.status.code(), Some(2));
}

#[test]
fn a_refusal_is_one_line_whatever_the_receipt_says() {
    // REC-4: the reason quotes the receipt, which may not speak for the program.
    let dir = tempfile::tempdir().unwrap();
    let mut value: Value = serde_json::from_str(&done().text).unwrap();
    value["body"]["\u{1b}[2K\nreceipt of order\u{9b}2J\u{202e}"] = Value::Null;
    std::fs::write(dir.path().join("hostile.json"), value.to_string()).unwrap();
    for args in [&["hostile.json"][..], &["hostile.json", "--json"]] {
        let o = run(dir.path(), args);
        assert_eq!(o.status.code(), Some(1));
        let text = String::from_utf8(o.stdout).unwrap();
        let line = text.strip_suffix('\n').unwrap();
        assert!(line.contains("receipt of order"), "{line}");
        let bad = |c: char| c.is_control() || c == '\u{202e}';
        assert!(!line.contains(bad), "{line:?}");
    }
}

#[test]
fn a_file_longer_than_any_receipt_is_not_read() {
    // First gate: the length is refused, in no time and with no memory.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.json");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(1 << 40).unwrap();
    let got = veilbourse_verify::read_file(&path).unwrap_err();
    assert_eq!(
        got,
        ReceiptRefusal::Document(DocumentError::TooLarge {
            document: "receipt",
            limit: MAX_RECEIPT_BYTES as u64,
            value: 1 << 40,
        })
    );
}

#[test]
fn a_reader_that_leaves_is_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("receipt.json"), done().text.as_bytes()).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_veilbourse-verify"))
        .arg("receipt.json")
        .current_dir(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(141));
    assert_eq!(String::from_utf8(ended.stderr).unwrap(), "");
}

#[test]
fn what_is_no_receipt_is_refused_without_a_panic() {
    // REC-4, WIRE-3.
    let value: Value = serde_json::from_str(&done().text).unwrap();
    let body = value["body"].as_object().unwrap();
    let refuse = |v: &Value| verify_receipt(v.to_string().as_bytes(), &Trust::default());
    for field in body.keys() {
        for to in [Value::Null, Value::Array(Vec::new()), Value::from("")] {
            let mut v = value.clone();
            v["body"][field] = to;
            // Public weights need no verifying keys: that list was empty.
            assert!(v == value || refuse(&v).is_err(), "{field}");
        }
        let mut v = value.clone();
        v["body"].as_object_mut().unwrap().remove(field);
        let got = refuse(&v);
        assert!(
            matches!(
                &got,
                Err(ReceiptRefusal::Document(DocumentError::Json { .. }))
            ),
            "{field}: {got:?}"
        );
    }
    for bad in ["", "{}", "[]", "\u{0}"] {
        assert!(verify_receipt(bad.as_bytes(), &Trust::default()).is_err());
    }
}

#[test]
fn digests_of_a_receipt_are_of_its_bytes() {
    // DOC-7, DOC-11: what the submission names is what the receipt carries.
    for (o, s) in done()
        .receipt
        .outputs
        .iter()
        .zip(&done().receipt.submission.body.outputs)
    {
        let ciphertext = OutputCiphertext::decode(&o.ciphertext.0).unwrap();
        let found = SubmittedDigest {
            ciphertext: ciphertext.digest(),
            envelope: Envelope::digest(&o.envelope.0),
        };
        assert_eq!(found, *s);
    }
}
