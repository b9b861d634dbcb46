//! Talking to the server: GraphQL operations and resumable uploads.
//!
//! What carries a request is the system's client, or, in a browser, what its page
//! lends; everything above that is the same.

pub mod hosted;
#[cfg(not(target_family = "wasm"))]
mod native;

#[cfg(target_family = "wasm")]
use hosted::Transport;
#[cfg(target_family = "wasm")]
pub use hosted::TransportError;
#[cfg(not(target_family = "wasm"))]
use native::Transport;
#[cfg(not(target_family = "wasm"))]
pub use native::TransportError;

use crate::{disk, error::ClientError};
use serde_json::{Value, json};
use std::{
    io::{Read, Seek, SeekFrom},
    path::Path,
    time::Duration,
};

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

/// What is sent.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `HEAD`, `POST`, `PUT` or `PATCH`.
    pub method: &'static str,
    /// The whole address.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(&'static str, String)>,
    /// The body, if there is one.
    pub body: Option<Vec<u8>>,
    /// Most bytes of an answer, and of an error.
    pub limits: [u64; 2],
    /// Until it is complete.
    pub time: Duration,
}

/// What came back.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header `upload-offset`.
    pub upload_offset: Option<String>,
    /// The body, within its limit.
    pub body: Vec<u8>,
}

impl Answer {
    fn success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Why nothing came back.
#[derive(Debug)]
pub enum Failure {
    /// Too late.
    Timeout,
    /// More bytes than the limit.
    TooLarge {
        /// The limit.
        limit: u64,
        /// Announced, or read so far.
        value: u64,
    },
    /// No connection, or it broke.
    Transport(TransportError),
}

/// A connection to one server, with or without a token.
#[derive(Debug, Clone)]
pub struct Server {
    base: String,
    token: Option<String>,
    transport: Transport,
}

impl Server {
    /// `base` without a trailing slash, for example `http://127.0.0.1:8080`.
    pub fn new(base: &str) -> Self {
        Self {
            base: base.trim_end_matches('/').to_owned(),
            token: None,
            transport: Transport::default(),
        }
    }

