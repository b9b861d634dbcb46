//! Tokens of the links in letters (MAIL-4): made when a letter is rendered, from
//! a nonce and a secret of the server, so that neither the outbox nor a copy of
//! the database holds one.

use crate::App;
use std::fmt;
use veilbourse_documents::SigningKey;
use veilbourse_domain::{DomainError, Result, id::AccountId};
use zeroize::Zeroizing;

/// Purpose of the link that switches optional letters off.
const UNSUBSCRIBE: &str = "unsubscribe";

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

    /// The token that switches an account's optional letters off. Its nonce is
    /// the account's id: the link in an old letter works as long as the account,
    /// whatever its address is by then, and nothing is stored for it.
    pub(crate) fn unsubscribe_token(&self, account: AccountId) -> String {
        self.mail_token(UNSUBSCRIBE, account, "", account.uuid().as_bytes())
    }

    /// Whose letters the token switches off.
    pub(crate) fn unsubscribes(&self, token: &str) -> Result<AccountId> {
        let refuse = |reason| DomainError::MailTokenInvalid { reason };
        let mut bytes = [0u8; 48];
        hex::decode_to_slice(token, &mut bytes).map_err(|_| refuse("not 96 hex digits"))?;
        let (nonce, tag) = bytes.split_at(16);
        let mut id = [0u8; 16];
        id.copy_from_slice(nonce);
        let account = AccountId::from(uuid::Uuid::from_bytes(id));
        let expected = blake3::Hash::from(self.mail_secret.tag(UNSUBSCRIBE, account, "", &id));
        // Compared in constant time.
        match blake3::Hash::from_slice(tag).is_ok_and(|t| t == expected) {
            true => Ok(account),
            false => Err(refuse("not ours, or for something else")),
        }
    }
}
