//! Receipts of committee custody (REC-7): from dealt tickets, a proven output and
//! a quorum's opening, verified from their bytes alone; every change of what is
//! new in them is refused by its variant.

#[path = "../../client/tests/committee/support.rs"]
mod support;

use std::{
    process::Command,
    sync::{Arc, OnceLock},
};
use support::*;
use veilbourse_client::{
    buyer::{Handed, Ticket, prepare},
    dealing::{Asked, DealerFolder, exact},
    query::{Query, statistics},
};
use veilbourse_core::digest::Digest;
use veilbourse_documents::*;
use veilbourse_pod::{Circuits, Job, matrix_words};
use veilbourse_prover::{linear::PodSecret, srs::Srs};
use veilbourse_verifier::Envelope;
use veilbourse_verify::{
    MASKED_FILE, ReceiptRefusal, Report, ResultFiles, Trust, masks_file, verify_receipt,
};

struct Done {
    committee: Committee,
    custodian: Custodian,
    dealer: DealerFolder,
    query: Query,
    answer: Answer,
    handed: Handed,
    receipt: Receipt,
}

const FIRST: u64 = 9;

fn done() -> &'static Done {
    static DONE: OnceLock<Done> = OnceLock::new();
    DONE.get_or_init(|| {
        let committee = Committee::new(3, 2);
        let custodian = Custodian::new(1);
        let class = exact("exact", custodian.k());
        let asked = [Asked { class, tickets: 16 }];
        let dealer = custodian.deal(&committee, &asked);
        let policy = custodian.policy(&committee, dealer.tickets(None).unwrap());
        let query = statistics(&custodian.data.manifest, "age").unwrap();
        let tickets = policy.body.tickets.as_ref().unwrap();
        let class = tickets.classes[0].class().unwrap().digest();
        let offer = custodian.offer(&policy, &query, &class);
        let ticket = prepare(
            &marketplace_key(),
            &offer,
            &custodian.listed(),
            &query,
            &signer(BUYER),
            NOW + 10_000,
            &mut rng(1),
        )
        .unwrap();
        let envelopes = prove(&custodian, &query, &ticket);
        let digests: Vec<Digest> = envelopes.iter().map(|e| Envelope::digest(e)).collect();
        let dealt = dealer.dealt();
        let d = dealt.iter().find(|d| d.quorum == [0, 2]).unwrap();
        let answer = opened_with(
            &custodian, &committee, &dealer, &ticket, &query, d, FIRST, &digests,
        );
        let handed = handed(&committee, std::slice::from_ref(&answer));
        let parsed = Signed::<Receipt>::parse(&handed.receipts[0]).unwrap();
        let mut receipt = parsed.body;
        receipt.public_key = Bytes(custodian.dataset.encrypted.public_key.encode());
        receipt.outputs = custodian
            .ciphertexts(&query)
            .iter()
            .zip(envelopes)
            .map(|(c, envelope)| ReceiptOutput {
                ciphertext: Bytes(c.encode()),
                envelope: Bytes(envelope),
            })
            .collect();
        Done {
            committee,
            custodian,
            dealer,
            query,
            answer,
            handed,
            receipt,
        }
    })
}

/// An honest pod's envelopes.
fn prove(custodian: &Custodian, query: &Query, ticket: &Ticket) -> Vec<Vec<u8>> {
    let encrypted = &custodian.dataset.encrypted;
    let finished = veilbourse_pod::run(
        Job {
            manifest: &custodian.data.manifest,
            public_key: &encrypted.public_key,
            program: &query.program,
            order: ticket.order.digest().unwrap(),
            weights: &query.weights,
            blinders: &query.blinders,
        },
        &Circuits::new(Arc::new(Srs::dev(4, &mut rng(2)).unwrap())),
        &PodSecret::new([7; 32]),
        |over| {
            matrix_words(
                over,
                |s| encrypted.sums.get(s as usize).cloned(),
                |s, c| custodian.dataset.chunk(s, c),
            )
        },
        &mut rng(3),
        &|_| {},
    )
    .unwrap();
    let expected = custodian.ciphertexts(query);
    for (f, e) in finished.iter().zip(&expected) {
        assert_eq!(f.statement.ciphertext.encode(), e.encode());
    }
    finished.into_iter().map(|f| f.envelope).collect()
}

fn text(receipt: &Receipt) -> String {
    let signed = Signed::sign(receipt.clone(), &signer(MARKETPLACE)).unwrap();
    signed.text().unwrap()
}

