//! The command line, as clap sees it.
//!
//! Over 500 lines: declarations alone, most of them help texts.

use crate::train_args::TrainCommand;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use veilbourse_core::digest::Digest;
use veilbourse_documents::Key;

/// An exchange for insight from data that nobody is allowed to see.
#[derive(Debug, Parser)]
#[command(
    name = "veilbourse",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// Print one JSON object on the last line instead of text for people.
    #[arg(long, global = true)]
    pub json: bool,
    /// More detail on standard error (RUST_LOG overrides).
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole chain on real data, as all four users, and check it.
    Demo(DemoArgs),
    /// Run the whole market on this machine, to be looked at in a browser.
    Market(MarketArgs),
    /// Run the marketplace server.
    Serve(ServeArgs),
    /// Run a compute pod.
    Pod(PodArgs),
    /// Run a key node.
    KeyNode(NodeArgs),
    /// The file that names a committee of key nodes.
    #[command(subcommand)]
    Committee(CommitteeCommand),
    /// What a data custodian does.
    #[command(subcommand)]
    Custodian(CustodianCommand),
    /// What a buyer does.
    #[command(subcommand)]
    Buyer(BuyerCommand),
    /// One's account: its mail address.
    #[command(subcommand)]
    Account(AccountCommand),
    /// What an admin does.
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Check a receipt offline: exit 0 and what was proven, or exit 1 and why not.
    Verify(VerifyArgs),
    /// Structured reference strings and verifying keys.
    #[command(subcommand)]
    Srs(SrsCommand),
    /// Every proof's security, term by term, and the lattice figures.
    Security,
    /// The file in which a browser keeps a person's secrets.
    #[command(subcommand)]
    Vault(crate::vault::VaultCommand),
    /// Shell completions on standard output.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Who acts, and where.
#[derive(Debug, Args, Clone)]
pub struct Who {
    /// The server.
    #[arg(
        long,
        env = "VEILBOURSE_SERVER",
        default_value = "http://127.0.0.1:8080"
    )]
    pub server: String,
    /// The account's mail address.
    #[arg(long, env = "VEILBOURSE_EMAIL")]
    pub email: String,
    /// The password; better given in the environment than on the command line.
    #[arg(long, env = "VEILBOURSE_PASSWORD", hide_env_values = true)]
    pub password: String,
    /// A code of the account's second factor, or one of its recovery codes.
    #[arg(long, env = "VEILBOURSE_CODE", hide_env_values = true)]
    pub code: Option<String>,
}

/// `veilbourse account ...`.
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Verify a mail address by its link's token: what stands behind the # sign.
    Verify {
        /// The server.
        #[arg(
            long,
            env = "VEILBOURSE_SERVER",
            default_value = "http://127.0.0.1:8080"
        )]
        server: String,
        /// The token.
        token: String,
    },
    /// Have the letter that verifies the address sent again.
    Resend {
        /// The account.
        #[command(flatten)]
        who: Who,
    },
}

/// The marketplace's key as it is known here.
#[derive(Debug, Args, Clone)]
pub struct PinArgs {
    /// The marketplace's key (64 hex digits), as the operator told it: any other
    /// is refused. Without it, `register` trusts the first one it sees.
    #[arg(long, value_name = "KEY", value_parser = key)]
    pub marketplace: Option<Key>,
    /// File that holds the marketplace's key, by server, from `register` on.
    #[arg(long, env = "VEILBOURSE_PINS", default_value = "marketplaces.json")]
    pub pins: PathBuf,
}

/// Weights in the clear or hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WeightsArg {
    /// Only buyer and pod see them (default).
    Private,
    /// Everybody sees them; no SNARK is needed.
    Public,
}

/// What comes out of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RowsArg {
    /// One value a segment.
    Aggregate,
    /// A score for each row (the policy must allow it).
    Each,
}

