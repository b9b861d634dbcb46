//! Transfers, postings, balances, deposits and withdrawals (LED).
//!
//! Over 500 lines: every statement that moves money is in this file.

use crate::{
    audit,
    db::{SqlStore, Tx, transaction},
    events, notices,
    rows::{self, Where, get, number, parsed, t, text, vals},
};
use async_trait::async_trait;
use sea_orm::QueryResult;
use serde_json::json;
use std::collections::BTreeMap;
use veilbourse_domain::{
    DomainError, Millis, MinorUnits, Result,
    id::{AccountId, CashRequestId, OrderId, TransferId},
    ledger::{
        Balance, Effect, LedgerAccount, LedgerSums, Posting, Postings, TransferKind, TransferState,
        TransferStep, check_balances, check_open_requests,
    },
    ports::LedgerPort,
    records::{CashRequest, Decision, LedgerReport, Page, PageRequest, Transfer},
};

/// Longest idempotency key, in bytes.
const MAX_KEY: usize = 128;
/// Rows read at once when the ledger is checked: few, so that tests need more
/// than one page.
const BATCH: usize = 200;

fn balance(r: &QueryResult) -> Result<Balance> {
    Ok(Balance {
        posted: get(r, "posted")?,
        pending_out: get(r, "pending_out")?,
        pending_in: get(r, "pending_in")?,
    })
}

/// Applies an effect to the balances of all postings, then checks the sums (LED-1).
async fn apply(tx: &Tx, effect: Effect, postings: &[Posting]) -> Result<()> {
    for p in postings {
        let found = tx
            .one(
                "SELECT posted, pending_out, pending_in FROM ledger_accounts WHERE account = $1",
                vals![t(p.account)],
            )
            .await?;
        let next = match &found {
            Some(r) => balance(r)?,
            None => Balance::default(),
        }
        .apply(effect, p)?;
        let sql = if found.is_some() {
            "UPDATE ledger_accounts SET posted = $2, pending_out = $3, pending_in = $4 WHERE account = $1"
        } else {
            "INSERT INTO ledger_accounts (account, posted, pending_out, pending_in) VALUES ($1, $2, $3, $4)"
        };
        tx.exec_one(
            "ledger account",
            sql,
            vals![t(p.account), next.posted, next.pending_out, next.pending_in],
        )
        .await?;
    }
    // The upper and lower halves are summed apart: of 2^31 accounts, whatever
    // they hold, no sum leaves 64 bits.
    let half = |column: &str, name: &str| {
        format!(
            "CAST(COALESCE(SUM({column} >> 32), 0) AS BIGINT) AS {name}_high,
             CAST(COALESCE(SUM({column} & 4294967295), 0) AS BIGINT) AS {name}_low"
        )
    };
    let sql = format!(
        "SELECT {}, {}, {} FROM ledger_accounts",
        half("posted", "posted"),
        half("pending_in", "coming"),
        half("pending_out", "leaving"),
    );
    let sums = tx
        .one(&sql, vec![])
        .await?
        .ok_or_else(|| DomainError::storage("no sums"))?;
    let sum = |name: &str| -> Result<i128> {
        let high: i64 = get(&sums, &format!("{name}_high"))?;
        let low: i64 = get(&sums, &format!("{name}_low"))?;
        Ok((i128::from(high) << 32) + i128::from(low))
    };
    let (posted, pending) = (sum("posted")?, sum("coming")? - sum("leaving")?);
    if posted != 0 || pending != 0 {
        let what = format!("posted sum {posted}, pending sum {pending}");
        return Err(DomainError::LedgerBroken { what });
    }
    Ok(())
}

/// Opens a pending transfer (SET-1).
pub(crate) async fn open(
    tx: &Tx,
    id: TransferId,
    kind: TransferKind,
    order: Option<OrderId>,
    postings: &Postings,
    now: Millis,
) -> Result<()> {
    let list: Vec<Posting> = postings.iter().copied().collect();
    apply(tx, Effect::Reserve, &list).await?;
    tx.exec_one(
        "transfer",
        "INSERT INTO transfers (id, kind, state, order_id, created_at) VALUES ($1, $2, $3, $4, $5)",
        vals![
            t(id),
            kind.name(),
            TransferState::Pending.name(),
            order.map(|o| o.to_string()),
            now,
        ],
    )
    .await?;
    for p in &list {
        tx.exec_one(
            "posting",
            "INSERT INTO postings (transfer, account, amount) VALUES ($1, $2, $3)",
            vals![t(id), t(p.account), p.amount],
        )
        .await?;
    }
    Ok(())
}

