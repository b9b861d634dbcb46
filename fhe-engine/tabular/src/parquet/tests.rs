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
