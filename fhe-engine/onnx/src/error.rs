//! Refusals of models (PRG-13, PRG-14), each with its place.

use thiserror::Error;
use veilbourse_core::layered::LayeredError;

/// A node of the graph, for people: its name (or number) and operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The node's name; `#3` for the fourth node if it has none.
    pub node: String,
    /// The operator, with its domain if it is not ONNX's own.
    pub operator: String,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "node {:?} ({})", self.node, self.operator)
    }
}

/// Why a model is not read, evaluated or lowered.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum OnnxError {
    /// PRG-13: a size or count exceeds its limit.
    #[error("{field}: {value} exceeds the limit {limit}")]
    TooLarge {
        /// What.
        field: &'static str,
        /// The limit.
        limit: u64,
        /// The value.
        value: u64,
    },
    /// PRG-13: the bytes are not a protobuf message of ONNX.
    #[error("not an ONNX model: {0}")]
    Protobuf(String),
    /// PRG-13: a part that every model has is not there.
    #[error("the model has no {0}")]
    Missing(&'static str),
    /// PRG-13: an operator that is not supported.
    #[error("{place} is not supported: {reason}")]
    Operator {
        /// The node.
        place: Place,
        /// Why.
        reason: String,
    },
    /// PRG-13: an attribute, or a value of one, that is not supported.
    #[error("{place}: attribute {attribute:?}: {reason}")]
    Attribute {
        /// The node.
        place: Place,
        /// The attribute.
        attribute: String,
        /// Why.
        reason: String,
    },
    /// PRG-13: a constant that cannot be read.
    #[error("constant {name:?}: {reason}")]
    Constant {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// PRG-13: a tensor that nothing before it makes.
    #[error("{place} reads {tensor:?}, which nothing before it makes")]
    NoTensor {
        /// The node.
        place: Place,
        /// The tensor.
        tensor: String,
    },
    /// PRG-13: shapes that do not belong together.
    #[error("{place}: {reason}")]
    Shape {
        /// The node.
        place: Place,
        /// Why.
        reason: String,
    },
    /// PRG-13: a number that is not finite.
    #[error("{place}: a number is not finite")]
    NotFinite {
        /// Node or constant.
        place: String,
    },
    /// PRG-14: the graph is read, but is no program of one score.
    #[error("output {output:?}: {reason}")]
    NoScore {
        /// The graph's output.
        output: String,
        /// Why.
        reason: String,
    },
    /// PRG-14: a row, a list of columns or calibration data has the wrong size.
    #[error("{field}: {found} given, {expected} expected")]
    Count {
        /// What.
        field: &'static str,
        /// Expected.
        expected: usize,
        /// Given.
        found: usize,
    },
    /// PRG-14: a model without a non-linear step: a linear program does it.
    #[error("the model is linear and its value is asked for: that is a linear program")]
    Linear,
    /// PRG-14: no quantisation fits.
    #[error("{what} does not fit {available_bits} bits")]
    Precision {
        /// What.
        what: &'static str,
        /// Bits.
        available_bits: u32,
    },
    /// PRG-14: the program that came out is not admissible.
    #[error(transparent)]
    Program(#[from] LayeredError),
}
