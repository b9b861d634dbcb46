//! One node's side of opening a batch of values (OPN-2..4), without I/O.
//!
//! Rounds, each one message of every party to every other:
//!
//! | round | payload |
//! |---|---|
//! | 0 | commitment to the coin |
//! | 1 | shares of c, one a value |
//! | 2 .. 1 + R | shares of the masked operands of a round of the circuit |
//! | 2 + R | shares of y |
//! | 3 + R | the coin, and the digest of all that was opened |
//! | 4 + R | commitment to sigma |
//! | 5 + R | sigma |
//!
//! What must be on disk before a message leaves is said with the message.

use crate::{
    check::{Openings, commit, joint_coin, sums_to_zero},
    error::ProtocolError,
    evaluate::{Value, masked_phase},
    fq2::Fq2,
    live::Live,
    mask::MaskShare,
    share::{PartyKey, Share},
    ticket::{Shape, TicketShare, read_fq, read_fq2, write_fq2},
};
use std::collections::BTreeMap;
use veilbourse_core::{
    digest::Digest,
    field::Fq,
    wire::{Reader, Writer},
};
use zeroize::Zeroize;

/// Most values of one batch.
pub const MAX_BATCH: usize = 1 << 14;
const COIN: &str = "coin";
const SIGMA: &str = "check";

/// Coin or salt; neither tells of the other.
fn derive(what: &str, entropy: &[u8; 32]) -> [u8; 32] {
    let mut bytes = what.as_bytes().to_vec();
    bytes.extend(entropy);
    let derived = blake3::derive_key("veilbourse v1 session randomness", &bytes);
    bytes.zeroize();
    derived
}

/// What one node brings to an opening.
pub struct Job {
    /// OPN-4: the digest of everything that this opening is for
    /// ([`crate::binding::Binding`]).
    pub session: Digest,
    /// The quorum's keys: they are in this session until it gives them back.
    pub live: Live,
    /// The dealing that the tickets are of.
    pub shape: Shape,
    /// One ticket a value, ascending.
    pub tickets: Vec<TicketShare>,
    /// Shares of the phases.
    pub phases: Vec<Share>,
    /// This node's fresh randomness for the session: its coin and the salt of
    /// its check are derived from it.
    pub entropy: [u8; 32],
}

/// What must be durable before a message leaves (OPN-4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durable {
    /// Nothing.
    Nothing,
    /// The tickets are spent for this session.
    Spent,
    /// A check is pending: if it is not seen to succeed, the quorum is frozen.
    CheckPending,
}

/// A message for every other party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// What must be on disk first.
    pub durable: Durable,
    /// The message.
    pub bytes: Vec<u8>,
}

/// The end of a good opening: everything checked, nothing released.
pub struct Opened {
    /// The session.
    pub session: Digest,
    /// y = m + noise + omega, one a value: uniform to who lacks a mask share.
    pub y: Vec<Fq>,
    /// This party's share of each mask: for the buyer alone, and only when all
    /// parties have signed (session, y).
    pub masks: Vec<MaskShare>,
    /// The quorum's keys, free again.
    pub live: Live,
}

/// What came of a message.
pub enum Progress {
    /// Others are to be heard.
    Wait,
    /// The round is complete: the next message.
    Send(Outgoing),
    /// All is opened and checked.
    Done(Opened),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Commit,
    C,
    Circuit(usize),
    Y,
    Coin,
    CheckCommit,
    Check,
}

/// The part of a job that is read all along.
struct Bench {
    session: Digest,
    party: u8,
    parties: u8,
    key: PartyKey,
    shape: Shape,
    tickets: Vec<TicketShare>,
    phases: Vec<Share>,
    entropy: [u8; 32],
}

/// An opening under way.
pub struct Opening {
    job: Bench,
    live: Option<Live>,
    stage: Stage,
    values: Vec<Value>,
    /// Own shares of what this round opens.
    own: Vec<Share>,
    opened: Openings,
    y: Vec<Fq>,
    coin_commitments: Vec<Digest>,
    check_commitments: Vec<Digest>,
    sigma: Fq2,
    joint: [u8; 32],
    /// Payloads by round and party; own ones included.
    inbox: BTreeMap<(u8, u8), Vec<u8>>,
    failed: bool,
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.own.zeroize();
        self.job.entropy.zeroize();
        self.sigma.zeroize();
    }
}

