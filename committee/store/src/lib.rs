//! The durable state of a committee's key node (docs/spec/node-store.md), one
//! folder a dataset: the dealings it was given, a log of what it spent and said,
//! and the counters that its peers have signed. No network; time and randomness
//! are not needed; the disk is an argument.

mod dealing;
mod disk;
mod error;
mod frames;
mod intake;
mod material;
mod paths;
mod peers;
mod record;
mod sessions;
mod state;
mod statement;
mod store;

pub use dealing::{
    Dealing, MAX_EPOCH, MAX_NUMBER, MAX_PROOF, Offer, Package, QuorumSet, Stream, StreamDigest,
};
pub use disk::{Disk, Folder};
pub use error::StoreError;
pub use frames::{Format, Frames, LogError};
pub use intake::MAX_RESENT;
pub use peers::{Count, Held, Known, MAX_HELD_BYTES};
pub use record::{FORMAT, MAX_ACTIVATED, MAX_OUTPUTS, Record, Spent, SpentOutput};
pub use state::{DealingState, Owner, Session, SessionStage, Stage, State};
pub use statement::{Counter, MAX_COUNTERS, MAX_STATEMENT, SignedStatement, Statement, continues};
pub use store::{Config, Store};
