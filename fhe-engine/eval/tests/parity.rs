//! Parity with `tfhe` on q = 2^64 - 2^32 + 1: its decryption of our
//! ciphertexts, ours of its ciphertexts, and the traps that made our own
//! arithmetic necessary.

mod common;

use rand::SeedableRng;
use tfhe::core_crypto::{commons::generators::DeterministicSeeder, prelude::*};
use tfhe_csprng::seeders::Seed;
use veilbourse_core::{
    ciphertext::{Glwe, OutputCiphertext, TracedLwe},
    field::MODULUS,
    params::{DATA_NOISE_TUNIFORM, DATA_RING_DIMENSION as N},
    ring::Poly,
};
use veilbourse_eval::{SecretKey, expand_chunk};

fn modulus() -> CiphertextModulus<u64> {
    CiphertextModulus::try_new(u128::from(MODULUS)).unwrap()
}

fn tfhe_key(key: &SecretKey) -> GlweSecretKeyOwned<u64> {
    GlweSecretKey::from_container(key.expose_words().to_vec(), PolynomialSize(N))
}

#[test]
fn tfhe_decrypts_our_ciphertexts() {
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
    let data = common::dataset(&mut rng, &[300], &[1000, 7], 40);
    for c in expand_chunk(&data.chunks[0][0]) {
        let mut words = c.a.words();
        words.extend(c.b.words());
        let theirs = GlweCiphertext::from_container(words, PolynomialSize(N), modulus());
        let mut phase = PlaintextList::new(0u64, PlaintextCount(N));
        decrypt_glwe_ciphertext(&tfhe_key(&data.key), &theirs, &mut phase);
        assert_eq!(phase.as_ref(), data.key.phase(&c).words());
    }
    // The traced form, as an LWE ciphertext under the same bits (DS-3):
    // a_tr,0 = t_0, a_tr,j = -t_{N-j}.
    for t in &data.traced[0] {
        let mut words = vec![t.t[0].word()];
        words.extend((1..N).map(|j| (-t.t[N - j]).word()));
        words.push(t.b.word());
        let theirs = LweCiphertext::from_container(words, modulus());
        let key = LweSecretKey::from_container(data.key.expose_words().to_vec());
        let phase = decrypt_lwe_ciphertext(&key, &theirs).0;
        let ours = data
            .key
            .open_with_noise(&OutputCiphertext::Traced(t.clone()), 40)
            .unwrap()[0];
        let expected = (i128::from(ours.value) << 40) + i128::from(ours.noise);
        assert_eq!(i128::from(phase), expected.rem_euclid(i128::from(MODULUS)));
    }
}

#[test]
fn we_decrypt_ciphertexts_of_tfhe() {
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(2);
    let key = SecretKey::generate(&mut rng);
    let mut seeder = DeterministicSeeder::<DefaultRandomGenerator>::new(Seed(3));
    let mut generator =
        EncryptionRandomGenerator::<DefaultRandomGenerator>::new(seeder.seed(), &mut seeder);
    let k = 40;
    let x: Vec<u64> = (0..N as u64).map(|i| (i * i % 1000) << k).collect();
    let mut theirs = GlweCiphertext::new(0u64, GlweSize(2), PolynomialSize(N), modulus());
    encrypt_glwe_ciphertext(
        &tfhe_key(&key),
        &mut theirs,
        &PlaintextList::from_container(x.clone()),
        DynamicDistribution::new_t_uniform(DATA_NOISE_TUNIFORM),
        &mut generator,
    );
    let (a, b) = theirs.as_ref().split_at(N);
    let glwe = Glwe {
        a: Poly::from_words("a", a).unwrap(),
        b: Poly::from_words("b", b).unwrap(),
    };
    let traced = TracedLwe::of(&glwe);
    let output = OutputCiphertext::Rows {
        glwe,
        rows: N as u32,
    };
    let opened = key.open_with_noise(&output, k).unwrap();
    for (o, x) in opened.iter().zip(&x) {
        assert_eq!(o.value, (x >> k) as i64);
        assert!(o.noise.abs() <= 1 << DATA_NOISE_TUNIFORM);
    }
    let sum: u64 = x.iter().map(|x| x >> k).sum();
    let opened = key.open(&OutputCiphertext::Traced(traced), k).unwrap();
    assert_eq!(opened, vec![sum as i64]);
}

#[test]
fn products_equal_those_of_tfhe_ntt() {
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(4);
    let key = SecretKey::generate(&mut rng);
    let a = veilbourse_core::xof::mask(veilbourse_core::xof::MaskKind::Glwe, &[5; 32]);
    let s = Poly::from_words("s", &key.expose_words()).unwrap();
    let plan = tfhe_ntt::prime64::Plan::try_new(N, MODULUS).unwrap();
    let (mut x, mut y) = (a.words(), s.words());
    plan.fwd(&mut x);
    plan.fwd(&mut y);
    plan.mul_assign_normalize(&mut x, &y);
    plan.inv(&mut x);
    assert_eq!(x, a.mul(&s).words());
}
