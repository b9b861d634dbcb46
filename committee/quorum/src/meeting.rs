//! How the members of a quorum begin anything together (QRM-2, CST-11): they say
//! what they mean to do, show what they hold of each other, and sign their
//! counters; then all say that they agree, before a ticket is spent. Four messages
//! of each, in a session of their own.
//!
//! The first is short enough to come before its receiver has begun (PEER-4).

use crate::{error::QuorumError, keeper::Keeper};
use veilbourse_core::{
    digest::{Digest, Domain},
    wire::{Reader, WireError, Writer},
};
use veilbourse_peers::{Exchange, Expected, Kind, Network, busy};
use veilbourse_ticket_store::{
    Dealing, Disk, Held, MAX_HELD_BYTES, MAX_NUMBER, MAX_STATEMENT, SignedStatement, StoreError,
};

/// What a meeting is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Open = 1,
    Check = 2,
    Key = 3,
    Resume = 4,
    Greet = 5,
}

/// Bytes of the first message.
const AGENDA: usize = 1 + 32 + 4 + 8 + 32;
/// The greatest attempt of an order: nobody comes there one by one.
const MAX_ATTEMPT: u32 = (1 << 24) - 1;
pub(crate) const AGENDA_STEP: u8 = 0;
const HELD_STEP: u8 = 1;
const STATEMENT_STEP: u8 = 2;
/// Whether all statements were in order, and what session follows from them.
const AGREED_STEP: u8 = 3;
/// A commitment to a coin, and the coin, for the check of a public key (QRM-7).
pub(crate) const COMMIT_STEP: u8 = 4;
pub(crate) const COIN_STEP: u8 = 5;
/// Times that members meet before they give up.
const MEETINGS: u32 = 4;

/// In the place of a session signed: it was given up for good (QRM-5).
pub(crate) const FORGONE: Digest = Digest([0xff; 32]);

/// Names a meeting.
pub(crate) fn name(
    purpose: Purpose,
    dataset: &Digest,
    members: &[u8],
    about: &Digest,
    trial: u64,
) -> Digest {
    let mut out = Writer::new();
    out.u8(purpose as u8).raw(&dataset.0).bytes(members);
    out.raw(&about.0).u64(trial);
    Digest::of(Domain::Other("veilbourse v1 quorum meeting"), &out.finish())
}

/// The first message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Agenda {
    pub(crate) purpose: Purpose,
    /// Names what is to be done.
    pub(crate) about: Digest,
    /// The least attempt that this node may begin.
    pub(crate) attempt: u32,
    /// Its first unspent ticket of the dealing.
    pub(crate) next: u64,
    /// The session that it has signed, zeros, or [`FORGONE`] (QRM-5).
    pub(crate) session: Digest,
}

impl Agenda {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(self.purpose as u8).raw(&self.about.0);
        out.u32(self.attempt).u64(self.next).raw(&self.session.0);
        out.finish()
    }

    /// Reads a peer's: it must mean what this node means.
    pub(crate) fn read(&self, peer: u8, bytes: &[u8]) -> Result<Self, QuorumError> {
        let message = |source| QuorumError::Message { peer, source };
        let mut input = Reader::new(bytes);
        let mut read = || -> Result<Self, WireError> {
            let purpose = input.u8("purpose")?;
            if purpose != self.purpose as u8 {
                return Err(WireError::Invalid {
                    field: "purpose",
                    reason: format!("{purpose}, expected {}", self.purpose as u8),
                });
            }
            Ok(Self {
                purpose: self.purpose,
                about: Digest(input.array("about")?),
                attempt: input.u32("attempt")?,
                next: input.u64("next ticket")?,
                session: Digest(input.array("session")?),
            })
        };
        let theirs = read().map_err(message)?;
        input.finish("agenda").map_err(message)?;
        if theirs.about != self.about {
            return Err(QuorumError::Agenda {
                peer,
                what: "what is to be done",
                found: theirs.about,
                expected: self.about,
            });
        }
        let beyond = |what, value: u64, limit: u64| {
            if value <= limit {
                return Ok(());
            }
            Err(QuorumError::Beyond {
                peer,
                what,
                value,
                limit,
            })
        };
        beyond("attempt", theirs.attempt.into(), MAX_ATTEMPT.into())?;
        beyond("next ticket", theirs.next, MAX_NUMBER)?;
        Ok(theirs)
    }
}

/// Says how long the messages are.
pub(crate) fn expect(channel: &mut impl Exchange) -> Result<(), QuorumError> {
    let lengths = [AGENDA, MAX_HELD_BYTES, MAX_STATEMENT, 1 + 32, 32, 32];
    let expected = Expected {
        lengths: lengths.iter().map(|l| *l as u32).collect(),
        exact: false,
    };
    Ok(channel.expect(Kind::Meeting, expected)?)
}

/// All other members with their messages of a step.
pub(crate) async fn exchange(
    channel: &mut impl Exchange,
    kind: Kind,
    step: u8,
    own: &[u8],
    members: &[u8],
) -> Result<Vec<(u8, Vec<u8>)>, QuorumError> {
    let party = channel.party();
    let all = channel.exchange(kind, step, own).await?;
    let all = (0u8..).zip(members.iter().copied()).zip(all);
    let others = all.filter(|((p, _), _)| *p != party);
    Ok(others.map(|((_, node), bytes)| (node, bytes)).collect())
}

/// What came of a meeting.
pub(crate) struct Met<S> {
    pub(crate) channel: S,
    /// The greatest of all least attempts.
    pub(crate) attempt: u32,
    /// The greatest of all first unspent tickets.
    pub(crate) next: u64,
}

