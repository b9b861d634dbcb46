//! The node's append-only log (KEY-4).
//!
//! One file: magic, then frames `length u32 | check | record | chain digest`,
//! where the chain digest is over the one before and the record, and the check
//! is over the one before and the length: a damaged length must not pass for a
//! frame that reaches beyond the end, or all that follows would be forgotten as
//! torn. A torn last frame is cut off when the file is opened; anything damaged
//! before it refuses to start. An append has been synced to disk when it returns.

use serde::{Deserialize, Serialize};
use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};
use thiserror::Error;
use veilbourse_core::{
    digest::{Digest, Domain},
    wire::Writer,
};
use veilbourse_documents::{Bytes, Delivery, Id, NonDelivery, Nonce, Signed, SubmittedDigest};

const MAGIC: &[u8; 8] = b"VBNLOG02";
/// Most bytes of a record: a sealed result of many rows fits.
const MAX_RECORD: u32 = 96 << 20;
/// Bytes of a frame's length and of its check.
const HEADER: usize = 8;

/// Why the log cannot be used.
#[derive(Debug, Error)]
pub enum LogError {
    /// The disk failed.
    #[error("node log: {0}")]
    Io(#[from] std::io::Error),
    /// Not a log, or of another version.
    #[error("node log: not a log of this version (it should begin with VBNLOG02)")]
    Magic,
    /// A node that was initialised has a log: without it counts and nonces would
    /// begin at zero.
    #[error(
        "node log: {} is missing: it is made once, when the node is initialised, and without it \
         the node would forget what it revealed",
        path.display()
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// Asked to make a log where one with records is.
    #[error("node log: {} holds records already", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// Damaged before its end: refuse to start rather than forget what was revealed.
    #[error("node log: damaged at byte {offset}: {reason}")]
    Damaged {
        /// Where the frame begins.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// A record that is too large to be written.
    #[error("node log: record of {value} bytes exceeds {limit}")]
    TooLarge {
        /// The limit.
        limit: u64,
        /// The size.
        value: u64,
    },
}

/// What the node remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// The open log.
#[derive(Debug)]
pub struct Log {
    file: File,
    head: Digest,
    end: u64,
}

fn chain(previous: &Digest, record: &[u8]) -> Digest {
    let mut w = Writer::new();
    w.raw(&previous.0).bytes(record);
    Digest::of(Domain::Other("veilbourse v1 node log"), &w.finish())
}

/// The first bytes of a frame.
fn header(previous: &Digest, length: u32) -> [u8; HEADER] {
    let length = length.to_le_bytes();
    let mut w = Writer::new();
    w.raw(&previous.0).raw(&length);
    let check = Digest::of(Domain::Other("veilbourse v1 node log header"), &w.finish());
    let mut out = [0; HEADER];
    for (o, b) in out.iter_mut().zip(length.iter().chain(&check.0)) {
        *o = *b;
    }
    out
}

/// The folder that holds a file.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    }
}

impl Log {
    /// Makes an empty log (KEY-4): once, when the node is initialised. An empty
    /// one that is there already will do; one with records is never overwritten.
    pub fn create(path: &Path) -> Result<(), LogError> {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        match Self::open(path)? {
            (_, records) if records.is_empty() => Ok(()),
            _ => Err(LogError::Exists { path: path.into() }),
        }
    }

    /// Opens a log; returns it with every record. A missing one is not made.
    pub fn open(path: &Path) -> Result<(Self, Vec<Record>), LogError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|e| match e.kind() {
                ErrorKind::NotFound => LogError::Missing { path: path.into() },
                _ => LogError::Io(e),
            })?;
        // One node at a time: two would each spend what the other does not see.
        file.try_lock()
            .map_err(|e| std::io::Error::other(format!("locked: {e}")))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        if bytes.len() < MAGIC.len() && MAGIC.starts_with(&bytes) {
            // Torn while it was made: nothing was ever recorded.
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(MAGIC)?;
            bytes = MAGIC.to_vec();
        }
        let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
            return Err(LogError::Magic);
        };
        let mut log = Self {
            file,
            head: Digest::default(),
            end: MAGIC.len() as u64,
        };
        let mut records = Vec::new();
        while !rest.is_empty() {
            let Some((frame, record)) = log.frame(rest)? else {
                break;
            };
            records.push(record);
            rest = rest.get(frame..).unwrap_or_default();
            log.end += frame as u64;
        }
        log.file.set_len(log.end)?;
        log.file.sync_all()?;
        // Its name too: whoever made it may have died before that was on disk.
        File::open(parent(path))?.sync_all()?;
        Ok((log, records))
    }

    /// One frame, or nothing when it is torn: it reaches beyond the end of the
    /// file, or it is the last and its digest is not there yet.
    fn frame(&mut self, rest: &[u8]) -> Result<Option<(usize, Record)>, LogError> {
        let damaged = |reason: String| LogError::Damaged {
            offset: self.end,
            reason,
        };
        let Some((found, after)) = rest.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let [a, b, c, d, ..] = *found;
        let length = u32::from_le_bytes([a, b, c, d]);
        if header(&self.head, length) != *found {
            return Err(damaged("the check of the length differs".into()));
        }
        if length > MAX_RECORD {
            return Err(damaged(format!("record of {length} bytes")));
        }
        let Some((record, after)) = after.split_at_checked(length as usize) else {
            return Ok(None);
        };
        let Some((digest, after)) = after.split_first_chunk::<32>() else {
            return Ok(None);
        };
        let expected = chain(&self.head, record);
        if expected.0 != *digest {
            // A last frame whose pages reached the disk out of order is torn too.
            if after.is_empty() {
                return Ok(None);
            }
            return Err(damaged("chain digest differs".into()));
        }
        let parsed = serde_json::from_slice(record).map_err(|e| damaged(e.to_string()))?;
        self.head = expected;
        Ok(Some((HEADER + record.len() + 32, parsed)))
    }

    /// Appends a record; it is on disk when this returns.
    pub fn append(&mut self, record: &Record) -> Result<(), LogError> {
        let bytes = serde_json::to_vec(record).map_err(std::io::Error::other)?;
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        if length > MAX_RECORD {
            return Err(LogError::TooLarge {
                limit: u64::from(MAX_RECORD),
                value: bytes.len() as u64,
            });
        }
        let digest = chain(&self.head, &bytes);
        let mut frame = header(&self.head, length).to_vec();
        frame.extend(bytes);
        frame.extend(digest.0);
        if let Err(e) = self.write(&frame) {
            // Part of it may be there: a shorter record in its place would leave
            // a tail that reads as damage.
            let _ = self.file.set_len(self.end);
            return Err(e.into());
        }
        self.end += frame.len() as u64;
        self.head = digest;
        Ok(())
    }

    fn write(&mut self, frame: &[u8]) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(frame)?;
        self.file.sync_all()
    }

    /// Digest of the newest record, all zero before the first: it covers every
    /// record, so an operator who noted it sees whether any was lost since.
    pub fn head(&self) -> Digest {
        self.head
    }
}
