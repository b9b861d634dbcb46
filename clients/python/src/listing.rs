//! A listing as queries are fitted to it: its manifest, checked against the root.

use crate::failure::{Failure, raised};
use pyo3::prelude::*;
use veilbourse_client::buyer;
use veilbourse_core::manifest::Manifest;
use veilbourse_documents::Id;

/// A listing with the dataset's manifest.
#[pyclass(frozen, module = "veilbourse._core")]
pub struct Listed {
    /// As the client library has it.
    pub inner: buyer::Listed,
}

impl Listed {
    fn read(
        id: &str,
        title: &str,
        manifest: &str,
        suppressed: Vec<String>,
    ) -> Result<Self, Failure> {
        let id = Id::parse(id).ok_or_else(|| Failure::argument("id", id, "a listing's id"))?;
        let manifest: Manifest = serde_json::from_str(manifest)
            .map_err(|e| Failure::refused("manifest", format!("manifest: {e}")))?;
        manifest
            .validate()
            .map_err(|e| Failure::refused("manifest", format!("manifest: {e}")))?;
        Ok(Self {
            inner: buyer::Listed {
                id,
                title: title.to_owned(),
                manifest,
                suppressed,
            },
        })
    }
}

#[pymethods]
impl Listed {
    /// From what somebody else handed over: queries can be fitted offline.
    #[staticmethod]
    #[pyo3(signature = (id, title, manifest, suppressed=Vec::new()))]
    fn from_manifest(
        py: Python<'_>,
        id: &str,
        title: &str,
        manifest: &str,
        suppressed: Vec<String>,
    ) -> PyResult<Self> {
        Self::read(id, title, manifest, suppressed).map_err(|e| raised(py, e))
    }

    /// Its id.
    #[getter]
    fn id(&self) -> &str {
        self.inner.id.as_str()
    }

    /// Its title.
    #[getter]
    fn title(&self) -> &str {
        &self.inner.title
    }

    /// The dataset root D, computed from the manifest.
    #[getter]
    fn dataset(&self) -> String {
        self.inner.manifest.root().to_string()
    }

    /// Columns that rule DS-7 suppressed, by name.
    #[getter]
    fn suppressed(&self) -> Vec<String> {
        self.inner.suppressed.clone()
    }

    /// The manifest as JSON.
    fn manifest(&self, py: Python<'_>) -> PyResult<String> {
        serde_json::to_string(&self.inner.manifest)
            .map_err(|e| raised(py, Failure::refused("manifest", e.to_string())))
    }

    fn __repr__(&self) -> String {
        format!("Listed({}, {:?})", self.inner.id, self.inner.title)
    }
}
