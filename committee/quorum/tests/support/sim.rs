//! A committee in one thread: a scheduler that chooses every next step by a
//! seed, virtual time, and a network that delays, reorders, repeats, loses, and
//! is cut. No clock, no thread, no socket: a seed is a run. In one file, since
//! scheduler, time and network share one state.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::{
    collections::{BTreeMap, BTreeSet},
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};
use veilbourse_core::digest::Digest;
use veilbourse_peers::*;

/// Milliseconds that a first message, and a later one, is waited for.
const START: u64 = 60_000;
const ROUND: u64 = 30_000;
/// Bytes that may come before they are expected.
const EARLY: usize = 1024;

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Task {
    node: u8,
    job: Job,
    flag: Arc<Flag>,
}

/// A message on its way.
#[derive(Clone)]
pub struct Flight {
    pub from: u8,
    pub to: u8,
    pub session: Digest,
    pub kind: Kind,
    pub step: u8,
    pub bytes: Vec<u8>,
    /// Its sender leaves instead.
    pub leaves: bool,
    /// From here on the two do not reach each other.
    pub silent: bool,
    at: u64,
}

/// What a node said.
#[derive(Debug, Clone)]
pub struct Said {
    pub bytes: Vec<u8>,
    pub from: u8,
    pub session: Digest,
    pub kind: Kind,
    pub step: u8,
}

#[derive(Default)]
struct End {
    quorum: Vec<u8>,
    expected: BTreeMap<Kind, Expected>,
    inbox: BTreeMap<(Kind, u8, u8), Vec<u8>>,
    /// Digests of what came, also after it was read.
    seen: BTreeMap<(Kind, u8, u8), Vec<u8>>,
    left: BTreeMap<u8, Leave>,
    broke: BTreeMap<u8, Violation>,
    waits: Option<(u64, Waker)>,
}

/// What somebody in the middle, or a node that lies, does to a message as it is
/// sent; false: it is not sent.
pub type Tamper = dyn FnMut(&mut Flight, &mut ChaCha20Rng) -> bool + Send;

struct State {
    rng: ChaCha20Rng,
    now: u64,
    ends: BTreeMap<(u8, Digest), End>,
    over: BTreeSet<(u8, Digest)>,
    early: Vec<Flight>,
    byes: Vec<(u8, u8, Digest, Leave)>,
    flights: Vec<Flight>,
    /// Pairs that do not reach each other, until then.
    cut: BTreeMap<(u8, u8), u64>,
    down: BTreeSet<u8>,
    said: Vec<Said>,
    tamper: Option<Box<Tamper>>,
    /// One in so many messages is late, and one comes twice; 0: none.
    trouble: u32,
    /// Between two nodes nothing overtakes, as on one connection.
    fifo: bool,
    violations: u64,
}

impl State {
    fn reached(&self, a: u8, b: u8) -> bool {
        let until = self.cut.get(&(a.min(b), a.max(b)));
        until.is_none_or(|until| *until <= self.now)
    }

    /// PEER-4, PEER-5.
    fn take(&mut self, f: Flight) {
        let Some(end) = self.ends.get_mut(&(f.to, f.session)) else {
            let over = self.over.contains(&(f.to, f.session));
            if !over && f.step == 0 && f.bytes.len() <= EARLY {
                self.early.push(f);
            }
            return;
        };
        if !end.quorum.contains(&f.from) {
            return;
        }
        let at = (f.kind, f.step, f.from);
        let (kind, step) = (f.kind, f.step);
        let length = |limit: u32| Violation::Length {
            kind,
            step,
            value: f.bytes.len() as u32,
            limit,
        };
        let limit = match end.expected.get(&f.kind) {
            Some(e) => e.lengths.get(usize::from(f.step)).copied(),
            None => Some(EARLY as u32),
        };
        let exact = end.expected.get(&f.kind).is_some_and(|e| e.exact);
        let found = f.bytes.len() as u32;
        let broke = match limit {
            None => Some(length(0)),
            Some(l) if found > l || (exact && found != l) => Some(length(l)),
            Some(_) => match end.seen.get(&at) {
                Some(old) if *old != f.bytes => Some(Violation::Repeated { kind, step }),
                _ => None,
            },
        };
        match broke {
            Some(v) => {
                self.violations += 1;
                end.broke.insert(f.from, v);
            }
            None if end.seen.contains_key(&at) => {}
            None => {
                end.seen.insert(at, f.bytes.clone());
                end.inbox.insert(at, f.bytes);
            }
        }
        if let Some((_, waker)) = &end.waits {
            waker.wake_by_ref();
        }
    }

