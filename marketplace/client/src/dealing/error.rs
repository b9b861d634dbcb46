//! Why tickets are not dealt.

use thiserror::Error;
use veilbourse_core::{digest::Digest, wire::WireError};
use veilbourse_privacy::PrivacyError;
use veilbourse_protocol::ProtocolError;

/// A refusal to plan or deal, one variant a rule.
#[derive(Debug, Error, Clone, PartialEq)]
pub enum DealingError {
    /// Noise, sensitivity or its cost (PRV-2, PRV-7).
    #[error("class {class:?}: {cause}")]
    Noise {
        /// The class's name.
        class: String,
        /// Why.
        cause: PrivacyError,
    },
    /// The class's figures (TKT-1).
    #[error("class {class:?}: {cause}")]
    Class {
        /// The class's name.
        class: String,
        /// Why.
        cause: ProtocolError,
    },
    /// A class planned before under this name is another one.
    #[error("class {class:?} was dealt with another k, sensitivity or noise; give it another name")]
    ClassChanged {
        /// The class's name.
        class: String,
    },
    /// The same class under two names.
    #[error("class {class:?} is the same as class {other:?}")]
    ClassTwice {
        /// The class's name.
        class: String,
        /// The one before.
        other: String,
    },
    /// A class for another k than the dataset's (TKT-1).
    #[error("class {class:?} is for k = {found}, the dataset has k = {expected}")]
    K {
        /// The class's name.
        class: String,
        /// The dataset's.
        expected: u8,
        /// The class's.
        found: u8,
    },
    /// A column that the dataset does not have.
    #[error("class {class:?}: the dataset has no column {column:?}")]
    Column {
        /// The class's name.
        class: String,
        /// Asked for.
        column: String,
    },
    /// Nothing is asked for.
    #[error("no class with tickets is asked for")]
    Nothing,
    /// A number of tickets beyond what an epoch has numbers for (TKT-5).
    #[error(
        "quorum {quorum:?}, epoch {epoch}: {value} tickets, an epoch has numbers for {limit}; deal the quorum anew"
    )]
    Numbers {
        /// Whose.
        quorum: Vec<u8>,
        /// Its epoch.
        epoch: u32,
        /// With what is asked for.
        value: u64,
        /// The most.
        limit: u64,
    },
    /// Too many epochs, classes or dealings.
    #[error("{value} {what}; the limit is {limit}")]
    Limit {
        /// Of what.
        what: &'static str,
        /// The most.
        limit: u64,
        /// Asked for.
        value: u64,
    },
    /// Planned and not dealt yet: to be finished first, as it was planned.
    #[error("{count} dealings are planned and not dealt yet; they come first")]
    Unfinished {
        /// How many.
        count: usize,
    },
    /// A quorum that the committee does not have.
    #[error("{quorum:?} is no quorum of the committee ({threshold} of {nodes})")]
    Quorum {
        /// Named.
        quorum: Vec<u8>,
        /// t.
        threshold: u8,
        /// n.
        nodes: usize,
    },
    /// A dealing planned for other nodes than the committee's.
    #[error(
        "quorum {quorum:?} was planned for other nodes than the committee file names; deal with the file that it was planned with"
    )]
    Committee {
        /// Whose.
        quorum: Vec<u8>,
    },
    /// The committee itself (SHR-1).
    #[error("committee: {0}")]
    Protocol(#[from] ProtocolError),
    /// A dealer's folder of another dataset.
    #[error("the dealer's folder is of dataset {found}, this is {expected}")]
    Dataset {
        /// This one.
        expected: Digest,
        /// The folder's.
        found: Digest,
    },
    /// A dealing that is not in the plan, or not dealt.
    #[error("dealing {dealing} is not among those dealt here")]
    Unknown {
        /// Which.
        dealing: Digest,
    },
    /// A class that is not asked for as one can be (TKT-1).
    #[error("class {class:?}: {reason}")]
    Ask {
        /// Which.
        class: String,
        /// Why.
        reason: &'static str,
    },
    /// What a node was sent, or a file holds, is not what it must be.
    #[error("{what}: {cause}")]
    Form {
        /// What.
        what: &'static str,
        /// Why.
        cause: WireError,
    },
}
