//! Accounts, sessions, signing keys, machines (ACC, POD, KEY).
//!
//! Over 500 lines: the port is one `impl`.

use crate::{
    audit,
    db::{SqlStore, Tx, transaction},
    listings::pattern,
    notices,
    rows::{self, Where, maybe_number, number, parsed, t, text, vals},
};
use async_trait::async_trait;
use sea_orm::QueryResult;
use serde_json::json;
use veilbourse_domain::{
    Digest, DomainError, Millis, Result,
    access::{MachineKind, Role},
    id::{AccountId, MachineId, Nonce, PublicKey, SessionId},
    people::AccountState,
    ports::Identities,
    records::{
        Account, Decision, MAX_SIGNING_KEYS, MAX_WAITING_MACHINES, Machine, Page, PageRequest,
        Session, SigningKey,
    },
};

pub(crate) fn account(r: &QueryResult) -> Result<Account> {
    let roles = text(r, "roles")?;
    Ok(Account {
        id: parsed(r, "id")?,
        mail: text(r, "mail")?,
        name: text(r, "name")?,
        password_hash: text(r, "password_hash")?,
        roles: roles.split(',').map(Role::parse).collect::<Result<_>>()?,
        created_at: number(r, "created_at")?,
        verified_at: maybe_number(r, "verified_at")?,
        state: AccountState::parse(&text(r, "state")?)?,
        second_factor: maybe_number(r, "factor_since")?.is_some(),
    })
}

/// Stores an account whose mail is free, with its record.
pub(crate) async fn insert_account(tx: &Tx, a: &Account, now: Millis) -> Result<()> {
    if a.roles.is_empty() {
        return Err(DomainError::invalid("roles", "an account has at least one"));
    }
    let roles: Vec<&str> = a.roles.iter().map(|r| r.name()).collect();
    tx.exec_one(
        "account",
        "INSERT INTO accounts (id, mail, name, password_hash, roles, created_at, verified_at, state)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        vals![
            t(a.id),
            &a.mail,
            &a.name,
            &a.password_hash,
            roles.join(","),
            a.created_at,
            a.verified_at,
            a.state.name(),
        ],
    )
    .await?;
    let who = format!("account:{}", a.id);
    audit::note(
        tx,
        &who,
        "account.create",
        &who,
        json!({ "roles": roles }),
        now,
    )
    .await
}

/// Refuses what would begin something for an account that is suspended or gone.
pub(crate) async fn must_be_active(tx: &Tx, id: AccountId) -> Result<()> {
    let sql = "SELECT state FROM accounts WHERE id = $1";
    let row = tx.one(sql, vals![t(id)]).await?;
    let state = row.map(|r| text(&r, "state")).transpose()?;
    match state.as_deref().map(AccountState::parse).transpose()? {
        Some(AccountState::Active) => Ok(()),
        Some(AccountState::Suspended) => Err(DomainError::AccountSuspended),
        Some(AccountState::Deleted) | None => Err(DomainError::NotFound { what: "account" }),
    }
}

/// Refuses one more than an account may have.
async fn at_most(tx: &Tx, field: &'static str, limit: u64, sql: &str, id: AccountId) -> Result<()> {
    let row = tx.one(sql, vals![t(id)]).await?;
    let held = row.map_or(Ok(0), |r| number(&r, "n"))?;
    if held >= limit {
        let value = held + 1;
        return Err(DomainError::TooLarge {
            field,
            limit,
            value,
        });
    }
    Ok(())
}

/// Whether a mail has an account.
pub(crate) async fn by_mail(tx: &Tx, mail: &str) -> Result<Option<Account>> {
    let row = tx
        .one("SELECT * FROM accounts WHERE mail = $1", vals![mail])
        .await?;
    row.map(|r| account(&r)).transpose()
}

pub(crate) fn session(r: &QueryResult) -> Result<Session> {
    Ok(Session {
        id: parsed(r, "id")?,
        account: parsed(r, "account")?,
        created_at: number(r, "created_at")?,
        expires_at: number(r, "expires_at")?,
        revoked_at: maybe_number(r, "revoked_at")?,
        last_seen_at: number(r, "last_seen_at")?,
        agent: text(r, "agent")?,
        address: text(r, "address")?,
    })
}

