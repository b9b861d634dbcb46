//! The node: gate, then spend, then decrypt, then seal (KEY-3, KEY-5).

use crate::{
    LogError,
    gate::{self, Admitted, GateRefusal, Parts},
    log::{Log, Record},
    state::{Ended, State},
};
use rand_core::CryptoRng;
use std::{collections::HashMap, path::Path};
use thiserror::Error;
use veilbourse_core::digest::Digest;
use veilbourse_documents::{
    Bytes, DOCUMENT_VERSION, Delivery, DocumentError, Key, NonDelivery, OpenedOutput, OpenedResult,
    Policy, ResultContext, Signed, SigningKey,
    api::{AcceptedKeys, NodeJob},
    marketplace_id, seal_result,
};
use veilbourse_eval::SecretKey;
use veilbourse_verifier::{
    Refusal,
    ceremony::{Transcript, backed},
    linear::CircuitKey,
};

/// A dataset whose key this node holds.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// S_D.
    pub secret: SecretKey,
    /// The custodian's signing key, pinned.
    pub custodian: Key,
}

/// What the node is told by its operator, not by the network.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// The node's signing key.
    pub signing: SigningKey,
    /// The marketplace's key, pinned.
    pub marketplace: Key,
    /// Datasets by D.
    pub datasets: HashMap<Digest, Dataset>,
    /// The reference string and verifying keys accepted.
    pub accepted: AcceptedKeys,
    /// The same keys, decoded.
    pub circuits: Vec<CircuitKey>,
    /// The transcript of the ceremony behind them, checked.
    pub ceremony: Option<Transcript>,
    /// Whether a dev SRS is accepted.
    pub accept_dev_srs: bool,
}

impl NodeConfig {
    /// Decodes the accepted keys. Those that name a ceremony must carry its
    /// transcript (CER-9).
    pub fn new(
        signing: SigningKey,
        marketplace: Key,
        datasets: HashMap<Digest, Dataset>,
        accepted: AcceptedKeys,
        accept_dev_srs: bool,
    ) -> Result<Self, Refusal> {
        let circuits = accepted
            .keys
            .iter()
            .map(|k| CircuitKey::decode(&k.0))
            .collect::<Result<Vec<_>, _>>()?;
        let ceremony = backed(
            &accepted.srs.digest,
            accepted.srs.provenance.ceremony().map(Into::into),
            accepted.ceremony.as_ref().map(|t| t.0.as_slice()),
            &circuits,
        )?;
        Ok(Self {
            signing,
            marketplace,
            datasets,
            accepted,
            circuits,
            ceremony,
            accept_dev_srs,
        })
    }
    /// The node's public key.
    pub fn node_key(&self) -> Key {
        Key(self.signing.verifying_key().to_bytes())
    }
}

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
    config: NodeConfig,
    log: Log,
    state: State,
}

impl KeyNode {
    /// Opens the node's log and replays it (KEY-4). The log must exist:
    /// [`Log::create`] makes it when the node is initialised.
    pub fn open(config: NodeConfig, log: &Path) -> Result<Self, NodeError> {
        let (log, records) = Log::open(log)?;
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

    fn record(&mut self, record: Record) -> Result<(), NodeError> {
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
        Ok(
            match gate::admit(&self.config, &self.state, job, now, rng) {
                Ok(admitted) => Begun::Admitted(Box::new(admitted)),
                Err(refusal) => Begun::Ended(self.refuse(order, grant, &refusal)?),
            },
        )
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
            })?;
        }
        Ok(new)
    }

    fn refuse(
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
        let mut reason = refusal.to_string();
        reason.truncate(reason.floor_char_boundary(2000));
        let signed = Box::new(Signed::sign(
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
        )?);
        // What says that something is revealed is not the order's end: the delivery is.
        if !revealed {
            self.record(Record::Refused {
                order,
                refusal: signed.clone(),
            })?;
        }
        Ok(Outcome::Refused(signed))
    }

    fn open_outputs(
        &mut self,
        admitted: &Admitted<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<Outcome, NodeError> {
        let Admitted {
            job,
            order,
            grant,
            demand,
            ..
        } = admitted;
        let (order, grant, body) = (*order, *grant, &job.order.body);
        // KEY-3: counted on disk before anything is decrypted.
        if self.state.spent(&order).is_none() {
            self.record(Record::Spent {
                order,
                grant,
                nonce: body.nonce,
                dataset: body.dataset,
                values: demand.values,
                bits: demand.bits,
                outputs: job.grant.body.outputs.clone(),
            })?;
        }
        let opened = match admitted.proven().and_then(|o| self.decrypt(job, o)) {
            Ok(o) => o,
            Err(refusal) => return self.refuse(order, grant, &refusal),
        };
        let context = ResultContext {
            order,
            grant,
            node_key: self.config.node_key(),
        };
        let sealed_result = seal_result(&opened, &body.result_key.0, &context, rng)?;
        let (before, values) = self
            .state
            .spent(&order)
            .map_or((0, demand.values), |s| (s.before.values, s.values));
        let delivery = Box::new(Signed::sign(
            Delivery {
                version: DOCUMENT_VERSION,
                marketplace: marketplace_id(&self.config.marketplace),
                order,
                grant,
                sealed_result: Delivery::digest_of_sealed_result(&sealed_result),
                values,
                counter_before: before,
                counter_after: before.saturating_add(values),
            },
            &self.config.signing,
        )?);
        self.record(Record::Delivered {
            order,
            delivery: delivery.clone(),
            sealed_result: Bytes(sealed_result.clone()),
        })?;
        Ok(Outcome::Delivered {
            delivery,
            sealed_result,
        })
    }

    /// KEY-5: rounded integers within their range, and nothing else.
    fn decrypt(
        &self,
        job: &NodeJob,
        outputs: &[veilbourse_core::ciphertext::OutputCiphertext],
    ) -> Result<OpenedResult, GateRefusal> {
        let dataset = job.order.body.dataset;
        let held = self
            .config
            .datasets
            .get(&dataset)
            .ok_or(GateRefusal::DatasetUnknown { dataset })?;
        let outputs = outputs
            .iter()
            .map(|o| {
                let values = held
                    .secret
                    .open(o, job.manifest.message_log2)
                    // KEY-5: nothing of what was found leaves, not even in a refusal.
                    .map_err(|_| GateRefusal::Decryption {
                        reason: "a value lies outside its proven range".into(),
                    })?;
                Ok(OpenedOutput { values })
            })
            .collect::<Result<_, GateRefusal>>()?;
        Ok(OpenedResult { outputs })
    }
}
