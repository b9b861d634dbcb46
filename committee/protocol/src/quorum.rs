//! Committees and quorums (SHR-1).

use crate::error::ProtocolError;

/// Most nodes of a committee: the tickets grow with the number of quorums.
pub const MAX_NODES: u8 = 5;

/// n key nodes of which any t open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committee {
    nodes: u8,
    threshold: u8,
}

impl Committee {
    /// 2 <= t <= n <= [`MAX_NODES`]. t = 1 would be custody by each node alone.
    pub fn new(nodes: u8, threshold: u8) -> Result<Self, ProtocolError> {
        let within = |field, value: u8, min: u8, max: u8| {
            if (min..=max).contains(&value) {
                return Ok(());
            }
            let [value, min, max] = [value, min, max].map(u64::from);
            Err(ProtocolError::Quorum {
                field,
                value,
                min,
                max,
            })
        };
        within("committee nodes", nodes, 2, MAX_NODES)?;
        within("committee threshold", threshold, 2, nodes)?;
        Ok(Self { nodes, threshold })
    }
    /// n.
    pub fn nodes(&self) -> u8 {
        self.nodes
    }
    /// t.
    pub fn threshold(&self) -> u8 {
        self.threshold
    }
    /// Every quorum, in lexicographic order of its members.
    pub fn quorums(&self) -> Vec<Quorum> {
        (0u8..1 << self.nodes)
            .filter(|set| set.count_ones() == u32::from(self.threshold))
            .map(|set| Quorum {
                members: (0..self.nodes).filter(|i| set >> i & 1 == 1).collect(),
            })
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect()
    }
}

/// t nodes by their number in the committee, ascending. A node's *party
/// number* is its place in this list; the last party's shares are explicit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quorum {
    members: Vec<u8>,
}

impl Quorum {
    /// The members, ascending.
    pub fn members(&self) -> &[u8] {
        &self.members
    }
    /// t.
    pub fn parties(&self) -> u8 {
        self.members.len() as u8
    }
    /// A node's party number here.
    pub fn party_of(&self, node: u8) -> Option<u8> {
        self.members
            .iter()
            .position(|m| *m == node)
            .map(|p| p as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quorums_of_a_committee() {
        // SHR-1
        let c = Committee::new(3, 2).unwrap();
        let members: Vec<_> = c.quorums().iter().map(|q| q.members().to_vec()).collect();
        assert_eq!(members, [vec![0, 1], vec![0, 2], vec![1, 2]]);
        assert_eq!(c.quorums()[1].party_of(2), Some(1));
        assert_eq!(c.quorums()[1].party_of(1), None);
        assert_eq!(Committee::new(5, 3).unwrap().quorums().len(), 10);
        assert_eq!(Committee::new(5, 5).unwrap().quorums().len(), 1);
    }

    #[test]
    fn refused_numbers() {
        for (n, t, field) in [
            (1, 2, "committee nodes"),
            (6, 2, "committee nodes"),
            (3, 1, "committee threshold"),
            (3, 4, "committee threshold"),
        ] {
            let e = Committee::new(n, t).unwrap_err();
            assert!(
                matches!(e, ProtocolError::Quorum { field: f, .. } if f == field),
                "{e}"
            );
        }
    }
}
