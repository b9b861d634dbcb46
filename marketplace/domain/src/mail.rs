//! Letters to people (MAIL): their kinds, who may switch which off, when one is
//! tried again, and the outbox that holds them. Pure: the store keeps the rows,
//! the server's worker takes them out.

use crate::{
    DomainError, Millis, Result,
    id::{AccountId, LeaseToken, MailId},
    records::{Page, PageRequest},
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a person may switch off (MAIL-6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MailGroup {
    /// Of orders: placed, released, refunded, received, earned.
    Orders,
    /// Of one's listings: submitted, approved, rejected, appeals.
    Listings,
    /// A listing's quota or tickets run low.
    Budgets,
    /// An order nears its deadline.
    Deadlines,
    /// Deposits and withdrawals were decided.
    Cash,
}

impl MailGroup {
    /// Every group.
    pub const ALL: [Self; 5] = [
        Self::Orders,
        Self::Listings,
        Self::Budgets,
        Self::Deadlines,
        Self::Cash,
    ];
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident => $text:literal, $group:expr;)*) => {
        /// What a letter says. One template each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum MailKind {
            $($(#[doc = $doc])+ $name,)*
        }

        impl MailKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name in the database and the API.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The group that may be switched off; none is always sent: what is
            /// about the account itself must reach its owner (MAIL-6).
            pub fn group(self) -> Option<MailGroup> {
                match self { $(Self::$name => $group,)* }
            }
        }
    };
}

kinds! {
    /// A link that proves that the address is read.
    VerifyMail => "verify_mail", None;
    /// A link that sets a new password.
    PasswordReset => "password_reset", None;
    /// The password was changed.
    PasswordChanged => "password_changed", None;
    /// The address was changed: to the old one.
    MailChanged => "mail_changed", None;
    /// The second factor was switched on or off.
    SecondFactorChanged => "second_factor_changed", None;
    /// A listing waits for review.
    ListingSubmitted => "listing_submitted", Some(MailGroup::Listings);
    /// A listing is published.
    ListingApproved => "listing_approved", Some(MailGroup::Listings);
    /// A listing was sent back, with the reason.
    ListingRejected => "listing_rejected", Some(MailGroup::Listings);
    /// To the admin who sent a listing back: its owner appeals.
    AppealReceived => "appeal_received", Some(MailGroup::Listings);
    /// To the buyer: the price is in escrow.
    OrderPlaced => "order_placed", Some(MailGroup::Orders);
    /// To the buyer: the result and its receipt are there.
    OrderReleased => "order_released", Some(MailGroup::Orders);
    /// To the buyer: the price came back.
    OrderRefunded => "order_refunded", Some(MailGroup::Orders);
    /// To the custodian: somebody ordered on the listing.
    OrderReceived => "order_received", Some(MailGroup::Orders);
    /// To the custodian: the order was delivered and paid.
    OrderEarned => "order_earned", Some(MailGroup::Orders);
    /// Little is left of a listing's quota or tickets.
    BudgetLow => "budget_low", Some(MailGroup::Budgets);
    /// An order that is not opened nears its deadline.
    DeadlineNear => "deadline_near", Some(MailGroup::Deadlines);
    /// The account was suspended.
    AccountSuspended => "account_suspended", None;
    /// The account is as before.
    AccountRestored => "account_restored", None;
    /// A webhook failed too often.
    WebhookDisabled => "webhook_disabled", None;
    /// A deposit or withdrawal was decided.
    CashDecided => "cash_decided", Some(MailGroup::Cash);
    /// A pod or key node was approved or refused.
    MachineDecided => "machine_decided", None;
}

impl MailKind {
    /// Reads a name.
    pub fn parse(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|k| k.name() == name);
        found
            .copied()
            .ok_or_else(|| DomainError::invalid("mail kind", format!("unknown kind {name:?}")))
    }
}

/// What an account wants to be told; all of it unless switched off (MAIL-6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preferences {
    /// Of orders.
    pub orders: bool,
    /// Of one's listings.
    pub listings: bool,
    /// Quotas and tickets that run low.
    pub budgets: bool,
    /// Deadlines that near.
    pub deadlines: bool,
    /// Deposits and withdrawals.
    pub cash: bool,
}

impl Default for Preferences {
    fn default() -> Self {
        Self::all(true)
    }
}

impl Preferences {
    /// Everything on, or off.
    pub fn all(on: bool) -> Self {
        Self {
            orders: on,
            listings: on,
            budgets: on,
            deadlines: on,
            cash: on,
        }
    }
    /// Whether a letter of the kind is wanted (MAIL-6).
    pub fn want(&self, kind: MailKind) -> bool {
        match kind.group() {
            None => true,
            Some(MailGroup::Orders) => self.orders,
            Some(MailGroup::Listings) => self.listings,
            Some(MailGroup::Budgets) => self.budgets,
            Some(MailGroup::Deadlines) => self.deadlines,
            Some(MailGroup::Cash) => self.cash,
        }
    }
}

