//! The outbox (MAIL): letters are put in by the transaction of the change that
//! they tell of ([`enqueue`], [`tell`]), and taken out one by one under a lease.
//!
//! A letter is never sent twice by itself (MAIL-2): it is `claimed` while nothing
//! was handed to the relay, `sending` from just before that, and what was
//! `sending` when its worker went away ends `unknown`.

use crate::{
    audit,
    db::{SqlStore, Tx, transaction},
    rows::{self, Where, body, json, maybe_number, number, parsed, t, text, vals},
};
use async_trait::async_trait;
use sea_orm::QueryResult;
use serde_json::{Value, json as object};
use veilbourse_domain::{
    DomainError, Millis, Result,
    id::{AccountId, LeaseToken, MailId},
    mail::{
        Letter, MAIL_LEASE_MILLIS, MailCounts, MailFilter, MailKind, MailRecord, MailState, Outbox,
        Preferences,
    },
    records::{Page, PageRequest},
};

const MISSING: DomainError = DomainError::NotFound { what: "mail" };
/// Longest text of an error that is kept, in characters.
const MAX_ERROR: usize = 500;

/// Puts a letter into the outbox, in the transaction of what it tells of (MAIL-1).
pub(crate) async fn enqueue(tx: &Tx, letter: &Letter, now: Millis) -> Result<()> {
    insert(tx, letter, None, now).await.map(drop)
}

/// Whether the letter is new: one with the same `once` is not put in again.
async fn insert(tx: &Tx, letter: &Letter, once: Option<&str>, now: Millis) -> Result<bool> {
    let Letter {
        id,
        account,
        address,
        kind,
        facts,
    } = letter;
    let sql = "INSERT INTO mails (id, account, address, kind, facts, once, state, created_at, due_at, attempts, error)
               VALUES ($1, $2, $3, $4, $5, $6, 'waiting', $7, $7, 0, '')
               ON CONFLICT (once) DO NOTHING";
    let values = vals![
        t(id),
        account.map(|a| a.to_string()),
        address,
        kind.name(),
        json(facts)?,
        once.map(str::to_owned),
        now,
    ];
    Ok(tx.exec(sql, values).await? == 1)
}

/// An id of a letter from what it is about and from the head of the audit log:
/// the store has no randomness of its own, and one change, which the log has a
/// record of, writes each kind to an account once.
fn id_of(account: AccountId, kind: MailKind, about: &str, head: u64, now: Millis) -> MailId {
    let mut h = blake3::Hasher::new_derive_key("veilbourse v1 letter id");
    h.update(&head.to_le_bytes());
    for part in [account.to_string().as_str(), kind.name(), about] {
        h.update(&(part.len() as u64).to_le_bytes());
        h.update(part.as_bytes());
    }
    let mut random = [0u8; 10];
    h.finalize_xof().fill(&mut random);
    MailId::new(now, random)
}

/// The letter to an account's present address; none to an account without one
/// (its owner deleted it).
async fn letter_to(
    tx: &Tx,
    account: AccountId,
    kind: MailKind,
    about: &str,
    facts: Value,
    now: Millis,
) -> Result<Option<Letter>> {
    let row = tx
        .one("SELECT mail FROM accounts WHERE id = $1", vals![t(account)])
        .await?
        .ok_or(DomainError::NotFound { what: "account" })?;
    let address = text(&row, "mail")?;
    let row = tx
        .one("SELECT MAX(sequence) AS head FROM audit_log", vec![])
        .await?;
    let head = row.map(|r| maybe_number(&r, "head")).transpose()?.flatten();
    let head = head.unwrap_or_default();
    Ok(address.contains('@').then(|| Letter {
        id: id_of(account, kind, about, head, now),
        account: Some(account),
        address,
        kind,
        facts,
    }))
}

/// Writes to an account, in the transaction of what the letter tells of
/// (MAIL-1); `about` names the change.
pub(crate) async fn tell(
    tx: &Tx,
    account: AccountId,
    kind: MailKind,
    about: &str,
    facts: Value,
    now: Millis,
) -> Result<()> {
    match letter_to(tx, account, kind, about, facts, now).await? {
        Some(letter) => enqueue(tx, &letter, now).await,
        None => Ok(()),
    }
}

