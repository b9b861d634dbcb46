//! Encryption of chunks, and the public key (DS-1, DS-6).

use crate::{EvalError, SecretKey, randomness};
use rand_core::CryptoRng;
use rayon::prelude::*;
use veilbourse_core::{
    ciphertext::{ChunkData, PublicKey, SeededGlwe},
    digest::Digest,
    field::Fq,
    manifest::MAX_COLUMNS,
    params::DATA_RING_DIMENSION as N,
    ring::Poly,
    xof::{MaskKind, mask},
};
use zeroize::Zeroizing;

/// Greatest k: the message space keeps a few bits.
pub const MAX_MESSAGE_LOG2: u32 = 61;

/// Encrypts one chunk: `columns[f][i]` is row i of column f, 1 to N rows, the
/// rest of the chunk encrypts 0. Mask seeds (DS-1: fresh for each ciphertext)
/// and noise are independent draws from `rng`, which must be the operating
/// system's outside tests.
pub fn encrypt_chunk(
    key: &SecretKey,
    message_log2: u32,
    columns: &[&[i64]],
    rng: &mut impl CryptoRng,
) -> Result<ChunkData, EvalError> {
    check(message_log2, columns)?;
    let mut seeds = Vec::with_capacity(columns.len());
    for column in columns {
        let mut seed = [0u8; 32];
        rng.fill_bytes(&mut seed);
        seeds.push((*column, seed, randomness::fresh_seed(rng)));
    }
    let columns = seeds
        .into_par_iter()
        .map(|(column, seed, noise_seed)| SeededGlwe {
            seed,
            body: body(
                key,
                &mask(MaskKind::Glwe, &seed),
                &noise_seed,
                message_log2,
                column,
            ),
        })
        .collect();
    Ok(ChunkData { columns })
}

/// An encryption of zero whose mask is the expansion of a public label (DS-6).
pub fn public_key(key: &SecretKey, label: Digest, rng: &mut impl CryptoRng) -> PublicKey {
    let p_0 = mask(MaskKind::PublicKey, &label.0);
    let seed = randomness::fresh_seed(rng);
    PublicKey {
        label,
        body: body(key, &p_0, &seed, 0, &[]),
    }
}

/// a S + e + X 2^k.
fn body(
    key: &SecretKey,
    a: &Poly,
    noise_seed: &Zeroizing<u128>,
    message_log2: u32,
    values: &[i64],
) -> Poly {
    let mut b = key.times(a);
    let noise = randomness::noise(noise_seed);
    let padded = values.iter().copied().chain(std::iter::repeat(0));
    for ((word, e), x) in b.iter_mut().zip(noise.iter()).zip(padded) {
        // |x| 2^k <= 2^62 was checked, so the sum fits.
        *word += Fq::from_i64((x << message_log2) + e);
    }
    b
}

fn check(message_log2: u32, columns: &[&[i64]]) -> Result<(), EvalError> {
    if !(1..=MAX_MESSAGE_LOG2).contains(&message_log2) {
        return Err(EvalError::MessageLog2 {
            value: message_log2,
            limit: MAX_MESSAGE_LOG2,
        });
    }
    let expected = match columns.first() {
        Some(c) if columns.len() <= MAX_COLUMNS as usize => c.len(),
        _ => {
            return Err(EvalError::Count {
                field: "chunk.columns (at most)",
                expected: MAX_COLUMNS as usize,
                found: columns.len(),
            });
        }
    };
    let limit_log2 = 62 - message_log2;
    for (column, values) in columns.iter().enumerate() {
        let rows = values.len();
        if rows == 0 || rows > N {
            return Err(EvalError::RowCount {
                column,
                rows,
                limit: N,
            });
        }
        if rows != expected {
            return Err(EvalError::Ragged {
                column,
                rows,
                expected,
            });
        }
        let too_large = |(_, x): &(usize, &i64)| x.unsigned_abs() > 1 << limit_log2;
        if let Some((row, value)) = values.iter().enumerate().find(too_large) {
            return Err(EvalError::Value {
                column,
                row,
                value: *value,
                limit_log2,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn what_cannot_be_encrypted_is_refused() {
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
        let key = SecretKey::generate(&mut rng);
        let mut refuse =
            |k, columns: &[&[i64]]| encrypt_chunk(&key, k, columns, &mut rng).unwrap_err();
        assert!(matches!(
            refuse(0, &[&[1]]),
            EvalError::MessageLog2 { value: 0, .. }
        ));
        assert!(matches!(
            refuse(62, &[&[1]]),
            EvalError::MessageLog2 { value: 62, .. }
        ));
        assert!(matches!(refuse(30, &[]), EvalError::Count { .. }));
        assert!(matches!(
            refuse(30, &[&[]]),
            EvalError::RowCount { rows: 0, .. }
        ));
        assert!(matches!(
            refuse(30, &[&[0; N + 1]]),
            EvalError::RowCount { column: 0, .. }
        ));
        assert!(matches!(
            refuse(30, &[&[1, 2], &[1]]),
            EvalError::Ragged { column: 1, .. }
        ));
        let edge = 1i64 << 32;
        assert!(matches!(
            refuse(30, &[&[0, -edge - 1]]),
            EvalError::Value {
                row: 1,
                limit_log2: 32,
                ..
            }
        ));
        assert!(matches!(
            refuse(30, &[&[i64::MIN]]),
            EvalError::Value { .. }
        ));
        assert!(encrypt_chunk(&key, 30, &[&[edge, -edge]], &mut rng).is_ok());
    }

    #[test]
    fn seeds_are_fresh() {
        // DS-1: the same rows twice share neither seed nor body.
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(2);
        let key = SecretKey::generate(&mut rng);
        let x: &[i64] = &[1, 2, 3];
        let first = encrypt_chunk(&key, 30, &[x, x], &mut rng).unwrap();
        let second = encrypt_chunk(&key, 30, &[x, x], &mut rng).unwrap();
        let all: Vec<_> = first.columns.iter().chain(&second.columns).collect();
        for (i, c) in all.iter().enumerate() {
            for d in &all[..i] {
                assert!(c.seed != d.seed && c.body != d.body);
            }
        }
    }
}
