//! DS-11: what is read, and what is refused; files as other programs write them are in
//! `tests/parquet.rs`.

use super::*;
use crate::config::SchemaConfig;
use proptest::prelude::*;
use std::io::Cursor;

/// A header or a footer, written.
#[derive(Default, Clone)]
struct Thrift {
    bytes: Vec<u8>,
    last: i16,
}

impl Thrift {
    fn varint(&mut self, mut n: u64) {
        while n > 0x7f {
            self.bytes.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.bytes.push(n as u8);
    }
    fn field(mut self, id: i16, of: u8) -> Self {
        self.bytes.push(((id - self.last) as u8) << 4 | of);
        self.last = id;
        self
    }
    fn int(self, id: i16, n: i64) -> Self {
        let mut s = self.field(id, 6);
        s.varint((n << 1 ^ n >> 63) as u64);
        s
    }
    fn choice(self, id: i16, n: i64) -> Self {
        let mut s = self.field(id, 5);
        s.varint((n << 1 ^ n >> 63) as u64);
        s
    }
    fn text(self, id: i16, t: &str) -> Self {
        let mut s = self.field(id, 8);
        s.varint(t.len() as u64);
        s.bytes.extend(t.as_bytes());
        s
    }
    fn within(self, id: i16, inner: Self) -> Self {
        let mut s = self.field(id, 12);
        s.bytes.extend(inner.end());
        s
    }
    fn list(self, id: i16, all: Vec<Self>) -> Self {
        let mut s = self.field(id, 9);
        s.bytes.push(15 << 4 | 12);
        s.varint(all.len() as u64);
        for inner in all {
            s.bytes.extend(inner.end());
        }
        s
    }
    fn end(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}

/// A table of one optional column of 64-bit integers in plain pages, and what of it to
/// spoil.
struct Made {
    values: Vec<Option<i64>>,
    rows: i64,
    page_values: i64,
    codec: i64,
    encoding: i64,
    uncompressed: Option<i64>,
    physical: i64,
    logical: Option<i16>,
    repetition: i64,
}

impl Default for Made {
    fn default() -> Self {
        Self {
            values: vec![Some(1), None, Some(-3)],
            rows: 3,
            page_values: 3,
            codec: 0,
            encoding: 0,
            uncompressed: None,
            physical: 2,
            logical: None,
            repetition: 1,
        }
    }
}

impl Made {
    fn file(&self) -> Vec<u8> {
        let mut levels = Vec::new();
        for v in &self.values {
            // A run of one.
            levels.extend([2, u8::from(v.is_some())]);
        }
        let mut page = (levels.len() as u32).to_le_bytes().to_vec();
        page.extend(&levels);
        for v in self.values.iter().flatten() {
            page.extend(v.to_le_bytes());
        }
        let length = self.uncompressed.unwrap_or(page.len() as i64);
        let stored = match self.codec {
            1 => snap::raw::Encoder::new().compress_vec(&page).expect("fits"),
            _ => page,
        };
        let data = Thrift::default()
            .choice(1, self.page_values)
            .choice(2, self.encoding)
            .choice(3, 3)
            .choice(4, 3);
        let header = Thrift::default()
            .choice(1, 0)
            .choice(2, length)
            .choice(3, stored.len() as i64)
            .within(5, data)
            .end();
        let mut file = b"PAR1".to_vec();
        let start = file.len() as i64;
        file.extend(header);
        file.extend(stored);
        let place = Thrift::default()
            .choice(1, self.physical)
            .choice(4, self.codec)
            .int(5, self.rows)
            .int(6, length)
            .int(7, file.len() as i64 - start)
            .int(9, start);
        let mut leaf = Thrift::default()
            .choice(1, self.physical)
            .choice(3, self.repetition)
            .text(4, "x");
        if let Some(which) = self.logical {
            leaf = leaf.within(10, Thrift::default().within(which, Thrift::default()));
        }
        let group = Thrift::default()
            .list(1, vec![Thrift::default().int(2, start).within(3, place)])
            .int(2, 100)
            .int(3, self.rows);
        let footer = Thrift::default()
            .choice(1, 1)
            .list(
                2,
                vec![Thrift::default().text(4, "root").choice(5, 1), leaf],
            )
            .int(3, self.rows)
            .list(4, vec![group])
            .end();
        let n = footer.len() as u32;
        file.extend(footer);
        file.extend(n.to_le_bytes());
        file.extend(b"PAR1");
        file
    }
}

fn read(file: &[u8]) -> Result<Vec<Vec<String>>, TabularError> {
    let config = SchemaConfig::new("t");
    let mut records = Records::open(Cursor::new(file), &config)?;
    let mut rows = Vec::new();
    while let Some((line, record)) = records.next()? {
        assert_eq!(line, rows.len() as u64 + 2);
        rows.push(record.iter().map(str::to_owned).collect());
    }
    Ok(rows)
}

fn refused(made: &Made) -> TabularError {
    read(&made.file()).expect_err("refused")
}

#[test]
fn cells_are_read_with_their_nulls() {
    let expected = [["1"], [""], ["-3"]].map(|r| r.map(str::to_owned).to_vec());
    assert_eq!(read(&Made::default().file()).expect("reads"), expected);
    let snappy = Made {
        codec: 1,
        ..Made::default()
    };
    assert_eq!(read(&snappy.file()).expect("reads"), expected);
}

#[test]
fn what_is_not_read_is_named() {
    let column = |made: Made| match refused(&made) {
        TabularError::ParquetColumn { column, what } => {
            assert_eq!(column, "x");
            what
        }
        other => panic!("{other}"),
    };
    let timestamp = Made {
        logical: Some(8),
        ..Made::default()
    };
    assert_eq!(column(timestamp), "TIMESTAMP");
    let wide = Made {
        physical: 3,
        ..Made::default()
    };
    assert_eq!(column(wide), "INT96");
    let repeated = Made {
        repetition: 2,
        ..Made::default()
    };
    assert_eq!(column(repeated), "a repeated column");
    let delta = Made {
        encoding: 5,
        ..Made::default()
    };
    assert_eq!(column(delta), "DELTA_BINARY_PACKED");
    let zstd = Made {
        codec: 6,
        ..Made::default()
    };
    assert!(matches!(
        refused(&zstd),
        TabularError::ParquetCodec { name: "ZSTD" }
    ));
}

#[test]
fn lies_about_lengths_and_counts_are_refused() {
    let form = |made: Made| match refused(&made) {
        TabularError::ParquetForm { what, reason } => format!("{what}: {reason}"),
        other => panic!("{other}"),
    };
    for (made, says) in [
        (
            Made {
                page_values: 4,
                ..Made::default()
            },
            "rows are left",
        ),
        (
            Made {
                rows: 4,
                ..Made::default()
            },
            "too few values",
        ),
        (
            Made {
                uncompressed: Some(17 << 20),
                ..Made::default()
            },
            "the limit is",
        ),
        (
            Made {
                uncompressed: Some(1),
                codec: 1,
                ..Made::default()
            },
            "its length",
        ),
        (
            Made {
                uncompressed: Some(-1),
                ..Made::default()
            },
            "a length or number of -1",
        ),
        (
            Made {
                rows: -1,
                ..Made::default()
            },
            "a length or number of -1",
        ),
    ] {
        let said = form(made);
        assert!(said.contains(says), "{said}");
    }
    // So many rows would never end.
    let endless = Made {
        rows: 1 << 40,
        ..Made::default()
    };
    assert!(matches!(
        refused(&endless),
        TabularError::TooManyCells { .. }
    ));
    for bad in [
        &b"PAR1PAR1"[..],
        b"PAR1\0\0\0\0PAR1",
        b"PAR1\xff\xff\xff\xffPAR1",
    ] {
        assert!(matches!(read(bad), Err(TabularError::ParquetForm { .. })));
    }
}

/// A file of these bytes of pages, with `columns` of 64-bit integers of which each lies
/// at its place (from 4 on) and says its number of values. With `again`, the columns
/// are named a second time, one more of them, behind the row groups.
fn laid(pages: &[u8], columns: &[(usize, usize)], values: i64, again: bool) -> Vec<u8> {
    let mut file = b"PAR1".to_vec();
    file.extend(pages);
    let leaf = |i: usize| {
        Thrift::default()
            .choice(1, 2)
            .choice(3, 0)
            .text(4, &format!("x{i}"))
    };
    let schema = |n: usize| {
        let root = Thrift::default().text(4, "root").choice(5, n as i64);
        std::iter::once(root)
            .chain((0..n).map(leaf))
            .collect::<Vec<_>>()
    };
    let chunk = |(at, bytes): &(usize, usize)| {
        let place = Thrift::default()
            .choice(1, 2)
            .choice(4, 1)
            .int(5, values)
            .int(7, *bytes as i64)
            .int(9, *at as i64 + 4);
        Thrift::default().within(3, place)
    };
    let group = Thrift::default()
        .list(1, columns.iter().map(chunk).collect())
        .int(3, values);
    let mut footer = Thrift::default()
        .choice(1, 1)
        .list(2, schema(columns.len()))
        .int(3, values)
        .list(4, vec![group]);
    if again {
        // A field's number may be said in full, in any order.
        footer.bytes.push(9);
        footer.varint(4);
        footer.bytes.push(15 << 4 | 12);
        let schema = schema(columns.len() + 1);
        footer.varint(schema.len() as u64);
        for element in schema {
            footer.bytes.extend(element.end());
        }
    }
    let footer = footer.end();
    let n = footer.len() as u32;
    file.extend(footer);
    file.extend(n.to_le_bytes());
    file.extend(b"PAR1");
    file
}

/// A page of required integers under Snappy, as many as it says.
fn page(values: usize) -> Vec<u8> {
    let plain = vec![0u8; values * 8];
    let stored = snap::raw::Encoder::new()
        .compress_vec(&plain)
        .expect("fits");
    let data = Thrift::default()
        .choice(1, values as i64)
        .choice(2, 0)
        .choice(3, 3)
        .choice(4, 3);
    let mut page = Thrift::default()
        .choice(1, 0)
        .choice(2, plain.len() as i64)
        .choice(3, stored.len() as i64)
        .within(5, data)
        .end();
    page.extend(stored);
    page
}

#[test]
fn columns_are_named_once_and_lie_apart() {
    // DS-11
    let one = page(100);
    let two = [one.clone(), one.clone()].concat();
    let apart = [(0, one.len()), (one.len(), one.len())];
    let rows = read(&laid(&two, &apart, 100, false)).expect("reads");
    assert_eq!((rows.len(), rows[0].len()), (100, 2));
    let reason = |file: &[u8]| match read(file).expect_err("refused") {
        TabularError::ParquetForm { reason, .. } => reason,
        other => panic!("{other}"),
    };
    // One page of a few bytes that any number of columns decompress.
    let same = vec![(0, one.len()); 200];
    assert!(reason(&laid(&one, &same, 100, false)).contains("overlap"));
    // Rows of one cell under two headers.
    let twice = laid(&one, &[(0, one.len())], 100, true);
    assert_eq!(reason(&twice), "columns are named twice");
}

#[test]
fn what_all_columns_hold_is_limited() {
    // DS-11: each page within its own limit.
    let one = page(1000);
    let places: Vec<(usize, usize)> = (0..8).map(|i| (i * one.len(), one.len())).collect();
    let file = laid(&one.repeat(8), &places, 1000, false);
    let rows = |limit: u64| {
        let config = SchemaConfig::new("t");
        let mut records = Records::open(Cursor::new(&file), &config).expect("opens");
        records.room = Room::new(limit);
        let mut rows = 0;
        while records.next()?.is_some() {
            rows += 1;
        }
        Ok::<_, TabularError>(rows)
    };
    assert_eq!(rows(8 * 8000).expect("fits"), 1000);
    match rows(8 * 8000 - 1) {
        Err(TabularError::ParquetForm { what, reason }) => {
            assert_eq!(what, "page");
            assert!(
                reason.contains("64000") && reason.contains("63999"),
                "{reason}"
            );
        }
        other => panic!("{other:?}"),
    }
    // A page that is read to its end gives its room back.
    let small = page(10);
    let pages = small.repeat(100);
    let file = laid(&pages, &[(0, pages.len())], 1000, false);
    let config = SchemaConfig::new("t");
    let mut records = Records::open(Cursor::new(&file), &config).expect("opens");
    records.room = Room::new(80);
    let mut rows = 0;
    while records.next().expect("reads").is_some() {
        rows += 1;
    }
    assert_eq!(rows, 1000);
}

#[test]
fn pages_without_values_come_to_an_end() {
    // DS-11: some are read over, a million are not.
    let few = [page(0).repeat(20), page(5)].concat();
    assert_eq!(
        read(&laid(&few, &[(0, few.len())], 5, false))
            .expect("reads")
            .len(),
        5
    );
    let many = [page(0).repeat(1025), page(5)].concat();
    match read(&laid(&many, &[(0, many.len())], 5, false)) {
        Err(TabularError::ParquetForm { reason, .. }) => {
            assert_eq!(reason, "more than 1024 without a value");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn cells_that_are_no_bytes_are_counted_before_they_are_read() {
    // DS-11: 2^21 rows of 250 columns would be read for hours, from no bytes at all.
    let one = page(1);
    let file = laid(&one, &vec![(0, 0); 250], 1 << 21, false);
    let config = SchemaConfig::new("t");
    match Records::open(Cursor::new(&file), &config).err() {
        Some(TabularError::TooManyCells { limit, value }) => {
            assert_eq!((limit, value), (1 << 28, 250 << 21));
        }
        other => panic!("{other:?}"),
    }
}

proptest! {
    /// Whatever is changed, there is an answer and no panic, in bounded memory.
    #[test]
    fn changed_files_are_read_or_refused(
        codec in 0..2i64,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut file = Made { codec, ..Made::default() }.file();
        for (at, to) in &changes {
            let i = at.index(file.len());
            file[i] = *to;
        }
        let _ = read(&file);
        let _ = read(&file[..cut.index(file.len())]);
    }

    /// Runs and packed bits, whatever they say.
    #[test]
    fn runs_end(bytes in prop::collection::vec(any::<u8>(), 0..64), width in 0u32..34) {
        if let Ok(mut runs) = runs::Runs::new(&bytes, 0, bytes.len(), width) {
            for _ in 0..200 {
                match runs.next(&bytes) {
                    Ok(value) => prop_assert!(u64::from(value) >> width == 0),
                    Err(_) => break,
                }
            }
        }
    }
}
