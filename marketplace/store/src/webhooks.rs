//! Webhooks and their deliveries (PAR-9..13). A delivery is claimed for an
//! attempt; what came of it is noted by another transaction: a crash between
//! them sends it again, under the same id.

use crate::{
    audit,
    db::{SqlStore, Tx, transaction},
    events, outbox,
    rows::{Where, get, maybe_number, number, parsed, t, text, vals},
};
use async_trait::async_trait;
use sea_orm::QueryResult;
use serde_json::json;
use veilbourse_domain::{
    DomainError, Millis, Result,
    id::{AccountId, DeliveryId, WebhookId},
    mail::MailKind,
    records::{Page, PageRequest},
    webhooks::{
        Attempt, CLAIM_MILLIS, Delivery, DeliveryState, MAX_WEBHOOKS, Webhook, WebhookChange,
        WebhookEvent, Webhooks, backoff,
    },
};

const MISSING: DomainError = DomainError::NotFound { what: "webhook" };
const NO_DELIVERY: DomainError = DomainError::NotFound { what: "delivery" };

fn events_of(text: &str) -> Result<Vec<WebhookEvent>> {
    text.split(',').map(WebhookEvent::parse).collect()
}

fn joined(events: &[WebhookEvent]) -> String {
    let names: Vec<&str> = events.iter().map(|e| e.name()).collect();
    names.join(",")
}

fn hook(r: &QueryResult, id: &str) -> Result<Webhook> {
    let previous: Option<String> = get(r, "previous_nonce")?;
    let previous = match (previous, maybe_number(r, "previous_until")?) {
        (Some(nonce), Some(until)) => Some((nonce, until)),
        (None, None) => None,
        _ => return Err(events::damaged("half of a previous secret")),
    };
    let reason: Option<String> = get(r, "disabled_reason")?;
    let disabled = match (maybe_number(r, "disabled_at")?, reason) {
        (Some(at), Some(why)) => Some((at, why)),
        (None, None) => None,
        _ => return Err(events::damaged("disabled without time or reason")),
    };
    Ok(Webhook {
        id: parsed(r, id)?,
        account: parsed(r, "account")?,
        url: text(r, "url")?,
        events: events_of(&text(r, "events")?)?,
        enabled: number(r, "enabled")? == 1,
        nonce: text(r, "nonce")?,
        previous,
        created_at: number(r, "hook_created_at")?,
        failing_since: maybe_number(r, "failing_since")?,
        disabled,
    })
}

fn delivery(r: &QueryResult) -> Result<Delivery> {
    Ok(Delivery {
        id: parsed(r, "id")?,
        webhook: parsed(r, "webhook")?,
        sequence: number(r, "sequence")?,
        event: WebhookEvent::parse(&text(r, "event")?)?,
        body: text(r, "body")?,
        created_at: number(r, "created_at")?,
        state: DeliveryState::parse(&text(r, "state")?)?,
        attempts: u32::try_from(number(r, "attempts")?).map_err(DomainError::storage)?,
        next_at: number(r, "next_at")?,
        delivered_at: maybe_number(r, "delivered_at")?,
    })
}

/// Columns of a webhook beside those of a delivery.
const HOOK: &str = "w.account, w.url, w.events, w.enabled, w.nonce, w.previous_nonce, w.previous_until,
                    w.created_at AS hook_created_at, w.failing_since, w.disabled_at, w.disabled_reason";

async fn load(tx: &Tx, account: AccountId, id: WebhookId) -> Result<Webhook> {
    let sql = format!("SELECT w.id, {HOOK} FROM webhooks w WHERE w.id = $1 AND w.account = $2");
    let row = tx.one(&sql, vals![t(id), t(account)]).await?;
    hook(&row.ok_or(MISSING)?, "id")
}

/// Scheme, host and port of a URL that was checked.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(host..).and_then(|r| r.find(['/', '?', '#']));
    end.and_then(|at| url.get(..host + at)).unwrap_or(url)
}

async fn note(tx: &Tx, actor: String, w: &Webhook, action: &str, now: Millis) -> Result<()> {
    // Paths and queries of webhooks are secrets, and this is kept for good.
    let details = json!({ "origin": origin(&w.url), "enabled": w.enabled });
    audit::note(tx, actor, action, format!("webhook:{}", w.id), details, now).await
}

