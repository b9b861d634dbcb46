//! Seconds a row of encrypted linear scores: 569 rows x 30 columns, one core.
//! The last line is JSON; `docs/bench/concrete_ml.py` puts it beside Concrete ML.
//!
//! `RAYON_NUM_THREADS=1 cargo run --release -p veilbourse-eval --example linear_rows`

#![allow(clippy::print_stdout)] // a measurement for people

use rand::SeedableRng;
use rand_core::Rng;
use std::{hint::black_box, time::Instant};
use veilbourse_core::{
    ciphertext::{Glwe, OutputCiphertext},
    field::Fq,
    ring::Poly,
};
use veilbourse_eval::{
    SecretKey, encrypt_chunk, expand_chunk,
    kernel::{Terms, best},
};

const ROWS: usize = 569;
const COLUMNS: usize = 30;
const K: u32 = 26;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
    let key = SecretKey::generate(&mut rng);
    let mut integer = |below: u32| i64::from(rng.next_u32() % below);
    let table: Vec<Vec<i64>> = (0..COLUMNS)
        .map(|_| (0..ROWS).map(|_| integer(1024)).collect())
        .collect();
    let weights: Vec<i64> = (0..COLUMNS).map(|_| integer(2048) - 1024).collect();
    let slices: Vec<&[i64]> = table.iter().map(Vec::as_slice).collect();
    let chunk = expand_chunk(&encrypt_chunk(&key, K, &slices, &mut rng)?);
    let masks: Vec<&[Fq]> = chunk.iter().map(|c| &c.a[..]).collect();
    let bodies: Vec<&[Fq]> = chunk.iter().map(|c| &c.b[..]).collect();
    let evaluate = || -> Result<(Vec<Fq>, Vec<Fq>), veilbourse_eval::EvalError> {
        let a = best().weighted_sum(&Terms::new(&weights, &masks)?);
        let b = best().weighted_sum(&Terms::new(&weights, &bodies)?);
        Ok((a, b))
    };
    let mut least = f64::INFINITY;
    for _ in 0..500 {
        let start = Instant::now();
        black_box(evaluate()?);
        least = least.min(start.elapsed().as_secs_f64());
    }
    // What was measured is what is decrypted: the scores are exact.
    let (a, b) = evaluate()?;
    let poly = |p| Poly::from_coefficients(p).ok_or("a ring element");
    let glwe = Glwe {
        a: poly(a)?,
        b: poly(b)?,
    };
    let opened = key.open(
        &OutputCiphertext::Rows {
            glwe,
            rows: ROWS as u32,
        },
        K,
    )?;
    for (row, score) in opened.iter().enumerate() {
        let expected: i64 = weights.iter().zip(&table).map(|(w, c)| w * c[row]).sum();
        assert_eq!(*score, expected, "row {row}");
    }
    let row = least / ROWS as f64;
    println!("{{\"rows\": {ROWS}, \"columns\": {COLUMNS}, \"seconds_per_row\": {row:e}}}");
    Ok(())
}
