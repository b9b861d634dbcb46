//! The structured reference string of Marlin (MAR-4, MAR-11): powers of tau in
//! G1 up to a maximum degree D that nobody exceeds, three hiding powers, and in
//! G2 tau and one shift for each size of a sumcheck. Made on one machine
//! ([`Srs::dev`]) or by a ceremony ([`Ceremony`], CER).

mod ceremony;
mod points;

pub use ceremony::{Ceremony, max_bytes};
pub use points::{Progress, silent};

use crate::{ProverError, marlin::random_scalar, msm::msm};
use ark_bls12_381::{Fr, G1Affine, G1Projective};
use ark_ff::Zero;
use points::{Points, invalid};
use rand_core::CryptoRng;
use veilbourse_core::{
    digest::Digest,
    wire::{Reader, Writer},
};
use veilbourse_verifier::{
    ceremony::{Claim, MAX_TRANSCRIPT_BYTES, Transcript, srs_digest},
    marlin::{MAX_LOG_SIZE, VerifyingKey, shift_exponent},
};
use zeroize::Zeroizing;

const MAGIC: &[u8; 8] = b"VBSRS\0\0\x02";

/// Who knows tau.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provenance {
    /// Made locally: whoever made it could have kept tau and could forge.
    Dev,
    /// By a ceremony with this transcript: only all contributors together, each
    /// having kept its secret, know tau (CER-8).
    Ceremony(Box<Transcript>),
}

impl Provenance {
    /// As receipts print it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Ceremony(_) => "ceremony",
        }
    }

    /// The ceremony's transcript.
    pub fn transcript(&self) -> Option<&Transcript> {
        match self {
            Self::Dev => None,
            Self::Ceremony(t) => Some(t),
        }
    }

    /// What documents say of it, where it is a ceremony.
    pub fn claim(&self) -> Option<Claim> {
        self.transcript().and_then(|t| t.claim().ok())
    }
}

/// A structured reference string; checked when loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Srs {
    provenance: Provenance,
    points: Points,
    digest: Digest,
}

impl Srs {
    /// Makes one locally for circuits of up to 2^log_rows rows and
    /// 2^(log_rows + 1) non-zeros. tau is wiped, but nobody else can know.
    pub fn dev(log_rows: u32, rng: &mut impl CryptoRng) -> Result<Self, ProverError> {
        if !(2..MAX_LOG_SIZE).contains(&log_rows) {
            return Err(ProverError::Circuit(format!(
                "an SRS for 2^{log_rows} rows"
            )));
        }
        let tau = Zeroizing::new(random_scalar(rng));
        let gamma = Zeroizing::new(random_scalar(rng));
        if tau.is_zero() || gamma.is_zero() {
            return Err(ProverError::Circuit(
                "the generator of randomness is broken".into(),
            ));
        }
        let points = Points::of(3 << log_rows, &tau, &gamma)?;
        Ok(Self::new(Provenance::Dev, points))
    }

    fn new(provenance: Provenance, points: Points) -> Self {
        let of_points = Points::digest(&points.encode());
        let digest = srs_digest(provenance.claim().as_ref(), points.degree(), &of_points);
        Self {
            provenance,
            points,
            digest,
        }
    }

    /// Who knows tau.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// Digest of the whole string: over provenance, degree and points.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// D.
    pub fn max_degree(&self) -> u64 {
        self.points.degree()
    }

    /// Commits to a polynomial given by coefficients.
    pub(crate) fn commit(&self, p: &[Fr]) -> Result<G1Projective, ProverError> {
        self.commit_at(0, p)
    }

    /// Commits to X^(D - size + 2) p, for the bound deg p <= size - 2 (MAR-4).
    pub(crate) fn commit_shifted(&self, p: &[Fr], size: u64) -> Result<G1Projective, ProverError> {
        let shift = shift_exponent(self.max_degree(), size)
            .ok_or_else(|| ProverError::Circuit(format!("the SRS is too small for {size}")))?;
        self.commit_at(shift as usize, p)
    }

    fn commit_at(&self, offset: usize, p: &[Fr]) -> Result<G1Projective, ProverError> {
        let bases = self
            .points
            .powers
            .get(offset..offset + p.len())
            .ok_or_else(|| {
                ProverError::Circuit(format!(
                    "degree {} exceeds the SRS's {}",
                    offset + p.len().saturating_sub(1),
                    self.max_degree()
                ))
            })?;
        Ok(msm(bases, p))
    }

