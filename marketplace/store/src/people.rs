//! Accounts of people (ACC-8..17): links of letters, passwords, second factors,
//! suspension, deletion; each with its record and its letter in one transaction.
//!
//! Over 500 lines: the port is one `impl`.

use crate::{
    audit,
    db::{SqlStore, Tx, transaction},
    identities::{account, by_mail, insert_account},
    listings::take_step,
    outbox,
    rows::{get, maybe_number, number, parsed, t, text, vals},
    websessions::end_all,
};
use async_trait::async_trait;
use sea_orm::QueryResult;
use serde_json::json;
use veilbourse_domain::{
    Digest, DomainError, Millis, Result,
    id::{AccountId, ListingId, SessionId},
    ledger::LedgerAccount,
    listing::{Listing, ListingStep, check_reason},
    mail::Letter,
    people::{
        AccountState, FactorProof, LiveSession, MailToken, People, ReviewEntry, SecondFactor,
        TokenPurpose,
    },
    records::{Account, Session},
};

const MISSING: DomainError = DomainError::NotFound { what: "account" };
/// Links are kept so long after their end.
const KEPT_MILLIS: Millis = 7 * 86_400_000;

fn link(r: &QueryResult) -> Result<MailToken> {
    Ok(MailToken {
        nonce: text(r, "nonce")?,
        purpose: TokenPurpose::parse(&text(r, "purpose")?)?,
        account: parsed(r, "account")?,
        address: text(r, "address")?,
        expires_at: number(r, "expires_at")?,
        used_at: maybe_number(r, "used_at")?,
    })
}

fn bad(reason: &'static str) -> DomainError {
    DomainError::MailTokenInvalid { reason }
}

async fn load(tx: &Tx, id: AccountId) -> Result<Account> {
    let row = tx
        .one("SELECT * FROM accounts WHERE id = $1", vals![t(id)])
        .await?;
    account(&row.ok_or(MISSING)?)
}

/// An account that may be used.
async fn active(tx: &Tx, id: AccountId) -> Result<Account> {
    let a = load(tx, id).await?;
    match a.state {
        AccountState::Active => Ok(a),
        AccountState::Suspended => Err(DomainError::AccountSuspended),
        AccountState::Deleted => Err(MISSING),
    }
}

/// Refuses what a session asked for that was ended meanwhile: by a reset, whose
/// password the session's own would replace (ACC-10).
async fn must_be_live(tx: &Tx, account: AccountId, session: SessionId) -> Result<()> {
    let sql = "SELECT id FROM sessions WHERE id = $1 AND account = $2 AND revoked_at IS NULL";
    match tx.one(sql, vals![t(session), t(account)]).await? {
        Some(_) => Ok(()),
        None => Err(DomainError::TokenInvalid { reason: "revoked" }),
    }
}

async fn add_link(tx: &Tx, l: &MailToken, now: Millis) -> Result<()> {
    // Of a purpose one link at a time is good: the newest.
    tx.exec(
        "UPDATE mail_tokens SET used_at = $3 WHERE account = $1 AND purpose = $2 AND used_at IS NULL",
        vals![t(l.account), l.purpose.name(), now],
    )
    .await?;
    tx.exec_one(
        "link",
        "INSERT INTO mail_tokens (nonce, purpose, account, address, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        vals![
            &l.nonce,
            l.purpose.name(),
            t(l.account),
            &l.address,
            now,
            l.expires_at,
        ],
    )
    .await
}

/// Ends the links that whoever had the account until now may have asked for: to
/// another address, which is perhaps theirs, or to a password (ACC-10).
async fn void_links(tx: &Tx, id: AccountId, now: Millis) -> Result<()> {
    tx.exec(
        "UPDATE mail_tokens SET used_at = $3 WHERE account = $1 AND purpose <> $2 AND used_at IS NULL",
        vals![t(id), TokenPurpose::VerifyMail.name(), now],
    )
    .await
    .map(drop)
}

