//! API keys (PAR-1..5): the digests of their secrets, and their quotas, counted
//! by one statement a request.

use crate::{
    audit,
    db::{SqlStore, Tx, refuse, transaction},
    rows::{get, maybe_number, number, parsed, t, text, vals},
};
use async_trait::async_trait;
use sea_orm::{ConnectionTrait, QueryResult, Statement};
use serde_json::json;
use veilbourse_domain::{
    Digest, DomainError, Millis, Result,
    access::Role,
    id::{AccountId, ApiKeyId},
    partners::{ApiKey, ApiKeys, MAX_KEYS, Used, day, minute, quota_refusal},
    scopes::ApiScope,
};

const MISSING: DomainError = DomainError::NotFound { what: "API key" };

fn key(r: &QueryResult) -> Result<ApiKey> {
    let small =
        |column| -> Result<u32> { u32::try_from(number(r, column)?).map_err(DomainError::storage) };
    let scopes = text(r, "scopes")?;
    Ok(ApiKey {
        id: parsed(r, "id")?,
        account: parsed(r, "account")?,
        name: text(r, "name")?,
        scopes: scopes
            .split(',')
            .map(ApiScope::parse)
            .collect::<Result<_>>()?,
        persisted_only: number(r, "persisted_only")? == 1,
        per_minute: small("per_minute")?,
        per_day: small("per_day")?,
        created_at: number(r, "created_at")?,
        expires_at: maybe_number(r, "expires_at")?,
        revoked_at: maybe_number(r, "revoked_at")?,
        last_used_at: maybe_number(r, "last_used_at")?,
        day_used: number(r, "day_used")?,
        day_at: number(r, "day_at")?,
        prefix: text(r, "prefix")?,
    })
}

/// The key with the beginning of its newest secret: the one without an end.
const KEY: &str = "SELECT k.*, s.prefix AS prefix FROM api_keys k
                   JOIN api_key_secrets s ON s.api_key = k.id AND s.ends_at IS NULL";

async fn load(tx: &Tx, account: AccountId, id: ApiKeyId) -> Result<ApiKey> {
    let sql = format!("{KEY} WHERE k.id = $1 AND k.account = $2");
    let row = tx.one(&sql, vals![t(id), t(account)]).await?;
    key(&row.ok_or(MISSING)?)
}

/// The refusal of a key that was revoked or has expired.
fn alive(k: &ApiKey, now: Millis) -> Result<()> {
    let refuse = |reason| Err(DomainError::TokenInvalid { reason });
    if k.revoked_at.is_some() {
        return refuse("the API key is revoked");
    }
    if k.expires_at.is_some_and(|at| now >= at) {
        return refuse("the API key has expired");
    }
    Ok(())
}

async fn add_secret(
    tx: &Tx,
    id: ApiKeyId,
    secret: Digest,
    prefix: &str,
    now: Millis,
) -> Result<()> {
    tx.exec_one(
        "API key",
        "INSERT INTO api_key_secrets (digest, api_key, prefix, created_at) VALUES ($1, $2, $3, $4)",
        vals![t(secret), t(id), prefix, now],
    )
    .await
}

async fn note(tx: &Tx, k: &ApiKey, action: &str, now: Millis) -> Result<()> {
    let scopes: Vec<&str> = k.scopes.iter().map(|s| s.name()).collect();
    audit::note(
        tx,
        format!("account:{}", k.account),
        action,
        format!("apikey:{}", k.id),
        json!({ "scopes": scopes, "persistedOnly": k.persisted_only }),
        now,
    )
    .await
}

