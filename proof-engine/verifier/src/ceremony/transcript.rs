//! The chain of contributions. A [`Transcript`] holds only what was checked:
//! reading one checks every contribution, adding one checks that one.

use super::{
    Contribution, HIDING_POWERS, LOG_ROWS, MAX_CONTRIBUTIONS, MAX_PURPOSE_BYTES,
    MAX_TRANSCRIPT_BYTES,
    contribution::{challenge, line},
    refusal::CeremonyRefusal,
};
use ark_bls12_381::{Fr, G1Affine, G1Projective};
use ark_ec::AffineRepr;
use ed25519_dalek::{Signature, VerifyingKey};
use veilbourse_core::{
    digest::{Digest, Domain},
    wire::{Reader, WireError, Writer},
};

const MAGIC: &[u8; 8] = b"VBCTR\0\0\x01";
/// BLS12-381.
const CURVE: u8 = 1;

/// What a ceremony is for and what it makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Drawn at the start: two ceremonies never share a contribution.
    pub id: [u8; 32],
    /// D: the highest power of tau.
    pub degree: u64,
    /// A line for people: which marketplace, what for; 1 to 128 bytes.
    pub purpose: String,
}

impl Header {
    fn check(&self) -> Result<(), CeremonyRefusal> {
        line("purpose", &self.purpose, MAX_PURPOSE_BYTES)?;
        if !LOG_ROWS.into_iter().any(|l| self.degree == 3 << l) {
            return Err(CeremonyRefusal::Degree {
                least: *LOG_ROWS.start(),
                most: *LOG_ROWS.end(),
                value: self.degree,
            });
        }
        Ok(())
    }

    fn write(&self, w: &mut Writer) {
        w.u8(CURVE)
            .raw(&self.id)
            .u64(self.degree)
            .u8(HIDING_POWERS)
            .str(&self.purpose);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, CeremonyRefusal> {
        let known = |field, expected, found| match found == expected {
            true => Ok(()),
            false => Err(CeremonyRefusal::Shape {
                field,
                expected,
                found,
            }),
        };
        known("curve", CURVE, r.u8("ceremony.curve")?)?;
        let id = r.array("ceremony.id")?;
        let degree = r.u64("ceremony.degree")?;
        known("hiding", HIDING_POWERS, r.u8("ceremony.hiding")?)?;
        let purpose = r.str("ceremony.purpose", MAX_PURPOSE_BYTES)?;
        let header = Self {
            id,
            degree,
            purpose,
        };
        header.check()?;
        Ok(header)
    }
}

/// A checked transcript (CER-1..CER-5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript {
    header: Header,
    contributions: Vec<Contribution>,
    head: Digest,
}

impl Transcript {
    /// A ceremony without contributions: tau = gamma = 1.
    pub fn start(header: Header) -> Result<Self, CeremonyRefusal> {
        header.check()?;
        let mut w = Writer::new();
        header.write(&mut w);
        Ok(Self {
            header,
            contributions: Vec::new(),
            head: link(&[], &w.finish()),
        })
    }

    /// What it is for.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// In order.
    pub fn contributions(&self) -> &[Contribution] {
        &self.contributions
    }

    /// How many.
    pub fn len(&self) -> u32 {
        // At most MAX_CONTRIBUTIONS.
        self.contributions.len() as u32
    }

    /// Whether nobody contributed yet.
    pub fn is_empty(&self) -> bool {
        self.contributions.is_empty()
    }

    /// The digest of everything so far: what the next contribution is bound to,
    /// and what documents name when it is over (CER-6).
    pub fn head(&self) -> Digest {
        self.head
    }

    /// (tau g, gamma g) after the last contribution; g both at the start.
    pub fn last(&self) -> (G1Affine, G1Affine) {
        let g = G1Affine::generator();
        let last = self.contributions.last().map(|c| &c.statement);
        last.map_or((g, g), |s| (s.tau, s.gamma))
    }

    /// Digest of the string's points after the last contribution.
    pub fn points(&self) -> Option<Digest> {
        self.contributions.last().map(|c| c.statement.points)
    }

    /// Whether a key contributed, and as which.
    pub fn contribution_of(&self, key: &[u8; 32]) -> Option<u32> {
        let found = self.contributions.iter().zip(1u32..);
        found
            .into_iter()
            .find(|(c, _)| c.statement.key == *key)
            .map(|(_, number)| number)
    }

