//! Shape, range, noise and cost of a layered program against a manifest
//! (PRG-1..10): what every party recomputes before it touches a ciphertext.

use super::{
    Accumulator, ChunkRef, LAYERED_VERSION, Layer, LayeredError, LayeredProgram, LutCell,
    MAX_ALL_TERMS, MAX_CELLS, MAX_CONSTANT_LOG2, MAX_FIRST_VECTORS, MAX_LAYERED_OUTPUTS,
    MAX_LAYERS, MAX_MODULUS_LOG2, MAX_OVER, MAX_TABLES, MAX_TERM_LOG2, MAX_TERMS, Noise,
    NoiseModel, TABLE_INPUT_LOG2, Table, Wire, digits, noise::check_reading, requantise_bootstraps,
};
use crate::{
    budget::{OutputBudget, norms, tuniform_variance_sixths},
    manifest::{MAX_NAME, Manifest},
    params::{DATA_NOISE_TUNIFORM, DATA_RING_DIMENSION as N},
    program::{WeightVector, Weights, bounded, check_vector},
    wire::WireError,
};
use serde::Serialize;
use std::collections::HashSet;

/// What made a wire (PRG-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WireKind {
    /// A weight vector over the columns.
    First,
    /// A weighted sum, read modulo 2^p.
    Accumulator,
    /// What Requantise left: five bits.
    Digit,
    /// A table's value.
    Table,
    /// A sum over the rows of a chunk.
    Sum,
}

impl WireKind {
    fn name(self) -> &'static str {
        match self {
            Self::First => "a weight vector",
            Self::Accumulator => "an accumulator",
            Self::Digit => "a digit",
            Self::Table => "a table's value",
            Self::Sum => "a sum over rows",
        }
    }
}

/// What is known of a wire before any data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireType {
    /// What made it.
    pub kind: WireKind,
    /// p: the phase is x 2^(64-p).
    pub modulus_log2: u32,
    /// Least value over the published ranges.
    pub min: i128,
    /// Greatest value.
    pub max: i128,
    /// Whether rows may wrap around the modulus.
    pub wraps: bool,
    /// Whether nothing in it comes from columns but through tables.
    pub tabled: bool,
    /// Bound on the integer in the phase, before any wrapping.
    pub lift: u128,
    /// Noise of the phase.
    pub noise: Noise,
}

/// Bootstraps (PRG-10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Of each layer, for one row.
    pub layers: Vec<u64>,
    /// For one row.
    pub row: u64,
    /// Rows of all chunks.
    pub rows: u64,
    /// In all.
    pub total: u64,
}

/// A part of a program and who sees it (PRG-12).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// What it is.
    pub what: String,
    /// Whether only buyer and pod see it.
    pub private: bool,
}

/// Everything that follows from program, manifest and noise model.
#[derive(Debug, Clone, PartialEq)]
pub struct Analysis {
    /// Every wire.
    pub wires: Vec<WireType>,
    /// What it costs.
    pub cost: Cost,
    /// What each output uses of the 64 bits; `values` counts all chunks.
    pub outputs: Vec<OutputBudget>,
}

impl LayeredProgram {
    /// What the quote says about who sees what (PRG-12).
    pub fn parts(&self) -> Vec<Part> {
        let hidden = |v: &WeightVector| matches!(v.weights, Weights::Private { .. });
        let mut parts: Vec<Part> = self
            .first
            .iter()
            .enumerate()
            .map(|(i, v)| Part {
                what: format!("first weights {i} ({})", v.label),
                private: hidden(v),
            })
            .collect();
        parts.push(Part {
            what: "weights of later layers, thresholds, tables, outputs".into(),
            private: false,
        });
        parts
    }

    /// Checks the program against a manifest and infers types, noise, cost and
    /// output budgets (PRG-1..10).
    pub fn analyse(
        &self,
        manifest: &Manifest,
        model: &NoiseModel,
    ) -> Result<Analysis, LayeredError> {
        self.check_shape(manifest)?;
        let mut pass = Pass {
            manifest,
            model,
            tables: &self.tables,
            wires: Vec::new(),
            read: HashSet::new(),
            named: HashSet::new(),
        };
        for v in &self.first {
            let wire = pass.first(v, &self.over);
            pass.wires.push(wire);
        }
        let rows = rows(manifest, &self.over);
        let most_rows = rows.iter().copied().max().unwrap_or(0);
        for (i, layer) in self.layers.iter().enumerate() {
            let made = (0..layer.cells())
                .map(|j| pass.cell(layer, &format!("layer {i}, cell {j}"), j, most_rows))
                .collect::<Result<Vec<_>, _>>()?;
            pass.wires.extend(made);
        }
        let total_rows = rows.iter().sum();
        let outputs = self
            .outputs
            .iter()
            .enumerate()
            .map(|(i, o)| pass.output(i as u32, o.wire, total_rows, rows.len() as u64))
            .collect::<Result<_, _>>()?;
        pass.nothing_spare()?;
        let cost = pass.cost(&self.layers, total_rows);
        Ok(Analysis {
            wires: pass.wires,
            cost,
            outputs,
        })
    }

