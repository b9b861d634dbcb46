//! Canonical binary encoding: what is hashed, signed over or put on disk.
//!
//! Every integer is little-endian, every sequence is preceded by its `u32`
//! length, there is exactly one encoding of a value, and a decoder refuses
//! trailing bytes. Rules WIRE-1..4 of `docs/spec/wire.md`.

use thiserror::Error;

/// Why bytes were not accepted as a value (rules WIRE-1..4).
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum WireError {
    /// The input ended before the value did.
    #[error("{field}: input ends after {available} of {needed} bytes")]
    Truncated {
        /// The field being read.
        field: &'static str,
        /// Bytes the field needs.
        needed: u64,
        /// Bytes that were left.
        available: u64,
    },
    /// Bytes follow the value.
    #[error("{field}: {extra} bytes follow the end of the value")]
    Trailing {
        /// The value that was read.
        field: &'static str,
        /// How many bytes follow.
        extra: u64,
    },
    /// A length, count or number exceeds its limit.
    #[error("{field}: {value} exceeds the limit {limit}")]
    TooLarge {
        /// The field being read.
        field: &'static str,
        /// The limit.
        limit: u64,
        /// The value found.
        value: u64,
    },
    /// The version is not one this program reads.
    #[error("{field}: version {found} is not supported (expected {expected})")]
    Version {
        /// The kind of value.
        field: &'static str,
        /// The version understood.
        expected: u64,
        /// The version found.
        found: u64,
    },
    /// A value has the right length but is not allowed.
    #[error("{field}: {reason}")]
    Invalid {
        /// The field being read.
        field: &'static str,
        /// What is wrong with it, with the value.
        reason: String,
    },
}

/// Appends canonical encodings to a byte string.
#[derive(Debug, Default, Clone)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }
    /// Appends one byte.
    pub fn u8(&mut self, v: u8) -> &mut Self {
        self.bytes.push(v);
        self
    }
    /// Appends a `u16`.
    pub fn u16(&mut self, v: u16) -> &mut Self {
        self.raw(&v.to_le_bytes())
    }
    /// Appends a `u32`.
    pub fn u32(&mut self, v: u32) -> &mut Self {
        self.raw(&v.to_le_bytes())
    }
    /// Appends a `u64`.
    pub fn u64(&mut self, v: u64) -> &mut Self {
        self.raw(&v.to_le_bytes())
    }
    /// Appends an `i64` in two's complement.
    pub fn i64(&mut self, v: i64) -> &mut Self {
        self.raw(&v.to_le_bytes())
    }
    /// Appends bytes without a length: only for fixed-size fields.
    pub fn raw(&mut self, v: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(v);
        self
    }
    /// Appends a length and the bytes.
    pub fn bytes(&mut self, v: &[u8]) -> &mut Self {
        self.len(v.len()).raw(v)
    }
    /// Appends a string as UTF-8 with its length.
    pub fn str(&mut self, v: &str) -> &mut Self {
        self.bytes(v.as_bytes())
    }
    /// Appends a sequence length.
    ///
    /// # Panics
    /// When our own value holds more than `u32::MAX` items; never on input.
    pub fn len(&mut self, n: usize) -> &mut Self {
        #[allow(clippy::expect_used)]
        let n = u32::try_from(n).expect("sequences of our own values fit u32");
        self.u32(n)
    }
    /// Appends a sequence of words with its length.
    pub fn words(&mut self, v: &[u64]) -> &mut Self {
        self.len(v.len());
        for w in v {
            self.u64(*w);
        }
        self
    }
    /// The bytes written.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads canonical encodings, refusing what no writer writes.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
    /// Bytes not yet read.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }
    /// Takes `n` bytes.
    pub fn take(&mut self, field: &'static str, n: usize) -> Result<&'a [u8], WireError> {
        match self.rest.split_at_checked(n) {
            Some((head, tail)) => {
                self.rest = tail;
                Ok(head)
            }
            None => Err(WireError::Truncated {
                field,
                needed: n as u64,
                available: self.rest.len() as u64,
            }),
        }
    }
    /// Takes a fixed-size array.
    pub fn array<const L: usize>(&mut self, field: &'static str) -> Result<[u8; L], WireError> {
        let mut out = [0u8; L];
        out.copy_from_slice(self.take(field, L)?);
        Ok(out)
    }
    /// Reads one byte.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, WireError> {
        Ok(u8::from_le_bytes(self.array(field)?))
    }
    /// Reads a `u16`.
    pub fn u16(&mut self, field: &'static str) -> Result<u16, WireError> {
        Ok(u16::from_le_bytes(self.array(field)?))
    }
    /// Reads a `u32`.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, WireError> {
        Ok(u32::from_le_bytes(self.array(field)?))
    }
    /// Reads a `u64`.
    pub fn u64(&mut self, field: &'static str) -> Result<u64, WireError> {
        Ok(u64::from_le_bytes(self.array(field)?))
    }
    /// Reads an `i64`.
    pub fn i64(&mut self, field: &'static str) -> Result<i64, WireError> {
        Ok(i64::from_le_bytes(self.array(field)?))
    }
    /// Reads a length of at most `limit` (checked before anything is allocated).
    pub fn len(&mut self, field: &'static str, limit: u32) -> Result<usize, WireError> {
        let n = self.u32(field)?;
        if n > limit {
            return Err(WireError::TooLarge {
                field,
                limit: u64::from(limit),
                value: u64::from(n),
            });
        }
        Ok(n as usize)
    }
    /// Reads length-prefixed bytes of at most `limit`.
    pub fn bytes(&mut self, field: &'static str, limit: u32) -> Result<&'a [u8], WireError> {
        let n = self.len(field, limit)?;
        self.take(field, n)
    }
    /// Reads a length-prefixed UTF-8 string of at most `limit` bytes.
    pub fn str(&mut self, field: &'static str, limit: u32) -> Result<String, WireError> {
        let raw = self.bytes(field, limit)?;
        String::from_utf8(raw.to_vec()).map_err(|e| WireError::Invalid {
            field,
            reason: format!("not UTF-8: {e}"),
        })
    }
    /// Refuses trailing bytes.
    pub fn finish(self, field: &'static str) -> Result<(), WireError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(WireError::Trailing {
                field,
                extra: self.rest.len() as u64,
            })
        }
    }
}
