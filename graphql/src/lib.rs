//! The GraphQL schema (GQL): model, query, mutation, subscription; the one
//! policy table is asked at every root field (ACC-1), errors carry stable
//! codes, lists are cursors.

mod committees;
mod error;
mod federation;
mod letters;
mod letters_service;
mod limits;
mod model;
mod mutation;
mod partners;
mod partners_service;
mod people;
mod people_model;
mod people_service;
mod query;
mod root;
mod scalar;
mod service;
mod subscription;
mod tickets;

pub use committees::{CommitteeEntry, CommitteeMember, Committees};
pub use error::{EXTENSION_CODE, to_graphql};
pub use federation::{FederationQuery, MAX_ENTITIES, MAX_MANIFESTS};
pub use letters::{LocalMail, Mail, MailPreferences, MailPreferencesInput};
pub use letters_service::{LetterService, LocalLetter};
pub use limits::{
    MAX_ARGUMENTS, MAX_COMPLEXITY, MAX_DEPTH, MAX_DOCUMENT, MAX_ROOT_FIELDS, MAX_SELECTIONS,
    SubscriptionsOnly, may_be_large, single_root,
};
pub use model::*;
pub use partners::*;
pub use partners_service::{Delivered, KeyWanted, Partners, WithSecret};
pub use people_model::*;
pub use people_service::People;
pub use root::{Mutation, Query};
pub use scalar::Money;
pub use service::{
    Caller, MarketplaceInfo, OutputOffer, Progress, QuoteOffer, Seat, Service, SessionTokens,
};
pub use subscription::Subscription;
pub use tickets::*;

use async_graphql::{SDLExportOptions, Schema, SchemaBuilder};
use std::sync::Arc;

/// The schema's type.
pub type MarketSchema = Schema<Query, Mutation, Subscription>;

fn builder() -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query::default(), Mutation::default(), Subscription)
        .limit_depth(MAX_DEPTH)
        .limit_complexity(MAX_COMPLEXITY)
        .extension(limits::DocumentLimits)
}

/// The schema over a service.
pub fn schema(service: Arc<dyn Service>) -> MarketSchema {
    builder().data(service).finish()
}

/// The schema's text: what `graphql/schema.graphql` holds (drift test). It is
/// public, and so is introspection (GQL-3). What it has stays, or the changelog
/// says what became of it (PAR-16).
pub fn sdl() -> String {
    federation::without_federation(&builder().finish().sdl())
}

/// The same as a subgraph of Apollo Federation 2 (PAR-15): what `_service`
/// answers.
pub fn federation_sdl() -> String {
    let options = SDLExportOptions::new().federation().compose_directive();
    builder().finish().sdl_with_options(options)
}
