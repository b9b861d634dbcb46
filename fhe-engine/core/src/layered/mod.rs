//! Layered programs: what a query with non-linear steps computes for each row
//! (protocol section 4; rules PRG-1..12 of docs/spec/programs.md).
//!
//! A program is a list of weight vectors over the dataset's columns and a list
//! of layers over them. Each vector and each cell of a layer makes one wire; wires are
//! numbered in the order in which they are made. Everything is an integer
//! modulo a power of two, so that the integer simulation ([`simulate_layered`])
//! and the homomorphic evaluation agree to the last bit.
//!
//! Written by the buyer's client (fhe-engine/onnx lowers models to it), checked
//! by server, pod and key nodes, evaluated by pods.

mod error;
mod infer;
mod noise;
mod simulate;
mod wire;

pub use error::LayeredError;
pub use infer::{Analysis, Cost, Part, WireKind, WireType};
pub use noise::{Noise, NoiseModel};
pub use simulate::simulate_layered;

use crate::{
    digest::{Digest, Domain},
    program::WeightVector,
};
use serde::{Deserialize, Serialize};

/// The version of layered programs that this program reads and writes.
pub const LAYERED_VERSION: u16 = 1;
/// Most weight vectors over the dataset's columns.
pub const MAX_FIRST_VECTORS: u32 = 1024;
/// Most chunks a program runs over.
pub const MAX_OVER: u32 = 16_384;
/// Most layers.
pub const MAX_LAYERS: u32 = 64;
/// Most cells in one layer.
pub const MAX_CELLS: u32 = 16_384;
/// Most terms in one accumulator.
pub const MAX_TERMS: u32 = 4_096;
/// Most terms in a program.
pub const MAX_ALL_TERMS: u32 = 1 << 20;
/// Most distinct tables.
pub const MAX_TABLES: u32 = 16_384;
/// Most outputs.
pub const MAX_LAYERED_OUTPUTS: u32 = 64;
/// Weights of wires have magnitude below 2^24, like those of columns.
pub const MAX_TERM_LOG2: u32 = 24;
/// Constants have magnitude below 2^40, like weights of public columns.
pub const MAX_CONSTANT_LOG2: u32 = 40;
/// p of an accumulator, a wire read modulo 2^p, at most.
pub const MAX_MODULUS_LOG2: u32 = 40;
/// A table reads 5 bits: 16 entries, and their negatives above (PRG-5).
pub const TABLE_INPUT_LOG2: u32 = 5;
/// Entries of a table.
pub const TABLE_ENTRIES: usize = 16;

/// Index of a wire.
pub type Wire = u32;

/// One chunk of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunkRef {
    /// Segment index.
    pub segment: u32,
    /// Chunk index within the segment.
    pub chunk: u32,
}

/// One accumulator of a Linear layer: constant + sum of weight times wire,
/// modulo 2^p (PRG-3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accumulator {
    /// Wires, ascending, and their weights, none zero.
    pub terms: Vec<(Wire, i32)>,
    /// The constant.
    #[serde(with = "crate::decimal")]
    pub constant: i64,
    /// Whether rows may exceed the modulus; their readings wrap around, exactly
    /// as in the simulation (PRG-7).
    pub wraps: bool,
}

/// A negacyclic table over Z/32 in half units (PRG-5): an input m reads
/// (entries[m] + offset) / 2 below 16 and (-entries[m - 16] + offset) / 2 above.
/// Half units let a sign be the bit 0 or 1; entries and offset have one parity.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Twice the amplitude at each reading.
    pub entries: [i32; TABLE_ENTRIES],
    /// Twice what is added to it.
    pub offset: i32,
}

impl Table {
    /// The table of whole values `f(0..16)`; above, their negatives.
    pub fn odd(values: [i32; TABLE_ENTRIES]) -> Self {
        Self {
            entries: values.map(|v| v.saturating_mul(2)),
            offset: 0,
        }
    }
    /// 1 for readings below 16 and 0 above: whether a signed number of five
    /// bits is not negative, times `weight`.
    pub fn not_negative(weight: i32) -> Self {
        Self {
            entries: [weight; TABLE_ENTRIES],
            offset: weight,
        }
    }
    /// What it gives for a reading.
    pub fn value(&self, reading: i128) -> i128 {
        let m = reading.rem_euclid(1 << TABLE_INPUT_LOG2) as usize;
        let amplitude = match self.entries.get(m) {
            Some(e) => i128::from(*e),
            None => -self
                .entries
                .get(m - TABLE_ENTRIES)
                .map_or(0, |e| i128::from(*e)),
        };
        (amplitude + i128::from(self.offset)).div_euclid(2)
    }
}

