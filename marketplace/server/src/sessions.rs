//! Sessions of pages (ACC-17): a cookie instead of a token, and when it counts.
//!
//! A browser sends the cookie with every request to us, whoever made the page
//! that asks. SameSite keeps it from other sites; what another origin of the
//! same site could still do is stopped here: a request with the cookie acts as
//! the session only if it shows that a page of ours made it.

use crate::{
    App,
    auth::SESSION_MILLIS,
    http::{Answer, HttpError, Site, bearer},
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, header},
    web::{Data, Json},
};
use serde::Deserialize;
use serde_json::json;
use veilbourse_core::digest::{Digest, Domain};
use veilbourse_domain::{
    DomainError, Millis, Result,
    access::Viewer,
    id::SessionId,
    records::{Account, Session},
};

/// The cookie's name.
pub(crate) const COOKIE: &str = "veilbourse_session";
/// The header that pages of ours send: another origin would have to ask first
/// (CORS), and is never allowed.
pub(crate) const PAGES: (&str, &str) = ("x-veilbourse", "web");
/// A page's session that nobody uses ends after this.
const IDLE_MILLIS: Millis = 24 * 3_600_000;
/// Longest name of a program that is kept.
const MAX_AGENT: usize = 200;
/// A session or machine is noted as seen once in this time.
const SEEN_MILLIS: Millis = 60_000;
/// Keys of what was noted lately.
const SEEN_KEPT: usize = 50_000;

/// What a request shows of who sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    /// Nothing that counts.
    Nobody,
    /// A bearer token.
    Token(String),
    /// The hash of a cookie, on a request that a page of ours made.
    Cookie(Digest),
}

fn header_text<'a>(req: &'a HttpRequest, name: &str) -> Option<&'a str> {
    req.headers().get(name)?.to_str().ok()
}

fn digest(secret: &[u8; 32]) -> Digest {
    Digest::of(Domain::Other("veilbourse v1 session cookie"), secret)
}

/// The hash of the request's cookie, whoever made the request.
fn cookie(req: &HttpRequest) -> Option<Digest> {
    let all = req.headers().get_all(header::COOKIE);
    let pairs = all
        .filter_map(|h| h.to_str().ok())
        .flat_map(|h| h.split(';'));
    let mut ours = pairs.filter_map(|p| p.trim().strip_prefix(COOKIE)?.strip_prefix('='));
    let value = ours.next()?;
    // Two of the name: one was set by somebody else (a path, a subdomain).
    if ours.next().is_some() || value.len() != 64 {
        return None;
    }
    let mut secret = [0u8; 32];
    hex::decode_to_slice(value, &mut secret).ok()?;
    Some(digest(&secret))
}

/// Host and port of `Origin`, as browsers write it.
fn origin(req: &HttpRequest) -> Option<&str> {
    header_text(req, "origin")?
        .split_once("://")
        .map(|(_, a)| a)
}

impl App {
    /// Whether `Origin` names this server: by the request's own host, or by the
    /// configured address where a proxy changes it.
    fn own_origin(&self, req: &HttpRequest) -> bool {
        let Some(from) = origin(req) else {
            return false;
        };
        let configured = self.config.public_url.as_deref();
        let configured = configured.and_then(|u| u.split_once("://"));
        let configured = configured.map(|(_, rest)| rest.split('/').next().unwrap_or_default());
        [header_text(req, "host"), configured]
            .into_iter()
            .flatten()
            .any(|own| own.eq_ignore_ascii_case(from))
    }

    /// Whether a page of ours made the request (ACC-17).
    fn of_a_page(&self, req: &HttpRequest) -> bool {
        let upgrade =
            header_text(req, "upgrade").is_some_and(|u| u.eq_ignore_ascii_case("websocket"));
        if upgrade {
            // Scripts cannot set headers of a websocket, and no site is asked
            // before one opens: the origin is all there is.
            return self.own_origin(req);
        }
        if header_text(req, PAGES.0) == Some(PAGES.1) {
            return true;
        }
        // A download by a plain link.
        matches!(*req.method(), Method::GET | Method::HEAD)
            && match header_text(req, "sec-fetch-site") {
                Some(site) => site == "same-origin",
                None => self.own_origin(req),
            }
    }

    /// What the request shows. An authorization header is looked at alone.
    pub(crate) fn credential(&self, req: &HttpRequest) -> Credential {
        if req.headers().contains_key(header::AUTHORIZATION) {
            return bearer(req).map_or(Credential::Nobody, |t| Credential::Token(t.to_owned()));
        }
        match cookie(req) {
            Some(c) if self.of_a_page(req) => Credential::Cookie(c),
            _ => Credential::Nobody,
        }
    }

    /// Who shows it. A cookie of a session that ended is nobody's.
    pub(crate) async fn viewer_of(&self, credential: &Credential) -> Result<Viewer> {
        let cookie = match credential {
            Credential::Nobody => return self.viewer(None).await,
            Credential::Token(t) => return self.viewer(Some(t)).await,
            Credential::Cookie(c) => *c,
        };
        let now = self.now();
        let Some(live) = self.store.cookie_session(cookie, now).await? else {
            return Ok(Viewer::Anonymous);
        };
        let (s, a) = (live.session, live.account);
        if s.last_seen_at.saturating_add(IDLE_MILLIS) <= now {
            self.store.revoke_sessions(a.id, Some(s.id), now).await?;
            return Ok(Viewer::Anonymous);
        }
        Ok(Viewer::Account {
            id: a.id,
            roles: a.roles,
            session: s.id,
            key: None,
        })
    }

