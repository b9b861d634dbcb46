//! The places that a node has for what peers say, and the one question asked of
//! every frame: is it admitted (PEER-4..6)? No I/O; time is an argument.

use crate::{
    error::Violation,
    frame::{Header, Kind},
    hub::Hub,
    party::{Expected, Party},
    settings::EARLY_BYTES,
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::Instant,
};
use veilbourse_core::digest::Digest;

/// Strays that a peer may send of a session that is over, on a connection: on a
/// new one it says again what may have been lost.
const STRAYS: u32 = 8;
/// Bytes of a message that is read and dropped: the longest round of the largest
/// batch is half of it.
pub(crate) const STRAY_BYTES: u32 = 16 << 20;

/// Something for the node itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Who says it, by number in the committee.
    pub from: u8,
    /// A proposal or a counter.
    pub kind: Kind,
    /// Of which session, or zeros.
    pub session: Digest,
    /// What.
    pub payload: Vec<u8>,
}

/// What to do with a payload whose header has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admit {
    Take,
    Discard,
    /// The connection is not the peer's any more.
    Stale,
}

/// The way to a connection; dropped, the connection ends at once, whether or not
/// its peer reads.
pub(crate) struct Frames {
    pub(crate) queue: mpsc::Sender<Arc<[u8]>>,
    pub(crate) _lives: oneshot::Sender<()>,
}

impl Frames {
    /// Whether there was room.
    pub(crate) fn queue(&self, frame: &Arc<[u8]>) -> bool {
        self.queue.try_send(Arc::clone(frame)).is_ok()
    }
}

/// The first message of a session that this node has not begun.
pub(crate) struct Early {
    pub(crate) at: Instant,
    /// The connection that it came on: on a later one it may come once more.
    pub(crate) connection: u64,
    pub(crate) header: Header,
    pub(crate) payload: Vec<u8>,
}

/// What is held for one peer.
#[derive(Default)]
pub(crate) struct Peer {
    pub(crate) link: Option<(u64, Frames)>,
    pub(crate) barred: Option<Instant>,
    pub(crate) early: BTreeMap<(Digest, Kind), Early>,
    pub(crate) notes: u32,
    /// Frames that found no place, and since when they are counted.
    pub(crate) strays: u32,
    pub(crate) strays_since: Option<Instant>,
    pub(crate) connections: u64,
    pub(crate) violations: u64,
    pub(crate) last: Option<String>,
}

/// All of it.
pub(crate) struct State {
    pub(crate) peers: BTreeMap<u8, Peer>,
    pub(crate) sessions: BTreeMap<Digest, Live>,
    pub(crate) ended: VecDeque<(Digest, Ended)>,
    pub(crate) notes: VecDeque<Note>,
    pub(crate) reserved: u64,
}

/// A session under way.
pub(crate) struct Live {
    pub(crate) parties: Vec<Party>,
    pub(crate) expected: BTreeMap<Kind, Expected>,
    pub(crate) sent: BTreeMap<Kind, u8>,
    pub(crate) outbox: VecDeque<Arc<[u8]>>,
    pub(crate) notify: Arc<Notify>,
    pub(crate) reserved: u64,
}

/// A session that is over, while its strays come in.
pub(crate) struct Ended {
    pub(crate) at: Instant,
    pub(crate) strays: BTreeMap<u8, u32>,
    pub(crate) limit: u32,
    pub(crate) outbox: VecDeque<Arc<[u8]>>,
}

impl Peer {
    /// A frame that finds no place here. The peer cannot know: this node may be
    /// slow, or was started anew. Only many of them in a while are a flood.
    fn stray(&mut self, what: &'static str, hub: &Hub, now: Instant) -> Result<Admit, Violation> {
        let over = |since: Instant| now.saturating_duration_since(since) > hub.timing.bar;
        if self.strays_since.is_none_or(over) {
            self.strays_since = Some(now);
            self.strays = 0;
        }
        self.strays += 1;
        let limit = hub.limits.strays;
        if self.strays > limit {
            return Err(Violation::Flood { what, limit });
        }
        Ok(Admit::Discard)
    }
}

