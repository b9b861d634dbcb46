//! What people see in a terminal: a text from a receipt or a server is data
//! there, never control.

use std::{
    fmt::Display,
    io::{ErrorKind, Write},
};

/// Exit code when whoever read standard output has closed it, as by SIGPIPE.
const CLOSED: i32 = 141;

/// Control characters, line separators, and what turns the direction of text.
fn controls(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}')
}

fn escaped(text: &str, keep: Option<char>) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if controls(c) && Some(c) != keep {
            // All of them have at most four digits: inside JSON strings the
            // text still means the same.
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// One line, whatever the text says: control characters (new lines too) and
/// bidirectional controls are written as `\uXXXX`.
pub fn printable(text: &str) -> String {
    escaped(text, None)
}

/// Prints a text and a new line. Control characters other than new lines are
/// escaped, in case a text in it was not. Whoever closed standard output
/// (`| head`) has seen enough: the program ends, quietly.
pub fn line(text: impl Display) {
    raw(&(escaped(&text.to_string(), Some('\n')) + "\n"));
}

/// Prints bytes that this program made, as they are; ends like [`line()`].
pub fn raw(text: &str) {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::BrokenPipe => std::process::exit(CLOSED),
        Err(e) => {
            note(format_args!("error: standard output: {e}"));
            std::process::exit(1);
        }
    }
}

/// The same on standard error; nobody has to listen there.
pub fn note(text: impl Display) {
    let text = escaped(&text.to_string(), Some('\n')) + "\n";
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_controls_the_terminal() {
        let hostile =
            "a\u{1b}[2K\r\nreceipt of order\u{9b}1A\u{202e}txt\u{2066}\u{200f}\u{7f}\u{2028}z";
        let shown = printable(hostile);
        assert!(!shown.chars().any(controls), "{shown}");
        assert_eq!(shown.lines().count(), 1);
        assert!(
            shown.starts_with("a\\u001b[2K\\u000d\\u000areceipt"),
            "{shown}"
        );
        let (kept, plain) = (escaped("a\n\tb", Some('\n')), "Größe · 数 │ █");
        assert_eq!(
            (kept.as_str(), printable(plain).as_str()),
            ("a\n\\u0009b", plain)
        );
        // JSON stays JSON, and means the same.
        let value = serde_json::json!({ "x\u{9b}": hostile });
        let read: serde_json::Value = serde_json::from_str(&printable(&value.to_string())).unwrap();
        assert_eq!(read, value);
    }
}
