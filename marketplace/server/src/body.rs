//! Request bodies (GQL-1, UP-7): who may send one, how long, how fast. The
//! token is looked at before a byte of the body is.

use crate::{
    http::{Answer, HttpError, Site},
    limits::Holding,
};
use actix_web::{
    Error, HttpMessage, HttpRequest,
    body::MessageBody,
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::{JsonPayloadError, PayloadError},
    http::{Method, header},
    middleware::Next,
    web::{self, Bytes, Data},
};
use futures::{Stream, StreamExt};
use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};
use veilbourse_documents::{PIECE_BYTES, PIECE_OVERHEAD, api::MAX_DELIVER_BYTES};
use veilbourse_domain::{
    DomainError,
    access::{POLICY, Surface, Viewer},
};

/// Most bytes of a body unless another limit is named.
pub(crate) const MAX_PLAIN: usize = 1 << 20;
/// Most bytes of a GraphQL request that places an order or makes a listing, and
/// of an upload's piece.
pub(crate) const MAX_LARGE: usize = 8 << 20;
/// Most bytes of an output that a pod puts.
pub(crate) const MAX_OUTPUT: usize = 32 << 20;
/// Most bytes of a dealing's announcement.
pub(crate) const MAX_ANNOUNCEMENT: usize = 4 << 10;
/// Most bytes of a sealed piece of a dealing (DOC-14).
pub(crate) const MAX_PIECE: usize = PIECE_BYTES + PIECE_OVERHEAD;
/// Most bytes of what machines say about themselves.
const MAX_NOTICE: usize = 64 << 10;
/// Bodies over [`MAX_PLAIN`] that an account or machine sends at once.
pub(crate) const MAX_LARGE_AT_ONCE: usize = 8;
/// A body must go on within this time.
const IDLE: Duration = Duration::from_secs(15);
/// And be whole within this, and a second for each 64 KiB of its limit.
const WHOLE: Duration = Duration::from_secs(60);

/// The limit of a route by its pattern.
fn limit_of(pattern: Option<&str>) -> usize {
    match pattern {
        Some("/graphql" | "/v1/listings/{id}/objects/{name}") => MAX_LARGE,
        // ORD-8: no order is placed whose delivery is longer.
        Some("/v1/node/jobs/{order}/delivery") => MAX_DELIVER_BYTES,
        Some("/v1/pod/jobs/{order}/outputs/{index}") => MAX_OUTPUT,
        Some("/v1/listings/{id}/dealings/{dealing}/announcement") => MAX_ANNOUNCEMENT,
        Some("/v1/listings/{id}/dealings/{dealing}/{party}/{part}/{piece}") => MAX_PIECE,
        Some(
            "/v1/machines/token"
            | "/v1/unsubscribe"
            | "/v1/pod/lease"
            | "/v1/pod/jobs/{order}/heartbeat"
            | "/v1/pod/jobs/{order}/decline"
            | "/v1/node/dealings"
            | "/v1/node/tickets"
            | "/v1/node/lease",
        ) => MAX_NOTICE,
        _ => MAX_PLAIN,
    }
}

fn too_large(limit: usize, value: usize) -> DomainError {
    DomainError::TooLarge {
        field: "request body",
        limit: limit as u64,
        value: value as u64,
    }
}

pub(crate) fn declared(headers: &header::HeaderMap) -> Option<usize> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// Before every handler: the policy table by the headers, then a body that is
/// bounded in length and time.
pub(crate) async fn admit<B: MessageBody>(
    mut req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    if let Some(site) = req.app_data::<Data<Site>>().cloned() {
        let head = req.request().clone();
        site.count_key(&head).await?; // PAR-4
    }
    if matches!(*req.method(), Method::GET | Method::HEAD) {
        return next.call(req).await;
    }
    let pattern = req.match_pattern();
    let limit = limit_of(pattern.as_deref());
    if let (Some(site), Some(pattern)) = (req.app_data::<Data<Site>>().cloned(), pattern) {
        let route = format!("{} {pattern}", req.method());
        let known = POLICY
            .iter()
            .any(|(s, name, _)| *s == Surface::Http && *name == route);
        // GraphQL asks the table for each field.
        if known && pattern.starts_with("/v1/") {
            let head = req.request().clone();
            site.pass(&head, &route).await?;
        }
        if let Some(n) = declared(req.headers()).filter(|n| *n > limit) {
            return Err(site.refuse(too_large(limit, n)).into());
        }
    }
    let inner = req.take_payload();
    req.set_payload(Payload::Stream {
        payload: Box::pin(Bounded::new(inner, limit)),
    });
    next.call(req).await
}