/// Takes a step of a transfer, once (LED-2).
pub(crate) async fn step(tx: &Tx, id: TransferId, step: TransferStep, now: Millis) -> Result<()> {
    let row = tx
        .one("SELECT state FROM transfers WHERE id = $1", vals![t(id)])
        .await?
        .ok_or(DomainError::NotFound { what: "transfer" })?;
    let before = TransferState::parse(&text(&row, "state")?)?;
    let next = before.step(step)?;
    let effect = match next {
        TransferState::Posted => Some(Effect::Post),
        TransferState::Voided => Some(Effect::Void),
        TransferState::Pending | TransferState::Committed => None,
    };
    if let Some(effect) = effect {
        let found = tx
            .all(
                "SELECT account, amount FROM postings WHERE transfer = $1 ORDER BY account",
                vals![t(id)],
            )
            .await?;
        let list: Vec<Posting> = found.iter().map(posting).collect::<Result<_>>()?;
        apply(tx, effect, &list).await?;
    }
    tx.exec_one(
        "transfer",
        "UPDATE transfers SET state = $3, ended_at = $4 WHERE id = $1 AND state = $2",
        vals![t(id), before.name(), next.name(), effect.map(|_| now)],
    )
    .await
}

fn posting(r: &QueryResult) -> Result<Posting> {
    Ok(Posting {
        account: parsed(r, "account")?,
        amount: get(r, "amount")?,
    })
}

fn cash(r: &QueryResult) -> Result<CashRequest> {
    let by: Option<String> = get(r, "decided_by")?;
    Ok(CashRequest {
        id: parsed(r, "id")?,
        kind: TransferKind::parse(&text(r, "kind")?)?,
        account: parsed(r, "account")?,
        amount: MinorUnits::new(get(r, "amount")?)?,
        idempotency_key: text(r, "idempotency_key")?,
        transfer: parsed(r, "transfer")?,
        decision: Decision::parse(&text(r, "decision")?)?,
        decided_by: by.map(|b| b.parse()).transpose()?,
        reason: text(r, "reason")?,
        created_at: number(r, "created_at")?,
    })
}

impl SqlStore {
    async fn with_postings(&self, r: &QueryResult) -> Result<Transfer> {
        let id: TransferId = parsed(r, "id")?;
        let order: Option<String> = get(r, "order_id")?;
        let found = self
            .all(
                "SELECT account, amount FROM postings WHERE transfer = $1 ORDER BY account",
                vals![t(id)],
            )
            .await?;
        Ok(Transfer {
            id,
            kind: TransferKind::parse(&text(r, "kind")?)?,
            state: TransferState::parse(&text(r, "state")?)?,
            order: order.map(|o| o.parse()).transpose()?,
            postings: found.iter().map(posting).collect::<Result<_>>()?,
            created_at: number(r, "created_at")?,
            ended_at: rows::maybe_number(r, "ended_at")?,
        })
    }
}

#[async_trait]
impl LedgerPort for SqlStore {
    async fn balance(&self, account: LedgerAccount) -> Result<Balance> {
        let sql = "SELECT posted, pending_out, pending_in FROM ledger_accounts WHERE account = $1";
        let row = self.one(sql, vals![t(account)]).await?;
        row.map_or_else(|| Ok(Balance::default()), |r| balance(&r))
    }

    async fn ledger_accounts(&self, page: &PageRequest) -> Result<Page<(LedgerAccount, Balance)>> {
        let mut w = Where::default();
        w.after("account > ?", page);
        let sql = format!(
            "SELECT * FROM ledger_accounts {} ORDER BY account LIMIT {}",
            w.sql(),
            page.first + 1
        );
        let found = self.all(&sql, w.values).await?;
        rows::page(page, &found, "account", |r| {
            Ok((parsed(r, "account")?, balance(r)?))
        })
    }

    async fn transfers(
        &self,
        account: Option<LedgerAccount>,
        page: &PageRequest,
    ) -> Result<Page<Transfer>> {
        let mut w = Where::default();
        if let Some(a) = account {
            w.and(
                "id IN (SELECT transfer FROM postings WHERE account = ?)",
                vals![t(a)],
            );
        }
        w.after("id < ?", page);
        let sql = format!(
            "SELECT * FROM transfers {} ORDER BY id DESC LIMIT {}",
            w.sql(),
            page.first + 1
        );
        let found = self.all(&sql, w.values).await?;
        let mut items = Vec::new();
        for r in found.iter().take(page.first as usize) {
            items.push((text(r, "id")?, self.with_postings(r).await?));
        }
        Ok(Page {
            items,
            more: found.len() > page.first as usize,
        })
    }

    async fn transfer(&self, id: TransferId) -> Result<Transfer> {
        let row = self
            .one("SELECT * FROM transfers WHERE id = $1", vals![t(id)])
            .await?;
        self.with_postings(&row.ok_or(DomainError::NotFound { what: "transfer" })?)
            .await
    }

