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
//! - the noise keeps to its law's bound T: noise + T and T - noise are numbers of
//!   as many bits as 2 T has, dealt beside the ticket (its law nobody can check);
//! - every coefficient of the data key is a bit.

use crate::{
    plan::{DIGITS, INDICATORS},
    ticket::Shape,
};
use veilbourse_core::field::Fq;
use zeroize::Zeroizing;

/// Values of a ticket's chain T_9 .. T_15.
const CHAIN: usize = DIGITS / 2 - 1;

/// Values dealt beside a ticket, for the proof alone: the chain and the bits of
/// noise + T and T - noise.
pub fn beside(shape: &Shape) -> usize {
    CHAIN + 2 * shape.class.noise_bits() as usize
}

/// Relations of a ticket.
pub fn per_ticket(shape: &Shape) -> usize {
    let bits = shape.class.noise_bits() as usize;
    let noise = if bits > 0 { 2 * bits + 2 } else { 0 };
    DIGITS * (INDICATORS + 1) + shape.plan.products.len() + CHAIN + 1 + noise
}

fn at(values: &[Fq], i: usize) -> Fq {
    values.get(i).copied().unwrap_or_default()
}

/// Hands out (x, y, z) of every relation of a ticket. `values` and what was dealt
/// beside them are the ticket's, or a party's shares of them; `one` is 1, or the
/// party's share of it.
pub fn of_ticket(
    shape: &Shape,
    values: &[Fq],
    beside: &[Fq],
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
    for (i, t) in (DIGITS / 2 + 1..DIGITS).zip(beside) {
        push(above, full(i), *t);
        above = *t;
    }
    push(above, low_not_zero, Fq::ZERO);
    let bits = shape.class.noise_bits() as usize;
    if bits > 0 {
        let bound = one * Fq::reduce(shape.class.mechanism().noise_bound());
        let noise = at(values, shape.layout.noise);
        let halves = beside.get(CHAIN..).unwrap_or(&[]).chunks(bits);
        for (number, bits) in [bound + noise, bound - noise].into_iter().zip(halves) {
            let mut sum = Fq::ZERO;
            for b in bits.iter().rev() {
                push(*b, *b - one, Fq::ZERO);
                sum = sum + sum + *b;
            }
            push(sum - number, one, Fq::ZERO);
        }
    }
}

/// What is dealt beside a ticket, in the clear.
pub fn of_values(shape: &Shape, values: &[Fq]) -> Zeroizing<Vec<Fq>> {
    let full = |i: usize| at(values, i * INDICATORS + INDICATORS - 1);
    let mut above = full(DIGITS / 2);
    let mut out = Zeroizing::new(Vec::with_capacity(beside(shape)));
    for i in DIGITS / 2 + 1..DIGITS {
        above *= full(i);
        out.push(above);
    }
    let bits = shape.class.noise_bits();
    if bits > 0 {
        let bound = Fq::reduce(shape.class.mechanism().noise_bound());
        let noise = at(values, shape.layout.noise);
        for number in [bound + noise, bound - noise] {
            let bit = |i: u32| Fq::reduce(number.word() >> i & 1);
            out.extend((0..bits).map(bit));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TicketClass, plan::digit};
    use veilbourse_core::{digest::Digest, field::MODULUS};
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
        of_ticket(
            shape,
            &values,
            &of_values(shape, &values),
            Fq::ONE,
            |x, y, z| {
                good &= x * y == z;
                count += 1;
            },
        );
        assert_eq!(count, per_ticket(shape));
        good
    }

    fn shape(mechanism: Mechanism) -> Shape {
        let class = TicketClass::new(26, Sensitivity::new(1).unwrap(), mechanism).unwrap();
        Shape::new(class, Digest::default(), 0)
    }

    #[test]
    fn noise_keeps_to_its_bound() {
        // TKT-4, PRV-4
        for mechanism in [
            Mechanism::gaussian(1, 1).unwrap(),
            Mechanism::laplace(1 << 48, 1).unwrap(),
        ] {
            let shape = shape(mechanism);
            let at = shape.layout.noise;
            let bound = mechanism.noise_bound() as i64;
            let with = |noise: i64| holds(&shape, 7, |v| v[at] = Fq::from_i64(noise));
            for noise in [0, 1, -1, bound, -bound] {
                assert!(with(noise), "{noise}");
            }
            for noise in [bound + 1, -bound - 1, 2 * bound + 1, i64::MAX / 2] {
                assert!(!with(noise), "{noise}");
            }
        }
    }

    #[test]
    fn good_tickets_hold_and_others_do_not() {
        // TKT-4
        let shape = shape(Mechanism::None);
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
