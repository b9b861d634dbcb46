//! One value's way through the comparison circuit, on one party's shares (OPN-2).

use crate::{
    plan::{DIGIT_BITS, DIGITS, INDICATORS, Node, Operand, Source, Wire, digit, digit_sums},
    share::{PartyKey, Share},
    ticket::{Shape, TicketShare},
};
use veilbourse_core::field::{Fq, MODULUS};
use zeroize::Zeroize;

/// A value between its opened c and its y.
pub struct Value {
    c: u64,
    lt: Vec<Share>,
    eq: Vec<Share>,
    /// Opened operands, by wire.
    opened: Vec<Fq>,
}

impl Drop for Value {
    fn drop(&mut self) {
        self.lt.zeroize();
        self.eq.zeroize();
    }
}

/// r as a share: the indicators weighted.
fn weighted(ticket: &TicketShare, weight: impl Fn(usize, u64) -> Fq) -> Share {
    let digits = ticket.values.chunks(INDICATORS).take(DIGITS).enumerate();
    digits
        .flat_map(|(i, h)| h.iter().zip(1u64..).map(move |(h, j)| (i, j, h)))
        .map(|(i, j, h)| *h * weight(i, j))
        .sum()
}

/// The share of c = phase + B 2^k + 2^(k-1) + r (OPN-1, OPN-2).
pub fn masked_phase(shape: &Shape, key: &PartyKey, phase: Share, ticket: &TicketShare) -> Share {
    let k = u32::from(shape.class.k());
    let r = weighted(ticket, |i, j| {
        Fq::reduce_wide(u128::from(j) << (DIGIT_BITS as usize * i))
    });
    // B 2^k = 2^62.
    phase + r + key.constant(Fq::reduce((1 << 62) + (1 << (k - 1))))
}

impl Value {
    /// With c opened: the digits' comparisons.
    pub fn new(shape: &Shape, key: &PartyKey, ticket: &TicketShare, c: Fq) -> Self {
        let plan = &shape.plan;
        let mut value = Self {
            c: c.word(),
            lt: vec![Share::default(); plan.nodes.len()],
            eq: vec![Share::default(); plan.nodes.len()],
            opened: vec![Fq::ZERO; plan.wires.len()],
        };
        for (at, node) in plan.nodes.iter().enumerate() {
            if node.source == Source::Digit {
                let (lt, eq) = value.digit(key, ticket, node);
                value.set(at, lt, eq);
            }
        }
        value
    }

    fn set(&mut self, at: usize, lt: Share, eq: Share) {
        if let (Some(l), Some(e)) = (self.lt.get_mut(at), self.eq.get_mut(at)) {
            (*l, *e) = (lt, eq);
        }
    }

    /// Sums of indicators; that of zero is 1 - sum h_j.
    fn digit(&self, key: &PartyKey, ticket: &TicketShare, node: &Node) -> (Share, Share) {
        let s = node.segment;
        let number = match s.operand {
            Operand::First => self.c,
            Operand::Second => self.c.wrapping_add(MODULUS),
        };
        let [(lt_zero, eq_zero), sums @ ..] = digit_sums(digit(number, s.low), s.top_bits);
        let of_zero = |wanted: bool| {
            if wanted {
                key.constant(Fq::ONE)
            } else {
                Share::default()
            }
        };
        let (mut lt, mut eq) = (of_zero(lt_zero), of_zero(eq_zero));
        let h = ticket.values.chunks(INDICATORS).nth(s.low).unwrap_or(&[]);
        for (h, (in_lt, in_eq)) in h.iter().zip(sums) {
            for (sum, wanted, zero) in [(&mut lt, in_lt, lt_zero), (&mut eq, in_eq, eq_zero)] {
                match (wanted, zero) {
                    (true, false) => *sum += *h,
                    (false, true) => *sum -= *h,
                    _ => {}
                }
            }
        }
        (lt, eq)
    }

