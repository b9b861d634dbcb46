//! Ports: what the domain needs from outside. Ids, tokens and the time come
//! in as arguments; each method that changes something is one transaction with
//! its postings and its audit record (ORD-5).

use crate::{
    Millis, MinorUnits, Result,
    access::MachineKind,
    admit::Usage,
    audit::{AuditEntry, AuditRecord},
    id::{
        AccountId, CashRequestId, LeaseToken, ListingId, MachineId, Nonce, OrderId, PublicKey,
        SessionId, TransferId,
    },
    job::Lease,
    ledger::{Balance, LedgerAccount, TransferKind},
    listing::{Listing, ListingStep},
    mail::Outbox,
    order::{Granted, Order},
    partners::{ApiKeys, Requests},
    people::{Insight, People},
    records::{
        Account, BlobKind, CashRequest, DealingHeld, DealingPiece, DealingsAsked, DocumentKind,
        LedgerReport, Machine, NewGrant, ObjectInfo, OpeningHeld, Page, PageRequest, PlaceOrder,
        Placement, QuorumDelivery, Session, SignedText, SigningKey, StoredQuote, SubmittedOutput,
        Transfer,
    },
    terms::PolicyTerms,
    tickets::{NodeAnswer, TicketFacts},
    webhooks::Webhooks,
};
use async_trait::async_trait;
use veilbourse_core::digest::Digest;

/// The time.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn now(&self) -> Millis;
}

/// Accounts, sessions, signing keys, machines (ACC, POD, KEY).
#[async_trait]
pub trait Identities: Send + Sync {
    /// Stores an account; a taken mail is refused.
    async fn create_account(&self, account: &Account, now: Millis) -> Result<()>;
    /// By id.
    async fn account(&self, id: AccountId) -> Result<Account>;
    /// By mail, in lower case.
    async fn account_by_mail(&self, mail: &str) -> Result<Option<Account>>;
    /// All, or those with a text in name or mail, newest last.
    async fn accounts(&self, search: Option<&str>, page: &PageRequest) -> Result<Page<Account>>;
    /// Begins a session with the hash of its first refresh token.
    async fn open_session(&self, session: &Session, refresh: Digest) -> Result<()>;
    /// Exchanges a refresh token; one used before revokes its session (ACC-3).
    async fn rotate_refresh(&self, old: Digest, new: Digest, now: Millis) -> Result<Session>;
    /// Ends a session, or all of an account (`session` absent).
    async fn revoke_sessions(
        &self,
        account: AccountId,
        session: Option<SessionId>,
        now: Millis,
    ) -> Result<u64>;
    /// Whether access tokens of the session are still good (ACC-3).
    async fn session_live(&self, session: SessionId, now: Millis) -> Result<bool>;
    /// Registers a key whose possession was proven (ACC-7).
    async fn register_key(&self, account: AccountId, key: PublicKey, now: Millis) -> Result<()>;
    /// Revokes a key of the account.
    async fn revoke_key(&self, account: AccountId, key: PublicKey, now: Millis) -> Result<()>;
    /// Every key of an account, revoked ones too.
    async fn signing_keys(&self, account: AccountId) -> Result<Vec<SigningKey>>;
    /// Whether the key is registered for the account and unrevoked (ORD-3).
    async fn key_registered(&self, account: AccountId, key: PublicKey) -> Result<bool>;
    /// Stores a machine, undecided.
    async fn register_machine(&self, machine: &Machine, now: Millis) -> Result<()>;
    /// An admin decides; not about their own.
    async fn decide_machine(
        &self,
        id: MachineId,
        by: AccountId,
        approve: bool,
        reason: &str,
        now: Millis,
    ) -> Result<Machine>;
    /// By id.
    async fn machine(&self, id: MachineId) -> Result<Machine>;
    /// Of one kind or all; where somebody looks, those that are approved and their
    /// own (ACC-6).
    async fn machines(
        &self,
        kind: Option<MachineKind>,
        seen_by: Option<AccountId>,
        page: &PageRequest,
    ) -> Result<Page<Machine>>;
    /// Uses a nonce of a machine's token request once; forgets those that expired.
    async fn use_nonce(
        &self,
        machine: MachineId,
        nonce: Nonce,
        expires: Millis,
        now: Millis,
    ) -> Result<()>;
}

