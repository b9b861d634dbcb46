//! F_q on eight words. A "lazy" word is any 64 bits that stand for their value
//! mod q; a canonical one is below q. 2^64 = 2^32 - 1 and 2^96 = -1 (mod q).

#![allow(unsafe_code)] // Vector loads and stores through pointers.

use crate::boot::server_key::Vector;
use core::arch::x86_64::{
    __m512i, _MM_HINT_T1, _mm_prefetch, _mm512_add_epi64, _mm512_and_si512,
    _mm512_cmplt_epu64_mask, _mm512_load_si512, _mm512_mask_add_epi64, _mm512_mask_blend_epi32,
    _mm512_mask_sub_epi64, _mm512_min_epu64, _mm512_mul_epu32, _mm512_set1_epi64,
    _mm512_slli_epi64, _mm512_srli_epi64, _mm512_store_si512, _mm512_sub_epi64,
};
use veilbourse_core::field::MODULUS;

/// 2^64 mod q, and the mask of a low half.
const EPSILON: i64 = 0xffff_ffff;

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load(v: &Vector) -> __m512i {
    // SAFETY: 64 bytes, aligned to 64 by their type.
    unsafe { _mm512_load_si512(std::ptr::from_ref(v).cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store(v: &mut Vector, x: __m512i) {
    // SAFETY: 64 bytes, aligned to 64 by their type.
    unsafe { _mm512_store_si512(std::ptr::from_mut(v).cast(), x) }
}

/// Fetches a line that is needed soon into the second cache.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn fetch(v: &Vector) {
    // SAFETY: a prefetch of memory that `v` borrows; reads nothing.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(v).cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn splat(word: u64) -> __m512i {
    _mm512_set1_epi64(word as i64)
}

/// A factor with its high halves moved down.
#[derive(Clone, Copy)]
pub(super) struct Factor {
    low: __m512i,
    high: __m512i,
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn factor(x: __m512i) -> Factor {
    Factor {
        low: x,
        high: _mm512_srli_epi64::<32>(x),
    }
}

/// Lazy to canonical: x - q wraps around above x exactly when x < q.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn canonical(x: __m512i) -> __m512i {
    _mm512_min_epu64(x, _mm512_sub_epi64(x, splat(MODULUS)))
}

/// a + b, lazy, for b canonical: after a carry the sum is below q - 1, so
/// adding 2^32 - 1 carries no more.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn add(a: __m512i, b: __m512i) -> __m512i {
    let sum = _mm512_add_epi64(a, b);
    let carry = _mm512_cmplt_epu64_mask(sum, b);
    _mm512_mask_add_epi64(sum, carry, sum, _mm512_set1_epi64(EPSILON))
}

/// a - b, lazy, for b canonical: after a borrow the difference is at least
/// 2^64 - q + 1 > 2^32 - 1.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn subtract(a: __m512i, b: __m512i) -> __m512i {
    let difference = _mm512_sub_epi64(a, b);
    let borrow = _mm512_cmplt_epu64_mask(a, b);
    _mm512_mask_sub_epi64(difference, borrow, difference, _mm512_set1_epi64(EPSILON))
}

/// low + 2^64 high, lazy, of any words. With high = h_1 2^32 + h_0:
/// low - h_1 + h_0 (2^32 - 1), where after a borrow or a carry the correction
/// by 2^32 - 1 does not wrap.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn reduce(low: __m512i, high: __m512i) -> __m512i {
    let epsilon = _mm512_set1_epi64(EPSILON);
    let h1 = _mm512_srli_epi64::<32>(high);
    let difference = _mm512_sub_epi64(low, h1);
    let borrow = _mm512_cmplt_epu64_mask(low, h1);
    let difference = _mm512_mask_sub_epi64(difference, borrow, difference, epsilon);
    let h0 = _mm512_mul_epu32(high, epsilon);
    let sum = _mm512_add_epi64(difference, h0);
    let carry = _mm512_cmplt_epu64_mask(sum, h0);
    _mm512_mask_add_epi64(sum, carry, sum, epsilon)
}

