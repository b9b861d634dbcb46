//! The exact bootstrap: every table entry, backends against each other, noise
//! against its formula, two thousand bootstraps without a failure, refusals.

#![allow(clippy::print_stdout)] // measured noise, for people

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::sync::OnceLock;
use veilbourse_core::{
    boot::{
        BootstrapParamsId, DigitTable, KeyswitchParamsId, LweCiphertext, Switched, modulus_switch,
        noise,
        params::{LWE, RING},
        table::{decode_digit, encode_digit},
    },
    field::{Fq, MODULUS},
};
use veilbourse_eval::{
    EvalError, SecretKey,
    boot::{
        BootstrapKey, BootstrapSecret, KeyswitchKey, backend::Scalar, best, blind_rotate,
        bootstrap, bootstrap_key, chain_keyswitch_key, data_keyswitch_key, keyswitch,
    },
    encrypt_chunk, expand_chunk,
};

struct Keys {
    secret: BootstrapSecret,
    switch: KeyswitchKey,
    boot: BootstrapKey,
}

fn keys(params: BootstrapParamsId, seed: u64) -> Keys {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let secret = BootstrapSecret::generate(&mut rng);
    let switch = chain_keyswitch_key(&secret, &mut rng).unwrap();
    let boot = bootstrap_key(&secret, params, &mut rng).unwrap();
    Keys {
        switch: KeyswitchKey::expand(&switch),
        boot: BootstrapKey::expand(&boot),
        secret,
    }
}

/// The keys of the fastest set, made once.
fn fast() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| keys(BootstrapParamsId::Boot2048B23L1V1, 1))
}

fn ones(words: &[u64]) -> usize {
    words.iter().filter(|bit| **bit == 1).count()
}

/// Every digit through three tables: as digits, and as whole words.
fn every_entry(keys: &Keys, rng: &mut ChaCha20Rng) {
    let tables = [
        DigitTable::of_digits(|m| m),
        DigitTable::of_digits(|m| (7 * m + 3) % 16),
        DigitTable::new(std::array::from_fn(|_| Fq::reduce(rng.random()))),
    ];
    let worst = noise::blind_rotation(keys.boot.params(), RING.0);
    let bound = 14.0 * worst.log2_deviation().exp2();
    for table in &tables {
        let inputs: Vec<LweCiphertext> = (0..16)
            .map(|m| keys.secret.encrypt_ring(encode_digit(m), rng))
            .collect();
        let tables = [table; 16];
        let outputs = bootstrap(best(), &keys.switch, &keys.boot, &inputs, &tables).unwrap();
        for (m, (output, expected)) in outputs.iter().zip(table.outputs()).enumerate() {
            let error = (keys.secret.phase_ring(output).unwrap() - *expected).centred();
            assert!((error.unsigned_abs() as f64) < bound, "{m}: {error}");
        }
    }
}

#[test]
fn every_entry_of_every_table_comes_out() {
    // BST-7, BST-9
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    every_entry(fast(), &mut rng);
    for params in [
        BootstrapParamsId::Boot2048B15L2V1,
        BootstrapParamsId::Boot2048B11L3V1,
    ] {
        every_entry(&keys(params, 3), &mut rng);
    }
}

fn backends_agree(keys: &Keys, count: usize, rng: &mut ChaCha20Rng) {
    // Any words at all: the backends are exact, whatever is encrypted.
    let inputs: Vec<LweCiphertext> = (0..count)
        .map(|_| LweCiphertext {
            mask: (0..RING.0).map(|_| Fq::reduce(rng.random())).collect(),
            body: Fq::reduce(rng.random()),
        })
        .collect();
    let tables: Vec<DigitTable> = (0..count)
        .map(|_| DigitTable::new(std::array::from_fn(|_| Fq::reduce(rng.random()))))
        .collect();
    let small = keyswitch(&Scalar, &keys.switch, &inputs).unwrap();
    assert_eq!(small, keyswitch(best(), &keys.switch, &inputs).unwrap());
    let mut switched: Vec<Switched> = small.iter().map(modulus_switch).collect();
    // The edges of the exponents.
    switched[0].mask[..8].copy_from_slice(&[0, 4095, 2048, 1, 0, 0, 0, 0]);
    let tables: Vec<&DigitTable> = tables.iter().collect();
    let slow = blind_rotate(&Scalar, &keys.boot, &switched, &tables).unwrap();
    let quick = blind_rotate(best(), &keys.boot, &switched, &tables).unwrap();
    assert!(slow == quick, "{} differs from scalar", best().name());
    let one = blind_rotate(best(), &keys.boot, &switched[..1], &tables[..1]).unwrap();
    assert!(one[0] == quick[0], "a batch of one differs");
}