    fn check_shape(&self, manifest: &Manifest) -> Result<(), LayeredError> {
        if self.version != LAYERED_VERSION {
            return Err(WireError::Version {
                field: "layered.version",
                expected: u64::from(LAYERED_VERSION),
                found: u64::from(self.version),
            }
            .into());
        }
        if self.dataset != manifest.root() {
            return Err(invalid("layered.dataset", "is another dataset's root"));
        }
        bounded("layered.over", self.over.len(), MAX_OVER)?;
        bounded("layered.first", self.first.len(), MAX_FIRST_VECTORS)?;
        bounded("layered.layers", self.layers.len(), MAX_LAYERS)?;
        bounded("layered.outputs", self.outputs.len(), MAX_LAYERED_OUTPUTS)?;
        if self.tables.len() > MAX_TABLES as usize {
            return Err(too_large("layered.tables", MAX_TABLES, self.tables.len()));
        }
        if self.over.windows(2).any(|w| matches!(w, [a, b] if a >= b)) {
            return Err(invalid("layered.over", "chunks are not ascending"));
        }
        if rows(manifest, &self.over).contains(&0) {
            return Err(invalid("layered.over", "a chunk is not in the manifest"));
        }
        for v in &self.first {
            check_vector(v, manifest)?;
        }
        let mut terms = 0;
        for layer in &self.layers {
            bounded("layer.cells", layer.cells(), MAX_CELLS)?;
            if let Layer::Linear { cells, .. } = layer {
                for c in cells {
                    bounded("accumulator.terms", c.terms.len(), MAX_TERMS)?;
                    terms += c.terms.len();
                }
            }
        }
        if terms > MAX_ALL_TERMS as usize {
            return Err(too_large("layered.terms", MAX_ALL_TERMS, terms));
        }
        for o in &self.outputs {
            if o.label.len() > MAX_NAME as usize {
                return Err(too_large("output.label", MAX_NAME, o.label.len()));
            }
            if o.scale_log2.unsigned_abs() > 128 {
                return Err(invalid("output.scale_log2", "is outside ±128"));
            }
        }
        check_tables(&self.tables)
    }
}

fn check_tables(tables: &[Table]) -> Result<(), LayeredError> {
    let mut seen = HashSet::new();
    for (i, t) in tables.iter().enumerate() {
        let table = i as u32;
        if !seen.insert(t) {
            return Err(LayeredError::SpareTable {
                table,
                what: "there twice",
            });
        }
        let odd = |v: i32| v.rem_euclid(2);
        if let Some(entry) = t.entries.iter().position(|e| odd(*e) != odd(t.offset)) {
            return Err(LayeredError::Parity {
                table,
                entry: entry as u32,
            });
        }
    }
    Ok(())
}

/// True rows of each chunk; zero for one that the manifest does not have.
pub(super) fn rows(manifest: &Manifest, over: &[ChunkRef]) -> Vec<u64> {
    let of = |c: &ChunkRef| {
        let s = manifest.segments.get(c.segment as usize)?;
        if c.chunk as usize >= s.chunks.len() {
            return None;
        }
        s.rows.checked_sub(u64::from(c.chunk) * N as u64)
    };
    over.iter()
        .map(|c| of(c).unwrap_or(0).min(N as u64))
        .collect()
}

struct Pass<'a> {
    manifest: &'a Manifest,
    model: &'a NoiseModel,
    tables: &'a [Table],
    wires: Vec<WireType>,
    read: HashSet<Wire>,
    named: HashSet<u32>,
}

