//! The key nodes of a committee talking to each other (docs/spec/peers.md): TCP
//! with TLS 1.3 by raw public keys, frames, sessions that share a connection,
//! deadlines, and the drivers of `veilbourse_protocol`'s openings and dealing
//! checks. What a proposal, a counter or a signature says is the node's affair.

mod dial;
mod drive;
mod endpoint;
mod error;
mod exchange;
pub mod frame;
mod handshake;
mod hub;
mod link;
mod loopback;
mod members;
mod party;
mod session;
mod settings;
mod state;
mod tls;

pub use dial::{Dial, Dialled, Tcp};
pub use drive::{Failed, busy, check_dealing, open};
pub use endpoint::Endpoint;
pub use error::{
    Leave, MembersError, OpenError, PeerError, Refused, SessionError, TellError, UnknownKey,
    Violation,
};
pub use exchange::{Exchange, Network};
pub use frame::Kind;
pub use handshake::{BoxIo, Channel, Identity, Io};
pub use hub::Health;
pub use loopback::{LoopbackError, loopback};
pub use members::{Member, Members, NodeKey, PublicKey};
pub use party::Expected;
pub use session::Session;
pub use settings::{EARLY_BYTES, Limits, Timing};
pub use state::Note;
pub use tls::ALPN;
