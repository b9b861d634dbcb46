//! Keyswitch, blind rotation and the whole bootstrap, for any number of
//! ciphertexts; inputs are checked here (BST-13), backends compute.

use super::{
    backend::{Backend, LimbRows, Rotation},
    server_key::{BootstrapKey, KeyswitchKey, LANES, Vector},
};
use crate::EvalError;
use rayon::prelude::*;
use veilbourse_core::{
    boot::{
        DigitTable, LweCiphertext, RingCiphertext, Switched, modulus_switch,
        params::{LWE, SWITCHED_MODULUS},
    },
    field::Fq,
};

/// Ciphertexts that share one pass over a key.
pub const BATCH: usize = 16;

fn count(field: &'static str, expected: usize, found: usize) -> Result<(), EvalError> {
    if expected == found {
        return Ok(());
    }
    Err(EvalError::Count {
        field,
        expected,
        found,
    })
}

/// Switches ciphertexts to the LWE key (BST-10):
/// (0, b) - sum over bits and digits of d_ji KSK_ji.
pub fn keyswitch(
    backend: &dyn Backend,
    key: &KeyswitchKey,
    inputs: &[LweCiphertext],
) -> Result<Vec<LweCiphertext>, EvalError> {
    let expected = key.params().input().0;
    for input in inputs {
        count("keyswitch input words", expected, input.mask.len())?;
    }
    let batches: Vec<_> = inputs
        .par_chunks(BATCH)
        .map(|inputs| {
            let limbs = inputs.chunks(LANES).map(|c| limb_rows(key, c)).collect();
            let sums = backend.limb_sums(&LimbRows { key, limbs });
            inputs
                .iter()
                .zip(sums.iter().flatten())
                .map(|(input, sums)| switched(key, input, sums))
                .collect::<Vec<_>>()
        })
        .collect();
    Ok(batches.into_iter().flatten().collect())
}

/// The limbs of up to eight inputs, row by row (BST-3).
fn limb_rows(key: &KeyswitchKey, inputs: &[LweCiphertext]) -> Vec<Vector> {
    let gadget = key.params().gadget();
    let levels = gadget.levels().0;
    let mut rows = vec![Vector::ZERO; key.params().key_rows()];
    for (lane, input) in inputs.iter().enumerate().take(LANES) {
        for (rows, word) in rows.chunks_exact_mut(levels).zip(&input.mask) {
            let shifted = gadget.shifted(*word);
            for (level, row) in rows.iter_mut().enumerate() {
                row.0[lane] = gadget.limb(shifted, level);
            }
        }
    }
    rows
}

fn switched(key: &KeyswitchKey, input: &LweCiphertext, sums: &[Fq]) -> LweCiphertext {
    // Digits are limbs less half the base: sum d = sum limb - half_sums.
    let mut words: Vec<Fq> = key
        .half_sums()
        .iter()
        .zip(sums)
        .take(LWE.0 + 1)
        .map(|(half, sum)| *half - *sum)
        .collect();
    let body = words.pop().unwrap_or_default() + input.body;
    LweCiphertext { mask: words, body }
}

/// Rotates each table by its input: the constant coefficient of the phase of
/// the result is the table's output at the digit (BST-7).
pub fn blind_rotate(
    backend: &dyn Backend,
    key: &BootstrapKey,
    inputs: &[Switched],
    tables: &[&DigitTable],
) -> Result<Vec<RingCiphertext>, EvalError> {
    count("bootstrap tables", inputs.len(), tables.len())?;
    for input in inputs {
        count("blind rotation input words", LWE.0, input.mask.len())?;
        let greatest = input.mask.iter().copied().fold(input.body, u16::max);
        if u64::from(greatest) >= SWITCHED_MODULUS {
            return Err(EvalError::Exponent {
                value: greatest,
                limit: SWITCHED_MODULUS as u16 - 1,
            });
        }
    }
    let batches: Vec<_> = inputs
        .par_chunks(BATCH)
        .zip(tables.par_chunks(BATCH))
        .map(|(inputs, tables)| {
            let starts = inputs
                .iter()
                .zip(tables)
                .map(|(input, table)| RingCiphertext::trivial(table.rotated(input.body)))
                .collect();
            backend.rotate(Rotation {
                key,
                inputs,
                starts,
            })
        })
        .collect();
    Ok(batches.into_iter().flatten().collect())
}

/// Keyswitch, modulus switch, blind rotation, extraction (BST-10, BST-6..8):
/// from encryptions of digits under the keyswitch's input key to encryptions
/// of the tables' outputs under S_B.
pub fn bootstrap(
    backend: &dyn Backend,
    switch: &KeyswitchKey,
    key: &BootstrapKey,
    inputs: &[LweCiphertext],
    tables: &[&DigitTable],
) -> Result<Vec<LweCiphertext>, EvalError> {
    count("bootstrap tables", inputs.len(), tables.len())?;
    let small = keyswitch(backend, switch, inputs)?;
    let small: Vec<Switched> = small.iter().map(modulus_switch).collect();
    let rotated = blind_rotate(backend, key, &small, tables)?;
    Ok(rotated.iter().map(RingCiphertext::extract).collect())
}
