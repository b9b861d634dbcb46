//! A buyer's journey: look, quote, order, wait, open.
//!
//! What the server says is checked against the pinned marketplace key and
//! against the documents; the result key and the model never leave unsealed.

use crate::{
    ClientError,
    market::{Session, id, text},
    query::Query,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;
use veilbourse_core::{digest::Digest, manifest::Manifest, program::Weights};
use veilbourse_documents::{
    Bytes, Chain, DOCUMENT_VERSION, Delivery, EvaluationClass, Grant, Id, Key, MAX_RECEIPT_BYTES,
    Model, ModelContext, ModelVector, Nonce, OpenedResult, Order, Policy, Quote, Receipt,
    ResultContext, SealingSecret, Signed, SigningKey, marketplace_id, open_result, seal_model,
};
use veilbourse_verifier::field::fr_bytes;

/// Most bytes of the note beside a synthetic twin (UP-2).
const MAX_TWIN_NOTE: u64 = 1 << 20;
/// Most bytes of a sealed result.
const MAX_SEALED_RESULT: u64 = 64 << 20;

/// A listing as the buyer needs it.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its id.
    pub id: Id,
    /// Title.
    pub title: String,
    /// The dataset.
    pub manifest: Manifest,
    /// Columns that rule DS-7 suppressed, from the twin's note.
    pub suppressed: Vec<String>,
}

/// Fetches a listing and checks that its manifest has the root it names.
pub async fn listing(session: &Session, listing: &str) -> Result<Listed, ClientError> {
    let document = "query($id: String!) { listing(id: $id) { id title dataset manifest } }";
    let l = session
        .server
        .graphql("listing", document, json!({ "id": listing }))
        .await?;
    let manifest: Manifest = serde_json::from_value(l["manifest"].clone())
        .map_err(|e| ClientError::refused("manifest", e))?;
    manifest
        .validate()
        .map_err(|e| ClientError::refused("manifest", e))?;
    if manifest.root().to_string() != text("listing", &l, "dataset")? {
        return Err(ClientError::refused(
            "manifest",
            "has another root than the listing names",
        ));
    }
    let note = session
        .server
        .get_within(
            &format!("/v1/listings/{listing}/objects/twin.json"),
            MAX_TWIN_NOTE,
        )
        .await;
    let suppressed = match note {
        Ok(bytes) => {
            let note: Value =
                serde_json::from_slice(&bytes).map_err(|e| ClientError::refused("twin", e))?;
            serde_json::from_value(note["suppressed"].clone()).unwrap_or_default()
        }
        Err(e) if e.code() == Some("NOT_FOUND") => Vec::new(),
        Err(e) => return Err(e),
    };
    Ok(Listed {
        id: id("listing", &l, "id")?,
        title: text("listing", &l, "title")?.to_owned(),
        manifest,
        suppressed,
    })
}

/// A quote, checked, with everything that is shown before paying.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The signed quote.
    pub quote: Signed<Quote>,
    /// The signed policy behind it.
    pub policy: Signed<Policy>,
    /// The answer as it came: precision by output, seats, private parts.
    pub details: Value,
}

const QUOTE: &str =
    "query($l: String!, $p: JSON!, $pod: String) { quote(listing: $l, program: $p, pod: $pod) {
    document policy digest expectedSeconds expiry values bits valuesLeft bitsLeft
    price { total fee pod custodian }
    work { weightedValues constraints bootstraps }
    outputs { index label segment rows values valueLimit scaleLog2 noiseSlackBits privateWeights }
    privateParts seats { seat learns } } }";

/// Asks for a quote and checks it: signed by the pinned marketplace, for this
/// dataset and this program. `pod` names one; the marketplace chooses otherwise.
pub async fn quote(
    session: &Session,
    marketplace: &Key,
    listed: &Listed,
    query: &Query,
    pod: Option<&Id>,
) -> Result<Offer, ClientError> {
    let pod = pod.map(Id::as_str);
    let variables = json!({ "l": listed.id.as_str(), "p": query.program, "pod": pod });
    let details = session.server.graphql("quote", QUOTE, variables).await?;
    let refused = |e: &dyn std::fmt::Display| ClientError::refused("quote", e);
    let quote: Signed<Quote> =
        serde_json::from_value(details["document"].clone()).map_err(|e| refused(&e))?;
    let policy: Signed<Policy> =
        serde_json::from_value(details["policy"].clone()).map_err(|e| refused(&e))?;
    quote
        .verify_by(&marketplace_id(marketplace), marketplace)
        .map_err(|e| refused(&e))?;
    let q = &quote.body;
    if q.dataset != listed.manifest.root() || q.program != query.program.shape() {
        return Err(refused(&"is for another dataset or program"));
    }
    policy.verify_for(&q.marketplace).map_err(|e| refused(&e))?;
    if policy.digest().map_err(|e| refused(&e))? != q.policy {
        return Err(refused(&"names another policy than the one shown"));
    }
    Ok(Offer {
        quote,
        policy,
        details,
    })
}

