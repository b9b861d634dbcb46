//! The offline receipt verifier, alone in a small binary.
fn main() {}
