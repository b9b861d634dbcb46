//! What a page is told: a stable code, a message, and where there is one the
//! field, the limit and the value.

use serde::Serialize;
use std::fmt;
use veilbourse_client::{ClientError, DealingError, train::TrainError, vault::VaultError};
use veilbourse_documents::DocumentError;
use veilbourse_tabular::TabularError;

/// A refusal, as a page sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CoreError {
    /// Stable; those of the server come through as they are.
    pub code: String,
    /// For people.
    pub message: String,
    /// Which argument, column or part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What was allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// What was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl CoreError {
    /// Of this code.
    pub fn new(code: &str, message: impl ToString) -> Self {
        Self {
            code: code.into(),
            message: message.to_string(),
            field: None,
            limit: None,
            value: None,
        }
    }

    /// With the field.
    #[must_use]
    pub fn field(mut self, field: impl ToString) -> Self {
        self.field = Some(field.to_string());
        self
    }

    /// With limit and value.
    #[must_use]
    pub fn limit(mut self, limit: impl ToString, value: impl ToString) -> Self {
        self.limit = Some(limit.to_string());
        self.value = Some(value.to_string());
        self
    }

    /// With the value.
    #[must_use]
    pub fn value(mut self, value: impl ToString) -> Self {
        self.value = Some(value.to_string());
        self
    }

    /// An argument that is not of its form.
    pub(crate) fn input(field: &str, message: impl ToString) -> Self {
        Self::new("INPUT", message).field(field)
    }
}

impl fmt::Display for CoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.message, self.code)
    }
}

impl std::error::Error for CoreError {}

impl From<ClientError> for CoreError {
    fn from(e: ClientError) -> Self {
        let message = e.to_string();
        match e {
            ClientError::Server {
                code,
                message,
                details,
                ..
            } => {
                let said = |name: &str| match &details[name] {
                    serde_json::Value::String(text) => Some(text.clone()),
                    serde_json::Value::Number(n) => Some(n.to_string()),
                    _ => None,
                };
                Self {
                    field: said("field"),
                    limit: said("limit"),
                    value: said("value"),
                    ..Self::new(&code, message)
                }
            }
            ClientError::Transport { .. } | ClientError::Timeout { .. } => {
                Self::new("NETWORK", message)
            }
            ClientError::TooLarge {
                field,
                limit,
                value,
                ..
            } => Self::new("ANSWER", message)
                .field(field)
                .limit(limit, value),
            ClientError::Answer { .. } => Self::new("ANSWER", message),
            // The page grows its storage and calls again.
            ClientError::File { source, .. } if source.to_string().contains("NEED_FILES") => {
                Self::new("NEED_FILES", message)
            }
            ClientError::File { .. } => Self::new("STORAGE", message),
            ClientError::Dealing(e) => (*e).into(),
            ClientError::Joint(_) => Self::new("QUERY", message),
            ClientError::Result(_) => Self::new("RESULT", message),
            ClientError::Refused { what, .. } => {
                let code = match what {
                    "table" => "TABLE",
                    "budget" => "BUDGET",
                    "model" => "MODEL",
                    "column" | "listing" | "manifest" | "twin" | "class" => "QUERY",
                    "quote" | "order" => "QUOTE",
                    "receipt" | "result" | "policy" => "RESULT",
                    _ => "INTERNAL",
                };
                Self::new(code, message).field(what)
            }
        }
    }
}

impl From<DealingError> for CoreError {
    fn from(e: DealingError) -> Self {
        let message = e.to_string();
        match e {
            DealingError::Committee { .. } | DealingError::Protocol(_) => {
                Self::new("COMMITTEE", message)
            }
            DealingError::Ask { class, .. } => Self::input("classes", message).value(class),
            DealingError::Limit { limit, value, .. } => {
                Self::new("DEALING", message).limit(limit, value)
            }
            _ => Self::new("DEALING", message),
        }
    }
}

impl From<VaultError> for CoreError {
    fn from(e: VaultError) -> Self {
        let message = e.to_string();
        match e {
            VaultError::Refused => Self::new("VAULT_REFUSED", message),
            VaultError::Passphrase { limit, value } => Self::new("PASSPHRASE_WEAK", message)
                .field("passphrase")
                .limit(limit, value),
            VaultError::TooLarge { limit, value } => {
                Self::new("VAULT_FORMAT", message).limit(limit, value)
            }
            VaultError::Parameter {
                field,
                limit,
                value,
                ..
            } => Self::new("VAULT_FORMAT", message)
                .field(field)
                .limit(limit, value),
            _ => Self::new("VAULT_FORMAT", message),
        }
    }
}

impl From<TabularError> for CoreError {
    fn from(e: TabularError) -> Self {
        let place = e.place();
        let mut out = Self::new("TABLE", e.to_string());
        out.field = place.1.map(str::to_owned);
        out.value = place.0.map(|line| line.to_string());
        out
    }
}

impl From<TrainError> for CoreError {
    fn from(e: TrainError) -> Self {
        Self::new("TRAINING", e)
    }
}

impl From<DocumentError> for CoreError {
    fn from(e: DocumentError) -> Self {
        Self::new("DOCUMENT", e)
    }
}
