//! The market's own accounts, and their passwords in a file (mode 0600).

use crate::{demo::world, files};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;
use veilbourse_client::{
    http::Server,
    market::{self, Session},
};
use veilbourse_server::{App, write_secret};
use zeroize::Zeroizing;

/// Mail address and password of an account.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    pub mail: String,
    pub password: String,
}

impl Login {
    fn fresh(name: &str) -> Self {
        Self {
            mail: format!("{name}@market.example"),
            password: world::password(),
        }
    }

    /// What a refused sign-in means here.
    fn changed(&self) -> String {
        format!(
            "{}: passwords.json does not open it any more: write its password there, or start with another --dir",
            self.mail
        )
    }

    /// Signs in to an account that is there.
    pub async fn sign_in(&self, server: &Server) -> Result<Session> {
        let session = market::login(server, &self.mail, &self.password).await;
        session.with_context(|| self.changed())
    }

    /// Signs in; the first time, registers.
    pub async fn account(
        &self,
        app: &App,
        server: &Server,
        name: &str,
        role: &str,
    ) -> Result<Session> {
        match market::login(server, &self.mail, &self.password).await {
            Err(e) if e.code() == Some("WRONG_CREDENTIALS") => {
                let made =
                    world::account_with(app, server, &self.mail, name, role, &self.password).await;
                made.with_context(|| self.changed())
            }
            signed_in => signed_in.with_context(|| self.changed()),
        }
    }
}

/// `passwords.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Passwords {
    /// Decides.
    pub admin: Login,
    /// Looks.
    pub auditor: Login,
    /// Runs pod and key nodes.
    pub operator: Login,
    /// Of the sample listing.
    pub custodian: Login,
}

impl Passwords {
    /// Reads the file, or makes it with fresh passwords.
    pub fn open(path: &Path) -> Result<Self> {
        if path.exists() {
            return files::read_json(path);
        }
        let made = Self {
            admin: Login::fresh("admin"),
            auditor: Login::fresh("auditor"),
            operator: Login::fresh("operator"),
            custodian: Login::fresh("custodian"),
        };
        let text = Zeroizing::new(serde_json::to_string_pretty(&made)?);
        write_secret(path, &text).with_context(|| path.display().to_string())?;
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_made_once_and_for_their_owner_alone() {
        // WEB-7
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("passwords.json");
        let made = Passwords::open(&path).expect("made");
        let read = Passwords::open(&path).expect("read");
        assert_eq!(made.admin.password, read.admin.password);
        assert_ne!(made.admin.password, made.auditor.password);
        assert!(made.admin.password.len() >= 24);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path)
                .expect("there")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}
