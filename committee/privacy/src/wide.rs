//! 256-bit integers of fixed size, by `crypto-bigint`: what exact acceptance
//! probabilities and costs need beyond 128 bits.

use crypto_bigint::{Encoding, NonZero, U256};

/// a b, exactly: below 2^256.
pub(crate) fn mul(a: u128, b: u128) -> U256 {
    // The factors are below 2^128, so nothing wraps.
    U256::from_u128(a).wrapping_mul(&U256::from_u128(b))
}

/// floor(a / b) and whether a remainder was left; `None` when b is zero or
/// the quotient needs more than 128 bits.
pub(crate) fn div(a: &U256, b: &U256) -> Option<(u128, bool)> {
    let divisor = Option::<NonZero<U256>>::from(NonZero::new(*b))?;
    let (quotient, remainder) = a.div_rem(&divisor);
    Some((low_u128(&quotient)?, remainder != U256::ZERO))
}

/// ceil(a / b), or `None` as [`div`].
pub(crate) fn div_ceil(a: &U256, b: &U256) -> Option<u128> {
    let (quotient, left) = div(a, b)?;
    quotient.checked_add(u128::from(left))
}

/// The value, if it fits 128 bits.
fn low_u128(v: &U256) -> Option<u128> {
    if v.bits_vartime() > 128 {
        return None;
    }
    let bytes = v.to_le_bytes();
    let (low, _) = bytes.split_first_chunk::<16>()?;
    Some(u128::from_le_bytes(*low))
}

/// v 2^bits; `None` when it needs more than 256 bits.
pub(crate) fn shl(v: &U256, bits: usize) -> Option<U256> {
    (v.bits_vartime() + bits <= 256).then(|| v.shl_vartime(bits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn quotients_round_as_named(a in any::<u64>(), b in 1..u128::MAX, r in any::<u128>()) {
            let r = r % b;
            let product = mul(u128::from(a), b).wrapping_add(&U256::from_u128(r));
            let divisor = U256::from_u128(b);
            prop_assert_eq!(div(&product, &divisor), Some((u128::from(a), r != 0)));
            prop_assert_eq!(
                div_ceil(&product, &divisor),
                Some(u128::from(a) + u128::from(r != 0))
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_none() {
        let top = mul(u128::MAX, u128::MAX);
        assert_eq!(div(&top, &U256::ZERO), None);
        assert_eq!(div(&top, &U256::ONE), None);
        assert_eq!(
            div_ceil(&U256::from_u128(u128::MAX), &U256::ONE),
            Some(u128::MAX)
        );
        assert_eq!(shl(&U256::ONE, 256), None);
    }
}
