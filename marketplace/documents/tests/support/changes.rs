//! The table of changes to a chain: every scalar of every body, in either
//! custody, what it is changed to, and how that is met.
//!
//! Over 500 lines: one table, a row a field.

use super::*;
use serde_json::{Value, json};

/// How a changed field is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Met {
    /// `DocumentError::Link` on `document.field`.
    Link(&'static str, &'static str),
    /// `DocumentError::Invalid` on `document.field`.
    Invalid(&'static str, &'static str),
    /// `DocumentError::Version` of the document.
    Version,
    /// `DocumentError::Marketplace` of the document.
    Marketplace,
    /// No value of the type.
    Json,
    /// Accepted: the signer may say this. The reason is in the table.
    Free,
}
pub use Met::{Free, Invalid, Json, Link, Marketplace, Version};

pub struct Change {
    pub document: &'static str,
    pub pointer: String,
    pub to: Value,
    /// When the document alone is signed again.
    pub alone: Met,
    /// When every later document is linked and signed again.
    pub linked: Met,
}

fn c(
    document: &'static str,
    pointer: impl Into<String>,
    to: Value,
    alone: Met,
    linked: Met,
) -> Change {
    Change {
        document,
        pointer: pointer.into(),
        to,
        alone,
        linked,
    }
}

/// What the next document's link says when only the digest differs.
pub const POLICY: Met = Link("quote", "policy");
pub const QUOTE: Met = Link("order", "quote");
pub const ORDER: Met = Link("submission", "order");
pub const SUBMISSION: Met = Link("grant", "submission");

/// Of a grant: the first answer to it.
pub fn grant_link(custody: Custody) -> Met {
    match custody {
        Custody::CustodianHeld => Link("delivery", "grant"),
        Custody::Committee => Link("opening", "grant"),
    }
}

fn other() -> Value {
    json!(digest(0xee))
}

fn stranger() -> Value {
    json!(key(&signer(STRANGER)))
}

fn both(document: &'static str, pointer: impl Into<String>, to: Value, met: Met) -> Change {
    c(document, pointer, to, met, met)
}

