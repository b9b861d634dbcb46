//! The ways out behind one interface, in the two steps between which the worker
//! notes that a letter is being handed over (MAIL-2).

use crate::{Dialogue, Folder, Message, Relay, SendError};

/// Where letters go.
#[derive(Debug, Clone)]
pub enum Transport {
    /// To a relay.
    Relay(Relay),
    /// Into a folder.
    Folder(Folder),
}

/// An open way out.
#[derive(Debug)]
pub enum Session {
    /// A dialogue with the relay.
    Relay(Box<Dialogue>),
    /// The folder.
    Folder(Folder),
}

impl Transport {
    /// Whether handing a letter over twice is the same as once.
    pub fn repeatable(&self) -> bool {
        matches!(self, Self::Folder(_))
    }

    /// Opens the way.
    pub async fn open(&self) -> Result<Session, SendError> {
        match self {
            Self::Relay(r) => Ok(Session::Relay(Box::new(r.connect().await?))),
            Self::Folder(f) => Ok(Session::Folder(f.clone())),
        }
    }
}

impl Session {
    /// Whether another letter may go this way.
    pub fn usable(&self) -> bool {
        match self {
            Self::Relay(d) => d.usable(),
            Self::Folder(_) => true,
        }
    }

    /// Names sender and recipient; nothing of the letter is said.
    pub async fn envelope(&mut self, m: &Message) -> Result<(), SendError> {
        match self {
            Self::Relay(d) => d.envelope(m).await,
            Self::Folder(_) => Ok(()),
        }
    }

    /// Hands the letter over.
    pub async fn hand_over(&mut self, m: &Message) -> Result<(), SendError> {
        match self {
            Self::Relay(d) => d.hand_over(m).await,
            Self::Folder(f) => f.put(m).await,
        }
    }

    /// Closes the way.
    pub async fn close(self) {
        match self {
            Self::Relay(d) => d.quit().await,
            Self::Folder(_) => {}
        }
    }
}
