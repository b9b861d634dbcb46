//! The linear evaluation statement (rules LES-1..11 of `docs/spec/linear.md`):
//! an output ciphertext is the weighted sum of a committed matrix's columns.

pub mod circuit_key;
pub mod equation;
pub mod inputs;
mod order;
pub(crate) mod private;
mod statement;
mod verify;

pub use circuit_key::CircuitKey;
pub use equation::PrivateEquation;
pub use order::{OrderContext, required_circuits};
pub use private::{PrivateArgument, PrivateEvidence};
pub use statement::{
    LinearStatement, Matrix, MatrixKind, PrfContext, Visibility, Zeta, check_public_key,
    output_words,
};
pub use verify::{PrivateBody, linear_body_limit, verify_linear};