/// Every scalar of every body in a custody.
pub fn changes(custody: Custody) -> Vec<Change> {
    let grant = grant_link(custody);
    let mut out = match custody {
        Custody::CustodianHeld => held(),
        Custody::Committee => committee(),
    };
    for d in chain(custody) {
        // DOC-2.
        out.push(both(d, "/version", json!(2), Version));
        let met = match d {
            // POD-5: the pod signed its sealing key for one marketplace.
            "quote" => Invalid("quote", "pod.sealing_signature"),
            _ => Marketplace,
        };
        out.push(both(d, "/marketplace", other(), met));
    }
    out.extend([
        // DOC-3. What the custodian may set freely binds through the policy's
        // digest: kinds, cohort and quotas are enforced by `demand` and by the
        // key node's own count, prices by the market's quote.
        c(
            "policy",
            "/listing",
            json!(id(9)),
            POLICY,
            Link("quote", "listing"),
        ),
        c(
            "policy",
            "/dataset",
            other(),
            POLICY,
            Link("quote", "dataset"),
        ),
        c(
            "policy",
            "/policy_version",
            json!(4),
            POLICY,
            Link("quote", "policy_version"),
        ),
        both(
            "policy",
            "/policy_version",
            json!(0),
            Invalid("policy", "policy_version"),
        ),
        c(
            "policy",
            "/kinds/0",
            json!("aggregate_private"),
            POLICY,
            Free,
        ),
        both(
            "policy",
            "/kinds/0",
            json!("rows_private"),
            Invalid("policy", "kinds"),
        ),
        both(
            "policy",
            "/kinds/1",
            json!("aggregate_public"),
            Invalid("policy", "kinds"),
        ),
        c("policy", "/kinds/1", json!("rows_public"), POLICY, Free),
        both("policy", "/kinds", json!([]), Invalid("policy", "kinds")),
        c("policy", "/min_cohort", json!("11"), POLICY, Free),
        both(
            "policy",
            "/min_cohort",
            json!("1"),
            Invalid("policy", "min_cohort"),
        ),
        c("policy", "/quota_values", json!("1001"), POLICY, Free),
        c("policy", "/quota_bits", json!("50001"), POLICY, Free),
        c("policy", "/price_order", json!("1"), POLICY, Free),
        both(
            "policy",
            "/price_order",
            json!("-1"),
            Invalid("policy", "price_order"),
        ),
        c("policy", "/price_output", json!("1"), POLICY, Free),
        both(
            "policy",
            "/price_output",
            json!("-1"),
            Invalid("policy", "price_output"),
        ),
        c(
            "policy",
            "/custodian_basis_points",
            json!(7_600),
            POLICY,
            Free,
        ),
        c(
            "policy",
            "/custodian_basis_points",
            json!(8_000),
            POLICY,
            Invalid("quote", "price.custodian"),
        ),
        both(
            "policy",
            "/custodian_basis_points",
            json!(10_001),
            Invalid("policy", "custodian_basis_points"),
        ),
        // Less than what is offered: no downgrade.
        c("policy", "/min_class", json!("replicated"), POLICY, Free),
        c("policy", "/valid_from", json!("101"), POLICY, Free),
        // DOC-4. The id, the time it is expected to take, its expiry (looked at
        // when the order is placed, ORD-3) and the sealing key are the market's
        // to say; the order's link binds them.
        c("quote", "/id", json!(id(9)), QUOTE, Free),
        both("quote", "/listing", json!(id(9)), Link("quote", "listing")),
        both("quote", "/dataset", other(), Link("quote", "dataset")),
        both("quote", "/policy", other(), POLICY),
        both(
            "quote",
            "/policy_version",
            json!(2),
            Link("quote", "policy_version"),
        ),
        c(
            "quote",
            "/program",
            other(),
            QUOTE,
            Link("order", "program"),
        ),
        c(
            "quote",
            "/pod/id",
            json!(id(9)),
            QUOTE,
            Link("order", "pod"),
        ),
        // POD-5: the pod's own signature holds its two keys together.
        both(
            "quote",
            "/pod/signing_key",
            stranger(),
            Invalid("quote", "pod.sealing_signature"),
        ),
        both(
            "quote",
            "/pod/sealing_key",
            json!(sealing_key(99)),
            Invalid("quote", "pod.sealing_signature"),
        ),
        both(
            "quote",
            "/pod/sealing_signature",
            json!(SignatureText([7; 64])),
            Invalid("quote", "pod.sealing_signature"),
        ),
        both(
            "quote",
            "/pod/sealing_key",
            json!(unusable_key()),
            Invalid("quote", "pod.sealing_key"),
        ),
        both(
            "quote",
            "/pod/sealing_key",
            json!("aGk="),
            Invalid("quote", "pod.sealing_key"),
        ),
        both(
            "quote",
            "/price/total",
            json!("3001"),
            Invalid("quote", "price"),
        ),
        both(
            "quote",
            "/price/fee",
            json!("151"),
            Invalid("quote", "price"),
        ),
        both(
            "quote",
            "/price/pod",
            json!("501"),
            Invalid("quote", "price"),
        ),
        both(
            "quote",
            "/price/custodian",
            json!("2351"),
            Invalid("quote", "price"),
        ),
        both(
            "quote",
            "/price",
            json!({ "total": "3000", "fee": "-1", "pod": "651", "custodian": "2350" }),
            Invalid("quote", "price"),
        ),
        c(
            "quote",
            "/price",
            json!({ "total": "3001", "fee": "151", "pod": "500", "custodian": "2350" }),
            QUOTE,
            Link("order", "price"),
        ),
        // DOC-3: the policy's least part for the custodian.
        both(
            "quote",
            "/price",
            json!({ "total": "3000", "fee": "150", "pod": "601", "custodian": "2249" }),
            Invalid("quote", "price.custodian"),
        ),
        c(
            "quote",
            "/verifying_keys/0",
            other(),
            QUOTE,
            Link("order", "verifying_keys"),
        ),
        c(
            "quote",
            "/verifying_keys/1",
            other(),
            QUOTE,
            Link("order", "verifying_keys"),
        ),
        c(
            "quote",
            "/verifying_keys",
            json!([]),
            QUOTE,
            Link("order", "verifying_keys"),
        ),
        c("quote", "/srs/digest", other(), QUOTE, Link("order", "srs")),
        both("quote", "/srs/provenance", json!("ceremony"), Json),
        c(
            "quote",
            "/srs/provenance",
            json!({ "ceremony": { "transcript": other(), "contributors": 3 } }),
            QUOTE,
            Link("order", "srs.provenance"),
        ),
        both(
            "quote",
            "/class",
            json!("replicated"),
            Link("quote", "class"),
        ),
        c("quote", "/expected_seconds", json!(13), QUOTE, Free),
        c("quote", "/expiry", json!("9001"), QUOTE, Free),
        // DOC-5. What only the buyer can know is the buyer's: result key, nonce,
        // deadline, sealed model; the submission's link binds them.
        both("order", "/listing", json!(id(9)), Link("order", "listing")),
        both("order", "/dataset", other(), Link("order", "dataset")),
        both(
            "order",
            "/policy_version",
            json!(2),
            Link("order", "policy_version"),
        ),
        both(
            "order",
            "/program/dataset",
            other(),
            Link("order", "program.dataset"),
        ),
        both("order", "/pod", json!(id(9)), Link("order", "pod")),
        both("order", "/pod_key", stranger(), Link("order", "pod_key")),
        c("order", "/min_class", json!("replicated"), ORDER, Free),
        both(
            "order",
            "/verifying_keys/0",
            other(),
            Link("order", "verifying_keys"),
        ),
        both(
            "order",
            "/verifying_keys/1",
            other(),
            Link("order", "verifying_keys"),
        ),
        both(
            "order",
            "/verifying_keys",
            json!([]),
            Link("order", "verifying_keys"),
        ),
        both("order", "/srs/digest", other(), Link("order", "srs")),
        both("order", "/srs/provenance", json!("ceremony"), Json),
        both(
            "order",
            "/srs/provenance",
            json!({ "ceremony": { "transcript": other(), "contributors": 3, "x": 1 } }),
            Json,
        ),
        both(
            "order",
            "/srs/provenance",
            json!({ "ceremony": { "transcript": other(), "contributors": 3 } }),
            Link("order", "srs.provenance"),
        ),
        both("order", "/price", json!("2999"), Link("order", "price")),
        both("order", "/price", json!("-1"), Invalid("order", "price")),
        c("order", "/result_key", json!(sealing_key(99)), ORDER, Free),
        both(
            "order",
            "/result_key",
            json!("aGk="),
            Invalid("order", "result_key"),
        ),
        // Nothing could be sealed to it after the values were counted.
        both(
            "order",
            "/result_key",
            json!(unusable_key()),
            Invalid("order", "result_key"),
        ),
        c("order", "/nonce", json!(Nonce([1; 32])), ORDER, Free),
        c("order", "/deadline", json!("10001"), ORDER, Free),
        // Before the grant's end: the grant must end first (DOC-8).
        c(
            "order",
            "/deadline",
            json!("8000"),
            ORDER,
            Invalid("grant", "expires"),
        ),
        c("order", "/sealed_model", other(), ORDER, Free),
        c("order", "/sealed_model", Value::Null, ORDER, Free),
        // DOC-7. Metered work is the pod's word.
        both("submission", "/order", other(), ORDER),
        c(
            "submission",
            "/work/weighted_values",
            json!("1"),
            SUBMISSION,
            Free,
        ),
        c(
            "submission",
            "/work/constraints",
            json!("1"),
            SUBMISSION,
            Free,
        ),
        c(
            "submission",
            "/work/bootstraps",
            json!("1"),
            SUBMISSION,
            Free,
        ),
        c("submission", "/work/bytes", json!("1"), SUBMISSION, Free),
        both(
            "submission",
            "/outputs",
            json!([]),
            Link("submission", "outputs"),
        ),
        // DOC-8.
        both("grant", "/order", other(), Link("grant", "order")),
        both("grant", "/policy", other(), Link("grant", "policy")),
        both("grant", "/submission", other(), Link("grant", "submission")),
        both("grant", "/outputs", json!([]), Link("grant", "outputs")),
        c("grant", "/expires", json!("7999"), grant, Free),
        both(
            "grant",
            "/expires",
            json!("10000"),
            Invalid("grant", "expires"),
        ),
        // DOC-9. The sealed result's digest is the node's word: the buyer holds
        // the bytes to it (REC-5).
        both("delivery", "/order", other(), Link("delivery", "order")),
        both("delivery", "/grant", other(), Link("delivery", "grant")),
        both("delivery", "/sealed_result", other(), Free),
        both(
            "delivery",
            "/values",
            json!("8"),
            Invalid("delivery", "counter_after"),
        ),
        both(
            "delivery",
            "/counter_before",
            json!("41"),
            Invalid("delivery", "counter_after"),
        ),
        both(
            "delivery",
            "/counter_after",
            json!("46"),
            Invalid("delivery", "counter_after"),
        ),
        both(
            "delivery",
            "/counter_before",
            json!("18446744073709551615"),
            Invalid("delivery", "counter_after"),
        ),
        both(
            "non-delivery",
            "/order",
            other(),
            Link("non-delivery", "order"),
        ),
        both(
            "non-delivery",
            "/grant",
            other(),
            Link("non-delivery", "grant"),
        ),
        both("non-delivery", "/code", json!("PROOF"), Free),
        both(
            "non-delivery",
            "/code",
            json!(""),
            Invalid("non-delivery", "code"),
        ),
        both(
            "non-delivery",
            "/code",
            json!("X".repeat(65)),
            Invalid("non-delivery", "code"),
        ),
        both("non-delivery", "/reason", json!("another"), Free),
        both(
            "non-delivery",
            "/reason",
            json!("x".repeat(2001)),
            Invalid("non-delivery", "reason"),
        ),
        both("non-delivery", "/revealed", json!(true), Free),
    ]);
    for (pointer, to) in [
        ("/program/version", json!(2)),
        ("/program/vectors/0/label", json!("mean")),
        ("/program/vectors/0/scale_log2", json!(5)),
        ("/program/vectors/0/weights/values/0", json!("4")),
        ("/program/vectors/0/weights/values/1", json!("0")),
        ("/program/vectors/1/label", json!("mean")),
        ("/program/vectors/1/scale_log2", json!(-3)),
        ("/program/vectors/1/weights/commitment", other()),
        ("/program/vectors/1/weights/l1_bound", json!("1001")),
        ("/program/vectors/1/weights/l2_bound", json!("2001")),
        ("/program/outputs/0/over/segment", json!(1)),
        ("/program/outputs/0/vector", json!(1)),
        ("/program/outputs/1/over/segment", json!(0)),
        ("/program/outputs/1/over/chunk", json!(0)),
        ("/program/outputs/1/vector", json!(0)),
    ] {
        out.push(both("order", pointer, to, Link("order", "program")));
    }
    for document in ["policy", "quote", "order"] {
        out.push(both(document, "/openers/custody", json!("threshold"), Json));
    }
    out.push(both("grant", "/opener/custody", json!("threshold"), Json));
    // Tags of variants: the other variant has other fields.
    for pointer in [
        "/program/vectors/0/weights/visibility",
        "/program/vectors/1/weights/visibility",
        "/program/outputs/0/over/matrix",
        "/program/outputs/1/over/matrix",
    ] {
        out.push(both("order", pointer, json!("unknown"), Json));
    }
    for pointer in [
        "/outputs/0/ciphertext",
        "/outputs/0/envelope",
        "/outputs/1/ciphertext",
        "/outputs/1/envelope",
    ] {
        out.push(c(
            "submission",
            pointer,
            other(),
            SUBMISSION,
            Link("grant", "outputs"),
        ));
        out.push(both("grant", pointer, other(), Link("grant", "outputs")));
    }
    out
}

