//! Fractions in lowest terms: one value, one representation (PRV-3).

use crate::PrivacyError;

/// numerator / denominator in lowest terms, denominator within 1..=2^32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rational {
    numerator: u128,
    denominator: u64,
}

impl Rational {
    /// The greatest denominator of a reduced fraction.
    pub const MAX_DENOMINATOR: u64 = 1 << 32;

    /// Reduces `numerator / denominator`.
    ///
    /// # Errors
    /// [`PrivacyError::Denominator`] naming `field` when the denominator is
    /// zero or, reduced, above 2^32.
    pub fn new(
        field: &'static str,
        numerator: u128,
        denominator: u64,
    ) -> Result<Self, PrivacyError> {
        let refused = |value| PrivacyError::Denominator {
            field,
            limit: Self::MAX_DENOMINATOR,
            value,
        };
        if denominator == 0 {
            return Err(refused(0));
        }
        // gcd(n, d) divides d, so it fits 64 bits and is not zero.
        let common = gcd(denominator, (numerator % u128::from(denominator)) as u64);
        let reduced = denominator / common;
        if reduced > Self::MAX_DENOMINATOR {
            return Err(refused(reduced));
        }
        Ok(Self {
            numerator: numerator / u128::from(common),
            denominator: reduced,
        })
    }

    /// An integer.
    pub const fn integer(value: u128) -> Self {
        Self {
            numerator: value,
            denominator: 1,
        }
    }
    /// The numerator.
    pub const fn numerator(&self) -> u128 {
        self.numerator
    }
    /// The denominator.
    pub const fn denominator(&self) -> u64 {
        self.denominator
    }
    /// The nearest float, for reports.
    pub fn to_f64(&self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }
}

/// Greatest common divisor; gcd(a, 0) = a.
fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_reduced() {
        // PRV-3
        let r = Rational::new("x", 6, 4).unwrap();
        assert_eq!((r.numerator(), r.denominator()), (3, 2));
        let large = Rational::new("x", 3 << 100, 9).unwrap();
        assert_eq!((large.numerator(), large.denominator()), (1 << 100, 3));
        let zero = Rational::new("x", 0, 7).unwrap();
        assert_eq!(zero, Rational::integer(0));
    }

    #[test]
    fn denominators_have_a_limit() {
        // PRV-2
        for value in [0, (1 << 32) + 1, u64::MAX] {
            assert_eq!(
                Rational::new("x", 1, value),
                Err(PrivacyError::Denominator {
                    field: "x",
                    limit: 1 << 32,
                    value
                })
            );
        }
        // What counts is the reduced one.
        assert!(Rational::new("x", 2, 1 << 33).is_ok());
    }
}
