//! Linear programs: what a query computes, in public shape (rule LES-1), and
//! the plaintext integers it must equal.

use crate::{
    digest::{Digest, Domain},
    manifest::{MAX_COLUMNS, MAX_PUBLIC_COLUMNS, Manifest},
    wire::{Reader, WireError, Writer},
};
use serde::{Deserialize, Serialize};

/// The program version this program reads and writes.
pub const PROGRAM_VERSION: u16 = 1;
/// Weights of encrypted columns have magnitude below 2^24.
pub const MAX_WEIGHT_LOG2: u32 = 24;
/// Weights of public columns have magnitude below 2^40.
pub const MAX_PUBLIC_WEIGHT_LOG2: u32 = 40;
/// Most weight vectors in a program.
pub const MAX_VECTORS: u32 = 64;
/// Most outputs in a program.
pub const MAX_OUTPUTS: u32 = 1024;

/// Which committed matrix an output is evaluated over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "matrix", rename_all = "snake_case", deny_unknown_fields)]
pub enum MatrixRef {
    /// The traced aggregates of a segment: one value out.
    Traced {
        /// Segment index.
        segment: u32,
    },
    /// One chunk of a segment: a score for each of its rows.
    Chunk {
        /// Segment index.
        segment: u32,
        /// Chunk index within the segment.
        chunk: u32,
    },
}

/// Weights in the clear, or hidden behind a commitment.
///
/// A vector holds one weight for each encrypted column, then one for each
/// public column, in manifest order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "visibility", rename_all = "snake_case", deny_unknown_fields)]
pub enum Weights {
    /// Everybody sees them; nothing is proven but the evaluation.
    Public {
        /// The weights.
        #[serde(with = "crate::decimal::seq")]
        values: Vec<i64>,
    },
    /// Only buyer and pod see them.
    Private {
        /// M = Poseidon(tag_M, w, blinder_M), canonical little-endian bytes of Fr.
        commitment: Digest,
        /// B: public bound on sum |w_f| range_f over all columns, per row.
        #[serde(with = "crate::decimal")]
        l1_bound: u64,
        /// Q: public bound on sum w_f^2 over the encrypted columns.
        #[serde(with = "crate::decimal")]
        l2_bound: u64,
    },
}

/// One weight vector and how to read what it yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightVector {
    /// What the value is, for people ("mean prediction").
    pub label: String,
    /// The opened integer x stands for x / 2^scale_log2.
    pub scale_log2: i32,
    /// The weights.
    pub weights: Weights,
}

/// One output of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramOutput {
    /// What it is evaluated over.
    pub over: MatrixRef,
    /// Index of the weight vector.
    pub vector: u32,
}

/// A linear program in its public shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// [`PROGRAM_VERSION`].
    pub version: u16,
    /// The dataset root D the program is for.
    pub dataset: Digest,
    /// Weight vectors.
    pub vectors: Vec<WeightVector>,
    /// Outputs, in order; the index is bound into each proof.
    pub outputs: Vec<ProgramOutput>,
}

impl Program {
    /// The program hash of public records: covers the public shape only.
    pub fn shape(&self) -> Digest {
        Digest::of(Domain::Program, &self.encode())
    }

    /// The canonical binary form.
    pub fn encode(&self) -> Vec<u8> {
        let Self {
            version,
            dataset,
            vectors,
            outputs,
        } = self;
        let mut w = Writer::new();
        w.u16(*version).raw(&dataset.0).len(vectors.len());
        for v in vectors {
            write_vector(&mut w, v);
        }
        w.len(outputs.len());
        for ProgramOutput { over, vector } in outputs {
            match over {
                MatrixRef::Traced { segment } => w.u8(0).u32(*segment).u32(0),
                MatrixRef::Chunk { segment, chunk } => w.u8(1).u32(*segment).u32(*chunk),
            };
            w.u32(*vector);
        }
        w.finish()
    }

    /// Reads the canonical binary form.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let version = r.u16("program.version")?;
        if version != PROGRAM_VERSION {
            return Err(WireError::Version {
                field: "program.version",
                expected: u64::from(PROGRAM_VERSION),
                found: u64::from(version),
            });
        }
        let dataset = Digest(r.array("program.dataset")?);
        let vectors = (0..r.len("program.vectors", MAX_VECTORS)?)
            .map(|_| read_vector(&mut r))
            .collect::<Result<_, _>>()?;
        let outputs = (0..r.len("program.outputs", MAX_OUTPUTS)?)
            .map(|_| read_output(&mut r))
            .collect::<Result<_, _>>()?;
        r.finish("program")?;
        Ok(Self {
            version,
            dataset,
            vectors,
            outputs,
        })
    }

    /// Checks the program against a manifest: dataset, indices, counts, weight
    /// magnitudes, no repeated output (rules LES-1, ORD-4).
    pub fn validate(&self, manifest: &Manifest) -> Result<(), WireError> {
        if self.version != PROGRAM_VERSION {
            return Err(WireError::Version {
                field: "program.version",
                expected: u64::from(PROGRAM_VERSION),
                found: u64::from(self.version),
            });
        }
        if self.dataset != manifest.root() {
            return Err(invalid(
                "program.dataset",
                "is another dataset's root".into(),
            ));
        }
        bounded("program.vectors", self.vectors.len(), MAX_VECTORS)?;
        bounded("program.outputs", self.outputs.len(), MAX_OUTPUTS)?;
        for v in &self.vectors {
            check_vector(v, manifest)?;
        }
        let mut seen = std::collections::HashSet::new();
        for o in &self.outputs {
            if o.vector as usize >= self.vectors.len() {
                return Err(invalid(
                    "program.outputs",
                    format!("no weight vector {}", o.vector),
                ));
            }
            let (segment, chunk) = match o.over {
                MatrixRef::Traced { segment } => (segment, None),
                MatrixRef::Chunk { segment, chunk } => (segment, Some(chunk)),
            };
            let s = manifest
                .segments
                .get(segment as usize)
                .ok_or_else(|| invalid("program.outputs", format!("no segment {segment}")))?;
            if chunk.is_some_and(|c| c as usize >= s.chunks.len()) {
                return Err(invalid("program.outputs", format!("no chunk {chunk:?}")));
            }
            if !seen.insert((o.over, o.vector)) {
                return Err(invalid("program.outputs", "an output appears twice".into()));
            }
        }
        Ok(())
    }
}

