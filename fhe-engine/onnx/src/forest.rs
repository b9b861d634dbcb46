//! Trees as comparisons and tables.
//!
//! A comparison x <= t of a column is the sign of T - X, one bit. A subtree
//! with S distinct comparisons under k conditions is one table over
//! 2^S (conditions that hold) + sum 2^i bit_i, as long as (k + 1) 2^S <= 16; a
//! tree falls into such subtrees from the root down (decision 30). Trees over
//! one column of at most 16 values are one table together.

use crate::{
    error::OnnxError,
    model::{ScoreNode, ScoreTree},
};
use std::collections::{BTreeMap, HashMap};
use veilbourse_core::{layered::TABLE_ENTRIES, manifest::Column};

/// X <= T of an encrypted column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Comparison {
    /// The column.
    pub column: usize,
    /// T.
    pub threshold: i64,
}

/// A tree over integers, with what the published ranges decide left out.
#[derive(Debug, Clone, PartialEq)]
pub enum IntegerTree {
    /// A value.
    Leaf(f64),
    /// A comparison.
    Branch(Comparison, Box<IntegerTree>, Box<IntegerTree>),
}

/// What a table reads: bits with weights, or one narrow column.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reading {
    /// constant + sum of weight times bit.
    Bits(Vec<(Comparison, i32)>, i64),
    /// X - min of a column of at most 16 values.
    Column(usize),
}

/// Tables by what they read; trees that read the same add up.
pub type Readings = BTreeMap<Reading, [f64; TABLE_ENTRIES]>;

/// Quantises a tree's thresholds to a column's integers and prunes what the
/// ranges, and comparisons above, already decide.
pub fn integer_tree(
    tree: &ScoreTree,
    columns: &[Column],
    of_feature: &[usize],
    leaf: &impl Fn(f64) -> f64,
) -> Option<IntegerTree> {
    let mut ranges: HashMap<usize, (i64, i64)> = HashMap::new();
    prune(tree, 0, columns, of_feature, leaf, &mut ranges)
}

fn prune(
    tree: &ScoreTree,
    at: usize,
    columns: &[Column],
    of_feature: &[usize],
    leaf: &impl Fn(f64) -> f64,
    ranges: &mut HashMap<usize, (i64, i64)>,
) -> Option<IntegerTree> {
    let (feature, threshold, strict, yes, no) = match tree.nodes.get(at)? {
        ScoreNode::Leaf(v) => return Some(IntegerTree::Leaf(leaf(*v))),
        ScoreNode::Branch {
            feature,
            threshold,
            strict,
            yes,
            no,
        } => (*feature, *threshold, *strict, *yes, *no),
    };
    let column = *of_feature.get(feature)?;
    let c = columns.get(column)?;
    // X = round(x 2^s): the side on which most of the threshold's cell lies.
    let scaled = threshold * f64::from(c.scale_log2).exp2();
    let t = if strict {
        scaled.ceil() - 1.0
    } else {
        scaled.floor()
    };
    let (lo, hi) = ranges.get(&column).copied().unwrap_or((c.min, c.max));
    let go = |next, range, ranges: &mut HashMap<usize, (i64, i64)>| {
        let before = ranges.insert(column, range);
        let out = prune(tree, next, columns, of_feature, leaf, ranges);
        match before {
            Some(r) => ranges.insert(column, r),
            None => ranges.remove(&column),
        };
        out
    };
    if t >= hi as f64 {
        return go(yes, (lo, hi), ranges);
    }
    if t < lo as f64 {
        return go(no, (lo, hi), ranges);
    }
    let threshold = t as i64;
    let (a, b) = (
        go(yes, (lo, threshold), ranges)?,
        go(no, (threshold + 1, hi), ranges)?,
    );
    if a == b {
        return Some(a);
    }
    Some(IntegerTree::Branch(
        Comparison { column, threshold },
        Box::new(a),
        Box::new(b),
    ))
}

impl IntegerTree {
    fn comparisons(&self, out: &mut Vec<Comparison>) {
        if let Self::Branch(c, a, b) = self {
            if !out.contains(c) {
                out.push(*c);
            }
            a.comparisons(out);
            b.comparisons(out);
        }
    }

    fn follow(&self, holds: &impl Fn(&Comparison) -> bool) -> f64 {
        match self {
            Self::Leaf(v) => *v,
            Self::Branch(c, yes, no) => {
                let next = if holds(c) { yes } else { no };
                next.follow(holds)
            }
        }
    }

    fn nothing(&self) -> bool {
        match self {
            Self::Leaf(v) => *v == 0.0,
            Self::Branch(_, a, b) => a.nothing() && b.nothing(),
        }
    }
}

/// Adds a tree to the readings; what needs no reading is returned.
pub fn add(tree: &IntegerTree, columns: &[Column], out: &mut Readings) -> Result<f64, OnnxError> {
    let mut all = Vec::new();
    tree.comparisons(&mut all);
    let Some(first) = all.first() else {
        return Ok(tree.follow(&|_| false));
    };
    let narrow = columns
        .get(first.column)
        .filter(|c| c.max - c.min < TABLE_ENTRIES as i64)
        .filter(|_| all.iter().all(|c| c.column == first.column));
    if let Some(c) = narrow {
        let entry = out
            .entry(Reading::Column(first.column))
            .or_insert([0.0; TABLE_ENTRIES]);
        for (i, e) in entry.iter_mut().enumerate() {
            let x = (c.min + i as i64).min(c.max);
            *e += tree.follow(&|k| x <= k.threshold);
        }
        return Ok(0.0);
    }
    parts(tree, &mut Vec::new(), out)?;
    Ok(0.0)
}

fn parts(
    tree: &IntegerTree,
    path: &mut Vec<(Comparison, bool)>,
    out: &mut Readings,
) -> Result<(), OnnxError> {
    if tree.nothing() {
        return Ok(());
    }
    let mut own = Vec::new();
    tree.comparisons(&mut own);
    let states = (path.len() + 1).checked_shl(own.len() as u32);
    if own.len() <= 4 && states.is_some_and(|s| s <= TABLE_ENTRIES) {
        let unit = 1i32 << own.len();
        let mut terms: Vec<(Comparison, i32)> =
            own.iter().enumerate().map(|(i, c)| (*c, 1 << i)).collect();
        let mut constant = 0;
        for (c, wanted) in path.iter() {
            terms.push((*c, if *wanted { unit } else { -unit }));
            constant += i64::from(!wanted) * i64::from(unit);
        }
        terms.sort_unstable();
        // The same reading from another tree: the bits must mean the same.
        let entry = out
            .entry(Reading::Bits(terms, constant))
            .or_insert([0.0; TABLE_ENTRIES]);
        for bits in 0..1usize << own.len() {
            let holds = |c: &Comparison| {
                own.iter()
                    .position(|o| o == c)
                    .is_some_and(|i| bits >> i & 1 == 1)
            };
            if let Some(e) = entry.get_mut((path.len() << own.len()) + bits) {
                *e += tree.follow(&holds);
            }
        }
        return Ok(());
    }
    let IntegerTree::Branch(c, yes, no) = tree else {
        return Err(OnnxError::Precision {
            what: "a leaf under more than 15 conditions",
            available_bits: 4,
        });
    };
    for (child, wanted) in [(yes, true), (no, false)] {
        path.push((*c, wanted));
        parts(child, path, out)?;
        path.pop();
    }
    Ok(())
}
