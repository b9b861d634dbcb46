//! First and second moments of some columns, as exact integers (TRN-6).
//!
//! Moments of several listings add up before anything is solved: scales are
//! brought to the finest, nothing is rounded.

use num_bigint::BigInt;
use serde::Serialize;
use thiserror::Error;

/// Why moments do not add up.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum MomentsError {
    /// Counts that do not agree.
    #[error("{field} has {value} entries, {expected} are needed")]
    Shape {
        /// Which part.
        field: &'static str,
        /// Needed.
        expected: usize,
        /// Found.
        value: usize,
    },
    /// Of other columns.
    #[error("column {index} is {found:?} in one part and {expected:?} in the other")]
    OtherColumn {
        /// Which.
        index: usize,
        /// In the first.
        expected: String,
        /// In the second.
        found: String,
    },
    /// No table has them: a variance, or what is left of one, is negative.
    #[error(
        "no table has these moments: what the other columns leave of {name:?} has a negative sum of \
         squares; a product column is not the product of its factors"
    )]
    Impossible {
        /// The column at which it shows.
        name: String,
    },
}

/// One column that moments are of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Variable {
    /// Its name in the listing.
    pub name: String,
    /// Unit of its real values.
    pub unit: String,
    /// An integer X stands for X / 2^scale_log2.
    pub scale_log2: i32,
    /// Most that quantisation moved a cell, in real units: half a step, or 0
    /// for categories, public columns and columns said to be exact.
    pub half_step: f64,
}

/// Row count, sums, and sums of squares and products of some columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// The columns; the target is the last.
    pub variables: Vec<Variable>,
    /// n.
    pub rows: u64,
    /// Sum of each column.
    pub sums: Vec<BigInt>,
    /// `products[i][j]`, j <= i: sum of the products of columns i and j.
    pub products: Vec<Vec<BigInt>>,
}

impl Moments {
    /// Moments that are zero: of no rows.
    pub fn none(variables: Vec<Variable>) -> Self {
        let p = variables.len();
        Self {
            variables,
            rows: 0,
            sums: vec![BigInt::ZERO; p],
            products: (0..p).map(|i| vec![BigInt::ZERO; i + 1]).collect(),
        }
    }

    /// The moments of integers, row by row: the plaintext reference.
    pub fn of_rows<'a>(
        variables: Vec<Variable>,
        rows: impl Iterator<Item = &'a [i64]>,
    ) -> Result<Self, MomentsError> {
        let mut m = Self::none(variables);
        for row in rows {
            shape("row", m.variables.len(), row.len())?;
            m.rows += 1;
            for (((x, sum), line), i) in row.iter().zip(&mut m.sums).zip(&mut m.products).zip(1..) {
                *sum += *x;
                for (cell, z) in line.iter_mut().zip(row.iter().take(i)) {
                    *cell += i128::from(*x) * i128::from(*z);
                }
            }
        }
        Ok(m)
    }

    /// Refuses parts whose lengths do not agree.
    pub fn check(&self) -> Result<(), MomentsError> {
        let p = self.variables.len();
        shape("sums", p, self.sums.len())?;
        shape("products", p, self.products.len())?;
        for (line, i) in self.products.iter().zip(1..) {
            shape("products", i, line.len())?;
        }
        Ok(())
    }

    /// The moments of both tables' rows together (TRN-6): of the same columns in
    /// the same order; a column held at two scales is brought to the finer.
    pub fn plus(mut self, mut other: Self) -> Result<Self, MomentsError> {
        self.check()?;
        other.check()?;
        shape("columns", self.variables.len(), other.variables.len())?;
        for (i, (a, b)) in self.variables.iter().zip(&other.variables).enumerate() {
            if a.name != b.name {
                return Err(MomentsError::OtherColumn {
                    index: i,
                    expected: a.name.clone(),
                    found: b.name.clone(),
                });
            }
        }
        let finest: Vec<i32> = self
            .variables
            .iter()
            .zip(&other.variables)
            .map(|(a, b)| a.scale_log2.max(b.scale_log2))
            .collect();
        self.refine(&finest);
        other.refine(&finest);
        self.rows = self.rows.saturating_add(other.rows);
        for (a, b) in self.sums.iter_mut().zip(other.sums) {
            *a += b;
        }
        for (a, b) in self
            .products
            .iter_mut()
            .flatten()
            .zip(other.products.into_iter().flatten())
        {
            *a += b;
        }
        for (a, b) in self.variables.iter_mut().zip(&other.variables) {
            a.half_step = a.half_step.max(b.half_step);
        }
        Ok(self)
    }

    /// Multiplies by powers of two until every column has the scale given, which
    /// is at least its own.
    fn refine(&mut self, scales: &[i32]) {
        let shifts: Vec<u32> = self
            .variables
            .iter()
            .zip(scales)
            .map(|(v, s)| s.saturating_sub(v.scale_log2).max(0).unsigned_abs())
            .collect();
        for (((v, s), shift), sum) in self
            .variables
            .iter_mut()
            .zip(scales)
            .zip(&shifts)
            .zip(&mut self.sums)
        {
            v.scale_log2 = *s;
            *sum <<= *shift;
        }
        for (line, a) in self.products.iter_mut().zip(&shifts) {
            for (cell, b) in line.iter_mut().zip(&shifts) {
                *cell <<= a.saturating_add(*b);
            }
        }
    }

    /// n times the sums of squares and products about the means, all p x p of
    /// them: `n * products[i][j] - sums[i] * sums[j]`.
    pub fn centred(&self) -> Vec<Vec<BigInt>> {
        let p = self.variables.len();
        let n = BigInt::from(self.rows);
        let mut c = vec![vec![BigInt::ZERO; p]; p];
        for (i, (line, si)) in self.products.iter().zip(&self.sums).enumerate() {
            for (j, (cell, sj)) in line.iter().zip(&self.sums).enumerate() {
                let value = cell * &n - si * sj;
                for (at, to) in [(i, j), (j, i)] {
                    if let Some(slot) = c.get_mut(at).and_then(|l| l.get_mut(to)) {
                        slot.clone_from(&value);
                    }
                }
            }
        }
        c
    }

    /// The same moments with the columns in another order, or fewer of them.
    pub fn select(&self, columns: &[usize]) -> Option<Self> {
        let at = |i: usize, j: usize| self.products.get(i.max(j))?.get(i.min(j)).cloned();
        Some(Self {
            variables: columns
                .iter()
                .map(|i| self.variables.get(*i).cloned())
                .collect::<Option<_>>()?,
            rows: self.rows,
            sums: columns
                .iter()
                .map(|i| self.sums.get(*i).cloned())
                .collect::<Option<_>>()?,
            products: columns
                .iter()
                .zip(1..)
                .map(|(i, n)| columns.iter().take(n).map(|j| at(*i, *j)).collect())
                .collect::<Option<_>>()?,
        })
    }
}

fn shape(field: &'static str, expected: usize, value: usize) -> Result<(), MomentsError> {
    if expected == value {
        return Ok(());
    }
    Err(MomentsError::Shape {
        field,
        expected,
        value,
    })
}