fn verify(receipt: &Receipt) -> Result<Report, ReceiptRefusal> {
    verify_receipt(text(receipt).as_bytes(), &Trust::default())
}

fn refusal(change: impl FnOnce(&mut Receipt)) -> ReceiptRefusal {
    let mut receipt = done().receipt.clone();
    change(&mut receipt);
    assert_ne!(receipt, done().receipt, "nothing was changed");
    verify(&receipt).unwrap_err()
}

fn node(number: usize) -> &'static SigningKey {
    &done().committee.signing[number]
}

/// The quorum's nodes, by place.
const NODES: [usize; 2] = [0, 2];

fn link(r: &ReceiptRefusal, document: &str, field: &str) -> bool {
    matches!(r, ReceiptRefusal::Document(DocumentError::Link { document: d, field: f, .. })
        if (*d, *f) == (document, field))
}

#[test]
fn a_committees_receipt_verifies_from_its_bytes_alone() {
    // REC-1, REC-7
    let report = verify(&done().receipt).unwrap();
    assert_eq!(report.decryption, "committee-attested");
    let roles: Vec<&str> = report.keys.iter().map(|(r, _)| *r).collect();
    assert_eq!(roles, ["custodian", "buyer", "key node", "key node"]);
    let found: Vec<_> = report.lines.iter().map(|l| l.arrow).collect();
    assert_eq!(found, arrows(&done().query.program, Custody::Committee));
    assert!(
        report
            .noise
            .as_ref()
            .is_some_and(|n| n.contains("without noise"))
    );
    let said = report.text();
    for key in NODES.map(|n| support::key(node(n)).to_string()) {
        assert!(said.contains(&key), "{key}");
    }
    assert_eq!(report.json()["node_keys"].as_array().map(Vec::len), Some(2));
    assert!(said.contains("decryption: committee-attested"));
    // REC-6: no mask share, no word of the result.
    assert_eq!(
        done().custodian.expected(&done().query).len() as u64,
        report.values
    );
    for masked in &done().handed.masks {
        let sealed = serde_json::to_value(Bytes(masked.clone())).unwrap();
        assert!(!text(&done().receipt).contains(sealed.as_str().unwrap()));
    }
}

#[test]
fn every_node_has_its_place() {
    // REC-7: as many openings and deliveries as nodes, by number.
    for (what, r) in [
        ("opening", refusal(|r| r.openings.truncate(1))),
        ("opening", refusal(|r| r.openings.clear())),
        (
            "opening",
            refusal(|r| r.openings.push(r.openings[0].clone())),
        ),
        ("delivery", refusal(|r| r.deliveries.truncate(1))),
        (
            "delivery",
            refusal(|r| r.deliveries.push(r.deliveries[0].clone())),
        ),
    ] {
        assert!(
            matches!(r, ReceiptRefusal::Nodes { what: w, expected: 2, .. } if w == what),
            "{r}"
        );
        assert_eq!(r.rule(), "REC-7");
    }
    for (what, r) in [
        ("opening", refusal(|r| r.openings.swap(0, 1))),
        ("delivery", refusal(|r| r.deliveries.swap(0, 1))),
        (
            "opening",
            refusal(|r| r.openings[1] = r.openings[0].clone()),
        ),
        (
            "delivery",
            refusal(|r| r.deliveries[1] = r.deliveries[0].clone()),
        ),
        (
            "opening",
            refusal(|r| {
                let body = r.openings[0].body.clone();
                r.openings[0] = Signed::sign(body, node(1)).unwrap();
            }),
        ),
        (
            "delivery",
            refusal(|r| {
                let body = r.deliveries[1].body.clone();
                r.deliveries[1] = Signed::sign(body, &signer(MARKETPLACE)).unwrap();
            }),
        ),
    ] {
        assert!(
            matches!(r, ReceiptRefusal::Place { what: w, .. } if w == what),
            "{r}"
        );
        assert_eq!(r.rule(), "REC-7");
    }
    // A body under the old signature.
    for (document, r) in [
        (
            "opening",
            refusal(|r| r.openings[1].body.opened = Digest([1; 32])),
        ),
        (
            "delivery",
            refusal(|r| r.deliveries[1].body.sealed_result = Digest([1; 32])),
        ),
    ] {
        let signature = |r: &ReceiptRefusal| {
            matches!(r, ReceiptRefusal::Document(DocumentError::Signature { document: d })
                if *d == document)
        };
        assert!(signature(&r), "{r}");
    }
}

