//! A committee's key node at work (KEY-8..11): dealings come in and are checked,
//! orders are opened with the other members, deliveries are sent until they are
//! taken. One task for each thing; the node's log and stores are the truth, so
//! it may stop anywhere.

mod daemon;
mod finish;
mod greet;
mod intake;
pub(crate) mod ledger;
mod opening;
mod receive;
mod release;
mod rendezvous;
mod replaced;
mod setup;
mod signer;
mod stores;

pub use daemon::{Member, MemberHealth};
pub use ledger::{Facts, Judged};
pub use opening::End;
pub use setup::{MemberConfig, init, member_entry};
pub use stores::StoresError;

use crate::{
    node::{KeyNode, NodeError},
    refusal::GateRefusal,
};
use finish::Known;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use rendezvous::{Met, Purpose, Rendezvous, What};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use stores::Stores;
use thiserror::Error;
use tokio::sync::{OnceCell, watch};
use veilbourse_core::digest::Digest;
use veilbourse_documents::{CommitteeFile, DocumentError, Key, SealingSecret, SigningKey};
use veilbourse_machine::{Machine, MachineError};
use veilbourse_peers::{Endpoint, MembersError};
use veilbourse_quorum::QuorumError;

/// Openings that a peer may ask to finish.
const KNOWN: usize = 256;

/// What stopped something; most of it is tried again.
#[derive(Debug, Error)]
pub enum MemberError {
    /// Between node and server.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// The node's log, a signature.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A document.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The quorum, or the ticket store.
    #[error(transparent)]
    Quorum(#[from] QuorumError),
    /// A store could not be opened.
    #[error(transparent)]
    Stores(#[from] StoresError),
    /// PEER-1.
    #[error(transparent)]
    Members(#[from] MembersError),
    /// No place in a committee is configured.
    #[error("this node has no seat in a committee (KEY-8)")]
    NoSeat,
    /// A socket or folder.
    #[error("{what}: {cause}")]
    Io {
        /// What.
        what: String,
        /// Why.
        cause: std::io::Error,
    },
    /// A refusal that is the operator's to hear, not a buyer's.
    #[error("{0}")]
    Gate(GateRefusal),
    /// Not all members were there in time.
    #[error("{what}: not all of nodes {members:?} were there within {seconds} s")]
    Absent {
        /// For what.
        what: &'static str,
        /// Who was wanted.
        members: Vec<u8>,
        /// How long this node waited.
        seconds: u64,
    },
    /// No ticket store for what the gate let through.
    #[error("no ticket store {scope} (KEY-9)")]
    NoStore {
        /// Which.
        scope: Digest,
    },
    /// A lease without a job.
    #[error("a lease without a job")]
    NoJob,
    /// The tickets of a session do not follow each other.
    #[error("order {order}: its tickets do not follow each other")]
    Masked {
        /// Which order.
        order: Digest,
    },
    /// A signature of one's own.
    #[error("opening: {reason}")]
    Signing {
        /// Why.
        reason: String,
    },
}

/// What all tasks share.
pub(crate) struct Inner {
    node: Mutex<KeyNode>,
    committee: CommitteeFile,
    signing: SigningKey,
    node_key: Key,
    sealing: SealingSecret,
    machine: Machine,
    endpoint: Endpoint,
    stores: Stores,
    rendezvous: Rendezvous,
    config: MemberConfig,
    rng: Mutex<ChaCha20Rng>,
    at_work: Mutex<HashSet<Digest>>,
    known: Mutex<VecDeque<Arc<Known>>>,
    /// Streams that came with another digest than announced, how often.
    resent: Mutex<HashMap<Digest, u32>>,
    /// Dealings whose end was told since the node started.
    told: Mutex<HashSet<Digest>>,
    /// Sessions that keep an epoch from being replaced, and since when they are
    /// seen to.
    owed: Mutex<HashMap<Digest, Instant>>,
    /// That the peers were waited for.
    waited: OnceCell<()>,
    /// Whether the node is to end.
    stop: watch::Sender<bool>,
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is locked is written whole, or stops itself: a poisoned lock tells
    // nothing new.
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    fn node(&self) -> MutexGuard<'_, KeyNode> {
        lock(&self.node)
    }
    fn at_work(&self) -> MutexGuard<'_, HashSet<Digest>> {
        lock(&self.at_work)
    }
    fn known(&self) -> MutexGuard<'_, VecDeque<Arc<Known>>> {
        lock(&self.known)
    }
    fn first_time(&self, dealing: &Digest) -> bool {
        lock(&self.told).insert(*dealing)
    }
    /// Randomness for one task.
    fn fork(&self) -> ChaCha20Rng {
        ChaCha20Rng::from_seed(self.entropy())
    }
    fn entropy(&self) -> [u8; 32] {
        let mut seed = [0; 32];
        lock(&self.rng).fill_bytes(&mut seed);
        seed
    }

    /// Waits until all of these nodes want this (KEY-12).
    async fn meet(
        &self,
        what: What,
        scope: &Digest,
        members: &[u8],
        about: &Digest,
    ) -> Result<Met, MemberError> {
        let patience = self.config.patience;
        self.meet_within(what, scope, members, about, patience)
            .await
    }

    async fn meet_within(
        &self,
        what: What,
        scope: &Digest,
        members: &[u8],
        about: &Digest,
        patience: Duration,
    ) -> Result<Met, MemberError> {
        let now = self.machine.now();
        let purpose = Purpose {
            what,
            scope,
            members,
            about,
        };
        let mut stopped = self.stop.subscribe();
        let met = tokio::select! {
            // Nothing has begun: a node that is to end waits for nobody.
            _ = stopped.wait_for(|over| *over) => None,
            met = self.rendezvous.meet(&self.endpoint, purpose, now, patience) => met,
        };
        met.ok_or_else(|| MemberError::Absent {
            what: what.name(),
            members: members.to_vec(),
            seconds: patience.as_secs(),
        })
    }
}
