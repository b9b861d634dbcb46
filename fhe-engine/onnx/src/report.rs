//! What quantisation costs in accuracy (PRG-14): the float model on the float
//! rows, the float model on the dequantised rows, and the program's integers.

use crate::{
    error::OnnxError,
    model::{Meaning, Model},
    quantise::Target,
};
use serde::Serialize;
use veilbourse_core::{
    layered::{LayeredProgram, simulate_layered},
    table::QuantisedTable,
};

/// Correct decisions, or for values the mean absolute error, over the rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Accuracy {
    /// Rows looked at.
    pub rows: usize,
    /// The float model on the float rows.
    pub float: f64,
    /// The float model on the dequantised rows: what the columns' widths cost.
    pub quantised: f64,
    /// The program's integer simulation: what everything costs.
    pub simulated: f64,
    /// Share of rows on which program and float model decide alike; for values
    /// the mean absolute difference.
    pub agreement: f64,
}

/// Compares on the rows of a table that `chosen` names (row of the program's
/// rows in order, float features, truth: 0 or 1 for a decision). The program
/// opens rows, not sums.
pub fn accuracy(
    model: &Model,
    program: &LayeredProgram,
    target: &Target<'_>,
    table: &QuantisedTable,
    chosen: &[(usize, &[f64], f64)],
) -> Result<Accuracy, OnnxError> {
    let values = simulate_layered(target.manifest, table, program, &[])
        .ok_or(OnnxError::Missing("table of the manifest's shape"))?;
    let opened: Vec<i64> = values.into_iter().take(1).flatten().flatten().collect();
    let scale = program
        .outputs
        .first()
        .map_or(1.0, |o| (-f64::from(o.scale_log2)).exp2());
    // The chunks' rows in order, as (segment, row of the segment).
    let rows: Vec<(usize, usize)> = program
        .over
        .iter()
        .flat_map(|c| {
            let n = veilbourse_core::params::DATA_RING_DIMENSION;
            let first = c.chunk as usize * n;
            let all = target
                .manifest
                .segments
                .get(c.segment as usize)
                .map_or(0, |s| s.rows as usize);
            (first..all.min(first + n)).map(move |i| (c.segment as usize, i))
        })
        .collect();
    if opened.len() != rows.len() {
        return Err(OnnxError::Count {
            field: "opened rows",
            expected: rows.len(),
            found: opened.len(),
        });
    }
    let decision = matches!(model.meaning, Meaning::Decision(_));
    let mut sums = [0.0; 4];
    for (row, features, truth) in chosen {
        let gone = OnnxError::Count {
            field: "rows",
            expected: rows.len(),
            found: *row,
        };
        let ((segment, i), x) = rows.get(*row).zip(opened.get(*row)).ok_or(gone)?;
        let dequantised: Vec<f64> = (0..target.columns.len())
            .map(|f| {
                let (at, c) = target.column(f)?;
                let x = *table.segments.get(*segment)?.get(at)?.get(*i)?;
                Some(x as f64 * (-f64::from(c.scale_log2)).exp2())
            })
            .collect::<Option<_>>()
            .ok_or(OnnxError::Missing("column of a feature"))?;
        let said = |row: &[f64]| {
            if decision {
                f64::from(u8::from(model.decide(row)))
            } else {
                model.score(row)
            }
        };
        let three = [said(features), said(&dequantised), *x as f64 * scale];
        for (sum, v) in sums.iter_mut().zip(three.iter().chain([&three[2]])) {
            *sum += if decision {
                f64::from(u8::from(v == truth))
            } else {
                (v - truth).abs()
            };
        }
        // The last sum compares with the float model instead.
        let [.., last] = &mut sums;
        let against = |t: f64| {
            if decision {
                f64::from(u8::from(three[2] == t))
            } else {
                (three[2] - t).abs()
            }
        };
        *last += against(three[0]) - against(*truth);
    }
    let n = chosen.len().max(1) as f64;
    let [float, quantised, simulated, agreement] = sums.map(|s| s / n);
    Ok(Accuracy {
        rows: chosen.len(),
        float,
        quantised,
        simulated,
        agreement,
    })
}