/// Which listings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListingFilter {
    /// Only of this owner.
    pub owner: Option<AccountId>,
    /// Only in one of these states (names); empty: those that are public.
    pub states: Vec<String>,
    /// Words to be found in title or description, any case.
    pub search: Option<String>,
}

/// Listings, policies, objects, quotes.
#[async_trait]
pub trait Listings: Send + Sync {
    /// Stores a draft with its manifest and the lengths of its objects (UP-2).
    async fn create_listing(
        &self,
        listing: &Listing,
        manifest: &str,
        objects: &[(String, u64)],
        now: Millis,
    ) -> Result<()>;
    /// By id.
    async fn listing(&self, id: ListingId) -> Result<Listing>;
    /// The manifest's JSON.
    async fn manifest(&self, id: ListingId) -> Result<String>;
    /// Newest first, by keyset.
    async fn listings(&self, filter: &ListingFilter, page: &PageRequest) -> Result<Page<Listing>>;
    /// Takes a step; submission brings the first policy or a newer one.
    async fn step_listing(
        &self,
        id: ListingId,
        step: ListingStep,
        policy: Option<(PolicyTerms, SignedText)>,
        actor: &str,
        now: Millis,
    ) -> Result<Listing>;
    /// Takes a newer policy (DOC-3).
    async fn update_policy(
        &self,
        id: ListingId,
        policy: PolicyTerms,
        signed: SignedText,
        actor: &str,
        now: Millis,
    ) -> Result<Listing>;
    /// The signed policy of a version.
    async fn policy(&self, id: ListingId, version: u32) -> Result<SignedText>;
    /// What was revealed and is under way.
    async fn usage(&self, id: ListingId) -> Result<Usage>;
    /// Every object.
    async fn objects(&self, id: ListingId) -> Result<Vec<ObjectInfo>>;
    /// One object.
    async fn object(&self, id: ListingId, name: &str) -> Result<ObjectInfo>;
    /// Records the content's digest of a completed object; only of a draft (UP-5).
    async fn complete_object(&self, id: ListingId, name: &str, digest: Digest) -> Result<()>;
    /// Stores a quote.
    async fn save_quote(&self, quote: &StoredQuote) -> Result<()>;
    /// By the digest that an order names.
    async fn quote(&self, digest: Digest) -> Result<StoredQuote>;
}

/// Which orders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// Only where the account is buyer, custodian or pod operator.
    pub party: Option<AccountId>,
    /// Only in this state.
    pub state: Option<String>,
}

