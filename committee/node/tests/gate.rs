//! The gate (KEY-2): the good job is delivered and opens to the simulation
//! (KEY-5); everything else is refused by its own code, and reveals nothing.
//!
//! Over 500 lines: one case a refusal, and the table is only complete in one
//! place.

mod support;

use ed25519_dalek::Signer;
use std::sync::OnceLock;
use support::{terms::*, *};
use veilbourse_core::{
    ciphertext::{OutputCiphertext, PublicKey},
    digest::Digest,
    field::Fq,
    program::{MatrixRef, ProgramOutput},
};
use veilbourse_documents::{
    Bytes, Chain, Delivery, Document, Nonce, Order, QueryKind, SignatureText, Signed, SigningKey,
    SrsRef, api::AcceptedKeys,
};
use veilbourse_eval::SecretKey;
use veilbourse_node::{Begun, KeyNode, NodeConfig, Outcome, Parts};
use veilbourse_verifier::linear::OrderContext;

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(World::new)
}

/// The full program under nonce 1, proven once.
fn full() -> &'static Case {
    static CASE: OnceLock<Case> = OnceLock::new();
    CASE.get_or_init(|| terms().proven(world()))
}

/// One aggregate under nonce 2, proven once.
fn small() -> &'static Case {
    static CASE: OnceLock<Case> = OnceLock::new();
    CASE.get_or_init(|| {
        let mut t = Terms::of(world(), world().aggregate());
        t.nonce = 2;
        t.proven(world())
    })
}

fn terms() -> Terms {
    Terms::of(world(), world().program())
}

/// Bits of a value: 63 - k.
fn width() -> u64 {
    63 - u64::from(world().dataset.manifest.message_log2)
}

fn process(node: &mut Node, case: &Case) -> Outcome {
    node.node
        .process(&case.job, &case.parts, NOW, &mut rng(50))
        .unwrap()
}

/// Refused by a fresh node, with a code; nothing is revealed or counted.
fn refused(config: NodeConfig, case: &Case, expected: &str) {
    let mut node = Node::new(config);
    let outcome = process(&mut node, case);
    assert_eq!(code(&outcome), expected, "{outcome:?}");
    assert_eq!(node.revealed(world()), (0, 0));
    let Outcome::Refused(refusal) = outcome else {
        unreachable!()
    };
    // DOC-9: the refusal names order and grant, and says that nothing was revealed.
    assert!(!refusal.body.revealed);
    assert_eq!(refusal.body.order, case.order());
    assert_eq!(refusal.body.grant, case.grant());
    assert_eq!(refusal.key, node.node.config().node_key());
}

#[test]
fn a_good_job_is_delivered_and_opens_to_the_simulation() {
    // KEY-2, KEY-5, DOC-10.
    let (case, mut node) = (full(), Node::new(world().config()));
    let outcome = process(&mut node, case);
    let opened = open(
        &outcome,
        &case.terms.result_secret(),
        case.order(),
        case.grant(),
    );
    assert_eq!(values(&opened), world().expected(&case.terms.program));
    assert_eq!(opened.outputs[1].values.len() as u64, ROWS);
    let Outcome::Delivered {
        delivery,
        sealed_result,
    } = &outcome
    else {
        unreachable!()
    };
    let chain = Chain {
        marketplace: &key(&signer(MARKETPLACE)),
        policy: &case.job.policy,
        quote: &case.job.quote,
        order: &case.job.order,
    };
    chain
        .check_delivery(&case.job.grant, None, delivery)
        .unwrap();
    let d = &delivery.body;
    assert_eq!(
        (d.values, d.counter_before, d.counter_after),
        (VALUES, 0, VALUES)
    );
    assert_eq!(
        d.sealed_result,
        Delivery::digest_of_sealed_result(sealed_result)
    );
    assert_eq!(node.revealed(world()), (VALUES, VALUES * width()));
    // The same job again, and with nothing but the documents: the same bytes.
    assert_eq!(process(&mut node, case), outcome);
    let again = node
        .node
        .process(&case.job, &Parts::default(), NOW + 99_999, &mut rng(51));
    assert_eq!(again.unwrap(), outcome);
    assert_eq!(node.revealed(world()), (VALUES, VALUES * width()));
}

