//! Output masks (TKT-3, OPN-3): what the nodes give the buyer, and how the buyer
//! knows that they gave the right thing.
//!
//! Party i's share of the output mask omega is a *wide* integer w_i, uniform
//! below 2^192; its share in F_q is w_i mod q (2^-128 from uniform). The dealer
//! commits to each in a group of prime order l > 2^252 (Ristretto; Pedersen,
//! CRYPTO 1991), Com_i = w_i G + s_i H, and signs the root over the commitments.
//! To a buyer a node opens the *sum* over the values that were added up: a wrong
//! sum is a discrete logarithm of H, and names who gave it. For one value this
//! is an ordinary opening. For a joint query (OPN-9) the sum of integers stays
//! below 2^192 2^16 < l, so it is an opening of the sum of commitments, and it
//! shows of the summands' residues nothing beyond their sum: given the sum of J
//! uniform integers below 2^192 the residues mod q of all but one are within
//! J q / 2^192 < 2^-112 of uniform.

use crate::stream::{Purpose, Stream};
use curve25519_dalek::{
    RistrettoPoint, Scalar,
    constants::{RISTRETTO_BASEPOINT_POINT, RISTRETTO_BASEPOINT_TABLE},
    ristretto::{CompressedRistretto, RistrettoBasepointTable},
    traits::{Identity, VartimeMultiscalarMul},
};
use std::sync::OnceLock;
use veilbourse_core::{
    digest::Digest,
    field::Fq,
    wire::{Reader, WireError, Writer},
};
use zeroize::Zeroize;

/// Most values added into one opening (OPN-9).
pub const MAX_SUMMANDS: usize = 1 << 16;
/// Bits of a wide share.
const WIDE_BITS: u32 = 192;
/// Bytes of an opening: the sum and the blinder.
pub const OPENING_BYTES: usize = 32 + 32;

/// A second generator whose logarithm nobody knows: the hash of a sentence.
fn second_generator() -> &'static (RistrettoPoint, RistrettoBasepointTable) {
    static H: OnceLock<(RistrettoPoint, RistrettoBasepointTable)> = OnceLock::new();
    H.get_or_init(|| {
        let mut bytes = [0; 64];
        blake3::Hasher::new_derive_key("veilbourse v1 second generator of mask commitments")
            .finalize_xof()
            .fill(&mut bytes);
        let point = RistrettoPoint::from_uniform_bytes(&bytes);
        (point, RistrettoBasepointTable::create(&point))
    })
}

/// One party's share of one output mask, or the sum of several.
#[derive(Clone, PartialEq, Eq)]
pub struct MaskShare {
    wide: Scalar,
    blinder: Scalar,
}

impl Zeroize for MaskShare {
    fn zeroize(&mut self) {
        self.wide.zeroize();
        self.blinder.zeroize();
    }
}

impl Drop for MaskShare {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl std::fmt::Debug for MaskShare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MaskShare")
    }
}

impl MaskShare {
    /// The share of a dealing's ticket, from the party's seed.
    pub fn of_ticket(seed: &[u8; 32], dealing: &Digest, ticket: u64) -> Self {
        let mut stream = Stream::new(seed, dealing, Purpose::Mask, ticket);
        let mut bytes = [0u8; 32];
        for (b, w) in bytes
            .as_chunks_mut::<8>()
            .0
            .iter_mut()
            .zip(stream.words::<3>())
        {
            *b = w.to_le_bytes();
        }
        let mut uniform = [0u8; 64];
        for (b, w) in uniform
            .as_chunks_mut::<8>()
            .0
            .iter_mut()
            .zip(stream.words::<8>())
        {
            *b = w.to_le_bytes();
        }
        let share = Self {
            // Below 2^192, so canonical.
            wide: Scalar::from_bytes_mod_order(bytes),
            blinder: Scalar::from_bytes_mod_order_wide(&uniform),
        };
        bytes.zeroize();
        uniform.zeroize();
        share
    }

    /// The share in F_q.
    pub fn residue(&self) -> Fq {
        let bytes = self.wide.to_bytes();
        let two_64 = Fq::reduce_wide(1 << 64);
        let words = bytes.as_chunks::<8>().0.iter().rev();
        words.fold(Fq::ZERO, |r, w| {
            r * two_64 + Fq::reduce(u64::from_le_bytes(*w))
        })
    }

    /// The sum of shares of one party, of at most [`MAX_SUMMANDS`].
    pub fn sum<'a>(shares: impl IntoIterator<Item = &'a Self>) -> Self {
        let zero = Self {
            wide: Scalar::ZERO,
            blinder: Scalar::ZERO,
        };
        shares.into_iter().fold(zero, |a, b| Self {
            wide: a.wide + b.wide,
            blinder: a.blinder + b.blinder,
        })
    }

    /// The commitment; constant time.
    pub fn commit(&self) -> RistrettoPoint {
        &self.wide * RISTRETTO_BASEPOINT_TABLE + &self.blinder * &second_generator().1
    }

    /// Whether this opens the sum of `commitments` as a sum of that many wide
    /// shares.
    pub fn opens(&self, commitments: &[RistrettoPoint]) -> bool {
        let below = Scalar::from(commitments.len() as u64) * two_to(WIDE_BITS);
        if commitments.len() > MAX_SUMMANDS || !less(&self.wide, &below) {
            return false;
        }
        let sum: RistrettoPoint = commitments.iter().sum();
        let [g, h] = [RISTRETTO_BASEPOINT_POINT, second_generator().0];
        RistrettoPoint::vartime_multiscalar_mul([self.wide, self.blinder], [g, h]) == sum
    }

    /// Appends the encoding.
    pub fn encode(&self, out: &mut Writer) {
        out.raw(self.wide.as_bytes()).raw(self.blinder.as_bytes());
    }
    /// Reads one; both numbers canonical.
    pub fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut scalar = |field| {
            let bytes = input.array::<32>(field)?;
            Option::from(Scalar::from_canonical_bytes(bytes)).ok_or(WireError::Invalid {
                field,
                reason: "is not below the order of the group".into(),
            })
        };
        Ok(Self {
            wide: scalar("mask share")?,
            blinder: scalar("blinder of a mask share")?,
        })
    }
}

