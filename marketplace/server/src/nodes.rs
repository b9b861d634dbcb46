//! What key nodes ask about orders (KEY-1, KEY-11): leases, parts, deliveries,
//! refusals; the custodian's one node and the nodes of a committee alike.

use crate::{
    App,
    app::off_the_workers,
    convert::{id, refused, stored},
    http::{Answer, Site},
    machines::machine_id,
};
use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Json, Path, Payload},
};
use serde_json::json;
use veilbourse_core::{
    budget,
    digest::{Digest, Domain},
};
use veilbourse_documents::{
    Chain, ClassTerms, DealingTerms, Delivery, Grant, MaskedResult, Opener, Opening,
    Order as OrderDocument, Policy, Quote, Signed,
    api::{Deliver, Delivered, MAX_DELIVER_BYTES, NodeJob, NodeJobs, Refuse},
    sealed_masks_bytes,
};
use veilbourse_domain::{
    DomainError, Result,
    access::Pass,
    id::{LeaseToken, OrderId, PublicKey},
    order::{Order, OrderState},
    records::{BlobKind, DocumentKind, Machine, QuorumDelivery},
};

/// Deliveries of one node that are checked at once.
pub(crate) const MAX_DELIVERIES_AT_ONCE: usize = 4;

/// An order's documents as far as a node's answer is checked against them.
struct Papers {
    order: Signed<OrderDocument>,
    policy: Signed<Policy>,
    quote: Signed<Quote>,
}

impl Papers {
    fn chain<'a>(&'a self, app: &'a App) -> Chain<'a> {
        Chain {
            marketplace: &app.key,
            policy: &self.policy,
            quote: &self.quote,
            order: &self.order,
        }
    }
}

/// What commitments are checked against.
struct Dealt {
    dataset: Digest,
    terms: DealingTerms,
    class: ClassTerms,
}

impl App {
    async fn papers(&self, order: &Order) -> Result<Papers> {
        let (policy, quote) = self.documents(order).await?;
        Ok(Papers {
            order: self.signed_order(order.id).await?,
            policy,
            quote,
        })
    }

    async fn node_job(&self, order: &Order) -> Result<NodeJob> {
        let papers = self.papers(order).await?;
        Ok(NodeJob {
            order_id: id(order.id)?,
            manifest: (*self.manifest(order.listing).await?).clone(),
            policy: papers.policy,
            quote: papers.quote,
            order: papers.order,
            submission: self.signed_submission(order.id).await?,
            grant: self.newest_grant(order.id).await?,
        })
    }

    async fn newest_grant(&self, id: OrderId) -> Result<Signed<Grant>> {
        let text = self.store.document(id, DocumentKind::Grant).await?.text;
        Signed::parse(text.as_bytes()).map_err(|e| refused(&e))
    }

    /// The node that asks, heard of from now on.
    pub(crate) async fn node(&self, pass: &Pass) -> Result<Machine> {
        let node = self.store.machine(machine_id(pass)?).await?;
        self.hear(node.signing_key);
        Ok(node)
    }

    /// One job, or all of a joint order by quote (KEY-1).
    async fn jobs_for(&self, pass: &Pass) -> Result<Option<NodeJobs>> {
        let node = self.node(pass).await?;
        let (key, now) = (node.signing_key, self.now());
        let token = LeaseToken(self.random());
        let orders = match self.store.lease_opening(node.id, key, token, now).await? {
            Some(order) => vec![order],
            None => match self.store.lease_quorum(node.id, key, now).await? {
                Some(orders) => orders,
                None => return Ok(None),
            },
        };
        let mut jobs = Vec::with_capacity(orders.len());
        for order in &orders {
            jobs.push(self.node_job(order).await?);
        }
        Ok(Some(NodeJobs { jobs }))
    }

    /// The order, if it is or was this node's to open; not found otherwise.
    async fn opening(&self, pass: &Pass, order: &str) -> Result<(Order, Machine)> {
        let node = self.node(pass).await?;
        let missing = DomainError::NotFound { what: "order" };
        let order = self.store.order(order.parse()?).await?;
        let own = match order.terms.node_key() {
            Some(key) => key == node.signing_key,
            None => {
                let parts = self.store.openings(order.id).await?;
                parts.iter().any(|p| p.node == node.signing_key)
            }
        };
        if own { Ok((order, node)) } else { Err(missing) }
    }

