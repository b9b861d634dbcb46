//! What every proof is worth, term by term (LES-9; `veilbourse security`).
//!
//! FRI terms come from `p3-security` on the parameters that run, in the
//! unique-decoding regime; ours are added. Round-by-round errors are summed,
//! not maximised over. A test asserts at least [`REQUIRED_BITS`] for each.

mod fri;
mod lattice;

pub use lattice::{LATTICE_RECORD, LatticeFigure, lattice_figures};

use crate::commitment::{FRI_BLAKE3_V1, FriSet, MAX_OPENED_COLUMNS, ROWS};
use serde::Serialize;
use std::fmt;
use veilbourse_core::manifest::MAX_COLUMNS;

/// What every proof must reach, all terms summed.
pub const REQUIRED_BITS: f64 = 100.0;

/// Binary logarithm of q^2, rounded down.
pub(crate) const FQ2_BITS: usize = 127;

/// Whether a term is a proven bound or rests on a hardness assumption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TermKind {
    /// A bound on a prover's success probability a try, proven in the random
    /// oracle model.
    Proven,
    /// The cost of the best attack known on what the proof relies on.
    Assumed,
}

/// One way to cheat and the bits that stand against it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Term {
    /// What it is.
    pub name: &'static str,
    /// -log2 of the error, or log2 of the cost.
    pub bits: f64,
    /// Proven or assumed.
    pub kind: TermKind,
    /// Formula and source.
    pub source: String,
}

/// The security of one kind of proof.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Account {
    /// The kind of proof, at its widest.
    pub proof: String,
    /// Every term.
    pub terms: Vec<Term>,
}

impl Account {
    /// The weakest term.
    pub fn minimum(&self) -> f64 {
        self.terms
            .iter()
            .map(|t| t.bits)
            .fold(f64::INFINITY, f64::min)
    }

    /// -log2 of the sum of all terms' errors.
    pub fn sum(&self) -> f64 {
        -self
            .terms
            .iter()
            .map(|t| (-t.bits).exp2())
            .sum::<f64>()
            .log2()
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.proof)?;
        for t in &self.terms {
            let kind = match t.kind {
                TermKind::Proven => "proven ",
                TermKind::Assumed => "assumed",
            };
            writeln!(f, "  {:7.2} bits {kind} {}: {}", t.bits, t.name, t.source)?;
        }
        writeln!(
            f,
            "  {:7.2} bits the weakest, {:.2} bits all summed",
            self.minimum(),
            self.sum()
        )
    }
}

/// The accounts of every proof this program verifies, each at the widest
/// statement it admits.
pub fn accounts() -> Vec<Account> {
    let set = &FRI_BLAKE3_V1;
    let widest = 2 * MAX_COLUMNS as usize;
    let mut private = linear("linear, private weights", set, widest);
    private.terms.extend(marlin_terms());
    vec![
        listing(set, MAX_OPENED_COLUMNS),
        linear("linear, public weights", set, widest),
        private,
    ]
}

fn listing(set: &FriSet, columns: usize) -> Account {
    let mut terms = fri::terms(set, columns);
    terms.push(evaluation_term(
        "listing point",
        ROWS,
        "degree N over F_q2 without F_q (DS-4)",
    ));
    terms.push(collisions());
    Account {
        proof: format!("listing, {columns} columns opened"),
        terms,
    }
}

fn linear(name: &str, set: &FriSet, columns: usize) -> Account {
    let mut terms = fri::terms(set, columns);
    terms.push(evaluation_term(
        "zeta",
        2 * ROWS,
        "degree 2N over F_q2 without F_q (LES-9)",
    ));
    terms.push(collisions());
    Account {
        proof: format!("{name}, {columns} columns opened"),
        terms,
    }
}

/// Schwartz-Zippel for one polynomial identity.
fn evaluation_term(name: &'static str, degree: usize, source: &str) -> Term {
    Term {
        name,
        bits: FQ2_BITS as f64 - (degree as f64).log2(),
        kind: TermKind::Proven,
        source: source.into(),
    }
}

fn collisions() -> Term {
    Term {
        name: "hash collisions",
        bits: 128.0,
        kind: TermKind::Assumed,
        source: "BLAKE3, 256-bit outputs: Merkle trees, transcript, digests".into(),
    }
}

/// Binary logarithm of the largest evaluation domain and SRS degree that the
/// private circuits are admitted to need.
const MARLIN_LOG_SIZE: f64 = 20.0;

fn marlin_terms() -> Vec<Term> {
    vec![
        Term {
            name: "Poseidon collisions",
            // One element of capacity and one squeezed: birthday in r.
            bits: 254.0 / 2.0,
            kind: TermKind::Assumed,
            source: "M and h: birthday on one element of F_r, r > 2^254; 8 full and 63 partial rounds of x^5 at width 9 are the 128-bit choice of ePrint 2019/458's script".into(),
        },
        Term {
            name: "Marlin algebraic checks",
            // Challenges alpha, eta, beta, gamma and the batching ones: at
            // most 16 identities of degree at most 16 times the largest domain.
            bits: 254.0 - MARLIN_LOG_SIZE - 8.0,
            kind: TermKind::Proven,
            source: format!(
                "at most 2^8 2^{MARLIN_LOG_SIZE} / r: ePrint 2019/1047, theorems 7.1 and 8.1, and batched openings"
            ),
        },
        Term {
            name: "KZG commitments",
            // Cheon's attack gains the square root of a divisor of r - 1 up to
            // the number of known powers.
            bits: 127.0 - MARLIN_LOG_SIZE / 2.0,
            kind: TermKind::Assumed,
            source: "BLS12-381: discrete logarithm 2^127 (rho), less half the log2 of the powers known (Cheon 2006), in the algebraic group model".into(),
        },
        Term {
            name: "pairing target group",
            bits: 117.0,
            kind: TermKind::Assumed,
            source: "discrete logarithm in F_p^12 by the special tower NFS: 117 to 126 bits in published estimates (ePrint 2017/334, 2019/885)".into(),
        },
    ]
}

#[cfg(test)]
mod tests;
