//! The outputs of an ordered program: from the order's public shape to the
//! statement of each output, so that server, key node and offline verifier
//! build the same one (LES-1, LES-4, LES-8).

use super::{
    CircuitKey, LinearStatement, MatrixKind, PrivateArgument, PrivateEvidence, Visibility,
    inputs::class_of, verify_linear,
};
use crate::{Refusal, envelope::Verified};
use veilbourse_core::{
    ciphertext::{OutputCiphertext, PublicKey},
    digest::Digest,
    manifest::Manifest,
    program::{MatrixRef, Program, Weights},
    wire::WireError,
};

/// What every output of an order is verified with.
#[derive(Debug, Clone, Copy)]
pub struct OrderContext<'a> {
    /// The dataset.
    pub manifest: &'a Manifest,
    /// The program that was ordered.
    pub program: &'a Program,
    /// Digest of the signed order.
    pub order: Digest,
    /// The dataset's public key.
    pub public_key: &'a PublicKey,
    /// The verifying keys that the order accepts.
    pub circuits: &'a [CircuitKey],
    /// The structured reference string that the order accepts.
    pub srs: Digest,
}

/// The circuits (kind and column class) that a program's private outputs need,
/// traced first, each once.
pub fn required_circuits(manifest: &Manifest, program: &Program) -> Vec<(MatrixKind, usize)> {
    let Some(class) = class_of(manifest.columns.len()) else {
        return Vec::new();
    };
    let private = |vector: u32| {
        program
            .vectors
            .get(vector as usize)
            .is_some_and(|v| matches!(v.weights, Weights::Private { .. }))
    };
    [MatrixKind::Traced, MatrixKind::Chunk]
        .into_iter()
        .filter(|kind| {
            program
                .outputs
                .iter()
                .any(|o| kind_of(o.over) == *kind && private(o.vector))
        })
        .map(|kind| (kind, class))
        .collect()
}

fn kind_of(over: MatrixRef) -> MatrixKind {
    match over {
        MatrixRef::Traced { .. } => MatrixKind::Traced,
        MatrixRef::Chunk { .. } => MatrixKind::Chunk,
    }
}

fn missing(field: &'static str, what: String) -> Refusal {
    Refusal::Program(WireError::Invalid {
        field,
        reason: what,
    })
}

impl OrderContext<'_> {
    /// The statement of an output with its ciphertext.
    pub fn statement(
        &self,
        index: u32,
        ciphertext: OutputCiphertext,
    ) -> Result<LinearStatement, Refusal> {
        let output = self
            .program
            .outputs
            .get(index as usize)
            .ok_or_else(|| missing("program.outputs", format!("no output {index}")))?;
        let vector = self
            .program
            .vectors
            .get(output.vector as usize)
            .ok_or_else(|| missing("program.vectors", format!("no vector {}", output.vector)))?;
        let visibility = match &vector.weights {
            Weights::Public { values } => Visibility::Public {
                weights: values.clone(),
            },
            Weights::Private {
                commitment,
                l1_bound,
                l2_bound,
            } => Visibility::Private {
                commitment: *commitment,
                l1_bound: *l1_bound,
                l2_bound: *l2_bound,
                srs: self.srs,
                verifying_key: self.circuit(output.over)?.digest(),
            },
        };
        Ok(LinearStatement {
            dataset: self.manifest.root(),
            over: output.over,
            order: self.order,
            output: index,
            visibility,
            public_key: self.manifest.public_key_body,
            ciphertext,
        })
    }

    fn circuit(&self, over: MatrixRef) -> Result<&CircuitKey, Refusal> {
        let kind = kind_of(over);
        let class = class_of(self.manifest.columns.len());
        self.circuits
            .iter()
            .find(|c| c.kind() == kind && Some(c.class()) == class)
            .ok_or(Refusal::Missing("verifying key of the circuit"))
    }

    /// Verifies one output's envelope: the ciphertext's bytes, the statement,
    /// the proof.
    pub fn verify_output(
        &self,
        index: u32,
        ciphertext: &[u8],
        envelope: &[u8],
    ) -> Result<Verified<LinearStatement>, Refusal> {
        let ciphertext = OutputCiphertext::decode(ciphertext)?;
        let statement = self.statement(index, ciphertext)?;
        match &statement.visibility {
            Visibility::Public { .. } => verify_linear(statement, self.manifest, None, envelope),
            Visibility::Private { .. } => {
                let evidence = PrivateEvidence {
                    public_key: self.public_key,
                    argument: self.circuit(statement.over)?,
                };
                verify_linear(statement, self.manifest, Some(&evidence), envelope)
            }
        }
    }
}
