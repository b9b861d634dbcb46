//! Writes the frozen fixture of `verifier/tests/frozen.rs`. A change of format
//! needs a new fixture beside the old one.
//!
//! `cargo run --release -p veilbourse-prover --example fixture -- FOLDER`

#[path = "../tests/support/mod.rs"]
mod support;

use std::{error::Error, path::PathBuf};
use support::{Dataset, TRACED};
use veilbourse_prover::linear::prove_public;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = PathBuf::from(std::env::args().nth(1).ok_or("name the folder to write")?);
    std::fs::create_dir_all(&dir)?;
    let d = Dataset::new(2, &[5000], 99);
    let s = d.public_statement(TRACED, &[5, -7, 11, 13], 6, 3);
    let envelope = prove_public(&s, &d.manifest, &d.columns(TRACED))?;
    std::fs::write(dir.join("public-v1.manifest"), d.manifest.encode())?;
    std::fs::write(dir.join("public-v1.output"), s.ciphertext.encode())?;
    std::fs::write(dir.join("public-v1.envelope"), envelope)?;
    Ok(())
}
