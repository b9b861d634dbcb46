//! The veilbourse command line, as a library: the binary calls [`main`], tests
//! use the embedded market of [`demo::world`].
//!
//! What people read goes to standard output, progress and errors to standard
//! error; both through [`veilbourse_verify::terminal`].

/// A line on standard output.
macro_rules! out {
    ($($arguments:tt)*) => {
        veilbourse_verify::terminal::line(format_args!($($arguments)*))
    };
}
/// A line on standard error.
macro_rules! note {
    ($($arguments:tt)*) => {
        veilbourse_verify::terminal::note(format_args!($($arguments)*))
    };
}

mod account;
mod admin;
pub mod args;
mod buyer;
mod ceremony;
pub mod custodian;
pub mod deal;
pub mod demo;
pub mod files;
mod machines;
mod market;
mod member;
mod pins;
pub mod progress;
mod security;
mod show;
mod srs;
mod train;
pub mod train_args;
pub mod vault;
mod verify;
mod watch;

// Declared for their features alone (docs/decisions/0029).
use rand_0_9 as _;
use rustix as _;

use args::{Cli, Command};
use clap::{CommandFactory, Parser};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use std::{
    process::ExitCode,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use veilbourse_tabular::TabularError;
use veilbourse_verify::terminal;

/// The system's time, where the command line meets the libraries.
pub fn clock() -> Arc<dyn Fn() -> u64 + Send + Sync> {
    Arc::new(|| {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// The system's randomness, or a seed's for replays.
pub fn rng(seed: Option<u64>) -> ChaCha20Rng {
    match seed {
        Some(s) => ChaCha20Rng::seed_from_u64(s),
        None => rand::make_rng(),
    }
}

/// The whole program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let level = match cli.verbose {
        0 => "warn,veilbourse=error",
        1 => "info",
        _ => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(r) => r,
        Err(e) => {
            note!("error: {e}");
            return ExitCode::FAILURE;
        }
    };
    let json = cli.json;
    match runtime.block_on(run(cli)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            let said = said(&e);
            note!("error: {said}");
            if json {
                out!("{}", serde_json::json!({ "error": said }));
            }
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes: one line, for a server or a receipt may have a part
/// in it. Only what parsers say of one's own settings has more.
fn said(e: &anyhow::Error) -> String {
    let text = format!("{e:#}");
    if e.chain()
        .any(|c| c.is::<toml::de::Error>() || c.is::<TabularError>())
    {
        text
    } else {
        terminal::printable(&text)
    }
}

/// Runs a command; false when it ran and found something wrong.
async fn run(cli: Cli) -> anyhow::Result<bool> {
    let json = cli.json;
    match cli.command {
        Command::Demo(a) => demo::run(a, json).await,
        Command::Market(a) => market::run(&a, json).await.map(|()| true),
        Command::Serve(a) => machines::serve(a, json).await.map(|()| true),
        Command::Pod(a) => machines::pod(a, json).await.map(|()| true),
        Command::KeyNode(a) => machines::key_node(a, json).await.map(|()| true),
        Command::Committee(c) => member::run(&c, json).map(|()| true),
        Command::Custodian(c) => custodian::run(c, json).await.map(|()| true),
        Command::Buyer(c) => buyer::run(c, json).await,
        Command::Account(c) => account::run(c, json).await.map(|()| true),
        Command::Admin(c) => admin::run(c, json).await,
        Command::Verify(a) => verify::run(&a, json),
        Command::Srs(c) => srs::run(c, json).map(|()| true),
        Command::Security => security::run(json),
        Command::Vault(c) => vault::run(&c, json).map(|()| true),
        Command::Completions { shell } => {
            let mut c = Cli::command();
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut c, "veilbourse", &mut script);
            terminal::raw(&String::from_utf8(script)?);
            Ok(true)
        }
    }
}
