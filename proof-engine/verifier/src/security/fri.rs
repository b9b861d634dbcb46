//! FRI in the unique-decoding regime, by `p3-security`.
//!
//! Why unique decoding: what LES-3 needs is not only that each committed word
//! is near some low-degree polynomial, but that it is near exactly one, fixed
//! by the commitment before zeta was drawn. Up to the Johnson radius a word
//! may be near several; a prover could then answer each zeta from whichever
//! suits it (the sums of LES-3 would hold for a polynomial of its choice), and
//! the evaluation term would have to be multiplied by list sizes to the power
//! of the number of columns.
//!
//! The quotient (v - f(x)) / (zeta - x) being near degree below N means that f
//! is near degree at most N: rho+ = (N + 1) / n, `max_combo = 1` below.

use super::{FQ2_BITS, Term, TermKind};
use crate::commitment::{FriSet, LOG_ROWS};
use p3_security::{
    InstanceShape, SecurityAssumption,
    fri::{commit_phase_error_udr, query_phase_error},
    proximity::alpha_udr,
};

/// Openings of one point that one column is quotiented by.
const POINTS: usize = 1;

pub(super) fn terms(set: &FriSet, columns: usize) -> Vec<Term> {
    let parameters = set.fri_parameters();
    let regime = parameters.security_regime();
    let shape = InstanceShape {
        log_trace_length: LOG_ROWS,
        modulus_bits: FQ2_BITS,
        collision_resistance: 128,
        num_batched_functions: columns,
    };
    let alpha = alpha_udr(LOG_ROWS, regime.log_blowup, POINTS);
    let queries = query_phase_error(alpha, regime.num_queries, regime.query_pow_bits);
    let rounds = set.schedule().len();
    let mut terms = vec![Term {
        name: "FRI queries",
        bits: queries.bits(),
        kind: TermKind::Proven,
        source: format!(
            "{} queries of agreement (1 + rho+)/2 = {alpha:.5}, {} bits of work",
            regime.num_queries, regime.query_pow_bits
        ),
    }];
    if columns > 1 {
        terms.push(Term {
            name: "FRI batching",
            bits: SecurityAssumption::UniqueDecoding.prox_gaps_error(
                LOG_ROWS,
                regime.log_blowup,
                FQ2_BITS,
                columns,
            ) + parameters.batch_proof_of_work_bits as f64,
            kind: TermKind::Proven,
            source: format!(
                "powers of one challenge over {columns} columns, (L - 1) n / q^2 (ePrint 2020/654, theorem 1.5), {} bits of work",
                parameters.batch_proof_of_work_bits
            ),
        });
    }
    if let Some(round) = commit_phase_error_udr(&regime, &shape) {
        terms.push(Term {
            name: "FRI folding",
            bits: round.bits() - (rounds as f64).log2(),
            kind: TermKind::Proven,
            source: format!(
                "{rounds} rounds of arity at most {}, (arity - 1)(n + 1) / q^2 each, {} bits of work",
                1 << regime.max_log_arity,
                regime.commit_pow_bits
            ),
        });
    }
    terms
}
