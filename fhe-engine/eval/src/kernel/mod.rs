//! The weighted sum of columns over F_q, out_i = sum_f w_f x_f,i: the inner
//! loop of every linear evaluation. Two kernels, bit-identical, one chosen at
//! run time.
//!
//! Columns are at most 256, words are below 2^64 and |w| < 2^24, so the sums
//! of the products of |w| with the low and with the high 32 bits of the words
//! stay below 2^8 2^24 2^32 = 2^64: no reduction until the end.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;

use crate::EvalError;
use veilbourse_core::{field::Fq, manifest::MAX_COLUMNS, program::MAX_WEIGHT_LOG2};

/// The terms of a weighted sum, checked: as many weights as columns, at most
/// [`MAX_COLUMNS`], weights below 2^24 in magnitude, columns of one length.
#[derive(Debug, Clone)]
pub struct Terms<'a> {
    terms: Vec<(i64, &'a [Fq])>,
    len: usize,
}

impl<'a> Terms<'a> {
    /// Checks the terms (LES-1).
    pub fn new(weights: &[i64], columns: &[&'a [Fq]]) -> Result<Self, EvalError> {
        let count = |field, expected, found| {
            if expected == found {
                Ok(())
            } else {
                Err(EvalError::Count {
                    field,
                    expected,
                    found,
                })
            }
        };
        count("weights", columns.len(), weights.len())?;
        if columns.len() > MAX_COLUMNS as usize {
            return Err(EvalError::Count {
                field: "columns (at most)",
                expected: MAX_COLUMNS as usize,
                found: columns.len(),
            });
        }
        let len = columns.first().map_or(0, |c| c.len());
        for (index, (w, c)) in weights.iter().zip(columns).enumerate() {
            count("column words", len, c.len())?;
            if w.unsigned_abs() >> MAX_WEIGHT_LOG2 != 0 {
                return Err(EvalError::Weight {
                    index,
                    value: *w,
                    limit_log2: MAX_WEIGHT_LOG2,
                });
            }
        }
        Ok(Self {
            terms: weights
                .iter()
                .copied()
                .zip(columns.iter().copied())
                .collect(),
            len,
        })
    }
    /// Words of each column.
    pub fn column_len(&self) -> usize {
        self.len
    }
    /// The weighted columns of one sign: |w| and the words.
    #[cfg(target_arch = "x86_64")]
    fn of_sign(&self, negative: bool) -> Vec<(u32, &'a [Fq])> {
        self.terms
            .iter()
            .filter(|(w, _)| *w != 0 && (*w < 0) == negative)
            // |w| < 2^24 was checked.
            .map(|(w, c)| (w.unsigned_abs() as u32, *c))
            .collect()
    }
}

/// A way to compute weighted sums.
pub trait Kernel: Send + Sync + std::fmt::Debug {
    /// Its name, for reports.
    fn name(&self) -> &'static str;
    /// The weighted sum, one word for each word of a column.
    fn weighted_sum(&self, terms: &Terms<'_>) -> Vec<Fq>;
}

/// Plain integer arithmetic; the reference.
#[derive(Debug, Clone, Copy)]
pub struct Scalar;

impl Kernel for Scalar {
    fn name(&self) -> &'static str {
        "scalar"
    }
    fn weighted_sum(&self, terms: &Terms<'_>) -> Vec<Fq> {
        scalar::weighted_sum(terms)
    }
}

/// AVX-512F; exists only where the processor has it.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
pub struct Avx512(());

#[cfg(target_arch = "x86_64")]
impl Avx512 {
    /// The kernel, where the processor has AVX-512F.
    pub fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx512f").then_some(Self(()))
    }
}

#[cfg(target_arch = "x86_64")]
impl Kernel for Avx512 {
    fn name(&self) -> &'static str {
        "avx512"
    }
    #[allow(unsafe_code)]
    fn weighted_sum(&self, terms: &Terms<'_>) -> Vec<Fq> {
        // SAFETY: a value of this type exists only if AVX-512F was detected.
        unsafe { avx512::weighted_sum(terms) }
    }
}

/// The fastest kernel of this machine.
pub fn best() -> &'static dyn Kernel {
    #[cfg(target_arch = "x86_64")]
    {
        static AVX512: Avx512 = Avx512(());
        if Avx512::detect().is_some() {
            return &AVX512;
        }
    }
    &Scalar
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use veilbourse_core::field::MODULUS;

    fn word() -> impl Strategy<Value = u64> {
        prop_oneof![
            4 => 0..MODULUS,
            1 => Just(MODULUS - 1),
            1 => Just(0),
            1 => Just(0xffff_ffff),
            1 => Just(0xffff_ffff_0000_0000),
        ]
    }
    fn weight() -> impl Strategy<Value = i64> {
        let edge = (1i64 << 24) - 1;
        prop_oneof![3 => -edge..=edge, 1 => Just(edge), 1 => Just(-edge), 1 => Just(0)]
    }
    fn naive(weights: &[i64], columns: &[&[Fq]]) -> Vec<Fq> {
        let len = columns.first().map_or(0, |c| c.len());
        (0..len)
            .map(|i| {
                weights
                    .iter()
                    .zip(columns)
                    .fold(Fq::ZERO, |s, (w, c)| s + Fq::from_i64(*w) * c[i])
            })
            .collect()
    }
    fn check(weights: &[i64], columns: &[Vec<Fq>]) {
        let columns: Vec<&[Fq]> = columns.iter().map(Vec::as_slice).collect();
        let terms = Terms::new(weights, &columns).unwrap();
        let expected = naive(weights, &columns);
        assert_eq!(Scalar.weighted_sum(&terms), expected);
        assert_eq!(best().weighted_sum(&terms), expected, "{}", best().name());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn kernels_are_bit_identical(
            (weights, columns) in (1usize..12, 0usize..1100).prop_flat_map(|(f, n)| (
                prop::collection::vec(weight(), f),
                prop::collection::vec(prop::collection::vec(word(), n), f),
            ))
        ) {
            let columns: Vec<Vec<Fq>> = columns
                .into_iter()
                .map(|c| c.into_iter().map(Fq::reduce).collect())
                .collect();
            check(&weights, &columns);
        }
    }

    #[test]
    fn accumulators_hold_the_worst_case() {
        // 256 columns of the greatest weights and words, of either sign.
        let edge = (1i64 << 24) - 1;
        for greatest in [MODULUS - 1, 0xffff_fffe_ffff_ffff, 0xffff_ffff] {
            let columns = vec![vec![Fq::reduce(greatest); 24]; 256];
            check(&[edge; 256], &columns);
            check(&[-edge; 256], &columns);
        }
    }

    #[test]
    fn terms_that_do_not_fit_are_refused() {
        // LES-1
        let (a, b) = ([Fq::ONE; 4], [Fq::ONE; 3]);
        assert!(matches!(
            Terms::new(&[1 << 24], &[&a]),
            Err(EvalError::Weight { index: 0, .. })
        ));
        assert!(matches!(
            Terms::new(&[0, i64::MIN], &[&a, &a]),
            Err(EvalError::Weight { index: 1, .. })
        ));
        assert!(matches!(
            Terms::new(&[1], &[&a, &a]),
            Err(EvalError::Count {
                field: "weights",
                ..
            })
        ));
        assert!(matches!(
            Terms::new(&[1, 1], &[&a, &b]),
            Err(EvalError::Count {
                field: "column words",
                ..
            })
        ));
        assert!(matches!(
            Terms::new(&[1; 257], &[&a[..]; 257]),
            Err(EvalError::Count { expected: 256, .. })
        ));
    }
}
