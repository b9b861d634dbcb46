//! The life of a listing: draft, submitted, published or rejected, paused, withdrawn.

use crate::{
    DomainError, Millis, MinorUnits, Result,
    id::{AccountId, ListingId},
    terms::PolicyTerms,
    texts::check_text,
    tickets::check_kept,
};
use serde::{Deserialize, Serialize};
use veilbourse_core::digest::Digest;

/// Longest reason of a review, in bytes.
pub const MAX_REASON: usize = 2_000;

/// Where a listing stands; each state carries its facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case", deny_unknown_fields)]
pub enum ListingState {
    /// Objects are being uploaded.
    Draft,
    /// Complete and verified (UP-3), waiting for review.
    Submitted {
        /// When.
        at: Millis,
    },
    /// Takes orders.
    Published {
        /// When.
        at: Millis,
        /// Who approved.
        by: AccountId,
    },
    /// Refused by an admin; may be submitted again.
    Rejected {
        /// When.
        at: Millis,
        /// Who refused.
        by: AccountId,
        /// Why.
        reason: String,
    },
    /// Takes no orders for now.
    Paused {
        /// When.
        at: Millis,
        /// Who had approved it.
        by: AccountId,
    },
    /// Takes no orders any more.
    Withdrawn {
        /// When.
        at: Millis,
    },
}

impl ListingState {
    /// The name in the API and the database.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Submitted { .. } => "submitted",
            Self::Published { .. } => "published",
            Self::Rejected { .. } => "rejected",
            Self::Paused { .. } => "paused",
            Self::Withdrawn { .. } => "withdrawn",
        }
    }
    /// Whether everybody sees the listing.
    pub fn public(&self) -> bool {
        matches!(self, Self::Published { .. } | Self::Paused { .. })
    }
    fn refuse(&self, wanted: &'static str) -> DomainError {
        DomainError::ListingState {
            found: self.name(),
            wanted,
        }
    }
}

/// A step in a listing's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListingStep {
    /// The owner submits; storage has verified every object (UP-3).
    Submit,
    /// An admin approves.
    Approve {
        /// The admin.
        by: AccountId,
    },
    /// An admin refuses.
    Reject {
        /// The admin.
        by: AccountId,
        /// Why: not empty, at most [`MAX_REASON`] bytes.
        reason: String,
    },
    /// The owner asks for another look at a rejected listing (REV-3).
    Appeal {
        /// Why: not empty, at most [`MAX_REASON`] bytes.
        text: String,
    },
    /// The owner pauses.
    Pause,
    /// The owner resumes.
    Resume,
    /// The owner withdraws, for good.
    Withdraw,
}

impl ListingStep {
    /// The action in the audit log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Submit => "listing.submit",
            Self::Approve { .. } => "listing.approve",
            Self::Reject { .. } => "listing.reject",
            Self::Appeal { .. } => "listing.appeal",
            Self::Pause => "listing.pause",
            Self::Resume => "listing.resume",
            Self::Withdraw => "listing.withdraw",
        }
    }
}

/// A listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// Its id.
    pub id: ListingId,
    /// The custodian.
    pub owner: AccountId,
    /// Title, for people.
    pub title: String,
    /// Description, for people.
    pub description: String,
    /// The dataset root D.
    pub dataset: Digest,
    /// When it was made.
    pub created_at: Millis,
    /// The newest signed policy's terms, from submission on.
    pub policy: Option<PolicyTerms>,
    /// Where it stands.
    pub state: ListingState,
    /// When it last changed: what a reviewer has seen (REV-2). Counts up with
    /// every change, whatever the clock says; 0 in those from before.
    #[serde(default)]
    pub updated_at: Millis,
}

/// A custodian's clock may be ahead by so much.
const CLOCK_MILLIS: Millis = 60_000;

/// REV-4: nobody hands in a policy that takes no orders yet.
pub fn check_valid(valid_from: Millis, now: Millis) -> Result<()> {
    if valid_from > now.saturating_add(CLOCK_MILLIS) {
        return Err(DomainError::PolicyNotYet { valid_from, now });
    }
    Ok(())
}

/// A reason that somebody reads: there, and of bounded length.
pub fn check_reason(reason: &str) -> Result<()> {
    if reason.trim().is_empty() {
        return Err(DomainError::invalid("reason", "is empty"));
    }
    if reason.len() > MAX_REASON {
        return Err(DomainError::TooLarge {
            field: "reason",
            limit: MAX_REASON as u64,
            value: reason.len() as u64,
        });
    }
    check_text("reason", reason, true)
}

