//! Known answers: the first draws of each law under ChaCha20 from a stated
//! seed, costs and conversions. Frozen: a change of any of them is a change of
//! what two builds of one seed deal (PRV-1).

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use veilbourse_privacy::{Budget, Mechanism, Rho, Sensitivity, conversion};

#[test]
fn first_draws_are_frozen() {
    // PRV-1
    for (m, expected) in [
        (Mechanism::laplace(1, 2).unwrap(), [0, 1, 0, 0, 1, 0, 0, 0]),
        (
            Mechanism::laplace(5, 1).unwrap(),
            [-1, 2, 0, 5, 1, 7, -3, 18],
        ),
        (
            Mechanism::laplace(1 << 40, 3).unwrap(),
            [
                -82393543136,
                11303791822,
                -49640931030,
                -67936795086,
                400372156298,
                -502072990693,
                -1488254726929,
                564828952775,
            ],
        ),
        (
            Mechanism::gaussian(1, 4).unwrap(),
            [1, 0, 0, 0, 0, 0, 0, -1],
        ),
        (
            Mechanism::gaussian(25, 1).unwrap(),
            [2, -1, 0, 6, 1, -3, -3, -6],
        ),
        (
            Mechanism::gaussian(1 << 60, 9).unwrap(),
            [
                376714863, 17609119, 494152693, -176029543, -452067462, 585968920, -374892214,
                344058796,
            ],
        ),
        (
            Mechanism::gaussian(1 << 96, 1).unwrap(),
            [
                -266772401920879,
                414014246012768,
                -514595134517335,
                -12339455158716,
                -309212357557195,
                -94704154739953,
                290871051544512,
                248063492610909,
            ],
        ),
    ] {
        let mut rng = ChaCha20Rng::seed_from_u64(2020);
        assert_eq!(expected.map(|_| m.sample(&mut rng)), expected, "{m:?}");
    }
}

#[test]
fn costs_in_units() {
    // PRV-7, PRV-8: eps = 1 is rho = 1/2; sensitivity 3, sigma^2 = 18 is 1/4;
    // a third is rounded up.
    let cost = |m: Mechanism, delta| m.cost(Sensitivity::new(delta).unwrap()).unwrap().units();
    assert_eq!(cost(Mechanism::laplace(7, 1).unwrap(), 7), 1 << 39);
    assert_eq!(cost(Mechanism::laplace(7, 2).unwrap(), 7), 1 << 41);
    assert_eq!(cost(Mechanism::gaussian(18, 1).unwrap(), 3), 1 << 38);
    assert_eq!(
        cost(Mechanism::gaussian(3, 2).unwrap(), 1),
        (1u64 << 40) / 3 + 1
    );
    assert_eq!(cost(Mechanism::gaussian(1 << 96, 1).unwrap(), 1), 1);
}

#[test]
fn a_budget_lasts_exactly_its_openings() {
    // PRV-9: eps 0.1 each is rho 0.005, rounded up; a budget of rho 1/2 serves 99,
    // because the hundredth would exceed it by the roundings.
    let m = Mechanism::laplace(10, 1).unwrap();
    let cost = m.cost(Sensitivity::new(1).unwrap()).unwrap();
    let mut budget = Budget::new(Rho::from_units(1 << 39));
    let served = (0..200).filter(|_| budget.spend(cost).is_ok()).count();
    assert_eq!(served, 99);
}

#[test]
fn epsilon_of_known_budgets() {
    // PRV-10. A Gaussian of variance v and sensitivity 1 has the exact curve
    // delta = Phi(1/(2s) - eps s) - e^eps Phi(-1/(2s) - eps s); at s = 1 and
    // delta = 1e-5 it gives eps = 4.3772; zCDP's conversion lies above, the
    // simple bound above both.
    let half = Rho::from_units(1 << 39);
    let tight = conversion::epsilon(half, 1e-5, 0).unwrap();
    let simple = conversion::epsilon_simple(half, 1e-5).unwrap();
    assert!((tight - 4.728).abs() < 1e-2, "{tight}");
    assert!((simple - 5.2985).abs() < 1e-3, "{simple}");
    let delta = conversion::delta(half, tight, 0).unwrap();
    assert!((delta / 1e-5 - 1.0).abs() < 1e-4, "{delta}");
    // No cost, no epsilon; and delta stays what the cut leaves.
    assert_eq!(conversion::epsilon(Rho::ZERO, 1e-9, 10), Ok(0.0));
    assert!(conversion::delta(Rho::ZERO, 0.0, 1).unwrap() < 1e-38);
    let granted = conversion::granting(1.0, 1e-6, 1000).unwrap();
    assert!(conversion::epsilon(granted, 1e-6, 1000).unwrap() <= 1.0);
    let more = Rho::from_units(granted.units() + 2);
    assert!(conversion::epsilon(more, 1e-6, 1000).unwrap() > 1.0);
}

#[test]
fn forecasts_in_integers() {
    // PRV-11: exact for small laws, counted by hand: scale 1, p = 1/e,
    // P(|X| > h) = 2 p^(h+1) / (1 + p) = 0.0728 at h = 2, 0.0268 at h = 3.
    let f = Mechanism::laplace(1, 1).unwrap().forecast();
    assert_eq!((f.half_width_95, f.bound), (3, 90));
    assert!((f.standard_deviation - 1.3570).abs() < 1e-4);
    // Variance 1: P(|X| > 1) = 0.1168, P(|X| > 2) = 0.0091.
    let f = Mechanism::gaussian(1, 1).unwrap().forecast();
    assert_eq!((f.half_width_95, f.bound), (2, 14));
    assert!((f.standard_deviation - 1.0).abs() < 1e-6);
    // Below 1 the lattice shows: sigma^2 = 0.1 has variance 0.0134.
    let f = Mechanism::gaussian(1, 10).unwrap().forecast();
    assert_eq!(f.half_width_95, 0);
    assert!((f.standard_deviation.powi(2) - 0.0133).abs() < 2e-4);
    let f = Mechanism::gaussian(1 << 96, 1).unwrap().forecast();
    assert_eq!(f.half_width_95, 551_680_817_032_152);
    assert_eq!(Mechanism::None.forecast().half_width_95, 0);
}
