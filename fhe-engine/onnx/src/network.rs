//! Hidden layers as accumulators, readings and tables.
//!
//! A unit's pre-activation is read as one of 16 levels over the range that the
//! calibration rows show, widened by the headroom; rows beyond wrap, in the
//! simulation as in the homomorphic evaluation (PRG-7). The last hidden
//! layer's tables hold activation times output weight; those of inner layers
//! hold the activation in integers, and the next layer's weights are integers.

use crate::{
    builder::{Builder, half_range, middle},
    error::OnnxError,
    model::{Affine, Dense},
    ops::Activation,
    quantise::{Settings, Target, at},
};
use veilbourse_core::{
    layered::{Accumulator, MAX_TERM_LOG2, TABLE_ENTRIES, TABLE_INPUT_LOG2, Table, Wire},
    program::MAX_WEIGHT_LOG2,
};

/// Levels that an inner layer's activation has on either side of its middle:
/// few, because the next layer's weights multiply the bootstraps' noise.
const INNER_LEVELS: f64 = 7.0;

/// The inputs of a layer: wires (none for the dataset's columns), their
/// integers on the calibration rows, and value = integer step + middle.
struct Inputs {
    columns: Vec<(Option<Wire>, usize)>,
    values: Vec<Vec<i64>>,
    step: Vec<f64>,
    middle: Vec<f64>,
}

/// One quantised unit.
struct Unit {
    weights: Vec<i64>,
    constant: i64,
    /// Real pre-activation at the centre of each level.
    centres: [f64; TABLE_ENTRIES],
    /// Readings of the calibration rows, modulo 32.
    readings: Vec<i64>,
}

/// The last hidden layer's readable wires with the tables whose sum, with the
/// constant, is the score.
pub(crate) fn cells(
    b: &mut Builder,
    hidden: &[Dense],
    last: &Affine,
    target: &Target<'_>,
    settings: &Settings,
) -> Result<(Vec<(Wire, [f64; TABLE_ENTRIES])>, f64), OnnxError> {
    let mut inputs = columns(target)?;
    let mut constant = last.constant;
    let mut cells = Vec::new();
    for (l, layer) in hidden.iter().enumerate() {
        let p = if l == 0 {
            settings.hidden_log2
        } else {
            settings.inner_log2
        };
        let units = layer
            .units
            .iter()
            .map(|u| quantise(u, &inputs, p, settings))
            .collect::<Result<Vec<_>, _>>()?;
        let read = readings(b, &units, &inputs, p, target, settings);
        if l + 1 == hidden.len() {
            for ((unit, wire), w) in units.iter().zip(read).zip(&last.weights) {
                match wire {
                    Some(wire) => {
                        let f = |z: f64| w * layer.activation.apply(z);
                        cells.push((wire, unit.centres.map(f)));
                    }
                    None => {
                        constant += w * layer
                            .activation
                            .apply(unit.centres.first().copied().unwrap_or(0.0))
                    }
                }
            }
        } else {
            inputs = activated(b, &units, &read, layer.activation, settings);
        }
    }
    if cells.is_empty() {
        return Err(OnnxError::Missing("hidden unit that a row could change"));
    }
    Ok((cells, constant))
}

fn columns(target: &Target<'_>) -> Result<Inputs, OnnxError> {
    let n = target.calibration_rows();
    let mut inputs = Inputs {
        columns: Vec::new(),
        values: Vec::new(),
        step: Vec::new(),
        middle: Vec::new(),
    };
    for f in 0..target.columns.len() {
        let (column, c) = target
            .column(f)
            .ok_or(OnnxError::Missing("column of a feature"))?;
        inputs.columns.push((None, column));
        inputs
            .values
            .push((0..n).map(|i| at(target, column, i)).collect());
        inputs.step.push((-f64::from(c.scale_log2)).exp2());
        inputs.middle.push(0.0);
    }
    Ok(inputs)
}

