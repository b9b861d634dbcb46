//! The Fiat-Shamir transcript (rules TR-1..4 of `docs/spec/transcript.md`).
//!
//! A BLAKE3 chain with a domain for each kind of step. Prover and verifier run
//! the same calls; what a challenge is for is its Rust type, made by
//! [`challenge_type!`](crate::challenge_type), so one drawn for one step does
//! not compile where another is expected.
//!
//! ```
//! use veilbourse_verifier::{challenge_type, field::Fr, transcript::Transcript};
//! challenge_type!(
//!     /// Batches the openings.
//!     Batch, "batch", Fr
//! );
//! let mut t = Transcript::new("my protocol v1");
//! t.absorb("message", b"round 1");
//! let Batch(x) = t.challenge();
//! # let _: Fr = x;
//! ```

use crate::field::{Fq2, Fr, fq2_words, fr_bytes, fr_from_bytes};
use blake3::{Hasher, OutputReader};
use p3_goldilocks::Goldilocks;
use veilbourse_core::{digest::Digest, field::MODULUS};

const CONTEXT_START: &str = "veilbourse v1 transcript";
const CONTEXT_ABSORB: &str = "veilbourse v1 absorb";
const CONTEXT_CHALLENGE: &str = "veilbourse v1 challenge";
const CONTEXT_RATCHET: &str = "veilbourse v1 ratchet";

/// The bytes that a challenge is sampled from.
pub struct Xof(OutputReader);

impl Xof {
    fn array<const L: usize>(&mut self) -> [u8; L] {
        let mut out = [0u8; L];
        self.0.fill(&mut out);
        out
    }

    /// A word below q by rejection.
    fn word(&mut self) -> u64 {
        loop {
            let w = u64::from_le_bytes(self.array());
            if w < MODULUS {
                return w;
            }
        }
    }
}

/// A set that challenges are drawn from uniformly, by rejection (TR-2).
pub trait Domain: Sized {
    /// Draws one element.
    fn sample(xof: &mut Xof) -> Self;
}

impl Domain for Goldilocks {
    fn sample(xof: &mut Xof) -> Self {
        Self::new(xof.word())
    }
}

impl Domain for Fq2 {
    fn sample(xof: &mut Xof) -> Self {
        let x0 = Goldilocks::sample(xof);
        let x1 = Goldilocks::sample(xof);
        Self::new([x0, x1])
    }
}

impl Domain for Fr {
    fn sample(xof: &mut Xof) -> Self {
        loop {
            let mut bytes: [u8; 32] = xof.array();
            if let Some(top) = bytes.last_mut() {
                *top &= 0x7f; // r has 255 bits
            }
            if let Some(x) = fr_from_bytes(&bytes) {
                return x;
            }
        }
    }
}

impl Domain for [u8; 32] {
    fn sample(xof: &mut Xof) -> Self {
        xof.array()
    }
}

/// What one challenge is for. Implemented by [`challenge_type!`](crate::challenge_type).
pub trait Challenge: Sized {
    /// The label it is drawn under.
    const LABEL: &'static str;
    /// The set it is drawn from.
    type Domain: Domain;
    /// Wraps a drawn element.
    fn from_domain(x: Self::Domain) -> Self;
}

/// Declares the type of one challenge: `challenge_type!(/// doc
/// Name, "label", Domain)`.
#[macro_export]
macro_rules! challenge_type {
    ($(#[$meta:meta])* $name:ident, $label:literal, $domain:ty) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name(pub $domain);
        impl $crate::transcript::Challenge for $name {
            const LABEL: &'static str = $label;
            type Domain = $domain;
            fn from_domain(x: $domain) -> Self {
                Self(x)
            }
        }
    };
}

challenge_type!(
    /// The seed of the Plonky3 challenger that FRI runs on (TR-3).
    FriSeed, "fri seed", [u8; 32]
);

/// A transcript in some state. One a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript {
    state: [u8; 32],
}

impl Transcript {
    /// s_0 of the protocol named by `tag` (TR-1).
    pub fn new(tag: &'static str) -> Self {
        let mut h = Hasher::new_derive_key(CONTEXT_START);
        prefixed(&mut h, tag.as_bytes());
        Self {
            state: *h.finalize().as_bytes(),
        }
    }

    /// Absorbs bytes under a label (TR-1).
    pub fn absorb(&mut self, label: &'static str, bytes: &[u8]) {
        let mut h = Hasher::new_derive_key(CONTEXT_ABSORB);
        h.update(&self.state);
        prefixed(&mut h, label.as_bytes());
        prefixed(&mut h, bytes);
        self.state = *h.finalize().as_bytes();
    }

    /// Absorbs a digest.
    pub fn absorb_digest(&mut self, label: &'static str, digest: &Digest) {
        self.absorb(label, &digest.0);
    }

    /// Absorbs an integer, little-endian.
    pub fn absorb_u64(&mut self, label: &'static str, v: u64) {
        self.absorb(label, &v.to_le_bytes());
    }

    /// Absorbs words, little-endian, with their number.
    pub fn absorb_words(&mut self, label: &'static str, words: &[u64]) {
        let mut h = Hasher::new_derive_key(CONTEXT_ABSORB);
        h.update(&self.state);
        prefixed(&mut h, label.as_bytes());
        h.update(&(words.len() as u64).saturating_mul(8).to_le_bytes());
        for w in words {
            h.update(&w.to_le_bytes());
        }
        self.state = *h.finalize().as_bytes();
    }

    /// Absorbs elements of F_q2, each as two canonical words.
    pub fn absorb_fq2(&mut self, label: &'static str, xs: &[Fq2]) {
        let words: Vec<u64> = xs.iter().flat_map(fq2_words).collect();
        self.absorb_words(label, &words);
    }

    /// Absorbs elements of Fr, each as 32 canonical bytes.
    pub fn absorb_fr(&mut self, label: &'static str, xs: &[Fr]) {
        let bytes: Vec<u8> = xs.iter().flat_map(fr_bytes).collect();
        self.absorb(label, &bytes);
    }

    /// Draws the challenge of type `C` and ratchets (TR-1, TR-2).
    pub fn challenge<C: Challenge>(&mut self) -> C {
        let label = C::LABEL.as_bytes();
        let mut xof = Hasher::new_derive_key(CONTEXT_CHALLENGE);
        xof.update(&self.state);
        prefixed(&mut xof, label);
        let x = C::Domain::sample(&mut Xof(xof.finalize_xof()));
        let mut next = Hasher::new_derive_key(CONTEXT_RATCHET);
        next.update(&self.state);
        prefixed(&mut next, label);
        self.state = *next.finalize().as_bytes();
        C::from_domain(x)
    }

    /// Draws until `admit` accepts: the redrawing rule of MAR-7 and LES-4, the
    /// same on both sides. `admit` must accept all but a negligible share.
    pub fn challenge_where<C: Challenge>(&mut self, admit: impl Fn(&C) -> bool) -> C {
        loop {
            let c = self.challenge();
            if admit(&c) {
                return c;
            }
        }
    }
}

fn prefixed(h: &mut Hasher, bytes: &[u8]) {
    h.update(&(bytes.len() as u64).to_le_bytes());
    h.update(bytes);
}

#[cfg(test)]
#[path = "transcript_tests.rs"]
mod tests;
