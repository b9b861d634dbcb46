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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SealingSecret;
    use ed25519_dalek::SigningKey;
    use rand::SeedableRng;
    use rand_chacha::ChaCha12Rng;
    use serde_json::json;

    fn signer(n: u8) -> SigningKey {
        SigningKey::from_bytes(&[n; 32])
    }

    fn key(n: u8) -> Key {
        Key(signer(n).verifying_key().to_bytes())
    }

    fn sealing_key(n: u8) -> Bytes {
        let mut rng = ChaCha12Rng::seed_from_u64(n.into());
        Bytes(SealingSecret::generate(&mut rng).public().unwrap())
    }

    const MARKETPLACE: Digest = Digest([4; 32]);

    fn signature(marketplace: Digest, sealing_key: Bytes, by: u8) -> SignatureText {
        let body = MachineRegistration {
            version: DOCUMENT_VERSION,
            marketplace,
            sealing_key: Some(sealing_key),
        };
        Signed::sign(body, &signer(by)).unwrap().signature
    }

    fn good() -> CommitteeFile {
        let node = |n: u8| MemberEntry {
            name: format!("node {n}"),
            signing_key: key(n),
            sealing_key: sealing_key(n),
            sealing_signature: signature(MARKETPLACE, sealing_key(n), n),
            address: format!("node{n}.example:7000"),
        };
        CommitteeFile {
            marketplace: MARKETPLACE,
            threshold: 2,
            nodes: (1..=3).map(node).collect(),
        }
    }

    fn refused(change: impl FnOnce(&mut CommitteeFile), named: &str) -> String {
        let mut file = good();
        change(&mut file);
        let found = file.check().unwrap_err();
        let parsed = CommitteeFile::parse(json!(file).to_string().as_bytes());
        assert_eq!(parsed.unwrap_err(), found);
        match found {
            DocumentError::Invalid {
                document: WHAT,
                field,
                reason,
            } => {
                assert_eq!(field, named, "{reason}");
                reason
            }
            other => panic!("{other}"),
        }
    }

    #[test]
    fn the_file_says_what_a_policy_says() {
        // KEY-8, DOC-3.
        let file = good();
        let read = CommitteeFile::parse(json!(file).to_string().as_bytes()).unwrap();
        assert_eq!(read, file);
        let nodes = vec![key(1), key(2), key(3)];
        let threshold = 2;
        assert_eq!(read.openers(), Openers::Committee { nodes, threshold });
    }

    #[test]
    fn every_sealing_key_is_under_its_nodes_signature() {
        // POD-5: of this marketplace, of this key, by this node.
        let field = "sealing_signature";
        let reason = refused(|f| f.marketplace = Digest([5; 32]), field);
        assert!(reason.contains(&key(1).to_string()), "{reason}");
        refused(|f| f.nodes[1].sealing_key = sealing_key(9), field);
        refused(|f| f.nodes[1].signing_key = key(9), field);
        refused(|f| f.nodes[1].sealing_signature.0[0] ^= 1, field);
        let other = signature(Digest([5; 32]), sealing_key(2), 2);
        refused(|f| f.nodes[1].sealing_signature = other, field);
        let other = signature(MARKETPLACE, sealing_key(2), 1);
        refused(|f| f.nodes[1].sealing_signature = other, field);
        // Nothing could be sealed to it.
        refused(|f| f.nodes[1].sealing_key = Bytes(vec![0xff; 1216]), field);
        refused(|f| f.nodes[1].sealing_key = Bytes(vec![]), field);
        // No key of the curve.
        refused(|f| f.nodes[1].signing_key = Key([0; 32]), field);
    }

    #[test]
    fn members_are_a_committee() {
        // SHR-1: and nobody has two seats, under one key or another.
        refused(|f| f.threshold = 1, "nodes");
        refused(|f| f.threshold = 4, "nodes");
        refused(|f| f.nodes.truncate(1), "nodes");
        refused(|f| f.nodes.clear(), "nodes");
        refused(|f| f.nodes[2] = f.nodes[0].clone(), "nodes");
        let signature = signature(MARKETPLACE, sealing_key(1), 3);
        let reason = refused(
            |f| {
                f.nodes[2].sealing_key = sealing_key(1);
                f.nodes[2].sealing_signature = signature;
            },
            "sealing_key",
        );
        assert!(reason.contains(&key(3).to_string()), "{reason}");
        for bad in ["", " node", "a\nb", "x".repeat(65).as_str()] {
            refused(|f| f.nodes[0].name = bad.into(), "name");
        }
        let reason = refused(|f| f.nodes[2].address = String::new(), "address");
        assert!(
            reason.contains("0 bytes") && reason.contains("260"),
            "{reason}"
        );
        refused(|f| f.nodes[2].address = "x".repeat(261), "address");
        let mut file = good();
        file.nodes[2].address = "x".repeat(260);
        file.check().unwrap();
    }

    #[test]
    fn the_file_is_read_strictly() {
        // DOC-1.
        let whole = json!(good());
        let json = |text: String| {
            let e = CommitteeFile::parse(text.as_bytes()).unwrap_err();
            let shape = matches!(e, DocumentError::Json { document: WHAT, .. });
            assert!(shape, "{e}");
        };
        for field in ["marketplace", "threshold", "nodes"] {
            let mut less = whole.clone();
            less.as_object_mut().unwrap().remove(field).unwrap();
            json(less.to_string());
        }
        let fields = [
            "name",
            "signing_key",
            "sealing_key",
            "sealing_signature",
            "address",
        ];
        for field in fields {
            let mut less = whole.clone();
            let node = less["nodes"][1].as_object_mut().unwrap();
            node.remove(field).unwrap();
            json(less.to_string());
        }
        let mut more = whole.clone();
        more["nodes"][0]["extra"] = json!(1);
        json(more.to_string());
        let mut more = whole.clone();
        more["extra"] = json!(1);
        json(more.to_string());
        json(String::new());
        let mut padded = whole.to_string().into_bytes();
        padded.resize(LIMIT, b' ');
        CommitteeFile::parse(&padded).unwrap();
        padded.push(b' ');
        assert_eq!(
            CommitteeFile::parse(&padded),
            Err(DocumentError::TooLarge {
                document: WHAT,
                limit: 65_536,
                value: 65_537
            })
        );
    }
}
