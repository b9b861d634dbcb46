//! What a table is, before anything is encrypted.

use crate::{CoreError, Reply, core::Input};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{BufReader, Seek, SeekFrom};
use veilbourse_client::{custodian::message_log2, http::Progress};
use veilbourse_core::{
    ciphertext::ChunkData,
    manifest::{Column, ColumnKind},
    params::DATA_RING_DIMENSION as N,
};
use veilbourse_tabular::{Built, Dropped, SchemaConfig, build, preview};

/// Rows shown of a table.
const SAMPLE: usize = 20;
/// Bytes read at once.
const BUFFER: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inspect {
    schema: Option<Value>,
    name: Option<String>,
}

/// Settings as a page gives them: the command line's, as JSON.
pub(crate) fn schema_of(value: &Value) -> Result<SchemaConfig, CoreError> {
    Ok(SchemaConfig::from_json(&value.to_string())?)
}

/// Reads a table under its settings.
pub(crate) fn read(input: Box<dyn Input>, config: &SchemaConfig) -> Result<Built, CoreError> {
    Ok(build(BufReader::with_capacity(BUFFER, input), config)?)
}

/// How a column came to be, as pages name it, and from what.
pub(crate) fn kind_of(column: &Column) -> (&'static str, Vec<&str>) {
    match &column.kind {
        ColumnKind::Numeric => ("numeric", vec![&column.name]),
        ColumnKind::Category { source, .. } => ("category", vec![source]),
        ColumnKind::Square { source } => ("square", vec![source]),
        ColumnKind::Product { left, right } => ("product", vec![left, right]),
    }
}

/// Bits that a column's integers need, the sign among them.
fn bits_of(column: &Column) -> u32 {
    let magnitude = u64::BITS - column.max_abs().leading_zeros();
    magnitude + u32::from(column.min < 0)
}

fn format_of(input: &mut Box<dyn Input>) -> Result<(&'static str, u64), CoreError> {
    let failed = |e: std::io::Error| CoreError::new("STORAGE", e);
    let bytes = input.seek(SeekFrom::End(0)).map_err(failed)?;
    let parquet = veilbourse_tabular::is_parquet(input)?;
    Ok((if parquet { "parquet" } else { "csv" }, bytes))
}

/// Columns, segments, what is suppressed and why; where the table is refused, the
/// refusal beside its first rows.
pub(crate) fn inspect(
    mut input: Box<dyn Input>,
    a: Inspect,
    progress: &dyn Progress,
) -> Result<Reply, CoreError> {
    let (format, bytes) = format_of(&mut input)?;
    let mut config = match &a.schema {
        None | Some(Value::Null) => SchemaConfig::new(a.name.as_deref().unwrap_or("table")),
        Some(value) => schema_of(value)?,
    };
    if let (Some(name), None | Some(Value::Null)) = (a.name, &a.schema) {
        config.name = name;
    }
    progress.step("read", 0, bytes);
    let shown = preview(
        BufReader::with_capacity(BUFFER, &mut input),
        &config,
        SAMPLE,
    );
    let (headers, sample) = match &shown {
        Ok(p) => (p.headers.clone(), p.rows.clone()),
        Err(_) => Default::default(),
    };
    let built = match shown {
        Ok(_) => build(BufReader::with_capacity(BUFFER, &mut input), &config),
        Err(e) => Err(e),
    };
    progress.step("read", bytes, bytes);
    let schema = serde_json::to_value(&config).map_err(|e| CoreError::input("schema", e))?;
    let mut said = json!({ "format": format, "bytes": bytes, "headers": headers,
        "sample": sample, "schema": schema, "refusal": null, "report": null,
        "messageLog2": null, "values": 0, "uploadBytes": 0 });
    match built {
        Err(e) => {
            let place = e.place();
            said["refusal"] = json!({ "code": "TABLE", "message": e.to_string(),
                "column": place.1, "line": place.0 });
        }
        Ok(built) => {
            said["report"] = report(&built);
            match message_log2(&built) {
                Ok(k) => said["messageLog2"] = json!(k),
                Err(e) => {
                    said["refusal"] = json!({ "code": "BUDGET", "message": e.to_string(),
                        "column": null, "line": null });
                }
            }
            let rows: u64 = built.segments.iter().map(|s| s.rows).sum();
            said["values"] = json!(rows * built.columns.len() as u64);
            said["uploadBytes"] = json!(upload_bytes(&built));
        }
    }
    Ok(said.into())
}

/// Chunks, sums and the public key; the listing proof and the twin on top are small.
fn upload_bytes(built: &Built) -> u64 {
    let chunks: u64 = built
        .segments
        .iter()
        .map(|s| s.rows.div_ceil(N as u64))
        .sum();
    let columns = built.columns.len();
    let sums = built.segments.len() as u64 * columns as u64 * (16 * N as u64);
    chunks * ChunkData::encoded_len(columns) + sums + 8 * N as u64
}

fn dropped(d: &Dropped) -> Value {
    json!({ "name": d.name, "reason": d.reason, "text": d.reason.to_string(),
        "suppressed": d.is_suppressed() })
}

fn report(built: &Built) -> Value {
    let r = &built.report;
    let columns: Vec<Value> = r
        .columns
        .iter()
        .zip(&built.columns)
        .map(|(said, column)| {
            let (kind, source) = kind_of(column);
            let why = said.kept_despite.as_ref().map(ToString::to_string);
            json!({ "name": said.name, "kind": kind, "source": source, "unit": said.unit,
                "scale_log2": said.scale_log2, "bits": bits_of(column), "min": said.min,
                "max": said.max, "max_error": said.max_error, "rms_error": said.rms_error,
                "clipped": said.clipped, "imputed": said.imputed,
                "imputed_with": said.imputed_with, "kept_despite": said.kept_despite,
                "kept_reason": why })
        })
        .collect();
    json!({ "name": r.name, "rows": r.rows, "segments": r.segments, "columns": columns,
        "public_columns": r.public_columns,
        "dropped": r.dropped.iter().map(dropped).collect::<Vec<_>>(), "notes": r.notes })
}
