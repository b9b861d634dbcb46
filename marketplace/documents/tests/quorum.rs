//! What a quorum hands in (DOC-9, DOC-13, REC-7), against a marketplace and nodes
//! that lie.

mod support;

use serde_json::json;
use support::{committee::*, *};
use veilbourse_documents::*;
use veilbourse_protocol::MAX_BATCH;

const BOTH: [Custody; 2] = [Custody::CustodianHeld, Custody::Committee];

fn papers(custody: Custody) -> Papers {
    Bodies::good_in(custody).sign().unwrap()
}

/// The refusal of what was handed in.
fn results(p: &Papers) -> DocumentError {
    let marketplace = key(&signer(MARKETPLACE));
    let chain = p.chain(&marketplace);
    let got = chain.check_results(&p.grant, &VALUES, &p.openings, &p.deliveries);
    got.unwrap_err()
}

fn link(e: &DocumentError) -> (&'static str, &'static str, &str, &str) {
    match e {
        DocumentError::Link {
            document,
            field,
            expected,
            found,
            ..
        } => (document, field, expected, found),
        other => panic!("{other}"),
    }
}

fn signed_by(e: DocumentError, document: &'static str, expected: u8, found: u8) {
    let want = DocumentError::Signer {
        document,
        expected: key(&signer(expected)).to_string(),
        found: key(&signer(found)).to_string(),
    };
    assert_eq!(e, want);
}

#[test]
fn a_quorum_hands_in_one_of_each_by_number() {
    // REC-7: none missing, none more, no node twice, nobody from outside.
    let good = papers(Custody::Committee);
    let mut p = good.clone();
    p.openings.pop();
    assert_eq!(link(&results(&p)), ("opening", "signers", "2", "1"));
    let mut p = good.clone();
    p.deliveries.pop();
    assert_eq!(link(&results(&p)), ("delivery", "signers", "2", "1"));
    let mut p = good.clone();
    p.openings.push(p.openings[0].clone());
    assert_eq!(link(&results(&p)), ("opening", "signers", "2", "3"));
    let mut p = good.clone();
    p.deliveries.clear();
    assert_eq!(link(&results(&p)), ("delivery", "signers", "2", "0"));
    let mut p = good.clone();
    p.openings[1] = p.openings[0].clone();
    signed_by(results(&p), "opening", 7, 5);
    let mut p = good.clone();
    p.deliveries[1] = p.deliveries[0].clone();
    signed_by(results(&p), "delivery", 7, 5);
    let mut p = good.clone();
    p.openings.swap(0, 1);
    signed_by(results(&p), "opening", 5, 7);
    let mut p = good.clone();
    p.deliveries.swap(0, 1);
    signed_by(results(&p), "delivery", 5, 7);
    // Node 1 is of the committee, but not of the quorum.
    let outside = signer(NODES[1]);
    let mut p = good.clone();
    p.openings[0] = force_sign(p.openings[0].body.clone(), &outside);
    signed_by(results(&p), "opening", 5, 6);
    let marketplace = key(&signer(MARKETPLACE));
    let chain = p.chain(&marketplace);
    let alone = chain.check_opening(&p.grant, &VALUES, &p.openings[0]);
    signed_by(alone.unwrap_err(), "opening", 5, 6);
    let refusal = force_sign(p.refusal.body.clone(), &outside);
    assert!(matches!(
        chain.check_non_delivery(&p.grant, &refusal),
        Err(DocumentError::Signer {
            document: "non-delivery",
            ..
        })
    ));
    // And each node of the quorum may refuse.
    for node in SIGNERS {
        let refusal = force_sign(p.refusal.body.clone(), &signer(node));
        chain.check_non_delivery(&p.grant, &refusal).unwrap();
    }
}

