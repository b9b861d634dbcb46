//! The protocol's machines, driven over an [`Exchange`] (PEER-9): an opening and the
//! check of a dealing.
//!
//! What a message needs on disk is there before it leaves. What the protocol
//! refuses ends this session, at this node with the protocol's own error and at
//! the others with a bye; other sessions do not notice.

use crate::{error::OpenError, exchange::Exchange, frame::Kind, party::Expected};
use std::fmt::{self, Display};
use tokio::runtime::{Handle, RuntimeFlavor};
use veilbourse_protocol::{
    BatchCheck, Durable, Job, Live, Opened, Opening, Outgoing, Progress, ProtocolError,
};

/// Where a message of an opening says its round.
const ROUND_AT: usize = 32;

/// Does work that takes long, or waits for the disk, without keeping other
/// sessions of the runtime from theirs.
pub fn busy<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|h| h.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

fn same<T: PartialEq + ToString>(
    what: &'static str,
    found: T,
    expected: T,
) -> Result<(), OpenError> {
    if found == expected {
        return Ok(());
    }
    Err(OpenError::Job {
        what,
        found: found.to_string(),
        expected: expected.to_string(),
    })
}

fn lengths(bytes: impl Iterator<Item = usize>) -> Expected {
    let length = |b| u32::try_from(b).unwrap_or(u32::MAX);
    Expected {
        lengths: bytes.map(length).collect(),
        exact: true,
    }
}

fn make_durable<E: Display>(
    mark: Durable,
    durable: &mut impl FnMut(Durable) -> Result<(), E>,
) -> Result<(), OpenError> {
    if mark == Durable::Nothing {
        return Ok(());
    }
    busy(|| durable(mark)).map_err(|e| OpenError::Durable(e.to_string()))
}

/// Why a run failed, and the quorum's keys if they may be used again: not when
/// this party's sigma may have left (OPN-4).
#[derive(Debug)]
pub struct Failed {
    /// Why.
    pub error: OpenError,
    /// The keys. `None`: the quorum is frozen.
    pub live: Option<Live>,
}

impl Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frozen = if self.live.is_none() {
            "; the quorum is frozen"
        } else {
            ""
        };
        write!(f, "{}{frozen}", self.error)
    }
}

impl std::error::Error for Failed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// Opens a batch of values with the peers of a session. `durable` returns when
/// what it is given is on disk: a message that needs it leaves afterwards, and
/// never if it fails. The session remains, for the signatures; after an error it
/// is left. A future that is dropped takes the quorum's keys with it.
pub async fn open<E: Display>(
    job: Job,
    session: &mut impl Exchange,
    mut durable: impl FnMut(Durable) -> Result<(), E>,
) -> Result<Opened, Failed> {
    let begun = match begin(&job, session) {
        Ok(()) => busy(|| Opening::start(job)).map_err(|(e, live)| (e.into(), live)),
        Err(e) => Err((e, job.live)),
    };
    let (mut opening, first) = match begun {
        Ok(begun) => begun,
        Err((error, live)) => return Err(leave(session, error, Some(live))),
    };
    match run_opening(&mut opening, first, session, &mut durable).await {
        Ok(opened) => Ok(opened),
        Err(error) => Err(leave(session, error, opening.abandon())),
    }
}

/// The session is the job's.
fn begin(job: &Job, session: &impl Exchange) -> Result<(), OpenError> {
    same("digest", session.digest(), job.session)?;
    same("party", session.party(), job.live.party())?;
    let parties = session.quorum().len() as u8;
    same("parties", parties, job.live.parties())
}

async fn run_opening<E: Display>(
    opening: &mut Opening,
    mut message: Outgoing,
    session: &mut impl Exchange,
    durable: &mut impl FnMut(Durable) -> Result<(), E>,
) -> Result<Opened, OpenError> {
    let rounds = (0..opening.rounds()).map(|r| opening.message_bytes(r));
    session.expect(Kind::Round, lengths(rounds))?;
    loop {
        let round = opening.round();
        make_durable(message.durable, durable)?;
        let heard = session.exchange(Kind::Round, round, &message.bytes).await?;
        match busy(|| feed(opening, session, round, &heard))? {
            Progress::Send(next) => message = next,
            Progress::Done(opened) => return Ok(opened),
            Progress::Wait => return Err(ProtocolError::Ended.into()),
        }
    }
}

/// All other parties' messages of a round.
fn feed(
    opening: &mut Opening,
    session: &impl Exchange,
    round: u8,
    heard: &[Vec<u8>],
) -> Result<Progress, OpenError> {
    let mut progress = Progress::Wait;
    for (party, bytes) in (0u8..).zip(heard) {
        if party == session.party() {
            continue;
        }
        let found = bytes.get(ROUND_AT).copied().unwrap_or_default();
        if found != round {
            let peer = session.quorum().get(usize::from(party));
            return Err(OpenError::Inside {
                peer: peer.copied().unwrap_or_default(),
                round,
                found,
            });
        }
        progress = opening.receive(party, bytes)?;
    }
    Ok(progress)
}

/// Checks a batch of a dealing with the peers of a session (TKT-4). The mark
/// "check pending" is durable before the sum that may tell the MAC key leaves.
/// The keys come back as from [`open`].
pub async fn check_dealing<E: Display>(
    mut check: BatchCheck,
    session: &mut impl Exchange,
    mut durable: impl FnMut(Durable) -> Result<(), E>,
) -> Result<Live, Failed> {
    let reveals = match run_check(&mut check, session, &mut durable).await {
        Ok(reveals) => reveals,
        Err(error) => return Err(leave(session, error, check.abandon())),
    };
    check
        .finish(&reveals)
        .map_err(|e| leave(session, e.into(), None))
}

async fn run_check<E: Display>(
    check: &mut BatchCheck,
    session: &mut impl Exchange,
    durable: &mut impl FnMut(Durable) -> Result<(), E>,
) -> Result<Vec<Vec<u8>>, OpenError> {
    let bytes = BatchCheck::MESSAGE_BYTES.into_iter();
    session.expect(Kind::Dealing, lengths(bytes))?;
    let openings = session.exchange(Kind::Dealing, 0, &check.opening()).await?;
    let commitment = check.commitment(&openings)?;
    let commitments = session.exchange(Kind::Dealing, 1, &commitment).await?;
    let reveal = check.reveal(&commitments)?;
    make_durable(reveal.durable, durable)?;
    session.exchange(Kind::Dealing, 2, &reveal.bytes).await
}

/// PEER-8: the others need not wait for a node that goes no further.
fn leave(session: &mut impl Exchange, error: OpenError, live: Option<Live>) -> Failed {
    session.leave(error.leave());
    Failed { error, live }
}
