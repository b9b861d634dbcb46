//! What can go wrong at a custodian's or a buyer's.

use thiserror::Error;
use veilbourse_documents::{DocumentError, Key};
use veilbourse_protocol::ProtocolError;

/// A client failure, one variant a cause.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The server answered with a GraphQL or HTTP error.
    #[error("{operation}: {message} [{code}]")]
    Server {
        /// The operation asked for.
        operation: String,
        /// Stable error code.
        code: String,
        /// The server's message.
        message: String,
        /// What it said beside: an object with `status`, `field`, `limit`,
        /// `value`, `retryAfterSeconds`, as they apply.
        details: serde_json::Value,
    },
    /// The server could not be reached or its answer could not be read.
    #[error("{operation}: {source}")]
    Transport {
        /// The operation asked for.
        operation: String,
        /// The cause.
        source: crate::http::TransportError,
    },
    /// No complete answer in time.
    #[error("{operation}: no complete answer within the limit of {seconds} s")]
    Timeout {
        /// The operation asked for.
        operation: String,
        /// The limit.
        seconds: u64,
    },
    /// An answer with more bytes than one of its kind may have.
    #[error("{operation}: the {field} has {value} bytes or more, the limit is {limit}")]
    TooLarge {
        /// The operation asked for.
        operation: String,
        /// Which part.
        field: &'static str,
        /// Most bytes.
        limit: u64,
        /// Bytes announced or read.
        value: u64,
    },
    /// The answer is not what the interface promises.
    #[error("{operation}: unexpected answer: {reason}")]
    Answer {
        /// The operation asked for.
        operation: String,
        /// What was expected and what came.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The path.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// Tickets that are not dealt.
    #[error(transparent)]
    Dealing(Box<crate::dealing::DealingError>),
    /// A joint order that is none (ORD-8).
    #[error("joint order: {0}")]
    Joint(#[from] crate::buyer::JointRefusal),
    /// An opened result that is none of the program's.
    #[error("result: {0}")]
    Result(#[from] ResultError),
    /// Something from the server or a file does not hold.
    #[error("{what}: {reason}")]
    Refused {
        /// What was checked.
        what: &'static str,
        /// What was expected and what was found.
        reason: String,
    },
}

/// What an opened result has that the program's result cannot have.
#[derive(Debug, Error, Clone, PartialEq)]
pub enum ResultError {
    /// Another number of outputs.
    #[error("{found} outputs, the program has {expected}")]
    Outputs {
        /// Of the program.
        expected: usize,
        /// Opened.
        found: usize,
    },
    /// Another number of values in an output.
    #[error("output {output}: {found} values, by the manifest there are {expected}")]
    Values {
        /// Which.
        output: usize,
        /// By the manifest.
        expected: u32,
        /// Opened.
        found: usize,
    },
    /// A value that no data within the listed ranges have.
    #[error("output {output}: value {index} is {value}, at most {limit} in magnitude is possible")]
    Range {
        /// Which output.
        output: usize,
        /// Which value.
        index: usize,
        /// Opened.
        value: i64,
        /// Rows times weights times ranges.
        limit: u128,
    },
    /// The orders of a joint one were opened by other quorums, or there is none.
    #[error("the orders were not opened by one quorum")]
    Quorums,
    /// Not an opening of every node of the quorum.
    #[error("{found} openings, the quorum has {expected} nodes")]
    Openings {
        /// Nodes.
        expected: usize,
        /// Found.
        found: usize,
    },
    /// Not a delivery of every node of the quorum.
    #[error("{found} deliveries, the quorum has {expected} nodes")]
    Deliveries {
        /// Nodes.
        expected: usize,
        /// Found.
        found: usize,
    },
    /// Not the masks of every node of the quorum.
    #[error("masks of {found} nodes, the quorum has {expected}")]
    Masks {
        /// Nodes.
        expected: usize,
        /// Found.
        found: usize,
    },
    /// An opening or delivery in the place of another node's.
    #[error("{what} by node {found} in the place of node {expected}")]
    Place {
        /// Opening or delivery.
        what: &'static str,
        /// Whose place it is.
        expected: Key,
        /// Who signed.
        found: Key,
    },
    /// A node that signed something else than the first.
    #[error("node {node} signed another opening than the first node")]
    OpeningDiffers {
        /// Which.
        node: Key,
    },
    /// A masked result that cannot be read.
    #[error("masked result: {0}")]
    Masked(Box<DocumentError>),
    /// Masked words that the nodes did not sign.
    #[error("the masked words are not those that the nodes signed")]
    MaskedWords,
    /// Commitments that the custodian did not sign (TKT-5).
    #[error("the commitments are not under the root that the custodian signed: {0}")]
    Commitments(ProtocolError),
    /// Sealed masks that their node did not sign.
    #[error("the masks of node {node} are not what it signed")]
    MasksDigest {
        /// Which.
        node: Key,
    },
    /// Masks sealed for something else, or to somebody else.
    #[error("node {node}: {cause}")]
    Sealed {
        /// Which.
        node: Key,
        /// Why.
        cause: Box<DocumentError>,
    },
    /// Another number of mask shares than values.
    #[error("node {node} gave {found} mask shares, {expected} values were opened")]
    MaskCount {
        /// Which.
        node: Key,
        /// Values.
        expected: u64,
        /// Shares.
        found: u64,
    },
    /// A mask share that is not the dealt one: that node lied (OPN-3).
    #[error("node {node} lied: its mask share of value {value} is not the dealt one")]
    MaskShare {
        /// Which.
        node: Key,
        /// The value's number in the order.
        value: u64,
    },
    /// Something else of the unmasking.
    #[error(transparent)]
    Protocol(ProtocolError),
    /// Another number of values than the key node signed for.
    #[error("{found} values, the key node signed that it opened {signed}")]
    Delivered {
        /// In the delivery.
        signed: u64,
        /// Opened.
        found: u64,
    },
}

impl ClientError {
    /// The stable code of a server error, if it is one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Server { code, .. } => Some(code),
            _ => None,
        }
    }

    pub(crate) fn refused(what: &'static str, reason: impl ToString) -> Self {
        Self::Refused {
            what,
            reason: reason.to_string(),
        }
    }

    pub(crate) fn file(path: &std::path::Path, source: std::io::Error) -> Self {
        Self::File {
            path: path.display().to_string(),
            source,
        }
    }
}
