//! A key node's life in its quorums (docs/spec/quorum.md): what a committee's
//! rules (docs/spec/committee.md), a node's durable state (docs/spec/node-store.md)
//! and the messages between nodes (docs/spec/peers.md) are together. Opening with
//! the signatures of all, checking dealings and public keys, finishing after a
//! restart what was signed. No documents, no gate: who may open what is decided
//! before. Randomness is an argument; channels are a trait, so that a whole
//! committee replays from a seed.

mod check;
pub mod deal;
mod error;
mod keeper;
mod key;
mod meeting;
mod open;
mod proof;
mod request;
mod sign;
mod turn;

pub use error::QuorumError;
pub use keeper::Keeper;
pub use key::{COEFFICIENTS, public_key_digest};
pub use proof::{ProofReader, encode_proof};
pub use request::{MAX_VALUES, Output, Request};
pub use sign::{Outcome, Released, SignedOutcome, Signer};
