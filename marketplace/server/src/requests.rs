//! How a GraphQL request over HTTP is answered: registered documents (PAR-6,
//! PAR-7), requests that are done once (PAR-8), statuses beside 200.

use crate::{App, http::Site, service::Market};
use actix_web::{HttpRequest, HttpResponse, http::header};
use async_graphql::{
    Pos, Request, Response, Value, parser::parse_query, parser::types::OperationType,
};
use sha2::{Digest as _, Sha256};
use std::{sync::Arc, time::Duration};
use veilbourse_domain::{
    Digest, Domain, DomainError, Result,
    access::{Pass, Surface, Viewer, authorize},
    id::AccountId,
    partners::{Claim, MAX_IDEMPOTENCY_KEY, MAX_IDEMPOTENT_ANSWER, PersistedQuery, Settled},
    scopes::{KeyAccess, key_access},
};
use veilbourse_graphql::{Caller, MAX_DOCUMENT, MarketSchema, Service, single_root, to_graphql};

/// The header of requests that are to be done once.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Says that an answer was given before.
const REPLAYED: &str = "idempotency-replayed";
/// A claim holds so long after its process is gone.
const CLAIM_MILLIS: u64 = 60_000;
/// And is prolonged so often while it is not.
const PROLONG: Duration = Duration::from_secs(20);
/// The same request again waits for the first one's answer, so often and so long.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS: u32 = 100;
/// Answers with secrets, which nothing keeps.
const SECRET: [&str; 2] = ["createWebhook", "rotateWebhookSecret"];

/// The idempotency key of a request and its digest.
#[derive(Debug, Clone)]
pub(crate) struct Once {
    key: String,
    request: Digest,
}

impl Once {
    /// Of a request that has the header.
    pub(crate) fn of(req: &HttpRequest, body: &[u8]) -> Result<Option<Self>> {
        let Some(key) = req.headers().get(IDEMPOTENCY_KEY) else {
            return Ok(None);
        };
        let bad = |reason: &str| DomainError::invalid("Idempotency-Key", reason);
        let key = key.to_str().map_err(|_| bad("must be ASCII"))?;
        if key.is_empty() || key.len() > MAX_IDEMPOTENCY_KEY {
            return Err(bad("must have 1 to 100 bytes"));
        }
        // The same request may be written in another order.
        let value: serde_json::Value = serde_json::from_slice(body)
            .map_err(|e| DomainError::invalid("request", e.to_string()))?;
        let mut canonical = Vec::new();
        write_exact(&value, &mut canonical);
        Ok(Some(Self {
            key: key.to_owned(),
            request: Digest::of(
                Domain::Other("veilbourse v1 idempotent request"),
                &canonical,
            ),
        }))
    }
}

/// JSON with sorted names and without white space. RFC 8785 would write numbers as
/// doubles, and integers of more than 53 bits that differ as the same: another
/// request would get this one's answer.
fn write_exact(v: &serde_json::Value, out: &mut Vec<u8>) {
    use serde_json::Value as Json;
    let name = |n: &str| Json::from(n).to_string();
    match v {
        Json::Object(fields) => {
            let mut all: Vec<_> = fields.iter().collect();
            all.sort_by_key(|(n, _)| n.as_str());
            out.push(b'{');
            for (n, (key, value)) in all.into_iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(name(key).as_bytes());
                out.push(b':');
                write_exact(value, out);
            }
            out.push(b'}');
        }
        Json::Array(all) => {
            out.push(b'[');
            for (n, value) in all.iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                write_exact(value, out);
            }
            out.push(b']');
        }
        plain => out.extend_from_slice(plain.to_string().as_bytes()),
    }
}

fn sha256(document: &str) -> String {
    hex::encode(Sha256::digest(document.as_bytes()))
}

