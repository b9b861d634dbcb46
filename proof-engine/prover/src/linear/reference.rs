//! The weighted sum of a matrix's columns, word by word: the definition that
//! the equation at zeta is about.

use veilbourse_core::field::MODULUS;
use veilbourse_verifier::{
    commitment::ROWS,
    linear::{Matrix, MatrixKind, OutputCiphertext},
};

/// sum w_f C_f + sum w_g T_g over the committed columns (docs/spec/linear.md):
/// exact, scalar, O(N F). Weights: encrypted columns, then public columns.
pub fn weighted_output(matrix: &Matrix, columns: &[&[u64]], weights: &[i64]) -> OutputCiphertext {
    let encrypted = matrix.ranges.len();
    let mut mask = vec![0u64; ROWS];
    let mut body = vec![0u64; OutputCiphertext::body_len(matrix.kind)];
    for (f, w) in weights.iter().take(encrypted).enumerate() {
        let w = signed(*w);
        match matrix.kind {
            MatrixKind::Traced => {
                add_scaled(&mut mask, columns.get(f).copied().unwrap_or_default(), w);
                add_scaled(
                    &mut body,
                    matrix.traced_bodies.get(f..=f).unwrap_or_default(),
                    w,
                );
            }
            MatrixKind::Chunk => {
                add_scaled(
                    &mut mask,
                    columns.get(2 * f).copied().unwrap_or_default(),
                    w,
                );
                add_scaled(
                    &mut body,
                    columns.get(2 * f + 1).copied().unwrap_or_default(),
                    w,
                );
            }
        }
    }
    let scale = 1u64 << matrix.message_log2;
    for (w, c) in weights.iter().skip(encrypted).zip(&matrix.public_values) {
        let value = mul(mul(signed(*w), signed(*c)), scale);
        match matrix.kind {
            MatrixKind::Traced => add_scaled(&mut body, &[value], matrix.rows % MODULUS),
            MatrixKind::Chunk => {
                for word in body.iter_mut().take(matrix.rows as usize) {
                    *word = add(*word, value);
                }
            }
        }
    }
    OutputCiphertext { mask, body }
}

fn add_scaled(into: &mut [u64], column: &[u64], w: u64) {
    for (o, x) in into.iter_mut().zip(column) {
        *o = add(*o, mul(*x, w));
    }
}

/// w mod q.
pub(super) fn signed(w: i64) -> u64 {
    let magnitude = w.unsigned_abs() % MODULUS;
    if w < 0 && magnitude != 0 {
        MODULUS - magnitude
    } else {
        magnitude
    }
}

pub(super) fn add(x: u64, y: u64) -> u64 {
    ((u128::from(x) + u128::from(y)) % u128::from(MODULUS)) as u64
}

fn mul(x: u64, y: u64) -> u64 {
    (u128::from(x) * u128::from(y) % u128::from(MODULUS)) as u64
}
