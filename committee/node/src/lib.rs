//! The key node (KEY): its gate, its durable reveal counter, and what it opens:
//! by a dataset's key in custodian-held custody, or in the quorums of a committee.
//!
//! It trusts nobody: marketplace, pod, buyer, custodian and the other nodes are
//! checked by [`gate`] and by the ticket store before anything is opened, and
//! what was spent is on disk before anything leaves.

mod admitted;
mod config;
pub mod gate;
mod held;
mod log;
mod member;
mod node;
mod quorum_gate;
mod refusal;
mod run;
pub mod series;
mod state;
mod terms;

pub use admitted::{Admitted, Parts};
pub use config::{Dataset, NodeConfig, Seat, SeatError, dealt_by};
pub use log::{Log, OpenedRequest, Record};
pub use member::{
    End, Facts, Judged, Member, MemberConfig, MemberError, MemberHealth, StoresError, init,
    member_entry,
};
pub use node::{Begun, KeyNode, NodeError, Outcome};
pub use quorum_gate::{Usable, together};
pub use refusal::GateRefusal;
pub use run::{Ended, PollError, poll};
pub use state::{BegunGrant, Released, Revealed, Standing, State};
pub use veilbourse_ticket_store::LogError;