/// Webhooks of an account, with what they were told.
const FORGET_WEBHOOKS: [&str; 3] = [
    "DELETE FROM webhook_attempts WHERE delivery IN (
        SELECT d.id FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook WHERE w.account = $1)",
    "DELETE FROM webhook_deliveries WHERE webhook IN (SELECT id FROM webhooks WHERE account = $1)",
    "DELETE FROM webhooks WHERE account = $1",
];

/// Uses a link once (ACC-9).
async fn use_link(
    tx: &Tx,
    nonce: &str,
    purposes: &[TokenPurpose],
    now: Millis,
) -> Result<MailToken> {
    let row = tx
        .one("SELECT * FROM mail_tokens WHERE nonce = $1", vals![nonce])
        .await?;
    let l = link(&row.ok_or_else(|| bad("unknown"))?)?;
    if !purposes.contains(&l.purpose) {
        return Err(bad("it is for something else"));
    }
    if l.used_at.is_some() {
        return Err(bad("it was used, or a newer one was sent"));
    }
    if now >= l.expires_at {
        return Err(bad("it has expired"));
    }
    tx.exec_one(
        "link",
        "UPDATE mail_tokens SET used_at = $2 WHERE nonce = $1 AND used_at IS NULL",
        vals![nonce, now],
    )
    .await?;
    Ok(l)
}

/// Uses a proof of the second factor up, once (ACC-11).
async fn spend(tx: &Tx, id: AccountId, proof: &FactorProof, now: Millis) -> Result<bool> {
    let n = match proof {
        FactorProof::Step(step) => {
            tx.exec(
                "UPDATE accounts SET factor_step = $2
                 WHERE id = $1 AND factor_since IS NOT NULL AND factor_step < $2",
                vals![t(id), *step],
            )
            .await?
        }
        FactorProof::Recovery(hash) => {
            tx.exec(
                "UPDATE recovery_codes SET used_at = $3
                 WHERE account = $1 AND hash = $2 AND used_at IS NULL",
                vals![t(id), t(hash), now],
            )
            .await?
        }
    };
    if n == 1 && matches!(proof, FactorProof::Recovery(_)) {
        let who = format!("account:{id}");
        audit::note(tx, &who, "account.recovery_code", &who, json!({}), now).await?;
    }
    Ok(n == 1)
}

/// The proof where the account asks for one: needed, and good.
async fn proven(tx: &Tx, a: &Account, proof: Option<&FactorProof>, now: Millis) -> Result<()> {
    match (a.second_factor, proof) {
        (false, _) => Ok(()),
        (true, None) => Err(DomainError::SecondFactorNeeded),
        (true, Some(p)) => match spend(tx, a.id, p, now).await? {
            true => Ok(()),
            false => Err(DomainError::SecondFactorWrong),
        },
    }
}

async fn own_note(tx: &Tx, id: AccountId, action: &str, now: Millis) -> Result<()> {
    let who = format!("account:{id}");
    audit::note(tx, &who, action, &who, json!({}), now).await
}

async fn count(tx: &Tx, sql: &str, id: AccountId) -> Result<u64> {
    let row = tx.one(sql, vals![t(id)]).await?;
    row.map_or(Ok(0), |r| number(&r, "n"))
}

/// ACC-16: nothing is left that is somebody else's business too.
async fn nothing_left(tx: &Tx, id: AccountId) -> Result<()> {
    let sql = "SELECT posted, pending_out, pending_in FROM ledger_accounts WHERE account = $1";
    let row = tx.one(sql, vals![t(LedgerAccount::User(id))]).await?;
    if let Some(r) = row {
        for column in ["posted", "pending_out", "pending_in"] {
            if get::<i64>(&r, column)? != 0 {
                return Err(DomainError::AccountHasMoney);
            }
        }
    }
    let open = "SELECT COUNT(*) AS n FROM orders
        WHERE (buyer = $1 OR custodian = $1 OR pod_operator = $1) AND state NOT IN ('released', 'refunded')";
    match count(tx, open, id).await? {
        0 => {}
        open => return Err(DomainError::AccountHasOrders { open }),
    }
    let live = "SELECT COUNT(*) AS n FROM listings
        WHERE owner = $1 AND state IN ('submitted', 'published', 'paused')";
    match count(tx, live, id).await? {
        0 => {}
        live => return Err(DomainError::AccountHasListings { live }),
    }
    let approved =
        "SELECT COUNT(*) AS n FROM machines WHERE operator = $1 AND decision = 'approved'";
    match count(tx, approved, id).await? {
        0 => Ok(()),
        approved => Err(DomainError::AccountHasMachines { approved }),
    }
}

