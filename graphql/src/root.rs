//! The roots, put together from one object a concern.

use crate::{
    mutation::MarketMutation,
    people::{PeopleMutation, PeopleQuery},
    query::MarketQuery,
};
use async_graphql::MergedObject;

/// The query root.
#[derive(Debug, Default, MergedObject)]
pub struct Query(MarketQuery, PeopleQuery);

/// The mutation root.
#[derive(Debug, Default, MergedObject)]
pub struct Mutation(MarketMutation, PeopleMutation);
