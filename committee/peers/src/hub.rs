//! What a node knows of its peers and sessions, without I/O: which frames are
//! admitted, what waits to be read, what is sent again after a connection broke
//! (PEER-4..7). Time is an argument.
//!
//! Memory is bounded before anything comes: a session reserves room for two
//! messages of every peer when it begins, and what comes for no session yet, or
//! for the node itself, has counted places a peer. So a peer that floods meets
//! its own limits, and is dropped; nobody else's places are touched.

use crate::{
    error::{Leave, PeerError, SessionError, TellError, Violation},
    frame::{Header, Kind, encode},
    members::Members,
    party::{Expected, Party},
    settings::{EARLY_BYTES, Limits, Timing},
    state::{Admit, Early, Ended, Frames, Live, Note, Peer, State},
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{sync::Notify, time::Instant};
use veilbourse_core::digest::Digest;

/// Sessions that are remembered after their end.
const ENDED: usize = 1024;
/// Last frames of a session that are sent again on a new connection: a peer is
/// at most one step behind, and signatures may follow the last.
const OUTBOX: usize = 3;
/// How a peer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Its number.
    pub peer: u8,
    /// Whether there is a connection.
    pub connected: bool,
    /// Connections so far.
    pub connections: u64,
    /// Rules broken so far.
    pub violations: u64,
    /// The last reason why there was no connection, or none any more.
    pub last: Option<String>,
}

/// Shared by all tasks of a node.
pub(crate) struct Hub {
    pub(crate) own: u8,
    pub(crate) limits: Limits,
    pub(crate) timing: Timing,
    pub(crate) noted: Notify,
    pub(crate) changed: Notify,
    state: Mutex<State>,
}

impl Hub {
    pub(crate) fn new(own: u8, members: &Members, limits: Limits, timing: Timing) -> Self {
        let peers = members.others(own).map(|m| (m.number, Peer::default()));
        Self {
            own,
            limits,
            timing,
            noted: Notify::new(),
            changed: Notify::new(),
            state: Mutex::new(State {
                peers: peers.collect(),
                sessions: BTreeMap::new(),
                ended: VecDeque::new(),
                notes: VecDeque::new(),
                reserved: 0,
            }),
        }
    }

    /// Nothing in here panics halfway, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // --- connections --------------------------------------------------------

    /// PEER-7: a new connection replaces the old one; what the peer may have
    /// missed of sessions is sent again.
    pub(crate) fn attach(
        &self,
        peer: u8,
        frames: Frames,
        now: Instant,
    ) -> Result<u64, std::time::Duration> {
        let mut guard = self.lock();
        let State {
            peers,
            sessions,
            ended,
            ..
        } = &mut *guard;
        let Some(p) = peers.get_mut(&peer) else {
            return Err(self.timing.bar);
        };
        if let Some(until) = p.barred.filter(|until| *until > now) {
            return Err(until - now);
        }
        let linger = self.timing.round;
        // What was on its way comes again, on every connection.
        for (_, e) in ended.iter_mut() {
            if let Some(strays) = e.strays.get_mut(&peer) {
                *strays = 0;
            }
        }
        let over = ended.iter().map(|(_, e)| e).filter(|e| {
            e.strays.contains_key(&peer) && now.saturating_duration_since(e.at) <= linger
        });
        let mut again: Vec<_> = over.flat_map(|e| e.outbox.iter().cloned()).collect();
        for live in sessions.values_mut() {
            if let Some(party) = live.parties.iter_mut().find(|p| p.node == peer) {
                party.reconnected();
                again.extend(live.outbox.iter().cloned());
            }
        }
        // A fresh queue has room for it; were it not so, the peer would be
        // silent to those sessions and no more.
        for frame in again {
            frames.queue(&frame);
        }
        p.connections += 1;
        p.barred = None;
        p.link = Some((p.connections, frames));
        let generation = p.connections;
        drop(guard);
        self.changed.notify_waiters();
        Ok(generation)
    }

    /// A connection is over.
    pub(crate) fn detach(&self, peer: u8, generation: u64, why: String) {
        if let Some(p) = self.lock().peers.get_mut(&peer) {
            if p.link.as_ref().is_some_and(|(g, _)| *g == generation) {
                p.link = None;
            }
            p.last = Some(why);
        }
        self.changed.notify_waiters();
    }

    /// A connection did not come to be.
    pub(crate) fn failed(&self, peer: u8, why: String) {
        if let Some(p) = self.lock().peers.get_mut(&peer) {
            p.last = Some(why);
        }
    }

    pub(crate) fn health(&self) -> Vec<Health> {
        let health = |(n, p): (&u8, &Peer)| Health {
            peer: *n,
            connected: p.link.is_some(),
            connections: p.connections,
            violations: p.violations,
            last: p.last.clone(),
        };
        self.lock().peers.iter().map(health).collect()
    }

    /// PEER-6: the peer is dropped and barred; its sessions here end.
    pub(crate) fn violated(&self, peer: u8, violation: &Violation, now: Instant) {
        let mut guard = self.lock();
        guard.violated(peer, violation, now + self.timing.bar);
        drop(guard);
        self.changed.notify_waiters();
    }

