//! Thrift's compact protocol, as far as Parquet's headers need it: over a slice, every
//! length held to what is left of it.

use super::form;
use crate::error::TabularError;

const WHAT: &str = "header";
/// Deepest nesting of what is skipped.
const DEPTH: u32 = 16;

/// Types on the wire.
pub(super) const TRUE: u8 = 1;
pub(super) const FALSE: u8 = 2;
const BYTE: u8 = 3;
pub(super) const I16: u8 = 4;
pub(super) const I32: u8 = 5;
pub(super) const I64: u8 = 6;
const DOUBLE: u8 = 7;
pub(super) const BINARY: u8 = 8;
pub(super) const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
pub(super) const STRUCT: u8 = 12;

/// A place in a slice.
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub(super) fn read(&self) -> usize {
        self.at
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], TabularError> {
        let end = self.at.checked_add(n);
        match end.and_then(|end| self.bytes.get(self.at..end)) {
            Some(taken) => {
                self.at += n;
                Ok(taken)
            }
            None => form(WHAT, "it ends within a field"),
        }
    }

    fn byte(&mut self) -> Result<u8, TabularError> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    fn varint(&mut self) -> Result<u64, TabularError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        form(WHAT, "an integer of more than 64 bits")
    }

    fn zigzag(&mut self) -> Result<i64, TabularError> {
        let n = self.varint()?;
        Ok((n >> 1) as i64 ^ -((n & 1) as i64))
    }

    /// An integer field of its type.
    pub(super) fn integer(&mut self, found: u8) -> Result<i64, TabularError> {
        match found {
            I16 | I32 | I64 => self.zigzag(),
            _ => form(WHAT, format!("an integer is expected, type {found} found")),
        }
    }

    /// One that counts or measures.
    pub(super) fn count(&mut self, found: u8) -> Result<u64, TabularError> {
        let n = self.integer(found)?;
        u64::try_from(n).or_else(|_| form(WHAT, format!("a length or number of {n}")))
    }

    pub(super) fn text(&mut self, found: u8) -> Result<String, TabularError> {
        if found != BINARY {
            return form(WHAT, format!("a text is expected, type {found} found"));
        }
        let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        let bytes = self.take(length)?;
        String::from_utf8(bytes.to_vec()).or_else(|_| form(WHAT, "a name is not UTF-8"))
    }

    /// The elements of a list: their type and number, at most one a byte that is left.
    pub(super) fn list(&mut self, found: u8, of: u8) -> Result<usize, TabularError> {
        if found != LIST {
            return form(WHAT, format!("a list is expected, type {found} found"));
        }
        let (element, size) = self.list_header()?;
        if element != of && size > 0 {
            return form(
                WHAT,
                format!("a list of type {of} is expected, {element} found"),
            );
        }
        Ok(size)
    }

    fn list_header(&mut self) -> Result<(u8, usize), TabularError> {
        let byte = self.byte()?;
        let size = match byte >> 4 {
            15 => usize::try_from(self.varint()?).unwrap_or(usize::MAX),
            n => usize::from(n),
        };
        let left = self.bytes.len().saturating_sub(self.at);
        if size > left {
            return form(WHAT, format!("a list of {size} elements in {left} bytes"));
        }
        Ok((byte & 15, size))
    }

    /// The fields of a structure: `each` reads those that it knows and says so; others
    /// are skipped.
    pub(super) fn fields(
        &mut self,
        mut each: impl FnMut(&mut Self, i16, u8) -> Result<bool, TabularError>,
    ) -> Result<(), TabularError> {
        let mut id = 0i16;
        while let Some((next, found)) = self.field(id)? {
            id = next;
            if !each(self, id, found)? {
                self.skip(found, 0)?;
            }
        }
        Ok(())
    }

    fn field(&mut self, before: i16) -> Result<Option<(i16, u8)>, TabularError> {
        let byte = self.byte()?;
        if byte == 0 {
            return Ok(None);
        }
        let id = match byte >> 4 {
            0 => i16::try_from(self.zigzag()?).ok(),
            delta => before.checked_add(i16::from(delta)),
        };
        match id {
            Some(id) => Ok(Some((id, byte & 15))),
            None => form(WHAT, "a field's number is out of range"),
        }
    }

    pub(super) fn skip(&mut self, found: u8, depth: u32) -> Result<(), TabularError> {
        if depth > DEPTH {
            return form(WHAT, format!("nested deeper than {DEPTH}"));
        }
        match found {
            TRUE | FALSE => Ok(()),
            BYTE => self.byte().map(drop),
            I16 | I32 | I64 => self.varint().map(drop),
            DOUBLE => self.take(8).map(drop),
            BINARY => {
                let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                self.take(length).map(drop)
            }
            LIST | SET => {
                let (element, size) = self.list_header()?;
                for _ in 0..size {
                    self.skip_element(element, depth)?;
                }
                Ok(())
            }
            MAP => {
                let size = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                if size == 0 {
                    return Ok(());
                }
                if size > self.bytes.len() {
                    return form(WHAT, format!("a map of {size} elements"));
                }
                let types = self.byte()?;
                for _ in 0..size {
                    self.skip_element(types >> 4, depth)?;
                    self.skip_element(types & 15, depth)?;
                }
                Ok(())
            }
            STRUCT => {
                let mut id = 0;
                while let Some((next, inner)) = self.field(id)? {
                    id = next;
                    self.skip(inner, depth + 1)?;
                }
                Ok(())
            }
            other => form(WHAT, format!("there is no type {other}")),
        }
    }

    /// In a list, a truth value is a byte.
    fn skip_element(&mut self, element: u8, depth: u32) -> Result<(), TabularError> {
        match element {
            TRUE | FALSE => self.byte().map(drop),
            other => self.skip(other, depth + 1),
        }
    }
}
