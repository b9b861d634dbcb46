//! The terms of the equation at zeta (docs/spec/linear.md, before LES-1):
//!
//! A(zeta) = sum w_f C_f(zeta) + sum w_g T_g(zeta) + sum r_i R_i + e(zeta).
//!
//! Everything here is public and computed by the verifier in O(N + F).

use super::{LinearStatement, Matrix, MatrixKind, Visibility, Zeta};
use crate::{
    Refusal,
    commitment::{ROWS, evaluate},
    field::{Fq, Fq2, Fr, fq_signed, fr_from_bytes},
};
use p3_field::{Field, PrimeCharacteristicRing};
use veilbourse_core::ciphertext::PublicKey;

/// The equation of a private statement, complete: what
/// `linear::inputs` turns into the exact public inputs of the circuit
/// (LES-6, LES-7), on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateEquation {
    /// Traced or chunk.
    pub kind: MatrixKind,
    /// v_f = C_f(zeta), one an encrypted column, body included.
    pub column_values: Vec<Fq2>,
    /// max |X_f| of each encrypted column.
    pub column_ranges: Vec<u64>,
    /// T_g(zeta), one a public column.
    pub public_values: Vec<Fq2>,
    /// |c_{g,s}| of each public column.
    pub public_magnitudes: Vec<u64>,
    /// R_i = P_i(zeta), N of them; multiplied by r_i = 2 c_i - 1.
    pub rerandomisers: Vec<Fq2>,
    /// zeta^j, multiplied by the j-th coefficient of e(X): N + 1 of them when
    /// traced (e_1 is one word at X^N), 2N for a chunk.
    pub powers: Vec<Fq2>,
    /// t = A(zeta).
    pub target: Fq2,
    /// M.
    pub commitment: Fr,
    /// h.
    pub binding: Fr,
    /// B.
    pub l1_bound: u64,
    /// Q.
    pub l2_bound: u64,
}

impl PrivateEquation {
    /// Determines everything from the statement, its matrix, the public key,
    /// the opened values at zeta and h (LES-11: no dataset). O(N + F).
    pub fn new(
        statement: &LinearStatement,
        matrix: &Matrix,
        key: &PublicKey,
        opened: &[Fq2],
        zeta: Zeta,
        binding: Fr,
    ) -> Result<Self, Refusal> {
        let Visibility::Private {
            commitment,
            l1_bound,
            l2_bound,
            ..
        } = &statement.visibility
        else {
            return Err(Refusal::Circuit("the weights are public".into()));
        };
        Ok(Self {
            kind: matrix.kind,
            column_values: column_values(matrix, opened, zeta.0),
            column_ranges: matrix.ranges.clone(),
            public_values: public_values(matrix, zeta.0),
            public_magnitudes: matrix
                .public_values
                .iter()
                .map(|c| c.unsigned_abs())
                .collect(),
            rerandomisers: rerandomisers(matrix.kind, key, zeta.0),
            powers: error_powers(matrix.kind, zeta.0),
            target: statement.target(zeta),
            commitment: fr_from_bytes(&commitment.0).ok_or(Refusal::Scalar { field: "M" })?,
            binding,
            l1_bound: *l1_bound,
            l2_bound: *l2_bound,
        })
    }

    /// Whether the equation holds over F_q2 for these weights (encrypted, then
    /// public columns), bits c and coefficients of e: what the circuit proves
    /// of hidden ones. Prover and tests use it; a verifier never knows them.
    pub fn holds(&self, weights: &[i64], c: &[bool], e: &[i8]) -> bool {
        let columns = weighted_sum(weights, &self.column_values, &self.public_values);
        let rerandomisation: Fq2 = c
            .iter()
            .zip(&self.rerandomisers)
            .map(|(c, r)| if *c { *r } else { -*r })
            .sum();
        let error: Fq2 = e
            .iter()
            .zip(&self.powers)
            .map(|(e, p)| *p * fq_signed(i64::from(*e)))
            .sum();
        c.len() == self.rerandomisers.len()
            && e.len() == self.powers.len()
            && columns + rerandomisation + error == self.target
    }
}