/// The life of orders and their jobs (ORD, SET).
#[async_trait]
pub trait Orders: Send + Sync {
    /// Nonce, quota, escrow, order, audit: all or nothing (ORD-2, SET-1).
    async fn place_order(&self, place: PlaceOrder, now: Millis) -> Result<Placement>;
    /// By id.
    async fn order(&self, id: OrderId) -> Result<Order>;
    /// The buyer's order of this digest, if it was placed (ORD-2).
    async fn placed_before(&self, digest: Digest, buyer: AccountId) -> Result<Option<Order>>;
    /// Newest first, by keyset.
    async fn orders(&self, filter: &OrderFilter, page: &PageRequest) -> Result<Page<Order>>;
    /// Leases the oldest funded order of the pod (POD-1).
    async fn lease_evaluation(
        &self,
        pod: MachineId,
        token: LeaseToken,
        now: Millis,
    ) -> Result<Option<Order>>;
    /// Prolongs the pod's lease; `progress` in per mille (POD-1).
    async fn heartbeat(
        &self,
        id: OrderId,
        pod: MachineId,
        token: LeaseToken,
        stage: &str,
        progress: u32,
        now: Millis,
    ) -> Result<Lease>;
    /// The newest heartbeat's stage and progress in per mille.
    async fn progress(&self, id: OrderId) -> Result<Option<(String, u32)>>;
    /// The pod gives the job back (POD-2).
    async fn decline(
        &self,
        id: OrderId,
        pod: MachineId,
        token: LeaseToken,
        why: &str,
        now: Millis,
    ) -> Result<Order>;
    /// One output under the current lease, in place of an earlier one (POD-1);
    /// outputs are gone when the lease ends without a submission.
    async fn put_output(
        &self,
        id: OrderId,
        pod: MachineId,
        token: LeaseToken,
        index: u32,
        output: SubmittedOutput,
        now: Millis,
    ) -> Result<()>;
    /// The pod's submission (ORD-6) of `outputs` that were put before.
    async fn submit(
        &self,
        id: OrderId,
        pod: MachineId,
        token: LeaseToken,
        submission: SignedText,
        outputs: u32,
        now: Millis,
    ) -> Result<Order>;
    /// Orders that wait for verification, or for the one grant of
    /// custodian-held custody, oldest first, at most `each` of one pod.
    async fn settling(&self, each: u32) -> Result<Vec<Order>>;
    /// Every envelope verified (SET-2).
    async fn verified(&self, id: OrderId, now: Millis) -> Result<Order>;
    /// Some envelope did not: refunded (SET-2).
    async fn reject(&self, id: OrderId, rule: &str, now: Millis) -> Result<Order>;
    /// Issues the one grant of custodian-held custody (SET-3).
    async fn grant(
        &self,
        id: OrderId,
        grant: SignedText,
        granted: Granted,
        now: Millis,
    ) -> Result<Order>;
    /// Leases the oldest opening order of the node with this key (KEY-1).
    async fn lease_opening(
        &self,
        node: MachineId,
        key: PublicKey,
        token: LeaseToken,
        now: Millis,
    ) -> Result<Option<Order>>;
    /// The node's signed delivery: posts the escrow (SET-3).
    async fn deliver(
        &self,
        id: OrderId,
        grant: Digest,
        delivery: SignedText,
        sealed_result: Vec<u8>,
        now: Millis,
    ) -> Result<Order>;
    /// Orders of committees that are verified and wait for a grant, after one.
    async fn ungranted(&self, after: Option<OrderId>, limit: u32) -> Result<Vec<Order>>;
    /// Orders of committees that are granted to a quorum, after one.
    async fn granted_to_quorums(&self, after: Option<OrderId>, limit: u32) -> Result<Vec<Order>>;
    /// Gives up the newest grant, of this number, if another quorum remains: back
    /// to `verified` (SET-7), every order of a joint one. Else nothing changes.
    async fn give_up_grant(
        &self,
        id: OrderId,
        number: u32,
        why: &str,
        now: Millis,
    ) -> Result<Vec<Order>>;
    /// Every order of a joint order, or the order alone, by quote.
    async fn joint(&self, id: OrderId) -> Result<Vec<Order>>;
    /// Issues a grant to a quorum for an order, or for every order of a joint
    /// one, together (SET-7, SET-8).
    async fn grant_quorum(&self, grants: Vec<NewGrant>, now: Millis) -> Result<Vec<Order>>;
    /// Leases the oldest order that is granted to a quorum with this node and
    /// that it has not answered, with every order of a joint one (KEY-1).
    async fn lease_quorum(
        &self,
        node: MachineId,
        key: PublicKey,
        now: Millis,
    ) -> Result<Option<Vec<Order>>>;
    /// A node's delivery for a grant of an order, or of every order of a joint
    /// one; the last one of a quorum posts the escrows (SET-3, SET-7, SET-8).
    async fn deliver_quorum(
        &self,
        node: PublicKey,
        deliveries: Vec<QuorumDelivery>,
        sealed: Vec<u8>,
        now: Millis,
    ) -> Result<Vec<Order>>;
    /// A quorum node's signed non-delivery: the grant came to nothing (SET-7).
    #[allow(clippy::too_many_arguments)]
    async fn refuse_quorum(
        &self,
        id: OrderId,
        number: u32,
        node: PublicKey,
        document: SignedText,
        why: &str,
        revealed: bool,
        now: Millis,
    ) -> Result<Vec<Order>>;
    /// The nodes' parts in an order's grants, by grant and node number.
    async fn openings(&self, id: OrderId) -> Result<Vec<OpeningHeld>>;
    /// The grant of a number, as it was signed.
    async fn grant_document(&self, id: OrderId, number: u32) -> Result<SignedText>;
    /// What the quorum of a released order opened.
    async fn masked(&self, id: OrderId) -> Result<Vec<u8>>;
    /// The masks that a node of a released order's quorum sealed.
    async fn sealed_masks(&self, id: OrderId, place: u8) -> Result<Vec<u8>>;
    /// The node's signed non-delivery: voids the escrow if nothing was revealed (SET-3).
    async fn non_delivery(
        &self,
        id: OrderId,
        grant: Digest,
        document: SignedText,
        why: &str,
        revealed: bool,
        now: Millis,
    ) -> Result<Order>;
    /// Ends leases that are over and orders past their deadline (ORD-6, SET-5),
    /// forgets quotes that expired a day ago without an order; returns the
    /// orders that changed.
    async fn sweep(&self, now: Millis, limit: u32) -> Result<Vec<Order>>;
    /// Stores the receipt of a released order, once.
    async fn save_receipt(&self, id: OrderId, receipt: SignedText, now: Millis) -> Result<()>;
    /// A document of an order.
    async fn document(&self, id: OrderId, kind: DocumentKind) -> Result<SignedText>;
    /// A binary part of an order; `index` is 0 for those that are single.
    async fn blob(&self, id: OrderId, kind: BlobKind, index: u32) -> Result<Vec<u8>>;
}

