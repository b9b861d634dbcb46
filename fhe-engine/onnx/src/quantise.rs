//! From a model of one score to a layered program (PRG-14), by the choices of
//! decision 30; `network.rs` does hidden layers, `forest.rs` trees.

use crate::{
    builder::{Builder, centred, half_range, middle},
    error::OnnxError,
    forest::{self, Comparison, Reading, Readings},
    model::{Affine, Body, Meaning, Model, ScoreTree},
    network,
};
use std::collections::BTreeMap;
use veilbourse_core::{
    layered::{
        Accumulator, ChunkRef, LayeredError, LayeredProgram, MAX_MODULUS_LOG2, NoiseModel,
        TABLE_ENTRIES, TABLE_INPUT_LOG2, Table, Wire,
    },
    manifest::{Column, Manifest},
    program::MAX_WEIGHT_LOG2,
};

/// Calibration rows that are looked at; more tell nothing new.
const MOST_CALIBRATION: usize = 4_096;

/// What the program opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reveal {
    /// A value for each row.
    Rows,
    /// Sums over the rows of each chunk.
    Sums,
}

/// Precision and room; [`Settings::default`] is decision 30's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// p of a linear decision's accumulator.
    pub linear_log2: u32,
    /// p of a hidden unit's accumulator over columns.
    pub hidden_log2: u32,
    /// p of one over another hidden layer, whose weights multiply the noise of
    /// bootstraps.
    pub inner_log2: u32,
    /// p of the sum that a forest's or network's decision reads.
    pub last_log2: u32,
    /// p of an opened decision: a count of a chunk's rows fits.
    pub output_log2: u32,
    /// Widest digit that Requantise removes at once.
    pub digit_log2: u32,
    /// What a hidden unit's range is widened by beyond the calibration's.
    pub headroom_percent: u32,
    /// Whether a linear decision may wrap beyond the calibrated range where
    /// that is more exact; hidden units always may.
    pub wraps: bool,
    /// What is opened.
    pub reveal: Reveal,
    /// The bootstrap's noise.
    pub noise: NoiseModel,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            linear_log2: 15,
            hidden_log2: 15,
            inner_log2: 10,
            last_log2: 10,
            output_log2: 14,
            digit_log2: 5,
            headroom_percent: 25,
            wraps: false,
            reveal: Reveal::Rows,
            noise: NoiseModel::BASE11_L3,
        }
    }
}

/// Where a program runs, and what is known of its rows.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The dataset.
    pub manifest: &'a Manifest,
    /// The encrypted column of each feature.
    pub columns: &'a [usize],
    /// The chunks.
    pub over: &'a [ChunkRef],
    /// Quantised rows to calibrate with, by encrypted column: the synthetic
    /// twin's or the buyer's own.
    pub calibration: &'a [Vec<i64>],
}

impl Target<'_> {
    pub(crate) fn column(&self, feature: usize) -> Option<(usize, &Column)> {
        let at = *self.columns.get(feature)?;
        Some((at, self.manifest.columns.get(at)?))
    }

    pub(crate) fn calibration_rows(&self) -> usize {
        self.calibration
            .first()
            .map_or(0, Vec::len)
            .min(MOST_CALIBRATION)
    }

    /// Weights on features as weights on the columns' integers: w / 2^s.
    pub(crate) fn on_columns(&self, row: &Affine) -> Option<Vec<(usize, f64)>> {
        let mut out = BTreeMap::new();
        for (f, w) in row.weights.iter().enumerate() {
            let (at, c) = self.column(f)?;
            *out.entry(at).or_insert(0.0) += w * (-f64::from(c.scale_log2)).exp2();
        }
        Some(out.into_iter().collect())
    }

    /// A weight vector over all columns; the constant is public column "1"'s.
    pub(crate) fn vector(&self, weights: &[(usize, i64)], constant: i64) -> Vec<i64> {
        let encrypted = self.manifest.columns.len();
        let mut out = vec![0; encrypted + self.manifest.public_columns.len()];
        for (at, w) in weights {
            if let Some(slot) = out.get_mut(*at) {
                *slot = *w;
            }
        }
        if let Some(slot) = out.get_mut(encrypted) {
            *slot = constant;
        }
        out
    }

    fn check(&self, model: &Model) -> Result<(), OnnxError> {
        let count = |field, expected, found| {
            if expected == found {
                Ok(())
            } else {
                Err(OnnxError::Count {
                    field,
                    expected,
                    found,
                })
            }
        };
        count("columns of features", model.features, self.columns.len())?;
        let columns = self.manifest.columns.len();
        count("calibration columns", columns, self.calibration.len())?;
        let rows = self.calibration.first().map_or(0, Vec::len);
        for c in self.calibration {
            count("calibration rows", rows, c.len())?;
        }
        if rows == 0 {
            return Err(OnnxError::Missing("calibration row"));
        }
        match self.columns.iter().find(|c| **c >= columns) {
            Some(c) => count("encrypted columns", c + 1, columns),
            None => Ok(()),
        }
    }
}

