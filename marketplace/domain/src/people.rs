//! People's accounts as the ports speak of them (ACC-8..17), the history of
//! reviews (REV), and what staff, custodians and operators look at.

use crate::{
    DomainError, Millis, MinorUnits, Result,
    id::{AccountId, ListingId, MachineId, OrderId, PublicKey, SessionId},
    listing::{Listing, ListingStep},
    mail::Letter,
    order::Order,
    records::{Account, Page, PageRequest, Session},
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use veilbourse_core::digest::Digest;

/// Whether an account may be used (ACC-15, ACC-16).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// As usual.
    Active,
    /// An admin has suspended it: nobody signs in.
    Suspended,
    /// Its owner has deleted it: what was personal is gone.
    Deleted,
}

impl AccountState {
    /// The name in the API and the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
        }
    }
    /// Reads a name.
    pub fn parse(s: &str) -> Result<Self> {
        [Self::Active, Self::Suspended, Self::Deleted]
            .into_iter()
            .find(|v| v.name() == s)
            .ok_or_else(|| DomainError::invalid("account state", format!("unknown {s:?}")))
    }
    /// Takes a step between active and suspended.
    pub fn step(self, to: Self) -> Result<Self> {
        match (self, to) {
            (Self::Active, Self::Suspended) | (Self::Suspended, Self::Active) => Ok(to),
            (found, to) => Err(DomainError::AccountState {
                found: found.name(),
                wanted: to.name(),
            }),
        }
    }
}

/// What a link in a letter is for (ACC-9, ACC-10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenPurpose {
    /// Shows that the account's address is its owner's.
    VerifyMail,
    /// Shows the same of the address that is to take its place.
    ChangeMail,
    /// Sets another password.
    ResetPassword,
}

impl TokenPurpose {
    /// The name in letters and the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::VerifyMail => "verify-mail",
            Self::ChangeMail => "change-mail",
            Self::ResetPassword => "reset-password",
        }
    }
    /// Reads a name.
    pub fn parse(s: &str) -> Result<Self> {
        [Self::VerifyMail, Self::ChangeMail, Self::ResetPassword]
            .into_iter()
            .find(|v| v.name() == s)
            .ok_or_else(|| DomainError::invalid("purpose", format!("unknown {s:?}")))
    }
    /// How long a link is good.
    pub fn lives(self) -> Millis {
        match self {
            Self::VerifyMail => 3 * 86_400_000,
            Self::ChangeMail => 86_400_000,
            Self::ResetPassword => 3_600_000,
        }
    }
}

/// A link's row: what the token is derived from, never the token (ACC-9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailToken {
    /// Sixteen random bytes in hex: names the row.
    pub nonce: String,
    /// What it is for.
    pub purpose: TokenPurpose,
    /// Whose.
    pub account: AccountId,
    /// The address it was sent to.
    pub address: String,
    /// Not after.
    pub expires_at: Millis,
    /// When it was used.
    pub used_at: Option<Millis>,
}

/// A second factor as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondFactor {
    /// The secret, sealed under the server's key, in hex.
    pub sealed: String,
    /// Since when signing in asks for it; none before the first code.
    pub since: Option<Millis>,
    /// The last time step that a code was accepted of (ACC-11).
    pub step: u64,
}

/// What proves a second factor: used up in the transaction of what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactorProof {
    /// A code of this time step, greater than the last one.
    Step(u64),
    /// The hash of a recovery code.
    Recovery(Digest),
}

/// Of a live session, what each request looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSession {
    /// The session.
    pub session: Session,
    /// Whose, with roles as they are now.
    pub account: Account,
}

/// A step in a listing's review (REV-1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewEntry {
    /// When.
    pub at: Millis,
    /// Who.
    pub by: AccountId,
    /// Their name.
    pub by_name: String,
    /// submitted, approved, rejected or appealed.
    pub decision: String,
    /// Why.
    pub reason: String,
}

