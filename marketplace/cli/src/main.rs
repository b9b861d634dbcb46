//! The veilbourse command line.
fn main() {}
