//! The size gate (rule DS-8): a reader that follows the CSV's fields byte by
//! byte and refuses while nothing large is held, so that a line of a million
//! columns or an endless field never reaches the parser's buffers.

use crate::error::TabularError;
use std::io::{self, Read};

/// Limits of the gate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GateLimits {
    pub file_bytes: u64,
    pub field_bytes: u64,
    pub columns: u64,
    pub delimiter: u8,
}

/// Where in a record the last byte was; the grammar of the `csv` crate
/// (RFC 4180, a quote is special only at the start of a field).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    FieldStart,
    Bare,
    Quoted,
    QuoteInQuoted,
}

/// A reader that stops with a [`TabularError`] inside an [`io::Error`].
#[derive(Debug)]
pub(crate) struct Gate<R> {
    inner: R,
    limits: GateLimits,
    at: At,
    bytes: u64,
    line: u64,
    fields: u64,
    field_bytes: u64,
    quote_line: u64,
}

impl<R: Read> Gate<R> {
    pub(crate) fn new(inner: R, limits: GateLimits) -> Self {
        Self {
            inner,
            limits,
            at: At::FieldStart,
            bytes: 0,
            line: 1,
            fields: 1,
            field_bytes: 0,
            quote_line: 1,
        }
    }

    fn step(&mut self, byte: u8) -> Result<(), TabularError> {
        let quoted = self.at == At::Quoted;
        if byte == b'\n' {
            self.line += 1;
        }
        if !quoted && byte == self.limits.delimiter {
            self.fields += 1;
            self.field_bytes = 0;
            self.at = At::FieldStart;
            if self.fields > self.limits.columns {
                return Err(TabularError::TooManyColumns {
                    line: self.line,
                    limit: self.limits.columns,
                });
            }
            return Ok(());
        }
        if !quoted && (byte == b'\n' || byte == b'\r') {
            self.fields = 1;
            self.field_bytes = 0;
            self.at = At::FieldStart;
            return Ok(());
        }
        self.field_bytes += 1;
        if self.field_bytes > self.limits.field_bytes {
            return Err(TabularError::FieldTooLarge {
                line: self.line,
                limit_bytes: self.limits.field_bytes,
            });
        }
        self.at = match (self.at, byte) {
            (At::FieldStart, b'"') => {
                self.quote_line = self.line;
                At::Quoted
            }
            (At::Quoted, b'"') => At::QuoteInQuoted,
            (At::QuoteInQuoted, b'"') | (At::Quoted, _) => At::Quoted,
            _ => At::Bare,
        };
        Ok(())
    }
}

impl<R: Read> Read for Gate<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        if n == 0 && !buf.is_empty() && self.at == At::Quoted {
            return Err(io::Error::other(TabularError::UnclosedQuote {
                line: self.quote_line,
            }));
        }
        self.bytes += n as u64;
        if self.bytes > self.limits.file_bytes {
            return Err(io::Error::other(TabularError::FileTooLarge {
                limit_bytes: self.limits.file_bytes,
            }));
        }
        for byte in buf.iter().take(n) {
            self.step(*byte).map_err(io::Error::other)?;
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str, columns: u64, field_bytes: u64) -> Option<TabularError> {
        let limits = GateLimits {
            file_bytes: 1 << 20,
            field_bytes,
            columns,
            delimiter: b',',
        };
        let mut out = Vec::new();
        Gate::new(text.as_bytes(), limits)
            .read_to_end(&mut out)
            .err()
            .and_then(|e| e.into_inner())
            .and_then(|e| e.downcast::<TabularError>().ok())
            .map(|e| *e)
    }

    #[test]
    fn quotes_hide_delimiters_and_line_ends() {
        assert!(run("a,\"b,\"\"c,\n,,\"\n1,2\n", 2, 20).is_none());
        assert!(run("a,b\"c\n1,2\n", 2, 20).is_none());
    }

    #[test]
    fn each_gate_refuses_by_its_own_name() {
        assert!(matches!(
            run("a,b,c", 2, 20),
            Some(TabularError::TooManyColumns { line: 1, limit: 2 })
        ));
        assert!(matches!(
            run("a,b\n1,123456", 2, 5),
            Some(TabularError::FieldTooLarge {
                line: 2,
                limit_bytes: 5
            })
        ));
        assert!(matches!(
            run("a,b\n1,\"2\n3,4\n", 2, 20),
            Some(TabularError::UnclosedQuote { line: 2 })
        ));
    }
}