fn quantise(
    unit: &Affine,
    inputs: &Inputs,
    p: u32,
    settings: &Settings,
) -> Result<Unit, OnnxError> {
    let real: Vec<f64> = unit
        .weights
        .iter()
        .zip(&inputs.step)
        .map(|(w, s)| w * s)
        .collect();
    let constant = unit.constant
        + unit
            .weights
            .iter()
            .zip(&inputs.middle)
            .map(|(w, m)| w * m)
            .sum::<f64>();
    let rows = inputs.values.first().map_or(0, Vec::len);
    let sum = |weights: &[f64], i: usize| {
        weights
            .iter()
            .zip(&inputs.values)
            .map(|(w, v)| w * v.get(i).copied().unwrap_or(0) as f64)
            .sum::<f64>()
    };
    let (lo, hi) = (0..rows)
        .map(|i| constant + sum(&real, i))
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), z| {
            (lo.min(z), hi.max(z))
        });
    let (middle, half) = (
        (lo + hi) / 2.0,
        (hi - lo) / 2.0 * (1.0 + f64::from(settings.headroom_percent) / 100.0),
    );
    // All 16 levels are half of the modulus.
    let step = 2.0 * half / f64::from(p - 1).exp2();
    let weights: Vec<i64> = real
        .iter()
        .map(|w| {
            if step > 0.0 {
                (w / step).round() as i64
            } else {
                0
            }
        })
        .collect();
    let limit = 1i64 << MAX_WEIGHT_LOG2.min(MAX_TERM_LOG2);
    if weights.iter().any(|w| w.abs() >= limit) {
        return Err(OnnxError::Precision {
            what: "a hidden unit's weight",
            available_bits: MAX_WEIGHT_LOG2,
        });
    }
    if weights.iter().all(|w| *w == 0) {
        return Ok(Unit {
            weights,
            constant: 0,
            centres: [middle; TABLE_ENTRIES],
            readings: Vec::new(),
        });
    }
    let least = middle - half;
    let constant = ((constant - least) / step).round() as i64;
    let level = 2.0 * half / TABLE_ENTRIES as f64;
    let readings = (0..rows)
        .map(|i| {
            let z = constant
                + weights
                    .iter()
                    .zip(&inputs.values)
                    .map(|(w, v)| w * v.get(i).copied().unwrap_or(0))
                    .sum::<i64>();
            z.rem_euclid(1 << p) >> (p - TABLE_INPUT_LOG2)
        })
        .collect();
    Ok(Unit {
        weights,
        constant,
        centres: std::array::from_fn(|i| least + (i as f64 + 0.5) * level),
        readings,
    })
}

/// Wires of five bits, one a unit that rows can change.
fn readings(
    b: &mut Builder,
    units: &[Unit],
    inputs: &Inputs,
    p: u32,
    target: &Target<'_>,
    settings: &Settings,
) -> Vec<Option<Wire>> {
    let live: Vec<bool> = units
        .iter()
        .map(|u| u.weights.iter().any(|w| *w != 0))
        .collect();
    let mut accumulators = Vec::new();
    for (i, u) in units
        .iter()
        .enumerate()
        .filter(|(i, _)| live.get(*i) == Some(&true))
    {
        let wires: Vec<(Wire, i32)> = inputs
            .columns
            .iter()
            .zip(&u.weights)
            .filter_map(|((wire, _), w)| Some(((*wire)?, i32::try_from(*w).ok()?)))
            .filter(|(_, w)| *w != 0)
            .collect();
        let (terms, constant) = if wires.is_empty() {
            let mut weights: Vec<(usize, i64)> = Vec::new();
            for ((_, column), w) in inputs.columns.iter().zip(&u.weights) {
                match weights.iter_mut().find(|(c, _)| c == column) {
                    Some((_, sum)) => *sum += w,
                    None => weights.push((*column, *w)),
                }
            }
            let first = b.first(format!("unit {i}"), target.vector(&weights, u.constant));
            (vec![(first, 1)], 0)
        } else {
            (wires, u.constant)
        };
        accumulators.push((
            p,
            Accumulator {
                terms,
                constant,
                wraps: true,
            },
        ));
    }
    let mut read = if accumulators.is_empty() {
        Vec::new()
    } else {
        b.readable(accumulators, settings.digit_log2)
    }
    .into_iter();
    live.iter()
        .map(|l| if *l { read.next() } else { None })
        .collect()
}

/// An inner layer's activations, as the next layer's inputs.
fn activated(
    b: &mut Builder,
    units: &[Unit],
    read: &[Option<Wire>],
    f: Activation,
    settings: &Settings,
) -> Inputs {
    let rows = units.iter().map(|u| u.readings.len()).max().unwrap_or(0);
    let mut inputs = Inputs {
        columns: Vec::new(),
        values: Vec::new(),
        step: Vec::new(),
        middle: Vec::new(),
    };
    let mut tables = Vec::new();
    for (unit, wire) in units.iter().zip(read) {
        let values = unit.centres.map(|z| f.apply(z));
        let (mid, half) = (middle(&values), half_range(&values));
        let step = half / INNER_LEVELS;
        let whole = values.map(|v| {
            if step > 0.0 {
                ((v - mid) / step).round() as i32
            } else {
                0
            }
        });
        let table = Table::odd(whole);
        let integers = match wire {
            Some(_) => unit
                .readings
                .iter()
                .map(|m| table.value(i128::from(*m)) as i64)
                .collect(),
            None => vec![0; rows],
        };
        if let Some(wire) = wire {
            tables.push((*wire, table));
        }
        inputs.values.push(integers);
        inputs.step.push(step);
        inputs.middle.push(mid);
        inputs.columns.push((*wire, 0));
    }
    let mut made = if tables.is_empty() {
        Vec::new()
    } else {
        b.look_up(settings.inner_log2, tables)
    }
    .into_iter();
    for (wire, _) in &mut inputs.columns {
        if wire.is_some() {
            *wire = made.next();
        }
    }
    inputs
}