/// A body of at most so many bytes that does not stand still.
struct Bounded {
    inner: Payload,
    left: usize,
    end: Instant,
    wait: Pin<Box<Sleep>>,
}

impl Bounded {
    fn new(inner: Payload, limit: usize) -> Self {
        let now = Instant::now();
        let seconds = (limit >> 16) as u64;
        Self {
            inner,
            left: limit,
            end: now + WHOLE + Duration::from_secs(seconds),
            wait: Box::pin(sleep_until(now + IDLE)),
        }
    }
}

impl Stream for Bounded {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        match this.inner.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(bytes))) => {
                let Some(left) = this.left.checked_sub(bytes.len()) else {
                    return Poll::Ready(Some(Err(PayloadError::Overflow)));
                };
                this.left = left;
                let next = this.end.min(Instant::now() + IDLE);
                this.wait.as_mut().reset(next);
                Poll::Ready(Some(Ok(bytes)))
            }
            Poll::Pending => match this.wait.as_mut().poll(cx) {
                Poll::Ready(()) => {
                    let e = std::io::Error::from(std::io::ErrorKind::TimedOut);
                    Poll::Ready(Some(Err(PayloadError::Incomplete(Some(e)))))
                }
                Poll::Pending => Poll::Pending,
            },
            other => other,
        }
    }
}

/// What the JSON extractor could not read.
pub(crate) fn json_refused(e: &JsonPayloadError, req: &HttpRequest) -> HttpError {
    let limit = limit_of(req.match_pattern().as_deref());
    let e = match e {
        JsonPayloadError::OverflowKnownLength { length, .. } => too_large(limit, *length),
        JsonPayloadError::Overflow { .. } | JsonPayloadError::Payload(PayloadError::Overflow) => {
            too_large(limit, limit.saturating_add(1))
        }
        e => DomainError::invalid("body", e.to_string()),
    };
    HttpError::of(e)
}

/// The name under which a viewer's open things are counted.
pub(crate) fn holder(viewer: &Viewer) -> Option<String> {
    match viewer {
        Viewer::Account { id, .. } => Some(id.to_string()),
        Viewer::Machine { id, .. } => Some(id.to_string()),
        Viewer::Anonymous => None,
    }
}

impl Site {
    /// Reads a body of at most `most` bytes; a large one counts for its sender.
    pub(crate) async fn body(
        &self,
        req: &HttpRequest,
        mut payload: web::Payload,
        most: usize,
        viewer: &Viewer,
    ) -> Answer<Vec<u8>> {
        if let Some(n) = declared(req.headers()).filter(|n| *n > most) {
            return Err(self.refuse(too_large(most, n)));
        }
        let mut held: Option<Holding> = None;
        let mut bytes = Vec::new();
        while let Some(part) = payload.next().await {
            let part = part.map_err(|e| match e {
                PayloadError::Overflow => self.refuse(too_large(most, most.saturating_add(1))),
                e => self.refuse(DomainError::invalid("body", e.to_string())),
            })?;
            let length = bytes.len().saturating_add(part.len());
            if length > most {
                return Err(self.refuse(too_large(most, length)));
            }
            if length > MAX_PLAIN && held.is_none() {
                let key = format!("body:{}", holder(viewer).unwrap_or_default());
                let taken = self.app.held.take(&key, MAX_LARGE_AT_ONCE);
                held = Some(taken.map_err(|e| self.refuse(e))?);
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes)
    }
}
