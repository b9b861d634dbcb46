//! Key generation, encryption and linear evaluation; scalar and AVX-512 backends, bit-identical.
