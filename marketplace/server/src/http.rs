//! Routes and what they share: viewer, errors, limits. Every handler asks the
//! policy table by the route's own text (ACC-1).

use crate::{
    App,
    body::{MAX_LARGE, MAX_OUTPUT, MAX_PLAIN, declared, json_refused},
    dealings, exports, letters, machines, nodes,
    requests::Once,
    service::Market,
    sessions, site,
    socket::{self, MAX_SOCKETS},
    uploads,
};
use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    http::{StatusCode, header},
    web::{self, Data, Path, ServiceConfig},
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, OnceLock},
};
use tokio::sync::Semaphore;
use veilbourse_documents::api::ErrorAnswer;
use veilbourse_domain::{
    DomainError,
    access::{Pass, Surface, Viewer, authorize},
    id::OrderId,
    records::BlobKind,
};
use veilbourse_graphql::{Caller, MarketSchema, may_be_large};

/// The code of a path that no route has.
pub const NO_ROUTE: &str = "NO_ROUTE";

/// A refusal as HTTP answers it.
#[derive(Debug)]
pub struct HttpError(pub DomainError, String);

impl HttpError {
    /// One that is not internal: nothing of it goes to the log.
    pub(crate) fn of(e: DomainError) -> Self {
        Self(e, String::new())
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ResponseError for HttpError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
    fn error_response(&self) -> HttpResponse {
        let message = if self.0.is_internal() {
            format!("internal error (reference {})", self.1)
        } else {
            self.0.to_string()
        };
        let mut r = HttpResponse::build(self.status_code());
        if let DomainError::RateLimited {
            retry_after_seconds,
        }
        | DomainError::QueueFull {
            retry_after_seconds,
            ..
        } = &self.0
        {
            r.insert_header((header::RETRY_AFTER, retry_after_seconds.to_string()));
        }
        r.json(ErrorAnswer {
            code: self.0.code().into(),
            message,
        })
    }
}

/// Result of a handler.
pub type Answer<T = HttpResponse> = Result<T, HttpError>;

/// The application and its schema, as every handler gets them.
pub struct Site {
    pub(crate) app: Arc<App>,
    pub(crate) schema: MarketSchema,
    /// Websockets that may still open.
    pub(crate) sockets: Arc<Semaphore>,
}

impl Site {
    /// Over an application.
    pub fn new(app: Arc<App>) -> Self {
        let schema = veilbourse_graphql::schema(Arc::new(Market(app.clone())));
        Self {
            app,
            schema,
            sockets: Arc::new(Semaphore::new(MAX_SOCKETS)),
        }
    }

    /// Logs what is internal and hides it (GQL-2).
    pub(crate) fn refuse(&self, e: DomainError) -> HttpError {
        let reference = if e.is_internal() {
            let r = hex::encode(self.app.random::<6>());
            tracing::error!(reference = r, error = ?e, "internal error");
            r
        } else {
            String::new()
        };
        HttpError(e, reference)
    }

    /// Who asks: whoever connects, or what a proxy of the operator's says of it
    /// (ACC-5).
    pub(crate) fn caller_address(&self, req: &HttpRequest) -> String {
        let Some(peer) = req.peer_addr().map(|a| a.ip().to_canonical()) else {
            return "unknown".into();
        };
        let proxies = &self.app.config.trusted_proxies;
        let said = req.headers().get_all("x-forwarded-for");
        let said = said.flat_map(|h| h.to_str().unwrap_or("?").split(','));
        let said: Vec<&str> = said.map(str::trim).collect();
        // Each proxy adds who connected to it at the end; what is before the last
        // one of ours is the client's own word.
        let mut caller = peer;
        for next in said.into_iter().rev() {
            if !proxies.contains(&caller) {
                break;
            }
            match next.parse::<IpAddr>() {
                Ok(a) => caller = a.to_canonical(),
                Err(_) => break,
            }
        }
        caller.to_string()
    }

    async fn caller(&self, req: &HttpRequest) -> Caller {
        Caller {
            viewer: self.viewer(req).await,
            address: self.caller_address(req),
            local: letters::is_local(req),
            agent: sessions::agent(req),
        }
    }

    /// Who asks: by token, or by the cookie of a page of ours (ACC-17).
    pub(crate) async fn viewer(&self, req: &HttpRequest) -> Result<Viewer, DomainError> {
        let viewer = self.app.viewer_of(&self.app.credential(req)).await?;
        self.app.note_seen(&viewer, &self.caller_address(req)).await;
        Ok(viewer)
    }

