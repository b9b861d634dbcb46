//! What a custodian's policy says of opening tickets (DOC-12): their classes,
//! the dealings that count, and the privacy budget that they may use up.

mod mechanism;
#[cfg(test)]
mod tests;

use crate::{DemandError, Openers, scalar::line};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use veilbourse_core::{
    decimal,
    digest::Digest,
    manifest::Manifest,
    program::{MatrixRef, Program, Weights},
};
use veilbourse_privacy::{ColumnTerm, Mechanism, Neighbours, PrivacyError, Rho, Sensitivity};
use veilbourse_protocol::{
    MAX_BATCH, MAX_TICKETS, ProtocolError, Shape, Signed as SignedTree, TicketClass, quorum_name,
};

/// Most classes of a policy.
pub const MAX_CLASSES: usize = 16;
/// Most dealings of a policy: all that there ever were of its dataset.
pub const MAX_DEALINGS: usize = 512;

/// A ticket class by the name that people use for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassTerms {
    /// For people, unique in the policy.
    pub name: String,
    /// The dataset's k.
    pub k: u8,
    /// The most that one row may move a value opened under it (PRV-5).
    #[serde(with = "decimal")]
    pub sensitivity: u64,
    /// The noise in every ticket.
    #[serde(with = "mechanism")]
    pub mechanism: Mechanism,
    /// Whether orders may use it. A class of tickets for checking the public
    /// key alone (TKT-4) is not offered.
    pub offered: bool,
}

impl ClassTerms {
    /// The class.
    pub fn class(&self) -> Result<TicketClass, ProtocolError> {
        let sensitivity = Sensitivity::new(self.sensitivity.into())?;
        TicketClass::new(self.k, sensitivity, self.mechanism)
    }
}

/// A dealing, as announced to its quorum (CST-2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DealingTerms {
    /// Digest of the announcement.
    pub digest: Digest,
    /// The quorum's nodes, by number, ascending.
    pub quorum: Vec<u8>,
    /// Counts the quorum's keys (SHR-1).
    pub epoch: u32,
    /// Digest of the class.
    pub class: Digest,
    /// Number of the first ticket.
    #[serde(with = "decimal")]
    pub first: u64,
    /// Tickets.
    #[serde(with = "decimal")]
    pub count: u64,
    /// Root over the mask commitments (TKT-5).
    pub root: Digest,
}

impl DealingTerms {
    /// After the last ticket.
    pub fn end(&self) -> u64 {
        self.first.saturating_add(self.count)
    }
    /// What a ticket's path is checked against (TKT-5).
    pub fn signed(&self, dataset: &Digest, class: TicketClass) -> SignedTree {
        let keys = quorum_name(dataset, &self.quorum, self.epoch);
        // Checked dealings begin below 2^24.
        let serial = u32::try_from(self.first).unwrap_or(u32::MAX);
        SignedTree {
            dealing: Shape::new(class, keys, serial).dealing,
            tickets: self.end(),
            root: self.root,
        }
    }
}

/// The tickets of a dataset in committee custody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tickets {
    /// The classes.
    pub classes: Vec<ClassTerms>,
    /// Every dealing there ever was of the dataset, those used up or destroyed
    /// too: what was dealt is what was paid for (OPN-6).
    pub dealings: Vec<DealingTerms>,
    /// The most that all dealings together may cost, zCDP in units of 2^-40
    /// (PRV-8).
    #[serde(with = "decimal")]
    pub rho_limit_units: u64,
}

impl Tickets {
    /// A class by its digest.
    pub fn class(&self, digest: &Digest) -> Option<(&ClassTerms, TicketClass)> {
        let classes = self.classes.iter();
        let mut classes = classes.filter_map(|c| Some((c, c.class().ok()?)));
        classes.find(|(_, c)| c.digest() == *digest)
    }

    /// A class that orders may use.
    pub fn offered(&self, digest: &Digest) -> Option<(&ClassTerms, TicketClass)> {
        self.class(digest).filter(|(terms, _)| terms.offered)
    }

    /// A dealing by its digest.
    pub fn dealing(&self, digest: &Digest) -> Option<&DealingTerms> {
        self.dealings.iter().find(|d| d.digest == *digest)
    }

    /// What all dealings cost (PRV-9): each ticket of a class with noise its
    /// share, spent or not.
    pub fn cost(&self) -> Result<Rho, PrivacyError> {
        let mut total = Rho::ZERO;
        for d in &self.dealings {
            let Some((_, class)) = self.class(&d.class).filter(|(_, c)| c.noisy()) else {
                continue;
            };
            let each = class.mechanism().cost(class.sensitivity())?;
            total = total.plus(each.times(d.count)?)?;
        }
        Ok(total)
    }

    /// The limit.
    pub fn limit(&self) -> Rho {
        Rho::from_units(self.rho_limit_units)
    }

    /// Whether a later policy keeps every dealing of this one (DOC-12).
    pub fn kept_by(&self, later: &Self) -> bool {
        self.dealings.iter().all(|d| later.dealings.contains(d))
    }

