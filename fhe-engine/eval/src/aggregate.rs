//! Sums over the chunks of a segment (DS-3); their traces are in
//! `veilbourse_core::ciphertext`.

use crate::EvalError;
use rayon::prelude::*;
use veilbourse_core::ciphertext::{ChunkData, Glwe, SumData};

/// Expands the masks of a chunk: (a, b) of every column.
pub fn expand_chunk(chunk: &ChunkData) -> Vec<Glwe> {
    chunk.columns.par_iter().map(|c| c.expand()).collect()
}

/// Adds chunks one by one, so that no segment need be in memory.
#[derive(Debug, Clone)]
pub struct SumAccumulator {
    columns: Vec<Glwe>,
}

impl SumAccumulator {
    /// Zero, for a number of columns.
    pub fn new(columns: usize) -> Self {
        Self {
            columns: vec![Glwe::default(); columns],
        }
    }
    /// Adds an expanded chunk.
    pub fn add(&mut self, chunk: &[Glwe]) -> Result<(), EvalError> {
        if chunk.len() != self.columns.len() {
            return Err(EvalError::Count {
                field: "chunk.columns",
                expected: self.columns.len(),
                found: chunk.len(),
            });
        }
        self.columns
            .par_iter_mut()
            .zip(chunk)
            .for_each(|(sum, c)| sum.add_assign(c));
        Ok(())
    }
    /// Adds a chunk, expanding its masks.
    pub fn add_seeded(&mut self, chunk: &ChunkData) -> Result<(), EvalError> {
        self.add(&expand_chunk(chunk))
    }
    /// The sums.
    pub fn finish(self) -> SumData {
        SumData {
            columns: self.columns,
        }
    }
}
