//! An append-only file of records (KEY-4, CST-1), for every log of a key node.
//!
//! One file: magic, then frames `length u32 | check | record | chain digest`,
//! where the chain digest is over the one before and the record, and the check
//! is over the one before and the length: a damaged length must not pass for a
//! frame that reaches beyond the end, or all that follows would be forgotten as
//! torn. A torn last frame (its beginning, zeros or nothing after it; or sectors
//! of it, zeros in the place of others) is cut off when the file is opened;
//! anything damaged before it refuses to start, and so does a last frame that is
//! all there and was altered. An append has been synced to disk when it returns.

use crate::disk::Disk;
use std::path::PathBuf;
use thiserror::Error;
use veilbourse_core::{
    digest::{Digest, Domain},
    wire::Writer,
};

/// Bytes of a frame's length and of its check.
const HEADER: usize = 8;
/// Bytes of the chain digest.
const CHAIN: usize = 32;
/// What a disk writes whole or not at all, at least.
const SECTOR: u64 = 512;
/// Bytes read at a time where only zeros are looked for.
const BLOCK: u64 = 1 << 16;

/// What tells one kind of log from another.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    /// The first bytes: kind and version.
    pub magic: &'static str,
    /// Context of the chain digest.
    pub chain: &'static str,
    /// Context of the check of a length.
    pub header: &'static str,
    /// Most bytes of a record.
    pub max_record: u32,
}

