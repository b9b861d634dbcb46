//! Why a node is refused, dropped or given up, one variant a rule.

use crate::{frame::Kind, members::PublicKey};
use std::time::Duration;
use thiserror::Error;
use veilbourse_core::digest::Digest;
use veilbourse_protocol::ProtocolError;

/// PEER-1: a list of members that is none.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum MembersError {
    /// How many.
    #[error("committee: {value} members, allowed are 2 to {max} (PEER-1)")]
    Count {
        /// Found.
        value: usize,
        /// Most.
        max: u8,
    },
    /// A number twice, or too great.
    #[error("committee: member number {value} is there twice or above {max} (PEER-1)")]
    Number {
        /// Found.
        value: u8,
        /// Greatest.
        max: u8,
    },
    /// A key twice.
    #[error("committee: key {key} is there twice (PEER-1)")]
    KeyTwice {
        /// The key.
        key: PublicKey,
    },
    /// Text that is no key.
    #[error("committee: key {found:?} is not 64 lower-case hex digits (PEER-1)")]
    KeyText {
        /// Found.
        found: String,
    },
    /// The node is not in the list with its key.
    #[error("committee: number {number} is not listed with this node's key {key} (PEER-1)")]
    NotAMember {
        /// The number that it goes by.
        number: u8,
        /// Its key.
        key: PublicKey,
    },
    /// The node's own key cannot be used.
    #[error("this node's key: {what}")]
    OwnKey {
        /// Why.
        what: String,
    },
}

/// A key that is not pinned; what rustls is told.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("the peer's key is not the pinned one (PEER-2)")]
pub struct UnknownKey(pub Option<PublicKey>);

/// Why a connection did not come to be (PEER-2, PEER-3).
#[derive(Debug, Error)]
pub enum Refused {
    /// PEER-2: TLS, where it is none of the below.
    #[error("handshake: {0} (PEER-2)")]
    Tls(rustls::Error),
    /// PEER-2: the key is not pinned for this peer.
    #[error("handshake: key {0:?} is not the pinned one (PEER-2)")]
    UnknownKey(Option<PublicKey>),
    /// PEER-2: another protocol or version.
    #[error("handshake: protocol {found:?}, expected \"veilbourse-peers/1\" (PEER-2)")]
    Protocol {
        /// What was agreed on.
        found: Option<String>,
    },
    /// PEER-3: the key is of another number than the peer goes by.
    #[error("hello: from number {claimed}, but the key is number {pinned}'s (PEER-3)")]
    Number {
        /// Said.
        claimed: u8,
        /// By the key.
        pinned: u8,
    },
    /// PEER-3: it wants to talk to another node.
    #[error("hello: to number {found}, this is number {own} (PEER-3)")]
    Addressee {
        /// Said.
        found: u8,
        /// This node.
        own: u8,
    },
    /// PEER-3: it has other members.
    #[error("hello: members {found}, expected {expected} (PEER-3)")]
    Members {
        /// Said.
        found: Digest,
        /// This node's.
        expected: Digest,
    },
    /// PEER-3: what came first was no hello.
    #[error("hello: {0}")]
    Frame(#[from] Violation),
    /// PEER-3: not done in time.
    #[error("handshake: not done after {limit:?} (PEER-3)")]
    Late {
        /// The limit.
        limit: Duration,
    },
    /// PEER-6: it broke a rule a moment ago.
    #[error("peer {peer} is barred for another {left:?} (PEER-6)")]
    Barred {
        /// Who.
        peer: u8,
        /// How long.
        left: Duration,
    },
    /// PEER-6: too many strangers at once.
    #[error("handshakes under way: limit {limit} (PEER-6)")]
    Crowded {
        /// The limit.
        limit: usize,
    },
    /// No such peer.
    #[error("there is no peer {0} to call (PEER-1)")]
    NoPeer(u8),
    /// The connection broke.
    #[error("connection: {0}")]
    Io(std::io::Error),
}

impl From<std::io::Error> for Refused {
    fn from(e: std::io::Error) -> Self {
        let tls = e.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
        match tls {
            Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other))) => {
                match other.0.downcast_ref::<UnknownKey>() {
                    Some(key) => Self::UnknownKey(key.0),
                    None => Self::Tls(rustls::Error::General(other.0.to_string())),
                }
            }
            Some(tls) => Self::Tls(tls.clone()),
            None => Self::Io(e),
        }
    }
}

/// What a peer did that no peer does: it is dropped, barred for a while, and
/// its sessions with this node end (PEER-4..6).
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum Violation {
    /// PEER-4.
    #[error("frame: version {found}, expected {expected} (PEER-4)")]
    Version {
        /// Found.
        found: u8,
        /// Expected.
        expected: u8,
    },
    /// PEER-4.
    #[error("frame: no kind has number {found} (PEER-4)")]
    Kind {
        /// Found.
        found: u8,
    },
    /// PEER-4: a kind that has no place here.
    #[error("frame: {kind:?} is not expected now (PEER-4)")]
    Unexpected {
        /// Its kind.
        kind: Kind,
    },
    /// PEER-4.
    #[error("frame: {kind:?} {step} of {value} bytes, limit {limit} (PEER-4)")]
    Length {
        /// Its kind.
        kind: Kind,
        /// Its step.
        step: u8,
        /// Found.
        value: u32,
        /// Most, or exactly.
        limit: u32,
    },
    /// PEER-5: neither this step nor the next.
    #[error("frame: {kind:?} step {found}, this node is in step {now} (PEER-5)")]
    Step {
        /// Its kind.
        kind: Kind,
        /// Found.
        found: u8,
        /// This node's.
        now: u8,
    },
    /// PEER-5: two messages of one step.
    #[error("frame: a second, different {kind:?} of step {step} (PEER-5)")]
    Repeated {
        /// Its kind.
        kind: Kind,
        /// Its step.
        step: u8,
    },
    /// PEER-5: the session is not the peer's.
    #[error("frame: {kind:?} of session {session}, which has no such party (PEER-5)")]
    Stranger {
        /// Its kind.
        kind: Kind,
        /// The session.
        session: Digest,
    },
    /// PEER-6: more than this node holds for a peer.
    #[error("more than {limit} {what} (PEER-6)")]
    Flood {
        /// Of what.
        what: &'static str,
        /// How many are held.
        limit: u32,
    },
}

