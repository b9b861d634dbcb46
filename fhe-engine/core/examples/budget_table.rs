//! The table of docs/spec/budget.md: what the example datasets and models use
//! of the 64 bits, and the error that quantisation leaves (BUD-6).
//!
//! `cargo run --release -p veilbourse-core --example budget_table -- FOLDER`,
//! FOLDER holding `randhie.csv`, `breast_cancer.csv` and `models/`.

#![allow(clippy::print_stdout)]

use std::{collections::BTreeMap, path::Path};
use veilbourse_core::{
    budget::{
        Norms, QuantisedWeights, choose_message_log2, exact_norms, extent, output_budget,
        quantise_weights,
    },
    digest::Digest,
    manifest::{
        Column, ColumnKind, CommitmentParamsId, DataParamsId, MANIFEST_VERSION, Manifest,
        PublicColumn, Segment,
    },
    params::DATA_RING_DIMENSION as N,
    program::{MatrixRef, ProgramOutput},
    simulation::simulate,
    table::QuantisedTable,
};

type Failure = Box<dyn std::error::Error>;

/// Real columns, split into segments.
struct Table {
    names: Vec<String>,
    /// `segments[s][f][i]`.
    segments: Vec<Vec<Vec<f64>>>,
    keys: Vec<f64>,
    key_name: Option<String>,
}

fn read(path: &Path, key: Option<&str>, drop: &[&str], squares: &[&str]) -> Result<Table, Failure> {
    let text = std::fs::read_to_string(path)?;
    let mut lines = text.lines();
    let headers: Vec<&str> = lines.next().ok_or("empty")?.split(',').collect();
    let mut groups: BTreeMap<i64, Vec<Vec<f64>>> = BTreeMap::new();
    for line in lines {
        let row = line
            .split(',')
            .map(str::parse)
            .collect::<Result<Vec<f64>, _>>()?;
        let group = match headers.iter().position(|h| Some(*h) == key) {
            Some(i) => row[i] as i64,
            None => 1,
        };
        groups.entry(group).or_default().push(row);
    }
    let kept: Vec<usize> = (0..headers.len())
        .filter(|i| Some(headers[*i]) != key && !drop.contains(&headers[*i]))
        .collect();
    let mut names: Vec<String> = kept.iter().map(|i| headers[*i].to_owned()).collect();
    let keys = groups.keys().map(|k| *k as f64).collect();
    let mut segments: Vec<Vec<Vec<f64>>> = groups
        .values()
        .map(|rows| {
            kept.iter()
                .map(|i| rows.iter().map(|r| r[*i]).collect())
                .collect()
        })
        .collect();
    for square in squares {
        let i = names
            .iter()
            .position(|n| n == square)
            .ok_or("no such column")?;
        names.push(format!("{square}^2"));
        for s in &mut segments {
            let column = s[i].iter().map(|x| x * x).collect();
            s.push(column);
        }
    }
    Ok(Table {
        names,
        segments,
        keys,
        key_name: key.map(str::to_owned),
    })
}

/// The finest power-of-two scale with |X| <= 2^bits (squares: 2^(2 bits)).
fn scale(table: &Table, f: usize, bits: i32) -> i32 {
    let most = table
        .segments
        .iter()
        .flat_map(|s| &s[f])
        .fold(0f64, |m, x| m.max(x.abs()));
    let bits = if table.names[f].ends_with("^2") {
        2 * bits
    } else {
        bits
    };
    bits - most.log2().ceil() as i32
}

