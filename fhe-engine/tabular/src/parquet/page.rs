//! The pages of a column in a row group, one value at a time.

use super::{
    Value, bytes_at,
    footer::{Chunk, Leaf, Physical, enumerated, truth},
    form,
    runs::Runs,
    thrift::{Input, STRUCT},
};
use crate::error::TabularError;
use std::io::{Read, Seek};

const WHAT: &str = "page";
/// Most bytes of a page's header: its statistics may hold long texts.
const HEADER: u64 = 64 << 10;
/// What is read of a header at first: most are shorter.
const SHORT: u64 = 1 << 10;
/// Most pages of a column in a row group that hold no value.
const IDLE: u32 = 1 << 10;
/// Most bytes of a page, as stored and as decompressed. Writers aim at 1 MiB.
const LIMIT: u64 = 16 << 20;

/// What the pages and dictionaries of all columns may hold at once.
pub(super) struct Room {
    limit: u64,
    held: u64,
}

impl Room {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, held: 0 }
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// Before anything of that size is held.
    fn take(&mut self, bytes: u64) -> Result<(), TabularError> {
        let value = self.held.saturating_add(bytes);
        if value > self.limit {
            return form(
                WHAT,
                format!(
                    "the columns hold {value} bytes at once, the limit is {}",
                    self.limit
                ),
            );
        }
        self.held = value;
        Ok(())
    }

    fn give(&mut self, bytes: u64) {
        self.held = self.held.saturating_sub(bytes);
    }
}

/// A column's values in a row group.
pub(super) struct Pages {
    column: String,
    physical: Physical,
    optional: bool,
    codec: i64,
    at: u64,
    end: u64,
    /// Rows that no page has given yet.
    rows: u64,
    /// Pages without a value so far.
    idle: u32,
    dictionary: Option<Dictionary>,
    page: Page,
}

/// A page.
#[derive(Default)]
struct Page {
    bytes: Vec<u8>,
    /// What was taken of the room for them.
    held: u64,
    left: u64,
    levels: Option<Runs>,
    values: Values,
}

#[derive(Default)]
enum Values {
    /// None is left.
    #[default]
    Empty,
    Plain {
        at: usize,
        bit: u32,
    },
    Dictionary(Runs),
    /// Truth values in runs.
    Truth(Runs),
}

/// Values that pages name by number.
struct Dictionary {
    bytes: Vec<u8>,
    /// Where each begins.
    starts: Vec<u32>,
}