/// The same, once and for all for this `about` (MAIL-7).
pub(crate) async fn tell_once(
    tx: &Tx,
    account: AccountId,
    kind: MailKind,
    about: &str,
    facts: Value,
    now: Millis,
) -> Result<bool> {
    let once = format!("{} {account} {about}", kind.name());
    match letter_to(tx, account, kind, about, facts, now).await? {
        Some(letter) => insert(tx, &letter, Some(&once), now).await,
        None => Ok(false),
    }
}

fn record(r: &QueryResult) -> Result<MailRecord> {
    let account: Option<String> = rows::get(r, "account")?;
    Ok(MailRecord {
        letter: Letter {
            id: parsed(r, "id")?,
            account: account.map(|a| a.parse()).transpose()?,
            address: text(r, "address")?,
            kind: MailKind::parse(&text(r, "kind")?)?,
            facts: body(r, "facts")?,
        },
        state: MailState::parse(&text(r, "state")?)?,
        created_at: number(r, "created_at")?,
        due_at: number(r, "due_at")?,
        attempts: u32::try_from(number(r, "attempts")?).unwrap_or(u32::MAX),
        error: text(r, "error")?,
        sent_at: maybe_number(r, "sent_at")?,
        erased_at: maybe_number(r, "erased_at")?,
    })
}

async fn load(tx: &Tx, id: MailId) -> Result<MailRecord> {
    let row = tx
        .one("SELECT * FROM mails WHERE id = $1", vals![t(id)])
        .await?;
    record(&row.ok_or(MISSING)?)
}

/// No lease that is over, or somebody else's, changes anything (MAIL-2).
async fn held(tx: &Tx, sql: &str, values: Vec<sea_orm::Value>) -> Result<()> {
    match tx.exec(sql, values).await? {
        1 => Ok(()),
        _ => Err(DomainError::StaleLease),
    }
}

fn preferences_of(r: &QueryResult) -> Result<Preferences> {
    let on = |column: &str| Ok::<_, DomainError>(number(r, column)? == 1);
    Ok(Preferences {
        orders: on("orders")?,
        listings: on("listings")?,
        budgets: on("budgets")?,
        deadlines: on("deadlines")?,
        cash: on("cash")?,
    })
}

#[async_trait]
impl Outbox for SqlStore {
    async fn mail_due(&self) -> Result<Option<Millis>> {
        let sql = "SELECT due_at FROM mails WHERE state = 'waiting' ORDER BY due_at LIMIT 1";
        let row = self.one(sql, vec![]).await?;
        row.map(|r| number(&r, "due_at")).transpose()
    }

    async fn claim_mail(&self, token: LeaseToken, now: Millis) -> Result<Option<MailRecord>> {
        transaction!(self, "mail.claim", |tx| {
            let sql = "SELECT * FROM mails WHERE state = 'waiting' AND due_at <= $1
                       ORDER BY due_at, id LIMIT 1";
            let Some(row) = tx.one(sql, vals![now]).await? else {
                return Ok(None);
            };
            let mut found = record(&row)?;
            tx.exec_one(
                "mail",
                "UPDATE mails SET state = 'claimed', attempts = attempts + 1, lease_token = $2, lease_end = $3
                 WHERE id = $1 AND state = 'waiting'",
                vals![t(found.letter.id), t(token), now.saturating_add(MAIL_LEASE_MILLIS)],
            )
            .await?;
            found.state = MailState::Claimed;
            found.attempts = found.attempts.saturating_add(1);
            Ok(Some(found))
        })
    }

    async fn mail_sending(&self, id: MailId, token: LeaseToken, now: Millis) -> Result<()> {
        transaction!(self, "mail.sending", |tx| {
            let sql = "UPDATE mails SET state = 'sending', lease_end = $4
                       WHERE id = $1 AND state = 'claimed' AND lease_token = $2 AND lease_end > $3";
            let end = now.saturating_add(MAIL_LEASE_MILLIS);
            held(tx, sql, vals![t(id), t(token), now, end]).await
        })
    }