/// Dealings of listings (DOC-14).
#[async_trait]
pub trait Dealings: Send + Sync {
    /// Stores an announcement; the same again is fine.
    async fn announce(
        &self,
        listing: ListingId,
        dealing: Digest,
        announcement: &[u8],
        now: Millis,
    ) -> Result<()>;
    /// An announcement.
    async fn announcement(&self, listing: ListingId, dealing: Digest) -> Result<Vec<u8>>;
    /// Whether a piece is held: the same again is fine, other bytes are a
    /// conflict, and one that would exceed the limit is refused.
    async fn piece_wanted(
        &self,
        listing: ListingId,
        piece: &DealingPiece,
        limit: u64,
    ) -> Result<bool>;
    /// Records a piece whose bytes are stored; decides as [`Self::piece_wanted`].
    async fn add_piece(&self, listing: ListingId, piece: &DealingPiece, limit: u64) -> Result<()>;
    /// What is held of each dealing.
    async fn dealings_held(&self, listing: ListingId) -> Result<Vec<DealingHeld>>;
    /// The tickets of a listing.
    async fn ticket_facts(&self, listing: ListingId) -> Result<TicketFacts>;
    /// Dealings that published listings' newest policies list for a quorum with
    /// this node and that it has not answered: of some listings, those from
    /// `turn` on, counted in a circle from the oldest.
    async fn dealings_asked(&self, node: PublicKey, turn: u64) -> Result<Vec<DealingsAsked>>;
    /// The listing whose newest policy names the dealing for a quorum with this
    /// node, and the node's party number there.
    async fn dealing_of(&self, node: PublicKey, dealing: Digest) -> Result<(ListingId, u8)>;
    /// A piece of a dealing.
    async fn piece(
        &self,
        listing: ListingId,
        dealing: Digest,
        party: u8,
        part: &str,
        piece: u32,
    ) -> Result<DealingPiece>;
    /// A node's answer. A refusal takes the place of an acceptance, never the
    /// other way round.
    async fn answer_dealing(
        &self,
        listing: ListingId,
        dealing: Digest,
        answer: NodeAnswer,
        document: SignedText,
        now: Millis,
    ) -> Result<()>;
    /// How far a node has spent: the greatest of the quorum counts.
    async fn tickets_spent(&self, node: PublicKey, spent: &[(Digest, u64)]) -> Result<()>;
}