impl Model {
    /// The layered program of this model over a dataset.
    pub fn quantise(
        &self,
        target: &Target<'_>,
        settings: &Settings,
    ) -> Result<LayeredProgram, OnnxError> {
        target.check(self)?;
        let label = match &self.meaning {
            Meaning::Decision([_, second]) => format!("is {second}"),
            Meaning::Value => "value".to_owned(),
        };
        let label = label.chars().take(32).collect::<String>();
        let program = match (&self.body, &self.meaning) {
            (Body::Linear(_), Meaning::Value) => return Err(OnnxError::Linear),
            (Body::Linear(row), Meaning::Decision(_)) => {
                linear_decision(row, target, settings, &label)?
            }
            (Body::Trees { trees, constant }, meaning) => {
                let decision = matches!(meaning, Meaning::Decision(_));
                forest_program(trees, *constant, decision, target, settings, &label)?
            }
            (Body::Network { hidden, last }, meaning) => {
                let mut b = Builder::default();
                let (cells, constant) = network::cells(&mut b, hidden, last, target, settings)?;
                let decision = matches!(meaning, Meaning::Decision(_));
                finish(b, &cells, constant, decision, target, settings, &label)?
            }
        };
        program.analyse(target.manifest, &settings.noise)?;
        Ok(program)
    }
}

/// Integer weights of a linear decision: of 64 scales the one whose decisions
/// on the calibration rows agree best with the float score's.
fn linear_decision(
    row: &Affine,
    target: &Target<'_>,
    settings: &Settings,
    label: &str,
) -> Result<LayeredProgram, OnnxError> {
    let missing = OnnxError::Missing("column of a feature");
    let real = target.on_columns(row).ok_or(missing)?;
    let p = settings.linear_log2;
    let n = target.calibration_rows();
    let scores: Vec<f64> = (0..n)
        .map(|i| {
            row.constant
                + real
                    .iter()
                    .map(|(f, w)| w * at(target, *f, i) as f64)
                    .sum::<f64>()
        })
        .collect();
    let range = |weights: &[(usize, f64)], constant: f64| {
        weights
            .iter()
            .fold((constant, constant), |(lo, hi), (f, w)| {
                let (a, b) = target
                    .manifest
                    .columns
                    .get(*f)
                    .map_or((0.0, 0.0), |c| (w * c.min as f64, w * c.max as f64));
                (lo + a.min(b), hi + a.max(b))
            })
    };
    let (lo, hi) = range(&real, row.constant);
    let seen = scores
        .iter()
        .fold((0.0f64, 0.0f64), |(l, h), s| (l.min(*s), h.max(*s)));
    let wide = (seen.1 - seen.0) / 2.0;
    let mut reaches = vec![(lo.abs().max(hi.abs()), false)];
    if settings.wraps {
        reaches.push(((seen.0 - wide).abs().max(seen.1 + wide), true));
    }
    let half = f64::from(p - 1).exp2();
    let mut best: Option<(usize, f64, Vec<(usize, i64)>, i64, bool)> = None;
    for (reach, wraps) in reaches {
        for step in 0..64 {
            let a = half / reach.max(f64::MIN_POSITIVE) * (-f64::from(step) / 64.0).exp2();
            let whole: Vec<(usize, f64)> =
                real.iter().map(|(f, w)| (*f, (w * a).round())).collect();
            let constant = (row.constant * a).round();
            let (lo, hi) = range(&whole, constant);
            let too_wide = !wraps && (lo < -half || hi > half - 1.0);
            let limit = f64::from(MAX_WEIGHT_LOG2).exp2();
            let nothing = whole.iter().all(|(_, w)| *w == 0.0);
            if too_wide || nothing || whole.iter().any(|(_, w)| w.abs() >= limit) {
                continue;
            }
            let weights: Vec<(usize, i64)> = whole.iter().map(|(f, w)| (*f, *w as i64)).collect();
            let (mut wrong, mut error) = (0, 0.0);
            for (i, s) in scores.iter().enumerate() {
                let z = constant as i64
                    + weights
                        .iter()
                        .map(|(f, w)| w * at(target, *f, i))
                        .sum::<i64>();
                let positive = z.rem_euclid(1 << p) < 1 << (p - 1);
                wrong += usize::from(positive != (*s > 0.0));
                error += (z as f64 / a - s).abs();
            }
            if best
                .as_ref()
                .is_none_or(|(w, e, ..)| (wrong, error) < (*w, *e))
            {
                best = Some((wrong, error, weights, constant as i64, wraps));
            }
        }
    }
    let Some((_, _, weights, constant, wraps)) = best else {
        return Err(OnnxError::Precision {
            what: "a linear decision's weights",
            available_bits: p,
        });
    };
    let mut b = Builder::default();
    let score = b.first("score".into(), target.vector(&weights, constant));
    let cell = Accumulator {
        terms: vec![(score, 1)],
        constant: 0,
        wraps,
    };
    let wire = b.not_negative(p, cell, settings.digit_log2, settings.output_log2);
    Ok(done(b, target, settings, label, 0, wire))
}

