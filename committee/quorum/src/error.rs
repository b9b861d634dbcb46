//! Why a quorum did not do what it was asked, one variant a rule.

use thiserror::Error;
use veilbourse_core::{digest::Digest, wire::WireError};
use veilbourse_peers::{OpenError, SessionError};
use veilbourse_protocol::ProtocolError;
use veilbourse_ticket_store::StoreError;

/// A refusal or a failure. Nothing was released by whoever returns one.
#[derive(Debug, Error)]
pub enum QuorumError {
    /// The durable state refuses, or its disk failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Rounds: a peer's silence, leaving or conduct, or what the protocol refuses.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A session could not begin.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// What a node was dealt, or a mask's opening, is not what it must be.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// QRM-1: a request that is none.
    #[error("request: {field} {value} is outside {min}..={max} (QRM-1)")]
    Request {
        /// Which field.
        field: &'static str,
        /// Found.
        value: u64,
        /// Least.
        min: u64,
        /// Greatest.
        max: u64,
    },
    /// QRM-2: a peer's message of a meeting is none.
    #[error("node {peer}: {source} (QRM-2)")]
    Message {
        /// Its number.
        peer: u8,
        /// What is wrong.
        source: WireError,
    },
    /// QRM-2: a peer means something else.
    #[error("node {peer}: {what} is {found}, here {expected} (QRM-2)")]
    Agenda {
        /// Its number.
        peer: u8,
        /// What differs.
        what: &'static str,
        /// Its.
        found: Digest,
        /// This node's.
        expected: Digest,
    },
    /// QRM-2: a peer says an attempt or a ticket that none can follow.
    #[error("node {peer}: {what} {value} is above {limit} (QRM-2)")]
    Beyond {
        /// Its number.
        peer: u8,
        /// Which number.
        what: &'static str,
        /// Its.
        value: u64,
        /// The greatest.
        limit: u64,
    },
    /// QRM-2: a peer was shown statements out of order, again and again.
    #[error("node {peer}: was shown counters out of order, as often as all met (QRM-2)")]
    Behind {
        /// Its number.
        peer: u8,
    },
    /// QRM-4: this node's own signature could not be made.
    #[error("signing the outcome: {reason} (QRM-4)")]
    Signing {
        /// Why.
        reason: String,
    },
    /// QRM-4: a peer's signature of the outcome is not accepted.
    #[error("node {peer}: its signature of the outcome: {reason} (QRM-4)")]
    Signature {
        /// Its number.
        peer: u8,
        /// Why.
        reason: String,
    },
    /// QRM-5: a member that has signed nothing for this request.
    #[error("node {peer}: has signed nothing for this request (QRM-5)")]
    NotSigned {
        /// Its number.
        peer: u8,
    },
    /// QRM-5: a member gave up for good what it had signed for this request.
    #[error("node {peer}: forwent what it had signed for this request (QRM-5)")]
    Forgone {
        /// Its number.
        peer: u8,
    },
    /// QRM-6: what this node was dealt is not what was committed to.
    #[error("dealing {dealing}: {reason} (QRM-6)")]
    Dealing {
        /// Which.
        dealing: Digest,
        /// What.
        reason: &'static str,
    },
    /// QRM-7: a peer revealed another coin than it had committed to.
    #[error("node {peer}: its coin is not the one that it committed to (QRM-7)")]
    Coin {
        /// Its number.
        peer: u8,
    },
    /// QRM-7: the public key is not that of the shared key; the quorum is frozen.
    #[error("public key {key}: coefficient {coefficient} does not open to 0: frozen (QRM-7)")]
    PublicKey {
        /// The key's digest.
        key: Digest,
        /// Which coefficient.
        coefficient: u32,
    },
    /// QRM-8: sessions that are signed and not released would lose their masks.
    #[error("{count} sessions are signed and not released, {first} among them (QRM-8)")]
    Withheld {
        /// How many.
        count: usize,
        /// One of them.
        first: Digest,
    },
}
