//! The message (RFC 5322) of a rendered letter. The same letter gives the same
//! bytes: Message-ID and boundary come from its id, the date from its record, so
//! that a relay or a reader can tell a repetition from another letter (MAIL-2).

use crate::{MailError, Rendered, clean};
use lettre::{
    Address,
    message::{
        Mailbox, MultiPart, MultiPartKind, SinglePart,
        header::{HeaderName, HeaderValue},
    },
};
use std::{
    str::FromStr,
    time::{Duration, SystemTime},
};
use veilbourse_domain::{Millis, id::MailId};

/// Who letters come from: `Name <address>` or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender(Mailbox);

impl FromStr for Sender {
    type Err = MailError;
    fn from_str(text: &str) -> Result<Self, MailError> {
        let bad = || MailError::Address {
            address: clean(text, 254),
        };
        let mailbox: Mailbox = text.parse().map_err(|_| bad())?;
        address(mailbox.email.as_ref())?;
        Ok(Self(mailbox))
    }
}

impl Sender {
    /// The part behind the `@`: of Message-IDs, and what we call ourselves to a
    /// relay.
    pub fn domain(&self) -> &str {
        self.0.email.domain()
    }
}

/// An address that a message and an SMTP command can carry: what parses, in
/// visible ASCII without brackets, at most 254 bytes (RFC 5321, 4.5.3.1).
fn address(text: &str) -> Result<Address, MailError> {
    let bad = || MailError::Address {
        address: clean(text, 254),
    };
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'<' | b'>' | b',' | b';' | b'\\');
    if text.len() > 254 || !text.bytes().all(plain) {
        return Err(bad());
    }
    text.parse().map_err(|_| bad())
}

/// What the headers are made of.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a> {
    /// The letter.
    pub id: MailId,
    /// From whom.
    pub sender: &'a Sender,
    /// To whom.
    pub to: &'a str,
    /// When the letter was put into the outbox.
    pub at: Millis,
    /// Where one POST stops optional letters (RFC 8058).
    pub one_click: Option<&'a str>,
}

/// A message as it goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub(crate) id: MailId,
    pub(crate) from: Address,
    pub(crate) to: Address,
    pub(crate) subject: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

fn raw(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}

impl Message {
    /// Puts the message together.
    pub fn new(h: &Headers<'_>, letter: &Rendered) -> Result<Self, MailError> {
        let to = address(h.to)?;
        let Mailbox { email: from, .. } = h.sender.0.clone();
        let mut message = lettre::Message::builder()
            .from(h.sender.0.clone())
            .to(Mailbox::new(None, to.clone()))
            // What looks like an encoded word (RFC 2047) stays what it looks like.
            .subject(letter.subject.replace("=?", "= ?"))
            .date(SystemTime::UNIX_EPOCH + Duration::from_millis(h.at))
            .message_id(Some(Self::message_id(h.id, h.sender)))
            // RFC 3834: nothing answers this by itself.
            .raw_header(raw("Auto-Submitted", "auto-generated".into()));
        if let Some(url) = h.one_click {
            message = message
                .raw_header(raw("List-Unsubscribe", format!("<{url}>")))
                .raw_header(raw(
                    "List-Unsubscribe-Post",
                    "List-Unsubscribe=One-Click".into(),
                ));
        }
        let parts = MultiPart::builder()
            .kind(MultiPartKind::Alternative)
            .boundary(format!("veilbourse-{}", h.id))
            .singlepart(SinglePart::plain(letter.text.clone()))
            .singlepart(SinglePart::html(letter.html.clone()));
        let made = message.multipart(parts).map_err(|e| MailError::Message {
            reason: e.to_string(),
        })?;
        Ok(Self {
            id: h.id,
            from,
            to,
            subject: letter.subject.clone(),
            bytes: made.formatted(),
        })
    }