    /// The grant of this digest, with its number; the node has a part in it.
    async fn granted_to(
        &self,
        order: OrderId,
        node: PublicKey,
        digest: Digest,
    ) -> Result<(u32, Signed<Grant>)> {
        for part in self.store.openings(order).await? {
            if part.node != node {
                continue;
            }
            let signed = self.store.grant_document(order, part.number).await?;
            if signed.digest == digest {
                let grant = Signed::parse(signed.text.as_bytes()).map_err(|e| refused(&e))?;
                return Ok((part.number, grant));
            }
        }
        Err(DomainError::GrantUnknown)
    }

    async fn take_delivery(&self, pass: &Pass, order: &str, body: Deliver) -> Result<()> {
        let (order, node) = self.opening(pass, order).await?;
        if order.terms.by_committee() {
            return self.take_masks(&order, node.signing_key, body).await;
        }
        let [delivered] = &body.orders[..] else {
            let found = body.orders.len();
            return Err(DomainError::invalid(
                "orders",
                format!("{found}, expected 1"),
            ));
        };
        if delivered.opened.is_some() {
            return Err(DomainError::invalid("opened", "no committee opens here"));
        }
        let (papers, grant) = (
            self.papers(&order).await?,
            self.newest_grant(order.id).await?,
        );
        let delivery = &delivered.delivery;
        papers
            .chain(self)
            .check_delivery(&grant, None, delivery)
            .map_err(|e| refused(&e))?;
        let said = &delivery.body;
        check_sealed(said, &body.sealed_result.0, order.values)?;
        let (text, grant) = (stored(delivery)?, said.grant);
        self.store
            .deliver(order.id, grant, text, body.sealed_result.0, self.now())
            .await?;
        self.released(order.id).await
    }

    async fn released(&self, id: OrderId) -> Result<()> {
        metrics::counter!("veilbourse_orders_released_total").increment(1);
        self.receipt(id).await?;
        self.changed(id);
        Ok(())
    }

    /// A quorum node's delivery, of one order or all of a joint one.
    async fn take_masks(&self, order: &Order, node: PublicKey, body: Deliver) -> Result<()> {
        // Its checks take a part of a second.
        let key = format!("delivery:{node}");
        let _held = self.held.take(&key, MAX_DELIVERIES_AT_ONCE)?;
        let group = self.store.joint(order.id).await?;
        if body.orders.len() != group.len() {
            return Err(DomainError::DocumentLink { what: "delivery" });
        }
        let sealed = body.sealed_result.0;
        let mut deliveries = Vec::with_capacity(body.orders.len());
        for delivered in &body.orders {
            let of = delivered.delivery.body.order;
            let order = group.iter().find(|o| o.terms.digest == of);
            let order = order.ok_or(DomainError::DocumentLink { what: "delivery" })?;
            deliveries.push(
                self.quorum_delivery(order, node, delivered, &sealed)
                    .await?,
            );
        }
        let taken = self
            .store
            .deliver_quorum(node, deliveries, sealed, self.now())
            .await;
        if let Err(DomainError::OpeningDiffers { what }) = &taken {
            tracing::warn!(order = %order.id, node = %node, what, "nodes of a quorum differ");
        }
        for order in taken? {
            match order.state {
                OrderState::Released(_) => self.released(order.id).await?,
                _ => self.changed(order.id),
            }
        }
        Ok(())
    }