#[test]
fn documents_of_another_marketplace_or_out_of_joint_are_refused() {
    // KEY-2, DOC-2: the marketplace's key is pinned.
    let mut t = terms();
    t.marketplace = signer(STRANGER);
    refused(world().config(), &t.unproven(), "DOCUMENT");
    // A grant that the marketplace did not sign; an order changed after it was signed.
    let mut case = terms().unproven();
    case.job.grant = Signed::sign(case.job.grant.body.clone(), &signer(STRANGER)).unwrap();
    refused(world().config(), &case, "DOCUMENT");
    let mut case = terms().unproven();
    case.job.order.body.price += 1;
    refused(world().config(), &case, "DOCUMENT");
    // The chain itself is tested field by field in veilbourse-documents.
}

#[test]
fn another_node_or_dataset_or_custodian_is_refused() {
    // KEY-2.
    let mut t = terms();
    t.held_by(key(&signer(STRANGER)));
    refused(world().config(), &t.unproven(), "NODE_KEY");
    let mut config = world().config();
    config.datasets.clear();
    refused(config, &terms().unproven(), "DATASET_UNKNOWN");
    let mut t = terms();
    t.custodian = signer(STRANGER);
    refused(world().config(), &t.unproven(), "CUSTODIAN_KEY");
}

#[test]
fn the_manifest_is_the_datasets() {
    // KEY-2, DS-5.
    let mut t = terms();
    t.manifest.name.push('x');
    refused(world().config(), &t.unproven(), "MANIFEST_ROOT");
    t.manifest.columns.clear();
    refused(world().config(), &t.unproven(), "MANIFEST");
}

#[test]
fn policy_and_grant_are_of_now() {
    // KEY-2.
    let mut t = terms();
    t.valid_from = NOW + 1;
    refused(world().config(), &t.unproven(), "POLICY_EARLY");
    let mut t = terms();
    t.expires = NOW;
    refused(world().config(), &t.unproven(), "GRANT_EXPIRED");
}

#[test]
fn an_older_policy_than_seen_is_refused() {
    // KEY-6, DOC-3.
    let mut node = Node::new(world().config());
    assert!(matches!(
        process(&mut node, small()),
        Outcome::Delivered { .. }
    ));
    let mut t = terms();
    t.policy_version = small().terms.policy_version - 1;
    assert_eq!(code(&process(&mut node, &t.unproven())), "POLICY_OLD");
    // What is not valid yet, or not the custodian's, was not seen.
    t.policy_version = 9;
    t.valid_from = NOW + 1;
    assert_eq!(code(&process(&mut node, &t.unproven())), "POLICY_EARLY");
    t.valid_from = NOW;
    t.custodian = signer(STRANGER);
    assert_eq!(code(&process(&mut node, &t.unproven())), "CUSTODIAN_KEY");
    t.custodian = signer(CUSTODIAN);
    t.policy_version = 8;
    let mut forged = t.unproven();
    forged.job.policy.body.policy_version = 9;
    assert_eq!(code(&process(&mut node, &forged)), "DOCUMENT");
    assert_eq!(node.node.state().policy_version(&world().root, &id(1)), 3);
    // A custodian tightens its policy: from the first job that shows it, also
    // one that it refuses, the looser one is over.
    t.policy_version = 5;
    t.quota_values = 0;
    assert_eq!(code(&process(&mut node, &t.unproven())), "QUOTA");
    let mut t = terms();
    t.policy_version = 4;
    assert_eq!(code(&process(&mut node, &t.unproven())), "POLICY_OLD");
    // Also after another start.
    let Node { folder, node } = node;
    drop(node);
    let log = folder.path().join("log");
    let node = KeyNode::open(world().config(), &log).unwrap();
    assert_eq!(node.state().policy_version(&world().root, &id(1)), 5);
}

/// A refusal's words.
fn reason(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Refused(r) => &r.body.reason,
        Outcome::Delivered { .. } => panic!("delivered"),
    }
}