/// Openings that all nodes sign, and deliveries that fit them.
fn collusion(change: impl Fn(&mut Opening)) -> ReceiptRefusal {
    refusal(|r| {
        for (at, n) in NODES.into_iter().enumerate() {
            change(&mut r.openings[at].body);
            let opening = r.openings[at].body.clone();
            r.openings[at] = Signed::sign(opening.clone(), node(n)).unwrap();
            let d = &mut r.deliveries[at].body;
            d.session = Some(opening.session);
            d.values = opening.values;
            d.counter_after = d.counter_before + d.values;
            r.deliveries[at] = Signed::sign(d.clone(), node(n)).unwrap();
        }
    })
}

#[test]
fn a_session_is_recomputed_and_its_tickets_are_the_dealings() {
    // DOC-13, OPN-4: also when the whole quorum signs.
    let r = collusion(|o| o.session = Digest([1; 32]));
    assert!(link(&r, "opening", "session"), "{r}");
    let r = collusion(|o| o.attempt += 1);
    assert!(link(&r, "opening", "session"), "{r}");
    let r = collusion(|o| o.first_ticket += 1);
    assert!(link(&r, "opening", "session"), "{r}");
    for r in [
        collusion(|o| o.order = Digest([1; 32])),
        collusion(|o| o.grant = Digest([1; 32])),
    ] {
        assert!(
            link(&r, "opening", "order") || link(&r, "opening", "grant"),
            "{r}"
        );
    }
    let r = collusion(|o| o.values += 1);
    assert!(matches!(r, ReceiptRefusal::Values { .. }), "{r}");
    // Tickets beyond the dealing's last, in a session that fits them.
    let r = &done().receipt;
    let ticket = &done().answer.ticket;
    let grant = &r.grant;
    let count = r.openings[0].body.values;
    let beyond = 16 - count + 1;
    let values = vec![1; count as usize];
    let session = ticket.chain().session(grant, 0, beyond, &values);
    assert!(session.is_err(), "no session of this dealing");
    let r = collusion(|o| o.first_ticket = beyond);
    let said = r.to_string();
    assert!(said.contains("are not within the dealing's"), "{said}");
    // One node says something else.
    let r = refusal(|r| {
        r.openings[1].body.opened = Digest([1; 32]);
        r.openings[1] = Signed::sign(r.openings[1].body.clone(), node(2)).unwrap();
    });
    assert!(
        matches!(r, ReceiptRefusal::OpeningDiffers { node: n } if n == key(node(2))),
        "{r}"
    );
    assert_eq!(r.rule(), "DOC-13");
    // A delivery of another session, or of none.
    for session in [None, Some(Digest([1; 32]))] {
        let r = refusal(|r| {
            r.deliveries[0].body.session = session;
            r.deliveries[0] = Signed::sign(r.deliveries[0].body.clone(), node(0)).unwrap();
        });
        assert!(link(&r, "delivery", "session"), "{r}");
    }
}

#[test]
fn a_grant_is_for_a_dealing_of_its_quorum() {
    // DOC-8: signed by the marketplace, and by nodes that go along.
    let d = done();
    let dealt = d.dealer.dealt();
    let other = dealt.iter().find(|d| d.quorum == [0, 1]).unwrap().digest;
    let own = dealt.iter().find(|d| d.quorum == [0, 2]).unwrap().digest;
    let granted = |quorum: Vec<u8>, dealing| {
        refusal(|r| {
            r.grant.body.opener = Opener::Committee { quorum, dealing };
            r.grant = Signed::sign(r.grant.body.clone(), &signer(MARKETPLACE)).unwrap();
        })
    };
    let r = granted(vec![0, 2], other);
    assert!(link(&r, "grant", "opener.quorum"), "{r}");
    let r = granted(vec![0, 2], Digest([1; 32]));
    assert!(link(&r, "grant", "opener.dealing"), "{r}");
    for quorum in [vec![0], vec![0, 1, 2], vec![0, 3]] {
        let r = granted(quorum, own);
        assert!(link(&r, "grant", "opener.quorum"), "{r}");
    }
    let r = refusal(|r| {
        r.grant.body.opener = Opener::CustodianHeld {
            node_key: key(node(0)),
        };
        r.grant = Signed::sign(r.grant.body.clone(), &signer(MARKETPLACE)).unwrap();
    });
    assert!(link(&r, "grant", "opener"), "{r}");
    let r = refusal(|r| {
        r.grant.body.number += 1;
        r.grant = Signed::sign(r.grant.body.clone(), &signer(MARKETPLACE)).unwrap();
    });
    assert!(link(&r, "delivery", "grant"), "{r}");
}

