//! The roots, put together from one object a concern.

use crate::{
    committees::CommitteeQuery,
    federation::FederationQuery,
    letters::{LetterMutation, LetterQuery},
    mutation::MarketMutation,
    partners::{PartnersMutation, PartnersQuery},
    people::{PeopleMutation, PeopleQuery},
    query::MarketQuery,
};
use async_graphql::MergedObject;

/// The query root.
#[derive(Debug, Default, MergedObject)]
pub struct Query(
    MarketQuery,
    PeopleQuery,
    LetterQuery,
    PartnersQuery,
    FederationQuery,
    CommitteeQuery,
);

/// The mutation root.
#[derive(Debug, Default, MergedObject)]
pub struct Mutation(
    MarketMutation,
    PeopleMutation,
    LetterMutation,
    PartnersMutation,
);
