//! The bodies of signed documents (DOC-3..9).

use crate::{
    Bytes, Document, DocumentError, EvaluationClass, Id, Key, Nonce, Opener, Openers, QueryKind,
    SignatureText, Tickets, checks::Checked,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use veilbourse_core::{digest::Digest, program::Program};

macro_rules! documents {
    ($($(#[doc = $doc:literal])+ $name:ident $text:literal { $($(#[$fm:meta])+ $field:ident : $ty:ty),* $(,)? })*) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// [`crate::DOCUMENT_VERSION`].
            pub version: u16,
            /// The marketplace's id.
            pub marketplace: Digest,
            $($(#[$fm])+ pub $field: $ty,)*
        }

        impl Document for $name {
            const TYPE: &'static str = $text;
            const CONTEXT: &'static str = concat!("veilbourse v1 document ", $text);
            fn version(&self) -> u16 {
                self.version
            }
            fn marketplace(&self) -> Digest {
                self.marketplace
            }
            fn check(&self) -> Result<(), DocumentError> {
                Checked::check(self)
            }
        }
    )*};
}

/// A price with its exact split (SET-4), minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// What the buyer pays.
    #[serde(with = "veilbourse_core::decimal")]
    pub total: i64,
    /// The marketplace's part.
    #[serde(with = "veilbourse_core::decimal")]
    pub fee: i64,
    /// The pod operator's part.
    #[serde(with = "veilbourse_core::decimal")]
    pub pod: i64,
    /// The custodian's part: the rest.
    #[serde(with = "veilbourse_core::decimal")]
    pub custodian: i64,
}

/// The pod that a quote names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PodRef {
    /// Its machine id.
    pub id: Id,
    /// The key it signs submissions with.
    pub signing_key: Key,
    /// The key that models are sealed to (X-Wing).
    pub sealing_key: Bytes,
    /// The pod's own signature of it, from its [`MachineRegistration`]: whoever
    /// makes the quote cannot put a key of its own in its place.
    pub sealing_signature: SignatureText,
}

/// Where a structured reference string comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SrsProvenance {
    /// Made on one machine, whose owner could keep the trapdoor.
    Dev,
    /// By a ceremony. Whoever relies on it checks the transcript, which accepted
    /// keys and receipts carry (CER-9).
    Ceremony {
        /// Digest of its transcript.
        transcript: Digest,
        /// Contributions in it, each under a key of its own.
        contributors: u32,
    },
}

impl SrsProvenance {
    /// The name in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Ceremony { .. } => "ceremony",
        }
    }

    /// Transcript and number of contributors, where it is a ceremony.
    pub const fn ceremony(self) -> Option<(Digest, u32)> {
        match self {
            Self::Dev => None,
            Self::Ceremony {
                transcript,
                contributors,
            } => Some((transcript, contributors)),
        }
    }
}

impl fmt::Display for SrsProvenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dev => f.write_str("dev"),
            Self::Ceremony {
                transcript,
                contributors,
            } => write!(f, "ceremony {transcript}, {contributors} contributors"),
        }
    }
}

/// A structured reference string.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SrsRef {
    /// Its digest.
    pub digest: Digest,
    /// Where it comes from.
    pub provenance: SrsProvenance,
}

/// Metered work of a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Work {
    /// Encrypted values weighted (columns times ring coefficients).
    #[serde(with = "veilbourse_core::decimal")]
    pub weighted_values: u64,
    /// Rows of the circuits proven.
    #[serde(with = "veilbourse_core::decimal")]
    pub constraints: u64,
    /// Programmable bootstraps: none in linear programs.
    #[serde(with = "veilbourse_core::decimal")]
    pub bootstraps: u64,
    /// Bytes of ciphertexts and envelopes.
    #[serde(with = "veilbourse_core::decimal")]
    pub bytes: u64,
}

/// One output of a submission, by digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmittedDigest {
    /// Digest of A.
    pub ciphertext: Digest,
    /// Digest of the proof envelope.
    pub envelope: Digest,
}

