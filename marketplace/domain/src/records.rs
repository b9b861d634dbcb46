//! What is stored beside listings and orders, as the ports speak of it.

use crate::{
    DomainError, Millis, MinorUnits, Result,
    access::{MachineKind, Role},
    id::{
        AccountId, CashRequestId, ListingId, MachineId, OrderId, PublicKey, SessionId, TransferId,
    },
    ledger::{Posting, TransferKind, TransferState},
    order::{Granted, Order},
    people::AccountState,
    terms::QuoteTerms,
};
use serde::{Deserialize, Serialize};
use veilbourse_core::digest::Digest;

/// Most items a page holds (GQL-1).
pub const MAX_PAGE: u32 = 100;
/// Signing keys that an account may have at once.
pub const MAX_SIGNING_KEYS: u64 = 100;
/// Machines that an account may have waiting for a decision.
pub const MAX_WAITING_MACHINES: u64 = 50;

/// A page asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// How many, 1 to [`MAX_PAGE`].
    pub first: u32,
    /// The cursor of the item before.
    pub after: Option<String>,
}

impl PageRequest {
    /// Checks `first` (GQL-1).
    pub fn new(first: u32, after: Option<String>) -> Result<Self> {
        if first == 0 || first > MAX_PAGE {
            return Err(DomainError::TooLarge {
                field: "first",
                limit: u64::from(MAX_PAGE),
                value: u64::from(first),
            });
        }
        Ok(Self { first, after })
    }
}

/// A page found; each item with its cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// Cursor and item.
    pub items: Vec<(String, T)>,
    /// Whether more follow.
    pub more: bool,
}

impl<T> Page<T> {
    /// The items without cursors.
    pub fn into_items(self) -> Vec<T> {
        self.items.into_iter().map(|(_, t)| t).collect()
    }
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Mail address in lower case, unique.
    pub mail: String,
    /// Name shown.
    pub name: String,
    /// Argon2id hash in PHC form (ACC-2).
    pub password_hash: String,
    /// Roles, sorted.
    pub roles: Vec<Role>,
    /// When it was made.
    pub created_at: Millis,
    /// When its mail address was shown to be its owner's (ACC-9).
    pub verified_at: Option<Millis>,
    /// Whether it may be used (ACC-15).
    pub state: AccountState,
    /// Whether signing in asks for a second factor (ACC-11).
    pub second_factor: bool,
}

/// A session (ACC-3): one family of refresh tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id, in each access token.
    pub id: SessionId,
    /// Whose.
    pub account: AccountId,
    /// When it began.
    pub created_at: Millis,
    /// When it ends, whatever is refreshed.
    pub expires_at: Millis,
    /// When it was revoked.
    pub revoked_at: Option<Millis>,
    /// When it was last used, to the minute (ACC-13).
    pub last_seen_at: Millis,
    /// What the program that signed in called itself.
    pub agent: String,
    /// The address it was last used from.
    pub address: String,
}

/// A registered signing key (ACC-7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// The key.
    pub key: PublicKey,
    /// Whose.
    pub account: AccountId,
    /// When it was registered.
    pub created_at: Millis,
    /// When it was revoked.
    pub revoked_at: Option<Millis>,
}

/// How an admin decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Not yet.
    Pending,
    /// Yes.
    Approved,
    /// No.
    Refused,
}

impl Decision {
    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Refused => "refused",
        }
    }
    /// Reads a name.
    pub fn parse(s: &str) -> Result<Self> {
        [Self::Pending, Self::Approved, Self::Refused]
            .into_iter()
            .find(|d| d.name() == s)
            .ok_or_else(|| DomainError::invalid("decision", format!("unknown {s:?}")))
    }
}

/// A pod or key node (POD, KEY).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Its id.
    pub id: MachineId,
    /// Pod or node.
    pub kind: MachineKind,
    /// The account that runs it and is paid.
    pub operator: AccountId,
    /// Name shown.
    pub name: String,
    /// Ed25519 key, unique.
    pub signing_key: PublicKey,
    /// Its signed `machine-registration`: possession of the key, and a pod's
    /// sealing key.
    pub registration: String,
    /// Whether it may work.
    pub decision: Decision,
    /// The admin's reason.
    pub reason: String,
    /// When it registered.
    pub created_at: Millis,
}

/// An uploaded object of a listing (UP-1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its name within the listing.
    pub name: String,
    /// Bytes expected, from the manifest (UP-2).
    pub length: u64,
    /// Bytes held.
    pub offset: u64,
    /// BLAKE3 digest of the content once complete.
    pub digest: Option<Digest>,
}

/// A document of an order or listing, as it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedText {
    /// Its digest.
    pub digest: Digest,
    /// The signed JSON.
    pub text: String,
}

/// A quote as stored (DOC-4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredQuote {
    /// Its facts.
    pub terms: QuoteTerms,
    /// The signed quote.
    pub signed: SignedText,
    /// The program's JSON.
    pub program: String,
}

/// The documents of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentKind {
    /// The buyer's (DOC-5).
    Order,
    /// The pod's (DOC-7).
    Submission,
    /// Ours (DOC-8): the newest, and once delivered the one delivered for.
    Grant,
    /// The key node's (DOC-9).
    Delivery,
    /// The key node's refusal (DOC-9).
    NonDelivery,
    /// Ours (DOC-11).
    Receipt,
}

