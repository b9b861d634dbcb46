//! A liar's tools: public hashes written down again, and a party that lies in
//! an opening and mends its sigma.

use super::{Dealt, started};
use veilbourse_core::{
    ciphertext::OutputCiphertext,
    digest::{Digest, Domain},
    field::Fq,
};
use veilbourse_protocol::*;

/// `Purpose::Challenge`.
pub const CHALLENGE: u8 = 5;

/// The public stream of SHR-3.
pub struct Words(blake3::OutputReader);

impl Words {
    pub fn new(seed: &Digest, purpose: u8, index: u64) -> Self {
        let mut h = blake3::Hasher::new_derive_key("veilbourse v1 committee stream");
        h.update(&seed.0)
            .update(&[0; 32])
            .update(&[purpose])
            .update(&index.to_le_bytes());
        Self(h.finalize_xof())
    }
    pub fn fq(&mut self) -> Fq {
        loop {
            let mut w = [0; 8];
            self.0.fill(&mut w);
            if let Some(x) = Fq::new(u64::from_le_bytes(w)) {
                return x;
            }
        }
    }
    pub fn fq2(&mut self) -> Fq2 {
        Fq2([self.fq(), self.fq()])
    }
}

pub fn hash(domain: &'static str, parts: &[&[u8]]) -> Digest {
    Digest::of(Domain::Other(domain), &parts.concat())
}

/// The name of a dealing's proof, and its transcript after the first `n` of its
/// digests.
pub fn transcript(dealt: &Dealt, context: &Digest, key: usize, levels: &[Digest]) -> Digest {
    let numbers = [0, dealt.tickets.len() as u64, key as u64].map(u64::to_le_bytes);
    let name = hash(
        "veilbourse v1 dealing proof",
        &[
            &context.0,
            &dealt.dealer.shape().dealing.0,
            numbers.as_flattened(),
        ],
    );
    let absorb = |t: &Digest, d: &Digest| hash("veilbourse v1 dealing transcript", &[&t.0, &d.0]);
    levels.iter().fold(name, |t, d| absorb(&t, d))
}

pub fn word_at(bytes: &[u8], at: usize) -> Fq {
    Fq::new(u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap()
}

pub fn fq2_at(bytes: &[u8], at: usize) -> Fq2 {
    Fq2([word_at(bytes, at), word_at(bytes, at + 8)])
}

pub fn fq2_bytes(x: Fq2) -> Vec<u8> {
    let words = x.0.iter().flat_map(|w| w.word().to_le_bytes());
    words.collect()
}

pub fn add_at(bytes: &mut [u8], at: usize, x: Fq2) {
    let sum = fq2_bytes(fq2_at(bytes, at) + x);
    bytes[at..at + 16].copy_from_slice(&sum);
}

/// A quorum of two whose party 1 lies by `delta` in the first c. Both stand
/// before sigma: party 0, its commitment sent; party 1's messages of the last
/// two rounds, honest but for the lie; the first chi.
pub struct Lie {
    session: Digest,
    delta: Fq,
    honest: Opening,
    commitment: Vec<u8>,
    sigma: Fq2,
    salt: Vec<u8>,
    chi: Fq2,
}

impl Lie {
    pub fn new(dealt: &Dealt, first: usize, output: &OutputCiphertext, n: u8, delta: Fq) -> Self {
        let session = Digest([n; 32]);
        let (mut honest, mut left) = started(dealt.job(0, first, output, session));
        let mut job = dealt.job(1, first, output, session);
        job.phases[0].value += delta;
        let (mut liar, mut right) = started(job);
        let rounds = honest.rounds();
        let mut coins = Vec::new();
        while left.bytes[32] + 2 < rounds {
            let (a, b) = (left.bytes, right.bytes);
            if a[32] + 3 == rounds {
                coins = vec![a[34..66].to_vec(), b[34..66].to_vec()];
            }
            let sent = |p| match p {
                Ok(Progress::Send(m)) => m,
                _ => panic!("out of step"),
            };
            left = sent(honest.receive(1, &b));
            right = sent(liar.receive(0, &a));
        }
        // The liar's own sigma, before anything of it is said.
        let mut fake = left.bytes.clone();
        fake[34..].fill(0);
        let Ok(Progress::Send(last)) = liar.receive(0, &fake) else {
            panic!("no sigma")
        };
        let joint = hash("veilbourse v1 joint coin", &[&session.0, &coins.concat()]);
        Self {
            session,
            delta,
            honest,
            commitment: right.bytes,
            sigma: fq2_at(&last.bytes, 34),
            salt: last.bytes[50..].to_vec(),
            chi: Words::new(&joint, CHALLENGE, 0).fq2(),
        }
    }

    /// Commits to what is surely wrong, hears the honest sigma, says no more.
    pub fn learn(mut self) -> (Fq2, Opening) {
        let Ok(Progress::Send(m)) = self.honest.receive(1, &self.commitment) else {
            panic!("no sigma")
        };
        let sum = fq2_at(&m.bytes, 34) + self.sigma;
        let d = -(sum * self.chi.scale(self.delta).inverse().unwrap());
        (d, self.honest)
    }

    /// With D, the lie passes.
    pub fn pass(mut self, d: Fq2) -> Result<Progress, ProtocolError> {
        let sigma = fq2_bytes(self.sigma + d * self.chi.scale(self.delta));
        let header = |round: u8| [&self.session.0[..], &[round, 1]].concat();
        let name = "check";
        let bound = [&self.session.0[..], &[1, name.len() as u8], name.as_bytes()].concat();
        let commitment = hash(
            "veilbourse v1 committee commitment",
            &[&bound, &self.salt, &sigma],
        );
        let rounds = self.honest.rounds();
        let message = [header(rounds - 2), commitment.0.to_vec()].concat();
        self.honest.receive(1, &message)?;
        let message = [header(rounds - 1), sigma, self.salt].concat();
        self.honest.receive(1, &message)
    }
}

/// Opens one value under a lie of half a step; Some(value) if it passed.
pub fn lie_with(dealt: &Dealt, first: usize, lie: Lie, d: Fq2) -> Option<i64> {
    let Ok(Progress::Done(opened)) = lie.pass(d) else {
        return None;
    };
    let other = Opened {
        session: opened.session,
        live: dealt.live(1),
        y: opened.y.clone(),
        masks: vec![dealt.ticket(1, first).mask.clone()],
    };
    dealt.unmask(first, &[opened, other])[0].clone().ok()
}

pub const K: u8 = 26;

pub fn phase(m: i64, e: i64) -> Fq {
    Fq::from_i128((i128::from(m) << K) + i128::from(e))
}
