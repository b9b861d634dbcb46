//! What a node is told by its operator, not by the network.

use crate::refusal::GateRefusal;
use std::collections::{BTreeSet, HashMap};
use thiserror::Error;
use veilbourse_core::digest::{Digest, Domain};
use veilbourse_documents::{
    CommitteeFile, Key, Openers, Policy, Signed, SigningKey, api::AcceptedKeys, marketplace_id,
};
use veilbourse_eval::SecretKey;
use veilbourse_protocol::{Committee, ProtocolError};
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

/// A node's place in its committee (KEY-8).
#[derive(Debug, Clone)]
pub struct Seat {
    /// The members, with their keys and addresses.
    pub committee: CommitteeFile,
    /// This node's number.
    pub number: u8,
    /// The custodians that the operator serves; none: every one (KEY-9).
    pub custodians: Option<BTreeSet<Key>>,
    openers: Openers,
    shape: Committee,
}

/// Why a node cannot take a place in a committee.
#[derive(Debug, Error)]
pub enum SeatError {
    /// The file.
    #[error(transparent)]
    File(#[from] veilbourse_documents::DocumentError),
    /// SHR-1.
    #[error(transparent)]
    Shape(#[from] ProtocolError),
    /// Of another marketplace.
    #[error("committee: of marketplace {found}, this node is for {expected}")]
    Marketplace {
        /// This node's.
        expected: Digest,
        /// The file's.
        found: Digest,
    },
    /// Not a member.
    #[error("committee: key {key} of this node is not a member's")]
    NotMember {
        /// This node's key.
        key: Key,
    },
    /// Both custodies in one node.
    #[error("a committee's node holds no dataset's key, {found} are configured (KEY-8)")]
    HoldsKeys {
        /// How many.
        found: usize,
    },
}

impl Seat {
    /// What a policy that this node serves says of its openers.
    pub fn openers(&self) -> &Openers {
        &self.openers
    }
    /// n and t.
    pub fn shape(&self) -> Committee {
        self.shape
    }
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
    /// Its place in a committee; none: it serves custodian-held custody.
    pub seat: Option<Seat>,
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
            seat: None,
        })
    }

    /// The same node as a committee's (KEY-8): the one whose key it has.
    pub fn seated(
        mut self,
        committee: CommitteeFile,
        custodians: Option<BTreeSet<Key>>,
    ) -> Result<Self, SeatError> {
        committee.check()?;
        let (expected, found) = (marketplace_id(&self.marketplace), committee.marketplace);
        if expected != found {
            return Err(SeatError::Marketplace { expected, found });
        }
        if !self.datasets.is_empty() {
            let found = self.datasets.len();
            return Err(SeatError::HoldsKeys { found });
        }
        let (openers, key) = (committee.openers(), self.node_key());
        let number = openers.number(&key).ok_or(SeatError::NotMember { key })?;
        let nodes = u8::try_from(committee.nodes.len()).unwrap_or(u8::MAX);
        let shape = Committee::new(nodes, committee.threshold)?;
        self.seat = Some(Seat {
            committee,
            number,
            custodians,
            openers,
            shape,
        });
        Ok(self)
    }

    /// The node's public key.
    pub fn node_key(&self) -> Key {
        Key(self.signing.verifying_key().to_bytes())
    }

    /// What is counted together: a dataset; in a committee, whoever deals it too,
    /// so that nobody spends another's quotas or replaces its policies (KEY-9).
    pub fn scope(&self, dataset: &Digest, custodian: &Key) -> Digest {
        match self.seat {
            None => *dataset,
            Some(_) => dealt_by(dataset, custodian),
        }
    }

    /// KEY-2, KEY-8, KEY-9: this node opens for this policy's custodian.
    pub(crate) fn serves(&self, policy: &Signed<Policy>) -> Result<(), GateRefusal> {
        let body = &policy.body;
        let Some(seat) = &self.seat else {
            let dataset = body.dataset;
            let held = self.datasets.get(&dataset);
            let held = held.ok_or(GateRefusal::DatasetUnknown { dataset })?;
            if policy.key != held.custodian {
                return Err(GateRefusal::CustodianKey {
                    expected: held.custodian.to_string(),
                    found: policy.key.to_string(),
                });
            }
            return Ok(());
        };
        if body.openers != seat.openers {
            return Err(GateRefusal::Committee {
                expected: seat.openers.to_string(),
                found: body.openers.to_string(),
            });
        }
        match &seat.custodians {
            Some(listed) if !listed.contains(&policy.key) => Err(GateRefusal::CustodianUnlisted {
                found: policy.key.to_string(),
            }),
            _ => Ok(()),
        }
    }
}

/// Names a dataset as one custodian deals it: a store of its own (KEY-9).
pub fn dealt_by(dataset: &Digest, custodian: &Key) -> Digest {
    let bytes = [dataset.0, custodian.0].concat();
    Digest::of(Domain::Other("veilbourse v1 dealt dataset"), &bytes)
}