    async fn settle_mail(
        &self,
        id: MailId,
        token: LeaseToken,
        state: MailState,
        why: &str,
        due: Millis,
        now: Millis,
    ) -> Result<()> {
        if matches!(state, MailState::Claimed | MailState::Sending) {
            return Err(DomainError::MailState {
                found: state.name(),
                wanted: "settled",
            });
        }
        let why: String = why.chars().take(MAX_ERROR).collect();
        let ended = (state != MailState::Waiting).then_some(now);
        let sent = (state == MailState::Sent).then_some(now);
        transaction!(self, "mail.settle", |tx| {
            // The token alone: a lease that ran out meanwhile was not taken by
            // another as long as the row names this one.
            let sql =
                "UPDATE mails SET state = $3, error = $4, due_at = $5, sent_at = $6, ended_at = $7,
                              lease_token = NULL, lease_end = NULL
                       WHERE id = $1 AND lease_token = $2 AND state IN ('claimed', 'sending')";
            let values = vals![t(id), t(token), state.name(), &why, due, sent, ended];
            held(tx, sql, values).await
        })
    }

    async fn recover_mail(&self, repeatable: bool, now: Millis) -> Result<(u64, u64)> {
        let lost = "SELECT id FROM mails WHERE state IN ('claimed', 'sending') AND lease_end <= $1 LIMIT 1";
        if self.one(lost, vals![now]).await?.is_none() {
            return Ok((0, 0));
        }
        transaction!(self, "mail.recover", |tx| {
            // The try is counted: a letter that kills its worker ends one day.
            let again = tx
                .exec(
                    "UPDATE mails SET state = 'waiting', due_at = $1, lease_token = NULL, lease_end = NULL
                     WHERE lease_end <= $1 AND (state = 'claimed' OR (state = 'sending' AND $2 = 1))",
                    vals![now, u64::from(repeatable)],
                )
                .await?;
            let unknown = tx
                .exec(
                    "UPDATE mails SET state = 'unknown', ended_at = $1, lease_token = NULL, lease_end = NULL,
                            error = 'the server stopped while the letter was handed over'
                     WHERE lease_end <= $1 AND state = 'sending'",
                    vals![now],
                )
                .await?;
            Ok((again, unknown))
        })
    }

    async fn remind(&self, now: Millis, limit: u32) -> Result<u64> {
        self.remind_of_deadlines(now, limit).await
    }

    async fn erase_mail(&self, before: Millis, limit: u32, now: Millis) -> Result<Vec<MailId>> {
        let due = format!(
            "SELECT id FROM mails WHERE erased_at IS NULL AND ended_at < $1
             AND state IN ('sent', 'skipped', 'dismissed') ORDER BY ended_at LIMIT {limit}"
        );
        if self.one(&due, vals![before]).await?.is_none() {
            return Ok(Vec::new());
        }
        transaction!(self, "mail.erase", |tx| {
            let found = tx.all(&due, vals![before]).await?;
            let mut erased = Vec::with_capacity(found.len());
            for r in &found {
                let id: MailId = parsed(r, "id")?;
                tx.exec_one(
                    "mail",
                    "UPDATE mails SET facts = '{}', address = '', error = '', erased_at = $2 WHERE id = $1",
                    vals![t(id), now],
                )
                .await?;
                erased.push(id);
            }
            Ok(erased)
        })
    }

    async fn mails(&self, filter: &MailFilter, page: &PageRequest) -> Result<Page<MailRecord>> {
        let mut w = Where::default();
        if let Some(a) = filter.account {
            w.and("account = ?", vals![t(a)]);
        }
        if let Some(a) = &filter.address {
            w.and("address = ?", vals![a]);
        }
        if let Some(s) = filter.state {
            w.and("state = ?", vals![s.name()]);
        }
        w.after("id < ?", page);
        let sql = format!(
            "SELECT * FROM mails {} ORDER BY id DESC LIMIT {}",
            w.sql(),
            page.first + 1
        );
        rows::page(page, &self.all(&sql, w.values).await?, "id", record)
    }

