//! How far one row can move an opened integer (PRV-5, PRV-6).
//!
//! The product's neighbours are tables that differ in **one row, replaced** by
//! another within the declared column ranges: the number of rows of every
//! segment is public (it is under the dataset root), so "with or without a
//! row" would promise to hide what the manifest says. The bound of "with or
//! without" is offered for comparison with other systems.

use crate::PrivacyError;

/// The greatest sensitivity that is accounted: 2^62, the range of messages.
pub const MAX_SENSITIVITY: u64 = 1 << 62;

/// Which two tables must be hard to tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Neighbours {
    /// One row has other values; the number of rows is public. The default.
    #[default]
    ReplaceOne,
    /// One row is there or not.
    AddRemove,
}

/// The L1 sensitivity of one opened integer; for one value L2 is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sensitivity(u64);

/// One column of a weighted sum: its weight and declared range. A public
/// column of value c has `min = max = c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnTerm {
    /// Integer weight.
    pub weight: i64,
    /// Least quantised value.
    pub min: i64,
    /// Greatest quantised value.
    pub max: i64,
}

impl Sensitivity {
    /// A sensitivity of `value`.
    ///
    /// # Errors
    /// [`PrivacyError::Sensitivity`] above 2^62.
    pub fn new(value: u128) -> Result<Self, PrivacyError> {
        if value > u128::from(MAX_SENSITIVITY) {
            return Err(PrivacyError::Sensitivity {
                limit: MAX_SENSITIVITY,
                at_least: value,
            });
        }
        // At most 2^62.
        Ok(Self(value as u64))
    }

    /// The integer.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// Of the sum over rows of sum_f w_f x_f, for public weights (PRV-5): the
    /// greatest row minus the least one when a row is replaced, the row
    /// greatest in magnitude when it is added or removed.
    ///
    /// # Errors
    /// [`PrivacyError::EmptyRange`], [`PrivacyError::Overflow`],
    /// [`PrivacyError::Sensitivity`].
    pub fn of_weights(terms: &[ColumnTerm], neighbours: Neighbours) -> Result<Self, PrivacyError> {
        let (mut least, mut greatest) = (0i128, 0i128);
        for (column, term) in terms.iter().enumerate() {
            let ColumnTerm { weight, min, max } = *term;
            if min > max {
                return Err(PrivacyError::EmptyRange { column, min, max });
            }
            // Products of 64-bit integers fit 127 bits; their sums are checked.
            let ends = [
                i128::from(weight) * i128::from(min),
                i128::from(weight) * i128::from(max),
            ];
            let [a, b] = ends;
            let sum = |total: i128, end: i128| {
                total
                    .checked_add(end)
                    .ok_or(PrivacyError::Overflow { column })
            };
            least = sum(least, a.min(b))?;
            greatest = sum(greatest, a.max(b))?;
        }
        Self::new(match neighbours {
            // greatest >= least, and the distance fits 128 unsigned bits.
            Neighbours::ReplaceOne => greatest.abs_diff(least),
            Neighbours::AddRemove => greatest.unsigned_abs().max(least.unsigned_abs()),
        })
    }

    /// From the published bound B of private weights (LES-6: sum |w_f| range_f
    /// <= B, range_f the greatest magnitude): a row lies within [-B, B], so B
    /// when it is added or removed, 2B when it is replaced (PRV-6).
    ///
    /// # Errors
    /// [`PrivacyError::Sensitivity`].
    pub fn of_bound(bound: u64, neighbours: Neighbours) -> Result<Self, PrivacyError> {
        Self::new(match neighbours {
            Neighbours::ReplaceOne => 2 * u128::from(bound),
            Neighbours::AddRemove => u128::from(bound),
        })
    }

    /// For people who may own up to `rows` rows: moved by all of them at once
    /// (PRV-5).
    ///
    /// # Errors
    /// [`PrivacyError::Sensitivity`].
    pub fn of_group(self, rows: u32) -> Result<Self, PrivacyError> {
        Self::new(u128::from(self.0) * u128::from(rows))
    }
}
