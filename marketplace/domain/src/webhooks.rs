//! Webhooks (PAR-9..13): what is told, to whom, in what order, how often it is
//! tried, and when one is given up.

use crate::{
    DomainError, Millis, Result,
    id::{AccountId, DeliveryId, WebhookId},
    records::{Page, PageRequest},
};
use async_trait::async_trait;

/// Webhooks of an account.
pub const MAX_WEBHOOKS: u64 = 20;
/// Longest URL of a webhook.
pub const MAX_URL: usize = 2_000;
/// Most bytes of an answer's body that are kept.
pub const MAX_EXCERPT: usize = 1_000;
/// Deliveries and their attempts are forgotten after this time.
pub const KEPT_MILLIS: Millis = 30 * 86_400_000;
/// For how long a delivery is claimed: longer than an attempt may take.
pub const CLAIM_MILLIS: Millis = 60_000;
/// How long the secret before a rotation signs beside the newer one.
pub const OVERLAP_MILLIS: Millis = 86_400_000;
/// Waits after each failed attempt, in seconds: 24 hours, less eight minutes.
const BACKOFF: [u64; 11] = [
    10, 30, 60, 300, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 28_800,
];

/// What a webhook may be told (PAR-9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WebhookEvent {
    /// An order was placed: to its buyer and the custodian.
    OrderPlaced,
    /// It went on: to its buyer.
    OrderProgress,
    /// Its result is there and paid: to both.
    OrderReleased,
    /// Its price went back: to both.
    OrderRefunded,
    /// A listing waits for review: to its owner.
    ListingSubmitted,
    /// It was published.
    ListingPublished,
    /// It was sent back.
    ListingRejected,
    /// Less than a tenth of a listing's quota is left: to its owner.
    BudgetLow,
    /// A deposit or withdrawal was decided: to who asked.
    CashDecided,
    /// A test, when asked for.
    Ping,
}

impl WebhookEvent {
    /// Every event.
    pub const ALL: [Self; 10] = [
        Self::OrderPlaced,
        Self::OrderProgress,
        Self::OrderReleased,
        Self::OrderRefunded,
        Self::ListingSubmitted,
        Self::ListingPublished,
        Self::ListingRejected,
        Self::BudgetLow,
        Self::CashDecided,
        Self::Ping,
    ];

    /// The name in the API, in what is sent, and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::OrderPlaced => "ORDER_PLACED",
            Self::OrderProgress => "ORDER_PROGRESS",
            Self::OrderReleased => "ORDER_RELEASED",
            Self::OrderRefunded => "ORDER_REFUNDED",
            Self::ListingSubmitted => "LISTING_SUBMITTED",
            Self::ListingPublished => "LISTING_PUBLISHED",
            Self::ListingRejected => "LISTING_REJECTED",
            Self::BudgetLow => "BUDGET_LOW",
            Self::CashDecided => "CASH_DECIDED",
            Self::Ping => "PING",
        }
    }
    /// Reads a name.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|e| e.name() == name)
            .ok_or_else(|| DomainError::invalid("event", format!("unknown event {name:?}")))
    }
}

/// How long to wait after the failed attempt of this number, from 1; nothing
/// when it was the last (PAR-12).
pub fn backoff(attempt: u32) -> Option<Millis> {
    let at = usize::try_from(attempt.checked_sub(1)?).ok()?;
    BACKOFF.get(at).map(|seconds| seconds * 1_000)
}

/// A webhook (PAR-9). Its secret is derived from the server's key and the nonce:
/// the database does not hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Whose.
    pub account: AccountId,
    /// Where to.
    pub url: String,
    /// What it is told.
    pub events: Vec<WebhookEvent>,
    /// Whether it is told anything now.
    pub enabled: bool,
    /// Names its secret.
    pub nonce: String,
    /// The one before, and until when it signs too.
    pub previous: Option<(String, Millis)>,
    /// When it was made.
    pub created_at: Millis,
    /// Since when every attempt failed.
    pub failing_since: Option<Millis>,
    /// When it was disabled, and why.
    pub disabled: Option<(Millis, String)>,
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// To be sent, again perhaps.
    Waiting,
    /// Taken by its receiver (2xx).
    Delivered,
    /// Given up.
    Failed,
}

impl DeliveryState {
    /// The name in the API and the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
    /// Reads a name.
    pub fn parse(name: &str) -> Result<Self> {
        [Self::Waiting, Self::Delivered, Self::Failed]
            .into_iter()
            .find(|s| s.name() == name)
            .ok_or_else(|| DomainError::invalid("delivery state", format!("unknown {name:?}")))
    }
}

/// An attempt to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When.
    pub at: Millis,
    /// The answer's HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// How long it took.
    pub millis: u64,
    /// The beginning of the answer's body.
    pub excerpt: String,
    /// Why there was no answer.
    pub error: Option<String>,
}

