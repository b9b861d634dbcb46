//! What machines exchange with the server over HTTP (POD, KEY): documents as
//! they were signed, binary parts fetched by name.

use crate::{
    DealingAccepted, DealingRefused, Delivery, Grant, Id, MachineLogin, NonDelivery, Nonce,
    Opening, Order, Policy, Quote, Signed, Submission,
    masked::{most_masked, sealed_masks_bytes},
};
use serde::{Deserialize, Serialize};
use veilbourse_core::manifest::Manifest;
use veilbourse_protocol::{MAX_BATCH, MAX_NODES};

/// `POST /v1/machines/token`.
pub type TokenRequest = Signed<MachineLogin>;

/// Its answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenAnswer {
    /// The access token.
    pub token: String,
    /// When it expires.
    #[serde(with = "veilbourse_core::decimal")]
    pub expires: u64,
}

/// A job for a pod (POD-1). Objects: `public-key`, `sums`, `chunk-S-C`,
/// `sealed-model`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PodJob {
    /// The order's id.
    pub order_id: Id,
    /// Shows that one holds the lease.
    pub lease: Nonce,
    /// When it ends.
    #[serde(with = "veilbourse_core::decimal")]
    pub lease_end: u64,
    /// The dataset.
    pub manifest: Manifest,
    /// The custodian's policy.
    pub policy: Signed<Policy>,
    /// The quote.
    pub quote: Signed<Quote>,
    /// The order.
    pub order: Signed<Order>,
}

/// `POST /v1/pod/jobs/{order}/heartbeat` and the node's.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// The lease.
    pub lease: Nonce,
    /// What is being done.
    pub stage: String,
    /// How far, per mille of the whole job.
    pub progress: u32,
}

/// `POST /v1/pod/jobs/{order}/decline`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decline {
    /// The lease.
    pub lease: Nonce,
    /// Why.
    pub reason: String,
}

/// `POST /v1/pod/jobs/{order}/submission`, after every output was put.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submit {
    /// The lease.
    pub lease: Nonce,
    /// The signed submission.
    pub submission: Signed<Submission>,
}

/// A key node's answer to a lease (KEY-1): one order, or all orders of a joint
/// one, by quote digest.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeJobs {
    /// The jobs.
    pub jobs: Vec<NodeJob>,
}

/// A job for a key node (KEY-1). Objects: `public-key`, `ciphertext-I`,
/// `envelope-I`, `verifying-key-DIGEST`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeJob {
    /// The order's id.
    pub order_id: Id,
    /// The dataset.
    pub manifest: Manifest,
    /// The custodian's policy.
    pub policy: Signed<Policy>,
    /// The quote.
    pub quote: Signed<Quote>,
    /// The order.
    pub order: Signed<Order>,
    /// The pod's submission.
    pub submission: Signed<Submission>,
    /// The grant.
    pub grant: Signed<Grant>,
}

/// `POST /v1/node/jobs/{order}/delivery`: of one order, or of every order of a
/// joint one, at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deliver {
    /// One an order, as the jobs came.
    pub orders: Vec<Delivered>,
    /// The sealed result, or the sealed masks.
    pub sealed_result: crate::Bytes,
}

/// Most bytes of a [`Deliver`] as JSON (POD-1).
pub const MAX_DELIVER_BYTES: usize = 8 << 20;
/// Most bytes of one order's signed documents in it, and of all names.
const SIGNED_BYTES: usize = 4096;

// An order by itself always fits.
const _: () = assert!(Deliver::most_bytes(1, MAX_BATCH, MAX_NODES as usize) <= MAX_DELIVER_BYTES);

impl Deliver {
    /// Most bytes as JSON of what a quorum's node hands in: `orders` masked
    /// results (one, or a joint order's) of `values` values each, opened by
    /// `parties` nodes, and one mask share a value.
    pub const fn most_bytes(orders: usize, values: usize, parties: usize) -> usize {
        let masked = base64(most_masked(values, parties));
        let order = masked.saturating_add(SIGNED_BYTES);
        let sealed = base64(sealed_masks_bytes(values));
        let all = orders.saturating_mul(order);
        all.saturating_add(sealed).saturating_add(SIGNED_BYTES)
    }
}

/// Characters of so many bytes in base64, padded.
const fn base64(bytes: usize) -> usize {
    bytes.div_ceil(3).saturating_mul(4)
}

/// A node's delivery of one order.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivered {
    /// The signed delivery.
    pub delivery: Signed<Delivery>,
    /// Of a committee: what was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened: Option<OpenedByQuorum>,
}

/// What a quorum's node hands in beside its sealed masks (DOC-13).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenedByQuorum {
    /// Its own signature of what was opened.
    pub opening: Signed<Opening>,
    /// The words and commitments, encoded ([`crate::MaskedResult`]); the same
    /// of every member.
    pub masked: crate::Bytes,
}

/// `POST /v1/node/dealings`: the dealings that a node is to check, or has
/// accepted (DOC-14). Pieces: `GET /v1/node/dealings/{digest}/{part}/{piece}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DealingJobs {
    /// By listing, oldest first.
    pub listings: Vec<DealingJob>,
}

/// The dealings of one listing for one node.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DealingJob {
    /// The dataset.
    pub manifest: Manifest,
    /// The policy that names the dealings.
    pub policy: Signed<Policy>,
    /// Announcements of those that this node has not answered, as the policy
    /// lists them; those of its quorums alone.
    pub announced: Vec<crate::Bytes>,
}

/// `POST /v1/node/dealings/{digest}`: the node's answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DealingAnswer {
    /// Checked and usable.
    Accepted(Signed<DealingAccepted>),
    /// Not, or no longer.
    Refused(Signed<DealingRefused>),
}

/// `POST /v1/node/jobs/{order}/non-delivery`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refuse {
    /// The signed refusal.
    pub refusal: Signed<NonDelivery>,
}

/// The body of every HTTP error.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorAnswer {
    /// Stable code.
    pub code: String,
    /// For people.
    pub message: String,
}

/// The verifying keys that a marketplace or key node accepts, and the
/// reference string behind them: the file that `srs key` writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptedKeys {
    /// The reference string.
    pub srs: crate::SrsRef,
    /// The transcript of its ceremony; without one it is a dev string (CER-9).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceremony: Option<crate::Bytes>,
    /// The keys' bytes.
    pub keys: Vec<crate::Bytes>,
}
