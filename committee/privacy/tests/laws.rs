//! Laws of costs, budgets, sensitivities, conversions and encodings.

use proptest::prelude::*;
use veilbourse_core::wire::{Reader, Writer};
use veilbourse_privacy::{
    Budget, ColumnTerm, MAX_NOISE_BOUND_LOG2, MECHANISM_BYTES, Mechanism, Neighbours, PrivacyError,
    Rational, Rho, Sensitivity, conversion,
};

fn mechanism() -> impl Strategy<Value = Mechanism> {
    // Magnitudes spread over the whole range of exponents.
    let fraction = |bits: u32| {
        (0..bits, any::<u128>(), 0..33u32, any::<u64>()).prop_map(|(b, n, c, d)| {
            let numerator = (n & ((1 << b) - 1)) | (1 << b);
            let denominator = (d & ((1u64 << c) - 1)).max(1);
            (numerator, denominator)
        })
    };
    prop_oneof![
        fraction(80).prop_filter_map("limits", |(n, d)| Mechanism::laplace(n, d).ok()),
        fraction(96).prop_filter_map("limits", |(n, d)| Mechanism::gaussian(n, d).ok()),
    ]
}

fn sensitivity(value: u64) -> Sensitivity {
    Sensitivity::new(u128::from(value)).unwrap()
}

fn terms() -> impl Strategy<Value = Vec<ColumnTerm>> {
    prop::collection::vec(
        (-1000i64..1000, -1000i64..1000, 0i64..1000).prop_map(|(weight, min, width)| ColumnTerm {
            weight,
            min,
            max: min + width,
        }),
        0..6,
    )
}

/// Parameters small enough to check costs in 128 bits.
fn small() -> impl Strategy<Value = (u64, u128, u64)> {
    (1u64..1 << 16, 1u128..1 << 20, 1u64..1 << 10)
}

