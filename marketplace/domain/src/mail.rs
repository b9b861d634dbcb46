//! Letters: what is written to people, in the transaction of what happened.

use crate::id::{AccountId, MailId};
use serde::{Deserialize, Serialize};

/// What a letter says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailKind {
    /// Show that the address is yours.
    VerifyMail,
    /// Set another password.
    PasswordReset,
    /// The password was changed.
    PasswordChanged,
    /// The address was changed: to the old one.
    MailChanged,
    /// The second factor was set or removed.
    SecondFactorChanged,
    /// An owner appeals: to the admin who rejected.
    AppealReceived,
    /// The account was suspended.
    AccountSuspended,
    /// The account was restored.
    AccountRestored,
}

impl MailKind {
    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::VerifyMail => "verify_mail",
            Self::PasswordReset => "password_reset",
            Self::PasswordChanged => "password_changed",
            Self::MailChanged => "mail_changed",
            Self::SecondFactorChanged => "second_factor_changed",
            Self::AppealReceived => "appeal_received",
            Self::AccountSuspended => "account_suspended",
            Self::AccountRestored => "account_restored",
        }
    }
}

/// A letter to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    /// Its id.
    pub id: MailId,
    /// Whose.
    pub account: Option<AccountId>,
    /// Where to.
    pub address: String,
    /// What it says.
    pub kind: MailKind,
    /// With which facts; no secret is among them.
    pub facts: serde_json::Value,
}