/// One output of a grant: the same, under the marketplace's signature.
pub type GrantedOutput = SubmittedDigest;

documents! {
    /// What a custodian allows (DOC-3).
    Policy "policy" {
        /// The listing.
        listing: Id,
        /// The dataset root D.
        dataset: Digest,
        /// Counts up from 1.
        policy_version: u32,
        /// Who may open.
        openers: Openers,
        /// Opening tickets: with a committee, and only then.
        #[serde(deserialize_with = "Option::deserialize")] // null, but never left out
        tickets: Option<Tickets>,
        /// Query kinds allowed, sorted.
        kinds: Vec<QueryKind>,
        /// Fewest rows in a touched segment.
        #[serde(with = "veilbourse_core::decimal")]
        min_cohort: u64,
        /// Values that may ever be revealed.
        #[serde(with = "veilbourse_core::decimal")]
        quota_values: u64,
        /// Bits that may ever be revealed.
        #[serde(with = "veilbourse_core::decimal")]
        quota_bits: u64,
        /// Price of an order, minor units.
        #[serde(with = "veilbourse_core::decimal")]
        price_order: i64,
        /// Price of each output value on top.
        #[serde(with = "veilbourse_core::decimal")]
        price_output: i64,
        /// Least part of the price that is the custodian's, in basis points.
        custodian_basis_points: u32,
        /// Least evaluation class.
        min_class: EvaluationClass,
        /// Not before, milliseconds since the epoch.
        #[serde(with = "veilbourse_core::decimal")]
        valid_from: u64,
    }
    /// What the marketplace offers (DOC-4).
    Quote "quote" {
        /// The quote's id.
        id: Id,
        /// The listing.
        listing: Id,
        /// The dataset root D.
        dataset: Digest,
        /// The digest of the signed policy.
        policy: Digest,
        /// Its version.
        policy_version: u32,
        /// The program's public shape.
        program: Digest,
        /// The pod.
        pod: PodRef,
        /// The price and its split.
        price: Price,
        /// Digests of the verifying keys that the program's private outputs need.
        verifying_keys: Vec<Digest>,
        /// The structured reference string behind them.
        srs: SrsRef,
        /// Who opens.
        openers: Openers,
        /// The class of tickets that the results are opened under.
        #[serde(deserialize_with = "Option::deserialize")]
        ticket_class: Option<Digest>,
        /// The class of evaluation offered.
        class: EvaluationClass,
        /// Seconds that it is expected to take.
        expected_seconds: u32,
        /// Not after, milliseconds since the epoch.
        #[serde(with = "veilbourse_core::decimal")]
        expiry: u64,
    }
    /// What a buyer orders (DOC-5).
    Order "order" {
        /// The digest of the signed quote.
        quote: Digest,
        /// The listing.
        listing: Id,
        /// The dataset root D.
        dataset: Digest,
        /// The policy version.
        policy_version: u32,
        /// The program in its public shape, with the commitments M.
        program: Program,
        /// The pod's id.
        pod: Id,
        /// The pod's signing key.
        pod_key: Key,
        /// Openers accepted.
        openers: Openers,
        /// Ticket class accepted.
        #[serde(deserialize_with = "Option::deserialize")]
        ticket_class: Option<Digest>,
        /// Digests of all quotes of a joint order, ascending, this order's among
        /// them; empty for an order by itself (OPN-9).
        joint: Vec<Digest>,
        /// Least evaluation class.
        min_class: EvaluationClass,
        /// Verifying keys accepted.
        verifying_keys: Vec<Digest>,
        /// SRS accepted.
        srs: SrsRef,
        /// The price, minor units.
        #[serde(with = "veilbourse_core::decimal")]
        price: i64,
        /// The key that the result is sealed to: fresh for every order.
        result_key: Bytes,
        /// Unique at server and node.
        nonce: Nonce,
        /// When it is over, milliseconds since the epoch.
        #[serde(with = "veilbourse_core::decimal")]
        deadline: u64,
        /// Digest of the model sealed to the pod, where a vector is private.
        sealed_model: Option<Digest>,
    }
    /// What a pod hands in (DOC-7).
    Submission "submission" {
        /// The digest of the signed order.
        order: Digest,
        /// The outputs, in the program's order.
        outputs: Vec<SubmittedDigest>,
        /// Metered work.
        work: Work,
    }
    /// What lets key nodes open (DOC-8).
    Grant "grant" {
        /// The digest of the signed order.
        order: Digest,
        /// The digest of the signed policy.
        policy: Digest,
        /// The digest of the signed submission.
        submission: Digest,
        /// The outputs, in the program's order.
        outputs: Vec<GrantedOutput>,
        /// Counts the grants of an order from 0: each for another quorum.
        number: u32,
        /// Who opens under it.
        opener: Opener,
        /// When it expires: before the order's deadline.
        #[serde(with = "veilbourse_core::decimal")]
        expires: u64,
    }
    /// What a quorum opened (DOC-13): each member signs the same.
    Opening "opening" {
        /// The digest of the signed order.
        order: Digest,
        /// The digest of the signed grant.
        grant: Digest,
        /// The session's digest (OPN-4).
        session: Digest,
        /// Which attempt of the order in this quorum.
        attempt: u32,
        /// The first ticket spent.
        #[serde(with = "veilbourse_core::decimal")]
        first_ticket: u64,
        /// Values, and tickets spent for them.
        #[serde(with = "veilbourse_core::decimal")]
        values: u64,
        /// Digest of the opened words y (OPN-3).
        opened: Digest,
    }
    /// What a key node delivered (DOC-9).
    Delivery "delivery" {
        /// The digest of the signed order.
        order: Digest,
        /// The digest of the signed grant.
        grant: Digest,
        /// The session whose masks it delivers; none in custodian-held custody.
        #[serde(deserialize_with = "Option::deserialize")]
        session: Option<Digest>,
        /// Digest of the result, or of the masks, sealed to the buyer.
        sealed_result: Digest,
        /// Values revealed by this order.
        #[serde(with = "veilbourse_core::decimal")]
        values: u64,
        /// Values the node had revealed of the dataset before.
        #[serde(with = "veilbourse_core::decimal")]
        counter_before: u64,
        /// And after.
        #[serde(with = "veilbourse_core::decimal")]
        counter_after: u64,
    }
    /// Why a key node did not deliver (DOC-9).
    NonDelivery "non-delivery" {
        /// The digest of the signed order.
        order: Digest,
        /// The digest of the signed grant.
        grant: Digest,
        /// Stable code of the refusal.
        code: String,
        /// The refusal in words.
        reason: String,
        /// Whether anything was revealed: then the buyer owes.
        revealed: bool,
    }
    /// A machine asks for a token (POD, KEY).
    MachineLogin "machine-login" {
        /// The machine's id.
        machine: Id,
        /// Now, milliseconds since the epoch.
        #[serde(with = "veilbourse_core::decimal")]
        time: u64,
        /// Used once.
        nonce: Nonce,
    }
    /// A key node checked a dealing and will open under it (DOC-14).
    DealingAccepted "dealing-accepted" {
        /// The dataset root D.
        dataset: Digest,
        /// The digest of the announced dealing.
        dealing: Digest,
    }
    /// A key node will not open, or no longer, under a dealing (DOC-14).
    DealingRefused "dealing-refused" {
        /// The dataset root D.
        dataset: Digest,
        /// The digest of the announced dealing.
        dealing: Digest,
        /// Stable code.
        code: String,
        /// In words.
        reason: String,
    }
    /// Possession of a machine's signing key, and what is sealed to it: a pod's
    /// models, a committee node's shares (POD-5).
    MachineRegistration "machine-registration" {
        /// X-Wing public key; none at a custodian's key node.
        sealing_key: Option<Bytes>,
    }
    /// Possession of a signing key, for an account (ACC-7).
    KeyRegistration "key-registration" {
        /// The account's id.
        account: Id,
    }
}