/// `extensions.persistedQuery.sha256Hash`, taken out.
fn asked_digest(request: &mut Request) -> Result<Option<String>> {
    let bad = |reason: &str| DomainError::invalid("extensions.persistedQuery", reason);
    let Some(asked) = request.extensions.0.remove("persistedQuery") else {
        return Ok(None);
    };
    let Value::Object(fields) = asked else {
        return Err(bad("is no object"));
    };
    if fields.get("version") != Some(&Value::from(1)) {
        return Err(bad("version 1 alone is known"));
    }
    match fields.get("sha256Hash") {
        Some(Value::String(h)) if h.len() == 64 => Ok(Some(h.to_ascii_lowercase())),
        _ => Err(bad("sha256Hash must be 64 hex digits")),
    }
}

impl App {
    /// Puts the document in that a request names by its digest (PAR-6), and
    /// refuses others to keys that run registered ones only (PAR-7).
    pub(crate) async fn persisted(&self, request: &mut Request, viewer: &Viewer) -> Result<()> {
        let only = viewer.key().is_some_and(|k| k.persisted_only);
        let registered = async |id: &str| match viewer.account() {
            Ok(account) => self.store.persisted_query(account, id).await,
            Err(_) => Ok(None),
        };
        let asked = asked_digest(request)?;
        if request.query.is_empty() {
            // Without a digest there is nothing to run: the library says so.
            let Some(id) = asked else {
                return Ok(());
            };
            request.query = match registered(&id).await? {
                Some(text) => text,
                None if only => return Err(DomainError::PersistedOnly),
                None => match self.partners.recall(&id) {
                    Some(text) => text,
                    None => return Err(DomainError::PersistedQueryNotFound),
                },
            };
            return Ok(());
        }
        if !only && asked.is_none() {
            return Ok(());
        }
        if request.query.len() > MAX_DOCUMENT {
            return Err(DomainError::TooLarge {
                field: "document",
                limit: MAX_DOCUMENT as u64,
                value: request.query.len() as u64,
            });
        }
        let id = sha256(&request.query);
        if asked.as_ref().is_some_and(|a| *a != id) {
            return Err(DomainError::invalid(
                "extensions.persistedQuery",
                "provided sha does not match query",
            ));
        }
        if only && registered(&id).await?.is_none() {
            return Err(DomainError::PersistedOnly);
        }
        if asked.is_some() && parse_query(&request.query).is_ok() {
            self.partners.remember(&id, &request.query);
        }
        Ok(())
    }

    pub(crate) async fn register_document(
        &self,
        pass: &Pass,
        document: &str,
    ) -> Result<PersistedQuery> {
        if document.len() > MAX_DOCUMENT {
            return Err(DomainError::TooLarge {
                field: "document",
                limit: MAX_DOCUMENT as u64,
                value: document.len() as u64,
            });
        }
        parse_query(document).map_err(|e| DomainError::invalid("document", e.to_string()))?;
        let query = PersistedQuery {
            id: sha256(document),
            document: document.to_owned(),
            created_at: self.now(),
        };
        let account = pass.viewer().account()?;
        self.store.register_query(account, &query).await?;
        Ok(query)
    }
}

/// An extension of an error, as text.
fn extension(e: &async_graphql::ServerError, name: &str) -> Option<String> {
    let value = e.extensions.as_ref()?.get(name)?.clone().into_json().ok()?;
    match value {
        serde_json::Value::String(s) => Some(s),
        v => Some(v.to_string()),
    }
}

/// ACC-5, PAR-14: what is limited is 429 or 503 here too, with the wait.
fn respond(response: &Response) -> HttpResponse {
    let limited = response.errors.iter().find_map(|e| {
        let wait = extension(e, "retryAfterSeconds")?;
        match extension(e, "code")?.as_str() {
            "RATE_LIMITED" => Some((HttpResponse::TooManyRequests(), wait)),
            "QUEUE_FULL" => Some((HttpResponse::ServiceUnavailable(), wait)),
            _ => None,
        }
    });
    match limited {
        Some((mut answer, wait)) => answer
            .insert_header((header::RETRY_AFTER, wait))
            .json(response),
        None => HttpResponse::Ok().json(response),
    }
}