#[test]
fn all_openings_say_the_same() {
    // REC-7, DOC-13: each by itself is good.
    let good = papers(Custody::Committee);
    let marketplace = key(&signer(MARKETPLACE));
    let chain = good.chain(&marketplace);
    let mut b = Bodies::good_in(Custody::Committee);
    b.set("opening", "/opened", json!(digest(1)));
    b.link_after("opening").unwrap();
    let words = b.sign().unwrap();
    let mut b = Bodies::good_in(Custody::Committee);
    b.set("opening", "/attempt", json!(3));
    b.link_after("grant").unwrap();
    let session = b.sign().unwrap();
    for (other, field) in [(words, "opened"), (session, "session")] {
        other.check().unwrap();
        let mixed = [good.openings[0].clone(), other.openings[1].clone()];
        for o in &mixed {
            chain.check_opening(&good.grant, &VALUES, o).unwrap();
        }
        let got = chain.check_results(&good.grant, &VALUES, &mixed, &good.deliveries);
        let e = got.unwrap_err();
        assert_eq!((link(&e).0, link(&e).1), ("opening", field));
    }
    // A delivery of another session than its node's opening.
    let mut p = good.clone();
    let mut b = Bodies::good_in(Custody::Committee);
    b.set("delivery", "/session", json!(digest(1)));
    p.deliveries[1] = b.sign().unwrap().deliveries[1].clone();
    let e = results(&p);
    assert_eq!((link(&e).0, link(&e).1), ("delivery", "session"));
}

#[test]
fn an_opening_goes_with_a_committee_and_only_there() {
    // DOC-9: a delivery of a committee's node cannot leave its session out.
    let marketplace = key(&signer(MARKETPLACE));
    let mut b = Bodies::good_in(Custody::Committee);
    b.set("delivery", "/session", json!(null));
    let p = b.sign().unwrap();
    let chain = p.chain(&marketplace);
    let got = chain.check_delivery(&p.grant, None, &p.deliveries[0]);
    assert_eq!(
        link(&got.unwrap_err()),
        ("delivery", "openings", "1", "0"),
        "without opening"
    );
    let got = chain.check_delivery(&p.grant, Some(&p.openings[0]), &p.deliveries[0]);
    let e = got.unwrap_err();
    assert_eq!(link(&e).3, "none");
    // Nor can that of the one node name a session.
    let committee = papers(Custody::Committee);
    let mut b = Bodies::good_in(Custody::CustodianHeld);
    let session = json!(committee.openings[0].body.session);
    b.set("delivery", "/session", session);
    let p = b.sign().unwrap();
    let chain = p.chain(&marketplace);
    let got = chain.check_delivery(&p.grant, Some(&committee.openings[0]), &p.deliveries[0]);
    assert_eq!(link(&got.unwrap_err()), ("delivery", "openings", "0", "1"));
    let mut p = papers(Custody::CustodianHeld);
    p.openings = committee.openings;
    assert_eq!(link(&results(&p)), ("opening", "signers", "0", "2"));
    // No session is about a grant to one node.
    let chain = p.chain(&marketplace);
    let e = chain.session(&p.grant, 0, FIRST, &VALUES).unwrap_err();
    assert_eq!(link(&e), ("grant", "opener", "committee", "custodian_held"));
}

#[test]
fn a_delivery_is_of_its_own_nodes_opening() {
    // DOC-9: signer, values and grant of the opening that it is held to.
    let marketplace = key(&signer(MARKETPLACE));
    let p = papers(Custody::Committee);
    let chain = p.chain(&marketplace);
    let got = chain.check_delivery(&p.grant, Some(&p.openings[1]), &p.deliveries[0]);
    let e = got.unwrap_err();
    assert_eq!((link(&e).0, link(&e).1), ("delivery", "signer"));
    let mut b = Bodies::good_in(Custody::Committee);
    b.set("delivery", "/values", json!("8"));
    b.set("delivery", "/counter_after", json!("48"));
    let more = b.sign().unwrap();
    let got = chain.check_delivery(&p.grant, Some(&p.openings[0]), &more.deliveries[0]);
    assert_eq!(link(&got.unwrap_err()), ("delivery", "values", "7", "8"));
    let mut b = Bodies::good_in(Custody::Committee);
    b.set("opening", "/grant", json!(digest(1)));
    let other = b.sign().unwrap();
    let got = chain.check_delivery(&p.grant, Some(&other.openings[0]), &p.deliveries[0]);
    let e = got.unwrap_err();
    assert_eq!((link(&e).0, link(&e).1), ("opening", "grant"));
}

