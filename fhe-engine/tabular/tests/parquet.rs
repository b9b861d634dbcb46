//! Files as `pyarrow` 2x writes them (tests/data/parquet): the same table as Parquet
//! and as CSV is the same dataset (DS-11).

use std::{fs, io::Cursor, path::PathBuf};
use veilbourse_tabular::{
    ColumnConfig, Kind, Missing, SchemaConfig, SecondMoments, TabularError, build, preview,
};

fn data(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data");
    fs::read(path.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The mixed table's settings: a date is dropped, and so are free texts.
fn mixed() -> SchemaConfig {
    let mut config = SchemaConfig::new("mixed");
    config.segment_by = vec!["group".into()];
    config.suppression.k_min = 5;
    config.second_moments = SecondMoments::Squares(vec!["score".into()]);
    let drop = ColumnConfig {
        kind: Some(Kind::Drop),
        ..ColumnConfig::default()
    };
    for name in ["note", "seen"] {
        config.columns.insert(name.into(), drop.clone());
    }
    config.columns.insert(
        "age".into(),
        ColumnConfig {
            missing: Some(Missing::Mean),
            ..ColumnConfig::default()
        },
    );
    config
}

#[test]
fn a_real_table_is_the_same_dataset_as_its_csv() {
    let mut config = SchemaConfig::new("RAND");
    config.segment_by = vec!["idp".into()];
    config.second_moments = SecondMoments::Squares(vec!["mdvis".into()]);
    let csv = build(Cursor::new(data("randhie.csv")), &config).expect("CSV");
    let parquet = build(Cursor::new(data("parquet/randhie.parquet")), &config).expect("Parquet");
    assert_eq!(csv.table, parquet.table);
    assert_eq!(csv, parquet);
    assert_eq!(csv.segments.iter().map(|s| s.rows).sum::<u64>(), 20_190);
}

#[test]
fn nulls_texts_truth_values_and_decimals_are_read_in_every_form() {
    let config = mixed();
    let csv = build(Cursor::new(data("parquet/mixed.csv")), &config).expect("CSV");
    assert!(csv.columns.iter().any(|c| c.name == "member=true"));
    for name in ["mixed-v1-plain", "mixed-v1-snappy", "mixed-v2-snappy"] {
        let file = data(&format!("parquet/{name}.parquet"));
        let parquet = build(Cursor::new(&file), &config).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(csv, parquet, "{name}");
        let shown = |bytes: Vec<u8>| preview(Cursor::new(bytes), &config, 5).expect("reads");
        let (a, b) = (shown(data("parquet/mixed.csv")), shown(file));
        assert_eq!(a.headers, b.headers);
        for (a, b) in a.rows.iter().zip(&b.rows) {
            // Dropped columns are not read.
            assert_eq!([&a[0], &a[1], &a[4], &a[6]], [&b[0], &b[1], &b[4], &b[6]]);
            assert!(!a[2].is_empty() && b[2].is_empty() && b[8].is_empty());
        }
    }
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let mut config = mixed();
    let zstd = data("parquet/mixed-zstd.parquet");
    assert!(matches!(
        build(Cursor::new(&zstd), &config),
        Err(TabularError::ParquetCodec { name: "ZSTD" })
    ));
    config.columns.remove("seen");
    match build(Cursor::new(data("parquet/mixed-v1-plain.parquet")), &config) {
        Err(e @ TabularError::ParquetColumn { what: "DATE", .. }) => {
            assert_eq!(e.place(), (None, Some("seen")));
        }
        other => panic!("{:?}", other.map(|b| b.name)),
    }
    // Limits hold as for CSV.
    let mut config = mixed();
    config.limits.file_bytes = 100;
    assert!(matches!(
        build(Cursor::new(&zstd), &config),
        Err(TabularError::FileTooLarge { limit_bytes: 100 })
    ));
}

/// Every 61st byte of real files changed, and files cut off: read or refused.
#[test]
fn spoilt_files_are_read_or_refused() {
    let config = mixed();
    for name in ["mixed-v1-snappy", "mixed-v2-snappy"] {
        let file = data(&format!("parquet/{name}.parquet"));
        let (mut refused, mut read) = (0u32, 0u32);
        for at in (0..file.len()).step_by(61) {
            let mut spoilt = file.clone();
            spoilt[at] ^= 0x55;
            match build(Cursor::new(&spoilt), &config) {
                Ok(_) => read += 1,
                Err(_) => refused += 1,
            }
            // With the last bytes kept, so that a footer is found.
            let mut cut = file[..at].to_vec();
            cut.extend(&file[file.len() - 8..]);
            assert!(
                build(Cursor::new(&cut), &config).is_err(),
                "{name} cut at {at}"
            );
        }
        assert!(refused > 20 && read > 20, "{name}: {refused} {read}");
    }
}
