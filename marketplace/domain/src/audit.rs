//! The hash-chained audit log (LED-5).

use crate::{DomainError, Millis, Result};
use serde::{Deserialize, Serialize};
use veilbourse_core::{
    digest::{Digest, Domain},
    wire::Writer,
};

/// What is to be recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditEntry {
    /// Who: `account:ID`, `machine:ID`, `system`.
    pub actor: String,
    /// What, by its stable name (`order.release`).
    pub action: String,
    /// On what: `order:ID`.
    pub subject: String,
    /// Facts as JSON text.
    pub details: String,
}

/// A link of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditRecord {
    /// From 1, without gaps.
    pub sequence: u64,
    /// When.
    pub at: Millis,
    /// What.
    pub entry: AuditEntry,
    /// The digest of the record before; zeros for the first.
    pub previous: Digest,
    /// The digest of all of the above.
    pub digest: Digest,
}

impl AuditRecord {
    /// The link after `head` (sequence and digest of the newest record).
    pub fn after(head: Option<(u64, Digest)>, at: Millis, entry: AuditEntry) -> Self {
        let (before, previous) = head.unwrap_or((0, Digest([0; 32])));
        let sequence = before + 1;
        let digest = Self::hash(sequence, at, &entry, previous);
        Self {
            sequence,
            at,
            entry,
            previous,
            digest,
        }
    }

    fn hash(sequence: u64, at: Millis, entry: &AuditEntry, previous: Digest) -> Digest {
        let AuditEntry {
            actor,
            action,
            subject,
            details,
        } = entry;
        let mut w = Writer::new();
        w.u64(sequence)
            .u64(at)
            .str(actor)
            .str(action)
            .str(subject)
            .str(details);
        w.raw(&previous.0);
        Digest::of(Domain::Other("veilbourse v1 audit record"), &w.finish())
    }

    /// Checks that the record follows `head` and holds its own digest.
    pub fn check(&self, head: Option<(u64, Digest)>) -> Result<()> {
        let broken = |what| DomainError::AuditBroken {
            sequence: self.sequence,
            what,
        };
        let (before, previous) = head.unwrap_or((0, Digest([0; 32])));
        if self.sequence != before + 1 {
            return Err(broken("sequence has a gap"));
        }
        if self.previous != previous {
            return Err(broken("does not hold the digest of the record before"));
        }
        if self.digest != Self::hash(self.sequence, self.at, &self.entry, previous) {
            return Err(broken("digest is not that of its content"));
        }
        Ok(())
    }
}

/// Checks a run of records, from `head`; returns the new head.
pub fn check_chain<'a>(
    mut head: Option<(u64, Digest)>,
    records: impl IntoIterator<Item = &'a AuditRecord>,
) -> Result<Option<(u64, Digest)>> {
    for r in records {
        r.check(head)?;
        head = Some((r.sequence, r.digest));
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain() -> Vec<AuditRecord> {
        let mut head = None;
        (0..4u64)
            .map(|i| {
                let entry = AuditEntry {
                    actor: "system".into(),
                    action: format!("a{i}"),
                    subject: "s".into(),
                    details: "{}".into(),
                };
                let r = AuditRecord::after(head, i, entry);
                head = Some((r.sequence, r.digest));
                r
            })
            .collect()
    }

    #[test]
    fn every_change_breaks_the_chain() {
        // LED-5: tampering of every field, removal and exchange.
        let good = chain();
        assert_eq!(check_chain(None, &good).expect("whole").expect("head").0, 4);
        let tamper: [fn(&mut AuditRecord); 8] = [
            |r| r.sequence += 1,
            |r| r.at += 1,
            |r| r.entry.actor.push('x'),
            |r| r.entry.action.push('x'),
            |r| r.entry.subject.push('x'),
            |r| r.entry.details.push('x'),
            |r| r.previous.0[0] ^= 1,
            |r| r.digest.0[0] ^= 1,
        ];
        for t in tamper {
            for i in 0..good.len() {
                let mut bad = good.clone();
                t(&mut bad[i]);
                assert!(matches!(
                    check_chain(None, &bad),
                    Err(DomainError::AuditBroken { .. })
                ));
            }
        }
        for i in 0..3 {
            let mut bad = good.clone();
            bad.remove(i);
            assert!(check_chain(None, &bad).is_err());
            let mut bad = good.clone();
            bad.swap(i, i + 1);
            assert!(check_chain(None, &bad).is_err());
        }
    }
}
