//! The demo's data: the embedded table or the user's, its schema, its model,
//! and the plaintext reference that results are compared with.

use crate::{args::DemoArgs, custodian::schema, files};
use anyhow::{Context, Result, bail};
use std::io::{Cursor, Read, Seek};
use veilbourse_tabular::{
    Built, Coverage, LinearModel, ModelKind, SchemaConfig, SecondMoments, build,
    reference::FloatTable,
};

/// The RAND health-insurance experiment, as CSV.
pub(crate) const RAND_TABLE: &[u8] = include_bytes!("../../../../tests/data/randhie.csv");
const RAND_MODEL: &[u8] = include_bytes!("../../../../tests/data/models/randhie_ols.json");

/// Everything that the demo knows in plaintext.
pub struct Plain {
    /// The bytes of the table.
    csv: Vec<u8>,
    /// Its schema.
    pub config: SchemaConfig,
    /// The quantised table.
    pub built: Built,
    /// The table in real units.
    pub float: FloatTable,
    /// The column that the statistics are about.
    pub target: String,
    /// The linear model.
    pub model: LinearModel,
    /// Where the model is from.
    pub model_source: String,
    /// What the viewer should know.
    pub notes: Vec<String>,
}

fn header(csv: &[u8], delimiter: char) -> Result<Vec<String>> {
    let first = csv.split(|b| *b == b'\n').next().unwrap_or_default();
    let line = std::str::from_utf8(first).context("the header is not UTF-8")?;
    // Quoted headers with delimiters inside are the builder's to judge.
    Ok(line
        .trim_end_matches('\r')
        .split(delimiter)
        .map(|c| c.trim_matches('"').to_owned())
        .collect())
}

impl Plain {
    /// Reads or embeds, builds, and fits a model where none is given.
    pub fn load(a: &DemoArgs) -> Result<Self> {
        let embedded = a.data.is_none();
        let csv = match &a.data {
            Some(f) => files::read(f)?,
            None => RAND_TABLE.to_vec(),
        };
        let name = match &a.data {
            Some(f) => f
                .file_stem()
                .and_then(|s| s.to_str())
                .unwrap_or("table")
                .to_owned(),
            None => "RAND Health Insurance Experiment".to_owned(),
        };
        let segment = a
            .segment
            .clone()
            .or_else(|| embedded.then(|| "idp".to_owned()));
        let mut config = schema(a.schema.as_deref(), None, &name, segment, Vec::new())?;
        let columns = header(&csv, config.delimiter)?;
        let target = match (&a.target, embedded) {
            (Some(t), _) => t.clone(),
            (None, true) => "mdvis".to_owned(),
            (None, false) => columns.last().cloned().unwrap_or_default(),
        };
        if !columns.contains(&target) {
            bail!(
                "--target {target:?} is no column; the table has {}",
                columns.join(", ")
            );
        }
        if config.second_moments == SecondMoments::None {
            config.second_moments = SecondMoments::Squares(vec![target.clone()]);
        }
        let mut notes = Vec::new();
        let (mut built, float) = match read(&csv, &config) {
            Ok(b) => b,
            // A target of texts, or one that is a segment key, has no square.
            Err(e) if a.schema.is_none() => {
                config.second_moments = SecondMoments::None;
                match read(&csv, &config) {
                    Ok(b) => {
                        notes.push(format!("no squares of {target}: {e:#}"));
                        b
                    }
                    Err(_) => return Err(e),
                }
            }
            Err(e) => return Err(e),
        };
        let (model, model_source) = match (&a.model, embedded) {
            (Some(f), _) => (
                LinearModel::from_json(&files::read(f)?)
                    .with_context(|| f.display().to_string())?,
                f.display().to_string(),
            ),
            (None, true) => (
                LinearModel::from_json(RAND_MODEL)?,
                "randhie_ols (least squares)".into(),
            ),
            (None, false) => (
                least_squares(&built, &float, &target, None)?,
                format!("least squares on {target}"),
            ),
        };
        // The demo's custodian overrides suppression by name where its own
        // model needs a column; the report says so.
        let needed: Vec<String> = built
            .report
            .suppressed()
            .into_iter()
            .filter(|c| model.columns.contains(c))
            .collect();
        if !needed.is_empty() {
            notes.push(format!(
                "suppression overridden by name for {}: few rows stand behind {}",
                needed.join(", "),
                if needed.len() == 1 { "it" } else { "them" }
            ));
            config.suppression.keep.extend(needed);
            built = read(&csv, &config)?.0;
        }
        Ok(Self {
            csv,
            config,
            built,
            float,
            target,
            model,
            model_source,
            notes,
        })
    }

