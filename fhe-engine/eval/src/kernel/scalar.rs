//! The weighted sum in plain integers: i128 accumulators, one reduction a word.

use super::Terms;
use veilbourse_core::field::Fq;

/// Words worked on at a time: their accumulators stay in the first cache.
const TILE: usize = 512;

pub(super) fn weighted_sum(terms: &Terms<'_>) -> Vec<Fq> {
    let mut out = Vec::with_capacity(terms.len);
    let mut wide = [0i128; TILE];
    for start in (0..terms.len).step_by(TILE) {
        let end = terms.len.min(start + TILE);
        wide.fill(0);
        for (w, column) in &terms.terms {
            let w = i128::from(*w);
            let words = column.get(start..end).unwrap_or_default();
            for (sum, x) in wide.iter_mut().zip(words) {
                // At most 2^8 2^24 2^64 in magnitude.
                *sum += w * i128::from(x.word());
            }
        }
        out.extend(wide.iter().take(end - start).map(|s| Fq::from_i128(*s)));
    }
    out
}
