//! Talking to the server: GraphQL operations and resumable uploads.

use crate::error::ClientError;
use serde_json::{Value, json};
use std::{path::Path, time::Duration};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

/// Bytes sent by one PATCH of an upload.
const PIECE: u64 = 4 << 20;
/// Most bytes of an answer, where nothing smaller is known: a page of listings
/// with their manifests.
pub const MAX_ANSWER: u64 = 64 << 20;
/// Most bytes of an error's body.
const MAX_ERROR: u64 = 64 << 10;
/// Until an answer is complete. The server recomputes a dataset's commitments
/// within one operation.
const ANSWER_TIME: Duration = Duration::from_secs(900);
/// Until one piece of an upload is taken.
const PIECE_TIME: Duration = Duration::from_secs(300);

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
        Self::over(base, reqwest::Client::new())
    }

    /// The same with an HTTP client of the caller's, for TLS as it wants it.
    pub fn over(base: &str, http: reqwest::Client) -> Self {
        Self {
            base: base.trim_end_matches('/').to_owned(),
            token: None,
            http,
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
        let r = self
            .http
            .request(method, format!("{}{path}", self.base))
            .timeout(ANSWER_TIME);
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
        let transport = |e| transport(operation, ANSWER_TIME, e);
        let response = self
            .request(reqwest::Method::POST, "/graphql")
            .json(&json!({ "query": document, "variables": variables }))
            .send()
            .await
            .map_err(transport)?;
        let status = response.status();
        let body = bounded(operation, response, MAX_ANSWER).await?;
        let answer: Value = serde_json::from_slice(&body).map_err(|e| ClientError::Answer {
            operation: operation.into(),
            reason: format!("{status}: {e}"),
        })?;
        if let Some(e) = answer["errors"].as_array().and_then(|e| e.first()) {
            return Err(server_error(operation, &e["extensions"], &e["message"]));
        }
        if !status.is_success() {
            return Err(server_error(operation, &answer, &answer["message"]));
        }
        match answer["data"].get(operation) {
            Some(v) => Ok(v.clone()),
            None => Err(ClientError::Answer {
                operation: operation.into(),
                reason: "the field is missing".into(),
            }),
        }
    }

    /// `GET path`, the whole body, of [`MAX_ANSWER`] bytes at most.
    pub async fn get(&self, path: &str) -> Result<Vec<u8>, ClientError> {
        self.get_within(path, MAX_ANSWER).await
    }

    /// `GET path`, the whole body, of `limit` bytes at most.
    pub async fn get_within(&self, path: &str, limit: u64) -> Result<Vec<u8>, ClientError> {
        let transport = |e| transport(path, ANSWER_TIME, e);
        let response = self
            .request(reqwest::Method::GET, path)
            .send()
            .await
            .map_err(transport)?;
        let response = accepted(path, response).await?;
        bounded(path, response, limit).await
    }

    /// `PUT path` with these bytes. The same again is taken again.
    pub async fn put(&self, path: &str, body: Vec<u8>) -> Result<(), ClientError> {
        let response = self
            .request(reqwest::Method::PUT, path)
            .timeout(PIECE_TIME)
            .header("content-type", "application/octet-stream")
            .body(body)
            .send()
            .await
            .map_err(|e| transport(path, PIECE_TIME, e))?;
        accepted(path, response).await.map(drop)
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
        let transport = |e| transport(&path, PIECE_TIME, e);
        let io = |e| ClientError::file(file, e);
        let total = tokio::fs::metadata(file).await.map_err(io)?.len();
        let response = self
            .request(reqwest::Method::HEAD, &path)
            .timeout(PIECE_TIME)
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
                .timeout(PIECE_TIME)
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

fn transport(operation: &str, limit: Duration, source: reqwest::Error) -> ClientError {
    let operation = operation.into();
    if source.is_timeout() {
        let seconds = limit.as_secs();
        return ClientError::Timeout { operation, seconds };
    }
    ClientError::Transport { operation, source }
}

/// The body, refused as soon as it is known to be longer than it may be.
async fn bounded(
    operation: &str,
    mut response: reqwest::Response,
    limit: u64,
) -> Result<Vec<u8>, ClientError> {
    let fits = |value| match value > limit {
        false => Ok(()),
        true => Err(ClientError::TooLarge {
            operation: operation.into(),
            field: "answer",
            limit,
            value,
        }),
    };
    fits(response.content_length().unwrap_or(0))?;
    let mut body = Vec::new();
    while let Some(piece) = response
        .chunk()
        .await
        .map_err(|e| transport(operation, ANSWER_TIME, e))?
    {
        fits(body.len() as u64 + piece.len() as u64)?;
        body.extend_from_slice(&piece);
    }
    Ok(body)
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
    let body = bounded(path, r, MAX_ERROR).await.unwrap_or_default();
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
        details: details(&answer),
    })
}