#[test]
fn a_session_is_about_the_documents_and_the_dealings_tickets() {
    // OPN-4, DOC-13: recomputed here by hand (tests/support) and there.
    let marketplace = key(&signer(MARKETPLACE));
    let p = papers(Custody::Committee);
    let chain = p.chain(&marketplace);
    let opening = &p.openings[0].body;
    let session = chain.session(&p.grant, opening.attempt, opening.first_ticket, &VALUES);
    let session = session.unwrap();
    session.check().unwrap();
    assert_eq!(session.digest(), opening.session);
    let (quorum, dealing) = (QUORUM.to_vec(), GRANTED);
    assert_eq!((session.quorum, session.dealing), (quorum, dealing));
    // The dealing's first and last tickets, and one beyond at each end.
    let end = FIRST + COUNT;
    for (first, good) in [
        (FIRST, true),
        (FIRST - 1, false),
        (end - 7, true),
        (end - 6, false),
        (0, false),
        (end, false),
        (u64::MAX, false),
    ] {
        match chain.session(&p.grant, 0, first, &VALUES) {
            Ok(_) => assert!(good, "{first}"),
            Err(DocumentError::Invalid {
                document: "opening",
                field: "first_ticket",
                reason,
            }) => {
                assert!(!good, "{first}");
                assert!(reason.contains(&format!("{FIRST}..{end}")), "{reason}");
            }
            Err(e) => panic!("{first}: {e}"),
        }
    }
    // Each output has values, and there are as many outputs as granted.
    assert_eq!(
        chain.session(&p.grant, 0, FIRST, &[7, 0]).unwrap_err(),
        DocumentError::Invalid {
            document: "opening",
            field: "values",
            reason: "output 1 has none".into()
        }
    );
    for values in [&[7u32][..], &[1, 6, 1], &[]] {
        let e = chain.session(&p.grant, 0, FIRST, values).unwrap_err();
        assert_eq!((link(&e).0, link(&e).1), ("order", "outputs"));
    }
    // The same sum, otherwise between the outputs: another session.
    let got = chain.check_opening(&p.grant, &[2, 5], &p.openings[0]);
    let e = got.unwrap_err();
    assert_eq!((link(&e).0, link(&e).1), ("opening", "session"));
    // All attempts differ.
    let other = chain.session(&p.grant, 1, FIRST, &VALUES).unwrap();
    let first = chain.session(&p.grant, 0, FIRST, &VALUES).unwrap();
    assert_ne!(other.digest(), first.digest());
}

#[test]
fn an_opening_has_no_more_values_than_a_session() {
    // OPN-5: at the limit and one beyond.
    let p = papers(Custody::Committee);
    let mut body = p.openings[0].body.clone();
    body.values = MAX_BATCH as u64;
    Signed::sign(body.clone(), &signer(NODE)).unwrap();
    body.values += 1;
    let e = Signed::sign(body.clone(), &signer(NODE)).unwrap_err();
    let text = e.to_string();
    assert!(
        text.starts_with("opening.values: 16385") && text.ends_with("is 16384"),
        "{text}"
    );
    // TKT-5: the greatest number of a ticket.
    body.values = 1;
    body.first_ticket = (1 << 24) - 1;
    Signed::sign(body.clone(), &signer(NODE)).unwrap();
    body.first_ticket += 1;
    let e = Signed::sign(body, &signer(NODE)).unwrap_err();
    assert!(matches!(
        e,
        DocumentError::Invalid {
            document: "opening",
            field: "values",
            ..
        }
    ));
}

#[test]
fn the_grantees_are_the_quorum_or_the_node() {
    // DOC-8.
    let marketplace = key(&signer(MARKETPLACE));
    for custody in BOTH {
        let p = papers(custody);
        let expected: Vec<Key> = match custody {
            Custody::CustodianHeld => vec![key(&signer(NODE))],
            Custody::Committee => SIGNERS.iter().map(|s| key(&signer(*s))).collect(),
        };
        let found = p.chain(&marketplace).grantees(&p.grant.body).unwrap();
        assert_eq!(found, expected);
    }
    // Of the other custody, either way.
    let (held, shared) = (papers(BOTH[0]), papers(BOTH[1]));
    for (chain, grant) in [(&held, &shared), (&shared, &held)] {
        let chain = chain.chain(&marketplace);
        let e = chain.grantees(&grant.grant.body).unwrap_err();
        assert_eq!((link(&e).0, link(&e).1), ("grant", "opener"));
    }
}

