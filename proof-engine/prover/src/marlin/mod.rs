//! The Marlin prover (ePrint 2019/1047, joint sparse matrices); the statement,
//! the transcript and the argument are in `veilbourse_verifier::marlin` and
//! docs/spec/marlin.md.

mod index;
mod polynomial;
mod prove;
#[cfg(test)]
mod tests;

pub use index::{ProvingKey, index};
pub use prove::prove;

use ark_bls12_381::Fr;
use rand_core::CryptoRng;

/// A uniform scalar from a secret generator.
pub(crate) fn random_scalar(rng: &mut impl CryptoRng) -> Fr {
    let mut bytes = [0u8; 64];
    rng.fill_bytes(&mut bytes);
    let x = veilbourse_verifier::marlin::scalar_from_wide(&bytes);
    zeroize::Zeroize::zeroize(&mut bytes);
    x
}