/// Stores a session; `cookie` is the hash of a page's.
pub(crate) async fn insert_session(tx: &Tx, s: &Session, cookie: Option<Digest>) -> Result<()> {
    tx.exec_one(
        "session",
        "INSERT INTO sessions (id, account, created_at, expires_at, last_seen_at, agent, address, cookie)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        vals![
            t(s.id),
            t(s.account),
            s.created_at,
            s.expires_at,
            s.last_seen_at,
            &s.agent,
            &s.address,
            cookie.map(|c| c.to_string()),
        ],
    )
    .await
}

fn machine(r: &QueryResult) -> Result<Machine> {
    Ok(Machine {
        id: parsed(r, "id")?,
        kind: MachineKind::parse(&text(r, "kind")?)?,
        operator: parsed(r, "operator")?,
        name: text(r, "name")?,
        signing_key: parsed(r, "signing_key")?,
        registration: text(r, "registration")?,
        decision: Decision::parse(&text(r, "decision")?)?,
        reason: text(r, "reason")?,
        created_at: number(r, "created_at")?,
    })
}

async fn add_refresh(tx: &Tx, session: SessionId, hash: Digest, now: Millis) -> Result<()> {
    tx.exec_one(
        "refresh token",
        "INSERT INTO refresh_tokens (hash, session, created_at) VALUES ($1, $2, $3)",
        vals![t(hash), t(session), now],
    )
    .await
}

#[async_trait]
impl Identities for SqlStore {
    async fn create_account(&self, a: &Account, now: Millis) -> Result<()> {
        transaction!(self, "account.create", |tx| {
            if by_mail(tx, &a.mail).await?.is_some() {
                return Err(DomainError::MailTaken);
            }
            insert_account(tx, a, now).await
        })
    }

    async fn account(&self, id: AccountId) -> Result<Account> {
        let row = self
            .one("SELECT * FROM accounts WHERE id = $1", vals![t(id)])
            .await?;
        account(&row.ok_or(DomainError::NotFound { what: "account" })?)
    }

    async fn account_by_mail(&self, mail: &str) -> Result<Option<Account>> {
        let row = self
            .one("SELECT * FROM accounts WHERE mail = $1", vals![mail])
            .await?;
        row.map(|r| account(&r)).transpose()
    }

    async fn accounts(&self, search: Option<&str>, page: &PageRequest) -> Result<Page<Account>> {
        let mut w = Where::default();
        if let Some(text) = search {
            let like = pattern(text);
            w.and(
                "(mail LIKE ? ESCAPE '\\' OR LOWER(name) LIKE ? ESCAPE '\\')",
                vals![&like, &like],
            );
        }
        w.after("id > ?", page);
        let sql = format!(
            "SELECT * FROM accounts {} ORDER BY id LIMIT {}",
            w.sql(),
            page.first + 1
        );
        rows::page(page, &self.all(&sql, w.values).await?, "id", account)
    }

    async fn open_session(&self, s: &Session, refresh: Digest) -> Result<()> {
        transaction!(self, "session.open", |tx| {
            insert_session(tx, s, None).await?;
            add_refresh(tx, s.id, refresh, s.created_at).await
        })
    }

    async fn rotate_refresh(&self, old: Digest, new: Digest, now: Millis) -> Result<Session> {
        // The revocation of a reused family must be committed, so the refusal
        // is decided inside and raised outside.
        let decided: Result<Result<Session>> = transaction!(self, "session.rotate", |tx| {
            let row = tx
                .one(
                    "SELECT s.*, r.used_at AS used_at FROM refresh_tokens r
                     JOIN sessions s ON s.id = r.session WHERE r.hash = $1",
                    vals![t(old)],
                )
                .await?;
            let Some(row) = row else {
                return Ok(Err(DomainError::TokenInvalid { reason: "unknown" }));
            };
            let s = session(&row)?;
            if maybe_number(&row, "used_at")?.is_some() {
                tx.exec(
                    "UPDATE sessions SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL",
                    vals![t(s.id), now],
                )
                .await?;
                let who = format!("account:{}", s.account);
                audit::note(
                    tx,
                    &who,
                    "session.reuse",
                    format!("session:{}", s.id),
                    json!({}),
                    now,
                )
                .await?;
                return Ok(Err(DomainError::TokenReused));
            }
            if s.revoked_at.is_some() {
                return Ok(Err(DomainError::TokenInvalid { reason: "revoked" }));
            }
            if now >= s.expires_at {
                return Ok(Err(DomainError::TokenInvalid { reason: "expired" }));
            }
            tx.exec_one(
                "refresh token",
                "UPDATE refresh_tokens SET used_at = $2 WHERE hash = $1 AND used_at IS NULL",
                vals![t(old), now],
            )
            .await?;
            add_refresh(tx, s.id, new, now).await?;
            Ok(Ok(s))
        });
        decided?
    }