    async fn request_cash(
        &self,
        id: CashRequestId,
        transfer: TransferId,
        kind: TransferKind,
        account: AccountId,
        amount: MinorUnits,
        key: &str,
        now: Millis,
    ) -> Result<CashRequest> {
        if key.is_empty() || key.len() > MAX_KEY {
            let limit = MAX_KEY as u64;
            let field = "idempotency key";
            return Err(DomainError::TooLarge {
                field,
                limit,
                value: key.len() as u64,
            });
        }
        MinorUnits::positive("amount", amount.get())?;
        let postings = match kind {
            TransferKind::Deposit => Postings::deposit(account, amount)?,
            TransferKind::Withdrawal => Postings::withdrawal(account, amount)?,
            TransferKind::Escrow => {
                return Err(DomainError::invalid(
                    "kind",
                    "an escrow comes with an order",
                ));
            }
        };
        transaction!(self, "cash.request", |tx| {
            // LED-4: the same key answers the same, and moves nothing.
            let before = tx
                .one(
                    "SELECT * FROM cash_requests WHERE account = $1 AND kind = $2 AND idempotency_key = $3",
                    vals![t(account), kind.name(), key],
                )
                .await?;
            if let Some(r) = before {
                let found = cash(&r)?;
                if found.amount != amount {
                    return Err(DomainError::IdempotencyMismatch { key: key.into() });
                }
                return Ok(found);
            }
            let waiting = tx
                .all(
                    "SELECT amount FROM cash_requests WHERE account = $1 AND decision = 'pending'",
                    vals![t(account)],
                )
                .await?;
            let total = waiting.iter().try_fold(0i128, |sum, r| {
                let amount: i64 = get(r, "amount")?;
                Ok::<_, DomainError>(sum + i128::from(amount))
            })?;
            check_open_requests(waiting.len() as u64, total, amount)?;
            open(tx, transfer, kind, None, &postings, now).await?;
            tx.exec_one(
                "cash request",
                "INSERT INTO cash_requests (id, kind, account, amount, idempotency_key, transfer, decision, reason, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, '', $8)",
                vals![
                    t(id),
                    kind.name(),
                    t(account),
                    amount.get(),
                    key,
                    t(transfer),
                    Decision::Pending.name(),
                    now,
                ],
            )
            .await?;
            audit::note(
                tx,
                format!("account:{account}"),
                &format!("{}.request", kind.name()),
                format!("cash:{id}"),
                json!({ "amount": amount, "transfer": transfer }),
                now,
            )
            .await?;
            Ok(CashRequest {
                id,
                kind,
                account,
                amount,
                idempotency_key: key.into(),
                transfer,
                decision: Decision::Pending,
                decided_by: None,
                reason: String::new(),
                created_at: now,
            })
        })
    }

    async fn decide_cash(
        &self,
        id: CashRequestId,
        by: AccountId,
        approve: bool,
        reason: &str,
        now: Millis,
    ) -> Result<CashRequest> {
        transaction!(self, "cash.decide", |tx| {
            let row = tx
                .one("SELECT * FROM cash_requests WHERE id = $1", vals![t(id)])
                .await?
                .ok_or(DomainError::NotFound { what: "request" })?;
            let found = cash(&row)?;
            if found.account == by {
                return Err(DomainError::OwnRequest); // LED-4
            }
            if found.decision != Decision::Pending {
                return Err(DomainError::AlreadyDecided { what: "request" }); // LED-2
            }
            let (decision, move_) = if approve {
                (Decision::Approved, TransferStep::Post)
            } else {
                (Decision::Refused, TransferStep::Void)
            };
            step(tx, found.transfer, move_, now).await?;
            tx.exec_one(
                "cash request",
                "UPDATE cash_requests SET decision = $2, decided_by = $3, reason = $4 WHERE id = $1 AND decision = 'pending'",
                vals![t(id), decision.name(), t(by), reason],
            )
            .await?;
            audit::note(
                tx,
                format!("account:{by}"),
                &format!("{}.{}", found.kind.name(), decision.name()),
                format!("cash:{id}"),
                json!({ "reason": reason }),
                now,
            )
            .await?;
            events::of_cash(tx, &found, decision, reason, now).await?;
            let decided = CashRequest {
                decision,
                decided_by: Some(by),
                reason: reason.into(),
                ..found
            };
            notices::cash_decided(tx, &decided, now).await?;
            Ok(decided)
        })
    }

    async fn cash_requests(
        &self,
        kind: TransferKind,
        account: Option<AccountId>,
        page: &PageRequest,
    ) -> Result<Page<CashRequest>> {
        let mut w = Where::default();
        w.and("kind = ?", vals![kind.name()]);
        if let Some(a) = account {
            w.and("account = ?", vals![t(a)]);
        }
        w.after("id < ?", page);
        let sql = format!(
            "SELECT * FROM cash_requests {} ORDER BY id DESC LIMIT {}",
            w.sql(),
            page.first + 1
        );
        rows::page(page, &self.all(&sql, w.values).await?, "id", cash)
    }

