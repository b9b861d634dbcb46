//! Indexing: from a circuit's matrices to committed polynomials (the paper's
//! section 5.3.2, with one support for A, B and C).

use super::polynomial::{domain, interpolate};
use crate::{ProverError, r1cs::R1cs, srs::Srs};
use ark_bls12_381::{Fr, G1Projective};
use ark_ec::CurveGroup;
use ark_ff::{One, Zero, batch_inversion};
use ark_poly::EvaluationDomain;
use std::collections::BTreeMap;
use veilbourse_verifier::marlin::{InputPositions, MAX_LOG_SIZE, VerifyingKey};

/// What proves about one circuit.
#[derive(Debug, Clone)]
pub struct ProvingKey {
    pub(super) circuit: R1cs,
    pub(super) verifying: VerifyingKey,
    pub(super) positions: InputPositions,
    /// Exponent of each variable in H.
    pub(super) exponents: Vec<u32>,
    /// Row and column exponents and the three values of each non-zero,
    /// unpadded.
    pub(super) entries: Vec<Entry>,
    /// Values over K: row, col, val_A, val_B, val_C.
    pub(super) on_k: [Vec<Fr>; 5],
    /// Coefficients: row, col, row col, val_A, val_B, val_C.
    pub(super) index: [Vec<Fr>; 6],
}

/// One position of the joint support.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub row: u32,
    pub column: u32,
    pub values: [Fr; 3],
}

impl ProvingKey {
    /// The key that verifies.
    pub fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }
}

/// Indexes a circuit under a structured reference string.
pub fn index(srs: &Srs, circuit: &R1cs) -> Result<ProvingKey, ProverError> {
    let variables = 1 + circuit.public_inputs + circuit.witnesses;
    let (log_rows, positions) = rows_domain(circuit)?;
    let n = 1usize << log_rows;
    let exponents = place(&positions, n, circuit.public_inputs + 1, variables);
    let mut joint: BTreeMap<(u32, u32), [Fr; 3]> = BTreeMap::new();
    for (i, row) in circuit.rows.iter().enumerate() {
        for (m, entries) in row.iter().enumerate() {
            for (value, variable) in entries {
                let column = exponents.get(*variable as usize).ok_or_else(|| {
                    ProverError::Circuit(format!("row {i} names variable {variable}"))
                })?;
                let key = (i as u32, *column);
                joint.entry(key).or_insert([Fr::zero(); 3])[m] += value;
            }
        }
    }
    let k = joint.len().next_power_of_two().max(4);
    let log_nonzeros = k.trailing_zeros();
    if log_nonzeros > MAX_LOG_SIZE {
        return Err(ProverError::Circuit(format!("{} non-zeros", joint.len())));
    }
    let h: Vec<Fr> = domain(n).elements().collect();
    let size = Fr::from(n as u64);
    // 1 / u_H(c, c) = c / |H|, since u_H(c, c) = |H| c^(n-1) = |H| / c.
    let mut inverse = vec![size];
    batch_inversion(&mut inverse);
    let entries: Vec<Entry> = joint
        .into_iter()
        .map(|((row, column), values)| Entry {
            row,
            column,
            values,
        })
        .collect();
    let mut on_k: [Vec<Fr>; 5] = std::array::from_fn(|_| Vec::with_capacity(k));
    for e in &entries {
        let column = h[e.column as usize];
        on_k[0].push(h[e.row as usize]);
        on_k[1].push(column);
        for m in 0..3 {
            on_k[2 + m].push(e.values[m] * column * inverse[0]);
        }
    }
    for (i, v) in on_k.iter_mut().enumerate() {
        v.resize(k, if i < 2 { Fr::one() } else { Fr::zero() });
    }
    let row_col: Vec<Fr> = on_k[0].iter().zip(&on_k[1]).map(|(r, c)| *r * c).collect();
    let index = [
        interpolate(on_k[0].clone()),
        interpolate(on_k[1].clone()),
        interpolate(row_col),
        interpolate(on_k[2].clone()),
        interpolate(on_k[3].clone()),
        interpolate(on_k[4].clone()),
    ];
    let commitments: Vec<G1Projective> = index
        .iter()
        .map(|p| srs.commit(p))
        .collect::<Result<_, _>>()?;
    let commitments = G1Projective::normalize_batch(&commitments);
    let commitments = commitments
        .try_into()
        .map_err(|_| ProverError::Circuit("six index polynomials are committed".into()))?;
    let verifying =
        srs.verifying_key(log_rows, log_nonzeros, circuit.public_inputs, commitments)?;
    Ok(ProvingKey {
        circuit: circuit.clone(),
        verifying,
        positions,
        exponents,
        entries,
        on_k,
        index,
    })
}

/// The smallest H with room for all rows, all variables and, in at most half
/// of it, the public inputs.
fn rows_domain(circuit: &R1cs) -> Result<(u32, InputPositions), ProverError> {
    let inputs = circuit.public_inputs + 1;
    for log in 2..=MAX_LOG_SIZE {
        let n = 1usize << log;
        if circuit.rows.len() > n {
            continue;
        }
        if let Some(p) = InputPositions::new(log, inputs)
            && p.len() + circuit.witnesses <= n
        {
            return Ok((log, p));
        }
    }
    Err(ProverError::Circuit(format!(
        "{} rows and {} variables exceed 2^{MAX_LOG_SIZE}",
        circuit.rows.len(),
        inputs + circuit.witnesses
    )))
}

/// Public variables to X, the others to what is left of H, in order.
fn place(positions: &InputPositions, n: usize, inputs: usize, variables: usize) -> Vec<u32> {
    let mut taken = vec![false; n];
    for i in 0..positions.len() {
        taken[positions.exponent(i)] = true;
    }
    let mut out: Vec<u32> = (0..inputs).map(|i| positions.exponent(i) as u32).collect();
    let free = (0..n).filter(|e| !taken[*e]).map(|e| e as u32);
    out.extend(free.take(variables - inputs));
    out
}
