//! F_q, q = 2^64 - 2^32 + 1 (the Goldilocks prime).

/// q.
pub const MODULUS: u64 = 0xffff_ffff_0000_0001;
