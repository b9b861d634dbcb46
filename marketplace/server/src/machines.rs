//! What pods ask (POD-1..3): leases, parts, results; and the tokens of machines.

use crate::{
    App,
    convert::{id, refused, stored},
    http::{Answer, Site},
    limits::Kind as LimitKind,
};
use actix_web::{
    HttpRequest, HttpResponse,
    web::{Bytes, Data, Json, Path},
};
use serde_json::json;
use veilbourse_core::{
    ciphertext::OutputCiphertext,
    manifest::Manifest,
    program::{Program, Weights},
    wire::Reader,
};
use veilbourse_documents::{
    Chain, Nonce, Policy, Quote, Signed,
    api::{Decline, Heartbeat, PodJob, Submit, TokenRequest},
};
use veilbourse_domain::{
    DomainError, Result,
    access::{Pass, Viewer},
    id::{LeaseToken, MachineId, OrderId},
    order::Order,
    records::{BlobKind, SubmittedOutput},
};
use veilbourse_verifier::{
    Envelope, Kind,
    linear::{Matrix, Visibility, linear_body_limit},
};

pub(crate) fn machine_id(pass: &Pass) -> Result<MachineId> {
    match pass.viewer() {
        Viewer::Machine { id, .. } => Ok(*id),
        _ => Err(DomainError::Unauthenticated),
    }
}

/// `POST /v1/machines/token`.
pub async fn token(site: Data<Site>, req: HttpRequest, login: Json<TokenRequest>) -> Answer {
    let address = site.caller_address(&req);
    let t = site
        .app
        .machine_token(&address, &login)
        .await
        .map_err(|e| site.refuse(e))?;
    Ok(HttpResponse::Ok().json(t))
}

impl App {
    pub(crate) async fn documents(&self, order: &Order) -> Result<(Signed<Policy>, Signed<Quote>)> {
        let signed = self.signed_order(order.id).await?;
        let quote = self.store.quote(signed.body.quote).await?.signed.text;
        let policy = self
            .store
            .policy(order.listing, order.terms.policy_version)
            .await?
            .text;
        Ok((
            Signed::parse(policy.as_bytes()).map_err(|e| refused(&e))?,
            Signed::parse(quote.as_bytes()).map_err(|e| refused(&e))?,
        ))
    }

    async fn pod_job(&self, order: &Order) -> Result<PodJob> {
        let lease = order.state.lease().ok_or(DomainError::StaleLease)?;
        let (policy, quote) = self.documents(order).await?;
        Ok(PodJob {
            order_id: id(order.id)?,
            lease: Nonce(lease.token.0),
            lease_end: lease.end,
            manifest: (*self.manifest(order.listing).await?).clone(),
            policy,
            quote,
            order: self.signed_order(order.id).await?,
        })
    }

    /// The order, if the pod holds its lease; not found otherwise (ACC-6).
    async fn leased(&self, pass: &Pass, order: &str) -> Result<(Order, MachineId)> {
        let (order, pod) = self.own_job(pass, order).await?;
        match order.state.lease() {
            Some(l) if l.holder == pod => Ok((order, pod)),
            _ => Err(DomainError::StaleLease),
        }
    }

    /// The order, if it is quoted to this pod; not found otherwise (ACC-6).
    async fn own_job(&self, pass: &Pass, order: &str) -> Result<(Order, MachineId)> {
        let pod = machine_id(pass)?;
        let order = self.store.order(order.parse()?).await?;
        if order.terms.pod != pod {
            return Err(DomainError::NotFound { what: "order" });
        }
        Ok((order, pod))
    }

    async fn take_submission(&self, pass: &Pass, order: &str, body: Submit) -> Result<()> {
        let (order, pod) = self.own_job(pass, order).await?;
        let lease = LeaseToken(body.lease.0);
        let signed = self.signed_order(order.id).await?;
        let (policy, quote) = self.documents(&order).await?;
        let chain = Chain {
            marketplace: &self.key,
            policy: &policy,
            quote: &quote,
            order: &signed,
        };
        chain
            .check_submission(&body.submission)
            .map_err(|e| refused(&e))?;
        let outputs = u32::try_from(body.submission.body.outputs.len()).unwrap_or(u32::MAX);
        let submission = stored(&body.submission)?;
        self.store
            .submit(order.id, pod, lease, submission, outputs, self.now())
            .await?;
        self.changed(order.id);
        self.settle.notify_one();
        Ok(())
    }
}

