//! The linear evaluation statement (rules LES-1..11 of `docs/spec/linear.md`):
//! an output ciphertext is the weighted sum of a committed matrix's columns.

mod ciphertext;
pub mod equation;
mod public_key;
mod statement;
mod verify;

pub use ciphertext::OutputCiphertext;
pub use equation::PrivateEquation;
pub use public_key::PublicKey;
pub use statement::{LinearStatement, Matrix, MatrixKind, PrfContext, Visibility, Zeta};
pub use verify::{PrivateBody, linear_body_limit, verify_linear};
