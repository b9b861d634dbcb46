//! Shares from seeds (SHR-3): all but one party's need no storage.
//!
//! BLAKE3 in key-derivation mode over seed, scope, purpose and index, its output
//! read as little-endian words; for field elements those of q or more are
//! skipped. The scope is the digest of what the stream belongs to (a dealing, a
//! proof): two things never share a stream, or what is padded by both would show
//! in their difference.

use crate::{fq2::Fq2, share::Share};
use rand_core::{Infallible, TryCryptoRng, TryRng};
use veilbourse_core::{digest::Digest, field::Fq};
use zeroize::Zeroize;

/// What a stream is for; part of its derivation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A party's share of the MAC key.
    MacKey,
    /// Shares of the secret key S_D.
    DataKey,
    /// Shares of a ticket's values.
    Ticket,
    /// A party's share of a ticket's output mask and its blinder.
    Mask,
    /// Shares of what the dealing's proof needs.
    Proof,
    /// Coefficients of a check, from a public seed.
    Challenge,
    /// The dealer's own choices: r, masks, noise.
    Choice,
}

const BLOCK: usize = 512;

/// Words of a stream.
pub struct Stream {
    reader: blake3::OutputReader,
    block: [u8; BLOCK],
    at: usize,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.block.zeroize();
    }
}

impl Stream {
    /// The stream of a seed within a scope, for a purpose and an index (of a
    /// ticket, say).
    pub fn new(seed: &[u8; 32], scope: &Digest, purpose: Purpose, index: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("veilbourse v1 committee stream");
        hasher.update(seed);
        hasher.update(&scope.0);
        hasher.update(&[purpose as u8]);
        hasher.update(&index.to_le_bytes());
        Self {
            reader: hasher.finalize_xof(),
            block: [0; BLOCK],
            at: BLOCK,
        }
    }

    /// The next 8 bytes.
    fn word(&mut self) -> u64 {
        if self.at == BLOCK {
            self.reader.fill(&mut self.block);
            self.at = 0;
        }
        let word = self.block.as_chunks::<8>().0.get(self.at / 8);
        self.at += 8;
        word.map_or(0, |w| u64::from_le_bytes(*w))
    }

    /// A uniform element of F_q.
    pub fn fq(&mut self) -> Fq {
        loop {
            if let Some(x) = Fq::new(self.word()) {
                return x;
            }
        }
    }
    /// A uniform element of F_q2.
    pub fn fq2(&mut self) -> Fq2 {
        Fq2([self.fq(), self.fq()])
    }
    /// A uniform share.
    pub fn share(&mut self) -> Share {
        Share {
            value: self.fq(),
            mac: self.fq2(),
        }
    }
    /// The next 8 L bytes, as they come.
    pub fn words<const L: usize>(&mut self) -> [u64; L] {
        std::array::from_fn(|_| self.word())
    }
}

/// For samplers that draw from a generator.
impl TryRng for Stream {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.word() as u32)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.word())
    }
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for part in out.chunks_mut(8) {
            let word = self.word().to_le_bytes();
            part.iter_mut().zip(word).for_each(|(p, w)| *p = w);
        }
        Ok(())
    }
}

impl TryCryptoRng for Stream {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_separate_and_frozen() {
        // SHR-3: a change would orphan every ticket ever dealt.
        let first = |seed, scope, purpose, index| {
            Stream::new(&[seed; 32], &Digest([scope; 32]), purpose, index).fq()
        };
        let a = first(1, 3, Purpose::Ticket, 5);
        assert_eq!(a.word(), KNOWN);
        for b in [
            first(2, 3, Purpose::Ticket, 5),
            first(1, 4, Purpose::Ticket, 5),
            first(1, 3, Purpose::Mask, 5),
            first(1, 3, Purpose::Ticket, 6),
        ] {
            assert_ne!(a, b);
        }
        let mut s = Stream::new(&[1; 32], &Digest([3; 32]), Purpose::Ticket, 5);
        let mut input = [1u8; 73];
        input[32..64].fill(3);
        input[64] = 2;
        input[65..].copy_from_slice(&5u64.to_le_bytes());
        let mut reader = blake3::Hasher::new_derive_key("veilbourse v1 committee stream")
            .update(&input)
            .finalize_xof();
        for _ in 0..1000 {
            let mut w = [0; 8];
            reader.fill(&mut w);
            assert_eq!(s.words(), [u64::from_le_bytes(w)]);
        }
    }
    const KNOWN: u64 = 12_850_353_696_170_513_161;
}
