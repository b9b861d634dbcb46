//! Training over several listings (TRN-6, OPN-9): moments are sums over rows, so
//! they are sums over custodians, and only those are opened.

use super::{Ask, Method, Moments, OpenedSums, Plan, TrainError, columns::Origin};
use crate::{
    buyer::{JointRefusal, Listed, align, pooled, same_publics},
    query::Query,
};
use veilbourse_core::manifest::Manifest;
use veilbourse_documents::{Demand, Id};

/// One regression over several listings: the same columns at the same scales, in
/// the same segments, in all of them.
#[derive(Debug, Clone)]
pub struct JointPlan {
    /// The first listing's.
    pub plan: Plan,
    /// Each listing's query, its outputs in the first one's order.
    pub queries: Vec<Query>,
    /// What each demands.
    pub demands: Vec<Demand>,
    /// The first dataset with the rows of all.
    pooled: Manifest,
}

impl JointPlan {
    /// [`Plan::check_rows`] with the rows of all.
    pub fn check_rows(&self, method: Method) -> Result<(), TrainError> {
        self.plan.check_rows(&self.pooled, method)
    }

    /// Resolves names in every listing; what differs is refused by name.
    pub fn of(listed: &[Listed], ask: &Ask) -> Result<Self, TrainError> {
        let mut plans = Vec::new();
        let (mut pairs, mut demands) = (Vec::new(), Vec::new());
        for l in listed {
            let plan = Plan::of(l, ask)?;
            let (query, demand) = plan.query(&l.manifest)?;
            pairs.push((l, query));
            demands.push(demand);
            plans.push(plan);
        }
        let mut plans = plans.into_iter();
        let plan = plans.next().ok_or(JointRefusal::Count { found: 0 })?;
        let names = |p: &Plan| -> Vec<String> {
            let variables = p.columns.variables.iter();
            variables.map(|v| v.name.clone()).collect()
        };
        for (other, l) in plans.zip(listed.iter().skip(1)) {
            let (expected, found) = (names(&plan), names(&other));
            if expected != found {
                Err(JointRefusal::Vectors {
                    listing: l.id.clone(),
                    expected,
                    found,
                })?;
            }
            for (a, b) in plan.columns.variables.iter().zip(&other.columns.variables) {
                if a.scale_log2 != b.scale_log2 {
                    Err(JointRefusal::Scale {
                        name: a.name.clone(),
                        listing: l.id.clone(),
                        expected: a.scale_log2,
                        found: b.scale_log2,
                    })?;
                }
            }
        }
        align(&mut pairs)?;
        let parts: Vec<(&Id, &Manifest)> = listed.iter().map(|l| (&l.id, &l.manifest)).collect();
        let variables = plan.columns.variables.iter().zip(&plan.columns.origins);
        let public = variables.filter(|(_, o)| matches!(o, Origin::Public(_)));
        let public: Vec<String> = public.map(|(v, _)| v.name.clone()).collect();
        same_publics(&parts, &public)?;
        let pooled = pooled(&parts)?;
        Ok(Self {
            plan,
            queries: pairs.into_iter().map(|(_, q)| q).collect(),
            demands,
            pooled,
        })
    }

    /// The moments over all listings, from the sums that a joint order opened.
    pub fn moments(&self, opened: &[Vec<i64>]) -> Result<Moments, TrainError> {
        let program = self.queries.first().map(|q| &q.program);
        let sums = program.map(|p| OpenedSums::read(&self.pooled, p, opened));
        self.plan.moments(&self.pooled, &sums.unwrap_or_default())
    }
}