fn owner(w: &Webhook) -> String {
    format!("account:{}", w.account)
}

#[async_trait]
impl Webhooks for SqlStore {
    async fn create_webhook(&self, w: &Webhook, now: Millis) -> Result<()> {
        transaction!(self, "webhook.create", |tx| {
            let row = tx
                .one(
                    "SELECT COUNT(*) AS n FROM webhooks WHERE account = $1",
                    vals![t(w.account)],
                )
                .await?;
            let held = row.map_or(Ok(0), |r| number(&r, "n"))?;
            if held >= MAX_WEBHOOKS {
                return Err(DomainError::TooLarge {
                    field: "webhooks",
                    limit: MAX_WEBHOOKS,
                    value: held + 1,
                });
            }
            tx.exec_one(
                "webhook",
                "INSERT INTO webhooks (id, account, url, events, enabled, nonce, created_at, sequence)
                 VALUES ($1, $2, $3, $4, 1, $5, $6, 0)",
                vals![
                    t(w.id),
                    t(w.account),
                    &w.url,
                    joined(&w.events),
                    &w.nonce,
                    w.created_at,
                ],
            )
            .await?;
            note(tx, owner(w), w, "webhook.create", now).await
        })
    }

    async fn update_webhook(
        &self,
        account: AccountId,
        id: WebhookId,
        change: WebhookChange,
        now: Millis,
    ) -> Result<Webhook> {
        transaction!(self, "webhook.update", |tx| {
            let mut w = load(tx, account, id).await?;
            if let Some(url) = &change.url {
                w.url.clone_from(url);
            }
            if let Some(events) = &change.events {
                w.events.clone_from(events);
            }
            match change.enabled {
                Some(true) => {
                    w.enabled = true;
                    w.failing_since = None;
                    w.disabled = None;
                }
                Some(false) => w.enabled = false,
                None => {}
            }
            let (at, why) = w.disabled.clone().unzip();
            tx.exec_one(
                "webhook",
                "UPDATE webhooks SET url = $2, events = $3, enabled = $4, failing_since = $5,
                                     disabled_at = $6, disabled_reason = $7 WHERE id = $1",
                vals![
                    t(id),
                    &w.url,
                    joined(&w.events),
                    u64::from(w.enabled),
                    w.failing_since,
                    at,
                    why,
                ],
            )
            .await?;
            note(tx, owner(&w), &w, "webhook.update", now).await?;
            Ok(w)
        })
    }

    async fn rotate_webhook(
        &self,
        account: AccountId,
        id: WebhookId,
        nonce: &str,
        until: Millis,
        now: Millis,
    ) -> Result<Webhook> {
        transaction!(self, "webhook.rotate", |tx| {
            let w = load(tx, account, id).await?;
            tx.exec_one(
                "webhook",
                "UPDATE webhooks SET nonce = $2, previous_nonce = $3, previous_until = $4
                 WHERE id = $1 AND nonce = $3",
                vals![t(id), nonce, &w.nonce, until],
            )
            .await?;
            note(tx, owner(&w), &w, "webhook.rotate", now).await?;
            Ok(Webhook {
                nonce: nonce.to_owned(),
                previous: Some((w.nonce.clone(), until)),
                ..w
            })
        })
    }

    async fn delete_webhook(&self, account: AccountId, id: WebhookId, now: Millis) -> Result<()> {
        transaction!(self, "webhook.delete", |tx| {
            let w = load(tx, account, id).await?;
            tx.exec(
                "DELETE FROM webhook_attempts WHERE delivery IN (SELECT id FROM webhook_deliveries WHERE webhook = $1)",
                vals![t(id)],
            )
            .await?;
            tx.exec(
                "DELETE FROM webhook_deliveries WHERE webhook = $1",
                vals![t(id)],
            )
            .await?;
            tx.exec_one(
                "webhook",
                "DELETE FROM webhooks WHERE id = $1",
                vals![t(id)],
            )
            .await?;
            note(tx, owner(&w), &w, "webhook.delete", now).await
        })
    }

