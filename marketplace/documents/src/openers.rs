//! Who opens results (DOC-3): one key node that the custodian trusts, or a
//! committee of which any `threshold` nodes open and fewer learn nothing.

use crate::{Custody, Key};
use serde::{Deserialize, Serialize};
use std::fmt;
use veilbourse_core::digest::Digest;
use veilbourse_protocol::Committee;

/// Who may open a dataset's results.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "custody", rename_all = "snake_case", deny_unknown_fields)]
pub enum Openers {
    /// The custodian's key node; it holds the data key, so the custodian learns
    /// results.
    CustodianHeld {
        /// Its key.
        node_key: Key,
    },
    /// A committee: nobody learns a result but the buyer, unless `threshold`
    /// nodes conspire, or the custodian with one of them (committee.md).
    Committee {
        /// The nodes' keys; a node's number is its place.
        nodes: Vec<Key>,
        /// How many open.
        threshold: u8,
    },
}

impl Openers {
    /// The kind.
    pub fn custody(&self) -> Custody {
        match self {
            Self::CustodianHeld { .. } => Custody::CustodianHeld,
            Self::Committee { .. } => Custody::Committee,
        }
    }

    /// Every node's key.
    pub fn keys(&self) -> &[Key] {
        match self {
            Self::CustodianHeld { node_key } => std::slice::from_ref(node_key),
            Self::Committee { nodes, .. } => nodes,
        }
    }

    /// A node's number here.
    pub fn number(&self, key: &Key) -> Option<u8> {
        let at = self.keys().iter().position(|k| k == key)?;
        u8::try_from(at).ok()
    }

    /// SHR-1, and no key twice.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Self::Committee { nodes, threshold } = self else {
            return Ok(());
        };
        let count = u8::try_from(nodes.len()).unwrap_or(u8::MAX);
        Committee::new(count, *threshold).map_err(|e| e.to_string())?;
        for (i, key) in nodes.iter().enumerate() {
            if nodes.iter().take(i).any(|k| k == key) {
                return Err(format!("node key {key} is there twice"));
            }
        }
        Ok(())
    }

    /// How many quorums there are: so many grants an order may have (DOC-8).
    pub(crate) fn quorums(&self) -> usize {
        let Self::Committee { nodes, threshold } = self else {
            return 1;
        };
        let count = u8::try_from(nodes.len()).unwrap_or(u8::MAX);
        Committee::new(count, *threshold).map_or(0, |c| c.quorums().len())
    }

    /// The members' keys of a quorum: `threshold` numbers, ascending.
    pub fn quorum(&self, members: &[u8]) -> Option<Vec<Key>> {
        let Self::Committee { nodes, threshold } = self else {
            return None;
        };
        let ascending = members.is_sorted_by(|a, b| a < b);
        if !ascending || members.len() != usize::from(*threshold) {
            return None;
        }
        let keys = members.iter().map(|m| nodes.get(usize::from(*m)).copied());
        keys.collect()
    }
}

impl fmt::Display for Openers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CustodianHeld { node_key } => write!(f, "custodian-held, node {node_key}"),
            Self::Committee { nodes, threshold } => {
                write!(f, "committee, {threshold} of {}:", nodes.len())?;
                nodes.iter().try_for_each(|k| write!(f, " {k}"))
            }
        }
    }
}

/// Whom a grant lets open (DOC-8).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "custody", rename_all = "snake_case", deny_unknown_fields)]
pub enum Opener {
    /// The custodian's node.
    CustodianHeld {
        /// Its key.
        node_key: Key,
    },
    /// A quorum of the committee, under one dealing's tickets.
    Committee {
        /// Its nodes, by number, ascending.
        quorum: Vec<u8>,
        /// The dealing, as the policy names it.
        dealing: Digest,
    },
}

impl Opener {
    /// The kind.
    pub fn custody(&self) -> Custody {
        match self {
            Self::CustodianHeld { .. } => Custody::CustodianHeld,
            Self::Committee { .. } => Custody::Committee,
        }
    }
}
