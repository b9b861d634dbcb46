//! What is dealt to whom: every quorum, epoch and class with its ticket numbers
//! (SHR-1, CST-2, CST-13). Written down before it is dealt, and never changed.

use super::{DealingError, key_check};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use veilbourse_core::{decimal, digest::Digest};
use veilbourse_documents::{
    ClassTerms, CommitteeFile, DealingTerms, Key, MAX_CLASSES, MAX_DEALINGS, Tickets,
};
use veilbourse_privacy::Rho;
use veilbourse_protocol::{Committee, MAX_TICKETS, TicketClass};
use veilbourse_ticket_store::MAX_EPOCH;

/// Tickets without noise that one check of the public key uses (TKT-4).
pub const LEAST_KEY_CHECK: u64 = 8;
/// Those dealt for it where no other class is without noise: enough for checks
/// that were cut off.
pub const KEY_CHECK_TICKETS: u64 = 64;
const VERSION: u16 = 1;

/// Tickets of a class for each quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The class.
    pub class: ClassTerms,
    /// Tickets a quorum.
    pub tickets: u64,
}

/// What a dealing came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dealt {
    /// Digest of the announcement.
    pub digest: Digest,
    /// Root over the mask commitments.
    pub root: Digest,
}

/// One dealing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// The quorum's nodes, by number, ascending.
    pub quorum: Vec<u8>,
    /// Their keys.
    pub parties: Vec<Key>,
    /// Counts the quorum's keys.
    pub epoch: u32,
    /// Digest of the class.
    pub class: Digest,
    /// The first ticket.
    #[serde(with = "decimal")]
    pub first: u64,
    /// Tickets.
    #[serde(with = "decimal")]
    pub count: u64,
    /// Whether the shares of S_D come with it: the first of its epoch.
    pub with_key: bool,
    /// Once it is dealt, sealed and on disk.
    #[serde(deserialize_with = "Option::deserialize")]
    pub dealt: Option<Dealt>,
}

impl Planned {
    /// After the last ticket.
    pub fn end(&self) -> u64 {
        self.first.saturating_add(self.count)
    }
    /// What a policy says of it, once it is dealt.
    pub fn terms(&self) -> Option<DealingTerms> {
        self.dealt.as_ref().map(|d| DealingTerms {
            digest: d.digest,
            quorum: self.quorum.clone(),
            epoch: self.epoch,
            class: self.class,
            first: self.first,
            count: self.count,
            root: d.root,
        })
    }
}

/// All dealings of a dataset, in the order in which they were planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Of this form.
    pub version: u16,
    /// D.
    pub dataset: Digest,
    /// The dataset's k.
    pub k: u8,
    /// Classes, the check's among them.
    pub classes: Vec<ClassTerms>,
    /// Dealings.
    pub dealings: Vec<Planned>,
}

impl Plan {
    /// Nothing yet.
    pub fn new(dataset: Digest, k: u8) -> Self {
        Self {
            version: VERSION,
            dataset,
            k,
            classes: Vec::new(),
            dealings: Vec::new(),
        }
    }

    /// Of this form and dataset.
    pub(super) fn check(&self, dataset: &Digest) -> Result<(), DealingError> {
        if self.version != VERSION {
            return Err(DealingError::Limit {
                what: "as the version of the plan",
                limit: VERSION.into(),
                value: self.version.into(),
            });
        }
        if self.dataset != *dataset {
            return Err(DealingError::Dataset {
                expected: *dataset,
                found: self.dataset,
            });
        }
        Ok(())
    }

    /// Those that are still to be dealt.
    pub fn unfinished(&self) -> usize {
        self.dealings.iter().filter(|d| d.dealt.is_none()).count()
    }

    /// The class of a digest.
    pub fn class(&self, digest: &Digest) -> Option<&ClassTerms> {
        let is = |c: &&ClassTerms| c.class().is_ok_and(|c| c.digest() == *digest);
        self.classes.iter().find(is)
    }

    /// The epoch of a quorum's latest dealing.
    pub fn epoch(&self, quorum: &[u8]) -> Option<u32> {
        let of = self.dealings.iter().filter(|d| d.quorum == quorum);
        of.map(|d| d.epoch).max()
    }

    /// Plans tickets of each class for every quorum: further ones of its epoch,
    /// or, where it has none, its nodes changed, or `anew` names it (it was
    /// frozen), those of a new epoch, S_D's shares with the first of them.
    pub fn add(
        &mut self,
        committee: &CommitteeFile,
        asked: &[Asked],
        anew: &BTreeSet<Vec<u8>>,
        only: Option<&BTreeSet<Vec<u8>>>,
    ) -> Result<(), DealingError> {
        let count = self.unfinished();
        if count > 0 {
            return Err(DealingError::Unfinished { count });
        }
        let nodes = committee.nodes.len();
        let of = Committee::new(u8::try_from(nodes).unwrap_or(u8::MAX), committee.threshold)?;
        let quorums = of.quorums();
        for quorum in anew.iter().chain(only.into_iter().flatten()) {
            if !quorums.iter().any(|q| q.members() == quorum) {
                return Err(DealingError::Quorum {
                    quorum: quorum.clone(),
                    threshold: committee.threshold,
                    nodes,
                });
            }
        }
        let mut asked: Vec<&Asked> = asked.iter().filter(|a| a.tickets > 0).collect();
        if asked.is_empty() {
            return Err(DealingError::Nothing);
        }
        // The check of the public key spends the first without noise.
        asked.sort_by_key(|a| noise(a));
        let check = Asked {
            class: key_check(self.k),
            tickets: KEY_CHECK_TICKETS,
        };
        let checks = asked
            .iter()
            .any(|a| !noise(a) && a.tickets >= LEAST_KEY_CHECK);
        let mut next = self.clone();
        for a in &asked {
            next.admit(&a.class)?;
        }
        for quorum in &quorums {
            let members = quorum.members().to_vec();
            if only.is_some_and(|o| !o.contains(&members)) && !anew.contains(&members) {
                continue;
            }
            let keys = members.iter().filter_map(|m| {
                let node = committee.nodes.get(usize::from(*m))?;
                Some(node.signing_key)
            });
            let parties: Vec<Key> = keys.collect();
            let epoch = self.epoch_for(&members, &parties, anew.contains(&members))?;
            let mut fresh = !self.has(&members, epoch);
            let check = (fresh && !checks).then_some(&check);
            for a in check.into_iter().chain(asked.iter().copied()) {
                let class = next.admit(&a.class)?;
                next.append(&members, &parties, epoch, class, a.tickets, fresh)?;
                fresh = false;
            }
        }
        if next.dealings.len() > MAX_DEALINGS {
            return Err(DealingError::Limit {
                what: "dealings of one dataset",
                limit: MAX_DEALINGS as u64,
                value: next.dealings.len() as u64,
            });
        }
        // Nothing is dealt whose cost no policy could count (PRV-8).
        next.cost()?;
        *self = next;
        Ok(())
    }