/// X of a calibration row.
pub(crate) fn at(target: &Target<'_>, column: usize, row: usize) -> i64 {
    target
        .calibration
        .get(column)
        .and_then(|c| c.get(row))
        .copied()
        .unwrap_or(0)
}

fn done(
    b: Builder,
    target: &Target<'_>,
    settings: &Settings,
    label: &str,
    scale_log2: i32,
    wire: Wire,
) -> LayeredProgram {
    let sum = settings.reveal == Reveal::Sums;
    b.finish(
        target.manifest,
        target.over.to_vec(),
        label,
        scale_log2,
        wire,
        sum,
    )
}

fn forest_program(
    trees: &[ScoreTree],
    constant: f64,
    decision: bool,
    target: &Target<'_>,
    settings: &Settings,
    label: &str,
) -> Result<LayeredProgram, OnnxError> {
    // One tree decides by its leaf alone: leaves are 1 and 0, equal ones merge.
    let alone = decision && trees.len() == 1;
    let leaf = |v: f64| match alone {
        true if v + constant > 0.0 => 1.0,
        true => 0.0,
        false => v,
    };
    let columns = &target.manifest.columns;
    let mut readings = Readings::new();
    let mut total = if alone { 0.0 } else { constant };
    for t in trees {
        let t = forest::integer_tree(t, columns, target.columns, &leaf)
            .ok_or(OnnxError::Missing("column of a feature"))?;
        total += forest::add(&t, columns, &mut readings)?;
    }
    if readings.is_empty() {
        return Err(OnnxError::Missing("comparison that a row could change"));
    }
    let mut b = Builder::default();
    let cells = compared(&mut b, &readings, columns, target, settings)?;
    if alone {
        let out = settings.output_log2;
        let tables = cells
            .iter()
            .map(|(w, t)| (*w, Table::odd(t.map(|v| v as i32))))
            .collect();
        let wires = b.look_up(out, tables);
        let wire = b.total(out, &wires, 0);
        return Ok(done(b, target, settings, label, 0, wire));
    }
    finish(b, &cells, total, decision, target, settings, label)
}