/// A letter as it is put into the outbox. Secrets never lie in `facts`: a link's
/// token is named by purpose and nonce and made when the letter is rendered
/// (MAIL-4).
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    /// Its id; the Message-ID is made from it.
    pub id: MailId,
    /// Whose, if anybody's.
    pub account: Option<AccountId>,
    /// Where to.
    pub address: String,
    /// What it says.
    pub kind: MailKind,
    /// What the template fills in.
    pub facts: Value,
}

/// Where a letter is (MAIL-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MailState {
    /// To be sent, now or after a wait.
    Waiting,
    /// A worker holds it; nothing of it was handed to the relay.
    Claimed,
    /// It is being handed to the relay.
    Sending,
    /// The relay took it.
    Sent,
    /// It was handed to the relay and the answer was lost: never repeated unless
    /// an admin says so.
    Unknown,
    /// Refused for good, or too often.
    Failed,
    /// The account does not want such letters.
    Skipped,
    /// An admin looked at it and let it be.
    Dismissed,
}

impl MailState {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Waiting,
        Self::Claimed,
        Self::Sending,
        Self::Sent,
        Self::Unknown,
        Self::Failed,
        Self::Skipped,
        Self::Dismissed,
    ];

    /// The name in the database and the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Claimed => "claimed",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Dismissed => "dismissed",
        }
    }
    /// Reads a name.
    pub fn parse(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|s| s.name() == name);
        found.ok_or_else(|| DomainError::invalid("mail state", format!("unknown state {name:?}")))
    }
    /// Whether an admin may have it sent (again), or put it aside.
    pub fn decidable(self) -> bool {
        matches!(self, Self::Failed | Self::Unknown)
    }
}

/// A letter as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct MailRecord {
    /// What was put in; facts are `{}` and the address empty once erased.
    pub letter: Letter,
    /// Where it is.
    pub state: MailState,
    /// When it was put in.
    pub created_at: Millis,
    /// When it is due next, while it waits.
    pub due_at: Millis,
    /// How often it was tried.
    pub attempts: u32,
    /// What the last try came to, for people.
    pub error: String,
    /// When the relay took it.
    pub sent_at: Option<Millis>,
    /// When facts and address were erased (MAIL-8).
    pub erased_at: Option<Millis>,
}

/// Which letters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailFilter {
    /// Only of this account.
    pub account: Option<AccountId>,
    /// Only to this address.
    pub address: Option<String>,
    /// Only in this state.
    pub state: Option<MailState>,
}

/// How the outbox is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MailCounts {
    /// Waiting, claimed or being sent.
    pub waiting: u64,
    /// When the oldest of them was due.
    pub oldest_due: Option<Millis>,
    /// Refused for good, and nobody has decided.
    pub failed: u64,
    /// Handed over without an answer, and nobody has decided.
    pub unknown: u64,
}

/// How long a worker holds a letter: longer than a dialogue can last.
pub const MAIL_LEASE_MILLIS: Millis = 10 * 60_000;
/// Tries before a letter fails: about two days of a relay that refuses for now.
pub const MAIL_ATTEMPTS: u32 = 16;
const FIRST_WAIT: Millis = 30_000;
const LONGEST_WAIT: Millis = 6 * 3_600_000;

/// How long after its `attempts`-th try a letter is tried again (MAIL-3): 30 s,
/// doubled each time, at most six hours; none when it was the last.
pub fn next_try(attempts: u32) -> Option<Millis> {
    let doubled = FIRST_WAIT << attempts.saturating_sub(1).min(20);
    (attempts < MAIL_ATTEMPTS).then(|| doubled.min(LONGEST_WAIT))
}

/// Whether so little is left that the custodian is told (MAIL-7): below a tenth.
pub fn runs_low(left: u64, whole: u64) -> bool {
    u128::from(left) * 10 < u128::from(whole)
}

/// When an order that is not opened is mentioned (MAIL-7): a quarter of its time
/// before its deadline.
pub fn reminder_at(placed_at: Millis, deadline: Millis) -> Millis {
    deadline - deadline.saturating_sub(placed_at) / 4
}

