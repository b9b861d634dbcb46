//! Signed documents (DOC): policy, quote, order, submission, grant, delivery,
//! receipt; their canonical forms, signatures, links and seals.

pub mod api;
mod arrows;
mod bodies;
mod checks;
mod demand;
mod error;
mod links;
mod masked;
mod members;
mod openers;
mod parcel;
mod receipt;
mod scalar;
mod seal;
mod signed;
mod terms;
mod tickets;
mod webhook;

pub use arrows::{Arrow, Binding, arrows};
pub use bodies::{
    DealingAccepted, DealingRefused, Delivery, Grant, GrantedOutput, KeyRegistration, MachineLogin,
    MachineRegistration, NonDelivery, Opening, Order, PodRef, Policy, Price, Quote, SrsProvenance,
    SrsRef, Submission, SubmittedDigest, Work,
};
pub use checks::MAX_JOINT;
pub use demand::{Demand, DemandError, MAX_VALUES, demand};
pub use error::DocumentError;
pub use links::Chain;
pub use masked::{
    MAX_MASKED_BYTES, MaskedResult, SealedMasks, open_masks, seal_masks, sealed_masks_bytes,
};
pub use members::{CommitteeFile, MemberEntry};
pub use openers::{Opener, Openers};
pub use parcel::{PIECE_BYTES, PIECE_OVERHEAD, PieceContext, open_piece, seal_piece};
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
pub use tickets::{ClassTerms, DealingTerms, MAX_CLASSES, MAX_DEALINGS, Tickets, fits_class};
pub use webhook::{WEBHOOK_TOLERANCE_SECONDS, WebhookRefusal, sign_webhook, verify_webhook};

pub use ed25519_dalek::SigningKey;
