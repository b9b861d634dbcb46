//! Puts layers together: numbers wires, shares tables, groups readings.

use std::collections::HashMap;
use veilbourse_core::{
    layered::{
        Accumulator, ChunkRef, LAYERED_VERSION, Layer, LayeredOutput, LayeredProgram, LutCell,
        TABLE_ENTRIES, TABLE_INPUT_LOG2, Table, Wire,
    },
    manifest::Manifest,
    program::{WeightVector, Weights},
};

/// A program in the making. First vectors come before layers.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    first: Vec<WeightVector>,
    tables: Vec<Table>,
    index: HashMap<Table, u32>,
    layers: Vec<Layer>,
    wires: Wire,
}

impl Builder {
    /// A weight vector over the dataset's columns.
    pub fn first(&mut self, label: String, values: Vec<i64>) -> Wire {
        self.first.push(WeightVector {
            label,
            scale_log2: 0,
            weights: Weights::Public { values },
        });
        self.wires += 1;
        self.wires - 1
    }

    /// A layer; gives its first wire.
    fn layer(&mut self, layer: Layer) -> Wire {
        let at = self.wires;
        self.wires += layer.cells() as Wire;
        self.layers.push(layer);
        at
    }

    /// The index of a table, the same for equal ones.
    fn table(&mut self, table: Table) -> u32 {
        if let Some(at) = self.index.get(&table) {
            return *at;
        }
        let at = self.tables.len() as u32;
        self.tables.push(table.clone());
        self.index.insert(table, at);
        at
    }

    /// Accumulators, each with its p, reduced to the five bits that a table
    /// reads: one Linear layer for each p, then one Requantise.
    pub fn readable(&mut self, cells: Vec<(u32, Accumulator)>, digit_log2: u32) -> Vec<Wire> {
        let mut moduli: Vec<u32> = cells.iter().map(|(p, _)| *p).collect();
        moduli.sort_unstable();
        moduli.dedup();
        let mut wires = vec![0; cells.len()];
        for modulus_log2 in moduli {
            let (at, chosen): (Vec<usize>, Vec<Accumulator>) = cells
                .iter()
                .enumerate()
                .filter(|(_, (p, _))| *p == modulus_log2)
                .map(|(i, (_, c))| (i, c.clone()))
                .unzip();
            let start = self.layer(Layer::Linear {
                modulus_log2,
                cells: chosen,
            });
            for (wire, i) in (start..).zip(at) {
                if let Some(slot) = wires.get_mut(i) {
                    *slot = wire;
                }
            }
        }
        let wide: Vec<usize> = cells
            .iter()
            .enumerate()
            .filter(|(_, (p, _))| *p > TABLE_INPUT_LOG2)
            .map(|(i, _)| i)
            .collect();
        if wide.is_empty() {
            return wires;
        }
        let inputs = wide.iter().filter_map(|i| wires.get(*i).copied()).collect();
        let start = self.layer(Layer::Requantise {
            digit_log2,
            cells: inputs,
        });
        for (wire, i) in (start..).zip(wide) {
            if let Some(slot) = wires.get_mut(i) {
                *slot = wire;
            }
        }
        wires
    }

    /// One table a wire.
    pub fn look_up(&mut self, modulus_log2: u32, cells: Vec<(Wire, Table)>) -> Vec<Wire> {
        let cells: Vec<LutCell> = cells
            .into_iter()
            .map(|(input, t)| LutCell {
                input,
                table: self.table(t),
            })
            .collect();
        let n = cells.len() as Wire;
        let start = self.layer(Layer::Lut {
            modulus_log2,
            cells,
        });
        (start..start + n).collect()
    }

    /// constant + the sum of wires, at p bits.
    pub fn total(&mut self, modulus_log2: u32, wires: &[Wire], constant: i64) -> Wire {
        self.layer(Layer::Linear {
            modulus_log2,
            cells: vec![Accumulator {
                terms: wires.iter().map(|w| (*w, 1)).collect(),
                constant,
                wraps: false,
            }],
        })
    }

    /// Whether an accumulator of p bits is not negative: 1 or 0.
    pub fn not_negative(
        &mut self,
        p: u32,
        cell: Accumulator,
        digit_log2: u32,
        output_log2: u32,
    ) -> Wire {
        let read = self.readable(vec![(p, cell)], digit_log2);
        let cells = read
            .into_iter()
            .map(|w| (w, Table::not_negative(1)))
            .collect();
        self.look_up(output_log2, cells)
            .first()
            .copied()
            .unwrap_or(0)
    }

    /// The program with one output: each row's value, or the sums over chunks.
    pub fn finish(
        mut self,
        manifest: &Manifest,
        over: Vec<ChunkRef>,
        label: &str,
        scale_log2: i32,
        wire: Wire,
        sum: bool,
    ) -> LayeredProgram {
        let wire = if sum {
            self.layer(Layer::Sum { cells: vec![wire] })
        } else {
            wire
        };
        LayeredProgram {
            version: LAYERED_VERSION,
            dataset: manifest.root(),
            over,
            first: self.first,
            tables: self.tables,
            layers: self.layers,
            outputs: vec![LayeredOutput {
                label: label.to_owned(),
                scale_log2,
                wire,
            }],
        }
    }
}

/// Rounded entries, halved range: the middle of a table goes to the constant.
pub fn centred(values: &[f64; TABLE_ENTRIES], scale: f64) -> ([i32; TABLE_ENTRIES], f64) {
    let middle = middle(values);
    (
        values.map(|v| ((v - middle) * scale).round() as i32),
        middle,
    )
}

/// Half way between the least and the greatest value.
pub fn middle(values: &[f64; TABLE_ENTRIES]) -> f64 {
    let (lo, hi) = bounds(values);
    (lo + hi) / 2.0
}

/// Half of what lies between them.
pub fn half_range(values: &[f64; TABLE_ENTRIES]) -> f64 {
    let (lo, hi) = bounds(values);
    (hi - lo) / 2.0
}

fn bounds(values: &[f64; TABLE_ENTRIES]) -> (f64, f64) {
    values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| {
            (lo.min(*v), hi.max(*v))
        })
}
