//! What platforms that integrate use (PAR): API keys, webhooks, registered
//! documents. Each root field asks the policy table first (ACC-1).

use crate::{
    partners_service::{Delivered, KeyWanted, WithSecret},
    query::{List, list, page, parsed, pass, refuse, service},
};
use async_graphql::{Context, Enum, Object, Result, SimpleObject};
use veilbourse_domain::{
    DomainError, Millis,
    access::Surface,
    id::{ApiKeyId, DeliveryId, WebhookId},
    partners, scopes, webhooks,
    webhooks::WebhookChange,
};

/// What an API key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "scopes::ApiScope")]
pub enum ApiScope {
    /// Read the catalogue.
    Catalogue,
    /// Ask for quotes.
    Quote,
    /// Place orders and follow them.
    Order,
    /// Fetch receipts and results.
    Result,
    /// Make and change listings, upload.
    Listing,
    /// Read the balance, ask for deposits and withdrawals.
    Money,
    /// Keep webhooks.
    Webhook,
}

/// What a webhook may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "webhooks::WebhookEvent")]
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
    /// A test.
    Ping,
}

/// An API key; its secret was shown when it was made.
#[derive(Debug, SimpleObject)]
pub struct ApiKey {
    /// Its id.
    pub id: String,
    /// For people.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<ApiScope>,
    /// Whether it runs registered documents only.
    pub persisted_only: bool,
    /// When it was made, milliseconds since the epoch.
    pub created_at: String,
    /// From when on it is refused.
    pub expires_at: Option<String>,
    /// When it was revoked.
    pub revoked_at: Option<String>,
    /// The newest request.
    pub last_used_at: Option<String>,
    /// Requests that it may make a minute.
    pub per_minute: u32,
    /// Requests that it may make a day (UTC).
    pub per_day: u32,
    /// Requests of this day.
    pub used_today: String,
    /// How its newest secret begins.
    pub prefix: String,
}

impl ApiKey {
    /// As of now.
    fn new(k: partners::ApiKey, now: Millis) -> Self {
        Self {
            id: k.id.to_string(),
            used_today: k.used_today(now).to_string(),
            name: k.name,
            scopes: k.scopes.into_iter().map(Into::into).collect(),
            persisted_only: k.persisted_only,
            created_at: k.created_at.to_string(),
            expires_at: k.expires_at.map(|t| t.to_string()),
            revoked_at: k.revoked_at.map(|t| t.to_string()),
            last_used_at: k.last_used_at.map(|t| t.to_string()),
            per_minute: k.per_minute,
            per_day: k.per_day,
            prefix: k.prefix,
        }
    }
}

/// An API key with its secret, shown this once.
#[derive(Debug, SimpleObject)]
pub struct NewApiKey {
    /// The key.
    pub key: ApiKey,
    /// For `Authorization: Bearer`.
    pub secret: String,
}

/// A webhook.
#[derive(Debug, SimpleObject)]
pub struct Webhook {
    /// Its id.
    pub id: String,
    /// Where to.
    pub url: String,
    /// What it is told.
    pub events: Vec<WebhookEvent>,
    /// Whether it is told anything now.
    pub enabled: bool,
    /// When it was made, milliseconds since the epoch.
    pub created_at: String,
    /// Since when every attempt failed.
    pub failing_since: Option<String>,
    /// When it was disabled because nobody took anything.
    pub disabled_at: Option<String>,
    /// The same in words.
    pub disabled_reason: Option<String>,
    /// Until when the secret before the newest signs, too.
    pub previous_secret_until: Option<String>,
}

impl From<webhooks::Webhook> for Webhook {
    fn from(w: webhooks::Webhook) -> Self {
        let (disabled_at, disabled_reason) = w.disabled.unzip();
        Self {
            id: w.id.to_string(),
            url: w.url,
            events: w.events.into_iter().map(Into::into).collect(),
            enabled: w.enabled,
            created_at: w.created_at.to_string(),
            failing_since: w.failing_since.map(|t| t.to_string()),
            disabled_at: disabled_at.map(|t| t.to_string()),
            disabled_reason,
            previous_secret_until: w.previous.map(|(_, until)| until.to_string()),
        }
    }
}

