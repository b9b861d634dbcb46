//! The history of a listing's review (REV-1): written in the transaction of
//! each step, never changed.

use crate::{
    db::{SqlStore, Tx},
    rows::{number, parsed, t, text, vals},
};
use veilbourse_domain::{
    Millis, Result,
    id::ListingId,
    listing::{Listing, ListingStep},
    people::ReviewEntry,
};

/// The line of a step, where it is one of the review.
pub(crate) async fn write(
    tx: &Tx,
    l: &Listing,
    step: &ListingStep,
    approval: &str,
    now: Millis,
) -> Result<()> {
    let (by, decision, reason) = match step {
        ListingStep::Submit => (l.owner, "submitted", ""),
        ListingStep::Appeal { text } => (l.owner, "appealed", text.as_str()),
        ListingStep::Approve { by } => (*by, "approved", approval),
        ListingStep::Reject { by, reason } => (*by, "rejected", reason.as_str()),
        ListingStep::Pause | ListingStep::Resume | ListingStep::Withdraw => return Ok(()),
    };
    let last = tx
        .one(
            "SELECT COUNT(*) AS n FROM listing_reviews WHERE listing = $1",
            vals![t(l.id)],
        )
        .await?;
    let before = last.map_or(Ok(0), |r| number(&r, "n"))?;
    tx.exec_one(
        "review",
        "INSERT INTO listing_reviews (listing, sequence, at, by_account, decision, reason)
         VALUES ($1, $2, $3, $4, $5, $6)",
        vals![t(l.id), before + 1, now, t(by), decision, reason],
    )
    .await
}

impl SqlStore {
    pub(crate) async fn review_history(&self, id: ListingId) -> Result<Vec<ReviewEntry>> {
        let sql = "SELECT r.at AS at, r.by_account AS by_account, r.decision AS decision,
                          r.reason AS reason, a.name AS by_name
                   FROM listing_reviews r JOIN accounts a ON a.id = r.by_account
                   WHERE r.listing = $1 ORDER BY r.sequence";
        let found = self.all(sql, vals![t(id)]).await?;
        let entry = |r| {
            Ok(ReviewEntry {
                at: number(r, "at")?,
                by: parsed(r, "by_account")?,
                by_name: text(r, "by_name")?,
                decision: text(r, "decision")?,
                reason: text(r, "reason")?,
            })
        };
        found.iter().map(entry).collect()
    }
}
