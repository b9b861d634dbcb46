//! The committee's protocol (docs/spec/committee.md), without I/O: sharing for
//! every quorum, tickets and their dealing, the opening of rounded values, and
//! the buyer's unmasking. Randomness is an argument; everything replays.

pub mod binding;
mod check;
mod class;
mod dealer;
mod dealing;
mod error;
mod evaluate;
mod fq2;
mod live;
mod mask;
mod phase;
pub mod plan;
mod quorum;
mod relations;
mod session;
mod share;
mod stream;
mod ticket;
mod tree;
mod unmask;

pub use class::{K_MAX, K_MIN, Layout, TicketClass};
pub use dealer::{DataKeyShare, Dealer, DealtTicket};
pub use dealing::{BatchCheck, BatchProof, MAX_CHECKED, Package};
pub use error::ProtocolError;
pub use fq2::Fq2;
pub use live::{Live, party_key};
pub use mask::{MAX_SUMMANDS, MaskShare, OPENING_BYTES, check_batch, decode_commitment};
pub use phase::phases;
pub use quorum::{Committee, MAX_NODES, Quorum};
pub use session::{Durable, Job, MAX_BATCH, Opened, Opening, Outgoing, Progress};
pub use share::{PartyKey, Share};
pub use ticket::{Shape, TicketShare, quorum_name, read_share, write_share};
pub use tree::{MAX_TICKETS, Signed, Tree, check_path, check_range, leaf, range_siblings};
pub use unmask::{Masked, TicketPath, commitments, unmask};

/// A commitment to a mask share, or a sum of such.
pub use curve25519_dalek::RistrettoPoint;
