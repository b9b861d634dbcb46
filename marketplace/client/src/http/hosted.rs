//! Requests that a page carries: `fetch` with the session's cookie.

#[cfg(target_family = "wasm")]
use super::Failure;
use super::{Answer, Request};
use std::{cell::RefCell, future::Future, pin::Pin, rc::Rc};
use thiserror::Error;

/// What a page's request fails with.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("{0}")]
pub struct HostedError(pub String);

/// On this target, what a connection fails with.
#[cfg(target_family = "wasm")]
pub type TransportError = HostedError;

/// An answer to come; of one thread.
pub type Coming = Pin<Box<dyn Future<Output = Result<Answer, HostedFailure>>>>;

/// Why a page has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostedFailure {
    /// Too late.
    Timeout,
    /// More bytes than the limit.
    TooLarge {
        /// The limit.
        limit: u64,
        /// Announced, or read so far.
        value: u64,
    },
    /// No connection, or it broke.
    Broken(String),
}

/// What a page lends.
pub trait Web {
    /// Sends a request; the answer's body within its limit.
    fn send(&self, request: Request) -> Coming;
}

thread_local! {
    static WEB: RefCell<Option<Rc<dyn Web>>> = const { RefCell::new(None) };
}

/// From now on, requests go through the page.
pub fn lend(web: Rc<dyn Web>) {
    WEB.with(|w| *w.borrow_mut() = Some(web));
}

/// The page's `fetch`.
#[cfg(target_family = "wasm")]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Transport;

#[cfg(target_family = "wasm")]
impl Transport {
    pub(super) async fn send(&self, request: Request) -> Result<Answer, Failure> {
        let web = WEB.with(|w| w.borrow().clone());
        let sent = match web {
            Some(web) => web.send(request).await,
            None => Err(HostedFailure::Broken("no page carries requests".into())),
        };
        sent.map_err(|e| match e {
            HostedFailure::Timeout => Failure::Timeout,
            HostedFailure::TooLarge { limit, value } => Failure::TooLarge { limit, value },
            HostedFailure::Broken(why) => Failure::Transport(HostedError(why)),
        })
    }
}
