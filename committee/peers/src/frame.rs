//! Frames (PEER-4): a header of fixed length, then a payload whose length is
//! checked against what is expected before a byte of it is read.
//!
//! | bytes | |
//! |---|---|
//! | 1 | version, 1 |
//! | 1 | kind |
//! | 1 | step: the round, or 0 |
//! | 32 | session, or zeros |
//! | 4 | length of the payload, little-endian |

use crate::error::Violation;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt};
use veilbourse_core::digest::Digest;

/// Version of the frames.
pub const VERSION: u8 = 1;
/// Bytes of a header.
pub const HEADER_BYTES: usize = 39;
/// A payload is read in pieces of at most this: memory grows with what has come,
/// not with what was announced.
const PIECE: usize = 64 * 1024;

/// What a frame carries. Payloads are opaque here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The first frame of each side (PEER-3).
    Hello,
    /// A proposal to open a session; read by the node's gate.
    Proposal,
    /// A message of a round of an opening.
    Round,
    /// A message of a dealing check.
    Dealing,
    /// A signed counter of spent tickets.
    Counter,
    /// Signatures over what was opened.
    Signatures,
    /// The sender has left the session.
    Bye,
    /// Nothing: the connection lives (PEER-7).
    Alive,
    /// A message of the meeting that a session begins with (CST-11, QRM-2).
    Meeting,
}

const KINDS: [Kind; 9] = [
    Kind::Hello,
    Kind::Proposal,
    Kind::Round,
    Kind::Dealing,
    Kind::Counter,
    Kind::Signatures,
    Kind::Bye,
    Kind::Alive,
    Kind::Meeting,
];

/// What comes before a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What follows.
    pub kind: Kind,
    /// The round, or 0.
    pub step: u8,
    /// The session, or zeros.
    pub session: Digest,
    /// Bytes of the payload.
    pub length: u32,
}

impl Header {
    /// Reads a header; says nothing yet about whether it is expected.
    pub fn read(bytes: &[u8; HEADER_BYTES]) -> Result<Self, Violation> {
        let [version, kind, step, rest @ ..] = *bytes;
        if version != VERSION {
            return Err(Violation::Version {
                found: version,
                expected: VERSION,
            });
        }
        let [session @ .., l0, l1, l2, l3] = rest;
        let kind = *KINDS
            .get(usize::from(kind))
            .ok_or(Violation::Kind { found: kind })?;
        Ok(Self {
            kind,
            step,
            session: Digest(session),
            length: u32::from_le_bytes([l0, l1, l2, l3]),
        })
    }

    pub(crate) fn too_long(&self, limit: u32) -> Violation {
        Violation::Length {
            kind: self.kind,
            step: self.step,
            value: self.length,
            limit,
        }
    }
}

/// A frame as it is sent. Our own payloads are far below 4 GiB: the protocol's
/// largest message has 2^16 values.
pub fn encode(kind: Kind, step: u8, session: &Digest, payload: &[u8]) -> Arc<[u8]> {
    let number = KINDS.iter().position(|k| *k == kind).unwrap_or_default();
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut out = Vec::with_capacity(HEADER_BYTES + payload.len());
    out.extend([VERSION, number as u8, step]);
    out.extend(session.0);
    out.extend(length.to_le_bytes());
    out.extend(payload);
    out.into()
}

/// Reads the bytes of a header.
pub(crate) async fn read_header(
    io: &mut (impl AsyncRead + Unpin),
) -> std::io::Result<[u8; HEADER_BYTES]> {
    let mut bytes = [0; HEADER_BYTES];
    io.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// Reads a payload whose length has been admitted.
pub(crate) async fn read_payload(
    io: &mut (impl AsyncRead + Unpin),
    length: u32,
) -> std::io::Result<Vec<u8>> {
    let length = length as usize;
    let mut out = Vec::new();
    while out.len() < length {
        let start = out.len();
        out.resize(length.min(start + PIECE), 0);
        io.read_exact(out.get_mut(start..).unwrap_or_default())
            .await?;
    }
    Ok(out)
}

/// Reads a payload that nobody wants, and keeps nothing of it.
pub(crate) async fn skip_payload(
    io: &mut (impl AsyncRead + Unpin),
    length: u32,
) -> std::io::Result<()> {
    let mut rest = io.take(u64::from(length));
    let read = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    if read < u64::from(length) {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_go_there_and_back() {
        // PEER-4
        for (number, kind) in (0u8..).zip(KINDS) {
            let frame = encode(kind, 7, &Digest([3; 32]), b"abc");
            assert_eq!(frame[1], number);
            let header = Header::read(frame[..HEADER_BYTES].try_into().unwrap()).unwrap();
            let expected = Header {
                kind,
                step: 7,
                session: Digest([3; 32]),
                length: 3,
            };
            assert_eq!(header, expected);
        }
        let mut bytes = [0; HEADER_BYTES];
        let version = Violation::Version {
            found: 0,
            expected: 1,
        };
        assert_eq!(Header::read(&bytes), Err(version));
        bytes[0] = 1;
        bytes[1] = 9;
        assert_eq!(Header::read(&bytes), Err(Violation::Kind { found: 9 }));
    }

    #[tokio::test]
    async fn memory_follows_what_has_come() {
        // PEER-4: four gigabytes are announced, ten bytes come.
        let mut few: &[u8] = &[1; 10];
        let e = read_payload(&mut few, u32::MAX).await.unwrap_err();
        assert_eq!(e.kind(), std::io::ErrorKind::UnexpectedEof);
        let many = vec![5; 3 * PIECE + 1];
        let read = read_payload(&mut many.as_slice(), many.len() as u32).await;
        assert_eq!(read.unwrap(), many);
    }
}
