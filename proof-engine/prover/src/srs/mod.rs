//! The structured reference string of Marlin (MAR-4, MAR-11): powers of tau in
//! G1 up to a maximum degree D that nobody exceeds, three hiding powers, and in
//! G2 tau and one shift for each size of a sumcheck.

use crate::{ProverError, marlin::random_scalar, msm::msm};
use ark_bls12_381::{Bls12_381, Fr, G1Affine, G1Projective, G2Affine, G2Projective};
use ark_ec::{
    AffineRepr, CurveGroup, PrimeGroup, pairing::Pairing, scalar_mul::BatchMulPreprocessing,
};
use ark_ff::{Field, One, Zero};
use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};
use rand_core::CryptoRng;
use rayon::prelude::*;
use veilbourse_core::{
    digest::{Digest, Domain},
    wire::{Reader, WireError, Writer},
};
use veilbourse_verifier::marlin::{MAX_LOG_SIZE, VerifyingKey, shift_exponent};
use zeroize::Zeroize;

const MAGIC: &[u8; 8] = b"VBSRS\0\0\x01";
const G1_BYTES: usize = 96;
const G2_BYTES: usize = 192;
/// Hiding powers: gamma, gamma tau, gamma tau^2.
const HIDING: usize = 3;

/// Who knows tau.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provenance {
    /// Made locally: whoever made it could have kept tau and could forge.
    Dev,
}

impl Provenance {
    /// As receipts print it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
        }
    }
}

/// A structured reference string; checked when loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Srs {
    provenance: Provenance,
    /// tau^i g, i = 0..=D.
    powers: Vec<G1Affine>,
    /// gamma tau^i g.
    hiding: [G1Affine; HIDING],
    h: G2Affine,
    tau_h: G2Affine,
    /// tau^(D - (2^j - 2)) h for j = 2.. while the exponent is not negative.
    shifts: Vec<G2Affine>,
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
        let degree = 3usize << log_rows;
        let (mut tau, mut gamma) = (random_scalar(rng), random_scalar(rng));
        if tau.is_zero() || gamma.is_zero() {
            return Err(ProverError::Circuit(
                "the generator of randomness is broken".into(),
            ));
        }
        let mut scalars = Vec::with_capacity(degree + 1 + HIDING);
        let mut power = Fr::one();
        for _ in 0..=degree {
            scalars.push(power);
            power *= tau;
        }
        scalars.extend([gamma, gamma * tau, gamma * tau * tau]);
        let table = BatchMulPreprocessing::new(G1Projective::generator(), scalars.len());
        let mut powers = table.batch_mul(&scalars);
        let hiding = powers.split_off(degree + 1);
        let hiding: [G1Affine; HIDING] = hiding
            .try_into()
            .map_err(|_| ProverError::Circuit("three hiding powers".into()))?;
        let h = G2Projective::generator();
        let shifts: Vec<G2Projective> =
            exponents(degree as u64).map(|e| h * tau.pow([e])).collect();
        let (h, tau_h) = (h.into_affine(), (h * tau).into_affine());
        let shifts = G2Projective::normalize_batch(&shifts);
        scalars.zeroize();
        power.zeroize();
        tau.zeroize();
        gamma.zeroize();
        let mut srs = Self {
            provenance: Provenance::Dev,
            powers,
            hiding,
            h,
            tau_h,
            shifts,
            digest: Digest::default(),
        };
        srs.digest = digest(&srs.body());
        Ok(srs)
    }

    /// Who knows tau.
    pub fn provenance(&self) -> Provenance {
        self.provenance
    }

    /// Digest of the whole string.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// D.
    pub fn max_degree(&self) -> u64 {
        self.powers.len() as u64 - 1
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
        let bases = self.powers.get(offset..offset + p.len()).ok_or_else(|| {
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
        let bases = self
            .hiding
            .get(..p.len())
            .ok_or_else(|| ProverError::Circuit("a hiding polynomial of degree over 2".into()))?;
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
                .and_then(|i| self.shifts.get(i as usize))
                .copied()
        };
        Ok(VerifyingKey {
            log_rows,
            log_nonzeros,
            public_inputs: u32::try_from(public_inputs).map_err(|_| too_small())?,
            max_degree: self.max_degree(),
            srs: self.digest,
            index,
            g: *self.powers.first().ok_or_else(too_small)?,
            gamma_g: self.hiding[0],
            h: self.h,
            tau_h: self.tau_h,
            shift_rows: shift(log_rows).ok_or_else(too_small)?,
            shift_nonzeros: shift(log_nonzeros).ok_or_else(too_small)?,
        })
    }

    fn body(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(match self.provenance {
            Provenance::Dev => 1,
        });
        w.u64(self.max_degree());
        let mut bytes = Vec::new();
        for p in self.powers.iter().chain(&self.hiding) {
            // Writing to a Vec cannot fail.
            let _ = p.serialize_uncompressed(&mut bytes);
        }
        for p in [&self.h, &self.tau_h].into_iter().chain(&self.shifts) {
            let _ = p.serialize_uncompressed(&mut bytes);
        }
        w.raw(&bytes);
        w.finish()
    }

    /// The file's bytes: magic, digest, body.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&self.digest.0);
        out.extend_from_slice(&self.body());
        out
    }

    /// Reads and verifies a file (MAR-11): format and size, digest, every point
    /// in its group, all powers consistent by pairings of random combinations,
    /// nothing degenerate. `rng` draws the combinations.
    pub fn decode(bytes: &[u8], rng: &mut impl CryptoRng) -> Result<Self, ProverError> {
        let mut r = Reader::new(bytes);
        if r.take("srs.magic", 8)? != MAGIC {
            return Err(invalid("srs.magic", "not an SRS of version 1"));
        }
        let stated = Digest(r.array("srs.digest")?);
        if digest(bytes.get(40..).unwrap_or_default()) != stated {
            return Err(invalid("srs.digest", "does not match the contents"));
        }
        let provenance = match r.u8("srs.provenance")? {
            1 => Provenance::Dev,
            v => return Err(invalid("srs.provenance", &format!("unknown kind {v}"))),
        };
        let degree = r.u64("srs.degree")?;
        let limit = 4u64 << MAX_LOG_SIZE;
        if degree > limit {
            return Err(WireError::TooLarge {
                field: "srs.degree",
                limit,
                value: degree,
            }
            .into());
        }
        let mut powers = g1_points(&mut r, degree as usize + 1)?;
        let hiding: [G1Affine; HIDING] = g1_points(&mut r, HIDING)?
            .try_into()
            .map_err(|_| invalid("srs.hiding", "three points"))?;
        let mut g2 = g2_points(&mut r, 2 + exponents(degree).count())?;
        r.finish("srs")?;
        let shifts = g2.split_off(2);
        powers.shrink_to_fit();
        let srs = Self {
            provenance,
            powers,
            hiding,
            h: g2[0],
            tau_h: g2[1],
            shifts,
            digest: stated,
        };
        srs.check(rng)?;
        Ok(srs)
    }

    fn check(&self, rng: &mut impl CryptoRng) -> Result<(), ProverError> {
        let degenerate = self
            .powers
            .iter()
            .take(2)
            .chain(&self.hiding)
            .any(|p| p.is_zero())
            || self.h.is_zero()
            || self.tau_h.is_zero();
        if degenerate || self.powers.len() < 2 || self.powers[1] == self.powers[0] {
            return Err(invalid("srs", "degenerate"));
        }
        // sum r_i P_i against tau: e(sum r_i P_(i+1), h) = e(sum r_i P_i, tau h).
        let chain = |points: &[G1Affine], rng: &mut _| {
            let r: Vec<Fr> = (1..points.len()).map(|_| random_scalar(rng)).collect();
            let low = msm(&points[..points.len() - 1], &r);
            let high = msm(&points[1..], &r);
            Bls12_381::multi_pairing([high, -low], [self.h, self.tau_h]).is_zero()
        };
        if !chain(&self.powers, rng) || !chain(&self.hiding, rng) {
            return Err(invalid("srs.powers", "are not consecutive powers"));
        }
        let top = self.powers[self.powers.len() - 1];
        for (e, shift) in exponents(self.max_degree()).zip(&self.shifts) {
            // e(tau^(D - e) g, tau^e h) = e(tau^D g, h).
            let low = self.powers[(self.max_degree() - e) as usize];
            if !Bls12_381::multi_pairing([low, -top], [*shift, self.h]).is_zero() {
                return Err(invalid("srs.shifts", "are not the powers they stand for"));
            }
        }
        Ok(())
    }
}