impl Listing {
    /// Takes a step, consuming the state it leaves.
    pub fn step(mut self, step: ListingStep, now: Millis) -> Result<Self> {
        use ListingState as S;
        use ListingStep as T;
        self.state = match (step, self.state) {
            (T::Submit, S::Draft | S::Rejected { .. }) => {
                if self.policy.is_none() {
                    return Err(DomainError::invalid(
                        "policy",
                        "a listing is submitted with one",
                    ));
                }
                S::Submitted { at: now }
            }
            (T::Approve { by }, S::Submitted { .. }) => {
                Self::not_own(self.owner, by)?;
                S::Published { at: now, by }
            }
            (T::Reject { by, reason }, S::Submitted { .. }) => {
                Self::not_own(self.owner, by)?;
                check_reason(&reason)?;
                S::Rejected {
                    at: now,
                    by,
                    reason,
                }
            }
            (T::Appeal { text }, S::Rejected { .. }) => {
                check_reason(&text)?;
                S::Submitted { at: now }
            }
            (T::Pause, S::Published { by, .. }) => S::Paused { at: now, by },
            (T::Resume, S::Paused { by, .. }) => S::Published { at: now, by },
            (
                T::Withdraw,
                S::Draft
                | S::Submitted { .. }
                | S::Published { .. }
                | S::Rejected { .. }
                | S::Paused { .. },
            ) => S::Withdrawn { at: now },
            (T::Submit | T::Appeal { .. }, s) => return Err(s.refuse("submitted")),
            (T::Approve { .. } | T::Resume, s) => return Err(s.refuse("published")),
            (T::Reject { .. }, s) => return Err(s.refuse("rejected")),
            (T::Pause, s) => return Err(s.refuse("paused")),
            (T::Withdraw, s) => return Err(s.refuse("withdrawn")),
        };
        Ok(self.touched(now))
    }

    /// Changed now, and after every earlier change (REV-2).
    #[must_use]
    pub fn touched(mut self, now: Millis) -> Self {
        self.updated_at = now.max(self.updated_at.saturating_add(1));
        self
    }

    fn not_own(owner: AccountId, by: AccountId) -> Result<()> {
        if owner == by {
            Err(DomainError::OwnRequest)
        } else {
            Ok(())
        }
    }

