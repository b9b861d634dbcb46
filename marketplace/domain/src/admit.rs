//! Whether an order is taken (ORD-1..4): a pure decision over facts that the
//! server gathered. Each difference is its own refusal.

use crate::{
    DomainError, Millis, MinorUnits, Result,
    id::AccountId,
    joint::{JointPart, check_joint},
    listing::{Listing, ListingState},
    terms::{Custody, OrderTerms, PolicyTerms, QuoteTerms},
    tickets::{TicketFacts, check_tickets},
};
use serde::{Deserialize, Serialize};
use veilbourse_core::{digest::Digest, manifest::Manifest, program::Program};
use veilbourse_documents::{DemandError, fits_class};

/// What a listing has revealed and what orders under way will.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Values delivered.
    pub values: u64,
    /// Bits delivered.
    pub bits: u64,
    /// Values of orders under way.
    pub values_reserved: u64,
    /// Bits of orders under way.
    pub bits_reserved: u64,
}

/// What is left of a policy's quotas, orders under way counted as used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaLeft {
    /// Values.
    pub values: u64,
    /// Bits.
    pub bits: u64,
}

/// Quotas left (ORD-4).
pub fn quota_left(policy: &PolicyTerms, usage: &Usage) -> QuotaLeft {
    let used = usage.values.saturating_add(usage.values_reserved);
    let bits = usage.bits.saturating_add(usage.bits_reserved);
    QuotaLeft {
        values: policy.quota_values.saturating_sub(used),
        bits: policy.quota_bits.saturating_sub(bits),
    }
}

pub use veilbourse_documents::Demand;

/// Checks a program against manifest, budget and policy (ORD-4, without quotas).
pub fn check_demand(
    manifest: &Manifest,
    program: &Program,
    policy: &PolicyTerms,
) -> Result<Demand> {
    if program.dataset != policy.dataset || manifest.root() != policy.dataset {
        return Err(DomainError::DatasetDiffers);
    }
    veilbourse_documents::demand(manifest, program, &policy.kinds, policy.min_cohort).map_err(|e| {
        match e {
            DemandError::Dataset => DomainError::DatasetDiffers,
            DemandError::DuplicateOutput { index } => DomainError::DuplicateOutput { index },
            DemandError::KindDenied { kind } => DomainError::QueryKindDenied { kind: kind.name() },
            DemandError::Cohort {
                segment,
                rows,
                minimum,
            } => DomainError::CohortTooSmall {
                segment,
                rows,
                minimum,
            },
            DemandError::Budget(_)
            | DemandError::Vector { .. }
            | DemandError::TooMuch { .. }
            | DemandError::ClassK { .. }
            | DemandError::Sensitivity { .. }
            | DemandError::Privacy { .. } => DomainError::Program {
                reason: e.to_string(),
            },
        }
    })
}

/// The price of a demand under a policy, without fee or pod parts on top: they
/// come out of it (SET-4).
pub fn price(policy: &PolicyTerms, demand: &Demand) -> Result<MinorUnits> {
    policy
        .price_order
        .plus(policy.price_output.times(demand.values)?)
}

/// Refuses a demand beyond the quotas left (ORD-4).
pub fn check_quota(policy: &PolicyTerms, usage: &Usage, values: u64, bits: u64) -> Result<()> {
    let left = quota_left(policy, usage);
    for (what, left, needed) in [("values", left.values, values), ("bits", left.bits, bits)] {
        if needed > left {
            return Err(DomainError::QuotaExceeded { what, left, needed });
        }
    }
    Ok(())
}

/// What the decision looks at.
#[derive(Debug, Clone, Copy)]
pub struct Admission<'a> {
    /// Now.
    pub now: Millis,
    /// This marketplace.
    pub marketplace: Digest,
    /// The listing, with its newest policy.
    pub listing: &'a Listing,
    /// The quote that the order names, as stored here.
    pub quote: &'a QuoteTerms,
    /// The order, its signature already checked.
    pub order: &'a OrderTerms,
    /// Its program.
    pub program: &'a Program,
    /// The dataset.
    pub manifest: &'a Manifest,
    /// Who places.
    pub buyer: AccountId,
    /// Whether the signer is a registered, unrevoked key of the buyer.
    pub key_registered: bool,
    /// What was revealed before.
    pub usage: &'a Usage,
    /// Its tickets; empty in custodian-held custody.
    pub tickets: &'a TicketFacts,
    /// The quotes of a joint order, as its list has them; empty for an order by
    /// itself.
    pub joint: &'a [JointPart],
    /// Longest time from now to a deadline: an order reserves its listing's
    /// quota until then.
    pub horizon: Millis,
}