pub(crate) fn write_vector(w: &mut Writer, v: &WeightVector) {
    let WeightVector {
        label,
        scale_log2,
        weights,
    } = v;
    w.str(label).i64(i64::from(*scale_log2));
    match weights {
        Weights::Public { values } => {
            w.u8(0).len(values.len());
            for v in values {
                w.i64(*v);
            }
        }
        Weights::Private {
            commitment,
            l1_bound,
            l2_bound,
        } => {
            w.u8(1).raw(&commitment.0).u64(*l1_bound).u64(*l2_bound);
        }
    }
}

pub(crate) fn check_vector(v: &WeightVector, m: &Manifest) -> Result<(), WireError> {
    if v.label.len() > crate::manifest::MAX_NAME as usize {
        return Err(WireError::TooLarge {
            field: "vector.label",
            limit: u64::from(crate::manifest::MAX_NAME),
            value: v.label.len() as u64,
        });
    }
    if v.scale_log2.unsigned_abs() > 128 {
        return Err(invalid(
            "vector.scale_log2",
            format!("{} is outside ±128", v.scale_log2),
        ));
    }
    match &v.weights {
        Weights::Public { values } => {
            if values.len() != m.columns.len() + m.public_columns.len() {
                return Err(invalid(
                    "vector.weights",
                    format!(
                        "{} weights for {} columns",
                        values.len(),
                        m.columns.len() + m.public_columns.len()
                    ),
                ));
            }
            for (i, w) in values.iter().enumerate() {
                let log2 = if i < m.columns.len() {
                    MAX_WEIGHT_LOG2
                } else {
                    MAX_PUBLIC_WEIGHT_LOG2
                };
                if w.unsigned_abs() >> log2 != 0 {
                    return Err(invalid(
                        "vector.weights",
                        format!("weight {w} has magnitude 2^{log2} or more"),
                    ));
                }
            }
            if values.iter().take(m.columns.len()).all(|w| *w == 0) {
                return Err(invalid(
                    "vector.weights",
                    "no encrypted column is weighted".into(),
                ));
            }
            Ok(())
        }
        Weights::Private {
            l1_bound, l2_bound, ..
        } => {
            if *l1_bound == 0 || *l1_bound >> 62 != 0 || *l2_bound == 0 || *l2_bound >> 56 != 0 {
                return Err(invalid(
                    "vector.bounds",
                    format!("l1 {l1_bound} outside 1..2^62 or l2 {l2_bound} outside 1..2^56"),
                ));
            }
            Ok(())
        }
    }
}

pub(crate) fn read_vector(r: &mut Reader<'_>) -> Result<WeightVector, WireError> {
    let label = r.str("vector.label", crate::manifest::MAX_NAME)?;
    let scale = r.i64("vector.scale_log2")?;
    let scale_log2 = i32::try_from(scale)
        .map_err(|_| invalid("vector.scale_log2", format!("{scale} does not fit 32 bits")))?;
    let weights = match r.u8("vector.visibility")? {
        0 => {
            let n = r.len("vector.weights", MAX_COLUMNS + MAX_PUBLIC_COLUMNS)?;
            Weights::Public {
                values: (0..n)
                    .map(|_| r.i64("vector.weights"))
                    .collect::<Result<_, _>>()?,
            }
        }
        1 => Weights::Private {
            commitment: Digest(r.array("vector.commitment")?),
            l1_bound: r.u64("vector.l1_bound")?,
            l2_bound: r.u64("vector.l2_bound")?,
        },
        v => {
            return Err(invalid(
                "vector.visibility",
                format!("unknown visibility {v}"),
            ));
        }
    };
    Ok(WeightVector {
        label,
        scale_log2,
        weights,
    })
}

fn read_output(r: &mut Reader<'_>) -> Result<ProgramOutput, WireError> {
    let tag = r.u8("output.matrix")?;
    let segment = r.u32("output.segment")?;
    let chunk = r.u32("output.chunk")?;
    let over = match (tag, chunk) {
        (0, 0) => MatrixRef::Traced { segment },
        (1, _) => MatrixRef::Chunk { segment, chunk },
        _ => {
            return Err(invalid(
                "output.matrix",
                format!("unknown matrix {tag}/{chunk}"),
            ));
        }
    };
    Ok(ProgramOutput {
        over,
        vector: r.u32("output.vector")?,
    })
}

pub(crate) fn bounded(field: &'static str, n: usize, most: u32) -> Result<(), WireError> {
    if n == 0 {
        return Err(invalid(field, "is empty".into()));
    }
    if n > most as usize {
        return Err(WireError::TooLarge {
            field,
            limit: u64::from(most),
            value: n as u64,
        });
    }
    Ok(())
}

fn invalid(field: &'static str, reason: String) -> WireError {
    WireError::Invalid { field, reason }
}