fn two_to(bits: u32) -> Scalar {
    let mut bytes = [0u8; 32];
    if let Some(b) = bytes.get_mut((bits / 8) as usize) {
        *b = 1 << (bits % 8);
    }
    Scalar::from_bytes_mod_order(bytes)
}

/// a < b as integers.
fn less(a: &Scalar, b: &Scalar) -> bool {
    a.as_bytes().iter().rev().lt(b.as_bytes().iter().rev())
}

/// Reads a commitment.
pub fn decode_commitment(bytes: &[u8; 32]) -> Option<RistrettoPoint> {
    CompressedRistretto(*bytes).decompress()
}

/// Checks many of one party's own shares at once: sum z_j (w_j G + s_j H - Com_j)
/// = 0 for challenges z_j of 128 bits; wrong ones pass with 2^-128. `seed` is the
/// checking node's own fresh randomness: whoever knows it before can deal wrong
/// ones that pass.
pub fn check_batch(shares: &[MaskShare], commitments: &[RistrettoPoint], seed: &[u8; 32]) -> bool {
    if shares.len() != commitments.len() {
        return false;
    }
    let mut stream = Stream::new(seed, &Digest::default(), Purpose::Challenge, 1);
    let weights: Vec<Scalar> = shares
        .iter()
        .map(|_| {
            let [a, b] = stream.words::<2>();
            Scalar::from(u128::from(a) | u128::from(b) << 64)
        })
        .collect();
    let total = shares
        .iter()
        .zip(&weights)
        .fold(MaskShare::sum([]), |mut total, (share, z)| {
            total.wide += share.wide * z;
            total.blinder += share.blinder * z;
            total
        });
    let negated = weights.iter().map(|z| -z);
    let [g, h] = [RISTRETTO_BASEPOINT_POINT, second_generator().0];
    let sum = RistrettoPoint::vartime_multiscalar_mul(
        [total.wide, total.blinder].into_iter().chain(negated),
        [g, h].iter().chain(commitments),
    );
    sum == RistrettoPoint::identity()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(n: u64) -> Vec<MaskShare> {
        let dealing = Digest([1; 32]);
        (0..n)
            .map(|i| MaskShare::of_ticket(&[3; 32], &dealing, i))
            .collect()
    }

    #[test]
    fn sums_open_sums_and_nothing_else() {
        // OPN-3, OPN-9
        let all = shares(5);
        let commitments: Vec<_> = all.iter().map(MaskShare::commit).collect();
        let total = MaskShare::sum(&all);
        assert!(total.opens(&commitments));
        let residues = all
            .iter()
            .map(MaskShare::residue)
            .fold(Fq::ZERO, |a, b| a + b);
        assert_eq!(total.residue(), residues);
        assert!(!total.opens(&commitments[..4]));
        assert!(!MaskShare::sum(&all[..4]).opens(&commitments));
        for change in [0, 1] {
            let mut other = total.clone();
            if change == 0 {
                other.wide += Scalar::ONE;
            } else {
                other.blinder += Scalar::ONE;
            }
            assert!(!other.opens(&commitments));
        }
        let mut out = Writer::new();
        total.encode(&mut out);
        let bytes = out.finish();
        assert_eq!(bytes.len(), OPENING_BYTES);
        let read = MaskShare::decode(&mut Reader::new(&bytes)).unwrap();
        assert_eq!(read, total);
        let mut high = bytes.clone();
        high[31] = 0xff;
        assert!(MaskShare::decode(&mut Reader::new(&high)).is_err());
    }

    #[test]
    fn an_opening_beyond_the_integers_is_refused() {
        // A dealer who commits to more than 192 bits hands out what no buyer takes.
        let wide = MaskShare {
            wide: two_to(192),
            blinder: Scalar::ONE,
        };
        assert!(!wide.opens(&[wide.commit()]));
        let edge = MaskShare {
            wide: two_to(192) - Scalar::ONE,
            blinder: Scalar::ONE,
        };
        assert!(edge.opens(&[edge.commit()]));
    }

    #[test]
    fn batches_hold_or_do_not() {
        // TKT-4
        let all = shares(40);
        let mut commitments: Vec<_> = all.iter().map(MaskShare::commit).collect();
        assert!(check_batch(&all, &commitments, &[1; 32]));
        commitments.swap(3, 4);
        assert!(!check_batch(&all, &commitments, &[1; 32]));
        assert!(!check_batch(&all, &commitments[1..], &[1; 32]));
    }
}
