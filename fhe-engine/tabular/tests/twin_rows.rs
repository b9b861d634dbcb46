//! A twin's file, read back by a buyer, is the twin (DS-9).

use std::io::Cursor;
use veilbourse_core::{
    digest::Digest,
    manifest::{CommitmentParamsId, DataParamsId, MANIFEST_VERSION, Manifest, Segment},
};
use veilbourse_tabular::{
    Built, Marginals, SchemaConfig, SecondMoments, TabularError, Twin, TwinRows, build,
};

fn built() -> Built {
    let mut config = SchemaConfig::new("t");
    config.segment_by = vec!["k".into()];
    config.second_moments =
        SecondMoments::Products(vec![("x".into(), "x".into()), ("x".into(), "s=a".into())]);
    let mut csv = String::from("x,k,n,s\n");
    for i in 0..200 {
        let text = if i % 3 == 0 { "a" } else { "b" };
        csv += &format!(
            "{:.3},{},{},{text}\n",
            i as f64 * 0.037 - 1.0,
            i % 2,
            i % 13
        );
    }
    build(Cursor::new(csv), &config).expect("builds")
}

fn manifest(built: &Built) -> Manifest {
    let segment = |s: &veilbourse_tabular::SegmentRows| Segment {
        label: s.label.clone(),
        rows: s.rows,
        chunks: vec![Digest([1; 32])],
        sum: Digest([1; 32]),
        traced: Digest([3; 32]),
        traced_bodies: vec![0; built.columns.len()],
    };
    Manifest {
        version: MANIFEST_VERSION,
        name: built.name.clone(),
        params: DataParamsId::Data4096Tu3V1,
        commitment: CommitmentParamsId::FriBlake3V1,
        message_log2: 26,
        columns: built.columns.clone(),
        public_columns: built.public_columns.clone(),
        segments: built.segments.iter().map(segment).collect(),
        public_key_label: Digest([4; 32]),
        public_key_body: Digest([5; 32]),
        nonce: Digest([6; 32]),
    }
}

#[test]
fn the_published_file_gives_the_twins_integers() {
    let built = built();
    let twin = Twin::sample(&Marginals::of(&built, 10), [7; 32]);
    let csv = twin.to_csv().expect("writes");
    let m = manifest(&built);
    let rows = TwinRows::read(csv.as_bytes(), &m).expect("reads");
    assert_eq!(rows.table, twin.table(&m.columns));
    // In real units, to within half a step.
    for (segment, reals) in rows.table.segments.iter().zip(&rows.real) {
        for ((c, integers), reals) in m.columns.iter().zip(segment).zip(reals) {
            let scale = f64::from(c.scale_log2).exp2();
            for (x, real) in integers.iter().zip(reals) {
                assert!((*x as f64 - real * scale).abs() <= 0.5 + 1e-6, "{}", c.name);
            }
        }
    }
}

#[test]
fn a_file_of_other_rows_is_refused() {
    let built = built();
    let csv = Twin::sample(&Marginals::of(&built, 10), [7; 32])
        .to_csv()
        .expect("writes");
    let m = manifest(&built);
    let read = |text: &str| TwinRows::read(text.as_bytes(), &m).expect_err("refused");
    let lines: Vec<&str> = csv.lines().collect();
    let short = lines[..lines.len() - 1].join("\n");
    assert!(matches!(read(&short), TabularError::NoRows));
    let long = format!("{csv}{}\n", lines[1]);
    assert!(matches!(read(&long), TabularError::Changed { line: 202 }));
    let mut cells: Vec<&str> = lines[1].split(',').collect();
    cells[0] = "high";
    let text = csv.replacen(lines[1], &cells.join(","), 1);
    assert!(matches!(
        read(&text),
        TabularError::UnknownType { line: 2, .. }
    ));
    let mut endless = m.clone();
    endless.segments[0].rows = u64::MAX;
    assert!(matches!(
        TwinRows::read(csv.as_bytes(), &endless),
        Err(TabularError::TooManyCells { .. })
    ));
}
