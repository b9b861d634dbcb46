//! The facts of signed documents that decisions need (DOC-3..5). The documents
//! themselves stay as they were signed; who reads one fills in its terms.

use crate::{
    Millis, MinorUnits, Result, Split,
    id::{AccountId, ListingId, MachineId, Nonce, PublicKey, QuoteId},
};
use serde::{Deserialize, Serialize};
use veilbourse_core::digest::{Digest, Domain};

use veilbourse_documents::Policy;
pub use veilbourse_documents::{
    ClassTerms, Custody, DealingTerms, EvaluationClass, Opener, Openers, QueryKind, Tickets,
};

/// What a signed policy allows (DOC-3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyTerms {
    /// The listing.
    pub listing: ListingId,
    /// The dataset root D.
    pub dataset: Digest,
    /// Counts up from 1.
    pub version: u32,
    /// Who opens.
    pub openers: Openers,
    /// Opening tickets, in committee custody (DOC-12).
    pub tickets: Option<Tickets>,
    /// Query kinds allowed.
    pub kinds: Vec<QueryKind>,
    /// Fewest rows in a touched segment.
    pub min_cohort: u64,
    /// Values that may ever be revealed.
    pub quota_values: u64,
    /// Bits that may ever be revealed.
    pub quota_bits: u64,
    /// Price of an order.
    pub price_order: MinorUnits,
    /// Price of each output value on top.
    pub price_output: MinorUnits,
    /// Least evaluation class.
    pub min_class: EvaluationClass,
    /// Not before.
    pub valid_from: Millis,
}

impl PolicyTerms {
    /// Of a policy whose signature was checked.
    pub fn of(p: &Policy) -> Result<Self> {
        Ok(Self {
            listing: p.listing.as_str().parse()?,
            dataset: p.dataset,
            version: p.policy_version,
            openers: p.openers.clone(),
            tickets: p.tickets.clone(),
            kinds: p.kinds.clone(),
            min_cohort: p.min_cohort,
            quota_values: p.quota_values,
            quota_bits: p.quota_bits,
            price_order: MinorUnits::new(p.price_order)?,
            price_output: MinorUnits::new(p.price_output)?,
            min_class: p.min_class,
            valid_from: p.valid_from,
        })
    }
}

/// What the marketplace offered (DOC-4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuoteTerms {
    /// The quote's id here.
    pub id: QuoteId,
    /// The digest of the signed quote.
    pub digest: Digest,
    /// The marketplace.
    pub marketplace: Digest,
    /// The listing.
    pub listing: ListingId,
    /// The dataset root D.
    pub dataset: Digest,
    /// The digest of the signed policy.
    pub policy: Digest,
    /// Its version.
    pub policy_version: u32,
    /// The program's public shape.
    pub program: Digest,
    /// The pod.
    pub pod: MachineId,
    /// The pod operator's account, which is paid.
    pub pod_operator: AccountId,
    /// The price.
    pub price: MinorUnits,
    /// Its exact split (SET-4).
    pub split: Split,
    /// The verifying key of the proof system.
    pub verifying_key: Digest,
    /// The structured reference string.
    pub srs: Digest,
    /// Who opens.
    pub openers: Openers,
    /// The class of tickets, in committee custody.
    pub ticket_class: Option<Digest>,
    /// The class of evaluation offered.
    pub class: EvaluationClass,
    /// Seconds that it is expected to take.
    pub expected_seconds: u64,
    /// Not after.
    pub expiry: Millis,
}

/// What the buyer signed (DOC-5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderTerms {
    /// The digest of the signed order.
    pub digest: Digest,
    /// The marketplace.
    pub marketplace: Digest,
    /// The digest of the quote.
    pub quote: Digest,
    /// The key that signed.
    pub signer: PublicKey,
    /// The listing.
    pub listing: ListingId,
    /// The dataset root D.
    pub dataset: Digest,
    /// The policy version.
    pub policy_version: u32,
    /// The program's public shape.
    pub program: Digest,
    /// The pod.
    pub pod: MachineId,
    /// The price.
    pub price: MinorUnits,
    /// The verifying key accepted.
    pub verifying_key: Digest,
    /// The SRS accepted.
    pub srs: Digest,
    /// Openers accepted.
    pub openers: Openers,
    /// Ticket class accepted.
    pub ticket_class: Option<Digest>,
    /// Quotes of the joint order, its own among them; empty for an order by itself.
    pub joint: Vec<Digest>,
    /// Digest of the key that the result is sealed to.
    pub result_key: Digest,
    /// Least evaluation class.
    pub min_class: EvaluationClass,
    /// Unique.
    pub nonce: Nonce,
    /// When it is over.
    pub deadline: Millis,
}

impl OrderTerms {
    /// Whether a committee opens.
    pub fn by_committee(&self) -> bool {
        self.openers.custody() == Custody::Committee
    }
    /// The node's key, in custodian-held custody.
    pub fn node_key(&self) -> Option<PublicKey> {
        match &self.openers {
            Openers::CustodianHeld { node_key } => Some(PublicKey(node_key.0)),
            Openers::Committee { .. } => None,
        }
    }
    /// Names the joint order that this is a part of: the buyer's with these quotes.
    pub fn group(&self, buyer: AccountId) -> Option<Digest> {
        if self.joint.is_empty() {
            return None;
        }
        let mut text = buyer.to_string().into_bytes();
        text.extend(self.joint.iter().flat_map(|q| q.0));
        Some(Digest::of(
            Domain::Other("veilbourse v1 joint order"),
            &text,
        ))
    }
}
