//! F_q2 = F_q[u] / (u^2 - 7), where MAC keys and challenges live (SHR-2).
//!
//! 7 generates F_q*, so it is no square. |F_q2| = q^2 > 2^127.99.

use std::ops::{Add, AddAssign, Mul, Neg, Sub, SubAssign};
use veilbourse_core::field::Fq;

const NON_RESIDUE: u64 = 7;

/// An element a + b u.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fq2(pub [Fq; 2]);

impl zeroize::DefaultIsZeroes for Fq2 {}

impl Fq2 {
    /// 0.
    pub const ZERO: Self = Self([Fq::ZERO; 2]);
    /// 1.
    pub const ONE: Self = Self([Fq::ONE, Fq::ZERO]);

    /// The element of the base field.
    pub const fn base(a: Fq) -> Self {
        Self([a, Fq::ZERO])
    }
    /// self * a, a in F_q.
    pub fn scale(self, a: Fq) -> Self {
        Self([self.0[0] * a, self.0[1] * a])
    }
    /// 1 / self, or nothing for 0.
    pub fn inverse(self) -> Option<Self> {
        let [a, b] = self.0;
        let norm = (a * a - Fq::reduce(NON_RESIDUE) * b * b).inverse()?;
        Some(Self([a * norm, -b * norm]))
    }
}

impl Add for Fq2 {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self([self.0[0] + o.0[0], self.0[1] + o.0[1]])
    }
}
impl Sub for Fq2 {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        Self([self.0[0] - o.0[0], self.0[1] - o.0[1]])
    }
}
impl Neg for Fq2 {
    type Output = Self;
    fn neg(self) -> Self {
        Self([-self.0[0], -self.0[1]])
    }
}
impl Mul for Fq2 {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        let ([a, b], [c, d]) = (self.0, o.0);
        Self([a * c + Fq::reduce(NON_RESIDUE) * (b * d), a * d + b * c])
    }
}
impl AddAssign for Fq2 {
    fn add_assign(&mut self, o: Self) {
        *self = *self + o;
    }
}
impl SubAssign for Fq2 {
    fn sub_assign(&mut self, o: Self) {
        *self = *self - o;
    }
}
impl std::iter::Sum for Fq2 {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, |a, b| a + b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use veilbourse_core::field::MODULUS;

    fn element() -> impl Strategy<Value = Fq2> {
        [any::<u64>(), any::<u64>()].prop_map(|[a, b]| Fq2([Fq::reduce(a), Fq::reduce(b)]))
    }

    proptest! {
        #[test]
        fn field_laws(a in element(), b in element(), c in element()) {
            prop_assert_eq!((a + b) * c, a * c + b * c);
            prop_assert_eq!(a * b, b * a);
            prop_assert_eq!((a * b) * c, a * (b * c));
            prop_assert_eq!(a - b, a + -b);
            if let Some(i) = a.inverse() {
                prop_assert_eq!(a * i, Fq2::ONE);
            }
            prop_assert_eq!(a.scale(c.0[0]), a * Fq2::base(c.0[0]));
        }
    }

    #[test]
    fn seven_is_no_square() {
        // Euler: 7^((q - 1) / 2) = -1, so u^2 - 7 is irreducible (SHR-2).
        assert_eq!(Fq::reduce(7).pow((MODULUS - 1) / 2), -Fq::ONE);
        assert_eq!(Fq2::ZERO.inverse(), None);
    }
}
