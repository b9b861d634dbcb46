//! Passwords, tokens, viewers (ACC-2..4) and machine tokens (POD, KEY).

use crate::{
    App,
    app::off_the_workers,
    limits::{Kind, network},
    people::{KNOWN_MILLIS, checked_name},
};
use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use jsonwebtoken::{
    Algorithm as JwtAlgorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode,
};
use serde::{Deserialize, Serialize};
use veilbourse_core::digest::{Digest, Domain};
use veilbourse_documents::{MachineLogin, Signed, SigningKey, api::TokenAnswer};
use veilbourse_domain::{
    DomainError, Millis, Result,
    access::{MachineKind, Role, Viewer},
    id::{AccountId, MachineId, Nonce, SessionId},
    mail::MailKind,
    partners::KEY_PREFIX,
    passwords::check_password,
    people::{AccountState, TokenPurpose},
    records::{Account, Decision, Session},
};
use veilbourse_graphql::SessionTokens;

/// Access tokens live 15 minutes (ACC-3).
pub const ACCESS_MILLIS: u64 = 15 * 60_000;
/// Machine tokens live 10 minutes.
pub const MACHINE_MILLIS: u64 = 10 * 60_000;
/// A session ends after 30 days, whatever is refreshed.
pub(crate) const SESSION_MILLIS: u64 = 30 * 86_400_000;
/// A login statement's time may be off by this much.
const SKEW_MILLIS: u64 = 60_000;
const AUDIENCE: &str = "veilbourse";

/// Roles that nobody registers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaffRole {
    /// Moderates.
    Admin,
    /// Sees what an admin sees, changes nothing.
    Auditor,
}

impl StaffRole {
    /// The role's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Auditor => "auditor",
        }
    }
}

/// What a token says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    /// `account`, `pod` or `node`.
    kind: String,
    /// The session of an account's token; the operator of a machine's.
    sid: String,
    roles: Vec<Role>,
    jti: String,
    /// Milliseconds: seconds would let a token outlive its revocation check.
    iat_ms: u64,
    exp_ms: u64,
}

/// Signs and checks tokens: EdDSA and nothing else (ACC-4).
pub struct TokenKeys {
    encoding: EncodingKey,
    decoding: DecodingKey,
    issuer: String,
}

impl TokenKeys {
    /// Under a key of its own, for one marketplace.
    pub fn new(key: &SigningKey, issuer: &Digest) -> Self {
        // PKCS#8 of an Ed25519 seed (RFC 8410 section 7).
        let mut der = hex::decode("302e020100300506032b657004220420").unwrap_or_default();
        der.extend_from_slice(key.as_bytes());
        Self {
            encoding: EncodingKey::from_ed_der(&der),
            decoding: DecodingKey::from_ed_der(key.verifying_key().as_bytes()),
            issuer: issuer.to_string(),
        }
    }

    fn sign(&self, claims: &Claims) -> Result<String> {
        encode(&Header::new(JwtAlgorithm::EdDSA), claims, &self.encoding)
            .map_err(DomainError::storage)
    }

    fn check(&self, token: &str, now: Millis) -> Result<Claims> {
        let refuse = |reason| DomainError::TokenInvalid { reason };
        let mut v = Validation::new(JwtAlgorithm::EdDSA);
        v.set_audience(&[AUDIENCE]);
        v.set_issuer(&[&self.issuer]);
        v.set_required_spec_claims(&["iss", "aud", "sub"]);
        // Our own milliseconds are checked below, against the given clock.
        v.validate_exp = false;
        let claims = decode::<Claims>(token, &self.decoding, &v)
            .map_err(|_| refuse("signature, algorithm, issuer or audience"))?
            .claims;
        if now >= claims.exp_ms {
            return Err(refuse("expired"));
        }
        if claims.iat_ms > now.saturating_add(SKEW_MILLIS) {
            return Err(refuse("from the future"));
        }
        Ok(claims)
    }
}

pub(crate) fn argon() -> Argon2<'static> {
    // OWASP's first choice: 19 MiB, 2 passes, 1 lane (ACC-2).
    let params = Params::new(19 * 1024, 2, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Hash of a password that nobody has: checked when the mail is unknown, so
/// that both refusals take the same time (ACC-2).
fn nobody() -> &'static str {
    static HASH: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    HASH.get_or_init(|| {
        argon()
            .hash_password_with_salt(b"nobody has this password", b"veilbourse nobody")
            .map(|h| h.to_string())
            .unwrap_or_default()
    })
}