#[test]
fn backends_are_bit_identical() {
    // BST-7, BST-13: an odd batch that is more than one pass, and every gadget.
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    backends_agree(fast(), 19, &mut rng);
    for params in [
        BootstrapParamsId::Boot2048B15L2V1,
        BootstrapParamsId::Boot2048B11L3V1,
    ] {
        backends_agree(&keys(params, 5), 3, &mut rng);
    }
}

/// The mean square of samples, against its prediction within `deviations` of
/// what so many Gaussian samples scatter by.
fn check_variance(what: &str, samples: &[f64], predicted_log2: f64, deviations: f64) {
    let n = samples.len() as f64;
    let ratio = (2.0 * (deviation_log2(samples) - predicted_log2)).exp2();
    assert!(
        (ratio - 1.0).abs() < deviations * (2.0 / n).sqrt(),
        "{what}: variance {ratio} of the predicted 2^{predicted_log2}^2"
    );
}

#[test]
fn two_thousand_bootstraps_without_a_failure() {
    // BST-11, BST-12: chained, so that every input is an output; and their
    // noise is what the formula says.
    let keys = fast();
    let mut rng = ChaCha20Rng::seed_from_u64(6);
    let (width, rounds) = match best().name() {
        "scalar" => (32, 8),
        _ => (64, 32),
    };
    let tables: Vec<DigitTable> = (0..width)
        .map(|i| DigitTable::of_digits(move |m| (5 * m + i as u8) % 16))
        .collect();
    let tables: Vec<&DigitTable> = tables.iter().collect();
    let mut digits: Vec<u8> = (0..width).map(|_| rng.random_range(0..16)).collect();
    let mut state: Vec<LweCiphertext> = digits
        .iter()
        .map(|m| keys.secret.encrypt_ring(encode_digit(*m), &mut rng))
        .collect();
    let mut errors = Vec::new();
    for round in 0..rounds {
        state = bootstrap(best(), &keys.switch, &keys.boot, &state, &tables).unwrap();
        for (i, (m, c)) in digits.iter_mut().zip(&state).enumerate() {
            *m = (5 * *m + i as u8) % 16;
            let phase = keys.secret.phase_ring(c).unwrap();
            assert_eq!(decode_digit(phase), Some(*m), "round {round}, digit {i}");
            errors.push((phase - encode_digit(*m)).centred() as f64);
        }
    }
    let [_, ring] = keys.secret.expose_words();
    let predicted = noise::blind_rotation(keys.boot.params(), ones(&ring));
    check_variance("output", &errors, predicted.log2_deviation(), 6.0);
    println!(
        "{} bootstraps, none failed; output deviation predicted 2^{:.2}, measured 2^{:.2}",
        errors.len(),
        predicted.log2_deviation(),
        deviation_log2(&errors),
    );
}

fn deviation_log2(samples: &[f64]) -> f64 {
    let square = samples.iter().map(|x| x * x).sum::<f64>() / samples.len() as f64;
    square.log2() / 2.0
}

#[test]
fn output_noise_of_the_finer_gadgets() {
    // BST-11
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    for params in [
        BootstrapParamsId::Boot2048B15L2V1,
        BootstrapParamsId::Boot2048B11L3V1,
    ] {
        let keys = keys(params, 8);
        let count = if best().name() == "scalar" { 32 } else { 160 };
        let table = DigitTable::of_digits(|m| m);
        let inputs: Vec<LweCiphertext> = (0..count)
            .map(|i| {
                keys.secret
                    .encrypt_ring(encode_digit(i as u8 % 16), &mut rng)
            })
            .collect();
        let tables = vec![&table; count];
        let outputs = bootstrap(best(), &keys.switch, &keys.boot, &inputs, &tables).unwrap();
        let errors: Vec<f64> = outputs
            .iter()
            .enumerate()
            .map(|(i, c)| {
                let phase = keys.secret.phase_ring(c).unwrap();
                (phase - encode_digit(i as u8 % 16)).centred() as f64
            })
            .collect();
        let [_, ring] = keys.secret.expose_words();
        let predicted = noise::blind_rotation(params, ones(&ring)).log2_deviation();
        check_variance(params.name(), &errors, predicted, 6.0);
        println!(
            "{}: predicted 2^{predicted:.2}, measured 2^{:.2}",
            params.name(),
            deviation_log2(&errors)
        );
    }
}