/// The outbox (MAIL). What puts letters in is part of the transactions of the
/// other ports; this takes them out.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// When the first letter that waits is due.
    async fn mail_due(&self) -> Result<Option<Millis>>;
    /// Takes the letter that is due longest, under a lease (MAIL-2).
    async fn claim_mail(&self, token: LeaseToken, now: Millis) -> Result<Option<MailRecord>>;
    /// Says that the letter is handed to the relay now: from here on it is not
    /// repeated by itself (MAIL-2).
    async fn mail_sending(&self, id: MailId, token: LeaseToken, now: Millis) -> Result<()>;
    /// Says what became of a claimed letter: sent, failed, unknown, skipped, or
    /// waiting until `due`.
    async fn settle_mail(
        &self,
        id: MailId,
        token: LeaseToken,
        state: MailState,
        why: &str,
        due: Millis,
        now: Millis,
    ) -> Result<()>;
    /// Letters whose worker is gone: those that were only claimed wait again,
    /// those that were being sent are unknown; or wait again too, where sending
    /// twice is the same as once (`repeatable`). How many of each.
    async fn recover_mail(&self, repeatable: bool, now: Millis) -> Result<(u64, u64)>;
    /// Puts in what falls due by time alone: deadlines that near (MAIL-7); at
    /// most `limit`. How many letters.
    async fn remind(&self, now: Millis, limit: u32) -> Result<u64>;
    /// Erases facts and addresses of letters that ended before (MAIL-8); which.
    async fn erase_mail(&self, before: Millis, limit: u32, now: Millis) -> Result<Vec<MailId>>;
    /// Newest first, by keyset.
    async fn mails(&self, filter: &MailFilter, page: &PageRequest) -> Result<Page<MailRecord>>;
    /// By id.
    async fn mail(&self, id: MailId) -> Result<MailRecord>;
    /// An admin has a failed or unknown letter sent (again), or puts it aside.
    async fn decide_mail(
        &self,
        id: MailId,
        by: AccountId,
        send: bool,
        now: Millis,
    ) -> Result<MailRecord>;
    /// How the outbox is.
    async fn mail_counts(&self) -> Result<MailCounts>;
    /// What an account wants (MAIL-6).
    async fn preferences(&self, account: AccountId) -> Result<Preferences>;
    /// Sets it.
    async fn set_preferences(
        &self,
        account: AccountId,
        preferences: Preferences,
        now: Millis,
    ) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_read_back() {
        let names: BTreeSet<_> = MailKind::ALL.iter().map(|k| k.name()).collect();
        assert_eq!(names.len(), MailKind::ALL.len());
        for k in MailKind::ALL {
            assert_eq!(MailKind::parse(k.name()), Ok(*k));
            let json = serde_json::to_value(k).expect("serialises");
            assert_eq!(json, k.name());
        }
        for s in MailState::ALL {
            assert_eq!(MailState::parse(s.name()), Ok(s));
        }
        for refused in [
            MailKind::parse("spam").map(drop),
            MailState::parse("lost").map(drop),
        ] {
            assert!(matches!(refused, Err(DomainError::Invalid { .. })));
        }
    }

    #[test]
    fn what_is_about_the_account_is_always_sent() {
        // MAIL-6
        let none = Preferences::all(false);
        let always: Vec<_> = MailKind::ALL.iter().filter(|k| none.want(**k)).collect();
        for k in [
            MailKind::VerifyMail,
            MailKind::PasswordReset,
            MailKind::PasswordChanged,
            MailKind::MailChanged,
            MailKind::SecondFactorChanged,
            MailKind::AccountSuspended,
            MailKind::AccountRestored,
        ] {
            assert!(always.contains(&&k), "{k:?}");
        }
        assert!(
            MailKind::ALL
                .iter()
                .all(|k| Preferences::default().want(*k))
        );
        for group in MailGroup::ALL {
            let mut p = Preferences::default();
            match group {
                MailGroup::Orders => p.orders = false,
                MailGroup::Listings => p.listings = false,
                MailGroup::Budgets => p.budgets = false,
                MailGroup::Deadlines => p.deadlines = false,
                MailGroup::Cash => p.cash = false,
            }
            for k in MailKind::ALL {
                assert_eq!(p.want(*k), k.group() != Some(group), "{k:?}");
            }
        }
    }

    #[test]
    fn waits_double_up_to_six_hours_and_end() {
        // MAIL-3
        let waits: Vec<_> = (1..).map_while(next_try).collect();
        assert_eq!(waits.len() as u32, MAIL_ATTEMPTS - 1);
        assert_eq!(waits[..3], [30_000, 60_000, 120_000]);
        assert!(waits.windows(2).all(|w| w[0] <= w[1]));
        assert_eq!(waits.last(), Some(&LONGEST_WAIT));
        let days = waits.iter().sum::<u64>() as f64 / 86_400_000.0;
        assert!((1.5..2.5).contains(&days), "{days}");
        assert_eq!(next_try(u32::MAX), None);
    }

    #[test]
    fn low_is_below_a_tenth_and_reminders_come_at_three_quarters() {
        // MAIL-7
        assert!(runs_low(9, 100) && !runs_low(10, 100) && !runs_low(0, 0));
        assert!(runs_low(u64::MAX / 11, u64::MAX) && !runs_low(u64::MAX, u64::MAX));
        assert_eq!(reminder_at(1_000, 5_000), 4_000);
        assert_eq!(reminder_at(5_000, 5_000), 5_000);
        assert_eq!(reminder_at(6_000, 5_000), 5_000);
    }
}