impl Pass<'_> {
    /// A weight vector: its range over the published ranges, the noise of
    /// fresh ciphertexts and, if private, of the re-randomisation (BUD-3, BUD-4).
    fn first(&self, v: &WeightVector, over: &[ChunkRef]) -> WireType {
        let segments: HashSet<u32> = over.iter().map(|c| c.segment).collect();
        let (mut min, mut max, mut q, mut hidden) = (i128::MAX, i128::MIN, 0, false);
        for s in segments {
            let n = norms(self.manifest, v, s as usize);
            let (lo, hi) = match &v.weights {
                Weights::Public { values } => self.range(values, s as usize),
                Weights::Private { .. } => (-(n.l1 as i128), n.l1 as i128),
            };
            (min, max) = (min.min(lo), max.max(hi));
            q = q.max(n.l2_squared);
            hidden |= n.rerandomised;
        }
        let words = tuniform_variance_sixths(DATA_NOISE_TUNIFORM)
            .saturating_mul(q)
            .div_ceil(6);
        // A quantised value is encrypted at 2^k: the phase is x 2^k.
        let det = if hidden {
            ((N << DATA_NOISE_TUNIFORM) + N + 1) as u128
        } else {
            0
        };
        WireType {
            kind: WireKind::First,
            modulus_log2: 64 - self.manifest.message_log2.min(63),
            min,
            max,
            wraps: false,
            tabled: false,
            lift: min.unsigned_abs().max(max.unsigned_abs()),
            noise: Noise {
                variance: words,
                deterministic: det,
            },
        }
    }

    fn range(&self, weights: &[i64], segment: usize) -> (i128, i128) {
        let columns = self
            .manifest
            .columns
            .iter()
            .map(|c| (i128::from(c.min), i128::from(c.max)));
        let publics = self.manifest.public_columns.iter().map(|g| {
            let v = i128::from(g.values.get(segment).copied().unwrap_or(0));
            (v, v)
        });
        spread(
            0,
            weights
                .iter()
                .zip(columns.chain(publics))
                .map(|(w, r)| (i128::from(*w), r)),
        )
    }

    fn wire(
        &mut self,
        place: &str,
        wire: Wire,
        expected: &'static str,
        takes: fn(&WireType) -> bool,
    ) -> Result<WireType, LayeredError> {
        let Some(found) = self.wires.get(wire as usize).copied() else {
            return Err(LayeredError::NoSuchWire {
                place: place.to_owned(),
                wire,
                made: self.wires.len() as u32,
            });
        };
        if !takes(&found) {
            return Err(LayeredError::WrongKind {
                place: place.to_owned(),
                wire,
                expected,
                found: found.kind.name(),
            });
        }
        self.read.insert(wire);
        Ok(found)
    }

    fn cell(
        &mut self,
        layer: &Layer,
        place: &str,
        at: usize,
        most_rows: u64,
    ) -> Result<WireType, LayeredError> {
        let gone = || LayeredError::NoSuchWire {
            place: place.to_owned(),
            wire: at as u32,
            made: 0,
        };
        match layer {
            Layer::Linear {
                modulus_log2,
                cells,
            } => self.linear(place, cells.get(at).ok_or_else(gone)?, *modulus_log2),
            Layer::Requantise { digit_log2, cells } => {
                self.requantise(place, *cells.get(at).ok_or_else(gone)?, *digit_log2)
            }
            Layer::Lut {
                modulus_log2,
                cells,
            } => self.lut(place, *cells.get(at).ok_or_else(gone)?, *modulus_log2),
            Layer::Sum { cells } => {
                let wire = *cells.get(at).ok_or_else(gone)?;
                let of = self.wire(
                    place,
                    wire,
                    "a table's value or a sum of such that cannot wrap",
                    |w| w.tabled && !w.wraps && w.kind != WireKind::Sum,
                )?;
                let n = i128::from(most_rows);
                Ok(WireType {
                    kind: WireKind::Sum,
                    min: of.min.saturating_mul(n).min(of.min),
                    max: of.max.saturating_mul(n).max(of.max),
                    lift: of.lift.saturating_mul(u128::from(most_rows)),
                    noise: of.noise.summed(u128::from(most_rows)),
                    ..of
                })
            }
        }
    }

    /// PRG-3: terms are first wires or table outputs, whose noises are
    /// independent; PRG-7: the range fits or is declared to wrap.
    fn linear(
        &mut self,
        place: &str,
        cell: &Accumulator,
        modulus_log2: u32,
    ) -> Result<WireType, LayeredError> {
        modulus(place, modulus_log2, TABLE_INPUT_LOG2, MAX_MODULUS_LOG2)?;
        magnitude(place, "constant", cell.constant, MAX_CONSTANT_LOG2)?;
        let (mut parts, mut noise, mut tabled) = (Vec::new(), Noise::default(), true);
        let mut last = None;
        for (wire, weight) in &cell.terms {
            let of = self.wire(place, *wire, "a weight vector or a table's value", |w| {
                matches!(w.kind, WireKind::First | WireKind::Table)
            })?;
            if *weight == 0 || last.is_some_and(|l| l >= *wire) {
                return Err(LayeredError::Terms {
                    place: place.to_owned(),
                    wire: *wire,
                });
            }
            last = Some(*wire);
            magnitude(place, "weight", i64::from(*weight), MAX_TERM_LOG2)?;
            // A phase is brought to the new scale by a power of two.
            modulus(place, modulus_log2, TABLE_INPUT_LOG2, of.modulus_log2)?;
            let scaled = of.noise.shifted(of.modulus_log2 - modulus_log2);
            noise = noise.plus(scaled.times(u128::from(weight.unsigned_abs())));
            tabled &= of.tabled;
            parts.push((i128::from(*weight), (of.min, of.max), of.lift));
        }
        let (min, max) = spread(
            i128::from(cell.constant),
            parts.iter().map(|(w, r, _)| (*w, *r)),
        );
        let lift = parts
            .iter()
            .fold(u128::from(cell.constant.unsigned_abs()), |l, (w, _, of)| {
                l.saturating_add(w.unsigned_abs().saturating_mul(*of))
            });
        let half = 1i128 << (modulus_log2 - 1);
        let fits = (-half <= min && max < half) || (0 <= min && max < 2 * half);
        if !fits && !cell.wraps {
            return Err(LayeredError::Overflow {
                place: place.to_owned(),
                least: min,
                greatest: max,
                modulus_log2,
            });
        }
        let (min, max) = if fits { (min, max) } else { (0, 2 * half - 1) };
        Ok(WireType {
            kind: WireKind::Accumulator,
            modulus_log2,
            min,
            max,
            wraps: !fits,
            tabled,
            lift,
            noise,
        })
    }

    /// PRG-4, PRG-8: each digit is read twice (its top bit, then the rest), and
    /// what was read is taken away with the noise of its bootstrap.
    fn requantise(
        &mut self,
        place: &str,
        wire: Wire,
        digit_log2: u32,
    ) -> Result<WireType, LayeredError> {
        if !(1..=TABLE_INPUT_LOG2).contains(&digit_log2) {
            return Err(LayeredError::Digit {
                place: place.to_owned(),
                found: digit_log2,
            });
        }
        let of = self.wire(place, wire, "an accumulator", |w| {
            w.kind == WireKind::Accumulator
        })?;
        modulus(
            place,
            of.modulus_log2,
            TABLE_INPUT_LOG2 + 1,
            MAX_MODULUS_LOG2,
        )?;
        let bootstrap = Noise {
            variance: self.model.bootstrap,
            deterministic: 0,
        };
        let (mut p, mut lift, mut noise) = (of.modulus_log2, of.lift, of.noise);
        for d in digits(of.modulus_log2, digit_log2) {
            for _ in 0..if d == 1 { 1 } else { 2 } {
                check_reading(self.model, place, noise, p, lift, d)?;
                noise = noise.plus(bootstrap);
            }
            p -= d;
            lift = (lift >> d).saturating_add(1);
        }
        let gone = of.modulus_log2 - p;
        Ok(WireType {
            kind: WireKind::Digit,
            modulus_log2: p,
            min: of.min >> gone,
            max: of.max >> gone,
            wraps: of.wraps,
            tabled: false,
            lift,
            noise,
        })
    }

    /// PRG-5, PRG-8: five bits are read; the output is a fresh bootstrap.
    fn lut(
        &mut self,
        place: &str,
        cell: LutCell,
        modulus_log2: u32,
    ) -> Result<WireType, LayeredError> {
        modulus(place, modulus_log2, TABLE_INPUT_LOG2, MAX_MODULUS_LOG2)?;
        let of = self.wire(
            place,
            cell.input,
            "a digit or an accumulator of five bits",
            |w| {
                matches!(w.kind, WireKind::Digit | WireKind::Accumulator)
                    && w.modulus_log2 == TABLE_INPUT_LOG2
            },
        )?;
        check_reading(
            self.model,
            place,
            of.noise,
            TABLE_INPUT_LOG2,
            of.lift,
            TABLE_INPUT_LOG2,
        )?;
        let Some(table) = self.tables.get(cell.table as usize) else {
            return Err(WireError::Invalid {
                field: "lut.table",
                reason: format!("{place}: no table {}", cell.table),
            }
            .into());
        };
        self.named.insert(cell.table);
        // Half units: twice the value must stay within the modulus.
        for v in table.entries.iter().chain([&table.offset]) {
            magnitude(place, "entry", i64::from(*v), modulus_log2)?;
        }
        let all = 1i128 << TABLE_INPUT_LOG2;
        let reachable = of.min..=of.max.min(of.min.saturating_add(all - 1));
        let values: Vec<i128> = reachable.map(|m| table.value(m)).collect();
        let min = values.iter().copied().min().unwrap_or(0);
        let max = values.iter().copied().max().unwrap_or(0);
        Ok(WireType {
            kind: WireKind::Table,
            modulus_log2,
            min,
            max,
            wraps: false,
            tabled: true,
            lift: min.unsigned_abs().max(max.unsigned_abs()),
            noise: Noise {
                variance: self.model.bootstrap,
                deterministic: 0,
            },
        })
    }

    /// PRG-9: OPN-1 with k = 64 - p.
    fn output(
        &mut self,
        output: u32,
        wire: Wire,
        rows: u64,
        chunks: u64,
    ) -> Result<OutputBudget, LayeredError> {
        let of = self.wire(
            &format!("output {output}"),
            wire,
            "a table's value, or a sum of such, that cannot wrap",
            |w| w.tabled && !w.wraps,
        )?;
        let bound = of.min.unsigned_abs().max(of.max.unsigned_abs());
        let limit_log2 = of.modulus_log2 - 2;
        if bound > 1 << limit_log2 {
            return Err(LayeredError::OutputMessage {
                output,
                bound,
                limit_log2,
            });
        }
        let (noise_bound, limit_log2) = (of.noise.reach(self.model), 63 - of.modulus_log2);
        if noise_bound >= 1 << limit_log2 {
            return Err(LayeredError::OutputNoise {
                output,
                bound: noise_bound,
                limit_log2,
            });
        }
        let values = if of.kind == WireKind::Sum {
            chunks
        } else {
            rows
        };
        Ok(OutputBudget {
            message_log2: 64 - of.modulus_log2,
            values: u32::try_from(values).unwrap_or(u32::MAX),
            message_bound: bound,
            noise_bound,
        })
    }

    /// PRG-2: what is computed is used.
    fn nothing_spare(&self) -> Result<(), LayeredError> {
        let unread = (0..self.wires.len() as u32).find(|w| !self.read.contains(w));
        if let Some(wire) = unread {
            return Err(LayeredError::Unused { wire });
        }
        let unnamed = (0..self.tables.len() as u32).find(|t| !self.named.contains(t));
        match unnamed {
            Some(table) => Err(LayeredError::SpareTable {
                table,
                what: "named by no cell",
            }),
            None => Ok(()),
        }
    }

    fn cost(&self, layers: &[Layer], rows: u64) -> Cost {
        let layers: Vec<u64> = layers
            .iter()
            .map(|l| match l {
                Layer::Linear { .. } | Layer::Sum { .. } => 0,
                Layer::Lut { cells, .. } => cells.len() as u64,
                Layer::Requantise { digit_log2, cells } => cells
                    .iter()
                    .filter_map(|w| self.wires.get(*w as usize))
                    .map(|w| requantise_bootstraps(w.modulus_log2, *digit_log2))
                    .sum(),
            })
            .collect();
        let row = layers.iter().sum();
        Cost {
            layers,
            row,
            rows,
            total: rows.saturating_mul(row),
        }
    }
}

