//! The schema as a subgraph (Apollo Federation 2): listings, orders and accounts
//! are entities by `id`. What an entity shows is what the field that answers it
//! would show the same viewer (PAR-15); what that refuses is null.

use crate::{
    Account,
    query::{Listing, Order, parsed, pass, refuse, service},
};
use async_graphql::{Context, Object, Result};
use veilbourse_domain::{
    DomainError,
    access::Surface,
    id::{AccountId, ListingId, OrderId},
};

/// Most representations of `_entities`.
pub const MAX_ENTITIES: usize = 50;
/// The same where manifests are asked for: each may have 8 MiB.
pub const MAX_MANIFESTS: usize = 2;

/// Entities by their keys.
#[derive(Debug, Default)]
pub struct FederationQuery;

#[Object]
impl FederationQuery {
    /// A listing that the viewer may see.
    #[graphql(entity)]
    async fn find_listing_by_id(&self, ctx: &Context<'_>, id: String) -> Result<Option<Listing>> {
        let p = pass(ctx, Surface::Query, "listing")?;
        let id: ListingId = parsed(ctx, &id)?;
        let l = match service(ctx)?.store().listing(id).await {
            Ok(l) => l,
            Err(DomainError::NotFound { .. }) => return Ok(None),
            Err(e) => return Err(refuse(ctx)(e)),
        };
        let seen = l.state.public() || p.sees("listing", &[l.owner]).is_ok();
        Ok(seen.then_some(Listing(l)))
    }

    /// An order where the viewer is buyer, custodian or pod operator.
    #[graphql(entity)]
    async fn find_order_by_id(&self, ctx: &Context<'_>, id: String) -> Result<Option<Order>> {
        let p = pass(ctx, Surface::Query, "order")?;
        let id: OrderId = parsed(ctx, &id)?;
        let o = match service(ctx)?.store().order(id).await {
            Ok(o) => o,
            Err(DomainError::NotFound { .. }) => return Ok(None),
            Err(e) => return Err(refuse(ctx)(e)),
        };
        let seen = p.sees("order", &[o.buyer, o.custodian, o.pod_operator]);
        Ok(seen.is_ok().then_some(Order(o)))
    }

    /// The viewer's own account; staff see all.
    #[graphql(entity)]
    async fn find_account_by_id(&self, ctx: &Context<'_>, id: String) -> Result<Option<Account>> {
        let p = pass(ctx, Surface::Query, "me")?;
        let id: AccountId = parsed(ctx, &id)?;
        if p.sees("account", &[id]).is_err() {
            return Ok(None);
        }
        match service(ctx)?.store().account(id).await {
            Ok(a) => Ok(Some(Account::new(a, Vec::new()))),
            Err(DomainError::NotFound { .. }) => Ok(None),
            Err(e) => Err(refuse(ctx)(e)),
        }
    }
}

/// The text of a schema without what only a gateway asks for: `_service`,
/// `_entities` and their types.
pub(crate) fn without_federation(sdl: &str) -> String {
    let gateway = |line: &str| {
        line.starts_with("scalar _Any")
            || line.starts_with("union _Entity")
            || line.starts_with("type _Service")
    };
    let mut out = String::with_capacity(sdl.len());
    // Definitions are separated by empty lines; a description precedes its own.
    for block in sdl.split_inclusive("\n\n") {
        if block.lines().any(gateway) {
            continue;
        }
        for line in block.split_inclusive('\n') {
            if !line.starts_with("\t_service") && !line.starts_with("\t_entities") {
                out.push_str(line);
            }
        }
    }
    out
}