/// Comparisons as bits, then what the tables read.
fn compared(
    b: &mut Builder,
    readings: &Readings,
    columns: &[Column],
    target: &Target<'_>,
    settings: &Settings,
) -> Result<Vec<(Wire, [f64; TABLE_ENTRIES])>, OnnxError> {
    let mut used: Vec<usize> = Vec::new();
    let mut bits: BTreeMap<Comparison, Wire> = BTreeMap::new();
    for r in readings.keys() {
        match r {
            Reading::Column(c) => used.push(*c),
            Reading::Bits(terms, _) => {
                for (c, _) in terms {
                    used.push(c.column);
                    bits.insert(*c, 0);
                }
            }
        }
    }
    used.sort_unstable();
    used.dedup();
    let wires: BTreeMap<usize, Wire> = used
        .into_iter()
        .map(|c| {
            let name = columns.get(c).map_or_else(String::new, |c| c.name.clone());
            (c, b.first(name, target.vector(&[(c, 1)], 0)))
        })
        .collect();
    let wire_of = |c: usize| wires.get(&c).copied().unwrap_or(0);
    // T - X, as few bits as hold it.
    let mut signs = Vec::new();
    for c in bits.keys() {
        let column = columns
            .get(c.column)
            .ok_or(OnnxError::Missing("column of a feature"))?;
        let (lo, hi) = (c.threshold - column.max, c.threshold - column.min);
        let p = (TABLE_INPUT_LOG2..=MAX_MODULUS_LOG2)
            .find(|p| lo >= -(1i64 << (p - 1)) && hi < 1i64 << (p - 1))
            .ok_or(OnnxError::Precision {
                what: "a comparison",
                available_bits: MAX_MODULUS_LOG2,
            })?;
        let cell = Accumulator {
            terms: vec![(wire_of(c.column), -1)],
            constant: c.threshold,
            wraps: false,
        };
        signs.push((p, cell));
    }
    if !signs.is_empty() {
        let read = b.readable(signs, settings.digit_log2);
        let tables = read
            .into_iter()
            .map(|w| (w, Table::not_negative(1)))
            .collect();
        for (slot, w) in bits.values_mut().zip(b.look_up(TABLE_INPUT_LOG2, tables)) {
            *slot = w;
        }
    }
    let inputs = readings
        .keys()
        .map(|r| {
            let (mut terms, constant) = match r {
                Reading::Bits(terms, constant) => (
                    terms
                        .iter()
                        .map(|(c, w)| (bits.get(c).copied().unwrap_or(0), *w))
                        .collect::<Vec<_>>(),
                    *constant,
                ),
                Reading::Column(c) => (
                    vec![(wire_of(*c), 1)],
                    -columns.get(*c).map_or(0, |c| c.min),
                ),
            };
            terms.sort_unstable();
            let cell = Accumulator {
                terms,
                constant,
                wraps: false,
            };
            (TABLE_INPUT_LOG2, cell)
        })
        .collect();
    let read = b.readable(inputs, settings.digit_log2);
    Ok(read.into_iter().zip(readings.values().copied()).collect())
}

/// Adds up tables: a decision by the sum's sign, or the sum itself.
fn finish(
    mut b: Builder,
    cells: &[(Wire, [f64; TABLE_ENTRIES])],
    constant: f64,
    decision: bool,
    target: &Target<'_>,
    settings: &Settings,
    label: &str,
) -> Result<LayeredProgram, OnnxError> {
    let total = constant + cells.iter().map(|(_, t)| middle(t)).sum::<f64>();
    let reach = total.abs() + cells.iter().map(|(_, t)| half_range(t)).sum::<f64>();
    let rounding = cells.len() as f64 + 2.0;
    let tables = |scale: f64| {
        cells
            .iter()
            .map(|(w, t)| (*w, Table::odd(centred(t, scale).0)))
            .collect::<Vec<_>>()
    };
    if decision {
        let p = settings.last_log2;
        let room = f64::from(p - 1).exp2() - rounding;
        if room < 8.0 {
            return Err(OnnxError::Precision {
                what: "the sum of the tables",
                available_bits: p,
            });
        }
        let scale = room / reach.max(f64::MIN_POSITIVE);
        let wires = b.look_up(p, tables(scale));
        // Above zero, that is at least one: a tie is the first class's.
        let cell = Accumulator {
            terms: wires.iter().map(|w| (*w, 1)).collect(),
            constant: (total * scale).round() as i64 - 1,
            wraps: false,
        };
        let wire = b.not_negative(p, cell, settings.digit_log2, settings.output_log2);
        return Ok(done(b, target, settings, label, 0, wire));
    }
    // A value: the most bits whose noise fits, the finest power of two.
    let rows = match settings.reveal {
        Reveal::Rows => 1.0,
        Reveal::Sums => 4_096.0,
    };
    for p in (8..=24).rev() {
        let room = f64::from(p - 2).exp2() / rows - rounding;
        if room < 8.0 {
            break;
        }
        let scale_log2 = (room / reach.max(f64::MIN_POSITIVE)).log2().floor();
        let scale = scale_log2.exp2();
        let mut b = b.clone();
        let wires = b.look_up(p, tables(scale));
        let wire = b.total(p, &wires, (total * scale).round() as i64);
        let program = done(b, target, settings, label, scale_log2 as i32, wire);
        match program.analyse(target.manifest, &settings.noise) {
            Ok(_) => return Ok(program),
            Err(LayeredError::OutputNoise { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(OnnxError::Precision {
        what: "a value of more than three bits, and its noise,",
        available_bits: 62,
    })
}