/// A webhook with its secret, shown this once.
#[derive(Debug, SimpleObject)]
pub struct NewWebhook {
    /// The webhook.
    pub webhook: Webhook,
    /// What `Veilbourse-Signature` is made with.
    pub secret: String,
}

impl From<WithSecret<webhooks::Webhook>> for NewWebhook {
    fn from(w: WithSecret<webhooks::Webhook>) -> Self {
        Self {
            webhook: w.made.into(),
            secret: w.secret,
        }
    }
}

/// An attempt to deliver.
#[derive(Debug, SimpleObject)]
pub struct DeliveryAttempt {
    /// When, milliseconds since the epoch.
    pub at: String,
    /// HTTP status of the answer, if there was one.
    pub status: Option<u32>,
    /// How long it took.
    pub milliseconds: String,
    /// The first 1,000 bytes of the answer's body.
    pub excerpt: String,
    /// Why there was no answer.
    pub error: Option<String>,
}

impl From<webhooks::Attempt> for DeliveryAttempt {
    fn from(a: webhooks::Attempt) -> Self {
        Self {
            at: a.at.to_string(),
            status: a.status.map(u32::from),
            milliseconds: a.millis.to_string(),
            excerpt: a.excerpt,
            error: a.error,
        }
    }
}

/// An event on its way to a webhook.
#[derive(Debug, SimpleObject)]
pub struct WebhookDelivery {
    /// The same in each attempt: header `Veilbourse-Delivery`.
    pub id: String,
    /// The webhook.
    pub webhook: String,
    /// Counts the webhook's deliveries: they are sent in this order.
    pub sequence: String,
    /// What it tells.
    pub event: WebhookEvent,
    /// What is sent, to the byte.
    pub body: String,
    /// When it happened, milliseconds since the epoch.
    pub created_at: String,
    /// waiting, delivered or failed.
    pub state: String,
    /// When the next attempt is due, while it waits.
    pub next_at: Option<String>,
    /// When it was taken.
    pub delivered_at: Option<String>,
    /// What was tried, in order.
    pub attempts: Vec<DeliveryAttempt>,
}

impl From<Delivered> for WebhookDelivery {
    fn from(d: Delivered) -> Self {
        let (d, attempts) = (d.delivery, d.attempts);
        let waits = d.state == webhooks::DeliveryState::Waiting;
        Self {
            id: d.id.to_string(),
            webhook: d.webhook.to_string(),
            sequence: d.sequence.to_string(),
            event: d.event.into(),
            body: d.body,
            created_at: d.created_at.to_string(),
            state: d.state.name().to_owned(),
            next_at: waits.then(|| d.next_at.to_string()),
            delivered_at: d.delivered_at.map(|t| t.to_string()),
            attempts: attempts.into_iter().map(Into::into).collect(),
        }
    }
}

/// A registered document.
#[derive(Debug, SimpleObject)]
pub struct PersistedQuery {
    /// SHA-256 of its text, hex: `extensions.persistedQuery.sha256Hash`.
    pub id: String,
    /// Its text.
    pub document: String,
    /// When it was registered, milliseconds since the epoch.
    pub created_at: String,
}

impl From<partners::PersistedQuery> for PersistedQuery {
    fn from(q: partners::PersistedQuery) -> Self {
        Self {
            id: q.id,
            document: q.document,
            created_at: q.created_at.to_string(),
        }
    }
}

/// Reading.
#[derive(Debug, Default)]
pub struct PartnersQuery;

#[Object]
impl PartnersQuery {
    /// One's API keys, newest first; those revoked, too.
    #[graphql(complexity = "20 + 10 * child_complexity")]
    async fn api_keys(&self, ctx: &Context<'_>) -> Result<Vec<ApiKey>> {
        let p = pass(ctx, Surface::Query, "apiKeys")?;
        let s = service(ctx)?;
        let account = p.viewer().account().map_err(refuse(ctx))?;
        let all = s.store().api_keys(account).await.map_err(refuse(ctx))?;
        let now = s.time();
        Ok(all.into_iter().map(|k| ApiKey::new(k, now)).collect())
    }

