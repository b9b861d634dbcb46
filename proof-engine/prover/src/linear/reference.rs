//! The weighted sum of a matrix's columns: the definition that the equation
//! at zeta is about, scalar and exact.

use veilbourse_core::{
    ciphertext::{Glwe, OutputCiphertext, TracedLwe},
    field::Fq,
    ring::Poly,
};
use veilbourse_verifier::linear::{Matrix, MatrixKind};

/// sum w_f C_f + sum w_g T_g over the committed columns (docs/spec/linear.md).
/// Weights: encrypted columns, then public columns. `None` when a column is
/// not N canonical words.
pub fn weighted_output(
    matrix: &Matrix,
    columns: &[&[u64]],
    weights: &[i64],
) -> Option<OutputCiphertext> {
    let encrypted = matrix.ranges.len();
    let poly = |at: usize| Poly::from_words("column", columns.get(at)?).ok();
    let public: Fq = weights
        .iter()
        .skip(encrypted)
        .zip(&matrix.public_values)
        .fold(Fq::ZERO, |sum, (w, c)| {
            sum + Fq::from_i64(*w) * Fq::from_i64(*c)
        })
        * Fq::reduce(1 << matrix.message_log2);
    match matrix.kind {
        MatrixKind::Traced => {
            let mut t = Poly::default();
            let mut b = public * Fq::reduce(matrix.rows);
            for (f, w) in weights.iter().take(encrypted).enumerate() {
                t.add_scaled(Fq::from_i64(*w), &poly(f)?);
                b += Fq::from_i64(*w) * Fq::new(*matrix.traced_bodies.get(f)?)?;
            }
            Some(OutputCiphertext::Traced(TracedLwe { t, b }))
        }
        MatrixKind::Chunk => {
            let mut glwe = Glwe::default();
            for (f, w) in weights.iter().take(encrypted).enumerate() {
                glwe.a.add_scaled(Fq::from_i64(*w), &poly(2 * f)?);
                glwe.b.add_scaled(Fq::from_i64(*w), &poly(2 * f + 1)?);
            }
            for word in glwe.b.iter_mut().take(matrix.rows as usize) {
                *word += public;
            }
            Some(OutputCiphertext::Rows {
                glwe,
                rows: u32::try_from(matrix.rows).ok()?,
            })
        }
    }
}
