//! The synthetic twin is a function of published marginals only (DS-9).

use std::{io::Cursor, path::PathBuf};
use veilbourse_tabular::{
    BINS, Built, Marginal, Marginals, SchemaConfig, SecondMoments, Twin, build,
};

const SEED: [u8; 32] = [7; 32];

fn config() -> SchemaConfig {
    let mut c = SchemaConfig::new("t");
    c.segment_by = vec!["k".into()];
    c.second_moments =
        SecondMoments::Products(vec![("x".into(), "x".into()), ("x".into(), "s=a".into())]);
    c
}

/// Columns in which row i has x, n and s of independently permuted rows.
fn table(shift_x: usize, shift_s: usize) -> Built {
    let rows = 200usize;
    let mut csv = String::from("x,k,n,s\n");
    for i in 0..rows {
        let (x, s) = ((i + shift_x) % rows, (i * 7 + shift_s) % rows);
        let text = if s < 4 {
            "rare"
        } else if s < 90 {
            "a"
        } else {
            "b"
        };
        csv += &format!(
            "{:.3},{},{},{text}\n",
            x as f64 * 0.037 - 1.0,
            i % 2,
            i % 13
        );
    }
    build(Cursor::new(csv), &config()).expect("builds")
}

#[test]
fn equal_marginals_give_equal_twins() {
    let (a, b) = (table(0, 0), table(31, 77));
    assert_ne!(a.table, b.table, "the tables differ jointly");
    let (ma, mb) = (Marginals::of(&a, 10), Marginals::of(&b, 10));
    assert_eq!(ma, mb);
    assert_eq!(Twin::sample(&ma, SEED), Twin::sample(&mb, SEED));
    assert_ne!(Twin::sample(&ma, SEED), Twin::sample(&ma, [8; 32]));
    // All that a twin is sampled from survives publication.
    let json = serde_json::to_string(&ma).expect("writes");
    let read: Marginals = serde_json::from_str(&json).expect("reads");
    assert_eq!(Twin::sample(&read, SEED), Twin::sample(&ma, SEED));
}

#[test]
fn counts_are_coarse_and_suppressed_columns_absent() {
    let built = table(0, 0);
    assert_eq!(built.report.suppressed(), ["s=rare"], "{}", built.report);
    let m = Marginals::of(&built, 10);
    assert_eq!(m.columns.len(), 4);
    for c in &m.columns {
        match c {
            Marginal::Key { values, .. } => assert_eq!(values, &["0", "1"]),
            Marginal::Numeric { counts, .. } => {
                assert_eq!(counts.len(), BINS);
                assert!(counts.iter().all(|n| n % 10 == 0));
            }
            Marginal::Categorical { counts, .. } => {
                assert_eq!(counts, &[("a".to_owned(), 80), ("b".to_owned(), 110)]);
            }
        }
    }
    let leaks = m.leaks();
    assert!(
        leaks.contains("multiples of 10") && leaks.contains("k = 0") && !leaks.contains("rare")
    );
}

#[test]
fn the_twin_is_a_table_of_the_same_shape() {
    let built = table(0, 0);
    let twin = Twin::sample(&Marginals::of(&built, 10), SEED);
    let csv = twin.to_csv().expect("writes");
    assert!(csv.starts_with("x,k,n,s\n"), "the header of the source");
    assert_eq!(csv.lines().count(), 201);
    let again = build(Cursor::new(csv.clone()), &config()).expect("the twin is a table too");
    assert_eq!(again.segments, built.segments);
    // As integers under the dataset's own columns, within their ranges.
    let table = twin.table(&built.columns);
    for (cells, s) in table.segments.iter().zip(&built.segments) {
        assert_eq!(cells.len(), built.columns.len());
        for (values, c) in cells.iter().zip(&built.columns) {
            assert_eq!(values.len() as u64, s.rows);
            assert!(
                values.iter().all(|v| (c.min..=c.max).contains(v)),
                "{}",
                c.name
            );
        }
        let at = |n: &str| {
            built
                .columns
                .iter()
                .position(|c| c.name == n)
                .expect("column")
        };
        let (x, xx) = (&cells[at("x")], &cells[at("x^2")]);
        assert!(x.iter().zip(xx).all(|(x, xx)| x * x == *xx));
        // n holds integers, and the twin keeps to them.
        let n = &built.columns[at("n")];
        assert!(cells[at("n")].iter().all(|v| v % (1 << n.scale_log2) == 0));
    }
    // The CSV holds the same values, row by row.
    let x = built
        .columns
        .iter()
        .position(|c| c.name == "x")
        .expect("column");
    let scale = f64::from(1 << built.columns[x].scale_log2);
    let cells = table.segments.iter().flat_map(|s| &s[x]);
    for (line, v) in csv.lines().skip(1).zip(cells) {
        let first: f64 = line
            .split(',')
            .next()
            .expect("cell")
            .parse()
            .expect("number");
        assert_eq!(first * scale, *v as f64);
    }
}

#[test]
fn rand_twin_resembles_its_marginals_only() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/randhie.csv");
    let bytes = std::fs::read(path).expect("readable");
    let mut c = SchemaConfig::new("RAND");
    c.segment_by = vec!["idp".into()];
    let built = build(Cursor::new(bytes.clone()), &c).expect("builds");
    let marginals = Marginals::of(&built, 10);
    let twin = Twin::sample(&marginals, SEED);
    let again = build(Cursor::new(twin.to_csv().expect("writes")), &c).expect("builds");
    let counts = Marginals::of(&again, 10);
    for (a, b) in marginals.columns.iter().zip(&counts.columns) {
        let (
            Marginal::Numeric {
                name,
                counts: a,
                max: ma,
                scale_log2: sa,
                ..
            },
            Marginal::Numeric {
                counts: b,
                max: mb,
                scale_log2: sb,
                ..
            },
        ) = (a, b)
        else {
            continue;
        };
        if (ma, sa) == (mb, sb) {
            for (x, y) in a.iter().zip(b) {
                // Five standard deviations of a binomial of 20,190.
                assert!(x.abs_diff(*y) < 400, "{name}: {x} {y}");
            }
        }
    }
    let header = String::from_utf8(bytes).expect("text");
    assert!(twin.to_csv().expect("writes").lines().next() == header.lines().next());
}