/// A page's header.
#[derive(Default)]
struct Header {
    kind: Option<i64>,
    uncompressed: u64,
    compressed: u64,
    values: u64,
    encoding: i64,
    /// Version 2: bytes of the levels, and whether values are compressed.
    levels: Option<[u64; 2]>,
    plain: bool,
    size: usize,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, TabularError> {
        let mut h = Self::default();
        let mut input = Input::new(bytes);
        input.fields(|i, id, t| {
            match id {
                1 => h.kind = Some(enumerated(i, t)?),
                2 => h.uncompressed = i.count(t)?,
                3 => h.compressed = i.count(t)?,
                5 | 7 if t == STRUCT => i.fields(|i, id, t| {
                    match id {
                        1 => h.values = i.count(t)?,
                        2 => h.encoding = enumerated(i, t)?,
                        _ => return Ok(false),
                    }
                    Ok(true)
                })?,
                8 if t == STRUCT => {
                    let mut lengths = [0u64; 2];
                    i.fields(|i, id, t| {
                        match id {
                            1 => h.values = i.count(t)?,
                            4 => h.encoding = enumerated(i, t)?,
                            5 => lengths[1] = i.count(t)?,
                            6 => lengths[0] = i.count(t)?,
                            7 => h.plain = !truth(t)?,
                            _ => return Ok(false),
                        }
                        Ok(true)
                    })?;
                    h.levels = Some(lengths);
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        h.size = input.read();
        for length in [h.uncompressed, h.compressed] {
            if length > LIMIT {
                return form(WHAT, format!("it has {length} bytes, the limit is {LIMIT}"));
            }
        }
        Ok(h)
    }
}

fn decompressed(codec: i64, stored: &[u8], length: usize) -> Result<Vec<u8>, TabularError> {
    match codec {
        0 if stored.len() == length => Ok(stored.to_vec()),
        0 => form(WHAT, "its lengths differ though it is not compressed"),
        1 => {
            let found = snap::raw::decompress_len(stored);
            if found != Ok(length) {
                return form(WHAT, "its length is not the one that its header says");
            }
            snap::raw::Decoder::new()
                .decompress_vec(stored)
                .or_else(|e| form(WHAT, e))
        }
        other => {
            let name = match other {
                2 => "GZIP",
                4 => "BROTLI",
                5 | 7 => "LZ4",
                6 => "ZSTD",
                _ => "unknown",
            };
            Err(TabularError::ParquetCodec { name })
        }
    }
}

impl Pages {
    pub(super) fn open(leaf: &Leaf, chunk: &Chunk, rows: u64) -> Result<Self, TabularError> {
        Ok(Self {
            column: leaf.name.clone(),
            physical: leaf.physical,
            optional: leaf.optional,
            codec: chunk.codec,
            at: chunk.start,
            end: chunk.start.saturating_add(chunk.bytes),
            rows,
            idle: 0,
            dictionary: None,
            page: Page::default(),
        })
    }

    /// The next cell.
    pub(super) fn next<R: Read + Seek>(
        &mut self,
        reader: &mut R,
        room: &mut Room,
    ) -> Result<Value<'_>, TabularError> {
        while self.page.left == 0 {
            room.give(self.page.held);
            self.page = Page::default();
            self.load(reader, room)?;
            if self.page.left == 0 {
                self.idle += 1;
            }
            if self.idle > IDLE {
                return form(WHAT, format!("more than {IDLE} without a value"));
            }
        }
        self.page.left -= 1;
        let page = &mut self.page;
        if let Some(levels) = &mut page.levels
            && levels.next(&page.bytes)? == 0
        {
            return Ok(Value::Null);
        }
        match &mut page.values {
            Values::Empty => form(WHAT, "it has fewer values than it says"),
            Values::Truth(runs) => Ok(Value::Bool(runs.next(&page.bytes)? != 0)),
            Values::Plain { at, bit } => plain(self.physical, &page.bytes, at, bit),
            Values::Dictionary(runs) => {
                let index = runs.next(&page.bytes)? as usize;
                let found = self.dictionary.as_ref().and_then(|d| {
                    let at = *d.starts.get(index)? as usize;
                    Some((&d.bytes, at))
                });
                match found {
                    Some((bytes, mut at)) => plain(self.physical, bytes, &mut at, &mut 0),
                    None => form(WHAT, format!("there is no dictionary value {index}")),
                }
            }
        }
    }

    /// The next page of values; a dictionary before it is kept.
    fn load<R: Read + Seek>(
        &mut self,
        reader: &mut R,
        room: &mut Room,
    ) -> Result<(), TabularError> {
        let left = self.end.saturating_sub(self.at);
        if left == 0 || self.rows == 0 {
            return form(WHAT, format!("column {:?} has too few values", self.column));
        }
        let mut head = |most: u64| {
            let some = usize::try_from(left.min(most)).unwrap_or(0);
            Header::read(&bytes_at(reader, self.at, some)?)
        };
        let h = match head(SHORT) {
            Err(_) if left > SHORT => head(HEADER)?,
            read => read?,
        };
        let size = h.size as u64;
        if size.saturating_add(h.compressed) > left {
            return form(WHAT, "it lies outside its column");
        }
        let stored = usize::try_from(h.compressed).unwrap_or(0);
        let stored = bytes_at(reader, self.at + size, stored)?;
        self.at += size + h.compressed;
        match h.kind {
            Some(kind @ (0 | 3)) => {
                room.take(h.uncompressed)?;
                self.data(&h, &stored, kind == 3)?;
                self.page.held = h.uncompressed;
                Ok(())
            }
            Some(2) => {
                // Each value's place, too.
                let places = h.values.min(h.uncompressed).saturating_mul(4);
                room.take(h.uncompressed.saturating_add(places))?;
                self.keep(&h, &stored)
            }
            // An index: of no use here.
            _ => Ok(()),
        }
    }

    fn keep(&mut self, h: &Header, stored: &[u8]) -> Result<(), TabularError> {
        if !matches!(h.encoding, 0 | 2) || self.dictionary.is_some() {
            return form(WHAT, "a second dictionary, or one that is not plain");
        }
        let length = usize::try_from(h.uncompressed).unwrap_or(0);
        let bytes = decompressed(self.codec, stored, length)?;
        // At least a byte a value, but for truth values, which have no dictionary.
        if self.physical == Physical::Boolean || h.values > bytes.len() as u64 {
            return form(WHAT, format!("a dictionary of {} values", h.values));
        }
        let mut starts = Vec::new();
        let (mut at, mut bit) = (0, 0);
        for _ in 0..h.values {
            starts.push(u32::try_from(at).unwrap_or(u32::MAX));
            plain(self.physical, &bytes, &mut at, &mut bit)?;
        }
        self.dictionary = Some(Dictionary { bytes, starts });
        Ok(())
    }

    fn data(&mut self, h: &Header, stored: &[u8], second: bool) -> Result<(), TabularError> {
        if h.values > self.rows {
            return form(
                WHAT,
                format!("it has {} values, {} rows are left", h.values, self.rows),
            );
        }
        self.rows -= h.values;
        let length = usize::try_from(h.uncompressed).unwrap_or(0);
        let (bytes, levels, mut at) = match (second, h.levels) {
            (true, Some([repetition, definition])) => {
                if repetition != 0 {
                    return form(WHAT, "levels of repetition in a flat column");
                }
                let n = usize::try_from(definition).unwrap_or(usize::MAX);
                let split = stored.split_at_checked(n);
                let Some((own, rest)) = split.filter(|_| n <= length) else {
                    return form(WHAT, "its levels are longer than it is");
                };
                let codec = if h.plain { 0 } else { self.codec };
                let mut bytes = own.to_vec();
                bytes.extend(match rest.is_empty() && length == n {
                    true => Vec::new(),
                    false => decompressed(codec, rest, length - n)?,
                });
                let levels = match self.optional {
                    true => Some(Runs::new(&bytes, 0, n, 1)?),
                    false => None,
                };
                (bytes, levels, n)
            }
            (false, None) => {
                let bytes = decompressed(self.codec, stored, length)?;
                if self.optional {
                    let n = bytes.first_chunk::<4>().copied().map(u32::from_le_bytes);
                    let end = n.and_then(|n| usize::try_from(n).ok()?.checked_add(4));
                    let Some(end) = end.filter(|e| *e <= bytes.len()) else {
                        return form(WHAT, "its levels are longer than it is");
                    };
                    let levels = Runs::new(&bytes, 4, end, 1)?;
                    (bytes, Some(levels), end)
                } else {
                    (bytes, None, 0)
                }
            }
            _ => return form(WHAT, "its header is another kind's"),
        };
        let end = bytes.len();
        let values = match (h.encoding, self.physical) {
            (0, _) => Values::Plain { at, bit: 0 },
            // Nothing but nulls: there may be no width.
            (2 | 8, _) if at >= end => Values::Empty,
            (2 | 8, _) => {
                let width = u32::from(bytes.get(at).copied().unwrap_or_default());
                at += 1;
                Values::Dictionary(Runs::new(&bytes, at, end, width)?)
            }
            (3, Physical::Boolean) => {
                // With its length before it.
                if end < at + 4 {
                    return form(WHAT, "it ends within its values");
                }
                Values::Truth(Runs::new(&bytes, at + 4, end, 1)?)
            }
            (other, _) => {
                let what = match other {
                    5 => "DELTA_BINARY_PACKED",
                    6 => "DELTA_LENGTH_BYTE_ARRAY",
                    7 => "DELTA_BYTE_ARRAY",
                    9 => "BYTE_STREAM_SPLIT",
                    _ => "an unknown encoding",
                };
                return Err(TabularError::ParquetColumn {
                    column: self.column.clone(),
                    what,
                });
            }
        };
        self.page = Page {
            bytes,
            held: 0,
            left: h.values,
            levels,
            values,
        };
        Ok(())
    }
}

/// A plain value.
fn plain<'a>(
    physical: Physical,
    bytes: &'a [u8],
    at: &mut usize,
    bit: &mut u32,
) -> Result<Value<'a>, TabularError> {
    let mut take = |n: usize| {
        let end = at.checked_add(n);
        match end.and_then(|end| bytes.get(*at..end)) {
            Some(taken) => {
                *at += n;
                Ok(taken)
            }
            None => form(WHAT, "it ends within its values"),
        }
    };
    fn fixed<const N: usize>(taken: &[u8]) -> [u8; N] {
        taken.try_into().unwrap_or([0; N])
    }
    match physical {
        Physical::Boolean => {
            let Some(byte) = bytes.get(*at) else {
                return form(WHAT, "it ends within its values");
            };
            let value = byte >> *bit & 1 == 1;
            *bit += 1;
            if *bit == 8 {
                *bit = 0;
                *at += 1;
            }
            Ok(Value::Bool(value))
        }
        Physical::Int32 => Ok(Value::Int(i32::from_le_bytes(fixed(take(4)?)).into())),
        Physical::Int64 => Ok(Value::Int(i64::from_le_bytes(fixed(take(8)?)))),
        Physical::Float => Ok(Value::Float(f32::from_le_bytes(fixed(take(4)?)))),
        Physical::Double => Ok(Value::Double(f64::from_le_bytes(fixed(take(8)?)))),
        Physical::Bytes => {
            let n = u32::from_le_bytes(fixed(take(4)?));
            Ok(Value::Text(take(usize::try_from(n).unwrap_or(usize::MAX))?))
        }
        Physical::Other(_) => form(WHAT, "a type that is not read"),
    }
}
