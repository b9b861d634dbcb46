//! An order's life (ORD, SET): each state is a type that carries its facts,
//! each transition consumes the state it leaves, so an order ends once (SET-6).
//!
//! `placed -> funded -> leased -> evaluated -> verified -> opening -> released | refunded`
//! with `opening -> verified` when a grant to a quorum came to nothing (SET-7).
//!
//! Over 500 lines: the states and every transition between them.

use crate::{
    DomainError, Millis, MinorUnits, Result, Split,
    id::{AccountId, LeaseToken, ListingId, MachineId, OrderId, TransferId},
    job::{Lease, MAX_ATTEMPTS},
    terms::{Opener, OrderTerms},
};
use serde::{Deserialize, Serialize};
use veilbourse_core::digest::Digest;

/// Why a buyer gets the money back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case", deny_unknown_fields)]
pub enum RefundReason {
    /// A submission failed verification; the rule that refused it (SET-2).
    Rejected {
        /// The refusal.
        rule: String,
    },
    /// The deadline passed (SET-5).
    Expired,
    /// No pod finished, or the key node signed that it will not deliver.
    Undeliverable {
        /// What happened.
        why: String,
    },
}

impl RefundReason {
    /// The name in the API.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Rejected { .. } => "rejected",
            Self::Expired => "expired",
            Self::Undeliverable { .. } => "undeliverable",
        }
    }
}

/// A grant of an order (DOC-8): the one of custodian-held custody, or one of
/// several to quorums of the committee, numbered from 0 (SET-7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Granted {
    /// The digest of the signed grant.
    pub grant: Digest,
    /// Its number.
    pub number: u32,
    /// Who opens under it.
    pub opener: Opener,
    /// When it expires.
    pub expires: Millis,
    /// Why it came to nothing.
    pub over: Option<String>,
}

impl Granted {
    /// Its quorum, of a committee.
    pub fn quorum(&self) -> &[u8] {
        match &self.opener {
            Opener::CustodianHeld { .. } => &[],
            Opener::Committee { quorum, .. } => quorum,
        }
    }
    /// The dealing whose tickets it spends.
    pub fn dealing(&self) -> Option<Digest> {
        match &self.opener {
            Opener::CustodianHeld { .. } => None,
            Opener::Committee { dealing, .. } => Some(*dealing),
        }
    }
}

