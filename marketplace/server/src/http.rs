//! Routes and what they share: viewer, errors, limits. Every handler asks the
//! policy table by the route's own text (ACC-1).

use crate::{App, machines, service::Market, uploads};
use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    http::{StatusCode, header},
    web::{self, Bytes, Data, Path, ServiceConfig},
};
use async_graphql::Data as SessionData;
use async_graphql_actix_web::GraphQLSubscription;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::{fmt, sync::Arc, sync::OnceLock};
use veilbourse_documents::api::ErrorAnswer;
use veilbourse_domain::{
    DomainError,
    access::{Pass, Surface, authorize},
    id::OrderId,
    records::BlobKind,
};
use veilbourse_graphql::{Caller, MarketSchema};

/// Most bytes of a GraphQL request (GQL-1).
const MAX_REQUEST: usize = 1 << 20;
/// Most bytes of one that places an order or makes a listing.
const MAX_LARGE_REQUEST: usize = 8 << 20;
/// Most bytes of any other body: an upload's piece, a pod's output.
const MAX_BODY: usize = 32 << 20;
/// The code of a path that no route has.
pub const NO_ROUTE: &str = "NO_ROUTE";

/// A refusal as HTTP answers it.
#[derive(Debug)]
pub struct HttpError(pub DomainError, String);

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
}

impl Site {
    /// Over an application.
    pub fn new(app: Arc<App>) -> Self {
        let schema = veilbourse_graphql::schema(Arc::new(Market(app.clone())));
        Self { app, schema }
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

    pub(crate) fn caller_address(req: &HttpRequest) -> String {
        req.peer_addr()
            .map_or_else(|| "unknown".into(), |a| a.ip().to_string())
    }

    async fn caller(&self, req: &HttpRequest) -> Caller {
        Caller {
            viewer: self.app.viewer(bearer(req)).await,
            address: Self::caller_address(req),
        }
    }

    /// ACC-1 for a route.
    pub(crate) async fn pass(&self, req: &HttpRequest, route: &str) -> Answer<Pass> {
        let viewer = self
            .app
            .viewer(bearer(req))
            .await
            .map_err(|e| self.refuse(e))?;
        authorize(Surface::Http, route, &viewer).map_err(|e| self.refuse(e))
    }
}

fn bearer(req: &HttpRequest) -> Option<&str> {
    req.headers()
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Bearer ")
}

async fn graphql(site: Data<Site>, req: HttpRequest, body: Bytes) -> Answer {
    let invalid = |reason: String| site.refuse(DomainError::invalid("request", reason));
    let large = |limit: usize| {
        site.refuse(DomainError::TooLarge {
            field: "request body",
            limit: limit as u64,
            value: body.len() as u64,
        })
    };
    if body.len() > MAX_LARGE_REQUEST {
        return Err(large(MAX_LARGE_REQUEST));
    }
    let request: async_graphql::Request =
        serde_json::from_slice(&body).map_err(|e| invalid(e.to_string()))?;
    let may_be_large = ["placeOrder", "createListing"]
        .iter()
        .any(|m| request.query.contains(m));
    if body.len() > MAX_REQUEST && !may_be_large {
        return Err(large(MAX_REQUEST));
    }
    let request = request.data(site.caller(&req).await);
    let response = site.schema.execute(request).await;
    // ACC-5: what is limited is 429 here too, with the wait.
    let limited = response.errors.iter().find_map(|e| {
        let x = e.extensions.as_ref()?;
        let code = x.get("code")?.clone().into_json().ok()?;
        let wait = x.get("retryAfterSeconds")?.clone().into_json().ok()?;
        (code == "RATE_LIMITED").then(|| wait.as_str().unwrap_or("1").to_owned())
    });
    let mut answer = match &limited {
        Some(_) => HttpResponse::TooManyRequests(),
        None => HttpResponse::Ok(),
    };
    if let Some(wait) = limited {
        answer.insert_header((header::RETRY_AFTER, wait));
    }
    Ok(answer.json(response))
}

/// The websocket of subscriptions (graphql-transport-ws): the token comes in
/// `connection_init`'s payload as `authorization`.
async fn subscribe(
    site: Data<Site>,
    req: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, actix_web::Error> {
    let app = site.app.clone();
    let address = Site::caller_address(&req);
    GraphQLSubscription::new(site.schema.clone())
        .on_connection_init(move |init: serde_json::Value| async move {
            let token = init
                .get("authorization")
                .and_then(|t| t.as_str())
                .and_then(|t| t.strip_prefix("Bearer "));
            let mut data = SessionData::default();
            data.insert(Caller {
                viewer: app.viewer(token).await,
                address,
            });
            Ok(data)
        })
        .start(&req, payload)
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

fn recorder() -> &'static PrometheusHandle {
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

async fn no_route(req: HttpRequest) -> HttpResponse {
    HttpResponse::NotFound().json(ErrorAnswer {
        code: NO_ROUTE.into(),
        message: format!("{} {} is no route", req.method(), req.path()),
    })
}

/// Every route.
pub fn routes(c: &mut ServiceConfig) {
    let _ = recorder();
    c.app_data(web::PayloadConfig::new(MAX_BODY))
        .app_data(
            web::JsonConfig::default()
                .limit(MAX_BODY)
                .error_handler(|e, _| {
                    HttpError(DomainError::invalid("body", e.to_string()), String::new()).into()
                }),
        )
        .service(
            web::resource("/graphql")
                .route(web::post().to(graphql))
                .route(web::get().to(subscribe)),
        )
        .route("/graphql/sdl", web::get().to(sdl))
        .route("/healthz", web::get().to(healthy))
        .route("/readyz", web::get().to(ready))
        .route("/metrics", web::get().to(prometheus))
        .service(
            web::resource("/v1/listings/{id}/objects/{name}")
                .route(web::head().to(uploads::head))
                .route(web::patch().to(uploads::patch))
                .route(web::get().to(uploads::get)),
        )
        .route("/v1/orders/{id}/receipt", web::get().to(receipt))
        .route("/v1/orders/{id}/result", web::get().to(result))
        .route("/v1/verifying-keys/{digest}", web::get().to(verifying_key))
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
        .route("/v1/node/lease", web::post().to(machines::node_lease))
        .route(
            "/v1/node/jobs/{order}/delivery",
            web::post().to(machines::node_delivery),
        )
        .route(
            "/v1/node/jobs/{order}/non-delivery",
            web::post().to(machines::node_refusal),
        )
        .route(
            "/v1/node/jobs/{order}/objects/{name}",
            web::get().to(machines::node_object),
        )
        .default_service(web::route().to(no_route));
}