    fn wire(&self, shape: &Shape, wire: Wire) -> Share {
        let of = |shares: &[Share], at: usize| shares.get(at).copied().unwrap_or_default();
        match wire {
            Wire::Lt(n) => of(&self.lt, n),
            Wire::Eq(n) => of(&self.eq, n),
            Wire::Carry => {
                let [_, v1, v2] = shape.plan.outputs;
                of(&self.lt, v1) - of(&self.lt, v2)
            }
        }
    }

    /// The masked operands to open in a round, in the order of wires.
    pub fn masked(&self, shape: &Shape, ticket: &TicketShare, round: usize) -> Vec<Share> {
        let masks = ticket.values.iter().skip(shape.layout.wires);
        let wires = shape.plan.wires.iter().zip(&shape.plan.wire_round);
        wires
            .zip(masks)
            .filter(|((_, r), _)| **r == round)
            .map(|((w, _), mask)| self.wire(shape, *w) + *mask)
            .collect()
    }

    /// Takes what a round opened, and computes the nodes that it makes known.
    pub fn take(
        &mut self,
        shape: &Shape,
        key: &PartyKey,
        ticket: &TicketShare,
        round: usize,
        opened: &[Fq],
    ) {
        let places = self.opened.iter_mut().zip(&shape.plan.wire_round);
        let places = places.filter(|(_, r)| **r == round);
        for ((place, _), x) in places.zip(opened) {
            *place = *x;
        }
        for (at, node) in shape.plan.nodes.iter().enumerate() {
            if let Source::Join { high, lt, eq, .. } = node.source
                && node.level == round + 1
            {
                let above = self.wire(shape, Wire::Lt(high));
                let below = self.product(shape, key, ticket, lt);
                let equal = eq.map(|p| self.product(shape, key, ticket, p));
                self.set(at, above + below, equal.unwrap_or_default());
            }
        }
    }

    /// x y = X Y - X l_y - Y l_x + l_x l_y.
    fn product(&self, shape: &Shape, key: &PartyKey, ticket: &TicketShare, p: usize) -> Share {
        let of = |at: usize| ticket.values.get(at).copied().unwrap_or_default();
        let [x, y] = shape.plan.products.get(p).copied().unwrap_or_default();
        let opened = |w: usize| self.opened.get(w).copied().unwrap_or_default();
        let (big_x, big_y) = (opened(x), opened(y));
        key.constant(big_x * big_y)
            - of(shape.layout.wires + y) * big_x
            - of(shape.layout.wires + x) * big_y
            + of(shape.layout.products + p)
    }

    /// The share of y = m + noise + omega (OPN-3).
    pub fn result(&self, shape: &Shape, key: &PartyKey, ticket: &TicketShare) -> Share {
        let plan = &shape.plan;
        let k = plan.k;
        let lt = |at: usize| self.wire(shape, Wire::Lt(at));
        let [u, v1, _] = plan.outputs;
        let first = self.c >> k;
        let second = (u128::from(self.c) + u128::from(MODULUS)) >> k;
        let kappa = Fq::reduce_wide(second - u128::from(first));
        // r >> k: whole digits above, the upper bits of the one that k divides.
        let shifted = weighted(ticket, |i, j| {
            let at = DIGIT_BITS * i as u32;
            if at >= k {
                Fq::reduce_wide(u128::from(j) << (at - k))
            } else {
                Fq::reduce(j.checked_shr(k - at).unwrap_or(0))
            }
        });
        let noise = if shape.class.noisy() {
            let at = shape.layout.noise;
            ticket.values.get(at).copied().unwrap_or_default()
        } else {
            Share::default()
        };
        let base = Fq::reduce(first) - Fq::reduce(shape.class.message_bound());
        key.constant(base) - shifted - lt(v1)
            + lt(u) * kappa
            + self.product(shape, key, ticket, plan.last)
            + noise
            + ticket.omega
    }
}