    /// What all dealings cost, those still to be dealt too (PRV-9).
    pub fn cost(&self) -> Result<Rho, DealingError> {
        let mut total = Rho::ZERO;
        for d in &self.dealings {
            let Some(terms) = self.class(&d.class) else {
                continue;
            };
            let cost = || {
                let class = terms.class().ok().filter(TicketClass::noisy);
                let Some(class) = class else {
                    return Ok(total);
                };
                let each = class.mechanism().cost(class.sensitivity())?;
                total.plus(each.times(d.count)?)
            };
            total = cost().map_err(|cause| DealingError::Noise {
                class: terms.name.clone(),
                cause,
            })?;
        }
        Ok(total)
    }

    fn has(&self, quorum: &[u8], epoch: u32) -> bool {
        let mut all = self.dealings.iter();
        all.any(|d| d.quorum == quorum && d.epoch == epoch)
    }

    fn epoch_for(&self, quorum: &[u8], parties: &[Key], anew: bool) -> Result<u32, DealingError> {
        let Some(latest) = self.epoch(quorum) else {
            return Ok(0);
        };
        let mut all = self.dealings.iter();
        let others = all.any(|d| d.quorum == quorum && d.epoch == latest && d.parties != parties);
        match (anew || others, latest < MAX_EPOCH) {
            (false, _) => Ok(latest),
            (true, true) => Ok(latest + 1),
            (true, false) => Err(DealingError::Limit {
                what: "epochs of a quorum",
                limit: MAX_EPOCH.into(),
                value: u64::from(latest) + 1,
            }),
        }
    }

    /// The class's digest; a name stands for one class, a class has one name.
    fn admit(&mut self, terms: &ClassTerms) -> Result<Digest, DealingError> {
        let name = || terms.name.clone();
        if terms.k != self.k {
            return Err(DealingError::K {
                class: name(),
                expected: self.k,
                found: terms.k,
            });
        }
        let class = terms.class().map_err(|cause| DealingError::Class {
            class: name(),
            cause,
        })?;
        let digest = class.digest();
        if let Some(known) = self.classes.iter().find(|c| c.name == terms.name) {
            return match known == terms {
                true => Ok(digest),
                false => Err(DealingError::ClassChanged { class: name() }),
            };
        }
        if let Some(known) = self.class(&digest) {
            return Err(DealingError::ClassTwice {
                class: name(),
                other: known.name.clone(),
            });
        }
        if self.classes.len() >= MAX_CLASSES {
            return Err(DealingError::Limit {
                what: "classes of one dataset",
                limit: MAX_CLASSES as u64,
                value: self.classes.len() as u64 + 1,
            });
        }
        self.classes.push(terms.clone());
        Ok(digest)
    }

    fn append(
        &mut self,
        quorum: &[u8],
        parties: &[Key],
        epoch: u32,
        class: Digest,
        count: u64,
        with_key: bool,
    ) -> Result<(), DealingError> {
        let of = |d: &&Planned| d.quorum == quorum && d.epoch == epoch;
        let ends = self.dealings.iter().filter(of).map(Planned::end);
        let first = ends.max().unwrap_or(0);
        let value = first.saturating_add(count);
        if value > MAX_TICKETS {
            return Err(DealingError::Numbers {
                quorum: quorum.to_vec(),
                epoch,
                value,
                limit: MAX_TICKETS,
            });
        }
        self.dealings.push(Planned {
            quorum: quorum.to_vec(),
            parties: parties.to_vec(),
            epoch,
            class,
            first,
            count,
            with_key,
            dealt: None,
        });
        Ok(())
    }

    /// What a policy says (DOC-12): every dealing that there ever was. Without a
    /// limit, what they cost is the limit.
    pub fn tickets(&self, limit: Option<Rho>) -> Result<Tickets, DealingError> {
        let count = self.unfinished();
        if count > 0 {
            return Err(DealingError::Unfinished { count });
        }
        let mut tickets = Tickets {
            classes: self.classes.clone(),
            dealings: self.dealings.iter().filter_map(Planned::terms).collect(),
            rho_limit_units: 0,
        };
        let cost = self.cost()?;
        tickets.rho_limit_units = limit.unwrap_or(cost).units();
        Ok(tickets)
    }
}

fn noise(asked: &Asked) -> bool {
    !matches!(asked.class.mechanism, veilbourse_privacy::Mechanism::None)
}