impl DocumentKind {
    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Submission => "submission",
            Self::Grant => "grant",
            Self::Delivery => "delivery",
            Self::NonDelivery => "non_delivery",
            Self::Receipt => "receipt",
        }
    }
}

/// The binary parts of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BlobKind {
    /// The model sealed to the pod (DOC-6).
    SealedModel,
    /// An output ciphertext A.
    Ciphertext,
    /// An output's proof envelope.
    Envelope,
    /// The result sealed to the buyer (DOC-10).
    SealedResult,
}

impl BlobKind {
    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::SealedModel => "sealed_model",
            Self::Ciphertext => "ciphertext",
            Self::Envelope => "envelope",
            Self::SealedResult => "sealed_result",
        }
    }
}

/// What a pod submits of one output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmittedOutput {
    /// A.
    pub ciphertext: Vec<u8>,
    /// The proof.
    pub envelope: Vec<u8>,
}

/// A piece of a dealing (DOC-14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DealingPiece {
    /// Digest of the announced dealing.
    pub dealing: Digest,
    /// The party that it is for.
    pub party: u8,
    /// Which part.
    pub part: String,
    /// Its number, from 0.
    pub piece: u32,
    /// Bytes.
    pub length: u64,
    /// Digest of the bytes.
    pub digest: Digest,
}

/// How far a part of a dealing has been uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartHeld {
    /// The party that it is for.
    pub party: u8,
    /// Which part.
    pub part: String,
    /// Pieces held from 0 without a gap.
    pub pieces: u32,
}

/// What is held of a dealing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DealingHeld {
    /// Digest of the announcement.
    pub digest: Digest,
    /// Whether the announcement is here.
    pub announced: bool,
    /// Parts with a piece.
    pub parts: Vec<PartHeld>,
}

/// A listing with dealings that a node has not answered (DOC-14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DealingsAsked {
    /// The listing.
    pub listing: ListingId,
    /// Announcements.
    pub announced: Vec<Vec<u8>>,
}

/// A grant to a quorum, to be issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGrant {
    /// The order.
    pub order: OrderId,
    /// Its facts.
    pub granted: Granted,
    /// The keys of its nodes, in the order of the quorum.
    pub nodes: Vec<PublicKey>,
    /// The signed grant.
    pub signed: SignedText,
}

/// What a node of a quorum hands in for an order, already checked against its
/// documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumDelivery {
    /// The order.
    pub order: OrderId,
    /// The grant's number.
    pub number: u32,
    /// The signed opening.
    pub opening: SignedText,
    /// Digest of what the opening says, whoever signs it.
    pub said: Digest,
    /// The ticket after the last one spent.
    pub next: u64,
    /// The masked result.
    pub masked: Vec<u8>,
    /// The signed delivery.
    pub delivery: SignedText,
}

/// A node's part in a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpeningHeld {
    /// The grant's number.
    pub number: u32,
    /// The node's number in the committee.
    pub place: u8,
    /// The node's key.
    pub node: PublicKey,
    /// Where it stands.
    pub state: OpeningState,
    /// The signed opening and delivery, once delivered.
    pub delivered: Option<(SignedText, SignedText)>,
}

/// Where a node's part in a grant stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpeningState {
    /// Nothing yet.
    Pending,
    /// Delivered.
    Delivered,
    /// Refused; whether it said that it has revealed the order elsewhere.
    Refused {
        /// The node opened the order in another quorum (KEY-11).
        revealed: bool,
    },
}

/// An order to be placed, already admitted by [`crate::admit::admit_order`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceOrder {
    /// The order in its first state.
    pub order: Order,
    /// The escrow's id.
    pub escrow: TransferId,
    /// The signed order.
    pub signed: SignedText,
    /// The sealed model; empty when no vector is private.
    pub sealed_model: Vec<u8>,
}

/// How placing ended (ORD-2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// Stored and funded.
    New(Order),
    /// The same order was here already; nothing moved.
    Existing(Order),
}

impl Placement {
    /// The order.
    pub fn into_order(self) -> Order {
        match self {
            Self::New(o) | Self::Existing(o) => o,
        }
    }
}

/// A deposit or withdrawal (LED-4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CashRequest {
    /// Its id.
    pub id: CashRequestId,
    /// Deposit or withdrawal.
    pub kind: TransferKind,
    /// Whose.
    pub account: AccountId,
    /// How much.
    pub amount: MinorUnits,
    /// Unique per account and kind.
    pub idempotency_key: String,
    /// The pending transfer.
    pub transfer: TransferId,
    /// How it was decided.
    pub decision: Decision,
    /// By whom.
    pub decided_by: Option<AccountId>,
    /// The admin's reason.
    pub reason: String,
    /// When it was made.
    pub created_at: Millis,
}

/// A transfer with its postings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Its id.
    pub id: TransferId,
    /// What for.
    pub kind: TransferKind,
    /// Where it stands.
    pub state: TransferState,
    /// The order of an escrow.
    pub order: Option<OrderId>,
    /// Its postings.
    pub postings: Vec<Posting>,
    /// When it was made.
    pub created_at: Millis,
    /// When it ended.
    pub ended_at: Option<Millis>,
}

/// What `ledgerCheck` found sound (LED-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerReport {
    /// Accounts looked at.
    pub accounts: u64,
    /// Transfers looked at.
    pub transfers: u64,
    /// Sum over all accounts, posted: zero.
    pub posted_sum: i64,
    /// Sum over all accounts, pending: zero.
    pub pending_sum: i64,
}
