//! A connection to a marketplace's server: signed in, with an API key, or neither.
//!
//! Access tokens last 15 minutes; the connection renews its own. A refresh token
//! works once (ACC-3), so renewing is done by one caller at a time, and to its end
//! even where the caller is interrupted.

use crate::{
    failure::{Failure, raised},
    keys::{SigningKey, key},
    listing::Listed,
    offer::Offer,
    query::Query,
    runtime::wait,
    ticket::{Opened, Ticket, order_id},
    tls,
};
use pyo3::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Mutex;
use veilbourse_client::{
    ClientError,
    buyer::{self, Wish},
    http::{MAX_ANSWER, Server},
    market::{self, Session},
};
use veilbourse_documents::Id;

/// As whom requests are made.
#[derive(Debug, Clone)]
enum Who {
    Nobody,
    ApiKey,
    /// Signed in, with a refresh token.
    Account,
}

#[derive(Debug)]
struct Held {
    who: Who,
    session: Session,
}

/// A connection to one server.
#[pyclass(frozen, module = "veilbourse._core")]
pub struct Connection {
    server: Server,
    process: u32,
    held: Arc<Mutex<Held>>,
}

/// Codes after which a new access token helps.
fn expired(e: &ClientError) -> bool {
    matches!(e.code(), Some("TOKEN_INVALID" | "UNAUTHENTICATED"))
}

/// Requests of a buyer never name their account: the server knows it by the token.
fn unnamed() -> Result<Id, Failure> {
    Id::parse("00000000-0000-0000-0000-000000000000")
        .ok_or_else(|| Failure::new("local", "ID", "the nil id is an id"))
}

/// A new session for an expired one; none where there is nothing to renew.
async fn renewed(
    server: Server,
    held: Arc<Mutex<Held>>,
    used: Option<String>,
) -> Result<Option<Session>, ClientError> {
    let mut held = held.lock().await;
    if !matches!(held.who, Who::Account) {
        return Ok(None);
    }
    if held.session.server.token() != used.as_deref() {
        // Another caller renewed it meanwhile.
        return Ok(Some(held.session.clone()));
    }
    let next = market::refresh(&server, &held.session.refresh).await?;
    held.session = next.clone();
    Ok(Some(next))
}

impl Connection {
    /// Sockets and sign-ins are not shared over a fork.
    fn here(&self, py: Python<'_>) -> PyResult<()> {
        match std::process::id() == self.process {
            true => Ok(()),
            false => {
                let message =
                    "this connection was made before a fork: make a Market in each process";
                Err(raised(py, Failure::new("local", "FORKED", message)))
            }
        }
    }

    /// Acts with the present session, and once more with a new one where it has
    /// expired.
    async fn act<T, A, F>(&self, act: A) -> Result<T, ClientError>
    where
        A: Fn(Session) -> F,
        F: Future<Output = Result<T, ClientError>>,
    {
        let session = self.held.lock().await.session.clone();
        let used = session.server.token().map(str::to_owned);
        match act(session).await {
            Err(e) if expired(&e) && used.is_some() => {
                let task = renewed(self.server.clone(), self.held.clone(), used);
                match tokio::spawn(task).await {
                    Ok(Ok(Some(next))) => act(next).await,
                    Ok(Ok(None)) | Err(_) => Err(e),
                    Ok(Err(e)) => Err(e),
                }
            }
            ended => ended,
        }
    }

    async fn signed_in(&self, who: Who, session: Session) {
        *self.held.lock().await = Held { who, session };
    }

    async fn registered(&self, marketplace: &str, signing: &SigningKey) -> Result<(), Failure> {
        let marketplace = key("marketplace_key", marketplace)?;
        let who = self.held.lock().await.who.clone();
        let Who::Account = who else {
            let message = "a signing key is registered by the account itself: sign in by mail and password once";
            return Err(Failure::new("local", "SIGN_IN_NEEDED", message));
        };
        let registered = self
            .act(|s| async move { market::register_key(&s, &marketplace, &signing.inner).await });
        Ok(registered.await?)
    }

