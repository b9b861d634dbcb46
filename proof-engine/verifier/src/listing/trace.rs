//! The LWE of the sum over all rows of a ring ciphertext, in ring form (DS-3).

use crate::field::Fq;
use p3_field::{PrimeCharacteristicRing, PrimeField64};

/// (t, b_tr) of a summed ciphertext (a, b), canonical words of equal number N.
///
/// b_tr = sum b_i. With prefix sums P(k) = a_0 + ... + a_(k-1) and the total
/// P(N), the mask a_tr,j of DS-3 is 2 P(N - j) - P(N), so t_0 = P(N) and
/// t_k = -a_tr,(N-k) = P(N) - 2 P(k): O(N).
pub fn trace(a: &[u64], b: &[u64]) -> (Vec<u64>, u64) {
    let total: Fq = a.iter().map(|w| Fq::new(*w)).sum();
    let body: Fq = b.iter().map(|w| Fq::new(*w)).sum();
    let mut prefix = Fq::ZERO;
    let t = a
        .iter()
        .map(|w| {
            let t = total - prefix.double();
            prefix += Fq::new(*w);
            t.as_canonical_u64()
        })
        .collect();
    (t, body.as_canonical_u64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use veilbourse_core::field::MODULUS;

    proptest! {
        // DS-3 written out, for any even N.
        #[test]
        fn is_the_definition(a in proptest::collection::vec(0..MODULUS, 1..40)) {
            let n = a.len();
            let at = |i: usize| Fq::new(a[i]);
            let mask: Vec<Fq> = (0..n)
                .map(|j| {
                    let plus: Fq = (j..n).map(|i| at(i - j)).sum();
                    let minus: Fq = (0..j).map(|i| at(n + i - j)).sum();
                    plus - minus
                })
                .collect();
            let (t, body) = trace(&a, &a);
            prop_assert_eq!(t[0], mask[0].as_canonical_u64());
            for j in 1..n {
                prop_assert_eq!(t[n - j], (-mask[j]).as_canonical_u64());
            }
            prop_assert_eq!(body, (0..n).map(at).sum::<Fq>().as_canonical_u64());
        }

        // What it is for: coefficient 0 of t S is the sum of the coefficients
        // of a S, for any S.
        #[test]
        fn sums_the_phase(
            a in proptest::collection::vec(0..MODULUS, 8),
            s in proptest::collection::vec(0..2u64, 8),
        ) {
            let product = |x: &[u64]| -> Vec<Fq> {
                let mut out = vec![Fq::ZERO; 8];
                for (i, x) in x.iter().enumerate() {
                    for (j, s) in s.iter().enumerate() {
                        let v = Fq::new(*x) * Fq::new(*s);
                        if i + j < 8 { out[i + j] += v } else { out[i + j - 8] -= v }
                    }
                }
                out
            };
            let (t, _) = trace(&a, &a);
            prop_assert_eq!(product(&t)[0], product(&a).into_iter().sum::<Fq>());
        }
    }
}
