//! Opened values for people: decoded outputs, variances, the noise they carry.

use super::Kept;
use anyhow::Result;
use serde_json::{Value, json};
use veilbourse_client::query::{self, Decoded};
use veilbourse_core::program::{MatrixRef, Program};
use veilbourse_documents::Id;

/// Decoded outputs as table rows: at most the first eight of a chunk.
pub fn result_rows(decoded: &[Decoded]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for d in decoded {
        let what = match d.over {
            MatrixRef::Traced { .. } => format!("{} (mean)", d.label),
            MatrixRef::Chunk { chunk, .. } => format!("{} (chunk {chunk})", d.label),
        };
        let shown: Vec<String> = d.values.iter().take(8).map(|v| format!("{v:.6}")).collect();
        let dots = if d.values.len() > 8 { ", …" } else { "" };
        rows.push(vec![
            what,
            d.segment.clone(),
            d.rows.to_string(),
            format!("{}{dots}", shown.join(", ")),
        ]);
    }
    rows
}

/// A variance over a segment's rows (divided by their number).
pub(super) struct Variance<'a> {
    column: &'a str,
    segment: &'a str,
    rows: u64,
    value: f64,
}

/// Variances where an order holds the sums of a column and of its square.
pub(super) fn variances(decoded: &[Decoded]) -> Vec<Variance<'_>> {
    let mut found = Vec::new();
    for d in decoded {
        let square = format!("{}^2", d.label);
        let second = decoded
            .iter()
            .find(|s| s.label == square && s.over == d.over);
        if let (Some(second), [mean]) = (second, d.values.as_slice())
            && let [m2] = second.values.as_slice()
        {
            found.push(Variance {
                column: d.label.trim_start_matches("sum of "),
                segment: &d.segment,
                rows: d.rows,
                value: m2 - mean * mean,
            });
        }
    }
    found
}

pub(super) fn variance_rows(variances: &[Variance<'_>]) -> Vec<Vec<String>> {
    let row = |v: &Variance<'_>| {
        let name = format!("variance of {}", v.column);
        let value = format!("{:.6}", v.value);
        vec![name, v.segment.to_owned(), v.rows.to_string(), value]
    };
    variances.iter().map(row).collect()
}

/// `result.json`: values in real units, the integers, what noise they carry.
pub(super) fn result_json(kept: &Kept, ids: &[Id], values: &[Vec<i64>]) -> Result<Value> {
    let (manifest, program) = kept.decoding()?;
    let decoded = query::decode(&manifest, &program, values);
    let noise = kept.noise_deviation();
    let outputs: Vec<_> = decoded
        .iter()
        .zip(values)
        .map(|(d, integers)| {
            json!({ "label": d.label, "segment": d.segment, "rows": d.rows, "values": d.values,
                "noise_deviation": real_noise(&program, d, noise),
                "integers": integers.iter().map(ToString::to_string).collect::<Vec<_>>() })
        })
        .collect();
    let variances = variances(&decoded);
    let derived: Vec<_> = variances
        .iter()
        .map(|v| json!({ "column": v.column, "segment": v.segment, "rows": v.rows, "value": v.value }))
        .collect();
    let errors: Vec<_> = kept.tickets.iter().map(|t| &t.max_error).collect();
    let mut result = json!({ "order": ids.first(), "outputs": outputs, "variances": derived,
        "noise_deviation": noise, "max_rounding_error": errors.first() });
    if kept.joint {
        result["joint"] = json!(ids);
    }
    Ok(result)
}

/// The noise's deviation in an output's own units.
pub(super) fn real_noise(program: &Program, d: &Decoded, noise: f64) -> f64 {
    let scale = program.vectors.get(d.vector as usize);
    let scale = scale.map_or(0, |v| v.scale_log2);
    let divisor = match d.over {
        MatrixRef::Traced { .. } => d.rows.max(1) as f64,
        MatrixRef::Chunk { .. } => 1.0,
    };
    noise * f64::from(-scale).exp2() / divisor
}