macro_rules! states {
    ($($(#[doc = $doc:literal])+ $name:ident $text:literal $as:ident { $($(#[doc = $fd:literal])+ $field:ident : $ty:ty),* $(,)? })*) => {
        $(
            $(#[doc = $doc])+
            #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct $name { $($(#[doc = $fd])+ pub $field: $ty),* }
            impl From<$name> for OrderState {
                fn from(s: $name) -> Self {
                    Self::$name(s)
                }
            }
        )*
        /// Where an order stands.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum OrderState { $($(#[doc = $doc])+ $name($name)),* }

        impl OrderState {
            /// Every state's name, in order.
            pub const NAMES: &'static [&'static str] = &[$($text),*];
            /// The name in the API and the database.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => $text),* }
            }
            $(
                /// The facts of this state, or a refusal of the transition to `wanted` (ORD-5).
                pub fn $as(self, wanted: &'static str) -> Result<$name> {
                    match self {
                        Self::$name(s) => Ok(s),
                        other => Err(DomainError::OrderState { found: other.name(), wanted }),
                    }
                }
            )*
        }
    };
}

states! {
    /// Admitted, money not yet reserved; only exists inside the placing transaction (SET-1).
    Placed "placed" placed {
        /// When.
        at: Millis,
    }
    /// The price is reserved; waits for its pod.
    Funded "funded" funded {
        /// The pending transfer.
        escrow: TransferId,
        /// Leases that ended without a submission.
        attempts: u32,
    }
    /// A pod works on it.
    Leased "leased" leased {
        /// The pending transfer.
        escrow: TransferId,
        /// The pod's lease.
        lease: Lease,
    }
    /// A submission was taken, not yet verified.
    Evaluated "evaluated" evaluated {
        /// The pending transfer.
        escrow: TransferId,
        /// The digest of the signed submission.
        submission: Digest,
        /// Who submitted.
        pod: MachineId,
    }
    /// The server has verified every envelope (SET-2).
    Verified "verified" verified {
        /// The pending transfer.
        escrow: TransferId,
        /// The digest of the signed submission.
        submission: Digest,
        /// Grants to quorums that came to nothing (SET-7).
        grants: Vec<Granted>,
    }
    /// A grant is out. In custodian-held custody it is the one, and the escrow
    /// cannot be voided by us any more (SET-3).
    Opening "opening" opening {
        /// The pending transfer.
        escrow: TransferId,
        /// The digest of the signed submission.
        submission: Digest,
        /// The grants, the newest last.
        grants: Vec<Granted>,
    }
    /// Delivered and paid.
    Released "released" released {
        /// The posted transfer.
        escrow: TransferId,
        /// The digest of the signed submission.
        submission: Digest,
        /// The digest of the signed grant that was delivered for.
        grant: Digest,
        /// Its number.
        number: u32,
        /// How many grants there were.
        grants: u32,
        /// The digests of the signed deliveries, a quorum's by node number.
        deliveries: Vec<Digest>,
        /// When.
        at: Millis,
    }
    /// Not delivered, money back.
    Refunded "refunded" refunded {
        /// The voided transfer.
        escrow: TransferId,
        /// Why.
        reason: RefundReason,
        /// When.
        at: Millis,
    }
}

impl OrderState {
    /// Whether it is one of the two ends (SET-6).
    pub fn terminal(&self) -> bool {
        matches!(self, Self::Released(_) | Self::Refunded(_))
    }
    /// The escrow, from `funded` on.
    pub fn escrow(&self) -> Option<TransferId> {
        match self {
            Self::Placed(_) => None,
            Self::Funded(Funded { escrow, .. })
            | Self::Leased(Leased { escrow, .. })
            | Self::Evaluated(Evaluated { escrow, .. })
            | Self::Verified(Verified { escrow, .. })
            | Self::Opening(Opening { escrow, .. })
            | Self::Released(Released { escrow, .. })
            | Self::Refunded(Refunded { escrow, .. }) => Some(*escrow),
        }
    }
    /// The pod's lease, in `leased`.
    pub fn lease(&self) -> Option<&Lease> {
        match self {
            Self::Leased(l) => Some(&l.lease),
            _ => None,
        }
    }
}

impl Placed {
    /// The escrow is pending.
    pub fn fund(self, escrow: TransferId) -> Funded {
        Funded {
            escrow,
            attempts: 0,
        }
    }
}

impl Funded {
    /// The quoted pod takes the job, before the deadline (ORD-6).
    pub fn lease(
        self,
        holder: MachineId,
        token: LeaseToken,
        deadline: Millis,
        now: Millis,
    ) -> Result<Leased> {
        before(deadline, now)?;
        let lease = Lease::start(holder, token, self.attempts, now)?;
        Ok(Leased {
            escrow: self.escrow,
            lease,
        })
    }
}

impl Leased {
    /// Still at work.
    pub fn heartbeat(self, holder: MachineId, token: LeaseToken, now: Millis) -> Result<Self> {
        Ok(Self {
            lease: self.lease.prolong(holder, token, now)?,
            ..self
        })
    }
    /// The holder of the current token submits (ORD-6).
    pub fn submit(
        self,
        holder: MachineId,
        token: LeaseToken,
        submission: Digest,
        now: Millis,
    ) -> Result<Evaluated> {
        self.lease.check(holder, token, now)?;
        Ok(Evaluated {
            escrow: self.escrow,
            submission,
            pod: holder,
        })
    }
    /// The holder gives it back, with a reason (POD-2).
    pub fn decline(
        self,
        holder: MachineId,
        token: LeaseToken,
        why: String,
        now: Millis,
    ) -> Result<OrderState> {
        self.lease.check(holder, token, now)?;
        Ok(self.fall_back(why, now))
    }
    /// The lease ended: back to `funded`, or refunded when attempts are used up.
    pub fn lapse(self, now: Millis) -> Result<OrderState> {
        if !self.lease.ended(now) {
            return Err(DomainError::OrderState {
                found: "leased",
                wanted: "funded",
            });
        }
        Ok(self.fall_back("no submission before the lease ended".into(), now))
    }
    fn fall_back(self, why: String, now: Millis) -> OrderState {
        let attempts = self.lease.attempt;
        if attempts >= MAX_ATTEMPTS {
            let reason = RefundReason::Undeliverable { why };
            return Refunded {
                escrow: self.escrow,
                reason,
                at: now,
            }
            .into();
        }
        Funded {
            escrow: self.escrow,
            attempts,
        }
        .into()
    }
}

impl Evaluated {
    /// Every envelope verified (SET-2).
    pub fn verify(self) -> Verified {
        Verified {
            escrow: self.escrow,
            submission: self.submission,
            grants: Vec::new(),
        }
    }
    /// Some envelope did not (SET-2).
    pub fn reject(self, rule: String, now: Millis) -> Refunded {
        Refunded {
            escrow: self.escrow,
            reason: RefundReason::Rejected { rule },
            at: now,
        }
    }
}

impl Verified {
    /// Issues a grant: the one, or the next to a quorum that had none; it
    /// expires before the order's deadline (SET-3, SET-5, SET-7).
    pub fn grant(self, grant: Granted, deadline: Millis, now: Millis) -> Result<Opening> {
        before(deadline, now)?;
        if grant.expires >= deadline || grant.expires <= now {
            return Err(DomainError::GrantExpiry {
                deadline,
                expires: grant.expires,
            });
        }
        let Self {
            escrow,
            submission,
            mut grants,
        } = self;
        let next = u32::try_from(grants.len()).unwrap_or(u32::MAX);
        let again = grants.iter().any(|g| g.quorum() == grant.quorum());
        if grant.number != next || again || grant.over.is_some() {
            return Err(DomainError::AlreadyDecided {
                what: "a grant to this quorum",
            });
        }
        grants.push(grant);
        Ok(Opening {
            escrow,
            submission,
            grants,
        })
    }
    /// A quorum of an earlier grant delivered after all (SET-7).
    pub fn release(self, grant: Digest, deliveries: Vec<Digest>, now: Millis) -> Result<Released> {
        released(
            self.escrow,
            self.submission,
            &self.grants,
            grant,
            deliveries,
            now,
        )
    }
}

/// Delivered for one of the grants.
fn released(
    escrow: TransferId,
    submission: Digest,
    grants: &[Granted],
    grant: Digest,
    deliveries: Vec<Digest>,
    now: Millis,
) -> Result<Released> {
    let named = grants.iter().find(|g| g.grant == grant);
    let named = named.ok_or(DomainError::DocumentLink { what: "delivery" })?;
    // Every node of the quorum, or the one (SET-3).
    let expected = named.quorum().len().max(1);
    if deliveries.len() != expected {
        return Err(DomainError::invalid(
            "deliveries",
            format!("{} of {expected}", deliveries.len()),
        ));
    }
    Ok(Released {
        escrow,
        submission,
        grant,
        number: named.number,
        grants: u32::try_from(grants.len()).unwrap_or(u32::MAX),
        deliveries,
        at: now,
    })
}

impl Opening {
    /// The newest grant.
    pub fn current(&self) -> Option<&Granted> {
        self.grants.last()
    }
    /// Whoever a grant lets open signed deliveries for it (SET-3, SET-7).
    pub fn release(self, grant: Digest, deliveries: Vec<Digest>, now: Millis) -> Result<Released> {
        released(
            self.escrow,
            self.submission,
            &self.grants,
            grant,
            deliveries,
            now,
        )
    }
    /// The named node signed that it delivers nothing and revealed nothing
    /// (SET-3, DOC-9); of a committee no one node can say so.
    pub fn undeliverable(
        self,
        grant: Digest,
        why: String,
        revealed: bool,
        now: Millis,
    ) -> Result<Refunded> {
        let current = self.current().filter(|g| g.grant == grant);
        let current = current.ok_or(DomainError::DocumentLink {
            what: "non-delivery",
        })?;
        if revealed || !current.quorum().is_empty() {
            return Err(DomainError::OrderState {
                found: "opening",
                wanted: "refunded",
            });
        }
        let reason = RefundReason::Undeliverable { why };
        Ok(Refunded {
            escrow: self.escrow,
            reason,
            at: now,
        })
    }
    /// The newest grant, to a quorum, came to nothing: back to `verified` if
    /// another quorum remains, else it waits for what may still be delivered
    /// until the deadline (SET-7).
    pub fn came_to_nothing(
        mut self,
        grant: Digest,
        why: String,
        remains: bool,
    ) -> Result<OrderState> {
        let unknown = DomainError::GrantUnknown;
        let current = self.grants.last_mut().filter(|g| g.grant == grant);
        let current = current.ok_or(unknown.clone())?;
        if current.quorum().is_empty() {
            return Err(unknown);
        }
        current.over.get_or_insert(why);
        let Self {
            escrow,
            submission,
            grants,
        } = self;
        Ok(match remains {
            true => Verified {
                escrow,
                submission,
                grants,
            }
            .into(),
            false => Self {
                escrow,
                submission,
                grants,
            }
            .into(),
        })
    }
}

fn before(deadline: Millis, now: Millis) -> Result<()> {
    if now >= deadline {
        Err(DomainError::DeadlinePassed { deadline, now })
    } else {
        Ok(())
    }
}

/// An order with what never changes about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// Who pays.
    pub buyer: AccountId,
    /// Who owns the data.
    pub custodian: AccountId,
    /// Who runs the pod.
    pub pod_operator: AccountId,
    /// The listing.
    pub listing: ListingId,
    /// What was signed.
    pub terms: OrderTerms,
    /// Who gets what (SET-4).
    pub split: Split,
    /// Values that the order reveals.
    pub values: u64,
    /// Bits that the order reveals.
    pub bits: u64,
    /// When it was placed.
    pub placed_at: Millis,
    /// Where it stands.
    pub state: OrderState,
}