/// low + 2^SHIFT high, lazy, where high 2^SHIFT is below 2^127.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn reduce_shifted<const SHIFT: u32, const REST: u32>(
    low: __m512i,
    high: __m512i,
) -> __m512i {
    const { assert!(SHIFT + REST == 64) };
    let shifted = _mm512_slli_epi64::<SHIFT>(high);
    let sum = _mm512_add_epi64(low, shifted);
    let carry = _mm512_cmplt_epu64_mask(sum, shifted);
    let high = _mm512_srli_epi64::<REST>(high);
    let high = _mm512_mask_add_epi64(high, carry, high, _mm512_set1_epi64(1));
    reduce(sum, high)
}

/// x y, lazy, of lazy words: four products of halves.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn multiply(x: __m512i, y: Factor) -> __m512i {
    let x1 = _mm512_srli_epi64::<32>(x);
    let low = _mm512_mul_epu32(x, y.low);
    let cross = _mm512_mul_epu32(x1, y.low);
    let other = _mm512_mul_epu32(x, y.high);
    let high = _mm512_mul_epu32(x1, y.high);
    // A product of halves is at most (2^32 - 1)^2 = 2^64 - 2^33 + 1, so a half
    // may be added twice.
    let cross = _mm512_add_epi64(cross, _mm512_srli_epi64::<32>(low));
    let half = _mm512_and_si512(cross, _mm512_set1_epi64(EPSILON));
    let other = _mm512_add_epi64(other, half);
    let high = _mm512_add_epi64(high, _mm512_srli_epi64::<32>(cross));
    let high = _mm512_add_epi64(high, _mm512_srli_epi64::<32>(other));
    let upper = _mm512_slli_epi64::<32>(other);
    let low = _mm512_mask_blend_epi32(0xaaaa, low, upper);
    reduce(low, high)
}

#[cfg(test)]
#[allow(clippy::needless_range_loop)] // One lane of several vectors.
mod tests {
    use super::*;
    use crate::boot::server_key::LANES;
    use proptest::prelude::*;

    fn lazy() -> impl Strategy<Value = u64> {
        prop_oneof![
            4 => any::<u64>(),
            1 => Just(u64::MAX),
            1 => Just(0),
            1 => Just(MODULUS),
            1 => Just(MODULUS - 1),
            1 => Just(0xffff_ffff_0000_0000),
            1 => Just(0xffff_ffff),
        ]
    }

    /// x y, x + (y mod q), x - (y mod q), x + 2^52 (y div 2^7), x + 2^32 y.
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn all(x: &Vector, y: &Vector) -> [Vector; 5] {
        let (x, y) = (load(x), load(y));
        let results = [
            multiply(x, factor(y)),
            add(x, canonical(y)),
            subtract(x, canonical(y)),
            reduce_shifted::<52, 12>(x, _mm512_srli_epi64::<7>(y)),
            reduce_shifted::<32, 32>(x, _mm512_srli_epi64::<1>(y)),
        ];
        let mut out = [Vector::ZERO; 5];
        for (out, result) in out.iter_mut().zip(results) {
            store(out, canonical(result));
        }
        out
    }

    proptest! {
        #[test]
        fn arithmetic_of_any_words_is_that_mod_q(
            x in prop::array::uniform8(lazy()), y in prop::array::uniform8(lazy())
        ) {
            // BST-13
            if crate::boot::backend::Avx512::detect().is_some() {
                // SAFETY: the features were detected.
                let found = unsafe { all(&Vector(x), &Vector(y)) };
                let q = u128::from(MODULUS);
                for lane in 0..LANES {
                    let (x, y) = (u128::from(x[lane]), u128::from(y[lane]));
                    // 2^117 and 2^95: the sums fit.
                    let expected = [
                        x * y % q,
                        (x + y) % q,
                        (x + 2 * q - y % q) % q,
                        (x + ((y >> 7) << 52)) % q,
                        (x + ((y >> 1) << 32)) % q,
                    ];
                    let found = found.map(|Vector(v)| u128::from(v[lane]));
                    prop_assert_eq!(found, expected);
                }
            }
        }
    }
}