/// Errors of the keyswitch in words, and of both switches in steps of q/4096.
fn decision_errors(
    secret: &BootstrapSecret,
    switch: &KeyswitchKey,
    inputs: &[(LweCiphertext, Fq)],
) -> (Vec<f64>, Vec<f64>) {
    let [lwe, _] = secret.expose_words();
    let ciphertexts: Vec<LweCiphertext> = inputs.iter().map(|(c, _)| c.clone()).collect();
    let small = keyswitch(best(), switch, &ciphertexts).unwrap();
    let (mut first, mut both) = (Vec::new(), Vec::new());
    for (c, (_, message)) in small.iter().zip(inputs) {
        let error = secret.phase_lwe(c).unwrap() - *message;
        first.push(error.centred() as f64);
        let switched = modulus_switch(c);
        let inner: i64 = switched
            .mask
            .iter()
            .zip(lwe.iter())
            .map(|(a, s)| i64::from(*a) * *s as i64)
            .sum();
        let place = (i64::from(switched.body) - inner).rem_euclid(4096) as f64;
        let exact = message.word() as f64 / MODULUS as f64 * 4096.0;
        let error = (place - exact + 2048.0).rem_euclid(4096.0) - 2048.0;
        both.push(error * (MODULUS as f64 / 4096.0));
    }
    (first, both)
}

#[test]
fn noise_of_the_switches_is_predicted() {
    // BST-6, BST-10: from S_B, fresh encryptions add nothing that shows.
    let keys = fast();
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let inputs: Vec<(LweCiphertext, Fq)> = (0..2000)
        .map(|i| {
            let message = encode_digit((i % 16) as u8);
            (keys.secret.encrypt_ring(message, &mut rng), message)
        })
        .collect();
    let (first, both) = decision_errors(&keys.secret, &keys.switch, &inputs);
    let [_, ring] = keys.secret.expose_words();
    let switch = noise::keyswitch(KeyswitchParamsId::Boot2048B3L6V1, ones(&ring));
    // A digit's mean of -1/2 makes half the sum of a key's noise a constant:
    // the mean square is the prediction only over keys.
    check_variance("keyswitch", &first, switch.log2_deviation(), 12.0);
    let total = switch.plus(noise::modulus_switch());
    check_variance("both switches", &both, total.log2_deviation(), 6.0);
    println!(
        "keyswitch predicted 2^{:.2}, measured 2^{:.2}; with modulus switch 2^{:.2}, 2^{:.2}",
        switch.log2_deviation(),
        deviation_log2(&first),
        total.log2_deviation(),
        deviation_log2(&both),
    );
}

#[test]
fn rows_of_a_dataset_are_bootstrapped() {
    // BST-2, BST-8: digits less 8 at k = 59 in a chunk, 8 added in the clear.
    let mut rng = ChaCha20Rng::seed_from_u64(10);
    let keys = fast();
    let data = SecretKey::generate(&mut rng);
    let switch = data_keyswitch_key(&data, &keys.secret, &mut rng).unwrap();
    let switch = KeyswitchKey::expand(&switch);
    let rows: Vec<i64> = (0..4096).map(|i| (i * 5 + i / 16) % 16 - 8).collect();
    let chunk = encrypt_chunk(&data, 59, &[&rows], &mut rng).unwrap();
    let chunk = expand_chunk(&chunk);
    let of = |row: usize| {
        let mut c = LweCiphertext::of_row(&chunk[0], row).unwrap();
        c.body += encode_digit(8);
        c
    };
    let inputs: Vec<(LweCiphertext, Fq)> = (0..1000)
        .map(|i| {
            let row = i * 4095 / 999;
            (of(row), encode_digit((rows[row] + 8) as u8))
        })
        .collect();
    let (first, both) = decision_errors(&keys.secret, &switch, &inputs);
    let predicted = noise::keyswitch(
        KeyswitchParamsId::Data4096B3L6V1,
        ones(&data.expose_words()),
    );
    check_variance("keyswitch", &first, predicted.log2_deviation(), 12.0);
    let total = predicted.plus(noise::modulus_switch());
    check_variance("both switches", &both, total.log2_deviation(), 6.0);
    let table = DigitTable::of_digits(|m| u8::from(m > 6));
    let chosen: Vec<LweCiphertext> = inputs.iter().take(16).map(|(c, _)| c.clone()).collect();
    let outputs = bootstrap(best(), &switch, &keys.boot, &chosen, &[&table; 16]).unwrap();
    for (output, (_, message)) in outputs.iter().zip(&inputs) {
        let digit = decode_digit(*message).unwrap();
        let found = decode_digit(keys.secret.phase_ring(output).unwrap());
        assert_eq!(found, Some(u8::from(digit > 6)));
    }
    assert!(LweCiphertext::of_row(&chunk[0], 4096).is_none());
}

