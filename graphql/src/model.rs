//! The API's objects, made from the domain's records.
//!
//! Over 500 lines: declarations alone, most of them descriptions that the
//! schema publishes.

use crate::{Money, QuotedTickets, service};
use async_graphql::{Enum, Json, SimpleObject};
use serde_json::Value;
use veilbourse_domain::{
    access::{MachineKind, Role},
    admit::{QuotaLeft, Usage},
    audit, ledger,
    listing::ListingState,
    order::{OrderState, RefundReason},
    records,
};

fn value(text: &str) -> Json<Value> {
    Json(serde_json::from_str(text).unwrap_or(Value::Null))
}

/// What everybody may know of the marketplace.
#[derive(Debug, SimpleObject)]
pub struct Marketplace {
    /// Digest of its key: what documents name.
    pub id: String,
    /// Its Ed25519 key, to be pinned.
    pub key: String,
    /// Its fee in basis points of the price.
    pub fee_basis_points: u32,
    /// Digest of the reference string behind its circuits.
    pub srs: String,
    /// `dev`: made on one machine, whose owner could keep the secret. Or
    /// `ceremony`, the digest of its transcript, and how many contributed.
    pub srs_provenance: String,
    /// Digests of the verifying keys it accepts; the bytes are at
    /// `/v1/verifying-keys/{digest}`.
    pub verifying_keys: Vec<String>,
}

impl From<service::MarketplaceInfo> for Marketplace {
    fn from(m: service::MarketplaceInfo) -> Self {
        Self {
            id: m.id.to_string(),
            key: m.key.to_string(),
            fee_basis_points: m.fee_basis_points,
            srs: m.srs.to_string(),
            srs_provenance: m.srs_provenance,
            verifying_keys: m.verifying_keys.iter().map(ToString::to_string).collect(),
        }
    }
}

/// A role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum AccountRole {
    /// Lists encrypted datasets.
    Custodian,
    /// Orders queries.
    Buyer,
    /// Moderates.
    Admin,
    /// Integrates through the API.
    Partner,
    /// Sees what an admin sees, changes nothing.
    Auditor,
}

impl From<AccountRole> for Role {
    fn from(r: AccountRole) -> Self {
        match r {
            AccountRole::Custodian => Self::Custodian,
            AccountRole::Buyer => Self::Buyer,
            AccountRole::Admin => Self::Admin,
            AccountRole::Partner => Self::Partner,
            AccountRole::Auditor => Self::Auditor,
        }
    }
}
impl From<Role> for AccountRole {
    fn from(r: Role) -> Self {
        match r {
            Role::Custodian => Self::Custodian,
            Role::Buyer => Self::Buyer,
            Role::Admin => Self::Admin,
            Role::Partner => Self::Partner,
            Role::Auditor => Self::Auditor,
        }
    }
}

/// A registered signing key.
#[derive(Debug, SimpleObject)]
pub struct SigningKey {
    /// The Ed25519 key.
    pub key: String,
    /// When it was revoked, milliseconds since the epoch.
    pub revoked_at: Option<String>,
}

/// An account.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub struct Account {
    /// Its id.
    pub id: String,
    /// Mail address.
    pub mail: String,
    /// Name shown.
    pub name: String,
    /// Roles.
    pub roles: Vec<AccountRole>,
    /// Signing keys.
    pub signing_keys: Vec<SigningKey>,
    /// Whether the mail address was verified.
    pub verified: bool,
    /// Whether signing in asks for a second factor.
    pub second_factor: bool,
    /// When it was made, milliseconds since the epoch.
    pub created_at: String,
    /// active, suspended or deleted.
    pub state: String,
}

impl Account {
    /// With its keys.
    pub fn new(a: records::Account, keys: Vec<records::SigningKey>) -> Self {
        Self {
            id: a.id.to_string(),
            mail: a.mail,
            name: a.name,
            roles: a.roles.into_iter().map(Into::into).collect(),
            signing_keys: keys
                .into_iter()
                .map(|k| SigningKey {
                    key: k.key.to_string(),
                    revoked_at: k.revoked_at.map(|t| t.to_string()),
                })
                .collect(),
            verified: a.verified_at.is_some(),
            second_factor: a.second_factor,
            created_at: a.created_at.to_string(),
            state: a.state.name().into(),
        }
    }
}

