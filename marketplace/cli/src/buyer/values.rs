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
    /// Places of the mean and of the second moment.
    of: [usize; 2],
    mean: f64,
}

/// What noise of these deviations in mean and second moment does to a variance:
/// m2 - (mean + e)^2 with a Gaussian e, the mean as it was opened.
fn variance_noise(mean: f64, [first, second]: [f64; 2]) -> f64 {
    let square = first.powi(2);
    (second.powi(2) + 4.0 * mean.powi(2) * square + 2.0 * square.powi(2)).sqrt()
}

/// Variances where an order holds the sums of a column and of its square.
pub(super) fn variances(decoded: &[Decoded]) -> Vec<Variance<'_>> {
    let mut found = Vec::new();
    for (first, d) in decoded.iter().enumerate() {
        let square = format!("{}^2", d.label);
        let mut all = decoded.iter().enumerate();
        let second = all.find(|(_, s)| s.label == square && s.over == d.over);
        if let (Some((place, second)), [mean]) = (second, d.values.as_slice())
            && let [m2] = second.values.as_slice()
        {
            found.push(Variance {
                column: d.label.trim_start_matches("sum of "),
                segment: &d.segment,
                rows: d.rows,
                value: m2 - mean * mean,
                of: [first, place],
                mean: *mean,
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

/// The deviation of the noise in every row of a table of decoded outputs and
/// variances, in the row's own unit.
pub(super) fn noise_rows(
    program: &Program,
    decoded: &[Decoded],
    variances: &[Variance<'_>],
    noise: f64,
) -> Vec<f64> {
    let mut all: Vec<f64> = decoded
        .iter()
        .map(|d| real_noise(program, d, noise))
        .collect();
    let of = |i: usize| all.get(i).copied().unwrap_or_default();
    let derived: Vec<f64> = variances
        .iter()
        .map(|v| variance_noise(v.mean, v.of.map(of)))
        .collect();
    all.extend(derived);
    all
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
    let deviations = noise_rows(&program, &decoded, &variances, noise);
    let derived: Vec<_> = variances
        .iter()
        .zip(deviations.iter().skip(decoded.len()))
        .map(|(v, noise)| {
            json!({ "column": v.column, "segment": v.segment, "rows": v.rows, "value": v.value,
                "noise_deviation": noise })
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variance_carries_the_noise_of_both_its_moments() {
        // PRV-11: no noise, none; and one hundred thousand draws of a seed agree.
        assert_eq!(variance_noise(3.0, [0.0, 0.0]), 0.0);
        assert_eq!(variance_noise(3.0, [0.0, 2.0]), 2.0);
        use rand::{RngExt, SeedableRng};
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
        let mut normal = || -> f64 {
            let (u, v): (f64, f64) = (rng.random(), rng.random());
            (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
        };
        let (mean, first, second) = (0.7, 0.5, 0.3);
        let draws: Vec<f64> = (0..100_000)
            .map(|_| second * normal() - (mean + first * normal()).powi(2))
            .collect();
        let centre = draws.iter().sum::<f64>() / draws.len() as f64;
        let spread = draws.iter().map(|d| (d - centre).powi(2)).sum::<f64>() / draws.len() as f64;
        let said = variance_noise(mean, [first, second]);
        assert!((spread.sqrt() / said - 1.0).abs() < 0.02, "{spread} {said}");
    }
}