#[test]
fn a_policy_of_a_withdrawn_listing_is_over_once_its_successor_was_seen() {
    // KEY-6: versions are counted in each listing; across the listings of a
    // dataset the later beginning counts.
    let node = &mut Node::new(world().config());
    // Each order has its own nonce: a refusal ends an order.
    let mut nonce = 10;
    let mut code_of = |node: &mut Node, listing: u8, version: u32, from: u64| {
        nonce += 1;
        let mut t = terms();
        (t.nonce, t.listing, t.policy_version, t.valid_from) = (nonce, listing, version, from);
        let outcome = process(node, &t.unproven());
        (code(&outcome).to_owned(), reason(&outcome).to_owned())
    };
    // PUBLIC_KEY: as far as a job without its parts comes.
    let (early, late) = (NOW - 1000, NOW - 500);
    assert_eq!(code_of(node, 1, 3, early).0, "PUBLIC_KEY");
    // Withdrawn, listed again as 2 under stricter terms, counted from 1.
    assert_eq!(code_of(node, 2, 1, late).0, "PUBLIC_KEY");
    let (code, reason) = code_of(node, 1, 3, early);
    assert_eq!(code, "POLICY_OLD");
    assert!(reason.contains(id(2).as_str()), "{reason}");
    // Nor a version of the old listing that was never seen here, as old or as new.
    assert_eq!(code_of(node, 1, 4, early + 1).0, "POLICY_OLD");
    assert_eq!(code_of(node, 1, 4, late).0, "POLICY_OLD");
    assert_eq!(code_of(node, 7, 9, late).0, "POLICY_OLD");
    assert_eq!(code_of(node, 2, 1, late).0, "PUBLIC_KEY");
    // In one listing the version counts, and what it replaced stays replaced.
    assert_eq!(code_of(node, 2, 2, early).0, "PUBLIC_KEY");
    assert_eq!(code_of(node, 2, 1, late).0, "POLICY_OLD");
    assert_eq!(code_of(node, 1, 5, late).0, "POLICY_OLD");
    // The custodian returns to the first listing: a later beginning and version.
    assert_eq!(code_of(node, 1, 2, late + 1).0, "POLICY_OLD");
    assert_eq!(code_of(node, 1, 4, late + 1).0, "PUBLIC_KEY");
    assert_eq!(code_of(node, 2, 2, early).0, "POLICY_OLD");
    // All of it from disk too.
    let log = node.folder.path().join("copy");
    std::fs::copy(node.folder.path().join("log"), &log).unwrap();
    let again = KeyNode::open(world().config(), &log).unwrap();
    for (listing, version, from) in [(1, 4, late + 1), (2, 2, early), (1, 3, early), (7, 1, NOW)] {
        let mut t = terms();
        (t.listing, t.policy_version, t.valid_from) = (listing, version, from);
        let policy = t.papers().policy;
        let digest = policy.digest().unwrap();
        assert_eq!(
            again.state().standing(&world().root, &policy.body, &digest),
            node.node
                .state()
                .standing(&world().root, &policy.body, &digest)
        );
    }
}

#[test]
fn two_policies_of_one_version_are_not_both_acted_on() {
    // KEY-6.
    let mut node = Node::new(world().config());
    let mut t = terms();
    assert_eq!(code(&process(&mut node, &t.unproven())), "PUBLIC_KEY");
    t.nonce = 2;
    t.quota_values += 1;
    assert_eq!(code(&process(&mut node, &t.unproven())), "POLICY_CONFLICT");
    t.policy_version += 1;
    t.nonce = 3;
    assert_eq!(code(&process(&mut node, &t.unproven())), "PUBLIC_KEY");
}