/// Decides ORD-1, ORD-3 and ORD-4; the nonce (ORD-2) and the money (SET-1) are
/// decided in the placing transaction, which also rechecks the quota.
pub fn admit_order(a: &Admission<'_>) -> Result<Demand> {
    let (q, o) = (a.quote, a.order);
    let ListingState::Published { .. } = a.listing.state else {
        return Err(DomainError::ListingClosed {
            state: a.listing.state.name(),
        });
    };
    let Some(policy) = &a.listing.policy else {
        return Err(DomainError::ListingClosed {
            state: "without a policy",
        });
    };
    // ORD-3
    if !a.key_registered {
        return Err(DomainError::SigningKeyUnknown);
    }
    if a.listing.owner == a.buyer {
        return Err(DomainError::OwnListing);
    }
    // ORD-1
    let ours = q.marketplace == a.marketplace && o.marketplace == a.marketplace;
    if !ours || o.quote != q.digest {
        return Err(DomainError::QuoteUnknown);
    }
    if a.now >= q.expiry {
        return Err(DomainError::QuoteExpired {
            expiry: q.expiry,
            now: a.now,
        });
    }
    if o.listing != q.listing || q.listing != a.listing.id {
        return Err(DomainError::ListingDiffers);
    }
    if o.dataset != q.dataset || q.dataset != a.listing.dataset {
        return Err(DomainError::DatasetDiffers);
    }
    for found in [o.policy_version, q.policy_version] {
        if found != policy.version {
            return Err(DomainError::PolicyVersionDiffers {
                expected: policy.version,
                found,
            });
        }
    }
    if a.now < policy.valid_from {
        return Err(DomainError::ListingClosed {
            state: "not valid yet",
        });
    }
    if o.program != q.program || a.program.shape() != q.program {
        return Err(DomainError::ProgramDiffers);
    }
    if o.price != q.price || q.split.total()? != q.price {
        return Err(DomainError::PriceDiffers {
            expected: q.price,
            found: o.price,
        });
    }
    if o.pod != q.pod {
        return Err(DomainError::PodDiffers);
    }
    if o.verifying_key != q.verifying_key {
        return Err(DomainError::VerifyingKeyDiffers);
    }
    if o.srs != q.srs {
        return Err(DomainError::SrsDiffers);
    }
    if o.openers != q.openers || q.openers != policy.openers {
        return Err(DomainError::OpenersDiffer);
    }
    if o.ticket_class != q.ticket_class {
        return Err(DomainError::TicketClassDiffers);
    }
    let minimum = o.min_class.max(policy.min_class);
    if q.class < minimum {
        return Err(DomainError::AssuranceTooLow {
            minimum: minimum.name(),
        });
    }
    let earliest = a
        .now
        .saturating_add(q.expected_seconds.saturating_mul(1000));
    if o.deadline <= earliest {
        return Err(DomainError::DeadlineTooSoon {
            earliest,
            deadline: o.deadline,
        });
    }
    let latest = a.now.saturating_add(a.horizon);
    if o.deadline > latest {
        return Err(DomainError::DeadlineTooLate {
            latest,
            deadline: o.deadline,
        });
    }
    // ORD-4
    let demand = check_demand(a.manifest, a.program, policy)?;
    check_quota(policy, a.usage, demand.values, demand.bits)?;
    // ORD-7, ORD-8, DOC-12
    if let Some(class) = check_class(policy, q.ticket_class, a.manifest, a.program, demand.values)?
    {
        check_tickets(policy, a.tickets, &class, demand.values)?;
    }
    if !o.joint.is_empty() {
        if policy.openers.custody() != Custody::Committee {
            return Err(DomainError::JointDiffers { what: "openers" });
        }
        check_joint(a.buyer, &o.joint, a.joint)?;
    }
    Ok(demand)
}

/// The ticket class of a quote or order is one that the policy offers and that
/// its outputs fit; in custodian-held custody there is none (DOC-4, OPN-5).
pub fn check_class(
    policy: &PolicyTerms,
    class: Option<Digest>,
    manifest: &Manifest,
    program: &Program,
    values: u64,
) -> Result<Option<Digest>> {
    let not_offered = |found: String| DomainError::TicketClassNotOffered { found };
    let (tickets, class) = match (&policy.tickets, class) {
        (None, None) => return Ok(None),
        (Some(tickets), Some(class)) => (tickets, class),
        (None, Some(class)) => return Err(not_offered(class.to_string())),
        (Some(_), None) => return Err(not_offered("none".into())),
    };
    let offered = tickets.offered(&class);
    let (_, terms) = offered.ok_or_else(|| not_offered(class.to_string()))?;
    fits_class(manifest, program, values, &terms).map_err(|e| DomainError::TicketClassUnfit {
        reason: e.to_string(),
    })?;
    Ok(Some(class))
}
