//! The roots, put together from one object a concern.

use crate::{committees::CommitteeQuery, mutation::MarketMutation, query::MarketQuery};
use async_graphql::MergedObject;

/// The query root.
#[derive(Debug, Default, MergedObject)]
pub struct Query(MarketQuery, CommitteeQuery);

/// The mutation root.
#[derive(Debug, Default, MergedObject)]
pub struct Mutation(MarketMutation);
