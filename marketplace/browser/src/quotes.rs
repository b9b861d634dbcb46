//! Quotes, held to what was asked before anything is signed (DOC-4, ORD-7).

use crate::{Core, CoreError, Reply, core::id, fit::Offered};
use serde::Deserialize;
use serde_json::{Value, json};
use veilbourse_client::{
    buyer::{self, Offer, Wish},
    market,
};
use veilbourse_core::program::Weights;
use veilbourse_documents::{Key, Openers};

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct WishAsk {
    pod: Option<String>,
    pod_key: Option<String>,
    ticket_class: Option<String>,
    nodes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Quote {
    fit: String,
    #[serde(default)]
    wish: Option<WishAsk>,
    #[serde(default)]
    quote: Value,
}

impl Core {
    pub(crate) async fn quote(&mut self, a: Quote) -> Result<Reply, CoreError> {
        let wish = a.wish.unwrap_or_default();
        let fitted = self.fits.fit(&a.fit)?.clone();
        let marketplace = self.known_marketplace().await?;
        let session = self.session(None)?;
        let pod = wish.pod.as_deref().map(|p| id("pod", p)).transpose()?;
        let class = match wish.ticket_class.as_deref() {
            None => None,
            Some(named) => {
                let classes = buyer::classes(&session, &fitted.listed.id).await?;
                Some(buyer::class_named(&classes, named)?)
            }
        };
        let wanted = Wish {
            pod: pod.as_ref(),
            class: class.as_ref(),
        };
        let (l, q) = (&fitted.listed, &fitted.query);
        let offer = buyer::quote_with(&session, &marketplace, l, q, &wanted).await?;
        self.offered(a.fit, offer, &wish)
    }

    /// The same for an answer that the page has already.
    pub(crate) async fn quote_check(&mut self, a: Quote) -> Result<Reply, CoreError> {
        let wish = a.wish.unwrap_or_default();
        let fitted = self.fits.fit(&a.fit)?.clone();
        let marketplace = self.known_marketplace().await?;
        let pod = wish.pod.as_deref().map(|p| id("pod", p)).transpose()?;
        let wanted = Wish {
            pod: pod.as_ref(),
            class: None,
        };
        let (l, q) = (&fitted.listed, &fitted.query);
        let offer = buyer::checked(&marketplace, l, q, &wanted, a.quote)?;
        self.offered(a.fit, offer, &wish)
    }

    /// The pinned key where the vault is open, else the one that the server shows:
    /// an order is signed under the pinned one alone.
    async fn known_marketplace(&mut self) -> Result<Key, CoreError> {
        match &self.open {
            Some(v) if v.contents.pins.contains_key(self.server.base()) => self.pinned(false).await,
            _ => Ok(market::marketplace_key(&self.server).await?),
        }
    }

    fn offered(&mut self, fit: String, offer: Offer, wish: &WishAsk) -> Result<Reply, CoreError> {
        let key = |field: &str, text: &str| {
            Key::from_hex(text).ok_or_else(|| CoreError::input(field, "expected 64 hex digits"))
        };
        if let Some(named) = &wish.ticket_class {
            offer.require_class(named)?;
        }
        if let Some(text) = &wish.pod_key {
            offer.require_pod(&key("podKey", text)?)?;
        }
        if !wish.nodes.is_empty() {
            let nodes: Result<Vec<Key>, _> = wish.nodes.iter().map(|n| key("nodes", n)).collect();
            offer.require_nodes(&nodes?)?;
        }
        let q = &offer.quote.body;
        let hides = self
            .fits
            .fit(&fit)?
            .query
            .program
            .vectors
            .iter()
            .any(|v| matches!(v.weights, Weights::Private { .. }));
        let openers = match &q.openers {
            Openers::CustodianHeld { node_key } => {
                json!({ "custody": "custodian-held", "nodes": [node_key], "threshold": 1 })
            }
            Openers::Committee { nodes, threshold } => {
                json!({ "custody": "committee", "nodes": nodes, "threshold": threshold })
            }
        };
        let class = offer.class().map(|(terms, class)| {
            let f = class.mechanism().forecast();
            let deviation = if class.noisy() {
                f.standard_deviation
            } else {
                0.0
            };
            json!({ "name": terms.name, "noisy": class.noisy(), "deviation": deviation,
                "within95": f.half_width_95.to_string() })
        });
        let p = &q.price;
        let mut said = json!({
            "fit": fit,
            "listing": q.listing,
            "digest": offer.quote.digest()?,
            "price": { "total": p.total.to_string(), "custodian": p.custodian.to_string(),
                "pod": p.pod.to_string(), "fee": p.fee.to_string() },
            "expectedSeconds": q.expected_seconds,
            "expiry": q.expiry.to_string(),
            "values": offer.details["values"],
            "bits": offer.details["bits"],
            "pod": { "id": q.pod.id, "signingKey": q.pod.signing_key, "readsWeights": hides },
            "openers": openers,
            "ticketClass": class,
            "policyVersion": q.policy_version,
            "details": offer.details,
        });
        let number = self.fits.keep_offer(Offered { fit, offer });
        said["offer"] = json!(format!("o{number}"));
        Ok(said.into())
    }
}
