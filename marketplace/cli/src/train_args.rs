//! The options of `veilbourse buyer train`.

use crate::args::{PinArgs, key};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use veilbourse_documents::Key;

/// Which regression.
#[derive(Debug, Subcommand, Clone)]
pub enum TrainCommand {
    /// Ordinary least squares.
    Ols {
        /// What it is of.
        #[command(flatten)]
        train: TrainArgs,
    },
    /// Least squares with a penalty on squared coefficients.
    Ridge {
        /// The penalty: added is lambda times the sum of squared coefficients, in
        /// real units, to the sum of squared residuals. The intercept is free.
        #[arg(long)]
        lambda: f64,
        /// Penalise coefficients of columns divided by their standard deviations.
        #[arg(long)]
        standardise: bool,
        /// What it is of.
        #[command(flatten)]
        train: TrainArgs,
    },
}

/// What a regression is of, and how its moments are come by.
#[derive(Debug, Args, Clone)]
pub struct TrainArgs {
    /// The listing whose moments are bought; several for a regression over the
    /// rows of all of them, of which only the sums are opened.
    #[arg(long, required_unless_present = "order", conflicts_with = "order")]
    pub listing: Vec<String>,
    /// The folder of an opened order: its moments are used, nothing is bought.
    #[arg(long, value_name = "FOLDER")]
    pub order: Option<PathBuf>,
    /// The column to predict.
    #[arg(long)]
    pub target: String,
    /// Columns to predict from, separated by commas; may be repeated. All by
    /// default. A categorical column stands for its categories but one.
    #[arg(long, value_name = "A,B,..")]
    pub features: Vec<String>,
    /// Only the rows of this segment (its label); may be repeated.
    #[arg(long, value_name = "LABEL")]
    pub segments: Vec<String>,
    /// The category that others of its column are measured against.
    #[arg(long, value_name = "COLUMN=CATEGORY", value_parser = reference)]
    pub reference: Vec<(String, String)>,
    /// Columns no two of which are other than zero in one row: their products
    /// are taken as zero, on your word.
    #[arg(long, value_name = "A,B,..")]
    pub exclusive: Vec<String>,
    /// Columns that quantisation did not change (integers), on your word.
    #[arg(long, value_name = "A,B,..")]
    pub exact: Vec<String>,
    /// Show the quote and stop.
    #[arg(long, conflicts_with = "order")]
    pub quote_only: bool,
    /// Highest price accepted, in credits.
    #[arg(long)]
    pub max_price: Option<String>,
    /// The signing key.
    #[arg(long, default_value = "buyer.key")]
    pub key: PathBuf,
    /// Folder for order, result key, result and receipt.
    #[arg(long, default_value = "orders")]
    pub out: PathBuf,
    /// The model's file; in the order's folder by default. `training.json` is
    /// written beside it.
    #[arg(long)]
    pub model: Option<PathBuf>,
    /// Only this pod: its signing key (64 hex digits).
    #[arg(long, value_name = "KEY", value_parser = key)]
    pub pod: Option<Key>,
    /// The class of tickets, by its name or digest.
    #[arg(long, value_name = "CLASS")]
    pub class: Option<String>,
    /// Only key nodes with exactly these signing keys (64 hex digits).
    #[arg(long, value_name = "KEY", value_parser = key)]
    pub node: Vec<Key>,
    /// The server.
    #[arg(
        long,
        env = "VEILBOURSE_SERVER",
        default_value = "http://127.0.0.1:8080"
    )]
    pub server: String,
    /// The account's mail address; an opened order needs none.
    #[arg(long, env = "VEILBOURSE_EMAIL", required_unless_present = "order")]
    pub email: Option<String>,
    /// The password; better given in the environment than on the command line.
    #[arg(
        long,
        env = "VEILBOURSE_PASSWORD",
        hide_env_values = true,
        required_unless_present = "order"
    )]
    pub password: Option<String>,
    /// The marketplace.
    #[command(flatten)]
    pub pin: PinArgs,
}

fn reference(s: &str) -> Result<(String, String), &'static str> {
    let (column, category) = s.split_once('=').ok_or("expected COLUMN=CATEGORY")?;
    Ok((column.to_owned(), category.to_owned()))
}
