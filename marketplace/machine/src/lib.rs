//! What compute pods and key nodes share: a token by signed statement, and
//! HTTP with a size limit on every answer. Time and randomness are given.

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use std::{sync::Arc, time::Duration};
use thiserror::Error;
use tokio::sync::Mutex;
use veilbourse_core::digest::Digest;
use veilbourse_documents::{
    DOCUMENT_VERSION, DocumentError, Id, Key, MachineLogin, Nonce, Signed, SigningKey,
    api::{ErrorAnswer, TokenAnswer},
    marketplace_id,
};

/// Most bytes of an answer that is a document.
const MAX_ANSWER: u64 = 32 << 20;
/// A token is renewed when it has less than this left.
const RENEW_MILLIS: u64 = 60_000;

/// Milliseconds since the epoch, asked for when needed.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What can go wrong between a machine and the server.
#[derive(Debug, Error)]
pub enum MachineError {
    /// The server refused.
    #[error("{path}: {message} [{code}]")]
    Server {
        /// What was asked.
        path: String,
        /// Stable code.
        code: String,
        /// For people.
        message: String,
    },
    /// No connection, or it broke.
    #[error("{path}: {source}")]
    Transport {
        /// What was asked.
        path: String,
        /// The cause.
        source: reqwest::Error,
    },
    /// An answer beyond its limit.
    #[error("{path}: answer exceeds {limit} bytes")]
    TooLarge {
        /// What was asked.
        path: String,
        /// The limit.
        limit: u64,
    },
    /// An answer that is not what the interface promises.
    #[error("{path}: unexpected answer: {reason}")]
    Answer {
        /// What was asked.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// A document could not be signed.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

impl MachineError {
    /// Whether asking again later may help.
    pub fn transient(&self) -> bool {
        match self {
            Self::Transport { .. } => true,
            Self::Server { code, .. } => {
                matches!(code.as_str(), "RATE_LIMITED" | "INTERNAL" | "CONFLICT")
            }
            _ => false,
        }
    }

    /// The stable code of a server's refusal.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Server { code, .. } => Some(code),
            _ => None,
        }
    }
}

/// Who a machine is, and whom it works for.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its id, given at registration.
    pub id: Id,
    /// Signs logins and what it hands in.
    pub key: SigningKey,
    /// The marketplace's key, pinned.
    pub marketplace: Key,
}

/// A machine's connection to its server.
pub struct Machine {
    identity: Identity,
    base: String,
    http: reqwest::Client,
    clock: Clock,
    rng: Mutex<ChaCha20Rng>,
    token: Mutex<Option<TokenAnswer>>,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine")
            .field("id", &self.identity.id)
            .field("base", &self.base)
            .finish()
    }
}

impl Machine {
    /// `base` without a trailing slash.
    pub fn new(identity: Identity, base: &str, clock: Clock, rng: ChaCha20Rng) -> Self {
        Self {
            identity,
            base: base.trim_end_matches('/').to_owned(),
            http: reqwest::Client::new(),
            clock,
            rng: Mutex::new(rng),
            token: Mutex::new(None),
        }
    }

    /// Who this is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The marketplace's id.
    pub fn marketplace(&self) -> Digest {
        marketplace_id(&self.identity.marketplace)
    }

    /// Now.
    pub fn now(&self) -> u64 {
        (self.clock)()
    }

    async fn token(&self) -> Result<String, MachineError> {
        let mut held = self.token.lock().await;
        let now = self.now();
        if let Some(t) = held.as_ref()
            && t.expires > now.saturating_add(RENEW_MILLIS)
        {
            return Ok(t.token.clone());
        }
        let mut nonce = [0u8; 32];
        self.rng.lock().await.fill_bytes(&mut nonce);
        let login = Signed::sign(
            MachineLogin {
                version: DOCUMENT_VERSION,
                marketplace: self.marketplace(),
                machine: self.identity.id.clone(),
                time: now,
                nonce: Nonce(nonce),
            },
            &self.identity.key,
        )?;
        let path = "/v1/machines/token";
        let request = self.http.post(format!("{}{path}", self.base)).json(&login);
        let answer: TokenAnswer = read(path, send(path, request).await?).await?;
        let token = answer.token.clone();
        *held = Some(answer);
        Ok(token)
    }

