//! A dealing on its way from the custodian to a node (DOC-14): in pieces, each
//! sealed to the node by itself, so that an upload that breaks goes on where it
//! was and whoever carries the pieces learns their number and nothing else.

use crate::{DocumentError, SealingSecret, seal};
use rand_core::CryptoRng;
use veilbourse_core::{digest::Digest, wire::Writer};
use zeroize::Zeroizing;

/// Bytes of every piece of a stream but the last.
pub const PIECE_BYTES: usize = 1 << 20;
/// Bytes that sealing adds: the encapsulated key and the tag.
pub const PIECE_OVERHEAD: usize = 1120 + 16;
const INFO: &[u8] = b"veilbourse v1 dealing";

/// Which piece: what it is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PieceContext<'a> {
    /// Digest of the announced dealing.
    pub dealing: &'a Digest,
    /// The party that it is for.
    pub party: u8,
    /// The part: "offer", or a stream's name.
    pub part: &'a str,
    /// Where it begins.
    pub offset: u64,
}

impl PieceContext<'_> {
    fn aad(&self) -> Vec<u8> {
        let Self {
            dealing,
            party,
            part,
            offset,
        } = self;
        let mut w = Writer::new();
        w.raw(&dealing.0).u8(*party).str(part).u64(*offset);
        w.finish()
    }
}

/// Seals a piece to a node.
pub fn seal_piece(
    piece: &[u8],
    node: &[u8],
    context: &PieceContext<'_>,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, DocumentError> {
    if piece.len() > PIECE_BYTES {
        return Err(DocumentError::TooLarge {
            document: "piece of a dealing",
            limit: PIECE_BYTES as u64,
            value: piece.len() as u64,
        });
    }
    seal::seal("dealing", node, INFO, &context.aad(), piece, rng)
}

/// Opens one.
pub fn open_piece(
    sealed: &[u8],
    secret: &SealingSecret,
    context: &PieceContext<'_>,
) -> Result<Zeroizing<Vec<u8>>, DocumentError> {
    let limit = PIECE_BYTES + PIECE_OVERHEAD;
    if sealed.len() > limit {
        return Err(DocumentError::TooLarge {
            document: "sealed piece of a dealing",
            limit: limit as u64,
            value: sealed.len() as u64,
        });
    }
    seal::open("dealing", secret, INFO, &context.aad(), sealed)
}
