//! What the resolvers need: the store for reading, and the market's acts. The
//! server implements it.

use crate::{Committees, KeyNode, LetterService, ListingTickets, Partners, People, TicketOffer};
use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::Value;
use veilbourse_core::program::Program;
use veilbourse_documents::Work;
use veilbourse_domain::{
    Digest, DomainError, Millis, MinorUnits, Result,
    access::{MachineKind, Pass, Role, Viewer},
    id::{AccountId, CashRequestId, ListingId, MachineId, OrderId, PublicKey},
    ledger::TransferKind,
    listing::{Listing, ListingStep},
    order::Order,
    ports::Store,
    records::{Account, CashRequest, Machine, SignedText},
};

/// Who asks, from where: put into each request by the server.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The viewer, or why its token was refused.
    pub viewer: Result<Viewer>,
    /// The peer's address, for rate limits.
    pub address: String,
    /// Whether the request comes from the server's own machine, by its name
    /// there and through no proxy that says so (MAIL-10).
    pub local: bool,
    /// What the program calls itself.
    pub agent: String,
}

/// What everybody may know of the marketplace.
#[derive(Debug, Clone)]
pub struct MarketplaceInfo {
    /// Its id: the digest of its key.
    pub id: Digest,
    /// Its Ed25519 key.
    pub key: PublicKey,
    /// Its fee in basis points.
    pub fee_basis_points: u32,
    /// The reference string of its circuits.
    pub srs: Digest,
    /// Where that comes from.
    pub srs_provenance: String,
    /// Digests of the verifying keys it accepts.
    pub verifying_keys: Vec<Digest>,
}

/// A session's tokens.
#[derive(Debug, Clone)]
pub struct SessionTokens {
    /// JWT for the authorization header.
    pub access: String,
    /// When it expires.
    pub access_expires: Millis,
    /// Exchanged once for new tokens.
    pub refresh: String,
    /// Whose.
    pub account: AccountId,
}

/// What a seat learns from a query.
#[derive(Debug, Clone)]
pub struct Seat {
    /// Who.
    pub seat: &'static str,
    /// What.
    pub learns: String,
}

/// One output of a quoted program.
#[derive(Debug, Clone)]
pub struct OutputOffer {
    /// Index in the program.
    pub index: u32,
    /// The vector's label.
    pub label: String,
    /// The segment's label.
    pub segment: String,
    /// Rows under it.
    pub rows: u64,
    /// Values opened.
    pub values: u64,
    /// Greatest magnitude an opened integer can have.
    pub value_limit: i64,
    /// The opened integer x stands for x / 2^scale_log2.
    pub scale_log2: i32,
    /// Bits left between the noise bound and the rounding step.
    pub noise_slack_bits: f64,
    /// Whether the weights are hidden.
    pub private_weights: bool,
    /// Standard deviation of the tickets' noise; none in custodian-held custody.
    pub noise_deviation: Option<f64>,
    /// At least 95 of 100 values are within plus or minus this.
    pub noise_within_95: Option<f64>,
}

/// A quote with everything that a buyer should see before paying.
#[derive(Debug, Clone)]
pub struct QuoteOffer {
    /// The signed quote.
    pub signed: SignedText,
    /// The listing's signed policy.
    pub policy: SignedText,
    /// Price, fee, pod's and custodian's parts.
    pub price: [MinorUnits; 4],
    /// Seconds expected.
    pub expected_seconds: u64,
    /// When the quote expires.
    pub expiry: Millis,
    /// Values opened.
    pub values: u64,
    /// Bits opened at most.
    pub bits: u64,
    /// Values left of the policy's quota before this order.
    pub values_left: u64,
    /// Bits left.
    pub bits_left: u64,
    /// Work units.
    pub work: Work,
    /// The outputs.
    pub outputs: Vec<OutputOffer>,
    /// What stays private, in words.
    pub private_parts: Vec<String>,
    /// What each seat learns.
    pub seats: Vec<Seat>,
    /// Who opens, as documents write it.
    pub openers: String,
    /// The tickets, in committee custody.
    pub tickets: Option<TicketOffer>,
}

