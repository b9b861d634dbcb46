//! Why a receipt is refused: the first rule that failed (REC-4).

use thiserror::Error;
use veilbourse_core::{digest::Digest, wire::WireError};
use veilbourse_documents::{DemandError, DocumentError, Key};
use veilbourse_verifier::{Refusal, ceremony::CeremonyRefusal};

/// A refusal of a receipt.
#[derive(Debug, Error, Clone, PartialEq)]
pub enum ReceiptRefusal {
    /// The file could not be read.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: String,
        /// Why.
        reason: String,
    },
    /// A document's form, signature or link (DOC-1..9).
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Of another marketplace than expected (DOC-2).
    #[error("the receipt is of marketplace {found}, expected {expected}")]
    Marketplace {
        /// Expected.
        expected: Digest,
        /// Found.
        found: Digest,
    },
    /// The manifest breaks its own rules (DS-5).
    #[error("manifest: {0}")]
    Manifest(WireError),
    /// The manifest is not of the ordered dataset (DS-5).
    #[error("the manifest has root {found}, the order names {expected}")]
    Dataset {
        /// D of the order.
        expected: Digest,
        /// Root of the manifest.
        found: Digest,
    },
    /// The program is not allowed (ORD-4).
    #[error("program: {0}")]
    Demand(#[from] DemandError),
    /// The delivery opened another number of values than the program has.
    #[error("the delivery opened {found} values, the program has {expected}")]
    Values {
        /// Of the program.
        expected: u64,
        /// Of the delivery.
        found: u64,
    },
    /// Not an opening or a delivery of every node that the grant lets open, or
    /// one too many (REC-7).
    #[error("{found} documents of type {what}, the grant's nodes sign {expected}")]
    Nodes {
        /// Opening or delivery.
        what: &'static str,
        /// By the grant.
        expected: usize,
        /// In the receipt.
        found: usize,
    },
    /// An opening or a delivery in another node's place (REC-7).
    #[error("{what} by {found} in the place of node {expected}")]
    Place {
        /// Opening or delivery.
        what: &'static str,
        /// Whose place it is.
        expected: Key,
        /// Who signed.
        found: Key,
    },
    /// A node that signed another opening than the first (DOC-13).
    #[error("node {node} signed another opening than the first node")]
    OpeningDiffers {
        /// Which.
        node: Key,
    },
    /// No class of tickets that the policy offers (DOC-12).
    #[error("the order's class of tickets is not one that the policy offers")]
    Class,
    /// Tickets that the dealing does not have (TKT-5).
    #[error("tickets {first}..{end} were spent, the dealing has {from}..{to}")]
    Tickets {
        /// First spent.
        first: u64,
        /// After the last.
        end: u64,
        /// First dealt.
        from: u64,
        /// After the last.
        to: u64,
    },
    /// A result's files are not what the receipt shows (REC-5).
    #[error("{what}: {reason}")]
    Result {
        /// Which part.
        what: String,
        /// Why.
        reason: String,
    },
    /// The public key's bytes (DS-6).
    #[error("public key: {0}")]
    PublicKey(WireError),
    /// The verifying keys are not the right ones (LES-8).
    #[error("verifying keys: {reason}")]
    VerifyingKeys {
        /// Why.
        reason: String,
    },
    /// The ceremony claimed is not the one shown, or none is (CER-9).
    #[error("ceremony: {0}")]
    Ceremony(#[from] CeremonyRefusal),
    /// Another number of outputs.
    #[error("{found} outputs, the program has {expected}")]
    Outputs {
        /// Of the program.
        expected: usize,
        /// Of the receipt.
        found: usize,
    },
    /// An output ciphertext's bytes.
    #[error("output ciphertext: {0}")]
    Ciphertext(WireError),
    /// An output that is not the submitted one (DOC-7).
    #[error("output {index}: {what} has digest {found}, the submission names {expected}")]
    OutputDigest {
        /// Which.
        index: u32,
        /// Ciphertext or envelope.
        what: &'static str,
        /// Submitted.
        expected: Digest,
        /// Found.
        found: Digest,
    },
    /// A proof does not verify (LES).
    #[error("output {index}: {refusal}")]
    Proof {
        /// Which.
        index: u32,
        /// Why.
        refusal: Refusal,
    },
    /// The verifier refused something else than an output's proof: the public
    /// key (DS-6) or a circuit's key (LES-8).
    #[error(transparent)]
    Verifier(#[from] Refusal),
    /// The receipt claims something else than what was recomputed (REC-1).
    #[error("{field} is not what the documents and proofs show")]
    Claim {
        /// The claim.
        field: &'static str,
    },
}

impl ReceiptRefusal {
    /// The rule that failed.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::File { .. } => "FILE",
            Self::Document(_) => "DOC-1",
            Self::Marketplace { .. } => "DOC-2",
            Self::Manifest(_) | Self::Dataset { .. } => "DS-5",
            Self::Demand(_) => "ORD-4",
            Self::Values { .. } => "DOC-9",
            Self::Nodes { .. } | Self::Place { .. } => "REC-7",
            Self::OpeningDiffers { .. } => "DOC-13",
            Self::Class => "DOC-12",
            Self::Tickets { .. } => "TKT-5",
            Self::Result { .. } => "REC-5",
            Self::PublicKey(_) | Self::Verifier(Refusal::PublicKey { .. }) => "DS-6",
            Self::VerifyingKeys { .. } | Self::Verifier(Refusal::Circuit(_)) => "LES-8",
            Self::Ceremony(_) => "CER-9",
            Self::Outputs { .. } | Self::Ciphertext(_) | Self::OutputDigest { .. } => "DOC-7",
            Self::Proof { .. } | Self::Verifier(_) => "LES-4",
            Self::Claim { .. } => "REC-1",
        }
    }
}
