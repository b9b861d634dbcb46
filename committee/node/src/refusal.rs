//! Why the gate stays shut: a variant and a stable code for each rule (KEY-2,
//! KEY-8, ORD-8).

use thiserror::Error;
use veilbourse_core::{digest::Digest, wire::WireError};
use veilbourse_documents::{DemandError, DocumentError, Id};
use veilbourse_verifier::Refusal;

macro_rules! refusals {
    ($($(#[doc = $doc:literal])+ $name:ident $({ $($field:ident : $ty:ty),* })? => $code:literal, $message:literal;)*) => {
        /// Why the gate stays shut.
        #[derive(Debug, Error, Clone, PartialEq)]
        pub enum GateRefusal {
            $($(#[doc = $doc])+ #[error($message)] $name $({ $(#[doc = "Named in the message."] $field: $ty),* })?,)*
        }
        impl GateRefusal {
            /// The stable code that a non-delivery carries.
            pub fn code(&self) -> &'static str {
                match self { $(Self::$name $({ $($field: _),* })? => $code,)* }
            }
        }
    };
}

refusals! {
    /// Form, signature or link of a document.
    Document { cause: DocumentError } => "DOCUMENT", "{cause}";
    /// A dataset whose key is not here.
    DatasetUnknown { dataset: Digest } => "DATASET_UNKNOWN", "this node holds no key of dataset {dataset}";
    /// The policy is not signed by the custodian pinned here.
    CustodianKey { expected: String, found: String } => "CUSTODIAN_KEY", "policy signed by {found}, the custodian pinned here is {expected}";
    /// Not one of the custodians that the operator lists (KEY-9).
    CustodianUnlisted { found: String } => "CUSTODIAN_KEY", "policy signed by {found}, whom this node's operator does not list";
    /// Older than one seen before.
    PolicyOld { seen: u32, found: u32 } => "POLICY_OLD", "policy version {found}, version {seen} was seen before";
    /// The custodian signed another one of the same version.
    PolicyConflict { version: u32 } => "POLICY_CONFLICT", "another policy of version {version} was seen before";
    /// Another listing of the dataset has a newer policy.
    PolicyReplaced { listing: Id, seen: u64, found: u64 } => "POLICY_OLD", "policy valid from {found}, one of listing {listing} valid from {seen} was seen before";
    /// A later policy that leaves out a dealing (DOC-12).
    DealingLeftOut { dealing: Digest } => "DEALING_LEFT_OUT", "dealing {dealing} was listed before and is not any more";
    /// Not valid yet.
    PolicyEarly { valid_from: u64, now: u64 } => "POLICY_EARLY", "policy is valid from {valid_from} (now {now})";
    /// The manifest breaks its own rules.
    Manifest { cause: WireError } => "MANIFEST", "manifest: {cause}";
    /// The manifest is of another dataset.
    ManifestRoot { expected: Digest, found: Digest } => "MANIFEST_ROOT", "the manifest has root {found}, the order names {expected}";
    /// Another node is named.
    NodeKey { found: String } => "NODE_KEY", "the order is for {found}, not for this node alone";
    /// Another committee than this node's (KEY-8).
    Committee { expected: String, found: String } => "COMMITTEE", "the openers are {found}; this node belongs to {expected}";
    /// A quorum without this node.
    Quorum { found: String, own: u8 } => "QUORUM", "the grant is for quorum {found}, this is node {own}";
    /// The granted dealing does not serve here.
    Dealing { dealing: Digest, reason: String } => "DEALING", "dealing {dealing}: {reason}";
    /// Fewer tickets left than values to open.
    Tickets { dealing: Digest, left: u64, needed: u64 } => "TICKETS", "dealing {dealing}: {left} tickets left, needed {needed}";
    /// The outputs do not fit their ticket class (OPN-5).
    TicketClass { cause: DemandError } => "TICKET_CLASS", "ticket class: {cause}";
    /// A class that the policy does not offer, or of other values than it says.
    ClassUnknown { class: String } => "TICKET_CLASS", "ticket class {class} is not offered";
    /// The orders are no joint order (ORD-8).
    Joint { reason: String } => "JOINT", "joint order: {reason}";
    /// The grant is over.
    GrantExpired { expires: u64, now: u64 } => "GRANT_EXPIRED", "the grant expired at {expires} (now {now})";
    /// The nonce was spent for another order.
    NonceReplayed { order: Digest } => "NONCE_REPLAYED", "the nonce was spent for order {order}";
    /// Another grant or other outputs than the values were spent for.
    SecondOpening => "SECOND_OPENING", "this order was spent for another grant or other outputs";
    /// An opening was begun under a later grant (KEY-11).
    GrantReplaced { seen: u32, found: u32 } => "GRANT_REPLACED", "grant {found} of the order, an opening was begun under grant {seen}";
    /// Query kind, cohort, conformance or budget.
    Program { cause: DemandError } => "PROGRAM", "program: {cause}";
    /// A result key that nothing can be sealed to.
    ResultKey => "RESULT_KEY", "nothing can be sealed to the order's result key";
    /// Not the price that the custodian's policy asks.
    Price { expected: i64, found: i64 } => "PRICE", "quoted at {found} minor units, the policy asks {expected}";
    /// Beyond the policy's quota, by this node's own count.
    Quota { what: &'static str, left: u64, needed: u64 } => "QUOTA", "{what} left {left}, needed {needed}";
    /// A reference string that this node does not accept.
    SrsNotAccepted { found: Digest } => "SRS_NOT_ACCEPTED", "SRS {found} is not accepted here";
    /// A local reference string, where this node wants a ceremony.
    SrsDev => "SRS_DEV", "a dev SRS is refused here";
    /// A verifying key that this node does not accept, or not what the program needs.
    VerifyingKey { reason: String } => "VERIFYING_KEY", "verifying keys: {reason}";
    /// The public key.
    PublicKey { reason: String } => "PUBLIC_KEY", "public key: {reason}";
    /// Another number of outputs than granted.
    OutputCount { expected: usize, found: usize } => "OUTPUT_COUNT", "{found} outputs, granted {expected}";
    /// More outputs than a program can have.
    OutputLimit { limit: usize, found: usize } => "OUTPUT_COUNT", "{found} outputs, a program has at most {limit}";
    /// A ciphertext or envelope that is not the granted one.
    OutputDigest { index: u32, what: &'static str } => "OUTPUT_DIGEST", "output {index}: the {what} is not the granted one";
    /// A proof does not verify.
    Proof { index: u32, cause: Refusal } => "PROOF", "output {index}: {cause}";
    /// A value outside its proven range: never within the budget.
    Decryption { reason: String } => "DECRYPTION", "decryption: {reason}";
    /// Under this grant a refusal was signed before, of this or another order.
    GrantOver { code: String } => "GRANT_OVER", "an order of this grant was refused: {code}";
}

impl From<DocumentError> for GateRefusal {
    fn from(cause: DocumentError) -> Self {
        Self::Document { cause }
    }
}

impl GateRefusal {
    /// Refused for a policy that was replaced meanwhile, or by the clock.
    pub(crate) fn is_of_time(&self) -> bool {
        matches!(
            self,
            Self::PolicyOld { .. }
                | Self::PolicyConflict { .. }
                | Self::PolicyReplaced { .. }
                | Self::PolicyEarly { .. }
        )
    }
}
