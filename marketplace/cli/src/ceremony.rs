//! `veilbourse srs ceremony {start, contribute, verify, finish}` (CER-11).

use crate::{
    args::CeremonyCommand,
    files::{self, public},
    progress::Bars,
    srs,
};
use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};
use std::path::Path;
use veilbourse_documents::Key;
use veilbourse_prover::srs::{Ceremony, Srs, max_bytes};
use veilbourse_verifier::ceremony::{MAX_TRANSCRIPT_BYTES, MIN_CONTRIBUTIONS, Transcript};
use veilbourse_verify::terminal::printable;

pub fn run(c: CeremonyCommand, json: bool) -> Result<()> {
    let bars = Bars::new(json);
    let step = |stage: &'static str, done, total| bars.set(stage, done, total, "");
    let mut rng = crate::rng(None);
    match c {
        CeremonyCommand::Start {
            out,
            purpose,
            log_rows,
        } => {
            fresh(&out)?;
            let ceremony = Ceremony::start(log_rows, &purpose, &mut rng)?;
            files::put_new(&out, &ceremony.encode())?;
            said(&ceremony, &out, json);
        }
        CeremonyCommand::Contribute {
            file,
            out,
            name,
            key,
            after,
        } => {
            let key = files::existing_key(&key)?;
            let bytes = files::read_limited(&file, max_bytes())?;
            let ceremony = Ceremony::decode(&bytes, &mut rng, &step)?;
            drop(bytes);
            let head = ceremony.transcript().head();
            if let Some(expected) = after {
                ensure!(
                    head == expected,
                    "{}: its head is {head}, not {expected}",
                    file.display()
                );
            }
            let next = ceremony.contribute(&name, &key, &mut rng, &step)?;
            let out = out.unwrap_or(file);
            files::put_whole(&out, &next.encode())?;
            said(&next, &out, json);
            if !json {
                out!(
                    "you are contribution {} with key {}: tell the next one the head, keep it, and look for it in the end",
                    next.transcript().len(),
                    public(&key)
                );
            }
        }
        CeremonyCommand::Verify { file, contributor } => {
            let bytes = files::read_limited(&file, max_bytes())?;
            if Ceremony::is_one(&bytes) {
                let ceremony = Ceremony::decode(&bytes, &mut rng, &step)?;
                among(ceremony.transcript(), &contributor)?;
                said(&ceremony, &file, json);
            } else if Transcript::is_one(&bytes) {
                let transcript = Transcript::decode(&bytes)?;
                among(&transcript, &contributor)?;
                told(&transcript, &file, json);
            } else if Srs::is_one(&bytes) {
                let found = Srs::load(&bytes, &mut rng, &step)?;
                let Some(transcript) = found.provenance().transcript() else {
                    bail!("{}: a dev SRS, of no ceremony", file.display());
                };
                among(transcript, &contributor)?;
                srs::print(&found, &file.display().to_string(), json);
            } else {
                bail!(
                    "{}: neither a ceremony's file nor a transcript nor an SRS",
                    file.display()
                );
            }
        }
        CeremonyCommand::Finish {
            file,
            out,
            transcript,
        } => {
            fresh(&out)?;
            ensure!(
                std::path::absolute(&out)? != std::path::absolute(&transcript)?,
                "{}: SRS and transcript are two files",
                out.display()
            );
            let bytes = files::read_limited(&file, max_bytes())?;
            let ceremony = Ceremony::decode(&bytes, &mut rng, &step)?;
            drop(bytes);
            let of = ceremony.transcript().encode();
            let made = ceremony.finish()?;
            // This ceremony's own, where a run died between the two files.
            let limit = u64::from(MAX_TRANSCRIPT_BYTES);
            if !transcript.exists() {
                files::put_new(&transcript, &of)?;
            } else if files::read_limited(&transcript, limit).ok().as_ref() != Some(&of) {
                fresh(&transcript)?;
            }
            files::put_new(&out, &made.encode())?;
            srs::print(&made, &out.display().to_string(), json);
        }
    }
    Ok(())
}

/// Nothing is written over: what is there may be all that is left of a ceremony.
fn fresh(path: &Path) -> Result<()> {
    ensure!(!path.exists(), "{} is there already", path.display());
    Ok(())
}

fn among(t: &Transcript, keys: &[Key]) -> Result<()> {
    match keys.iter().find(|k| t.contribution_of(&k.0).is_none()) {
        Some(k) => bail!("no contribution is of key {k}"),
        None => Ok(()),
    }
}

/// A transcript for programs.
pub fn object(t: &Transcript) -> Value {
    let contributors: Vec<Value> = t
        .contributions()
        .iter()
        .map(|c| &c.statement)
        .map(|s| json!({ "name": s.name, "key": Key(s.key), "points": s.points }))
        .collect();
    json!({
        "purpose": t.header().purpose,
        "id": hex::encode(t.header().id),
        "max_degree": t.header().degree,
        "head": t.head(),
        "contributors": contributors,
        "srs": t.srs().ok(),
    })
}

/// A transcript for people.
pub fn print(t: &Transcript) {
    out!(
        "  ceremony    {}\n  transcript  {} ({} contributions)",
        printable(&t.header().purpose),
        t.head(),
        t.len()
    );
    for (s, number) in t.contributions().iter().map(|c| &c.statement).zip(1u32..) {
        out!("  {number:>4}  {}  {}", Key(s.key), printable(&s.name));
    }
}

/// A ceremony's file, whose points were checked.
fn said(c: &Ceremony, file: &Path, json: bool) {
    let t = c.transcript();
    if json {
        out!(
            "{}",
            json!({ "ceremony": object(t), "points": "checked", "file": file })
        );
        return;
    }
    out!(
        "ceremony for degree {}\n  file        {}",
        t.header().degree,
        file.display()
    );
    print(t);
    if t.len() < MIN_CONTRIBUTIONS {
        out!("  not enough to finish: {MIN_CONTRIBUTIONS} at least");
    }
}

/// A transcript alone.
fn told(t: &Transcript, file: &Path, json: bool) {
    if json {
        out!(
            "{}",
            json!({ "ceremony": object(t), "points": "not given", "file": file })
        );
        return;
    }
    out!(
        "transcript for degree {}\n  file        {}",
        t.header().degree,
        file.display()
    );
    print(t);
    if let Ok(srs) = t.srs() {
        out!("  SRS         {srs}");
    }
    out!("  the SRS's points are not in it: `srs check` its file");
}
