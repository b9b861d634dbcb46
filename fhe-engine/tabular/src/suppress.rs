//! Rule DS-7: columns that would single out a few rows are not encrypted.
//!
//! An aggregate of a column that few rows have, or few lack, is a statement on
//! those few; a total that one row dominates is a statement on that row (the
//! threshold and dominance rules of statistical offices: Hundepool et al.,
//! "Statistical Disclosure Control", 2012, section 4.2).
//!
//! Judged on the quantised integers, segment by segment. One-hot columns have
//! a natural zero, and so has a column in which zero is the most frequent value
//! of the whole table, alone, and held by at least one row in twenty: there the
//! support counts. Any other column is dense: what counts is how many rows
//! differ from the segment's most frequent value (which also finds a yes/no
//! column that few rows lack). A value that all rows of a segment share, other
//! than a natural zero, singles out nobody in it.

use crate::{config::Suppression, report::DropReason};

/// One segment's part of a column.
pub(crate) struct Part<'a> {
    pub label: &'a str,
    pub values: &'a [i64],
}

/// Why a column must be dropped, if it must.
pub(crate) fn judge(parts: &[Part<'_>], indicator: bool, rule: &Suppression) -> Option<DropReason> {
    let natural_zero = indicator || has_natural_zero(parts);
    parts
        .iter()
        .find_map(|p| judge_segment(p, natural_zero, rule))
}

fn has_natural_zero(parts: &[Part<'_>]) -> bool {
    let (zeros, others): (Vec<i64>, Vec<i64>) = parts
        .iter()
        .flat_map(|p| p.values.iter().copied())
        .partition(|v| *v == 0);
    zeros.len() * 20 >= zeros.len() + others.len() && zeros.len() > most_frequent(others)
}

fn judge_segment(p: &Part<'_>, natural_zero: bool, rule: &Suppression) -> Option<DropReason> {
    let segment = || p.label.to_owned();
    let k_min = rule.k_min;
    let few = |rows: u64| rows > 0 && rows < k_min;
    let n = p.values.len() as u64;
    if natural_zero {
        let support = p.values.iter().filter(|v| **v != 0).count() as u64;
        if support < k_min {
            return Some(DropReason::FewRows {
                segment: segment(),
                rows: support,
                k_min,
            });
        }
        if few(n - support) {
            return Some(DropReason::FewRowsWithout {
                segment: segment(),
                rows: n - support,
                k_min,
            });
        }
    } else {
        let rows = n - most_frequent(p.values.to_vec()) as u64;
        if few(rows) {
            return Some(DropReason::FewRowsDiffer {
                segment: segment(),
                rows,
                k_min,
            });
        }
    }
    let total: u128 = p.values.iter().map(|v| u128::from(v.unsigned_abs())).sum();
    let most = p
        .values
        .iter()
        .map(|v| v.unsigned_abs())
        .max()
        .map_or(0, u128::from);
    if total > 0 && most * 100 > total * u128::from(rule.max_share_percent) {
        return Some(DropReason::Dominated {
            segment: segment(),
            share_percent: u64::try_from(most * 100 / total).unwrap_or(100),
            limit_percent: rule.max_share_percent,
        });
    }
    None
}

/// Whether all rows hold one value.
pub(crate) fn is_constant(values: &[i64]) -> bool {
    values.windows(2).all(|w| matches!(w, [a, b] if a == b))
}

/// How often the most frequent value occurs.
fn most_frequent(mut values: Vec<i64>) -> usize {
    values.sort_unstable();
    values
        .chunk_by(|a, b| a == b)
        .map(<[i64]>::len)
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[i64], indicator: bool) -> Option<DropReason> {
        let rule = Suppression {
            k_min: 3,
            max_share_percent: 50,
            keep: Vec::new(),
        };
        judge(&[Part { label: "s", values }], indicator, &rule)
    }

    #[test]
    fn each_reason_of_the_rule_has_its_name() {
        // DS-7
        let s = || "s".to_owned();
        assert_eq!(
            of(&[1, 1, 0, 0, 0, 0], true),
            Some(DropReason::FewRows {
                segment: s(),
                rows: 2,
                k_min: 3
            })
        );
        assert_eq!(
            of(&[1, 1, 1, 1, 0, 0], true),
            Some(DropReason::FewRowsWithout {
                segment: s(),
                rows: 2,
                k_min: 3
            })
        );
        assert_eq!(
            of(&[0; 6], true),
            Some(DropReason::FewRows {
                segment: s(),
                rows: 0,
                k_min: 3
            })
        );
        assert_eq!(
            of(&[7, 7, 7, 7, 9, 8], false),
            Some(DropReason::FewRowsDiffer {
                segment: s(),
                rows: 2,
                k_min: 3
            })
        );
        assert_eq!(
            of(&[1, 2, 3, 90, 4, 5], false),
            Some(DropReason::Dominated {
                segment: s(),
                share_percent: 85,
                limit_percent: 50
            })
        );
    }

    #[test]
    fn what_singles_out_nobody_stays() {
        assert_eq!(of(&[1; 6], true), None, "every row has it");
        assert_eq!(of(&[7; 6], false), None);
        assert_eq!(of(&[1, 2, 3, 4, 5, 6], false), None, "dense, all different");
        assert_eq!(of(&[1, 1, 1, 0, 0, 0], true), None, "at the limit");
        // One zero in a dense column is a value like any other.
        assert_eq!(of(&[0, 2, 2, 4, 5, 6], false), None);
    }
}
