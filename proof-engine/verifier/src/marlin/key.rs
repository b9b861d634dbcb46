//! The verifying key: sizes, index commitments, and the few elements of the
//! structured reference string that verification needs (MAR-2, MAR-4).

use super::{MAX_LOG_SIZE, MarlinRefusal, point_bytes, power};
use ark_bls12_381::{Fr, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_ff::{FftField, Field, One, Zero, batch_inversion};
use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};
use veilbourse_core::{
    digest::{Digest, Domain},
    wire::{Reader, WireError, Writer},
};

const KEY_VERSION: u16 = 1;

/// tau^(D - d) in G2: a degree bound d is enforced by e(C', h) = e(C, shift)
/// where C' commits to X^(D-d) p and no power above D is known (MAR-4).
pub type Shift = G2Affine;

/// D - d for the bound d = size - 2 of a sumcheck over `size` points.
pub fn shift_exponent(max_degree: u64, size: u64) -> Option<u64> {
    max_degree.checked_sub(size.checked_sub(2)?)
}

/// What verifies proofs about one circuit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    /// log2 |H|.
    pub log_rows: u32,
    /// log2 |K|.
    pub log_nonzeros: u32,
    /// Number of public inputs, the constant one not counted.
    pub public_inputs: u32,
    /// Highest power of tau that anyone knows.
    pub max_degree: u64,
    /// Digest of the structured reference string.
    pub srs: Digest,
    /// Commitments to row, col, row*col, val_A, val_B, val_C over K.
    pub index: [G1Affine; 6],
    /// g.
    pub g: G1Affine,
    /// gamma g.
    pub gamma_g: G1Affine,
    /// h.
    pub h: G2Affine,
    /// tau h.
    pub tau_h: G2Affine,
    /// tau^(D - (|H| - 2)) h.
    pub shift_rows: Shift,
    /// tau^(D - (|K| - 2)) h.
    pub shift_nonzeros: Shift,
}

impl VerifyingKey {
    /// The canonical binary form.
    pub fn encode(&self) -> Vec<u8> {
        let Self {
            log_rows,
            log_nonzeros,
            public_inputs,
            max_degree,
            srs,
            index,
            g,
            gamma_g,
            h,
            tau_h,
            shift_rows,
            shift_nonzeros,
        } = self;
        let mut w = Writer::new();
        w.u16(KEY_VERSION)
            .u32(*log_rows)
            .u32(*log_nonzeros)
            .u32(*public_inputs)
            .u64(*max_degree)
            .raw(&srs.0);
        for p in index.iter().chain([g, gamma_g]) {
            w.raw(&point_bytes(p));
        }
        for p in [h, tau_h, shift_rows, shift_nonzeros] {
            let mut bytes = Vec::with_capacity(96);
            let _ = p.serialize_compressed(&mut bytes);
            w.raw(&bytes);
        }
        w.finish()
    }

    /// Reads a key: canonical points of the subgroup, sizes in range.
    pub fn decode(bytes: &[u8]) -> Result<Self, MarlinRefusal> {
        let mut r = Reader::new(bytes);
        let found = r.u16("verifying_key.version")?;
        if found != KEY_VERSION {
            return Err(WireError::Version {
                field: "verifying_key.version",
                expected: u64::from(KEY_VERSION),
                found: u64::from(found),
            }
            .into());
        }
        let log_rows = r.u32("verifying_key.log_rows")?;
        let log_nonzeros = r.u32("verifying_key.log_nonzeros")?;
        let public_inputs = r.u32("verifying_key.public_inputs")?;
        let max_degree = r.u64("verifying_key.max_degree")?;
        let srs = Digest(r.array("verifying_key.srs")?);
        let mut g1 = || read_g1(&mut r, "verifying_key.g1");
        let index = [g1()?, g1()?, g1()?, g1()?, g1()?, g1()?];
        let (g, gamma_g) = (g1()?, g1()?);
        let mut g2 = || {
            let bytes = r.take("verifying_key.g2", 96)?;
            canonical::<G2Affine>(bytes, "verifying_key.g2")
        };
        let (h, tau_h, shift_rows, shift_nonzeros) = (g2()?, g2()?, g2()?, g2()?);
        r.finish("verifying_key")?;
        let key = Self {
            log_rows,
            log_nonzeros,
            public_inputs,
            max_degree,
            srs,
            index,
            g,
            gamma_g,
            h,
            tau_h,
            shift_rows,
            shift_nonzeros,
        };
        key.check()?;
        Ok(key)
    }

