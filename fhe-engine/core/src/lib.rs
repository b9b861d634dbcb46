//! Field and ring arithmetic, parameter sets, budget calculator, ciphertext types and codecs.
pub mod budget;
pub mod ciphertext;
pub mod decimal;
pub mod digest;
pub mod field;
pub mod layered;
pub mod manifest;
mod manifest_rules;
pub mod params;
pub mod program;
pub mod ring;
pub mod simulation;
pub mod table;
pub mod wire;
pub mod xof;
