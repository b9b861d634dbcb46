//! The web app (WEB-1, WEB-4): `index.html` at the paths that are pages, and
//! what lies in `assets/`. Everything else stays no route.

use crate::http::no_route;
use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::{self, ServiceConfig},
};
use veilbourse_web::{Asked, PAGES};

fn head(req: &HttpRequest, name: header::HeaderName) -> Option<&str> {
    req.headers().get(name)?.to_str().ok()
}

async fn serve(req: HttpRequest) -> HttpResponse {
    let asked = Asked {
        path: req.path(),
        query: req.query_string(),
        accept_encoding: head(&req, header::ACCEPT_ENCODING),
        if_none_match: head(&req, header::IF_NONE_MATCH),
    };
    let Some(found) = veilbourse_web::answer(&asked) else {
        return no_route(req).await;
    };
    let status = StatusCode::from_u16(found.status).unwrap_or(StatusCode::OK);
    let mut answer = HttpResponse::build(status);
    for (name, value) in found.headers {
        answer.insert_header((name, value));
    }
    // Of HEAD, actix leaves the body out and its length in.
    answer.body(found.body)
}

/// The routes `GET /`, `GET /{page}` and `GET /assets/{file}`.
pub(crate) fn routes(c: &mut ServiceConfig) {
    for path in PAGES.iter().copied().chain(["/assets/{file:.*}"]) {
        c.service(
            web::resource(path)
                .route(web::get().to(serve))
                .route(web::head().to(serve))
                .default_service(web::route().to(no_route)),
        );
    }
}
