//! What the resolvers of partners' fields need of the server (PAR).

use async_trait::async_trait;
use veilbourse_domain::{
    Millis, Result,
    access::Pass,
    id::{ApiKeyId, DeliveryId, WebhookId},
    partners::{ApiKey, PersistedQuery},
    records::{Page, PageRequest},
    scopes::ApiScope,
    webhooks::{Attempt, Delivery, Webhook, WebhookChange, WebhookEvent},
};

/// A key asked for.
#[derive(Debug, Clone)]
pub struct KeyWanted {
    /// For people.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<ApiScope>,
    /// From when on it is refused.
    pub expires_at: Option<Millis>,
    /// Requests a minute.
    pub per_minute: Option<u32>,
    /// Requests a day.
    pub per_day: Option<u32>,
    /// Whether it runs registered documents only.
    pub persisted_only: bool,
}

/// What is shown once.
#[derive(Debug, Clone)]
pub struct WithSecret<T> {
    /// What was made.
    pub made: T,
    /// Its secret.
    pub secret: String,
}

/// A delivery with what was tried.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// The delivery.
    pub delivery: Delivery,
    /// Its attempts, in order.
    pub attempts: Vec<Attempt>,
}

/// Acts of partners. Each takes the pass of the policy table.
#[async_trait]
pub trait Partners: Send + Sync {
    /// Now: what quotas of today are counted by.
    fn time(&self) -> Millis;
    /// PAR-1, PAR-2.
    async fn create_api_key(&self, pass: &Pass, wanted: KeyWanted) -> Result<WithSecret<ApiKey>>;
    /// PAR-5.
    async fn rotate_api_key(
        &self,
        pass: &Pass,
        id: ApiKeyId,
        overlap_seconds: u32,
    ) -> Result<WithSecret<ApiKey>>;
    /// PAR-5.
    async fn revoke_api_key(&self, pass: &Pass, id: ApiKeyId) -> Result<()>;
    /// PAR-9, PAR-10.
    async fn create_webhook(
        &self,
        pass: &Pass,
        url: &str,
        events: Vec<WebhookEvent>,
    ) -> Result<WithSecret<Webhook>>;
    /// PAR-9, PAR-12.
    async fn update_webhook(
        &self,
        pass: &Pass,
        id: WebhookId,
        change: WebhookChange,
    ) -> Result<Webhook>;
    /// PAR-13.
    async fn rotate_webhook_secret(
        &self,
        pass: &Pass,
        id: WebhookId,
    ) -> Result<WithSecret<Webhook>>;
    /// PAR-9.
    async fn delete_webhook(&self, pass: &Pass, id: WebhookId) -> Result<()>;
    /// Sends a test now, once.
    async fn test_webhook(&self, pass: &Pass, id: WebhookId) -> Result<Delivered>;
    /// Sends a delivery again now, under the same id (PAR-12).
    async fn redeliver_webhook(&self, pass: &Pass, id: DeliveryId) -> Result<Delivered>;
    /// A webhook's deliveries, newest first.
    async fn webhook_deliveries(
        &self,
        pass: &Pass,
        id: WebhookId,
        page: &PageRequest,
    ) -> Result<Page<Delivered>>;
    /// PAR-6.
    async fn register_persisted_query(&self, pass: &Pass, document: &str)
    -> Result<PersistedQuery>;
}
