//! The facts of a letter, as templates read them. Whatever people wrote comes
//! out as one line of visible text: nothing in a name or title can end a header,
//! hide text or turn its direction (MAIL-5).

use crate::{MailError, time::utc};
use serde_json::Value;
use veilbourse_domain::{MinorUnits, mail::MailKind};

/// Longest text that a fact may have in a line, in characters.
const LONGEST: usize = 200;
/// Longest text that a person wrote as an explanation, in characters.
const LONGEST_QUOTE: usize = 2_000;

/// Characters that show nothing or change how others show: controls, soft hyphen,
/// zero-width and joining marks, directional marks and isolates, the
/// byte-order mark, tags.
fn unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Text as one line: what shows nothing is a space, spaces are single, and at
/// most `most` characters are left.
pub fn clean(text: &str, most: usize) -> String {
    let shown: String = text
        .chars()
        .map(|c| if unseen(c) { ' ' } else { c })
        .collect();
    let mut line = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > most {
        line = line.chars().take(most.saturating_sub(1)).collect();
        line.push('\u{2026}');
    }
    line
}

/// The facts of one letter.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    kind: MailKind,
    value: &'a Value,
}

impl<'a> Facts<'a> {
    /// Over the stored JSON.
    pub fn new(kind: MailKind, value: &'a Value) -> Self {
        Self { kind, value }
    }

    fn missing(&self, fact: &'static str) -> MailError {
        MailError::Fact {
            kind: self.kind.name(),
            fact,
        }
    }

    fn raw(&self, fact: &'static str) -> Result<&'a str, MailError> {
        let text = self.value.get(fact).and_then(Value::as_str);
        text.ok_or_else(|| self.missing(fact))
    }

    /// A line of text.
    pub fn text(&self, fact: &'static str) -> Result<String, MailError> {
        Ok(clean(self.raw(fact)?, LONGEST))
    }

    /// The same, if it is there and not empty.
    pub fn maybe(&self, fact: &'static str) -> Option<String> {
        self.text(fact).ok().filter(|t| !t.is_empty())
    }

    /// What a person wrote, in lines.
    pub fn quote(&self, fact: &'static str) -> Option<Vec<String>> {
        let text: String = self.raw(fact).ok()?.chars().take(LONGEST_QUOTE).collect();
        let lines = text.lines().map(|l| clean(l, LONGEST_QUOTE));
        let lines: Vec<String> = lines.filter(|l| !l.is_empty()).collect();
        (!lines.is_empty()).then_some(lines)
    }

    /// An id as it stands in a link: lower-case hex digits and hyphens.
    pub fn id(&self, fact: &'static str) -> Result<&'a str, MailError> {
        let id = self.raw(fact)?;
        let plain = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b) || b == b'-';
        match !id.is_empty() && id.len() <= 64 && id.bytes().all(plain) {
            true => Ok(id),
            false => Err(self.missing(fact)),
        }
    }

    /// A count.
    pub fn number(&self, fact: &'static str) -> Result<u64, MailError> {
        let n = self.value.get(fact).and_then(Value::as_u64);
        n.ok_or_else(|| self.missing(fact))
    }

    /// Yes or no.
    pub fn flag(&self, fact: &'static str) -> Result<bool, MailError> {
        let b = self.value.get(fact).and_then(Value::as_bool);
        b.ok_or_else(|| self.missing(fact))
    }

    /// An amount in credits.
    pub fn money(&self, fact: &'static str) -> Result<String, MailError> {
        let amount: MinorUnits = self.raw(fact)?.parse().map_err(|_| self.missing(fact))?;
        let (whole, rest) = (amount.get() / 100, amount.get() % 100);
        Ok(format!("{whole}.{rest:02} credits"))
    }

    /// A moment.
    pub fn time(&self, fact: &'static str) -> Result<String, MailError> {
        Ok(utc(self.number(fact)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_people_write_is_one_visible_line() {
        // MAIL-5
        let evil = "Health\r\nBcc: all@example.org\u{202e}gpj\u{200b}\t\u{0} data";
        assert_eq!(clean(evil, 100), "Health Bcc: all@example.org gpj data");
        assert_eq!(clean("  a \u{2028} b  ", 100), "a b");
        assert_eq!(clean("abcdef", 4), "abc\u{2026}");
        assert_eq!(
            clean("Caf\u{e9} \u{65e5}\u{672c}", 100),
            "Caf\u{e9} \u{65e5}\u{672c}"
        );
    }

    #[test]
    fn facts_are_of_their_kind_or_refused() {
        let value = json!({
            "title": "T", "price": "12345", "n": 3, "yes": true, "id": "01-ab", "empty": "",
            "bad id": "../x", "reason": "one\n\n two\r\nthree",
        });
        let f = Facts::new(MailKind::OrderPlaced, &value);
        assert_eq!(f.text("title"), Ok("T".into()));
        assert_eq!(f.money("price"), Ok("123.45 credits".into()));
        assert_eq!(f.number("n"), Ok(3));
        assert_eq!(f.flag("yes"), Ok(true));
        assert_eq!(f.id("id"), Ok("01-ab"));
        assert_eq!(f.maybe("empty"), None);
        let lines = f.quote("reason").expect("three");
        assert_eq!(lines, ["one", "two", "three"]);
        let missing = |fact| MailError::Fact {
            kind: "order_placed",
            fact,
        };
        assert_eq!(f.text("nothing"), Err(missing("nothing")));
        assert_eq!(f.id("bad id"), Err(missing("bad id")));
        assert_eq!(f.money("title"), Err(missing("title")));
        assert_eq!(f.number("title"), Err(missing("title")));
        assert_eq!(f.flag("n"), Err(missing("n")));
    }
}