    /// The Message-ID of a letter: whoever finds it at the relay or in an inbox
    /// knows which letter arrived.
    pub fn message_id(id: MailId, sender: &Sender) -> String {
        format!("<{id}@{}>", sender.domain())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender() -> Sender {
        "Veilbourse <market@example.org>".parse().expect("parses")
    }

    fn headers<'a>(sender: &'a Sender, to: &'a str) -> Headers<'a> {
        Headers {
            id: MailId::new(1_700_000_000_000, [7; 10]),
            sender,
            to,
            at: 1_700_000_000_000,
            one_click: Some("https://market.example/v1/unsubscribe?token=00ff"),
        }
    }

    fn letter(subject: &str) -> Rendered {
        Rendered {
            subject: subject.into(),
            text: "Grüße\n.\nhidden".into(),
            html: "<p>Grüße</p>".into(),
            action: None,
        }
    }

    /// The lines before the first empty one, unfolded.
    fn header_lines(bytes: &[u8]) -> Vec<String> {
        let text = String::from_utf8(bytes.to_vec()).expect("ASCII");
        let head = text.split("\r\n\r\n").next().expect("a head");
        let mut lines: Vec<String> = Vec::new();
        for l in head.split("\r\n") {
            match l.starts_with([' ', '\t']) {
                true => lines.last_mut().expect("a line before").push_str(l),
                false => lines.push(l.to_owned()),
            }
        }
        lines
    }

    #[test]
    fn the_same_letter_is_the_same_message() {
        // MAIL-2
        let s = sender();
        let h = headers(&s, "a@example.org");
        let m = Message::new(&h, &letter("Hello")).expect("made");
        assert_eq!(Message::new(&h, &letter("Hello")), Ok(m.clone()));
        assert!(m.bytes.is_ascii(), "no relay needs 8BITMIME");
        let lines = header_lines(&m.bytes);
        let id = format!("Message-ID: <{}@example.org>", h.id);
        assert!(lines.contains(&id), "{lines:?}");
        assert!(lines.contains(&"Date: Tue, 14 Nov 2023 22:13:20 +0000".to_owned()));
        assert!(lines.contains(&"Auto-Submitted: auto-generated".to_owned()));
    }

    #[test]
    fn one_click_unsubscription_is_in_the_headers() {
        // MAIL-6, RFC 8058 section 3.1
        let s = sender();
        let mut h = headers(&s, "a@example.org");
        let url = h.one_click.expect("a link");
        let lines = header_lines(&Message::new(&h, &letter("Hello")).expect("made").bytes);
        assert!(
            lines.contains(&format!("List-Unsubscribe: <{url}>")),
            "{lines:?}"
        );
        assert!(lines.contains(&"List-Unsubscribe-Post: List-Unsubscribe=One-Click".to_owned()));
        h.one_click = None;
        let lines = header_lines(&Message::new(&h, &letter("Hello")).expect("made").bytes);
        assert!(!lines.iter().any(|l| l.starts_with("List-")));
    }

    #[test]
    fn no_subject_or_address_makes_a_header() {
        // MAIL-5: even past `clean`, which the templates use.
        let s = sender();
        let h = headers(&s, "a@example.org");
        let plain = header_lines(&Message::new(&h, &letter("x")).expect("made").bytes).len();
        for subject in [
            "x\r\nBcc: all@example.org",
            "x\nBcc: all@example.org\n\nbody",
            "x\rBcc: all@example.org",
            "=?utf-8?q?x=0D=0ABcc:_all@example.org?=",
        ] {
            let m = Message::new(&h, &letter(subject)).expect("made");
            let lines = header_lines(&m.bytes);
            assert_eq!(lines.len(), plain, "{lines:?}");
            assert!(
                !lines.iter().any(|l| l.contains("=?utf-8?q?x=0D")),
                "{lines:?}"
            );
            assert!(!lines.iter().any(|l| l.starts_with("Bcc")), "{lines:?}");
            assert_eq!((m.to.to_string().as_str()), "a@example.org");
        }
        for to in [
            "a@example.org\r\nRCPT TO:<b@example.org>",
            "a@example.org, b@example.org",
            "<a@example.org>",
            "a@example.org> SIZE=1",
            "Eve <a@example.org>",
            "\"a b\"@example.org",
            "a@",
            "@example.org",
            "",
        ] {
            let refused = Message::new(&headers(&s, to), &letter("x"));
            assert!(matches!(refused, Err(MailError::Address { .. })), "{to:?}");
        }
        for from in ["nobody", "a@b\r\nBcc: c@d.e", "A <a b@c>"] {
            let refused = from.parse::<Sender>();
            assert!(
                matches!(refused, Err(MailError::Address { .. })),
                "{from:?}"
            );
        }
    }
}
