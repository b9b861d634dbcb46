//! Blind rotation of up to sixteen ciphertexts in one pass over the key.
//!
//! In a step every block of eight values of the key is combined for one
//! ciphertext after the other while it lies in the first cache. The product of
//! a word of the key and a monomial's value is taken with IFMA: the word as
//! k_0 + 2^24 k_1, and since 2^24 is a power of psi, both x and 2^24 x are
//! looked up. With x = x_0 + 2^52 x_1 that makes six multiplications into two
//! accumulators, of weights 1 and 2^52, without a carry until the sum is done.

#![allow(clippy::needless_range_loop)] // One index into several arrays of registers.

use super::{
    arithmetic::{add, canonical, factor, fetch, load, multiply, reduce_shifted, splat, store},
    tables::{ROWS, Tables},
    transform::{backward, forward},
    unpack,
};
use crate::boot::{
    backend::Rotation,
    evaluate::BATCH,
    server_key::{BLOCKS, LANES, Vector},
    transform::N,
};
use core::arch::x86_64::{
    __m512i, _mm_cvtsi64_si128, _mm512_and_si512, _mm512_cmplt_epu64_mask, _mm512_madd52hi_epu64,
    _mm512_madd52lo_epu64, _mm512_mask_add_epi64, _mm512_permutexvar_epi64, _mm512_setzero_si512,
    _mm512_srl_epi64, _mm512_srli_epi64, _mm512_sub_epi64,
};
use veilbourse_core::{
    boot::{
        Gadget, RingCiphertext, Switched,
        params::{COMPONENTS, GROUPING, GROUPS, PATTERNS},
    },
    field::{Fq, MODULUS},
};

/// Vectors from one polynomial to the next: one more than it has, so that the
/// same block of all of them does not fall into one set of the cache.
const STRIDE: usize = BLOCKS + 1;
/// Polynomials of one digit: two components of each of two rows.
const PRODUCTS: usize = COMPONENTS * COMPONENTS;
/// Low 52 bits, what IFMA multiplies.
const LOW_52: u64 = (1 << 52) - 1;
/// Low 24 bits: the first limb of a key's word.
const LOW_24: u64 = (1 << 24) - 1;

#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn rotate(batch: Rotation<'_>, t: &Tables) -> Vec<RingCiphertext> {
    let Rotation {
        key,
        inputs,
        starts,
    } = batch;
    // Transformed digits of a ciphertext: [level][component], `STRIDE` apart.
    let gadget = key.params().gadget();
    let polynomials = key.params().rows();
    let mut out = Vec::with_capacity(inputs.len());
    let mut starts = starts.into_iter();
    for inputs in inputs.chunks(BATCH) {
        let mut memory = vec![Vector::ZERO; inputs.len() * polynomials * STRIDE];
        let mut acc = [vec![Vector::ZERO; BLOCKS], vec![Vector::ZERO; BLOCKS]];
        for (digits, start) in memory
            .chunks_exact_mut(polynomials * STRIDE)
            .zip(&mut starts)
        {
            acc = [super::pack(&start.a), super::pack(&start.b)];
            decompose(gadget, &acc, digits, t);
        }
        for group in 0..GROUPS {
            let mut exponents = [[0u16; PATTERNS]; BATCH];
            for (exponents, input) in exponents.iter_mut().zip(inputs) {
                *exponents = Switched::exponents(&input.mask[GROUPING * group..]);
            }
            for block in 0..BLOCKS {
                let words = key.block(group, block);
                let two = 2 * polynomials * STRIDE;
                let pairs = exponents.as_chunks::<2>().0;
                // What the next block needs, a part with each pair: the
                // processor's own prefetching ends with a page.
                let mut ahead = key.after(group, block).chunks(words.len() / pairs.len());
                for (digits, [one, other]) in memory.chunks_mut(two).zip(pairs) {
                    for line in ahead.next().unwrap_or_default() {
                        fetch(line);
                    }
                    if digits.len() == two {
                        combine(words, [one, other], digits, block, t);
                    } else {
                        combine(words, [one], digits, block, t);
                    }
                }
            }
            for digits in memory.chunks_exact_mut(polynomials * STRIDE) {
                for (component, acc) in acc.iter_mut().enumerate() {
                    let at = component * STRIDE;
                    acc.copy_from_slice(&digits[at..at + BLOCKS]);
                    backward(acc, t);
                }
                if group + 1 < GROUPS {
                    decompose(gadget, &acc, digits, t);
                } else {
                    out.push(ciphertext(&acc));
                }
            }
        }
    }
    out
}

fn ciphertext(acc: &[Vec<Vector>; 2]) -> RingCiphertext {
    let [a, b] = acc.each_ref().map(|vectors| {
        let mut words = vec![Fq::ZERO; N];
        unpack(vectors, &mut words);
        words
    });
    RingCiphertext { a, b }
}

