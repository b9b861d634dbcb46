//! Sums of limb times row for eight inputs at once: each word of the key is
//! read once and used eight times.

use super::arithmetic::{canonical, load, reduce_shifted, splat, store};
use crate::boot::server_key::{KeyswitchKey, LANES, TILES, Vector};
use core::arch::x86_64::{
    _mm512_add_epi64, _mm512_mul_epu32, _mm512_setzero_si512, _mm512_srli_epi64,
};
use veilbourse_core::field::Fq;

#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn limb_sums(key: &KeyswitchKey, limbs: &[Vector]) -> [Vec<Fq>; LANES] {
    let mut out: [Vec<Fq>; LANES] = std::array::from_fn(|_| Vec::with_capacity(TILES * LANES));
    for tile in key.tiles() {
        let zero = _mm512_setzero_si512();
        // 24576 rows, limbs below 8, halves below 2^32: sums below 2^50.
        let (mut low, mut high) = ([zero; LANES], [zero; LANES]);
        for (words, Vector(limbs)) in tile.iter().zip(limbs) {
            let words = load(words);
            let upper = _mm512_srli_epi64::<32>(words);
            for i in 0..LANES {
                let limb = splat(limbs[i]);
                low[i] = _mm512_add_epi64(low[i], _mm512_mul_epu32(words, limb));
                high[i] = _mm512_add_epi64(high[i], _mm512_mul_epu32(upper, limb));
            }
        }
        for i in 0..LANES {
            let mut sum = Vector::ZERO;
            store(
                &mut sum,
                canonical(reduce_shifted::<32, 32>(low[i], high[i])),
            );
            out[i].extend(sum.0.map(Fq::reduce));
        }
    }
    out
}
