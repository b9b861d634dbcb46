//! The first gate (PRG-13): counts the repeated messages of a file before
//! anything is decoded, so that a small file cannot make large structures.

use crate::error::OnnxError;

/// Largest file.
pub const MAX_MODEL_BYTES: usize = 8 << 20;
/// Most nodes in a graph.
pub const MAX_NODES: u64 = 4_096;
/// Most constants.
pub const MAX_CONSTANTS: u64 = 4_096;
/// Most attributes of a node.
pub const MAX_ATTRIBUTES: u64 = 64;
/// Most entries (of any repeated field that is not packed) in another message.
pub const MAX_ENTRIES: u64 = 1 << 20;

/// What a message is, as far as its counts go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    /// Anything else: only its entries are counted.
    Other,
}

impl Kind {
    /// The kind of a field, and most of it in one message.
    fn field(self, number: u64) -> (Self, u64, &'static str) {
        match (self, number) {
            (Self::Model, 7) => (Self::Graph, 1, "graphs"),
            (Self::Model, _) => (Self::Other, 256, "entries of the model"),
            (Self::Graph, 1) => (Self::Node, MAX_NODES, "nodes"),
            (Self::Graph, 5) => (Self::Other, MAX_CONSTANTS, "constants"),
            (Self::Graph, _) => (Self::Other, MAX_CONSTANTS, "entries of the graph"),
            (Self::Node, 5) => (Self::Attribute, MAX_ATTRIBUTES, "attributes of a node"),
            (Self::Node, _) => (Self::Other, MAX_CONSTANTS, "entries of a node"),
            (Self::Attribute | Self::Other, _) => (Self::Other, MAX_ENTRIES, "entries"),
        }
    }
}

/// Checks sizes and counts.
pub fn check(bytes: &[u8]) -> Result<(), OnnxError> {
    if bytes.len() > MAX_MODEL_BYTES {
        return Err(OnnxError::TooLarge {
            field: "model",
            limit: MAX_MODEL_BYTES as u64,
            value: bytes.len() as u64,
        });
    }
    message(bytes, Kind::Model)
}

fn message(mut rest: &[u8], kind: Kind) -> Result<(), OnnxError> {
    let mut counts = std::collections::HashMap::new();
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let (number, wire) = (key >> 3, key & 7);
        let (inner, limit, field) = kind.field(number);
        let count: &mut u64 = counts.entry(number).or_default();
        *count += 1;
        if *count > limit {
            return Err(OnnxError::TooLarge {
                field,
                limit,
                value: *count,
            });
        }
        match wire {
            0 => {
                varint(&mut rest)?;
            }
            1 => skip(&mut rest, 8).map(|_| ())?,
            5 => skip(&mut rest, 4).map(|_| ())?,
            2 => {
                let n = varint(&mut rest)?;
                let body = skip(&mut rest, n)?;
                if !matches!(inner, Kind::Other) {
                    message(body, inner)?;
                }
            }
            _ => return Err(OnnxError::Protobuf(format!("wire type {wire}"))),
        }
    }
    Ok(())
}

fn skip<'a>(rest: &mut &'a [u8], n: u64) -> Result<&'a [u8], OnnxError> {
    let split = usize::try_from(n)
        .ok()
        .and_then(|n| rest.split_at_checked(n));
    let Some((head, tail)) = split else {
        return Err(OnnxError::Protobuf(format!(
            "a field of {n} bytes, {} are left",
            rest.len()
        )));
    };
    *rest = tail;
    Ok(head)
}

fn varint(rest: &mut &[u8]) -> Result<u64, OnnxError> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let Some((byte, tail)) = rest.split_first() else {
            return Err(OnnxError::Protobuf("ends within a number".into()));
        };
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(OnnxError::Protobuf(
        "a number of more than ten bytes".into(),
    ))
}
