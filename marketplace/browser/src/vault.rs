//! The vault's calls (VLT).

use crate::{Core, CoreError, File, Reply, core::id};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use veilbourse_client::{
    market,
    vault::{Contents, SigningEntry, Vault},
};
use veilbourse_documents::{
    DOCUMENT_VERSION, Key, KeyRegistration, Signed, SigningKey, marketplace_id,
};
use zeroize::Zeroizing;

/// Text that is erased when it is done with.
struct Text(Zeroizing<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Self(Zeroizing::new(String::deserialize(d)?)))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Passphrase {
    passphrase: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    old: Text,
    fresh: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Account {
    account: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pin {
    key: String,
}

/// Whether a passphrase opens a file, and nothing else.
pub(crate) fn check(a: Passphrase, file: &[u8]) -> Result<Reply, CoreError> {
    Vault::open(file, &a.passphrase.0)?;
    Ok(Value::Null.into())
}

impl Core {
    pub(crate) fn vault_state(&self) -> Value {
        let Some(open) = &self.open else {
            return json!({ "unlocked": false, "keys": null, "marketplace": null,
                "datasets": null, "orders": null, "unsaved": null, "kdf": null });
        };
        let c = &open.contents;
        let keys: Vec<Value> = c
            .keys
            .iter()
            .map(|k| {
                json!({ "key": k.key, "name": k.name, "created": k.created, "accounts": k.accounts })
            })
            .collect();
        let datasets: Vec<Value> = c
            .datasets
            .iter()
            .map(|d| json!({ "root": d.root, "name": d.name }))
            .collect();
        let kdf = open.kdf();
        json!({
            "unlocked": true,
            "keys": keys,
            "marketplace": c.pins.get(self.server.base()),
            "datasets": datasets,
            "orders": c.orders.len(),
            "unsaved": c.unsaved,
            "kdf": { "memoryKib": kdf.memory_kib, "passes": kdf.passes, "lanes": kdf.lanes },
        })
    }

    fn opened(&mut self, vault: Vault) -> Reply {
        self.open = Some(vault);
        self.vault_state().into()
    }

    /// A new vault; the page refuses where it holds one.
    pub(crate) fn vault_create(&mut self, a: Passphrase) -> Result<Reply, CoreError> {
        let contents = Contents::new(&mut self.rng);
        let vault = Vault::create(&a.passphrase.0, contents, &mut self.rng)?;
        self.changed = true;
        Ok(self.opened(vault))
    }

    pub(crate) fn vault_unlock(&mut self, a: Passphrase, file: &[u8]) -> Result<Reply, CoreError> {
        let vault = Vault::open(file, &a.passphrase.0)?;
        Ok(self.opened(vault))
    }

    pub(crate) fn vault_lock(&mut self) -> Reply {
        self.open = None;
        self.changed = false;
        self.fits.forget();
        Value::Null.into()
    }

    /// VLT-3: the old passphrase is asked for again.
    pub(crate) fn vault_passphrase(&mut self, a: Change, file: &[u8]) -> Result<Reply, CoreError> {
        Vault::open(file, &a.old.0)?;
        let rng = &mut self.rng;
        let open = self
            .open
            .as_mut()
            .ok_or_else(|| CoreError::new("VAULT_LOCKED", "the vault is locked"))?;
        open.change_passphrase(&a.fresh.0, rng)?;
        self.changed = true;
        Ok(self.vault_state().into())
    }

    /// The backup: the sealed vault.
    pub(crate) fn vault_export(&mut self) -> Result<Reply, CoreError> {
        self.change()?.unsaved = 0;
        let bytes = self.sealed()?;
        self.changed = false;
        Ok(Reply {
            value: Value::Null,
            files: vec![File {
                name: "veilbourse.vault".into(),
                media: "application/octet-stream",
                bytes: bytes.clone(),
            }],
            vault: Some(bytes),
        })
    }

    /// VLT-6: as the vault where none is open; else added to it.
    pub(crate) fn vault_import(&mut self, a: Passphrase, file: &[u8]) -> Result<Reply, CoreError> {
        let theirs = Vault::open(file, &a.passphrase.0)?;
        match &mut self.open {
            None => {
                self.changed = true;
                return Ok(self.opened(theirs));
            }
            Some(open) => open.contents.merge(theirs.contents)?,
        }
        self.changed = true;
        Ok(self.vault_state().into())
    }

    /// The newest signing key; made where there is none.
    pub(crate) fn own_key(&mut self) -> Result<SigningEntry, CoreError> {
        if let Some(key) = self.secrets()?.keys.last() {
            return Ok(key.clone());
        }
        let made = SigningEntry::fresh("browser", self.environment.now(), &mut self.rng);
        self.change()?.keys.push(made.clone());
        Ok(made)
    }

    pub(crate) fn own_signing(&mut self) -> Result<SigningKey, CoreError> {
        Ok(self.own_key()?.signing()?)
    }

    pub(crate) fn signing_key(&mut self) -> Result<Reply, CoreError> {
        Ok(json!(self.own_key()?.key).into())
    }

    /// The server's marketplace key, held to the pinned one; `first` where it may be
    /// trusted at first sight.
    pub(crate) async fn pinned(&mut self, first: bool) -> Result<Key, CoreError> {
        let base = self.server.base().to_owned();
        let known = self.secrets()?.pins.get(&base).copied();
        let found = market::marketplace_key(&self.server).await?;
        match known {
            Some(known) if known == found => Ok(known),
            Some(known) => Err(CoreError::new(
                "MARKETPLACE_KEY",
                format!(
                    "the marketplace key has changed: {known} is pinned here, the server now shows \
                     {found}. Nothing was signed. Ask the operator, by another way than this site, \
                     which one is right"
                ),
            )
            .field("marketplace")
            .limit(known, found)),
            None if first => {
                self.change()?.pins.insert(base, found);
                Ok(found)
            }
            None => Err(CoreError::new(
                "MARKETPLACE_KEY",
                "no marketplace key is pinned: register a signing key first",
            )
            .field("marketplace")
            .value(found)),
        }
    }

    pub(crate) async fn marketplace_key(&mut self) -> Result<Reply, CoreError> {
        let found = market::marketplace_key(&self.server).await?;
        let pins = self.open.as_ref().map(|v| &v.contents.pins);
        let pinned = pins.and_then(|p| p.get(self.server.base()));
        match pinned {
            Some(known) if *known != found => self.pinned(false).await.map(|k| json!(k).into()),
            known => Ok(json!({ "key": found, "pinned": known.is_some() }).into()),
        }
    }

    pub(crate) fn pin_marketplace(&mut self, a: Pin) -> Result<Reply, CoreError> {
        let key = Key::from_hex(&a.key)
            .ok_or_else(|| CoreError::input("key", "expected 64 lower-case hex digits"))?;
        let base = self.server.base().to_owned();
        self.change()?.pins.insert(base, key);
        Ok(Value::Null.into())
    }

    /// ACC-7: a registration of the signing key, and with `send` its way to the server.
    pub(crate) async fn registration_for(
        &mut self,
        a: Account,
        send: bool,
    ) -> Result<Reply, CoreError> {
        let account = id("account", &a.account)?;
        let marketplace = self.pinned(true).await?;
        let entry = self.own_key()?;
        let registration = Signed::sign(
            KeyRegistration {
                version: DOCUMENT_VERSION,
                marketplace: marketplace_id(&marketplace),
                account: account.clone(),
            },
            &entry.signing()?,
        )?;
        if send && !entry.accounts.contains(&account) {
            let document = "mutation($r: JSON!) { registerSigningKey(registration: $r) }";
            let sent = self
                .server
                .graphql("registerSigningKey", document, json!({ "r": registration }))
                .await;
            sent?;
        }
        let of = self.change()?.keys.iter_mut();
        for key in of.filter(|k| k.key == entry.key && !k.accounts.contains(&account)) {
            key.accounts.push(account.clone());
        }
        Ok(json!({ "key": entry.key, "registration": registration }).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::arguments;
    use veilbourse_client::vault::VaultError;

    #[test]
    fn unknown_arguments_are_refused() {
        let e = arguments::<Passphrase>(json!({ "passphrase": "x", "more": 1 })).err();
        assert_eq!(e.map(|e| e.code).as_deref(), Some("INPUT"));
        assert_eq!(CoreError::from(VaultError::Refused).code, "VAULT_REFUSED");
    }
}
