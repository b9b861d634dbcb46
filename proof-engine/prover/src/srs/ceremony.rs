//! A ceremony in progress: its transcript and the points of the string so far
//! (CER-6, CER-7). A [`Ceremony`] holds only what was checked, so whoever
//! contributes has verified what it received.

use super::{
    Provenance, Srs,
    points::{Points, Progress, invalid, length},
};
use crate::{ProverError, marlin::random_scalar, msm::scale};
use ark_bls12_381::Fr;
use ark_ec::CurveGroup;
use ark_ff::{One, Zero};
use ed25519_dalek::{Signer, SigningKey};
use rand_core::CryptoRng;
use veilbourse_core::{
    digest::Digest,
    wire::{Reader, Writer},
};
use veilbourse_verifier::ceremony::{
    CeremonyRefusal, Contribution, Header, LOG_ROWS, MAX_TRANSCRIPT_BYTES, Statement, Transcript,
    challenge,
};
use zeroize::Zeroizing;

const MAGIC: &[u8; 8] = b"VBCER\0\0\x01";

/// Most bytes of a ceremony's file: that of the greatest degree.
pub fn max_bytes() -> u64 {
    (length(3 << LOG_ROWS.end()) as u64).saturating_add(u64::from(MAX_TRANSCRIPT_BYTES) + 64)
}

/// A checked transcript with the checked points it ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ceremony {
    pub(super) transcript: Transcript,
    pub(super) points: Points,
}

impl Ceremony {
    /// Starts one for circuits of up to 2^log_rows rows and 2^(log_rows + 1)
    /// non-zeros: D = 3 x 2^log_rows. `rng` draws its id.
    pub fn start(
        log_rows: u32,
        purpose: &str,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, ProverError> {
        let mut id = [0u8; 32];
        rng.fill_bytes(&mut id);
        let degree = 3u64.checked_shl(log_rows).unwrap_or(0);
        let transcript = Transcript::start(Header {
            id,
            degree,
            purpose: purpose.into(),
        })?;
        Ok(Self {
            transcript,
            points: Points::start(degree),
        })
    }

    /// Who contributed.
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// What comes after a contribution of `name`, signed by `key`: tau and gamma
    /// times two secrets drawn from `rng` and wiped. What was made is checked
    /// before it is returned; the ceremony itself is as it was.
    pub fn contribute(
        &self,
        name: &str,
        key: &SigningKey,
        rng: &mut impl CryptoRng,
        progress: Progress<'_>,
    ) -> Result<Self, ProverError> {
        let secrets = Secrets::draw(rng)?;
        let points = self.points.scaled(&secrets.tau, &secrets.gamma, progress);
        let mut transcript = self.transcript.clone();
        transcript.append(sign(&self.transcript, &points, name, key, &secrets)?)?;
        drop(secrets);
        points.check(rng, progress)?;
        Ok(Self { transcript, points })
    }

    /// The string that it ends with, once two contributed (CER-8).
    pub fn finish(self) -> Result<Srs, ProverError> {
        self.transcript.claim()?;
        Ok(Srs::new(
            Provenance::Ceremony(Box::new(self.transcript)),
            self.points,
        ))
    }

    /// The file's bytes: magic, transcript, points.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.raw(MAGIC).bytes(&self.transcript.encode());
        w.raw(&self.points.encode());
        w.finish()
    }

    /// Reads and checks a file: the transcript, every point, that the points are
    /// those the transcript ends with and powers of one tau. `rng` draws the
    /// combinations.
    pub fn decode(
        bytes: &[u8],
        rng: &mut impl CryptoRng,
        progress: Progress<'_>,
    ) -> Result<Self, ProverError> {
        let mut r = Reader::new(bytes);
        if !Self::is_one(r.take("ceremony.magic", MAGIC.len())?) {
            return Err(invalid("ceremony.magic", "not a ceremony of version 1"));
        }
        let transcript = r.bytes("ceremony.transcript", MAX_TRANSCRIPT_BYTES)?;
        let transcript = Transcript::decode(transcript)?;
        let digest = Points::digest(bytes.get(bytes.len() - r.remaining()..).unwrap_or_default());
        let points = Points::read(&mut r, transcript.header().degree, progress)?;
        r.finish("ceremony")?;
        if transcript.is_empty() {
            if points != Points::start(transcript.header().degree) {
                return Err(invalid("srs.powers", "are not one at the start"));
            }
        } else {
            ends_with(&transcript, &points, &digest)?;
            points.check(rng, progress)?;
        }
        Ok(Self { transcript, points })
    }

    /// Whether a file starts like a ceremony's.
    pub fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }
}

/// That a transcript ends with these points (CER-7): their digest, and tau and
/// gamma themselves.
pub(super) fn ends_with(
    transcript: &Transcript,
    points: &Points,
    digest: &Digest,
) -> Result<(), CeremonyRefusal> {
    let expected = transcript.points().unwrap_or_default();
    if *digest != expected {
        return Err(CeremonyRefusal::points("digest", &expected, digest));
    }
    let (tau, gamma) = transcript.last();
    for (field, expected, found) in [
        ("tau", tau, points.powers.get(1)),
        ("gamma", gamma, points.hiding.first()),
    ] {
        if found != Some(&expected) {
            return Err(CeremonyRefusal::Points {
                field,
                expected: expected.to_string(),
                found: found.map(ToString::to_string).unwrap_or_default(),
            });
        }
    }
    Ok(())
}

/// A contributor's secrets; wiped when dropped.
struct Secrets {
    tau: Zeroizing<Fr>,
    gamma: Zeroizing<Fr>,
    tau_nonce: Zeroizing<Fr>,
    gamma_nonce: Zeroizing<Fr>,
}

impl Secrets {
    fn draw(rng: &mut impl CryptoRng) -> Result<Self, ProverError> {
        let mut draw = || {
            let x = Zeroizing::new(random_scalar(rng));
            if x.is_zero() || x.is_one() {
                return Err(ProverError::Circuit(
                    "the generator of randomness is broken".into(),
                ));
            }
            Ok(x)
        };
        Ok(Self {
            tau: draw()?,
            gamma: draw()?,
            tau_nonce: draw()?,
            gamma_nonce: draw()?,
        })
    }
}

fn sign(
    before: &Transcript,
    points: &Points,
    name: &str,
    key: &SigningKey,
    secrets: &Secrets,
) -> Result<Contribution, ProverError> {
    let (tau, gamma) = before.last();
    let powers = |i: usize| points.powers.get(i).copied().unwrap_or_default();
    let statement = Statement {
        name: name.into(),
        key: key.verifying_key().to_bytes(),
        tau: powers(1),
        gamma: points.hiding.first().copied().unwrap_or_default(),
        points: Points::digest(&points.encode()),
        tau_nonce: scale(&tau, &secrets.tau_nonce).into_affine(),
        gamma_nonce: scale(&gamma, &secrets.gamma_nonce).into_affine(),
    };
    let c = challenge(&before.head(), &tau, &gamma, &statement);
    let mut contribution = Contribution {
        statement,
        tau_answer: *secrets.tau_nonce + c * *secrets.tau,
        gamma_answer: *secrets.gamma_nonce + c * *secrets.gamma,
        signature: [0; 64],
    };
    let message = contribution.message(&before.head());
    contribution.signature = key.sign(&message).to_bytes();
    Ok(contribution)
}