proptest! {
    #[test]
    fn costs_are_rounded_up_by_less_than_a_unit((delta, n, d) in small()) {
        // PRV-7, PRV-8: units = ceil(2^39 delta^2 d / n), and the square for Laplace.
        let (x, d128) = (u128::from(delta), u128::from(d));
        if let Ok(m) = Mechanism::gaussian(n, d)
            && let Ok(rho) = m.cost(sensitivity(delta))
        {
            let (exact, units) = ((x * x * d128) << 39, u128::from(rho.units()));
            prop_assert!(units * n >= exact && (units - 1) * n < exact);
        }
        if let Ok(m) = Mechanism::laplace(n, d)
            && x * d128 < 1 << 24
            && let Ok(rho) = m.cost(sensitivity(delta))
        {
            let (exact, units) = ((x * d128).pow(2) << 39, u128::from(rho.units()));
            prop_assert!(units * n * n >= exact && (units - 1) * n * n < exact);
        }
    }

    #[test]
    fn cost_grows_with_sensitivity_and_never_shrinks_to_nothing(m in mechanism(), a in 1u64..1 << 62) {
        // PRV-7: scaled weights cost by the square.
        if let Ok(rho) = m.cost(sensitivity(a)) {
            prop_assert!(rho > Rho::ZERO);
            let less = m.cost(sensitivity(a / 2)).unwrap();
            prop_assert!(less <= rho);
            // (a/2)^2 4 <= a^2, each rounded up by less than a unit.
            prop_assert!(u128::from(less.units()) * 4 <= u128::from(rho.units()) + 4);
        }
        prop_assert_eq!(m.cost(sensitivity(0)).unwrap(), Rho::ZERO);
    }

    #[test]
    fn scaled_weights_pay_for_what_they_lift_out_of_the_noise(terms in terms(), factor in 2i64..1000) {
        // PRV-5, PRV-7: the answer is c times larger beside the same noise, the
        // cost c^2 times; and averaging k answers costs k times.
        let scaled: Vec<ColumnTerm> =
            terms.iter().map(|t| ColumnTerm { weight: t.weight * factor, ..*t }).collect();
        let cost = |terms: &[ColumnTerm]| {
            let s = Sensitivity::of_weights(terms, Neighbours::default()).unwrap();
            Mechanism::gaussian(1 << 60, 1).unwrap().cost(s).unwrap()
        };
        let (once, more) = (cost(&terms).units(), cost(&scaled).units());
        let square = u64::try_from(factor * factor).unwrap();
        // Each is rounded up by less than one unit.
        prop_assert!(more <= once * square && more + square >= once * square);
    }

    #[test]
    fn spending_is_rounded_up_and_granting_down(n in 0u128..1 << 70, d in 1u64..1 << 32) {
        // PRV-8
        let value = Rational::new("rho", n, d).unwrap();
        if let Ok(up) = Rho::spending(&value) {
            let down = Rho::granting(&value).unwrap();
            let exact = |units: u64| u128::from(units) * u128::from(d);
            prop_assert!(exact(down.units()) <= n << 40 && n << 40 <= exact(up.units()));
            prop_assert!(up.units() - down.units() <= 1);
            // What is granted can be spent at most as often as it lasts.
            prop_assert!(up >= down);
        }
    }

    #[test]
    fn budgets_compose_by_addition(limit in any::<u64>(), costs in prop::collection::vec(0..u64::MAX / 4, 0..12)) {
        // PRV-9: spent never exceeds the limit; a refusal changes nothing.
        let mut budget = Budget::new(Rho::from_units(limit));
        let mut sum = 0u128;
        for cost in costs {
            let before = budget;
            let asked = Rho::from_units(cost);
            match budget.spend(asked) {
                Ok(()) => sum += u128::from(cost),
                Err(e) => {
                    prop_assert!(sum + u128::from(cost) > u128::from(limit));
                    prop_assert_eq!(before, budget);
                    prop_assert_eq!(e, PrivacyError::Budget { limit, spent: before.spent().units(), asked: cost });
                }
            }
            prop_assert_eq!(u128::from(budget.spent().units()), sum);
            prop_assert_eq!(budget.spent().plus(budget.left()).unwrap(), budget.limit());
        }
        prop_assert!(sum <= u128::from(limit));
    }

    #[test]
    fn many_equal_openings_cost_their_multiple(units in 0u64..1 << 40, count in 0u64..1 << 20) {
        // PRV-9
        let rho = Rho::from_units(units);
        prop_assert_eq!(rho.times(count).unwrap().plus(rho).unwrap(), rho.times(count + 1).unwrap());
    }

    #[test]
    fn encodings_are_canonical(m in mechanism(), limit in any::<u64>(), spent in any::<u64>()) {
        // PRV-3
        let mut out = Writer::new();
        m.encode(&mut out);
        let bytes = out.finish();
        prop_assert_eq!(bytes.len(), MECHANISM_BYTES);
        let mut input = Reader::new(&bytes);
        prop_assert_eq!(Mechanism::decode(&mut input).unwrap(), m);
        input.finish("mechanism").unwrap();

        let budget = Budget::restored(Rho::from_units(limit.max(spent)), Rho::from_units(limit.min(spent))).unwrap();
        let mut out = Writer::new();
        budget.encode(&mut out);
        let bytes = out.finish();
        prop_assert_eq!(Budget::decode(&mut Reader::new(&bytes)).unwrap(), budget);
    }

    #[test]
    fn any_bytes_are_a_mechanism_or_a_refusal(bytes in prop::collection::vec(any::<u8>(), 0..40), tag in 0u8..4) {
        // PRV-3: whatever is accepted encodes to the very bytes read.
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = tag;
        }
        let mut input = Reader::new(&bytes);
        if let Ok(m) = Mechanism::decode(&mut input) {
            let mut out = Writer::new();
            m.encode(&mut out);
            prop_assert_eq!(out.finish(), &bytes[..MECHANISM_BYTES]);
        }
    }

    #[test]
    fn no_row_moves_the_sum_further(terms in terms(), picks in prop::collection::vec((any::<u16>(), any::<u16>()), 6)) {
        // PRV-5: against arbitrary pairs of rows; reached by the extreme ones.
        let row = |which: fn(&(u16, u16)) -> u16| -> i128 {
            terms.iter().zip(&picks).map(|(t, p)| {
                let span = i128::from(t.max - t.min);
                let x = i128::from(t.min) + span * i128::from(which(p)) / i128::from(u16::MAX);
                i128::from(t.weight) * x
            }).sum()
        };
        let (a, b) = (row(|p| p.0), row(|p| p.1));
        let replace = Sensitivity::of_weights(&terms, Neighbours::ReplaceOne).unwrap();
        let add = Sensitivity::of_weights(&terms, Neighbours::AddRemove).unwrap();
        prop_assert!(a.abs_diff(b) <= u128::from(replace.value()));
        prop_assert!(a.unsigned_abs() <= u128::from(add.value()));
        prop_assert!(replace.value() <= 2 * add.value());
        let width: i128 = terms.iter().map(|t| i128::from(t.weight.abs()) * i128::from(t.max - t.min)).sum();
        prop_assert_eq!(i128::from(replace.value()), width);
        // PRV-6: the bound B of private weights is never smaller.
        let bound: i128 = terms.iter().map(|t| i128::from(t.weight.abs()) * i128::from(t.min.abs().max(t.max.abs()))).sum();
        let bound = u64::try_from(bound).unwrap();
        prop_assert!(Sensitivity::of_bound(bound, Neighbours::ReplaceOne).unwrap() >= replace);
        prop_assert!(Sensitivity::of_bound(bound, Neighbours::AddRemove).unwrap() >= add);
    }

    #[test]
    fn a_public_column_does_not_matter_when_a_row_is_replaced(terms in terms(), weight in -1000i64..1000, c in -1000i64..1000) {
        // PRV-5: its value is the same in every row of a segment.
        let mut with = terms.clone();
        with.push(ColumnTerm { weight, min: c, max: c });
        prop_assert_eq!(
            Sensitivity::of_weights(&terms, Neighbours::default()),
            Sensitivity::of_weights(&with, Neighbours::ReplaceOne)
        );
    }

    #[test]
    fn calibrated_noise_costs_at_most_what_was_asked(delta in 1u64..1 << 44, units in 1u64..1 << 50, n in 1u128..1 << 30, d in 1u64..1 << 30) {
        // PRV-7
        let s = sensitivity(delta);
        let rho = Rho::from_units(units);
        if let Ok(m) = Mechanism::gaussian_for(s, rho) {
            prop_assert!(m.cost(s).unwrap() <= rho, "{:?}", m);
        }
        let epsilon = Rational::new("epsilon", n, d).unwrap();
        if let Ok(m) = Mechanism::laplace_for(s, &epsilon) {
            let reached = m.pure_epsilon(s).unwrap();
            prop_assert!((reached / epsilon.to_f64() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn epsilon_is_monotone_and_below_the_simple_bound(a in 1u64..1 << 44, more in 1u64..1 << 44, log_delta in 5.0f64..30.0) {
        // PRV-10
        let delta = (-log_delta).exp();
        let (low, high) = (Rho::from_units(a), Rho::from_units(a + more));
        let tight = conversion::epsilon(low, delta, 0).unwrap();
        prop_assert!(tight >= 0.0);
        prop_assert!(tight <= conversion::epsilon_simple(low, delta).unwrap() * (1.0 + 1e-6));
        prop_assert!(tight <= conversion::epsilon(high, delta, 0).unwrap() * (1.0 + 1e-9));
        prop_assert!(tight >= conversion::epsilon(low, delta * 2.0, 0).unwrap() * (1.0 - 1e-9));
        // The two conversions are inverse to each other, up to their margins.
        let back = conversion::delta(low, tight, 0).unwrap();
        prop_assert!(back <= delta * (1.0 + 1e-4), "{} {}", back, delta);
    }

    #[test]
    fn noise_fits_exactly_when_the_sum_does(m in mechanism(), message in any::<u64>(), limit in any::<u64>()) {
        // PRV-4
        let sum = u128::from(message) + u128::from(m.noise_bound());
        prop_assert_eq!(m.fits(message, limit).is_ok(), sum <= u128::from(limit));
        prop_assert!(m.noise_bound() < 1 << MAX_NOISE_BOUND_LOG2);
        prop_assert!(m.noise_bound() >= 1);
    }

    #[test]
    fn forecasts_are_ordered(m in mechanism()) {
        // PRV-11
        let f = m.forecast();
        prop_assert!(f.half_width_95 <= f.bound);
        prop_assert!(f.standard_deviation <= f.bound as f64);
        // Chebyshev: 95 % lie within 4.48 deviations; one more for the lattice.
        prop_assert!(f.half_width_95 as f64 <= 4.48 * f.standard_deviation + 1.0);
    }
}
