//! Joint orders (OPN-9, ORD-8): one query over the listings of several
//! custodians, of which the buyer learns the sums and no summand.
//!
//! Checked here before anything is signed: what differs is refused by name.

use super::{Listed, Offer, Ticket, order::Signing};
use crate::{ClientError, query::Query};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;
use veilbourse_core::{
    digest::Digest,
    manifest::Manifest,
    program::{MatrixRef, Program},
};
use veilbourse_documents::{Custody, Id, Key, MAX_JOINT, SealingSecret, SigningKey};

/// Fewest custodians of a joint order whose tickets have no noise.
const LEAST_CUSTODIANS: usize = 3;

/// Why orders are no joint order.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum JointRefusal {
    /// Too few or too many.
    #[error("{found} listings; there must be 2 to {MAX_JOINT}")]
    Count {
        /// Listings.
        found: usize,
    },
    /// A dataset twice.
    #[error("listing {listing} is of a dataset that is there already")]
    DatasetTwice {
        /// The later one.
        listing: Id,
    },
    /// Not opened by a committee.
    #[error("listing {listing} is in custodian-held custody; a joint order needs a committee")]
    Custody {
        /// Which.
        listing: Id,
    },
    /// Opened by other nodes.
    #[error("listing {listing} is opened by another committee than the first")]
    Committee {
        /// Which.
        listing: Id,
    },
    /// Fewer than three custodians, and a class without noise: two would know
    /// each other's sums.
    #[error(
        "{found} custodians: with fewer than 3 each listing's tickets must have noise, class {class:?} of listing {listing} has none"
    )]
    Custodians {
        /// Of different keys.
        found: usize,
        /// A listing without noise.
        listing: Id,
        /// Its class.
        class: String,
    },
    /// The buyer's own listing.
    #[error("listing {listing} is the buyer's own")]
    OwnListing {
        /// Which.
        listing: Id,
    },
    /// No such column here.
    #[error("listing {listing} has no column {column:?}")]
    Column {
        /// Which.
        listing: Id,
        /// The name.
        column: String,
    },
    /// Other vectors: columns listed here and not there.
    #[error("listing {listing} gives {found:?}, the first gives {expected:?}")]
    Vectors {
        /// Which.
        listing: Id,
        /// Labels of the first.
        expected: Vec<String>,
        /// Labels here.
        found: Vec<String>,
    },
    /// Another scale.
    #[error("{name:?} has scale 2^{found} in listing {listing}, 2^{expected} in the first")]
    Scale {
        /// Of what.
        name: String,
        /// Which.
        listing: Id,
        /// In the first.
        expected: i32,
        /// Here.
        found: i32,
    },
    /// Other segments.
    #[error("listing {listing} has segments {found:?}, the first has {expected:?}")]
    Segments {
        /// Which.
        listing: Id,
        /// Labels of the first.
        expected: Vec<String>,
        /// Labels here.
        found: Vec<String>,
    },
    /// Rows of different tables do not belong together.
    #[error("scores for each row are not added up over listings; ask for aggregates")]
    Rows,
    /// A public column with other values.
    #[error("public column {column:?} has other values in listing {listing} than in the first")]
    Public {
        /// Which column.
        column: String,
        /// Which listing.
        listing: Id,
    },
    /// Another number of values, or outputs in another order.
    #[error(
        "listing {listing} opens {found} values, or in another order, than the first ({expected})"
    )]
    Values {
        /// Which.
        listing: Id,
        /// In the first.
        expected: u64,
        /// Here.
        found: u64,
    },
}

/// One listing's part of a joint order.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// The listing.
    pub listed: &'a Listed,
    /// The query, aligned with the others ([`align`]).
    pub query: &'a Query,
    /// The quote.
    pub offer: &'a Offer,
}

/// The orders of a joint one, in the order of their quotes' digests. All have one
/// result key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JointTicket {
    /// The orders.
    pub orders: Vec<Ticket>,
}

