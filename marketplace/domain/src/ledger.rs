//! The double-entry ledger (LED-1..4) as pure logic. The store loads balances,
//! applies these functions and writes them back; [`Ledger`] is the same in
//! memory and the model that the store is tested against.

use crate::{
    DomainError, MinorUnits, Result, Split,
    id::{AccountId, TransferId},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// Whose money (LED-3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum LedgerAccount {
    /// What came in from outside, negative.
    World,
    /// The marketplace's fees.
    Fees,
    /// A buyer, custodian or pod operator.
    User(AccountId),
}

impl fmt::Display for LedgerAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::World => f.write_str("world"),
            Self::Fees => f.write_str("fees"),
            Self::User(id) => write!(f, "user:{id}"),
        }
    }
}
impl From<LedgerAccount> for String {
    fn from(v: LedgerAccount) -> Self {
        v.to_string()
    }
}
impl FromStr for LedgerAccount {
    type Err = DomainError;
    fn from_str(s: &str) -> Result<Self> {
        match s {
            "world" => Ok(Self::World),
            "fees" => Ok(Self::Fees),
            _ => match s.strip_prefix("user:") {
                Some(id) => Ok(Self::User(id.parse()?)),
                None => Err(DomainError::invalid(
                    "ledger account",
                    format!("unknown {s:?}"),
                )),
            },
        }
    }
}
impl TryFrom<String> for LedgerAccount {
    type Error = DomainError;
    fn try_from(s: String) -> Result<Self> {
        s.parse()
    }
}

/// What a transfer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferKind {
    /// World to a user.
    Deposit,
    /// A user to world.
    Withdrawal,
    /// A buyer to custodian, pod operator and fees.
    Escrow,
}

impl TransferKind {
    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deposit => "deposit",
            Self::Withdrawal => "withdrawal",
            Self::Escrow => "escrow",
        }
    }
    /// Reads a name.
    pub fn parse(s: &str) -> Result<Self> {
        [Self::Deposit, Self::Withdrawal, Self::Escrow]
            .into_iter()
            .find(|k| k.name() == s)
            .ok_or_else(|| DomainError::invalid("transfer kind", format!("unknown {s:?}")))
    }
}

/// Most deposits and withdrawals of an account that wait for a decision (LED-4).
pub const MAX_OPEN_REQUESTS: u64 = 8;
/// Most money in them (LED-4). They are reserved on `world` too, which all
/// accounts share: nine million accounts would have to fill theirs to fill it.
pub const MAX_OPEN_AMOUNT: i64 = 1_000_000_000_000;

/// Refuses a request beyond what may wait at once: `open` requests of `total`
/// wait already.
pub fn check_open_requests(open: u64, total: i128, amount: MinorUnits) -> Result<()> {
    let limit = MAX_OPEN_REQUESTS;
    if open >= limit {
        return Err(DomainError::CashPending {
            what: "requests",
            limit,
            value: open.saturating_add(1),
        });
    }
    let total = total.saturating_add(i128::from(amount.get()));
    if total > i128::from(MAX_OPEN_AMOUNT) {
        return Err(DomainError::CashPending {
            what: "minor units requested",
            limit: MAX_OPEN_AMOUNT.unsigned_abs(),
            value: u64::try_from(total).unwrap_or(u64::MAX),
        });
    }
    Ok(())
}

/// Where a transfer stands (LED-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferState {
    /// Reserved; may be posted or voided.
    Pending,
    /// Reserved; a grant is out, so only a signed non-delivery voids it (SET-3).
    Committed,
    /// Done.
    Posted,
    /// Undone.
    Voided,
}

impl TransferState {
    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Committed => "committed",
            Self::Posted => "posted",
            Self::Voided => "voided",
        }
    }
    /// Reads a name.
    pub fn parse(s: &str) -> Result<Self> {
        [Self::Pending, Self::Committed, Self::Posted, Self::Voided]
            .into_iter()
            .find(|k| k.name() == s)
            .ok_or_else(|| DomainError::invalid("transfer state", format!("unknown {s:?}")))
    }
    /// Takes a step or refuses it.
    pub fn step(self, step: TransferStep) -> Result<Self> {
        match (self, step) {
            (Self::Pending, TransferStep::Commit) => Ok(Self::Committed),
            (Self::Pending | Self::Committed, TransferStep::Post) => Ok(Self::Posted),
            (Self::Pending, TransferStep::Void)
            | (Self::Committed, TransferStep::VoidByNonDelivery) => Ok(Self::Voided),
            (found, step) => Err(DomainError::TransferState {
                found: found.name(),
                wanted: match step {
                    TransferStep::Commit => "committed",
                    TransferStep::Post => "posted",
                    TransferStep::Void | TransferStep::VoidByNonDelivery => "voided",
                },
            }),
        }
    }
}

