//! `veilbourse-verify RECEIPT`: checks a receipt offline. Exit 0 and what was
//! proven, attested and assumed; or exit 1 and which rule failed (REC-4).

use clap::Parser;
use std::{path::PathBuf, process::ExitCode};
use veilbourse_core::digest::Digest;
use veilbourse_verify::Trust;

/// Checks a Veilbourse receipt: no server, no network, no dataset.
#[derive(Debug, Parser)]
#[command(name = "veilbourse-verify", version)]
struct Cli {
    /// The receipt.
    receipt: PathBuf,
    /// The marketplace expected (its id, 64 hex digits).
    #[arg(long, value_parser = |s: &str| Digest::from_hex(s).ok_or("expected 64 lower-case hex digits"))]
    marketplace: Option<Digest>,
    /// Also hold the result's files in this folder (as `veilbourse buyer open`
    /// left them) to the receipt.
    #[arg(long, value_name = "FOLDER")]
    result: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let (valid, text) = veilbourse_verify::check_file(
        &cli.receipt,
        cli.result.as_deref(),
        &Trust {
            marketplace: cli.marketplace,
            circuits: None,
        },
        cli.json,
    );
    veilbourse_verify::terminal::line(text.trim_end());
    if valid {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
