//! The integer simulation of a linear program: the exact reference that every
//! decrypted result must equal.

use crate::{
    manifest::Manifest,
    params::DATA_RING_DIMENSION as N,
    program::{MatrixRef, ProgramOutput},
    table::QuantisedTable,
};

/// The values an output must open to: one for a traced output, one a row for a
/// chunk; nothing when table, manifest and weights do not belong together.
pub fn simulate(
    manifest: &Manifest,
    table: &QuantisedTable,
    output: &ProgramOutput,
    weights: &[i64],
) -> Option<Vec<i64>> {
    let (MatrixRef::Traced { segment } | MatrixRef::Chunk { segment, .. }) = output.over;
    let segment = segment as usize;
    let rows = usize::try_from(manifest.segments.get(segment)?.rows).ok()?;
    let columns = table.segments.get(segment)?;
    let (encrypted, public) = weights.split_at_checked(manifest.columns.len())?;
    if columns.len() != encrypted.len() || public.len() != manifest.public_columns.len() {
        return None;
    }
    let mut constant = 0i128;
    for (w, g) in public.iter().zip(&manifest.public_columns) {
        constant += i128::from(*w) * i128::from(*g.values.get(segment)?);
    }
    let range = match output.over {
        MatrixRef::Traced { .. } => 0..rows,
        MatrixRef::Chunk { chunk, .. } => {
            let first = chunk as usize * N;
            first..rows.min(first + N)
        }
    };
    let mut scores = vec![constant; range.len()];
    for (w, column) in encrypted.iter().zip(columns) {
        for (score, x) in scores.iter_mut().zip(column.get(range.clone())?) {
            *score += i128::from(*w) * i128::from(*x);
        }
    }
    match output.over {
        MatrixRef::Traced { .. } => Some(vec![i64::try_from(scores.iter().sum::<i128>()).ok()?]),
        MatrixRef::Chunk { .. } => scores.into_iter().map(|s| i64::try_from(s).ok()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_times_rows() {
        let m = crate::budget::tests_manifest(&[3], &[10, 10], 20);
        let table = QuantisedTable {
            segments: vec![vec![vec![1, 2, 3], vec![-1, 0, 10]]],
            origin: vec![vec![0, 1, 2]],
        };
        let w = [5, -2, 100];
        let chunk = ProgramOutput {
            over: MatrixRef::Chunk {
                segment: 0,
                chunk: 0,
            },
            vector: 0,
        };
        let traced = ProgramOutput {
            over: MatrixRef::Traced { segment: 0 },
            vector: 0,
        };
        assert_eq!(simulate(&m, &table, &chunk, &w), Some(vec![107, 110, 95]));
        assert_eq!(simulate(&m, &table, &traced, &w), Some(vec![312]));
        assert_eq!(simulate(&m, &table, &traced, &w[..2]), None);
    }
}