/// Why a session cannot begin (PEER-5, PEER-6).
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum SessionError {
    /// The quorum is none of this committee's, or lacks this node.
    #[error("quorum {quorum:?} is not one of this committee's with node {own} in it (PEER-5)")]
    Quorum {
        /// Found.
        quorum: Vec<u8>,
        /// This node.
        own: u8,
    },
    /// It is under way or over.
    #[error("session {0} is under way or over (PEER-5)")]
    Used(Digest),
    /// Too many at once.
    #[error("sessions: limit {limit} (PEER-6)")]
    Many {
        /// The limit.
        limit: usize,
    },
    /// Too much memory.
    #[error("session: {value} bytes to be reserved with those of others, limit {limit} (PEER-6)")]
    Memory {
        /// With this session.
        value: u64,
        /// The limit.
        limit: u64,
    },
    /// It ended meanwhile.
    #[error("session {0} is over (PEER-5)")]
    Over(Digest),
}

/// Why a note did not leave.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum TellError {
    /// There is no connection now.
    #[error("peer {peer} is not connected (PEER-7)")]
    NotConnected {
        /// Who.
        peer: u8,
    },
    /// What belongs to a session is sent by it.
    #[error("{kind:?} is not told, only proposals and counters are (PEER-4)")]
    Kind {
        /// Its kind.
        kind: Kind,
    },
    /// Too long.
    #[error("{kind:?} of {value} bytes, limit {limit} (PEER-4)")]
    Length {
        /// Its kind.
        kind: Kind,
        /// Found.
        value: usize,
        /// Most.
        limit: u32,
    },
}

/// Why a peer ended a session. `round` is the step that was waited for.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum PeerError {
    /// PEER-8: it is dead or slow, which cannot be told apart.
    #[error("peer {peer} was silent in round {round} for {waited:?} (PEER-8)")]
    PeerSilent {
        /// Its number in the committee.
        peer: u8,
        /// The round.
        round: u8,
        /// How long.
        waited: Duration,
    },
    /// PEER-8: it left the session and said so.
    #[error("peer {peer} left in round {round}: {reason:?} (PEER-8)")]
    PeerLeft {
        /// Its number in the committee.
        peer: u8,
        /// The round.
        round: u8,
        /// What it said.
        reason: Leave,
    },
    /// PEER-4..6: it broke a rule of the channel.
    #[error("peer {peer} in round {round}: {violation}")]
    PeerBroke {
        /// Its number in the committee.
        peer: u8,
        /// The round.
        round: u8,
        /// What.
        violation: Violation,
    },
}

/// Why a node leaves a session before its end; the two bytes of a bye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// Its operator or its gate.
    Cancelled,
    /// Another peer, named by its number, was silent or left. The word of the
    /// one who leaves, no more.
    Peer(u8),
    /// The protocol or the channel refused something.
    Refused,
    /// Its disk.
    Durable,
}

impl Leave {
    pub(crate) fn bytes(self) -> [u8; 2] {
        match self {
            Self::Cancelled => [0, 0],
            Self::Peer(n) => [1, n],
            Self::Refused => [2, 0],
            Self::Durable => [3, 0],
        }
    }
    /// What two bytes say; what no version says is a cancellation.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        match bytes {
            [1, n] => Self::Peer(*n),
            [2, _] => Self::Refused,
            [3, _] => Self::Durable,
            _ => Self::Cancelled,
        }
    }
}

/// Why an opening or a dealing check did not come to its end.
#[derive(Debug, Error)]
pub enum OpenError {
    /// PEER-8: because of a peer's silence, leaving or conduct.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// OPN-4, TKT-4: the protocol refused a message, or the check failed.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// OPN-4: what had to be durable is not; nothing that needed it has left.
    #[error("making durable: {0} (OPN-4)")]
    Durable(String),
    /// The session is not the job's.
    #[error("{what} of the session is {found}, the job's is {expected} (PEER-9)")]
    Job {
        /// What.
        what: &'static str,
        /// The session's.
        found: String,
        /// The job's.
        expected: String,
    },
    /// PEER-9: a message says another round inside than outside.
    #[error("peer {peer}: round {found} inside the frame of round {round} (PEER-9)")]
    Inside {
        /// Its number in the committee.
        peer: u8,
        /// Outside.
        round: u8,
        /// Inside.
        found: u8,
    },
    /// PEER-5, PEER-6.
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl OpenError {
    /// What the others are told.
    pub(crate) fn leave(&self) -> Leave {
        match self {
            Self::Peer(PeerError::PeerSilent { peer, .. } | PeerError::PeerLeft { peer, .. }) => {
                Leave::Peer(*peer)
            }
            Self::Peer(PeerError::PeerBroke { .. }) => Leave::Refused,
            Self::Durable(_) => Leave::Durable,
            Self::Protocol(_) | Self::Inside { .. } => Leave::Refused,
            Self::Job { .. } | Self::Session(_) => Leave::Cancelled,
        }
    }
}
