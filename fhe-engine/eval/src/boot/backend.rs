//! What differs between machines: transforms, and the two passes over keys.

use super::{
    scalar,
    server_key::{BootstrapKey, KeyswitchKey, Vector},
    transform,
};
use veilbourse_core::{
    boot::{RingCiphertext, Switched},
    field::Fq,
};

/// A checked batch for a blind rotation: as many starts as inputs, 920 mask
/// words in each input, N words in each polynomial.
pub struct Rotation<'a> {
    pub(super) key: &'a BootstrapKey,
    pub(super) inputs: &'a [Switched],
    pub(super) starts: Vec<RingCiphertext>,
}

/// A checked batch for a keyswitch: `limbs[row]` holds a limb of each of up to
/// eight inputs, the others are 0.
pub struct LimbRows<'a> {
    pub(super) key: &'a KeyswitchKey,
    pub(super) limbs: Vec<Vec<Vector>>,
}

/// A way to compute; all give the same words (BST-13).
pub trait Backend: Send + Sync + std::fmt::Debug {
    /// Its name, for reports.
    fn name(&self) -> &'static str;
    /// The negacyclic transform of N words, canonical.
    fn forward(&self, poly: &mut [Fq]);
    /// N times its inverse.
    fn backward(&self, poly: &mut [Fq]);
    /// Rotates every start by its input (BST-7).
    fn rotate(&self, batch: Rotation<'_>) -> Vec<RingCiphertext>;
    /// Sum of limb times row over all rows, for eight inputs a group:
    /// `TILES` * 8 words each.
    fn limb_sums(&self, batch: &LimbRows<'_>) -> Vec<[Vec<Fq>; 8]>;
}

/// Plain integer arithmetic; the reference.
#[derive(Debug, Clone, Copy)]
pub struct Scalar;

impl Backend for Scalar {
    fn name(&self) -> &'static str {
        "scalar"
    }
    fn forward(&self, poly: &mut [Fq]) {
        transform::forward(poly);
    }
    fn backward(&self, poly: &mut [Fq]) {
        transform::backward(poly);
    }
    fn rotate(&self, batch: Rotation<'_>) -> Vec<RingCiphertext> {
        scalar::rotate(batch)
    }
    fn limb_sums(&self, batch: &LimbRows<'_>) -> Vec<[Vec<Fq>; 8]> {
        scalar::limb_sums(batch)
    }
}

/// AVX-512F with IFMA; exists only where the processor has both.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
pub struct Avx512(());

#[cfg(target_arch = "x86_64")]
impl Avx512 {
    /// The backend, where the processor has AVX-512F and AVX-512IFMA.
    pub fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma");
        found.then_some(Self(()))
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
impl Backend for Avx512 {
    fn name(&self) -> &'static str {
        "avx512"
    }
    fn forward(&self, poly: &mut [Fq]) {
        // SAFETY: a value of this type exists only if the features were detected.
        unsafe { super::avx512::forward(poly) }
    }
    fn backward(&self, poly: &mut [Fq]) {
        // SAFETY: as above.
        unsafe { super::avx512::backward(poly) }
    }
    fn rotate(&self, batch: Rotation<'_>) -> Vec<RingCiphertext> {
        // SAFETY: as above.
        unsafe { super::avx512::rotate(batch) }
    }
    fn limb_sums(&self, batch: &LimbRows<'_>) -> Vec<[Vec<Fq>; 8]> {
        // SAFETY: as above.
        unsafe { super::avx512::limb_sums(batch) }
    }
}

/// The fastest backend of this machine.
pub fn best() -> &'static dyn Backend {
    #[cfg(target_arch = "x86_64")]
    {
        static AVX512: Avx512 = Avx512(());
        if Avx512::detect().is_some() {
            return &AVX512;
        }
    }
    &Scalar
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::transform::N;
    use proptest::prelude::*;
    use veilbourse_core::field::MODULUS;

    fn word() -> impl Strategy<Value = u64> {
        prop_oneof![
            6 => 0..MODULUS,
            1 => Just(MODULUS - 1),
            1 => Just(0),
            1 => Just(0xffff_ffff),
            1 => Just(0xffff_ffff_0000_0000),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn transforms_are_bit_identical(words in prop::collection::vec(word(), N)) {
            // BST-7
            let poly: Vec<Fq> = words.into_iter().map(Fq::reduce).collect();
            let (mut x, mut y) = (poly.clone(), poly.clone());
            Scalar.forward(&mut x);
            best().forward(&mut y);
            prop_assert_eq!(&x, &y);
            let (mut x, mut y) = (poly.clone(), poly);
            Scalar.backward(&mut x);
            best().backward(&mut y);
            prop_assert_eq!(&x, &y);
        }
    }
}