/// The ledger (LED).
#[async_trait]
pub trait LedgerPort: Send + Sync {
    /// An account's balance; zero when it never moved.
    async fn balance(&self, account: LedgerAccount) -> Result<Balance>;
    /// Every account.
    async fn ledger_accounts(&self, page: &PageRequest) -> Result<Page<(LedgerAccount, Balance)>>;
    /// Transfers, of one account or all, newest first.
    async fn transfers(
        &self,
        account: Option<LedgerAccount>,
        page: &PageRequest,
    ) -> Result<Page<Transfer>>;
    /// By id.
    async fn transfer(&self, id: TransferId) -> Result<Transfer>;
    /// Asks for a deposit or withdrawal; the same key again answers the same (LED-4).
    #[allow(clippy::too_many_arguments)]
    async fn request_cash(
        &self,
        id: CashRequestId,
        transfer: TransferId,
        kind: TransferKind,
        account: AccountId,
        amount: MinorUnits,
        key: &str,
        now: Millis,
    ) -> Result<CashRequest>;
    /// An admin decides; not about their own (LED-4).
    async fn decide_cash(
        &self,
        id: CashRequestId,
        by: AccountId,
        approve: bool,
        reason: &str,
        now: Millis,
    ) -> Result<CashRequest>;
    /// Requests of a kind, of one account or all, newest first.
    async fn cash_requests(
        &self,
        kind: TransferKind,
        account: Option<AccountId>,
        page: &PageRequest,
    ) -> Result<Page<CashRequest>>;
    /// Recomputes everything from the postings (LED-1).
    async fn ledger_check(&self) -> Result<LedgerReport>;
}

/// The audit log (LED-5).
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Appends a record of something that is no transition of the store's own.
    async fn record(&self, entry: AuditEntry, now: Millis) -> Result<AuditRecord>;
    /// Oldest first.
    async fn audit(&self, page: &PageRequest) -> Result<Page<AuditRecord>>;
    /// Checks the whole chain; its length and head.
    async fn audit_check(&self) -> Result<Option<(u64, Digest)>>;
}

/// Everything that the database does.
pub trait Store:
    Identities
    + People
    + Insight
    + Listings
    + Dealings
    + Orders
    + LedgerPort
    + AuditLog
    + Outbox
    + ApiKeys
    + Webhooks
    + Requests
{
}
impl<T> Store for T where
    T: Identities
        + People
        + Insight
        + Listings
        + Dealings
        + Orders
        + LedgerPort
        + AuditLog
        + Outbox
        + ApiKeys
        + Webhooks
        + Requests
{
}

/// Uploaded objects (UP).
#[async_trait]
pub trait ObjectStorage: Send + Sync {
    /// Bytes held of an object (UP-1).
    async fn offset(&self, listing: ListingId, name: &str) -> Result<u64>;
    /// Appends at `offset`; the new offset, on disk when this returns (UP-1).
    /// The object completes by itself when `length` is reached.
    async fn append(
        &self,
        listing: ListingId,
        name: &str,
        offset: u64,
        length: u64,
        bytes: &[u8],
    ) -> Result<u64>;
    /// The digest of the content of an object whose offset is its length; asked
    /// at that point alone, for the object is finished if a crash left it staged.
    async fn digest(&self, listing: ListingId, name: &str) -> Result<Digest>;
    /// Stores a whole object of at most a few MiB, on disk when this returns; the
    /// name is of the content, so one that is there is the same.
    async fn put(&self, listing: ListingId, name: &str, bytes: &[u8]) -> Result<()>;
    /// A complete object.
    async fn read(&self, listing: ListingId, name: &str) -> Result<Vec<u8>>;
    /// Bytes of a complete object, from `offset`; it has them.
    async fn read_part(
        &self,
        listing: ListingId,
        name: &str,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>>;
}
