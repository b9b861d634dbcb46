//! Rank-1 constraint systems as sparse rows: <A,z> <B,z> = <C,z>.

use ark_bls12_381::Fr;
use ark_ff::Zero;

/// A circuit. Variable 0 is the constant one, then the public inputs, then the
/// witnesses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct R1cs {
    /// Number of public inputs, the constant one not counted.
    pub public_inputs: usize,
    /// Number of witnesses.
    pub witnesses: usize,
    /// Rows of A, B and C: (coefficient, variable).
    pub rows: Vec<[Vec<(Fr, u32)>; 3]>,
}

impl R1cs {
    /// Number of variables, the constant one included.
    pub fn variables(&self) -> usize {
        1 + self.public_inputs + self.witnesses
    }

    /// Whether z (constant one, public, witnesses) satisfies every row; the
    /// first row that it does not otherwise.
    pub fn is_satisfied(&self, z: &[Fr]) -> Result<(), usize> {
        let dot = |row: &[(Fr, u32)]| -> Fr {
            row.iter()
                .map(|(c, i)| *c * z.get(*i as usize).copied().unwrap_or(Fr::zero()))
                .sum()
        };
        for (i, [a, b, c]) in self.rows.iter().enumerate() {
            if dot(a) * dot(b) != dot(c) {
                return Err(i);
            }
        }
        Ok(())
    }

    /// Positions in the union of the supports of A, B and C: what Marlin pays
    /// for.
    pub fn joint_support(&self) -> usize {
        self.rows
            .iter()
            .map(|row| {
                let mut columns: Vec<u32> = row.iter().flatten().map(|(_, i)| *i).collect();
                columns.sort_unstable();
                columns.dedup();
                columns.len()
            })
            .sum()
    }
}
