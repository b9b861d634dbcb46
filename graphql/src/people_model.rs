//! Objects about people's accounts, reviews, and what staff looks at. Times are
//! milliseconds since the epoch and counts 64-bit integers, as decimal strings.

use crate::Money;
use async_graphql::SimpleObject;
use veilbourse_domain::people;

/// A session of one's account.
#[derive(Debug, Clone, SimpleObject)]
pub struct SessionEntry {
    /// Its id, for `revokeSession`.
    pub id: String,
    /// When it began.
    pub created_at: String,
    /// When it was last used, to the minute.
    pub last_seen_at: String,
    /// When it ends, whatever is refreshed.
    pub expires_at: String,
    /// What the program called itself when it signed in.
    pub agent: String,
    /// The address it was last used from.
    pub address: String,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// What sets an authenticator app up; shown once.
#[derive(Debug, Clone, SimpleObject)]
pub struct SecondFactorSetup {
    /// The secret in base32.
    pub secret: String,
    /// The same as an `otpauth` URI.
    pub uri: String,
    /// The URI's QR code: the path data of its dark modules, a unit each.
    pub qr: String,
    /// Width and height of the path's view box.
    pub qr_size: u32,
}

/// A step in a listing's review.
#[derive(Debug, Clone, SimpleObject)]
pub struct ReviewEntry {
    /// When.
    pub at: String,
    /// Name of the account.
    pub by: String,
    /// submitted, approved, rejected or appealed.
    pub decision: String,
    /// Why.
    pub reason: String,
}

impl From<people::ReviewEntry> for ReviewEntry {
    fn from(r: people::ReviewEntry) -> Self {
        Self {
            at: r.at.to_string(),
            by: r.by_name,
            decision: r.decision,
            reason: r.reason,
        }
    }
}

/// Something that staff should look at.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct Alarm {
    /// Stable code.
    pub code: String,
    /// info, warning or critical.
    pub severity: String,
    /// Since when, or when it was found.
    pub at: String,
    /// On what: `order:ID`, `machine:ID`, `listing:ID`, `server`.
    pub subject: String,
    /// In words.
    pub message: String,
}

/// The market at a glance.
#[derive(Debug, Clone, SimpleObject)]
pub struct Overview {
    /// Accounts that are not deleted.
    pub accounts: String,
    /// Published listings.
    pub listings_published: String,
    /// Listings that wait for review.
    pub review_waiting: String,
    /// Orders that have not ended.
    pub orders_open: String,
    /// Delivered ones.
    pub orders_released: String,
    /// Refunded ones.
    pub orders_refunded: String,
    /// Paid for delivered orders.
    pub volume: Money,
    /// Letters that wait to be sent.
    pub mails_waiting: String,
}

impl From<people::Overview> for Overview {
    fn from(o: people::Overview) -> Self {
        let people::Overview {
            accounts,
            listings_published,
            review_waiting,
            orders_open,
            orders_released,
            orders_refunded,
            volume,
            mails_waiting,
        } = o;
        Self {
            accounts: accounts.to_string(),
            listings_published: listings_published.to_string(),
            review_waiting: review_waiting.to_string(),
            orders_open: orders_open.to_string(),
            orders_released: orders_released.to_string(),
            orders_refunded: orders_refunded.to_string(),
            volume: Money(volume),
            mails_waiting: mails_waiting.to_string(),
        }
    }
}

/// What a custodian has earned.
#[derive(Debug, Clone, SimpleObject)]
pub struct CustodianSummary {
    /// Its parts of delivered orders.
    pub earned: Money,
    /// Delivered orders.
    pub orders: String,
    /// Values revealed by them.
    pub revealed: String,
    /// The last 30 days with a delivered order, oldest first.
    pub per_day: Vec<DayEntry>,
    /// By listing, most earned first.
    pub listings: Vec<ListingEarnings>,
}

/// A day's delivered orders.
#[derive(Debug, Clone, SimpleObject)]
pub struct DayEntry {
    /// The day in UTC, `YYYY-MM-DD`.
    pub date: String,
    /// Orders.
    pub orders: String,
    /// Values revealed.
    pub values: String,
    /// Earned.
    pub earned: Money,
}

/// A listing's delivered orders.
#[derive(Debug, Clone, SimpleObject)]
pub struct ListingEarnings {
    /// The listing.
    pub listing: String,
    /// Its title.
    pub title: String,
    /// Orders.
    pub orders: String,
    /// Values revealed.
    pub values: String,
    /// Earned.
    pub earned: Money,
}

/// A job of a machine.
#[derive(Debug, Clone, SimpleObject)]
pub struct RunningJob {
    /// The order.
    pub order: String,
    /// Its state.
    pub state: String,
    /// What the pod said that it does.
    pub stage: String,
    /// Per mille of the pod's work.
    pub per_mille: u32,
}

/// What a machine does and has done.
#[derive(Debug, Clone, SimpleObject)]
pub struct MachineWork {
    /// When it was last heard of, to the minute.
    pub last_seen_at: Option<String>,
    /// Jobs done.
    pub jobs_done: String,
    /// Jobs that came to nothing.
    pub jobs_failed: String,
    /// A pod's part of delivered orders; key nodes are paid by nobody here.
    pub earned: Money,
    /// The newest 20 that it works on.
    pub running: Vec<RunningJob>,
}