    async fn quoted(
        &self,
        marketplace: &str,
        listed: &Listed,
        query: &Query,
        pod: Option<&str>,
        class: Option<&str>,
    ) -> Result<Offer, Failure> {
        let marketplace = key("marketplace_key", marketplace)?;
        let (listed, query) = (&listed.inner, &query.inner);
        let pod = pod
            .map(|p| Id::parse(p).ok_or_else(|| Failure::argument("pod_id", p, "a pod's id")))
            .transpose()?;
        let meant = class;
        let class = match meant {
            None => None,
            Some(named) => {
                let id = &listed.id;
                let classes = self.act(|s| async move { buyer::classes(&s, id).await });
                Some(buyer::class_named(&classes.await?, named)?)
            }
        };
        let wish = Wish {
            pod: pod.as_ref(),
            class: class.as_ref(),
        };
        let (marketplace, wish) = (&marketplace, &wish);
        let inner = self
            .act(|s| async move { buyer::quote_with(&s, marketplace, listed, query, wish).await });
        let inner = inner.await?;
        if let Some(named) = meant {
            inner.require_class(named)?;
        }
        Ok(Offer { inner })
    }
}

#[pymethods]
impl Connection {
    #[new]
    fn new(py: Python<'_>, url: &str) -> PyResult<Self> {
        let made = tls::client(url).and_then(|http| Ok((Server::over(url, http), unnamed()?)));
        let (server, account) = made.map_err(|e| raised(py, e))?;
        let session = Session {
            server: server.clone(),
            account,
            refresh: String::new(),
        };
        let who = Who::Nobody;
        Ok(Self {
            server,
            process: std::process::id(),
            held: Arc::new(Mutex::new(Held { who, session })),
        })
    }

    /// The server's address, without a trailing slash.
    #[getter]
    fn url(&self) -> &str {
        self.server.base()
    }

    /// Signs in by mail and password, with a second factor's code where the
    /// account has one; the account's id.
    #[pyo3(signature = (mail, password, code=None))]
    fn login(
        &self,
        py: Python<'_>,
        mail: &str,
        password: &str,
        code: Option<&str>,
    ) -> PyResult<String> {
        self.here(py)?;
        wait(py, || async move {
            let session = match code {
                None => market::login(&self.server, mail, password).await?,
                Some(code) => with_code(&self.server, mail, password, code).await?,
            };
            let id = session.account.to_string();
            self.signed_in(Who::Account, session).await;
            Ok::<_, Failure>(id)
        })
    }

    /// Speaks as the holder of an API key.
    fn use_api_key(&self, py: Python<'_>, api_key: &str) -> PyResult<()> {
        self.here(py)?;
        let printable = api_key.bytes().all(|b| b.is_ascii_graphic());
        if !printable || !api_key.starts_with("vbk_") {
            // The error does not show the key.
            let message = "api_key: expected a key that begins with vbk_";
            return Err(raised(py, Failure::new("local", "ARGUMENT", message)));
        }
        wait(py, || async {
            let session = Session {
                server: self.server.with_token(api_key),
                account: unnamed()?,
                refresh: String::new(),
            };
            self.signed_in(Who::ApiKey, session).await;
            Ok::<_, Failure>(())
        })
    }