    /// Digest of the canonical form.
    pub fn digest(&self) -> Digest {
        Digest::of(Domain::Other("veilbourse v1 verifying key"), &self.encode())
    }

    /// |H|.
    pub fn rows(&self) -> u64 {
        1 << self.log_rows.min(MAX_LOG_SIZE)
    }

    /// |K|.
    pub fn nonzeros(&self) -> u64 {
        1 << self.log_nonzeros.min(MAX_LOG_SIZE)
    }

    /// Where public inputs sit in H.
    pub fn positions(&self) -> Result<InputPositions, MarlinRefusal> {
        InputPositions::new(self.log_rows, self.public_inputs as usize + 1)
            .ok_or_else(|| MarlinRefusal::Key("too many public inputs for its rows".into()))
    }

    fn check(&self) -> Result<(), MarlinRefusal> {
        for (name, log) in [
            ("log_rows", self.log_rows),
            ("log_nonzeros", self.log_nonzeros),
        ] {
            if !(2..=MAX_LOG_SIZE).contains(&log) {
                return Err(MarlinRefusal::Key(format!(
                    "{name} {log} is outside 2..={MAX_LOG_SIZE}"
                )));
            }
        }
        self.positions()?;
        // 3 |H| - 1 is the degree of the first sumcheck's mask, |K| - 1 that
        // of the index; a bound needs a positive shift.
        let needed = (3 * self.rows()).max(self.nonzeros());
        if self.max_degree < needed || self.max_degree > 4 << MAX_LOG_SIZE {
            return Err(MarlinRefusal::Key(format!(
                "degree {} for {needed} needed",
                self.max_degree
            )));
        }
        // A shift that is zero would make its degree bound hold for anything
        // (MAR-4): e(C', h) = 1 with C' the identity.
        let g2 = [self.h, self.tau_h, self.shift_rows, self.shift_nonzeros];
        if self.g.is_zero() || self.gamma_g.is_zero() || g2.iter().any(AffineRepr::is_zero) {
            return Err(MarlinRefusal::Key(
                "degenerate structured reference string".into(),
            ));
        }
        Ok(())
    }
}

/// The set X of public-input positions in H: a subgroup of N1 points, and a
/// coset of a subgroup of N2, so that its vanishing polynomial
/// (X^N1 - 1)(X^N2 - c) is sparse and little of H is lost to padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputPositions {
    rows: usize,
    /// N1.
    pub subgroup: usize,
    /// N2, 0 when the subgroup alone is enough.
    pub coset: usize,
    omega: Fr,
}

impl InputPositions {
    /// Room for `inputs` values (the constant one included) in a domain of
    /// 2^log_rows; at most half of it may be public.
    pub fn new(log_rows: u32, inputs: usize) -> Option<Self> {
        let rows = 1usize.checked_shl(log_rows)?;
        let omega = Fr::get_root_of_unity(rows as u64)?;
        let mut subgroup = 1usize;
        while subgroup.checked_mul(2)? <= inputs {
            subgroup *= 2;
        }
        let mut coset = match inputs.checked_sub(subgroup)? {
            0 => 0,
            rest => rest.checked_next_power_of_two()?,
        };
        if coset == subgroup {
            (subgroup, coset) = (2 * subgroup, 0);
        }
        // The coset lies on exponents 1 mod rows/N2, the subgroup on multiples
        // of rows/N1 >= 2: disjoint.
        (2 * subgroup <= rows).then_some(Self {
            rows,
            subgroup,
            coset,
            omega,
        })
    }

    /// The exponent of omega where public variable `i` sits.
    pub fn exponent(&self, i: usize) -> usize {
        if i < self.subgroup {
            i * (self.rows / self.subgroup)
        } else {
            1 + (i - self.subgroup) * self.rows.checked_div(self.coset).unwrap_or(0)
        }
    }

    /// Positions in X.
    pub fn len(&self) -> usize {
        self.subgroup + self.coset
    }

