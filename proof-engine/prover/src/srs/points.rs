//! The points of a reference string: their bytes, their multiplication by
//! secrets, and the check that they are the powers they stand for (MAR-11,
//! CER-7).

use crate::{
    ProverError,
    marlin::random_scalar,
    msm::{msm, scale},
};
use ark_bls12_381::{Bls12_381, Fr, G1Affine, G1Projective, G2Affine, G2Projective};
use ark_ec::{
    AffineRepr, CurveGroup, PrimeGroup, pairing::Pairing, scalar_mul::BatchMulPreprocessing,
};
use ark_ff::{Field, One, Zero};
use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};
use rand_core::CryptoRng;
use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};
use veilbourse_core::{
    digest::{Digest, Domain},
    wire::{Reader, WireError},
};
use veilbourse_verifier::marlin::{MAX_LOG_SIZE, shift_exponent};
use zeroize::{Zeroize, Zeroizing};

const G1_BYTES: usize = 96;
const G2_BYTES: usize = 192;
/// Hiding powers: gamma, gamma tau, gamma tau^2.
pub(super) const HIDING: usize = veilbourse_verifier::ceremony::HIDING_POWERS as usize;
/// Greatest degree.
pub(super) const MAX_DEGREE: u64 = 4 << MAX_LOG_SIZE;
/// Points between two reports of progress, and to a thread at a time.
const PIECE: usize = 1 << 10;

