//! The budget: costs in whole units, added up, refused beyond the limit
//! (PRV-8, PRV-9).
//!
//! Costs in zCDP add up under adaptive composition (BS lemma 1.7), also when
//! each next cost depends on earlier answers, as long as the sum stays within a
//! limit fixed before (Feldman and Zrnic, arXiv 2008.11193).

use crate::{PrivacyError, rational::Rational, wide};
use crypto_bigint::U256;
use veilbourse_core::wire::{Reader, Writer};

/// One unit of [`Rho`] is 2^-40.
pub const RHO_FRACTION_BITS: u32 = 40;

/// A zCDP parameter in units of 2^-40 (PRV-8): what is spent is rounded up,
/// what is granted is rounded down. Below 2^24.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Rho(u64);

/// A limit and what was spent of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    limit: Rho,
    spent: Rho,
}

const TOO_COSTLY: PrivacyError = PrivacyError::Cost { limit: u64::MAX };

impl Rho {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From units of 2^-40.
    pub const fn from_units(units: u64) -> Self {
        Self(units)
    }
    /// Units of 2^-40.
    pub const fn units(self) -> u64 {
        self.0
    }

    /// The least representable cost of at least `value`: for what is spent.
    ///
    /// # Errors
    /// [`PrivacyError::Cost`].
    pub fn spending(value: &Rational) -> Result<Self, PrivacyError> {
        let (quotient, left) = Self::divide(value)?;
        Self::fit(quotient.checked_add(u128::from(left)))
    }

    /// The greatest representable value of at most `value`: for what is granted.
    ///
    /// # Errors
    /// [`PrivacyError::Cost`].
    pub fn granting(value: &Rational) -> Result<Self, PrivacyError> {
        Self::fit(Some(Self::divide(value)?.0))
    }

    fn divide(value: &Rational) -> Result<(u128, bool), PrivacyError> {
        let top = wide::mul(value.numerator(), 1 << RHO_FRACTION_BITS);
        wide::div(&top, &U256::from_u64(value.denominator())).ok_or(TOO_COSTLY)
    }

    /// top / (2 bottom), rounded up: 2^39 top / bottom units.
    pub(crate) fn half_rounded_up(top: &U256, bottom: &U256) -> Result<Self, PrivacyError> {
        let shifted = wide::shl(top, RHO_FRACTION_BITS as usize - 1).ok_or(TOO_COSTLY)?;
        Self::fit(wide::div_ceil(&shifted, bottom))
    }

    fn fit(units: Option<u128>) -> Result<Self, PrivacyError> {
        units
            .and_then(|u| u64::try_from(u).ok())
            .map(Self)
            .ok_or(TOO_COSTLY)
    }

    /// The cost of both (PRV-9).
    ///
    /// # Errors
    /// [`PrivacyError::Cost`].
    pub fn plus(self, other: Self) -> Result<Self, PrivacyError> {
        self.0.checked_add(other.0).map(Self).ok_or(TOO_COSTLY)
    }

    /// The cost of `count` openings (PRV-9).
    ///
    /// # Errors
    /// [`PrivacyError::Cost`].
    pub fn times(self, count: u64) -> Result<Self, PrivacyError> {
        self.0.checked_mul(count).map(Self).ok_or(TOO_COSTLY)
    }

    /// The value for reports, rounded up.
    pub fn to_f64(self) -> f64 {
        let value = self.0 as f64 / (1u64 << RHO_FRACTION_BITS) as f64;
        // Above 2^53 units the conversion may have rounded down.
        if self.0 >> 53 == 0 {
            value
        } else {
            value.next_up()
        }
    }
}

impl Budget {
    /// A fresh budget.
    pub const fn new(limit: Rho) -> Self {
        Self {
            limit,
            spent: Rho::ZERO,
        }
    }

    /// A budget of which some is spent already.
    ///
    /// # Errors
    /// [`PrivacyError::Budget`] when that is more than the limit.
    pub fn restored(limit: Rho, spent: Rho) -> Result<Self, PrivacyError> {
        let mut budget = Self::new(limit);
        budget.spend(spent)?;
        Ok(budget)
    }

    /// The limit.
    pub const fn limit(&self) -> Rho {
        self.limit
    }
    /// What was spent.
    pub const fn spent(&self) -> Rho {
        self.spent
    }
    /// What is left.
    pub const fn left(&self) -> Rho {
        Rho(self.limit.0.saturating_sub(self.spent.0))
    }

    /// Spends `asked`, or leaves the budget as it is (PRV-9).
    ///
    /// # Errors
    /// [`PrivacyError::Budget`] naming limit, spent and asked.
    pub fn spend(&mut self, asked: Rho) -> Result<(), PrivacyError> {
        match self.spent.0.checked_add(asked.0) {
            Some(sum) if sum <= self.limit.0 => {
                self.spent = Rho(sum);
                Ok(())
            }
            _ => Err(PrivacyError::Budget {
                limit: self.limit.0,
                spent: self.spent.0,
                asked: asked.0,
            }),
        }
    }

    /// The canonical encoding (PRV-3): limit, spent, in units, little-endian.
    pub fn encode(&self, out: &mut Writer) {
        let Self { limit, spent } = self;
        out.u64(limit.0).u64(spent.0);
    }

    /// Reads a budget.
    ///
    /// # Errors
    /// [`PrivacyError::Wire`], [`PrivacyError::Budget`].
    pub fn decode(input: &mut Reader<'_>) -> Result<Self, PrivacyError> {
        let limit = Rho(input.u64("privacy budget limit")?);
        let spent = Rho(input.u64("privacy budget spent")?);
        Self::restored(limit, spent)
    }
}
