//! The chain of an order's documents: everything agrees, or the field that does
//! not is named (DOC-3..9). Every scalar of every body is changed, once signed
//! again by the right key alone, once with every later document linked again.

mod support;

use serde_json::json;
use std::collections::BTreeSet;
use support::{changes::*, *};
use veilbourse_documents::*;

/// The changes of both custodies.
fn all_changes() -> impl Iterator<Item = (Custody, Change)> {
    let all = Custody::ALL.iter().copied();
    all.flat_map(|custody| changes(custody).into_iter().map(move |c| (custody, c)))
}

fn meets(document: &str, met: Met, got: &Result<(), DocumentError>) -> bool {
    match (met, got) {
        (Free, Ok(())) => true,
        (
            Link(d, f),
            Err(DocumentError::Link {
                document, field, ..
            }),
        )
        | (
            Invalid(d, f),
            Err(DocumentError::Invalid {
                document, field, ..
            }),
        ) => (*document, *field) == (d, f),
        (
            Version,
            Err(DocumentError::Version {
                document: d,
                expected: 1,
                found: 2,
            }),
        ) => *d == document,
        (Marketplace, Err(DocumentError::Marketplace { document: d, .. })) => *d == document,
        _ => false,
    }
}

#[test]
fn a_consistent_chain_is_accepted() {
    // DOC-3, DOC-4, DOC-5, DOC-7, DOC-8, DOC-9.
    for custody in Custody::ALL {
        let papers = Bodies::good_in(*custody).sign().unwrap();
        papers.check().unwrap();
        // The documents' own way of signing gives the same signature.
        let again = Signed::sign(papers.quote.body.clone(), &signer(MARKETPLACE)).unwrap();
        assert_eq!(again, papers.quote);
    }
}

#[test]
fn every_field_changed_alone_is_refused_or_its_signers_word() {
    // DOC-3..9.
    for (custody, change) in all_changes() {
        let mut bodies = Bodies::good_in(custody);
        bodies.set(change.document, &change.pointer, change.to.clone());
        let what = format!("{}{} = {}", change.document, change.pointer, change.to);
        match bodies.sign() {
            Err(_) => assert_eq!(change.alone, Json, "{what}"),
            Ok(papers) => {
                let got = papers.check();
                assert!(
                    meets(change.document, change.alone, &got),
                    "{what}: expected {:?}, got {got:?}",
                    change.alone
                );
            }
        }
    }
}

#[test]
fn a_field_changed_with_all_later_documents_is_met_by_its_own_rule() {
    // DOC-3..9: the links alone do not hide that a shared field differs.
    for (custody, change) in all_changes() {
        let mut bodies = Bodies::good_in(custody);
        bodies.set(change.document, &change.pointer, change.to.clone());
        let what = format!("{}{} = {}", change.document, change.pointer, change.to);
        let signed = bodies
            .link_after(change.document)
            .and_then(|()| bodies.sign());
        match signed {
            Err(_) => assert_eq!(change.linked, Json, "{what}"),
            Ok(papers) => {
                let got = papers.check();
                assert!(
                    meets(change.document, change.linked, &got),
                    "{what}: expected {:?}, got {got:?}",
                    change.linked
                );
            }
        }
    }
}

#[test]
fn the_table_of_changes_names_every_field() {
    for custody in Custody::ALL {
        let good = Bodies::good_in(*custody);
        let changes = changes(*custody);
        assert!(
            good.0
                .keys()
                .copied()
                .eq(chain(*custody).collect::<BTreeSet<_>>())
        );
        for document in chain(*custody) {
            let named: BTreeSet<&str> = changes
                .iter()
                .filter(|c| c.document == document)
                .map(|c| c.pointer.as_str())
                .collect();
            for leaf in leaves(&good.0[document]) {
                assert!(
                    named.contains(leaf.as_str()),
                    "{document}{leaf} is not changed"
                );
            }
            // And every change is a change.
            for c in changes.iter().filter(|c| c.document == document) {
                assert_ne!(
                    good.0[document].pointer(&c.pointer),
                    Some(&c.to),
                    "{document}{} is changed to itself",
                    c.pointer
                );
            }
        }
    }
}