/// Accounts of people (ACC-8..17) and reviews (REV).
#[async_trait]
pub trait People: Send + Sync {
    /// Stores an account with the link and letter that verify its mail; a mail
    /// that is taken is noted and answered with false (ACC-9).
    async fn register_account(
        &self,
        account: &Account,
        link: &MailToken,
        letter: &Letter,
        now: Millis,
    ) -> Result<bool>;
    /// Stores a link and its letter.
    async fn send_link(&self, link: &MailToken, letter: &Letter, now: Millis) -> Result<()>;
    /// The same for another address, which a session asks for: as long as the
    /// session is live. For an address that is taken nothing is stored (ACC-9).
    async fn send_change(
        &self,
        session: SessionId,
        link: &MailToken,
        letter: &Letter,
        now: Millis,
    ) -> Result<()>;
    /// A link's row by its nonce.
    async fn link(&self, nonce: &str) -> Result<Option<MailToken>>;
    /// The newest unused link for a purpose and address.
    async fn newest_link(&self, purpose: TokenPurpose, address: &str) -> Result<Option<MailToken>>;
    /// Uses a link that verifies an address: the account's own, or the one that
    /// takes its place, with the letter to the old one (ACC-9).
    async fn verify_address(&self, nonce: &str, letter: &Letter, now: Millis) -> Result<Account>;
    /// Uses a link that sets a password: every session ends; an account that was
    /// not verified is, and loses its signing keys (ACC-10).
    async fn reset_password(
        &self,
        nonce: &str,
        hash: &str,
        letter: &Letter,
        now: Millis,
    ) -> Result<AccountId>;
    /// Changes the password; every other session ends (ACC-10).
    async fn change_password(
        &self,
        id: AccountId,
        keep: SessionId,
        hash: &str,
        proof: Option<&FactorProof>,
        letter: &Letter,
        now: Millis,
    ) -> Result<()>;
    /// Changes the name shown.
    async fn change_name(&self, id: AccountId, name: &str, now: Millis) -> Result<Account>;

    /// The second factor, if one was begun.
    async fn second_factor(&self, id: AccountId) -> Result<Option<SecondFactor>>;
    /// Stores a sealed secret that is not asked for yet; refused where one is.
    async fn begin_factor(&self, id: AccountId, sealed: &str, now: Millis) -> Result<()>;
    /// The first code was shown: from now on it is asked for (ACC-11).
    async fn confirm_factor(
        &self,
        id: AccountId,
        step: u64,
        recovery: &[Digest],
        letter: &Letter,
        now: Millis,
    ) -> Result<()>;
    /// Removes it: by its owner with a proof, or by an admin without (ACC-12).
    async fn clear_factor(
        &self,
        id: AccountId,
        by: AccountId,
        proof: Option<&FactorProof>,
        reason: &str,
        letter: &Letter,
        now: Millis,
    ) -> Result<()>;
    /// Uses a proof up; false when it was used before or is none (ACC-11).
    async fn use_proof(&self, id: AccountId, proof: &FactorProof, now: Millis) -> Result<bool>;

    /// Begins a page's session under the hash of its cookie, and ends the one
    /// that the browser had.
    async fn open_web_session(
        &self,
        session: &Session,
        cookie: Digest,
        before: Option<Digest>,
    ) -> Result<()>;
    /// A live session by its id.
    async fn live_session(&self, id: SessionId, now: Millis) -> Result<Option<LiveSession>>;
    /// A live session by the hash of its cookie.
    async fn cookie_session(&self, cookie: Digest, now: Millis) -> Result<Option<LiveSession>>;
    /// Notes that a session is used.
    async fn touch_session(&self, id: SessionId, address: &str, now: Millis) -> Result<()>;
    /// An account's live sessions, newest use first.
    async fn sessions(&self, account: AccountId, now: Millis) -> Result<Vec<Session>>;
    /// Whether the account was lately signed in from an address (ACC-14).
    async fn known_address(&self, account: AccountId, address: &str, since: Millis)
    -> Result<bool>;

    /// Suspends or restores, by an admin: sessions end, published listings are
    /// paused (ACC-15).
    async fn set_account_state(
        &self,
        id: AccountId,
        to: AccountState,
        by: AccountId,
        reason: &str,
        letter: &Letter,
        now: Millis,
    ) -> Result<Account>;
    /// Erases what is personal, keeps the ledger; refused while something is
    /// left that is somebody else's business too (ACC-16).
    async fn delete_account(
        &self,
        id: AccountId,
        proof: Option<&FactorProof>,
        now: Millis,
    ) -> Result<()>;

