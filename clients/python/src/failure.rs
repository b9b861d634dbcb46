//! Failures as Python exceptions: a stable code, the sentence, and field, limit
//! and value where they apply. The classes are Python's own (`veilbourse.errors`).

use pyo3::prelude::*;
use serde_json::{Value, json};
use veilbourse_client::{ClientError, ResultError};
use veilbourse_verify::ReceiptRefusal;

/// What went wrong, before it is an exception.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// Which family of exceptions: `server`, `connection`, `refused`, `local`.
    pub kind: &'static str,
    /// Stable code.
    pub code: String,
    /// The sentence.
    pub message: String,
    /// Field, limit, value, and whatever else is known.
    pub details: Value,
}

impl Failure {
    /// Without details.
    pub fn new(kind: &'static str, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: code.into(),
            message: message.into(),
            details: json!({}),
        }
    }

    /// A check of this side that does not hold.
    pub fn refused(what: &str, message: impl Into<String>) -> Self {
        let code = format!("{}_REFUSED", what.to_uppercase().replace(' ', "_"));
        let mut made = Self::new("refused", code, message);
        made.details = json!({ "what": what });
        made
    }

    /// An argument that cannot be read.
    pub fn argument(field: &'static str, value: &str, expected: &str) -> Self {
        let message = format!("{field}: {value:?}, expected {expected}");
        let mut made = Self::new("local", "ARGUMENT", message);
        made.details = json!({ "field": field, "value": value });
        made
    }
}

/// The exception of a failure.
pub fn raised(py: Python<'_>, failure: impl Into<Failure>) -> PyErr {
    let Failure {
        kind,
        code,
        message,
        details,
    } = failure.into();
    let made = py
        .import("veilbourse.errors")
        .and_then(|m| m.getattr("failure"))
        .and_then(|f| f.call1((kind, code, message, details.to_string())));
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(e) => e,
    }
}

impl From<ClientError> for Failure {
    fn from(e: ClientError) -> Self {
        let message = e.to_string();
        match e {
            ClientError::Server {
                operation,
                code,
                message: _,
                mut details,
            } => {
                if !details.is_object() {
                    details = json!({});
                }
                details["operation"] = json!(operation);
                Self {
                    kind: "server",
                    code,
                    message,
                    details,
                }
            }
            ClientError::Transport { operation, source } => Self {
                details: json!({ "operation": operation }),
                ..Self::new("connection", "TRANSPORT", with_causes(message, &source))
            },
            ClientError::Timeout { operation, seconds } => Self {
                details: json!({ "operation": operation, "field": "seconds", "limit": seconds }),
                ..Self::new("connection", "TIMEOUT", message)
            },
            ClientError::TooLarge {
                operation,
                field,
                limit,
                value,
            } => Self {
                details: json!({ "operation": operation, "field": field, "limit": limit,
                    "value": value }),
                ..Self::new("connection", "ANSWER_TOO_LARGE", message)
            },
            ClientError::Answer { operation, .. } => Self {
                details: json!({ "operation": operation }),
                ..Self::new("connection", "ANSWER", message)
            },
            ClientError::File { path, .. } => Self {
                details: json!({ "field": "path", "value": path }),
                ..Self::new("local", "FILE", message)
            },
            ClientError::Dealing(_) => Self::new("refused", "DEALING_REFUSED", message),
            ClientError::Joint(_) => Self::new("refused", "JOINT_REFUSED", message),
            ClientError::Result(e) => of_result(&e, message),
            ClientError::Refused { what, .. } => Self::refused(what, message),
        }
    }
}