    fn leave(&mut self, node: u8, session: Digest, why: Option<Leave>) {
        let Some(end) = self.ends.remove(&(node, session)) else {
            return;
        };
        self.over.insert((node, session));
        if let Some(why) = why {
            for to in end.quorum.into_iter().filter(|n| *n != node) {
                self.byes.push((node, to, session, why));
            }
        }
    }
}

/// The network and the clock.
#[derive(Clone)]
pub struct Net(Arc<Mutex<State>>);

impl Net {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
    /// A node's end of it.
    pub fn of(&self, node: u8) -> SimNet {
        SimNet {
            net: self.clone(),
            node,
        }
    }
    pub fn trouble(&self, one_in: u32) {
        self.lock().trouble = one_in;
    }
    pub fn fifo(&self) {
        self.lock().fifo = true;
    }
    pub fn tamper(&self, tamper: Option<Box<Tamper>>) {
        self.lock().tamper = tamper;
    }
    pub fn said(&self) -> Vec<Said> {
        std::mem::take(&mut self.lock().said)
    }
    pub fn violations(&self) -> u64 {
        self.lock().violations
    }
    /// Two nodes do not reach each other for so long.
    pub fn cut(&self, a: u8, b: u8, ms: u64) {
        let mut state = self.lock();
        let until = state.now + ms;
        state.cut.insert((a.min(b), a.max(b)), until);
    }
    /// Nobody errs, and all reach each other.
    pub fn calm(&self) {
        self.tamper(None);
        self.heal();
    }
    pub fn heal(&self) {
        self.lock().cut.clear();
    }
    pub fn up(&self, node: u8) {
        self.lock().down.remove(&node);
    }
}

/// One node's network.
pub struct SimNet {
    net: Net,
    node: u8,
}

/// One session.
pub struct SimSession {
    net: Net,
    node: u8,
    digest: Digest,
    quorum: Vec<u8>,
}

impl Network for SimNet {
    type Session = SimSession;
    fn session(&self, digest: Digest, quorum: &[u8]) -> Result<SimSession, SessionError> {
        let mut state = self.net.lock();
        let at = (self.node, digest);
        if state.ends.contains_key(&at) || state.over.contains(&at) {
            return Err(SessionError::Used(digest));
        }
        let end = End {
            quorum: quorum.to_vec(),
            ..End::default()
        };
        state.ends.insert(at, end);
        let here = |f: &Flight| (f.to, f.session) == at;
        let early: Vec<_> = state.early.extract_if(.., |f| here(f)).collect();
        for f in early {
            state.take(f);
        }
        Ok(SimSession {
            net: self.net.clone(),
            node: self.node,
            digest,
            quorum: quorum.to_vec(),
        })
    }
}

impl Drop for SimSession {
    fn drop(&mut self) {
        self.leave(Leave::Cancelled);
    }
}

