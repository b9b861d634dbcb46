//! Tokens of the links in letters (MAIL-4): made when a letter is rendered, from
//! a nonce and a secret of the server, so that neither the outbox nor a copy of
//! the database holds one.

use crate::App;
use std::fmt;
use veilbourse_documents::SigningKey;
use veilbourse_domain::id::AccountId;
use zeroize::Zeroizing;

/// The secret that tokens are made with.
pub(crate) struct MailSecret(Zeroizing<[u8; 32]>);

impl fmt::Debug for MailSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailSecret(..)")
    }
}

impl MailSecret {
    /// From the key of access tokens, apart from it by its context.
    pub(crate) fn new(tokens: &SigningKey) -> Self {
        let key = blake3::derive_key("veilbourse v1 tokens of letters", tokens.as_bytes());
        Self(Zeroizing::new(key))
    }

    /// Over everything that the token is for; each part with its length, so that
    /// no two lists of parts read alike.
    fn tag(&self, purpose: &str, account: AccountId, address: &str, nonce: &[u8; 16]) -> [u8; 32] {
        let mut h = blake3::Hasher::new_keyed(&self.0);
        for part in [
            purpose.as_bytes(),
            account.uuid().as_bytes(),
            address.as_bytes(),
            nonce,
        ] {
            h.update(&(part.len() as u64).to_le_bytes());
            h.update(part);
        }
        *h.finalize().as_bytes()
    }
}

impl App {
    /// The token of a link: hex of nonce and tag.
    pub(crate) fn mail_token(
        &self,
        purpose: &str,
        account: AccountId,
        address: &str,
        nonce: &[u8; 16],
    ) -> String {
        let tag = self.mail_secret.tag(purpose, account, address, nonce);
        hex::encode(nonce) + &hex::encode(tag)
    }
}
