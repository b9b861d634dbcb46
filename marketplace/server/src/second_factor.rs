//! The second factor (ACC-11, ACC-12): its secret sealed under a key of the
//! server, codes that count once, recovery codes of which only hashes are kept.

use crate::{App, totp};
use chacha20poly1305::{
    ChaCha20Poly1305,
    aead::{Aead, KeyInit, Payload},
};
use data_encoding::BASE32_NOPAD;
use qrcodegen::{QrCode, QrCodeEcc};
use std::fmt::Write;
use veilbourse_core::{
    digest::{Digest, Domain},
    wire::Writer,
};
use veilbourse_domain::{
    DomainError, Result, id::AccountId, people::FactorProof, records::Account,
};
use zeroize::Zeroizing;

/// Recovery codes made at once.
const RECOVERY_CODES: usize = 10;
/// Bytes of one: nobody guesses 80 bits, so a plain hash keeps it.
const RECOVERY_BYTES: usize = 10;
const NONCE_BYTES: usize = 12;

/// What is shown once to set a factor up.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// In base32.
    pub(crate) secret: String,
    /// For authenticator apps.
    pub(crate) uri: String,
    /// The dark modules of its QR code as an SVG path, a unit each.
    pub(crate) qr: String,
    /// Modules of a side, the quiet zone included.
    pub(crate) qr_size: u32,
}

fn sealing_error(_: impl std::fmt::Debug) -> DomainError {
    DomainError::storage("a second factor's seal")
}

fn recovery_hash(account: AccountId, code: &[u8]) -> Digest {
    let mut w = Writer::new();
    w.str(&account.to_string()).raw(code);
    Digest::of(Domain::Other("veilbourse v1 recovery code"), &w.finish())
}

/// The path of a text's QR code, four modules of quiet around it.
fn qr(text: &str) -> Result<(String, u32)> {
    const QUIET: i32 = 4;
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).map_err(DomainError::storage)?;
    let mut path = String::new();
    for y in 0..code.size() {
        for x in 0..code.size() {
            if code.get_module(x, y) {
                // Writing to a string does not fail.
                let _ = write!(path, "M{} {}h1v1h-1z", x + QUIET, y + QUIET);
            }
        }
    }
    let size = u32::try_from(code.size() + 2 * QUIET).unwrap_or(0);
    Ok((path, size))
}

