//! The integer simulation of a linear program: the exact reference that every
//! decrypted result must equal.

use crate::{
    manifest::Manifest,
    params::DATA_RING_DIMENSION as N,
    program::{MatrixRef, Program, ProgramOutput, Weights},
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

/// The values of every output of a program, in order. `private` holds the
/// weights of each vector that the program hides; it is not read for public
/// ones. Nothing when the pieces do not belong together.
pub fn simulate_program(
    manifest: &Manifest,
    table: &QuantisedTable,
    program: &Program,
    private: &[Vec<i64>],
) -> Option<Vec<Vec<i64>>> {
    program
        .outputs
        .iter()
        .map(|output| {
            let index = output.vector as usize;
            let weights = match &program.vectors.get(index)?.weights {
                Weights::Public { values } => values,
                Weights::Private { .. } => private.get(index)?,
            };
            simulate(manifest, table, output, weights)
        })
        .collect()
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
        let vector = |weights| crate::program::WeightVector {
            label: "t".into(),
            scale_log2: 0,
            weights,
        };
        let hidden = Weights::Private {
            commitment: crate::digest::Digest([0; 32]),
            l1_bound: 1,
            l2_bound: 1,
        };
        let program = Program {
            version: crate::program::PROGRAM_VERSION,
            dataset: m.root(),
            vectors: vec![
                vector(Weights::Public { values: w.to_vec() }),
                vector(hidden),
            ],
            outputs: vec![traced, ProgramOutput { vector: 1, ..chunk }],
        };
        assert_eq!(
            simulate_program(&m, &table, &program, &[vec![], vec![1, 0, 0]]),
            Some(vec![vec![312], vec![1, 2, 3]])
        );
        assert_eq!(simulate_program(&m, &table, &program, &[]), None);
    }
}
