//! Orders: signed, kept, placed, waited for (DOC-5, ORD-2).

use super::{Listed, Offer};
use crate::{
    ClientError,
    market::{Session, id, text},
    query::Query,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use serde_json::json;
use veilbourse_core::{digest::Digest, manifest::Manifest, program::Weights};
use veilbourse_documents::{
    Bytes, Chain, ClassTerms, DOCUMENT_VERSION, EvaluationClass, Id, Key, Model, ModelContext,
    ModelVector, Nonce, Order, Policy, Quote, SealingSecret, Signed, SigningKey, seal_model,
};
use veilbourse_protocol::TicketClass;
use veilbourse_verifier::field::fr_bytes;

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
    /// Columns that rule DS-7 suppressed, as [`Listed::suppressed`] had them.
    #[serde(default)]
    pub suppressed: Vec<String>,
}

impl Ticket {
    /// The listing as it was when ordered from (TRN-6).
    pub fn listed(&self) -> Listed {
        Listed {
            id: self.order.body.listing.clone(),
            title: self.manifest.name.clone(),
            manifest: self.manifest.clone(),
            suppressed: self.suppressed.clone(),
        }
    }

    /// The documents of the order.
    pub fn chain(&self) -> Chain<'_> {
        Chain {
            marketplace: &self.marketplace,
            policy: &self.policy,
            quote: &self.quote,
            order: &self.order,
        }
    }

    /// The class of its tickets; none in custodian-held custody.
    pub fn class(&self) -> Option<(&ClassTerms, TicketClass)> {
        let tickets = self.policy.body.tickets.as_ref()?;
        tickets.class(self.order.body.ticket_class.as_ref()?)
    }

    /// What opens the result.
    pub(super) fn secret(&self) -> Result<SealingSecret, ClientError> {
        let bytes = self.result_secret.0.as_slice().try_into();
        bytes
            .map(SealingSecret::from_bytes)
            .map_err(|_| ClientError::refused("result", "the ticket's result key has not 32 bytes"))
    }
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
    let result_secret = SealingSecret::generate(rng);
    let terms = Signing {
        marketplace,
        signing,
        deadline,
        joint: &[],
        result_secret: &result_secret,
    };
    terms.sign(offer, listed, query, rng)
}

/// What orders are signed with.
pub(super) struct Signing<'a> {
    pub marketplace: &'a Key,
    pub signing: &'a SigningKey,
    pub deadline: u64,
    /// Quotes of a joint order.
    pub joint: &'a [Digest],
    /// One for all orders of a joint one.
    pub result_secret: &'a SealingSecret,
}

impl Signing<'_> {
    pub fn sign(
        &self,
        offer: &Offer,
        listed: &Listed,
        query: &Query,
        rng: &mut impl CryptoRng,
    ) -> Result<Ticket, ClientError> {
        let Self {
            marketplace,
            signing,
            deadline,
            joint,
            result_secret,
        } = *self;
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
            openers: q.openers.clone(),
            ticket_class: q.ticket_class,
            joint: joint.to_vec(),
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
            suppressed: listed.suppressed.clone(),
        })
    }
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
#[cfg(not(target_family = "wasm"))]
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
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}