/// Digits of both components (BST-3), transformed.
#[target_feature(enable = "avx512f,avx512ifma")]
fn decompose(gadget: Gadget, acc: &[Vec<Vector>; 2], digits: &mut [Vector], t: &Tables) {
    let offset = splat(gadget.offset().word());
    let mask = splat(gadget.base() - 1);
    let half = splat(gadget.half_base());
    let q = splat(MODULUS);
    for (i, poly) in digits.chunks_exact_mut(STRIDE).enumerate() {
        let position = _mm_cvtsi64_si128(i64::from(gadget.position(i / COMPONENTS)));
        let poly = &mut poly[..BLOCKS];
        for (digit, word) in poly.iter_mut().zip(&acc[i % COMPONENTS]) {
            let shifted = canonical(add(load(word), offset));
            let limb = _mm512_and_si512(_mm512_srl_epi64(shifted, position), mask);
            let difference = _mm512_sub_epi64(limb, half);
            let negative = _mm512_cmplt_epu64_mask(limb, half);
            store(
                digit,
                _mm512_mask_add_epi64(difference, negative, difference, q),
            );
        }
        forward(poly, t);
    }
}

/// One block of the step for `W` ciphertexts: combines the key (BST-7) and
/// multiplies it by their digits; the result replaces the first two.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn combine<const W: usize>(
    key: &[Vector],
    exponents: [&[u16; PATTERNS]; W],
    digits: &mut [Vector],
    block: usize,
    t: &Tables,
) {
    let of_one = digits.len() / W;
    let mut out = [[_mm512_setzero_si512(); COMPONENTS]; W];
    for (level, key) in key
        .as_chunks::<{ PRODUCTS * PATTERNS }>()
        .0
        .iter()
        .enumerate()
    {
        let sums = combined(key, exponents, block, t);
        for w in 0..W {
            for row in 0..COMPONENTS {
                let at = w * of_one + (level * COMPONENTS + row) * STRIDE + block;
                let digit = factor(load(&digits[at]));
                for component in 0..COMPONENTS {
                    let product = multiply(sums[w][row * COMPONENTS + component], digit);
                    out[w][component] = add(out[w][component], canonical(product));
                }
            }
        }
    }
    for w in 0..W {
        for component in 0..COMPONENTS {
            store(
                &mut digits[w * of_one + component * STRIDE + block],
                out[w][component],
            );
        }
    }
}

/// Sum over patterns of the monomial's value times the key, lazy.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn combined<const W: usize>(
    key: &[Vector; PRODUCTS * PATTERNS],
    exponents: [&[u16; PATTERNS]; W],
    block: usize,
    t: &Tables,
) -> [[__m512i; PRODUCTS]; W] {
    let zero = _mm512_setzero_si512();
    let (mask_24, mask_52) = (splat(LOW_24), splat(LOW_52));
    // Sixteen sums of two low halves below 2^52: under 2^57. Of high parts:
    // sixteen of 2^24 + 2^36 + 2^40 + 2^52.
    let mut low = [[zero; PRODUCTS]; W];
    let mut high = [[zero; PRODUCTS]; W];
    for p in 0..PRODUCTS {
        // Pattern 0 has the monomial 1.
        let word = load(&key[p * PATTERNS]);
        for w in 0..W {
            low[w][p] = _mm512_and_si512(word, mask_52);
            high[w][p] = _mm512_srli_epi64::<52>(word);
        }
    }
    let odd = t.odd[block];
    for s in 1..PATTERNS {
        let (mut x, mut x_high) = ([zero; W], [zero; W]);
        let (mut y, mut y_high) = ([zero; W], [zero; W]);
        for w in 0..W {
            let exponent = usize::from(exponents[w][s]);
            let e = odd * exponent % (2 * N);
            let (row, h) = (load(&t.powers[e % ROWS]), e / ROWS);
            let lanes = &t.lanes[exponent % LANES];
            x[w] = _mm512_permutexvar_epi64(load(&lanes[h]), row);
            y[w] = _mm512_permutexvar_epi64(load(&lanes[(h + t.limb) % LANES]), row);
            x_high[w] = _mm512_srli_epi64::<52>(x[w]);
            y_high[w] = _mm512_srli_epi64::<52>(y[w]);
        }
        for p in 0..PRODUCTS {
            let word = load(&key[p * PATTERNS + s]);
            let k0 = _mm512_and_si512(word, mask_24);
            let k1 = _mm512_srli_epi64::<24>(word);
            for w in 0..W {
                // k0 x_1 < 2^36 and k1 y_1 < 2^52: no high half.
                low[w][p] = _mm512_madd52lo_epu64(low[w][p], k0, x[w]);
                high[w][p] = _mm512_madd52hi_epu64(high[w][p], k0, x[w]);
                high[w][p] = _mm512_madd52lo_epu64(high[w][p], k0, x_high[w]);
                low[w][p] = _mm512_madd52lo_epu64(low[w][p], k1, y[w]);
                high[w][p] = _mm512_madd52hi_epu64(high[w][p], k1, y[w]);
                high[w][p] = _mm512_madd52lo_epu64(high[w][p], k1, y_high[w]);
            }
        }
    }
    let mut out = [[zero; PRODUCTS]; W];
    for w in 0..W {
        for p in 0..PRODUCTS {
            out[w][p] = reduce_shifted::<52, 12>(low[w][p], high[w][p]);
        }
    }
    out
}
