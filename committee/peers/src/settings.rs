//! How long a node waits and how much it holds (PEER-6..8).

use std::time::Duration;

/// Deadlines, by tokio's clock, so that tests may pause it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// PEER-3: TLS and hello of a connection.
    pub handshake: Duration,
    /// PEER-7: a connection on which nothing comes for so long is dead. A third
    /// of it is how often a node says that it lives.
    pub idle: Duration,
    /// PEER-7: a frame that has begun is there, or written, after this.
    pub frame: Duration,
    /// PEER-8: a peer's first message of a session; its gate works meanwhile.
    pub start: Duration,
    /// PEER-8: every later message of a session.
    pub round: Duration,
    /// PEER-7: the wait before the second attempt to call; doubles.
    pub backoff: Duration,
    /// PEER-7: the longest wait between two attempts.
    pub backoff_most: Duration,
    /// PEER-6: how long a peer that broke a rule stays away.
    pub bar: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let s = Duration::from_secs;
        Self {
            handshake: s(10),
            idle: s(30),
            frame: s(60),
            start: s(60),
            round: s(30),
            backoff: Duration::from_millis(100),
            backoff_most: s(5),
            bar: s(60),
        }
    }
}

/// What is held for peers (PEER-6). None of it grows with what a peer sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Sessions under way.
    pub sessions: usize,
    /// Bytes that the messages of all sessions under way may take; reserved when
    /// a session begins, for every peer's longest two messages and the own ones
    /// that are kept.
    pub reserved: u64,
    /// Sessions of which a peer has spoken and this node has not begun, a peer.
    pub early: u32,
    /// Proposals and counters not yet taken, a peer.
    pub notes: u32,
    /// Frames of a peer that found no place, in the time of a bar; nothing is kept.
    pub strays: u32,
    /// Bytes of a proposal.
    pub proposal: u32,
    /// Bytes of a counter statement.
    pub counter: u32,
    /// Strangers in the middle of a handshake; one more takes the oldest's place.
    pub handshakes: usize,
    /// Frames that wait to be written to a peer.
    pub outgoing: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 64,
            reserved: 1 << 30,
            early: 64,
            notes: 64,
            strays: 256,
            proposal: 64 << 10,
            counter: 4 << 10,
            handshakes: 32,
            outgoing: 1024,
        }
    }
}

/// Bytes of a message that may come before this node expects any of its kind.
pub const EARLY_BYTES: u32 = 1024;