#[test]
fn a_nodes_answer_to_a_dealing_is_held_to_its_rules() {
    // DOC-14.
    let body = DealingRefused {
        version: DOCUMENT_VERSION,
        marketplace: marketplace(),
        dataset: digest(1),
        dealing: GRANTED,
        code: "TICKETS".into(),
        reason: "x".repeat(2000),
    };
    Signed::sign(body.clone(), &signer(NODE)).unwrap();
    let refused = |change: &dyn Fn(&mut DealingRefused), named: &str| {
        let mut b = body.clone();
        change(&mut b);
        match Signed::sign(b, &signer(NODE)) {
            Err(DocumentError::Invalid {
                document: "dealing-refused",
                field,
                ..
            }) => assert_eq!(field, named),
            other => panic!("{other:?}"),
        }
    };
    refused(&|b| b.code = String::new(), "code");
    refused(&|b| b.code = "X".repeat(65), "code");
    refused(&|b| b.reason.push('x'), "reason");
    // Neither passes for the other.
    let accepted = DealingAccepted {
        version: DOCUMENT_VERSION,
        marketplace: marketplace(),
        dataset: digest(1),
        dealing: GRANTED,
    };
    let accepted = Signed::sign(accepted, &signer(NODE)).unwrap();
    let text = accepted.text().unwrap();
    assert!(Signed::<DealingRefused>::parse(text.as_bytes()).is_err());
}

#[test]
fn a_custodian_has_no_seat_in_its_committee() {
    // DOC-3: with one node of a quorum it would learn results. The one node of
    // the other custody may be its own.
    let marketplace = key(&signer(MARKETPLACE));
    let custodian = |custody, at: &str| {
        let mut b = Bodies::good_in(custody);
        for d in ["policy", "quote", "order"] {
            b.set(d, at, json!(key(&signer(CUSTODIAN))));
        }
        b.link_after("").unwrap();
        b.sign().unwrap().chain(&marketplace).check()
    };
    for n in 0..3 {
        match custodian(Custody::Committee, &format!("/openers/nodes/{n}")) {
            Err(DocumentError::Invalid {
                document: "policy",
                field: "openers",
                reason,
            }) => assert!(reason.contains(&key(&signer(CUSTODIAN)).to_string())),
            other => panic!("{other:?}"),
        }
    }
    custodian(Custody::CustodianHeld, "/openers/node_key").unwrap();
}

#[test]
fn a_joint_order_has_two_to_sixteen_quotes() {
    // DOC-5, OPN-9.
    let body = papers(Custody::Committee).order.body;
    let with = |quotes: usize| {
        let mut body = body.clone();
        body.quote = digest(1);
        body.joint = (1..=quotes as u8).map(digest).collect();
        Signed::sign(body, &signer(BUYER))
    };
    for good in [0, 2, 3, MAX_JOINT] {
        with(good).unwrap();
    }
    for bad in [1, MAX_JOINT + 1, 200] {
        let e = with(bad).unwrap_err().to_string();
        assert!(e.starts_with(&format!("order.joint: {bad} quotes")), "{e}");
    }
}

#[test]
fn tickets_are_null_or_there_and_never_left_out() {
    // DOC-1, DOC-12: what is not said is not taken for null.
    for custody in BOTH {
        let p = papers(custody);
        let left_out = |whole: serde_json::Value, field: &str| {
            let mut whole = whole;
            whole["body"]
                .as_object_mut()
                .unwrap()
                .remove(field)
                .unwrap();
            whole.to_string()
        };
        let json = |e: Result<(), DocumentError>| matches!(e, Err(DocumentError::Json { .. }));
        let policy = left_out(json!(p.policy), "tickets");
        assert!(json(Signed::<Policy>::parse(policy.as_bytes()).map(drop)));
        let quote = left_out(json!(p.quote), "ticket_class");
        assert!(json(Signed::<Quote>::parse(quote.as_bytes()).map(drop)));
        let order = left_out(json!(p.order), "ticket_class");
        assert!(json(Signed::<Order>::parse(order.as_bytes()).map(drop)));
        let order = left_out(json!(p.order), "joint");
        assert!(json(Signed::<Order>::parse(order.as_bytes()).map(drop)));
        let delivery = left_out(json!(p.deliveries[0]), "session");
        assert!(json(
            Signed::<Delivery>::parse(delivery.as_bytes()).map(drop)
        ));
    }
}