impl Attempt {
    /// Whether the receiver took it: any 2xx.
    pub fn delivered(&self) -> bool {
        self.status.is_some_and(|s| (200..300).contains(&s))
    }
}

/// An event on its way to a webhook (PAR-11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The same in each attempt.
    pub id: DeliveryId,
    /// To which.
    pub webhook: WebhookId,
    /// Counts the webhook's deliveries: they are sent in this order.
    pub sequence: u64,
    /// What it tells.
    pub event: WebhookEvent,
    /// What is sent, to the byte.
    pub body: String,
    /// When it happened.
    pub created_at: Millis,
    /// How it stands.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// When the next one is due.
    pub next_at: Millis,
    /// When it was taken.
    pub delivered_at: Option<Millis>,
}

/// What an owner may change of a webhook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookChange {
    /// Another place.
    pub url: Option<String>,
    /// Other events.
    pub events: Option<Vec<WebhookEvent>>,
    /// On or off; on clears why it was off.
    pub enabled: Option<bool>,
}

/// Webhooks and their deliveries.
#[async_trait]
pub trait Webhooks: Send + Sync {
    /// Stores one.
    async fn create_webhook(&self, hook: &Webhook, now: Millis) -> Result<()>;
    /// Changes one of the account's.
    async fn update_webhook(
        &self,
        account: AccountId,
        id: WebhookId,
        change: WebhookChange,
        now: Millis,
    ) -> Result<Webhook>;
    /// Another secret; the one before signs beside it until `until` (PAR-13).
    async fn rotate_webhook(
        &self,
        account: AccountId,
        id: WebhookId,
        nonce: &str,
        until: Millis,
        now: Millis,
    ) -> Result<Webhook>;
    /// Forgets one with its deliveries.
    async fn delete_webhook(&self, account: AccountId, id: WebhookId, now: Millis) -> Result<()>;
    /// Every webhook of an account, oldest first.
    async fn webhooks(&self, account: AccountId) -> Result<Vec<Webhook>>;
    /// One of the account's; another's is not found (ACC-6).
    async fn webhook(&self, account: AccountId, id: WebhookId) -> Result<Webhook>;
    /// Its deliveries, newest first.
    async fn deliveries(&self, id: WebhookId, page: &PageRequest) -> Result<Page<Delivery>>;
    /// A delivery with its webhook.
    async fn delivery(&self, id: DeliveryId) -> Result<(Webhook, Delivery)>;
    /// What was tried of a delivery, in order.
    async fn attempts(&self, id: DeliveryId) -> Result<Vec<Attempt>>;
    /// A test delivery, claimed by who asks.
    async fn ping(&self, id: WebhookId, now: Millis) -> Result<Delivery>;
    /// Deliveries that are due, of each webhook the first that waits (PAR-11).
    async fn due(&self, now: Millis, limit: u32) -> Result<Vec<(Webhook, Delivery)>>;
    /// Claims a delivery for an attempt; `again` for one that is over.
    async fn claim_delivery(&self, id: DeliveryId, again: bool, now: Millis) -> Result<bool>;
    /// Notes an attempt and what follows from it; disables a webhook that has
    /// failed for `give_up` (PAR-12). Whether it did.
    async fn note_attempt(
        &self,
        id: DeliveryId,
        attempt: &Attempt,
        give_up: Millis,
        now: Millis,
    ) -> Result<bool>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_tried_for_a_day() {
        // PAR-12
        let waits: Vec<Millis> = (1..).map_while(backoff).collect();
        assert_eq!(waits.len(), 11);
        assert!(waits.windows(2).all(|w| w[0] <= w[1]), "{waits:?}");
        let hours = waits.iter().sum::<Millis>() as f64 / 3_600_000.0;
        assert!((23.0..=24.0).contains(&hours), "{hours}");
        assert_eq!((backoff(0), backoff(12)), (None, None));
    }

    #[test]
    fn names_are_read_back() {
        for e in WebhookEvent::ALL {
            assert_eq!(WebhookEvent::parse(e.name()), Ok(e));
        }
        assert!(matches!(
            WebhookEvent::parse("ORDER_LOST"),
            Err(DomainError::Invalid { field: "event", .. })
        ));
    }

    #[test]
    fn only_2xx_is_delivered() {
        let attempt = |status| Attempt {
            at: 0,
            status,
            millis: 0,
            excerpt: String::new(),
            error: None,
        };
        for (status, taken) in [
            (Some(200), true),
            (Some(204), true),
            (Some(199), false),
            (Some(301), false),
            (Some(500), false),
            (None, false),
        ] {
            assert_eq!(attempt(status).delivered(), taken, "{status:?}");
        }
    }
}