pub(crate) fn mail(text: &str) -> Result<String> {
    let m = text.trim().to_lowercase();
    let plain = m.len() <= 254
        && m.split_once('@')
            .is_some_and(|(a, b)| !a.is_empty() && b.contains('.'))
        && !m.chars().any(|c| c.is_whitespace() || c.is_control());
    if plain {
        Ok(m)
    } else {
        Err(DomainError::invalid(
            "mail",
            format!("{text:?} is not a mail address"),
        ))
    }
}

fn refresh_digest(token: &[u8]) -> Digest {
    Digest::of(Domain::Other("veilbourse v1 refresh token"), token)
}

impl App {
    /// The hash of a password that was checked.
    pub(crate) async fn hash(&self, password: &str) -> Result<String> {
        let (password, salt) = (password.to_owned(), self.random::<16>());
        off_the_workers(&self.hashing, move || {
            argon()
                .hash_password_with_salt(password.as_bytes(), &salt)
                .map(|h| h.to_string())
                .map_err(DomainError::storage)
        })
        .await?
    }

    /// An account that is not stored yet.
    async fn new_account(
        &self,
        address: &str,
        name: &str,
        password: &str,
        mut roles: Vec<Role>,
    ) -> Result<Account> {
        let name = checked_name(name)?;
        roles.sort_unstable();
        roles.dedup();
        if roles.is_empty() {
            return Err(DomainError::invalid("roles", "at least one is needed"));
        }
        let mail = mail(address)?;
        check_password(password, &mail, &name)?;
        let now = self.now();
        Ok(Account {
            id: AccountId::new(now, self.random()),
            mail,
            name,
            password_hash: self.hash(password).await?,
            roles,
            created_at: now,
            verified_at: None,
            state: AccountState::Active,
            second_factor: false,
        })
    }

    /// Makes an account whose mail address somebody vouches for.
    pub(crate) async fn make_account(
        &self,
        address: &str,
        name: &str,
        password: &str,
        roles: Vec<Role>,
    ) -> Result<Account> {
        let now = self.now();
        let account = Account {
            verified_at: Some(now),
            ..self.new_account(address, name, password, roles).await?
        };
        self.store.create_account(&account, now).await?;
        Ok(account)
    }

    /// Makes an account and sends the letter that verifies its address. A taken
    /// address is answered alike, and takes as long (ACC-9): who owns it hears
    /// nothing, who asked finds that the password does not open it.
    pub(crate) async fn register(
        &self,
        address: &str,
        name: &str,
        password: &str,
        roles: Vec<Role>,
    ) -> Result<Account> {
        let a = self.new_account(address, name, password, roles).await?;
        let (link, facts) = self.new_link(TokenPurpose::VerifyMail, a.id, &a.mail, &a.name);
        let letter = self.letter(a.id, &a.mail, MailKind::VerifyMail, facts);
        self.store
            .register_account(&a, &link, &letter, self.now())
            .await?;
        Ok(a)
    }

    /// Makes an admin or auditor, from the operator's shell only (ACC-2). One
    /// that is there already stays as it is.
    pub async fn make_staff(
        &self,
        address: &str,
        password: &str,
        role: StaffRole,
    ) -> Result<AccountId> {
        let role = match role {
            StaffRole::Admin => Role::Admin,
            StaffRole::Auditor => Role::Auditor,
        };
        if let Some(a) = self.store.account_by_mail(&mail(address)?).await? {
            return if a.roles.contains(&role) {
                Ok(a.id)
            } else {
                Err(DomainError::MailTaken)
            };
        }
        Ok(self
            .make_account(address, role.name(), password, vec![role])
            .await?
            .id)
    }

    /// The account of a mail and password, and of a code where it asks for one
    /// (ACC-2, ACC-11, ACC-14).
    pub(crate) async fn check_credentials(
        &self,
        peer: &str,
        address: &str,
        password: &str,
        code: Option<&str>,
    ) -> Result<Account> {
        self.limits.take(Kind::Login, peer)?;
        let now = self.now();
        let address = mail(address).ok();
        let found = match &address {
            Some(m) => self.store.account_by_mail(m).await?,
            None => None,
        };
        let network = network(peer);
        if let Some(m) = &address
            && let Err(e) = self.people.guesses.begin(m, &network, now)
        {
            // ACC-14: a stranger's guesses do not keep the owner out.
            let since = now.saturating_sub(KNOWN_MILLIS);
            let known = match &found {
                Some(a) => self.store.known_address(a.id, peer, since).await?,
                None => false,
            };
            if !known {
                return Err(e);
            }
            self.people.guesses.begin_known(m, &network, now);
        }
        let hash = found
            .as_ref()
            .map_or(nobody(), |a| &a.password_hash)
            .to_owned();
        let good = self.is_password(password, hash).await?;
        let a = match found {
            Some(a) if good => a,
            _ => return Err(DomainError::WrongCredentials),
        };
        self.people.guesses.forget(&a.mail, &network);
        if a.state != AccountState::Active {
            return Err(DomainError::AccountSuspended);
        }
        self.pass_factor(&a, code).await?;
        Ok(a)
    }

