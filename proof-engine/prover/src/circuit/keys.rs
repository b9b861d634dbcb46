//! Proving keys of a circuit: what `prove_private` calls.

use super::{assign, shape};
use crate::{
    ProverError,
    linear::{PrivateCircuit, PrivateWitness},
    marlin::{self, ProvingKey},
    srs::Srs,
};
use ark_bls12_381::Fr;
use rand_core::CryptoRng;
use std::sync::Arc;
use veilbourse_core::digest::Digest;
use veilbourse_verifier::{
    linear::{
        MatrixKind, PrivateArgument, PrivateEquation,
        circuit_key::CircuitKey,
        inputs::{bind_randomness, class_of, commit_weights},
    },
    transcript::Transcript,
};
use zeroize::Zeroize;

/// Proving and verifying key of one kind and column class under one SRS.
#[derive(Debug)]
pub struct CircuitKeys {
    srs: Arc<Srs>,
    proving: ProvingKey,
    verifying: CircuitKey,
    class: usize,
}

impl CircuitKeys {
    /// Indexes the circuit: deterministic in (SRS, kind, class).
    pub fn generate(srs: Arc<Srs>, kind: MatrixKind, class: usize) -> Result<Self, ProverError> {
        let proving = marlin::index(&srs, &shape(kind, class)?)?;
        let verifying = CircuitKey::new(kind, class, proving.verifying().clone())?;
        Ok(Self {
            srs,
            proving,
            verifying,
            class,
        })
    }

    /// The key that verifies.
    pub fn verifying(&self) -> &CircuitKey {
        &self.verifying
    }
}

impl PrivateCircuit for CircuitKeys {
    fn verifying_key(&self) -> Digest {
        self.verifying.digest()
    }

    fn srs(&self) -> Digest {
        self.srs.digest()
    }

    fn binding(&self, witness: &PrivateWitness, columns: usize) -> Result<Fr, ProverError> {
        if class_of(columns) != Some(self.class) {
            return Err(ProverError::Circuit(format!(
                "{columns} columns are not of class {}",
                self.class
            )));
        }
        let m = commit_weights(&witness.weights, columns, witness.weight_blinder)
            .ok_or_else(|| ProverError::Circuit("a weight is outside its range".into()))?;
        let random = &witness.rerandomisation;
        Ok(bind_randomness(m, &random.c, &random.e, random.blinder))
    }

    fn prove<R: CryptoRng>(
        &self,
        equation: &PrivateEquation,
        witness: &PrivateWitness,
        transcript: &mut Transcript,
        rng: &mut R,
    ) -> Result<Vec<u8>, ProverError> {
        let (public, mut hidden) = assign(self.class, equation, witness)?;
        self.verifying.absorb(transcript);
        let proof = marlin::prove(&self.srs, &self.proving, transcript, &public, &hidden, rng);
        // POD-3: weights and randomness do not outlive the proof.
        hidden.zeroize();
        Ok(proof?.encode())
    }
}