/// An order with the secrets that open its result: kept by the buyer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ticket {
    /// The server's id of the order, once placed.
    pub order_id: Option<Id>,
    /// The marketplace's key.
    pub marketplace: Key,
    /// The custodian's policy.
    pub policy: Signed<Policy>,
    /// The quote.
    pub quote: Signed<Quote>,
    /// The signed order.
    pub order: Signed<Order>,
    /// The dataset.
    pub manifest: Manifest,
    /// What opens the result.
    pub result_secret: Bytes,
    /// The model sealed to the pod.
    pub sealed_model: Option<Bytes>,
    /// Worst-case rounding error of each vector's weights, real units a row.
    pub max_error: Vec<f64>,
}

/// Signs an order for an offer and seals the model to the quoted pod.
pub fn prepare(
    marketplace: &Key,
    offer: &Offer,
    listed: &Listed,
    query: &Query,
    signing: &SigningKey,
    deadline: u64,
    rng: &mut impl CryptoRng,
) -> Result<Ticket, ClientError> {
    let refused = |e: &dyn std::fmt::Display| ClientError::refused("order", e);
    let q = &offer.quote.body;
    let mut vectors = Vec::new();
    for (((v, weights), blinder), vector) in query
        .program
        .vectors
        .iter()
        .zip(&query.weights)
        .zip(&query.blinders)
        .zip(0u32..)
    {
        if let (Weights::Private { .. }, Some(b)) = (&v.weights, blinder) {
            vectors.push(ModelVector {
                vector,
                weights: weights.clone(),
                blinder: fr_bytes(b),
            });
        }
    }
    let result_secret = SealingSecret::generate(rng);
    let result_key = result_secret.public().map_err(|e| refused(&e))?;
    let mut nonce = Nonce([0u8; 32]);
    rng.fill_bytes(&mut nonce.0);
    let sealed = if vectors.is_empty() {
        None
    } else {
        let context = ModelContext {
            dataset: &q.dataset,
            program: &query.program.shape(),
            pod: &q.pod.id,
            buyer: &Key(signing.verifying_key().to_bytes()),
            result_key: &result_key,
            nonce: &nonce,
        };
        let model = Model { vectors };
        let sealed = seal_model(&model, &q.pod.sealing_key.0, &context, rng);
        Some(sealed.map_err(|e| refused(&e))?)
    };
    let body = Order {
        version: DOCUMENT_VERSION,
        marketplace: q.marketplace,
        quote: offer.quote.digest().map_err(|e| refused(&e))?,
        listing: q.listing.clone(),
        dataset: q.dataset,
        policy_version: q.policy_version,
        program: query.program.clone(),
        pod: q.pod.id.clone(),
        pod_key: q.pod.signing_key,
        custody: q.custody,
        node_key: q.node_key,
        min_class: EvaluationClass::Proven,
        verifying_keys: q.verifying_keys.clone(),
        srs: q.srs.clone(),
        price: q.price.total,
        result_key: Bytes(result_key),
        nonce,
        deadline,
        sealed_model: sealed.as_deref().map(Order::digest_of_sealed_model),
    };
    let order = Signed::sign(body, signing).map_err(|e| refused(&e))?;
    Chain {
        marketplace,
        policy: &offer.policy,
        quote: &offer.quote,
        order: &order,
    }
    .check()
    .map_err(|e| refused(&e))?;
    Ok(Ticket {
        order_id: None,
        marketplace: *marketplace,
        policy: offer.policy.clone(),
        quote: offer.quote.clone(),
        order,
        manifest: listed.manifest.clone(),
        result_secret: Bytes(result_secret.as_bytes().to_vec()),
        sealed_model: sealed.map(Bytes),
        max_error: query.max_error.clone(),
    })
}

/// Places the order; the same ticket again answers with the same order (ORD-2).
pub async fn place(session: &Session, ticket: &Ticket) -> Result<Id, ClientError> {
    let document =
        "mutation($o: JSON!, $m: String) { placeOrder(order: $o, sealedModel: $m) { id state } }";
    let sealed = ticket.sealed_model.as_ref().map(|b| STANDARD.encode(&b.0));
    let variables = json!({ "o": ticket.order, "m": sealed });
    let placed = session
        .server
        .graphql("placeOrder", document, variables)
        .await?;
    id("placeOrder", &placed, "id")
}

