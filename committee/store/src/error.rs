//! Why the store refuses, one variant a rule.

use crate::{dealing::Stream, frames::LogError};
use thiserror::Error;
use veilbourse_core::{digest::Digest, wire::WireError};
use veilbourse_protocol::ProtocolError;

/// A refusal, or a failure of the disk.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The log's file (CST-1).
    #[error(transparent)]
    Log(#[from] LogError),
    /// A file's bytes (CST-1).
    #[error("ticket store: {0}")]
    Io(#[from] std::io::Error),
    /// Bytes that are no message (WIRE-2).
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A class, a share, a path.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// CST-1: after a failure of the disk nothing is known of what is there.
    #[error("ticket store: the disk failed: nothing more until it is opened again (CST-1)")]
    Stopped,
    /// CST-1: the folder of another node, dataset or committee.
    #[error("ticket store: {field} is {found}, expected {expected} (CST-1)")]
    Identity {
        /// What differs.
        field: &'static str,
        /// In the folder.
        found: String,
        /// Configured.
        expected: String,
    },
    /// CST-1: a file is not as long as the log says.
    #[error("ticket store: {name} has {found} bytes, expected {expected} (CST-1)")]
    File {
        /// Its name.
        name: String,
        /// Bytes found.
        found: u64,
        /// Bytes that the log says.
        expected: u64,
    },
    /// CST-5: a file's bytes are not those that were announced.
    #[error("ticket store: {name} has digest {found}, announced {expected}: altered (CST-5)")]
    Altered {
        /// Its name.
        name: String,
        /// Of its bytes, or of the seed.
        found: Digest,
        /// Announced.
        expected: Digest,
    },
    /// CST-2: a number of a dealing outside its limits.
    #[error("dealing: {field} {value} is outside {min}..={max} (CST-2)")]
    Limit {
        /// Which.
        field: &'static str,
        /// Found.
        value: u64,
        /// Least.
        min: u64,
        /// Greatest.
        max: u64,
    },
    /// CST-2: a dealing for others, or not what its package says.
    #[error("dealing: {field} is {found}, expected {expected} (CST-2)")]
    Foreign {
        /// What differs.
        field: &'static str,
        /// Found.
        found: String,
        /// Expected.
        expected: String,
    },
    /// CST-2: a seed serves one epoch of one quorum, and an epoch has one.
    #[error("dealing: quorum {quorum:#07b}, epoch {epoch}: {reason} (CST-2)")]
    Seed {
        /// Bits of its members.
        quorum: u8,
        /// Its epoch.
        epoch: u32,
        /// Which of the two.
        reason: &'static str,
    },
    /// CST-2: numbers that another dealing of the epoch has had.
    #[error("dealing: tickets {first}..{end} were dealt before in this epoch (CST-2)")]
    Numbers {
        /// First of the refused ones.
        first: u64,
        /// After the last.
        end: u64,
    },
    /// CST-3: a piece that does not continue what is there.
    #[error("{stream:?}: a piece at byte {offset}, expected at {expected} of {total} (CST-3)")]
    Offset {
        /// Which stream.
        stream: Stream,
        /// Where the piece begins.
        offset: u64,
        /// Where the next one must.
        expected: u64,
        /// Bytes in all.
        total: u64,
    },
    /// CST-3: a stream that ends too late.
    #[error("{stream:?}: {value} bytes exceed {limit} (CST-3)")]
    TooLong {
        /// Which stream.
        stream: Stream,
        /// Bytes in all.
        limit: u64,
        /// Bytes with this piece.
        value: u64,
    },
    /// CST-3: not all is there.
    #[error("{stream:?}: {received} of {total} bytes received (CST-3)")]
    Incomplete {
        /// Which stream.
        stream: Stream,
        /// Bytes received.
        received: u64,
        /// Bytes in all.
        total: u64,
    },
    /// CST-3: a stream is not the one that was announced: to be sent again.
    #[error("{stream:?}: digest {found}, announced {expected}: to be sent again (CST-3)")]
    StreamDigest {
        /// Which stream.
        stream: Stream,
        /// Of what came.
        found: Digest,
        /// Announced.
        expected: Digest,
    },
    /// CST-3: the commitments have another root: the dealing is refused.
    #[error("dealing refused: its commitments have root {found}, announced {expected} (CST-3)")]
    Root {
        /// Of what came.
        found: Digest,
        /// Announced.
        expected: Digest,
    },
    /// CST-4: not in this stage.
    #[error("dealing {dealing}: is {found}, expected {expected} (CST-4)")]
    Stage {
        /// Which.
        dealing: Digest,
        /// Its stage.
        found: &'static str,
        /// What the call needs.
        expected: &'static str,
    },
    /// CST-4: no such dealing.
    #[error("dealing {dealing}: unknown (CST-4)")]
    UnknownDealing {
        /// Which.
        dealing: Digest,
    },
    /// CST-5: a ticket that the dealing does not have.
    #[error("ticket {ticket} is outside {first}..{end} (CST-5)")]
    Ticket {
        /// Which.
        ticket: u64,
        /// The dealing's first.
        first: u64,
        /// After its last.
        end: u64,
    },
    /// CST-6: tickets that are not the next ones.
    #[error("tickets from {first}, expected from {expected} (CST-6)")]
    Spent {
        /// Asked for.
        first: u64,
        /// The first that no member has spent.
        expected: u64,
    },
    /// CST-6: a session's outputs are not well formed.
    #[error("session: output {output}: {reason} (CST-6)")]
    Outputs {
        /// Which.
        output: u32,
        /// What is wrong.
        reason: &'static str,
    },
    /// CST-6: a session that is not where the call needs it.
    #[error("session {session}: is {found}, expected {expected} (CST-6)")]
    Session {
        /// Which.
        session: Digest,
        /// Where it is.
        found: &'static str,
        /// Where it must be.
        expected: &'static str,
    },
    /// CST-11: the counters of a member were not exchanged for this session.
    #[error("node {peer}: its counters were not exchanged for this session (CST-11)")]
    NotMet {
        /// Which member.
        peer: u8,
    },
    /// OPN-6: an output that an earlier session may open.
    #[error("order {order}, output {output}: session {session} is {found}: no second one (OPN-6)")]
    SecondOpening {
        /// The order.
        order: Digest,
        /// The output.
        output: u32,
        /// The earlier session.
        session: Digest,
        /// Where it is.
        found: &'static str,
    },
    /// OPN-6: an attempt's number that is not later than all before.
    #[error("order {order}: attempt {found}, expected at least {expected} (OPN-6)")]
    Attempt {
        /// The order.
        order: Digest,
        /// Its number.
        found: u32,
        /// The least.
        expected: u32,
    },
    /// CST-8: the quorum is frozen, or its epoch was replaced (CST-9).
    #[error("quorum {quorum:#07b}: epoch {epoch} is destroyed: from {least} on (CST-8, CST-9)")]
    Destroyed {
        /// Bits of its members.
        quorum: u8,
        /// The epoch asked for.
        epoch: u32,
        /// The least that may be dealt.
        least: u32,
    },
    /// CST-13: the key is checked with tickets that have no noise.
    #[error("dealing {dealing}: its class has noise: no use for the key's check (CST-13)")]
    Noisy {
        /// Which.
        dealing: Digest,
    },
    /// CST-13: an epoch whose public key was not checked.
    #[error("quorum {quorum:#07b}, epoch {epoch}: its public key was not checked (CST-13)")]
    KeyUnchecked {
        /// Bits of its members.
        quorum: u8,
        /// Its epoch.
        epoch: u32,
    },
    /// OPN-4: a quorum's keys have one use at a time.
    #[error("quorum {quorum:#07b}: its keys are in use, or a check is pending (OPN-4)")]
    InUse {
        /// Bits of its members.
        quorum: u8,
    },
    /// CST-9: the node was retired.
    #[error("ticket store: this node was retired (CST-9)")]
    Retired,
    /// CST-9: a peer was retired.
    #[error("node {peer}: says that it was retired (CST-9)")]
    PeerRetired {
        /// Which.
        peer: u8,
    },
    /// CST-10: a statement that is not this node's, or its signature fails.
    #[error("counters: {field} is {found}, expected {expected} (CST-10)")]
    Statement {
        /// What differs.
        field: &'static str,
        /// Found.
        found: String,
        /// Expected.
        expected: String,
    },
    /// CST-11: this node's own log is behind what it has signed.
    #[error(
        "this node was restored from an old copy: it has signed record {signed} ({head}), its log \
         has {records} and does not hold it; everything it was dealt is destroyed (CST-11)"
    )]
    RolledBack {
        /// Records when it signed.
        signed: u64,
        /// The head that it signed.
        head: Digest,
        /// Records now.
        records: u64,
    },
    /// CST-11: a peer says less than it has signed before.
    #[error("node {peer}: {field} {found} is behind {known}, which it has signed (CST-11)")]
    PeerBehind {
        /// Which.
        peer: u8,
        /// What.
        field: &'static str,
        /// Now.
        found: String,
        /// Before.
        known: String,
    },
}
