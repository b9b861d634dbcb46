//! Laws of quantisation and of the whole builder, on random tables (DS-8).

use proptest::prelude::*;
use std::io::Cursor;
use veilbourse_tabular::{
    SchemaConfig, SecondMoments, TabularError as E, build,
    quantise::{Quantiser, Range, exp2},
};

fn real() -> impl Strategy<Value = f64> {
    (-1.0f64..1.0, -30i32..30).prop_map(|(m, e)| m * exp2(e))
}

proptest! {
    #[test]
    fn dequantised_within_half_a_step(values in prop::collection::vec(real(), 1..40), bits in 1u32..=32) {
        let min = values.iter().copied().fold(f64::INFINITY, f64::min);
        let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let range = Range::published(min, max, (None, None));
        prop_assert!(range.min <= min.min(0.0) && range.max >= max.max(0.0));
        prop_assume!(range.max_abs() > 0.0);
        let q = Quantiser::fit(range, bits);
        prop_assert!(q.max.max(-q.min) <= 1i64 << bits);
        // The finest scale: one more bit would not fit, or would pass the limit of scales.
        prop_assert!(q.scale_log2 == 62 || range.max_abs() * exp2(q.scale_log2 + 1) > exp2(bits as i32));
        for v in values {
            let x = q.quantise(v);
            prop_assert!(x >= q.min && x <= q.max);
            prop_assert!((q.dequantise(x) - v).abs() <= exp2(-q.scale_log2) / 2.0);
        }
    }

    #[test]
    fn declared_ranges_are_covered(a in real(), b in real(), bits in 1u32..=32, t in 0.0f64..=1.0) {
        let (lo, hi) = (a.min(b), a.max(b));
        prop_assume!(lo < hi);
        let q = Quantiser::fit(Range { min: lo, max: hi }, bits);
        prop_assert!(q.max.max(-q.min) <= 1i64 << bits);
        let v = (lo + (hi - lo) * t).clamp(lo, hi);
        prop_assert!((q.dequantise(q.quantise(v)) - v).abs() <= exp2(-q.scale_log2) / 2.0);
    }

    #[test]
    fn tables_come_back(rows in prop::collection::vec((real(), 0u8..3, -50i64..50, 0u8..2), 2..60)) {
        let mut csv = String::from("x,c,n,k\n");
        for (x, c, n, k) in &rows {
            csv += &format!("{x},c{c},{n},{k}\n");
        }
        let mut config = SchemaConfig::new("t");
        config.suppression.k_min = 0;
        config.suppression.max_share_percent = 100;
        config.segment_by = vec!["k".into()];
        config.second_moments = SecondMoments::All;
        let b = match build(Cursor::new(csv), &config) {
            Ok(b) => b,
            Err(E::NoColumns { .. }) => {
                prop_assert!(rows.windows(2).all(|w| (w[0].0, w[0].1, w[0].2) == (w[1].0, w[1].1, w[1].2)));
                return Ok(());
            }
            // At 10 bits the square of x keeps a scale up to 2^64 unless all of x is tiny.
            Err(E::ProductRange { scale_log2, .. }) => {
                prop_assert!(scale_log2 > 64);
                prop_assert!(rows.iter().all(|r| r.0.abs() <= exp2(-23)));
                return Ok(());
            }
            Err(e) => return Err(TestCaseError::fail(format!("{e:?}"))),
        };
        for (cells, origin) in b.table.segments.iter().zip(&b.table.origin) {
            for (f, c) in b.columns.iter().enumerate() {
                for (i, o) in origin.iter().enumerate() {
                    let (x, cat, n, _) = &rows[usize::try_from(*o).unwrap()];
                    let real = match c.name.as_str() {
                        "x" => *x,
                        "n" => *n as f64,
                        "c=c0" | "c=c1" | "c=c2" => f64::from(u8::from(c.name.ends_with(&cat.to_string()))),
                        _ => continue,
                    };
                    let half = exp2(-c.scale_log2) / 2.0;
                    prop_assert!((cells[f][i] as f64 * exp2(-c.scale_log2) - real).abs() <= half);
                }
                prop_assert!(cells[f].iter().all(|v| (c.min..=c.max).contains(v)));
            }
        }
        for r in &b.report.columns {
            prop_assert!(r.rms_error <= r.max_error * (1.0 + 1e-9));
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut config = SchemaConfig::new("t");
        config.suppression.k_min = 0;
        let _ = build(Cursor::new(bytes), &config);
    }

    #[test]
    fn no_csv_like_text_panics(text in "[a-c1-3,\"\n\r. eN-]{0,120}") {
        let mut config = SchemaConfig::new("t");
        config.suppression.k_min = 0;
        config.second_moments = SecondMoments::All;
        let _ = build(Cursor::new(text), &config);
    }
}