/// A session's tokens.
#[derive(Debug, SimpleObject)]
pub struct Tokens {
    /// JWT for `Authorization: Bearer`, 15 minutes.
    pub access: String,
    /// When it expires, milliseconds since the epoch.
    pub access_expires: String,
    /// Exchanged once by `refresh`.
    pub refresh: String,
    /// The account.
    pub account: String,
}

impl From<service::SessionTokens> for Tokens {
    fn from(t: service::SessionTokens) -> Self {
        Self {
            access: t.access,
            access_expires: t.access_expires.to_string(),
            refresh: t.refresh,
            account: t.account.to_string(),
        }
    }
}

/// What was revealed of a listing, and what is left.
#[derive(Debug, SimpleObject)]
pub struct Reveals {
    /// Values opened.
    pub values: String,
    /// Bits opened.
    pub bits: String,
    /// Values left of the policy's quota, orders under way counted as used.
    pub values_left: String,
    /// Bits left.
    pub bits_left: String,
}

impl Reveals {
    /// From usage and quota.
    pub fn new(u: Usage, left: QuotaLeft) -> Self {
        Self {
            values: u.values.to_string(),
            bits: u.bits.to_string(),
            values_left: left.values.to_string(),
            bits_left: left.bits.to_string(),
        }
    }
}

/// An uploaded object.
#[derive(Debug, SimpleObject)]
pub struct ListingObject {
    /// Its name.
    pub name: String,
    /// Bytes expected.
    pub length: String,
    /// Bytes held.
    pub offset: String,
    /// BLAKE3 digest once complete.
    pub digest: Option<String>,
}

impl From<records::ObjectInfo> for ListingObject {
    fn from(o: records::ObjectInfo) -> Self {
        Self {
            name: o.name,
            length: o.length.to_string(),
            offset: o.offset.to_string(),
            digest: o.digest.map(|d| d.to_string()),
        }
    }
}

/// The reason in a listing's state, if it has one.
pub fn listing_reason(s: &ListingState) -> Option<String> {
    match s {
        ListingState::Rejected { reason, .. } => Some(reason.clone()),
        _ => None,
    }
}

/// Price and its exact split.
#[derive(Debug, SimpleObject)]
pub struct PriceSplit {
    /// What the buyer pays.
    pub total: Money,
    /// The marketplace's part.
    pub fee: Money,
    /// The pod operator's part.
    pub pod: Money,
    /// The custodian's part.
    pub custodian: Money,
}

/// Metered work.
#[derive(Debug, SimpleObject)]
pub struct WorkUnits {
    /// Encrypted values weighted.
    pub weighted_values: String,
    /// Circuit rows proven.
    pub constraints: String,
    /// Programmable bootstraps.
    pub bootstraps: String,
}

/// One output of a quote.
#[derive(Debug, SimpleObject)]
pub struct QuotedOutput {
    /// Index in the program.
    pub index: u32,
    /// What the value is.
    pub label: String,
    /// The segment.
    pub segment: String,
    /// Rows under it.
    pub rows: String,
    /// Values opened.
    pub values: String,
    /// Greatest magnitude of an opened integer.
    pub value_limit: String,
    /// The opened integer x stands for x / 2^scaleLog2.
    pub scale_log2: i32,
    /// Bits between the worst-case noise and the rounding step.
    pub noise_slack_bits: f64,
    /// Whether the weights are hidden.
    pub private_weights: bool,
    /// Standard deviation of the tickets' noise, in opened integers; null in
    /// custodian-held custody.
    pub noise_deviation: Option<f64>,
    /// At least 95 of 100 values are within plus or minus this of what they
    /// would be without noise.
    #[graphql(name = "noiseWithin95")]
    pub noise_within_95: Option<f64>,
}

/// What a seat learns.
#[derive(Debug, SimpleObject)]
pub struct SeatLearns {
    /// Who.
    pub seat: String,
    /// What.
    pub learns: String,
}

/// A quote, before any money moves.
#[derive(Debug, SimpleObject)]
pub struct Quote {
    /// The signed quote.
    pub document: Json<Value>,
    /// Its digest: what the order names.
    pub digest: String,
    /// The listing's signed policy.
    pub policy: Json<Value>,
    /// Price and split.
    pub price: PriceSplit,
    /// Seconds expected.
    pub expected_seconds: u32,
    /// When it expires, milliseconds since the epoch.
    pub expiry: String,
    /// Values opened.
    pub values: String,
    /// Bits opened at most.
    pub bits: String,
    /// Values left of the quota before this order.
    pub values_left: String,
    /// Bits left.
    pub bits_left: String,
    /// Cost units.
    pub work: WorkUnits,
    /// Precision by output.
    pub outputs: Vec<QuotedOutput>,
    /// What stays private.
    pub private_parts: Vec<String>,
    /// What each seat learns.
    pub seats: Vec<SeatLearns>,
    /// Who opens: the JSON of the documents' openers.
    pub openers: String,
    /// Digest of the ticket class; null in custodian-held custody.
    pub ticket_class: Option<String>,
    /// Its tickets.
    pub tickets: Option<QuotedTickets>,
}