#[test]
fn a_linear_layer_between_bootstraps_within_its_limit() {
    // BST-12: 2 x - y + 3 on bootstrap outputs; squares of the weights 5.
    let keys = fast();
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    let output = noise::blind_rotation(keys.boot.params(), RING.0);
    let chain = KeyswitchParamsId::Boot2048B3L6V1;
    assert!(noise::is_admissible(output.times(5), chain));
    let identity = DigitTable::of_digits(|m| m);
    let pairs: Vec<(u8, u8)> = (0..16)
        .map(|_| {
            let y = rng.random_range(0..4);
            (rng.random_range(0..6), y)
        })
        .collect();
    let mut run = |pick: &dyn Fn(&(u8, u8)) -> u8| {
        let inputs: Vec<_> = pairs
            .iter()
            .map(|p| keys.secret.encrypt_ring(encode_digit(pick(p)), &mut rng))
            .collect();
        bootstrap(best(), &keys.switch, &keys.boot, &inputs, &[&identity; 16]).unwrap()
    };
    let (x, y) = (run(&|p| p.0), run(&|p| p.1));
    let sums: Vec<LweCiphertext> = x
        .iter()
        .zip(&y)
        .map(|(x, y)| {
            let mut sum = LweCiphertext::trivial(
                veilbourse_core::boot::params::LweDimension(RING.0),
                encode_digit(3),
            );
            sum.add_scaled(2, x);
            sum.add_scaled(-1, y);
            sum
        })
        .collect();
    let square = DigitTable::of_digits(|m| m * m % 16);
    let outputs = bootstrap(best(), &keys.switch, &keys.boot, &sums, &[&square; 16]).unwrap();
    for ((x, y), c) in pairs.iter().zip(&outputs) {
        let m = 2 * x + 3 - y;
        let found = decode_digit(keys.secret.phase_ring(c).unwrap());
        assert_eq!(found, Some(m * m % 16));
    }
}

#[test]
fn inputs_of_another_shape_are_refused() {
    // BST-13
    let keys = fast();
    let mut rng = ChaCha20Rng::seed_from_u64(12);
    let table = DigitTable::of_digits(|m| m);
    let good = keys.secret.encrypt_ring(Fq::ONE, &mut rng);
    let small = keys.secret.encrypt_lwe(Fq::ONE, &mut rng);
    let run = |inputs: &[LweCiphertext], tables: &[&DigitTable]| {
        bootstrap(best(), &keys.switch, &keys.boot, inputs, tables)
    };
    assert_eq!(run(&[], &[]), Ok(vec![]));
    assert!(matches!(
        run(std::slice::from_ref(&good), &[]),
        Err(EvalError::Count {
            field: "bootstrap tables",
            expected: 1,
            found: 0
        })
    ));
    assert!(matches!(
        run(&[good, small.clone()], &[&table; 2]),
        Err(EvalError::Count {
            field: "keyswitch input words",
            expected: 2048,
            found: 920
        })
    ));
    let switched = modulus_switch(&small);
    let rotate = |input: Switched| blind_rotate(best(), &keys.boot, &[input], &[&table]);
    let mut short = switched.clone();
    short.mask.pop();
    assert!(matches!(
        rotate(short),
        Err(EvalError::Count {
            field: "blind rotation input words",
            expected: 920,
            found: 919
        })
    ));
    assert_eq!(switched.mask.len(), LWE.0);
    let mut body = switched.clone();
    body.body = 4096;
    let mut mask = switched;
    mask.mask[919] = 5000;
    for (input, greatest) in [(body, 4096), (mask, 5000)] {
        assert!(matches!(
            rotate(input),
            Err(EvalError::Exponent { value, limit: 4095 }) if value == greatest
        ));
    }
}