/// Arguments of `demo`.
#[derive(Debug, Args, Clone)]
pub struct DemoArgs {
    /// A CSV table; without it the embedded RAND health-insurance table.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// The column that the statistics are about, kept out of the model.
    #[arg(long)]
    pub target: Option<String>,
    /// A linear model (JSON); without it least squares on the table itself.
    #[arg(long)]
    pub model: Option<PathBuf>,
    /// Hide the model's weights or show them.
    #[arg(long, value_enum, default_value = "private", conflicts_with = "stats")]
    pub weights: WeightsArg,
    /// One value a segment, or a score for each row.
    #[arg(long, value_enum, default_value = "aggregate")]
    pub rows: RowsArg,
    /// The column whose value splits rows into segments.
    #[arg(long)]
    pub segment: Option<String>,
    /// Schema settings of the table (TOML); see the custodian's guide.
    #[arg(long)]
    pub schema: Option<PathBuf>,
    /// Where to put everything (a fresh folder by default, named in the output).
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Seed of the demo's randomness; from the operating system by default.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Leave out the attacks (tampered result, forged proof, replay).
    #[arg(long)]
    pub no_attacks: bool,
    /// The committee that opens results: how many key nodes, and how many of them
    /// it takes.
    #[arg(long, value_name = "NODES:THRESHOLD", default_value = "3:2")]
    pub committee: CommitteeSize,
    /// One key node of the custodian opens in place of a committee; the custodian
    /// learns the results.
    #[arg(long, conflicts_with = "committee")]
    pub custodian_held: bool,
    /// Noise in every result: what each costs of the privacy budget (zCDP rho, as
    /// 0.01).
    #[arg(long, value_name = "RHO", conflicts_with = "custodian_held")]
    pub noise: Option<String>,
    /// A joint query: one table of each of several custodians (three or more),
    /// of which only sums over all are opened.
    #[arg(
        long,
        value_name = "FILE",
        num_args = 1..,
        conflicts_with_all = ["data", "model", "weights", "rows", "custodian_held", "noise"]
    )]
    pub joint: Vec<PathBuf>,
}

/// n nodes of which t open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitteeSize {
    /// n.
    pub nodes: u8,
    /// t.
    pub threshold: u8,
}

impl std::str::FromStr for CommitteeSize {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let wrong = || format!("{s:?} is not NODES:THRESHOLD, as 3:2");
        let (n, t) = s.split_once(':').ok_or_else(wrong)?;
        let number = |v: &str| v.parse().map_err(|_| wrong());
        let (nodes, threshold) = (number(n)?, number(t)?);
        veilbourse_protocol::Committee::new(nodes, threshold).map_err(|e| e.to_string())?;
        Ok(Self { nodes, threshold })
    }
}

/// Arguments of `market`.
#[derive(Debug, Args, Clone)]
pub struct MarketArgs {
    /// Where everything lies; a folder that is there already is gone on with.
    #[arg(long, default_value = "veilbourse-market")]
    pub dir: PathBuf,
    /// Address to listen on: of this machine (loopback).
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: std::net::SocketAddr,
    /// The committee of a new market: how many key nodes, and how many of them
    /// open a result (3:2 where nothing is said).
    #[arg(long, value_name = "NODES:THRESHOLD")]
    pub committee: Option<CommitteeSize>,
    /// List the RAND health-insurance table as a custodian, so that a buyer finds
    /// something.
    #[arg(long)]
    pub sample: bool,
}

/// Arguments of `serve`.
#[derive(Debug, Args, Clone)]
pub struct ServeArgs {
    /// Configuration file (TOML).
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Data folder, where no configuration file says otherwise.
    #[arg(long, default_value = "veilbourse-data")]
    pub dir: PathBuf,
    /// Address to listen on.
    #[arg(long)]
    pub listen: Option<String>,
    /// File of accepted verifying keys (from `srs key`); `accepted-keys.json` in
    /// the data folder by default.
    #[arg(long)]
    pub keys: Option<PathBuf>,
    /// Make an admin with this mail address; the password is read
    /// from VEILBOURSE_ADMIN_PASSWORD.
    #[arg(long)]
    pub admin: Option<String>,
    /// Make a read-only auditor with this mail address; the password is read
    /// from VEILBOURSE_AUDITOR_PASSWORD.
    #[arg(long)]
    pub auditor: Option<String>,
}

