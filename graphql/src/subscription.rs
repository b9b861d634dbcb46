//! Following an order (orderProgress).

use crate::{
    OrderProgress,
    query::{parsed, pass, refuse, service},
};
use async_graphql::{Context, Result, Subscription};
use futures::{Stream, StreamExt};
use veilbourse_domain::access::Surface;

/// The subscription root.
#[derive(Debug)]
pub struct Subscription;

#[Subscription]
impl Subscription {
    /// Every change of an order and its pod's progress; ends with the order.
    async fn order_progress(
        &self,
        ctx: &Context<'_>,
        id: String,
    ) -> Result<impl Stream<Item = OrderProgress>> {
        let p = pass(ctx, Surface::Subscription, "orderProgress")?;
        let stream = service(ctx)?.watch(&p, parsed(ctx, &id)?).await.map_err(refuse(ctx))?;
        Ok(stream.map(Into::into))
    }
}