    async fn revoke_sessions(
        &self,
        account: AccountId,
        session: Option<SessionId>,
        now: Millis,
    ) -> Result<u64> {
        transaction!(self, "session.revoke", |tx| {
            let mut w = Where::default();
            w.and("account = ?", vals![t(account)])
                .and("revoked_at IS NULL", vec![]);
            if let Some(s) = session {
                w.and("id = ?", vals![t(s)]);
            }
            let sql = format!("UPDATE sessions SET revoked_at = {now} {}", w.sql());
            tx.exec(&sql, w.values).await
        })
    }

    async fn session_live(&self, id: SessionId, now: Millis) -> Result<bool> {
        let sql = "SELECT s.id FROM sessions s JOIN accounts a ON a.id = s.account
             WHERE s.id = $1 AND s.revoked_at IS NULL AND s.expires_at > $2 AND a.state = 'active'";
        Ok(self.one(sql, vals![t(id), now]).await?.is_some())
    }

    async fn register_key(&self, account: AccountId, key: PublicKey, now: Millis) -> Result<()> {
        transaction!(self, "key.register", |tx| {
            let before = tx
                .one(
                    "SELECT account FROM signing_keys WHERE public_key = $1",
                    vals![t(key)],
                )
                .await?;
            if before.is_some() {
                return Err(DomainError::invalid("key", "was registered before"));
            }
            let sql =
                "SELECT COUNT(*) AS n FROM signing_keys WHERE account = $1 AND revoked_at IS NULL";
            at_most(tx, "signing keys", MAX_SIGNING_KEYS, sql, account).await?;
            tx.exec_one(
                "signing key",
                "INSERT INTO signing_keys (public_key, account, created_at) VALUES ($1, $2, $3)",
                vals![t(key), t(account), now],
            )
            .await?;
            let who = format!("account:{account}");
            audit::note(
                tx,
                who,
                "key.register",
                format!("key:{key}"),
                json!({}),
                now,
            )
            .await
        })
    }

    async fn revoke_key(&self, account: AccountId, key: PublicKey, now: Millis) -> Result<()> {
        transaction!(self, "key.revoke", |tx| {
            let n = tx
                .exec(
                    "UPDATE signing_keys SET revoked_at = $3
                     WHERE public_key = $1 AND account = $2 AND revoked_at IS NULL",
                    vals![t(key), t(account), now],
                )
                .await?;
            if n != 1 {
                return Err(DomainError::NotFound { what: "key" });
            }
            let who = format!("account:{account}");
            audit::note(tx, who, "key.revoke", format!("key:{key}"), json!({}), now).await
        })
    }

    async fn signing_keys(&self, account: AccountId) -> Result<Vec<SigningKey>> {
        let sql = "SELECT * FROM signing_keys WHERE account = $1 ORDER BY created_at, public_key";
        self.all(sql, vals![t(account)])
            .await?
            .iter()
            .map(|r| {
                Ok(SigningKey {
                    key: parsed(r, "public_key")?,
                    account,
                    created_at: number(r, "created_at")?,
                    revoked_at: maybe_number(r, "revoked_at")?,
                })
            })
            .collect()
    }

    async fn key_registered(&self, account: AccountId, key: PublicKey) -> Result<bool> {
        let sql = "SELECT account FROM signing_keys WHERE public_key = $1 AND account = $2 AND revoked_at IS NULL";
        Ok(self.one(sql, vals![t(key), t(account)]).await?.is_some())
    }

