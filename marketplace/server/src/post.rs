//! Requests to addresses that strangers choose (PAR-10): what may be reached is
//! decided on the address that is connected to, not on the name. One request,
//! no redirect, bounded in time and bytes.

use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use url::{Host, Position, Url};
use veilbourse_domain::{
    DomainError, Result,
    webhooks::{MAX_EXCERPT, MAX_URL},
};

/// An attempt is over after this time, whatever its receiver does.
const WHOLE: Duration = Duration::from_secs(10);
/// Each address is tried for this long.
const CONNECT: Duration = Duration::from_secs(4);
/// Most addresses tried of a name.
const MAX_ADDRESSES: usize = 4;
/// Most bytes of an answer's head.
const MAX_HEAD: usize = 16 << 10;

/// What an answer was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answered {
    /// HTTP status.
    pub(crate) status: u16,
    /// The beginning of the body, as text.
    pub(crate) excerpt: String,
}

/// Why an address is not reached.
fn not_public_v4(a: Ipv4Addr) -> bool {
    let [a, b, c, _] = a.octets();
    matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    )
}

fn not_public_v6(a: Ipv6Addr) -> bool {
    let s = a.segments();
    // Global unicast is 2000::/3; in it are protocols' and documentation's own
    // blocks, and 6to4, which holds any IPv4 address.
    let [first, second, ..] = s;
    first & 0xe000 != 0x2000
        || (first == 0x2001 && (second < 0x0200 || second == 0x0db8))
        || first == 0x2002
        || (first == 0x3fff && second < 0x1000)
}

/// PAR-10: whether the address is one of the public internet.
pub(crate) fn public(a: IpAddr) -> bool {
    match a {
        IpAddr::V4(a) => !not_public_v4(a),
        // Mapped ones lie outside global unicast, so they are refused.
        IpAddr::V6(a) => !not_public_v6(a),
    }
}

/// Sends to webhooks.
pub(crate) struct Sender {
    allow_private: bool,
    tls: TlsConnector,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("allow_private", &self.allow_private)
            .finish_non_exhaustive()
    }
}

fn target(reason: impl Into<String>) -> DomainError {
    DomainError::WebhookTarget {
        reason: reason.into(),
    }
}

