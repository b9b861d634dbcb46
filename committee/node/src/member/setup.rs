//! What an operator sets up once, and says at every start.

use super::{MemberError, stores::StoresError};
use crate::{log::Log, node::NodeError};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};
use veilbourse_core::digest::Digest;
use veilbourse_documents::{
    Bytes, DOCUMENT_VERSION, DocumentError, Key, MachineRegistration, MemberEntry, SealingSecret,
    Signed, SigningKey,
};
use veilbourse_peers::{Limits, Timing};

/// The node's log in its folder.
const LOG: &str = "log";

/// How a committee's node works.
#[derive(Debug, Clone)]
pub struct MemberConfig {
    /// Its folder: `log`, and `stores/` with a folder for each dataset and
    /// custodian. Encrypted, and outside backups (CST-8).
    pub folder: PathBuf,
    /// Where it takes its peers' calls.
    pub listen: SocketAddr,
    /// Most bytes of one custodian's dealings.
    pub dealing_bytes: u64,
    /// Most datasets, counted by custodian.
    pub datasets: usize,
    /// Jobs at once.
    pub jobs: usize,
    /// Between two looks at the server.
    pub poll: Duration,
    /// What that grows to, doubled each time that nothing was there; where it is
    /// less than `poll`, nothing grows. A server takes a node for silent after half
    /// a minute (SET-7).
    pub idle: Duration,
    /// How long the other members are waited for.
    pub patience: Duration,
    /// How long a greeting may take (CST-11).
    pub greeting: Duration,
    /// Between the nodes.
    pub timing: Timing,
    /// Between the nodes.
    pub limits: Limits,
}

impl MemberConfig {
    /// Everything but folder and address at its default.
    pub fn new(folder: PathBuf, listen: SocketAddr) -> Self {
        Self {
            folder,
            listen,
            dealing_bytes: 64 << 30,
            datasets: 256,
            jobs: 8,
            poll: Duration::from_secs(2),
            idle: Duration::ZERO,
            patience: Duration::from_secs(30),
            greeting: Duration::from_secs(10),
            timing: Timing::default(),
            limits: Limits::default(),
        }
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.join(LOG)
    }
}

/// Makes a node's folder, once (KEY-4): one that is in use is never overwritten.
pub fn init(folder: &Path) -> Result<(), MemberError> {
    std::fs::create_dir_all(folder).map_err(|cause| {
        MemberError::Stores(StoresError::Folder {
            path: folder.to_owned(),
            cause,
        })
    })?;
    Ok(Log::create(&folder.join(LOG)).map_err(NodeError::Log)?)
}

/// A node's entry in the committee's file (KEY-8).
pub fn member_entry(
    name: &str,
    signing: &SigningKey,
    sealing: &SealingSecret,
    marketplace: Digest,
    address: &str,
) -> Result<MemberEntry, DocumentError> {
    let sealing_key = Bytes(sealing.public()?);
    let registration = MachineRegistration {
        version: DOCUMENT_VERSION,
        marketplace,
        sealing_key: Some(sealing_key.clone()),
    };
    let signed = Signed::sign(registration, signing)?;
    Ok(MemberEntry {
        name: name.to_owned(),
        signing_key: Key(signing.verifying_key().to_bytes()),
        sealing_key,
        sealing_signature: signed.signature,
        address: address.to_owned(),
    })
}
