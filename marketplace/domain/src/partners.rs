//! API keys, registered documents, idempotent requests, the queue of jobs
//! (PAR-1..8, PAR-14): records, limits, and what the store does for them.

use crate::{
    DomainError, Millis, Result,
    access::Role,
    id::{AccountId, ApiKeyId},
    records::{Page, PageRequest},
    scopes::{ApiScope, KeyUse},
};
use async_trait::async_trait;
use veilbourse_core::digest::Digest;

/// What the secret of a key begins with.
pub const KEY_PREFIX: &str = "vbk_";
/// Keys of an account that are not revoked.
pub const MAX_KEYS: u64 = 50;
/// Longest name of a key, in bytes.
pub const MAX_KEY_NAME: usize = 100;
/// Requests a minute and a day unless said otherwise, and at most.
pub const PER_MINUTE: (u32, u32) = (120, 6_000);
/// The same a day.
pub const PER_DAY: (u32, u32) = (100_000, 5_000_000);
/// Longest time for which the secret before a rotation holds on, in seconds.
pub const MAX_OVERLAP_SECONDS: u32 = 7 * 86_400;
/// Registered documents of an account.
pub const MAX_DOCUMENTS: u64 = 1_000;
/// How long the answer to a request with an idempotency key is kept (PAR-8).
pub const IDEMPOTENT_MILLIS: Millis = 86_400_000;
/// Longest idempotency key, in bytes.
pub const MAX_IDEMPOTENCY_KEY: usize = 100;
/// Answers kept for an account at once.
pub const MAX_IDEMPOTENT: u64 = 10_000;
/// Longest answer that is kept.
pub const MAX_IDEMPOTENT_ANSWER: usize = 1 << 20;

const MINUTE: Millis = 60_000;
const DAY: Millis = 86_400_000;

/// An API key (PAR-1). Its secret is stored hashed and shown once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose.
    pub account: AccountId,
    /// For people.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<ApiScope>,
    /// Whether it runs registered documents only (PAR-7).
    pub persisted_only: bool,
    /// Requests a minute.
    pub per_minute: u32,
    /// Requests a day (UTC).
    pub per_day: u32,
    /// When it was made.
    pub created_at: Millis,
    /// From when on it is refused.
    pub expires_at: Option<Millis>,
    /// When it was revoked.
    pub revoked_at: Option<Millis>,
    /// The newest request.
    pub last_used_at: Option<Millis>,
    /// Requests counted in the day of `day_at`.
    pub day_used: u64,
    /// Counts days since the epoch.
    pub day_at: u64,
    /// Beginning of its newest secret, for people.
    pub prefix: String,
}

impl ApiKey {
    /// Checks what somebody asked for.
    pub fn check(&self, now: Millis) -> Result<()> {
        if self.name.trim().is_empty() || self.name.len() > MAX_KEY_NAME {
            return Err(DomainError::invalid("name", "must have 1 to 100 bytes"));
        }
        if self.scopes.is_empty() {
            return Err(DomainError::invalid("scopes", "at least one is needed"));
        }
        if self.expires_at.is_some_and(|at| at <= now) {
            return Err(DomainError::invalid("expiresAt", "is not in the future"));
        }
        for (field, value, limit) in [
            ("perMinute", self.per_minute, PER_MINUTE.1),
            ("perDay", self.per_day, PER_DAY.1),
        ] {
            if value == 0 {
                return Err(DomainError::invalid(field, "must be positive"));
            }
            if value > limit {
                return Err(DomainError::TooLarge {
                    field,
                    limit: limit.into(),
                    value: value.into(),
                });
            }
        }
        Ok(())
    }

    /// As a viewer carries it.
    pub fn in_use(&self) -> KeyUse {
        KeyUse {
            id: self.id,
            scopes: self.scopes.clone(),
            persisted_only: self.persisted_only,
        }
    }

    /// Requests of the present day.
    pub fn used_today(&self, now: Millis) -> u64 {
        if self.day_at == day(now) {
            self.day_used
        } else {
            0
        }
    }
}

/// Which minute it is: quotas are counted in whole minutes and days (PAR-4).
pub fn minute(now: Millis) -> u64 {
    now / MINUTE
}
/// Which day it is, UTC.
pub fn day(now: Millis) -> u64 {
    now / DAY
}

