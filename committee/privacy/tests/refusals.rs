//! Every refusal by its variant, at the edge of its limit.

use veilbourse_core::wire::{Reader, WireError, Writer};
use veilbourse_privacy::{
    Budget, ColumnTerm, MAX_SENSITIVITY, Mechanism, Neighbours, PrivacyError, Rational, Rho,
    Sensitivity, conversion,
};

#[test]
fn parameters_have_limits() {
    // PRV-2
    let (scale, variance) = (
        "scale of the discrete Laplace noise",
        "variance of the discrete Gaussian noise",
    );
    assert!(Mechanism::laplace(1, 1 << 10).is_ok());
    assert!(Mechanism::laplace(1 << 48, 1).is_ok());
    assert!(Mechanism::laplace((1 << 80) - 1, (1 << 32) - 1).is_err());
    assert_eq!(
        Mechanism::laplace(1, (1 << 10) + 1),
        Err(PrivacyError::TooSmall {
            field: scale,
            limit_log2: -10,
            numerator: 1,
            denominator: (1 << 10) + 1
        })
    );
    assert_eq!(
        Mechanism::laplace((1 << 49) + 1, 2),
        Err(PrivacyError::TooLarge {
            field: scale,
            limit_log2: 48,
            numerator: (1 << 49) + 1,
            denominator: 2
        })
    );
    assert!(Mechanism::gaussian(1, 1 << 20).is_ok());
    assert!(Mechanism::gaussian(1 << 96, 1).is_ok());
    assert!(Mechanism::gaussian(1 << 96, (1 << 32) - 1).is_ok());
    assert_eq!(
        Mechanism::gaussian(0, 5),
        Err(PrivacyError::TooSmall {
            field: variance,
            limit_log2: -20,
            numerator: 0,
            denominator: 1
        })
    );
    for numerator in [(1 << 96) + 1, u128::MAX] {
        assert_eq!(
            Mechanism::gaussian(numerator, 1),
            Err(PrivacyError::TooLarge {
                field: variance,
                limit_log2: 96,
                numerator,
                denominator: 1
            })
        );
    }
    for denominator in [0, (1 << 32) + 1] {
        assert_eq!(
            Mechanism::laplace(1 << 60, denominator),
            Err(PrivacyError::Denominator {
                field: scale,
                limit: 1 << 32,
                value: denominator
            })
        );
    }
    assert_eq!(
        Mechanism::laplace_for(Sensitivity::new(1).unwrap(), &Rational::integer(0)),
        Err(PrivacyError::Denominator {
            field: scale,
            limit: 1 << 32,
            value: 0
        })
    );
    assert!(matches!(
        Mechanism::gaussian_for(Sensitivity::new(1).unwrap(), Rho::ZERO),
        Err(PrivacyError::TooLarge { .. })
    ));
}

fn encoded(tag: u8, numerator: u128, denominator: u64) -> Vec<u8> {
    let mut out = Writer::new();
    out.u8(tag).raw(&numerator.to_le_bytes()).u64(denominator);
    out.finish()
}

#[test]
fn only_canonical_bytes_are_read() {
    // PRV-3
    let read = |bytes: &[u8]| Mechanism::decode(&mut Reader::new(bytes));
    for (bytes, reason) in [
        (encoded(3, 1, 1), "unknown tag 3, the greatest is 2"),
        (encoded(0, 1, 0), "none has no parameter, found 1/0"),
        (encoded(0, 0, 1), "none has no parameter, found 0/1"),
        (encoded(1, 4, 2), "4/2 is not in lowest terms"),
        (encoded(2, 9, 6), "9/6 is not in lowest terms"),
    ] {
        assert_eq!(
            read(&bytes),
            Err(PrivacyError::Wire(WireError::Invalid {
                field: "mechanism",
                reason: reason.into()
            }))
        );
    }
    let whole = encoded(1, 3, 2);
    for n in 0..whole.len() {
        assert!(matches!(
            read(&whole[..n]),
            Err(PrivacyError::Wire(WireError::Truncated { .. }))
        ));
    }
    assert!(matches!(
        read(&encoded(1, 1, 0)),
        Err(PrivacyError::Denominator { .. })
    ));
    assert!(matches!(
        read(&encoded(1, 1 << 90, 1)),
        Err(PrivacyError::TooLarge { .. })
    ));
    assert!(matches!(
        read(&encoded(2, 1, 1 << 30)),
        Err(PrivacyError::TooSmall { .. })
    ));
    assert_eq!(read(&encoded(0, 0, 0)), Ok(Mechanism::None));
}

#[test]
fn noise_must_fit_the_range() {
    // PRV-4: T = 90 * 5.
    let m = Mechanism::laplace(5, 1).unwrap();
    assert_eq!(m.noise_bound(), 450);
    assert_eq!(m.fits(550, 1000), Ok(()));
    for message in [551, u64::MAX] {
        assert_eq!(
            m.fits(message, 1000),
            Err(PrivacyError::Range {
                message,
                noise: 450,
                limit: 1000
            })
        );
    }
    // 13.4 * 10, exactly; and rounded up.
    assert_eq!(Mechanism::gaussian(100, 1).unwrap().noise_bound(), 134);
    assert_eq!(Mechanism::gaussian(101, 1).unwrap().noise_bound(), 135);
}

