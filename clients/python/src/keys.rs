//! A buyer's signing key. The keyring keeps its secret; nothing else does.

use crate::failure::{Failure, raised};
use pyo3::prelude::*;
use veilbourse_client::market;
use veilbourse_core::digest::Digest;
use veilbourse_documents::{self as documents, Key};
use zeroize::Zeroizing;

/// 64 hex digits that are a key.
pub fn key(field: &'static str, text: &str) -> Result<Key, Failure> {
    Key::from_hex(text).ok_or_else(|| Failure::argument(field, text, "a key of 64 hex digits"))
}

/// 64 hex digits that are a digest.
pub fn digest(field: &'static str, text: &str) -> Result<Digest, Failure> {
    Digest::from_hex(text)
        .ok_or_else(|| Failure::argument(field, text, "a digest of 64 hex digits"))
}

/// Signs orders: whoever has it spends the account's money.
#[pyclass(frozen, module = "veilbourse._core")]
pub struct SigningKey {
    /// The secret, wiped when dropped.
    pub inner: documents::SigningKey,
}

#[pymethods]
impl SigningKey {
    /// A fresh one, from the system's randomness.
    #[staticmethod]
    fn generate() -> Self {
        Self {
            inner: market::fresh_key(&mut crate::rng()),
        }
    }

    /// From the 64 hex digits of a key file.
    #[staticmethod]
    fn from_hex(py: Python<'_>, secret: &str) -> PyResult<Self> {
        let mut bytes = Zeroizing::new([0u8; 32]);
        // What was read is a secret: the error does not show it.
        hex::decode_to_slice(secret.trim(), bytes.as_mut()).map_err(|_| {
            let message = "signing key: expected 64 hex digits";
            raised(py, Failure::new("local", "KEY_FILE", message))
        })?;
        Ok(Self {
            inner: documents::SigningKey::from_bytes(&bytes),
        })
    }

    /// The secret as 64 hex digits: for the key's file alone.
    fn secret_hex(&self) -> String {
        hex::encode(self.inner.as_bytes())
    }

    /// The public half, by which others know it.
    #[getter]
    fn public(&self) -> String {
        hex::encode(self.inner.verifying_key().to_bytes())
    }

    fn __repr__(&self) -> String {
        format!("SigningKey({})", self.public())
    }
}

/// The id that documents name a marketplace by: the digest of its key.
#[pyfunction]
pub fn marketplace_id(py: Python<'_>, marketplace_key: &str) -> PyResult<String> {
    let key = key("marketplace_key", marketplace_key).map_err(|e| raised(py, e))?;
    Ok(market::marketplace_of(&key).to_string())
}
