//! A store for each dataset and custodian (KEY-9): made when the first dealing
//! comes, and from then on never made anew.

use crate::{
    config::{Seat, dealt_by},
    node::{KeyNode, NodeError},
};
use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use thiserror::Error;
use veilbourse_core::digest::Digest;
use veilbourse_documents::{Key, SigningKey};
use veilbourse_quorum::Keeper;
use veilbourse_ticket_store::{Config, Folder, LogError, Stage, Store, StoreError};

/// A stream is made durable after so many bytes.
const SYNC_EVERY: u64 = 16 << 20;
/// Where the stores lie in a node's folder.
const STORES: &str = "stores";

/// A ticket store that opens no more, or could not be made.
#[derive(Debug, Error)]
pub enum StoresError {
    /// The node's log.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The store.
    #[error("dataset {dataset} of custodian {custodian}: {cause}")]
    Store {
        /// D.
        dataset: Digest,
        /// Who deals it.
        custodian: Key,
        /// Why.
        cause: Box<StoreError>,
    },
    /// The folder.
    #[error("{}: {cause}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// As many as the operator allows.
    #[error("{limit} datasets are served, the operator allows no more")]
    Many {
        /// How many.
        limit: usize,
    },
}

/// One dataset as one custodian deals it.
pub struct Served {
    /// D.
    pub dataset: Digest,
    /// Who deals it.
    pub custodian: Key,
    /// Both, in one.
    pub scope: Digest,
    /// Tickets and sessions.
    pub keeper: Keeper<Folder>,
    /// Peers that were greeted since the node started, or could not be.
    pub greeted: tokio::sync::Mutex<bool>,
}

/// All of them.
pub struct Stores {
    folder: PathBuf,
    limit: usize,
    open: Mutex<BTreeMap<Digest, Arc<Served>>>,
}

impl Stores {
    /// Opens every store that was ever made.
    pub fn open(folder: &Path, limit: usize, node: &KeyNode) -> Result<Self, StoresError> {
        let stores = Self {
            folder: folder.join(STORES),
            limit,
            open: Mutex::default(),
        };
        let Some(seat) = &node.config.seat else {
            return Ok(stores);
        };
        let signing = &node.config.signing;
        for (dataset, custodian) in node.state.served() {
            let served = stores.served(seat, signing, dataset, custodian, false)?;
            stores.lock().insert(served.scope, Arc::new(served));
        }
        Ok(stores)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Digest, Arc<Served>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that is there.
    pub fn get(&self, scope: &Digest) -> Option<Arc<Served>> {
        self.lock().get(scope).cloned()
    }

    /// All.
    pub fn all(&self) -> Vec<Arc<Served>> {
        self.lock().values().cloned().collect()
    }

    /// The store of a dataset and custodian; made where it never was.
    pub fn of(
        &self,
        node: &Mutex<KeyNode>,
        dataset: &Digest,
        custodian: &Key,
    ) -> Result<Arc<Served>, StoresError> {
        let scope = dealt_by(dataset, custodian);
        // Held while it is made: nobody makes it twice.
        let mut open = self.lock();
        if let Some(served) = open.get(&scope) {
            return Ok(Arc::clone(served));
        }
        let limit = self.limit;
        if open.len() >= limit {
            return Err(StoresError::Many { limit });
        }
        let mut node = node.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seat) = &node.config.seat else {
            return Err(StoresError::Many { limit: 0 });
        };
        let served = self.served(seat, &node.config.signing, dataset, custodian, true)?;
        node.serve(dataset, custodian)?;
        let served = Arc::new(served);
        open.insert(scope, Arc::clone(&served));
        Ok(served)
    }

    fn served(
        &self,
        seat: &Seat,
        signing: &SigningKey,
        dataset: &Digest,
        custodian: &Key,
        new: bool,
    ) -> Result<Served, StoresError> {
        let scope = dealt_by(dataset, custodian);
        let path = self.folder.join(scope.to_string());
        if new {
            // That it is there must be durable before the log says so.
            let made = std::fs::create_dir_all(&path);
            let synced = made.and_then(|()| File::open(&self.folder)?.sync_all());
            synced.map_err(|cause| StoresError::Folder {
                path: path.clone(),
                cause,
            })?;
        }
        let of = || Config {
            dataset: *dataset,
            custodian: custodian.0,
            committee: seat.shape(),
            node: seat.number,
            keys: seat.openers().keys().iter().map(|k| k.0).collect(),
            sync_every: SYNC_EVERY,
        };
        let disk = || Folder::new(&path);
        let store = match new.then(|| Store::create(disk(), of())) {
            // Made, and the node stopped before it had noted that: nothing was
            // ever taken into it.
            None | Some(Err(StoreError::Log(LogError::Exists { .. }))) => Store::open(disk(), of()),
            Some(made) => made,
        };
        let store = store.map_err(|cause| StoresError::Store {
            dataset: *dataset,
            custodian: *custodian,
            cause: Box::new(cause),
        })?;
        Ok(Served {
            dataset: *dataset,
            custodian: *custodian,
            scope,
            keeper: Keeper::new(store, signing.clone()),
            greeted: tokio::sync::Mutex::new(false),
        })
    }

    /// Bytes that a custodian's living dealings take here, those of `without`
    /// left out.
    pub fn bytes_of(&self, custodian: &Key, without: &Digest) -> u64 {
        let all = self.all().into_iter();
        let of = all.filter(|s| s.custodian == *custodian);
        let bytes = of.map(|s| {
            s.keeper.read(|store| {
                let living = store.state().dealings();
                let living = living.filter(|(d, s)| s.stage.alive() && *d != without);
                living
                    .map(|(_, d)| size(&d.dealing, d.party, d.package.proof_bytes))
                    .sum::<u64>()
            })
        });
        bytes.sum()
    }

    /// Tickets left, sessions signed and not released, quorums frozen.
    pub fn counts(&self) -> (u64, u64, u64) {
        let (mut tickets, mut withheld, mut frozen) = (0, 0, 0);
        for served in self.all() {
            served.keeper.read(|store| {
                let counts = store.counts();
                tickets += counts.iter().map(|c| c.remaining).sum::<u64>();
                let quorums: std::collections::BTreeSet<_> =
                    counts.iter().map(|c| c.quorum).collect();
                for quorum in quorums {
                    withheld += store.withheld(quorum).len() as u64;
                    frozen += u64::from(store.state().frozen(quorum).is_some());
                }
            });
        }
        (tickets, withheld, frozen)
    }
}

/// Bytes of a dealing at a party: streams, and the tree over all numbers.
pub(crate) fn size(dealing: &veilbourse_ticket_store::Dealing, party: u8, proof_bytes: u64) -> u64 {
    let shape = dealing.shape();
    let streams = veilbourse_ticket_store::Stream::ALL.into_iter();
    let streams = streams.map(|s| dealing.stream_bytes(s, &shape, party, proof_bytes));
    // Two digests a leaf.
    let tree = dealing.count.saturating_mul(64);
    streams.fold(tree, u64::saturating_add)
}

/// Whether a dealing's tickets may be spent here.
pub(crate) fn usable(served: &Served, dealing: &Digest) -> Option<crate::Usable> {
    served.keeper.read(|store| {
        let d = store.state().dealing(dealing)?;
        let next = store.next_ticket(dealing).ok()?;
        (d.stage == Stage::Usable).then(|| crate::Usable {
            dealing: d.dealing.clone(),
            left: d.dealing.end().saturating_sub(next),
        })
    })
}