/// Most bytes that the order's output can have as ciphertext and envelope.
fn output_limits(manifest: &Manifest, program: &Program, index: u32) -> Option<(u64, u64)> {
    let output = program.outputs.get(index as usize)?;
    let matrix = Matrix::of(manifest, output.over)?;
    // Only which of the two it is bears on the length.
    let visibility = match program.vectors.get(output.vector as usize)?.weights {
        Weights::Public { .. } => Visibility::Public {
            weights: Vec::new(),
        },
        Weights::Private { commitment, .. } => Visibility::Private {
            commitment,
            l1_bound: 0,
            l2_bound: 0,
            srs: commitment,
            verifying_key: commitment,
        },
    };
    let empty = Envelope {
        kind: Kind::Linear,
        statement: program.dataset,
        body: Vec::new(),
    };
    let envelope = empty.encode().len() as u64 + linear_body_limit(&visibility, &matrix);
    Some((OutputCiphertext::MAX_LEN, envelope))
}

/// `length ciphertext length envelope`, nothing after; each within its limit.
fn split_output(bytes: &[u8], limits: (u64, u64)) -> Result<SubmittedOutput> {
    let refuse =
        |e: veilbourse_core::wire::WireError| DomainError::invalid("output", e.to_string());
    let mut r = Reader::new(bytes);
    let mut part = |field: &'static str, limit: u64| {
        let found = r.bytes(field, u32::MAX).map_err(refuse)?;
        if found.len() as u64 > limit {
            return Err(DomainError::TooLarge {
                field,
                limit,
                value: found.len() as u64,
            });
        }
        Ok(found.to_vec())
    };
    let ciphertext = part("output.ciphertext", limits.0)?;
    let envelope = part("output.envelope", limits.1)?;
    r.finish("output").map_err(refuse)?;
    Ok(SubmittedOutput {
        ciphertext,
        envelope,
    })
}

/// `POST /v1/pod/lease`.
pub async fn pod_lease(site: Data<Site>, req: HttpRequest) -> Answer {
    let pass = site.pass(&req, "POST /v1/pod/lease").await?;
    let work = async {
        let app = &site.app;
        let (token, pod) = (LeaseToken(app.random()), machine_id(&pass)?);
        app.partners.hear_pod(pod, app.now()); // PAR-14
        let order = app.store.lease_evaluation(pod, token, app.now()).await?;
        match order {
            None => Ok(None),
            Some(order) => {
                app.changed(order.id);
                app.pod_job(&order).await.map(Some)
            }
        }
    };
    Ok(match work.await.map_err(|e| site.refuse(e))? {
        Some(job) => HttpResponse::Ok().json(job),
        None => HttpResponse::NoContent().finish(),
    })
}

/// `POST /v1/pod/jobs/{order}/heartbeat`.
pub async fn pod_heartbeat(
    site: Data<Site>,
    req: HttpRequest,
    order: Path<String>,
    beat: Json<Heartbeat>,
) -> Answer {
    let pass = site
        .pass(&req, "POST /v1/pod/jobs/{order}/heartbeat")
        .await?;
    let work = async {
        let app = &site.app;
        let order: OrderId = order.parse()?;
        let lease = LeaseToken(beat.lease.0);
        let pod = machine_id(&pass)?;
        app.partners.hear_pod(pod, app.now());
        let lease = app
            .store
            .heartbeat(order, pod, lease, &beat.stage, beat.progress, app.now())
            .await?;
        app.changed(order);
        Ok(lease.end)
    };
    let end = work.await.map_err(|e| site.refuse(e))?;
    Ok(HttpResponse::Ok().json(json!({ "lease_end": end.to_string() })))
}

