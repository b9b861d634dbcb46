//! The node's append-only log of what it reveals in custodian-held custody
//! (KEY-4): JSON records in the frames that every log of a key node has.

use serde::{Deserialize, Serialize};
use std::path::Path;
use veilbourse_core::digest::Digest;
use veilbourse_documents::{
    Bytes, Delivery, Id, Key, NonDelivery, Nonce, Signed, SubmittedDigest, api::Deliver,
};
use veilbourse_ticket_store::{Folder, Format, Frames, LogError};

const FORMAT: Format = Format {
    magic: "VBNLOG02",
    chain: "veilbourse v1 node log",
    header: "veilbourse v1 node log header",
    // A sealed result of many rows fits.
    max_record: 96 << 20,
};

/// What the node remembers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case", deny_unknown_fields)]
pub enum Record {
    /// A policy of a dataset was seen: none that it replaces will be acted on (KEY-6).
    PolicySeen {
        /// D.
        dataset: Digest,
        /// The listing that the policy names.
        listing: Id,
        /// Its version there.
        policy_version: u32,
        /// Digest of the signed policy.
        digest: Digest,
        /// From when it is valid: the order between listings of one dataset.
        #[serde(with = "veilbourse_core::decimal")]
        valid_from: u64,
        /// Its signer, where others may deal the same dataset (KEY-9).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        custodian: Option<Key>,
        /// The dealings that it lists: no later one leaves any out (DOC-12).
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        dealings: Vec<Digest>,
    },
    /// Values were spent, before anything was decrypted (KEY-3).
    Spent {
        /// Digest of the order.
        order: Digest,
        /// Digest of the grant.
        grant: Digest,
        /// The order's nonce.
        nonce: Nonce,
        /// D.
        dataset: Digest,
        /// Values.
        #[serde(with = "veilbourse_core::decimal")]
        values: u64,
        /// Bits.
        #[serde(with = "veilbourse_core::decimal")]
        bits: u64,
        /// What may be decrypted for it, and nothing else.
        outputs: Vec<SubmittedDigest>,
        /// The policy's signer, where others may deal the same dataset (KEY-9).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        custodian: Option<Key>,
        /// The orders that it is opened with, itself among them, by quote: its
        /// mask shares go into their sum and nowhere else (OPN-9).
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        joint: Vec<Digest>,
    },
    /// The result was sealed and the delivery signed.
    Delivered {
        /// Digest of the order.
        order: Digest,
        /// The delivery.
        delivery: Box<Signed<Delivery>>,
        /// The sealed result, sent again when asked again.
        sealed_result: Bytes,
    },
    /// The node refused for good.
    Refused {
        /// Digest of the order.
        order: Digest,
        /// The signed refusal, sent again when asked again.
        refusal: Box<Signed<NonDelivery>>,
    },
    /// A dataset as a custodian deals it has a ticket store here (KEY-9): from now
    /// on one that is missing is not made anew.
    Served {
        /// D.
        dataset: Digest,
        /// Who deals it.
        custodian: Key,
    },
    /// A committee's node begins to open an order under this grant, and gives up
    /// what it has signed and not released of it under grants of a lower number
    /// (KEY-11).
    Begun {
        /// Digest of the order.
        order: Digest,
        /// Digest of the grant.
        grant: Digest,
        /// The grant's number.
        number: u32,
    },
    /// A committee's node opens nothing under this grant any more (KEY-11).
    GrantOver {
        /// Digest of the grant.
        grant: Digest,
        /// The signed refusal, sent again when asked again.
        refusal: Box<Signed<NonDelivery>>,
    },
    /// What a committee's node delivers of an order, or of a joint one: on disk
    /// before it leaves (KEY-11).
    Released {
        /// The first order's id at the marketplace.
        order_id: Id,
        /// All of it.
        deliver: Box<Deliver>,
        /// What was opened, an order each.
        requests: Vec<OpenedRequest>,
    },
    /// The marketplace has it, or will not take it any more.
    Handed {
        /// Digest of the first order.
        order: Digest,
    },
}

/// What a quorum opened of one order: enough to finish it with a member that
/// crashed (QRM-5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenedRequest {
    /// Whose store ([`crate::dealt_by`]).
    pub scope: Digest,
    /// The quorum.
    pub quorum: Vec<u8>,
    /// The dealing.
    pub dealing: Digest,
    /// Digest of the order.
    pub order: Digest,
    /// Digest of the grant.
    pub grant: Digest,
    /// Digest of the policy.
    pub policy: Digest,
    /// Each output's ciphertext, by digest, and how many values it has.
    pub outputs: Vec<(Digest, u32)>,
}

/// The open log.
#[derive(Debug)]
pub struct Log {
    disk: Folder,
    frames: Frames,
}

/// The folder that holds a file, and the file's name there.
fn split(path: &Path) -> Result<(Folder, &str), LogError> {
    let name = path.file_name().and_then(|n| n.to_str());
    let name = name.ok_or_else(|| {
        std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            format!("{} names no file", path.display()),
        )
    })?;
    Ok((Folder::new(path.parent().unwrap_or(Path::new("."))), name))
}

/// Errors name the whole path.
fn at(path: &Path) -> impl Fn(LogError) -> LogError {
    move |e| match e {
        LogError::Missing { .. } => LogError::Missing { path: path.into() },
        LogError::Exists { .. } => LogError::Exists { path: path.into() },
        other => other,
    }
}

impl Log {
    /// Makes an empty log (KEY-4): once, when the node is initialised. An empty
    /// one that is there already will do; one with records is never overwritten.
    pub fn create(path: &Path) -> Result<(), LogError> {
        let (mut disk, name) = split(path)?;
        Frames::create(&mut disk, name, FORMAT).map_err(at(path))
    }

    /// Opens a log; returns it with every record. A missing one is not made.
    pub fn open(path: &Path) -> Result<(Self, Vec<Record>), LogError> {
        let (mut disk, name) = split(path)?;
        let mut records = Vec::new();
        let frames = Frames::open(&mut disk, name, FORMAT, |bytes, _| {
            records.push(serde_json::from_slice(bytes).map_err(|e| e.to_string())?);
            Ok(())
        });
        let frames = frames.map_err(at(path))?;
        Ok((Self { disk, frames }, records))
    }

    /// Appends a record; it is on disk when this returns.
    pub fn append(&mut self, record: &Record) -> Result<(), LogError> {
        let bytes = serde_json::to_vec(record).map_err(std::io::Error::other)?;
        self.frames.append(&mut self.disk, &bytes)
    }

    /// Digest of the newest record, all zero before the first: it covers every
    /// record, so an operator who noted it sees whether any was lost since.
    pub fn head(&self) -> Digest {
        self.frames.head()
    }
}