    /// ACC-1 for a route.
    pub(crate) async fn pass(&self, req: &HttpRequest, route: &str) -> Answer<Pass> {
        let viewer = self.viewer(req).await.map_err(|e| self.refuse(e))?;
        authorize(Surface::Http, route, &viewer).map_err(|e| self.refuse(e))
    }
}

pub(crate) fn bearer(req: &HttpRequest) -> Option<&str> {
    req.headers()
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Bearer ")
}

async fn graphql(site: Data<Site>, req: HttpRequest, payload: web::Payload) -> Answer {
    let caller = site.caller(&req).await;
    // Who is unknown sends little; nothing large is public.
    let most = match &caller.viewer {
        Ok(Viewer::Account { .. }) => MAX_LARGE,
        Err(e) if declared(req.headers()).is_some_and(|n| n > MAX_PLAIN) => {
            return Err(site.refuse(e.clone()));
        }
        _ => MAX_PLAIN,
    };
    let viewer = caller.viewer.clone().unwrap_or(Viewer::Anonymous);
    let body = site.body(&req, payload, most, &viewer).await?;
    let mut request: async_graphql::Request = serde_json::from_slice(&body)
        .map_err(|e| site.refuse(DomainError::invalid("request", e.to_string())))?;
    let once = match Once::of(&req, &body) {
        Ok(once) => once,
        Err(e) => return Ok(site.graphql_refusal(&e)),
    };
    if let Err(e) = site.app.persisted(&mut request, &viewer).await {
        return Ok(site.graphql_refusal(&e));
    }
    if body.len() > MAX_PLAIN && !may_be_large(&mut request) {
        return Err(site.refuse(DomainError::TooLarge {
            field: "request body",
            limit: MAX_PLAIN as u64,
            value: body.len() as u64,
        }));
    }
    drop(body);
    Ok(site.answer(request, caller, once).await)
}

async fn federation_sdl() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body(veilbourse_graphql::federation_sdl())
}

async fn sdl() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body(veilbourse_graphql::sdl())
}

async fn healthy() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "status": "ok" }))
}

async fn ready(site: Data<Site>) -> Answer {
    let page = veilbourse_domain::records::PageRequest::new(1, None).map_err(|e| site.refuse(e))?;
    site.app
        .store
        .audit(&page)
        .await
        .map_err(|e| site.refuse(e))?;
    Ok(HttpResponse::Ok().json(serde_json::json!({ "status": "ready" })))
}

/// What the process counts, from the first call on; the text of `/metrics`.
pub fn recorder() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        // One recorder a process; a second server of a test shares it.
        let _ = metrics::set_global_recorder(recorder);
        handle
    })
}

async fn prometheus() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4")
        .body(recorder().render())
}

async fn verifying_key(site: Data<Site>, digest: Path<String>) -> Answer {
    use veilbourse_verifier::linear::PrivateArgument;
    let found = site
        .app
        .circuits
        .iter()
        .find(|c| c.digest().to_string() == *digest);
    match found {
        Some(c) => Ok(HttpResponse::Ok()
            .content_type("application/octet-stream")
            .body(c.encode())),
        None => Err(site.refuse(DomainError::NotFound {
            what: "verifying key",
        })),
    }
}

/// The buyer's own order, or staff's look.
async fn buyers_order(site: &Site, req: &HttpRequest, route: &str, id: &str) -> Answer<OrderId> {
    let pass = site.pass(req, route).await?;
    let id: OrderId = id.parse().map_err(|e| site.refuse(e))?;
    let order = site.app.store.order(id).await.map_err(|e| site.refuse(e))?;
    pass.sees("order", &[order.buyer])
        .map_err(|e| site.refuse(e))?;
    Ok(id)
}

async fn receipt(site: Data<Site>, req: HttpRequest, id: Path<String>) -> Answer {
    let id = buyers_order(&site, &req, "GET /v1/orders/{id}/receipt", &id).await?;
    let text = site.app.receipt(id).await.map_err(|e| site.refuse(e))?.text;
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .body(text))
}

async fn result(site: Data<Site>, req: HttpRequest, id: Path<String>) -> Answer {
    let id = buyers_order(&site, &req, "GET /v1/orders/{id}/result", &id).await?;
    let sealed = site
        .app
        .store
        .blob(id, BlobKind::SealedResult, 0)
        .await
        .map_err(|e| site.refuse(e))?;
    Ok(HttpResponse::Ok()
        .content_type("application/octet-stream")
        .body(sealed))
}

fn binary(bytes: Vec<u8>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/octet-stream")
        .body(bytes)
}

async fn masked(site: Data<Site>, req: HttpRequest, id: Path<String>) -> Answer {
    let id = buyers_order(&site, &req, "GET /v1/orders/{id}/masked", &id).await?;
    let found = site.app.store.masked(id).await;
    found.map(binary).map_err(|e| site.refuse(e))
}