async fn listings_in(tx: &Tx, owner: AccountId, states: &str) -> Result<Vec<ListingId>> {
    let sql =
        format!("SELECT id FROM listings WHERE owner = $1 AND state IN ({states}) ORDER BY id");
    let found = tx.all(&sql, vals![t(owner)]).await?;
    found.iter().map(|r| parsed(r, "id")).collect()
}

/// ACC-16: what is personal, wherever it lies.
async fn erase(tx: &Tx, id: AccountId, now: Millis) -> Result<()> {
    tx.exec_one(
        "account",
        "UPDATE accounts SET mail = $2, name = 'deleted account', password_hash = '', verified_at = NULL,
                state = 'deleted', factor = NULL, factor_since = NULL WHERE id = $1",
        // No address: it has no @, so nobody registers or asks for it.
        vals![t(id), format!("deleted:{id}")],
    )
    .await?;
    for sql in [
        "DELETE FROM recovery_codes WHERE account = $1",
        "DELETE FROM mail_tokens WHERE account = $1",
        "UPDATE sessions SET agent = '', address = '', cookie = NULL WHERE account = $1",
        "UPDATE machines SET name = 'machine of a deleted account',
                decision = CASE WHEN decision = 'pending' THEN 'refused' ELSE decision END WHERE operator = $1",
        "DELETE FROM mail_preferences WHERE account = $1",
        "DELETE FROM persisted_queries WHERE account = $1",
        "DELETE FROM idempotent_requests WHERE account = $1 AND state <> 'claimed'",
        "UPDATE api_keys SET name = '' WHERE account = $1",
    ]
    .into_iter()
    .chain(FORGET_WEBHOOKS)
    {
        tx.exec(sql, vals![t(id)]).await?;
    }
    // Letters under way are let go; they would tell of a deletion at the most.
    tx.exec(
        "UPDATE mails SET address = '', facts = '{}', erased_at = $2
         WHERE account = $1 AND state NOT IN ('waiting', 'claimed', 'sending')",
        vals![t(id), now],
    )
    .await?;
    for sql in [
        "UPDATE signing_keys SET revoked_at = $2 WHERE account = $1 AND revoked_at IS NULL",
        "UPDATE api_keys SET revoked_at = $2 WHERE account = $1 AND revoked_at IS NULL",
    ] {
        tx.exec(sql, vals![t(id), now]).await?;
    }
    Ok(())
}

#[async_trait]
impl People for SqlStore {
    async fn register_account(
        &self,
        a: &Account,
        l: &MailToken,
        letter: &Letter,
        now: Millis,
    ) -> Result<bool> {
        transaction!(self, "account.register", |tx| {
            if let Some(holder) = by_mail(tx, &a.mail).await? {
                // A write here too: both answers take the same (ACC-9).
                let subject = format!("account:{}", holder.id);
                audit::note(tx, "system", "account.asked_again", subject, json!({}), now).await?;
                return Ok(false);
            }
            insert_account(tx, a, now).await?;
            add_link(tx, l, now).await?;
            outbox::enqueue(tx, letter, now).await?;
            Ok(true)
        })
    }

    async fn send_link(&self, l: &MailToken, letter: &Letter, now: Millis) -> Result<()> {
        transaction!(self, "link.send", |tx| {
            active(tx, l.account).await?;
            add_link(tx, l, now).await?;
            outbox::enqueue(tx, letter, now).await
        })
    }

    async fn send_change(
        &self,
        session: SessionId,
        l: &MailToken,
        letter: &Letter,
        now: Millis,
    ) -> Result<()> {
        transaction!(self, "link.change", |tx| {
            active(tx, l.account).await?;
            must_be_live(tx, l.account, session).await?;
            if let Some(holder) = by_mail(tx, &l.address).await? {
                // A write here too: both answers take the same (ACC-9).
                let subject = format!("account:{}", holder.id);
                return audit::note(tx, "system", "account.asked_again", subject, json!({}), now)
                    .await;
            }
            add_link(tx, l, now).await?;
            outbox::enqueue(tx, letter, now).await
        })
    }