    async fn mail(&self, id: MailId) -> Result<MailRecord> {
        let row = self
            .one("SELECT * FROM mails WHERE id = $1", vals![t(id)])
            .await?;
        record(&row.ok_or(MISSING)?)
    }

    async fn decide_mail(
        &self,
        id: MailId,
        by: AccountId,
        send: bool,
        now: Millis,
    ) -> Result<MailRecord> {
        transaction!(self, "mail.decide", |tx| {
            let found = load(tx, id).await?;
            let next = match send {
                true => MailState::Waiting,
                false => MailState::Dismissed,
            };
            if !found.state.decidable() {
                return Err(DomainError::MailState {
                    found: found.state.name(),
                    wanted: next.name(),
                });
            }
            // Sent by hand, it has all its tries again.
            tx.exec_one(
                "mail",
                "UPDATE mails SET state = $2, due_at = $3, attempts = 0, ended_at = $4 WHERE id = $1 AND state = $5",
                vals![
                    t(id),
                    next.name(),
                    now,
                    (!send).then_some(now),
                    found.state.name(),
                ],
            )
            .await?;
            let action = if send { "mail.retry" } else { "mail.dismiss" };
            let details = object!({ "kind": found.letter.kind, "was": found.state.name() });
            let (actor, subject) = (format!("account:{by}"), format!("mail:{id}"));
            audit::note(tx, actor, action, subject, details, now).await?;
            load(tx, id).await
        })
    }

    async fn mail_counts(&self) -> Result<MailCounts> {
        let sql = "SELECT state, COUNT(*) AS n, MIN(due_at) AS oldest FROM mails
                   WHERE state IN ('waiting', 'claimed', 'sending', 'failed', 'unknown') GROUP BY state";
        let mut c = MailCounts::default();
        for r in &self.all(sql, vec![]).await? {
            let n = number(r, "n")?;
            match MailState::parse(&text(r, "state")?)? {
                MailState::Failed => c.failed = n,
                MailState::Unknown => c.unknown = n,
                _ => {
                    c.waiting += n;
                    let oldest = maybe_number(r, "oldest")?;
                    c.oldest_due = [c.oldest_due, oldest].into_iter().flatten().min();
                }
            }
        }
        Ok(c)
    }

    async fn preferences(&self, account: AccountId) -> Result<Preferences> {
        let sql = "SELECT * FROM mail_preferences WHERE account = $1";
        let row = self.one(sql, vals![t(account)]).await?;
        row.map_or_else(|| Ok(Preferences::default()), |r| preferences_of(&r))
    }

    async fn set_preferences(&self, account: AccountId, p: Preferences, now: Millis) -> Result<()> {
        transaction!(self, "mail.preferences", |tx| {
            let known = tx
                .one("SELECT id FROM accounts WHERE id = $1", vals![t(account)])
                .await?;
            if known.is_none() {
                return Err(DomainError::NotFound { what: "account" });
            }
            let sql = "SELECT * FROM mail_preferences WHERE account = $1";
            let before = tx.one(sql, vals![t(account)]).await?;
            let before = before.map(|r| preferences_of(&r)).transpose()?;
            if before.unwrap_or_default() == p {
                return Ok(()); // A link that is clicked again writes nothing.
            }
            let Preferences {
                orders,
                listings,
                budgets,
                deadlines,
                cash,
            } = p;
            let on = u64::from;
            tx.exec_one(
                "preferences",
                "INSERT INTO mail_preferences (account, orders, listings, budgets, deadlines, cash)
                 VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (account) DO UPDATE SET orders = excluded.orders, listings = excluded.listings,
                    budgets = excluded.budgets, deadlines = excluded.deadlines, cash = excluded.cash",
                vals![
                    t(account),
                    on(orders),
                    on(listings),
                    on(budgets),
                    on(deadlines),
                    on(cash),
                ],
            )
            .await?;
            let who = format!("account:{account}");
            audit::note(tx, &who, "mail.preferences", &who, object!(p), now).await
        })
    }
}
