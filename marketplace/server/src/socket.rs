//! The websocket of subscriptions (GQL-4, graphql-transport-ws): the token
//! comes in `connection_init`'s payload as `authorization`, and is looked at
//! again for each operation, each item, and every few seconds between.

use crate::{
    App,
    body::holder,
    http::Site,
    limits::Holding,
    service::Market,
    sessions::{Credential, agent},
};
use actix_web::{
    HttpRequest, HttpResponse,
    error::PayloadError,
    web::{self, Bytes, Data},
};
use async_graphql::{
    Data as SessionData, Executor, Pos, Request, Response,
    futures_util::stream::{self, BoxStream},
};
use async_graphql_actix_web::GraphQLSubscription;
use futures::{Stream, StreamExt};
use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Sleep, sleep},
};
use veilbourse_domain::{DomainError, Result, access::Viewer};
use veilbourse_graphql::{Caller, MarketSchema, Service, SubscriptionsOnly, to_graphql};

/// Most sockets at once.
pub(crate) const MAX_SOCKETS: usize = 1_024;
/// Most sockets of an account at once.
const MAX_ACCOUNT_SOCKETS: usize = 16;
/// Most operations of a socket at once.
const MAX_OPERATIONS: usize = 16;
/// Most bytes of a message, its fragments together.
const MAX_MESSAGE: u64 = 1 << 20;
/// `connection_init` must come within this time.
const INIT: Duration = Duration::from_secs(10);
/// How often the token is looked at while nothing happens.
const LOOK: Duration = Duration::from_secs(5);

/// What a socket's operations share.
struct Socket {
    app: Arc<App>,
    schema: MarketSchema,
    address: String,
    operations: Arc<Semaphore>,
    /// Set by `connection_init`, once.
    token: OnceLock<(Credential, Holding)>,
    /// The cookie of a page of ours, where one opened the socket (ACC-17).
    page: Credential,
    agent: String,
    _one_of_all: OwnedSemaphorePermit,
}

impl Socket {
    /// The viewer as of now: a session that ended, ends what it opened.
    async fn viewer(&self) -> Result<Viewer> {
        let (credential, _) = self.token.get().ok_or(DomainError::Unauthenticated)?;
        match self.app.viewer_of(credential).await? {
            Viewer::Anonymous => Err(DomainError::TokenInvalid {
                reason: "the session has ended",
            }),
            viewer => Ok(viewer),
        }
    }

    /// The viewer of a new operation, whose document may be a registered one.
    async fn admitted(&self, request: &mut Request) -> Result<Viewer> {
        let (credential, _) = self.token.get().ok_or(DomainError::Unauthenticated)?;
        if let Credential::Token(token) = credential {
            self.app.count_token(token).await?; // PAR-4
        }
        let viewer = self.viewer().await?;
        self.app.persisted(request, &viewer).await?;
        Ok(viewer)
    }

    fn refused(&self, e: &DomainError) -> Response {
        let error = to_graphql(e, |e| Market(self.app.clone()).reference(e));
        Response::from_errors(vec![error.into_server_error(Pos::default())])
    }

    async fn init(&self, payload: &serde_json::Value) -> Result<()> {
        let credential = match payload.get("authorization") {
            None => self.page.clone(),
            Some(t) => t
                .as_str()
                .and_then(|t| t.strip_prefix("Bearer "))
                .map(|t| Credential::Token(t.to_owned()))
                .ok_or(DomainError::Unauthenticated)?,
        };
        if let Credential::Token(token) = &credential {
            self.app.count_token(token).await?; // PAR-4
        }
        let viewer = self.app.viewer_of(&credential).await?;
        let who = holder(&viewer).ok_or(DomainError::Unauthenticated)?;
        let key = format!("socket:{who}");
        let held = self.app.held.take(&key, MAX_ACCOUNT_SOCKETS)?;
        // The library calls this once a socket.
        let _ = self.token.set((credential, held));
        Ok(())
    }
}

