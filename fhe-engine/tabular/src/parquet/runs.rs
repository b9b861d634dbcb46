//! The hybrid of runs and packed bits that levels and dictionary indices are written
//! in: one value at a time, so that a run costs what its header costs.

use super::form;
use crate::error::TabularError;

const WHAT: &str = "run";

/// A place in runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Runs {
    /// Where its bytes are in the page.
    at: usize,
    end: usize,
    width: u32,
    /// Of the current run.
    left: u64,
    /// Its value, or none where it is packed bits.
    value: Option<u32>,
    bit: u64,
}

fn byte(page: &[u8], at: usize) -> u8 {
    page.get(at).copied().unwrap_or_default()
}

impl Runs {
    /// Runs in `page[at..end]` of values of `width` bits.
    pub(super) fn new(
        page: &[u8],
        at: usize,
        end: usize,
        width: u32,
    ) -> Result<Self, TabularError> {
        if width > 32 || at > end || end > page.len() {
            return form(WHAT, format!("{width} bits a value in {at}..{end}"));
        }
        Ok(Self {
            at,
            end,
            width,
            ..Self::default()
        })
    }

    pub(super) fn next(&mut self, page: &[u8]) -> Result<u32, TabularError> {
        if self.left == 0 {
            self.header(page)?;
        }
        self.left -= 1;
        if let Some(value) = self.value {
            return Ok(value);
        }
        // Bits from the least significant of each byte on.
        let mut value = 0u64;
        let first = usize::try_from(self.bit / 8).unwrap_or(usize::MAX);
        for i in 0..5 {
            let at = self.at.saturating_add(first).saturating_add(i);
            let part = if at < self.end { byte(page, at) } else { 0 };
            value |= u64::from(part) << (8 * i);
        }
        value >>= self.bit % 8;
        self.bit += u64::from(self.width);
        if self.left == 0 {
            let bytes = usize::try_from(self.bit.div_ceil(8)).unwrap_or(usize::MAX);
            self.at = self.at.saturating_add(bytes).min(self.end);
        }
        Ok((value & ((1u64 << self.width) - 1)) as u32)
    }

    fn header(&mut self, page: &[u8]) -> Result<(), TabularError> {
        let mut header = 0u64;
        let mut shift = 0;
        loop {
            if self.at >= self.end || shift > 35 {
                return form(WHAT, "values end before the page does");
            }
            let b = byte(page, self.at);
            self.at += 1;
            header |= u64::from(b & 0x7f) << shift;
            shift += 7;
            if b & 0x80 == 0 {
                break;
            }
        }
        let bytes = (self.width.div_ceil(8)) as usize;
        if header & 1 == 1 {
            // Groups of eight; the last may be cut off by the page's end.
            let groups = header >> 1;
            self.left = groups.saturating_mul(8);
            let room = ((self.end - self.at) as u64).saturating_mul(8);
            if self.width > 0 {
                self.left = self.left.min(room / u64::from(self.width));
            }
            self.value = None;
            self.bit = 0;
            if self.width == 0 {
                self.value = Some(0);
            }
        } else {
            self.left = header >> 1;
            let mut value = 0u32;
            for i in 0..bytes {
                if self.at + i >= self.end {
                    return form(WHAT, "a run's value is cut off");
                }
                value |= u32::from(byte(page, self.at + i)) << (8 * i);
            }
            self.at += bytes;
            if u64::from(value) >> self.width != 0 {
                return form(WHAT, format!("{value} has more than {} bits", self.width));
            }
            self.value = Some(value);
        }
        match self.left {
            0 => form(WHAT, "a run of no values"),
            _ => Ok(()),
        }
    }
}