    /// Takes a newer policy (DOC-3): same listing, same D, the next version.
    pub fn with_policy(mut self, policy: PolicyTerms) -> Result<Self> {
        if policy.listing != self.id {
            return Err(DomainError::ListingDiffers);
        }
        if policy.dataset != self.dataset {
            return Err(DomainError::DatasetDiffers);
        }
        if policy.price_order.plus(policy.price_output)? == MinorUnits::ZERO {
            return Err(DomainError::PolicyFree);
        }
        if let Some(before) = self.policy.as_ref().and_then(|p| p.tickets.as_ref()) {
            check_kept(before, policy.tickets.as_ref())?;
        }
        let current = self.policy.as_ref().map_or(0, |p| p.version);
        if policy.version.checked_sub(1) != Some(current) {
            return Err(DomainError::PolicyVersion {
                current,
                found: policy.version,
            });
        }
        if matches!(
            self.state,
            ListingState::Withdrawn { .. } | ListingState::Submitted { .. }
        ) {
            return Err(self.state.refuse("given another policy"));
        }
        self.policy = Some(policy);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit_tests::{listing, policy};

    fn admin() -> AccountId {
        AccountId::new(5, [5; 10])
    }

    #[test]
    fn the_whole_life() {
        let l = Listing {
            state: ListingState::Draft,
            policy: None,
            ..listing()
        };
        assert!(matches!(
            l.clone().step(ListingStep::Submit, 1),
            Err(DomainError::Invalid {
                field: "policy",
                ..
            })
        ));
        let l = l.with_policy(policy()).expect("first version");
        let l = l.step(ListingStep::Submit, 1).expect("draft");
        let no = ListingStep::Reject {
            by: admin(),
            reason: "  ".into(),
        };
        assert!(matches!(
            l.clone().step(no, 2),
            Err(DomainError::Invalid { .. })
        ));
        let own = ListingStep::Approve { by: l.owner };
        assert_eq!(l.clone().step(own, 2), Err(DomainError::OwnRequest));
        let r = ListingStep::Reject {
            by: admin(),
            reason: "blurry".into(),
        };
        let l = l
            .step(r, 2)
            .expect("submitted")
            .step(ListingStep::Submit, 3)
            .expect("again");
        let l = l
            .step(ListingStep::Approve { by: admin() }, 4)
            .expect("submitted");
        let l = l.step(ListingStep::Pause, 5).expect("published");
        assert!(matches!(
            l.clone().step(ListingStep::Pause, 6),
            Err(DomainError::ListingState {
                found: "paused",
                wanted: "paused"
            })
        ));
        let l = l.step(ListingStep::Resume, 6).expect("paused");
        let l = l.step(ListingStep::Withdraw, 7).expect("published");
        for s in [
            ListingStep::Submit,
            ListingStep::Resume,
            ListingStep::Withdraw,
        ] {
            assert!(matches!(
                l.clone().step(s, 8),
                Err(DomainError::ListingState { .. })
            ));
        }
    }

    #[test]
    fn a_policy_is_handed_in_when_it_is_valid() {
        // REV-4
        for from in [0, 1_000, 1_000 + CLOCK_MILLIS] {
            assert_eq!(check_valid(from, 1_000), Ok(()));
        }
        let valid_from = 1_001 + CLOCK_MILLIS;
        let refused = DomainError::PolicyNotYet {
            valid_from,
            now: 1_000,
        };
        assert_eq!(check_valid(valid_from, 1_000), Err(refused));
    }

    #[test]
    fn appeals_go_back_into_the_queue() {
        // REV-2, REV-3
        let l = Listing {
            state: ListingState::Rejected {
                at: 5,
                by: admin(),
                reason: "blurry".into(),
            },
            updated_at: 5,
            ..listing()
        };
        let appeal = |text: &str| ListingStep::Appeal { text: text.into() };
        for (text, code) in [
            (" ".to_owned(), "INVALID"),
            ("x".repeat(MAX_REASON + 1), "TOO_LARGE"),
            ("a\u{202e}b".to_owned(), "TEXT_CHARACTER"),
        ] {
            let refused = l.clone().step(appeal(&text), 6);
            assert_eq!(refused.unwrap_err().code(), code);
        }
        let again = l.clone().step(appeal("it is\nnot"), 5).expect("rejected");
        assert_eq!(again.state, ListingState::Submitted { at: 5 });
        assert_eq!(again.updated_at, 6, "later, though the clock stands still");
        for state in [
            ListingState::Draft,
            ListingState::Submitted { at: 1 },
            ListingState::Published { at: 1, by: admin() },
            ListingState::Withdrawn { at: 1 },
        ] {
            let l = Listing { state, ..l.clone() };
            let found = l.state.name();
            let refused = DomainError::ListingState {
                found,
                wanted: "submitted",
            };
            assert_eq!(l.step(appeal("why"), 6), Err(refused));
        }
    }

    #[test]
    fn no_policy_is_free() {
        let l = Listing {
            policy: None,
            ..listing()
        };
        let priced = |order, output| PolicyTerms {
            price_order: MinorUnits::new(order).expect("in range"),
            price_output: MinorUnits::new(output).expect("in range"),
            ..policy()
        };
        let free = l.clone().with_policy(priced(0, 0));
        assert_eq!(free, Err(DomainError::PolicyFree));
        for (order, output) in [(1, 0), (0, 1)] {
            assert!(l.clone().with_policy(priced(order, output)).is_ok());
        }
    }

    #[test]
    fn policies_count_up() {
        // DOC-3
        let l = Listing {
            policy: None,
            ..listing()
        };
        let mut p = policy();
        p.version = 2;
        assert!(matches!(
            l.clone().with_policy(p.clone()),
            Err(DomainError::PolicyVersion {
                current: 0,
                found: 2
            })
        ));
        p.version = 1;
        let l = l.with_policy(p.clone()).expect("first");
        assert!(l.clone().with_policy(p.clone()).is_err());
        p.version = 2;
        p.dataset = Digest([9; 32]);
        assert_eq!(
            l.clone().with_policy(p.clone()),
            Err(DomainError::DatasetDiffers)
        );
        p.dataset = l.dataset;
        p.listing = ListingId::new(8, [8; 10]);
        assert_eq!(l.with_policy(p), Err(DomainError::ListingDiffers));
    }
}
