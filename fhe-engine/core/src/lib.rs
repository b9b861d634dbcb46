//! Field and ring arithmetic, parameter sets, budget calculator, ciphertext types and codecs.
pub mod decimal;
pub mod digest;
pub mod field;
pub mod manifest;
mod manifest_rules;
pub mod params;
pub mod program;
pub mod table;
pub mod wire;
