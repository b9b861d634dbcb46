//! `veilbourse srs {dev, check, ceremony, key}`.

use crate::{
    args::{RowsArg, SrsCommand},
    ceremony,
    files::{self, accepted_keys},
    progress::Bars,
};
use anyhow::{Context, Result};
use serde_json::json;
use std::{path::PathBuf, sync::Arc};
use veilbourse_documents::{Bytes, api::AcceptedKeys};
use veilbourse_prover::{circuit::CircuitKeys, srs::Srs};
use veilbourse_verifier::linear::{MatrixKind, PrivateArgument};

/// log2 of the rows that a circuit of a kind and class needs an SRS for.
pub fn log_rows(kind: MatrixKind, class: usize) -> u32 {
    match kind {
        // Row scores over more than 32 columns have more than 2^17 non-zeros.
        MatrixKind::Chunk if class > 32 => 17,
        _ => 16,
    }
}

pub fn run(c: SrsCommand, json: bool) -> Result<()> {
    match c {
        SrsCommand::Dev { out, log_rows } => {
            let out = out.unwrap_or_else(|| PathBuf::from("srs-dev.bin"));
            let srs = Srs::dev(log_rows, &mut crate::rng(None))?;
            std::fs::write(&out, srs.encode()).with_context(|| out.display().to_string())?;
            print(&srs, &out.display().to_string(), json);
        }
        SrsCommand::Check { file } => {
            let bars = Bars::new(json);
            let step = |stage: &'static str, done, total| bars.set(stage, done, total, "");
            let srs = Srs::load(&files::read(&file)?, &mut crate::rng(None), &step)?;
            print(&srs, &file.display().to_string(), json);
        }
        SrsCommand::Ceremony(c) => ceremony::run(c, json)?,
        SrsCommand::Key {
            srs,
            rows,
            class,
            out,
        } => {
            let srs = Arc::new(Srs::decode(&files::read(&srs)?, &mut crate::rng(None))?);
            let kind = match rows {
                RowsArg::Aggregate => MatrixKind::Traced,
                RowsArg::Each => MatrixKind::Chunk,
            };
            let made = CircuitKeys::generate(srs.clone(), kind, class as usize)?;
            let key = made.verifying();
            let mut accepted: AcceptedKeys = if out.exists() {
                let held: AcceptedKeys = files::read_json(&out)?;
                anyhow::ensure!(
                    held.srs.digest == srs.digest(),
                    "{} holds keys of another SRS ({})",
                    out.display(),
                    held.srs.digest
                );
                held
            } else {
                accepted_keys(&srs, std::iter::empty())
            };
            let bytes = Bytes(key.encode());
            if !accepted.keys.contains(&bytes) {
                accepted.keys.push(bytes);
            }
            std::fs::write(&out, serde_json::to_vec_pretty(&accepted)?)
                .with_context(|| out.display().to_string())?;
            if json {
                out!(
                    "{}",
                    json!({ "verifying_key": key.digest(), "srs": srs.digest(), "file": out })
                );
            } else {
                out!("verifying key {}\nin {}", key.digest(), out.display());
            }
        }
    }
    Ok(())
}

/// What an SRS is and what it rests on.
pub fn print(srs: &Srs, file: &str, json: bool) {
    let provenance = srs.provenance();
    let transcript = provenance.transcript();
    if json {
        let mut object = json!({
            "srs": srs.digest(), "provenance": provenance.name(), "max_degree": srs.max_degree(), "file": file,
        });
        if let (Some(t), Some(map)) = (transcript, object.as_object_mut()) {
            map.insert("ceremony".into(), ceremony::object(t));
        }
        out!("{object}");
        return;
    }
    out!(
        "SRS {}\n  provenance  {}\n  degree      {}\n  file        {file}",
        srs.digest(),
        provenance.name(),
        srs.max_degree()
    );
    match transcript {
        Some(t) => ceremony::print(t),
        None => out!(
            "  whoever made it could have kept the trapdoor and could forge: receipts say `srs: dev`"
        ),
    }
}
