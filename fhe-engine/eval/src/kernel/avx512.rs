//! The weighted sum with AVX-512F: words as two 32-bit halves, `vpmuludq` into
//! lazy 64-bit accumulators, columns of positive and of negative weight apart,
//! one vectorised reduction at the end.
//!
//! A tile of words passes over the columns four at a time: long runs for the
//! prefetcher, and a quarter of the accumulator traffic.

#![allow(unsafe_code)] // Vector loads and stores through pointers.

use super::Terms;
use core::arch::x86_64::{
    __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_add_epi64, _mm512_cmpge_epu64_mask,
    _mm512_cmplt_epu64_mask, _mm512_loadu_si512, _mm512_mask_add_epi64, _mm512_mask_sub_epi64,
    _mm512_mul_epu32, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_slli_epi64,
    _mm512_srli_epi64, _mm512_storeu_si512, _mm512_sub_epi64,
};
use veilbourse_core::field::{Fq, MODULUS};

const LANES: usize = 8;
/// Vectors in a tile; its accumulators take 8 kB.
const TILE_VECTORS: usize = 64;
const TILE: usize = TILE_VECTORS * LANES;
/// Columns added in one pass over a tile.
const GROUP: usize = 4;

/// Sums of products with the low and the high halves of the words.
struct Accumulators {
    low: [__m512i; TILE_VECTORS],
    high: [__m512i; TILE_VECTORS],
}

#[target_feature(enable = "avx512f")]
pub(super) fn weighted_sum(terms: &Terms<'_>) -> Vec<Fq> {
    let len = terms.column_len();
    let positive = groups(&terms.of_sign(false));
    let negative = groups(&terms.of_sign(true));
    let mut out = vec![Fq::ZERO; len];
    let zero = _mm512_setzero_si512();
    let mut sums = Accumulators {
        low: [zero; TILE_VECTORS],
        high: [zero; TILE_VECTORS],
    };
    let (tiles, rest) = out.split_at_mut(len - len % TILE);
    for (i, tile) in tiles.chunks_exact_mut(TILE).enumerate() {
        tile_sum(&positive, &negative, i * TILE, tile, &mut sums);
    }
    if !rest.is_empty() {
        // The last words, padded with zeros to a whole tile.
        let start = len - rest.len();
        let pad = |g: &Vec<Group<'_>>| -> Vec<[Vec<Fq>; GROUP]> {
            g.iter()
                .map(|g| {
                    g.columns.map(|c| {
                        let mut words = c[start..].to_vec();
                        words.resize(TILE, Fq::ZERO);
                        words
                    })
                })
                .collect()
        };
        let (p, n) = (pad(&positive), pad(&negative));
        let mut tile = [Fq::ZERO; TILE];
        tile_sum(
            &repoint(&positive, &p),
            &repoint(&negative, &n),
            0,
            &mut tile,
            &mut sums,
        );
        rest.copy_from_slice(&tile[..rest.len()]);
    }
    out
}

/// Up to four columns; a missing one is a repeated one with weight 0.
struct Group<'a> {
    weights: [u32; GROUP],
    columns: [&'a [Fq]; GROUP],
}

/// The columns that come next, to be fetched while others are added: the
/// processor's prefetcher does not cross from one column to another.
#[derive(Clone, Copy)]
struct Ahead<'a> {
    group: &'a Group<'a>,
    start: usize,
}

impl Ahead<'_> {
    /// Fetches vector `v` of the four columns: one cache line each.
    #[inline(always)]
    fn fetch(&self, v: usize) {
        for column in self.group.columns {
            if let Some(word) = column.get(self.start + v * LANES) {
                // SAFETY: a prefetch of a word of the slice; reads nothing.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(word).cast()) };
            }
        }
    }
}

fn groups<'a>(terms: &[(u32, &'a [Fq])]) -> Vec<Group<'a>> {
    terms
        .chunks(GROUP)
        .map(|chunk| Group {
            weights: std::array::from_fn(|i| chunk.get(i).map_or(0, |t| t.0)),
            columns: std::array::from_fn(|i| chunk.get(i).unwrap_or(&chunk[0]).1),
        })
        .collect()
}

fn repoint<'a>(groups: &[Group<'_>], words: &'a [[Vec<Fq>; GROUP]]) -> Vec<Group<'a>> {
    groups
        .iter()
        .zip(words)
        .map(|(g, w)| Group {
            weights: g.weights,
            columns: std::array::from_fn(|i| w[i].as_slice()),
        })
        .collect()
}

