//! Rate limits (ACC-5): a bucket for each kind and key, refilled by the minute;
//! and what a key may have open at once.

use crate::config::Limits;
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
};
use veilbourse_domain::{DomainError, Result};

/// What limits by address go by: an IPv4 address, or the network of an IPv6
/// address (/64), of which anybody has as many addresses as they like.
pub(crate) fn network(address: &str) -> String {
    match address.parse::<IpAddr>().map(|a| a.to_canonical()) {
        Ok(IpAddr::V6(a)) => {
            let net = u128::from(a) & !u128::from(u64::MAX);
            format!("{}/64", Ipv6Addr::from(net))
        }
        Ok(a) => a.to_string(),
        Err(_) => address.to_owned(),
    }
}

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
    /// Drafts and submissions of listings, by account.
    Listing,
}

/// The buckets.
#[derive(Debug)]
pub struct Limiters {
    login: DefaultKeyedRateLimiter<String>,
    register: DefaultKeyedRateLimiter<String>,
    quote: DefaultKeyedRateLimiter<String>,
    place: DefaultKeyedRateLimiter<String>,
    upload: DefaultKeyedRateLimiter<String>,
    listing: DefaultKeyedRateLimiter<String>,
}

impl Limiters {
    /// Buckets of the configured sizes.
    pub fn new(l: &Limits) -> Self {
        let of = |n: u32| {
            RateLimiter::keyed(Quota::per_minute(
                NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN),
            ))
        };
        Self {
            login: of(l.login),
            register: of(l.register),
            quote: of(l.quote),
            place: of(l.place),
            upload: of(l.upload),
            listing: of(l.listing),
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
            Kind::Listing => &self.listing,
        };
        let key = match kind {
            Kind::Login | Kind::Register => network(key),
            _ => key.to_owned(),
        };
        limiter.check_key(&key).map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            DomainError::RateLimited {
                retry_after_seconds: wait.as_secs().max(1),
            }
        })
    }

    /// Forgets buckets that are full again.
    pub fn tidy(&self) {
        for l in [
            &self.login,
            &self.register,
            &self.quote,
            &self.place,
            &self.upload,
            &self.listing,
        ] {
            l.retain_recent();
        }
    }
}

/// What a key has open: sockets, large bodies, work under way.
#[derive(Debug, Clone, Default)]
pub struct Held(Arc<Mutex<HashMap<String, usize>>>);

impl Held {
    /// One more for the key, until what is returned is dropped.
    pub fn take(&self, key: &str, most: usize) -> Result<Holding> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let n = all.entry(key.to_owned()).or_default();
        if *n >= most {
            return Err(DomainError::RateLimited {
                retry_after_seconds: 1,
            });
        }
        *n += 1;
        Ok(Holding {
            held: self.clone(),
            key: key.to_owned(),
        })
    }
}

/// One that is open.
#[derive(Debug)]
pub struct Holding {
    held: Held,
    key: String,
}

impl Drop for Holding {
    fn drop(&mut self) {
        let mut all = self.held.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(&self.key) {
            Some(n) if *n > 1 => *n -= 1,
            _ => drop(all.remove(&self.key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_bucket() {
        // ACC-5
        let l = Limiters::new(&Limits {
            login: 2,
            ..Limits::default()
        });
        assert_eq!(l.take(Kind::Login, "a"), Ok(()));
        assert_eq!(l.take(Kind::Login, "a"), Ok(()));
        let refused = l.take(Kind::Login, "a");
        assert!(matches!(
            refused,
            Err(DomainError::RateLimited {
                retry_after_seconds: 1..=60
            })
        ));
        assert_eq!(l.take(Kind::Login, "b"), Ok(()));
        assert_eq!(l.take(Kind::Register, "a"), Ok(()));
    }

    #[test]
    fn addresses_of_one_network_have_one_bucket() {
        // ACC-5
        for (address, expected) in [
            ("10.0.0.1", "10.0.0.1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
            ("unknown", "unknown"),
        ] {
            assert_eq!(network(address), expected);
        }
        let l = Limiters::new(&Limits {
            login: 1,
            ..Limits::default()
        });
        assert_eq!(l.take(Kind::Login, "2001:db8::1"), Ok(()));
        assert!(l.take(Kind::Login, "2001:db8::2").is_err());
        assert_eq!(l.take(Kind::Login, "2001:db8:0:1::2"), Ok(()));
    }

    #[test]
    fn what_is_open_at_once() {
        let held = Held::default();
        let first = held.take("a", 2).unwrap();
        let _second = held.take("a", 2).unwrap();
        assert!(held.take("a", 2).is_err());
        assert!(held.take("b", 1).is_ok());
        drop(first);
        assert!(held.take("a", 2).is_ok());
        assert_eq!(held.0.lock().unwrap().len(), 1, "closed ones are forgotten");
    }
}
