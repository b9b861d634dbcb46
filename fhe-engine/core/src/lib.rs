//! Field and ring arithmetic, parameter sets, budget calculator, ciphertext types and codecs.