    /// DOC-13: opening, masked result and delivery of one order hold together.
    async fn quorum_delivery(
        &self,
        order: &Order,
        node: PublicKey,
        delivered: &Delivered,
        sealed: &[u8],
    ) -> Result<QuorumDelivery> {
        let delivery = &delivered.delivery;
        let opened = delivered.opened.as_ref();
        let opened = opened.ok_or_else(|| DomainError::invalid("opened", "is missing"))?;
        let papers = self.papers(order).await?;
        let named = delivery.body.grant;
        let (number, grant) = self.granted_to(order.id, node, named).await?;
        let manifest = self.manifest(order.listing).await?;
        let outputs = papers.order.body.program.outputs.iter();
        let values = outputs.map(|o| budget::extent(&manifest, o.over).map(|(_, _, v)| v));
        let values = values.collect::<Option<Vec<u32>>>();
        let values = values.ok_or_else(|| DomainError::storage("an output without an extent"))?;
        let chain = papers.chain(self);
        let opening = &opened.opening;
        chain
            .check_opening(&grant, &values, opening)
            .map_err(|e| refused(&e))?;
        chain
            .check_delivery(&grant, Some(opening), delivery)
            .map_err(|e| refused(&e))?;
        if opening.key.0 != node.0 {
            return Err(DomainError::DocumentLink { what: "opening" });
        }
        check_sealed(&delivery.body, sealed, order.values)?;
        // Who cannot read them can count them.
        let masks = usize::try_from(order.values).unwrap_or(usize::MAX);
        if sealed.len() != sealed_masks_bytes(masks) {
            return Err(DomainError::invalid(
                "sealed_result",
                format!(
                    "{} bytes; masks of {masks} values have {}",
                    sealed.len(),
                    sealed_masks_bytes(masks)
                ),
            ));
        }
        let said = &opening.body;
        let (masked, signed) = (opened.masked.0.clone(), said.clone());
        let dealt = granted_dealing(&papers.policy.body, &grant.body)?;
        let checked = move || {
            check_masked(&signed, &masked, dealt)?;
            Ok::<_, DomainError>(masked)
        };
        let masked = off_the_workers(&self.checking, checked).await??;
        // No overflow: tickets of the dealing.
        let next = said.first_ticket.saturating_add(said.values);
        let text = serde_json::to_vec(said).map_err(DomainError::storage)?;
        Ok(QuorumDelivery {
            order: order.id,
            number,
            opening: stored(opening)?,
            said: Digest::of(Domain::Other("veilbourse v1 opening said"), &text),
            next,
            masked,
            delivery: stored(delivery)?,
        })
    }

    async fn take_refusal(&self, pass: &Pass, order: &str, body: Refuse) -> Result<()> {
        let (order, node) = self.opening(pass, order).await?;
        let said = &body.refusal.body;
        let papers = self.papers(&order).await?;
        let node = node.signing_key;
        let (number, grant) = match order.terms.by_committee() {
            true => self.granted_to(order.id, node, said.grant).await?,
            false => (0, self.newest_grant(order.id).await?),
        };
        papers
            .chain(self)
            .check_non_delivery(&grant, &body.refusal)
            .map_err(|e| refused(&e))?;
        let why = format!("{}: {}", said.code, said.reason);
        let text = stored(&body.refusal)?;
        let (now, revealed) = (self.now(), said.revealed);
        if !order.terms.by_committee() {
            self.store
                .non_delivery(order.id, said.grant, text, &why, revealed, now)
                .await?;
            self.changed(order.id);
            return Ok(());
        }
        if body.refusal.key.0 != node.0 {
            return Err(DomainError::DocumentLink {
                what: "non-delivery",
            });
        }
        let changed = self
            .store
            .refuse_quorum(order.id, number, node, text, &why, revealed, now)
            .await?;
        for order in changed {
            self.changed(order.id);
        }
        Ok(())
    }
}

/// The granted dealing and its class, as the custodian signed them.
fn granted_dealing(policy: &Policy, grant: &Grant) -> Result<Dealt> {
    let unknown = DomainError::GrantUnknown;
    let (Opener::Committee { dealing, .. }, Some(tickets)) = (&grant.opener, &policy.tickets)
    else {
        return Err(unknown);
    };
    let terms = tickets.dealing(dealing).ok_or(unknown.clone())?.clone();
    let class = tickets.class(&terms.class).ok_or(unknown)?.0.clone();
    Ok(Dealt {
        dataset: policy.dataset,
        terms,
        class,
    })
}

/// The delivery is of these sealed bytes and of the order's values.
fn check_sealed(said: &Delivery, sealed: &[u8], values: u64) -> Result<()> {
    if Delivery::digest_of_sealed_result(sealed) != said.sealed_result {
        return Err(DomainError::DocumentLink {
            what: "sealed result",
        });
    }
    if said.values != values {
        return Err(DomainError::invalid(
            "delivery.values",
            format!("{}, the order has {values}", said.values),
        ));
    }
    Ok(())
}

