//! A node's end of all its connections (PEER-3, PEER-6, PEER-7).
//!
//! Every pair of nodes has one connection; the node of the smaller number calls.

use crate::{
    dial::{Dial, keep},
    error::{Refused, SessionError, TellError},
    frame::Kind,
    handshake::{BoxIo, Identity},
    hub::{Health, Hub},
    link,
    session::Session,
    settings::{Limits, Timing},
    state::Note,
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::oneshot,
    task::JoinSet,
    time::{sleep, timeout},
};
use veilbourse_core::digest::Digest;

/// Before the next attempt to take a call, when the system had no room for one.
const CROWDED: Duration = Duration::from_millis(50);

/// One node's end. Dropping it closes all its connections.
pub struct Endpoint {
    hub: Arc<Hub>,
    identity: Identity,
    handshakes: Arc<Handshakes>,
    tasks: JoinSet<()>,
}

impl Endpoint {
    /// Starts calling the peers of greater number; must be called within a tokio
    /// runtime. Calls are taken by [`Endpoint::listen`].
    pub fn start(identity: Identity, dial: Arc<dyn Dial>, timing: Timing, limits: Limits) -> Self {
        let own = identity.number();
        let hub = Arc::new(Hub::new(own, identity.members(), limits, timing));
        let mut tasks = JoinSet::new();
        for member in identity.members().others(own).filter(|m| m.number > own) {
            let (hub, identity, dial) = (Arc::clone(&hub), identity.clone(), Arc::clone(&dial));
            tasks.spawn(keep(hub, identity, member.clone(), dial));
        }
        Self {
            hub,
            identity,
            handshakes: Arc::new(Handshakes::new(limits.handshakes)),
            tasks,
        }
    }

    /// Takes calls on a TCP socket.
    pub fn listen(&mut self, listener: TcpListener) {
        let (hub, identity) = (Arc::clone(&self.hub), self.identity.clone());
        let handshakes = Arc::clone(&self.handshakes);
        self.tasks.spawn(async move {
            let mut calls = JoinSet::new();
            loop {
                tokio::select! {
                    Some(_) = calls.join_next() => {}
                    call = listener.accept() => match call {
                        Ok((stream, _)) => {
                            if stream.set_nodelay(true).is_ok() {
                                let io: BoxIo = Box::new(stream);
                                let (hub, identity) = (Arc::clone(&hub), identity.clone());
                                let handshakes = Arc::clone(&handshakes);
                                calls.spawn(async move {
                                    let _ = take_call(&hub, &identity, &handshakes, io).await;
                                });
                            }
                        }
                        Err(_) => sleep(CROWDED).await,
                    },
                }
            }
        });
    }

    /// Takes one call that came otherwise, and runs it to its end.
    pub fn take(&self, io: BoxIo) -> impl Future<Output = Result<(), Refused>> + Send + 'static {
        let (hub, identity) = (Arc::clone(&self.hub), self.identity.clone());
        let handshakes = Arc::clone(&self.handshakes);
        async move { take_call(&hub, &identity, &handshakes, io).await }
    }

    /// This node's number.
    pub fn number(&self) -> u8 {
        self.identity.number()
    }

    /// PEER-5: begins a session of a quorum, given by the numbers of its nodes.
    pub fn session(&self, digest: Digest, quorum: &[u8]) -> Result<Session, SessionError> {
        let own = self.number();
        let known = |n: &u8| self.identity.members().get(*n).is_some();
        let ascending = quorum.is_sorted_by(|a, b| a < b);
        let party = quorum.iter().position(|n| *n == own);
        match party {
            Some(party) if ascending && quorum.len() > 1 && quorum.iter().all(known) => {
                Session::begin(Arc::clone(&self.hub), digest, quorum, party as u8)
            }
            _ => Err(SessionError::Quorum {
                quorum: quorum.to_vec(),
                own,
            }),
        }
    }

    /// Sends a proposal or a counter to a peer that is connected.
    pub fn tell(
        &self,
        to: u8,
        kind: Kind,
        session: &Digest,
        payload: &[u8],
    ) -> Result<(), TellError> {
        self.hub.tell(to, kind, session, payload)
    }

    /// The next proposal or counter; for one task at a time.
    pub async fn note(&self) -> Note {
        loop {
            let noted = self.hub.noted.notified();
            if let Some(note) = self.hub.note() {
                return note;
            }
            noted.await;
        }
    }

    /// How the peers are.
    pub fn health(&self) -> Vec<Health> {
        self.hub.health()
    }

    /// Waits until these peers are connected.
    pub async fn connected(&self, peers: &[u8]) {
        loop {
            let changed = self.hub.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let health = self.health();
            let up =
                |n: &u8| *n == self.number() || health.iter().any(|h| h.peer == *n && h.connected);
            if peers.iter().all(up) {
                return;
            }
            changed.await;
        }
    }

    /// Until something changes about a connection.
    pub async fn changed(&self) {
        self.hub.changed.notified().await;
    }

    /// Ends all connections, whatever still waits to be sent.
    pub async fn close(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Strangers in the middle of a handshake (PEER-6), the oldest first. A stranger
/// too many takes the place of the oldest: a peer is done in two round trips, and
/// whoever only waits keeps nobody out.
struct Handshakes {
    limit: usize,
    inner: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    /// Dropped, its stranger goes.
    places: VecDeque<(u64, oneshot::Sender<()>)>,
}

struct Place<'a>(&'a Handshakes, u64);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.lock().places.retain(|(id, _)| *id != self.1);
    }
}

impl Handshakes {
    fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            inner: Mutex::default(),
        }
    }
    /// Nothing in here panics halfway, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// A place, and what ends when it is given to another.
    fn enter(&self) -> (Place<'_>, oneshot::Receiver<()>) {
        let mut waiting = self.lock();
        while waiting.places.len() >= self.limit {
            waiting.places.pop_front();
        }
        let (hold, lost) = oneshot::channel();
        let id = waiting.next;
        waiting.next += 1;
        waiting.places.push_back((id, hold));
        (Place(self, id), lost)
    }
}

/// PEER-3, PEER-6: a bounded number of strangers at once, each with a deadline.
async fn take_call(
    hub: &Hub,
    identity: &Identity,
    handshakes: &Handshakes,
    io: BoxIo,
) -> Result<(), Refused> {
    let limit = hub.timing.handshake;
    let (place, lost) = handshakes.enter();
    let channel = tokio::select! {
        channel = timeout(limit, identity.accept(io)) => {
            channel.unwrap_or(Err(Refused::Late { limit }))?
        }
        _ = lost => {
            let limit = handshakes.limit;
            return Err(Refused::Crowded { limit });
        }
    };
    drop(place);
    link::run(hub, channel).await
}
