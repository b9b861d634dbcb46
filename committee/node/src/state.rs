//! What the log adds up to.

use crate::log::Record;
use std::collections::HashMap;
use veilbourse_core::digest::Digest;
use veilbourse_documents::{Bytes, Delivery, NonDelivery, Nonce, Signed, SubmittedDigest};

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

/// Everything the node knows of the past.
#[derive(Debug, Clone, Default)]
pub struct State {
    revealed: HashMap<Digest, Revealed>,
    policies: HashMap<Digest, u32>,
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
                policy_version,
            } => {
                let seen = self.policies.entry(dataset).or_default();
                *seen = policy_version.max(*seen);
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
    /// The highest policy version seen.
    pub fn policy(&self, dataset: &Digest) -> u32 {
        self.policies.get(dataset).copied().unwrap_or_default()
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
