//! An order with the secrets that open its result, and what was opened.

use crate::failure::{Failure, raised};
use pyo3::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use veilbourse_client::{
    buyer::{self, Sealed},
    query::{self, Decoded},
};
use veilbourse_core::program::MatrixRef;
use veilbourse_documents::Id;
use veilbourse_verify::{MASKED_FILE, SEALED_FILE, masks_file};

/// A signed order: the same file as the command line's `ticket.json`.
#[pyclass(frozen, module = "veilbourse._core")]
pub struct Ticket {
    /// As the client library has it.
    pub inner: buyer::Ticket,
}

/// What an order opened.
#[pyclass(frozen, module = "veilbourse._core")]
pub struct Opened {
    /// Integers, by output.
    pub values: Vec<Vec<i64>>,
    /// The receipt's bytes.
    pub receipt: Vec<u8>,
    /// What the key nodes handed on, by file name (REC-5).
    pub sealed: BTreeMap<String, Vec<u8>>,
}

impl Opened {
    /// With the files named as `verify --result` looks for them.
    pub fn of(ticket: &buyer::Ticket, opened: buyer::Opened) -> Result<Self, Failure> {
        let mut sealed = BTreeMap::new();
        match opened.sealed {
            Sealed::Held(bytes) => {
                sealed.insert(SEALED_FILE.to_owned(), bytes);
            }
            Sealed::Committee { masked, masks } => {
                sealed.insert(MASKED_FILE.to_owned(), masked);
                let nodes = buyer::quorum_of(ticket, &opened.receipt)?;
                for (node, bytes) in nodes.into_iter().zip(masks) {
                    sealed.insert(masks_file(node), bytes);
                }
            }
        }
        Ok(Self {
            values: opened.values,
            receipt: opened.receipt,
            sealed,
        })
    }
}

#[pymethods]
impl Opened {
    /// The opened integers, by output.
    #[getter]
    fn values(&self) -> Vec<Vec<i64>> {
        self.values.clone()
    }

    /// The receipt.
    #[getter]
    fn receipt(&self) -> &[u8] {
        &self.receipt
    }

    /// Names of the files that the key nodes handed on.
    #[getter]
    fn files(&self) -> Vec<String> {
        self.sealed.keys().cloned().collect()
    }

    /// One of them.
    fn file(&self, name: &str) -> Option<&[u8]> {
        self.sealed.get(name).map(Vec::as_slice)
    }
}

impl Ticket {
    fn placed(&self, py: Python<'_>) -> PyResult<&Id> {
        self.inner.order_id.as_ref().ok_or_else(|| {
            let message = "the order is signed, but not known to be placed";
            raised(py, Failure::new("local", "NOT_PLACED", message))
        })
    }

    /// The noise of an opened integer: deviation, and half-width of 95 %.
    fn noise(&self) -> (f64, f64) {
        match self.inner.class().filter(|(_, c)| c.noisy()) {
            None => (0.0, 0.0),
            Some((_, class)) => {
                let f = class.mechanism().forecast();
                (f.standard_deviation, f.half_width_95 as f64)
            }
        }
    }

    /// One output in real units, with what is known of its error.
    fn output(&self, d: &Decoded, integers: &[i64]) -> Value {
        let vectors = &self.inner.order.body.program.vectors;
        let scale = vectors.get(d.vector as usize).map_or(0, |v| v.scale_log2);
        let (kind, chunk, divisor) = match d.over {
            MatrixRef::Traced { .. } => ("mean", None, d.rows.max(1) as f64),
            MatrixRef::Chunk { chunk, .. } => ("scores", Some(chunk), 1.0),
        };
        let unit = f64::from(-scale).exp2() / divisor;
        let (deviation, within) = self.noise();
        let weight_error = self.inner.max_error.get(d.vector as usize);
        json!({
            "label": d.label, "vector": d.vector, "kind": kind, "chunk": chunk,
            "segment": d.segment, "rows": d.rows, "values": d.values,
            "integers": integers.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "noise_deviation": deviation * unit, "noise_within_95": within * unit,
            "weight_error": weight_error,
        })
    }
}

#[pymethods]
impl Ticket {
    /// Reads a kept ticket.
    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        let read = serde_json::from_str(text);
        let inner = read.map_err(|e| {
            // The text holds secrets: where, not what.
            let message = format!("ticket: line {}, column {}", e.line(), e.column());
            raised(py, Failure::new("local", "TICKET_FILE", message))
        })?;
        Ok(Self { inner })
    }

    /// The ticket as it is kept. It holds the key that opens the result.
    fn to_json(&self, py: Python<'_>) -> PyResult<String> {
        serde_json::to_string(&self.inner)
            .map_err(|e| raised(py, Failure::refused("order", e.to_string())))
    }

    /// The same, known to be placed under this id.
    fn with_order_id(&self, py: Python<'_>, id: &str) -> PyResult<Self> {
        let found = Id::parse(id);
        let found =
            found.ok_or_else(|| raised(py, Failure::argument("id", id, "an order's id")))?;
        let mut inner = self.inner.clone();
        inner.order_id = Some(found);
        Ok(Self { inner })
    }

    /// The server's id of the order, once placed.
    #[getter]
    fn order_id(&self) -> Option<&str> {
        self.inner.order_id.as_ref().map(Id::as_str)
    }

    /// The digest of the signed order: what proofs and receipt are bound to.
    fn digest(&self, py: Python<'_>) -> PyResult<String> {
        let digest = self.inner.order.digest();
        let digest = digest.map_err(|e| raised(py, Failure::refused("order", e.to_string())))?;
        Ok(digest.to_string())
    }

    /// The marketplace's key.
    #[getter]
    fn marketplace_key(&self) -> String {
        self.inner.marketplace.to_string()
    }

    /// The listing ordered from.
    #[getter]
    fn listing(&self) -> &str {
        self.inner.order.body.listing.as_str()
    }

    /// Minor units paid.
    #[getter]
    fn price(&self) -> i64 {
        self.inner.order.body.price
    }

    /// Milliseconds since the epoch.
    #[getter]
    fn deadline(&self) -> u64 {
        self.inner.order.body.deadline
    }

    /// Outputs with their values in real units, as JSON; refused where they have
    /// not the program's shape and ranges (BUD-1, DOC-9).
    fn decode(&self, py: Python<'_>, values: Vec<Vec<i64>>) -> PyResult<String> {
        buyer::check_opened(&[&self.inner], &values).map_err(|e| raised(py, e))?;
        let program = &self.inner.order.body.program;
        let decoded = query::decode(&self.inner.manifest, program, &values);
        let outputs: Vec<Value> = decoded
            .iter()
            .zip(&values)
            .map(|(d, integers)| self.output(d, integers))
            .collect();
        Ok(json!(outputs).to_string())
    }

    fn __repr__(&self) -> String {
        let id = self
            .inner
            .order_id
            .as_ref()
            .map_or("not placed", Id::as_str);
        format!("Ticket({id})")
    }
}

/// The order's id, for the connection.
pub fn order_id<'a>(py: Python<'_>, ticket: &'a Ticket) -> PyResult<&'a Id> {
    ticket.placed(py)
}