/// One tile of the sum, from word `start` of the columns.
#[target_feature(enable = "avx512f")]
fn tile_sum(
    positive: &[Group<'_>],
    negative: &[Group<'_>],
    start: usize,
    tile: &mut [Fq],
    sums: &mut Accumulators,
) {
    assert!(tile.len() == TILE);
    // What is read after this tile: the next one, from its first group on.
    let next_tile = positive.first().or(negative.first()).map(|group| Ahead {
        group,
        start: start + TILE,
    });
    let second = negative.first().map(|group| Ahead { group, start });
    if positive.is_empty() {
        tile.fill(Fq::ZERO);
    } else {
        accumulate(positive, start, second.or(next_tile), sums);
        for (v, words) in tile.chunks_exact_mut(LANES).enumerate() {
            store(words, reduce(sums.low[v], sums.high[v]));
        }
    }
    if !negative.is_empty() {
        accumulate(negative, start, next_tile, sums);
        for (v, words) in tile.chunks_exact_mut(LANES).enumerate() {
            let minuend = load(words);
            store(words, subtract(minuend, reduce(sums.low[v], sums.high[v])));
        }
    }
}

#[target_feature(enable = "avx512f")]
fn accumulate(
    groups: &[Group<'_>],
    start: usize,
    after: Option<Ahead<'_>>,
    sums: &mut Accumulators,
) {
    let mut first = true;
    let following = groups
        .iter()
        .skip(1)
        .map(|group| Some(Ahead { group, start }));
    for (g, next) in groups.iter().zip(following.chain([after])) {
        let w = g.weights.map(|w| _mm512_set1_epi64(i64::from(w)));
        let [c0, c1, c2, c3] = g.columns.map(|c| &c[start..start + TILE]);
        for v in 0..TILE_VECTORS {
            let at = v * LANES..(v + 1) * LANES;
            let x = [
                load(&c0[at.clone()]),
                load(&c1[at.clone()]),
                load(&c2[at.clone()]),
                load(&c3[at]),
            ];
            if let Some(next) = &next {
                next.fetch(v);
            }
            let zero = _mm512_setzero_si512();
            let (mut low, mut high) = if first {
                (zero, zero)
            } else {
                (sums.low[v], sums.high[v])
            };
            for i in 0..GROUP {
                low = _mm512_add_epi64(low, _mm512_mul_epu32(x[i], w[i]));
                let upper = _mm512_srli_epi64::<32>(x[i]);
                high = _mm512_add_epi64(high, _mm512_mul_epu32(upper, w[i]));
            }
            sums.low[v] = low;
            sums.high[v] = high;
        }
        first = false;
    }
}

/// low + 2^32 high mod q, canonical. With high = h_1 2^32 + h_0 and
/// 2^64 = 2^32 - 1: low + h_0 2^32 + h_1 (2^32 - 1), both addends below q.
#[target_feature(enable = "avx512f")]
fn reduce(low: __m512i, high: __m512i) -> __m512i {
    let h0 = _mm512_slli_epi64::<32>(high);
    let h1 = _mm512_srli_epi64::<32>(high);
    let h1 = _mm512_sub_epi64(_mm512_slli_epi64::<32>(h1), h1);
    let sum = add_lazy(add_lazy(low, h0), h1);
    let q = _mm512_set1_epi64(MODULUS as i64);
    _mm512_mask_sub_epi64(sum, _mm512_cmpge_epu64_mask(sum, q), sum, q)
}

/// a + b mod q, not canonical; b < q, so that adding 2^64 = 2^32 - 1 (mod q)
/// back after a carry carries no more.
#[target_feature(enable = "avx512f")]
fn add_lazy(a: __m512i, b: __m512i) -> __m512i {
    let sum = _mm512_add_epi64(a, b);
    let carry = _mm512_cmplt_epu64_mask(sum, b);
    _mm512_mask_add_epi64(sum, carry, sum, _mm512_set1_epi64(0xffff_ffff))
}

/// a - b mod q for canonical a, b.
#[target_feature(enable = "avx512f")]
fn subtract(a: __m512i, b: __m512i) -> __m512i {
    let difference = _mm512_sub_epi64(a, b);
    let borrow = _mm512_cmplt_epu64_mask(a, b);
    let q = _mm512_set1_epi64(MODULUS as i64);
    _mm512_mask_add_epi64(difference, borrow, difference, q)
}

#[target_feature(enable = "avx512f")]
fn load(words: &[Fq]) -> __m512i {
    assert!(words.len() == LANES);
    // SAFETY: eight words of 8 bytes; `Fq` is a transparent u64; unaligned.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
fn store(words: &mut [Fq], v: __m512i) {
    assert!(words.len() == LANES);
    // SAFETY: as for `load`; every vector stored is reduced below q, so that
    // each word is a value of `Fq`.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), v) }
}