/// A change of an order.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Which.
    pub order: OrderId,
    /// Its state.
    pub state: String,
    /// What the pod is doing.
    pub stage: String,
    /// How far, per mille of the pod's work.
    pub per_mille: u32,
    /// Whether nothing follows.
    pub last: bool,
}

/// The market's acts. Each takes the pass of the policy table.
#[async_trait]
pub trait Service: Committees + LetterService + Partners + People + Send + Sync {
    /// For reading.
    fn store(&self) -> &dyn Store;
    /// The time.
    fn now(&self) -> Millis;
    /// Logs an internal error and names the log entry.
    fn reference(&self, e: &DomainError) -> String;
    /// What everybody may know.
    fn marketplace(&self) -> MarketplaceInfo;

    /// ACC-2.
    async fn register(
        &self,
        caller: &Caller,
        mail: &str,
        name: &str,
        password: &str,
        roles: Vec<Role>,
    ) -> Result<Account>;
    /// ACC-2, ACC-3, ACC-11.
    async fn login(
        &self,
        caller: &Caller,
        mail: &str,
        password: &str,
        code: Option<&str>,
    ) -> Result<SessionTokens>;
    /// ACC-3.
    async fn refresh(&self, caller: &Caller, token: &str) -> Result<SessionTokens>;
    /// ACC-3.
    async fn logout(&self, pass: &Pass, everywhere: bool) -> Result<u64>;
    /// ACC-7.
    async fn register_signing_key(&self, pass: &Pass, registration: Value) -> Result<PublicKey>;
    /// ACC-7.
    async fn revoke_signing_key(&self, pass: &Pass, key: PublicKey) -> Result<()>;

    /// UP-2.
    async fn create_listing(
        &self,
        pass: &Pass,
        title: &str,
        description: &str,
        manifest: Value,
        objects: Vec<(String, u64)>,
    ) -> Result<Listing>;
    /// UP-3.
    async fn submit_listing(&self, pass: &Pass, id: ListingId, policy: Value) -> Result<Listing>;
    /// DOC-3.
    async fn update_policy(&self, pass: &Pass, id: ListingId, policy: Value) -> Result<Listing>;
    /// The owner's own steps: pause, resume, withdraw.
    async fn step_listing(&self, pass: &Pass, id: ListingId, step: ListingStep) -> Result<Listing>;

    /// LED-4.
    async fn request_cash(
        &self,
        pass: &Pass,
        kind: TransferKind,
        amount: MinorUnits,
        key: &str,
    ) -> Result<CashRequest>;
    /// LED-4.
    async fn decide_cash(
        &self,
        pass: &Pass,
        id: CashRequestId,
        approve: bool,
        reason: &str,
    ) -> Result<CashRequest>;

    /// POD, KEY.
    async fn register_machine(
        &self,
        pass: &Pass,
        kind: MachineKind,
        name: &str,
        registration: Value,
    ) -> Result<Machine>;
    /// POD, KEY.
    async fn decide_machine(
        &self,
        pass: &Pass,
        id: MachineId,
        approve: bool,
        reason: &str,
    ) -> Result<Machine>;

    /// DOC-4.
    async fn quote(
        &self,
        pass: &Pass,
        listing: ListingId,
        program: Program,
        pod: Option<MachineId>,
        ticket_class: Option<Digest>,
    ) -> Result<QuoteOffer>;
    /// ORD-7; none in custodian-held custody.
    async fn tickets(&self, listing: &Listing) -> Result<Option<ListingTickets>>;
    /// Approved key nodes with a sealing key.
    async fn key_nodes(&self, pass: &Pass) -> Result<Vec<KeyNode>>;
    /// ORD-1..4, SET-1.
    async fn place_order(
        &self,
        pass: &Pass,
        order: Value,
        sealed_model: Option<Vec<u8>>,
    ) -> Result<Order>;
    /// Changes of an order, the present state first.
    async fn watch(&self, pass: &Pass, id: OrderId) -> Result<BoxStream<'static, Progress>>;
}