/// `GET /graphql`, upgraded.
pub(crate) async fn subscribe(
    site: Data<Site>,
    req: HttpRequest,
    payload: web::Payload,
) -> std::result::Result<HttpResponse, actix_web::Error> {
    let permit = site.sockets.clone().try_acquire_owned().map_err(|_| {
        site.refuse(DomainError::RateLimited {
            retry_after_seconds: 10,
        })
    })?;
    let socket = Arc::new(Socket {
        app: site.app.clone(),
        schema: site.schema.clone(),
        address: site.caller_address(&req),
        operations: Arc::new(Semaphore::new(MAX_OPERATIONS)),
        token: OnceLock::new(),
        page: match site.app.credential(&req) {
            page @ Credential::Cookie(_) => page,
            _ => Credential::Nobody,
        },
        agent: agent(&req),
        _one_of_all: permit,
    });
    let opened = socket.clone();
    GraphQLSubscription::new(Operations(socket.clone()))
        .on_connection_init(move |payload: serde_json::Value| async move {
            // The code alone: a close frame has room for little more.
            opened.init(&payload).await.map_err(|e| e.code())?;
            let mut data = SessionData::default();
            data.insert(SubscriptionsOnly);
            Ok(data)
        })
        .start(&req, Incoming::new(payload, socket))
}

/// Runs a socket's operations.
#[derive(Clone)]
struct Operations(Arc<Socket>);

/// One operation under way.
struct Running {
    socket: Arc<Socket>,
    stream: BoxStream<'static, Response>,
    over: bool,
    /// Changes when an API key was revoked: then the token is looked at at once.
    revocations: watch::Receiver<u64>,
    _permit: OwnedSemaphorePermit,
}

impl Running {
    async fn next(mut self) -> Option<(Response, Self)> {
        if self.over {
            return None;
        }
        let item = loop {
            tokio::select! {
                item = self.stream.next() => break Some(item?),
                () = sleep(LOOK) => {}
                Ok(()) = self.revocations.changed() => {} // PAR-5
            }
            if self.socket.viewer().await.is_err() {
                break None;
            }
        };
        let item = match (self.socket.viewer().await, item) {
            (Ok(_), Some(item)) => item,
            (Ok(_), None) => return None,
            (Err(e), _) => {
                self.over = true;
                self.socket.refused(&e)
            }
        };
        Some((item, self))
    }
}

impl Executor for Operations {
    async fn execute(&self, request: Request) -> Response {
        self.0.schema.execute(request).await
    }

    fn execute_stream(
        &self,
        request: Request,
        session: Option<Arc<SessionData>>,
    ) -> BoxStream<'static, Response> {
        let socket = self.0.clone();
        let Ok(permit) = socket.operations.clone().try_acquire_owned() else {
            let e = DomainError::TooLarge {
                field: "operations of a socket",
                limit: MAX_OPERATIONS as u64,
                value: MAX_OPERATIONS as u64 + 1,
            };
            let refused = socket.refused(&e);
            return stream::once(async { refused }).boxed();
        };
        stream::once(async move {
            let mut request = request;
            let viewer = match socket.admitted(&mut request).await {
                Ok(v) => v,
                Err(e) => {
                    let refused = socket.refused(&e);
                    return stream::once(async { refused }).boxed();
                }
            };
            let request = request.data(Caller {
                viewer: Ok(viewer),
                address: socket.address.clone(),
                // Sockets carry subscriptions alone.
                local: false,
                agent: socket.agent.clone(),
            });
            let stream = socket
                .schema
                .execute_stream_with_session_data(request, session.unwrap_or_default());
            let running = Running {
                revocations: socket.app.partners.revocations(),
                socket,
                stream,
                over: false,
                _permit: permit,
            };
            stream::unfold(running, Running::next).boxed()
        })
        .flatten()
        .boxed()
    }
}

/// Lengths of the frames that go by: the library puts the fragments of a
/// message together without a limit.
#[derive(Debug, Default)]
struct Frames {
    head: Vec<u8>,
    /// Bytes left of the present frame.
    left: u64,
    /// Bytes of the present message.
    message: u64,
}