/// A step of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferStep {
    /// A grant goes out: not voidable any more (SET-3).
    Commit,
    /// The money moves.
    Post,
    /// The money stays.
    Void,
    /// The money stays, on a signed non-delivery that revealed nothing (SET-3).
    VoidByNonDelivery,
}

/// One side of a transfer: `amount` is added to the account (negative: taken).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Posting {
    /// Whose.
    pub account: LedgerAccount,
    /// How much.
    #[serde(with = "veilbourse_core::decimal")]
    pub amount: i64,
}

/// The postings of a transfer: not empty, one an account, none zero, summing
/// to zero (LED-1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postings(Vec<Posting>);

impl Postings {
    /// Adds up what goes to one account, drops zeros and checks the sum.
    pub fn new(parts: &[(LedgerAccount, i64)]) -> Result<Self> {
        let mut by_account: BTreeMap<LedgerAccount, i64> = BTreeMap::new();
        let mut sum = 0i64;
        for (account, amount) in parts {
            let wide = DomainError::Amount {
                field: "posting",
                value: *amount,
            };
            let slot = by_account.entry(*account).or_default();
            *slot = slot.checked_add(*amount).ok_or(wide.clone())?;
            sum = sum.checked_add(*amount).ok_or(wide)?;
        }
        let list: Vec<_> = by_account
            .into_iter()
            .filter(|(_, amount)| *amount != 0)
            .map(|(account, amount)| Posting { account, amount })
            .collect();
        if sum != 0 || list.is_empty() {
            return Err(DomainError::Unbalanced { sum });
        }
        Ok(Self(list))
    }
    /// World to user.
    pub fn deposit(user: AccountId, amount: MinorUnits) -> Result<Self> {
        let a = amount.get();
        Self::new(&[(LedgerAccount::World, -a), (LedgerAccount::User(user), a)])
    }
    /// User to world.
    pub fn withdrawal(user: AccountId, amount: MinorUnits) -> Result<Self> {
        let a = amount.get();
        Self::new(&[(LedgerAccount::World, a), (LedgerAccount::User(user), -a)])
    }
    /// Buyer to custodian, pod operator and fees, exactly (SET-4).
    pub fn escrow(
        buyer: AccountId,
        custodian: AccountId,
        pod: AccountId,
        split: Split,
    ) -> Result<Self> {
        Self::new(&[
            (LedgerAccount::User(buyer), -split.total()?.get()),
            (LedgerAccount::User(custodian), split.custodian.get()),
            (LedgerAccount::User(pod), split.pod.get()),
            (LedgerAccount::Fees, split.fee.get()),
        ])
    }
    /// The postings, by account.
    pub fn iter(&self) -> impl Iterator<Item = &Posting> {
        self.0.iter()
    }
}

/// What an account has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Balance {
    /// Moved.
    #[serde(with = "veilbourse_core::decimal")]
    pub posted: i64,
    /// Reserved to leave, non-negative.
    #[serde(with = "veilbourse_core::decimal")]
    pub pending_out: i64,
    /// Announced to come, non-negative, not spendable.
    #[serde(with = "veilbourse_core::decimal")]
    pub pending_in: i64,
}

/// What happens to an account when its transfer takes a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The transfer becomes pending.
    Reserve,
    /// It is posted.
    Post,
    /// It is voided.
    Void,
}

impl Balance {
    /// available = posted - reserved (LED-3).
    pub fn available(&self) -> i64 {
        self.posted.saturating_sub(self.pending_out)
    }

