//! Signed documents (DOC): policy, quote, order, submission, grant, delivery,
//! receipt; their canonical forms, signatures, links and seals.

pub mod api;
mod arrows;
mod bodies;
mod demand;
mod error;
mod links;
mod receipt;
mod scalar;
mod seal;
mod signed;
mod terms;

pub use arrows::{ARROWS, Arrow, Binding, arrows};
pub use bodies::{
    Delivery, Grant, GrantedOutput, KeyRegistration, MachineLogin, MachineRegistration,
    NonDelivery, Order, PodRef, Policy, Price, Quote, SrsProvenance, SrsRef, Submission,
    SubmittedDigest, Work,
};
pub use demand::{Demand, DemandError, MAX_VALUES, demand};
pub use error::DocumentError;
pub use links::Chain;
pub use receipt::{
    Assurance, DecryptionClass, MAX_RECEIPT_BYTES, Receipt, ReceiptOutput, Settlement,
};
pub use scalar::{Bytes, Id, Key, Nonce, SignatureText};
pub use seal::{
    Model, ModelContext, ModelVector, OpenedOutput, OpenedResult, ResultContext, SEALING_KEY_BYTES,
    SEALING_SECRET_BYTES, SealingSecret, check_sealing_key, open_model, open_result, seal_model,
    seal_result,
};
pub use signed::{DOCUMENT_VERSION, Document, MAX_DOCUMENT_BYTES, Signed, marketplace_id};
pub use terms::{Custody, EvaluationClass, QueryKind};

pub use ed25519_dalek::SigningKey;
