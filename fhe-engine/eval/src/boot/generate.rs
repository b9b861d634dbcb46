//! Generation of the seeded keys (BST-5), by transforms; everything is a
//! function of the caller's randomness.

use super::{
    backend::best,
    secret::BootstrapSecret,
    transform::{N, roots},
};
use crate::{SecretKey, randomness};
use rand_core::CryptoRng;
use rayon::prelude::*;
use veilbourse_core::{
    boot::{
        Gadget, SeededBootstrapKey, SeededKeyswitchKey,
        mask::{KeyMask, key_mask},
        params::{
            BootstrapParamsId, COMPONENTS, GROUPING, GROUPS, KeyswitchParamsId, LWE_NOISE,
            PATTERNS, RING_NOISE,
        },
    },
    field::Fq,
    wire::WireError,
};
use zeroize::Zeroizing;

/// The bootstrap key of a gadget, under S_B.
pub fn bootstrap_key(
    secret: &BootstrapSecret,
    params: BootstrapParamsId,
    rng: &mut impl CryptoRng,
) -> Result<SeededBootstrapKey, WireError> {
    let mut seed = [0u8; 32];
    rng.fill_bytes(&mut seed);
    let noise_seeds: Vec<_> = (0..GROUPS).map(|_| randomness::fresh_seed(rng)).collect();
    let rows_of_group = PATTERNS * params.rows();
    let mut bodies = vec![Fq::ZERO; params.key_rows() * N];
    bodies
        .par_chunks_mut(rows_of_group * N)
        .zip(secret.lwe().par_chunks(GROUPING))
        .zip(&noise_seeds)
        .enumerate()
        .for_each(|(group, ((bodies, bits), noise_seed))| {
            let noise = randomness::samples(noise_seed, RING_NOISE, rows_of_group * N);
            let first = group * rows_of_group;
            let rows = bodies.chunks_exact_mut(N).zip(noise.chunks_exact(N));
            for (row, (body, noise)) in rows.enumerate() {
                let mask = key_mask(KeyMask::Bootstrap, &seed, (first + row) as u32);
                let place = Place::of(row, params);
                zero_body(secret, mask, noise, body);
                place.add_message(secret, params.gadget(), bits, body);
            }
        });
    SeededBootstrapKey::new(params, seed, bodies)
}

/// Where a row stands in its group (BST-5): pattern, digit, component.
struct Place {
    pattern: usize,
    level: usize,
    component: usize,
}

impl Place {
    fn of(row: usize, params: BootstrapParamsId) -> Self {
        let levels = params.gadget().levels().0;
        Self {
            pattern: row / (COMPONENTS * levels),
            level: row / COMPONENTS % levels,
            component: row % COMPONENTS,
        }
    }

    /// Adds mu 2^pos (component 1, the body) or -S mu 2^pos (component 0, the
    /// mask), mu the indicator of the pattern; no branch depends on a secret.
    fn add_message(&self, secret: &BootstrapSecret, gadget: Gadget, bits: &[Fq], body: &mut [Fq]) {
        let indicator = bits.iter().enumerate().fold(Fq::ONE, |product, (i, bit)| {
            product
                * if self.pattern >> i & 1 == 1 {
                    *bit
                } else {
                    Fq::ONE - *bit
                }
        });
        let message = Zeroizing::new(indicator * gadget.weight(self.level));
        if self.component == 0 {
            for (word, bit) in body.iter_mut().zip(secret.ring()) {
                *word -= *message * *bit;
            }
        } else if let Some(word) = body.first_mut() {
            *word += *message;
        }
    }
}

/// body = a S + e.
fn zero_body(secret: &BootstrapSecret, mask: Vec<Fq>, noise: &[i64], body: &mut [Fq]) {
    let backend = best();
    let mut product = Zeroizing::new(mask);
    backend.forward(&mut product);
    for (a, s) in product.iter_mut().zip(secret.ring_transformed()) {
        *a *= *s;
    }
    backend.backward(&mut product);
    let scale = roots().inverse_n;
    for ((word, product), e) in body.iter_mut().zip(product.iter()).zip(noise) {
        *word = *product * scale + Fq::from_i64(*e);
    }
}

/// The keyswitch key from the data key S_D.
pub fn data_keyswitch_key(
    data: &SecretKey,
    secret: &BootstrapSecret,
    rng: &mut impl CryptoRng,
) -> Result<SeededKeyswitchKey, WireError> {
    let params = KeyswitchParamsId::Data4096B3L6V1;
    switch_key(data.bits(), secret, params, rng)
}

/// The keyswitch key from S_B: from a bootstrap's output to the next one.
pub fn chain_keyswitch_key(
    secret: &BootstrapSecret,
    rng: &mut impl CryptoRng,
) -> Result<SeededKeyswitchKey, WireError> {
    let params = KeyswitchParamsId::Boot2048B3L6V1;
    switch_key(secret.ring(), secret, params, rng)
}

fn switch_key(
    from: &[Fq],
    to: &BootstrapSecret,
    params: KeyswitchParamsId,
    rng: &mut impl CryptoRng,
) -> Result<SeededKeyswitchKey, WireError> {
    let mut seed = [0u8; 32];
    rng.fill_bytes(&mut seed);
    let noise_seed = randomness::fresh_seed(rng);
    let noise = randomness::samples(&noise_seed, LWE_NOISE, params.key_rows());
    let gadget = params.gadget();
    let levels = gadget.levels().0;
    let bodies = noise
        .par_iter()
        .enumerate()
        .map(|(row, e)| {
            let mask = key_mask(KeyMask::Keyswitch, &seed, row as u32);
            let inner = mask
                .iter()
                .zip(to.lwe())
                .fold(Fq::ZERO, |sum, (a, s)| sum + *a * *s);
            let bit = from.get(row / levels).copied().unwrap_or_default();
            inner + Fq::from_i64(*e) + bit * gadget.weight(row % levels)
        })
        .collect();
    SeededKeyswitchKey::new(params, seed, bodies)
}
