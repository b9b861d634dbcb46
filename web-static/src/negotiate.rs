//! What a browser accepts and what it holds already (WEB-3): RFC 9110, sections
//! 12.5.3 and 13.1.2.

/// The best encoding that is accepted and there, with its bytes; none means the
/// bytes as they are.
pub fn encoding(
    accepted: Option<&str>,
    br: Option<&'static [u8]>,
    gz: Option<&'static [u8]>,
) -> Option<(&'static str, &'static [u8])> {
    let accepted = accepted?;
    let weight = |name: &str| {
        let mut all = None;
        for part in accepted.split(',') {
            let (coding, parameters) = part.split_once(';').unwrap_or((part, ""));
            let coding = coding.trim();
            if coding.eq_ignore_ascii_case(name) {
                return thousandths(parameters);
            }
            if coding == "*" {
                all = Some(thousandths(parameters));
            }
        }
        all.unwrap_or(0)
    };
    let offered = [("br", br), ("gzip", gz)];
    offered
        .into_iter()
        .filter_map(|(name, bytes)| Some((weight(name), name, bytes?)))
        .filter(|(weight, ..)| *weight > 0)
        // The first of equals, which is the shorter one.
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, name, bytes)| (name, bytes))
}

/// `q=0.5` as 500; 1000 where nothing is said, 0 where it cannot be read.
fn thousandths(parameters: &str) -> u16 {
    let Some(q) = parameters
        .split(';')
        .filter_map(|p| p.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
    else {
        return 1000;
    };
    let (whole, rest) = q.1.trim().split_once('.').unwrap_or((q.1.trim(), ""));
    match (whole, rest.len()) {
        ("1", _) => 1000,
        ("0", 0..=3) => format!("{rest:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

/// Whether `If-None-Match` names the tag; compared weakly, as it says there.
pub fn holds(held: &str, tag: &str) -> bool {
    held.trim() == "*"
        || held.split(',').any(|t| {
            let t = t.trim();
            t.strip_prefix("W/").unwrap_or(t) == tag
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BR: Option<&[u8]> = Some(b"br");
    const GZ: Option<&[u8]> = Some(b"gz");

    fn chosen(accepted: &str) -> Option<&'static str> {
        encoding(Some(accepted), BR, GZ).map(|c| c.0)
    }

    #[test]
    fn encodings_are_chosen_by_weight() {
        // WEB-3
        assert_eq!(chosen("gzip, deflate, br, zstd"), Some("br"));
        assert_eq!(chosen("gzip"), Some("gzip"));
        assert_eq!(chosen("GZIP;q=1.0, br;q=0.5"), Some("gzip"));
        assert_eq!(chosen("br;q=0, *"), Some("gzip"));
        assert_eq!(chosen("*;q=0.1"), Some("br"));
        assert_eq!(chosen("br;q=0.001"), Some("br"));
        for none in ["", "identity", "br;q=0, gzip;q=0.000", "deflate", "br;q=x"] {
            assert_eq!(chosen(none), None, "{none}");
        }
        assert_eq!(encoding(None, BR, GZ), None);
        assert_eq!(encoding(Some("br"), None, GZ), None);
    }

    #[test]
    fn tags_are_compared_whole() {
        // WEB-3
        for good in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*", " \"a\" "] {
            assert!(holds(good, "\"a\""), "{good}");
        }
        for bad in ["", "a", "\"ab\"", "\"b\", W/\"c\""] {
            assert!(!holds(bad, "\"a\""), "{bad}");
        }
    }
}