#[test]
fn sensitivities_are_bounded_and_never_wrap() {
    // PRV-5, PRV-6
    let term = |weight, min, max| ColumnTerm { weight, min, max };
    let of = |terms: &[ColumnTerm]| Sensitivity::of_weights(terms, Neighbours::ReplaceOne);
    assert_eq!(
        of(&[term(1, 0, 1), term(1, 3, 2)]),
        Err(PrivacyError::EmptyRange {
            column: 1,
            min: 3,
            max: 2
        })
    );
    let extreme = term(i64::MIN, i64::MIN, i64::MAX);
    assert!(matches!(
        of(&[extreme]),
        Err(PrivacyError::Sensitivity {
            limit: MAX_SENSITIVITY,
            ..
        })
    ));
    assert_eq!(of(&[extreme; 3]), Err(PrivacyError::Overflow { column: 1 }));
    assert_eq!(
        Sensitivity::new((1 << 62) + 1),
        Err(PrivacyError::Sensitivity {
            limit: MAX_SENSITIVITY,
            at_least: (1 << 62) + 1
        })
    );
    assert_eq!(
        Sensitivity::of_bound(1 << 61, Neighbours::ReplaceOne).map(Sensitivity::value),
        Ok(1 << 62)
    );
    assert!(matches!(
        Sensitivity::of_bound((1 << 61) + 1, Neighbours::ReplaceOne),
        Err(PrivacyError::Sensitivity { .. })
    ));
    let three = Sensitivity::new(3).unwrap();
    assert_eq!(three.of_group(4).map(Sensitivity::value), Ok(12));
    assert!(matches!(
        Sensitivity::new(1 << 40).unwrap().of_group(1 << 23),
        Err(PrivacyError::Sensitivity { .. })
    ));
}

#[test]
fn no_noise_has_no_price_and_no_cost_wraps() {
    // PRV-7, PRV-8
    let one = Sensitivity::new(1).unwrap();
    assert_eq!(Mechanism::None.cost(one), Err(PrivacyError::NoNoise));
    let most = Sensitivity::new(1 << 62).unwrap();
    let too_costly = Err(PrivacyError::Cost { limit: u64::MAX });
    for m in [
        Mechanism::laplace(1, 1 << 10).unwrap(),
        Mechanism::laplace(1 << 48, 1).unwrap(),
        Mechanism::gaussian(1, 1 << 20).unwrap(),
        Mechanism::gaussian(1 << 96, (1 << 32) - 1).unwrap(),
    ] {
        assert_eq!(m.cost(most), too_costly, "{m:?}");
    }
    assert_eq!(
        Rho::spending(&Rational::integer(1 << 24)),
        Err(PrivacyError::Cost { limit: u64::MAX })
    );
    assert_eq!(Rho::granting(&Rational::integer(u128::MAX)), too_costly);
    assert_eq!(
        Rho::from_units(u64::MAX).plus(Rho::from_units(1)),
        too_costly
    );
    assert_eq!(Rho::from_units(1 << 63).times(2), too_costly);
}

#[test]
fn a_budget_refuses_what_exceeds_it_and_names_all_three() {
    // PRV-9
    let mut budget = Budget::new(Rho::from_units(100));
    budget.spend(Rho::from_units(60)).unwrap();
    let refusal = PrivacyError::Budget {
        limit: 100,
        spent: 60,
        asked: 41,
    };
    assert_eq!(budget.spend(Rho::from_units(41)), Err(refusal.clone()));
    assert_eq!(
        refusal.to_string(),
        "privacy budget: asked 41, spent 60, the limit is 100 (units of 2^-40 rho)"
    );
    assert!(budget.spend(Rho::from_units(u64::MAX)).is_err());
    budget.spend(Rho::from_units(40)).unwrap();
    assert_eq!(budget.left(), Rho::ZERO);
    assert!(matches!(
        Budget::restored(Rho::from_units(1), Rho::from_units(2)),
        Err(PrivacyError::Budget {
            limit: 1,
            spent: 0,
            asked: 2
        })
    ));
}

#[test]
fn conversions_refuse_what_is_no_probability() {
    // PRV-10
    let rho = Rho::from_units(1 << 40);
    for value in [0.0, 1.0, -1.0, f64::INFINITY] {
        assert_eq!(
            conversion::epsilon(rho, value, 1),
            Err(PrivacyError::Delta { value })
        );
        assert_eq!(
            conversion::epsilon_simple(rho, value),
            Err(PrivacyError::Delta { value })
        );
    }
    assert!(matches!(
        conversion::epsilon(rho, f64::NAN, 1),
        Err(PrivacyError::Delta { .. })
    ));
    for value in [-1.0, f64::INFINITY] {
        assert_eq!(
            conversion::delta(rho, value, 1),
            Err(PrivacyError::Epsilon { value })
        );
        assert_eq!(
            conversion::granting(value, 1e-6, 1),
            Err(PrivacyError::Epsilon { value })
        );
    }
    // The cut: 2^-128 an opening beside a share of 2^-20 of delta.
    assert!(conversion::epsilon(rho, 1e-15, 1_000_000).is_ok());
    assert!(matches!(
        conversion::epsilon(rho, 1e-30, 1_000_000),
        Err(PrivacyError::Cut {
            openings: 1_000_000,
            ..
        })
    ));
    assert!(matches!(
        conversion::granting(1.0, 1e-35, 1),
        Err(PrivacyError::Cut { .. })
    ));
}