#[test]
fn the_operator_can_tell_the_node_a_policy() {
    // KEY-6: without waiting for a job that shows it.
    let mut node = Node::new(world().config());
    let mut told = terms();
    told.listing = 2;
    told.policy_version = 1;
    let policy = told.papers().policy;
    assert!(node.node.learn_policy(&policy, NOW).unwrap());
    assert!(!node.node.learn_policy(&policy, NOW).unwrap(), "known");
    assert_eq!(code(&process(&mut node, &terms().unproven())), "POLICY_OLD");
    // What the node would not act on is not recorded: not valid yet, of
    // another custodian or marketplace, older.
    let refused = |node: &mut Node, change: &dyn Fn(&mut Terms), expected: &str| {
        let mut t = told.clone();
        t.policy_version = 5;
        change(&mut t);
        let log = node.folder.path().join("log");
        let before = std::fs::read(&log).unwrap();
        match node.node.learn_policy(&t.papers().policy, NOW) {
            Err(veilbourse_node::NodeError::Policy(r)) => assert_eq!(r.code(), expected),
            other => panic!("{other:?}"),
        }
        assert_eq!(std::fs::read(&log).unwrap(), before);
    };
    refused(&mut node, &|t| t.valid_from = NOW + 1, "POLICY_EARLY");
    refused(
        &mut node,
        &|t| t.custodian = signer(STRANGER),
        "CUSTODIAN_KEY",
    );
    refused(&mut node, &|t| t.marketplace = signer(STRANGER), "DOCUMENT");
    refused(
        &mut node,
        &|t| t.dataset = Digest([9; 32]),
        "DATASET_UNKNOWN",
    );
    refused(&mut node, &|t| t.listing = 1, "POLICY_OLD");
    let mut forged = policy;
    forged.body.policy_version = 9;
    assert!(node.node.learn_policy(&forged, NOW).is_err());
    assert_eq!(node.node.state().policy_version(&world().root, &id(2)), 1);
}

#[test]
fn a_nonce_is_spent_once() {
    // KEY-2.
    let mut node = Node::new(world().config());
    let first = process(&mut node, small());
    let mut t = small().terms.clone();
    t.result += 1;
    let replay = t.unproven();
    let outcome = process(&mut node, &replay);
    assert_eq!(code(&outcome), "NONCE_REPLAYED");
    assert!(matches!(&outcome, Outcome::Refused(r) if !r.body.revealed));
    assert_eq!(node.revealed(world()), (1, width()));
    assert_eq!(process(&mut node, small()), first);
}

#[test]
fn kind_cohort_and_program_are_held_to_the_policy() {
    // KEY-2, ORD-4.
    let mut t = terms();
    t.kinds = vec![QueryKind::AggregatePublic, QueryKind::RowsPrivate];
    refused(world().config(), &t.unproven(), "PROGRAM");
    let mut t = terms();
    t.min_cohort = ROWS + 1;
    refused(world().config(), &t.unproven(), "PROGRAM");
    t.min_cohort = ROWS;
    refused(world().config(), &t.unproven(), "PUBLIC_KEY");
    let mut t = terms();
    t.program.outputs.push(t.program.outputs[0]);
    refused(world().config(), &t.unproven(), "PROGRAM");
    let mut t = terms();
    t.program.outputs[1].vector = 9;
    refused(world().config(), &t.unproven(), "PROGRAM");
}

#[test]
fn the_price_is_the_policys() {
    // KEY-2: marketplace and buyer cannot agree another one.
    let mut t = terms();
    t.price_order = 3_001;
    refused(world().config(), &t.unproven(), "PRICE");
}

#[test]
fn quotas_are_held_by_the_nodes_own_count() {
    // KEY-2, KEY-3.
    let needed = VALUES * width();
    for (values, bits, expected) in [
        (VALUES - 1, needed, "QUOTA"),
        (VALUES, needed - 1, "QUOTA"),
        (0, 0, "QUOTA"),
        // Exactly enough: refused only later, for the missing parts.
        (VALUES, needed, "PUBLIC_KEY"),
    ] {
        let mut t = terms();
        (t.quota_values, t.quota_bits) = (values, bits);
        refused(world().config(), &t.unproven(), expected);
    }
    // Whoever asks, what was revealed before counts: one value is gone.
    for (values, bits, expected) in [
        (VALUES, u64::MAX, "QUOTA"),
        (VALUES + 1, needed + width() - 1, "QUOTA"),
        (VALUES + 1, needed + width(), "PUBLIC_KEY"),
    ] {
        let mut node = Node::new(world().config());
        process(&mut node, small());
        let mut t = terms();
        t.policy_version += 1;
        (t.quota_values, t.quota_bits) = (values, bits);
        let outcome = process(&mut node, &t.unproven());
        assert_eq!(code(&outcome), expected, "{values} {bits}");
        assert_eq!(node.revealed(world()), (1, width()));
    }
}

