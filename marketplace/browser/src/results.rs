//! Integers in real units with what is known of their error, as pages and files show
//! them.

use crate::CoreError;
use serde_json::{Value, json};
use std::fmt::Write as _;
use veilbourse_client::{
    buyer::values::{Variance, noise_rows, real_noise, variances},
    query::{self, Decoded},
};
use veilbourse_core::{
    manifest::Manifest,
    program::{MatrixRef, Program},
};

/// What integers are read with.
pub(crate) struct Reading<'a> {
    pub manifest: &'a Manifest,
    pub program: &'a Program,
    /// Deviation of the noise in an integer, and its 95 % half width.
    pub noise: (f64, f64),
    /// Worst case from rounding each vector's weights, and the data.
    pub rounding: Vec<f64>,
    /// Whether scores are turned into probabilities.
    pub logistic: bool,
}

impl Reading<'_> {
    /// `outputs` and `variances` of `core.d.ts`, and the same as CSV.
    pub fn show(&self, integers: &[Vec<i64>]) -> Shown {
        let decoded = query::decode(self.manifest, self.program, integers);
        let outputs = decoded
            .iter()
            .zip(integers)
            .map(|(d, integers)| self.output(d, integers))
            .collect();
        let derived = variances(&decoded);
        let deviations = noise_rows(self.program, &decoded, &derived, self.noise.0);
        let of = deviations.iter().skip(decoded.len());
        let variance = |(v, noise): (&Variance<'_>, &f64)| {
            json!({ "column": v.column, "segment": v.segment, "rows": v.rows, "value": v.value,
                "noiseDeviation": noise })
        };
        Shown {
            outputs,
            csv: self.csv(&decoded, &derived),
            variances: derived.iter().zip(of).map(variance).collect(),
        }
    }

    fn output(&self, d: &Decoded, integers: &[i64]) -> Value {
        let rounding = self.rounding.get(d.vector as usize).copied().unwrap_or(0.0);
        let integers: Vec<String> = integers.iter().map(ToString::to_string).collect();
        let mut said = json!({
            "label": d.title(),
            "segment": d.segment,
            "rows": d.rows,
            "mean": mean(d),
            "values": d.values,
            "roundingError": rounding,
            "noiseDeviation": real_noise(self.program, d, self.noise.0),
            "within95": real_noise(self.program, d, self.noise.1),
            "integers": integers,
        });
        if self.logistic {
            let p: Vec<f64> = d.values.iter().map(|x| logistic(*x)).collect();
            said["probabilities"] = json!(p);
        }
        said
    }

    /// One value a line, numbers as they are written shortest.
    fn csv(&self, decoded: &[Decoded], derived: &[Variance<'_>]) -> String {
        let mut out = String::from("output,segment,rows,row,value,noise_deviation\n");
        for d in decoded {
            let noise = real_noise(self.program, d, self.noise.0);
            let chunk = match d.over {
                MatrixRef::Traced { .. } => None,
                MatrixRef::Chunk { chunk, .. } => Some(u64::from(chunk)),
            };
            for (value, row) in d.values.iter().zip(0u64..) {
                let n = veilbourse_core::params::DATA_RING_DIMENSION as u64;
                let row = chunk.map_or(String::new(), |c| (c * n + row).to_string());
                let _ = writeln!(
                    out,
                    "{},{},{},{row},{value},{noise}",
                    quoted(&d.title()),
                    quoted(&d.segment),
                    d.rows
                );
            }
        }
        for v in derived {
            let label = quoted(&format!("variance of {}", v.column));
            let _ = writeln!(
                out,
                "{label},{},{},,{},",
                quoted(v.segment),
                v.rows,
                v.value
            );
        }
        out
    }
}

/// Opened values, shown.
pub(crate) struct Shown {
    pub outputs: Vec<Value>,
    pub variances: Vec<Value>,
    pub csv: String,
}

fn mean(d: &Decoded) -> bool {
    matches!(d.over, MatrixRef::Traced { .. })
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// A CSV field (RFC 4180); one that a spreadsheet would take for a formula has an
/// apostrophe before it.
fn quoted(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

/// The greatest difference between what integers decode to and what doubles give.
pub(crate) fn difference(outputs: &[Value], exact: &[Vec<f64>]) -> Result<f64, CoreError> {
    let mut most = 0.0f64;
    for (o, exact) in outputs.iter().zip(exact) {
        let values = o["values"].as_array().map_or(&[][..], Vec::as_slice);
        if values.len() != exact.len() {
            return Err(CoreError::new(
                "INTERNAL",
                "two readings of one output differ in length",
            ));
        }
        for (a, b) in values.iter().zip(exact) {
            most = most.max((a.as_f64().unwrap_or(f64::NAN) - b).abs());
        }
    }
    Ok(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_fields_are_quoted_and_no_formulas() {
        assert_eq!(quoted("a"), "a");
        assert_eq!(quoted("a,\"b"), "\"a,\"\"b\"");
        assert_eq!(quoted("=1+1"), "'=1+1");
        assert_eq!(quoted("-x,y"), "\"'-x,y\"");
    }

    #[test]
    fn scores_become_probabilities() {
        assert_eq!(logistic(0.0), 0.5);
        assert!(logistic(40.0) > 0.999 && logistic(-800.0) == 0.0);
    }
}
