//! The exact bootstrap (docs/spec/bootstrap.md): keyswitch to dimension 920,
//! modulus switch, multi-bit blind rotation, sample extraction. Every word is
//! exact mod q, so that whoever computes it again gets the same words.
//!
//! Two backends, bit-identical: plain integers, and AVX-512 on batches of
//! sixteen ciphertexts that share one pass over the keys.

#[cfg(target_arch = "x86_64")]
mod avx512;
pub mod backend;
pub mod evaluate;
pub mod generate;
mod scalar;
pub mod secret;
pub mod server_key;
mod transform;

pub use backend::{Backend, best};
pub use evaluate::{BATCH, blind_rotate, bootstrap, keyswitch};
pub use generate::{bootstrap_key, chain_keyswitch_key, data_keyswitch_key};
pub use secret::BootstrapSecret;
pub use server_key::{BootstrapKey, KeyswitchKey};