/// PAR-8: what follows from a response to one mutation.
fn settled(response: &Response) -> Settled {
    let done = response.errors.iter().all(|e| e.path.len() > 1);
    if done {
        // It has no errors, or some of what was asked about what was done.
        return match serde_json::to_string(response) {
            Ok(text) if text.len() <= MAX_IDEMPOTENT_ANSWER => Settled::Answered(text),
            _ => Settled::Lost,
        };
    }
    let internal = |e: &async_graphql::ServerError| {
        e.path.len() == 1 && extension(e, "status").as_deref() == Some("500")
    };
    if response.errors.iter().any(internal) {
        Settled::Lost
    } else {
        Settled::Free
    }
}

impl Site {
    /// A refusal of a whole request, as GraphQL answers it.
    pub(crate) fn graphql_refusal(&self, e: &DomainError) -> HttpResponse {
        let error = to_graphql(e, |e| Market(self.app.clone()).reference(e));
        respond(&Response::from_errors(vec![
            error.into_server_error(Pos::default()),
        ]))
    }

    /// Runs a request, once where it says so.
    pub(crate) async fn answer(
        &self,
        mut request: Request,
        caller: Caller,
        once: Option<Once>,
    ) -> HttpResponse {
        let Some(once) = once else {
            return respond(&self.schema.execute(request.data(caller)).await);
        };
        let account = match kept(&mut request, &caller) {
            Ok(Some(account)) => account,
            // A query: it changes nothing.
            Ok(None) => return respond(&self.schema.execute(request.data(caller)).await),
            Err(e) => return self.graphql_refusal(&e),
        };
        match self.app.claim(account, &once).await {
            Ok(None) => {}
            Ok(Some(answer)) => {
                return HttpResponse::Ok()
                    .content_type("application/json")
                    .insert_header((REPLAYED, "true"))
                    .body(answer);
            }
            Err(e) => return self.graphql_refusal(&e),
        }
        // A task of its own: who hangs up finds the answer when asking again.
        let (app, schema) = (self.app.clone(), self.schema.clone());
        let run = tokio::spawn(async move {
            run_claimed(app, schema, request.data(caller), account, once).await
        });
        match run.await {
            Ok(response) => respond(&response),
            Err(e) => self.graphql_refusal(&DomainError::storage(e)),
        }
    }
}

/// Whose claim a request with an idempotency key makes; none for a query.
fn kept(request: &mut Request, caller: &Caller) -> Result<Option<AccountId>> {
    let bad = |reason: &str| DomainError::invalid("Idempotency-Key", reason);
    let name = match single_root(request) {
        Some((OperationType::Mutation, name)) => name,
        Some(_) => return Ok(None),
        None => return Err(bad("is for operations with one field at the root")),
    };
    // What keys may do, has no secret in its answer, these aside.
    let open = key_access(Surface::Mutation, &name) != KeyAccess::Never;
    if !open || SECRET.contains(&name.as_str()) {
        return Err(bad(
            "is not taken here: the answer holds a secret, or is an account's own",
        ));
    }
    // An answer is nobody's who could not have asked: not another key's of the same
    // account, nor the same one's after it lost the scope.
    let pass = authorize(Surface::Mutation, &name, &caller.viewer.clone()?)?;
    pass.viewer().account().map(Some)
}

async fn run_claimed(
    app: Arc<App>,
    schema: MarketSchema,
    request: Request,
    account: AccountId,
    once: Once,
) -> Response {
    let execution = schema.execute(request);
    tokio::pin!(execution);
    let response = loop {
        tokio::select! {
            response = &mut execution => break response,
            () = tokio::time::sleep(PROLONG) => {
                let until = app.now().saturating_add(CLAIM_MILLIS);
                if let Err(e) = app.store.prolong_claim(account, &once.key, until).await {
                    tracing::error!(error = ?e, "claim of a request");
                }
            }
        }
    };
    let how = settled(&response);
    if let Err(e) = app.store.settle_request(account, &once.key, how).await {
        // It runs out, and the request counts as lost.
        tracing::error!(error = ?e, "answer of a request");
    }
    response
}