/// Arguments of `pod`.
#[derive(Debug, Args, Clone)]
pub struct PodArgs {
    /// The server.
    #[arg(
        long,
        env = "VEILBOURSE_SERVER",
        default_value = "http://127.0.0.1:8080"
    )]
    pub server: String,
    /// The pod's key file; made if it does not exist.
    #[arg(long, default_value = "pod.key")]
    pub key: PathBuf,
    /// Only make the key file and register it with the account of `--email`.
    #[arg(long, requires = "email")]
    pub init: bool,
    /// The operator's account, for `--init`.
    #[arg(long, env = "VEILBOURSE_EMAIL")]
    pub email: Option<String>,
    /// Its password, for `--init`.
    #[arg(long, env = "VEILBOURSE_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
    /// The machine's name in the catalogue, for `--init`.
    #[arg(long, default_value = "pod")]
    pub name: String,
    /// The SRS file.
    #[arg(long, default_value = "srs-dev.bin")]
    pub srs: PathBuf,
}

/// Arguments of `key-node`.
#[derive(Debug, Args, Clone)]
pub struct NodeArgs {
    /// The server.
    #[arg(
        long,
        env = "VEILBOURSE_SERVER",
        default_value = "http://127.0.0.1:8080"
    )]
    pub server: String,
    /// The node's folder: key file, dataset keys, durable log.
    #[arg(long, default_value = "key-node")]
    pub dir: PathBuf,
    /// Only make the folder and register the node with the account of `--email`.
    #[arg(long, requires = "email")]
    pub init: bool,
    /// The operator's account, for `--init`.
    #[arg(long, env = "VEILBOURSE_EMAIL")]
    pub email: Option<String>,
    /// Its password, for `--init`.
    #[arg(long, env = "VEILBOURSE_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
    /// The machine's name in the catalogue, for `--init`.
    #[arg(long, default_value = "key node")]
    pub name: String,
    /// With `--init`: a committee's node. It holds no dataset's key; shares and
    /// tickets are dealt to it.
    #[arg(long, requires = "init")]
    pub member: bool,
    /// Print this node's entry for the committee's file, with the address
    /// (HOST:PORT) at which the other members reach it.
    #[arg(long, value_name = "ADDRESS")]
    pub entry: Option<String>,
    /// The committee's file (from `committee make`), copied into the folder.
    #[arg(long, value_name = "FILE")]
    pub committee: Option<PathBuf>,
    /// Where a committee's node takes the other members' calls; by default at
    /// the port of its own address, on all interfaces.
    #[arg(long)]
    pub listen: Option<std::net::SocketAddr>,
    /// Serve this node's metrics (Prometheus, `/metrics`) and health (JSON,
    /// `/health`) over plain HTTP at this address: bind to loopback or to a
    /// network of the operator's. Without it, nothing is served.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "init")]
    pub metrics: Option<std::net::SocketAddr>,
    /// Serve these custodians alone (public signing keys). May be repeated.
    #[arg(long, value_name = "KEY")]
    pub serve_only: Vec<String>,
    /// Destroy this node's shares and tickets of a dataset (root) for good, and end.
    #[arg(long, value_name = "DATASET")]
    pub retire: Option<String>,
    /// Destroy those of one quorum of a dataset (as DATASET:0,2), and end: the
    /// custodian deals to it anew.
    #[arg(long, value_name = "DATASET:NODES", conflicts_with = "retire")]
    pub freeze: Option<String>,
    /// Add a dataset: the folder that `custodian encrypt` wrote.
    #[arg(long, requires = "custodian")]
    pub add: Option<PathBuf>,
    /// The custodian's public signing key, which that dataset's policies must bear.
    #[arg(long)]
    pub custodian: Option<String>,
    /// File of accepted verifying keys (from `srs key`), copied into the folder.
    #[arg(long)]
    pub keys: Option<PathBuf>,
    /// A policy signed by the custodian (JSON), remembered before serving: those
    /// that it replaces are refused from then on. May be repeated.
    #[arg(long, value_name = "FILE")]
    pub policy: Vec<PathBuf>,
    /// Accept verifying keys made from a local (dev) SRS.
    #[arg(long)]
    pub accept_dev_srs: bool,
}

