//! What the drivers need of a session, whatever carries its messages (PEER-9):
//! TLS between servers ([`Session`], [`Endpoint`]), or a simulated network that
//! replays from a seed.

use crate::{
    endpoint::Endpoint,
    error::{Leave, OpenError, SessionError},
    frame::Kind,
    party::Expected,
    session::Session,
};
use veilbourse_core::digest::Digest;

/// One session with the other nodes of a quorum. Dropped before
/// [`Exchange::finish`], it is left.
pub trait Exchange: Send {
    /// The session's digest.
    fn digest(&self) -> Digest;
    /// This node's party number.
    fn party(&self) -> u8;
    /// The nodes, by party number.
    fn quorum(&self) -> &[u8];
    /// PEER-4: how long the messages of a kind are.
    fn expect(&mut self, kind: Kind, expected: Expected) -> Result<(), SessionError>;
    /// Sends this node's message of a step to every other party, and waits for
    /// theirs; all messages by party number, the own one among them.
    fn exchange(
        &mut self,
        kind: Kind,
        step: u8,
        own: &[u8],
    ) -> impl Future<Output = Result<Vec<Vec<u8>>, OpenError>> + Send;
    /// Ends before its end; the others are told why.
    fn leave(&mut self, why: Leave);
    /// Ends well.
    fn finish(self);
}

/// Where sessions begin.
pub trait Network: Sync {
    /// A session.
    type Session: Exchange;
    /// PEER-5: begins a session with these nodes, this one among them.
    fn session(&self, digest: Digest, quorum: &[u8]) -> Result<Self::Session, SessionError>;
}

impl Exchange for Session {
    fn digest(&self) -> Digest {
        Session::digest(self)
    }
    fn party(&self) -> u8 {
        Session::party(self)
    }
    fn quorum(&self) -> &[u8] {
        Session::quorum(self)
    }
    fn expect(&mut self, kind: Kind, expected: Expected) -> Result<(), SessionError> {
        Session::expect(self, kind, expected)
    }
    async fn exchange(
        &mut self,
        kind: Kind,
        step: u8,
        own: &[u8],
    ) -> Result<Vec<Vec<u8>>, OpenError> {
        Session::exchange(self, kind, step, own).await
    }
    fn leave(&mut self, why: Leave) {
        Session::leave(self, why);
    }
    fn finish(self) {
        Session::finish(self);
    }
}

impl Network for Endpoint {
    type Session = Session;
    fn session(&self, digest: Digest, quorum: &[u8]) -> Result<Session, SessionError> {
        Endpoint::session(self, digest, quorum)
    }
}