impl Frames {
    /// Whether every message is within the limit so far.
    fn within(&mut self, mut bytes: &[u8]) -> bool {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let n = self.left.min(bytes.len() as u64);
                self.left -= n;
                bytes = bytes.get(n as usize..).unwrap_or_default();
                continue;
            }
            self.head.push(*first);
            bytes = rest;
            let Some((kind, length)) = Self::header(&self.head) else {
                continue;
            };
            self.head.clear();
            self.left = length;
            // Control frames come between the fragments of a message.
            if kind & 0x08 == 0 {
                self.message = self.message.saturating_add(length);
                if self.message > MAX_MESSAGE {
                    return false;
                }
                if kind & 0x80 != 0 {
                    self.message = 0;
                }
            }
        }
        true
    }

    /// First byte and payload length, once the header is whole (RFC 6455, 5.2).
    fn header(head: &[u8]) -> Option<(u8, u64)> {
        let (kind, second) = (*head.first()?, *head.get(1)?);
        let extra = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        if head.len() < 2 + extra + mask {
            return None;
        }
        let length = match extra {
            0 => u64::from(second & 0x7f),
            n => head
                .get(2..2 + n)?
                .iter()
                .fold(0, |v, b| (v << 8) | u64::from(*b)),
        };
        Some((kind, length))
    }
}

/// The socket's bytes: an error, which ends the socket, when a message is too
/// large or `connection_init` does not come.
struct Incoming {
    inner: web::Payload,
    socket: Arc<Socket>,
    frames: Frames,
    init: Pin<Box<Sleep>>,
}

impl Incoming {
    fn new(inner: web::Payload, socket: Arc<Socket>) -> Self {
        Self {
            inner,
            socket,
            frames: Frames::default(),
            init: Box::pin(sleep(INIT)),
        }
    }
}

impl Stream for Incoming {
    type Item = std::result::Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let waits = this.socket.token.get().is_none();
        if waits && this.init.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(PayloadError::Incomplete(None))));
        }
        match this.inner.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(bytes))) if !this.frames.within(&bytes) => {
                Poll::Ready(Some(Err(PayloadError::Overflow)))
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, length: u64) -> Vec<u8> {
        let mut out = vec![first];
        match length {
            0..=125 => out.push(0x80 | length as u8),
            126..=0xffff => {
                out.push(0x80 | 126);
                out.extend_from_slice(&(length as u16).to_be_bytes());
            }
            _ => {
                out.push(0x80 | 127);
                out.extend_from_slice(&length.to_be_bytes());
            }
        }
        out.extend_from_slice(&[0; 4]);
        out.extend(std::iter::repeat_n(0xff, length as usize));
        out
    }

    /// Whether the frames pass, in pieces of any size.
    fn pass(frames: &[Vec<u8>]) -> bool {
        let all = frames.concat();
        let answers = [1, 7, 4096, all.len()].map(|n| {
            let mut f = Frames::default();
            all.chunks(n).all(|piece| f.within(piece))
        });
        assert!(answers.iter().all(|a| *a == answers[0]), "{answers:?}");
        answers[0]
    }

    #[test]
    fn fragments_count_together() {
        // GQL-4
        let whole = |n| frame(0x81, n);
        assert!(pass(&[whole(MAX_MESSAGE), whole(5), whole(MAX_MESSAGE)]));
        assert!(!pass(&[whole(MAX_MESSAGE + 1)]));
        let part = |first| frame(first, 60_000);
        let mut many = vec![part(0x01)];
        many.extend((0..16).map(|_| part(0x00)));
        assert!(pass(&many), "17 fragments of 60,000 bytes fit");
        many.push(frame(0x89, 100)); // a ping between
        many.push(part(0x00));
        assert!(!pass(&many), "18 do not");
        assert!(pass(&vec![part(0x81); 40]), "messages count by themselves");
    }
}