    // --- what comes ---------------------------------------------------------

    /// PEER-4: before a payload is read.
    pub(crate) fn admit(
        &self,
        from: (u8, u64),
        header: &Header,
        now: Instant,
    ) -> Result<Admit, Violation> {
        self.lock().admit(from, header, now, self)
    }

    /// After it was read. The session may have begun or ended meanwhile, or the
    /// connection been replaced, so the question is asked again.
    pub(crate) fn deliver(
        &self,
        by: (u8, u64),
        header: &Header,
        payload: Vec<u8>,
        now: Instant,
    ) -> Result<(), Violation> {
        let mut guard = self.lock();
        if guard.admit(by, header, now, self)? != Admit::Take {
            return Ok(());
        }
        let (from, _) = by;
        match header.kind {
            Kind::Hello | Kind::Alive => Ok(()),
            Kind::Proposal | Kind::Counter => {
                if let Some(p) = guard.peers.get_mut(&from) {
                    p.notes += 1;
                }
                guard.notes.push_back(Note {
                    from,
                    kind: header.kind,
                    session: header.session,
                    payload,
                });
                self.noted.notify_one();
                Ok(())
            }
            Kind::Bye => {
                let reason = Leave::of(&payload);
                if let Some(live) = guard.sessions.get_mut(&header.session) {
                    if let Some(p) = live.parties.iter_mut().find(|p| p.node == from) {
                        p.left = Some(reason);
                    }
                    live.notify.notify_waiters();
                } else if let Some(p) = guard.peers.get_mut(&from) {
                    p.early.retain(|(s, _), _| *s != header.session);
                }
                Ok(())
            }
            Kind::Round | Kind::Dealing | Kind::Signatures | Kind::Meeting => {
                if let Some(live) = guard.sessions.get_mut(&header.session) {
                    if let Some(p) = live.parties.iter_mut().find(|p| p.node == from) {
                        p.take(header, payload)?;
                    }
                    live.notify.notify_waiters();
                } else if let Some(p) = guard.peers.get_mut(&from) {
                    let place = (header.session, header.kind);
                    if let Some(old) = p.early.get(&place)
                        && (old.header != *header || old.payload != payload)
                    {
                        let (kind, step) = (header.kind, header.step);
                        return Err(Violation::Repeated { kind, step });
                    }
                    let early = Early {
                        at: now,
                        connection: by.1,
                        header: *header,
                        payload,
                    };
                    p.early.insert(place, early);
                }
                Ok(())
            }
        }
    }

    // --- notes --------------------------------------------------------------

    pub(crate) fn note(&self) -> Option<Note> {
        let mut guard = self.lock();
        let note = guard.notes.pop_front()?;
        if let Some(p) = guard.peers.get_mut(&note.from) {
            p.notes = p.notes.saturating_sub(1);
        }
        Some(note)
    }

    pub(crate) fn tell(
        &self,
        to: u8,
        kind: Kind,
        session: &Digest,
        payload: &[u8],
    ) -> Result<(), TellError> {
        let limit = match kind {
            Kind::Proposal => self.limits.proposal,
            Kind::Counter => self.limits.counter,
            kind => return Err(TellError::Kind { kind }),
        };
        if payload.len() > limit as usize {
            let value = payload.len();
            return Err(TellError::Length { kind, value, limit });
        }
        let mut guard = self.lock();
        if guard.push(to, &encode(kind, 0, session, payload)) {
            Ok(())
        } else {
            Err(TellError::NotConnected { peer: to })
        }
    }

    // --- sessions -----------------------------------------------------------

    /// PEER-5: begins a session with these peers.
    pub(crate) fn begin(
        &self,
        session: Digest,
        others: &[u8],
        now: Instant,
    ) -> Result<Arc<Notify>, SessionError> {
        let mut guard = self.lock();
        if guard.sessions.contains_key(&session) || guard.ended.iter().any(|(d, _)| *d == session) {
            return Err(SessionError::Used(session));
        }
        if guard.sessions.len() >= self.limits.sessions {
            let limit = self.limits.sessions;
            return Err(SessionError::Many { limit });
        }
        let mut parties: Vec<_> = others.iter().map(|n| Party::new(*n)).collect();
        let mut broke = None;
        for party in &mut parties {
            let Some(peer) = guard.peers.get_mut(&party.node) else {
                continue;
            };
            for kind in [Kind::Round, Kind::Dealing, Kind::Signatures, Kind::Meeting] {
                let Some(early) = peer.early.remove(&(session, kind)) else {
                    continue;
                };
                if let Err(v) = party.take(&early.header, early.payload) {
                    broke = Some((party.node, v));
                }
                // PEER-5: it may be on its way once more.
                if peer
                    .link
                    .as_ref()
                    .is_some_and(|(c, _)| *c != early.connection)
                {
                    party.reconnected();
                }
            }
        }
        let notify = Arc::new(Notify::new());
        let live = Live {
            parties,
            expected: BTreeMap::new(),
            sent: BTreeMap::new(),
            outbox: VecDeque::new(),
            notify: Arc::clone(&notify),
            reserved: 0,
        };
        guard.sessions.insert(session, live);
        if let Some((node, v)) = broke {
            guard.violated(node, &v, now + self.timing.bar);
        }
        Ok(notify)
    }