impl JointTicket {
    /// The orders.
    pub fn tickets(&self) -> Vec<&Ticket> {
        self.orders.iter().collect()
    }
    /// Minor units that all cost together.
    pub fn price(&self) -> i64 {
        let prices = self.orders.iter().map(|t| t.order.body.price);
        prices.fold(0i64, i64::saturating_add)
    }
    /// What the sums are of: the first dataset's columns, the rows of all.
    pub fn pooled(&self) -> Result<Manifest, ClientError> {
        let parts = self.orders.iter();
        let parts: Vec<_> = parts
            .map(|t| (&t.order.body.listing, &t.manifest))
            .collect();
        Ok(pooled(&parts)?)
    }
    /// The program whose outputs the sums are: the first order's.
    pub fn program(&self) -> Option<&Program> {
        self.orders.first().map(|t| &t.order.body.program)
    }
}

/// What an output is over, by the segment's label, and of which vector.
fn key(manifest: &Manifest, program: &Program, output: usize) -> Option<(String, u32)> {
    let o = program.outputs.get(output)?;
    let MatrixRef::Traced { segment } = o.over else {
        return None;
    };
    let label = &manifest.segments.get(segment as usize)?.label;
    Some((label.clone(), o.vector))
}

fn labels(manifest: &Manifest) -> Vec<String> {
    manifest.segments.iter().map(|s| s.label.clone()).collect()
}

/// Puts each query's outputs into the first one's order, by segment label and
/// vector; vectors of other names or scales, and segments that are not the same,
/// are refused by name.
pub fn align(queries: &mut [(&Listed, Query)]) -> Result<(), JointRefusal> {
    let Some(((first, model), others)) = queries.split_first_mut() else {
        return Err(JointRefusal::Count { found: 0 });
    };
    let (first, model): (&Listed, &Query) = (first, model);
    let count = model.program.outputs.len();
    let order = (0..count).map(|i| key(&first.manifest, &model.program, i));
    let order: Vec<_> = order.collect::<Option<_>>().ok_or(JointRefusal::Rows)?;
    let names = |q: &Query| -> Vec<String> {
        let vectors = q.program.vectors.iter();
        vectors.map(|v| v.label.clone()).collect()
    };
    for (listed, query) in others {
        let listing = || listed.id.clone();
        let (expected, found) = (names(model), names(query));
        if expected != found {
            return Err(JointRefusal::Vectors {
                listing: listing(),
                expected,
                found,
            });
        }
        for (a, b) in model.program.vectors.iter().zip(&query.program.vectors) {
            if a.scale_log2 != b.scale_log2 {
                return Err(JointRefusal::Scale {
                    name: a.label.clone(),
                    listing: listing(),
                    expected: a.scale_log2,
                    found: b.scale_log2,
                });
            }
        }
        let mut by_key = BTreeMap::new();
        for (i, output) in query.program.outputs.iter().enumerate() {
            let at = key(&listed.manifest, &query.program, i).ok_or(JointRefusal::Rows)?;
            by_key.insert(at, output.clone());
        }
        let aligned = order.iter().map(|k| by_key.remove(k));
        let aligned: Option<Vec<_>> = aligned.collect();
        match aligned {
            Some(outputs) if by_key.is_empty() => query.program.outputs = outputs,
            _ => {
                return Err(JointRefusal::Segments {
                    listing: listing(),
                    expected: labels(&first.manifest),
                    found: labels(&listed.manifest),
                });
            }
        }
    }
    Ok(())
}

/// The first dataset with the rows of all, segment by segment: what sums over
/// listings are decoded by. It is nobody's dataset and has no root of its own.
pub fn pooled(parts: &[(&Id, &Manifest)]) -> Result<Manifest, JointRefusal> {
    let ((_, first), others) = parts
        .split_first()
        .ok_or(JointRefusal::Count { found: 0 })?;
    let mut all = (*first).clone();
    for (_, m) in others {
        for segment in &mut all.segments {
            // Segments of outputs are in all listings ([`align`]); others do not
            // matter.
            let same = m.segments.iter().find(|s| s.label == segment.label);
            segment.rows = segment.rows.saturating_add(same.map_or(0, |s| s.rows));
        }
    }
    Ok(all)
}

