//! The way out through an SMTP relay (RFC 5321), step by step: what was said at
//! which step decides whether a letter may be tried again (MAIL-2).
//!
//! `smtps://user:password@host` is TLS from the start (port 465). `smtp://` is
//! STARTTLS (port 587), demanded unless the relay is on this machine or the URL
//! says `?tls=none`. A password goes over TLS, or to this machine (MAIL-9).

use crate::{MailError, Message, SendError};
use lettre::transport::smtp::{
    Error,
    authentication::{Credentials, DEFAULT_MECHANISMS},
    client::{AsyncSmtpConnection, Certificate, TlsParameters},
    commands::{Data, Mail, Rcpt, Rset},
    extension::ClientId,
};
use std::{fmt, net::IpAddr, time::Duration};
use tokio::time::timeout;

/// For the connection, greeting and TLS together.
const CONNECT: Duration = Duration::from_secs(30);
/// For the answer to a command.
const ANSWER: Duration = Duration::from_secs(60);
/// For a message and the answer to it (RFC 5321, 4.5.3.2.6 has ten minutes for
/// messages of any size; ours are small, and the lease must be longer).
const TAKEN: Duration = Duration::from_secs(180);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tls {
    /// From the start.
    Implicit,
    /// By STARTTLS, or not at all.
    Demanded,
    /// In the clear.
    None,
}

/// A relay.
#[derive(Clone)]
pub struct Relay {
    host: String,
    port: u16,
    tls: Tls,
    credentials: Option<Credentials>,
    authority: Option<Certificate>,
    hello: String,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("tls", &self.tls)
            .field("credentials", &self.credentials.as_ref().map(|_| ".."))
            .finish_non_exhaustive()
    }
}

fn bad(reason: &'static str) -> MailError {
    MailError::Relay { reason }
}

/// `%41` is `A`: user names are often addresses.
fn decoded(text: &str) -> Result<String, MailError> {
    let wrong = || bad("user or password: a % that is not followed by two hex digits");
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b != b'%' {
            out.push(b);
            continue;
        }
        let digit = |b: Option<u8>| char::from(b?).to_digit(16);
        let high = digit(bytes.next()).ok_or_else(wrong)?;
        let low = digit(bytes.next()).ok_or_else(wrong)?;
        out.push(u8::try_from(high * 16 + low).unwrap_or(u8::MAX));
    }
    let text = String::from_utf8(out).map_err(|_| bad("user or password is not UTF-8"))?;
    match text.chars().any(char::is_control) {
        true => Err(bad("user or password has a control character")),
        false => Ok(text),
    }
}

