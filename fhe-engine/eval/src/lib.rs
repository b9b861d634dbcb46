//! Key generation, encryption, linear evaluation and the exact bootstrap on
//! encrypted tables; scalar and AVX-512 kernels, bit-identical.
//!
//! Secret bits, noise and their randomness come from `tfhe`; ring arithmetic
//! and linear algebra on q = 2^64 - 2^32 + 1 are ours, because several of its
//! ciphertext operations refuse that modulus or are wrong on it (tests compare
//! with its decryption, which is right).

pub mod aggregate;
pub mod boot;
pub mod decrypt;
pub mod encrypt;
mod error;
pub mod kernel;
pub mod key;
pub mod linear;
mod randomness;
pub mod rerandomise;
pub mod witness;

pub use aggregate::{SumAccumulator, expand_chunk};
pub use decrypt::Opened;
pub use encrypt::{encrypt_chunk, public_key};
pub use error::EvalError;
pub use key::SecretKey;
pub use linear::{Columns, evaluate};
pub use rerandomise::Rerandomisation;
