//! Why a letter cannot be made, or was not taken.

use thiserror::Error;

/// Why a letter cannot be made, or mail not be set up.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum MailError {
    /// The template needs a fact that is missing or of another kind: a letter is
    /// whole or not sent (MAIL-5).
    #[error("a letter {kind} needs {fact}")]
    Fact {
        /// The kind's name.
        kind: &'static str,
        /// Which.
        fact: &'static str,
    },
    /// An address that no message can carry (MAIL-5).
    #[error("{address:?} is no address that mail can be sent to")]
    Address {
        /// As it was given.
        address: String,
    },
    /// A relay's URL that is not understood. It holds a password: what is said of
    /// it never quotes it.
    #[error("mail: {reason}")]
    Relay {
        /// What is wrong.
        reason: &'static str,
    },
    /// A password would go over the network in the clear (MAIL-9).
    #[error("mail: a password goes to {host} over TLS only")]
    PasswordInClear {
        /// The relay.
        host: String,
    },
    /// The message cannot be put together.
    #[error("message: {reason}")]
    Message {
        /// What the library says.
        reason: String,
    },
}

/// What came of handing a letter over (MAIL-2).
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum SendError {
    /// It was not taken, and may be later.
    #[error("not now: {why}")]
    Later {
        /// What was said.
        why: String,
        /// Whether the way out itself is shut: no other letter would get
        /// through either.
        shut: bool,
    },
    /// It was refused for good.
    #[error("refused: {why}")]
    Refused {
        /// What was said.
        why: String,
    },
    /// It was handed over and the answer was lost: it may have been taken.
    #[error("no answer: {why}")]
    Unknown {
        /// What happened.
        why: String,
    },
}