    /// One's webhooks, oldest first.
    #[graphql(complexity = "10 + 10 * child_complexity")]
    async fn webhooks(&self, ctx: &Context<'_>) -> Result<Vec<Webhook>> {
        let p = pass(ctx, Surface::Query, "webhooks")?;
        let account = p.viewer().account().map_err(refuse(ctx))?;
        let all = service(ctx)?.store().webhooks(account).await;
        let all = all.map_err(refuse(ctx))?;
        Ok(all.into_iter().map(Into::into).collect())
    }

    /// What a webhook was told in the last 30 days, newest first.
    #[graphql(complexity = "first.unwrap_or(20) as usize * child_complexity / 2 + 1")]
    async fn webhook_deliveries(
        &self,
        ctx: &Context<'_>,
        webhook: String,
        first: Option<u32>,
        after: Option<String>,
    ) -> Result<List<WebhookDelivery>> {
        let p = pass(ctx, Surface::Query, "webhookDeliveries")?;
        let page = page(ctx, first, after)?;
        let id: WebhookId = parsed(ctx, &webhook)?;
        let found = service(ctx)?.webhook_deliveries(&p, id, &page).await;
        let found = found.map_err(refuse(ctx))?;
        Ok(list(found, page.after.is_some(), Into::into))
    }

    /// One's registered documents.
    #[graphql(complexity = "first.unwrap_or(20) as usize * child_complexity / 2 + 1")]
    async fn persisted_queries(
        &self,
        ctx: &Context<'_>,
        first: Option<u32>,
        after: Option<String>,
    ) -> Result<List<PersistedQuery>> {
        let p = pass(ctx, Surface::Query, "persistedQueries")?;
        let account = p.viewer().account().map_err(refuse(ctx))?;
        let page = page(ctx, first, after)?;
        let found = service(ctx)?.store().persisted_queries(account, &page);
        let found = found.await.map_err(refuse(ctx))?;
        Ok(list(found, page.after.is_some(), Into::into))
    }
}

/// Acting.
#[derive(Debug, Default)]
pub struct PartnersMutation;

#[Object]
impl PartnersMutation {
    /// Makes an API key. `expiresAt` in milliseconds since the epoch; 120 requests
    /// a minute and 100,000 a day unless said otherwise.
    #[allow(clippy::too_many_arguments)] // the field's arguments
    async fn create_api_key(
        &self,
        ctx: &Context<'_>,
        name: String,
        scopes: Vec<ApiScope>,
        expires_at: Option<String>,
        per_minute: Option<u32>,
        per_day: Option<u32>,
        #[graphql(default)] persisted_only: bool,
    ) -> Result<NewApiKey> {
        let p = pass(ctx, Surface::Mutation, "createApiKey")?;
        let expires_at = expires_at
            .map(|t| t.parse::<Millis>())
            .transpose()
            .map_err(|e| refuse(ctx)(DomainError::invalid("expiresAt", e.to_string())))?;
        let wanted = KeyWanted {
            name,
            scopes: scopes.into_iter().map(Into::into).collect(),
            expires_at,
            per_minute,
            per_day,
            persisted_only,
        };
        let s = service(ctx)?;
        let made = s.create_api_key(&p, wanted).await.map_err(refuse(ctx))?;
        Ok(NewApiKey {
            key: ApiKey::new(made.made, s.time()),
            secret: made.secret,
        })
    }

    /// Another secret for the key; those before are refused after the overlap.
    async fn rotate_api_key(
        &self,
        ctx: &Context<'_>,
        id: String,
        #[graphql(default = 3600)] overlap_seconds: u32,
    ) -> Result<NewApiKey> {
        let p = pass(ctx, Surface::Mutation, "rotateApiKey")?;
        let id: ApiKeyId = parsed(ctx, &id)?;
        let s = service(ctx)?;
        let made = s.rotate_api_key(&p, id, overlap_seconds).await;
        let made = made.map_err(refuse(ctx))?;
        Ok(NewApiKey {
            key: ApiKey::new(made.made, s.time()),
            secret: made.secret,
        })
    }

    /// Ends the key at once, with what it has open.
    async fn revoke_api_key(&self, ctx: &Context<'_>, id: String) -> Result<bool> {
        let p = pass(ctx, Surface::Mutation, "revokeApiKey")?;
        let id: ApiKeyId = parsed(ctx, &id)?;
        let done = service(ctx)?.revoke_api_key(&p, id).await;
        done.map_err(refuse(ctx))?;
        Ok(true)
    }

