//! The file that names a committee (KEY-8): the same for its nodes' operators
//! and for custodians who deal to it. Whoever reads it pins what it says.

use crate::{
    Bytes, DOCUMENT_VERSION, DocumentError, Key, MachineRegistration, Openers, SignatureText,
    Signed, scalar::line,
};
use serde::{Deserialize, Serialize};
use veilbourse_core::digest::Digest;

const WHAT: &str = "committee";
/// Most bytes of the file.
const LIMIT: usize = 64 << 10;
const MAX_ADDRESS: usize = 260;

/// A node of a committee.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberEntry {
    /// For people.
    pub name: String,
    /// What it signs with, and shows to its peers.
    pub signing_key: Key,
    /// What is sealed to it.
    pub sealing_key: Bytes,
    /// Its own signature of the sealing key for this marketplace (POD-5).
    pub sealing_signature: SignatureText,
    /// Where its peers reach it: host and port.
    pub address: String,
}

/// A committee.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitteeFile {
    /// The marketplace that it serves.
    pub marketplace: Digest,
    /// How many nodes open.
    pub threshold: u8,
    /// The nodes; a node's number is its place.
    pub nodes: Vec<MemberEntry>,
}

impl CommitteeFile {
    /// Reads the file; every node's sealing key under its own signature.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        if bytes.len() > LIMIT {
            return Err(DocumentError::TooLarge {
                document: WHAT,
                limit: LIMIT as u64,
                value: bytes.len() as u64,
            });
        }
        let file: Self = serde_json::from_slice(bytes).map_err(|e| DocumentError::Json {
            document: WHAT,
            reason: e.to_string(),
        })?;
        file.check()?;
        Ok(file)
    }

    /// What a policy says of it.
    pub fn openers(&self) -> Openers {
        Openers::Committee {
            nodes: self.nodes.iter().map(|n| n.signing_key).collect(),
            threshold: self.threshold,
        }
    }

    /// SHR-1, PEER-1, POD-5.
    pub fn check(&self) -> Result<(), DocumentError> {
        let invalid = |field, reason| DocumentError::Invalid {
            document: WHAT,
            field,
            reason,
        };
        let openers = self.openers();
        openers.check().map_err(|reason| invalid("nodes", reason))?;
        for (i, node) in self.nodes.iter().enumerate() {
            let key = node.signing_key;
            if let Err(reason) = line(&node.name) {
                return Err(invalid("name", format!("node {key}: {reason}")));
            }
            // What is sealed to one would open at the other.
            let mut before = self.nodes.iter().take(i);
            if before.any(|n| n.sealing_key == node.sealing_key) {
                let reason = format!("node {key}: is another node's already");
                return Err(invalid("sealing_key", reason));
            }
            if node.address.is_empty() || node.address.len() > MAX_ADDRESS {
                let found = node.address.len();
                let reason = format!("node {key}: {found} bytes, must be 1 to {MAX_ADDRESS}");
                return Err(invalid("address", reason));
            }
            let sealing = Signed {
                body: MachineRegistration {
                    version: DOCUMENT_VERSION,
                    marketplace: self.marketplace,
                    sealing_key: Some(node.sealing_key.clone()),
                },
                key,
                signature: node.sealing_signature,
            };
            sealing
                .verify()
                .map_err(|e| invalid("sealing_signature", format!("node {key}: {e}")))?;
        }
        Ok(())
    }
}