/// The committee's file.
#[derive(Debug, Subcommand, Clone)]
pub enum CommitteeCommand {
    /// Put the entries of its nodes together (from `key-node --entry`), in the
    /// order of their numbers.
    Make {
        /// How many nodes open.
        #[arg(long)]
        threshold: u8,
        /// The marketplace's key that they serve (64 hex digits).
        #[arg(long, value_name = "KEY", value_parser = key)]
        marketplace: Key,
        /// The nodes' entries.
        #[arg(required = true, num_args = 2..=5, value_name = "ENTRY")]
        entries: Vec<PathBuf>,
        /// Where to write it.
        #[arg(long, default_value = "committee.json")]
        out: PathBuf,
    },
    /// Check a committee's file and print it.
    Show {
        /// The file.
        #[arg(default_value = "committee.json")]
        file: PathBuf,
    },
}

/// What a custodian does.
#[derive(Debug, Subcommand, Clone)]
pub enum CustodianCommand {
    /// Make an account and register the signing key.
    Register {
        /// The account.
        #[command(flatten)]
        who: Who,
        /// The marketplace.
        #[command(flatten)]
        pin: PinArgs,
        /// Name shown.
        #[arg(long)]
        name: String,
        /// The signing key's file; made if it does not exist.
        #[arg(long, default_value = "custodian.key")]
        key: PathBuf,
    },
    /// Make a signing key.
    Keygen {
        /// Key file to write.
        #[arg(long, default_value = "custodian.key")]
        key: PathBuf,
    },
    /// Show the schema, ranges and what would be suppressed, before encrypting.
    Inspect {
        /// The table: CSV or Parquet.
        data: PathBuf,
        /// Schema overrides (TOML).
        #[arg(long)]
        schema: Option<PathBuf>,
    },
    /// Encrypt a table into a folder that can be uploaded. Nothing leaves the machine.
    Encrypt {
        /// The table: CSV or Parquet.
        data: PathBuf,
        /// Schema overrides (TOML).
        #[arg(long)]
        schema: Option<PathBuf>,
        /// The dataset's name, where the schema gives none.
        #[arg(long)]
        name: Option<String>,
        /// The public column that splits rows into segments.
        #[arg(long)]
        segment: Option<String>,
        /// Columns whose squares are added (second moments).
        #[arg(long)]
        square: Vec<String>,
        /// All randomness follows from these 64 hex digits: the same table gives the
        /// same root on any machine. Whoever knows them reads the table; for
        /// comparisons only.
        #[arg(long, value_name = "HEX", hide = true, value_parser = digest)]
        seed: Option<Digest>,
        /// Folder to write; must not exist.
        #[arg(long)]
        out: PathBuf,
    },
    /// Upload (or resume), sign the policy, submit for review.
    List {
        /// The account.
        #[command(flatten)]
        who: Who,
        /// The marketplace.
        #[command(flatten)]
        pin: PinArgs,
        /// The folder that `encrypt` wrote.
        #[arg(long)]
        dataset: PathBuf,
        /// The signing key.
        #[arg(long, default_value = "custodian.key")]
        key: PathBuf,
        /// Policy (TOML); see the custodian's guide.
        #[arg(long)]
        policy: PathBuf,
        /// Who opens.
        #[command(flatten)]
        openers: OpenersArgs,
        /// Title in the catalogue.
        #[arg(long)]
        title: String,
        /// Description in the catalogue.
        #[arg(long, default_value = "")]
        description: String,
    },
    /// Replace a listing's policy by its next version.
    Policy {
        /// The account.
        #[command(flatten)]
        who: Who,
        /// The marketplace.
        #[command(flatten)]
        pin: PinArgs,
        /// The listing, where the dataset's folder does not know it (it does
        /// after `list`); it must be the one that the folder knows.
        listing: Option<String>,
        /// The folder that `encrypt` wrote: the policy is for this dataset and
        /// no other, whatever the server says.
        #[arg(long)]
        dataset: PathBuf,
        /// The signing key.
        #[arg(long, default_value = "custodian.key")]
        key: PathBuf,
        /// Policy (TOML), with `version` one higher.
        #[arg(long)]
        policy: PathBuf,
        /// Who opens.
        #[command(flatten)]
        openers: OpenersArgs,
    },
    /// Deal opening tickets to every quorum of a committee, into the dataset's
    /// folder; `list` and `policy` upload them. Nothing leaves the machine.
    Deal(DealArgs),
    /// Ask for a withdrawal; an admin approves it.
    Withdraw {
        /// The account.
        #[command(flatten)]
        who: Who,
        /// Amount in credits, for example 250.00.
        amount: String,
    },
    /// One's listings, with state, values revealed and earnings.
    Status {
        /// The account.
        #[command(flatten)]
        who: Who,
    },
    /// Pause, resume or withdraw a listing.
    Set {
        /// The account.
        #[command(flatten)]
        who: Who,
        /// The listing.
        listing: String,
        /// What to do.
        #[arg(value_enum)]
        action: ListingAction,
    },
}

