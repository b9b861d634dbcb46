//! Ticket classes as a custodian thinks of them (TKT-1, PRV-2..8): by a law, or
//! by what one ticket may cost; sensitivity from the dataset's declared ranges.

use super::DealingError;
use veilbourse_core::manifest::Manifest;
use veilbourse_documents::ClassTerms;
use veilbourse_privacy::{
    ColumnTerm, MAX_SENSITIVITY, Mechanism, Neighbours, PrivacyError, Rational, Rho, Sensitivity,
};

/// How a class's noise is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noise {
    /// Discrete Gaussian of this variance.
    Variance(Rational),
    /// Discrete Laplace of this scale.
    Scale(Rational),
    /// The least Gaussian noise of which a ticket costs at most this rho.
    Rho(Rational),
    /// The Laplace noise of which a ticket costs this pure epsilon.
    Epsilon(Rational),
}

/// How many rows one person may have (PRV-5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PersonRows(pub u32);

impl Default for PersonRows {
    fn default() -> Self {
        Self(1)
    }
}

fn noise(class: &str) -> impl Fn(PrivacyError) -> DealingError + '_ {
    move |cause| DealingError::Noise {
        class: class.to_owned(),
        cause,
    }
}

/// A class of tickets without noise, for every query that the budget admits.
pub fn exact(name: &str, k: u8) -> ClassTerms {
    ClassTerms {
        name: name.to_owned(),
        k,
        sensitivity: MAX_SENSITIVITY,
        mechanism: Mechanism::None,
        offered: true,
    }
}

/// Tickets for the check of the public key alone (TKT-4): orders never use it.
pub fn key_check(k: u8) -> ClassTerms {
    ClassTerms {
        name: "key check".to_owned(),
        k,
        sensitivity: 0,
        mechanism: Mechanism::None,
        offered: false,
    }
}

/// A class with noise.
pub fn noisy(
    name: &str,
    k: u8,
    sensitivity: Sensitivity,
    said: &Noise,
) -> Result<ClassTerms, DealingError> {
    let fraction = |r: &Rational| (r.numerator(), r.denominator());
    let mechanism = match said {
        Noise::Variance(v) => {
            let (n, d) = fraction(v);
            Mechanism::gaussian(n, d)
        }
        Noise::Scale(s) => {
            let (n, d) = fraction(s);
            Mechanism::laplace(n, d)
        }
        // Rounded down: a ticket never costs more than was said.
        Noise::Rho(rho) => {
            Rho::granting(rho).and_then(|rho| Mechanism::gaussian_for(sensitivity, rho))
        }
        Noise::Epsilon(e) => Mechanism::laplace_for(sensitivity, e),
    };
    let mechanism = mechanism.map_err(noise(name))?;
    // No policy takes a class whose cost cannot be counted (PRV-8).
    mechanism.cost(sensitivity).map_err(noise(name))?;
    let terms = ClassTerms {
        name: name.to_owned(),
        k,
        sensitivity: sensitivity.value(),
        mechanism,
        offered: true,
    };
    let class = terms.class().map_err(|cause| DealingError::Class {
        class: name.to_owned(),
        cause,
    });
    class.map(|_| terms)
}

/// The most that a row moves the sum of any one of these columns (all encrypted
/// ones when none is named): what means, counts, second moments and trainings
/// open. For people with several rows, that many times it (PRV-5).
pub fn statistics_sensitivity(
    class: &str,
    manifest: &Manifest,
    columns: &[String],
    rows: PersonRows,
) -> Result<Sensitivity, DealingError> {
    for name in columns {
        if !manifest.columns.iter().any(|c| c.name == *name) {
            return Err(DealingError::Column {
                class: class.to_owned(),
                column: name.clone(),
            });
        }
    }
    let mut most = Sensitivity::new(0).map_err(noise(class))?;
    for c in &manifest.columns {
        if columns.is_empty() || columns.contains(&c.name) {
            let term = ColumnTerm {
                weight: 1,
                min: c.min,
                max: c.max,
            };
            let one = Sensitivity::of_weights(&[term], Neighbours::ReplaceOne);
            most = most.max(one.map_err(noise(class))?);
        }
    }
    most.of_group(rows.0).map_err(noise(class))
}

