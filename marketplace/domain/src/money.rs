//! Money: integer minor units of one currency, and the exact split of a price (SET-4).

use crate::DomainError;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// The largest amount: far beyond any price, far below overflow of a sum of
/// 9,000 of them.
pub const MAX_AMOUNT: i64 = 1_000_000_000_000_000;
/// Basis points in the whole.
pub const BASIS_POINTS: u32 = 10_000;

/// A non-negative amount of minor units (100 to the credit), at most [`MAX_AMOUNT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MinorUnits(i64);

impl MinorUnits {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Takes 0 to [`MAX_AMOUNT`].
    pub fn new(value: i64) -> Result<Self, DomainError> {
        if (0..=MAX_AMOUNT).contains(&value) {
            Ok(Self(value))
        } else {
            Err(DomainError::Amount {
                field: "amount",
                value,
            })
        }
    }
    /// Takes 1 to [`MAX_AMOUNT`].
    pub fn positive(field: &'static str, value: i64) -> Result<Self, DomainError> {
        match Self::new(value) {
            Ok(v) if value > 0 => Ok(v),
            _ => Err(DomainError::Amount { field, value }),
        }
    }
    /// The amount.
    pub fn get(self) -> i64 {
        self.0
    }
    /// The sum, refused above [`MAX_AMOUNT`].
    pub fn plus(self, other: Self) -> Result<Self, DomainError> {
        Self::new(self.0 + other.0)
    }
    /// `self` taken `n` times, refused above [`MAX_AMOUNT`].
    pub fn times(self, n: u64) -> Result<Self, DomainError> {
        let too_large = DomainError::Amount {
            field: "amount",
            value: i64::MAX,
        };
        let n = i64::try_from(n).map_err(|_| too_large.clone())?;
        Self::new(self.0.checked_mul(n).ok_or(too_large)?)
    }
}

impl fmt::Display for MinorUnits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl FromStr for MinorUnits {
    type Err = DomainError;
    /// Reads a canonical decimal (WIRE-6): no sign, no leading zero.
    fn from_str(s: &str) -> Result<Self, DomainError> {
        let value: i64 = s
            .parse()
            .map_err(|_| DomainError::invalid("amount", "not a decimal integer"))?;
        if value.to_string() != s {
            return Err(DomainError::invalid(
                "amount",
                "not the canonical decimal form",
            ));
        }
        Self::new(value)
    }
}
impl Serialize for MinorUnits {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for MinorUnits {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Who gets what of a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// The marketplace.
    pub fee: MinorUnits,
    /// The pod's operator.
    pub pod: MinorUnits,
    /// The custodian.
    pub custodian: MinorUnits,
}

impl Split {
    /// Price = fee + pod + custodian: the fee is floored, the custodian gets
    /// the rest (SET-4).
    pub fn of(price: MinorUnits, fee_bp: u32, pod: MinorUnits) -> Result<Self, DomainError> {
        if fee_bp > BASIS_POINTS {
            return Err(DomainError::TooLarge {
                field: "fee_bp",
                limit: u64::from(BASIS_POINTS),
                value: u64::from(fee_bp),
            });
        }
        let fee = i128::from(price.0) * i128::from(fee_bp) / i128::from(BASIS_POINTS);
        let fee = i64::try_from(fee).map_err(|_| DomainError::Unbalanced { sum: i64::MAX })?;
        let rest = price.0 - fee - pod.0;
        if rest < 0 {
            return Err(DomainError::Amount {
                field: "custodian's part",
                value: rest,
            });
        }
        Ok(Self {
            fee: Self::part(fee)?,
            pod,
            custodian: Self::part(rest)?,
        })
    }

    fn part(v: i64) -> Result<MinorUnits, DomainError> {
        MinorUnits::new(v)
    }

    /// The price that was split.
    pub fn total(&self) -> Result<MinorUnits, DomainError> {
        let Self {
            fee,
            pod,
            custodian,
        } = *self;
        fee.plus(pod)?.plus(custodian)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn split_is_exact(price in 0..=MAX_AMOUNT, bp in 0..=BASIS_POINTS, pod in 0..=MAX_AMOUNT) {
            // SET-4
            let price = MinorUnits::new(price).unwrap();
            let pod = MinorUnits::new(pod).unwrap();
            match Split::of(price, bp, pod) {
                Ok(s) => {
                    prop_assert_eq!(s.total(), Ok(price));
                    prop_assert_eq!(s.pod, pod);
                    let exact = i128::from(price.get()) * i128::from(bp);
                    let fee = i128::from(s.fee.get()) * 10_000;
                    prop_assert!(fee <= exact && exact < fee + 10_000);
                }
                Err(e) => {
                    let refused = matches!(e, DomainError::Amount { .. });
                    prop_assert!(refused);
                }
            }
        }
    }

    #[test]
    fn amounts_have_bounds_and_one_text() {
        assert!(MinorUnits::new(-1).is_err() && MinorUnits::new(MAX_AMOUNT + 1).is_err());
        assert!(MinorUnits::positive("price", 0).is_err());
        for bad in ["", "-1", "+1", "01", "1.0", "9223372036854775808"] {
            assert!(bad.parse::<MinorUnits>().is_err(), "{bad}");
        }
        assert_eq!("100".parse::<MinorUnits>(), MinorUnits::new(100));
        let most = MinorUnits::new(MAX_AMOUNT).unwrap();
        assert!(most.plus(most).is_err() && most.times(u64::MAX).is_err());
        assert!(matches!(
            Split::of(most, 10_001, MinorUnits::ZERO),
            Err(DomainError::TooLarge { limit: 10_000, .. })
        ));
    }
}