impl State {
    /// Queues a frame; a queue that is full belongs to a peer that does not
    /// read, and the connection ends.
    pub(crate) fn push(&mut self, to: u8, frame: &Arc<[u8]>) -> bool {
        let Some(p) = self.peers.get_mut(&to) else {
            return false;
        };
        match p.link.as_ref().map(|(_, l)| l.queue(frame)) {
            Some(true) => true,
            Some(false) => {
                p.link = None;
                p.last = Some("it does not read what is sent to it (PEER-7)".into());
                false
            }
            None => false,
        }
    }

    pub(crate) fn violated(&mut self, peer: u8, violation: &Violation, until: Instant) {
        if let Some(p) = self.peers.get_mut(&peer) {
            p.link = None;
            p.barred = Some(until);
            p.early.clear();
            p.violations += 1;
            p.last = Some(violation.to_string());
        }
        for live in self.sessions.values_mut() {
            if let Some(p) = live.parties.iter_mut().find(|p| p.node == peer) {
                p.broke = Some(violation.clone());
                live.notify.notify_waiters();
            }
        }
    }

    pub(crate) fn admit(
        &mut self,
        (from, connection): (u8, u64),
        header: &Header,
        now: Instant,
        hub: &Hub,
    ) -> Result<Admit, Violation> {
        let limits = &hub.limits;
        let within = |limit: u32| {
            if header.length <= limit {
                Ok(Admit::Take)
            } else {
                Err(header.too_long(limit))
            }
        };
        let kind = header.kind;
        let Some(peer) = self.peers.get_mut(&from) else {
            return Err(Violation::Unexpected { kind });
        };
        if peer.link.as_ref().map(|(c, _)| *c) != Some(connection) {
            return Ok(Admit::Stale);
        }
        match kind {
            Kind::Hello => return Err(Violation::Unexpected { kind }),
            Kind::Alive => return within(0),
            Kind::Proposal | Kind::Counter => {
                let counter = kind == Kind::Counter;
                within(if counter {
                    limits.counter
                } else {
                    limits.proposal
                })?;
                if peer.notes >= limits.notes {
                    return peer.stray("notes beyond those not yet read", hub, now);
                }
                return Ok(Admit::Take);
            }
            Kind::Bye => {
                within(2)?;
            }
            Kind::Round | Kind::Dealing | Kind::Signatures | Kind::Meeting => {}
        }
        let session = header.session;
        let stranger = Violation::Stranger { kind, session };
        if let Some(live) = self.sessions.get(&session) {
            let party = live.parties.iter().find(|p| p.node == from);
            let party = party.ok_or(stranger)?;
            if kind == Kind::Bye {
                return Ok(Admit::Take);
            }
            let sent = live.sent.get(&kind).copied();
            party.admit(header, live.expected.get(&kind), sent)?;
            return Ok(Admit::Take);
        }
        if let Some((_, ended)) = self.ended.iter_mut().find(|(d, _)| *d == session) {
            let strays = ended.strays.get_mut(&from).ok_or(stranger)?;
            *strays += 1;
            if *strays > STRAYS {
                return Err(Violation::Flood {
                    what: "frames of a session that is over",
                    limit: STRAYS,
                });
            }
            within(ended.limit)?;
            return Ok(Admit::Discard);
        }
        if kind == Kind::Bye {
            return Ok(Admit::Take);
        }
        // A later message of a session that is unknown here: this node was started
        // anew since, and a peer sends again what it may have missed.
        if header.step != 0 {
            within(STRAY_BYTES)?;
            return peer.stray("frames of unknown sessions", hub, now);
        }
        // PEER-6: the first message of a session that this node has not begun.
        within(EARLY_BYTES)?;
        let fresh = now.checked_sub(hub.timing.start).unwrap_or(now);
        peer.early.retain(|_, e| e.at >= fresh);
        if peer.early.len() >= limits.early as usize && !peer.early.contains_key(&(session, kind)) {
            peer.stray("sessions beyond those not yet begun", hub, now)?;
            // The oldest of its own makes room.
            let oldest = peer.early.iter().min_by_key(|(_, e)| e.at);
            if let Some(place) = oldest.map(|(place, _)| *place) {
                peer.early.remove(&place);
            }
        }
        Ok(Admit::Take)
    }
}
