//! Configuration: one TOML file, every field with a default that works.

use serde::Deserialize;
use std::{fmt, net::IpAddr, path::PathBuf};
use veilbourse_domain::{DomainError, Result, money::BASIS_POINTS, records::MAX_PAGE};

/// Requests a minute, by address (login, register) or account (the rest).
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Logins and refreshes.
    pub login: u32,
    /// Registrations.
    pub register: u32,
    /// Quotes.
    pub quote: u32,
    /// Orders.
    pub place: u32,
    /// Upload pieces.
    pub upload: u32,
    /// Drafts and submissions of listings.
    pub listing: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            login: 60,
            register: 30,
            quote: 120,
            place: 60,
            upload: 6_000,
            listing: 30,
        }
    }
}

/// A setting that holds a password: shown to nobody.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    /// What it is.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretText {
    fn from(v: String) -> Self {
        Self(v)
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}

/// The server's configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Data folder: database, objects, keys.
    pub dir: PathBuf,
    /// Address to listen on; port 0 takes a free one.
    pub listen: String,
    /// `sqlite://FILE?mode=rwc` or `postgres://...`; SQLite in `dir` by default.
    /// It may hold a password.
    pub database: Option<SecretText>,
    /// Reading connections.
    pub readers: u32,
    /// Worker threads of the HTTP server.
    pub workers: usize,
    /// The marketplace's fee in basis points of the price.
    pub fee_basis_points: u32,
    /// The pod operator's part in basis points of the price.
    pub pod_basis_points: u32,
    /// How long a quote holds, in seconds.
    pub quote_seconds: u32,
    /// How long a grant to a custodian's key node holds, in seconds.
    pub grant_seconds: u32,
    /// How long one to a quorum of a committee does: then another is granted.
    pub quorum_seconds: u32,
    /// Longest time from placing to an order's deadline, in seconds: so long an
    /// order may reserve a part of its listing's quota.
    pub order_seconds: u32,
    /// Drafts of listings that an account may have, at most 100.
    pub drafts: u32,
    /// Most bytes of dealings that a listing may have.
    pub dealing_bytes: u64,
    /// Where people reach the marketplace: `https://host`; links in letters begin
    /// with it. What the server listens on by default.
    pub public_url: Option<String>,
    /// Addresses of reverse proxies of the operator's: what their `X-Forwarded-For`
    /// says is who asks (ACC-5).
    pub trusted_proxies: Vec<IpAddr>,
    /// The SMTP relay that letters go to, `smtp://...` or `smtps://...`; absent,
    /// they go into the folder `mails` in `dir`.
    pub mail: Option<SecretText>,
    /// A file with a certificate (PEM) that is trusted for the relay.
    pub mail_ca: Option<PathBuf>,
    /// Who letters come from: `Name <address>`.
    pub mail_from: String,
    /// Days after which a sent letter's facts and address are erased.
    pub mail_days: u32,
    /// Most orders that may wait for pods; 0: no limit (PAR-14).
    pub queue_limit: u32,
    /// Whether webhooks may be sent to addresses that are not public, and to
    /// loopback without TLS (PAR-10): for tests and closed networks.
    pub webhook_allow_private: bool,
    /// A webhook that takes nothing for so many days is disabled (PAR-12).
    pub webhook_disable_days: u32,
    /// A file of certificates (PEM) that webhooks' receivers may be certified by,
    /// besides the public authorities.
    pub webhook_roots: Option<PathBuf>,
    /// Whether an account waits with listings, orders, money and machines until
    /// its mail address was verified (ACC-9).
    pub require_verified_mail: bool,
    /// Rate limits.
    pub limits: Limits,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            dir: "veilbourse-data".into(),
            listen: "127.0.0.1:8080".into(),
            database: None,
            readers: 4,
            workers: 2,
            fee_basis_points: 500,
            pod_basis_points: 2_000,
            quote_seconds: 900,
            grant_seconds: 600,
            quorum_seconds: 180,
            order_seconds: 86_400,
            drafts: 10,
            dealing_bytes: 8 << 30,
            public_url: None,
            trusted_proxies: Vec::new(),
            mail: None,
            mail_ca: None,
            mail_from: "Veilbourse <market@localhost>".into(),
            mail_days: 30,
            queue_limit: 0,
            webhook_allow_private: false,
            webhook_disable_days: 5,
            webhook_roots: None,
            require_verified_mail: true,
            limits: Limits::default(),
        }
    }
}

impl ServerConfig {
    /// Reads TOML; each refusal names field, limit and value.
    pub fn from_toml(text: &str) -> Result<Self> {
        let c: Self = toml::from_str(text)
            .map_err(|e| DomainError::invalid("configuration", located(text, &e)))?;
        c.check()?;
        Ok(c)
    }

