//! Figures of docs/performance.md, section "Exact bootstrap": ours in batches
//! of sixteen against the FFT bootstrap of `tfhe` 1.8 on 2^64, whose default
//! set carries four bits too and fails below 2^-128; keyswitch, modulus switch
//! and blind rotation on both sides. One core, one run, interleaved, best of
//! several.
//!
//! `RAYON_NUM_THREADS=1 cargo bench -p veilbourse-eval --bench bootstrap`

#![allow(clippy::print_stdout)]

use rand::SeedableRng;
use std::{
    hint::black_box,
    time::{Duration, Instant},
};
use tfhe::shortint::{gen_keys, parameters::PARAM_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128};
use veilbourse_core::boot::{
    BootstrapParamsId, DigitTable, KeyswitchParamsId, LweCiphertext, Switched, modulus_switch,
    noise, params::RING, table::encode_digit,
};
use veilbourse_eval::boot::{
    BATCH, BootstrapKey, BootstrapSecret, KeyswitchKey, backend::Scalar, best, blind_rotate,
    bootstrap, bootstrap_key, chain_keyswitch_key, keyswitch,
};

fn once(job: impl FnOnce()) -> Duration {
    let start = Instant::now();
    job();
    start.elapsed()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
    let secret = BootstrapSecret::generate(&mut rng);
    let switch = chain_keyswitch_key(&secret, &mut rng)?;
    let switch = KeyswitchKey::expand(&switch);
    let inputs: Vec<LweCiphertext> = (0..BATCH)
        .map(|m| secret.encrypt_ring(encode_digit(m as u8), &mut rng))
        .collect();
    let table = DigitTable::of_digits(|m| 15 - m);
    let tables = [&table; BATCH];

    let (client, server) = gen_keys(PARAM_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128);
    let their_table = server.generate_lookup_table(|x| x);
    let their_inputs: Vec<_> = (0..BATCH).map(|m| client.encrypt(m as u64 % 4)).collect();

    for params in BootstrapParamsId::ALL {
        let mut seeded = None;
        let generation = once(|| seeded = bootstrap_key(&secret, params, &mut rng).ok());
        let Some(seeded) = seeded else { continue };
        let mut expanded = None;
        let expansion = once(|| expanded = Some(BootstrapKey::expand(&seeded)));
        drop(seeded);
        let Some(key) = expanded else { continue };
        let (mut whole, mut theirs) = (Duration::MAX, Duration::MAX);
        let (mut switching, mut rotating) = (Duration::MAX, Duration::MAX);
        for _ in 0..8 {
            whole = whole.min(once(|| {
                drop(black_box(bootstrap(
                    best(),
                    &switch,
                    &key,
                    &inputs,
                    &tables,
                )));
            }));
            theirs = theirs.min(once(|| {
                for c in &their_inputs {
                    black_box(server.apply_lookup_table(c, &their_table));
                }
            }));
            let mut small = vec![];
            switching = switching.min(once(|| {
                small = keyswitch(best(), &switch, &inputs).unwrap_or_default();
            }));
            let small: Vec<Switched> = small.iter().map(modulus_switch).collect();
            rotating = rotating.min(once(|| {
                drop(black_box(blind_rotate(best(), &key, &small, &tables)));
            }));
        }
        let output = noise::blind_rotation(params, RING.0);
        println!(
            "{} ({}): {:.2} ms a bootstrap in batches of {BATCH} (keyswitch {:.2}, blind rotation \
             {:.2}), failure 2^{:.0}; tfhe FFT {:.2} ms, failure 2^{:.0}; ratio {:.2}",
            params.name(),
            best().name(),
            ms(whole) / BATCH as f64,
            ms(switching) / BATCH as f64,
            ms(rotating) / BATCH as f64,
            noise::failure_log2(output, KeyswitchParamsId::Boot2048B3L6V1),
            ms(theirs) / BATCH as f64,
            PARAM_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128.log2_p_fail,
            whole.as_secs_f64() / theirs.as_secs_f64(),
        );
        let one = once(|| {
            let first = bootstrap(best(), &switch, &key, &inputs[..1], &tables[..1]);
            drop(black_box(first));
        });
        let scalar = once(|| {
            let first = bootstrap(&Scalar, &switch, &key, &inputs[..1], &tables[..1]);
            drop(black_box(first));
        });
        println!(
            "  one alone {:.1} ms, scalar {:.0} ms; key generation {:.0} ms, expansion {:.0} ms",
            ms(one),
            ms(scalar),
            ms(generation),
            ms(expansion),
        );
    }
    Ok(())
}