    /// Makes a webhook: events are POSTed to the URL, signed with the secret.
    async fn create_webhook(
        &self,
        ctx: &Context<'_>,
        url: String,
        events: Vec<WebhookEvent>,
    ) -> Result<NewWebhook> {
        let p = pass(ctx, Surface::Mutation, "createWebhook")?;
        let events = events.into_iter().map(Into::into).collect();
        let made = service(ctx)?.create_webhook(&p, &url, events).await;
        Ok(made.map_err(refuse(ctx))?.into())
    }

    /// Changes a webhook; `enabled: true` takes back a disabled one.
    async fn update_webhook(
        &self,
        ctx: &Context<'_>,
        id: String,
        url: Option<String>,
        events: Option<Vec<WebhookEvent>>,
        enabled: Option<bool>,
    ) -> Result<Webhook> {
        let p = pass(ctx, Surface::Mutation, "updateWebhook")?;
        let id: WebhookId = parsed(ctx, &id)?;
        let change = WebhookChange {
            url,
            events: events.map(|all| all.into_iter().map(Into::into).collect()),
            enabled,
        };
        let made = service(ctx)?.update_webhook(&p, id, change).await;
        Ok(made.map_err(refuse(ctx))?.into())
    }

    /// Another secret; the one before signs beside it for a day.
    async fn rotate_webhook_secret(&self, ctx: &Context<'_>, id: String) -> Result<NewWebhook> {
        let p = pass(ctx, Surface::Mutation, "rotateWebhookSecret")?;
        let id: WebhookId = parsed(ctx, &id)?;
        let made = service(ctx)?.rotate_webhook_secret(&p, id).await;
        Ok(made.map_err(refuse(ctx))?.into())
    }

    /// Forgets a webhook and what it was told.
    async fn delete_webhook(&self, ctx: &Context<'_>, id: String) -> Result<bool> {
        let p = pass(ctx, Surface::Mutation, "deleteWebhook")?;
        let id: WebhookId = parsed(ctx, &id)?;
        let done = service(ctx)?.delete_webhook(&p, id).await;
        done.map_err(refuse(ctx))?;
        Ok(true)
    }

    /// Sends the event PING now, once, and says what came of it.
    #[graphql(complexity = "50 + child_complexity")]
    async fn test_webhook(&self, ctx: &Context<'_>, id: String) -> Result<WebhookDelivery> {
        let p = pass(ctx, Surface::Mutation, "testWebhook")?;
        let id: WebhookId = parsed(ctx, &id)?;
        let sent = service(ctx)?.test_webhook(&p, id).await;
        Ok(sent.map_err(refuse(ctx))?.into())
    }

    /// Sends a delivery again now, under the same id, and says what came of it.
    #[graphql(complexity = "50 + child_complexity")]
    async fn redeliver_webhook(&self, ctx: &Context<'_>, id: String) -> Result<WebhookDelivery> {
        let p = pass(ctx, Surface::Mutation, "redeliverWebhook")?;
        let id: DeliveryId = parsed(ctx, &id)?;
        let sent = service(ctx)?.redeliver_webhook(&p, id).await;
        Ok(sent.map_err(refuse(ctx))?.into())
    }

    /// Registers a document, to be run by its digest.
    async fn register_persisted_query(
        &self,
        ctx: &Context<'_>,
        document: String,
    ) -> Result<PersistedQuery> {
        let p = pass(ctx, Surface::Mutation, "registerPersistedQuery")?;
        let made = service(ctx)?.register_persisted_query(&p, &document).await;
        Ok(made.map_err(refuse(ctx))?.into())
    }

    /// Forgets a registered document.
    async fn remove_persisted_query(&self, ctx: &Context<'_>, id: String) -> Result<bool> {
        let p = pass(ctx, Surface::Mutation, "removePersistedQuery")?;
        let account = p.viewer().account().map_err(refuse(ctx))?;
        let done = service(ctx)?.store().remove_query(account, &id).await;
        done.map_err(refuse(ctx))?;
        Ok(true)
    }
}
