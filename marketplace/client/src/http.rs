//! Talking to the server: GraphQL operations and resumable uploads.

use crate::error::ClientError;
use serde_json::{Value, json};
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

/// Bytes sent by one PATCH of an upload.
const PIECE: u64 = 4 << 20;

/// Reports long work; the CLI draws it, tests ignore it.
pub trait Progress: Send + Sync {
    /// `done` of `total` units of `stage` are finished.
    fn step(&self, stage: &str, done: u64, total: u64);
}

/// No display.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn step(&self, _: &str, _: u64, _: u64) {}
}

/// A connection to one server, with or without a token.
#[derive(Debug, Clone)]
pub struct Server {
    base: String,
    token: Option<String>,
    http: reqwest::Client,
}

impl Server {
    /// `base` without a trailing slash, for example `http://127.0.0.1:8080`.
    pub fn new(base: &str) -> Self {
        Self {
            base: base.trim_end_matches('/').to_owned(),
            token: None,
            http: reqwest::Client::new(),
        }
    }

    /// The same server, speaking as the holder of an access token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// The server's address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The access token, if there is one.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let r = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(t) => r.bearer_auth(t),
            None => r,
        }
    }

    /// Runs one GraphQL operation and returns the field named like it.
    pub async fn graphql(
        &self,
        operation: &str,
        document: &str,
        variables: Value,
    ) -> Result<Value, ClientError> {
        let transport = |source| ClientError::Transport {
            operation: operation.into(),
            source,
        };
        let response = self
            .request(reqwest::Method::POST, "/graphql")
            .json(&json!({ "query": document, "variables": variables }))
            .send()
            .await
            .map_err(transport)?;
        let status = response.status();
        let body = response.bytes().await.map_err(transport)?;
        let answer: Value = serde_json::from_slice(&body).map_err(|e| ClientError::Answer {
            operation: operation.into(),
            reason: format!("{status}: {e}"),
        })?;
        if let Some(e) = answer["errors"].as_array().and_then(|e| e.first()) {
            return Err(server_error(
                operation,
                e["extensions"]["code"].as_str(),
                &e["message"],
            ));
        }
        if !status.is_success() {
            return Err(server_error(
                operation,
                answer["code"].as_str(),
                &answer["message"],
            ));
        }
        match answer["data"].get(operation) {
            Some(v) => Ok(v.clone()),
            None => Err(ClientError::Answer {
                operation: operation.into(),
                reason: "the field is missing".into(),
            }),
        }
    }

    /// `GET path`, the whole body.
    pub async fn get(&self, path: &str) -> Result<Vec<u8>, ClientError> {
        let transport = |source| ClientError::Transport {
            operation: path.into(),
            source,
        };
        let response = self
            .request(reqwest::Method::GET, path)
            .send()
            .await
            .map_err(transport)?;
        let response = accepted(path, response).await?;
        Ok(response.bytes().await.map_err(transport)?.to_vec())
    }

    /// Uploads a file as an object of a listing, from where the server has it
    /// (rule UP-1). Calling it again after any interruption resumes.
    pub async fn upload(
        &self,
        listing: &str,
        name: &str,
        file: &Path,
        progress: &dyn Progress,
    ) -> Result<(), ClientError> {
        let path = format!("/v1/listings/{listing}/objects/{name}");
        let transport = |source| ClientError::Transport {
            operation: path.clone(),
            source,
        };
        let io = |e| ClientError::file(file, e);
        let total = tokio::fs::metadata(file).await.map_err(io)?.len();
        let response = self
            .request(reqwest::Method::HEAD, &path)
            .send()
            .await
            .map_err(transport)?;
        let response = accepted(&path, response).await?;
        let mut offset = header(&path, &response, "upload-offset")?;
        if offset > total {
            return Err(ClientError::Answer {
                operation: path,
                reason: format!("the server holds {offset} bytes, the file has {total}"),
            });
        }
        let mut source = tokio::fs::File::open(file).await.map_err(io)?;
        while offset < total {
            let n = PIECE.min(total - offset);
            let mut piece = vec![0u8; usize::try_from(n).unwrap_or(0)];
            source
                .seek(std::io::SeekFrom::Start(offset))
                .await
                .map_err(io)?;
            source.read_exact(&mut piece).await.map_err(io)?;
            let response = self
                .request(reqwest::Method::PATCH, &path)
                .header("upload-offset", offset.to_string())
                .header("upload-length", total.to_string())
                .header("content-type", "application/offset+octet-stream")
                .body(piece)
                .send()
                .await
                .map_err(transport)?;
            let response = accepted(&path, response).await?;
            offset = header(&path, &response, "upload-offset")?;
            progress.step(name, offset, total);
        }
        Ok(())
    }
}

fn header(path: &str, r: &reqwest::Response, name: &str) -> Result<u64, ClientError> {
    r.headers()
        .get(name)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse().ok())
        .ok_or_else(|| ClientError::Answer {
            operation: path.into(),
            reason: format!("no {name} header"),
        })
}

async fn accepted(path: &str, r: reqwest::Response) -> Result<reqwest::Response, ClientError> {
    if r.status().is_success() {
        return Ok(r);
    }
    let status = r.status();
    let body = r.bytes().await.unwrap_or_default();
    let answer: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let code = answer["code"]
        .as_str()
        .map_or_else(|| status.as_str().to_owned(), str::to_owned);
    let message = match answer["message"].as_str() {
        Some(m) => m.to_owned(),
        None => status.to_string(),
    };
    Err(ClientError::Server {
        operation: path.into(),
        code,
        message,
    })
}

fn server_error(operation: &str, code: Option<&str>, message: &Value) -> ClientError {
    ClientError::Server {
        operation: operation.into(),
        code: code.unwrap_or("INTERNAL").into(),
        message: message.as_str().unwrap_or("no message").into(),
    }
}
