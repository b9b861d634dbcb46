//! What a training leaves behind (TRN-11): the model that `buyer order --model`
//! takes, and everything that it rests on.

use super::{Ask, Fit, Moments, Plan, Reference, Variable};
use serde::Serialize;
use veilbourse_core::{digest::Digest, manifest::Manifest};
use veilbourse_documents::Id;
use veilbourse_tabular::{LinearModel, ModelKind};

/// `training.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Training {
    /// The dataset.
    pub dataset: Digest,
    /// Its listing.
    pub listing: Id,
    /// The order that opened the moments.
    pub order: Id,
    /// What was asked.
    pub ask: Ask,
    /// Segments whose rows count.
    pub segments: Vec<String>,
    /// Categories left out.
    pub references: Vec<Reference>,
    /// Public columns left out: one value in these segments.
    pub left_out: Vec<String>,
    /// What was found.
    pub fit: Fit,
    /// What it was found from.
    pub moments: Written,
    /// The listings of a joint order, all of them; empty for one listing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub joint: Vec<Source>,
    /// Standard deviation of the noise in each opened sum, in its integers.
    pub noise_deviation: f64,
    /// What standard errors, penalty and quantisation figures mean.
    pub notes: Vec<String>,
}

/// One listing of a joint order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The dataset.
    pub dataset: Digest,
    /// Its listing.
    pub listing: Id,
    /// The order on it.
    pub order: Id,
}

/// Moments as decimal text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Written {
    /// The columns, the target last.
    pub variables: Vec<Variable>,
    /// n.
    pub rows: u64,
    /// Sum of each column's integers.
    pub sums: Vec<String>,
    /// Lower triangle: sums of products of the integers.
    pub products: Vec<Vec<String>>,
}

impl From<&Moments> for Written {
    fn from(m: &Moments) -> Self {
        let text = |v: &Vec<num_bigint::BigInt>| v.iter().map(ToString::to_string).collect();
        Self {
            variables: m.variables.clone(),
            rows: m.rows,
            sums: text(&m.sums),
            products: m.products.iter().map(text).collect(),
        }
    }
}

impl Training {
    /// Puts together what was asked, opened and found.
    pub fn new(
        manifest: &Manifest,
        (listing, order): (Id, Id),
        ask: Ask,
        plan: &Plan,
        moments: &Moments,
        fit: Fit,
    ) -> Self {
        let label = |s: &usize| manifest.segments.get(*s).map(|s| s.label.clone());
        let notes = notes(&fit, &ask);
        Self {
            dataset: manifest.root(),
            listing,
            order,
            ask,
            segments: plan.columns.segments.iter().filter_map(label).collect(),
            references: plan.columns.references.clone(),
            left_out: plan.columns.left_out.clone(),
            fit,
            moments: moments.into(),
            joint: Vec::new(),
            noise_deviation: 0.0,
            notes,
        }
    }

    /// The same, of sums over several listings, or with noise in each sum: written
    /// down, and not part of any other figure.
    #[must_use]
    pub fn opened(mut self, joint: Vec<Source>, noise_deviation: f64) -> Self {
        if noise_deviation > 0.0 {
            self.notes.push(format!(
                "each opened sum carries noise of standard deviation {noise_deviation:.1} (in its \
                 integers); standard errors and quantisation figures do not count it"
            ));
        }
        if !joint.is_empty() {
            self.notes.push(format!(
                "the moments are sums over {} listings; no listing's own were opened",
                joint.len()
            ));
        }
        self.joint = joint;
        self.noise_deviation = noise_deviation;
        self
    }

    /// The model in real units.
    pub fn model(&self) -> LinearModel {
        model(&self.fit)
    }
}

/// The model that a fit is, in real units (TRN-11).
pub fn model(fit: &Fit) -> LinearModel {
    LinearModel {
        kind: ModelKind::Linear,
        columns: fit.coefficients.iter().map(|c| c.name.clone()).collect(),
        weights: fit.coefficients.iter().map(|c| c.value).collect(),
        intercept: fit.intercept.value,
    }
}

fn notes(fit: &Fit, ask: &Ask) -> Vec<String> {
    let mut out = Vec::new();
    let mut say = |text: &str| out.push(text.to_owned());
    match fit.method {
        super::Method::Ols => say(
            "standard errors are the classical ones: sqrt(RSS / (n - p - 1) * diagonal of (X'X)^-1)",
        ),
        super::Method::Ridge { standardise, .. } => {
            say(if standardise {
                "minimised: sum of squared residuals + lambda * sum of (coefficient * standard \
                 deviation of its column, divisor n)^2; the intercept is not penalised"
            } else {
                "minimised: sum of squared residuals + lambda * sum of squared coefficients, in real \
                 units; the intercept is not penalised"
            });
            say(
                "standard errors: sqrt(s^2 * diagonal of G X'X G), G = (X'X + penalty)^-1, s^2 = RSS \
                 / (n - effective parameters); lambda taken as given, the bias that it causes left out",
            );
        }
    }
    say(
        "quantisation: bound holds to first order for any data; typical assumes independent uniform \
         rounding errors and adds the bias towards zero",
    );
    if !ask.exclusive.is_empty() {
        say("products of the columns said to be exclusive were taken as zero on the buyer's word");
    }
    if !ask.exact.is_empty() {
        say("columns said to be exact were taken as not moved by quantisation on the buyer's word");
    }
    out
}
