//! Guessing is slowed down (ACC-14): by what is guessed about, beside the
//! buckets by address. In memory: a restart forgives.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};
use veilbourse_domain::{DomainError, Millis, Result};

/// Keys kept at once; the oldest go.
const KEPT: usize = 20_000;
/// Wrong passwords about one mail address that a network has free, whoever else
/// guesses at it.
const OWN_GUESSES: u32 = 3;
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

    /// How long one with these failures must wait still; none when it may try.
    fn left(&self, f: Failures, now: Millis) -> Option<Millis> {
        let over = f.count.checked_sub(self.free)?;
        let wait = (1000u64 << over.min(30)).min(self.longest);
        let until = f.last.saturating_add(wait);
        (now < until).then(|| until - now)
    }

    /// Begins a try: refused while the key must wait, a failure from now on until
    /// it is known to be none ([`Self::forget`], [`Self::undo`]). Looked at and
    /// counted in one step: tries of one moment are not all the first.
    pub(crate) fn begin(&self, key: &str, now: Millis) -> Result<()> {
        let mut all = self.lock();
        if let Some(millis) = all.get(key).and_then(|f| self.left(*f, now)) {
            return Err(DomainError::RateLimited {
                retry_after_seconds: millis.div_ceil(1000),
            });
        }
        Self::count(&mut all, key, now);
        Ok(())
    }

    /// One more failure, if there are fewer than `most` so far.
    fn begin_of(&self, most: u32, key: &str, now: Millis) -> bool {
        let mut all = self.lock();
        let recent = |f: &&Failures| f.last.saturating_add(FORGOTTEN_MILLIS) > now;
        let before = all.get(key).filter(recent).map_or(0, |f| f.count);
        if before < most {
            Self::count(&mut all, key, now);
        }
        before < most
    }

    /// One more failure.
    fn failed(&self, key: &str, now: Millis) {
        Self::count(&mut self.lock(), key, now);
    }

    /// What was begun came to nothing, for a reason that is no guess.
    pub(crate) fn undo(&self, key: &str) {
        if let Some(f) = self.lock().get_mut(key) {
            f.count = f.count.saturating_sub(1);
        }
    }

    fn count(all: &mut HashMap<String, Failures>, key: &str, now: Millis) {
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

/// Wrong passwords at sign-in, by mail address and by network (ACC-14). Whoever
/// guesses waits for all who do; a network that has hardly guessed waits for
/// nobody, or strangers would keep the owner out.
#[derive(Debug)]
pub(crate) struct Guesses {
    by_mail: Slowdown,
    by_network: Slowdown,
}

impl Guesses {
    /// The same numbers as of a [`Slowdown`], by mail address.
    pub(crate) fn new(free: u32, longest: Millis) -> Self {
        Self {
            by_mail: Slowdown::new(free, longest),
            by_network: Slowdown::new(free, longest),
        }
    }

    fn pair(mail: &str, network: &str) -> String {
        // No mail address holds a line's end.
        format!("{mail}\n{network}")
    }

    /// Begins a try at an address's password.
    pub(crate) fn begin(&self, mail: &str, network: &str, now: Millis) -> Result<()> {
        let pair = Self::pair(mail, network);
        if self.by_network.begin_of(OWN_GUESSES, &pair, now) {
            self.by_mail.failed(mail, now);
            return Ok(());
        }
        self.by_mail.begin(mail, now)?;
        self.by_network.failed(&pair, now);
        Ok(())
    }

    /// The same for who does not wait.
    pub(crate) fn begin_known(&self, mail: &str, network: &str, now: Millis) {
        self.by_network.failed(&Self::pair(mail, network), now);
        self.by_mail.failed(mail, now);
    }

    /// The password was right.
    pub(crate) fn forget(&self, mail: &str, network: &str) {
        self.by_network.forget(&Self::pair(mail, network));
        self.by_mail.forget(mail);
    }

    /// The password is another one now.
    pub(crate) fn forget_all(&self, mail: &str) {
        let of_mail = Self::pair(mail, "");
        self.by_network
            .lock()
            .retain(|k, _| !k.starts_with(&of_mail));
        self.by_mail.forget(mail);
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
        let wait = |key: &str, now| s.lock().get(key).and_then(|f| s.left(*f, now));
        assert_eq!(s.begin("a", now), Ok(()));
        assert_eq!(wait("a", now), None);
        for millis in [1_000, 2_000, 4_000, 5_000, 5_000] {
            s.failed("a", now);
            assert_eq!(wait("a", now), Some(millis));
            assert_eq!(wait("a", now + millis), None, "it passes");
        }
        assert_eq!(
            s.begin("a", now + 3_500),
            Err(DomainError::RateLimited {
                retry_after_seconds: 2
            })
        );
        assert_eq!(s.begin("b", now), Ok(()), "by key");
        s.forget("a");
        assert_eq!(s.begin("a", now), Ok(()));
        s.failed("a", now + FORGOTTEN_MILLIS);
        assert_eq!(wait("a", now + FORGOTTEN_MILLIS), None, "long ago");
    }

    #[test]
    fn tries_of_one_moment_are_counted_before_they_end() {
        // ACC-14
        let s = Slowdown::new(2, 5_000);
        let passed = |n: u32| (0..n).filter(|_| s.begin("a", 1_000_000).is_ok()).count();
        assert_eq!(passed(50), 2);
        s.undo("a");
        assert_eq!(passed(50), 1, "what was no guess counts for nothing");
    }

    #[test]
    fn a_network_that_has_not_guessed_waits_for_nobody() {
        // ACC-14
        let (g, now) = (Guesses::new(5, 30_000), 1_000_000);
        let tries = |network: &str, n: u32| {
            let passed = (0..n).filter(|_| g.begin("a@b.c", network, now).is_ok());
            passed.count()
        };
        assert_eq!(tries("1.1.1.1", 20), 5);
        assert_eq!(tries("2.2.2.2", 20), 3, "its own, and no more meanwhile");
        assert_eq!(g.begin("x@y.z", "1.1.1.1", now), Ok(()), "by address");
        g.forget_all("a@b.c");
        assert_eq!(tries("1.1.1.1", 20), 5);
        g.forget("a@b.c", "1.1.1.1");
        assert_eq!(tries("1.1.1.1", 20), 5);
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
