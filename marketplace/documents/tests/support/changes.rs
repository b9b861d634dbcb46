//! The table of changes to a chain: every scalar of every body, what it is
//! changed to, and how that is met.
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
    pub pointer: &'static str,
    pub to: Value,
    /// When the document alone is signed again.
    pub alone: Met,
    /// When every later document is linked and signed again.
    pub linked: Met,
}

fn c(document: &'static str, pointer: &'static str, to: Value, alone: Met, linked: Met) -> Change {
    Change {
        document,
        pointer,
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
pub const GRANT: Met = Link("delivery", "grant");

/// Every scalar of every body, in the order of the bodies.
pub fn changes() -> Vec<Change> {
    let other = || json!(digest(0xee));
    let stranger = || json!(key(&signer(STRANGER)));
    let both = |d, p, to, met| c(d, p, to, met, met);
    let mut out = Vec::new();
    for d in CHAIN {
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
        // There is one custody mode: no other name is a value.
        both("policy", "/custody", json!("threshold"), Json),
        c(
            "policy",
            "/node_key",
            stranger(),
            POLICY,
            Link("quote", "node_key"),
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
        both("quote", "/custody", json!("threshold"), Json),
        both("quote", "/node_key", stranger(), Link("quote", "node_key")),
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
        both("order", "/quote", other(), QUOTE),
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
        both("order", "/custody", json!("threshold"), Json),
        both("order", "/node_key", stranger(), Link("order", "node_key")),
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
        both("grant", "/node_key", stranger(), Link("grant", "node_key")),
        c("grant", "/expires", json!("7999"), GRANT, Free),
        both(
            "grant",
            "/expires",
            json!("10000"),
            Invalid("grant", "expires"),
        ),
        // DOC-9. The sealed result's digest is the node's word: the buyer holds
        // the bytes to it (REC-5).
        both("delivery", "/order", other(), Link("delivery", "order")),
        both("delivery", "/grant", other(), GRANT),
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