    /// The hiding part of a commitment.
    pub(crate) fn commit_blinding(&self, p: &[Fr]) -> Result<G1Projective, ProverError> {
        let bases =
            self.points.hiding.get(..p.len()).ok_or_else(|| {
                ProverError::Circuit("a hiding polynomial of degree over 2".into())
            })?;
        Ok(msm(bases, p))
    }

    pub(crate) fn verifying_key(
        &self,
        log_rows: u32,
        log_nonzeros: u32,
        public_inputs: usize,
        index: [G1Affine; 6],
    ) -> Result<VerifyingKey, ProverError> {
        let too_small = || {
            ProverError::Circuit(format!(
                "an SRS of degree {} is too small for 2^{log_rows} rows and 2^{log_nonzeros} \
                 non-zeros",
                self.max_degree()
            ))
        };
        if (3u64 << log_rows).max(1 << log_nonzeros) > self.max_degree() {
            return Err(too_small());
        }
        let shift = |log: u32| {
            log.checked_sub(2)
                .and_then(|i| self.points.shifts.get(i as usize))
                .copied()
        };
        Ok(VerifyingKey {
            log_rows,
            log_nonzeros,
            public_inputs: u32::try_from(public_inputs).map_err(|_| too_small())?,
            max_degree: self.max_degree(),
            srs: self.digest,
            index,
            g: *self.points.powers.first().ok_or_else(too_small)?,
            gamma_g: self.points.hiding[0],
            h: self.points.h,
            tau_h: self.points.tau_h,
            shift_rows: shift(log_rows).ok_or_else(too_small)?,
            shift_nonzeros: shift(log_nonzeros).ok_or_else(too_small)?,
        })
    }

    /// The file's bytes: magic, digest, provenance with a ceremony's transcript,
    /// degree, points.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.raw(MAGIC).raw(&self.digest.0);
        match &self.provenance {
            Provenance::Dev => w.u8(1),
            Provenance::Ceremony(t) => w.u8(2).bytes(&t.encode()),
        };
        w.u64(self.max_degree()).raw(&self.points.encode());
        w.finish()
    }

    /// [`Self::load`] without a word on its progress.
    pub fn decode(bytes: &[u8], rng: &mut impl CryptoRng) -> Result<Self, ProverError> {
        Self::load(bytes, rng, &silent)
    }

    /// Reads and verifies a file (MAR-11): format and size, digest, a ceremony's
    /// transcript and that it ends with these points (CER-7, CER-8), every point
    /// in its group, all powers consistent by pairings of random combinations,
    /// nothing degenerate. `rng` draws the combinations.
    pub fn load(
        bytes: &[u8],
        rng: &mut impl CryptoRng,
        progress: Progress<'_>,
    ) -> Result<Self, ProverError> {
        let mut r = Reader::new(bytes);
        if !Self::is_one(r.take("srs.magic", MAGIC.len())?) {
            return Err(invalid("srs.magic", "not an SRS of version 2"));
        }
        let stated = Digest(r.array("srs.digest")?);
        let provenance = match r.u8("srs.provenance")? {
            1 => Provenance::Dev,
            2 => {
                let transcript = r.bytes("srs.transcript", MAX_TRANSCRIPT_BYTES)?;
                Provenance::Ceremony(Box::new(Transcript::decode(transcript)?))
            }
            v => return Err(invalid("srs.provenance", &format!("unknown kind {v}"))),
        };
        let claim = match &provenance {
            Provenance::Dev => None,
            Provenance::Ceremony(t) => Some(t.claim()?),
        };
        let degree = r.u64("srs.degree")?;
        let rest = bytes.get(bytes.len() - r.remaining()..).unwrap_or_default();
        let of_points = Points::digest(rest);
        if srs_digest(claim.as_ref(), degree, &of_points) != stated {
            return Err(invalid("srs.digest", "does not match the contents"));
        }
        if let Some(t) = provenance.transcript()
            && t.header().degree != degree
        {
            return Err(invalid(
                "srs.degree",
                &format!("{degree}, its ceremony's is {}", t.header().degree),
            ));
        }
        let points = Points::read(&mut r, degree, progress)?;
        r.finish("srs")?;
        if let Some(t) = provenance.transcript() {
            ceremony::ends_with(t, &points, &of_points)?;
        }
        points.check(rng, progress)?;
        Ok(Self {
            provenance,
            points,
            digest: stated,
        })
    }

    /// Whether a file starts like an SRS of this version.
    pub fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }
}

#[cfg(test)]
mod ceremony_tests;
#[cfg(test)]
mod tests;