    /// Checks a contribution to what is here and adds it.
    pub fn append(&mut self, c: Contribution) -> Result<(), CeremonyRefusal> {
        let number = self.len().saturating_add(1);
        if number > MAX_CONTRIBUTIONS {
            return Err(CeremonyRefusal::Full {
                limit: MAX_CONTRIBUTIONS,
                value: number,
            });
        }
        self.check(number, &c)?;
        let mut w = Writer::new();
        c.write(&mut w);
        self.head = link(&self.head.0, &w.finish());
        self.contributions.push(c);
        Ok(())
    }

    fn check(&self, number: u32, c: &Contribution) -> Result<(), CeremonyRefusal> {
        let s = &c.statement;
        line("name", &s.name, super::MAX_NAME_BYTES)?;
        s.check_points(number)?;
        // CER-5.
        let key = VerifyingKey::from_bytes(&s.key)
            .ok()
            .filter(|k| !k.is_weak())
            .ok_or(CeremonyRefusal::Key { number })?;
        if let Some(earlier) = self.contribution_of(&s.key) {
            return Err(CeremonyRefusal::DuplicateKey { number, earlier });
        }
        let signature = Signature::from_bytes(&c.signature);
        key.verify_strict(&c.message(&self.head), &signature)
            .map_err(|_| CeremonyRefusal::Signature { number })?;
        // CER-3: neither a factor of one nor one that undoes others.
        let g = G1Affine::generator();
        let before = self.contributions.iter().map(|c| &c.statement);
        let before = before.map(|s| (s.tau, s.gamma));
        for (earlier, (tau, gamma)) in (0u32..).zip(std::iter::once((g, g)).chain(before)) {
            for (field, then, now) in [("tau", tau, s.tau), ("gamma", gamma, s.gamma)] {
                if then == now {
                    return Err(CeremonyRefusal::Repeated {
                        number,
                        field,
                        earlier,
                    });
                }
            }
        }
        // CER-4: (k + c x) P = R + c (x P).
        let (tau, gamma) = self.last();
        let challenge = challenge(&self.head, &tau, &gamma, s);
        for (field, base, nonce, now, answer) in [
            ("tau", tau, s.tau_nonce, s.tau, c.tau_answer),
            ("gamma", gamma, s.gamma_nonce, s.gamma, c.gamma_answer),
        ] {
            if !schnorr(base, nonce, now, challenge, answer) {
                return Err(CeremonyRefusal::Proof { number, field });
            }
        }
        Ok(())
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.raw(MAGIC);
        self.header.write(&mut w);
        w.len(self.contributions.len());
        for c in &self.contributions {
            c.write(&mut w);
        }
        w.finish()
    }

    /// Reads and checks a transcript.
    pub fn decode(bytes: &[u8]) -> Result<Self, CeremonyRefusal> {
        if bytes.len() as u64 > u64::from(MAX_TRANSCRIPT_BYTES) {
            return Err(WireError::TooLarge {
                field: "ceremony",
                limit: u64::from(MAX_TRANSCRIPT_BYTES),
                value: bytes.len() as u64,
            }
            .into());
        }
        let mut r = Reader::new(bytes);
        if !Self::is_one(r.take("ceremony.magic", MAGIC.len())?) {
            return Err(WireError::Invalid {
                field: "ceremony.magic",
                reason: "not a transcript of version 1".into(),
            }
            .into());
        }
        let mut transcript = Self::start(Header::read(&mut r)?)?;
        let count = r.len("ceremony.contributions", MAX_CONTRIBUTIONS)?;
        for number in (1u32..).take(count) {
            transcript.append(Contribution::read(&mut r, number)?)?;
        }
        r.finish("ceremony")?;
        Ok(transcript)
    }

    /// Whether a file starts like a transcript.
    pub fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }
}

/// The chain's digest after one more link (CER-6).
fn link(before: &[u8], bytes: &[u8]) -> Digest {
    let mut all = before.to_vec();
    all.extend_from_slice(bytes);
    Digest::of(Domain::Other("veilbourse v1 ceremony transcript"), &all)
}

/// Whether `answer` shows knowledge of the x with `now` = x `base`.
fn schnorr(base: G1Affine, nonce: G1Affine, now: G1Affine, challenge: Fr, answer: Fr) -> bool {
    let left: G1Projective = base * answer;
    left == now * challenge + nonce
}
