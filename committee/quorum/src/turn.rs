//! One use of a quorum's keys at a time (QRM-3, OPN-4).
//!
//! A turn holds the quorum's place and the keys. However it ends other than well,
//! a refusal, a peer's silence, a future that is dropped, the store decides by
//! what is on disk: a pending check freezes the quorum, anything else that was
//! not signed is abandoned, and the keys are free.

use crate::{error::QuorumError, keeper::Keeper};
use tokio::sync::OwnedMutexGuard;
use veilbourse_core::digest::Digest;
use veilbourse_peers::busy;
use veilbourse_protocol::{Live, ProtocolError};
use veilbourse_ticket_store::{Dealing, DealingState, Disk, QuorumSet, Stage, StoreError};

pub(crate) struct Turn<'a, D: Disk> {
    keeper: &'a Keeper<D>,
    /// The dealing as it is when the turn begins.
    pub(crate) dealing: DealingState,
    live: Option<Live>,
    why: String,
    over: bool,
    _place: OwnedMutexGuard<()>,
}

impl<D: Disk> Turn<'_, D> {
    pub(crate) fn announced(&self) -> &Dealing {
        &self.dealing.dealing
    }
    pub(crate) fn quorum(&self) -> QuorumSet {
        self.dealing.dealing.quorum
    }
    pub(crate) fn members(&self) -> Vec<u8> {
        self.quorum().members()
    }

    /// The keys go into a session or a check.
    pub(crate) fn take(&mut self) -> Result<Live, QuorumError> {
        Ok(self.live.take().ok_or(ProtocolError::Ended)?)
    }
    /// They are back.
    pub(crate) fn put(&mut self, live: Live) {
        self.live = Some(live);
    }

    /// Ends the turn as `result` says.
    pub(crate) fn end<T>(mut self, result: Result<T, QuorumError>) -> Result<T, QuorumError> {
        match &result {
            Ok(_) => {
                if let Some(live) = self.live.take() {
                    self.keeper.lock().give_back(live);
                    self.over = true;
                }
            }
            Err(e) => self.why = e.to_string(),
        }
        result
    }
}

impl<D: Disk> Drop for Turn<'_, D> {
    fn drop(&mut self) {
        self.live = None;
        if !self.over {
            let quorum = self.quorum();
            // A store that refuses has destroyed everything, or is stopped: what
            // is pending on disk freezes when it is opened again (CST-7).
            let _ = busy(|| self.keeper.lock().cut_off(quorum, &self.why));
        }
    }
}

impl<D: Disk> Keeper<D> {
    /// Waits for the quorum's turn; the dealing is then in one of the stages.
    pub(crate) async fn turn(
        &self,
        dealing: &Digest,
        stages: &[Stage],
        expected: &'static str,
    ) -> Result<Turn<'_, D>, QuorumError> {
        let quorum = self.dealing(dealing)?.dealing.quorum;
        let place = self.place(quorum).lock_owned().await;
        let state = self.dealing(dealing)?;
        if !stages.contains(&state.stage) {
            return Err(StoreError::Stage {
                dealing: *dealing,
                found: state.stage.name(),
                expected,
            }
            .into());
        }
        let live = busy(|| self.lock().live(dealing))?;
        Ok(Turn {
            keeper: self,
            dealing: state,
            live: Some(live),
            why: "cut off".into(),
            over: false,
            _place: place,
        })
    }

    fn dealing(&self, dealing: &Digest) -> Result<DealingState, StoreError> {
        let store = self.lock();
        let unknown = StoreError::UnknownDealing { dealing: *dealing };
        store.state().dealing(dealing).cloned().ok_or(unknown)
    }
}
