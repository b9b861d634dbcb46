//! When the members of a quorum do something together (KEY-12): everybody who is
//! ready tells the member of the smallest number, again and again; when all are,
//! it says under which number of trial, and all begin. So nobody waits in a
//! session for a peer whose gate is still at work, and a quorum does one thing at
//! a time. What is said here is worth nothing but the time: each member's own
//! gate, store and signature decide.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, OwnedMutexGuard},
    time::{Instant, timeout},
};
use veilbourse_core::{
    digest::{Digest, Domain},
    wire::Writer,
};
use veilbourse_peers::{Endpoint, Kind, Note};

/// How often a member says that it is ready.
const AGAIN: Duration = Duration::from_millis(250);
/// For how long it counts.
const FRESH: Duration = Duration::from_secs(2);

/// What is done together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A request is opened.
    Open = 1,
    /// What was signed is finished.
    Resume = 2,
    /// A dealing is checked.
    Check = 3,
    /// A public key is checked.
    Key = 4,
    /// Two nodes show what they hold of each other.
    Greet = 5,
}

impl What {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "opening",
            Self::Resume => "finishing an opening",
            Self::Check => "checking a dealing",
            Self::Key => "checking a public key",
            Self::Greet => "greeting",
        }
    }
}

/// What a note says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// This member is ready.
    Ready,
    /// All are: begin.
    Begin(u64),
}

impl Said {
    fn encode(self) -> Vec<u8> {
        let mut out = Writer::new();
        match self {
            Self::Ready => out.u8(0).u64(0),
            Self::Begin(trial) => out.u8(1).u64(trial),
        };
        out.finish()
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, trial) = bytes.split_first()?;
        let trial = u64::from_le_bytes(trial.try_into().ok()?);
        match kind {
            0 if trial == 0 => Some(Self::Ready),
            1 => Some(Self::Begin(trial)),
            _ => None,
        }
    }
}

/// A rendezvous: who does what about what.
#[derive(Debug, Clone, Copy)]
pub struct Purpose<'a> {
    /// What is done.
    pub what: What,
    /// Whose store.
    pub scope: &'a Digest,
    /// Who takes part, ascending.
    pub members: &'a [u8],
    /// A request, a dealing, a dataset.
    pub about: &'a Digest,
}

/// Names a rendezvous.
pub fn name(what: What, scope: &Digest, members: &[u8], about: &Digest) -> Digest {
    let mut out = Writer::new();
    out.u8(what as u8)
        .raw(&scope.0)
        .bytes(members)
        .raw(&about.0);
    Digest::of(Domain::Other("veilbourse v1 rendezvous"), &out.finish())
}

/// What is known of one that this node wants.
#[derive(Default)]
struct Wanted {
    /// Who is to be there; the first says when.
    members: Vec<u8>,
    /// Members that said they are ready, and when.
    ready: BTreeMap<u8, Instant>,
    /// The newest trial that the first member named.
    begin: Option<u64>,
    notify: Arc<Notify>,
}

/// A quorum's turn at a place: the scope and the members.
type Place = (Digest, Vec<u8>);

/// All of a node's.
#[derive(Default)]
pub struct Rendezvous {
    wanted: Mutex<HashMap<Digest, Wanted>>,
    places: Mutex<HashMap<Place, Arc<tokio::sync::Mutex<()>>>>,
    last: Mutex<u64>,
}

/// All members are there; until it is dropped the quorum's first member begins
/// nothing else with them.
pub struct Met {
    /// Names the meeting.
    pub trial: u64,
    _turn: Option<OwnedMutexGuard<()>>,
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a wanted rendezvous away again, however its wait ends.
struct Want<'a> {
    all: &'a Rendezvous,
    name: Digest,
}

impl Drop for Want<'_> {
    fn drop(&mut self) {
        lock(&self.all.wanted).remove(&self.name);
    }
}

impl Rendezvous {
    /// Takes a peer's note. What nobody here wants is given back: the peer says
    /// it again.
    pub fn hear(&self, note: &Note) -> Option<Said> {
        let said = Said::decode(&note.payload)?;
        let mut wanted = lock(&self.wanted);
        let Some(w) = wanted.get_mut(&note.session) else {
            return Some(said);
        };
        match said {
            Said::Ready if w.members.contains(&note.from) => {
                w.ready.insert(note.from, Instant::now());
            }
            Said::Begin(trial) if w.members.first() == Some(&note.from) => w.begin = Some(trial),
            _ => return None,
        }
        w.notify.notify_one();
        None
    }