    pub(crate) async fn sign_in(
        &self,
        peer: &str,
        agent: &str,
        address: &str,
        password: &str,
        code: Option<&str>,
    ) -> Result<SessionTokens> {
        let a = self
            .check_credentials(peer, address, password, code)
            .await?;
        self.begin_session(peer, agent, &a).await
    }

    /// Opens a session of an account whose credentials were checked.
    pub(crate) async fn begin_session(
        &self,
        peer: &str,
        agent: &str,
        a: &Account,
    ) -> Result<SessionTokens> {
        let session = self.new_session(a, peer, agent);
        let refresh = self.random::<32>();
        self.store
            .open_session(&session, refresh_digest(&refresh))
            .await?;
        self.still_good(a, &session).await?;
        self.session_tokens(a, &session, &refresh)
    }

    /// Ends a session that was opened by a password which was replaced while it
    /// was checked: the reset that ends every session came before it (ACC-10).
    /// Looked at after the session is stored, so that one of both sees the other.
    pub(crate) async fn still_good(&self, a: &Account, session: &Session) -> Result<()> {
        let now = self.store.account(a.id).await?;
        if now.password_hash == a.password_hash {
            return Ok(());
        }
        self.store
            .revoke_sessions(a.id, Some(session.id), self.now())
            .await?;
        Err(DomainError::WrongCredentials)
    }

    fn session_tokens(
        &self,
        a: &Account,
        s: &Session,
        refresh: &[u8; 32],
    ) -> Result<SessionTokens> {
        let now = self.now();
        let expires = now.saturating_add(ACCESS_MILLIS).min(s.expires_at);
        let access = self.tokens.sign(&Claims {
            iss: self.id.to_string(),
            aud: AUDIENCE.into(),
            sub: a.id.to_string(),
            kind: "account".into(),
            sid: s.id.to_string(),
            roles: a.roles.clone(),
            jti: hex::encode(self.random::<16>()),
            iat_ms: now,
            exp_ms: expires,
        })?;
        Ok(SessionTokens {
            access,
            access_expires: expires,
            refresh: hex::encode(refresh),
            account: a.id,
        })
    }

    pub(crate) async fn rotate(&self, peer: &str, token: &str) -> Result<SessionTokens> {
        self.limits.take(Kind::Login, peer)?;
        let unknown = DomainError::TokenInvalid {
            reason: "unknown refresh token",
        };
        let mut old = [0u8; 32];
        hex::decode_to_slice(token, &mut old).map_err(|_| unknown)?;
        let fresh = self.random::<32>();
        let session = self
            .store
            .rotate_refresh(refresh_digest(&old), refresh_digest(&fresh), self.now())
            .await?;
        let account = self.store.account(session.account).await?;
        self.session_tokens(&account, &session, &fresh)
    }

    /// The viewer of a bearer token; nobody without one.
    pub(crate) async fn viewer(&self, token: Option<&str>) -> Result<Viewer> {
        let Some(token) = token else {
            return Ok(Viewer::Anonymous);
        };
        if token.starts_with(KEY_PREFIX) {
            return self.key_viewer(token).await; // PAR-1
        }
        let claims = self.tokens.check(token, self.now())?;
        let refuse = |reason| DomainError::TokenInvalid { reason };
        match claims.kind.as_str() {
            "account" => {
                let session: SessionId = claims.sid.parse()?;
                if !self.store.session_live(session, self.now()).await? {
                    return Err(refuse("revoked"));
                }
                Ok(Viewer::Account {
                    id: claims.sub.parse()?,
                    roles: claims.roles,
                    session,
                    key: None,
                })
            }
            kind @ ("pod" | "node") => {
                let id: MachineId = claims.sub.parse()?;
                if self.store.machine(id).await?.decision != Decision::Approved {
                    return Err(refuse("the machine is not approved"));
                }
                Ok(Viewer::Machine {
                    id,
                    kind: MachineKind::parse(kind)?,
                    operator: claims.sid.parse()?,
                })
            }
            _ => Err(refuse("kind")),
        }
    }

