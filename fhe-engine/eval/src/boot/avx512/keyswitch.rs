//! Sums of limb times row for eight inputs at once: each word of the key is
//! read once and used eight times.

#![allow(clippy::needless_range_loop)] // One index into several arrays of registers.

use super::arithmetic::{canonical, load, reduce_shifted, splat, store};
use crate::boot::{
    backend::LimbRows,
    server_key::{LANES, TILES, Vector},
};
use core::arch::x86_64::{_mm512_add_epi64, _mm512_mul_epu32, _mm512_srli_epi64};
use veilbourse_core::field::Fq;

/// Rows taken at a time: their limbs for sixteen inputs (128 kB), a tile's part
/// (64 kB) and all sums (240 kB) stay in the second cache, while the key goes
/// by once.
const PASS: usize = 1024;

/// Sums of eight columns for eight inputs: of products with the low and with
/// the high halves of the words. 24576 rows, limbs below 8: below 2^50.
#[derive(Clone, Copy)]
struct Sums {
    low: [Vector; LANES],
    high: [Vector; LANES],
}

#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn limb_sums(batch: &LimbRows<'_>) -> Vec<[Vec<Fq>; LANES]> {
    let zero = Sums {
        low: [Vector::ZERO; LANES],
        high: [Vector::ZERO; LANES],
    };
    let rows = batch.key.params().key_rows();
    let mut sums = vec![vec![zero; TILES]; batch.limbs.len()];
    for first in (0..rows).step_by(PASS) {
        let pass = first..rows.min(first + PASS);
        for (t, tile) in batch.key.tiles().enumerate() {
            for (sums, limbs) in sums.iter_mut().zip(&batch.limbs) {
                accumulate(&tile[pass.clone()], &limbs[pass.clone()], &mut sums[t]);
            }
        }
    }
    let mut out = Vec::with_capacity(sums.len());
    for sums in &sums {
        out.push(finish(sums));
    }
    out
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn accumulate(tile: &[Vector], limbs: &[Vector], sums: &mut Sums) {
    let (mut low, mut high) = ([splat(0); LANES], [splat(0); LANES]);
    for i in 0..LANES {
        low[i] = load(&sums.low[i]);
        high[i] = load(&sums.high[i]);
    }
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
        store(&mut sums.low[i], low[i]);
        store(&mut sums.high[i], high[i]);
    }
}

/// The sums mod q, input by input.
#[target_feature(enable = "avx512f,avx512ifma")]
fn finish(sums: &[Sums]) -> [Vec<Fq>; LANES] {
    let mut out: [Vec<Fq>; LANES] = std::array::from_fn(|_| Vec::with_capacity(TILES * LANES));
    for Sums { low, high } in sums {
        for i in 0..LANES {
            let mut sum = Vector::ZERO;
            let word = reduce_shifted::<32, 32>(load(&low[i]), load(&high[i]));
            store(&mut sum, canonical(word));
            out[i].extend(sum.0.map(Fq::reduce));
        }
    }
    out
}