impl Opening {
    /// Begins; the message is that of round 0. A job that is none gives its keys
    /// back.
    pub fn start(job: Job) -> Result<(Self, Outgoing), (ProtocolError, Live)> {
        match Self::check_job(&job) {
            Ok(()) => Ok(Self::begin(job)),
            Err(e) => Err((e, job.live)),
        }
    }

    fn check_job(job: &Job) -> Result<(), ProtocolError> {
        let length = |what, found: usize, expected: usize| ProtocolError::Length {
            what,
            found: found as u64,
            expected: expected as u64,
        };
        if job.phases.is_empty() || job.phases.len() > MAX_BATCH {
            return Err(length("values of a batch", job.phases.len(), MAX_BATCH));
        }
        if job.tickets.len() != job.phases.len() {
            return Err(length("tickets", job.tickets.len(), job.phases.len()));
        }
        for t in &job.tickets {
            if t.values.len() != job.shape.layout.values {
                let (found, expected) = (t.values.len(), job.shape.layout.values);
                return Err(length("shares of a ticket", found, expected));
            }
        }
        for pair in job.tickets.windows(2) {
            if let [a, b] = pair
                && a.number >= b.number
            {
                return Err(ProtocolError::TicketTwice { ticket: b.number });
            }
        }
        Ok(())
    }

    fn begin(job: Job) -> (Self, Outgoing) {
        let Job {
            session,
            live,
            shape,
            tickets,
            phases,
            entropy,
        } = job;
        let job = Bench {
            session,
            party: live.party,
            parties: live.parties,
            key: live.key,
            shape,
            tickets,
            phases,
            entropy,
        };
        let coin = commit(
            &job.session,
            job.party,
            COIN,
            &derive(COIN, &job.entropy),
            &[],
        );
        let mut opening = Self {
            job,
            live: Some(live),
            stage: Stage::Commit,
            values: Vec::new(),
            own: Vec::new(),
            opened: Openings::default(),
            y: Vec::new(),
            coin_commitments: Vec::new(),
            check_commitments: Vec::new(),
            sigma: Fq2::ZERO,
            joint: [0; 32],
            inbox: BTreeMap::new(),
            failed: false,
        };
        let message = opening.send(Durable::Nothing, coin.0.to_vec());
        (opening, message)
    }

    /// Ends it. The quorum's keys come back unless this party's sigma may have
    /// left: then the quorum is frozen (OPN-4).
    pub fn abandon(mut self) -> Option<Live> {
        let safe = self.stage != Stage::Check;
        self.live.take().filter(|_| safe)
    }

    /// Rounds in all.
    pub fn rounds(&self) -> u8 {
        self.job.shape.plan.rounds as u8 + 6
    }

    /// The round that this node is in.
    pub fn round(&self) -> u8 {
        let circuit = self.job.shape.plan.rounds as u8;
        match self.stage {
            Stage::Commit => 0,
            Stage::C => 1,
            Stage::Circuit(r) => 2 + r as u8,
            Stage::Y => 2 + circuit,
            Stage::Coin => 3 + circuit,
            Stage::CheckCommit => 4 + circuit,
            Stage::Check => 5 + circuit,
        }
    }

    /// Takes a message of `from`, as the authenticated channel names it. After
    /// an error the opening is over: nothing more comes of it.
    pub fn receive(&mut self, from: u8, bytes: &[u8]) -> Result<Progress, ProtocolError> {
        if self.failed {
            return Err(ProtocolError::Ended);
        }
        let result = self.accept(from, bytes);
        self.failed = !matches!(result, Ok(Progress::Wait | Progress::Send(_)));
        result
    }

    fn accept(&mut self, from: u8, bytes: &[u8]) -> Result<Progress, ProtocolError> {
        let (round, payload) = self.header(from, bytes)?;
        if self.inbox.contains_key(&(round, from)) || round < self.round() {
            return Err(ProtocolError::Repeated { party: from, round });
        }
        self.inbox.insert((round, from), payload.to_vec());
        let now = self.round();
        let heard = (0..self.job.parties).all(|p| self.inbox.contains_key(&(now, p)));
        if heard {
            self.advance()
        } else {
            Ok(Progress::Wait)
        }
    }

