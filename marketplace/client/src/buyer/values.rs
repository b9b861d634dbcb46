//! Opened values in real units: variances, and the noise that each value carries
//! (PRV-11).

use super::{JointTicket, Ticket};
use crate::{
    ClientError,
    query::{self, Decoded},
};
use serde_json::{Value, json};
use veilbourse_core::{
    manifest::Manifest,
    program::{MatrixRef, Program},
};
use veilbourse_documents::Id;

/// A variance over a segment's rows (divided by their number).
#[derive(Debug, Clone, PartialEq)]
pub struct Variance<'a> {
    /// The column.
    pub column: &'a str,
    /// The segment's label.
    pub segment: &'a str,
    /// Its rows.
    pub rows: u64,
    /// The variance.
    pub value: f64,
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
pub fn variances(decoded: &[Decoded]) -> Vec<Variance<'_>> {
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

/// The deviation of the noise in every row of a table of decoded outputs and
/// variances, in the row's own unit.
pub fn noise_rows(
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

/// The orders of one journey: one, or those of a joint order.
#[derive(Debug, Clone, Copy)]
pub struct Orders<'a> {
    /// In the order of their quotes' digests.
    pub tickets: &'a [Ticket],
    /// Whether it is a joint order.
    pub joint: bool,
}

impl Orders<'_> {
    /// What the opened values are decoded by: of a joint order the rows of all
    /// listings.
    pub fn decoding(&self) -> Result<(Manifest, Program), ClientError> {
        let none = || ClientError::refused("order", "there is none");
        let first = self.tickets.first().ok_or_else(none)?;
        let program = first.order.body.program.clone();
        if !self.joint {
            return Ok((first.manifest.clone(), program));
        }
        let orders = self.tickets.to_vec();
        Ok((JointTicket { orders }.pooled()?, program))
    }

    /// Standard deviation of the noise in an opened integer: of all orders.
    pub fn noise_deviation(&self) -> f64 {
        let classes = self.tickets.iter().filter_map(Ticket::class);
        let variance = classes.map(|(_, c)| c.mechanism().forecast().standard_deviation.powi(2));
        variance.sum::<f64>().sqrt()
    }

    /// `result.json`: values in real units, the integers, what noise they carry.
    pub fn result(&self, ids: &[Id], values: &[Vec<i64>]) -> Result<Value, ClientError> {
        let (manifest, program) = self.decoding()?;
        let decoded = query::decode(&manifest, &program, values);
        let noise = self.noise_deviation();
        let outputs: Vec<_> = decoded
            .iter()
            .zip(values)
            .map(|(d, integers)| {
                json!({ "label": d.title(), "segment": d.segment, "rows": d.rows, "values": d.values,
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
        let errors: Vec<_> = self.tickets.iter().map(|t| &t.max_error).collect();
        let mut result = json!({ "order": ids.first(), "outputs": outputs, "variances": derived,
            "noise_deviation": noise, "max_rounding_error": errors.first() });
        if self.joint {
            result["joint"] = json!(ids);
        }
        Ok(result)
    }
}

/// The noise's deviation in an output's own units.
pub fn real_noise(program: &Program, d: &Decoded, noise: f64) -> f64 {
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
    fn a_mean_is_called_a_mean() {
        let decoded = |label: &str, over| Decoded {
            label: label.into(),
            vector: 0,
            over,
            segment: "all".into(),
            rows: 2,
            values: vec![1.5],
        };
        let (mean, rows) = (
            MatrixRef::Traced { segment: 0 },
            MatrixRef::Chunk {
                segment: 0,
                chunk: 0,
            },
        );
        for (label, over, title) in [
            ("sum of age", mean, "mean of age"),
            ("sum of age^2", mean, "mean of age^2"),
            ("score", mean, "score"),
            // Each row's own value: no mean.
            ("sum of age", rows, "sum of age"),
        ] {
            assert_eq!(decoded(label, over).title(), title);
        }
        // What is derived goes by the program's own labels.
        let moments = [decoded("sum of age", mean), decoded("sum of age^2", mean)];
        let found = variances(&moments);
        assert_eq!(found.len(), 1);
        let v = &found[0];
        assert_eq!((v.column, v.value), ("age", 1.5 - 1.5 * 1.5));
    }

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
