//! Sessions as requests and their owners look at them (ACC-13, ACC-17).

use crate::{
    db::{SqlStore, Tx, transaction},
    identities::{insert_session, session},
    rows::{t, vals},
};
use sea_orm::{QueryResult, Value};
use veilbourse_domain::{
    Digest, Millis, Result,
    id::{AccountId, SessionId},
    people::LiveSession,
    records::Session,
};

/// A session's columns beside its account's, each under a name of its own.
const LIVE: &str =
    "SELECT s.id AS session_id, a.* FROM sessions s JOIN accounts a ON a.id = s.account
     WHERE s.revoked_at IS NULL AND s.expires_at > $2 AND a.state = 'active'";
/// Times a session is written at most once in (ACC-13).
const TOUCH_MILLIS: Millis = 60_000;

/// Ends every session of an account but one, and forgets where they were.
pub(crate) async fn end_all(
    tx: &Tx,
    account: AccountId,
    keep: Option<SessionId>,
    now: Millis,
) -> Result<u64> {
    let keep = keep.map(|s| s.to_string()).unwrap_or_default();
    tx.exec(
        "UPDATE sessions SET revoked_at = $2 WHERE account = $1 AND revoked_at IS NULL AND id <> $3",
        vals![t(account), now, keep],
    )
    .await
}

impl SqlStore {
    async fn live(&self, condition: &str, by: Value, now: Millis) -> Result<Option<LiveSession>> {
        let sql = format!("{LIVE} AND {condition}");
        let Some(row) = self.one(&sql, vec![by, (now as i64).into()]).await? else {
            return Ok(None);
        };
        let account = crate::identities::account(&row)?;
        let id = crate::rows::text(&row, "session_id")?;
        let row = self
            .one("SELECT * FROM sessions WHERE id = $1", vals![id])
            .await?;
        row.map(|r| {
            Ok(LiveSession {
                session: session(&r)?,
                account,
            })
        })
        .transpose()
    }

    pub(crate) async fn live_by_id(
        &self,
        id: SessionId,
        now: Millis,
    ) -> Result<Option<LiveSession>> {
        self.live("s.id = $1", t(id), now).await
    }

    pub(crate) async fn live_by_cookie(
        &self,
        cookie: Digest,
        now: Millis,
    ) -> Result<Option<LiveSession>> {
        self.live("s.cookie = $1", t(cookie), now).await
    }

    pub(crate) async fn open_page_session(
        &self,
        s: &Session,
        cookie: Digest,
        before: Option<Digest>,
    ) -> Result<()> {
        transaction!(self, "session.open_page", |tx| {
            if let Some(b) = before {
                tx.exec(
                    "UPDATE sessions SET revoked_at = $2 WHERE cookie = $1 AND revoked_at IS NULL",
                    vals![t(b), s.created_at],
                )
                .await?;
            }
            insert_session(tx, s, Some(cookie)).await
        })
    }

    pub(crate) async fn touch(&self, id: SessionId, address: &str, now: Millis) -> Result<()> {
        transaction!(self, "session.touch", |tx| {
            tx.exec(
                "UPDATE sessions SET last_seen_at = $2, address = $3 WHERE id = $1 AND last_seen_at <= $4",
                vals![t(id), now, address, now.saturating_sub(TOUCH_MILLIS)],
            )
            .await
            .map(|_| ())
        })
    }

    pub(crate) async fn live_sessions(
        &self,
        account: AccountId,
        now: Millis,
    ) -> Result<Vec<Session>> {
        let sql =
            "SELECT * FROM sessions WHERE account = $1 AND revoked_at IS NULL AND expires_at > $2
                   ORDER BY last_seen_at DESC, id DESC LIMIT 200";
        let found: Vec<QueryResult> = self.all(sql, vals![t(account), now]).await?;
        found.iter().map(session).collect()
    }

    pub(crate) async fn seen_from(
        &self,
        account: AccountId,
        address: &str,
        since: Millis,
    ) -> Result<bool> {
        let sql = "SELECT id FROM sessions WHERE account = $1 AND address = $2 AND last_seen_at >= $3 LIMIT 1";
        Ok(self
            .one(sql, vals![t(account), address, since])
            .await?
            .is_some())
    }
}