#[test]
fn verifying_keys_and_reference_string_are_the_nodes_own() {
    // KEY-2: none is needed, one is named.
    let mut t = terms();
    t.verifying_keys = vec![Digest([1; 32])];
    refused(world().config(), &t.unproven(), "VERIFYING_KEY");
    // Hidden weights: the reference string comes first, then its provenance,
    // then the keys; no proof is looked at.
    let mut t = Terms::of(world(), world().private());
    t.kinds = vec![QueryKind::AggregatePrivate];
    refused(world().config(), &t.unproven(), "VERIFYING_KEY");
    t.verifying_keys = vec![Digest([1; 32])];
    refused(world().config(), &t.unproven(), "VERIFYING_KEY");
    let mut config = world().config();
    config.accept_dev_srs = false;
    refused(config, &t.unproven(), "SRS_DEV");
    t.srs.digest = Digest([2; 32]);
    refused(world().config(), &t.unproven(), "SRS_NOT_ACCEPTED");
}

#[test]
fn a_ceremony_takes_the_place_of_a_dev_string() {
    // KEY-2, CER-9: where dev is refused, which is the default.
    let (srs, transcript) = ceremony(1);
    let config = |srs: &SrsRef, ceremony: Option<&Bytes>| {
        let c = world().config();
        let accepted = AcceptedKeys {
            srs: srs.clone(),
            ceremony: ceremony.cloned(),
            keys: Vec::new(),
        };
        NodeConfig::new(c.signing, c.marketplace, c.datasets, accepted, false)
    };
    let mut t = Terms::of(world(), world().private());
    t.kinds = vec![QueryKind::AggregatePrivate];
    t.verifying_keys = vec![Digest([1; 32])];
    t.srs = srs.clone();
    // The string is accepted; the keys come next.
    let good = || config(&srs, Some(&transcript)).unwrap();
    assert_eq!(good().ceremony.unwrap().len(), 3);
    refused(good(), &t.unproven(), "VERIFYING_KEY");
    // Another ceremony of the same string is another string.
    let (other, others) = ceremony(2);
    t.srs.provenance = other.provenance;
    refused(good(), &t.unproven(), "SRS_NOT_ACCEPTED");
    t.srs = support::srs();
    refused(good(), &t.unproven(), "SRS_NOT_ACCEPTED");
    let dev = config(&support::srs(), None).unwrap();
    refused(dev, &t.unproven(), "SRS_DEV");
    // Accepted keys that say ceremony and do not show it make no node.
    let mut cut = transcript.clone();
    cut.0.pop();
    for (ceremony, expected) in [
        (None, "transcript is missing"),
        (Some(&others), "is claimed, the transcript shows"),
        (Some(&cut), "input ends"),
    ] {
        let e = config(&srs, ceremony).unwrap_err().to_string();
        assert!(e.contains(expected), "{e}");
    }
    let e = config(&support::srs(), Some(&transcript)).unwrap_err();
    assert!(e.to_string().contains("no ceremony is claimed"), "{e}");
}

