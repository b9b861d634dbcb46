//! The key node (KEY): its gate, its durable reveal counter, sealing of results.
//!
//! It trusts nobody: marketplace, pod and buyer are checked by [`gate`] before
//! the secret key is touched, and what was spent is on disk before anything
//! leaves.

pub mod gate;
mod log;
mod node;
mod run;
mod state;

pub use gate::{Admitted, GateRefusal, Parts};
pub use log::{Log, Record};
pub use node::{Begun, Dataset, KeyNode, NodeConfig, NodeError, Outcome};
pub use run::{Ended, PollError, poll};
pub use state::{Revealed, Standing, State};
pub use veilbourse_ticket_store::LogError;
