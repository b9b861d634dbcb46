//! Telling webhooks (PAR-9..13): a worker that sends what is due, of each webhook
//! one delivery after the other, and notes what came of it.

use crate::App;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::{Id as TaskId, JoinError, JoinSet};
use veilbourse_documents::sign_webhook;
use veilbourse_domain::{
    DomainError, Millis, Result,
    access::Pass,
    id::{AccountId, DeliveryId, WebhookId},
    records::{Page, PageRequest},
    webhooks::{Attempt, Delivery, OVERLAP_MILLIS, Webhook, WebhookChange, WebhookEvent},
};
use veilbourse_graphql::{Delivered, WithSecret};

/// How often what is due is looked for, besides when something was sent.
const ROUND: Duration = Duration::from_millis(500);
/// Deliveries under way at once, of as many webhooks.
const LANES: usize = 32;
/// Of one account: its slow receivers are in nobody else's way.
const LANES_OF_ACCOUNT: usize = 4;
/// Deliveries looked at to fill the lanes.
const LOOKED_AT: u32 = 256;
/// Between looks for what is to be forgotten.
const FORGET: Duration = Duration::from_secs(300);

/// At least one event, each once.
fn checked(mut events: Vec<WebhookEvent>) -> Result<Vec<WebhookEvent>> {
    events.sort_unstable();
    events.dedup();
    if events.is_empty() {
        return Err(DomainError::invalid("events", "at least one is needed"));
    }
    Ok(events)
}

/// What is being sent, and whose it is.
#[derive(Default)]
struct Lanes {
    tasks: JoinSet<()>,
    busy: HashMap<TaskId, AccountId>,
}

impl Lanes {
    /// Whether there is a lane for the account.
    fn room(&self, account: AccountId) -> bool {
        let own = self.busy.values().filter(|a| **a == account).count();
        self.tasks.len() < LANES && own < LANES_OF_ACCOUNT
    }

    /// Waits until one is free, or a round is over.
    async fn wait(&mut self) {
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            Some(done) = self.tasks.join_next_with_id() => self.ended(done),
        }
        while let Some(done) = self.tasks.try_join_next_with_id() {
            self.ended(done);
        }
    }

    fn ended(&mut self, done: std::result::Result<(TaskId, ()), JoinError>) {
        let task = match done {
            Ok((task, ())) => task,
            Err(e) => {
                tracing::error!(error = ?e, "webhook");
                e.id()
            }
        };
        self.busy.remove(&task);
    }

    /// Claims and starts what is due.
    async fn fill(&mut self, app: &Arc<App>) -> Result<()> {
        let now = app.now();
        if self.tasks.len() >= LANES {
            return Ok(());
        }
        for (hook, delivery) in app.store.due(now, LOOKED_AT).await? {
            if !self.room(hook.account)
                || !app.store.claim_delivery(delivery.id, false, now).await?
            {
                continue;
            }
            let (app, account) = (app.clone(), hook.account);
            let task = self.tasks.spawn(async move {
                if let Err(e) = app.attempt(&hook, &delivery).await {
                    tracing::error!(delivery = %delivery.id, error = ?e, "webhook");
                }
            });
            self.busy.insert(task.id(), account);
        }
        Ok(())
    }
}

impl App {
    /// Sends until the application is dropped.
    pub(crate) async fn webhooks_forever(self: Arc<Self>) {
        let mut lanes = Lanes::default();
        let mut forgotten = Instant::now();
        loop {
            lanes.wait().await;
            if let Err(e) = lanes.fill(&self).await {
                tracing::error!(error = ?e, "webhooks");
            }
            if forgotten.elapsed() >= FORGET {
                forgotten = Instant::now();
                if let Err(e) = self.store.forget_requests(self.now()).await {
                    tracing::error!(error = ?e, "forgetting answers and deliveries");
                }
            }
        }
    }

    /// The secrets that sign now: the newest first (PAR-13).
    fn hook_secrets(&self, hook: &Webhook, now: Millis) -> Vec<String> {
        let previous = hook.previous.iter().filter(|(_, until)| now < *until);
        std::iter::once(&hook.nonce)
            .chain(previous.map(|(nonce, _)| nonce))
            .map(|nonce| self.partners.webhook_secret(hook.id, nonce))
            .collect()
    }