/// Who opens the results of a listing.
#[derive(Debug, Args, Clone, Default)]
pub struct OpenersArgs {
    /// A committee: its file (JSON), the one that tickets were dealt with.
    #[arg(long, value_name = "FILE", conflicts_with = "custodian_held")]
    pub committee: Option<PathBuf>,
    /// One key node of your own, by its signing key (64 hex digits), in place of
    /// the policy file's `node_key`.
    #[arg(long, value_name = "KEY", value_parser = key)]
    pub custodian_held: Option<Key>,
    /// The most that all tickets ever dealt may cost together, in zCDP rho; by
    /// default what those dealt cost.
    #[arg(long, value_name = "RHO", requires = "committee")]
    pub rho_limit: Option<String>,
}

/// Arguments of `custodian deal`.
#[derive(Debug, Args, Clone)]
pub struct DealArgs {
    /// The folder that `encrypt` wrote.
    pub dataset: PathBuf,
    /// The committee's file (JSON).
    #[arg(long, value_name = "FILE")]
    pub committee: PathBuf,
    /// The signing key of the policies that what is dealt is for, and of no
    /// others.
    #[arg(long, default_value = "custodian.key")]
    pub key: PathBuf,
    /// A class of tickets: NAME or NAME:KEY=VALUE,... with `tickets` (a quorum;
    /// 2048 by default) and, for noise, one of `rho` or `epsilon` (what a ticket
    /// costs at most), `variance` (Gaussian) or `scale` (Laplace); beside it what
    /// a row moves: `sensitivity`, `bound` (of private weights), or `column` (may
    /// be repeated; all by default), and `rows` a person has. May be repeated;
    /// `exact` by default, which has no noise.
    #[arg(long, value_name = "CLASS")]
    pub class: Vec<String>,
    /// Deal further tickets where some were dealt before.
    #[arg(long)]
    pub more: bool,
    /// Deal this quorum anew (it was frozen), with fresh keys: its nodes'
    /// numbers, for example 0,2. May be repeated.
    #[arg(long, value_name = "NODES", value_parser = quorum)]
    pub anew: Vec<Quorum>,
    /// Only these quorums. May be repeated.
    #[arg(long, value_name = "NODES", value_parser = quorum)]
    pub quorum: Vec<Quorum>,
}