#[test]
fn a_field_changed_under_the_old_signature_is_refused() {
    // DOC-1: also what its signer may say freely.
    for (custody, change) in all_changes() {
        let good = Bodies::good_in(custody).sign().unwrap();
        let mut bodies = Bodies::good_in(custody);
        bodies.set(change.document, &change.pointer, change.to.clone());
        let Ok(mut papers) = bodies.sign() else {
            continue;
        };
        papers.policy.signature = good.policy.signature;
        papers.quote.signature = good.quote.signature;
        papers.order.signature = good.order.signature;
        papers.submission.signature = good.submission.signature;
        papers.grant.signature = good.grant.signature;
        for (o, old) in papers.openings.iter_mut().zip(&good.openings) {
            o.signature = old.signature;
        }
        for (d, old) in papers.deliveries.iter_mut().zip(&good.deliveries) {
            d.signature = old.signature;
        }
        papers.refusal.signature = good.refusal.signature;
        let got = match change.document {
            "policy" => papers.policy.verify(),
            "quote" => papers.quote.verify(),
            "order" => papers.order.verify(),
            "submission" => papers.submission.verify(),
            "grant" => papers.grant.verify(),
            "opening" => papers.openings[1].verify(),
            "delivery" => papers.deliveries.last().unwrap().verify(),
            _ => papers.refusal.verify(),
        };
        let what = format!("{}{} = {}", change.document, change.pointer, change.to);
        match change.alone {
            Version | Invalid(..) => assert!(
                meets(change.document, change.alone, &got)
                    // A lone change that only a later document finds invalid.
                    || matches!(got, Err(DocumentError::Signature { .. })),
                "{what}: {got:?}"
            ),
            _ => assert!(
                matches!(got, Err(DocumentError::Signature { document }) if document == change.document),
                "{what}: {got:?}"
            ),
        }
        assert!(papers.check().is_err(), "{what}");
    }
}

#[test]
fn each_document_is_signed_by_whom_it_must_be() {
    let stranger = signer(STRANGER);
    for custody in Custody::ALL {
        let good = || Bodies::good_in(*custody).sign().unwrap();
        let signer_of = |papers: Papers| match papers.check() {
            Err(DocumentError::Signer {
                document, found, ..
            }) => {
                assert_eq!(found, key(&stranger).to_string());
                document
            }
            other => panic!("{other:?}"),
        };
        let mut p = good();
        p.quote = force_sign(p.quote.body, &stranger);
        assert_eq!(signer_of(p), "quote");
        let mut p = good();
        p.submission = force_sign(p.submission.body, &stranger);
        assert_eq!(signer_of(p), "submission");
        let mut p = good();
        p.grant = force_sign(p.grant.body, &stranger);
        assert_eq!(signer_of(p), "grant");
        for i in 0..good().openings.len() {
            let mut p = good();
            p.openings[i] = force_sign(p.openings[i].body.clone(), &stranger);
            assert_eq!(signer_of(p), "opening");
        }
        for i in 0..good().deliveries.len() {
            let mut p = good();
            p.deliveries[i] = force_sign(p.deliveries[i].body.clone(), &stranger);
            assert_eq!(signer_of(p), "delivery");
        }
        let mut p = good();
        p.refusal = force_sign(p.refusal.body, &stranger);
        assert_eq!(signer_of(p), "non-delivery");
        // Custodian and buyer are whoever the digests name: another signer of the
        // same words is another document.
        let mut p = good();
        p.policy = force_sign(p.policy.body, &stranger);
        assert!(meets("quote", POLICY, &p.check()));
        let mut p = good();
        p.order = force_sign(p.order.body, &stranger);
        assert!(meets("submission", ORDER, &p.check()));
    }
}

#[test]
fn another_pinned_marketplace_refuses_the_chain() {
    // DOC-2.
    let papers = Bodies::good().sign().unwrap();
    let got = papers.check_under(&key(&signer(STRANGER)));
    assert!(
        matches!(&got, Err(DocumentError::Marketplace { document: "policy", expected, found })
            if *expected == marketplace_id(&key(&signer(STRANGER))) && *found == marketplace()),
        "{got:?}"
    );
}

#[test]
fn a_better_class_than_asked_for_is_no_downgrade() {
    // DOC-4, DOC-5: custodian and buyer may ask for less than is offered, and
    // neither gets less than asked for.
    let mut b = Bodies::good();
    b.set("policy", "/min_class", json!("replicated"));
    b.set("quote", "/class", json!("replicated"));
    b.set("order", "/min_class", json!("replicated"));
    b.link_after("").unwrap();
    b.sign().unwrap().check().unwrap();
    b.set("order", "/min_class", json!("proven"));
    b.link_after("order").unwrap();
    assert!(meets(
        "quote",
        Link("quote", "class"),
        &b.sign().unwrap().check()
    ));
}