/// What an HTTP error says of itself leaves out why: "error sending request".
fn with_causes(mut message: String, e: &dyn std::error::Error) -> String {
    let mut next = e.source();
    while let Some(cause) = next {
        message.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    message
}

/// One code a rule, with what was expected (`limit`) and what was found (`value`).
fn of_result(e: &ResultError, message: String) -> Failure {
    let (code, details) = match e {
        ResultError::Outputs { expected, found } => (
            "RESULT_OUTPUTS",
            json!({ "field": "outputs", "limit": expected, "value": found }),
        ),
        ResultError::Values {
            output,
            expected,
            found,
        } => (
            "RESULT_VALUES",
            json!({ "field": "values", "output": output, "limit": expected, "value": found }),
        ),
        ResultError::Range {
            output,
            index,
            value,
            limit,
        } => (
            "RESULT_RANGE",
            json!({ "field": "value", "output": output, "index": index,
                "limit": limit.to_string(), "value": value }),
        ),
        ResultError::Quorums => ("RESULT_QUORUMS", json!({})),
        ResultError::Openings { expected, found } => (
            "RESULT_OPENINGS",
            json!({ "field": "openings", "limit": expected, "value": found }),
        ),
        ResultError::Deliveries { expected, found } => (
            "RESULT_DELIVERIES",
            json!({ "field": "deliveries", "limit": expected, "value": found }),
        ),
        ResultError::Masks { expected, found } => (
            "RESULT_MASKS",
            json!({ "field": "masks", "limit": expected, "value": found }),
        ),
        ResultError::Place {
            what,
            expected,
            found,
        } => (
            "RESULT_PLACE",
            json!({ "field": what, "limit": expected, "value": found }),
        ),
        ResultError::OpeningDiffers { node } => ("RESULT_OPENING_DIFFERS", json!({ "node": node })),
        ResultError::Masked(_) => ("RESULT_MASKED", json!({})),
        ResultError::MaskedWords => ("RESULT_MASKED_WORDS", json!({})),
        ResultError::Commitments(_) => ("RESULT_COMMITMENTS", json!({})),
        ResultError::MasksDigest { node } => ("RESULT_MASKS_DIGEST", json!({ "node": node })),
        ResultError::Sealed { node, .. } => ("RESULT_SEALED", json!({ "node": node })),
        ResultError::MaskCount {
            node,
            expected,
            found,
        } => (
            "RESULT_MASK_COUNT",
            json!({ "field": "masks", "node": node, "limit": expected, "value": found }),
        ),
        ResultError::MaskShare { node, value } => (
            "RESULT_MASK_SHARE",
            json!({ "field": "mask share", "node": node, "value": value }),
        ),
        ResultError::Protocol(_) => ("RESULT_PROTOCOL", json!({})),
        ResultError::Delivered { signed, found } => (
            "RESULT_DELIVERED",
            json!({ "field": "values", "limit": signed, "value": found }),
        ),
    };
    Failure {
        details,
        ..Failure::new("refused", code, message)
    }
}

impl From<ReceiptRefusal> for Failure {
    fn from(e: ReceiptRefusal) -> Self {
        let mut made = Self::refused("receipt", e.to_string());
        made.details["rule"] = json!(e.rule());
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_said_is_kept() {
        let e = ClientError::Server {
            operation: "quote".into(),
            code: "RATE_LIMITED".into(),
            message: "too many".into(),
            details: json!({ "status": 429, "retryAfterSeconds": "3" }),
        };
        let f = Failure::from(e);
        assert_eq!((f.kind, f.code.as_str()), ("server", "RATE_LIMITED"));
        assert_eq!(f.message, "quote: too many [RATE_LIMITED]");
        assert_eq!(f.details["retryAfterSeconds"], "3");
        assert_eq!(f.details["operation"], "quote");
    }

    #[test]
    fn a_refusal_names_rule_limit_and_value() {
        let f = Failure::from(ClientError::Result(ResultError::Range {
            output: 1,
            index: 2,
            value: -9,
            limit: 8,
        }));
        assert_eq!((f.kind, f.code.as_str()), ("refused", "RESULT_RANGE"));
        assert_eq!(f.details["limit"], "8");
        assert_eq!(f.details["value"], -9);
        let f = Failure::refused("joint order", "no");
        assert_eq!(f.code, "JOINT_ORDER_REFUSED");
        let f = Failure::from(ReceiptRefusal::Class);
        assert_eq!(
            (f.code.as_str(), f.details["rule"].as_str()),
            ("RECEIPT_REFUSED", Some("DOC-12"))
        );
    }

    #[test]
    fn too_much_and_too_late_name_the_limit() {
        let f = Failure::from(ClientError::TooLarge {
            operation: "/v1/x".into(),
            field: "answer",
            limit: 10,
            value: 11,
        });
        assert_eq!(
            (f.code.as_str(), &f.details["limit"], &f.details["value"]),
            ("ANSWER_TOO_LARGE", &json!(10), &json!(11))
        );
        let f = Failure::from(ClientError::Timeout {
            operation: "/v1/x".into(),
            seconds: 900,
        });
        assert_eq!(
            (f.code.as_str(), &f.details["limit"]),
            ("TIMEOUT", &json!(900))
        );
    }
}
