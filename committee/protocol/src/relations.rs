//! What a well-dealt ticket satisfies (TKT-4), as products: x y = z with x, y, z
//! sums of shared values and public constants, so that a party writes its share
//! of each by itself.
//!
//! - every indicator is a bit, that of zero (one minus the others) too: exactly
//!   one of a digit's sixteen is 1, whatever field element the sums may be (16
//!   bits add up to 1 modulo q only if one of them is 1);
//! - every product of masks is one;
//! - r < q = 2^64 - 2^32 + 1: not all of the upper 32 bits are 1 unless all the
//!   lower ones are 0. With T_8 = [digit 8 is 15] and T_i = T_(i-1) [digit i is
//!   15], dealt beside the ticket: T_15 (sum_(i<8) (1 - [digit i is 0])) = 0;
//! - every coefficient of the data key is a bit.

use crate::{
    plan::{DIGITS, INDICATORS},
    ticket::Shape,
};
use veilbourse_core::field::Fq;

/// Values of a ticket's chain T_9 .. T_15, dealt for the proof alone.
pub const CHAIN: usize = DIGITS / 2 - 1;

/// Relations of a ticket.
pub fn per_ticket(shape: &Shape) -> usize {
    DIGITS * (INDICATORS + 1) + shape.plan.products.len() + CHAIN + 1
}

fn at(values: &[Fq], i: usize) -> Fq {
    values.get(i).copied().unwrap_or_default()
}

/// Hands out (x, y, z) of every relation of a ticket. `values` are the ticket's,
/// or a party's shares of them; `one` is 1, or the party's share of it.
pub fn of_ticket(
    shape: &Shape,
    values: &[Fq],
    chain: &[Fq],
    one: Fq,
    mut push: impl FnMut(Fq, Fq, Fq),
) {
    let digits: Vec<&[Fq]> = values.chunks(INDICATORS).take(DIGITS).collect();
    let mut low_not_zero = Fq::ZERO;
    for (i, h) in digits.iter().enumerate() {
        let others = h.iter().fold(Fq::ZERO, |a, h| a + *h);
        for h in h.iter().copied().chain([one - others]) {
            push(h, h - one, Fq::ZERO);
        }
        if i < DIGITS / 2 {
            low_not_zero += others;
        }
    }
    for (p, [x, y]) in shape.plan.products.iter().enumerate() {
        let mask = |w: usize| at(values, shape.layout.wires + w);
        push(mask(*x), mask(*y), at(values, shape.layout.products + p));
    }
    let full = |i: usize| digits.get(i).map_or(Fq::ZERO, |h| at(h, INDICATORS - 1));
    let mut above = full(DIGITS / 2);
    for (i, t) in (DIGITS / 2 + 1..DIGITS).zip(chain) {
        push(above, full(i), *t);
        above = *t;
    }
    push(above, low_not_zero, Fq::ZERO);
}

/// The chain of a ticket in the clear.
pub fn chain(values: &[Fq]) -> [Fq; CHAIN] {
    let full = |i: usize| at(values, i * INDICATORS + INDICATORS - 1);
    let mut above = full(DIGITS / 2);
    std::array::from_fn(|c| {
        above *= full(DIGITS / 2 + 1 + c);
        above
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TicketClass, plan::digit};
    use veilbourse_core::field::MODULUS;
    use veilbourse_privacy::{Mechanism, Sensitivity};

    fn holds(shape: &Shape, r: u64, change: impl Fn(&mut Vec<Fq>)) -> bool {
        let mut values = Vec::new();
        for i in 0..DIGITS {
            let d = digit(r, i) as usize;
            values.extend((1..=INDICATORS).map(|j| Fq::reduce(u64::from(j == d))));
        }
        values.resize(shape.layout.values, Fq::ZERO);
        for (p, [x, y]) in shape.plan.products.iter().enumerate() {
            let (x, y) = (shape.layout.wires + x, shape.layout.wires + y);
            values[x] = Fq::reduce(x as u64 + 3);
            values[y] = Fq::reduce(y as u64 + 3);
            values[shape.layout.products + p] = values[x] * values[y];
        }
        change(&mut values);
        let (mut good, mut count) = (true, 0);
        of_ticket(shape, &values, &chain(&values), Fq::ONE, |x, y, z| {
            good &= x * y == z;
            count += 1;
        });
        assert_eq!(count, per_ticket(shape));
        good
    }

    #[test]
    fn good_tickets_hold_and_others_do_not() {
        // TKT-4
        let class = TicketClass::new(26, Sensitivity::new(1).unwrap(), Mechanism::None).unwrap();
        let shape = Shape::new(class);
        for r in [
            0,
            1,
            0xffff_ffff,
            1 << 32,
            MODULUS - 1,
            0xffff_fffe_ffff_ffff,
            0x1234 << 44,
        ] {
            assert!(holds(&shape, r, |_| {}), "{r:x}");
        }
        // r = q and above.
        for r in [MODULUS, MODULUS + 1, u64::MAX, MODULUS + (1 << 31)] {
            assert!(!holds(&shape, r, |_| {}), "{r:x}");
        }
        for i in 0..shape.layout.values {
            assert!(
                !holds(&shape, 0x1123_4567_89ab_cdef, |v| v[i] += Fq::ONE),
                "{i}"
            );
        }
        // Two indicators at once; halves that add up to one.
        assert!(!holds(&shape, 5, |v| (v[4], v[5]) = (Fq::ONE, Fq::ONE)));
        let half = Fq::reduce(2).inverse().unwrap();
        assert!(!holds(&shape, 5, |v| (v[4], v[5]) = (half, half)));
    }
}
