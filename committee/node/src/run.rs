//! Asks the server for work and does it (KEY-1).

use crate::{KeyNode, NodeError, Outcome, Parts};
use rand_core::CryptoRng;
use serde_json::{Value, json};
use veilbourse_core::{
    ciphertext::{OutputCiphertext, PublicKey},
    digest::Digest,
};
use veilbourse_documents::{
    Bytes, Id,
    api::{Deliver, NodeJob, Refuse},
};
use veilbourse_machine::{Machine, MachineError};

/// Most bytes of an envelope that the node fetches.
const MAX_ENVELOPE: u64 = 16 << 20;

/// What went wrong in one round.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// Between node and server.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// In the node.
    #[error(transparent)]
    Node(#[from] NodeError),
}

/// How a round's order ended, for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The order's id.
    pub order_id: Id,
    /// Code and reason of a refusal; none when the result was delivered.
    pub refusal: Option<(String, String)>,
    /// Head of the node's log after it, for the operator to note.
    pub log_head: Digest,
}

/// One round: leases an order, if there is one, and ends it here.
pub async fn poll<R: CryptoRng>(
    node: &mut KeyNode,
    machine: &Machine,
    rng: &mut R,
) -> Result<Option<Ended>, PollError> {
    let Some(job) = machine
        .post::<_, NodeJob>("/v1/node/lease", &json!({}))
        .await?
    else {
        return Ok(None);
    };
    let parts = fetch(machine, &job).await?;
    let path = format!("/v1/node/jobs/{}", job.order_id);
    // Proof verification and decryption take tens of milliseconds an output.
    let outcome = tokio::task::block_in_place(|| node.process(&job, &parts, machine.now(), rng))?;
    let refusal = match outcome {
        Outcome::Delivered {
            delivery,
            sealed_result,
        } => {
            let body = Deliver {
                delivery: *delivery,
                sealed_result: Bytes(sealed_result),
            };
            machine
                .post::<_, Value>(&format!("{path}/delivery"), &body)
                .await?;
            None
        }
        Outcome::Refused(refusal) => {
            let said = (refusal.body.code.clone(), refusal.body.reason.clone());
            let body = Refuse { refusal: *refusal };
            machine
                .post::<_, Value>(&format!("{path}/non-delivery"), &body)
                .await?;
            Some(said)
        }
    };
    Ok(Some(Ended {
        order_id: job.order_id,
        refusal,
        log_head: node.log_head(),
    }))
}

async fn fetch(machine: &Machine, job: &NodeJob) -> Result<Parts, MachineError> {
    let object = |name: String| format!("/v1/node/jobs/{}/objects/{name}", job.order_id);
    let mut parts = Parts {
        public_key: machine
            .get(&object("public-key".into()), PublicKey::ENCODED_LEN)
            .await?,
        ..Parts::default()
    };
    for index in 0..job.grant.body.outputs.len() {
        let ciphertext = object(format!("ciphertext-{index}"));
        parts
            .ciphertexts
            .push(machine.get(&ciphertext, OutputCiphertext::MAX_LEN).await?);
        let envelope = object(format!("envelope-{index}"));
        parts
            .envelopes
            .push(machine.get(&envelope, MAX_ENVELOPE).await?);
    }
    Ok(parts)
}
