//! The re-randomisation of private outputs: (r p_0 + e_0, r p_1 + e_1) with
//! r = 2c - 1 (docs/spec/linear.md, LES-5, LES-6). c and e come from the
//! prover's PRF (LES-10); here they are only applied.

use crate::EvalError;
use veilbourse_core::{
    ciphertext::{OutputCiphertext, PublicKey},
    field::Fq,
    params::DATA_RING_DIMENSION as N,
    ring::Poly,
};

/// c and e of one output.
#[derive(Clone, Copy)]
pub struct Rerandomisation<'a> {
    /// N bits; r_i = 2 c_i - 1.
    pub c: &'a [bool],
    /// The coefficients of e(X), each -1, 0 or 1: e_0 (N), then e_1 (one when
    /// traced, N for a chunk).
    pub e: &'a [i8],
}

impl std::fmt::Debug for Rerandomisation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rerandomisation(..)")
    }
}

impl Rerandomisation<'_> {
    /// Adds the re-randomisation to an output.
    pub fn apply(
        &self,
        output: &mut OutputCiphertext,
        public_key: &PublicKey,
    ) -> Result<(), EvalError> {
        let bodies = match output {
            OutputCiphertext::Traced(_) => 1,
            OutputCiphertext::Rows { .. } => N,
        };
        count("rerandomisation.c", N, self.c.len())?;
        count("rerandomisation.e", N + bodies, self.e.len())?;
        if let Some((index, value)) = self
            .e
            .iter()
            .enumerate()
            .find(|(_, e)| !(-1..=1).contains(*e))
        {
            return Err(EvalError::NotTernary {
                index,
                value: *value,
            });
        }
        let (e_0, e_1) = self.e.split_at(N);
        let mut r = Poly::default();
        for (word, c) in r.iter_mut().zip(self.c) {
            *word = if *c { Fq::ONE } else { -Fq::ONE };
        }
        let transformed = r.transform();
        let times_r = |p: &Poly| {
            let mut product = p.transform();
            product.mul_pointwise(&transformed);
            product.inverse()
        };
        let mask = times_r(&public_key.mask());
        match output {
            OutputCiphertext::Traced(lwe) => {
                add(&mut lwe.t, &mask, e_0);
                // Only coefficient 0 of r p_1: r_0 p_0 - sum_{i>0} r_i p_{N-i}.
                let p_1 = &public_key.body;
                let first = p_1.iter().take(1).copied();
                let rest = p_1.iter().skip(1).rev().map(|w| -*w);
                lwe.b += first
                    .chain(rest)
                    .zip(self.c)
                    .fold(Fq::ZERO, |s, (w, c)| if *c { s + w } else { s - w });
                lwe.b += e_1
                    .iter()
                    .fold(Fq::ZERO, |s, e| s + Fq::from_i64(i64::from(*e)));
            }
            OutputCiphertext::Rows { glwe, .. } => {
                add(&mut glwe.a, &mask, e_0);
                add(&mut glwe.b, &times_r(&public_key.body), e_1);
            }
        }
        Ok(())
    }
}

fn add(sum: &mut Poly, p: &Poly, e: &[i8]) {
    sum.add_assign(p);
    for (word, e) in sum.iter_mut().zip(e) {
        *word += Fq::from_i64(i64::from(*e));
    }
}

fn count(field: &'static str, expected: usize, found: usize) -> Result<(), EvalError> {
    if expected == found {
        Ok(())
    } else {
        Err(EvalError::Count {
            field,
            expected,
            found,
        })
    }
}
