//! Links of letters (ACC-9): the token is derived when it is needed, so neither
//! the outbox nor the database holds one.

use crate::App;
use serde_json::{Value, json};
use veilbourse_core::wire::Writer;
use veilbourse_domain::{
    DomainError, Result,
    id::AccountId,
    people::{MailToken, TokenPurpose},
};

/// Bytes that name a link's row.
pub(crate) const NONCE_BYTES: usize = 16;

/// The nonce and the authenticator of a token: 96 lower-case hex digits.
pub(crate) fn split_mail_token(token: &str) -> Option<([u8; NONCE_BYTES], [u8; 32])> {
    let plain = token
        .bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !plain || token.len() != 2 * (NONCE_BYTES + 32) {
        return None;
    }
    let (nonce, mac) = token.split_at(2 * NONCE_BYTES);
    let (mut n, mut m) = ([0u8; NONCE_BYTES], [0u8; 32]);
    hex::decode_to_slice(nonce, &mut n).ok()?;
    hex::decode_to_slice(mac, &mut m).ok()?;
    Some((n, m))
}

impl App {
    /// The token of a link: nonce and keyed BLAKE3 over everything that the link
    /// is about, under a key derived from the tokens' key.
    pub(crate) fn mail_token(
        &self,
        purpose: &str,
        account: AccountId,
        address: &str,
        nonce: &[u8; NONCE_BYTES],
    ) -> String {
        let mut w = Writer::new();
        w.str(purpose)
            .str(&account.to_string())
            .str(address)
            .raw(nonce);
        let mac = blake3::keyed_hash(&self.people.mail_key, &w.finish());
        format!("{}{}", hex::encode(nonce), mac.to_hex())
    }

    /// A fresh link and the facts that its letter needs.
    pub(crate) fn new_link(
        &self,
        purpose: TokenPurpose,
        account: AccountId,
        address: &str,
        name: &str,
    ) -> (MailToken, Value) {
        let nonce = hex::encode(self.random::<NONCE_BYTES>());
        let facts = json!({
            "token": { "purpose": purpose.name(), "nonce": nonce },
            "name": name,
        });
        let link = MailToken {
            nonce,
            purpose,
            account,
            address: address.to_owned(),
            expires_at: self.now().saturating_add(purpose.lives()),
            used_at: None,
        };
        (link, facts)
    }

    /// The link of a token that is really its token; whether it may still be
    /// used is decided where it is.
    pub(crate) async fn link_of(&self, token: &str) -> Result<MailToken> {
        let unknown = DomainError::MailTokenInvalid { reason: "unknown" };
        let (nonce, _) = split_mail_token(token).ok_or_else(|| unknown.clone())?;
        let found = self.store.link(&hex::encode(nonce)).await?;
        let link = found.ok_or_else(|| unknown.clone())?;
        let expected = self.mail_token(link.purpose.name(), link.account, &link.address, &nonce);
        // Equal length, every byte looked at.
        let differ = expected
            .bytes()
            .zip(token.bytes())
            .fold(0u8, |d, (a, b)| d | (a ^ b));
        if differ == 0 { Ok(link) } else { Err(unknown) }
    }

    /// The token of the newest unused link of a purpose to an address: what its
    /// letter says. For whoever runs the server, and for the embedded markets of
    /// the demo and the tests, which hold it.
    pub async fn waiting_token(
        &self,
        purpose: TokenPurpose,
        address: &str,
    ) -> Result<Option<String>> {
        let Some(link) = self.store.newest_link(purpose, address).await? else {
            return Ok(None);
        };
        let mut nonce = [0u8; NONCE_BYTES];
        hex::decode_to_slice(&link.nonce, &mut nonce).map_err(DomainError::storage)?;
        Ok(Some(self.mail_token(
            purpose.name(),
            link.account,
            address,
            &nonce,
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_one_form() {
        // ACC-9
        let good = "ab".repeat(NONCE_BYTES + 32);
        assert_eq!(
            split_mail_token(&good),
            Some(([0xab; NONCE_BYTES], [0xab; 32]))
        );
        for bad in [
            String::new(),
            good[2..].to_owned(),
            format!("{good}00"),
            good.to_uppercase(),
            good.replacen("ab", "xy", 1),
            good.replacen("ab", "\u{e9}", 1),
        ] {
            assert_eq!(split_mail_token(&bad), None, "{bad}");
        }
    }
}
