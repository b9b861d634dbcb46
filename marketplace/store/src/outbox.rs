//! Letters, written in the transaction of what they tell.

use crate::{
    db::Tx,
    rows::{t, vals},
};
use veilbourse_domain::{Millis, Result, mail::Letter};

/// Puts a letter where it waits to be sent.
pub(crate) async fn enqueue(tx: &Tx, letter: &Letter, now: Millis) -> Result<()> {
    tx.exec_one(
        "letter",
        "INSERT INTO mails (id, account, address, kind, facts, state, created_at)
         VALUES ($1, $2, $3, $4, $5, 'waiting', $6)",
        vals![
            t(letter.id),
            letter.account.map(|a| a.to_string()),
            &letter.address,
            letter.kind.name(),
            letter.facts.to_string(),
            now,
        ],
    )
    .await
}
