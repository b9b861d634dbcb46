//! What the log adds up to.

use crate::{
    config::dealt_by,
    log::{OpenedRequest, Record},
};
use std::collections::{BTreeSet, HashMap};
use veilbourse_core::digest::Digest;
use veilbourse_documents::{
    Bytes, Delivery, Id, Key, NonDelivery, Nonce, Policy, Signed, SubmittedDigest, api::Deliver,
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
    /// The orders of a joint one that it was spent for (OPN-9).
    pub joint: Vec<Digest>,
}

/// A grant that an opening was begun under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BegunGrant {
    /// Its digest.
    pub grant: Digest,
    /// Its number.
    pub number: u32,
}

/// What a committee's node delivers, as it is on disk.
#[derive(Debug, Clone)]
pub struct Released {
    /// The first order's id at the marketplace.
    pub order_id: Id,
    /// All of it.
    pub deliver: Box<Deliver>,
    /// What was opened, an order each.
    pub requests: Vec<OpenedRequest>,
    /// Whether the marketplace has it.
    pub handed: bool,
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
    /// Dealings that any of them listed.
    dealings: BTreeSet<Digest>,
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
    served: Vec<(Digest, Key)>,
    over: HashMap<Digest, Box<Signed<NonDelivery>>>,
    /// The newest grant that an opening of each order was begun under.
    newest: HashMap<Digest, BegunGrant>,
    /// The number of every such grant.
    numbers: HashMap<Digest, u32>,
    /// By first order.
    released: HashMap<Digest, Released>,
    /// First orders as they were released.
    releases: Vec<Digest>,
    /// The first order of what each order was released with.
    first: HashMap<Digest, Digest>,
}

fn scope(dataset: &Digest, custodian: Option<&Key>) -> Digest {
    custodian.map_or(*dataset, |c| dealt_by(dataset, c))
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
                custodian,
                dealings,
            } => {
                let scope = scope(&dataset, custodian.as_ref());
                let seen = self.policies.entry(scope).or_insert_with(|| Policies {
                    listing: listing.clone(),
                    valid_from,
                    listings: HashMap::new(),
                    dealings: BTreeSet::new(),
                });
                seen.dealings.extend(dealings);
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
                custodian,
                joint,
            } => {
                let scope = scope(&dataset, custodian.as_ref());
                let total = self.revealed.entry(scope).or_default();
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
                        joint,
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
            Record::Served { dataset, custodian } => self.served.push((dataset, custodian)),
            Record::Begun {
                order,
                grant,
                number,
            } => {
                self.newest.insert(order, BegunGrant { grant, number });
                self.numbers.insert(grant, number);
            }
            Record::GrantOver { grant, refusal } => {
                self.over.insert(grant, refusal);
            }
            Record::Released {
                order_id,
                deliver,
                requests,
            } => {
                let orders = deliver.orders.iter().map(|d| d.delivery.body.order);
                let orders: Vec<Digest> = orders.collect();
                let Some(first) = orders.first().copied() else {
                    return;
                };
                self.first.extend(orders.into_iter().map(|o| (o, first)));
                let released = Released {
                    order_id,
                    deliver,
                    requests,
                    handed: false,
                };
                self.releases.push(first);
                self.released.insert(first, released);
            }
            Record::Handed { order } => {
                if let Some(r) = self.released.get_mut(&order) {
                    r.handed = true;
                }
            }
        }
    }

    /// What was revealed of a dataset; in a committee, of a dataset as one
    /// custodian deals it ([`crate::dealt_by`]).
    pub fn revealed(&self, scope: &Digest) -> Revealed {
        self.revealed.get(scope).copied().unwrap_or_default()
    }
    /// The highest policy version seen of a dataset's listing; 0 for none.
    pub fn policy_version(&self, scope: &Digest, listing: &Id) -> u32 {
        self.policies
            .get(scope)
            .and_then(|p| p.listings.get(listing))
            .map_or(0, |p| p.version)
    }
    /// How a policy, with its digest, stands to those seen (KEY-6).
    pub fn standing(&self, scope: &Digest, policy: &Policy, digest: &Digest) -> Standing {
        let Some(seen) = self.policies.get(scope) else {
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
    /// A dealing that some policy listed and this one does not (DOC-12).
    pub fn left_out(&self, scope: &Digest, policy: &Policy) -> Option<Digest> {
        let seen = &self.policies.get(scope)?.dealings;
        let tickets = policy.tickets.as_ref();
        let listed = |d: &Digest| tickets.is_some_and(|t| t.dealing(d).is_some());
        seen.iter().find(|d| !listed(d)).copied()
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
    /// Datasets that have a ticket store here, and who deals them.
    pub fn served(&self) -> impl Iterator<Item = (&Digest, &Key)> {
        self.served.iter().map(|(d, c)| (d, c))
    }
    /// The newest grant that an opening of an order was begun under (KEY-11).
    pub fn begun(&self, order: &Digest) -> Option<BegunGrant> {
        self.newest.get(order).copied()
    }
    /// The number of a grant that an opening was begun under.
    pub fn number(&self, grant: &Digest) -> Option<u32> {
        self.numbers.get(grant).copied()
    }
    /// Why nothing is opened under a grant any more (KEY-11).
    pub fn over(&self, grant: &Digest) -> Option<&Signed<NonDelivery>> {
        self.over.get(grant).map(|r| &**r)
    }
    /// What was released of an order, or of the joint one that it is in.
    pub fn released(&self, order: &Digest) -> Option<&Released> {
        self.released.get(self.first.get(order)?)
    }
    /// Everything that was released, newest first.
    pub fn all_released(&self) -> impl Iterator<Item = &Released> {
        let newest = self.releases.iter().rev();
        newest.filter_map(|first| self.released.get(first))
    }
    /// What the marketplace has not yet, by first order.
    pub fn unhanded(&self) -> impl Iterator<Item = (&Digest, &Released)> {
        self.released.iter().filter(|(_, r)| !r.handed)
    }
}
