//! A committee's result on its way to the buyer (DOC-13): what was opened,
//! masked, with the dealer's commitments to the masks; and each node's mask
//! shares, sealed to the buyer alone.

#[cfg(test)]
mod tests;

use crate::{DocumentError, Key, Opening, PIECE_OVERHEAD, SealingSecret, links::same, seal};
use rand_core::CryptoRng;
use veilbourse_core::{
    digest::{Digest, Domain},
    field::Fq,
    wire::{Reader, WireError, Writer},
};
use veilbourse_protocol::{
    MAX_BATCH, MAX_NODES, MaskShare, OPENING_BYTES, ProtocolError, RistrettoPoint, Signed,
    TicketPath, check_range, range_siblings,
};
use zeroize::Zeroizing;

/// Most bytes of an encoded [`MaskedResult`]: y and five commitments a value,
/// two siblings a level.
pub const MAX_MASKED_BYTES: usize = most_masked(MAX_BATCH, MAX_NODES as usize);
const VERSION: u16 = 1;
const WHAT: &str = "masked result";
const MAX_SIBLINGS: u32 = 48;
const MASKS_INFO: &[u8] = b"veilbourse v1 masks";

/// What a quorum opened: uniform words to whoever lacks a mask share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskedResult {
    /// The first ticket; one a value from here on.
    pub first_ticket: u64,
    /// y of every value (OPN-3).
    pub words: Vec<u64>,
    /// Every party's commitment to its mask share, for every value.
    pub commitments: Vec<Vec<[u8; 32]>>,
    /// From the commitments to the signed root (TKT-5).
    pub siblings: Vec<Digest>,
}

/// Most bytes of an encoded [`MaskedResult`] of so many values and parties.
pub(crate) const fn most_masked(values: usize, parties: usize) -> usize {
    let value = parties.saturating_mul(32).saturating_add(8);
    let siblings = MAX_SIBLINGS as usize * 32;
    values.saturating_mul(value).saturating_add(siblings + 64)
}

fn wire(what: &'static str, e: &WireError) -> DocumentError {
    DocumentError::Json {
        document: what,
        reason: e.to_string(),
    }
}

impl MaskedResult {
    /// From the opened words and their tickets' paths, ascending without gaps.
    pub fn new(y: &[Fq], paths: &[TicketPath]) -> Option<Self> {
        let (first, last) = (paths.first()?, paths.last()?);
        let count = paths.len() as u64;
        let mut numbers = paths.iter().zip(first.ticket..);
        let ascending = numbers.all(|(p, n)| p.ticket == n);
        let parties = first.commitments.len();
        let even = parties > 0 && paths.iter().all(|p| p.commitments.len() == parties);
        (ascending && even && y.len() == paths.len()).then(|| Self {
            first_ticket: first.ticket,
            words: y.iter().map(|y| y.word()).collect(),
            commitments: paths.iter().map(|p| p.commitments.clone()).collect(),
            siblings: range_siblings(first.ticket, count, &first.path, &last.path),
        })
    }

    /// The opened words as field elements.
    pub fn y(&self) -> Option<Vec<Fq>> {
        self.words.iter().map(|w| Fq::new(*w)).collect()
    }

    /// Words and tickets are those of an opening (DOC-13).
    pub fn check_opening(&self, opening: &Opening) -> Result<(), DocumentError> {
        let other = "opening";
        let (found, values) = (self.words.len() as u64, opening.values);
        same(WHAT, "values", &found, other, &values)?;
        let (found, first) = (self.first_ticket, opening.first_ticket);
        same(WHAT, "first_ticket", &found, other, &first)?;
        let found = Opening::digest_of_opened(&self.words);
        same(WHAT, "words", &found, other, &opening.opened)
    }

    /// TKT-5: the commitments are under the root that the custodian signed.
    pub fn points(
        &self,
        signed: &Signed,
        parties: usize,
    ) -> Result<Vec<Vec<RistrettoPoint>>, ProtocolError> {
        for c in &self.commitments {
            if c.len() != parties {
                return Err(ProtocolError::Length {
                    what: "mask commitments of a ticket",
                    found: c.len() as u64,
                    expected: parties as u64,
                });
            }
        }
        check_range(signed, self.first_ticket, &self.commitments, &self.siblings)
    }

    /// The canonical encoding (WIRE-1).
    pub fn encode(&self) -> Vec<u8> {
        let Self {
            first_ticket,
            words,
            commitments,
            siblings,
        } = self;
        let mut out = Writer::new();
        let parties = commitments.first().map_or(0, Vec::len);
        out.u16(VERSION).u64(*first_ticket);
        out.u8(u8::try_from(parties).unwrap_or(u8::MAX));
        out.len(words.len());
        for (w, c) in words.iter().zip(commitments) {
            out.u64(*w);
            for point in c {
                out.raw(point);
            }
        }
        out.len(siblings.len());
        for s in siblings {
            out.raw(&s.0);
        }
        out.finish()
    }

