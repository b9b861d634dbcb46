//! Signed counters (CST-10): what a node says of itself, so that its peers know
//! when it is restored from an old copy (CST-11).

use crate::{
    dealing::{QuorumSet, bool_of},
    error::StoreError,
    store::Config,
};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use veilbourse_core::{
    digest::Digest,
    wire::{Reader, WireError, Writer},
};

/// Most counters of a statement.
pub const MAX_COUNTERS: u32 = 2048;
/// Most quorums of a committee: 5 over 2.
const MAX_QUORUMS: u32 = 10;
/// Most bytes of a signed statement.
pub const MAX_STATEMENT: usize = 1 << 18;
const VERSION: u16 = 1;
const DOMAIN: &[u8] = b"veilbourse v1 ticket counters\n";

/// How far a usable dealing is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// The quorum.
    pub quorum: QuorumSet,
    /// Its epoch.
    pub epoch: u32,
    /// The dealing.
    pub dealing: Digest,
    /// The class.
    pub class: Digest,
    /// The first unspent ticket.
    pub next: u64,
}

/// What a node says of its own log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// D.
    pub dataset: Digest,
    /// Who deals it: of what anybody else deals of the same D it has another log.
    pub custodian: [u8; 32],
    /// n and t of its committee: in another one of the dataset it has another
    /// log, and what it said there is not of this one.
    pub committee: (u8, u8),
    /// Who speaks.
    pub node: u8,
    /// Records of its log: every record makes a later statement.
    pub sequence: u64,
    /// The log's head after that many.
    pub head: Digest,
    /// Whether it is retired.
    pub retired: bool,
    /// For each of its quorums the least epoch that is not destroyed.
    pub floors: Vec<(QuorumSet, u32)>,
    /// Every usable dealing, by quorum, epoch and digest.
    pub counters: Vec<Counter>,
}

impl Statement {
    fn encode(&self) -> Vec<u8> {
        let Self {
            dataset,
            custodian,
            committee: (nodes, threshold),
            node,
            sequence,
            head,
            retired,
            floors,
            counters,
        } = self;
        let mut out = Writer::new();
        out.u16(VERSION).raw(&dataset.0).raw(custodian);
        out.u8(*nodes).u8(*threshold).u8(*node);
        out.u64(*sequence).raw(&head.0).u8((*retired).into());
        out.len(floors.len());
        for (quorum, epoch) in floors {
            out.u8(quorum.bits()).u32(*epoch);
        }
        out.len(counters.len());
        for c in counters {
            out.u8(c.quorum.bits()).u32(c.epoch);
            out.raw(&c.dealing.0).raw(&c.class.0).u64(c.next);
        }
        out.finish()
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        let found = input.u16("counters version")?;
        if found != VERSION {
            return Err(WireError::Version {
                field: "counters",
                expected: VERSION.into(),
                found: found.into(),
            });
        }
        Ok(Self {
            dataset: Digest(input.array("dataset")?),
            custodian: input.array("custodian")?,
            committee: (input.u8("nodes")?, input.u8("threshold")?),
            node: input.u8("node")?,
            sequence: input.u64("sequence")?,
            head: Digest(input.array("head")?),
            retired: bool_of(input, "retired")?,
            floors: {
                let n = input.len("floors", MAX_QUORUMS)?;
                let one = |_| Ok((QuorumSet::decode(input)?, input.u32("epoch")?));
                (0..n).map(one).collect::<Result<_, WireError>>()?
            },
            counters: {
                let n = input.len("counters", MAX_COUNTERS)?;
                let one = |_| {
                    Ok(Counter {
                        quorum: QuorumSet::decode(input)?,
                        epoch: input.u32("epoch")?,
                        dealing: Digest(input.array("dealing")?),
                        class: Digest(input.array("class")?),
                        next: input.u64("next ticket")?,
                    })
                };
                (0..n).map(one).collect::<Result<_, WireError>>()?
            },
        })
    }

    /// The counter of a dealing.
    pub fn counter(&self, dealing: &Digest) -> Option<&Counter> {
        self.counters.iter().find(|c| c.dealing == *dealing)
    }

    fn floor(&self, quorum: QuorumSet) -> u32 {
        let mut floors = self.floors.iter();
        floors.find(|(q, _)| *q == quorum).map_or(0, |(_, e)| *e)
    }