    /// Notes that a viewer was here: sessions by address, machines (ACC-13). It
    /// keeps nobody from anything.
    pub(crate) async fn note_seen(&self, viewer: &Viewer, address: &str) {
        let now = self.now();
        let key = match viewer {
            Viewer::Anonymous => return,
            Viewer::Account { session, .. } => session.to_string(),
            Viewer::Machine { id, .. } => id.to_string(),
        };
        if !self.people.seen.due(&key, now) {
            return;
        }
        let noted = match viewer {
            Viewer::Anonymous => Ok(()),
            Viewer::Account { session, .. } => {
                self.store.touch_session(*session, address, now).await
            }
            Viewer::Machine { id, .. } => self.store.machine_seen(*id, now).await,
        };
        if let Err(e) = noted {
            tracing::warn!(error = ?e, "noting who was seen");
        }
    }

    /// A session's row, not stored yet.
    pub(crate) fn new_session(&self, a: &Account, address: &str, agent: &str) -> Session {
        let now = self.now();
        let agent = agent.chars().filter(|c| !c.is_control());
        Session {
            id: SessionId::new(now, self.random()),
            account: a.id,
            created_at: now,
            expires_at: now.saturating_add(SESSION_MILLIS),
            revoked_at: None,
            last_seen_at: now,
            agent: agent.take(MAX_AGENT).collect(),
            address: address.to_owned(),
        }
    }
}

/// When keys were noted last: one write a minute.
#[derive(Debug, Default)]
pub(crate) struct Seen(std::sync::Mutex<std::collections::HashMap<String, Millis>>);

impl Seen {
    fn due(&self, key: &str, now: Millis) -> bool {
        let mut all = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if all
            .get(key)
            .is_some_and(|at| at.saturating_add(SEEN_MILLIS) > now)
        {
            return false;
        }
        if all.len() >= SEEN_KEPT {
            all.retain(|_, at| at.saturating_add(SEEN_MILLIS) > now);
        }
        all.insert(key.to_owned(), now);
        true
    }
}

/// The body of `POST /v1/session`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    mail: String,
    password: String,
    code: Option<String>,
}

fn set_cookie(site: &Site, value: &str, seconds: u64) -> String {
    let https = site.app.config.public_url.as_deref();
    let secure = match https.is_some_and(|u| u.starts_with("https://")) {
        true => "; Secure",
        false => "",
    };
    format!("{COOKIE}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}{secure}")
}

/// What the program that asks calls itself.
pub(crate) fn agent(req: &HttpRequest) -> String {
    header_text(req, "user-agent")
        .unwrap_or_default()
        .to_owned()
}

/// `POST /v1/session`. The secret is made here, whatever cookie came: nobody
/// gives another a session of their own choice.
pub(crate) async fn open(site: Data<Site>, req: HttpRequest, body: Json<SignIn>) -> Answer {
    let app = &site.app;
    let foreign = req.headers().contains_key("origin") && !app.own_origin(&req);
    let cross =
        header_text(&req, "sec-fetch-site").is_some_and(|s| s != "same-origin" && s != "none");
    if foreign || cross {
        // Somebody else's page would sign its reader in as it likes.
        let endpoint = "POST /v1/session from another site".into();
        return Err(HttpError::of(DomainError::Forbidden { endpoint }));
    }
    let address = site.caller_address(&req);
    let work = async {
        let code = body.code.as_deref();
        let a = app
            .check_credentials(&address, &body.mail, &body.password, code)
            .await?;
        let session = app.new_session(&a, &address, &agent(&req));
        let secret = app.random::<32>();
        app.store
            .open_web_session(&session, digest(&secret), cookie(&req))
            .await?;
        app.still_good(&a, &session).await?;
        Ok((a.id, hex::encode(secret)))
    };
    let (account, secret) = work.await.map_err(|e| site.refuse(e))?;
    let cookie = set_cookie(&site, &secret, SESSION_MILLIS / 1000);
    Ok(HttpResponse::Ok()
        .insert_header((header::SET_COOKIE, cookie))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(json!({ "account": account.to_string() })))
}

/// `DELETE /v1/session`: ends it if there is one, and clears the cookie.
pub(crate) async fn close(site: Data<Site>, req: HttpRequest) -> Answer {
    let credential = site.app.credential(&req);
    if matches!(credential, Credential::Cookie(_)) {
        let work = async {
            if let Viewer::Account { id, session, .. } = site.app.viewer_of(&credential).await? {
                let now = site.app.now();
                site.app
                    .store
                    .revoke_sessions(id, Some(session), now)
                    .await?;
            }
            Ok(())
        };
        work.await.map_err(|e| site.refuse(e))?;
    }
    Ok(HttpResponse::NoContent()
        .insert_header((header::SET_COOKIE, set_cookie(&site, "", 0)))
        .finish())
}