fn encode(table: &Table, bits: i32) -> Result<(Manifest, QuantisedTable), Failure> {
    let columns: Vec<Column> = (0..table.names.len())
        .map(|f| {
            let range = 1i64
                << if table.names[f].ends_with("^2") {
                    2 * bits
                } else {
                    bits
                };
            let signed = table.segments.iter().flat_map(|s| &s[f]).any(|x| *x < 0.0);
            Column {
                name: table.names[f].clone(),
                kind: ColumnKind::Numeric,
                unit: String::new(),
                scale_log2: scale(table, f, bits),
                min: if signed { -range } else { 0 },
                max: range,
            }
        })
        .collect();
    let segments: Vec<Vec<Vec<i64>>> = table
        .segments
        .iter()
        .map(|s| {
            s.iter()
                .zip(&columns)
                .map(|(x, c)| {
                    let factor = f64::from(c.scale_log2).exp2();
                    x.iter().map(|x| (x * factor).round() as i64).collect()
                })
                .collect()
        })
        .collect();
    let rows: Vec<u64> = segments.iter().map(|s| s[0].len() as u64).collect();
    let largest = columns.iter().map(Column::max_abs).max().unwrap_or(1);
    let most = rows.iter().copied().max().unwrap_or(1);
    let k = choose_message_log2(
        most,
        most.div_ceil(N as u64),
        columns.len(),
        1 << bits,
        largest,
    )?;
    let mut public_columns = vec![PublicColumn {
        name: "1".into(),
        scale_log2: 0,
        values: vec![1; rows.len()],
    }];
    if let Some(name) = &table.key_name {
        public_columns.push(PublicColumn {
            name: name.clone(),
            scale_log2: 0,
            values: table.keys.iter().map(|k| *k as i64).collect(),
        });
    }
    let manifest = Manifest {
        version: MANIFEST_VERSION,
        name: "example".into(),
        params: DataParamsId::Data4096Tu3V1,
        commitment: CommitmentParamsId::FriBlake3V1,
        message_log2: k,
        segments: rows
            .iter()
            .map(|n| Segment {
                label: "s".into(),
                rows: *n,
                chunks: vec![Digest([1; 32]); n.div_ceil(N as u64) as usize],
                sum: Digest([1; 32]),
                traced: Digest([1; 32]),
                traced_bodies: vec![0; columns.len()],
            })
            .collect(),
        columns,
        public_columns,
        public_key_label: Digest([1; 32]),
        public_key_body: Digest([1; 32]),
        nonce: Digest([1; 32]),
    };
    Ok((
        manifest,
        QuantisedTable {
            origin: vec![],
            segments,
        },
    ))
}

/// Weights by name, and the intercept, in real units.
struct Model {
    weights: BTreeMap<String, f64>,
    intercept: f64,
}

fn model(path: &Path) -> Result<Model, Failure> {
    let json: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let names = json["columns"].as_array().ok_or("columns")?;
    let weights = json["weights"].as_array().ok_or("weights")?;
    Ok(Model {
        weights: names
            .iter()
            .zip(weights)
            .map(|(n, w)| Some((n.as_str()?.to_owned(), w.as_f64()?)))
            .collect::<Option<_>>()
            .ok_or("not numbers")?,
        intercept: json["intercept"].as_f64().ok_or("intercept")?,
    })
}

/// Real scores of the rows of a segment.
fn scores(table: &Table, model: &Model, s: usize) -> Vec<f64> {
    let key = match &table.key_name {
        Some(name) => model.weights.get(name).unwrap_or(&0.0) * table.keys[s],
        None => 0.0,
    };
    let n = table.segments[s][0].len();
    let mut out = vec![model.intercept + key; n];
    for (name, column) in table.names.iter().zip(&table.segments[s]) {
        let w = model.weights.get(name).unwrap_or(&0.0);
        for (o, x) in out.iter_mut().zip(column) {
            *o += w * x;
        }
    }
    out
}

/// Least n with v <= 2^n.
fn log2(v: u128) -> u32 {
    128 - v.saturating_sub(1).leading_zeros()
}

