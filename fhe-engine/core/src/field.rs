//! F_q, q = 2^64 - 2^32 + 1 (the Goldilocks prime): canonical words.
//!
//! Every value is a word in [0, q); constructors from outside check it (rule
//! WIRE-4). Reduction uses 2^64 = 2^32 - 1 and 2^96 = -1 (mod q).

use serde::{Deserialize, Serialize};
use std::ops::{Add, AddAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// q.
pub const MODULUS: u64 = 0xffff_ffff_0000_0001;
/// 2^64 mod q.
const EPSILON: u64 = 0xffff_ffff;
/// A generator of the multiplicative group of F_q.
const GENERATOR: u64 = 7;

/// An element of F_q, canonical.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
#[repr(transparent)]
pub struct Fq(u64);

impl zeroize::DefaultIsZeroes for Fq {}

impl<'de> Deserialize<'de> for Fq {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let w = u64::deserialize(d)?;
        Self::new(w).ok_or_else(|| serde::de::Error::custom(format!("word {w} is not below q")))
    }
}

impl Fq {
    /// 0.
    pub const ZERO: Self = Self(0);
    /// 1.
    pub const ONE: Self = Self(1);

    /// A canonical word, or nothing when it is q or more.
    pub const fn new(word: u64) -> Option<Self> {
        if word < MODULUS {
            Some(Self(word))
        } else {
            None
        }
    }
    /// `word` mod q.
    pub const fn reduce(word: u64) -> Self {
        if word >= MODULUS {
            Self(word - MODULUS)
        } else {
            Self(word)
        }
    }
    /// `wide` mod q.
    pub const fn reduce_wide(wide: u128) -> Self {
        let (low, high) = (wide as u64, (wide >> 64) as u64);
        let (high_low, high_high) = (high & EPSILON, high >> 32);
        // low - high_high (2^96 = -1), then + high_low * (2^32 - 1).
        let (mut t, borrow) = low.overflowing_sub(high_high);
        if borrow {
            t = t.wrapping_sub(EPSILON);
        }
        let (mut r, carry) = t.overflowing_add(high_low * EPSILON);
        if carry {
            r = r.wrapping_add(EPSILON);
        }
        Self::reduce(r)
    }
    /// An integer mod q.
    pub const fn from_i64(v: i64) -> Self {
        let magnitude = Self::reduce(v.unsigned_abs());
        if v < 0 { magnitude.negate() } else { magnitude }
    }
    /// An integer mod q.
    pub const fn from_i128(v: i128) -> Self {
        let magnitude = Self::reduce_wide(v.unsigned_abs());
        if v < 0 { magnitude.negate() } else { magnitude }
    }
    /// The canonical word.
    pub const fn word(self) -> u64 {
        self.0
    }
    /// The representative in (-q/2, q/2).
    pub const fn centred(self) -> i64 {
        if self.0 > MODULUS / 2 {
            (self.0.wrapping_sub(MODULUS)) as i64
        } else {
            self.0 as i64
        }
    }
    const fn negate(self) -> Self {
        if self.0 == 0 {
            self
        } else {
            Self(MODULUS - self.0)
        }
    }
    /// self^e.
    pub fn pow(self, mut e: u64) -> Self {
        let (mut base, mut out) = (self, Self::ONE);
        while e > 0 {
            if e & 1 == 1 {
                out *= base;
            }
            base *= base;
            e >>= 1;
        }
        out
    }
    /// 1/self, or nothing for 0.
    pub fn inverse(self) -> Option<Self> {
        (self.0 != 0).then(|| self.pow(MODULUS - 2))
    }
    /// A primitive root of unity of order 2^log2 (log2 <= 32).
    pub fn root_of_unity(log2: u32) -> Option<Self> {
        (log2 <= 32).then(|| Self(GENERATOR).pow((MODULUS - 1) >> log2))
    }
}

impl Add for Fq {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        let (s, carry) = self.0.overflowing_add(o.0);
        if carry {
            Self(s.wrapping_add(EPSILON))
        } else {
            Self::reduce(s)
        }
    }
}
impl Sub for Fq {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        let (d, borrow) = self.0.overflowing_sub(o.0);
        Self(if borrow { d.wrapping_sub(EPSILON) } else { d })
    }
}
impl Mul for Fq {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        Self::reduce_wide(u128::from(self.0) * u128::from(o.0))
    }
}
impl Neg for Fq {
    type Output = Self;
    fn neg(self) -> Self {
        self.negate()
    }
}
impl AddAssign for Fq {
    fn add_assign(&mut self, o: Self) {
        *self = *self + o;
    }
}
impl SubAssign for Fq {
    fn sub_assign(&mut self, o: Self) {
        *self = *self - o;
    }
}
impl MulAssign for Fq {
    fn mul_assign(&mut self, o: Self) {
        *self = *self * o;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(v: u128) -> u64 {
        (v % u128::from(MODULUS)) as u64
    }
    fn word() -> impl Strategy<Value = u64> {
        prop_oneof![
            0..MODULUS,
            Just(0),
            Just(1),
            Just(MODULUS - 1),
            Just(EPSILON),
            Just(EPSILON + 1),
            Just(MODULUS / 2),
            Just(MODULUS / 2 + 1)
        ]
    }

    proptest! {
        #[test]
        fn arithmetic_is_that_of_the_integers_mod_q(a in word(), b in word(), w: u128, i: i128) {
            let (x, y) = (Fq::reduce(a), Fq::reduce(b));
            let (a, b) = (u128::from(a), u128::from(b));
            prop_assert_eq!((x + y).word(), naive(a + b));
            prop_assert_eq!((x - y).word(), naive(a + u128::from(MODULUS) - b));
            prop_assert_eq!((x * y).word(), naive(a * b));
            prop_assert_eq!(Fq::reduce_wide(w).word(), naive(w));
            prop_assert_eq!(Fq::from_i128(i).word(), i.rem_euclid(i128::from(MODULUS)) as u64);
            prop_assert_eq!(x + -x, Fq::ZERO);
            prop_assert_eq!(Fq::from_i64(x.centred()), x);
            if let Some(inverse) = x.inverse() {
                prop_assert_eq!(x * inverse, Fq::ONE);
            }
        }
    }

    #[test]
    fn edges() {
        // WIRE-4: a word of q or more is no element.
        assert_eq!(Fq::new(MODULUS), None);
        assert_eq!(Fq::new(u64::MAX), None);
        assert_eq!(Fq::from_i64(i64::MIN) + Fq::reduce(1 << 63), Fq::ZERO);
        assert_eq!(Fq::ZERO.inverse(), None);
        let w = Fq::root_of_unity(13).unwrap();
        assert_eq!(w.pow(1 << 12), -Fq::ONE);
        assert!(Fq::root_of_unity(33).is_none());
        assert!(serde_json::from_str::<Fq>("18446744069414584321").is_err());
    }
}
