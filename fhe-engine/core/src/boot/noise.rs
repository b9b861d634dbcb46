//! Noise of the bootstrap, every term (BST-10..12), in integers.
//!
//! Variances are kept in 48ths of a squared word: then each term is an
//! integer, but for the modulus switch, which is rounded up.

use super::{
    decomposition::Gadget,
    params::{
        BootstrapParamsId, COMPONENTS, GROUPS, KeyswitchParamsId, LWE, LWE_NOISE, PATTERNS, RING,
        RING_NOISE, SWITCHED_MODULUS, TUniformBound,
    },
};
use crate::field::MODULUS;

/// 13.4^2 in hundredths: beyond 13.4 deviations lie at most 2^-128 (BUD-3).
const TAIL_SQUARED_HUNDREDTHS: u128 = 17_956;
/// q / 64: half the distance of two digits; an error below it is harmless.
const HALF_DISTANCE: u128 = MODULUS as u128 / 64;

/// A variance, in 48ths of a squared word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Variance(u128);

impl Variance {
    /// None.
    pub const ZERO: Self = Self(0);

    /// `weight` samples of TUniform(b): (2^(2b+1) + 1) / 6 each.
    pub const fn of_samples(noise: TUniformBound, weight: u128) -> Self {
        Self(weight * 8 * tuniform_sixths(noise))
    }
    /// The sum of independent terms.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
    /// Of a sum whose squared weights add up to `squares` (BST-12).
    #[must_use]
    pub const fn times(self, squares: u128) -> Self {
        Self(self.0.saturating_mul(squares))
    }
    /// 48 times the variance.
    pub const fn in_48ths(self) -> u128 {
        self.0
    }
    /// log2 of the standard deviation, for people and for measurements.
    pub fn log2_deviation(self) -> f64 {
        (self.0 as f64 / 48.0).log2() / 2.0
    }
}

/// Six times the variance of TUniform(b).
const fn tuniform_sixths(noise: TUniformBound) -> u128 {
    (1 << (2 * noise.0 + 1)) + 1
}

/// Twelve times the mean square of a digit, uniform on [-B/2, B/2).
const fn digit_square_twelfths(gadget: Gadget) -> u128 {
    let base = gadget.base() as u128;
    base * base + 2
}

/// 48 times the variance of what decomposition drops, uniform on an interval
/// of 2^pos_l.
const fn remainder_48ths(gadget: Gadget) -> u128 {
    4 << (2 * gadget.last_position())
}

/// The modulus switch with mean compensation (BST-10): errors of the mask
/// words weigh (1/2 - s_i)^2 = 1/4 each, whatever the key, the body's 1; each
/// is uniform on an interval of q / 4096.
pub const fn modulus_switch() -> Variance {
    let q = MODULUS as u128;
    // 48 (step^2 / 12) (n / 4 + 1) = (q / 4096)^2 (n + 4); q^2 < 2^128.
    let step_squared = q * q / (SWITCHED_MODULUS as u128 * SWITCHED_MODULUS as u128) + 1;
    Variance(step_squared * (LWE.0 as u128 + 4))
}

/// A keyswitch (BST-10) from a key with `ones` bits set; all set is the worst.
pub const fn keyswitch(id: KeyswitchParamsId, ones: usize) -> Variance {
    let gadget = id.gadget();
    // 48 / (12 * 6) = 2 / 3; B^2 + 2 is a multiple of 3 for B = 2^beta.
    let digits = id.key_rows() as u128 * (digit_square_twelfths(gadget) / 3) * 2;
    Variance(digits * tuniform_sixths(LWE_NOISE) + ones as u128 * remainder_48ths(gadget))
}

/// A blind rotation's output (BST-11) under a key S_B with `ones` bits set.
pub const fn blind_rotation(id: BootstrapParamsId, ones: usize) -> Variance {
    let gadget = id.gadget();
    let digits = (COMPONENTS * RING.0 * gadget.levels().0) as u128;
    let digits = digits * (digit_square_twelfths(gadget) / 3) * 2;
    // The key of a step is the sum of all its patterns' keys.
    let key = PATTERNS as u128 * tuniform_sixths(RING_NOISE);
    let remainder = (1 + ones as u128) * remainder_48ths(gadget);
    Variance(GROUPS as u128 * (digits * key + remainder))
}

/// What a bootstrap's decision sees (BST-12): its input's noise, the
/// keyswitch's and the modulus switch's.
pub const fn decision(input: Variance, switch: KeyswitchParamsId) -> Variance {
    let worst = keyswitch(switch, switch.input().0);
    input.plus(worst).plus(modulus_switch())
}

/// Whether a bootstrap of an input with that noise fails with probability at
/// most 2^-128 (BST-12): half the distance of two digits is at least 13.4
/// deviations.
pub const fn is_admissible(input: Variance, switch: KeyswitchParamsId) -> bool {
    decision(input, switch).0 <= limit().0
}

