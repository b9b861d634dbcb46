//! The exact bootstrap's types, parameter sets and accounting
//! (docs/spec/bootstrap.md, BST-1..13). What is computed on them is in
//! `veilbourse-eval`; everything here is plain integers, so that a verifier
//! recomputes it without an evaluator.

pub mod decomposition;
pub mod keys;
pub mod lwe;
pub mod mask;
pub mod noise;
pub mod params;
pub mod switch;
pub mod table;

pub use decomposition::Gadget;
pub use keys::{SeededBootstrapKey, SeededKeyswitchKey};
pub use lwe::{LweCiphertext, RingCiphertext};
pub use noise::Variance;
pub use params::{BootstrapParamsId, KeyswitchParamsId};
pub use switch::{Switched, modulus_switch};
pub use table::DigitTable;
