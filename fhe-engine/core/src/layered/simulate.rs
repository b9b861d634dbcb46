//! The integer simulation of a layered program (PRG-11): the exact reference
//! that every decrypted result must equal.

use super::{Layer, LayeredProgram, infer::rows};
use crate::{
    manifest::Manifest, params::DATA_RING_DIMENSION as N, program::Weights, table::QuantisedTable,
};

/// What the outputs open to: `[output][chunk]`, one value a true row, or one
/// value for a sum. `private` holds the weights of each first vector that the
/// program hides; it is not read for public ones. Nothing when the pieces do
/// not belong together; a program that [`LayeredProgram::analyse`] admits and a
/// table of the manifest's shape do.
pub fn simulate_layered(
    manifest: &Manifest,
    table: &QuantisedTable,
    program: &LayeredProgram,
    private: &[Vec<i64>],
) -> Option<Vec<Vec<Vec<i64>>>> {
    let mut out = vec![Vec::new(); program.outputs.len()];
    for (chunk, rows) in program.over.iter().zip(rows(manifest, &program.over)) {
        let columns = table.segments.get(chunk.segment as usize)?;
        if columns.len() != manifest.columns.len() {
            return None;
        }
        let publics: Vec<i128> = manifest
            .public_columns
            .iter()
            .map(|g| g.values.get(chunk.segment as usize).map(|v| i128::from(*v)))
            .collect::<Option<_>>()?;
        let first_row = chunk.chunk as usize * N;
        // By wire: one value a row, or one value.
        let mut wires: Vec<Vec<i128>> = Vec::new();
        for (i, vector) in program.first.iter().enumerate() {
            let weights = match &vector.weights {
                Weights::Public { values } => values,
                Weights::Private { .. } => private.get(i)?,
            };
            wires.push(scores(
                weights,
                columns,
                &publics,
                first_row..first_row + rows as usize,
            )?);
        }
        let mut moduli = vec![64u32; wires.len()];
        for layer in &program.layers {
            let made = apply(program, layer, &wires, &moduli, rows as usize)?;
            let p = match layer {
                Layer::Linear { modulus_log2, .. } => *modulus_log2,
                _ => super::TABLE_INPUT_LOG2,
            };
            moduli.resize(wires.len() + made.len(), p);
            wires.extend(made);
        }
        for (o, values) in program.outputs.iter().zip(&mut out) {
            let wire = wires.get(o.wire as usize)?;
            let opened: Option<Vec<i64>> = wire.iter().map(|v| i64::try_from(*v).ok()).collect();
            values.push(opened?);
        }
    }
    Some(out)
}

/// sum of weight times column for each row of a range.
fn scores(
    weights: &[i64],
    columns: &[Vec<i64>],
    publics: &[i128],
    range: std::ops::Range<usize>,
) -> Option<Vec<i128>> {
    let (encrypted, public) = weights.split_at_checked(columns.len())?;
    if public.len() != publics.len() {
        return None;
    }
    let constant: i128 = public
        .iter()
        .zip(publics)
        .map(|(w, v)| i128::from(*w) * v)
        .sum();
    let mut out = vec![constant; range.len()];
    for (w, column) in encrypted.iter().zip(columns) {
        if *w == 0 {
            continue;
        }
        for (s, x) in out.iter_mut().zip(column.get(range.clone())?) {
            *s += i128::from(*w) * i128::from(*x);
        }
    }
    Some(out)
}

fn apply(
    program: &LayeredProgram,
    layer: &Layer,
    wires: &[Vec<i128>],
    moduli: &[u32],
    rows: usize,
) -> Option<Vec<Vec<i128>>> {
    match layer {
        Layer::Linear { cells, .. } => cells
            .iter()
            .map(|c| {
                let mut out = vec![i128::from(c.constant); rows];
                for (wire, weight) in &c.terms {
                    for (s, x) in out.iter_mut().zip(wires.get(*wire as usize)?) {
                        *s += i128::from(*weight) * x;
                    }
                }
                Some(out)
            })
            .collect(),
        // PRG-4: the low bits go, what is left counts modulo 32.
        Layer::Requantise { cells, .. } => cells
            .iter()
            .map(|w| {
                let p = *moduli.get(*w as usize)?;
                let gone = p.checked_sub(super::TABLE_INPUT_LOG2)?;
                let of = wires.get(*w as usize)?;
                Some(of.iter().map(|x| x.rem_euclid(1 << p) >> gone).collect())
            })
            .collect(),
        Layer::Lut { cells, .. } => cells
            .iter()
            .map(|c| {
                let t = program.tables.get(c.table as usize)?;
                let of = wires.get(c.input as usize)?;
                Some(of.iter().map(|x| t.value(*x)).collect())
            })
            .collect(),
        Layer::Sum { cells } => cells
            .iter()
            .map(|w| Some(vec![wires.get(*w as usize)?.iter().sum()]))
            .collect(),
    }
}
