//! Named parameters (protocol section 1).

/// N: ring dimension of the data key, rows in a chunk.
pub const DATA_RING_DIMENSION: usize = 4096;
/// b of TUniform(b), the data key's noise: uniform on [-2^b, 2^b] with the two
/// ends at half weight.
pub const DATA_NOISE_TUNIFORM: u32 = 3;
