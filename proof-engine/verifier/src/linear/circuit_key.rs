//! The verifying key of the private-weights circuit: Marlin's key with the
//! kind and column class it is for (LES-8).

use super::{
    MatrixKind, PrivateArgument, PrivateEquation,
    inputs::{CLASSES, class_of, count, public_inputs},
    private::sealed,
};
use crate::{
    Refusal,
    marlin::{MarlinProof, MarlinRefusal, VerifyingKey, verify},
    transcript::Transcript,
};
use veilbourse_core::{
    digest::{Digest, Domain},
    wire::{Reader, Writer},
};

/// Longest encoding of a key.
pub const MAX_KEY_BYTES: usize = 4096;

/// A Marlin key for one kind of matrix and one column class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircuitKey {
    kind: MatrixKind,
    class: usize,
    marlin: VerifyingKey,
}

impl CircuitKey {
    /// Refuses a class that does not exist and a key whose number of public
    /// inputs is not that of the kind and class (MAR-3).
    pub fn new(kind: MatrixKind, class: usize, marlin: VerifyingKey) -> Result<Self, Refusal> {
        if !CLASSES.contains(&class) {
            return Err(Refusal::Circuit(format!("no column class {class}")));
        }
        let expected = count(kind, class);
        if marlin.public_inputs as usize != expected {
            return Err(Refusal::Circuit(format!(
                "{} public inputs for {kind:?} of class {class}, expected {expected}",
                marlin.public_inputs
            )));
        }
        Ok(Self {
            kind,
            class,
            marlin,
        })
    }

    /// What it is for.
    pub fn kind(&self) -> MatrixKind {
        self.kind
    }

    /// Its column class.
    pub fn class(&self) -> usize {
        self.class
    }

    /// Rows of the circuit, padded to its domain: |H|.
    pub fn rows(&self) -> u64 {
        1u64.checked_shl(self.marlin.log_rows).unwrap_or(0)
    }

    /// Marlin's own key.
    pub fn marlin(&self) -> &VerifyingKey {
        &self.marlin
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(match self.kind {
            MatrixKind::Traced => 0,
            MatrixKind::Chunk => 1,
        });
        w.u16(self.class as u16).bytes(&self.marlin.encode());
        w.finish()
    }

    /// Reads a key.
    pub fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        let marlin = |e: MarlinRefusal| Refusal::Circuit(e.to_string());
        let wire = |e: veilbourse_core::wire::WireError| Refusal::Circuit(e.to_string());
        let mut r = Reader::new(bytes);
        let kind = match r.u8("circuit_key.kind").map_err(wire)? {
            0 => MatrixKind::Traced,
            1 => MatrixKind::Chunk,
            v => return Err(Refusal::Circuit(format!("unknown kind {v}"))),
        };
        let class = usize::from(r.u16("circuit_key.class").map_err(wire)?);
        let key = r
            .bytes("circuit_key.marlin", MAX_KEY_BYTES as u32)
            .map_err(wire)?;
        r.finish("circuit_key").map_err(wire)?;
        Self::new(kind, class, VerifyingKey::decode(key).map_err(marlin)?)
    }

    /// Absorbs kind and class before Marlin starts.
    pub fn absorb(&self, t: &mut Transcript) {
        t.absorb("circuit key", &self.encode());
    }
}

impl sealed::Sealed for CircuitKey {}

impl PrivateArgument for CircuitKey {
    fn digest(&self) -> Digest {
        Digest::of(Domain::Other("veilbourse v1 circuit key"), &self.encode())
    }

    fn srs(&self) -> Digest {
        self.marlin.srs
    }

    fn verify(
        &self,
        equation: &PrivateEquation,
        proof: &[u8],
        transcript: &mut Transcript,
    ) -> Result<(), Refusal> {
        if equation.kind != self.kind || class_of(equation.column_values.len()) != Some(self.class)
        {
            return Err(Refusal::Circuit(format!(
                "a key for {:?} of class {} and a statement about {:?} of {} columns",
                self.kind,
                self.class,
                equation.kind,
                equation.column_values.len()
            )));
        }
        let refuse = |e: MarlinRefusal| Refusal::Marlin(e.to_string());
        let proof = MarlinProof::decode(proof).map_err(refuse)?;
        let public = public_inputs(equation, self.class)?;
        self.absorb(transcript);
        verify(&self.marlin, transcript, &public, &proof).map_err(refuse)
    }
}
