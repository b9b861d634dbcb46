//! Proofs of linear evaluations (rules LES-1..11): the prover's half of
//! `veilbourse_verifier::linear`.

mod private;
mod public;
mod reference;
mod rerandomise;

pub use private::{
    PrivateCircuit, PrivateEvaluation, PrivateRequest, PrivateWitness, evaluate_private,
    prove_private,
};
pub use public::prove_public;
pub use reference::weighted_output;
pub use rerandomise::{PodSecret, Rerandomisation};