impl From<service::QuoteOffer> for Quote {
    fn from(q: service::QuoteOffer) -> Self {
        let [total, fee, pod, custodian] = q.price.map(Money::from);
        Self {
            document: value(&q.signed.text),
            digest: q.signed.digest.to_string(),
            policy: value(&q.policy.text),
            price: PriceSplit {
                total,
                fee,
                pod,
                custodian,
            },
            expected_seconds: u32::try_from(q.expected_seconds).unwrap_or(u32::MAX),
            expiry: q.expiry.to_string(),
            values: q.values.to_string(),
            bits: q.bits.to_string(),
            values_left: q.values_left.to_string(),
            bits_left: q.bits_left.to_string(),
            work: WorkUnits {
                weighted_values: q.work.weighted_values.to_string(),
                constraints: q.work.constraints.to_string(),
                bootstraps: q.work.bootstraps.to_string(),
            },
            outputs: q
                .outputs
                .into_iter()
                .map(|o| QuotedOutput {
                    index: o.index,
                    label: o.label,
                    segment: o.segment,
                    rows: o.rows.to_string(),
                    values: o.values.to_string(),
                    value_limit: o.value_limit.to_string(),
                    scale_log2: o.scale_log2,
                    noise_slack_bits: o.noise_slack_bits,
                    private_weights: o.private_weights,
                    noise_deviation: o.noise_deviation,
                    noise_within_95: o.noise_within_95,
                })
                .collect(),
            private_parts: q.private_parts,
            openers: q.openers,
            ticket_class: q.tickets.as_ref().map(|t| t.class.to_string()),
            tickets: q.tickets.as_ref().map(Into::into),
            seats: q
                .seats
                .into_iter()
                .map(|s| SeatLearns {
                    seat: s.seat.into(),
                    learns: s.learns,
                })
                .collect(),
        }
    }
}

/// How far a pod is.
#[derive(Debug, Clone, SimpleObject)]
pub struct OrderProgress {
    /// The order.
    pub order: String,
    /// Its state.
    pub state: String,
    /// What is being done.
    pub stage: String,
    /// Per mille of the pod's work.
    pub per_mille: u32,
}

impl From<service::Progress> for OrderProgress {
    fn from(p: service::Progress) -> Self {
        Self {
            order: p.order.to_string(),
            state: p.state,
            stage: p.stage,
            per_mille: p.per_mille,
        }
    }
}

/// Why an order was refunded, in words.
pub fn refund_reason(s: &OrderState) -> (Option<String>, Option<String>) {
    match s {
        OrderState::Refunded(r) => {
            let why = match &r.reason {
                RefundReason::Rejected { rule } => Some(rule.clone()),
                RefundReason::Expired => None,
                RefundReason::Undeliverable { why } => Some(why.clone()),
            };
            (Some(r.reason.name().to_owned()), why)
        }
        _ => (None, None),
    }
}

/// A balance.
#[derive(Debug, SimpleObject)]
pub struct Balance {
    /// Moved.
    pub posted: Money,
    /// Reserved to leave.
    pub reserved: Money,
    /// Announced to come.
    pub incoming: Money,
    /// posted - reserved.
    pub available: Money,
}

impl From<ledger::Balance> for Balance {
    fn from(b: ledger::Balance) -> Self {
        Self {
            posted: Money(b.posted),
            reserved: Money(b.pending_out),
            incoming: Money(b.pending_in),
            available: Money(b.available()),
        }
    }
}

/// An account of the ledger.
#[derive(Debug, SimpleObject)]
pub struct LedgerAccountEntry {
    /// `world`, `fees` or `user:ID`.
    pub account: String,
    /// Its balance.
    pub balance: Balance,
}

/// One side of a transfer.
#[derive(Debug, SimpleObject)]
pub struct PostingEntry {
    /// Whose.
    pub account: String,
    /// How much.
    pub amount: Money,
}