impl App {
    /// Claims the key, or waits for the answer of who did.
    async fn claim(&self, account: AccountId, once: &Once) -> Result<Option<String>> {
        for _ in 0..LOOKS {
            let now = self.now();
            let until = now.saturating_add(CLAIM_MILLIS);
            let claim = self
                .store
                .claim_request(account, &once.key, once.request, until, now)
                .await?;
            match claim {
                Claim::Mine => return Ok(None),
                Claim::Answered(text) => return Ok(Some(text)),
                Claim::UnderWay => tokio::time::sleep(LOOK).await,
            }
        }
        Err(DomainError::Conflict {
            what: "the request with this idempotency key",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::{PathSegment, ServerError};

    fn refused(e: &DomainError, path: &[&str]) -> Response {
        let mut error = to_graphql(e, |_| String::new()).into_server_error(Pos::default());
        error.path = path
            .iter()
            .map(|p| PathSegment::Field((*p).to_owned()))
            .collect();
        Response::from_errors(vec![error])
    }

    #[test]
    fn what_is_kept_of_a_response() {
        // PAR-8
        let missing = DomainError::NotFound { what: "listing" };
        assert_eq!(
            settled(&refused(&missing, &["pauseListing"])),
            Settled::Free
        );
        // Before anything was run: the text, its depth, its cost.
        let text = Response::from_errors(vec![ServerError::new("unknown field", None)]);
        assert_eq!(settled(&text), Settled::Free);
        let busy = DomainError::Conflict { what: "busy store" };
        assert_eq!(settled(&refused(&busy, &["placeOrder"])), Settled::Free);
        let full = DomainError::QueueFull {
            waiting: 1,
            limit: 1,
            retry_after_seconds: 1,
        };
        assert_eq!(settled(&refused(&full, &["placeOrder"])), Settled::Free);
        // Perhaps the commit was on disk.
        let broken = DomainError::storage("disk");
        assert_eq!(settled(&refused(&broken, &["placeOrder"])), Settled::Lost);
        // It was done; what was asked of it failed.
        let below = refused(&broken, &["placeOrder", "progress"]);
        assert!(matches!(settled(&below), Settled::Answered(_)));
        let good = Response::new(Value::from("x"));
        assert!(matches!(settled(&good), Settled::Answered(_)));
        let long = Response::new(Value::from("x".repeat(MAX_IDEMPOTENT_ANSWER)));
        assert_eq!(settled(&long), Settled::Lost);
    }

    #[test]
    fn requests_that_differ_have_other_digests() {
        // PAR-8
        let of = |text: &str| {
            let mut out = Vec::new();
            write_exact(&serde_json::from_str(text).unwrap(), &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            of(r#"{ "b": [1, {"y": null, "x": "\n"}], "a": true }"#),
            r#"{"a":true,"b":[1,{"x":"\n","y":null}]}"#
        );
        let all = [
            r#"{"a":9007199254740992}"#,
            r#"{"a":9007199254740993}"#,
            r#"{"a":"9007199254740993"}"#,
            r#"{"a":-9007199254740993}"#,
            r#"{"a":[9007199254740993]}"#,
        ];
        let different: std::collections::BTreeSet<String> = all.into_iter().map(of).collect();
        assert_eq!(different.len(), all.len(), "{different:?}");
    }

    #[test]
    fn digests_are_read_strictly() {
        let asked = |v: Value| {
            let mut r = Request::new("");
            r.extensions.0.insert("persistedQuery".into(), v);
            asked_digest(&mut r)
        };
        let good = "AB".repeat(32);
        let found = asked(async_graphql::value!({ "version": 1, "sha256Hash": (good.clone()) }));
        assert_eq!(found, Ok(Some(good.to_lowercase())));
        for bad in [
            async_graphql::value!({ "version": 2, "sha256Hash": (good.clone()) }),
            async_graphql::value!({ "version": 1, "sha256Hash": "ab" }),
            async_graphql::value!({ "version": 1 }),
            Value::from(1),
        ] {
            assert!(matches!(
                asked(bad),
                Err(DomainError::Invalid {
                    field: "extensions.persistedQuery",
                    ..
                })
            ));
        }
        assert_eq!(asked_digest(&mut Request::new("{ me { id } }")), Ok(None));
    }
}