/// The greatest variance a decision may see.
pub const fn limit() -> Variance {
    Variance(HALF_DISTANCE * HALF_DISTANCE / TAIL_SQUARED_HUNDREDTHS * 4_800)
}

/// The greatest variance an input may have (BST-12).
pub const fn input_limit(switch: KeyswitchParamsId) -> Variance {
    Variance(limit().0.saturating_sub(decision(Variance::ZERO, switch).0))
}

/// log2 of the bound 2 exp(-z^2 / 2) on a bootstrap's failure, z the
/// deviations in half the distance of two digits; for people.
pub fn failure_log2(input: Variance, switch: KeyswitchParamsId) -> f64 {
    let half = HALF_DISTANCE as f64;
    let z_squared = half * half / (decision(input, switch).0 as f64 / 48.0);
    1.0 - z_squared / 2.0 * std::f64::consts::LOG2_E
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The formulas of docs/spec/bootstrap.md in floats, written separately.
    fn expected(id: BootstrapParamsId) -> f64 {
        let (beta, l) = match id {
            BootstrapParamsId::Boot2048B23L1V1 => (23, 1.0),
            BootstrapParamsId::Boot2048B15L2V1 => (15, 2.0),
            BootstrapParamsId::Boot2048B11L3V1 => (11, 3.0),
        };
        let base = 2f64.powi(beta);
        let key = 16.0 * (2f64.powi(35) + 1.0) / 6.0;
        let noise = 2.0 * 2048.0 * l * (base * base + 2.0) / 12.0 * key;
        let dropped = 2f64.powi(2 * (64 - beta * l as i32)) / 12.0 * (1.0 + 1024.0);
        (230.0 * (noise + dropped)).log2() / 2.0
    }

    #[test]
    fn terms_are_the_formulas() {
        // BST-10, BST-11
        for id in BootstrapParamsId::ALL {
            let got = blind_rotation(id, 1024).log2_deviation();
            assert!((got - expected(id)).abs() < 1e-6, "{id:?} {got}");
        }
        let step = MODULUS as f64 / 4096.0;
        let switch = (step * step / 12.0 * (920.0 / 4.0 + 1.0)).log2() / 2.0;
        assert!((modulus_switch().log2_deviation() - switch).abs() < 1e-6);
        let sigma_squared = (2f64.powi(91) + 1.0) / 6.0;
        let digits = 2048.0 * 6.0 * 66.0 / 12.0 * sigma_squared;
        let dropped = 1024.0 * 2f64.powi(92) / 12.0;
        let got = keyswitch(KeyswitchParamsId::Boot2048B3L6V1, 1024).log2_deviation();
        assert!((got - (digits + dropped).log2() / 2.0).abs() < 1e-6);
    }

    #[test]
    fn every_chain_of_named_sets_fails_below_two_to_minus_128() {
        // BST-12: each keyswitch after each bootstrap, S_B with all bits set.
        for switch in KeyswitchParamsId::ALL {
            for id in BootstrapParamsId::ALL {
                let input = blind_rotation(id, RING.0);
                assert!(is_admissible(input, switch));
                let failure = failure_log2(input, switch);
                assert!(failure < -128.0, "{switch:?} {id:?} {failure}");
            }
            let most = input_limit(switch);
            assert!(is_admissible(most, switch));
            assert!(!is_admissible(most.plus(Variance(1)), switch));
            let failure = failure_log2(most, switch);
            assert!((-129.0..-128.0).contains(&failure), "{failure}");
        }
        // Without compensation the mask errors weigh s_i^2, 1/2 on average:
        // 10.3 deviations, far too few.
        let step_squared = modulus_switch().0 / 924;
        let plain = Variance(step_squared * (2 * 920 + 4));
        assert!(plain > limit());
        assert!(!is_admissible(
            Variance(u128::MAX),
            KeyswitchParamsId::ALL[0]
        ));
    }

    #[test]
    fn the_figures_of_the_specification() {
        // BST-12: docs/spec/bootstrap.md prints these, to one decimal.
        let shown = |v: f64| format!("{v:.1}");
        let chain = KeyswitchParamsId::Boot2048B3L6V1;
        let data = KeyswitchParamsId::Data4096B3L6V1;
        assert_eq!(shown(modulus_switch().log2_deviation()), "54.1");
        assert_eq!(shown(keyswitch(chain, 2048).log2_deviation()), "52.3");
        assert_eq!(shown(keyswitch(data, 4096).log2_deviation()), "52.8");
        let outputs =
            BootstrapParamsId::ALL.map(|id| shown(blind_rotation(id, 1024).log2_deviation()));
        assert_eq!(outputs, ["49.5", "42.1", "38.6"]);
        assert_eq!(shown(input_limit(chain).log2_deviation()), "52.6");
        assert_eq!(shown(input_limit(data).log2_deviation()), "51.8");
    }
}
