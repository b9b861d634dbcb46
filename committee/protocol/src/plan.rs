//! The comparison circuit of an opening, for one k (OPN-2).
//!
//! c = phi' + r is public, r is shared by its 16 hexadecimal digits, each as
//! the indicators h_j = [digit = j] of its 15 non-zero values. So, for a public
//! digit d, `[d < digit]` and `[d = digit]` are sums of indicators, and the
//! comparison of whole numbers is a tree over digits,
//!
//!   lt = lt_high + eq_high lt_low,   eq = eq_high eq_low,
//!
//! of depth log2 of the digits (after Catrina and de Hoogh, SCN 2010, section
//! 5; digits in place of bits halve what a ticket holds and save two rounds).
//! Three comparisons are wanted: `u = [c < r]` on all digits, and v_i = [C_i mod
//! 2^k < r mod 2^k] for C_1 = c and C_2 = c + q on the low k bits. Equal parts
//! are evaluated once: the tree splits at powers of two, so v_1 shares with u
//! all but its top.
//!
//! A product x y is taken from masked operands X = x + l_x, Y = y + l_y, opened
//! once each whatever the number of products they enter: x y = X Y - X l_y - Y
//! l_x + l_x l_y, with l_x, l_y, l_x l_y in the ticket.

use std::collections::BTreeMap;

/// Bits of a digit.
pub const DIGIT_BITS: u32 = 4;
/// Digits of r.
pub const DIGITS: usize = 16;
/// Indicators that are held of each digit: that of zero is one minus the rest.
pub const INDICATORS: usize = (1 << DIGIT_BITS) - 1;

/// Which public number is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operand {
    /// c.
    First,
    /// c + q, without its bit 64.
    Second,
}

/// A node of the tree: digits `low..high`, of the highest only `top_bits` bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Segment {
    /// The number compared with r.
    pub operand: Operand,
    /// Least digit.
    pub low: usize,
    /// One past the greatest digit.
    pub high: usize,
    /// Bits of the greatest digit that count, 1 to 4.
    pub top_bits: u32,
}

/// What a node is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// One digit: sums of indicators.
    Digit,
    /// Products of two nodes, both computed before.
    Join {
        /// The node of the more significant digits.
        high: usize,
        /// The node of the less significant digits.
        low: usize,
        /// The product eq_high lt_low.
        lt: usize,
        /// The product eq_high eq_low, where somebody needs it.
        eq: Option<usize>,
    },
}

/// A node with its place in the rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// What it compares.
    pub segment: Segment,
    /// Where it comes from.
    pub source: Source,
    /// 0 for digits; a join is known after the round of this number.
    pub level: usize,
}

/// A value that is masked and opened because it enters a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wire {
    /// lt of a node.
    Lt(usize),
    /// eq of a node.
    Eq(usize),
    /// v_1 - v_2, for the last product u (X_2 - X_1).
    Carry,
}

/// The circuit for one k.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// k.
    pub k: u32,
    /// Nodes, children before parents.
    pub nodes: Vec<Node>,
    /// Masked wires, in the order of their masks in a ticket.
    pub wires: Vec<Wire>,
    /// For each wire the round (from 0) in which it is opened.
    pub wire_round: Vec<usize>,
    /// Operands of each product, as indices of wires.
    pub products: Vec<[usize; 2]>,
    /// Nodes of u, v_1, v_2.
    pub outputs: [usize; 3],
    /// The product u (v_1 - v_2).
    pub last: usize,
    /// Rounds of openings after that of c and before that of y.
    pub rounds: usize,
}

impl Plan {
    /// The circuit for `k`, 1 to 63.
    pub fn new(k: u32) -> Self {
        let mut b = Builder::default();
        let k = k.clamp(1, 63);
        let digits = (k.div_ceil(DIGIT_BITS)) as usize;
        let top_bits = (k - 1) % DIGIT_BITS + 1;
        let whole = |operand, high, top_bits| Segment {
            operand,
            low: 0,
            high,
            top_bits,
        };
        let u = b.node(whole(Operand::First, DIGITS, DIGIT_BITS), false);
        let v1 = b.node(whole(Operand::First, digits, top_bits), false);
        let v2 = b.node(whole(Operand::Second, digits, top_bits), false);
        b.finish(k, [u, v1, v2])
    }

    /// Elements of a ticket that are shared with MACs: indicators, masks of
    /// wires, products of masks; the noise and the output mask come on top.
    pub fn shared_values(&self) -> usize {
        DIGITS * INDICATORS + self.wires.len() + self.products.len()
    }
}

#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    index: BTreeMap<Segment, usize>,
    /// Joins whose eq is wanted by a parent.
    wants_eq: Vec<bool>,
}

impl Builder {
    fn node(&mut self, segment: Segment, eq: bool) -> usize {
        let at = match self.index.get(&segment) {
            Some(at) => *at,
            None => self.make(segment),
        };
        if eq {
            self.want_eq(at);
        }
        at
    }

    fn make(&mut self, segment: Segment) -> usize {
        let size = segment.high - segment.low;
        let (source, level) = if size <= 1 {
            (Source::Digit, 0)
        } else {
            // The greatest power of two below the size: aligned parts are shared.
            let half = size.next_power_of_two() / 2;
            let middle = segment.low + half;
            let low = self.node(
                Segment {
                    high: middle,
                    top_bits: DIGIT_BITS,
                    ..segment
                },
                false,
            );
            let high = self.node(
                Segment {
                    low: middle,
                    ..segment
                },
                true,
            );
            let level = |at: usize| self.nodes.get(at).map_or(0, |n| n.level);
            let join = Source::Join {
                high,
                low,
                lt: 0,
                eq: None,
            };
            (join, level(high).max(level(low)) + 1)
        };
        self.nodes.push(Node {
            segment,
            source,
            level,
        });
        self.wants_eq.push(false);
        let at = self.nodes.len() - 1;
        self.index.insert(segment, at);
        at
    }

