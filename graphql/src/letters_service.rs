//! What the resolvers of letters need besides the store.

use crate::Caller;
use async_trait::async_trait;
use veilbourse_domain::{Millis, Result, id::MailId, mail::MailRecord};

/// A letter in the local folder, as its reader has it.
#[derive(Debug, Clone)]
pub struct LocalLetter {
    /// Its id.
    pub id: MailId,
    /// The kind's name.
    pub kind: String,
    /// When it was written.
    pub at: Millis,
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub text: String,
    /// The link that it asks to follow.
    pub action: Option<String>,
}

/// Acts on letters (MAIL).
#[async_trait]
pub trait LetterService: Send + Sync {
    /// What a letter is called in lists.
    fn letter_subject(&self, letter: &MailRecord) -> String;
    /// Switches optional letters off for whom the token was made (MAIL-6).
    async fn unsubscribe(&self, token: &str) -> Result<()>;
    /// Letters to an address in the local folder, newest first; only on the
    /// machine itself, and only where mail goes nowhere else (MAIL-10).
    async fn local_letters(&self, caller: &Caller, address: &str) -> Result<Vec<LocalLetter>>;
}
