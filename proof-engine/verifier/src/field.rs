//! The two fields of the proofs: F_q and F_q2 (commitments, evaluation
//! points) and Fr of BLS12-381 (Marlin), with their byte forms.

pub use ark_bls12_381::Fr;
use ark_ff::{BigInteger, PrimeField};
use p3_field::{BasedVectorSpace, PrimeField64, extension::BinomialExtensionField};
pub use p3_goldilocks::Goldilocks as Fq;
use veilbourse_core::field::MODULUS;

/// F_q2: x_0 + x_1 u with u^2 = 7.
pub type Fq2 = BinomialExtensionField<Fq, 2>;

/// A canonical word as an element of F_q, `None` when it is q or more (WIRE-4).
pub fn fq(word: u64) -> Option<Fq> {
    (word < MODULUS).then(|| Fq::new(word))
}

/// w mod q for a signed weight of magnitude below q.
pub fn fq_signed(w: i64) -> Fq {
    if w < 0 {
        -Fq::new(w.unsigned_abs())
    } else {
        Fq::new(w.unsigned_abs())
    }
}

/// x_0 + x_1 u from its two components.
pub fn fq2(x0: Fq, x1: Fq) -> Fq2 {
    Fq2::new([x0, x1])
}

/// The canonical words (x_0, x_1) of x_0 + x_1 u.
pub fn fq2_words(x: &Fq2) -> [u64; 2] {
    let mut words = [0u64; 2];
    let coefficients: &[Fq] = x.as_basis_coefficients_slice();
    for (w, c) in words.iter_mut().zip(coefficients) {
        *w = c.as_canonical_u64();
    }
    words
}

/// The canonical little-endian form of an element of Fr.
pub fn fr_bytes(x: &Fr) -> [u8; 32] {
    let mut out = [0u8; 32];
    for (o, b) in out.iter_mut().zip(x.into_bigint().to_bytes_le()) {
        *o = b;
    }
    out
}

/// Reads the canonical little-endian form of an element of Fr.
pub fn fr_from_bytes(bytes: &[u8; 32]) -> Option<Fr> {
    let mut limbs = [0u64; 4];
    for (limb, chunk) in limbs.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *limb = u64::from_le_bytes(*chunk);
    }
    Fr::from_bigint(ark_ff::BigInt::new(limbs))
}

/// Whether x lies outside the base field (and so outside every evaluation
/// domain of FRI; LES-4).
pub fn fq2_is_extension(x: &Fq2) -> bool {
    let [_, x1] = fq2_words(x);
    x1 != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use p3_field::PrimeCharacteristicRing;

    #[test]
    fn the_extension_is_by_a_root_of_seven() {
        let u = fq2(Fq::ZERO, Fq::ONE);
        assert_eq!(fq2_words(&(u * u)), [7, 0]);
        assert!(fq2_is_extension(&u));
        assert!(!fq2_is_extension(&(u * u)));
    }

    #[test]
    fn words_and_weights_reduce_once() {
        assert_eq!(fq(MODULUS), None);
        assert_eq!(fq(MODULUS - 1), Some(-Fq::ONE));
        assert_eq!(fq_signed(-1), -Fq::ONE);
        assert_eq!(fq_signed(i64::MIN), -Fq::new(1 << 63));
    }
}