/// Why a log cannot be used.
#[derive(Debug, Error)]
pub enum LogError {
    /// The disk failed.
    #[error("node log: {0}")]
    Io(#[from] std::io::Error),
    /// Not a log, or of another version.
    #[error("node log: not a log of this version (it should begin with {expected})")]
    Magic {
        /// The magic of this version.
        expected: &'static str,
    },
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

/// An open log; its disk is an argument of every call.
#[derive(Debug)]
pub struct Frames {
    name: String,
    format: Format,
    head: Digest,
    end: u64,
    records: u64,
}

impl Frames {
    /// Makes an empty log, once. An empty one that is there already will do; one
    /// with records is never overwritten.
    pub fn create(disk: &mut impl Disk, name: &str, format: Format) -> Result<(), LogError> {
        disk.create(name)?;
        match Self::open(disk, name, format, |_, _| Ok(()))?.records {
            0 => Ok(()),
            _ => Err(LogError::Exists { path: name.into() }),
        }
    }

    /// Opens a log and hands over every record with the head after it; what
    /// `each` says is wrong with a record is damage. A missing log is not made.
    pub fn open(
        disk: &mut impl Disk,
        name: &str,
        format: Format,
        mut each: impl FnMut(&[u8], Digest) -> Result<(), String>,
    ) -> Result<Self, LogError> {
        let Some(size) = disk.size(name)? else {
            return Err(LogError::Missing { path: name.into() });
        };
        // One node at a time: two would each spend what the other does not see.
        disk.lock(name)?;
        let magic = format.magic.as_bytes();
        let mut found = vec![0; magic.len().min(usize::try_from(size).unwrap_or(usize::MAX))];
        disk.read(name, 0, &mut found)?;
        if found.len() < magic.len() && magic.starts_with(&found) {
            // Torn while it was made: nothing was ever recorded.
            disk.truncate(name, 0)?;
            disk.write(name, 0, magic)?;
        } else if found != magic {
            let expected = format.magic;
            return Err(LogError::Magic { expected });
        }
        let mut log = Self {
            name: name.to_owned(),
            format,
            head: Digest::default(),
            end: magic.len() as u64,
            records: 0,
        };
        while let Some((frame, record, head)) = log.frame(disk, size)? {
            each(&record, head).map_err(|reason| LogError::Damaged {
                offset: log.end,
                reason,
            })?;
            log.head = head;
            log.end += frame;
            log.records += 1;
        }
        disk.truncate(name, log.end)?;
        disk.sync(name)?;
        // Its name too: whoever made it may have died before that was on disk.
        disk.sync_folder()?;
        Ok(log)
    }

    fn chain(&self, record: &[u8]) -> Digest {
        let mut w = Writer::new();
        w.raw(&self.head.0).bytes(record);
        Digest::of(Domain::Other(self.format.chain), &w.finish())
    }

    /// The first bytes of a frame.
    fn header(&self, length: u32) -> [u8; HEADER] {
        let length = length.to_le_bytes();
        let mut w = Writer::new();
        w.raw(&self.head.0).raw(&length);
        let check = Digest::of(Domain::Other(self.format.header), &w.finish());
        let mut out = [0; HEADER];
        for (o, b) in out.iter_mut().zip(length.iter().chain(&check.0)) {
            *o = *b;
        }
        out
    }

    /// One frame, its record and the head after it; or nothing when it is torn:
    /// it reaches beyond the end of the file, or it is the last and its digest
    /// is not there yet, or only zeros are.
    fn frame(
        &self,
        disk: &mut impl Disk,
        size: u64,
    ) -> Result<Option<(u64, Vec<u8>, Digest)>, LogError> {
        let damaged = |reason: String| LogError::Damaged {
            offset: self.end,
            reason,
        };
        let left = size.saturating_sub(self.end);
        if left < HEADER as u64 {
            return Ok(None);
        }
        let mut found = [0; HEADER];
        disk.read(&self.name, self.end, &mut found)?;
        let [a, b, c, d, ..] = found;
        let length = u32::from_le_bytes([a, b, c, d]);
        if self.header(length) != found {
            // A file that was made longer before its bytes reached the disk: no
            // whole frame ends in zeros.
            if self.only_zeros(disk, size)? {
                return Ok(None);
            }
            return Err(damaged("the check of the length differs".into()));
        }
        if length > self.format.max_record {
            return Err(damaged(format!("record of {length} bytes")));
        }
        let frame = (HEADER + length as usize + CHAIN) as u64;
        if left < frame {
            return Ok(None);
        }
        let mut record = vec![0; length as usize];
        let at = self.end + HEADER as u64;
        disk.read(&self.name, at, &mut record)?;
        let mut digest = [0; CHAIN];
        disk.read(&self.name, at + u64::from(length), &mut digest)?;
        let expected = self.chain(&record);
        if expected.0 != digest {
            // A last frame whose pages reached the disk out of order is torn too.
            let mut whole = found.to_vec();
            whole.extend(&record);
            whole.extend(digest);
            if left == frame && self.lacks(&whole) {
                return Ok(None);
            }
            return Err(damaged("chain digest differs".into()));
        }
        Ok(Some((frame, record, expected)))
    }

    /// Whether part of a last frame never reached the disk: it ends in zeros, or
    /// a sector has nothing of it. Otherwise it was there and was altered: what
    /// it said is not to be forgotten.
    fn lacks(&self, frame: &[u8]) -> bool {
        let before = (SECTOR - self.end % SECTOR).min(frame.len() as u64);
        let (first, rest) = frame.split_at(before as usize);
        let mut sectors = std::iter::once(first).chain(rest.chunks(SECTOR as usize));
        frame.last() == Some(&0) || sectors.any(|s| s.iter().all(|b| *b == 0))
    }

    fn only_zeros(&self, disk: &mut impl Disk, size: u64) -> Result<bool, LogError> {
        let mut at = self.end + HEADER as u64;
        while at < size {
            let mut block = vec![0; (size - at).min(BLOCK) as usize];
            disk.read(&self.name, at, &mut block)?;
            if block.iter().any(|b| *b != 0) {
                return Ok(false);
            }
            at += block.len() as u64;
        }
        Ok(true)
    }

    /// Appends a record; it is on disk when this returns. After an error of the
    /// disk what is there is not known: the log is to be opened again.
    pub fn append(&mut self, disk: &mut impl Disk, record: &[u8]) -> Result<(), LogError> {
        let length = u32::try_from(record.len()).unwrap_or(u32::MAX);
        if length > self.format.max_record {
            return Err(LogError::TooLarge {
                limit: u64::from(self.format.max_record),
                value: record.len() as u64,
            });
        }
        let digest = self.chain(record);
        let mut frame = self.header(length).to_vec();
        frame.extend(record);
        frame.extend(digest.0);
        let written = disk
            .write(&self.name, self.end, &frame)
            .and_then(|()| disk.sync(&self.name));
        if let Err(e) = written {
            // Part of it may be there: a shorter record in its place would leave
            // a tail that reads as damage.
            let _ = disk.truncate(&self.name, self.end);
            return Err(e.into());
        }
        self.end += frame.len() as u64;
        self.head = digest;
        self.records += 1;
        Ok(())
    }

    /// Digest of the newest record, all zero before the first: it covers every
    /// record, so whoever noted it sees whether any was lost since.
    pub fn head(&self) -> Digest {
        self.head
    }
    /// How many records there are.
    pub fn records(&self) -> u64 {
        self.records
    }
}
