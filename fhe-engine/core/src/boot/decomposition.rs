//! Digits of a word by offset (BST-3): what the blind rotation and the
//! keyswitch multiply their keys by.

use super::params::{DecompositionBaseLog, DecompositionLevels};
use crate::field::Fq;

/// A gadget (2^pos_1, .., 2^pos_l), pos_i = 64 - beta i.
///
/// For a word x, V = x + offset mod q, canonical; the limbs of V at the
/// positions, less half the base, are the digits. With
/// offset = sum of (B/2) 2^pos_i + 2^(pos_l - 1) this is
/// x = sum of d_i 2^pos_i + r, -2^(pos_l - 1) <= r < 2^(pos_l - 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gadget {
    base_log: DecompositionBaseLog,
    levels: DecompositionLevels,
}

impl Gadget {
    /// # Panics
    /// At compile time, where a named set does not leave a remainder.
    pub(super) const fn new(base_log: DecompositionBaseLog, levels: DecompositionLevels) -> Self {
        assert!(base_log.0 >= 1 && levels.0 >= 1 && base_log.0 as usize * levels.0 < 64);
        Self { base_log, levels }
    }
    /// beta.
    pub const fn base_log(self) -> DecompositionBaseLog {
        self.base_log
    }
    /// l.
    pub const fn levels(self) -> DecompositionLevels {
        self.levels
    }
    /// B.
    pub const fn base(self) -> u64 {
        1 << self.base_log.0
    }
    /// B/2, what a limb is less than its digit by.
    pub const fn half_base(self) -> u64 {
        self.base() / 2
    }
    /// pos of level `i` (0-based: the most significant digit first).
    pub const fn position(self, i: usize) -> u32 {
        64 - self.base_log.0 * (i as u32 + 1)
    }
    /// Position of the least significant digit; the remainder is below it.
    pub const fn last_position(self) -> u32 {
        self.position(self.levels.0 - 1)
    }
    /// 2^pos of level `i`.
    pub const fn weight(self, i: usize) -> Fq {
        Fq::reduce(1 << self.position(i))
    }
    /// What is added to a word before its limbs are read.
    pub const fn offset(self) -> Fq {
        let mut offset = 1u64 << (self.last_position() - 1);
        let mut i = 0;
        while i < self.levels.0 {
            // At most 2^63 (1 + 1/B + ..) < 2^64 - 2^32 for B >= 8; the named
            // sets stay below q.
            offset += self.half_base() << self.position(i);
            i += 1;
        }
        Fq::reduce(offset)
    }
    /// V, from which limbs are read.
    pub fn shifted(self, word: Fq) -> Fq {
        word + self.offset()
    }
    /// Limb of level `i` of V.
    pub const fn limb(self, shifted: Fq, i: usize) -> u64 {
        (shifted.word() >> self.position(i)) & (self.base() - 1)
    }
    /// Digit of level `i` of V, in [-B/2, B/2).
    pub const fn digit(self, shifted: Fq, i: usize) -> i64 {
        self.limb(shifted, i) as i64 - self.half_base() as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        boot::params::{BootstrapParamsId, KeyswitchParamsId},
        field::MODULUS,
    };
    use proptest::prelude::*;

    fn gadgets() -> Vec<Gadget> {
        let boot = BootstrapParamsId::ALL.map(BootstrapParamsId::gadget);
        let switch = KeyswitchParamsId::ALL.map(KeyswitchParamsId::gadget);
        boot.into_iter().chain(switch).collect()
    }

    fn check(gadget: Gadget, word: u64) {
        let x = Fq::new(word).unwrap();
        let v = gadget.shifted(x);
        let mut rest = x;
        for i in 0..gadget.levels().0 {
            let digit = gadget.digit(v, i);
            let half = gadget.half_base() as i64;
            assert!((-half..half).contains(&digit));
            rest -= gadget.weight(i) * Fq::from_i64(digit);
        }
        let bound = 1i64 << (gadget.last_position() - 1);
        assert!((-bound..bound).contains(&rest.centred()), "{word} {rest:?}");
    }

    proptest! {
        #[test]
        fn digits_recompose_to_within_half_of_the_last_weight(word in 0..MODULUS) {
            // BST-3
            for gadget in gadgets() {
                check(gadget, word);
            }
        }
    }

    #[test]
    fn edges_recompose_and_offsets_are_canonical() {
        // BST-3: V is the canonical word: 32 high ones leave no low bit.
        for gadget in gadgets() {
            let offset = gadget.offset().word();
            let unreduced: u128 = (0..gadget.levels().0)
                .map(|i| u128::from(gadget.half_base()) << gadget.position(i))
                .sum::<u128>()
                + (1 << (gadget.last_position() - 1));
            assert_eq!(u128::from(offset), unreduced);
            for word in [0, 1, MODULUS - 1, MODULUS / 2, MODULUS / 2 + 1, 0xffff_ffff] {
                check(gadget, word);
            }
            for step in 0..4 {
                // Around the wrap of V.
                check(gadget, MODULUS - offset - 2 + step);
            }
        }
    }
}
