//! Asks the server for work and does it, in custodian-held custody (KEY-1).

use crate::{Admitted, Begun, GateRefusal, KeyNode, NodeError, Outcome, series};
use rand_core::CryptoRng;
use serde_json::{Value, json};
use veilbourse_core::{
    ciphertext::{OutputCiphertext, PublicKey},
    digest::Digest,
};
use veilbourse_documents::{
    Bytes, Id,
    api::{Deliver, Delivered, NodeJob, NodeJobs, Refuse},
};
use veilbourse_machine::{Machine, MachineError};
use veilbourse_peers::busy;

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
    let leased: Option<NodeJobs> = machine.post("/v1/node/lease", &json!({})).await?;
    // Custodian-held: one order at a time (KEY-1).
    let Some(job) = leased.and_then(|l| l.jobs.into_iter().next()) else {
        return Ok(None);
    };
    let path = format!("/v1/node/jobs/{}", job.order_id);
    let outcome = answer(node, machine, &job, rng).await?;
    let refusal = match outcome {
        Outcome::Delivered {
            delivery,
            sealed_result,
        } => {
            let body = Deliver {
                orders: vec![Delivered {
                    delivery: *delivery,
                    opened: None,
                }],
                sealed_result: Bytes(sealed_result),
            };
            machine
                .post::<_, Value>(&format!("{path}/delivery"), &body)
                .await?;
            series::delivered(1);
            None
        }
        Outcome::Refused(refusal) => {
            let said = (refusal.body.code.clone(), refusal.body.reason.clone());
            let body = Refuse { refusal: *refusal };
            machine
                .post::<_, Value>(&format!("{path}/non-delivery"), &body)
                .await?;
            series::refused(said.0.clone());
            Some(said)
        }
    };
    Ok(Some(Ended {
        order_id: job.order_id,
        refusal,
        log_head: node.log_head(),
    }))
}

/// The documents are checked before any part is fetched, each part before the
/// next: a job that says it has many or large ones costs nothing. What cannot
/// be fetched is no refusal: the node asks again (KEY-7).
async fn answer<R: CryptoRng>(
    node: &mut KeyNode,
    machine: &Machine,
    job: &NodeJob,
    rng: &mut R,
) -> Result<Outcome, PollError> {
    // Proof verification and decryption take tens of milliseconds an output.
    let begun = busy(|| node.begin(job, machine.now(), rng))?;
    let mut admitted = match begun {
        Begun::Ended(outcome) => return Ok(outcome),
        Begun::Admitted(a) => a,
    };
    let outcome = match fetch(machine, job, &mut admitted).await? {
        Ok(()) => busy(|| node.finish(*admitted, machine.now(), rng))?,
        Err(refusal) => node.stop(&admitted, &refusal)?,
    };
    Ok(outcome)
}

pub(crate) async fn fetch(
    machine: &Machine,
    job: &NodeJob,
    admitted: &mut Admitted<'_>,
) -> Result<Result<(), GateRefusal>, MachineError> {
    let object = |name: String| format!("/v1/node/jobs/{}/objects/{name}", job.order_id);
    let public_key = object("public-key".into());
    let bytes = machine.get(&public_key, PublicKey::ENCODED_LEN).await?;
    if let Err(refusal) = admitted.take_public_key(&bytes) {
        return Ok(Err(refusal));
    }
    for index in 0..admitted.outputs() {
        let name = object(format!("ciphertext-{index}"));
        let bytes = machine.get(&name, OutputCiphertext::MAX_LEN).await?;
        let limit = match admitted.take_ciphertext(bytes) {
            Ok(limit) => limit,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let name = object(format!("envelope-{index}"));
        let bytes = machine.get(&name, limit).await?;
        let taken = busy(|| admitted.take_envelope(&bytes));
        if let Err(refusal) = taken {
            return Ok(Err(refusal));
        }
    }
    Ok(Ok(()))
}
