//! The canonical binary form of a layered program (PRG-1): one encoding a
//! value, limits before allocation, every refusal a [`WireError`].

use super::{
    Accumulator, ChunkRef, LAYERED_VERSION, Layer, LayeredOutput, LayeredProgram, LutCell,
    MAX_ALL_TERMS, MAX_CELLS, MAX_FIRST_VECTORS, MAX_LAYERED_OUTPUTS, MAX_LAYERS, MAX_OVER,
    MAX_TABLES, MAX_TERMS, TABLE_ENTRIES, Table,
};
use crate::{
    digest::Digest,
    manifest::MAX_NAME,
    program::{read_vector, write_vector},
    wire::{Reader, WireError, Writer},
};

impl LayeredProgram {
    /// The canonical binary form.
    pub fn encode(&self) -> Vec<u8> {
        let Self {
            version,
            dataset,
            over,
            first,
            tables,
            layers,
            outputs,
        } = self;
        let mut w = Writer::new();
        w.u16(*version).raw(&dataset.0).len(over.len());
        for ChunkRef { segment, chunk } in over {
            w.u32(*segment).u32(*chunk);
        }
        w.len(first.len());
        for v in first {
            write_vector(&mut w, v);
        }
        w.len(tables.len());
        for Table { entries, offset } in tables {
            for e in entries.iter().chain([offset]) {
                w.raw(&e.to_le_bytes());
            }
        }
        w.len(layers.len());
        for layer in layers {
            write_layer(&mut w, layer);
        }
        w.len(outputs.len());
        for LayeredOutput {
            label,
            scale_log2,
            wire,
        } in outputs
        {
            w.str(label).raw(&scale_log2.to_le_bytes()).u32(*wire);
        }
        w.finish()
    }

    /// Reads the canonical binary form.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let version = r.u16("layered.version")?;
        if version != LAYERED_VERSION {
            return Err(WireError::Version {
                field: "layered.version",
                expected: u64::from(LAYERED_VERSION),
                found: u64::from(version),
            });
        }
        let dataset = Digest(r.array("layered.dataset")?);
        let over = repeat(&mut r, "layered.over", MAX_OVER, |r| {
            Ok(ChunkRef {
                segment: r.u32("chunk.segment")?,
                chunk: r.u32("chunk.chunk")?,
            })
        })?;
        let first = repeat(&mut r, "layered.first", MAX_FIRST_VECTORS, read_vector)?;
        let tables = repeat(&mut r, "layered.tables", MAX_TABLES, |r| {
            let mut entries = [0; TABLE_ENTRIES];
            for e in &mut entries {
                *e = i32::from_le_bytes(r.array("table.entries")?);
            }
            Ok(Table {
                entries,
                offset: i32::from_le_bytes(r.array("table.offset")?),
            })
        })?;
        let mut terms = 0;
        let layers = repeat(&mut r, "layered.layers", MAX_LAYERS, |r| {
            read_layer(r, &mut terms)
        })?;
        let outputs = repeat(&mut r, "layered.outputs", MAX_LAYERED_OUTPUTS, |r| {
            Ok(LayeredOutput {
                label: r.str("output.label", MAX_NAME)?,
                scale_log2: i32::from_le_bytes(r.array("output.scale_log2")?),
                wire: r.u32("output.wire")?,
            })
        })?;
        r.finish("layered")?;
        Ok(Self {
            version,
            dataset,
            over,
            first,
            tables,
            layers,
            outputs,
        })
    }
}

fn write_layer(w: &mut Writer, layer: &Layer) {
    match layer {
        Layer::Linear {
            modulus_log2,
            cells,
        } => {
            w.u8(1).u32(*modulus_log2).len(cells.len());
            for Accumulator {
                terms,
                constant,
                wraps,
            } in cells
            {
                w.len(terms.len());
                for (wire, weight) in terms {
                    w.u32(*wire).raw(&weight.to_le_bytes());
                }
                w.i64(*constant).u8(u8::from(*wraps));
            }
        }
        Layer::Requantise { digit_log2, cells } => {
            w.u8(2).u32(*digit_log2).len(cells.len());
            for wire in cells {
                w.u32(*wire);
            }
        }
        Layer::Lut {
            modulus_log2,
            cells,
        } => {
            w.u8(3).u32(*modulus_log2).len(cells.len());
            for LutCell { input, table } in cells {
                w.u32(*input).u32(*table);
            }
        }
        Layer::Sum { cells } => {
            w.u8(4).len(cells.len());
            for wire in cells {
                w.u32(*wire);
            }
        }
    }
}

fn read_layer(r: &mut Reader<'_>, all_terms: &mut usize) -> Result<Layer, WireError> {
    Ok(match r.u8("layer.kind")? {
        1 => Layer::Linear {
            modulus_log2: r.u32("layer.modulus_log2")?,
            cells: repeat(r, "layer.cells", MAX_CELLS, |r| {
                let terms = repeat(r, "accumulator.terms", MAX_TERMS, |r| {
                    Ok((
                        r.u32("term.wire")?,
                        i32::from_le_bytes(r.array("term.weight")?),
                    ))
                })?;
                *all_terms += terms.len();
                if *all_terms > MAX_ALL_TERMS as usize {
                    return Err(WireError::TooLarge {
                        field: "layered.terms",
                        limit: u64::from(MAX_ALL_TERMS),
                        value: *all_terms as u64,
                    });
                }
                Ok(Accumulator {
                    terms,
                    constant: r.i64("accumulator.constant")?,
                    wraps: flag(r)?,
                })
            })?,
        },
        2 => Layer::Requantise {
            digit_log2: r.u32("layer.digit_log2")?,
            cells: repeat(r, "layer.cells", MAX_CELLS, |r| r.u32("layer.wire"))?,
        },
        3 => Layer::Lut {
            modulus_log2: r.u32("layer.modulus_log2")?,
            cells: repeat(r, "layer.cells", MAX_CELLS, |r| {
                Ok(LutCell {
                    input: r.u32("lut.input")?,
                    table: r.u32("lut.table")?,
                })
            })?,
        },
        4 => Layer::Sum {
            cells: repeat(r, "layer.cells", MAX_CELLS, |r| r.u32("layer.wire"))?,
        },
        kind => {
            return Err(WireError::Invalid {
                field: "layer.kind",
                reason: format!("unknown layer {kind}"),
            });
        }
    })
}

fn flag(r: &mut Reader<'_>) -> Result<bool, WireError> {
    match r.u8("accumulator.wraps")? {
        0 => Ok(false),
        1 => Ok(true),
        v => Err(WireError::Invalid {
            field: "accumulator.wraps",
            reason: format!("{v} is neither 0 nor 1"),
        }),
    }
}

/// A counted sequence; nothing is allocated for what the bytes do not hold.
fn repeat<'a, T>(
    r: &mut Reader<'a>,
    field: &'static str,
    limit: u32,
    mut one: impl FnMut(&mut Reader<'a>) -> Result<T, WireError>,
) -> Result<Vec<T>, WireError> {
    let n = r.len(field, limit)?;
    let mut out = Vec::new();
    for _ in 0..n {
        out.push(one(r)?);
    }
    Ok(out)
}