    /// A reviewer's step, on what was seen (REV-2), with its reason; `letter`
    /// goes with it.
    #[allow(clippy::too_many_arguments)]
    async fn review_listing(
        &self,
        id: ListingId,
        step: ListingStep,
        reason: &str,
        seen: Option<Millis>,
        by: AccountId,
        letter: Option<&Letter>,
        now: Millis,
    ) -> Result<Listing>;
    /// A listing's review, oldest first (REV-1).
    async fn reviews(&self, id: ListingId) -> Result<Vec<ReviewEntry>>;
    /// Forgets links and their nonces that expired a week ago.
    async fn sweep_links(&self, now: Millis) -> Result<u64>;
}

/// What staff sees at a glance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overview {
    /// Accounts that are not deleted.
    pub accounts: u64,
    /// Published listings.
    pub listings_published: u64,
    /// Listings that wait for review.
    pub review_waiting: u64,
    /// Orders that have not ended.
    pub orders_open: u64,
    /// Delivered ones.
    pub orders_released: u64,
    /// Refunded ones.
    pub orders_refunded: u64,
    /// What buyers have paid for delivered orders, minor units.
    pub volume: i64,
    /// Letters that wait.
    pub mails_waiting: u64,
}

/// A delivered order as its custodian counts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earning {
    /// The order.
    pub order: OrderId,
    /// On which listing.
    pub listing: ListingId,
    /// When it was delivered.
    pub at: Millis,
    /// Values revealed.
    pub values: u64,
    /// The custodian's part.
    pub custodian: MinorUnits,
    /// The pod operator's part.
    pub pod: MinorUnits,
}

/// What a machine has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MachineWork {
    /// When it was last heard of, to the minute.
    pub last_seen_at: Option<Millis>,
    /// Jobs done: orders delivered, of a key node parts delivered.
    pub done: u64,
    /// Orders of a pod that were refunded, refusals of a key node.
    pub failed: u64,
    /// Orders it works on.
    pub running: Vec<OrderId>,
}

/// What is looked at: counts and lists over everything.
#[async_trait]
pub trait Insight: Send + Sync {
    /// Counts.
    async fn overview(&self) -> Result<Overview>;
    /// Delivered orders of a custodian, oldest first, after one, in batches.
    async fn earnings(
        &self,
        custodian: AccountId,
        after: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<Earning>>;
    /// The same of a pod.
    async fn pod_earnings(
        &self,
        pod: MachineId,
        after: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<Earning>>;
    /// Orders on a listing, newest first.
    async fn listing_orders(&self, id: ListingId, page: &PageRequest) -> Result<Page<Order>>;
    /// A machine's work; `key` is a node's.
    async fn machine_work(&self, id: MachineId, key: PublicKey) -> Result<MachineWork>;
    /// Notes that a machine was heard of.
    async fn machine_seen(&self, id: MachineId, now: Millis) -> Result<()>;
    /// When approved machines were last heard of: id, name, kind, since when it
    /// is registered, last heard of.
    async fn machines_heard(
        &self,
    ) -> Result<Vec<(MachineId, String, String, Millis, Option<Millis>)>>;
    /// Orders that have not ended and whose deadline is before a time.
    async fn orders_due(&self, before: Millis, limit: u32) -> Result<Vec<(OrderId, Millis)>>;
    /// Pods with how many orders wait for each, most first.
    async fn queues(&self) -> Result<Vec<(MachineId, u64)>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for s in [
            AccountState::Active,
            AccountState::Suspended,
            AccountState::Deleted,
        ] {
            assert_eq!(AccountState::parse(s.name()), Ok(s));
        }
        assert!(AccountState::parse("gone").is_err());
        for p in [
            TokenPurpose::VerifyMail,
            TokenPurpose::ChangeMail,
            TokenPurpose::ResetPassword,
        ] {
            assert_eq!(TokenPurpose::parse(p.name()), Ok(p));
            assert!(p.lives() > 0);
        }
        assert!(TokenPurpose::parse("unsubscribe").is_err());
    }

    #[test]
    fn what_is_deleted_stays_so() {
        // ACC-15, ACC-16
        use AccountState::{Active, Deleted, Suspended};
        assert_eq!(Active.step(Suspended), Ok(Suspended));
        assert_eq!(Suspended.step(Active), Ok(Active));
        for (from, to) in [
            (Active, Active),
            (Suspended, Suspended),
            (Deleted, Active),
            (Deleted, Suspended),
            (Active, Deleted),
        ] {
            let refused = DomainError::AccountState {
                found: from.name(),
                wanted: to.name(),
            };
            assert_eq!(from.step(to), Err(refused));
        }
    }
}
