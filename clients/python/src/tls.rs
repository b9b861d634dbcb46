//! The HTTP client: plain towards loopback and tunnels, TLS 1.2 or 1.3 by rustls
//! with ring elsewhere. Trusted are the system's certificates (or those that
//! `SSL_CERT_FILE` names); where a system has none, Mozilla's.

use crate::failure::Failure;
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use std::{sync::Arc, time::Duration};

/// Until a connection stands.
const CONNECT_TIME: Duration = Duration::from_secs(20);

/// A client for one server. Over TLS it never follows to plain HTTP, and a
/// redirect is no answer of this interface.
pub fn client(base: &str) -> Result<reqwest::Client, Failure> {
    let failed = |e: &dyn std::fmt::Display| Failure::new("local", "TLS", e.to_string());
    let secure = match base.split_once("://") {
        Some(("https", rest)) if !rest.is_empty() => true,
        Some(("http", rest)) if !rest.is_empty() => false,
        _ => {
            return Err(Failure::argument(
                "url",
                base,
                "http://HOST:PORT or https://HOST",
            ));
        }
    };
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| failed(&e))?
        .with_root_certificates(roots(secure))
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .https_only(secure)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIME)
        .build()
        .map_err(|e| failed(&e))
}

fn roots(secure: bool) -> RootCertStore {
    let mut store = RootCertStore::empty();
    if !secure {
        return store;
    }
    // Certificates that cannot be read are no reason to trust fewer others.
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if store.is_empty() {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    store
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_a_host() {
        for good in ["http://127.0.0.1:8080", "https://market.example"] {
            assert!(client(good).is_ok(), "{good}");
        }
        for bad in ["", "market.example", "ftp://market.example", "https://"] {
            let e = client(bad).map(drop).unwrap_err();
            assert_eq!(e.code, "ARGUMENT", "{bad}");
            assert_eq!(e.details["field"], "url");
        }
    }

    #[test]
    fn something_is_trusted_over_tls_only() {
        assert!(roots(false).is_empty());
        assert!(!roots(true).is_empty());
    }
}
