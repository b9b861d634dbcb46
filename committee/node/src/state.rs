//! What the log adds up to.

use crate::log::Record;
use std::collections::HashMap;
use veilbourse_core::digest::Digest;
use veilbourse_documents::{
    Bytes, Delivery, Id, NonDelivery, Nonce, Policy, Signed, SubmittedDigest,
};

/// What was revealed of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Revealed {
    /// Values.
    pub values: u64,
    /// Bits.
    pub bits: u64,
}

/// An order whose values were spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpentOrder {
    /// The grant it was spent for.
    pub grant: Digest,
    /// The ciphertexts and proofs it was spent for.
    pub outputs: Vec<SubmittedDigest>,
    /// Of the dataset, before this order.
    pub before: Revealed,
    /// Values of this order.
    pub values: u64,
}

/// How an order ended here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Delivered.
    Delivered(Box<Signed<Delivery>>, Bytes),
    /// Refused.
    Refused(Box<Signed<NonDelivery>>),
}

/// The newest policy seen of one listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SeenPolicy {
    version: u32,
    digest: Digest,
}

/// The policies seen of one dataset.
#[derive(Debug, Clone)]
struct Policies {
    /// The listing of the newest policy.
    listing: Id,
    /// The latest beginning of any policy seen.
    valid_from: u64,
    listings: HashMap<Id, SeenPolicy>,
}

/// How a policy stands to those seen before it (KEY-6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Newer than every other.
    New,
    /// The newest itself.
    Current,
    /// Its listing had a later version.
    Older {
        /// That version.
        seen: u32,
    },
    /// Its listing had another policy of the same version.
    Conflicting,
    /// Another listing of the dataset has a policy that is as new or newer.
    Replaced {
        /// That listing.
        listing: Id,
        /// From when the newest policy is valid.
        valid_from: u64,
    },
}

/// Everything the node knows of the past.
#[derive(Debug, Clone, Default)]
pub struct State {
    revealed: HashMap<Digest, Revealed>,
    policies: HashMap<Digest, Policies>,
    nonces: HashMap<Nonce, Digest>,
    spent: HashMap<Digest, SpentOrder>,
    ended: HashMap<Digest, Ended>,
}

impl State {
    /// Replays a log.
    pub fn replay(records: impl IntoIterator<Item = Record>) -> Self {
        let mut state = Self::default();
        for r in records {
            state.apply(r);
        }
        state
    }

    /// Takes one record in.
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::PolicySeen {
                dataset,
                listing,
                policy_version: version,
                digest,
                valid_from,
            } => {
                let seen = self.policies.entry(dataset).or_insert_with(|| Policies {
                    listing: listing.clone(),
                    valid_from,
                    listings: HashMap::new(),
                });
                // A later version may begin earlier: what it replaced does not
                // come back through another listing.
                seen.valid_from = seen.valid_from.max(valid_from);
                seen.listing = listing.clone();
                seen.listings
                    .insert(listing, SeenPolicy { version, digest });
            }
            Record::Spent {
                order,
                grant,
                nonce,
                dataset,
                values,
                bits,
                outputs,
            } => {
                let total = self.revealed.entry(dataset).or_default();
                let before = *total;
                total.values = total.values.saturating_add(values);
                total.bits = total.bits.saturating_add(bits);
                self.nonces.insert(nonce, order);
                self.spent.insert(
                    order,
                    SpentOrder {
                        grant,
                        outputs,
                        before,
                        values,
                    },
                );
            }
            Record::Delivered {
                order,
                delivery,
                sealed_result,
            } => {
                self.ended
                    .insert(order, Ended::Delivered(delivery, sealed_result));
            }
            Record::Refused { order, refusal } => {
                self.ended.insert(order, Ended::Refused(refusal));
            }
        }
    }

    /// What was revealed of a dataset.
    pub fn revealed(&self, dataset: &Digest) -> Revealed {
        self.revealed.get(dataset).copied().unwrap_or_default()
    }
    /// The highest policy version seen of a dataset's listing; 0 for none.
    pub fn policy_version(&self, dataset: &Digest, listing: &Id) -> u32 {
        self.policies
            .get(dataset)
            .and_then(|p| p.listings.get(listing))
            .map_or(0, |p| p.version)
    }
    /// How a policy, with its digest, stands to those seen (KEY-6).
    pub fn standing(&self, policy: &Policy, digest: &Digest) -> Standing {
        let Some(seen) = self.policies.get(&policy.dataset) else {
            return Standing::New;
        };
        let of_listing = seen.listings.get(&policy.listing);
        if let Some(s) = of_listing {
            if policy.policy_version < s.version {
                return Standing::Older { seen: s.version };
            }
            if policy.policy_version == s.version && *digest != s.digest {
                return Standing::Conflicting;
            }
        }
        if policy.listing != seen.listing && policy.valid_from <= seen.valid_from {
            return Standing::Replaced {
                listing: seen.listing.clone(),
                valid_from: seen.valid_from,
            };
        }
        match of_listing {
            Some(s) if s.version == policy.policy_version => Standing::Current,
            _ => Standing::New,
        }
    }
    /// The order that a nonce was spent for.
    pub fn nonce(&self, nonce: &Nonce) -> Option<&Digest> {
        self.nonces.get(nonce)
    }
    /// What was spent for an order.
    pub fn spent(&self, order: &Digest) -> Option<&SpentOrder> {
        self.spent.get(order)
    }
    /// How an order ended.
    pub fn ended(&self, order: &Digest) -> Option<&Ended> {
        self.ended.get(order)
    }
}
