//! Proving keys by kind and column class, indexed when first needed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};
use veilbourse_prover::{ProverError, circuit::CircuitKeys, srs::Srs};
use veilbourse_verifier::linear::{MatrixKind, inputs::class_of};

/// The pod's proving keys under one SRS.
#[derive(Debug)]
pub struct Circuits {
    srs: Arc<Srs>,
    keys: Mutex<HashMap<(MatrixKind, usize), Arc<CircuitKeys>>>,
}

impl Circuits {
    /// No key is made before it is asked for.
    pub fn new(srs: Arc<Srs>) -> Self {
        Self {
            srs,
            keys: Mutex::default(),
        }
    }

    /// The SRS.
    pub fn srs(&self) -> &Srs {
        &self.srs
    }

    /// The key for a kind of matrix with that many encrypted columns.
    pub fn get(&self, kind: MatrixKind, columns: usize) -> Result<Arc<CircuitKeys>, ProverError> {
        let class = class_of(columns)
            .ok_or_else(|| ProverError::Circuit(format!("{columns} columns fit no class")))?;
        // A panic elsewhere leaves the map whole: entries are only added.
        let mut keys = self
            .keys
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(k) = keys.get(&(kind, class)) {
            return Ok(Arc::clone(k));
        }
        let made = Arc::new(CircuitKeys::generate(Arc::clone(&self.srs), kind, class)?);
        keys.insert((kind, class), Arc::clone(&made));
        Ok(made)
    }
}