    async fn webhooks(&self, account: AccountId) -> Result<Vec<Webhook>> {
        let sql = format!("SELECT w.id, {HOOK} FROM webhooks w WHERE w.account = $1 ORDER BY w.id");
        let rows = self.all(&sql, vals![t(account)]).await?;
        rows.iter().map(|r| hook(r, "id")).collect()
    }

    async fn webhook(&self, account: AccountId, id: WebhookId) -> Result<Webhook> {
        let sql = format!("SELECT w.id, {HOOK} FROM webhooks w WHERE w.id = $1 AND w.account = $2");
        let row = self.one(&sql, vals![t(id), t(account)]).await?;
        hook(&row.ok_or(MISSING)?, "id")
    }

    async fn deliveries(&self, id: WebhookId, page: &PageRequest) -> Result<Page<Delivery>> {
        // Several may be of one millisecond: their sequence is the order.
        let mut w = Where::default();
        w.and("webhook = ?", vals![t(id)]);
        if let Some(after) = &page.after {
            let after: u64 = after
                .parse()
                .map_err(|_| DomainError::invalid("after", "not a cursor"))?;
            w.and("sequence < ?", vals![after]);
        }
        let sql = format!(
            "SELECT * FROM webhook_deliveries {} ORDER BY sequence DESC LIMIT {}",
            w.sql(),
            page.first + 1
        );
        let rows = self.all(&sql, w.values).await?;
        let items = rows.iter().take(page.first as usize).map(|r| {
            let d = delivery(r)?;
            Ok((d.sequence.to_string(), d))
        });
        Ok(Page {
            items: items.collect::<Result<_>>()?,
            more: rows.len() > page.first as usize,
        })
    }

    async fn delivery(&self, id: DeliveryId) -> Result<(Webhook, Delivery)> {
        let sql = format!(
            "SELECT d.*, {HOOK} FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook WHERE d.id = $1"
        );
        let row = self.one(&sql, vals![t(id)]).await?.ok_or(NO_DELIVERY)?;
        Ok((hook(&row, "webhook")?, delivery(&row)?))
    }

    async fn attempts(&self, id: DeliveryId) -> Result<Vec<Attempt>> {
        let sql = "SELECT * FROM webhook_attempts WHERE delivery = $1 ORDER BY number";
        let rows = self.all(sql, vals![t(id)]).await?;
        rows.iter()
            .map(|r| {
                Ok(Attempt {
                    at: number(r, "at")?,
                    status: maybe_number(r, "status")?
                        .map(u16::try_from)
                        .transpose()
                        .map_err(DomainError::storage)?,
                    millis: number(r, "millis")?,
                    excerpt: text(r, "excerpt")?,
                    error: get(r, "error")?,
                })
            })
            .collect()
    }

    async fn ping(&self, id: WebhookId, now: Millis) -> Result<Delivery> {
        transaction!(self, "webhook.ping", |tx| {
            let row = tx
                .one("SELECT sequence FROM webhooks WHERE id = $1", vals![t(id)])
                .await?;
            let last = number(&row.ok_or(MISSING)?, "sequence")?;
            let until = Some(now.saturating_add(CLAIM_MILLIS));
            events::queue(tx, id, last, WebhookEvent::Ping, &json!({}), until, now).await
        })
    }

    async fn due(&self, now: Millis, limit: u32) -> Result<Vec<(Webhook, Delivery)>> {
        // PAR-11: of each webhook the first that waits, nothing beside it.
        let sql = format!(
            "SELECT d.*, {HOOK} FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook
             WHERE d.state = 'waiting' AND w.enabled = 1 AND d.next_at <= $1
               AND (d.claimed_until IS NULL OR d.claimed_until <= $1)
               AND NOT EXISTS (SELECT 1 FROM webhook_deliveries e
                               WHERE e.webhook = d.webhook AND e.state = 'waiting' AND e.sequence < d.sequence)
             ORDER BY d.next_at, d.id LIMIT {limit}"
        );
        let rows = self.all(&sql, vals![now]).await?;
        rows.iter()
            .map(|r| Ok((hook(r, "webhook")?, delivery(r)?)))
            .collect()
    }

