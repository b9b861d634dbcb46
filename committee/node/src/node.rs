//! The node: its configuration, log and state; the gate before anything is
//! opened, and refusals that stay (KEY-2, KEY-7).

use crate::{
    LogError,
    admitted::{Admitted, Parts},
    config::NodeConfig,
    gate::{self, Past},
    log::{Log, Record},
    refusal::GateRefusal,
    state::{Ended, State},
};
use rand_core::CryptoRng;
use std::path::Path;
use thiserror::Error;
use veilbourse_core::digest::Digest;
use veilbourse_documents::{
    DOCUMENT_VERSION, Delivery, DocumentError, NonDelivery, Policy, Signed, api::NodeJob,
    marketplace_id,
};

/// Why the node could not even refuse.
#[derive(Debug, Error)]
pub enum NodeError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Signing or sealing.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A policy that the node will not act on.
    #[error("policy: {0}")]
    Policy(#[from] GateRefusal),
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The result, sealed to the buyer.
    Delivered {
        /// The signed delivery.
        delivery: Box<Signed<Delivery>>,
        /// The sealed result.
        sealed_result: Vec<u8>,
    },
    /// A signed refusal.
    Refused(Box<Signed<NonDelivery>>),
}

/// What became of a job's documents.
#[derive(Debug)]
pub enum Begun<'a> {
    /// Answered, without its parts.
    Ended(Outcome),
    /// May be opened once its parts hold.
    Admitted(Box<Admitted<'a>>),
}

/// The key node.
#[derive(Debug)]
pub struct KeyNode {
    pub(crate) config: NodeConfig,
    log: Log,
    pub(crate) state: State,
}

impl KeyNode {
    /// Opens the node's log and replays it (KEY-4). The log must exist:
    /// [`Log::create`] makes it when the node is initialised.
    pub fn open(config: NodeConfig, log: &Path) -> Result<Self, NodeError> {
        let (log, records) = Log::open(log)?;
        crate::series::counters();
        Ok(Self {
            config,
            log,
            state: State::replay(records),
        })
    }

    /// What it was told.
    pub fn config(&self) -> &NodeConfig {
        &self.config
    }

    /// What it remembers.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Head of the log: see [`Log::head`].
    pub fn log_head(&self) -> Digest {
        self.log.head()
    }

    pub(crate) fn record(&mut self, record: Record) -> Result<(), NodeError> {
        self.log.append(&record)?;
        self.state.apply(record);
        Ok(())
    }

    /// Does a job whose parts are all there: [`Self::begin`], every part,
    /// [`Self::finish`]. The same job again gives the same answer, from disk.
    pub fn process(
        &mut self,
        job: &NodeJob,
        parts: &Parts,
        now: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<Outcome, NodeError> {
        let mut admitted = match self.begin(job, now, rng)? {
            Begun::Ended(outcome) => return Ok(outcome),
            Begun::Admitted(a) => a,
        };
        match admitted.take(parts) {
            Ok(()) => self.finish(*admitted, now, rng),
            Err(refusal) => self.stop(&admitted, &refusal),
        }
    }

    /// Everything that needs no part (KEY-2): an order that has ended, or that
    /// must be refused by its documents, is answered without fetching any.
    pub fn begin<'a>(
        &mut self,
        job: &'a NodeJob,
        now: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<Begun<'a>, NodeError> {
        let order = job.order.digest()?;
        let grant = job.grant.digest()?;
        // KEY-7: what ended stays ended. A refusal ends the order, whatever grant
        // it was signed for; a delivery answers its own grant alone.
        match self.state.ended(&order) {
            Some(Ended::Delivered(delivery, sealed)) if delivery.body.grant == grant => {
                return Ok(Begun::Ended(Outcome::Delivered {
                    delivery: delivery.clone(),
                    sealed_result: sealed.0.clone(),
                }));
            }
            Some(Ended::Refused(refusal)) => {
                return Ok(Begun::Ended(Outcome::Refused(refusal.clone())));
            }
            _ => {}
        }
        // KEY-6: a policy counts from when it is seen, whatever becomes of the
        // job that showed it; one that may not be acted on stops at the gate.
        match self.learn_policy(&job.policy, now) {
            Ok(_) | Err(NodeError::Policy(_)) => {}
            Err(e) => return Err(e),
        }
        let spent = self.state.spent(&order);
        let past = Past {
            decided: spent.map(|s| (&s.grant, s.outputs.as_slice())),
            counted: spent.is_some(),
            tickets: None,
        };
        let admitted = gate::admit(&self.config, &self.state, job, &past, now, rng);
        Ok(match admitted {
            Ok(admitted) => Begun::Admitted(Box::new(admitted)),
            Err(refusal) => Begun::Ended(self.refuse(order, grant, &refusal)?),
        })
    }