/// Told how far a long step is: its name, points done, points in all.
pub type Progress<'a> = &'a (dyn Fn(&'static str, u64, u64) + Sync);

/// Tells nobody.
pub fn silent(_: &'static str, _: u64, _: u64) {}

/// Everything of a string but where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Points {
    /// tau^i g, i = 0..=D.
    pub powers: Vec<G1Affine>,
    /// gamma tau^i g.
    pub hiding: [G1Affine; HIDING],
    pub h: G2Affine,
    pub tau_h: G2Affine,
    /// tau^(D - (2^j - 2)) h for j = 2.. while the exponent is not negative.
    pub shifts: Vec<G2Affine>,
}

impl Points {
    /// tau = gamma = 1: where a ceremony starts.
    pub fn start(degree: u64) -> Self {
        let (g, h) = (G1Affine::generator(), G2Affine::generator());
        Self {
            powers: vec![g; degree as usize + 1],
            hiding: [g; HIDING],
            h,
            tau_h: h,
            shifts: vec![h; exponents(degree).count()],
        }
    }

    /// Those of tau and gamma, by whoever knows both.
    pub fn of(degree: u64, tau: &Fr, gamma: &Fr) -> Result<Self, ProverError> {
        let length = degree as usize + 1;
        let mut scalars = Zeroizing::new(Vec::with_capacity(length + HIDING));
        let mut power = Fr::one();
        for _ in 0..length {
            scalars.push(power);
            power *= tau;
        }
        power.zeroize();
        scalars.extend([*gamma, *gamma * tau, *gamma * tau * tau]);
        let table = BatchMulPreprocessing::new(G1Projective::generator(), scalars.len());
        let mut powers = table.batch_mul(&scalars);
        let hiding: [G1Affine; HIDING] = powers
            .split_off(length)
            .try_into()
            .map_err(|_| ProverError::Circuit("three hiding powers".into()))?;
        Ok(Self {
            powers,
            hiding,
            ..Self::start(0)
        }
        .with_g2(degree, tau))
    }

    fn with_g2(self, degree: u64, tau: &Fr) -> Self {
        let h = G2Projective::generator();
        let shifts: Vec<G2Projective> = exponents(degree).map(|e| h * tau.pow([e])).collect();
        Self {
            h: h.into_affine(),
            tau_h: (h * tau).into_affine(),
            shifts: G2Projective::normalize_batch(&shifts),
            ..self
        }
    }

    /// D.
    pub fn degree(&self) -> u64 {
        (self.powers.len() as u64).saturating_sub(1)
    }

    /// tau and gamma multiplied by secrets. In G1 the multiplications take the
    /// same time whatever the secret; the two dozen in G2 do not.
    pub fn scaled(&self, tau: &Fr, gamma: &Fr, progress: Progress<'_>) -> Self {
        let (done, total) = (Mutex::new(0), self.powers.len() as u64);
        let powers = self
            .powers
            .par_chunks(PIECE)
            .enumerate()
            .flat_map_iter(|(i, points)| {
                let mut power = Zeroizing::new(tau.pow([(i * PIECE) as u64]));
                let mut out = Vec::with_capacity(points.len());
                for p in points {
                    out.push(scale(p, &power));
                    *power *= tau;
                }
                tell(progress, "multiply", &done, points.len(), total);
                G1Projective::normalize_batch(&out)
            })
            .collect();
        let mut factor = Zeroizing::new(*gamma);
        let hiding = self.hiding.map(|p| {
            let scaled = scale(&p, &factor).into_affine();
            *factor *= tau;
            scaled
        });
        let shifts: Vec<G2Projective> = exponents(self.degree())
            .zip(&self.shifts)
            .map(|(e, p)| *p * *Zeroizing::new(tau.pow([e])))
            .collect();
        Self {
            powers,
            hiding,
            h: self.h,
            tau_h: (self.tau_h * tau).into_affine(),
            shifts: G2Projective::normalize_batch(&shifts),
        }
    }

    /// The points' bytes, uncompressed.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length(self.degree()));
        for p in self.powers.iter().chain(&self.hiding) {
            // Writing to a Vec cannot fail.
            let _ = p.serialize_uncompressed(&mut bytes);
        }
        for p in [&self.h, &self.tau_h].into_iter().chain(&self.shifts) {
            let _ = p.serialize_uncompressed(&mut bytes);
        }
        bytes
    }

    /// Digest of the points' bytes.
    pub fn digest(bytes: &[u8]) -> Digest {
        Digest::of(Domain::Other("veilbourse v1 srs points"), bytes)
    }

    /// Reads the points of a string of a degree, to the end of the input: each
    /// canonical, on the curve and in its group. Says nothing of their powers.
    pub fn read(
        r: &mut Reader<'_>,
        degree: u64,
        progress: Progress<'_>,
    ) -> Result<Self, ProverError> {
        if degree > MAX_DEGREE {
            return Err(WireError::TooLarge {
                field: "srs.degree",
                limit: MAX_DEGREE,
                value: degree,
            }
            .into());
        }
        let powers = g1_points(r, degree as usize + 1, progress)?;
        let hiding: [G1Affine; HIDING] = g1_points(r, HIDING, &silent)?
            .try_into()
            .map_err(|_| invalid("srs.hiding", "three points"))?;
        let mut g2 = g2_points(r, 2 + exponents(degree).count())?;
        let shifts = g2.split_off(2);
        let (Some(h), Some(tau_h)) = (g2.first(), g2.get(1)) else {
            return Err(invalid("srs.g2", "two points and the shifts"));
        };
        Ok(Self {
            powers,
            hiding,
            h: *h,
            tau_h: *tau_h,
            shifts,
        })
    }

    /// That these are powers of one tau, times one gamma, and the shifts what
    /// they stand for. Wrong points pass with probability at most 2^-253: two
    /// random combinations with uniform scalars, drawn from `rng`.
    pub fn check(
        &self,
        rng: &mut impl CryptoRng,
        progress: Progress<'_>,
    ) -> Result<(), ProverError> {
        let (Some(g), Some(tau_g), Some(top)) =
            (self.powers.first(), self.powers.get(1), self.powers.last())
        else {
            return Err(invalid("srs", "degenerate"));
        };
        let zero = [g, tau_g].into_iter().chain(&self.hiding);
        if zero.into_iter().any(AffineRepr::is_zero)
            || self.h.is_zero()
            || self.tau_h.is_zero()
            || tau_g == g
        {
            return Err(invalid("srs", "degenerate"));
        }
        if *g != G1Affine::generator() || self.h != G2Affine::generator() {
            return Err(invalid("srs.generators", "are not those of the groups"));
        }
        progress("check", 0, 3);
        for (points, done) in [(&self.powers[..], 1), (&self.hiding[..], 2)] {
            if !self.consecutive(points, rng) {
                return Err(invalid("srs.powers", "are not consecutive powers"));
            }
            progress("check", done, 3);
        }
        for (e, shift) in exponents(self.degree()).zip(&self.shifts) {
            // e(tau^(D - e) g, tau^e h) = e(tau^D g, h).
            let low = self.powers.get(self.degree().saturating_sub(e) as usize);
            let low = *low.ok_or_else(|| invalid("srs.shifts", "beyond the degree"))?;
            if !Bls12_381::multi_pairing([low, -*top], [*shift, self.h]).is_zero() {
                return Err(invalid("srs.shifts", "are not the powers they stand for"));
            }
        }
        progress("check", 3, 3);
        Ok(())
    }

    /// e(sum r_i P_(i+1), h) = e(sum r_i P_i, tau h).
    fn consecutive(&self, points: &[G1Affine], rng: &mut impl CryptoRng) -> bool {
        let (Some((_, high)), Some((_, low))) = (points.split_first(), points.split_last()) else {
            return false;
        };
        let r: Vec<Fr> = high.iter().map(|_| random_scalar(rng)).collect();
        let (low, high) = (msm(low, &r), msm(high, &r));
        Bls12_381::multi_pairing([high, -low], [self.h, self.tau_h]).is_zero()
    }
}

/// D - (2^j - 2), j = 2.., while not negative.
pub(super) fn exponents(degree: u64) -> impl Iterator<Item = u64> {
    (2..=MAX_LOG_SIZE + 1).map_while(move |j| shift_exponent(degree, 1 << j))
}

/// Bytes of the points of a string.
pub(super) fn length(degree: u64) -> usize {
    (degree as usize + 1 + HIDING) * G1_BYTES + (2 + exponents(degree).count()) * G2_BYTES
}

/// One report at a time, so that they never go back.
fn tell(progress: Progress<'_>, stage: &'static str, done: &Mutex<u64>, more: usize, total: u64) {
    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
    *done = done.saturating_add(more as u64);
    progress(stage, *done, total);
}

fn g1_points(
    r: &mut Reader<'_>,
    n: usize,
    progress: Progress<'_>,
) -> Result<Vec<G1Affine>, ProverError> {
    let bytes = r.take("srs.g1", n.saturating_mul(G1_BYTES))?;
    let done = Mutex::new(0);
    let parts: Vec<Vec<G1Affine>> = bytes
        .par_chunks(PIECE * G1_BYTES)
        .map(|piece| {
            let points = piece
                .chunks(G1_BYTES)
                .map(|b| canonical(b, "srs.g1"))
                .collect::<Result<Vec<_>, _>>()?;
            tell(progress, "read", &done, points.len(), n as u64);
            Ok::<_, ProverError>(points)
        })
        .collect::<Result<_, _>>()?;
    Ok(parts.concat())
}

fn g2_points(r: &mut Reader<'_>, n: usize) -> Result<Vec<G2Affine>, ProverError> {
    let bytes = r.take("srs.g2", n.saturating_mul(G2_BYTES))?;
    bytes
        .chunks(G2_BYTES)
        .map(|b| canonical(b, "srs.g2"))
        .collect()
}

/// A point with full checks: on the curve, in the group, and with exactly these
/// bytes.
fn canonical<P: CanonicalDeserialize + CanonicalSerialize>(
    bytes: &[u8],
    field: &'static str,
) -> Result<P, ProverError> {
    let p = P::deserialize_uncompressed(bytes).map_err(|_| invalid(field, "not in the group"))?;
    let mut again = Vec::with_capacity(bytes.len());
    // Writing to a Vec cannot fail.
    let _ = p.serialize_uncompressed(&mut again);
    if again == bytes {
        Ok(p)
    } else {
        Err(invalid(field, "not the canonical bytes of a point"))
    }
}

pub(super) fn invalid(field: &'static str, reason: &str) -> ProverError {
    WireError::Invalid {
        field,
        reason: reason.into(),
    }
    .into()
}
