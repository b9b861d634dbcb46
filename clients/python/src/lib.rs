//! The client core of the Python package: what a buyer runs, with the same code
//! as the command line (`veilbourse-client`, `veilbourse-verify`).
//!
//! Structured data cross the border as JSON text; secrets stay on this side but
//! for what the keyring must keep (a signing key, an order's result key).

mod connection;
mod failure;
mod keys;
mod listing;
mod offer;
mod query;
mod receipt;
mod runtime;
mod ticket;
mod tls;

use rand_chacha::ChaCha20Rng;

/// The system's randomness, where Python meets the libraries.
pub(crate) fn rng() -> ChaCha20Rng {
    rand::make_rng()
}

/// The native part of the package `veilbourse`.
#[pyo3::pymodule]
mod _core {
    #[pymodule_export]
    use crate::{
        connection::Connection,
        keys::{SigningKey, marketplace_id},
        listing::Listed,
        offer::{Offer, prepare},
        query::Query,
        receipt::{receipt_facts, verify_receipt},
        ticket::{Opened, Ticket},
    };

    use pyo3::{
        Bound, PyResult,
        types::{PyModule, PyModuleMethods},
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
