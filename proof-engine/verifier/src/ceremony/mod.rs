//! The transcript of a ceremony for Marlin's reference string (CER): who
//! multiplied tau and gamma by secrets of their own, in order, each with a proof
//! of knowledge, a signature and the digest of the whole string after it.
//!
//! Updates as in Snarky Ceremonies (ePrint 2021/219, section 3: an updatable
//! string, no random beacon), each proven by Schnorr's protocol to the base of
//! what was there before (Powers-of-Tau to the People, ePrint 2022/1592, section
//! 3). The argument is in docs/spec/ceremony.md. A transcript is a few hundred
//! bytes a contributor and is checked without the string and without pairings.

mod claim;
mod contribution;
mod refusal;
mod transcript;

pub use claim::{Claim, backed, srs_digest};
pub use contribution::{Contribution, Statement, challenge};
pub use refusal::CeremonyRefusal;
pub use transcript::{Header, Transcript};

use std::ops::RangeInclusive;

/// Most contributions of a ceremony.
pub const MAX_CONTRIBUTIONS: u32 = 1024;
/// Fewest for a string to be called a ceremony's: one alone is a machine's word,
/// which is what `dev` means.
pub const MIN_CONTRIBUTIONS: u32 = 2;
/// Most bytes of a contributor's name.
pub const MAX_NAME_BYTES: u32 = 64;
/// Most bytes of a ceremony's purpose.
pub const MAX_PURPOSE_BYTES: u32 = 128;
/// Most bytes of a transcript.
pub const MAX_TRANSCRIPT_BYTES: u32 = 1 << 20;
/// Powers of tau in G1 that a string of log2 rows L holds above the first:
/// D = 3 x 2^L, for L in this range.
pub const LOG_ROWS: RangeInclusive<u32> = 2..=crate::marlin::MAX_LOG_SIZE - 1;
/// Hiding powers of a string: gamma, gamma tau, gamma tau^2.
pub const HIDING_POWERS: u8 = 3;

#[cfg(test)]
mod tests;