    async fn ledger_check(&self) -> Result<LedgerReport> {
        // One transaction: balances, transfers and postings of one moment.
        let tx = self.begin_read("ledger.check").await?;
        let report = check(&tx).await;
        tx.rollback().await;
        report
    }
}

/// What the postings of an account add up to; wider than any balance.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Built {
    posted: i128,
    pending_out: i128,
    pending_in: i128,
}

impl From<&Balance> for Built {
    fn from(b: &Balance) -> Self {
        Self {
            posted: b.posted.into(),
            pending_out: b.pending_out.into(),
            pending_in: b.pending_in.into(),
        }
    }
}

/// Every balance by its account.
async fn stated_balances(tx: &Tx) -> Result<BTreeMap<LedgerAccount, Balance>> {
    let sql =
        format!("SELECT * FROM ledger_accounts WHERE account > $1 ORDER BY account LIMIT {BATCH}");
    let mut stated = BTreeMap::new();
    let mut last = String::new();
    loop {
        let rows = tx.all(&sql, vals![&last]).await?;
        for r in &rows {
            last = text(r, "account")?;
            stated.insert(parsed(r, "account")?, balance(r)?);
        }
        if rows.len() < BATCH {
            return Ok(stated);
        }
    }
}

/// Recomputes the balances from the postings, a page at a time.
async fn check(tx: &Tx) -> Result<LedgerReport> {
    let stated = stated_balances(tx).await?;
    let mut built: BTreeMap<LedgerAccount, Built> = BTreeMap::new();
    // The transfer whose postings are being read, and their sum.
    let mut under_way: Option<(String, i128)> = None;
    let mut with_postings = 0u64;
    let sums_to_zero = |done: Option<(String, i128)>| match done {
        Some((id, sum)) if sum != 0 => {
            let what = format!("transfer {id} sums to {sum}");
            Err(DomainError::LedgerBroken { what })
        }
        _ => Ok(()),
    };
    let sql = format!(
        "SELECT p.transfer AS transfer, p.account AS account, p.amount AS amount, t.state AS state
         FROM postings p JOIN transfers t ON t.id = p.transfer
         WHERE p.transfer > $1 OR (p.transfer = $1 AND p.account > $2)
         ORDER BY p.transfer, p.account LIMIT {BATCH}"
    );
    let mut last = (String::new(), String::new());
    loop {
        let rows = tx.all(&sql, vals![&last.0, &last.1]).await?;
        for r in &rows {
            let p = posting(r)?;
            last = (text(r, "transfer")?, text(r, "account")?);
            let amount = i128::from(p.amount);
            match &mut under_way {
                Some((id, sum)) if *id == last.0 => *sum += amount,
                _ => {
                    sums_to_zero(under_way.take())?;
                    with_postings += 1;
                    under_way = Some((last.0.clone(), amount));
                }
            }
            let b = built.entry(p.account).or_default();
            match TransferState::parse(&text(r, "state")?)? {
                TransferState::Posted => b.posted += amount,
                TransferState::Voided => {}
                TransferState::Pending | TransferState::Committed if amount < 0 => {
                    b.pending_out -= amount;
                }
                TransferState::Pending | TransferState::Committed => b.pending_in += amount,
            }
        }
        if rows.len() < BATCH {
            break;
        }
    }
    sums_to_zero(under_way)?;
    let n = tx
        .one("SELECT COUNT(*) AS n FROM transfers", vec![])
        .await?;
    let transfers = n.map_or(Ok(0), |r| number(&r, "n"))?;
    if transfers != with_postings {
        let what = format!("{transfers} transfers, {with_postings} with postings");
        return Err(DomainError::LedgerBroken { what });
    }
    for (account, b) in &stated {
        let want = built.get(account).copied().unwrap_or_default();
        if want != Built::from(b) {
            let what = format!("{account} states {b:?}, its postings make {want:?}");
            return Err(DomainError::LedgerBroken { what });
        }
    }
    if let Some(a) = built.keys().find(|a| !stated.contains_key(a)) {
        return Err(DomainError::LedgerBroken {
            what: format!("{a} has no balance"),
        });
    }
    let LedgerSums { posted, pending } = check_balances(&stated)?;
    Ok(LedgerReport {
        accounts: stated.len() as u64,
        transfers,
        posted_sum: i64::try_from(posted).unwrap_or(i64::MAX),
        pending_sum: i64::try_from(pending).unwrap_or(i64::MAX),
    })
}