    /// Sends a claimed delivery once, and notes what came of it.
    async fn attempt(&self, hook: &Webhook, delivery: &Delivery) -> Result<()> {
        let (at, started) = (self.now(), Instant::now());
        let signature = sign_webhook(
            &self.hook_secrets(hook, at),
            at / 1_000,
            delivery.body.as_bytes(),
        );
        let headers = [
            ("veilbourse-signature", signature),
            ("veilbourse-event", delivery.event.name().to_owned()),
            ("veilbourse-delivery", delivery.id.to_string()),
        ];
        let sent = self
            .partners
            .sender
            .post(&hook.url, &headers, &delivery.body);
        let answer = sent.await;
        let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let attempt = match answer {
            Ok(a) => Attempt {
                at,
                status: Some(a.status),
                millis,
                excerpt: a.excerpt,
                error: None,
            },
            Err(why) => Attempt {
                at,
                status: None,
                millis,
                excerpt: String::new(),
                error: Some(why),
            },
        };
        let outcome = if attempt.delivered() {
            "delivered"
        } else {
            "failed"
        };
        metrics::counter!("veilbourse_webhook_attempts_total", "outcome" => outcome).increment(1);
        let give_up = u64::from(self.config.webhook_disable_days).saturating_mul(86_400_000);
        let disabled = self
            .store
            .note_attempt(delivery.id, &attempt, give_up, self.now())
            .await?;
        if disabled {
            metrics::counter!("veilbourse_webhooks_disabled_total").increment(1);
            tracing::warn!(webhook = %hook.id, "disabled: it has taken nothing for too long");
        }
        Ok(())
    }

    pub(crate) async fn new_webhook(
        &self,
        pass: &Pass,
        url: &str,
        events: Vec<WebhookEvent>,
    ) -> Result<WithSecret<Webhook>> {
        let (account, now) = (pass.viewer().account()?, self.now());
        // ACC-9: else who registers another's address is told of its business.
        self.must_be_verified(account).await?;
        let hook = Webhook {
            id: WebhookId::new(now, self.random()),
            account,
            url: self.partners.sender.check(url)?.to_string(),
            events: checked(events)?,
            enabled: true,
            nonce: hex::encode(self.random::<16>()),
            previous: None,
            created_at: now,
            failing_since: None,
            disabled: None,
        };
        self.store.create_webhook(&hook, now).await?;
        let secret = self.partners.webhook_secret(hook.id, &hook.nonce);
        Ok(WithSecret { made: hook, secret })
    }

    pub(crate) async fn change_webhook(
        &self,
        pass: &Pass,
        id: WebhookId,
        mut change: WebhookChange,
    ) -> Result<Webhook> {
        if let Some(url) = &mut change.url {
            *url = self.partners.sender.check(url)?.to_string();
        }
        change.events = change.events.map(checked).transpose()?;
        let account = pass.viewer().account()?;
        let store = &self.store;
        store.update_webhook(account, id, change, self.now()).await
    }

    pub(crate) async fn rotate_hook(
        &self,
        pass: &Pass,
        id: WebhookId,
    ) -> Result<WithSecret<Webhook>> {
        let (account, now) = (pass.viewer().account()?, self.now());
        let nonce = hex::encode(self.random::<16>());
        let until = now.saturating_add(OVERLAP_MILLIS);
        let made = self
            .store
            .rotate_webhook(account, id, &nonce, until, now)
            .await?;
        let secret = self.partners.webhook_secret(id, &nonce);
        Ok(WithSecret { made, secret })
    }

    async fn delivered(&self, id: DeliveryId) -> Result<Delivered> {
        Ok(Delivered {
            delivery: self.store.delivery(id).await?.1,
            attempts: self.store.attempts(id).await?,
        })
    }

    pub(crate) async fn ping_webhook(&self, pass: &Pass, id: WebhookId) -> Result<Delivered> {
        let account = pass.viewer().account()?;
        let hook = self.store.webhook(account, id).await?;
        // One at a time: each is a request to somebody else.
        let _one = self.held.take(&format!("webhook:{account}"), 1)?;
        let delivery = self.store.ping(id, self.now()).await?;
        self.attempt(&hook, &delivery).await?;
        self.delivered(delivery.id).await
    }

    pub(crate) async fn deliver_again(&self, pass: &Pass, id: DeliveryId) -> Result<Delivered> {
        let account = pass.viewer().account()?;
        let (hook, delivery) = self.store.delivery(id).await?;
        if hook.account != account {
            return Err(DomainError::NotFound { what: "delivery" }); // ACC-6
        }
        let _one = self.held.take(&format!("webhook:{account}"), 1)?;
        if !self.store.claim_delivery(id, true, self.now()).await? {
            return Err(DomainError::Conflict { what: "delivery" });
        }
        self.attempt(&hook, &delivery).await?;
        self.delivered(id).await
    }

    pub(crate) async fn told(
        &self,
        pass: &Pass,
        id: WebhookId,
        page: &PageRequest,
    ) -> Result<Page<Delivered>> {
        self.store.webhook(pass.viewer().account()?, id).await?;
        let found = self.store.deliveries(id, page).await?;
        let mut items = Vec::new();
        for (cursor, delivery) in found.items {
            let attempts = self.store.attempts(delivery.id).await?;
            items.push((cursor, Delivered { delivery, attempts }));
        }
        Ok(Page {
            items,
            more: found.more,
        })
    }
}