/// Whether the relay is on this machine, by its name alone: no look-up decides
/// whether a password goes in the clear.
fn on_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// `host`, `host:port`, `[::1]:port`.
fn host_port(text: &str, default: u16) -> Result<(String, u16), MailError> {
    let (host, port) = match text.strip_prefix('[').and_then(|t| t.split_once(']')) {
        Some((ip, rest)) => (ip, rest.strip_prefix(':')),
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(plain) {
        return Err(bad("the relay's host is no name or address"));
    }
    let port = match port {
        Some(p) => p
            .parse()
            .map_err(|_| bad("the relay's port is no number"))?,
        None => default,
    };
    match port {
        0 => Err(bad("the relay's port is 0")),
        port => Ok((host.to_owned(), port)),
    }
}

/// What a certificate begins with (RFC 7468): the reader takes a file without any.
const MARK: &[u8] = b"-----BEGIN CERTIFICATE-----";

impl Relay {
    /// Reads `smtp://` and `smtps://` URLs. `hello` is what we call ourselves;
    /// `authority` is a certificate (PEM) that is trusted besides the public ones.
    pub fn parse(url: &str, hello: &str, authority: Option<&[u8]>) -> Result<Self, MailError> {
        let (implicit, rest) = match url.split_once("://") {
            Some(("smtps", rest)) => (true, rest),
            Some(("smtp", rest)) => (false, rest),
            _ => return Err(bad("the URL begins with smtp:// or smtps://")),
        };
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, rest),
        };
        let (host, port) = host_port(place, if implicit { 465 } else { 587 })?;
        let here = on_this_machine(&host);
        let tls = match (implicit, query) {
            (true, None) => Tls::Implicit,
            (false, None) if here => Tls::None,
            (false, None | Some("tls=required")) => Tls::Demanded,
            (false, Some("tls=none")) => Tls::None,
            _ => {
                return Err(bad(
                    "behind the ? only tls=required or tls=none is known, for smtp://",
                ));
            }
        };
        let credentials = match user {
            None => None,
            Some(user) => {
                let (name, password) = user
                    .split_once(':')
                    .ok_or_else(|| bad("a user without a password"))?;
                Some(Credentials::new(decoded(name)?, decoded(password)?))
            }
        };
        if credentials.is_some() && tls == Tls::None && !here {
            return Err(MailError::PasswordInClear { host });
        }
        let none = |pem: &[u8]| !pem.windows(MARK.len()).any(|w| w == MARK);
        if authority.is_some_and(none) {
            return Err(bad("mail_ca holds no certificate in PEM"));
        }
        let authority = authority.map(Certificate::from_pem).transpose();
        Ok(Self {
            host,
            port,
            tls,
            credentials,
            authority: authority.map_err(|_| bad("mail_ca is no certificate in PEM"))?,
            hello: hello.to_owned(),
        })
    }

    fn parameters(&self) -> Result<TlsParameters, Error> {
        let mut b = TlsParameters::builder(self.host.clone());
        if let Some(a) = &self.authority {
            b = b.add_root_certificate(a.clone());
        }
        b.build_rustls()
    }

    /// Connects, encrypts, signs in. Nothing of a letter was said when this
    /// fails, and no other letter would get further.
    pub async fn connect(&self) -> Result<Dialogue, SendError> {
        let shut = |why: String| SendError::Later { why, shut: true };
        let hello = ClientId::Domain(self.hello.clone());
        let open = async {
            let implicit = match self.tls {
                Tls::Implicit => Some(self.parameters()?),
                Tls::Demanded | Tls::None => None,
            };
            let at = (self.host.as_str(), self.port);
            let mut c =
                AsyncSmtpConnection::connect_tokio1(at, Some(CONNECT), &hello, implicit, None)
                    .await?;
            if self.tls == Tls::Demanded {
                c.starttls(self.parameters()?, &hello).await?;
            }
            if let Some(credentials) = &self.credentials {
                c.auth(DEFAULT_MECHANISMS, credentials).await?;
            }
            Ok::<_, Error>(c)
        };
        let at = format!("{}:{}", self.host, self.port);
        match timeout(CONNECT, open).await {
            Ok(Ok(connection)) => Ok(Dialogue {
                connection,
                broken: false,
            }),
            Ok(Err(e)) => Err(shut(format!("{at}: {e}"))),
            Err(_) => Err(shut(format!("{at}: no answer in {} s", CONNECT.as_secs()))),
        }
    }
}

/// A dialogue with a relay.
pub struct Dialogue {
    connection: AsyncSmtpConnection,
    broken: bool,
}

impl fmt::Debug for Dialogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialogue")
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

/// What a failure before the message's end means: the relay said no, or nothing
/// was taken.
fn before(e: &Error) -> SendError {
    let why = e.to_string();
    match e.is_permanent() {
        true => SendError::Refused { why },
        false => SendError::Later {
            why,
            shut: !e.is_transient(),
        },
    }
}

/// What a failure means once the message is on its way: unless the relay said no,
/// it may have taken it.
fn behind(e: &Error) -> SendError {
    match e.is_permanent() || e.is_transient() {
        true => before(e),
        false => SendError::Unknown { why: e.to_string() },
    }
}

impl Dialogue {
    /// Whether another letter may be sent over it.
    pub fn usable(&self) -> bool {
        !self.broken && !self.connection.has_broken()
    }

    async fn within<T>(
        &mut self,
        limit: Duration,
        late: impl FnOnce(String) -> SendError,
        meant: impl FnOnce(&Error) -> SendError,
        step: impl AsyncFnOnce(&mut AsyncSmtpConnection) -> Result<T, Error>,
    ) -> Result<T, SendError> {
        match timeout(limit, step(&mut self.connection)).await {
            Ok(Ok(v)) => Ok(v),
            Ok(Err(e)) => {
                // Who answered with a number can be asked again.
                self.broken |= e.status().is_none();
                Err(meant(&e))
            }
            Err(_) => {
                self.broken = true;
                Err(late(format!("no answer in {} s", limit.as_secs())))
            }
        }
    }