/// What only custodian-held custody has, or has otherwise.
fn held() -> Vec<Change> {
    let node = "/openers/node_key";
    vec![
        // DOC-3, DOC-12: one node, no tickets.
        c("policy", node, stranger(), POLICY, Link("quote", "openers")),
        both("policy", "/openers/custody", json!("committee"), Json),
        both(
            "policy",
            "/openers",
            json!(committee::openers()),
            Invalid("policy", "tickets"),
        ),
        both(
            "policy",
            "/tickets",
            json!(committee::tickets()),
            Invalid("policy", "tickets"),
        ),
        both("quote", node, stranger(), Link("quote", "openers")),
        both(
            "quote",
            "/openers",
            json!(committee::openers()),
            Invalid("quote", "ticket_class"),
        ),
        both(
            "quote",
            "/ticket_class",
            other(),
            Invalid("quote", "ticket_class"),
        ),
        both("order", "/quote", other(), QUOTE),
        both("order", node, stranger(), Link("order", "openers")),
        both(
            "order",
            "/openers",
            json!(committee::openers()),
            Invalid("order", "ticket_class"),
        ),
        both(
            "order",
            "/ticket_class",
            other(),
            Invalid("order", "ticket_class"),
        ),
        // OPN-9: nobody would add the values up.
        both(
            "order",
            "/joint",
            json!([digest(1), digest(2)]),
            Invalid("order", "joint"),
        ),
        // DOC-8: one grant.
        both("grant", "/number", json!(1), Invalid("grant", "number")),
        both(
            "grant",
            "/opener/node_key",
            stranger(),
            Link("grant", "opener.node_key"),
        ),
        both("grant", "/opener/custody", json!("committee"), Json),
        both(
            "grant",
            "/opener",
            json!(committee::opener()),
            Link("grant", "opener"),
        ),
        // DOC-9: no session.
        both("delivery", "/session", other(), Link("delivery", "session")),
    ]
}