/// One table applied to one wire: one bootstrap a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LutCell {
    /// What it reads.
    pub input: Wire,
    /// Index of the table.
    pub table: u32,
}

/// One layer; each cell makes one wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "layer", rename_all = "snake_case", deny_unknown_fields)]
pub enum Layer {
    /// Weighted sums of first wires and table outputs, read modulo 2^p (PRG-3).
    Linear {
        /// p.
        modulus_log2: u32,
        /// The sums.
        cells: Vec<Accumulator>,
    },
    /// Removes the low bits of accumulators until five are left (PRG-4).
    Requantise {
        /// Widest digit removed at once, 1 to 5 bits: narrower digits leave
        /// more room for noise and cost more bootstraps.
        digit_log2: u32,
        /// The accumulators.
        cells: Vec<Wire>,
    },
    /// Tables (PRG-5).
    Lut {
        /// p of what they give.
        modulus_log2: u32,
        /// Which table reads which wire.
        cells: Vec<LutCell>,
    },
    /// Sums over the true rows of each chunk (PRG-6).
    Sum {
        /// What is added up.
        cells: Vec<Wire>,
    },
}

impl Layer {
    /// Wires that it makes.
    pub fn cells(&self) -> usize {
        match self {
            Self::Linear { cells, .. } => cells.len(),
            Self::Requantise { cells, .. } | Self::Sum { cells } => cells.len(),
            Self::Lut { cells, .. } => cells.len(),
        }
    }
}

/// A wire whose value is opened: for each row, or for each chunk if it is a sum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayeredOutput {
    /// What the value is, for people.
    pub label: String,
    /// The opened integer x stands for x / 2^scale_log2.
    pub scale_log2: i32,
    /// The wire.
    pub wire: Wire,
}

/// A layered program in its public shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayeredProgram {
    /// [`LAYERED_VERSION`].
    pub version: u16,
    /// The dataset root D the program is for.
    pub dataset: Digest,
    /// The chunks it runs over, ascending.
    pub over: Vec<ChunkRef>,
    /// Weight vectors over the columns; each makes a wire. These alone may be
    /// private (PRG-12).
    pub first: Vec<WeightVector>,
    /// The tables that Lut layers name, each once.
    pub tables: Vec<Table>,
    /// The layers.
    pub layers: Vec<Layer>,
    /// What is opened.
    pub outputs: Vec<LayeredOutput>,
}

impl LayeredProgram {
    /// The program hash of public records: covers the public shape only
    /// (PRG-12).
    pub fn shape(&self) -> Digest {
        Digest::of(
            Domain::Other("veilbourse v1 layered program shape"),
            &self.encode(),
        )
    }
}

/// Widths of the digits that Requantise removes from p bits, in order: the
/// widest that is allowed, the remainder last (PRG-4).
pub fn digits(modulus_log2: u32, digit_log2: u32) -> Vec<u32> {
    let widest = digit_log2.clamp(1, TABLE_INPUT_LOG2);
    let mut left = modulus_log2.saturating_sub(TABLE_INPUT_LOG2);
    let mut out = Vec::new();
    while left > 0 {
        let d = left.min(widest);
        out.push(d);
        left -= d;
    }
    out
}

/// Bootstraps of one Requantise: a digit of one bit is a sign, one bootstrap;
/// a wider one takes its top bit first, so that a table with a free padding
/// bit can read the rest: two (PRG-4, PRG-10).
pub fn requantise_bootstraps(modulus_log2: u32, digit_log2: u32) -> u64 {
    digits(modulus_log2, digit_log2)
        .into_iter()
        .map(|d| if d == 1 { 1 } else { 2 })
        .sum()
}

#[cfg(test)]
mod tests;