/// Nodes of a quorum, by number, ascending.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quorum(pub Vec<u8>);

fn quorum(s: &str) -> Result<Quorum, &'static str> {
    let numbers = s.split(',').map(|n| n.trim().parse::<u8>());
    let numbers: Vec<u8> = numbers
        .collect::<Result<_, _>>()
        .map_err(|_| "expected node numbers like 0,2")?;
    match numbers.is_sorted_by(|a, b| a < b) {
        true => Ok(Quorum(numbers)),
        false => Err("node numbers must ascend"),
    }
}

/// What an owner may do to a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListingAction {
    /// Take no new orders.
    Pause,
    /// Take orders again.
    Resume,
    /// Take it out for good.
    Withdraw,
}

/// What a buyer asks.
#[derive(Debug, Args, Clone)]
pub struct Query {
    /// The listing. Several make a joint order: one query over the listings of
    /// several custodians, of which only the sums are opened.
    #[arg(long, required = true)]
    pub listing: Vec<String>,
    /// Statistics of this column: mean, and variance where its square is listed.
    #[arg(long, conflicts_with = "model")]
    pub stats: Option<String>,
    /// A linear model (JSON).
    #[arg(long)]
    pub model: Option<PathBuf>,
    /// Hide the weights or show them.
    #[arg(long, value_enum, default_value = "private", conflicts_with = "stats")]
    pub weights: WeightsArg,
    /// One value a segment, or a score for each row.
    #[arg(
        long,
        value_enum,
        default_value = "aggregate",
        conflicts_with = "stats"
    )]
    pub rows: RowsArg,
    /// Only this pod: its signing key (64 hex digits). Private weights are
    /// readable by the pod; without this, the marketplace chooses it.
    #[arg(long, value_name = "KEY", value_parser = key)]
    pub pod: Option<Key>,
    /// Ask the marketplace for the pod of this id; its key is checked.
    #[arg(long, value_name = "ID", requires = "pod")]
    pub pod_id: Option<String>,
    /// The class of tickets, by its name or digest; the marketplace chooses
    /// otherwise.
    #[arg(long, value_name = "CLASS")]
    pub class: Option<String>,
    /// Only key nodes with exactly these signing keys (64 hex digits); to be
    /// given once for each node.
    #[arg(long, value_name = "KEY", value_parser = key)]
    pub node: Vec<Key>,
}

/// What a buyer does.
#[derive(Debug, Subcommand, Clone)]
pub enum BuyerCommand {
    /// Make an account and register the signing key.
    Register {
        /// The account.
        #[command(flatten)]
        who: Who,
        /// The marketplace.
        #[command(flatten)]
        pin: PinArgs,
        /// Name shown.
        #[arg(long)]
        name: String,
        /// The signing key's file; made if it does not exist.
        #[arg(long, default_value = "buyer.key")]
        key: PathBuf,
    },
    /// Make a signing key.
    Keygen {
        /// Key file to write.
        #[arg(long, default_value = "buyer.key")]
        key: PathBuf,
    },
    /// The catalogue.
    Catalogue {
        /// The account.
        #[command(flatten)]
        who: Who,
        /// Words to look for.
        #[arg(long)]
        search: Option<String>,
    },
    /// Price, time, precision, and who learns what, before any money moves.
    Quote {
        /// The account.
        #[command(flatten)]
        who: Who,
        /// The marketplace.
        #[command(flatten)]
        pin: PinArgs,
        /// The query.
        #[command(flatten)]
        query: Query,
    },
    /// Quote, sign, seal, order, and wait for the result.
    Order {
        /// The account.
        #[command(flatten)]
        who: Who,
        /// The marketplace.
        #[command(flatten)]
        pin: PinArgs,
        /// The query.
        #[command(flatten)]
        query: Query,
        /// The signing key.
        #[arg(long, default_value = "buyer.key")]
        key: PathBuf,
        /// Highest price accepted, in credits.
        #[arg(long)]
        max_price: Option<String>,
        /// Folder for order, result key, result and receipt.
        #[arg(long, default_value = "orders")]
        out: PathBuf,
        /// Do not wait for the result.
        #[arg(long)]
        no_wait: bool,
    },
    /// Fetch, decrypt and decode the result of an order, and check its receipt.
    Open {
        /// The account.
        #[command(flatten)]
        who: Who,
        /// The order's folder.
        order: PathBuf,
    },
    /// Fit a linear regression: buy the second moments, solve on this machine.
    #[command(subcommand)]
    Train(Box<TrainCommand>),
    /// Ask for a deposit; an admin approves it.
    Deposit {
        /// The account.
        #[command(flatten)]
        who: Who,
        /// Amount in credits, for example 250.00.
        amount: String,
    },
    /// Ask for a withdrawal; an admin approves it.
    Withdraw {
        /// The account.
        #[command(flatten)]
        who: Who,
        /// Amount in credits, for example 250.00.
        amount: String,
    },
    /// Balance and postings.
    Balance {
        /// The account.
        #[command(flatten)]
        who: Who,
    },
}

