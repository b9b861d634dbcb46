//! A class of tickets as a custodian asks for it in a form (TKT-1, PRV-2..8), and
//! what it costs, in figures.

use super::{
    Asked, DealingError, Noise, PersonRows, decimal, exact, noisy, statistics_sensitivity,
    weights_sensitivity,
};
use serde::Deserialize;
use veilbourse_core::manifest::Manifest;
use veilbourse_privacy::{Sensitivity, conversion};

/// Tickets a quorum where nothing else is said.
pub const TICKETS: u64 = 2048;
/// For people: epsilon is said at this delta, as the marketplace says it.
pub const DELTA: f64 = 1e-9;

/// A class: without a law there is no noise, and then no sensitivity.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClassAsk {
    /// Its name.
    pub name: String,
    /// A quorum.
    pub tickets: Option<u64>,
    /// One of these four: decimal, or a fraction.
    pub rho: Option<String>,
    /// Of Laplace noise.
    pub epsilon: Option<String>,
    /// Of Gaussian noise.
    pub variance: Option<String>,
    /// Of Laplace noise.
    pub scale: Option<String>,
    /// One of these three; without any, the largest range of all columns.
    pub sensitivity: Option<u64>,
    /// Of private weights.
    pub bound: Option<u64>,
    /// Columns.
    pub column: Vec<String>,
    /// Rows that one person may have.
    pub rows: Option<u32>,
}

/// What a class costs.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassCost {
    /// Standard deviation of a ticket's noise, in opened integers.
    pub deviation: f64,
    /// 95 of 100 are within.
    pub within_95: u64,
    /// Of one ticket.
    pub rho_each: f64,
    /// Of all quorums' tickets.
    pub rho: f64,
    /// At [`DELTA`]; none where it is too great to be said.
    pub epsilon: Option<f64>,
}

impl ClassAsk {
    /// The class and its tickets, for this dataset.
    pub fn asked(&self, manifest: &Manifest) -> Result<Asked, DealingError> {
        let said = |reason: &'static str| DealingError::Ask {
            class: self.name.clone(),
            reason,
        };
        if self.name.is_empty() {
            return Err(said("has no name"));
        }
        let k = u8::try_from(manifest.message_log2).unwrap_or(u8::MAX);
        let tickets = self.tickets.unwrap_or(TICKETS);
        let mut laws = Vec::new();
        for (text, law) in [
            (&self.rho, Noise::Rho as fn(_) -> _),
            (&self.epsilon, Noise::Epsilon),
            (&self.variance, Noise::Variance),
            (&self.scale, Noise::Scale),
        ] {
            if let Some(text) = text {
                laws.push(law(
                    decimal(text).ok_or_else(|| said("a law's figure is no number"))?
                ));
            }
        }
        let law = match laws.as_slice() {
            [] => {
                let none = self.sensitivity.is_none() && self.bound.is_none();
                if !none || !self.column.is_empty() {
                    return Err(said("has a sensitivity and no noise"));
                }
                let class = exact(&self.name, k);
                return Ok(Asked { class, tickets });
            }
            [one] => *one,
            _ => return Err(said("one of rho, epsilon, variance and scale is enough")),
        };
        let rows = PersonRows(self.rows.unwrap_or(1));
        let sensitivity = match (self.sensitivity, self.bound, self.column.as_slice()) {
            (Some(s), None, []) => Sensitivity::new(s.into())
                .and_then(|s| s.of_group(rows.0))
                .map_err(|cause| DealingError::Noise {
                    class: self.name.clone(),
                    cause,
                })?,
            (None, Some(b), []) => weights_sensitivity(&self.name, b, rows)?,
            (None, None, columns) => statistics_sensitivity(&self.name, manifest, columns, rows)?,
            _ => return Err(said("one of sensitivity, bound and column is enough")),
        };
        let class = noisy(&self.name, k, sensitivity, &law)?;
        Ok(Asked { class, tickets })
    }
}

impl Asked {
    /// What its tickets cost when they are dealt to so many quorums (PRV-9): none
    /// without noise.
    pub fn cost(&self, quorums: u64) -> Option<ClassCost> {
        let sensitivity = Sensitivity::new(self.class.sensitivity.into()).ok()?;
        let each = self.class.mechanism.cost(sensitivity).ok()?;
        let openings = self.tickets.saturating_mul(quorums);
        let all = each.times(openings).ok()?;
        let forecast = self.class.mechanism.forecast();
        Some(ClassCost {
            deviation: forecast.standard_deviation,
            within_95: forecast.half_width_95,
            rho_each: each.to_f64(),
            rho: all.to_f64(),
            epsilon: conversion::epsilon(all, DELTA, openings.max(1)).ok(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buyer::manifest_of_tests;
    use veilbourse_privacy::Mechanism;

    fn ask(json: serde_json::Value) -> ClassAsk {
        serde_json::from_value(json).expect("of its form")
    }

    #[test]
    fn a_class_is_asked_for_in_a_form() {
        let m = manifest_of_tests();
        let plain = ask(serde_json::json!({ "name": "exact" })).asked(&m);
        let plain = plain.expect("good");
        assert_eq!(plain.tickets, TICKETS);
        assert_eq!(plain.class.mechanism, Mechanism::None);
        assert!(plain.cost(3).is_none());
        // PRV-2, PRV-9
        let noisy = ask(serde_json::json!({ "name": "p", "rho": "0.001", "tickets": 500 }));
        let noisy = noisy.asked(&m).expect("good");
        let cost = noisy.cost(3).expect("it costs");
        assert!(cost.rho_each <= 0.001 && cost.rho <= 1.5 && cost.rho > 1.4);
        assert!(cost.deviation > 0.0 && cost.epsilon.is_some());
        let twice = ask(serde_json::json!({ "name": "p", "rho": "0.001", "rows": 2 }));
        assert_eq!(
            twice.asked(&m).expect("good").class.sensitivity,
            2 * noisy.class.sensitivity
        );
    }

    #[test]
    fn what_is_no_class_is_refused_by_name() {
        let m = manifest_of_tests();
        for (bad, says) in [
            (serde_json::json!({}), "no name"),
            (serde_json::json!({ "name": "p", "rho": "x" }), "no number"),
            (
                serde_json::json!({ "name": "p", "rho": "1", "scale": "2" }),
                "one of rho",
            ),
            (
                serde_json::json!({ "name": "p", "sensitivity": 4 }),
                "no noise",
            ),
            (
                serde_json::json!({ "name": "p", "rho": "1", "bound": 4, "sensitivity": 5 }),
                "one of sensitivity",
            ),
        ] {
            let e = ask(bad).asked(&m).expect_err("refused");
            assert!(matches!(e, DealingError::Ask { .. }));
            assert!(e.to_string().contains(says), "{e}");
        }
        assert!(serde_json::from_value::<ClassAsk>(serde_json::json!({ "nam": "p" })).is_err());
    }
}
