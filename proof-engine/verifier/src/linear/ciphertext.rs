//! The output ciphertext A of a linear evaluation, as it is proven, shown and
//! opened.

use super::MatrixKind;
use crate::{Refusal, commitment::ROWS};
use veilbourse_core::{
    digest::{Digest, Domain},
    field::MODULUS,
    wire::{Reader, WireError, Writer},
};

/// A: traced, the mask in ring form t_A (coefficient 0 of t_A S is the inner
/// product with the key, DS-3) and one body word; of a chunk, mask and body of
/// one GLWE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputCiphertext {
    /// N words.
    pub mask: Vec<u64>,
    /// One word when traced, N words for a chunk.
    pub body: Vec<u64>,
}

impl OutputCiphertext {
    /// Words of the body.
    pub const fn body_len(kind: MatrixKind) -> usize {
        match kind {
            MatrixKind::Traced => 1,
            MatrixKind::Chunk => ROWS,
        }
    }

    /// The coefficients of A(X): N mask words, then the body.
    pub fn words(&self) -> impl DoubleEndedIterator<Item = &u64> {
        self.mask.iter().chain(&self.body)
    }

    /// Checks lengths and words for a matrix of this kind.
    pub fn check(&self, kind: MatrixKind) -> Result<(), Refusal> {
        for (part, words, expected) in [
            ("mask", &self.mask, ROWS),
            ("body", &self.body, Self::body_len(kind)),
        ] {
            if words.len() != expected {
                return Err(Refusal::Ciphertext {
                    part,
                    expected,
                    found: words.len(),
                });
            }
        }
        match self.words().enumerate().find(|(_, w)| **w >= MODULUS) {
            None => Ok(()),
            Some((index, &word)) => Err(Refusal::Word {
                field: "output ciphertext",
                index,
                word,
            }),
        }
    }

    /// The canonical bytes: mask, then body, each with its length.
    pub fn encode(&self) -> Vec<u8> {
        let Self { mask, body } = self;
        let mut w = Writer::new();
        w.words(mask).words(body);
        w.finish()
    }

    /// The digest that public records hold.
    pub fn digest(&self) -> Digest {
        Digest::of(Domain::Output, &self.encode())
    }

    /// Reads the canonical bytes of an output over a matrix of this kind.
    pub fn decode(kind: MatrixKind, bytes: &[u8]) -> Result<Self, Refusal> {
        let limit = 8 + 8 * (ROWS + Self::body_len(kind)) as u64;
        if bytes.len() as u64 > limit {
            return Err(Refusal::Wire(WireError::TooLarge {
                field: "output",
                limit,
                value: bytes.len() as u64,
            }));
        }
        let mut r = Reader::new(bytes);
        let mut read = |field, most: usize| -> Result<Vec<u64>, WireError> {
            let n = r.len(field, u32::try_from(most).unwrap_or(u32::MAX))?;
            (0..n).map(|_| r.u64(field)).collect()
        };
        let mask = read("output.mask", ROWS)?;
        let body = read("output.body", Self::body_len(kind))?;
        r.finish("output")?;
        let out = Self { mask, body };
        out.check(kind)?;
        Ok(out)
    }
}
