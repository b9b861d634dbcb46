//! Quantisation (decision 1): X = round(x 2^s), ties away from zero, s the
//! greatest integer with |X| <= 2^bits over the published range.
//!
//! A column of range 1 at 10 bits is thus held as 0..=1024: the noise of a
//! linear output grows with sqrt(sum w^2) (rule BUD-3), and the same model has
//! smaller weights on larger values. Multiplication by a power of two is exact
//! in doubles, so the same table gives the same integers everywhere (BUD-5).

/// Largest magnitude of a real value.
pub const MAX_MAGNITUDE: f64 = (1u64 << 60) as f64;
/// Largest magnitude of a derived scale; leaves room for products (+-64).
pub(crate) const MAX_BASE_SCALE: i32 = 62;

/// 2^e, exactly.
pub fn exp2(e: i32) -> f64 {
    f64::from_bits(((1023 + i64::from(e.clamp(-1022, 1023))) as u64) << 52)
}

/// Least e with x <= 2^e, for finite x > 0.
pub fn ceil_log2(x: f64) -> i32 {
    let mut e = ((x.to_bits() >> 52) & 0x7ff) as i32 - 1023;
    if exp2(e) < x {
        e += 1;
    }
    e.max(-1022)
}

/// Least e with x <= 2^e, for x > 0.
pub(crate) fn ceil_log2_int(x: u64) -> u32 {
    u64::BITS - x.saturating_sub(1).leading_zeros()
}

/// A published range in real units; it always holds zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Least value.
    pub min: f64,
    /// Greatest value.
    pub max: f64,
}

impl Range {
    /// The range published for data in `min..=max`: each bound that the
    /// custodian does not declare is moved outwards to zero or a power of two,
    /// so it tells no more of the extreme rows than their magnitude.
    pub fn published(min: f64, max: f64, declared: (Option<f64>, Option<f64>)) -> Self {
        let up = |v: f64| if v > 0.0 { exp2(ceil_log2(v)) } else { 0.0 };
        Self {
            min: declared.0.unwrap_or_else(|| -up(-min)),
            max: declared.1.unwrap_or_else(|| up(max)),
        }
    }

    /// The larger magnitude of its bounds.
    pub fn max_abs(&self) -> f64 {
        self.min.abs().max(self.max.abs())
    }
}

/// Scale and integer bounds of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantiser {
    /// s: X = round(x 2^s).
    pub scale_log2: i32,
    /// Least X.
    pub min: i64,
    /// Greatest X.
    pub max: i64,
}

impl Quantiser {
    /// The finest scale with |X| <= 2^bits over the range; bounds are rounded
    /// outwards.
    pub fn fit(range: Range, bits: u32) -> Self {
        let magnitude = range.max_abs();
        let bits = bits as i32;
        let scale_log2 = if magnitude > 0.0 {
            (bits - ceil_log2(magnitude)).clamp(-MAX_BASE_SCALE, MAX_BASE_SCALE)
        } else {
            0
        };
        // ceil_log2 is coarse by up to a bit only for non-powers, and then one
        // more bit would exceed 2^bits: 2^(e-1) < m, so m 2^(s+1) > 2^bits.
        let f = exp2(scale_log2);
        Self {
            scale_log2,
            min: (range.min * f).floor() as i64,
            max: (range.max * f).ceil() as i64,
        }
    }

    /// X of a value inside the range.
    pub fn quantise(&self, x: f64) -> i64 {
        ((x * exp2(self.scale_log2)).round() as i64).clamp(self.min, self.max)
    }

    /// The real value that X stands for.
    pub fn dequantise(&self, x: i64) -> f64 {
        dequantise(x, self.scale_log2)
    }
}

/// x / 2^scale.
pub fn dequantise(x: i64, scale_log2: i32) -> f64 {
    x as f64 * exp2(-scale_log2)
}

/// A public column's values as integers: exact at the least scale where they
/// are dyadic, else 16 bits. A small scale matters: the weight of a public
/// column is w / 2^scale, so a fine scale would make its weight coarse.
pub(crate) fn public_values(values: &[f64]) -> (i32, Vec<i64>) {
    let magnitude = values.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let exact = (0..=16).find(|s| {
        let f = exp2(*s);
        magnitude * f <= exp2(32) && values.iter().all(|v| (v * f).fract() == 0.0)
    });
    let scale = exact.unwrap_or_else(|| {
        (16 - ceil_log2(magnitude.max(exp2(-40)))).clamp(-MAX_BASE_SCALE, MAX_BASE_SCALE)
    });
    let f = exp2(scale);
    (
        scale,
        values.iter().map(|v| (v * f).round() as i64).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_round_up() {
        for (x, e) in [
            (1.0, 0),
            (2.0, 1),
            (1.5, 1),
            (0.75, 0),
            (0.5, -1),
            (77.0, 7),
            (1e-300, -996),
        ] {
            assert_eq!(ceil_log2(x), e, "{x}");
        }
        for (x, e) in [(1, 0), (2, 1), (3, 2), (1024, 10), (1025, 11), (0, 0)] {
            assert_eq!(ceil_log2_int(x), e, "{x}");
        }
    }

    #[test]
    fn an_indicator_fills_its_bits() {
        let q = Quantiser::fit(Range::published(0.0, 1.0, (None, None)), 10);
        assert_eq!(
            q,
            Quantiser {
                scale_log2: 10,
                min: 0,
                max: 1024
            }
        );
        assert_eq!((q.quantise(0.0), q.quantise(1.0)), (0, 1024));
    }

    #[test]
    fn undeclared_bounds_tell_only_the_magnitude() {
        let r = |a, b| Range::published(a, b, (None, None));
        assert_eq!(r(0.0, 77.0), r(0.5, 127.0));
        assert_eq!(
            r(-3.0, 5.0),
            Range {
                min: -4.0,
                max: 8.0
            }
        );
        let declared = Range::published(-3.0, 5.0, (Some(-3.5), Some(100.0)));
        assert_eq!(
            declared,
            Range {
                min: -3.5,
                max: 100.0
            }
        );
        let q = Quantiser::fit(declared, 10);
        assert_eq!(
            q,
            Quantiser {
                scale_log2: 3,
                min: -28,
                max: 800
            }
        );
    }

    #[test]
    fn public_values_are_exact_where_they_can_be() {
        assert_eq!(public_values(&[0.0, 1.0]), (0, vec![0, 1]));
        assert_eq!(public_values(&[0.25, 1.5]), (2, vec![1, 6]));
        assert_eq!(public_values(&[0.1]), (19, vec![52429]));
        assert_eq!(public_values(&[1e15]).0, -34);
    }
}
