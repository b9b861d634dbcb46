//! Linear evaluation over traced aggregates and over chunks (docs/spec/linear.md).

use crate::{
    EvalError, Rerandomisation,
    aggregate::expand_chunk,
    kernel::{Kernel, Terms},
};
use veilbourse_core::{
    ciphertext::{ChunkData, Glwe, OutputCiphertext, PublicKey, TracedLwe},
    field::Fq,
    manifest::{Manifest, Segment},
    params::DATA_RING_DIMENSION as N,
    program::{MAX_PUBLIC_WEIGHT_LOG2, MatrixRef},
    ring::Poly,
};

/// The encrypted columns of the matrix that is evaluated over, in manifest
/// order.
#[derive(Debug, Clone, Copy)]
pub enum Columns<'a> {
    /// The traced aggregates of a segment.
    Traced(&'a [TracedLwe]),
    /// A chunk, masks expanded (see [`expand_chunk`]): to be kept when several
    /// vectors are evaluated over it.
    Chunk(&'a [Glwe]),
    /// A chunk as uploaded; masks are expanded and forgotten.
    Seeded(&'a ChunkData),
}

/// A = sum w_f C_f + sum w_g T_g, re-randomised when the weights are private.
///
/// `weights` holds one weight for each encrypted, then each public column.
/// The budget is not checked here but by `veilbourse_core::budget` (BUD-1).
pub fn evaluate(
    kernel: &dyn Kernel,
    manifest: &Manifest,
    over: MatrixRef,
    weights: &[i64],
    columns: Columns<'_>,
    private: Option<(&PublicKey, Rerandomisation<'_>)>,
) -> Result<OutputCiphertext, EvalError> {
    let (segment, encrypted, trivial) = prepare(manifest, over, weights)?;
    let mut output = match (over, columns) {
        (MatrixRef::Traced { .. }, Columns::Traced(columns)) => {
            traced(kernel, segment, encrypted, columns, trivial)?
        }
        (MatrixRef::Chunk { chunk, .. }, Columns::Chunk(columns)) => {
            rows(kernel, segment, chunk, encrypted, columns, trivial)?
        }
        (MatrixRef::Chunk { chunk, .. }, Columns::Seeded(data)) => {
            let columns = expand_chunk(data);
            rows(kernel, segment, chunk, encrypted, &columns, trivial)?
        }
        (over, columns) => {
            return Err(EvalError::MatrixKind {
                expected: match over {
                    MatrixRef::Traced { .. } => "traced",
                    MatrixRef::Chunk { .. } => "chunk",
                },
                found: match columns {
                    Columns::Traced(_) => "traced",
                    Columns::Chunk(_) | Columns::Seeded(_) => "chunk",
                },
            });
        }
    };
    if let Some((public_key, rerandomisation)) = private {
        // DS-6: re-randomised with another key, the result would be noise.
        if public_key.label != manifest.public_key_label
            || public_key.body_digest() != manifest.public_key_body
        {
            return Err(EvalError::PublicKey);
        }
        rerandomisation.apply(&mut output, public_key)?;
    }
    Ok(output)
}

/// The segment, the weights of its encrypted columns, and the sum of the
/// weighted public columns for one row: sum w_g c_{g,s} 2^k (LES-2).
fn prepare<'m, 'w>(
    manifest: &'m Manifest,
    over: MatrixRef,
    weights: &'w [i64],
) -> Result<(&'m Segment, &'w [i64], Fq), EvalError> {
    let (index, chunk) = match over {
        MatrixRef::Traced { segment } => (segment, None),
        MatrixRef::Chunk { segment, chunk } => (segment, Some(chunk)),
    };
    let segment = manifest
        .segments
        .get(index as usize)
        .filter(|s| chunk.is_none_or(|c| (c as usize) < s.chunks.len()))
        .ok_or(EvalError::NoMatrix {
            segment: index,
            chunk,
        })?;
    let expected = manifest.columns.len() + manifest.public_columns.len();
    let (encrypted, public) = weights
        .split_at_checked(manifest.columns.len())
        .filter(|_| weights.len() == expected)
        .ok_or(EvalError::Count {
            field: "weights",
            expected,
            found: weights.len(),
        })?;
    let mut trivial = Fq::ZERO;
    for (i, (w, g)) in public.iter().zip(&manifest.public_columns).enumerate() {
        if w.unsigned_abs() >> MAX_PUBLIC_WEIGHT_LOG2 != 0 {
            return Err(EvalError::Weight {
                index: encrypted.len() + i,
                value: *w,
                limit_log2: MAX_PUBLIC_WEIGHT_LOG2,
            });
        }
        let c = g.values.get(index as usize).ok_or(EvalError::NoMatrix {
            segment: index,
            chunk,
        })?;
        trivial += Fq::from_i64(*w) * Fq::from_i64(*c);
    }
    let scale = Fq::from_i64(2).pow(u64::from(manifest.message_log2));
    Ok((segment, encrypted, trivial * scale))
}

fn traced(
    kernel: &dyn Kernel,
    segment: &Segment,
    weights: &[i64],
    columns: &[TracedLwe],
    trivial: Fq,
) -> Result<OutputCiphertext, EvalError> {
    // DS-3: the body words are the manifest's.
    for (column, (c, b)) in columns.iter().zip(&segment.traced_bodies).enumerate() {
        if c.b.word() != *b {
            return Err(EvalError::TracedBody { column });
        }
    }
    let masks: Vec<&[Fq]> = columns.iter().map(|c| &c.t[..]).collect();
    let t = sum(kernel, weights, &masks)?;
    let b = weights
        .iter()
        .zip(columns)
        .fold(trivial * Fq::reduce(segment.rows), |s, (w, c)| {
            s + Fq::from_i64(*w) * c.b
        });
    Ok(OutputCiphertext::Traced(TracedLwe { t, b }))
}

fn rows(
    kernel: &dyn Kernel,
    segment: &Segment,
    chunk: u32,
    weights: &[i64],
    columns: &[Glwe],
    trivial: Fq,
) -> Result<OutputCiphertext, EvalError> {
    let (a, b) = rayon::join(
        || {
            let masks: Vec<&[Fq]> = columns.iter().map(|c| &c.a[..]).collect();
            sum(kernel, weights, &masks)
        },
        || {
            let bodies: Vec<&[Fq]> = columns.iter().map(|c| &c.b[..]).collect();
            sum(kernel, weights, &bodies)
        },
    );
    let (a, mut b) = (a?, b?);
    let before = u64::from(chunk) * N as u64;
    let rows = segment.rows.saturating_sub(before).min(N as u64) as usize;
    for word in b.iter_mut().take(rows) {
        *word += trivial;
    }
    Ok(OutputCiphertext::Rows {
        glwe: Glwe { a, b },
        rows: rows as u32,
    })
}

fn sum(kernel: &dyn Kernel, weights: &[i64], columns: &[&[Fq]]) -> Result<Poly, EvalError> {
    let terms = Terms::new(weights, columns)?;
    let words = kernel.weighted_sum(&terms);
    let found = words.len();
    Poly::from_coefficients(words).ok_or(EvalError::Count {
        field: "column words",
        expected: N,
        found,
    })
}