/// Where an order stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The state's name.
    pub state: String,
    /// Why it was refunded: reason and detail.
    pub refund: Option<(String, String)>,
    /// What the pod is doing.
    pub stage: String,
    /// Per mille of the pod's work.
    pub per_mille: u64,
}

/// Asks where an order stands.
pub async fn standing(session: &Session, order: &Id) -> Result<Standing, ClientError> {
    let document = "query($id: String!) { order(id: $id) { state refundReason refundDetail progress { stage perMille } } }";
    let o = session
        .server
        .graphql("order", document, json!({ "id": order.as_str() }))
        .await?;
    let refund = o["refundReason"].as_str().map(|r| {
        (
            r.to_owned(),
            o["refundDetail"].as_str().unwrap_or_default().to_owned(),
        )
    });
    Ok(Standing {
        state: text("order", &o, "state")?.to_owned(),
        refund,
        stage: o["progress"]["stage"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        per_mille: o["progress"]["perMille"].as_u64().unwrap_or(0),
    })
}

/// Waits until the order ends, reporting each change.
pub async fn wait(
    session: &Session,
    order: &Id,
    mut report: impl FnMut(&Standing),
) -> Result<Standing, ClientError> {
    let mut last = None;
    loop {
        let now = standing(session, order).await?;
        if last.as_ref() != Some(&now) {
            report(&now);
        }
        if matches!(now.state.as_str(), "released" | "refunded") {
            return Ok(now);
        }
        last = Some(now);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What the buyer gets.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The integers, by output.
    pub values: Vec<Vec<i64>>,
    /// The receipt's bytes.
    pub receipt: Vec<u8>,
}

/// Fetches receipt and sealed result, checks that they belong to this ticket,
/// and opens the result with the ticket's key (DOC-9, DOC-10, REC-5). The
/// receipt's proofs are checked by `veilbourse verify`.
pub async fn open(session: &Session, order: &Id, ticket: &Ticket) -> Result<Opened, ClientError> {
    let receipt = session
        .server
        .get_within(
            &format!("/v1/orders/{order}/receipt"),
            MAX_RECEIPT_BYTES as u64,
        )
        .await?;
    let sealed = session
        .server
        .get_within(&format!("/v1/orders/{order}/result"), MAX_SEALED_RESULT)
        .await?;
    let refused = |e: &dyn std::fmt::Display| ClientError::refused("receipt", e);
    let signed = Signed::<Receipt>::parse(&receipt).map_err(|e| refused(&e))?;
    let body = &signed.body;
    if body.order != ticket.order {
        return Err(refused(&"is of another order"));
    }
    let chain = Chain {
        marketplace: &ticket.marketplace,
        policy: &ticket.policy,
        quote: &ticket.quote,
        order: &ticket.order,
    };
    chain
        .check_grant(&body.submission, &body.grant)
        .map_err(|e| refused(&e))?;
    chain
        .check_delivery(&body.grant, &body.delivery)
        .map_err(|e| refused(&e))?;
    if Delivery::digest_of_sealed_result(&sealed) != body.delivery.body.sealed_result {
        return Err(ClientError::refused(
            "result",
            "is not what the key node signed",
        ));
    }
    let result = open_with(ticket, &body.grant, &sealed)?;
    Ok(Opened {
        values: result.outputs.into_iter().map(|o| o.values).collect(),
        receipt,
    })
}

fn open_with(
    ticket: &Ticket,
    grant: &Signed<Grant>,
    sealed: &[u8],
) -> Result<OpenedResult, ClientError> {
    let refused = |e: &dyn std::fmt::Display| ClientError::refused("result", e);
    let secret: [u8; 32] = ticket
        .result_secret
        .0
        .as_slice()
        .try_into()
        .map_err(|_| refused(&"the ticket's result key has not 32 bytes"))?;
    let order: Digest = ticket.order.digest().map_err(|e| refused(&e))?;
    let context = ResultContext {
        order,
        grant: grant.digest().map_err(|e| refused(&e))?,
        node_key: ticket.order.body.node_key,
    };
    let opened = open_result(sealed, &SealingSecret::from_bytes(secret), &context)
        .map_err(|e| refused(&e))?;
    let expected = ticket.order.body.program.outputs.len();
    if opened.outputs.len() != expected {
        let found = opened.outputs.len();
        return Err(refused(&format!(
            "{found} outputs, the program has {expected}"
        )));
    }
    Ok(opened)
}