    /// Checks the numbers.
    pub fn check(&self) -> Result<()> {
        let parts = u64::from(self.fee_basis_points) + u64::from(self.pod_basis_points);
        if parts > u64::from(BASIS_POINTS) {
            return Err(DomainError::TooLarge {
                field: "fee_basis_points + pod_basis_points",
                limit: u64::from(BASIS_POINTS),
                value: parts,
            });
        }
        for (field, value) in [
            ("readers", self.readers),
            ("quote_seconds", self.quote_seconds),
            ("grant_seconds", self.grant_seconds),
            ("quorum_seconds", self.quorum_seconds),
            ("order_seconds", self.order_seconds),
            ("limits.login", self.limits.login),
            ("limits.register", self.limits.register),
            ("limits.quote", self.limits.quote),
            ("limits.place", self.limits.place),
            ("limits.upload", self.limits.upload),
            ("limits.listing", self.limits.listing),
            ("drafts", self.drafts),
            ("webhook_disable_days", self.webhook_disable_days),
        ] {
            if value == 0 {
                return Err(DomainError::invalid(field, "must be positive"));
            }
        }
        if self.drafts > MAX_PAGE {
            return Err(DomainError::TooLarge {
                field: "drafts",
                limit: u64::from(MAX_PAGE),
                value: u64::from(self.drafts),
            });
        }
        if let Some(url) = &self.public_url {
            let rest = url.strip_prefix("https://").or(url.strip_prefix("http://"));
            if rest.is_none_or(|r| r.is_empty() || r.ends_with('/') || r.contains(['?', '#'])) {
                return Err(DomainError::invalid(
                    "public_url",
                    "must begin with http:// or https:// and not end with a slash",
                ));
            }
        }
        if self.workers == 0 {
            return Err(DomainError::invalid("workers", "must be positive"));
        }
        crate::postman::check_config(self)
    }

    /// The database's URL.
    pub fn database_url(&self) -> String {
        match &self.database {
            Some(url) => url.reveal().to_owned(),
            None => format!(
                "sqlite://{}?mode=rwc",
                self.dir.join("market.sqlite").display()
            ),
        }
    }
}

/// What is wrong, and in which line. The line itself may hold a password, and the
/// error's own text shows it.
fn located(text: &str, e: &toml::de::Error) -> String {
    let before = e.span().and_then(|s| text.get(..s.start));
    match before {
        Some(b) => format!("line {}: {}", b.matches('\n').count() + 1, e.message()),
        None => e.message().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_name_the_field() {
        assert!(ServerConfig::from_toml("").is_ok());
        let over = ServerConfig::from_toml("fee_basis_points = 9000\npod_basis_points = 2000");
        assert!(matches!(
            over,
            Err(DomainError::TooLarge {
                limit: 10_000,
                value: 11_000,
                ..
            })
        ));
        let zero = ServerConfig::from_toml("[limits]\nlogin = 0");
        assert!(matches!(
            zero,
            Err(DomainError::Invalid {
                field: "limits.login",
                ..
            })
        ));
        // MAIL-9: a relay needs a sender and a place that links lead to.
        for (text, expected) in [
            ("mail = \"smtp://r.example\"", "public_url"),
            (
                "mail = \"smtp://r.example\"\npublic_url = \"https://m.example\"",
                "mail_from",
            ),
            ("mail = \"http://r.example\"", "mail"),
            ("mail = \"smtp://u:geheim@r.example?tls=none\"", "mail"),
            ("mail_from = \"nobody\"", "mail_from"),
            ("mail_days = 0", "mail_days"),
            ("public_url = \"m.example\"", "public_url"),
            ("public_url = \"https://\"", "public_url"),
            ("public_url = \"https://m.example/?a=\"", "public_url"),
            (
                "public_url = \"https://m.example\\\"><script>\"",
                "public_url",
            ),
        ] {
            match ServerConfig::from_toml(text) {
                Err(DomainError::Invalid { field, reason }) => {
                    assert_eq!(field, expected, "{text}");
                    assert!(!reason.contains("geheim"), "{reason}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
        let unknown = ServerConfig::from_toml("colour = \"blue\"");
        assert!(matches!(
            unknown,
            Err(DomainError::Invalid {
                field: "configuration",
                ..
            })
        ));
    }

    #[test]
    fn passwords_are_shown_to_nobody() {
        // MAIL-9
        let text = r#"
            database = "postgres://me:geheim@db.example/market"
            mail = "smtps://me:geheim@relay.example"
            mail_from = "Market <market@example.org>"
            public_url = "https://market.example"
        "#;
        let c = ServerConfig::from_toml(text).expect("a good configuration");
        let url = c.mail.as_ref().map(SecretText::reveal);
        assert_eq!(url, Some("smtps://me:geheim@relay.example"));
        let shown = format!("{c:?}");
        assert!(
            !shown.contains("geheim") && shown.contains("SecretText(..)"),
            "{shown}"
        );
        assert_eq!(
            c.database_url(),
            "postgres://me:geheim@db.example/market",
            "but to the database"
        );
        // Nor by an error in the same line.
        for broken in [
            "\nmail = \"smtps://me:geheim@relay.example\" x",
            "\nmail = [\"smtps://me:geheim@relay.example\"]",
            "\ndatabase = \"postgres://me:geheim@db.example",
            "\nlimits = { login = \"geheim\" }",
        ] {
            match ServerConfig::from_toml(broken) {
                Err(DomainError::Invalid { field, reason }) => {
                    assert_eq!(field, "configuration");
                    assert!(reason.starts_with("line 2: "), "{reason}");
                    assert!(!reason.contains("geheim@"), "{reason}");
                }
                other => panic!("{broken}: {other:?}"),
            }
        }
    }
}