    /// Never: X always holds the constant one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sparse factors (n, c) of v_X: X^n - c.
    pub fn factors(&self) -> Vec<(usize, Fr)> {
        let mut out = vec![(self.subgroup, Fr::one())];
        if self.coset > 0 {
            out.push((self.coset, power(self.omega, self.coset as u64)));
        }
        out
    }

    /// v_X(x).
    pub fn vanishing(&self, x: Fr) -> Fr {
        self.factors()
            .iter()
            .fold(Fr::one(), |v, (n, c)| v * (power(x, *n as u64) - c))
    }

    /// Sum over the inputs (the constant one first) of value * L_i(x), L_i the
    /// Lagrange polynomials of H; nothing when x lies in H.
    pub fn interpolate(&self, inputs: &[Fr], x: Fr) -> Option<Fr> {
        let step = power(self.omega, (self.rows / self.subgroup) as u64);
        let coset_step = self
            .rows
            .checked_div(self.coset)
            .map_or(Fr::one(), |s| power(self.omega, s as u64));
        let (mut point, mut coset_point) = (Fr::one(), self.omega);
        let mut points = Vec::with_capacity(inputs.len());
        for i in 0..inputs.len() {
            if i < self.subgroup {
                points.push(point);
                point *= step;
            } else {
                points.push(coset_point);
                coset_point *= coset_step;
            }
        }
        let mut inverses: Vec<Fr> = points.iter().map(|p| x - p).collect();
        if inverses.iter().any(Fr::is_zero) {
            return None;
        }
        batch_inversion(&mut inverses);
        let sum: Fr = inputs
            .iter()
            .zip(&points)
            .zip(&inverses)
            .map(|((v, p), d)| *v * p * d)
            .sum();
        let n = Fr::from(self.rows as u64);
        Some(sum * (power(x, self.rows as u64) - Fr::one()) * n.inverse()?)
    }
}

pub(super) fn read_g1(r: &mut Reader<'_>, field: &'static str) -> Result<G1Affine, MarlinRefusal> {
    canonical(r.take(field, 48)?, field)
}

/// A point with full checks: on the curve, in the subgroup, and with exactly
/// these bytes (MAR-8).
pub(crate) fn canonical<P: CanonicalDeserialize + CanonicalSerialize>(
    bytes: &[u8],
    field: &'static str,
) -> Result<P, MarlinRefusal> {
    let refuse = || MarlinRefusal::Point { field };
    let p = P::deserialize_compressed(bytes).map_err(|_| refuse())?;
    let mut again = Vec::with_capacity(bytes.len());
    p.serialize_compressed(&mut again).map_err(|_| refuse())?;
    if again == bytes { Ok(p) } else { Err(refuse()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_positions_are_distinct_roots_of_their_vanishing_polynomial() {
        for (log, inputs) in [(3, 1), (4, 3), (5, 5), (6, 32), (10, 300), (15, 8300)] {
            let p = InputPositions::new(log, inputs).unwrap();
            assert!(p.len() >= inputs);
            let omega = Fr::get_root_of_unity(1 << log).unwrap();
            let exponents: std::collections::BTreeSet<usize> =
                (0..p.len()).map(|i| p.exponent(i)).collect();
            assert_eq!(exponents.len(), p.len());
            assert!(exponents.iter().all(|e| *e < 1 << log));
            for i in 0..p.len() {
                assert!(p.vanishing(power(omega, p.exponent(i) as u64)).is_zero());
            }
            // Against the definition of the Lagrange interpolation.
            let x = Fr::from(987_654_321u64);
            let values: Vec<Fr> = (0..inputs as u64).map(|i| Fr::from(i * i + 3)).collect();
            let n = Fr::from(1u64 << log);
            let direct: Fr = values
                .iter()
                .enumerate()
                .map(|(i, v)| {
                    let h = power(omega, p.exponent(i) as u64);
                    *v * h * (power(x, 1 << log) - Fr::one()) * (n * (x - h)).inverse().unwrap()
                })
                .sum();
            assert_eq!(p.interpolate(&values, x), Some(direct));
            assert_eq!(p.interpolate(&values, Fr::one()), None);
        }
        assert!(InputPositions::new(3, 9).is_none());
    }
}
