//! Every bad table, setting and model, refused by its own variant (DS-7, DS-8).
//!
//! Over 500 lines: one case a refusal, and the table is only complete in one
//! place.

use std::io::{self, Cursor, Read, Seek, SeekFrom};
use veilbourse_tabular::{
    Built, ColumnConfig, Coverage, DropReason, Kind, LinearModel, Missing, ModelKind, Outside,
    SchemaConfig, SecondMoments, TabularError as E, build,
};

fn config() -> SchemaConfig {
    let mut c = SchemaConfig::new("t");
    c.suppression.k_min = 0;
    c.suppression.max_share_percent = 100;
    c
}

fn with(column: &str, own: ColumnConfig) -> SchemaConfig {
    let mut c = config();
    c.columns.insert(column.into(), own);
    c
}

fn run(csv: impl AsRef<[u8]>, c: &SchemaConfig) -> Result<Built, E> {
    build(Cursor::new(csv.as_ref().to_vec()), c)
}

fn bad(csv: impl AsRef<[u8]>) -> E {
    run(csv, &config()).expect_err("refused")
}

fn bad_with(csv: &str, c: &SchemaConfig) -> E {
    run(csv, c).expect_err("refused")
}

#[test]
fn shape() {
    assert!(matches!(bad(""), E::NoHeader));
    // A byte order mark is no part of the first name.
    assert_eq!(
        run("\u{feff}a\n1\n2\n", &config()).expect("builds").columns[0].name,
        "a"
    );
    assert!(matches!(bad("a,b\n"), E::NoRows));
    assert!(matches!(bad("a,\n1,2\n"), E::EmptyHeader { position: 2 }));
    assert!(matches!(
        bad("a,b, a\n1,2,3\n"),
        E::DuplicateHeader { name, first: 1, second: 3 } if name == "a"
    ));
    assert!(matches!(
        bad("1,b\n1,2\n"),
        E::BadName {
            what: "column name",
            ..
        }
    ));
    assert!(matches!(bad("\"a\tb\",b\n1,2\n"), E::BadName { .. }));
    assert!(matches!(
        bad(format!("{},b\n1,2\n", "x".repeat(129))),
        E::BadName { .. }
    ));
    assert!(matches!(
        bad("a,b\n1,2\n3\n"),
        E::Ragged {
            line: 3,
            expected: 2,
            found: 1
        }
    ));
    assert!(matches!(
        bad("a,b\n1,2,3\n"),
        E::Ragged {
            line: 2,
            expected: 2,
            found: 3
        }
    ));
    assert!(matches!(
        bad(b"a,b\n1,2\n3,\xff\n"),
        E::NotUtf8 { line: 3, field: 2 }
    ));
    assert!(matches!(
        bad("a,b\n1,\"2\n3,4\n"),
        E::UnclosedQuote { line: 2 }
    ));
}

/// A header of a million columns that counts how much of it is read.
struct Endless {
    served: u64,
    total: u64,
}

impl Read for Endless {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = buf
            .len()
            .min(usize::try_from(self.total - self.served).expect("fits"));
        for (i, b) in buf.iter_mut().take(n).enumerate() {
            *b = if (self.served + i as u64).is_multiple_of(2) {
                b'c'
            } else {
                b','
            };
        }
        self.served += n as u64;
        Ok(n)
    }
}

impl Seek for Endless {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        self.served = 0;
        Ok(0)
    }
}

#[test]
fn size() {
    let mut million = Endless {
        served: 0,
        total: 2_000_001,
    };
    let refused = build(&mut million, &config()).expect_err("refused");
    assert!(matches!(
        refused,
        E::TooManyColumns {
            line: 1,
            limit: 256
        }
    ));
    assert!(
        million.served < 1 << 16,
        "refused after {} bytes",
        million.served
    );
    let mut c = config();
    c.limits.field_bytes = 8;
    assert!(matches!(
        bad_with("a,b\n1,123456789\n", &c),
        E::FieldTooLarge {
            line: 2,
            limit_bytes: 8
        }
    ));
    c.limits.field_bytes = 100;
    c.limits.file_bytes = 10;
    assert!(matches!(
        bad_with("a,b\n1,2\n3,4\n", &c),
        E::FileTooLarge { limit_bytes: 10 }
    ));
    let mut c = config();
    c.limits.cells = 3;
    assert!(matches!(
        bad_with("a,b\n1,2\n3,4\n", &c),
        E::TooManyCells { limit: 3, value: 4 }
    ));
    // 130 columns of two categories make 260 encrypted ones.
    let line = |s: &str| vec![s; 130].join(",");
    let header: Vec<String> = (0..130).map(|i| format!("c{i}")).collect();
    let wide = format!("{}\n{}\n{}\n", header.join(","), line("x"), line("y"));
    assert!(matches!(
        bad(wide),
        E::TooManyEncrypted {
            limit: 256,
            value: 260
        }
    ));
    let mut c = config();
    c.second_moments = SecondMoments::All;
    let line = |s: &str| vec![s; 30].join(",");
    let wide = format!("{}\n{}\n{}\n", header[..30].join(","), line("1"), line("2"));
    assert!(matches!(
        bad_with(&wide, &c),
        E::TooManyEncrypted {
            limit: 256,
            value: 495
        }
    ));
}

