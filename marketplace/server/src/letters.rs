//! Letters as people meet them: rendered with their links, previewed, shown from
//! the local folder, and switched off by a link (MAIL-4, MAIL-6, MAIL-10).

use crate::{
    App,
    http::{Answer, Site},
    service::Market,
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{self, Data, Path, Query},
};
use async_trait::async_trait;
use serde::Deserialize;
use std::net::IpAddr;
use veilbourse_domain::{
    DomainError, Result,
    access::{Surface, Viewer, authorize},
    id::{AccountId, MailId},
    mail::{MailFilter, MailKind, MailRecord, MailState, Preferences},
    records::PageRequest,
};
use veilbourse_graphql::{Caller, LetterService, LocalLetter};
use veilbourse_mail::{Facts, Links, MailError, Rendered, render, subject};

/// Purpose of the token that switches optional letters off.
const UNSUBSCRIBE: &str = "unsubscribe";
/// Letters shown of an address.
const SHOWN: u32 = 50;

/// Whether a name or address, maybe with a port, is of this machine itself.
fn of_this_machine(host: &str) -> bool {
    let host = match host.strip_prefix('[').and_then(|h| h.split_once(']')) {
        Some((ip, _)) => ip,
        None => host.rsplit_once(':').map_or(host, |(h, _)| h),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether a request comes from the server's own machine (MAIL-10): by its peer;
/// by the name that it asks for, so that no page of another name in a browser
/// there speaks for its user (DNS rebinding); and through no proxy that says so.
pub(crate) fn is_local(req: &HttpRequest) -> bool {
    let h = req.headers();
    let text = |name| {
        h.get(name)
            .and_then(|v: &header::HeaderValue| v.to_str().ok())
    };
    let peer = req.peer_addr().is_some_and(|a| a.ip().is_loopback());
    let named = text(header::HOST).is_some_and(of_this_machine);
    let forwarded = [
        "forwarded",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-real-ip",
    ];
    peer && named && !forwarded.iter().any(|name| h.contains_key(*name))
}

/// `{"token": {"purpose": ..., "nonce": ...}}` of a letter's facts.
#[derive(Deserialize)]
struct TokenFact {
    purpose: String,
    nonce: String,
}

impl App {
    /// Where people reach the marketplace.
    pub fn public_url(&self) -> String {
        match &self.config.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{}", self.post.address(&self.config.listen)),
        }
    }

    /// Whether letters may be shown to whoever sits at this machine (MAIL-10):
    /// they go to the folder, and nobody else reaches the server by its own word.
    pub(crate) fn shows_letters(&self) -> bool {
        let url = self.public_url();
        let host = url.strip_prefix("http://").unwrap_or_default();
        self.post.local() && of_this_machine(&self.config.listen) && of_this_machine(host)
    }

    /// The token that a letter's link carries; none where it has no such link.
    fn token_of(&self, m: &MailRecord) -> std::result::Result<Option<String>, MailError> {
        let missing = |fact| MailError::Fact {
            kind: m.letter.kind.name(),
            fact,
        };
        if !matches!(
            m.letter.kind,
            MailKind::VerifyMail | MailKind::PasswordReset
        ) {
            return Ok(None);
        }
        let account = m.letter.account.ok_or_else(|| missing("account"))?;
        let fact = m.letter.facts.get("token").cloned().unwrap_or_default();
        let fact: TokenFact = serde_json::from_value(fact).map_err(|_| missing("token"))?;
        let mut nonce = [0u8; 16];
        hex::decode_to_slice(&fact.nonce, &mut nonce).map_err(|_| missing("token.nonce"))?;
        let address = &m.letter.address;
        Ok(Some(self.mail_token(
            &fact.purpose,
            account,
            address,
            &nonce,
        )))
    }

    /// The letter as its reader gets it; or, for a look at it, with its links'
    /// tokens hidden: who may see that a letter was sent may not act by it, or an
    /// address would be confirmed without being read (MAIL-4).
    pub(crate) fn rendered(
        &self,
        m: &MailRecord,
        with_tokens: bool,
    ) -> std::result::Result<Rendered, MailError> {
        let (mut token, mut stop) = (None, None);
        if with_tokens {
            token = self.token_of(m)?;
            stop = m.letter.account.map(|a| self.unsubscribe_token(a));
        }
        let links = Links {
            public_url: &self.public_url(),
            token: token.as_deref(),
            unsubscribe: stop.as_deref(),
        };
        render(m.letter.kind, &m.letter.facts, &links)
    }

    /// The token that switches an account's optional letters off. Its nonce is
    /// the account's id: the link in an old letter works as long as the account,
    /// whatever its address is by then, and nothing is stored for it (MAIL-4).
    pub(crate) fn unsubscribe_token(&self, account: AccountId) -> String {
        self.mail_token(UNSUBSCRIBE, account, "", account.uuid().as_bytes())
    }

    /// Whose letters the token switches off.
    fn unsubscribes(&self, token: &str) -> Result<AccountId> {
        let refuse = |reason| DomainError::MailTokenInvalid { reason };
        let mut bytes = [0u8; 48];
        hex::decode_to_slice(token, &mut bytes).map_err(|_| refuse("not 96 hex digits"))?;
        let mut id = [0u8; 16];
        id.copy_from_slice(bytes.split_at(16).0);
        let account = AccountId::from(uuid::Uuid::from_bytes(id));
        // Digests are compared in constant time.
        let expected = blake3::hash(self.unsubscribe_token(account).as_bytes());
        match blake3::hash(token.as_bytes()) == expected {
            true => Ok(account),
            false => Err(refuse("not ours, or for something else")),
        }
    }

    /// Switches optional letters off (MAIL-6); again is fine.
    pub(crate) async fn stop_letters(&self, token: &str) -> Result<()> {
        let account = self.unsubscribes(token)?;
        let none = Preferences::all(false);
        let done = self.store.set_preferences(account, none, self.now()).await;
        // Deleted meanwhile: it gets no letters either.
        match done {
            Err(DomainError::NotFound { .. }) => Ok(()),
            other => other,
        }
    }
}

#[async_trait]
impl LetterService for Market {
    fn letter_subject(&self, m: &MailRecord) -> String {
        let facts = Facts::new(m.letter.kind, &m.letter.facts);
        // Erased: what kind it was is all that is left to say.
        subject(m.letter.kind, &facts).unwrap_or_else(|_| m.letter.kind.name().replace('_', " "))
    }

    async fn unsubscribe(&self, token: &str) -> Result<()> {
        self.0.stop_letters(token).await
    }

    async fn local_letters(&self, caller: &Caller, address: &str) -> Result<Vec<LocalLetter>> {
        if !caller.local || !self.0.shows_letters() {
            return Err(DomainError::NotFound { what: "local mail" });
        }
        let filter = MailFilter {
            address: Some(address.trim().to_lowercase()),
            state: Some(MailState::Sent),
            account: None,
        };
        let page = PageRequest::new(SHOWN, None)?;
        let found = self.0.store.mails(&filter, &page).await?.into_items();
        found
            .iter()
            .map(|m| {
                let r = self.0.rendered(m, true).map_err(DomainError::storage)?;
                Ok(LocalLetter {
                    id: m.letter.id,
                    kind: m.letter.kind.name().into(),
                    at: m.created_at,
                    subject: r.subject,
                    text: r.text,
                    action: r.action,
                })
            })
            .collect()
    }
}

/// `GET /v1/mails/{id}/preview.html|txt`: its owner's and staff's, with its links'
/// tokens hidden; on the machine itself, where letters are shown, as it is.
pub(crate) async fn preview(
    site: Data<Site>,
    req: HttpRequest,
    at: Path<(String, String)>,
) -> Answer {
    let route = "GET /v1/mails/{id}/preview.{format}";
    let pass = site.pass(&req, route).await?;
    let (id, format) = at.into_inner();
    let refuse = |e| site.refuse(e);
    let missing = || site.refuse(DomainError::NotFound { what: "mail" });
    let id: MailId = id.parse().map_err(refuse)?;
    let app = &site.app;
    let m = app.store.mail(id).await.map_err(refuse)?;
    let shown = is_local(&req) && app.shows_letters();
    if !shown {
        let owners: Vec<_> = m.letter.account.into_iter().collect();
        pass.sees("mail", &owners).map_err(refuse)?;
    }
    if m.erased_at.is_some() {
        return Err(missing());
    }
    // A letter that cannot be rendered failed for that reason: staff see it there.
    let letter = app.rendered(&m, shown).map_err(|_| missing())?;
    let (kind, body) = match format.as_str() {
        "html" => ("text/html; charset=utf-8", letter.html),
        "txt" => ("text/plain; charset=utf-8", letter.text),
        _ => return Err(missing()),
    };
    Ok(HttpResponse::Ok()
        .content_type(kind)
        // A letter is looked at, it does nothing: no script, no load, no frame.
        .insert_header((
            header::CONTENT_SECURITY_POLICY,
            "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        ))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(body))
}

#[derive(Deserialize)]
struct OneClick {
    token: String,
}

/// `POST /v1/unsubscribe?token=`: one click in a mail program (RFC 8058). The
/// token is in the query, for the standard has no other place; all that whoever
/// finds it in a log can do is to switch letters off.
pub(crate) async fn one_click(site: Data<Site>, req: HttpRequest, body: web::Bytes) -> Answer {
    let refuse = |e| site.refuse(e);
    authorize(Surface::Http, "POST /v1/unsubscribe", &Viewer::Anonymous).map_err(refuse)?;
    // Section 3.1: what tells the click from a look at the link.
    let said = String::from_utf8_lossy(&body);
    if !(said.contains("List-Unsubscribe") && said.contains("One-Click")) {
        let e = DomainError::invalid("body", "expected List-Unsubscribe=One-Click");
        return Err(site.refuse(e));
    }
    let query = Query::<OneClick>::from_query(req.query_string());
    let query = query.map_err(|_| site.refuse(DomainError::invalid("token", "is missing")))?;
    let done = site.app.stop_letters(&query.token).await;
    done.map_err(refuse)?;
    Ok(HttpResponse::Ok().json(serde_json::json!({ "unsubscribed": true })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn request(peer: &str, headers: &[(&str, &str)]) -> HttpRequest {
        let peer = peer.parse().expect("an address");
        let mut r = TestRequest::default().peer_addr(peer);
        for h in headers {
            r = r.insert_header(*h);
        }
        r.to_http_request()
    }

    #[test]
    fn local_is_by_peer_by_name_and_without_a_proxy() {
        // MAIL-10
        for host in [
            "127.0.0.1:8080",
            "localhost",
            "localhost:8080",
            "[::1]:8080",
        ] {
            assert!(
                is_local(&request("127.0.0.1:5", &[("host", host)])),
                "{host}"
            );
            assert!(is_local(&request("[::1]:5", &[("host", host)])), "{host}");
            assert!(
                !is_local(&request("10.0.0.1:5", &[("host", host)])),
                "{host}"
            );
        }
        for host in [
            "exchange.example.org",
            "localhost.example.org",
            "127.0.0.1.example.org:80",
            "10.0.0.1",
            "",
        ] {
            assert!(
                !is_local(&request("127.0.0.1:5", &[("host", host)])),
                "{host}"
            );
        }
        assert!(!is_local(&request("127.0.0.1:5", &[])));
        for name in ["forwarded", "via", "x-forwarded-for", "x-real-ip"] {
            let proxied = [("host", "localhost"), (name, "10.0.0.1")];
            assert!(!is_local(&request("127.0.0.1:5", &proxied)), "{name}");
        }
    }
}
