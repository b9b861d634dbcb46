//! The receipt (DOC-11, REC): everything needed to check an order offline, and
//! no private weight, no result, no secret key (REC-6).

use crate::{
    Bytes, Custody, Delivery, Document, EvaluationClass, Grant, Id, Opening, Order, Policy, Price,
    Quote, Signed, SrsProvenance, Submission, Work,
};
use serde::{Deserialize, Serialize};
use veilbourse_core::{digest::Digest, manifest::Manifest, program::Program};

/// Most bytes of a receipt.
pub const MAX_RECEIPT_BYTES: usize = 256 << 20;

/// How the decryption is backed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DecryptionClass {
    /// The custodian's key node says so.
    #[serde(rename = "custodian-attested")]
    CustodianAttested,
    /// Every node of a quorum says so; one honest node among them suffices.
    #[serde(rename = "committee-attested")]
    CommitteeAttested,
}

impl DecryptionClass {
    /// What a custody gives.
    pub const fn of(custody: Custody) -> Self {
        match custody {
            Custody::CustodianHeld => Self::CustodianAttested,
            Custody::Committee => Self::CommitteeAttested,
        }
    }
}

/// What the receipt claims; the verifier recomputes it (REC-1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assurance {
    /// Of the evaluation.
    pub evaluation: EvaluationClass,
    /// Of the decryption.
    pub decryption: DecryptionClass,
    /// Of the reference string.
    pub srs: SrsProvenance,
}

/// One output with its proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptOutput {
    /// A.
    pub ciphertext: Bytes,
    /// The proof envelope.
    pub envelope: Bytes,
}

/// How the money went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    /// The order's id at the marketplace.
    pub order_id: Id,
    /// The posted transfer.
    pub transfer: Id,
    /// Price and split.
    pub price: Price,
    /// When, milliseconds since the epoch.
    #[serde(with = "veilbourse_core::decimal")]
    pub at: u64,
}

/// The receipt's body, signed by the marketplace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Version of documents.
    pub version: u16,
    /// The marketplace's id.
    pub marketplace: Digest,
    /// The custodian's policy.
    pub policy: Signed<Policy>,
    /// The marketplace's quote.
    pub quote: Signed<Quote>,
    /// The buyer's order.
    pub order: Signed<Order>,
    /// The pod's submission.
    pub submission: Signed<Submission>,
    /// The marketplace's grant.
    pub grant: Signed<Grant>,
    /// What a quorum's nodes opened, by number; none in custodian-held custody.
    pub openings: Vec<Signed<Opening>>,
    /// What was delivered: by the quorum's nodes, by number, or by the one node.
    pub deliveries: Vec<Signed<Delivery>>,
    /// Everything that D covers.
    pub manifest: Manifest,
    /// The dataset's public key.
    pub public_key: Bytes,
    /// The circuits' verifying keys that the order names.
    pub verifying_keys: Vec<Bytes>,
    /// The transcript of the ceremony that the order's SRS names (CER-9).
    #[serde(deserialize_with = "Option::deserialize")] // null, but never left out
    pub ceremony: Option<Bytes>,
    /// Outputs in the program's order.
    pub outputs: Vec<ReceiptOutput>,
    /// What is claimed.
    pub assurance: Assurance,
    /// The arrows' bindings, in the order of [`crate::arrows`].
    pub arrows: Vec<String>,
    /// Metered work.
    pub work: Work,
    /// How the money went.
    pub settlement: Settlement,
}

impl Document for Receipt {
    const TYPE: &'static str = "receipt";
    const CONTEXT: &'static str = "veilbourse v1 document receipt";
    const LIMIT: usize = MAX_RECEIPT_BYTES;
    fn version(&self) -> u16 {
        self.version
    }
    fn marketplace(&self) -> Digest {
        self.marketplace
    }
}

impl Receipt {
    /// The arrows as receipts of a program list them (REC-2).
    pub fn arrow_lines(program: &Program, custody: Custody) -> Vec<String> {
        crate::arrows(program, custody)
            .iter()
            .map(|a| format!("{} -> {}: {}: {}", a.from, a.to, a.what, a.binding.name()))
            .collect()
    }
}