impl<D: Disk> Keeper<D> {
    /// Meets the members of a dealing's quorum. After it every member holds the
    /// newest counters of every other on disk, and all are about the same:
    /// `session` says what follows from the greatest attempt and ticket.
    pub(crate) async fn meet<N: Network>(
        &self,
        network: &N,
        name: Digest,
        dealing: &Dealing,
        agenda: Agenda,
        session: impl Fn(u32, u64) -> Result<Digest, StoreError>,
    ) -> Result<Met<N::Session>, QuorumError> {
        let mut times = 0;
        loop {
            let mut out = Writer::new();
            out.raw(&name.0).u32(times);
            let name = Digest::of(
                Domain::Other("veilbourse v1 quorum meeting again"),
                &out.finish(),
            );
            let channel = network.session(name, &dealing.quorum.members())?;
            times += 1;
            match self.meet_once(channel, dealing, &agenda, &session).await? {
                Ok(met) => return Ok(met),
                Err(e) if times == MEETINGS => return Err(e),
                // Statements of several meetings at once came out of order.
                Err(_) => {}
            }
        }
    }

    /// One meeting; the inner error is one after which all meet again.
    async fn meet_once<S: Exchange>(
        &self,
        mut channel: S,
        dealing: &Dealing,
        agenda: &Agenda,
        session: &impl Fn(u32, u64) -> Result<Digest, StoreError>,
    ) -> Result<Result<Met<S>, QuorumError>, QuorumError> {
        let members = dealing.quorum.members();
        expect(&mut channel)?;
        let own = agenda.encode();
        let said = exchange(&mut channel, Kind::Meeting, AGENDA_STEP, &own, &members).await?;
        let (mut attempt, mut next) = (agenda.attempt, agenda.next);
        for (peer, bytes) in said {
            let theirs = agenda.read(peer, &bytes)?;
            attempt = attempt.max(theirs.attempt);
            next = next.max(theirs.next);
        }
        self.hear(&mut channel, &members).await?;
        let own = {
            let store = self.lock();
            let own = store.config().node;
            // The same for every peer; all of them were heard.
            let peer = members.iter().find(|m| **m != own);
            store.statement(peer.copied().unwrap_or_default(), &self.key)?
        };
        let own = own.encode();
        let said = exchange(&mut channel, Kind::Meeting, STATEMENT_STEP, &own, &members).await?;
        let mut behind = None;
        for (peer, bytes) in said {
            let signed = SignedStatement::decode(&bytes);
            let signed = signed.map_err(|source| QuorumError::Message { peer, source })?;
            match busy(|| self.lock().meet(peer, &signed)) {
                Ok(()) => {}
                Err(e @ StoreError::PeerBehind { .. }) => behind = Some(e),
                Err(e) => return Err(e.into()),
            }
        }
        let mut out = Writer::new();
        out.u8(behind.is_none().into());
        let own = session(attempt, next)?;
        out.raw(&own.0);
        let out = out.finish();
        let said = exchange(&mut channel, Kind::Meeting, AGREED_STEP, &out, &members).await?;
        let mut again = behind.map(QuorumError::from);
        for (peer, bytes) in said {
            let mut input = Reader::new(&bytes);
            let mut read = || Ok((input.u8("agreed")?, Digest(input.array("session")?)));
            let read = read().map_err(|source| QuorumError::Message { peer, source });
            let (agreed, theirs) = read?;
            if agreed != 1 {
                again.get_or_insert(QuorumError::Behind { peer });
            } else if again.is_none() && theirs != own {
                return Err(QuorumError::Agenda {
                    peer,
                    what: "the session",
                    found: theirs,
                    expected: own,
                });
            }
        }
        if let Some(again) = again {
            channel.finish();
            return Ok(Err(again));
        }
        Ok(Ok(Met {
            channel,
            attempt,
            next,
        }))
    }

    /// Everybody shows what it holds (CST-11).
    pub(crate) async fn hear(
        &self,
        channel: &mut impl Exchange,
        members: &[u8],
    ) -> Result<(), QuorumError> {
        let own = self.lock().held()?.encode();
        let shown = exchange(channel, Kind::Meeting, HELD_STEP, &own, members).await?;
        for (peer, bytes) in shown {
            let held = Held::decode(&bytes);
            let held = held.map_err(|source| QuorumError::Message { peer, source })?;
            busy(|| self.lock().recall(peer, &held))?;
            let mut greeted = self.greeted.lock();
            if let Ok(greeted) = &mut greeted {
                greeted.insert(peer);
            }
        }
        Ok(())
    }

    /// Hears the first message of a peer, whatever quorums it shares: for a node
    /// that starts, before it opens anything (CST-11, QRM-9). Both call it, with
    /// the same trial.
    pub async fn greet<N: Network>(
        &self,
        network: &N,
        peer: u8,
        trial: u64,
    ) -> Result<(), QuorumError> {
        let (dataset, own) = self.read(|s| (s.config().dataset, s.config().node));
        let members = [own.min(peer), own.max(peer)];
        let name = name(
            Purpose::Greet,
            &dataset,
            &members,
            &Digest::default(),
            trial,
        );
        let agenda = Agenda {
            purpose: Purpose::Greet,
            about: dataset,
            attempt: 0,
            next: 0,
            session: Digest::default(),
        };
        let mut channel = network.session(name, &members)?;
        expect(&mut channel)?;
        let first = agenda.encode();
        let said = exchange(&mut channel, Kind::Meeting, AGENDA_STEP, &first, &members).await?;
        for (peer, bytes) in said {
            agenda.read(peer, &bytes)?;
        }
        self.hear(&mut channel, &members).await?;
        channel.finish();
        Ok(())
    }
}