impl Exchange for SimSession {
    fn digest(&self) -> Digest {
        self.digest
    }
    fn party(&self) -> u8 {
        let at = self.quorum.iter().position(|n| *n == self.node);
        at.unwrap() as u8
    }
    fn quorum(&self) -> &[u8] {
        &self.quorum
    }
    fn expect(&mut self, kind: Kind, expected: Expected) -> Result<(), SessionError> {
        let mut state = self.net.lock();
        let end = state.ends.get_mut(&(self.node, self.digest));
        let end = end.ok_or(SessionError::Over(self.digest))?;
        end.expected.insert(kind, expected);
        Ok(())
    }
    async fn exchange(
        &mut self,
        kind: Kind,
        step: u8,
        own: &[u8],
    ) -> Result<Vec<Vec<u8>>, OpenError> {
        let (node, session) = (self.node, self.digest);
        let deadline = {
            let mut guard = self.net.lock();
            let state = &mut *guard;
            state.said.push(Said {
                bytes: own.to_vec(),
                from: node,
                session,
                kind,
                step,
            });
            for to in self.quorum.iter().copied().filter(|n| *n != node) {
                let mut flight = Flight {
                    from: node,
                    to,
                    session,
                    kind,
                    step,
                    bytes: own.to_vec(),
                    leaves: false,
                    silent: false,
                    at: state.now,
                };
                let mut tamper = state.tamper.take();
                let goes = tamper
                    .as_mut()
                    .is_none_or(|t| t(&mut flight, &mut state.rng));
                state.tamper = tamper;
                if flight.silent {
                    // What it said before is heard.
                    let of = |f: &mut Flight| (f.from, f.to) == (node, to);
                    let before: Vec<_> = state.flights.extract_if(.., of).collect();
                    before.into_iter().for_each(|f| state.take(f));
                    let pair = (node.min(to), node.max(to));
                    state.cut.insert(pair, u64::MAX);
                }
                if flight.leaves {
                    state.byes.push((node, to, session, Leave::Cancelled));
                }
                if !goes || flight.leaves {
                    continue;
                }
                let trouble = state.trouble;
                if trouble > 0 && state.rng.random_range(0..trouble) == 0 {
                    flight.at += state.rng.random_range(0..ROUND * 5 / 4);
                }
                if trouble > 0 && state.rng.random_range(0..trouble) == 0 {
                    let mut again = flight.clone();
                    again.at += state.rng.random_range(0..ROUND);
                    state.flights.push(again);
                }
                state.flights.push(flight);
            }
            let first = step == 0 && kind != Kind::Signatures;
            state.now + if first { START } else { ROUND }
        };
        let (net, quorum) = (self.net.clone(), self.quorum.clone());
        let heard = poll_fn(move |cx| {
            let mut guard = net.lock();
            let now = guard.now;
            let over = SessionError::Over(session);
            let Some(end) = guard.ends.get_mut(&(node, session)) else {
                return Poll::Ready(Err(over.into()));
            };
            let others: Vec<u8> = quorum.iter().copied().filter(|n| *n != node).collect();
            for peer in &others {
                let (peer, round) = (*peer, step);
                if let Some(violation) = end.broke.get(&peer).cloned() {
                    let e = PeerError::PeerBroke {
                        peer,
                        round,
                        violation,
                    };
                    return Poll::Ready(Err(e.into()));
                }
                if !end.inbox.contains_key(&(kind, step, peer))
                    && let Some(reason) = end.left.get(&peer).copied()
                {
                    let e = PeerError::PeerLeft {
                        peer,
                        round,
                        reason,
                    };
                    return Poll::Ready(Err(e.into()));
                }
            }
            let missing = others
                .iter()
                .find(|p| !end.inbox.contains_key(&(kind, step, **p)));
            match missing {
                None => {
                    let take = |p: &u8| (*p, end.inbox.remove(&(kind, step, *p)).unwrap());
                    let heard: BTreeMap<u8, Vec<u8>> = others.iter().map(take).collect();
                    end.waits = None;
                    Poll::Ready(Ok(heard))
                }
                Some(peer) if now >= deadline => Poll::Ready(Err(PeerError::PeerSilent {
                    peer: *peer,
                    round: step,
                    waited: Duration::from_millis(now),
                }
                .into())),
                Some(_) => {
                    end.waits = Some((deadline, cx.waker().clone()));
                    Poll::Pending
                }
            }
        });
        let mut heard = heard.await.map_err(|e: OpenError| e)?;
        heard.insert(node, own.to_vec());
        Ok(heard.into_values().collect())
    }
    fn leave(&mut self, why: Leave) {
        let mut state = self.net.lock();
        if !state.down.contains(&self.node) {
            state.leave(self.node, self.digest, Some(why));
        }
    }
    fn finish(self) {
        let mut state = self.net.lock();
        state.leave(self.node, self.digest, None);
    }
}

/// Tasks of all nodes, and what comes next.
pub struct Scheduler {
    pub net: Net,
    tasks: Vec<Task>,
    pub rng: ChaCha20Rng,
    pub steps: u64,
}

/// What a step was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A task of this node went on.
    Ran(u8),
    /// Something else.
    Other,
    /// There is nothing left to do.
    Idle,
}

impl Scheduler {
    pub fn new(seed: u64) -> Self {
        let rng = |n: u64| ChaCha20Rng::seed_from_u64(seed ^ n << 56);
        Self {
            net: Net(Arc::new(Mutex::new(State {
                rng: rng(1),
                now: 0,
                ends: BTreeMap::new(),
                over: BTreeSet::new(),
                early: Vec::new(),
                byes: Vec::new(),
                flights: Vec::new(),
                cut: BTreeMap::new(),
                down: BTreeSet::new(),
                said: Vec::new(),
                tamper: None,
                trouble: 0,
                fifo: false,
                violations: 0,
            }))),
            tasks: Vec::new(),
            rng: rng(2),
            steps: 0,
        }
    }

