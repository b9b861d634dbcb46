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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn key(n: u8) -> Key {
        Key([n; 32])
    }

    fn committee(nodes: u8, threshold: u8) -> Openers {
        Openers::Committee {
            nodes: (0..nodes).map(key).collect(),
            threshold,
        }
    }

    fn held() -> Openers {
        Openers::CustodianHeld { node_key: key(9) }
    }

    #[test]
    fn a_committee_has_two_to_five_nodes_and_a_threshold_among_them() {
        // SHR-1, DOC-3.
        for nodes in 0..=7 {
            for threshold in 0..=7 {
                let good = (2..=5).contains(&nodes) && (2..=nodes).contains(&threshold);
                let got = committee(nodes, threshold).check();
                assert_eq!(got.is_ok(), good, "{threshold} of {nodes}: {got:?}");
            }
        }
        // 256 nodes are not none.
        let many = Openers::Committee {
            nodes: vec![key(1); 256],
            threshold: 2,
        };
        assert!(many.check().unwrap_err().contains("255"));
        let e = committee(6, 2).check().unwrap_err();
        assert!(
            e.contains("committee nodes") && e.contains('6') && e.contains('5'),
            "{e}"
        );
        held().check().unwrap();
    }

    #[test]
    fn no_node_has_two_seats() {
        // DOC-3: who has two of three opens alone.
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            let mut keys = [0, 1, 2].map(key);
            keys[b] = keys[a];
            let twice = Openers::Committee {
                nodes: keys.to_vec(),
                threshold: 2,
            };
            let e = twice.check().unwrap_err();
            assert!(
                e.contains(&keys[a].to_string()) && e.contains("twice"),
                "{e}"
            );
        }
    }

    #[test]
    fn a_quorum_is_as_many_numbers_as_open_ascending() {
        // SHR-1, DOC-8.
        let c = committee(4, 3);
        assert_eq!(c.quorum(&[0, 1, 3]), Some([0, 1, 3].map(key).to_vec()));
        let bad: [&[u8]; 9] = [
            &[],
            &[0, 1],
            &[0, 1, 2, 3],
            &[1, 0, 3],
            &[0, 0, 3],
            &[0, 3, 3],
            &[0, 1, 4],
            &[0, 1, 255],
            &[3, 1, 0],
        ];
        for members in bad {
            assert_eq!(c.quorum(members), None, "{members:?}");
        }
        assert_eq!(held().quorum(&[0]), None);
        let counts = [
            (2, 2, 1),
            (3, 2, 3),
            (4, 3, 4),
            (5, 2, 10),
            (5, 3, 10),
            (5, 5, 1),
        ];
        for (n, t, quorums) in counts {
            assert_eq!(committee(n, t).quorums(), quorums);
        }
        assert_eq!(held().quorums(), 1);
    }

    #[test]
    fn a_nodes_number_is_its_place() {
        // DOC-3.
        let c = committee(3, 2);
        assert_eq!([0, 2].map(|n| c.number(&key(n))), [Some(0), Some(2)]);
        assert_eq!(c.number(&key(3)), None);
        assert_eq!(
            (held().number(&key(9)), held().number(&key(0))),
            (Some(0), None)
        );
        assert_eq!(c.keys(), [0, 1, 2].map(key));
        let names = [committee(3, 2).custody(), held().custody()].map(Custody::name);
        assert_eq!(names, ["committee", "custodian_held"]);
        // Said whole: two committees that differ read differently (ORD-1).
        for other in [committee(3, 3), committee(2, 2), held()] {
            assert_ne!(other.to_string(), c.to_string());
        }
        assert!(c.to_string().starts_with("committee, 2 of 3: 0000"));
    }

    #[test]
    fn openers_have_one_spelling() {
        // DOC-1.
        let c = json!(committee(2, 2));
        assert_eq!(
            c,
            json!({"custody": "committee", "nodes": [key(0), key(1)], "threshold": 2})
        );
        let o = json!(held());
        assert_eq!(o, json!({"custody": "custodian_held", "node_key": key(9)}));
        let opener = Opener::Committee {
            quorum: vec![0, 2],
            dealing: Digest([1; 32]),
        };
        assert_eq!(opener.custody(), Custody::Committee);
        let q = json!(opener);
        let dealing = Digest([1; 32]);
        assert_eq!(
            q,
            json!({"custody": "committee", "quorum": [0, 2], "dealing": dealing})
        );
        let with = |v: &Value, field: &str, to: Value| {
            let mut v = v.clone();
            v[field] = to;
            v.to_string()
        };
        let without = |v: &Value, field: &str| {
            let mut v = v.clone();
            v.as_object_mut().unwrap().remove(field).unwrap();
            v.to_string()
        };
        for bad in [
            with(&c, "custody", json!("custodian_held")),
            with(&c, "custody", json!("Committee")),
            with(&c, "node_key", json!(key(0))),
            with(&c, "threshold", json!(256)),
            with(&c, "threshold", json!(-1)),
            with(&c, "threshold", json!(2.0)),
            with(&c, "threshold", json!("2")),
            with(&c, "nodes", Value::Null),
            with(&o, "threshold", json!(1)),
            with(&o, "custody", json!("committee")),
            without(&c, "custody"),
            without(&c, "threshold"),
            without(&c, "nodes"),
            without(&o, "node_key"),
        ] {
            assert!(serde_json::from_str::<Openers>(&bad).is_err(), "{bad}");
        }
        for bad in [
            with(&q, "quorum", json!([0, 256])),
            with(&q, "quorum", json!("AAI=")),
            with(&q, "quorum", json!([0, -1])),
            with(&q, "node_key", json!(key(0))),
            with(&q, "custody", json!("custodian_held")),
            without(&q, "dealing"),
            without(&q, "quorum"),
        ] {
            assert!(serde_json::from_str::<Opener>(&bad).is_err(), "{bad}");
        }
    }
}
