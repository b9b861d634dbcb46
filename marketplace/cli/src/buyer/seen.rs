//! Everything that should be seen before paying: price, who opens, under which
//! tickets and with what noise, which pod, who learns what.

use crate::show::{money, table};
use serde_json::{Value, json};
use veilbourse_client::{buyer::Offer, query::Query};
use veilbourse_core::program::{WeightVector, Weights};
use veilbourse_documents::Openers;
use veilbourse_verify::terminal::printable;

/// Whether anything is sealed to the pod.
fn offer_hides(query: &Query) -> bool {
    let private = |v: &WeightVector| matches!(v.weights, Weights::Private { .. });
    query.program.vectors.iter().any(private)
}

/// Everything that should be seen before paying. `named`: the buyer said which
/// pod by key, and this is the one.
pub fn show_offer(offer: &Offer, query: &Query, named: bool, json: bool) {
    if json {
        out!("{}", offer_json(offer, query));
        return;
    }
    show_price(offer);
    show_openers(offer);
    let d = &offer.details;
    show_pod(offer, offer_hides(query), named);
    let rows: Vec<_> = d["outputs"]
        .as_array()
        .map(|o| {
            o.iter()
                .map(|o| {
                    vec![
                        o["label"].as_str().unwrap_or("-").to_owned(),
                        o["segment"].as_str().unwrap_or("-").to_owned(),
                        o["rows"].as_str().unwrap_or("-").to_owned(),
                        o["values"].as_str().unwrap_or("-").to_owned(),
                        format!("2^{}", -o["scaleLog2"].as_i64().unwrap_or(0)),
                        noise_of(offer, o),
                        format!("{:.1} bits", o["noiseSlackBits"].as_f64().unwrap_or(0.0)),
                        if o["privateWeights"] == true {
                            "hidden"
                        } else {
                            "public"
                        }
                        .to_owned(),
                    ]
                })
                .collect()
        })
        .unwrap_or_default();
    out!(
        "{}",
        table(
            &[
                "output",
                "segment",
                "rows",
                "values",
                "resolution",
                "tickets' noise",
                "noise margin",
                "weights"
            ],
            &rows
        )
    );
    for (v, e) in query.program.vectors.iter().zip(&query.max_error) {
        out!(
            "  \"{}\": rounding the weights moves a value by {e:.2e} a row at most",
            v.label
        );
    }
    show_seats(offer);
}

/// The answer as it came, with what is known here beside it.
pub(super) fn offer_json(offer: &Offer, query: &Query) -> Value {
    let mut details = offer.details.clone();
    details["maxRoundingError"] = json!(query.max_error);
    let pod = &offer.quote.body.pod;
    details["pod"] = json!({ "id": pod.id, "signingKey": pod.signing_key });
    if let Some(f) = offer.forecast() {
        // By the class that the custodian signed, whatever the server says.
        details["ticketNoise"] = json!({ "standard_deviation": f.standard_deviation,
            "within_95": f.half_width_95.to_string(), "bound": f.bound.to_string() });
    }
    details
}

/// The error that the tickets' noise causes in an output's values, in its units:
/// 95 of 100 are within.
fn noise_of(offer: &Offer, output: &Value) -> String {
    let Some(f) = offer.forecast() else {
        return "none".into();
    };
    let scale = output["scaleLog2"].as_f64().unwrap_or(0.0);
    let rows = match output["values"].as_str() {
        // A sum is shown as a mean.
        Some("1") => output["rows"].as_str().and_then(|r| r.parse().ok()),
        _ => None,
    };
    let within = f.half_width_95 as f64 * (-scale).exp2() / rows.unwrap_or(1.0_f64).max(1.0);
    format!("±{within:.3e} (95 %)")
}

/// Who opens, under which tickets.
pub(crate) fn show_openers(offer: &Offer) {
    match &offer.quote.body.openers {
        Openers::CustodianHeld { node_key } => out!(
            "opened by the custodian's key node {node_key}: the custodian can learn the result"
        ),
        Openers::Committee { nodes, threshold } => {
            out!(
                "opened by any {threshold} of {} key nodes; only you learn the result, unless \
                 {threshold} of them conspire, or the custodian with one:",
                nodes.len()
            );
            for (number, key) in nodes.iter().enumerate() {
                out!("  node {number}  {key}");
            }
        }
    }
    let Some((terms, _)) = offer.class() else {
        return;
    };
    let t = &offer.details["tickets"];
    let text = |v: &Value| printable(v.as_str().unwrap_or("-"));
    out!(
        "  tickets \"{}\": {} needed, {} left, orders of at most {} values",
        printable(&terms.name),
        text(&t["needed"]),
        text(&t["left"]),
        text(&t["largestOrder"])
    );
}

/// The price and what of the quota an offer uses.
pub(crate) fn show_price(offer: &Offer) {
    let d = &offer.details;
    let text = |v: &Value| printable(v.as_str().unwrap_or("-"));
    let p = &offer.quote.body.price;
    out!(
        "price {} credits (custodian {}, pod {}, fee {}); about {} s; {} values, {} bits at most ({} values left)",
        money(p.total),
        money(p.custodian),
        money(p.pod),
        money(p.fee),
        offer.quote.body.expected_seconds,
        text(&d["values"]),
        text(&d["bits"]),
        text(&d["valuesLeft"]),
    );
}

/// Which pod, and whether it reads weights.
pub(crate) fn show_pod(offer: &Offer, hidden: bool, named: bool) {
    let pod = &offer.quote.body.pod;
    out!(
        "pod {}, signing key {}{}",
        pod.id,
        pod.signing_key,
        match (hidden, named) {
            (true, true) => "\n  the one that you named; it will read your weights",
            (true, false) =>
                "\n  it will read your weights: if you do not know it, name one that you trust by --pod KEY",
            (false, _) => "",
        }
    );
}

/// What stays private, and who learns what.
pub(crate) fn show_seats(offer: &Offer) {
    let d = &offer.details;
    let text = |v: &Value| printable(v.as_str().unwrap_or("-"));
    out!("  private:");
    for part in d["privateParts"].as_array().into_iter().flatten() {
        out!("    {}", text(part));
    }
    out!("  who learns what:");
    for s in d["seats"].as_array().into_iter().flatten() {
        out!("    {:<30} {}", text(&s["seat"]), text(&s["learns"]));
    }
}
