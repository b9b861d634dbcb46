//! Rate limits (ACC-5): a bucket for each kind and key, refilled by the minute.

use crate::config::Limits;
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use std::num::NonZeroU32;
use veilbourse_domain::{DomainError, Result};

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Logins and refreshes, by address and mail.
    Login,
    /// Registrations, by address.
    Register,
    /// Quotes, by account.
    Quote,
    /// Orders, by account.
    Place,
    /// Upload pieces, by account.
    Upload,
}

/// The buckets.
#[derive(Debug)]
pub struct Limiters {
    login: DefaultKeyedRateLimiter<String>,
    register: DefaultKeyedRateLimiter<String>,
    quote: DefaultKeyedRateLimiter<String>,
    place: DefaultKeyedRateLimiter<String>,
    upload: DefaultKeyedRateLimiter<String>,
}

impl Limiters {
    /// Buckets of the configured sizes.
    pub fn new(l: &Limits) -> Self {
        let of = |n: u32| RateLimiter::keyed(Quota::per_minute(NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN)));
        Self {
            login: of(l.login),
            register: of(l.register),
            quote: of(l.quote),
            place: of(l.place),
            upload: of(l.upload),
        }
    }

    /// Takes one from the key's bucket.
    pub fn take(&self, kind: Kind, key: &str) -> Result<()> {
        let limiter = match kind {
            Kind::Login => &self.login,
            Kind::Register => &self.register,
            Kind::Quote => &self.quote,
            Kind::Place => &self.place,
            Kind::Upload => &self.upload,
        };
        limiter.check_key(&key.to_owned()).map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            DomainError::RateLimited { retry_after_seconds: wait.as_secs().max(1) }
        })
    }

    /// Forgets buckets that are full again.
    pub fn tidy(&self) {
        for l in [&self.login, &self.register, &self.quote, &self.place, &self.upload] {
            l.retain_recent();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_bucket() {
        // ACC-5
        let l = Limiters::new(&Limits { login: 2, ..Limits::default() });
        assert_eq!(l.take(Kind::Login, "a"), Ok(()));
        assert_eq!(l.take(Kind::Login, "a"), Ok(()));
        let refused = l.take(Kind::Login, "a");
        assert!(matches!(
            refused,
            Err(DomainError::RateLimited { retry_after_seconds: 1..=60 })
        ));
        assert_eq!(l.take(Kind::Login, "b"), Ok(()));
        assert_eq!(l.take(Kind::Register, "a"), Ok(()));
    }
}