    /// The same with an HTTP client of the caller's, for TLS as it wants it.
    #[cfg(not(target_family = "wasm"))]
    pub fn over(base: &str, http: reqwest::Client) -> Self {
        // Not `..Self::new(base)`: a client of the default kind may not be possible
        // where the caller's has TLS of its own.
        Self {
            base: base.trim_end_matches('/').to_owned(),
            token: None,
            transport: Transport { http },
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

    fn request(&self, method: &'static str, path: &str) -> Request {
        let bearer = self.token.as_ref().map(|t| format!("Bearer {t}"));
        Request {
            method,
            url: format!("{}{path}", self.base),
            headers: bearer.map(|b| ("authorization", b)).into_iter().collect(),
            body: None,
            limits: [MAX_ANSWER, MAX_ERROR],
            time: ANSWER_TIME,
        }
    }

    async fn send(&self, operation: &str, request: Request) -> Result<Answer, ClientError> {
        let seconds = request.time.as_secs();
        let sent = self.transport.send(request).await;
        sent.map_err(|e| failure(operation, seconds, e))
    }

    /// Runs one GraphQL operation and returns the field named like it.
    pub async fn graphql(
        &self,
        operation: &str,
        document: &str,
        variables: Value,
    ) -> Result<Value, ClientError> {
        let body = json!({ "query": document, "variables": variables });
        let mut request = self.request("POST", "/graphql");
        request
            .headers
            .push(("content-type", "application/json".into()));
        request.body = Some(body.to_string().into_bytes());
        // An error of an operation is an answer like any other.
        request.limits = [MAX_ANSWER; 2];
        let answered = self.send(operation, request).await?;
        let status = answered.status;
        let answer: Value =
            serde_json::from_slice(&answered.body).map_err(|e| ClientError::Answer {
                operation: operation.into(),
                reason: format!("{status}: {e}"),
            })?;
        if let Some(e) = answer["errors"].as_array().and_then(|e| e.first()) {
            return Err(server_error(operation, &e["extensions"], &e["message"]));
        }
        if !answered.success() {
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
        let mut request = self.request("GET", path);
        request.limits = [limit, MAX_ERROR];
        Ok(accepted(path, self.send(path, request).await?)?.body)
    }

    /// `PUT path` with these bytes. The same again is taken again.
    pub async fn put(&self, path: &str, body: Vec<u8>) -> Result<(), ClientError> {
        let mut request = self.request("PUT", path);
        request.time = PIECE_TIME;
        request
            .headers
            .push(("content-type", "application/octet-stream".into()));
        request.body = Some(body);
        accepted(path, self.send(path, request).await?).map(drop)
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
        let io = |e| ClientError::file(file, e);
        let total = disk::length(file).map_err(io)?;
        let mut request = self.request("HEAD", &path);
        request.time = PIECE_TIME;
        let answer = accepted(&path, self.send(&path, request).await?)?;
        let mut offset = offset_of(&path, &answer)?;
        if offset > total {
            return Err(ClientError::Answer {
                operation: path,
                reason: format!("the server holds {offset} bytes, the file has {total}"),
            });
        }
        while offset < total {
            let n = PIECE.min(total - offset);
            let mut piece = vec![0u8; usize::try_from(n).unwrap_or(0)];
            let mut source = disk::open(file).map_err(io)?;
            source.seek(SeekFrom::Start(offset)).map_err(io)?;
            source.read_exact(&mut piece).map_err(io)?;
            drop(source);
            let mut request = self.request("PATCH", &path);
            request.time = PIECE_TIME;
            request.headers.extend([
                ("upload-offset", offset.to_string()),
                ("upload-length", total.to_string()),
                ("content-type", "application/offset+octet-stream".into()),
            ]);
            request.body = Some(piece);
            let answer = accepted(&path, self.send(&path, request).await?)?;
            offset = offset_of(&path, &answer)?;
            progress.step(name, offset, total);
        }
        Ok(())
    }
}

fn failure(operation: &str, seconds: u64, failure: Failure) -> ClientError {
    let operation = operation.into();
    match failure {
        Failure::Timeout => ClientError::Timeout { operation, seconds },
        Failure::TooLarge { limit, value } => ClientError::TooLarge {
            operation,
            field: "answer",
            limit,
            value,
        },
        Failure::Transport(source) => ClientError::Transport { operation, source },
    }
}

fn offset_of(path: &str, answer: &Answer) -> Result<u64, ClientError> {
    let offset = answer.upload_offset.as_deref();
    offset
        .and_then(|v| v.parse().ok())
        .ok_or_else(|| ClientError::Answer {
            operation: path.into(),
            reason: "no upload-offset header".into(),
        })
}

fn accepted(path: &str, answer: Answer) -> Result<Answer, ClientError> {
    if answer.success() {
        return Ok(answer);
    }
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    let status = answer.status.to_string();
    let code = said["code"].as_str().unwrap_or(&status).to_owned();
    let message = match said["message"].as_str() {
        Some(m) => m.to_owned(),
        None => format!("HTTP status {status}"),
    };
    Err(ClientError::Server {
        operation: path.into(),
        code,
        message,
        details: details(&said),
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
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

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
        let server = Server::new(&format!("http://{}", listener.local_addr().unwrap()));
        let mut request = server.request("GET", "/v1/x");
        request.time = Duration::from_millis(50);
        let sent = server.transport.send(request).await;
        assert!(matches!(sent, Err(Failure::Timeout)));
        let e = failure("/v1/x", ANSWER_TIME.as_secs(), Failure::Timeout);
        assert!(
            matches!(e, ClientError::Timeout { seconds: 900, .. }),
            "{e}"
        );
    }
}