async fn masks(site: Data<Site>, req: HttpRequest, at: Path<(String, u8)>) -> Answer {
    let id = buyers_order(&site, &req, "GET /v1/orders/{id}/masks/{node}", &at.0).await?;
    let found = site.app.store.sealed_masks(id, at.1).await;
    found.map(binary).map_err(|e| site.refuse(e))
}

pub(crate) async fn no_route(req: HttpRequest) -> HttpResponse {
    HttpResponse::NotFound().json(ErrorAnswer {
        code: NO_ROUTE.into(),
        message: format!("{} {} is no route", req.method(), req.path()),
    })
}

/// Every route.
pub fn routes(c: &mut ServiceConfig) {
    let _ = recorder();
    // Each route's own limit is set before its handler (`body::admit`).
    c.app_data(web::PayloadConfig::new(MAX_OUTPUT))
        .app_data(
            web::JsonConfig::default()
                .limit(MAX_OUTPUT)
                .error_handler(|e, req| json_refused(&e, req).into()),
        )
        .service(
            web::resource("/graphql")
                .route(web::post().to(graphql))
                .route(web::get().to(socket::subscribe)),
        )
        .route("/graphql/sdl", web::get().to(sdl))
        .route("/graphql/federation-sdl", web::get().to(federation_sdl))
        .route("/healthz", web::get().to(healthy))
        .route("/readyz", web::get().to(ready))
        .route("/metrics", web::get().to(prometheus))
        .service(
            web::resource("/v1/session")
                .route(web::post().to(sessions::open))
                .route(web::delete().to(sessions::close)),
        )
        .route("/v1/exports/ledger.csv", web::get().to(exports::ledger))
        .route("/v1/exports/audit.jsonl", web::get().to(exports::audit))
        .route("/v1/exports/orders.csv", web::get().to(exports::orders))
        .service(
            web::resource("/v1/listings/{id}/objects/{name}")
                .route(web::head().to(uploads::head))
                .route(web::patch().to(uploads::patch))
                .route(web::get().to(uploads::get)),
        )
        .route("/v1/orders/{id}/receipt", web::get().to(receipt))
        .route("/v1/orders/{id}/result", web::get().to(result))
        .route("/v1/orders/{id}/masked", web::get().to(masked))
        .route("/v1/orders/{id}/masks/{node}", web::get().to(masks))
        .route("/v1/listings/{id}/dealings", web::get().to(dealings::held))
        .route(
            "/v1/listings/{id}/dealings/{dealing}/announcement",
            web::put().to(dealings::announce),
        )
        .route(
            "/v1/listings/{id}/dealings/{dealing}/{party}/{part}/{piece}",
            web::put().to(dealings::put_piece),
        )
        .route("/v1/node/dealings", web::post().to(dealings::asked))
        .route(
            "/v1/node/dealings/{dealing}/{part}/{piece}",
            web::get().to(dealings::get_piece),
        )
        .route(
            "/v1/node/dealings/{dealing}",
            web::post().to(dealings::answer),
        )
        .route("/v1/node/tickets", web::post().to(dealings::spent))
        .route("/v1/verifying-keys/{digest}", web::get().to(verifying_key))
        .route(
            "/v1/mails/{id}/preview.{format}",
            web::get().to(letters::preview),
        )
        .route("/v1/unsubscribe", web::post().to(letters::one_click))
        .route("/v1/machines/token", web::post().to(machines::token))
        .route("/v1/pod/lease", web::post().to(machines::pod_lease))
        .route(
            "/v1/pod/jobs/{order}/heartbeat",
            web::post().to(machines::pod_heartbeat),
        )
        .route(
            "/v1/pod/jobs/{order}/decline",
            web::post().to(machines::pod_decline),
        )
        .route(
            "/v1/pod/jobs/{order}/outputs/{index}",
            web::put().to(machines::pod_output),
        )
        .route(
            "/v1/pod/jobs/{order}/submission",
            web::post().to(machines::pod_submission),
        )
        .route(
            "/v1/pod/jobs/{order}/objects/{name}",
            web::get().to(machines::pod_object),
        )
        .route("/v1/node/lease", web::post().to(nodes::node_lease))
        .route(
            "/v1/node/jobs/{order}/delivery",
            web::post().to(nodes::node_delivery),
        )
        .route(
            "/v1/node/jobs/{order}/non-delivery",
            web::post().to(nodes::node_refusal),
        )
        .route(
            "/v1/node/jobs/{order}/objects/{name}",
            web::get().to(nodes::node_object),
        )
        .configure(site::routes)
        .default_service(web::route().to(no_route));
}