/// The most that a row moves a score with private weights of this bound (PRV-6).
pub fn weights_sensitivity(
    class: &str,
    bound: u64,
    rows: PersonRows,
) -> Result<Sensitivity, DealingError> {
    Sensitivity::of_bound(bound, Neighbours::ReplaceOne)
        .and_then(|s| s.of_group(rows.0))
        .map_err(noise(class))
}

/// "0.001", "3" or "1/7" as a fraction.
pub fn decimal(text: &str) -> Option<Rational> {
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if let Some((n, d)) = text.split_once('/') {
        let (n, d) = (
            digits(n).then(|| n.parse().ok())??,
            digits(d).then(|| d.parse().ok())??,
        );
        return Rational::new("fraction", n, d).ok();
    }
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    if !digits(whole) || !digits(part) || part.len() > 18 {
        return None;
    }
    let one = 10u64.pow(u32::try_from(part.len()).ok()?);
    let whole: u128 = whole.parse().ok()?;
    let top = whole
        .checked_mul(one.into())?
        .checked_add(part.parse().ok()?)?;
    Rational::new("number", top, one).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact() {
        let is = |t: &str, n: u128, d: u64| {
            let r = decimal(t).expect(t);
            assert_eq!((r.numerator(), r.denominator()), (n, d), "{t}");
        };
        is("0.001", 1, 1000);
        is("3", 3, 1);
        is("2.50", 5, 2);
        is("2/14", 1, 7);
        for bad in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "1e3",
            "1/0",
            "1/",
            "0.0000000000001",
        ] {
            assert_eq!(decimal(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_ticket_costs_what_was_said_or_less() {
        // PRV-7, PRV-8: by rho and by epsilon, for sensitivities far apart.
        for s in [1u128, 90, 12_345, 1 << 30] {
            let sensitivity = Sensitivity::new(s).expect("in range");
            let rho = decimal("0.001").expect("a number");
            let made = noisy("p", 26, sensitivity, &Noise::Rho(rho)).expect("a class");
            let cost = made.mechanism.cost(sensitivity).expect("a cost");
            let limit = Rho::granting(&rho).expect("units");
            assert!(cost <= limit, "{s}: {} > {}", cost.units(), limit.units());
            // Not far less: rounding of the variance alone.
            assert!(cost.units() > limit.units() - limit.units() / 100, "{s}");
            let epsilon = decimal("0.5").expect("a number");
            let made = noisy("p", 26, sensitivity, &Noise::Epsilon(epsilon)).expect("a class");
            let pure = made.mechanism.pure_epsilon(sensitivity);
            assert!(pure.is_some_and(|e| (e - 0.5).abs() < 1e-9), "{pure:?}");
        }
    }

    #[test]
    fn laws_are_taken_as_they_are_said_or_refused() {
        // PRV-2, TKT-1
        let s = Sensitivity::new(10).expect("in range");
        let v = noisy("v", 26, s, &Noise::Variance(Rational::integer(7))).expect("a class");
        assert_eq!(v.mechanism, Mechanism::gaussian(7, 1).expect("a law"));
        let l = noisy("l", 26, s, &Noise::Scale(Rational::integer(7))).expect("a class");
        assert_eq!(l.mechanism, Mechanism::laplace(7, 1).expect("a law"));
        let zero = Noise::Variance(Rational::integer(0));
        let e = noisy("v", 26, s, &zero).expect_err("no noise at all");
        assert!(
            matches!(e, DealingError::Noise { ref class, .. } if class == "v"),
            "{e}"
        );
        let e = noisy("v", 7, s, &Noise::Variance(Rational::integer(7))).expect_err("k");
        assert!(matches!(e, DealingError::Class { .. }), "{e}");
    }
}