/// What an admin does.
#[derive(Debug, Subcommand, Clone)]
pub enum AdminCommand {
    /// What waits for a decision: listings, deposits, withdrawals, machines.
    Queue {
        /// The account.
        #[command(flatten)]
        who: Who,
    },
    /// Decide one of them.
    Decide {
        /// The account.
        #[command(flatten)]
        who: Who,
        /// What it is.
        #[arg(value_enum)]
        kind: DecisionKind,
        /// Its id.
        id: String,
        /// Refuse instead of approving.
        #[arg(long)]
        refuse: bool,
        /// The reason, which the owner sees.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// The ledger's accounts and its balance check.
    Ledger {
        /// The account.
        #[command(flatten)]
        who: Who,
    },
    /// Suspend an account: its sessions end, nobody signs in.
    Suspend {
        /// The account.
        #[command(flatten)]
        who: Who,
        /// The other account's id.
        id: String,
        /// The reason, which its owner is told.
        #[arg(long)]
        reason: String,
    },
    /// Restore a suspended account.
    Restore {
        /// The account.
        #[command(flatten)]
        who: Who,
        /// The other account's id.
        id: String,
        /// The reason, which its owner is told.
        #[arg(long)]
        reason: String,
    },
    /// Remove an account's second factor, which its owner has lost.
    ClearSecondFactor {
        /// The account.
        #[command(flatten)]
        who: Who,
        /// The other account's id.
        id: String,
        /// The reason, kept in the audit log.
        #[arg(long)]
        reason: String,
    },
    /// The audit log's last records and the check of its chain.
    Audit {
        /// The account.
        #[command(flatten)]
        who: Who,
    },
}

/// What an admin decides on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DecisionKind {
    /// A submitted listing.
    Listing,
    /// A deposit.
    Deposit,
    /// A withdrawal.
    Withdrawal,
    /// A pod or key node.
    Machine,
}

/// Arguments of `verify`.
#[derive(Debug, Args, Clone)]
pub struct VerifyArgs {
    /// The receipt.
    pub receipt: PathBuf,
    /// Recompute the verifying keys from this SRS instead of assuming them.
    #[arg(long)]
    pub srs: Option<PathBuf>,
    /// The marketplace expected (its id).
    #[arg(long, value_parser = digest)]
    pub marketplace: Option<Digest>,
    /// Also hold the sealed result in this folder (an order's, as `buyer open`
    /// left it) to the receipt.
    #[arg(long, value_name = "FOLDER")]
    pub result: Option<PathBuf>,
}

pub(crate) fn key(s: &str) -> Result<Key, &'static str> {
    Key::from_hex(s).ok_or("expected 64 lower-case hex digits")
}