#[test]
fn cells() {
    assert!(matches!(
        bad("a,b\n1,2\n3,four\n5,6\n"),
        E::UnknownType { line: 3, column, value, expected: "number" } if column == "b" && value == "four"
    ));
    assert!(matches!(
        bad("a,b\n1,x\n3,y\n5,6\n"),
        E::UnknownType { line: 4, value, .. } if value == "6"
    ));
    for cell in ["NaN", "inf", "-Infinity", "1e999"] {
        assert!(
            matches!(bad(format!("a\n1\n{cell}\n")), E::NonFinite { line: 3, column, value } if column == "a" && value == cell)
        );
    }
    assert!(matches!(bad("a\n1\n1e19\n"), E::OutOfRange { line: 3, .. }));
    let mut own = ColumnConfig {
        min: Some(0.0),
        max: Some(2.0),
        ..ColumnConfig::default()
    };
    assert!(matches!(
        bad_with("a\n1\n2.5\n", &with("a", own.clone())),
        E::OutOfRange { line: 3, column, value, min, max } if column == "a" && (value, min, max) == (2.5, 0.0, 2.0)
    ));
    own.outside = Outside::Clip;
    let b = run("a\n1\n2.5\n0\n", &with("a", own)).expect("clipped");
    assert_eq!(
        (b.report.columns[0].clipped, b.report.columns[0].max),
        (1, 2.0)
    );
    assert_eq!(b.table.segments[0][0], [512, 1024, 0]);
    let many: String = (0..33).map(|i| format!("t{i}\n")).collect();
    assert!(matches!(
        bad(format!("a\n{many}")),
        E::TooManyCategories {
            line: 34,
            limit: 32,
            ..
        }
    ));
    let own = ColumnConfig {
        kind: Some(Kind::Numeric),
        ..ColumnConfig::default()
    };
    assert!(matches!(
        bad_with("a\n1\nx\n", &with("a", own)),
        E::UnknownType { line: 3, .. }
    ));
    let own = ColumnConfig {
        kind: Some(Kind::Categorical),
        ..ColumnConfig::default()
    };
    let b = run("a\n1\nx\n", &with("a", own)).expect("both are texts");
    assert_eq!(b.columns[0].name, "a=1");
    assert!(matches!(
        bad("a\n\"x\ty\"\nz\n"),
        E::BadName {
            what: "category column",
            ..
        }
    ));
    assert!(matches!(bad("a=x,a\n1,x\n2,y\n"), E::NameClash { name } if name == "a=x"));
    assert!(matches!(
        bad("a,b\n1,x\n1,x\n"),
        E::NoColumns { dropped: 2, .. }
    ));
}

#[test]
fn missing_values() {
    // DS-8
    let csv = "a,b\n1,x\n,y\n3,\n";
    assert!(matches!(bad(csv), E::Missing { line: 3, column, count: 1 } if column == "a"));
    let rule = |m| ColumnConfig {
        missing: Some(m),
        ..ColumnConfig::default()
    };
    let mut c = with("a", rule(Missing::Mean));
    assert!(matches!(bad_with(csv, &c), E::Missing { line: 4, column, .. } if column == "b"));
    c.columns.insert("b".into(), rule(Missing::Mean));
    assert!(matches!(
        bad_with(csv, &c),
        E::MissingRule {
            kind: "categorical",
            ..
        }
    ));
    c.columns
        .insert("b".into(), rule(Missing::Category("none".into())));
    let b = run(csv, &c).expect("imputed");
    assert_eq!(b.table.segments[0][0], [256, 512, 768]);
    let r = &b.report.columns[0];
    assert_eq!((r.imputed, r.imputed_with.as_deref()), (1, Some("2")));
    assert!(b.columns.iter().any(|c| c.name == "b=none"));
    c.columns
        .insert("a".into(), rule(Missing::Category("none".into())));
    assert!(matches!(
        bad_with(csv, &c),
        E::MissingRule {
            kind: "numeric",
            ..
        }
    ));
    c.columns.insert("a".into(), rule(Missing::Constant(4.0)));
    assert_eq!(
        run(csv, &c).expect("imputed").table.segments[0][0],
        [256, 1024, 768]
    );
    let mut c = config();
    c.missing_values = vec!["NA".into()];
    assert!(matches!(
        bad_with("a,b\n1,2\nNA,3\n", &c),
        E::Missing { line: 3, .. }
    ));
    c.missing = Missing::Mean;
    assert!(matches!(
        bad_with("a,b\nNA,2\nNA,3\n", &c),
        E::Missing { count: 2, .. }
    ));
}