fn server_error(operation: &str, said: &Value, message: &Value) -> ClientError {
    ClientError::Server {
        operation: operation.into(),
        code: said["code"].as_str().unwrap_or("INTERNAL").into(),
        message: message.as_str().unwrap_or("no message").into(),
        details: details(said),
    }
}

/// What was said beside code and message, as far as it is words and numbers.
fn details(said: &Value) -> Value {
    let mut rest = said.as_object().cloned().unwrap_or_default();
    rest.retain(|name, v| {
        !matches!(name.as_str(), "code" | "message") && (v.is_string() || v.is_number())
    });
    Value::Object(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    /// Answers every request with the same bytes, then keeps sending zeros.
    async fn stub(head: &'static str) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let mut request = [0u8; 4096];
                    let _ = stream.read(&mut request).await;
                    let _ = stream.write_all(head.as_bytes()).await;
                    while stream.write_all(&[b' '; 1 << 14]).await.is_ok() {}
                });
            }
        });
        Server::new(&base)
    }

    fn too_large(e: &ClientError) -> (&str, u64, u64) {
        match e {
            ClientError::TooLarge {
                field,
                limit,
                value,
                ..
            } => (field, *limit, *value),
            other => panic!("{other}"),
        }
    }

    #[tokio::test]
    async fn answers_are_bounded_announced_or_not() {
        let server = stub("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n").await;
        let e = server.get("/v1/x").await.unwrap_err();
        assert_eq!(too_large(&e), ("answer", MAX_ANSWER, 99_999_999_999));
        assert!(e.to_string().contains("67108864"), "{e}");
        let e = server
            .graphql("listing", "{ x }", json!({}))
            .await
            .unwrap_err();
        assert_eq!(too_large(&e).1, MAX_ANSWER);

        let server = stub("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await;
        let e = server.get_within("/v1/x", 100_000).await.unwrap_err();
        let (field, limit, value) = too_large(&e);
        assert_eq!((field, limit), ("answer", 100_000));
        assert!((limit..10 * limit).contains(&value), "{value}");

        // An error's body beyond its limit: the status stays.
        let server = stub("HTTP/1.1 404 Not Found\r\ncontent-length: 99999999\r\n\r\n").await;
        let e = server.get("/v1/x").await.unwrap_err();
        assert_eq!(e.code(), Some("404"));
    }

    #[tokio::test]
    async fn what_a_refusal_says_beside_its_code_is_kept() {
        let said = json!({ "code": "TOO_LARGE", "status": 413, "field": "program",
            "limit": "10", "value": "11", "data": null });
        let e = server_error("quote", &said, &json!("program is too large"));
        let ClientError::Server { code, details, .. } = e else {
            panic!("{e}");
        };
        assert_eq!(code, "TOO_LARGE");
        let expected = json!({ "status": 413, "field": "program", "limit": "10", "value": "11" });
        assert_eq!(details, expected);
        let e = server_error("quote", &Value::Null, &Value::Null);
        assert_eq!(e.code(), Some("INTERNAL"));
    }

    #[tokio::test]
    async fn silence_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let short = Duration::from_millis(50);
        let sent = Server::new(&base)
            .request(reqwest::Method::GET, "/v1/x")
            .timeout(short)
            .send()
            .await;
        let e = transport("/v1/x", ANSWER_TIME, sent.unwrap_err());
        assert!(
            matches!(e, ClientError::Timeout { seconds: 900, .. }),
            "{e}"
        );
    }
}
