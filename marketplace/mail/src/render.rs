//! Text and HTML from one content. Whatever is filled in is escaped here and
//! nowhere else (MAIL-5); nothing is loaded from anywhere.

use crate::{
    MailError,
    facts::Facts,
    words::{Content, content, subject},
};
use serde_json::Value;
use std::fmt::Write;
use veilbourse_domain::mail::MailKind;

/// Widest line of the text, where words allow it.
const WIDTH: usize = 76;
const STYLE: &str = include_str!("letter.css");

/// What links are made of.
#[derive(Debug, Clone, Copy)]
pub struct Links<'a> {
    /// The marketplace as people reach it: `https://host`, without a slash at the
    /// end.
    pub public_url: &'a str,
    /// The token of the letter's link; none is shown as hidden (MAIL-4).
    pub token: Option<&'a str>,
    /// The token that switches optional letters off, where the letter is one.
    pub unsubscribe: Option<&'a str>,
}

impl Links<'_> {
    pub(crate) fn to(&self, path: &str) -> String {
        format!("{}{path}", self.public_url)
    }
    pub(crate) fn by_id(&self, path: &str, id: &str) -> String {
        format!("{}{path}{id}", self.public_url)
    }
    /// Tokens are in the fragment: they reach no server's log (MAIL-4).
    pub(crate) fn with_token(&self, path: &str) -> Result<String, MailError> {
        let token = self.token.unwrap_or("hidden-in-previews");
        hex_or_hidden(token)?;
        Ok(format!("{}{path}#{token}", self.public_url))
    }
    fn unsubscribe_page(&self) -> Result<Option<String>, MailError> {
        let page = |token| {
            hex_or_hidden(token)?;
            Ok(format!("{}/unsubscribe#{token}", self.public_url))
        };
        self.unsubscribe.map(page).transpose()
    }
}

fn hex_or_hidden(token: &str) -> Result<(), MailError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    match token.bytes().all(plain) {
        true => Ok(()),
        false => Err(MailError::Message {
            reason: "a token with other characters than letters and digits".into(),
        }),
    }
}

/// A letter, laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The subject.
    pub subject: String,
    /// For those who read text.
    pub text: String,
    /// The same in HTML: one document, nothing external.
    pub html: String,
    /// The letter's one link.
    pub action: Option<String>,
}

/// Lays out a letter of a kind with its facts.
pub fn render(kind: MailKind, facts: &Value, links: &Links<'_>) -> Result<Rendered, MailError> {
    let facts = Facts::new(kind, facts);
    let (subject, content) = (subject(kind, &facts)?, content(kind, &facts, links)?);
    let foot = foot(kind, links)?;
    Ok(Rendered {
        text: text(&content, &foot),
        html: html(&subject, &content, &foot),
        action: content.action.map(|(_, url)| url),
        subject,
    })
}

/// Why one gets the letter, and the way to stop such letters.
struct Foot {
    why: String,
    stop: Option<String>,
}

fn foot(kind: MailKind, links: &Links<'_>) -> Result<Foot, MailError> {
    let stop = match kind.group() {
        Some(_) => links.unsubscribe_page()?,
        None => None,
    };
    let about = match (kind.group(), &stop) {
        (Some(_), _) => "Which of these letters you get is set in your account.",
        (None, _) => "This letter is about your account itself and is always sent.",
    };
    Ok(Foot {
        why: format!("Sent by the marketplace at {}. {about}", links.public_url),
        stop,
    })
}

fn greeting(c: &Content) -> String {
    match &c.name {
        Some(name) => format!("Hello {name},"),
        None => "Hello,".into(),
    }
}

/// Words to lines of at most [`WIDTH`] characters, longer words alone.
fn wrap(out: &mut String, indent: &str, text: &str) {
    let mut column = 0;
    for word in text.split(' ') {
        let n = word.chars().count();
        if column == 0 {
            out.push_str(indent);
            column = indent.len();
        } else if column + 1 + n > WIDTH {
            out.push('\n');
            out.push_str(indent);
            column = indent.len();
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += n;
    }
    out.push('\n');
}

fn text(c: &Content, foot: &Foot) -> String {
    let mut out = format!("{}\n\n", greeting(c));
    for p in &c.paragraphs {
        wrap(&mut out, "", p);
        out.push('\n');
    }
    if let Some(lines) = &c.quote {
        for line in lines {
            wrap(&mut out, "> ", line);
        }
        out.push('\n');
    }
    if !c.rows.is_empty() {
        let widest = c.rows.iter().map(|(l, _)| l.len()).max().unwrap_or(0);
        for (label, value) in &c.rows {
            let _ = writeln!(out, "  {label:widest$}  {value}");
        }
        out.push('\n');
    }
    if let Some((label, url)) = &c.action {
        let _ = writeln!(out, "{label}:\n{url}\n");
    }
    for p in &c.after {
        wrap(&mut out, "", p);
        out.push('\n');
    }
    out.push_str("-- \n");
    wrap(&mut out, "", &foot.why);
    if let Some(url) = &foot.stop {
        let _ = writeln!(out, "Stop such letters: {url}");
    }
    out
}

/// For element content and for attributes in double quotes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn html(subject: &str, c: &Content, foot: &Foot) -> String {
    let mut out = String::from(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n",
    );
    let _ = writeln!(out, "<title>{}</title>", escape(subject));
    let _ = writeln!(out, "<style>\n{STYLE}</style>\n</head>\n<body>\n<main>");
    let _ = writeln!(out, "<h1>{}</h1>", escape(subject));
    let _ = writeln!(out, "<p>{}</p>", escape(&greeting(c)));
    for p in &c.paragraphs {
        let _ = writeln!(out, "<p>{}</p>", escape(p));
    }
    if let Some(lines) = &c.quote {
        let lines: Vec<String> = lines.iter().map(|l| escape(l)).collect();
        let _ = writeln!(out, "<blockquote>{}</blockquote>", lines.join("<br>\n"));
    }
    if !c.rows.is_empty() {
        out.push_str("<table>\n");
        for (label, value) in &c.rows {
            let (label, value) = (escape(label), escape(value));
            let _ = writeln!(
                out,
                "<tr><th scope=\"row\">{label}</th><td>{value}</td></tr>"
            );
        }
        out.push_str("</table>\n");
    }
    if let Some((label, url)) = &c.action {
        let (label, url) = (escape(label), escape(url));
        let _ = writeln!(out, "<p><a class=\"act\" href=\"{url}\">{label}</a></p>");
        let _ = writeln!(out, "<p class=\"small\">{url}</p>");
    }
    for p in &c.after {
        let _ = writeln!(out, "<p class=\"small\">{}</p>", escape(p));
    }
    out.push_str("</main>\n<footer>\n");
    let _ = writeln!(out, "<p>{}</p>", escape(&foot.why));
    if let Some(url) = &foot.stop {
        let url = escape(url);
        let _ = writeln!(out, "<p><a href=\"{url}\">Stop such letters</a></p>");
    }
    out.push_str("</footer>\n</body>\n</html>\n");
    out
}
