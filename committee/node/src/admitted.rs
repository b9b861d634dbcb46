//! An admitted order's parts (KEY-1, KEY-2): fetched one by one, each checked
//! before the next.

use crate::refusal::GateRefusal;
use veilbourse_core::{
    budget,
    ciphertext::{OutputCiphertext, PublicKey},
    digest::Digest,
    manifest::Manifest,
};
use veilbourse_documents::{Demand, SubmittedDigest, api::NodeJob};
use veilbourse_protocol::TicketClass;
use veilbourse_verifier::{
    Envelope, Kind, Refusal,
    linear::{CircuitKey, OrderContext, check_public_key, linear_body_limit},
};

/// The binary parts of a job, all at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// The dataset's public key.
    pub public_key: Vec<u8>,
    /// Each output's ciphertext.
    pub ciphertexts: Vec<Vec<u8>>,
    /// Each output's envelope.
    pub envelopes: Vec<Vec<u8>>,
}

/// An order that may be opened once its parts hold: every check of the gate that
/// needs no part has passed. Parts are taken one by one, so that the node holds
/// one envelope and the ciphertexts proven so far, at most 64 MiB.
#[derive(Debug)]
pub struct Admitted<'a> {
    pub(crate) job: &'a NodeJob,
    /// Digest of the order.
    pub(crate) order: Digest,
    /// Digest of the grant.
    pub(crate) grant: Digest,
    /// What it opens.
    pub(crate) demand: Demand,
    /// Its ticket class, in committee custody.
    pub(crate) class: Option<TicketClass>,
    /// What is counted with it ([`crate::NodeConfig::scope`]).
    pub(crate) scope: Digest,
    pub(crate) circuits: Vec<CircuitKey>,
    pub(crate) public_key: Option<PublicKey>,
    /// The ciphertext whose proof comes next.
    pub(crate) pending: Option<Vec<u8>>,
    pub(crate) proven: Vec<OutputCiphertext>,
}

impl Admitted<'_> {
    /// Values of each output, in the program's order.
    pub fn values(&self) -> Vec<u32> {
        let outputs = self.job.order.body.program.outputs.iter();
        let extent = outputs.map(|o| budget::extent(&self.job.manifest, o.over));
        // The gate has refused a program with an output over nothing.
        extent.map(|e| e.map_or(0, |(_, _, n)| n)).collect()
    }

    /// Outputs granted.
    pub fn outputs(&self) -> usize {
        self.job.grant.body.outputs.len()
    }

    /// The dataset's public key: the manifest's.
    pub fn take_public_key(&mut self, bytes: &[u8]) -> Result<(), GateRefusal> {
        self.public_key = Some(public_key(&self.job.manifest, bytes)?);
        Ok(())
    }

    /// The next output: its index and what was granted of it.
    fn next(&self) -> Result<(u32, &SubmittedDigest), GateRefusal> {
        let (expected, index) = (self.outputs(), self.proven.len());
        let granted = self.job.grant.body.outputs.get(index);
        granted
            .map(|g| (index as u32, g))
            .ok_or(GateRefusal::OutputCount {
                expected,
                found: index.saturating_add(1),
            })
    }

    fn context(&self) -> Result<OrderContext<'_>, GateRefusal> {
        let public_key = self.public_key.as_ref().ok_or(GateRefusal::PublicKey {
            reason: "not taken yet".into(),
        })?;
        Ok(OrderContext {
            manifest: &self.job.manifest,
            program: &self.job.order.body.program,
            order: self.order,
            public_key,
            circuits: &self.circuits,
            srs: self.job.order.body.srs.digest,
        })
    }

    /// The next output's ciphertext: the granted one. Returns the most bytes
    /// that its envelope can have.
    pub fn take_ciphertext(&mut self, bytes: Vec<u8>) -> Result<u64, GateRefusal> {
        let (index, granted) = self.next()?;
        let refuse = |cause| GateRefusal::Proof { index, cause };
        let decoded = OutputCiphertext::decode(&bytes).map_err(|e| refuse(Refusal::Wire(e)))?;
        if decoded.digest() != granted.ciphertext {
            return Err(GateRefusal::OutputDigest {
                index,
                what: "ciphertext",
            });
        }
        let statement = self.context()?.statement(index, decoded).map_err(refuse)?;
        let matrix = statement.conform(&self.job.manifest).map_err(refuse)?;
        let body = linear_body_limit(&statement.visibility, &matrix);
        let empty = Envelope {
            kind: Kind::Linear,
            statement: Digest::default(),
            body: Vec::new(),
        };
        self.pending = Some(bytes);
        Ok(body.saturating_add(empty.encode().len() as u64))
    }

    /// The envelope that proves the ciphertext just taken.
    pub fn take_envelope(&mut self, bytes: &[u8]) -> Result<(), GateRefusal> {
        let pending = self.pending.take().ok_or(GateRefusal::OutputCount {
            expected: self.outputs(),
            found: self.proven.len(),
        })?;
        let (index, granted) = self.next()?;
        if Envelope::digest(bytes) != granted.envelope {
            return Err(GateRefusal::OutputDigest {
                index,
                what: "envelope",
            });
        }
        let proven = self
            .context()?
            .verify_output(index, &pending, bytes)
            .map_err(|cause| GateRefusal::Proof { index, cause })?;
        self.proven.push(proven.into_statement().ciphertext);
        Ok(())
    }

    /// All parts at once.
    pub fn take(&mut self, parts: &Parts) -> Result<(), GateRefusal> {
        self.take_public_key(&parts.public_key)?;
        let expected = self.outputs();
        for found in [parts.ciphertexts.len(), parts.envelopes.len()] {
            if found != expected {
                return Err(GateRefusal::OutputCount { expected, found });
            }
        }
        for (ciphertext, envelope) in parts.ciphertexts.iter().zip(&parts.envelopes) {
            self.take_ciphertext(ciphertext.clone())?;
            self.take_envelope(envelope)?;
        }
        Ok(())
    }

    /// The ciphertexts, when every one is proven.
    pub(crate) fn proven(&self) -> Result<&[OutputCiphertext], GateRefusal> {
        let (expected, found) = (self.outputs(), self.proven.len());
        if found != expected {
            return Err(GateRefusal::OutputCount { expected, found });
        }
        Ok(&self.proven)
    }
}

/// The public key that a manifest names.
pub(crate) fn public_key(manifest: &Manifest, bytes: &[u8]) -> Result<PublicKey, GateRefusal> {
    let refuse = |reason: String| GateRefusal::PublicKey { reason };
    let key = PublicKey::decode(bytes).map_err(|e| refuse(e.to_string()))?;
    check_public_key(manifest, &key).map_err(|e| refuse(e.to_string()))?;
    Ok(key)
}