impl Order {
    /// What is in escrow.
    pub fn price(&self) -> MinorUnits {
        self.terms.price
    }
    /// The same order in another state.
    pub fn with(mut self, state: impl Into<OrderState>) -> Self {
        self.state = state.into();
        self
    }
    /// The grants so far; of a released order none.
    pub fn grants(&self) -> &[Granted] {
        match &self.state {
            OrderState::Verified(v) => &v.grants,
            OrderState::Opening(o) => &o.grants,
            _ => &[],
        }
    }
    /// How many grants there were.
    pub fn grant_count(&self) -> u32 {
        match &self.state {
            OrderState::Released(r) => r.grants,
            _ => u32::try_from(self.grants().len()).unwrap_or(u32::MAX),
        }
    }
    /// A grant by its number, while the order is not over.
    pub fn granted(&self, number: u32) -> Option<&Granted> {
        self.grants().iter().find(|g| g.number == number)
    }
    /// Refunds because another order of its joint order did not come through
    /// (SET-8); an order of a committee alone is in one.
    pub fn end_with(self, other: OrderId, now: Millis) -> Result<Self> {
        let found = self.state.name();
        let escrow = self.state.escrow();
        let Some(escrow) = escrow.filter(|_| !self.state.terminal() && self.terms.by_committee())
        else {
            let wanted = "refunded";
            return Err(DomainError::OrderState { found, wanted });
        };
        let why = format!("order {other} of the joint order ended");
        Ok(self.with(Refunded {
            escrow,
            reason: RefundReason::Undeliverable { why },
            at: now,
        }))
    }
    /// Refunds an order whose joint order was not placed whole while its quote
    /// stood (SET-8): no pod has begun.
    pub fn end_incomplete(self, now: Millis) -> Result<Self> {
        let found = self.state.name();
        let (joint, why) = (
            !self.terms.joint.is_empty(),
            "the joint order was not placed whole while its quotes stood".into(),
        );
        match &self.state {
            OrderState::Funded(Funded { escrow, .. }) if joint => {
                let escrow = *escrow;
                let reason = RefundReason::Undeliverable { why };
                Ok(self.with(Refunded {
                    escrow,
                    reason,
                    at: now,
                }))
            }
            _ => {
                let wanted = "funded";
                Err(DomainError::OrderState { found, wanted })
            }
        }
    }
    /// Refunds an order past its deadline, unless the one key node is opening it
    /// or it is over (SET-5, SET-7).
    pub fn expire(self, now: Millis) -> Result<Self> {
        let deadline = self.terms.deadline;
        let committee = self.terms.by_committee();
        let escrow = match &self.state {
            OrderState::Funded(_)
            | OrderState::Leased(_)
            | OrderState::Evaluated(_)
            | OrderState::Verified(_) => self.state.escrow(),
            OrderState::Opening(_) if committee => self.state.escrow(),
            OrderState::Placed(_)
            | OrderState::Opening(_)
            | OrderState::Released(_)
            | OrderState::Refunded(_) => None,
        };
        let Some(escrow) = escrow else {
            return Err(DomainError::OrderState {
                found: self.state.name(),
                wanted: "refunded",
            });
        };
        if now < deadline {
            return Err(DomainError::DeadlineAhead { deadline, now });
        }
        let reason = if self.grants().is_empty() {
            RefundReason::Expired
        } else {
            RefundReason::Undeliverable {
                why: "no quorum delivered before the deadline".into(),
            }
        };
        Ok(self.with(Refunded {
            escrow,
            reason,
            at: now,
        }))
    }
}
