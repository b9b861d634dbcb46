//! Multi-scalar multiplication in G1 of BLS12-381: Pippenger's method by `blst`
//! on all cores of the thread pool, in arkworks' types.
//!
//! Both libraries hold coordinates as six limbs in Montgomery form to the base
//! 2^384 and points in Jacobian coordinates, so conversion copies limbs.
//! docs/decisions/0016 has the measurement.

use ark_bls12_381::{Fq, Fr, G1Affine, G1Projective};
use ark_ec::AffineRepr;
use ark_ff::{BigInt, PrimeField, Zero};
use blst::{MultiPoint, blst_fp, blst_p1_affine};
use rayon::prelude::*;
use zeroize::Zeroize;

/// Bits of a scalar: r < 2^255.
const SCALAR_BITS: usize = 255;
/// Below this many points a thread of its own costs more than it brings.
const LEAST: usize = 1 << 10;

/// sum scalars_i bases_i; terms without a partner are left out.
pub fn msm(bases: &[G1Affine], scalars: &[Fr]) -> G1Projective {
    let n = bases.len().min(scalars.len());
    let each = n.div_ceil(rayon::current_num_threads()).max(LEAST);
    bases[..n]
        .par_chunks(each)
        .zip(scalars[..n].par_chunks(each))
        .map(|(b, s)| part(b, s))
        .sum()
}

/// scalar base, by `blst`'s multiplication of one point, whose time and memory
/// accesses do not depend on the scalar.
pub fn scale(base: &G1Affine, scalar: &Fr) -> G1Projective {
    part(std::slice::from_ref(base), std::slice::from_ref(scalar))
}

fn part(bases: &[G1Affine], scalars: &[Fr]) -> G1Projective {
    // blst has no place for the point at infinity among the bases.
    let terms = || bases.iter().zip(scalars).filter(|(b, _)| !b.is_zero());
    let points: Vec<blst_p1_affine> = terms()
        .map(|(b, _)| blst_p1_affine {
            x: blst_fp { l: b.x.0.0 },
            y: blst_fp { l: b.y.0.0 },
        })
        .collect();
    if points.is_empty() {
        return G1Projective::zero();
    }
    let mut bytes: Vec<u8> = terms()
        .flat_map(|(_, s)| s.into_bigint().0)
        .flat_map(u64::to_le_bytes)
        .collect();
    let sum = points.as_slice().mult(&bytes, SCALAR_BITS);
    bytes.zeroize();
    let limbs = |c: blst_fp| Fq::new_unchecked(BigInt(c.l));
    if sum.z.l == [0; 6] {
        return G1Projective::zero();
    }
    G1Projective::new_unchecked(limbs(sum.x), limbs(sum.y), limbs(sum.z))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marlin::random_scalar;
    use ark_ec::{CurveGroup, PrimeGroup, VariableBaseMSM};
    use ark_ff::One;
    use rand_core::SeedableRng;

    #[test]
    fn equals_that_of_arkworks() {
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(7);
        let g = G1Projective::generator();
        for n in [0, 1, 2, 3, 31, 33, 300, LEAST + 1, 3 * LEAST + 5] {
            let mut bases: Vec<G1Affine> = (0..n)
                .map(|_| (g * random_scalar(&mut rng)).into_affine())
                .collect();
            let mut scalars: Vec<Fr> = (0..n).map(|_| random_scalar(&mut rng)).collect();
            for (i, special) in [Fr::zero(), Fr::one(), -Fr::one()].into_iter().enumerate() {
                if let Some(s) = scalars.get_mut(i * 7) {
                    *s = special;
                }
            }
            if n > 20 {
                bases[3] = G1Affine::zero();
                bases[5] = bases[6];
                scalars[5] = scalars[6];
                bases[8] = (-bases[9].into_group()).into_affine();
                scalars[8] = scalars[9];
            }
            let ours = msm(&bases, &scalars);
            for (b, s) in bases.iter().zip(&scalars).take(12) {
                assert_eq!(scale(b, s), *b * s);
            }
            assert_eq!(ours, G1Projective::msm_unchecked(&bases, &scalars), "{n}");
        }
    }

    #[test]
    fn infinity_is_infinity() {
        let g = G1Projective::generator().into_affine();
        assert!(msm(&[g, g], &[Fr::one(), -Fr::one()]).is_zero());
        assert!(msm(&[g; 40], &[Fr::zero(); 40]).is_zero());
        assert!(msm(&[G1Affine::zero()], &[Fr::one()]).is_zero());
        // The shorter slice counts.
        assert_eq!(msm(&[g, g], &[Fr::one()]), G1Projective::generator());
    }
}