    /// Marks a node's eq, and what that needs, as wanted.
    fn want_eq(&mut self, at: usize) {
        match self.wants_eq.get_mut(at) {
            Some(wanted) if !*wanted => *wanted = true,
            _ => return,
        }
        if let Some(Source::Join { high, low, .. }) = self.nodes.get(at).map(|n| n.source) {
            self.want_eq(high);
            self.want_eq(low);
        }
    }

    fn finish(mut self, k: u32, outputs: [usize; 3]) -> Plan {
        let mut wires: Vec<Wire> = Vec::new();
        let mut products: Vec<[Wire; 2]> = Vec::new();
        let mut product = |x: Wire, y: Wire| {
            for w in [x, y] {
                if !wires.contains(&w) {
                    wires.push(w);
                }
            }
            products.push([x, y]);
            products.len() - 1
        };
        for (node, wants_eq) in self.nodes.iter_mut().zip(&self.wants_eq) {
            if let Source::Join { high, low, lt, eq } = &mut node.source {
                *lt = product(Wire::Eq(*high), Wire::Lt(*low));
                if *wants_eq {
                    *eq = Some(product(Wire::Eq(*high), Wire::Eq(*low)));
                }
            }
        }
        let [u, v1, v2] = outputs;
        let last = product(Wire::Lt(u), Wire::Carry);
        let level = |at: usize| self.nodes.get(at).map_or(0, |n| n.level);
        // A wire is opened in the round after that in which it is known.
        let known = |w: &Wire| match w {
            Wire::Lt(n) | Wire::Eq(n) => level(*n),
            Wire::Carry => level(v1).max(level(v2)),
        };
        let wire_round: Vec<usize> = wires.iter().map(known).collect();
        let place: BTreeMap<Wire, usize> = wires.iter().enumerate().map(|(i, w)| (*w, i)).collect();
        let at = |w: &Wire| place.get(w).copied().unwrap_or_default();
        Plan {
            k,
            rounds: wire_round.iter().max().map_or(0, |r| r + 1),
            products: products.iter().map(|[x, y]| [at(x), at(y)]).collect(),
            nodes: self.nodes,
            wires,
            wire_round,
            outputs,
            last,
        }
    }
}

/// What is known of a digit d of a public number against a digit of r whose
/// low `bits` bits count: whether h_j (j = 0..16) is in the sum of lt or of eq.
pub fn digit_sums(d: u32, bits: u32) -> [(bool, bool); INDICATORS + 1] {
    let mask = (1u32 << bits.min(DIGIT_BITS)) - 1;
    std::array::from_fn(|j| {
        let j = j as u32 & mask;
        ((d & mask) < j, (d & mask) == j)
    })
}

/// Digit i of a public number.
pub fn digit(number: u64, i: usize) -> u32 {
    (number >> (DIGIT_BITS as usize * i) & 0xf) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The circuit in the clear.
    fn evaluate(plan: &Plan, numbers: [u64; 2], r: u64) -> [bool; 3] {
        let mut lt = vec![false; plan.nodes.len()];
        let mut eq = vec![false; plan.nodes.len()];
        for (i, n) in plan.nodes.iter().enumerate() {
            match n.source {
                Source::Digit => {
                    let d = digit(numbers[n.segment.operand as usize], n.segment.low);
                    let j = digit(r, n.segment.low) as usize;
                    (lt[i], eq[i]) = digit_sums(d, n.segment.top_bits)[j];
                }
                Source::Join {
                    high, low, eq: e, ..
                } => {
                    lt[i] = lt[high] || (eq[high] && lt[low]);
                    eq[i] = e.is_some() && eq[high] && eq[low];
                }
            }
        }
        plan.outputs.map(|o| lt[o])
    }

    fn check(k: u32, c: u64, second: u64, r: u64) {
        let plan = Plan::new(k);
        let low = |x: u64| x & ((1 << k) - 1);
        assert_eq!(
            evaluate(&plan, [c, second], r),
            [c < r, low(c) < low(r), low(second) < low(r)],
            "k = {k}, {c:x}, {second:x}, {r:x}"
        );
    }

    proptest! {
        #[test]
        fn compares(k in 1u32..64, c in any::<u64>(), second in any::<u64>(), r in any::<u64>(), near in 0u64..4) {
            check(k, c, second, r);
            check(k, r.wrapping_add(near), r.wrapping_sub(near), r);
            check(k, r ^ (1 << (k - 1)), r ^ (1 << (c % 64)), r);
        }
    }

    #[test]
    fn every_operand_is_opened_before_its_product_is_used() {
        // OPN-2
        for k in 1..64 {
            let plan = Plan::new(k);
            for n in &plan.nodes {
                if let Source::Join { lt, eq, .. } = n.source {
                    for p in [Some(lt), eq].into_iter().flatten() {
                        for w in plan.products[p] {
                            assert!(plan.wire_round[w] < n.level);
                        }
                    }
                }
            }
            assert!(plan.rounds <= 5, "{k}: {}", plan.rounds);
            let mut masked = plan.wires.clone();
            masked.sort_unstable();
            masked.dedup();
            assert_eq!(masked.len(), plan.wires.len(), "each wire has one mask");
            assert!(plan.shared_values() <= 400, "{}", plan.shared_values());
        }
        // docs/spec/committee.md
        let plan = Plan::new(26);
        assert_eq!(
            (plan.shared_values(), plan.wires.len(), plan.rounds),
            (339, 60, 5)
        );
    }
}