    /// Names sender and recipient. Nothing of the letter was said before.
    pub async fn envelope(&mut self, m: &Message) -> Result<(), SendError> {
        let late = |why| SendError::Later { why, shut: true };
        let (from, to) = (m.from.clone(), m.to.clone());
        let named = self
            .within(ANSWER, late, before, async |c| {
                c.command(Mail::new(Some(from), Vec::new())).await?;
                c.command(Rcpt::new(to, Vec::new())).await
            })
            .await;
        if named.is_err() && self.usable() {
            // Forgotten, so that the next letter begins anew.
            let _ = self
                .within(ANSWER, late, before, async |c| c.command(Rset).await)
                .await;
        }
        named.map(drop)
    }

    /// Hands the letter over. What is `Later` or `Refused` was not taken.
    pub async fn hand_over(&mut self, m: &Message) -> Result<(), SendError> {
        let late = |why| SendError::Later { why, shut: true };
        self.within(ANSWER, late, before, async |c| c.command(Data).await)
            .await?;
        let lost = |why| SendError::Unknown { why };
        self.within(TAKEN, lost, behind, async |c| c.message(&m.bytes).await)
            .await
            .map(drop)
    }

    /// Says good-bye.
    pub async fn quit(mut self) {
        if self.usable() {
            let _ = timeout(Duration::from_secs(5), self.connection.quit()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Relay, MailError> {
        Relay::parse(url, "market.example", None)
    }

    #[test]
    fn urls_say_host_port_and_tls() {
        // MAIL-9
        for (url, host, port, tls) in [
            ("smtp://relay.example", "relay.example", 587, Tls::Demanded),
            (
                "smtp://relay.example:25",
                "relay.example",
                25,
                Tls::Demanded,
            ),
            (
                "smtp://relay.example/?tls=required",
                "relay.example",
                587,
                Tls::Demanded,
            ),
            (
                "smtp://relay.internal:25?tls=none",
                "relay.internal",
                25,
                Tls::None,
            ),
            ("smtps://relay.example", "relay.example", 465, Tls::Implicit),
            ("smtp://127.0.0.1:2525", "127.0.0.1", 2525, Tls::None),
            (
                "smtp://localhost:25?tls=required",
                "localhost",
                25,
                Tls::Demanded,
            ),
            ("smtp://[::1]:2525", "::1", 2525, Tls::None),
        ] {
            let r = parse(url).expect(url);
            assert_eq!((r.host.as_str(), r.port, r.tls), (host, port, tls), "{url}");
            assert!(r.credentials.is_none());
        }
        for url in [
            "http://relay.example",
            "relay.example:25",
            "smtp://",
            "smtp://relay.example:x",
            "smtp://relay.example:0",
            "smtp://relay example",
            "smtp://user@relay.example",
            "smtp://u:%zz@relay.example",
            "smtp://u:a%0ab@relay.example",
            "smtp://relay.example?tls=maybe",
            "smtps://relay.example?tls=none",
        ] {
            assert!(matches!(parse(url), Err(MailError::Relay { .. })), "{url}");
        }
        let no = Relay::parse(
            "smtp://relay.example",
            "h",
            Some(b"no certificate".as_slice()),
        );
        assert!(matches!(no, Err(MailError::Relay { .. })));
    }

    #[test]
    fn a_password_never_goes_in_the_clear_and_is_never_shown() {
        // MAIL-9
        let refused = parse("smtp://wurzel:geheim@relay.example:25?tls=none");
        let host = "relay.example".to_owned();
        assert_eq!(refused.err(), Some(MailError::PasswordInClear { host }));
        for url in [
            "smtp://wurzel%40example.org:geh%3Aeim@relay.example",
            "smtps://wurzel:geheim@relay.example",
            "smtp://wurzel:geheim@127.0.0.1:2525",
        ] {
            let r = parse(url).expect(url);
            assert!(r.credentials.is_some());
            let shown = format!("{r:?}");
            assert!(
                !shown.contains("geh") && !shown.contains("wurzel"),
                "{shown}"
            );
        }
        let told = parse("smtp://wurzel:geheim@:25")
            .expect_err("no host")
            .to_string();
        assert!(!told.contains("geheim"), "{told}");
    }
}
