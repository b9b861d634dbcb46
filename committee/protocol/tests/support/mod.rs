//! A dealer, a dataset key and all quorums' parties in one process.

#![allow(dead_code)]

pub mod attack;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use veilbourse_core::{
    ciphertext::{Glwe, OutputCiphertext},
    digest::Digest,
    field::Fq,
    params::DATA_RING_DIMENSION as N,
    ring::Poly,
};
use veilbourse_privacy::{Mechanism, Sensitivity};
use veilbourse_protocol::*;

pub fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub fn class(k: u8, mechanism: Mechanism) -> TicketClass {
    TicketClass::new(k, Sensitivity::new(1000).unwrap(), mechanism).unwrap()
}

pub fn poly(rng: &mut ChaCha20Rng) -> Poly {
    let words = (0..N).map(|_| Fq::reduce(rng.next_u64())).collect();
    Poly::from_coefficients(words).unwrap()
}

/// A quorum with its tickets dealt.
pub struct Dealt {
    pub dealer: Dealer,
    pub key: Poly,
    pub tickets: Vec<DealtTicket>,
    pub tree: Tree,
    pub explicit_key: Vec<Share>,
}

impl Dealt {
    pub fn new(class: TicketClass, parties: u8, tickets: u64, rng: &mut ChaCha20Rng) -> Self {
        let quorum = Digest([rng.next_u32() as u8; 32]);
        let dealer = Dealer::new(Shape::new(class, quorum, 0), parties, rng);
        let bits = (0..N).map(|_| Fq::reduce(rng.next_u64() & 1)).collect();
        let key = Poly::from_coefficients(bits).unwrap();
        let tickets: Vec<_> = (0..tickets).map(|i| dealer.ticket(i)).collect();
        let tree = Tree::new(tickets.iter().map(|t| t.leaf).collect());
        let explicit_key = dealer.data_key(&key);
        Self {
            dealer,
            key,
            tickets,
            tree,
            explicit_key,
        }
    }

    pub fn parties(&self) -> u8 {
        self.dealer.seeds().len() as u8
    }

    pub fn party_key(&self, party: u8) -> PartyKey {
        let quorum = &self.dealer.shape().quorum;
        party_key(&self.dealer.seeds()[usize::from(party)], quorum, party)
    }

    pub fn live(&self, party: u8) -> Live {
        let quorum = &self.dealer.shape().quorum;
        let seed = &self.dealer.seeds()[usize::from(party)];
        Live::new(seed, quorum, party, self.parties())
    }

    /// What the custodian signs of it.
    pub fn signed(&self) -> Signed {
        Signed {
            dealing: self.dealer.shape().dealing,
            tickets: self.tickets.len() as u64,
            root: self.tree.root(),
        }
    }

    pub fn ticket(&self, party: u8, number: usize) -> TicketShare {
        let shape = self.dealer.shape();
        let seed = &self.dealer.seeds()[usize::from(party)];
        if party + 1 < self.parties() {
            TicketShare::from_seed(shape, seed, number as u64)
        } else {
            let explicit = &self.tickets[number].explicit;
            TicketShare::from_explicit(shape, seed, number as u64, explicit).unwrap()
        }
    }

    pub fn key_share(&self, party: u8) -> DataKeyShare {
        if party + 1 < self.parties() {
            DataKeyShare::from_seed(
                &self.dealer.seeds()[usize::from(party)],
                &self.dealer.shape().quorum,
                N,
            )
        } else {
            DataKeyShare::explicit(self.explicit_key.clone(), N).unwrap()
        }
    }

    /// A ciphertext whose phases are given.
    pub fn encrypt(&self, phases: &[Fq], rng: &mut ChaCha20Rng) -> OutputCiphertext {
        let a = poly(rng);
        let mut b = a.mul(&self.key);
        for (b, p) in b.iter_mut().zip(phases) {
            *b += *p;
        }
        OutputCiphertext::Rows {
            glwe: Glwe { a, b },
            rows: phases.len() as u32,
        }
    }

    pub fn job(&self, party: u8, first: usize, output: &OutputCiphertext, session: Digest) -> Job {
        let key = self.party_key(party);
        let phases = phases(&self.key_share(party), &key, output).unwrap();
        Job {
            session,
            live: self.live(party),
            shape: self.dealer.shape().clone(),
            tickets: (first..first + phases.len())
                .map(|i| self.ticket(party, i))
                .collect(),
            phases,
            entropy: blake3::derive_key("test entropy", &[&session.0[..], &[party]].concat()),
        }
    }

    /// Unmasks what the parties opened.
    pub fn unmask(&self, first: usize, opened: &[Opened]) -> Vec<Result<i64, ProtocolError>> {
        let bound = self.dealer.shape().class.value_bound();
        (0..opened[0].y.len())
            .map(|i| {
                let ticket = (first + i) as u64;
                let path = TicketPath {
                    ticket,
                    commitments: self.tickets[first + i].commitments.clone(),
                    path: self.tree.path(ticket),
                };
                let points = commitments(&self.signed(), self.parties(), &path)?;
                let openings: Vec<_> = opened.iter().map(|o| o.masks[i].clone()).collect();
                unmask(
                    i as u64,
                    &Masked {
                        y: &[opened[0].y[i]],
                        commitments: &[points],
                        openings: &openings,
                        bound,
                    },
                )
            })
            .collect()
    }
}

pub fn started(job: Job) -> (Opening, Outgoing) {
    Opening::start(job).map_err(|(e, _)| e).unwrap()
}

/// What a test does to a message on its way: sender, receiver, round, bytes.
pub type Tamper<'a> = dyn FnMut(u8, u8, u8, &mut Vec<u8>) + 'a;

/// Runs all parties in lock step; each ends opened or refused.
pub fn run(jobs: Vec<Job>, tamper: &mut Tamper<'_>) -> Vec<Result<Opened, ProtocolError>> {
    let n = jobs.len();
    let mut ends: Vec<Option<Result<Opened, ProtocolError>>> = (0..n).map(|_| None).collect();
    let mut parties = Vec::new();
    let mut outbox = Vec::new();
    for (i, job) in jobs.into_iter().enumerate() {
        let (party, message) = started(job);
        parties.push(party);
        outbox.push((i as u8, message));
    }
    while !outbox.is_empty() {
        let mut next = Vec::new();
        for (from, message) in outbox.drain(..) {
            for to in (0..n as u8).filter(|t| *t != from) {
                let at = usize::from(to);
                if ends[at].is_some() {
                    continue;
                }
                let mut bytes = message.bytes.clone();
                tamper(from, to, message.bytes[32], &mut bytes);
                match parties[at].receive(from, &bytes) {
                    Ok(Progress::Wait) => {}
                    Ok(Progress::Send(m)) => next.push((to, m)),
                    Ok(Progress::Done(o)) => ends[at] = Some(Ok(o)),
                    Err(e) => ends[at] = Some(Err(e)),
                }
            }
        }
        outbox = next;
    }
    ends.into_iter()
        .map(|e| e.unwrap_or(Err(ProtocolError::Ended)))
        .collect()
}