    /// A machine's token for its signed statement.
    pub(crate) async fn machine_token(
        &self,
        peer: &str,
        login: &Signed<MachineLogin>,
    ) -> Result<TokenAnswer> {
        self.limits.take(Kind::Login, peer)?;
        let refuse = |reason| DomainError::TokenInvalid { reason };
        login
            .verify_for(&self.id)
            .map_err(|_| refuse("statement does not verify"))?;
        let body = &login.body;
        let machine = match self.store.machine(body.machine.as_str().parse()?).await {
            Ok(m) => m,
            Err(DomainError::NotFound { .. }) => return Err(refuse("unknown machine")),
            Err(e) => return Err(e),
        };
        if machine.signing_key.0 != login.key.0 {
            return Err(refuse("signed by another key than the machine's"));
        }
        if machine.decision != Decision::Approved {
            return Err(refuse("the machine is not approved"));
        }
        let now = self.now();
        if body.time.abs_diff(now) > SKEW_MILLIS {
            return Err(refuse("the statement's time is off by more than 60 s"));
        }
        let expires = now.saturating_add(2 * SKEW_MILLIS);
        self.store
            .use_nonce(machine.id, Nonce(body.nonce.0), expires, now)
            .await?;
        let expires = now.saturating_add(MACHINE_MILLIS);
        let token = self.tokens.sign(&Claims {
            iss: self.id.to_string(),
            aud: AUDIENCE.into(),
            sub: machine.id.to_string(),
            kind: machine.kind.name().into(),
            sid: machine.operator.to_string(),
            roles: Vec::new(),
            jti: hex::encode(self.random::<16>()),
            iat_ms: now,
            exp_ms: expires,
        })?;
        Ok(TokenAnswer { token, expires })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(seed: u8) -> TokenKeys {
        TokenKeys::new(&SigningKey::from_bytes(&[seed; 32]), &Digest([1; 32]))
    }

    fn claims() -> Claims {
        Claims {
            iss: Digest([1; 32]).to_string(),
            aud: AUDIENCE.into(),
            sub: "x".into(),
            kind: "account".into(),
            sid: "y".into(),
            roles: vec![Role::Buyer],
            jti: "z".into(),
            iat_ms: 1_000,
            exp_ms: 2_000,
        }
    }

    #[test]
    fn tokens_of_others_are_refused() {
        // ACC-4
        let k = keys(1);
        let good = k.sign(&claims()).unwrap();
        assert!(k.check(&good, 1_500).is_ok());
        assert_eq!(
            k.check(&good, 2_000).unwrap_err(),
            DomainError::TokenInvalid { reason: "expired" }
        );
        let future = k
            .sign(&Claims {
                iat_ms: 70_000,
                exp_ms: 90_000,
                ..claims()
            })
            .unwrap();
        assert_eq!(
            k.check(&future, 1_000).unwrap_err(),
            DomainError::TokenInvalid {
                reason: "from the future"
            }
        );
        let bad = Err(DomainError::TokenInvalid {
            reason: "signature, algorithm, issuer or audience",
        });
        let by_other = keys(2).sign(&claims()).unwrap();
        let other_issuer = k
            .sign(&Claims {
                iss: Digest([2; 32]).to_string(),
                ..claims()
            })
            .unwrap();
        let other_audience = k
            .sign(&Claims {
                aud: "elsewhere".into(),
                ..claims()
            })
            .unwrap();
        // alg none: header {"alg":"none"}, the good payload, no signature.
        let payload = good.split('.').nth(1).unwrap();
        let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.");
        let hmac = encode(
            &Header::new(JwtAlgorithm::HS256),
            &claims(),
            &EncodingKey::from_secret(SigningKey::from_bytes(&[1; 32]).verifying_key().as_bytes()),
        )
        .unwrap();
        for token in [
            by_other,
            other_issuer,
            other_audience,
            none,
            hmac,
            String::new(),
        ] {
            assert_eq!(k.check(&token, 1_500).map(|_| ()), bad.clone(), "{token}");
        }
        let mut tampered = good.clone().into_bytes();
        let at = good.find('.').unwrap() + 5;
        tampered[at] ^= 1;
        assert!(k.check(&String::from_utf8_lossy(&tampered), 1_500).is_err());
    }

    #[test]
    fn mail_addresses() {
        assert_eq!(mail(" A@Example.org ").unwrap(), "a@example.org");
        for bad in ["", "a", "a@b", "@b.c", "a b@c.d"] {
            assert!(mail(bad).is_err(), "{bad}");
        }
    }
}
