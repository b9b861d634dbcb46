//! The evaluation as the prover sees it: committed matrices as columns of
//! words, outputs as the polynomial A(X) (docs/spec/linear.md).

use crate::{Columns, EvalError, Rerandomisation, evaluate, kernel::Kernel};
use veilbourse_core::{
    ciphertext::{ChunkData, Glwe, OutputCiphertext, PublicKey, TracedLwe},
    field::{Fq, MODULUS},
    manifest::Manifest,
    program::MatrixRef,
    ring::Poly,
    wire::WireError,
};

/// The columns of a chunk matrix in commitment order: a_0, b_0, a_1, b_1, ...
/// (docs/spec/datasets.md).
pub fn chunk_words(columns: &[Glwe]) -> Vec<Vec<u64>> {
    columns
        .iter()
        .flat_map(|c| [c.a.words(), c.b.words()])
        .collect()
}

/// The columns of a traced matrix: t_0, t_1, ...
pub fn traced_words(columns: &[TracedLwe]) -> Vec<Vec<u64>> {
    columns.iter().map(|c| c.t.words()).collect()
}

/// The coefficients of A(X): the mask's N words, then one body word when
/// traced, N for a chunk.
pub fn output_words(output: &OutputCiphertext) -> Vec<u64> {
    match output {
        OutputCiphertext::Traced(lwe) => {
            let mut words = lwe.t.words();
            words.push(lwe.b.word());
            words
        }
        OutputCiphertext::Rows { glwe, .. } => {
            let mut words = glwe.a.words();
            words.extend(glwe.b.words());
            words
        }
    }
}

/// A from the words of a committed matrix: the same numbers as [`evaluate`].
/// Every word is checked to be canonical (WIRE-4).
pub fn evaluate_words(
    kernel: &dyn Kernel,
    manifest: &Manifest,
    over: MatrixRef,
    weights: &[i64],
    words: &[&[u64]],
    private: Option<(&PublicKey, Rerandomisation<'_>)>,
) -> Result<OutputCiphertext, EvalError> {
    let poly = |w: &[u64]| Poly::from_words("matrix.words", w);
    match over {
        MatrixRef::Traced { segment } => {
            let bodies = manifest
                .segments
                .get(segment as usize)
                .map(|s| &s.traced_bodies[..])
                .filter(|b| b.len() == words.len())
                .ok_or(EvalError::NoMatrix {
                    segment,
                    chunk: None,
                })?;
            let columns = words
                .iter()
                .zip(bodies)
                .map(|(w, b)| {
                    Ok(TracedLwe {
                        t: poly(w)?,
                        b: Fq::new(*b).ok_or(WireError::TooLarge {
                            field: "segment.traced_bodies",
                            limit: MODULUS - 1,
                            value: *b,
                        })?,
                    })
                })
                .collect::<Result<Vec<_>, EvalError>>()?;
            let columns = Columns::Traced(&columns);
            evaluate(kernel, manifest, over, weights, columns, private)
        }
        MatrixRef::Chunk { .. } => {
            let (pairs, rest) = words.as_chunks::<2>();
            if !rest.is_empty() {
                return Err(EvalError::Count {
                    field: "matrix.columns",
                    expected: 2 * manifest.columns.len(),
                    found: words.len(),
                });
            }
            let columns = pairs
                .iter()
                .map(|[a, b]| {
                    Ok(Glwe {
                        a: poly(a)?,
                        b: poly(b)?,
                    })
                })
                .collect::<Result<Vec<_>, EvalError>>()?;
            let columns = Columns::Chunk(&columns);
            evaluate(kernel, manifest, over, weights, columns, private)
        }
    }
}

/// The words of a chunk as uploaded, masks expanded.
pub fn seeded_words(chunk: &ChunkData) -> Vec<Vec<u64>> {
    chunk_words(&crate::expand_chunk(chunk))
}