    /// Who requests are made as: `nobody`, `api-key` or `account`.
    fn who(&self, py: Python<'_>) -> PyResult<&'static str> {
        self.here(py)?;
        wait(py, || async {
            Ok::<_, Failure>(match self.held.lock().await.who {
                Who::Nobody => "nobody",
                Who::ApiKey => "api-key",
                Who::Account => "account",
            })
        })
    }

    /// One GraphQL operation: variables and answer as JSON.
    #[pyo3(signature = (operation, document, variables="{}"))]
    fn graphql(
        &self,
        py: Python<'_>,
        operation: &str,
        document: &str,
        variables: &str,
    ) -> PyResult<String> {
        self.here(py)?;
        let variables: Value = serde_json::from_str(variables)
            .map_err(|e| raised(py, Failure::argument("variables", &e.to_string(), "JSON")))?;
        let answer = wait(py, || {
            self.act(|s| {
                let variables = variables.clone();
                async move { s.server.graphql(operation, document, variables).await }
            })
        })?;
        Ok(answer.to_string())
    }

    /// `GET path`, of `limit` bytes at most.
    #[pyo3(signature = (path, limit=MAX_ANSWER))]
    fn get(&self, py: Python<'_>, path: &str, limit: u64) -> PyResult<Vec<u8>> {
        self.here(py)?;
        wait(py, || {
            self.act(|s| async move { s.server.get_within(path, limit).await })
        })
    }

    /// The key that the server shows: to be held to a pinned one.
    fn marketplace_key(&self, py: Python<'_>) -> PyResult<String> {
        self.here(py)?;
        let shown = wait(py, || market::marketplace_key(&self.server))?;
        Ok(shown.to_string())
    }

    /// A listing with its manifest, held to the root that it names.
    fn listing(&self, py: Python<'_>, id: &str) -> PyResult<Listed> {
        self.here(py)?;
        let inner = wait(py, || {
            self.act(|s| async move { buyer::listing(&s, id).await })
        })?;
        Ok(Listed { inner })
    }

    /// A quote, checked (DOC-4, ORD-7).
    #[pyo3(signature = (marketplace_key, listed, query, pod_id=None, ticket_class=None))]
    fn quote(
        &self,
        py: Python<'_>,
        marketplace_key: &str,
        listed: &Listed,
        query: &Query,
        pod_id: Option<&str>,
        ticket_class: Option<&str>,
    ) -> PyResult<Offer> {
        self.here(py)?;
        wait(py, || {
            self.quoted(marketplace_key, listed, query, pod_id, ticket_class)
        })
    }

    /// Registers a signing key for the account signed in (ACC-7).
    fn register_key(
        &self,
        py: Python<'_>,
        marketplace_key: &str,
        signing: &SigningKey,
    ) -> PyResult<()> {
        self.here(py)?;
        wait(py, || self.registered(marketplace_key, signing))
    }

    /// Places an order; the same ticket again answers with the same id (ORD-2).
    fn place(&self, py: Python<'_>, ticket: &Ticket) -> PyResult<String> {
        self.here(py)?;
        let id = wait(py, || {
            self.act(|s| async move { buyer::place(&s, &ticket.inner).await })
        })?;
        Ok(id.to_string())
    }

    /// Where an order stands, as JSON.
    fn standing(&self, py: Python<'_>, ticket: &Ticket) -> PyResult<String> {
        self.here(py)?;
        let id = order_id(py, ticket)?;
        let standing = wait(py, || {
            self.act(|s| async move { buyer::standing(&s, id).await })
        })?;
        let refund = standing.refund;
        Ok(json!({
            "state": standing.state, "stage": standing.stage, "per_mille": standing.per_mille,
            "reason": refund.as_ref().map(|r| &r.0), "detail": refund.as_ref().map(|r| &r.1),
        })
        .to_string())
    }

    /// Fetches and opens a released order's result (DOC-9, DOC-10, DOC-13).
    fn open(&self, py: Python<'_>, ticket: &Ticket) -> PyResult<Opened> {
        self.here(py)?;
        let id = order_id(py, ticket)?;
        wait(py, || async {
            let opened = self.act(|s| async move { buyer::open(&s, id, &ticket.inner).await });
            Opened::of(&ticket.inner, opened.await?)
        })
    }
}

/// Signs in with a second factor's code.
async fn with_code(
    server: &Server,
    mail: &str,
    password: &str,
    code: &str,
) -> Result<Session, Failure> {
    let document = "mutation($mail: String!, $password: String!, $code: String) {
        login(mail: $mail, password: $password, code: $code) { access refresh account } }";
    let variables = json!({ "mail": mail, "password": password, "code": code });
    let tokens = server.graphql("login", document, variables).await?;
    let text = |field: &str| {
        let found = tokens[field].as_str();
        found.ok_or_else(|| {
            let message = format!("login: {field} is missing");
            Failure::new("connection", "ANSWER", message)
        })
    };
    let account = text("account")?;
    Ok(Session {
        server: server.with_token(text("access")?),
        account: Id::parse(account)
            .ok_or_else(|| Failure::new("connection", "ANSWER", "login: account is no id"))?,
        refresh: text("refresh")?.to_owned(),
    })
}
