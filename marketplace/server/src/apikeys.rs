//! API keys (PAR-1..5): made, shown once, counted, ended.

use crate::{
    App,
    http::{Answer, Site, bearer},
};
use actix_web::HttpRequest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use veilbourse_domain::{
    Digest, Domain, DomainError, Result,
    access::{Pass, Viewer},
    id::{ApiKeyId, SessionId},
    partners::{ApiKey, KEY_PREFIX, MAX_OVERLAP_SECONDS, PER_DAY, PER_MINUTE},
};
use veilbourse_graphql::{KeyWanted, WithSecret};
use zeroize::Zeroizing;

/// Characters of a secret: the prefix and 32 bytes in base64url.
const SECRET_LENGTH: usize = KEY_PREFIX.len() + 43;
/// Characters of it that stay visible.
const SHOWN: usize = KEY_PREFIX.len() + 8;

/// PAR-2: what is stored of a secret.
fn secret_digest(secret: &str) -> Digest {
    Digest::of(Domain::Other("veilbourse v1 api key"), secret.as_bytes())
}

impl App {
    fn secret(&self) -> (String, String) {
        let bytes = Zeroizing::new(self.random::<32>());
        let secret = format!("{KEY_PREFIX}{}", URL_SAFE_NO_PAD.encode(*bytes));
        let shown = secret.chars().take(SHOWN).collect();
        (secret, shown)
    }

    pub(crate) async fn new_key(
        &self,
        pass: &Pass,
        wanted: KeyWanted,
    ) -> Result<WithSecret<ApiKey>> {
        let account = pass.viewer().account()?;
        self.must_be_verified(account).await?; // ACC-9
        let now = self.now();
        let (secret, prefix) = self.secret();
        let mut scopes = wanted.scopes;
        scopes.sort_unstable();
        scopes.dedup();
        let key = ApiKey {
            id: ApiKeyId::new(now, self.random()),
            account,
            name: wanted.name.trim().to_owned(),
            scopes,
            persisted_only: wanted.persisted_only,
            per_minute: wanted.per_minute.unwrap_or(PER_MINUTE.0),
            per_day: wanted.per_day.unwrap_or(PER_DAY.0),
            created_at: now,
            expires_at: wanted.expires_at,
            revoked_at: None,
            last_used_at: None,
            day_used: 0,
            day_at: 0,
            prefix,
        };
        key.check(now)?;
        let digest = secret_digest(&secret);
        self.store.create_api_key(&key, digest, now).await?;
        Ok(WithSecret { made: key, secret })
    }

    pub(crate) async fn rotate_key(
        &self,
        pass: &Pass,
        id: ApiKeyId,
        overlap_seconds: u32,
    ) -> Result<WithSecret<ApiKey>> {
        if overlap_seconds > MAX_OVERLAP_SECONDS {
            return Err(DomainError::TooLarge {
                field: "overlapSeconds",
                limit: MAX_OVERLAP_SECONDS.into(),
                value: overlap_seconds.into(),
            });
        }
        let now = self.now();
        let until = now.saturating_add(1_000 * u64::from(overlap_seconds));
        let (secret, prefix) = self.secret();
        let (account, digest) = (pass.viewer().account()?, secret_digest(&secret));
        let made = self
            .store
            .rotate_api_key(account, id, digest, &prefix, until, now)
            .await?;
        self.partners.key_ended();
        Ok(WithSecret { made, secret })
    }

    async fn live_key(&self, token: &str) -> Result<(ApiKey, Viewer)> {
        // Nothing longer is ever looked up.
        if token.len() != SECRET_LENGTH {
            return Err(DomainError::TokenInvalid {
                reason: "unknown API key",
            });
        }
        let digest = secret_digest(token);
        let (key, roles) = self.store.live_api_key(digest, self.now()).await?;
        let viewer = Viewer::Account {
            id: key.account,
            // The owner's present ones: a key never has more (PAR-3).
            roles,
            // No session has the id of a key.
            session: SessionId::from(key.id.uuid()),
            key: Some(key.in_use()),
        };
        Ok((key, viewer))
    }

    /// The viewer of a key's secret.
    pub(crate) async fn key_viewer(&self, token: &str) -> Result<Viewer> {
        Ok(self.live_key(token).await?.1)
    }

    /// PAR-4: counts a request of a live key; other tokens are not counted, and
    /// dead keys are refused where their viewer is asked for.
    pub(crate) async fn count_token(&self, token: &str) -> Result<()> {
        if !token.starts_with(KEY_PREFIX) {
            return Ok(());
        }
        match self.live_key(token).await {
            Ok((key, _)) => self.store.use_api_key(key.id, self.now()).await,
            Err(DomainError::TokenInvalid { .. }) => Ok(()),
            Err(e) => Err(e),
        }
    }
}

impl Site {
    /// PAR-4, for a request over HTTP: before anything of it is read.
    pub(crate) async fn count_key(&self, req: &HttpRequest) -> Answer<()> {
        let Some(token) = bearer(req) else {
            return Ok(());
        };
        let counted = self.app.count_token(token).await;
        counted.map_err(|e| self.refuse(e))
    }
}
