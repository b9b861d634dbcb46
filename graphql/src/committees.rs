//! Committees that custodians may deal to: the files that the marketplace's
//! operator put up, so that a custodian in a browser need not be handed one. What
//! is published is not vouched for: every node signs its own entry, and custodians
//! compare the keys by another way.

use crate::query::{pass, refuse, service};
use async_graphql::{Context, Json, Object, Result, SimpleObject};
use serde_json::Value;
use veilbourse_documents::CommitteeFile;
use veilbourse_domain::{DomainError, access::Surface};

/// Where the committees come from.
pub trait Committees {
    /// Every committee put up, by name.
    fn committees(&self) -> veilbourse_domain::Result<Vec<(String, CommitteeFile)>>;
}

/// A key node's place in a committee.
#[derive(Debug, SimpleObject)]
pub struct CommitteeMember {
    /// Its name, as its operator gave it.
    pub name: String,
    /// Its Ed25519 key, hex.
    pub signing_key: String,
}

/// A committee of key nodes that the operator put up.
#[derive(Debug, SimpleObject)]
pub struct CommitteeEntry {
    /// Its name.
    pub name: String,
    /// How many nodes open.
    pub threshold: u8,
    /// Its nodes, by number.
    pub nodes: Vec<CommitteeMember>,
    /// The file that custodians deal with, as `veilbourse committee make` wrote it.
    pub file: Json<Value>,
}

impl CommitteeEntry {
    fn of(name: String, file: &CommitteeFile) -> veilbourse_domain::Result<Self> {
        let member = |n: &veilbourse_documents::MemberEntry| CommitteeMember {
            name: n.name.clone(),
            signing_key: n.signing_key.to_string(),
        };
        Ok(Self {
            name,
            threshold: file.threshold,
            nodes: file.nodes.iter().map(member).collect(),
            file: Json(serde_json::to_value(file).map_err(DomainError::storage)?),
        })
    }
}

/// The query's part.
#[derive(Debug, Default)]
pub struct CommitteeQuery;

#[Object]
impl CommitteeQuery {
    /// Committees that custodians may deal to, as the operator put them up.
    #[graphql(complexity = "8 * child_complexity + 1")]
    async fn committees(&self, ctx: &Context<'_>) -> Result<Vec<CommitteeEntry>> {
        pass(ctx, Surface::Query, "committees")?;
        let found = service(ctx)?.committees().map_err(refuse(ctx))?;
        found
            .into_iter()
            .map(|(name, file)| CommitteeEntry::of(name, &file).map_err(refuse(ctx)))
            .collect()
    }
}
