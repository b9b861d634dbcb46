//! LWE and ring ciphertexts of the bootstrap, with their codec (BST-4).

use super::params::{LweDimension, RING};
use crate::{
    ciphertext::Glwe,
    field::{Fq, MODULUS},
    params::DATA_RING_DIMENSION,
    wire::{Reader, WireError, Writer},
};

/// Version of the binary formats of the bootstrap.
pub const BOOTSTRAP_VERSION: u16 = 1;

/// An LWE ciphertext (a_0.., b), phase b - <a, s>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LweCiphertext {
    /// The mask.
    pub mask: Vec<Fq>,
    /// The body.
    pub body: Fq,
}

impl LweCiphertext {
    /// An encryption of `message` that hides nothing: the start of a sum.
    pub fn trivial(dimension: LweDimension, message: Fq) -> Self {
        Self {
            mask: vec![Fq::ZERO; dimension.0],
            body: message,
        }
    }
    /// Row `row` of a chunk under the data key, or nothing where a chunk has
    /// no such row (BST-8): a_row, .., a_0, then -a_{N-1}, .., -a_{row+1}.
    pub fn of_row(c: &Glwe, row: usize) -> Option<Self> {
        let body = (row < DATA_RING_DIMENSION).then(|| c.b[row])?;
        let (low, high) = c.a.split_at(row + 1);
        let positive = low.iter().rev().copied();
        let negative = high.iter().rev().map(|w| -*w);
        Some(Self {
            mask: positive.chain(negative).collect(),
            body,
        })
    }
    /// Words of the mask.
    pub fn dimension(&self) -> LweDimension {
        LweDimension(self.mask.len())
    }
    /// self += weight * other; both of one dimension.
    pub fn add_scaled(&mut self, weight: i64, other: &Self) {
        let weight = Fq::from_i64(weight);
        for (a, b) in self.mask.iter_mut().zip(&other.mask) {
            *a += weight * *b;
        }
        self.body += weight * other.body;
    }
    /// Exact length of the encoding.
    pub const fn encoded_len(dimension: LweDimension) -> u64 {
        (2 + 4 + 8 * (dimension.0 + 1)) as u64
    }
    /// The canonical binary form.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u16(BOOTSTRAP_VERSION).len(self.mask.len());
        for word in self.mask.iter().chain([&self.body]) {
            w.u64(word.word());
        }
        w.finish()
    }
    /// Reads a ciphertext of exactly that dimension (BST-4).
    pub fn decode(bytes: &[u8], dimension: LweDimension) -> Result<Self, WireError> {
        exact_size("lwe", bytes, Self::encoded_len(dimension))?;
        let mut r = Reader::new(bytes);
        version(&mut r, "lwe.version")?;
        let found = r.u32("lwe.dimension")? as usize;
        if found != dimension.0 {
            return Err(WireError::Invalid {
                field: "lwe.dimension",
                reason: format!("{found} instead of {}", dimension.0),
            });
        }
        let mask = words("lwe.mask", &mut r, dimension.0)?;
        let body = word("lwe.body", r.u64("lwe.body")?)?;
        r.finish("lwe")?;
        Ok(Self { mask, body })
    }
}

/// A GLWE ciphertext under S_B, N = 2048: phase b - a S.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingCiphertext {
    /// The mask's coefficients.
    pub a: Vec<Fq>,
    /// The body's coefficients.
    pub b: Vec<Fq>,
}

impl RingCiphertext {
    /// The LWE ciphertext of coefficient 0 of the phase (BST-8):
    /// a_0, then -a_{N-j} for j = 1 .. N-1.
    pub fn extract(&self) -> LweCiphertext {
        let first = self.a.iter().take(1).copied();
        let rest = self.a.iter().skip(1).rev().map(|w| -*w);
        LweCiphertext {
            mask: first.chain(rest).collect(),
            body: self.b.first().copied().unwrap_or_default(),
        }
    }
    /// N zeros and N words: an encryption that hides nothing.
    pub fn trivial(b: Vec<Fq>) -> Self {
        Self {
            a: vec![Fq::ZERO; RING.0],
            b,
        }
    }
}

