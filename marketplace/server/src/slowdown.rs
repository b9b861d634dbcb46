//! Guessing is slowed down (ACC-14): by what is guessed about, beside the
//! buckets by address. In memory: a restart forgives.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};
use veilbourse_domain::{DomainError, Millis, Result};

/// Keys kept at once; the oldest go.
const KEPT: usize = 20_000;
/// After so long without a failure a key is forgotten.
const FORGOTTEN_MILLIS: Millis = 3_600_000;

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Millis,
}

/// Failures by key; from some number on each makes the next try wait twice as
/// long.
#[derive(Debug)]
pub(crate) struct Slowdown {
    free: u32,
    longest: Millis,
    all: Mutex<HashMap<String, Failures>>,
}

impl Slowdown {
    /// `free` failures cost nothing; no wait is longer than `longest`.
    pub(crate) fn new(free: u32, longest: Millis) -> Self {
        Self {
            free,
            longest,
            all: Mutex::default(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Failures>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the key must wait still; none when it may try.
    pub(crate) fn wait(&self, key: &str, now: Millis) -> Option<Millis> {
        let f = *self.lock().get(key)?;
        let over = f.count.checked_sub(self.free)?;
        let wait = (1000u64 << over.min(30)).min(self.longest);
        let until = f.last.saturating_add(wait);
        (now < until).then(|| until - now)
    }

    /// Refuses while the key must wait.
    pub(crate) fn check(&self, key: &str, now: Millis) -> Result<()> {
        match self.wait(key, now) {
            None => Ok(()),
            Some(millis) => Err(DomainError::RateLimited {
                retry_after_seconds: millis.div_ceil(1000),
            }),
        }
    }

    /// One more failure.
    pub(crate) fn failed(&self, key: &str, now: Millis) {
        let mut all = self.lock();
        if all.len() >= KEPT && !all.contains_key(key) {
            all.retain(|_, f| f.last.saturating_add(FORGOTTEN_MILLIS) > now);
            if all.len() >= KEPT
                && let Some(oldest) = all
                    .iter()
                    .min_by_key(|(_, f)| f.last)
                    .map(|(k, _)| k.clone())
            {
                all.remove(&oldest);
            }
        }
        let f = all.entry(key.to_owned()).or_insert(Failures {
            count: 0,
            last: now,
        });
        if f.last.saturating_add(FORGOTTEN_MILLIS) <= now {
            f.count = 0;
        }
        f.count = f.count.saturating_add(1);
        f.last = now;
    }

    /// It was right.
    pub(crate) fn forget(&self, key: &str) {
        self.lock().remove(key);
    }
}

/// So many of something in a window, by key.
#[derive(Debug)]
pub(crate) struct Window {
    most: u32,
    millis: Millis,
    all: Mutex<HashMap<String, (Millis, u32)>>,
}

impl Window {
    /// `most` in `millis`.
    pub(crate) fn new(most: u32, millis: Millis) -> Self {
        Self {
            most,
            millis,
            all: Mutex::default(),
        }
    }

    /// Takes one; false when there is none left.
    pub(crate) fn take(&self, key: &str, now: Millis) -> bool {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= KEPT && !all.contains_key(key) {
            all.retain(|_, (since, _)| since.saturating_add(self.millis) > now);
            if all.len() >= KEPT {
                return false;
            }
        }
        let (since, n) = all.entry(key.to_owned()).or_insert((now, 0));
        if since.saturating_add(self.millis) <= now {
            (*since, *n) = (now, 0);
        }
        *n = n.saturating_add(1);
        *n <= self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_wait() {
        // ACC-14
        let s = Slowdown::new(2, 5_000);
        let now = 1_000_000;
        assert_eq!(s.check("a", now), Ok(()));
        s.failed("a", now);
        assert_eq!(s.wait("a", now), None);
        for wait in [1_000, 2_000, 4_000, 5_000, 5_000] {
            s.failed("a", now);
            assert_eq!(s.wait("a", now), Some(wait));
            assert_eq!(s.wait("a", now + wait), None, "it passes");
        }
        assert_eq!(
            s.check("a", now + 3_500),
            Err(DomainError::RateLimited {
                retry_after_seconds: 2
            })
        );
        assert_eq!(s.check("b", now), Ok(()), "by key");
        s.forget("a");
        assert_eq!(s.check("a", now), Ok(()));
        s.failed("a", now);
        s.failed("a", now + FORGOTTEN_MILLIS);
        assert_eq!(s.wait("a", now + FORGOTTEN_MILLIS), None, "long ago");
    }

    #[test]
    fn memory_is_bounded() {
        let s = Slowdown::new(0, 1_000);
        for n in 0..KEPT as u64 + 50 {
            s.failed(&n.to_string(), 10 + n / 10_000);
        }
        assert!(s.lock().len() <= KEPT);
        let w = Window::new(2, 100);
        assert!(w.take("a", 0) && w.take("a", 50) && !w.take("a", 99));
        assert!(w.take("a", 200), "a new window");
    }
}