#[test]
fn a_committee_is_no_custodian() {
    // REC-1, REC-2
    let claim = |r: &ReceiptRefusal, field: &str| matches!(r, ReceiptRefusal::Claim { field: f } if *f == field);
    let r = refusal(|r| r.assurance.decryption = DecryptionClass::CustodianAttested);
    assert!(claim(&r, "assurance.decryption"), "{r}");
    let held = Receipt::arrow_lines(&done().query.program, Custody::CustodianHeld);
    let r = refusal(|r| r.arrows = held);
    assert!(claim(&r, "arrows"), "{r}");
}

fn files() -> ResultFiles {
    ResultFiles::Committee {
        masked: done().handed.masked[0].clone(),
        masks: done().handed.masks.clone(),
    }
}

#[test]
fn a_result_is_held_to_the_openings_and_deliveries() {
    // REC-5
    let receipt = &done().receipt;
    files().check(receipt).unwrap();
    type Change<'a> = &'a dyn Fn(&mut Vec<u8>, &mut Vec<Vec<u8>>);
    let refused = |change: Change<'_>| {
        let ResultFiles::Committee {
            mut masked,
            mut masks,
        } = files()
        else {
            unreachable!()
        };
        change(&mut masked, &mut masks);
        ResultFiles::Committee { masked, masks }
            .check(receipt)
            .unwrap_err()
    };
    let result = |r: &ReceiptRefusal, what: &str| {
        let is = matches!(r, ReceiptRefusal::Result { what: w, .. } if w.contains(what));
        assert!(is, "{r}");
        assert_eq!(r.rule(), "REC-5");
    };
    let first = key(node(0)).to_string();
    result(&refused(&|_, m| m.swap(0, 1)), &first);
    result(&refused(&|_, m| m[0][5] ^= 1), &first);
    result(&refused(&|_, m| m[1][5] ^= 1), &key(node(2)).to_string());
    result(&refused(&|_, m| drop(m.pop())), "sealed parts");
    let with = |change: &dyn Fn(&mut MaskedResult)| {
        refused(&|bytes, _| {
            let mut masked = MaskedResult::decode(bytes).unwrap();
            change(&mut masked);
            *bytes = masked.encode();
        })
    };
    result(&with(&|m| m.words[0] ^= 1), "masked result");
    result(&with(&|m| m.first_ticket += 1), "masked result");
    result(&with(&|m| m.commitments.swap(0, 1)), "masked result");
    result(&with(&|m| m.siblings[0] = Digest([1; 32])), "masked result");
    let r = refused(&|m, _| m.truncate(m.len() - 1));
    assert!(matches!(r, ReceiptRefusal::Document(_)), "{r}");
    // One node's result in place of a committee's.
    let held = ResultFiles::Held(done().handed.masks[0].clone());
    result(&held.check(receipt).unwrap_err(), "sealed parts");
}

#[test]
fn the_program_holds_a_results_folder_to_the_receipt() {
    // REC-4, REC-5
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    write("receipt.json", text(&done().receipt).as_bytes());
    write(MASKED_FILE, &done().handed.masked[0]);
    for (n, sealed) in NODES.iter().zip(&done().handed.masks) {
        write(&masks_file(*n as u8), sealed);
    }
    let run = || {
        let out = Command::new(env!("CARGO_BIN_EXE_veilbourse-verify"))
            .args(["receipt.json", "--result", "."])
            .current_dir(dir.path())
            .env_clear()
            .output()
            .unwrap();
        (out.status.code(), String::from_utf8(out.stdout).unwrap())
    };
    let (code, said) = run();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("what the key nodes signed"), "{said}");
    write(&masks_file(2), &done().handed.masks[0]);
    let (code, said) = run();
    assert_eq!(code, Some(1));
    assert!(said.starts_with("REFUSED by REC-5"), "{said}");
    std::fs::remove_file(dir.path().join(masks_file(0))).unwrap();
    let (code, said) = run();
    assert_eq!(code, Some(1));
    assert!(said.starts_with("REFUSED by FILE"), "{said}");
}