#[test]
fn segments() {
    let mut c = config();
    c.segment_by = vec!["k".into()];
    assert!(matches!(
        bad_with("k,a\n1,2\n,3\n", &c),
        E::MissingKey { line: 3, .. }
    ));
    let many: String = (0..1025).map(|i| format!("{i},{i}\n")).collect();
    assert!(matches!(
        bad_with(&format!("k,a\n{many}"), &c),
        E::TooManySegments {
            line: 1026,
            limit: 1024
        }
    ));
    c.suppression.k_min = 2;
    assert!(matches!(
        bad_with("k,a\n1,2\n1,3\n0,3\n", &c),
        E::SmallSegment { label, rows: 1, k_min: 2 } if label == "k = 0"
    ));
    let mut c = config();
    c.segment_by = (0..8).map(|i| format!("k{i}")).collect();
    let keys = c.segment_by.join(",");
    assert!(matches!(
        bad_with(
            &format!("{keys},a\n1,1,1,1,1,1,1,1,1\n1,1,1,1,1,1,1,1,2\n"),
            &c
        ),
        E::TooManyPublicColumns { limit: 8, value: 9 }
    ));
    // Text keys label only; numbers sort as numbers; 1 and 1.0 are one.
    let mut c = config();
    c.segment_by = vec!["k".into(), "t".into()];
    let b = run("k,t,a\n10,x,1\n9,y,2\n10.0,x,3\n9,x,4\n", &c).expect("builds");
    let labels: Vec<_> = b
        .segments
        .iter()
        .map(|s| (s.label.as_str(), s.rows))
        .collect();
    assert_eq!(
        labels,
        [
            ("k = 9, t = x", 1),
            ("k = 9, t = y", 1),
            ("k = 10, t = x", 2)
        ]
    );
    assert_eq!(b.public_columns.len(), 2);
    assert_eq!(b.public_columns[1].values, [9, 9, 10]);
    assert_eq!(b.table.origin, [vec![3], vec![1], vec![0, 2]]);
}

#[test]
fn suppression_drops_by_segment_and_yields_to_names() {
    // DS-7: "rare" has two rows in one segment.
    let mut csv = String::from("k,rare,x\n");
    for i in 0..60 {
        csv += &format!(
            "{},{},{}\n",
            i % 2,
            u8::from(i == 1 || i == 3 || i % 4 == 0),
            i + 10
        );
    }
    let mut c = SchemaConfig::new("t");
    c.segment_by = vec!["k".into()];
    c.second_moments =
        SecondMoments::Products(vec![("rare".into(), "x".into()), ("x".into(), "x".into())]);
    let b = run(&csv, &c).expect("builds");
    let names: Vec<_> = b.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["x", "x^2"]);
    assert_eq!(b.report.suppressed(), ["rare", "rare*x"]);
    assert_eq!(
        b.report.dropped[0].reason,
        DropReason::FewRows {
            segment: "k = 1".into(),
            rows: 2,
            k_min: 10
        }
    );
    assert_eq!(
        b.report.dropped[1].reason,
        DropReason::FactorDropped {
            factor: "rare".into()
        }
    );
    let model = |columns: &[&str]| LinearModel {
        kind: ModelKind::Linear,
        columns: columns.iter().map(|s| (*s).to_owned()).collect(),
        weights: vec![1.0; columns.len()],
        intercept: 0.0,
    };
    let gone = model(&["x", "rare"])
        .bind(
            &b.columns,
            &b.public_columns,
            &b.report.suppressed(),
            Coverage::Any,
        )
        .expect_err("suppressed");
    assert!(matches!(gone, E::ModelSuppressed { names } if names == ["rare"]));
    c.suppression.keep = vec!["rare".into()];
    let b = run(&csv, &c).expect("builds");
    assert!(b.report.columns[0].kept_despite.is_some());
    // The product is judged for itself now.
    assert_eq!(b.report.suppressed(), ["rare*x"]);
    assert!(matches!(
        b.report.dropped[0].reason,
        DropReason::FewRows { .. }
    ));
    c.suppression.keep = vec!["other".into()];
    assert!(matches!(
        run(&csv, &c),
        Err(E::UnknownColumn { field: "suppression.keep", name }) if name == "other"
    ));
}

