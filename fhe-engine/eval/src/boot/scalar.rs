//! The reference: blind rotation and keyswitch in plain integers.

use super::{
    backend::{LimbRows, Rotation},
    server_key::{BLOCKS, BootstrapKey, LANES, TILES, Vector},
    transform::{N, backward, forward, monomial, roots},
};
use veilbourse_core::{
    boot::{
        Gadget, RingCiphertext, Switched,
        params::{COMPONENTS, GROUPING, PATTERNS},
    },
    field::Fq,
};

pub(super) fn rotate(batch: Rotation<'_>) -> Vec<RingCiphertext> {
    batch
        .starts
        .into_iter()
        .zip(batch.inputs)
        .map(|(start, input)| {
            let mut acc = [start.a, start.b];
            for (group, words) in input.mask.chunks_exact(GROUPING).enumerate() {
                acc = step(batch.key, group, words, &acc);
            }
            let [a, b] = acc;
            RingCiphertext { a, b }
        })
        .collect()
}

/// One step (BST-7): the external product of acc with
/// sum over patterns of X^exponent GGSW(pattern).
fn step(key: &BootstrapKey, group: usize, words: &[u16], acc: &[Vec<Fq>; 2]) -> [Vec<Fq>; 2] {
    let gadget = key.params().gadget();
    let exponents = Switched::exponents(words);
    let roots = roots();
    let digits: Vec<Vec<Fq>> = (0..gadget.levels().0)
        .flat_map(|level| acc.iter().map(move |poly| digits(gadget, level, poly)))
        .collect();
    let mut out = [vec![Fq::ZERO; N], vec![Fq::ZERO; N]];
    for block in 0..BLOCKS {
        let vectors = key.block(group, block);
        for lane in 0..LANES {
            let j = block * LANES + lane;
            let values = exponents.map(|e| monomial(roots, e, j));
            for (poly, patterns) in vectors.chunks_exact(PATTERNS).enumerate() {
                let combined = patterns
                    .iter()
                    .zip(&values)
                    .fold(Fq::ZERO, |sum, (Vector(k), x)| {
                        sum + Fq::reduce(k[lane]) * *x
                    });
                out[poly % COMPONENTS][j] += combined * digits[poly / COMPONENTS][j];
            }
        }
    }
    for poly in &mut out {
        backward(poly);
    }
    out
}

/// The transform of the digits of one level (BST-3).
fn digits(gadget: Gadget, level: usize, poly: &[Fq]) -> Vec<Fq> {
    let mut out: Vec<Fq> = poly
        .iter()
        .map(|word| Fq::from_i64(gadget.digit(gadget.shifted(*word), level)))
        .collect();
    forward(&mut out);
    out
}

pub(super) fn limb_sums(batch: &LimbRows<'_>) -> Vec<[Vec<Fq>; 8]> {
    batch
        .limbs
        .iter()
        .map(|rows| {
            std::array::from_fn(|input| {
                let mut out = Vec::with_capacity(TILES * LANES);
                for tile in batch.key.tiles() {
                    let mut sums = [0u128; LANES];
                    for (Vector(words), Vector(limbs)) in tile.iter().zip(rows) {
                        for (sum, word) in sums.iter_mut().zip(words) {
                            // 24576 rows, limbs below 8: under 2^82.
                            *sum += u128::from(*word) * u128::from(limbs[input]);
                        }
                    }
                    out.extend(sums.map(Fq::reduce_wide));
                }
                out
            })
        })
        .collect()
}