/// What a key has used, as counted before a request (PAR-4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// Requests of the present minute, and how many are allowed.
    pub minute: (u64, u64),
    /// The same of the day.
    pub day: (u64, u64),
}

/// The refusal of a key whose quota is used up: how long until the window ends.
pub fn quota_refusal(used: Used, now: Millis) -> DomainError {
    let window = if used.day.0 >= used.day.1 {
        DAY
    } else {
        MINUTE
    };
    let left = window - now % window;
    DomainError::RateLimited {
        retry_after_seconds: left.div_ceil(1_000).max(1),
    }
}

/// A document that an account registered (PAR-6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersistedQuery {
    /// SHA-256 of the text, lower-case hex.
    pub id: String,
    /// The text.
    pub document: String,
    /// When it was registered first.
    pub created_at: Millis,
}

/// What became of the claim of an idempotency key (PAR-8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Nobody asked with this key: run the request, then settle the claim.
    Mine,
    /// The request was answered before, so.
    Answered(String),
    /// It is being run.
    UnderWay,
}

/// How a claimed request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It changed nothing: the key is free again.
    Free,
    /// It was done, and answered so.
    Answered(String),
    /// Whether it was done is not known, or its answer is too long to keep.
    Lost,
}

/// Jobs that wait for pods (PAR-14).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// Orders that are funded or leased.
    pub waiting: u64,
    /// What the newest jobs took on average, if any was done.
    pub millis_per_job: Option<u64>,
}

impl Queue {
    /// Refuses when more than `limit` would wait (0: no limit). All that wait,
    /// at what a job takes, on the pods that are live, is how long to stay away;
    /// an hour at most.
    pub fn check(&self, limit: u32, pods: u64, expected_seconds: u64) -> Result<()> {
        if limit == 0 || self.waiting < u64::from(limit) {
            return Ok(());
        }
        let each = self
            .millis_per_job
            .unwrap_or_else(|| expected_seconds.saturating_mul(1_000));
        let millis = each.saturating_mul(self.waiting) / pods.max(1);
        Err(DomainError::QueueFull {
            waiting: self.waiting,
            limit: limit.into(),
            retry_after_seconds: millis.div_ceil(1_000).clamp(1, 3_600),
        })
    }
}

/// API keys (PAR-1..5).
#[async_trait]
pub trait ApiKeys: Send + Sync {
    /// Stores a key with the digest of its secret.
    async fn create_api_key(&self, key: &ApiKey, secret: Digest, now: Millis) -> Result<()>;
    /// Another secret; those before hold until `until`.
    async fn rotate_api_key(
        &self,
        account: AccountId,
        id: ApiKeyId,
        secret: Digest,
        prefix: &str,
        until: Millis,
        now: Millis,
    ) -> Result<ApiKey>;
    /// Ends a key at once.
    async fn revoke_api_key(&self, account: AccountId, id: ApiKeyId, now: Millis) -> Result<()>;
    /// Every key of an account, revoked ones too, newest first.
    async fn api_keys(&self, account: AccountId) -> Result<Vec<ApiKey>>;
    /// The live key of a secret with its owner's present roles.
    async fn live_api_key(&self, secret: Digest, now: Millis) -> Result<(ApiKey, Vec<Role>)>;
    /// Counts a request, or refuses it: exactly, across processes and restarts
    /// (PAR-4).
    async fn use_api_key(&self, id: ApiKeyId, now: Millis) -> Result<()>;
    /// Suspends every key of an account, or lets them live again (PAR-5).
    async fn hold_api_keys(&self, account: AccountId, held: bool, now: Millis) -> Result<()>;
}