/// What only custody by a committee has, or has otherwise.
fn committee() -> Vec<Change> {
    let one_node = || {
        json!(Openers::CustodianHeld {
            node_key: key(&signer(NODE))
        })
    };
    let exact = || json!(committee::digest_of(&committee::exact()));
    let hidden = || json!(committee::digest_of(&committee::key_check()));
    let node = |n: u8| json!(key(&signer(committee::NODES[usize::from(n)])));
    let grant = grant_link(Custody::Committee);
    let tickets = Invalid("policy", "tickets");
    let joint = Invalid("order", "joint");
    let quorum = Link("grant", "opener.quorum");
    let mut out = vec![
        // DOC-3, SHR-1.
        c("policy", "/openers/threshold", json!(3), tickets, tickets),
        both(
            "policy",
            "/openers/threshold",
            json!(1),
            Invalid("policy", "openers"),
        ),
        both(
            "policy",
            "/openers/threshold",
            json!(4),
            Invalid("policy", "openers"),
        ),
        both(
            "policy",
            "/openers/nodes/1",
            node(0),
            Invalid("policy", "openers"),
        ),
        both(
            "policy",
            "/openers/nodes",
            json!([]),
            Invalid("policy", "openers"),
        ),
        both("policy", "/openers/custody", json!("custodian_held"), Json),
        both("policy", "/openers", one_node(), tickets),
        both("policy", "/tickets", Value::Null, tickets),
        // DOC-12.
        both("policy", "/tickets/classes", json!([]), tickets),
        both(
            "policy",
            "/tickets/classes/0/mechanism/law",
            json!("none"),
            Json,
        ),
        both(
            "policy",
            "/tickets/classes/0/mechanism/law",
            json!("discrete_laplace"),
            Json,
        ),
        both(
            "policy",
            "/tickets/classes/1/mechanism/law",
            json!("discrete_gaussian"),
            Json,
        ),
        both(
            "policy",
            "/tickets/classes/2/mechanism/law",
            json!("discrete_gaussian"),
            Json,
        ),
        // Not in lowest terms.
        both(
            "policy",
            "/tickets/classes/0/mechanism/variance",
            json!({ "numerator": "2000000002", "denominator": "4" }),
            Json,
        ),
        // Other noise, to which no dealing was made.
        both(
            "policy",
            "/tickets/classes/0/mechanism/variance/numerator",
            json!("1000000003"),
            tickets,
        ),
        both(
            "policy",
            "/tickets/classes/0/mechanism/variance/denominator",
            json!("3"),
            tickets,
        ),
        both(
            "policy",
            "/tickets/classes/0/mechanism/variance/denominator",
            json!("0"),
            Json,
        ),
        both("policy", "/tickets/classes/1/name", json!("noisy"), tickets),
        both("policy", "/tickets/classes/1/name", json!(""), tickets),
        c(
            "policy",
            "/tickets/classes/0/offered",
            json!(false),
            POLICY,
            Link("quote", "ticket_class"),
        ),
        c(
            "policy",
            "/tickets/classes/1/offered",
            json!(false),
            POLICY,
            Free,
        ),
        // What orders may use is the custodian's to say.
        c(
            "policy",
            "/tickets/classes/2/offered",
            json!(true),
            POLICY,
            Free,
        ),
        c(
            "policy",
            "/tickets/dealings/0/digest",
            other(),
            POLICY,
            Link("grant", "opener.dealing"),
        ),
        c(
            "policy",
            "/tickets/dealings/0/quorum/0",
            json!(1),
            POLICY,
            quorum,
        ),
        c(
            "policy",
            "/tickets/dealings/0/quorum/1",
            json!(1),
            POLICY,
            quorum,
        ),
        c(
            "policy",
            "/tickets/dealings/0/class",
            exact(),
            POLICY,
            Link("grant", "opener.dealing's class"),
        ),
        both("policy", "/tickets/dealings/0/class", other(), tickets),
        // The opening's tickets are no longer the dealing's (DOC-13).
        c(
            "policy",
            "/tickets/dealings/0/count",
            json!("56"),
            POLICY,
            Invalid("opening", "first_ticket"),
        ),
        c(
            "policy",
            "/tickets/dealings/0/first",
            json!("97"),
            POLICY,
            Free,
        ),
        both("policy", "/tickets/dealings/0/first", json!("107"), tickets),
        // Beyond what the limit allows (PRV-9).
        both(
            "policy",
            "/tickets/dealings/2/count",
            json!("2001"),
            tickets,
        ),
        c(
            "policy",
            "/tickets/rho_limit_units",
            json!("18446744073709551615"),
            POLICY,
            Free,
        ),
        both("policy", "/tickets/rho_limit_units", json!("0"), tickets),
        // DOC-4.
        both(
            "quote",
            "/openers/threshold",
            json!(3),
            Link("quote", "openers"),
        ),
        both(
            "quote",
            "/openers/threshold",
            json!(1),
            Invalid("quote", "openers"),
        ),
        both(
            "quote",
            "/openers/nodes/0",
            node(2),
            Invalid("quote", "openers"),
        ),
        both(
            "quote",
            "/openers",
            one_node(),
            Invalid("quote", "ticket_class"),
        ),
        both(
            "quote",
            "/ticket_class",
            Value::Null,
            Invalid("quote", "ticket_class"),
        ),
        both(
            "quote",
            "/ticket_class",
            other(),
            Link("quote", "ticket_class"),
        ),
        both(
            "quote",
            "/ticket_class",
            hidden(),
            Link("quote", "ticket_class"),
        ),
        c(
            "quote",
            "/ticket_class",
            exact(),
            QUOTE,
            Link("order", "ticket_class"),
        ),
        // DOC-5.
        both("order", "/quote", other(), joint),
        both(
            "order",
            "/openers/threshold",
            json!(3),
            Link("order", "openers"),
        ),
        both(
            "order",
            "/openers/threshold",
            json!(0),
            Invalid("order", "openers"),
        ),
        both(
            "order",
            "/openers",
            one_node(),
            Invalid("order", "ticket_class"),
        ),
        both(
            "order",
            "/ticket_class",
            Value::Null,
            Invalid("order", "ticket_class"),
        ),
        both(
            "order",
            "/ticket_class",
            exact(),
            Link("order", "ticket_class"),
        ),
        both(
            "order",
            "/ticket_class",
            hidden(),
            Link("order", "ticket_class"),
        ),
        // Whom else the order is summed with is the buyer's to say; its own
        // quote is among them, and none twice or out of order (OPN-9).
        c("order", "/joint/0", json!(digest(1)), ORDER, Free),
        c("order", "/joint/2", json!(Digest([0xfe; 32])), ORDER, Free),
        both("order", "/joint/0", json!(digest(0xff)), joint),
        both("order", "/joint/1", json!(digest(0)), joint),
        both("order", "/joint/1", other(), joint),
        both("order", "/joint", json!([digest(0), digest(0xff)]), joint),
        c("order", "/joint", json!([]), ORDER, Free),
        // DOC-8: so many grants as there are quorums.
        c("grant", "/number", json!(2), grant, Free),
        both("grant", "/number", json!(3), Invalid("grant", "number")),
        both(
            "grant",
            "/number",
            json!(u32::MAX),
            Invalid("grant", "number"),
        ),
        both("grant", "/opener/custody", json!("custodian_held"), Json),
        both(
            "grant",
            "/opener",
            json!(Opener::CustodianHeld {
                node_key: key(&signer(NODE))
            }),
            Link("grant", "opener"),
        ),
        both("grant", "/opener/quorum/0", json!(1), quorum),
        both("grant", "/opener/quorum/1", json!(1), quorum),
        both("grant", "/opener/quorum/1", json!(3), quorum),
        both(
            "grant",
            "/opener/quorum/0",
            json!(2),
            Invalid("grant", "opener.quorum"),
        ),
        both(
            "grant",
            "/opener/quorum",
            json!([2, 0]),
            Invalid("grant", "opener.quorum"),
        ),
        both("grant", "/opener/quorum", json!([0]), quorum),
        both("grant", "/opener/quorum", json!([0, 1, 2]), quorum),
        both("grant", "/opener/quorum", json!([]), quorum),
        both(
            "grant",
            "/opener/dealing",
            other(),
            Link("grant", "opener.dealing"),
        ),
        both(
            "grant",
            "/opener/dealing",
            json!(committee::OF_OTHERS),
            quorum,
        ),
        both(
            "grant",
            "/opener/dealing",
            json!(committee::OF_EXACT),
            Link("grant", "opener.dealing's class"),
        ),
        // DOC-13. The opened words are the quorum's.
        both("opening", "/order", other(), Link("opening", "order")),
        both("opening", "/grant", other(), grant),
        c(
            "opening",
            "/session",
            other(),
            Link("opening", "session"),
            Link("opening", "session"),
        ),
        both("opening", "/attempt", json!(3), Link("opening", "session")),
        both(
            "opening",
            "/first_ticket",
            json!("151"),
            Link("opening", "session"),
        ),
        both(
            "opening",
            "/first_ticket",
            json!("99"),
            Invalid("opening", "first_ticket"),
        ),
        both(
            "opening",
            "/first_ticket",
            json!("1094"),
            Invalid("opening", "first_ticket"),
        ),
        both(
            "opening",
            "/first_ticket",
            json!("16777216"),
            Invalid("opening", "values"),
        ),
        both(
            "opening",
            "/first_ticket",
            json!("18446744073709551615"),
            Invalid("opening", "values"),
        ),
        both("opening", "/values", json!("8"), Link("opening", "values")),
        both(
            "opening",
            "/values",
            json!("0"),
            Invalid("opening", "values"),
        ),
        both(
            "opening",
            "/values",
            json!("16385"),
            Invalid("opening", "values"),
        ),
        both("opening", "/opened", other(), Free),
        // DOC-9.
        both("delivery", "/session", other(), Link("delivery", "session")),
        both(
            "delivery",
            "/session",
            Value::Null,
            Link("delivery", "session"),
        ),
    ];
    for (n, _) in (0..).zip(committee::NODES) {
        let at = format!("/openers/nodes/{n}");
        out.push(c(
            "policy",
            at.as_str(),
            stranger(),
            POLICY,
            Link("quote", "openers"),
        ));
        out.push(both(
            "quote",
            at.as_str(),
            stranger(),
            Link("quote", "openers"),
        ));
        out.push(both(
            "order",
            at.as_str(),
            stranger(),
            Link("order", "openers"),
        ));
    }
    for n in 0..3 {
        let at = |field: &str| format!("/tickets/classes/{n}/{field}");
        out.push(c("policy", at("name"), json!("renamed"), POLICY, Free));
        out.push(both("policy", at("k"), json!(27), tickets));
        out.push(both("policy", at("k"), json!(7), tickets));
        // To which no dealing was made.
        out.push(both("policy", at("sensitivity"), json!("1001"), tickets));
        out.push(both(
            "policy",
            at("sensitivity"),
            json!((1u64 << 62) + 1),
            Json,
        ));
        let beyond = json!(((1u64 << 62) + 1).to_string());
        out.push(both("policy", at("sensitivity"), beyond, tickets));
    }
    // What a dealing is beside its digest is between the custodian and the
    // quorum, which holds it to the announcement (CST-2).
    for n in 0..5 {
        let at = |field: &str| format!("/tickets/dealings/{n}/{field}");
        out.push(c("policy", at("epoch"), json!(9), POLICY, Free));
        out.push(c("policy", at("root"), other(), POLICY, Free));
        out.push(both("policy", at("digest"), same_digest(n), tickets));
        out.push(both("policy", at("quorum/1"), json!(3), tickets));
        out.push(both("policy", at("quorum"), json!([0]), tickets));
        out.push(both("policy", at("class"), other(), tickets));
        out.push(both("policy", at("count"), json!("0"), tickets));
        out.push(both("policy", at("count"), json!("16777216"), tickets));
        out.push(both("policy", at("first"), json!("16777216"), tickets));
        out.push(both(
            "policy",
            at("first"),
            json!("18446744073709551615"),
            tickets,
        ));
        if n > 0 {
            out.push(c("policy", at("digest"), other(), POLICY, Free));
            out.push(c("policy", at("first"), json!("5000"), POLICY, Free));
            out.push(c("policy", at("count"), json!("7"), POLICY, Free));
        }
    }
    // Dealings 1, 3 and 4 are of [0, 2], dealing 2 of [0, 1]: [1, 1] is no quorum.
    for n in 1..5 {
        let place = |at: u8| format!("/tickets/dealings/{n}/quorum/{at}");
        let (alone, linked) = if n == 2 {
            (tickets, tickets)
        } else {
            (POLICY, Free)
        };
        out.push(c("policy", place(0), json!(1), alone, linked));
        let to = if n == 2 { 2 } else { 1 };
        out.push(c("policy", place(1), json!(to), POLICY, Free));
    }
    out
}

/// The digest of another dealing than the `n`-th.
fn same_digest(n: usize) -> Value {
    json!(committee::tickets().dealings[(n + 1) % 5].digest)
}