/// A transfer.
#[derive(Debug, SimpleObject)]
pub struct TransferEntry {
    /// Its id.
    pub id: String,
    /// deposit, withdrawal or escrow.
    pub kind: String,
    /// pending, committed, posted or voided.
    pub state: String,
    /// The order of an escrow.
    pub order: Option<String>,
    /// Its postings; they sum to zero.
    pub postings: Vec<PostingEntry>,
    /// Milliseconds since the epoch.
    pub created_at: String,
}

impl From<records::Transfer> for TransferEntry {
    fn from(t: records::Transfer) -> Self {
        Self {
            id: t.id.to_string(),
            kind: t.kind.name().into(),
            state: t.state.name().into(),
            order: t.order.map(|o| o.to_string()),
            postings: t
                .postings
                .into_iter()
                .map(|p| PostingEntry {
                    account: p.account.to_string(),
                    amount: Money(p.amount),
                })
                .collect(),
            created_at: t.created_at.to_string(),
        }
    }
}

/// What the ledger's check found.
#[derive(Debug, SimpleObject)]
pub struct LedgerCheck {
    /// Whether every sum is zero and every balance is that of its postings.
    pub balanced: bool,
    /// Accounts looked at.
    pub accounts: String,
    /// Transfers looked at.
    pub transfers: String,
    /// What failed.
    pub failure: Option<String>,
}

/// A deposit or withdrawal.
#[derive(Debug, SimpleObject)]
pub struct CashRequestEntry {
    /// Its id.
    pub id: String,
    /// deposit or withdrawal.
    pub kind: String,
    /// Whose.
    pub account: String,
    /// How much.
    pub amount: Money,
    /// pending, approved or refused.
    pub decision: String,
    /// The admin's reason.
    pub reason: String,
    /// Milliseconds since the epoch.
    pub created_at: String,
}

impl From<records::CashRequest> for CashRequestEntry {
    fn from(c: records::CashRequest) -> Self {
        Self {
            id: c.id.to_string(),
            kind: c.kind.name().into(),
            account: c.account.to_string(),
            amount: c.amount.into(),
            decision: c.decision.name().into(),
            reason: c.reason,
            created_at: c.created_at.to_string(),
        }
    }
}

/// Pod or key node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum MachineRole {
    /// Evaluates and proves.
    Pod,
    /// Opens results.
    Node,
}

impl From<MachineRole> for MachineKind {
    fn from(r: MachineRole) -> Self {
        match r {
            MachineRole::Pod => Self::Pod,
            MachineRole::Node => Self::Node,
        }
    }
}

/// A pod or key node.
#[derive(Debug, SimpleObject)]
pub struct MachineEntry {
    /// Its id.
    pub id: String,
    /// pod or node.
    pub kind: String,
    /// The operator's account.
    pub operator: String,
    /// Name shown.
    pub name: String,
    /// Its signing key.
    pub signing_key: String,
    /// pending, approved or refused.
    pub decision: String,
    /// The admin's reason.
    pub reason: String,
}

impl From<records::Machine> for MachineEntry {
    fn from(m: records::Machine) -> Self {
        Self {
            id: m.id.to_string(),
            kind: m.kind.name().into(),
            operator: m.operator.to_string(),
            name: m.name,
            signing_key: m.signing_key.to_string(),
            decision: m.decision.name().into(),
            reason: m.reason,
        }
    }
}

/// A link of the audit chain.
#[derive(Debug, SimpleObject)]
pub struct AuditEntry {
    /// From 1, without gaps.
    pub sequence: String,
    /// Milliseconds since the epoch.
    pub at: String,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// On what.
    pub subject: String,
    /// Facts, as JSON text.
    pub details: String,
    /// Digest of the record before.
    pub previous: String,
    /// Digest of this one.
    pub digest: String,
}

impl From<audit::AuditRecord> for AuditEntry {
    fn from(r: audit::AuditRecord) -> Self {
        Self {
            sequence: r.sequence.to_string(),
            at: r.at.to_string(),
            actor: r.entry.actor,
            action: r.entry.action,
            subject: r.entry.subject,
            details: r.entry.details,
            previous: r.previous.to_string(),
            digest: r.digest.to_string(),
        }
    }
}

/// What the check of the audit chain found.
#[derive(Debug, SimpleObject)]
pub struct AuditCheck {
    /// Whether the chain holds.
    pub intact: bool,
    /// Its length.
    pub length: String,
    /// Digest of the newest record.
    pub head: Option<String>,
    /// What failed.
    pub failure: Option<String>,
}
