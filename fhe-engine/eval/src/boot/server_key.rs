//! Keys as evaluation reads them: expanded, transformed, in the order of use.

use super::{
    backend::best,
    transform::{N, roots},
};
use rayon::prelude::*;
use veilbourse_core::{
    boot::{
        SeededBootstrapKey, SeededKeyswitchKey,
        mask::{KeyMask, key_mask},
        params::{BootstrapParamsId, COMPONENTS, GROUPS, KeyswitchParamsId, LWE, PATTERNS},
    },
    field::Fq,
};

/// Words in a vector.
pub(super) const LANES: usize = 8;
/// Vectors of one ring element.
pub(super) const BLOCKS: usize = N / LANES;
/// Vectors that hold a mask of n words and a body.
pub(super) const TILES: usize = (LWE.0 + 1).div_ceil(LANES);

/// Eight words, one cache line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub(super) struct Vector(pub(super) [u64; LANES]);

impl Vector {
    pub(super) const ZERO: Self = Self([0; LANES]);
}

/// An expanded bootstrap key: 241 MB for each digit of its gadget.
///
/// Values of the transform, times 1/N, as [group][block of 8 values]
/// [polynomial][pattern][8], polynomial = (digit, component multiplied,
/// component of the result): what one block of values needs lies together,
/// and a step reads its part of the key once from front to back.
pub struct BootstrapKey {
    params: BootstrapParamsId,
    words: Vec<Vector>,
}

impl std::fmt::Debug for BootstrapKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BootstrapKey({})", self.params.name())
    }
}

impl BootstrapKey {
    /// Expands the masks and transforms every row.
    pub fn expand(seeded: &SeededBootstrapKey) -> Self {
        let params = seeded.params();
        let polynomials = COMPONENTS * params.rows();
        let rows_of_group = PATTERNS * params.rows();
        let of_block = polynomials * PATTERNS;
        let mut words = vec![Vector::ZERO; GROUPS * BLOCKS * of_block];
        let bodies: Vec<&[Fq]> = seeded.bodies().collect();
        words
            .par_chunks_mut(BLOCKS * of_block)
            .zip(bodies.par_chunks(rows_of_group))
            .enumerate()
            .for_each(|(group, (out, bodies))| {
                for (row, body) in bodies.iter().enumerate() {
                    let index = (group * rows_of_group + row) as u32;
                    let mask = key_mask(KeyMask::Bootstrap, seeded.seed(), index);
                    let (pattern, row) = (row / params.rows(), row % params.rows());
                    for (component, mut poly) in [mask, body.to_vec()].into_iter().enumerate() {
                        transform_scaled(&mut poly);
                        let at = (row * COMPONENTS + component) * PATTERNS + pattern;
                        scatter(&poly, out, at, of_block);
                    }
                }
            });
        Self { params, words }
    }
    /// Its set.
    pub fn params(&self) -> BootstrapParamsId {
        self.params
    }
    /// Vectors of one block of one step.
    fn of_block(&self) -> usize {
        COMPONENTS * self.params.rows() * PATTERNS
    }
    /// The vectors that one block of one step takes: [polynomial][pattern].
    pub(super) fn block(&self, group: usize, block: usize) -> &[Vector] {
        let at = (group * BLOCKS + block) * self.of_block();
        &self.words[at..at + self.of_block()]
    }
    /// Those of the block after it, none after the last.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn after(&self, group: usize, block: usize) -> &[Vector] {
        let at = (group * BLOCKS + block + 1) * self.of_block();
        let end = self.words.len().min(at + self.of_block());
        self.words.get(at..end).unwrap_or_default()
    }
}

fn transform_scaled(poly: &mut [Fq]) {
    best().forward(poly);
    let scale = roots().inverse_n;
    for word in poly {
        *word *= scale;
    }
}

/// Puts the blocks of a polynomial at `at` of each run of `of_block` vectors.
fn scatter(poly: &[Fq], out: &mut [Vector], at: usize, of_block: usize) {
    let blocks = poly.as_chunks::<LANES>().0;
    for (run, block) in out.chunks_exact_mut(of_block).zip(blocks) {
        if let Some(vector) = run.get_mut(at) {
            *vector = Vector(block.map(Fq::word));
        }
    }
}

/// An expanded keyswitch key: 182 MB from the data key, 91 MB from S_B.
///
/// Words as [tile of 8 columns][row][8]: columns are the 920 mask words, the
/// body, seven zeros.
pub struct KeyswitchKey {
    params: KeyswitchParamsId,
    words: Vec<Vector>,
    /// Half the base times the sum of all rows: digits are limbs less that.
    half_sums: Vec<Fq>,
}

impl std::fmt::Debug for KeyswitchKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyswitchKey({})", self.params.name())
    }
}

impl KeyswitchKey {
    /// Expands the masks.
    pub fn expand(seeded: &SeededKeyswitchKey) -> Self {
        let params = seeded.params();
        let rows = params.key_rows();
        let mut words = vec![Vector::ZERO; TILES * rows];
        let mut sums = vec![Fq::ZERO; TILES * LANES];
        for (row, body) in seeded.bodies().iter().enumerate() {
            let mut line = key_mask(KeyMask::Keyswitch, seeded.seed(), row as u32);
            line.push(*body);
            line.resize(TILES * LANES, Fq::ZERO);
            for (sum, word) in sums.iter_mut().zip(&line) {
                *sum += *word;
            }
            for (tile, eight) in line.as_chunks::<LANES>().0.iter().enumerate() {
                words[tile * rows + row] = Vector(eight.map(Fq::word));
            }
        }
        let half = Fq::reduce(params.gadget().half_base());
        let half_sums = sums.into_iter().map(|sum| sum * half).collect();
        Self {
            params,
            words,
            half_sums,
        }
    }
    /// Its set.
    pub fn params(&self) -> KeyswitchParamsId {
        self.params
    }
    /// The rows of eight columns, tile by tile.
    pub(super) fn tiles(&self) -> std::slice::ChunksExact<'_, Vector> {
        self.words.chunks_exact(self.params.key_rows())
    }
    /// Half the base times the sum of all rows.
    pub(super) fn half_sums(&self) -> &[Fq] {
        &self.half_sums
    }
}
