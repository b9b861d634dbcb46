//! Time-based one-time passwords (RFC 6238 over RFC 4226): SHA-1, six digits,
//! 30 seconds, one step to either side; what authenticator apps expect.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use veilbourse_domain::Millis;

/// Bytes of a secret: what SHA-1's output has (RFC 4226, 4).
pub(crate) const SECRET_BYTES: usize = 20;
/// Length of a step.
const STEP_MILLIS: u64 = 30_000;
const DIGITS: u32 = 1_000_000;

/// The HOTP value of a counter, before the digits are cut (RFC 4226, 5.3).
fn truncated(secret: &[u8], counter: u64) -> u32 {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret) else {
        return u32::MAX;
    };
    mac.update(&counter.to_be_bytes());
    let out = mac.finalize().into_bytes();
    let at = usize::from(out.last().copied().unwrap_or(0) & 0x0f);
    out.iter()
        .skip(at)
        .take(4)
        .fold(0u32, |v, b| (v << 8) | u32::from(*b))
        & 0x7fff_ffff
}

/// The code of a step.
pub(crate) fn code_of(secret: &[u8], step: u64) -> String {
    format!("{:06}", truncated(secret, step) % DIGITS)
}

/// The step of a time.
pub(crate) fn step_at(now: Millis) -> u64 {
    now / STEP_MILLIS
}

/// The step whose code this is: the present one, the one before, the next.
/// Every one of them is looked at, whatever matches.
pub(crate) fn step_of(secret: &[u8], code: &str, now: Millis) -> Option<u64> {
    let present = step_at(now);
    let mut found = None;
    for step in [
        present.saturating_sub(1),
        present,
        present.saturating_add(1),
    ] {
        let expected = code_of(secret, step);
        let differ = expected
            .bytes()
            .zip(code.bytes())
            .fold(expected.len() ^ code.len(), |d, (a, b)| {
                d | usize::from(a ^ b)
            });
        if differ == 0 {
            found = Some(step);
        }
    }
    found
}

/// What authenticator apps read (Key URI format).
pub(crate) fn uri(secret: &str, account: &str) -> String {
    format!(
        "otpauth://totp/Veilbourse:{}?secret={secret}&issuer=Veilbourse&algorithm=SHA1&digits=6&period=30",
        escaped(account)
    )
}

/// Percent-encoded but for unreserved characters (RFC 3986, 2.3).
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(b).to_string()
            }
            b => format!("%{b:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    #[test]
    fn hotp_vectors() {
        // ACC-11; RFC 4226, appendix D.
        let codes = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
            "399871", "520489",
        ];
        for (counter, code) in (0u64..).zip(codes) {
            assert_eq!(code_of(SECRET, counter), code, "{counter}");
        }
        assert_eq!(truncated(SECRET, 0), 0x4c93_cf18);
        assert_eq!(truncated(SECRET, 9), 0x2679_dc69);
    }

    #[test]
    fn totp_vectors() {
        // ACC-11; RFC 6238, appendix B: eight digits there, the last six here.
        for (seconds, code) in [
            (59u64, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            let step = step_at(seconds * 1000);
            assert_eq!(code_of(SECRET, step), &code[2..], "{seconds}");
            assert_eq!(step_of(SECRET, &code[2..], seconds * 1000), Some(step));
        }
    }

    #[test]
    fn one_step_to_either_side() {
        // ACC-11
        let now = 1_700_000_000_000;
        let step = step_at(now);
        for (off, taken) in [(-2i64, false), (-1, true), (0, true), (1, true), (2, false)] {
            let at = step.saturating_add_signed(off);
            let found = step_of(SECRET, &code_of(SECRET, at), now);
            assert_eq!(found, taken.then_some(at), "{off}");
        }
        for bad in ["", "0", "12345", "1234567", "abcdef"] {
            assert_eq!(step_of(SECRET, bad, now), None, "{bad}");
        }
    }

    #[test]
    fn apps_read_the_uri() {
        assert_eq!(
            uri("ABC", "a+b@x.example"),
            "otpauth://totp/Veilbourse:a%2Bb%40x.example?secret=ABC&issuer=Veilbourse&algorithm=SHA1&digits=6&period=30"
        );
    }
}