    async fn link(&self, nonce: &str) -> Result<Option<MailToken>> {
        let sql = "SELECT * FROM mail_tokens WHERE nonce = $1";
        let row = self.one(sql, vals![nonce]).await?;
        row.map(|r| link(&r)).transpose()
    }

    async fn newest_link(&self, purpose: TokenPurpose, address: &str) -> Result<Option<MailToken>> {
        let sql =
            "SELECT * FROM mail_tokens WHERE purpose = $1 AND address = $2 AND used_at IS NULL
                   ORDER BY created_at DESC, nonce LIMIT 1";
        let row = self.one(sql, vals![purpose.name(), address]).await?;
        row.map(|r| link(&r)).transpose()
    }

    async fn verify_address(&self, nonce: &str, letter: &Letter, now: Millis) -> Result<Account> {
        let purposes = [TokenPurpose::VerifyMail, TokenPurpose::ChangeMail];
        transaction!(self, "account.verify", |tx| {
            let l = use_link(tx, nonce, &purposes, now).await?;
            let a = active(tx, l.account).await?;
            let action = match l.purpose {
                TokenPurpose::ChangeMail => {
                    if by_mail(tx, &l.address).await?.is_some_and(|o| o.id != a.id) {
                        return Err(bad("the address is not free any more"));
                    }
                    // To the address that it was.
                    outbox::enqueue(tx, letter, now).await?;
                    "account.change_mail"
                }
                _ if l.address != a.mail => return Err(bad("it was sent to another address")),
                _ => "account.verify",
            };
            tx.exec_one(
                "account",
                "UPDATE accounts SET mail = $2, verified_at = $3 WHERE id = $1",
                vals![t(a.id), &l.address, now],
            )
            .await?;
            own_note(tx, a.id, action, now).await?;
            Ok(Account {
                mail: l.address,
                verified_at: Some(now),
                ..a
            })
        })
    }

    async fn reset_password(
        &self,
        nonce: &str,
        hash: &str,
        letter: &Letter,
        now: Millis,
    ) -> Result<AccountId> {
        transaction!(self, "account.reset", |tx| {
            let l = use_link(tx, nonce, &[TokenPurpose::ResetPassword], now).await?;
            let a = active(tx, l.account).await?;
            if l.address != a.mail {
                return Err(bad("it was sent to another address"));
            }
            tx.exec_one(
                "account",
                "UPDATE accounts SET password_hash = $2, verified_at = COALESCE(verified_at, $3) WHERE id = $1",
                vals![t(a.id), hash, now],
            )
            .await?;
            end_all(tx, a.id, None, now).await?;
            void_links(tx, a.id, now).await?;
            if a.verified_at.is_none() {
                // Whoever registered it may not be who reads its mail.
                tx.exec(
                    "UPDATE signing_keys SET revoked_at = $2 WHERE account = $1 AND revoked_at IS NULL",
                    vals![t(a.id), now],
                )
                .await?;
                for sql in FORGET_WEBHOOKS {
                    tx.exec(sql, vals![t(a.id)]).await?;
                }
            }
            outbox::enqueue(tx, letter, now).await?;
            own_note(tx, a.id, "account.reset_password", now).await?;
            Ok(a.id)
        })
    }

    async fn change_password(
        &self,
        id: AccountId,
        keep: SessionId,
        hash: &str,
        proof: Option<&FactorProof>,
        letter: &Letter,
        now: Millis,
    ) -> Result<()> {
        transaction!(self, "account.password", |tx| {
            let a = active(tx, id).await?;
            must_be_live(tx, id, keep).await?;
            proven(tx, &a, proof, now).await?;
            tx.exec_one(
                "account",
                "UPDATE accounts SET password_hash = $2 WHERE id = $1",
                vals![t(id), hash],
            )
            .await?;
            end_all(tx, id, Some(keep), now).await?;
            void_links(tx, id, now).await?;
            outbox::enqueue(tx, letter, now).await?;
            own_note(tx, id, "account.change_password", now).await
        })
    }