fn report(
    title: &str,
    table: &Table,
    model: &Model,
    bits: i32,
    private: bool,
    each: bool,
) -> Result<(), Failure> {
    let (manifest, quantised) = encode(table, bits)?;
    let weights: Vec<f64> = manifest
        .columns
        .iter()
        .map(|c| model.weights.get(&c.name).unwrap_or(&0.0) * f64::from(-c.scale_log2).exp2())
        .chain(manifest.public_columns.iter().map(|g| match &g.name[..] {
            "1" => model.intercept,
            name => *model.weights.get(name).unwrap_or(&0.0),
        }))
        .collect();
    let matrices: Vec<MatrixRef> = (0..manifest.segments.len() as u32)
        .map(|segment| match each {
            true => MatrixRef::Chunk { segment, chunk: 0 },
            false => MatrixRef::Traced { segment },
        })
        .collect();
    let QuantisedWeights {
        weights,
        scale_log2,
        l1_bound,
        l2_bound,
        max_error,
    } = quantise_weights(&manifest, &matrices, &weights, private)?;
    let factor = f64::from(-scale_log2).exp2();
    let (mut message, mut noise, mut error, mut spread) = (0u32, 0u32, 0f64, 0f64);
    for (s, over) in matrices.iter().enumerate() {
        let (rows, ring_rows, values) = extent(&manifest, *over).ok_or("no matrix")?;
        let (mut l1, mut l2_squared) = exact_norms(&manifest, &weights, s);
        if private {
            (l1, l2_squared) = (l1_bound.into(), l2_bound.into());
        }
        let norms = Norms {
            l1,
            l2_squared,
            rerandomised: private,
        };
        let k = manifest.message_log2;
        let b = output_budget(s, k, rows, ring_rows, values, norms)?;
        message = message.max(log2(b.message_bound));
        noise = noise.max(log2(b.noise_bound));
        let got = simulate(
            &manifest,
            &quantised,
            &ProgramOutput {
                over: *over,
                vector: 0,
            },
            &weights,
        )
        .ok_or("no simulation")?;
        let real = scores(table, model, s);
        let n = real.len() as f64;
        let mean = real.iter().sum::<f64>() / n;
        let deviation = (real.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
        spread = spread.max(deviation);
        if each {
            for (x, r) in got.iter().zip(&real) {
                error = error.max((*x as f64 * factor - r).abs());
            }
        } else {
            error = error.max((got[0] as f64 * factor / n - mean).abs());
        }
    }
    let largest = weights
        .iter()
        .take(manifest.columns.len())
        .map(|w| w.unsigned_abs())
        .max();
    let weight_bits = 64 - largest.unwrap_or(0).leading_zeros();
    println!(
        "| {title} | {} | {bits} | {} | {weight_bits} | {message} of {} | {noise} of {} | {max_error:.1e} | {error:.1e} | {spread:.1e} |",
        if private { "private" } else { "public" },
        manifest.message_log2,
        62 - manifest.message_log2,
        manifest.message_log2 - 1,
    );
    Ok(())
}

fn main() -> Result<(), Failure> {
    let folder = std::env::args().nth(1).ok_or("which folder?")?;
    let folder = Path::new(&folder);
    let rand = folder.join("randhie.csv");
    let visits = read(&rand, Some("idp"), &[], &["mdvis"])?;
    let ols = model(&folder.join("models/randhie_ols.json"))?;
    let cancer = read(&folder.join("breast_cancer.csv"), None, &["target"], &[])?;
    let logistic = model(&folder.join("models/breast_cancer_logistic.json"))?;
    let of = |name: &str| Model {
        weights: BTreeMap::from([(name.to_owned(), 1.0)]),
        intercept: 0.0,
    };
    println!(
        "| computation | weights | column bits | k | weight bits | message bits | noise bits | weight rounding at most | greatest error | spread of the scores |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for bits in [8, 10, 12] {
        report(
            "RAND, mean of visits",
            &visits,
            &of("mdvis"),
            bits,
            false,
            false,
        )?;
        report(
            "RAND, mean of squared visits",
            &visits,
            &of("mdvis^2"),
            bits,
            false,
            false,
        )?;
        report(
            "RAND, mean of the linear model",
            &visits,
            &ols,
            bits,
            true,
            false,
        )?;
        report(
            "RAND, linear model, each row",
            &visits,
            &ols,
            bits,
            true,
            true,
        )?;
    }
    for bits in [8, 10, 12, 14] {
        report(
            "breast cancer, mean of the logistic score",
            &cancer,
            &logistic,
            bits,
            true,
            false,
        )?;
        report(
            "breast cancer, logistic score, each row",
            &cancer,
            &logistic,
            bits,
            true,
            true,
        )?;
        report(
            "breast cancer, logistic score, each row",
            &cancer,
            &logistic,
            bits,
            false,
            true,
        )?;
    }
    Ok(())
}