/// Refuses any other length before anything is read (BST-4).
pub(super) fn exact_size(
    field: &'static str,
    bytes: &[u8],
    expected: u64,
) -> Result<(), WireError> {
    let found = bytes.len() as u64;
    match found.cmp(&expected) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Less => Err(WireError::Truncated {
            field,
            needed: expected,
            available: found,
        }),
        std::cmp::Ordering::Greater => Err(WireError::TooLarge {
            field,
            limit: expected,
            value: found,
        }),
    }
}

/// Refuses another version.
pub(super) fn version(r: &mut Reader<'_>, field: &'static str) -> Result<(), WireError> {
    let found = r.u16(field)?;
    if found == BOOTSTRAP_VERSION {
        return Ok(());
    }
    Err(WireError::Version {
        field,
        expected: u64::from(BOOTSTRAP_VERSION),
        found: u64::from(found),
    })
}

/// Reads words, each checked to be canonical (WIRE-4, BST-4).
pub(super) fn words(
    field: &'static str,
    r: &mut Reader<'_>,
    count: usize,
) -> Result<Vec<Fq>, WireError> {
    let bytes = r.take(field, 8 * count)?;
    bytes
        .as_chunks::<8>()
        .0
        .iter()
        .map(|w| word(field, u64::from_le_bytes(*w)))
        .collect()
}

fn word(field: &'static str, value: u64) -> Result<Fq, WireError> {
    Fq::new(value).ok_or(WireError::TooLarge {
        field,
        limit: MODULUS - 1,
        value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::params::LWE;

    fn sample() -> LweCiphertext {
        LweCiphertext {
            mask: (0..LWE.0 as u64).map(|i| Fq::reduce(i * i)).collect(),
            body: Fq::reduce(MODULUS - 1),
        }
    }

    #[test]
    fn ciphertexts_round_trip_and_refuse() {
        // BST-4
        let bytes = sample().encode();
        assert_eq!(bytes.len() as u64, LweCiphertext::encoded_len(LWE));
        assert_eq!(LweCiphertext::decode(&bytes, LWE), Ok(sample()));
        let refuse = |b: &[u8]| LweCiphertext::decode(b, LWE).unwrap_err();
        assert!(matches!(
            refuse(&bytes[..bytes.len() - 1]),
            WireError::Truncated { .. }
        ));
        let mut long = bytes.clone();
        long.push(0);
        assert!(matches!(refuse(&long), WireError::TooLarge { .. }));
        let mut other = bytes.clone();
        other[0] = 9;
        assert!(matches!(
            refuse(&other),
            WireError::Version { found: 9, .. }
        ));
        let mut other = bytes.clone();
        other[2] ^= 1;
        assert!(matches!(
            refuse(&other),
            WireError::Invalid {
                field: "lwe.dimension",
                ..
            }
        ));
        for (at, field) in [(6, "lwe.mask"), (bytes.len() - 8, "lwe.body")] {
            let mut other = bytes.clone();
            other[at..at + 8].copy_from_slice(&MODULUS.to_le_bytes());
            let WireError::TooLarge {
                field: found,
                limit,
                value,
            } = refuse(&other)
            else {
                panic!("not a range refusal")
            };
            assert_eq!((found, limit, value), (field, MODULUS - 1, MODULUS));
        }
    }

    #[test]
    fn extraction_gives_coefficient_zero() {
        // BST-8: by the schoolbook product with a key of ones and zeros.
        let a: Vec<Fq> = (0..RING.0 as u64).map(|i| Fq::reduce(i * 77 + 5)).collect();
        let s: Vec<bool> = (0..RING.0).map(|i| i % 3 == 0).collect();
        let mut product = Fq::ZERO;
        for (j, _) in s.iter().enumerate().filter(|(_, bit)| **bit) {
            if j == 0 {
                product += a[0];
            } else {
                product -= a[RING.0 - j];
            }
        }
        let lwe = RingCiphertext {
            a,
            b: vec![Fq::ONE; RING.0],
        }
        .extract();
        let inner = lwe
            .mask
            .iter()
            .zip(&s)
            .filter(|(_, bit)| **bit)
            .fold(Fq::ZERO, |sum, (w, _)| sum + *w);
        assert_eq!(inner, product);
        assert_eq!(lwe.body, Fq::ONE);
    }
}
