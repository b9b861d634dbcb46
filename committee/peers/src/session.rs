//! A session with the other nodes of a quorum: what everybody says in a step is
//! exchanged for what everybody else says in it (PEER-5, PEER-8).

use crate::{
    error::{Leave, OpenError, PeerError, SessionError},
    frame::Kind,
    hub::Hub,
    party::Expected,
};
use std::sync::Arc;
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};
use veilbourse_core::digest::Digest;

/// One session. Dropped before [`Session::finish`], it is left, and the others
/// are told.
pub struct Session {
    hub: Arc<Hub>,
    digest: Digest,
    quorum: Vec<u8>,
    party: u8,
    notify: Arc<Notify>,
    over: bool,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.leave(Leave::Cancelled);
    }
}

impl Session {
    pub(crate) fn begin(
        hub: Arc<Hub>,
        digest: Digest,
        quorum: &[u8],
        party: u8,
    ) -> Result<Self, SessionError> {
        let others: Vec<u8> = quorum.iter().copied().filter(|n| *n != hub.own).collect();
        let notify = hub.begin(digest, &others, Instant::now())?;
        Ok(Self {
            hub,
            digest,
            quorum: quorum.to_vec(),
            party,
            notify,
            over: false,
        })
    }

    /// The session's digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }
    /// This node's party number.
    pub fn party(&self) -> u8 {
        self.party
    }
    /// The nodes, by party number.
    pub fn quorum(&self) -> &[u8] {
        &self.quorum
    }

    /// PEER-4, PEER-6: how long the messages of a kind are. What is not said so
    /// may have one step and [`crate::EARLY_BYTES`].
    pub fn expect(&mut self, kind: Kind, expected: Expected) -> Result<(), SessionError> {
        self.hub
            .expect(&self.digest, kind, expected, Instant::now())
    }

    /// Sends this node's message of a step to every other party, and waits for
    /// theirs; all messages by party number, the own one among them. PEER-8: a
    /// peer whose message does not come in time is named.
    pub async fn exchange(
        &mut self,
        kind: Kind,
        step: u8,
        own: &[u8],
    ) -> Result<Vec<Vec<u8>>, OpenError> {
        self.hub.send(&self.digest, kind, step, own)?;
        let since = Instant::now();
        let first = step == 0 && kind != Kind::Signatures;
        let timing = &self.hub.timing;
        let deadline = since + if first { timing.start } else { timing.round };
        let heard = timeout_at(deadline, self.gather(kind, step)).await;
        let heard = match heard {
            Ok(heard) => heard?,
            Err(_) => {
                let peer = self.hub.missing(&self.digest, kind, step);
                return Err(PeerError::PeerSilent {
                    peer: peer.unwrap_or_default(),
                    round: step,
                    waited: since.elapsed(),
                }
                .into());
            }
        };
        let mut heard = heard
            .into_iter()
            .collect::<std::collections::BTreeMap<_, _>>();
        heard.insert(self.hub.own, own.to_vec());
        // Party numbers ascend with node numbers, and so does the map.
        Ok(heard.into_values().collect())
    }

    async fn gather(&self, kind: Kind, step: u8) -> Result<Vec<(u8, Vec<u8>)>, PeerError> {
        loop {
            let notified = self.notify.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if let Some(all) = self.hub.gather(&self.digest, kind, step)? {
                return Ok(all);
            }
            notified.await;
        }
    }

    /// OPN-3: exchanges signatures over what was opened, each at most `limit`
    /// bytes; by party number.
    pub async fn signatures(&mut self, own: &[u8], limit: u32) -> Result<Vec<Vec<u8>>, OpenError> {
        let expected = Expected {
            lengths: vec![limit],
            exact: false,
        };
        self.expect(Kind::Signatures, expected)?;
        self.exchange(Kind::Signatures, 0, own).await
    }

    /// Ends well. The last messages stay for a while, for a peer whose
    /// connection breaks just now.
    pub fn finish(mut self) {
        self.end(None);
    }

    /// Ends before its end; the others are told why.
    pub fn leave(&mut self, why: Leave) {
        self.end(Some(why));
    }

    fn end(&mut self, why: Option<Leave>) {
        if !std::mem::replace(&mut self.over, true) {
            self.hub.end(&self.digest, why, Instant::now());
        }
    }
}