    /// Reads one; every word canonical.
    pub fn decode(bytes: &[u8]) -> Result<Self, DocumentError> {
        if bytes.len() > MAX_MASKED_BYTES {
            return Err(DocumentError::TooLarge {
                document: WHAT,
                limit: MAX_MASKED_BYTES as u64,
                value: bytes.len() as u64,
            });
        }
        Self::read(bytes).map_err(|e| wire(WHAT, &e))
    }

    fn read(bytes: &[u8]) -> Result<Self, WireError> {
        let mut input = Reader::new(bytes);
        let found = input.u16("masked result version")?;
        if found != VERSION {
            return Err(WireError::Version {
                field: "masked result",
                expected: VERSION.into(),
                found: found.into(),
            });
        }
        let first_ticket = input.u64("first ticket")?;
        let parties = input.u8("parties")?;
        if !(2..=MAX_NODES).contains(&parties) {
            return Err(WireError::Invalid {
                field: "parties",
                reason: format!("{parties}, must be 2 to {MAX_NODES}"),
            });
        }
        let count = input.len("values", MAX_BATCH as u32)?;
        if count == 0 {
            return Err(WireError::Invalid {
                field: "values",
                reason: format!("0, must be 1 to {MAX_BATCH}"),
            });
        }
        let (mut words, mut commitments) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let word = input.u64("opened word")?;
            if Fq::new(word).is_none() {
                return Err(WireError::Invalid {
                    field: "opened word",
                    reason: format!("{word} is not below q"),
                });
            }
            words.push(word);
            let points = (0..parties).map(|_| input.array("mask commitment"));
            commitments.push(points.collect::<Result<_, _>>()?);
        }
        let n = input.len("siblings", MAX_SIBLINGS)?;
        let siblings = (0..n).map(|_| input.array("sibling").map(Digest));
        let siblings = siblings.collect::<Result<_, _>>()?;
        input.finish("masked result")?;
        Ok(Self {
            first_ticket,
            words,
            commitments,
            siblings,
        })
    }
}

/// One node's mask shares on their way to the buyer. A joint order's are sums
/// over its sessions (OPN-9).
#[derive(Debug, Clone, Copy)]
pub struct SealedMasks<'a> {
    /// The sessions: one, or a joint order's in the order of its quotes.
    pub sessions: &'a [Digest],
    /// The node.
    pub node_key: Key,
}

impl SealedMasks<'_> {
    /// AAD of the seal.
    fn context(&self) -> Digest {
        let mut w = Writer::new();
        w.len(self.sessions.len());
        for s in self.sessions {
            w.raw(&s.0);
        }
        w.raw(&self.node_key.0);
        Digest::of(Domain::Other("veilbourse v1 masks"), &w.finish())
    }
}

/// Bytes of sealed mask shares of so many values (DOC-13): exactly these.
pub const fn sealed_masks_bytes(values: usize) -> usize {
    let masks = values.saturating_mul(OPENING_BYTES);
    masks.saturating_add(PIECE_OVERHEAD + 4)
}

/// Seals mask shares to the order's result key (OPN-3).
pub fn seal_masks(
    masks: &[MaskShare],
    result_key: &[u8],
    context: &SealedMasks<'_>,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, DocumentError> {
    if masks.len() > MAX_BATCH {
        return Err(DocumentError::TooLarge {
            document: "masks",
            limit: MAX_BATCH as u64,
            value: masks.len() as u64,
        });
    }
    let mut out = Writer::new();
    out.len(masks.len());
    for m in masks {
        m.encode(&mut out);
    }
    let plain = Zeroizing::new(out.finish());
    let aad = context.context().0;
    seal::seal("masks", result_key, MASKS_INFO, &aad, &plain, rng)
}

/// Opens them.
pub fn open_masks(
    sealed: &[u8],
    secret: &SealingSecret,
    context: &SealedMasks<'_>,
) -> Result<Vec<MaskShare>, DocumentError> {
    let aad = context.context().0;
    let plain = seal::open("masks", secret, MASKS_INFO, &aad, sealed)?;
    let read = || {
        let mut input = Reader::new(&plain);
        let count = input.len("mask shares", MAX_BATCH as u32)?;
        let masks = (0..count).map(|_| MaskShare::decode(&mut input));
        let masks = masks.collect::<Result<Vec<_>, _>>()?;
        input.finish("mask shares")?;
        Ok(masks)
    };
    read().map_err(|e: WireError| wire("masks", &e))
}