/// `POST /v1/pod/jobs/{order}/decline`.
pub async fn pod_decline(
    site: Data<Site>,
    req: HttpRequest,
    order: Path<String>,
    body: Json<Decline>,
) -> Answer {
    let pass = site.pass(&req, "POST /v1/pod/jobs/{order}/decline").await?;
    let work = async {
        let app = &site.app;
        let order: OrderId = order.parse()?;
        let mut why = body.reason.clone();
        why.truncate(why.floor_char_boundary(1000));
        let lease = LeaseToken(body.lease.0);
        app.store
            .decline(order, machine_id(&pass)?, lease, &why, app.now())
            .await?;
        app.changed(order);
        Ok(())
    };
    work.await.map_err(|e| site.refuse(e))?;
    Ok(HttpResponse::Ok().json(json!({})))
}

/// `PUT /v1/pod/jobs/{order}/outputs/{index}`: under the current lease alone.
pub async fn pod_output(
    site: Data<Site>,
    req: HttpRequest,
    at: Path<(String, u32)>,
    body: Bytes,
) -> Answer {
    let pass = site
        .pass(&req, "PUT /v1/pod/jobs/{order}/outputs/{index}")
        .await?;
    let work = async {
        let app = &site.app;
        let (order, pod) = app.leased(&pass, &at.0).await?;
        // ACC-5: each is written to the database.
        app.limits.take(LimitKind::Upload, &format!("pod {pod}"))?;
        let lease = req
            .headers()
            .get("lease")
            .and_then(|v| v.to_str().ok())
            .and_then(Nonce::from_hex)
            .ok_or_else(|| DomainError::invalid("lease", "the header is missing"))?;
        let lease = LeaseToken(lease.0);
        order
            .state
            .lease()
            .ok_or(DomainError::StaleLease)?
            .check(pod, lease, app.now())?;
        let signed = app.signed_order(order.id).await?;
        let limit = signed.body.program.outputs.len() as u64;
        if u64::from(at.1) >= limit {
            return Err(DomainError::TooLarge {
                field: "output index",
                limit: limit.saturating_sub(1),
                value: u64::from(at.1),
            });
        }
        let manifest = app.manifest(order.listing).await?;
        let limits = output_limits(&manifest, &signed.body.program, at.1)
            .ok_or(DomainError::NotFound { what: "output" })?;
        let output = split_output(&body, limits)?;
        app.store
            .put_output(order.id, pod, lease, at.1, output, app.now())
            .await
    };
    work.await.map_err(|e| site.refuse(e))?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /v1/pod/jobs/{order}/submission`.
pub async fn pod_submission(
    site: Data<Site>,
    req: HttpRequest,
    order: Path<String>,
    body: Json<Submit>,
) -> Answer {
    let pass = site
        .pass(&req, "POST /v1/pod/jobs/{order}/submission")
        .await?;
    let taken = site
        .app
        .take_submission(&pass, &order, body.into_inner())
        .await;
    taken.map_err(|e| site.refuse(e))?;
    Ok(HttpResponse::Ok().json(json!({})))
}

/// `GET /v1/pod/jobs/{order}/objects/{name}`.
pub async fn pod_object(site: Data<Site>, req: HttpRequest, at: Path<(String, String)>) -> Answer {
    let pass = site
        .pass(&req, "GET /v1/pod/jobs/{order}/objects/{name}")
        .await?;
    let work = async {
        let app = &site.app;
        let (order, _) = app.leased(&pass, &at.0).await?;
        match at.1.as_str() {
            "sealed-model" => app.store.blob(order.id, BlobKind::SealedModel, 0).await,
            name if name == "public-key" || name == "sums" || name.starts_with("chunk-") => {
                app.store.object(order.listing, name).await?;
                app.objects.read(order.listing, name).await
            }
            _ => Err(DomainError::NotFound { what: "object" }),
        }
    };
    let bytes = work.await.map_err(|e| site.refuse(e))?;
    Ok(HttpResponse::Ok()
        .content_type("application/octet-stream")
        .body(bytes))
}