#[test]
fn settings() {
    let csv = "a,b\n1,2\n3,4\n";
    let refused = |f: &dyn Fn(&mut SchemaConfig)| {
        let mut c = config();
        f(&mut c);
        run(csv, &c).expect_err("refused")
    };
    let field = |e: E| match e {
        E::Setting { field, .. } => field,
        other => panic!("{other}"),
    };
    assert!(matches!(
        refused(&|c| c.name.clear()),
        E::BadName {
            what: "dataset name",
            ..
        }
    ));
    assert_eq!(field(refused(&|c| c.bits = 33)), "bits");
    assert_eq!(field(refused(&|c| c.delimiter = 'é')), "delimiter");
    assert_eq!(
        field(refused(&|c| c.suppression.max_share_percent = 101)),
        "suppression.max_share_percent"
    );
    assert_eq!(
        field(refused(&|c| c.missing = Missing::Constant(f64::NAN))),
        "missing"
    );
    let own = |f: fn(&mut ColumnConfig)| {
        move |c: &mut SchemaConfig| f(c.columns.entry("a".into()).or_default())
    };
    assert_eq!(
        field(refused(&own(|o| o.bits = Some(0)))),
        "columns.\"a\".bits"
    );
    assert_eq!(
        field(refused(&own(|o| o.min = Some(f64::INFINITY)))),
        "columns.\"a\".min"
    );
    assert_eq!(
        field(refused(&own(|o| (o.min, o.max) = (Some(1.0), Some(1.0))))),
        "columns.\"a\".min"
    );
    assert_eq!(
        field(refused(&|c| c.segment_by = vec!["a".into(), "a".into()])),
        "segment_by"
    );
    for (named, f) in [
        (
            "columns",
            (|c| drop(c.columns.insert("z".into(), ColumnConfig::default())))
                as fn(&mut SchemaConfig),
        ),
        ("segment_by", |c| c.segment_by = vec!["z".into()]),
        ("second_moments", |c| {
            c.second_moments = SecondMoments::Squares(vec!["z".into()])
        }),
    ] {
        assert!(
            matches!(refused(&f), E::UnknownColumn { field, name } if field == named && name == "z")
        );
    }
    assert!(matches!(
        refused(&|c| {
            c.bits = 17;
            c.second_moments = SecondMoments::All;
        }),
        E::ProductRange { name, magnitude_log2: 34, .. } if name == "a^2"
    ));
    assert!(matches!(
        SchemaConfig::from_toml("name = \"t\"\nbitz = 3"),
        Err(E::SettingsSyntax(_))
    ));
    assert!(matches!(
        SchemaConfig::from_json("{\"name\": \"t\", \"bitz\": 3}"),
        Err(E::SettingsSyntax(_))
    ));
    assert!(matches!(
        SchemaConfig::from_toml("name = \"t\"\nbits = 40"),
        Err(E::Setting { .. })
    ));
    let text = r#"
        name = "visits"
        segment_by = ["plan"]
        second_moments = { products = [["a", "b"]] }
        missing = "mean"
        [suppression]
        k_min = 5
        [columns.a]
        unit = "days"
        min = 0
        outside = "clip"
        missing = { constant = 1.5 }
    "#;
    let c = SchemaConfig::from_toml(text).expect("parses");
    assert_eq!(c.columns["a"].missing, Some(Missing::Constant(1.5)));
    assert_eq!(
        SchemaConfig::from_toml(&c.to_toml().expect("writes")).expect("parses"),
        c
    );
    let json = serde_json::to_string(&c).expect("writes");
    assert_eq!(SchemaConfig::from_json(&json).expect("parses"), c);
}

/// Serves one text on the first pass and another on the second.
struct Changing(Vec<Vec<u8>>, Cursor<Vec<u8>>);

impl Read for Changing {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.1.read(buf)
    }
}

impl Seek for Changing {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        // Each pass begins by asking for the length.
        if matches!(to, SeekFrom::End(_)) {
            self.1 = Cursor::new(self.0.remove(0));
        }
        self.1.seek(to)
    }
}

#[test]
fn a_file_that_changes_is_refused() {
    for second in [
        "a,b\n1,x\n3,y\n5,x\n",
        "a,b\n1,x\n",
        "a,b\n1,x\n3,z\n",
        "a,b\n1,x\n9999,y\n",
        "a\n1\n3\n",
        "a,b\n1,x\nq,y\n",
    ] {
        let texts = vec![b"a,b\n1,x\n3,y\n".to_vec(), second.as_bytes().to_vec()];
        let refused = build(Changing(texts, Cursor::new(Vec::new())), &config());
        assert!(
            matches!(refused, Err(E::Changed { .. })),
            "{second:?}: {refused:?}"
        );
    }
}