    /// Refuses an order for one of its parts.
    pub fn stop(
        &mut self,
        admitted: &Admitted<'_>,
        refusal: &GateRefusal,
    ) -> Result<Outcome, NodeError> {
        self.refuse(admitted.order, admitted.grant, refusal)
    }

    /// Opens an order whose parts have all been taken (KEY-3, KEY-5).
    pub fn finish(
        &mut self,
        admitted: Admitted<'_>,
        now: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<Outcome, NodeError> {
        if let Err(refusal) = admitted.proven() {
            return self.stop(&admitted, &refusal);
        }
        // Fetching took its time: the grant may be over, the quota spent for
        // another order, a policy replaced.
        match self.begin(admitted.job, now, rng)? {
            Begun::Ended(outcome) => Ok(outcome),
            Begun::Admitted(_) => self.open_outputs(&admitted, rng),
        }
    }

    /// KEY-6: remembers a policy that replaces those seen, from wherever it
    /// comes; returns whether it did.
    pub fn learn_policy(&mut self, policy: &Signed<Policy>, now: u64) -> Result<bool, NodeError> {
        let new = gate::policy(&self.config, &self.state, policy, now)?;
        if new {
            let body = &policy.body;
            self.record(Record::PolicySeen {
                dataset: body.dataset,
                listing: body.listing.clone(),
                policy_version: body.policy_version,
                digest: policy.digest()?,
                valid_from: body.valid_from,
                custodian: self.config.seat.is_some().then_some(policy.key),
                dealings: body
                    .tickets
                    .as_ref()
                    .map_or_else(Vec::new, |t| t.dealings.iter().map(|d| d.digest).collect()),
            })?;
        }
        Ok(new)
    }

    pub(crate) fn refuse(
        &mut self,
        order: Digest,
        grant: Digest,
        refusal: &GateRefusal,
    ) -> Result<Outcome, NodeError> {
        // KEY-7: an order that was spent for is delivered sooner or later, so no
        // document says that nothing is revealed; except where what was decrypted
        // cannot be delivered, which ends it.
        let revealed = self.state.spent(&order).is_some()
            && !matches!(refusal, GateRefusal::Decryption { .. });
        let signed = Box::new(self.non_delivery(order, grant, refusal, revealed)?);
        // What says that something is revealed is not the order's end: the delivery is.
        if !revealed {
            self.record(Record::Refused {
                order,
                refusal: signed.clone(),
            })?;
        }
        Ok(Outcome::Refused(signed))
    }

    pub(crate) fn non_delivery(
        &self,
        order: Digest,
        grant: Digest,
        refusal: &GateRefusal,
        revealed: bool,
    ) -> Result<Signed<NonDelivery>, NodeError> {
        let mut reason = refusal.to_string();
        reason.truncate(reason.floor_char_boundary(2000));
        Ok(Signed::sign(
            NonDelivery {
                version: DOCUMENT_VERSION,
                marketplace: marketplace_id(&self.config.marketplace),
                order,
                grant,
                code: refusal.code().to_owned(),
                reason,
                revealed,
            },
            &self.config.signing,
        )?)
    }
}
