//! Samples a second of each law: `cargo bench -p veilbourse-privacy`.
#![allow(clippy::print_stdout, missing_docs)]

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::time::Instant;
use veilbourse_privacy::{Mechanism, Sampler};

fn main() -> Result<(), veilbourse_privacy::PrivacyError> {
    let cases = [
        ("Laplace, scale 1/2", Mechanism::laplace(1, 2)?),
        ("Laplace, scale 5", Mechanism::laplace(5, 1)?),
        ("Laplace, scale 2^40/3", Mechanism::laplace(1 << 40, 3)?),
        ("Gaussian, variance 1/4", Mechanism::gaussian(1, 4)?),
        ("Gaussian, variance 25", Mechanism::gaussian(25, 1)?),
        (
            "Gaussian, variance 2^60/9",
            Mechanism::gaussian(1 << 60, 9)?,
        ),
        ("Gaussian, variance 2^96", Mechanism::gaussian(1 << 96, 1)?),
    ];
    for (name, mechanism) in cases {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let sampler = Sampler::new(&mechanism);
        let (count, start) = (500_000u32, Instant::now());
        let sum: i128 = (0..count)
            .map(|_| i128::from(sampler.sample(&mut rng)))
            .sum();
        let rate = f64::from(count) / start.elapsed().as_secs_f64();
        println!("{name}: {rate:.0} samples/s (sum {sum})");
    }
    Ok(())
}
