//! Parity with the exact NTT bootstrap of `tfhe` 1.8 on q = 2^64 - 2^32 + 1
//! under the same secret keys: same messages, and each one's noise is what its
//! own formula says. Its bootstrap takes one secret bit a step and its
//! modulus switch compensates nothing; its keys are made by schoolbook
//! products, because its seeded keys panic on this modulus.

#![allow(clippy::print_stdout)] // measured noise, for people

use rand::SeedableRng;
use tfhe::core_crypto::{commons::generators::DeterministicSeeder, prelude::*};
use tfhe_csprng::seeders::Seed;
use veilbourse_core::{
    boot::{
        BootstrapParamsId, DigitTable, LweCiphertext as Ours, modulus_switch, noise,
        params::{LWE, RING},
        table::{decode_digit, encode_digit},
    },
    field::{Fq, MODULUS},
};
use veilbourse_eval::boot::{BootstrapKey, BootstrapSecret, best, blind_rotate, bootstrap_key};

const SAMPLES: usize = 128;

fn modulus() -> CiphertextModulus<u64> {
    CiphertextModulus::try_new(u128::from(MODULUS)).unwrap()
}

/// `tfhe`'s key of base 2^23, one digit, for the same secrets.
fn their_key(secret: &BootstrapSecret) -> NttLweBootstrapKeyOwned<u64> {
    let [lwe, ring] = secret.expose_words();
    let mut seeder = DeterministicSeeder::<DefaultRandomGenerator>::new(Seed(3));
    let mut generator =
        EncryptionRandomGenerator::<DefaultRandomGenerator>::new(seeder.seed(), &mut seeder);
    let standard = par_allocate_and_generate_new_lwe_bootstrap_key(
        &LweSecretKey::from_container(lwe.to_vec()),
        &GlweSecretKey::from_container(ring.to_vec(), PolynomialSize(RING.0)),
        DecompositionBaseLog(23),
        DecompositionLevelCount(1),
        DynamicDistribution::new_t_uniform(17),
        modulus(),
        &mut generator,
    );
    let mut key = NttLweBootstrapKey::new(
        0u64,
        standard.input_lwe_dimension(),
        standard.glwe_size(),
        standard.polynomial_size(),
        standard.decomposition_base_log(),
        standard.decomposition_level_count(),
        standard.ciphertext_modulus(),
    );
    par_convert_standard_lwe_bootstrap_key_to_ntt64(
        &standard,
        &mut key,
        NttLweBootstrapKeyOption::Normalize,
    );
    key
}

fn run_theirs(key: &NttLweBootstrapKeyOwned<u64>, input: &Ours, table: &DigitTable) -> Ours {
    let words = |v: &[Fq]| v.iter().map(|w| w.word()).collect::<Vec<u64>>();
    let mut container = words(&input.mask);
    container.push(input.body.word());
    let input = LweCiphertext::from_container(container, modulus());
    let mut accumulator = vec![0u64; RING.0];
    accumulator.extend(words(&table.rotated(0)));
    let accumulator =
        GlweCiphertext::from_container(accumulator, PolynomialSize(RING.0), modulus());
    let mut output = LweCiphertext::new(0u64, LweSize(RING.0 + 1), modulus());
    programmable_bootstrap_ntt64_lwe_ciphertext(&input, &mut output, &accumulator, key);
    let (body, mask) = output.as_ref().split_last().unwrap();
    Ours {
        mask: mask.iter().map(|w| Fq::new(*w).unwrap()).collect(),
        body: Fq::new(*body).unwrap(),
    }
}

fn mean_square(errors: &[f64]) -> f64 {
    errors.iter().map(|e| e * e).sum::<f64>() / errors.len() as f64
}

#[test]
fn messages_and_noise_of_tfhe() {
    // BST-7, BST-11
    let params = BootstrapParamsId::Boot2048B23L1V1;
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
    let secret = BootstrapSecret::generate(&mut rng);
    let seeded = bootstrap_key(&secret, params, &mut rng).unwrap();
    let ours = BootstrapKey::expand(&seeded);
    let theirs = their_key(&secret);
    let table = DigitTable::of_digits(|m| (3 * m + 1) % 16);
    let inputs: Vec<Ours> = (0..SAMPLES)
        .map(|i| secret.encrypt_lwe(encode_digit(i as u8 % 16), &mut rng))
        .collect();
    let switched: Vec<_> = inputs.iter().map(modulus_switch).collect();
    let rotated = blind_rotate(best(), &ours, &switched, &[&table; SAMPLES]).unwrap();
    let (mut our_errors, mut their_errors) = (vec![], vec![]);
    for (i, (input, rotated)) in inputs.iter().zip(&rotated).enumerate() {
        let digit = (3 * (i as u8 % 16) + 1) % 16;
        for (output, errors) in [
            (rotated.extract(), &mut our_errors),
            (run_theirs(&theirs, input, &table), &mut their_errors),
        ] {
            let phase = secret.phase_ring(&output).unwrap();
            assert_eq!(decode_digit(phase), Some(digit));
            errors.push((phase - encode_digit(digit)).centred() as f64);
        }
    }
    // One bit a step: n products with noise of one key each, and what
    // decomposition drops counts only where the bit is set.
    let [lwe, ring] = secret.expose_words();
    let ones = |words: &[u64]| words.iter().sum::<u64>() as f64;
    let dropped = 2f64.powi(2 * 41) / 12.0 * (1.0 + ones(&ring));
    let key_noise = (2f64.powi(35) + 1.0) / 6.0;
    let digits = 2.0 * RING.0 as f64 * (2f64.powi(46) + 2.0) / 12.0;
    let their_formula = LWE.0 as f64 * digits * key_noise + ones(&lwe) * dropped;
    let our_formula = noise::blind_rotation(params, ones(&ring) as usize);
    let our_formula = (2.0 * our_formula.log2_deviation()).exp2();
    let scatter = 6.0 * (2.0 / SAMPLES as f64).sqrt();
    let theirs = mean_square(&their_errors) / their_formula;
    let ours = mean_square(&our_errors) / our_formula;
    println!(
        "deviations: tfhe 2^{:.2} (formula 2^{:.2}), ours 2^{:.2} (formula 2^{:.2})",
        mean_square(&their_errors).log2() / 2.0,
        their_formula.log2() / 2.0,
        mean_square(&our_errors).log2() / 2.0,
        our_formula.log2() / 2.0,
    );
    assert!((ours - 1.0).abs() < scatter, "ours {ours}");
    assert!((theirs - 1.0).abs() < scatter, "theirs {theirs}");
}