    async fn claim_delivery(&self, id: DeliveryId, again: bool, now: Millis) -> Result<bool> {
        transaction!(self, "webhook.claim", |tx| {
            let mut w = Where::default();
            w.and("id = ?", vals![t(id)])
                .and("(claimed_until IS NULL OR claimed_until <= ?)", vals![now]);
            if !again {
                w.and("state = 'waiting'", vec![]);
            }
            let until = now.saturating_add(CLAIM_MILLIS);
            let sql = format!(
                "UPDATE webhook_deliveries SET claimed_until = {until} {}",
                w.sql()
            );
            Ok(tx.exec(&sql, w.values).await? == 1)
        })
    }

    async fn note_attempt(
        &self,
        id: DeliveryId,
        a: &Attempt,
        give_up: Millis,
        now: Millis,
    ) -> Result<bool> {
        transaction!(self, "webhook.attempt", |tx| {
            let sql = format!(
                "SELECT d.*, {HOOK} FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook WHERE d.id = $1"
            );
            // Deleted meanwhile: nothing to note.
            let Some(row) = tx.one(&sql, vals![t(id)]).await? else {
                return Ok(false);
            };
            let (w, d) = (hook(&row, "webhook")?, delivery(&row)?);
            let number = d.attempts.saturating_add(1);
            tx.exec_one(
                "attempt",
                "INSERT INTO webhook_attempts (delivery, number, at, status, millis, excerpt, error)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
                vals![
                    t(id),
                    number,
                    a.at,
                    a.status.map(u64::from),
                    a.millis,
                    &a.excerpt,
                    a.error.clone(),
                ],
            )
            .await?;
            // One that was given up or taken stays so if a re-delivery fails; a
            // test is tried once.
            let over = d.state != DeliveryState::Waiting || d.event == WebhookEvent::Ping;
            let next = backoff(number).filter(|_| !over);
            let (state, next_at, at) = match (a.delivered(), next) {
                (true, _) => (DeliveryState::Delivered, d.next_at, Some(now)),
                (false, Some(wait)) => (
                    DeliveryState::Waiting,
                    now.saturating_add(wait),
                    d.delivered_at,
                ),
                (false, None) if d.state == DeliveryState::Delivered => {
                    (DeliveryState::Delivered, d.next_at, d.delivered_at)
                }
                (false, None) => (DeliveryState::Failed, d.next_at, None),
            };
            tx.exec_one(
                "delivery",
                "UPDATE webhook_deliveries SET attempts = $2, state = $3, next_at = $4, delivered_at = $5,
                                               claimed_until = NULL WHERE id = $1",
                vals![t(id), number, state.name(), next_at, at],
            )
            .await?;
            if a.delivered() {
                tx.exec(
                    "UPDATE webhooks SET failing_since = NULL WHERE id = $1 AND failing_since IS NOT NULL",
                    vals![t(w.id)],
                )
                .await?;
                return Ok(false);
            }
            let since = w.failing_since.unwrap_or(now);
            let disable = w.enabled && now.saturating_sub(since) >= give_up;
            tx.exec_one(
                "webhook",
                "UPDATE webhooks SET failing_since = $2 WHERE id = $1",
                vals![t(w.id), since],
            )
            .await?;
            if disable {
                // PAR-12
                tx.exec_one(
                    "webhook",
                    "UPDATE webhooks SET enabled = 0, disabled_at = $2, disabled_reason = $3 WHERE id = $1",
                    vals![
                        t(w.id),
                        now,
                        format!("every attempt failed since {since}"),
                    ],
                )
                .await?;
                let disabled = Webhook {
                    enabled: false,
                    ..w
                };
                note(tx, "system".into(), &disabled, "webhook.disabled", now).await?;
                let sql = "SELECT COUNT(*) AS n FROM webhook_attempts a
                           JOIN webhook_deliveries d ON d.id = a.delivery
                           WHERE d.webhook = $1 AND a.at >= $2";
                let failures = tx.one(sql, vals![t(disabled.id), since]).await?;
                let failures = failures.map_or(Ok(0), |r| crate::rows::number(&r, "n"))?;
                let facts = json!({ "url": disabled.url, "failures": failures });
                let about = format!("webhook:{}:{now}", disabled.id);
                let kind = MailKind::WebhookDisabled;
                outbox::tell(tx, disabled.account, kind, &about, facts, now).await?;
            }
            Ok(disable)
        })
    }
}
