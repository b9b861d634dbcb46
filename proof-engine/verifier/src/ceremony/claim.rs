//! What documents say of a ceremony, and what backs it (CER-6, CER-8..CER-10):
//! a string's digest is made of its provenance, its degree and the digest of its
//! points, so a transcript alone shows which string its ceremony ended with.

use super::{CeremonyRefusal, MIN_CONTRIBUTIONS, Transcript};
use crate::{linear::CircuitKey, marlin::VerifyingKey};
use ark_bls12_381::{Bls12_381, G1Affine, G2Affine};
use ark_ec::{AffineRepr, pairing::Pairing};
use ark_ff::Zero;
use veilbourse_core::{
    digest::{Digest, Domain},
    wire::Writer,
};

/// "Ceremony, this transcript, so many contributors": what receipts name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// [`Transcript::head`] at the end.
    pub transcript: Digest,
    /// Contributions in it.
    pub contributors: u32,
}

impl From<(Digest, u32)> for Claim {
    fn from((transcript, contributors): (Digest, u32)) -> Self {
        Self {
            transcript,
            contributors,
        }
    }
}

/// The digest that names a string: over where it comes from (`None`: dev), its
/// degree and the digest of its points (CER-6).
pub fn srs_digest(claim: Option<&Claim>, degree: u64, points: &Digest) -> Digest {
    let mut w = Writer::new();
    match claim {
        None => w.u8(1),
        Some(c) => w.u8(2).raw(&c.transcript.0).u32(c.contributors),
    };
    w.u64(degree).raw(&points.0);
    Digest::of(Domain::Other("veilbourse v1 srs"), &w.finish())
}

impl Transcript {
    /// What documents may say of it, once it has contributors enough (CER-8).
    pub fn claim(&self) -> Result<Claim, CeremonyRefusal> {
        if self.len() < MIN_CONTRIBUTIONS {
            return Err(CeremonyRefusal::TooFew {
                limit: MIN_CONTRIBUTIONS,
                value: self.len(),
            });
        }
        Ok(Claim {
            transcript: self.head(),
            contributors: self.len(),
        })
    }

    /// The digest of the string that it ends with.
    pub fn srs(&self) -> Result<Digest, CeremonyRefusal> {
        let claim = self.claim()?;
        let points = self.points().unwrap_or_default();
        Ok(srs_digest(Some(&claim), self.header().degree, &points))
    }

    /// Whether a verifying key's g, gamma g, h and tau h are the ceremony's
    /// (CER-10). Its shifts and index commitments need the whole string.
    pub fn check_key(&self, key: &VerifyingKey) -> Result<(), CeremonyRefusal> {
        let (tau, gamma) = self.last();
        let (g, h) = (G1Affine::generator(), G2Affine::generator());
        let checks = [
            ("srs", key.srs == self.srs()?),
            ("max_degree", key.max_degree == self.header().degree),
            ("g", key.g == g),
            ("gamma_g", key.gamma_g == gamma),
            ("h", key.h == h),
            (
                "tau_h",
                Bls12_381::multi_pairing([tau, -g], [h, key.tau_h]).is_zero(),
            ),
        ];
        match checks.into_iter().find(|(_, holds)| !holds) {
            Some((field, _)) => Err(CeremonyRefusal::VerifyingKey { field }),
            None => Ok(()),
        }
    }
}

/// Whether a transcript shows what is claimed of the string `srs`, and verifying
/// keys are under it (CER-10); without a claim there must be none (CER-9).
/// Returns the transcript.
pub fn backed(
    srs: &Digest,
    claimed: Option<Claim>,
    transcript: Option<&[u8]>,
    keys: &[CircuitKey],
) -> Result<Option<Transcript>, CeremonyRefusal> {
    let (claimed, bytes) = match (claimed, transcript) {
        (None, None) => return Ok(None),
        (None, Some(_)) => return Err(CeremonyRefusal::Unasked),
        (Some(_), None) => return Err(CeremonyRefusal::Missing),
        (Some(c), Some(b)) => (c, b),
    };
    let transcript = Transcript::decode(bytes)?;
    let shown = transcript.claim()?;
    if claimed.contributors != shown.contributors {
        return Err(CeremonyRefusal::claim(
            "contributors",
            &shown.contributors,
            &claimed.contributors,
        ));
    }
    if claimed.transcript != shown.transcript {
        return Err(CeremonyRefusal::claim(
            "transcript",
            &shown.transcript,
            &claimed.transcript,
        ));
    }
    let expected = transcript.srs()?;
    if *srs != expected {
        return Err(CeremonyRefusal::claim("srs", &expected, srs));
    }
    for key in keys {
        transcript.check_key(key.marlin())?;
    }
    Ok(Some(transcript))
}
