//! All nodes of a committee in one process, over TCP on the loopback interface:
//! the demo's and the tests' committee runs the code of separate servers.

use crate::{
    dial::Tcp,
    endpoint::Endpoint,
    error::MembersError,
    handshake::Identity,
    members::{Member, Members, NodeKey},
    settings::{Limits, Timing},
};
use std::{net::Ipv4Addr, sync::Arc};
use thiserror::Error;
use tokio::net::TcpListener;

/// Why the nodes did not start.
#[derive(Debug, Error)]
pub enum LoopbackError {
    /// PEER-1.
    #[error(transparent)]
    Members(#[from] MembersError),
    /// A socket.
    #[error("loopback: {0}")]
    Io(#[from] std::io::Error),
}

/// Starts a node for each key, on ports that the system chooses, numbered from
/// 0, each with all others as its peers.
pub async fn loopback(
    keys: &[NodeKey],
    timing: Timing,
    limits: Limits,
) -> Result<Vec<Endpoint>, LoopbackError> {
    let mut listeners = Vec::new();
    let mut members = Vec::new();
    for (number, key) in (0u8..).zip(keys) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        members.push(Member {
            number,
            key: key.public(),
            address: listener.local_addr()?.to_string(),
        });
        listeners.push(listener);
    }
    let members = Members::new(members)?;
    let mut nodes = Vec::new();
    for ((number, key), listener) in (0u8..).zip(keys).zip(listeners) {
        let identity = Identity::new(number, key, members.clone())?;
        let mut node = Endpoint::start(identity, Arc::new(Tcp), timing, limits);
        node.listen(listener);
        nodes.push(node);
    }
    Ok(nodes)
}
