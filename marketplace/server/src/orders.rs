//! Placing orders (ORD-1..4, SET-1) and following them.

use crate::{
    App,
    convert::{order_terms, quote_terms, read_value, refused, stored},
    limits::Kind,
};
use futures::{StreamExt, stream::BoxStream};
use serde_json::Value;
use tokio_stream::wrappers::BroadcastStream;
use veilbourse_core::program::Weights;
use veilbourse_documents::{Chain, Order as OrderDocument, Policy, Quote, Signed};
use veilbourse_domain::{
    DomainError, Result,
    access::Pass,
    admit::{Admission, admit_order},
    id::{OrderId, TransferId},
    order::{Order, Placed},
    records::PlaceOrder,
    terms::OrderTerms,
    tickets::TicketFacts,
};
use veilbourse_graphql::Progress;

/// Most bytes of a sealed model.
const MAX_SEALED_MODEL: usize = 4 << 20;

impl App {
    pub(crate) async fn place(
        &self,
        pass: &Pass,
        order: &Value,
        sealed_model: Option<Vec<u8>>,
    ) -> Result<Order> {
        let buyer = pass.viewer().account()?;
        self.limits.take(Kind::Place, &buyer.to_string())?;
        self.must_be_verified(buyer).await?;
        let signed = read_value::<OrderDocument>(self, order)?;
        let terms: OrderTerms = order_terms(&signed)?;
        // ORD-2: the answer was lost and the buyer asks again, whatever has
        // become of quote, quota and listing meanwhile.
        if let Some(order) = self.store.placed_before(terms.digest, buyer).await? {
            return Ok(order);
        }
        let quote = match self.store.quote(terms.quote).await {
            Ok(q) => q,
            Err(DomainError::NotFound { .. }) => return Err(DomainError::QuoteUnknown),
            Err(e) => return Err(e),
        };
        let signed_quote =
            Signed::<Quote>::parse(quote.signed.text.as_bytes()).map_err(|e| refused(&e))?;
        let quote = quote_terms(&signed_quote, quote.terms.pod_operator)?;
        self.room_in_queue(quote.expected_seconds).await?; // PAR-14
        let listing = self.store.listing(quote.listing).await?;
        let manifest = self.manifest(quote.listing).await?;
        let usage = self.store.usage(quote.listing).await?;
        let tickets = match terms.by_committee() {
            true => self.store.ticket_facts(quote.listing).await?,
            false => TicketFacts::default(),
        };
        let joint = self.joint_parts(&terms.joint).await?;
        let now = self.now();
        let demand = admit_order(&Admission {
            now,
            marketplace: self.id,
            listing: &listing,
            quote: &quote,
            order: &terms,
            program: &signed.body.program,
            manifest: &manifest,
            buyer,
            key_registered: self.store.key_registered(buyer, terms.signer).await?,
            usage: &usage,
            tickets: &tickets,
            joint: &joint,
            horizon: 1000 * u64::from(self.config.order_seconds),
        })?;
        // The same links that pod and node will check.
        let policy = self
            .store
            .policy(quote.listing, quote.policy_version)
            .await?;
        let policy = Signed::<Policy>::parse(policy.text.as_bytes()).map_err(|e| refused(&e))?;
        Chain {
            marketplace: &self.key,
            policy: &policy,
            quote: &signed_quote,
            order: &signed,
        }
        .check()
        .map_err(|e| refused(&e))?;
        let sealed_model = check_sealed(&signed.body, sealed_model)?;
        let order = Order {
            id: OrderId::new(now, self.random()),
            buyer,
            custodian: listing.owner,
            pod_operator: quote.pod_operator,
            listing: listing.id,
            split: quote.split,
            values: demand.values,
            bits: demand.bits,
            placed_at: now,
            state: Placed { at: now }.into(),
            terms,
        };
        let placed = self
            .store
            .place_order(
                PlaceOrder {
                    order,
                    escrow: TransferId::new(now, self.random()),
                    signed: stored(&signed)?,
                    sealed_model,
                },
                now,
            )
            .await?
            .into_order();
        metrics::counter!("veilbourse_orders_placed_total").increment(1);
        self.changed(placed.id);
        Ok(placed)
    }

    async fn progress_of(&self, id: OrderId) -> Result<Progress> {
        let o = self.store.order(id).await?;
        let (stage, per_mille) = self
            .store
            .progress(id)
            .await?
            .unwrap_or_else(|| ("waiting".into(), 0));
        Ok(Progress {
            order: id,
            state: o.state.name().into(),
            stage,
            per_mille,
            last: o.state.terminal(),
        })
    }

    /// The present state, then each change, until the order ends.
    pub(crate) async fn follow(
        self: std::sync::Arc<Self>,
        pass: &Pass,
        id: OrderId,
    ) -> Result<BoxStream<'static, Progress>> {
        let o = self.store.order(id).await?;
        pass.sees("order", &[o.buyer, o.custodian, o.pod_operator])?;
        // Subscribed before the first look, so that no change falls between.
        let changes = BroadcastStream::new(self.changes.subscribe());
        let first = futures::stream::once(async { true });
        let relevant = changes.filter_map(move |c| async move {
            // A subscriber that lagged looks again.
            c.map_or(Some(true), |changed| (changed == id).then_some(true))
        });
        let stream = first
            .chain(relevant)
            .then(move |_| {
                let app = self.clone();
                async move { app.progress_of(id).await.ok() }
            })
            .filter_map(|p| async move { p });
        // Ends with the item that is the last, not when another change comes.
        let ended = futures::stream::unfold((stream.boxed(), false), |(mut s, over)| async move {
            if over {
                return None;
            }
            let p = s.next().await?;
            let last = p.last;
            Some((p, (s, last)))
        });
        Ok(ended.boxed())
    }
}

/// DOC-5, DOC-6: a sealed model exactly where a vector is private, of the
/// digest that the order names.
fn check_sealed(order: &OrderDocument, sealed: Option<Vec<u8>>) -> Result<Vec<u8>> {
    let private = order
        .program
        .vectors
        .iter()
        .any(|v| matches!(v.weights, Weights::Private { .. }));
    let field = "sealedModel";
    match (private, sealed) {
        (false, None) if order.sealed_model.is_none() => Ok(Vec::new()),
        (false, _) => Err(DomainError::invalid(
            field,
            "no vector is private, none is expected",
        )),
        (true, None) => Err(DomainError::invalid(
            field,
            "a vector is private, it is missing",
        )),
        (true, Some(s)) if s.len() > MAX_SEALED_MODEL => Err(DomainError::TooLarge {
            field,
            limit: MAX_SEALED_MODEL as u64,
            value: s.len() as u64,
        }),
        (true, Some(s)) => {
            if Some(OrderDocument::digest_of_sealed_model(&s)) != order.sealed_model {
                return Err(DomainError::invalid(
                    field,
                    "is not of the digest that the order names",
                ));
            }
            Ok(s)
        }
    }
}
