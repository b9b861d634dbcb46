//! The ticket log's records (CST-1): everything the node remembers but secrets,
//! which the log, never erased, must not hold.

use crate::{
    dealing::{Dealing, Package, QuorumSet, Stream, bool_of},
    error::StoreError,
    frames::Format,
    statement::SignedStatement,
};
use veilbourse_core::{
    digest::Digest,
    wire::{Reader, WireError, Writer},
};
use veilbourse_protocol::MAX_BATCH;

/// The ticket log's format.
pub const FORMAT: Format = Format {
    magic: "VBTICK01",
    chain: "veilbourse v1 ticket log",
    header: "veilbourse v1 ticket log header",
    max_record: 1 << 20,
};
/// Most outputs of a session.
pub const MAX_OUTPUTS: u32 = 4096;
/// Most dealings activated at once.
pub const MAX_ACTIVATED: u32 = 1024;
/// Most bytes of a reason.
pub(crate) const MAX_REASON: u32 = 512;

/// One output of a session and its tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpentOutput {
    /// Its index in the order.
    pub output: u32,
    /// Its first ticket.
    pub first: u64,
    /// Values: a ticket each.
    pub values: u32,
}

/// What was spent, and for what (CST-6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// The session.
    pub session: Digest,
    /// Where its tickets are from.
    pub dealing: Digest,
    /// The signed order.
    pub order: Digest,
    /// The signed grant.
    pub grant: Digest,
    /// Which attempt of the order in the quorum.
    pub attempt: u32,
    /// The outputs, ascending; their tickets follow each other.
    pub outputs: Vec<SpentOutput>,
}

impl Spent {
    /// The first ticket, and the one after the last.
    pub fn tickets(&self) -> (u64, u64) {
        let first = self.outputs.first().map_or(0, |o| o.first);
        let end = self.outputs.last();
        let end = end.map_or(first, |o| o.first.saturating_add(o.values.into()));
        (first, end)
    }
}

impl Spent {
    fn encode(&self, w: &mut Writer) {
        for d in [self.session, self.dealing, self.order, self.grant] {
            w.raw(&d.0);
        }
        w.u32(self.attempt).len(self.outputs.len());
        for o in &self.outputs {
            w.u32(o.output).u64(o.first).u32(o.values);
        }
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, StoreError> {
        let mut digest = || r.array("digest").map(Digest);
        let [session, dealing, order, grant] = [digest()?, digest()?, digest()?, digest()?];
        let attempt = r.u32("attempt")?;
        let n = r.len("outputs", MAX_OUTPUTS)?;
        let mut outputs = Vec::with_capacity(n);
        for _ in 0..n {
            outputs.push(SpentOutput {
                output: r.u32("output")?,
                first: r.u64("first ticket")?,
                values: r.u32("values")?,
            });
        }
        Ok(Self {
            session,
            dealing,
            order,
            grant,
            attempt,
            outputs,
        })
    }
}

/// What the node remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Whose log this is; the first record.
    Initialised {
        /// D.
        dataset: Digest,
        /// n.
        nodes: u8,
        /// t.
        threshold: u8,
        /// This node's number.
        node: u8,
        /// Its Ed25519 key.
        key: [u8; 32],
    },
    /// A dealing was announced and its seed is on disk.
    Begun {
        /// The announcement.
        dealing: Box<Dealing>,
        /// This party's package.
        package: Package,
    },
    /// So much of a stream is on disk.
    Progress {
        /// Which dealing.
        dealing: Digest,
        /// Which stream.
        stream: Stream,
        /// Bytes.
        bytes: u64,
    },
    /// All streams are here, each as announced.
    Received(Digest),
    /// The MAC check of the dealing is about to be answered (TKT-4).
    Checking(Digest),
    /// The dealing's check passed (TKT-4).
    Verified(Digest),
    /// These dealings of one epoch are usable; earlier epochs are destroyed.
    Activated(Vec<Digest>),
    /// A dealing is not what it says; destroyed.
    Refused {
        /// Which.
        dealing: Digest,
        /// Why.
        why: String,
    },
    /// Tickets are spent for a session.
    Spent(Spent),
    /// The check of what was opened is about to be answered (OPN-4).
    CheckPending(Digest),
    /// It passed.
    CheckPassed(Digest),
    /// The result is signed; y, which is uniform to who lacks a mask share.
    Signed {
        /// The session.
        session: Digest,
        /// One word a value.
        y: Vec<u64>,
    },
    /// This node's mask shares went to the buyer.
    Released(Digest),
    /// The session is over; nothing of it was signed.
    Abandoned(Digest),
    /// Every epoch of a quorum so far is destroyed.
    Frozen {
        /// The quorum.
        quorum: QuorumSet,
        /// Why.
        why: String,
    },
    /// This log is an old copy: it lacks what the node has signed.
    RolledBack {
        /// Records when it signed.
        signed: u64,
        /// The head that it signed.
        head: Digest,
    },
    /// The node is retired.
    Retired,
    /// A peer's newest signed counters.
    Peer {
        /// What it signed.
        signed: Box<SignedStatement>,
        /// Whether another node handed it on.
        heard: bool,
    },
    /// Tickets are spent to check the public key (CST-13).
    KeyTest(Spent),
    /// The check of an epoch's public key passed (CST-13).
    KeyChecked {
        /// The quorum.
        quorum: QuorumSet,
        /// Its epoch.
        epoch: u32,
        /// The key's digest.
        key: Digest,
    },
    /// What was signed of a session is given up: its mask shares never leave
    /// (CST-6, OPN-6).
    Forgone(Digest),
}

