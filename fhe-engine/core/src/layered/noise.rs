//! Static noise of layered programs (PRG-8): variances and worst-case parts of
//! phases, in integers, rounded outwards (BUD-5).

use super::LayeredError;
use crate::budget::TAIL_SQUARED_HUNDREDTHS;

/// What the bootstrap's parameters contribute; the formulas of a parameter set
/// yield these numbers, this module only adds them up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoiseModel {
    /// Name, for people.
    pub name: &'static str,
    /// Variance of a bootstrap's output, in words squared.
    pub bootstrap: u128,
    /// Variance that keyswitch and modulus switch add to what a table reads,
    /// in words squared.
    pub reading: u128,
    /// Hundred times the square of the deviations that must fit.
    pub tail_squared_hundredths: u128,
}

/// (64 / 13.5)^2 steps of 1/4096 turn, a step being 2^52 words: a 4-bit table
/// has 13.5 deviations with mean compensation (protocol section 1).
const READING_COMPENSATED: u128 = 455_839_504_727_337_404_973_870_733_978_171;
/// (64 / 10.4)^2 of them: without it.
const READING_PLAIN: u128 = 768_091_251_262_548_465_758_949_161_127_234;

impl NoiseModel {
    /// Base 2^23, one level: output deviation 2^49.1 words.
    pub const BASE23_L1: Self = Self {
        name: "base 2^23, 1 level",
        bootstrap: 364_037_039_798_292_790_662_626_084_894,
        reading: READING_COMPENSATED,
        tail_squared_hundredths: TAIL_SQUARED_HUNDREDTHS,
    };
    /// Base 2^15, two levels: 2^41.9 words.
    pub const BASE15_L2: Self = Self {
        name: "base 2^15, 2 levels",
        bootstrap: 16_838_896_851_979_903_819_034_858,
        ..Self::BASE23_L1
    };
    /// Base 2^11, three levels: 2^38.6 words.
    pub const BASE11_L3: Self = Self {
        name: "base 2^11, 3 levels",
        bootstrap: 173_586_387_538_095_851_260_484,
        ..Self::BASE23_L1
    };
    /// The same without mean compensation of the modulus switch.
    pub const fn uncompensated(self) -> Self {
        Self {
            reading: READING_PLAIN,
            ..self
        }
    }
}

/// Noise of a wire's phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Noise {
    /// Variance, in words squared.
    pub variance: u128,
    /// Worst case of what is not random, in words.
    pub deterministic: u128,
}

impl Noise {
    /// The sum of independent noises.
    pub fn plus(self, other: Self) -> Self {
        Self {
            variance: self.variance.saturating_add(other.variance),
            deterministic: self.deterministic.saturating_add(other.deterministic),
        }
    }
    /// Times an integer.
    pub fn times(self, factor: u128) -> Self {
        Self {
            variance: self.variance.saturating_mul(factor).saturating_mul(factor),
            deterministic: self.deterministic.saturating_mul(factor),
        }
    }
    /// Times 2^e.
    pub fn shifted(self, e: u32) -> Self {
        self.times(1u128.checked_shl(e).unwrap_or(u128::MAX))
    }
    /// The sum over n independent rows.
    pub fn summed(self, rows: u128) -> Self {
        Self {
            variance: self.variance.saturating_mul(rows),
            deterministic: self.deterministic.saturating_mul(rows),
        }
    }
    /// ceil(tail deviations) + deterministic, in words; everything where the
    /// square does not fit, which is beyond every limit.
    pub fn reach(self, model: &NoiseModel) -> u128 {
        let Some(squared) = self.variance.checked_mul(model.tail_squared_hundredths) else {
            return u128::MAX;
        };
        let squared = squared.div_ceil(100);
        let root = squared.isqrt();
        let root = if root * root < squared {
            root + 1
        } else {
            root
        };
        root.saturating_add(self.deterministic)
    }
}

/// PRG-8: whether `bits` low bits of a wire of modulus 2^p and noise `noise`
/// can be read; `lift` bounds the integer in its phase.
///
/// The phase is multiplied by 2^(p - bits). The field is prime: what passes
/// 2^64 does not vanish, each time leaves 2^32 - 1.
pub(super) fn check_reading(
    model: &NoiseModel,
    place: &str,
    noise: Noise,
    modulus_log2: u32,
    lift: u128,
    bits: u32,
) -> Result<(), LayeredError> {
    let passes = (lift >> bits).saturating_add(1);
    let seen = noise
        .shifted(modulus_log2.saturating_sub(bits))
        .plus(Noise {
            variance: model.reading,
            deterministic: passes.saturating_mul(1 << 32),
        });
    let (reach, room) = (seen.reach(model), 1u128 << (63 - bits));
    if reach >= room {
        return Err(LayeredError::Reading {
            place: place.to_owned(),
            reach,
            room,
            digit_log2: bits,
        });
    }
    Ok(())
}