    /// Bytes of the table.
    pub fn bytes(&self) -> u64 {
        self.csv.len() as u64
    }

    /// Which columns the model must weigh.
    pub fn coverage(&self, explicit: bool) -> Coverage<'_> {
        if explicit {
            Coverage::AllBut(&self.target)
        } else {
            Coverage::Any
        }
    }

    /// The float model's prediction of each row, by segment: probabilities of
    /// a logistic model.
    pub fn predictions(&self) -> Result<Vec<Vec<f64>>> {
        (0..self.float.segments.len())
            .map(|s| Ok(self.float.predictions(s, &self.model)?))
            .collect()
    }

    /// Whether a score becomes a probability.
    pub fn logistic(&self) -> bool {
        self.model.kind == ModelKind::Logistic
    }
}

fn read(csv: &[u8], config: &SchemaConfig) -> Result<(Built, FloatTable)> {
    let reader = || Cursor::new(csv);
    Ok((
        build_from(reader(), config)?,
        FloatTable::read(reader(), config)?,
    ))
}

fn build_from<R: Read + Seek>(r: R, config: &SchemaConfig) -> Result<Built> {
    build(r, config).context("table")
}

/// Ordinary least squares on the plaintext, by normal equations with a ridge of
/// 10^-9 of the trace, so that collinear columns do not stop it.
pub fn least_squares(
    built: &Built,
    float: &FloatTable,
    target: &str,
    only: Option<&[String]>,
) -> Result<LinearModel> {
    let encrypted: Vec<&str> = built.columns.iter().map(|c| c.name.as_str()).collect();
    let columns: Vec<String> = float
        .names
        .iter()
        .filter(|n| n.as_str() != "1" && n.as_str() != target && encrypted.contains(&n.as_str()))
        .filter(|n| only.is_none_or(|only| only.contains(n)))
        .cloned()
        .collect();
    if columns.is_empty() {
        bail!("no column but {target:?} is left to predict it from");
    }
    let at = |name: &str| float.names.iter().position(|n| n == name);
    let y_at = at(target).with_context(|| {
        format!("{target:?} is not numeric, so no model can be fitted: give --target or --model")
    })?;
    let x_at: Vec<usize> = columns.iter().filter_map(|c| at(c)).collect();
    let n = x_at.len() + 1;
    let mut normal = vec![vec![0.0f64; n + 1]; n];
    for row in float.segments.iter().flat_map(|s| &s.rows) {
        let x: Vec<f64> = std::iter::once(1.0)
            .chain(x_at.iter().map(|i| row[*i]))
            .collect();
        for (line, a) in normal.iter_mut().zip(&x) {
            for (cell, b) in line.iter_mut().zip(x.iter().chain([&row[y_at]])) {
                *cell += a * b;
            }
        }
    }
    let trace: f64 = (0..n).map(|i| normal[i][i]).sum();
    for (i, line) in normal.iter_mut().enumerate() {
        line[i] += 1e-9 * trace / n as f64;
    }
    let solution = solve(normal);
    let (intercept, weights) = solution.split_first().context("no solution")?;
    Ok(LinearModel {
        kind: ModelKind::Linear,
        columns,
        weights: weights.to_vec(),
        intercept: *intercept,
    })
}

/// Gaussian elimination with partial pivoting of an augmented matrix.
fn solve(mut m: Vec<Vec<f64>>) -> Vec<f64> {
    let n = m.len();
    for i in 0..n {
        let pivot = (i..n)
            .max_by(|a, b| m[*a][i].abs().total_cmp(&m[*b][i].abs()))
            .unwrap_or(i);
        m.swap(i, pivot);
        let upper = m[i].clone();
        for line in m.iter_mut().skip(i + 1) {
            let f = line[i] / upper[i];
            for (cell, u) in line.iter_mut().zip(&upper).skip(i) {
                *cell -= f * u;
            }
        }
    }
    let mut x = vec![0.0; n];
    for i in (0..n).rev() {
        let rest: f64 = (i + 1..n).map(|j| m[i][j] * x[j]).sum();
        x[i] = (m[i][n] - rest) / m[i][i];
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_solved() {
        let x = solve(vec![vec![0.0, 2.0, 4.0], vec![3.0, 1.0, 5.0]]);
        assert!((x[0] - 1.0).abs() < 1e-12 && (x[1] - 2.0).abs() < 1e-12);
    }
}
