//! Constants of the transforms and of the monomials' values, as vectors.

use crate::boot::{
    server_key::{BLOCKS, LANES, Vector},
    transform::{N, reversed, roots},
};
use std::sync::OnceLock;
use veilbourse_core::field::Fq;

/// Rows of the table of powers: psi^row times the eighth roots of unity.
pub(super) const ROWS: usize = 2 * N / LANES;

/// Roots of the three stages within two vectors, in the lanes where the
/// shuffles of `transform` put their words: distances 4, 2, 1.
pub(super) type Within = [Vector; 3];

pub(super) struct Tables {
    pub(super) forward: Vec<u64>,
    pub(super) backward: Vec<u64>,
    pub(super) forward_within: Vec<Within>,
    pub(super) backward_within: Vec<Within>,
    /// `powers[r]`: psi^(r + 512 m) in lane m.
    pub(super) powers: Box<[Vector; ROWS]>,
    /// `lanes[d mod 8][h]`: lane l holds (br(l) d + h) mod 8, the place in
    /// `powers[r]` of X^d's value in lane l of a block whose first value is
    /// psi^(r + 512 h).
    pub(super) lanes: [[Vector; LANES]; LANES],
    /// h of 2^24 = psi^(512 h).
    pub(super) limb: usize,
    /// 2 br(block) + 1, by which a block's first value is raised.
    pub(super) odd: [usize; BLOCKS],
}

pub(super) fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| {
        let roots = roots();
        let word = |i: usize| roots.powers[i % (2 * N)].word();
        let words = |v: &[Fq]| v.iter().map(|w| w.word()).collect::<Vec<u64>>();
        let (forward, backward) = (words(&roots.forward), words(&roots.backward));
        let mut powers = Box::new([Vector::ZERO; ROWS]);
        for (r, row) in powers.iter_mut().enumerate() {
            *row = Vector(std::array::from_fn(|m| word(r + ROWS * m)));
        }
        // psi^512 and 2^24 both have order 8, so there is one.
        let limb = (0..LANES).find(|m| word(ROWS * m) == 1 << 24);
        Tables {
            forward_within: within(&forward, [0, 0, 0, 0, 1, 1, 1, 1]),
            backward_within: within(&backward, [0, 0, 1, 1, 0, 0, 1, 1]),
            forward,
            backward,
            powers,
            lanes: std::array::from_fn(|d| {
                std::array::from_fn(|h| {
                    Vector(std::array::from_fn(|l| {
                        ((reversed(l, 3) * d + h) % LANES) as u64
                    }))
                })
            }),
            limb: limb.unwrap_or_default(),
            odd: std::array::from_fn(|block| 2 * reversed(block, 8) + 1),
        }
    })
}

/// `four[lane]`: which of the two vectors lane `lane` belongs to at distance 4.
fn within(roots: &[u64], four: [usize; LANES]) -> Vec<Within> {
    let lanes = |f: &dyn Fn(usize) -> usize| Vector(std::array::from_fn(|lane| roots[f(lane)]));
    (0..BLOCKS / 2)
        .map(|pair| {
            let block = |which: usize| 2 * pair + which;
            // At distances 2 and 1 lanes 2, 3, 6, 7 are of the second vector,
            // lanes 4.. of the upper half of either.
            let second = |lane: usize| lane >> 1 & 1;
            [
                lanes(&|lane| BLOCKS + block(four[lane])),
                lanes(&|lane| 2 * BLOCKS + 2 * block(second(lane)) + (lane >> 2)),
                lanes(&|lane| 4 * BLOCKS + 4 * block(second(lane)) + 2 * (lane >> 2) + (lane & 1)),
            ]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::transform::monomial;

    #[test]
    fn monomials_are_found_in_the_table() {
        // BST-7
        let t = tables();
        assert_eq!(t.powers[0].0[t.limb], 1 << 24);
        for exponent in [0u16, 1, 2, 3, 77, 2047, 2048, 3333, 4095] {
            for block in [0, 1, 2, 100, 255] {
                let e = t.odd[block] * usize::from(exponent) % (2 * N);
                let Vector(row) = t.powers[e % ROWS];
                let Vector(places) = t.lanes[usize::from(exponent) % 8][e / ROWS];
                for lane in 0..LANES {
                    let expected = monomial(roots(), exponent, block * LANES + lane);
                    assert_eq!(row[places[lane] as usize], expected.word());
                }
            }
        }
    }
}