/// zeta^N.
pub fn top_power(zeta: Fq2) -> Fq2 {
    zeta.exp_power_of_2(ROWS.trailing_zeros() as usize)
}

/// v_f = C_f(zeta) from the opened values of the committed columns: t_f and
/// the body word when traced, a_f and b_f for a chunk.
pub fn column_values(matrix: &Matrix, opened: &[Fq2], zeta: Fq2) -> Vec<Fq2> {
    let top = top_power(zeta);
    match matrix.kind {
        MatrixKind::Traced => opened
            .iter()
            .zip(&matrix.traced_bodies)
            .map(|(t, b)| *t + top * Fq::new(*b))
            .collect(),
        MatrixKind::Chunk => opened
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[a, b]| *a + top * *b)
            .collect(),
    }
}

/// T_g(zeta): the trivial ciphertext of a public column (LES-2). Traced
/// n_s c 2^k X^N; chunk c 2^k X^N (1 + X + ... + X^(rows - 1)).
pub fn public_values(matrix: &Matrix, zeta: Fq2) -> Vec<Fq2> {
    let scale = Fq::TWO.exp_u64(u64::from(matrix.message_log2));
    let rows = match matrix.kind {
        MatrixKind::Traced => Fq2::from(Fq::new(matrix.rows)),
        // zeta is not in the base field, so zeta - 1 is invertible.
        MatrixKind::Chunk => {
            (zeta.exp_u64(matrix.rows) - Fq2::ONE)
                * (zeta - Fq2::ONE).try_inverse().unwrap_or(Fq2::ZERO)
        }
    };
    let unit = top_power(zeta) * rows * scale;
    matrix
        .public_values
        .iter()
        .map(|c| unit * fq_signed(*c))
        .collect()
}

/// R_i = P_i(zeta) for i < N by recurrence: with p^(i) = X^i p in R_N,
/// p^(i+1)(zeta) = zeta p^(i)(zeta) - p_(N-1-i) (zeta^N + 1).
pub fn rerandomisers(kind: MatrixKind, key: &PublicKey, zeta: Fq2) -> Vec<Fq2> {
    let top = top_power(zeta);
    let mask = rotations(&key.mask().words(), zeta, top);
    let body = key.body.words();
    match kind {
        MatrixKind::Chunk => {
            let body = rotations(&body, zeta, top);
            mask.into_iter()
                .zip(body)
                .map(|(m, b)| m + top * b)
                .collect()
        }
        // [X^i p_1]_0 is p_1's coefficient 0 for i = 0, minus coefficient
        // N - i otherwise.
        MatrixKind::Traced => {
            let first = body.iter().take(1).map(|w| Fq::new(*w));
            let rest = body.iter().skip(1).rev().map(|w| -Fq::new(*w));
            mask.into_iter()
                .zip(first.chain(rest))
                .map(|(m, b)| m + top * b)
                .collect()
        }
    }
}

/// (X^i p)(zeta) for i < N.
fn rotations(p: &[u64], zeta: Fq2, top: Fq2) -> Vec<Fq2> {
    let wrap = top + Fq2::ONE;
    let mut value = evaluate(p, zeta);
    p.iter()
        .rev()
        .map(|highest| {
            let now = value;
            value = zeta * now - wrap * Fq::new(*highest);
            now
        })
        .collect()
}

/// zeta^j for every coefficient of e(X).
pub fn error_powers(kind: MatrixKind, zeta: Fq2) -> Vec<Fq2> {
    let n = match kind {
        MatrixKind::Traced => ROWS + 1,
        MatrixKind::Chunk => 2 * ROWS,
    };
    zeta.powers().take(n).collect()
}

/// sum w_f v_f + sum w_g T_g(zeta) for public weights.
pub fn weighted_sum(weights: &[i64], columns: &[Fq2], public: &[Fq2]) -> Fq2 {
    weights
        .iter()
        .zip(columns.iter().chain(public))
        .map(|(w, v)| *v * fq_signed(*w))
        .sum()
}

#[cfg(test)]
#[path = "equation_tests.rs"]
mod tests;
