//! The core's state and what every call has at hand.

use crate::{CoreError, fit::Fits};
use rand_chacha::ChaCha20Rng;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{
    io::{Read, Seek},
    path::PathBuf,
};
use veilbourse_client::{
    http::{Progress, Server},
    market::Session,
    vault::{Contents, Vault},
};
use veilbourse_documents::Id;

/// The table that comes with a call.
pub trait Input: Read + Seek {}
impl<T: Read + Seek> Input for T {}

/// What a page lends beside files and requests.
pub trait Environment {
    /// Milliseconds since the epoch.
    fn now(&self) -> u64;
    /// Seconds of a clock that only goes forward.
    fn seconds(&self) -> f64;
    /// Whether so many more files can be made before this call returns.
    fn room(&self, files: u64) -> bool;
}

/// A file that a call gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What a call gives.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reply {
    /// As `core.d.ts` says.
    pub value: Value,
    /// Files beside it.
    pub files: Vec<File>,
    /// The vault's new bytes: stored before the answer is looked at (VLT-8).
    pub vault: Option<Vec<u8>>,
}

impl From<Value> for Reply {
    fn from(value: Value) -> Self {
        Self {
            value,
            ..Self::default()
        }
    }
}

/// The core.
pub struct Core {
    pub(crate) server: Server,
    pub(crate) folder: PathBuf,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) environment: Box<dyn Environment>,
    pub(crate) open: Option<Vault>,
    pub(crate) fits: Fits,
    /// Whether the vault was changed since it was sealed.
    pub(crate) changed: bool,
}

impl Core {
    /// A core for the server at `base`. Drafts are in `folder`; `rng` is seeded from
    /// the system's randomness.
    pub fn new(
        base: &str,
        folder: impl Into<PathBuf>,
        rng: ChaCha20Rng,
        environment: Box<dyn Environment>,
    ) -> Self {
        Self {
            server: Server::new(base),
            folder: folder.into(),
            rng,
            environment,
            open: None,
            fits: Fits::default(),
            changed: false,
        }
    }

    /// The same core speaking as the holder of an access token: where there is no
    /// cookie.
    #[must_use]
    pub fn speaking_as(mut self, token: &str) -> Self {
        self.server = self.server.with_token(token);
        self
    }

    /// What the storage of drafts is sealed under, while the vault is open.
    pub fn storage_key(&self) -> Option<zeroize::Zeroizing<[u8; 32]>> {
        self.open.as_ref()?.contents.storage_key.array()
    }

    /// One call. `input` is the table that some take, `file` bytes that some take.
    pub async fn call(
        &mut self,
        method: &str,
        arguments: &str,
        input: Option<Box<dyn Input>>,
        file: Option<Vec<u8>>,
        progress: &dyn Progress,
    ) -> Result<Reply, CoreError> {
        let arguments: Value =
            serde_json::from_str(arguments).map_err(|e| CoreError::input("arguments", e))?;
        let mut reply = self
            .dispatch(method, arguments, input, file, progress)
            .await?;
        if std::mem::take(&mut self.changed) && reply.vault.is_none() {
            reply.vault = Some(self.sealed()?);
        }
        Ok(reply)
    }

    /// The vault's contents; refused while it is locked.
    pub(crate) fn secrets(&self) -> Result<&Contents, CoreError> {
        self.open.as_ref().map(|v| &v.contents).ok_or_else(locked)
    }

    /// The same, to be changed: the reply brings the vault's new bytes.
    pub(crate) fn change(&mut self) -> Result<&mut Contents, CoreError> {
        let open = self.open.as_mut().ok_or_else(locked)?;
        self.changed = true;
        open.contents.unsaved = open.contents.unsaved.saturating_add(1);
        Ok(&mut open.contents)
    }

    pub(crate) fn sealed(&mut self) -> Result<Vec<u8>, CoreError> {
        let open = self.open.as_ref().ok_or_else(locked)?;
        Ok(open.seal(&mut self.rng)?)
    }

    /// The server, speaking with the page's cookie; of no account where none matters.
    pub(crate) fn session(&self, account: Option<&Id>) -> Result<Session, CoreError> {
        let nobody = || Id::parse("00000000-0000-0000-0000-000000000000");
        let account = account.cloned().or_else(nobody);
        Ok(Session {
            server: self.server.clone(),
            account: account.ok_or_else(|| CoreError::new("INTERNAL", "no account"))?,
            refresh: String::new(),
        })
    }
}

fn locked() -> CoreError {
    CoreError::new("VAULT_LOCKED", "the vault is locked: unlock it first")
}

/// The arguments of a method, unknown fields refused.
pub(crate) fn arguments<T: DeserializeOwned>(value: Value) -> Result<T, CoreError> {
    serde_json::from_value(value).map_err(|e| CoreError::input("arguments", e))
}

/// An id's text.
pub(crate) fn id(field: &str, text: &str) -> Result<Id, CoreError> {
    Id::parse(text).ok_or_else(|| CoreError::input(field, format!("{text:?} is no id")).value(text))
}
