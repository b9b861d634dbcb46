//! A dealing on its way (DOC-14): offers and streams sealed to their node piece
//! by piece.

use super::files;
use crate::{ClientError, disk};
use rand_core::CryptoRng;
use std::{io::Read, path::Path};
use veilbourse_core::digest::Digest;
use veilbourse_documents::{Key, PIECE_BYTES, PieceContext, seal_piece};
use veilbourse_ticket_store::Offer;
use zeroize::Zeroizing;

/// The parts of a dealing, as their pieces are named.
pub const PARTS: [&str; 5] = ["offer", "commitments", "explicit", "key", "proof"];
/// What the pieces of one party are sealed with.
pub(super) struct Sealer<'a, R> {
    /// Where they go.
    pub folder: &'a Path,
    /// Digest of the announcement.
    pub dealing: Digest,
    /// The custodian's signing key.
    pub dealer: &'a Key,
    /// The party.
    pub party: u8,
    /// Its sealing key.
    pub key: &'a [u8],
    pub rng: &'a mut R,
}

/// Where a piece lies.
pub(super) fn name(party: u8, part: &str, piece: u64) -> String {
    format!("{party}-{part}-{piece}")
}

impl<R: CryptoRng> Sealer<'_, R> {
    fn put(&mut self, part: &str, piece: u64, plain: &[u8]) -> Result<(), ClientError> {
        let context = PieceContext {
            dealing: &self.dealing,
            dealer: self.dealer,
            party: self.party,
            part,
            offset: piece.saturating_mul(PIECE_BYTES as u64),
        };
        let sealed = seal_piece(plain, self.key, &context, self.rng)
            .map_err(|e| ClientError::refused("piece of a dealing", e))?;
        let path = self.folder.join(name(self.party, part, piece));
        files::remove(&path)?;
        files::write_new(&path, &sealed)
    }

    /// The offer, in one piece.
    pub fn offer(&mut self, offer: &Offer) -> Result<(), ClientError> {
        self.put("offer", 0, &offer.encode())
    }

    /// A stream from its file; an empty one has no piece.
    pub fn stream(&mut self, part: &str, file: &Path) -> Result<(), ClientError> {
        let error = |e| ClientError::file(file, e);
        let source = disk::open(file).map_err(error)?;
        let mut source = std::io::BufReader::with_capacity(PIECE_BYTES, source);
        let mut plain = Zeroizing::new(Vec::with_capacity(PIECE_BYTES));
        for piece in 0u64.. {
            plain.clear();
            let mut part_of = source.by_ref().take(PIECE_BYTES as u64);
            part_of.read_to_end(&mut plain).map_err(error)?;
            if plain.is_empty() {
                break;
            }
            self.put(part, piece, &plain)?;
        }
        Ok(())
    }
}