    async fn register_machine(&self, m: &Machine, now: Millis) -> Result<()> {
        transaction!(self, "machine.register", |tx| {
            let before = tx
                .one(
                    "SELECT id FROM machines WHERE signing_key = $1",
                    vals![t(m.signing_key)],
                )
                .await?;
            if before.is_some() {
                return Err(DomainError::invalid("signing key", "was registered before"));
            }
            let sql =
                "SELECT COUNT(*) AS n FROM machines WHERE operator = $1 AND decision = 'pending'";
            at_most(
                tx,
                "machines that wait",
                MAX_WAITING_MACHINES,
                sql,
                m.operator,
            )
            .await?;
            tx.exec_one(
                "machine",
                "INSERT INTO machines (id, kind, operator, name, signing_key, registration, decision, reason, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6, 'pending', '', $7)",
                vals![
                    t(m.id),
                    m.kind.name(),
                    t(m.operator),
                    &m.name,
                    t(m.signing_key),
                    &m.registration,
                    m.created_at,
                ],
            )
            .await?;
            audit::note(
                tx,
                format!("account:{}", m.operator),
                "machine.register",
                format!("machine:{}", m.id),
                json!({ "kind": m.kind, "key": m.signing_key }),
                now,
            )
            .await
        })
    }

    async fn decide_machine(
        &self,
        id: MachineId,
        by: AccountId,
        approve: bool,
        reason: &str,
        now: Millis,
    ) -> Result<Machine> {
        transaction!(self, "machine.decide", |tx| {
            let row = tx
                .one("SELECT * FROM machines WHERE id = $1", vals![t(id)])
                .await?
                .ok_or(DomainError::NotFound { what: "machine" })?;
            let m = machine(&row)?;
            if m.operator == by {
                return Err(DomainError::OwnRequest);
            }
            // An approved machine may be refused later; nothing else repeats.
            let decision = if approve {
                Decision::Approved
            } else {
                Decision::Refused
            };
            if m.decision == decision {
                return Err(DomainError::AlreadyDecided { what: "machine" });
            }
            if approve {
                must_be_active(tx, m.operator).await?;
            }
            tx.exec_one(
                "machine",
                "UPDATE machines SET decision = $2, reason = $3 WHERE id = $1 AND decision = $4",
                vals![t(id), decision.name(), reason, m.decision.name()],
            )
            .await?;
            audit::note(
                tx,
                format!("account:{by}"),
                &format!("machine.{}", decision.name()),
                format!("machine:{id}"),
                json!({ "reason": reason }),
                now,
            )
            .await?;
            let decided = Machine {
                decision,
                reason: reason.into(),
                ..m
            };
            notices::machine_decided(tx, &decided, now).await?;
            Ok(decided)
        })
    }

    async fn machine(&self, id: MachineId) -> Result<Machine> {
        let row = self
            .one("SELECT * FROM machines WHERE id = $1", vals![t(id)])
            .await?;
        machine(&row.ok_or(DomainError::NotFound { what: "machine" })?)
    }

    async fn machines(
        &self,
        kind: Option<MachineKind>,
        seen_by: Option<AccountId>,
        page: &PageRequest,
    ) -> Result<Page<Machine>> {
        let mut w = Where::default();
        if let Some(a) = seen_by {
            w.and("(decision = 'approved' OR operator = ?)", vals![t(a)]);
        }
        if let Some(k) = kind {
            w.and("kind = ?", vals![k.name()]);
        }
        w.after("id > ?", page);
        let sql = format!(
            "SELECT * FROM machines {} ORDER BY id LIMIT {}",
            w.sql(),
            page.first + 1
        );
        rows::page(page, &self.all(&sql, w.values).await?, "id", machine)
    }

    async fn use_nonce(
        &self,
        id: MachineId,
        nonce: Nonce,
        expires: Millis,
        now: Millis,
    ) -> Result<()> {
        transaction!(self, "machine.nonce", |tx| {
            tx.exec(
                // At `expires_at` itself the statement is still accepted.
                "DELETE FROM machine_nonces WHERE expires_at < $1",
                vals![now],
            )
            .await?;
            let sql = "SELECT nonce FROM machine_nonces WHERE machine = $1 AND nonce = $2";
            if tx.one(sql, vals![t(id), t(nonce)]).await?.is_some() {
                return Err(DomainError::NonceReplayed);
            }
            tx.exec_one(
                "nonce",
                "INSERT INTO machine_nonces (machine, nonce, expires_at) VALUES ($1, $2, $3)",
                vals![t(id), t(nonce), expires],
            )
            .await
        })
    }
}
