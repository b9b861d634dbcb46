//! Refusals of layered programs, one a rule (docs/spec/programs.md).

use crate::wire::WireError;
use thiserror::Error;

/// Why a layered program is not admissible.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum LayeredError {
    /// PRG-1: shape, limits, dataset, the first layer's vectors.
    #[error(transparent)]
    Shape(#[from] WireError),
    /// PRG-2: a layer reads a wire that is not made before it.
    #[error("{place}: wire {wire} is not made before it ({made} are)")]
    NoSuchWire {
        /// Where.
        place: String,
        /// The wire.
        wire: u32,
        /// Wires made by then.
        made: u32,
    },
    /// PRG-2: a layer reads a wire of a kind that it does not take.
    #[error("{place}: wire {wire} is {found}, expected {expected}")]
    WrongKind {
        /// Where.
        place: String,
        /// The wire.
        wire: u32,
        /// What it takes.
        expected: &'static str,
        /// What the wire is.
        found: &'static str,
    },
    /// PRG-2: a wire that nothing reads.
    #[error("wire {wire} is read by nothing")]
    Unused {
        /// The wire.
        wire: u32,
    },
    /// PRG-2: a table that no cell names, or that is there twice.
    #[error("table {table} is {what}")]
    SpareTable {
        /// The table.
        table: u32,
        /// "named by no cell" or "there twice".
        what: &'static str,
    },
    /// PRG-3: terms must ascend, without zero weights.
    #[error("{place}: wire {wire} is out of order, repeated, or has weight zero")]
    Terms {
        /// Where.
        place: String,
        /// The wire.
        wire: u32,
    },
    /// PRG-3, PRG-5: a weight, constant or table entry exceeds its limit.
    #[error("{place}: {what} {value} has magnitude 2^{limit_log2} or more")]
    Magnitude {
        /// Where.
        place: String,
        /// Weight, constant or entry.
        what: &'static str,
        /// The value.
        value: i64,
        /// The limit's logarithm.
        limit_log2: u32,
    },
    /// PRG-3, PRG-4, PRG-5: p is outside what the step allows.
    #[error("{place}: modulus 2^{found} is outside 2^{least}..=2^{most}")]
    Modulus {
        /// Where.
        place: String,
        /// p.
        found: u32,
        /// Least p.
        least: u32,
        /// Greatest p.
        most: u32,
    },
    /// PRG-4: digits have one to five bits.
    #[error("{place}: digits of {found} bits, 1 to 5 are possible")]
    Digit {
        /// Where.
        place: String,
        /// Bits.
        found: u32,
    },
    /// PRG-5: entries and offset of one parity.
    #[error("table {table}: entry {entry} and the offset differ in parity")]
    Parity {
        /// The table.
        table: u32,
        /// The entry's index.
        entry: u32,
    },
    /// PRG-7: an accumulator that is not declared to wrap can exceed its modulus.
    #[error("{place}: values reach {least}..={greatest}, beyond modulus 2^{modulus_log2}")]
    Overflow {
        /// Where.
        place: String,
        /// Least value.
        least: i128,
        /// Greatest value.
        greatest: i128,
        /// p.
        modulus_log2: u32,
    },
    /// PRG-8: a table's reading is not reliable.
    #[error(
        "{place}: noise reaches {reach} of the {room} words around a reading of {digit_log2} bits"
    )]
    Reading {
        /// Where.
        place: String,
        /// 13.4 deviations and the deterministic part, in words.
        reach: u128,
        /// Half a box.
        room: u128,
        /// Bits read.
        digit_log2: u32,
    },
    /// PRG-9: an opened value may wrap.
    #[error("output {output}: values reach {bound}, the limit is 2^{limit_log2}")]
    OutputMessage {
        /// Output index.
        output: u32,
        /// Greatest magnitude.
        bound: u128,
        /// p - 2.
        limit_log2: u32,
    },
    /// PRG-9: an opened value's noise may reach the message.
    #[error("output {output}: the noise reaches {bound} words, the limit is 2^{limit_log2}")]
    OutputNoise {
        /// Output index.
        output: u32,
        /// 13.4 deviations and the deterministic part.
        bound: u128,
        /// k - 1 = 63 - p.
        limit_log2: u32,
    },
}