impl App {
    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new(&self.people.factor_key.into())
    }

    /// Nonce and ciphertext in hex, bound to the account.
    fn seal_factor(&self, account: AccountId, secret: &[u8]) -> Result<String> {
        let nonce = self.random::<NONCE_BYTES>();
        let aad = account.to_string();
        let payload = Payload {
            msg: secret,
            aad: aad.as_bytes(),
        };
        let sealed = self
            .cipher()
            .encrypt(&nonce.into(), payload)
            .map_err(sealing_error)?;
        Ok(format!("{}{}", hex::encode(nonce), hex::encode(sealed)))
    }

    fn open_factor(&self, account: AccountId, sealed: &str) -> Result<Zeroizing<Vec<u8>>> {
        let bytes = hex::decode(sealed).map_err(sealing_error)?;
        let (nonce, sealed) = bytes
            .split_at_checked(NONCE_BYTES)
            .ok_or_else(|| sealing_error(()))?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(sealing_error)?;
        let aad = account.to_string();
        let payload = Payload {
            msg: sealed,
            aad: aad.as_bytes(),
        };
        let secret = self
            .cipher()
            .decrypt(&nonce.into(), payload)
            .map_err(sealing_error)?;
        Ok(Zeroizing::new(secret))
    }

    /// A fresh secret, not asked for before its first code.
    pub(crate) async fn new_factor(&self, a: &Account) -> Result<Setup> {
        let secret = Zeroizing::new(self.random::<{ totp::SECRET_BYTES }>());
        let sealed = self.seal_factor(a.id, secret.as_ref())?;
        self.store.begin_factor(a.id, &sealed, self.now()).await?;
        let text = BASE32_NOPAD.encode(secret.as_ref());
        let uri = totp::uri(&text, &a.mail);
        let (qr, qr_size) = qr(&uri)?;
        Ok(Setup {
            secret: text,
            uri,
            qr,
            qr_size,
        })
    }

    /// Recovery codes with their hashes.
    pub(crate) fn recovery_codes(&self, account: AccountId) -> (Vec<String>, Vec<Digest>) {
        let mut codes = Vec::with_capacity(RECOVERY_CODES);
        let mut hashes = Vec::with_capacity(RECOVERY_CODES);
        for _ in 0..RECOVERY_CODES {
            let bytes = self.random::<RECOVERY_BYTES>();
            let text = BASE32_NOPAD.encode(&bytes);
            let parts: Vec<&str> = text
                .as_bytes()
                .chunks(4)
                .map(|c| std::str::from_utf8(c).unwrap_or_default())
                .collect();
            codes.push(parts.join("-"));
            hashes.push(recovery_hash(account, &bytes));
        }
        (codes, hashes)
    }

    /// The step of a code of the account's secret, begun or set.
    pub(crate) async fn code_step(&self, id: AccountId, code: &str) -> Result<u64> {
        self.people.factors.begin(&id.to_string(), self.now())?;
        let step = self.step_of(id, code).await;
        match &step {
            Ok(_) | Err(DomainError::SecondFactorWrong) => {}
            Err(_) => self.people.factors.undo(&id.to_string()),
        }
        step
    }

    async fn step_of(&self, id: AccountId, code: &str) -> Result<u64> {
        let found = self.store.second_factor(id).await?;
        let factor = found.ok_or(DomainError::SecondFactorState { found: "not begun" })?;
        let secret = self.open_factor(id, &factor.sealed)?;
        match totp::step_of(&secret, code.trim(), self.now()) {
            Some(step) if step > factor.step => Ok(step),
            _ => Err(DomainError::SecondFactorWrong),
        }
    }

    /// What a code proves, not used up yet; nothing where the account asks for
    /// none. A try from here on until it is [`Self::counted`].
    pub(crate) async fn factor_proof(
        &self,
        a: &Account,
        code: Option<&str>,
    ) -> Result<Option<FactorProof>> {
        if !a.second_factor {
            return Ok(None);
        }
        let code = code.map(str::trim).filter(|c| !c.is_empty());
        let code = code.ok_or(DomainError::SecondFactorNeeded)?;
        self.people.factors.begin(&a.id.to_string(), self.now())?;
        let plain: String = code
            .chars()
            .filter(|c| *c != '-' && !c.is_whitespace())
            .collect();
        if plain.len() == 6 {
            return Ok(Some(FactorProof::Step(self.step_of(a.id, &plain).await?)));
        }
        let bytes = BASE32_NOPAD.decode(plain.to_ascii_uppercase().as_bytes());
        match bytes.ok().filter(|b| b.len() == RECOVERY_BYTES) {
            Some(b) => Ok(Some(FactorProof::Recovery(recovery_hash(a.id, &b)))),
            None => Err(DomainError::SecondFactorWrong),
        }
    }

    /// Counts what the store found of a proof.
    pub(crate) fn counted<T>(&self, id: AccountId, done: Result<T>) -> Result<T> {
        let (factors, key) = (&self.people.factors, id.to_string());
        match &done {
            Ok(_) => factors.forget(&key),
            Err(DomainError::SecondFactorWrong) => {}
            Err(_) => factors.undo(&key),
        }
        done
    }

    /// Signing in: the code is used up.
    pub(crate) async fn pass_factor(&self, a: &Account, code: Option<&str>) -> Result<()> {
        let Some(proof) = self.factor_proof(a, code).await? else {
            return Ok(());
        };
        let good = self.store.use_proof(a.id, &proof, self.now()).await;
        let good = good.and_then(|g| {
            if g {
                Ok(())
            } else {
                Err(DomainError::SecondFactorWrong)
            }
        });
        self.counted(a.id, good)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_is_within_its_size() {
        let (path, size) = qr(&totp::uri("JBSWY3DPEHPK3PXP", "a@b.example")).unwrap();
        assert!((29..80).contains(&size), "{size}");
        let greatest = path
            .split('M')
            .filter_map(|p| p.split(['h', ' ']).next()?.parse::<u32>().ok())
            .max();
        assert_eq!(greatest, Some(size - 5), "four quiet modules");
        assert!(path.starts_with("M4 4h1v1h-1z"));
    }

    #[test]
    fn recovery_codes_are_an_accounts_own() {
        // ACC-12
        let a = AccountId::new(1, [1; 10]);
        let b = AccountId::new(1, [2; 10]);
        assert_ne!(recovery_hash(a, &[7; 10]), recovery_hash(b, &[7; 10]));
    }
}