    async fn change_name(&self, id: AccountId, name: &str, now: Millis) -> Result<Account> {
        transaction!(self, "account.name", |tx| {
            let a = active(tx, id).await?;
            tx.exec_one(
                "account",
                "UPDATE accounts SET name = $2 WHERE id = $1",
                vals![t(id), name],
            )
            .await?;
            own_note(tx, id, "account.change_name", now).await?;
            Ok(Account {
                name: name.into(),
                ..a
            })
        })
    }

    async fn second_factor(&self, id: AccountId) -> Result<Option<SecondFactor>> {
        let sql = "SELECT factor, factor_since, factor_step FROM accounts WHERE id = $1";
        let row = self.one(sql, vals![t(id)]).await?.ok_or(MISSING)?;
        let sealed: Option<String> = get(&row, "factor")?;
        let Some(sealed) = sealed else {
            return Ok(None);
        };
        Ok(Some(SecondFactor {
            sealed,
            since: maybe_number(&row, "factor_since")?,
            step: number(&row, "factor_step")?,
        }))
    }

    async fn begin_factor(&self, id: AccountId, sealed: &str, _now: Millis) -> Result<()> {
        transaction!(self, "factor.begin", |tx| {
            let a = active(tx, id).await?;
            if a.second_factor {
                return Err(DomainError::SecondFactorState { found: "set" });
            }
            // The step stays: a code of a time once accepted is none again.
            tx.exec_one(
                "account",
                "UPDATE accounts SET factor = $2 WHERE id = $1 AND factor_since IS NULL",
                vals![t(id), sealed],
            )
            .await
        })
    }

    async fn confirm_factor(
        &self,
        id: AccountId,
        step: u64,
        recovery: &[Digest],
        letter: &Letter,
        now: Millis,
    ) -> Result<()> {
        transaction!(self, "factor.confirm", |tx| {
            let a = active(tx, id).await?;
            if a.second_factor {
                return Err(DomainError::SecondFactorState { found: "set" });
            }
            let n = tx
                .exec(
                    "UPDATE accounts SET factor_since = $2, factor_step = $3
                     WHERE id = $1 AND factor IS NOT NULL AND factor_since IS NULL AND factor_step < $3",
                    vals![t(id), now, step],
                )
                .await?;
            if n != 1 {
                return Err(DomainError::SecondFactorWrong);
            }
            tx.exec(
                "DELETE FROM recovery_codes WHERE account = $1",
                vals![t(id)],
            )
            .await?;
            for hash in recovery {
                tx.exec_one(
                    "recovery code",
                    "INSERT INTO recovery_codes (account, hash) VALUES ($1, $2)",
                    vals![t(id), t(hash)],
                )
                .await?;
            }
            outbox::enqueue(tx, letter, now).await?;
            own_note(tx, id, "account.second_factor", now).await
        })
    }

    async fn clear_factor(
        &self,
        id: AccountId,
        by: AccountId,
        proof: Option<&FactorProof>,
        reason: &str,
        letter: &Letter,
        now: Millis,
    ) -> Result<()> {
        transaction!(self, "factor.clear", |tx| {
            let a = load(tx, id).await?;
            if !a.second_factor {
                return Err(DomainError::SecondFactorState { found: "not set" });
            }
            let own = id == by;
            if own {
                proven(tx, &a, proof, now).await?;
            } else {
                check_reason(reason)?;
                // Whoever signed in with what was stolen is out.
                end_all(tx, id, None, now).await?;
                void_links(tx, id, now).await?;
            }
            tx.exec_one(
                "account",
                "UPDATE accounts SET factor = NULL, factor_since = NULL WHERE id = $1",
                vals![t(id)],
            )
            .await?;
            tx.exec(
                "DELETE FROM recovery_codes WHERE account = $1",
                vals![t(id)],
            )
            .await?;
            outbox::enqueue(tx, letter, now).await?;
            audit::note(
                tx,
                format!("account:{by}"),
                "account.clear_second_factor",
                format!("account:{id}"),
                json!({ "reason": reason }),
                now,
            )
            .await
        })
    }

