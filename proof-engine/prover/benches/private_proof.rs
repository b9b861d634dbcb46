//! A proof with private weights over 30 columns, of an aggregate and of a chunk
//! of scores by row: wall, CPU, verification, bytes. In the same run: sums of
//! 2^16 points by `blst` (what the prover uses) and by `ark-ec` (the
//! reference).
//!
//! `cargo bench -p veilbourse-prover --bench private_proof`

#![allow(clippy::print_stdout)] // a measurement for people
#[path = "../tests/support/real.rs"]
mod real;

use ark_bls12_381::{Fr, G1Affine, G1Projective};
use ark_ec::{CurveGroup, PrimeGroup, VariableBaseMSM, scalar_mul::BatchMulPreprocessing};
use cpu_time::ProcessTime;
use rand_core::{Rng, SeedableRng};
use real::{COLUMNS, dataset, model, request, subjects, verify};
use std::{hint::black_box, sync::Arc, time::Instant};
use veilbourse_prover::{
    circuit::CircuitKeys,
    linear::{PodSecret, evaluate_private},
    msm::msm,
    srs::Srs,
};
use veilbourse_verifier::{commitment::slices, linear::inputs::class_of, marlin::scalar_from_wide};

const POINTS: usize = 1 << 16;
const ROUNDS: usize = 3;

/// Wall and CPU seconds of the quickest of several rounds.
fn best<T>(rounds: usize, mut job: impl FnMut() -> T) -> (f64, f64, T) {
    let mut least: Option<(f64, f64, T)> = None;
    for _ in 0..rounds {
        let (wall, cpu) = (Instant::now(), ProcessTime::now());
        let result = black_box(job());
        let (wall, cpu) = (wall.elapsed().as_secs_f64(), cpu.elapsed().as_secs_f64());
        if least.as_ref().is_none_or(|l| wall < l.0) {
            least = Some((wall, cpu, result));
        }
    }
    least.expect("at least one round")
}

fn main() {
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(20);
    let d = dataset(&mut rng);
    let m = model(&d, &mut rng);
    let (seconds, _, srs) = best(1, || Arc::new(Srs::dev(16, &mut rng).expect("an SRS")));
    println!(
        "{} threads; SRS of 2^16 rows made in {seconds:.1} s",
        rayon::current_num_threads()
    );

    let mut scalar = || {
        let mut wide = [0u8; 64];
        rng.fill_bytes(&mut wide);
        scalar_from_wide(&wide)
    };
    let scalars: Vec<Fr> = (0..POINTS).map(|_| scalar()).collect();
    let table = BatchMulPreprocessing::new(G1Projective::generator(), POINTS);
    let bases: Vec<G1Affine> = table.batch_mul(&scalars);
    let (_, reference, theirs) = best(ROUNDS, || G1Projective::msm_unchecked(&bases, &scalars));
    let (_, ours, sum) = best(ROUNDS, || msm(&bases, &scalars));
    assert_eq!(theirs.into_affine(), sum.into_affine());
    println!(
        "2^16 points: ark-ec {reference:.3} CPU s, blst {ours:.3} CPU s, ratio {:.2}\n",
        reference / ours
    );

    println!("| | index, s | prove, s | CPU s | CPU / reference | verify, ms | bytes |");
    println!("|---|---|---|---|---|---|---|");
    for subject in subjects(&d) {
        let class = class_of(COLUMNS).expect("a class");
        let (index, _, circuit) = best(1, || {
            CircuitKeys::generate(Arc::clone(&srs), subject.kind, class).expect("indexes")
        });
        let words = slices(&subject.words);
        let secret = PodSecret::new([5; 32]);
        let request = request(&d, &m, subject.over, &words, &secret);
        let (prove, cpu, (statement, envelope)) = best(ROUNDS, || {
            let evaluated = evaluate_private(&request, &circuit).expect("evaluates");
            evaluated.prove(&circuit, &mut rng).expect("proves")
        });
        let (check, _, ()) = best(20, || {
            verify(&d, circuit.verifying(), &statement, &envelope).expect("verifies")
        });
        println!(
            "| {:?} | {index:.1} | {prove:.1} | {cpu:.1} | {:.0} | {:.1} | {} |",
            subject.kind,
            cpu / reference,
            check * 1e3,
            envelope.len()
        );
    }
}