/// These public columns have the same values in the segments of all listings:
/// where they enter moments that are sums over listings.
pub fn same_publics(parts: &[(&Id, &Manifest)], columns: &[String]) -> Result<(), JointRefusal> {
    let values = |m: &Manifest, name: &str| -> Option<BTreeMap<String, i64>> {
        let column = m.public_columns.iter().find(|c| c.name == name)?;
        let of = m.segments.iter().zip(&column.values);
        Some(of.map(|(s, v)| (s.label.clone(), *v)).collect())
    };
    let Some(((_, first), others)) = parts.split_first() else {
        return Ok(());
    };
    for name in columns {
        for (listing, m) in others {
            if values(first, name) != values(m, name) {
                return Err(JointRefusal::Public {
                    column: name.clone(),
                    listing: (*listing).clone(),
                });
            }
        }
    }
    Ok(())
}

/// ORD-8, on what the buyer was quoted: before anything is signed.
pub fn check_joint(parts: &[Part<'_>], buyer: &Key) -> Result<(), ClientError> {
    let found = parts.len();
    let (first, others) = match parts.split_first() {
        Some(split) if (2..=MAX_JOINT).contains(&found) => split,
        _ => return Err(JointRefusal::Count { found }.into()),
    };
    let mut datasets = BTreeSet::new();
    for p in parts {
        let (listing, quote) = (|| p.listed.id.clone(), &p.offer.quote.body);
        if !datasets.insert(quote.dataset.0) {
            return Err(JointRefusal::DatasetTwice { listing: listing() }.into());
        }
        if quote.openers.custody() != Custody::Committee {
            return Err(JointRefusal::Custody { listing: listing() }.into());
        }
        if quote.openers != first.offer.quote.body.openers {
            return Err(JointRefusal::Committee { listing: listing() }.into());
        }
        if p.offer.policy.key == *buyer {
            return Err(JointRefusal::OwnListing { listing: listing() }.into());
        }
    }
    let custodians: BTreeSet<_> = parts.iter().map(|p| p.offer.policy.key.0).collect();
    if custodians.len() < LEAST_CUSTODIANS {
        for p in parts {
            let noisy = p.offer.class().is_some_and(|(_, c)| c.noisy());
            if !noisy {
                let class = p.offer.class().map(|(t, _)| t.name.clone());
                return Err(JointRefusal::Custodians {
                    found: custodians.len(),
                    listing: p.listed.id.clone(),
                    class: class.unwrap_or_default(),
                }
                .into());
            }
        }
    }
    // As they will be signed, not as they were built.
    let mut queries: Vec<_> = parts.iter().map(|p| (p.listed, p.query.clone())).collect();
    align(&mut queries)?;
    let values = |p: &Part<'_>| -> Result<Vec<u32>, ClientError> {
        let limits = super::shape::limits(&p.listed.manifest, &p.query.program, 0)?;
        Ok(limits.iter().map(|l| l.values).collect())
    };
    let expected = values(first)?;
    let sum = |v: &[u32]| v.iter().map(|v| u64::from(*v)).sum();
    for (p, (_, aligned)) in others.iter().zip(queries.iter().skip(1)) {
        let found = values(p)?;
        // The outputs stand in the first one's order, as `align` puts them.
        if expected != found || aligned.program != p.query.program {
            return Err(JointRefusal::Values {
                listing: p.listed.id.clone(),
                expected: sum(&expected),
                found: sum(&found),
            }
            .into());
        }
    }
    Ok(())
}

/// Checks and signs the orders of a joint one: each lists the quotes of all, all
/// have one result key, each its own nonce and model.
pub fn prepare_joint(
    marketplace: &Key,
    parts: &[Part<'_>],
    signing: &SigningKey,
    deadline: u64,
    rng: &mut impl CryptoRng,
) -> Result<JointTicket, ClientError> {
    check_joint(parts, &Key(signing.verifying_key().to_bytes()))?;
    let refused = |e| ClientError::refused("quote", e);
    let mut sorted = Vec::new();
    for p in parts {
        sorted.push((p.offer.quote.digest().map_err(refused)?, p));
    }
    sorted.sort_by_key(|(digest, _)| *digest);
    let joint: Vec<Digest> = sorted.iter().map(|(d, _)| *d).collect();
    let result_secret = SealingSecret::generate(rng);
    let terms = Signing {
        marketplace,
        signing,
        deadline,
        joint: &joint,
        result_secret: &result_secret,
    };
    let mut orders = Vec::new();
    for (_, p) in sorted {
        orders.push(terms.sign(p.offer, p.listed, p.query, rng)?);
    }
    Ok(JointTicket { orders })
}