    async fn use_proof(&self, id: AccountId, proof: &FactorProof, now: Millis) -> Result<bool> {
        transaction!(self, "factor.use", |tx| { spend(tx, id, proof, now).await })
    }

    async fn open_web_session(
        &self,
        session: &Session,
        cookie: Digest,
        before: Option<Digest>,
    ) -> Result<()> {
        self.open_page_session(session, cookie, before).await
    }

    async fn live_session(&self, id: SessionId, now: Millis) -> Result<Option<LiveSession>> {
        self.live_by_id(id, now).await
    }

    async fn cookie_session(&self, cookie: Digest, now: Millis) -> Result<Option<LiveSession>> {
        self.live_by_cookie(cookie, now).await
    }

    async fn touch_session(&self, id: SessionId, address: &str, now: Millis) -> Result<()> {
        self.touch(id, address, now).await
    }

    async fn sessions(&self, account: AccountId, now: Millis) -> Result<Vec<Session>> {
        self.live_sessions(account, now).await
    }

    async fn known_address(
        &self,
        account: AccountId,
        address: &str,
        since: Millis,
    ) -> Result<bool> {
        self.seen_from(account, address, since).await
    }

    async fn set_account_state(
        &self,
        id: AccountId,
        to: AccountState,
        by: AccountId,
        reason: &str,
        letter: &Letter,
        now: Millis,
    ) -> Result<Account> {
        transaction!(self, "account.state", |tx| {
            let a = load(tx, id).await?;
            if id == by {
                return Err(DomainError::OwnRequest);
            }
            check_reason(reason)?;
            let state = a.state.step(to)?;
            tx.exec_one(
                "account",
                "UPDATE accounts SET state = $2 WHERE id = $1",
                vals![t(id), state.name()],
            )
            .await?;
            let actor = format!("account:{by}");
            let action = match state {
                AccountState::Suspended => {
                    end_all(tx, id, None, now).await?;
                    void_links(tx, id, now).await?;
                    for l in listings_in(tx, id, "'published'").await? {
                        take_step(tx, l, &ListingStep::Pause, None, "", None, &actor, now).await?;
                    }
                    "account.suspend"
                }
                _ => "account.restore",
            };
            outbox::enqueue(tx, letter, now).await?;
            let details = json!({ "reason": reason });
            audit::note(tx, &actor, action, format!("account:{id}"), details, now).await?;
            Ok(Account { state, ..a })
        })
    }

    async fn delete_account(
        &self,
        id: AccountId,
        proof: Option<&FactorProof>,
        now: Millis,
    ) -> Result<()> {
        transaction!(self, "account.delete", |tx| {
            let a = active(tx, id).await?;
            proven(tx, &a, proof, now).await?;
            nothing_left(tx, id).await?;
            let actor = format!("account:{id}");
            for l in listings_in(tx, id, "'draft', 'rejected'").await? {
                take_step(tx, l, &ListingStep::Withdraw, None, "", None, &actor, now).await?;
            }
            end_all(tx, id, None, now).await?;
            erase(tx, id, now).await?;
            own_note(tx, id, "account.delete", now).await
        })
    }

    async fn review_listing(
        &self,
        id: ListingId,
        step: ListingStep,
        reason: &str,
        seen: Option<Millis>,
        by: AccountId,
        letter: Option<&Letter>,
        now: Millis,
    ) -> Result<Listing> {
        transaction!(self, "listing.review", |tx| {
            let actor = format!("account:{by}");
            let l = take_step(tx, id, &step, None, reason, seen, &actor, now).await?;
            if let Some(letter) = letter {
                outbox::enqueue(tx, letter, now).await?;
            }
            Ok(l)
        })
    }

    async fn reviews(&self, id: ListingId) -> Result<Vec<ReviewEntry>> {
        self.review_history(id).await
    }

    async fn sweep_links(&self, now: Millis) -> Result<u64> {
        transaction!(self, "link.sweep", |tx| {
            tx.exec(
                "DELETE FROM mail_tokens WHERE expires_at < $1",
                vals![now.saturating_sub(KEPT_MILLIS)],
            )
            .await
        })
    }
}