impl Record {
    /// The canonical encoding (WIRE-1).
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        let w = &mut out;
        match self {
            Self::Initialised {
                dataset,
                nodes,
                threshold,
                node,
                key,
            } => {
                w.u8(1).raw(&dataset.0).u8(*nodes).u8(*threshold);
                w.u8(*node).raw(key);
            }
            Self::Begun { dealing, package } => {
                w.u8(2);
                dealing.encode(w);
                package.encode(w);
            }
            Self::Progress {
                dealing,
                stream,
                bytes,
            } => {
                w.u8(3).raw(&dealing.0).u8(*stream as u8).u64(*bytes);
            }
            Self::Received(d) => {
                w.u8(4).raw(&d.0);
            }
            Self::Checking(d) => {
                w.u8(5).raw(&d.0);
            }
            Self::Verified(d) => {
                w.u8(6).raw(&d.0);
            }
            Self::Activated(dealings) => {
                w.u8(7).len(dealings.len());
                for d in dealings {
                    w.raw(&d.0);
                }
            }
            Self::Refused { dealing, why } => {
                w.u8(8).raw(&dealing.0).str(why);
            }
            Self::Spent(s) => {
                w.u8(9);
                s.encode(w);
            }
            Self::CheckPending(s) => {
                w.u8(10).raw(&s.0);
            }
            Self::CheckPassed(s) => {
                w.u8(11).raw(&s.0);
            }
            Self::Signed { session, y } => {
                w.u8(12).raw(&session.0).words(y);
            }
            Self::Released(s) => {
                w.u8(13).raw(&s.0);
            }
            Self::Abandoned(s) => {
                w.u8(14).raw(&s.0);
            }
            Self::Frozen { quorum, why } => {
                w.u8(15).u8(quorum.bits()).str(why);
            }
            Self::RolledBack { signed, head } => {
                w.u8(16).u64(*signed).raw(&head.0);
            }
            Self::Retired => {
                w.u8(17);
            }
            Self::Peer { signed, heard } => {
                w.u8(18).u8((*heard).into()).raw(&signed.encode());
            }
            Self::KeyTest(s) => {
                w.u8(19);
                s.encode(w);
            }
            Self::KeyChecked { quorum, epoch, key } => {
                w.u8(20).u8(quorum.bits()).u32(*epoch).raw(&key.0);
            }
            Self::Forgone(s) => {
                w.u8(21).raw(&s.0);
            }
        }
        out.finish()
    }

    /// Reads one (WIRE-2).
    pub fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let mut input = Reader::new(bytes);
        let r = &mut input;
        let digest = |r: &mut Reader<'_>| r.array("digest").map(Digest);
        let record = match r.u8("record")? {
            1 => Self::Initialised {
                dataset: digest(r)?,
                nodes: r.u8("nodes")?,
                threshold: r.u8("threshold")?,
                node: r.u8("node")?,
                key: r.array("key")?,
            },
            2 => Self::Begun {
                dealing: Box::new(Dealing::decode(r)?),
                package: Package::decode(r)?,
            },
            3 => Self::Progress {
                dealing: digest(r)?,
                stream: Stream::decode(r)?,
                bytes: r.u64("bytes")?,
            },
            4 => Self::Received(digest(r)?),
            5 => Self::Checking(digest(r)?),
            6 => Self::Verified(digest(r)?),
            7 => {
                let n = r.len("dealings", MAX_ACTIVATED)?;
                Self::Activated((0..n).map(|_| digest(r)).collect::<Result<_, _>>()?)
            }
            8 => Self::Refused {
                dealing: digest(r)?,
                why: r.str("reason", MAX_REASON)?,
            },
            9 => Self::Spent(Spent::decode(r)?),
            10 => Self::CheckPending(digest(r)?),
            11 => Self::CheckPassed(digest(r)?),
            12 => {
                let session = digest(r)?;
                let n = r.len("values", MAX_BATCH as u32)?;
                let y = (0..n).map(|_| r.u64("y")).collect::<Result<_, _>>()?;
                Self::Signed { session, y }
            }
            13 => Self::Released(digest(r)?),
            14 => Self::Abandoned(digest(r)?),
            15 => Self::Frozen {
                quorum: QuorumSet::decode(r)?,
                why: r.str("reason", MAX_REASON)?,
            },
            16 => Self::RolledBack {
                signed: r.u64("signed")?,
                head: digest(r)?,
            },
            17 => Self::Retired,
            18 => {
                let heard = bool_of(r, "heard")?;
                let rest = r.remaining();
                let bytes = r.take("statement", rest)?;
                let signed = Box::new(SignedStatement::decode(bytes)?);
                Self::Peer { signed, heard }
            }
            19 => Self::KeyTest(Spent::decode(r)?),
            20 => Self::KeyChecked {
                quorum: QuorumSet::decode(r)?,
                epoch: r.u32("epoch")?,
                key: digest(r)?,
            },
            21 => Self::Forgone(digest(r)?),
            found => {
                return Err(WireError::TooLarge {
                    field: "record",
                    limit: 21,
                    value: found.into(),
                }
                .into());
            }
        };
        input.finish("record")?;
        Ok(record)
    }
}