    /// Applies an effect of one posting; only `world` may go below zero (LED-3).
    pub fn apply(self, effect: Effect, posting: &Posting) -> Result<Self> {
        let Posting { account, amount } = *posting;
        let wide = || DomainError::Amount {
            field: "balance",
            value: amount,
        };
        let add = |a: i64, b: i64| a.checked_add(b).ok_or_else(wide);
        let mut b = self;
        let reserved = if amount < 0 {
            &mut b.pending_out
        } else {
            &mut b.pending_in
        };
        let size = amount.checked_abs().ok_or_else(wide)?;
        *reserved = match effect {
            Effect::Reserve => add(*reserved, size)?,
            Effect::Post | Effect::Void => add(*reserved, -size)?,
        };
        if effect == Effect::Post {
            b.posted = add(b.posted, amount)?;
        }
        if b.pending_in < 0 || b.pending_out < 0 {
            return Err(DomainError::LedgerBroken {
                what: format!("{account} has {b:?}"),
            });
        }
        if effect == Effect::Reserve
            && amount < 0
            && account != LedgerAccount::World
            && b.available() < 0
        {
            return Err(DomainError::InsufficientFunds {
                available: MinorUnits::new(self.available().max(0))?,
                needed: MinorUnits::new(size)?,
            });
        }
        Ok(b)
    }
}

/// The balances' sums; both zero in a sound ledger (LED-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LedgerSums {
    /// Sum of posted.
    pub posted: i128,
    /// Sum of pending_in - pending_out.
    pub pending: i128,
}

/// Checks balances against LED-1 and LED-3.
pub fn check_balances<'a>(
    balances: impl IntoIterator<Item = (&'a LedgerAccount, &'a Balance)>,
) -> Result<LedgerSums> {
    let mut sums = LedgerSums::default();
    for (account, b) in balances {
        sums.posted += i128::from(b.posted);
        sums.pending += i128::from(b.pending_in) - i128::from(b.pending_out);
        let negative = b.available() < 0 && *account != LedgerAccount::World;
        if negative || b.pending_in < 0 || b.pending_out < 0 {
            return Err(DomainError::LedgerBroken {
                what: format!("{account} has {b:?}"),
            });
        }
    }
    if sums != LedgerSums::default() {
        return Err(DomainError::LedgerBroken {
            what: format!("posted sum {}, pending sum {}", sums.posted, sums.pending),
        });
    }
    Ok(sums)
}

/// A ledger in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    balances: BTreeMap<LedgerAccount, Balance>,
    transfers: BTreeMap<TransferId, (TransferState, Postings)>,
}

impl Ledger {
    /// An account's balance.
    pub fn balance(&self, account: LedgerAccount) -> Balance {
        self.balances.get(&account).copied().unwrap_or_default()
    }
    /// A transfer's state.
    pub fn state(&self, id: TransferId) -> Option<TransferState> {
        self.transfers.get(&id).map(|t| t.0)
    }
    /// Opens a pending transfer; on refusal nothing changes (SET-1).
    pub fn open(&mut self, id: TransferId, postings: Postings) -> Result<()> {
        if self.transfers.contains_key(&id) {
            return Err(DomainError::Conflict { what: "transfer" });
        }
        self.apply(Effect::Reserve, &postings)?;
        self.transfers
            .insert(id, (TransferState::Pending, postings));
        Ok(())
    }
    /// Takes a step of a transfer; on refusal nothing changes (LED-2).
    pub fn step(&mut self, id: TransferId, step: TransferStep) -> Result<TransferState> {
        let Some((state, postings)) = self.transfers.get(&id).cloned() else {
            return Err(DomainError::NotFound { what: "transfer" });
        };
        let next = state.step(step)?;
        match next {
            TransferState::Posted => self.apply(Effect::Post, &postings)?,
            TransferState::Voided => self.apply(Effect::Void, &postings)?,
            TransferState::Pending | TransferState::Committed => {}
        }
        self.transfers.insert(id, (next, postings));
        Ok(next)
    }
    /// Checks LED-1 and LED-3.
    pub fn check(&self) -> Result<LedgerSums> {
        check_balances(&self.balances)
    }
    fn apply(&mut self, effect: Effect, postings: &Postings) -> Result<()> {
        let changed: Vec<_> = postings
            .iter()
            .map(|p| Ok((p.account, self.balance(p.account).apply(effect, p)?)))
            .collect::<Result<_>>()?;
        self.balances.extend(changed);
        Ok(())
    }
}
