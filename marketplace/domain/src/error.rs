//! The one table of refusals: code, HTTP status, message. GraphQL puts the
//! code in `extensions.code`, HTTP in the body; both take the status from here.

use crate::{MinorUnits, id::OrderId};
use thiserror::Error;

macro_rules! refusals {
    ($($(#[doc = $doc:literal])+ $name:ident $({ $($field:ident : $ty:ty),* })? => $code:literal, $status:literal, $message:literal;)*) => {
        /// Why the domain refused. One variant a rule.
        #[derive(Debug, Error, Clone, PartialEq, Eq)]
        pub enum DomainError {
            $(
                $(#[doc = $doc])+
                #[error($message)]
                $name $({ $(#[doc = "Named in the message."] $field: $ty),* })?,
            )*
        }

        /// Every code with its HTTP status and message, in the order of the enum.
        pub const CODES: &[(&str, u16, &str)] = &[$(($code, $status, $message)),*];

        impl DomainError {
            /// The stable code.
            pub fn code(&self) -> &'static str {
                match self { $(Self::$name $({ $($field: _),* })? => $code,)* }
            }
            /// The HTTP status it is answered with.
            pub fn status(&self) -> u16 {
                match self { $(Self::$name $({ $($field: _),* })? => $status,)* }
            }
        }
    };
}

refusals! {
    /// Absent, or not for the viewer's eyes (ACC-6).
    NotFound { what: &'static str } => "NOT_FOUND", 404, "{what} not found";
    /// Nobody is signed in (ACC-1).
    Unauthenticated => "UNAUTHENTICATED", 401, "sign in first";
    /// The role may not use this entry of the policy table (ACC-1).
    Forbidden { endpoint: String } => "FORBIDDEN", 403, "{endpoint} is not open to your role";
    /// A mail address that is taken.
    MailTaken => "MAIL_TAKEN", 409, "an account with this mail exists";
    /// Wrong mail or password, told apart by nobody (ACC-2).
    WrongCredentials => "WRONG_CREDENTIALS", 401, "mail or password is wrong";
    /// The password is right, the account asks for a second factor (ACC-11).
    SecondFactorNeeded => "SECOND_FACTOR_NEEDED", 401, "a code of the second factor is needed";
    /// A code that is wrong, too old or was used before (ACC-11).
    SecondFactorWrong => "SECOND_FACTOR_WRONG", 401, "the code is wrong or was used before";
    /// A second factor where there is one, or where there is none (ACC-11).
    SecondFactorState { found: &'static str } => "SECOND_FACTOR_STATE", 409, "the second factor is {found}";
    /// A password that others try first (ACC-8).
    PasswordWeak { reason: &'static str } => "PASSWORD_WEAK", 400, "password: {reason}";
    /// A link of a letter that is unknown, used, expired or for something else (ACC-9, MAIL-4).
    MailTokenInvalid { reason: &'static str } => "MAIL_TOKEN_INVALID", 400, "the link is not good: {reason}";
    /// What waits until the mail address was verified (ACC-9).
    MailUnverified => "MAIL_UNVERIFIED", 403, "verify your mail address first";
    /// An admin has suspended the account (ACC-15).
    AccountSuspended => "ACCOUNT_SUSPENDED", 403, "the account is suspended";
    /// A step of an account from a state that does not allow it (ACC-15, ACC-16).
    AccountState { found: &'static str, wanted: &'static str } => "ACCOUNT_STATE", 409, "account is {found}, cannot become {wanted}";
    /// Money is left, or on its way (ACC-16).
    AccountHasMoney => "ACCOUNT_HAS_MONEY", 409, "the account has money or requests of money; withdraw it first";
    /// Orders have not ended (ACC-16).
    AccountHasOrders { open: u64 } => "ACCOUNT_HAS_ORDERS", 409, "{open} orders of the account have not ended";
    /// Listings are submitted, published or paused (ACC-16).
    AccountHasListings { live: u64 } => "ACCOUNT_HAS_LISTINGS", 409, "{live} listings of the account are live; withdraw them first";
    /// Machines are approved (ACC-16).
    AccountHasMachines { approved: u64 } => "ACCOUNT_HAS_MACHINES", 409, "{approved} machines of the account are approved; ask an admin to refuse them first";
    /// A character that hides or reorders a text (REV-5).
    TextCharacter { field: &'static str, code: u32 } => "TEXT_CHARACTER", 400, "{field}: character number {code} is not allowed";
    /// A policy handed in before it is valid (REV-4).
    PolicyNotYet { valid_from: u64, now: u64 } => "POLICY_NOT_YET", 409, "the policy is valid from {valid_from}, now is {now}";
    /// Roles that are never self-registered (ACC-2).
    RoleNotRegistrable { role: String } => "ROLE_NOT_REGISTRABLE", 403, "the role {role} is granted by an admin, not registered";
    /// A token that is unknown, expired or revoked (ACC-3, ACC-4).
    TokenInvalid { reason: &'static str } => "TOKEN_INVALID", 401, "token refused: {reason}";
    /// A rotated refresh token came again: its family is revoked (ACC-3).
    TokenReused => "TOKEN_REUSED", 401, "a refresh token was used twice; every session of its family is revoked";
    /// Too many requests (ACC-5).
    RateLimited { retry_after_seconds: u64 } => "RATE_LIMITED", 429, "too many requests; retry after {retry_after_seconds} s";
    /// A field of the input is not allowed.
    Invalid { field: &'static str, reason: String } => "INVALID", 400, "{field}: {reason}";
    /// A number or length exceeds its limit.
    TooLarge { field: &'static str, limit: u64, value: u64 } => "TOO_LARGE", 413, "{field}: {value} exceeds the limit {limit}";
    /// An amount that is negative, zero or out of range.
    Amount { field: &'static str, value: i64 } => "AMOUNT", 400, "{field}: {value} minor units are out of range";
    /// The same idempotency key came with another content (LED-4).
    IdempotencyMismatch { key: String } => "IDEMPOTENCY_MISMATCH", 409, "idempotency key {key} was used for another request";
    /// Too many or too large requests of an account wait for a decision (LED-4).
    CashPending { what: &'static str, limit: u64, value: u64 } => "CASH_PENDING", 409, "{what}: {value}, at most {limit} until an admin decides";
    /// The approver is the owner (LED-4).
    OwnRequest => "OWN_REQUEST", 403, "a request is decided by somebody else than its owner";
    /// Already decided (LED-2).
    AlreadyDecided { what: &'static str } => "ALREADY_DECIDED", 409, "{what} was decided before";
    /// A transfer's postings do not sum to zero, repeat an account or are empty (LED-1).
    Unbalanced { sum: i64 } => "UNBALANCED", 500, "postings sum to {sum}, not to zero";
    /// A transfer that ended was to end again, or an escrow that may not be voided any more (LED-2, SET-3).
    TransferState { found: &'static str, wanted: &'static str } => "TRANSFER_STATE", 409, "transfer is {found}, cannot become {wanted}";
    /// Not enough money (SET-1, LED-3).
    InsufficientFunds { available: MinorUnits, needed: MinorUnits } => "INSUFFICIENT_FUNDS", 402, "available {available}, needed {needed} minor units";
    /// A listing transition from a state that does not allow it.
    ListingState { found: &'static str, wanted: &'static str } => "LISTING_STATE", 409, "listing is {found}, cannot become {wanted}";
    /// The listing takes no orders now.
    ListingClosed { state: &'static str } => "LISTING_CLOSED", 409, "listing is {state} and takes no orders";
    /// An order transition from a state that is not its source (ORD-5).
    OrderState { found: &'static str, wanted: &'static str } => "ORDER_STATE", 409, "order is {found}, cannot become {wanted}";
    /// The lease ended or its token is not the current one (ORD-6).
    StaleLease => "STALE_LEASE", 409, "the lease ended or its token is not the current one";
    /// Attempts are used up (ORD-6).
    AttemptsExhausted { attempts: u32 } => "ATTEMPTS_EXHAUSTED", 409, "all {attempts} attempts are used";
    /// The order's deadline has passed (SET-5).
    DeadlinePassed { deadline: u64, now: u64 } => "DEADLINE_PASSED", 409, "deadline {deadline} has passed (now {now})";
    /// The order's deadline has not passed yet (SET-5).
    DeadlineAhead { deadline: u64, now: u64 } => "DEADLINE_AHEAD", 409, "deadline {deadline} is ahead (now {now})";
    /// The grant must expire before the deadline (SET-5).
    GrantExpiry { deadline: u64, expires: u64 } => "GRANT_EXPIRY", 409, "grant expires at {expires}, not before the deadline {deadline}";
    /// Quote expired (ORD-1).
    QuoteExpired { expiry: u64, now: u64 } => "QUOTE_EXPIRED", 409, "quote expired at {expiry} (now {now})";
    /// Quote of another marketplace, or not the quote that the order names (ORD-1).
    QuoteUnknown => "QUOTE_UNKNOWN", 409, "the order names no quote of this marketplace";
    /// Another listing than quoted (ORD-1).
    ListingDiffers => "ORDER_LISTING_DIFFERS", 409, "the order's listing is not the quote's";
    /// Another dataset root than quoted or listed (ORD-1).
    DatasetDiffers => "ORDER_DATASET_DIFFERS", 409, "the order's dataset root is not the quote's and listing's";
    /// Another policy version than quoted, or not the newest (ORD-1).
    PolicyVersionDiffers { expected: u32, found: u32 } => "ORDER_POLICY_DIFFERS", 409, "policy version {found}, expected {expected}";
    /// Another program than quoted (ORD-1).
    ProgramDiffers => "ORDER_PROGRAM_DIFFERS", 409, "the order's program shape is not the quote's";
    /// Another price than quoted (ORD-1).
    PriceDiffers { expected: MinorUnits, found: MinorUnits } => "ORDER_PRICE_DIFFERS", 409, "price {found}, quoted {expected}";
    /// Another pod than quoted (ORD-1).
    PodDiffers => "ORDER_POD_DIFFERS", 409, "the order's pod is not the quote's";
    /// Another verifying key than quoted (ORD-1).
    VerifyingKeyDiffers => "ORDER_VERIFYING_KEY_DIFFERS", 409, "the order's verifying key is not the quote's";
    /// Another SRS than quoted (ORD-1).
    SrsDiffers => "ORDER_SRS_DIFFERS", 409, "the order's SRS is not the quote's";
    /// Other openers than quoted, or than the policy's (ORD-1).
    OpenersDiffer => "ORDER_OPENERS_DIFFER", 409, "the order's openers are not the quote's and policy's";
    /// Another ticket class than quoted (ORD-1).
    TicketClassDiffers => "ORDER_TICKET_CLASS_DIFFERS", 409, "the order's ticket class is not the quote's";
    /// A ticket class that the policy does not offer (DOC-4).
    TicketClassNotOffered { found: String } => "TICKET_CLASS_NOT_OFFERED", 409, "the policy does not offer ticket class {found}";
    /// Outputs that the ticket class does not fit (DOC-12, OPN-5).
    TicketClassUnfit { reason: String } => "TICKET_CLASS_UNFIT", 422, "ticket class: {reason}";
    /// No quorum has tickets enough beside those of orders under way (ORD-7).
    TicketsUsedUp { largest: u64, needed: u64 } => "TICKETS_USED_UP", 409, "{needed} tickets needed, the best quorum has {largest} left beside orders under way";
    /// A later policy that leaves a dealing out (DOC-12).
    DealingsNotKept { found: String } => "DEALINGS_NOT_KEPT", 409, "dealing {found} is left out or changed; a later policy lists every dealing there ever was";
    /// An announcement that is not what the policy lists (DOC-14).
    DealingDiffers { what: &'static str } => "DEALING_DIFFERS", 409, "the announced dealing's {what} is not the policy's";
    /// More bytes of dealings than a listing may have.
    DealingBytes { limit: u64, value: u64 } => "DEALING_BYTES", 413, "the listing's dealings would have {value} bytes, the limit is {limit}";
    /// Neither three custodians nor noise in each class (ORD-8).
    JointTooFew { custodians: u64, minimum: u64 } => "JOINT_TOO_FEW", 409, "the joint order has {custodians} custodians; below {minimum} each ticket class must hold noise";
    /// A custodian of a joint order is its buyer (ORD-8).
    JointOwnListing => "JOINT_OWN_LISTING", 403, "a custodian cannot buy in a joint order with its own listing";
    /// A dataset twice in a joint order (ORD-8).
    JointDataset { dataset: String } => "JOINT_DATASET", 409, "dataset {dataset} is twice in the joint order";
    /// Something that must be the same in all orders of a joint one (ORD-8).
    JointDiffers { what: &'static str } => "JOINT_DIFFERS", 409, "the joint order's {what} are not the same in all its orders";
    /// A joint order whose delivery by a node is longer than one may be (ORD-8).
    JointTooLarge { limit: u64, value: u64 } => "JOINT_TOO_LARGE", 413, "a node's delivery of the joint order has up to {value} bytes, the limit is {limit}; ask for fewer values or of fewer listings";
    /// A quote of a joint order that another of its orders has (SET-8).
    JointRepeated => "JOINT_REPEATED", 409, "the joint order has an order under this quote";
    /// A joint order of which a part has ended (SET-8).
    JointEnded => "JOINT_ENDED", 409, "an order of the joint order has ended";
    /// Another masked result or opening than the quorum's other nodes delivered (SET-7).
    OpeningDiffers { what: &'static str } => "OPENING_DIFFERS", 409, "the {what} is not what another node of the quorum delivered";
    /// Commitments that are not those of the granted dealing's tickets (TKT-5, DOC-13).
    MasksNotDealt { reason: String } => "MASKS_NOT_DEALT", 409, "the masked result's commitments are not the granted dealing's: {reason}";
    /// A grant that is no more, or a node that it does not name (SET-7).
    GrantUnknown => "GRANT_UNKNOWN", 409, "the order has no such grant for this node";
    /// An evaluation class below the policy's or the order's minimum (ORD-1).
    AssuranceTooLow { minimum: &'static str } => "ASSURANCE_TOO_LOW", 409, "evaluation class is below the minimum {minimum}";
    /// The deadline leaves no time (ORD-1).
    DeadlineTooSoon { earliest: u64, deadline: u64 } => "DEADLINE_TOO_SOON", 409, "deadline {deadline} is before the earliest possible {earliest}";
    /// The deadline is beyond the longest time an order may reserve (ORD-1).
    DeadlineTooLate { latest: u64, deadline: u64 } => "DEADLINE_TOO_LATE", 409, "deadline {deadline} is after the latest possible {latest}";
    /// A nonce that came before with another order (ORD-2).
    NonceReplayed => "NONCE_REPLAYED", 409, "this nonce was used before";
    /// The signing key is not registered for the account, or revoked (ORD-3).
    SigningKeyUnknown => "SIGNING_KEY_UNKNOWN", 403, "the signing key is not a registered, unrevoked key of the account";
    /// The custodian buys on its own listing (ORD-3).
    OwnListing => "OWN_LISTING", 403, "a custodian cannot buy on its own listing";
    /// The program does not conform or does not fit the budget (ORD-4).
    Program { reason: String } => "PROGRAM", 422, "program: {reason}";
    /// A query kind that the policy does not allow (ORD-4).
    QueryKindDenied { kind: &'static str } => "QUERY_KIND_DENIED", 403, "the policy does not allow {kind} queries";
    /// A touched segment is smaller than the minimum cohort (ORD-4).
    CohortTooSmall { segment: u32, rows: u64, minimum: u64 } => "COHORT_TOO_SMALL", 403, "segment {segment} has {rows} rows, the policy's minimum is {minimum}";
    /// The policy's quota is used up, orders under way included (ORD-4).
    QuotaExceeded { what: &'static str, left: u64, needed: u64 } => "QUOTA_EXCEEDED", 409, "{what} left {left}, needed {needed}";
    /// The same output asked for twice (ORD-4).
    DuplicateOutput { index: u32 } => "DUPLICATE_OUTPUT", 422, "output {index} repeats an earlier one";
    /// A policy version that does not count up, or not valid yet (DOC-3).
    PolicyVersion { current: u32, found: u32 } => "POLICY_VERSION", 409, "policy version {found} does not follow {current}";
    /// A policy under which an order may cost nothing: there is no escrow of nothing.
    PolicyFree => "POLICY_FREE", 400, "an order of one value must cost something under the policy";
    /// An append at another offset than the current one (UP-1).
    UploadOffset { expected: u64, found: u64 } => "UPLOAD_OFFSET", 409, "offset {found}, expected {expected}";
    /// An object length that is not the manifest's (UP-2).
    UploadLength { name: String, expected: u64, found: u64 } => "UPLOAD_LENGTH", 413, "{name}: length {found}, expected {expected}";
    /// The object is complete or its listing submitted (UP-5).
    ObjectImmutable { name: String } => "OBJECT_IMMUTABLE", 409, "{name} is complete and cannot change";
    /// An object that is not complete (UP-3).
    ObjectIncomplete { name: String } => "OBJECT_INCOMPLETE", 409, "{name} is not complete";
    /// Bytes of an object are not those recorded (UP-3).
    ObjectDigest { name: String, expected: String, found: String } => "OBJECT_DIGEST", 409, "{name}: digest {found}, expected {expected}";
    /// A delivery or submission that names another document (ORD-5).
    DocumentLink { what: &'static str } => "DOCUMENT_LINK", 409, "{what} names another document";
    /// An API key without a scope that the entry needs (PAR-3).
    KeyScope { endpoint: String, scopes: String } => "KEY_SCOPE", 403, "{endpoint} needs an API key with the scope {scopes}";
    /// What no API key may do: accounts, keys, staff (PAR-3).
    KeyNotAllowed { endpoint: String } => "KEY_NOT_ALLOWED", 403, "{endpoint} is not open to API keys";
    /// A key that runs registered documents only, and another document (PAR-7).
    PersistedOnly => "PERSISTED_ONLY", 403, "this API key runs registered documents only";
    /// A digest under which no document is kept (PAR-6).
    PersistedQueryNotFound => "PERSISTED_QUERY_NOT_FOUND", 404, "PersistedQueryNotFound";
    /// A request that was cut off, so that nobody knows whether it was done (PAR-8).
    IdempotencyLost { key: String } => "IDEMPOTENCY_LOST", 409, "what became of the request with idempotency key {key} is not known: look for what it did before you use another key";
    /// A URL that no webhook is sent to (PAR-10).
    WebhookTarget { reason: String } => "WEBHOOK_TARGET", 400, "webhook URL: {reason}";
    /// More jobs wait for pods than the operator allows (PAR-14).
    QueueFull { waiting: u64, limit: u64, retry_after_seconds: u64 } => "QUEUE_FULL", 503, "{waiting} orders wait for pods, the limit is {limit}; retry after {retry_after_seconds} s";
    /// The ledger does not balance (LED-1). Production assertion.
    LedgerBroken { what: String } => "LEDGER_BROKEN", 500, "ledger check failed: {what}";
    /// The audit chain is damaged (LED-5). Production assertion.
    AuditBroken { sequence: u64, what: &'static str } => "AUDIT_BROKEN", 500, "audit record {sequence}: {what}";
    /// An order row and its columns disagree. Production assertion.
    Inconsistent { order: OrderId, what: String } => "INCONSISTENT", 500, "order {order}: {what}";
    /// A letter that an admin cannot send again or put aside (MAIL-2).
    MailState { found: &'static str, wanted: &'static str } => "MAIL_STATE", 409, "letter is {found}, cannot become {wanted}";
    /// Somebody else changed the same thing meanwhile; safe to retry.
    Conflict { what: &'static str } => "CONFLICT", 409, "{what} changed meanwhile; retry";
    /// The database or disk failed; the text never reaches a client (GQL-2).
    Storage { detail: String } => "INTERNAL", 500, "internal error";
}

impl DomainError {
    /// A refusal of an input field.
    pub fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid {
            field,
            reason: reason.into(),
        }
    }
    /// A failure of storage; `detail` is for the log only.
    pub fn storage(detail: impl ToString) -> Self {
        Self::Storage {
            detail: detail.to_string(),
        }
    }
    /// Whether the text must be replaced by a reference id (GQL-2).
    pub fn is_internal(&self) -> bool {
        self.status() == 500
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_unique_and_well_formed() {
        let codes: BTreeSet<_> = CODES.iter().map(|c| c.0).collect();
        assert_eq!(codes.len(), CODES.len());
        for (code, status, message) in CODES {
            assert!(
                code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'),
                "{code}"
            );
            assert!((400..=500).contains(status) || *status == 503, "{code}");
            assert!(!message.is_empty());
        }
    }

    #[test]
    fn partners_are_told_every_code() {
        let guide = include_str!("../../../docs/guides/partner.md");
        for (code, status, message) in CODES {
            let row = format!("| `{code}` | {status} | {message} |");
            assert!(guide.contains(&row), "docs/guides/partner.md lacks {row}");
        }
    }

    #[test]
    fn storage_text_never_shows() {
        // GQL-2
        let e = DomainError::storage("UNIQUE constraint failed: accounts.mail");
        assert_eq!(e.to_string(), "internal error");
        assert!(e.is_internal());
        assert_eq!(e.code(), "INTERNAL");
    }
}