/// D - (2^j - 2), j = 2.., while not negative.
fn exponents(degree: u64) -> impl Iterator<Item = u64> {
    (2..=MAX_LOG_SIZE + 1).map_while(move |j| shift_exponent(degree, 1 << j))
}

fn digest(body: &[u8]) -> Digest {
    Digest::of(Domain::Other("veilbourse v1 srs"), body)
}

fn g1_points(r: &mut Reader<'_>, n: usize) -> Result<Vec<G1Affine>, ProverError> {
    let bytes = r.take("srs.g1", n * G1_BYTES)?;
    bytes
        .par_chunks(G1_BYTES)
        .map(|b| {
            G1Affine::deserialize_uncompressed(b).map_err(|_| invalid("srs.g1", "not in the group"))
        })
        .collect()
}

fn g2_points(r: &mut Reader<'_>, n: usize) -> Result<Vec<G2Affine>, ProverError> {
    let bytes = r.take("srs.g2", n * G2_BYTES)?;
    bytes
        .chunks(G2_BYTES)
        .map(|b| {
            G2Affine::deserialize_uncompressed(b).map_err(|_| invalid("srs.g2", "not in the group"))
        })
        .collect()
}

fn invalid(field: &'static str, reason: &str) -> ProverError {
    WireError::Invalid {
        field,
        reason: reason.into(),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::SeedableRng;

    #[test]
    fn files_are_verified_when_loaded() {
        // MAR-11
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
        let srs = Srs::dev(3, &mut rng).unwrap();
        let bytes = srs.encode();
        assert_eq!(Srs::decode(&bytes, &mut rng).unwrap(), srs);
        for at in [0, 9, 40, 41, 60, 2000, bytes.len() - 1] {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert!(Srs::decode(&bad, &mut rng).is_err(), "byte {at}");
        }
        for cut in [0, 7, 39, 48, bytes.len() - 1] {
            assert!(Srs::decode(&bytes[..cut], &mut rng).is_err());
        }
        // With a right digest, the powers themselves are checked.
        let reject = |change: &dyn Fn(&mut Srs), field: &str| {
            let mut bad = srs.clone();
            change(&mut bad);
            bad.digest = digest(&bad.body());
            let e = Srs::decode(
                &bad.encode(),
                &mut rand_chacha::ChaCha20Rng::seed_from_u64(2),
            )
            .unwrap_err();
            assert!(e.to_string().starts_with(field), "{e} is not about {field}");
        };
        reject(&|s| s.powers.swap(3, 4), "srs.powers");
        reject(&|s| s.hiding.swap(1, 2), "srs.powers");
        reject(&|s| s.shifts.swap(0, 1), "srs.shifts");
        reject(&|s| s.tau_h = s.h, "srs.powers");
        reject(&|s| s.powers[0] = G1Affine::zero(), "srs");
        assert!(Srs::dev(1, &mut rng).is_err());
    }
}