    pub fn spawn(&mut self, node: u8, job: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(Task {
            node,
            job: Box::pin(job),
            flag: Arc::new(Flag(AtomicBool::new(true))),
        });
    }

    /// A node stops where it is: its tasks are dropped, and nobody is told.
    pub fn crash(&mut self, node: u8) {
        self.net.lock().down.insert(node);
        let gone: Vec<_> = self.tasks.extract_if(.., |t| t.node == node).collect();
        drop(gone);
        let mut state = self.net.lock();
        state.ends.retain(|(n, _), _| *n != node);
        state.over.retain(|(n, _)| *n != node);
        state.early.retain(|f| f.to != node);
    }

    /// A node's callers lose interest: its tasks are dropped, the node lives.
    pub fn cancel(&mut self, node: u8) {
        let gone: Vec<_> = self.tasks.extract_if(.., |t| t.node == node).collect();
        drop(gone);
    }

    /// The next step, whichever it is.
    pub fn step(&mut self) -> Step {
        self.steps += 1;
        let mut state = self.net.lock();
        let woken = |t: &Task| t.flag.0.load(Ordering::SeqCst);
        let ready: Vec<usize> = (0..self.tasks.len())
            .filter(|i| woken(&self.tasks[*i]))
            .collect();
        let now = state.now;
        let flights: Vec<usize> = (0..state.flights.len())
            .filter(|i| {
                let f = &state.flights[*i];
                let earlier = &state.flights[..*i];
                let overtakes = |e: &Flight| (e.from, e.to) == (f.from, f.to);
                let waits = state.fifo && earlier.iter().any(overtakes);
                f.at <= now && state.reached(f.from, f.to) && !waits
            })
            .collect();
        let byes: Vec<usize> = (0..state.byes.len())
            .filter(|i| state.reached(state.byes[*i].0, state.byes[*i].1))
            .collect();
        let choices = ready.len() + flights.len() + byes.len();
        // Time may run away from those who still have something to do.
        let hurry = choices > 0 && state.trouble > 0 && self.rng.random_range(0..2000) == 0;
        if choices == 0 || hurry {
            let moved = Self::advance(&mut state);
            return if moved || choices > 0 {
                Step::Other
            } else {
                Step::Idle
            };
        }
        let at = self.rng.random_range(0..choices);
        if let Some(i) = ready.get(at) {
            drop(state);
            let task = &mut self.tasks[*i];
            let node = task.node;
            task.flag.0.store(false, Ordering::SeqCst);
            let waker = Waker::from(Arc::clone(&task.flag));
            if task
                .job
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_ready()
            {
                let done = self.tasks.remove(*i);
                drop(done);
            }
            return Step::Ran(node);
        }
        if let Some(i) = flights.get(at - ready.len()) {
            let flight = state.flights.remove(*i);
            if !state.down.contains(&flight.to) {
                state.take(flight);
            }
            return Step::Other;
        }
        let bye = byes.get(at - ready.len() - flights.len()).unwrap();
        let (from, to, session, why) = state.byes.remove(*bye);
        // What was sent before it comes before it.
        let before = |f: &Flight| (f.from, f.to, f.session) == (from, to, session) && f.at <= now;
        let first: Vec<_> = state.flights.extract_if(.., |f| before(f)).collect();
        first.into_iter().for_each(|f| state.take(f));
        if let Some(end) = state.ends.get_mut(&(to, session)) {
            end.left.insert(from, why);
            if let Some((_, waker)) = &end.waits {
                waker.wake_by_ref();
            }
        } else {
            state
                .early
                .retain(|f| (f.from, f.to, f.session) != (from, to, session));
        }
        Step::Other
    }

    /// To the next moment at which anything happens.
    fn advance(state: &mut State) -> bool {
        let flights = state.flights.iter().map(|f| f.at);
        let waits = state.ends.values().filter_map(|e| e.waits.as_ref());
        let waits = waits.map(|(at, _)| *at);
        let cuts = state.cut.values().copied().filter(|at| *at < u64::MAX);
        let next = flights
            .chain(waits)
            .chain(cuts)
            .filter(|at| *at > state.now);
        let Some(next) = next.min() else {
            return false;
        };
        state.now = next;
        for end in state.ends.values() {
            if let Some((at, waker)) = &end.waits
                && *at <= next
            {
                waker.wake_by_ref();
            }
        }
        true
    }

    /// Until nothing is left to do.
    pub fn settle(&mut self) {
        while self.step() != Step::Idle {}
    }

    pub fn idle(&self) -> bool {
        self.tasks.is_empty()
    }
}