    /// A number that no meeting of this node had: of the clock, and rising.
    pub fn trial(&self, now: u64) -> u64 {
        let mut last = lock(&self.last);
        *last = now.max(last.saturating_add(1));
        *last
    }

    /// Waits until all members want this, for at most `patience`.
    pub async fn meet(
        &self,
        endpoint: &Endpoint,
        purpose: Purpose<'_>,
        now: u64,
        patience: Duration,
    ) -> Option<Met> {
        let Purpose {
            what,
            scope,
            members,
            about,
        } = purpose;
        let first = *members.first()?;
        let own = endpoint.number();
        let name = name(what, scope, members, about);
        let notify = Arc::new(Notify::new());
        let wanted = Wanted {
            members: members.to_vec(),
            notify: Arc::clone(&notify),
            ..Wanted::default()
        };
        lock(&self.wanted).insert(name, wanted);
        let want = Want { all: self, name };
        let met = async {
            loop {
                let met = if first == own {
                    self.begin(endpoint, &want.name, scope, members, now)
                } else {
                    // Not connected: said again.
                    let ready = Said::Ready.encode();
                    let _ = endpoint.tell(first, Kind::Proposal, &want.name, &ready);
                    self.begun(&want.name)
                };
                if let Some(met) = met {
                    return met;
                }
                let _ = timeout(AGAIN, notify.notified()).await;
            }
        };
        timeout(patience, met).await.ok()
    }

    /// The first member: all others said that they are ready, a moment ago, and
    /// the quorum does nothing else.
    fn begin(
        &self,
        endpoint: &Endpoint,
        name: &Digest,
        scope: &Digest,
        members: &[u8],
        now: u64,
    ) -> Option<Met> {
        let ready: BTreeSet<u8> = {
            let wanted = lock(&self.wanted);
            let fresh = |at: &Instant| at.elapsed() < FRESH;
            let ready = &wanted.get(name)?.ready;
            let ready = ready.iter().filter(|(_, at)| fresh(at));
            ready.map(|(n, _)| *n).collect()
        };
        let own = endpoint.number();
        let others = || members.iter().filter(|m| **m != own);
        // A hint to who does not know yet that it is wanted.
        for peer in others().filter(|m| !ready.contains(m)) {
            let _ = endpoint.tell(*peer, Kind::Proposal, name, &Said::Ready.encode());
        }
        if !others().all(|m| ready.contains(m)) {
            return None;
        }
        let place = (*scope, members.to_vec());
        let place = Arc::clone(lock(&self.places).entry(place).or_default());
        let turn = place.try_lock_owned().ok()?;
        let trial = self.trial(now);
        let begin = Said::Begin(trial).encode();
        let told = others().all(|m| endpoint.tell(*m, Kind::Proposal, name, &begin).is_ok());
        told.then_some(Met {
            trial,
            _turn: Some(turn),
        })
    }

    /// Another member: the first one said when.
    fn begun(&self, name: &Digest) -> Option<Met> {
        let trial = lock(&self.wanted).get_mut(name)?.begin.take()?;
        Some(Met { trial, _turn: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_have_one_form() {
        // KEY-12
        for said in [Said::Ready, Said::Begin(7)] {
            assert_eq!(Said::decode(&said.encode()), Some(said));
        }
        for bad in [
            &[][..],
            &[0; 8],
            &[0; 10],
            &[2; 9],
            &[0, 1, 0, 0, 0, 0, 0, 0, 0],
        ] {
            assert_eq!(Said::decode(bad), None);
        }
    }

    #[test]
    fn trials_rise_whatever_the_clock_does() {
        // KEY-12
        let r = Rendezvous::default();
        assert_eq!(
            [r.trial(5), r.trial(5), r.trial(3), r.trial(9)],
            [5, 6, 7, 9]
        );
    }

    #[test]
    fn what_nobody_wants_is_given_back_and_a_name_has_every_field() {
        let d = |n| Digest([n; 32]);
        let base = name(What::Open, &d(1), &[0, 1], &d(2));
        for other in [
            name(What::Resume, &d(1), &[0, 1], &d(2)),
            name(What::Open, &d(3), &[0, 1], &d(2)),
            name(What::Open, &d(1), &[0, 2], &d(2)),
            name(What::Open, &d(1), &[0, 1], &d(3)),
        ] {
            assert_ne!(base, other);
        }
        let note = Note {
            from: 1,
            kind: Kind::Proposal,
            session: base,
            payload: Said::Ready.encode(),
        };
        assert_eq!(Rendezvous::default().hear(&note), Some(Said::Ready));
    }
}