    /// OPN-4: session, sender, round and length are what they must be. A party
    /// may be one round ahead, never more: it waits for this node's message.
    fn header<'a>(&self, from: u8, bytes: &'a [u8]) -> Result<(u8, &'a [u8]), ProtocolError> {
        let misdirected = |what, found: String, expected: String| ProtocolError::Misdirected {
            what,
            found,
            expected,
        };
        let mut input = Reader::new(bytes);
        let session = Digest(input.array("session")?);
        if session != self.job.session {
            let expected = self.job.session.to_string();
            return Err(misdirected("session", session.to_string(), expected));
        }
        let (round, party) = (input.u8("round")?, input.u8("party")?);
        if party != from || from >= self.job.parties || from == self.job.party {
            return Err(misdirected("party", party.to_string(), from.to_string()));
        }
        let now = self.round();
        if round > now + 1 || round >= self.rounds() {
            return Err(misdirected("round", round.to_string(), now.to_string()));
        }
        let expected = self.payload_bytes(round);
        if input.remaining() != expected {
            return Err(ProtocolError::Length {
                what: "message payload, in bytes",
                found: input.remaining() as u64,
                expected: expected as u64,
            });
        }
        Ok((round, input.take("payload", expected)?))
    }

    /// Bytes of every party's message of a round: session, round, party, payload.
    pub fn message_bytes(&self, round: u8) -> usize {
        32 + 1 + 1 + self.payload_bytes(round)
    }

    /// Bytes of a round's payload.
    fn payload_bytes(&self, round: u8) -> usize {
        let plan = &self.job.shape.plan;
        let values = self.job.phases.len();
        let circuit = plan.rounds;
        match usize::from(round) {
            0 => 32,
            1 => 8 * values,
            r if r < 2 + circuit => {
                8 * values * plan.wire_round.iter().filter(|w| **w == r - 2).count()
            }
            r if r == 2 + circuit => 8 * values,
            r if r == 3 + circuit => 64,
            r if r == 4 + circuit => 32,
            _ => 16 + 32,
        }
    }

    fn send(&mut self, durable: Durable, payload: Vec<u8>) -> Outgoing {
        let mut out = Writer::new();
        let round = self.round();
        out.raw(&self.job.session.0).u8(round).u8(self.job.party);
        out.raw(&payload);
        self.inbox.insert((round, self.job.party), payload);
        Outgoing {
            durable,
            bytes: out.finish(),
        }
    }

    /// Sends this party's shares of what the new stage opens.
    fn open(&mut self, stage: Stage, durable: Durable, shares: Vec<Share>) -> Progress {
        self.stage = stage;
        let words = shares.iter().flat_map(|s| s.value.word().to_le_bytes());
        let payload = words.collect();
        self.own = shares;
        Progress::Send(self.send(durable, payload))
    }

    /// The payloads of the round that is complete, by party.
    fn heard(&mut self) -> Vec<Vec<u8>> {
        let now = self.round();
        (0..self.job.parties)
            .map(|p| self.inbox.remove(&(now, p)).unwrap_or_default())
            .collect()
    }

    /// Adds up what was opened, and notes it for the check.
    fn sum(&mut self) -> Result<Vec<Fq>, ProtocolError> {
        let mut sums = vec![Fq::ZERO; self.own.len()];
        for payload in self.heard() {
            let mut input = Reader::new(&payload);
            for s in &mut sums {
                *s += read_fq(&mut input, "share")?;
            }
        }
        for (a, own) in sums.iter().zip(&self.own) {
            self.opened.push(*a, own.mac);
        }
        Ok(sums)
    }

    fn digests(&mut self) -> Vec<Digest> {
        let digest = |p: Vec<u8>| Digest(p.try_into().unwrap_or_default());
        self.heard().into_iter().map(digest).collect()
    }

    fn advance(&mut self) -> Result<Progress, ProtocolError> {
        match self.stage {
            Stage::Commit => {
                self.coin_commitments = self.digests();
                let Bench {
                    shape,
                    key,
                    phases,
                    tickets,
                    ..
                } = &self.job;
                let masked = phases.iter().zip(tickets);
                let c = masked.map(|(p, t)| masked_phase(shape, key, *p, t));
                let c = c.collect();
                Ok(self.open(Stage::C, Durable::Spent, c))
            }
            Stage::C => {
                let c = self.sum()?;
                let Bench {
                    shape,
                    key,
                    tickets,
                    ..
                } = &self.job;
                let values = c.iter().zip(tickets);
                self.values = values.map(|(c, t)| Value::new(shape, key, t, *c)).collect();
                Ok(self.circuit(0))
            }
            Stage::Circuit(round) => {
                let opened = self.sum()?;
                let Bench {
                    shape,
                    key,
                    tickets,
                    ..
                } = &self.job;
                let each = opened.len() / self.values.len().max(1);
                let parts = opened.chunks(each.max(1));
                for ((value, ticket), part) in self.values.iter_mut().zip(tickets).zip(parts) {
                    value.take(shape, key, ticket, round, part);
                }
                if round + 1 < shape.plan.rounds {
                    return Ok(self.circuit(round + 1));
                }
                let values = self.values.iter().zip(tickets);
                let y = values.map(|(v, t)| v.result(shape, key, t)).collect();
                Ok(self.open(Stage::Y, Durable::Nothing, y))
            }
            Stage::Y => {
                self.y = self.sum()?;
                self.values.clear();
                self.stage = Stage::Coin;
                let mut payload = derive(COIN, &self.job.entropy).to_vec();
                payload.extend(self.opened.view(&self.job.session).0);
                Ok(Progress::Send(self.send(Durable::Nothing, payload)))
            }
            Stage::Coin => self.coins(),
            Stage::CheckCommit => {
                self.check_commitments = self.digests();
                self.stage = Stage::Check;
                let mut out = Writer::new();
                write_fq2(&mut out, &self.sigma);
                out.raw(&derive(SIGMA, &self.job.entropy));
                Ok(Progress::Send(
                    self.send(Durable::CheckPending, out.finish()),
                ))
            }
            Stage::Check => self.check(),
        }
    }

    fn circuit(&mut self, round: usize) -> Progress {
        let Bench { shape, tickets, .. } = &self.job;
        let values = self.values.iter().zip(tickets);
        let masked = values.flat_map(|(v, t)| v.masked(shape, t, round));
        let masked = masked.collect();
        self.open(Stage::Circuit(round), Durable::Nothing, masked)
    }

    fn coins(&mut self) -> Result<Progress, ProtocolError> {
        let view = self.opened.view(&self.job.session);
        let mut coins = Vec::new();
        for (party, payload) in (0u8..).zip(self.heard()) {
            let mut input = Reader::new(&payload);
            let coin = input.array::<32>("coin")?;
            let seen = Digest(input.array("view")?);
            let expected = self.coin_commitments.get(usize::from(party));
            if expected != Some(&commit(&self.job.session, party, COIN, &coin, &[])) {
                return Err(ProtocolError::Commitment { party, what: COIN });
            }
            if seen != view {
                return Err(ProtocolError::Equivocation { party });
            }
            coins.push(coin);
        }
        self.joint = joint_coin(&self.job.session, &coins);
        self.sigma = self.opened.sigma(&self.joint, self.job.key.mac_key);
        self.stage = Stage::CheckCommit;
        let commitment = self.check_commitment(
            self.job.party,
            &self.sigma,
            &derive(SIGMA, &self.job.entropy),
        );
        Ok(Progress::Send(
            self.send(Durable::Nothing, commitment.0.to_vec()),
        ))
    }

    fn check_commitment(&self, party: u8, sigma: &Fq2, salt: &[u8; 32]) -> Digest {
        let mut out = Writer::new();
        write_fq2(&mut out, sigma);
        commit(&self.job.session, party, SIGMA, salt, &out.finish())
    }

    fn check(&mut self) -> Result<Progress, ProtocolError> {
        let mut sigmas = Vec::new();
        for (party, payload) in (0u8..).zip(self.heard()) {
            let mut input = Reader::new(&payload);
            let sigma = read_fq2(&mut input, "sigma")?;
            let salt = input.array::<32>("salt")?;
            let expected = self.check_commitments.get(usize::from(party));
            if expected != Some(&self.check_commitment(party, &sigma, &salt)) {
                return Err(ProtocolError::Commitment { party, what: SIGMA });
            }
            sigmas.push(sigma);
        }
        sums_to_zero(&sigmas)?;
        let live = self.live.take().ok_or(ProtocolError::Ended)?;
        Ok(Progress::Done(Opened {
            live,
            session: self.job.session,
            y: std::mem::take(&mut self.y),
            masks: self.job.tickets.iter().map(|t| t.mask.clone()).collect(),
        }))
    }
}