    async fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, MachineError> {
        let token = self.token().await?;
        Ok(self
            .http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(token))
    }

    async fn sent(&self, path: &str, request: RequestBuilder) -> Result<Response, MachineError> {
        let answer = send(path, request).await;
        if matches!(&answer, Err(MachineError::Server { code, .. }) if code == "TOKEN_INVALID") {
            *self.token.lock().await = None;
        }
        answer
    }

    /// `POST` a value; `None` when there is nothing (204).
    pub async fn post<T: Serialize, A: DeserializeOwned>(
        &self,
        path: &str,
        body: &T,
    ) -> Result<Option<A>, MachineError> {
        let request = self.request(Method::POST, path).await?.json(body);
        let response = self.sent(path, request).await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        read(path, response).await.map(Some)
    }

    /// `PUT` bytes.
    pub async fn put(&self, path: &str, lease: &Nonce, bytes: Vec<u8>) -> Result<(), MachineError> {
        let request = self
            .request(Method::PUT, path)
            .await?
            .header("lease", lease.to_string())
            .header("content-type", "application/octet-stream")
            .body(bytes);
        self.sent(path, request).await.map(drop)
    }

    /// `GET` bytes of at most `limit`.
    pub async fn get(&self, path: &str, limit: u64) -> Result<Vec<u8>, MachineError> {
        let request = self.request(Method::GET, path).await?;
        bounded(path, self.sent(path, request).await?, limit).await
    }

    /// `GET` an object that is made of parts of `length` bytes, part after part
    /// until `each` says that it has enough; one part is held at a time.
    pub async fn get_parts(
        &self,
        path: &str,
        length: u64,
        mut each: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), MachineError> {
        let length = length.max(1) as usize;
        let request = self.request(Method::GET, path).await?;
        let mut r = self.sent(path, request).await?;
        let transport = |source| MachineError::Transport {
            path: path.into(),
            source,
        };
        let mut part = Vec::new();
        while let Some(piece) = r.chunk().await.map_err(transport)? {
            let mut rest = &piece[..];
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(length - part.len()));
                part.extend_from_slice(now);
                rest = later;
                if part.len() == length {
                    if !each(&part) {
                        return Ok(());
                    }
                    part.clear();
                }
            }
        }
        if part.is_empty() {
            return Ok(());
        }
        Err(MachineError::Answer {
            path: path.into(),
            reason: format!("ends after {} of {length} bytes of a part", part.len()),
        })
    }
}

async fn send(path: &str, request: RequestBuilder) -> Result<Response, MachineError> {
    let transport = |source| MachineError::Transport {
        path: path.into(),
        source,
    };
    let response = request
        .timeout(Duration::from_secs(120))
        .send()
        .await
        .map_err(transport)?;
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status();
    let body = bounded(path, response, MAX_ANSWER)
        .await
        .unwrap_or_default();
    let ErrorAnswer { code, message } =
        serde_json::from_slice(&body).unwrap_or_else(|_| ErrorAnswer {
            code: status.as_str().to_owned(),
            message: status.to_string(),
        });
    Err(MachineError::Server {
        path: path.into(),
        code,
        message,
    })
}

async fn bounded(path: &str, mut r: Response, limit: u64) -> Result<Vec<u8>, MachineError> {
    let mut out = Vec::new();
    let transport = |source| MachineError::Transport {
        path: path.into(),
        source,
    };
    while let Some(piece) = r.chunk().await.map_err(transport)? {
        if (out.len() + piece.len()) as u64 > limit {
            return Err(MachineError::TooLarge {
                path: path.into(),
                limit,
            });
        }
        out.extend_from_slice(&piece);
    }
    Ok(out)
}

async fn read<A: DeserializeOwned>(path: &str, r: Response) -> Result<A, MachineError> {
    let body = bounded(path, r, MAX_ANSWER).await?;
    serde_json::from_slice(&body).map_err(|e| MachineError::Answer {
        path: path.into(),
        reason: e.to_string(),
    })
}
