//! A node and its store, for many tasks (QRM-3, QRM-8): sessions of different
//! quorums side by side, of one quorum one after the other.

use crate::error::QuorumError;
use ed25519_dalek::SigningKey;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use veilbourse_core::digest::Digest;
use veilbourse_peers::busy;
use veilbourse_ticket_store::{
    Count, Dealing, Disk, Offer, QuorumSet, Stage, Store, StoreError, Stream,
};

/// One key node of one dataset: its store, its key, its turns.
pub struct Keeper<D: Disk> {
    store: Mutex<Store<D>>,
    pub(crate) key: SigningKey,
    places: Mutex<BTreeMap<QuorumSet, Arc<tokio::sync::Mutex<()>>>>,
    pub(crate) greeted: Mutex<BTreeSet<u8>>,
}

impl<D: Disk> Keeper<D> {
    /// Takes the store over. `key` is the node's, of the store's configuration.
    pub fn new(store: Store<D>, key: SigningKey) -> Self {
        Self {
            store: Mutex::new(store),
            key,
            places: Mutex::default(),
            greeted: Mutex::default(),
        }
    }

    /// The store is written a record at a time, and stops itself when its disk
    /// fails: a poisoned lock tells nothing new.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Store<D>> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn place(&self, quorum: QuorumSet) -> Arc<tokio::sync::Mutex<()>> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(places.entry(quorum).or_default())
    }

    /// Looks at the store: dealings, sessions, what is frozen, what is known of
    /// peers.
    pub fn read<T>(&self, look: impl FnOnce(&Store<D>) -> T) -> T {
        look(&self.lock())
    }

    /// What is left of every dealing (CST-12).
    pub fn counts(&self) -> Vec<Count> {
        self.lock().counts()
    }

    // --- dealings come in (CST-2, CST-3) --------------------------------------

    /// Begins a dealing, or goes on with one that was cut off.
    pub fn begin(&self, dealing: &Dealing, offer: &Offer) -> Result<Digest, QuorumError> {
        Ok(busy(|| self.lock().begin(dealing, offer))?)
    }
    /// Bytes of a stream that are here, and in all.
    pub fn received(&self, dealing: &Digest, stream: Stream) -> Result<(u64, u64), QuorumError> {
        Ok(self.lock().received(dealing, stream)?)
    }
    /// The next piece of a stream.
    pub fn put(
        &self,
        dealing: &Digest,
        stream: Stream,
        offset: u64,
        piece: &[u8],
    ) -> Result<(), QuorumError> {
        Ok(busy(|| self.lock().put(dealing, stream, offset, piece))?)
    }
    /// All was sent: every stream is the announced one.
    pub fn finish(&self, dealing: &Digest) -> Result<(), QuorumError> {
        Ok(busy(|| self.lock().finish(dealing))?)
    }
    /// A dealing that is not wanted, before it is usable (CST-4).
    pub async fn refuse(&self, dealing: &Digest, why: &str) -> Result<(), QuorumError> {
        let _place = self.of(dealing).await?;
        Ok(busy(|| self.lock().refuse(dealing, why))?)
    }

    // --- epochs (CST-8, CST-9) ------------------------------------------------

    /// Makes verified dealings of one epoch, whose public key was checked,
    /// usable; earlier epochs are destroyed. Sessions of them that are signed
    /// and not released would lose their masks: they are to be finished first,
    /// or to be named in `given_up` (QRM-8).
    pub async fn activate(
        &self,
        dealings: &[Digest],
        given_up: &[Digest],
    ) -> Result<(), QuorumError> {
        let Some(first) = dealings.first() else {
            return Ok(busy(|| self.lock().activate(dealings))?);
        };
        let _place = self.of(first).await?;
        let mut store = self.lock();
        if let Some(d) = store.state().dealing(first) {
            let (quorum, epoch) = (d.dealing.quorum, d.dealing.epoch);
            let earlier = |s: &Digest| {
                let spent = store.state().session_of(s).map(|s| s.spent.dealing);
                let dealing = spent.and_then(|d| store.state().dealing(&d));
                dealing.is_some_and(|d| d.stage == Stage::Usable && d.dealing.epoch < epoch)
            };
            let withheld = store.withheld(quorum).into_iter();
            let mut lost = withheld.filter(|s| earlier(s) && !given_up.contains(s));
            if let Some(first) = lost.next() {
                let count = 1 + lost.count();
                return Err(QuorumError::Withheld { count, first });
            }
        }
        Ok(busy(|| store.activate(dealings))?)
    }

    /// The quorum's place: no use of its keys is under way.
    async fn of(&self, dealing: &Digest) -> Result<tokio::sync::OwnedMutexGuard<()>, QuorumError> {
        let quorum = {
            let store = self.lock();
            let unknown = StoreError::UnknownDealing { dealing: *dealing };
            let d = store.state().dealing(dealing).ok_or(unknown)?;
            d.dealing.quorum
        };
        Ok(self.place(quorum).lock_owned().await)
    }

    /// Freezes a quorum now, whatever is under way (CST-8).
    pub fn freeze(&self, quorum: QuorumSet, why: &str) -> Result<(), QuorumError> {
        Ok(busy(|| self.lock().freeze(quorum, why))?)
    }
    /// Retires the node for this dataset (CST-9).
    pub fn retire(&self) -> Result<(), QuorumError> {
        Ok(busy(|| self.lock().retire())?)
    }
    /// Peers whose first message was heard since the node started (CST-11).
    pub fn greeted(&self) -> BTreeSet<u8> {
        let greeted = self.greeted.lock();
        greeted.unwrap_or_else(PoisonError::into_inner).clone()
    }
}
