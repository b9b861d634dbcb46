//! A dealing on its way (DOC-14): the offer's form, and streams sealed to their
//! node piece by piece.

use super::{DealingError, files};
use crate::ClientError;
use rand_core::CryptoRng;
use std::{fs::File, io::Read, path::Path};
use veilbourse_core::{
    digest::Digest,
    wire::{Reader, WireError, Writer},
};
use veilbourse_documents::{PIECE_BYTES, PieceContext, seal_piece};
use veilbourse_ticket_store::{Offer, Package};
use zeroize::Zeroizing;

/// The parts of a dealing, as their pieces are named.
pub const PARTS: [&str; 5] = ["offer", "commitments", "explicit", "key", "proof"];
/// Bytes of an offer.
pub const OFFER_BYTES: usize = 32 + 32 + 8 + 4 * 32;

/// Part `offer`: the seed, then the package.
pub fn encode_offer(offer: &Offer) -> Zeroizing<Vec<u8>> {
    let Package {
        seed,
        proof_bytes,
        streams,
    } = &offer.package;
    let mut out = Writer::new();
    out.raw(&*offer.seed).raw(&seed.0).u64(*proof_bytes);
    for s in streams {
        out.raw(&s.0);
    }
    Zeroizing::new(out.finish())
}

/// Reads it.
pub fn decode_offer(bytes: &[u8]) -> Result<Offer, DealingError> {
    let read = || {
        let mut input = Reader::new(bytes);
        let seed = Zeroizing::new(input.array("seed")?);
        let named = Digest(input.array("package seed")?);
        let proof_bytes = input.u64("proof bytes")?;
        let mut streams = [Digest::default(); 4];
        for s in &mut streams {
            *s = Digest(input.array("stream digest")?);
        }
        input.finish("offer")?;
        Ok(Offer {
            seed,
            package: Package {
                seed: named,
                proof_bytes,
                streams,
            },
        })
    };
    read().map_err(|cause: WireError| DealingError::Form {
        what: "offer",
        cause,
    })
}

/// What the pieces of one party are sealed with.
pub(super) struct Sealer<'a, R> {
    /// Where they go.
    pub folder: &'a Path,
    /// Digest of the announcement.
    pub dealing: Digest,
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
        let plain = encode_offer(offer);
        self.put("offer", 0, &plain)
    }

    /// A stream from its file; an empty one has no piece.
    pub fn stream(&mut self, part: &str, file: &Path) -> Result<(), ClientError> {
        let error = |e| ClientError::file(file, e);
        let source = File::open(file).map_err(error)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_reads_back() {
        // DOC-14
        let offer = Offer {
            seed: Zeroizing::new([7; 32]),
            package: Package {
                seed: Package::seed_id(&[7; 32]),
                proof_bytes: 12,
                streams: [1, 2, 3, 4].map(|n| Digest([n; 32])),
            },
        };
        let bytes = encode_offer(&offer);
        assert_eq!(bytes.len(), OFFER_BYTES);
        let back = decode_offer(&bytes).expect("reads");
        assert_eq!((*back.seed, back.package), (*offer.seed, offer.package));
        for bad in [&bytes[..OFFER_BYTES - 1], &[&bytes[..], &[0]].concat()] {
            let e = decode_offer(bad).err().expect("refused");
            assert!(matches!(e, DealingError::Form { what: "offer", .. }), "{e}");
        }
    }
}