/// Least and greatest of constant + sum of weight times a value in its range.
fn spread(constant: i128, terms: impl Iterator<Item = (i128, (i128, i128))>) -> (i128, i128) {
    terms.fold((constant, constant), |(lo, hi), (w, (min, max))| {
        let (a, b) = (w.saturating_mul(min), w.saturating_mul(max));
        (lo.saturating_add(a.min(b)), hi.saturating_add(a.max(b)))
    })
}

fn modulus(place: &str, found: u32, least: u32, most: u32) -> Result<(), LayeredError> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    Err(LayeredError::Modulus {
        place: place.to_owned(),
        found,
        least,
        most,
    })
}

fn magnitude(
    place: &str,
    what: &'static str,
    value: i64,
    limit_log2: u32,
) -> Result<(), LayeredError> {
    if value.unsigned_abs() >> limit_log2 == 0 {
        return Ok(());
    }
    Err(LayeredError::Magnitude {
        place: place.to_owned(),
        what,
        value,
        limit_log2,
    })
}

fn too_large(field: &'static str, limit: u32, value: usize) -> LayeredError {
    WireError::TooLarge {
        field,
        limit: u64::from(limit),
        value: value as u64,
    }
    .into()
}

fn invalid(field: &'static str, reason: &str) -> LayeredError {
    WireError::Invalid {
        field,
        reason: reason.into(),
    }
    .into()
}
