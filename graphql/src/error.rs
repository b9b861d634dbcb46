//! Refusals as GraphQL errors: stable code, HTTP status, field and limit where
//! they apply; nothing internal reaches a client (GQL-2).

use async_graphql::{Error, ErrorExtensions};
use veilbourse_domain::DomainError;

/// The extension that holds the stable code.
pub const EXTENSION_CODE: &str = "code";

/// A refusal as the client sees it. `reference` names the log entry of an
/// internal error.
pub fn to_graphql(e: &DomainError, reference: impl FnOnce(&DomainError) -> String) -> Error {
    let message = if e.is_internal() {
        format!("internal error (reference {})", reference(e))
    } else {
        e.to_string()
    };
    Error::new(message).extend_with(|_, x| {
        x.set(EXTENSION_CODE, e.code());
        x.set("status", i32::from(e.status()));
        match e {
            DomainError::Invalid { field, .. } => x.set("field", *field),
            DomainError::TooLarge {
                field,
                limit,
                value,
            } => {
                x.set("field", *field);
                x.set("limit", limit.to_string());
                x.set("value", value.to_string());
            }
            DomainError::RateLimited {
                retry_after_seconds,
            }
            | DomainError::QueueFull {
                retry_after_seconds,
                ..
            } => {
                x.set("retryAfterSeconds", retry_after_seconds.to_string());
            }
            _ => {}
        }
    })
}