#[async_trait]
impl ApiKeys for SqlStore {
    async fn create_api_key(&self, k: &ApiKey, secret: Digest, now: Millis) -> Result<()> {
        let scopes: Vec<&str> = k.scopes.iter().map(|s| s.name()).collect();
        transaction!(self, "apikey.create", |tx| {
            let row = tx
                .one(
                    "SELECT COUNT(*) AS n FROM api_keys
                     WHERE account = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)",
                    vals![t(k.account), now],
                )
                .await?;
            let held = row.map_or(Ok(0), |r| number(&r, "n"))?;
            if held >= MAX_KEYS {
                return Err(DomainError::TooLarge {
                    field: "API keys",
                    limit: MAX_KEYS,
                    value: held + 1,
                });
            }
            tx.exec_one(
                "API key",
                "INSERT INTO api_keys (id, account, name, scopes, persisted_only, per_minute, per_day,
                                       created_at, expires_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                vals![
                    t(k.id),
                    t(k.account),
                    &k.name,
                    scopes.join(","),
                    u64::from(k.persisted_only),
                    k.per_minute,
                    k.per_day,
                    k.created_at,
                    k.expires_at,
                ],
            )
            .await?;
            add_secret(tx, k.id, secret, &k.prefix, now).await?;
            note(tx, k, "apikey.create", now).await
        })
    }

    async fn rotate_api_key(
        &self,
        account: AccountId,
        id: ApiKeyId,
        secret: Digest,
        prefix: &str,
        until: Millis,
        now: Millis,
    ) -> Result<ApiKey> {
        transaction!(self, "apikey.rotate", |tx| {
            let k = load(tx, account, id).await?;
            alive(&k, now)?;
            // PAR-5: no secret's end is moved away from now.
            tx.exec(
                "UPDATE api_key_secrets SET ends_at = $2 WHERE api_key = $1 AND (ends_at IS NULL OR ends_at > $2)",
                vals![t(id), until],
            )
            .await?;
            add_secret(tx, id, secret, prefix, now).await?;
            note(tx, &k, "apikey.rotate", now).await?;
            Ok(ApiKey {
                prefix: prefix.to_owned(),
                ..k
            })
        })
    }

    async fn revoke_api_key(&self, account: AccountId, id: ApiKeyId, now: Millis) -> Result<()> {
        transaction!(self, "apikey.revoke", |tx| {
            let k = load(tx, account, id).await?;
            if k.revoked_at.is_some() {
                return Err(DomainError::AlreadyDecided { what: "API key" });
            }
            tx.exec_one(
                "API key",
                "UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL",
                vals![t(id), now],
            )
            .await?;
            note(tx, &k, "apikey.revoke", now).await
        })
    }

    async fn api_keys(&self, account: AccountId) -> Result<Vec<ApiKey>> {
        let sql = format!("{KEY} WHERE k.account = $1 ORDER BY k.id DESC");
        let rows = self.all(&sql, vals![t(account)]).await?;
        rows.iter().map(key).collect()
    }

    async fn live_api_key(&self, secret: Digest, now: Millis) -> Result<(ApiKey, Vec<Role>)> {
        let refuse = |reason| DomainError::TokenInvalid { reason };
        let row = self
            .one(
                "SELECT k.*, s.prefix AS prefix, s.ends_at AS ends_at, a.roles AS roles, a.state AS owner_state
                 FROM api_key_secrets s JOIN api_keys k ON k.id = s.api_key JOIN accounts a ON a.id = k.account
                 WHERE s.digest = $1",
                vals![t(secret)],
            )
            .await?
            .ok_or(refuse("unknown API key"))?;
        let k = key(&row)?;
        alive(&k, now)?;
        if maybe_number(&row, "ends_at")?.is_some_and(|at| now >= at) {
            return Err(refuse("the API key was rotated"));
        }
        // ACC-15: whoever is suspended or gone acts through no key either.
        let owner: String = get(&row, "owner_state")?;
        if owner != "active" || maybe_number(&row, "held_at")?.is_some() {
            return Err(refuse("the API key's account is suspended"));
        }
        let roles: String = get(&row, "roles")?;
        let roles = roles.split(',').map(Role::parse).collect::<Result<_>>()?;
        Ok((k, roles))
    }

    async fn use_api_key(&self, id: ApiKeyId, now: Millis) -> Result<()> {
        // One statement, by itself a transaction: it locks the key's row alone,
        // where a named transaction would queue behind every writer.
        let sql = "UPDATE api_keys SET
                       minute_used = CASE WHEN minute_at = $2 THEN minute_used + 1 ELSE 1 END, minute_at = $2,
                       day_used = CASE WHEN day_at = $3 THEN day_used + 1 ELSE 1 END, day_at = $3,
                       last_used_at = $4
                   WHERE id = $1 AND (minute_at <> $2 OR minute_used < per_minute)
                                 AND (day_at <> $3 OR day_used < per_day)";
        let values = vals![t(id), minute(now), day(now), now];
        let statement =
            Statement::from_sql_and_values(self.writer.get_database_backend(), sql, values);
        let done = self.writer.execute_raw(statement).await.map_err(refuse)?;
        if done.rows_affected() == 1 {
            return Ok(());
        }
        let row = self
            .one(
                "SELECT minute_at, minute_used, per_minute, day_at, day_used, per_day FROM api_keys WHERE id = $1",
                vals![t(id)],
            )
            .await?
            .ok_or(MISSING)?;
        let used = |at: &str, used: &str, present: u64| -> Result<u64> {
            let same = number(&row, at)? == present;
            Ok(if same { number(&row, used)? } else { 0 })
        };
        let used = Used {
            minute: (
                used("minute_at", "minute_used", minute(now))?,
                number(&row, "per_minute")?,
            ),
            day: (
                used("day_at", "day_used", day(now))?,
                number(&row, "per_day")?,
            ),
        };
        Err(quota_refusal(used, now))
    }

    async fn hold_api_keys(&self, account: AccountId, held: bool, now: Millis) -> Result<()> {
        transaction!(self, "apikey.hold", |tx| {
            let (sql, mut values) = if held {
                (
                    "UPDATE api_keys SET held_at = $2 WHERE account = $1 AND held_at IS NULL",
                    vals![t(account)],
                )
            } else {
                (
                    "UPDATE api_keys SET held_at = NULL WHERE account = $1",
                    vals![t(account)],
                )
            };
            if held {
                values.extend(vals![now]);
            }
            tx.exec(sql, values).await.map(drop)
        })
    }
}
