//! Shares from seeds (SHR-3): all but one party's need no storage.
//!
//! BLAKE3 in key-derivation mode over seed, purpose and index, its output read
//! as little-endian words, those of q or more skipped. A (seed, purpose, index)
//! is one stream and is read from its start, always in the same order.

use crate::{fq2::Fq2, share::Share};
use veilbourse_core::field::Fq;
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
    /// The stream of a seed for a purpose and an index (of a ticket, say).
    pub fn new(seed: &[u8; 32], purpose: Purpose, index: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("veilbourse v1 committee stream");
        hasher.update(seed);
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
    /// The next 8 L bytes.
    pub fn words<const L: usize>(&mut self) -> [u64; L] {
        std::array::from_fn(|_| self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_separate_and_frozen() {
        // SHR-3: a change would orphan every ticket ever dealt.
        let first = |seed, purpose, index| Stream::new(&[seed; 32], purpose, index).fq();
        let a = first(1, Purpose::Ticket, 5);
        assert_eq!(a.word(), KNOWN);
        for b in [
            first(2, Purpose::Ticket, 5),
            first(1, Purpose::Mask, 5),
            first(1, Purpose::Ticket, 6),
        ] {
            assert_ne!(a, b);
        }
        let mut s = Stream::new(&[1; 32], Purpose::Ticket, 5);
        let mut input = [1u8; 41];
        input[32] = 2;
        input[33..].copy_from_slice(&5u64.to_le_bytes());
        let mut reader = blake3::Hasher::new_derive_key("veilbourse v1 committee stream")
            .update(&input)
            .finalize_xof();
        for _ in 0..1000 {
            let mut w = [0; 8];
            reader.fill(&mut w);
            assert_eq!(s.words(), [u64::from_le_bytes(w)]);
        }
    }
    const KNOWN: u64 = 2_496_230_450_302_785_780;
}
