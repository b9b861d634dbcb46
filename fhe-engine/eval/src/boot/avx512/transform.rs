//! The negacyclic NTT of 2048 words in 256 vectors: eight stages between
//! vectors, three within pairs of them. Same order of values as the scalar one.

use super::{
    arithmetic::{Factor, add, canonical, factor, load, multiply, splat, store, subtract},
    tables::Tables,
};
use crate::boot::server_key::{BLOCKS, Vector};
use core::arch::x86_64::{
    __m512i, _mm512_permutex2var_epi64, _mm512_shuffle_i64x2, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi64,
};

/// (a + b w, a - b w), lazy.
#[inline]
#[target_feature(enable = "avx512f")]
fn forward_pair(a: __m512i, b: __m512i, w: Factor) -> (__m512i, __m512i) {
    let product = canonical(multiply(b, w));
    (add(a, product), subtract(a, product))
}

/// (a + b, (a - b) w), lazy.
#[inline]
#[target_feature(enable = "avx512f")]
fn backward_pair(a: __m512i, b: __m512i, w: Factor) -> (__m512i, __m512i) {
    let b = canonical(b);
    (add(a, b), multiply(subtract(a, b), w))
}

/// Any words in, canonical ones out.
#[target_feature(enable = "avx512f")]
pub(super) fn forward(v: &mut [Vector], t: &Tables) {
    assert!(v.len() == BLOCKS);
    // Two stages at a time: distances 2s and s between vectors.
    let (mut s, mut blocks) = (BLOCKS / 4, 1);
    while s > 0 {
        for (i, block) in v.chunks_exact_mut(4 * s).enumerate() {
            let w = factor(splat(t.forward[blocks + i]));
            let w_low = factor(splat(t.forward[2 * (blocks + i)]));
            let w_high = factor(splat(t.forward[2 * (blocks + i) + 1]));
            let (low, high) = block.split_at_mut(2 * s);
            let (x0, x1) = low.split_at_mut(s);
            let (x2, x3) = high.split_at_mut(s);
            for (((x0, x1), x2), x3) in x0.iter_mut().zip(x1).zip(x2).zip(x3) {
                let (a, c) = forward_pair(load(x0), load(x2), w);
                let (b, d) = forward_pair(load(x1), load(x3), w);
                let (a, b) = forward_pair(a, b, w_low);
                let (c, d) = forward_pair(c, d, w_high);
                store(x0, a);
                store(x1, b);
                store(x2, c);
                store(x3, d);
            }
        }
        s /= 4;
        blocks *= 4;
    }
    let first = Vector([0, 8, 1, 9, 4, 12, 5, 13]);
    let second = Vector([2, 10, 3, 11, 6, 14, 7, 15]);
    let (first, second) = (load(&first), load(&second));
    for ([x, y], [w4, w2, w1]) in v.as_chunks_mut::<2>().0.iter_mut().zip(&t.forward_within) {
        let (u, v) = (load(x), load(y));
        let a = _mm512_shuffle_i64x2::<0x44>(u, v);
        let b = _mm512_shuffle_i64x2::<0xee>(u, v);
        let (a, b) = forward_pair(a, b, factor(load(w4)));
        let c = _mm512_shuffle_i64x2::<0x88>(a, b);
        let d = _mm512_shuffle_i64x2::<0xdd>(a, b);
        let (c, d) = forward_pair(c, d, factor(load(w2)));
        let e = _mm512_unpacklo_epi64(c, d);
        let f = _mm512_unpackhi_epi64(c, d);
        let (e, f) = forward_pair(e, f, factor(load(w1)));
        let (e, f) = (canonical(e), canonical(f));
        store(x, _mm512_permutex2var_epi64(e, first, f));
        store(y, _mm512_permutex2var_epi64(e, second, f));
    }
}

/// Any words in, canonical ones out; N times the inverse.
#[target_feature(enable = "avx512f")]
pub(super) fn backward(v: &mut [Vector], t: &Tables) {
    assert!(v.len() == BLOCKS);
    let even = Vector([0, 2, 8, 10, 4, 6, 12, 14]);
    let odd = Vector([1, 3, 9, 11, 5, 7, 13, 15]);
    let (even, odd) = (load(&even), load(&odd));
    for ([x, y], [w4, w2, w1]) in v.as_chunks_mut::<2>().0.iter_mut().zip(&t.backward_within) {
        let (u, v) = (load(x), load(y));
        let e = _mm512_permutex2var_epi64(u, even, v);
        let f = _mm512_permutex2var_epi64(u, odd, v);
        let (e, f) = backward_pair(e, f, factor(load(w1)));
        let c = _mm512_unpacklo_epi64(e, f);
        let d = _mm512_unpackhi_epi64(e, f);
        let (c, d) = backward_pair(c, d, factor(load(w2)));
        let a = _mm512_shuffle_i64x2::<0x44>(c, d);
        let b = _mm512_shuffle_i64x2::<0xee>(c, d);
        let (a, b) = backward_pair(a, b, factor(load(w4)));
        store(x, _mm512_shuffle_i64x2::<0x88>(a, b));
        store(y, _mm512_shuffle_i64x2::<0xdd>(a, b));
    }
    let (mut s, mut blocks) = (1, BLOCKS / 4);
    while s < BLOCKS {
        for (i, block) in v.chunks_exact_mut(4 * s).enumerate() {
            let w = factor(splat(t.backward[blocks + i]));
            let w_low = factor(splat(t.backward[2 * (blocks + i)]));
            let w_high = factor(splat(t.backward[2 * (blocks + i) + 1]));
            let (low, high) = block.split_at_mut(2 * s);
            let (x0, x1) = low.split_at_mut(s);
            let (x2, x3) = high.split_at_mut(s);
            for (((x0, x1), x2), x3) in x0.iter_mut().zip(x1).zip(x2).zip(x3) {
                let (a, b) = backward_pair(load(x0), load(x1), w_low);
                let (c, d) = backward_pair(load(x2), load(x3), w_high);
                let (a, c) = backward_pair(a, c, w);
                let (b, d) = backward_pair(b, d, w);
                store(x0, a);
                store(x1, b);
                store(x2, c);
                store(x3, d);
            }
        }
        s *= 4;
        blocks /= 4;
    }
    for x in v {
        let word = canonical(load(x));
        store(x, word);
    }
}
