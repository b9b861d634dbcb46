//! Figures of docs/performance.md, section "Linear evaluation": every ratio is
//! between measurements of one run on one core, interleaved, best of several.
//!
//! `RAYON_NUM_THREADS=1 cargo bench -p veilbourse-eval --bench ratios`

#![allow(clippy::print_stdout)]

use rand::{Rng, SeedableRng};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};
use veilbourse_core::{
    ciphertext::ChunkData,
    field::Fq,
    params::DATA_RING_DIMENSION as N,
    ring::Poly,
    xof::{MaskKind, mask},
};
use veilbourse_eval::{
    SecretKey, encrypt_chunk, expand_chunk,
    kernel::{Kernel, Scalar, Terms, best},
};

/// The best times of several jobs, measured in turn.
fn interleaved<const J: usize>(rounds: usize, mut jobs: [&mut dyn FnMut(); J]) -> [Duration; J] {
    let mut times = [Duration::MAX; J];
    for _ in 0..rounds {
        for (time, job) in times.iter_mut().zip(&mut jobs) {
            let start = Instant::now();
            job();
            *time = start.elapsed().min(*time);
        }
    }
    times
}

fn rate(items: usize, time: Duration) -> f64 {
    items as f64 / time.as_secs_f64() / 1e6
}

fn main() {
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
    linear(&mut rng, "in cache (8 columns, 256 kB)", 8, 1, 200);
    linear(&mut rng, "in cache (30 columns, 960 kB)", 30, 1, 100);
    linear(&mut rng, "out of cache (30 columns, 480 MB)", 30, 500, 5);
    encryption(&mut rng);
}

/// `chunks` weighted sums over as many sets of columns of N words.
fn linear(rng: &mut impl Rng, name: &str, columns: usize, chunks: usize, rounds: usize) {
    let words = columns * chunks * N;
    let memory: Vec<Fq> = (0..words).map(|_| Fq::reduce(rng.next_u64())).collect();
    let weights: Vec<i64> = (0..columns)
        .map(|_| i64::from(rng.next_u32() >> 7) - (1 << 24))
        .collect();
    let weights: Vec<i64> = weights.iter().map(|w| *w / 2).collect();
    let run = |kernel: &dyn Kernel| {
        for chunk in memory.chunks_exact(columns * N) {
            let slices: Vec<&[Fq]> = chunk.chunks_exact(N).collect();
            if let Ok(terms) = Terms::new(&weights, &slices) {
                black_box(kernel.weighted_sum(black_box(&terms)));
            }
        }
    };
    // Reading alone: a vectorised sum of all words.
    let read = || {
        let sum = memory.iter().fold(0u64, |s, w| s.wrapping_add(w.word()));
        black_box(sum);
    };
    let mut copy_to = vec![Fq::ZERO; words];
    let [fast, scalar, reading, copying] = interleaved(
        rounds,
        [
            &mut || run(best()),
            &mut || run(&Scalar),
            &mut || read(),
            &mut || {
                copy_to.copy_from_slice(black_box(&memory));
                black_box(&mut copy_to);
            },
        ],
    );
    let gigabytes = |d: Duration| rate(words * 8, d) / 1e3;
    println!(
        "linear, {name}: {} {:.0} M words/s/core, scalar {:.0}, ratio {:.1}; \
         {:.1} GB/s against reading {:.1} GB/s ({:.2}x its time), copying {:.1} GB/s ({:.2}x)",
        best().name(),
        rate(words, fast),
        rate(words, scalar),
        scalar.as_secs_f64() / fast.as_secs_f64(),
        gigabytes(fast),
        gigabytes(reading),
        fast.as_secs_f64() / reading.as_secs_f64(),
        gigabytes(copying),
        fast.as_secs_f64() / copying.as_secs_f64(),
    );
}

fn encryption(rng: &mut impl rand_core::CryptoRng) {
    let key = SecretKey::generate(rng);
    let rows: Vec<i64> = (0..N as i64).collect();
    let columns = [&rows[..]; 16];
    let slots = columns.len() * N;
    let mut chunk: Option<ChunkData> = None;
    let Ok(fixed) = encrypt_chunk(&key, 30, &columns, rng) else {
        return;
    };
    let p = mask(MaskKind::Glwe, &[1; 32]);
    let s = mask(MaskKind::Glwe, &[2; 32]);
    let (words_p, words_s) = (p.words(), s.words());
    let plan = tfhe_ntt::prime64::Plan::try_new(N, veilbourse_core::field::MODULUS);
    let [encrypt, expand, masks, ours, theirs] = interleaved(
        30,
        [
            &mut || chunk = encrypt_chunk(&key, 30, &columns, rng).ok(),
            &mut || drop(black_box(expand_chunk(&fixed))),
            &mut || drop(black_box(mask(MaskKind::Glwe, black_box(&[3; 32])))),
            &mut || drop(black_box(Poly::mul(black_box(&p), black_box(&s)))),
            &mut || {
                if let Some(plan) = &plan {
                    let (mut x, mut y) = (words_p.clone(), words_s.clone());
                    plan.fwd(&mut x);
                    plan.fwd(&mut y);
                    plan.mul_assign_normalize(&mut x, &y);
                    plan.inv(&mut x);
                    black_box(x);
                }
            },
        ],
    );
    println!(
        "encryption: {:.1} M slots/s/core; expansion of masks {:.0} M slots/s/core; one mask {:?}",
        rate(slots, encrypt),
        rate(slots, expand),
        masks,
    );
    println!("product in R_N: ours {ours:?}, tfhe-ntt {theirs:?}");
    if let Some(chunk) = chunk {
        println!(
            "upload: {:.3} bytes a slot",
            chunk.encode().len() as f64 / slots as f64
        );
    }
}