#[test]
fn parts_are_the_granted_ones() {
    // KEY-2.
    let good = full();
    let with = |change: &dyn Fn(&mut Parts)| {
        let mut case = good.clone();
        change(&mut case.parts);
        assert_ne!(case.parts, good.parts);
        case
    };
    let expect = |expected: &str, change: &dyn Fn(&mut Parts)| {
        refused(world().config(), &with(change), expected);
    };
    // The public key: shorter, its label, its body, not canonical.
    expect("PUBLIC_KEY", &|p| {
        p.public_key.pop();
    });
    expect("PUBLIC_KEY", &|p| p.public_key[2] ^= 1);
    expect("PUBLIC_KEY", &|p| p.public_key[34] ^= 1);
    expect("PUBLIC_KEY", &|p| p.public_key[34..42].fill(0xff));
    // The number of outputs.
    expect("OUTPUT_COUNT", &|p| {
        p.ciphertexts.pop();
    });
    expect("OUTPUT_COUNT", &|p| {
        p.envelopes.pop();
    });
    expect("OUTPUT_COUNT", &|p| p.envelopes.push(Vec::new()));
    expect("OUTPUT_COUNT", &|p| {
        let one = p.ciphertexts[0].clone();
        p.ciphertexts.push(one);
    });
    // Each by its digest.
    for i in 0..2 {
        expect("OUTPUT_DIGEST", &|p| {
            p.ciphertexts[i][100] ^= 1;
        });
        expect("OUTPUT_DIGEST", &|p| {
            let end = p.envelopes[i].len() - 1;
            p.envelopes[i][end] ^= 1;
        });
    }
    expect("OUTPUT_DIGEST", &|p| p.envelopes.swap(0, 1));
    expect("OUTPUT_DIGEST", &|p| p.ciphertexts.swap(0, 1));
    // Bytes that are no ciphertext.
    expect("PROOF", &|p| {
        p.ciphertexts[0].pop();
    });
}

/// The envelope under another statement's digest: version (2 bytes), kind (1),
/// then the digest.
fn relabel(case: &Case, index: u32, ciphertext: &OutputCiphertext) -> Vec<u8> {
    let manifest = &case.job.manifest;
    let public_key = PublicKey::decode(&case.parts.public_key).unwrap();
    let statement = OrderContext {
        manifest,
        program: &case.terms.program,
        order: case.order(),
        public_key: &public_key,
        circuits: &[],
        srs: case.job.order.body.srs.digest,
    }
    .statement(index, ciphertext.clone())
    .unwrap();
    let mut out = case.parts.envelopes[index as usize].clone();
    out[3..35].copy_from_slice(&statement.digest().0);
    out
}

#[test]
fn a_tampered_result_is_refused_though_pod_and_marketplace_sign_it() {
    // KEY-2, LES-3: pod and marketplace collude; the proof does not.
    let good = full();
    for index in 0..2u32 {
        let at = index as usize;
        let k = world().dataset.manifest.message_log2;
        let mut ciphertext = OutputCiphertext::decode(&good.parts.ciphertexts[at]).unwrap();
        let one = Fq::reduce(1 << k);
        match &mut ciphertext {
            OutputCiphertext::Traced(lwe) => lwe.b += one,
            OutputCiphertext::Rows { glwe, .. } => glwe.b[5] += one,
        }
        let mut parts = good.parts.clone();
        parts.ciphertexts[at] = ciphertext.encode();
        let plain = terms().with_parts(parts.clone());
        refused(world().config(), &plain, "PROOF");
        parts.envelopes[at] = relabel(good, index, &ciphertext);
        let case = terms().with_parts(parts);
        assert_eq!(case.order(), good.order());
        refused(world().config(), &case, "PROOF");
    }
}

#[test]
fn a_proof_for_another_order_or_output_is_refused() {
    // KEY-2, LES-4: the order's digest and the output's index are under the proof.
    let mut t = terms();
    t.nonce = 40;
    refused(
        world().config(),
        &t.with_parts(full().parts.clone()),
        "PROOF",
    );
    let mut parts = full().parts.clone();
    parts.ciphertexts.swap(0, 1);
    parts.envelopes.swap(0, 1);
    refused(world().config(), &terms().with_parts(parts), "PROOF");
    let mut parts = full().parts.clone();
    let end = parts.envelopes[0].len() - 1;
    parts.envelopes[0][end] ^= 1;
    refused(world().config(), &terms().with_parts(parts), "PROOF");
}

#[test]
fn another_grant_for_a_delivered_order_says_that_it_was_revealed() {
    // KEY-7, DOC-9: who has revealed does not sign that nothing was revealed.
    let mut node = Node::new(world().config());
    let first = process(&mut node, small());
    let again = small().granted_again();
    assert_eq!(again.order(), small().order());
    assert_ne!(again.grant(), small().grant());
    let log = node.folder.path().join("log");
    let before = std::fs::read(&log).unwrap();
    for _ in 0..2 {
        let outcome = process(&mut node, &again);
        assert_eq!(code(&outcome), "SECOND_OPENING");
        assert!(matches!(&outcome, Outcome::Refused(r) if r.body.revealed));
    }
    // It is not the order's end: the delivery stands.
    assert_eq!(std::fs::read(&log).unwrap(), before);
    assert_eq!(process(&mut node, small()), first);
    assert_eq!(node.revealed(world()), (1, width()));
}