    fn message(&self) -> Vec<u8> {
        [DOMAIN, &self.encode()].concat()
    }
}

/// A statement with its speaker's key and signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedStatement {
    /// What is said.
    pub statement: Statement,
    /// By whom.
    pub key: [u8; 32],
    /// Ed25519 over a domain and the encoding.
    pub signature: [u8; 64],
}

impl SignedStatement {
    pub(crate) fn sign(statement: Statement, key: &SigningKey) -> Self {
        let signature = key.sign(&statement.message()).to_bytes();
        Self {
            statement,
            key: key.verifying_key().to_bytes(),
            signature,
        }
    }

    /// The canonical encoding (WIRE-1).
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.bytes(&self.statement.encode());
        out.raw(&self.key).raw(&self.signature);
        out.finish()
    }

    /// Reads one (WIRE-2).
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let limit = MAX_STATEMENT as u32;
        if bytes.len() > MAX_STATEMENT {
            return Err(WireError::TooLarge {
                field: "signed counters",
                limit: limit.into(),
                value: bytes.len() as u64,
            });
        }
        let mut input = Reader::new(bytes);
        let mut body = Reader::new(input.bytes("counters", limit)?);
        let statement = Statement::decode(&mut body)?;
        body.finish("counters")?;
        let signed = Self {
            statement,
            key: input.array("key")?,
            signature: input.array("signature")?,
        };
        input.finish("signed counters")?;
        Ok(signed)
    }

    /// That this node said this of this dataset and committee, under this key
    /// (CST-10).
    pub fn verify(&self, config: &Config, node: u8, key: &[u8; 32]) -> Result<(), StoreError> {
        let Config {
            dataset,
            custodian,
            committee,
            ..
        } = config;
        let differs = |field, found: String, expected: String| {
            Err(StoreError::Statement {
                field,
                found,
                expected,
            })
        };
        let s = &self.statement;
        if s.dataset != *dataset {
            return differs("dataset", s.dataset.to_string(), dataset.to_string());
        }
        if s.custodian != *custodian {
            let [found, expected] = [s.custodian, *custodian].map(|k| Digest(k).to_string());
            return differs("custodian", found, expected);
        }
        let expected = (committee.nodes(), committee.threshold());
        if s.committee != expected {
            let [found, expected] = [s.committee, expected].map(|c| format!("{c:?}"));
            return differs("committee", found, expected);
        }
        if s.node != node {
            return differs("node", s.node.to_string(), node.to_string());
        }
        if self.key != *key {
            let [found, expected] = [self.key, *key].map(|k| Digest(k).to_string());
            return differs("key", found, expected);
        }
        let verified = VerifyingKey::from_bytes(key)
            .ok()
            .filter(|k| !k.is_weak())
            .is_some_and(|k| {
                let signature = Signature::from_bytes(&self.signature);
                k.verify_strict(&s.message(), &signature).is_ok()
            });
        if !verified {
            return differs("signature", "false".into(), "one of the key".into());
        }
        Ok(())
    }
}

/// CST-11: that `later` continues `earlier`, both signed by one node: nothing
/// counted is taken back.
pub fn continues(earlier: &Statement, later: &Statement) -> Result<(), StoreError> {
    let behind = |field, found: String, known: String| {
        Err(StoreError::PeerBehind {
            peer: later.node,
            field,
            found,
            known,
        })
    };
    let (found, known) = (later.sequence, earlier.sequence);
    if found < known {
        return behind("sequence", found.to_string(), known.to_string());
    }
    if found == known && later != earlier {
        let [found, known] = [later, earlier].map(|s| s.head.to_string());
        return behind("head at the same sequence", found, known);
    }
    if earlier.retired && !later.retired {
        return behind("retirement", "none".into(), "retired".into());
    }
    for (quorum, known) in &earlier.floors {
        let found = later.floor(*quorum);
        if found < *known {
            return behind("destroyed epoch", found.to_string(), known.to_string());
        }
    }
    for known in &earlier.counters {
        if known.epoch < later.floor(known.quorum) {
            continue;
        }
        let found = later.counter(&known.dealing);
        if found.is_none_or(|f| f.next < known.next) {
            let found = found.map_or_else(|| "missing".into(), |f| f.next.to_string());
            return behind("counter", found, known.next.to_string());
        }
    }
    Ok(())
}
