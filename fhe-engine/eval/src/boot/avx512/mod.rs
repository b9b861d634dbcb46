//! The bootstrap with AVX-512F and IFMA. Loads and stores are the only unsafe
//! code and lie in `arithmetic`.

mod arithmetic;
mod keyswitch;
mod rotate;
mod tables;
mod transform;

use super::{
    backend::{LimbRows, Rotation},
    server_key::{LANES, Vector},
};
use veilbourse_core::{boot::RingCiphertext, field::Fq};

/// Words as vectors.
fn pack(poly: &[Fq]) -> Vec<Vector> {
    let eights = poly.as_chunks::<LANES>().0;
    eights.iter().map(|w| Vector(w.map(Fq::word))).collect()
}

/// Canonical vectors as words.
fn unpack(vectors: &[Vector], poly: &mut [Fq]) {
    for (words, Vector(vector)) in poly.as_chunks_mut::<LANES>().0.iter_mut().zip(vectors) {
        *words = vector.map(Fq::reduce);
    }
}

#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn forward(poly: &mut [Fq]) {
    let mut vectors = pack(poly);
    transform::forward(&mut vectors, tables::tables());
    unpack(&vectors, poly);
}

#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn backward(poly: &mut [Fq]) {
    let mut vectors = pack(poly);
    transform::backward(&mut vectors, tables::tables());
    unpack(&vectors, poly);
}

#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn rotate(batch: Rotation<'_>) -> Vec<RingCiphertext> {
    rotate::rotate(batch, tables::tables())
}

#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn limb_sums(batch: &LimbRows<'_>) -> Vec<[Vec<Fq>; LANES]> {
    keyswitch::limb_sums(batch)
}
