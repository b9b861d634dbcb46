//! Requests by the system's sockets.

use super::{Answer, Failure, Request};

/// What a connection fails with.
pub type TransportError = reqwest::Error;

/// The system's client.
#[derive(Debug, Clone, Default)]
pub(super) struct Transport {
    pub(super) http: reqwest::Client,
}

impl Transport {
    pub(super) async fn send(&self, request: Request) -> Result<Answer, Failure> {
        let method = reqwest::Method::from_bytes(request.method.as_bytes());
        let mut builder = self
            .http
            .request(method.unwrap_or_default(), request.url)
            .timeout(request.time);
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        let response = builder.send().await.map_err(failed)?;
        let offset = response.headers().get("upload-offset");
        let mut answer = Answer {
            status: response.status().as_u16(),
            upload_offset: offset.and_then(|v| v.to_str().ok()).map(str::to_owned),
            body: Vec::new(),
        };
        let [limit, of_error] = request.limits;
        if answer.success() || of_error == limit {
            answer.body = bounded(response, limit).await?;
        } else {
            // The status stays, whatever the body is.
            answer.body = bounded(response, of_error).await.unwrap_or_default();
        }
        Ok(answer)
    }
}

fn failed(source: reqwest::Error) -> Failure {
    match source.is_timeout() {
        true => Failure::Timeout,
        false => Failure::Transport(source),
    }
}

/// The body, refused as soon as it is known to be longer than it may be.
async fn bounded(mut response: reqwest::Response, limit: u64) -> Result<Vec<u8>, Failure> {
    let fits = |value| match value > limit {
        false => Ok(()),
        true => Err(Failure::TooLarge { limit, value }),
    };
    fits(response.content_length().unwrap_or(0))?;
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(failed)? {
        fits(body.len() as u64 + piece.len() as u64)?;
        body.extend_from_slice(&piece);
    }
    Ok(body)
}