    /// PEER-4, PEER-6: says how long the messages of a kind are, and reserves
    /// room for two of every peer and for the own ones that are kept.
    pub(crate) fn expect(
        &self,
        session: &Digest,
        kind: Kind,
        expected: Expected,
        now: Instant,
    ) -> Result<(), SessionError> {
        let mut guard = self.lock();
        let over = SessionError::Over(*session);
        let live = guard.sessions.get(session).ok_or(over.clone())?;
        let kept = OUTBOX as u64 * u64::from(expected.longest());
        let need = expected.two_longest() * live.parties.len() as u64 + kept;
        let (value, limit) = (guard.reserved.saturating_add(need), self.limits.reserved);
        if value > limit {
            return Err(SessionError::Memory { value, limit });
        }
        guard.reserved = value;
        let live = guard.sessions.get_mut(session).ok_or(over)?;
        live.reserved = live.reserved.saturating_add(need);
        let mut broke = Vec::new();
        for party in &mut live.parties {
            if let Err(v) = party.recheck(session, kind, &expected) {
                broke.push((party.node, v));
            }
        }
        live.expected.insert(kind, expected);
        for (node, v) in broke {
            guard.violated(node, &v, now + self.timing.bar);
        }
        Ok(())
    }

    /// Sends a step to every other party, now or when it is connected.
    pub(crate) fn send(
        &self,
        session: &Digest,
        kind: Kind,
        step: u8,
        payload: &[u8],
    ) -> Result<(), SessionError> {
        let frame = encode(kind, step, session, payload);
        let mut guard = self.lock();
        let live = guard.sessions.get_mut(session);
        let live = live.ok_or(SessionError::Over(*session))?;
        live.sent.insert(kind, step);
        live.outbox.push_back(Arc::clone(&frame));
        while live.outbox.len() > OUTBOX {
            live.outbox.pop_front();
        }
        let to: Vec<u8> = live.parties.iter().map(|p| p.node).collect();
        for node in to {
            guard.push(node, &frame);
        }
        Ok(())
    }

    /// All other parties' messages of a step, by node; `None`: not yet.
    #[allow(clippy::type_complexity)]
    pub(crate) fn gather(
        &self,
        session: &Digest,
        kind: Kind,
        step: u8,
    ) -> Result<Option<Vec<(u8, Vec<u8>)>>, PeerError> {
        let mut guard = self.lock();
        let Some(live) = guard.sessions.get_mut(session) else {
            return Ok(None);
        };
        for p in &live.parties {
            p.still_there(kind, step)?;
        }
        if !live.parties.iter().all(|p| p.has(kind, step)) {
            return Ok(None);
        }
        let all = live.parties.iter_mut();
        Ok(Some(
            all.map(|p| (p.node, p.remove(kind, step).unwrap_or_default()))
                .collect(),
        ))
    }

    /// PEER-8: whose message is missing; of several the one without a
    /// connection, then the one of the smallest number.
    pub(crate) fn missing(&self, session: &Digest, kind: Kind, step: u8) -> Option<u8> {
        let guard = self.lock();
        let live = guard.sessions.get(session)?;
        let missing = live.parties.iter().filter(|p| !p.has(kind, step));
        let linked = |n: u8| guard.peers.get(&n).is_some_and(|p| p.link.is_some());
        missing.map(|p| (linked(p.node), p.node)).min().map(|m| m.1)
    }

    /// Ends a session: with a reason the others are told, without one its last
    /// messages stay, for a peer whose connection is broken or breaks now.
    pub(crate) fn end(&self, session: &Digest, leave: Option<Leave>, now: Instant) {
        let mut guard = self.lock();
        let Some(live) = guard.sessions.remove(session) else {
            return;
        };
        guard.reserved = guard.reserved.saturating_sub(live.reserved);
        let bye = leave.map(|reason| encode(Kind::Bye, 0, session, &reason.bytes()));
        if let Some(bye) = &bye {
            for p in &live.parties {
                guard.push(p.node, bye);
            }
        }
        let longest = live.expected.values().map(Expected::longest).max();
        let ended = Ended {
            at: now,
            strays: live.parties.iter().map(|p| (p.node, 0)).collect(),
            limit: longest.unwrap_or_default().max(EARLY_BYTES),
            outbox: bye.map_or(live.outbox, |bye| VecDeque::from([bye])),
        };
        guard.ended.push_back((*session, ended));
        while guard.ended.len() > ENDED {
            guard.ended.pop_front();
        }
        // What lingers is little: as many sessions as may be under way.
        let keep = guard.ended.len().saturating_sub(self.limits.sessions);
        for (_, e) in guard.ended.iter_mut().take(keep) {
            e.outbox = VecDeque::new();
        }
    }
}
