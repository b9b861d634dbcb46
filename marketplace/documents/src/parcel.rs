//! A dealing on its way from the custodian to a node (DOC-14): in pieces, each
//! sealed to the node by itself, so that an upload that breaks goes on where it
//! was and whoever carries the pieces learns their number and nothing else.

use crate::{DocumentError, Key, SealingSecret, seal};
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
    /// The custodian's signing key: what one dealt is nobody else's, whatever
    /// policy names it (KEY-9).
    pub dealer: &'a Key,
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
            dealer,
            party,
            part,
            offset,
        } = self;
        let mut w = Writer::new();
        w.raw(&dealing.0).raw(&dealer.0);
        w.u8(*party).str(part).u64(*offset);
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

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha12Rng;

    fn rng(seed: u64) -> ChaCha12Rng {
        ChaCha12Rng::seed_from_u64(seed)
    }

    const DEALING: Digest = Digest([7; 32]);
    const DEALER: Key = Key([9; 32]);

    fn context() -> PieceContext<'static> {
        PieceContext {
            dealing: &DEALING,
            dealer: &DEALER,
            party: 1,
            part: "explicit",
            offset: PIECE_BYTES as u64,
        }
    }

    fn refused(got: Result<Zeroizing<Vec<u8>>, DocumentError>, what: &str) {
        assert_eq!(got, Err(DocumentError::Seal { what: "dealing" }), "{what}");
    }

    #[test]
    fn a_piece_opens_at_its_place_alone() {
        // DOC-14: announcement, dealer, party, part, offset, and the node's key.
        let secret = SealingSecret::generate(&mut rng(1));
        let public = secret.public().unwrap();
        let sealed = seal_piece(b"shares", &public, &context(), &mut rng(2)).unwrap();
        assert_eq!(sealed.len(), 6 + PIECE_OVERHEAD);
        assert_eq!(
            open_piece(&sealed, &secret, &context()).unwrap().as_slice(),
            b"shares"
        );
        let other = Digest([8; 32]);
        let dealing = PieceContext {
            dealing: &other,
            ..context()
        };
        refused(open_piece(&sealed, &secret, &dealing), "dealing");
        for other in [Key([8; 32]), Key([0; 32]), Key(DEALING.0)] {
            let dealer = PieceContext {
                dealer: &other,
                ..context()
            };
            refused(open_piece(&sealed, &secret, &dealer), "dealer");
        }
        for party in [0, 2, 255] {
            let party = PieceContext { party, ..context() };
            refused(open_piece(&sealed, &secret, &party), "party");
        }
        for part in ["offer", "key", "explici", "explicit ", ""] {
            let part = PieceContext { part, ..context() };
            refused(open_piece(&sealed, &secret, &part), "part");
        }
        for offset in [0, 1, PIECE_BYTES as u64 + 1, u64::MAX] {
            let offset = PieceContext {
                offset,
                ..context()
            };
            refused(open_piece(&sealed, &secret, &offset), "offset");
        }
        let node = SealingSecret::generate(&mut rng(3));
        refused(open_piece(&sealed, &node, &context()), "node");
        for at in (0..sealed.len()).step_by(7).chain([sealed.len() - 1]) {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            refused(open_piece(&changed, &secret, &context()), "byte");
        }
        for cut in [0, 1, PIECE_OVERHEAD, sealed.len() - 1] {
            refused(open_piece(&sealed[..cut], &secret, &context()), "cut off");
        }
        let longer = [&sealed[..], &[0]].concat();
        refused(open_piece(&longer, &secret, &context()), "longer");
    }

    #[test]
    fn a_piece_is_no_other_sealed_part() {
        // DOC-6, DOC-14: the same key and AAD, another info.
        let secret = SealingSecret::generate(&mut rng(1));
        let public = secret.public().unwrap();
        let aad = context().aad();
        let model = seal::seal(
            "model",
            &public,
            b"veilbourse v1 model",
            &aad,
            b"x",
            &mut rng(2),
        );
        refused(open_piece(&model.unwrap(), &secret, &context()), "model");
        let piece = seal_piece(b"{}", &public, &context(), &mut rng(2)).unwrap();
        let model = seal::open("model", &secret, b"veilbourse v1 model", &aad, &piece);
        assert_eq!(model, Err(DocumentError::Seal { what: "model" }));
    }

    #[test]
    fn a_piece_has_at_most_its_bytes() {
        // DOC-14: at the limit and one beyond, sealed and opened.
        let secret = SealingSecret::generate(&mut rng(1));
        let public = secret.public().unwrap();
        let full = vec![3; PIECE_BYTES];
        let sealed = seal_piece(&full, &public, &context(), &mut rng(2)).unwrap();
        assert_eq!(sealed.len(), PIECE_BYTES + PIECE_OVERHEAD);
        assert_eq!(*open_piece(&sealed, &secret, &context()).unwrap(), full);
        let empty = seal_piece(&[], &public, &context(), &mut rng(2)).unwrap();
        assert!(open_piece(&empty, &secret, &context()).unwrap().is_empty());
        let more = vec![3; PIECE_BYTES + 1];
        let too_large = |document, limit: usize| DocumentError::TooLarge {
            document,
            limit: limit as u64,
            value: limit as u64 + 1,
        };
        assert_eq!(
            seal_piece(&more, &public, &context(), &mut rng(2)),
            Err(too_large("piece of a dealing", PIECE_BYTES))
        );
        let limit = PIECE_BYTES + PIECE_OVERHEAD;
        assert_eq!(
            open_piece(&vec![0; limit + 1], &secret, &context()),
            Err(too_large("sealed piece of a dealing", limit))
        );
        refused(open_piece(&vec![0; limit], &secret, &context()), "noise");
        // A key that nothing can be sealed to.
        let e = seal_piece(b"x", &[0xff; 1216], &context(), &mut rng(2));
        assert_eq!(e, Err(DocumentError::Seal { what: "dealing" }));
    }
}