impl Sender {
    /// With the public authorities, and those of a PEM file.
    pub(crate) fn new(allow_private: bool, roots: Option<&Path>) -> Result<Self> {
        let mut store = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        if let Some(file) = roots {
            let bad = |e: &dyn fmt::Display| {
                DomainError::invalid("webhook_roots", format!("{}: {e}", file.display()))
            };
            for cert in CertificateDer::pem_file_iter(file).map_err(|e| bad(&e))? {
                let cert = cert.map_err(|e| bad(&e))?;
                store.add(cert).map_err(|e| bad(&e))?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(DomainError::storage)?
            .with_root_certificates(store)
            .with_no_client_auth();
        Ok(Self {
            allow_private,
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// Checks a URL as far as it can be without asking anybody.
    pub(crate) fn check(&self, text: &str) -> Result<Url> {
        if text.len() > MAX_URL {
            return Err(DomainError::TooLarge {
                field: "url",
                limit: MAX_URL as u64,
                value: text.len() as u64,
            });
        }
        let url = Url::parse(text).map_err(|e| target(e.to_string()))?;
        let literal = match url.host() {
            Some(Host::Ipv4(a)) => Some(IpAddr::V4(a)),
            Some(Host::Ipv6(a)) => Some(IpAddr::V6(a)),
            Some(Host::Domain(name)) if !name.is_empty() => None,
            _ => return Err(target("names no host")),
        };
        match url.scheme() {
            "https" => {}
            "http" if self.allow_private => {
                // A name is looked at when it is connected to.
                if literal.is_some_and(|a| !a.is_loopback()) {
                    return Err(target("http is for loopback alone; use https"));
                }
            }
            _ => return Err(target("must begin with https://")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(target("must hold no user or password"));
        }
        if url.fragment().is_some() {
            return Err(target("must hold no fragment"));
        }
        if let Some(a) = literal {
            self.reachable(&url, a)?;
        }
        Ok(url)
    }

    /// PAR-10 on an address.
    fn reachable(&self, url: &Url, a: IpAddr) -> Result<()> {
        if url.scheme() == "http" && !a.is_loopback() {
            return Err(target("http is for loopback alone; use https"));
        }
        if public(a) || self.allow_private {
            Ok(())
        } else {
            Err(target("its address is not one of the public internet"))
        }
    }

    /// The addresses of the host; one that may not be reached refuses them all.
    async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>> {
        let port = url
            .port_or_known_default()
            .ok_or_else(|| target("names no port"))?;
        let found: Vec<SocketAddr> = match url.host() {
            Some(Host::Ipv4(a)) => vec![SocketAddr::new(a.into(), port)],
            Some(Host::Ipv6(a)) => vec![SocketAddr::new(a.into(), port)],
            Some(Host::Domain(name)) => tokio::net::lookup_host((name, port))
                .await
                .map_err(|_| target("its name does not resolve"))?
                .collect(),
            None => return Err(target("names no host")),
        };
        for a in &found {
            self.reachable(url, a.ip())?;
        }
        if found.is_empty() {
            return Err(target("its name does not resolve"));
        }
        Ok(found)
    }

    /// POSTs a JSON body; the error is for the webhook's owner to read.
    pub(crate) async fn post(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: &str,
    ) -> std::result::Result<Answered, String> {
        match timeout(WHOLE, self.whole(url, headers, body)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {} s", WHOLE.as_secs())),
        }
    }

    async fn whole(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: &str,
    ) -> std::result::Result<Answered, String> {
        let url = self.check(url).map_err(|e| e.to_string())?;
        let addresses = self.addresses(&url).await.map_err(|e| e.to_string())?;
        let stream = connect(&addresses).await?;
        let mut request = Request::post(&url[Position::BeforePath..Position::AfterQuery])
            .header(
                header::HOST,
                &url[Position::BeforeHost..Position::AfterPort],
            )
            .header(header::USER_AGENT, "veilbourse")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "*/*")
            .header(header::CONNECTION, "close");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
            .map_err(|e| e.to_string())?;
        if url.scheme() == "http" {
            return exchange(stream, request).await;
        }
        let name = match url.host() {
            Some(Host::Domain(name)) => {
                ServerName::try_from(name.to_owned()).map_err(|e| e.to_string())?
            }
            Some(Host::Ipv4(a)) => ServerName::from(IpAddr::V4(a)),
            Some(Host::Ipv6(a)) => ServerName::from(IpAddr::V6(a)),
            None => return Err("names no host".into()),
        };
        let stream = self.tls.connect(name, stream).await;
        exchange(stream.map_err(|e| format!("TLS: {e}"))?, request).await
    }
}

async fn connect(addresses: &[SocketAddr]) -> std::result::Result<TcpStream, String> {
    let mut why = String::new();
    for a in addresses.iter().take(MAX_ADDRESSES) {
        match timeout(CONNECT, TcpStream::connect(a)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(e)) => why = format!("no connection: {}", e.kind()),
            Err(_) => why = format!("no connection within {} s", CONNECT.as_secs()),
        }
    }
    Err(why)
}

/// One request and the beginning of its answer; the connection is then closed.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> std::result::Result<Answered, String> {
    let broken = |e: hyper::Error| format!("no answer: {e}");
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let mut bytes = Vec::new();
        // Status is what counts: a body that breaks off is kept as it came.
        while bytes.len() < MAX_EXCERPT
            && let Some(Ok(frame)) = body.frame().await
        {
            if let Ok(data) = frame.into_data() {
                bytes.extend_from_slice(&data);
            }
        }
        Ok(Answered {
            status,
            excerpt: excerpt(&bytes),
        })
    };
    tokio::pin!(answer, connection);
    let mut open = true;
    loop {
        tokio::select! {
            done = &mut answer => return done,
            // The exchange says what became of it.
            _ = &mut connection, if open => open = false,
        }
    }
}

/// Text of at most [`MAX_EXCERPT`] bytes that any database and terminal takes.
fn excerpt(bytes: &[u8]) -> String {
    let mut out = String::new();
    for c in String::from_utf8_lossy(bytes).chars() {
        let c = if c.is_control() && c != '\n' { ' ' } else { c };
        if out.len() + c.len_utf8() > MAX_EXCERPT {
            break;
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_reached() {
        // PAR-10
        for a in [
            "1.1.1.1",
            "100.63.255.255",
            "172.32.0.1",
            "193.0.0.1",
            "2606:4700::1111",
            "2001:4860:4860::8888",
        ] {
            assert!(public(a.parse().unwrap()), "{a}");
        }
        for a in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:1.1.1.1",
            "64:ff9b::7f00:1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::",
            "3fff::1",
        ] {
            assert!(!public(a.parse().unwrap()), "{a}");
        }
    }

    #[test]
    fn urls_that_are_refused() {
        let closed = Sender::new(false, None).unwrap();
        let open = Sender::new(true, None).unwrap();
        assert!(closed.check("https://example.org:8443/hook?a=1").is_ok());
        assert!(open.check("http://127.0.0.1:9000/hook").is_ok());
        assert!(open.check("https://10.0.0.1/hook").is_ok());
        let refused = |s: &Sender, url: &str| match s.check(url) {
            Err(DomainError::WebhookTarget { .. }) => {}
            other => panic!("{url}: {other:?}"),
        };
        for url in [
            "http://example.org/hook",
            "http://127.0.0.1/hook",
            "ftp://example.org/",
            "file:///etc/passwd",
            "https://user@example.org/",
            "https://user:secret@example.org/",
            "https://example.org/#part",
            "https://127.0.0.1/",
            // The same address, written otherwise.
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://169.254.169.254/latest/meta-data/",
            "https://",
            "nonsense",
        ] {
            refused(&closed, url);
        }
        refused(&open, "http://10.0.0.1/");
        refused(&open, "http://1.1.1.1/");
        let long = format!("https://example.org/{}", "x".repeat(MAX_URL));
        assert!(matches!(
            closed.check(&long),
            Err(DomainError::TooLarge { field: "url", .. })
        ));
    }

    #[tokio::test]
    async fn a_name_is_judged_by_where_it_leads() {
        // PAR-10: rebinding is of no use, for what was looked at is connected to.
        let closed = Sender::new(false, None).unwrap();
        assert!(closed.check("https://localhost/hook").is_ok());
        let e = closed.post("https://localhost:1/hook", &[], "{}").await;
        assert!(e.unwrap_err().contains("public internet"));
        let open = Sender::new(true, None).unwrap();
        let e = open.post("http://localhost:1/hook", &[], "{}").await;
        assert!(e.unwrap_err().contains("no connection"));
    }

    #[test]
    fn excerpts_are_text() {
        assert_eq!(excerpt(b"a\0b\x1b[31m\n\xff"), "a b [31m\n\u{fffd}");
        let long = "\u{e9}".repeat(MAX_EXCERPT);
        assert_eq!(excerpt(long.as_bytes()).len(), MAX_EXCERPT);
    }
}
