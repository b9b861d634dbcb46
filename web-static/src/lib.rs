//! The web app as the server embeds it: files, their headers, conditional and
//! compressed answers, and the paths that are pages. No I/O and no framework:
//! [`answer`] is a function of the request's head.
//!
//! The app itself is `index.html` and `assets/`: plain JavaScript modules without
//! a build step. What its files may not hold (WEB-5) and what its first page may
//! weigh (WEB-6) is held by this crate's tests, and that the core is opened, and a
//! marketplace pinned, in one place (WEB-9..11). Rules: docs/spec/web.md.

mod negotiate;
mod pages;

pub use pages::{PAGES, is_page};

use std::sync::OnceLock;

/// One embedded file.
struct File {
    name: &'static str,
    kind: &'static str,
    plain: &'static [u8],
    br: Option<&'static [u8]>,
    gz: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// Nothing but this site's own scripts, styles and connections; WebAssembly may be
/// compiled, text may not be made code (WEB-2).
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// On every answer of the site (WEB-2). The cross-origin ones keep other windows
/// and sites away from a page that holds keys.
pub const HEADERS: &[(&str, &str)] = &[
    ("content-security-policy", CONTENT_SECURITY_POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "permissions-policy",
        "accelerometer=(), browsing-topics=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=()",
    ),
    ("x-frame-options", "DENY"),
];

/// The head of a request, as far as it matters here.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    /// The path, decoded: `/assets/app.js`, or that of a page.
    pub path: &'a str,
    /// What follows the question mark.
    pub query: &'a str,
    /// `Accept-Encoding`.
    pub accept_encoding: Option<&'a str>,
    /// `If-None-Match`.
    pub if_none_match: Option<&'a str>,
}

/// An answer: to a HEAD request the same without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// 200 or 304.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// Empty where the status is 304.
    pub body: &'static [u8],
}

/// BLAKE3 of each file, in the table's order.
fn digests() -> &'static [String] {
    static DIGESTS: OnceLock<Vec<String>> = OnceLock::new();
    DIGESTS.get_or_init(|| {
        let digest = |f: &File| hex::encode(&blake3::hash(f.plain).as_bytes()[..16]);
        FILES.iter().map(digest).collect()
    })
}

/// The embedded file of a path, and its digest. Names are compared whole: a path
/// is never walked (WEB-1).
fn find(path: &str) -> Option<(&'static File, &'static str)> {
    let name = if is_page(path) {
        "index.html"
    } else {
        path.strip_prefix('/')
            .filter(|n| n.starts_with("assets/"))?
    };
    let at = FILES.iter().position(|f| f.name == name)?;
    Some((FILES.get(at)?, digests().get(at)?))
}

/// Answers a page or an asset; nothing where there is neither.
pub fn answer(asked: &Asked<'_>) -> Option<Answer> {
    let (file, digest) = find(asked.path)?;
    let (encoding, body) = negotiate::encoding(asked.accept_encoding, file.br, file.gz)
        .map_or((None, file.plain), |(name, body)| (Some(name), body));
    // Strong: another encoding is another sequence of bytes.
    let tag = match encoding {
        None => format!("\"{digest}\""),
        Some(e) => format!("\"{digest}-{e}\""),
    };
    let mut headers: Vec<(&'static str, String)> = HEADERS
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    // Who names the digest gets what never changes; all else is asked for again.
    let fixed = asked.query.strip_prefix("v=") == Some(digest);
    let cache = if fixed {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    headers.push(("cache-control", cache.into()));
    headers.push(("vary", "accept-encoding".into()));
    let unchanged = asked
        .if_none_match
        .is_some_and(|held| negotiate::holds(held, &tag));
    headers.push(("etag", tag));
    if unchanged {
        return Some(Answer {
            status: 304,
            headers,
            body: &[],
        });
    }
    headers.push(("content-type", file.kind.into()));
    if let Some(e) = encoding {
        headers.push(("content-encoding", e.into()));
    }
    Some(Answer {
        status: 200,
        headers,
        body,
    })
}

/// The embedded files: name, bytes as they are, bytes as most browsers get them.
pub fn files() -> impl Iterator<Item = (&'static str, &'static [u8], &'static [u8])> {
    FILES
        .iter()
        .map(|f| (f.name, f.plain, f.br.unwrap_or(f.plain)))
}