fn digest(s: &str) -> Result<Digest, &'static str> {
    Digest::from_hex(s).ok_or("expected 64 lower-case hex digits")
}

/// Structured reference strings.
#[derive(Debug, Subcommand, Clone)]
pub enum SrsCommand {
    /// Make a local SRS (marked `dev` in every receipt) and its verifying keys.
    Dev {
        /// File to write (srs-dev.bin).
        #[arg(long)]
        out: Option<PathBuf>,
        /// log2 of the circuit rows it must serve; 17 for row scores over more
        /// than 32 columns.
        #[arg(long, default_value_t = 16)]
        log_rows: u32,
    },
    /// Check an SRS file and print its digest and provenance.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Make an SRS together, so that nobody can know its trapdoor alone.
    #[command(subcommand)]
    Ceremony(CeremonyCommand),
    /// Write the verifying key of a circuit.
    Key {
        /// The SRS file.
        #[arg(long)]
        srs: PathBuf,
        /// One value a segment, or a score for each row.
        #[arg(long, value_enum, default_value = "aggregate")]
        rows: RowsArg,
        /// Column-count class: 8, 16, 32, 64, 128 or 256.
        #[arg(long)]
        class: u32,
        /// File of accepted keys; the key is added to it.
        #[arg(long, default_value = "accepted-keys.json")]
        out: PathBuf,
    },
}

/// A ceremony, whose file goes from contributor to contributor.
#[derive(Debug, Subcommand, Clone)]
pub enum CeremonyCommand {
    /// Start one: a file without contributions.
    Start {
        /// File to write; it must not exist.
        #[arg(long, default_value = "ceremony.bin")]
        out: PathBuf,
        /// For which marketplace and what: a line that the transcript keeps.
        #[arg(long)]
        purpose: String,
        /// log2 of the circuit rows it must serve; 17 for row scores over more
        /// than 32 columns.
        #[arg(long, default_value_t = 16)]
        log_rows: u32,
    },
    /// Check a ceremony's file and multiply its secret by one of this machine's.
    Contribute {
        /// The file, as the contributor before left it.
        file: PathBuf,
        /// Where to write what comes after; replaces the file by default.
        #[arg(long)]
        out: Option<PathBuf>,
        /// Your name, which the transcript keeps.
        #[arg(long)]
        name: String,
        /// The signing key's file: of a key node, a pod, a custodian.
        #[arg(long)]
        key: PathBuf,
        /// The head that the contributor before told you (64 hex digits): any
        /// other file is refused.
        #[arg(long, value_name = "HEAD", value_parser = digest)]
        after: Option<Digest>,
    },
    /// Check a ceremony's file, its transcript or the SRS that it ended with.
    Verify {
        /// The file.
        file: PathBuf,
        /// A key that must be among the contributors (64 hex digits). May be
        /// repeated.
        #[arg(long, value_name = "KEY", value_parser = key)]
        contributor: Vec<Key>,
    },
    /// Write the SRS that a ceremony ends with, and its transcript to publish.
    Finish {
        /// The file, as the last contributor left it.
        file: PathBuf,
        /// SRS file to write; it must not exist.
        #[arg(long, default_value = "srs.bin")]
        out: PathBuf,
        /// Transcript to write; it must not exist.
        #[arg(long, default_value = "transcript.bin")]
        transcript: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn quorums_are_numbers_that_ascend() {
        assert_eq!(quorum("0,2"), Ok(Quorum(vec![0, 2])));
        for bad in ["", "2,0", "1,1", "a", "0,256"] {
            assert!(quorum(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn demo_defaults_are_private_and_aggregate() {
        let cli = Cli::try_parse_from(["veilbourse", "demo", "--json"]).unwrap();
        let Command::Demo(d) = cli.command else {
            panic!("demo expected")
        };
        assert!(cli.json);
        assert_eq!(
            (d.weights, d.rows),
            (WeightsArg::Private, RowsArg::Aggregate)
        );
    }
}