#[test]
fn a_refusal_ends_the_order_for_every_grant() {
    // KEY-7: whoever said that nothing was revealed reveals nothing of it later.
    let mut node = Node::new(world().config());
    let late = node
        .node
        .process(&small().job, &small().parts, NOW + 5_000, &mut rng(1))
        .unwrap();
    assert_eq!(code(&late), "GRANT_EXPIRED");
    assert!(matches!(&late, Outcome::Refused(r) if !r.body.revealed));
    let log = node.folder.path().join("log");
    let before = std::fs::read(&log).unwrap();
    // In time and complete, under this grant or another, before and after
    // another start: the very same document.
    let again = small().granted_again();
    assert_eq!(again.order(), small().order());
    assert_ne!(again.grant(), small().grant());
    for _ in 0..2 {
        assert_eq!(process(&mut node, small()), late);
        assert_eq!(process(&mut node, &again), late);
        let Node { folder, node: open } = node;
        drop(open);
        let open = KeyNode::open(world().config(), &log).unwrap();
        node = Node { folder, node: open };
    }
    assert_eq!(std::fs::read(&log).unwrap(), before);
    assert_eq!(node.revealed(world()), (0, 0));
    assert!(node.node.state().spent(&small().order()).is_none());
}

/// Signed whatever it says: a hostile buyer's, marketplace's or pod's document.
fn force_sign<T: Document>(body: T, signer: &SigningKey) -> Signed<T> {
    let mut message = format!("veilbourse v1 {}\n", T::TYPE).into_bytes();
    message.extend(serde_json_canonicalizer::to_vec(&body).unwrap());
    Signed {
        key: key(signer),
        signature: SignatureText(signer.sign(&message).to_bytes()),
        body,
    }
}

/// A complete and proven job of a hostile buyer: the order is whatever `change`
/// makes of an honest one.
fn hostile(change: impl FnOnce(&mut Order)) -> Case {
    let honest = small();
    let mut body = honest.job.order.body.clone();
    body.nonce = Nonce([0xee; 32]);
    change(&mut body);
    let order = force_sign(body, &signer(BUYER));
    let digest = order.digest().unwrap();
    let parts = world().prove(&order.body.program, digest);
    let mut job = honest.terms.with_parts(parts.clone()).job;
    job.submission.body.order = digest;
    job.submission = force_sign(job.submission.body, &signer(POD));
    job.grant.body.order = digest;
    job.grant.body.submission = job.submission.digest().unwrap();
    job.grant = force_sign(job.grant.body, &signer(MARKETPLACE));
    job.order = order;
    Case {
        terms: honest.terms.clone(),
        job,
        parts,
    }
}

#[test]
fn a_result_key_that_nothing_can_be_sealed_to_spends_nothing() {
    // KEY-2, KEY-3: otherwise any buyer could burn the quota for nothing.
    let mut node = Node::new(world().config());
    assert!(matches!(
        process(&mut node, &hostile(|_| {})),
        Outcome::Delivered { .. }
    ));
    type Change = dyn Fn(&mut Vec<u8>);
    let bad: [&Change; 4] = [
        &|k| k.fill(0xff),
        // Not a reduced coefficient of the ML-KEM half, alone.
        &|k| k[..3].fill(0xff),
        &|k| {
            k.pop();
        },
        &Vec::clear,
    ];
    for change in bad {
        let case = hostile(|o| change(&mut o.result_key.0));
        let mut node = Node::new(world().config());
        let outcome = process(&mut node, &case);
        // Documents refuse by its form what they see; the gate tries the rest.
        assert!(
            ["RESULT_KEY", "DOCUMENT"].contains(&code(&outcome)),
            "{outcome:?}"
        );
        assert!(matches!(&outcome, Outcome::Refused(r) if !r.body.revealed));
        assert_eq!(node.revealed(world()), (0, 0));
        assert!(node.node.state().spent(&case.order()).is_none());
        assert_eq!(process(&mut node, &case), outcome);
    }
}