/// Registered documents, idempotent requests, the queue.
#[async_trait]
pub trait Requests: Send + Sync {
    /// Registers a document; the same again is fine (PAR-6).
    async fn register_query(&self, account: AccountId, query: &PersistedQuery) -> Result<()>;
    /// Forgets one.
    async fn remove_query(&self, account: AccountId, id: &str) -> Result<()>;
    /// A registered document's text.
    async fn persisted_query(&self, account: AccountId, id: &str) -> Result<Option<String>>;
    /// All of an account, by id.
    async fn persisted_queries(
        &self,
        account: AccountId,
        page: &PageRequest,
    ) -> Result<Page<PersistedQuery>>;
    /// Claims an idempotency key for a request until `until` (PAR-8).
    async fn claim_request(
        &self,
        account: AccountId,
        key: &str,
        request: Digest,
        until: Millis,
        now: Millis,
    ) -> Result<Claim>;
    /// Prolongs a claim while its request runs.
    async fn prolong_claim(&self, account: AccountId, key: &str, until: Millis) -> Result<()>;
    /// Ends a claim.
    async fn settle_request(&self, account: AccountId, key: &str, how: Settled) -> Result<()>;
    /// Jobs that wait, and what one takes.
    async fn queue(&self) -> Result<Queue>;
    /// Forgets answers, attempts and deliveries that are old (PAR-8, PAR-12).
    async fn forget_requests(&self, now: Millis) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ApiKey {
        ApiKey {
            id: ApiKeyId::new(1, [1; 10]),
            account: AccountId::new(1, [2; 10]),
            name: "orders".into(),
            scopes: vec![ApiScope::Order],
            persisted_only: false,
            per_minute: 10,
            per_day: 100,
            created_at: 5,
            expires_at: Some(1_000),
            revoked_at: None,
            last_used_at: None,
            day_used: 7,
            day_at: 0,
            prefix: "vbk_abcdefgh".into(),
        }
    }

    #[test]
    fn what_is_asked_for_is_checked() {
        // PAR-1
        assert_eq!(key().check(999), Ok(()));
        let refused = |change: fn(&mut ApiKey), field: &str| {
            let mut k = key();
            change(&mut k);
            match k.check(999) {
                Err(DomainError::Invalid { field: f, .. }) => assert_eq!(f, field),
                Err(DomainError::TooLarge {
                    field: f,
                    limit,
                    value,
                }) => {
                    assert_eq!(f, field);
                    assert_eq!(value, limit + 1);
                }
                other => panic!("{field}: {other:?}"),
            }
        };
        refused(|k| k.name = " ".into(), "name");
        refused(|k| k.name = "x".repeat(MAX_KEY_NAME + 1), "name");
        refused(|k| k.scopes.clear(), "scopes");
        refused(|k| k.expires_at = Some(999), "expiresAt");
        refused(|k| k.per_minute = 0, "perMinute");
        refused(|k| k.per_minute = PER_MINUTE.1 + 1, "perMinute");
        refused(|k| k.per_day = PER_DAY.1 + 1, "perDay");
    }

    #[test]
    fn windows_end_with_the_minute_and_the_day() {
        // PAR-4
        let used = |minute, day| Used { minute, day };
        let wait = |u, now| match quota_refusal(u, now) {
            DomainError::RateLimited {
                retry_after_seconds: s,
            } => s,
            other => panic!("{other}"),
        };
        assert_eq!(wait(used((10, 10), (50, 100)), 60_001), 60);
        assert_eq!(wait(used((10, 10), (50, 100)), 119_999), 1);
        assert_eq!(wait(used((10, 10), (100, 100)), DAY + 1), 86_400);
        assert_eq!(key().used_today(DAY - 1), 7);
        assert_eq!(key().used_today(DAY), 0);
    }

    #[test]
    fn a_full_queue_says_how_long() {
        // PAR-14: measured time a job x queue / live pods.
        let q = Queue {
            waiting: 30,
            millis_per_job: Some(10_000),
        };
        assert_eq!(q.check(0, 1, 1), Ok(()), "no limit");
        assert_eq!(q.check(31, 1, 1), Ok(()));
        let refused = |q: Queue, pods, expected| match q.check(30, pods, expected) {
            Err(DomainError::QueueFull {
                waiting: 30,
                limit: 30,
                retry_after_seconds,
            }) => retry_after_seconds,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(q, 1, 1), 300);
        assert_eq!(refused(q, 3, 1), 100);
        assert_eq!(refused(q, 0, 1), 300, "no pod was heard of");
        let unmeasured = Queue {
            millis_per_job: None,
            ..q
        };
        assert_eq!(refused(unmeasured, 1, 2), 60);
        assert_eq!(refused(unmeasured, 1, 100_000), 3_600);
    }
}
