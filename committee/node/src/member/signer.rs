//! What a quorum's members sign of what they opened (DOC-13).

use veilbourse_documents::{
    CommitteeFile, DOCUMENT_VERSION, Key, Opening, SignatureText, Signed, SigningKey,
};
use veilbourse_quorum::{Outcome, Signer};

/// Signs openings as one member, and checks the others'.
pub struct OpeningSigner<'a> {
    /// Who the members are.
    pub committee: &'a CommitteeFile,
    /// This node's key.
    pub signing: &'a SigningKey,
}

impl OpeningSigner<'_> {
    fn body(&self, outcome: &Outcome) -> Opening {
        let Outcome {
            session,
            binding,
            y,
        } = outcome;
        let words: Vec<u64> = y.iter().map(|y| y.word()).collect();
        Opening {
            version: DOCUMENT_VERSION,
            marketplace: self.committee.marketplace,
            order: binding.order,
            grant: binding.grant,
            session: *session,
            attempt: binding.attempt,
            first_ticket: first_ticket(outcome),
            values: words.len() as u64,
            opened: Opening::digest_of_opened(&words),
        }
    }

    /// This node's document.
    pub fn opening(&self, outcome: &Outcome) -> Result<Signed<Opening>, String> {
        Signed::sign(self.body(outcome), self.signing).map_err(|e| e.to_string())
    }
}

/// The first ticket of a session.
pub fn first_ticket(outcome: &Outcome) -> u64 {
    let first = outcome.binding.outputs.first();
    first.map_or(0, |o| o.first_ticket)
}

impl Signer for OpeningSigner<'_> {
    fn limit(&self) -> u32 {
        64
    }

    fn sign(&self, outcome: &Outcome) -> Result<Vec<u8>, String> {
        Ok(self.opening(outcome)?.signature.0.to_vec())
    }

    fn check(&self, node: u8, outcome: &Outcome, signature: &[u8]) -> Result<(), String> {
        let member = self.committee.nodes.get(usize::from(node));
        let key: Key = member.ok_or("is not a member")?.signing_key;
        let signature = signature.try_into().map_err(|_| {
            let found = signature.len();
            format!("{found} bytes, expected 64")
        })?;
        let signed = Signed {
            body: self.body(outcome),
            key,
            signature: SignatureText(signature),
        };
        signed.verify().map_err(|e| e.to_string())
    }
}
