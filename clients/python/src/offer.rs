//! Quotes as the buyer sees them before paying, and the order signed for one.

use crate::{
    failure::{Failure, raised},
    keys::{SigningKey, key},
    listing::Listed,
    query::Query,
    ticket::Ticket,
};
use pyo3::prelude::*;
use serde_json::json;
use veilbourse_client::buyer;
use veilbourse_documents::Key;

/// A quote, checked against the marketplace's key, the listing and the query.
#[pyclass(frozen, module = "veilbourse._core")]
pub struct Offer {
    /// As the client library has it.
    pub inner: buyer::Offer,
}

#[pymethods]
impl Offer {
    /// The marketplace's answer as JSON: precision by output, seats, what stays
    /// private. Words of the server; what counts is [`Self::facts`].
    fn details(&self) -> String {
        self.inner.details.to_string()
    }

    /// What the signed quote and policy say, as JSON.
    fn facts(&self, py: Python<'_>) -> PyResult<String> {
        let q = &self.inner.quote.body;
        let refused =
            |e: &dyn std::fmt::Display| raised(py, Failure::refused("quote", e.to_string()));
        let class = self.inner.class();
        let forecast = self.inner.forecast();
        let digest = self.inner.quote.digest().map_err(|e| refused(&e))?;
        let openers = serde_json::to_value(&q.openers).map_err(|e| refused(&e))?;
        Ok(json!({
            "digest": digest,
            "listing": q.listing,
            "dataset": q.dataset,
            "price": { "total": q.price.total, "fee": q.price.fee, "pod": q.price.pod,
                "custodian": q.price.custodian },
            "expected_seconds": q.expected_seconds,
            "expiry": q.expiry,
            "pod": { "id": q.pod.id, "signing_key": q.pod.signing_key },
            "openers": openers,
            "srs": q.srs.provenance.to_string(),
            "ticket_class": class.map(|(terms, _)| &terms.name),
            "noise": forecast.map(|f| json!({ "standard_deviation": f.standard_deviation,
                "within_95": f.half_width_95, "bound": f.bound })),
        })
        .to_string())
    }

    /// The signed quote as JSON.
    fn document(&self, py: Python<'_>) -> PyResult<String> {
        serde_json::to_string(&self.inner.quote)
            .map_err(|e| raised(py, Failure::refused("quote", e.to_string())))
    }

    /// The custodian's signed policy as JSON.
    fn policy(&self, py: Python<'_>) -> PyResult<String> {
        serde_json::to_string(&self.inner.policy)
            .map_err(|e| raised(py, Failure::refused("policy", e.to_string())))
    }

    /// Refuses any other pod than the one with this signing key.
    fn require_pod(&self, py: Python<'_>, signing_key: &str) -> PyResult<()> {
        let wanted = key("pod", signing_key).map_err(|e| raised(py, e))?;
        self.inner.require_pod(&wanted).map_err(|e| raised(py, e))
    }

    /// Refuses any other openers than the nodes with exactly these keys.
    fn require_nodes(&self, py: Python<'_>, keys: Vec<String>) -> PyResult<()> {
        let keys: Result<Vec<Key>, Failure> = keys.iter().map(|k| key("nodes", k)).collect();
        let keys = keys.map_err(|e| raised(py, e))?;
        self.inner.require_nodes(&keys).map_err(|e| raised(py, e))
    }
}

/// Signs an order for an offer and seals a private model to the quoted pod.
/// `deadline` is in milliseconds since the epoch.
#[pyfunction]
pub fn prepare(
    py: Python<'_>,
    marketplace_key: &str,
    offer: &Offer,
    listed: &Listed,
    query: &Query,
    signing: &SigningKey,
    deadline: u64,
) -> PyResult<Ticket> {
    let marketplace = key("marketplace_key", marketplace_key).map_err(|e| raised(py, e))?;
    let made = py.detach(|| {
        buyer::prepare(
            &marketplace,
            &offer.inner,
            &listed.inner,
            &query.inner,
            &signing.inner,
            deadline,
            &mut crate::rng(),
        )
    });
    let inner = made.map_err(|e| raised(py, e))?;
    Ok(Ticket { inner })
}
