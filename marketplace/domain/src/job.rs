//! A lease: token, end, attempts (ORD-6).

use crate::{
    DomainError, Millis, Result,
    id::{LeaseToken, MachineId},
};
use serde::{Deserialize, Serialize};

/// Length of a lease, prolonged by each heartbeat (POD-1).
pub const LEASE_MILLIS: u64 = 60_000;
/// Longest that heartbeats prolong one lease.
pub const LEASE_TOTAL_MILLIS: u64 = 4 * 3_600_000;
/// Most times a job is handed out (ORD-6).
pub const MAX_ATTEMPTS: u32 = 3;

/// Somebody works on an order until `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// Who.
    pub holder: MachineId,
    /// What only the holder knows.
    pub token: LeaseToken,
    /// When it ends.
    pub end: Millis,
    /// The how-manieth, from 1.
    pub attempt: u32,
    /// No heartbeat prolongs it beyond.
    #[serde(default = "never")]
    pub until: Millis,
}

/// Leases from before there was a limit.
fn never() -> Millis {
    Millis::MAX
}

impl Lease {
    /// Starts a lease after `before` attempts.
    pub fn start(holder: MachineId, token: LeaseToken, before: u32, now: Millis) -> Result<Self> {
        if before >= MAX_ATTEMPTS {
            return Err(DomainError::AttemptsExhausted { attempts: before });
        }
        Ok(Self {
            holder,
            token,
            end: now.saturating_add(LEASE_MILLIS),
            attempt: before + 1,
            until: now.saturating_add(LEASE_TOTAL_MILLIS),
        })
    }
    /// Whether it is over.
    pub fn ended(&self, now: Millis) -> bool {
        now >= self.end
    }
    /// Refuses a token that is not the current one, another holder, or a lease
    /// that is over.
    pub fn check(&self, holder: MachineId, token: LeaseToken, now: Millis) -> Result<()> {
        if holder != self.holder || token != self.token || self.ended(now) {
            return Err(DomainError::StaleLease);
        }
        Ok(())
    }
    /// A heartbeat of the holder; the whole lease is bounded (ORD-6).
    pub fn prolong(self, holder: MachineId, token: LeaseToken, now: Millis) -> Result<Self> {
        self.check(holder, token, now)?;
        Ok(Self {
            end: now.saturating_add(LEASE_MILLIS).min(self.until),
            ..self
        })
    }
}

/// The two jobs of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// A pod evaluates and proves.
    Evaluate,
    /// A key node opens.
    Open,
}

impl JobKind {
    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Evaluate => "evaluate",
            Self::Open => "open",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_end_and_are_bounded() {
        // ORD-6
        let (m, other) = (MachineId::new(1, [1; 10]), MachineId::new(1, [2; 10]));
        let (t, u) = (LeaseToken([1; 32]), LeaseToken([2; 32]));
        let l = Lease::start(m, t, 0, 100).expect("first");
        assert_eq!(l.check(m, t, 100 + LEASE_MILLIS - 1), Ok(()));
        for (holder, token, now) in [(other, t, 100), (m, u, 100), (m, t, 100 + LEASE_MILLIS)] {
            assert_eq!(l.check(holder, token, now), Err(DomainError::StaleLease));
            assert_eq!(l.prolong(holder, token, now), Err(DomainError::StaleLease));
        }
        let l = l.prolong(m, t, 30_000).expect("holder");
        assert_eq!((l.end, l.attempt), (90_000, 1));
        // Heartbeats do not keep it for ever.
        let (mut l, mut now) = (l, 30_000);
        while let Ok(next) = l.prolong(m, t, now) {
            assert!(next.end > now && next.end <= 100 + LEASE_TOTAL_MILLIS);
            (l, now) = (next, now + LEASE_MILLIS / 2);
        }
        assert!((LEASE_TOTAL_MILLIS..LEASE_TOTAL_MILLIS + LEASE_MILLIS).contains(&now));
        assert_eq!(
            Lease::start(m, t, MAX_ATTEMPTS, 0),
            Err(DomainError::AttemptsExhausted {
                attempts: MAX_ATTEMPTS
            })
        );
    }
}