/// The masked result is what the opening says (DOC-13), its commitments are
/// those of the dealing's tickets (TKT-5): the other nodes of a quorum are held
/// to what the first of them delivers. 5 ms a thousand commitments.
fn check_masked(said: &Opening, masked: &[u8], dealt: Dealt) -> Result<()> {
    let result = MaskedResult::decode(masked).map_err(|e| refused(&e))?;
    let what = "masked result";
    let same = result.check_opening(said);
    same.map_err(|_| DomainError::DocumentLink { what })?;
    let class = dealt.class.class().map_err(DomainError::storage)?;
    let tree = dealt.terms.signed(&dealt.dataset, class);
    let points = result.points(&tree, dealt.terms.quorum.len());
    points.map(drop).map_err(|e| DomainError::MasksNotDealt {
        reason: e.to_string(),
    })
}

/// `POST /v1/node/lease`.
pub async fn node_lease(site: Data<Site>, req: HttpRequest) -> Answer {
    let pass = site.pass(&req, "POST /v1/node/lease").await?;
    let jobs = site.app.jobs_for(&pass).await;
    Ok(match jobs.map_err(|e| site.refuse(e))? {
        Some(jobs) => HttpResponse::Ok().json(jobs),
        None => HttpResponse::NoContent().finish(),
    })
}

/// `POST /v1/node/jobs/{order}/delivery`.
pub async fn node_delivery(
    site: Data<Site>,
    req: HttpRequest,
    order: Path<String>,
    payload: Payload,
) -> Answer {
    let pass = site
        .pass(&req, "POST /v1/node/jobs/{order}/delivery")
        .await?;
    // UP-7: a large one counts for its sender.
    let most = MAX_DELIVER_BYTES;
    let body = site.body(&req, payload, most, pass.viewer()).await?;
    let read = serde_json::from_slice(&body);
    let delivery = read.map_err(|e| site.refuse(DomainError::invalid("body", e.to_string())))?;
    drop(body);
    let taken = site.app.take_delivery(&pass, &order, delivery).await;
    taken.map_err(|e| site.refuse(e))?;
    Ok(HttpResponse::Ok().json(json!({})))
}

/// `POST /v1/node/jobs/{order}/non-delivery`.
pub async fn node_refusal(
    site: Data<Site>,
    req: HttpRequest,
    order: Path<String>,
    body: Json<Refuse>,
) -> Answer {
    let pass = site
        .pass(&req, "POST /v1/node/jobs/{order}/non-delivery")
        .await?;
    let taken = site
        .app
        .take_refusal(&pass, &order, body.into_inner())
        .await;
    taken.map_err(|e| site.refuse(e))?;
    Ok(HttpResponse::Ok().json(json!({})))
}

/// `GET /v1/node/jobs/{order}/objects/{name}`: of an order that is opening.
pub async fn node_object(site: Data<Site>, req: HttpRequest, at: Path<(String, String)>) -> Answer {
    let pass = site
        .pass(&req, "GET /v1/node/jobs/{order}/objects/{name}")
        .await?;
    let work = async {
        let app = &site.app;
        let (order, _) = app.opening(&pass, &at.0).await?;
        let OrderState::Opening(_) = order.state else {
            return Err(DomainError::NotFound { what: "object" });
        };
        let missing = DomainError::NotFound { what: "object" };
        if at.1 == "public-key" {
            return app.objects.read(order.listing, "public-key").await;
        }
        let (kind, index) = match at.1.split_once('-') {
            Some(("ciphertext", i)) => (BlobKind::Ciphertext, i),
            Some(("envelope", i)) => (BlobKind::Envelope, i),
            _ => return Err(missing),
        };
        app.store
            .blob(order.id, kind, index.parse().map_err(|_| missing)?)
            .await
    };
    let bytes = work.await.map_err(|e| site.refuse(e))?;
    Ok(HttpResponse::Ok()
        .content_type("application/octet-stream")
        .body(bytes))
}