    /// What holds whoever reads it.
    pub(crate) fn check(&self, openers: &Openers) -> Result<(), String> {
        if self.classes.is_empty() || self.classes.len() > MAX_CLASSES {
            let found = self.classes.len();
            return Err(format!("{found} classes, must be 1 to {MAX_CLASSES}"));
        }
        if self.dealings.len() > MAX_DEALINGS {
            let found = self.dealings.len();
            return Err(format!("{found} dealings; the limit is {MAX_DEALINGS}"));
        }
        self.check_classes()?;
        self.check_dealings(openers)?;
        let cost = self.cost().map_err(|e| e.to_string())?;
        if cost > self.limit() {
            let (cost, limit) = (cost.units(), self.rho_limit_units);
            return Err(format!(
                "the dealings cost {cost} units of 2^-40; the limit is {limit}"
            ));
        }
        Ok(())
    }

    fn check_classes(&self) -> Result<(), String> {
        let (mut names, mut digests) = (HashSet::new(), HashSet::new());
        for c in &self.classes {
            let name = &c.name;
            line(name).map_err(|reason| format!("class name {reason}"))?;
            let class = c.class().map_err(|e| format!("class {name:?}: {e}"))?;
            let first = self.classes.first().map_or(c.k, |f| f.k);
            if c.k != first {
                return Err(format!("class {name:?} has k {}, others {first}", c.k));
            }
            if class.noisy() {
                let cost = class.mechanism().cost(class.sensitivity());
                cost.map_err(|e| format!("class {name:?}: {e}"))?;
            }
            if !names.insert(name) || !digests.insert(class.digest()) {
                return Err(format!("class {name:?} is there twice"));
            }
        }
        match self.classes.iter().any(|c| c.offered) {
            true => Ok(()),
            false => Err("no class is offered".into()),
        }
    }

    fn check_dealings(&self, openers: &Openers) -> Result<(), String> {
        let mut digests = HashSet::new();
        // Ticket numbers of an epoch are dealt once (CST-2).
        let mut numbers: HashMap<(&[u8], u32), Vec<&DealingTerms>> = HashMap::new();
        for d in &self.dealings {
            let name = d.digest;
            if !digests.insert(name) {
                return Err(format!("dealing {name} is there twice"));
            }
            if openers.quorum(&d.quorum).is_none() {
                return Err(format!("dealing {name}: {:?} is no quorum", d.quorum));
            }
            if self.class(&d.class).is_none() {
                return Err(format!("dealing {name}: class {} is not listed", d.class));
            }
            let end = d.first.checked_add(d.count);
            if d.count == 0 || end.is_none_or(|e| e > MAX_TICKETS) {
                return Err(format!(
                    "dealing {name}: tickets {} + {} must be at least one, below {MAX_TICKETS}",
                    d.first, d.count
                ));
            }
            let taken = numbers.entry((&d.quorum, d.epoch)).or_default();
            if taken.iter().any(|t| d.first < t.end() && t.first < d.end()) {
                return Err(format!(
                    "dealing {name}: its ticket numbers are dealt already"
                ));
            }
            taken.push(d);
        }
        Ok(())
    }
}

/// OPN-5: a program's outputs fit a ticket class: the dataset's k, no row moves
/// a value by more than the class's sensitivity (PRV-5, PRV-6), and all values
/// are opened in one session.
pub fn fits_class(
    manifest: &Manifest,
    program: &Program,
    values: u64,
    class: &TicketClass,
) -> Result<(), DemandError> {
    if values > MAX_BATCH as u64 {
        return Err(DemandError::TooMuch {
            what: "values opened by a committee",
            limit: MAX_BATCH as u64,
            value: values,
        });
    }
    let (found, expected) = (u32::from(class.k()), manifest.message_log2);
    if found != expected {
        return Err(DemandError::ClassK { expected, found });
    }
    for (output, index) in program.outputs.iter().zip(0u32..) {
        let (MatrixRef::Traced { segment } | MatrixRef::Chunk { segment, .. }) = output.over;
        let vector = program.vectors.get(output.vector as usize);
        let vector = vector.ok_or(DemandError::Vector { index })?;
        let sensitivity = match &vector.weights {
            Weights::Private { l1_bound, .. } => {
                Sensitivity::of_bound(*l1_bound, Neighbours::ReplaceOne)
            }
            Weights::Public { values } => {
                let terms = columns(manifest, values, segment);
                let terms = terms.ok_or(DemandError::Vector { index })?;
                Sensitivity::of_weights(&terms, Neighbours::ReplaceOne)
            }
        };
        let found = sensitivity.map_err(|cause| DemandError::Privacy { index, cause })?;
        if found > class.sensitivity() {
            return Err(DemandError::Sensitivity {
                index,
                found: found.value(),
                limit: class.sensitivity().value(),
            });
        }
    }
    Ok(())
}

/// Weights with their columns' ranges in a segment.
fn columns(manifest: &Manifest, weights: &[i64], segment: u32) -> Option<Vec<ColumnTerm>> {
    let encrypted = manifest.columns.iter().map(|c| Some((c.min, c.max)));
    let public = manifest.public_columns.iter();
    let public = public.map(|c| c.values.get(segment as usize).map(|v| (*v, *v)));
    let ranges = encrypted.chain(public).collect::<Option<Vec<_>>>()?;
    let terms = weights.iter().zip(&ranges);
    (weights.len() == ranges.len()).then(|| {
        let term = |(weight, (min, max)): (&i64, &(i64, i64))| ColumnTerm {
            weight: *weight,
            min: *min,
            max: *max,
        };
        terms.map(term).collect()
    })
}
