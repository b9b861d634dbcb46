//! A checked graph: operators with typed parameters, constants, inputs and
//! outputs (PRG-13). Everything else of the crate works on this.

use crate::{
    attributes::Attributes,
    constant::Constant,
    error::{OnnxError, Place},
    gate,
    ops::{self, Op},
    proto::ModelProto,
};
use prost::Message;
use std::collections::{HashMap, HashSet};

/// Most input features.
pub const MAX_FEATURES: usize = 1_024;

/// Widest row of a tensor.
pub const MAX_WIDTH: usize = 4_096;
/// Most weights that the walk through a graph may hold.
pub const MAX_WEIGHTS: usize = 1 << 24;

/// One operator.
#[derive(Debug, Clone)]
pub struct Node {
    /// Name and operator, for refusals.
    pub place: Place,
    /// What it does.
    pub op: Op,
    /// Tensors it reads.
    pub inputs: Vec<String>,
    /// Tensors it makes.
    pub outputs: Vec<String>,
}

/// A graph over one row: its inputs, in order, are the features.
#[derive(Debug, Clone)]
pub struct Graph {
    /// Who wrote the file.
    pub producer: String,
    /// Inputs: name and width.
    pub inputs: Vec<(String, usize)>,
    /// Constants by name.
    pub constants: HashMap<String, Constant>,
    /// Operators, each after what it reads.
    pub nodes: Vec<Node>,
    /// Names of the outputs.
    pub outputs: Vec<String>,
}

impl Graph {
    /// Reads an ONNX file.
    pub fn read(bytes: &[u8]) -> Result<Self, OnnxError> {
        gate::check(bytes)?;
        let model = ModelProto::decode(bytes).map_err(|e| OnnxError::Protobuf(e.to_string()))?;
        let graph = model.graph.ok_or(OnnxError::Missing("graph"))?;
        let mut constants = HashMap::new();
        for t in &graph.initializer {
            constants.insert(t.name.clone(), Constant::read(t)?);
        }
        let mut inputs = Vec::new();
        for v in &graph.input {
            // Older files list the constants among the inputs.
            if constants.contains_key(&v.name) {
                continue;
            }
            let shape = v
                .r#type
                .as_ref()
                .and_then(|t| t.tensor_type.as_ref())
                .and_then(|t| t.shape.as_ref());
            let width = match shape.map(|s| s.dim.as_slice()) {
                Some([_]) => 1,
                Some([_, d]) => usize::try_from(d.dim_value).unwrap_or(0),
                _ => 0,
            };
            if width == 0 {
                return Err(OnnxError::Missing("input of shape [rows, features]"));
            }
            inputs.push((v.name.clone(), width));
        }
        if inputs.is_empty() {
            return Err(OnnxError::Missing("input"));
        }
        let features: u64 = inputs.iter().map(|(_, w)| *w as u64).sum();
        if features > MAX_FEATURES as u64 {
            return Err(OnnxError::TooLarge {
                field: "features",
                limit: MAX_FEATURES as u64,
                value: features,
            });
        }
        let mut known: HashSet<String> = inputs.iter().map(|(n, _)| n.clone()).collect();
        let mut nodes = Vec::new();
        for (i, n) in graph.node.iter().enumerate() {
            let place = Place {
                node: if n.name.is_empty() {
                    format!("#{i}")
                } else {
                    n.name.clone()
                },
                operator: if n.domain.is_empty() {
                    n.op_type.clone()
                } else {
                    format!("{}.{}", n.domain, n.op_type)
                },
            };
            let op = ops::read(&place, n, &Attributes::new(&place, &n.attribute)?)?;
            for name in n.input.iter().filter(|s| !s.is_empty()) {
                if !known.contains(name) && !constants.contains_key(name) {
                    return Err(OnnxError::NoTensor {
                        place,
                        tensor: name.clone(),
                    });
                }
            }
            if let (Op::Constant(c), Some(name)) = (&op, n.output.first()) {
                constants.insert(name.clone(), c.clone());
                continue;
            }
            known.extend(n.output.iter().filter(|s| !s.is_empty()).cloned());
            nodes.push(Node {
                place,
                op,
                inputs: n.input.clone(),
                outputs: n.output.clone(),
            });
        }
        let outputs: Vec<String> = graph.output.iter().map(|v| v.name.clone()).collect();
        if outputs.is_empty() {
            return Err(OnnxError::Missing("output"));
        }
        Ok(Self {
            producer: model.producer_name,
            inputs,
            constants,
            nodes,
            outputs,
        })
    }

    /// Features of a row.
    pub fn features(&self) -> usize {
        self.inputs.iter().map(|(_, w)| w).sum()
    }
}
