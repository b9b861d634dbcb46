//! The custodian's side of committee custody (TKT, CST, DOC-14): classes of
//! opening tickets, what is to be dealt to every quorum, the dealing itself,
//! and its way to the nodes.
//!
//! Everything dealt follows from one secret in the dataset's folder and from a
//! plan that is on disk before anything of it is dealt: a dealing cut off is gone
//! on with and is the same dealing, and no number is dealt twice.

mod ask;
mod class;
mod error;
mod files;
mod folder;
mod pieces;
mod plan;
mod proof;
mod run;
mod upload;

pub use ask::{ClassAsk, ClassCost, DELTA, TICKETS};
pub use class::{
    Noise, PersonRows, decimal, exact, key_check, noisy, statistics_sensitivity,
    weights_sensitivity,
};
pub use error::DealingError;
pub use folder::DealerFolder;
pub use pieces::PARTS;
pub use plan::{Asked, Dealt, KEY_CHECK_TICKETS, LEAST_KEY_CHECK, Plan, Planned};
pub use proof::{ProofReader, read_proofs};
pub use run::{deal, deal_next, dealer_of};
pub use upload::{Held, held, upload};