#[test]
fn more_values_than_a_delivery_carries_are_refused_before_they_are_spent() {
    // KEY-2, KEY-3: the server takes no larger delivery.
    let rows = 4096u64;
    for (chunks, expected) in [(64, "PUBLIC_KEY"), (65, "PROGRAM")] {
        let mut t = terms();
        let segment = &mut t.manifest.segments[0];
        segment.rows = chunks * rows;
        segment.chunks = vec![segment.chunks[0]; chunks as usize];
        t.dataset = t.manifest.root();
        t.program.dataset = t.dataset;
        let over = |chunk| MatrixRef::Chunk { segment: 0, chunk };
        t.program.outputs = (0..chunks as u32)
            .map(|c| ProgramOutput {
                over: over(c),
                vector: 1,
            })
            .collect();
        (t.quota_values, t.quota_bits) = (u64::MAX, u64::MAX);
        let mut config = world().config();
        let held = config.datasets.remove(&world().root).unwrap();
        config.datasets.insert(t.dataset, held);
        refused(config, &t.unproven(), expected);
    }
}

#[test]
fn what_was_admitted_is_looked_at_again_when_its_parts_are_there() {
    // KEY-2, KEY-3: the quota is enough for one of two that were admitted.
    let mut node = Node::new(world().config());
    let cases = [20, 21, 22].map(|nonce| {
        let mut t = small().terms.clone();
        (t.nonce, t.quota_values) = (nonce, 1);
        t.proven(world())
    });
    let mut admitted: Vec<_> = cases
        .iter()
        .map(
            |c| match node.node.begin(&c.job, NOW, &mut rng(1)).unwrap() {
                Begun::Admitted(mut a) => {
                    a.take(&c.parts).unwrap();
                    a
                }
                Begun::Ended(o) => panic!("{o:?}"),
            },
        )
        .collect();
    let mut finish = |now| {
        let a = admitted.remove(0);
        node.node.finish(*a, now, &mut rng(2)).unwrap()
    };
    let late = finish(NOW + 5_000);
    assert_eq!(code(&late), "GRANT_EXPIRED");
    assert!(matches!(finish(NOW), Outcome::Delivered { .. }));
    assert_eq!(code(&finish(NOW)), "QUOTA");
    assert_eq!(node.revealed(world()), (1, width()));
    // Nor without all its parts.
    let mut t = small().terms.clone();
    t.nonce = 23;
    t.policy_version += 1;
    let case = t.proven(world());
    let Begun::Admitted(bare) = node.node.begin(&case.job, NOW, &mut rng(1)).unwrap() else {
        panic!("refused")
    };
    let outcome = node.node.finish(*bare, NOW, &mut rng(2)).unwrap();
    assert_eq!(code(&outcome), "OUTPUT_COUNT");
    assert_eq!(node.revealed(world()), (1, width()));
}

#[test]
fn a_value_outside_its_range_is_not_delivered_but_counted() {
    // KEY-3, KEY-5: another secret key than the ciphertexts' decrypts to noise.
    let mut config = world().config();
    let held = config.datasets.get_mut(&world().root).unwrap();
    held.secret = SecretKey::generate(&mut rng(77));
    let mut node = Node::new(config);
    let outcome = process(&mut node, full());
    assert_eq!(code(&outcome), "DECRYPTION");
    // Nothing of what was found leaves in the refusal's words.
    assert!(
        matches!(&outcome, Outcome::Refused(r) if !r.body.reason.contains(|c: char| c.is_ascii_digit())),
        "{outcome:?}"
    );
    assert!(matches!(&outcome, Outcome::Refused(r) if !r.body.revealed));
    assert_eq!(node.revealed(world()), (VALUES, VALUES * width()));
    assert_eq!(process(&mut node, full()), outcome);
    // KEY-7: it is the order's end, for another grant too.
    assert_eq!(process(&mut node, &full().granted_again()), outcome);
    assert_eq!(node.revealed(world()), (VALUES, VALUES * width()));
}
