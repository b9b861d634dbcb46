//! Signatures of what webhooks are sent (PAR-13): HMAC-SHA256 over the time and
//! the body's bytes, under each secret that is good now. No document: the
//! receiver shares the secret.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt::Write;
use thiserror::Error;

/// How far the time of a signature may be off, in seconds.
pub const WEBHOOK_TOLERANCE_SECONDS: u64 = 300;

/// Why a delivery is not from the marketplace, or not from now.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WebhookRefusal {
    /// Not `t=SECONDS,v1=HEX`, `v1` once or more.
    #[error("the signature's header is malformed")]
    Header,
    /// Signed too long ago, or in the future: perhaps sent again by a stranger.
    #[error("signed {off} s from now, allowed are {limit}")]
    Stale {
        /// Seconds off.
        off: u64,
        /// The limit.
        limit: u64,
    },
    /// No signature is this body's under the secret.
    #[error("no signature fits the secret, the time and the body")]
    Signature,
}

fn mac(secret: &str, seconds: u64, body: &[u8]) -> Option<Hmac<Sha256>> {
    // Keys of any length are taken.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    Some(mac)
}

/// The header `Veilbourse-Signature` of a body, at a time in seconds since 1970.
pub fn sign_webhook(secrets: &[String], seconds: u64, body: &[u8]) -> String {
    let mut header = format!("t={seconds}");
    for mac in secrets.iter().filter_map(|s| mac(s, seconds, body)) {
        // Writing to a string does not fail.
        let _ = write!(header, ",v1={}", hex::encode(mac.finalize().into_bytes()));
    }
    header
}

/// What a receiver checks before it believes a body.
pub fn verify_webhook(
    header: &str,
    secret: &str,
    body: &[u8],
    now_seconds: u64,
) -> Result<(), WebhookRefusal> {
    let mut seconds = None;
    let mut signatures = Vec::new();
    for part in header.split(',') {
        match part.split_once('=').ok_or(WebhookRefusal::Header)? {
            ("t", t) if seconds.is_none() => {
                seconds = Some(t.parse::<u64>().map_err(|_| WebhookRefusal::Header)?);
            }
            ("v1", s) => signatures.push(hex::decode(s).map_err(|_| WebhookRefusal::Header)?),
            // Another scheme, of later.
            ("t", _) => return Err(WebhookRefusal::Header),
            _ => {}
        }
    }
    let seconds = seconds.ok_or(WebhookRefusal::Header)?;
    if signatures.is_empty() {
        return Err(WebhookRefusal::Header);
    }
    let off = now_seconds.abs_diff(seconds);
    if off > WEBHOOK_TOLERANCE_SECONDS {
        return Err(WebhookRefusal::Stale {
            off,
            limit: WEBHOOK_TOLERANCE_SECONDS,
        });
    }
    // `verify_slice` takes the same time wherever they differ.
    let fits = |s: &Vec<u8>| mac(secret, seconds, body).is_some_and(|m| m.verify_slice(s).is_ok());
    if signatures.iter().any(fits) {
        Ok(())
    } else {
        Err(WebhookRefusal::Signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"{\"event\":\"PING\"}";
    const NOW: u64 = 1_700_000_000;

    #[test]
    fn the_receivers_check() {
        // PAR-13
        let secrets = ["whsec_new".to_owned(), "whsec_old".to_owned()];
        let header = sign_webhook(&secrets, NOW, BODY);
        for s in &secrets {
            assert_eq!(verify_webhook(&header, s, BODY, NOW), Ok(()));
        }
        let fits = |h: &str, s: &str, b: &[u8], at| verify_webhook(h, s, b, at);
        let no = Err(WebhookRefusal::Signature);
        assert_eq!(fits(&header, "whsec_other", BODY, NOW), no);
        assert_eq!(fits(&header, "whsec_new", b"{\"event\":\"PONG\"}", NOW), no);
        assert_eq!(fits(&header, "whsec_new", b"", NOW), no);
        // Another time than was signed.
        let moved = header.replace(&NOW.to_string(), &(NOW + 1).to_string());
        assert_eq!(fits(&moved, "whsec_new", BODY, NOW), no);
        // One character of each signature.
        let mut flipped = header.clone();
        for at in header.match_indices("v1=").map(|(at, _)| at + 3) {
            let c = if header.as_bytes()[at] == b'0' {
                "1"
            } else {
                "0"
            };
            flipped.replace_range(at..=at, c);
        }
        assert_eq!(fits(&flipped, "whsec_new", BODY, NOW), no);
        for at in [NOW - 301, NOW + 301] {
            assert_eq!(
                fits(&header, "whsec_new", BODY, at),
                Err(WebhookRefusal::Stale {
                    off: 301,
                    limit: WEBHOOK_TOLERANCE_SECONDS
                })
            );
        }
        assert_eq!(fits(&header, "whsec_new", BODY, NOW + 300), Ok(()));
        for bad in [
            "",
            "t=1",
            "v1=00",
            "t=x,v1=00",
            "t=1,t=1,v1=00",
            "t=1,v1=0g",
        ] {
            assert_eq!(
                fits(bad, "whsec_new", BODY, 1),
                Err(WebhookRefusal::Header),
                "{bad}"
            );
        }
    }

    /// The vector that the partner's guide prints, made with Python's `hmac`.
    #[test]
    fn a_vector_of_another_program() {
        let header = sign_webhook(&["whsec_test".to_owned()], 1_700_000_000, BODY);
        assert_eq!(header, VECTOR);
    }
    const VECTOR: &str =
        "t=1700000000,v1=b7863c223dcbb2c50deccd55a544ce054245e62922a515f6bb3e375612ce3f0d";
}
